//! The node: every task with its channels, one cancellation token over all of them.

mod figures;
mod info;
mod monitor;
mod peers;
mod standing;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use metrics_exporter_prometheus::PrometheusHandle;
use rota_protocol::config::ChainConfig;
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use info::NodeInfo;

use crate::{
    batcher::{Batcher, BatcherError, Submitter},
    chain::{DecidedChain, EngineError, HeadContext, L1Ref},
    config::{Config, ConfigError},
    consensus::{
        self, ConsensusConfig, ConsensusError, ConsensusStatus, Interpose,
        horizon::{DecidedOnL1, OnL1},
        key_lock::KeyLock,
        protection::Protection,
    },
    derivation::Rules,
    evidence::{
        Advocate, ChargeCourt, Court, Ear, EvidenceStore, L1ChargeCourt, L1Court, REVIEW, Reporter, Retention,
        RetentionError, Sets, StoreError, Vault, WatchError, Watcher,
    },
    execution::{Executor, ExecutorConfig, StartError, Started},
    gossip::{self, GossipConfig, GossipError},
    keys::{self, KeyError},
    l1::{Follower, FollowerConfig, HttpSource, L1Error, L1View},
    metrics::{self, MetricsError},
    rpc::{self, ServeError},
    sealed::SealedBatches,
};

/// Time all tasks together get to stop.
const STOP: Duration = Duration::from_secs(4);

/// Why a node does not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration is unusable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The chain file is missing or describes no chain.
    #[error("{path}: {reason}")]
    Chain {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// L1 data cannot be kept, or L1 is the wrong one.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The chain's data cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Storage or execution failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Consensus stopped.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// The batch poster cannot read the chain.
    #[error("batcher: {0}")]
    Batcher(#[from] BatcherError),
    /// The record of signed messages cannot be opened.
    #[error(transparent)]
    Evidence(#[from] StoreError),
    /// Signed messages would be forgotten too early.
    #[error(transparent)]
    Retention(#[from] RetentionError),
    /// The evidence watcher stopped.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// Gossip cannot start.
    #[error(transparent)]
    Gossip(#[from] GossipError),
    /// RPC cannot start.
    #[error(transparent)]
    Rpc(#[from] ServeError),
    /// The metrics server cannot start.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The serving set has the next key in place of the present one.
    #[error("the serving set has this operator's next key {0}: start again to vote with it, as a supervisor does")]
    Rotated(Address),
    /// A task ended although nobody asked it to.
    #[error("the {0} task ended by itself")]
    Ended(&'static str),
    /// A task panicked: a defect.
    #[error("a task panicked: {0}")]
    Panicked(tokio::task::JoinError),
}

impl NodeError {
    /// Whether a restart could do harm, so that an operator has to look first.
    pub fn must_stay_down(&self) -> bool {
        matches!(self, Self::Consensus(error) if error.must_stay_down())
    }
}

/// Reads and checks a chain file.
///
/// # Errors
/// [`NodeError::Chain`].
pub fn load_chain(path: &Path) -> Result<ChainConfig, NodeError> {
    let failed = |reason: String| NodeError::Chain { path: path.to_path_buf(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let chain: ChainConfig = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    chain.validate().map_err(|error| failed(error.to_string()))?;
    Ok(chain)
}

/// The rules' state before block 1.
pub fn genesis_context(chain: &ChainConfig) -> HeadContext {
    let origin = chain.genesis_origin;
    HeadContext {
        // Its timestamp is not in the chain file, and no rule reads it.
        origin: L1Ref { number: origin.number, hash: origin.hash, timestamp: 0 },
        deposits_end: 0,
        sigma: chain.sigma0,
        first_height: 1,
        sealing: chain.genesis_sealing(),
    }
}

/// Opens the chain's data as the node does, executing what the derived state does not cover.
///
/// # Errors
/// See [`StartError`].
pub fn open_chain(config: &Config, chain: &ChainConfig) -> Result<Started, StartError> {
    let folder = config.path(&config.data).join("chain");
    Executor::start(ExecutorConfig::new(folder, chain.clone(), genesis_context(chain)))
}

/// Runs a node until `shutdown` or until a task fails. Without `votes` it follows the chain and signs nothing.
///
/// # Errors
/// The first failure; all other tasks are stopped then.
pub async fn run(
    config: Config,
    votes: bool,
    recorder: PrometheusHandle,
    shutdown: CancellationToken,
) -> Result<(), NodeError> {
    run_behind(None, config, votes, recorder, shutdown).await
}

/// [`run`] with something between the consensus engine and its network.
///
/// # Errors
/// As [`run`].
pub async fn run_behind(
    interpose: Option<Interpose>,
    config: Config,
    votes: bool,
    recorder: PrometheusHandle,
    shutdown: CancellationToken,
) -> Result<(), NodeError> {
    let chain_file = config.path(&config.chain);
    let settings = load_chain(&chain_file)?;
    let (present, next) = match votes {
        true => (
            load_key(&config, &config.keys.consensus, &config.keys.consensus_password)?,
            load_key(&config, &config.keys.next, &config.keys.next_password)?,
        ),
        false => (None, None),
    };
    let identity = config.path(&config.keys.node);
    let network_key = keys::load_identity_secret(&identity)?;
    let own_peer = keys::load_identity(&identity)?.public().to_peer_id();
    let data = config.path(&config.data);
    for key in [&present, &next].into_iter().flatten() {
        Protection::expect(&data.join("consensus"), key.address())
            .map_err(|error| ConsensusError::from(Arc::new(error)))?;
    }

    let started = {
        let (config, settings) = (config.clone(), settings.clone());
        // Replaying blocks after a crash may take a while; it must not hold up the runtime.
        tokio::task::spawn_blocking(move || open_chain(&config, &settings)).await.map_err(NodeError::Panicked)??
    };
    let Started { executor, chain, pool, replayed } = started;
    let contracts = settings.contracts;
    let source = Arc::new(HttpSource::new(&config.l1.rpc, contracts)?);
    let l1 = L1View::open(&data.join("l1"), &settings, Arc::clone(&source) as _)?;
    let follower = FollowerConfig::new(&settings, config.l1.poll_interval, config.l1.log_range);
    let follower = Follower::new(l1.clone(), follower);

    let (evidence, messages) = {
        let (path, domain) = (data.join("evidence"), settings.vote_domain());
        tokio::task::spawn_blocking(move || EvidenceStore::open(&path, &domain))
            .await
            .map_err(NodeError::Panicked)??
    };
    let vault = Arc::new(Vault { source: Arc::clone(&source), contracts });
    let retention =
        Retention::open(config.evidence.retain, settings.epoch_clock(), evidence.clone(), vault as _).await?;
    let judged = retention.judged(l1.clone());

    let decided: Arc<dyn DecidedChain> = chain.clone();
    let sealed = {
        let chain = Arc::clone(&decided);
        tokio::task::spawn_blocking(move || SealedBatches::open(&*chain)).await.map_err(NodeError::Panicked)??
    };
    let rules = Arc::new(Rules::new(settings.clone(), Arc::clone(&decided), l1.clone()));
    let (signer, awaited) = match next {
        Some(next) if is_seated(&rules, &l1, next.address()) => (Some(next), None),
        next => (present, next.map(|next| next.address())),
    };
    info!(
        head = chain.head_number(),
        replayed,
        chain_id = settings.l2_chain_id,
        signer = signer.as_ref().map(|key| key.address().to_string()),
        peer = %own_peer,
        "starting"
    );
    let (status, consensus_status) = watch::channel(ConsensusStatus::default());
    let (connected, gossip_peers) = watch::channel(Vec::new());
    let (consensus_members, to_consensus) = watch::channel(Vec::new());
    let (gossip_members, to_gossip) = watch::channel(Vec::new());
    let info = Arc::new(NodeInfo {
        chain: chain.clone(),
        l1: l1.clone(),
        rules: Arc::clone(&rules),
        sealed: sealed.clone(),
        consensus: consensus_status,
        gossip: gossip_peers,
        signer: signer.as_ref().map(PrivateKeySigner::address),
        standing: standing::Known::default(),
        evidence: std::sync::OnceLock::new(),
        challenge_window: std::sync::OnceLock::new(),
    });

    let submitter = |key| {
        let max_fee = config.batcher.max_fee_per_gas;
        Arc::new(Submitter::new(Arc::clone(&source), key, settings.l1_chain_id, max_fee))
    };
    let poster = batcher_key(&config, signer.as_ref())?.map(submitter);
    // One account must not send two transactions at a time.
    let informant = evidence_key(&config, signer.as_ref())?.map(|key| match &poster {
        Some(poster) if poster.address() == key.address() => Arc::clone(poster),
        _ => submitter(key),
    });
    let batcher = poster.map(|submitter| Batcher {
        chain: Arc::clone(&decided),
        sealed: sealed.clone(),
        l1: l1.clone(),
        submitter,
        contract: contracts.batch_chain,
        signer: signer.as_ref().map(PrivateKeySigner::address),
        slots: settings.slots_per_window,
        turn: config.batcher.turn,
    });
    let mut tasks = Tasks::new(shutdown);
    let (metrics_address, serving) =
        metrics::serve(config.metrics.listen, recorder, Arc::clone(&info) as _, tasks.token()).await?;
    info!(address = %metrics_address, "metrics, health and readiness over HTTP");
    let rpc_config = rpc::Config {
        listen: config.rpc.listen,
        slots_per_window: settings.slots_per_window,
        limits: rpc::Limits::default(),
    };
    let (_, rpc) = rpc::serve(
        rpc_config,
        chain.clone(),
        pool.clone(),
        Arc::clone(&info) as _,
        Arc::clone(&info) as _,
        tasks.token(),
    )
    .await?;

    let token = tasks.token();
    tasks.spawn("metrics", async move {
        serving.await;
        Ok(())
    });
    tasks.spawn("rpc", async move {
        rpc.stopped().await;
        Ok(())
    });
    tasks.spawn("l1", {
        let token = token.clone();
        async move { Ok(follower.run(token).await?) }
    });
    tasks.spawn("batch index", {
        let (chain, token) = (Arc::clone(&decided), token.clone());
        async move { Ok(sealed.follow(chain, token).await?) }
    });
    tasks.spawn("peers", {
        let (info, token) = (Arc::clone(&info), token.clone());
        async move {
            peers::follow(&info, own_peer, consensus_members, gossip_members, token).await;
            Ok(())
        }
    });
    tasks.spawn("monitor", {
        let (info, pool, token) = (Arc::clone(&info), pool.clone(), token.clone());
        async move {
            monitor::run(&info, pool, token).await;
            Ok(())
        }
    });
    tasks.spawn("standing", {
        let (info, source, token) = (Arc::clone(&info), Arc::clone(&source), token.clone());
        async move {
            standing::follow(&info, source, contracts, token).await;
            Ok(())
        }
    });
    tasks.spawn("figures", {
        let (info, source, token) = (Arc::clone(&info), Arc::clone(&source), token.clone());
        async move {
            figures::follow(&info, source, contracts, token).await;
            Ok(())
        }
    });
    let gossip_config = GossipConfig {
        chain_id: settings.l2_chain_id,
        network_key,
        listen: config.gossip.listen.clone(),
        peers: config.gossip.peers.clone(),
        members_only: config.gossip.members_only,
        members: to_gossip,
        connected,
    };
    tasks.spawn("gossip", {
        let token = token.clone();
        async move { Ok(gossip::run(gossip_config, Arc::new(pool), token).await?) }
    });
    if let Some(batcher) = batcher {
        let token = token.clone();
        tasks.spawn("batcher", async move { Ok(batcher.run(token).await?) });
    }
    if let Some(next) = awaited {
        let (rules, l1, chain, token) = (Arc::clone(&rules), l1.clone(), Arc::clone(&decided), token.clone());
        tasks.spawn("next key", async move { await_seat(&rules, &l1, &*chain, next, token).await });
    }
    tasks.spawn("retention", {
        let token = token.clone();
        async move { Ok(retention.run(token).await?) }
    });
    let (ear, heard) = Ear::new();
    let _ = info.evidence.set(evidence.clone());
    let (found, sets) = (Arc::default(), {
        let l1 = l1.clone();
        Arc::new(move |epoch| l1.set(epoch)) as Sets
    });
    let paying = informant.as_ref().map(|informant| informant.address());
    let charges = informant.clone().and_then(|informant| {
        let (progress, span) = (l1.subscribe(), config.l1.log_range);
        L1ChargeCourt::new(informant, Arc::clone(&source), progress, contracts, settings.deployed_at_block, span)
    });
    let decided_on_l1 = decided_on_l1(l1.clone(), &settings);
    let court = informant.and_then(|informant| L1Court::new(informant, Arc::clone(&source), l1, contracts));
    if court.is_none() && !contracts.slasher.is_zero() {
        warn!(
            "there is no key to pay with: this node finds contradictions, but does not report them, nor answer accusations"
        );
    }
    let reporter = Reporter {
        store: evidence.clone(),
        court: court.map(|court| Arc::new(court) as Arc<dyn Court>),
        sets: Arc::clone(&sets),
        own: signer.as_ref().map(PrivateKeySigner::address),
        recipient: config.evidence.reward_recipient.or(paying).unwrap_or_default(),
        turn: config.evidence.turn,
        review: REVIEW,
        found: Arc::clone(&found),
    };
    if let Some(charges) = charges {
        let advocate = Advocate {
            store: evidence.clone(),
            court: Arc::new(charges) as Arc<dyn ChargeCourt>,
            sets: Arc::clone(&sets),
            own: reporter.own,
            operator: {
                let info = Arc::clone(&info);
                Arc::new(move || info.operator())
            },
            recipient: reporter.recipient,
            turn: config.evidence.turn,
            grace: config.evidence.grace,
            status: status.subscribe(),
        };
        let token = token.clone();
        tasks.spawn("amnesia", async move { Ok(advocate.run(token).await?) });
    }
    tasks.spawn("reports", {
        let token = token.clone();
        async move { Ok(reporter.run(token).await?) }
    });
    let watcher = Watcher {
        domain: settings.vote_domain(),
        chain: Arc::clone(&decided),
        rules: Arc::clone(&rules) as _,
        sets,
        status: status.subscribe(),
        heard,
        store: evidence,
        messages,
        retain: config.evidence.retain,
        judged,
        found,
    };
    tasks.spawn("evidence", {
        let token = token.clone();
        async move { Ok(watcher.run(token).await?) }
    });
    let genesis = [contracts.batch_chain.as_slice(), settings.genesis_origin.hash.as_slice()].concat();
    let key_lock = signer.as_ref().map(|key| KeyLock::path(key.address(), alloy_primitives::keccak256(genesis)));
    let key_lock = key_lock.transpose().map_err(|error| ConsensusError::from(Arc::new(error)))?;
    let consensus_config = ConsensusConfig {
        dir: data.join("consensus"),
        moniker: config.moniker.clone(),
        domain: settings.vote_domain(),
        key: signer.map(|key| key.into_credential()),
        network_key,
        listen: config.consensus.listen.clone(),
        peers: config.consensus.peers.clone(),
        members_only: config.consensus.members_only,
        members: to_consensus,
        block_time: Duration::from_millis(settings.block_time_ms),
        status,
        key_lock,
        decided_on_l1,
        ear: Some(ear),
        interpose,
    };
    tasks.spawn("consensus", {
        let (executor, token) = (Arc::clone(&executor), token.clone());
        async move { Ok(consensus::run(consensus_config, executor, decided, rules, token).await?) }
    });

    let result = tasks.join().await;
    // Saves the next start some work; nothing depends on it.
    match tokio::time::timeout(STOP, executor.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the last checkpoint was not written"),
        Err(_) => warn!("the last checkpoint took too long"),
    }
    result
}

/// What L1 shows decided. Nothing is removed from L1 yet, so a batch stands for its heights in every fork.
fn decided_on_l1(l1: L1View, chain: &ChainConfig) -> DecidedOnL1 {
    // Without a depth of its own the chain takes what L1 calls final: two of its epochs and what is under way.
    let depth = match chain.l1_confirmations {
        0 => 3 * 32,
        depth => depth,
    };
    Arc::new(move || {
        let (progress, batch) = (l1.progress(), l1.batch_head());
        let read = progress.polls > 0 && progress.failures == 0;
        OnL1 {
            height: batch.map_or(0, |batch| batch.last_block),
            current: read && progress.head.number <= progress.confirmed.number + depth,
        }
    })
}

/// The account that pays for posting; none if this node does not post.
fn batcher_key(config: &Config, signer: Option<&PrivateKeySigner>) -> Result<Option<PrivateKeySigner>, NodeError> {
    if !config.batcher.enabled {
        return Ok(None);
    }
    match (&config.batcher.key, &config.batcher.password) {
        (Some(keystore), Some(password)) => {
            Ok(Some(keys::load_signer(&config.path(keystore), &config.path(password))?))
        }
        _ => {
            if signer.is_none() {
                warn!("batcher.enabled is set, but there is no key to pay with: this node does not post");
            }
            Ok(signer.cloned())
        }
    }
}

/// The account that pays for reports; none if the node has no key at all.
fn evidence_key(config: &Config, signer: Option<&PrivateKeySigner>) -> Result<Option<PrivateKeySigner>, NodeError> {
    let files = [(&config.evidence.key, &config.evidence.password), (&config.batcher.key, &config.batcher.password)];
    for (keystore, password) in files {
        if let (Some(keystore), Some(password)) = (keystore, password) {
            return Ok(Some(keys::load_signer(&config.path(keystore), &config.path(password))?));
        }
    }
    Ok(signer.cloned())
}

/// Whether the set that serves the next height has `key`, as far as L1 is known.
fn is_seated(rules: &Rules, l1: &L1View, key: Address) -> bool {
    let serving = rules.next_serving().and_then(|(sigma, _)| l1.set(sigma));
    serving.is_some_and(|set| set.index_of_signer(key).is_some())
}

/// Waits until `next` serves. One process votes with one key: the next one does with the other.
async fn await_seat(
    rules: &Rules,
    l1: &L1View,
    chain: &dyn DecidedChain,
    next: Address,
    token: CancellationToken,
) -> Result<(), NodeError> {
    let mut events = chain.subscribe();
    loop {
        if is_seated(rules, l1, next) {
            return Err(NodeError::Rotated(next));
        }
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            event = events.recv() => if matches!(event, Err(RecvError::Closed)) {
                return Ok(());
            },
        }
    }
}

fn load_key(
    config: &Config,
    keystore: &Option<PathBuf>,
    password: &Option<PathBuf>,
) -> Result<Option<PrivateKeySigner>, NodeError> {
    match (keystore, password) {
        (Some(keystore), Some(password)) => {
            Ok(Some(keys::load_signer(&config.path(keystore), &config.path(password))?))
        }
        _ => Ok(None),
    }
}

/// The node's tasks: when one ends, all end.
struct Tasks {
    set: JoinSet<(&'static str, Result<(), NodeError>)>,
    /// Cancelled from outside, or when a task fails.
    token: CancellationToken,
}

impl Tasks {
    fn new(shutdown: CancellationToken) -> Self {
        Self { set: JoinSet::new(), token: shutdown.child_token() }
    }

    fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    fn spawn(&mut self, name: &'static str, task: impl Future<Output = Result<(), NodeError>> + Send + 'static) {
        self.set.spawn(async move { (name, task.await) });
    }

    /// Waits for the end of all; the first failure is the result.
    async fn join(mut self) -> Result<(), NodeError> {
        let mut result = Ok(());
        let mut deadline = None;
        loop {
            let ended = match deadline {
                None => tokio::select! {
                    ended = self.set.join_next() => ended,
                    () = self.token.cancelled() => {
                        info!("stopping");
                        deadline = Some(tokio::time::Instant::now() + STOP);
                        continue;
                    }
                },
                Some(deadline) => match tokio::time::timeout_at(deadline, self.set.join_next()).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        warn!(tasks = self.set.len(), "some tasks did not stop in time");
                        return result;
                    }
                },
            };
            let failure = match ended {
                None => return result,
                Some(Ok((_, Ok(())))) if self.token.is_cancelled() => continue,
                Some(Ok((name, Ok(())))) => NodeError::Ended(name),
                Some(Ok((name, Err(error)))) => {
                    error!(task = name, %error, "a task failed");
                    error
                }
                Some(Err(error)) => NodeError::Panicked(error),
            };
            if result.is_ok() {
                result = Err(failure);
            }
            self.token.cancel();
        }
    }
}
