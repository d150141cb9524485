//! Posting of sealed batches to L1.
//!
//! Anybody may post, and one post is enough. So the members take turns: the leader of the block that seals a batch
//! posts at once, the member that would lead its next round waits one turn longer, and so on; whoever is not a member
//! comes last. What is to be posted is read from L1 every time, so there is nothing to remember across a restart and
//! nothing to undo after a reorganisation.

mod anchor;
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
    pub submitter: Arc<Submitter>,
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
        let first_height = self.chain.decided(sealed.block)?.map_or(0, |decided| decided.context.first_height);
        if since.elapsed() < self.turn * rank(&set, self.slots, sealed.block, first_height, self.signer) {
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
            // Another member was faster, or L1 is not there yet.
            Err(SubmitError::Refused(reason)) if is_early_or_late(&reason) => {
                tracing::debug!(index = header.index, %reason, "not now");
                return Ok(false);
            }
            // L1 itself cannot tell contracts the origin's hash any more.
            Err(SubmitError::Refused(reason)) if is_forgotten(&reason) => {
                tracing::info!(index = header.index, %reason, "the origin has to be anchored first");
                return match self.submitter.anchor_by_headers(self.contract, header.l1OriginNumber).await? {
                    true => Ok(true),
                    // L1 reorganised deeper than the chain's confirmations: the batch names a block that is no more.
                    false => Err(SubmitError::Refused(reason).into()),
                };
            }
            Err(SubmitError::Reverted(_)) if taken().await => return Ok(true),
            // What is due may be another batch by now.
            Err(reason @ SubmitError::Moved { .. }) => {
                tracing::info!(index, %reason, "looking again");
                return Ok(false);
            }
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

/// Place of `signer` in the order of posters of the batch that block `sealing` seals: the round of that block in which
/// it leads; last of all if it is no member.
fn rank(set: &FrozenSet, slots: u32, sealing: u64, first_height: u64, signer: Option<Address>) -> u32 {
    let members = set.members().len() as u32;
    let leads = |round| schedule::leader(set, sealing, first_height, round, slots).signer;
    signer.and_then(|signer| (0..members).find(|round| leads(*round) == signer)).unwrap_or(members)
}

/// Refusals that end once the batch's origin is anchored. The hash is wrong, not missing, on a local L1 that was stopped
/// and started again: anvil forgets the hashes of the blocks before.
fn is_forgotten(reason: &RotaError) -> bool {
    matches!(reason.name(), Some("BatchChain_OriginUnknown" | "BatchChain_WrongOrigin"))
}

/// Refusals that end by themselves.
fn is_early_or_late(reason: &RotaError) -> bool {
    matches!(
        reason.name(),
        Some("BatchChain_WrongParent" | "BatchChain_WrongIndex" | "BatchChain_SetNotStarted" | "BatchChain_Paused")
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use alloy_consensus::Header;
    use alloy_primitives::{B256, keccak256};
    use alloy_rlp::Decodable;
    use rota_protocol::{
        batch::{decode_range, hash_batch},
        header::id_of_coinbase,
        member::Member,
    };

    use super::*;
    use crate::{
        chain::SealedBlock,
        consensus::rules::Derivation,
        derivation::tests::{FakeChain, FakeL1, Node, assemble, config},
    };

    #[test]
    fn members_take_turns_and_strangers_come_last() {
        let member = |id: u8| Member { signer: Address::with_last_byte(id), id: id.into(), weight: id.into() };
        let set = FrozenSet::new(2, B256::repeat_byte(3), (1..=5).map(member).collect()).unwrap();
        for sealing in 10..40 {
            let of = |id| rank(&set, 16, sealing, 7, Some(Address::with_last_byte(id)));
            assert_eq!((1..=5).map(of).collect::<BTreeSet<_>>(), (0..5).collect());
            let leader = schedule::leader(&set, sealing, 7, 0, 16).id;
            assert_eq!(of(u8::try_from(leader).unwrap()), 0);
            assert_eq!((of(9), rank(&set, 16, sealing, 7, None)), (5, 5));
        }
    }

    #[tokio::test]
    async fn the_payload_is_what_the_sealing_block_certifies() {
        let l1 = Arc::new(FakeL1::default());
        let config = config(&l1);
        let chain = Arc::new(FakeChain::new(&config));
        let start = l1.tip().timestamp;
        l1.mine(start + 1, 3, None);
        let mut node = Node::new(&config, &chain, &l1);
        node.follow().await;
        for height in 1..=config.batch_blocks + 1 {
            let attributes = node.rules.attributes(height, 1 + (height % 2) as u32, start + height).await.unwrap();
            let block = SealedBlock::new(assemble(&attributes));
            let context = node.rules.advance(&block).await.unwrap();
            chain.push(block, context);
        }
        let sealed = SealedBatches::open(&*chain).unwrap().get(&*chain, 1).unwrap().unwrap();
        assert_eq!(sealed.block, config.batch_blocks + 1);
        let set = node.rules.params(sealed.block + 1).await.unwrap().set;
        let call = post_call(&*chain, &sealed, &set).unwrap();

        let sealing = Header::decode(&mut call.sealingHeaderRlp.as_ref()).unwrap();
        assert_eq!(sealing.extra_data.as_ref(), hash_batch(&sealed.batch.header).as_slice());
        assert_eq!((call.certificate.height, call.certificate.blockHash), (sealed.block, sealing.hash_slow()));
        assert_eq!(keccak256(&call.members), set.hash());
        assert_eq!(keccak256(&call.data), call.header.dataHash);
        assert_eq!((call.header.firstBlock, call.header.lastBlock), (1, config.batch_blocks));
        let (first, blocks) = decode_range(&call.data).unwrap();
        assert_eq!((first, blocks.len() as u64), (1, config.batch_blocks));
        for (height, block) in (1..).zip(&blocks) {
            let decided = chain.decided(height).unwrap().unwrap();
            assert_eq!(block.timestamp, decided.block.header().timestamp);
            assert_eq!(block.origin_number, decided.context.origin.number);
            assert_eq!(Some(block.proposer), id_of_coinbase(decided.block.header().beneficiary));
        }

        // A chain that decided something else cannot post under this certificate.
        let mut other = sealed.clone();
        other.batch.header.dataHash = B256::ZERO;
        assert!(matches!(post_call(&*chain, &other, &set), Err(PayloadError::Data(1))));
    }
}
