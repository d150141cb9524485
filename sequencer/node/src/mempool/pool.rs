//! The pool itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use alloy_primitives::{
    Address, B256,
    map::{AddressMap, B256Map},
};
use parking_lot::RwLock;
use rayon::prelude::*;
use tokio::sync::broadcast;

use super::{
    AccountState, AccountView, BestTransactions, Busy, PoolConfig, PoolError, PoolTransaction,
    queue::{Entry, SenderQueue},
    transaction::Worth,
};
use crate::chain::Transaction;

/// Announcements a slow subscriber may fall behind by.
const ANNOUNCEMENTS: usize = 8192;

/// The transaction pool; clones share it.
#[derive(Clone)]
pub struct Mempool {
    inner: Arc<Inner>,
}

struct Inner {
    config: PoolConfig,
    chain_id: u64,
    accounts: Arc<dyn AccountView>,
    state: RwLock<State>,
    accepted: broadcast::Sender<Arc<PoolTransaction>>,
    /// Reasons to refuse, as bits.
    busy: AtomicU8,
}

#[derive(Default)]
struct State {
    by_hash: B256Map<Arc<PoolTransaction>>,
    senders: AddressMap<SenderQueue>,
    /// Every transaction, the one to part with first at the front.
    by_worth: BTreeSet<(Worth, Address)>,
    bytes: usize,
    pending: usize,
    arrivals: u64,
    /// Blocks seen: tells whether an account read outside the lock is still current.
    blocks: u64,
}

/// How many transactions wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Executable.
    pub pending: usize,
    /// Behind a missing nonce.
    pub queued: usize,
}

/// Transactions by sender and nonce.
#[derive(Clone, Debug, Default)]
pub struct PoolContent {
    /// Executable.
    pub pending: BTreeMap<Address, BTreeMap<u64, Arc<PoolTransaction>>>,
    /// Behind a missing nonce.
    pub queued: BTreeMap<Address, BTreeMap<u64, Arc<PoolTransaction>>>,
}

impl Mempool {
    /// An empty pool for the chain with `chain_id`, whose accounts are read from `accounts`.
    pub fn new(config: PoolConfig, chain_id: u64, accounts: Arc<dyn AccountView>) -> Self {
        let (accepted, _) = broadcast::channel(ANNOUNCEMENTS);
        let state = RwLock::new(State::default());
        Self { inner: Arc::new(Inner { config, chain_id, accounts, state, accepted, busy: AtomicU8::new(0) }) }
    }

    /// Adds a transaction given as EIP-2718 bytes; returns its hash.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub fn add_raw(&self, raw: &[u8]) -> Result<B256, PoolError> {
        self.add(PoolTransaction::decode(raw, &self.inner.config)?)
    }

    /// Adds a transaction; returns its hash. Recovers the signer, some 50 µs.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub fn add(&self, transaction: Transaction) -> Result<B256, PoolError> {
        self.admit()?;
        // The signature is the expensive part: look before recovering it.
        if self.contains(transaction.tx_hash()) {
            return Err(PoolError::AlreadyKnown);
        }
        let checked = PoolTransaction::check(transaction, self.inner.chain_id, &self.inner.config)?;
        self.insert(Arc::new(checked))
    }

    /// Adds many transactions, recovering their signers in parallel; in the given order, one result each.
    pub fn add_all(&self, transactions: Vec<Transaction>) -> Vec<Result<B256, PoolError>> {
        let checked: Vec<_> = transactions
            .into_par_iter()
            .map(|transaction| {
                if self.contains(transaction.tx_hash()) {
                    return Err(PoolError::AlreadyKnown);
                }
                PoolTransaction::check(transaction, self.inner.chain_id, &self.inner.config)
            })
            .collect();
        checked
            .into_iter()
            .map(|checked| {
                self.admit()?;
                self.insert(Arc::new(checked?))
            })
            .collect()
    }

    /// A transaction by its hash.
    pub fn get(&self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        self.inner.state.read().by_hash.get(hash).cloned()
    }

    /// The transaction is in the pool.
    pub fn contains(&self, hash: &B256) -> bool {
        self.inner.state.read().by_hash.contains_key(hash)
    }

    /// The account's nonce once its executable transactions are mined.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn pending_nonce(&self, sender: Address) -> Result<u64, PoolError> {
        if let Some(queue) = self.inner.state.read().senders.get(&sender) {
            return Ok(queue.next_nonce());
        }
        Ok(self.inner.accounts.account(sender)?.nonce)
    }

    /// How many transactions wait.
    pub fn status(&self) -> PoolStatus {
        let state = self.inner.state.read();
        PoolStatus { pending: state.pending, queued: state.by_hash.len() - state.pending }
    }

    /// Every transaction, by sender and nonce.
    pub fn content(&self) -> PoolContent {
        let state = self.inner.state.read();
        let mut content = PoolContent::default();
        for (sender, queue) in &state.senders {
            content.add(*sender, queue);
        }
        content
    }

    /// The transactions of one sender.
    pub fn content_from(&self, sender: Address) -> PoolContent {
        let mut content = PoolContent::default();
        if let Some(queue) = self.inner.state.read().senders.get(&sender) {
            content.add(sender, queue);
        }
        content
    }

    /// Every transaction accepted from now on, once.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PoolTransaction>> {
        self.inner.accepted.subscribe()
    }

    /// Least priority fee the pool takes, wei per gas.
    pub fn min_tip(&self) -> u128 {
        self.inner.config.min_tip
    }

    /// Refuses new transactions while there is any reason to; each comes and goes by itself.
    pub fn set_busy(&self, reason: Busy, busy: bool) {
        match busy {
            true => self.inner.busy.fetch_or(reason as u8, Ordering::Relaxed),
            false => self.inner.busy.fetch_and(!(reason as u8), Ordering::Relaxed),
        };
    }

    fn admit(&self) -> Result<(), PoolError> {
        let busy = self.inner.busy.load(Ordering::Relaxed);
        match [Busy::Storage, Busy::Posting].into_iter().find(|reason| busy & *reason as u8 != 0) {
            Some(reason) => Err(PoolError::Busy(reason)),
            None => Ok(()),
        }
    }

    /// Executable transactions by effective tip under `base_fee`.
    pub fn best(&self, base_fee: u64) -> BestTransactions {
        let state = self.inner.state.read();
        let fronts =
            state.senders.values().filter_map(|queue| queue.entries.get(&queue.account.nonce).cloned()).collect();
        drop(state);
        BestTransactions::new(self.clone(), base_fee, fronts)
    }

    pub(super) fn entry(&self, sender: Address, nonce: u64) -> Option<Entry> {
        self.inner.state.read().senders.get(&sender)?.entries.get(&nonce).cloned()
    }

    /// Takes note of a decided block, which left the accounts it changed in these states. Mined transactions, those
    /// with used nonces and those that can no longer be paid leave the pool.
    pub fn on_block(&self, changed: impl Iterator<Item = (Address, AccountState)>) {
        let mut state = self.inner.state.write();
        state.blocks += 1;
        for (sender, account) in changed {
            state.advance(sender, account);
        }
    }

    /// Compares everything the pool keeps count of with its transactions.
    #[cfg(test)]
    pub(super) fn assert_consistent(&self) {
        let state = self.inner.state.read();
        let entries = || {
            state.senders.iter().flat_map(|(sender, queue)| queue.entries.values().map(move |entry| (sender, entry)))
        };
        assert_eq!(entries().count(), state.by_hash.len());
        assert_eq!(entries().count(), state.by_worth.len());
        assert_eq!(entries().map(|(_, entry)| entry.transaction.raw.len()).sum::<usize>(), state.bytes);
        for (sender, entry) in entries() {
            assert_eq!(state.by_hash.get(&entry.transaction.hash), Some(&entry.transaction));
            assert_eq!(entry.transaction.sender, *sender);
            let worth = Worth { tip_cap: entry.transaction.tip_cap(), arrival: entry.arrival };
            assert!(state.by_worth.contains(&(worth, *sender)));
        }
        let mut pending = 0;
        for queue in state.senders.values() {
            assert!(!queue.entries.is_empty(), "no queue is kept for nothing");
            let nonces: Vec<u64> = queue.entries.keys().copied().collect();
            let front = nonces.iter().zip(queue.account.nonce..).take_while(|(nonce, want)| **nonce == *want).count();
            assert_eq!(queue.pending(), front);
            assert!(nonces[0] >= queue.account.nonce);
            let cost = queue.entries.values().map(|entry| entry.transaction.cost()).sum::<alloy_primitives::U256>();
            assert_eq!(queue.cost, cost);
            pending += front;
        }
        assert_eq!(state.pending, pending);
    }

    fn insert(&self, transaction: Arc<PoolTransaction>) -> Result<B256, PoolError> {
        let hash = transaction.hash;
        loop {
            // Reading the account may touch the disk: not under the lock.
            let (blocks, known) = {
                let state = self.inner.state.read();
                (state.blocks, state.senders.get(&transaction.sender).map(|queue| queue.account))
            };
            let account = match known {
                Some(account) => account,
                None => self.inner.accounts.account(transaction.sender)?,
            };
            let mut state = self.inner.state.write();
            if state.blocks != blocks {
                continue;
            }
            state.insert(transaction.clone(), account, &self.inner.config)?;
            break;
        }
        // No subscriber is not a failure.
        let _ = self.inner.accepted.send(transaction);
        Ok(hash)
    }
}

impl PoolContent {
    fn add(&mut self, sender: Address, queue: &SenderQueue) {
        for (nonce, entry) in &queue.entries {
            let side = if *nonce < queue.next_nonce() { &mut self.pending } else { &mut self.queued };
            side.entry(sender).or_default().insert(*nonce, entry.transaction.clone());
        }
    }
}

impl State {
    fn insert(
        &mut self,
        transaction: Arc<PoolTransaction>,
        account: AccountState,
        config: &PoolConfig,
    ) -> Result<(), PoolError> {
        let (sender, nonce) = (transaction.sender, transaction.nonce());
        if self.by_hash.contains_key(&transaction.hash) {
            return Err(PoolError::AlreadyKnown);
        }
        if nonce < account.nonce {
            return Err(PoolError::NonceTooLow { next: account.nonce, nonce });
        }
        let queue = self.senders.get(&sender);
        let old = queue.and_then(|queue| queue.entries.get(&nonce));
        if let Some(old) = old
            && !transaction.outbids(&old.transaction)
        {
            return Err(PoolError::ReplacementUnderpriced);
        }
        let cost = transaction.cost();
        let queued = queue.map(|queue| queue.cost).unwrap_or_default();
        let queued = queued.saturating_sub(old.map(|old| old.transaction.cost()).unwrap_or_default());
        if queued.saturating_add(cost) > account.balance {
            return Err(PoolError::InsufficientFunds { balance: account.balance, cost, queued });
        }
        if old.is_none() {
            let (held, next, behind_gap) =
                queue.map_or((0, account.nonce, 0), |queue| (queue.entries.len(), queue.next_nonce(), queue.queued()));
            if held >= config.max_per_sender {
                return Err(PoolError::AccountLimit { limit: config.max_per_sender });
            }
            if nonce != next && behind_gap >= config.max_queued_per_sender {
                return Err(PoolError::AccountLimit { limit: config.max_queued_per_sender });
            }
            self.make_room(&transaction, config)?;
        }

        self.arrivals += 1;
        let worth = Worth { tip_cap: transaction.tip_cap(), arrival: self.arrivals };
        self.by_worth.insert((worth, sender));
        self.by_hash.insert(transaction.hash, transaction.clone());
        self.bytes += transaction.raw.len();
        let queue = self.senders.entry(sender).or_insert_with(|| SenderQueue::new(account));
        let before = queue.pending();
        let replaced = queue.insert(Entry { transaction, arrival: self.arrivals });
        self.pending = self.pending - before + queue.pending();
        if let Some(replaced) = replaced {
            self.forget(sender, &replaced);
        }
        Ok(())
    }

    /// Makes room for `incoming`, or refuses it. A sender's last nonce goes, so that no gap opens.
    fn make_room(&mut self, incoming: &PoolTransaction, config: &PoolConfig) -> Result<(), PoolError> {
        while self.by_hash.len() >= config.max_transactions || self.bytes + incoming.raw.len() > config.max_bytes {
            let Some((worth, victim)) = self.by_worth.first().copied() else { return Err(PoolError::Full) };
            if incoming.tip_cap() <= worth.tip_cap {
                return Err(PoolError::Underpriced);
            }
            let Some(nonce) =
                self.senders.get(&victim).and_then(|queue| queue.last()).map(|last| last.transaction.nonce())
            else {
                return Err(PoolError::Full);
            };
            // Evicting the sender's own tail would leave the new transaction behind a gap.
            if victim == incoming.sender && nonce < incoming.nonce() {
                return Err(PoolError::Full);
            }
            self.remove(victim, nonce);
        }
        Ok(())
    }

    fn remove(&mut self, sender: Address, nonce: u64) {
        let Some(queue) = self.senders.get_mut(&sender) else { return };
        let before = queue.pending();
        let removed = queue.remove(nonce);
        self.pending = self.pending - before + queue.pending();
        if queue.entries.is_empty() {
            self.senders.remove(&sender);
        }
        if let Some(removed) = removed {
            self.forget(sender, &removed);
        }
    }

    fn advance(&mut self, sender: Address, account: AccountState) {
        let Some(queue) = self.senders.get_mut(&sender) else { return };
        let before = queue.pending();
        let gone = queue.advance(account);
        self.pending = self.pending - before + queue.pending();
        if queue.entries.is_empty() {
            self.senders.remove(&sender);
        }
        for entry in &gone {
            self.forget(sender, entry);
        }
    }

    /// Drops what is kept about a transaction besides its sender's queue.
    fn forget(&mut self, sender: Address, entry: &Entry) {
        self.by_hash.remove(&entry.transaction.hash);
        self.bytes -= entry.transaction.raw.len();
        self.by_worth.remove(&(Worth { tip_cap: entry.transaction.tip_cap(), arrival: entry.arrival }, sender));
    }
}
