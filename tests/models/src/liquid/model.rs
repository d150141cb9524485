//! The books of the staked token: what it holds, what of that is spoken for, and how a slash is shared.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::{Address, U256};

use super::{
    abi::StakedToken::{
        ERC20InsufficientAllowance, ERC20InsufficientBalance, StakedToken_Accused, StakedToken_Bunker,
        StakedToken_Paused,
    },
    allocation::Listed,
    fee::{Drip, InstantFee},
    queue::QueueModel,
    terms::{BPS, LiquidTerms, SEED},
};
use crate::{
    integer::{mul_div_down, mul_div_up},
    refusal::Refusal,
    stake::{ALL_LATER, SlashEntry, StakeModel, WAD},
};

/// Below this worth of a share, 1e18 = one, no deposit is taken.
const LEAST_RATE: U256 = U256::from_limbs([1_000_000_000_000, 0, 0, 0]);

/// A batch of exits that left the shares behind.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// What it is owed, token wei; zero once it was paid.
    pub assets: U256,
    /// When it was sealed.
    pub epoch: u32,
    /// The same, unix seconds.
    pub sealed_at: u64,
}

/// Rewards of one operator for the token.
#[derive(Clone, Debug, Default)]
pub struct Rewards {
    /// Not claimed: token wei, and the epoch up to which they were credited.
    pub pending: VecDeque<(U256, u32)>,
    /// Epoch up to which the latest were credited.
    pub credited: u32,
    /// Epoch up to which they were claimed.
    pub paid: u32,
    /// No earlier than this do rewards of what was credited so far vest, unix seconds.
    pub vests_until: u64,
}

impl Rewards {
    /// What is not claimed, token wei.
    pub fn sum(&self) -> U256 {
        self.pending.iter().map(|(amount, _)| *amount).sum()
    }
}

/// Everything liquid staking knows, and the stake below it.
#[derive(Clone, Debug)]
pub struct LiquidModel {
    /// What does not change.
    pub terms: LiquidTerms,
    /// The stake vault.
    pub stake: StakeModel,
    /// Who owns shares.
    pub shares: BTreeMap<Address, U256>,
    /// Native tokens of the token, booked or not, wei.
    pub balance: U256,
    /// Tokens at hand, wei.
    pub buffer: U256,
    /// Booked stake in pools, by operator.
    pub active: BTreeMap<u32, U256>,
    /// Booked stake on its way out, by operator and cohort.
    pub tickets: BTreeMap<(u32, u32), U256>,
    /// No stake of an operator waits in an earlier cohort.
    pub first_ticket: BTreeMap<u32, u32>,
    /// Last cohort into which stake of an operator went.
    pub last_ticket: BTreeMap<u32, u32>,
    /// Epoch of the first stake with an operator.
    pub since: BTreeMap<u32, u32>,
    /// All exits, oldest first.
    pub exits: Vec<Exit>,
    /// How many of them were paid.
    pub released: usize,
    /// Fees not collected, token wei.
    pub fees: U256,
    /// Fee on gains, basis points.
    pub fee_bps: u16,
    /// Fees collected so far, token wei.
    pub collected: U256,
    /// Losses that gains make up for before they pay a fee, token wei.
    pub loss_carry: U256,
    /// Gains that have not vested.
    pub drip: Drip,
    /// Buffer aimed at, and the epoch for which that was decided.
    pub target: (U256, u32),
    /// Slashes of the vault's log that the books know.
    pub applied: usize,
    /// End of the bunker, unix seconds, and the oldest set whose fault closed it.
    pub bunker: (u64, u32),
    /// What left instantly, 1e18 = all, and when that was said, unix seconds.
    pub window: (U256, u64),
    /// What the cover fund can pay, token wei.
    pub cover: U256,
    /// What it was sent and has not booked, token wei.
    pub cover_sent: U256,
    /// What the reward vault owes, by operator.
    pub rewards: BTreeMap<u32, Rewards>,
    /// Operators of the allocator.
    pub listed: Vec<Listed>,
    /// Open charges, by operator.
    pub charges: BTreeMap<u32, u32>,
    /// When somebody was convicted last, unix seconds.
    pub convicted_at: u64,
    /// Operators of which a top-up is due.
    pub due: BTreeSet<u32>,
    /// Epoch of the latest jail, by operator.
    pub jailed: BTreeMap<u32, u32>,
    /// The exit queue.
    pub queue: QueueModel,
}

impl LiquidModel {
    /// Right after construction: one token, and shares for it that nobody has.
    pub fn new(terms: LiquidTerms, stake: StakeModel, nobody: Address, fee_bps: u16) -> Self {
        Self {
            terms,
            shares: BTreeMap::from([(nobody, SEED)]),
            balance: SEED,
            buffer: SEED,
            active: BTreeMap::new(),
            tickets: BTreeMap::new(),
            first_ticket: BTreeMap::new(),
            last_ticket: BTreeMap::new(),
            since: BTreeMap::new(),
            exits: Vec::new(),
            released: 0,
            fees: U256::ZERO,
            fee_bps,
            collected: U256::ZERO,
            loss_carry: U256::ZERO,
            drip: Drip::default(),
            target: (U256::ZERO, u32::MAX),
            applied: stake.slashes.len(),
            bunker: (0, 0),
            window: (U256::ZERO, 0),
            cover: U256::ZERO,
            cover_sent: U256::ZERO,
            rewards: BTreeMap::new(),
            listed: Vec::new(),
            charges: BTreeMap::new(),
            convicted_at: 0,
            due: BTreeSet::new(),
            jailed: BTreeMap::new(),
            queue: QueueModel::default(),
            stake,
        }
    }

    /// Shares in existence.
    pub fn supply(&self) -> U256 {
        self.shares.values().sum()
    }

    /// Shares of `who`.
    pub fn shares_of(&self, who: Address) -> U256 {
        self.shares.get(&who).copied().unwrap_or_default()
    }

    /// Booked stake with operator `id`.
    pub fn active_of(&self, id: u32) -> U256 {
        self.active.get(&id).copied().unwrap_or_default()
    }

    /// Booked stake in all pools.
    pub fn active(&self) -> U256 {
        self.active.values().sum()
    }

    /// Booked stake on its way out.
    pub fn thawing(&self) -> U256 {
        self.tickets.values().sum()
    }

    /// What sealed exits are owed.
    pub fn owed(&self) -> U256 {
        self.exits.iter().map(|exit| exit.assets).sum()
    }

    /// What belongs to those who stay, vested or not.
    pub fn stayers(&self) -> U256 {
        (self.buffer + self.active() + self.thawing()).saturating_sub(self.owed() + self.fees)
    }

    /// What has not vested.
    pub fn locked(&self) -> U256 {
        self.drip.locked(self.stake.now)
    }

    /// Assets of the price.
    pub fn total(&self) -> U256 {
        self.stayers().saturating_sub(self.locked())
    }

    /// Buffer that nobody waits for.
    pub fn free(&self) -> U256 {
        self.buffer.saturating_sub(self.owed() + self.fees)
    }

    /// What should be staked.
    pub fn stakeable(&self) -> U256 {
        self.stayers().saturating_sub(self.target.0)
    }

    /// What may be staked now.
    pub fn delegatable(&self) -> U256 {
        self.free().saturating_sub(self.target.0)
    }

    /// What exits, fees and the aim of the buffer need beyond what is at hand or on its way; nothing while half of the aim
    /// is.
    pub fn lack(&self) -> U256 {
        let (needed, there) = (self.owed() + self.fees, self.buffer + self.thawing());
        if there < needed + self.target.0 / U256::from(2) { needed + self.target.0 - there } else { U256::ZERO }
    }

    /// Booked stake with operator `id` that a slash would take from: in its pool, and on its way out until the epoch in
    /// which it can be claimed is over.
    pub fn liable_of(&self, id: u32) -> U256 {
        let oldest = self.stake.epoch().saturating_sub(self.stake.terms.unbonding_epochs + 2);
        let thawing: U256 = self.tickets.range((id, oldest)..=(id, u32::MAX)).map(|(_, ticket)| *ticket).sum();
        self.active_of(id) + thawing
    }

    /// True if operator `id` is accused, or owes a top-up that a recent conviction made due.
    pub fn is_accused(&self, id: u32) -> bool {
        let recent = self.stake.now < self.convicted_at + self.hold_seconds();
        self.charges.get(&id).is_some_and(|open| *open != 0) || (recent && self.due.contains(&id))
    }

    fn hold_seconds(&self) -> u64 {
        2 * self.stake.terms.epoch_seconds + self.terms.answer_seconds
    }

    /// Stake with listed operators that are accused, also on its way out.
    pub fn accused_stake(&self) -> U256 {
        let accused = self.listed.iter().map(|listed| listed.id).filter(|id| self.is_accused(*id));
        accused.map(|id| self.liable_of(id)).sum()
    }

    /// Until when what began at `since` waits for a verdict, unix seconds; 0 unless a considerable part of all assets is
    /// accused.
    pub fn held_until(&self, since: u64) -> u64 {
        let accused = self.accused_stake();
        if accused.is_zero() || accused * BPS < self.total() * U256::from(self.terms.watch_bps) {
            return 0;
        }
        since + self.hold_seconds()
    }

    /// When `exit` may be paid, unix seconds: an epoch after its seal, not while it is held for a verdict, and if it
    /// answers for what closed the bunker, not before that opens.
    pub fn payable_from(&self, exit: &Exit) -> u64 {
        let from = (exit.sealed_at + self.stake.terms.epoch_seconds).max(self.held_until(exit.sealed_at));
        let (until, sigma) = self.bunker;
        if exit.epoch + 1 >= sigma { from.max(until) } else { from }
    }

    /// Shares for `assets`, rounded down.
    pub fn to_shares_down(&self, assets: U256) -> U256 {
        mul_div_down(assets, self.supply() + U256::ONE, self.total() + U256::ONE).unwrap_or(U256::MAX)
    }

    /// Shares for `assets`, rounded up.
    pub fn to_shares_up(&self, assets: U256) -> U256 {
        mul_div_up(assets, self.supply() + U256::ONE, self.total() + U256::ONE).unwrap_or(U256::MAX)
    }

    /// Worth of `shares`, rounded down.
    pub fn to_assets_down(&self, shares: U256) -> U256 {
        mul_div_down(shares, self.total() + U256::ONE, self.supply() + U256::ONE).unwrap_or(U256::MAX)
    }

    /// Worth of `shares`, rounded up.
    pub fn to_assets_up(&self, shares: U256) -> U256 {
        mul_div_up(shares, self.total() + U256::ONE, self.supply() + U256::ONE).unwrap_or(U256::MAX)
    }

    /// The fee of leaving now.
    pub fn fee(&self) -> InstantFee {
        InstantFee::new(self.terms.exit_floor_bps, self.terms.exit_span_bps, self.free(), self.target.0)
    }

    /// Why nobody gets in or out at once now.
    pub fn closed(&self) -> Option<Refusal> {
        let until = self.bunker.0;
        if self.stake.is_paused() {
            return Some(StakedToken_Paused {}.into());
        }
        if self.stake.now < until {
            return Some(StakedToken_Bunker { until: U256::from(until) }.into());
        }
        (self.held_until(self.stake.now) != 0).then(|| StakedToken_Accused {}.into())
    }

    /// Largest deposit while it is open: so that the token makes up its part of all stake at most, and nothing at a price
    /// of next to nothing.
    pub fn deposit_limit(&self) -> U256 {
        let least = mul_div_up(self.supply(), LEAST_RATE, WAD).unwrap_or(U256::MAX);
        if self.total() + U256::ONE < least {
            return U256::ZERO;
        }
        let part = U256::from(self.terms.max_share_bps);
        let others = self.stake.staked().saturating_sub(self.active());
        (others * part / (BPS - part)).saturating_sub(self.stayers())
    }

    /// Part of all assets that may still leave at once, 1e18 = all.
    pub fn window_left(&self) -> U256 {
        let whole = U256::from(self.terms.window_bps) * WAD / BPS;
        let (used, at) = self.window;
        let refilled = U256::from(self.stake.now - at) * whole / U256::from(self.terms.window_seconds);
        whole.saturating_sub(used.saturating_sub(refilled))
    }

    /// What may leave at once, whoever asks.
    pub fn instant_limit(&self) -> U256 {
        self.free().min(mul_div_down(self.window_left(), self.total(), WAD).unwrap_or(U256::MAX))
    }

    /// `maxWithdraw` of `who`.
    pub fn max_withdraw(&self, who: Address) -> U256 {
        if self.closed().is_some() {
            return U256::ZERO;
        }
        self.fee().net(self.to_assets_down(self.shares_of(who))).min(self.instant_limit())
    }

    /// `maxRedeem` of `who`: all, or one share less than what takes the limit.
    pub fn max_redeem(&self, who: Address) -> U256 {
        if self.closed().is_some() {
            return U256::ZERO;
        }
        let (held, limit, fee) = (self.shares_of(who), self.instant_limit(), self.fee());
        if fee.net(self.to_assets_down(held)) <= limit {
            return held;
        }
        held.min(self.to_shares_up(fee.gross(limit)).saturating_sub(U256::ONE))
    }

    /// Moves shares.
    pub fn move_shares(&mut self, from: Address, to: Address, shares: U256) -> Result<(), Refusal> {
        self.burn(from, shares)?;
        *self.shares.entry(to).or_default() += shares;
        Ok(())
    }

    /// Destroys shares.
    pub fn burn(&mut self, from: Address, shares: U256) -> Result<(), Refusal> {
        let balance = self.shares_of(from);
        if shares > balance {
            return Err(ERC20InsufficientBalance { sender: from, balance, needed: shares }.into());
        }
        self.shares.insert(from, balance - shares);
        Ok(())
    }

    /// Nobody here allows anybody anything.
    pub fn spend_allowance(&self, owner: Address, spender: Address, needed: U256) -> Result<(), Refusal> {
        if owner == spender || needed.is_zero() {
            return Ok(());
        }
        Err(ERC20InsufficientAllowance { spender, allowance: U256::ZERO, needed }.into())
    }

    /// The model as every view and action sees it: all slashes applied, the aim of the buffer that of this epoch.
    pub fn synced(&self) -> Self {
        let mut model = self.clone();
        model.sync(usize::MAX);
        model
    }

    /// Applies up to `most` slashes, and sets the epoch's aim of the buffer when all are.
    pub fn sync(&mut self, most: usize) {
        let until = self.stake.slashes.len().min(self.applied.saturating_add(most));
        while self.applied < until {
            self.apply(self.stake.slashes[self.applied]);
            self.applied += 1;
        }
        let epoch = self.stake.epoch();
        if self.target.1 != epoch && self.applied == self.stake.slashes.len() {
            self.target = (self.total() * U256::from(self.terms.buffer_bps) / BPS, epoch);
        }
    }

    /// One slash: all that is liable loses alike; cover, then drip, then the rate bear the part of those who stay.
    fn apply(&mut self, slash: SlashEntry) {
        let stayers = self.stayers();
        let loss = self.write_off(slash);
        if loss.is_zero() {
            return;
        }
        let liable = |exit: &Exit| exit.epoch + 1 >= slash.sigma;
        let base = stayers + self.exits.iter().filter(|exit| liable(exit)).map(|exit| exit.assets).sum::<U256>();
        let borne = loss.min(base);
        let borne_by_exits = self.charge(borne, base, liable);
        let rest = loss - borne;
        let from_fees = rest.min(self.fees);
        self.fees -= from_fees;
        let others: U256 = self.exits.iter().filter(|exit| !liable(exit)).map(|exit| exit.assets).sum();
        self.charge((rest - from_fees).min(others), others, |exit| !liable(exit));

        let borne_by_stayers = borne.saturating_sub(borne_by_exits);
        let covered = self.cover.min(borne_by_stayers);
        self.cover -= covered;
        self.buffer += covered;
        self.balance += covered;
        let dripped = self.drip.take(borne_by_stayers - covered, self.stake.now);
        self.loss_carry += borne_by_stayers - covered - dripped;

        if loss * BPS >= base * U256::from(self.terms.bunker_loss_bps) {
            let (until, sigma) = self.bunker;
            let oldest = if self.stake.now < until { sigma.min(slash.sigma) } else { slash.sigma };
            let seconds = u64::from(self.terms.bunker_epochs) * self.stake.terms.epoch_seconds;
            self.bunker = (self.stake.now + seconds, oldest);
        }
    }

    /// Lowers what is booked with the slashed operator. Returns the loss.
    fn write_off(&mut self, slash: SlashEntry) -> U256 {
        let before = self.active() + self.thawing();
        if let Some(active) = self.active.get_mut(&slash.id).filter(|_| slash.before == ALL_LATER) {
            *active = after_slash(*active, slash.fraction);
        }
        let oldest = self.last_ticket.get(&slash.id).copied().unwrap_or_default();
        let oldest = oldest.saturating_sub(self.stake.terms.unbonding_epochs + 2);
        for ((id, cohort), ticket) in &mut self.tickets {
            if *id == slash.id && (slash.sigma..slash.before).contains(&(*cohort + 1)) && *cohort >= oldest {
                *ticket = after_slash(*ticket, slash.fraction);
            }
        }
        before - self.active() - self.thawing()
    }

    /// Lowers the chosen exits in proportion, each rounded up. Returns the sum.
    fn charge(&mut self, loss: U256, base: U256, chosen: impl Fn(&Exit) -> bool) -> U256 {
        let mut charged = U256::ZERO;
        for exit in self.exits.iter_mut().filter(|exit| chosen(exit)) {
            let part = mul_div_up(exit.assets, loss, base).unwrap_or_default();
            exit.assets -= part;
            charged += part;
        }
        charged
    }
}

/// What a holding is booked at after a slash: a wei less than its part, because the vault rounds over the whole pool.
pub fn after_slash(value: U256, fraction: U256) -> U256 {
    if fraction >= WAD {
        return U256::ZERO;
    }
    let loss = mul_div_up(value, fraction, WAD).unwrap_or(value) + U256::ONE;
    value.saturating_sub(loss)
}
