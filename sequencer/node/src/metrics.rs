//! `/metrics`, `/health` and `/ready` on one listener.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Bounds of every histogram of seconds.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Counters that exist from the start, so that an alarm can tell zero from missing.
const COUNTERS: &[(&str, &str)] = &[
    ("rota_blocks_decided_total", "Blocks decided since the start"),
    ("rota_blocks_produced_total", "Of those, proposed by this node"),
    ("rota_slots_missed_total", "Slots of this operator in which another one produced the block"),
    ("rota_failovers_total", "Blocks decided in a later round than the first"),
    ("rota_failed_rounds_total", "Rounds that ended without a decision"),
    ("rota_votes_signed_total", "Votes this node signed; withheld ones do not count"),
    ("rota_slashing_protection_refusals_total", "Signatures refused because they would contradict an earlier one"),
    ("rota_equivocations_seen_total", "Contradicting signatures of others"),
    ("rota_evidence_messages_total", "Signed messages on record"),
    ("rota_evidence_ignored_total", "Messages of strangers, with bad signatures, or out of place"),
    ("rota_evidence_dropped_total", "Unverified messages the evidence watcher had no room for"),
    ("rota_evidence_engine_dropped_total", "Messages the engine acted on that the evidence watcher had no room for"),
    ("rota_evidence_found_total", "Contradictions found"),
    ("rota_evidence_reported_total", "Contradictions this node had convicted on L1"),
    ("rota_evidence_errors_total", "Failed attempts to report one"),
    ("rota_amnesia_suspected_total", "Pairs of votes that no polka on record explains"),
    ("rota_amnesia_accused_total", "Charges of amnesia this node brought on L1"),
    ("rota_amnesia_answered_total", "Charges of amnesia this node answered on L1"),
    ("rota_amnesia_convicted_total", "Operators this node had convicted of amnesia on L1"),
    ("rota_amnesia_charges_ignored_total", "Charges not followed because too many are open against one operator"),
    ("rota_amnesia_errors_total", "Failed attempts to read, bring or answer one"),
    ("rota_invalid_blocks_total", "Blocks that broke a rule"),
    ("rota_transactions_total", "Transactions in decided blocks"),
    ("rota_gas_used_total", "Gas used by decided blocks"),
    ("rota_l1_errors_total", "Failed looks at L1"),
    ("rota_l1_deep_reorgs_total", "Reorganisations of L1 deeper than its confirmations"),
    ("rota_batches_posted_total", "Batches this node posted"),
    ("rota_batcher_errors_total", "Failed attempts to post"),
    ("rota_batcher_fee_bumps_total", "Fee raises of transactions to L1"),
];

/// Gauges and what they mean.
const GAUGES: &[(&str, &str)] = &[
    ("rota_height", "Height of the last decided block"),
    ("rota_epoch", "Epoch of the set that decided it"),
    ("rota_members", "Members of the serving set"),
    ("rota_leader_id", "Operator that leads the next block"),
    ("rota_next_slot_height", "Height of this operator's next slot; 0 if it has none soon"),
    ("rota_stake_gwei", "Weight of this operator in the serving set; 0 if it is no member"),
    ("rota_operator_status", "1 for the status the operator has on L1: active, jailed, retired, tombstoned"),
    ("rota_pending_reward_tokens", "Rewards to claim, in whole tokens, by kind"),
    ("rota_consensus_height", "Height consensus works on"),
    ("rota_consensus_round", "Round consensus works on"),
    ("rota_consensus_peers", "Connected consensus peers"),
    ("rota_consensus_safety_failure", "1 after the consensus log failed: do not restart before looking at the disk"),
    ("rota_gossip_peers", "Connected gossip peers"),
    ("rota_silent_height", "Height up to which this node signs nothing, because its consensus log is lost"),
    ("rota_evidence_pending", "Contradictions whose signer is not convicted yet"),
    ("rota_amnesia_pending", "Suspicions of amnesia that L1 has not settled"),
    ("rota_amnesia_charges", "Charges of amnesia on L1 that are not settled"),
    ("rota_mempool_pending", "Transactions that can be executed now"),
    ("rota_mempool_queued", "Transactions that wait for an earlier nonce"),
    ("rota_l1_head", "Newest L1 block seen"),
    ("rota_l1_confirmed", "Newest L1 block that may be an origin"),
    ("rota_l1_lag_seconds", "Age of that block"),
    ("rota_unposted_batches", "Sealed batches that are not confirmed on L1"),
    ("rota_unposted_blocks", "Blocks after the last batch confirmed on L1"),
    ("rota_batcher_backlog", "Sealed batches that are not in the newest L1 state"),
];

/// Histograms and what they mean.
const HISTOGRAMS: &[(&str, &str)] = &[
    ("rota_block_interval_seconds", "Time from one decided block to the next"),
    ("rota_failover_seconds", "The same for blocks decided in a later round"),
    ("rota_block_build_seconds", "Execution time of building a block"),
    ("rota_block_validate_seconds", "Execution time of checking a block"),
    ("rota_batch_post_seconds", "Time from sending a batch to its receipt"),
];

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The address cannot be listened on.
    #[error("metrics cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: std::io::Error,
    },
    /// The process has a recorder already.
    #[error("metrics recorder: {0}")]
    Recorder(#[from] metrics_exporter_prometheus::BuildError),
}

/// Whether a node is of use.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// It answers for the present and reaches what it needs.
    pub ready: bool,
    /// What is missing, for people.
    pub missing: Vec<String>,
}

/// What the server asks the node.
pub trait Probe: Send + Sync + 'static {
    /// Whether the node can serve requests about the present.
    fn readiness(&self) -> Readiness;
}

/// Makes this process record metrics. At most once per process.
///
/// # Errors
/// [`MetricsError::Recorder`] the second time.
pub fn install() -> Result<PrometheusHandle, MetricsError> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?;
    let handle = builder.install_recorder()?;
    for (name, help) in COUNTERS {
        metrics::describe_counter!(*name, *help);
        metrics::counter!(*name).increment(0);
    }
    for (name, help) in GAUGES {
        metrics::describe_gauge!(*name, *help);
    }
    for (name, help) in HISTOGRAMS {
        metrics::describe_histogram!(*name, *help);
    }
    Ok(handle)
}

/// Serves until `shutdown`; returns the bound address at once.
///
/// # Errors
/// [`MetricsError::Listen`].
pub async fn serve(
    address: SocketAddr,
    recorder: PrometheusHandle,
    probe: Arc<dyn Probe>,
    shutdown: CancellationToken,
) -> Result<(SocketAddr, impl Future<Output = ()> + Send), MetricsError> {
    let listen_error = |source| MetricsError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen_error)?;
    let bound = listener.local_addr().map_err(listen_error)?;
    let router = Router::new()
        .route("/metrics", get(render))
        // It answers, so it lives: a node that must stop ends its process.
        .route("/health", get(|| async { Json(serde_json::json!({ "status": "ok" })) }))
        .route("/ready", get(ready))
        .with_state((recorder, probe));
    let serving = async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the metrics server stopped");
        }
    };
    Ok((bound, serving))
}

type Shared = State<(PrometheusHandle, Arc<dyn Probe>)>;

async fn render(State((recorder, _)): Shared) -> String {
    recorder.run_upkeep();
    let mut text = recorder.render();
    // The consensus engine keeps a registry of its own.
    let mut engine = String::new();
    malachitebft_app_channel::app::metrics::export(&mut engine);
    // Writing to a string cannot fail.
    let _ = write!(text, "{engine}");
    text
}

async fn ready(State((_, probe)): Shared) -> impl IntoResponse {
    let readiness = probe.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(bool);

    impl Probe for Fixed {
        fn readiness(&self) -> Readiness {
            let missing = if self.0 { vec![] } else { vec!["everything".to_owned()] };
            Readiness { ready: self.0, missing }
        }
    }

    async fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let response = alloy::transports::http::reqwest::get(format!("http://{address}{path}")).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// One test: the recorder belongs to the process.
    #[tokio::test]
    async fn serves_metrics_health_and_readiness() {
        let recorder = install().unwrap();
        assert!(matches!(install(), Err(MetricsError::Recorder(_))));
        let shutdown = CancellationToken::new();
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let probe = |ready| Arc::new(Fixed(ready)) as Arc<dyn Probe>;
        let (ready, first) = serve(local, recorder.clone(), probe(true), shutdown.clone()).await.unwrap();
        let (unready, second) = serve(local, recorder.clone(), probe(false), shutdown.clone()).await.unwrap();
        let taken = serve(ready, recorder, probe(true), shutdown.clone()).await;
        assert!(matches!(taken.err(), Some(MetricsError::Listen { .. })));
        let tasks = tokio::spawn(async move { tokio::join!(first, second) });

        metrics::gauge!("rota_height").set(7.0);
        let (status, text) = get(ready, "/metrics").await;
        assert_eq!(status, 200);
        assert!(text.contains("\nrota_height 7\n") && text.contains("# HELP rota_height "), "{text}");
        for (name, _) in COUNTERS {
            assert!(text.contains(&format!("\n{name} ")), "{name} is missing");
        }
        assert_eq!(get(ready, "/health").await, (200, r#"{"status":"ok"}"#.into()));
        assert_eq!(get(ready, "/ready").await, (200, r#"{"ready":true,"missing":[]}"#.into()));
        assert_eq!(get(unready, "/ready").await, (503, r#"{"ready":false,"missing":["everything"]}"#.into()));
        assert_eq!(get(ready, "/other").await.0, 404);
        shutdown.cancel();
        tasks.await.unwrap();
    }

    /// The operator's reference names every metric described here.
    #[test]
    fn the_documentation_is_complete() {
        let page = include_str!("../../../docs/node.md");
        for (name, _) in COUNTERS.iter().chain(GAUGES).chain(HISTOGRAMS) {
            assert!(page.contains(&format!("`{name}`")), "docs/node.md does not mention {name}");
        }
    }
}
