//! Frozen sets (invariant E4).

use alloy_primitives::{Address, B256, keccak256};
use proptest::prelude::*;
use rota_protocol::member::{FrozenSet, MAX_MEMBERS, Member, SetError};

use crate::support::{members, set};

#[test]
fn packing_is_signer_id_weight() {
    let member = Member { signer: Address::repeat_byte(0xaa), id: 0x0102_0304, weight: 0x05 };
    let packed = member.encode();
    assert_eq!(packed[..20], [0xaa; 20]);
    assert_eq!(packed[20..24], [1, 2, 3, 4]);
    assert_eq!(packed[24..], [0, 0, 0, 0, 0, 0, 0, 5]);
    assert_eq!(Member::decode(&packed), member);
}

#[test]
fn a_valid_set_survives_its_encoding() {
    let set = set(7, &[3, 5, 9]);
    assert_eq!(set.total_weight(), 17);
    assert_eq!(set.hash(), keccak256(set.encode_members()));
    assert_eq!(FrozenSet::decode(7, set.seed(), &set.encode_members()), Ok(set.clone()));
    assert_eq!(set.index_of_id(2), Some(1));
    assert_eq!(set.index_of_id(9), None);
    assert_eq!(set.index_of_signer(set.members()[2].signer), Some(2));
    let json = serde_json::to_string(&set).unwrap();
    assert_eq!(serde_json::from_str::<FrozenSet>(&json).unwrap(), set);
}

#[test]
fn every_rule_has_its_error() {
    let new = |members| FrozenSet::new(1, B256::ZERO, members).unwrap_err();
    let change = |f: fn(&mut Vec<Member>)| {
        let mut members = members(&[4, 5, 6]);
        f(&mut members);
        new(members)
    };
    assert_eq!(new(vec![]), SetError::Empty);
    assert_eq!(change(|m| m[1].id = 0), SetError::ZeroId);
    assert_eq!(change(|m| m[1].id = 3), SetError::DuplicateId(3));
    assert_eq!(change(|m| m[2].weight = 0), SetError::ZeroWeight(3));
    assert_eq!(change(|m| m[2].signer = Address::ZERO), SetError::ZeroSigner(3));
    assert_eq!(change(|m| m[2].signer = m[0].signer), SetError::DuplicateSigner(members(&[1])[0].signer));
    assert_eq!(change(|m| m[2].weight = u64::MAX), SetError::WeightOverflow);
    assert_eq!(change(|m| m[2].weight = u64::MAX / 3), SetError::WeightOverflow);
    assert_eq!(FrozenSet::decode(1, B256::ZERO, &[0; 33]), Err(SetError::Length(33)));
    let crowd = vec![0; 32 * (MAX_MEMBERS + 1)];
    assert_eq!(FrozenSet::decode(1, B256::ZERO, &crowd), Err(SetError::TooMany(MAX_MEMBERS + 1)));
    // The last total that fits: three times it is 2^64 − 1.
    assert!(FrozenSet::new(1, B256::ZERO, members(&[u64::MAX / 3])).is_ok());
    let json =
        r#"{"epoch":1,"seed":"0x0000000000000000000000000000000000000000000000000000000000000000","members":[]}"#;
    assert!(serde_json::from_str::<FrozenSet>(json).is_err());
}

proptest! {
    #[test]
    fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(set) = FrozenSet::decode(1, B256::ZERO, &bytes) {
            prop_assert_eq!(set.encode_members(), bytes);
        }
    }
}
