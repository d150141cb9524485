//! Execution, storage and restart, on real blocks.

pub(crate) mod fixture;

mod blocks;
mod crash;
mod restart;
