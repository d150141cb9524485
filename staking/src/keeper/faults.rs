//! Penalties that are due: absences, repeated ones, top-ups, and charges of amnesia that nobody answered.
//!
//! What convicts is on L1 or hashes to what is there, so a keeper that looks away only delays it. Between two looks it
//! remembers what a hash stands for, and nothing else.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use alloy::{
    primitives::{B256, U256},
    providers::Provider as _,
};
use eyre::Result;
use rota_bindings::{AmnesiaFault, OfflineFault, Slasher, generated::amnesia_fault::IAmnesiaFault};
use rota_protocol::{
    batch::{TallyEntry, decode_entries},
    member::FrozenSet,
};
use tracing::info;

use super::{
    chores::{Chore, Due, Tally},
    liquid,
};
use crate::{connection::Network, events::Search};

/// `FaultKind` of an absence.
const OFFLINE: u8 = 5;
/// `ChargeState` of a charge that awaits its end.
const OPEN: u8 = 1;
/// `BatchState` of a batch whose challenge window runs.
const POSTED: u8 = 1;
/// Operators asked about at a time.
const PAGE: u32 = 32;
/// Batches that may await their finality: a week of one every ten minutes, and room.
const MAX_STANDING: usize = 4_096;
/// Tallies looked at in one go; evidence ages faster.
const MAX_TALLIES: usize = 64;
/// L1 blocks searched again for accusations, in case of a reorganisation.
const OVERLAP: u64 = 128;
/// Charges looked at in one go.
const MAX_CHARGES: usize = 64;

/// What a keeper remembers between two looks at L1.
#[derive(Debug, Default)]
pub struct Memory {
    /// Batches that are not FINAL: parent, and whether a tally comes with them.
    standing: HashMap<B256, (B256, bool)>,
    /// Batches with a tally, by hash.
    tallies: HashMap<B256, Judged>,
    /// Accusations that were open when last looked at.
    charges: HashMap<B256, IAmnesiaFault::Charge>,
    /// L1 block up to which accusations were searched.
    searched: Option<u64>,
    /// Of liquid staking.
    pub(super) liquid: liquid::Memory,
}

/// What a tally says.
#[derive(Clone, Debug)]
struct Judged {
    epoch: u32,
    absent: Vec<u32>,
}

/// Why a tally convicts nobody of an absence, however many slots somebody missed: too many were absent for it to be theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// More than a third of the weight was absent. Both in gwei.
    Weight {
        /// Of members that missed half of their slots or more.
        absent: u128,
        /// Of the set.
        total: u128,
    },
    /// More than a third of all slots were missed.
    Slots {
        /// Without a block of their leader.
        missed: u64,
        /// In all.
        assigned: u64,
    },
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight { absent, total } => {
                write!(f, "members with {absent} of {total} gwei were absent, more than a third of the weight")
            }
            Self::Slots { missed, assigned } => {
                write!(f, "{missed} of {assigned} slots were missed, more than a third")
            }
        }
    }
}

/// Operators that a tally convicts of an absence, as `OfflineFault` judges: of at least `min_slots` slots they missed half
/// or more.
///
/// # Errors
/// More than a third of the weight was absent or more than a third of all slots were missed: then it convicts nobody.
pub fn absent(set: &FrozenSet, entries: &[TallyEntry], min_slots: u32) -> Result<Vec<u32>, Outage> {
    let missed = |entry: &TallyEntry| u64::from(entry.slots_assigned.saturating_sub(entry.own_produced));
    let is_absent = |entry: &TallyEntry| entry.slots_assigned > 0 && 2 * missed(entry) >= entry.slots_assigned.into();
    let (mut all_missed, mut assigned, mut absent_weight) = (0u64, 0u64, 0u128);
    for (entry, member) in entries.iter().zip(set.members()) {
        all_missed += missed(entry);
        assigned += u64::from(entry.slots_assigned);
        absent_weight += if is_absent(entry) { member.weight.into() } else { 0 };
    }
    let total = u128::from(set.total_weight());
    if 3 * absent_weight > total {
        return Err(Outage::Weight { absent: absent_weight, total });
    }
    if 3 * all_missed > assigned {
        return Err(Outage::Slots { missed: all_missed, assigned });
    }
    let judged = |entry: &&TallyEntry| entry.slots_assigned >= min_slots && is_absent(entry);
    Ok(entries.iter().filter(judged).map(|entry| entry.id).collect())
}

/// Slashes of those repeated absences, operator and epoch, that the FINAL tally of `batch` names. A jail may rest on a
/// tally that another replaced before it was FINAL, and only what that one says convicts.
fn slashes(repeated: &[(u32, u32)], batch: B256, judged: &Judged) -> Vec<Chore> {
    let named = |&&(id, epoch): &&(u32, u32)| epoch == judged.epoch && judged.absent.contains(&id);
    repeated.iter().filter(named).map(|&(id, epoch)| Chore::Slash { id, epoch, batch }).collect()
}

impl Memory {
    /// Hashes of the batches that stand and are not FINAL yet, and carry a tally.
    async fn standing(&mut self, network: &Network) -> Result<Vec<B256>> {
        let batches = network.batches();
        let last = batches.finalHead().call().await?;
        let mut hash = batches.head().call().await?;
        let (mut walked, mut found) = (HashSet::new(), Vec::new());
        while hash != last && walked.len() < MAX_STANDING {
            let (parent, carries) = match self.standing.get(&hash) {
                Some(known) => *known,
                None => {
                    let batch = batches.batchOf(hash).call().await?;
                    if batch.state != POSTED {
                        break;
                    }
                    self.standing.insert(hash, (batch.parent, batch.carriesTally));
                    (batch.parent, batch.carriesTally)
                }
            };
            if carries {
                found.push(hash);
            }
            walked.insert(hash);
            hash = parent;
        }
        self.standing.retain(|hash, _| walked.contains(hash));
        Ok(found)
    }

    /// The newest FINAL batches with a tally, newest first.
    async fn finals(&self, network: &Network, count: usize) -> Result<Vec<B256>> {
        let batches = network.batches();
        let tallies: u64 = batches.tallyCount().call().await?.saturating_to();
        let mut found = Vec::new();
        for number in (0..tallies).rev().take(count) {
            found.push(batches.tallyAt(U256::from(number)).call().await?);
        }
        Ok(found)
    }

    /// What the tally of `batch` says, if it can be had: one that cannot is noted and does not hide the others. Sets `down`
    /// when the L2 node does not answer at all, which is then asked no more.
    async fn judged(&mut self, network: &Network, batch: B256, down: &mut bool, due: &mut Due) -> Option<Judged> {
        if let Some(known) = self.tallies.get(&batch) {
            return Some(known.clone());
        }
        if *down {
            return None;
        }
        match self.judge(network, batch).await {
            Ok(judged) => Some(judged),
            Err(error) => {
                due.fail(error.wrap_err(format!("judging absences by the tally of batch {batch}")));
                *down = network.l2().await.is_err();
                None
            }
        }
    }

    async fn judge(&mut self, network: &Network, batch: B256) -> Result<Judged> {
        let tally = Tally::fetch(network, batch).await?;
        let entries = decode_entries(&tally.entries)?;
        let set = FrozenSet::decode(tally.header.tally.epoch, B256::ZERO, &tally.members)?;
        let offline = OfflineFault::new(network.deployment.contracts.offline_fault, network.l1.clone());
        let min_slots = offline.MIN_SLOTS().call().await?;
        let epoch = set.epoch();
        let absent = absent(&set, &entries, min_slots).unwrap_or_else(|outage| {
            metrics::counter!("rota_keeper_outages_total").increment(1);
            info!("nobody is jailed for epoch {epoch} by batch {batch}: {outage}");
            Vec::new()
        });
        let judged = Judged { epoch, absent };
        if self.tallies.len() >= 2 * MAX_TALLIES {
            self.tallies.clear();
        }
        self.tallies.insert(batch, judged.clone());
        Ok(judged)
    }

    /// Operators to jail: absent by a tally that stands, and not jailed for that absence.
    pub(super) async fn absences(&mut self, network: &Network, look: &mut Due) -> Result<Vec<Chore>> {
        let slasher = Slasher::new(network.deployment.contracts.slasher, network.l1.clone());
        let current = network.clock().epoch_at(network.l1_time().await?);
        let mut batches = self.standing(network).await?;
        batches.extend(self.finals(network, slasher.EVIDENCE_EPOCHS().call().await? as usize + 1).await?);
        let (mut due, mut down) = (Vec::new(), false);
        for batch in batches.into_iter().take(MAX_TALLIES) {
            let Some(Judged { epoch, absent }) = self.judged(network, batch, &mut down, look).await else {
                continue;
            };
            if absent.is_empty() || epoch > current || current > slasher.lastEvidenceEpoch(epoch).call().await? {
                continue;
            }
            for id in absent {
                if slasher.nextOfflineSigma(id).call().await? <= epoch {
                    due.push(Chore::Jail { id, epoch, batch });
                }
            }
        }
        // One case for one outage: the first epoch of it, and the others belong to it.
        due.sort_by_key(|chore| if let Chore::Jail { id, epoch, .. } = chore { (*id, *epoch) } else { (0, 0) });
        due.dedup_by_key(|chore| if let Chore::Jail { id, .. } = chore { *id } else { 0 });
        Ok(due)
    }

    /// Top-ups, and slashes of repeated absences whose appeal window is over and which a FINAL tally names.
    pub(super) async fn penalties(&mut self, network: &Network, look: &mut Due) -> Result<Vec<Chore>> {
        let operators = network.registry().operatorCount().call().await?;
        let (lens, now) = (network.lens(), U256::from(network.l1_time().await?));
        let (mut due, mut repeated) = (Vec::new(), Vec::new());
        for from in (1..=operators).step_by(PAGE as usize) {
            for fault in lens.openFaults(from, U256::from(PAGE)).call().await? {
                // A first absence takes nothing: the jail was all.
                if fault.fraction.is_zero() {
                    continue;
                }
                if fault.kind != OFFLINE {
                    due.push(Chore::TopUp { id: fault.id });
                } else if fault.dueAt <= now {
                    repeated.push((fault.id, fault.sigma));
                }
            }
        }
        // One top-up does for all convictions of an operator.
        due.dedup();
        let Some(oldest) = repeated.iter().map(|(_, epoch)| *epoch).min() else {
            return Ok(due);
        };
        let mut down = false;
        for batch in self.finals(network, MAX_TALLIES).await? {
            let Some(judged) = self.judged(network, batch, &mut down, look).await else {
                continue;
            };
            due.extend(slashes(&repeated, batch, &judged));
            if judged.epoch <= oldest {
                break;
            }
        }
        Ok(due)
    }

    /// Charges of amnesia that convict, past their window, and at any time those that nothing can come of any more.
    pub(super) async fn charges(&mut self, network: &Network) -> Result<Vec<Chore>> {
        let fault = AmnesiaFault::new(network.deployment.contracts.amnesia_fault, network.l1.clone());
        let newest = network.l1.get_block_number().await?;
        if fault.openChargesInAll().call().await?.is_zero() {
            self.charges.clear();
            self.searched = Some(newest);
            return Ok(Vec::new());
        }
        let deployed = network.deployment.deployed_at_block;
        let from = self.searched.map_or(deployed, |searched| searched.saturating_sub(OVERLAP).max(deployed));
        let search = Search { what: "accusations of amnesia", blocks: from..=newest, visible: false };
        for (event, _) in search.all(&fault.Accused_filter()).await? {
            self.charges.insert(event.chargeHash, event.charge);
        }
        self.searched = Some(newest);
        let (mut due, now) = (Vec::new(), network.l1_time().await?);
        let hashes: Vec<B256> = self.charges.keys().copied().collect();
        for hash in hashes {
            let accusation = fault.accusationOf(hash).call().await?;
            if accusation.state != OPEN {
                self.charges.remove(&hash);
            } else if due.len() < MAX_CHARGES
                && let Some(charge) = self.charges.get(&hash)
            {
                // The contract itself says which of the two is due.
                let waited = now >= accusation.convictableFrom.to::<u64>();
                if waited && fault.convict(charge.clone()).call().await.is_ok() {
                    due.push(Chore::Convict { charge: Box::new(charge.clone()) });
                } else if fault.expire(charge.clone()).call().await.is_ok() {
                    due.push(Chore::Expire { charge: Box::new(charge.clone()) });
                }
            }
        }
        Ok(due)
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;
    use rota_protocol::member::Member;

    use super::*;

    fn set(weights: &[u64]) -> FrozenSet {
        let member = |(index, weight): (usize, &u64)| Member {
            signer: Address::repeat_byte(index as u8 + 1),
            id: index as u32 + 1,
            weight: *weight,
        };
        FrozenSet::new(3, B256::ZERO, weights.iter().enumerate().map(member).collect()).unwrap()
    }

    fn entries(slots: &[(u32, u32)]) -> Vec<TallyEntry> {
        let entry = |(index, (assigned, own)): (usize, &(u32, u32))| TallyEntry {
            id: index as u32 + 1,
            slots_assigned: *assigned,
            own_produced: *own,
            fallback_produced: 0,
            priority_fees: 0,
        };
        slots.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn a_repeated_absence_is_slashed_if_the_final_tally_of_its_epoch_names_it() {
        let (batch, repeated) = (B256::repeat_byte(1), [(3, 7), (4, 7), (3, 8)]);
        let judge = |epoch, absent: &[u32]| slashes(&repeated, batch, &Judged { epoch, absent: absent.to_vec() });
        let slash = |id, epoch| Chore::Slash { id, epoch, batch };
        assert_eq!(judge(7, &[2, 3, 4]), [slash(3, 7), slash(4, 7)]);
        assert_eq!(judge(8, &[3, 4]), [slash(3, 8)]);
        // Sealed again with somebody else absent, or nobody.
        assert_eq!(judge(7, &[2, 4]), [slash(4, 7)]);
        assert!(judge(7, &[]).is_empty());
        assert!(judge(9, &[3, 4]).is_empty());
    }

    #[test]
    fn a_failure_does_not_hide_what_is_found_after_it() {
        let mut due = Due::default();
        due.fail(eyre::eyre!("first"));
        due.fail(eyre::eyre!("second"));
        due.note("which penalties are due", Ok(vec![Chore::TopUp { id: 1 }]));
        assert_eq!(due.chores, [Chore::TopUp { id: 1 }]);
        assert_eq!(due.failed.map(|error| error.to_string()).as_deref(), Some("first"));
    }

    #[test]
    fn who_missed_half_of_enough_slots_is_absent_unless_too_many_were() {
        let equal = set(&[10, 10, 10, 10]);
        let judge = |slots: &[(u32, u32)]| absent(&equal, &entries(slots), 8).unwrap();
        assert!(judge(&[(8, 8), (8, 8), (8, 8), (8, 8)]).is_empty());
        // Half is enough, one less is not.
        assert_eq!(judge(&[(8, 8), (8, 8), (8, 8), (8, 4)]), [4]);
        assert!(judge(&[(8, 8), (8, 8), (8, 8), (8, 5)]).is_empty());
        // Too few slots to judge by.
        assert!(judge(&[(9, 9), (8, 8), (8, 8), (7, 0)]).is_empty());
        // Blocks made for others do not make up for it, nor own ones beyond the slots for others' absence.
        assert_eq!(judge(&[(8, 16), (8, 8), (8, 8), (8, 0)]), [4]);
        // One operator with exactly a third of the weight, and with exactly a third of all slots.
        assert_eq!(absent(&set(&[10, 10, 10]), &entries(&[(20, 20), (20, 20), (8, 0)]), 8), Ok(vec![3]));
        assert_eq!(absent(&set(&[40, 40, 10]), &entries(&[(8, 8), (8, 8), (8, 0)]), 8), Ok(vec![3]));
    }

    #[test]
    fn an_outage_is_nobodys_absence_and_says_why() {
        let outage = |weights: &[u64], slots: &[(u32, u32)]| absent(&set(weights), &entries(slots), 8).unwrap_err();
        let weight = |absent, total| Outage::Weight { absent, total };
        // Two of four, whoever has too few slots counted in.
        let equal = [10, 10, 10, 10];
        assert_eq!(outage(&equal, &[(8, 8), (8, 8), (8, 0), (8, 0)]), weight(20, 40));
        assert_eq!(outage(&equal, &[(8, 8), (8, 8), (7, 0), (8, 0)]), weight(20, 40));
        // One operator with more than a third of the weight.
        let one = outage(&[10, 10, 11], &[(20, 20), (20, 20), (8, 0)]);
        assert_eq!(one, weight(11, 31));
        assert_eq!(one.to_string(), "members with 11 of 31 gwei were absent, more than a third of the weight");
        // More than a third of all slots.
        let slots = outage(&[40, 40, 10], &[(8, 8), (8, 8), (9, 0)]);
        assert_eq!(slots, Outage::Slots { missed: 9, assigned: 25 });
        assert_eq!(slots.to_string(), "9 of 25 slots were missed, more than a third");
    }
}
