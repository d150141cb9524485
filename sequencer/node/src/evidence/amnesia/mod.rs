//! Amnesia: a key precommitted one block and, in a later round, prevoted another, which is honest only if more than two
//! thirds prevoted the later block in between (docs/adr/0010-amnesia.md).
//!
//! | file | what it holds |
//! |---|---|
//! | this | which votes are suspicious, and the polka that explains them |
//! | [`record`] | suspicions, accusations and polkas on disk |
//! | [`court`] | the contract that judges |
//! | [`advocate`] | accuses whom nothing explains, answers every accusation this node can answer |

pub mod advocate;
pub mod court;
pub mod record;

use std::ops::Range;

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolValue;
use rota_bindings::generated::amnesia_fault::IAmnesiaFault;
use rota_protocol::{
    evidence::{MessageKind, Signed},
    member::FrozenSet,
    vote::{Vote, VoteKind},
};
use serde::{Deserialize, Serialize};

pub use self::{
    advocate::Advocate,
    court::{ChargeCourt, L1ChargeCourt},
    record::{Accusation, ChargeStatus, Suspicion, Verdict},
};
use super::store::Statement;

/// Two votes of one key at one height that only a polka in between explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// A precommit for a block.
    pub lock: Signed<Vote>,
    /// A prevote for another one, in a later round.
    pub vote: Signed<Vote>,
}

impl Pair {
    /// The rounds in which a polka for the later block explains it.
    pub fn rounds(&self) -> Range<u32> {
        self.lock.message.round..self.vote.message.round
    }

    /// The charge that `AmnesiaFault.accuse` would open; `None` if `id` is no member of `set`.
    pub fn charge(&self, id: u32, set: &FrozenSet) -> Option<Charge> {
        let vote = self.vote.message;
        let member = set.members().get(set.index_of_id(id)?)?;
        Some(Charge {
            id,
            fork: vote.fork,
            sigma: set.epoch(),
            height: vote.height,
            lock_round: self.lock.message.round,
            vote_round: vote.round,
            voted_hash: vote.block_hash,
            weight: member.weight,
            total_weight: set.total_weight(),
        })
    }
}

/// What an operator is accused of: all an answer has to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Charge {
    /// Operator.
    pub id: u32,
    /// Fork of both votes.
    pub fork: u32,
    /// σ of both.
    pub sigma: u32,
    /// L2 height of both.
    pub height: u64,
    /// Round of the precommit.
    pub lock_round: u32,
    /// Round of the prevote, later.
    pub vote_round: u32,
    /// What was prevoted.
    pub voted_hash: B256,
    /// Weight of the member, gwei.
    pub weight: u64,
    /// Weight of the set, gwei.
    pub total_weight: u64,
}

impl Charge {
    /// Its name on L1.
    pub fn hash(&self) -> B256 {
        keccak256(IAmnesiaFault::Charge::from(*self).abi_encode())
    }

    /// The rounds in which a polka answers it.
    pub fn rounds(&self) -> Range<u32> {
        self.lock_round..self.vote_round
    }
}

impl From<Charge> for IAmnesiaFault::Charge {
    fn from(charge: Charge) -> Self {
        Self {
            id: charge.id,
            fork: charge.fork,
            sigma: charge.sigma,
            height: charge.height,
            lockRound: charge.lock_round,
            voteRound: charge.vote_round,
            votedHash: charge.voted_hash,
            weight: charge.weight,
            totalWeight: charge.total_weight,
        }
    }
}

impl From<IAmnesiaFault::Charge> for Charge {
    fn from(charge: IAmnesiaFault::Charge) -> Self {
        Self {
            id: charge.id,
            fork: charge.fork,
            sigma: charge.sigma,
            height: charge.height,
            lock_round: charge.lockRound,
            vote_round: charge.voteRound,
            voted_hash: charge.votedHash,
            weight: charge.weight,
            total_weight: charge.totalWeight,
        }
    }
}

/// The suspicious pairs among the messages of one signer at one height: for each prevote for a block, the latest earlier
/// precommit for another one. Older locks would be answered by whatever answers the latest.
///
/// `said` is in order of rounds, in each round the prevote before the precommit, as the engine signs them.
pub fn pairs(said: &[Statement], fork: u32, epoch: u32) -> Vec<Pair> {
    let (mut locks, mut found): (Vec<&Statement>, Vec<Pair>) = (Vec::new(), Vec::new());
    let votes = said.iter().filter(|said| said.place.fork == fork && said.epoch == epoch && !said.block_hash.is_zero());
    for vote in votes {
        match vote.place.kind {
            MessageKind::Precommit => locks.push(vote),
            MessageKind::Prevote => {
                let broken =
                    |lock: &&&Statement| lock.place.round < vote.place.round && lock.block_hash != vote.block_hash;
                if let Some(lock) = locks.iter().rev().find(broken) {
                    found.push(Pair { lock: lock.vote(VoteKind::Precommit), vote: vote.vote(VoteKind::Prevote) });
                }
            }
            MessageKind::Proposal => {}
        }
    }
    found
}

/// The prevote that the members of a polka signed.
pub fn prevote(fork: u32, set: &FrozenSet, height: u64, round: u32, block_hash: B256) -> Vote {
    Vote { kind: VoteKind::Prevote, fork, epoch: set.epoch(), height, round, block_hash }
}

/// Everything that names the key of a suspicion or a charge in a table: big endian, in order.
fn name(owner: &[u8], height: u64, rest: &[u32], hash: B256) -> Vec<u8> {
    let mut key = [owner, &height.to_be_bytes()].concat();
    rest.iter().for_each(|number| key.extend(number.to_be_bytes()));
    key.extend(hash);
    key
}

/// The seat of operator `id`, and its key; `None` if it is no member.
fn seat(set: &FrozenSet, id: u32) -> Option<(u32, Address)> {
    let index = set.index_of_id(id)?;
    set.members().get(index).map(|member| (index as u32, member.signer))
}

#[cfg(test)]
mod tests;
