//! Getting in, and out at once, through the router: one transaction each, with a limit to the price.

use alloy::primitives::{Address, U256};
use eyre::{Result, ensure};
use rota_bindings::{Router, StakedToken, generated::router::IRouter};
use serde::Serialize;

use super::{door, named, show};
use crate::{
    amount::show_amount,
    approval::{Leave, let_take},
    connection::Network,
    output::show_duration,
    submit::Submitter,
};

/// Seconds that a price limit holds: enough for a slow inclusion.
const DEADLINE: u64 = 20 * 60;
/// The same for a multisig whose members sign one after the other.
const MULTISIG_DEADLINE: u64 = 7 * 24 * 3_600;
/// How much less than expected is accepted without --min-out, basis points.
const TOLERANCE_BPS: u64 = 50;

/// What a deposit bought.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deposited {
    /// Shares.
    pub shares: U256,
}

/// What leaving at once paid, wei.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftAtOnce {
    /// To the receiver.
    pub net: U256,
    /// Kept for those who stay.
    pub fee: U256,
}

/// Deposits `amount` wei through the router; returns what it bought when it was sent.
///
/// # Errors
/// When deposits are closed or it is more than the staked token takes, which is found before anything is sent; when it
/// buys fewer shares than `min_out`; otherwise as [`Submitter::submit`].
pub async fn deposit(
    network: &Network,
    by: &Submitter<'_>,
    amount: U256,
    receiver: Option<Address>,
    min_out: Option<U256>,
) -> Result<Option<Deposited>> {
    let contracts = &network.deployment.contracts;
    let receiver = receiver.unwrap_or(by.from);
    door::ensure_deposit(network, amount, receiver).await?;
    let expected = named("what the deposit buys", network.staked_token().previewDeposit(amount).call().await)?;
    ensure!(
        !expected.is_zero(),
        "a deposit of {} buys no shares, because one is worth more: deposit more",
        show_amount(amount)
    );
    let least = least(expected, min_out, "shares")?;
    let what = format!(
        "deposit {} for about {} shares, at least {}{}",
        show_amount(amount),
        show_amount(expected),
        show_amount(least),
        until(by)
    );
    let leave = let_take(network, by, contracts.native_token, "native tokens", contracts.router, amount).await?;
    let router = Router::new(contracts.router, by.provider.clone());
    let deadline = deadline(network, by).await?;
    let call = router.deposit(amount, receiver, least, deadline, Address::ZERO, permit_in(&leave));
    if matches!(leave, Leave::Missing) {
        by.skip(&what, "the approval", &call)?;
        return Ok(None);
    }
    by.submit_for(&what, call, |event: StakedToken::Deposit| Deposited { shares: event.shares }).await
}

/// Leaves at once with `shares`; returns what was paid when it was sent.
///
/// # Errors
/// When exits at once are closed or that many shares cannot leave so now, which is found before anything is sent; when less
/// than `min_out` is paid; otherwise as [`Submitter::submit`].
pub async fn instant(
    network: &Network,
    by: &Submitter<'_>,
    shares: U256,
    receiver: Option<Address>,
    min_out: Option<U256>,
) -> Result<Option<LeftAtOnce>> {
    let contracts = &network.deployment.contracts;
    let token = network.staked_token();
    door::ensure_instant(network, shares, by.from).await?;
    let worth = named("what shares are worth", token.convertToAssets(shares).call().await)?;
    let expected = named("what leaving at once pays", token.previewRedeem(shares).call().await)?;
    ensure!(
        !expected.is_zero(),
        "leaving at once with {} shares pays nothing: name more, or use `rota liquid redeem`",
        show_amount(shares)
    );
    let least = least(expected, min_out, "native tokens")?;
    let fee = worth.saturating_sub(expected);
    let what = format!(
        "leave at once with {} shares worth {}: fee {} ({}), {} paid, at least {}{}",
        show_amount(shares),
        show_amount(worth),
        show_amount(fee),
        show::percent(fee, worth),
        show_amount(expected),
        show_amount(least),
        until(by)
    );
    let leave = let_take(network, by, contracts.staked_token, "shares", contracts.router, shares).await?;
    let router = Router::new(contracts.router, by.provider.clone());
    let receiver = receiver.unwrap_or(by.from);
    let call = router.redeemInstantly(shares, receiver, least, deadline(network, by).await?, permit_in(&leave));
    if matches!(leave, Leave::Missing) {
        by.skip(&what, "the approval", &call)?;
        return Ok(None);
    }
    by.submit_for(&what, call, |event: StakedToken::InstantExit| LeftAtOnce { net: event.net, fee: event.fee }).await
}

/// The limit that goes into the call.
fn least(expected: U256, asked: Option<U256>, unit: &str) -> Result<U256> {
    let Some(asked) = asked else {
        return Ok(expected - expected * U256::from(TOLERANCE_BPS) / U256::from(10_000));
    };
    ensure!(
        asked <= expected,
        "--min-out {} is more than there is now: {} {unit}",
        show_amount(asked),
        show_amount(expected)
    );
    Ok(asked)
}

/// How long a price limit holds, seconds.
fn patience(by: &Submitter<'_>) -> u64 {
    if by.sends() { DEADLINE } else { MULTISIG_DEADLINE }
}

async fn deadline(network: &Network, by: &Submitter<'_>) -> Result<U256> {
    Ok(U256::from(network.l1_time().await?.saturating_add(patience(by))))
}

/// For whoever signs later: how long the price limit holds.
fn until(by: &Submitter<'_>) -> String {
    if by.sends() { String::new() } else { format!(", valid for {}", show_duration(patience(by))) }
}

/// For the router a deadline of zero says that there is no permit.
fn permit_in(leave: &Leave) -> IRouter::Permit {
    match leave {
        Leave::Permit(permit) => IRouter::Permit { deadline: permit.deadline, v: permit.v, r: permit.r, s: permit.s },
        Leave::Allowance | Leave::Missing => IRouter::Permit::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_what_was_asked_or_a_little_less_than_expected() {
        let expected = U256::from(10_000);
        assert_eq!(least(expected, None, "shares").unwrap(), U256::from(9_950));
        assert_eq!(least(expected, Some(expected), "shares").unwrap(), expected);
        assert_eq!(least(expected, Some(U256::from(1)), "shares").unwrap(), U256::from(1));
        let error = least(expected, Some(U256::from(10_001)), "shares").unwrap_err().to_string();
        assert!(error.contains("--min-out 0.000000000000010001"), "{error}");
        assert!(error.contains("0.00000000000001 shares"), "{error}");
    }
}
