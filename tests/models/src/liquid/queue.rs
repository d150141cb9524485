//! The exit queue: who asked to leave in which batch, and what each batch got.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};

use super::{
    abi::ExitQueue::{
        ExitQueue_AlreadySealed, ExitQueue_InsufficientRequest, ExitQueue_NotAuthorized, ExitQueue_NotClaimable,
        ExitQueue_NothingToSeal, ExitQueue_SealTooEarly, ExitQueue_Zero,
    },
    model::LiquidModel,
};
use crate::{
    integer::{mul_div_down, mul_div_up},
    refusal::Refusal,
};

/// Number of the first batch and of the first exit.
pub const FIRST: usize = 1;

/// The requests of one span of time.
#[derive(Clone, Debug, Default)]
pub struct QueueBatch {
    /// All shares handed in and not taken back.
    pub shares: U256,
    /// What they got, final; zero before.
    pub assets: U256,
    /// Shares not claimed yet.
    pub requests: BTreeMap<Address, U256>,
}

impl QueueBatch {
    /// What `shares` of it get.
    fn worth(&self, shares: U256) -> U256 {
        mul_div_down(self.assets, shares, self.shares).unwrap_or_default()
    }
}

/// All batches, the open one last. Places in the list count from 0, their numbers from [`FIRST`].
#[derive(Clone, Debug)]
pub struct QueueModel {
    /// By place.
    pub batches: Vec<QueueBatch>,
    /// How many of them were paid to the queue.
    pub finalised: usize,
    /// Epoch of the last seal.
    pub sealed_in: Option<u32>,
    /// Native tokens of the queue, wei.
    pub balance: U256,
}

impl Default for QueueModel {
    fn default() -> Self {
        Self { batches: vec![QueueBatch::default()], finalised: 0, sealed_in: None, balance: U256::ZERO }
    }
}

impl QueueModel {
    /// Place of the open batch.
    pub fn open(&self) -> usize {
        self.batches.len() - 1
    }

    /// Unclaimed shares of `controller` in batch `number`.
    pub fn request(&self, number: usize, controller: Address) -> U256 {
        self.batches.get(number).and_then(|batch| batch.requests.get(&controller)).copied().unwrap_or_default()
    }

    /// Requests of `controller` that are not empty, oldest first.
    pub fn requests_of(&self, controller: Address) -> Vec<usize> {
        (0..self.batches.len()).filter(|number| !self.request(*number, controller).is_zero()).collect()
    }

    /// Shares that `controller` can claim.
    pub fn max_redeem(&self, controller: Address) -> U256 {
        (0..self.finalised).map(|number| self.request(number, controller)).sum()
    }

    /// Token wei that `controller` can claim.
    pub fn max_withdraw(&self, controller: Address) -> U256 {
        (0..self.finalised).map(|number| self.batches[number].worth(self.request(number, controller))).sum()
    }

    fn take(&mut self, number: usize, controller: Address, shares: U256) {
        if let Some(held) = self.batches[number].requests.get_mut(&controller) {
            *held -= shares;
        }
    }
}

impl LiquidModel {
    /// `caller` hands in shares of `owner` for `controller`. Returns the number of the batch.
    pub fn request(
        &mut self,
        caller: Address,
        shares: U256,
        controller: Address,
        owner: Address,
    ) -> Result<usize, Refusal> {
        if shares.is_zero() {
            return Err(ExitQueue_Zero {}.into());
        }
        self.spend_allowance(owner, caller, shares)?;
        self.move_shares(owner, self.terms.queue, shares)?;
        let open = self.queue.open();
        let batch = &mut self.queue.batches[open];
        batch.shares += shares;
        *batch.requests.entry(controller).or_default() += shares;
        Ok(open + FIRST)
    }

    /// `caller` takes shares of `controller` back.
    pub fn cancel(&mut self, caller: Address, number: usize, shares: U256, controller: Address) -> Result<(), Refusal> {
        authorize(caller, controller)?;
        if number != self.queue.open() {
            return Err(ExitQueue_AlreadySealed { requestId: U256::from(number + FIRST) }.into());
        }
        if shares.is_zero() {
            return Err(ExitQueue_Zero {}.into());
        }
        let held = self.queue.request(number, controller);
        if shares > held {
            return Err(ExitQueue_InsufficientRequest { asked: shares, held }.into());
        }
        self.queue.take(number, controller, shares);
        self.queue.batches[number].shares -= shares;
        self.move_shares(self.terms.queue, controller, shares)
    }

    /// When the open batch may be sealed: in the second half of an epoch, once in each. Unix seconds.
    pub fn sealable_from(&self) -> u64 {
        let terms = &self.stake.terms;
        let epoch = self.stake.epoch();
        let next = if self.queue.sealed_in == Some(epoch) { epoch + 1 } else { epoch };
        terms.genesis + u64::from(next) * terms.epoch_seconds + terms.epoch_seconds / 2
    }

    /// Seals the open batch. Returns its number and what it is owed.
    pub fn seal(&mut self) -> Result<(usize, U256), Refusal> {
        let open = self.queue.open();
        let shares = self.queue.batches[open].shares;
        if shares.is_zero() {
            return Err(ExitQueue_NothingToSeal {}.into());
        }
        let from = self.sealable_from();
        if self.stake.now < from {
            return Err(ExitQueue_SealTooEarly { from: U256::from(from) }.into());
        }
        let assets = self.seal_exit(shares)?;
        self.queue.batches.push(QueueBatch::default());
        self.queue.sealed_in = Some(self.stake.epoch());
        Ok((open + FIRST, assets))
    }

    /// Fetches what the oldest sealed batch is owed. Returns its number and the amount.
    pub fn finalize(&mut self) -> Result<(usize, U256), Refusal> {
        let assets = self.release_exit()?;
        let number = self.queue.finalised;
        self.queue.batches[number].assets = assets;
        self.queue.finalised += 1;
        self.queue.balance += assets;
        Ok((number + FIRST, assets))
    }

    /// `caller` claims a whole request of `controller`.
    pub fn claim_request(&mut self, caller: Address, number: usize, controller: Address) -> Result<U256, Refusal> {
        authorize(caller, controller)?;
        let shares = self.queue.request(number, controller);
        if number >= self.queue.finalised || shares.is_zero() {
            return Err(ExitQueue_NotClaimable { asked: U256::ZERO, claimable: U256::ZERO }.into());
        }
        let assets = self.queue.batches[number].worth(shares);
        self.queue.take(number, controller, shares);
        self.queue.balance -= assets;
        Ok(assets)
    }

    /// `controller` claims `shares`, oldest first. Returns token wei.
    pub fn redeem_claims(&mut self, shares: U256, controller: Address) -> Result<U256, Refusal> {
        let claimable = self.queue.max_redeem(controller);
        if shares > claimable {
            return Err(ExitQueue_NotClaimable { asked: shares, claimable }.into());
        }
        let (mut left, mut assets) = (shares, U256::ZERO);
        for number in 0..self.queue.finalised {
            let part = self.queue.request(number, controller).min(left);
            assets += self.queue.batches[number].worth(part);
            self.queue.take(number, controller, part);
            left -= part;
        }
        self.queue.balance -= assets;
        Ok(assets)
    }

    /// `controller` claims `assets` token wei, oldest first. Returns shares. Shares that are worth nothing stay.
    pub fn withdraw_claims(&mut self, assets: U256, controller: Address) -> Result<U256, Refusal> {
        let claimable = self.queue.max_withdraw(controller);
        if assets > claimable {
            return Err(ExitQueue_NotClaimable { asked: assets, claimable }.into());
        }
        let (mut left, mut shares) = (assets, U256::ZERO);
        for number in 0..self.queue.finalised {
            let batch = &self.queue.batches[number];
            let held = self.queue.request(number, controller);
            let worth = batch.worth(held);
            let (part, paid) = if left.is_zero() || worth.is_zero() {
                (U256::ZERO, U256::ZERO)
            } else if left < worth {
                (mul_div_up(left, batch.shares, batch.assets).unwrap_or(held), left)
            } else {
                (held, worth)
            };
            self.queue.take(number, controller, part);
            left -= paid;
            shares += part;
        }
        self.queue.balance -= assets;
        Ok(shares)
    }
}

fn authorize(caller: Address, account: Address) -> Result<(), Refusal> {
    if caller == account { Ok(()) } else { Err(ExitQueue_NotAuthorized { caller, account }.into()) }
}
