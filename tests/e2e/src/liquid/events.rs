//! What the contracts announced, transaction by transaction.

use std::collections::BTreeMap;

use alloy::{
    primitives::{B256, U256},
    providers::Provider as _,
    rpc::types::{Filter, Log},
    sol_types::SolEventInterface as _,
};
use eyre::{Result, eyre};
use rota::connection::Network;
use rota_bindings::{
    CoverFund::CoverFundEvents, ExitQueue::ExitQueueEvents, RateFeed::RateFeedEvents, RewardVault::RewardVaultEvents,
    StakeVault::StakeVaultEvents, StakedToken::StakedTokenEvents,
};

/// One transaction's events, as far as they matter.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) time: u64,
    pub(super) token: Vec<StakedTokenEvents>,
    pub(super) queue: Vec<ExitQueueEvents>,
    pub(super) cover: Vec<CoverFundEvents>,
    pub(super) rewards: Vec<(u32, U256, u32)>,
    pub(super) released: Vec<U256>,
    pub(super) slashes: usize,
    pub(super) rates: Vec<U256>,
}

/// All transactions with events of liquid staking up to block `until`, in order.
pub(super) async fn transactions(network: &Network, until: u64) -> Result<Vec<Transaction>> {
    let contracts = &network.deployment.contracts;
    let addresses = vec![
        contracts.staked_token,
        contracts.exit_queue,
        contracts.cover_fund,
        contracts.rate_feed,
        contracts.reward_vault,
        contracts.stake_vault,
    ];
    let filter = Filter::new().address(addresses).from_block(0).to_block(until);
    let mut found: Vec<Transaction> = Vec::new();
    let mut last = B256::ZERO;
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    for log in network.l1.get_logs(&filter).await? {
        let hash = log.transaction_hash.unwrap_or_default();
        if hash != last {
            last = hash;
            let number = log.block_number.unwrap_or_default();
            let time = match (log.block_timestamp, times.get(&number)) {
                (Some(time), _) => time,
                (None, Some(time)) => *time,
                (None, None) => {
                    let block = network.l1.get_block_by_number(number.into()).await?;
                    block.ok_or_else(|| eyre!("no block {number}"))?.header.timestamp
                }
            };
            times.insert(number, time);
            found.push(Transaction { time, ..Transaction::default() });
        }
        let Some(transaction) = found.last_mut() else { continue };
        sort_in(transaction, &log, network)?;
    }
    Ok(found)
}

fn sort_in(transaction: &mut Transaction, log: &Log, network: &Network) -> Result<()> {
    let contracts = &network.deployment.contracts;
    let (address, token) = (log.address(), contracts.staked_token);
    if address == token {
        transaction.token.push(StakedTokenEvents::decode_log(&log.inner)?.data);
    } else if address == contracts.exit_queue {
        transaction.queue.push(ExitQueueEvents::decode_log(&log.inner)?.data);
    } else if address == contracts.cover_fund {
        transaction.cover.push(CoverFundEvents::decode_log(&log.inner)?.data);
    } else if address == contracts.rate_feed {
        let RateFeedEvents::Checkpointed(event) = RateFeedEvents::decode_log(&log.inner)?.data;
        transaction.rates.push(event.rate);
    } else if address == contracts.reward_vault {
        if let RewardVaultEvents::RewardsClaimed(event) = RewardVaultEvents::decode_log(&log.inner)?.data
            && event.account == token
        {
            transaction.rewards.push((event.id, event.amount, event.toEpoch));
        }
    } else {
        match StakeVaultEvents::decode_log(&log.inner)?.data {
            StakeVaultEvents::Claimed(event) if event.who == token => transaction.released.push(event.amount),
            StakeVaultEvents::Slashed(_) => transaction.slashes += 1,
            _ => {}
        }
    }
    Ok(())
}
