//! The Rota sequencer node: it orders L2 transactions in turns with the other members of the staked set, executes
//! them, answers Ethereum JSON-RPC and posts certified batches to L1.
//!
//! Each module owns one piece of state; [`chain`] holds the types that travel between them.

// The tests share a source file with the end-to-end tests, which know this crate by its name.
#[cfg(test)]
extern crate self as rota_sequencer;

pub mod batcher;
pub mod chain;
pub mod config;
pub mod consensus;
pub mod derivation;
pub mod evidence;
pub mod execution;
pub mod gossip;
pub mod keys;
pub mod l1;
pub mod mempool;
pub mod metrics;
pub mod node;
pub mod rpc;
pub mod sealed;
pub mod store;
