//! Suspicions, accusations and polkas on disk. Each is synced before anybody acts on it, and what one member can fill is
//! bounded.

use std::{collections::BTreeMap, ops::Range};

use alloy_primitives::{Address, B256};
use fjall::Keyspace;
use rota_protocol::{certificate::CommitCertificate, evidence::MessageKind, member::FrozenSet, vote::Signature65};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Charge, Pair, name, prevote};
use crate::evidence::store::{EvidenceStore, MAX_PER_SIGNER, StoreError, number};

/// Suspicions kept of one signer, settled ones included.
const MAX_SUSPICIONS: usize = 4 * MAX_PER_SIGNER;
/// Open accusations followed of another operator; an honest one signs hardly a pair that anybody could accuse it of.
const MAX_OPEN_CHARGES: usize = 64;
/// Accusations kept of one operator, settled ones included.
const MAX_CHARGES: usize = 2 * MAX_OPEN_CHARGES;
/// Polkas of one round kept whole: a second one takes double votes of more than a third.
const MAX_POLKAS: usize = 4;
/// L1 block after the last one whose accusations are on record.
const ACCUSATIONS: &str = "accusations";

/// What became of a suspicion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// To be accused, or accused and not judged.
    Pending,
    /// L1 took an answer, and that is confirmed.
    Answered,
    /// L1 has convicted the operator, and that is confirmed.
    Convicted,
    /// L1 will never take it: the reason is in the log.
    Refused,
}

/// A pair of votes for which no polka is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspicion {
    /// Both votes.
    pub pair: Pair,
    /// Who signed both.
    pub signer: Address,
    /// The operator it signed for.
    pub id: u32,
    /// Its seat in the set of σ, from 0.
    pub index: u32,
    /// What became of it.
    pub status: Verdict,
}

impl Suspicion {
    /// A new one.
    pub const fn new(pair: Pair, signer: Address, id: u32, index: u32) -> Self {
        Self { pair, signer, id, index, status: Verdict::Pending }
    }

    /// Names it as L1 names charges: whatever was precommitted, one answer serves.
    pub fn key(&self) -> Vec<u8> {
        let vote = self.pair.vote.message;
        let rounds = self.pair.rounds();
        name(self.signer.as_slice(), vote.height, &[vote.fork, vote.epoch, rounds.start, rounds.end], vote.block_hash)
    }
}

/// Where an accusation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChargeStatus {
    /// An answer or a conviction is due.
    Open,
    /// Over, and that is confirmed.
    Closed,
}

/// An accusation that L1 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accusation {
    /// What of.
    pub charge: Charge,
    /// From when it convicts, Unix seconds.
    pub convictable_from: u64,
    /// Where it stands, as far as this node knows.
    pub status: ChargeStatus,
}

impl Accusation {
    fn key(&self) -> Vec<u8> {
        let Charge { id, fork, sigma, height, lock_round, vote_round, voted_hash, .. } = self.charge;
        name(&id.to_be_bytes(), height, &[fork, sigma, lock_round, vote_round], voted_hash)
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|_| StoreError::Corrupt("an accusation"))
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|_| StoreError::Corrupt("an accusation"))
}

fn all<T: DeserializeOwned>(table: &Keyspace, prefix: &[u8]) -> Result<Vec<T>, StoreError> {
    table.prefix(prefix).map(|entry| decode(&entry.value()?)).collect()
}

impl EvidenceStore {
    /// Records a suspicion durably. False if it is known, or if enough is known about its signer under the same set: each
    /// set calls for a penalty of its own, and what waits for one must not make its signer safe for another.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn open_suspicion(&self, suspicion: &Suspicion) -> Result<bool, StoreError> {
        let known: Vec<Suspicion> = all(&self.suspicions, suspicion.signer.as_slice())?;
        let epoch = suspicion.pair.vote.message.epoch;
        let is_same = |known: &&Suspicion| known.status == Verdict::Pending && known.pair.vote.message.epoch == epoch;
        let pending = known.iter().filter(is_same).count();
        if pending >= MAX_PER_SIGNER || self.suspicions.contains_key(suspicion.key())? {
            return Ok(false);
        }
        if known.len() >= MAX_SUSPICIONS
            && let Some(oldest) = known.iter().find(|known| known.status != Verdict::Pending)
        {
            self.suspicions.remove(oldest.key())?;
        }
        self.suspicions.insert(suspicion.key(), encode(suspicion)?)?;
        self.sync()?;
        Ok(true)
    }

    /// Notes what became of a suspicion.
    ///
    /// # Errors
    /// Disk failure.
    pub fn settle_suspicion(&self, suspicion: &Suspicion, status: Verdict) -> Result<(), StoreError> {
        self.suspicions.insert(suspicion.key(), encode(&Suspicion { status, ..*suspicion })?)?;
        self.sync()
    }

    /// Forgets a suspicion that a polka explains.
    ///
    /// # Errors
    /// Disk failure.
    pub fn drop_suspicion(&self, suspicion: &Suspicion) -> Result<(), StoreError> {
        self.suspicions.remove(suspicion.key())?;
        self.sync()
    }

    /// Every suspicion on record.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn suspicions(&self) -> Result<Vec<Suspicion>, StoreError> {
        all(&self.suspicions, &[])
    }

    /// First L1 block whose accusations are not on record yet; `None` if none was read.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn accusations_from(&self) -> Result<Option<u64>, StoreError> {
        self.meta.get(ACCUSATIONS)?.map(|bytes| number(&bytes)).transpose()
    }

    /// Has the accusations of all L1 blocks read again.
    ///
    /// # Errors
    /// Disk failure.
    pub fn forget_place(&self) -> Result<(), StoreError> {
        Ok(self.meta.remove(ACCUSATIONS)?)
    }

    /// Records the accusations of all L1 blocks before `next` that were not read before. Returns how many of them were
    /// left out, because too many are open against one operator that is not `own`: nobody else is sure to answer for that
    /// one, and what L1 holds of it its accusers paid for.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn accused(
        &self,
        accusations: &[Accusation],
        next: u64,
        own: impl Fn(&Charge) -> bool,
    ) -> Result<usize, StoreError> {
        let mut left_out = 0;
        for accusation in accusations {
            let known: Vec<Accusation> = all(&self.charges, &accusation.charge.id.to_be_bytes())?;
            if self.charges.contains_key(accusation.key())? {
                continue;
            }
            let open = known.iter().filter(|known| known.status == ChargeStatus::Open).count();
            if open >= MAX_OPEN_CHARGES && !own(&accusation.charge) {
                left_out += 1;
                continue;
            }
            if known.len() >= MAX_CHARGES
                && let Some(oldest) = known.iter().find(|known| known.status == ChargeStatus::Closed)
            {
                self.charges.remove(oldest.key())?;
            }
            self.charges.insert(accusation.key(), encode(accusation)?)?;
        }
        // The place comes last: after a crash in between the same blocks are read again.
        if !accusations.is_empty() {
            self.sync()?;
        }
        self.meta.insert(ACCUSATIONS, next.to_be_bytes())?;
        Ok(left_out)
    }

    /// Notes that nothing can come of an accusation any more.
    ///
    /// # Errors
    /// Disk failure.
    pub fn close_accusation(&self, accusation: &Accusation) -> Result<(), StoreError> {
        let closed = Accusation { status: ChargeStatus::Closed, ..*accusation };
        self.charges.insert(accusation.key(), encode(&closed)?)?;
        self.sync()
    }

    /// Every accusation on record.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn accusations(&self) -> Result<Vec<Accusation>, StoreError> {
        all(&self.charges, &[])
    }

    /// A polka for `block` in one of `rounds`: prevotes of more than two thirds of `set`, as few as prove it. Whatever
    /// else a member prevoted there first, its prevote for the block counts: engines may have counted it.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn polka(
        &self,
        set: &FrozenSet,
        fork: u32,
        height: u64,
        rounds: Range<u32>,
        block: B256,
    ) -> Result<Option<CommitCertificate>, StoreError> {
        let mut votes: BTreeMap<u32, Vec<(Address, Signature65)>> = BTreeMap::new();
        for said in self.messages_at(height, None)?.into_iter().chain(self.spares_at(height)?) {
            let place = said.place;
            let fits = place.kind == MessageKind::Prevote && place.fork == fork && rounds.contains(&place.round);
            let is_member = || set.index_of_signer(said.signer).is_some();
            if fits && said.epoch == set.epoch() && said.block_hash == block && is_member() {
                votes.entry(place.round).or_default().push((said.signer, said.signature));
            }
        }
        for (round, votes) in votes {
            let vote = prevote(fork, set, height, round, block);
            if let Ok(polka) = CommitCertificate::from_votes(set, &vote, votes) {
                return Ok(Some(polka.trimmed(set)));
            }
        }
        let kept: Vec<CommitCertificate> = all(&self.polkas, &polka_prefix(height, fork))?;
        let fits = |polka: &CommitCertificate| {
            polka.block_hash == block && polka.epoch == set.epoch() && rounds.contains(&polka.round)
        };
        Ok(kept.into_iter().find(fits).map(|polka| polka.trimmed(set)))
    }

    /// Keeps a polka whose votes were verified, durably. False if it is known, or if there are enough of its round.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn keep_polka(&self, polka: &CommitCertificate) -> Result<bool, StoreError> {
        let round = [polka_prefix(polka.height, polka.fork), polka.round.to_be_bytes().to_vec()].concat();
        let key = [round.as_slice(), polka.block_hash.as_slice()].concat();
        if self.polkas.prefix(&round).take(MAX_POLKAS).count() >= MAX_POLKAS || self.polkas.contains_key(&key)? {
            return Ok(false);
        }
        self.polkas.insert(key, encode(polka)?)?;
        self.sync()?;
        Ok(true)
    }
}

fn polka_prefix(height: u64, fork: u32) -> Vec<u8> {
    [&height.to_be_bytes()[..], &fork.to_be_bytes()].concat()
}
