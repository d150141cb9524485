//! `/metrics` for Prometheus, `/health` and `/ready` for whoever restarts or routes to the node.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode, routing::get};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use rota_protocol::header::id_of_coinbase;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::chain::{ChainEvent, DecidedChain};

/// A node whose newest block is older than this is not ready to serve.
const STALE: Duration = Duration::from_secs(30);

/// Installs the process-wide recorder.
///
/// # Errors
/// When there is one already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0])?
        .install_recorder()?;
    describe_gauge!("rota_height", "Height of the last decided block");
    describe_gauge!("rota_round", "Round in which the last block was decided");
    describe_histogram!("rota_block_interval_seconds", "Time from one decided block to the next");
    describe_counter!("rota_blocks_total", "Decided blocks, by proposing operator");
    describe_counter!("rota_failovers_total", "Blocks that were not decided in round 0");
    describe_counter!("rota_transactions_total", "Transactions in decided blocks");
    describe_gauge!("rota_l1_head", "Newest L1 block seen");
    describe_gauge!("rota_l1_confirmed", "Newest L1 block deep enough to be an origin");
    describe_gauge!("rota_l1_failures", "Failed requests to L1 since the last success");
    describe_gauge!("rota_batches_sealed", "Batches certified by decided blocks");
    describe_gauge!("rota_batches_posted", "Batches on L1");
    describe_gauge!("rota_batches_final", "Final batches");
    describe_gauge!("rota_unposted_batches", "Certified batches that are not on L1 yet");
    describe_gauge!("rota_mempool_pending", "Transactions that could be executed now");
    describe_gauge!("rota_mempool_queued", "Transactions that wait for an earlier nonce");
    describe_gauge!("rota_next_slot", "Height of this operator's next slot; 0 if it has none");
    Ok(handle)
}

/// Follows the chain and keeps the block metrics; returns at `shutdown`.
pub async fn follow(chain: Arc<dyn DecidedChain>, shutdown: CancellationToken) {
    let mut events = chain.subscribe();
    let mut last = None::<Instant>;
    gauge!("rota_height").set(chain.head_number() as f64);
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.recv() => event,
        };
        let decided = match event {
            Ok(ChainEvent::Committed(decided)) => decided,
            Err(RecvError::Lagged(_)) => {
                last = None;
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let now = Instant::now();
        if let Some(before) = last.replace(now) {
            histogram!("rota_block_interval_seconds").record((now - before).as_secs_f64());
        }
        let round = decided.certificate.round;
        gauge!("rota_height").set(decided.block.number() as f64);
        gauge!("rota_round").set(f64::from(round));
        counter!("rota_transactions_total").increment(decided.block.block.body.transactions.len() as u64);
        if round > 0 {
            counter!("rota_failovers_total").increment(1);
        }
        if let Some(id) = id_of_coinbase(decided.block.header().beneficiary) {
            counter!("rota_blocks_total", "operator" => id.to_string()).increment(1);
        }
    }
}

/// Serves `/metrics`, `/health` and `/ready` until `shutdown`; returns the address actually bound.
///
/// `/health` answers 200 while the process works; `/ready` answers 503 until a block younger than 30 s is decided.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    listen: SocketAddr,
    handle: PrometheusHandle,
    chain: Arc<dyn DecidedChain>,
    shutdown: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let ready = move || {
        let age = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .saturating_sub(Duration::from_secs(chain.head_header().timestamp));
        let (number, seconds) = (chain.head_number(), age.as_secs());
        match number > 0 && age < STALE {
            true => (StatusCode::OK, format!("ready at block {number}\n")),
            false => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: block {number} is {seconds} s old\n")),
        }
    };
    let app = Router::new()
        .route("/metrics", get(move || std::future::ready(handle.render())))
        .route("/health", get(async || "ok\n"))
        .route("/ready", get(move || std::future::ready(ready())));
    tokio::spawn(async move {
        let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = server.await {
            tracing::warn!(%error, "the metrics server stopped");
        }
    });
    Ok(address)
}
