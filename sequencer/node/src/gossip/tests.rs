//! Gossip among real swarms on loopback, with pools that note what they are offered.

use std::collections::BTreeMap;

use alloy_consensus::{SignableTransaction, Transaction as _, TxEip1559};
use alloy_primitives::{Address, Signature};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::*;
use crate::consensus::tests::endpoint::Endpoint;

const CHAIN: u64 = 7;

/// A pool that takes everything once, except what it is told to refuse.
struct TestPool {
    /// Transactions offered by gossip, and how often.
    offered: Mutex<BTreeMap<B256, usize>>,
    known: Mutex<BTreeMap<B256, Transaction>>,
    refused: Mutex<Vec<B256>>,
    accepted: broadcast::Sender<Arc<PoolTransaction>>,
}

impl TestPool {
    fn new() -> Arc<Self> {
        let accepted = broadcast::channel(1_024).0;
        Arc::new(Self { offered: Mutex::default(), known: Mutex::default(), refused: Mutex::default(), accepted })
    }

    fn add(&self, transaction: Transaction) -> Result<B256, PoolError> {
        let hash = *transaction.tx_hash();
        if transaction.chain_id() != Some(CHAIN) {
            return Err(PoolError::WrongChain { have: 0, want: CHAIN });
        }
        if self.refused.lock().contains(&hash) {
            return Err(PoolError::NonceTooLow { next: 1, nonce: 0 });
        }
        if self.known.lock().insert(hash, transaction.clone()).is_some() {
            return Err(PoolError::AlreadyKnown);
        }
        let raw = transaction.encoded_2718().into();
        let _ = self.accepted.send(Arc::new(PoolTransaction { transaction, sender: Address::ZERO, hash, raw }));
        Ok(hash)
    }

    fn has(&self, hash: &B256) -> bool {
        self.known.lock().contains_key(hash)
    }

    fn times_offered(&self, hash: &B256) -> usize {
        self.offered.lock().get(hash).copied().unwrap_or(0)
    }
}

impl TransactionPool for TestPool {
    fn offer(&self, transactions: Vec<Transaction>) -> Vec<Result<B256, PoolError>> {
        for transaction in &transactions {
            *self.offered.lock().entry(*transaction.tx_hash()).or_default() += 1;
        }
        transactions.into_iter().map(|transaction| self.add(transaction)).collect()
    }

    fn accepted(&self) -> broadcast::Receiver<Arc<PoolTransaction>> {
        self.accepted.subscribe()
    }
}

fn transaction(nonce: u64, chain_id: u64) -> Transaction {
    let body = TxEip1559 { chain_id, nonce, gas_limit: 21_000, max_fee_per_gas: 9, ..TxEip1559::default() };
    body.into_signed(Signature::test_signature()).into()
}

struct Node {
    at: Endpoint,
    pool: Arc<TestPool>,
    connected: watch::Receiver<Vec<PeerId>>,
    members: watch::Sender<Vec<Multiaddr>>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), GossipError>>,
}

fn start(at: Endpoint, peers: Vec<Multiaddr>, pool: Arc<TestPool>) -> Node {
    start_with(at, peers, pool, false)
}

fn start_with(at: Endpoint, peers: Vec<Multiaddr>, pool: Arc<TestPool>, members_only: bool) -> Node {
    let (connected_tx, connected) = watch::channel(Vec::new());
    let (members, members_rx) = watch::channel(Vec::new());
    let config = GossipConfig {
        chain_id: CHAIN,
        network_key: at.key,
        listen: at.listen(),
        peers,
        members: members_rx,
        members_only,
        connected: connected_tx,
    };
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(run(config, pool.clone(), shutdown.clone()));
    Node { at, pool, connected, members, shutdown, task }
}

/// A line of nodes: each knows the one before it only, so that news must be forwarded.
fn line(n: u8) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..n {
        let peers = nodes.last().map(|node| node.at.address()).into_iter().collect();
        nodes.push(start(Endpoint::new(), peers, TestPool::new()));
    }
    nodes
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited 20 s for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn connected(nodes: &[Node]) {
    until("the line to connect", || {
        let last = nodes.len() - 1;
        nodes
            .iter()
            .enumerate()
            .all(|(n, node)| node.connected.borrow().len() == usize::from(n > 0) + usize::from(n < last))
    })
    .await;
    // Subscriptions follow the connection and meshes form with a heartbeat: probe until one gets through.
    let (first, last) = (&nodes[0].pool, &nodes[nodes.len() - 1].pool);
    let mut probes = Vec::new();
    until("a probe at the far end", || {
        if probes.len() < 2_000 {
            probes.push(first.add(transaction(1_000_000 + rand::random_range(0..1 << 40), CHAIN)).unwrap());
        }
        probes.iter().any(|probe| last.has(probe))
    })
    .await;
}

async fn stop(nodes: Vec<Node>) {
    for node in nodes {
        node.shutdown.cancel();
        node.task.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_reach_every_node_once() {
    let nodes = line(4);
    connected(&nodes).await;
    let hashes: Vec<B256> = (0..200).map(|nonce| nodes[0].pool.add(transaction(nonce, CHAIN)).unwrap()).collect();
    until("200 transactions at the far end", || hashes.iter().all(|hash| nodes[3].pool.has(hash))).await;
    for (n, node) in nodes.iter().enumerate() {
        assert!(hashes.iter().all(|hash| node.pool.has(hash)));
        // Forwarded with the message they came in, not announced again by each pool.
        let most = hashes.iter().map(|hash| node.pool.times_offered(hash)).max().unwrap();
        assert!(most <= 1, "node {n} was offered a transaction {most} times");
    }
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_pool_took_is_forwarded() {
    let nodes = line(3);
    connected(&nodes).await;
    let (good, stale, foreign) = (transaction(1, CHAIN), transaction(2, CHAIN), transaction(3, CHAIN + 1));
    let (good_hash, stale_hash) = (*good.tx_hash(), *stale.tx_hash());
    nodes[1].pool.refused.lock().push(stale_hash);
    // One batch with both: the middle node passes on the part that it took.
    nodes[0].pool.add(stale.clone()).unwrap();
    nodes[0].pool.add(good).unwrap();
    until("the good one at the far end", || nodes[2].pool.has(&good_hash)).await;
    until("the stale one in the middle", || nodes[1].pool.times_offered(&stale_hash) > 0).await;

    // Once the middle node takes it after all, from its own user, it spreads it although it came by gossip before.
    assert_eq!(nodes[2].pool.times_offered(&stale_hash), 0);
    nodes[1].pool.refused.lock().clear();
    nodes[1].pool.add(stale).unwrap();
    until("the stale one at the far end", || nodes[2].pool.has(&stale_hash)).await;

    // Of another chain: announced by a faulty pool, it gets no further than the next node.
    let raw = foreign.encoded_2718().into();
    let hash = *foreign.tx_hash();
    let announced = PoolTransaction { transaction: foreign, sender: Address::ZERO, hash, raw };
    nodes[0].pool.accepted.send(Arc::new(announced)).unwrap();
    until("the foreign one in the middle", || nodes[1].pool.times_offered(&hash) > 0).await;
    let after = nodes[0].pool.add(transaction(9, CHAIN)).unwrap();
    until("a later one at the far end", || nodes[2].pool.has(&after)).await;
    assert_eq!(nodes[2].pool.times_offered(&hash), 0);
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_went_away_are_found_again() {
    let mut nodes = line(2);
    connected(&nodes).await;
    let first = nodes.remove(0);
    let (at, pool) = (first.at, first.pool.clone());
    stop(vec![first]).await;
    until("the loss to be noticed", || nodes[0].connected.borrow().is_empty()).await;
    nodes.insert(0, start(at, Vec::new(), pool));
    connected(&nodes).await;
    let hash = nodes[1].pool.add(transaction(5, CHAIN)).unwrap();
    until("a transaction after reconnecting", || nodes[0].pool.has(&hash)).await;

    // A member named later is dialled too.
    let member = start(Endpoint::new(), Vec::new(), TestPool::new());
    nodes[0].members.send(vec![member.at.address()]).unwrap();
    until("the member to be connected", || member.connected.borrow().len() == 1).await;
    nodes.push(member);
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_where_only_members_are_served() {
    let friend = Endpoint::new();
    let closed = start_with(Endpoint::new(), vec![friend.address()], TestPool::new(), true);
    let to_closed = || vec![closed.at.address()];
    let outside = start(Endpoint::new(), to_closed(), TestPool::new());
    // The stranger gets through to the door, again and again, and never stays; the friend does.
    until("the stranger to be let in and thrown out", || {
        outside.connected.has_changed().unwrap() && outside.connected.borrow().is_empty()
    })
    .await;
    let news = outside.pool.add(transaction(1, CHAIN)).unwrap();
    let inside = start(friend, to_closed(), TestPool::new());
    let nodes = [closed, inside];
    connected(&nodes).await;
    let friend_id = friend.peer();
    until("the friend alone to be connected", || *nodes[0].connected.borrow() == [friend_id]).await;
    assert_eq!(nodes[0].pool.times_offered(&news), 0);
    stop(nodes.into_iter().chain([outside]).collect()).await;
}

#[test]
fn messages_are_exact() {
    let transactions = [transaction(1, CHAIN), transaction(2, CHAIN)];
    let mut outbox = Outbox::default();
    transactions.iter().for_each(|transaction| outbox.push(transaction.encoded_2718().into()));
    let message = encode(&outbox.take());
    assert!(outbox.take().is_empty());
    assert_eq!(decode(&message).unwrap(), transactions);
    assert!(decode(&message[..message.len() - 1]).is_none());
    assert!(decode(&[&message[..], &[0]].concat()).is_none());
    assert!(decode(&[0xc0]).is_none());
    assert!(decode(&[]).is_none());
    // A transaction with bytes behind it inside its own string.
    let longer: Vec<Bytes> = vec![[transactions[0].encoded_2718(), vec![0]].concat().into()];
    let mut message = Vec::new();
    longer.encode(&mut message);
    assert!(decode(&message).is_none());
}

#[test]
fn what_nobody_takes_waits_within_bounds() {
    let mut outbox = Outbox::default();
    let raw = |n: u8| Bytes::from(vec![n; 40 << 10]);
    (0..4).for_each(|n| outbox.push(raw(n)));
    assert!(outbox.is_full());
    let batch = outbox.take();
    assert_eq!(batch, [raw(0), raw(1)]);
    outbox.put_back(batch.clone());
    // Not again at once, in the old order, and never more than the bound: the oldest go first.
    assert!(!outbox.is_full() && outbox.due.unwrap() > Instant::now() + RESEND / 2);
    assert_eq!(outbox.take(), batch);
    assert_eq!(outbox.take(), [raw(2), raw(3)]);
    assert_eq!((outbox.bytes, outbox.due), (0, None));
    (0..=255).for_each(|n| outbox.push(raw(n)));
    assert!(outbox.bytes <= MAX_UNSENT && outbox.bytes > MAX_UNSENT - (41 << 10));
    assert_eq!(outbox.queue.back(), Some(&raw(255)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_given_to_a_lonely_node_are_spread_later() {
    let lonely = start(Endpoint::new(), Vec::new(), TestPool::new());
    until("gossip to listen to its pool", || lonely.pool.accepted.receiver_count() > 0).await;
    let hash = lonely.pool.add(transaction(1, CHAIN)).unwrap();
    let friend = start(Endpoint::new(), vec![lonely.at.address()], TestPool::new());
    until("what the lonely node was given before", || friend.pool.has(&hash)).await;
    stop(vec![lonely, friend]).await;
}

#[test]
fn peers_are_held_to_their_rate() {
    let (mut peers, peer, start) = (Peers::default(), PeerId::random(), Instant::now());
    let burst = PEER_BURST as usize;
    assert!(peers.allow(peer, burst, start));
    assert!(!peers.allow(peer, 1_000, start));
    assert!(peers.allow(PeerId::random(), burst, start));
    let later = start + Duration::from_secs(1);
    assert!(!peers.allow(peer, PEER_RATE as usize + 1_000, later));
    assert!(peers.allow(peer, PEER_RATE as usize - 1_000, later));

    assert!((1..STRIKES).all(|_| !peers.strike(peer, later)));
    assert!(peers.strike(peer, later));
    assert!(peers.shut_out.contains_key(&peer));
}

#[test]
fn dialling_backs_off() {
    let (mut peers, start) = (Peers::default(), Instant::now());
    let wanted = [Endpoint::new().address()];
    let due = |peers: &mut Peers, after: Duration, up: bool| peers.due(&wanted, |_| up, start + after).len();
    assert_eq!(due(&mut peers, Duration::ZERO, false), 1);
    assert_eq!(due(&mut peers, DIAL_FIRST - Duration::from_millis(1), false), 0);
    assert_eq!(due(&mut peers, DIAL_FIRST, false), 1);
    assert_eq!(due(&mut peers, DIAL_FIRST * 2, false), 0);
    assert_eq!(due(&mut peers, DIAL_FIRST * 3, false), 1);
    // Connected, then lost: at once again.
    assert_eq!(due(&mut peers, DIAL_FIRST * 4, true), 0);
    assert_eq!(due(&mut peers, DIAL_FIRST * 5, false), 1);
}
