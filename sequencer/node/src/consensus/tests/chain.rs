//! A chain without transactions that is all there is behind consensus in these tests: it outlives the nodes that run on
//! it, as a disk would.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_consensus::{BlockBody, EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use async_trait::async_trait;
use parking_lot::{Condvar, Mutex};
use rota_protocol::{header, sealing::Sealing};
use tokio::sync::broadcast;

use crate::{
    chain::{
        Block, BlockAttributes, ChainEvent, DecidedBlock, DecidedChain, EngineError, ExecutionEngine, HeadContext,
        L1Ref, SealedBlock, Validity,
    },
    consensus::rules::{Check, Derivation, HeightRules, RulesError},
};

/// Commits of all chains of this process, for whoever waits for one.
pub(crate) static COMMITS: Mutex<u64> = Mutex::new(0);
/// Notified after each of them.
pub(crate) static COMMITTED: Condvar = Condvar::new();

pub(crate) struct TestChain {
    rules: HeightRules,
    genesis: Arc<Header>,
    context: Arc<HeadContext>,
    blocks: Mutex<Vec<(Arc<DecidedBlock>, Instant)>>,
    events: broadcast::Sender<ChainEvent>,
    /// L1 is silent: no origin can be checked, nothing can be proposed.
    pub(crate) l1_silent: AtomicBool,
    /// Seconds by which the next block is later than now: makes two builds differ.
    pub(crate) late: AtomicU64,
    /// Blocks that the rules were asked about.
    pub(crate) checks: AtomicU32,
    /// Milliseconds that the rules were allowed to wait for a silent L1.
    pub(crate) waited: AtomicU64,
    /// Commits that fail before one succeeds.
    pub(crate) failing_commits: AtomicU32,
}

impl TestChain {
    pub(crate) fn new(rules: HeightRules) -> Arc<Self> {
        let genesis = Header { gas_limit: 30_000_000, base_fee_per_gas: Some(7), ..Header::default() };
        let sealing = Sealing::genesis(genesis.hash_slow(), genesis.state_root, rules.sigma, 0, B256::ZERO);
        let origin = L1Ref::default();
        let context = HeadContext { origin, deposits_end: 0, sigma: rules.sigma, first_height: 1, sealing };
        Arc::new(Self {
            rules,
            genesis: Arc::new(genesis),
            context: Arc::new(context),
            blocks: Mutex::default(),
            events: broadcast::channel(1_024).0,
            l1_silent: AtomicBool::new(false),
            late: AtomicU64::new(0),
            checks: AtomicU32::new(0),
            waited: AtomicU64::new(0),
            failing_commits: AtomicU32::new(0),
        })
    }

    pub(crate) fn block(&self, number: u64) -> Option<(Arc<DecidedBlock>, Instant)> {
        self.blocks.lock().get(number.checked_sub(1)? as usize).cloned()
    }

    fn head_block(&self) -> Option<Arc<DecidedBlock>> {
        self.blocks.lock().last().map(|(block, _)| Arc::clone(block))
    }

    /// "Execution": the state is a hash chain over heights and proposers.
    fn state_after(parent: &Header, number: u64, beneficiary: Address) -> B256 {
        keccak256([parent.state_root.as_slice(), &number.to_be_bytes(), beneficiary.as_slice()].concat())
    }

    pub(crate) fn assemble(&self, attributes: BlockAttributes) -> SealedBlock {
        let parent = self.head_header();
        let header = Header {
            parent_hash: attributes.parent_hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: attributes.beneficiary,
            state_root: Self::state_after(&parent, attributes.number, attributes.beneficiary),
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            number: attributes.number,
            gas_limit: attributes.gas_limit,
            timestamp: attributes.timestamp,
            extra_data: attributes.extra_data,
            mix_hash: attributes.prev_randao,
            base_fee_per_gas: Some(7),
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            requests_hash: Some(header::EMPTY_REQUESTS_HASH),
            parent_beacon_block_root: Some(attributes.l1_origin_hash),
            ..Header::default()
        };
        let body = BlockBody { withdrawals: Some(Vec::new().into()), ..BlockBody::default() };
        SealedBlock::new(Block { header, body })
    }

    pub(crate) fn attributes_for(&self, proposer: u32, now: u64) -> BlockAttributes {
        let head = self.head_header();
        BlockAttributes {
            number: head.number + 1,
            parent_hash: self.head_hash(),
            timestamp: now.max(head.timestamp) + self.late.load(Ordering::SeqCst),
            beneficiary: header::coinbase(proposer),
            prev_randao: header::prev_randao(self.rules.set.seed(), head.number + 1),
            l1_origin_hash: B256::repeat_byte(1),
            withdrawals: Vec::new(),
            extra_data: Bytes::new(),
            gas_limit: 30_000_000,
            max_encoded_len: 100_000,
        }
    }
}

impl DecidedChain for TestChain {
    fn head_number(&self) -> u64 {
        self.blocks.lock().len() as u64
    }

    fn head_header(&self) -> Arc<Header> {
        self.head_block().map_or_else(|| Arc::clone(&self.genesis), |head| Arc::new(head.block.header().clone()))
    }

    fn head_hash(&self) -> B256 {
        self.head_block().map_or_else(|| self.genesis.hash_slow(), |head| head.block.hash)
    }

    fn head_context(&self) -> Arc<HeadContext> {
        Arc::clone(&self.context)
    }

    fn head_balance(&self, _: Address) -> Result<U256, EngineError> {
        Ok(U256::ZERO)
    }

    fn decided(&self, number: u64) -> Result<Option<Arc<DecidedBlock>>, EngineError> {
        Ok(self.block(number).map(|(block, _)| block))
    }

    fn lowest_decided(&self) -> u64 {
        1
    }

    fn subscribe(&self) -> broadcast::Receiver<ChainEvent> {
        self.events.subscribe()
    }
}

#[async_trait]
impl ExecutionEngine for TestChain {
    async fn build(&self, attributes: BlockAttributes, _: Instant) -> Result<SealedBlock, EngineError> {
        Ok(self.assemble(attributes))
    }

    async fn validate(&self, block: SealedBlock) -> Result<Validity, EngineError> {
        let header = block.header();
        let state = Self::state_after(&self.head_header(), header.number, header.beneficiary);
        Ok(if header.state_root == state { Validity::Valid } else { Validity::Invalid("state root".into()) })
    }

    async fn commit(&self, decided: DecidedBlock) -> Result<(), EngineError> {
        let failing = self.failing_commits.load(Ordering::SeqCst);
        if failing > 0 {
            self.failing_commits.store(failing - 1, Ordering::SeqCst);
            return Err(EngineError::Storage("disk is tired".into()));
        }
        let (number, head) = (decided.block.number(), self.head_number());
        assert_eq!(number, head + 1, "committed out of order");
        assert_eq!(decided.block.header().parent_hash, self.head_hash());
        decided.certificate.verify(&self.rules.set, &super::domain()).unwrap();
        let decided = Arc::new(decided);
        self.blocks.lock().push((Arc::clone(&decided), Instant::now()));
        let _ = self.events.send(ChainEvent::Committed(decided));
        *COMMITS.lock() += 1;
        COMMITTED.notify_all();
        Ok(())
    }
}

#[async_trait]
impl Derivation for TestChain {
    async fn params(&self, height: u64) -> Result<HeightRules, RulesError> {
        let head = self.head_number();
        if height == head + 1 { Ok(self.rules.clone()) } else { Err(RulesError::NotNext { height, head }) }
    }

    async fn attributes(&self, _: u64, proposer: u32, now: u64) -> Result<BlockAttributes, RulesError> {
        if self.l1_silent.load(Ordering::SeqCst) {
            return Err(RulesError::Waiting("an origin".into()));
        }
        Ok(self.attributes_for(proposer, now))
    }

    async fn check(&self, block: &SealedBlock, _: bool, patience: Duration) -> Result<Check, RulesError> {
        self.checks.fetch_add(1, Ordering::SeqCst);
        if self.l1_silent.load(Ordering::SeqCst) {
            self.waited.fetch_add(patience.as_millis() as u64, Ordering::SeqCst);
            tokio::time::sleep(patience).await;
            return Ok(Check::MissingL1Data);
        }
        let parent = self.head_header();
        Ok(if block.header().timestamp < parent.timestamp {
            Check::Invalid("timestamp goes back".into())
        } else {
            Check::Valid
        })
    }

    async fn advance(&self, _: &SealedBlock) -> Result<HeadContext, RulesError> {
        Ok((*self.context).clone())
    }
}
