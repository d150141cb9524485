//! What people and keepers do with the staked token. Every action works on synced books, and leaves nothing behind if it
//! is refused.

use alloy_primitives::{Address, U256};

use super::{
    abi::{
        CoverFund::CoverFund_NothingToBook,
        StakedToken::{
            FullMulDivFailed, StakedToken_BufferTooLow, StakedToken_DepositTooLarge, StakedToken_ExitHeld,
            StakedToken_FeeTooHigh, StakedToken_NothingLacking, StakedToken_NothingSealed,
            StakedToken_NothingToCollect, StakedToken_NothingToDelegate, StakedToken_NothingToRebalance,
            StakedToken_NothingToSkim, StakedToken_WindowUsedUp, StakedToken_ZeroShares,
        },
    },
    model::{Exit, LiquidModel},
    terms::{BPS, MAX_FEE_BPS, MIN_DELEGATION, MOST_DRAWN, MOST_SKIPPED, ROUNDING_MARGIN},
};
use crate::{
    integer::{mul_div_down, mul_div_up},
    refusal::Refusal,
    stake::WAD,
};

impl LiquidModel {
    /// Does `action` on synced books, all of it or nothing.
    pub fn act<T>(&mut self, action: impl FnOnce(&mut Self) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut next = self.synced();
        let result = action(&mut next)?;
        *self = next;
        Ok(result)
    }

    /// `who` deposits `assets`. Returns shares.
    pub fn deposit(&mut self, who: Address, assets: U256) -> Result<U256, Refusal> {
        let shares = self.to_shares_down(assets);
        self.enter(who, assets, shares)?;
        Ok(shares)
    }

    /// `who` buys `shares`. Returns token wei.
    pub fn mint(&mut self, who: Address, shares: U256) -> Result<U256, Refusal> {
        let assets = self.to_assets_up(shares);
        self.enter(who, assets, shares)?;
        Ok(assets)
    }

    fn enter(&mut self, who: Address, assets: U256, shares: U256) -> Result<(), Refusal> {
        if let Some(refusal) = self.closed() {
            return Err(refusal);
        }
        let maximum = self.deposit_limit();
        if assets > maximum {
            return Err(StakedToken_DepositTooLarge { assets, maximum }.into());
        }
        if shares.is_zero() && !assets.is_zero() {
            return Err(StakedToken_ZeroShares { assets }.into());
        }
        self.buffer += assets;
        self.balance += assets;
        *self.shares.entry(who).or_default() += shares;
        Ok(())
    }

    /// `who` leaves at once with `net` token wei. Returns shares.
    pub fn withdraw(&mut self, caller: Address, net: U256, who: Address) -> Result<U256, Refusal> {
        let gross = self.fee().gross(net);
        let shares = self.to_shares_up(gross);
        self.leave(caller, who, net, gross, shares)?;
        Ok(shares)
    }

    /// `who` leaves at once with `shares`. Returns token wei.
    pub fn redeem(&mut self, caller: Address, shares: U256, who: Address) -> Result<U256, Refusal> {
        let gross = self.to_assets_down(shares);
        let net = self.fee().net(gross);
        self.leave(caller, who, net, gross, shares)?;
        Ok(net)
    }

    fn leave(&mut self, caller: Address, who: Address, net: U256, gross: U256, shares: U256) -> Result<(), Refusal> {
        if let Some(refusal) = self.closed() {
            return Err(refusal);
        }
        let available = self.free();
        if net > available {
            return Err(StakedToken_BufferTooLow { asked: net, available }.into());
        }
        if !net.is_zero() {
            let (total, left) = (self.total(), self.window_left());
            let Some(part) = mul_div_up(net, WAD, total) else { return Err(FullMulDivFailed {}.into()) };
            if part > left {
                let available = mul_div_down(left, total, WAD).unwrap_or_default();
                return Err(StakedToken_WindowUsedUp { asked: net, available }.into());
            }
            let used = U256::from(self.terms.window_bps) * WAD / BPS - left;
            self.window = (used + part, self.stake.now);
        }
        self.spend_allowance(who, caller, shares)?;
        self.burn(who, shares)?;
        self.buffer -= net;
        self.balance -= net;
        if gross != net {
            self.drip.add(gross - net, self.terms.drip_seconds, self.stake.now);
        }
        Ok(())
    }

    /// The queue turns `shares` into an exit. Returns what it is owed.
    pub fn seal_exit(&mut self, shares: U256) -> Result<U256, Refusal> {
        let assets = self.to_assets_down(shares);
        self.burn(self.terms.queue, shares)?;
        self.exits.push(Exit { assets, epoch: self.stake.epoch(), sealed_at: self.stake.now });
        self.supply_exits()?;
        Ok(assets)
    }

    /// The oldest exit is paid to the queue. Returns the amount.
    pub fn release_exit(&mut self) -> Result<U256, Refusal> {
        let Some(exit) = self.exits.get(self.released) else { return Err(StakedToken_NothingSealed {}.into()) };
        let (asked, until) = (exit.assets, self.payable_from(exit));
        if self.stake.now < until {
            return Err(StakedToken_ExitHeld { until: U256::from(until) }.into());
        }
        if asked > self.buffer {
            return Err(StakedToken_BufferTooLow { asked, available: self.buffer }.into());
        }
        self.buffer -= asked;
        self.balance -= asked;
        self.exits[self.released].assets = U256::ZERO;
        self.released += 1;
        Ok(asked)
    }

    /// Claims the rewards of `ids`, up to `most` credits of each. Returns the gain. What is credited at once vests over as many
    /// epochs at least, also if it is claimed in parts.
    pub fn harvest(&mut self, ids: &[u32], most: usize) -> U256 {
        let (mut gain, mut seconds) = (U256::ZERO, self.terms.drip_seconds);
        let now = self.stake.now;
        for id in ids {
            let since = self.since.get(id).copied().unwrap_or_default();
            let rewards = self.rewards.entry(*id).or_default();
            let from = if rewards.paid == 0 { since } else { rewards.paid };
            let mut part = U256::ZERO;
            for (amount, epoch) in rewards.pending.drain(..most.min(rewards.pending.len())) {
                part += amount;
                rewards.paid = epoch;
            }
            if part.is_zero() {
                continue;
            }
            let all = u64::from(rewards.credited.saturating_sub(from)) * self.stake.terms.epoch_seconds;
            let own = all.min(self.terms.max_drip_seconds);
            if own > self.terms.drip_seconds {
                rewards.vests_until = rewards.vests_until.max(now + own);
            }
            seconds = seconds.max(own).max(rewards.vests_until.saturating_sub(now));
            gain += part;
        }
        self.balance += gain;
        self.gain(gain, seconds);
        gain
    }

    /// Books what arrived by itself. Returns it.
    pub fn skim(&mut self) -> Result<U256, Refusal> {
        let gain = self.balance.saturating_sub(self.buffer);
        if gain.is_zero() {
            return Err(StakedToken_NothingToSkim {}.into());
        }
        self.gain(gain, self.terms.max_drip_seconds);
        Ok(gain)
    }

    /// Gains first make up for losses; of the rest a part is the fee; all that is not vests.
    fn gain(&mut self, gain: U256, seconds: u64) {
        if gain.is_zero() {
            return;
        }
        let refill = gain.min(self.loss_carry);
        let fee = (gain - refill) * U256::from(self.fee_bps) / BPS;
        self.loss_carry -= refill;
        self.fees += fee;
        self.buffer += gain;
        self.drip.add(gain - fee, seconds, self.stake.now);
    }

    /// Stakes what the buffer can spare. Returns operator and amount.
    pub fn delegate(&mut self) -> Result<(u32, U256), Refusal> {
        let available = self.delegatable();
        let (id, amount) = if available < MIN_DELEGATION { (0, U256::ZERO) } else { self.next_delegation(available) };
        if amount < MIN_DELEGATION {
            return Err(StakedToken_NothingToDelegate { available }.into());
        }
        self.stake.delegate(self.terms.token, id, amount)?;
        let epoch = self.stake.epoch();
        self.since.entry(id).or_insert(epoch);
        let worth = self.stake.pool(id).value(self.terms.token);
        let active = self.active.entry(id).or_default();
        *active = (*active + amount).min(worth);
        self.buffer -= amount;
        self.balance -= amount;
        Ok((id, amount))
    }

    /// Takes out what an operator has too much. Returns token wei.
    pub fn rebalance(&mut self, id: u32) -> Result<U256, Refusal> {
        let amount = self.excess_of(id);
        if amount.is_zero() {
            return Err(StakedToken_NothingToRebalance { id }.into());
        }
        self.take_out(id, amount)?;
        Ok(amount)
    }

    /// Takes out what exits lack. Returns token wei.
    pub fn replenish(&mut self) -> Result<U256, Refusal> {
        let amount = self.supply_exits()?;
        if amount.is_zero() { Err(StakedToken_NothingLacking {}.into()) } else { Ok(amount) }
    }

    fn supply_exits(&mut self) -> Result<U256, Refusal> {
        let lack = self.lack();
        if lack.is_zero() {
            return Ok(lack);
        }
        let mut sum = U256::ZERO;
        for (id, amount) in self.plan_exit(lack + U256::from(ROUNDING_MARGIN), MOST_DRAWN) {
            sum += self.take_out(id, amount)?;
        }
        Ok(sum)
    }

    /// Undelegates as few units as are worth `amount`, all of them if that is all that is booked; books no more than the
    /// vault would pay.
    fn take_out(&mut self, id: u32, amount: U256) -> Result<U256, Refusal> {
        let token = self.terms.token;
        let before = self.active_of(id);
        let amount = amount.min(before);
        if amount.is_zero() {
            return Ok(amount);
        }
        let pool = self.stake.pool(id);
        let held = pool.units_of(token);
        let units = if amount == before {
            held
        } else {
            mul_div_up(amount, pool.units(), pool.tokens).unwrap_or(held).min(held)
        };
        let (_, cohort, _) = self.stake.undelegate(token, id, units)?;
        let pool = self.stake.pool(id);
        self.active.insert(id, (before - amount).min(pool.value(token)));
        let worth = pool.cohorts.get(&cohort).map(|cohort| cohort.value(token)).unwrap_or_default();
        // With nothing under way the line of tickets starts anew.
        let first = self.first_ticket.get(&id).copied().unwrap_or_default();
        let last = self.last_ticket.get(&id).copied().unwrap_or_default();
        if first == last && self.ticket_of(id, last).is_zero() {
            self.first_ticket.insert(id, cohort);
        }
        let ticket = self.tickets.entry((id, cohort)).or_default();
        *ticket = (*ticket + amount).min(worth);
        self.last_ticket.insert(id, cohort);
        Ok(amount)
    }

    /// Brings a thawed cohort back. Returns token wei, at most what was booked.
    pub fn collect(&mut self, id: u32, cohort: u32) -> Result<U256, Refusal> {
        let claimed = self.stake.claim(self.terms.token, id, cohort)?;
        let amount = self.tickets.remove(&(id, cohort)).unwrap_or_default().min(claimed);
        self.balance += claimed;
        self.buffer += amount;
        // The next cohort with stake, at most so many further.
        let first = self.first_ticket.get(&id).copied().unwrap_or_default();
        let last = self.last_ticket.get(&id).copied().unwrap_or_default();
        let end = last.min(first + MOST_SKIPPED);
        let next = (first..end).find(|cohort| !self.ticket_of(id, *cohort).is_zero()).unwrap_or(end.max(first));
        self.first_ticket.insert(id, next);
        Ok(amount)
    }

    fn ticket_of(&self, id: u32, cohort: u32) -> U256 {
        self.tickets.get(&(id, cohort)).copied().unwrap_or_default()
    }

    /// Pays the fees that the buffer can spare. Returns token wei.
    pub fn collect_fees(&mut self) -> Result<U256, Refusal> {
        let amount = self.fees.min(self.buffer.saturating_sub(self.owed()));
        if amount.is_zero() {
            return Err(StakedToken_NothingToCollect {}.into());
        }
        self.fees -= amount;
        self.buffer -= amount;
        self.balance -= amount;
        self.collected += amount;
        Ok(amount)
    }

    /// Governance sets the fee on gains.
    pub fn set_fee(&mut self, fee_bps: u16) -> Result<(), Refusal> {
        if fee_bps > MAX_FEE_BPS {
            let (actual, maximum) = (U256::from(fee_bps), U256::from(MAX_FEE_BPS));
            return Err(StakedToken_FeeTooHigh { feeBps: actual, maximum }.into());
        }
        self.fee_bps = fee_bps;
        Ok(())
    }

    /// The cover fund books what it was sent, on synced books: slashes before are not paid by it. Returns token wei.
    pub fn book_cover(&mut self) -> Result<U256, Refusal> {
        let amount = std::mem::take(&mut self.cover_sent);
        if amount.is_zero() {
            return Err(CoverFund_NothingToBook {}.into());
        }
        self.cover += amount;
        Ok(amount)
    }
}
