//! Leaving through the exit queue: request, take back, wait, claim.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use eyre::{Result, ensure, eyre};
use rota_bindings::{ExitQueue, types::ExitRequest};
use serde::Serialize;

use super::{named, receipt};
use crate::{amount::show_amount, connection::Network, output::show_duration, progress::countdown, submit::Submitter};

/// Requests claimed by one transaction: strangers may add small ones to anybody's line, one per batch.
const REQUESTS: usize = 100;
/// Failed looks at L1 in a row until waiting is given up.
const FAILURES: u32 = 50;

/// States of a batch (`IExitQueue.BatchState`).
pub(super) const OPEN: u8 = 0;
pub(super) const FINALISED: u8 = 2;

/// A request to leave that was made.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requested {
    /// Number of the batch.
    pub batch: U256,
    /// Number of the receipt, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<U256>,
}

/// What a claim paid.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claimed {
    /// Wei.
    pub assets: U256,
}

/// What can be awaited: an account's part of a batch, or a receipt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Awaited {
    /// Of this account.
    Batch(Address, U256),
    /// Whoever owns it.
    Receipt(U256),
}

impl Awaited {
    /// Of a request that was just made by `account`.
    pub(super) fn of(account: Address, requested: Requested) -> Self {
        requested.receipt.map_or(Self::Batch(account, requested.batch), Self::Receipt)
    }

    /// How the command line names it.
    fn option(self) -> String {
        match self {
            Self::Batch(_, batch) => format!("--batch {batch}"),
            Self::Receipt(receipt) => format!("--receipt {receipt}"),
        }
    }

    pub(super) async fn look(self, network: &Network) -> Result<ExitRequest> {
        let (account, batch) = match self {
            Self::Batch(account, batch) => (account, batch),
            Self::Receipt(receipt) => return receipt::look(network, receipt).await,
        };
        let found = requests(network, account).await?.into_iter().find(|request| request.requestId == batch);
        found.ok_or_else(|| nothing_in(account, batch))
    }
}

fn nothing_in(account: Address, batch: U256) -> eyre::Report {
    eyre!("{account} has nothing in batch {batch} of the exit queue; `rota liquid position` shows what it has")
}

fn nothing(account: Address) -> eyre::Report {
    eyre!("{account} has nothing in the exit queue: `rota liquid redeem` asks to leave, --receipt claims a receipt")
}

/// What shares are worth, for people.
pub(super) async fn worth_of(network: &Network, shares: U256) -> Result<String> {
    let worth = network.staked_token().convertToAssets(shares).call().await;
    Ok(show_amount(named("what shares are worth", worth)?))
}

/// Hands shares in to the exit queue; returns the number of the batch when it was sent.
///
/// # Errors
/// As [`Submitter::submit`].
pub async fn request(network: &Network, by: &Submitter<'_>, shares: U256) -> Result<Option<Requested>> {
    let worth = worth_of(network, shares).await?;
    let queue = ExitQueue::new(network.deployment.contracts.exit_queue, by.provider.clone());
    let what = format!("ask to leave with {} shares worth {worth} now", show_amount(shares));
    let read = |event: ExitQueue::RedeemRequest| Requested { batch: event.requestId, receipt: None };
    by.submit_for(&what, queue.requestRedeem(shares, by.from, by.from), read).await
}

/// Takes shares back from the open batch, all of them without a number.
///
/// # Errors
/// When the account has none there; otherwise as [`Submitter::submit`].
pub async fn cancel(network: &Network, by: &Submitter<'_>, shares: Option<U256>) -> Result<()> {
    let (batch, shares) = in_open_batch(network, by.from, shares).await?;
    let queue = ExitQueue::new(network.deployment.contracts.exit_queue, by.provider.clone());
    let what = format!("take {} shares back from batch {batch}", show_amount(shares));
    by.submit(&what, queue.cancelRedeem(batch, shares, by.from, by.from)).await?;
    Ok(())
}

/// Number of the open batch, and how many of the account's shares there are meant: all of them without a number.
///
/// # Errors
/// When it has none there, or fewer than `asked`; or L1 fails.
pub(super) async fn in_open_batch(network: &Network, account: Address, asked: Option<U256>) -> Result<(U256, U256)> {
    let batch = named("which batch is open", network.exit_queue().openBatch().call().await)?;
    let held = network.exit_queue().pendingRedeemRequest(batch, account).call().await;
    let held = named("what is in the open batch", held)?;
    ensure!(
        !held.is_zero(),
        "{account} has no shares in the open batch {batch}; what is sealed stays as it is, and a receipt is named by \
         --receipt (`rota liquid position --account {account}` shows both)"
    );
    let shares = asked.unwrap_or(held);
    ensure!(!shares.is_zero(), "--shares 0: name more than none, or leave it out for all");
    ensure!(
        shares <= held,
        "{} shares asked for, but {} are in the open batch {batch}",
        show_amount(shares),
        show_amount(held)
    );
    Ok((batch, shares))
}

/// Claims one batch, or all that are ready, a hundred per transaction. Returns what was paid; zero when nothing was sent.
///
/// # Errors
/// When nothing is ready, saying what comes when; otherwise as [`Submitter::submit`].
pub async fn claim(
    network: &Network,
    by: &Submitter<'_>,
    batch: Option<U256>,
    receiver: Option<Address>,
) -> Result<Claimed> {
    let (receiver, mut assets) = (receiver.unwrap_or(by.from), U256::ZERO);
    let queue = ExitQueue::new(network.deployment.contracts.exit_queue, by.provider.clone());
    let read = |event: ExitQueue::Withdraw| Claimed { assets: event.assets };
    let requests = requests(network, by.from).await?;
    if let Some(batch) = batch {
        let request = requests.iter().find(|request| request.requestId == batch);
        let request = request.ok_or_else(|| nothing_in(by.from, batch))?;
        if request.state != FINALISED {
            return Err(not_yet(network, request).await?);
        }
        let what = format!("claim {} of batch {batch}", show_amount(request.assets));
        let paid = by.submit_for(&what, queue.claim(batch, receiver, by.from), read).await?;
        return Ok(paid.unwrap_or(Claimed { assets }));
    }
    let ready: Vec<_> = requests.iter().filter(|request| request.state == FINALISED).collect();
    if ready.is_empty() {
        let first = requests.first().ok_or_else(|| nothing(by.from))?;
        return Err(not_yet(network, first).await?);
    }
    for part in ready.chunks(REQUESTS) {
        let worth: U256 = part.iter().map(|request| request.assets).sum();
        let shares: U256 = part.iter().map(|request| request.shares).sum();
        let what = format!("claim {} of {} batches", show_amount(worth), part.len());
        let paid = by.submit_for(&what, queue.redeem(shares, receiver, by.from), read).await?;
        assets += paid.map_or(U256::ZERO, |paid| paid.assets);
    }
    Ok(Claimed { assets })
}

async fn not_yet(network: &Network, request: &ExitRequest) -> Result<eyre::Report> {
    Ok(eyre!("nothing to claim yet: {}; --wait waits for it", describe(request, network.l1_time().await?)))
}

/// All requests of an account, oldest first: at most one for each batch there ever was.
pub(super) async fn requests(network: &Network, account: Address) -> Result<Vec<ExitRequest>> {
    named("for the requests to leave", network.liquid_lens().requestsOf(account, U256::MAX).call().await)
}

/// The oldest request of an account.
pub(super) async fn oldest(network: &Network, account: Address) -> Result<U256> {
    let requests = requests(network, account).await?;
    requests.first().map(|request| request.requestId).ok_or_else(|| nothing(account))
}

/// Says what comes next for a request that was just made. An endpoint that does not know of it yet makes nothing undone.
pub(super) async fn announce(network: &Network, account: Address, requested: Requested) {
    if network.json {
        return;
    }
    if let Err(error) = tell(network, Awaited::of(account, requested)).await {
        eprintln!(
            "it is in batch {}, but where that stands cannot be told now: {error:#} (`rota liquid position --account \
             {account}` shows it)",
            requested.batch
        );
    }
}

async fn tell(network: &Network, awaited: Awaited) -> Result<()> {
    let request = awaited.look(network).await?;
    println!("{}", describe(&request, network.l1_time().await?));
    let option = match awaited {
        Awaited::Batch(..) => String::new(),
        Awaited::Receipt(receipt) => {
            println!("receipt {receipt} stands for it: an ERC-721 token, whoever owns it takes it back or claims");
            format!(" {}", awaited.option())
        }
    };
    if request.state == OPEN {
        println!(
            "until it is sealed (in the second half of an epoch) `rota liquid cancel{option}` takes it back; afterwards \
             `rota liquid claim{option}` collects it"
        );
    }
    Ok(())
}

/// Where a request stands: batch, position among the batches that are not paid yet, and when.
pub(super) fn describe(request: &ExitRequest, now: u64) -> String {
    let left = request.expectedAt.saturating_to::<u64>().saturating_sub(now);
    let state = match request.state {
        FINALISED => return format!("batch {}: {} ready", request.requestId, show_amount(request.assets)),
        OPEN => "open",
        _ => "sealed",
    };
    let when = if left == 0 { ", due now".to_owned() } else { format!(" in about {}", show_duration(left)) };
    format!(
        "batch {} ({state}, position {}): {}{when}",
        request.requestId,
        request.ahead.saturating_add(U256::ONE),
        show_amount(request.assets)
    )
}

/// Tells how to go on when waiting ends early, by Ctrl-C too.
struct Unfinished(Option<Awaited>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(awaited) = self.0 {
            eprintln!(
                "nothing is lost: `rota liquid claim {}` collects it when it is ready, --wait waits again",
                awaited.option()
            );
        }
    }
}

/// Waits until `awaited` is finalised, showing where it stands and when it is expected. A request that was just made may not
/// be known to every endpoint at once.
///
/// # Errors
/// When there is nothing to await for long, or L1 fails for long.
pub(super) async fn wait(network: &Network, awaited: Awaited) -> Result<()> {
    let mut unfinished = Unfinished(Some(awaited));
    let bar = countdown("asking L1 where it stands", 1, !network.quiet);
    let (mut start, mut failures) = (None, 0);
    loop {
        let looked = async { eyre::Ok((network.l1_time().await?, awaited.look(network).await?)) }.await;
        match looked {
            Ok((_, request)) if request.state == FINALISED => break,
            Ok((now, request)) => {
                failures = 0;
                let start = *start.get_or_insert(now);
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
        assert_eq!(at(0, 0, 1_090), "batch 12 (open, position 1): 3 in about 1m 30s");
        assert_eq!(at(0, 2, 1_007), "batch 12 (open, position 3): 3 in about 7s");
        assert_eq!(at(1, 3, 1_000 + 18 * 3_600), "batch 12 (sealed, position 4): 3 in about 18h 0m");
        assert_eq!(at(1, 0, 999), "batch 12 (sealed, position 1): 3, due now");
        assert_eq!(at(2, 0, 0), "batch 12: 3 ready");
    }

    #[tokio::test]
    async fn all_requests_of_an_account_are_seen() {
        let (fake, network) = crate::fake_l1::FakeL1::start().await;
        fake.tell_by::<rota_bindings::LiquidLens::requestsOfCall>(|call| {
            let count: u64 = call.limit.min(U256::from(250)).to();
            (1..=count).map(|number| ExitRequest { requestId: U256::from(number), ..request(1, number, 0) }).collect()
        });
        let last = Awaited::Batch(Address::ZERO, U256::from(250)).look(&network).await.unwrap();
        assert_eq!(last.requestId, U256::from(250));
        let none = Awaited::Batch(Address::ZERO, U256::from(251)).look(&network).await.unwrap_err().to_string();
        assert!(none.contains("nothing in batch 251"), "{none}");
    }

    #[test]
    fn a_receipt_is_awaited_by_its_own_number() {
        let requested = |receipt| Requested { batch: U256::from(12), receipt };
        assert_eq!(Awaited::of(Address::ZERO, requested(None)).option(), "--batch 12");
        assert_eq!(Awaited::of(Address::ZERO, requested(Some(U256::from(3)))).option(), "--receipt 3");
    }
}
