//! What consensus asks of the chain's rules: who votes at a height, what a block must contain, what follows from it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rota_protocol::{
    header,
    member::{FrozenSet, Member},
    schedule,
};

use crate::chain::{BlockAttributes, EngineError, HeadContext, SealedBlock};

/// Who votes on a height and in which order they lead it (protocol sections 4 and 5).
#[derive(Clone, Debug)]
pub struct HeightRules {
    /// σ: epoch whose frozen set serves this height.
    pub sigma: u32,
    /// Number of re-executions so far (protocol section 7).
    pub fork: u32,
    /// First height served by σ.
    pub first_height: u64,
    /// Members of σ, with its seed.
    pub set: Arc<FrozenSet>,
    /// Slots of a schedule window.
    pub slots: u32,
}

impl HeightRules {
    /// The member that proposes in `round` of `height`.
    pub fn proposer(&self, height: u64, round: u32) -> &Member {
        schedule::leader(&self.set, height, self.first_height, round, self.slots)
    }

    /// The beneficiary rule of validity: a block pays the `coinbase` of some member of σ.
    ///
    /// It must not depend on the round: the engine knows one verdict per block hash, so a verdict that changed with the
    /// round could let a block be decided that another node holds invalid for good.
    pub fn pays_a_member(&self, block: &SealedBlock) -> bool {
        header::id_of_coinbase(block.header().beneficiary).is_some_and(|id| self.set.index_of_id(id).is_some())
    }

    /// Whether a live proposal of `round` may be voted for: a fresh block pays its proposer; one that repeats a polka of
    /// `pol_round` is unchanged, so it pays whoever proposed it in that or an earlier round.
    ///
    /// This is not validity. A block that a quorum votes for all the same is decided and stands: by paying another
    /// member its builder can only give its own reward away.
    pub fn pays_its_proposer(&self, block: &SealedBlock, round: u32, pol_round: Option<u32>) -> bool {
        let Some(id) = header::id_of_coinbase(block.header().beneficiary) else { return false };
        // Rounds 0..n are a permutation of the members: later rounds admit nobody new.
        let last = self.set.members().len() as u32;
        let rounds = match pol_round {
            None => round..=round,
            Some(pol) => 0..=pol.min(last),
        };
        rounds.into_iter().any(|round| self.proposer(block.number(), round).id == id)
    }
}

/// Verdict of the rules that need L1 (origin, deposits, seal) on a block that extends the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Keeps every rule that does not need execution.
    Valid,
    /// Breaks a rule, whatever this node may still learn; named for the log.
    Invalid(String),
    /// Refers to L1 data this node has not confirmed yet: ask again later, never vote against it for that.
    MissingL1Data,
    /// Too far ahead of the local clock: only for live proposals, never once a certificate exists.
    Untimely,
}

/// Why the rules could not answer; none of these is a statement about a block's validity.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// L1 data that the answer depends on has not arrived yet.
    #[error("waiting for L1: {0}")]
    Waiting(String),
    /// Only the height after the head can be answered for.
    #[error("asked about height {height}, but the head is {head}")]
    NotNext {
        /// Height asked about.
        height: u64,
        /// Height of the head.
        head: u64,
    },
    /// Storage failed or the node is defective: it must stop.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The rules of the next block as functions of the decided chain and of confirmed L1 (protocol sections 1, 5 and 7).
///
/// Every `height` is that of the head plus one. Implementations bound their waits: consensus serves nothing else while
/// it awaits [`Self::attributes`] or [`Self::check`].
#[async_trait]
pub trait Derivation: Send + Sync + 'static {
    /// Set and schedule of `height`: a pure function of the decided chain, the same on every node.
    ///
    /// # Errors
    /// [`RulesError::Waiting`] while this node has not seen the frozen set of σ on L1; consensus asks again.
    async fn params(&self, height: u64) -> Result<HeightRules, RulesError>;

    /// What a block of `height` proposed by `proposer` (id) at `now` (Unix seconds) must contain.
    ///
    /// # Errors
    /// [`RulesError::Waiting`] when no usable L1 origin is known: the slot is left to the fallback.
    async fn attributes(&self, height: u64, proposer: u32, now: u64) -> Result<BlockAttributes, RulesError>;

    /// Checks timestamp, origin, deposits, randomness, seal, size and gas limit of a block on the head; the
    /// beneficiary ([`HeightRules::pays_a_member`]) is checked by consensus. `live` adds the timeliness check. Waits at
    /// most `patience` for L1.
    async fn check(&self, block: &SealedBlock, live: bool, patience: Duration) -> Result<Check, RulesError>;

    /// The rules' state after `block`, which extends the head, keeps the rules and was executed.
    async fn advance(&self, block: &SealedBlock) -> Result<HeadContext, RulesError>;
}
