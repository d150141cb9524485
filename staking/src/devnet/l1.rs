//! The devnet's L1: anvil with a clock that starts two epochs ago, so that the first set can be frozen at once
//! (protocol section 5).

use std::{path::Path, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    providers::{DynProvider, Provider as _, ProviderBuilder, ext::AnvilApi as _},
};
use eyre::{Context as _, Result, eyre};
use tokio::process::Command;

use crate::{
    devnet::{manifest::DEV_MNEMONIC, process::Process},
    progress::wait_until,
};

/// How many accounts of the development mnemonic are funded with ether.
pub const ACCOUNTS: u32 = 100;

/// File in the devnet's folder that keeps the chain over a restart.
pub const STATE_FILE: &str = "l1-state.json";

/// A running anvil.
#[derive(Debug)]
pub struct LocalL1 {
    /// The process.
    pub process: Process,
    /// JSON-RPC.
    pub url: String,
    /// Polls quickly: everything is on this machine.
    pub provider: DynProvider,
}

impl LocalL1 {
    /// Starts anvil in `dir`. `start_time` (Unix seconds) is the time of block 0 on a new chain; with `None` the saved
    /// chain goes on at the present time.
    ///
    /// # Errors
    /// When the binary cannot be started or does not answer within 15 s.
    pub async fn start(
        binary: &Path,
        dir: &Path,
        port: u16,
        start_time: Option<u64>,
        block_seconds: u64,
    ) -> Result<Self> {
        let mut command = Command::new(binary);
        command
            .args(["--port", &port.to_string(), "--chain-id", "31337", "--hardfork", "osaka"])
            .args(["--mnemonic", DEV_MNEMONIC, "--accounts", &ACCOUNTS.to_string(), "--balance", "1000000"])
            .args(["--gas-limit", "60000000", "--order", "fifo", "--slots-in-an-epoch", "4"])
            .arg("--state")
            .arg(dir.join(STATE_FILE))
            .args(["--state-interval", "10", "--preserve-historical-states"]);
        match start_time {
            Some(time) => command.args(["--timestamp", &time.to_string()]),
            None => command.args(["--block-time", &block_seconds.to_string()]),
        };
        let mut process = Process::start("anvil", command, dir.join("logs/anvil.log"))?;
        let url = format!("http://127.0.0.1:{port}");
        let provider = ProviderBuilder::new().connect(&url).await?.erased();
        provider.client().set_poll_interval(Duration::from_millis(25));
        wait_until("anvil to answer", Duration::from_secs(15), Duration::from_millis(50), async || {
            process.check_running()?;
            Ok(provider.get_chain_id().await.ok())
        })
        .await?;
        Ok(Self { process, url, provider })
    }

    /// Time of the newest block.
    ///
    /// # Errors
    /// When anvil does not answer.
    pub async fn time(&self) -> Result<u64> {
        let block = self.provider.get_block_by_number(BlockNumberOrTag::Latest).await?;
        Ok(block.ok_or_else(|| eyre!("anvil has no latest block"))?.header.timestamp)
    }

    /// Mines a block at `time`; later blocks follow from there.
    ///
    /// # Errors
    /// When `time` is in the past of the chain.
    pub async fn jump_to(&self, time: u64) -> Result<()> {
        self.provider
            .anvil_set_next_block_timestamp(time)
            .await
            .wrap_err_with(|| format!("cannot move L1 time to {time}"))?;
        self.provider.anvil_mine(Some(1), None).await?;
        Ok(())
    }

    /// Switches from one block per transaction to one block every `seconds`, as on a real L1.
    ///
    /// # Errors
    /// When anvil does not answer.
    pub async fn run_clock(&self, seconds: u64) -> Result<()> {
        self.provider.anvil_set_auto_mine(false).await?;
        self.provider.anvil_set_interval_mining(seconds).await?;
        Ok(())
    }
}
