//! Rota's command line as a library: operator and staker commands, the keeper, and the one-command devnet.
//!
//! The library part exists so that the end-to-end tests drive the same code that users run.

pub mod amount;
pub mod approval;
pub mod batch;
pub mod cli;
pub mod connection;
pub mod deposit;
pub mod devnet;
pub mod endpoint;
pub mod epoch;
pub mod events;
#[cfg(test)]
mod fake_l1;
pub mod genesis;
pub mod inclusion;
pub mod keeper;
pub mod liquid;
pub mod operator;
pub mod output;
pub mod possession;
pub mod progress;
pub mod stake;
pub mod submit;
