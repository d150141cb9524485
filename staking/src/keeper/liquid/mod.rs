//! The chores of liquid staking. Each is open to anybody, and the contract refuses what is not due.

mod look;

use std::fmt;

use alloy::primitives::U256;
use eyre::{Result, ensure};
pub(super) use look::{Memory, look};
use rota_bindings::{CoverFund, ExitQueue, RateFeed, SlashEscrow, StakedToken};

use crate::{amount::show_amount, connection::Network, submit::Submitter};

/// Slashes applied by one transaction.
const SLASHES: u64 = 16;
/// Stretches of constant stake that one harvest settles per operator.
const MAX_SEGMENTS: u64 = 50;

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

    /// What stays the same of a chore while it waits to be done: amounts change with every block, and whoever could make
    /// it look new each time could keep it from being done.
    pub(super) fn key(&self) -> String {
        let name = self.name();
        match self {
            Self::Harvest { ids, .. } => format!("{name} {ids:?}"),
            Self::Collect { id, cohort } => format!("{name} {id} {cohort}"),
            Self::Finalize { batch } | Self::Seal { batch } => format!("{name} {batch}"),
            Self::Rebalance { id, .. } => format!("{name} {id}"),
            Self::Sync { written } => format!("{name} {written}"),
            Self::Checkpoint { due_at } => format!("{name} {due_at}"),
            Self::WithdrawCover { .. }
            | Self::BookCover { .. }
            | Self::Skim { .. }
            | Self::Replenish { .. }
            | Self::Delegate { .. } => name.to_owned(),
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
        LiquidChore::Sync { written } => {
            // This and the next no contract refuses when somebody else was faster: it would be paid for all the same.
            ensure!(token.syncedSlashes().call().await? == *written, "somebody else applied slashes meanwhile");
            by.submit(what, token.sync(U256::from(SLASHES))).await?
        }
        LiquidChore::WithdrawCover { .. } => by.submit(what, escrow.withdrawCover()).await?,
        LiquidChore::BookCover { .. } => by.submit(what, fund.book()).await?,
        LiquidChore::Harvest { ids, .. } => {
            let operators = network.liquid_lens().operators().call().await?;
            let earned = operators.iter().any(|operator| ids.contains(&operator.id) && !operator.rewards.is_zero());
            ensure!(earned, "somebody else harvested meanwhile");
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
