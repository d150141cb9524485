//! Four real engines over loopback TCP, each on a runtime of its own so that one can be killed as a process would be.

use std::{
    collections::BTreeMap,
    fs::File,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rota_protocol::{header, vote::address_of};
use tempfile::TempDir;
use tokio::{
    runtime::Runtime,
    sync::{oneshot, watch},
};
use tokio_util::sync::CancellationToken;

use super::{
    chain::{self, TestChain},
    domain,
    endpoint::Endpoint,
    key, rules, table,
};
use crate::{
    chain::DecidedChain,
    consensus::{
        self, ConsensusConfig, ConsensusError, ConsensusStatus,
        horizon::OnL1,
        protection::{Protection, ProtectionError, SignedKind, Slot},
    },
    evidence::{Ear, EvidenceStore, Watcher},
};

const BLOCK_TIME: Duration = Duration::from_millis(250);
/// Time without a decision after which a node counts as stalled; on a starved machine all are slow, and none is stalled.
const STALLED: Duration = Duration::from_secs(60);
/// Limit for what takes several decisions.
pub(super) const LONG: Duration = Duration::from_secs(300);
pub(super) const WEIGHTS: [u64; 4] = [40_000, 30_000, 30_000, 25_000];

pub(super) struct Node {
    index: usize,
    pub(super) dir: TempDir,
    pub(super) chain: Arc<TestChain>,
    pub(super) endpoint: Endpoint,
    running: Option<Running>,
    /// What its watcher found, in clusters that watch.
    pub(super) evidence: Option<EvidenceStore>,
}

struct Running {
    runtime: Runtime,
    shutdown: CancellationToken,
    result: oneshot::Receiver<Result<(), ConsensusError>>,
    status: watch::Receiver<ConsensusStatus>,
}

pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    members_only: bool,
    watching: bool,
}

/// Scratch space in memory where there is one: fsync is what these tests wait for most.
pub(super) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// By how much the promised times may be missed: not at all, but twice on the machines of a CI service.
fn patience() -> u32 {
    if std::env::var("CI").is_ok_and(|value| value == "true") { 2 } else { 1 }
}

/// Waits for `done`, and says what for if it does not come. Looks after each commit of a test chain, and from time to
/// time for what is not announced.
pub(super) fn wait(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut commits = chain::COMMITS.lock();
    while !done() {
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}");
        chain::COMMITTED.wait_for(&mut commits, Duration::from_millis(20));
    }
}

/// Threads of the engine outlive a runtime for a moment, as nothing of a process would.
pub(super) fn wait_until_free(dir: &Path) {
    let tables = (1..=WEIGHTS.len() as u8).map(|n| Protection::path(dir, address_of(&key(n))).with_extension("lock"));
    for file in tables.chain([dir.join("wal/consensus.wal")]) {
        let free = || File::open(&file).map_or(true, |file| file.try_lock().is_ok());
        wait("a killed node to let go of its files", Duration::from_secs(10), free);
    }
}

impl Node {
    pub(super) fn new(index: usize) -> Self {
        let (dir, chain, endpoint) = (scratch(), TestChain::new(rules(&WEIGHTS)), Endpoint::new());
        Self { index, dir, chain, endpoint, running: None, evidence: None }
    }
}

impl Cluster {
    /// Members that talk to each other only.
    fn start() -> Self {
        Self::start_with(true)
    }

    fn start_with(members_only: bool) -> Self {
        let nodes = (0..WEIGHTS.len()).map(Node::new).collect();
        Self { nodes, members_only, watching: false }.launched()
    }

    /// Open to everybody, each node with an evidence watcher, and with one more node that has no key.
    pub(super) fn start_watching() -> Self {
        let nodes = (0..=WEIGHTS.len()).map(Node::new).collect();
        Self { nodes, members_only: false, watching: true }.launched()
    }

    fn launched(mut self) -> Self {
        (0..self.nodes.len()).for_each(|index| self.launch(index));
        self
    }

    pub(super) fn launch(&mut self, index: usize) {
        let others = |node: &&Node| node.index != index;
        let peers: Vec<_> = self.nodes.iter().filter(others).map(|node| node.endpoint.address()).collect();
        let node = &mut self.nodes[index];
        // Whoever is not in the set only follows.
        let key = (index < WEIGHTS.len()).then(|| key(index as u8 + 1));
        if key.is_some() {
            drop(table(node.dir.path(), index as u8 + 1));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (status, status_rx) = watch::channel(ConsensusStatus::default());
        // Half of the peers are configured, half come as members of the frozen set.
        let (fixed, members) = peers.split_at(1);
        let (members_tx, members) = watch::channel(members.to_vec());
        let mut config = ConsensusConfig {
            dir: node.dir.path().into(),
            moniker: format!("node-{index}-{}", node.endpoint.port),
            domain: domain(),
            key,
            network_key: node.endpoint.key,
            listen: node.endpoint.listen(),
            peers: fixed.to_vec(),
            members,
            members_only: self.members_only,
            block_time: BLOCK_TIME,
            status,
            key_lock: None,
            decided_on_l1: Arc::new(|| OnL1 { height: 0, current: true }),
            ear: None,
            interpose: None,
        };
        let shutdown = CancellationToken::new();
        if self.watching {
            let (store, messages) = EvidenceStore::open(&node.dir.path().join("evidence"), &domain()).unwrap();
            node.evidence = Some(store.clone());
            let (ear, heard) = Ear::new();
            config.ear = Some(ear);
            let set = rules(&WEIGHTS).set;
            let watcher = Watcher {
                domain: domain(),
                chain: node.chain.clone(),
                rules: node.chain.clone(),
                sets: Arc::new(move |epoch| (epoch == set.epoch()).then(|| Arc::clone(&set))),
                status: status_rx.clone(),
                heard,
                store,
                messages,
                retain: Duration::from_secs(3_600),
                judged: Arc::new(|_| true),
                found: Arc::default(),
            };
            runtime.spawn(watcher.run(shutdown.clone()));
        }
        let (done, result) = oneshot::channel();
        let (token, chain) = (shutdown.clone(), Arc::clone(&node.chain));
        runtime.spawn(async move {
            let _members = members_tx;
            let _ = done.send(consensus::run(config, chain.clone(), chain.clone(), chain, token).await);
        });
        node.running = Some(Running { runtime, shutdown, result, status: status_rx });
    }

    /// Ends a node without giving it a chance to clean up.
    pub(super) fn kill(&mut self, index: usize) {
        let running = self.nodes[index].running.take().unwrap();
        running.runtime.shutdown_timeout(Duration::from_secs(5));
        wait_until_free(self.nodes[index].dir.path());
    }

    pub(super) fn head(&self, index: usize) -> u64 {
        self.nodes[index].chain.head_number()
    }

    /// Waits until every running node decided `height`, as long as each of them comes closer.
    pub(super) fn reach(&mut self, height: u64) {
        let mut progress: Vec<_> = self.nodes.iter().map(|_| (0, Instant::now())).collect();
        wait(&format!("height {height}"), Duration::MAX, || {
            let mut reached = true;
            for (node, (head, since)) in self.nodes.iter_mut().zip(&mut progress) {
                let Some(running) = &mut node.running else { continue };
                if let Ok(result) = running.result.try_recv() {
                    panic!("node {} stopped: {result:?}", node.index);
                }
                let now = node.chain.head_number();
                if now != *head {
                    (*head, *since) = (now, Instant::now());
                }
                reached &= now >= height;
                let status = || running.status.borrow().clone();
                let stalled = now < height && since.elapsed() > STALLED;
                assert!(!stalled, "node {} stalled at {now} on the way to {height}: {:?}", node.index, status());
            }
            reached
        });
    }

    /// Same block everywhere, and its beneficiary is the scheduled proposer of a round up to the decision's.
    pub(super) fn assert_agreement(&self, from: u64, to: u64) {
        let rules = rules(&WEIGHTS);
        for height in from..=to {
            let blocks: Vec<_> = self.nodes.iter().filter_map(|node| node.chain.block(height)).collect();
            let (first, _) = &blocks[0];
            for (block, _) in &blocks {
                assert_eq!(block.block.hash, first.block.hash, "fork at {height}");
                let id = header::id_of_coinbase(block.block.header().beneficiary).unwrap();
                let round = block.certificate.round;
                assert!((0..=round).any(|round| rules.proposer(height, round).id == id), "{height}/{round}: {id}");
                if round == 0 {
                    assert_eq!(rules.proposer(height, 0).id, id, "leader of {height}");
                }
            }
        }
    }

    /// Median and longest time between commits of a node, in (from, to].
    fn intervals(&self, index: usize, from: u64, to: u64) -> (Duration, Duration) {
        let at = |height| self.nodes[index].chain.block(height).unwrap().1;
        let mut intervals: Vec<_> = (from + 1..=to).map(|height| at(height) - at(height - 1)).collect();
        intervals.sort();
        (intervals[intervals.len() / 2], intervals[intervals.len() - 1])
    }

    pub(super) fn stop(mut self) {
        for node in &mut self.nodes {
            if let Some(running) = node.running.take() {
                running.shutdown.cancel();
                let stopped = running.runtime.block_on(running.result).unwrap();
                assert!(stopped.is_ok(), "node {}: {stopped:?}", node.index);
                running.runtime.shutdown_timeout(Duration::from_secs(5));
            }
        }
    }
}

#[test]
fn four_nodes_lose_one_and_get_it_back() {
    let mut cluster = Cluster::start();
    let rules = rules(&WEIGHTS);

    // All four: one chain, leaders by schedule, at the pace that was asked for.
    cluster.reach(24);
    cluster.assert_agreement(1, 24);
    let (median, longest) = cluster.intervals(0, 4, 24);
    let first_round = cluster.nodes[0].chain.block(1).unwrap().0.certificate.round;
    println!("4 of 4: first round {first_round}, median {median:?}, longest {longest:?}, target {BLOCK_TIME:?}");
    assert!(median < BLOCK_TIME * patience() * 6 / 5, "median interval {median:?}");
    assert!(first_round < patience(), "the first block took {first_round} rounds more");

    // One dies: its slots go to the fallback that the schedule names, the rest stays as it was.
    let victim = (25..).map(|height| rules.proposer(height, 0).id - 11).find(|index| *index != 0).unwrap() as usize;
    cluster.kill(victim);
    let killed_at = cluster.head(0);
    cluster.reach(killed_at + 16);
    cluster.assert_agreement(killed_at, killed_at + 16);
    let victim_id = victim as u32 + 11;
    let (mut failovers, mut by_first_fallback) = (0, 0);
    for height in killed_at + 2..=killed_at + 16 {
        let (block, _) = cluster.nodes[0].chain.block(height).unwrap();
        if rules.proposer(height, 0).id == victim_id {
            failovers += 1;
            let fallback = header::coinbase(rules.proposer(height, 1).id);
            by_first_fallback += u32::from(block.block.header().beneficiary == fallback);
        }
    }
    assert!(failovers > 0, "the dead node had no slot");
    assert!(by_first_fallback * patience() >= failovers, "{by_first_fallback} of {failovers} by the first fallback");
    let (_, longest) = cluster.intervals(0, killed_at + 1, killed_at + 16);
    println!("3 of 4: {failovers} failovers, longest interval {longest:?}");
    assert!(longest < Duration::from_millis(2_300) * patience(), "failover took {longest:?}");

    // It comes back: catches up by certificates, votes and leads again.
    cluster.launch(victim);
    let target = cluster.head(0) + 6;
    cluster.reach(target);
    let voted = |cluster: &Cluster, height: u64| {
        let block = cluster.nodes[0].chain.block(height);
        block.is_some_and(|(block, _)| block.certificate.signers.bit(victim))
    };
    wait("the node that came back to vote", LONG, || (target..=cluster.head(0)).any(|height| voted(&cluster, height)));
    wait("the node that came back to lead", LONG, || {
        let coinbase = header::coinbase(victim_id);
        let leads = |height| cluster.nodes[0].chain.block(height).map(|(b, _)| b.block.header().beneficiary);
        (target..=cluster.head(0)).any(|height| leads(height) == Some(coinbase))
    });
    let end = cluster.head(0);
    cluster.reach(end);
    cluster.assert_agreement(1, end);
    cluster.stop();
}

/// Kills one node after the other at arbitrary moments: whatever it was about to do, it comes back on the same chain
/// with what it signed, or the engine and the slashing-protection table would have stopped it.
#[test]
fn nodes_killed_at_any_moment_come_back() {
    let mut cluster = Cluster::start();
    cluster.reach(3);
    for (round, pause) in [5u64, 60, 110, 170, 230, 300].into_iter().enumerate() {
        let index = round % WEIGHTS.len();
        std::thread::sleep(Duration::from_millis(pause));
        cluster.kill(index);
        cluster.launch(index);
        let next = cluster.nodes.iter().map(|node| node.chain.head_number()).max().unwrap() + 3;
        cluster.reach(next);
    }
    let end = cluster.nodes.iter().map(|node| node.chain.head_number()).min().unwrap();
    cluster.assert_agreement(1, end);
    cluster.stop();
}

const VICTIM: usize = 3;

/// What the victim, which does not run, has signed.
fn signed(cluster: &Cluster) -> BTreeMap<Slot, B256> {
    let table = table(cluster.nodes[VICTIM].dir.path(), VICTIM as u8 + 1);
    table.content().1.map(|(slot, digest)| (*slot, *digest)).collect()
}

/// Makes the victim end between a precommit and a commit; returns that height, and what it has signed.
fn end_after_a_precommit(cluster: &mut Cluster) -> (u64, BTreeMap<Slot, B256>) {
    loop {
        // It cannot make its decisions durable.
        cluster.nodes[VICTIM].chain.failing_commits.store(1_000, Ordering::SeqCst);
        wait("the node to fail", LONG, || {
            let running = cluster.nodes[VICTIM].running.as_mut().unwrap();
            matches!(running.result.try_recv(), Ok(Err(ConsensusError::Execution(_))))
        });
        cluster.kill(VICTIM);
        cluster.nodes[VICTIM].chain.failing_commits.store(0, Ordering::SeqCst);
        let (height, before) = (cluster.head(VICTIM) + 1, signed(cluster));
        if before.keys().any(|slot| slot.height == height && slot.kind == SignedKind::Precommit) {
            return (height, before);
        }
        // The others' precommits were here before its own: once more.
        cluster.launch(VICTIM);
        let next = cluster.head(0) + 3;
        cluster.reach(next);
    }
}

/// A node whose table contradicts what its engine has published, as after another process used the key, ends when that
/// signature comes back with a decision; and as often as it is started again.
#[test]
fn a_signature_of_somebody_else_stops_the_node_for_good() {
    let mut cluster = Cluster::start();
    cluster.reach(4);
    let (height, before) = end_after_a_precommit(&mut cluster);
    let path = Protection::path(cluster.nodes[VICTIM].dir.path(), address_of(&key(VICTIM as u8 + 1)));
    std::fs::remove_file(&path).unwrap();
    {
        let mut table = table(cluster.nodes[VICTIM].dir.path(), VICTIM as u8 + 1);
        // The precommit comes last: what was signed last might not have left the process.
        for slot in before.keys().filter(|slot| slot.height == height) {
            table.allow(*slot, B256::repeat_byte(7)).unwrap();
        }
    }
    for _ in 0..2 {
        cluster.launch(VICTIM);
        let mut ended = None;
        wait("the node to refuse", LONG, || {
            ended = cluster.nodes[VICTIM].running.as_mut().unwrap().result.try_recv().ok();
            ended.is_some()
        });
        let error = ended.unwrap().unwrap_err();
        assert!(error.must_stay_down(), "{error}");
        assert!(
            matches!(&error, ConsensusError::Protection(refused)
                if matches!(**refused, ProtectionError::Outdated { height: at, .. } if at == height)),
            "{error}"
        );
        cluster.kill(VICTIM);
    }
    let next = cluster.head(0) + 2;
    cluster.reach(next);
    cluster.stop();
}

/// A node that precommitted and then lost the log with its locks signs nothing more at that height, follows the others
/// through it, and votes again above.
#[test]
fn a_node_without_its_log_is_silent_at_the_height_it_signed_at() {
    let mut cluster = Cluster::start();
    cluster.reach(4);
    let (height, before) = end_after_a_precommit(&mut cluster);
    std::fs::remove_file(cluster.nodes[VICTIM].dir.path().join("wal/consensus.wal")).unwrap();

    cluster.launch(VICTIM);
    let voted = |cluster: &Cluster| {
        let by_victim = |height| {
            cluster.nodes[0].chain.block(height).is_some_and(|(block, _)| block.certificate.signers.bit(VICTIM))
        };
        (height + 1..=cluster.head(0)).any(by_victim)
    };
    wait("the node to vote above", LONG, || cluster.head(VICTIM) > height && voted(&cluster));
    let end = cluster.head(0) + 1;
    cluster.reach(end);
    cluster.assert_agreement(1, end);
    cluster.kill(VICTIM);
    let after = signed(&cluster);
    let at = |table: &BTreeMap<Slot, B256>| -> Vec<_> {
        table.iter().filter(|(slot, _)| slot.height == height).map(|(slot, digest)| (*slot, *digest)).collect()
    };
    assert_eq!(at(&after), at(&before), "nothing was signed there after the log was lost");
    assert!(after.keys().any(|slot| slot.height > height));
    cluster.stop();
}

/// All go down at one height and come back one after the other, each with what it had signed there.
#[test]
fn the_chain_goes_on_after_all_were_down() {
    let mut cluster = Cluster::start();
    for pause in [40, 130, 220] {
        let next = cluster.head(0) + 3;
        cluster.reach(next);
        std::thread::sleep(Duration::from_millis(pause));
        for node in &mut cluster.nodes {
            // All tokens of life at once; the waiting comes after.
            let running = node.running.take().unwrap();
            running.runtime.shutdown_background();
        }
        for index in 0..WEIGHTS.len() {
            wait_until_free(cluster.nodes[index].dir.path());
            cluster.launch(index);
            // They wait for each other; in the end too long, and give up on round 0 before there is a quorum.
            std::thread::sleep(Duration::from_millis(if pause == 220 { 1_700 } else { 400 }));
        }
    }
    let end = cluster.nodes.iter().map(|node| node.chain.head_number()).max().unwrap() + 3;
    cluster.reach(end);
    cluster.assert_agreement(1, end);
    cluster.stop();
}

/// Puts records into the table of a killed node: what it, or a copy of it, signed for heights yet to come.
fn sign_ahead(node: &Node, records: &[(u64, SignedKind)]) {
    let mut table = table(node.dir.path(), node.index as u8 + 1);
    for (height, kind) in records {
        let slot = Slot { fork: 0, height: *height, round: 0, kind: *kind };
        table.allow(slot, B256::repeat_byte(1)).unwrap();
    }
}

/// A key whose table knows signatures of heights that the engine's log does not, as when a chain was restored from a
/// backup, says nothing there, whatever it would have said; the others go on, and above it votes again.
#[test]
fn a_node_is_silent_where_its_table_is_ahead_of_its_log() {
    let mut cluster = Cluster::start();
    cluster.reach(2);
    cluster.kill(1);
    let heights = cluster.head(0) + 8..cluster.head(0) + 14;
    let kinds = [SignedKind::Prevote, SignedKind::Precommit];
    let records: Vec<_> = heights.clone().flat_map(|height| kinds.map(|kind| (height, kind))).collect();
    sign_ahead(&cluster.nodes[1], &records);
    cluster.launch(1);
    let signed =
        |node: &Node, height: u64| node.chain.block(height).is_some_and(|(block, _)| block.certificate.signers.bit(1));
    wait("the node to vote above", LONG, || {
        let above = heights.end..=cluster.head(0);
        above.clone().any(|height| cluster.nodes.iter().any(|node| signed(node, height)))
    });
    let end = cluster.head(0);
    cluster.reach(end);
    cluster.assert_agreement(1, end);
    assert!(!heights.clone().any(|height| cluster.nodes.iter().any(|node| signed(node, height))), "signed twice");
    cluster.kill(1);
    let table = table(cluster.nodes[1].dir.path(), 2);
    let kept = table.content().1.filter(|(slot, _)| heights.contains(&slot.height));
    let kept: Vec<_> = kept.map(|(slot, digest)| (slot.height, slot.kind, *digest)).collect();
    let expected: Vec<_> = records.iter().map(|(height, kind)| (*height, *kind, B256::repeat_byte(1))).collect();
    assert_eq!(kept, expected);
    cluster.stop();
}

/// What was signed last before a crash and never published silences the node in that slot, and nowhere else.
#[test]
fn an_unpublished_signature_costs_one_vote() {
    let mut cluster = Cluster::start();
    cluster.reach(2);
    cluster.kill(1);
    let height = cluster.head(0) + 12;
    sign_ahead(&cluster.nodes[1], &[(height, SignedKind::Precommit)]);
    cluster.launch(1);
    cluster.reach(height + 6);
    cluster.assert_agreement(1, height + 6);
    // In its own certificates at least: those of the others need not wait for the last vote.
    let signed = |node: &Node, height| node.chain.block(height).unwrap().0.certificate.signers.bit(1);
    let voted = |height| cluster.nodes.iter().any(|node| signed(node, height));
    assert!(!voted(height), "signed twice");
    assert!((height + 1..=height + 6).any(voted), "silent for ever");
    cluster.stop();
}

/// A node without a key comes late: it takes every block with its certificate, then follows as blocks are decided.
#[test]
fn a_follower_catches_up_and_keeps_up() {
    let mut cluster = Cluster::start_with(false);
    cluster.reach(12);
    let follower = cluster.nodes.len();
    cluster.nodes.push(Node::new(follower));
    cluster.launch(follower);
    let target = cluster.head(0) + 8;
    cluster.reach(target);
    cluster.assert_agreement(1, target);
    let signers = |height| cluster.nodes[0].chain.block(height).unwrap().0.certificate.signers;
    assert!((1..=target).all(|height| !signers(height).bit(follower)));
    cluster.stop();
}

/// L1 silent for one node: it neither votes against anything nor stops, and follows as soon as L1 speaks again.
#[test]
fn a_node_without_l1_catches_up() {
    let mut cluster = Cluster::start();
    cluster.reach(3);
    cluster.nodes[3].chain.l1_silent.store(true, Ordering::SeqCst);
    let silent_from = cluster.head(3);
    wait("the others to go on", LONG, || (0..3).all(|n| cluster.head(n) >= silent_from + 8));
    assert!(cluster.head(3) <= silent_from + 1, "decided without knowing the origin");
    // A storage hiccup on the way is retried.
    cluster.nodes[3].chain.failing_commits.store(2, Ordering::SeqCst);
    cluster.nodes[3].chain.l1_silent.store(false, Ordering::SeqCst);
    let target = cluster.head(0) + 2;
    cluster.reach(target);
    cluster.assert_agreement(1, target);
    cluster.stop();
}

/// Random kills of one or two nodes at random moments, for `ROTA_SOAK_SECONDS` (10 by default, 600 in `make soak`); the
/// seed is printed and can be given by `ROTA_SOAK_SEED`.
#[test]
fn soak_random_kills() {
    let env = |name, default| std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default);
    let (seconds, seed) = (env("ROTA_SOAK_SECONDS", 10), env("ROTA_SOAK_SEED", rand::random()));
    println!("ROTA_SOAK_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start();
    let (start, mut kills) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_millis(random.random_range(0..900)));
        let first = random.random_range(0..WEIGHTS.len());
        let second = random.random_bool(0.3).then(|| (first + random.random_range(1..WEIGHTS.len())) % WEIGHTS.len());
        let victims: Vec<_> = [Some(first), second].into_iter().flatten().collect();
        victims.iter().for_each(|index| cluster.kill(*index));
        std::thread::sleep(Duration::from_millis(random.random_range(0..1_500)));
        victims.iter().for_each(|index| cluster.launch(*index));
        kills += victims.len();
        let next = cluster.nodes.iter().map(|node| node.chain.head_number()).max().unwrap() + 2;
        cluster.reach(next);
    }
    let end = cluster.nodes.iter().map(|node| node.chain.head_number()).min().unwrap();
    cluster.assert_agreement(1, end);
    println!("{kills} kills, {end} blocks");
    cluster.stop();
}
