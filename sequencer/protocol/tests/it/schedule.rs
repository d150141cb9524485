//! The leader schedule: invariants L2 and L3, and totality.

use alloy_primitives::B256;
use proptest::prelude::*;
use rota_protocol::{
    member::Member,
    schedule::{MAX_SLOTS, leader, leader_index, valid_slots},
};

use crate::support::{members, set};

fn weights() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(1u64..=u64::MAX / 3 / 64, 1..12)
}

#[test]
fn windows_are_powers_of_four() {
    let valid: Vec<u32> = (0..=MAX_SLOTS * 2).filter(|slots| valid_slots(*slots)).collect();
    assert_eq!(valid, [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536]);
    assert!(!valid_slots(1 << 18));
}

#[test]
fn one_member_always_leads() {
    let alone = set(3, &[5]);
    for round in [0, 1, 2, 77, u32::MAX] {
        assert_eq!(leader(&alone, 12, 10, round, 16).id, 1);
    }
}

proptest! {
    /// L2: over every full window each member leads floor or ceil of its exact share.
    #[test]
    fn quota_is_exact(weights in weights(), seed: [u8; 32], window in 0u64..1000, half in 0u32..4, first in 0u64..1 << 40) {
        let slots = 1u32 << (2 * half);
        let members = members(&weights);
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        let mut led = vec![0u128; members.len()];
        for slot in 0..u64::from(slots) {
            let height = first + window * u64::from(slots) + slot;
            led[leader_index(B256::from(seed), height, first, 0, slots, &members)] += 1;
        }
        for (weight, led) in weights.iter().zip(led) {
            let floor = u128::from(*weight) * u128::from(slots) / total;
            prop_assert!(led == floor || led == floor + 1, "{led} slots of {slots} for {weight} of {total}");
            if u128::from(*weight) * u128::from(slots) % total == 0 {
                prop_assert_eq!(led, floor);
            }
        }
    }

    /// L3: rounds 0..n of a height are a permutation of the members, and then only the fallbacks repeat.
    #[test]
    fn rounds_visit_everybody_once(weights in weights(), seed: [u8; 32], height in 100u64..10_000) {
        let members = members(&weights);
        let count = members.len() as u32;
        let at = |round| leader_index(B256::from(seed), height, 100, round, 64, &members);
        let mut visited: Vec<usize> = (0..count).map(at).collect();
        if count > 1 {
            prop_assert_eq!(at(count), at(1), "the fallbacks start over");
        }
        visited.sort_unstable();
        prop_assert_eq!(visited, (0..members.len()).collect::<Vec<_>>());
    }

    /// Whatever it is asked, the answer is an index into the members.
    #[test]
    fn total_on_every_input(
        count in 0usize..5, seed: [u8; 32], height: u64, first: u64, round: u32, slots: u32, weight: u64,
    ) {
        let members = vec![Member { signer: Default::default(), id: 0, weight }; count];
        let index = leader_index(B256::from(seed), height, first, round, slots, &members);
        prop_assert!(index < count.max(1));
    }
}
