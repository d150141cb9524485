//! `make bench`: gas, throughput beside anvil, time to the final receipt, block interval and failover.

pub mod bed;
pub mod gas;
pub mod load;
pub mod report;
pub mod rpc;
pub mod timing;

use std::{
    path::PathBuf,
    sync::OnceLock,
    time::{Duration, Instant},
};

use clap::Args;
use eyre::{Result, ensure};

use bed::Bed;
use load::{Kind, Load};
use report::Results;

/// What to measure, and how much of it
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Small sizes: shows that everything works, the figures mean little
    #[arg(long)]
    pub quick: bool,
    /// Accounts that send the load
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    pub accounts: u64,
    /// Transactions of each account in each load
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub per_account: u64,
    /// Connections that send it
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
    /// Transfers whose time to the receipt is taken, for each block time
    #[arg(long, default_value_t = 150)]
    pub samples: usize,
    /// Blocks whose interval is taken
    #[arg(long, default_value_t = 200)]
    pub blocks: usize,
    /// Leaders to kill
    #[arg(long, default_value_t = 7)]
    pub kills: usize,
    /// Milliseconds between blocks
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(100..=10_000))]
    pub block_time: u64,
    /// The second, shorter block time for the time to the receipt
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(100..=10_000))]
    pub short_block_time: u64,
    /// Minutes each system may take before it is given up
    #[arg(long, default_value_t = 20)]
    pub limit: u64,
    /// Folder of results.json and results.md [default: bench, or bench/out when quick or not a release build]
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl Options {
    fn sized(mut self) -> Self {
        if self.quick {
            self.accounts = self.accounts.min(20);
            self.per_account = self.per_account.min(20);
            self.connections = self.connections.min(4);
            self.samples = self.samples.min(10);
            self.blocks = self.blocks.min(30);
            self.kills = self.kills.min(1);
            self.limit = self.limit.min(5);
        }
        self
    }

    /// Committed figures are those of a full release run only.
    fn folder(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            crate::root().join(if self.quick || cfg!(debug_assertions) { "bench/out" } else { "bench" })
        })
    }
}

/// A line of progress, with the time since the start.
pub fn say(what: &str) {
    static START: OnceLock<Instant> = OnceLock::new();
    println!("[{:6.1} s] {what}", START.get_or_init(Instant::now).elapsed().as_secs_f64());
}

/// Measures everything, writes the results and prints them as Markdown.
///
/// # Errors
/// When something cannot be measured, or a gas bound is missed.
pub async fn run(options: Options) -> Result<()> {
    let options = options.sized();
    ensure!(
        options.connections > 0 && options.samples > 0 && options.blocks > 0 && options.kills > 0,
        "--connections, --samples, --blocks and --kills must be above 0"
    );
    let limit = Duration::from_secs(options.limit * 60);
    say("gas");
    let mut results = Results::new(&options, gas::table(&crate::root().join("snapshots"))?);
    let kinds = [Kind::Native, Kind::Token];

    let anvil = Bed::anvil(options.block_time).await?;
    results.throughput.extend(anvil.run(limit, async |bed| throughput(bed, &options, kinds).await).await?);

    let single = Bed::rota(1, options.block_time).await?;
    results.throughput.extend(single.run(limit, async |bed| throughput(bed, &options, kinds).await).await?);

    let four = Bed::rota(4, options.block_time).await?;
    four.run(limit, async |bed| {
        say("block interval");
        results.interval = Some(timing::intervals(bed, options.blocks).await?);
        say("time to the final receipt");
        results.receipt = Some(timing::receipts(bed, options.samples).await?);
        results.throughput.extend(throughput(bed, &options, kinds).await?);
        say("failover");
        results.failover = Some(timing::failovers(bed, options.kills).await?);
        Ok(())
    })
    .await?;

    let short = Bed::rota(4, options.short_block_time).await?;
    results.short_receipt = Some(
        short
            .run(limit, async |bed| {
                say("time to the final receipt");
                timing::receipts(bed, options.samples).await
            })
            .await?,
    );
    report::publish(&results, &options.folder())?;
    let missed: Vec<_> = results.gas.iter().filter(|line| !line.met()).map(|line| line.operation.as_str()).collect();
    ensure!(missed.is_empty(), "gas bounds are missed: {}", missed.join("; "));
    Ok(())
}

async fn throughput(bed: &Bed, options: &Options, kinds: [Kind; 2]) -> Result<Vec<load::Throughput>> {
    let load = Load::prepare(bed, options).await?;
    let mut measured = Vec::new();
    for kind in kinds {
        measured.push(load.run(kind).await?);
    }
    Ok(measured)
}
