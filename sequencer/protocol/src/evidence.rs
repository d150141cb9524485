//! Proof that one key signed two things at one place: double votes and double proposals (protocol sections 6 and 10).
//!
//! What is accepted here is exactly what the fault contracts on L1 accept, so that a node never pays for a report that
//! is refused and never misses one that would be taken.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::{
    member::{FrozenSet, Member},
    vote::{Proposal, Signature65, SignatureError, Vote, VoteDomain, VoteKind},
};

/// What a signature is about: an honest key signs one message of each kind in each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum MessageKind {
    /// Fault kind 1.
    Prevote = 1,
    /// Fault kind 2.
    Precommit = 2,
    /// Fault kind 3.
    Proposal = 3,
}

impl MessageKind {
    /// The inverse of `kind as u8`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Prevote),
            2 => Some(Self::Precommit),
            3 => Some(Self::Proposal),
            _ => None,
        }
    }
}

impl From<VoteKind> for MessageKind {
    fn from(kind: VoteKind) -> Self {
        match kind {
            VoteKind::Prevote => Self::Prevote,
            VoteKind::Precommit => Self::Precommit,
        }
    }
}

/// Where at most one message may be signed by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// What is signed.
    pub kind: MessageKind,
    /// Count of re-executions.
    pub fork: u32,
    /// L2 height.
    pub height: u64,
    /// Consensus round.
    pub round: u32,
}

/// A message that members of a set sign.
pub trait Message: Copy {
    /// Where it may be signed once.
    fn place(&self) -> Place;
    /// σ that it names.
    fn epoch(&self) -> u32;
    /// The block it is for; zero for nil.
    fn block_hash(&self) -> B256;
    /// What its signer signs.
    fn signing_digest(&self, domain: &VoteDomain) -> B256;
}

impl Message for Vote {
    fn place(&self) -> Place {
        Place { kind: self.kind.into(), fork: self.fork, height: self.height, round: self.round }
    }

    fn epoch(&self) -> u32 {
        self.epoch
    }

    fn block_hash(&self) -> B256 {
        self.block_hash
    }

    fn signing_digest(&self, domain: &VoteDomain) -> B256 {
        self.digest(domain)
    }
}

impl Message for Proposal {
    fn place(&self) -> Place {
        Place { kind: MessageKind::Proposal, fork: self.fork, height: self.height, round: self.round }
    }

    fn epoch(&self) -> u32 {
        self.epoch
    }

    fn block_hash(&self) -> B256 {
        self.block_hash
    }

    fn signing_digest(&self, domain: &VoteDomain) -> B256 {
        self.digest(domain)
    }
}

/// A message with a signature, not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    /// What is said.
    pub message: T,
    /// By whom: the address that recovers.
    pub signature: Signature65,
}

impl<T: Message> Signed<T> {
    /// The address whose key signed the message.
    ///
    /// # Errors
    /// [`SignatureError::Unrecoverable`].
    pub fn signer(&self, domain: &VoteDomain) -> Result<Address, SignatureError> {
        self.signature.recover(self.message.signing_digest(domain))
    }

    /// What tells two messages at one place apart. The round of a proposal's polka does not: the engine may propose one
    /// block again, and two signatures for one block harm nobody.
    fn content(&self) -> (u32, B256) {
        (self.message.epoch(), self.message.block_hash())
    }
}

/// Two signed messages that are said to contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction<T> {
    /// The lower of the two by (epoch, block hash).
    pub first: Signed<T>,
    /// The other.
    pub second: Signed<T>,
}

/// Whom evidence convicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// The member with its weight in the set.
    pub member: Member,
    /// σ of that set.
    pub sigma: u32,
    /// Where it signed twice.
    pub place: Place,
}

/// Why two messages convict nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// They may both be signed.
    #[error("{first:?} and {second:?} are different places")]
    Places {
        /// Of the first message.
        first: Place,
        /// Of the second.
        second: Place,
    },
    /// They say the same.
    #[error("both messages are for block {0} under one set")]
    Same(B256),
    /// A signature that leads to no key.
    #[error("signature: {0}")]
    Signature(#[from] SignatureError),
    /// Two keys signed.
    #[error("signed by {first} and by {second}")]
    Signers {
        /// Signer of the first message.
        first: Address,
        /// Signer of the second.
        second: Address,
    },
    /// Neither message names the epoch of the set.
    #[error("the set of epoch {set} is neither that of epoch {first} nor of {second}")]
    Set {
        /// Epoch of the set.
        set: u32,
        /// Epoch the first message names.
        first: u32,
        /// Epoch the second names.
        second: u32,
    },
    /// The signer held no seat.
    #[error("{signer} is not a member of the set of epoch {epoch}")]
    Stranger {
        /// Who signed.
        signer: Address,
        /// Epoch of the set.
        epoch: u32,
    },
}

impl<T: Message> Contradiction<T> {
    /// Pairs two messages, in the one order that a contradiction has. Nothing is checked: see [`Self::verify`].
    pub fn new(a: Signed<T>, b: Signed<T>) -> Self {
        if b.content() < a.content() { Self { first: b, second: a } } else { Self { first: a, second: b } }
    }

    /// Everything L1 checks but the age: same place, different content, one signer, a member of `set`, which is the set
    /// of an epoch that one of the messages names.
    ///
    /// # Errors
    /// An [`EvidenceError`] that names the first check that fails: then nobody is convicted.
    pub fn verify(&self, set: &FrozenSet, domain: &VoteDomain) -> Result<Culprit, EvidenceError> {
        let (a, b) = (&self.first, &self.second);
        let place = a.message.place();
        if place != b.message.place() {
            return Err(EvidenceError::Places { first: place, second: b.message.place() });
        }
        if a.content() == b.content() {
            return Err(EvidenceError::Same(a.message.block_hash()));
        }
        let (first, second) = (a.message.epoch(), b.message.epoch());
        if ![first, second].contains(&set.epoch()) {
            return Err(EvidenceError::Set { set: set.epoch(), first, second });
        }
        let (signer, other) = (a.signer(domain)?, b.signer(domain)?);
        if signer != other {
            return Err(EvidenceError::Signers { first: signer, second: other });
        }
        let index = set.index_of_signer(signer).ok_or(EvidenceError::Stranger { signer, epoch: set.epoch() })?;
        Ok(Culprit { member: *set.member_at(index), sigma: set.epoch(), place })
    }
}

/// Two votes of one kind in one round, for different blocks (or one for nil).
pub type DoubleVote = Contradiction<Vote>;

/// Two proposals in one round.
pub type DoubleProposal = Contradiction<Proposal>;

/// Evidence of any of the faults that two messages prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "fault")]
pub enum Evidence {
    /// Goes to `DoubleVoteFault`.
    DoubleVote(DoubleVote),
    /// Goes to `DoubleProposalFault`.
    DoubleProposal(DoubleProposal),
}

impl Evidence {
    /// Where it says that somebody signed twice.
    pub fn place(&self) -> Place {
        match self {
            Self::DoubleVote(pair) => pair.first.message.place(),
            Self::DoubleProposal(pair) => pair.first.message.place(),
        }
    }

    /// σ that its messages name, in order; both name one unless a key signed for two sets.
    pub fn epochs(&self) -> (u32, u32) {
        match self {
            Self::DoubleVote(pair) => (pair.first.message.epoch, pair.second.message.epoch),
            Self::DoubleProposal(pair) => (pair.first.message.epoch, pair.second.message.epoch),
        }
    }

    /// See [`Contradiction::verify`].
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub fn verify(&self, set: &FrozenSet, domain: &VoteDomain) -> Result<Culprit, EvidenceError> {
        match self {
            Self::DoubleVote(pair) => pair.verify(set, domain),
            Self::DoubleProposal(pair) => pair.verify(set, domain),
        }
    }
}
