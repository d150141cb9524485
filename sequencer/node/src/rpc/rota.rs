//! The `rota_*` methods: who orders transactions, and what of it is on L1.
//!
//! Heights, epochs, ids, rounds and seconds are JSON numbers; hashes, addresses and wei are hex strings. A height
//! parameter is a number, a hex quantity or a tag.

use std::sync::Arc;

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolValue as _;
use jsonrpsee::proc_macros::rpc;
use rota_protocol::{
    batch::BatchHeader,
    header::coinbase,
    member::{FrozenSet, Member},
    schedule,
    vote::Signature65,
};
use serde::{Deserialize, Serialize};

use super::{
    BatchInfo, BatchStatus,
    backend::Backend,
    error::{RpcError, RpcResult},
    net::CLIENT_VERSION,
};
use crate::{
    chain::{DecidedChain, L1Ref},
    evidence::Report,
};

/// Most slots one answer of `rota_leaderSchedule` lists.
const MAX_SLOTS: u64 = 1_024;

/// The sequencer network.
#[rpc(server, namespace = "rota")]
pub(super) trait Rota {
    /// This node, its chain and its view of L1.
    #[method(name = "status")]
    fn status(&self) -> RpcResult<StatusResponse>;

    /// The frozen set of an epoch; by default the one that serves the next height. `null` if it was never frozen.
    #[method(name = "members")]
    fn members(&self, epoch: Option<u32>) -> RpcResult<Option<SetResponse>>;

    /// Leaders of `count` heights from `from` on; by default one window from the next height on. Beyond the next
    /// height it holds as long as no other set takes over.
    #[method(name = "leaderSchedule")]
    fn leader_schedule(&self, from: Option<Height>, count: Option<u64>) -> RpcResult<ScheduleResponse>;

    /// The signatures that decided a block; `null` for genesis and heights above the head.
    #[method(name = "certificate")]
    fn certificate(&self, height: Height) -> RpcResult<Option<CertificateResponse>>;

    /// A batch by index or hash; `null` if there is none.
    #[method(name = "batch")]
    fn batch(&self, id: BatchId) -> RpcResult<Option<BatchResponse>>;

    /// What this node recorded of what members signed, and what became of it: about a height, an operator or both. `null`
    /// while the record is not open.
    #[method(name = "evidence", blocking)]
    fn evidence(&self, about: About) -> RpcResult<Option<Report>>;
}

/// What evidence is asked about.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct About {
    height: Option<Height>,
    operator: Option<u32>,
}

/// A height as users write it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Height {
    Number(u64),
    Tag(BlockNumberOrTag),
}

/// A batch by either of its names.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum BatchId {
    Index(u64),
    Hash(B256),
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusResponse {
    version: &'static str,
    chain_id: u64,
    operator: Option<u32>,
    operator_status: Option<&'static str>,
    signer: Option<Address>,
    head: HeadResponse,
    safe: u64,
    finalized: u64,
    consensus: ConsensusResponse,
    batches: BatchesResponse,
    l1: L1Response,
    mempool: MempoolResponse,
    peers: Vec<String>,
    sync_target: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadResponse {
    number: u64,
    hash: B256,
    timestamp: u64,
    state_root: B256,
    /// σ of the head.
    epoch: u32,
    l1_origin: L1Block,
    deposits: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConsensusResponse {
    height: u64,
    round: u32,
    /// σ of that height.
    epoch: Option<u32>,
    leader: Option<u32>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchesResponse {
    sealed: u64,
    posted: u64,
    r#final: u64,
    /// Decided blocks that are not in a posted batch.
    unposted_blocks: u64,
}

#[derive(Clone, Debug, Serialize)]
struct L1Response {
    head: L1Block,
    confirmed: L1Block,
}

#[derive(Clone, Debug, Serialize)]
struct MempoolResponse {
    pending: usize,
    queued: usize,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct L1Block {
    number: u64,
    hash: B256,
    timestamp: u64,
}

impl From<L1Ref> for L1Block {
    fn from(L1Ref { number, hash, timestamp }: L1Ref) -> Self {
        Self { number, hash, timestamp }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetResponse {
    epoch: u32,
    seed: B256,
    /// As `SequencerSet.setHash(epoch)` on L1.
    set_hash: B256,
    /// Gwei of native tokens.
    total_weight: u64,
    members: Vec<MemberResponse>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberResponse {
    id: u32,
    signer: Address,
    /// Gwei of native tokens.
    weight: u64,
    /// L2 account its blocks name as beneficiary.
    coinbase: Address,
}

impl From<&Member> for MemberResponse {
    fn from(member: &Member) -> Self {
        Self { id: member.id, signer: member.signer, weight: member.weight, coinbase: coinbase(member.id) }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScheduleResponse {
    slots: Vec<SlotResponse>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SlotResponse {
    height: u64,
    /// σ.
    epoch: u32,
    window: u64,
    slot: u64,
    leader: u32,
    signer: Address,
    /// Who takes over in rounds 1, 2, …
    fallbacks: Vec<u32>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateResponse {
    height: u64,
    round: u32,
    /// σ.
    epoch: u32,
    fork: u32,
    block_hash: B256,
    /// Bit `i`: member `i` of the set signed.
    signers: U256,
    /// In the order of members.
    signatures: Vec<SignatureResponse>,
    /// Weight that signed, gwei; absent while this node does not know the set.
    weight: Option<u64>,
    total_weight: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SignatureResponse {
    /// Position in the set.
    index: usize,
    id: Option<u32>,
    signer: Option<Address>,
    signature: Bytes,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchResponse {
    hash: B256,
    status: BatchStatus,
    header: BatchHeaderResponse,
    /// ABI encoding of the header, the preimage of `hash`: what the contracts take.
    header_abi: Bytes,
    tally_entries: Bytes,
    sealing_block: Option<u64>,
    l1_block: Option<u64>,
    l1_transaction: Option<B256>,
    poster: Option<Address>,
    final_at: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchHeaderResponse {
    index: u64,
    parent: B256,
    attempt: u32,
    fork: u32,
    epoch: u32,
    first_block: u64,
    last_block: u64,
    last_block_hash: B256,
    state_root: B256,
    data_hash: B256,
    deposit_end: u64,
    forced_end: u64,
    l1_origin_number: u64,
    l1_origin_hash: B256,
    tally: Option<TallyResponse>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TallyResponse {
    epoch: u32,
    root: B256,
    count: u32,
    blocks: u64,
    /// Wei.
    fees: U256,
}

/// Implementation of [`RotaServer`].
pub(super) struct RotaApi {
    pub(super) backend: Arc<Backend>,
}

impl RotaApi {
    fn height(&self, height: Height) -> u64 {
        match height {
            Height::Number(number) => number,
            Height::Tag(tag) => self.backend.number_of_tag(tag),
        }
    }

    /// The set that serves `height` and the first height it served.
    fn serving(&self, height: u64) -> Option<(Arc<FrozenSet>, u64)> {
        let serving = self.backend.rota.serving(height)?;
        Some((self.backend.rota.frozen_set(serving.sigma)?, serving.first_height))
    }
}

impl RotaServer for RotaApi {
    fn status(&self) -> RpcResult<StatusResponse> {
        let Backend { chain, pool, labels, rota, config, .. } = self.backend.as_ref();
        let (head, node, pool) = (chain.head(), rota.status(), pool.status());
        let safe = labels.safe().min(head.number);
        let leader = self
            .serving(node.height)
            .map(|(set, first)| schedule::leader(&set, node.height, first, node.round, config.slots_per_window).id);
        Ok(StatusResponse {
            version: CLIENT_VERSION,
            chain_id: chain.chain_id(),
            operator: node.operator,
            operator_status: node.operator_status,
            signer: node.signer,
            head: HeadResponse {
                number: head.number,
                hash: head.hash,
                timestamp: head.header.timestamp,
                state_root: head.header.state_root,
                epoch: head.context.sigma,
                l1_origin: head.context.origin.into(),
                deposits: head.context.deposits_end,
            },
            safe,
            finalized: labels.finalized().min(head.number),
            consensus: ConsensusResponse {
                height: node.height,
                round: node.round,
                epoch: rota.serving(node.height).map(|serving| serving.sigma),
                leader,
            },
            batches: BatchesResponse {
                sealed: node.sealed_batch,
                posted: node.posted_batch,
                r#final: node.final_batch,
                unposted_blocks: head.number - safe,
            },
            l1: L1Response { head: node.l1_head.into(), confirmed: node.l1_confirmed.into() },
            mempool: MempoolResponse { pending: pool.pending, queued: pool.queued },
            peers: node.peers,
            sync_target: node.sync_target,
        })
    }

    fn members(&self, epoch: Option<u32>) -> RpcResult<Option<SetResponse>> {
        let rota = &self.backend.rota;
        let epoch = match epoch {
            Some(epoch) => Some(epoch),
            None => rota.serving(self.backend.head() + 1).map(|serving| serving.sigma),
        };
        let set = epoch.and_then(|epoch| rota.frozen_set(epoch));
        Ok(set.map(|set| SetResponse {
            epoch: set.epoch(),
            seed: set.seed(),
            set_hash: set.hash(),
            total_weight: set.total_weight(),
            members: set.members().iter().map(MemberResponse::from).collect(),
        }))
    }

    fn leader_schedule(&self, from: Option<Height>, count: Option<u64>) -> RpcResult<ScheduleResponse> {
        let slots = self.backend.config.slots_per_window;
        let from = from.map_or_else(|| self.backend.head() + 1, |height| self.height(height));
        let count = count.unwrap_or_else(|| slots.into());
        if from == 0 {
            return Err(RpcError::params("block 0 has no leader"));
        }
        if count > MAX_SLOTS {
            return Err(RpcError::LimitExceeded(format!("more than {MAX_SLOTS} slots")));
        }
        let slot = |height: u64| {
            let (set, first_height) = self.serving(height)?;
            let offset = height.checked_sub(first_height)?;
            let leader = |round| schedule::leader(&set, height, first_height, round, slots);
            let rounds = u32::try_from(set.members().len()).ok()?;
            Some(SlotResponse {
                height,
                epoch: set.epoch(),
                window: offset / u64::from(slots),
                slot: offset % u64::from(slots),
                leader: leader(0).id,
                signer: leader(0).signer,
                fallbacks: (1..rounds).map(|round| leader(round).id).collect(),
            })
        };
        let slots = (from..from.saturating_add(count)).map(slot).collect::<Option<Vec<_>>>();
        let slots = slots.ok_or_else(|| RpcError::refused("the frozen set of these heights is not known yet"))?;
        Ok(ScheduleResponse { slots })
    }

    fn certificate(&self, height: Height) -> RpcResult<Option<CertificateResponse>> {
        let Some(decided) = self.backend.chain.decided(self.height(height)).map_err(RpcError::internal)? else {
            return Ok(None);
        };
        let certificate = &decided.certificate;
        let set = self.backend.rota.frozen_set(certificate.epoch);
        let member = |index: usize| set.as_ref().and_then(|set| set.members().get(index));
        let indices = (0..U256::BITS).filter(|bit| certificate.signers.bit(*bit));
        let signed: Vec<_> = indices.clone().filter_map(member).collect();
        Ok(Some(CertificateResponse {
            height: certificate.height,
            round: certificate.round,
            epoch: certificate.epoch,
            fork: certificate.fork,
            block_hash: certificate.block_hash,
            signers: certificate.signers,
            signatures: indices
                .zip(&certificate.signatures)
                .map(|(index, signature): (usize, &Signature65)| SignatureResponse {
                    index,
                    id: member(index).map(|member| member.id),
                    signer: member(index).map(|member| member.signer),
                    signature: Bytes::copy_from_slice(signature.as_bytes()),
                })
                .collect(),
            weight: set.as_ref().map(|_| signed.iter().map(|member| member.weight).sum()),
            total_weight: set.as_ref().map(|set| set.total_weight()),
        }))
    }

    fn batch(&self, id: BatchId) -> RpcResult<Option<BatchResponse>> {
        let rota = &self.backend.rota;
        let info = match id {
            BatchId::Index(index) => rota.batch_by_index(index),
            BatchId::Hash(hash) => rota.batch_by_hash(hash),
        };
        Ok(info.map(BatchResponse::from))
    }

    fn evidence(&self, about: About) -> RpcResult<Option<Report>> {
        if about.height.is_none() && about.operator.is_none() {
            return Err(RpcError::params("give a height, an operator or both, such as {\"height\": 7}"));
        }
        let height = about.height.map(|height| self.height(height));
        let report = self.backend.rota.evidence(height, about.operator).transpose();
        report.map_err(|error| RpcError::Internal(error.to_string()))
    }
}

impl From<BatchInfo> for BatchResponse {
    fn from(info: BatchInfo) -> Self {
        Self {
            hash: info.hash,
            status: info.status,
            header: (&info.header).into(),
            header_abi: info.header.abi_encode().into(),
            tally_entries: info.tally_entries,
            sealing_block: info.sealing_block,
            l1_block: info.l1_block,
            l1_transaction: info.l1_transaction,
            poster: info.poster,
            final_at: info.final_at,
        }
    }
}

impl From<&BatchHeader> for BatchHeaderResponse {
    fn from(header: &BatchHeader) -> Self {
        let tally = &header.tally;
        Self {
            index: header.index,
            parent: header.parent,
            attempt: header.attempt,
            fork: header.fork,
            epoch: header.epoch,
            first_block: header.firstBlock,
            last_block: header.lastBlock,
            last_block_hash: header.lastBlockHash,
            state_root: header.stateRoot,
            data_hash: header.dataHash,
            deposit_end: header.depositEnd,
            forced_end: header.forcedEnd,
            l1_origin_number: header.l1OriginNumber,
            l1_origin_hash: header.l1OriginHash,
            // A tally without members cannot exist; all zero means that no epoch ended here.
            tally: (tally.count > 0).then(|| TallyResponse {
                epoch: tally.epoch,
                root: tally.root,
                count: tally.count,
                blocks: tally.blocks,
                fees: U256::from(tally.fees),
            }),
        }
    }
}
