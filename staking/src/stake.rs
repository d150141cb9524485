//! `rota stake`: delegate to an operator, leave, and collect rewards and released principal.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use clap::Subcommand;
use eyre::{Result, bail, ensure, eyre};
use rota_bindings::{RewardVault, StakeVault};
use serde::Serialize;

use crate::{
    amount::{parse_amount, show_amount},
    approval::{Leave, let_take},
    connection::{Network, NetworkArgs, WriteArgs, parse_address},
    output::{print_json, print_pairs, print_table, show_duration},
    progress::{countdown, wait_until},
    submit::Submitter,
};

/// Segments of one reward claim: enough for years of ordinary use, bounded for the block gas limit.
const MAX_SEGMENTS: u64 = 50;

/// Delegate native tokens to an operator and earn its rewards.
#[derive(Subcommand, Clone, Debug)]
pub enum StakeCommand {
    /// Delegate tokens; they count from the second epoch after this one
    #[command(after_help = "Example (devnet):\n  rota stake delegate --id 1 --amount 500 --mnemonic-index 5\n\n\
        One transaction: the approval rides along as a signed permit (EIP-2612).")]
    Delegate {
        /// Operator to back, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Whole tokens such as 500 or 0.5, or the smallest unit such as 5wei
        #[arg(long, value_name = "TOKENS", value_parser = parse_amount)]
        amount: U256,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Take tokens back; they are released after the unbonding time
    #[command(after_help = "Example:\n  rota stake undelegate --id 1 --amount 200 --keystore me.json\n  \
        rota stake undelegate --id 1 --all --keystore me.json")]
    Undelegate {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Whole tokens such as 500 or 0.5, or the smallest unit such as 5wei
        #[arg(long, value_name = "TOKENS", value_parser = parse_amount, required_unless_present = "all")]
        amount: Option<U256>,
        /// Everything
        #[arg(long, conflicts_with = "amount")]
        all: bool,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Collect rewards, and principal whose unbonding time is over
    #[command(after_help = "Example (devnet):\n  rota stake claim --id 1 --mnemonic-index 5 --wait\n\n\
        With --wait it shows what is still to come and until when, and claims then.")]
    Claim {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Wait until there is something to claim
        #[arg(long)]
        wait: bool,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Show a delegator's stake, rewards and what is being released
    #[command(
        after_help = "Example:\n  rota stake position --id 1 --account 0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    )]
    Position {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Delegator
        #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
        account: Address,
    },
}

/// Runs `rota stake …`.
///
/// # Errors
/// As the command's parts.
pub async fn run(command: &StakeCommand, args: &NetworkArgs) -> Result<()> {
    let network = Network::connect(args).await?;
    let (StakeCommand::Delegate { id, .. }
    | StakeCommand::Undelegate { id, .. }
    | StakeCommand::Claim { id, .. }
    | StakeCommand::Position { id, .. }) = command;
    network.check_operator(*id).await?;
    match command {
        StakeCommand::Delegate { id, amount, write } => {
            let by = Submitter::new(&network, write).await?;
            delegate(&network, &by, *id, *amount).await?;
            if by.sends() && !network.json {
                let clock = network.clock();
                let now = network.l1_time().await?;
                let counts = clock.epoch_at(now).saturating_add(2);
                println!(
                    "it counts from epoch {counts}, in {}",
                    show_duration(clock.start_of(counts).saturating_sub(now))
                );
            }
        }
        StakeCommand::Undelegate { id, amount, all, write } => {
            let by = Submitter::new(&network, write).await?;
            let position = network.vault().positionOf(*id, by.from).call().await?;
            ensure!(!position.held.is_zero(), "{} has no stake with operator {id}", by.from);
            let units = match amount {
                Some(_) if *all => position.held,
                None => position.held,
                Some(amount) => {
                    ensure!(!amount.is_zero(), "--amount 0 takes nothing back: name more, or --all");
                    ensure!(
                        *amount <= position.value,
                        "{} asked for, but the stake with operator {id} is worth {}",
                        show_amount(*amount),
                        show_amount(position.value)
                    );
                    // Rounded up: at least the amount asked for, never more than is held.
                    (*amount * position.held).div_ceil(position.value).min(position.held)
                }
            };
            undelegate_units(&network, &by, *id, units).await?;
        }
        StakeCommand::Claim { id, wait, write } => {
            let by = Submitter::new(&network, write).await?;
            if *wait {
                wait_for_rewards(&network, *id, by.from).await?;
            }
            claim(&network, &by, *id).await?;
        }
        StakeCommand::Position { id, account } => {
            let position = position(&network, *id, *account).await?;
            if network.json {
                return print_json(&position);
            }
            print_pairs(&[
                ("delegator", account.to_string()),
                ("operator", id.to_string()),
                ("stake", show_amount(position.stake)),
                ("rewards to claim", show_amount(position.rewards)),
            ]);
            let rows = position.releasing.iter().map(|r| vec![show_amount(r.amount), r.when.clone()]).collect();
            print_table(&["being released", "claimable"], rows, "nothing is being released");
        }
    }
    Ok(())
}

/// Delegates `amount`, with a permit when the key is here, else after an approval.
///
/// # Errors
/// As [`Submitter::submit`], or when the account holds too little.
pub async fn delegate(network: &Network, by: &Submitter<'_>, id: u32, amount: U256) -> Result<()> {
    let contracts = &network.deployment.contracts;
    let vault = StakeVault::new(contracts.stake_vault, by.provider.clone());
    ensure!(!amount.is_zero(), "--amount 0 delegates nothing: name more");
    let what = format!("delegate {} to operator {id}", show_amount(amount));
    match let_take(network, by, contracts.native_token, "native tokens", contracts.stake_vault, amount).await? {
        Leave::Permit(permit) => {
            by.submit(&what, vault.delegateWithPermit(id, amount, permit.deadline, permit.v, permit.r, permit.s))
                .await?;
        }
        Leave::Allowance => {
            by.submit(&what, vault.delegate(id, amount)).await?;
        }
        Leave::Missing => by.skip(&what, "the approval", &vault.delegate(id, amount))?,
    }
    Ok(())
}

/// Undelegates units and says when the tokens are released.
///
/// # Errors
/// As [`Submitter::submit`].
pub async fn undelegate_units(network: &Network, by: &Submitter<'_>, id: u32, units: U256) -> Result<()> {
    let vault = StakeVault::new(network.deployment.contracts.stake_vault, by.provider.clone());
    let receipt = by.submit(&format!("undelegate from operator {id}"), vault.undelegate(id, units)).await?;
    let Some(receipt) = receipt else { return Ok(()) };
    let event = receipt
        .decoded_log::<StakeVault::Undelegated>()
        .ok_or_else(|| eyre!("the transaction left no Undelegated event"))?;
    let opens: u64 = network.vault().claimableFrom(event.cohortEpoch).call().await?.saturating_to();
    if !network.json {
        println!(
            "{} are released in {} (collect them with `rota stake claim --id {id}`)",
            show_amount(event.amount),
            show_duration(opens.saturating_sub(network.l1_time().await?))
        );
    }
    Ok(())
}

/// Principal on its way out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Releasing {
    /// Epoch it was undelegated in.
    pub cohort_epoch: u32,
    /// Tokens at the present value.
    pub amount: U256,
    /// Unix seconds from which it can be claimed.
    pub opens_at: u64,
    /// The same for people.
    pub when: String,
}

/// What a delegator has with one operator.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// Value of the stake.
    pub stake: U256,
    /// Units of the pool.
    pub units: U256,
    /// Rewards that can be claimed now.
    pub rewards: U256,
    /// Principal on its way out.
    pub releasing: Vec<Releasing>,
}

/// Reads a position; releases are found among the cohorts of the unbonding window and of earlier exits' events.
///
/// # Errors
/// When L1 fails.
pub async fn position(network: &Network, id: u32, account: Address) -> Result<Position> {
    let vault = network.vault();
    let held = vault.positionOf(id, account).call().await?;
    let rewards = network.rewards().claimable(id, account).call().await?;
    let now = network.l1_time().await?;
    let undelegated = vault.Undelegated_filter().topic1(U256::from(id)).topic2(account);
    let logs = network.search("what was undelegated").await?.all(&undelegated).await?;
    let mut cohorts: Vec<u32> = logs.into_iter().map(|(event, _)| event.cohortEpoch).collect();
    cohorts.sort_unstable();
    cohorts.dedup();
    let mut releasing = Vec::new();
    for cohort_epoch in cohorts {
        let shares = vault.thawSharesOf(id, cohort_epoch, account).call().await?;
        if shares.is_zero() {
            continue;
        }
        let cohort = vault.thawOf(id, cohort_epoch).call().await?;
        let opens_at: u64 = vault.claimableFrom(cohort_epoch).call().await?.saturating_to();
        let amount = if cohort.shares.is_zero() { U256::ZERO } else { cohort.tokens * shares / cohort.shares };
        let when = if opens_at <= now { "now".to_owned() } else { format!("in {}", show_duration(opens_at - now)) };
        releasing.push(Releasing { cohort_epoch, amount, opens_at, when });
    }
    Ok(Position { stake: held.value, units: held.held, rewards, releasing })
}

/// Claims everything that can be claimed now.
///
/// # Errors
/// When there is nothing, saying what comes when; otherwise as [`Submitter::submit`].
pub async fn claim(network: &Network, by: &Submitter<'_>, id: u32) -> Result<U256> {
    let position = position(network, id, by.from).await?;
    let now = network.l1_time().await?;
    let contracts = &network.deployment.contracts;
    let mut paid = U256::ZERO;
    if !position.rewards.is_zero() {
        let rewards = RewardVault::new(contracts.reward_vault, by.provider.clone());
        let receipt = by
            .submit(
                &format!("claim {} rewards of operator {id}", show_amount(position.rewards)),
                rewards.claim(id, by.from, U256::from(MAX_SEGMENTS)),
            )
            .await?;
        // What was really paid: a long history is claimed in several transactions.
        let event = receipt.and_then(|receipt| receipt.decoded_log::<RewardVault::RewardsClaimed>());
        paid += event.map_or(position.rewards, |event| event.amount);
    }
    let vault = StakeVault::new(contracts.stake_vault, by.provider.clone());
    for release in position.releasing.iter().filter(|release| release.opens_at <= now) {
        by.submit(
            &format!("claim {} released by operator {id}", show_amount(release.amount)),
            vault.claim(id, release.cohort_epoch),
        )
        .await?;
        paid += release.amount;
    }
    if paid.is_zero() {
        match position.releasing.first() {
            Some(next) => bail!("nothing to claim yet: {} is released {}", show_amount(next.amount), next.when),
            None => bail!(
                "nothing to claim: rewards of an epoch arrive when the batch that tallies it is final on L1 \
                 (`rota epoch` shows where that stands); wait for them with --wait"
            ),
        }
    }
    if !network.json && by.sends() {
        println!("claimed {} in total", show_amount(paid));
    }
    Ok(paid)
}

/// Waits until rewards can be claimed: the stake must have counted for an epoch, the epoch's tally must be posted,
/// final and credited.
async fn wait_for_rewards(network: &Network, id: u32, account: Address) -> Result<()> {
    let rewards = network.rewards();
    let ready =
        async || -> Result<Option<()>> { Ok((!rewards.claimable(id, account).call().await?.is_zero()).then_some(())) };
    if ready().await?.is_some() {
        return Ok(());
    }
    let expected = expected_reward_time(network, id, account).await?;
    let now = network.l1_time().await?;
    let seconds = expected.saturating_sub(now).max(1);
    let bar = countdown(
        "waiting: stake counts, its epoch ends, the tally is posted, becomes final and is credited",
        seconds,
        !network.json,
    );
    // Three times the estimate: batches and keepers have schedules of their own.
    let patience = Duration::from_secs(seconds.saturating_mul(3).saturating_add(120));
    wait_until("rewards to be credited", patience, Duration::from_millis(500), async || {
        let elapsed = network.l1_time().await?.saturating_sub(now);
        bar.set_position(elapsed.min(seconds.saturating_sub(1)));
        ready().await
    })
    .await?;
    bar.finish_and_clear();
    Ok(())
}

/// When the first epoch that the stake counts in is over, its tally sealed, posted and past the challenge window.
async fn expected_reward_time(network: &Network, id: u32, account: Address) -> Result<u64> {
    let vault = network.vault();
    let checkpoints = vault.unitsCheckpointCount(id, account).call().await?;
    ensure!(!checkpoints.is_zero(), "{account} never staked with operator {id}");
    let clock = network.clock();
    let first = vault.unitsCheckpointAt(id, account, U256::ZERO).call().await?.epoch;
    let credited = network.rewards().lastCredited(id).call().await?;
    let epoch = first.max(credited.saturating_add(1));
    let deployment = &network.deployment;
    Ok(clock
        .start_of(epoch.saturating_add(1))
        .saturating_add(deployment.challenge_window)
        .saturating_add(deployment.batch_seconds))
}
