//! `devnet.json`: what a running devnet tells every other command.

use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use eyre::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// The public test mnemonic of anvil and hardhat; never use it with real funds.
pub const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// Name of the file inside the devnet's folder.
pub const FILE: &str = "devnet.json";

/// A running (or stopped) devnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Parameter profile: `devnet` or `test`.
    pub profile: String,
    /// What it was built with.
    pub settings: Settings,
    /// The L1 part.
    pub l1: L1,
    /// The L2 part.
    pub l2: L2,
    /// File with the contract addresses.
    pub deployment: PathBuf,
    /// File with the chain's configuration.
    pub chain: PathBuf,
    /// Folder with one log per process.
    pub logs: PathBuf,
    /// Process id of `rota devnet`.
    pub pid: u32,
}

/// What a devnet was built with and keeps when it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Whole tokens that each of the first operators bonded, in the order of their ids.
    pub bonds: Vec<u64>,
    /// Milliseconds between L2 blocks.
    pub block_time_ms: u64,
    /// Seconds between L1 blocks.
    pub l1_block_time: u64,
}

/// The local L1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct L1 {
    /// JSON-RPC of anvil.
    pub rpc_url: String,
    /// Its chain id.
    pub chain_id: u64,
    /// Its process id.
    pub pid: u32,
}

/// The rollup.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct L2 {
    /// Chain id of the rollup.
    pub chain_id: u64,
    /// Every node that was started.
    pub nodes: Vec<Node>,
}

/// One sequencer process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Operator id in the registry.
    pub id: u32,
    /// Account that registered it.
    pub owner: Address,
    /// Index of the owner in the development mnemonic.
    pub owner_index: u32,
    /// Consensus key.
    pub signer: Address,
    /// Index of the consensus key in the development mnemonic.
    pub signer_index: u32,
    /// HTTP and WebSocket JSON-RPC.
    pub rpc_url: String,
    /// Prometheus metrics, `/health`, `/ready`.
    pub metrics_url: String,
    /// Address other nodes reach its consensus at.
    pub peer: String,
    /// Address other nodes reach its transaction gossip at.
    pub gossip_peer: String,
    /// Its folder.
    pub home: PathBuf,
    /// Its process id.
    pub pid: u32,
}

impl Manifest {
    /// Reads `dir/devnet.json`; `None` when there is no devnet.
    ///
    /// # Errors
    /// When the file exists but cannot be understood.
    pub fn load_if_present(dir: &Path) -> Result<Option<Self>> {
        let file = dir.join(FILE);
        match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).wrap_err_with(|| {
                format!("{} is damaged, or of another release: start the devnet again with --fresh", file.display())
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).wrap_err_with(|| format!("cannot read {}", file.display())),
        }
    }

    /// Writes `dir/devnet.json` in one step, so that a reader never sees half of it.
    ///
    /// # Errors
    /// On an I/O failure.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let temporary = dir.join(format!("{FILE}.new"));
        std::fs::write(&temporary, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&temporary, dir.join(FILE)).wrap_err("cannot write the devnet's manifest")
    }
}
