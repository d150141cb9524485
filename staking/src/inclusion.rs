//! One L1 transaction, from its first fee to its receipt: replaced at a higher fee while blocks pass without it.

use std::time::Duration;

use alloy::{
    consensus::BlockHeader as _,
    contract::Error as ContractError,
    eips::BlockNumberOrTag,
    network::TransactionBuilder as _,
    primitives::{Address, B256, utils::format_units},
    providers::{DynProvider, Provider as _},
    rpc::types::{TransactionReceipt, TransactionRequest},
    transports::{RpcError, TransportError},
};
use eyre::{Result, WrapErr as _, bail, ensure, eyre};
use indicatif::ProgressBar;
use rota_bindings::redact::hide_keys;
use tokio::time::{Instant, sleep};

use crate::{amount::parse_amount, submit::explain};

/// Longest wait for a transaction that was sent, unless the caller wants another.
pub const INCLUSION: Duration = Duration::from_secs(300);
/// L1 blocks that may pass without the transaction before its fee is raised.
const RAISE_AFTER: u64 = 3;
/// A raise adds this part of the fee, at least: 12.5 %. Nodes accept a replacement from 10 % on.
const RAISE_PART: u128 = 8;
/// Without a limit of the user's, a transaction may cost this many times what L1 asked when it was first sent.
const DEFAULT_LIMIT: u128 = 10;
/// Longest time between two looks for the receipt; shorter on a local chain.
const POLL: Duration = Duration::from_secs(1);

/// What a transaction offers, wei per gas (EIP-1559).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fees {
    max: u128,
    tip: u128,
}

impl Fees {
    /// The least fees that replace these.
    fn step(self) -> Self {
        let step = |fee: u128| fee.saturating_add(fee.div_ceil(RAISE_PART).max(1));
        Self { max: step(self.max), tip: step(self.tip) }
    }

    /// Fees that replace these and are no less than what L1 asks by now; `None` when `limit` leaves no room.
    fn raised(self, asked: Self, limit: u128) -> Option<Self> {
        let step = self.step();
        let next = Self { max: step.max.max(asked.max), tip: step.tip.max(asked.tip) }.capped(limit);
        (next.max >= step.max && next.tip >= step.tip).then_some(next)
    }

    /// At most `limit` in all.
    fn capped(self, limit: u128) -> Self {
        let max = self.max.min(limit);
        Self { max, tip: self.tip.min(max) }
    }
}

/// Parses gwei per gas, such as `30` or `0.5`, to wei.
///
/// # Errors
/// When it is not a positive number with nine decimals at most, naming what was given.
pub fn parse_gwei(text: &str) -> Result<u128> {
    let wei = parse_amount(&format!("{}gwei", text.trim())).map_err(|_| {
        eyre!("'{text}' is not a fee: write gwei per gas, such as 30 or 0.5, with nine decimals at most")
    })?;
    ensure!(!wei.is_zero(), "'{text}' is not a fee: L1 includes nothing for 0 gwei per gas");
    wei.try_into().map_err(|_| eyre!("'{text}' gwei per gas is more than any fee"))
}

/// Wei per gas as gwei.
fn gwei(fee: u128) -> String {
    let text = format_units(fee, "gwei").unwrap_or_else(|_| fee.to_string());
    let trimmed = text.trim_end_matches('0').trim_end_matches('.');
    format!("{} gwei", if trimmed.is_empty() { "0" } else { trimmed })
}

/// How far a transaction may go, and who hears of it.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// For messages.
    pub action: &'a str,
    /// Most wei per gas; a multiple of what L1 asks at first when absent.
    pub limit: Option<u128>,
    /// Longest wait for its inclusion.
    pub patience: Duration,
    /// Take the place of what an earlier run left waiting, instead of coming after it.
    pub replace: bool,
    /// Say on standard error what happens; otherwise in the log.
    pub aloud: bool,
    /// Shown while waiting.
    pub bar: &'a ProgressBar,
}

impl Terms<'_> {
    fn say(&self, text: &str) {
        let text = hide_keys(text);
        if self.aloud {
            self.bar.suspend(|| eprintln!("{}: {text}", self.action));
        } else {
            tracing::info!("{}: {text}", self.action);
        }
    }
}

/// What was sent and is not known to be included. Whoever stops waiting, by an error or by Ctrl-C, is told its hash:
/// it may still be included.
struct InFlight<'a> {
    terms: Terms<'a>,
    nonce: u64,
    /// All with the same nonce, the newest last: at most one of them is included.
    hashes: Vec<B256>,
    /// L1 never answered whether it took a replacement, so there may be one more, whose hash nobody knows.
    one_unknown: bool,
}

impl InFlight<'_> {
    fn settle(&mut self) {
        self.hashes.clear();
    }

    /// The receipt of the one that was included. `None` only when L1 answered for every one of them.
    async fn receipt(&self, provider: &DynProvider) -> Result<Option<TransactionReceipt>, TransportError> {
        let mut failure = None;
        // The newest is the likeliest.
        for hash in self.hashes.iter().rev() {
            match provider.get_transaction_receipt(*hash).await {
                Ok(Some(receipt)) => return Ok(Some(receipt)),
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// For messages.
    fn name(&self) -> String {
        let hashes: Vec<_> = self.hashes.iter().rev().map(B256::to_string).collect();
        let unknown = if self.one_unknown { " or one whose hash L1 did not confirm" } else { "" };
        format!("transaction {}{unknown} (nonce {})", hashes.join(" or "), self.nonce)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.hashes.is_empty() {
            self.terms.say(&format!("sent but not seen included, and may still be: {}", self.name()));
        }
    }
}

/// Sends `request`, which names sender, target, input and gas, and waits until it is included.
///
/// # Errors
/// When L1 refuses it, when its fee limit is below what L1 asks, when another transaction of the sender took its
/// nonce, or when it is not seen included in time. Only a refusal and a taken nonce mean that it was not made.
pub async fn include(
    provider: &DynProvider,
    request: TransactionRequest,
    terms: Terms<'_>,
) -> Result<TransactionReceipt> {
    let action = terms.action;
    let from = request.from.ok_or_else(|| eyre!("{action}: no sender"))?;
    let latest = provider.get_transaction_count(from).await?;
    let pending = provider.get_transaction_count(from).pending().await?.max(latest);
    let nonce = if terms.replace { latest } else { pending };
    // The nonce of the account that L1 waits for, while it is not this one's.
    let mut behind = (latest < nonce).then_some(latest);
    if let Some(earlier) = behind {
        say_behind(terms, from, earlier, nonce);
    } else if latest < pending {
        terms.say(&format!("replaces what an earlier run left waiting with nonce {nonce}"));
    }
    let request = request.with_nonce(nonce);
    let newest = provider
        .get_block_by_number(BlockNumberOrTag::Latest)
        .await?
        .ok_or_else(|| eyre!("L1 has no latest block"))?
        .header;
    let asked = current_fees(provider).await.wrap_err("asking L1 for its fees")?;
    let limit = terms.limit.unwrap_or_else(|| asked.max.saturating_mul(DEFAULT_LIMIT));
    let base_fee = u128::from(newest.base_fee_per_gas().unwrap_or_default());
    if limit < base_fee {
        bail!(
            "{action}: L1's base fee is {} per gas, the limit of {} is below it: raise --max-fee, or wait",
            gwei(base_fee),
            gwei(limit)
        );
    }
    let (hash, mut fees) = first(provider, &request, terms, asked.capped(limit), limit).await?;
    let mut flight = InFlight { terms, nonce, hashes: vec![hash], one_unknown: false };
    show(&flight);

    let poll = provider.client().poll_interval().min(POLL);
    let (end, mut since) = (Instant::now() + terms.patience, newest.number);
    let (mut nonce_used, mut limit_said, mut failure) = (false, false, None);
    while Instant::now() < end {
        let not_seen = match flight.receipt(provider).await {
            Ok(Some(receipt)) => {
                flight.settle();
                return Ok(receipt);
            }
            Ok(None) => !flight.one_unknown,
            // It may be included all the same: only the time limit ends the wait.
            Err(error) => {
                failure = Some(error);
                false
            }
        };
        let block = provider.get_block_number().await.unwrap_or(since);
        if block < since.saturating_add(RAISE_AFTER) {
            sleep(poll).await;
            continue;
        }
        since = block;
        let next = match provider.get_transaction_count(from).await {
            Ok(next) => next,
            Err(error) => {
                failure = Some(error);
                continue;
            }
        };
        if next > nonce {
            // Whoever reads that it was not made does it again, so nothing less than every answer will do.
            if nonce_used && not_seen {
                flight.settle();
                bail!(
                    "{action}: another transaction of {from} took nonce {nonce}, so this one was not made; try again"
                );
            }
            // Its receipt may be a moment behind.
            nonce_used = true;
            continue;
        }
        nonce_used = false;
        if next < nonce {
            // No fee brings it in before its predecessors.
            if behind.replace(next) != Some(next) {
                say_behind(terms, from, next, nonce);
            }
            send_again(provider, &request, fees, action).await;
            continue;
        }
        if behind.take().is_some() {
            // Its turn has only come: the blocks before do not count.
            send_again(provider, &request, fees, action).await;
            continue;
        }
        let asked = current_fees(provider).await.unwrap_or(fees);
        let Some(next) = fees.raised(asked, limit) else {
            if !limit_said {
                limit_said = true;
                terms.say(&format!(
                    "not included at {} per gas, L1 asks {} by now and the limit is {}: still waiting \
                     (--max-fee sets another limit)",
                    gwei(fees.max),
                    gwei(asked.max),
                    gwei(limit)
                ));
            }
            send_again(provider, &request, fees, action).await;
            continue;
        };
        match broadcast(provider, &request, next).await {
            Ok(hash) => {
                terms.say(&format!(
                    "not included after {RAISE_AFTER} blocks at {} per gas: replaced by {hash} at {} (limit {})",
                    gwei(fees.max),
                    gwei(next.max),
                    gwei(limit)
                ));
                flight.hashes.push(hash);
                fees = next;
                show(&flight);
            }
            Err(error) => {
                flight.one_unknown |= !is_refusal(&error);
                let error = explain(action, ContractError::TransportError(error));
                terms.say(&format!("not included yet, and a higher fee was not taken: {error:#}"));
            }
        }
    }
    let reason = match (behind, failure) {
        (Some(earlier), _) => format!(" (it waits for the account's nonce {earlier})"),
        (None, Some(error)) => format!(" (last failure of L1: {error})"),
        (None, None) => String::new(),
    };
    let sent = flight.name();
    flight.settle();
    bail!(
        "{action}: the outcome is unknown after {} s{reason}: {sent} may be included by now or later; look for it \
         before you try again",
        terms.patience.as_secs()
    )
}

fn say_behind(terms: Terms<'_>, from: Address, earlier: u64, nonce: u64) {
    terms.say(&format!(
        "an earlier transaction of {from}, nonce {earlier}, is waiting; this one (nonce {nonce}) comes after it"
    ));
}

/// Sends `request` for the first time. With `terms.replace` it outbids what waits with its nonce, within `limit`.
async fn first(
    provider: &DynProvider,
    request: &TransactionRequest,
    terms: Terms<'_>,
    mut fees: Fees,
    limit: u128,
) -> Result<(B256, Fees)> {
    let action = terms.action;
    loop {
        match broadcast(provider, request, fees).await {
            Ok(hash) => return Ok((hash, fees)),
            Err(error) if terms.replace && is_outbid(&error) => {
                fees = fees.raised(fees, limit).ok_or_else(|| {
                    eyre!(
                        "{action}: what an earlier run left waiting pays too much to be replaced within the limit of \
                         {} per gas: raise --max-fee, or wait",
                        gwei(limit)
                    )
                })?;
            }
            Err(error) => {
                let refused = is_refusal(&error);
                let report = explain(action, ContractError::TransportError(error));
                return Err(if refused {
                    report
                } else {
                    report.wrap_err(format!(
                        "{action}: L1 did not answer whether it took the transaction (nonce {}): look for it before \
                         you try again",
                        request.nonce.unwrap_or_default()
                    ))
                });
            }
        }
    }
}

/// Nodes drop what pays too little for long; the same transaction again does no harm where they did not.
async fn send_again(provider: &DynProvider, request: &TransactionRequest, fees: Fees, action: &str) {
    if let Err(error) = broadcast(provider, request, fees).await {
        tracing::debug!("{action}: sent again and refused: {error:#}");
    }
}

/// Whether L1 answered, and the answer was no. Without an answer the transaction may have been taken.
const fn is_refusal(error: &TransportError) -> bool {
    matches!(error, RpcError::ErrorResp(_))
}

/// Whether a transaction with this nonce waits already and pays as much.
fn is_outbid(error: &TransportError) -> bool {
    error.as_error_resp().is_some_and(|answer| {
        ["underpriced", "already known", "already imported"].iter().any(|word| answer.message.contains(word))
    })
}

fn show(flight: &InFlight<'_>) {
    if let Some(hash) = flight.hashes.last() {
        flight.terms.bar.set_message(format!("{}: waiting for {hash}", flight.terms.action));
    }
}

async fn current_fees(provider: &DynProvider) -> Result<Fees> {
    let fees = provider.estimate_eip1559_fees().await?;
    Ok(Fees { max: fees.max_fee_per_gas, tip: fees.max_priority_fee_per_gas })
}

async fn broadcast(provider: &DynProvider, request: &TransactionRequest, fees: Fees) -> Result<B256, TransportError> {
    let request = request.clone().with_max_fee_per_gas(fees.max).with_max_priority_fee_per_gas(fees.tip);
    Ok(*provider.send_transaction(request).await?.tx_hash())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_raise_is_accepted_as_a_replacement() {
        let asked = Fees { max: 7, tip: 1 };
        let mut fees = Fees { max: 1, tip: 0 };
        for _ in 0..200 {
            let next = fees.raised(asked, u128::MAX).unwrap();
            // 12.5 % in whole numbers, and more than before whatever the rounding.
            assert!(next.max * 8 >= fees.max * 9 && next.tip * 8 >= fees.tip * 9, "{fees:?} → {next:?}");
            assert!(next.max > fees.max && next.tip > fees.tip && next.max >= asked.max);
            fees = next;
        }
        let jump = Fees { max: 80, tip: 8 }.raised(Fees { max: 1_000, tip: 9 }, u128::MAX);
        assert_eq!(jump, Some(Fees { max: 1_000, tip: 9 }), "what L1 asks by now");
    }

    #[test]
    fn the_limit_holds_and_half_steps_are_not_offered() {
        let (fees, asked) = (Fees { max: 80, tip: 8 }, Fees { max: 1_000, tip: 9 });
        assert_eq!(fees.raised(asked, 100), Some(Fees { max: 100, tip: 9 }));
        assert_eq!(fees.raised(asked, 90), Some(Fees { max: 90, tip: 9 }));
        assert_eq!(fees.raised(asked, 89), None, "below 12.5 % more");
        assert_eq!(Fees { max: 100, tip: 60 }.capped(50), Fees { max: 50, tip: 50 });
        assert_eq!(Fees { max: u128::MAX, tip: 1 }.raised(asked, u128::MAX).unwrap().max, u128::MAX);
    }

    #[test]
    fn fees_are_shown_in_gwei() {
        assert_eq!(gwei(1_500_000_000), "1.5 gwei");
        assert_eq!(gwei(20_000_000_000), "20 gwei");
        assert_eq!(gwei(7), "0.000000007 gwei");
        assert_eq!(gwei(0), "0 gwei");
        assert_eq!(parse_gwei("0.5").unwrap(), 500_000_000);
        assert_eq!(parse_gwei(" 30 ").unwrap(), 30_000_000_000);
        for text in ["", "0", "-1", "x", "30 gwei", "30gwei", "0.0000000001", "1e9"] {
            let error = parse_gwei(text).unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }
}
