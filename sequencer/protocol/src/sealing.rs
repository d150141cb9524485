//! Sealing of batches and the tally of epochs, as a validity rule (protocol section 7).
//!
//! After [`SealingParams::batch_blocks`] blocks, [`SealingParams::batch_seconds`], a change of σ, or when one more
//! block of its parent's size would take the open range over [`SealingParams::batch_bytes`], the next block must carry
//! the hash of the batch header of the range that ends at its parent; any other block must carry nothing. Whoever votes
//! recomputes it, so the block's own certificate certifies the batch. [`Sealing`] is all of the decided chain that this
//! rule depends on, small enough to be stored with every block.
//!
//! The byte budget is kept here too: every byte of a transaction has to be posted on L1, so blocks may take
//! [`SealingParams::data_bytes_per_second`] in the long run and [`SealingParams::data_burst`] at once.

mod hasher;

use std::fmt;

use alloy_consensus::{Block, Header};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, U256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};

use crate::{
    batch::{
        BATCH_HEADER_LEN, BatchHeader, MAX_BLOCK_HEADER, MAX_RANGE_BYTES, RANGE_HEADER, RangeBlock, RangeEncoder,
        RangeError, Tally, TallyEntry, decode_entries, encode_entries, encoded_len, hash_batch, tally_of,
        transactions_len,
    },
    header::coinbase,
    member::FrozenSet,
    schedule,
};
use hasher::DataHasher;

/// When a range is full; constants of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealingParams {
    /// Blocks in a range at most.
    pub batch_blocks: u64,
    /// Seconds from the first to the last timestamp of a range, at which it is full.
    pub batch_seconds: u64,
    /// Bytes of a range's encoding at most; [`MAX_RANGE_BYTES`] holds besides.
    pub batch_bytes: usize,
    /// Slots per window of the leader schedule (S).
    pub slots_per_window: u32,
    /// Bytes of transactions, as [`transactions_len`] counts, that a second adds to what blocks may take.
    pub data_bytes_per_second: u64,
}

impl SealingParams {
    /// Most bytes of transactions that blocks of one timestamp may take, after a time with little data: a range, or the
    /// bytes of a second if those are more, since timestamps are whole seconds.
    pub fn data_burst(&self) -> u64 {
        self.data_bytes_per_second.max(self.limit() as u64)
    }

    /// Largest transaction that can ever be included: alone in the first block of a range.
    pub fn max_transaction_bytes(&self) -> usize {
        // The length prefix of a transaction below 2 MiB has at most three bytes.
        self.limit().saturating_sub(RANGE_HEADER + MAX_BLOCK_HEADER + 3)
    }

    fn limit(&self) -> usize {
        self.batch_bytes.min(MAX_RANGE_BYTES)
    }
}

/// A batch that a block sealed: its header and, if an epoch ended with it, that epoch's tally entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBatch {
    /// The header whose hash the sealing block carries.
    pub header: BatchHeader,
    /// Entries under `header.tally.root`, one per member of the ended set in its order; empty if the tally is zero.
    pub entries: Vec<TallyEntry>,
}

impl SealedBatch {
    /// The batch's hash: the extra data of the sealing block.
    pub fn hash(&self) -> B256 {
        hash_batch(&self.header)
    }

    /// ABI-encoded header ‖ packed entries.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.header.abi_encode();
        out.extend(encode_entries(&self.entries));
        out
    }

    /// The inverse of [`Self::to_bytes`]; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (header, entries) = bytes.split_at_checked(BATCH_HEADER_LEN)?;
        let header = BatchHeader::abi_decode_validate(header).ok()?;
        Some(Self { header, entries: decode_entries(entries).ok()? })
    }
}

impl Encodable for SealedBatch {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        self.to_bytes().as_slice().encode(out);
    }

    fn length(&self) -> usize {
        self.to_bytes().as_slice().length()
    }
}

impl Decodable for SealedBatch {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let bytes = alloy_rlp::Header::decode_bytes(buf, false)?;
        Self::from_bytes(bytes).ok_or(alloy_rlp::Error::Custom("malformed sealed batch"))
    }
}

/// A decided block, as far as sealing depends on it.
#[derive(Clone, Debug)]
pub struct AppliedBlock<'a> {
    /// Its header.
    pub header: &'a Header,
    /// keccak256 of the header.
    pub hash: B256,
    /// What a range stores of it.
    pub range_block: RangeBlock,
    /// Index of the first deposit not yet credited after it.
    pub deposits_end: u64,
}

impl<'a> AppliedBlock<'a> {
    /// Takes apart `block`, whose hash is `hash` and whose L1 origin has the height `origin_number`.
    ///
    /// # Errors
    /// [`RangeError::Beneficiary`] if its beneficiary names no operator.
    pub fn new<T: Encodable2718>(
        block: &'a Block<T>,
        hash: B256,
        origin_number: u64,
        deposits_end: u64,
    ) -> Result<Self, RangeError> {
        let range_block = RangeBlock::new(block, origin_number)?;
        Ok(Self { header: &block.header, hash, range_block, deposits_end })
    }
}

/// Why a block cannot follow; `E` is the failure of the caller's balance lookup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingError<E> {
    /// A balance could not be read: says nothing about the block.
    #[error("balance of a fee account: {0}")]
    Balance(E),
    /// Its height or parent is not the tip's.
    #[error("block {number} on parent {parent} does not extend block {tip_number} {tip}")]
    NotOnTip {
        /// Height of the block.
        number: u64,
        /// Its parent.
        parent: B256,
        /// Height of the tip.
        tip_number: u64,
        /// Hash of the tip.
        tip: B256,
    },
    /// Timestamp, L1 origin or deposits go back.
    #[error("{field} goes back from {from} to {to}")]
    GoesBack {
        /// What goes back.
        field: &'static str,
        /// Its value at the tip.
        from: u64,
        /// Its value in the block.
        to: u64,
    },
    /// σ goes back, or the first block is not served by σ0.
    #[error("epoch {got} cannot serve after epoch {current}")]
    Epoch {
        /// σ at the tip.
        current: u32,
        /// σ of the block.
        got: u32,
    },
    /// The set is not the one that has served this σ so far.
    #[error("another set served epoch {0} so far")]
    SetChanged(u32),
    /// The proposer is no member.
    #[error("operator {id} is not a member of the set of epoch {epoch}")]
    Proposer {
        /// Operator that proposed.
        id: u32,
        /// σ of the block.
        epoch: u32,
    },
    /// The extra data is not what the sealing rule asks for.
    #[error("extra data {got}, expected {expected}")]
    ExtraData {
        /// The hash of the due batch header, or nothing.
        expected: alloy_primitives::Bytes,
        /// What the block carries.
        got: alloy_primitives::Bytes,
    },
    /// The encoding of the block exceeds the room of its range.
    #[error("the block takes up to {len} bytes of its range, which has room for {room}")]
    TooLong {
        /// Bytes as [`encoded_len`] counts.
        len: usize,
        /// Bytes left.
        room: usize,
    },
    /// The transactions exceed what the byte budget allows at the block's timestamp.
    #[error("the transactions take {bytes} bytes, the byte budget allows {allowance} at this timestamp")]
    OverBudget {
        /// Bytes as [`transactions_len`] counts.
        bytes: u64,
        /// Bytes allowed.
        allowance: u64,
    },
    /// No L1 origin in the header.
    #[error("the header names no L1 origin")]
    NoOrigin,
    /// The block has no encoding.
    #[error("encoding: {0}")]
    Range(RangeError),
}

/// The last decided block.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Tip {
    number: u64,
    hash: B256,
    timestamp: u64,
    state_root: B256,
    origin_number: u64,
    origin_hash: B256,
    deposits_end: u64,
}

/// The range that the next seal closes.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct OpenRange {
    /// Height of its first block; one above the tip while it is empty, which is only at genesis.
    first: u64,
    first_timestamp: u64,
    /// Bytes taken, as the sealing rule counts.
    bytes: u64,
    /// Bytes taken by the tip.
    last_len: u64,
    data: DataHasher,
}

/// What the set of σ has done so far.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Service {
    sigma: u32,
    first_height: u64,
    base_fees: u128,
    /// In the set's order; empty only before the first block.
    seats: Vec<Seat>,
}

#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Seat {
    id: u32,
    assigned: u32,
    own: u32,
    fallback: u32,
    /// Balance of its fee account before the first block of σ, wei.
    balance: U256,
}

/// The state of the sealing rule after a decided block. Immutable: [`Self::apply`] yields the state after the next.
///
/// Its RLP form restores it exactly, so a node that restarts computes the same headers as one that did not.
#[derive(Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
#[rlp(trailing)]
pub struct Sealing {
    tip: Tip,
    batch_index: u64,
    batch_hash: B256,
    range: OpenRange,
    service: Service,
    /// Bytes of transactions, the tip's included, for which too little time has passed yet: from 0 to
    /// [`SealingParams::data_burst`]. What is missing to the latter is the allowance.
    backlog: u64,
    /// The batch sealed by the tip.
    sealed: Option<SealedBatch>,
}

impl Sealing {
    /// The state at block 0: `sigma0` serves from height 1, the L1 origin of block 1 is at least the given one.
    pub fn genesis(
        genesis_hash: B256,
        genesis_state_root: B256,
        sigma0: u32,
        origin_number: u64,
        origin_hash: B256,
    ) -> Self {
        Self {
            tip: Tip {
                number: 0,
                hash: genesis_hash,
                timestamp: 0,
                state_root: genesis_state_root,
                origin_number,
                origin_hash,
                deposits_end: 0,
            },
            batch_index: 0,
            batch_hash: genesis_hash,
            range: OpenRange {
                first: 1,
                first_timestamp: 0,
                bytes: RANGE_HEADER as u64,
                last_len: 0,
                data: DataHasher::default(),
            },
            service: Service { sigma: sigma0, first_height: 1, base_fees: 0, seats: Vec::new() },
            backlog: 0,
            sealed: None,
        }
    }

    /// Height of the tip.
    pub fn tip_number(&self) -> u64 {
        self.tip.number
    }

    /// Hash of the tip.
    pub fn tip_hash(&self) -> B256 {
        self.tip.hash
    }

    /// σ of the tip; σ0 at genesis.
    pub fn sigma(&self) -> u32 {
        self.service.sigma
    }

    /// First height that the set of `next_sigma` serves, if it serves the next block.
    pub fn first_height(&self, next_sigma: u32) -> u64 {
        if next_sigma == self.service.sigma { self.service.first_height } else { self.tip.number.saturating_add(1) }
    }

    /// First height of the open range.
    pub fn range_first(&self) -> u64 {
        self.range.first
    }

    /// Index of the first deposit not yet credited.
    pub fn deposits_end(&self) -> u64 {
        self.tip.deposits_end
    }

    /// Hash of the last sealed batch; the genesis hash before the first.
    pub fn batch_hash(&self) -> B256 {
        self.batch_hash
    }

    /// Index of the last sealed batch, 0 before the first.
    pub fn batch_index(&self) -> u64 {
        self.batch_index
    }

    /// The batch that the tip sealed, if it did.
    pub fn sealed(&self) -> Option<&SealedBatch> {
        self.sealed.as_ref()
    }

    /// Whether the next block, served by `next_sigma`, must seal the open range.
    pub fn is_due(&self, params: &SealingParams, next_sigma: u32) -> bool {
        if self.range_is_empty() {
            return false;
        }
        let blocks = self.tip.number.saturating_sub(self.range.first).saturating_add(1);
        let seconds = self.tip.timestamp.saturating_sub(self.range.first_timestamp);
        next_sigma != self.service.sigma
            || blocks >= params.batch_blocks
            || seconds >= params.batch_seconds
            // No block takes less than an empty one, so whatever is not due has room for an empty block.
            || self.range.bytes.saturating_add(self.range.last_len) > params.limit() as u64
    }

    /// Bytes that the next block, served by `next_sigma`, may take as [`encoded_len`] counts.
    pub fn room(&self, params: &SealingParams, next_sigma: u32) -> usize {
        let taken = if self.is_due(params, next_sigma) { RANGE_HEADER as u64 } else { self.range.bytes };
        params.limit().saturating_sub(usize::try_from(taken).unwrap_or(usize::MAX))
    }

    /// Bytes that the transactions of the next block may take by the byte budget if its timestamp is `timestamp`, as
    /// [`transactions_len`] counts.
    pub fn allowance(&self, params: &SealingParams, timestamp: u64) -> u64 {
        params.data_burst().saturating_sub(self.backlog_at(params, timestamp))
    }

    /// Bytes that the next block, served by `next_sigma` at `timestamp`, may take as [`encoded_len`] counts: the lesser of
    /// the room of its range and the byte budget. An empty block always fits.
    pub fn max_len(&self, params: &SealingParams, next_sigma: u32, timestamp: u64) -> usize {
        let allowance = usize::try_from(self.allowance(params, timestamp)).unwrap_or(usize::MAX);
        self.room(params, next_sigma).min(allowance.saturating_add(MAX_BLOCK_HEADER))
    }

    /// Whether a block with this content may be the next, served by `next_sigma`.
    pub fn block_fits(&self, params: &SealingParams, next_sigma: u32, block: &RangeBlock) -> bool {
        encoded_len(block) <= self.max_len(params, next_sigma, block.timestamp)
    }

    /// The batch that the next block, served by `next_sigma`, must seal: its hash is that block's extra data.
    ///
    /// `balance` reads the balance of an account **in the state after the tip**, wei. It is asked only when σ changes,
    /// for the fee accounts of the members that served so far.
    ///
    /// # Errors
    /// Those of `balance`.
    pub fn seal_due<E>(
        &self,
        params: &SealingParams,
        next_sigma: u32,
        balance: impl FnMut(Address) -> Result<U256, E>,
    ) -> Result<Option<SealedBatch>, E> {
        if !self.is_due(params, next_sigma) {
            return Ok(None);
        }
        let (tally, entries) = if next_sigma == self.service.sigma {
            (Tally::default(), Vec::new())
        } else {
            let entries = self.service.entries(balance)?;
            (tally_of(self.service.sigma, &entries, self.service.base_fees), entries)
        };
        let header = BatchHeader {
            index: self.batch_index.saturating_add(1),
            parent: self.batch_hash,
            attempt: 0,
            fork: 0,
            epoch: next_sigma,
            firstBlock: self.range.first,
            lastBlock: self.tip.number,
            lastBlockHash: self.tip.hash,
            stateRoot: self.tip.state_root,
            dataHash: self.range.data.finish(),
            depositEnd: self.tip.deposits_end,
            forcedEnd: 0,
            l1OriginNumber: self.tip.origin_number,
            l1OriginHash: self.tip.origin_hash,
            tally,
        };
        Ok(Some(SealedBatch { header, entries }))
    }

    /// The state after `block`, served by `set`. The extra data is checked against [`Self::seal_due`], the size against
    /// [`Self::room`] and [`Self::allowance`].
    ///
    /// `balance` reads balances **in the state after the tip, that is before `block`**; it is asked only when σ changes.
    ///
    /// # Errors
    /// A [`SealingError`]; every variant but [`SealingError::Balance`] and [`SealingError::SetChanged`] means that the
    /// block is invalid.
    pub fn apply<E>(
        &self,
        params: &SealingParams,
        block: &AppliedBlock<'_>,
        set: &FrozenSet,
        mut balance: impl FnMut(Address) -> Result<U256, E>,
    ) -> Result<Self, SealingError<E>> {
        let header = block.header;
        let tip = self.next_tip(block)?;
        let sigma = set.epoch();
        if sigma < self.service.sigma || (self.range_is_empty() && sigma != self.service.sigma) {
            return Err(SealingError::Epoch { current: self.service.sigma, got: sigma });
        }

        let sealed = self.seal_due(params, sigma, &mut balance).map_err(SealingError::Balance)?;
        let expected = sealed.as_ref().map(|batch| batch.hash().into()).unwrap_or_default();
        if header.extra_data != expected {
            return Err(SealingError::ExtraData { expected, got: header.extra_data.clone() });
        }

        let (len, room) = (encoded_len(&block.range_block), self.room(params, sigma));
        if len > room {
            return Err(SealingError::TooLong { len, room });
        }
        let bytes = transactions_len(&block.range_block) as u64;
        let allowance = self.allowance(params, header.timestamp);
        if bytes > allowance {
            return Err(SealingError::OverBudget { bytes, allowance });
        }
        let range = if sealed.is_some() || self.range_is_empty() {
            OpenRange::start(tip.number, &block.range_block)
        } else {
            self.range.extend(&self.tip, &block.range_block)
        };

        let mut service = if sigma == self.service.sigma && !self.service.seats.is_empty() {
            self.service.clone()
        } else {
            Service::start(set, tip.number, balance).map_err(SealingError::Balance)?
        };
        service.record(params, block, set)?;

        Ok(Self {
            tip,
            batch_index: sealed.as_ref().map_or(self.batch_index, |batch| batch.header.index),
            batch_hash: sealed.as_ref().map_or(self.batch_hash, SealedBatch::hash),
            range: range.map_err(SealingError::Range)?,
            service,
            backlog: self.backlog_at(params, header.timestamp).saturating_add(bytes),
            sealed,
        })
    }

    /// What is left of the backlog at `timestamp`.
    fn backlog_at(&self, params: &SealingParams, timestamp: u64) -> u64 {
        let elapsed = timestamp.saturating_sub(self.tip.timestamp);
        self.backlog.saturating_sub(params.data_bytes_per_second.saturating_mul(elapsed))
    }

    fn range_is_empty(&self) -> bool {
        self.range.first > self.tip.number
    }

    fn next_tip<E>(&self, block: &AppliedBlock<'_>) -> Result<Tip, SealingError<E>> {
        let header = block.header;
        if Some(header.number) != self.tip.number.checked_add(1) || header.parent_hash != self.tip.hash {
            return Err(SealingError::NotOnTip {
                number: header.number,
                parent: header.parent_hash,
                tip_number: self.tip.number,
                tip: self.tip.hash,
            });
        }
        let origin_number = block.range_block.origin_number;
        for (field, from, to) in [
            ("timestamp", self.tip.timestamp, header.timestamp),
            ("L1 origin", self.tip.origin_number, origin_number),
            ("deposit index", self.tip.deposits_end, block.deposits_end),
        ] {
            if to < from {
                return Err(SealingError::GoesBack { field, from, to });
            }
        }
        Ok(Tip {
            number: header.number,
            hash: block.hash,
            timestamp: header.timestamp,
            state_root: header.state_root,
            origin_number,
            origin_hash: header.parent_beacon_block_root.ok_or(SealingError::NoOrigin)?,
            deposits_end: block.deposits_end,
        })
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing")
            .field("tip", &self.tip.number)
            .field("batch_index", &self.batch_index)
            .field("range_first", &self.range.first)
            .field("range_bytes", &self.range.bytes)
            .field("backlog", &self.backlog)
            .field("sigma", &self.service.sigma)
            .field("first_height", &self.service.first_height)
            .finish_non_exhaustive()
    }
}

impl OpenRange {
    fn start(number: u64, block: &RangeBlock) -> Result<Self, RangeError> {
        let mut out = Vec::new();
        RangeEncoder::start(number, block, &mut out).push(block, &mut out)?;
        let len = encoded_len(block) as u64;
        Ok(Self {
            first: number,
            first_timestamp: block.timestamp,
            bytes: len.saturating_add(RANGE_HEADER as u64),
            last_len: len,
            data: DataHasher::default().with(&out),
        })
    }

    fn extend(&self, tip: &Tip, block: &RangeBlock) -> Result<Self, RangeError> {
        let mut out = Vec::new();
        RangeEncoder::resume(tip.timestamp, tip.origin_number).push(block, &mut out)?;
        let len = encoded_len(block) as u64;
        Ok(Self { bytes: self.bytes.saturating_add(len), last_len: len, data: self.data.clone().with(&out), ..*self })
    }
}

impl Service {
    fn start<E>(
        set: &FrozenSet,
        first_height: u64,
        mut balance: impl FnMut(Address) -> Result<U256, E>,
    ) -> Result<Self, E> {
        let seats = set.members().iter().map(|member| {
            let balance = balance(coinbase(member.id))?;
            Ok(Seat { id: member.id, assigned: 0, own: 0, fallback: 0, balance })
        });
        Ok(Self { sigma: set.epoch(), first_height, base_fees: 0, seats: seats.collect::<Result<_, E>>()? })
    }

    fn record<E>(
        &mut self,
        params: &SealingParams,
        block: &AppliedBlock<'_>,
        set: &FrozenSet,
    ) -> Result<(), SealingError<E>> {
        let ids = self.seats.iter().map(|seat| seat.id);
        if !ids.eq(set.members().iter().map(|member| member.id)) {
            return Err(SealingError::SetChanged(self.sigma));
        }
        let header = block.header;
        let leader = schedule::leader(set, header.number, self.first_height, 0, params.slots_per_window).id;
        let proposer = block.range_block.proposer;
        if set.index_of_id(proposer).is_none() {
            return Err(SealingError::Proposer { id: proposer, epoch: self.sigma });
        }
        for seat in &mut self.seats {
            // 2^32 blocks of one σ would take decades; saturation keeps the rule total.
            if seat.id == leader {
                seat.assigned = seat.assigned.saturating_add(1);
            }
            if seat.id == proposer && seat.id == leader {
                seat.own = seat.own.saturating_add(1);
            } else if seat.id == proposer {
                seat.fallback = seat.fallback.saturating_add(1);
            }
        }
        let burned = u128::from(header.base_fee_per_gas.unwrap_or_default()) * u128::from(header.gas_used);
        self.base_fees = self.base_fees.saturating_add(burned);
        Ok(())
    }

    fn entries<E>(&self, mut balance: impl FnMut(Address) -> Result<U256, E>) -> Result<Vec<TallyEntry>, E> {
        let entries = self.seats.iter().map(|seat| {
            let growth = balance(coinbase(seat.id))?.saturating_sub(seat.balance);
            Ok(TallyEntry {
                id: seat.id,
                slots_assigned: seat.assigned,
                own_produced: seat.own,
                fallback_produced: seat.fallback,
                priority_fees: growth.saturating_to(),
            })
        });
        entries.collect()
    }
}
