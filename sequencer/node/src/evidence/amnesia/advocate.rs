//! Accuses on L1 whoever forgot a lock and is not excused by anything on record, has it convicted when nobody answers in
//! time, and answers every accusation, of anybody, that the record explains.
//!
//! What is to be done follows from the record and from L1 alone, so nothing is lost by a restart, a failing L1 or a
//! reorganisation: a charge is followed until L1 has settled it in a confirmed block.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, U256};
use rota_protocol::{certificate::CommitCertificate, member::FrozenSet};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Accusation, Charge, ChargeStatus, Suspicion, Verdict,
    court::{ChargeCourt, Outcome, Standing},
    seat,
};
use crate::{
    batcher::SubmitError,
    consensus::ConsensusStatus,
    evidence::{EvidenceStore, Sets, StoreError, queue::ROUNDS_AHEAD, reporter::rank},
    l1::L1Error,
};

/// Time between two looks at what is open.
const PERIOD: Duration = Duration::from_secs(2);
/// Longest pause after failures of L1.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// Log queries in one go while accusations of the past are read.
const QUERIES: usize = 16;

/// Tells the operator that this node signs for, as far as it knows.
pub type Operator = Arc<dyn Fn() -> Option<u32> + Send + Sync>;

/// Speaks for the record before [`ChargeCourt`].
pub struct Advocate {
    /// Suspicions, accusations and messages.
    pub store: EvidenceStore,
    /// Judges.
    pub court: Arc<dyn ChargeCourt>,
    /// Frozen sets.
    pub sets: Sets,
    /// This node's consensus key: it is answered for first, and never accused.
    pub own: Option<Address>,
    /// The operator it signs for.
    pub operator: Operator,
    /// Who is paid for convictions.
    pub recipient: Address,
    /// Head start of each better ranked node.
    pub turn: Duration,
    /// Time that a polka has to turn up, counted from when the height is decided or far beyond the vote.
    pub grace: Duration,
    /// The running height and its round.
    pub status: watch::Receiver<ConsensusStatus>,
}

/// Why a look at one charge ended early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    L1(#[from] SubmitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What this process knows beyond the record.
pub(super) struct Memory {
    /// When a charge was first found to be due for that step; turns count from it.
    since: HashMap<(B256, Duty), Instant>,
    /// L1 blocks of the next log query.
    span: u64,
    /// Confirmed L1 block up to which no accusation of the node's own operator is missing.
    complete: u64,
}

/// What may be due for a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Duty {
    Answer,
    Accuse,
    Convict,
}

impl Memory {
    pub(super) fn new(court: &dyn ChargeCourt) -> Self {
        Self { since: HashMap::new(), span: court.span(), complete: 0 }
    }

    fn waited(&mut self, charge: B256, duty: Duty) -> Duration {
        self.since.entry((charge, duty)).or_insert_with(Instant::now).elapsed()
    }
}

impl Advocate {
    /// Works until `shutdown`.
    ///
    /// # Errors
    /// The record failed; failures of L1 are retried for ever.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), StoreError> {
        let mut memory = Memory::new(&*self.court);
        let mut failures = 0u32;
        loop {
            let failed = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                failed = self.round(&mut memory) => failed?,
            };
            failures = if failed { failures.saturating_add(1) } else { 0 };
            let pause = MAX_BACKOFF.min(PERIOD * 2u32.saturating_pow(failures.min(8)));
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at everything once; whether anything failed.
    pub(super) async fn round(&self, memory: &mut Memory) -> Result<bool, StoreError> {
        let mut failed = self.noted("accusations", None, self.read(memory).await)?;
        failed |= self.noted("accusations", None, self.compare(memory).await)?;
        let open: Vec<_> =
            self.store.accusations()?.into_iter().filter(|known| known.status == ChargeStatus::Open).collect();
        metrics::gauge!("rota_amnesia_charges").set(open.len() as f64);
        for accusation in &open {
            let outcome = self.defend(accusation, memory).await;
            failed |= self.noted("an accusation", Some(accusation.charge.id), outcome)?;
        }
        let pending: Vec<_> =
            self.store.suspicions()?.into_iter().filter(|known| known.status == Verdict::Pending).collect();
        metrics::gauge!("rota_amnesia_pending").set(pending.len() as f64);
        for suspicion in &pending {
            let outcome = self.prosecute(suspicion, memory).await;
            failed |= self.noted("a suspicion", Some(suspicion.id), outcome)?;
        }
        if open.is_empty() && pending.is_empty() {
            memory.since.clear();
        }
        Ok(failed)
    }

    /// Counts and logs trouble with L1; trouble with the record ends the node.
    fn noted(&self, what: &str, operator: Option<u32>, outcome: Result<(), Trouble>) -> Result<bool, StoreError> {
        match outcome {
            Ok(()) => Ok(false),
            Err(Trouble::Store(error)) => Err(error),
            Err(Trouble::L1(error)) => {
                metrics::counter!("rota_amnesia_errors_total").increment(1);
                tracing::warn!(%error, operator, "L1 fails on {what} of amnesia: trying again");
                Ok(true)
            }
        }
    }

    /// Records the accusations in the L1 blocks that were confirmed since.
    async fn read(&self, memory: &mut Memory) -> Result<(), Trouble> {
        let (first, confirmed) = self.court.blocks();
        for _ in 0..QUERIES {
            let from = self.store.accusations_from()?.unwrap_or(first);
            if from > confirmed {
                break;
            }
            let last = confirmed.min(from.saturating_add(memory.span - 1));
            let found = match self.court.accusations(from, last).await {
                Ok(found) => found,
                Err(error) => {
                    // It may have been too much at a time.
                    memory.span = (memory.span / 2).max(1);
                    return Err(error.into());
                }
            };
            memory.span = memory.span.saturating_mul(2).min(self.court.span());
            for Accusation { charge, convictable_from, .. } in &found {
                tracing::warn!(?charge, convictable_from, hash = %charge.hash(), "an operator is accused of amnesia on L1");
            }
            let left_out = self.record(&found, last.saturating_add(1))?;
            if left_out > 0 {
                metrics::counter!("rota_amnesia_charges_ignored_total").increment(left_out as u64);
                tracing::warn!(left_out, "too many accusations of one operator are open to follow them all");
            }
        }
        Ok(())
    }

    /// Compares what was read with what the contract counts against the node's own operator: an endpoint that withholds an
    /// accusation would have it convicted for want of an answer. All is read again then, from another endpoint if there is
    /// one.
    async fn compare(&self, memory: &mut Memory) -> Result<(), Trouble> {
        let Some(id) = (self.operator)() else { return Ok(()) };
        let (_, confirmed) = self.court.blocks();
        let is_read = self.store.accusations_from()?.is_some_and(|next| next > confirmed);
        if !is_read || memory.complete >= confirmed {
            return Ok(());
        }
        let counted = self.court.open_charges(id, confirmed).await?;
        let is_open = |known: &&Accusation| known.charge.id == id && known.status == ChargeStatus::Open;
        // What is settled in a confirmed block may still be open here, but not the other way round.
        let known = self.store.accusations()?.iter().filter(is_open).count();
        if counted > U256::from(known) {
            self.store.forget_place()?;
            self.court.leave();
            let what =
                format!("{counted} accusations of amnesia are open against operator {id}, the logs have {known}");
            return Err(SubmitError::from(L1Error::Withheld(what)).into());
        }
        memory.complete = confirmed;
        Ok(())
    }

    /// Records the accusations of the L1 blocks before `next`; how many were left out.
    pub(super) fn record(&self, accusations: &[Accusation], next: u64) -> Result<usize, StoreError> {
        self.store.accused(accusations, next, |charge| self.may_be_own(charge))
    }

    /// Whether a charge is against this node's operator, by its id or, where that is not known, by its key: a set that it
    /// has yet to read could name it.
    fn may_be_own(&self, charge: &Charge) -> bool {
        let Some(own) = self.own else { return false };
        if let Some(id) = (self.operator)() {
            return id == charge.id;
        }
        (self.sets)(charge.sigma).is_none_or(|set| seat(&set, charge.id).is_some_and(|(_, signer)| signer == own))
    }

    /// Answers an accusation, if the record explains the votes.
    async fn defend(&self, accusation: &Accusation, memory: &mut Memory) -> Result<(), Trouble> {
        let (charge, hash) = (&accusation.charge, accusation.charge.hash());
        if !matches!(self.court.standing(hash, false).await?, Standing::Open(_)) {
            // A reorganisation can open it again until the end of it is confirmed.
            let confirmed = self.court.standing(hash, true).await?;
            if !matches!(confirmed, Standing::Open(_) | Standing::None) {
                tracing::info!(operator = charge.id, %hash, ?confirmed, "an accusation of amnesia is settled");
                memory.since.remove(&(hash, Duty::Answer));
                self.store.close_accusation(accusation)?;
            }
            return Ok(());
        }
        // A restarted node knows the set again once it has read L1.
        let Some(set) = (self.sets)(charge.sigma) else { return Ok(()) };
        let Some((index, accused)) = seat(&set, charge.id) else { return Ok(()) };
        let first_look = !memory.since.contains_key(&(hash, Duty::Answer));
        let waited = memory.waited(hash, Duty::Answer);
        let Some(polka) = self.polka(&set, charge).await? else {
            if first_look {
                let own = self.own == Some(accused);
                tracing::warn!(operator = charge.id, own, %hash, "nothing on record answers an accusation of amnesia");
            }
            return Ok(());
        };
        let rank = if self.own == Some(accused) { 0 } else { 1 + rank(&set, index, self.own) };
        if waited < self.turn * rank {
            return Ok(());
        }
        if let Outcome::Done(transaction) = self.court.answer(charge, &polka, &set).await? {
            metrics::counter!("rota_amnesia_answered_total").increment(1);
            let round = polka.round;
            tracing::info!(operator = charge.id, %hash, round, %transaction, "answered an accusation of amnesia by a polka");
        }
        Ok(())
    }

    /// Accuses, and has convicted, whom nothing on record excuses.
    async fn prosecute(&self, suspicion: &Suspicion, memory: &mut Memory) -> Result<(), Trouble> {
        let Some(set) = (self.sets)(suspicion.pair.vote.message.epoch) else { return Ok(()) };
        let Some(charge) = suspicion.pair.charge(suspicion.id, &set) else { return Ok(()) };
        let hash = charge.hash();
        let standing = self.court.standing(hash, false).await?;
        let verdict = match standing {
            Standing::None | Standing::Open(_) => None,
            Standing::Answered => Some(Verdict::Answered),
            Standing::Convicted => Some(Verdict::Convicted),
            Standing::Void => Some(Verdict::Refused),
        };
        if let Some(verdict) = verdict {
            if self.court.standing(hash, true).await? == standing {
                tracing::info!(operator = charge.id, %hash, ?verdict, "a suspicion of amnesia is settled");
                self.settle(suspicion, hash, verdict, memory)?;
            }
            return Ok(());
        }
        if self.own == Some(suspicion.signer) {
            return Ok(());
        }
        let duty = if standing == Standing::None { Duty::Accuse } else { Duty::Convict };
        let due = match standing {
            Standing::Open(from) => self.court.now() >= from,
            _ => self.is_late(&charge)?,
        };
        if !due {
            return Ok(());
        }
        if self.polka(&set, &charge).await?.is_some() {
            // Whoever accused nevertheless is answered elsewhere.
            if duty == Duty::Accuse {
                tracing::info!(operator = charge.id, %hash, "a polka explains what looked like amnesia");
                self.store.drop_suspicion(suspicion)?;
            }
            return Ok(());
        }
        let grace = if duty == Duty::Accuse { self.grace } else { Duration::ZERO };
        let waited = memory.waited(hash, duty);
        if waited < grace + self.turn * rank(&set, suspicion.index, self.own) {
            return Ok(());
        }
        let outcome = match duty {
            Duty::Accuse => self.court.accuse(&suspicion.pair, &charge, &set, self.recipient).await?,
            _ => self.court.convict(&charge).await?,
        };
        let is_over = outcome == Outcome::Never && self.court.is_over(&charge, duty == Duty::Convict).await?;
        match outcome {
            Outcome::Done(transaction) if duty == Duty::Accuse => {
                metrics::counter!("rota_amnesia_accused_total").increment(1);
                tracing::warn!(?charge, %hash, %transaction, "accused a member of amnesia: it has time to show a polka");
            }
            Outcome::Done(transaction) => {
                metrics::counter!("rota_amnesia_convicted_total").increment(1);
                tracing::warn!(operator = charge.id, %hash, %transaction, "convicted of amnesia: nobody showed a polka");
            }
            Outcome::Again => {}
            // One endpoint's word is not enough to forget it.
            Outcome::Never if !is_over => {}
            Outcome::Never => {
                tracing::info!(operator = charge.id, %hash, "L1 does not judge this amnesia any more");
                self.settle(suspicion, hash, Verdict::Refused, memory)?;
            }
        }
        Ok(())
    }

    fn settle(
        &self,
        suspicion: &Suspicion,
        hash: B256,
        verdict: Verdict,
        memory: &mut Memory,
    ) -> Result<(), StoreError> {
        memory.since.remove(&(hash, Duty::Accuse));
        memory.since.remove(&(hash, Duty::Convict));
        self.store.settle_suspicion(suspicion, verdict)
    }

    /// Whether the prevotes that would excuse the votes had their time: the height is decided, or its round so far
    /// ahead that votes of those rounds are not taken any more.
    fn is_late(&self, charge: &Charge) -> Result<bool, StoreError> {
        if self.store.certified()? >= charge.height {
            return Ok(true);
        }
        let status = self.status.borrow();
        Ok(status.height == charge.height && status.round >= charge.vote_round.saturating_add(ROUNDS_AHEAD))
    }

    /// The polka on record that explains the votes.
    async fn polka(&self, set: &Arc<FrozenSet>, charge: &Charge) -> Result<Option<CommitCertificate>, StoreError> {
        let (store, set, charge) = (self.store.clone(), Arc::clone(set), *charge);
        let look = move || store.polka(&set, charge.fork, charge.height, charge.rounds(), charge.voted_hash);
        // The disk is waited for elsewhere than on a runtime thread. A task that panicked is a corrupt record.
        tokio::task::spawn_blocking(look).await.map_err(|_| StoreError::Corrupt("messages"))?
    }
}
