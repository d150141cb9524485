//! BFT consensus among the frozen set: the Malachite engine, its signer with slashing protection, and the loop that
//! joins it to execution and to the chain's rules.
//!
//! | file | what it holds |
//! |---|---|
//! | [`rules`] | what consensus asks of the chain's rules (trait `Derivation`) |
//! | [`types`], [`context`] | the engine's types in our terms, and what a digest depends on |
//! | [`signing`], [`protection`], [`interchange`] | the key behind its table of what it signed, which can be moved |
//! | [`key_lock`] | one process of a machine for each key |
//! | [`engine_log`] | what the engine will replay: where the key must keep silent |
//! | [`horizon`] | what is decided already: there the key says nothing |
//! | [`codec`] | bytes of every message |
//! | [`streams`], [`body`], [`early`] | block bodies in transit, and those that came before their turn |
//! | [`proposals`], [`record_log`] | durable bodies of undecided blocks |
//! | [`network`] | settings and peers of the engine |
//! | `observe` | the ear of the evidence watcher |
//! | `app` | the answers to the engine |

mod app;
pub mod body;
pub mod codec;
pub mod context;
pub mod early;
pub mod engine_log;
pub mod horizon;
pub mod interchange;
pub mod key_lock;
pub mod network;
mod observe;
pub mod proposals;
pub mod protection;
pub mod record_log;
pub mod rules;
pub mod signing;
pub mod streams;
pub mod types;

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, B256};
use futures::future::BoxFuture;
use k256::ecdsa::SigningKey;
use libp2p::Multiaddr;
use malachitebft_app_channel::{
    Channels, ConsensusContext, EngineBuilder, EngineHandle, NetworkIdentity, NetworkRequest, RequestContext,
    SyncContext, WalContext,
    app::{
        config::NodeConfig as _,
        metrics::SharedRegistry,
        types::{Keypair, codec::Codec},
    },
    spawn::spawn_network_actor,
};
use malachitebft_engine::network::NetworkRef;
use malachitebft_signing::Signer as _;
use parking_lot::Mutex;
use rota_protocol::vote::{VoteDomain, address_of};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{
    app::{App, RETRY, Upcoming},
    codec::WireCodec,
    context::{Digests, RotaContext},
    engine_log::EngineLog,
    horizon::{DecidedOnL1, Horizon},
    key_lock::KeyLock,
    observe::ListeningCodec,
    proposals::Proposals,
    protection::{Marks, Protection, ProtectionError},
    rules::{Derivation, RulesError},
    signing::{ProtectedKey, SigningError, Verifier},
    streams::Streams,
};
use crate::{
    chain::{DecidedChain, EngineError, ExecutionEngine},
    evidence::Ear,
};

/// How a node takes part in consensus.
pub struct ConsensusConfig {
    /// Directory of the engine's log, the slashing-protection table and the undecided bodies.
    pub dir: PathBuf,
    /// Name in logs and metrics; distinct for nodes of one process.
    pub moniker: String,
    /// Chain id and `BatchChain`: what every signature is bound to.
    pub domain: VoteDomain,
    /// Key that votes; `None` for a node that only follows.
    pub key: Option<SigningKey>,
    /// ed25519 secret of the libp2p identity.
    pub network_key: [u8; 32],
    /// Address to listen on.
    pub listen: Multiaddr,
    /// Peers to stay connected to whatever happens.
    pub peers: Vec<Multiaddr>,
    /// Peers to stay connected to as long as they are named: members of the frozen sets.
    pub members: watch::Receiver<Vec<Multiaddr>>,
    /// Refuse everybody else. Peers are known by the id at the end of their address, which must be there.
    pub members_only: bool,
    /// Time from one block to the next when nothing is amiss.
    pub block_time: Duration,
    /// Where the state of consensus is published.
    pub status: watch::Sender<ConsensusStatus>,
    /// Lock that this machine's processes share which vote with this key on this chain.
    pub key_lock: Option<PathBuf>,
    /// What L1 shows decided: there the key signs nothing, whatever its table says.
    pub decided_on_l1: DecidedOnL1,
    /// Where every signed message goes that the engine receives or writes to its log.
    pub ear: Option<Ear>,
    /// What stands between the engine and its network: nothing, except in tests of nodes that misbehave.
    pub interpose: Option<Interpose>,
}

/// Wraps the engine's network. It is given what a digest depends on, to sign messages of its own.
pub type Interpose = Box<
    dyn FnOnce(NetworkRef<RotaContext>, Digests) -> BoxFuture<'static, eyre::Result<NetworkRef<RotaContext>>> + Send,
>;

impl fmt::Debug for ConsensusConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsensusConfig")
            .field("dir", &self.dir)
            .field("moniker", &self.moniker)
            .field("listen", &self.listen)
            .field("votes", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

/// What consensus is at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsensusStatus {
    /// Height that is being decided.
    pub height: u64,
    /// Round of that height.
    pub round: u32,
    /// Who proposes in it.
    pub proposer: Address,
    /// libp2p ids of the connected peers, sorted.
    pub peers: Vec<String>,
}

/// Why consensus stopped. The process must end: what restarts it decides by [`Self::must_stay_down`].
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// Slashing protection refused to open, or refused a signature.
    #[error(transparent)]
    Protection(#[from] Arc<ProtectionError>),
    /// Undecided bodies could not be stored or read.
    #[error("undecided blocks: {0}")]
    Proposals(#[from] record_log::LogError),
    /// Execution or storage failed.
    #[error(transparent)]
    Execution(#[from] EngineError),
    /// The rules failed.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The key failed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The engine's certificate does not hold: a defect.
    #[error("certificate of the engine: {0}")]
    Certificate(#[from] rota_protocol::certificate::CertificateError),
    /// A block was decided whose body this node does not have.
    #[error("block {height} {hash} was decided, but its body is not stored here")]
    NoBody {
        /// Height.
        height: u64,
        /// Block.
        hash: B256,
    },
    /// A quorum decided a block that this node finds invalid: it runs other rules than they do.
    #[error("block {height} {hash} was decided, but is invalid here: is this version current?")]
    DecidedInvalid {
        /// Height.
        height: u64,
        /// Block.
        hash: B256,
    },
    /// The engine works on another height than the one after the head: a defect.
    #[error("the engine decided height {height}, but the head is {head}")]
    WrongHeight {
        /// Height of the decision.
        height: u64,
        /// Head of the chain.
        head: u64,
    },
    /// The network identity is malformed.
    #[error("network key: {0}")]
    NetworkKey(String),
    /// The engine did not start.
    #[error("consensus engine: {0}")]
    Start(String),
    /// The engine died.
    #[error("the consensus engine stopped; its log says why")]
    Died,
}

impl ConsensusError {
    /// Whether a restart would repeat or worsen the failure, so that an operator must look first.
    pub fn must_stay_down(&self) -> bool {
        matches!(self, Self::Protection(_) | Self::NoBody { .. } | Self::DecidedInvalid { .. })
    }
}

/// Time the engine gets to stop.
const STOP: Duration = Duration::from_secs(3);
/// Time between two looks at the connected peers.
const PEERS: Duration = Duration::from_secs(2);
/// How long a starting node waits for a quorum to be connected before the timeouts of its first height run.
const MEET: Duration = Duration::from_secs(2);

/// Takes part in consensus until `shutdown`.
///
/// Starts at the height after the last durably committed one; the engine's log belongs to exactly that height.
///
/// # Errors
/// The node must stop: see [`ConsensusError`]. After a failure of the engine's log the engine hangs on purpose, lest a
/// restart make it contradict itself; this future then stays pending, with an alarm in log and metrics.
pub async fn run(
    config: ConsensusConfig,
    execution: Arc<dyn ExecutionEngine>,
    chain: Arc<dyn DecidedChain>,
    rules: Arc<dyn Derivation>,
    shutdown: CancellationToken,
) -> Result<(), ConsensusError> {
    let digests = Digests::new(config.domain);
    let log_path = config.dir.join("wal").join("consensus.wal");
    // Held until this function ends.
    let _lock = match (&config.key, &config.key_lock) {
        (Some(key), Some(path)) => Some(KeyLock::take(path, address_of(key)).await.map_err(Arc::new)?),
        _ => None,
    };
    let horizon = Arc::new(Horizon::new(config.domain, config.decided_on_l1));
    let key = match config.key {
        Some(key) => {
            let signer = address_of(&key);
            let log = EngineLog::read(&log_path, types::Signer(signer));
            let mut table = Protection::open(&config.dir, signer, log.is_some()).map_err(Arc::new)?;
            horizon.catch_up(table.is_new());
            if let Some((fork, height)) = table.not_replayed(chain.head_number() + 1, log.as_ref()) {
                tracing::error!(
                    height,
                    fork,
                    log = ?log.map(|log| log.height),
                    "the consensus log of votes that this key signed is lost: it signs nothing up to that height, and \
                     goes on above it"
                );
                metrics::gauge!("rota_silent_height").set(height as f64);
                table.keep_silent(Marks { silent: Some((fork, height)), above: None }).map_err(Arc::new)?;
            }
            Some(ProtectedKey::new(key, digests.clone(), table, Arc::clone(&horizon)))
        }
        None => None,
    };
    let proposals = Proposals::open(&config.dir.join("proposals"), chain.head_number())?;
    let keypair = Keypair::ed25519_from_bytes(config.network_key)
        .map_err(|error| ConsensusError::NetworkKey(error.to_string()))?;
    let identity = identity(&config.moniker, keypair, key.as_ref()).await?;
    let verifier = Box::new(Verifier::new(digests.clone()));
    let consensus = match &key {
        Some(key) => ConsensusContext::new_validator(key.address(), verifier, Box::new(key.clone())),
        None => ConsensusContext::new_full_node(types::Signer(Address::ZERO), verifier),
    };
    let settings =
        network::settings(&config.moniker, &config.domain, config.listen, config.peers.clone(), config.members_only);
    let failed = |error: eyre::Report| ConsensusError::Start(format!("{error:#}"));
    let codec = ListeningCodec::network(config.ear.clone()).showing(&horizon);
    let log_codec = ListeningCodec::log(config.ear.as_ref());
    let registry = SharedRegistry::global().with_moniker(&config.moniker);
    let (network, to_network) =
        spawn_network_actor(identity, settings.consensus(), settings.value_sync(), &registry, codec)
            .await
            .map_err(failed)?;
    let network = match config.interpose {
        Some(interpose) => interpose(network, digests.clone()).await.map_err(failed)?,
        None => network,
    };
    let (mut channels, engine) = EngineBuilder::new(RotaContext, settings)
        .with_default_wal(WalContext::new(log_path, log_codec))
        .with_custom_network(network, to_network)
        .with_default_sync(SyncContext::new(WireCodec))
        .with_default_consensus(consensus)
        .with_default_request(RequestContext::new(100))
        .build()
        .await
        .map_err(failed)?;

    let refusals = key.as_ref().map(ProtectedKey::refusals);
    let mut app = App {
        chain,
        execution,
        rules,
        digests,
        key,
        horizon,
        proposals: Arc::new(Mutex::new(proposals)),
        network: channels.network.clone(),
        block_time: config.block_time,
        timeouts: network::timeouts(),
        status: config.status.clone(),
        streams: Streams::default(),
        next: Upcoming::default(),
        meet: Some(Instant::now() + MEET),
        // Ids of streams must not repeat after a restart, or old parts could mix with new ones.
        streams_sent: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos() as u64),
    };
    let peers = tokio::spawn(network::follow_peers(channels.net_requests.clone(), config.peers, config.members));
    let watcher = tokio::spawn(watch_peers(channels.net_requests.clone(), config.status));
    let result = serve(&mut app, &mut channels, &shutdown).await;
    peers.abort();
    watcher.abort();
    finish(result, channels, engine, refusals, &shutdown).await
}

/// Answers the engine until it goes away, an answer fails, or `shutdown`.
async fn serve(
    app: &mut App,
    channels: &mut Channels<RotaContext>,
    shutdown: &CancellationToken,
) -> Result<(), ConsensusError> {
    loop {
        let message = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            message = channels.consensus.recv() => message.ok_or(ConsensusError::Died)?,
            () = tokio::time::sleep(RETRY), if app.is_waiting() => {
                app.try_start().await?;
                continue;
            }
        };
        let mut answer = std::pin::pin!(app.handle(message));
        tokio::select! {
            result = &mut answer => result?,
            // A commit in progress is given time to finish; cut short it is a crash, from which a start recovers.
            () = shutdown.cancelled() => return tokio::time::timeout(STOP, answer).await.unwrap_or(Ok(())),
        }
    }
}

/// Stops the engine and finds the reason if it stopped by itself.
async fn finish(
    result: Result<(), ConsensusError>,
    channels: Channels<RotaContext>,
    engine: EngineHandle,
    refusals: Option<watch::Receiver<Option<Arc<ProtectionError>>>>,
    shutdown: &CancellationToken,
) -> Result<(), ConsensusError> {
    // The engine must not wait for answers that nobody gives any more.
    drop(channels);
    let refused = || refusals.as_ref().and_then(|refusals| refusals.borrow().clone());
    let mut handle = engine.handle;
    if matches!(result, Err(ConsensusError::Died))
        && refused().is_none()
        && tokio::time::timeout(STOP, &mut handle).await.is_err()
    {
        // The actors are gone, yet the engine stays: its log failed, and what was signed is not certain any more.
        metrics::gauge!("rota_consensus_safety_failure").set(1.0);
        tracing::error!(
            "the consensus log failed: this node has stopped voting and must not be restarted before its disk was checked"
        );
        shutdown.cancelled().await;
    }
    engine.actor.get_cell().stop_children_and_wait(Some("stopping".into()), Some(STOP)).await;
    let _ = engine.actor.stop_and_wait(Some("stopping".into()), Some(STOP)).await;
    handle.abort();
    match refused() {
        Some(refused) => Err(refused.into()),
        None => result,
    }
}

/// Who this node is to its peers: a libp2p key and, if it votes, a proof that the voting key stands behind it.
async fn identity(
    moniker: &str,
    keypair: Keypair,
    key: Option<&ProtectedKey>,
) -> Result<NetworkIdentity, ConsensusError> {
    let Some(key) = key else { return Ok(NetworkIdentity::new(moniker.into(), keypair, None)) };
    let failed = |error: &dyn fmt::Display| ConsensusError::Start(format!("proof of the voting key: {error}"));
    let address = key.address();
    let peer_id = keypair.public().to_peer_id().to_bytes();
    let proof = key.sign_validator_proof(address.0.to_vec(), peer_id).await.map_err(|error| failed(&error))?;
    let proof = WireCodec.encode(&proof).map_err(|error| failed(&error))?;
    Ok(NetworkIdentity::new_validator(moniker.into(), keypair, address.to_string(), proof))
}

/// Publishes who is connected.
async fn watch_peers(requests: tokio::sync::mpsc::Sender<NetworkRequest>, status: watch::Sender<ConsensusStatus>) {
    let started = Instant::now();
    while let Ok(dump) = NetworkRequest::dump_state(&requests).await {
        if let Some(dump) = dump {
            let mut peers: Vec<_> = dump.peers.keys().map(ToString::to_string).collect();
            peers.sort();
            metrics::gauge!("rota_consensus_peers").set(peers.len() as f64);
            status.send_if_modified(|status| {
                let changed = status.peers != peers;
                status.peers = peers;
                changed
            });
        }
        // The first height waits for it.
        let pause = if started.elapsed() < 2 * MEET { RETRY } else { PEERS };
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
pub(crate) mod tests;
