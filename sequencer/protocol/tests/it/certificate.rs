//! Commit certificates (invariant B5).

use alloy_primitives::{Address, B256, U256, keccak256};
use proptest::prelude::*;
use rota_protocol::{
    certificate::{CertificateError, CommitCertificate, has_quorum},
    member::FrozenSet,
    vote::{Signature65, Vote, VoteDomain, VoteKind, sign},
};

use crate::support::{key, set};

const HEIGHT: u64 = 42;

fn domain() -> VoteDomain {
    VoteDomain::new(9, Address::repeat_byte(9))
}

fn vote() -> Vote {
    Vote { kind: VoteKind::Precommit, fork: 0, epoch: 4, height: HEIGHT, round: 2, block_hash: keccak256("block") }
}

/// Votes of the members with these ids.
fn votes(set: &FrozenSet, ids: &[u32]) -> Vec<(Address, Signature65)> {
    let digest = vote().digest(&domain());
    ids.iter()
        .map(|id| {
            let signature = sign(&key(*id), digest).unwrap();
            (set.members()[set.index_of_id(*id).unwrap()].signer, signature)
        })
        .collect()
}

fn certificate(set: &FrozenSet, ids: &[u32]) -> Result<CommitCertificate, CertificateError> {
    CommitCertificate::from_votes(set, &vote(), votes(set, ids))
}

#[test]
fn more_than_two_thirds_verify_and_two_thirds_do_not() {
    let set = set(4, &[1, 1, 1]);
    assert_eq!(certificate(&set, &[3, 1, 2]).unwrap().verify(&set, &domain()), Ok(3));
    assert_eq!(certificate(&set, &[1, 2]), Err(CertificateError::NoQuorum { weight: 2, total: 3 }));
    let uneven = crate::support::set(4, &[2, 1, 1, 2]);
    assert_eq!(certificate(&uneven, &[1, 4, 2]).unwrap().verify(&uneven, &domain()), Ok(5));
    assert_eq!(certificate(&uneven, &[1, 4]), Err(CertificateError::NoQuorum { weight: 4, total: 6 }));
}

#[test]
fn quorum_at_the_limits() {
    assert!(!has_quorum(0, 0));
    assert!(!has_quorum(2, 3));
    assert!(has_quorum(3, 3));
    assert!(!has_quorum(u64::MAX / 3 * 2, u64::MAX));
    assert!(has_quorum(u64::MAX / 3 * 2 + 1, u64::MAX));
}

#[test]
fn each_check_refuses() {
    let set = set(4, &[5, 5, 5, 5]);
    let good = certificate(&set, &[1, 2, 3, 4]).unwrap();
    let verify = |certificate: CommitCertificate| certificate.verify(&set, &domain()).unwrap_err();

    assert_eq!(
        verify(CommitCertificate { epoch: 5, ..good.clone() }),
        CertificateError::Epoch { certificate: 5, set: 4 }
    );
    assert_eq!(verify(CommitCertificate { block_hash: B256::ZERO, ..good.clone() }), CertificateError::Nil);
    let signers = U256::from(0b11111);
    assert_eq!(
        verify(CommitCertificate { signers, ..good.clone() }),
        CertificateError::UnknownMember { signers, members: 4 }
    );
    assert_eq!(
        verify(CommitCertificate { signers: U256::from(0b111), ..good.clone() }),
        CertificateError::Count { signers: 3, signatures: 4 }
    );
    let mut swapped = good.clone();
    swapped.signatures.swap(0, 1);
    assert!(matches!(verify(swapped), CertificateError::WrongSigner { index: 0, .. }));
    // One voter four times is not a quorum.
    let repeated = CommitCertificate { signatures: vec![good.signatures[0]; 4], ..good.clone() };
    assert!(matches!(verify(repeated), CertificateError::WrongSigner { index: 1, .. }));
    for other in [
        CommitCertificate { fork: 1, ..good.clone() },
        CommitCertificate { height: HEIGHT + 1, ..good.clone() },
        CommitCertificate { round: 3, ..good.clone() },
        CommitCertificate { block_hash: keccak256("other"), ..good.clone() },
    ] {
        assert!(matches!(verify(other), CertificateError::WrongSigner { .. } | CertificateError::Signature { .. }));
    }
    let elsewhere = VoteDomain::new(10, Address::repeat_byte(9));
    assert!(good.verify(&set, &elsewhere).is_err());
    let prevotes = Vote { kind: VoteKind::Prevote, ..vote() }.digest(&domain());
    let signatures = (1..=4).map(|id| sign(&key(id), prevotes).unwrap()).collect();
    assert!(matches!(verify(CommitCertificate { signatures, ..good }), CertificateError::WrongSigner { .. }));
}

#[test]
fn assembling_refuses_strangers_and_duplicates() {
    let set = set(4, &[5, 5, 5]);
    let mut all = votes(&set, &[1, 2, 3]);
    all.push(all[0]);
    let assemble = |votes| CommitCertificate::from_votes(&set, &vote(), votes);
    assert_eq!(assemble(all.clone()), Err(CertificateError::Duplicate(all[0].0)));
    all[3].0 = Address::repeat_byte(1);
    assert_eq!(assemble(all), Err(CertificateError::Stranger(Address::repeat_byte(1))));
    let late = Vote { epoch: 5, ..vote() };
    assert!(matches!(
        CommitCertificate::from_votes(&set, &late, votes(&set, &[1, 2, 3])),
        Err(CertificateError::Epoch { certificate: 5, set: 4 })
    ));
}

#[test]
fn a_full_set_of_256_members_fits_the_mask() {
    let weights = vec![1; 256];
    let set = set(4, &weights);
    let ids: Vec<u32> = (86..=256).collect();
    let certificate = certificate(&set, &ids).unwrap();
    assert_eq!(certificate.signers.bit_len(), 256);
    assert_eq!(certificate.verify(&set, &domain()), Ok(171));
    assert!(CommitCertificate::from_votes(&set, &vote(), votes(&set, &ids[1..])).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn trimming_keeps_a_least_quorum(weights in prop::collection::vec(1u64..100, 1..8), mask: u8) {
        let set = set(4, &weights);
        let ids: Vec<u32> = (1..=weights.len() as u32).filter(|id| mask >> (id % 8) & 1 == 0).collect();
        if let Ok(full) = certificate(&set, &ids) {
            let trimmed = full.trimmed(&set);
            let weight = trimmed.verify(&set, &domain()).unwrap();
            prop_assert!(trimmed.signatures.len() <= full.signatures.len());
            // No member of it can be spared.
            for (index, member) in set.members().iter().enumerate() {
                if trimmed.signers.bit(index) {
                    prop_assert!(!has_quorum(weight - member.weight, set.total_weight()));
                }
            }
            prop_assert_eq!(trimmed.signature_bytes().len(), 65 * trimmed.signatures.len());
            let rlp = alloy_rlp::encode(&full);
            prop_assert_eq!(&alloy_rlp::decode_exact::<CommitCertificate>(&rlp).unwrap(), &full);
            let json = serde_json::to_string(&full).unwrap();
            prop_assert_eq!(serde_json::from_str::<CommitCertificate>(&json).unwrap(), full);
        }
    }

    #[test]
    fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = alloy_rlp::decode_exact::<CommitCertificate>(&bytes);
    }
}
