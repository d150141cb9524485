//! Which operator the stake goes to and comes from.

use alloy_primitives::U256;

use super::{
    abi::Allocator::{Allocator_NotListed, Allocator_OperatorNotAccepting, Allocator_StillInUse},
    model::LiquidModel,
    terms::BPS,
};
use crate::{integer::mul_div_down, refusal::Refusal, stake::Status};

/// The stake vault counts the units of a pool in 104 bits.
const MOST_UNITS: U256 = U256::from_limbs([u64::MAX, (1 << 40) - 1, 0, 0]);

/// Below a gwei the vault does not trust the price of a pool whose cohort was slashed.
const LEAST_PRICED: U256 = U256::from_limbs([1_000_000_000, 0, 0, 0]);

/// An operator the token may stake with.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// Its number.
    pub id: u32,
    /// Its part of the sum of all weights is its part of the stake.
    pub weight: u16,
    /// When it was listed.
    pub since: u32,
}

impl LiquidModel {
    /// Governance lists an operator or changes its weight.
    pub fn set_weight(&mut self, id: u32, weight: u16) -> Result<(), Refusal> {
        if let Some(listed) = self.listed.iter_mut().find(|listed| listed.id == id) {
            listed.weight = weight;
            return Ok(());
        }
        if !self.stake.accepts(id) {
            return Err(Allocator_OperatorNotAccepting { id }.into());
        }
        self.listed.push(Listed { id, weight, since: self.stake.epoch() });
        Ok(())
    }

    /// Anybody takes a drained operator off the list; the last one takes its place.
    pub fn unlist(&mut self, id: u32) -> Result<(), Refusal> {
        let Some(place) = self.listed.iter().position(|listed| listed.id == id) else {
            return Err(Allocator_NotListed { id }.into());
        };
        let (weight, stake) = (self.listed[place].weight, self.synced().liable_of(id));
        if weight != 0 || !stake.is_zero() {
            return Err(Allocator_StillInUse { id, weight, stake }.into());
        }
        self.listed.swap_remove(place);
        Ok(())
    }

    /// True if operator `id` takes stake, or is jailed and stake taken out at its jail would not be back yet.
    fn has_target(&self, id: u32) -> bool {
        let jailed = self.stake.operators.get(&id).is_some_and(|operator| operator.status == Status::Jailed);
        let back = self.jailed.get(&id).map_or(0, |epoch| epoch + 2 + self.stake.terms.unbonding_epochs);
        self.stake.accepts(id) || (jailed && self.stake.epoch() < back)
    }

    /// What should be staked with operator `id`: its weight's part among those that have a target, at most the cap, less
    /// while it ramps up. Token wei.
    pub fn target_of(&self, id: u32) -> U256 {
        let counted = || self.listed.iter().filter(|listed| self.has_target(listed.id));
        let sum: U256 = counted().map(|listed| U256::from(listed.weight)).sum();
        let Some(listed) = counted().find(|listed| listed.id == id) else { return U256::ZERO };
        let stakeable = self.stakeable();
        let part = mul_div_down(stakeable, U256::from(listed.weight), sum).unwrap_or_default();
        let target = part.min(stakeable * U256::from(self.terms.cap_bps) / BPS);
        let (age, ramp) = (self.stake.epoch() - listed.since, self.terms.ramp_epochs);
        if age < ramp { target * U256::from(age) / U256::from(ramp) } else { target }
    }

    /// Where up to `available` token wei go: to the operator with the most room that takes stake and is not accused; the first of
    /// equals.
    pub fn next_delegation(&self, available: U256) -> (u32, U256) {
        let mut best = (0, U256::ZERO);
        let open = |id| self.stake.accepts(id) && !self.is_accused(id);
        for listed in self.listed.iter().filter(|listed| open(listed.id)) {
            let missing = self.target_of(listed.id).saturating_sub(self.active_of(listed.id));
            let room = missing.min(self.pool_takes(listed.id));
            if room > best.1 {
                best = (listed.id, room);
            }
        }
        let amount = best.1.min(available);
        if amount.is_zero() { (0, amount) } else { (best.0, amount) }
    }

    /// What the pool of operator `id` takes from anybody, whatever its owner has bonded: nothing at a price it does not
    /// have, and no more than there can be units for.
    fn pool_takes(&self, id: u32) -> U256 {
        let pool = self.stake.pool(id);
        let limit = self.stake.max_pool.saturating_sub(self.stake.owner_room + U256::from(2));
        let room = limit.saturating_sub(pool.tokens);
        let units = pool.units();
        if pool.tokens < LEAST_PRICED {
            let thawing = pool.cohorts.get(&self.stake.epoch()).cloned().unwrap_or_default();
            if thawing.tokens < thawing.supply() || (pool.tokens.is_zero() && !units.is_zero()) {
                return U256::ZERO;
            }
        }
        if units.is_zero() {
            return room;
        }
        let spare = MOST_UNITS.saturating_sub(units);
        room.min(mul_div_down(spare, pool.tokens, units).unwrap_or_default())
    }

    /// What is spared of the stake with operator `id` while others have more above theirs: nothing of one that earns nothing.
    fn spared(&self, id: u32) -> U256 {
        if self.stake.accepts(id) { self.target_of(id) } else { U256::ZERO }
    }

    /// From where `amount` token wei come: in the order of how far the operators are above their targets (or least
    /// below), each down to a tenth of the target below it; if that is not enough, then in the same order all they have. With
    /// `most` operators at most; if there are others, the second round is left to them.
    pub fn plan_exit(&self, amount: U256, most: usize) -> Vec<(u32, U256)> {
        let mut left = amount;
        let mut waiting: Vec<_> =
            self.listed.iter().map(|listed| listed.id).filter(|id| !self.active_of(*id).is_zero()).collect();
        let mut plan = Vec::new();
        while !left.is_zero() && !waiting.is_empty() && plan.len() < most {
            // How far above, or below; the first of equals.
            let above = |id: &u32| self.active_of(*id).saturating_sub(self.spared(*id));
            let below = |id: &u32| self.spared(*id).saturating_sub(self.active_of(*id));
            let mut best = 0;
            for place in 1..waiting.len() {
                let (held, other) = (&waiting[best], &waiting[place]);
                if above(other) > above(held) || (above(held).is_zero() && below(other) < below(held)) {
                    best = place;
                }
            }
            let id = waiting.remove(best);
            let ready = above(&id) + self.spared(id) / U256::from(10);
            let taken = left.min(ready).min(self.active_of(id));
            left -= taken;
            plan.push((id, taken));
        }
        if !waiting.is_empty() && left != amount {
            return plan;
        }
        for (id, taken) in &mut plan {
            let more = left.min(self.active_of(*id) - *taken);
            *taken += more;
            left -= more;
        }
        plan
    }

    /// What is to be taken from an operator more than a fifth above its target, token wei.
    pub fn excess_of(&self, id: u32) -> U256 {
        let (active, target) = (self.active_of(id), self.target_of(id));
        if active > target + target / U256::from(5) { active - target } else { U256::ZERO }
    }
}
