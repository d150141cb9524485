//! Evidence: a contradiction convicts its signer, and no rearrangement of honest signatures convicts anybody
//! (invariants S2 and S8).

use alloy_primitives::{Address, B256, U256, keccak256, uint};
use k256::ecdsa::SigningKey;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rota_protocol::{
    certificate::CommitCertificate,
    evidence::{Contradiction, Evidence, EvidenceError, Message, Signed},
    member::FrozenSet,
    vote::{Proposal, Signature65, Vote, VoteDomain, VoteKind, address_of, sign},
};

use crate::support::{key, set};

const ORDER: U256 = uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);
const MEMBERS: u32 = 4;

fn domain() -> VoteDomain {
    VoteDomain::new(1234, Address::repeat_byte(7))
}

fn signed<T: Message>(key: &SigningKey, message: T) -> Signed<T> {
    Signed { message, signature: sign(key, message.signing_digest(&domain())).unwrap() }
}

fn vote(block: &str) -> Vote {
    Vote { kind: VoteKind::Prevote, fork: 0, epoch: 5, height: 77, round: 1, block_hash: keccak256(block) }
}

fn proposal(block: &str) -> Proposal {
    Proposal { fork: 0, epoch: 5, height: 77, round: 1, pol_round: -1, block_hash: keccak256(block) }
}

#[test]
fn a_contradiction_convicts_its_signer() {
    let set = set(5, &[10, 20, 30, 40]);
    let nil = Vote { block_hash: B256::ZERO, ..vote("a") };
    let other_set = Vote { epoch: 6, ..vote("a") };
    for kind in [VoteKind::Prevote, VoteKind::Precommit] {
        for second in [vote("b"), nil, other_set] {
            let (a, b) = (Vote { kind, ..vote("a") }, Vote { kind, ..second });
            let (a, b) = (signed(&key(3), a), signed(&key(3), b));
            let pair = Contradiction::new(a, b);
            assert_eq!(pair, Contradiction::new(b, a), "one contradiction, one encoding");
            let culprit = Evidence::DoubleVote(pair).verify(&set, &domain()).unwrap();
            assert_eq!((culprit.member.id, culprit.member.weight, culprit.sigma), (3, 30, 5));
            assert_eq!(culprit.place, a.message.place());
        }
    }
    let pair = Contradiction::new(signed(&key(2), proposal("a")), signed(&key(2), proposal("b")));
    let evidence = Evidence::DoubleProposal(pair);
    assert_eq!(evidence.verify(&set, &domain()).unwrap().member.id, 2);
    let json = serde_json::to_string(&evidence).unwrap();
    assert_eq!(serde_json::from_str::<Evidence>(&json).unwrap(), evidence);
}

#[test]
fn each_check_has_its_own_refusal() {
    let members = set(5, &[10, 20, 30, 40]);
    let verify = |a, b| Contradiction::new(a, b).verify(&members, &domain()).unwrap_err();
    let a = signed(&key(1), vote("a"));
    for apart in [
        Vote { kind: VoteKind::Precommit, ..vote("b") },
        Vote { fork: 1, ..vote("b") },
        Vote { height: 78, ..vote("b") },
        Vote { round: 2, ..vote("b") },
    ] {
        assert!(matches!(verify(a, signed(&key(1), apart)), EvidenceError::Places { .. }), "{apart:?}");
    }
    assert_eq!(verify(a, a), EvidenceError::Same(a.message.block_hash));
    let by_another = verify(a, signed(&key(2), vote("b")));
    assert!(matches!(by_another, EvidenceError::Signers { .. }), "{by_another}");
    let stranger = Contradiction::new(signed(&key(9), vote("a")), signed(&key(9), vote("b")));
    let refused = stranger.verify(&members, &domain()).unwrap_err();
    assert_eq!(refused, EvidenceError::Stranger { signer: address_of(&key(9)), epoch: 5 });
    // The same key held a seat in another epoch than the one it signed for.
    let pair = Contradiction::new(a, signed(&key(1), vote("b")));
    let refused = pair.verify(&set(6, &[10, 20]), &domain()).unwrap_err();
    assert_eq!(refused, EvidenceError::Set { set: 6, first: 5, second: 5 });
    // Proposing one block twice, with and without its polka, is no fault.
    let again = Proposal { pol_round: 0, ..proposal("a") };
    let twice = Contradiction::new(signed(&key(1), proposal("a")), signed(&key(1), again));
    assert!(matches!(twice.verify(&members, &domain()), Err(EvidenceError::Same(_))));
    // Another chain.
    let foreign = VoteDomain::new(1235, Address::repeat_byte(7));
    assert!(pair.verify(&members, &foreign).is_err());
}

/// Everything honest members sign in a few rounds: one message for each place.
fn honest(random: &mut StdRng) -> (Vec<Signed<Vote>>, Vec<Signed<Proposal>>) {
    let (mut votes, mut proposals) = (Vec::new(), Vec::new());
    for index in 1..=MEMBERS {
        for (fork, height, round) in [(0, 77, 0), (0, 77, 1), (0, 78, 0), (1, 77, 0), (1, 77, 1)] {
            let epoch = if fork == 0 { 5 } else { 6 };
            let block_hash = match random.random_range(0..3) {
                0 => B256::ZERO,
                1 => keccak256("a"),
                _ => keccak256("b"),
            };
            for kind in [VoteKind::Prevote, VoteKind::Precommit] {
                votes.push(signed(&key(index), Vote { kind, fork, epoch, height, round, block_hash }));
            }
            let block_hash = keccak256([index as u8, fork as u8, height as u8, round as u8]);
            let proposal = Proposal { fork, epoch, height, round, pol_round: i64::from(round) - 1, block_hash };
            proposals.push(signed(&key(index), proposal));
        }
    }
    (votes, proposals)
}

/// A forger's change to a signature that still has the required form; as it was when the change has not.
fn forge(random: &mut StdRng, signature: &mut Signature65, others: &Signature65) {
    let mut bytes = *signature.as_bytes();
    match random.random_range(0..6) {
        0 => bytes[random.random_range(0..64)] ^= 1 << random.random_range(0..8),
        1 => bytes[64] = 55 - bytes[64],
        2 => bytes[..32].copy_from_slice(&others.as_bytes()[..32]),
        3 => bytes[32..64].copy_from_slice(&others.as_bytes()[32..64]),
        4 => bytes = *others.as_bytes(),
        _ => {
            let s = ORDER - U256::from_be_slice(&bytes[32..64]);
            bytes[32..64].copy_from_slice(&s.to_be_bytes::<32>());
            bytes[64] = 55 - bytes[64];
        }
    }
    if let Ok(forged) = Signature65::new(bytes) {
        *signature = forged;
    }
}

/// Picks two messages and changes up to three things about them.
fn frame<T: Message>(
    random: &mut StdRng,
    pool: &[Signed<T>],
    change: impl Fn(&mut StdRng, &mut T, &T),
) -> Contradiction<T> {
    let pick = |random: &mut StdRng| pool[random.random_range(0..pool.len())];
    let mut pair = [pick(random), pick(random)];
    if random.random_bool(0.5) {
        // One message against itself: only a change can make it look like two.
        pair[1] = pair[0];
    }
    for _ in 0..random.random_range(0..4) {
        let (target, other) = (random.random_range(0..2), pick(random));
        match random.random_range(0..3) {
            0 => change(random, &mut pair[target].message, &other.message),
            1 => forge(random, &mut pair[target].signature, &other.signature),
            _ => pair[target].message = other.message,
        }
    }
    Contradiction::new(pair[0], pair[1])
}

fn sets() -> [FrozenSet; 2] {
    [set(5, &[10, 20, 30, 40]), set(6, &[10, 20, 30, 40])]
}

/// How many attempts, and their randomness.
fn campaign() -> (u32, StdRng) {
    let attempts = std::env::var("ROTA_FRAME_ATTEMPTS").map_or(10_000, |text| text.parse().unwrap());
    let seed = std::env::var("ROTA_FRAME_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("ROTA_FRAME_SEED={seed}");
    (attempts, StdRng::seed_from_u64(seed))
}

/// Mutated and recombined honest signatures, 10^4 of each kind (`ROTA_FRAME_ATTEMPTS` for more, as `make soak` does).
#[test]
fn nobody_is_framed() {
    let (attempts, mut random) = campaign();
    let (votes, proposals) = honest(&mut random);
    let (sets, domain) = (sets(), domain());
    let hashes = [B256::ZERO, keccak256("a"), keccak256("b"), keccak256("c")];
    for attempt in 0..attempts {
        let votes = frame(&mut random, &votes, |random, vote, other| match random.random_range(0..6) {
            0 => vote.kind = other.kind,
            1 => vote.fork = other.fork,
            2 => vote.epoch = other.epoch,
            3 => vote.height = other.height,
            4 => vote.round = other.round,
            _ => vote.block_hash = hashes[random.random_range(0..hashes.len())],
        });
        let proposals = frame(&mut random, &proposals, |random, proposal, other| match random.random_range(0..6) {
            0 => proposal.pol_round = random.random_range(-1..3),
            1 => proposal.fork = other.fork,
            2 => proposal.epoch = other.epoch,
            3 => proposal.height = other.height,
            4 => proposal.round = other.round,
            _ => proposal.block_hash = other.block_hash,
        });
        for evidence in [Evidence::DoubleVote(votes), Evidence::DoubleProposal(proposals)] {
            for set in &sets {
                if let Ok(culprit) = evidence.verify(set, &domain) {
                    panic!("attempt {attempt} convicts {culprit:?} by {evidence:?}");
                }
            }
        }
    }
}

/// A vote, and the seat of its signer.
type Seated = (usize, Signed<Vote>);

/// A certificate of those who signed `vote`, of whatever kind that is, changed in up to three ways.
fn certificate(random: &mut StdRng, votes: &[Seated], vote: Vote) -> CommitCertificate {
    let mut slots = [None; MEMBERS as usize];
    for (seat, said) in votes.iter().filter(|(_, said)| said.message == vote) {
        slots[*seat] = Some(said.signature);
    }
    let mut named = vote;
    for _ in 0..random.random_range(0..4) {
        let (_, other) = votes[random.random_range(0..votes.len())];
        let slot = random.random_range(0..slots.len());
        match random.random_range(0..8) {
            0 => named.fork = other.message.fork,
            1 => named.epoch = other.message.epoch,
            2 => named.height = other.message.height,
            3 => named.round = other.message.round,
            4 => named.block_hash = other.message.block_hash,
            5 => slots[slot] = Some(other.signature),
            6 => slots.swap(slot, 0),
            _ => {
                let signature = slots[slot].get_or_insert(other.signature);
                forge(random, signature, &other.signature);
            }
        }
    }
    let Vote { fork, epoch, height, round, block_hash, .. } = named;
    let mut signers = U256::ZERO;
    slots.iter().enumerate().for_each(|(index, slot)| signers.set_bit(index, slot.is_some()));
    let signatures = slots.into_iter().flatten().collect();
    CommitCertificate { fork, epoch, height, round, block_hash, signers, signatures }
}

/// Certificates of mutated and recombined honest signatures: one that holds has of each member what that member
/// precommitted, so no two of them convict anybody of having signed both.
#[test]
fn nobody_is_framed_by_certificates() {
    let (attempts, mut random) = campaign();
    let (sets, domain) = (sets(), domain());
    let mut votes: Vec<Seated> = Vec::new();
    // Both sets have the same members.
    let seat = |index| sets[0].index_of_signer(address_of(&key(index))).unwrap();
    for (fork, height, round) in [(0, 77, 0), (0, 77, 1), (0, 78, 0), (1, 77, 0), (1, 77, 1)] {
        let epoch = if fork == 0 { 5 } else { 6 };
        for index in 1..=MEMBERS {
            // Most vote for one block, so that there are quorums.
            let block_hash = if random.random_bool(0.8) { keccak256("a") } else { keccak256("b") };
            for kind in [VoteKind::Prevote, VoteKind::Precommit] {
                votes.push((seat(index), signed(&key(index), Vote { kind, fork, epoch, height, round, block_hash })));
            }
        }
    }
    // One at least, whatever chance said.
    for index in 1..=MEMBERS {
        votes.push((seat(index), signed(&key(index), Vote { kind: VoteKind::Precommit, height: 79, ..vote("a") })));
    }
    let mut held = 0;
    for attempt in 0..attempts {
        let (_, chosen) = votes[random.random_range(0..votes.len())];
        let certificate = certificate(&mut random, &votes, chosen.message);
        for set in &sets {
            if certificate.verify(set, &domain).is_err() {
                continue;
            }
            held += 1;
            for member in (0..MEMBERS as usize).filter(|member| certificate.signers.bit(*member)) {
                let said = votes.iter().any(|(seat, said)| *seat == member && said.message == certificate.vote());
                assert!(said, "attempt {attempt}: member {member} never signed what {certificate:?} says");
            }
        }
    }
    assert!(held > 0, "no certificate held, so nothing was tried");
}
