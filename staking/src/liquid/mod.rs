//! `rota liquid`: stake with all operators at once and hold shares that can be transferred, used and sold.

mod exit;
mod show;

use alloy::primitives::{Address, U256};
use clap::{Args, Subcommand};
use eyre::{Result, ensure, eyre};
use rota_bindings::{NativeToken, Router, StakedToken, generated::router::IRouter};

pub use exit::{cancel, claim, request};

use crate::{
    amount::{parse_amount, show_amount},
    connection::{Network, NetworkArgs, WriteArgs, parse_address},
    stake::{SignedPermit, permit_of},
    submit::Submitter,
};

/// Seconds that a price limit holds: enough for a slow inclusion.
const DEADLINE: u64 = 20 * 60;
/// The same for a multisig whose members sign one after the other.
const MULTISIG_DEADLINE: u64 = 7 * 24 * 3_600;
/// How much less than expected is accepted without --min-out, basis points.
const TOLERANCE_BPS: u64 = 50;

/// Stake with all operators at once: shares that grow in worth and can be transferred.
#[derive(Subcommand, Clone, Debug)]
pub enum LiquidCommand {
    /// Deposit native tokens and receive shares
    #[command(after_help = "Example (devnet):\n  rota liquid deposit --amount 500 --mnemonic-index 2\n\n\
        One transaction: the approval rides along as a signed permit (EIP-2612). The keeper spreads the stake over the \
        operators. Shares stay the same in number; rewards raise what each is worth (`rota liquid apr`).")]
    Deposit {
        /// Whole tokens such as 500 or 0.5, or the smallest unit such as 5wei
        #[arg(long, value_name = "TOKENS", value_parser = parse_amount)]
        amount: U256,
        /// Who gets the shares [default: the sender]
        #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
        receiver: Option<Address>,
        /// Fewest shares to accept [default: 0.5 % below what they are now]
        #[arg(long, value_name = "SHARES", value_parser = parse_amount)]
        min_out: Option<U256>,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Leave at full value through the exit queue; takes the unbonding time unless deposits pay for it earlier
    #[command(after_help = "Examples:\n  rota liquid redeem --shares 200 --mnemonic-index 2\n  \
        rota liquid redeem --all --keystore me.json --wait\n\n\
        The request joins the open batch and can be taken back (`rota liquid cancel`) until that is sealed, in the second \
        half of an epoch. Everybody in a batch gets the same price, that of the seal. What is owed can fall only by a slash \
        for a fault of that time. With --wait a progress bar says what is awaited and until when, and it is claimed then; \
        Ctrl-C loses nothing: `rota liquid claim` collects it later.")]
    Redeem {
        /// How much
        #[command(flatten)]
        shares: SharesArgs,
        /// Wait until it can be claimed, and claim it
        #[arg(long)]
        wait: bool,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Leave at once from the buffer, for a fee
    #[command(after_help = "Examples:\n  rota liquid instant --shares 20 --mnemonic-index 2 --dry-run\n  \
        rota liquid instant --shares 20 --min-out 19.9 --keystore me.json\n\n\
        The fee grows as the buffer empties (`rota liquid queue` shows it) and goes to those who stay. Splitting an exit saves \
        nothing. `rota liquid redeem` pays full value, later.")]
    Instant {
        /// How much
        #[command(flatten)]
        shares: SharesArgs,
        /// Who is paid [default: the sender]
        #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
        receiver: Option<Address>,
        /// Fewest native tokens to accept [default: 0.5 % below what is paid now]
        #[arg(long, value_name = "TOKENS", value_parser = parse_amount)]
        min_out: Option<U256>,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Take shares back from the exit queue, as long as their batch is open
    #[command(after_help = "Example:\n  rota liquid cancel --mnemonic-index 2")]
    Cancel {
        /// Shares to take back [default: all that the open batch holds of yours]
        #[arg(long, value_name = "SHARES", value_parser = parse_amount)]
        shares: Option<U256>,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Collect what the exit queue has ready
    #[command(
        after_help = "Examples:\n  rota liquid claim --mnemonic-index 2\n  rota liquid claim --batch 12 --keystore me.json --wait"
    )]
    Claim {
        /// Only this batch [default: all that are ready]
        #[arg(long, value_name = "NUMBER")]
        batch: Option<u64>,
        /// Wait until there is something to claim
        #[arg(long)]
        wait: bool,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Show an account's shares, what they are worth, and its requests to leave
    #[command(after_help = "Example:\n  rota liquid position --account 0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")]
    Position {
        /// Holder
        #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
        account: Address,
    },
    /// Show the exit queue, the buffer and what leaving at once costs
    #[command(after_help = "Example:\n  rota liquid queue")]
    Queue,
    /// Show the worth of a share and the return that was realised
    #[command(
        after_help = "Example:\n  rota liquid apr\n\nPast returns, simple interest, after fees and losses; no promise."
    )]
    Apr,
}

/// How many shares.
#[derive(Args, Clone, Debug)]
pub struct SharesArgs {
    /// Shares such as 200 or 0.5, or the smallest unit such as 5wei
    #[arg(long, value_name = "SHARES", value_parser = parse_amount, required_unless_present = "all")]
    shares: Option<U256>,
    /// All of them
    #[arg(long, conflicts_with = "shares")]
    all: bool,
}

impl SharesArgs {
    /// The number meant, which `account` must hold.
    async fn of(&self, network: &Network, account: Address) -> Result<U256> {
        let held = network.staked_token().balanceOf(account).call().await?;
        let asked = self.shares.filter(|_| !self.all).unwrap_or(held);
        ensure!(!held.is_zero(), "{account} holds no shares: `rota liquid deposit` buys some");
        ensure!(!asked.is_zero(), "--shares 0: name more than none");
        ensure!(asked <= held, "{account} holds {} shares, {} were asked for", show_amount(held), show_amount(asked));
        Ok(asked)
    }
}

/// Runs `rota liquid …`.
///
/// # Errors
/// As the command's parts.
pub async fn run(command: &LiquidCommand, args: &NetworkArgs) -> Result<()> {
    let network = &Network::connect(args).await?;
    match command {
        LiquidCommand::Deposit { amount, receiver, min_out, write } => {
            let by = Submitter::new(network, write).await?;
            let shares = deposit(network, &by, *amount, *receiver, *min_out).await?;
            if let Some(shares) = shares.filter(|_| !network.json) {
                println!(
                    "received {} shares; `rota liquid position --account {}` shows what they are worth",
                    show_amount(shares),
                    receiver.unwrap_or(by.from)
                );
            }
        }
        LiquidCommand::Redeem { shares, wait, write } => {
            let by = Submitter::new(network, write).await?;
            let shares = shares.of(network, by.from).await?;
            if let Some(batch) = request(network, &by, shares).await? {
                exit::announce(network, by.from, batch).await?;
                if *wait {
                    exit::wait(network, by.from, batch).await?;
                    claim(network, &by, Some(batch)).await?;
                }
            }
        }
        LiquidCommand::Instant { shares, receiver, min_out, write } => {
            let by = Submitter::new(network, write).await?;
            let shares = shares.of(network, by.from).await?;
            let paid = instant(network, &by, shares, *receiver, *min_out).await?;
            if let Some((net, fee)) = paid.filter(|_| !network.json) {
                println!("paid {}, fee {}", show_amount(net), show_amount(fee));
            }
        }
        LiquidCommand::Cancel { shares, write } => {
            let by = Submitter::new(network, write).await?;
            cancel(network, &by, *shares).await?;
        }
        LiquidCommand::Claim { batch, wait, write } => {
            let by = Submitter::new(network, write).await?;
            let batch = batch.map(U256::from);
            if *wait {
                let awaited = match batch {
                    Some(batch) => batch,
                    None => exit::oldest(network, by.from).await?,
                };
                exit::wait(network, by.from, awaited).await?;
            }
            claim(network, &by, batch).await?;
        }
        LiquidCommand::Position { account } => show::position(network, *account).await?,
        LiquidCommand::Queue => show::queue(network).await?,
        LiquidCommand::Apr => show::apr(network).await?,
    }
    Ok(())
}

/// Deposits `amount` wei through the router; returns the shares when it was sent.
///
/// # Errors
/// When it is more than the staked token takes, or buys fewer shares than `min_out`; otherwise as [`Submitter::submit`].
pub async fn deposit(
    network: &Network,
    by: &Submitter<'_>,
    amount: U256,
    receiver: Option<Address>,
    min_out: Option<U256>,
) -> Result<Option<U256>> {
    let contracts = &network.deployment.contracts;
    let (token, receiver) = (network.staked_token(), receiver.unwrap_or(by.from));
    let most = token.maxDeposit(receiver).call().await?;
    // Nothing at all: paused, or in the bunker; the contract says which and until when.
    ensure!(
        most.is_zero() || amount <= most,
        "a deposit of {} is too much: the staked token takes {} now, because it keeps itself below a third of all stake",
        show_amount(amount),
        show_amount(most)
    );
    let expected = token.previewDeposit(amount).call().await?;
    let least = least(expected, min_out, "shares")?;
    let permit = permit_of(network, by, contracts.native_token, "native tokens", contracts.router, amount).await?;
    if permit.is_none() {
        let native = NativeToken::new(contracts.native_token, by.provider.clone());
        by.submit(&format!("approve {}", show_amount(amount)), native.approve(contracts.router, amount)).await?;
    }
    let what = format!("deposit {} for about {} shares", show_amount(amount), show_amount(expected));
    let router = Router::new(contracts.router, by.provider.clone());
    let call = router.deposit(amount, receiver, least, deadline(network, by).await?, Address::ZERO, permit_in(permit));
    let Some(receipt) = by.submit(&what, call).await? else { return Ok(None) };
    let event =
        receipt.decoded_log::<StakedToken::Deposit>().ok_or_else(|| eyre!("the transaction left no Deposit event"))?;
    Ok(Some(event.shares))
}

/// Leaves at once with `shares`; returns what was paid and the fee, wei, when it was sent.
///
/// # Errors
/// When that many shares cannot leave at once now, or less than `min_out` is paid; otherwise as [`Submitter::submit`].
pub async fn instant(
    network: &Network,
    by: &Submitter<'_>,
    shares: U256,
    receiver: Option<Address>,
    min_out: Option<U256>,
) -> Result<Option<(U256, U256)>> {
    let contracts = &network.deployment.contracts;
    let token = network.staked_token();
    let most = token.maxRedeem(by.from).call().await?;
    // Nothing at all has many reasons, which the contract tells.
    ensure!(
        most.is_zero() || shares <= most,
        "{} shares cannot leave at once: the buffer and its window have {} shares' worth now; `rota liquid redeem` has no \
         limit",
        show_amount(shares),
        show_amount(most)
    );
    let worth = token.convertToAssets(shares).call().await?;
    let expected = token.previewRedeem(shares).call().await?;
    let least = least(expected, min_out, "native tokens")?;
    let permit = permit_of(network, by, contracts.staked_token, "shares", contracts.router, shares).await?;
    if permit.is_none() {
        let token = StakedToken::new(contracts.staked_token, by.provider.clone());
        by.submit(&format!("approve {} shares", show_amount(shares)), token.approve(contracts.router, shares)).await?;
    }
    let fee = worth.saturating_sub(expected);
    let what = format!(
        "leave at once with {} shares worth {}: fee {} ({}), {} paid, at least {}",
        show_amount(shares),
        show_amount(worth),
        show_amount(fee),
        show::percent(fee, worth),
        show_amount(expected),
        show_amount(least)
    );
    let router = Router::new(contracts.router, by.provider.clone());
    let call = router.redeemInstantly(
        shares,
        receiver.unwrap_or(by.from),
        least,
        deadline(network, by).await?,
        permit_in(permit),
    );
    let Some(receipt) = by.submit(&what, call).await? else { return Ok(None) };
    let event = receipt
        .decoded_log::<StakedToken::InstantExit>()
        .ok_or_else(|| eyre!("the transaction left no InstantExit event"))?;
    Ok(Some((event.net, event.fee)))
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

async fn deadline(network: &Network, by: &Submitter<'_>) -> Result<U256> {
    let patience = if by.sends() { DEADLINE } else { MULTISIG_DEADLINE };
    Ok(U256::from(network.l1_time().await?.saturating_add(patience)))
}

/// For the router a deadline of zero says that there is none.
fn permit_in(permit: Option<SignedPermit>) -> IRouter::Permit {
    permit.map_or_else(IRouter::Permit::default, |permit| IRouter::Permit {
        deadline: permit.deadline,
        v: permit.v,
        r: permit.r,
        s: permit.s,
    })
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
