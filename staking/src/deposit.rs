//! `rota deposit`: bring native tokens from L1 to L2.

use std::time::Duration;

use alloy::{
    primitives::{Address, U256},
    providers::Provider as _,
};
use clap::Args;
use eyre::{Result, ensure, eyre};
use rota_bindings::Portal;

use crate::{
    amount::{parse_amount, show_amount},
    approval::{Leave, let_take},
    connection::{Network, NetworkArgs, WriteArgs, parse_address},
    progress::{spinner, wait_until},
    submit::Submitter,
};

/// Lock native tokens on L1 and receive them on L2, where they pay for gas
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example (devnet):\n  rota deposit --amount 25 --mnemonic-index 5 --wait")]
pub struct DepositArgs {
    /// Whole tokens such as 25 or 0.5, in steps of one gwei (0.000000001)
    #[arg(long, value_name = "TOKENS", value_parser = parse_amount)]
    pub amount: U256,
    /// Account on L2 [default: the sender]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    pub to: Option<Address>,
    /// Wait until the tokens are on L2
    #[arg(long)]
    pub wait: bool,
    /// Who signs, and whether to send
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Runs `rota deposit`.
///
/// # Errors
/// As [`Submitter::submit`].
pub async fn run(command: &DepositArgs, args: &NetworkArgs) -> Result<()> {
    let network = Network::connect(args).await?;
    let by = Submitter::new(&network, &command.write).await?;
    let to = command.to.unwrap_or(by.from);
    let l2 = if command.wait { Some(network.l2().await?) } else { None };
    let before = match &l2 {
        Some(l2) => l2.get_balance(to).await?,
        None => U256::ZERO,
    };
    let Some(index) = deposit(&network, &by, to, command.amount).await? else { return Ok(()) };
    if !network.json {
        println!("deposit {index} is locked on L1; L2 credits it in the first block that sees its L1 block confirmed");
    }
    if let Some(l2) = l2 {
        let bar = spinner(format!("waiting for deposit {index} on L2"), !network.json);
        wait_until("the deposit on L2", Duration::from_secs(1_800), Duration::from_millis(500), async || {
            // Other payments may arrive meanwhile; the balance grows by at least the deposit unless it is spent.
            Ok((l2.get_balance(to).await? >= before.saturating_add(command.amount)).then_some(()))
        })
        .await?;
        bar.finish_and_clear();
        if !network.json {
            println!("{to} received {} on L2", show_amount(command.amount));
        }
    }
    Ok(())
}

/// Deposits and returns the deposit's number (`None` when nothing was sent).
///
/// # Errors
/// When the amount is not whole gwei, or as [`Submitter::submit`].
pub async fn deposit(network: &Network, by: &Submitter<'_>, to: Address, amount: U256) -> Result<Option<u64>> {
    let gwei = U256::from(1_000_000_000_u64);
    ensure!(
        !amount.is_zero() && (amount % gwei).is_zero(),
        "deposit {} is not a positive multiple of 0.000000001: L2 credits whole gwei (EIP-4895)",
        show_amount(amount)
    );
    let contracts = &network.deployment.contracts;
    let portal = Portal::new(contracts.portal, by.provider.clone());
    let what = format!("deposit {} for {to} on L2", show_amount(amount));
    let receipt = match let_take(network, by, contracts.native_token, "native tokens", contracts.portal, amount).await?
    {
        Leave::Permit(p) => by.submit(&what, portal.depositWithPermit(to, amount, p.deadline, p.v, p.r, p.s)).await?,
        Leave::Allowance => by.submit(&what, portal.deposit(to, amount)).await?,
        Leave::Missing => {
            by.skip(&what, "the approval", &portal.deposit(to, amount))?;
            None
        }
    };
    let Some(receipt) = receipt else { return Ok(None) };
    let event =
        receipt.decoded_log::<Portal::Deposited>().ok_or_else(|| eyre!("the transaction left no Deposited event"))?;
    Ok(Some(event.index))
}
