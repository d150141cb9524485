//! An operator whose key runs twice: its node is honest, and somewhere else the same key votes again, heights late, over
//! the real gossip. Every node finds it, one without a key too, one of them has the operator convicted on L1, whoever
//! backed the vote pays, also if it undelegated since, who had left before does not, and the chain goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{B256, U256},
    providers::Provider as _,
};
use eyre::{Result, ensure, eyre};
use rota::{
    connection::{WriteArgs, dev_key},
    devnet::process,
    stake::delegate,
    submit::Submitter,
};
use rota_bindings::{SlashEscrow, Slasher, StakeVault};
use rota_e2e::{
    TestNet,
    equivocator::Equivocator,
    follower::{Follower, metric},
    provider,
};
use rota_protocol::{
    config::ChainConfig,
    vote::{Vote, VoteKind},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_votes_twice_is_found_by_everybody_and_convicted() -> Result<()> {
    let net = TestNet::start(&[1_000]).await?;
    net.run(async |net| {
        net.all_at(3, Duration::from_secs(60)).await?;
        let follower = Follower::start(net)?;
        net.say("a node without a key follows");
        let head = net.l2(0).await?.get_block_number().await?;
        net.wait("the follower to catch up", Duration::from_secs(60), async || {
            let height = metric(&follower.metrics, "rota_height").await.unwrap_or_default();
            Ok((height >= head as f64).then_some(()))
        })
        .await?;
        let culprit = net.devnet.manifest.l2.nodes.get(1).map(|node| node.id).ok_or_else(|| eyre!("no second node"))?;
        let left = delegators(net, culprit).await?;
        // The fault: what comes after this height is decided came after it.
        let height = net.l2(0).await?.get_block_number().await? - 2;
        let leaving = undelegate_all(net, LEAVES_LATE, culprit).await?;
        let stakes = Stakes { before: pools(net).await?, left, leaving };
        a_late_vote_is_found(net, &follower, height).await?;
        conviction(net, culprit, &stakes).await?;
        let head = net.l2(0).await?.get_block_number().await?;
        net.all_at(head + 8, Duration::from_secs(60)).await
    })
    .await
}

/// Accounts that delegate to the culprit, whole tokens each: one stays, one leaves before the fault, one after it. Below a
/// third of all stake with them, so that not everything is lost.
const STAYS: u32 = 5;
const LEAVES_EARLY: u32 = 6;
const LEAVES_LATE: u32 = 7;
const DELEGATED: [(u32, u64); 3] = [(STAYS, 100), (LEAVES_EARLY, 70), (LEAVES_LATE, 130)];

/// What backs whom before the conviction.
struct Stakes {
    before: BTreeMap<u32, U256>,
    /// Cohort of the delegator that left before the fault, and what is in it, token wei.
    left: (u32, U256),
    /// The same of the one that left after it.
    leaving: (u32, U256),
}

fn whole(tokens: u64) -> U256 {
    U256::from(tokens) * U256::from(10).pow(U256::from(18))
}

/// Epoch of the set that decided the last block.
async fn serving(net: &TestNet) -> Result<u32> {
    let status: serde_json::Value = net.l2(0).await?.raw_request("rota_status".into(), ()).await?;
    Ok(status["head"]["epoch"].as_u64().ok_or_else(|| eyre!("no epoch in {status}"))? as u32)
}

async fn serving_from(net: &TestNet, epoch: u32) -> Result<()> {
    net.wait(&format!("the set of epoch {epoch} to serve"), Duration::from_secs(90), async || {
        Ok((serving(net).await? >= epoch).then_some(()))
    })
    .await
}

/// Three delegate to `id`; when their stake has served, one leaves, and the set it still backs ends. Returns its cohort.
async fn delegators(net: &TestNet, id: u32) -> Result<(u32, U256)> {
    let network = &net.devnet.network;
    for (user, tokens) in DELEGATED {
        let by = Submitter::new(network, &WriteArgs::dev_account(user)).await?.silent();
        delegate(network, &by, id, whole(tokens)).await?;
    }
    let epoch = network.clock().epoch_at(network.l1_time().await?);
    serving_from(net, epoch + 2).await?;
    let (cohort, tokens) = undelegate_all(net, LEAVES_EARLY, id).await?;
    serving_from(net, cohort + 2).await?;
    // The vote will be about a height that this set served.
    net.all_at(net.l2(0).await?.get_block_number().await? + 3, Duration::from_secs(20)).await?;
    Ok((cohort, tokens))
}

/// Undelegates everything of `user`; returns the cohort and what is in it.
async fn undelegate_all(net: &TestNet, user: u32, id: u32) -> Result<(u32, U256)> {
    let network = &net.devnet.network;
    let by = Submitter::new(network, &WriteArgs::dev_account(user)).await?.silent();
    let vault = StakeVault::new(network.deployment.contracts.stake_vault, by.provider.clone());
    let units = vault.units(id, by.from).call().await?;
    let receipt = by.submit("undelegate", vault.undelegate(id, units)).await?.ok_or_else(|| eyre!("not sent"))?;
    let event = receipt.decoded_log::<StakeVault::Undelegated>().ok_or_else(|| eyre!("no Undelegated event"))?;
    net.say(&format!("account {user} undelegated {} wei in epoch {}", event.amount, event.cohortEpoch));
    Ok((event.cohortEpoch, event.amount))
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

/// Nobody but the nodes does anything: the operator is convicted, the stake of all who backed it falls by the rate of
/// protocol section 10, the reporter is paid, and no later set has it.
async fn conviction(net: &TestNet, culprit: u32, stakes: &Stakes) -> Result<()> {
    let before = &stakes.before;
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
    let set = rota::epoch::frozen_set(network, conviction.firstSigma).await?;
    let weight = set.members().iter().find(|member| member.id == culprit).map(|member| member.weight);
    let weight = weight.ok_or_else(|| eyre!("operator {culprit} was no member of epoch {}", conviction.firstSigma))?;
    // 9·share², at least 5 %, at most all, of a share in steps of 1e-9. Everything rounds against the culprit.
    let share = (U256::from(weight) * U256::from(1_000_000_000)).div_ceil(U256::from(set.total_weight()));
    let rate = (U256::from(9) * share * share).clamp(one / U256::from(20), one);
    ensure!(U256::from(conviction.rate) == rate, "the rate is {}, not {rate}", conviction.rate);
    ensure!(
        conviction.firstSigma >= stakes.left.0 + 2,
        "σ is {}: too early for who left in {}",
        conviction.firstSigma,
        stakes.left.0
    );
    let loss = |held: U256| (held * rate).div_ceil(one);
    let (held, leaving) = (before[&culprit], stakes.leaving.1);
    let taken = loss(held) + loss(leaving);
    ensure!(U256::from(conviction.taken) == taken, "{} was taken, not {taken}", conviction.taken);
    for (id, after) in pools(net).await? {
        let expected = if id == culprit { held - loss(held) } else { before[&id] };
        ensure!(after == expected, "operator {id} has {after} at stake, not {expected}");
    }
    let vault = network.vault();
    let thaw = async |cohort: u32| -> Result<U256> { Ok(vault.thawOf(culprit, cohort).call().await?.tokens) };
    let (late, early) = (thaw(stakes.leaving.0).await?, thaw(stakes.left.0).await?);
    ensure!(late == leaving - loss(leaving), "who left after the fault has {late} of {leaving} wei left");
    ensure!(early == stakes.left.1, "who left before the fault has {early} of {} wei left", stakes.left.1);
    let stays = vault.positionOf(culprit, dev_key(STAYS)?.address()).call().await?;
    let supply = vault.pool(culprit).call().await?.supply;
    // Its part of the pool, rounded as every position is.
    let expected = stays.held * (held - loss(held)) / supply;
    ensure!(stays.value == expected, "who stays has {}, not {expected}", stays.value);
    net.say(&format!("operator {culprit} is convicted; who backed it lost {taken} of {} wei", held + leaving));

    let events = slasher.Convicted_filter().from_block(0).query().await?;
    let pairs: BTreeSet<_> = events.iter().map(|(event, _)| (event.id, event.sigma)).collect();
    ensure!(pairs.len() == events.len() && pairs.iter().all(|(id, _)| *id == culprit), "convictions: {pairs:?}");
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

async fn a_late_vote_is_found(net: &TestNet, follower: &Follower, height: u64) -> Result<()> {
    let manifest = &net.devnet.manifest;
    let culprit = manifest.l2.nodes.get(1).ok_or_else(|| eyre!("there is no second node"))?;
    let watchers: Vec<&str> =
        manifest.l2.nodes.iter().map(|node| node.metrics_url.as_str()).chain([follower.metrics.as_str()]).collect();
    for watcher in &watchers {
        ensure!(metric(watcher, "rota_evidence_found_total").await? == 0.0, "{watcher} accuses somebody of nothing");
    }

    let chain: ChainConfig = serde_json::from_slice(&std::fs::read(&manifest.chain)?)?;
    let key = dev_key(culprit.signer_index)?.into_credential();
    let listen = format!("/ip4/127.0.0.1/tcp/{}", process::free_port()?).parse()?;
    let peers = manifest.l2.nodes.iter().map(|node| Ok(node.peer.parse()?)).collect::<Result<_>>()?;
    let equivocator = Equivocator::join(chain.vote_domain(), key, listen, peers).await?;

    let l2 = net.l2(0).await?;
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
            Ok((metric(watcher, "rota_evidence_found_total").await? >= 1.0).then_some(()))
        })
        .await?;
        ensure!(metric(watcher, "rota_evidence_found_total").await? == 1.0, "{watcher} counts one fault twice");
    }
    equivocator.leave();
    Ok(())
}
