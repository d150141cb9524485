//! `rota liquid`: stake with all operators at once and hold shares that can be transferred, used and sold.

mod door;
mod exit;
mod help;
mod receipt;
mod router;
mod show;

use alloy::{
    contract::Error as ContractError,
    primitives::{Address, U256},
};
use clap::{Args, Subcommand};
use eyre::{Report, Result, bail, ensure};

use exit::{Awaited, announce, oldest};
pub use exit::{Claimed, Requested, cancel, claim, request};
pub use receipt::{cancel_receipt, move_in, redeem_receipt, request_receipt};
pub use router::{Deposited, LeftAtOnce, deposit, instant};

use crate::{
    amount::{parse_amount, show_amount},
    connection::{Network, NetworkArgs, WriteArgs, parse_address},
    output::show_duration,
    submit::{Submitter, explain},
};

/// Stake with all operators at once: shares that grow in worth and can be transferred.
#[derive(Subcommand, Clone, Debug)]
pub enum LiquidCommand {
    /// Deposit native tokens and receive shares
    #[command(after_help = "Example (devnet):\n  rota liquid deposit --amount 500 --mnemonic-index 2\n\n\
        One transaction: the approval rides along as a signed permit (EIP-2612). Without a key here (--calldata, --from) \
        it is an approval and a deposit. Nothing is sent while deposits are closed, or beyond the cap. The keeper spreads \
        the stake over the operators. Shares stay the same in number; rewards raise what each is worth (`rota liquid apr`).")]
    Deposit {
        /// Whole tokens such as 500 or 0.5, or the smallest unit such as 5wei
        #[arg(long, value_name = "TOKENS", value_parser = parse_amount)]
        amount: U256,
        /// Who gets the shares [default: the sender]
        #[arg(long, value_name = "ADDRESS", value_parser = parse_receiver)]
        receiver: Option<Address>,
        /// Fewest shares to accept [default: 0.5 % below what they are now]
        #[arg(long, value_name = "SHARES", value_parser = parse_amount)]
        min_out: Option<U256>,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Leave at full value through the exit queue; takes the unbonding time unless deposits pay for it earlier
    #[command(
        visible_alias = "request",
        after_help = "Examples:\n  rota liquid redeem --shares 200 --mnemonic-index 2\n  \
        rota liquid redeem --all --keystore me.json --wait\n  \
        rota liquid redeem --shares 50 --receipt --keystore me.json\n\n\
        The request joins the open batch and can be taken back (`rota liquid cancel`) until that is sealed, in the second \
        half of an epoch. Everybody in a batch gets the same price, that of the seal. What is owed can fall only by a slash \
        for a fault of that time. With --wait a progress bar says what is awaited and until when, and it is claimed then; \
        Ctrl-C loses nothing: `rota liquid claim` collects it later. With --receipt an ERC-721 token stands for the \
        request: whoever owns it claims, so an exit that is on its way can be sold or given away."
    )]
    Redeem {
        /// How much
        #[command(flatten)]
        shares: SharesArgs,
        /// For an ERC-721 receipt that can be handed on
        #[arg(long)]
        receipt: bool,
        /// Who gets the receipt [default: the sender]
        #[arg(long, value_name = "ADDRESS", value_parser = parse_receiver, requires = "receipt", conflicts_with = "wait")]
        receiver: Option<Address>,
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
        #[arg(long, value_name = "ADDRESS", value_parser = parse_receiver)]
        receiver: Option<Address>,
        /// Fewest native tokens to accept [default: 0.5 % below what is paid now]
        #[arg(long, value_name = "TOKENS", value_parser = parse_amount)]
        min_out: Option<U256>,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Take shares back from the exit queue, as long as their batch is open
    #[command(
        after_help = "Examples:\n  rota liquid cancel --mnemonic-index 2\n  rota liquid cancel --receipt 3 --keystore me.json"
    )]
    Cancel {
        /// Shares to take back [default: all that the open batch holds of yours]
        #[arg(long, value_name = "SHARES", value_parser = parse_amount)]
        shares: Option<U256>,
        /// Give this receipt back for all its shares
        #[arg(long, value_name = "NUMBER", conflicts_with = "shares")]
        receipt: Option<u64>,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Put a request that can still be taken back into a receipt: an ERC-721 token that can be handed on
    #[command(after_help = "Examples:\n  rota liquid receipt --mnemonic-index 2\n  \
        rota liquid receipt --shares 50 --receiver 0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC --keystore me.json\n\n\
        For who asked to leave without --receipt and wants to sell or give away the exit. It stays in its batch, at the same \
        price. Three transactions: the contract of the receipts is let at the account's requests, moves this one, and is \
        shut out again; one, where the account let it before. Shares that are in no \
        request yet: `rota liquid redeem --receipt`.")]
    Receipt {
        /// Shares to put in [default: all that the open batch holds of yours]
        #[arg(long, value_name = "SHARES", value_parser = parse_amount)]
        shares: Option<U256>,
        /// Who gets the receipt [default: the sender]
        #[arg(long, value_name = "ADDRESS", value_parser = parse_receiver)]
        receiver: Option<Address>,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Collect what the exit queue has ready
    #[command(
        after_help = "Examples:\n  rota liquid claim --mnemonic-index 2\n  rota liquid claim --batch 12 --keystore me.json --wait\n  \
        rota liquid claim --receipt 3 --receiver 0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC --keystore me.json"
    )]
    Claim {
        /// Only this batch [default: all that are ready]
        #[arg(long, value_name = "NUMBER")]
        batch: Option<u64>,
        /// What this receipt stands for; it is used up
        #[arg(long, value_name = "NUMBER", conflicts_with = "batch")]
        receipt: Option<u64>,
        /// Who is paid [default: the sender]
        #[arg(long, value_name = "ADDRESS", value_parser = parse_receiver)]
        receiver: Option<Address>,
        /// Wait until there is something to claim
        #[arg(long)]
        wait: bool,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Show an account's shares, what they are worth, its requests to leave and its receipts
    #[command(after_help = help::POSITION)]
    Position {
        /// Holder
        #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
        account: Address,
    },
    /// Show the exit queue, the buffer and what leaving at once costs
    #[command(after_help = help::QUEUE)]
    Queue,
    /// Show the worth of a share and the return that was realised
    #[command(after_help = help::APR)]
    Apr,
}

/// Parses the address of somebody who gets something.
fn parse_receiver(text: &str) -> Result<Address> {
    let receiver = parse_address(text)?;
    ensure!(!receiver.is_zero(), "'{text}' is nobody: name an account, or leave it out for the sender");
    Ok(receiver)
}

/// Refuses the network's own contracts: what they receive nobody gets back.
fn check_receiver(network: &Network, receiver: Option<Address>) -> Result<()> {
    let contracts = &network.deployment.contracts;
    for (name, contract) in [
        ("the native token", contracts.native_token),
        ("the staked token", contracts.staked_token),
        ("the exit queue", contracts.exit_queue),
        ("the contract of the receipts", contracts.exit_receipt),
        ("the router", contracts.router),
        ("the stake vault", contracts.stake_vault),
        ("the reward vault", contracts.reward_vault),
        ("the cover fund", contracts.cover_fund),
        ("the slash escrow", contracts.slash_escrow),
        ("the allocator", contracts.allocator),
    ] {
        if receiver == Some(contract) {
            bail!("--receiver {contract} is {name}, which gives nothing back: name an account");
        }
    }
    Ok(())
}

/// How many shares.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct SharesArgs {
    /// Shares such as 200 or 0.5, or the smallest unit such as 5wei
    #[arg(long, value_name = "SHARES", value_parser = parse_amount)]
    shares: Option<U256>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl SharesArgs {
    /// The number meant, which `account` must hold.
    async fn of(&self, network: &Network, account: Address) -> Result<U256> {
        let held = named("how many shares the account has", network.staked_token().balanceOf(account).call().await)?;
        let asked = self.shares.filter(|_| !self.all).unwrap_or(held);
        ensure!(!held.is_zero(), "{account} holds no shares: `rota liquid deposit` buys some");
        ensure!(!asked.is_zero(), "--shares 0: name more than none");
        ensure!(asked <= held, "{account} holds {} shares, {} were asked for", show_amount(held), show_amount(asked));
        Ok(asked)
    }
}

/// An answer of a view; a refusal in the contract's own words.
fn named<T>(question: &str, answer: Result<T, ContractError>) -> Result<T> {
    answer.map_err(|error| explain(&format!("asking L1 {question}"), error))
}

/// Runs `rota liquid …`.
///
/// # Errors
/// As the command's parts.
pub async fn run(command: &LiquidCommand, args: &NetworkArgs) -> Result<()> {
    let network = &Network::connect(args).await?;
    let Err(error) = act(command, network).await else { return Ok(()) };
    let now = network.l1_time().await.unwrap_or(u64::MAX);
    Err(explained(error, now, network.deployment.genesis_time))
}

/// Before its first epoch the token refuses much, and has no answers to some questions.
fn explained(error: Report, now: u64, genesis: u64) -> Report {
    if now >= genesis {
        return error;
    }
    error.wrap_err(format!("the first epoch starts in {}; wait for it", show_duration(genesis - now)))
}

async fn act(command: &LiquidCommand, network: &Network) -> Result<()> {
    match command {
        LiquidCommand::Deposit { amount, receiver, min_out, write } => {
            check_receiver(network, *receiver)?;
            let by = Submitter::new(network, write).await?;
            let bought = deposit(network, &by, *amount, *receiver, *min_out).await?;
            if let Some(Deposited { shares }) = bought.filter(|_| !network.json) {
                println!(
                    "received {} shares; `rota liquid position --account {}` shows what they are worth",
                    show_amount(shares),
                    receiver.unwrap_or(by.from)
                );
            }
        }
        LiquidCommand::Redeem { shares, receipt, receiver, wait, write } => {
            check_receiver(network, *receiver)?;
            let by = Submitter::new(network, write).await?;
            let shares = shares.of(network, by.from).await?;
            let requested = if *receipt {
                request_receipt(network, &by, shares, *receiver).await?
            } else {
                request(network, &by, shares).await?
            };
            if let Some(requested) = requested {
                announce(network, by.from, requested).await;
                if *wait {
                    exit::wait(network, Awaited::of(by.from, requested)).await?;
                    collect(network, &by, Some(requested.batch), requested.receipt, None).await?;
                }
            }
        }
        LiquidCommand::Instant { shares, receiver, min_out, write } => {
            check_receiver(network, *receiver)?;
            let by = Submitter::new(network, write).await?;
            let shares = shares.of(network, by.from).await?;
            let paid = instant(network, &by, shares, *receiver, *min_out).await?;
            if let Some(LeftAtOnce { net, fee }) = paid.filter(|_| !network.json) {
                println!("paid {}, fee {}", show_amount(net), show_amount(fee));
            }
        }
        LiquidCommand::Cancel { shares, receipt, write } => {
            let by = Submitter::new(network, write).await?;
            match receipt {
                Some(receipt) => cancel_receipt(network, &by, U256::from(*receipt)).await?,
                None => cancel(network, &by, *shares).await?,
            }
        }
        LiquidCommand::Receipt { shares, receiver, write } => {
            check_receiver(network, *receiver)?;
            let by = Submitter::new(network, write).await?;
            if let Some(issued) = move_in(network, &by, *shares, *receiver).await? {
                announce(network, by.from, issued).await;
            }
        }
        LiquidCommand::Claim { batch, receipt, receiver, wait, write } => {
            check_receiver(network, *receiver)?;
            let by = Submitter::new(network, write).await?;
            let (batch, receipt) = (batch.map(U256::from), receipt.map(U256::from));
            if *wait {
                let awaited = match (receipt, batch) {
                    (Some(receipt), _) => {
                        receipt::owned(network, by.from, receipt).await?;
                        Awaited::Receipt(receipt)
                    }
                    (None, Some(batch)) => Awaited::Batch(by.from, batch),
                    (None, None) => Awaited::Batch(by.from, oldest(network, by.from).await?),
                };
                // What does not exist is not waited for.
                awaited.look(network).await?;
                exit::wait(network, awaited).await?;
            }
            collect(network, &by, batch, receipt, *receiver).await?;
        }
        LiquidCommand::Position { account } => show::position(network, *account).await?,
        LiquidCommand::Queue => show::queue(network).await?,
        LiquidCommand::Apr => show::apr(network).await?,
    }
    Ok(())
}

/// Claims by receipt, by batch, or all that is ready, and says what was paid.
async fn collect(
    network: &Network,
    by: &Submitter<'_>,
    batch: Option<U256>,
    receipt: Option<U256>,
    receiver: Option<Address>,
) -> Result<()> {
    let paid = match receipt {
        Some(receipt) => redeem_receipt(network, by, receipt, receiver).await?,
        None => Some(claim(network, by, batch, receiver).await?),
    };
    if let Some(Claimed { assets }) = paid.filter(|_| !network.json && by.sends()) {
        println!("paid {}", show_amount(assets));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_before_the_first_epoch_says_when_that_starts() {
        let failed = |now| format!("{:#}", explained(eyre::eyre!("asking L1 for the fee"), now, 1_000));
        assert_eq!(failed(940), "the first epoch starts in 1m 0s; wait for it: asking L1 for the fee");
        assert_eq!(failed(1_000), "asking L1 for the fee");
    }
}
