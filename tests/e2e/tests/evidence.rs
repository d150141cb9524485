//! An operator whose key runs twice: its node is honest, and somewhere else the same key votes again, two heights late,
//! over the real gossip. Every node finds it, one without a key too, one of them has the operator convicted on L1, and the
//! chain goes on without it.

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{B256, U256},
    providers::Provider as _,
};
use eyre::{Context as _, Result, ensure, eyre};
use rota::{
    connection::dev_key,
    devnet::{process, toolchain},
};
use rota_bindings::{SlashEscrow, Slasher};
use rota_e2e::{TestNet, equivocator::Equivocator, provider};
use rota_protocol::{
    config::ChainConfig,
    vote::{Vote, VoteKind},
};

/// A node without a key, of this test alone.
struct Follower {
    process: Child,
    metrics: String,
    _home: tempfile::TempDir,
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Nothing is lost by it: the folder goes, too.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_votes_twice_is_found_by_everybody_and_convicted() -> Result<()> {
    let net = TestNet::start(&[1_000]).await?;
    net.run(async |net| {
        net.all_at(3, Duration::from_secs(60)).await?;
        let follower = follow(net)?;
        net.say("a node without a key follows");
        let head = net.l2(0).await?.get_block_number().await?;
        net.wait("the follower to catch up", Duration::from_secs(60), async || {
            let height = figure(&follower.metrics, "rota_height").await.unwrap_or_default();
            Ok((height >= head as f64).then_some(()))
        })
        .await?;
        let culprit = net.devnet.manifest.l2.nodes.get(1).map(|node| node.id).ok_or_else(|| eyre!("no second node"))?;
        let before = pools(net).await?;
        a_late_vote_is_found(net, &follower).await?;
        conviction(net, culprit, &before).await?;
        let head = net.l2(0).await?.get_block_number().await?;
        net.all_at(head + 8, Duration::from_secs(60)).await
    })
    .await
}

/// Stake of every operator, token wei.
async fn pools(net: &TestNet) -> Result<BTreeMap<u32, U256>> {
    let vault = net.devnet.network.vault();
    let mut pools = BTreeMap::new();
    for node in &net.devnet.manifest.l2.nodes {
        pools.insert(node.id, vault.pool(node.id).call().await?.tokens);
    }
    Ok(pools)
}

/// Nobody but the nodes does anything: the operator is convicted, its stake falls by the rate of protocol section 10, the
/// reporter is paid, and no later set has it.
async fn conviction(net: &TestNet, culprit: u32, before: &BTreeMap<u32, U256>) -> Result<()> {
    let network = &net.devnet.network;
    let contracts = &network.deployment.contracts;
    let l1 = provider(&net.devnet.manifest.l1.rpc_url, Some(dev_key(9)?)).await?;
    let slasher = Slasher::new(contracts.slasher, l1.clone());
    net.wait("the conviction on L1", Duration::from_secs(60), async || {
        Ok(slasher.isConvicted(culprit).call().await?.then_some(()))
    })
    .await?;

    let one = U256::from(10).pow(U256::from(18));
    let conviction = slasher.convictionOf(culprit).call().await?;
    let set = rota::epoch::frozen_set(network, conviction.sigma).await?;
    let weight = set.members().iter().find(|member| member.id == culprit).map(|member| member.weight);
    let weight = weight.ok_or_else(|| eyre!("operator {culprit} was no member of epoch {}", conviction.sigma))?;
    // Everything rounds against the culprit: 9·share², at least 5 %, at most all.
    let share = (U256::from(weight) * one).div_ceil(U256::from(set.total_weight()));
    let rate = (U256::from(9) * share * share).div_ceil(one).clamp(one / U256::from(20), one);
    ensure!(U256::from(conviction.rate) == rate, "the rate is {}, not {rate}", conviction.rate);
    let held = before[&culprit];
    let taken = (held * rate).div_ceil(one);
    ensure!(U256::from(conviction.taken) == taken, "{} was taken, not {taken}", conviction.taken);
    for (id, after) in pools(net).await? {
        let expected = if id == culprit { held - taken } else { before[&id] };
        ensure!(after == expected, "operator {id} has {after} at stake, not {expected}");
    }
    net.say(&format!("operator {culprit} is convicted and lost {taken} of {held} wei"));

    let events = slasher.Convicted_filter().from_block(0).query().await?;
    ensure!(events.len() == 1, "{} convictions", events.len());
    let reporter = events.first().map(|(event, _)| event.reporter).unwrap_or_default();
    let held = network.token().balanceOf(reporter).call().await?;
    let escrow = SlashEscrow::new(contracts.slash_escrow, l1);
    let receipt = escrow.withdraw(reporter).send().await?.get_receipt().await?;
    ensure!(receipt.status(), "the reporter {reporter} was not paid");
    let paid = network.token().balanceOf(reporter).call().await? - held;
    ensure!(paid == taken / U256::from(20), "the reporter got {paid} wei of {taken}");

    let now = network.clock().epoch_at(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
    let epoch = net
        .wait("the next frozen set", Duration::from_secs(60), async || {
            let last = network.set().lastFrozen().call().await?;
            Ok((last > now).then_some(last))
        })
        .await?;
    // The one that may have been frozen before the conviction is not yet the proof.
    let later = net
        .wait("a set frozen after the conviction", Duration::from_secs(60), async || {
            let last = network.set().lastFrozen().call().await?;
            Ok((last > epoch).then_some(last))
        })
        .await?;
    let set = rota::epoch::frozen_set(network, later).await?;
    ensure!(
        !set.members().iter().any(|member| member.id == culprit),
        "operator {culprit} is in the set of epoch {later}"
    );
    ensure!(set.members().len() == before.len() - 1, "{} members in epoch {later}", set.members().len());
    net.say(&format!("the set of epoch {later} is without operator {culprit}"));
    Ok(())
}

/// Starts `rota-sequencer follow` beside the devnet.
fn follow(net: &TestNet) -> Result<Follower> {
    let home = tempfile::tempdir()?;
    let (consensus, metrics) = (process::free_port_pair()?, process::free_port()?);
    let manifest = &net.devnet.manifest;
    let mut init = Command::new(toolchain::sequencer()?);
    init.args(["init", "--l1-rpc", &manifest.l1.rpc_url, "--moniker", "follower", "--chain"])
        .arg(&manifest.chain)
        .args(["--consensus-listen", &format!("/ip4/127.0.0.1/tcp/{consensus}")])
        .args(["--gossip-listen", &format!("/ip4/127.0.0.1/tcp/{}", consensus + 1)])
        .args(["--rpc-listen", &format!("127.0.0.1:{}", process::free_port()?)])
        .args(["--metrics-listen", &format!("127.0.0.1:{metrics}"), "--home"])
        .arg(home.path());
    for node in &manifest.l2.nodes {
        init.args(["--consensus-peer", &node.peer, "--gossip-peer", &node.gossip_peer]);
    }
    let made = init.output()?;
    ensure!(made.status.success(), "init: {}", String::from_utf8_lossy(&made.stderr));
    let log = std::fs::File::create(manifest.logs.join("follower.log"))?;
    let process = Command::new(toolchain::sequencer()?)
        .args(["follow", "--home"])
        .arg(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .wrap_err("cannot start the follower")?;
    Ok(Follower { process, metrics: format!("http://127.0.0.1:{metrics}"), _home: home })
}

/// The value of a metric without labels.
async fn figure(url: &str, name: &str) -> Result<f64> {
    let text = reqwest::get(format!("{url}/metrics")).await?.error_for_status()?.text().await?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.ok_or_else(|| eyre!("{url} has no {name}"))?.trim().parse()?)
}

async fn a_late_vote_is_found(net: &TestNet, follower: &Follower) -> Result<()> {
    let manifest = &net.devnet.manifest;
    let culprit = manifest.l2.nodes.get(1).ok_or_else(|| eyre!("there is no second node"))?;
    let watchers: Vec<&str> =
        manifest.l2.nodes.iter().map(|node| node.metrics_url.as_str()).chain([follower.metrics.as_str()]).collect();
    for watcher in &watchers {
        ensure!(figure(watcher, "rota_evidence_found_total").await? == 0.0, "{watcher} accuses somebody of nothing");
    }

    let chain: ChainConfig = serde_json::from_slice(&std::fs::read(&manifest.chain)?)?;
    let key = dev_key(culprit.signer_index)?.into_credential();
    let listen = format!("/ip4/127.0.0.1/tcp/{}", process::free_port()?).parse()?;
    let peers = manifest.l2.nodes.iter().map(|node| Ok(node.peer.parse()?)).collect::<Result<_>>()?;
    let equivocator = Equivocator::join(chain.vote_domain(), key, listen, peers).await?;

    let l2 = net.l2(0).await?;
    let height = l2.get_block_number().await? - 2;
    let certificate: serde_json::Value = l2.raw_request("rota_certificate".into(), (height,)).await?;
    let of = |name: &str| certificate[name].as_u64().ok_or_else(|| eyre!("no {name} in {certificate}"));
    let vote = |byte| -> Result<Vote> {
        Ok(Vote {
            kind: VoteKind::Prevote,
            fork: of("fork")? as u32,
            epoch: of("epoch")? as u32,
            height,
            round: of("round")? as u32,
            block_hash: B256::repeat_byte(byte),
        })
    };
    net.say(&format!("operator {} votes again at height {height}", culprit.id));
    for watcher in watchers {
        // What nobody hears while connections are made is lost, so it is said again.
        net.wait(&format!("{watcher} to find it"), Duration::from_secs(60), async || {
            equivocator.vote(vote(1)?)?;
            equivocator.vote(vote(2)?)?;
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok((figure(watcher, "rota_evidence_found_total").await? >= 1.0).then_some(()))
        })
        .await?;
        ensure!(figure(watcher, "rota_evidence_found_total").await? == 1.0, "{watcher} counts one fault twice");
    }
    equivocator.leave();
    Ok(())
}
