//! What must hold of the books whatever the contract says (Q1, Q3, Q4, Q5, Q6, Q13, Q14 of docs/invariants.md).

use alloy_primitives::U256;
use eyre::{Result, ensure};

use super::model::LiquidModel;

/// Most that roundings of one action move the sum of all assets, wei: two for each call into the stake vault, one for each
/// other step.
const DUST: u64 = 16;

/// Properties of one state, synced.
///
/// # Errors
/// With the property that does not hold.
pub fn check_state(books: &LiquidModel) -> Result<()> {
    ensure!(books.balance >= books.buffer, "Q1: {} held, {} in the buffer", books.balance, books.buffer);
    let all = books.buffer + books.active() + books.thawing();
    let spoken_for = books.owed() + books.locked() + books.fees;
    ensure!(spoken_for + books.total() == all, "Q2: {spoken_for} and {} are not {all}", books.total());
    for (id, active) in &books.active {
        let worth = books.stake.pool(*id).value(books.terms.token);
        ensure!(*active <= worth, "Q3: {active} booked with {id}, the vault would pay {worth}");
    }
    for ((id, cohort), ticket) in &books.tickets {
        let pool = books.stake.pool(*id);
        let worth = pool.cohorts.get(cohort).map(|cohort| cohort.value(books.terms.token)).unwrap_or_default();
        ensure!(*ticket <= worth, "Q3: {ticket} booked in cohort {cohort} of {id}, the vault would pay {worth}");
    }
    for ((id, cohort), ticket) in &books.tickets {
        let first = books.first_ticket.get(id).copied().unwrap_or_default();
        ensure!(*cohort >= first || ticket.is_zero(), "{ticket} in cohort {cohort} of {id}, before the first, {first}");
    }
    let claims: U256 = books
        .queue
        .batches
        .iter()
        .flat_map(|batch| batch.requests.keys())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .map(|who| books.queue.max_withdraw(*who))
        .sum();
    ensure!(claims <= books.queue.balance, "Q4: {claims} claimable, {} held", books.queue.balance);
    let paid = books.exits.iter().take(books.released).all(|exit| exit.assets.is_zero());
    ensure!(paid && books.released == books.queue.finalised, "Q14: exits are paid in order");
    Ok(())
}

/// Properties of a step that took no time, both states synced.
///
/// # Errors
/// With the property that does not hold.
pub fn check_step(old: &LiquidModel, new: &LiquidModel, slashed: bool) -> Result<()> {
    for (number, batch) in old.queue.batches.iter().take(old.queue.finalised).enumerate() {
        let now = &new.queue.batches[number];
        ensure!(now.assets == batch.assets && now.shares == batch.shares, "Q13: batch {number} changed");
    }
    // (total + 1) / (supply + 1), cross-multiplied.
    let one = U256::ONE;
    let (worth, earlier) = ((new.total() + one) * (old.supply() + one), (old.total() + one) * (new.supply() + one));
    // Shares are rounded to one, which is worth what a share is worth.
    let share = (old.total() + one).div_ceil(old.supply() + one);
    let dust = (U256::from(DUST) + share) * (old.supply().max(new.supply()) + one);
    ensure!(slashed || worth + dust >= earlier, "Q5: the rate fell without a slash");
    ensure!(worth <= earlier + dust, "Q6: the rate rose at once");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use alloy_primitives::Address;

    use super::{
        super::terms::{LiquidTerms, SEED},
        *,
    };
    use crate::stake::{ALL_LATER, Operator, StakeModel, Status, Terms, WAD};

    const TOKEN: Address = Address::with_last_byte(1);
    const QUEUE: Address = Address::with_last_byte(2);
    const ALICE: Address = Address::with_last_byte(3);
    const OTHERS: Address = Address::with_last_byte(4);

    fn tokens(amount: u64) -> U256 {
        U256::from(amount) * WAD
    }

    /// Alice has 99 of 100 shares; 95 tokens are staked with one operator.
    fn model() -> LiquidModel {
        let terms = Terms { genesis: 0, epoch_seconds: 100, unbonding_epochs: 3, max_pool: tokens(10_000) };
        let operator = Operator { owner: OTHERS, status: Status::Active };
        let mut stake = StakeModel::new(terms, 1000, BTreeMap::from([(1, operator)]));
        stake.delegate(OTHERS, 1, tokens(1000)).unwrap();
        let terms = LiquidTerms {
            token: TOKEN,
            queue: QUEUE,
            buffer_bps: 500,
            exit_floor_bps: 5,
            exit_span_bps: 200,
            window_bps: 1000,
            window_seconds: 400,
            max_share_bps: 5000,
            bunker_loss_bps: 10_000,
            bunker_epochs: 2,
            drip_seconds: 200,
            max_drip_seconds: 500,
            watch_bps: 1000,
            answer_seconds: 100,
            cap_bps: 10_000,
            ramp_epochs: 0,
        };
        let mut model = LiquidModel::new(terms, stake, Address::ZERO, 1000);
        model.set_weight(1, 100).unwrap();
        model.act(|model| model.deposit(ALICE, tokens(99))).unwrap();
        model.stake.now += 100;
        assert_eq!(model.act(LiquidModel::delegate).unwrap(), (1, tokens(95)));
        model
    }

    #[test]
    fn stayers_and_liable_exits_lose_alike() {
        let mut model = model();
        // Half of Alice's shares leave; they are worth as many tokens, of which the buffer has 5.
        model.request(ALICE, tokens(50), ALICE, ALICE).unwrap();
        model.stake.now += 50;
        model.act(LiquidModel::seal).unwrap();
        let (epoch, sealed) = (model.stake.epoch(), model.exits[0].assets);
        assert_eq!(sealed, tokens(50));
        let before = model.synced();
        model.stake.slash(1, epoch, ALL_LATER, WAD / U256::from(10)).unwrap();
        let after = model.synced();
        check_state(&after).unwrap();
        // 95 of the 100 were with the operator.
        let expected = tokens(50) - tokens(50) * U256::from(95) / U256::from(1000);
        assert!(after.exits[0].assets.abs_diff(expected) < U256::from(10), "{}", after.exits[0].assets);
        assert!(after.total().abs_diff(expected) < U256::from(10), "{}", after.total());
        assert!(check_step(&before, &after, false).unwrap_err().to_string().starts_with("Q5:"));
    }

    #[test]
    fn what_was_sealed_before_the_fault_pays_nothing() {
        let mut model = model();
        model.request(ALICE, tokens(50), ALICE, ALICE).unwrap();
        model.stake.now += 50;
        model.act(LiquidModel::seal).unwrap();
        model.stake.now += 200;
        model.stake.slash(1, model.stake.epoch(), ALL_LATER, WAD / U256::from(10)).unwrap();
        assert_eq!(model.synced().exits[0].assets, tokens(50));
    }

    #[test]
    fn books_beyond_the_vault_and_gains_at_once_are_found() {
        let good = model().synced();
        check_state(&good).unwrap();
        let mut bad = good.clone();
        bad.active.entry(1).and_modify(|active| *active += U256::ONE);
        assert!(check_state(&bad).unwrap_err().to_string().starts_with("Q3:"));
        let mut bad = good.clone();
        bad.buffer += SEED;
        assert!(check_state(&bad).unwrap_err().to_string().starts_with("Q1:"));
        assert!(check_step(&good, &bad, false).unwrap_err().to_string().starts_with("Q6:"));
    }
}
