//! Rota's consensus-critical rules: epochs, the leader schedule, votes and certificates, header fields, the batch
//! codec and the sealing of batches. Everything here is a pure function of its arguments: no I/O, no clock, no
//! randomness, no panic on any input.
//!
//! "Protocol section N" in these docs refers to `docs/protocol.md`. Every encoding is shared with the Solidity
//! contracts and held by the golden vectors in `tests/vectors`.
#![forbid(unsafe_code)]

pub mod batch;
pub mod certificate;
pub mod config;
pub mod epoch;
pub mod evidence;
pub mod fees;
pub mod header;
pub mod member;
pub mod possession;
pub mod schedule;
pub mod sealing;
pub mod vote;
