//! An independent computation of what every delegator must be paid (protocol section 9), from posted tallies and the
//! vault's traces, in plain integers.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    providers::{DynProvider, Provider as _},
    sol_types::SolValue as _,
};
use eyre::{Result, ensure, eyre};
use rota::connection::Network;
use rota_bindings::types::BatchHeader;
use serde::Deserialize;

use crate::observer::Observer;

/// Precision of the cumulative reward per unit.
const SCALE: u128 = 1_000_000_000_000_000_000_000_000_000;

/// One line of a tally: 32 bytes, big endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Operator.
    pub id: u32,
    /// Slots assigned in round 0.
    pub assigned: u32,
    /// Of these, produced by itself.
    pub own: u32,
    /// Blocks produced for others.
    pub fallback: u32,
    /// Priority fees, wei.
    pub priority: u128,
}

/// The tally of one epoch as certified.
#[derive(Clone, Debug)]
pub struct Tally {
    /// The batch header that carries it.
    pub header: BatchHeader,
    /// One line per member of the set.
    pub entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    header_abi: Bytes,
    tally_entries: Bytes,
}

/// Reads the tally in batch `hash` from a node and checks it against L1's hash.
///
/// # Errors
/// When the node does not have it or lies.
pub async fn tally(l2: &DynProvider, hash: B256) -> Result<Tally> {
    let answer: Option<Answer> = l2.raw_request("rota_batch".into(), (hash,)).await?;
    let answer = answer.ok_or_else(|| eyre!("the node does not know batch {hash}"))?;
    ensure!(keccak256(&answer.header_abi) == hash, "the node's header is not batch {hash}");
    let header = BatchHeader::abi_decode(&answer.header_abi)?;
    ensure!(keccak256(&answer.tally_entries) == header.tally.root, "the node's tally is not that of batch {hash}");
    let number = |bytes: &[u8]| bytes.iter().fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
    let entries = answer
        .tally_entries
        .chunks_exact(32)
        .map(|line| {
            Ok(Entry {
                id: number(&line[0..4]).try_into()?,
                assigned: number(&line[4..8]).try_into()?,
                own: number(&line[8..12]).try_into()?,
                fallback: number(&line[12..16]).try_into()?,
                priority: number(&line[16..32]),
            })
        })
        .collect::<Result<_>>()?;
    Ok(Tally { header, entries })
}

/// What the pool of each operator gets for `tally`, after the operator's commission, wei.
///
/// # Errors
/// When L1 fails or sums do not fit.
pub async fn pool_rewards(network: &Network, observer: &mut Observer, tally: &Tally) -> Result<BTreeMap<u32, U256>> {
    let epoch = tally.header.tally.epoch;
    let set = observer.set(epoch).await?;
    let rate: u128 = network.rewards().rewardPerBlockAt(epoch).call().await?.to();
    let priority: u128 = tally.entries.iter().map(|entry| entry.priority).sum();
    let base = tally.header.tally.fees.checked_sub(priority).ok_or_else(|| eyre!("more priority fees than fees"))?;
    // 30 % ecosystem and 30 % burn, rounded down; the pools take 40 %, rounded down too.
    let base_pools = base * 40 / 100;
    let mut pools = BTreeMap::new();
    for (entry, member) in tally.entries.iter().zip(set.members()) {
        ensure!(entry.id == member.id, "the tally's order is not the set's");
        let mut pool = entry.priority * 60 / 100 + u128::from(entry.own) * rate + u128::from(entry.fallback) * rate / 2;
        if entry.assigned > 0 {
            let done = u128::from(entry.own.min(entry.assigned));
            let share = U256::from(base_pools) * U256::from(member.weight) * U256::from(done)
                / (U256::from(set.total_weight()) * U256::from(entry.assigned));
            pool += share.to::<u128>();
        }
        let commission: u128 = network.registry().commissionAt(entry.id, epoch).call().await?.into();
        pools.insert(entry.id, U256::from(pool - pool * commission / 10_000));
    }
    Ok(pools)
}

/// What `account` must have been paid in total for epochs up to the last one credited: for every stretch of constant
/// units, `⌊units · (cum after − cum before) / 1e27⌋` with `cum += ⌊pool · 1e27 / units of the pool⌋` per epoch.
///
/// # Errors
/// When L1 fails.
pub async fn expected_claim(
    network: &Network,
    observer: &mut Observer,
    tallies: &[Tally],
    id: u32,
    account: Address,
) -> Result<U256> {
    let vault = network.vault();
    let mut paid = U256::ZERO;
    let (mut held, mut stretch) = (U256::ZERO, U256::ZERO);
    for tally in tallies {
        let epoch = tally.header.tally.epoch;
        let units = vault.unitsAt(id, account, epoch).call().await?;
        if units != held {
            paid += held * stretch / U256::from(SCALE);
            (held, stretch) = (units, U256::ZERO);
        }
        let Some(pool) = pool_rewards(network, observer, tally).await?.get(&id).copied() else { continue };
        let total = vault.poolAt(id, epoch).call().await?.supply;
        if !total.is_zero() {
            stretch += pool * U256::from(SCALE) / total;
        }
    }
    Ok(paid + held * stretch / U256::from(SCALE))
}
