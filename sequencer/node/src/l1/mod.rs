//! The node's view of L1: confirmed blocks, frozen sets, deposits, batches and operators.
//!
//! [`Follower`] polls L1 and appends what is confirmed to the database; [`L1View`] answers from there, so that the node
//! starts and serves without L1. Nothing of it decides validity: the rules read only what lies at or below an origin
//! that the chain itself names, and say "not known yet" when this view does not reach that far.

pub(crate) mod abi;
mod endpoint;
mod follower;
mod records;
mod source;
mod state;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, keccak256};
use parking_lot::RwLock;
use rota_protocol::{config::ChainConfig, member::FrozenSet};
use tokio::sync::{Notify, watch};

pub use follower::{Follower, FollowerConfig};
pub use source::{HttpSource, L1Header, L1Log, L1Source, Totals};
pub use state::{L1Event, L1State, Operator, PostedBatch};

use crate::chain::{Deposit, L1Ref};
use records::L1Records;

/// Why L1 data cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum L1Error {
    /// Not a usable endpoint.
    #[error("L1 endpoint: {0}")]
    Endpoint(String),
    /// A request failed; it is repeated.
    #[error("L1 request: {0}")]
    Rpc(String),
    /// L1 changed between two requests, or the endpoint lacks a block; they are repeated.
    #[error("L1 block {number} changed or went away while L1 was read")]
    Moved {
        /// Its height.
        number: u64,
    },
    /// The endpoint has no block at all; another one is asked.
    #[error("the L1 endpoint has no {tag} block")]
    Absent {
        /// Which one was asked for.
        tag: BlockNumberOrTag,
    },
    /// The endpoint withheld a log; another one is asked.
    #[error("the L1 endpoint withholds logs: {0}")]
    Withheld(String),
    /// A log that the contracts cannot have emitted.
    #[error("malformed event in L1 block {number}: {what}")]
    Malformed {
        /// Block of the log.
        number: u64,
        /// What is wrong.
        what: String,
    },
    /// The endpoint serves another L1.
    #[error("the L1 endpoint has chain id {actual}, the chain file says {expected}")]
    WrongChain {
        /// Chain id in the chain file.
        expected: u64,
        /// Chain id of the endpoint.
        actual: u64,
    },
    /// The directory holds the L1 data of another chain.
    #[error("{path} belongs to another chain")]
    OtherChain {
        /// The directory.
        path: PathBuf,
    },
    /// L1 reorganised below the block the rollup started from.
    #[error("L1 reorganised below the rollup's first origin, block {number}")]
    LostGenesis {
        /// Height of that block.
        number: u64,
    },
    /// The database failed.
    #[error("L1 database: {0}")]
    Storage(#[from] fjall::Error),
    /// The database holds something else than was written.
    #[error("L1 database is corrupt: {0}")]
    Corrupt(String),
}

impl L1Error {
    /// Whether repeating the request, perhaps elsewhere, may help.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Rpc(_)) || self.is_contradiction()
    }

    /// Whether an endpoint answered what cannot be true, or what fits none of its other answers.
    const fn is_contradiction(&self) -> bool {
        matches!(self, Self::Moved { .. } | Self::Absent { .. } | Self::Withheld(_) | Self::Malformed { .. })
    }
}

/// How far this node has seen L1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L1Progress {
    /// Newest block seen.
    pub head: L1Ref,
    /// Newest block deep enough to be an origin; all events up to it are known.
    pub confirmed: L1Ref,
    /// Counts looks at L1, successful or not.
    pub polls: u64,
    /// Failures since the last success.
    pub failures: u32,
}

/// Read access to confirmed L1 data; cheap to clone.
#[derive(Clone)]
pub struct L1View {
    shared: Arc<Shared>,
}

struct Shared {
    source: Arc<dyn L1Source>,
    records: L1Records,
    state: RwLock<L1State>,
    progress: watch::Sender<L1Progress>,
    /// Asks the follower to look at L1 now.
    nudge: Notify,
    genesis_origin: B256,
    /// First block that can hold an event.
    start: u64,
}

impl L1View {
    /// Opens the database in `path`; a [`Follower`] over the same view fills it.
    ///
    /// # Errors
    /// Disk failure, corruption, or the data of another chain.
    pub fn open(path: &Path, chain: &ChainConfig, source: Arc<dyn L1Source>) -> Result<Self, L1Error> {
        let identity =
            keccak256([chain.contracts.batch_chain.as_slice(), chain.genesis_origin.hash.as_slice()].concat());
        let records = L1Records::open(path, identity)?;
        let state = RwLock::new(records.state()?);
        let confirmed = records.confirmed()?.unwrap_or_default();
        let (progress, _) = watch::channel(L1Progress { head: confirmed, confirmed, ..L1Progress::default() });
        let (genesis_origin, start) = (chain.genesis_origin.hash, chain.deployed_at_block);
        let shared = Shared { source, records, state, progress, nudge: Notify::new(), genesis_origin, start };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How far L1 is known.
    pub fn progress(&self) -> L1Progress {
        *self.shared.progress.borrow()
    }

    /// Follows [`Self::progress`].
    pub fn subscribe(&self) -> watch::Receiver<L1Progress> {
        self.shared.progress.subscribe()
    }

    /// The block with this hash, if it is confirmed. Waits at most `patience` for it to become so. One below `lowest`
    /// is no use to the caller, so it is answered as L1 describes it, confirmed or not, without a search.
    ///
    /// # Errors
    /// Disk failure.
    pub async fn origin(&self, hash: B256, lowest: u64, patience: Duration) -> Result<Option<L1Ref>, L1Error> {
        if let Some(block) = self.shared.records.by_hash(hash)? {
            return Ok(Some(block));
        }
        let deadline = Instant::now() + patience;
        match tokio::time::timeout(patience, self.look_up(hash, lowest)).await {
            Ok(Ok(Some(block))) => return Ok(Some(block)),
            // What L1 cannot tell now, the follower may find out in the time that is left.
            Ok(Ok(None) | Err(L1Error::Rpc(_))) | Err(_) => {}
            Ok(Err(error)) => return Err(error),
        }
        let mut progress = self.subscribe();
        loop {
            self.shared.nudge.notify_one();
            let changed = tokio::time::timeout_at(deadline.into(), progress.changed()).await;
            if let Some(block) = self.shared.records.by_hash(hash)? {
                return Ok(Some(block));
            }
            if !matches!(changed, Ok(Ok(()))) {
                return Ok(None);
            }
            // A failing L1 makes the follower report at once; do not spin on it.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks L1 for a block that lies below the confirmed one, where the follower may have skipped headers. Only an
    /// ancestor of what the follower appended is remembered, with all blocks in between: another one would belong to a
    /// chain that the follower has not seen, and hide from it where that chain begins. Nothing below `lowest` or below
    /// the contracts is looked for: a proposer chooses the hash, and must not make every node read L1 back to its start.
    async fn look_up(&self, hash: B256, lowest: u64) -> Result<Option<L1Ref>, L1Error> {
        let (source, records) = (&self.shared.source, &self.shared.records);
        let Some(wanted) = source.header_by_hash(hash).await? else { return Ok(None) };
        let wanted = wanted.block;
        if wanted.number < lowest {
            return Ok(Some(wanted));
        }
        if !(self.shared.start..=self.progress().confirmed.number).contains(&wanted.number) {
            return Ok(None);
        }
        let Some(known) = records.at_or_above(wanted.number)? else { return Ok(None) };
        if known.number == wanted.number {
            return Ok((known == wanted).then_some(wanted));
        }
        let Some(mut child) = source.header_by_hash(known.hash).await? else { return Ok(None) };
        while child.block.number > wanted.number {
            let Some(parent) = source.header_by_hash(child.parent).await? else { return Ok(None) };
            // Each step is kept: the caller's patience may end before this loop does.
            if parent.block.number + 1 != child.block.number || !records.remember(&child.block, &parent.block)? {
                return Ok(None);
            }
            child = parent;
        }
        Ok((child.block == wanted).then_some(wanted))
    }

    /// Least origin of block 1.
    ///
    /// # Errors
    /// Disk failure.
    pub async fn genesis_origin(&self, patience: Duration) -> Result<Option<L1Ref>, L1Error> {
        self.origin(self.shared.genesis_origin, 0, patience).await
    }

    /// The newest confirmed block with a timestamp in `timestamps` and at least the height `number`.
    ///
    /// # Errors
    /// Disk failure.
    pub fn newest_origin(
        &self,
        number: u64,
        timestamps: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<L1Ref>, L1Error> {
        for block in self.shared.records.descending(self.progress().confirmed.number) {
            let block = block?;
            if block.number < number || block.timestamp < *timestamps.start() {
                return Ok(None);
            }
            if block.timestamp <= *timestamps.end() {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// Whether `block` is on the canonical chain as far as this node knows: false for one that a reorganisation deeper
    /// than the confirmations took away.
    ///
    /// # Errors
    /// Disk failure.
    pub fn is_canonical(&self, block: &L1Ref) -> Result<bool, L1Error> {
        Ok(self.shared.records.by_number(block.number)? == Some(*block))
    }

    /// At most `limit` deposits from `index` on that were made up to L1 block `block`, which must be confirmed.
    pub fn deposits(&self, index: u64, block: u64, limit: usize) -> Vec<Deposit> {
        self.shared.state.read().deposits(index, block, limit).to_vec()
    }

    /// The set frozen for exactly `epoch`.
    pub fn set(&self, epoch: u32) -> Option<Arc<FrozenSet>> {
        self.shared.state.read().set(epoch).cloned()
    }

    /// The last set frozen for an epoch `≤ epoch`. Exact once a block of `epoch` or later is confirmed, because a set
    /// can be frozen only before its epoch starts (protocol section 1).
    pub fn serving_set(&self, epoch: u32) -> Option<Arc<FrozenSet>> {
        self.shared.state.read().serving_set(epoch).cloned()
    }

    /// The first epoch after `epoch` that a set was frozen for, as far as is known.
    pub fn set_after(&self, epoch: u32) -> Option<u32> {
        self.shared.state.read().set_after(epoch)
    }

    /// A batch on L1 by index.
    pub fn batch(&self, index: u64) -> Option<PostedBatch> {
        self.shared.state.read().batch(index).cloned()
    }

    /// The newest batch on L1.
    pub fn batch_head(&self) -> Option<PostedBatch> {
        self.shared.state.read().batch_head().cloned()
    }

    /// The newest FINAL batch.
    pub fn final_head(&self) -> Option<PostedBatch> {
        self.shared.state.read().final_head().cloned()
    }

    /// Every operator with its id.
    pub fn operators(&self) -> Vec<(u32, Operator)> {
        self.shared.state.read().operators().iter().map(|(id, operator)| (*id, operator.clone())).collect()
    }

    /// Id of the operator that signs with `signer` now.
    pub fn operator_of(&self, signer: Address) -> Option<u32> {
        let state = self.shared.state.read();
        state.operators().iter().find(|(_, operator)| operator.signer == signer).map(|(id, _)| *id)
    }
}
