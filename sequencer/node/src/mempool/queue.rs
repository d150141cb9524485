//! One sender's transactions.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::U256;

use super::{AccountState, PoolTransaction};

/// A pooled transaction with its place in the order of arrival.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub transaction: Arc<PoolTransaction>,
    pub arrival: u64,
}

/// One sender's transactions by nonce; all nonces are at least the account's.
#[derive(Debug, Default)]
pub(super) struct SenderQueue {
    pub account: AccountState,
    pub entries: BTreeMap<u64, Entry>,
    /// Sum of the entries' costs, wei.
    pub cost: U256,
    /// Length of the contiguous front.
    pending: usize,
}

impl SenderQueue {
    pub fn new(account: AccountState) -> Self {
        Self { account, ..Self::default() }
    }

    /// How many of the entries are executable.
    pub fn pending(&self) -> usize {
        self.pending
    }

    pub fn queued(&self) -> usize {
        self.entries.len() - self.pending
    }

    /// Nonce after the executable front.
    pub fn next_nonce(&self) -> u64 {
        self.account.nonce + self.pending as u64
    }

    pub fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.cost = self.cost.saturating_add(entry.transaction.cost());
        let old = self.entries.insert(entry.transaction.nonce(), entry);
        if let Some(old) = &old {
            self.cost = self.cost.saturating_sub(old.transaction.cost());
        }
        self.extend_pending();
        old
    }

    pub fn remove(&mut self, nonce: u64) -> Option<Entry> {
        let removed = self.entries.remove(&nonce)?;
        self.cost = self.cost.saturating_sub(removed.transaction.cost());
        if nonce < self.next_nonce() {
            self.pending = (nonce - self.account.nonce) as usize;
        }
        Some(removed)
    }

    /// Takes over the account's state after a block; returns what is no longer executable: used nonces, and
    /// transactions that the balance cannot pay.
    pub fn advance(&mut self, account: AccountState) -> Vec<Entry> {
        let keep = self.entries.split_off(&account.nonce);
        let mut gone: Vec<Entry> = std::mem::replace(&mut self.entries, keep).into_values().collect();
        let unpayable: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.transaction.cost() > account.balance)
            .map(|(nonce, _)| *nonce)
            .collect();
        gone.extend(unpayable.iter().filter_map(|nonce| self.entries.remove(nonce)));
        for entry in &gone {
            self.cost = self.cost.saturating_sub(entry.transaction.cost());
        }
        self.account = account;
        self.pending = 0;
        self.extend_pending();
        gone
    }

    /// The last nonce: the one whose removal leaves no gap.
    pub fn last(&self) -> Option<&Entry> {
        self.entries.last_key_value().map(|(_, entry)| entry)
    }

    fn extend_pending(&mut self) {
        while self.entries.contains_key(&self.next_nonce()) {
            self.pending += 1;
        }
    }
}
