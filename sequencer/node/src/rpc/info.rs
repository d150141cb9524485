//! What the RPC needs to know from the rest of the node, and nothing more.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes};
use rota_protocol::{batch::BatchHeader, member::FrozenSet};

use crate::{
    chain::L1Ref,
    evidence::{Report, StoreError},
};

/// Where L1 stands behind the decided chain. Both only grow, except after a batch was removed on L1.
pub trait Labels: Send + Sync + 'static {
    /// Last L2 block inside a batch posted on L1 (tag `safe`); 0 before the first.
    fn safe(&self) -> u64;
    /// Last L2 block inside a FINAL batch (tag `finalized`); 0 before the first.
    fn finalized(&self) -> u64;
}

/// What the `rota_*` methods report beyond the decided chain itself. Every call but one answers from memory.
pub trait RotaInfo: Send + Sync + 'static {
    /// The set frozen for `epoch`; `None` if that epoch was never frozen or is not known to this node.
    fn frozen_set(&self, epoch: u32) -> Option<Arc<FrozenSet>>;
    /// Who serves `height`: exact up to the next height to decide, above that as if no other set were frozen.
    fn serving(&self, height: u64) -> Option<Serving>;
    /// A batch by its index, from 1; of several with that index the one on the canonical chain of batches.
    fn batch_by_index(&self, index: u64) -> Option<BatchInfo>;
    /// A batch by its hash.
    fn batch_by_hash(&self, hash: B256) -> Option<BatchInfo>;
    /// What is on record about a height or an operator, from disk; `None` while the record is not open.
    fn evidence(&self, height: Option<u64>, operator: Option<u32>) -> Option<Result<Report, StoreError>>;
    /// The node's own view of itself.
    fn status(&self) -> NodeStatus;
}

/// The frozen set that serves a height (protocol section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    /// σ: epoch of the frozen set.
    pub sigma: u32,
    /// First height served by σ, where its first window of slots starts.
    pub first_height: u64,
}

/// Life of a batch (protocol section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BatchStatus {
    /// Certified by a decided L2 block, not on L1 yet.
    Sealed,
    /// On L1, its clock runs.
    Posted,
    /// On L1, its clock is stopped.
    Flagged,
    /// Rolled back.
    Removed,
    /// Above a removed batch.
    Orphaned,
    /// Its withdrawals, fees and tallies count.
    Final,
}

/// A batch as this node knows it.
#[derive(Clone, Debug)]
pub struct BatchInfo {
    /// keccak256 of the ABI-encoded header.
    pub hash: B256,
    /// What was certified.
    pub header: BatchHeader,
    /// Preimage of `header.tally.root`: 32 bytes per member of σ in member order; empty without a tally. The keeper
    /// opens and credits the epoch on L1 with it (protocol section 9), and it is nowhere else.
    pub tally_entries: Bytes,
    /// Where it is in its life.
    pub status: BatchStatus,
    /// Height of the L2 block that carries `hash` in its `extra_data`.
    pub sealing_block: Option<u64>,
    /// L1 block that includes the post.
    pub l1_block: Option<u64>,
    /// L1 transaction that posted it.
    pub l1_transaction: Option<B256>,
    /// Who posted it.
    pub poster: Option<Address>,
    /// Unix seconds from which it can be finalized.
    pub final_at: Option<u64>,
}

/// A node's view of itself.
#[derive(Clone, Debug, Default)]
pub struct NodeStatus {
    /// Operator id this node signs for; `None` for a follower, or before registration is seen.
    pub operator: Option<u32>,
    /// `active`, `jailed`, `retired` or `tombstoned`; `None` until L1 has told, and for a follower.
    pub operator_status: Option<&'static str>,
    /// Address of the signing key; `None` for a follower.
    pub signer: Option<Address>,
    /// Height consensus works on.
    pub height: u64,
    /// Round consensus works on.
    pub round: u32,
    /// Height the chain has reached according to L1, while this node's head is below it.
    pub sync_target: Option<u64>,
    /// libp2p peer ids connected now.
    pub peers: Vec<String>,
    /// Newest L1 block seen.
    pub l1_head: L1Ref,
    /// Newest L1 block deep enough to be an origin.
    pub l1_confirmed: L1Ref,
    /// Index of the newest sealed batch; 0 before the first.
    pub sealed_batch: u64,
    /// Index of the newest batch on L1; 0 before the first.
    pub posted_batch: u64,
    /// Index of the newest FINAL batch; 0 before the first.
    pub final_batch: u64,
}
