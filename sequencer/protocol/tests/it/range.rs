//! The canonical encoding of ranges and tallies.

use alloy_primitives::{Bytes, U256, keccak256};
use alloy_sol_types::SolValue;
use proptest::prelude::*;
use rota_protocol::batch::{
    BATCH_HEADER_LEN, BatchHeader, MAX_RANGE_BYTES, RANGE_HEADER, RangeBlock, RangeError, TallyEntry, decode_entries,
    decode_range, encode_entries, encode_range, encoded_len, hash_batch, tally_of,
};

pub fn blocks() -> impl Strategy<Value = Vec<RangeBlock>> {
    let transaction = prop::collection::vec(any::<u8>(), 1..300).prop_map(Bytes::from);
    let block = (
        prop_oneof![0u64..3, 0u64..1 << 20],
        prop_oneof![0u64..2, 0u64..1 << 30],
        prop_oneof![1u32..10, 1u32..],
        prop::collection::vec(transaction, 0..6),
    );
    (0u64..1 << 60, 0u64..1 << 60, prop::collection::vec(block, 1..12)).prop_map(|(timestamp, origin, blocks)| {
        let (mut timestamp, mut origin_number) = (timestamp, origin);
        blocks
            .into_iter()
            .map(|(elapsed, origins, proposer, transactions)| {
                timestamp += elapsed;
                origin_number += origins;
                RangeBlock { timestamp, origin_number, proposer, transactions }
            })
            .collect()
    })
}

fn block(timestamp: u64, origin_number: u64, transactions: &[&[u8]]) -> RangeBlock {
    let transactions = transactions.iter().map(|tx| Bytes::copy_from_slice(tx)).collect();
    RangeBlock { timestamp, origin_number, proposer: 3, transactions }
}

#[test]
fn a_small_range_byte_by_byte() {
    let blocks = [block(1000, 50, &[]), block(1001, 50, &[&[0xaa], &[0xbb; 200]])];
    let mut expected = vec![0];
    expected.extend(7u64.to_be_bytes());
    expected.extend(1000u64.to_be_bytes());
    expected.extend(50u64.to_be_bytes());
    assert_eq!(expected.len(), RANGE_HEADER);
    expected.extend([0, 0, 3, 0]);
    expected.extend([1, 0, 3, 2, 1, 0xaa, 0xc8, 0x01]);
    expected.extend([0xbb; 200]);
    let data = encode_range(7, &blocks).unwrap();
    assert_eq!(data, expected);
    assert_eq!(decode_range(&data), Ok((7, blocks.to_vec())));
}

#[test]
fn blocks_of_no_chain_have_no_encoding() {
    assert_eq!(encode_range(1, &[]), Err(RangeError::Empty));
    assert_eq!(encode_range(1, &[block(9, 5, &[]), block(8, 5, &[])]), Err(RangeError::OutOfOrder(1)));
    assert_eq!(encode_range(1, &[block(9, 5, &[]), block(9, 4, &[])]), Err(RangeError::OutOfOrder(1)));
    assert_eq!(encode_range(1, &[block(9, 5, &[&[]])]), Err(RangeError::EmptyTransaction));
    assert_eq!(encode_range(u64::MAX, &[block(9, 5, &[])]), Err(RangeError::Overflow));
    let nobody = RangeBlock { proposer: 0, ..block(9, 5, &[]) };
    assert_eq!(encode_range(1, &[nobody]), Err(RangeError::ZeroProposer));
    let long = vec![1; MAX_RANGE_BYTES];
    assert!(matches!(encode_range(1, &[block(9, 5, &[&long])]), Err(RangeError::TooLong(_))));
}

#[test]
fn other_spellings_are_refused() {
    let good = encode_range(7, &[block(1000, 50, &[&[0xaa]])]).unwrap().to_vec();
    assert!(decode_range(&good).is_ok());
    let change = |f: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        f(&mut bytes);
        decode_range(&bytes).unwrap_err()
    };
    assert_eq!(change(&|b| b[0] = 1), RangeError::Version(1));
    assert_eq!(change(&|b| b.clear()), RangeError::Truncated);
    assert_eq!(change(&|b| b.truncate(RANGE_HEADER)), RangeError::Empty);
    assert_eq!(change(&|b| b.truncate(RANGE_HEADER + 1)), RangeError::Truncated);
    assert_eq!(change(&|b| b[RANGE_HEADER] = 1), RangeError::NotCanonical, "the first block starts the range");
    assert_eq!(change(&|b| b[RANGE_HEADER + 1] = 1), RangeError::NotCanonical);
    assert_eq!(change(&|b| b[RANGE_HEADER + 2] = 0), RangeError::ZeroProposer);
    assert_eq!(change(&|b| b[RANGE_HEADER + 4] = 0), RangeError::EmptyTransaction);
    assert_eq!(change(&|b| b[RANGE_HEADER + 4] = 2), RangeError::Truncated);
    assert_eq!(change(&|b| b.push(0)), RangeError::Truncated, "a block more, cut off");
    assert_eq!(change(&|b| drop(b.splice(RANGE_HEADER + 2..RANGE_HEADER + 3, [0x83, 0]))), RangeError::NotCanonical);
    assert_eq!(
        change(&|b| drop(b.splice(RANGE_HEADER + 2..RANGE_HEADER + 3, [0xff, 0xff, 0xff, 0xff, 0x1f]))),
        RangeError::Overflow
    );
    assert_eq!(
        change(&|b| drop(b.splice(RANGE_HEADER..RANGE_HEADER + 1, [0xff; 10]))),
        RangeError::Overflow,
        "more than 64 bits"
    );
    assert_eq!(change(&|b| b[1..9].fill(0xff)), RangeError::Overflow);
    assert_eq!(decode_range(&vec![0; MAX_RANGE_BYTES + 1]), Err(RangeError::TooLong(MAX_RANGE_BYTES + 1)));
}

#[test]
fn a_huge_transaction_count_costs_nothing() {
    let mut bytes = encode_range(7, &[block(1000, 50, &[])]).unwrap().to_vec();
    bytes.truncate(RANGE_HEADER + 3);
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    assert_eq!(decode_range(&bytes), Err(RangeError::Truncated));
}

#[test]
fn a_batch_header_is_nineteen_words() {
    let header = BatchHeader { index: 1, firstBlock: 1, lastBlock: 9, ..BatchHeader::default() };
    let encoded = header.abi_encode();
    assert_eq!(encoded.len(), BATCH_HEADER_LEN);
    assert_eq!(hash_batch(&header), keccak256(encoded));
}

#[test]
fn a_tally_sums_its_entries() {
    let entries = [
        TallyEntry { id: 1, slots_assigned: 10, own_produced: 8, fallback_produced: 1, priority_fees: 500 },
        TallyEntry { id: 9, slots_assigned: 6, own_produced: 6, fallback_produced: 1, priority_fees: u128::MAX },
    ];
    let tally = tally_of(4, &entries, 70);
    assert_eq!((tally.epoch, tally.count, tally.blocks, tally.fees), (4, 2, 16, u128::MAX));
    assert_eq!(tally_of(4, &entries[..1], 70).fees, 570);
    assert_eq!(tally.root, keccak256(encode_entries(&entries)));
    let packed = encode_entries(&entries);
    let word = U256::from_be_slice(&packed[..32]);
    // As TallyWords.sol reads it.
    assert_eq!(word >> 224, U256::from(1));
    assert_eq!((word >> 192) & U256::from(u32::MAX), U256::from(10));
    assert_eq!((word >> 160) & U256::from(u32::MAX), U256::from(8));
    assert_eq!((word >> 128) & U256::from(u32::MAX), U256::from(1));
    assert_eq!(word & U256::from(u128::MAX), U256::from(500));
    assert_eq!(decode_entries(&packed), Ok(entries.to_vec()));
    assert!(decode_entries(&packed[1..]).is_err());
    assert!(decode_entries(&vec![0; 32 * 257]).is_err());
    let json = serde_json::to_value(entries[1]).unwrap();
    assert_eq!(json["priorityFees"], u128::MAX.to_string());
    assert_eq!(serde_json::from_value::<TallyEntry>(json).unwrap(), entries[1]);
}

proptest! {
    #[test]
    fn ranges_round_trip_within_their_bound(first in 0u64..1 << 60, blocks in blocks()) {
        let data = encode_range(first, &blocks).unwrap();
        prop_assert_eq!(decode_range(&data), Ok((first, blocks.clone())));
        let bound: usize = blocks.iter().map(encoded_len).sum();
        prop_assert!(data.len() <= RANGE_HEADER + bound);
    }

    /// What decodes is what would have been encoded: no second spelling exists.
    #[test]
    fn decoding_is_injective(first in 0u64..1 << 60, blocks in blocks(), at: prop::sample::Index, bit in 0u8..8) {
        let mut data = encode_range(first, &blocks).unwrap().to_vec();
        let at = at.index(data.len());
        data[at] ^= 1 << bit;
        if let Ok((first, blocks)) = decode_range(&data) {
            prop_assert_eq!(encode_range(first, &blocks).unwrap(), data);
        }
    }

    #[test]
    fn decoding_noise_never_panics(tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut data = vec![0; RANGE_HEADER];
        data.extend(tail);
        if let Ok((first, blocks)) = decode_range(&data) {
            prop_assert_eq!(encode_range(first, &blocks).unwrap(), data);
        }
    }
}
