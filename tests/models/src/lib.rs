//! Reference models of the contracts that hold money, written from their rules, and random histories on which model and
//! contract must agree to the wei.
//!
//! * [`stake`]: `StakeVault` with the registry that decides who takes stake.
//! * [`liquid`]: the staked token, its exit queue, allocator and cover fund, on top of it.
//! * [`history`]: draws histories, and shortens one that disagrees.
//! * [`chain`]: the compiled contracts in an EVM.
//!
//! The program `rota-models` runs them: `rota-models stake --histories 2000 --seed 1` or `rota-models liquid`, from the project's root, after
//! `forge build`.
#![forbid(unsafe_code)]

pub mod chain;
pub mod history;
pub mod integer;
pub mod liquid;
pub mod refusal;
pub mod stake;
