//! The chain's configuration and its genesis block (protocol sections 5 and 11).

use std::collections::BTreeMap;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unsorted, storage_root_unhashed},
};
use serde::{Deserialize, Serialize};

use crate::{
    batch::MAX_RANGE_BYTES,
    epoch::EpochClock,
    fees::MIN_BASE_FEE,
    header::{EMPTY_REQUESTS_HASH, MESSAGE_PASSER},
    schedule::{MAX_SLOTS, valid_slots},
    sealing::{Sealing, SealingParams},
    vote::VoteDomain,
};

/// Name of an L1 block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginConfig {
    /// Height on L1.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
}

/// Addresses of the L1 contracts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each field is the contract of that name")]
pub struct ContractsConfig {
    pub native_token: Address,
    pub sequencer_registry: Address,
    pub stake_vault: Address,
    pub sequencer_set: Address,
    pub batch_chain: Address,
    pub portal: Address,
    pub reward_vault: Address,
    pub fee_splitter: Address,
    pub guardian: Address,
    pub access_manager: Address,
    pub timelock: Address,
    pub lens: Address,
    /// Zero on a chain where nobody is slashed.
    #[serde(default)]
    pub slasher: Address,
    #[serde(default)]
    pub double_vote_fault: Address,
    #[serde(default)]
    pub double_proposal_fault: Address,
    #[serde(default)]
    pub conflicting_certificates_fault: Address,
    #[serde(default)]
    pub amnesia_fault: Address,
    #[serde(default)]
    pub offline_fault: Address,
    #[serde(default)]
    pub slash_escrow: Address,
}

/// An account that exists from genesis on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocAccount {
    /// Runtime bytecode.
    #[serde(default, skip_serializing_if = "no_code")]
    pub code: Bytes,
    /// Wei. Zero on every real network: supply of L2 comes from deposits only.
    #[serde(default, skip_serializing_if = "U256::is_zero")]
    pub balance: U256,
    /// Nonce.
    #[serde(default)]
    pub nonce: u64,
    /// Non-zero slots.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub storage: BTreeMap<B256, B256>,
}

fn no_code(code: &Bytes) -> bool {
    code.is_empty()
}

impl AllocAccount {
    fn contract(code: Bytes) -> Self {
        Self { code, nonce: 1, ..Self::default() }
    }

    fn trie_account(&self) -> TrieAccount {
        let slots = self.storage.iter().filter(|(_, value)| !value.is_zero());
        TrieAccount {
            nonce: self.nonce,
            balance: self.balance,
            storage_root: storage_root_unhashed(slots.map(|(slot, value)| (*slot, U256::from_be_bytes(value.0)))),
            code_hash: keccak256(&self.code),
        }
    }
}

/// Everything that nodes of one chain must agree on before its first block: the file `chain.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainConfig {
    /// Chain id of L1.
    pub l1_chain_id: u64,
    /// Chain id of L2.
    pub l2_chain_id: u64,
    /// Name of the parameter profile the contracts were deployed with.
    pub profile: String,
    /// L1 block from which the contracts' events are read; 0 reads all of L1.
    #[serde(default)]
    pub deployed_at_block: u64,
    /// Least L1 origin of block 1.
    pub genesis_origin: OriginConfig,
    /// The first frozen epoch; its set serves from height 1.
    pub sigma0: u32,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// Base fee of block 0, wei.
    pub base_fee: u64,
    /// Start of epoch 0, Unix seconds.
    pub epoch_genesis: u64,
    /// Length of an epoch, seconds.
    pub epoch_seconds: u64,
    /// Slots per window of the leader schedule (S).
    pub slots_per_window: u32,
    /// Target time between blocks, milliseconds.
    pub block_time_ms: u64,
    /// Blocks per batch at most.
    pub batch_blocks: u64,
    /// Seconds per batch.
    pub batch_seconds: u64,
    /// Bytes of transactions that L2 may take each second in the long run: what L1 is to carry for it.
    pub data_bytes_per_second: u64,
    /// Depth at which an L1 block may become an origin.
    pub l1_confirmations: u64,
    /// Most seconds a block's timestamp may lie after its origin's.
    pub max_origin_lag: u64,
    /// L1 contracts.
    pub contracts: ContractsConfig,
    /// Accounts of block 0.
    pub alloc: BTreeMap<Address, AllocAccount>,
}

/// Why a configuration describes no chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Below the floor.
    #[error("baseFee {0} is below {MIN_BASE_FEE} wei")]
    BaseFee(u64),
    /// No window of the schedule.
    #[error("slotsPerWindow {0} is not a power of four up to {MAX_SLOTS}")]
    Slots(u32),
    /// A value that must not be zero.
    #[error("{0} must not be zero")]
    Zero(&'static str),
}

impl ChainConfig {
    /// Checks what no chain can do without. Call it once after loading.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the first field at fault.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.base_fee < MIN_BASE_FEE {
            return Err(ConfigError::BaseFee(self.base_fee));
        }
        if !valid_slots(self.slots_per_window) {
            return Err(ConfigError::Slots(self.slots_per_window));
        }
        for (name, value) in [
            // A tally names its epoch, and 0 there means no tally.
            ("sigma0", u64::from(self.sigma0)),
            ("l1ChainId", self.l1_chain_id),
            ("l2ChainId", self.l2_chain_id),
            ("gasLimit", self.gas_limit),
            ("epochSeconds", self.epoch_seconds),
            ("blockTimeMs", self.block_time_ms),
            ("batchBlocks", self.batch_blocks),
            ("batchSeconds", self.batch_seconds),
            ("dataBytesPerSecond", self.data_bytes_per_second),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero(name));
            }
        }
        Ok(())
    }

    /// Block 0, in Osaka shape. It depends on `gas_limit`, `base_fee` and `alloc` only, so its hash is known before the
    /// L1 contracts exist.
    pub fn genesis_header(&self) -> Header {
        Header {
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            state_root: self.genesis_state_root(),
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            gas_limit: self.gas_limit,
            base_fee_per_gas: Some(self.base_fee),
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        }
    }

    /// Hash of block 0: the parent of the first batch on L1.
    pub fn genesis_hash(&self) -> B256 {
        self.genesis_header().hash_slow()
    }

    /// The state of the sealing rule at block 0.
    pub fn genesis_sealing(&self) -> Sealing {
        let header = self.genesis_header();
        let OriginConfig { number, hash } = self.genesis_origin;
        Sealing::genesis(header.hash_slow(), header.state_root, self.sigma0, number, hash)
    }

    /// When epochs begin.
    pub fn epoch_clock(&self) -> EpochClock {
        EpochClock { genesis: self.epoch_genesis, epoch_seconds: self.epoch_seconds }
    }

    /// What votes are bound to.
    pub fn vote_domain(&self) -> VoteDomain {
        VoteDomain::new(self.l2_chain_id, self.contracts.batch_chain)
    }

    /// When ranges are full.
    pub fn sealing_params(&self) -> SealingParams {
        SealingParams {
            batch_blocks: self.batch_blocks,
            batch_seconds: self.batch_seconds,
            batch_bytes: MAX_RANGE_BYTES,
            slots_per_window: self.slots_per_window,
            data_bytes_per_second: self.data_bytes_per_second,
        }
    }

    fn genesis_state_root(&self) -> B256 {
        state_root_unsorted(self.alloc.iter().map(|(address, account)| (keccak256(address), account.trie_account())))
    }
}

/// The accounts of every chain's block 0: the system contracts of EIP-4788, 2935, 7002 and 7251, and the
/// `MessagePasser` predeploy with the given runtime bytecode. Nobody is prefunded.
pub fn default_alloc(message_passer_runtime_code: Bytes) -> BTreeMap<Address, AllocAccount> {
    [
        (eip4788::BEACON_ROOTS_ADDRESS, eip4788::BEACON_ROOTS_CODE.clone()),
        (eip2935::HISTORY_STORAGE_ADDRESS, eip2935::HISTORY_STORAGE_CODE.clone()),
        (eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone()),
        (eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone()),
        (MESSAGE_PASSER, message_passer_runtime_code),
    ]
    .into_iter()
    .map(|(address, code)| (address, AllocAccount::contract(code)))
    .collect()
}
