//! Spreads transactions among the nodes, so that whoever leads next can include them.
//!
//! A libp2p gossipsub topic of its own: the consensus engine offers none. Messages are batches of transactions, named
//! by their content and without an author. A node forwards a message only when its own pool took every transaction in
//! it; of a message that it took in part it spreads that part itself. Everything is bounded: message size, bytes per
//! second and peer, messages waiting for the pool, transactions waiting to be sent.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Decodable, Encodable};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, allow_block_list, connection_limits,
    gossipsub::{self, IdentTopic, MessageAcceptance, MessageAuthenticity, MessageId, PublishError, ValidationMode},
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use lru::LruCache;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::Transaction,
    mempool::{Mempool, PoolError, PoolTransaction},
};

/// Longest message, bytes; a batch is closed well before, a single large transaction may fill it.
const MAX_MESSAGE: usize = 256 << 10;
/// Length at which a batch is sent, bytes.
const BATCH_BYTES: usize = 48 << 10;
/// Time a batch waits for more.
const BATCH_TIME: Duration = Duration::from_millis(10);
/// Transactions kept while there is nobody to send them to, bytes; and the time between two attempts.
const MAX_UNSENT: usize = 4 << 20;
const RESEND: Duration = Duration::from_secs(1);
/// Bytes a peer may send on average per second, and at once.
const PEER_RATE: f64 = 4e6;
const PEER_BURST: f64 = 8e6;
/// Messages waiting for the pool.
const MAX_WAITING: usize = 128;
/// Transactions remembered as received, so that they are not sent again.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add((1 << 16) - 1);
/// Malformed messages after which a peer is shut out, and for how long.
const STRIKES: u32 = 16;
const SHUT_OUT: Duration = Duration::from_secs(60);
/// Time between two attempts to reach a peer: doubled after each failure.
const DIAL_FIRST: Duration = Duration::from_millis(500);
const DIAL_LAST: Duration = Duration::from_secs(15);
/// Connections to one peer, and in total.
const MAX_PER_PEER: u32 = 4;
const MAX_CONNECTIONS: u32 = 512;

/// How a node takes part in transaction gossip.
#[derive(Debug)]
pub struct GossipConfig {
    /// L2 chain id: part of the topic.
    pub chain_id: u64,
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
    /// Where the ids of connected peers are published, sorted.
    pub connected: watch::Sender<Vec<PeerId>>,
}

/// Why gossip could not start.
#[derive(Debug, thiserror::Error)]
pub enum GossipError {
    /// The network identity is malformed.
    #[error("network key: {0}")]
    Key(#[from] libp2p::identity::DecodingError),
    /// The network stack could not be set up.
    #[error("gossip network: {0}")]
    Setup(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {reason}")]
    Listen {
        /// The address.
        addr: Multiaddr,
        /// The failure.
        reason: String,
    },
}

/// The pool as gossip needs it.
pub trait TransactionPool: Send + Sync + 'static {
    /// Offers transactions to the pool, which may take long enough to need a thread of its own.
    fn offer(&self, transactions: Vec<Transaction>) -> Vec<Result<B256, PoolError>>;
    /// Every transaction the pool accepts from now on, wherever it came from.
    fn accepted(&self) -> broadcast::Receiver<Arc<PoolTransaction>>;
}

impl TransactionPool for Mempool {
    fn offer(&self, transactions: Vec<Transaction>) -> Vec<Result<B256, PoolError>> {
        self.add_all(transactions)
    }

    fn accepted(&self) -> broadcast::Receiver<Arc<PoolTransaction>> {
        self.subscribe()
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    gossip: gossipsub::Behaviour,
    limits: connection_limits::Behaviour,
    blocked: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
}

/// A message on its way through the pool.
struct Waiting {
    id: MessageId,
    from: PeerId,
    transactions: Vec<Transaction>,
}

/// What the pool said about it.
struct Judged {
    id: MessageId,
    from: PeerId,
    acceptance: MessageAcceptance,
    /// Transactions that were taken out of a message that is not forwarded.
    spread: Vec<Bytes>,
    /// Transactions that were refused: if they are taken later, this node has to send them.
    refused: Vec<B256>,
}

/// Spreads transactions until `shutdown`.
///
/// # Errors
/// The network could not be set up; later failures of peers are met by reconnecting.
pub async fn run(
    config: GossipConfig,
    pool: Arc<dyn TransactionPool>,
    shutdown: CancellationToken,
) -> Result<(), GossipError> {
    let topic = IdentTopic::new(format!("/rota/{}/transactions/1", config.chain_id));
    let mut swarm = swarm(config.network_key, &topic)?;
    swarm
        .listen_on(config.listen.clone())
        .map_err(|error| GossipError::Listen { addr: config.listen, reason: error.to_string() })?;

    let (to_pool, waiting) = mpsc::channel(MAX_WAITING);
    let (from_pool, judged) = mpsc::channel(MAX_WAITING);
    let accepted = pool.accepted();
    let worker = tokio::spawn(judge(pool, waiting, from_pool));
    let mut gossip = Gossip {
        swarm,
        topic,
        to_pool,
        outbox: Outbox::default(),
        received: LruCache::new(REMEMBERED),
        peers: Peers::default(),
        connected: config.connected,
        fixed: config.peers,
        members: config.members,
        members_only: config.members_only,
    };
    gossip.serve(accepted, judged, &shutdown).await;
    worker.abort();
    Ok(())
}

fn swarm(mut key: [u8; 32], topic: &IdentTopic) -> Result<Swarm<Behaviour>, GossipError> {
    let setup = |error: &dyn std::fmt::Display| GossipError::Setup(error.to_string());
    let keypair = Keypair::ed25519_from_bytes(&mut key)?;
    let config = gossipsub::ConfigBuilder::default()
        // No author: a transaction does not tell which node its sender uses.
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(|message| MessageId::from(keccak256(&message.data).to_vec()))
        .validate_messages()
        .max_transmit_size(MAX_MESSAGE)
        .heartbeat_interval(Duration::from_millis(700))
        .build()
        .map_err(|error| setup(&error))?;
    let mut gossip =
        gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).map_err(|error| setup(&error))?;
    gossip.subscribe(topic).map_err(|error| setup(&error))?;
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established_per_peer(Some(MAX_PER_PEER))
        .with_max_established(Some(MAX_CONNECTIONS));
    let behaviour =
        Behaviour { gossip, limits: connection_limits::Behaviour::new(limits), blocked: Default::default() };
    Ok(SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| setup(&error))?
        .with_dns()
        .map_err(|error| setup(&error))?
        .with_behaviour(|_| behaviour)
        .map_err(|error| setup(&error))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build())
}

/// Puts messages to the pool, one after the other.
async fn judge(pool: Arc<dyn TransactionPool>, mut waiting: mpsc::Receiver<Waiting>, judged: mpsc::Sender<Judged>) {
    while let Some(Waiting { id, from, transactions }) = waiting.recv().await {
        let pool = Arc::clone(&pool);
        let task = tokio::task::spawn_blocking(move || {
            let results = pool.offer(transactions.clone());
            let acceptance = verdict(&results);
            let (mut spread, mut refused) = (Vec::new(), Vec::new());
            for (transaction, result) in transactions.iter().zip(&results) {
                match result {
                    Ok(_) if !matches!(acceptance, MessageAcceptance::Accept) => {
                        spread.push(transaction.encoded_2718().into());
                    }
                    Ok(_) | Err(PoolError::AlreadyKnown) => {}
                    Err(_) => refused.push(*transaction.tx_hash()),
                }
            }
            Judged { id, from, acceptance, spread, refused }
        });
        // A panic of the pool is its own affair; gossip goes on without that message.
        let Ok(verdict) = task.await else { continue };
        if judged.send(verdict).await.is_err() {
            return;
        }
    }
}

/// Whether a message is forwarded.
fn verdict(results: &[Result<B256, PoolError>]) -> MessageAcceptance {
    let mut acceptance = MessageAcceptance::Accept;
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        match error {
            PoolError::AlreadyKnown => {}
            // Wrong on every node: whoever sent it did not check it.
            PoolError::Malformed(_)
            | PoolError::InvalidSender
            | PoolError::TypeNotSupported
            | PoolError::WrongChain { .. }
            | PoolError::Unprotected
            | PoolError::EmptyAuthorizations => acceptance = MessageAcceptance::Reject,
            // Depends on this node's state or room: no fault of the peer.
            _ if !matches!(acceptance, MessageAcceptance::Reject) => acceptance = MessageAcceptance::Ignore,
            _ => {}
        }
    }
    acceptance
}

/// The transactions of a message, unless it is malformed.
fn decode(data: &[u8]) -> Option<Vec<Transaction>> {
    let mut rest = data;
    let batch = Vec::<Bytes>::decode(&mut rest).ok().filter(|batch| rest.is_empty() && !batch.is_empty())?;
    let decode = |raw: &Bytes| {
        let mut rest = raw.as_ref();
        Transaction::decode_2718(&mut rest).ok().filter(|_| rest.is_empty())
    };
    batch.iter().map(decode).collect()
}

/// Transactions that wait to be sent.
#[derive(Debug, Default)]
struct Outbox {
    queue: VecDeque<Bytes>,
    bytes: usize,
    due: Option<Instant>,
    /// Nobody took the last batch: what comes waits with it.
    stuck: bool,
}

impl Outbox {
    fn push(&mut self, raw: Bytes) {
        self.bytes += raw.len();
        self.queue.push_back(raw);
        while self.bytes > MAX_UNSENT {
            self.bytes -= self.queue.pop_front().map_or(self.bytes, |oldest| oldest.len());
        }
        self.due.get_or_insert_with(|| Instant::now() + BATCH_TIME);
    }

    fn is_full(&self) -> bool {
        !self.stuck && self.bytes >= BATCH_BYTES
    }

    /// The next batch, oldest first.
    fn take(&mut self) -> Vec<Bytes> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES {
            let Some(raw) = self.queue.pop_front() else { break };
            bytes += raw.len();
            batch.push(raw);
        }
        self.bytes -= bytes;
        self.stuck = false;
        self.due = (!self.queue.is_empty()).then(Instant::now);
        batch
    }

    /// Puts back a batch that could not be sent.
    fn put_back(&mut self, batch: Vec<Bytes>) {
        self.bytes += batch.iter().map(|raw| raw.len()).sum::<usize>();
        batch.into_iter().rev().for_each(|raw| self.queue.push_front(raw));
        self.stuck = true;
        self.due = Some(Instant::now() + RESEND);
    }
}

/// The message that carries a batch.
fn encode(batch: &Vec<Bytes>) -> Vec<u8> {
    let mut message = Vec::with_capacity(batch.length());
    batch.encode(&mut message);
    message
}

/// What is known of peers.
#[derive(Debug, Default)]
struct Peers {
    allowance: HashMap<PeerId, Allowance>,
    dials: HashMap<Multiaddr, Dial>,
    shut_out: HashMap<PeerId, Instant>,
}

#[derive(Debug)]
struct Allowance {
    bytes: f64,
    at: Instant,
    strikes: u32,
}

#[derive(Debug)]
struct Dial {
    /// Who answered there.
    peer: Option<PeerId>,
    next: Instant,
    wait: Duration,
}

impl Peers {
    /// Takes `bytes` from what `peer` may send; `false` if that is used up.
    fn allow(&mut self, peer: PeerId, bytes: usize, now: Instant) -> bool {
        let allowance = self.allowance.entry(peer).or_insert(Allowance { bytes: PEER_BURST, at: now, strikes: 0 });
        let earned = now.saturating_duration_since(allowance.at).as_secs_f64() * PEER_RATE;
        allowance.bytes = (allowance.bytes + earned).min(PEER_BURST);
        allowance.at = now;
        if allowance.bytes < bytes as f64 {
            return false;
        }
        allowance.bytes -= bytes as f64;
        true
    }

    /// Counts a malformed message; `true` if it was one too many.
    fn strike(&mut self, peer: PeerId, now: Instant) -> bool {
        let Some(allowance) = self.allowance.get_mut(&peer) else { return false };
        allowance.strikes += 1;
        if allowance.strikes < STRIKES {
            return false;
        }
        allowance.strikes = 0;
        self.shut_out.insert(peer, now + SHUT_OUT);
        true
    }

    /// Addresses to dial now, of those in `wanted` that nobody is connected at.
    fn due(&mut self, wanted: &[Multiaddr], connected: impl Fn(&PeerId) -> bool, now: Instant) -> Vec<Multiaddr> {
        self.dials.retain(|addr, _| wanted.contains(addr));
        let mut due = Vec::new();
        for addr in wanted {
            let dial =
                self.dials.entry(addr.clone()).or_insert(Dial { peer: peer_id(addr), next: now, wait: DIAL_FIRST });
            if dial.peer.as_ref().is_some_and(&connected) {
                (dial.next, dial.wait) = (now, DIAL_FIRST);
            } else if dial.next <= now {
                dial.next = now + dial.wait;
                dial.wait = (dial.wait * 2).min(DIAL_LAST);
                due.push(addr.clone());
            }
        }
        due
    }

    /// Notes who answered at an address that names nobody.
    fn answered(&mut self, addr: &Multiaddr, peer: PeerId) {
        if let Some(dial) = self.dials.get_mut(addr) {
            dial.peer = Some(peer);
        }
    }
}

fn peer_id(addr: &Multiaddr) -> Option<PeerId> {
    addr.iter().find_map(|part| if let Protocol::P2p(peer) = part { Some(peer) } else { None })
}

struct Gossip {
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    to_pool: mpsc::Sender<Waiting>,
    outbox: Outbox,
    /// Transactions that came in a message: forwarded with it, not sent again.
    received: LruCache<B256, ()>,
    peers: Peers,
    connected: watch::Sender<Vec<PeerId>>,
    fixed: Vec<Multiaddr>,
    members: watch::Receiver<Vec<Multiaddr>>,
    members_only: bool,
}

impl Gossip {
    async fn serve(
        &mut self,
        mut accepted: broadcast::Receiver<Arc<PoolTransaction>>,
        mut judged: mpsc::Receiver<Judged>,
        shutdown: &CancellationToken,
    ) {
        let mut tick = tokio::time::interval(DIAL_FIRST);
        let mut pool_open = true;
        loop {
            let due = self.outbox.due.map(tokio::time::Instant::from_std);
            tokio::select! {
                () = shutdown.cancelled() => return,
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(judged) = judged.recv() => self.on_judged(judged),
                transaction = accepted.recv(), if pool_open => match transaction {
                    Ok(transaction) => self.on_accepted(&transaction),
                    // The ones missed stay in this pool, and reach a block when this node leads.
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        metrics::counter!("rota_gossip_missed_total").increment(missed);
                    }
                    Err(broadcast::error::RecvError::Closed) => pool_open = false,
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                    self.send();
                }
                _ = tick.tick() => self.on_tick(),
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            })) => self.on_message(propagation_source, message_id, &message.data),
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                if endpoint.is_dialer() {
                    self.peers.answered(endpoint.get_remote_address(), peer_id);
                } else if self.members_only && !self.wanted().iter().any(|addr| self::peer_id(addr) == Some(peer_id)) {
                    tracing::debug!(peer = %peer_id, "refused: not a member");
                    let _ = self.swarm.disconnect_peer_id(peer_id);
                }
                self.publish_connected();
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                // Strikes outlive a connection, but not for ever.
                if self.peers.allowance.len() > MAX_CONNECTIONS as usize {
                    self.peers.allowance.remove(&peer_id);
                }
                self.publish_connected();
            }
            SwarmEvent::NewListenAddr { address, .. } => tracing::info!(%address, "gossip listens"),
            SwarmEvent::OutgoingConnectionError { error, .. } => tracing::debug!(%error, "gossip cannot reach a peer"),
            _ => {}
        }
    }

    fn publish_connected(&mut self) {
        let mut peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        peers.sort();
        metrics::gauge!("rota_gossip_peers").set(peers.len() as f64);
        self.connected.send_replace(peers);
    }

    fn on_message(&mut self, from: PeerId, id: MessageId, data: &[u8]) {
        let now = Instant::now();
        if !self.peers.allow(from, data.len(), now) {
            metrics::counter!("rota_gossip_dropped_total", "reason" => "rate").increment(1);
            return self.report(from, &id, MessageAcceptance::Ignore);
        }
        let Some(transactions) = decode(data) else { return self.report(from, &id, MessageAcceptance::Reject) };
        let hashes: Vec<B256> = transactions.iter().map(|transaction| *transaction.tx_hash()).collect();
        match self.to_pool.try_send(Waiting { id, from, transactions }) {
            // Before the pool announces them.
            Ok(()) => hashes.into_iter().for_each(|hash| {
                self.received.put(hash, ());
            }),
            Err(mpsc::error::TrySendError::Full(waiting) | mpsc::error::TrySendError::Closed(waiting)) => {
                metrics::counter!("rota_gossip_dropped_total", "reason" => "busy").increment(1);
                self.report(from, &waiting.id, MessageAcceptance::Ignore);
            }
        }
    }

    fn on_judged(&mut self, judged: Judged) {
        for hash in &judged.refused {
            self.received.pop(hash);
        }
        for raw in judged.spread {
            self.push(raw);
        }
        self.report(judged.from, &judged.id, judged.acceptance);
    }

    fn on_accepted(&mut self, transaction: &PoolTransaction) {
        if !self.received.contains(&transaction.hash) {
            self.push(transaction.raw.clone());
        }
    }

    fn push(&mut self, raw: Bytes) {
        self.outbox.push(raw);
        if self.outbox.is_full() {
            self.send();
        }
    }

    fn send(&mut self) {
        let batch = self.outbox.take();
        if batch.is_empty() {
            return;
        }
        match self.swarm.behaviour_mut().gossip.publish(self.topic.clone(), encode(&batch)) {
            Ok(_) | Err(PublishError::Duplicate) => {}
            // Alone, or everybody too slow. A follower never leads: only others can include what it was given.
            Err(PublishError::NoPeersSubscribedToTopic | PublishError::AllQueuesFull(_)) => self.outbox.put_back(batch),
            Err(error) => tracing::warn!(%error, "transactions not spread"),
        }
    }

    /// Tells gossipsub whether to forward a message, and counts malformed ones.
    fn report(&mut self, from: PeerId, id: &MessageId, acceptance: MessageAcceptance) {
        if matches!(acceptance, MessageAcceptance::Reject) && self.peers.strike(from, Instant::now()) {
            tracing::warn!(peer = %from, "shut out for malformed transactions");
            self.swarm.behaviour_mut().blocked.block_peer(from);
        }
        self.swarm.behaviour_mut().gossip.report_message_validation_result(id, &from, acceptance);
    }

    /// Addresses to stay connected to.
    fn wanted(&self) -> Vec<Multiaddr> {
        let own = *self.swarm.local_peer_id();
        let mut wanted = self.fixed.clone();
        wanted.extend(self.members.borrow().iter().filter(|addr| !self.fixed.contains(addr)).cloned());
        wanted.retain(|addr| peer_id(addr) != Some(own));
        wanted
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        let over: Vec<_> =
            self.peers.shut_out.iter().filter(|(_, until)| **until <= now).map(|(peer, _)| *peer).collect();
        for peer in over {
            self.peers.shut_out.remove(&peer);
            self.swarm.behaviour_mut().blocked.unblock_peer(peer);
        }
        let wanted = self.wanted();
        let swarm = &self.swarm;
        for addr in self.peers.due(&wanted, |peer| swarm.is_connected(peer), now) {
            // With the peer named, an address that leads elsewhere is refused by the handshake.
            let options = match peer_id(&addr) {
                Some(peer) => DialOpts::peer_id(peer).addresses(vec![addr]).build(),
                None => DialOpts::unknown_peer_id().address(addr).build(),
            };
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(%error, "gossip cannot dial");
            }
        }
    }
}

#[cfg(test)]
mod tests;
