//! The RPC server in front of a real chain of one member: every client, and every rule that clients depend on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]

mod accounts;
mod blocks;
mod calls;
mod clients;
mod contracts;
mod fees;
mod general;
mod harness;
mod limits;
mod live;
mod rota;
mod websocket;
