//! The application side of consensus: answers the engine by building, checking and committing blocks.
//!
//! One loop, in the order the engine asks; the engine waits for each answer except to a decision and to a finalized
//! height. Everything it returns an error for stops the node: a node that cannot tell what is durable must not vote.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::B256;
use bytes::Bytes;
use malachitebft_app_channel::{
    AppMsg, NetworkMsg, Reply,
    app::{
        consensus::VoteExtensionError,
        types::{LocallyProposedValue, ProposedValue, streaming::StreamId, sync::RawDecidedValue},
    },
};
use malachitebft_core_types::{
    CommitCertificate, HeightParams, LinearTimeouts, Round, Validator as _, Validity as EngineValidity,
    VoteExtensionPolicy,
};
use malachitebft_engine::host::{Next, SyncedValueOutcome};
use parking_lot::Mutex;
use rota_protocol::vote::VoteDomain;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    ConsensusError, ConsensusStatus, body,
    context::{Digests, RotaContext, Service},
    early::Early,
    horizon::Horizon,
    network::SYNC_BATCH,
    proposals::{Proposals, ProposalsError, Stored},
    rules::{Check, Derivation, RulesError},
    signing::ProtectedKey,
    streams::{Assembled, MAX_BODY, Streams, cut},
    types::{self, BlockRef, Height, ProposalInit, Signer, Stream, ValidatorSet},
};
use crate::chain::{DecidedBlock, DecidedChain, EngineError, ExecutionEngine, SealedBlock, Validity};

type Message = AppMsg<RotaContext>;

/// How far ahead of the decided chain such a body may be; sync brings what is further.
const LOOKAHEAD: u64 = 3;
/// How many rounds ahead of this node's own a body may be; the engine drops proposals beyond that too.
const ROUND_LOOKAHEAD: u32 = 10;
/// Encoded blocks in one sync answer, bytes.
const MAX_SYNC_BYTES: usize = 8 << 20;
/// Different blocks looked at in one round; an honest proposer has one.
const MAX_BLOCKS_PER_ROUND: usize = 3;
/// Different blocks that this node builds for one height; in later rounds it proposes the last of them again, so that a
/// height on which many rounds fail does not fill the disk.
const MAX_BUILDS: usize = 3;
/// Time between two looks at something that waits for L1.
pub(super) const RETRY: Duration = Duration::from_millis(100);
/// Longest wait for L1 on behalf of the proposer of a round, in that round: it must leave time to vote.
const LIVE_PATIENCE: Duration = Duration::from_millis(300);
/// The same on behalf of everything that was proposed before, together, in each round: what looking at confirmed L1 takes
/// when nothing has to be waited for.
const AGAIN_PATIENCE: Duration = Duration::from_millis(100);
/// Longest wait for the origin of a block that was decided by others.
const SYNC_PATIENCE: Duration = Duration::from_secs(1);
/// Attempts to make a decided block durable.
const COMMIT_ATTEMPTS: u32 = 3;

/// What the loop works on. See [`super::run`].
pub(super) struct App {
    pub(super) chain: Arc<dyn DecidedChain>,
    pub(super) execution: Arc<dyn ExecutionEngine>,
    pub(super) rules: Arc<dyn Derivation>,
    pub(super) digests: Digests,
    pub(super) key: Option<ProtectedKey>,
    pub(super) horizon: Arc<Horizon>,
    pub(super) proposals: Arc<Mutex<Proposals>>,
    pub(super) network: mpsc::Sender<NetworkMsg<RotaContext>>,
    pub(super) block_time: Duration,
    pub(super) timeouts: LinearTimeouts,
    pub(super) status: watch::Sender<ConsensusStatus>,
    pub(super) streams: Streams,
    pub(super) next: Upcoming,
    pub(super) streams_sent: u64,
    /// Until when the first height waits for enough members to be connected; `None` once it has started.
    pub(super) meet: Option<Instant>,
}

/// The height after the head: what is known of its candidates. Emptied by each decision.
#[derive(Default)]
pub(super) struct Upcoming {
    /// Voters, once the height was entered.
    set: Option<ValidatorSet>,
    /// Decoded blocks.
    blocks: HashMap<B256, SealedBlock>,
    /// Verdicts that can no longer change.
    verdicts: HashMap<B256, Validity>,
    /// Blocks the engine was told about by this process.
    offered: HashSet<B256>,
    /// Blocks streamed in each round.
    streamed: HashMap<u32, HashSet<B256>>,
    /// Complete bodies of rounds that have not started, of this height and of the ones after it.
    pub(super) early: Early,
    /// The present round, once one has started.
    round: Option<u32>,
    /// What is left of the time that this round may wait for L1.
    patience: Patience,
    /// A start that waits for L1.
    start: Option<(u64, Start)>,
}

/// Time that may be spent waiting for L1. Each round brings its own, and only its proposer can use up the first part: a
/// member that sends blocks nobody can judge delays what it leads, and nothing else.
struct Patience {
    proposed: Duration,
    again: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { proposed: LIVE_PATIENCE, again: AGAIN_PATIENCE }
    }
}

/// Whom to tell that a height can start.
enum Start {
    Ready(Reply<(Height, HeightParams<RotaContext>)>),
    Next(Reply<Next<RotaContext>>),
}

/// On what occasion a block is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// It was just proposed, in the present round.
    Proposed,
    /// It was proposed before, and could not be judged then or came late: nothing waits for it.
    Again,
    /// A quorum voted for it: no clock may stand against it.
    Certified,
}

/// What is known of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Valid,
    Invalid,
    /// Depends on L1 data or time that has not come yet.
    Later,
}

impl App {
    /// Answers one message of the engine.
    pub(super) async fn handle(&mut self, message: Message) -> Result<(), ConsensusError> {
        match message {
            AppMsg::ConsensusReady { reply } => {
                let height = self.chain.head_number() + 1;
                tracing::info!(height, "consensus is ready");
                self.next.start = Some((height, Start::Ready(reply)));
                self.try_start().await?;
            }
            AppMsg::StartedRound { height, round, proposer, reply_value, .. } => {
                let values = self.started_round(height, round, proposer).await?;
                answer(reply_value, values);
            }
            AppMsg::GetValue { height, round, timeout, reply } => self.get_value(height, round, timeout, reply).await?,
            AppMsg::ReceivedProposalPart { from, published_by, part, reply } => {
                let (decided, round) = (self.chain.head_number(), self.next.round.unwrap_or(0));
                let (set, domain) = (self.next.set.as_ref(), self.digests.domain());
                let accept = |init: &ProposalInit| is_expected(init, decided, round, set, domain);
                let assembled = self.streams.take(from, published_by, part, accept);
                let value = match assembled {
                    Ok(Some(assembled)) => self.assembled(assembled, Occasion::Proposed).await?,
                    Ok(None) => None,
                    Err(error) => {
                        tracing::debug!(%error, peer = %from, "dropped a proposal stream");
                        None
                    }
                };
                answer(reply, value);
            }
            AppMsg::RestreamProposal { height, round, valid_round, address, value_id } => {
                self.restream(height, round, valid_round, address, value_id).await?;
            }
            AppMsg::Decided { certificate, reply, .. } => {
                self.decided(certificate).await?;
                answer(reply, ());
            }
            AppMsg::Finalized { certificate, evidence, reply, .. } => {
                if !evidence.is_empty() {
                    metrics::counter!("rota_equivocations_seen_total").increment(1);
                    tracing::warn!(height = %certificate.height, ?evidence, "members contradicted themselves");
                }
                self.next.start = Some((certificate.height.0 + 1, Start::Next(reply)));
                self.try_start().await?;
            }
            AppMsg::GetHistoryMinHeight { reply } => answer(reply, Height(self.chain.lowest_decided().max(1))),
            AppMsg::GetDecidedValues { range, reply } => answer(reply, self.decided_values(range)?),
            AppMsg::ProcessSyncedValue { height, round, proposer, value_bytes, reply } => {
                let outcome = self.synced(height, round, proposer, value_bytes).await?;
                answer(reply, outcome);
            }
            // Vote extensions are off at every height: the engine asks for neither.
            AppMsg::ExtendVote { reply, .. } => answer(reply, None),
            AppMsg::VerifyVoteExtensions { extensions, reply, .. } => {
                let refuse = |(address, _)| (address, Err(VoteExtensionError::InvalidVoteExtension));
                answer(reply, extensions.into_iter().map(refuse).collect());
            }
        }
        Ok(())
    }

    /// Whether a height waits for its rules; [`Self::try_start`] is then called again and again.
    pub(super) fn is_waiting(&self) -> bool {
        self.next.start.is_some()
    }

    /// Starts the pending height if the frozen set that serves it is known.
    pub(super) async fn try_start(&mut self) -> Result<(), ConsensusError> {
        let Some((height, _)) = self.next.start else { return Ok(()) };
        let rules = match self.rules.params(height).await {
            Ok(rules) => rules,
            Err(RulesError::Waiting(what)) => {
                tracing::debug!(height, what, "waiting for L1 before the height can start");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if !self.has_met(rules.set.members().len()) {
            return Ok(());
        }
        // Entered before the engine starts the height: it verifies its log and its certificates by this.
        self.digests.enter(height, Service { sigma: rules.sigma, fork: rules.fork });
        self.horizon.enter(height, &rules);
        let set = ValidatorSet::new(rules);
        self.next.set = Some(set.clone());
        let params = HeightParams {
            validator_set: set,
            timeouts: self.timeouts,
            target_time: Some(self.block_time),
            vote_extension_policy: VoteExtensionPolicy::Disabled,
        };
        match self.next.start.take() {
            Some((_, Start::Ready(reply))) => answer(reply, (Height(height), params)),
            Some((_, Start::Next(reply))) => answer(reply, Next::Start(Height(height), params)),
            None => {}
        }
        Ok(())
    }

    /// Whether the first height may start: its proposer would talk to nobody before a quorum is connected, and the timeouts
    /// would run. Weights do not matter for a guess, and whoever waits in vain starts a little later.
    fn has_met(&mut self, members: usize) -> bool {
        let connected = self.status.borrow().peers.len() + 1;
        let waits = self.key.is_some()
            && 3 * connected <= 2 * members
            && self.meet.is_some_and(|deadline| Instant::now() < deadline);
        if !waits {
            self.meet = None;
        }
        !waits
    }

    /// Offers what is stored for the height and was not offered yet: after a crash, or because L1 data was missing.
    async fn started_round(
        &mut self,
        height: Height,
        round: Round,
        proposer: Signer,
    ) -> Result<Vec<ProposedValue<RotaContext>>, ConsensusError> {
        let number = round.as_u32().unwrap_or(0);
        metrics::gauge!("rota_consensus_height").set(height.0 as f64);
        metrics::gauge!("rota_consensus_round").set(f64::from(number));
        if number > 0 {
            metrics::counter!("rota_failed_rounds_total").increment(1);
        }
        self.status.send_modify(|status| {
            (status.height, status.round, status.proposer) = (height.0, number, proposer.0);
        });
        if height.0 != self.chain.head_number() + 1 {
            return Ok(Vec::new());
        }
        (self.next.round, self.next.patience) = (Some(number), Patience::default());
        let mut values = Vec::new();
        for early in self.next.early.due(height, number) {
            let occasion = if early.init.round == number { Occasion::Proposed } else { Occasion::Again };
            values.extend(self.assembled(early, occasion).await?);
        }
        let mut stored: Vec<(B256, Arc<Stored>)> =
            self.proposals.lock().at(height.0).map(|(hash, stored)| (hash, Arc::clone(stored))).collect();
        // The latest first: what nobody can judge must not keep it waiting.
        stored.sort_by_key(|(_, stored)| Reverse(stored.inits.keys().next_back().copied()));
        for (hash, stored) in stored {
            // A synced body has no head; sync itself brings it again.
            let Some(init) = stored.inits.values().next_back().filter(|_| !self.next.offered.contains(&hash)) else {
                continue;
            };
            let Some(block) = self.block(hash, &stored.body) else { continue };
            if self.judge(&block, Occasion::Again).await? == Verdict::Valid {
                values.push(self.offer(init, EngineValidity::Valid));
            }
        }
        Ok(values)
    }

    /// Builds our block, or finds the one we built before a restart: a second one would contradict the first.
    async fn get_value(
        &mut self,
        height: Height,
        round: Round,
        timeout: Duration,
        reply: Reply<LocallyProposedValue<RotaContext>>,
    ) -> Result<(), ConsensusError> {
        // Whenever there is nothing to propose, the reply is dropped: the round then passes to the next member.
        let now = Instant::now();
        let (Some(key), Some(set), Some(number)) = (self.key.clone(), self.next.set.clone(), round.as_u32()) else {
            return Ok(());
        };
        let deadline = now + build_time(timeout, self.block_time, set.rules().set.members().len());
        if height.0 != self.chain.head_number() + 1 || self.horizon.is_decided(height.0) {
            return Ok(());
        }
        let address = key.address();
        let proposed: Vec<_> = self.proposals.lock().at(height.0).map(|(hash, s)| (hash, Arc::clone(s))).collect();
        let own = |stored: &Stored| stored.inits.get(&number).is_some_and(|init| init.proposer == address);
        let known = match proposed.iter().find(|(_, stored)| own(stored)).cloned() {
            None => self.repeat(height, number, &key, &proposed).await?,
            known => known,
        };
        let (hash, stored) = match known {
            Some(known) => known,
            None => match self.build(height, number, deadline, &key, &set).await? {
                Some(built) => built,
                None => return Ok(()),
            },
        };
        self.next.offered.insert(hash);
        answer(reply, LocallyProposedValue::new(height, round, BlockRef(hash)));
        if let Some(init) = stored.inits.get(&number) {
            self.publish(init.clone(), &stored.body).await;
        }
        Ok(())
    }

    async fn build(
        &mut self,
        height: Height,
        round: u32,
        deadline: Instant,
        key: &ProtectedKey,
        set: &ValidatorSet,
    ) -> Result<Option<(B256, Arc<Stored>)>, ConsensusError> {
        let id = match set.rules().set.index_of_signer(key.address().0) {
            Some(index) => set.rules().set.members()[index].id,
            None => return Ok(None),
        };
        let attributes = match self.rules.attributes(height.0, id, unix_now()).await {
            Ok(attributes) => attributes,
            Err(RulesError::Waiting(what)) => {
                tracing::warn!(%height, what, "cannot propose");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let block = match self.execution.build(attributes, deadline).await {
            Ok(block) => block,
            Err(error @ EngineError::NotOnHead { .. }) => {
                tracing::warn!(%height, %error, "cannot propose");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let body = body::encode(&block);
        if body.len() > MAX_BODY {
            return Err(EngineError::Internal(format!("built a block of {} bytes", body.len())).into());
        }
        let hash = block.hash;
        // Durable before the engine signs for it.
        if self.sign(key, height, round, Round::Nil, hash, &body).await?.is_none() {
            return Ok(None);
        }
        self.next.verdicts.insert(hash, Validity::Valid);
        self.next.blocks.insert(hash, block);
        Ok(self.stored(height.0, hash).map(|stored| (hash, stored)))
    }

    /// The block that this node built last for `height`, under a head for another round, if it has built enough of them.
    async fn repeat(
        &mut self,
        height: Height,
        round: u32,
        key: &ProtectedKey,
        proposed: &[(B256, Arc<Stored>)],
    ) -> Result<Option<(B256, Arc<Stored>)>, ConsensusError> {
        // A block that another member built and a polka made us repeat is not ours.
        let built = |stored: &Stored| {
            let fresh = |init: &&ProposalInit| init.proposer == key.address() && init.pol_round == Round::Nil;
            stored.inits.values().rfind(fresh).map(|init| init.round)
        };
        let built: Vec<_> = proposed.iter().filter_map(|known| Some((built(&known.1)?, known))).collect();
        let Some((_, (hash, stored))) = built.iter().max_by_key(|(round, _)| *round) else { return Ok(None) };
        if built.len() < MAX_BUILDS {
            return Ok(None);
        }
        self.sign(key, height, round, Round::Nil, *hash, &stored.body).await?;
        Ok(self.stored(height.0, *hash).map(|stored| (*hash, stored)))
    }

    /// Signs the head of a stream and stores it with its body; `None` if there is no room for it.
    async fn sign(
        &self,
        key: &ProtectedKey,
        height: Height,
        round: u32,
        pol_round: Round,
        hash: B256,
        body: &Bytes,
    ) -> Result<Option<ProposalInit>, ConsensusError> {
        let stream = Stream { height, round, pol_round, block: BlockRef(hash), body_len: body.len() as u32 };
        let init = key.sign_stream(stream)?;
        Ok(self.store(height.0, hash, Some(&init), body).await?.then_some(init))
    }

    /// Judges a complete body; `None` if it is of no use, not yet or never.
    async fn assembled(
        &mut self,
        Assembled { init, body }: Assembled,
        occasion: Occasion,
    ) -> Result<Option<ProposedValue<RotaContext>>, ConsensusError> {
        let upcoming = self.chain.head_number() + 1;
        let (set, present) = match (&self.next.set, self.next.round) {
            (Some(set), Some(round)) if init.height.0 == upcoming && init.round <= round => (set.clone(), round),
            _ => {
                if init.height.0 >= upcoming {
                    self.next.early.keep(Assembled { init, body });
                }
                return Ok(None);
            }
        };
        let occasion = if init.round == present { occasion } else { Occasion::Again };
        // A stream that came early was accepted before its voters were known.
        if *set.proposer(init.height, Round::new(init.round)).address() != init.proposer {
            return Ok(None);
        }
        let hash = init.block.0;
        let streamed = self.next.streamed.entry(init.round).or_default();
        if streamed.len() >= MAX_BLOCKS_PER_ROUND && !streamed.contains(&hash) {
            return Ok(None);
        }
        streamed.insert(hash);
        let Some(block) = self.block(hash, &body).filter(|block| block.number() == init.height.0) else {
            tracing::debug!(height = %init.height, proposer = %init.proposer, "body does not belong to its hash");
            return Ok(None);
        };
        if !set.rules().pays_its_proposer(&block, init.round, init.pol_round.as_u32()) {
            tracing::warn!(height = %init.height, proposer = %init.proposer, %hash, "pays another than its proposer");
            return Ok(None);
        }
        match self.judge(&block, occasion).await? {
            Verdict::Invalid => Ok(Some(proposed(&init, EngineValidity::Invalid))),
            Verdict::Later => {
                self.store(init.height.0, hash, Some(&init), &body).await?;
                Ok(None)
            }
            Verdict::Valid => {
                // Durable before the engine may vote for it: its log keeps the hash only.
                let stored = self.store(init.height.0, hash, Some(&init), &body).await?;
                Ok(stored.then(|| self.offer(&init, EngineValidity::Valid)))
            }
        }
    }

    /// A value with a certificate: no clock may stand against it.
    async fn synced(
        &mut self,
        height: Height,
        round: Round,
        proposer: Signer,
        body: Bytes,
    ) -> Result<SyncedValueOutcome<RotaContext>, ConsensusError> {
        if height.0 != self.chain.head_number() + 1 || self.next.set.is_none() {
            return Ok(SyncedValueOutcome::LocalTransientError);
        }
        let block = (body.len() <= MAX_BODY).then(|| body::decode(&body)).flatten();
        let Some(block) = block.filter(|block| block.number() == height.0) else {
            return Ok(SyncedValueOutcome::PeerFault);
        };
        let hash = block.hash;
        self.next.blocks.insert(hash, block.clone());
        let validity = match self.judge(&block, Occasion::Certified).await? {
            Verdict::Later => return Ok(SyncedValueOutcome::LocalTransientError),
            Verdict::Valid if !self.store(height.0, hash, None, &body).await? => {
                return Ok(SyncedValueOutcome::LocalTransientError);
            }
            Verdict::Valid => EngineValidity::Valid,
            Verdict::Invalid => EngineValidity::Invalid,
        };
        // The engine compares the id with the certificate's and blames the peer if they differ.
        let value = BlockRef(hash);
        Ok(SyncedValueOutcome::Verdict(ProposedValue {
            height,
            round,
            valid_round: Round::Nil,
            proposer,
            value,
            validity,
        }))
    }

    /// Streams a known body again, under the head its proposer signed or, if the round is ours, under a new one.
    async fn restream(
        &mut self,
        height: Height,
        round: Round,
        pol_round: Round,
        proposer: Signer,
        value: BlockRef,
    ) -> Result<(), ConsensusError> {
        let (Some(stored), Some(number)) = (self.stored(height.0, value.0), round.as_u32()) else {
            tracing::warn!(%height, %value, "asked to stream a block that is not stored");
            return Ok(());
        };
        let known = stored.inits.get(&number).filter(|init| init.pol_round == pol_round).cloned();
        let init = match (known, &self.key) {
            (Some(init), _) => Some(init),
            (None, Some(key)) if key.address() == proposer => {
                self.sign(key, height, number, pol_round, value.0, &stored.body).await?
            }
            _ => None,
        };
        if let Some(init) = init {
            self.publish(init, &stored.body).await;
        }
        Ok(())
    }

    /// Makes a decision durable, then visible.
    async fn decided(&mut self, certificate: CommitCertificate<RotaContext>) -> Result<(), ConsensusError> {
        let (height, hash, round) = (certificate.height.0, certificate.value_id.0, certificate.round);
        let missing = || ConsensusError::NoBody { height, hash };
        let set = self.next.set.clone().filter(|_| height == self.chain.head_number() + 1);
        let set = set.ok_or(ConsensusError::WrongHeight { height, head: self.chain.head_number() })?;
        let stored = self.stored(height, hash).ok_or_else(missing)?;
        let block = self.block(hash, &stored.body).ok_or_else(missing)?;
        let certificate = types::to_certificate(&certificate, set.rules())?;
        if let Some(key) = &self.key
            && let Some(index) = set.rules().set.index_of_signer(key.address().0)
            && certificate.signers.bit(index)
        {
            // Before the block is stored: a node that is started again meets the same certificate.
            let digest = certificate.vote().digest(self.digests.domain());
            key.recognise(certificate.fork, height, certificate.round, digest)?;
        }

        // After a restart the engine's log may lead straight to the decision, past every check of this process, while
        // the L1 data this node knew before it stopped is still being read again.
        loop {
            match self.judge(&block, Occasion::Certified).await? {
                Verdict::Valid => break,
                Verdict::Invalid => return Err(ConsensusError::DecidedInvalid { height, hash }),
                Verdict::Later => tokio::time::sleep(RETRY).await,
            }
        }
        let context = loop {
            match self.rules.advance(&block).await {
                Ok(context) => break context,
                Err(RulesError::Waiting(what)) => {
                    tracing::warn!(height, what, "a decided block waits for L1");
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let decided = DecidedBlock { block: block.clone(), certificate, context };
        let mut attempt = 1;
        while let Err(error) = self.execution.commit(decided.clone()).await {
            // Never `Next::Restart`: it would forget what was signed.
            if attempt == COMMIT_ATTEMPTS || !matches!(error, EngineError::Storage(_)) {
                return Err(error.into());
            }
            tracing::error!(height, %error, attempt, "commit failed, trying again");
            tokio::time::sleep(Duration::from_millis(100) * attempt).await;
            attempt += 1;
        }

        self.horizon.decided(height, block.header().timestamp);
        if let Some(key) = &self.key {
            key.committed(set.rules().fork, height);
            let ours =
                set.rules().set.index_of_signer(key.address().0).map(|index| set.rules().set.members()[index].id);
            if ours.is_some() && ours == rota_protocol::header::id_of_coinbase(block.header().beneficiary) {
                metrics::counter!("rota_blocks_produced_total").increment(1);
            }
        }
        metrics::counter!("rota_blocks_decided_total").increment(1);
        if round.as_i64() > 0 {
            metrics::counter!("rota_failovers_total").increment(1);
        }
        let transactions = block.block.body.transactions.len();
        tracing::info!(height, %hash, round = round.as_i64(), transactions, "decided");
        self.proposals.lock().prune(height)?;
        self.streams.prune(height);
        let early = std::mem::take(&mut self.next.early);
        self.next = Upcoming { early, ..Upcoming::default() };
        self.next.early.prune(height);
        Ok(())
    }

    /// Blocks for a peer that catches up; the engine leaves the bounds to us.
    fn decided_values(
        &self,
        range: RangeInclusive<Height>,
    ) -> Result<Vec<RawDecidedValue<RotaContext>>, ConsensusError> {
        let end = range.end().0.min(self.chain.head_number());
        let set = self.next.set.as_ref().map(|set| &*set.rules().set);
        let (mut values, mut bytes) = (Vec::new(), 0);
        for height in (range.start().0..=end).take(SYNC_BATCH) {
            let Some(decided) = self.chain.decided(height)? else { break };
            let body = body::encode(&decided.block);
            bytes += body.len();
            if bytes > MAX_SYNC_BYTES && !values.is_empty() {
                break;
            }
            let certificate = types::from_certificate(&decided.certificate, set, self.digests.domain())
                .map_err(|error| EngineError::Storage(format!("certificate of block {height}: {error}")))?;
            values.push(RawDecidedValue::new(body, certificate));
        }
        Ok(values)
    }

    /// The verdict on a block that extends the head.
    async fn judge(&mut self, block: &SealedBlock, occasion: Occasion) -> Result<Verdict, ConsensusError> {
        if let Some(known) = self.next.verdicts.get(&block.hash) {
            return Ok(if *known == Validity::Valid { Verdict::Valid } else { Verdict::Invalid });
        }
        let Some(validity) = self.check(block, occasion).await? else { return Ok(Verdict::Later) };
        if let Validity::Invalid(reason) = &validity {
            tracing::warn!(height = block.number(), hash = %block.hash, reason, "invalid block");
            metrics::counter!("rota_invalid_blocks_total").increment(1);
        }
        let verdict = if validity == Validity::Valid { Verdict::Valid } else { Verdict::Invalid };
        self.next.verdicts.insert(block.hash, validity);
        Ok(verdict)
    }

    /// Every rule of validity, cheap ones first; `None` while one cannot be answered yet.
    async fn check(&mut self, block: &SealedBlock, occasion: Occasion) -> Result<Option<Validity>, ConsensusError> {
        let invalid = |reason: &str| Ok(Some(Validity::Invalid(reason.into())));
        if block.header().parent_hash != self.chain.head_hash() {
            return invalid("does not extend the decided chain");
        }
        let Some(set) = &self.next.set else { return Ok(None) };
        if !set.rules().pays_a_member(block) {
            return invalid("beneficiary is not the coinbase of a member");
        }
        let mut certified = SYNC_PATIENCE;
        let patience = match occasion {
            Occasion::Proposed => &mut self.next.patience.proposed,
            Occasion::Again => &mut self.next.patience.again,
            Occasion::Certified => &mut certified,
        };
        let started = Instant::now();
        let checked = self.rules.check(block, occasion != Occasion::Certified, *patience).await;
        *patience = patience.saturating_sub(started.elapsed());
        match checked {
            Ok(Check::Valid) => {}
            Ok(Check::Invalid(reason)) => return Ok(Some(Validity::Invalid(reason))),
            Ok(waiting @ (Check::MissingL1Data | Check::Untimely)) => {
                tracing::debug!(height = block.number(), hash = %block.hash, ?waiting, "cannot judge yet");
                return Ok(None);
            }
            Err(RulesError::Waiting(what)) => {
                tracing::debug!(height = block.number(), hash = %block.hash, what, "cannot judge yet");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        match self.execution.validate(block.clone()).await {
            Ok(validity) => Ok(Some(validity)),
            Err(EngineError::NotOnHead { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The decoded block, if `body` is the body of `hash`: also when the block is known, for the bytes are kept.
    fn block(&mut self, hash: B256, body: &Bytes) -> Option<SealedBlock> {
        if let Some(block) = self.next.blocks.get(&hash) {
            return (body::encode(block) == body).then(|| block.clone());
        }
        let block = body::decode_as(body, hash)?;
        self.next.blocks.insert(hash, block.clone());
        Some(block)
    }

    fn offer(&mut self, init: &ProposalInit, validity: EngineValidity) -> ProposedValue<RotaContext> {
        self.next.offered.insert(init.block.0);
        proposed(init, validity)
    }

    fn stored(&self, height: u64, hash: B256) -> Option<Arc<Stored>> {
        self.proposals.lock().get(height, hash).cloned()
    }

    /// Makes a body durable; `false` if there is no room for it.
    async fn store(
        &self,
        height: u64,
        hash: B256,
        init: Option<&ProposalInit>,
        body: &Bytes,
    ) -> Result<bool, ConsensusError> {
        let (proposals, init, body) = (Arc::clone(&self.proposals), init.cloned(), body.clone());
        // The disk is waited for elsewhere than on a runtime thread.
        let task = tokio::task::spawn_blocking(move || proposals.lock().insert(height, hash, init.as_ref(), &body));
        match task.await.map_err(|_| ConsensusError::Died)? {
            Ok(()) => Ok(true),
            Err(ProposalsError::Full) => {
                tracing::warn!(height, %hash, "too many undecided bodies");
                Ok(false)
            }
            Err(ProposalsError::Log(error)) => Err(error.into()),
        }
    }

    async fn publish(&mut self, init: ProposalInit, body: &Bytes) {
        self.streams_sent += 1;
        let id = StreamId::new(Bytes::copy_from_slice(&self.streams_sent.to_be_bytes()));
        for part in cut(id, init, body) {
            if self.network.send(NetworkMsg::PublishProposalPart(part)).await.is_err() {
                // The engine is gone; the loop hears of it next.
                return;
            }
        }
    }
}

/// Time to fill a block. What is filled has to travel, to be executed by everybody else and to be voted on twice before
/// the next block is due, and long before anybody's propose timeout; alone there is nobody to wait for.
fn build_time(propose_timeout: Duration, block_time: Duration, members: usize) -> Duration {
    match members {
        1 => (block_time * 7 / 10).min(propose_timeout / 2),
        _ => (block_time * 2 / 5).min(propose_timeout / 4),
    }
}

/// Whether a stream is worth keeping, by its head: of a near height and round, and signed by the member whose round it
/// is.
fn is_expected(init: &ProposalInit, decided: u64, round: u32, set: Option<&ValidatorSet>, domain: &VoteDomain) -> bool {
    let near = init.height.0 > decided
        && init.height.0 <= decided + LOOKAHEAD
        && init.round <= round.saturating_add(ROUND_LOOKAHEAD);
    let scheduled = match set {
        Some(set) if init.height.0 == decided + 1 => {
            *set.proposer(init.height, Round::new(init.round)).address() == init.proposer
        }
        // The voters of later heights are not known for sure: members of the present set may pass for now.
        Some(set) => set.rules().set.index_of_signer(init.proposer.0).is_some(),
        None => true,
    };
    near && scheduled && init.is_signed(domain)
}

fn proposed(init: &ProposalInit, validity: EngineValidity) -> ProposedValue<RotaContext> {
    ProposedValue {
        height: init.height,
        round: Round::new(init.round),
        valid_round: init.pol_round,
        proposer: init.proposer,
        value: init.block,
        validity,
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// The engine may have gone away; the loop hears of that by its channel.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    let _ = reply.send(value);
}
