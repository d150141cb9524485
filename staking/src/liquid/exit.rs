//! Leaving through the exit queue: request, take back, wait, claim.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use eyre::{Result, bail, ensure, eyre};
use rota_bindings::{ExitQueue, types::ExitRequest};

use crate::{amount::show_amount, connection::Network, output::show_duration, progress::countdown, submit::Submitter};

/// Requests looked at and claimed in one go: strangers may add small ones to anybody's line.
const REQUESTS: u64 = 100;
/// Failed looks at L1 in a row until waiting is given up.
const FAILURES: u32 = 50;

/// States of a batch (`IExitQueue.BatchState`).
const OPEN: u8 = 0;
const FINALISED: u8 = 2;

/// Hands shares in to the exit queue; returns the number of the batch when it was sent.
///
/// # Errors
/// As [`Submitter::submit`].
pub async fn request(network: &Network, by: &Submitter<'_>, shares: U256) -> Result<Option<U256>> {
    let worth = network.staked_token().convertToAssets(shares).call().await?;
    let queue = ExitQueue::new(network.deployment.contracts.exit_queue, by.provider.clone());
    let what = format!("ask to leave with {} shares worth {} now", show_amount(shares), show_amount(worth));
    let Some(receipt) = by.submit(&what, queue.requestRedeem(shares, by.from, by.from)).await? else {
        return Ok(None);
    };
    let event = receipt
        .decoded_log::<ExitQueue::RedeemRequest>()
        .ok_or_else(|| eyre!("the transaction left no RedeemRequest event"))?;
    Ok(Some(event.requestId))
}

/// Takes shares back from the open batch, all of them without a number.
///
/// # Errors
/// When the account has none there; otherwise as [`Submitter::submit`].
pub async fn cancel(network: &Network, by: &Submitter<'_>, shares: Option<U256>) -> Result<()> {
    let batch = network.exit_queue().openBatch().call().await?;
    let held = network.exit_queue().pendingRedeemRequest(batch, by.from).call().await?;
    ensure!(
        !held.is_zero(),
        "{} has no shares in the open batch {batch}; what is sealed cannot be taken back (`rota liquid position`)",
        by.from
    );
    let shares = shares.unwrap_or(held);
    ensure!(
        shares <= held,
        "{} shares asked for, but {} are in the open batch {batch}",
        show_amount(shares),
        show_amount(held)
    );
    let queue = ExitQueue::new(network.deployment.contracts.exit_queue, by.provider.clone());
    let what = format!("take {} shares back from batch {batch}", show_amount(shares));
    by.submit(&what, queue.cancelRedeem(batch, shares, by.from, by.from)).await?;
    Ok(())
}

/// Claims one batch, or all that are ready. Returns what was paid, wei; zero when nothing was sent.
///
/// # Errors
/// When nothing is ready, saying what comes when; otherwise as [`Submitter::submit`].
pub async fn claim(network: &Network, by: &Submitter<'_>, batch: Option<U256>) -> Result<U256> {
    let requests = requests(network, by.from).await?;
    let ready: Vec<_> = requests
        .iter()
        .filter(|request| request.state == FINALISED && batch.is_none_or(|batch| batch == request.requestId))
        .collect();
    if ready.is_empty() {
        let now = network.l1_time().await?;
        let named = batch.and_then(|batch| requests.iter().find(|request| request.requestId == batch));
        match named.or(requests.first().filter(|_| batch.is_none())) {
            Some(next) => bail!("nothing to claim yet: {}; --wait waits for it", describe(next, now)),
            None => match batch {
                Some(batch) => bail!("{} has nothing in batch {batch}", by.from),
                None => bail!("{} has nothing in the exit queue: `rota liquid redeem` asks to leave", by.from),
            },
        }
    }
    let queue = ExitQueue::new(network.deployment.contracts.exit_queue, by.provider.clone());
    let assets: U256 = ready.iter().map(|request| request.assets).sum();
    let receipt = match batch {
        Some(batch) => {
            let what = format!("claim {} of batch {batch}", show_amount(assets));
            by.submit(&what, queue.claim(batch, by.from, by.from)).await?
        }
        None => {
            let shares: U256 = ready.iter().map(|request| request.shares).sum();
            let what = format!("claim {} of {} batches", show_amount(assets), ready.len());
            by.submit(&what, queue.redeem(shares, by.from, by.from)).await?
        }
    };
    let Some(receipt) = receipt else { return Ok(U256::ZERO) };
    let event =
        receipt.decoded_log::<ExitQueue::Withdraw>().ok_or_else(|| eyre!("the transaction left no Withdraw event"))?;
    if !network.json && by.shows() {
        println!("paid {}", show_amount(event.assets));
    }
    Ok(event.assets)
}

/// Requests of an account, oldest first.
pub(super) async fn requests(network: &Network, account: Address) -> Result<Vec<ExitRequest>> {
    Ok(network.liquid_lens().requestsOf(account, U256::from(REQUESTS)).call().await?)
}

/// The oldest request of an account.
pub(super) async fn oldest(network: &Network, account: Address) -> Result<U256> {
    let requests = requests(network, account).await?;
    let first = requests.first().map(|request| request.requestId);
    first.ok_or_else(|| eyre!("{account} has nothing in the exit queue: `rota liquid redeem` asks to leave"))
}

/// Says what comes next for a request that was just made.
pub(super) async fn announce(network: &Network, account: Address, batch: U256) -> Result<()> {
    if network.json {
        return Ok(());
    }
    let request = find(network, account, batch).await?;
    println!("{}", describe(&request, network.l1_time().await?));
    if request.state == OPEN {
        println!(
            "until it is sealed (in the second half of an epoch) `rota liquid cancel` takes it back; afterwards \
             `rota liquid claim` collects it"
        );
    }
    Ok(())
}

async fn find(network: &Network, account: Address, batch: U256) -> Result<ExitRequest> {
    let found = requests(network, account).await?.into_iter().find(|request| request.requestId == batch);
    found.ok_or_else(|| eyre!("{account} has nothing in batch {batch} of the exit queue"))
}

/// Where a request stands: batch, place, and when.
pub(super) fn describe(request: &ExitRequest, now: u64) -> String {
    let left = request.expectedAt.saturating_to::<u64>().saturating_sub(now);
    let place = match (request.state, request.ahead.saturating_to::<u64>()) {
        (FINALISED, _) => return format!("batch {}: ready", request.requestId),
        (OPEN, 0) => "open, next in line".to_owned(),
        (OPEN, ahead) => format!("open, {ahead} sealed before it"),
        (_, 0) => "sealed, next in line".to_owned(),
        (_, ahead) => format!("sealed, {ahead} before it"),
    };
    let when = if left == 0 { ", due now".to_owned() } else { format!(" in about {}", show_duration(left)) };
    format!("batch {} ({place}): {}{when}", request.requestId, show_amount(request.assets))
}

/// Tells how to go on when waiting ends early, by Ctrl-C too.
struct Unfinished(Option<U256>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(batch) = self.0 {
            eprintln!(
                "nothing is lost: `rota liquid claim --batch {batch}` collects it when it is ready, --wait waits again"
            );
        }
    }
}

/// Waits until `batch` is finalised, showing where it stands and when it is expected.
///
/// # Errors
/// When the account has nothing there, or L1 fails for long.
pub(super) async fn wait(network: &Network, account: Address, batch: U256) -> Result<()> {
    let mut unfinished = Unfinished(Some(batch));
    let start = network.l1_time().await?;
    let mut request = find(network, account, batch).await?;
    let bar = countdown(describe(&request, start), 1, !network.quiet);
    let mut failures = 0;
    while request.state != FINALISED {
        let looked = async { eyre::Ok((network.l1_time().await?, find(network, account, batch).await?)) }.await;
        match looked {
            Ok((now, found)) => {
                failures = 0;
                request = found;
                let expected = request.expectedAt.saturating_to::<u64>().max(now.saturating_add(1));
                bar.set_length(expected.saturating_sub(start).max(1));
                bar.set_position(now.saturating_sub(start));
                bar.set_message(describe(&request, now));
                // Days away is not asked for every second.
                let pause = (expected.saturating_sub(now) / 20).clamp(1, 12);
                tokio::time::sleep(Duration::from_secs(pause)).await;
            }
            Err(error) if failures < FAILURES => {
                failures += 1;
                bar.set_message(format!("{error:#}; asking again"));
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            Err(error) => return Err(error),
        }
    }
    bar.finish_and_clear();
    unfinished.0 = None;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(state: u8, ahead: u64, expected_at: u64) -> ExitRequest {
        ExitRequest {
            requestId: U256::from(12),
            shares: U256::from(1),
            assets: U256::from(5).pow(U256::from(18)) * U256::from(1_u64 << 18) * U256::from(3),
            state,
            ahead: U256::from(ahead),
            expectedAt: U256::from(expected_at),
        }
    }

    #[test]
    fn a_request_says_where_it_stands() {
        let at = |state, ahead, expected| describe(&request(state, ahead, expected), 1_000);
        assert_eq!(at(0, 0, 1_090), "batch 12 (open, next in line): 3 in about 1m 30s");
        assert_eq!(at(0, 2, 1_007), "batch 12 (open, 2 sealed before it): 3 in about 7s");
        assert_eq!(at(1, 3, 1_000 + 18 * 3_600), "batch 12 (sealed, 3 before it): 3 in about 18h 0m");
        assert_eq!(at(1, 0, 999), "batch 12 (sealed, next in line): 3, due now");
        assert_eq!(at(2, 0, 0), "batch 12: ready");
    }
}
