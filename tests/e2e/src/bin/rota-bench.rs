//! `rota-bench`: measures Rota beside its peers and writes the table that `make bench` prints.

use std::process::ExitCode;

use clap::Parser;
use eyre::{Result, bail};
use rota_e2e::bench::{Options, run};

/// Measure gas, throughput, time to the final receipt, block interval and failover
#[derive(Parser, Debug)]
#[command(name = "rota-bench", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure(Cli::parse().options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever ends the run, dropping a system kills its processes.
async fn measure(options: Options) -> Result<()> {
    tokio::select! {
        outcome = run(options) => outcome,
        stopped = rota::devnet::interrupted() => {
            stopped?;
            bail!("interrupted; every process was stopped")
        }
    }
}
