//! `rota-sequencer run` and `follow`.
//!
//! Exit codes: 0 stopped on request; 1 failed, a restart may help; 3 must not be restarted before an operator looked,
//! because it could contradict what it signed.

use std::{path::Path, process::ExitCode, time::Duration};

use eyre::WrapErr;
use rota_sequencer::{
    config::{Config, LogFormat},
    metrics,
    node::{self, NodeError},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

const STAY_DOWN: u8 = 3;
/// Log filter unless RUST_LOG says otherwise.
const FILTER: &str =
    "info,informalsystems_malachitebft=warn,arc_malachitebft=warn,libp2p=warn,lsm_tree=warn,fjall=warn";
/// Holds whatever RUST_LOG says: the spans of this crate name L1 endpoints with the API keys in them.
const QUIET: &str = "alloy_transport_http=warn";
/// Time blocking threads get once every task has ended.
const LINGER: Duration = Duration::from_millis(500);

/// Runs the node in `home` until SIGTERM or SIGINT.
pub fn run(home: &Path, votes: bool) -> eyre::Result<()> {
    let config = Config::load(home)?;
    log(config.log_format);
    let recorder = metrics::install()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().wrap_err("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let node = node::run(config, votes, recorder, shutdown.clone());
        tokio::pin!(node);
        loop {
            tokio::select! {
                result = &mut node => return result.map_err(eyre::Report::from),
                _ = terminate.recv() => shutdown.cancel(),
                _ = interrupt.recv() => shutdown.cancel(),
            }
        }
    });
    runtime.shutdown_timeout(LINGER);
    result
}

/// What the process returns for a failure.
pub fn exit_code(error: &eyre::Report) -> ExitCode {
    match error.downcast_ref::<NodeError>() {
        Some(error) if error.must_stay_down() => ExitCode::from(STAY_DOWN),
        _ => ExitCode::FAILURE,
    }
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let filter = match QUIET.parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}
