//! Vault and model side by side.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, U256};
use eyre::Result;
use rand::rngs::StdRng;
use rota_bindings::{
    Guardian, NativeToken, SequencerRegistry,
    StakeVault::{self, StakeVault_NotSlasher},
};

use super::{
    Cause, Operation, Part, StakeModel, StakeWorld, check_properties,
    model::{ALL_LATER, SlashEntry, Status, StatusChange, Trace, WAD},
    world::{DEPLOYER, ESCROW, SEQUENCER_SET, SLASHER},
};
use crate::{
    chain::{Chain, Look},
    history::{Pair, choose},
    refusal::{Refusal, agree},
};

/// Name and outcome of an operation, and what it may change.
type Step = (&'static str, Result<(), Refusal>, Cause);

/// There was nothing to choose from.
const NOTHING: Step = ("nothing", Ok(()), Cause::Other);

/// The vault and its model at one moment of a history.
pub struct StakePair<'a> {
    world: &'a StakeWorld,
    chain: Chain,
    model: StakeModel,
    donated: U256,
    purses: BTreeMap<Address, U256>,
}

impl<'a> StakePair<'a> {
    /// Before anything happened.
    pub fn new(world: &'a StakeWorld) -> Self {
        let (chain, model) = (Chain::resume(&world.start), world.model.clone());
        Self { world, chain, model, donated: U256::ZERO, purses: BTreeMap::new() }
    }

    fn step(&mut self, operation: &Operation) -> Result<Step> {
        let (vault, registry) = (self.world.vault, self.world.registry);
        Ok(match *operation {
            Operation::Delegate { who, id, amount } => {
                let who = StakeWorld::person(who);
                let expected = self.model.delegate(who, id, amount);
                if expected.is_ok() {
                    *self.purse(who) -= amount;
                }
                let actual = self.chain.call(who, vault, &StakeVault::delegateCall { id, amount })?;
                ("delegate", agree(expected, actual)?.map(drop), Cause::Own { id, who })
            }
            Operation::Undelegate { pick, part } => {
                let held = self.model.pools.iter().flat_map(|(id, pool)| {
                    pool.holders.iter().filter(|(_, holder)| !holder.units.is_zero()).map(|(who, _)| (*who, *id))
                });
                let Some((who, id)) = choose(held, pick) else { return Ok(NOTHING) };
                self.undelegate(who, id, part)?
            }
            Operation::UndelegateFrom { who, id, part } => self.undelegate(StakeWorld::person(who), id, part)?,
            Operation::Claim { pick } => {
                let held = self.model.pools.iter().flat_map(|(id, pool)| {
                    pool.cohorts.iter().flat_map(|(epoch, cohort)| cohort.shares.keys().map(|who| (*who, *id, *epoch)))
                });
                let Some((who, id, epoch)) = choose(held, pick) else { return Ok(NOTHING) };
                self.claim(who, id, epoch)?
            }
            Operation::ClaimFrom { who, id, back } => {
                self.claim(StakeWorld::person(who), id, self.model.epoch().saturating_sub(back))?
            }
            Operation::Slash { id, back, span, fraction } => {
                let sigma = self.model.epoch().saturating_sub_signed(back);
                let before = sigma.saturating_add(span);
                let expected = self.model.slash(id, sigma, before, fraction);
                let call = StakeVault::slashCall { id, sigma, before, fractionWad: fraction };
                let actual = self.chain.call(SLASHER, vault, &call)?;
                let name = if span == ALL_LATER { "slash" } else { "slash those who left" };
                (name, agree(expected, actual)?.map(drop), Cause::Slash(SlashEntry { id, sigma, before, fraction }))
            }
            Operation::SlashByStranger { id } => {
                let caller = StakeWorld::person(0);
                let expected: Result<U256, Refusal> = Err(StakeVault_NotSlasher { caller }.into());
                let call =
                    StakeVault::slashCall { id, sigma: self.model.epoch(), before: ALL_LATER, fractionWad: U256::ONE };
                (
                    "slash by a stranger",
                    agree(expected, self.chain.call(caller, vault, &call)?)?.map(drop),
                    Cause::Other,
                )
            }
            Operation::Jail { id } => {
                let expected = self.model.change_status(id, Status::Jailed, |status| match status {
                    Status::Active => StatusChange::Allowed,
                    _ => StatusChange::Ignored,
                });
                let actual = self.chain.call(SLASHER, registry, &SequencerRegistry::jailCall { id })?;
                ("jail", agree(expected, actual.map(|_| ()))?, Cause::Other)
            }
            Operation::Tombstone { id } => {
                let expected = self.model.change_status(id, Status::Tombstoned, |_| StatusChange::Allowed);
                let actual = self.chain.call(SLASHER, registry, &SequencerRegistry::tombstoneCall { id })?;
                ("tombstone", agree(expected, actual.map(|_| ()))?, Cause::Other)
            }
            Operation::Unjail { id } => {
                let expected = self.model.change_status(id, Status::Active, |status| match status {
                    Status::Jailed => StatusChange::Allowed,
                    _ => StatusChange::Refused,
                });
                let owner = self.owner(id);
                let actual = self.chain.call(owner, registry, &SequencerRegistry::unjailCall { id })?;
                ("unjail", agree(expected, actual.map(|_| ()))?, Cause::Other)
            }
            Operation::Retire { id } => {
                let expected = self.model.change_status(id, Status::Retired, |status| match status {
                    Status::Active | Status::Jailed => StatusChange::Allowed,
                    _ => StatusChange::Refused,
                });
                let owner = self.owner(id);
                let actual = self.chain.call(owner, registry, &SequencerRegistry::retireCall { id })?;
                ("retire", agree(expected, actual.map(|_| ()))?, Cause::Other)
            }
            Operation::HandOver { id, to } => {
                let to = StakeWorld::person(to);
                let Some(operator) = self.model.operators.get_mut(&id) else {
                    return Ok(("hand over", Ok(()), Cause::Other));
                };
                let from = std::mem::replace(&mut operator.owner, to);
                self.chain.must(from, registry, &SequencerRegistry::transferOwnershipCall { id, to })?;
                self.chain.must(to, registry, &SequencerRegistry::acceptOwnershipCall { id })?;
                ("hand over", Ok(()), Cause::Other)
            }
            Operation::SetMaxPool { limit } => {
                let expected = self.model.set_max_pool(limit);
                let actual = self.chain.call(DEPLOYER, vault, &StakeVault::setMaxPoolCall { limit })?;
                ("set the largest pool", agree(expected, actual.map(|_| ()))?, Cause::Other)
            }
            Operation::SetOwnerRoom { room } => {
                self.model.owner_room = room;
                self.chain.must(SEQUENCER_SET, vault, &StakeVault::setOwnerRoomCall { minimum: room })?;
                ("set the owner's room", Ok(()), Cause::Other)
            }
            Operation::Pause { seconds } => {
                let expected = self.model.pause(seconds);
                let call = Guardian::pauseCall { duration: seconds };
                let actual = self.chain.call(DEPLOYER, self.world.guardian, &call)?;
                ("pause", agree(expected, actual.map(|_| ()))?, Cause::Other)
            }
            Operation::Donate { amount } => {
                self.donated += amount;
                let call = NativeToken::transferCall { to: vault, value: amount };
                self.chain.must(DEPLOYER, self.world.token, &call)?;
                ("donate", Ok(()), Cause::Other)
            }
            Operation::Advance { seconds } => {
                self.model.now += seconds;
                self.chain.warp(self.model.now);
                ("advance", Ok(()), Cause::Other)
            }
        })
    }

    fn purse(&mut self, who: Address) -> &mut U256 {
        self.purses.entry(who).or_insert(U256::from(StakeWorld::PURSE) * WAD)
    }

    fn undelegate(&mut self, who: Address, id: u32, part: Part) -> Result<Step> {
        let burned = part.of(self.model.pool(id).units_of(who));
        let expected = self.model.undelegate(who, id, burned);
        let actual = self.chain.call(who, self.world.vault, &StakeVault::undelegateCall { id, burned })?;
        let actual = actual.map(|r| (r.amount, r.cohortEpoch, r.shares));
        Ok(("undelegate", agree(expected, actual)?.map(drop), Cause::Own { id, who }))
    }

    fn claim(&mut self, who: Address, id: u32, epoch: u32) -> Result<Step> {
        let expected = self.model.claim(who, id, epoch);
        if let Ok(amount) = &expected {
            *self.purse(who) += *amount;
        }
        let call = StakeVault::claimCall { id, cohortEpoch: epoch };
        let actual = self.chain.call(who, self.world.vault, &call)?;
        Ok(("claim", agree(expected, actual)?.map(drop), Cause::Own { id, who }))
    }

    fn owner(&self, id: u32) -> Address {
        self.model.operators.get(&id).map_or(DEPLOYER, |operator| operator.owner)
    }

    /// What belongs to no pool.
    fn compare_sums(&mut self) -> Result<()> {
        let vault = self.world.vault;
        let model = &self.model;
        let mut see = Look::at(&mut self.chain, vault);
        see.same(&StakeVault::totalStakedCall {}, model.staked())?;
        see.same(&StakeVault::slashSeqCall {}, U256::from(model.slashes.len()))?;
        see.same(&StakeVault::maxPoolCall {}, model.max_pool)?;
        see.same(&StakeVault::ownerRoomCall {}, model.owner_room)?;
        self.compare_balance(vault, self.model.held() + self.donated)?;
        self.compare_balance(ESCROW, self.model.slashed)
    }

    fn compare_balance(&mut self, account: Address, expected: U256) -> Result<()> {
        let mut see = Look::at(&mut self.chain, self.world.token);
        see.same(&NativeToken::balanceOfCall { account }, expected)
    }

    /// All views of pool `id`; of past epochs only if `past`.
    fn compare_pool(&mut self, id: u32, past: bool) -> Result<()> {
        let model = &self.model;
        let pool = model.pool(id);
        let epoch = model.epoch();
        let mut see = Look::at(&mut self.chain, self.world.vault);
        see.like(&StakeVault::poolCall { id }, (pool.tokens, pool.units()), |r| (r.tokens, r.supply))?;
        for key in keys(&pool.trace, epoch, past) {
            see.like(&StakeVault::poolAtCall { id, epoch: key }, pool.trace.at(key), |r| (r.tokens, r.supply))?;
        }
        if let Some(operator) = model.operators.get(&id) {
            let owner = operator.owner;
            for key in [epoch, epoch + 2] {
                let bond = pool.value_at(owner, key);
                see.same(&StakeVault::selfBondAtCall { id, epoch: key }, bond)?;
                let backing = (pool.trace.at(key).0, bond);
                see.like(&StakeVault::backingAtCall { id, owner, epoch: key }, backing, |r| (r.tokens, r.selfBond))?;
            }
        }
        let oldest = if past { 0 } else { epoch.saturating_sub(StakeWorld::UNBONDING_EPOCHS + 3) };
        for cohort_epoch in oldest..=epoch + 1 {
            let cohort = pool.cohorts.get(&cohort_epoch).cloned().unwrap_or_default();
            let call = StakeVault::thawOfCall { id, cohortEpoch: cohort_epoch };
            see.like(&call, (cohort.tokens, cohort.supply()), |r| (r.tokens, r.shares))?;
            for who in (0..StakeWorld::PEOPLE).map(StakeWorld::person) {
                let shares = cohort.shares.get(&who).copied().unwrap_or_default();
                if cohort.shares.is_empty() && !past {
                    continue;
                }
                see.same(&StakeVault::thawSharesOfCall { id, cohortEpoch: cohort_epoch, who }, shares)?;
            }
        }
        for who in (0..StakeWorld::PEOPLE).map(StakeWorld::person) {
            let holder = pool.holders.get(&who).cloned().unwrap_or_default();
            let position = (holder.units, pool.value(who));
            see.like(&StakeVault::positionOfCall { id, who }, position, |r| (r.held, r.value))?;
            let count = U256::from(holder.trace.0.len());
            see.same(&StakeVault::unitsCheckpointCountCall { id, who }, count)?;
            for key in keys(&holder.trace, epoch, past) {
                see.same(&StakeVault::unitsAtCall { id, who, epoch: key }, holder.trace.at(key))?;
            }
            if past {
                see.same(&StakeVault::unitsCall { id, who }, holder.units)?;
                for (index, point) in holder.trace.0.iter().enumerate() {
                    let call = StakeVault::unitsCheckpointAtCall { id, who, index: U256::from(index) };
                    see.like(&call, *point, |r| (r.epoch, r.held))?;
                }
            }
        }
        Ok(())
    }
}

impl Pair for StakePair<'_> {
    type Operation = Operation;

    fn draw(random: &mut StdRng) -> Operation {
        Operation::draw(random)
    }

    fn apply(&mut self, operation: &Operation) -> Result<String> {
        let before = self.model.clone();
        let (name, outcome, cause) = self.step(operation)?;
        let outcome = match outcome {
            Ok(()) => {
                check_properties(&before, &self.model, cause)?;
                format!("{name}: done")
            }
            Err(refusal) => format!("{name}: {}", refusal.name()),
        };
        self.compare_sums()?;
        let (Cause::Own { id, .. } | Cause::Slash(SlashEntry { id, .. })) = cause else { return Ok(outcome) };
        self.compare_pool(id, false)?;
        if let Cause::Own { who, .. } = cause {
            let purse = *self.purse(who);
            self.compare_balance(who, purse)?;
        }
        Ok(outcome)
    }

    fn finish(&mut self) -> Result<()> {
        self.compare_sums()?;
        for id in 1..=StakeWorld::OPERATORS + 1 {
            self.compare_pool(id, true)?;
        }
        for who in (0..StakeWorld::PEOPLE).map(StakeWorld::person) {
            let purse = *self.purse(who);
            self.compare_balance(who, purse)?;
        }
        for (number, slash) in self.model.slashes.iter().enumerate() {
            let mut see = Look::at(&mut self.chain, self.world.vault);
            let call = StakeVault::slashAtCall { seq: U256::from(number + 1) };
            let entry = (slash.id, slash.sigma, slash.before, slash.fraction);
            see.like(&call, entry, |r| (r.id, r.sigma, r.before, r.fractionWad))?;
        }
        Ok(())
    }

    fn expected() -> Vec<String> {
        let done = [
            "delegate",
            "undelegate",
            "claim",
            "slash",
            "slash those who left",
            "jail",
            "unjail",
            "retire",
            "tombstone",
            "pause",
            "donate",
            "hand over",
            "set the largest pool",
        ];
        let refused = [
            "delegate: StakeVault_Paused",
            "delegate: StakeVault_ZeroAmount",
            "delegate: StakeVault_OperatorNotAccepting",
            "delegate: StakeVault_PoolFull",
            "delegate: StakeVault_OwnersRoom",
            "delegate: StakeVault_PoolWipedOut",
            "delegate: StakeVault_TooManyUnits",
            "undelegate: StakeVault_ZeroUnits",
            "undelegate: StakeVault_InsufficientUnits",
            "claim: StakeVault_ClaimTooEarly",
            "claim: StakeVault_NothingToClaim",
            "slash: StakeVault_InvalidFraction",
            "slash: StakeVault_FutureSet",
            "slash those who left: StakeVault_InvalidRange",
            "slash by a stranger: StakeVault_NotSlasher",
            "set the largest pool: StakeVault_InvalidMaxPool",
        ];
        done.iter().map(|name| format!("{name}: done")).chain(refused.map(str::to_owned)).collect()
    }
}

/// Epochs at which a trace is asked: around the present, and in the past around each of its changes.
fn keys<T>(trace: &Trace<T>, epoch: u32, past: bool) -> BTreeSet<u32> {
    let present = epoch..=epoch + 3;
    let changes = trace.0.iter().filter(|_| past).flat_map(|(key, _)| [key - 1, *key, key + 1]);
    present.chain(changes).chain(past.then_some(0)).collect()
}
