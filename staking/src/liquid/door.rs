//! Who may get in or out at once now, looked up before anything is signed or sent.

use alloy::primitives::{Address, U256};
use eyre::{Result, ensure};
use rota_bindings::{FaultWatch, Guardian, generated::staked_token::IStakedToken::Position};

use super::named;
use crate::{amount::show_amount, connection::Network, output::show_duration};

/// Why nobody gets in or out at once now, and until when; `None` while the door is open.
///
/// # Errors
/// When L1 fails.
pub(super) async fn closed(network: &Network) -> Result<Option<String>> {
    let contracts = &network.deployment.contracts;
    let now = network.l1_time().await?;
    let guardian = Guardian::new(contracts.guardian, network.l1.clone());
    let paused: u64 = named("until when the guardian pauses", guardian.pausedUntil().call().await)?;
    if now < paused {
        return Ok(Some(format!("the guardian paused them until {}", clock(paused, now))));
    }
    let bunker = named("for the staked token's books", network.staked_token().position().call().await)?.bunkerUntil;
    if U256::from(now) < bunker {
        return Ok(Some(format!(
            "a slash took a large part of all assets; they stay closed until {}",
            clock(bunker.to(), now)
        )));
    }
    let watch = FaultWatch::new(contracts.fault_watch, network.l1.clone());
    let held = named("whether much of the stake is accused", watch.heldUntil(U256::from(now)).call().await)?;
    if held.is_zero() {
        return Ok(None);
    }
    let accused = named("how much stake is accused", watch.accusedStake().call().await)?;
    Ok(Some(format!(
        "operators with {} of the stake are accused of a fault; what they are charged with by now is judged by {}",
        show_amount(accused),
        clock(held.saturating_to(), now)
    )))
}

fn clock(time: u64, now: u64) -> String {
    format!("{time} (Unix time), in {}", show_duration(time.saturating_sub(now)))
}

/// Buffer that neither sealed exits nor fees need, wei.
pub(super) fn free(books: &Position) -> U256 {
    books.buffer.saturating_sub(books.owed.saturating_add(books.fees))
}

/// Refuses while the door is closed.
///
/// # Errors
/// When it is, saying why and until when; or L1 fails.
pub(super) async fn ensure_open(network: &Network) -> Result<()> {
    let closed = closed(network).await?;
    ensure!(
        closed.is_none(),
        "deposits and exits at once are closed: {}; the exit queue stays open (`rota liquid redeem`)",
        closed.unwrap_or_default()
    );
    Ok(())
}

/// Refuses a deposit of `amount` wei that the staked token would refuse.
///
/// # Errors
/// When the door is closed, the amount is zero or beyond the cap; or L1 fails.
pub(super) async fn ensure_deposit(network: &Network, amount: U256, receiver: Address) -> Result<()> {
    ensure!(!amount.is_zero(), "--amount 0 buys no shares");
    ensure_open(network).await?;
    let most = named("how much may be deposited", network.staked_token().maxDeposit(receiver).call().await)?;
    ensure!(
        amount <= most,
        "a deposit of {} is too much: the staked token takes {} now, because it keeps itself below a third of all stake; \
         `rota stake delegate` backs an operator of your choice",
        show_amount(amount),
        show_amount(most)
    );
    Ok(())
}

/// Refuses an exit at once with `shares` that the staked token would refuse.
///
/// # Errors
/// When the door is closed, or buffer or window hold less; or L1 fails.
pub(super) async fn ensure_instant(network: &Network, shares: U256, owner: Address) -> Result<()> {
    ensure_open(network).await?;
    let token = network.staked_token();
    let most = named("how much may leave at once", token.maxRedeem(owner).call().await)?;
    if shares <= most {
        return Ok(());
    }
    let books = named("for the staked token's books", token.position().call().await)?;
    eyre::bail!(
        "{} shares cannot leave at once: {} can. The buffer has {} free, and at most a tenth of all assets leaves this way in \
         an epoch, which refills as time goes by; `rota liquid redeem` has no limit",
        show_amount(shares),
        show_amount(most),
        show_amount(free(&books))
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rota_bindings::StakedToken;

    use super::*;
    use crate::fake_l1::{FakeL1, NOW};

    fn token(number: u64) -> U256 {
        alloy::primitives::utils::Unit::ETHER.wei() * U256::from(number)
    }

    fn books(bunker_until: u64) -> Position {
        let zero = U256::ZERO;
        Position {
            buffer: token(9),
            active: token(90),
            thawing: zero,
            owed: token(2),
            locked: zero,
            fees: token(1),
            lossCarry: zero,
            bufferTarget: token(5),
            bunkerUntil: U256::from(bunker_until),
            bunkerSigma: 0,
        }
    }

    async fn open() -> (Arc<FakeL1>, Network) {
        let (fake, network) = FakeL1::start().await;
        fake.tell::<Guardian::pausedUntilCall>(&NOW);
        fake.tell::<StakedToken::positionCall>(&books(NOW));
        fake.tell::<FaultWatch::heldUntilCall>(&U256::ZERO);
        fake.tell::<StakedToken::maxDepositCall>(&token(10));
        fake.tell::<StakedToken::maxRedeemCall>(&token(5));
        (fake, network)
    }

    async fn refusal(network: &Network) -> String {
        let (one, account) = (token(1), Address::ZERO);
        let deposit = ensure_deposit(network, one, account).await.unwrap_err().to_string();
        let instant = ensure_instant(network, one, account).await.unwrap_err().to_string();
        assert_eq!(deposit, instant, "one door for both");
        deposit
    }

    #[tokio::test]
    async fn a_closed_door_says_why_and_until_when() {
        let (fake, network) = open().await;
        assert_eq!(closed(&network).await.unwrap(), None);
        fake.tell::<Guardian::pausedUntilCall>(&(NOW + 90));
        let paused = refusal(&network).await;
        assert!(paused.contains("the guardian paused them until 1090 (Unix time), in 1m 30s"), "{paused}");
        assert!(paused.contains("`rota liquid redeem`"), "{paused}");
        fake.tell::<Guardian::pausedUntilCall>(&0);
        fake.tell::<StakedToken::positionCall>(&books(NOW + 7));
        let bunker = refusal(&network).await;
        assert!(
            bunker.contains("a large part of all assets") && bunker.contains("until 1007 (Unix time), in 7s"),
            "{bunker}"
        );
        fake.tell::<StakedToken::positionCall>(&books(0));
        fake.tell::<FaultWatch::heldUntilCall>(&U256::from(NOW + 60));
        fake.tell::<FaultWatch::accusedStakeCall>(&token(40));
        let accused = refusal(&network).await;
        assert!(accused.contains("operators with 40 of the stake") && accused.contains("by 1060"), "{accused}");
    }

    #[tokio::test]
    async fn an_open_door_has_its_measure() {
        let (_fake, network) = open().await;
        let account = Address::ZERO;
        ensure_deposit(&network, token(10), account).await.unwrap();
        let error = ensure_deposit(&network, token(11), account).await.unwrap_err().to_string();
        assert!(error.contains("a deposit of 11") && error.contains("takes 10 now"), "{error}");
        assert!(ensure_deposit(&network, U256::ZERO, account).await.is_err());
        ensure_instant(&network, token(5), account).await.unwrap();
        let error = ensure_instant(&network, token(6), account).await.unwrap_err().to_string();
        assert!(error.contains("6 shares cannot") && error.contains("5 can. The buffer has 6 free"), "{error}");
    }

    #[tokio::test]
    async fn a_view_that_fails_is_named() {
        let (fake, network) = open().await;
        fake.calls.lock().unwrap().clear();
        let error = closed(&network).await.unwrap_err().to_string();
        assert!(error.contains("asking L1 until when the guardian pauses"), "{error}");
    }
}
