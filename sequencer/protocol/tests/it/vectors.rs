//! Golden vectors: written once with `REGENERATE_VECTORS=1`, asserted here and in `tests/solidity/differential`.
//!
//! A difference means that the protocol changed: every signature, batch and schedule of a running network with it.

use std::{fs, path::PathBuf};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;
use rota_protocol::{
    batch::{BatchHeader, RangeBlock, Tally, TallyEntry, encode_entries, encode_range, hash_batch, tally_of},
    certificate::CommitCertificate,
    evidence::{Contradiction, Message, Signed},
    header::{EMPTY_REQUESTS_HASH, coinbase, prev_randao},
    member::{FrozenSet, Member},
    schedule::leader_index,
    vote::{Proposal, Signature65, Vote, VoteDomain, VoteKind, address_of, sign},
};
use serde_json::{Value, json};

use crate::support::{key, members, seed, set};

/// Compares `actual` with the committed file, or writes it when asked to.
fn check(name: &str, actual: Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    let text = serde_json::to_string_pretty(&actual).unwrap() + "\n";
    if std::env::var_os("REGENERATE_VECTORS").is_some_and(|value| value == "1") {
        fs::write(&path, &text).unwrap();
    }
    let golden: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(actual, golden, "{name} differs; if the protocol was meant to change, run with REGENERATE_VECTORS=1");
}

#[test]
fn leader_schedule() {
    let mut vectors = Vec::new();
    let mut push = |seed: B256, height: u64, first: u64, round: u32, slots: u32, members: &[Member]| {
        let leader = leader_index(seed, height, first, round, slots, members);
        vectors.push(json!({
            "seed": seed, "height": height, "firstHeight": first, "round": round, "slots": slots,
            "members": members, "leader": leader,
        }));
    };
    let sets: [&[u64]; 5] = [
        &[1],
        &[5, 5, 5, 5],
        &[1, 2, 4, 8, 16, 32, 64],
        &[u64::MAX / 3 - 2, 1, 1],
        &[20_000_000_000_000, 20_000_000_000_001, 99_999_999_999_999, 31_415_926_535_897, 1],
    ];
    for (index, weights) in sets.iter().enumerate() {
        let (members, seed) = (members(weights), seed(index as u32));
        for slots in [1, 4, 16, 1024, 65536] {
            for height in [1000, 1001, 1015, 1016, 2024, 1_000_000_000_000] {
                push(seed, height, 1000, 0, slots, &members);
            }
        }
        for round in [1, 2, 3, 6, 7, 1000, u32::MAX] {
            push(seed, 1003, 1000, round, 16, &members);
        }
        push(seed, u64::MAX, 0, 5, 16, &members);
    }
    check("leader_schedule.json", vectors.into());
}

/// L1 on random inputs: the digest of the first 10^4 (and with `ROTA_SCHEDULE_INPUTS=1000000`, as `make soak` sets it,
/// 10^6) inputs and their leaders; `LeaderSchedule.t.sol` draws the same inputs and must come to the same digests.
#[test]
fn leader_schedule_random() {
    const COUNTS: [u64; 2] = [10_000, 1_000_000];
    let most = std::env::var("ROTA_SCHEDULE_INPUTS").map_or(COUNTS[0], |text| text.parse().unwrap());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/leader_schedule_random.json");
    let mut chains = Vec::new();
    for count in COUNTS.into_iter().filter(|count| *count <= most) {
        let digest = (0..count).fold(keccak256("rota leader schedule"), |digest, number| {
            let seed = keccak256([digest.as_slice(), &number.to_be_bytes()].concat());
            keccak256([digest.as_slice(), &[random_leader(seed) as u8]].concat())
        });
        chains.push(json!({ "count": count, "digest": digest }));
    }
    if most >= COUNTS[1] {
        check("leader_schedule_random.json", chains.into());
    } else {
        let golden: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(chains[0], golden[0], "the schedule changed");
    }
}

/// The leader of the random input that `seed` stands for. Field by field the same as in `LeaderSchedule.t.sol`.
fn random_leader(seed: B256) -> usize {
    let field = |word: B256, shift: usize, modulus: u64| -> u64 {
        ((U256::from_be_bytes(word.0) >> shift) % U256::from(modulus)).to()
    };
    let size = 1 + field(seed, 0, 16);
    let slots = 4u32.pow(field(seed, 8, 9) as u32);
    let first = field(seed, 16, 1 << 40);
    let offset = field(seed, 56, 1 << 40) >> field(seed, 96, 40);
    // Mostly a round that can happen, now and then any.
    let round = if field(seed, 104, 4) == 0 { field(seed, 112, 1 << 32) } else { field(seed, 112, size + 1) };
    let members: Vec<Member> = (0..size as u8)
        .map(|index| {
            let noise = keccak256([seed.as_slice(), &[index]].concat());
            Member {
                signer: Address::from_word(noise),
                id: u32::from(index) + 1,
                weight: 1 + (field(noise, 160, 1 << 57) >> field(noise, 224, 57)),
            }
        })
        .collect();
    leader_index(seed, first + offset, first, round as u32, slots, &members)
}

#[test]
fn votes() {
    let domains = [
        VoteDomain::new(1, Address::ZERO),
        VoteDomain::new(7777, Address::repeat_byte(0xbc)),
        VoteDomain::new(u64::MAX, Address::repeat_byte(0xff)),
    ];
    let (mut votes, mut proposals) = (Vec::new(), Vec::new());
    for (index, domain) in (1u32..).zip(domains) {
        let signer = key(index);
        let cases = [
            (0, index, 1, 0, B256::ZERO),
            (0, 7, 1_000_000, 3, keccak256("a block")),
            (u32::MAX, u32::MAX, u64::MAX, u32::MAX, B256::repeat_byte(0xff)),
        ];
        for (fork, epoch, height, round, block_hash) in cases {
            for kind in [VoteKind::Prevote, VoteKind::Precommit] {
                let digest = Vote { kind, fork, epoch, height, round, block_hash }.digest(&domain);
                votes.push(json!({
                    "chainId": domain.chain_id(), "batchChain": domain.batch_chain(), "domain": domain.separator(),
                    "kind": kind as u8, "fork": fork, "epoch": epoch, "height": height, "round": round,
                    "blockHash": block_hash, "digest": digest,
                    "signer": address_of(&signer), "signature": sign(&signer, digest).unwrap(),
                }));
            }
            for pol_round in [-1, i64::from(round), i64::MIN] {
                let proposal = Proposal { fork, epoch, height, round, pol_round, block_hash };
                proposals.push(json!({
                    "domain": domain.separator(), "fork": fork, "epoch": epoch, "height": height, "round": round,
                    "polRound": pol_round, "blockHash": block_hash, "digest": proposal.digest(&domain),
                }));
            }
        }
    }
    check("votes.json", json!({ "votes": votes, "proposals": proposals }));
}

#[test]
fn headers() {
    let sealed = hash_batch(&batch_headers()[0]);
    let plain = Header {
        parent_hash: keccak256("parent"),
        beneficiary: coinbase(3),
        state_root: keccak256("state"),
        number: 1,
        gas_limit: 30_000_000,
        timestamp: 1_700_000_000,
        mix_hash: prev_randao(seed(2), 1),
        base_fee_per_gas: Some(1_000_000_000),
        withdrawals_root: Some(keccak256("withdrawals")),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(keccak256("origin")),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    };
    let headers = [
        plain.clone(),
        Header { number: 127, gas_used: 21_000, extra_data: sealed.into(), ..plain.clone() },
        Header { number: 128, timestamp: 0, gas_limit: 0, base_fee_per_gas: Some(7), ..plain.clone() },
        Header {
            number: u64::MAX,
            timestamp: u64::MAX,
            gas_limit: u64::MAX,
            gas_used: u64::MAX,
            base_fee_per_gas: Some(u64::MAX),
            beneficiary: coinbase(u32::MAX),
            extra_data: sealed.into(),
            ..plain
        },
    ];
    let vectors = headers.iter().map(|header| {
        json!({
            "rlp": Bytes::from(alloy_rlp::encode(header)), "hash": header.hash_slow(),
            "parentHash": header.parent_hash, "beneficiary": header.beneficiary, "stateRoot": header.state_root,
            "number": header.number, "timestamp": header.timestamp, "extraData": header.extra_data,
            "parentBeaconBlockRoot": header.parent_beacon_block_root,
        })
    });
    check("headers.json", vectors.collect());
}

fn entries() -> [TallyEntry; 3] {
    [
        TallyEntry { id: 1, slots_assigned: 40, own_produced: 39, fallback_produced: 2, priority_fees: 5 },
        TallyEntry { id: 7, slots_assigned: 0, own_produced: 0, fallback_produced: 1, priority_fees: 1 << 100 },
        TallyEntry { id: u32::MAX, slots_assigned: 4, own_produced: 1, fallback_produced: 0, priority_fees: 0 },
    ]
}

fn range() -> Vec<RangeBlock> {
    let block = |timestamp, origin_number, proposer, transactions: &[&[u8]]| RangeBlock {
        timestamp,
        origin_number,
        proposer,
        transactions: transactions.iter().map(|tx| Bytes::copy_from_slice(tx)).collect(),
    };
    vec![
        block(1_700_000_000, 19_000_000, 1, &[]),
        block(1_700_000_000, 19_000_000, 2, &[&[2, 0xc0], &[0xab; 127]]),
        block(1_700_000_300, 19_000_025, 300, &[&[0xcd; 128]]),
        block(1_700_000_301, 19_000_025, u32::MAX, &[]),
    ]
}

fn batch_headers() -> [BatchHeader; 3] {
    let first = BatchHeader {
        index: 1,
        parent: keccak256("genesis"),
        epoch: 2,
        firstBlock: 1,
        lastBlock: 4,
        lastBlockHash: keccak256("block 4"),
        stateRoot: keccak256("state 4"),
        dataHash: keccak256(encode_range(1, &range()).unwrap()),
        depositEnd: 9,
        l1OriginNumber: 19_000_025,
        l1OriginHash: keccak256("origin"),
        ..BatchHeader::default()
    };
    let with_tally = BatchHeader { index: 2, tally: tally_of(2, &entries(), 1 << 90), epoch: 3, ..first.clone() };
    let largest = BatchHeader {
        index: u64::MAX,
        parent: B256::repeat_byte(0xff),
        attempt: u32::MAX,
        fork: u32::MAX,
        epoch: u32::MAX,
        firstBlock: u64::MAX,
        lastBlock: u64::MAX,
        lastBlockHash: B256::repeat_byte(0xff),
        stateRoot: B256::repeat_byte(0xff),
        dataHash: B256::repeat_byte(0xff),
        depositEnd: u64::MAX,
        forcedEnd: u64::MAX,
        l1OriginNumber: u64::MAX,
        l1OriginHash: B256::repeat_byte(0xff),
        tally: Tally {
            epoch: u32::MAX,
            root: B256::repeat_byte(0xff),
            count: u32::MAX,
            blocks: u64::MAX,
            fees: u128::MAX,
        },
    };
    [first, with_tally, largest]
}

#[test]
fn batches() {
    let headers = batch_headers().map(|header| {
        let tally = &header.tally;
        json!({
            "encoded": Bytes::from(header.abi_encode()), "hash": hash_batch(&header),
            "index": header.index, "epoch": header.epoch, "firstBlock": header.firstBlock,
            "lastBlock": header.lastBlock, "depositEnd": header.depositEnd, "l1OriginNumber": header.l1OriginNumber,
            "tallyEpoch": tally.epoch, "tallyRoot": tally.root, "tallyBlocks": tally.blocks,
            "tallyFees": tally.fees.to_string(),
        })
    });
    let data = encode_range(1, &range()).unwrap();
    let entries = entries();
    check(
        "batches.json",
        json!({
            "headers": headers,
            "ranges": [{ "first": 1, "blocks": range(), "data": data, "dataHash": keccak256(&data) }],
            "tallies": [{
                "epoch": 2, "baseFees": (1u128 << 90).to_string(), "entries": entries,
                "packed": Bytes::from(encode_entries(&entries)), "root": tally_of(2, &entries, 0).root,
            }],
        }),
    );
}

#[test]
fn certificates() {
    let domain = VoteDomain::new(7777, Address::repeat_byte(0xbc));
    let certify = |set: &FrozenSet, indices: &[usize]| {
        let vote = Vote {
            kind: VoteKind::Precommit,
            fork: 0,
            epoch: set.epoch(),
            height: 41,
            round: 1,
            block_hash: keccak256("sealing block"),
        };
        let digest = vote.digest(&domain);
        CommitCertificate {
            fork: vote.fork,
            epoch: vote.epoch,
            height: vote.height,
            round: vote.round,
            block_hash: vote.block_hash,
            signers: indices.iter().fold(U256::ZERO, |mask, index| mask | (U256::from(1) << *index)),
            signatures: indices.iter().map(|index| sign(&key(*index as u32 + 1), digest).unwrap()).collect(),
        }
    };
    let (equal, uneven, large) = (set(4, &[5, 5, 5]), set(5, &[2, 1, 1, 2]), set(6, &[1; 200]));
    let two_thirds_of_large: Vec<usize> = (0..134).collect();
    let good = certify(&equal, &[0, 1, 2]);
    let mut swapped = good.clone();
    swapped.signatures.swap(0, 2);
    let cases = [
        (&equal, good.clone()),
        (&equal, certify(&equal, &[0, 1])),
        (&uneven, certify(&uneven, &[0, 2, 3])),
        (&uneven, certify(&uneven, &[0, 3])),
        (&large, certify(&large, &two_thirds_of_large)),
        (&large, certify(&large, &two_thirds_of_large[..133])),
        (&equal, certify(&equal, &[])),
        (&equal, swapped),
        (&equal, CommitCertificate { height: 42, ..good.clone() }),
        (&equal, CommitCertificate { fork: 1, ..good.clone() }),
        (&equal, CommitCertificate { signers: U256::from(0b1011), ..good.clone() }),
        (&equal, CommitCertificate { signers: U256::from(0b011), ..good.clone() }),
        (&equal, CommitCertificate { signatures: good.signatures[..2].to_vec(), ..good }),
    ];
    let vectors = cases.map(|(set, certificate)| {
        json!({
            "chainId": domain.chain_id(), "batchChain": domain.batch_chain(), "domain": domain.separator(),
            "members": Bytes::from(set.encode_members()), "setHash": set.hash(),
            "fork": certificate.fork, "epoch": certificate.epoch, "height": certificate.height,
            "round": certificate.round, "blockHash": certificate.block_hash, "signers": certificate.signers,
            "signatures": Bytes::from(certificate.signature_bytes()),
            "valid": certificate.verify(set, &domain).is_ok(),
        })
    });
    let valid = vectors.iter().filter(|vector| vector["valid"] == true).count();
    assert_eq!(valid, 3);
    check("certificates.json", vectors.to_vec().into());
}

/// A message with its signature's bytes, as somebody may hand it in.
type Claim<T> = (T, Vec<u8>);

/// Whom two messages convict: the id, 0 for nobody.
fn culprit<T: Message>(first: &Claim<T>, second: &Claim<T>, set: &FrozenSet, domain: &VoteDomain) -> u32 {
    let signed = |(message, signature): &Claim<T>| {
        Some(Signed { message: *message, signature: Signature65::from_slice(signature).ok()? })
    };
    let pair = signed(first).zip(signed(second)).map(|(a, b)| Contradiction::new(a, b));
    pair.and_then(|pair| pair.verify(set, domain).ok()).map_or(0, |culprit| culprit.member.id)
}

/// The malleable twin of a signature: the same key and digest, `s` in the upper half.
fn twin(signature: &[u8]) -> Vec<u8> {
    let order =
        k256::elliptic_curve::bigint::Encoding::to_be_bytes(&<k256::Secp256k1 as k256::elliptic_curve::Curve>::ORDER);
    let high = U256::from_be_bytes(order) - U256::from_be_slice(&signature[32..64]);
    [&signature[..32], &high.to_be_bytes::<32>(), &[27 + 28 - signature[64]]].concat()
}

/// Double votes and double proposals, true and false ones: `tests/solidity/differential/Evidence.t.sol` hands each to the
/// fault modules.
#[test]
fn evidence() {
    let (domain, foreign) = (VoteDomain::new(7777, Address::repeat_byte(0xbc)), VoteDomain::new(1, Address::ZERO));
    let set = set(9, &[10, 20, 30, 40]);
    let vote = |block: &str| Vote {
        kind: VoteKind::Precommit,
        fork: 0,
        epoch: 9,
        height: 77,
        round: 2,
        block_hash: keccak256(block),
    };
    let proposal =
        |block: &str| Proposal { fork: 0, epoch: 9, height: 77, round: 2, pol_round: -1, block_hash: keccak256(block) };
    let cast = |signer: u32, vote: Vote| (vote, sign(&key(signer), vote.digest(&domain)).unwrap().as_bytes().to_vec());
    let make = |signer: u32, proposal: Proposal| {
        (proposal, sign(&key(signer), proposal.digest(&domain)).unwrap().as_bytes().to_vec())
    };
    let (a, b) = (vote("a"), vote("b"));
    let prevote = |vote: Vote| Vote { kind: VoteKind::Prevote, ..vote };
    let good = cast(3, b);
    let votes = [
        (cast(3, a), good.clone()),
        (good.clone(), cast(3, a)),
        (cast(1, prevote(a)), cast(1, prevote(b))),
        (cast(4, a), cast(4, Vote { block_hash: B256::ZERO, ..a })),
        (cast(2, a), cast(2, Vote { epoch: 5, ..a })),
        (cast(2, Vote { fork: 7, ..a }), cast(2, Vote { fork: 7, ..b })),
        (cast(3, a), cast(3, a)),
        (cast(3, a), cast(2, b)),
        (cast(3, a), cast(3, prevote(b))),
        (cast(3, a), cast(3, Vote { fork: 1, ..b })),
        (cast(3, a), cast(3, Vote { height: 78, ..b })),
        (cast(3, a), cast(3, Vote { round: 3, ..b })),
        (cast(9, a), cast(9, b)),
        (cast(3, a), (b, cast(3, Vote { round: 3, ..b }).1)),
        (cast(3, a), (b, sign(&key(3), b.digest(&foreign)).unwrap().as_bytes().to_vec())),
        (cast(3, a), (b, make(3, proposal("b")).1)),
        (cast(3, a), (b, twin(&good.1))),
        (cast(3, a), (b, good.1[..64].to_vec())),
    ];
    let (c, d) = (proposal("a"), proposal("b"));
    let proposals = [
        (make(3, c), make(3, d)),
        (make(1, c), make(1, Proposal { pol_round: 1, ..d })),
        (make(4, c), make(4, Proposal { epoch: 5, ..c })),
        (make(3, c), make(3, Proposal { pol_round: 1, ..c })),
        (make(3, c), make(2, d)),
        (make(3, c), make(3, Proposal { height: 78, ..d })),
        (make(3, c), (d, make(3, Proposal { pol_round: 1, ..d }).1)),
        (make(3, c), (d, cast(3, b).1)),
    ];
    let said = |(vote, signature): &Claim<Vote>| {
        json!({
            "kind": vote.kind as u8, "fork": vote.fork, "epoch": vote.epoch, "height": vote.height, "round": vote.round,
            "polRound": 0, "blockHash": vote.block_hash, "signature": Bytes::copy_from_slice(signature),
        })
    };
    let proposed = |(proposal, signature): &Claim<Proposal>| {
        json!({
            "kind": 3, "fork": proposal.fork, "epoch": proposal.epoch, "height": proposal.height, "round": proposal.round,
            "polRound": proposal.pol_round, "blockHash": proposal.block_hash,
            "signature": Bytes::copy_from_slice(signature),
        })
    };
    let double_votes = votes
        .iter()
        .map(|(x, y)| json!({ "first": said(x), "second": said(y), "culprit": culprit(x, y, &set, &domain) }));
    let double_proposals = proposals
        .iter()
        .map(|(x, y)| json!({ "first": proposed(x), "second": proposed(y), "culprit": culprit(x, y, &set, &domain) }));
    let pairs: Vec<_> = double_votes.chain(double_proposals).collect();
    assert_eq!(pairs.iter().filter(|pair| pair["culprit"] != 0).count(), 9);
    check(
        "evidence.json",
        json!({
            "chainId": domain.chain_id(), "batchChain": domain.batch_chain(), "epoch": set.epoch(),
            "members": Bytes::from(set.encode_members()), "totalWeight": set.total_weight(), "pairs": pairs,
        }),
    );
}
