//! `/metrics`, `/health` and `/ready` on one listener.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Bounds of every histogram of seconds.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The address cannot be listened on.
    #[error("metrics cannot listen on {address}: {source}")]
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
    Ok(builder.install_recorder()?)
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
