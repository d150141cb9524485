//! The books of liquid staking, kept a second time: every event is replayed in plain integers after the formulas of
//! `IStakedToken`, and every amount that the contracts announced must be the one computed here. The model in `rota-models`
//! goes from operations to events, these books from events to amounts; fee, drip and what a slash leaves are one for both.

mod events;
mod losses;
mod replay;

use std::collections::BTreeMap;

use alloy::{
    eips::BlockId,
    primitives::{Address, U256},
    providers::Provider as _,
};
use eyre::{Result, ensure, eyre};
use rota::connection::Network;
use rota_bindings::{CoverFund::CoverFundEvents, StakedToken::StakedTokenEvents};
use rota_models::{
    liquid::{Drip, InstantFee},
    stake::SlashEntry,
};

use self::events::{Transaction, transactions};

/// Figures of profile `test` in `script/Parameters.sol`; parts in basis points, times in epochs.
const FEE: u64 = 1_000;
const BUFFER: u64 = 500;
const EXIT_FLOOR: u16 = 5;
const EXIT_SPAN: u16 = 200;
const BUNKER_LOSS: u64 = 100;
const BUNKER_EPOCHS: u64 = 2;
const DRIP_EPOCHS: u64 = 4;
const MAX_DRIP_EPOCHS: u64 = 20;
const BPS: U256 = U256::from_limbs([10_000, 0, 0, 0]);
/// Wei of one token, and all of something.
const WAD: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);
/// Wei taken out beyond what exits lack.
const MARGIN: u64 = 1_000;

fn bps(part: u64) -> U256 {
    U256::from(part)
}

/// Whether an action that changes the books announced it.
fn is_action(event: &StakedTokenEvents) -> bool {
    matches!(
        event,
        StakedTokenEvents::Deposit(_)
            | StakedTokenEvents::InstantExit(_)
            | StakedTokenEvents::GainBooked(_)
            | StakedTokenEvents::StakeDelegated(_)
            | StakedTokenEvents::StakeUndelegated(_)
            | StakedTokenEvents::TicketCollected(_)
            | StakedTokenEvents::ExitSealed(_)
            | StakedTokenEvents::ExitReleased(_)
            | StakedTokenEvents::FeesCollected(_)
    )
}

/// A sealed exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Shares burned for it.
    pub shares: U256,
    /// What it is owed, wei.
    pub assets: U256,
    /// Epoch of the seal.
    pub epoch: u32,
    /// Time of the seal, Unix seconds.
    pub sealed_at: u64,
}

/// An exit at once.
#[derive(Clone, Copy, Debug)]
pub struct Instant {
    /// Who left.
    pub owner: Address,
    /// Wei paid.
    pub net: U256,
    /// Wei kept for those who stay.
    pub fee: U256,
}

/// A slash as it was shared.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Operator.
    pub id: u32,
    /// Set of the fault.
    pub sigma: u32,
    /// Part of 1e18.
    pub fraction: U256,
    /// Wei lost in all.
    pub loss: U256,
    /// What belonged to those who stay.
    pub stayers: U256,
    /// What they lost of it, before cover and drip.
    pub stayers_part: U256,
    /// Waiting exits before and after.
    pub exits: BTreeMap<u64, (Exit, Exit)>,
}

/// The books, and what happened.
#[derive(Clone, Debug, Default)]
pub struct Books {
    epoch_seconds: u64,
    genesis: u64,
    unbonding: u32,
    /// Wei at hand.
    pub buffer: U256,
    /// Stake by operator.
    pub active: BTreeMap<u32, U256>,
    /// Stake on its way out, by operator and cohort.
    pub tickets: BTreeMap<(u32, u32), U256>,
    /// Owed to sealed exits.
    pub owed: U256,
    /// Not collected.
    pub fees: U256,
    /// Made up for before gains pay fees.
    pub loss_carry: U256,
    drip: Drip,
    target: U256,
    target_epoch: u32,
    bunker: (u64, u32),
    /// Shares in existence.
    pub supply: U256,
    /// What the cover fund holds.
    pub cover: U256,
    /// Exits that wait, by batch.
    pub waiting: BTreeMap<u64, Exit>,
    /// Exits that were paid, by batch.
    pub paid: BTreeMap<u64, Exit>,
    /// Exits at once.
    pub instants: Vec<Instant>,
    /// Slashes.
    pub losses: Vec<Loss>,
    /// First claim of each operator's rewards: wei and last epoch.
    pub first_rewards: BTreeMap<u32, (U256, u32)>,
    /// Events seen, by name.
    pub seen: BTreeMap<&'static str, u32>,
    since: BTreeMap<u32, u32>,
    /// No earlier do rewards of an operator vest, Unix seconds.
    vests_until: BTreeMap<u32, u64>,
    through: BTreeMap<u32, u32>,
    last_ticket: BTreeMap<u32, u32>,
    slashes: Vec<SlashEntry>,
    logged: usize,
    applied: usize,
    requests: BTreeMap<Address, BTreeMap<u64, U256>>,
}
impl Books {
    /// Replays everything up to L1 block `until`.
    ///
    /// # Errors
    /// When a contract announced another amount than the formulas say, or L1 fails.
    pub async fn replay(network: &Network, until: u64) -> Result<Self> {
        let vault = network.vault();
        let slashes: u64 = vault.slashSeq().block(BlockId::number(until)).call().await?.to();
        let mut books = Self {
            epoch_seconds: network.deployment.epoch_seconds,
            genesis: network.deployment.genesis_time,
            unbonding: network.deployment.unbonding_epochs,
            buffer: WAD,
            supply: WAD,
            // No epoch: the first action sets the aim of the buffer.
            target_epoch: u32::MAX,
            ..Self::default()
        };
        for seq in 1..=slashes {
            let slash = vault.slashAt(U256::from(seq)).call().await?;
            books.slashes.push(SlashEntry {
                id: slash.id,
                sigma: slash.sigma,
                before: slash.before,
                fraction: slash.fractionWad,
            });
        }
        for transaction in transactions(network, until).await? {
            books.take(&transaction)?;
        }
        Ok(books)
    }

    /// Compares the books with the contract's at block `number`, field by field.
    ///
    /// # Errors
    /// At the first difference, or when L1 fails.
    pub async fn check(&self, network: &Network, number: u64) -> Result<()> {
        let block = network.l1.get_block_by_number(number.into()).await?.ok_or_else(|| eyre!("no block {number}"))?;
        let (time, at) = (block.header.timestamp, BlockId::number(number));
        let token = network.staked_token();
        let found = token.position().block(at).call().await?;
        // Views show slashes that nobody wrote yet.
        ensure!(self.applied == self.slashes.len(), "{} slashes wait", self.slashes.len() - self.applied);
        let total = self.total(time);
        for (name, ours, theirs) in [
            ("buffer", self.buffer, found.buffer),
            ("active", self.active.values().sum(), found.active),
            ("thawing", self.tickets.values().sum(), found.thawing),
            ("owed", self.owed, found.owed),
            ("fees", self.fees, found.fees),
            ("loss carry", self.loss_carry, found.lossCarry),
            ("locked", self.drip.locked(time), found.locked),
            ("supply", self.supply, token.totalSupply().block(at).call().await?),
            ("all assets", total, token.totalAssets().block(at).call().await?),
        ] {
            ensure!(ours == theirs, "{name}: {theirs} wei, not {ours}");
        }
        for (id, active) in &self.active {
            let found = token.activeOf(*id).block(at).call().await?;
            ensure!(found == *active, "operator {id} has {found} of the stake, not {active}");
            let held = network.vault().positionOf(*id, *token.address()).block(at).call().await?.value;
            ensure!(held >= *active, "operator {id}: the vault holds {held}, the books say {active}");
        }
        for ((id, cohort), ticket) in &self.tickets {
            let found = token.ticketOf(*id, *cohort).block(at).call().await?;
            ensure!(found == *ticket, "cohort {cohort} of operator {id} has {found}, not {ticket}");
        }
        for (index, exit) in &self.waiting {
            let found = token.exitOf(U256::from(*index)).block(at).call().await?.assets;
            ensure!(found == exit.assets, "exit {index} is owed {found}, not {}", exit.assets);
        }
        let balance = network.token().balanceOf(*token.address()).block(at).call().await?;
        ensure!(balance >= self.buffer, "the token holds {balance} wei, its buffer is {}", self.buffer);
        Ok(())
    }

    fn epoch(&self, time: u64) -> u32 {
        u32::try_from((time - self.genesis) / self.epoch_seconds).unwrap_or(u32::MAX)
    }

    fn stayers(&self) -> U256 {
        self.buffer + self.active.values().sum::<U256>() + self.tickets.values().sum::<U256>() - self.owed - self.fees
    }

    /// What the shares are worth together.
    pub fn total(&self, time: u64) -> U256 {
        self.stayers() - self.drip.locked(time)
    }

    fn shares_for(&self, assets: U256, time: u64) -> U256 {
        assets * (self.supply + U256::ONE) / (self.total(time) + U256::ONE)
    }

    /// What shares are worth, wei.
    pub fn worth(&self, shares: U256, time: u64) -> U256 {
        shares * (self.total(time) + U256::ONE) / (self.supply + U256::ONE)
    }

    fn free(&self) -> U256 {
        self.buffer.saturating_sub(self.owed + self.fees)
    }

    /// What leaving at once costs now.
    fn fee(&self) -> InstantFee {
        InstantFee::new(EXIT_FLOOR, EXIT_SPAN, self.free(), self.target)
    }

    /// The aim of the buffer is set by the first action of an epoch.
    fn aim(&mut self, time: u64) {
        let epoch = self.epoch(time);
        if epoch != self.target_epoch {
            (self.target, self.target_epoch) = (self.total(time) * bps(BUFFER) / BPS, epoch);
        }
    }

    fn take(&mut self, transaction: &Transaction) -> Result<()> {
        let time = transaction.time;
        let mut to_take_out = U256::ZERO;
        for event in &transaction.token {
            if let StakedTokenEvents::LossApplied(event) = event {
                self.losses_through(event.seq.to(), event, time)?;
                self.aim(time);
            }
        }
        for event in &transaction.token {
            if is_action(event) {
                self.aim(time);
            }
            self.token_event(event, transaction, &mut to_take_out)?;
        }
        ensure!(to_take_out.is_zero(), "a seal left {to_take_out} wei in the stake that exits need");
        for (id, _, through) in &transaction.rewards {
            self.through.insert(*id, *through);
        }
        for event in &transaction.cover {
            match event {
                CoverFundEvents::Booked(event) => {
                    self.cover += event.amount;
                    ensure!(event.held == self.cover, "the cover fund holds {}, not {}", event.held, self.cover);
                }
                CoverFundEvents::Drawn(event) => {
                    ensure!(event.held == self.cover, "the cover fund keeps {}, not {}", event.held, self.cover);
                }
            }
        }
        for event in &transaction.queue {
            self.queue_event(event)?;
        }
        self.logged += transaction.slashes;
        for rate in &transaction.rates {
            // A view shows slashes that nobody wrote yet.
            let mut shown = self.clone();
            shown.lose(self.logged, time)?;
            let ours = shown.worth(WAD, time);
            ensure!(*rate == ours, "the feed recorded {rate}, the rate is {ours}");
            self.count("Checkpointed");
        }
        Ok(())
    }

    fn count(&mut self, name: &'static str) {
        *self.seen.entry(name).or_default() += 1;
    }
}
