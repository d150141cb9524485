//! The order in which a block takes transactions.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::Arc,
};

use alloy_primitives::Address;

use super::{Mempool, PoolTransaction, queue::Entry};

/// Executable transactions by effective tip, each sender's in nonce order; among equal tips the first to arrive.
///
/// It looks at the pool as it goes, so it is cheap to create and to drop. A sender comes to its next nonce only
/// after [`Self::accept`].
pub struct BestTransactions {
    pool: Mempool,
    base_fee: u64,
    heap: BinaryHeap<Candidate>,
}

struct Candidate {
    tip: u128,
    arrival: u64,
    transaction: Arc<PoolTransaction>,
}

impl Candidate {
    fn key(&self) -> (u128, Reverse<u64>) {
        (self.tip, Reverse(self.arrival))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl BestTransactions {
    pub(super) fn new(pool: Mempool, base_fee: u64, fronts: Vec<Entry>) -> Self {
        let heap = fronts.into_iter().filter_map(|entry| candidate(entry, base_fee)).collect();
        Self { pool, base_fee, heap }
    }

    /// The best transaction left. Its sender is set aside until [`Self::accept`]; without it the sender's later
    /// nonces are passed over, since they cannot execute.
    pub fn next_best(&mut self) -> Option<Arc<PoolTransaction>> {
        self.heap.pop().map(|candidate| candidate.transaction)
    }

    /// `transaction` is in the block: its sender's next nonce becomes a candidate.
    pub fn accept(&mut self, transaction: &PoolTransaction) {
        self.follow(transaction.sender, transaction.nonce() + 1);
    }

    fn follow(&mut self, sender: Address, nonce: u64) {
        if let Some(candidate) = self.pool.entry(sender, nonce).and_then(|entry| candidate(entry, self.base_fee)) {
            self.heap.push(candidate);
        }
    }
}

fn candidate(entry: Entry, base_fee: u64) -> Option<Candidate> {
    let tip = entry.transaction.effective_tip(base_fee)?;
    Some(Candidate { tip, arrival: entry.arrival, transaction: entry.transaction })
}
