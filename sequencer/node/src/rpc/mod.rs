//! Ethereum JSON-RPC and the `rota_*` methods over HTTP and WebSocket.

mod info;

pub use info::{BatchInfo, BatchStatus, Labels, NodeStatus, RotaInfo, Serving};
