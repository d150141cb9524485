//! Tests of the protocol's rules: properties, and the golden vectors shared with the Solidity tests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]

mod amnesia;
mod certificate;
mod config;
mod evidence;
mod range;
mod schedule;
mod sealing;
mod set;
mod support;
mod vectors;
mod vote;
