//! Deterministic material for tests.

use alloy_primitives::{B256, keccak256};
use k256::ecdsa::SigningKey;
use rota_protocol::{
    member::{FrozenSet, Member},
    vote::address_of,
};

/// The key number `index`: keccak256 of its decimal name, never used outside tests.
pub fn key(index: u32) -> SigningKey {
    SigningKey::from_slice(keccak256(format!("rota test key {index}")).as_slice()).unwrap()
}

/// Members 1..=n with the given weights, member `i` holding `key(i)`.
pub fn members(weights: &[u64]) -> Vec<Member> {
    weights.iter().zip(1..).map(|(&weight, id)| Member { signer: address_of(&key(id)), id, weight }).collect()
}

/// A set of these weights.
pub fn set(epoch: u32, weights: &[u64]) -> FrozenSet {
    FrozenSet::new(epoch, seed(epoch), members(weights)).unwrap()
}

/// The seed of an epoch.
pub fn seed(epoch: u32) -> B256 {
    keccak256(format!("seed of epoch {epoch}"))
}
