//! What liquid staking looks like: an account, the exit queue, the return.

use alloy::primitives::{Address, I256, U256};
use eyre::Result;
use rota_bindings::types::ExitRequest;
use serde::Serialize;

use super::{
    door,
    exit::{describe, requests},
    named,
    receipt::receipts_of,
};
use crate::{
    amount::show_amount,
    connection::Network,
    output::{print_json, print_pairs, print_table, show_duration},
};

/// Basis points of all.
const BPS: u64 = 10_000;
/// Checkpoints back at which the return is shown.
const BACK: [u64; 4] = [1, 7, 30, 365];

/// A request to leave, as printed with `--json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<U256>,
    batch: U256,
    shares: U256,
    assets: U256,
    state: &'static str,
    ahead: U256,
    expected_at: U256,
}

impl Request {
    fn new(receipt: Option<U256>, request: &ExitRequest) -> Self {
        Self {
            receipt,
            batch: request.requestId,
            shares: request.shares,
            assets: request.assets,
            state: state(request.state),
            ahead: request.ahead,
            expected_at: request.expectedAt,
        }
    }
}

/// An account, as printed with `--json`: wei.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Position {
    shares: U256,
    assets: U256,
    instant_net: U256,
    pending_shares: U256,
    claimable_shares: U256,
    claimable_assets: U256,
    requests: Vec<Request>,
    receipts: Vec<Request>,
}

const fn state(number: u8) -> &'static str {
    match number {
        0 => "open",
        1 => "sealed",
        _ => "ready",
    }
}

/// `part` of `whole` in percent with three decimals.
pub(super) fn percent(part: U256, whole: U256) -> String {
    let thousandths = if whole.is_zero() { U256::ZERO } else { part.saturating_mul(U256::from(100_000)) / whole }
        .saturating_to::<u64>();
    format!("{}.{:03} %", thousandths / 1_000, thousandths % 1_000)
}

/// A signed part of 1e18 in percent with two decimals.
fn signed_percent(part: I256) -> String {
    let hundredths = part / I256::try_from(100_000_000_000_000_i64).unwrap_or(I256::ONE);
    let size = hundredths.unsigned_abs().saturating_to::<u64>();
    let sign = if hundredths.is_negative() { "-" } else { "" };
    format!("{sign}{}.{:02} %", size / 100, size % 100)
}

pub(super) async fn position(network: &Network, account: Address) -> Result<()> {
    let held = named("what the account holds", network.liquid_lens().accountOf(account).call().await)?;
    let waiting = requests(network, account).await?;
    let receipts = receipts_of(network, account).await?;
    if network.json {
        return print_json(&Position {
            shares: held.shares,
            assets: held.assets,
            instant_net: held.instantNet,
            pending_shares: held.pendingShares,
            claimable_shares: held.claimableShares,
            claimable_assets: held.claimableAssets,
            requests: waiting.iter().map(|request| Request::new(None, request)).collect(),
            receipts: receipts.iter().map(|held| Request::new(Some(held.receipt), &held.request)).collect(),
        });
    }
    print_pairs(&[
        ("holder", account.to_string()),
        ("shares", show_amount(held.shares)),
        ("worth", show_amount(held.assets)),
        ("if left at once", show_amount(held.instantNet)),
        ("shares in the queue", show_amount(held.pendingShares)),
        ("ready to claim", show_amount(held.claimableAssets)),
    ]);
    let now = network.l1_time().await?;
    let rows = waiting.iter().map(|request| vec![show_amount(request.shares), describe(request, now)]).collect();
    print_table(&["shares", "request to leave"], rows, "nothing is leaving");
    if !receipts.is_empty() {
        let row = |request: &ExitRequest| [show_amount(request.shares), describe(request, now)];
        let rows = receipts.iter().map(|held| [&[held.receipt.to_string()][..], &row(&held.request)].concat());
        print_table(&["receipt", "shares", "request to leave"], rows.collect(), "");
    }
    Ok(())
}

/// A sealed batch, as printed with `--json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sealed {
    batch: U256,
    owed: U256,
    payable_from: U256,
}

/// The exit queue and what it is paid from, as printed with `--json`: wei and Unix seconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Queue {
    open_batch: U256,
    open_shares: U256,
    sealable_from: U256,
    sealed: Vec<Sealed>,
    buffer: U256,
    free_buffer: U256,
    buffer_target: U256,
    thawing: U256,
    owed: U256,
    instant_fee: U256,
    bunker_until: U256,
    deposit_limit: U256,
    /// Why and until when nobody gets in or out at once.
    closed: Option<String>,
}

pub(super) async fn queue(network: &Network) -> Result<()> {
    let (token, queue) = (network.staked_token(), network.exit_queue());
    let books = named("for the staked token's books", token.position().call().await)?;
    let open_batch = named("which batch is open", queue.openBatch().call().await)?;
    let range = named("which batches wait", token.exitRange().call().await)?;
    let mut sealed = Vec::new();
    let mut index = range.head;
    while index < range.tail {
        let exit = named("what a batch is owed", token.exitOf(index).call().await)?;
        sealed.push(Sealed { batch: index, owed: exit.assets, payable_from: exit.payableFrom });
        index += U256::ONE;
    }
    let one = U256::from(1_000_000_000_000_000_000_u64);
    let shown = Queue {
        open_batch,
        open_shares: named("what is in the open batch", queue.batchOf(open_batch).call().await)?.shares,
        sealable_from: named("when it is sealed", queue.sealableFrom().call().await)?,
        sealed,
        buffer: books.buffer,
        free_buffer: door::free(&books),
        buffer_target: books.bufferTarget,
        thawing: books.thawing,
        owed: books.owed,
        instant_fee: named("what leaving at once costs", token.instantFee(one).call().await)?,
        bunker_until: books.bunkerUntil,
        deposit_limit: named("how much may be deposited", token.maxDeposit(Address::ZERO).call().await)?,
        closed: door::closed(network).await?,
    };
    if network.json {
        return print_json(&shown);
    }
    let now = network.l1_time().await?;
    let when = |time: U256| match time.saturating_to::<u64>().saturating_sub(now) {
        0 => "now".to_owned(),
        seconds => format!("in {}", show_duration(seconds)),
    };
    print_pairs(&[
        (
            "open batch",
            format!("{open_batch}: {} shares, sealed {}", show_amount(shown.open_shares), when(shown.sealable_from)),
        ),
        ("buffer", format!("{} (aim {})", show_amount(shown.buffer), show_amount(shown.buffer_target))),
        ("free for exits at once", show_amount(shown.free_buffer)),
        ("fee of the next token at once", percent(shown.instant_fee, one)),
        ("on its way out of stake", show_amount(shown.thawing)),
        ("owed to sealed batches", show_amount(shown.owed)),
        ("room for deposits", show_amount(shown.deposit_limit)),
        ("deposits and exits at once", shown.closed.map_or_else(|| "open".to_owned(), |why| format!("closed: {why}"))),
    ]);
    let rows = shown
        .sealed
        .iter()
        .map(|exit| vec![exit.batch.to_string(), show_amount(exit.owed), when(exit.payable_from)])
        .collect();
    print_table(&["sealed batch", "owed", "payable at the earliest"], rows, "no sealed batch waits");
    Ok(())
}

/// The return since a checkpoint, as printed with `--json`: parts of 1e18; without `apr` if a share was worth nothing then.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Return {
    since: U256,
    rate: I256,
    apr: Option<I256>,
}

/// Rate and returns, as printed with `--json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Apr {
    rate: U256,
    fee_bps: u16,
    returns: Vec<Return>,
}

/// Numbers of the checkpoints to look back to: one, seven, … before the present, and the first.
fn rounds(latest: u64) -> Vec<u64> {
    let mut rounds: Vec<u64> = BACK.iter().filter_map(|back| (latest + 1).checked_sub(*back)).collect();
    rounds.push(1);
    rounds.retain(|round| (1..=latest).contains(round));
    rounds.dedup();
    rounds
}

pub(super) async fn apr(network: &Network) -> Result<()> {
    let feed = network.rate_feed();
    let rate = named("what a share is worth", feed.getRate().call().await)?;
    let fee_bps = named("for the fee", network.staked_token().feeInfo().call().await)?.feeBps;
    let latest = named("how often the rate was recorded", feed.checkpoints().call().await)?.to::<u64>();
    let now = network.l1_time().await?;
    let mut returns = Vec::new();
    for round in rounds(latest) {
        let round = alloy::primitives::aliases::U80::from(round);
        let checkpoint = named("for a record of the rate", feed.getRoundData(round).call().await)?;
        let (then, since) = (checkpoint._1, checkpoint._3);
        // One of this very moment tells nothing.
        if since < U256::from(now) {
            let apr = if then.is_positive() {
                Some(named("for the return", feed.realisedApr(round).call().await)?)
            } else {
                // Nothing grows into something by no factor.
                None
            };
            returns.push(Return { since, rate: then, apr });
        }
    }
    if network.json {
        return print_json(&Apr { rate, fee_bps, returns });
    }
    print_pairs(&[
        ("a share is worth", show_amount(rate)),
        ("fee on rewards", format!("{}.{:02} %", u64::from(fee_bps) * 100 / BPS, u64::from(fee_bps) % 100)),
    ]);
    let rows = returns
        .iter()
        .map(|row| {
            let ago = now.saturating_sub(row.since.saturating_to());
            vec![
                show_duration(ago),
                show_amount(row.rate.unsigned_abs()),
                row.apr.map_or_else(|| "-".to_owned(), signed_percent),
            ]
        })
        .collect();
    print_table(&["over the last", "a share was worth", "return per year"], rows, "no checkpoint is old enough yet");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_shown_in_percent() {
        assert_eq!(percent(U256::from(5), U256::from(1_000)), "0.500 %");
        assert_eq!(percent(U256::from(1), U256::from(3)), "33.333 %");
        assert_eq!(percent(U256::ZERO, U256::ZERO), "0.000 %");
        let wad = |number: i64| I256::try_from(number).unwrap() * I256::try_from(1_000_000_000_000_000_i64).unwrap();
        assert_eq!(signed_percent(wad(52)), "5.20 %");
        assert_eq!(signed_percent(wad(-1_005)), "-100.50 %");
        assert_eq!(signed_percent(wad(0)), "0.00 %");
    }
    #[test]
    fn the_first_checkpoints_are_looked_back_to() {
        assert!(rounds(0).is_empty());
        assert_eq!(rounds(1), [1]);
        assert_eq!(rounds(7), [7, 1]);
        assert_eq!(rounds(400), [400, 394, 371, 36, 1]);
    }
}
