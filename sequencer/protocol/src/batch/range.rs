//! The canonical encoding of a range of L2 blocks.
//!
//! ```text
//! range := version (1 byte, 0) ‖ first height (8) ‖ timestamp of the first block (8) ‖ its L1 origin's height (8) ‖ block+
//! block := timestamp − previous ‖ origin − previous ‖ proposer id ‖ transaction count ‖ (length ‖ bytes)*
//! ```
//! The header is fixed-width and big endian, everything in a block is a LEB128 integer of minimal length. What the
//! rules imply (hashes, base fee, deposits, gas limit, randomness, extra data) is left out: whoever holds L1 derives it.
//! There is exactly one encoding of a range; the decoder refuses every other.

use alloy_consensus::Block;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};

use crate::header::id_of_coinbase;

/// Largest range that may exist (`BATCH_BYTES`): with certificate, members and headers it still fits the 128 KiB that
/// Ethereum nodes accept as one transaction.
pub const MAX_RANGE_BYTES: usize = 120_000;

/// Bytes before the first block.
pub const RANGE_HEADER: usize = 25;

/// Most bytes a block takes besides its transactions: two 64-bit and two 32-bit integers.
pub const MAX_BLOCK_HEADER: usize = 30;

const VERSION: u8 = 0;

/// What a range stores of an L2 block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RangeBlock {
    /// Unix seconds.
    pub timestamp: u64,
    /// Height of its L1 origin.
    pub origin_number: u64,
    /// Operator that produced it.
    pub proposer: u32,
    /// EIP-2718 envelopes, in order.
    pub transactions: Vec<Bytes>,
}

/// Why blocks have no encoding, or bytes are not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// No block in it.
    #[error("a range holds at least one block")]
    Empty,
    /// Timestamps or L1 origins go back.
    #[error("block {0} of the range lies before its predecessor")]
    OutOfOrder(u64),
    /// Heights or times beyond 64 bits.
    #[error("a number exceeds its type")]
    Overflow,
    /// An empty transaction.
    #[error("a transaction is never empty")]
    EmptyTransaction,
    /// Id 0 belongs to nobody.
    #[error("operator id 0 does not exist")]
    ZeroProposer,
    /// The beneficiary is not an operator's fee account.
    #[error("beneficiary {0} is not an operator's fee account")]
    Beneficiary(Address),
    /// More bytes than a range may have.
    #[error("{0} bytes, a range has at most {MAX_RANGE_BYTES}")]
    TooLong(usize),
    /// The bytes end early.
    #[error("the encoding ends early")]
    Truncated,
    /// An encoding version this release does not know.
    #[error("unknown encoding version {0}")]
    Version(u8),
    /// An integer not in its shortest form, or a first block that differs from the range's header.
    #[error("the encoding is not canonical")]
    NotCanonical,
}

impl RangeBlock {
    /// What a range stores of `block`, whose L1 origin has the height `origin_number`.
    ///
    /// # Errors
    /// [`RangeError::Beneficiary`] if its beneficiary names no operator.
    pub fn new<T: Encodable2718>(block: &Block<T>, origin_number: u64) -> Result<Self, RangeError> {
        let beneficiary = block.header.beneficiary;
        Ok(Self {
            timestamp: block.header.timestamp,
            origin_number,
            proposer: id_of_coinbase(beneficiary).ok_or(RangeError::Beneficiary(beneficiary))?,
            transactions: block.body.transactions.iter().map(|tx| tx.encoded_2718().into()).collect(),
        })
    }
}

/// Most bytes `block` takes in a range, wherever it stands. This is the size that the sealing rule counts: exact in
/// the transactions, with [`MAX_BLOCK_HEADER`] for the rest.
pub fn encoded_len(block: &RangeBlock) -> usize {
    transactions_len(block).saturating_add(MAX_BLOCK_HEADER)
}

/// Bytes that the transactions of `block` take in a range: what the byte budget counts, nothing for an empty block.
pub fn transactions_len(block: &RangeBlock) -> usize {
    block.transactions.iter().fold(0, |sum: usize, tx| sum.saturating_add(transaction_len(tx.len())))
}

/// Bytes that a transaction of `len` bytes takes in a range.
pub fn transaction_len(len: usize) -> usize {
    // usize has at most 64 bits on every supported target.
    len.saturating_add(varint_len(len as u64))
}

/// Encodes a range one block at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeEncoder {
    timestamp: u64,
    origin_number: u64,
}

impl RangeEncoder {
    /// Starts the range whose block at height `first` is `block`; the block itself is still to be pushed.
    pub fn start(first: u64, block: &RangeBlock, out: &mut Vec<u8>) -> Self {
        out.push(VERSION);
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&block.timestamp.to_be_bytes());
        out.extend_from_slice(&block.origin_number.to_be_bytes());
        Self { timestamp: block.timestamp, origin_number: block.origin_number }
    }

    /// Goes on after a block with this timestamp and L1 origin.
    pub fn resume(timestamp: u64, origin_number: u64) -> Self {
        Self { timestamp, origin_number }
    }

    /// Appends the next block.
    ///
    /// # Errors
    /// [`RangeError::OutOfOrder`] (with position 0) if it lies before its predecessor, [`RangeError::ZeroProposer`],
    /// [`RangeError::EmptyTransaction`]; then `out` is unchanged.
    pub fn push(&mut self, block: &RangeBlock, out: &mut Vec<u8>) -> Result<(), RangeError> {
        let elapsed = block.timestamp.checked_sub(self.timestamp).ok_or(RangeError::OutOfOrder(0))?;
        let origins = block.origin_number.checked_sub(self.origin_number).ok_or(RangeError::OutOfOrder(0))?;
        if block.proposer == 0 {
            return Err(RangeError::ZeroProposer);
        }
        if block.transactions.iter().any(|tx| tx.is_empty()) {
            return Err(RangeError::EmptyTransaction);
        }
        write_varint(elapsed, out);
        write_varint(origins, out);
        write_varint(u64::from(block.proposer), out);
        write_varint(block.transactions.len() as u64, out);
        for transaction in &block.transactions {
            write_varint(transaction.len() as u64, out);
            out.extend_from_slice(transaction);
        }
        *self = Self::resume(block.timestamp, block.origin_number);
        Ok(())
    }
}

/// Encodes the blocks from height `first` on: the data of a batch.
///
/// # Errors
/// Blocks that no chain has: none, out of order, without proposer, with an empty transaction, or together longer than
/// [`MAX_RANGE_BYTES`].
pub fn encode_range(first: u64, blocks: &[RangeBlock]) -> Result<Bytes, RangeError> {
    let start = blocks.first().ok_or(RangeError::Empty)?;
    first.checked_add(blocks.len() as u64).ok_or(RangeError::Overflow)?;
    let mut out = Vec::new();
    let mut encoder = RangeEncoder::start(first, start, &mut out);
    for (position, block) in blocks.iter().enumerate() {
        encoder.push(block, &mut out).map_err(|error| match error {
            RangeError::OutOfOrder(_) => RangeError::OutOfOrder(position as u64),
            other => other,
        })?;
    }
    if out.len() > MAX_RANGE_BYTES {
        return Err(RangeError::TooLong(out.len()));
    }
    Ok(out.into())
}

/// Decodes a range: the height of its first block, and its blocks. Accepts exactly the outputs of [`encode_range`].
///
/// # Errors
/// Anything else; see [`RangeError`]. Memory stays proportional to the input.
pub fn decode_range(data: &[u8]) -> Result<(u64, Vec<RangeBlock>), RangeError> {
    if data.len() > MAX_RANGE_BYTES {
        return Err(RangeError::TooLong(data.len()));
    }
    let mut reader = Reader(data);
    match reader.byte()? {
        VERSION => {}
        other => return Err(RangeError::Version(other)),
    }
    let (first, mut timestamp, mut origin_number) = (reader.fixed()?, reader.fixed()?, reader.fixed()?);
    let mut blocks = Vec::new();
    while !reader.0.is_empty() {
        let (elapsed, origins) = (reader.varint()?, reader.varint()?);
        if blocks.is_empty() && (elapsed, origins) != (0, 0) {
            return Err(RangeError::NotCanonical);
        }
        timestamp = timestamp.checked_add(elapsed).ok_or(RangeError::Overflow)?;
        origin_number = origin_number.checked_add(origins).ok_or(RangeError::Overflow)?;
        let proposer = u32::try_from(reader.varint()?).map_err(|_| RangeError::Overflow)?;
        if proposer == 0 {
            return Err(RangeError::ZeroProposer);
        }
        let count = reader.varint()?;
        let mut transactions = Vec::new();
        for _ in 0..count {
            let len = reader.varint()?;
            if len == 0 {
                return Err(RangeError::EmptyTransaction);
            }
            transactions.push(Bytes::copy_from_slice(reader.take(len)?));
        }
        blocks.push(RangeBlock { timestamp, origin_number, proposer, transactions });
    }
    if blocks.is_empty() {
        return Err(RangeError::Empty);
    }
    first.checked_add(blocks.len() as u64).ok_or(RangeError::Overflow)?;
    Ok((first, blocks))
}

/// The rest of the input.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], RangeError> {
        let len = usize::try_from(len).map_err(|_| RangeError::Truncated)?;
        let (head, rest) = self.0.split_at_checked(len).ok_or(RangeError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, RangeError> {
        self.take(1)?.first().copied().ok_or(RangeError::Truncated)
    }

    fn fixed(&mut self) -> Result<u64, RangeError> {
        let bytes = self.take(8)?.try_into().map_err(|_| RangeError::Truncated)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// A LEB128 integer of at most 64 bits, in its shortest form.
    fn varint(&mut self) -> Result<u64, RangeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(RangeError::Overflow);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // A last byte of zero could have been left out.
                return if byte == 0 && shift > 0 { Err(RangeError::NotCanonical) } else { Ok(value) };
            }
        }
        Err(RangeError::Overflow)
    }
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        // The low seven bits, marked as not the last.
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_len(value: u64) -> usize {
    // Seven bits each, at least one byte.
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}
