//! The types that travel between the node's tasks, and the traits they meet at.

use std::{sync::Arc, time::Instant};

use alloy_consensus::{EthereumTxEnvelope, Header, TxEip4844};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use rota_protocol::{certificate::CommitCertificate, sealing::Sealing};
use tokio::sync::broadcast;

/// An L2 transaction (no blob sidecars: blob transactions are refused on L2).
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// An L2 block: an ordinary Ethereum block.
pub type Block = alloy_consensus::Block<Transaction>;

/// A block with its hash, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBlock {
    /// keccak256 of the RLP header; the value that sequencers sign.
    pub hash: B256,
    /// Header, transactions, withdrawals.
    pub block: Arc<Block>,
}

impl SealedBlock {
    /// Hashes the header of `block`.
    pub fn new(block: Block) -> Self {
        Self { hash: block.header.hash_slow(), block: Arc::new(block) }
    }

    /// The block's header.
    pub fn header(&self) -> &Header {
        &self.block.header
    }

    /// The block's height.
    pub fn number(&self) -> u64 {
        self.block.header.number
    }
}

/// A block of L1 as far as L2 cares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct L1Ref {
    /// Height on L1.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A deposit made in the Portal on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Deposit {
    /// Position in the Portal's sequence, from 0.
    pub index: u64,
    /// L2 account that is credited.
    pub to: Address,
    /// Whole gwei.
    pub amount_gwei: u64,
    /// L1 block that included it.
    pub l1_block: u64,
}

/// Everything a block holds besides its transactions and what their execution yields (protocol section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockAttributes {
    /// Height.
    pub number: u64,
    /// Hash of the decided parent.
    pub parent_hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
    /// `coinbase(id)` of the proposer.
    pub beneficiary: Address,
    /// `keccak256(seed[σ] ‖ number)`.
    pub prev_randao: B256,
    /// Hash of the L1 origin, goes to `parent_beacon_block_root`.
    pub l1_origin_hash: B256,
    /// Deposits credited by this block, as EIP-4895 withdrawals.
    pub withdrawals: Vec<Withdrawal>,
    /// Empty, or the hash of the batch header this block seals.
    pub extra_data: Bytes,
    /// Fixed per chain.
    pub gas_limit: u64,
    /// Upper bound for the canonical encoding of this block inside a batch, bytes (protocol section 7).
    pub max_encoded_len: usize,
}

/// What the rules of the next block depend on, as of a decided block; stored with that block in the block log.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct HeadContext {
    /// L1 origin of this block.
    pub origin: L1Ref,
    /// Index of the next deposit to credit.
    pub deposits_end: u64,
    /// σ: epoch whose frozen set served this block.
    pub sigma: u32,
    /// First height served by σ.
    pub first_height: u64,
    /// Open range and tally after this block.
    pub sealing: Sealing,
}

/// A decided block with the proof of its decision.
#[derive(Clone, Debug)]
pub struct DecidedBlock {
    /// The block.
    pub block: SealedBlock,
    /// More than 2/3 of the frozen weight signed it.
    pub certificate: CommitCertificate,
    /// Rules' state after it.
    pub context: HeadContext,
}

/// Verdict on a proposed block; deterministic given the parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validity {
    /// May be voted for.
    Valid,
    /// Breaks a rule, named for the log.
    Invalid(String),
}

/// Builds, checks and commits blocks on top of the decided head.
#[async_trait::async_trait]
pub trait ExecutionEngine: Send + Sync + 'static {
    /// Fills a block from the mempool on top of the head; returns what fits by `deadline`.
    async fn build(&self, attributes: BlockAttributes, deadline: Instant) -> Result<SealedBlock, EngineError>;

    /// Executes `block` on top of the head and compares every header field that execution yields.
    /// The result is kept by hash for [`Self::commit`].
    async fn validate(&self, block: SealedBlock) -> Result<Validity, EngineError>;

    /// Makes a decided block durable, then visible: log and fsync, state and receipts, head number last.
    /// Committing the present head again is a no-op.
    async fn commit(&self, decided: DecidedBlock) -> Result<(), EngineError>;
}

/// Why the execution engine could not answer; none of these is a statement about a block's validity.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The block does not extend the head (yet).
    #[error("block {number} builds on {parent}, but the head is block {head_number} {head}")]
    NotOnHead {
        /// Height of the block.
        number: u64,
        /// Its parent hash.
        parent: B256,
        /// Height of the head.
        head_number: u64,
        /// Hash of the head.
        head: B256,
    },
    /// Disk or database failure: the node must stop.
    #[error("storage: {0}")]
    Storage(String),
    /// A defect in the node: it must stop.
    #[error("internal: {0}")]
    Internal(String),
}

/// What subscribers of the chain hear, in order, after it is durable and visible.
#[derive(Clone, Debug)]
pub enum ChainEvent {
    /// A block was decided.
    Committed(Arc<DecidedBlock>),
}

/// Read access to decided blocks that other tasks need; the RPC uses the richer concrete type in [`crate::store`].
pub trait DecidedChain: Send + Sync + 'static {
    /// Height of the head (0 = genesis).
    fn head_number(&self) -> u64;
    /// Header of the head.
    fn head_header(&self) -> Arc<Header>;
    /// Hash of the head.
    fn head_hash(&self) -> B256;
    /// Rules' state at the head.
    fn head_context(&self) -> Arc<HeadContext>;
    /// Balance at the head's state, wei.
    fn head_balance(&self, account: Address) -> Result<U256, EngineError>;
    /// A decided block; `None` above the head, at genesis, or when pruned.
    fn decided(&self, number: u64) -> Result<Option<Arc<DecidedBlock>>, EngineError>;
    /// Lowest height kept with body and certificate.
    fn lowest_decided(&self) -> u64;
    /// Follows new decisions.
    fn subscribe(&self) -> broadcast::Receiver<ChainEvent>;
}
