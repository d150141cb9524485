//! The rules on random L1 histories, without execution: whatever a proposer derives, every node accepts as soon as it
//! knows enough of L1, whatever else it knows; any other content is refused.

use std::collections::BTreeMap;

use alloy::eips::BlockNumberOrTag;
use alloy_consensus::{BlockBody, Header, SignableTransaction, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B64, Bytes, Log, Signature, keccak256};
use alloy_sol_types::SolEvent;
use parking_lot::Mutex;
use proptest::prelude::*;
use rota_protocol::{
    batch::{MAX_BLOCK_HEADER, MAX_RANGE_BYTES, RANGE_HEADER, transaction_len},
    certificate::CommitCertificate,
    config::{ContractsConfig, OriginConfig},
    header::EMPTY_REQUESTS_HASH,
    member::Member,
};
use tokio::sync::broadcast;

use super::*;
use crate::{
    chain::{Block, ChainEvent, DecidedBlock, Transaction},
    l1::{Follower, FollowerConfig, L1Event, L1Header, L1Log, L1Source, L1State, Totals, abi},
};

const START: u64 = 1_000_000;
const EPOCH: u64 = 20;
const LAG: u64 = 60;

/// An L1 in memory.
#[derive(Default)]
pub(crate) struct FakeL1 {
    headers: Mutex<Vec<L1Header>>,
    logs: Mutex<Vec<L1Log>>,
    deposits: Mutex<u64>,
}

impl FakeL1 {
    pub(crate) fn tip(&self) -> L1Ref {
        self.headers.lock().last().map(|header| header.block).unwrap()
    }

    pub(crate) fn mine(&self, timestamp: u64, deposits: u64, freeze: Option<u32>) {
        let mut headers = self.headers.lock();
        let (number, parent) = headers.last().map_or((0, B256::ZERO), |tip| (tip.block.number + 1, tip.block.hash));
        let hash = keccak256([parent.as_slice(), &number.to_be_bytes(), &timestamp.to_be_bytes()].concat());
        let block = L1Ref { number, hash, timestamp };
        headers.push(L1Header { block, parent });
        let emit = |data| {
            let mut logs = self.logs.lock();
            let index = logs.len() as u64;
            logs.push(L1Log { block, index, transaction: B256::ZERO, log: Log { address: Address::ZERO, data } });
        };
        for _ in 0..deposits {
            let mut next = self.deposits.lock();
            let to = Address::from_word(keccak256(next.to_be_bytes()));
            let event = abi::Deposited { index: *next, from: Address::ZERO, to, amountGwei: *next + 1 };
            emit(event.encode_log_data());
            *next += 1;
        }
        if let Some(epoch) = freeze {
            let members = (1..=1 + epoch % 4).flat_map(|id| {
                Member { signer: Address::with_last_byte(id as u8), id, weight: u64::from(id * 10) }.encode()
            });
            let seed = B256::with_last_byte(epoch as u8);
            emit(abi::EpochFrozen { epoch, seed, members: members.collect::<Bytes>() }.encode_log_data());
        }
    }
}

#[async_trait]
impl L1Source for FakeL1 {
    async fn chain_id(&self) -> Result<u64, L1Error> {
        Ok(1)
    }
    async fn header(&self, at: BlockNumberOrTag) -> Result<Option<L1Header>, L1Error> {
        let headers = self.headers.lock();
        Ok(match at {
            BlockNumberOrTag::Number(number) => headers.get(number as usize).copied(),
            _ => headers.last().copied(),
        })
    }
    async fn header_by_hash(&self, hash: B256) -> Result<Option<L1Header>, L1Error> {
        Ok(self.headers.lock().iter().find(|header| header.block.hash == hash).copied())
    }
    async fn logs(&self, from: u64, to: u64) -> Result<Vec<L1Log>, L1Error> {
        let logs = self.logs.lock();
        Ok(logs.iter().filter(|log| (from..=to).contains(&log.block.number)).cloned().collect())
    }
    async fn totals(&self, at: B256) -> Result<Totals, L1Error> {
        let end = self.header_by_hash(at).await?.unwrap().block.number;
        let events: Vec<_> = self.logs(0, end).await?.iter().map(|log| L1Event::decode(log).unwrap()).collect();
        L1State::default().check(&events)
    }
    async fn set_before(&self, epoch: u32, at: B256) -> Result<u32, L1Error> {
        let end = self.header_by_hash(at).await?.unwrap().block.number;
        let frozen = self.logs(0, end).await?.into_iter().filter_map(|log| match L1Event::decode(&log).unwrap() {
            L1Event::Frozen(set) => Some(set.epoch()),
            _ => None,
        });
        Ok(frozen.filter(|before| *before < epoch).max().unwrap_or(0))
    }
    fn endpoints(&self) -> usize {
        1
    }

    fn turn(&self) -> usize {
        0
    }
    fn name(&self, _: usize) -> &str {
        "memory"
    }
    fn leave(&self, _: usize) -> bool {
        false
    }
}

/// A chain that stores what it is told, without execution.
pub(crate) struct FakeChain {
    blocks: Mutex<Vec<(SealedBlock, Arc<HeadContext>)>>,
    events: broadcast::Sender<ChainEvent>,
}

impl FakeChain {
    pub(crate) fn new(config: &ChainConfig) -> Self {
        let genesis = SealedBlock::new(Block { header: config.genesis_header(), body: BlockBody::default() });
        let context = HeadContext {
            origin: L1Ref::default(),
            deposits_end: 0,
            sigma: config.sigma0,
            first_height: 1,
            sealing: config.genesis_sealing(),
        };
        Self { blocks: Mutex::new(vec![(genesis, Arc::new(context))]), events: broadcast::channel(1).0 }
    }

    /// Appends a block that the rules let through.
    pub(crate) fn push(&self, block: SealedBlock, context: HeadContext) {
        self.blocks.lock().push((block, Arc::new(context)));
    }

    fn head(&self) -> (SealedBlock, Arc<HeadContext>) {
        self.blocks.lock().last().unwrap().clone()
    }
}

impl DecidedChain for FakeChain {
    fn head_number(&self) -> u64 {
        self.head().0.number()
    }
    fn head_header(&self) -> Arc<Header> {
        Arc::new(self.head().0.header().clone())
    }
    fn head_hash(&self) -> B256 {
        self.head().0.hash
    }
    fn head_context(&self) -> Arc<HeadContext> {
        self.head().1
    }
    fn head_balance(&self, _: Address) -> Result<U256, EngineError> {
        Ok(U256::from(self.head_number()))
    }
    fn decided(&self, number: u64) -> Result<Option<Arc<DecidedBlock>>, EngineError> {
        let blocks = self.blocks.lock();
        let found = blocks.get(number as usize).filter(|_| number > 0);
        Ok(found.map(|(block, context)| {
            let certificate = CommitCertificate {
                fork: 0,
                epoch: context.sigma,
                height: number,
                round: 0,
                block_hash: block.hash,
                signers: U256::ZERO,
                signatures: vec![],
            };
            Arc::new(DecidedBlock { block: block.clone(), certificate, context: (**context).clone() })
        }))
    }
    fn lowest_decided(&self) -> u64 {
        1
    }
    fn subscribe(&self) -> broadcast::Receiver<ChainEvent> {
        self.events.subscribe()
    }
}

/// A node: the shared chain, and its own knowledge of L1.
pub(crate) struct Node {
    pub(crate) rules: Rules,
    follower: Follower,
    _dir: tempfile::TempDir,
}

impl Node {
    pub(crate) fn new(config: &ChainConfig, chain: &Arc<FakeChain>, l1: &Arc<FakeL1>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let view = L1View::open(dir.path(), config, Arc::clone(l1) as _).unwrap();
        let follower = Follower::new(view.clone(), FollowerConfig::new(config, Duration::from_millis(1), 5));
        Self { rules: Rules::new(config.clone(), Arc::clone(chain) as _, view), follower, _dir: dir }
    }

    pub(crate) async fn follow(&mut self) {
        while self.follower.step().await.unwrap() {}
    }

    async fn check(&self, block: &SealedBlock) -> Check {
        let parent = self.rules.parent(block.number()).unwrap();
        match self.rules.judge(block, &parent, Duration::ZERO).await.unwrap() {
            Ok(_) => Check::Valid,
            Err(Objection::Invalid(reason)) => Check::Invalid(reason),
            Err(Objection::MissingL1Data) => Check::MissingL1Data,
        }
    }
}

pub(crate) fn config(l1: &FakeL1) -> ChainConfig {
    // Epoch 2 is frozen in epoch 1; the genesis origin is the first block of epoch 2.
    l1.mine(START, 0, None);
    l1.mine(START + EPOCH + 10, 3, Some(2));
    l1.mine(START + 2 * EPOCH, 1, None);
    let origin = l1.tip();
    ChainConfig {
        l1_chain_id: 1,
        l2_chain_id: 2,
        profile: "test".into(),
        deployed_at_block: 0,
        genesis_origin: OriginConfig { number: origin.number, hash: origin.hash },
        sigma0: 2,
        gas_limit: 30_000_000,
        base_fee: 7,
        epoch_genesis: START,
        epoch_seconds: EPOCH,
        slots_per_window: 16,
        block_time_ms: 250,
        batch_blocks: 4,
        batch_seconds: 30,
        data_bytes_per_second: 240_000,
        l1_confirmations: 1,
        max_origin_lag: LAG,
        contracts: ContractsConfig::default(),
        alloc: BTreeMap::new(),
    }
}

pub(crate) fn assemble(attributes: &BlockAttributes) -> Block {
    Block {
        header: Header {
            number: attributes.number,
            parent_hash: attributes.parent_hash,
            timestamp: attributes.timestamp,
            beneficiary: attributes.beneficiary,
            mix_hash: attributes.prev_randao,
            parent_beacon_block_root: Some(attributes.l1_origin_hash),
            extra_data: attributes.extra_data.clone(),
            gas_limit: attributes.gas_limit,
            base_fee_per_gas: Some(7),
            withdrawals_root: Some(B256::ZERO),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            nonce: B64::ZERO,
            ..Header::default()
        },
        body: BlockBody {
            transactions: vec![],
            ommers: vec![],
            withdrawals: Some(attributes.withdrawals.clone().into()),
        },
    }
}

/// Every way to break one rule of `block`; none is a no-op.
fn breaches(block: &Block, parent: &Header, origin: L1Ref) -> Vec<(&'static str, Block)> {
    let mut all = Vec::new();
    let mut breach = |name, change: &dyn Fn(&mut Block)| {
        let mut changed = block.clone();
        change(&mut changed);
        all.push((name, changed));
    };
    breach("parent", &|b| b.header.parent_hash.0[0] ^= 1);
    breach("gas limit", &|b| b.header.gas_limit += 1);
    breach("no origin", &|b| b.header.parent_beacon_block_root = None);
    breach("late", &|b| b.header.timestamp = origin.timestamp + LAG + 1);
    breach("before its origin", &|b| b.header.timestamp = origin.timestamp - 1);
    breach("randomness", &|b| b.header.mix_hash.0[0] ^= 1);
    breach("stranger", &|b| b.header.beneficiary = coinbase(77));
    breach("no operator", &|b| b.header.beneficiary = Address::ZERO);
    breach("no withdrawals", &|b| b.body.withdrawals = None);
    breach("one deposit too many", &|b| {
        let index = b.body.withdrawals.iter().flat_map(|w| w.iter()).next_back().map_or(0, |w| w.index + 1);
        b.body.withdrawals.get_or_insert_default().0.push(Withdrawal { index, ..Withdrawal::default() });
    });
    if block.body.withdrawals.as_ref().is_some_and(|w| !w.is_empty()) {
        breach("one deposit too few", &|b| {
            b.body.withdrawals.get_or_insert_default().0.pop();
        });
        breach("amount", &|b| b.body.withdrawals.get_or_insert_default().0[0].amount += 1);
        breach("receiver", &|b| b.body.withdrawals.get_or_insert_default().0[0].address = Address::ZERO);
        breach("validator", &|b| b.body.withdrawals.get_or_insert_default().0[0].validator_index = 1);
    }
    if parent.timestamp > 0 {
        breach("time goes back", &|b| b.header.timestamp = parent.timestamp - 1);
    }
    match block.header.extra_data.is_empty() {
        true => breach("seal that is not due", &|b| b.header.extra_data = B256::ZERO.into()),
        false => {
            breach("no seal", &|b| b.header.extra_data = Bytes::new());
            breach("other seal", &|b| b.header.extra_data = B256::ZERO.into());
        }
    }
    all
}

/// What happens between two L2 blocks.
#[derive(Clone, Debug)]
struct Step {
    /// L1 blocks: seconds after the one before, deposits.
    l1: Vec<(u64, u64)>,
    /// Whether somebody freezes the next epoch when it can be frozen.
    freeze: bool,
    /// Seconds by which the proposer's clock is behind the L1 head.
    behind: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let deposits = prop_oneof![4 => 0u64..3, 1 => 60u64..140];
    let l1 = prop::collection::vec((1u64..14, deposits), 0..3);
    let step = (l1, prop::bool::weighted(0.8), 0u64..4).prop_map(|(l1, freeze, behind)| Step { l1, freeze, behind });
    prop::collection::vec(step, 1..24)
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let l1 = Arc::new(FakeL1::default());
    let config = config(&l1);
    let chain = Arc::new(FakeChain::new(&config));
    l1.mine(START + 2 * EPOCH + 1, 0, None);
    let mut proposer = Node::new(&config, &chain, &l1);
    let mut late = Node::new(&config, &chain, &l1);
    let (mut frozen, mut credited) = (BTreeMap::from([(2, ())]), 0);
    late.follow().await;

    for step in steps {
        for (seconds, deposits) in step.l1 {
            let timestamp = l1.tip().timestamp + seconds;
            let next = config.epoch_clock().epoch_at(timestamp) + 1;
            let second_half = timestamp + EPOCH / 2 >= config.epoch_clock().start_of(next);
            let freeze = (step.freeze && second_half && frozen.insert(next, ()).is_none()).then_some(next);
            l1.mine(timestamp, deposits, freeze);
        }
        proposer.follow().await;
        let (parent, context) = chain.head();
        let height = parent.number() + 1;
        let rules = proposer.rules.params(height).await.unwrap();

        // σ: the last frozen epoch at or before that of the parent's origin, from the whole history of L1.
        let epoch = config.epoch_clock().epoch_at(context.origin.timestamp);
        let expected = if height == 1 { 2 } else { *frozen.range(..=epoch).next_back().unwrap().0 };
        prop_assert_eq!(rules.sigma, expected);
        let first = if rules.sigma == context.sigma { context.first_height } else { height };
        prop_assert_eq!(rules.first_height, first);
        prop_assert_eq!(rules.set.epoch(), rules.sigma);
        prop_assert_eq!(proposer.rules.next_serving(), Some((rules.sigma, first)));

        let now = l1.tip().timestamp.saturating_sub(step.behind);
        let id = rules.proposer(height, 0).id;
        let attributes = match proposer.rules.attributes(height, id, now).await {
            Ok(attributes) => attributes,
            Err(RulesError::Waiting(_)) => {
                let confirmed = proposer.rules.l1.progress().confirmed;
                let usable = confirmed.number >= context.origin.number.max(config.genesis_origin.number)
                    && confirmed.timestamp <= now.max(parent.header().timestamp)
                    && confirmed.timestamp + LAG >= now.max(parent.header().timestamp);
                prop_assert!(!usable, "the confirmed block {:?} was usable at {}", confirmed, now);
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let block = SealedBlock::new(assemble(&attributes));
        prop_assert_eq!(proposer.check(&block).await, Check::Valid);

        // Less knowledge of L1 never judges against it; more knowledge changes nothing.
        let verdict = late.check(&block).await;
        prop_assert!(matches!(verdict, Check::Valid | Check::MissingL1Data), "{:?}", verdict);
        l1.mine(l1.tip().timestamp + 1, 2, None);
        proposer.follow().await;
        prop_assert_eq!(proposer.check(&block).await, Check::Valid);
        late.follow().await;
        prop_assert_eq!(late.check(&block).await, Check::Valid);

        let origin = late.rules.l1.origin(attributes.l1_origin_hash, 0, Duration::ZERO).await.unwrap().unwrap();
        for (name, broken) in breaches(&block.block, parent.header(), origin) {
            let verdict = late.check(&SealedBlock::new(broken)).await;
            prop_assert!(matches!(verdict, Check::Invalid(_)), "{}: {:?}", name, verdict);
        }

        // The next block cannot go back to an older origin.
        let next = late.rules.advance(&block).await.unwrap();
        prop_assert_eq!(next.origin, origin);
        prop_assert_eq!(next.deposits_end, credited + attributes.withdrawals.len() as u64);
        for (offset, withdrawal) in attributes.withdrawals.iter().enumerate() {
            prop_assert_eq!(withdrawal.index, credited + offset as u64);
            prop_assert_eq!(withdrawal.amount, withdrawal.index + 1);
        }
        credited = next.deposits_end;
        chain.push(block, next);
        let older = l1.headers.lock()[origin.number as usize - 1].block;
        let attributes = late.rules.attributes(height + 1, id, now).await;
        if let Ok(mut attributes) = attributes {
            attributes.l1_origin_hash = older.hash;
            let verdict = late.check(&SealedBlock::new(assemble(&attributes))).await;
            prop_assert!(matches!(verdict, Check::Invalid(_)), "older origin: {:?}", verdict);
        }
    }
    Ok(())
}

proptest! {
    // Each case writes two databases: a twenty-fifth of what PROPTEST_CASES asks for.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 25, ..ProptestConfig::default() })]

    #[test]
    fn what_is_derived_is_valid_everywhere_and_nothing_else_is(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(steps))?;
    }
}

#[tokio::test]
async fn timeliness_binds_live_proposals_only() {
    let l1 = Arc::new(FakeL1::default());
    let mut config = config(&l1);
    let chain = Arc::new(FakeChain::new(&config));
    let now = unix_now();
    // The lag rule must not interfere: an L1 block made just now.
    l1.mine(now - 1, 0, None);
    l1.mine(now, 0, None);
    config.max_origin_lag = 3_600;
    let mut node = Node::new(&config, &chain, &l1);
    node.follow().await;
    let mut attributes = node.rules.attributes(1, 1, now).await.unwrap();
    assert_eq!(attributes.timestamp, now);
    let punctual = SealedBlock::new(assemble(&attributes));
    assert_eq!(node.rules.check(&punctual, true, Duration::ZERO).await.unwrap(), Check::Valid);
    attributes.timestamp = now + 600;
    let ahead = SealedBlock::new(assemble(&attributes));
    assert_eq!(node.rules.check(&ahead, true, Duration::ZERO).await.unwrap(), Check::Untimely);
    assert_eq!(node.rules.check(&ahead, false, Duration::ZERO).await.unwrap(), Check::Valid);
}

/// A transaction of `len` bytes; nobody executes it here.
fn transaction(len: usize) -> Transaction {
    let with = |input: usize| {
        let transaction = TxLegacy { input: vec![7; input].into(), ..TxLegacy::default() };
        Transaction::Legacy(transaction.into_signed(Signature::test_signature()))
    };
    let overhead = with(len).encode_2718_len() - len;
    let transaction = with(len - overhead);
    assert_eq!(transaction.encode_2718_len(), len);
    transaction
}

#[tokio::test]
async fn a_block_over_the_byte_budget_is_refused() {
    let l1 = Arc::new(FakeL1::default());
    let mut config = config(&l1);
    config.data_bytes_per_second = 20_000;
    let chain = Arc::new(FakeChain::new(&config));
    l1.mine(START + 2 * EPOCH + 1, 0, None);
    let mut node = Node::new(&config, &chain, &l1);
    node.follow().await;
    let now = START + 2 * EPOCH;
    let with = |attributes: &BlockAttributes, len: usize| {
        let mut block = assemble(attributes);
        block.body.transactions.push(transaction(len));
        SealedBlock::new(block)
    };

    // Nearly a whole range at once: then the next block of the same second finds the budget used up.
    let attributes = node.rules.attributes(1, 1, now).await.unwrap();
    assert_eq!(attributes.max_encoded_len, MAX_RANGE_BYTES - RANGE_HEADER);
    let block = with(&attributes, 119_000);
    assert_eq!(node.check(&block).await, Check::Valid);
    let context = node.rules.advance(&block).await.unwrap();
    chain.push(block, context);
    let attributes = node.rules.attributes(2, 1, now).await.unwrap();
    let left = MAX_RANGE_BYTES - transaction_len(119_000);
    assert_eq!(attributes.max_encoded_len, left + MAX_BLOCK_HEADER);
    let over = format!("the transactions take {} bytes, the byte budget allows {left} at this timestamp", left + 1);
    assert_eq!(node.check(&with(&attributes, left - 1)).await, Check::Invalid(over));
    assert_eq!(node.check(&with(&attributes, left - 2)).await, Check::Valid);
    assert_eq!(node.check(&SealedBlock::new(assemble(&attributes))).await, Check::Valid);

    // A second later its bytes are there too.
    let attributes = node.rules.attributes(2, 1, now + 1).await.unwrap();
    let left = left + 20_000;
    assert_eq!(attributes.max_encoded_len, left + MAX_BLOCK_HEADER);
    assert!(matches!(node.check(&with(&attributes, left - 2)).await, Check::Invalid(_)));
    assert_eq!(node.check(&with(&attributes, left - 3)).await, Check::Valid);
}

#[tokio::test]
async fn only_the_next_height_is_answered_for() {
    let l1 = Arc::new(FakeL1::default());
    let config = config(&l1);
    let chain = Arc::new(FakeChain::new(&config));
    let node = Node::new(&config, &chain, &l1);
    assert!(matches!(node.rules.params(2).await, Err(RulesError::NotNext { height: 2, head: 0 })));
    // Nothing of L1 is known yet.
    assert!(matches!(node.rules.params(1).await, Err(RulesError::Waiting(_))));
    assert!(matches!(node.rules.attributes(1, 1, START + 41).await, Err(RulesError::Waiting(_))));
}

#[tokio::test]
async fn a_standing_l1_ends_the_chain_at_the_lag() {
    let l1 = Arc::new(FakeL1::default());
    let config = config(&l1);
    let chain = Arc::new(FakeChain::new(&config));
    l1.mine(START + 2 * EPOCH + 1, 0, None);
    let mut node = Node::new(&config, &chain, &l1);
    node.follow().await;
    let origin = START + 2 * EPOCH;
    for (height, now) in [(1, origin), (2, origin + LAG)] {
        let attributes = node.rules.attributes(height, 1, now).await.unwrap();
        let block = SealedBlock::new(assemble(&attributes));
        let context = node.rules.advance(&block).await.unwrap();
        chain.push(block, context);
    }
    let waiting = node.rules.attributes(3, 1, origin + LAG + 1).await;
    assert!(matches!(waiting, Err(RulesError::Waiting(_))), "{waiting:?}");
}

#[tokio::test]
async fn an_origin_that_was_not_adopted_is_not_proposed_again() {
    let l1 = Arc::new(FakeL1::default());
    let config = config(&l1);
    let chain = Arc::new(FakeChain::new(&config));
    let start = l1.tip().timestamp;
    let mut node = Node::new(&config, &chain, &l1);
    l1.mine(start + 1, 0, None);
    node.follow().await;
    let attributes = node.rules.attributes(1, 1, start + 2).await.unwrap();
    let block = SealedBlock::new(assemble(&attributes));
    let context = node.rules.advance(&block).await.unwrap();
    let first = context.origin;
    chain.push(block, context);

    // One more L1 block, which the other nodes do not see.
    l1.mine(start + 2, 0, None);
    node.follow().await;
    let newer = node.rules.attributes(2, 1, start + 3).await.unwrap();
    assert_ne!(newer.l1_origin_hash, first.hash);
    // The round failed; this node leads again, then again at the next height.
    let careful = node.rules.attributes(2, 1, start + 4).await.unwrap();
    assert_eq!(careful.l1_origin_hash, first.hash);
    let block = SealedBlock::new(assemble(&careful));
    let context = node.rules.advance(&block).await.unwrap();
    chain.push(block, context);
    assert_eq!(node.rules.attributes(3, 1, start + 5).await.unwrap().l1_origin_hash, first.hash);

    // L1 goes on: one attempt with what is new.
    l1.mine(start + 5, 0, None);
    node.follow().await;
    let newest = node.rules.attributes(3, 1, start + 6).await.unwrap();
    assert!(![first.hash, newer.l1_origin_hash].contains(&newest.l1_origin_hash));
    // The old origin is proposed no more, unless it gets too old: then only the new one will do.
    assert_eq!(node.rules.attributes(3, 1, start + 7).await.unwrap().l1_origin_hash, first.hash);
    let late = node.rules.attributes(3, 1, first.timestamp + LAG + 1).await.unwrap();
    assert_eq!(late.l1_origin_hash, newest.l1_origin_hash);
}
