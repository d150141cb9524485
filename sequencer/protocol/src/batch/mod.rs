//! Batches: the headers that commit ranges of L2 blocks to L1, and the encodings they cover (protocol section 7).

mod range;
mod tally;

use alloy_primitives::{B256, keccak256};
use alloy_sol_types::SolValue;

pub use range::{
    MAX_BLOCK_HEADER, MAX_RANGE_BYTES, RANGE_HEADER, RangeBlock, RangeEncoder, RangeError, decode_range, encode_range,
    encoded_len, transaction_len, transactions_len,
};
pub use tally::{TALLY_ENTRY_LEN, TallyEntry, TallyError, decode_entries, encode_entries, tally_of};

alloy_sol_types::sol! {
    /// Work and fees of an epoch's set, certified by the batch that ends its service; all zero in other batches.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Tally {
        /// σ that ended.
        uint32 epoch;
        /// keccak256 of the packed entries, one per member.
        bytes32 root;
        /// Number of entries.
        uint32 count;
        /// L2 blocks that σ produced.
        uint64 blocks;
        /// Base fees burned and priority fees of all members, wei.
        uint128 fees;
    }

    /// What L1 records of a range of L2 blocks. Field order as in `IBatchChain.sol`.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct BatchHeader {
        /// Position in the chain of batches, from 1.
        uint64 index;
        /// Hash of the batch before; the L2 genesis hash for the first.
        bytes32 parent;
        /// Count of earlier removals of this index without cause.
        uint32 attempt;
        /// Count of re-executions.
        uint32 fork;
        /// σ of the sealing block, whose set certifies the batch.
        uint32 epoch;
        /// First L2 block of the range.
        uint64 firstBlock;
        /// Last L2 block of the range.
        uint64 lastBlock;
        /// Hash of the last block.
        bytes32 lastBlockHash;
        /// State root after the last block.
        bytes32 stateRoot;
        /// keccak256 of the range's canonical encoding.
        bytes32 dataHash;
        /// Deposits credited up to and including the last block.
        uint64 depositEnd;
        /// Forced transactions consumed up to and including the last block.
        uint64 forcedEnd;
        /// L1 origin of the last block.
        uint64 l1OriginNumber;
        /// Its hash.
        bytes32 l1OriginHash;
        /// Tally of the epoch that ended with this range, if one did.
        Tally tally;
    }
}

/// Bytes of an ABI-encoded batch header.
pub const BATCH_HEADER_LEN: usize = 19 * 32;

/// The name of a batch: `keccak256(abi.encode(header))`.
pub fn hash_batch(header: &BatchHeader) -> B256 {
    keccak256(header.abi_encode())
}
