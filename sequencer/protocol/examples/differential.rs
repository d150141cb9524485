//! Writes random votes, headers, batches and certificates, with the answers of this crate, for the Solidity libraries
//! to agree with. (The leader schedule needs no file: `LeaderSchedule.t.sol` draws its inputs itself.)
//!
//! `cargo run -p rota-protocol --example differential -- <folder> [cases] [seed]` writes files of at most
//! [`CHUNK`] cases; `tests/solidity/differential/Generated.t.sol` checks every case of every file. Certificates, whose
//! signatures are slow to make, get one case for ten of the others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a generator for tests may stop at what it did not expect")]

use std::{fs, ops::RangeInclusive, path::Path};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolValue, sol};
use k256::ecdsa::SigningKey;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rota_protocol::{
    batch::{BatchHeader, Tally, hash_batch},
    certificate::CommitCertificate,
    header::{EMPTY_REQUESTS_HASH, coinbase},
    member::{FrozenSet, Member},
    vote::{Vote, VoteDomain, VoteKind, address_of, sign},
};

/// Cases in a file: few enough for one call of the EVM.
const CHUNK: usize = 2_000;

sol! {
    struct VoteCase {
        uint64 chainId;
        address batchChain;
        uint8 kind;
        uint32 fork;
        uint32 epoch;
        uint64 height;
        uint32 round;
        bytes32 blockHash;
        bytes32 digest;
    }

    struct HeaderCase {
        bytes rlp;
        bytes32 hash;
        bytes32 parentHash;
        address beneficiary;
        bytes32 stateRoot;
        uint64 number;
        uint64 timestamp;
        bytes extraData;
        bytes32 parentBeaconBlockRoot;
    }

    struct BatchCase {
        bytes header;
        bytes32 hash;
    }

    struct CertificateCase {
        uint32 fork;
        uint32 epoch;
        uint64 height;
        uint32 round;
        bytes32 blockHash;
        uint256 signers;
        bytes signatures;
        bytes32 domain;
        bytes members;
        bool valid;
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().expect("usage: differential <folder> [cases] [seed]");
    let cases: usize = args.next().map_or(10_000, |text| text.parse().expect("cases is a number"));
    let seed: u64 = args.next().map_or_else(rand::random, |text| text.parse().expect("seed is a number"));
    println!("{cases} cases, seed {seed}");
    let folder = Path::new(&folder);
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let mut random = StdRng::seed_from_u64(seed);
    let keys: Vec<SigningKey> = (0u32..32).map(|index| test_key(seed, index)).collect();
    for (chunk, start) in (0..cases).step_by(CHUNK).enumerate() {
        let count = CHUNK.min(cases - start);
        write(folder, "votes", chunk, count, || vote(&mut random));
        write(folder, "headers", chunk, count, || header(&mut random));
        write(folder, "batches", chunk, count, || batch(&mut random));
        write(folder, "certificates", chunk, count.div_ceil(10), || certificate(&mut random, &keys));
    }
}

fn write<T: SolValue>(folder: &Path, name: &str, chunk: usize, count: usize, mut case: impl FnMut() -> T)
where
    Vec<T>: SolValue,
{
    let cases: Vec<T> = (0..count).map(|_| case()).collect();
    fs::write(folder.join(format!("{name}-{chunk}.bin")), cases.abi_encode()).unwrap();
}

fn test_key(seed: u64, index: u32) -> SigningKey {
    SigningKey::from_slice(keccak256(format!("rota differential key {seed} {index}")).as_slice()).unwrap()
}

/// Uniform in the number of bits, so that small and extreme values are as likely as middling ones.
fn bits(random: &mut StdRng, max: u32) -> u64 {
    let width = random.random_range(0..=max);
    if width == 0 { 0 } else { random.random::<u64>() >> (64 - width) }
}

fn bits32(random: &mut StdRng) -> u32 {
    bits(random, 32) as u32
}

fn weights(random: &mut StdRng, sizes: RangeInclusive<usize>) -> Vec<u64> {
    let size = random.random_range(sizes);
    (0..size).map(|_| bits(random, 54).max(1)).collect()
}

fn vote(random: &mut StdRng) -> VoteCase {
    let domain = VoteDomain::new(bits(random, 64), random.random::<[u8; 20]>().into());
    let vote = Vote {
        kind: if random.random() { VoteKind::Prevote } else { VoteKind::Precommit },
        fork: bits32(random),
        epoch: bits32(random),
        height: bits(random, 64),
        round: bits32(random),
        block_hash: random.random::<[u8; 32]>().into(),
    };
    VoteCase {
        chainId: domain.chain_id(),
        batchChain: domain.batch_chain(),
        kind: vote.kind as u8,
        fork: vote.fork,
        epoch: vote.epoch,
        height: vote.height,
        round: vote.round,
        blockHash: vote.block_hash,
        digest: vote.digest(&domain),
    }
}

fn header(random: &mut StdRng) -> HeaderCase {
    let mut hash = || B256::from(random.random::<[u8; 32]>());
    let (parent_hash, state_root, mix_hash, withdrawals_root, origin, seal) =
        (hash(), hash(), hash(), hash(), hash(), hash());
    let header = Header {
        parent_hash,
        state_root,
        mix_hash,
        transactions_root: keccak256(mix_hash),
        receipts_root: keccak256(seal),
        beneficiary: coinbase(bits32(random)),
        number: bits(random, 63),
        timestamp: bits(random, 64),
        gas_limit: bits(random, 64),
        gas_used: bits(random, 64),
        base_fee_per_gas: Some(bits(random, 64)),
        extra_data: if random.random() { seal.into() } else { Bytes::new() },
        withdrawals_root: Some(withdrawals_root),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(origin),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    };
    HeaderCase {
        rlp: alloy_rlp::encode(&header).into(),
        hash: header.hash_slow(),
        parentHash: header.parent_hash,
        beneficiary: header.beneficiary,
        stateRoot: header.state_root,
        number: header.number,
        timestamp: header.timestamp,
        extraData: header.extra_data,
        parentBeaconBlockRoot: origin,
    }
}

fn batch(random: &mut StdRng) -> BatchCase {
    let mut hash = || B256::from(random.random::<[u8; 32]>());
    let (parent, last_block_hash, state_root, data_hash, origin, root) =
        (hash(), hash(), hash(), hash(), hash(), hash());
    let header = BatchHeader {
        index: bits(random, 64),
        parent,
        attempt: bits32(random),
        fork: bits32(random),
        epoch: bits32(random),
        firstBlock: bits(random, 64),
        lastBlock: bits(random, 64),
        lastBlockHash: last_block_hash,
        stateRoot: state_root,
        dataHash: data_hash,
        depositEnd: bits(random, 64),
        forcedEnd: bits(random, 64),
        l1OriginNumber: bits(random, 64),
        l1OriginHash: origin,
        tally: Tally {
            epoch: bits32(random),
            root,
            count: bits32(random),
            blocks: bits(random, 64),
            fees: random.random(),
        },
    };
    BatchCase { hash: hash_batch(&header), header: header.abi_encode().into() }
}

/// A certificate of a random part of a random set, often near the quorum, sometimes tampered with.
fn certificate(random: &mut StdRng, keys: &[SigningKey]) -> CertificateCase {
    let domain = VoteDomain::new(bits(random, 64).max(1), random.random::<[u8; 20]>().into());
    let members: Vec<Member> =
        if random.random() { weights(random, 1..=8) } else { vec![7; random.random_range(1..=9)] }
            .into_iter()
            .zip(keys)
            .zip(1..)
            .map(|((weight, key), id)| Member { signer: address_of(key), id, weight })
            .collect();
    let set = FrozenSet::new(bits32(random), B256::ZERO, members).unwrap();
    let vote = Vote {
        kind: VoteKind::Precommit,
        fork: bits32(random),
        epoch: set.epoch(),
        height: bits(random, 64),
        round: bits32(random),
        block_hash: random.random::<[u8; 32]>().into(),
    };
    let digest = vote.digest(&domain);
    let mut certificate = CommitCertificate {
        fork: vote.fork,
        epoch: vote.epoch,
        height: vote.height,
        round: vote.round,
        block_hash: vote.block_hash,
        signers: U256::ZERO,
        signatures: Vec::new(),
    };
    let share = random.random_range(0.5..=1.0);
    for (index, key) in keys.iter().enumerate().take(set.members().len()) {
        if random.random_bool(share) {
            certificate.signers.set_bit(index, true);
            certificate.signatures.push(sign(key, digest).unwrap());
        }
    }
    match random.random_range(0..12) {
        0 => certificate.fork ^= 1,
        1 => certificate.height ^= 1,
        2 => certificate.round ^= 1,
        3 => certificate.block_hash = keccak256(certificate.block_hash),
        4 => certificate.signers ^= U256::from(1) << random.random_range(0..set.members().len() + 1),
        5 => drop(certificate.signatures.pop()),
        6 => certificate.signatures.reverse(),
        _ => {}
    }
    CertificateCase {
        valid: certificate.verify(&set, &domain).is_ok(),
        signatures: certificate.signature_bytes().into(),
        fork: certificate.fork,
        epoch: certificate.epoch,
        height: certificate.height,
        round: certificate.round,
        blockHash: certificate.block_hash,
        signers: certificate.signers,
        domain: domain.separator(),
        members: set.encode_members().into(),
    }
}
