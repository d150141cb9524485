#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::sync::{Arc, LazyLock};

use alloy::signers::local::PrivateKeySigner;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, TxKind, U256, map::AddressMap};
use parking_lot::RwLock;
use proptest::prelude::*;

use super::*;
use crate::{
    chain::Transaction,
    execution::tests::fixture::{CHAIN_ID, Call, GWEI, initcode, signer},
};

#[derive(Default)]
struct Accounts(RwLock<AddressMap<AccountState>>);

impl AccountView for Accounts {
    fn account(&self, address: Address) -> Result<AccountState, StoreError> {
        Ok(self.0.read().get(&address).copied().unwrap_or_default())
    }
}

struct Fixture {
    pool: Mempool,
    accounts: Arc<Accounts>,
}

impl Fixture {
    fn new(change: impl FnOnce(&mut PoolConfig)) -> Self {
        let mut config = PoolConfig::new(30_000_000);
        change(&mut config);
        let accounts = Arc::new(Accounts::default());
        for index in 0..4 {
            let rich = AccountState { nonce: 0, balance: U256::from(10u128.pow(18)) };
            accounts.0.write().insert(signer(index).address(), rich);
        }
        let pool = Mempool::new(config, CHAIN_ID, accounts.clone());
        Self { pool, accounts }
    }

    /// A block that leaves `account` in this state.
    fn block(&self, account: Address, state: AccountState) {
        self.accounts.0.write().insert(account, state);
        self.pool.on_block([(account, state)].into_iter());
        self.pool.assert_consistent();
    }

    fn refusal(&self, transaction: Transaction) -> String {
        let text = self.pool.add(transaction).unwrap_err().to_string();
        self.pool.assert_consistent();
        text
    }
}

fn tip(gwei: u128, nonce: u64) -> Call {
    Call { tip: gwei * GWEI, fee: (gwei + 10) * GWEI, nonce, ..Call::default() }
}

#[test]
fn refusals_read_as_in_go_ethereum() {
    let Fixture { pool, accounts } = &Fixture::new(|_| {});
    let fixture = Fixture { pool: pool.clone(), accounts: accounts.clone() };
    let alice = signer(0);
    let with = |change: fn(&mut Call)| {
        let mut call = Call::default();
        change(&mut call);
        fixture.refusal(call.sign(&alice))
    };
    pool.add(tip(10, 0).sign(&alice)).unwrap();
    assert_eq!(fixture.refusal(tip(10, 0).sign(&alice)), "already known");
    assert_eq!(
        fixture.refusal(tip(10, 0).sign_legacy(&alice, None)),
        "only replay-protected (EIP-155) transactions allowed over RPC"
    );
    let text = fixture.refusal(tip(10, 0).sign_legacy(&alice, Some(1)));
    assert_eq!(text, format!("invalid chain id for signer: have 1 want {CHAIN_ID}"));
    assert_eq!(with(|call| call.gas = 20_999), "intrinsic gas too low: have 20999, want 21000");
    assert_eq!(with(|call| call.gas = 30_000_001), "exceeds block gas limit");
    assert_eq!(with(|call| call.gas = 16_777_217), "transaction gas limit too high (cap: 16777216, tx: 16777217)");
    let text = with(|call| (call.data, call.gas) = (vec![1u8; 1000].into(), 38_000));
    assert_eq!(text, "insufficient gas for floor data gas cost: have 38000, want 61000");
    let text = with(|call| (call.tip, call.fee) = (3, 2));
    assert!(text.starts_with("max priority fee per gas higher than max fee per gas"), "{text}");
    assert_eq!(with(|call| (call.tip, call.fee) = (0, 6)), "transaction underpriced");
    assert_eq!(with(|call| call.nonce = u64::MAX), "nonce has max value");
    let text = with(|call| (call.to, call.gas, call.data) = (TxKind::Create, 10_000_000, vec![0u8; 49_153].into()));
    assert!(text.starts_with("max initcode size exceeded"), "{text}");
    let text = with(|call| (call.gas, call.data) = (10_000_000, vec![0u8; 131_073].into()));
    assert!(text.starts_with("oversized data"), "{text}");
    let text = with(|call| (call.nonce, call.value) = (1, 10u128.pow(18)));
    assert!(text.starts_with("insufficient funds for gas * price + value"), "{text}");
    // Enough for one, not for both.
    let half = Call { value: 6 * 10u128.pow(17), nonce: 1, ..tip(1, 0) };
    pool.add(Call { nonce: 1, ..half.clone() }.sign(&alice)).unwrap();
    let text = fixture.refusal(Call { nonce: 2, ..half }.sign(&alice));
    assert!(text.starts_with("insufficient funds for gas * price + value"), "{text}");

    fixture.block(alice.address(), AccountState { nonce: 5, balance: U256::from(10u128.pow(18)) });
    assert_eq!(fixture.refusal(tip(10, 4).sign(&alice)), "nonce too low: next nonce 5, tx nonce 4");
    assert!(matches!(pool.add_raw(&[0x02, 0xc0]), Err(PoolError::Malformed(_))));
    let mut raw = tip(1, 5).sign(&alice).encoded_2718();
    pool.add_raw(&raw).unwrap();
    raw.push(0);
    assert!(matches!(pool.add_raw(&raw), Err(PoolError::Malformed(_))));
}

#[test]
fn each_reason_to_refuse_comes_and_goes_by_itself() {
    let fixture = Fixture::new(|_| {});
    let pool = &fixture.pool;
    let next = |nonce| Call { nonce, ..Call::default() }.sign(&signer(0));
    for reason in [Busy::Storage, Busy::Posting, Busy::Posting] {
        pool.set_busy(reason, true);
    }
    assert_eq!(fixture.refusal(next(0)), "txpool is full: the node is catching up");
    pool.set_busy(Busy::Storage, false);
    let text = "txpool is full: too many batches are not confirmed on L1; try again later";
    assert_eq!(fixture.refusal(next(0)), text);
    let [refused] = &pool.add_all(vec![next(0)])[..] else { panic!("one answer each") };
    assert_eq!(refused.as_ref().unwrap_err().to_string(), text);
    pool.set_busy(Busy::Storage, false);
    assert_eq!(fixture.refusal(next(0)), text);
    pool.set_busy(Busy::Posting, false);
    pool.add(next(0)).unwrap();
}

#[test]
fn a_replacement_pays_ten_percent_more_of_both_prices() {
    let fixture = Fixture::new(|_| {});
    let bid = |tip: u128, fee: u128| Call { tip, fee, ..Call::default() }.sign(&signer(0));
    let first = fixture.pool.add(bid(1000, 100_000)).unwrap();
    assert_eq!(fixture.refusal(bid(1099, 110_000)), "replacement transaction underpriced");
    assert_eq!(fixture.refusal(bid(1100, 109_999)), "replacement transaction underpriced");
    let second = fixture.pool.add(bid(1100, 110_000)).unwrap();
    fixture.pool.assert_consistent();
    assert!(!fixture.pool.contains(&first) && fixture.pool.contains(&second));
    assert_eq!(fixture.pool.status(), PoolStatus { pending: 1, queued: 0 });
    // Ten percent of nothing is still more.
    let free = |nonce, tip| Call { tip, fee: 100_000 + tip * 20_000, nonce, ..Call::default() }.sign(&signer(1));
    fixture.pool.add(free(0, 0)).unwrap();
    assert_eq!(
        fixture.refusal(Call { tip: 0, fee: 200_000, ..Call::default() }.sign(&signer(1))),
        "replacement transaction underpriced"
    );
    fixture.pool.add(free(0, 1)).unwrap();
}

#[test]
fn nonces_make_transactions_pending_or_queued() {
    let fixture = Fixture::new(|_| {});
    let (pool, alice) = (&fixture.pool, signer(0));
    let mut announced = pool.subscribe();
    assert_eq!(pool.pending_nonce(alice.address()).unwrap(), 0);
    for nonce in [2, 0, 4] {
        pool.add(tip(1, nonce).sign(&alice)).unwrap();
        assert_eq!(announced.try_recv().unwrap().nonce(), nonce);
    }
    assert!(announced.try_recv().is_err(), "each is announced once");
    assert_eq!(pool.status(), PoolStatus { pending: 1, queued: 2 });
    assert_eq!(pool.pending_nonce(alice.address()).unwrap(), 1);
    pool.add(tip(1, 1).sign(&alice)).unwrap();
    assert_eq!(pool.status(), PoolStatus { pending: 3, queued: 1 });
    let content = pool.content_from(alice.address());
    assert_eq!(content.pending[&alice.address()].keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(content.queued[&alice.address()].keys().copied().collect::<Vec<_>>(), [4]);
    assert!(pool.content_from(signer(1).address()).pending.is_empty());

    // A block takes nonces 0 and 1 and leaves too little for a transaction that moves value.
    let costly = Call { value: 10u128.pow(17), ..tip(1, 3) };
    pool.add(costly.sign(&alice)).unwrap();
    assert_eq!(pool.status(), PoolStatus { pending: 5, queued: 0 });
    fixture.block(alice.address(), AccountState { nonce: 2, balance: U256::from(10u128.pow(16)) });
    assert_eq!(pool.status(), PoolStatus { pending: 1, queued: 1 }, "3 is gone, 4 waits behind it");
    assert_eq!(pool.pending_nonce(alice.address()).unwrap(), 3);
    fixture.block(alice.address(), AccountState { nonce: 9, balance: U256::from(10u128.pow(16)) });
    assert_eq!(pool.status(), PoolStatus::default());
}

#[test]
fn the_best_come_first_and_refused_ones_take_their_successors_along() {
    let fixture = Fixture::new(|_| {});
    let pool = &fixture.pool;
    for (who, nonce, gwei) in [(0, 0, 5), (0, 1, 50), (1, 0, 7), (1, 1, 6), (2, 0, 5)] {
        pool.add(tip(gwei, nonce).sign(&signer(who))).unwrap();
    }
    let order = |refused: Option<Address>| {
        let mut best = pool.best(GWEI as u64);
        let mut order = Vec::new();
        while let Some(transaction) = best.next_best() {
            if Some(transaction.sender) == refused {
                continue;
            }
            best.accept(&transaction);
            order.push(transaction.effective_tip(GWEI as u64).unwrap() / GWEI);
        }
        order
    };
    assert_eq!(order(None), [7, 6, 5, 50, 5], "nonce order beats tips; equal tips by arrival");
    assert_eq!(order(Some(signer(1).address())), [5, 50, 5]);
    // Nobody can pay a base fee above what he offers.
    assert!(pool.best(1_000 * GWEI as u64).next_best().is_none());
}

#[test]
fn a_full_pool_parts_with_the_cheapest() {
    let fixture = Fixture::new(|config| config.max_transactions = 4);
    let pool = &fixture.pool;
    for (who, nonce, gwei) in [(0, 0, 3), (0, 1, 9), (1, 0, 5), (2, 0, 4)] {
        pool.add(tip(gwei, nonce).sign(&signer(who))).unwrap();
    }
    assert_eq!(fixture.refusal(tip(3, 0).sign(&signer(3))), "transaction underpriced");
    // Sender 0 holds the cheapest; its last nonce goes, so that no gap opens.
    pool.add(tip(6, 0).sign(&signer(3))).unwrap();
    pool.assert_consistent();
    let content = pool.content();
    assert_eq!(content.pending[&signer(0).address()].len(), 1);
    assert!(content.queued.is_empty());
    assert_eq!(pool.status().pending, 4);

    let fixture = Fixture::new(|config| config.max_bytes = 250);
    fixture.pool.add(tip(1, 0).sign(&signer(0))).unwrap();
    fixture.pool.add(tip(2, 0).sign(&signer(1))).unwrap();
    fixture.pool.add(tip(3, 0).sign(&signer(2))).unwrap();
    assert_eq!(fixture.pool.status().pending, 2, "bytes bound the pool too");
    assert!(fixture.pool.content_from(signer(0).address()).pending.is_empty());
}

#[test]
fn one_sender_cannot_fill_the_pool() {
    let fixture = Fixture::new(|config| (config.max_per_sender, config.max_queued_per_sender) = (3, 2));
    let alice = signer(0);
    fixture.pool.add(tip(1, 7).sign(&alice)).unwrap();
    fixture.pool.add(tip(1, 8).sign(&alice)).unwrap();
    assert_eq!(fixture.refusal(tip(1, 9).sign(&alice)), "account limit exceeded: pooled 2 txs");
    fixture.pool.add(tip(1, 0).sign(&alice)).unwrap();
    assert_eq!(fixture.refusal(tip(1, 1).sign(&alice)), "account limit exceeded: pooled 3 txs");
    // A replacement needs no new place.
    fixture.pool.add(tip(20, 0).sign(&alice)).unwrap();
}

#[test]
fn many_threads_share_the_pool() {
    let fixture = Fixture::new(|_| {});
    let all: Vec<Transaction> =
        (0..4).flat_map(|who| (0..10).map(move |nonce| tip(1, nonce).sign(&signer(who)))).collect();
    let accepted: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (pool, all) = (fixture.pool.clone(), all.clone());
                scope.spawn(move || pool.add_all(all).into_iter().filter(Result::is_ok).count())
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(accepted, 40, "each transaction is accepted exactly once");
    fixture.pool.assert_consistent();
    assert_eq!(fixture.pool.status(), PoolStatus { pending: 40, queued: 0 });
}

const NONCES: u64 = 8;
const TIPS: [u128; 4] = [1, 2, 3, 50];

/// Every transaction the property test may send, signed once.
static SIGNED: LazyLock<Vec<Transaction>> = LazyLock::new(|| {
    let signers: Vec<PrivateKeySigner> = (0..4).map(signer).collect();
    let mut all = Vec::new();
    for signer in &signers {
        for nonce in 0..NONCES {
            for gwei in TIPS {
                all.push(Call { value: 10u128.pow(16) * gwei, ..tip(gwei, nonce) }.sign(signer));
            }
        }
    }
    all
});

#[derive(Clone, Debug)]
enum Step {
    Add(usize),
    Block {
        who: u32,
        used: u64,
        balance: u128,
    },
    /// Builds a block from the pool and commits it.
    Mine {
        take: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4 * NONCES as usize * TIPS.len()).prop_map(Step::Add),
        1 => (0..4u32, 0..3u64, 0..10u128).prop_map(|(who, used, balance)| Step::Block { who, used, balance: balance * 10u128.pow(17) }),
        1 => (0..6usize).prop_map(|take| Step::Mine { take }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens: the books agree with the transactions, limits hold, a queue never holds a used nonce, and
    /// what the pool offers to a block executes in order.
    #[test]
    fn the_books_always_balance(steps in prop::collection::vec(step(), 1..80)) {
        let fixture = Fixture::new(|config| {
            config.max_transactions = 12;
            config.max_per_sender = 5;
            config.max_queued_per_sender = 3;
        });
        for step in steps {
            match step {
                Step::Add(index) => {
                    let transaction = SIGNED[index].clone();
                    let hash = *transaction.tx_hash();
                    match fixture.pool.add(transaction) {
                        Ok(added) => prop_assert!(added == hash && fixture.pool.contains(&hash)),
                        Err(PoolError::AlreadyKnown) => prop_assert!(fixture.pool.contains(&hash)),
                        Err(_) => prop_assert!(!fixture.pool.contains(&hash)),
                    }
                }
                Step::Block { who, used, balance } => {
                    let address = signer(who).address();
                    let nonce = fixture.accounts.account(address).unwrap().nonce + used;
                    fixture.block(address, AccountState { nonce, balance: U256::from(balance) });
                }
                Step::Mine { take } => {
                    let mut best = fixture.pool.best(7);
                    let mut states: AddressMap<AccountState> = AddressMap::default();
                    for _ in 0..take {
                        let Some(transaction) = best.next_best() else { break };
                        let before = fixture.accounts.account(transaction.sender).unwrap();
                        let state = states.entry(transaction.sender).or_insert(before);
                        prop_assert_eq!(transaction.nonce(), state.nonce, "in nonce order, without gaps");
                        prop_assert!(transaction.cost() <= before.balance, "payable by itself");
                        state.nonce += 1;
                        state.balance -= transaction.cost().min(state.balance);
                        best.accept(&transaction);
                    }
                    for (address, state) in states {
                        fixture.block(address, state);
                    }
                }
            }
            fixture.pool.assert_consistent();
            let status = fixture.pool.status();
            prop_assert!(status.pending + status.queued <= 12);
            for (sender, queue) in fixture.pool.content().pending {
                let account = fixture.accounts.account(sender).unwrap();
                prop_assert!(queue.len() <= 5);
                prop_assert_eq!(*queue.first_key_value().unwrap().0, account.nonce);
                prop_assert_eq!(fixture.pool.pending_nonce(sender).unwrap(), account.nonce + queue.len() as u64);
            }
        }
    }
}

#[test]
fn initcode_is_priced_before_it_is_pooled() {
    let fixture = Fixture::new(|_| {});
    let create = |gas| Call { to: TxKind::Create, gas, data: initcode(&[0u8; 64]), ..Call::default() }.sign(&signer(0));
    let text = fixture.refusal(create(53_000));
    assert!(text.starts_with("intrinsic gas too low"), "{text}");
    fixture.pool.add(create(100_000)).unwrap();
}
