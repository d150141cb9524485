//! What the followed events amount to: frozen sets, deposits, batches and operators.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolEvent;
use rota_protocol::member::FrozenSet;

use super::{
    L1Error, abi,
    source::{L1Log, Totals},
};
use crate::chain::{Deposit, L1Ref};

/// A batch on L1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedBatch {
    /// Hash of its header.
    pub hash: B256,
    /// Place in the chain of batches, from 1.
    pub index: u64,
    /// Last L2 block of its range.
    pub last_block: u64,
    /// Who posted it.
    pub poster: Address,
    /// L1 block that includes the post.
    pub l1_block: L1Ref,
    /// Transaction that posted it.
    pub transaction: B256,
    /// Whether it is FINAL.
    pub is_final: bool,
}

/// A registered operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Latest signing key.
    pub signer: Address,
    /// Latest metadata URI: the node's consensus multiaddress.
    pub metadata: String,
}

/// A decoded event.
#[derive(Clone, Debug)]
pub enum L1Event {
    /// A set was frozen for an epoch.
    Frozen(Arc<FrozenSet>),
    /// Tokens were locked for L2.
    Deposited(Deposit),
    /// A batch was accepted.
    Posted(PostedBatch),
    /// A batch became FINAL.
    Finalized {
        /// Its index.
        index: u64,
        /// Its hash.
        hash: B256,
    },
    /// An operator registered.
    Registered {
        /// Its id.
        id: u32,
        /// Its key and metadata.
        operator: Operator,
    },
    /// An operator changed its key.
    Rotated {
        /// Its id.
        id: u32,
        /// The new key.
        signer: Address,
    },
    /// An operator moved its node.
    Metadata {
        /// Its id.
        id: u32,
        /// The new URI.
        uri: String,
    },
}

impl L1Event {
    /// Decodes a log.
    ///
    /// # Errors
    /// A log that the contracts cannot have emitted.
    pub fn decode(log: &L1Log) -> Result<Self, L1Error> {
        let malformed = |what: String| L1Error::Malformed { number: log.block.number, what };
        let broken = |error: alloy_sol_types::Error| malformed(error.to_string());
        let topic = log.log.topics().first().copied().unwrap_or_default();
        Ok(match topic {
            abi::EpochFrozen::SIGNATURE_HASH => {
                let event = abi::EpochFrozen::decode_log(&log.log).map_err(broken)?;
                let set = FrozenSet::decode(event.epoch, event.seed, &event.members);
                Self::Frozen(Arc::new(set.map_err(|error| malformed(error.to_string()))?))
            }
            abi::Deposited::SIGNATURE_HASH => {
                let event = abi::Deposited::decode_log(&log.log).map_err(broken)?;
                Self::Deposited(Deposit {
                    index: event.index,
                    to: event.to,
                    amount_gwei: event.amountGwei,
                    l1_block: log.block.number,
                })
            }
            abi::BatchPosted::SIGNATURE_HASH => {
                let event = abi::BatchPosted::decode_log(&log.log).map_err(broken)?;
                Self::Posted(PostedBatch {
                    hash: event.hash,
                    index: event.index,
                    last_block: event.lastBlock,
                    poster: event.poster,
                    l1_block: log.block,
                    transaction: log.transaction,
                    is_final: false,
                })
            }
            abi::BatchFinalized::SIGNATURE_HASH => {
                let event = abi::BatchFinalized::decode_log(&log.log).map_err(broken)?;
                Self::Finalized { index: event.index, hash: event.hash }
            }
            abi::OperatorRegistered::SIGNATURE_HASH => {
                let event = abi::OperatorRegistered::decode_log(&log.log).map_err(broken)?;
                let operator = Operator { signer: event.signer, metadata: event.metadataURI.clone() };
                Self::Registered { id: event.id, operator }
            }
            abi::SignerRotated::SIGNATURE_HASH => {
                let event = abi::SignerRotated::decode_log(&log.log).map_err(broken)?;
                Self::Rotated { id: event.id, signer: event.newSigner }
            }
            abi::MetadataChanged::SIGNATURE_HASH => {
                let event = abi::MetadataChanged::decode_log(&log.log).map_err(broken)?;
                Self::Metadata { id: event.id, uri: event.metadataURI.clone() }
            }
            other => return Err(malformed(format!("unknown event {other}"))),
        })
    }
}

impl Totals {
    /// Counts an event.
    fn add(&mut self, event: &L1Event) -> Result<(), L1Error> {
        let due = |what: &str, due: u64, found: u64| match found == due {
            true => Ok(()),
            false => Err(L1Error::Withheld(format!("{what} {due} is due, the next one in the logs is {found}"))),
        };
        match event {
            L1Event::Deposited(deposit) => {
                due("deposit", self.deposits, deposit.index)?;
                self.deposits += 1;
            }
            L1Event::Registered { id, .. } => {
                due("operator", u64::from(self.operators) + 1, u64::from(*id))?;
                self.operators = *id;
            }
            // A lower index replaces a batch that was removed.
            L1Event::Posted(batch) => {
                due("batch", batch.index.min(self.batches + 1), batch.index)?;
                (self.batches, self.batch_head) = (batch.index, batch.hash);
            }
            L1Event::Finalized { index, .. } => {
                due("FINAL batch", self.final_batches + 1, *index)?;
                self.final_batches = *index;
            }
            // Not every epoch has a set of its own.
            L1Event::Frozen(set) => {
                (self.last_set, self.set_hash, self.set_seed) = (set.epoch(), set.hash(), set.seed());
            }
            L1Event::Rotated { id, .. } | L1Event::Metadata { id, .. } => {
                if *id == 0 || *id > self.operators {
                    return Err(L1Error::Withheld(format!("the registration of operator {id} is missing")));
                }
            }
        }
        Ok(())
    }

    /// The first thing that the logs, which give `self`, lack of what the contracts count.
    pub(super) fn compare(&self, contracts: &Self) -> Result<(), L1Error> {
        let pairs = [
            ("deposits", self.deposits.to_string(), contracts.deposits.to_string()),
            ("operators", self.operators.to_string(), contracts.operators.to_string()),
            ("batches", self.batches.to_string(), contracts.batches.to_string()),
            ("FINAL batches", self.final_batches.to_string(), contracts.final_batches.to_string()),
            ("newest batch", self.batch_head.to_string(), contracts.batch_head.to_string()),
            ("last frozen epoch", self.last_set.to_string(), contracts.last_set.to_string()),
            ("hash of its set", self.set_hash.to_string(), contracts.set_hash.to_string()),
            ("seed of its set", self.set_seed.to_string(), contracts.set_seed.to_string()),
        ];
        match pairs.into_iter().find(|(_, logs, contracts)| logs != contracts) {
            None => Ok(()),
            Some((what, logs, contracts)) => {
                Err(L1Error::Withheld(format!("{what}: {contracts} in the contract, {logs} in the logs")))
            }
        }
    }
}

/// The fold of all confirmed events.
#[derive(Clone, Debug, Default)]
pub struct L1State {
    sets: BTreeMap<u32, Arc<FrozenSet>>,
    deposits: Vec<Deposit>,
    batches: BTreeMap<u64, PostedBatch>,
    final_index: u64,
    operators: BTreeMap<u32, Operator>,
}

impl L1State {
    /// What the contracts must count if this state is complete.
    pub fn totals(&self) -> Totals {
        let (batch, set) = (self.batch_head(), self.sets.values().next_back());
        Totals {
            deposits: self.deposit_count(),
            operators: self.operators.len() as u32,
            batches: batch.map_or(0, |batch| batch.index),
            batch_head: batch.map_or(B256::ZERO, |batch| batch.hash),
            final_batches: self.final_index,
            last_set: set.map_or(0, |set| set.epoch()),
            set_hash: set.map_or(B256::ZERO, |set| set.hash()),
            set_seed: set.map_or(B256::ZERO, |set| set.seed()),
        }
    }

    /// Checks that `events` continue this state: what the contracts number has no gaps. Returns what they must count
    /// after the last of them.
    ///
    /// # Errors
    /// [`L1Error::Withheld`].
    pub fn check(&self, events: &[L1Event]) -> Result<Totals, L1Error> {
        let mut totals = self.totals();
        for event in events {
            totals.add(event)?;
            if let L1Event::Finalized { index, hash } = event {
                let new = events.iter().any(|event| matches!(event, L1Event::Posted(batch) if batch.hash == *hash));
                if !new && self.batch(*index).is_none_or(|batch| batch.hash != *hash) {
                    return Err(L1Error::Withheld(format!("the post of FINAL batch {index}, {hash}, is missing")));
                }
            }
        }
        Ok(totals)
    }

    /// Epochs above `above` of the sets known, `events` among them, that do not follow the set before at once, each with
    /// the epoch of that set.
    pub fn gaps(&self, events: &[L1Event], above: u32) -> Vec<(u32, u32)> {
        let new = events.iter().filter_map(|event| match event {
            L1Event::Frozen(set) => Some(set.epoch()),
            _ => None,
        });
        let mut before = self.sets.range(..=above).next_back().map_or(0, |(epoch, _)| *epoch);
        let mut gaps = Vec::new();
        for epoch in self.sets.range(above.saturating_add(1)..).map(|(epoch, _)| *epoch).chain(new) {
            if epoch != before + 1 {
                gaps.push((before, epoch));
            }
            before = epoch;
        }
        gaps
    }

    /// Applies an event that [`Self::check`] accepted.
    pub fn apply(&mut self, event: L1Event) {
        match event {
            L1Event::Frozen(set) => {
                self.sets.insert(set.epoch(), set);
            }
            L1Event::Deposited(deposit) => self.deposits.push(deposit),
            L1Event::Posted(batch) => {
                // A batch at an index that was taken before replaces a removed one and orphans what stood on it.
                self.batches.split_off(&batch.index);
                self.batches.insert(batch.index, batch);
            }
            L1Event::Finalized { index, hash } => {
                if let Some(batch) = self.batches.get_mut(&index).filter(|batch| batch.hash == hash) {
                    batch.is_final = true;
                    self.final_index = self.final_index.max(index);
                }
            }
            L1Event::Registered { id, operator } => {
                self.operators.insert(id, operator);
            }
            L1Event::Rotated { id, signer } => {
                if let Some(operator) = self.operators.get_mut(&id) {
                    operator.signer = signer;
                }
            }
            L1Event::Metadata { id, uri } => {
                if let Some(operator) = self.operators.get_mut(&id) {
                    operator.metadata = uri;
                }
            }
        }
    }

    /// The set frozen for exactly `epoch`.
    pub fn set(&self, epoch: u32) -> Option<&Arc<FrozenSet>> {
        self.sets.get(&epoch)
    }

    /// The last set frozen for an epoch `≤ epoch`.
    pub fn serving_set(&self, epoch: u32) -> Option<&Arc<FrozenSet>> {
        self.sets.range(..=epoch).next_back().map(|(_, set)| set)
    }

    /// The first epoch after `epoch` that a set was frozen for.
    pub fn set_after(&self, epoch: u32) -> Option<u32> {
        self.sets.range(epoch.checked_add(1)?..).next().map(|(epoch, _)| *epoch)
    }

    /// At most `limit` deposits from `index` on that were made up to L1 block `block`.
    pub fn deposits(&self, index: u64, block: u64, limit: usize) -> &[Deposit] {
        let start = usize::try_from(index).unwrap_or(usize::MAX).min(self.deposits.len());
        let rest = &self.deposits[start..];
        let count = rest.iter().take(limit).take_while(|deposit| deposit.l1_block <= block).count();
        &rest[..count]
    }

    /// Number of deposits seen.
    pub fn deposit_count(&self) -> u64 {
        self.deposits.len() as u64
    }

    /// A batch by index.
    pub fn batch(&self, index: u64) -> Option<&PostedBatch> {
        self.batches.get(&index)
    }

    /// The newest batch.
    pub fn batch_head(&self) -> Option<&PostedBatch> {
        self.batches.values().next_back()
    }

    /// The newest FINAL batch.
    pub fn final_head(&self) -> Option<&PostedBatch> {
        self.batches.get(&self.final_index)
    }

    /// Operators by id.
    pub fn operators(&self) -> &BTreeMap<u32, Operator> {
        &self.operators
    }
}
