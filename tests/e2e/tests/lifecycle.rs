//! From stake to paid blocks on one long-lived devnet: four sequencers, real transactions, posted and final batches,
//! claims to the wei, a fifth operator that joins and one that leaves, and the crash of a leader.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes, U256, utils::parse_ether},
    providers::{DynProvider, Provider as _},
};
use eyre::{Result, ensure, eyre};
use rota::{
    connection::{WriteArgs, dev_key},
    deposit::deposit,
    operator,
    stake::delegate,
    submit::Submitter,
};
use rota_bindings::{NativeToken, RewardVault};
use rota_e2e::{
    TestNet,
    observer::{Observer, Seen, proposer},
    rewards::{expected_claim, tally},
};
use serde::Deserialize;

/// The answer of `rota_certificate`, as far as it is checked here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    round: u32,
    signatures: Vec<Signer>,
}

#[derive(Debug, Deserialize)]
struct Signer {
    id: Option<u32>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_stake_to_paid_blocks() -> Result<()> {
    let net = TestNet::start(&[1_000]).await?;
    net.run(async |net| {
        let origin = genesis_origin(net)?;
        let mut observer = Observer::new(&net.devnet.network, net.l2(0).await?, origin);
        // Early, so that their stake counts while the other scenarios run.
        stake_two_delegators(net).await?;
        hundred_blocks(net, &mut observer).await?;
        wallets(net).await?;
        integrator_example(net).await?;
        deposit_arrives(net).await?;
        batches_become_final(net).await?;
        claims_to_the_wei(net, &mut observer).await?;
        fifth_operator_joins(net, &mut observer).await?;
        operator_leaves(net, &mut observer).await?;
        leader_crashes(net, &mut observer).await?;
        net.same_everywhere().await?;
        nobody_signed_twice(net).await
    })
    .await
}

/// Delegators by account, operator and whole tokens; the second joins in a later epoch.
const DELEGATORS: [(u32, u32, u64); 2] = [(5, 1, 300), (6, 1, 700)];

fn genesis_origin(net: &TestNet) -> Result<B256> {
    let config: rota_protocol::config::ChainConfig =
        serde_json::from_slice(&std::fs::read(&net.devnet.manifest.chain)?)?;
    Ok(config.genesis_origin.hash)
}

fn whole(tokens: u64) -> U256 {
    U256::from(tokens) * U256::from(10_u64).pow(U256::from(18_u64))
}

async fn act(net: &TestNet, user: u32) -> Result<Submitter<'_>> {
    Ok(Submitter::new(&net.devnet.network, &WriteArgs::dev_account(user)).await?.silent())
}

async fn l1_epoch(net: &TestNet) -> Result<u32> {
    Ok(net.devnet.network.clock().epoch_at(net.devnet.network.l1_time().await?))
}

async fn stake_two_delegators(net: &TestNet) -> Result<()> {
    let (first, second) = (DELEGATORS[0], DELEGATORS[1]);
    delegate(&net.devnet.network, &act(net, first.0).await?, first.1, whole(first.2)).await?;
    let joined = l1_epoch(net).await?;
    net.wait("the next epoch", Duration::from_secs(30), async || Ok((l1_epoch(net).await? > joined).then_some(())))
        .await?;
    delegate(&net.devnet.network, &act(net, second.0).await?, second.1, whole(second.2)).await
}

/// 100 blocks: one hash per height on every node, every leader the contract's, every quota exact.
async fn hundred_blocks(net: &TestNet, observer: &mut Observer) -> Result<()> {
    net.all_at(100, Duration::from_secs(60)).await?;
    let mut later_rounds = 0;
    for height in 1..=100 {
        let seen = observer.see(height).await?;
        let round = check_leader(net, observer, seen).await?;
        later_rounds += u32::from(round > 0);
    }
    net.say(&format!("100 blocks, {later_rounds} of them decided after round 0"));
    ensure!(later_rounds <= 5, "{later_rounds} of 100 blocks needed a later round without any fault");
    let windows = observer.check_quotas(1, 100).await?;
    ensure!(windows > 0, "no complete window of the schedule among 100 blocks");
    net.say(&format!("every member led its exact quota in {windows} complete windows"));
    net.same_everywhere().await
}

/// The proposer must be the contract's leader of a round up to the one that decided; returns that round.
async fn check_leader(net: &TestNet, observer: &mut Observer, seen: Seen) -> Result<u32> {
    let round = certificate(&net.l2(0).await?, seen.height).await?.round;
    if round == 0 {
        ensure!(seen.proposer == seen.leader, "{seen:?} was decided in round 0, but not proposed by its leader");
        return Ok(0);
    }
    for earlier in 0..=round {
        if observer.leader(seen.height, earlier).await? == seen.proposer {
            return Ok(round);
        }
    }
    Err(eyre!("{seen:?}: the proposer leads no round up to {round}"))
}

async fn certificate(l2: &DynProvider, height: u64) -> Result<Certificate> {
    let answer: Option<Certificate> = l2.raw_request("rota_certificate".into(), (height,)).await?;
    answer.ok_or_else(|| eyre!("no certificate of block {height}"))
}

/// viem and ethers v6 as Node scripts, alloy here: transfers, an ERC-20, receipts, logs, fees, subscriptions.
async fn wallets(net: &TestNet) -> Result<()> {
    net.run_client("viem.mjs", 0, &["1"])?;
    net.run_client("ethers.mjs", 1, &["2"])?;
    net.say("alloy: a transfer, an ERC-20 deployed and transferred");
    let to = Address::repeat_byte(0x42);
    let before = net.l2(2).await?.get_balance(to).await?;
    let receipt = net.transfer(3, to, parse_ether("1.5")?).await?;
    ensure!(receipt.gas_used == 21_000, "a transfer used {} gas", receipt.gas_used);
    let seen_by_another = net.l2(2).await?;
    net.wait("the transfer on another node", Duration::from_secs(5), async || {
        Ok((seen_by_another.get_balance(to).await? == before + parse_ether("1.5")?).then_some(()))
    })
    .await?;
    let l2 = net.l2_as(0, 3).await?;
    let token =
        NativeToken::deploy(&l2, "Test".to_owned(), "TST".to_owned(), whole(1_000), dev_key(3)?.address()).await?;
    let receipt = token.transfer(to, whole(7)).send().await?.get_receipt().await?;
    ensure!(receipt.status() && receipt.inner.logs().len() == 1, "the ERC-20 transfer left {receipt:?}");
    ensure!(token.balanceOf(to).call().await? == whole(7), "the ERC-20 balance is wrong");
    // A refusal comes back with the contract's own error.
    let refused =
        token.transfer(to, whole(1_000_000)).call().await.err().ok_or_else(|| eyre!("no balance, no error"))?;
    ensure!(refused.as_revert_data().is_some_and(|data: Bytes| data.len() > 4), "no revert data: {refused}");
    Ok(())
}

/// The example of `rota-bindings`, as an integrator would run it.
async fn integrator_example(net: &TestNet) -> Result<()> {
    let programs = rota::devnet::toolchain::sequencer()?;
    let example = programs.with_file_name("examples").join("deposit_and_schedule");
    ensure!(example.is_file(), "{} is missing: build it with `cargo build --examples`", example.display());
    let output = tokio::process::Command::new(example)
        .arg(&net.devnet.manifest.l1.rpc_url)
        .arg(&net.devnet.manifest.deployment)
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the example failed: {}", String::from_utf8_lossy(&output.stderr));
    ensure!(
        text.contains("delegated 100000000000000000000 wei") && text.contains("block 9 of epoch"),
        "it printed {text}"
    );
    net.say("the bindings' example staked and read the schedule");
    Ok(())
}

async fn deposit_arrives(net: &TestNet) -> Result<()> {
    let to = Address::repeat_byte(0x77);
    let amount = parse_ether("12.345678912")?;
    let by = act(net, 7).await?;
    deposit(&net.devnet.network, &by, to, amount).await?;
    let l2 = net.l2(1).await?;
    let balance = net
        .wait("the deposit on L2", Duration::from_secs(20), async || {
            let balance = l2.get_balance(to).await?;
            Ok((!balance.is_zero()).then_some(balance))
        })
        .await?;
    ensure!(balance == amount, "{amount} deposited, {balance} arrived");
    Ok(())
}

async fn batches_become_final(net: &TestNet) -> Result<()> {
    let batches = net.devnet.network.batches();
    net.wait("three final batches", Duration::from_secs(90), async || {
        Ok((batches.finalIndex().call().await? >= 3).then_some(()))
    })
    .await?;
    let l2 = net.l2(0).await?;
    for batch in rota::batch::posted(&net.devnet.network, 1, 3).await? {
        ensure!(batch.state == "final", "batch {} is {}", batch.index, batch.state);
        net.say(&format!("batch {} up to block {} is final", batch.index, batch.last_block));
    }
    let last = rota::batch::posted(&net.devnet.network, 3, 3).await?.first().map_or(0, |batch| batch.last_block);
    net.wait("the finalized tag to follow", Duration::from_secs(20), async || {
        let block = l2.get_block_by_number(alloy::eips::BlockNumberOrTag::Finalized).await?;
        Ok(block.filter(|block| block.header.number >= last))
    })
    .await?;
    Ok(())
}

/// Both delegators claim exactly what the formula says; a second claim pays nothing.
async fn claims_to_the_wei(net: &TestNet, observer: &mut Observer) -> Result<()> {
    let network = &net.devnet.network;
    let rewards = network.rewards();
    let mut joined = 0;
    for (user, id, _) in DELEGATORS {
        let account = dev_key(user)?.address();
        joined = joined.max(network.vault().unitsCheckpointAt(id, account, U256::ZERO).call().await?.epoch);
    }
    // One epoch in which both count must be credited, and nothing may be half credited while we compare.
    net.wait(&format!("epoch {joined} to be credited"), Duration::from_secs(120), async || {
        let open = rewards.openStatus().call().await?;
        Ok((rewards.lastCredited(1).call().await? >= joined && open.cursor == open.count).then_some(()))
    })
    .await?;
    for (user, id, _) in DELEGATORS {
        let account = dev_key(user)?.address();
        let token = network.token();
        let before = token.balanceOf(account).call().await?;
        let by = act(net, user).await?;
        let vault = RewardVault::new(*rewards.address(), by.provider.clone());
        let receipt = by.submit("claim", vault.claim(id, account, U256::from(50))).await?;
        let receipt = receipt.ok_or_else(|| eyre!("the claim was not sent"))?;
        let event =
            receipt.decoded_log::<RewardVault::RewardsClaimed>().ok_or_else(|| eyre!("no RewardsClaimed event"))?;
        let paid = token.balanceOf(account).call().await? - before;
        let expected = expected_through(net, observer, id, account, event.toEpoch).await?;
        ensure!(!paid.is_zero(), "delegator {user} was paid nothing");
        ensure!(paid == expected, "delegator {user} was paid {paid} wei, the formula says {expected}");
        net.say(&format!("delegator {user} was paid {paid} wei through epoch {}, as computed", event.toEpoch));
    }
    Ok(())
}

/// The formula over every opened tally up to `epoch`.
async fn expected_through(
    net: &TestNet,
    observer: &mut Observer,
    id: u32,
    account: Address,
    epoch: u32,
) -> Result<U256> {
    let network = &net.devnet.network;
    let l2 = net.l2(0).await?;
    let opened: u64 = network.rewards().nextTally().call().await?.to();
    let mut tallies = Vec::new();
    for index in 0..opened {
        let hash = network.batches().tallyAt(U256::from(index)).call().await?;
        let tally = tally(&l2, hash).await?;
        if tally.header.tally.epoch <= epoch {
            tallies.push(tally);
        }
    }
    expected_claim(network, observer, &tallies, id, account).await
}

/// Waits for the first height served by a set that satisfies `wanted`, at or after `from`.
async fn first_height_where(
    net: &TestNet,
    observer: &mut Observer,
    from: u64,
    what: &str,
    wanted: impl Fn(&BTreeSet<u32>) -> bool,
) -> Result<u64> {
    let l2 = net.l2(0).await?;
    let mut height = from;
    let deadline = Instant::now() + rota_e2e::patience(Duration::from_secs(120));
    net.say(&format!("waiting for {what}"));
    loop {
        net.wait(&format!("block {height}"), Duration::from_secs(10), async || {
            Ok((l2.get_block_number().await? >= height).then_some(()))
        })
        .await?;
        let sigma = observer.sigma(height).await?;
        let ids: BTreeSet<u32> = observer.set(sigma).await?.members().iter().map(|member| member.id).collect();
        if wanted(&ids) {
            return observer.first_height(height).await;
        }
        ensure!(Instant::now() < deadline, "waited in vain for {what}");
        height += 1;
    }
}

/// Proposers of `from..=to`.
async fn proposers(observer: &mut Observer, from: u64, to: u64) -> Result<BTreeMap<u64, u32>> {
    let mut found = BTreeMap::new();
    for height in from..=to {
        found.insert(height, proposer(observer.header(height).await?.beneficiary)?);
    }
    Ok(found)
}

async fn fifth_operator_joins(net: &mut TestNet, observer: &mut Observer) -> Result<()> {
    net.say("registering and starting a fifth operator");
    let started_at = net.l2(0).await?.get_block_number().await?;
    let id = net.devnet.add_operator(1_000).await?;
    ensure!(id == 5, "the fifth operator got id {id}");
    let first = first_height_where(net, observer, started_at, "a set with operator 5", |ids| ids.contains(&5)).await?;
    let slots = u64::from(net.devnet.network.deployment.slots_per_window);
    net.all_at(first + slots - 1, Duration::from_secs(60)).await?;
    let before = proposers(observer, started_at, first - 1).await?;
    ensure!(!before.values().any(|id| *id == 5), "operator 5 proposed before its set served");
    let after = proposers(observer, first, first + slots - 1).await?;
    let led = after.values().filter(|id| **id == 5).count();
    ensure!(led > 0, "operator 5 proposed none of its slots in its first window, {first}..");
    for height in first..first + slots {
        let seen = observer.see(height).await?;
        check_leader(net, observer, seen).await?;
    }
    // The last block of the old set carries only its members' votes, the first of the new one may carry all five.
    ensure!(observer.sigma(first - 1).await? < observer.sigma(first).await?, "the set did not change at {first}");
    net.say(&format!("operator 5 leads from height {first}: {led} blocks in its first window"));
    Ok(())
}

async fn operator_leaves(net: &TestNet, observer: &mut Observer) -> Result<()> {
    net.say("operator 2 exits");
    let left_at = net.l2(0).await?.get_block_number().await?;
    let node = net.devnet.manifest.l2.nodes.iter().find(|node| node.id == 2).ok_or_else(|| eyre!("no operator 2"))?;
    operator::exit(&net.devnet.network, &act(net, node.owner_index).await?, 2).await?;
    let first = first_height_where(net, observer, left_at, "a set without operator 2", |ids| !ids.contains(&2)).await?;
    let slots = u64::from(net.devnet.network.deployment.slots_per_window);
    net.all_at(first + slots, Duration::from_secs(60)).await?;
    let before = proposers(observer, first.saturating_sub(slots), first - 1).await?;
    ensure!(before.values().any(|id| *id == 2), "operator 2 stopped leading before its set ended at {first}");
    let after = proposers(observer, first, first + slots).await?;
    ensure!(!after.values().any(|id| *id == 2), "operator 2 led a block after {first}");
    net.say(&format!("operator 2 leads no block from height {first}"));
    Ok(())
}

/// SIGKILL of the scheduled leader: the contract's fallback takes over in time, the crashed node comes back and votes.
async fn leader_crashes(net: &mut TestNet, observer: &mut Observer) -> Result<()> {
    let l2 = net.l2(0).await?;
    // The victim must not be the node we watch through, and its slot must still be ahead.
    let (height, leader, index) = loop {
        let head = l2.get_block_number().await?;
        observer.header(head).await?;
        // Far enough ahead that the kill lands before the slot, near enough to stay in this epoch's set.
        let height = head + 4;
        let sigma = observer.sigma(head).await?;
        let first = observer.first_height(head).await?;
        let members = observer.set(sigma).await?.encode_members();
        let leader = net.devnet.network.set().leaderAt(sigma, height, first, 0, members.into()).call().await?.id;
        let index = net.devnet.manifest.l2.nodes.iter().position(|node| node.id == leader);
        match index {
            Some(index) if index != 0 => break (height, leader, index),
            _ => {
                net.wait("another slot", Duration::from_secs(5), async || {
                    Ok((l2.get_block_number().await? > head).then_some(()))
                })
                .await?;
            }
        }
    };
    net.say(&format!("killing operator {leader}, the leader of height {height}"));
    let node = net.devnet.nodes.get_mut(index).ok_or_else(|| eyre!("no node {index}"))?;
    node.crash().await?;
    let mut last = Instant::now();
    let mut head = l2.get_block_number().await?;
    let mut longest = Duration::ZERO;
    while head < height {
        head = net
            .wait("the next block", Duration::from_millis(4_000), async || {
                let now = l2.get_block_number().await?;
                Ok((now > head).then_some(now))
            })
            .await?;
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    let bound = rota_e2e::patience(Duration::from_millis(2_300));
    ensure!(longest <= bound, "the longest gap was {longest:?}, the bound is {bound:?}");
    let seen = observer.see(height).await?;
    ensure!(seen.leader == leader, "{seen:?}: the set changed under the test, operator {leader} did not lead");
    let round = certificate(&l2, height).await?.round;
    let fallback = observer.leader(height, round).await?;
    ensure!(round > 0 && seen.proposer != leader, "height {height} was decided in round {round} by the dead leader");
    ensure!(seen.proposer == fallback, "{seen:?}: the contract names {fallback} for round {round}");
    net.say(&format!(
        "height {height} was decided in round {round} by operator {fallback}, {longest:?} after its parent"
    ));

    net.devnet.restart_node(index)?;
    let back = net.l2(index).await?;
    let target = l2.get_block_number().await?;
    net.wait("the restarted node to catch up", Duration::from_secs(20), async || {
        Ok(back.get_block_number().await.ok().filter(|height| *height >= target))
    })
    .await?;
    net.wait("the restarted node to vote", Duration::from_secs(20), async || {
        let head = l2.get_block_number().await?;
        let certificate = certificate(&l2, head).await?;
        Ok((head > target && certificate.signatures.iter().any(|signer| signer.id == Some(leader))).then_some(()))
    })
    .await?;
    net.say(&format!("operator {leader} caught up and votes again"));
    Ok(())
}

/// Each node watches the votes of all others: none may have seen two by one key for one (height, round, kind), and
/// no signer may have been stopped from making a second one.
async fn nobody_signed_twice(net: &TestNet) -> Result<()> {
    for node in &net.devnet.manifest.l2.nodes {
        let log = std::fs::read_to_string(net.devnet.manifest.logs.join(format!("sequencer-{}.log", node.id)))?;
        ensure!(!log.contains("panicked"), "sequencer {} panicked:\n{}", node.id, last_lines(&log));
        let metrics = reqwest::get(format!("{}/metrics", node.metrics_url)).await?.error_for_status()?.text().await?;
        for name in ["equivocation_votes", "equivocation_proposals"] {
            let seen: Vec<&str> =
                metrics.lines().filter(|line| !line.starts_with('#') && line.contains(name)).collect();
            ensure!(!seen.is_empty(), "sequencer {} does not publish {name}", node.id);
            for line in seen {
                ensure!(line.ends_with(" 0"), "sequencer {} saw somebody sign twice: {line}", node.id);
            }
        }
        // The watcher's own record of every signed message, whatever the engine did with it.
        let total = |name: &str| -> Option<f64> {
            metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
        };
        let watched = total("rota_evidence_messages_total").unwrap_or_default();
        ensure!(watched > 0.0, "sequencer {} has no record of signed messages", node.id);
        for name in ["rota_evidence_found_total", "rota_evidence_dropped_total"] {
            let found = total(name).unwrap_or_default();
            ensure!(found == 0.0, "sequencer {}: {name} is {found} after {watched} messages", node.id);
        }
    }
    Ok(())
}

fn last_lines(text: &str) -> String {
    text.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
}
