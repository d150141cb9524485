//! What is measured: a devnet of `n` sequencers, or anvil with the same block time and gas limit.

use std::time::{Duration, Instant};

use eyre::{Context as _, Result};
use rota::{
    devnet::{
        Devnet, DevnetArgs,
        manifest::DEV_MNEMONIC,
        process::{Process, free_port},
        toolchain,
    },
    genesis::GAS_LIMIT,
    progress::wait_until,
};

use super::rpc::Rpc;

/// Chain id of anvil in the throughput runs.
const ANVIL_CHAIN: u64 = 53_902;

/// Longest start of a devnet whose contracts are compiled.
const START: Duration = Duration::from_secs(180);

/// A running system under measurement. Dropping it kills every process of it.
#[derive(Debug)]
pub struct Bed {
    /// For messages and results.
    pub name: String,
    /// Milliseconds between blocks.
    pub block_time: u64,
    /// For replay protection of the load.
    pub chain_id: u64,
    /// JSON-RPC of every node.
    pub urls: Vec<String>,
    /// The devnet, unless this is anvil.
    pub devnet: Option<Devnet>,
    anvil: Option<Process>,
    folder: tempfile::TempDir,
}

impl Bed {
    /// `nodes` sequencers on profile `test` with blocks every `block_time` milliseconds.
    ///
    /// # Errors
    /// When something cannot be started.
    pub async fn rota(nodes: u32, block_time: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("rota-bench-").tempdir()?;
        let args = DevnetArgs {
            nodes: Some(nodes),
            block_time: Some(block_time),
            l1_block_time: None,
            profile: Some("test".to_owned()),
            fresh: true,
            bonds: vec![1_000],
        };
        let since = Instant::now();
        let devnet = tokio::time::timeout(START, Devnet::start(&args, folder.path().join("net"), false))
            .await
            .wrap_err_with(|| format!("the devnet did not start within {START:?}; were the contracts built?"))??;
        super::say(&format!("devnet of {nodes} at {block_time} ms up in {:.1} s", since.elapsed().as_secs_f64()));
        Ok(Self {
            name: format!("Rota, {nodes} node{}", if nodes == 1 { "" } else { "s" }),
            block_time,
            chain_id: devnet.manifest.l2.chain_id,
            urls: devnet.manifest.l2.nodes.iter().map(|node| node.rpc_url.clone()).collect(),
            devnet: Some(devnet),
            anvil: None,
            folder,
        })
    }

    /// anvil with the same gas limit.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn anvil(block_time: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("rota-bench-").tempdir()?;
        let port = free_port()?;
        let mut command = tokio::process::Command::new(toolchain::anvil(&toolchain::project_root()?)?);
        let seconds = Duration::from_millis(block_time).as_secs_f64();
        command
            .args(["--port", &port.to_string(), "--chain-id", &ANVIL_CHAIN.to_string(), "--hardfork", "osaka"])
            .args(["--mnemonic", DEV_MNEMONIC, "--gas-limit", &GAS_LIMIT.to_string(), "--order", "fifo"])
            .args(["--block-time", &seconds.to_string()]);
        let mut process = Process::start("anvil", command, folder.path().join("anvil.log"))?;
        let url = format!("http://127.0.0.1:{port}");
        let rpc = Rpc::new(&url)?;
        wait_until("anvil to answer", Duration::from_secs(15), Duration::from_millis(50), async || {
            process.check_running()?;
            Ok(rpc.height().await.ok())
        })
        .await?;
        Ok(Self {
            name: "anvil".to_owned(),
            block_time,
            chain_id: ANVIL_CHAIN,
            urls: vec![url],
            devnet: None,
            anvil: Some(process),
            folder,
        })
    }

    /// Clients of every node.
    ///
    /// # Errors
    /// When an HTTP client cannot be built.
    pub fn clients(&self) -> Result<Vec<Rpc>> {
        self.urls.iter().map(|url| Rpc::new(url)).collect()
    }

    /// Runs `measurements` and stops every process; the folder with the logs is kept when they fail.
    ///
    /// # Errors
    /// Those of the measurements, or when they take longer than `limit`.
    pub async fn run<T>(
        mut self,
        limit: Duration,
        measurements: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let outcome = tokio::time::timeout(limit, measurements(&mut self)).await;
        let outcome = outcome.wrap_err_with(|| format!("{}: not done within {limit:?}", self.name)).flatten();
        if let Some(devnet) = &mut self.devnet {
            devnet.stop().await;
        }
        if let Some(anvil) = &mut self.anvil {
            anvil.stop(Duration::from_secs(5)).await;
        }
        if outcome.is_err() {
            super::say(&format!("{}: FAILED, its logs are kept in {}", self.name, self.folder.keep().display()));
        }
        outcome
    }
}
