//! The parts of consensus, one by one.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy_primitives::{Address, B256, U256};
use bytes::Bytes;
use malachitebft_app_channel::{
    NetworkRequest,
    app::types::{
        ProposedValue, SignedConsensusMsg,
        streaming::{StreamId, StreamMessage},
        sync::{RawDecidedValue, Request, Response, Status},
    },
};
use malachitebft_codec::{Codec, HasEncodedLen};
use malachitebft_core_consensus::LivenessMsg;
use malachitebft_core_types::{
    CommitCertificate, CommitSignature, Context as _, ExtendedCommitCertificate, ExtendedCommitSignature, NilOrVal,
    PolkaCertificate, PolkaSignature, Round, RoundCertificate, RoundCertificateType, RoundSignature, SignedMessage,
    SignedProposal, SignedVote, SigningScheme, Validator as _, ValidatorProof, ValidatorSet as _, Validity, VoteType,
};
use malachitebft_engine::{network::PersistentPeersOp, util::streaming::StreamContent};
use malachitebft_peer::PeerId;
use malachitebft_signing::{Signer as _, Verifier as _, VerifierExt};
use malachitebft_sync::{ValueRequest, ValueResponse};
use proptest::prelude::*;
use rota_protocol::{
    header,
    vote::{self, Signature65, address_of},
};

use super::{chain::TestChain, domain, key, rules, table};
use crate::consensus::{
    body,
    codec::{CodecError, WireCodec},
    context::{Digests, Recoverable, RotaContext, Service},
    early::Early,
    horizon::{Horizon, OnL1},
    network,
    proposals::{Proposals, ProposalsError},
    protection::{Protection, ProtectionError, SignedKind},
    signing::{ProtectedKey, Verifier},
    streams::{Assembled, CHUNK, MAX_BODY, StreamError, Streams, cut},
    types::{
        self, BlockRef, Height, Proposal, ProposalInit, ProposalPart, Signer, Stream, ValidatorSet, Vote,
        from_certificate,
    },
};

type Ctx = RotaContext;

fn peer(n: u8) -> PeerId {
    libp2p::identity::Keypair::ed25519_from_bytes([n; 32]).unwrap().public().to_peer_id().to_bytes().try_into().unwrap()
}

fn signature(n: u8) -> Signature65 {
    vote::sign(&key(n.max(1)), B256::repeat_byte(n)).unwrap()
}

fn signer(n: u8) -> Signer {
    Signer(address_of(&key(n.max(1))))
}

fn a_vote(kind: VoteType, round: u32, value: NilOrVal<BlockRef>) -> Vote {
    Vote { kind, height: Height(9), round: Round::new(round), value, voter: signer(1) }
}

fn block_ref(n: u8) -> BlockRef {
    BlockRef(B256::repeat_byte(n.max(1)))
}

fn init(key_n: u8, height: u64, round: u32, body: &Bytes) -> ProposalInit {
    let stream = Stream {
        height: Height(height),
        round,
        pol_round: Round::Nil,
        block: block_ref(7),
        body_len: body.len() as u32,
    };
    let signature = vote::sign(&key(key_n), stream.digest(&domain())).unwrap();
    ProposalInit { stream, proposer: signer(key_n), signature }
}

fn round_trip<T>(message: T)
where
    T: PartialEq + std::fmt::Debug,
    WireCodec: Codec<T, Error = CodecError>,
{
    let bytes = WireCodec.encode(&message).unwrap();
    assert_eq!(WireCodec.decode(bytes.clone()).unwrap(), message);
    for cut in 0..bytes.len() {
        // A truncated message is an error, or (a chunk or list that ends earlier) at least never the same message.
        if let Ok(other) = Codec::<T>::decode(&WireCodec, bytes.slice(..cut)) {
            panic!("{cut} of {} bytes decode to {other:?}", bytes.len());
        }
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert_eq!(Codec::<T>::decode(&WireCodec, longer.into()).unwrap_err(), CodecError::Trailing(1));
}

fn extended(n: u8) -> ExtendedCommitCertificate<Ctx> {
    ExtendedCommitCertificate {
        height: Height(5),
        round: Round::new(1),
        value_id: block_ref(n),
        commit_signatures: (1..=n).map(|n| ExtendedCommitSignature::new(signer(n), signature(n), None)).collect(),
    }
}

#[test]
fn every_message_survives_the_wire() {
    let vote = a_vote(VoteType::Prevote, 3, NilOrVal::Val(block_ref(4)));
    let nil = a_vote(VoteType::Precommit, 0, NilOrVal::Nil);
    let signed_vote = SignedVote::<Ctx>::new(vote.clone(), signature(1));
    let proposal = Proposal {
        height: Height(9),
        round: Round::new(2),
        value: block_ref(8),
        pol_round: Round::Nil,
        proposer: signer(2),
    };
    round_trip(SignedConsensusMsg::<Ctx>::Vote(signed_vote.clone()));
    round_trip(SignedConsensusMsg::<Ctx>::Vote(SignedMessage::new(nil, signature(3))));
    round_trip(SignedConsensusMsg::<Ctx>::Proposal(SignedProposal::new(proposal.clone(), signature(2))));
    let repeated = Proposal { pol_round: Round::new(1), ..proposal };
    round_trip(SignedConsensusMsg::<Ctx>::Proposal(SignedProposal::new(repeated, signature(2))));

    let polka = PolkaCertificate::<Ctx> {
        height: Height(9),
        round: Round::new(1),
        value_id: block_ref(3),
        polka_signatures: (1..4).map(|n| PolkaSignature::new(signer(n), signature(n))).collect(),
    };
    round_trip(polka.clone());
    round_trip(LivenessMsg::<Ctx>::Vote(signed_vote));
    round_trip(LivenessMsg::<Ctx>::PolkaCertificate(polka));
    for cert_type in [RoundCertificateType::Skip, RoundCertificateType::Precommit] {
        let values = [NilOrVal::Nil, NilOrVal::Val(block_ref(6))];
        let signatures = values.into_iter().zip(1..);
        round_trip(LivenessMsg::<Ctx>::SkipRoundCertificate(RoundCertificate {
            height: Height(9),
            round: Round::new(1),
            cert_type,
            round_signatures: signatures
                .map(|(value, n)| RoundSignature::new(VoteType::Prevote, value, signer(n), signature(n)))
                .collect(),
        }));
    }

    for validity in [Validity::Valid, Validity::Invalid] {
        round_trip(ProposedValue::<Ctx> {
            height: Height(1),
            round: Round::new(0),
            valid_round: Round::Nil,
            proposer: signer(1),
            value: block_ref(1),
            validity,
        });
    }
    let body = Bytes::from(vec![9; 1_000]);
    let parts = [
        ProposalPart::Init(init(1, 3, 2, &body)),
        ProposalPart::Chunk { bytes: body.clone(), last: false },
        ProposalPart::Chunk { bytes: body, last: true },
    ];
    for part in parts {
        round_trip(part.clone());
        let id = StreamId::new(Bytes::from_static(b"stream"));
        round_trip(StreamMessage::new(id.clone(), 3, StreamContent::Data(part)));
        round_trip(StreamMessage::<ProposalPart>::new(id, 4, StreamContent::Fin));
    }
    round_trip(ValidatorProof::<Ctx>::new(vec![1; 20], vec![2; 38], signature(1)));
    round_trip(Status::<Ctx> { peer_id: peer(1), tip_height: Height(7), history_min_height: Height(2) });
    round_trip(Request::<Ctx>::ValueRequest(ValueRequest::new(Height(3)..=Height(12))));
    for n in [0, 1, 4] {
        let values = (0..n).map(|n| RawDecidedValue::new(Bytes::from(vec![n; 50]), extended(n + 1))).collect();
        let response = Response::<Ctx>::ValueResponse(ValueResponse::new(Height(5), values));
        assert_eq!(WireCodec.encoded_len(&response).unwrap(), WireCodec.encode(&response).unwrap().len());
        round_trip(response);
    }
}

#[test]
fn ambiguous_or_malleable_messages_are_refused() {
    let decode = |bytes: Vec<u8>| Codec::<SignedConsensusMsg<Ctx>>::decode(&WireCodec, bytes.into()).unwrap_err();
    let vote = SignedVote::<Ctx>::new(a_vote(VoteType::Prevote, 0, NilOrVal::Nil), signature(1));
    let good = WireCodec.encode(&SignedConsensusMsg::Vote(vote)).unwrap().to_vec();

    // tag ‖ kind ‖ height ‖ round ‖ value ‖ voter ‖ r ‖ s ‖ v
    let mut nil_round = good.clone();
    nil_round[10..14].fill(0xff);
    assert_eq!(decode(nil_round), CodecError::Nil("round"));
    let mut kind = good.clone();
    kind[1] = 3;
    assert_eq!(decode(kind), CodecError::Tag("vote type", 3));
    let mut tag = good.clone();
    tag[0] = 2;
    assert_eq!(decode(tag), CodecError::Tag("consensus message", 2));

    // The other signature of the same message: n − s with v flipped.
    let at = good.len() - 65;
    let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16).unwrap();
    let mut high_s = good.clone();
    let s = U256::from_be_slice(&good[at + 32..at + 64]);
    high_s[at + 32..at + 64].copy_from_slice(&(order - s).to_be_bytes::<32>());
    high_s[at + 64] = 55 - high_s[at + 64];
    assert_eq!(decode(high_s), CodecError::Signature(vote::SignatureError::Scalar));
    let mut v = good;
    v[at + 64] = 0;
    assert_eq!(decode(v), CodecError::Signature(vote::SignatureError::RecoveryByte(0)));

    // A proposal of nothing would be signed like one of the zero hash.
    let proposal = Proposal {
        height: Height(1),
        round: Round::new(0),
        value: BlockRef(B256::ZERO),
        pol_round: Round::Nil,
        proposer: signer(1),
    };
    let bytes = WireCodec.encode(&SignedConsensusMsg::Proposal(SignedProposal::new(proposal, signature(1)))).unwrap();
    assert_eq!(decode(bytes.to_vec()), CodecError::Nil("block"));
}

proptest! {
    /// No bytes panic a decoder, and what decodes encodes to the same bytes: there is one form of each message.
    #[test]
    fn decoders_are_total_and_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        fn check<T>(bytes: &[u8]) where WireCodec: Codec<T, Error = CodecError> {
            let bytes = Bytes::copy_from_slice(bytes);
            if let Ok(message) = Codec::<T>::decode(&WireCodec, bytes.clone()) {
                assert_eq!(WireCodec.encode(&message).unwrap(), bytes);
            }
        }
        check::<SignedConsensusMsg<Ctx>>(&bytes);
        check::<LivenessMsg<Ctx>>(&bytes);
        check::<StreamMessage<ProposalPart>>(&bytes);
        check::<ProposalPart>(&bytes);
        check::<ValidatorProof<Ctx>>(&bytes);
        check::<Status<Ctx>>(&bytes);
        check::<Request<Ctx>>(&bytes);
        check::<Response<Ctx>>(&bytes);
        check::<ProposedValue<Ctx>>(&bytes);
        check::<PolkaCertificate<Ctx>>(&bytes);
    }

    /// One flipped bit of a real message is refused or makes another message.
    #[test]
    fn a_flipped_bit_never_goes_unnoticed(bit in 0usize..(1 + 1 + 8 + 4 + 32 + 20 + 65) * 8) {
        let vote = SignedVote::<Ctx>::new(a_vote(VoteType::Prevote, 0, NilOrVal::Val(block_ref(2))), signature(1));
        let message = SignedConsensusMsg::Vote(vote);
        let mut bytes = WireCodec.encode(&message).unwrap().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Codec::<SignedConsensusMsg<Ctx>>::decode(&WireCodec, bytes.into()) {
            prop_assert_ne!(other, message);
        }
    }
}

#[test]
fn digests_know_entered_heights_only() {
    let digests = Digests::new(domain());
    let vote = a_vote(VoteType::Prevote, 0, NilOrVal::Nil);
    assert_eq!(digests.vote(&vote), None);
    digests.enter(5, Service { sigma: 2, fork: 0 });
    digests.enter(6, Service { sigma: 2, fork: 0 });
    assert_eq!(digests.service(Height(4)), None);
    assert_eq!(digests.service(Height(6)), Some(Service { sigma: 2, fork: 0 }));
    assert_eq!(digests.service(Height(7)), None);
    digests.enter(9, Service { sigma: 3, fork: 0 });
    assert_eq!(digests.service(Height(8)), Some(Service { sigma: 2, fork: 0 }));
    assert_eq!(digests.service(Height(9)), Some(Service { sigma: 3, fork: 0 }));

    // Exactly the digest of the protocol: σ and fork are in it, the voter is not.
    let of = |epoch, block_hash| {
        vote::Vote { kind: vote::VoteKind::Prevote, fork: 0, epoch, height: 9, round: 0, block_hash }.digest(&domain())
    };
    assert_eq!(digests.vote(&vote), Some(of(3, B256::ZERO)));
    assert_eq!(digests.vote(&Vote { voter: signer(4), ..vote.clone() }), Some(of(3, B256::ZERO)));
    let block = Vote { value: NilOrVal::Val(block_ref(3)), ..vote };
    assert_eq!(digests.vote(&block), Some(of(3, block_ref(3).0)));
}

#[test]
fn proposers_follow_the_schedule() {
    let rules = rules(&[50, 30, 20]);
    let set = ValidatorSet::new(rules.clone());
    assert_eq!((set.count(), set.total_voting_power()), (3, 100));
    for height in 1..200u64 {
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..3u32 {
            let proposer = RotaContext.select_proposer(&set, Height(height), Round::new(round));
            assert_eq!(proposer.address().0, rules.proposer(height, round).signer);
            seen.insert(*proposer.address());
        }
        assert_eq!(seen.len(), 3, "rounds of {height} are a permutation");
    }
    assert_ne!(set, ValidatorSet::new(crate::consensus::rules::HeightRules { slots: 64, ..rules }));
}

fn protected(dir: &std::path::Path, digests: &Digests) -> ProtectedKey {
    drop(table(dir, 1));
    let table = Protection::open(dir, signer(1).0, false).unwrap();
    ProtectedKey::new(key(1), digests.clone(), table, Arc::new(Horizon::unbounded()))
}

#[tokio::test]
async fn signatures_recover_and_contradictions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let digests = Digests::new(domain());
    digests.enter(9, Service { sigma: 2, fork: 0 });
    let verifier = Verifier::new(digests.clone());
    let ours = signer(1);

    let vote = a_vote(VoteType::Precommit, 1, NilOrVal::Val(block_ref(3)));
    {
        let key = protected(dir.path(), &digests);
        let signed = key.sign_vote(vote.clone()).await.unwrap();
        let valid = |vote: Vote, by: Signer| {
            let verifier = &verifier;
            async move { verifier.verify_signed_vote(&vote, &signed.signature, &by).await.unwrap().is_valid() }
        };
        assert!(valid(vote.clone(), ours).await);
        assert!(!valid(vote.clone(), signer(2)).await);
        for other in [
            Vote { round: Round::new(2), ..vote.clone() },
            Vote { kind: VoteType::Prevote, ..vote.clone() },
            Vote { value: NilOrVal::Nil, ..vote.clone() },
            Vote { height: Height(8), ..vote.clone() },
        ] {
            assert!(!valid(other.clone(), ours).await, "{other:?}");
        }
        assert_eq!(key.sign_vote(vote.clone()).await.unwrap().signature, signed.signature);
    }

    // After a restart, even with the engine's log lost.
    let key = protected(dir.path(), &digests);
    let refusals = key.refusals();
    let contradiction = Vote { value: NilOrVal::Nil, ..vote.clone() };
    key.sign_vote(contradiction).await.unwrap_err();
    let refusal = refusals.borrow().clone().unwrap();
    assert!(matches!(*refusal, ProtectionError::Conflict { .. }), "{refusal}");
    key.sign_vote(vote).await.unwrap();

    let proposal = Proposal {
        height: Height(9),
        round: Round::new(0),
        value: block_ref(1),
        pol_round: Round::Nil,
        proposer: ours,
    };
    let signed = key.sign_proposal(proposal.clone()).await.unwrap();
    assert!(verifier.verify_signed_proposal(&proposal, &signed.signature, &ours).await.unwrap().is_valid());
    // Another value, and the same value with another polka round, are each a second proposal.
    key.sign_proposal(Proposal { value: block_ref(2), ..proposal.clone() }).await.unwrap_err();
    key.sign_proposal(Proposal { pol_round: Round::new(0), ..proposal }).await.unwrap_err();
    // A height that was not entered is not signed for at all.
    key.sign_vote(Vote { height: Height(10), ..a_vote(VoteType::Prevote, 0, NilOrVal::Nil) }).await.unwrap_err();

    let proof = key.sign_validator_proof(ours.0.to_vec(), vec![1, 2, 3]).await.unwrap();
    assert!(verifier.verify_validator_proof(&proof).await.unwrap().is_valid());
    let stolen = ValidatorProof::new(proof.public_key.clone(), vec![9], proof.signature);
    assert!(!verifier.verify_validator_proof(&stolen).await.unwrap().is_valid());
}

/// After a crash between the table and the engine's log: no error, for that would end the engine, and no signature.
#[tokio::test]
async fn a_withheld_vote_is_signed_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let digests = Digests::new(domain());
    digests.enter(9, Service { sigma: 2, fork: 0 });
    let horizon = Arc::new(Horizon::unbounded());
    let open = || ProtectedKey::new(key(1), digests.clone(), table(dir.path(), 1), Arc::clone(&horizon));
    let vote = a_vote(VoteType::Prevote, 0, NilOrVal::Val(block_ref(3)));
    open().sign_vote(vote.clone()).await.unwrap();
    let key = open();
    let other = Vote { value: NilOrVal::Nil, ..vote };
    let signed = key.sign_vote(other.clone()).await.unwrap();
    assert!(key.refusals().borrow().is_none());
    let digest = digests.vote(&other).unwrap();
    assert_ne!(signed.signature.recover(digest), Ok(signer(1).0));
    let verifier = Verifier::new(digests.clone());
    assert!(verifier.verify_signed_vote(&other, &signed.signature, &signer(1)).await.unwrap().is_invalid());
}

/// Whatever the table says: an empty one, as after a loss, and one that has the very signature.
#[tokio::test]
async fn nothing_is_signed_where_l1_shows_a_decision() {
    use SignedKind::{Precommit, Prevote, Proposal as Proposed};
    let dir = tempfile::tempdir().unwrap();
    let digests = Digests::new(domain());
    (9..=10).for_each(|height| digests.enter(height, Service { sigma: 2, fork: 0 }));
    let on_l1 = Arc::new(AtomicU64::new(8));
    let horizon = {
        let on_l1 = Arc::clone(&on_l1);
        Arc::new(Horizon::new(
            domain(),
            Arc::new(move || OnL1 { height: on_l1.load(Ordering::SeqCst), current: false }),
        ))
    };
    let key = ProtectedKey::new(key(1), digests.clone(), table(dir.path(), 1), horizon);
    let verifier = Verifier::new(digests.clone());
    let proposal = |height| Proposal {
        height: Height(height),
        round: Round::new(0),
        value: block_ref(1),
        pol_round: Round::Nil,
        proposer: signer(1),
    };
    let vote = |kind, height| Vote { height: Height(height), ..a_vote(kind, 0, NilOrVal::Val(block_ref(3))) };
    let votes = async |vote: Vote| {
        let signed = key.sign_vote(vote.clone()).await.unwrap();
        verifier.verify_signed_vote(&vote, &signed.signature, &signer(1)).await.unwrap().is_valid()
    };
    let proposes = async |proposal: Proposal| {
        let signed = key.sign_proposal(proposal.clone()).await.unwrap();
        verifier.verify_signed_proposal(&proposal, &signed.signature, &signer(1)).await.unwrap().is_valid()
    };
    assert!(votes(vote(VoteType::Prevote, 9)).await);
    on_l1.store(9, Ordering::SeqCst);
    assert!(!votes(vote(VoteType::Prevote, 9)).await);
    assert!(!votes(vote(VoteType::Precommit, 9)).await);
    assert!(!proposes(proposal(9)).await);
    assert!(votes(vote(VoteType::Precommit, 10)).await);
    assert!(proposes(proposal(10)).await);
    assert!(key.refusals().borrow().is_none());
    drop(key);
    let table = table(dir.path(), 1);
    let heights: Vec<_> = table.content().1.map(|(slot, _)| (slot.height, slot.kind)).collect();
    assert_eq!(heights, [(9, Prevote), (10, Precommit), (10, Proposed)]);
}

/// The alarm, for both ways to a refusal, and the reason that ends the node.
#[test]
fn refusals_are_counted_and_give_the_reason() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let count = |expected: u32| {
        let text = recorder.handle().render();
        let line = format!("rota_slashing_protection_refusals_total {expected}");
        assert!(text.lines().any(|found| found == line), "{text}");
    };
    let dir = tempfile::tempdir().unwrap();
    let digests = Digests::new(domain());
    digests.enter(9, Service { sigma: 2, fork: 0 });
    let key = protected(dir.path(), &digests);
    let vote = a_vote(VoteType::Precommit, 0, NilOrVal::Val(block_ref(3)));
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(key.sign_vote(vote.clone())).unwrap();
        runtime.block_on(key.sign_vote(Vote { value: NilOrVal::Nil, ..vote.clone() })).unwrap_err();
        count(1);
        assert!(matches!(key.refusals().borrow().as_deref(), Some(ProtectionError::Conflict { .. })));
        key.recognise(0, 9, 0, digests.vote(&vote).unwrap()).unwrap();
        key.recognise(0, 9, 1, B256::ZERO).unwrap_err();
        count(2);
        assert!(matches!(key.refusals().borrow().as_deref(), Some(ProtectionError::Outdated { .. })));
    });
}

#[test]
fn public_keys_are_addresses() {
    assert_eq!(Recoverable::decode_public_key(&Recoverable::encode_public_key(&signer(3))), Ok(signer(3)));
    assert!(Recoverable::decode_public_key(&[0; 33]).is_err());
    assert_eq!(Recoverable::decode_signature(&Recoverable::encode_signature(&signature(1))), Ok(signature(1)));
}

/// What the engine verified is what L1 verifies, there and back.
#[tokio::test]
async fn certificates_translate_both_ways() {
    let rules = rules(&[40, 30, 30]);
    let digests = Digests::new(domain());
    digests.enter(9, Service { sigma: rules.sigma, fork: rules.fork });
    let vote = a_vote(VoteType::Precommit, 2, NilOrVal::Val(block_ref(5)));
    let digest = digests.vote(&vote).unwrap();
    let sign = |n: u8| CommitSignature::new(signer(n), vote::sign(&key(n), digest).unwrap());
    let certificate = CommitCertificate::<Ctx> {
        height: Height(9),
        round: Round::new(2),
        value_id: block_ref(5),
        commit_signatures: vec![sign(3), sign(1)],
    };
    let ours = types::to_certificate(&certificate, &rules).unwrap();
    assert_eq!(ours.verify(&rules.set, &domain()), Ok(70));
    assert_eq!(ours.signers, U256::from(0b101));

    let back = from_certificate(&ours, None, &domain()).unwrap();
    assert_eq!(from_certificate(&ours, Some(&rules.set), &domain()).unwrap(), back);
    let other_epoch = rota_protocol::member::FrozenSet::new(3, B256::ZERO, rules.set.members()[1..].to_vec()).unwrap();
    assert_eq!(from_certificate(&ours, Some(&other_epoch), &domain()).unwrap(), back);
    assert_eq!(back.commit_signatures.len(), 2);
    let set = ValidatorSet::new(rules);
    Verifier::new(digests)
        .verify_extended_commit_certificate(&RotaContext, &back, &set, Default::default(), Default::default())
        .await
        .unwrap();
}

#[test]
fn bodies_arrive_in_any_order() {
    let body: Bytes = (0..CHUNK * 2 + 77).map(|n| n as u8).collect::<Vec<_>>().into();
    let head = init(1, 1, 0, &body);
    let parts = cut(StreamId::new(Bytes::from_static(b"s")), head.clone(), &body);
    assert_eq!(parts.len(), 4);
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let mut streams = Streams::default();
        let mut done = None;
        for (n, part) in order.into_iter().enumerate() {
            // Each part through another neighbour, all by one publisher; and one of them twice.
            let from = peer(n as u8 + 1);
            assert_eq!(done, None);
            done = streams.take(from, Some(peer(9)), parts[part].clone(), |_| true).unwrap();
            if n == 1 {
                assert_eq!(streams.take(from, Some(peer(9)), parts[part].clone(), |_| true), Ok(None));
            }
        }
        let done = done.unwrap();
        assert_eq!((done.init, done.body), (head.clone(), body.clone()));
    }
}

#[test]
fn streams_that_do_not_fit_are_dropped() {
    let body = Bytes::from(vec![1; CHUNK + 1]);
    let head = init(1, 1, 0, &body);
    let id = StreamId::new(Bytes::from_static(b"s"));
    let parts = cut(id.clone(), head.clone(), &body);
    let chunk = |sequence, len, last| {
        let part = ProposalPart::Chunk { bytes: Bytes::from(vec![1; len]), last };
        StreamMessage::new(id.clone(), sequence, StreamContent::Data(part))
    };
    let take = |streams: &mut Streams, part| streams.take(peer(1), None, part, |_| true);

    let mut streams = Streams::default();
    assert_eq!(streams.take(peer(1), None, parts[0].clone(), |_| false), Err(StreamError::Refused));

    take(&mut streams, parts[0].clone()).unwrap();
    assert_eq!(take(&mut streams, chunk(1, CHUNK + 2, false)), Err(StreamError::TooLong));
    take(&mut streams, parts[0].clone()).unwrap();
    assert_eq!(take(&mut streams, chunk(1, 5, true)), Err(StreamError::Malformed));
    take(&mut streams, parts[1].clone()).unwrap();
    assert_eq!(take(&mut streams, chunk(1, 5, false)), Err(StreamError::Malformed));
    assert_eq!(take(&mut streams, chunk(64, 5, false)), Err(StreamError::TooLong));
    let long = ProposalInit { stream: Stream { body_len: MAX_BODY as u32 + 1, ..head.stream }, ..head };
    let long = StreamMessage::new(id.clone(), 0, StreamContent::Data(ProposalPart::Init(long)));
    assert_eq!(take(&mut streams, long), Err(StreamError::TooLong));

    // A flood through one peer pushes out its own streams, not those of others.
    let mut streams = Streams::default();
    streams.take(peer(2), None, parts[0].clone(), |_| true).unwrap();
    for n in 0..1_000u32 {
        let message = StreamMessage::new(
            StreamId::new(Bytes::copy_from_slice(&n.to_be_bytes())),
            1,
            StreamContent::Data(ProposalPart::Chunk { bytes: Bytes::from(vec![1; 9]), last: false }),
        );
        streams.take(peer(1), None, message, |_| true).unwrap();
    }
    streams.take(peer(2), None, parts[1].clone(), |_| true).unwrap();
    assert!(streams.take(peer(2), None, parts[2].clone(), |_| true).unwrap().is_some());
}

#[test]
fn undecided_bodies_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let body = Bytes::from(vec![5; 3_000]);
    let hash = block_ref(7).0;
    let (first, second) = (init(1, 4, 0, &body), init(2, 4, 1, &body));
    {
        let mut proposals = Proposals::open(dir.path(), 3).unwrap();
        proposals.insert(4, hash, Some(&first), &body).unwrap();
        proposals.insert(4, hash, Some(&second), &body).unwrap();
        proposals.insert(4, hash, Some(&first), &body).unwrap();
        proposals.insert(5, block_ref(8).0, None, &body).unwrap();
    }
    let mut proposals = Proposals::open(dir.path(), 3).unwrap();
    let stored = proposals.get(4, hash).unwrap();
    assert_eq!(stored.body, body);
    assert_eq!(stored.inits.values().cloned().collect::<Vec<_>>(), [first, second]);
    proposals.prune(4).unwrap();
    assert!(proposals.get(4, hash).is_none());
    assert!(proposals.get(5, block_ref(8).0).is_some());
    proposals.prune(5).unwrap();
    drop(proposals);
    assert_eq!(std::fs::metadata(dir.path().join("undecided.log")).unwrap().len(), 0);

    // A torn write loses that body and no other.
    {
        let mut proposals = Proposals::open(dir.path(), 5).unwrap();
        proposals.insert(6, hash, None, &body).unwrap();
        proposals.insert(6, block_ref(9).0, None, &body).unwrap();
    }
    let path = dir.path().join("undecided.log");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let proposals = Proposals::open(dir.path(), 5).unwrap();
    assert!(proposals.get(6, hash).is_some());
    assert!(proposals.get(6, block_ref(9).0).is_none());
}

#[test]
fn no_member_can_use_up_the_room_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let body = Bytes::from(vec![5; 300]);
    let hash = |n: u32| B256::from(U256::from(n));
    let mut proposals = Proposals::open(dir.path(), 3).unwrap();
    for n in 0..100 {
        let result = proposals.insert(4, hash(n), Some(&init(1, 4, n, &body)), &body);
        assert_eq!(matches!(result, Err(ProposalsError::Full)), n >= 8, "{n}: {result:?}");
    }
    // Another member, another height, and known bodies are not concerned.
    proposals.insert(4, hash(200), Some(&init(2, 4, 1, &body)), &body).unwrap();
    proposals.insert(5, hash(201), Some(&init(1, 5, 0, &body)), &body).unwrap();
    // Many heads for one body: the latest are kept.
    for round in 100..300 {
        proposals.insert(4, hash(0), Some(&init(1, 4, round, &body)), &body).unwrap();
    }
    let rounds =
        |proposals: &Proposals| -> Vec<u32> { proposals.get(4, hash(0)).unwrap().inits.keys().copied().collect() };
    assert_eq!(rounds(&proposals), (236..300).collect::<Vec<_>>());
    // Synced bodies push out each other, so sync always goes on.
    for n in 300..400 {
        proposals.insert(4, hash(n), None, &body).unwrap();
        assert!(proposals.get(4, hash(n)).is_some());
    }
    assert_eq!(proposals.at(4).count(), 8 + 1 + 8);
    drop(proposals);
    let proposals = Proposals::open(dir.path(), 3).unwrap();
    assert_eq!(rounds(&proposals), (236..300).collect::<Vec<_>>());
    assert!(proposals.get(4, hash(200)).is_some() && proposals.get(4, hash(7)).is_some());
}

#[test]
fn early_bodies_have_a_share_for_each_member() {
    let chain = TestChain::new(rules(&[1]));
    let block = chain.assemble(chain.attributes_for(11, 5));
    let bytes = body::encode(&block);
    let early = |key_n: u8, height: u64, round: u32| {
        let stream = Stream { block: BlockRef(block.hash), ..init(1, height, round, &bytes).stream };
        Assembled { init: ProposalInit { stream, ..init(key_n, height, round, &bytes) }, body: bytes.clone() }
    };
    let mut kept = Early::default();
    // A body that is not what was announced is not kept, and does not stand for the sound one.
    kept.keep(Assembled { body: Bytes::from(vec![1; 300]), ..early(2, 4, 1) });
    assert_eq!(kept.count(), 0);
    kept.keep(early(2, 4, 1));
    kept.keep(early(2, 4, 1));
    kept.keep(early(3, 5, 0));
    assert_eq!(kept.count(), 2);
    // A flood of one member, of the nearest rounds, pushes out its own furthest ones.
    for round in (0..100).rev() {
        kept.keep(early(1, 4, round));
    }
    assert_eq!(kept.count(), 16);
    let of = |taken: Vec<Assembled>| taken.iter().map(|a| (a.init.proposer, a.init.round)).collect::<Vec<_>>();
    assert_eq!(of(kept.due(Height(5), 0)), [(signer(3), 0)]);
    assert_eq!(of(kept.due(Height(4), 0)), [(signer(1), 0)]);
    let due = of(kept.due(Height(4), 1));
    assert_eq!(due, [(signer(2), 1), (signer(1), 1)]);
    assert_eq!(of(kept.due(Height(4), 13)).len(), 12);
    assert_eq!(kept.count(), 0);
    kept.keep(early(2, 6, 0));
    kept.prune(5);
    assert_eq!(kept.count(), 1);
    kept.prune(6);
    assert_eq!(kept.count(), 0);
}

#[test]
fn bodies_are_bound_to_their_hash() {
    let chain = TestChain::new(rules(&[1]));
    let block = chain.assemble(chain.attributes_for(11, 5));
    let bytes = body::encode(&block);
    assert_eq!(body::decode_as(&bytes, block.hash), Some(block.clone()));
    assert_eq!(body::decode_as(&bytes, B256::repeat_byte(1)), None);
    assert_eq!(body::decode(&[&bytes[..], &[0]].concat()), None);
    // A withdrawal smuggled into an honest block changes no header, and is noticed.
    let mut changed = (*block.block).clone();
    changed.body.withdrawals = Some(vec![Default::default()].into());
    let changed = crate::chain::SealedBlock::new(changed);
    assert_eq!(changed.hash, block.hash);
    assert_eq!(body::decode(&body::encode(&changed)), None);
}

#[test]
fn who_a_block_may_pay() {
    let rules = rules(&[40, 30, 20, 10]);
    let chain = TestChain::new(rules.clone());
    let block = |id| chain.assemble(chain.attributes_for(id, 5));
    let by_round: Vec<u32> = (0..4).map(|round| rules.proposer(1, round).id).collect();

    for (round, id) in (0u32..).zip(&by_round) {
        let block = block(*id);
        assert!(rules.pays_a_member(&block));
        for proposed in 0..4 {
            assert_eq!(rules.pays_its_proposer(&block, proposed, None), proposed == round);
            // A polka of round p can be for a block of any round up to p.
            assert_eq!(rules.pays_its_proposer(&block, proposed + 1, Some(proposed)), round <= proposed);
        }
        assert!(rules.pays_its_proposer(&block, u32::MAX - 1, Some(u32::MAX - 2)));
    }
    assert!(!rules.pays_a_member(&block(99)));
    assert!(!rules.pays_its_proposer(&block(99), 5, Some(4)));
    let mut stranger = (*block(by_round[0]).block).clone();
    stranger.header.beneficiary = Address::repeat_byte(9);
    assert!(!rules.pays_a_member(&crate::chain::SealedBlock::new(stranger)));
    assert!(header::id_of_coinbase(Address::repeat_byte(9)).is_none());
}

/// Members come and go with the frozen sets; configured peers stay whatever the sets say.
#[tokio::test]
async fn connections_follow_the_members() {
    let addr = |n: u16| -> libp2p::Multiaddr { format!("/ip4/127.0.0.1/tcp/{n}").parse().unwrap() };
    let (requests, mut received) = tokio::sync::mpsc::channel(8);
    let (members, wanted) = tokio::sync::watch::channel(vec![addr(1), addr(2)]);
    let task = tokio::spawn(network::follow_peers(requests, vec![addr(1)], wanted));
    let mut next = async || match received.recv().await {
        Some(NetworkRequest::UpdatePersistentPeers(op, reply)) => {
            reply.send(Ok(())).unwrap();
            op
        }
        _ => panic!("no update"),
    };
    assert_eq!(next().await, PersistentPeersOp::Add(addr(2)));
    members.send(vec![addr(2), addr(3)]).unwrap();
    assert_eq!(next().await, PersistentPeersOp::Add(addr(3)));
    members.send(vec![addr(3)]).unwrap();
    assert_eq!(next().await, PersistentPeersOp::Remove(addr(2)));
    drop(members);
    task.await.unwrap();
}
