//! The leader schedule (protocol section 4): identical to `LeaderSchedule.sol`, keccak and integers only.

use alloy_primitives::{B256, U256, keccak256};

use crate::member::{FrozenSet, Member};

/// Longest window, slots.
pub const MAX_SLOTS: u32 = 1 << 16;

/// Slots of a window must be `2^m` with `m` even, at most [`MAX_SLOTS`]: the Feistel network permutes two halves of
/// equal width.
pub fn valid_slots(slots: u32) -> bool {
    slots <= MAX_SLOTS && slots.is_power_of_two() && slots.trailing_zeros().is_multiple_of(2)
}

/// Index of the member that may propose at `height` in `round`, given the first height that this set serves.
///
/// Round 0 samples systematically over a permuted window: each member leads `floor` or `ceil` of its exact stake
/// share of every full window. Rounds `0..n` of a height are a permutation of the members.
///
/// Total on every input: a height before `first_height` counts as `first_height`, no members yields 0.
/// `slots` must satisfy [`valid_slots`]; otherwise the result is meaningless but in bounds.
pub fn leader_index(seed: B256, height: u64, first_height: u64, round: u32, slots: u32, members: &[Member]) -> usize {
    let count = members.len();
    if count <= 1 {
        return 0;
    }
    let slots = slots.max(1);
    let offset = height.saturating_sub(first_height);
    let window_seed = window_seed(seed, offset / u64::from(slots));
    // A remainder of a u32 fits u32.
    let slot = (offset % u64::from(slots)) as u32;
    let leader = sample(window_seed, permute(window_seed, slot, slots), slots, members);
    if round == 0 {
        return leader;
    }
    let others = count as u64 - 1;
    let start = remainder(keccak256(concat(window_seed, &height.to_be_bytes())), others);
    // Both terms are below 2^33, the sum of indices below 2^10: nothing overflows, and the result is below `count`.
    let step = (start + u64::from(round) - 1) % others;
    (leader + 1 + step as usize) % count
}

/// The member that may propose at `height` in `round` under `set`.
pub fn leader(set: &FrozenSet, height: u64, first_height: u64, round: u32, slots: u32) -> &Member {
    set.member_at(leader_index(set.seed(), height, first_height, round, slots, set.members()))
}

fn window_seed(seed: B256, window: u64) -> B256 {
    keccak256(concat(seed, &window.to_be_bytes()))
}

/// Where `slot` lands in its window: a four-round Feistel network, hence a bijection on `0..slots`.
fn permute(window_seed: B256, slot: u32, slots: u32) -> u32 {
    let half = slots.trailing_zeros() / 2;
    let mask = (1u32 << half) - 1;
    let (mut left, mut right) = (slot >> half, slot & mask);
    for round in 0..4u8 {
        let mut input = [0; 41];
        input[..32].copy_from_slice(window_seed.as_slice());
        input[32] = round;
        input[33..].copy_from_slice(&u64::from(right).to_be_bytes());
        (left, right) = (right, left ^ (low_u32(keccak256(input)) & mask));
    }
    (left << half) | right
}

/// The member on whose stake interval the sampling point of `position` falls.
fn sample(window_seed: B256, position: u32, slots: u32, members: &[Member]) -> usize {
    let total: u128 = members.iter().map(|member| u128::from(member.weight)).sum();
    let random: U256 = U256::from_be_bytes(keccak256(concat(window_seed, &[255])).0) >> 128;
    // 128 bits times at most 72 bits.
    let offset: U256 = (random * U256::from(total)) >> 128;
    let point = (U256::from(position) * U256::from(total) + offset) / U256::from(slots);
    let mut cumulative = U256::ZERO;
    for (index, member) in members.iter().enumerate() {
        cumulative += U256::from(member.weight);
        if cumulative > point {
            return index;
        }
    }
    // The point is below the total whenever `position < slots`, so only malformed input gets here.
    members.len().saturating_sub(1)
}

fn concat(seed: B256, tail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + tail.len());
    out.extend_from_slice(seed.as_slice());
    out.extend_from_slice(tail);
    out
}

/// The low 32 bits of a hash read as a big-endian integer.
fn low_u32(hash: B256) -> u32 {
    u32::from_be_bytes([hash[28], hash[29], hash[30], hash[31]])
}

/// A hash read as a big-endian integer, modulo `modulus > 0`.
fn remainder(hash: B256, modulus: u64) -> u64 {
    let value: U256 = U256::from_be_bytes(hash.0) % U256::from(modulus);
    value.saturating_to()
}
