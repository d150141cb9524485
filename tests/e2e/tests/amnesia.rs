//! Forgotten locks on a running network. An operator precommits a block and prevotes another in a later round, with its
//! key used past its node: the others accuse it on L1 by themselves, nothing can answer for it, and it is convicted. One
//! with votes that look the same, but with a polka in between, is accused by somebody and cleared by whoever has the
//! polka. A third, accused with votes that no node ever heard, is convicted by the keeper alone, which raises the penalty
//! of the other to the sum of both and closes the charges that nothing can come of any more.

use std::{collections::BTreeMap, time::Duration};

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    providers::{DynProvider, Provider as _},
    rpc::types::Log,
};
use eyre::{Result, ensure, eyre};
use futures::future::join_all;
use k256::ecdsa::SigningKey;
use rota::{
    connection::dev_key,
    devnet::{KEEPER_INDEX, POSTER_INDEX, SIGNER_INDEX},
};
use rota_bindings::{AmnesiaFault, Slasher, generated::amnesia_fault::IEvidence::SignedVote};
use rota_e2e::{Decision, TestNet, follower::metric, provider};
use rota_protocol::{
    evidence::Signed,
    member::FrozenSet,
    vote::{self, Vote, VoteKind},
};
use rota_sequencer::{
    config::{CONFIG_FILE, Config},
    evidence::amnesia::Charge,
};

/// Whole tokens. Consensus can miss the innocent one and one of the small ones at a time, or both small ones.
const BONDS: [u64; 5] = [1_200, 1_200, 600, 400, 400];
/// Sequencers by index.
const INNOCENT: usize = 2;
const FORGETFUL: usize = 3;
const SECRET: usize = 4;

/// Account of the test that accuses.
const ACCUSER: u32 = 8;

/// Status of the registry.
const ACTIVE: u8 = 1;

/// `FaultKind` of the slasher.
const AMNESIA: u8 = 4;

/// `ChargeState`.
const OPEN: u8 = 1;
const ANSWERED: u8 = 2;
const CONVICTED: u8 = 3;
const EXPIRED: u8 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_forgets_a_lock_is_convicted_and_who_can_explain_is_cleared() -> Result<()> {
    let net = TestNet::start_with(BONDS.len() as u32, &BONDS).await?;
    net.run(async |net| {
        net.all_at(3, Duration::from_secs(60)).await?;
        hurry(net).await?;
        let court = Court::of(net).await?;
        let before = pools(net).await?;

        an_innocent_is_cleared(net, &court).await?;
        let gaps = net.watch_for_gaps().await?;
        let ids = guilty_are_convicted(net, &court, &before).await?;
        net.serves_without(&ids).await?;
        // Both may be the first two leaders of a height.
        let longest = gaps.check(Duration::from_millis(4_500)).await?;
        net.say(&format!("two convictions on the way: never more than {longest:?} without a block"));

        for (id, pool) in pools(net).await? {
            ensure!(ids.contains(&id) || before[&id] == pool, "operator {id} has {pool} of {} wei left", before[&id]);
        }
        let innocent = net.node(INNOCENT)?.id;
        ensure!(!court.slasher.isConvicted(innocent).call().await?, "operator {innocent} is convicted");
        time_runs_out(net, &court).await
    })
    .await
}

/// Nodes accuse and answer as soon as they can: in this profile the time for an answer is 10 s, which turns and the grace
/// for late votes would use up.
async fn hurry(net: &mut TestNet) -> Result<()> {
    join_all(net.devnet.nodes.iter_mut().map(|node| node.stop(Duration::from_secs(6)))).await;
    for index in 0..net.devnet.nodes.len() {
        let home = net.node(index)?.home.clone();
        let mut config = Config::load(&home)?;
        (config.evidence.turn, config.evidence.grace) = (Duration::ZERO, Duration::from_secs(5));
        std::fs::write(home.join(CONFIG_FILE), config.to_toml()?)?;
        net.devnet.restart_node(index)?;
    }
    net.answering().await
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

/// The contracts that judge, called by [`ACCUSER`].
struct Court {
    fault: AmnesiaFault::AmnesiaFaultInstance<DynProvider>,
    slasher: Slasher::SlasherInstance<DynProvider>,
    accuser: Address,
}

impl Court {
    async fn of(net: &TestNet) -> Result<Self> {
        let key = dev_key(ACCUSER)?;
        let accuser = key.address();
        let l1 = provider(&net.devnet.manifest.l1.rpc_url, Some(key)).await?;
        let contracts = &net.devnet.network.deployment.contracts;
        let fault = AmnesiaFault::new(contracts.amnesia_fault, l1.clone());
        Ok(Self { fault, slasher: Slasher::new(contracts.slasher, l1), accuser })
    }

    /// Accuses by two votes of one key.
    async fn accuse(&self, lock: &Signed<Vote>, vote: &Signed<Vote>, set: &FrozenSet) -> Result<Charge> {
        let members = Bytes::from(set.encode_members());
        let sent = self.fault.accuse(on_l1(lock), on_l1(vote), members, self.accuser).send().await?;
        let receipt = sent.get_receipt().await?;
        let event = receipt.decoded_log::<AmnesiaFault::Accused>().ok_or_else(|| eyre!("nobody was accused"))?;
        Ok(event.data.charge.into())
    }

    async fn state(&self, charge: &Charge) -> Result<u8> {
        Ok(self.fault.accusationOf(charge.hash()).call().await?.state)
    }

    /// Waits for the end of a charge.
    async fn end(&self, net: &TestNet, charge: &Charge) -> Result<u8> {
        let what = format!("the end of a charge against operator {}", charge.id);
        net.wait(&what, Duration::from_secs(60), async || {
            Ok(Some(self.state(charge).await?).filter(|state| *state > OPEN))
        })
        .await
    }

    async fn ends(&self, net: &TestNet, charge: &Charge, state: u8) -> Result<()> {
        let end = self.end(net, charge).await?;
        ensure!(end == state, "the charge against operator {} ended as {end}, not {state}", charge.id);
        Ok(())
    }
}

fn on_l1(Signed { message, signature }: &Signed<Vote>) -> SignedVote {
    SignedVote {
        kind: message.kind as u8,
        fork: message.fork,
        epoch: message.epoch,
        height: message.height,
        round: message.round,
        blockHash: message.block_hash,
        signature: Bytes::copy_from_slice(signature.as_bytes()),
    }
}

/// A vote at the height of a decision.
fn at(decision: &Decision, kind: VoteKind, round: u32, block_hash: B256) -> Vote {
    Vote { kind, fork: decision.fork, epoch: decision.epoch, height: decision.height, round, block_hash }
}

/// The key of a sequencer.
fn key(index: usize) -> Result<SigningKey> {
    Ok(dev_key(SIGNER_INDEX + index as u32)?.into_credential())
}

/// Signs without telling anybody.
fn sign(net: &TestNet, index: usize, message: Vote) -> Result<Signed<Vote>> {
    let signature = vote::sign(&key(index)?, message.digest(&net.chain()?.vote_domain()))?;
    Ok(Signed { message, signature })
}

/// Who sent the transaction of an event.
async fn sender(net: &TestNet, log: &Log) -> Result<Address> {
    let hash = log.transaction_hash.ok_or_else(|| eyre!("a log without a transaction"))?;
    let sent = net.devnet.network.l1.get_transaction_by_hash(hash).await?;
    Ok(sent.ok_or_else(|| eyre!("L1 has no {hash}"))?.inner.signer())
}

/// Accounts that the nodes of all operators but `id` send from.
fn others(net: &TestNet, id: u32) -> Result<Vec<Address>> {
    let nodes = (POSTER_INDEX..).zip(&net.devnet.manifest.l2.nodes).filter(|(_, node)| node.id != id);
    nodes.map(|(index, _)| Ok(dev_key(index)?.address())).collect()
}

/// An operator's node is down, and its height is decided in a later round. With its key: a precommit for a block of its own
/// in the first round, and in a last one a prevote for the block that was decided in between. The prevotes of that decision
/// are the polka that allows it. No node suspects it; somebody accuses it; nodes answer.
async fn an_innocent_is_cleared(net: &mut TestNet, court: &Court) -> Result<()> {
    let id = net.node(INNOCENT)?.id;
    let slot = net.devnet.nodes.get_mut(INNOCENT).ok_or_else(|| eyre!("the innocent's node does not run"))?;
    slot.stop(Duration::from_secs(6)).await;
    let l2 = net.l2(0).await?;
    // Its node signed nothing there.
    let mut next = l2.get_block_number().await? + 2;
    let decision = net
        .wait("a height that its own leader did not decide", Duration::from_secs(60), async || {
            while next <= l2.get_block_number().await? {
                let decision = net.decision(next).await?;
                if decision.round > 0 {
                    return Ok(Some(decision));
                }
                next += 1;
            }
            Ok(None)
        })
        .await?;
    let set = rota::epoch::frozen_set(&net.devnet.network, decision.epoch).await?;
    let voice = net.equivocator(INNOCENT).await?;
    let lock = at(&decision, VoteKind::Precommit, 0, keccak256("its own"));
    let vote = at(&decision, VoteKind::Prevote, decision.round + 1, decision.block_hash);
    let signer = net.node(INNOCENT)?.signer;
    for index in (0..net.devnet.nodes.len()).filter(|index| *index != INNOCENT) {
        let node = net.l2(index).await?;
        let about = serde_json::json!({ "height": decision.height });
        // What nobody hears while connections are made is lost, so it is said again.
        net.wait(&format!("node {} to hear both votes", index + 1), Duration::from_secs(30), async || {
            voice.vote(lock)?;
            voice.vote(vote)?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            let report: serde_json::Value = node.raw_request("rota_evidence".into(), (&about,)).await?;
            let messages = report["messages"].as_array().ok_or_else(|| eyre!("no messages in {report}"))?;
            let own = |said: &&serde_json::Value| serde_json::from_value(said["signer"].clone()).ok() == Some(signer);
            Ok((messages.iter().filter(own).count() == 2).then_some(()))
        })
        .await?;
    }
    voice.leave();
    let [lock, vote] = [sign(net, INNOCENT, lock)?, sign(net, INNOCENT, vote)?];
    let charge = court.accuse(&lock, &vote, &set).await?;
    ensure!(charge.id == id, "operator {} is accused for {id}", charge.id);
    net.say(&format!("operator {id} is accused of what a polka in round {} explains", decision.round));
    court.ends(net, &charge, ANSWERED).await?;

    let answers = court.fault.Answered_filter().topic1(charge.hash()).from_block(0).query().await?;
    let (answer, log) = answers.first().ok_or_else(|| eyre!("there is no event of the answer"))?;
    ensure!(answers.len() == 1 && answer.round == decision.round, "answered {} times: {answer:?}", answers.len());
    let by = sender(net, log).await?;
    ensure!(others(net, id)?.contains(&by), "no node of another operator answered, but {by}");
    for node in &net.devnet.manifest.l2.nodes {
        if node.id != id {
            let suspected = metric(&node.metrics_url, "rota_amnesia_suspected_total").await?;
            ensure!(suspected == 0.0, "the node of operator {} suspects {suspected}", node.id);
        }
    }
    ensure!(court.fault.openCharges(id).call().await?.is_zero(), "a charge against operator {id} is open");
    ensure!(court.fault.convict(charge.into()).call().await.is_err(), "an answered charge convicts");
    net.say(&format!("a node answered by the transaction of {by}"));
    net.devnet.restart_node(INNOCENT)?;
    net.answering().await
}

/// One operator forgets its lock before everybody, another in secret; both under one set.
async fn guilty_are_convicted(net: &TestNet, court: &Court, before: &BTreeMap<u32, U256>) -> Result<[u32; 2]> {
    let (id, secret) = (net.node(FORGETFUL)?.id, net.node(SECRET)?.id);
    let (set, decision) = lock_of(net, FORGETFUL).await?;
    let voice = net.equivocator(FORGETFUL).await?;
    // The precommit is the honest node's own.
    let vote = at(&decision, VoteKind::Prevote, decision.round + 1, keccak256("another"));
    for node in &net.devnet.manifest.l2.nodes {
        net.wait(&format!("the node of operator {} to suspect", node.id), Duration::from_secs(30), async || {
            voice.vote(vote)?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok((metric(&node.metrics_url, "rota_amnesia_suspected_total").await? == 1.0).then_some(()))
        })
        .await?;
    }
    voice.leave();
    net.say(&format!("operator {id} has forgotten its lock on block {}, and everybody knows", decision.height));

    // Two prevotes against one lock: two charges, of which one convicts.
    let lock = sign(net, SECRET, at(&decision, VoteKind::Precommit, decision.round + 1, keccak256("x")))?;
    let votes = [(2, "y"), (3, "z")].map(|(later, block)| {
        sign(net, SECRET, at(&decision, VoteKind::Prevote, decision.round + later, keccak256(block)))
    });
    let mut charges = Vec::new();
    for vote in votes {
        charges.push(court.accuse(&lock, &vote?, &set).await?);
    }
    net.say(&format!("operator {secret} is accused twice"));

    let accused = net
        .wait(&format!("operator {id} to be accused"), Duration::from_secs(60), async || {
            let found = court.fault.Accused_filter().topic2(U256::from(id)).from_block(0).query().await?;
            Ok(found.into_iter().next())
        })
        .await?;
    let (event, log) = accused;
    let by = sender(net, &log).await?;
    let charge = Charge::from(event.charge);
    let said = (charge.height, charge.lock_round, charge.vote_round, charge.voted_hash);
    ensure!(said == (vote.height, decision.round, vote.round, vote.block_hash), "it is accused of {charge:?}");
    ensure!(others(net, id)?.contains(&by), "no node of another operator accused it, but {by}");
    // Counted once the transaction is known to be included.
    let accusers = net
        .wait("a node to count its accusation", Duration::from_secs(20), async || {
            Ok(Some(accusers(net).await?).filter(|accusers| !accusers.is_empty()))
        })
        .await?;
    ensure!(!accusers.contains_key(&id), "operator {id} accused itself");
    net.say(&format!("operator {id} is accused by the transaction of {by}"));

    court.ends(net, &charge, CONVICTED).await?;
    // Whichever of them came first.
    let ends = [court.end(net, &charges[0]).await?, court.end(net, &charges[1]).await?];
    let idle = ends.iter().position(|end| *end == EXPIRED).ok_or_else(|| eyre!("both charges ended as {ends:?}"))?;
    ensure!(ends[1 - idle] == CONVICTED, "the charges ended as {ends:?}");
    let answers = court.fault.Answered_filter().topic2(U256::from(id)).from_block(0).query().await?;
    ensure!(answers.is_empty(), "operator {id} was excused");
    let keeper = dev_key(KEEPER_INDEX)?.address();
    let events = court.slasher.Convicted_filter().from_block(0).query().await?;
    ensure!(events.len() == 2, "{} convictions", events.len());
    for (event, log) in &events {
        let by = sender(net, log).await?;
        ensure!(event.kind == AMNESIA && event.sigma == decision.epoch, "convicted of {event:?}");
        let reporter = event.reporter;
        ensure!((reporter == court.accuser) == (event.id == secret), "{reporter} is credited for {}", event.id);
        ensure!(event.id == id || by == keeper, "only the keeper knew of operator {secret}, but {by} convicted it");
        net.say(&format!("operator {} is convicted by the transaction of {by}", event.id));
    }
    let closed = court.fault.Expired_filter().topic1(charges[idle].hash()).from_block(0).query().await?;
    let (_, log) = closed.first().ok_or_else(|| eyre!("there is no event of the closed charge"))?;
    ensure!(sender(net, log).await? == keeper, "the keeper did not close the other charge");

    penalties(net, court, &set, [events[0].0.id, events[1].0.id], before).await?;
    Ok([id, secret])
}

/// A recent height at which the precommit of sequencer `index` is part of the decision.
async fn lock_of(net: &TestNet, index: usize) -> Result<(FrozenSet, Decision)> {
    let (signer, from) = (net.node(index)?.signer, net.l2(0).await?.get_block_number().await?);
    net.wait("a decision with its precommit", Duration::from_secs(30), async || {
        let decision = net.decision(net.l2(0).await?.get_block_number().await?).await?;
        let set = rota::epoch::frozen_set(&net.devnet.network, decision.epoch).await?;
        let seat = set.index_of_signer(signer).ok_or_else(|| eyre!("{signer} is no member of {}", set.epoch()))?;
        Ok((decision.height > from && decision.signers.bit(seat)).then_some((set, decision)))
    })
    .await
}

/// Accusations that each node brought, by operator.
async fn accusers(net: &TestNet) -> Result<BTreeMap<u32, u32>> {
    let mut counts = BTreeMap::new();
    for node in &net.devnet.manifest.l2.nodes {
        let count = metric(&node.metrics_url, "rota_amnesia_accused_total").await?;
        if count > 0.0 {
            counts.insert(node.id, count as u32);
        }
    }
    Ok(counts)
}

/// The first pays what its own share calls for at once, and the rest, by the keeper, when the second is convicted; the
/// second pays for both shares at once. Everything rounds against them.
async fn penalties(
    net: &TestNet,
    court: &Court,
    set: &FrozenSet,
    [first, second]: [u32; 2],
    before: &BTreeMap<u32, U256>,
) -> Result<()> {
    let one = U256::from(10).pow(U256::from(18));
    let share = |id: u32| -> Result<U256> {
        let member = set.index_of_id(id).and_then(|index| set.members().get(index));
        let weight = member.ok_or_else(|| eyre!("operator {id} is no member of epoch {}", set.epoch()))?.weight;
        Ok((U256::from(weight) * U256::from(1_000_000_000)).div_ceil(U256::from(set.total_weight())))
    };
    let rate = |share: U256| (U256::from(9) * share * share).clamp(one / U256::from(20), one);
    let (alone, both) = (rate(share(first)?), rate(share(first)? + share(second)?));
    ensure!(alone < both && both < one, "the rates {alone} and {both} show nothing");

    let ups = net
        .wait("the top-up", Duration::from_secs(30), async || {
            let ups = court.slasher.ToppedUp_filter().from_block(0).query().await?;
            Ok((!ups.is_empty()).then_some(ups))
        })
        .await?;
    let (up, log) = ups.first().ok_or_else(|| eyre!("there is no event of the top-up"))?;
    let keeper = dev_key(KEEPER_INDEX)?.address();
    ensure!(ups.len() == 1 && up.id == first && up.rate == both, "{} top-ups, the first {up:?}", ups.len());
    ensure!(sender(net, log).await? == keeper, "the keeper did not take the top-up");

    let loss = |held: U256, rate: U256| (held * rate).div_ceil(one);
    let held = before[&first];
    let at_once = loss(held, alone);
    let rest = loss(held - at_once, ((both - alone) * one).div_ceil(one - alone));
    ensure!(up.taken == rest, "the top-up took {}, not {rest}", up.taken);
    for (id, taken) in [(first, at_once + rest), (second, loss(before[&second], both))] {
        let conviction = court.slasher.convictionOf(id).call().await?;
        ensure!(U256::from(conviction.rate) == both, "operator {id} pays at {}, not {both}", conviction.rate);
        ensure!(U256::from(conviction.taken) == taken, "operator {id} lost {}, not {taken}", conviction.taken);
        let left = pools(net).await?[&id];
        ensure!(left == before[&id] - taken, "operator {id} has {left} of {} wei, {taken} taken", before[&id]);
        // Of the pool, and of stake that left, whenever it did.
        ensure!(court.slasher.topUpDue(id).call().await?.is_zero(), "more is due of operator {id}");
        ensure!(!court.slasher.isTopUpDue(id).call().await?, "a top-up is due of operator {id}");
        let due = court.slasher.slashesDue(id).call().await?;
        ensure!(due.is_empty(), "more is due of operator {id}: {due:?}");
        net.say(&format!("operator {id} lost {taken} of {} wei", before[&id]));
    }
    Ok(())
}

/// A charge that nobody answered nor brought to its end in the time of unbonding. Nodes are down and L1's clock is moved on,
/// or this would take minutes; the keeper closes the charge, and nobody is convicted.
async fn time_runs_out(net: &mut TestNet, court: &Court) -> Result<()> {
    let (set, decision) = lock_of(net, 0).await?;
    let network = net.devnet.network.clone();
    // A set ages once another has followed it.
    let next = net
        .wait("the next set to be frozen", Duration::from_secs(60), async || {
            let last = network.set().lastFrozen().call().await?;
            Ok((last > set.epoch()).then_some(last))
        })
        .await?;
    join_all(net.devnet.nodes.iter_mut().map(|node| node.stop(Duration::from_secs(6)))).await;
    let lock = sign(net, 0, at(&decision, VoteKind::Precommit, decision.round + 1, keccak256("x")))?;
    let vote = sign(net, 0, at(&decision, VoteKind::Prevote, decision.round + 2, keccak256("y")))?;
    let charge = court.accuse(&lock, &vote, &set).await?;
    let unbonding = network.vault().UNBONDING_EPOCHS().call().await?;
    net.devnet.l1.jump_to(network.clock().start_of(next + unbonding + 1)).await?;
    court.ends(net, &charge, EXPIRED).await?;
    ensure!(!court.slasher.isConvicted(charge.id).call().await?, "operator {} is convicted", charge.id);
    let status = network.registry().statusOf(charge.id).call().await?;
    ensure!(status == ACTIVE, "operator {} has status {status}", charge.id);
    net.say(&format!("the charge against operator {} ran out after {unbonding} epochs", charge.id));
    Ok(())
}
