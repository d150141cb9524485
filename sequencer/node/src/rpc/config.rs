//! What the RPC server serves and how much of it.

use std::{net::SocketAddr, time::Duration};

/// How to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// HTTP and WebSocket share this address; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Slots of a schedule window (protocol section 4).
    pub slots_per_window: u32,
    /// Bounds.
    pub limits: Limits,
}

/// What one client, or all of them together, may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open HTTP and WebSocket connections.
    pub connections: u32,
    /// Bytes of a request body.
    pub request_bytes: u32,
    /// Bytes of a response body.
    pub response_bytes: u32,
    /// Requests in a batch.
    pub batch: u32,
    /// Subscriptions of one WebSocket connection.
    pub subscriptions: u32,
    /// Messages waiting for one slow WebSocket client before it is dropped.
    pub subscription_buffer: u32,
    /// How long a full buffer may stay full before the subscription ends.
    pub subscription_patience: Duration,
    /// Blocks one log query may span.
    pub log_blocks: u64,
    /// Logs one query may return.
    pub logs: usize,
    /// Filters alive at a time.
    pub filters: usize,
    /// A filter that nobody polls for this long is dropped.
    pub filter_ttl: Duration,
    /// Calls, estimates, log scans and proofs executing at a time; others wait.
    pub heavy_calls: usize,
    /// How long one of those waits for its turn before it is refused.
    pub heavy_patience: Duration,
    /// Gas of one `eth_call`.
    pub call_gas: u64,
    /// Storage keys of one proof.
    pub proof_keys: usize,
    /// How long `eth_sendRawTransactionSync` waits for the receipt when the caller names no time, and at most.
    pub sync_send: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            request_bytes: 4 << 20,
            response_bytes: 32 << 20,
            batch: 100,
            subscriptions: 64,
            subscription_buffer: 1_024,
            subscription_patience: Duration::from_secs(10),
            log_blocks: 10_000,
            logs: 20_000,
            filters: 1_024,
            filter_ttl: Duration::from_secs(300),
            heavy_calls: std::thread::available_parallelism().map_or(2, usize::from),
            heavy_patience: Duration::from_secs(10),
            call_gas: 50_000_000,
            proof_keys: 256,
            sync_send: Duration::from_secs(10),
        }
    }
}
