//! Sealing as a validity rule: the state is compared with a model that keeps every block and recounts from scratch.

use std::{collections::BTreeMap, convert::Infallible};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use proptest::prelude::*;
use rota_protocol::{
    batch::{
        BatchHeader, MAX_BLOCK_HEADER, MAX_RANGE_BYTES, RANGE_HEADER, RangeBlock, RangeError, Tally, TallyEntry,
        encode_range, encoded_len, hash_batch, tally_of, transactions_len,
    },
    header::coinbase,
    member::FrozenSet,
    schedule,
    sealing::{AppliedBlock, SealedBatch, Sealing, SealingError, SealingParams},
};

use crate::support::{members, seed, set};

const GENESIS: B256 = B256::repeat_byte(0x67);
const SIGMA0: u32 = 2;
const PARAMS: SealingParams = SealingParams {
    batch_blocks: 5,
    batch_seconds: 20,
    batch_bytes: 4_000,
    slots_per_window: 4,
    data_bytes_per_second: 300,
};

type Balances = BTreeMap<Address, U256>;

/// A decided block with all that the rules derive from.
#[derive(Clone, Debug)]
struct Decided {
    header: Header,
    hash: B256,
    content: RangeBlock,
    deposits_end: u64,
    set: FrozenSet,
    /// Balances after it.
    balances: Balances,
    sealed: Option<SealedBatch>,
}

/// The whole chain, and the state under test at its tip.
struct Chain {
    params: SealingParams,
    sealing: Sealing,
    blocks: Vec<Decided>,
}

/// What a test wants of the next block.
#[derive(Clone, Debug)]
struct Wish {
    elapsed: u64,
    origins: u64,
    deposits: u64,
    sigma_step: u32,
    /// 0: the leader; otherwise that many members further.
    proposer_step: usize,
    /// Length of its transactions.
    transactions: Vec<usize>,
    /// Growth of the proposer's fee account.
    fees: u64,
    /// A gift to the fee account of this operator, member or not.
    gift: (u32, u64),
}

const PLAIN: Wish = Wish {
    elapsed: 1,
    origins: 0,
    deposits: 0,
    sigma_step: 0,
    proposer_step: 0,
    transactions: Vec::new(),
    fees: 0,
    gift: (1, 0),
};

/// Sets differ from epoch to epoch: in size, and operator 1 sits out every third.
fn set_of(sigma: u32) -> FrozenSet {
    let size = 1 + sigma as usize % 4;
    let mut members = members(&vec![10; size + 1]);
    if sigma.is_multiple_of(3) {
        members.remove(0);
    } else {
        members.pop();
    }
    FrozenSet::new(sigma, seed(sigma), members).unwrap()
}

fn at(balances: &Balances) -> impl FnMut(Address) -> Result<U256, Infallible> {
    |address| Ok(balances.get(&address).copied().unwrap_or_default())
}

impl Chain {
    fn new(params: SealingParams) -> Self {
        let sealing = Sealing::genesis(GENESIS, B256::repeat_byte(1), SIGMA0, 100, B256::repeat_byte(2));
        Self { params, sealing, blocks: Vec::new() }
    }

    fn balances(&self) -> Balances {
        self.blocks.last().map(|block| block.balances.clone()).unwrap_or_default()
    }

    fn next_sigma(&self, wish: &Wish) -> u32 {
        self.sealing.sigma() + if self.blocks.is_empty() { 0 } else { wish.sigma_step }
    }

    fn due(&self, sigma: u32) -> Option<SealedBatch> {
        self.sealing.seal_due(&self.params, sigma, at(&self.balances())).unwrap()
    }

    /// The block that the wish asks for, carrying what the rule under test wants it to carry.
    fn propose(&self, wish: &Wish) -> Decided {
        let sigma = self.next_sigma(wish);
        let set = set_of(sigma);
        let number = self.blocks.len() as u64 + 1;
        let leader = schedule::leader_index(
            set.seed(),
            number,
            self.sealing.first_height(sigma),
            0,
            self.params.slots_per_window,
            set.members(),
        );
        let proposer = set.members()[(leader + wish.proposer_step) % set.members().len()].id;
        let (parent_hash, timestamp, origin_number, deposits) = match self.blocks.last() {
            Some(tip) => (tip.hash, tip.content.timestamp, tip.content.origin_number, tip.deposits_end),
            None => (GENESIS, 10_000, 100, 0),
        };
        let content = RangeBlock {
            timestamp: timestamp + wish.elapsed,
            origin_number: origin_number + wish.origins,
            proposer,
            transactions: wish.transactions.iter().map(|len| Bytes::from(vec![7; *len])).collect(),
        };
        let sealed = self.due(sigma);
        let header = Header {
            number,
            parent_hash,
            timestamp: content.timestamp,
            beneficiary: coinbase(proposer),
            state_root: keccak256(number.to_be_bytes()),
            parent_beacon_block_root: Some(keccak256(content.origin_number.to_be_bytes())),
            base_fee_per_gas: Some(7 + number),
            gas_used: 1_000 * number,
            extra_data: sealed.as_ref().map(|batch| batch.hash().into()).unwrap_or_default(),
            ..Header::default()
        };
        let mut balances = self.balances();
        for (id, fees) in [(proposer, wish.fees), wish.gift] {
            *balances.entry(coinbase(id)).or_default() += U256::from(fees);
        }
        let deposits_end = deposits + wish.deposits;
        Decided { hash: header.hash_slow(), header, content, deposits_end, set, balances, sealed }
    }

    fn apply(&self, block: &Decided) -> Result<Sealing, SealingError<Infallible>> {
        let applied = AppliedBlock {
            header: &block.header,
            hash: block.hash,
            range_block: block.content.clone(),
            deposits_end: block.deposits_end,
        };
        self.sealing.apply(&self.params, &applied, &block.set, at(&self.balances()))
    }

    fn push(&mut self, wish: &Wish) -> &Decided {
        let block = self.propose(wish);
        self.sealing = self.apply(&block).unwrap();
        self.blocks.push(block);
        self.blocks.last().unwrap()
    }

    /// The model: the batch that must be sealed on top of all blocks, recounted from block 1.
    fn expected(&self, next_sigma: u32) -> Option<BatchHeader> {
        let tip = self.blocks.last()?;
        let last_seal = self.blocks.iter().rposition(|block| block.sealed.is_some()).unwrap_or(0);
        let range = &self.blocks[last_seal..];
        let sizes: Vec<usize> = range.iter().map(|block| encoded_len(&block.content)).collect();
        let bytes = RANGE_HEADER + sizes.iter().sum::<usize>();
        let next = sizes.last().copied().unwrap();
        let due = range.len() as u64 >= self.params.batch_blocks
            || tip.content.timestamp - range[0].content.timestamp >= self.params.batch_seconds
            || next_sigma != tip.set.epoch()
            || bytes + next > self.params.batch_bytes.min(MAX_RANGE_BYTES);
        if !due {
            return None;
        }
        let previous = self.blocks.iter().rev().find_map(|block| block.sealed.clone());
        let contents: Vec<RangeBlock> = range.iter().map(|block| block.content.clone()).collect();
        Some(BatchHeader {
            index: previous.as_ref().map_or(1, |batch| batch.header.index + 1),
            parent: previous.as_ref().map_or(GENESIS, |batch| hash_batch(&batch.header)),
            attempt: 0,
            fork: 0,
            epoch: next_sigma,
            firstBlock: range[0].header.number,
            lastBlock: tip.header.number,
            lastBlockHash: tip.hash,
            stateRoot: tip.header.state_root,
            dataHash: keccak256(encode_range(range[0].header.number, &contents).unwrap()),
            depositEnd: tip.deposits_end,
            forcedEnd: 0,
            l1OriginNumber: tip.content.origin_number,
            l1OriginHash: tip.header.parent_beacon_block_root.unwrap(),
            tally: if next_sigma == tip.set.epoch() {
                Tally::default()
            } else {
                let (entries, base_fees) = self.expected_entries(tip.set.epoch());
                tally_of(tip.set.epoch(), &entries, base_fees)
            },
        })
    }

    /// The model: no stretch of blocks, up to one at `timestamp`, takes more than a burst and what its time adds.
    fn expected_allowance(&self, timestamp: u64) -> u64 {
        let mut taken = 0;
        let stretches = self.blocks.iter().rev().map(|block| {
            taken += transactions_len(&block.content) as u64;
            let added = self.params.data_bytes_per_second * (timestamp - block.content.timestamp);
            self.params.data_burst() + added - taken
        });
        stretches.min().unwrap_or(u64::MAX).min(self.params.data_burst())
    }

    fn expected_entries(&self, sigma: u32) -> (Vec<TallyEntry>, u128) {
        let start = self.blocks.iter().position(|block| block.set.epoch() == sigma).unwrap();
        let before = start.checked_sub(1).map(|index| self.blocks[index].balances.clone()).unwrap_or_default();
        let after = self.balances();
        let served: Vec<_> = self.blocks[start..].iter().filter(|block| block.set.epoch() == sigma).collect();
        let set = &served[0].set;
        let leader = |block: &Decided| {
            schedule::leader(set, block.header.number, start as u64 + 1, 0, self.params.slots_per_window).id
        };
        let entries = set.members().iter().map(|member| {
            let of = |balances: &Balances| balances.get(&coinbase(member.id)).copied().unwrap_or_default();
            let count = |test: &dyn Fn(&Decided) -> bool| served.iter().filter(|block| test(block)).count() as u32;
            TallyEntry {
                id: member.id,
                slots_assigned: count(&|block| leader(block) == member.id),
                own_produced: count(&|b| leader(b) == member.id && b.content.proposer == member.id),
                fallback_produced: count(&|b| leader(b) != member.id && b.content.proposer == member.id),
                priority_fees: (of(&after) - of(&before)).to(),
            }
        });
        let burned = |header: &Header| u128::from(header.base_fee_per_gas.unwrap()) * u128::from(header.gas_used);
        (entries.collect(), served.iter().map(|block| burned(&block.header)).sum())
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    (
        prop_oneof![8 => 0u64..4, 1 => 4u64..30],
        0u64..3,
        0u64..4,
        prop_oneof![6 => Just(0u32), 1 => 1u32..4],
        prop_oneof![3 => Just(0usize), 1 => 1usize..4],
        prop::collection::vec(1usize..700, 0..5),
        0u64..1000,
        (1u32..7, 0u64..100),
    )
        .prop_map(|(elapsed, origins, deposits, sigma_step, proposer_step, transactions, fees, gift)| Wish {
            elapsed,
            origins,
            deposits,
            sigma_step,
            proposer_step,
            transactions,
            fees,
            gift,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// On every chain, at every height, for every next σ: the same header as the model, before and after a restart.
    #[test]
    fn agrees_with_the_model(wishes in prop::collection::vec(wish(), 1..50)) {
        let mut chain = Chain::new(PARAMS);
        for mut wish in wishes {
            let sigma = chain.next_sigma(&wish);
            // A proposer leaves out what does not fit.
            while {
                let content = chain.propose(&wish).content;
                !chain.sealing.block_fits(&PARAMS, sigma, &content)
            } {
                prop_assert!(wish.transactions.pop().is_some(), "an empty block always fits");
            }
            let restarted: Sealing = alloy_rlp::decode_exact(alloy_rlp::encode(&chain.sealing)).unwrap();
            prop_assert_eq!(&restarted, &chain.sealing);
            chain.sealing = restarted;

            for next in [chain.sealing.sigma(), chain.sealing.sigma() + 1, chain.sealing.sigma() + 7] {
                let due = chain.due(next);
                prop_assert_eq!(due.clone().map(|batch| batch.header), chain.expected(next));
                prop_assert_eq!(due.is_some(), chain.sealing.is_due(&PARAMS, next));
                if let Some(batch) = due {
                    prop_assert_eq!(batch.entries.is_empty(), batch.header.tally == Tally::default());
                    prop_assert_eq!(SealedBatch::from_bytes(&batch.to_bytes()), Some(batch));
                }
            }
            let timestamp = chain.propose(&wish).content.timestamp;
            for later in [0, 1, 3, 60] {
                let expected = chain.expected_allowance(timestamp + later);
                prop_assert_eq!(chain.sealing.allowance(&PARAMS, timestamp + later), expected);
            }
            let number = chain.push(&wish).header.number;
            prop_assert_eq!(chain.sealing.tip_number(), number);
            prop_assert_eq!(chain.sealing.sealed(), chain.blocks.last().unwrap().sealed.as_ref());
        }
    }

    /// Batches tile the chain: no gap, no overlap, one σ each, never longer than the limit; tally epochs increase.
    #[test]
    fn batches_tile_the_chain(wishes in prop::collection::vec(wish(), 1..60)) {
        let mut chain = Chain::new(PARAMS);
        for wish in wishes {
            let wish = Wish { transactions: wish.transactions.into_iter().take(2).collect(), ..wish };
            if chain.apply(&chain.propose(&wish)).is_ok() {
                chain.push(&wish);
            }
        }
        let (mut next, mut parent, mut tally_epoch) = (1, GENESIS, 0);
        for sealing_block in chain.blocks.iter().filter(|block| block.sealed.is_some()) {
            let batch = sealing_block.sealed.as_ref().unwrap();
            let header = &batch.header;
            prop_assert_eq!(header.firstBlock, next);
            prop_assert_eq!(header.parent, parent);
            prop_assert_eq!(header.lastBlock + 1, sealing_block.header.number);
            let range = &chain.blocks[header.firstBlock as usize - 1..header.lastBlock as usize];
            let sigma = range[0].set.epoch();
            prop_assert!(range.iter().all(|block| block.set.epoch() == sigma));
            let contents: Vec<_> = range.iter().map(|block| block.content.clone()).collect();
            let data = encode_range(header.firstBlock, &contents).unwrap();
            prop_assert!(data.len() <= PARAMS.batch_bytes);
            prop_assert_eq!(keccak256(data), header.dataHash);
            // The last range of a σ, and only that, carries its tally.
            prop_assert_eq!(header.tally.epoch, if sealing_block.set.epoch() == sigma { 0 } else { sigma });
            if header.tally.epoch != 0 {
                prop_assert!(header.tally.epoch > tally_epoch);
                tally_epoch = header.tally.epoch;
                let blocks: u64 = batch.entries.iter().map(TallyEntry::produced).sum();
                prop_assert_eq!(header.tally.blocks, blocks);
            }
            (next, parent) = (header.lastBlock + 1, batch.hash());
        }
    }

    /// A block is valid up to the allowance and invalid above it; whatever the numbers, nothing overflows.
    #[test]
    fn the_budget_is_a_sharp_bound(
        rate in prop_oneof![1u64..2_000, Just(u64::MAX)],
        bytes in prop::collection::vec((0usize..2_000, 0u64..4), 1..20),
    ) {
        let params = SealingParams { data_bytes_per_second: rate, batch_bytes: 2_500, ..PARAMS };
        let mut chain = Chain::new(params);
        for (len, elapsed) in bytes {
            let wish = Wish { elapsed, transactions: if len == 0 { vec![] } else { vec![len] }, ..PLAIN };
            let block = chain.propose(&wish);
            let (taken, timestamp) = (transactions_len(&block.content) as u64, block.content.timestamp);
            let allowance = chain.sealing.allowance(&params, timestamp);
            match chain.apply(&block) {
                Ok(next) => {
                    prop_assert!(taken <= allowance);
                    prop_assert_eq!(next.allowance(&params, timestamp), allowance - taken);
                    prop_assert_eq!(next.allowance(&params, u64::MAX), params.data_burst());
                    chain.push(&wish);
                }
                Err(SealingError::OverBudget { bytes, allowance: limit }) => {
                    prop_assert_eq!((bytes, limit), (taken, allowance));
                    prop_assert!(taken > allowance);
                    chain.push(&Wish { transactions: vec![], ..wish });
                }
                Err(SealingError::TooLong { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = alloy_rlp::decode_exact::<Sealing>(&bytes);
        let _ = SealedBatch::from_bytes(&bytes);
    }
}

#[test]
fn nothing_is_due_at_genesis() {
    let chain = Chain::new(PARAMS);
    for sigma in [SIGMA0, SIGMA0 + 1] {
        assert_eq!(chain.due(sigma), None);
    }
    assert_eq!(chain.sealing.first_height(SIGMA0), 1);
    assert_eq!(chain.sealing.range_first(), 1);
    assert_eq!(chain.sealing.batch_hash(), GENESIS);
}

#[test]
fn the_first_batch_names_genesis_and_has_index_one() {
    let mut chain = Chain::new(PARAMS);
    for _ in 0..PARAMS.batch_blocks {
        assert!(chain.push(&PLAIN).sealed.is_none());
    }
    let batch = chain.push(&PLAIN).sealed.clone().unwrap();
    assert_eq!((batch.header.index, batch.header.parent), (1, GENESIS));
    assert_eq!((batch.header.firstBlock, batch.header.lastBlock), (1, PARAMS.batch_blocks));
    assert_eq!(batch.header.epoch, SIGMA0);
    assert_eq!(chain.sealing.batch_index(), 1);
    assert_eq!(chain.sealing.batch_hash(), batch.hash());
    assert_eq!(chain.sealing.range_first(), PARAMS.batch_blocks + 1);
}

#[test]
fn a_range_is_due_after_its_seconds() {
    let mut chain = Chain::new(PARAMS);
    chain.push(&PLAIN);
    chain.push(&Wish { elapsed: PARAMS.batch_seconds - 1, ..PLAIN });
    assert_eq!(chain.due(SIGMA0), None);
    chain.push(&Wish { elapsed: 1, ..PLAIN });
    assert!(chain.due(SIGMA0).is_some());
}

#[test]
fn a_range_is_due_when_another_parent_would_not_fit() {
    let mut chain = Chain::new(PARAMS);
    chain.push(&Wish { transactions: vec![1_900], ..PLAIN });
    // 25 + 1932 taken, another 1932 still fit.
    assert_eq!(chain.due(SIGMA0), None);
    assert_eq!(chain.sealing.room(&PARAMS, SIGMA0), PARAMS.batch_bytes - RANGE_HEADER - 1_932);
    chain.push(&Wish { transactions: vec![1_900], ..PLAIN });
    assert!(chain.due(SIGMA0).is_some());
    assert_eq!(chain.sealing.room(&PARAMS, SIGMA0), PARAMS.batch_bytes - RANGE_HEADER);
}

#[test]
fn a_block_longer_than_its_room_is_invalid() {
    let mut chain = Chain::new(PARAMS);
    let largest = PARAMS.max_transaction_bytes();
    let block = chain.propose(&Wish { transactions: vec![largest + 3], ..PLAIN });
    assert!(matches!(chain.apply(&block), Err(SealingError::TooLong { .. })));
    chain.push(&Wish { transactions: vec![largest], ..PLAIN });
    assert!(chain.due(SIGMA0).is_some());
    chain.push(&PLAIN);
    let block = chain.propose(&Wish { transactions: vec![largest], ..PLAIN });
    let len = encoded_len(&block.content);
    let room = chain.sealing.room(&PARAMS, SIGMA0);
    assert_eq!(chain.apply(&block), Err(SealingError::TooLong { len, room }));
}

#[test]
fn the_byte_budget_binds_to_the_byte() {
    // The budget is the limit here, not the range: a large block starts a new one.
    let params = SealingParams { batch_bytes: 1_000, data_bytes_per_second: 100, ..PARAMS };
    let taking = |len: usize| if len == 0 { vec![] } else { vec![len - 1 - usize::from(len > 128)] };
    let mut chain = Chain::new(params);
    let apply = |chain: &mut Chain, len: usize, elapsed: u64| {
        let wish = Wish { elapsed, transactions: taking(len), ..PLAIN };
        let block = chain.propose(&wish);
        assert_eq!(transactions_len(&block.content), len);
        let result = chain.apply(&block).map(drop);
        if result.is_ok() {
            chain.push(&wish);
        }
        result
    };
    let over = |bytes, allowance| Err(SealingError::OverBudget { bytes, allowance });
    let timestamp = |chain: &Chain| chain.blocks.last().unwrap().content.timestamp;

    // A new chain starts with a whole burst.
    assert_eq!(chain.sealing.allowance(&params, 10_000), 1_000);
    assert_eq!(apply(&mut chain, 900, 0), Ok(()));
    assert_eq!(chain.sealing.allowance(&params, timestamp(&chain)), 100);
    // Exactly the allowance, and one byte more.
    assert_eq!(apply(&mut chain, 101, 0), over(101, 100));
    assert_eq!(apply(&mut chain, 100, 0), Ok(()));
    // Nothing is left: an empty block is valid, and nothing else, until time passes.
    assert_eq!(apply(&mut chain, 2, 0), over(2, 0));
    assert_eq!(apply(&mut chain, 0, 0), Ok(()));
    // Each second adds its bytes.
    assert_eq!(apply(&mut chain, 301, 3), over(301, 300));
    assert_eq!(apply(&mut chain, 300, 3), Ok(()));
    assert_eq!(apply(&mut chain, 0, 4), Ok(()));
    assert_eq!(chain.sealing.allowance(&params, timestamp(&chain)), 400);
    // Time without data is not saved up beyond one burst.
    assert_eq!(chain.sealing.allowance(&params, timestamp(&chain) + 5), 900);
    assert_eq!(chain.sealing.allowance(&params, timestamp(&chain) + 7), 1_000);
    assert_eq!(chain.sealing.allowance(&params, u64::MAX), 1_000);
    assert_eq!(apply(&mut chain, 0, 50), Ok(()));
    assert_eq!(chain.sealing.allowance(&params, timestamp(&chain)), 1_000);
}

#[test]
fn a_builder_gets_the_lesser_of_room_and_budget() {
    let mut chain = Chain::new(PARAMS);
    chain.push(&Wish { transactions: vec![2_998], ..PLAIN });
    let timestamp = chain.blocks[0].content.timestamp;
    // 3,000 of 4,000 are taken: of the budget 1,000 are left, in the next range is room for more.
    assert_eq!(chain.sealing.max_len(&PARAMS, SIGMA0, timestamp), 1_000 + MAX_BLOCK_HEADER);
    assert_eq!(chain.sealing.max_len(&PARAMS, SIGMA0, timestamp + 2), 1_600 + MAX_BLOCK_HEADER);
    assert_eq!(chain.sealing.max_len(&PARAMS, SIGMA0, timestamp + 60), PARAMS.batch_bytes - RANGE_HEADER);
}

#[test]
fn a_second_of_a_fast_network_fits_into_its_burst() {
    let params = SealingParams { data_bytes_per_second: 10_000, ..PARAMS };
    assert_eq!((params.data_burst(), PARAMS.data_burst()), (10_000, 4_000));
    // Three full blocks with one timestamp, all of a second's data.
    let mut chain = Chain::new(params);
    for elapsed in [1, 0, 0, 1, 0, 0] {
        chain.push(&Wish { elapsed, transactions: vec![3_298], ..PLAIN });
    }
    let block = chain.propose(&Wish { elapsed: 0, transactions: vec![200], ..PLAIN });
    assert_eq!(chain.apply(&block), Err(SealingError::OverBudget { bytes: 202, allowance: 100 }));
}

#[test]
fn the_largest_range_of_a_network_fits_an_l1_transaction() {
    let params = SealingParams { batch_bytes: usize::MAX, ..PARAMS };
    let chain = Chain::new(params);
    assert_eq!(chain.sealing.room(&params, SIGMA0), MAX_RANGE_BYTES - RANGE_HEADER);
}

#[test]
fn extra_data_is_exactly_what_is_due() {
    let mut chain = Chain::new(PARAMS);
    let mut block = chain.propose(&PLAIN);
    block.header.extra_data = Bytes::from_static(&[0; 32]);
    assert!(matches!(chain.apply(&block), Err(SealingError::ExtraData { .. })));
    for _ in 0..PARAMS.batch_blocks {
        chain.push(&PLAIN);
    }
    let mut block = chain.propose(&PLAIN);
    assert!(chain.apply(&block).is_ok());
    let seal = std::mem::take(&mut block.header.extra_data);
    assert_eq!(
        chain.apply(&block),
        Err(SealingError::ExtraData { expected: seal.clone(), got: Bytes::new() }),
        "a seal cannot be put off"
    );
    block.header.extra_data = seal[..31].to_vec().into();
    assert!(matches!(chain.apply(&block), Err(SealingError::ExtraData { .. })));
}

#[test]
fn blocks_that_do_not_continue_the_tip_are_refused() {
    let mut chain = Chain::new(PARAMS);
    chain.push(&Wish { deposits: 3, origins: 1, ..PLAIN });
    let change = |f: &dyn Fn(&mut Decided)| {
        let mut block = chain.propose(&PLAIN);
        f(&mut block);
        chain.apply(&block).unwrap_err()
    };
    assert!(matches!(change(&|b| b.header.number = 3), SealingError::NotOnTip { number: 3, tip_number: 1, .. }));
    assert!(matches!(change(&|b| b.header.parent_hash = GENESIS), SealingError::NotOnTip { .. }));
    assert_eq!(
        change(&|b| b.header.timestamp = 10_000),
        SealingError::GoesBack { field: "timestamp", from: 10_001, to: 10_000 }
    );
    assert_eq!(
        change(&|b| b.content.origin_number = 100),
        SealingError::GoesBack { field: "L1 origin", from: 101, to: 100 }
    );
    assert_eq!(change(&|b| b.deposits_end = 2), SealingError::GoesBack { field: "deposit index", from: 3, to: 2 });
    assert_eq!(change(&|b| b.header.parent_beacon_block_root = None), SealingError::NoOrigin);
    assert_eq!(change(&|b| b.content.proposer = 77), SealingError::Proposer { id: 77, epoch: SIGMA0 });
    assert_eq!(change(&|b| b.set = set_of(SIGMA0 - 1)), SealingError::Epoch { current: SIGMA0, got: SIGMA0 - 1 });
    assert_eq!(change(&|b| b.set = set(SIGMA0, &[1])), SealingError::SetChanged(SIGMA0));
    assert_eq!(
        change(&|b| b.content.transactions.push(Bytes::new())),
        SealingError::Range(RangeError::EmptyTransaction)
    );
}

#[test]
fn block_one_is_served_by_sigma0() {
    let chain = Chain::new(PARAMS);
    let mut block = chain.propose(&PLAIN);
    block.set = set_of(SIGMA0 + 1);
    assert_eq!(chain.apply(&block), Err(SealingError::Epoch { current: SIGMA0, got: SIGMA0 + 1 }));
}

#[test]
fn a_set_that_serves_on_has_one_tally_for_all_its_epochs() {
    let mut chain = Chain::new(PARAMS);
    // Many ranges, far more than an epoch of time, no change of σ: no tally.
    for _ in 0..4 * PARAMS.batch_blocks {
        let block = chain.push(&Wish { elapsed: 60, fees: 5, ..PLAIN });
        assert!(block.sealed.as_ref().is_none_or(|batch| batch.header.tally == Tally::default()));
    }
    let batch = chain.push(&Wish { sigma_step: 3, ..PLAIN }).sealed.clone().unwrap();
    assert_eq!(batch.header.tally.epoch, SIGMA0);
    assert_eq!(batch.header.tally.blocks, 4 * PARAMS.batch_blocks);
    assert_eq!(batch.header.epoch, SIGMA0 + 3);
    let priority: u128 = batch.entries.iter().map(|entry| entry.priority_fees).sum();
    assert_eq!(priority, u128::from(4 * PARAMS.batch_blocks * 5));
}

#[test]
fn gifts_count_for_members_while_they_serve_and_for_nobody_else() {
    let mut chain = Chain::new(PARAMS);
    let outsider = 6;
    chain.push(&Wish { gift: (outsider, 500), ..PLAIN });
    chain.push(&Wish { gift: (2, 40), ..PLAIN });
    let batch = chain.push(&Wish { sigma_step: 1, ..PLAIN }).sealed.clone().unwrap();
    let fees = |id| batch.entries.iter().find(|entry| entry.id == id).map(|entry| entry.priority_fees);
    assert_eq!(fees(outsider), None);
    assert_eq!(fees(2), Some(40));
    let burned: u128 = (1..3).map(|number| (7 + number) * 1_000 * number).sum();
    assert_eq!(batch.header.tally.fees, burned + 40);
}

#[test]
fn a_failing_balance_lookup_says_nothing_about_the_block() {
    let mut chain = Chain::new(PARAMS);
    chain.push(&PLAIN);
    let block = chain.propose(&Wish { sigma_step: 1, ..PLAIN });
    let applied = AppliedBlock {
        header: &block.header,
        hash: block.hash,
        range_block: block.content.clone(),
        deposits_end: block.deposits_end,
    };
    let result = chain.sealing.apply(&PARAMS, &applied, &block.set, |_| Err("disk"));
    assert_eq!(result, Err(SealingError::Balance("disk")));
    // Within an epoch no balance is read at all.
    let same: Result<_, &str> = chain.sealing.seal_due(&PARAMS, SIGMA0, |_| Err("disk"));
    assert_eq!(same, Ok(None));
}
