//! What is due for the staked token. Each question stands alone: one that L1 does not answer costs only the chores that
//! follow from its answer.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{U256, utils::Unit},
    providers::Provider as _,
};
use eyre::Result;
use rota_bindings::{
    CoverFund, SlashEscrow,
    generated::liquid_lens::ILiquidLens::{Due as State, OperatorStake, Ticket},
};

use super::{LiquidChore, SLASHES};
use crate::{connection::Network, events::Search, keeper::chores::Due};

/// Operators harvested by one transaction.
const HARVEST_PAGE: usize = 16;
/// Operators whose tickets one question asks for.
const TICKETS_PAGE: usize = 16;
/// L1 blocks searched again for stake that was taken out, in case of a reorganisation or an endpoint that lags.
const OVERLAP: u64 = 128;
/// Longest that one chore waits for another: for the crediting of an epoch, as a harvest before its end has to be repeated;
/// for a seal and for what exits lack, as they change what can be moved. It costs gas not to wait, and no more.
const PATIENCE: Duration = Duration::from_secs(600);

/// Least worth moving, wei: a hundredth of a token, so that nobody can make keepers pay for dust.
fn worth_moving(amount: U256) -> bool {
    amount >= Unit::ETHER.wei() / U256::from(100)
}

/// Something that other chores wait for.
#[derive(Debug, Default)]
struct Ahead(Option<Instant>);

impl Ahead {
    /// Whether they wait still: not when it has been due for so long that it seems stuck.
    fn holds_up(&mut self, due: bool, now: Instant) -> bool {
        if !due {
            self.0 = None;
            return false;
        }
        now.duration_since(*self.0.get_or_insert(now)) < PATIENCE
    }
}

/// What a keeper remembers of liquid staking between two looks at L1.
#[derive(Debug, Default)]
pub(in crate::keeper) struct Memory {
    /// Operators that stake was taken from and that may still hold some of it, listed or not.
    thawing: BTreeSet<u32>,
    /// L1 block up to which they were searched for.
    searched: Option<u64>,
    /// Rewards that are due to be credited.
    crediting: Ahead,
    /// A batch that is due to be sealed.
    sealing: Ahead,
    /// What exits lack.
    replenishing: Ahead,
}

impl Memory {
    /// Looks for operators that stake was taken from since the last look.
    async fn search(&mut self, network: &Network) -> Result<()> {
        let newest = network.l1.get_block_number().await?;
        let deployed = network.deployment.deployed_at_block;
        let from = self.searched.map_or(deployed, |searched| searched.saturating_sub(OVERLAP).max(deployed));
        let search = Search { what: "stake that was taken out", blocks: from..=newest, visible: false };
        let found = search.all(&network.staked_token().StakeUndelegated_filter()).await?;
        self.thawing.extend(found.into_iter().map(|(event, _)| event.id));
        self.searched = Some(newest);
        Ok(())
    }

    /// Stake on its way back. Operators that hold none are asked no more, until stake is taken from them again.
    async fn tickets(&mut self, network: &Network, listed: Option<&[OperatorStake]>, due: &mut Due) -> Vec<Ticket> {
        let searched = due.answer("from whom stake was taken out", self.search(network).await).is_some();
        let mut asked = self.thawing.clone();
        if !searched {
            // An endpoint that keeps no events leaves at least these.
            asked.extend(listed.unwrap_or_default().iter().map(|operator| operator.id));
        }
        let (ids, mut found): (Vec<u32>, _) = (asked.into_iter().collect(), Vec::new());
        for page in ids.chunks(TICKETS_PAGE) {
            let tickets = network.liquid_lens().tickets(page.to_vec()).call().await;
            let Some(tickets) = due.answer("which stake is on its way back", tickets) else { continue };
            for id in page {
                if !tickets.iter().any(|ticket| ticket.id == *id) {
                    self.thawing.remove(id);
                }
            }
            found.extend(tickets);
        }
        found
    }
}

/// What L1 answered; `None` where it did not.
#[derive(Debug, Default)]
struct Answers {
    /// Timestamp of the newest block.
    now: Option<U256>,
    /// What needs no list.
    state: Option<State>,
    /// Number of the last slash in the books, if others wait.
    synced: Option<U256>,
    /// What the cover fund gets; asked when no slash waits.
    cover: Option<LiquidChore>,
    operators: Option<Vec<OperatorStake>>,
    tickets: Vec<Ticket>,
    /// Oldest sealed batch; asked when it can be paid.
    next: Option<U256>,
    /// The batch that collects requests; asked when it can be sealed.
    open: Option<U256>,
    /// When the next record of the rate is due.
    checkpoint: Option<U256>,
    /// Whether an epoch is being credited: then no rewards are harvested.
    crediting: bool,
    /// Whether a seal comes first: then nothing else takes stake out.
    sealing: bool,
    /// Whether what exits lack comes first: then no stake is moved for other reasons.
    replenishing: bool,
}

/// Adds to `due` what is due for the staked token, in the order it should be done. `crediting`: rewards of an epoch are
/// being credited.
pub(in crate::keeper) async fn look(network: &Network, memory: &mut Memory, crediting: bool, due: &mut Due) {
    let (lens, queue) = (network.liquid_lens(), network.exit_queue());
    let slashes = due.answer("which slashes the staked token knows", slashes(network).await);
    let written = slashes.filter(|slashes| slashes.waiting != U256::ZERO).map(|slashes| slashes.written);
    if let Some(written) = written.filter(|_| slashes.is_some_and(|slashes| slashes.waiting > U256::from(SLASHES))) {
        // Every view and every other chore would apply all of them at once, which L1 may not have the gas for.
        due.chores.push(super::super::Chore::Liquid(LiquidChore::Sync { written }));
        return;
    }
    let now = Instant::now();
    let crediting = memory.crediting.holds_up(crediting, now);
    let mut answers = Answers { synced: written, crediting, ..Answers::default() };
    answers.now = due.answer("for its time", network.l1_time().await).map(U256::from);
    answers.state = due.answer("what is due for the staked token", lens.due().call().await);
    if slashes.is_some() && written.is_none() {
        // Only then: what a slash brings in covers the next one, and what holders lose is no race of transactions.
        answers.cover = due.answer("what the cover fund gets", cover(network).await).flatten();
    }
    if let Some(state) = &answers.state {
        answers.sealing = memory.sealing.holds_up(state.seal, now);
        answers.replenishing = memory.replenishing.holds_up(state.replenish, now);
        if state.finalize {
            answers.next = due.answer("which exits are paid next", queue.nextToFinalise().call().await);
        }
        if state.seal {
            answers.open = due.answer("which exits are open", queue.openBatch().call().await);
        }
    }
    answers.operators = due.answer("where the staked token's stake is", lens.operators().call().await);
    answers.tickets = memory.tickets(network, answers.operators.as_deref(), due).await;
    answers.checkpoint = due.answer("when the rate is recorded", network.rate_feed().checkpointDue().call().await);
    due.chores.extend(chores(answers).into_iter().map(super::super::Chore::Liquid));
}

/// What follows from the answers, in the order it should be done.
fn chores(answers: Answers) -> Vec<LiquidChore> {
    let Answers { now, state, synced, cover, operators, tickets, next, open, checkpoint, .. } = answers;
    let (crediting, sealing, replenishing) = (answers.crediting, answers.sealing, answers.replenishing);
    let operators = operators.unwrap_or_default();
    let mut chores: Vec<_> = synced.map(|written| LiquidChore::Sync { written }).into_iter().collect();
    chores.extend(cover);
    if !crediting {
        let earned: Vec<_> = operators.iter().filter(|operator| !operator.rewards.is_zero()).collect();
        chores.extend(earned.chunks(HARVEST_PAGE).map(|page| LiquidChore::Harvest {
            ids: page.iter().map(|operator| operator.id).collect(),
            rewards: page.iter().map(|operator| operator.rewards).sum(),
        }));
    }
    let thawed = tickets.iter().filter(|ticket| now.is_some_and(|now| ticket.dueAt <= now));
    chores.extend(thawed.map(|ticket| LiquidChore::Collect { id: ticket.id, cohort: ticket.cohortEpoch }));
    if let Some(state) = state {
        if state.skim && worth_moving(state.skimmable) {
            chores.push(LiquidChore::Skim { amount: state.skimmable });
        }
        chores.extend(next.map(|batch| LiquidChore::Finalize { batch }));
        chores.extend(open.map(|batch| LiquidChore::Seal { batch }));
        // Both take stake out, a seal what exits lack as well. Who has too much, and what can be spared, follows from
        // that, and from nothing else that is done here: gains and thawed stake only add to what can be staked.
        if state.replenish && !sealing {
            chores.push(LiquidChore::Replenish { lacking: state.lacking });
        }
        if !sealing && !replenishing {
            let above = operators.iter().filter(|operator| !operator.excess.is_zero());
            chores.extend(above.map(|operator| LiquidChore::Rebalance { id: operator.id, excess: operator.excess }));
            if state.delegate {
                chores.push(LiquidChore::Delegate { amount: state.delegatable });
            }
        }
    }
    let recorded = checkpoint.filter(|due_at| now.is_some_and(|now| *due_at <= now));
    chores.extend(recorded.map(|due_at| LiquidChore::Checkpoint { due_at }));
    chores
}

/// Slashes in the log of the stake vault, and in the staked token's books.
#[derive(Clone, Copy, Debug)]
struct Slashes {
    /// Number of the last one in the books.
    written: U256,
    /// How many came after it.
    waiting: U256,
}

/// Asked for by itself: the other views apply all that wait, and so may fail when very many do.
async fn slashes(network: &Network) -> Result<Slashes> {
    let written = network.staked_token().syncedSlashes().call().await?;
    let logged = network.vault().slashSeq().call().await?;
    Ok(Slashes { written, waiting: logged.saturating_sub(written) })
}

async fn cover(network: &Network) -> Result<Option<LiquidChore>> {
    let contracts = &network.deployment.contracts;
    let escrow = SlashEscrow::new(contracts.slash_escrow, network.l1.clone());
    let amount = escrow.coverBalance().call().await?;
    if worth_moving(amount) {
        return Ok(Some(LiquidChore::WithdrawCover { amount }));
    }
    let held = CoverFund::new(contracts.cover_fund, network.l1.clone()).held().call().await?;
    let balance = network.token().balanceOf(contracts.cover_fund).call().await?;
    let amount = balance.saturating_sub(held);
    Ok(worth_moving(amount).then_some(LiquidChore::BookCover { amount }))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use alloy::{
        primitives::Address,
        sol_types::{SolCall as _, SolEvent as _},
    };
    use rota_bindings::{ExitQueue, LiquidLens, NativeToken, RateFeed, StakeVault, StakedToken};

    use super::*;
    use crate::{
        connection::WriteArgs,
        fake_l1::{FakeL1, NEWEST, NOW},
        submit::Submitter,
    };

    /// An L1 on which everything is due that can be due at once, and the network it belongs to.
    async fn l1() -> (Arc<FakeL1>, Network) {
        let (fake, network) = FakeL1::start().await;
        fake.tell::<LiquidLens::dueCall>(&state());
        fake.tell::<LiquidLens::operatorsCall>(&vec![operator(1)]);
        fake.tell::<LiquidLens::ticketsCall>(&vec![ticket(3)]);
        fake.tell::<SlashEscrow::coverBalanceCall>(&token(1));
        fake.tell::<CoverFund::heldCall>(&U256::ZERO);
        fake.tell::<NativeToken::balanceOfCall>(&U256::ZERO);
        fake.tell::<ExitQueue::nextToFinaliseCall>(&token(0));
        fake.tell::<ExitQueue::openBatchCall>(&token(0));
        fake.tell::<RateFeed::checkpointDueCall>(&U256::from(NOW));
        fake.tell::<StakedToken::syncedSlashesCall>(&token(0));
        fake.tell::<StakeVault::slashSeqCall>(&token(0));
        took(&fake, 10, 3);
        (fake, network)
    }

    /// Stake was taken out of operator `id` in a block.
    fn took(fake: &FakeL1, block: u64, id: u32) {
        let event = StakedToken::StakeUndelegated { id, cohortEpoch: 7, amount: token(1) };
        fake.events.lock().unwrap().push((block, event.encode_log_data()));
    }

    fn token(number: u64) -> U256 {
        Unit::ETHER.wei() * U256::from(number)
    }

    fn state() -> State {
        State {
            sync: false,
            seal: false,
            finalize: true,
            delegate: true,
            delegatable: token(5),
            replenish: false,
            lacking: U256::ZERO,
            skim: true,
            skimmable: token(1) / U256::from(100),
        }
    }

    fn operator(id: u32) -> OperatorStake {
        OperatorStake { id, weight: 1, target: token(1), active: token(3), excess: token(2), rewards: token(1) }
    }

    fn ticket(id: u32) -> Ticket {
        Ticket { id, cohortEpoch: 7, amount: token(1), dueAt: U256::from(NOW) }
    }

    async fn names(network: &Network, memory: &mut Memory) -> (Vec<&'static str>, Option<String>) {
        let mut due = Due::default();
        look(network, memory, false, &mut due).await;
        let names = due.chores.iter().map(crate::keeper::Chore::name).collect();
        (names, due.failed.map(|error| format!("{error:#}")))
    }

    const ALL: [&str; 8] =
        ["withdraw-cover", "harvest", "collect", "skim", "finalize-exits", "rebalance", "delegate", "checkpoint"];

    #[tokio::test]
    async fn a_question_that_fails_costs_only_what_follows_from_its_answer() {
        let (fake, network) = l1().await;
        assert_eq!(names(&network, &mut Memory::default()).await, (ALL.to_vec(), None));
        let without = async |lost: &[&str]| {
            let (found, failed) = names(&network, &mut Memory::default()).await;
            let left: Vec<_> = ALL.into_iter().filter(|name| !lost.contains(name)).collect();
            assert_eq!(found, left);
            assert!(failed.unwrap().contains("asking L1 "), "without {lost:?}");
        };
        let of_state = ["skim", "finalize-exits", "rebalance", "delegate"];
        for (selector, lost) in [
            (LiquidLens::dueCall::SELECTOR, &of_state[..]),
            (LiquidLens::operatorsCall::SELECTOR, &["harvest", "rebalance"]),
            (LiquidLens::ticketsCall::SELECTOR, &["collect"]),
            (SlashEscrow::coverBalanceCall::SELECTOR, &["withdraw-cover"]),
            (StakedToken::syncedSlashesCall::SELECTOR, &["withdraw-cover"]),
            (StakeVault::slashSeqCall::SELECTOR, &["withdraw-cover"]),
            (ExitQueue::nextToFinaliseCall::SELECTOR, &["finalize-exits"]),
            (RateFeed::checkpointDueCall::SELECTOR, &["checkpoint"]),
        ] {
            let answer = fake.calls.lock().unwrap().remove(&selector).unwrap();
            without(lost).await;
            fake.calls.lock().unwrap().insert(selector, answer);
        }
        for (method, lost) in [("eth_getBlockByNumber", &["collect", "checkpoint"][..]), ("eth_blockNumber", &[])] {
            let answer = fake.methods.lock().unwrap().remove(method).unwrap();
            without(lost).await;
            fake.methods.lock().unwrap().insert(method, answer);
        }
    }

    #[tokio::test]
    async fn only_operators_that_stake_comes_back_from_are_asked_for_it() {
        let (fake, network) = l1().await;
        let (mut memory, ids) = (Memory::default(), Arc::new(Mutex::new(Vec::new())));
        let answered = |answer: Vec<Ticket>| {
            let ids = Arc::clone(&ids);
            fake.tell_by::<LiquidLens::ticketsCall>(move |call| {
                ids.lock().unwrap().extend(call.ids);
                answer.clone()
            });
        };
        let mut asked = async |network: &Network| {
            names(network, &mut memory).await;
            std::mem::take(&mut *ids.lock().unwrap())
        };
        answered(vec![ticket(3)]);
        assert_eq!(asked(&network).await, [3]);
        assert_eq!(asked(&network).await, [3], "found once, remembered until it is collected");
        answered(vec![]);
        assert_eq!(asked(&network).await, [3]);
        assert!(asked(&network).await.is_empty(), "nothing is left with it");
        took(&fake, NEWEST, 4);
        assert_eq!(asked(&network).await, [4]);
        // An endpoint without events: at least the listed ones.
        fake.methods.lock().unwrap().remove("eth_getLogs");
        assert_eq!(asked(&network).await, [1]);
    }

    #[tokio::test]
    async fn many_slashes_are_applied_in_parts_before_anything_else() {
        let (fake, network) = l1().await;
        fake.tell::<StakedToken::syncedSlashesCall>(&U256::from(3));
        fake.tell::<StakeVault::slashSeqCall>(&U256::from(3 + SLASHES));
        let found = names(&network, &mut Memory::default()).await;
        assert_eq!(found.0[..2], ["sync", "harvest"], "few: no chore is kept from being done, and no cover is booked");
        assert_eq!(found.0.len(), ALL.len());
        // More: the views that apply them all are not even asked.
        fake.tell::<StakeVault::slashSeqCall>(&U256::from(4 + SLASHES));
        assert!(fake.calls.lock().unwrap().remove(&LiquidLens::dueCall::SELECTOR).is_some());
        assert_eq!(names(&network, &mut Memory::default()).await, (vec!["sync"], None));
    }

    #[tokio::test]
    async fn what_no_contract_refuses_is_not_paid_for_after_somebody_else_did_it() {
        let (fake, network) = l1().await;
        let args = WriteArgs { dry_run: true, from: Some(Address::ZERO), ..WriteArgs::default() };
        let by = Submitter::new(&network, &args).await.unwrap();
        let outcome = async |chore: &LiquidChore| {
            super::super::perform(&network, &by, chore, "it").await.map_err(|error| format!("{error:#}"))
        };
        let sync = LiquidChore::Sync { written: U256::from(3) };
        fake.tell::<StakedToken::syncedSlashesCall>(&U256::from(4));
        assert_eq!(outcome(&sync).await.unwrap_err(), "somebody else applied slashes meanwhile");
        let harvest = LiquidChore::Harvest { ids: vec![1, 2], rewards: token(1) };
        let earned = |id, rewards| OperatorStake { rewards, ..operator(id) };
        fake.tell::<LiquidLens::operatorsCall>(&vec![earned(1, U256::ZERO), earned(3, token(1))]);
        assert_eq!(outcome(&harvest).await.unwrap_err(), "somebody else harvested meanwhile");
        // Otherwise L1 is asked, which does not know these calls here.
        fake.tell::<StakedToken::syncedSlashesCall>(&U256::from(3));
        assert!(outcome(&sync).await.unwrap_err().contains("execution reverted"));
        fake.tell::<LiquidLens::operatorsCall>(&vec![earned(1, U256::ZERO), earned(2, token(1))]);
        assert!(outcome(&harvest).await.unwrap_err().contains("execution reverted"));
    }

    fn answers(state: State) -> Answers {
        let (sealing, replenishing) = (state.seal, state.replenish);
        let open = state.seal.then_some(U256::from(9));
        Answers {
            now: Some(U256::from(NOW)),
            state: Some(state),
            operators: Some(vec![operator(1)]),
            tickets: vec![ticket(1)],
            next: Some(U256::from(8)),
            open,
            sealing,
            replenishing,
            ..Answers::default()
        }
    }

    #[test]
    fn stake_is_moved_whatever_comes_in_meanwhile() {
        let moved = |answers| {
            let chores = chores(answers);
            let moves = chores
                .iter()
                .filter(|chore| matches!(chore, LiquidChore::Rebalance { id: 1, .. } | LiquidChore::Delegate { .. }));
            moves.count()
        };
        // Gifts, rewards, thawed stake, exits to pay: none of them changes with whom there is too much or too little.
        assert_eq!(moved(answers(state())), 2);
        // A seal and what exits lack do: both take stake out.
        assert_eq!(moved(answers(State { seal: true, ..state() })), 0);
        assert_eq!(moved(answers(State { replenish: true, lacking: token(1), ..state() })), 0);
        assert_eq!(moved(answers(State { delegate: false, ..state() })), 1);
    }

    #[test]
    fn a_seal_takes_out_what_exits_lack() {
        let both_due = || State { seal: true, replenish: true, lacking: token(1), ..state() };
        let found: Vec<_> = chores(answers(both_due())).iter().map(LiquidChore::name).collect();
        assert_eq!(found, ["harvest", "collect", "skim", "finalize-exits", "seal"]);
        // A seal that is stuck holds nothing up.
        let stuck = Answers { sealing: false, ..answers(both_due()) };
        let found: Vec<_> = chores(stuck).iter().map(LiquidChore::name).collect();
        assert_eq!(found, ["harvest", "collect", "skim", "finalize-exits", "seal", "replenish"]);
        let stuck = Answers { sealing: false, replenishing: false, ..answers(both_due()) };
        let found: Vec<_> = chores(stuck).iter().map(LiquidChore::name).collect();
        assert_eq!(found[4..], ["seal", "replenish", "rebalance", "delegate"]);
        let lacking = State { replenish: true, lacking: token(1), ..state() };
        let found: Vec<_> = chores(answers(lacking)).iter().map(LiquidChore::name).collect();
        assert_eq!(found, ["harvest", "collect", "skim", "finalize-exits", "replenish"]);
    }

    #[test]
    fn a_chore_waits_for_another_but_not_for_ever() {
        let (mut ahead, start) = (Ahead::default(), Instant::now());
        assert!(!ahead.holds_up(false, start));
        assert!(ahead.holds_up(true, start));
        assert!(ahead.holds_up(true, start + PATIENCE - Duration::from_secs(1)));
        assert!(!ahead.holds_up(true, start + PATIENCE));
        assert!(!ahead.holds_up(false, start + PATIENCE));
        assert!(ahead.holds_up(true, start + 2 * PATIENCE), "another time, another wait");
        assert!(chores(Answers { crediting: true, ..answers(state()) }).iter().all(|chore| chore.name() != "harvest"));
    }

    #[tokio::test]
    async fn a_seal_that_fails_for_long_does_not_keep_stake_from_being_moved() {
        let (fake, network) = l1().await;
        fake.tell::<LiquidLens::dueCall>(&State { seal: true, ..state() });
        let mut memory = Memory::default();
        let moved = |names: &[&str]| names.contains(&"rebalance") && names.contains(&"delegate");
        assert!(!moved(&names(&network, &mut memory).await.0));
        memory.sealing.0 = Instant::now().checked_sub(PATIENCE);
        let (found, _) = names(&network, &mut memory).await;
        assert!(moved(&found) && found.contains(&"seal"), "{found:?}");
    }

    #[test]
    fn amounts_do_not_make_a_chore_another() {
        let delegate = |amount| LiquidChore::Delegate { amount: token(amount) };
        assert_ne!(delegate(1), delegate(2));
        assert_eq!(delegate(1).key(), delegate(2).key());
        let collect = |id, cohort| LiquidChore::Collect { id, cohort }.key();
        assert_ne!(collect(1, 2), collect(2, 1));
    }
}
