//! Operators whose nodes lie: the real node behind the consensus engine's byzantine proxy. One proposes two blocks at
//! every slot of its own, later another votes for two. Nodes of others have them convicted on L1 with nobody's help,
//! their nodes say why they have lost their place, no later set has them, and blocks never stop.

use std::time::{Duration, Instant};

use alloy::providers::Provider as _;
use eyre::{Result, ensure, eyre};
use rota::devnet::process::Process;
use rota_bindings::Slasher;
use rota_e2e::{ONE_LEADER_MISSING, TestNet};
use tokio::process::Command;

/// `FaultKind` of the slasher.
const PREVOTE: u8 = 1;
const PRECOMMIT: u8 = 2;
const PROPOSAL: u8 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_lie_are_convicted_by_the_others() -> Result<()> {
    // Five: one can be lost, and after it is out of the set, another.
    let net = TestNet::start_with(5, &[1_000]).await?;
    net.run(async |net| {
        net.all_at(3, Duration::from_secs(60)).await?;
        let gaps = net.watch_for_gaps().await?;

        let first = lie(net, 4, "equivocate_proposals").await?;
        let fault = conviction(net, first).await?;
        ensure!(fault == PROPOSAL, "operator {first} proposed twice, but was convicted of {fault}");
        says_why(net, first, "two proposals").await?;
        net.serves_without(&[first]).await?;

        let second = lie(net, 3, "equivocate_votes").await?;
        let fault = conviction(net, second).await?;
        ensure!([PREVOTE, PRECOMMIT].contains(&fault), "operator {second} voted twice, but was convicted of {fault}");
        says_why(net, second, if fault == PREVOTE { "two prevotes" } else { "two precommits" }).await?;
        net.serves_without(&[first, second]).await?;

        let longest = gaps.check(ONE_LEADER_MISSING).await?;
        net.say(&format!("two convictions and two restarts on the way: never more than {longest:?} without a block"));
        Ok(())
    })
    .await
}

/// Puts a node that commits `fault` from the next heights on in the place of sequencer `index`; returns its operator.
async fn lie(net: &mut TestNet, index: usize, fault: &str) -> Result<u32> {
    let from = net.l2(0).await?.get_block_number().await? + 4;
    let node = net.node(index)?;
    let (id, home) = (node.id, node.home.clone());
    let slot = net.devnet.nodes.get_mut(index).ok_or_else(|| eyre!("node {index} does not run"))?;
    slot.stop(Duration::from_secs(5)).await;
    let behaviour = serde_json::json!({ fault: { "mode": "height_range", "from": from, "to": u64::MAX } });
    let mut command = Command::new(env!("CARGO_BIN_EXE_byzantine-sequencer"));
    command.arg("--home").arg(home).args(["--behaviour", &behaviour.to_string()]);
    let log = net.devnet.manifest.logs.join(format!("sequencer-{id}.log"));
    *slot = Process::start(format!("byzantine sequencer {id}"), command, log)?;
    net.say(&format!("the node of operator {id} lies from height {from} on: {fault}"));
    Ok(id)
}

/// Waits until `id` is convicted, and returns of what. It must not be by its own report.
async fn conviction(net: &TestNet, id: u32) -> Result<u8> {
    let network = &net.devnet.network;
    let slasher = Slasher::new(network.deployment.contracts.slasher, network.l1.clone());
    let asked = Instant::now();
    net.wait(&format!("operator {id} to be convicted"), Duration::from_secs(90), async || {
        Ok(slasher.isConvicted(id).call().await?.then_some(()))
    })
    .await?;
    let conviction = slasher.convictionOf(id).call().await?;
    let events = slasher.Convicted_filter().topic1(alloy::primitives::U256::from(id)).from_block(0).query().await?;
    let (event, log) = events.first().ok_or_else(|| eyre!("there is no event of the conviction of {id}"))?;
    let hash = log.transaction_hash.ok_or_else(|| eyre!("a log without a transaction"))?;
    let sent = network.l1.get_transaction_by_hash(hash).await?.ok_or_else(|| eyre!("L1 has no {hash}"))?;
    let own = net.devnet.manifest.l2.nodes.iter().find(|node| node.id == id).map(|node| node.signer);
    ensure!(Some(event.reporter) != own && !event.reporter.is_zero(), "operator {id} reported itself");
    net.say(&format!(
        "operator {id} is convicted after {:.1} s by a transaction of {}: it lost {} wei at {:.2} %",
        asked.elapsed().as_secs_f64(),
        sent.inner.signer(),
        conviction.taken,
        conviction.rate as f64 / 1e16
    ));
    Ok(conviction.kind)
}

/// The node of `id` tells in its log and over RPC that it has lost its place, and goes on as a follower.
async fn says_why(net: &TestNet, id: u32, fault: &str) -> Result<()> {
    let node =
        net.devnet.manifest.l2.nodes.iter().find(|node| node.id == id).ok_or_else(|| eyre!("no node of {id}"))?;
    let l2 = rota_e2e::provider(&node.rpc_url, None).await?;
    net.wait(&format!("the node of operator {id} to know"), Duration::from_secs(20), async || {
        let status: serde_json::Value = l2.raw_request("rota_status".into(), ()).await?;
        Ok((status["operatorStatus"] == "tombstoned").then_some(()))
    })
    .await?;
    let log = net.devnet.manifest.logs.join(format!("sequencer-{id}.log"));
    // It asks L1 what for before it says so.
    let line = net
        .wait(&format!("the node of operator {id} to say why it stopped voting"), Duration::from_secs(20), async || {
            let log = std::fs::read_to_string(&log)?;
            Ok(log.lines().find(|line| line.contains("tombstoned, convicted of signing two truths")).map(String::from))
        })
        .await?;
    ensure!(line.contains(fault), "it says: {line}");
    let head = l2.get_block_number().await?;
    net.wait("its node to follow", Duration::from_secs(20), async || {
        Ok((l2.get_block_number().await? > head + 2).then_some(()))
    })
    .await
}
