//! Liquid staking and its model side by side.

use std::{collections::BTreeMap, fmt::Debug};

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use eyre::{Result, ensure};
use rand::rngs::StdRng;
use rota_bindings::{Guardian, NativeToken, SequencerRegistry, StakeVault};

use super::{
    abi::{Allocator, ChargeBook, CoverFund, ExitQueue, RewardBox, StakedToken},
    model::{LiquidModel, Rewards},
    operation::{Operation, Size},
    properties::{check_state, check_step},
    queue::FIRST,
    views::{compare_allocator, compare_books, compare_queue, compare_token},
    world::{LiquidWorld, TREASURY},
};
use crate::{
    chain::{Chain, Look},
    history::{Pair, choose},
    refusal::{Refusal, agree},
    stake::{ALL_LATER, DEPLOYER, ESCROW, SEQUENCER_SET, SLASHER, StakeModel, StakeWorld, Status, StatusChange, WAD},
};

/// Name and outcome of an operation.
type Step = (&'static str, Result<(), Refusal>);

/// There was nothing to choose from.
const NOTHING: Step = ("nothing", Ok(()));

/// Every how many operations all views are compared; the books are after each.
const THOROUGH: usize = 15;

/// The contracts and their model at one moment of a history.
pub struct LiquidPair<'a> {
    world: &'a LiquidWorld,
    chain: Chain,
    model: LiquidModel,
    purses: BTreeMap<Address, U256>,
    steps: usize,
}

impl<'a> LiquidPair<'a> {
    /// Before anything happened.
    pub fn new(world: &'a LiquidWorld) -> Self {
        let (chain, model) = (Chain::resume(&world.start), world.model.clone());
        let mut purses = BTreeMap::new();
        for who in (0..StakeWorld::PEOPLE).map(StakeWorld::person) {
            let bonded: U256 = model.stake.pools.values().map(|pool| pool.units_of(who)).sum();
            purses.insert(who, U256::from(StakeWorld::PURSE) * WAD - bonded);
        }
        Self { world, chain, model, purses, steps: 0 }
    }

    /// `caller` calls the staked token, which on synced books does `action`. Returns what both agree on.
    fn act<C: SolCall, T: PartialEq + Debug>(
        &mut self,
        caller: Address,
        call: &C,
        action: impl FnOnce(&mut LiquidModel) -> Result<T, Refusal>,
        read: impl FnOnce(C::Return) -> T,
    ) -> Result<Result<T, Refusal>> {
        self.act_at(caller, self.world.token, call, |model| model.act(action), read)
    }

    /// `caller` calls the contract `to`, for which the model does `action`. Returns what both agree on.
    fn act_at<C: SolCall, T: PartialEq + Debug>(
        &mut self,
        caller: Address,
        to: Address,
        call: &C,
        action: impl FnOnce(&mut LiquidModel) -> Result<T, Refusal>,
        read: impl FnOnce(C::Return) -> T,
    ) -> Result<Result<T, Refusal>> {
        let expected = action(&mut self.model);
        let actual = self.chain.call(caller, to, call)?.map(read);
        agree(expected, actual)
    }

    /// One of those who hold shares, or a person without if nobody does.
    fn holder(&self, who: usize) -> Address {
        let people = (0..StakeWorld::PEOPLE).map(StakeWorld::person);
        let holders: Vec<_> = people.filter(|who| !self.model.shares_of(*who).is_zero()).collect();
        holders.get(who % holders.len().max(1)).copied().unwrap_or_else(|| StakeWorld::person(who))
    }

    fn pay(&mut self, who: Address, amount: U256) {
        *self.purses.entry(who).or_default() += amount;
    }

    fn charge(&mut self, who: Address, amount: U256) {
        *self.purses.entry(who).or_default() -= amount;
    }

    fn step(&mut self, operation: &Operation) -> Result<Step> {
        let person = StakeWorld::person;
        Ok(match *operation {
            Operation::Deposit { who, size } => ("deposit", self.deposit(person(who), size)?),
            Operation::Mint { who, size } => ("mint", self.mint(person(who), size)?),
            Operation::DepositAtQueue { who, size } => {
                let (who, assets) = (person(who), size.of(self.max_deposit()));
                let call = ExitQueue::depositCall { assets, receiver: who };
                let to = self.world.queue;
                let done = self.act_at(who, to, &call, |model| model.act(|m| m.deposit(who, assets)), |r| r)?;
                if done.is_ok() {
                    self.charge(who, assets);
                }
                ("deposit at the queue", done.map(drop))
            }
            Operation::Withdraw { who, size } => ("withdraw", self.withdraw(self.holder(who), size)?),
            Operation::Redeem { who, size } => ("redeem", self.redeem(self.holder(who), size)?),
            Operation::RedeemOfOther { who, owner, part } => {
                let (who, owner) = (person(who), self.holder(owner));
                let shares = part.of(self.model.synced().max_redeem(owner));
                let call = StakedToken::redeemCall { shares, receiver: who, owner };
                let done = self.act(who, &call, |model| model.redeem(who, shares, owner), |r| r)?;
                if let Ok(assets) = done {
                    self.pay(who, assets);
                }
                ("redeem for another", done.map(drop))
            }
            Operation::Transfer { from, to, part } => {
                let (from, to) = (self.holder(from), person(to));
                let value = part.of(self.model.shares_of(from));
                let call = StakedToken::transferCall { to, value };
                let at = self.world.token;
                let done = self.act_at(from, at, &call, |model| model.move_shares(from, to, value), |_| ())?;
                ("transfer", done)
            }
            Operation::Request { who, controller, part } => {
                let owner = self.holder(who);
                ("request", self.request(owner, person(controller), owner, part.of(self.model.shares_of(owner)))?)
            }
            Operation::RequestOfOther { who, owner, part } => {
                let (who, owner) = (person(who), self.holder(owner));
                let shares = part.of(self.model.shares_of(owner)).min(self.model.shares_of(owner));
                ("request for another", self.request(who, who, owner, shares)?)
            }
            Operation::Cancel { who, back, part } => {
                let who = person(who);
                let number = self.model.queue.open().saturating_sub(back);
                let shares = part.of(self.model.queue.request(number, who));
                let call = ExitQueue::cancelRedeemCall {
                    requestId: U256::from(number + FIRST),
                    shares,
                    receiver: who,
                    controller: who,
                };
                let to = self.world.queue;
                ("cancel", self.act_at(who, to, &call, |model| model.cancel(who, number, shares, who), |_| ())?)
            }
            Operation::Seal => {
                let read = |r: ExitQueue::sealReturn| (r.requestId, r.assets);
                let action = |model: &mut LiquidModel| model.act(LiquidModel::seal).map(|(n, a)| (U256::from(n), a));
                let done = self.act_at(DEPLOYER, self.world.queue, &ExitQueue::sealCall {}, action, read)?;
                ("seal", done.map(drop))
            }
            Operation::Finalize => {
                let read = |r: ExitQueue::finalizeReturn| (r.requestId, r.assets);
                let action =
                    |model: &mut LiquidModel| model.act(LiquidModel::finalize).map(|(n, a)| (U256::from(n), a));
                let done = self.act_at(DEPLOYER, self.world.queue, &ExitQueue::finalizeCall {}, action, read)?;
                ("finalize", done.map(drop))
            }
            Operation::ClaimRequest { pick } => {
                let queue = &self.model.queue;
                let claims = queue.batches.iter().take(queue.finalised).enumerate().flat_map(|(number, batch)| {
                    batch.requests.iter().filter(|(_, s)| !s.is_zero()).map(move |(who, _)| (number, *who))
                });
                let Some((number, who)) = choose(claims, pick) else { return Ok(NOTHING) };
                ("claim a request", self.claim(who, number, who)?)
            }
            Operation::ClaimAtRandom { who, controller, number } => {
                ("claim at random", self.claim(person(who), number, person(controller))?)
            }
            Operation::RedeemClaims { who, size } => {
                let who = person(who);
                let shares = size.of(self.model.queue.max_redeem(who));
                let call = ExitQueue::redeemCall { shares, receiver: who, controller: who };
                let to = self.world.queue;
                let done = self.act_at(who, to, &call, |model| model.redeem_claims(shares, who), |r| r)?;
                if let Ok(assets) = done {
                    self.pay(who, assets);
                }
                ("redeem claims", done.map(drop))
            }
            Operation::WithdrawClaims { who, size } => {
                let who = person(who);
                let assets = size.of(self.model.queue.max_withdraw(who));
                let call = ExitQueue::withdrawCall { assets, receiver: who, controller: who };
                let to = self.world.queue;
                let done = self.act_at(who, to, &call, |model| model.withdraw_claims(assets, who), |r| r)?;
                if done.is_ok() {
                    self.pay(who, assets);
                }
                ("withdraw claims", done.map(drop))
            }
            _ => return self.keep(operation),
        })
    }

    /// What keepers, governance and the world around do.
    fn keep(&mut self, operation: &Operation) -> Result<Step> {
        let (native, cover) = (self.world.stake.token, self.world.cover);
        Ok(match operation.clone() {
            Operation::Delegate => {
                let done =
                    self.act(DEPLOYER, &StakedToken::delegateCall {}, LiquidModel::delegate, |r| (r.id, r.amount))?;
                ("delegate", done.map(drop))
            }
            Operation::Rebalance { id } => {
                let call = StakedToken::rebalanceCall { id };
                ("rebalance", self.act(DEPLOYER, &call, |model| model.rebalance(id), |r| r)?.map(drop))
            }
            Operation::Replenish => {
                let call = StakedToken::replenishCall {};
                ("replenish", self.act(DEPLOYER, &call, LiquidModel::replenish, |r| r)?.map(drop))
            }
            Operation::Collect { pick } => {
                let Some((id, cohort)) = choose(self.model.tickets.keys().copied(), pick) else { return Ok(NOTHING) };
                let call = StakedToken::collectCall { id, cohortEpoch: cohort };
                ("collect", self.act(DEPLOYER, &call, |model| model.collect(id, cohort), |r| r)?.map(drop))
            }
            Operation::CollectFees => {
                let call = StakedToken::collectFeesCall {};
                ("collect fees", self.act(DEPLOYER, &call, LiquidModel::collect_fees, |r| r)?.map(drop))
            }
            Operation::Sync { most } => {
                self.model.sync(most.into());
                let call = StakedToken::syncCall { maxSlashes: U256::from(most) };
                self.chain.must(DEPLOYER, self.world.token, &call)?;
                ("sync", Ok(()))
            }
            Operation::Credit { id, amount, back } => {
                let epoch = self.model.stake.epoch().saturating_sub(back);
                let rewards = self.model.rewards.entry(id).or_default();
                rewards.pending.push_back((amount, epoch));
                rewards.credited = epoch;
                self.chain.must(
                    DEPLOYER,
                    native,
                    &NativeToken::transferCall { to: self.world.rewards, value: amount },
                )?;
                self.chain.must(DEPLOYER, self.world.rewards, &RewardBox::creditCall { id, amount, epoch })?;
                ("credit", Ok(()))
            }
            Operation::Harvest { ids, most } => {
                let call = StakedToken::harvestCall { ids: ids.clone(), maxSegments: U256::from(most) };
                let action = |model: &mut LiquidModel| Ok(model.harvest(&ids, most.into()));
                ("harvest", self.act(DEPLOYER, &call, action, |r| r)?.map(drop))
            }
            Operation::Donate { amount } => {
                self.model.balance += amount;
                let call = NativeToken::transferCall { to: self.world.token, value: amount };
                self.chain.must(DEPLOYER, native, &call)?;
                ("donate", Ok(()))
            }
            Operation::Skim => {
                ("skim", self.act(DEPLOYER, &StakedToken::skimCall {}, LiquidModel::skim, |r| r)?.map(drop))
            }
            Operation::FundCover { amount } => {
                self.model.cover_sent += amount;
                self.chain.must(DEPLOYER, native, &NativeToken::transferCall { to: cover, value: amount })?;
                ("fund the cover", Ok(()))
            }
            Operation::BookCover => {
                let call = CoverFund::bookCall {};
                let action = |model: &mut LiquidModel| model.act(LiquidModel::book_cover);
                ("book the cover", self.act_at(DEPLOYER, cover, &call, action, |r| r)?.map(drop))
            }
            Operation::SetFee { bps } => {
                let call = StakedToken::setFeeCall { feeBps: bps, recipient: TREASURY };
                let to = self.world.token;
                ("set the fee", self.act_at(DEPLOYER, to, &call, |model| model.set_fee(bps), |_| ())?)
            }
            Operation::SetWeight { id, weight } => {
                let call = Allocator::setWeightCall { id, weight };
                let to = self.world.allocator;
                ("set a weight", self.act_at(DEPLOYER, to, &call, |model| model.set_weight(id, weight), |_| ())?)
            }
            Operation::Unlist { id } => {
                let call = Allocator::unlistCall { id };
                let to = self.world.allocator;
                ("unlist", self.act_at(DEPLOYER, to, &call, |model| model.unlist(id), |_| ())?)
            }
            _ => return self.surround(operation),
        })
    }

    /// What happens in the staking contracts below, and time.
    fn surround(&mut self, operation: &Operation) -> Result<Step> {
        let (vault, registry) = (self.world.stake.vault, self.world.stake.registry);
        Ok(match *operation {
            Operation::Slash { id, back, span, fraction } => {
                let sigma = self.model.stake.epoch().saturating_sub_signed(back);
                let before = sigma.saturating_add(span);
                let call = StakeVault::slashCall { id, sigma, before, fractionWad: fraction };
                let slash = |model: &mut LiquidModel| model.stake.slash(id, sigma, before, fraction);
                let done = self.act_at(SLASHER, vault, &call, slash, |r| r)?;
                (if span == ALL_LATER { "slash" } else { "slash those who left" }, done.map(drop))
            }
            Operation::OthersDelegate { who, id, amount } => {
                let who = StakeWorld::person(who);
                let call = StakeVault::delegateCall { id, amount };
                let done = self.act_at(who, vault, &call, |model| model.stake.delegate(who, id, amount), |r| r)?;
                if done.is_ok() {
                    self.charge(who, amount);
                }
                ("others delegate", done.map(drop))
            }
            Operation::OthersUndelegate { pick, part } => {
                let token = self.world.token;
                let held = self.model.stake.pools.iter().flat_map(|(id, pool)| {
                    pool.holders
                        .iter()
                        .filter(|(who, h)| !h.units.is_zero() && **who != token)
                        .map(|(who, _)| (*who, *id))
                });
                let Some((who, id)) = choose(held, pick) else { return Ok(NOTHING) };
                let burned = part.of(self.model.stake.pool(id).units_of(who));
                let call = StakeVault::undelegateCall { id, burned };
                let action = |model: &mut LiquidModel| model.stake.undelegate(who, id, burned);
                let done = self.act_at(who, vault, &call, action, |r| (r.amount, r.cohortEpoch, r.shares))?;
                ("others undelegate", done.map(drop))
            }
            Operation::ConvictOther { id, due } => {
                self.model.convicted_at = self.model.stake.now;
                if due {
                    self.model.due.insert(id);
                } else {
                    self.model.due.remove(&id);
                }
                self.chain.must(DEPLOYER, self.world.charges, &ChargeBook::convictOtherCall { id, due })?;
                ("convict another", Ok(()))
            }
            Operation::Accuse { id } => {
                *self.model.charges.entry(id).or_default() += 1;
                self.chain.must(DEPLOYER, self.world.charges, &ChargeBook::accuseCall { id })?;
                ("accuse", Ok(()))
            }
            Operation::CloseCharge => {
                let Some((&id, open)) = self.model.charges.iter_mut().find(|(_, open)| **open != 0) else {
                    return Ok(NOTHING);
                };
                *open -= 1;
                self.chain.must(DEPLOYER, self.world.charges, &ChargeBook::closeCall { id })?;
                ("close a charge", Ok(()))
            }
            Operation::Jail { id } => {
                self.change_status(id, Status::Jailed, |status| status == Status::Active);
                self.chain.must(SLASHER, registry, &SequencerRegistry::jailCall { id })?;
                let epoch = self.model.stake.epoch();
                self.model.jailed.insert(id, epoch);
                self.chain.must(DEPLOYER, self.world.charges, &ChargeBook::jailedCall { id, epoch })?;
                ("jail", Ok(()))
            }
            Operation::Unjail { id } => {
                let Some(operator) = self.model.stake.operators.get(&id).copied() else { return Ok(NOTHING) };
                if operator.status != Status::Jailed {
                    return Ok(NOTHING);
                }
                self.change_status(id, Status::Active, |_| true);
                self.chain.must(operator.owner, registry, &SequencerRegistry::unjailCall { id })?;
                ("unjail", Ok(()))
            }
            Operation::Tombstone { id } => {
                self.change_status(id, Status::Tombstoned, |_| true);
                self.chain.must(SLASHER, registry, &SequencerRegistry::tombstoneCall { id })?;
                ("tombstone", Ok(()))
            }
            Operation::SetOwnerRoom { room } => {
                self.model.stake.owner_room = room;
                self.chain.must(SEQUENCER_SET, vault, &StakeVault::setOwnerRoomCall { minimum: room })?;
                ("set the owner's room", Ok(()))
            }
            Operation::Pause { seconds } => {
                let call = Guardian::pauseCall { duration: seconds };
                let action = |model: &mut LiquidModel| model.stake.pause(seconds);
                ("pause", self.act_at(DEPLOYER, self.world.stake.guardian, &call, action, |_| ())?)
            }
            Operation::Advance { seconds } => {
                self.model.stake.now += seconds;
                self.chain.warp(self.model.stake.now);
                ("advance", Ok(()))
            }
            _ => NOTHING,
        })
    }

    fn change_status(&mut self, id: u32, to: Status, from: impl Fn(Status) -> bool) {
        // Registered ids only: nothing is refused.
        let allowed = |status| if from(status) { StatusChange::Allowed } else { StatusChange::Ignored };
        let _ = self.model.stake.change_status(id, to, allowed);
    }

    fn max_deposit(&self) -> U256 {
        let books = self.model.synced();
        if books.closed().is_some() { U256::ZERO } else { books.deposit_limit() }
    }

    /// Q10: the preview asked just before is what the action then comes to.
    fn preview<C: SolCall<Return = U256>>(&mut self, call: &C) -> Result<U256> {
        self.chain.view(self.world.token, call)
    }

    fn deposit(&mut self, who: Address, size: Size) -> Result<Result<(), Refusal>> {
        let maximum = self.max_deposit();
        let assets = size.of(maximum);
        let preview = self.preview(&StakedToken::previewDepositCall { assets })?;
        let call = StakedToken::depositCall { assets, receiver: who };
        let done = self.act(who, &call, |model| model.deposit(who, assets), |r| r)?;
        if let Ok(shares) = done {
            ensure!(preview == shares, "Q10: {preview} shares foreseen, {shares} got");
            self.charge(who, assets);
        }
        Ok(done.map(drop))
    }

    fn mint(&mut self, who: Address, size: Size) -> Result<Result<(), Refusal>> {
        let maximum = self.model.synced().to_shares_down(self.max_deposit());
        let shares = size.of(maximum);
        let preview = self.preview(&StakedToken::previewMintCall { shares })?;
        let call = StakedToken::mintCall { shares, receiver: who };
        let done = self.act(who, &call, |model| model.mint(who, shares), |r| r)?;
        ensure!(done.is_ok() || shares > maximum || maximum.is_zero(), "Q11: {maximum} shares may be minted");
        if let Ok(assets) = done {
            ensure!(preview == assets, "Q10: {preview} token wei foreseen, {assets} asked");
            self.charge(who, assets);
        }
        Ok(done.map(drop))
    }

    fn withdraw(&mut self, who: Address, size: Size) -> Result<Result<(), Refusal>> {
        let maximum = self.model.synced().max_withdraw(who);
        let assets = size.of(maximum);
        let preview = self.preview(&StakedToken::previewWithdrawCall { assets })?;
        let call = StakedToken::withdrawCall { assets, receiver: who, owner: who };
        let done = self.act(who, &call, |model| model.withdraw(who, assets, who), |r| r)?;
        ensure!(done.is_ok() || assets > maximum || maximum.is_zero(), "Q11: {maximum} token wei may be withdrawn");
        if let Ok(shares) = done {
            ensure!(preview == shares, "Q10: {preview} shares foreseen, {shares} taken");
            self.pay(who, assets);
        }
        Ok(done.map(drop))
    }

    fn redeem(&mut self, who: Address, size: Size) -> Result<Result<(), Refusal>> {
        let maximum = self.model.synced().max_redeem(who);
        let shares = size.of(maximum);
        let preview = self.preview(&StakedToken::previewRedeemCall { shares })?;
        let call = StakedToken::redeemCall { shares, receiver: who, owner: who };
        let done = self.act(who, &call, |model| model.redeem(who, shares, who), |r| r)?;
        ensure!(done.is_ok() || shares > maximum || maximum.is_zero(), "Q11: {maximum} shares may be redeemed");
        if let Ok(assets) = done {
            ensure!(preview == assets, "Q10: {preview} token wei foreseen, {assets} got");
            self.pay(who, assets);
        }
        Ok(done.map(drop))
    }

    fn request(
        &mut self,
        caller: Address,
        controller: Address,
        owner: Address,
        shares: U256,
    ) -> Result<Result<(), Refusal>> {
        let call = ExitQueue::requestRedeemCall { shares, controller, owner };
        let action = |model: &mut LiquidModel| model.request(caller, shares, controller, owner).map(U256::from);
        Ok(self.act_at(caller, self.world.queue, &call, action, |r| r)?.map(drop))
    }

    fn claim(&mut self, caller: Address, number: usize, controller: Address) -> Result<Result<(), Refusal>> {
        let call = ExitQueue::claimCall { requestId: U256::from(number + FIRST), receiver: caller, controller };
        let action = |model: &mut LiquidModel| model.claim_request(caller, number, controller);
        let done = self.act_at(caller, self.world.queue, &call, action, |r| r)?;
        if let Ok(assets) = done {
            self.pay(caller, assets);
        }
        Ok(done.map(drop))
    }

    /// Who holds how many native tokens.
    fn compare_balances(&mut self, all: bool) -> Result<()> {
        let (model, world) = (&self.model, self.world);
        // What a slash that is not applied yet will draw from the cover fund still lies there.
        let pending: U256 = model.rewards.values().map(Rewards::sum).sum();
        let below: &StakeModel = &model.stake;
        let mut expected = vec![
            (world.token, model.balance),
            (world.queue, model.queue.balance),
            (world.cover, model.cover + model.cover_sent),
            (world.stake.vault, below.held()),
        ];
        if all {
            expected.extend([(ESCROW, below.slashed), (TREASURY, model.collected), (world.rewards, pending)]);
            expected.extend(self.purses.iter().map(|(who, amount)| (*who, *amount)));
        }
        let mut see = Look::at(&mut self.chain, world.stake.token);
        for (account, amount) in expected {
            see.same(&NativeToken::balanceOfCall { account }, amount)?;
        }
        Ok(())
    }

    fn compare_all(&mut self) -> Result<()> {
        compare_token(&mut self.chain, self.world, &self.model)?;
        compare_allocator(&mut self.chain, self.world, &self.model)?;
        compare_queue(&mut self.chain, self.world, &self.model)?;
        self.compare_balances(true)
    }
}

impl Pair for LiquidPair<'_> {
    type Operation = Operation;

    fn draw(random: &mut StdRng) -> Operation {
        Operation::draw(random)
    }

    fn apply(&mut self, operation: &Operation) -> Result<String> {
        let before = self.model.synced();
        let (name, outcome) = self.step(operation)?;
        self.steps += 1;
        let after = self.model.synced();
        compare_books(&mut self.chain, self.world, &after)?;
        self.compare_balances(false)?;
        if self.steps.is_multiple_of(THOROUGH) {
            self.compare_all()?;
        }
        check_state(&after)?;
        if !matches!(operation, Operation::Advance { .. }) {
            check_step(&before, &after, matches!(operation, Operation::Slash { .. }))?;
        }
        Ok(match outcome {
            Ok(()) => format!("{name}: done"),
            Err(refusal) => format!("{name}: {}", refusal.name()),
        })
    }

    fn finish(&mut self) -> Result<()> {
        self.compare_all()
    }

    fn expected() -> Vec<String> {
        let done = [
            "deposit",
            "mint",
            "deposit at the queue",
            "withdraw",
            "redeem",
            "transfer",
            "request",
            "cancel",
            "seal",
            "finalize",
            "claim a request",
            "redeem claims",
            "withdraw claims",
            "delegate",
            "rebalance",
            "replenish",
            "collect",
            "collect fees",
            "harvest",
            "skim",
            "book the cover",
            "unlist",
            "slash",
            "slash those who left",
        ];
        let refused = [
            "deposit: StakedToken_Paused",
            "deposit: StakedToken_Bunker",
            "deposit: StakedToken_Accused",
            "deposit: StakedToken_DepositTooLarge",
            "withdraw: StakedToken_BufferTooLow",
            "withdraw: StakedToken_WindowUsedUp",
            "withdraw: ERC20InsufficientBalance",
            "redeem for another: ERC20InsufficientAllowance",
            "cancel: ExitQueue_AlreadySealed",
            "cancel: ExitQueue_InsufficientRequest",
            "seal: ExitQueue_NothingToSeal",
            "seal: ExitQueue_SealTooEarly",
            "finalize: StakedToken_NothingSealed",
            "finalize: StakedToken_ExitHeld",
            "finalize: StakedToken_BufferTooLow",
            "claim at random: ExitQueue_NotAuthorized",
            "redeem claims: ExitQueue_NotClaimable",
            "withdraw claims: ExitQueue_NotClaimable",
            "delegate: StakedToken_NothingToDelegate",
            "rebalance: StakedToken_NothingToRebalance",
            "collect: StakeVault_ClaimTooEarly",
            "unlist: Allocator_StillInUse",
        ];
        done.iter().map(|name| format!("{name}: done")).chain(refused.map(str::to_owned)).collect()
    }
}
