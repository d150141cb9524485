//! What each event does to the books.

use alloy::primitives::U256;
use eyre::{Result, ensure, eyre};
use rota_bindings::{ExitQueue::ExitQueueEvents, StakedToken::StakedTokenEvents};

use super::{BPS, Books, DRIP_EPOCHS, Exit, FEE, Instant, MARGIN, MAX_DRIP_EPOCHS, bps, events::Transaction};

impl Books {
    pub(super) fn token_event(
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
                let net = self.fee().net(gross);
                let fee = gross - net;
                ensure!(event.net == net, "an exit at once paid {}, not {net}", event.net);
                ensure!(event.fee == fee, "an exit at once cost {}, not {fee}", event.fee);
                self.buffer -= net;
                self.supply -= shares;
                self.drip.add(fee, DRIP_EPOCHS * self.epoch_seconds, time);
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
                // Exits, fees and the aim of the buffer; nothing while half of the aim is met.
                let (needed, there) = (self.owed + self.fees, self.buffer + thawing);
                if there < needed + self.target / U256::from(2) {
                    let lack = needed + self.target - there;
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

    /// Seconds over which rewards of an operator up to epoch `through` vest: as many epochs as are claimed, but no shorter
    /// than an earlier claim of the same stretch was given.
    fn vesting(&mut self, id: u32, through: u32, time: u64) -> u64 {
        let from = self.through.get(&id).or(self.since.get(&id)).copied().unwrap_or_default();
        let epochs = u64::from(through.saturating_sub(from)).min(MAX_DRIP_EPOCHS);
        let (seconds, until) = (epochs * self.epoch_seconds, self.vests_until.entry(id).or_default());
        let promised = until.saturating_sub(time);
        if seconds <= promised {
            return promised;
        }
        if epochs > DRIP_EPOCHS {
            *until = time + seconds;
        }
        seconds
    }

    fn gain(&mut self, gain: U256, fee: U256, end: U256, transaction: &Transaction) -> Result<()> {
        let mut seconds = MAX_DRIP_EPOCHS * self.epoch_seconds;
        if !transaction.rewards.is_empty() {
            let claimed: U256 = transaction.rewards.iter().map(|(_, amount, _)| *amount).sum();
            ensure!(gain == claimed, "{gain} booked of {claimed} claimed");
            let least = DRIP_EPOCHS * self.epoch_seconds;
            seconds = least;
            for (id, _, through) in &transaction.rewards {
                seconds = seconds.max(self.vesting(*id, *through, transaction.time));
            }
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
        self.drip.add(gain - fee, seconds, transaction.time);
        ensure!(end == U256::from(self.drip.end()), "the drip ends at {end}, not {}", self.drip.end());
        Ok(())
    }
    pub(super) fn queue_event(&mut self, event: &ExitQueueEvents) -> Result<()> {
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
