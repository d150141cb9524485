//! Listens to every signed message, verifies it and compares it with what its signer said before.

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::Address;
use rota_protocol::{certificate::CommitCertificate, evidence::MessageKind, member::FrozenSet, vote::VoteDomain};
use tokio::sync::{Notify, broadcast::error::RecvError, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Heard, HeardPolka,
    amnesia::{self, Suspicion},
    queue::{Queue, ROUNDS_AHEAD, Said, Source, View},
    services::{Services, service},
    store::{Case, EvidenceStore, Messages, Statement, Status, StoreError},
};
use crate::{
    chain::{DecidedBlock, DecidedChain, EngineError},
    consensus::{
        ConsensusStatus,
        context::Service,
        rules::{Derivation, RulesError},
    },
};

/// Messages of the network, and of the engine, looked at in one go.
const BATCH: usize = 256;
/// Certificates read in one go while the watcher is behind the chain.
const CATCH_UP: u64 = 32;
/// Time between two waits for the disk; a power cut costs the messages since.
pub(super) const SYNC: Duration = Duration::from_secs(1);
/// Time between two looks for what can be forgotten.
const PRUNE: Duration = Duration::from_secs(60);

/// Heights after whose decision messages of its later rounds are still kept.
const RECENT: u64 = 256;
/// Other epochs tried in a [`SYNC`] for bad signatures in the name of one member: junk must not cost more than it does.
const GUESSES: u32 = 16;

/// Looks up the set that was frozen for an epoch; `None` if this node does not know it.
pub type Sets = Arc<dyn Fn(u32) -> Option<Arc<FrozenSet>> + Send + Sync>;

/// Whether anybody can still be judged by what was signed for an epoch, or needs it as an answer.
pub type Judged = Arc<dyn Fn(u32) -> bool + Send + Sync>;

/// Why the watcher stopped. The node must stop with it: what it does not record it cannot convict.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The record failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] EngineError),
    /// A defect.
    #[error("the evidence watcher panicked")]
    Panicked,
}

/// What is known of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// Nothing.
    None,
    /// The engine verified it; it is verified again, because its log is a file.
    Engine,
    /// It is part of a decided block.
    Certified,
}

/// What the watcher listens to.
pub struct Watcher {
    /// What signatures are bound to.
    pub domain: VoteDomain,
    /// Decided blocks with their certificates.
    pub chain: Arc<dyn DecidedChain>,
    /// Who serves the height after the head.
    pub rules: Arc<dyn Derivation>,
    /// Frozen sets.
    pub sets: Sets,
    /// The round of the running height.
    pub status: watch::Receiver<ConsensusStatus>,
    /// Messages of the network and of the engine.
    pub heard: Queue,
    /// Contradictions.
    pub store: EvidenceStore,
    /// Messages on record.
    pub messages: Messages,
    /// How long after its block a message is kept in any case.
    pub retain: Duration,
    /// Until when it is kept besides.
    pub judged: Judged,
    /// Told of every new contradiction.
    pub found: Arc<Notify>,
}

/// What the watcher knows; works on the disk, so never on a thread of the runtime.
struct Ledger {
    domain: VoteDomain,
    sets: Sets,
    store: EvidenceStore,
    messages: Messages,
    services: Services,
    /// Height up to which certificates are on record.
    certified: u64,
    /// The height after that, if its certificate has to wait: its set is not known here yet.
    awaits: Option<u64>,
    /// Running height and its round.
    running: (u64, u32),
    /// Epochs guessed since the last [`SYNC`], by member.
    guesses: HashMap<Address, u32>,
    /// Votes of a later round than the first were recorded and are not on disk yet.
    is_pressing: bool,
    found: Arc<Notify>,
    synced: Instant,
}

impl Watcher {
    /// Listens until `shutdown`.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WatchError> {
        let Self { domain, chain, rules, sets, mut status, heard, store, messages, retain, judged, found } = self;
        let mut events = chain.subscribe();
        let horizon = move |chain: &dyn DecidedChain| chain.head_header().timestamp.saturating_sub(retain.as_secs());
        let mut ledger = {
            let (chain, judged) = (Arc::clone(&chain), Arc::clone(&judged));
            blocking(move || {
                let horizon = horizon(&*chain);
                let services = Services::of(&*chain, |sigma, timestamp| timestamp >= horizon || judged(sigma))?;
                Ledger::open(domain, sets, store, messages, services, found)
            })
            .await?
        };
        let mut sync = tokio::time::interval(SYNC);
        let mut prune = tokio::time::interval(PRUNE);
        let mut members = ledger.members();
        loop {
            let behind = ledger.awaits.is_none() && ledger.certified < chain.head_number();
            let (mut due, mut stops) = (false, false);
            tokio::select! {
                // What the engine wrote to its log so far is looked at in any case: its next height has another log.
                () = shutdown.cancelled() => stops = true,
                () = heard.filled() => {}
                () = std::future::ready(()), if behind => {}
                // However many were missed: what is decided is read from the chain.
                event = events.recv(), if !behind => stops = matches!(event, Err(RecvError::Closed)),
                _ = sync.tick() => members = ledger.members(),
                _ = prune.tick() => due = true,
            }
            let running = {
                let status = status.borrow_and_update();
                (status.height, status.round)
            };
            ledger.running = running;
            let reader = Arc::clone(&chain);
            ledger = blocking(move || {
                ledger.catch_up(&*reader)?;
                Ok(ledger)
            })
            .await?;
            ledger = enter_next(ledger, &*chain, &*rules).await?;
            let (oldest, head) = (ledger.oldest()?, chain.head_number());
            heard.look(View { oldest, head, running, members: Arc::clone(&members) });
            let (ready, reader) = (ledger.ready(), Arc::clone(&chain));
            loop {
                let batch = heard.take(&ready, BATCH);
                let more = stops && batch.iter().any(|(_, source)| *source == Source::Engine);
                let (prunes, reader, judged) = (std::mem::take(&mut due), Arc::clone(&reader), Arc::clone(&judged));
                ledger = blocking(move || {
                    for (said, source) in batch {
                        match said {
                            Said::Message(heard) => ledger.take(&heard, source)?,
                            Said::Polka(polka) => ledger.take_polka(&polka, source)?,
                        }
                    }
                    if prunes {
                        ledger.messages.prune(horizon(&*reader), &*judged)?;
                    }
                    ledger.flush()?;
                    Ok(ledger)
                })
                .await?;
                if !more {
                    break;
                }
            }
            if stops {
                break;
            }
        }
        blocking(move || Ok(ledger.store.flush(true)?)).await
    }
}

/// Learns who serves the height after the head.
async fn enter_next(
    mut ledger: Ledger,
    chain: &dyn DecidedChain,
    rules: &dyn Derivation,
) -> Result<Ledger, WatchError> {
    let next = chain.head_number() + 1;
    if ledger.services.end() + 1 != next {
        return Ok(ledger);
    }
    match rules.params(next).await {
        Ok(rules) => ledger.services.enter(next, Service { sigma: rules.sigma, fork: rules.fork }),
        // L1 tells it later, or the chain went on meanwhile: asked again soon.
        Err(RulesError::Waiting(_) | RulesError::NotNext { .. }) => return Ok(ledger),
        Err(RulesError::Engine(error)) => return Err(error.into()),
    }
    Ok(ledger)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WatchError> + Send + 'static,
) -> Result<T, WatchError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| WatchError::Panicked)?
}

impl Ledger {
    fn open(
        domain: VoteDomain,
        sets: Sets,
        store: EvidenceStore,
        messages: Messages,
        services: Services,
        found: Arc<Notify>,
    ) -> Result<Self, WatchError> {
        // A record that starts late starts with the oldest height anybody can be judged for.
        let oldest = services.start().unwrap_or(1);
        let certified = store.certified()?.max(oldest.saturating_sub(1));
        Ok(Self {
            domain,
            sets,
            store,
            messages,
            services,
            certified,
            awaits: None,
            running: (0, 0),
            guesses: HashMap::new(),
            is_pressing: false,
            found,
            synced: Instant::now(),
        })
    }

    /// Learns who served the heights up to the head, and records their certificates as far as their sets are known. One
    /// whose set is not known, because L1 has yet to be read again, is waited for, also over a restart: the others after it
    /// follow it, so that none is left out.
    fn catch_up(&mut self, chain: &dyn DecidedChain) -> Result<(), WatchError> {
        let head = chain.head_number();
        for height in self.services.end() + 1..=head {
            if let Some(decided) = chain.decided(height)? {
                self.services.enter(height, service(&decided));
            }
        }
        let mut next = (self.certified + 1).max(chain.lowest_decided());
        let last = head.min(next.saturating_add(CATCH_UP - 1));
        while next <= last {
            if let Some(decided) = chain.decided(next)?
                && !self.certify(&decided)?
            {
                if self.awaits.replace(next) != Some(next) {
                    let epoch = decided.certificate.epoch;
                    tracing::warn!(height = next, epoch, "the set of a decided block is not known yet: waiting for it");
                }
                return Ok(());
            }
            (self.certified, self.awaits) = (next, None);
            next += 1;
        }
        Ok(())
    }

    /// The first height that is not forgotten.
    fn oldest(&self) -> Result<u64, StoreError> {
        Ok(self.store.floor()?.max(self.services.start().unwrap_or_default()))
    }

    /// The heights about which messages can be looked at: it is known who served them.
    fn ready(&self) -> Vec<RangeInclusive<u64>> {
        let spans = self.services.spans();
        spans.filter(|(_, service)| (self.sets)(service.sigma).is_some()).map(|(heights, _)| heights).collect()
    }

    /// Keys of the sets that served last, serve, and are to serve next as far as they are frozen.
    fn members(&self) -> Arc<HashSet<Address>> {
        let mut epochs: Vec<u32> = self.services.spans().map(|(_, service)| service.sigma).collect();
        let last = epochs.last().copied().unwrap_or_default();
        epochs.drain(..epochs.len().saturating_sub(2));
        epochs.extend([last.saturating_add(1), last.saturating_add(2)]);
        let sets = epochs.into_iter().filter_map(|epoch| (self.sets)(epoch));
        Arc::new(sets.flat_map(|set| set.members().iter().map(|member| member.signer).collect::<Vec<_>>()).collect())
    }

    /// Records the precommits of a certificate, which consensus has verified; false if its set is not known.
    fn certify(&mut self, decided: &DecidedBlock) -> Result<bool, WatchError> {
        let (certificate, header) = (&decided.certificate, decided.block.header());
        let Some(set) = (self.sets)(certificate.epoch) else { return Ok(false) };
        let signed = set.members().iter().enumerate().filter(|(index, _)| certificate.signers.bit(*index));
        for ((index, member), signature) in signed.zip(&certificate.signatures) {
            let heard = Heard {
                kind: MessageKind::Precommit,
                height: certificate.height,
                round: certificate.round,
                block_hash: certificate.block_hash,
                pol_round: 0,
                signer: member.signer,
                signature: *signature,
            };
            self.compare(&heard.under(service(decided)), &set, index, Proof::Certified)?;
        }
        self.messages.certified(certificate.height, certificate.round, certificate.epoch, header.timestamp)?;
        Ok(true)
    }

    /// Looks at one message.
    fn take(&mut self, heard: &Heard, source: Source) -> Result<(), WatchError> {
        let Some(service) = self.services.at(heard.height) else { return ignore(heard, "of no known height") };
        // Whatever came of it would not be found again, and not be forgotten either.
        if heard.height < self.oldest()? {
            return ignore(heard, "too old");
        }
        // The engine takes what is further ahead only with proof that somebody honest is there.
        if source == Source::Network && heard.round > self.last_round(heard.height)? {
            return self.take_stray(&heard.under(service));
        }
        let Some(set) = (self.sets)(service.sigma) else { return ignore(heard, "set unknown") };
        let Some(index) = set.index_of_signer(heard.signer) else { return ignore(heard, "no member") };
        let proof = if source == Source::Engine { Proof::Engine } else { Proof::None };
        self.compare(&heard.under(service), &set, index, proof)
    }

    /// Looks at a message of a round that nothing is recorded of: honest members say nothing there. It takes no room on
    /// record, but a prevote against a lock on record convicts, however late or far ahead; the suspicion holds both.
    fn take_stray(&mut self, statement: &Statement) -> Result<(), WatchError> {
        let place = statement.place;
        let breaks = |said: &Statement| {
            said.place.kind == MessageKind::Precommit
                && said.place.round < place.round
                && !said.block_hash.is_zero()
                && said.block_hash != statement.block_hash
        };
        let is_vote = place.kind == MessageKind::Prevote && !statement.block_hash.is_zero();
        let mut votes = match is_vote {
            true => self.store.messages_at(place.height, Some(statement.signer))?,
            false => Vec::new(),
        };
        let member = (self.sets)(statement.epoch).and_then(|set| {
            let index = set.index_of_signer(statement.signer)?;
            Some((set, index))
        });
        match member {
            Some((set, index)) if votes.iter().any(breaks) && statement.is_signed(&self.domain) => {
                votes.push(*statement);
                votes.sort_by_key(|said| (said.place.round, said.place.kind as u8));
                self.suspect(statement, &votes, &set, index)
            }
            _ => {
                metrics::counter!("rota_evidence_ignored_total").increment(1);
                Ok(())
            }
        }
    }

    /// Looks at the votes of a polka, and keeps it whole if they do not make it up on record: a member that prevoted
    /// something else first must not take the polka from those who acted on it.
    fn take_polka(&mut self, polka: &HeardPolka, source: Source) -> Result<(), WatchError> {
        for vote in polka.votes() {
            self.take(&vote, source)?;
        }
        let Some(service) = self.services.at(polka.height) else { return Ok(()) };
        let Some(set) = (self.sets)(service.sigma) else { return Ok(()) };
        let too_far = source == Source::Network && polka.round > self.last_round(polka.height)?;
        if too_far || polka.block_hash.is_zero() {
            return Ok(());
        }
        let (height, rounds) = (polka.height, polka.round..polka.round.saturating_add(1));
        if self.store.polka(&set, service.fork, height, rounds, polka.block_hash)?.is_some() {
            return Ok(());
        }
        let vote = amnesia::prevote(service.fork, &set, height, polka.round, polka.block_hash);
        let Ok(certificate) = CommitCertificate::from_votes(&set, &vote, polka.signatures.iter().copied()) else {
            return Ok(());
        };
        let signed = polka.votes().all(|vote| vote.under(service).is_signed(&self.domain));
        if signed && self.store.keep_polka(&certificate)? {
            tracing::info!(height, round = polka.round, block = %polka.block_hash, "kept a polka of votes said twice");
        }
        Ok(())
    }

    /// Last round of a height in which what is said is recorded. What lies long in the past was recorded when it was
    /// said, so that a member has no room left there to fill.
    fn last_round(&self, height: u64) -> Result<u32, StoreError> {
        if height > self.certified {
            let round = if self.running.0 == height { self.running.1 } else { 0 };
            return Ok(round.saturating_add(ROUNDS_AHEAD));
        }
        let decided = self.store.decided_round(height)?;
        Ok(if height + RECENT > self.certified { decided.saturating_add(ROUNDS_AHEAD) } else { decided })
    }

    /// Compares a statement of member `index` of `set` with the first one at its place.
    fn compare(
        &mut self,
        statement: &Statement,
        set: &FrozenSet,
        index: usize,
        proof: Proof,
    ) -> Result<(), WatchError> {
        let first = self.messages.get(&statement.place, statement.signer)?;
        if first.is_some_and(|first| first.block_hash == statement.block_hash && first.epoch == statement.epoch) {
            return Ok(());
        }
        if proof != Proof::Certified && !statement.is_signed(&self.domain) {
            return match self.under_another_epoch(statement) {
                Some(foreign) => self.compare_foreign(&foreign, first, set, index),
                None => {
                    metrics::counter!("rota_evidence_ignored_total").increment(1);
                    Ok(())
                }
            };
        }
        let Some(first) = first else {
            metrics::counter!("rota_evidence_messages_total").increment(1);
            self.messages.insert(statement)?;
            self.is_pressing |= statement.place.round > 0;
            if let Some(foreign) = self.store.foreign(&statement.place, statement.signer)? {
                self.contradiction(&foreign, statement, set, index)?;
            }
            let votes = self.store.messages_at(statement.place.height, Some(statement.signer))?;
            return self.suspect(statement, &votes, set, index);
        };
        if statement.place.kind == MessageKind::Prevote && !statement.block_hash.is_zero() {
            self.messages.insert_spare(statement, proof == Proof::Engine)?;
            self.is_pressing = true;
        }
        self.contradiction(&first, statement, set, index)
    }

    /// The statement as its signer signed it, if that was for an epoch beside the one that serves the height. No node
    /// counts such a message, but L1 convicts by it. Bounded: each guess costs as much as looking at a message.
    fn under_another_epoch(&mut self, statement: &Statement) -> Option<Statement> {
        for epoch in [statement.epoch.checked_sub(1), statement.epoch.checked_add(1)].into_iter().flatten() {
            let guesses = self.guesses.entry(statement.signer).or_default();
            if *guesses >= GUESSES {
                return None;
            }
            *guesses += 1;
            let foreign = Statement { epoch, ..*statement };
            if foreign.is_signed(&self.domain) {
                return Some(foreign);
            }
        }
        None
    }

    /// Compares a statement for another epoch with the one that counts at its place, or keeps it until there is one. Two
    /// that do not count are left to others.
    fn compare_foreign(
        &mut self,
        foreign: &Statement,
        first: Option<Statement>,
        set: &FrozenSet,
        index: usize,
    ) -> Result<(), WatchError> {
        match first {
            Some(first) => self.contradiction(&first, foreign, set, index),
            None if self.store.foreign(&foreign.place, foreign.signer)?.is_some() => Ok(()),
            None => Ok(self.messages.insert_foreign(foreign)?),
        }
    }

    /// Records two statements at one place that contradict each other.
    fn contradiction(
        &mut self,
        first: &Statement,
        statement: &Statement,
        set: &FrozenSet,
        index: usize,
    ) -> Result<(), WatchError> {
        let evidence = first.against(statement);
        let culprit = match evidence.verify(set, &self.domain) {
            Ok(culprit) => culprit,
            Err(error) => {
                tracing::error!(%error, ?evidence, "a defect: what was recorded does not contradict what was heard");
                return Ok(());
            }
        };
        let case = Case {
            evidence,
            signer: culprit.member.signer,
            id: culprit.member.id,
            index: index as u32,
            status: Status::Pending,
        };
        if self.store.open_case(&case)? {
            metrics::counter!("rota_evidence_found_total").increment(1);
            let place = culprit.place;
            tracing::warn!(
                operator = case.id,
                signer = %case.signer,
                kind = ?place.kind,
                height = place.height,
                round = place.round,
                first = %first.block_hash,
                second = %statement.block_hash,
                "a member signed two things at one place"
            );
            self.found.notify_one();
        }
        Ok(())
    }

    /// Looks for amnesia in what was just heard: a vote for a block, among the `votes` of its signer, in order.
    fn suspect(
        &mut self,
        statement: &Statement,
        votes: &[Statement],
        set: &FrozenSet,
        index: usize,
    ) -> Result<(), WatchError> {
        let place = statement.place;
        if place.kind == MessageKind::Proposal || statement.block_hash.is_zero() {
            return Ok(());
        }
        for pair in amnesia::pairs(votes, place.fork, statement.epoch) {
            if ![pair.lock.signature, pair.vote.signature].contains(&statement.signature) {
                continue;
            }
            let vote = pair.vote.message;
            if self.store.polka(set, vote.fork, vote.height, pair.rounds(), vote.block_hash)?.is_some() {
                continue;
            }
            let Some(id) = set.members().get(index).map(|member| member.id) else { continue };
            let suspicion = Suspicion::new(pair, statement.signer, id, index as u32);
            if self.store.open_suspicion(&suspicion)? {
                metrics::counter!("rota_amnesia_suspected_total").increment(1);
                tracing::warn!(
                    operator = id,
                    signer = %statement.signer,
                    height = vote.height,
                    locked = %pair.lock.message.block_hash,
                    lock_round = pair.lock.message.round,
                    voted = %vote.block_hash,
                    vote_round = vote.round,
                    "a member may have forgotten a lock: it is accused unless a polka for the later block turns up"
                );
            }
        }
        Ok(())
    }

    /// Hands what was recorded to the operating system, and once in a while to the disk; at once where it may excuse or
    /// convict of amnesia: there is none in a first round.
    fn flush(&mut self) -> Result<(), WatchError> {
        let is_due = self.synced.elapsed() >= SYNC;
        if is_due {
            self.synced = Instant::now();
            self.guesses.clear();
        }
        Ok(self.store.flush(is_due || std::mem::take(&mut self.is_pressing))?)
    }
}

/// Counts a message that is not kept; always well, for the callers to return.
fn ignore(heard: &Heard, why: &'static str) -> Result<(), WatchError> {
    metrics::counter!("rota_evidence_ignored_total").increment(1);
    let Heard { kind, height, round, signer, .. } = heard;
    tracing::trace!(?kind, height, round, %signer, why, "message not kept");
    Ok(())
}
