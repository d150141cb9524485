//! The chores of liquid staking. Each is open to anybody, and the contract refuses what is not due.

use std::{collections::BTreeSet, fmt};

use alloy::primitives::{U256, utils::Unit};
use eyre::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use rota_bindings::{CoverFund, ExitQueue, RateFeed, SlashEscrow, StakedToken};

use crate::{amount::show_amount, connection::Network, submit::Submitter};

/// Slashes applied by one transaction.
const SLASHES: u64 = 16;
/// Operators harvested by one transaction.
const HARVEST_PAGE: usize = 16;
/// Stretches of constant stake that one harvest settles per operator.
const MAX_SEGMENTS: u64 = 50;
/// Operators whose tickets one question asks for.
const TICKETS_PAGE: usize = 16;
/// Reads of L1 under way at a time.
const READS_AT_ONCE: usize = 16;

/// Least worth moving, wei: a hundredth of a token, so that nobody can make keepers pay for dust.
fn worth_moving(amount: U256) -> bool {
    amount >= Unit::ETHER.wei() / U256::from(100)
}

/// Something due for the staked token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LiquidChore {
    /// Write logged slashes to the books.
    Sync {
        /// Number of the last one written.
        written: U256,
    },
    /// Pay the cover's part of slashes to the cover fund.
    WithdrawCover {
        /// Wei.
        amount: U256,
    },
    /// Count what arrived at the cover fund.
    BookCover {
        /// Wei.
        amount: U256,
    },
    /// Bring rewards in.
    Harvest {
        /// Of these operators.
        ids: Vec<u32>,
        /// Wei.
        rewards: U256,
    },
    /// Bring thawed stake back.
    Collect {
        /// Operator.
        id: u32,
        /// Epoch it was taken out in.
        cohort: u32,
    },
    /// Book what arrived outside of harvests.
    Skim {
        /// Wei.
        amount: U256,
    },
    /// Pay the oldest sealed exits.
    Finalize {
        /// Their batch.
        batch: U256,
    },
    /// Take out what exits lack.
    Replenish {
        /// Wei.
        lacking: U256,
    },
    /// Fix the worth of the exits in the open batch.
    Seal {
        /// The batch.
        batch: U256,
    },
    /// Take stake from an operator that holds too much.
    Rebalance {
        /// Operator.
        id: u32,
        /// Wei.
        excess: U256,
    },
    /// Stake what the buffer can spare.
    Delegate {
        /// Wei at hand.
        amount: U256,
    },
    /// Record the rate.
    Checkpoint {
        /// When it became due, Unix seconds.
        due_at: U256,
    },
}

impl LiquidChore {
    /// For metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sync { .. } => "sync",
            Self::WithdrawCover { .. } => "withdraw-cover",
            Self::BookCover { .. } => "book-cover",
            Self::Harvest { .. } => "harvest",
            Self::Collect { .. } => "collect",
            Self::Skim { .. } => "skim",
            Self::Finalize { .. } => "finalize-exits",
            Self::Replenish { .. } => "replenish",
            Self::Seal { .. } => "seal",
            Self::Rebalance { .. } => "rebalance",
            Self::Delegate { .. } => "delegate",
            Self::Checkpoint { .. } => "checkpoint",
        }
    }
}

impl fmt::Display for LiquidChore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync { written } => write!(f, "apply slashes after number {written} to the staked token"),
            Self::WithdrawCover { amount } => write!(f, "pay {} to the cover fund", show_amount(*amount)),
            Self::BookCover { amount } => write!(f, "book {} in the cover fund", show_amount(*amount)),
            Self::Harvest { ids, rewards } => {
                write!(f, "harvest {} from operators {ids:?} for the staked token", show_amount(*rewards))
            }
            Self::Collect { id, cohort } => write!(f, "collect what operator {id} released of cohort {cohort}"),
            Self::Skim { amount } => write!(f, "book {} that arrived at the staked token", show_amount(*amount)),
            Self::Finalize { batch } => write!(f, "pay exit batch {batch}"),
            Self::Replenish { lacking } => write!(f, "take out {} that exits lack", show_amount(*lacking)),
            Self::Seal { batch } => write!(f, "seal exit batch {batch}"),
            Self::Rebalance { id, excess } => write!(f, "take {} from operator {id}", show_amount(*excess)),
            Self::Delegate { amount } => write!(f, "stake up to {} of the buffer", show_amount(*amount)),
            Self::Checkpoint { due_at } => write!(f, "record the rate due at {due_at}"),
        }
    }
}

/// What is due for the staked token, in the order it should be done. `crediting`: rewards of an epoch are being credited;
/// a harvest now would have to be repeated.
///
/// # Errors
/// When L1 fails.
pub(super) async fn due(network: &Network, crediting: bool) -> Result<Vec<LiquidChore>> {
    let (lens, queue) = (network.liquid_lens(), network.exit_queue());
    let mut chores = Vec::new();
    let due = lens.due().call().await?;
    if due.sync {
        chores.push(LiquidChore::Sync { written: network.staked_token().syncedSlashes().call().await? });
    } else {
        // Only then: what a slash brings in covers the next one, and what holders lose is no race of transactions.
        chores.extend(cover(network).await?);
    }
    let operators = lens.operators().call().await?;
    if !crediting {
        let earned: Vec<_> = operators.iter().filter(|operator| !operator.rewards.is_zero()).collect();
        chores.extend(earned.chunks(HARVEST_PAGE).map(|page| LiquidChore::Harvest {
            ids: page.iter().map(|operator| operator.id).collect(),
            rewards: page.iter().map(|operator| operator.rewards).sum(),
        }));
    }
    chores.extend(tickets(network, operators.iter().map(|operator| operator.id).collect()).await?);
    if due.skim && worth_moving(due.skimmable) {
        chores.push(LiquidChore::Skim { amount: due.skimmable });
    }
    if due.finalize {
        chores.push(LiquidChore::Finalize { batch: queue.nextToFinalise().call().await? });
    }
    if due.replenish {
        chores.push(LiquidChore::Replenish { lacking: due.lacking });
    }
    if due.seal {
        chores.push(LiquidChore::Seal { batch: queue.openBatch().call().await? });
    }
    // What is staked where follows from all of the above: it is looked at again when that is done.
    if chores.is_empty() {
        let above = operators.iter().filter(|operator| !operator.excess.is_zero());
        chores.extend(above.map(|operator| LiquidChore::Rebalance { id: operator.id, excess: operator.excess }));
        if due.delegate {
            chores.push(LiquidChore::Delegate { amount: due.delegatable });
        }
    }
    let due_at = network.rate_feed().checkpointDue().call().await?;
    if due_at <= U256::from(network.l1_time().await?) {
        chores.push(LiquidChore::Checkpoint { due_at });
    }
    Ok(chores)
}

async fn cover(network: &Network) -> Result<Option<LiquidChore>> {
    let contracts = &network.deployment.contracts;
    let escrow = SlashEscrow::new(contracts.slash_escrow, network.l1.clone());
    let amount = escrow.coverBalance().call().await?;
    if worth_moving(amount) {
        return Ok(Some(LiquidChore::WithdrawCover { amount }));
    }
    let held = CoverFund::new(contracts.cover_fund, network.l1.clone()).held().call().await?;
    let balance = network.token().balanceOf(contracts.cover_fund).call().await?;
    let amount = balance.saturating_sub(held);
    Ok(worth_moving(amount).then_some(LiquidChore::BookCover { amount }))
}

/// Released stake, of listed operators and of those that were unlisted while their stake was on its way.
async fn tickets(network: &Network, listed: BTreeSet<u32>) -> Result<Vec<LiquidChore>> {
    let operators = network.registry().operatorCount().call().await?;
    let token = network.staked_token();
    let unlisted = stream::iter((1..=operators).filter(|id| !listed.contains(id))).map(async |id| -> Result<_> {
        let last = token.operatorOf(id).call().await?.lastTicket;
        Ok((last != 0).then_some(id))
    });
    let mut ids: Vec<u32> =
        unlisted.buffered(READS_AT_ONCE).try_collect::<Vec<_>>().await?.into_iter().flatten().collect();
    ids.extend(listed);
    let now = U256::from(network.l1_time().await?);
    let mut chores = Vec::new();
    for page in ids.chunks(TICKETS_PAGE) {
        let tickets = network.liquid_lens().tickets(page.to_vec()).call().await?;
        chores.extend(
            tickets
                .into_iter()
                .filter(|ticket| ticket.dueAt <= now)
                .map(|ticket| LiquidChore::Collect { id: ticket.id, cohort: ticket.cohortEpoch }),
        );
    }
    Ok(chores)
}

/// Does one chore, called `what`.
///
/// # Errors
/// As [`Submitter::submit`].
pub(super) async fn perform(network: &Network, by: &Submitter<'_>, chore: &LiquidChore, what: &str) -> Result<()> {
    let contracts = &network.deployment.contracts;
    let token = StakedToken::new(contracts.staked_token, by.provider.clone());
    let queue = ExitQueue::new(contracts.exit_queue, by.provider.clone());
    let escrow = SlashEscrow::new(contracts.slash_escrow, by.provider.clone());
    let fund = CoverFund::new(contracts.cover_fund, by.provider.clone());
    let feed = RateFeed::new(contracts.rate_feed, by.provider.clone());
    match chore {
        LiquidChore::Sync { .. } => by.submit(what, token.sync(U256::from(SLASHES))).await?,
        LiquidChore::WithdrawCover { .. } => by.submit(what, escrow.withdrawCover()).await?,
        LiquidChore::BookCover { .. } => by.submit(what, fund.book()).await?,
        LiquidChore::Harvest { ids, .. } => {
            by.submit(what, token.harvest(ids.clone(), U256::from(MAX_SEGMENTS))).await?
        }
        LiquidChore::Collect { id, cohort } => by.submit(what, token.collect(*id, *cohort)).await?,
        LiquidChore::Skim { .. } => by.submit(what, token.skim()).await?,
        LiquidChore::Finalize { .. } => by.submit(what, queue.finalize()).await?,
        LiquidChore::Replenish { .. } => by.submit(what, token.replenish()).await?,
        LiquidChore::Seal { .. } => by.submit(what, queue.seal()).await?,
        LiquidChore::Rebalance { id, .. } => by.submit(what, token.rebalance(*id)).await?,
        LiquidChore::Delegate { .. } => by.submit(what, token.delegate()).await?,
        LiquidChore::Checkpoint { .. } => by.submit(what, feed.checkpoint()).await?,
    };
    Ok(())
}
