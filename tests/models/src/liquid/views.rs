//! All that the contracts tell, compared with the model.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use eyre::Result;

use super::{
    abi::{Allocator, Batch, CoverFund, ExitQueue, FaultWatch, Liquidity, Position, StakedToken, Stand},
    model::LiquidModel,
    queue::FIRST,
    world::{LiquidWorld, NOBODY},
};
use crate::{
    chain::{Chain, Look},
    stake::{StakeWorld, WAD},
};

/// The books, given synced, and how far the queue is.
pub fn compare_books(chain: &mut Chain, world: &LiquidWorld, books: &LiquidModel) -> Result<()> {
    let mut see = Look::at(chain, world.token);
    let position = Position {
        buffer: books.buffer,
        active: books.active(),
        thawing: books.thawing(),
        owed: books.owed(),
        locked: books.locked(),
        fees: books.fees,
        lossCarry: books.loss_carry,
        bufferTarget: books.target.0,
        bunkerUntil: U256::from(books.bunker.0),
        bunkerSigma: books.bunker.1,
    };
    see.same(&StakedToken::positionCall {}, position)?;
    see.same(&StakedToken::totalSupplyCall {}, books.supply())?;
    let mut see = Look::at(chain, world.queue);
    see.same(&ExitQueue::openBatchCall {}, U256::from(books.queue.open() + FIRST))?;
    see.same(&ExitQueue::nextToFinaliseCall {}, U256::from(books.queue.finalised + FIRST))?;
    Ok(())
}

/// Every view of the staked token.
pub fn compare_token(chain: &mut Chain, world: &LiquidWorld, model: &LiquidModel) -> Result<()> {
    let books = model.synced();
    let mut see = Look::at(chain, world.token);
    for amount in [U256::ONE, WAD, U256::from(777) * WAD + U256::from(7)] {
        see.same(&StakedToken::previewDepositCall { assets: amount }, books.to_shares_down(amount))?;
        see.same(&StakedToken::convertToSharesCall { assets: amount }, books.to_shares_down(amount))?;
        see.same(&StakedToken::convertToAssetsCall { shares: amount }, books.to_assets_down(amount))?;
        see.same(&StakedToken::previewMintCall { shares: amount }, books.to_assets_up(amount))?;
        see.same(&StakedToken::instantFeeCall { net: amount }, books.fee().of(amount))?;
        let shares = books.to_shares_up(books.fee().gross(amount));
        see.same(&StakedToken::previewWithdrawCall { assets: amount }, shares)?;
        let net = books.fee().net(books.to_assets_down(amount));
        see.same(&StakedToken::previewRedeemCall { shares: amount }, net)?;
    }
    see.same(&StakedToken::totalAssetsCall {}, books.total())?;
    see.same(&StakedToken::syncedSlashesCall {}, U256::from(model.applied))?;
    let range = (U256::from(books.released + FIRST), U256::from(books.exits.len() + FIRST));
    see.like(&StakedToken::exitRangeCall {}, range, |r| (r.head, r.tail))?;
    let open = books.closed().is_none();
    let deposit = if open { books.deposit_limit() } else { U256::ZERO };
    see.same(&StakedToken::maxDepositCall { receiver: NOBODY }, deposit)?;
    see.same(&StakedToken::maxMintCall { receiver: NOBODY }, books.to_shares_down(deposit))?;
    for who in holders(world) {
        see.same(&StakedToken::balanceOfCall { account: who }, books.shares_of(who))?;
        see.same(&StakedToken::maxWithdrawCall { owner: who }, books.max_withdraw(who))?;
        see.same(&StakedToken::maxRedeemCall { owner: who }, books.max_redeem(who))?;
    }
    let liquidity = Liquidity {
        free: books.free(),
        delegatable: books.delegatable(),
        lacking: books.lack(),
        stakeable: books.stakeable(),
    };
    see.same(&StakedToken::liquidityCall {}, liquidity)?;
    see.like(&StakedToken::feeInfoCall {}, books.fee_bps, |r| r.feeBps)?;
    for ((id, cohort), ticket) in &books.tickets {
        see.same(&StakedToken::ticketOfCall { id: *id, cohortEpoch: *cohort }, *ticket)?;
    }
    for id in 1..=StakeWorld::OPERATORS {
        see.same(&StakedToken::activeOfCall { id }, books.active_of(id))?;
        let of = |tickets: &BTreeMap<u32, u32>| tickets.get(&id).copied().unwrap_or_default();
        let range = (of(&books.first_ticket), of(&books.last_ticket));
        see.like(&StakedToken::operatorOfCall { id }, range, |r| (r.firstTicket, r.lastTicket))?;
    }
    let ids: Vec<u32> = (1..=StakeWorld::OPERATORS).collect();
    let active = ids.iter().map(|id| books.active_of(*id)).collect();
    see.same(&StakedToken::stakesOfCall { ids: ids.clone(), liable: false }, active)?;
    let liable = ids.iter().map(|id| books.liable_of(*id)).collect();
    see.same(&StakedToken::stakesOfCall { ids, liable: true }, liable)?;
    for (index, exit) in books.exits.iter().enumerate() {
        let expected = (exit.assets, exit.epoch, U256::from(books.payable_from(exit)));
        let call = StakedToken::exitOfCall { index: U256::from(index + FIRST) };
        see.like(&call, expected, |r| (r.assets, r.epoch, r.payableFrom))?;
    }
    let mut see = Look::at(chain, world.watch);
    see.same(&FaultWatch::accusedStakeCall {}, books.accused_stake())?;
    for id in 1..=StakeWorld::OPERATORS {
        see.same(&FaultWatch::isAccusedCall { id }, books.is_accused(id))?;
    }
    for since in [model.stake.now, model.stake.now - 1] {
        see.same(&FaultWatch::heldUntilCall { since: U256::from(since) }, U256::from(books.held_until(since)))?;
    }
    Look::at(chain, world.cover).same(&CoverFund::heldCall {}, model.cover)
}

/// Every view of the allocator.
pub fn compare_allocator(chain: &mut Chain, world: &LiquidWorld, model: &LiquidModel) -> Result<()> {
    let books = model.synced();
    let mut see = Look::at(chain, world.allocator);
    see.same(&Allocator::operatorsCall {}, books.listed.iter().map(|listed| listed.id).collect())?;
    let stands = books.listed.iter().map(|listed| Stand {
        id: listed.id,
        weight: listed.weight,
        active: books.active_of(listed.id),
        target: books.target_of(listed.id),
        excess: books.excess_of(listed.id),
    });
    see.same(&Allocator::standsCall {}, stands.collect())?;
    for available in [books.delegatable(), WAD] {
        let call = Allocator::nextDelegationCall { available };
        see.like(&call, books.next_delegation(available), |r| (r.id, r.amount))?;
    }
    for amount in [WAD, books.active() / U256::from(2), books.active() + WAD] {
        for most in [1, 2, 16] {
            let plan = books.plan_exit(amount, most).into_iter().unzip();
            let call = Allocator::planExitCall { amount, most: U256::from(most) };
            see.like(&call, plan, |r| (r.ids, r.amounts))?;
        }
    }
    for id in 1..=StakeWorld::OPERATORS {
        see.same(&Allocator::targetOfCall { id }, books.target_of(id))?;
        see.same(&Allocator::excessOfCall { id }, books.excess_of(id))?;
    }
    Ok(())
}

/// Every view of the exit queue.
pub fn compare_queue(chain: &mut Chain, world: &LiquidWorld, model: &LiquidModel) -> Result<()> {
    let books = model.synced();
    let queue = &books.queue;
    let mut see = Look::at(chain, world.queue);
    see.same(&ExitQueue::sealableFromCall {}, U256::from(books.sealable_from()))?;
    for (number, batch) in queue.batches.iter().enumerate() {
        let owed = books.exits.get(number).map(|exit| exit.assets).unwrap_or_default();
        let (assets, state) =
            if number < queue.finalised { (batch.assets, 2) } else { (owed, u8::from(number < queue.open())) };
        let expected = Batch { shares: batch.shares, assets, state };
        see.same(&ExitQueue::batchOfCall { requestId: U256::from(number + FIRST) }, expected)?;
    }
    for controller in holders(world) {
        see.same(&ExitQueue::maxRedeemCall { controller }, queue.max_redeem(controller))?;
        see.same(&ExitQueue::maxWithdrawCall { controller }, queue.max_withdraw(controller))?;
        let requests = queue.requests_of(controller);
        for number in &requests {
            let (shares, request) = (queue.request(*number, controller), U256::from(*number + FIRST));
            let (pending, claimable) =
                if *number < queue.finalised { (U256::ZERO, shares) } else { (shares, U256::ZERO) };
            see.same(&ExitQueue::pendingRedeemRequestCall { requestId: request, controller }, pending)?;
            see.same(&ExitQueue::claimableRedeemRequestCall { requestId: request, controller }, claimable)?;
        }
        let requests = requests.into_iter().map(|number| U256::from(number + FIRST)).collect();
        see.same(&ExitQueue::requestsOfCall { controller, limit: U256::from(1000) }, requests)?;
    }
    Ok(())
}

fn holders(world: &LiquidWorld) -> impl Iterator<Item = Address> {
    (0..StakeWorld::PEOPLE).map(StakeWorld::person).chain([world.queue, NOBODY])
}
