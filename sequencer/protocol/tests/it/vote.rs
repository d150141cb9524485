//! Votes and signatures (invariant S8: a signature counts for exactly one statement).

use alloy_primitives::{Address, B256, U256, keccak256};
use proptest::prelude::*;
use rota_protocol::vote::{Proposal, Signature65, SignatureError, Vote, VoteDomain, VoteKind, address_of, sign};

use crate::support::key;

/// Order of secp256k1.
const ORDER: U256 = alloy_primitives::uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);

fn vote() -> Vote {
    Vote { kind: VoteKind::Precommit, fork: 0, epoch: 5, height: 77, round: 1, block_hash: keccak256("block") }
}

#[test]
fn the_digest_is_eip_712() {
    let domain = VoteDomain::new(1234, Address::repeat_byte(7));
    let mut encoded = Vec::new();
    encoded.extend(keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"));
    encoded.extend(keccak256("Rota"));
    encoded.extend(keccak256("1"));
    encoded.extend(U256::from(1234).to_be_bytes::<32>());
    encoded.extend(Address::repeat_byte(7).into_word());
    assert_eq!(domain.separator(), keccak256(&encoded));

    let vote = vote();
    let mut encoded = Vec::new();
    encoded.extend(keccak256("Vote(uint8 kind,uint32 fork,uint32 epoch,uint64 height,uint32 round,bytes32 blockHash)"));
    for word in [2, 0, 5, 77, 1] {
        encoded.extend(U256::from(word).to_be_bytes::<32>());
    }
    encoded.extend(vote.block_hash);
    let expected = [&[0x19, 0x01], domain.separator().as_slice(), keccak256(&encoded).as_slice()].concat();
    assert_eq!(vote.digest(&domain), keccak256(expected));
}

#[test]
fn every_field_changes_the_digest() {
    let domain = VoteDomain::new(1, Address::repeat_byte(1));
    let base = vote();
    let proposal = Proposal { fork: 0, epoch: 5, height: 77, round: 1, pol_round: -1, block_hash: base.block_hash };
    let mut digests = vec![
        base.digest(&domain),
        base.digest(&VoteDomain::new(2, Address::repeat_byte(1))),
        base.digest(&VoteDomain::new(1, Address::repeat_byte(2))),
        Vote { kind: VoteKind::Prevote, ..base }.digest(&domain),
        Vote { fork: 1, ..base }.digest(&domain),
        Vote { epoch: 6, ..base }.digest(&domain),
        Vote { height: 78, ..base }.digest(&domain),
        Vote { round: 2, ..base }.digest(&domain),
        Vote { block_hash: B256::ZERO, ..base }.digest(&domain),
        proposal.digest(&domain),
        Proposal { pol_round: 0, ..proposal }.digest(&domain),
        Proposal { fork: 1, ..proposal }.digest(&domain),
        Proposal { epoch: 6, ..proposal }.digest(&domain),
        Proposal { height: 78, ..proposal }.digest(&domain),
        Proposal { round: 2, ..proposal }.digest(&domain),
        Proposal { block_hash: B256::ZERO, ..proposal }.digest(&domain),
    ];
    let count = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), count);
}

#[test]
fn malleable_and_malformed_signatures_are_refused() {
    let digest = vote().digest(&VoteDomain::new(1, Address::repeat_byte(1)));
    let good = *sign(&key(1), digest).unwrap().as_bytes();
    let change = |f: &dyn Fn(&mut [u8; 65])| {
        let mut bytes = good;
        f(&mut bytes);
        Signature65::new(bytes).unwrap_err()
    };
    assert_eq!(change(&|b| b[64] = 0), SignatureError::RecoveryByte(0));
    assert_eq!(change(&|b| b[64] = 29), SignatureError::RecoveryByte(29));
    assert_eq!(change(&|b| b[..32].fill(0)), SignatureError::Scalar);
    assert_eq!(change(&|b| b[32..64].fill(0)), SignatureError::Scalar);
    assert_eq!(change(&|b| b[..32].fill(0xff)), SignatureError::Scalar);
    // The malleable twin (n − s, other parity) recovers to the same key: only the low form is taken.
    let twin = change(&|b| {
        let s = U256::from_be_slice(&b[32..64]);
        b[32..64].copy_from_slice(&(ORDER - s).to_be_bytes::<32>());
        b[64] = 55 - b[64];
    });
    assert_eq!(twin, SignatureError::Scalar);
    assert_eq!(Signature65::from_slice(&good[..64]), Err(SignatureError::Length(64)));
    assert_eq!(Signature65::from_slice(&good).unwrap().as_bytes(), &good);
}

#[test]
fn the_largest_low_s_is_accepted() {
    let mut bytes = [0; 65];
    bytes[31] = 1;
    bytes[32..64].copy_from_slice(&(ORDER >> 1u32).to_be_bytes::<32>());
    bytes[64] = 27;
    assert!(Signature65::new(bytes).is_ok());
    bytes[32..64].copy_from_slice(&((ORDER >> 1u32) + U256::from(1)).to_be_bytes::<32>());
    assert_eq!(Signature65::new(bytes), Err(SignatureError::Scalar));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn signing_recovers_the_signer(index in 1u32..1000, digest: [u8; 32]) {
        let (key, digest) = (key(index), B256::from(digest));
        let signature = sign(&key, digest).unwrap();
        prop_assert_eq!(signature.recover(digest), Ok(address_of(&key)));
        prop_assert_ne!(signature.recover(keccak256(digest)), Ok(address_of(&key)));
        let json = serde_json::to_string(&signature).unwrap();
        prop_assert_eq!(serde_json::from_str::<Signature65>(&json).unwrap(), signature);
        let rlp = alloy_rlp::encode(signature);
        prop_assert_eq!(alloy_rlp::decode_exact::<Signature65>(&rlp).unwrap(), signature);
    }

    #[test]
    fn recovery_never_panics(bytes in prop::array::uniform32(any::<u8>()), s in prop::array::uniform32(any::<u8>()), v in 27u8..29) {
        let mut raw = [0; 65];
        raw[..32].copy_from_slice(&bytes);
        raw[32..64].copy_from_slice(&s);
        raw[64] = v;
        if let Ok(signature) = Signature65::new(raw) {
            let _ = signature.recover(B256::from(bytes));
        }
    }
}
