//! `rota keeper`: a clock for the protocol's permissionless chores.
//!
//! It decides nothing: each chore has a view on L1 that says when it is due, anybody may do it, and doing it twice is
//! refused by the contract. So several keepers may run, and one that stops delays but never loses anything.

mod chores;
mod faults;
mod liquid;
mod turn;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use clap::Args;
use eyre::{Context as _, Result, ensure};
use metrics_exporter_prometheus::PrometheusBuilder;
use rota_bindings::redact::WithoutKeys;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    connection::{Network, NetworkArgs, WriteArgs},
    submit::{Reverted, Submitter},
};
pub use chores::{Chore, Due, due};
pub use faults::{Memory, Outage, absent};
pub use liquid::LiquidChore;
use turn::{Turn, wait_before};

/// Do the protocol's chores on L1
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example:\n  rota keeper --keystore keeper.json --password-file keeper.pass --metrics 127.0.0.1:9400\n\n\
    It anchors L1 block hashes, freezes each epoch's set, seats ready operators, finalizes batches, and opens and \
    credits the rewards of epochs. It jails operators that were absent and has penalties taken that are due. For the \
    staked token it harvests, delegates and rebalances, seals and finalizes exits, collects thawed stake, applies \
    slashes, books cover and donations, and records the rate. Several keepers may run; each waits a little differently \
    before it acts."
)]
pub struct KeeperArgs {
    /// Who signs, and whether to send
    #[command(flatten)]
    pub write: WriteArgs,
    /// How often to look, seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, default_value_t = 2.0)]
    pub interval: f64,
    /// Longest wait before acting on something due, seconds; spreads several keepers
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, default_value_t = 5.0)]
    pub jitter: f64,
    /// Serve Prometheus metrics at http://ADDRESS/metrics, for example 127.0.0.1:9400
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// Do what is due once, then stop; with --dry-run or --calldata: show it
    #[arg(long)]
    pub once: bool,
    /// Leave operators that miss their slots alone
    #[arg(long)]
    pub no_jail: bool,
}

/// Runs `rota keeper` until Ctrl-C.
///
/// # Errors
/// When the key or the endpoints are unusable at the start; later failures are logged and retried.
pub async fn run(args: &KeeperArgs, network_args: &NetworkArgs) -> Result<()> {
    init_logs();
    let mut network = Network::connect(network_args).await?;
    network.quiet = true;
    if let Some(listen) = args.metrics {
        serve_metrics(listen).await?;
    }
    let shutdown = CancellationToken::new();
    let on_signal = shutdown.clone();
    tokio::spawn(async move {
        if crate::devnet::interrupted().await.is_ok() {
            on_signal.cancel();
        }
    });
    let keeper = Keeper::new(&network, args).await?;
    keeper.run(shutdown).await
}

fn init_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    // A second call means that the host program logs already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(|| WithoutKeys(std::io::stdout()))
        .try_init();
}

async fn serve_metrics(listen: SocketAddr) -> Result<()> {
    let handle = PrometheusBuilder::new().install_recorder().wrap_err("cannot set up metrics")?;
    let listener =
        tokio::net::TcpListener::bind(listen).await.wrap_err_with(|| format!("cannot listen on {listen}"))?;
    let app = Router::new()
        .route("/metrics", get(move || std::future::ready(handle.render())))
        .route("/health", get(async || "ok"));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            warn!(%error, "the metrics server stopped");
        }
    });
    Ok(())
}

/// The loop over what is due.
#[derive(Debug)]
pub struct Keeper<'a> {
    network: &'a Network,
    by: Submitter<'a>,
    interval: Duration,
    jitter: Duration,
    once: bool,
    jail: bool,
}

impl<'a> Keeper<'a> {
    /// Prepares a keeper.
    ///
    /// # Errors
    /// When there is no usable key, or nothing is to be sent again and again.
    pub async fn new(network: &'a Network, args: &KeeperArgs) -> Result<Self> {
        let shows = args.write.dry_run || args.write.calldata;
        ensure!(args.once || !shows, "--dry-run and --calldata only show what is due, which stays so: add --once");
        let by = Submitter::new(network, &args.write).await?.silent().replacing();
        Ok(Self {
            network,
            by,
            interval: Duration::try_from_secs_f64(args.interval)
                .wrap_err_with(|| format!("--interval {} is not a time in seconds", args.interval))?,
            jitter: Duration::try_from_secs_f64(args.jitter)
                .wrap_err_with(|| format!("--jitter {} is not a time in seconds", args.jitter))?,
            once: args.once,
            jail: !args.no_jail,
        })
    }

    /// Works until `shutdown`.
    ///
    /// # Errors
    /// Only with `--once`: the first failure.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<()> {
        info!(jails = self.jail, account = %self.by.from, l1_chain = self.network.l1_chain_id, "keeper started");
        let (mut seen, mut memory) = (HashMap::new(), Memory::default());
        loop {
            let round = tokio::select! {
                round = self.round(&mut seen, &mut memory) => round,
                // A transaction that was sent is in L1's hands; every chore may be found done at the next start.
                () = shutdown.cancelled() => {
                    info!("keeper stopped");
                    return Ok(());
                }
            };
            match round {
                Ok(()) => metrics::counter!("rota_keeper_rounds_total", "result" => "ok").increment(1),
                Err(error) if self.once => return Err(error),
                Err(error) => {
                    metrics::counter!("rota_keeper_rounds_total", "result" => "failed").increment(1);
                    warn!("{error:#}; trying again");
                }
            }
            if self.once {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                () = shutdown.cancelled() => {
                    info!("keeper stopped");
                    return Ok(());
                }
            }
        }
    }

    /// Looks at everything afresh (so a reorganised L1 is simply read again) and does what is due.
    async fn round(&self, seen: &mut HashMap<String, Turn>, memory: &mut Memory) -> Result<()> {
        let Due { chores, mut failed } = due(self.network, memory, self.jail).await;
        let keys: HashSet<_> = chores.iter().map(Chore::key).collect();
        seen.retain(|key, _| keys.contains(key));
        metrics::gauge!("rota_keeper_due").set(u32::try_from(chores.len()).unwrap_or(u32::MAX));
        for chore in chores {
            let key = chore.key();
            let wait = wait_before(self.by.from, &key, self.jitter);
            let turn = seen.entry(key.clone()).or_insert_with(|| Turn::after(wait, Instant::now()));
            if !turn.has_come(Instant::now()) && !self.once {
                continue;
            }
            match chores::perform(self.network, &self.by, &chore).await {
                // It was shown, and is due still.
                Ok(()) if !self.by.sends() => {}
                Ok(()) => {
                    // If it is due again, it is again somebody's turn.
                    seen.remove(&key);
                    info!("{chore}: done");
                    metrics::counter!("rota_keeper_chores_total", "chore" => chore.name()).increment(1);
                }
                // One stuck chore must not keep the others from being done.
                Err(error) => {
                    if error.is::<Reverted>() {
                        turn.reverted(Instant::now());
                    }
                    metrics::counter!("rota_keeper_failures_total", "chore" => chore.name()).increment(1);
                    let error = error.wrap_err(chore.to_string());
                    match failed {
                        None => failed = Some(error),
                        // The round reports the first; the others must not be hidden behind it.
                        Some(_) => warn!("{error:#}"),
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
