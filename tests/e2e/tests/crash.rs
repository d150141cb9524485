//! Nodes are killed right after each kind of durable write and come back, over and over: none ever signs two truths, and
//! nothing that was decided is lost. `ROTA_CRASH_RUNS` kills (10; 50 in `make soak`), seed by `ROTA_CRASH_SEED`.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use alloy::providers::Provider as _;
use eyre::{Result, ensure, eyre};
use nix::sys::{
    inotify::{AddWatchFlags, InitFlags, Inotify},
    signal::Signal,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use rota::devnet::process::{Process, signal};
use rota_e2e::{
    TestNet,
    follower::{Follower, metric},
};

/// What a node writes before it goes on, and where below its data folder.
const DURABLE: [(&str, &str); 7] = [
    ("after a write to the engine's log", "consensus/wal"),
    ("after a write to the slashing-protection table", "consensus"),
    ("after a write to the undecided blocks", "consensus/proposals"),
    ("after a write to the decided blocks", "chain/blocks"),
    ("after a write to the state", "chain/state"),
    ("after a write to the record of signed messages", "evidence"),
    ("after a write to the view of L1", "l1"),
];

/// The state is written every few dozen blocks only. A node without a write in this time is killed at any moment.
const NO_WRITE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_killed_after_any_write_sign_no_two_truths() -> Result<()> {
    let env = |name, default| std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default);
    let soak = std::env::var_os("ROTA_SOAK").is_some();
    let (runs, seed) = (env("ROTA_CRASH_RUNS", if soak { 50 } else { 10 }), env("ROTA_CRASH_SEED", rand::random()));
    println!("ROTA_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let net = TestNet::start(&[1_000]).await?;
    net.run(async |net| {
        net.all_at(3, Duration::from_secs(60)).await?;
        // Never killed and without a key: it has heard every message that reached anybody.
        let witness = Follower::start(net)?;
        net.wait("the follower to catch up", Duration::from_secs(60), async || {
            Ok((metric(&witness.metrics, "rota_height").await.unwrap_or_default() >= 3.0).then_some(()))
        })
        .await?;
        let mut kills = BTreeMap::new();
        for run in 0..runs {
            let after = crash(net, DURABLE[run as usize % DURABLE.len()], &mut random).await?;
            *kills.entry(after).or_insert(0_u32) += 1;
        }
        for (after, count) in kills {
            net.say(&format!("{count} × killed {after}"));
        }
        net.same_everywhere().await?;
        innocent(net, &witness).await
    })
    .await
}

/// Kills one node after a write to `place`, at times others with it, starts them again, and waits until the chain has gone
/// on everywhere. Returns what was written last.
async fn crash(net: &mut TestNet, (name, place): (&'static str, &str), random: &mut StdRng) -> Result<&'static str> {
    let nodes = net.devnet.nodes.len();
    let first = random.random_range(0..nodes);
    let mut victims = vec![first];
    match random.random_range(0..10) {
        // One more than consensus can miss, and everybody.
        0..3 => victims.push((first + random.random_range(1..nodes)) % nodes),
        3 => victims.extend((0..nodes).filter(|index| *index != first)),
        _ => {}
    }
    all_run(net)?;
    let folder = net.node(first)?.home.join("data").join(place);
    let writes = random.random_range(1..=3);
    let pause = [0, 0, 300, 3_000]
        .choose(random)
        .copied()
        .map_or(Duration::ZERO, |most| Duration::from_micros(if most == 0 { 0 } else { random.random_range(0..most) }));
    let pids: Vec<u32> =
        victims.iter().filter_map(|index| net.devnet.nodes.get(*index)).map(|node| node.pid()).collect();
    // On a thread of its own: the kill must not wait for a turn on the runtime.
    let seen = tokio::task::spawn_blocking(move || -> Result<bool> {
        let seen = wait_for_writes(&folder, writes)?;
        std::thread::sleep(pause);
        pids.into_iter().for_each(|pid| signal(pid, Signal::SIGKILL));
        Ok(seen)
    })
    .await??;
    for index in &victims {
        let node = net.devnet.nodes.get_mut(*index).ok_or_else(|| eyre!("node {index} does not run"))?;
        node.crash().await?;
    }
    tokio::time::sleep(Duration::from_millis(random.random_range(0..1_500))).await;
    for index in &victims {
        net.devnet.restart_node(*index)?;
    }
    let mut highest = 0;
    for index in 0..nodes {
        let l2 = net.l2(index).await?;
        let head = net
            .wait(&format!("node {} to answer", index + 1), Duration::from_secs(30), async || {
                Ok(l2.get_block_number().await.ok())
            })
            .await?;
        highest = highest.max(head);
    }
    net.all_at(highest + 2, Duration::from_secs(45)).await?;
    Ok(if seen { name } else { "at any moment" })
}

/// Returns once `writes` writes to files in `folder` were seen; false if there were none.
fn wait_for_writes(folder: &Path, writes: usize) -> Result<bool> {
    let watch = Inotify::init(InitFlags::IN_NONBLOCK)?;
    watch.add_watch(folder, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)?;
    let (start, mut seen) = (Instant::now(), 0);
    while seen < writes {
        match watch.read_events() {
            Ok(events) => seen += events.len(),
            Err(nix::Error::EAGAIN) if start.elapsed() > NO_WRITE => break,
            // A spin with rests far below the time of a write to disk.
            Err(nix::Error::EAGAIN) => std::thread::sleep(Duration::from_micros(20)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(seen > 0)
}

/// No node has ended by itself since it was started last: one whose signer was stopped from contradicting itself ends with
/// exit code 3, which the error shows.
fn all_run(net: &mut TestNet) -> Result<()> {
    net.devnet.nodes.iter_mut().try_for_each(Process::check_running)
}

/// No contradiction in anybody's record of signed messages, and no signer had to be stopped from making one.
async fn innocent(net: &mut TestNet, witness: &Follower) -> Result<()> {
    let heard = metric(&witness.metrics, "rota_evidence_messages_total").await?;
    let head = net.l2(0).await?.get_block_number().await?;
    // A quorum of two kinds of votes and a proposal for each block.
    ensure!(heard >= 7.0 * head as f64 / 2.0, "the follower has heard {heard} messages only in {head} heights");
    ensure!(metric(&witness.metrics, "rota_evidence_dropped_total").await? == 0.0, "the follower missed messages");
    all_run(net)?;
    let nodes = &net.devnet.manifest.l2.nodes;
    for metrics in nodes.iter().map(|node| &node.metrics_url).chain([&witness.metrics]) {
        let found = metric(metrics, "rota_evidence_found_total").await?;
        ensure!(found == 0.0, "{metrics} has found {found} contradictions");
    }
    for node in nodes {
        // A refusal ends the process, too; one under way is counted first.
        let refused = metric(&node.metrics_url, "rota_slashing_protection_refusals_total").await?;
        ensure!(refused == 0.0, "the signer of sequencer {} was stopped {refused} times", node.id);
        // What a task leaves behind that nobody waited for is in the log only, in the words of Rust's own panic hook.
        let log = std::fs::read_to_string(net.devnet.manifest.logs.join(format!("sequencer-{}.log", node.id)))?;
        let line = log.lines().find(|line| line.contains("panicked at"));
        ensure!(line.is_none(), "sequencer {}: {}", node.id, line.unwrap_or_default());
    }
    net.say(&format!("{heard} signed messages, none of which contradicts another"));
    Ok(())
}
