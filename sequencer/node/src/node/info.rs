//! What the node tells about itself: RPC labels, `rota_*` methods, readiness.

use std::{
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, B256};
use libp2p::PeerId;
use rota_protocol::{batch::encode_entries, member::FrozenSet};
use tokio::sync::watch;

use super::standing::{Known, Standing};
use crate::{
    chain::DecidedChain,
    consensus::ConsensusStatus,
    derivation::Rules,
    evidence::{EvidenceStore, Report, StoreError},
    l1::L1View,
    metrics::{Probe, Readiness},
    rpc::{BatchInfo, BatchStatus, Labels, NodeStatus, RotaInfo, Serving},
    sealed::{Sealed, SealedBatches},
    store::Chain,
};

/// A head older than this many seconds means that the node is behind, or that the chain stands still.
const STALE: u64 = 30;

/// The node's view of itself.
pub struct NodeInfo {
    pub(super) chain: Arc<Chain>,
    pub(super) l1: L1View,
    pub(super) rules: Arc<Rules>,
    pub(super) sealed: SealedBatches,
    pub(super) consensus: watch::Receiver<ConsensusStatus>,
    pub(super) gossip: watch::Receiver<Vec<PeerId>>,
    pub(super) signer: Option<Address>,
    /// Where the operator stands, once L1 has told.
    pub(super) standing: Known,
    /// What members signed, once it is open.
    pub(super) evidence: OnceLock<EvidenceStore>,
    /// Seconds from a post to its finality, once L1 has told.
    pub(super) challenge_window: OnceLock<u64>,
}

impl NodeInfo {
    /// Id of the operator this node signs for: as a member of the serving set, else as registered.
    pub fn operator(&self) -> Option<u32> {
        let signer = self.signer?;
        let member = self.rules.next_serving().and_then(|(sigma, _)| {
            let set = self.l1.set(sigma)?;
            set.index_of_signer(signer).map(|index| set.members()[index].id)
        });
        member.or_else(|| self.l1.operator_of(signer))
    }

    fn describe(&self, entry: &Sealed) -> BatchInfo {
        let hash = entry.batch.hash();
        let posted = self.l1.batch(entry.batch.header.index).filter(|posted| posted.hash == hash);
        BatchInfo {
            hash,
            header: entry.batch.header.clone(),
            tally_entries: encode_entries(&entry.batch.entries).into(),
            status: match &posted {
                None => BatchStatus::Sealed,
                Some(posted) if posted.is_final => BatchStatus::Final,
                Some(_) => BatchStatus::Posted,
            },
            sealing_block: Some(entry.block),
            l1_block: posted.as_ref().map(|posted| posted.l1_block.number),
            l1_transaction: posted.as_ref().map(|posted| posted.transaction),
            poster: posted.as_ref().map(|posted| posted.poster),
            final_at: posted.and_then(|posted| Some(posted.l1_block.timestamp + self.challenge_window.get()?)),
        }
    }
}

impl Labels for NodeInfo {
    fn safe(&self) -> u64 {
        self.l1.batch_head().map_or(0, |batch| batch.last_block).min(self.chain.head_number())
    }

    fn finalized(&self) -> u64 {
        self.l1.final_head().map_or(0, |batch| batch.last_block).min(self.chain.head_number())
    }
}

impl RotaInfo for NodeInfo {
    fn evidence(&self, height: Option<u64>, operator: Option<u32>) -> Option<Result<Report, StoreError>> {
        Some(self.evidence.get()?.report(height, operator))
    }

    fn frozen_set(&self, epoch: u32) -> Option<Arc<FrozenSet>> {
        self.l1.set(epoch)
    }

    fn serving(&self, height: u64) -> Option<Serving> {
        if height > self.chain.head_number() {
            let (sigma, first_height) = self.rules.next_serving()?;
            return Some(Serving { sigma, first_height });
        }
        let decided = self.chain.decided_block(height).ok()??;
        Some(Serving { sigma: decided.context.sigma, first_height: decided.context.first_height })
    }

    fn batch_by_index(&self, index: u64) -> Option<BatchInfo> {
        let entry = self.sealed.get(&*self.chain, index).ok()??;
        Some(self.describe(&entry))
    }

    fn batch_by_hash(&self, hash: B256) -> Option<BatchInfo> {
        self.batch_by_index(self.sealed.index_of(hash)?)
    }

    fn status(&self) -> NodeStatus {
        let (consensus, l1) = (self.consensus.borrow().clone(), self.l1.progress());
        let mut peers = consensus.peers;
        peers.extend(self.gossip.borrow().iter().map(ToString::to_string));
        peers.sort();
        peers.dedup();
        NodeStatus {
            operator: self.operator(),
            operator_status: self.standing.lock().map(Standing::name),
            signer: self.signer,
            height: consensus.height,
            round: consensus.round,
            sync_target: sync_target(self.chain.head_number(), self.l1.batch_head().map(|batch| batch.last_block)),
            peers,
            l1_head: l1.head,
            l1_confirmed: l1.confirmed,
            sealed_batch: self.sealed.count(),
            posted_batch: self.l1.batch_head().map_or(0, |batch| batch.index),
            final_batch: self.l1.final_head().map_or(0, |batch| batch.index),
        }
    }
}

impl Probe for NodeInfo {
    fn readiness(&self) -> Readiness {
        let mut missing = Vec::new();
        let l1 = self.l1.progress();
        if l1.failures > 0 {
            missing.push(format!("L1 has not answered {} times", l1.failures));
        }
        if self.consensus.borrow().height == 0 {
            missing.push("consensus has not started".into());
        }
        let head = self.chain.head_header();
        let age = unix_now().saturating_sub(head.timestamp);
        if head.number == 0 {
            missing.push("no block is decided yet".into());
        } else if age > STALE {
            missing.push(format!("block {} is {age} s old", head.number));
        }
        Readiness { ready: missing.is_empty(), missing }
    }
}

/// Height that the chain has reached for certain, if this node has not: the block that sealed the newest batch on L1. No
/// peer has to be believed.
fn sync_target(head: u64, posted: Option<u64>) -> Option<u64> {
    posted.map(|last_block| last_block + 1).filter(|sealing| *sealing > head)
}

pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_catches_up_with_what_was_sealed_on_l1() {
        assert_eq!(sync_target(0, None), None);
        assert_eq!(sync_target(0, Some(40)), Some(41));
        assert_eq!(sync_target(40, Some(40)), Some(41));
        assert_eq!(sync_target(41, Some(40)), None);
        assert_eq!(sync_target(900, Some(40)), None);
    }
}
