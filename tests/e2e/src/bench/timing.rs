//! Times a user sees: from sending to the final receipt, between blocks, and while a crashed leader is replaced.

use std::time::{Duration, Instant};

use alloy::{
    network::{NetworkTransactionBuilder as _, TransactionBuilder as _},
    primitives::{Address, B256, U256},
    rpc::types::TransactionRequest,
};
use eyre::{Result, ensure, eyre};
use rand::Rng as _;
use rota::{connection::dev_key, progress::wait_until};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{bed::Bed, rpc::Rpc};

/// How often is looked, and so how exact the times are.
const POLL: Duration = Duration::from_millis(5);

/// Spread of measured times, milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spread {
    /// How many were measured.
    pub samples: usize,
    /// Median.
    pub p50: f64,
    /// 99th percentile (nearest rank).
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Spread {
    /// The spread of `times`.
    ///
    /// # Errors
    /// When there are none.
    pub fn of(mut times: Vec<Duration>) -> Result<Self> {
        times.sort_unstable();
        let rank = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).map(|time| time.as_secs_f64() * 1e3).ok_or_else(|| eyre!("nothing was measured"))
        };
        Ok(Self { samples: times.len(), p50: rank(50)?, p99: rank(99)?, max: rank(100)? })
    }
}

/// One transfer at a time, at random moments of the block interval, over all nodes in turn: from
/// `eth_sendRawTransaction` until that node has the receipt. Blocks are decided by consensus, so a receipt is final.
///
/// # Errors
/// When a transfer fails or has no receipt within 20 s.
pub async fn receipts(bed: &Bed, samples: usize) -> Result<Spread> {
    let nodes = bed.clients()?;
    let signer = dev_key(1)?;
    let wallet = alloy::network::EthereumWallet::from(signer.clone());
    let mut nonce = nodes.first().ok_or_else(|| eyre!("no node"))?.nonce(signer.address()).await?;
    let mut times = Vec::new();
    for (sample, node) in nodes.iter().cycle().take(samples).enumerate() {
        let pause = rand::rng().random_range(0..bed.block_time);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let request = TransactionRequest::default()
            .to(Address::repeat_byte(0x42))
            .value(U256::from(1_u64))
            .nonce(nonce)
            .gas_limit(21_000)
            .max_fee_per_gas(100_000_000_000)
            .max_priority_fee_per_gas(1)
            .with_chain_id(bed.chain_id)
            .build(&wallet)
            .await?;
        let raw: alloy::primitives::Bytes = alloy::eips::eip2718::Encodable2718::encoded_2718(&request).into();
        let since = Instant::now();
        let hash: B256 = node.call("eth_sendRawTransaction", json!([raw])).await?;
        let receipt = wait_until(&format!("the receipt of {hash}"), Duration::from_secs(20), POLL, async || {
            node.call::<Option<Value>>("eth_getTransactionReceipt", json!([hash])).await
        })
        .await?;
        times.push(since.elapsed());
        ensure!(receipt.get("status") == Some(&json!("0x1")), "the transfer {hash} failed");
        nonce += 1;
        if (sample + 1) % 50 == 0 {
            super::say(&format!("{}: {} of {samples} receipts", bed.name, sample + 1));
        }
    }
    Spread::of(times)
}

/// Time between `blocks` successive heads as a client of the first node sees them, without load.
///
/// # Errors
/// When a block takes longer than 20 s.
pub async fn intervals(bed: &Bed, blocks: usize) -> Result<Spread> {
    let nodes = bed.clients()?;
    let node = nodes.first().ok_or_else(|| eyre!("no node"))?;
    let mut head = next_block(node, node.height().await?).await?;
    let (mut last, mut times) = (Instant::now(), Vec::new());
    while times.len() < blocks {
        let found = next_block(node, head).await?;
        let now = Instant::now();
        // Two blocks between two looks: both took half of it, as far as a client can tell.
        let count = u32::try_from(found - head)?;
        times.extend(std::iter::repeat_n((now - last) / count, count as usize));
        (head, last) = (found, now);
    }
    Spread::of(times)
}

async fn next_block(node: &Rpc, head: u64) -> Result<u64> {
    wait_until(&format!("block {}", head + 1), Duration::from_secs(20), POLL, async || {
        let now = node.height().await?;
        Ok((now > head).then_some(now))
    })
    .await
}

#[derive(Debug, Deserialize)]
struct Schedule {
    slots: Vec<Slot>,
}

#[derive(Debug, Deserialize)]
struct Slot {
    leader: u32,
}

/// SIGKILL of the next leader right after a block, `kills` times: the gap until its height is decided by a fallback.
/// The node restarts and catches up in between.
///
/// # Errors
/// When no block follows within 20 s, or the node does not come back within 60 s.
pub async fn failovers(bed: &mut Bed, kills: usize) -> Result<Spread> {
    let nodes = bed.clients()?;
    let devnet = bed.devnet.as_mut().ok_or_else(|| eyre!("failover needs a devnet"))?;
    let watched = nodes.first().ok_or_else(|| eyre!("no node"))?;
    let mut times = Vec::new();
    while times.len() < kills {
        let height = next_block(watched, watched.height().await?).await?;
        let since = Instant::now();
        let schedule: Schedule = watched.call("rota_leaderSchedule", json!([height + 1, 1])).await?;
        let leader = schedule.slots.first().ok_or_else(|| eyre!("no leader of {}", height + 1))?.leader;
        let index = devnet.manifest.l2.nodes.iter().position(|node| node.id == leader);
        let index = index.ok_or_else(|| eyre!("there is no operator {leader}"))?;
        if index == 0 {
            continue; // The one we watch through.
        }
        devnet.nodes.get_mut(index).ok_or_else(|| eyre!("no node {index}"))?.crash().await?;
        next_block(watched, height).await?;
        let gap = since.elapsed();
        let round = decided_in(watched, height + 1).await?;
        devnet.restart_node(index)?;
        let back = nodes.get(index).ok_or_else(|| eyre!("no node {index}"))?;
        let target = watched.height().await?;
        wait_until("the restarted node to catch up", Duration::from_secs(60), Duration::from_millis(50), async || {
            Ok(back.height().await.ok().filter(|height| *height >= target))
        })
        .await?;
        // Consensus counts it in again with the blocks that follow.
        wait_until("ten more blocks", Duration::from_secs(60), Duration::from_millis(50), async || {
            Ok((back.height().await? >= target + 10).then_some(()))
        })
        .await?;
        // In round 0 the leader had its say before it died: not a failover.
        if round > 0 {
            times.push(gap);
            super::say(&format!("{}: failover {} of {kills}: {gap:.0?}", bed.name, times.len()));
        } else {
            super::say(&format!("{}: block {} was proposed before the kill, again", bed.name, height + 1));
        }
    }
    Spread::of(times)
}

#[derive(Debug, Deserialize)]
struct Certificate {
    round: u32,
}

async fn decided_in(node: &Rpc, height: u64) -> Result<u32> {
    let certificate: Option<Certificate> = node.call("rota_certificate", json!([height])).await?;
    Ok(certificate.ok_or_else(|| eyre!("no certificate of block {height}"))?.round)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() -> Result<()> {
        let spread = Spread::of((1..=200).rev().map(Duration::from_millis).collect())?;
        assert_eq!((spread.samples, spread.p50, spread.p99, spread.max), (200, 100.0, 198.0, 200.0));
        let one = Spread::of(vec![Duration::from_millis(7)])?;
        assert_eq!((one.p50, one.p99, one.max), (7.0, 7.0, 7.0));
        assert!(Spread::of(Vec::new()).is_err());
        Ok(())
    }
}
