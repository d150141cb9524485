//! Posting of sealed batches to L1.
//!
//! Anybody may post, and one post is enough. So the members take turns: the leader of the block that seals a batch
//! posts at once, the member that would lead its next round waits one turn longer, and so on; whoever is not a member
//! comes last. What is to be posted is read from L1 every time, so there is nothing to remember across a restart and
//! nothing to undo after a reorganisation.

mod payload;
mod submit;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, Bytes};
use alloy_sol_types::SolCall;
use futures::FutureExt;
use rota_bindings::{BatchChain, RotaError};
use rota_protocol::{member::FrozenSet, schedule};
use tokio_util::sync::CancellationToken;

pub use payload::{PayloadError, post_call};
pub use submit::{SubmitError, Submitter};

use crate::{
    chain::{DecidedChain, EngineError},
    l1::L1View,
    sealed::{Sealed, SealedBatches},
};

/// Time between two looks at what is due when nothing happens.
const PERIOD: Duration = Duration::from_secs(1);
const BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Why batches cannot be posted.
#[derive(Debug, thiserror::Error)]
pub enum BatcherError {
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] EngineError),
    /// A batch cannot be rebuilt.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// L1 does not take it.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// L1 stands on a batch that this node's chain does not have.
    #[error("batch {index} on L1 is {on_l1}, here it is {here}: this node follows another chain")]
    OtherChain {
        /// Index of the batch.
        index: u64,
        /// Its hash on L1.
        on_l1: alloy_primitives::B256,
        /// Its hash here.
        here: alloy_primitives::B256,
    },
}

impl BatcherError {
    /// Whether this is about the node itself and not about L1.
    const fn is_fatal(&self) -> bool {
        matches!(self, Self::Chain(_) | Self::Payload(PayloadError::Chain(_)))
    }
}

/// Posts batches as its turn comes.
pub struct Batcher {
    /// Reads the decided chain.
    pub chain: Arc<dyn DecidedChain>,
    /// What was sealed.
    pub sealed: SealedBatches,
    /// Frozen sets and the L1 head.
    pub l1: L1View,
    /// Pays.
    pub submitter: Submitter,
    /// `BatchChain` on L1.
    pub contract: Address,
    /// Consensus key, which ranks this node among the members.
    pub signer: Option<Address>,
    /// Slots of a schedule window.
    pub slots: u32,
    /// Head start of each better ranked poster.
    pub turn: Duration,
}

/// The batch that is due, and since when.
struct Due {
    index: u64,
    since: Instant,
}

impl Batcher {
    /// Posts until `shutdown`.
    ///
    /// # Errors
    /// Only when this node's own data cannot be read: failures of L1 are retried for ever.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), BatcherError> {
        let mut events = self.chain.subscribe();
        let (mut due, mut failures) = (None, 0u32);
        tracing::info!(account = %self.submitter.address(), "posting batches");
        loop {
            let step = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                step = self.step(&mut due) => step,
            };
            if step.is_ok() {
                failures = 0;
            }
            let pause = match step {
                Ok(true) => Duration::ZERO,
                Ok(false) => PERIOD,
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    failures = failures.saturating_add(1);
                    metrics::counter!("rota_batcher_errors_total").increment(1);
                    tracing::warn!(%error, failures, "a batch could not be posted");
                    MAX_BACKOFF.min(BACKOFF * 2u32.saturating_pow(failures.min(8) - 1))
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
                // Most blocks seal nothing; those that do are posted without waiting for the next look.
                _ = events.recv(), if failures == 0 && pause > Duration::ZERO => {}
            }
        }
    }

    /// Posts the next batch if it is this node's turn; true if another one may be due at once.
    async fn step(&self, due: &mut Option<Due>) -> Result<bool, BatcherError> {
        let count = self.sealed.count();
        // What is confirmed is a lower bound: without anything newer L1 need not be asked.
        if count <= self.l1.batch_head().map_or(0, |batch| batch.index) {
            *due = None;
            return Ok(false);
        }
        let head = self.submitter.view(self.contract, BatchChain::headStateCall {}).await?;
        metrics::gauge!("rota_batcher_backlog").set(count.saturating_sub(head.index) as f64);
        let index = head.index + 1;
        if index > count {
            *due = None;
            return Ok(false);
        }
        let since = match due {
            Some(due) if due.index == index => due.since,
            _ => due.insert(Due { index, since: Instant::now() }).since,
        };
        let Some(sealed) = self.sealed.get(&*self.chain, index)? else { return Ok(false) };
        let header = &sealed.batch.header;
        if header.parent != head.hash {
            return Err(BatcherError::OtherChain { index: head.index, on_l1: head.hash, here: header.parent });
        }
        // A set is confirmed before it serves; after a restart the view may still be on its way there.
        let Some(set) = self.l1.set(header.epoch) else { return Ok(false) };
        let rank = rank(&set, &sealed, self.chain.decided(sealed.block)?.map(|d| d.context.first_height), self);
        if since.elapsed() < self.turn * rank {
            return Ok(false);
        }
        self.post(&sealed, &set).await
    }

    async fn is_posted(&self, index: u64) -> bool {
        self.submitter.view(self.contract, BatchChain::headIndexCall {}).await.is_ok_and(|head| head >= index)
    }

    async fn post(&self, sealed: &Sealed, set: &FrozenSet) -> Result<bool, BatcherError> {
        let header = &sealed.batch.header;
        let call = post_call(&*self.chain, sealed, set)?;
        let bytes = call.data.len();
        let index = header.index;
        let taken = || self.is_posted(index).boxed();
        let started = Instant::now();
        let receipt = match self.submitter.send(self.contract, Bytes::from(call.abi_encode()), taken).await {
            Ok(receipt) => receipt,
            // Another member was faster, or L1 has not reached the batch's origin in the block this was tried on.
            Err(SubmitError::Refused(reason)) if is_early_or_late(&reason) => {
                tracing::debug!(index = header.index, %reason, "not now");
                return Ok(false);
            }
            Err(SubmitError::Reverted(_)) if taken().await => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        if let Some(receipt) = receipt {
            metrics::counter!("rota_batches_posted_total").increment(1);
            metrics::histogram!("rota_batch_post_seconds").record(started.elapsed().as_secs_f64());
            tracing::info!(
                index = header.index,
                blocks = header.lastBlock - header.firstBlock + 1,
                bytes,
                gas = receipt.gas_used,
                transaction = %receipt.transaction_hash,
                "batch posted"
            );
        }
        Ok(true)
    }
}

/// Place of this node in the order of posters.
fn rank(set: &FrozenSet, sealed: &Sealed, first_height: Option<u64>, batcher: &Batcher) -> u32 {
    let members = set.members().len() as u32;
    let own = batcher.signer.and_then(|signer| set.index_of_signer(signer)).map(|index| set.members()[index].id);
    let (Some(own), Some(first)) = (own, first_height) else { return members };
    (0..members)
        .find(|round| schedule::leader(set, sealed.block, first, *round, batcher.slots).id == own)
        .unwrap_or(members)
}

/// Refusals that end by themselves.
fn is_early_or_late(reason: &RotaError) -> bool {
    matches!(
        reason.name(),
        Some(
            "BatchChain_WrongParent"
                | "BatchChain_WrongIndex"
                | "BatchChain_OriginUnknown"
                | "BatchChain_SetNotStarted"
                | "BatchChain_Paused"
        )
    )
}
