//! The rules of the next block: what it must contain, given the decided chain and confirmed L1 (protocol sections 1, 4,
//! 5 and 7).
//!
//! Validity is a function of the block, the decided chain below it and L1 up to the origin that the block names. A node
//! that has not confirmed that origin yet says so instead of judging.

#[cfg(test)]
pub(crate) mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, U256};
use async_trait::async_trait;
use parking_lot::Mutex;
use rota_protocol::{
    batch::RangeError,
    config::ChainConfig,
    epoch::EpochClock,
    header::{MAX_DEPOSITS_PER_BLOCK, coinbase, prev_randao},
    member::FrozenSet,
    sealing::{AppliedBlock, Sealing, SealingError, SealingParams},
};

use crate::{
    chain::{BlockAttributes, DecidedChain, Deposit, EngineError, HeadContext, L1Ref, SealedBlock},
    consensus::rules::{Check, Derivation, HeightRules, RulesError},
    l1::{L1Error, L1View},
};

/// Most seconds that a live proposal may be ahead of the local clock (protocol section 5).
const TIMELINESS: u64 = 2;
/// Time after which an origin that was not adopted is proposed again: the voters may know it by then.
const ORIGIN_RETRY: Duration = Duration::from_secs(10);
/// Longest wait for the origin of a block that was decided by others.
const SYNC_PATIENCE: Duration = Duration::from_secs(1);

/// The rules over a chain and a view of L1.
pub struct Rules {
    config: ChainConfig,
    params: SealingParams,
    clock: EpochClock,
    chain: Arc<dyn DecidedChain>,
    l1: L1View,
    /// The newest origin that this node proposed, and when.
    proposed: Mutex<Option<(L1Ref, Instant)>>,
}

/// The decided block that the next one builds on.
struct Parent {
    number: u64,
    hash: B256,
    timestamp: u64,
    /// The lowest origin that the next block may name.
    origin: L1Ref,
    context: Arc<HeadContext>,
}

/// Why a block is not (or not yet) the next one.
enum Objection {
    Invalid(String),
    MissingL1Data,
}

impl From<String> for Objection {
    fn from(reason: String) -> Self {
        Self::Invalid(reason)
    }
}

impl Rules {
    /// The rules of `config`'s chain.
    pub fn new(config: ChainConfig, chain: Arc<dyn DecidedChain>, l1: L1View) -> Self {
        let (params, clock) = (config.sealing_params(), config.epoch_clock());
        Self { config, params, clock, chain, l1, proposed: Mutex::default() }
    }

    fn parent(&self, height: u64) -> Result<Parent, RulesError> {
        let (header, context) = (self.chain.head_header(), self.chain.head_context());
        if height != header.number.saturating_add(1) {
            return Err(RulesError::NotNext { height, head: header.number });
        }
        let origin = match header.number {
            // The chain file does not know when the genesis origin was made, and nothing depends on it.
            0 => {
                L1Ref { number: self.config.genesis_origin.number, hash: self.config.genesis_origin.hash, timestamp: 0 }
            }
            _ => context.origin,
        };
        Ok(Parent { number: header.number, hash: self.chain.head_hash(), timestamp: header.timestamp, origin, context })
    }

    /// σ of the block after the head, and the first height it serves; `None` while L1 is not known up to the head's
    /// origin.
    pub fn next_serving(&self) -> Option<(u32, u64)> {
        let parent = self.parent(self.chain.head_number() + 1).ok()?;
        let sigma = self.sigma_after(&parent)?;
        Some((sigma, parent.context.sealing.first_height(sigma)))
    }

    /// σ of the block after `parent`: the last frozen epoch `≤` the epoch of the parent's origin. `None` while L1 is not
    /// known up to there.
    fn sigma_after(&self, parent: &Parent) -> Option<u32> {
        if parent.number == 0 {
            return Some(self.config.sigma0);
        }
        if self.l1.progress().confirmed.number < parent.origin.number {
            return None;
        }
        let epoch = self.clock.epoch_at(parent.origin.timestamp);
        let frozen = self.l1.serving_set(epoch).map_or(0, |set| set.epoch());
        // Origins never go back, so neither does σ; the maximum only covers an origin before σ0's own epoch.
        Some(frozen.max(parent.context.sigma))
    }

    fn set_after(&self, parent: &Parent) -> Result<Arc<FrozenSet>, RulesError> {
        let unknown = || {
            let confirmed = self.l1.progress().confirmed.number;
            RulesError::Waiting(format!("block {} needs L1 beyond block {confirmed}", parent.number + 1))
        };
        let sigma = self.sigma_after(parent).ok_or_else(unknown)?;
        self.l1
            .set(sigma)
            .ok_or_else(|| RulesError::Waiting(format!("the set of epoch {sigma} is not confirmed on L1")))
    }

    fn balance(&self, account: Address) -> Result<U256, EngineError> {
        self.chain.head_balance(account)
    }

    /// What the rules say about `block`, execution aside.
    async fn judge(
        &self,
        block: &SealedBlock,
        parent: &Parent,
        patience: Duration,
    ) -> Result<Result<HeadContext, Objection>, RulesError> {
        let header = block.header();
        if let Err(reason) = self.check_without_l1(block, parent) {
            return Ok(Err(reason.into()));
        }
        let root = header.parent_beacon_block_root.unwrap_or_default();
        let origin = match root == parent.origin.hash && parent.number > 0 {
            true => Some(parent.origin),
            false => self.l1.origin(root, parent.origin.number, patience).await.map_err(storage)?,
        };
        // An origin is confirmed at the same instant as everything below it; only a deep reorganisation parts them.
        let Some(origin) = origin.filter(|origin| origin.number <= self.l1.progress().confirmed.number) else {
            return Ok(Err(Objection::MissingL1Data));
        };
        if let Err(reason) = self.check_origin(header.timestamp, origin, parent) {
            return Ok(Err(reason.into()));
        }
        let set = match self.set_after(parent) {
            Ok(set) => set,
            Err(RulesError::Waiting(_)) => return Ok(Err(Objection::MissingL1Data)),
            Err(error) => return Err(error),
        };
        if header.mix_hash != prev_randao(set.seed(), header.number) {
            return Ok(Err(format!("prevrandao {} is not that of epoch {}", header.mix_hash, set.epoch()).into()));
        }
        let deposits = self.l1.deposits(parent.context.deposits_end, origin.number, MAX_DEPOSITS_PER_BLOCK);
        if !credits(block, &deposits) {
            // What an orphaned L1 block had below it is not known any more.
            return Ok(Err(match self.l1.is_canonical(&origin).map_err(storage)? {
                true => format!("withdrawals are not the {} deposits due", deposits.len()).into(),
                false => Objection::MissingL1Data,
            }));
        }
        let deposits_end = parent.context.deposits_end + deposits.len() as u64;
        self.seal(block, parent, &set, origin, deposits_end)
    }

    fn check_without_l1(&self, block: &SealedBlock, parent: &Parent) -> Result<(), String> {
        let header = block.header();
        if header.parent_hash != parent.hash {
            return Err(format!("parent {} is not the head {}", header.parent_hash, parent.hash));
        }
        if header.gas_limit != self.config.gas_limit {
            return Err(format!("gas limit {} is not {}", header.gas_limit, self.config.gas_limit));
        }
        if header.timestamp < parent.timestamp {
            return Err(format!("timestamp goes back from {} to {}", parent.timestamp, header.timestamp));
        }
        if header.parent_beacon_block_root.is_none() {
            return Err("the header names no L1 origin".into());
        }
        Ok(())
    }

    fn check_origin(&self, timestamp: u64, origin: L1Ref, parent: &Parent) -> Result<(), String> {
        let (number, at_least) = (origin.number, parent.origin.number);
        if number < at_least {
            return Err(format!("L1 origin goes back from block {at_least} to {number}"));
        }
        if number == at_least && origin.hash != parent.origin.hash {
            return Err(format!("L1 origin moves aside at block {number}"));
        }
        let last = origin.timestamp.saturating_add(self.config.max_origin_lag);
        if !(origin.timestamp..=last).contains(&timestamp) {
            return Err(format!("timestamp {timestamp} is outside {}..={last} of its L1 origin", origin.timestamp));
        }
        Ok(())
    }

    fn seal(
        &self,
        block: &SealedBlock,
        parent: &Parent,
        set: &FrozenSet,
        origin: L1Ref,
        deposits_end: u64,
    ) -> Result<Result<HeadContext, Objection>, RulesError> {
        let applied: Result<_, RangeError> = AppliedBlock::new(&*block.block, block.hash, origin.number, deposits_end);
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) => return Ok(Err(error.to_string().into())),
        };
        let sealing: Result<Sealing, _> =
            parent.context.sealing.apply(&self.params, &applied, set, |account| self.balance(account));
        Ok(match sealing {
            Ok(sealing) => Ok(HeadContext {
                origin,
                deposits_end,
                sigma: set.epoch(),
                first_height: parent.context.sealing.first_height(set.epoch()),
                sealing,
            }),
            Err(SealingError::Balance(error)) => return Err(error.into()),
            Err(error @ SealingError::SetChanged(_)) => return Err(EngineError::Internal(error.to_string()).into()),
            Err(error) => Err(error.to_string().into()),
        })
    }
}

#[async_trait]
impl Derivation for Rules {
    async fn params(&self, height: u64) -> Result<HeightRules, RulesError> {
        let parent = self.parent(height)?;
        let set = self.set_after(&parent)?;
        Ok(HeightRules {
            sigma: set.epoch(),
            fork: 0,
            first_height: parent.context.sealing.first_height(set.epoch()),
            set,
            slots: self.config.slots_per_window,
        })
    }

    async fn attributes(&self, height: u64, proposer: u32, now: u64) -> Result<BlockAttributes, RulesError> {
        let parent = self.parent(height)?;
        let set = self.set_after(&parent)?;
        let now = now.max(parent.timestamp);
        let earliest = now.saturating_sub(self.config.max_origin_lag);
        // Half of the tolerance for an L1 that is a little ahead; the other half is for the clocks of the voters.
        let latest = now.saturating_add(TIMELINESS / 2);
        let newest = self.l1.newest_origin(parent.origin.number, earliest..=latest).map_err(storage)?;
        // The parent's origin itself is left when L1 stands still, or when it was orphaned.
        let again =
            (parent.number > 0 && (earliest..=latest).contains(&parent.origin.timestamp)).then_some(parent.origin);
        let newest = newest.filter(|origin| origin.number > parent.origin.number || origin.hash == parent.origin.hash);
        // Proposed before and yet not adopted: the voters may not know it. When L1 falls silent after one more block for
        // some nodes only, insisting would cost every round of these leaders.
        let insisted = |origin: &L1Ref| {
            self.proposed.lock().is_some_and(|(proposed, when)| proposed == *origin && when.elapsed() < ORIGIN_RETRY)
        };
        let refused = newest.filter(|origin| origin.number > parent.origin.number && insisted(origin));
        let origin = match refused {
            Some(origin) => Some(again.unwrap_or(origin)),
            None => newest.or(again),
        }
        .ok_or_else(|| RulesError::Waiting(format!("no L1 block made in {earliest}..={latest} is confirmed")))?;
        if origin.number > self.l1.progress().confirmed.number {
            return Err(RulesError::Waiting(format!("L1 is not known up to block {}", origin.number)));
        }
        if origin.number > parent.origin.number {
            *self.proposed.lock() = Some((origin, Instant::now()));
        }

        let timestamp = now.max(origin.timestamp);
        let sealing = &parent.context.sealing;
        let sealed = sealing.seal_due(&self.params, set.epoch(), |account| self.balance(account))?;
        let deposits = self.l1.deposits(parent.context.deposits_end, origin.number, MAX_DEPOSITS_PER_BLOCK);
        Ok(BlockAttributes {
            number: height,
            parent_hash: parent.hash,
            timestamp,
            beneficiary: coinbase(proposer),
            prev_randao: prev_randao(set.seed(), height),
            l1_origin_hash: origin.hash,
            withdrawals: deposits.iter().map(withdrawal).collect(),
            extra_data: sealed.map(|batch| batch.hash().into()).unwrap_or_default(),
            gas_limit: self.config.gas_limit,
            max_encoded_len: sealing.max_len(&self.params, set.epoch(), timestamp),
        })
    }

    async fn check(&self, block: &SealedBlock, live: bool, patience: Duration) -> Result<Check, RulesError> {
        let parent = self.parent(block.number())?;
        let verdict = self.judge(block, &parent, patience).await?;
        let ahead = || block.header().timestamp > unix_now().saturating_add(TIMELINESS);
        Ok(match verdict {
            Err(Objection::Invalid(reason)) => Check::Invalid(reason),
            Err(Objection::MissingL1Data) => Check::MissingL1Data,
            Ok(_) if live && ahead() => Check::Untimely,
            Ok(_) => Check::Valid,
        })
    }

    async fn advance(&self, block: &SealedBlock) -> Result<HeadContext, RulesError> {
        let parent = self.parent(block.number())?;
        self.judge(block, &parent, SYNC_PATIENCE).await?.map_err(|objection| match objection {
            Objection::Invalid(reason) => EngineError::Internal(format!("decided block is invalid: {reason}")).into(),
            Objection::MissingL1Data => RulesError::Waiting(format!("the origin of block {}", block.number())),
        })
    }
}

/// The EIP-4895 credit of a deposit.
const fn withdrawal(deposit: &Deposit) -> Withdrawal {
    Withdrawal { index: deposit.index, validator_index: 0, address: deposit.to, amount: deposit.amount_gwei }
}

fn credits(block: &SealedBlock, deposits: &[Deposit]) -> bool {
    let Some(withdrawals) = &block.block.body.withdrawals else { return false };
    withdrawals.iter().eq(deposits.iter().map(withdrawal).collect::<Vec<_>>().iter())
}

fn storage(error: L1Error) -> RulesError {
    EngineError::Storage(error.to_string()).into()
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
