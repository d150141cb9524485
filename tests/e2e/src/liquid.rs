//! The books of liquid staking, kept a second time: every event is replayed in plain integers after the formulas of
//! `IStakedToken`, and every amount that the contracts announced must be the one computed here.

use std::collections::BTreeMap;

use alloy::{
    eips::BlockId,
    primitives::{Address, B256, U256},
    providers::Provider as _,
    rpc::types::{Filter, Log},
    sol_types::SolEventInterface as _,
};
use eyre::{Result, ensure, eyre};
use rota::connection::Network;
use rota_bindings::{
    CoverFund::CoverFundEvents,
    ExitQueue::ExitQueueEvents,
    RateFeed::RateFeedEvents,
    RewardVault::RewardVaultEvents,
    StakeVault::StakeVaultEvents,
    StakedToken::{LossApplied, StakedTokenEvents},
};

/// Figures of profile `test` in `script/Parameters.sol`; parts in basis points, times in epochs.
const FEE: u64 = 1_000;
const BUFFER: u64 = 500;
const EXIT_FLOOR: u64 = 5;
const EXIT_SPAN: u64 = 200;
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
    drip: (U256, u64, u64),
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
    through: BTreeMap<u32, u32>,
    last_ticket: BTreeMap<u32, u32>,
    slashes: Vec<(u32, u32, U256)>,
    logged: usize,
    applied: usize,
    requests: BTreeMap<Address, BTreeMap<u64, U256>>,
}

/// One transaction's events, as far as they matter.
#[derive(Debug, Default)]
struct Transaction {
    time: u64,
    token: Vec<StakedTokenEvents>,
    queue: Vec<ExitQueueEvents>,
    cover: Vec<CoverFundEvents>,
    rewards: Vec<(u32, U256, u32)>,
    released: Vec<U256>,
    slashes: usize,
    rates: Vec<U256>,
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
            ..Self::default()
        };
        for seq in 1..=slashes {
            let slash = vault.slashAt(U256::from(seq)).call().await?;
            books.slashes.push((slash.id, slash.sigma, slash.fractionWad));
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
            ("locked", self.locked(time), found.locked),
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

    fn locked(&self, time: u64) -> U256 {
        let (amount, start, end) = self.drip;
        if time >= end { U256::ZERO } else { (amount * U256::from(end - time)).div_ceil(U256::from(end - start)) }
    }

    fn stayers(&self) -> U256 {
        self.buffer + self.active.values().sum::<U256>() + self.tickets.values().sum::<U256>() - self.owed - self.fees
    }

    /// What the shares are worth together.
    pub fn total(&self, time: u64) -> U256 {
        self.stayers() - self.locked(time)
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

    /// Fee of an exit at once that pays `net`.
    fn exit_fee(&self, net: U256) -> U256 {
        let (buffer, target, two) = (self.free(), self.target, U256::from(2));
        let (high, low) = (buffer.min(target), buffer.saturating_sub(net).min(target));
        let mut fee = (net * bps(EXIT_FLOOR)).div_ceil(BPS);
        if high > low {
            fee += (bps(EXIT_SPAN) * (high - low) * (two * target - high - low)).div_ceil(two * target * BPS);
        }
        fee + (net.saturating_sub(buffer) * bps(EXIT_SPAN)).div_ceil(BPS)
    }

    /// The most that can be paid for shares worth `gross`, by bisection.
    fn exit_net(&self, gross: U256) -> U256 {
        let (mut low, mut high) = (U256::ZERO, gross);
        while low < high {
            let middle = (low + high + U256::ONE) / U256::from(2);
            if middle + self.exit_fee(middle) <= gross {
                low = middle;
            } else {
                high = middle - U256::ONE;
            }
        }
        low
    }

    fn drip_in(&mut self, gain: U256, seconds: u64, time: u64) {
        let (locked, (_, _, end)) = (self.locked(time), self.drip);
        let total = locked + gain;
        let left = if locked.is_zero() { 0 } else { end - time };
        let length = if total.is_zero() {
            0
        } else {
            ((locked * U256::from(left) + gain * U256::from(seconds)) / total).to::<u64>().max(1)
        };
        self.drip = (total, time, time + length);
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
            }
        }
        for event in &transaction.token {
            match event {
                // These move no books.
                StakedTokenEvents::Transfer(_)
                | StakedTokenEvents::Approval(_)
                | StakedTokenEvents::VaultUpdate(_)
                | StakedTokenEvents::FeeChanged(_)
                | StakedTokenEvents::AuthorityUpdated(_)
                | StakedTokenEvents::EIP712DomainChanged(_)
                | StakedTokenEvents::LossApplied(_) => continue,
                _ => self.aim(time),
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

    fn token_event(
        &mut self,
        event: &StakedTokenEvents,
        transaction: &Transaction,
        to_take_out: &mut U256,
    ) -> Result<()> {
        let time = transaction.time;
        match event {
            StakedTokenEvents::Deposit(event) => {
                let shares = self.shares_for(event.assets, time);
                ensure!(event.shares == shares, "{} bought {} shares, not {shares}", event.assets, event.shares);
                self.buffer += event.assets;
                self.supply += shares;
                self.count("Deposit");
            }
            StakedTokenEvents::InstantExit(event) => {
                let burned = transaction.token.iter().find_map(|event| match event {
                    StakedTokenEvents::Withdraw(event) => Some(event.shares),
                    _ => None,
                });
                let shares = burned.ok_or_else(|| eyre!("an exit at once without Withdraw"))?;
                let gross = self.worth(shares, time);
                let net = self.exit_net(gross);
                let fee = gross - net;
                ensure!(event.net == net, "an exit at once paid {}, not {net}", event.net);
                ensure!(event.fee == fee, "an exit at once cost {}, not {fee}", event.fee);
                self.buffer -= net;
                self.supply -= shares;
                self.drip_in(fee, DRIP_EPOCHS * self.epoch_seconds, time);
                self.instants.push(Instant { owner: event.owner, net, fee });
                self.count("InstantExit");
            }
            StakedTokenEvents::GainBooked(event) => self.gain(event.gain, event.fee, event.dripEnd, transaction)?,
            StakedTokenEvents::StakeDelegated(event) => {
                self.buffer -= event.amount;
                *self.active.entry(event.id).or_default() += event.amount;
                let epoch = self.epoch(time);
                self.since.entry(event.id).or_insert(epoch);
                ensure!(self.free() >= self.target, "delegating took what exits or the buffer need");
                self.count("StakeDelegated");
            }
            StakedTokenEvents::StakeUndelegated(event) => {
                let active = self.active.entry(event.id).or_default();
                ensure!(event.amount <= *active, "{} taken out of {active}", event.amount);
                *active -= event.amount;
                *self.tickets.entry((event.id, event.cohortEpoch)).or_default() += event.amount;
                self.last_ticket.insert(event.id, event.cohortEpoch);
                *to_take_out = to_take_out.saturating_sub(event.amount);
                self.count("StakeUndelegated");
            }
            StakedTokenEvents::TicketCollected(event) => {
                let booked = self.tickets.remove(&(event.id, event.cohortEpoch)).unwrap_or_default();
                let paid = transaction.released.first().copied().ok_or_else(|| eyre!("the vault paid nothing"))?;
                ensure!(event.amount == paid.min(booked), "collected {}, not {}", event.amount, paid.min(booked));
                self.buffer += event.amount;
                self.count("TicketCollected");
            }
            StakedTokenEvents::ExitSealed(event) => {
                let (assets, epoch) = (self.worth(event.shares, time), self.epoch(time));
                ensure!(
                    event.assets == assets,
                    "{} shares were sealed for {}, not {assets}",
                    event.shares,
                    event.assets
                );
                ensure!(event.epoch == epoch, "sealed in epoch {}, not {epoch}", event.epoch);
                let exit = Exit { shares: event.shares, assets, epoch, sealed_at: time };
                self.waiting.insert(event.index.to(), exit);
                self.supply -= event.shares;
                self.owed += assets;
                let thawing: U256 = self.tickets.values().sum();
                let lack = (self.owed + self.fees).saturating_sub(self.buffer + thawing);
                if !lack.is_zero() {
                    *to_take_out = (lack + U256::from(MARGIN)).min(self.active.values().sum());
                }
                self.count("ExitSealed");
            }
            StakedTokenEvents::ExitReleased(event) => {
                let index: u64 = event.index.to();
                let (oldest, exit) = self.waiting.pop_first().ok_or_else(|| eyre!("no exit waited"))?;
                ensure!(index == oldest, "exit {index} was paid before exit {oldest}");
                ensure!(event.assets == exit.assets, "exit {index} was paid {}, not {}", event.assets, exit.assets);
                let mut from = exit.sealed_at + self.epoch_seconds;
                if exit.epoch + 1 >= self.bunker.1 {
                    from = from.max(self.bunker.0);
                }
                ensure!(time >= from, "exit {index} was paid at {time}, before {from}");
                self.buffer -= exit.assets;
                self.owed -= exit.assets;
                self.paid.insert(index, exit);
                self.count("ExitReleased");
            }
            StakedTokenEvents::FeesCollected(event) => {
                self.fees -= event.amount;
                self.buffer -= event.amount;
            }
            StakedTokenEvents::BunkerEntered(event) => {
                let expected = (U256::from(self.bunker.0), self.bunker.1);
                ensure!((event.until, event.sigma) == expected, "the bunker closed until {}", event.until);
                self.count("BunkerEntered");
            }
            _ => {}
        }
        Ok(())
    }

    fn gain(&mut self, gain: U256, fee: U256, end: U256, transaction: &Transaction) -> Result<()> {
        let mut seconds = MAX_DRIP_EPOCHS * self.epoch_seconds;
        if !transaction.rewards.is_empty() {
            let claimed: U256 = transaction.rewards.iter().map(|(_, amount, _)| *amount).sum();
            ensure!(gain == claimed, "{gain} booked of {claimed} claimed");
            let epochs = |id: &u32, through: u32| {
                let from = self.through.get(id).or(self.since.get(id)).copied().unwrap_or_default();
                u64::from(through.saturating_sub(from))
            };
            let longest = transaction.rewards.iter().map(|(id, _, through)| epochs(id, *through)).max().unwrap_or(0);
            seconds = seconds.min(longest.max(DRIP_EPOCHS) * self.epoch_seconds);
            for (id, amount, through) in &transaction.rewards {
                self.first_rewards.entry(*id).or_insert((*amount, *through));
            }
            self.count("harvest");
        } else {
            self.count("skim");
        }
        let refill = gain.min(self.loss_carry);
        let ours = (gain - refill) * bps(FEE) / BPS;
        ensure!(fee == ours, "a gain of {gain} paid a fee of {fee}, not {ours}");
        self.loss_carry -= refill;
        self.fees += fee;
        self.buffer += gain;
        self.drip_in(gain - fee, seconds, transaction.time);
        ensure!(end == U256::from(self.drip.2), "the drip ends at {end}, not {}", self.drip.2);
        Ok(())
    }

    /// What is left of a holding that the vault slashed: the loss rounded up, and one wei less.
    fn after(value: U256, fraction: U256) -> U256 {
        (value - (value * fraction).div_ceil(WAD).min(value)).saturating_sub(U256::ONE)
    }

    /// What was announced of the slashes up to number `seq`.
    fn losses_through(&mut self, seq: usize, event: &LossApplied, time: u64) -> Result<()> {
        let ours = self.lose(seq, time)?;
        let theirs = [event.loss, event.exits, event.covered, event.dripped, event.rate];
        let names = ["all", "exits", "the cover", "the drip", "the rate"];
        for (who, (ours, theirs)) in names.into_iter().zip(ours.into_iter().zip(theirs)) {
            ensure!(ours == theirs, "lost by {who}: {theirs} wei, not {ours}");
        }
        self.count("LossApplied");
        Ok(())
    }

    /// Applies the slashes up to number `seq`. Wei lost in all, by exits, by the cover, by the drip, by the rate.
    fn lose(&mut self, seq: usize, time: u64) -> Result<[U256; 5]> {
        let (mut loss, mut exits, mut covered, mut dripped, mut rest) =
            (U256::ZERO, U256::ZERO, U256::ZERO, U256::ZERO, U256::ZERO);
        while self.applied < seq {
            let (id, sigma, fraction) =
                *self.slashes.get(self.applied).ok_or_else(|| eyre!("the vault has no slash {seq}"))?;
            self.applied += 1;
            let stayers = self.stayers();
            let mut lost = U256::ZERO;
            if let Some(active) = self.active.get_mut(&id) {
                let left = Self::after(*active, fraction);
                lost += *active - left;
                *active = left;
            }
            let last = self.last_ticket.get(&id).copied().unwrap_or_default();
            let first = sigma.saturating_sub(1).max(last.saturating_sub(self.unbonding + 2));
            let reached =
                self.tickets.iter_mut().filter(|((of, cohort), _)| *of == id && (first..=last).contains(cohort));
            for (_, ticket) in reached {
                let left = Self::after(*ticket, fraction);
                lost += *ticket - left;
                *ticket = left;
            }
            if lost.is_zero() {
                continue;
            }
            let liable: U256 =
                self.waiting.values().filter(|exit| exit.epoch + 1 >= sigma).map(|exit| exit.assets).sum();
            let base = stayers + liable;
            ensure!(lost <= base, "more was lost than was liable");
            let mut shared = BTreeMap::new();
            let mut borne = U256::ZERO;
            for (index, exit) in &mut self.waiting {
                let before = *exit;
                if exit.epoch + 1 >= sigma {
                    let part = (exit.assets * lost).div_ceil(base);
                    exit.assets -= part;
                    borne += part;
                }
                shared.insert(*index, (before, *exit));
            }
            let stayers_part = lost.saturating_sub(borne);
            self.owed -= borne;
            let cover = self.cover.min(stayers_part);
            self.cover -= cover;
            self.buffer += cover;
            let locked = self.locked(time);
            let drip = locked.min(stayers_part - cover);
            if !drip.is_zero() {
                self.drip = (locked - drip, time, self.drip.2);
            }
            let carried = stayers_part - cover - drip;
            self.loss_carry += carried;
            if lost * BPS >= base * bps(BUNKER_LOSS) {
                let sigma = if time < self.bunker.0 { sigma.min(self.bunker.1) } else { sigma };
                self.bunker = (time + BUNKER_EPOCHS * self.epoch_seconds, sigma);
            }
            loss += lost;
            exits += borne;
            covered += cover;
            dripped += drip;
            rest += carried;
            self.losses.push(Loss { id, sigma, fraction, loss: lost, stayers, stayers_part, exits: shared });
        }
        Ok([loss, exits, covered, dripped, rest])
    }

    fn queue_event(&mut self, event: &ExitQueueEvents) -> Result<()> {
        match event {
            ExitQueueEvents::RedeemRequest(event) => {
                let line = self.requests.entry(event.controller).or_default();
                *line.entry(event.requestId.to()).or_default() += event.shares;
            }
            ExitQueueEvents::RequestCancelled(event) => {
                let line = self.requests.entry(event.controller).or_default();
                *line.entry(event.requestId.to()).or_default() -= event.shares;
            }
            ExitQueueEvents::BatchFinalised(event) => {
                let exit = self.paid.get(&event.requestId.to()).ok_or_else(|| eyre!("finalised, but not paid"))?;
                ensure!(event.assets == exit.assets && event.shares == exit.shares, "another batch was finalised");
            }
            ExitQueueEvents::Withdraw(event) => {
                let line = self.requests.entry(event.owner).or_default();
                let (mut left, mut assets) = (event.shares, U256::ZERO);
                for (batch, held) in line.iter_mut() {
                    let part = left.min(*held);
                    if part.is_zero() {
                        continue;
                    }
                    let exit = self.paid.get(batch).ok_or_else(|| eyre!("claimed of batch {batch}, not paid yet"))?;
                    assets += exit.assets * part / exit.shares;
                    *held -= part;
                    left -= part;
                }
                ensure!(left.is_zero(), "{left} shares more were claimed than requested");
                ensure!(event.assets == assets, "{} was claimed, not {assets}", event.assets);
                self.count("claim");
            }
            _ => {}
        }
        Ok(())
    }
}

/// All transactions with events of liquid staking up to block `until`, in order.
async fn transactions(network: &Network, until: u64) -> Result<Vec<Transaction>> {
    let contracts = &network.deployment.contracts;
    let addresses = vec![
        contracts.staked_token,
        contracts.exit_queue,
        contracts.cover_fund,
        contracts.rate_feed,
        contracts.reward_vault,
        contracts.stake_vault,
    ];
    let filter = Filter::new().address(addresses).from_block(0).to_block(until);
    let mut found: Vec<Transaction> = Vec::new();
    let mut last = B256::ZERO;
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    for log in network.l1.get_logs(&filter).await? {
        let hash = log.transaction_hash.unwrap_or_default();
        if hash != last {
            last = hash;
            let number = log.block_number.unwrap_or_default();
            let time = match (log.block_timestamp, times.get(&number)) {
                (Some(time), _) => time,
                (None, Some(time)) => *time,
                (None, None) => {
                    let block = network.l1.get_block_by_number(number.into()).await?;
                    block.ok_or_else(|| eyre!("no block {number}"))?.header.timestamp
                }
            };
            times.insert(number, time);
            found.push(Transaction { time, ..Transaction::default() });
        }
        let Some(transaction) = found.last_mut() else { continue };
        sort_in(transaction, &log, network)?;
    }
    Ok(found)
}

fn sort_in(transaction: &mut Transaction, log: &Log, network: &Network) -> Result<()> {
    let contracts = &network.deployment.contracts;
    let (address, token) = (log.address(), contracts.staked_token);
    if address == token {
        transaction.token.push(StakedTokenEvents::decode_log(&log.inner)?.data);
    } else if address == contracts.exit_queue {
        transaction.queue.push(ExitQueueEvents::decode_log(&log.inner)?.data);
    } else if address == contracts.cover_fund {
        transaction.cover.push(CoverFundEvents::decode_log(&log.inner)?.data);
    } else if address == contracts.rate_feed {
        let RateFeedEvents::Checkpointed(event) = RateFeedEvents::decode_log(&log.inner)?.data;
        transaction.rates.push(event.rate);
    } else if address == contracts.reward_vault {
        if let RewardVaultEvents::RewardsClaimed(event) = RewardVaultEvents::decode_log(&log.inner)?.data
            && event.account == token
        {
            transaction.rewards.push((event.id, event.amount, event.toEpoch));
        }
    } else {
        match StakeVaultEvents::decode_log(&log.inner)?.data {
            StakeVaultEvents::Claimed(event) if event.who == token => transaction.released.push(event.amount),
            StakeVaultEvents::Slashed(_) => transaction.slashes += 1,
            _ => {}
        }
    }
    Ok(())
}
