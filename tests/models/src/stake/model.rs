//! The rules of stake, as naively as they can be said: every pool is the list of its holders, every sum is added up when
//! it is asked for, a slash looks at every cohort there ever was.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use rota_bindings::{
    Guardian::Guardian_CoolingDown,
    SequencerRegistry::{SequencerRegistry_UnknownOperator, SequencerRegistry_WrongStatus},
    StakeVault::{
        StakeVault_ClaimTooEarly, StakeVault_FutureSet, StakeVault_InsufficientUnits, StakeVault_InvalidFraction,
        StakeVault_InvalidMaxPool, StakeVault_InvalidRange, StakeVault_NothingToClaim, StakeVault_OperatorNotAccepting,
        StakeVault_OwnersRoom, StakeVault_Paused, StakeVault_PoolFull, StakeVault_PoolWipedOut,
        StakeVault_TooManyUnits, StakeVault_ZeroAmount, StakeVault_ZeroUnits,
    },
};

use super::world::Terms;
use crate::{
    integer::{mul_div_down, mul_div_up},
    refusal::Refusal,
};

/// 100 % of a fraction.
pub const WAD: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

/// In place of the set before which a slash ends: it ends nowhere, and the pool pays, too.
pub const ALL_LATER: u32 = u32::MAX;

/// What is changed in epoch `c` counts from `c + DELAY`.
const DELAY: u32 = 2;

/// Longest pause, and the shortest time between two, seconds.
const MAX_PAUSE: u64 = 72 * 3600;

/// A pool of less, token wei, takes no stake in an epoch in which it was slashed.
const LEAST_PRICED: U256 = U256::from_limbs([1_000_000_000, 0, 0, 0]);

/// `MAX_POOL_CEILING`, whole tokens.
const MAX_POOL_CEILING: u64 = 20_000_000;

/// A value over time: from each key on, until the next, it is the one beside it.
#[derive(Clone, Debug, Default)]
pub struct Trace<T>(pub Vec<(u32, T)>);

impl<T: Copy + Default> Trace<T> {
    fn set(&mut self, key: u32, value: T) {
        self.0.retain(|(other, _)| *other != key);
        self.0.push((key, value));
    }

    /// The value in force in `epoch`.
    pub fn at(&self, epoch: u32) -> T {
        self.0.iter().filter(|(key, _)| *key <= epoch).map(|(_, value)| *value).next_back().unwrap_or_default()
    }
}

/// Life of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Takes stake.
    Active = 1,
    /// Until it is unjailed.
    Jailed = 2,
    /// For ever.
    Retired = 3,
    /// For ever.
    Tombstoned = 4,
}

/// An operator of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// Whose stake is the self bond.
    pub owner: Address,
    /// Its status.
    pub status: Status,
}

/// A delegator in one pool.
#[derive(Clone, Debug, Default)]
pub struct Holder {
    /// Units now.
    pub units: U256,
    /// Units that count, by epoch.
    pub trace: Trace<U256>,
}

/// Stake that left a pool in one epoch.
#[derive(Clone, Debug, Default)]
pub struct Cohort {
    /// Token wei.
    pub tokens: U256,
    /// Whose they are.
    pub shares: BTreeMap<Address, U256>,
}

impl Cohort {
    /// All shares.
    pub fn supply(&self) -> U256 {
        self.shares.values().sum()
    }

    /// Worth of the shares of `who`, token wei.
    pub fn value(&self, who: Address) -> U256 {
        let shares = self.shares.get(&who).copied().unwrap_or_default();
        mul_div_down(shares, self.tokens, self.supply()).unwrap_or_default()
    }
}

/// All stake with one operator.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Token wei.
    pub tokens: U256,
    /// Tokens and units that count, by epoch.
    pub trace: Trace<(U256, U256)>,
    /// Who delegated.
    pub holders: BTreeMap<Address, Holder>,
    /// Stake on its way out, by epoch.
    pub cohorts: BTreeMap<u32, Cohort>,
}

impl Pool {
    /// Units of all holders.
    pub fn units(&self) -> U256 {
        self.holders.values().map(|holder| holder.units).sum()
    }

    /// Units of `who`.
    pub fn units_of(&self, who: Address) -> U256 {
        self.holders.get(&who).map(|holder| holder.units).unwrap_or_default()
    }

    /// What the units of `who` are worth, token wei.
    pub fn value(&self, who: Address) -> U256 {
        mul_div_down(self.units_of(who), self.tokens, self.units()).unwrap_or_default()
    }

    /// Value in `epoch` of the units of `who`, token wei.
    pub fn value_at(&self, who: Address, epoch: u32) -> U256 {
        let (tokens, units) = self.trace.at(epoch);
        let held = self.holders.get(&who).map(|holder| holder.trace.at(epoch)).unwrap_or_default();
        mul_div_down(held, tokens, units).unwrap_or_default()
    }

    fn note(&mut self, epoch: u32) {
        let now = (self.tokens, self.units());
        self.trace.set(epoch + DELAY, now);
    }

    fn change_units(&mut self, who: Address, epoch: u32, units: U256) {
        let holder = self.holders.entry(who).or_default();
        holder.units = units;
        holder.trace.set(epoch + DELAY, units);
    }
}

/// An entry of the slash log.
#[derive(Clone, Copy, Debug)]
pub struct SlashEntry {
    /// Operator.
    pub id: u32,
    /// Set of the fault.
    pub sigma: u32,
    /// Who stayed to back this set does not pay; or `ALL_LATER`.
    pub before: u32,
    /// 1e18 = all.
    pub fraction: U256,
}

/// Everything the vault and the registry know.
#[derive(Clone, Debug)]
pub struct StakeModel {
    /// What does not change.
    pub terms: Terms,
    /// Time, unix seconds.
    pub now: u64,
    /// End of the pause, unix seconds.
    pub paused_until: u64,
    /// Largest pool, token wei.
    pub max_pool: U256,
    /// Kept in each pool for its owner, token wei.
    pub owner_room: U256,
    /// By id.
    pub operators: BTreeMap<u32, Operator>,
    /// By id.
    pub pools: BTreeMap<u32, Pool>,
    /// In order.
    pub slashes: Vec<SlashEntry>,
    /// All that was ever delegated, token wei.
    pub paid_in: U256,
    /// All that was ever claimed, token wei.
    pub paid_out: U256,
    /// All that was ever slashed, token wei.
    pub slashed: U256,
}

impl StakeModel {
    /// No stake yet.
    pub fn new(terms: Terms, now: u64, operators: BTreeMap<u32, Operator>) -> Self {
        Self {
            terms,
            now,
            paused_until: 0,
            max_pool: terms.max_pool,
            owner_room: U256::ZERO,
            operators,
            pools: BTreeMap::new(),
            slashes: Vec::new(),
            paid_in: U256::ZERO,
            paid_out: U256::ZERO,
            slashed: U256::ZERO,
        }
    }

    /// The current epoch.
    pub fn epoch(&self) -> u32 {
        u32::try_from((self.now - self.terms.genesis) / self.terms.epoch_seconds).unwrap_or(u32::MAX)
    }

    /// Pool `id`; an empty one if nobody ever delegated there.
    pub fn pool(&self, id: u32) -> Pool {
        self.pools.get(&id).cloned().unwrap_or_default()
    }

    /// When cohort `cohort` opens, unix seconds.
    pub fn claimable_from(&self, cohort: u32) -> u64 {
        self.terms.genesis + u64::from(cohort + DELAY + self.terms.unbonding_epochs) * self.terms.epoch_seconds
    }

    /// True if a slash reaches a cohort: its stake backed the set `sigma`, not the set `before`, and it did not open before
    /// this epoch.
    pub fn reaches(&self, sigma: u32, before: u32, cohort: u32) -> bool {
        (sigma..before).contains(&(cohort + 1)) && cohort + DELAY + self.terms.unbonding_epochs >= self.epoch()
    }

    /// Token wei in all pools.
    pub fn staked(&self) -> U256 {
        self.pools.values().map(|pool| pool.tokens).sum()
    }

    /// Token wei in all pools and cohorts.
    pub fn held(&self) -> U256 {
        self.pools.values().map(|pool| pool.tokens + pool.cohorts.values().map(|c| c.tokens).sum::<U256>()).sum()
    }

    /// Refuses while paused.
    pub fn is_paused(&self) -> bool {
        self.now < self.paused_until
    }

    /// The guardian pauses for `seconds`.
    pub fn pause(&mut self, seconds: u64) -> Result<(), Refusal> {
        let until = self.paused_until;
        if until != 0 && self.now < until + MAX_PAUSE {
            return Err(Guardian_CoolingDown { pausableFrom: until + MAX_PAUSE }.into());
        }
        self.paused_until = self.now + seconds;
        Ok(())
    }

    /// True if operator `id` takes stake.
    pub fn accepts(&self, id: u32) -> bool {
        self.operators.get(&id).is_some_and(|operator| operator.status == Status::Active)
    }

    /// `who` delegates `amount`. Returns the units.
    pub fn delegate(&mut self, who: Address, id: u32, amount: U256) -> Result<U256, Refusal> {
        if self.is_paused() {
            return Err(StakeVault_Paused {}.into());
        }
        if amount.is_zero() {
            return Err(StakeVault_ZeroAmount {}.into());
        }
        let Some(owner) = self.operators.get(&id).map(|operator| operator.owner).filter(|_| self.accepts(id)) else {
            return Err(StakeVault_OperatorNotAccepting { id }.into());
        };
        let pool = self.pool(id);
        let epoch = self.epoch();
        let tokens = pool.tokens.saturating_add(amount);
        if tokens > self.max_pool {
            return Err(StakeVault_PoolFull { tokens, maximum: self.max_pool }.into());
        }
        let missing = self.owner_room.saturating_sub(pool.value(owner));
        if who != owner && !missing.is_zero() {
            let maximum = self.max_pool.saturating_sub(missing + U256::from(2));
            if tokens > maximum {
                return Err(StakeVault_OwnersRoom { tokens, maximum }.into());
            }
        }
        let supply = pool.units();
        // A pool without a price, or one of next to nothing whose stake of this epoch's cohort was slashed: what came in
        // now could leave only for more shares than can be counted.
        let thinned = pool.cohorts.get(&epoch).is_some_and(|cohort| cohort.tokens < cohort.supply());
        let priceless = pool.tokens.is_zero() && !supply.is_zero();
        if priceless || (pool.tokens < LEAST_PRICED && thinned) {
            return Err(StakeVault_PoolWipedOut { id, units: supply }.into());
        }
        let minted =
            if pool.tokens.is_zero() { amount } else { mul_div_down(amount, supply, pool.tokens).unwrap_or(U256::MAX) };
        let maximum = (U256::ONE << 104) - U256::ONE;
        if supply + minted > maximum {
            return Err(StakeVault_TooManyUnits { units: supply + minted, maximum }.into());
        }

        let pool = self.pools.entry(id).or_default();
        pool.tokens = tokens;
        pool.change_units(who, epoch, pool.units_of(who) + minted);
        pool.note(epoch);
        self.paid_in += amount;
        Ok(minted)
    }

    /// `who` takes `burned` units out. Returns token wei, cohort and shares.
    pub fn undelegate(&mut self, who: Address, id: u32, burned: U256) -> Result<(U256, u32, U256), Refusal> {
        if burned.is_zero() {
            return Err(StakeVault_ZeroUnits {}.into());
        }
        let epoch = self.epoch();
        let held = self.pool(id).units_of(who);
        if burned > held {
            return Err(StakeVault_InsufficientUnits { requested: burned, held }.into());
        }
        let pool = self.pools.entry(id).or_default();
        let amount = mul_div_down(burned, pool.tokens, pool.units()).unwrap_or_default();
        pool.tokens -= amount;
        pool.change_units(who, epoch, held - burned);
        pool.note(epoch);
        if amount.is_zero() {
            return Ok((amount, epoch, U256::ZERO));
        }
        let cohort = pool.cohorts.entry(epoch).or_default();
        let supply = cohort.supply();
        let shares =
            if supply.is_zero() { amount } else { mul_div_down(amount, supply, cohort.tokens).unwrap_or(U256::MAX) };
        cohort.tokens += amount;
        *cohort.shares.entry(who).or_default() += shares;
        Ok((amount, epoch, shares))
    }

    /// `who` claims from a cohort. Returns token wei.
    pub fn claim(&mut self, who: Address, id: u32, epoch: u32) -> Result<U256, Refusal> {
        let from = self.claimable_from(epoch);
        if self.now < from {
            return Err(
                StakeVault_ClaimTooEarly { timestamp: U256::from(self.now), claimableFrom: U256::from(from) }.into()
            );
        }
        let cohort = self.pools.entry(id).or_default().cohorts.entry(epoch).or_default();
        let amount = cohort.value(who);
        if cohort.shares.remove(&who).unwrap_or_default().is_zero() {
            return Err(StakeVault_NothingToClaim { id, cohortEpoch: epoch, who }.into());
        }
        cohort.tokens -= amount;
        self.paid_out += amount;
        Ok(amount)
    }

    /// Takes `fraction` of all that backed `sigma` and left before it could back `before`. Returns token wei.
    pub fn slash(&mut self, id: u32, sigma: u32, before: u32, fraction: U256) -> Result<U256, Refusal> {
        if fraction.is_zero() || fraction > WAD {
            return Err(StakeVault_InvalidFraction { fractionWad: fraction }.into());
        }
        let epoch = self.epoch();
        if sigma > epoch {
            return Err(StakeVault_FutureSet { sigma, currentEpoch: epoch }.into());
        }
        if before <= sigma || (before > epoch && before != ALL_LATER) {
            return Err(StakeVault_InvalidRange { sigma, before }.into());
        }
        let reached: Vec<_> = self.pool(id).cohorts.into_keys().filter(|c| self.reaches(sigma, before, *c)).collect();
        let pool = self.pools.entry(id).or_default();
        let mut taken = U256::ZERO;
        if before == ALL_LATER {
            taken = loss(pool.tokens, fraction);
            pool.tokens -= taken;
            pool.note(epoch);
        }
        for cohort in reached {
            let cohort = pool.cohorts.entry(cohort).or_default();
            let lost = loss(cohort.tokens, fraction);
            cohort.tokens -= lost;
            taken += lost;
        }
        if before == ALL_LATER || !taken.is_zero() {
            self.slashes.push(SlashEntry { id, sigma, before, fraction });
        }
        self.slashed += taken;
        Ok(taken)
    }

    /// Governance changes the largest pool.
    pub fn set_max_pool(&mut self, limit: U256) -> Result<(), Refusal> {
        let ceiling = U256::from(MAX_POOL_CEILING) * WAD;
        if limit.is_zero() || limit > ceiling {
            return Err(StakeVault_InvalidMaxPool { maxPool: limit, ceiling }.into());
        }
        self.max_pool = limit;
        Ok(())
    }

    /// Moves operator `id` to `to` if `from` allows its status.
    pub fn change_status(&mut self, id: u32, to: Status, from: impl Fn(Status) -> StatusChange) -> Result<(), Refusal> {
        let Some(operator) = self.operators.get_mut(&id) else {
            return Err(SequencerRegistry_UnknownOperator { id }.into());
        };
        match from(operator.status) {
            StatusChange::Allowed => operator.status = to,
            StatusChange::Ignored => {}
            StatusChange::Refused => {
                return Err(SequencerRegistry_WrongStatus { id, status: operator.status as u8 }.into());
            }
        }
        Ok(())
    }
}

/// What a change of status does to an operator that is in some other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusChange {
    /// It happens.
    Allowed,
    /// Nothing happens.
    Ignored,
    /// It is an error.
    Refused,
}

/// `fraction` of `tokens`, rounded up, but the last wei only with the whole.
fn loss(tokens: U256, fraction: U256) -> U256 {
    if fraction == WAD || tokens.is_zero() {
        return tokens;
    }
    mul_div_up(tokens, fraction, WAD).unwrap_or(tokens).min(tokens - U256::ONE)
}
