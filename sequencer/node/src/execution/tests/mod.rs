//! Execution, storage and restart, on real blocks.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

pub(crate) mod fixture;

mod blocks;
mod crash;
mod restart;
