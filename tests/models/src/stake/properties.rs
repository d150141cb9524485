//! What must hold of any step of the model, whatever the contract says (F1, F2, F4, F5, S2 of docs/invariants.md).

use alloy_primitives::{Address, U256};
use eyre::{Result, ensure};

use super::model::{ALL_LATER, Pool, SlashEntry, StakeModel, WAD};
use crate::integer::{mul_div_down, mul_div_up};

/// What a step was.
#[derive(Clone, Copy, Debug)]
pub enum Cause {
    /// A slash that went through.
    Slash(SlashEntry),
    /// What `who` did with pool `id`.
    Own {
        /// Operator.
        id: u32,
        /// Delegator.
        who: Address,
    },
    /// Anything else.
    Other,
}

/// Most that rounding moves between holders in one step, wei.
const DUST: u64 = 2;

/// Compares the model before and after a step.
///
/// # Errors
/// With the property that does not hold.
pub fn check_properties(before: &StakeModel, after: &StakeModel, cause: Cause) -> Result<()> {
    ensure!(
        after.paid_in == after.paid_out + after.slashed + after.held(),
        "F2: {} in, {} out, {} slashed, {} held",
        after.paid_in,
        after.paid_out,
        after.slashed,
        after.held()
    );
    for (id, pool) in &after.pools {
        ensure!(pool.tokens <= pool.units(), "pool {id} has more tokens than units");
        for (epoch, cohort) in &pool.cohorts {
            ensure!(cohort.tokens <= cohort.supply(), "cohort {epoch} of {id} has more tokens than shares");
        }
        let earlier = before.pool(*id);
        match cause {
            Cause::Slash(slash) if slash.id == *id => check_slashed(after, &earlier, pool, slash)?,
            Cause::Own { id: acted, who } if acted == *id => check_kept(*id, &earlier, pool, Some(who))?,
            _ => check_kept(*id, &earlier, pool, None)?,
        }
    }
    Ok(())
}

/// F4, F5: no price falls, and whoever did nothing keeps what it had, but for dust.
fn check_kept(id: u32, before: &Pool, after: &Pool, actor: Option<Address>) -> Result<()> {
    let (units, earlier) = (after.units(), before.units());
    if !units.is_zero() && !earlier.is_zero() {
        ensure!(after.tokens * earlier >= before.tokens * units, "F4: the price of pool {id} fell without a slash");
    }
    for who in after.holders.keys().filter(|who| Some(**who) != actor) {
        check_value("F5: stake", id, before.value(*who), after.value(*who), before.value(*who))?;
    }
    for (epoch, cohort) in &after.cohorts {
        let Some(old) = before.cohorts.get(epoch) else { continue };
        if !cohort.supply().is_zero() && !old.supply().is_zero() {
            ensure!(
                cohort.tokens * old.supply() >= old.tokens * cohort.supply(),
                "F4: the price of cohort {epoch} of {id} fell without a slash"
            );
        }
        for who in cohort.shares.keys().filter(|who| Some(**who) != actor) {
            check_value("F5: thawing stake", id, old.value(*who), cohort.value(*who), old.value(*who))?;
        }
    }
    Ok(())
}

/// S2 and the sharing of a slash: all that backed the set, as far as they left before the set it ends at, lose the fraction,
/// whoever and wherever they are; the others lose nothing.
fn check_slashed(model: &StakeModel, before: &Pool, after: &Pool, slash: SlashEntry) -> Result<()> {
    for who in after.holders.keys() {
        let value = before.value(*who);
        let expected = if slash.before == ALL_LATER { less(value, slash.fraction) } else { value };
        check_value("stake", slash.id, expected, after.value(*who), value)?;
    }
    for (epoch, cohort) in &after.cohorts {
        let Some(old) = before.cohorts.get(epoch) else { continue };
        if !model.reaches(slash.sigma, slash.before, *epoch) {
            ensure!(
                cohort.tokens == old.tokens,
                "S2: cohort {epoch} of {} paid for a fault under {}, before {}",
                slash.id,
                slash.sigma,
                slash.before
            );
            continue;
        }
        ensure!(
            old.tokens - cohort.tokens
                >= mul_div_down(old.tokens, slash.fraction, WAD)
                    .unwrap_or_default()
                    .min(old.tokens.saturating_sub(U256::ONE)),
            "S2: cohort {epoch} of {} paid less than the fraction",
            slash.id
        );
        for who in cohort.shares.keys() {
            let value = old.value(*who);
            check_value("thawing stake", slash.id, less(value, slash.fraction), cohort.value(*who), value)?;
        }
    }
    Ok(())
}

fn less(value: U256, fraction: U256) -> U256 {
    value - mul_div_up(value, fraction, WAD).unwrap_or(value)
}

fn check_value(what: &str, id: u32, expected: U256, actual: U256, before: U256) -> Result<()> {
    ensure!(
        expected.abs_diff(actual) <= U256::from(DUST),
        "{what} with {id} was worth {before} and is worth {actual}, not {expected}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::*, *};

    const ALICE: Address = Address::with_last_byte(1);
    const BOB: Address = Address::with_last_byte(2);

    fn wei(amount: u64) -> U256 {
        U256::from(amount)
    }

    /// Alice has 1,000 wei in the pool, Bob 1,000 there and 500 on their way out since the epoch before.
    fn model() -> StakeModel {
        let terms = Terms { genesis: 0, epoch_seconds: 100, unbonding_epochs: 3, max_pool: wei(1_000_000) };
        let operator = Operator { owner: ALICE, status: Status::Active };
        let mut model = StakeModel::new(terms, 1000, BTreeMap::from([(1, operator)]));
        model.delegate(ALICE, 1, wei(1000)).unwrap();
        model.delegate(BOB, 1, wei(1500)).unwrap();
        model.undelegate(BOB, 1, wei(500)).unwrap();
        model.now += 100;
        model
    }

    #[test]
    fn a_slash_takes_the_same_from_all_who_backed_the_set() {
        let before = model();
        let mut after = before.clone();
        assert_eq!(after.slash(1, 11, ALL_LATER, wei(50_000_000_000_000_000)).unwrap(), wei(125));
        let slash = after.slashes[0];
        assert_eq!((after.pool(1).value(ALICE), after.pool(1).value(BOB)), (wei(950), wei(950)));
        assert_eq!(after.pool(1).cohorts[&10].value(BOB), wei(475));
        check_properties(&before, &after, Cause::Slash(slash)).unwrap();
    }

    #[test]
    fn who_left_before_the_fault_does_not_pay() {
        let mut before = model();
        before.now += 100;
        let mut after = before.clone();
        assert_eq!(after.slash(1, 12, ALL_LATER, wei(50_000_000_000_000_000)).unwrap(), wei(100));
        let slash = after.slashes[0];
        check_properties(&before, &after, Cause::Slash(slash)).unwrap();

        after.pools.get_mut(&1).unwrap().cohorts.get_mut(&10).unwrap().tokens -= wei(1);
        after.slashed += wei(1);
        let error = check_properties(&before, &after, Cause::Slash(slash)).unwrap_err();
        assert!(error.to_string().starts_with("S2:"), "{error}");
    }

    #[test]
    fn who_stayed_does_not_pay_for_who_left() {
        let mut before = model();
        before.now += 100;
        let mut after = before.clone();
        assert_eq!(after.slash(1, 10, 12, wei(50_000_000_000_000_000)).unwrap(), wei(25));
        let slash = after.slashes[0];
        check_properties(&before, &after, Cause::Slash(slash)).unwrap();
        assert_eq!(after.clone().slash(1, 10, 11, WAD).unwrap(), U256::ZERO);

        after.pools.get_mut(&1).unwrap().tokens -= wei(100);
        after.slashed += wei(100);
        assert!(check_properties(&before, &after, Cause::Slash(slash)).is_err());
    }

    #[test]
    fn what_is_lost_without_a_slash_is_found() {
        let before = model();
        let mut after = before.clone();
        after.pools.get_mut(&1).unwrap().tokens -= wei(10);
        let error = check_properties(&before, &after, Cause::Other).unwrap_err();
        assert!(error.to_string().starts_with("F2:"), "{error}");
        after.paid_out += wei(10);
        let error = check_properties(&before, &after, Cause::Other).unwrap_err();
        assert!(error.to_string().starts_with("F4:"), "{error}");
    }

    #[test]
    fn uneven_sharing_of_a_slash_is_found() {
        let before = model();
        let mut after = before.clone();
        after.slash(1, 11, ALL_LATER, wei(50_000_000_000_000_000)).unwrap();
        let pool = after.pools.get_mut(&1).unwrap();
        pool.holders.get_mut(&ALICE).unwrap().units -= wei(100);
        pool.holders.get_mut(&BOB).unwrap().units += wei(100);
        let slash = after.slashes[0];
        assert!(check_properties(&before, &after, Cause::Slash(slash)).is_err());
    }
}
