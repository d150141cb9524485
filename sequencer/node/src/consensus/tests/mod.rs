//! Tests of consensus: its parts one by one, and four engines over loopback TCP.

mod app;
pub(crate) mod chain;
mod cluster;
pub(crate) mod endpoint;
mod equivocation;
#[path = "../../../../../tests/e2e/src/equivocator.rs"]
mod equivocator;
mod execution;
mod parts;

use std::{path::Path, sync::Arc};

use alloy_primitives::{Address, B256};
use k256::ecdsa::SigningKey;
use rota_protocol::{
    member::{FrozenSet, Member},
    vote::{VoteDomain, address_of},
};

use super::{
    protection::{Marks, Protection, ProtectionError},
    rules::HeightRules,
};

pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_slice(&[n; 32]).unwrap()
}

/// The table of key `n` in `dir`, which is made first if there is none.
pub(crate) fn table(dir: &Path, n: u8) -> Protection {
    let signer = address_of(&key(n));
    let made = Protection::create(dir, signer, Marks::default());
    assert!(matches!(made, Ok(()) | Err(ProtectionError::Exists(_))), "{made:?}");
    Protection::open(dir, signer, true).unwrap()
}

pub(crate) fn domain() -> VoteDomain {
    VoteDomain::new(4_242, Address::repeat_byte(0xbc))
}

/// Keys 1..=n with operator ids 11.. and the given weights.
pub(crate) fn rules(weights: &[u64]) -> HeightRules {
    let member = |(n, weight): (usize, &u64)| {
        let n = n as u8 + 1;
        Member { signer: address_of(&key(n)), id: 10 + u32::from(n), weight: *weight }
    };
    let members = weights.iter().enumerate().map(member).collect();
    let set = FrozenSet::new(2, B256::repeat_byte(0x5e), members).unwrap();
    HeightRules { sigma: 2, fork: 0, first_height: 1, set: Arc::new(set), slots: 16 }
}
