//! Deployment files: what `script/Deploy.s.sol` writes.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// A network's contracts and constants: `deployments/<chainId>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Chain id of L1.
    pub chain_id: u64,
    /// Parameter profile: `mainnet`, `devnet` or `test`.
    pub profile: String,
    /// Chain id of L2.
    pub l2_chain_id: u64,
    /// Hash of L2 block 0, the parent of the first batch.
    pub l2_genesis_hash: B256,
    /// Start of epoch 0, Unix seconds.
    pub genesis_time: u64,
    /// Length of an epoch, seconds.
    pub epoch_seconds: u64,
    /// Epochs from undelegating to the claim, besides the two in which the change takes effect.
    pub unbonding_epochs: u32,
    /// Seats of the sequencer set.
    pub max_seats: u32,
    /// Slots per window of the leader schedule.
    pub slots_per_window: u32,
    /// Target time between L2 blocks, milliseconds.
    pub block_time_ms: u64,
    /// Blocks per batch at most.
    pub batch_blocks: u64,
    /// Seconds per batch.
    pub batch_seconds: u64,
    /// Seconds from posting a batch to its finality.
    pub challenge_window: u64,
    /// Depth at which an L1 block may become an origin of L2.
    pub l1_confirmations: u64,
    /// Most seconds an L2 block may lie after its L1 origin.
    pub max_origin_lag: u64,
    /// Epochs that a set may lag behind when its batch is posted.
    pub max_set_age: u32,
    /// Least own stake of a seated operator, wei of the native token (in the file: a number or a decimal string).
    #[serde(with = "wei")]
    pub min_self_bond: u128,
    /// L1 block at or before the first deployed contract: where to start reading events.
    pub deployed_at_block: u64,
    /// Where the contracts are.
    pub contracts: ContractAddresses,
}

/// L1 addresses, by contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each field is the contract of that name")]
pub struct ContractAddresses {
    pub native_token: Address,
    pub network_parameters: Address,
    pub sequencer_registry: Address,
    pub stake_vault: Address,
    pub sequencer_set: Address,
    pub batch_chain: Address,
    pub portal: Address,
    pub reward_vault: Address,
    pub slasher: Address,
    pub slash_escrow: Address,
    pub double_vote_fault: Address,
    pub double_proposal_fault: Address,
    pub conflicting_certificates_fault: Address,
    pub amnesia_fault: Address,
    pub offline_fault: Address,
    pub fee_splitter: Address,
    pub guardian: Address,
    pub access_manager: Address,
    pub timelock: Address,
    pub lens: Address,
    pub allocator: Address,
    pub cover_fund: Address,
    pub exit_queue: Address,
    pub fault_watch: Address,
    pub staked_token: Address,
    pub rate_feed: Address,
    pub router: Address,
    pub exit_receipt: Address,
    pub liquid_lens: Address,
}

/// Why a deployment file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// Not there, or not readable.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a deployment file of this release.
    #[error("{} is not a deployment file: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where it departs from the format.
        source: serde_json::Error,
    },
    /// The file of another chain.
    #[error("{} describes chain {found}, expected chain {expected}", path.display())]
    WrongChain {
        /// The file.
        path: PathBuf,
        /// Chain id in the file.
        found: u64,
        /// Chain id in its name.
        expected: u64,
    },
}

impl Deployment {
    /// Reads `<folder>/<chain_id>.json`.
    ///
    /// # Errors
    /// A [`DeploymentError`]: no such file, not a deployment, or one of another chain.
    pub fn load(folder: impl AsRef<Path>, chain_id: u64) -> Result<Self, DeploymentError> {
        let path = folder.as_ref().join(format!("{chain_id}.json"));
        let deployment = Self::from_file(&path)?;
        if deployment.chain_id != chain_id {
            return Err(DeploymentError::WrongChain { path, found: deployment.chain_id, expected: chain_id });
        }
        Ok(deployment)
    }

    /// Reads a deployment file by its path.
    ///
    /// # Errors
    /// A [`DeploymentError`]: no such file, or not a deployment.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, DeploymentError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|source| DeploymentError::Read { path: path.to_owned(), source })?;
        serde_json::from_str(&text).map_err(|source| DeploymentError::Parse { path: path.to_owned(), source })
    }
}

/// Amounts of 128 bits: JSON numbers of that size are lost on most readers, so they are written as decimal strings.
mod wei {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => u128::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.map_err(|_| D::Error::custom(format!("{text} is not an amount of wei")))
    }
}
