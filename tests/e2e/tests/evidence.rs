//! An operator whose key runs twice: its node is honest, and somewhere else the same key votes again, heights late, over
//! the real gossip. Every node finds it, one without a key too, one of them has the operator convicted on L1 to the credit
//! of the account that its configuration names, whoever backed the vote pays, also if it undelegated since, and who had left
//! before does not. Then a second one, when no sequencer can pay for reports: a node without a consensus key, with an
//! account of its own for them, has it convicted alone. Blocks never stop.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{Address, B256, U256},
    providers::{Provider as _, ext::AnvilApi as _},
};
use eyre::{Result, bail, ensure, eyre};
use futures::future::join_all;
use rota::{
    connection::{WriteArgs, dev_key},
    stake::delegate,
    submit::Submitter,
};
use rota_bindings::{RotaError, SlashEscrow, Slasher, StakeVault};
use rota_e2e::{
    Decision, ONE_LEADER_MISSING, TestNet,
    follower::{Follower, metric},
    provider,
};
use rota_protocol::{
    config::ChainConfig,
    vote::{Vote, VoteKind},
};
use rota_sequencer::{
    batcher,
    config::{CONFIG_FILE, Config},
    evidence::{Court as _, L1Court, court::Jurisdiction},
    l1::{self, FollowerConfig, HttpSource, L1View},
};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_votes_twice_is_found_by_everybody_and_convicted() -> Result<()> {
    let net = TestNet::start(&[1_000]).await?;
    net.run(async |net| {
        net.all_at(3, Duration::from_secs(60)).await?;
        reward_elsewhere(net).await?;
        let bench = Bench::start(net).await?;
        let mut follower = Follower::start(net)?;
        net.say("a node without a key follows");
        let head = net.l2(0).await?.get_block_number().await?;
        net.wait("the follower to catch up", Duration::from_secs(60), async || {
            let height = metric(&follower.metrics, "rota_height").await.unwrap_or_default();
            Ok((height >= head as f64).then_some(()))
        })
        .await?;
        let culprit = net.node(1)?.id;
        let left = delegators(net, culprit).await?;
        // The fault: what comes after this height is decided came after it.
        let height = net.l2(0).await?.get_block_number().await? - 2;
        let leaving = undelegate_all(net, LEAVES_LATE, culprit).await?;
        let stakes = Stakes { before: pools(net).await?, left, leaving };
        let gaps = net.watch_for_gaps().await?;
        a_late_vote_is_found(net, &follower, height).await?;
        conviction(net, culprit, &stakes).await?;
        bench.judges_as_the_contracts_do(net).await?;
        a_follower_reports_alone(net, &mut follower, culprit).await?;
        let head = net.l2(0).await?.get_block_number().await?;
        net.all_at(head + 8, Duration::from_secs(60)).await?;
        let longest = gaps.check(ONE_LEADER_MISSING).await?;
        net.say(&format!("two convictions on the way: never more than {longest:?} without a block"));
        Ok(())
    })
    .await
}

/// Who is credited for the proofs of the sequencers, and of the follower: accounts of nobody.
const REWARDED: Address = Address::repeat_byte(0xe1);
const FOLLOWER_REWARDED: Address = Address::repeat_byte(0xe2);
/// Account of the development mnemonic that pays for the follower's reports.
const FOLLOWER_ACCOUNT: u32 = 8;

/// Configures all sequencers to pay for reports with their consensus keys' accounts, and to have [`REWARDED`] credited.
async fn reward_elsewhere(net: &mut TestNet) -> Result<()> {
    join_all(net.devnet.nodes.iter_mut().map(|node| node.stop(Duration::from_secs(6)))).await;
    for index in 0..net.devnet.nodes.len() {
        let home = net.node(index)?.home.clone();
        let mut config = Config::load(&home)?;
        config.evidence.reward_recipient = Some(REWARDED);
        (config.evidence.key, config.evidence.password) =
            (config.keys.consensus.clone(), config.keys.consensus_password.clone());
        std::fs::write(home.join(CONFIG_FILE), config.to_toml()?)?;
        net.devnet.restart_node(index)?;
    }
    net.answering().await
}

/// The court as nodes ask it, with a view of L1 of its own that the test moves on.
struct Bench {
    court: L1Court,
    l1: L1View,
    chain: ChainConfig,
    /// Epoch of the newest confirmed L1 block when the view stopped.
    stopped: u32,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// Sees L1 as it is now, and nothing after that.
    async fn start(net: &TestNet) -> Result<Self> {
        let (chain, folder) = (net.chain()?, tempfile::tempdir()?);
        let source = Arc::new(HttpSource::new(std::slice::from_ref(&net.devnet.manifest.l1.rpc_url), chain.contracts)?);
        let l1 = L1View::open(folder.path(), &chain, Arc::clone(&source) as _)?;
        let payer = batcher::Submitter::new(Arc::clone(&source), dev_key(9)?, chain.l1_chain_id, u64::MAX);
        let court = L1Court::new(Arc::new(payer), source, l1.clone(), chain.contracts);
        let court = court.ok_or_else(|| eyre!("the chain has no slasher"))?;
        // Before it has seen anything, nothing is ruled out for ever, not even a set that never was.
        ensure!(court.jurisdiction(0).await? == Jurisdiction::Later, "a court that has not seen L1 judges");
        let mut bench = Self { court, l1, chain, stopped: 0, _folder: folder };
        bench.follow(net).await?;
        bench.stopped = bench.confirmed_epoch(net).await?;
        Ok(bench)
    }

    /// Moves the view on to the present L1.
    async fn follow(&self, net: &TestNet) -> Result<()> {
        let newest = net.devnet.network.l1.get_block_number().await?;
        let settings = FollowerConfig::new(&self.chain, Duration::from_millis(100), 2_000);
        let cancel = CancellationToken::new();
        let follower = tokio::spawn(l1::Follower::new(self.l1.clone(), settings).run(cancel.clone()));
        net.wait("the court to see L1", Duration::from_secs(30), async || {
            Ok((self.l1.progress().confirmed.number >= newest).then_some(()))
        })
        .await?;
        cancel.cancel();
        Ok(follower.await??)
    }

    async fn confirmed_epoch(&self, net: &TestNet) -> Result<u32> {
        let network = &net.devnet.network;
        let confirmed = self.l1.progress().confirmed.number;
        let block = network.l1.get_block_by_number(confirmed.into()).await?.ok_or_else(|| eyre!("no L1 block"))?;
        Ok(network.clock().epoch_at(block.header.timestamp))
    }

    /// Of every set that was, is or will be, the node says what the slasher says to evidence about it: judged now, not yet,
    /// or never more. What is not confirmed opens a jurisdiction and closes none.
    async fn judges_as_the_contracts_do(&self, net: &TestNet) -> Result<()> {
        let network = &net.devnet.network;
        let slasher = Slasher::new(network.deployment.contracts.slasher, network.l1.clone());
        let now = network.clock().epoch_at(network.l1_time().await?);
        ensure!(now > self.stopped + 4, "epoch {now} is no proof after epoch {}", self.stopped);
        for sigma in self.stopped..=now {
            let ruling = self.court.jurisdiction(sigma).await?;
            // On a busy machine the keeper may have left out an epoch: there is no such set, then.
            let was_frozen = sigma != self.stopped || !network.set().setHash(sigma).call().await?.is_zero();
            let expected = if was_frozen { Jurisdiction::Now } else { Jurisdiction::Never };
            ensure!(ruling == expected, "as of epoch {} it says {ruling:?} to epoch {sigma}", self.stopped);
        }
        self.follow(net).await?;
        // Within one epoch, or it is looked at again.
        let rulings = net
            .wait("a look within one epoch", Duration::from_secs(30), async || {
                let (before, mut rulings) = (self.confirmed_epoch(net).await?, BTreeMap::new());
                for sigma in 0..=before + 3 {
                    let refusal = match slasher.checkEvidence(sigma).call().await {
                        Ok(_) => None,
                        Err(error) => match RotaError::from_call(&error).and_then(|refusal| refusal.name()) {
                            Some(name) => Some(name),
                            None => return Err(error.into()),
                        },
                    };
                    let was_frozen = !network.set().setHash(sigma).call().await?.is_zero();
                    rulings.insert(sigma, (self.court.jurisdiction(sigma).await?, refusal, was_frozen));
                }
                let after = network.clock().epoch_at(network.l1_time().await?);
                Ok((before == after).then_some(rulings))
            })
            .await?;
        let mut counts = BTreeMap::new();
        for (sigma, (ruling, refusal, was_frozen)) in rulings {
            let expected = match refusal {
                None if was_frozen => Jurisdiction::Now,
                None | Some("Slasher_EvidenceTooOld") => Jurisdiction::Never,
                Some("Slasher_SetNotStarted") => Jurisdiction::Later,
                Some(refusal) => bail!("the slasher says {refusal} to epoch {sigma}"),
            };
            ensure!(ruling == expected, "the court says {ruling:?} to epoch {sigma}, L1 says {expected:?}");
            *counts.entry(format!("{ruling:?}")).or_insert(0_u32) += 1;
        }
        ensure!(counts.len() == 3, "not every ruling came up: {counts:?}");
        net.say(&format!("the court rules as the contracts do: {counts:?}"));
        Ok(())
    }
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

/// Three delegate to `id`; when their stake has served, one leaves, and the set it still backs ends. Returns its cohort.
async fn delegators(net: &TestNet, id: u32) -> Result<(u32, U256)> {
    let network = &net.devnet.network;
    for (user, tokens) in DELEGATED {
        let by = Submitter::new(network, &WriteArgs::dev_account(user)).await?.silent();
        delegate(network, &by, id, whole(tokens)).await?;
    }
    let epoch = network.clock().epoch_at(network.l1_time().await?);
    net.serves_from(epoch + 2).await?;
    let (cohort, tokens) = undelegate_all(net, LEAVES_EARLY, id).await?;
    net.serves_from(cohort + 2).await?;
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
    let by = rewarded(net, culprit, REWARDED, taken).await?;
    let other = net.devnet.manifest.l2.nodes.iter().find(|node| node.signer == by && node.id != culprit);
    ensure!(other.is_some(), "no node of another operator reported it, but {by}");

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

/// Whose transaction convicted `id`, which must credit `account` with its part of what was `taken`, and nobody else; it is
/// paid out there.
async fn rewarded(net: &TestNet, id: u32, account: Address, taken: U256) -> Result<Address> {
    let network = &net.devnet.network;
    let contracts = &network.deployment.contracts;
    let l1 = provider(&net.devnet.manifest.l1.rpc_url, Some(dev_key(9)?)).await?;
    let slasher = Slasher::new(contracts.slasher, l1.clone());
    let escrow = SlashEscrow::new(contracts.slash_escrow, l1);
    let events = slasher.Convicted_filter().topic1(U256::from(id)).from_block(0).query().await?;
    let (event, log) = events.first().ok_or_else(|| eyre!("there is no event of the conviction of {id}"))?;
    ensure!(events.len() == 1 && event.reporter == account, "{} is credited, not {account}", event.reporter);
    let hash = log.transaction_hash.ok_or_else(|| eyre!("a log without a transaction"))?;
    let sent = network.l1.get_transaction_by_hash(hash).await?.ok_or_else(|| eyre!("L1 has no {hash}"))?;
    let payer = sent.inner.signer();

    let reward = taken / U256::from(20);
    let credit = escrow.rewardOf(account).call().await?;
    ensure!(credit == reward, "{account} is credited with {credit} of {taken} wei, not {reward}");
    let others = escrow.rewardOf(payer).call().await?;
    ensure!(others.is_zero(), "{payer}, which paid for the report, is credited with {others} wei");
    let receipt = escrow.withdraw(account).send().await?.get_receipt().await?;
    ensure!(receipt.status(), "{account} was not paid");
    let paid = network.token().balanceOf(account).call().await?;
    ensure!(paid == reward, "{account} got {paid} wei, not {reward}");
    net.say(&format!("{account} got {paid} wei for a report that {payer} paid for"));
    Ok(payer)
}

/// A key votes twice when the sequencers have nothing left to pay for reports with.
async fn a_follower_reports_alone(net: &TestNet, follower: &mut Follower, convicted: u32) -> Result<()> {
    let network = &net.devnet.network;
    let culprit = net.node(2)?;
    ensure!(culprit.id != convicted, "operator {convicted} is convicted already");
    for node in &net.devnet.manifest.l2.nodes {
        network.l1.anvil_set_balance(node.signer, U256::ZERO).await?;
    }
    follower.report(FOLLOWER_ACCOUNT, FOLLOWER_REWARDED)?;
    net.say("the follower has an account of its own for reports, the sequencers have no ether left for them");
    let head = net.l2(0).await?.get_block_number().await?;
    net.wait("the follower to be back", Duration::from_secs(60), async || {
        let height = metric(&follower.metrics, "rota_height").await.unwrap_or_default();
        Ok((height >= head as f64).then_some(()))
    })
    .await?;

    let height = net.l2(0).await?.get_block_number().await? - 2;
    let equivocator = net.equivocator(2).await?;
    let decision = net.decision(height).await?;
    let first = net.node(0)?.metrics_url.as_str();
    // Who cannot pay finds it, too.
    for (watcher, before) in [(first, 1.0), (follower.metrics.as_str(), 0.0)] {
        net.wait(&format!("{watcher} to find it"), Duration::from_secs(60), async || {
            equivocator.vote(late_vote(&decision, 1))?;
            equivocator.vote(late_vote(&decision, 2))?;
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok((metric(watcher, "rota_evidence_found_total").await? > before).then_some(()))
        })
        .await?;
    }
    equivocator.leave();
    let slasher = Slasher::new(network.deployment.contracts.slasher, network.l1.clone());
    net.wait("the conviction by the follower", Duration::from_secs(60), async || {
        Ok(slasher.isConvicted(culprit.id).call().await?.then_some(()))
    })
    .await?;
    let taken = slasher.convictionOf(culprit.id).call().await?.taken;
    let by = rewarded(net, culprit.id, FOLLOWER_REWARDED, U256::from(taken)).await?;
    ensure!(by == dev_key(FOLLOWER_ACCOUNT)?.address(), "operator {} was reported by {by}", culprit.id);
    // Counted once the transaction is known to be included.
    net.wait("the follower to count its report", Duration::from_secs(20), async || {
        Ok((metric(&follower.metrics, "rota_evidence_reported_total").await? == 1.0).then_some(()))
    })
    .await
}

/// Another vote of the round in which a block was decided.
fn late_vote(decision: &Decision, block: u8) -> Vote {
    let Decision { height, round, epoch, fork, .. } = *decision;
    Vote { kind: VoteKind::Prevote, fork, epoch, height, round, block_hash: B256::repeat_byte(block) }
}

async fn a_late_vote_is_found(net: &TestNet, follower: &Follower, height: u64) -> Result<()> {
    let manifest = &net.devnet.manifest;
    let culprit = net.node(1)?;
    let watchers: Vec<&str> =
        manifest.l2.nodes.iter().map(|node| node.metrics_url.as_str()).chain([follower.metrics.as_str()]).collect();
    for watcher in &watchers {
        ensure!(metric(watcher, "rota_evidence_found_total").await? == 0.0, "{watcher} accuses somebody of nothing");
    }

    let equivocator = net.equivocator(1).await?;
    let decision = net.decision(height).await?;
    net.say(&format!("operator {} votes again at height {height}", culprit.id));
    for watcher in watchers {
        // What nobody hears while connections are made is lost, so it is said again.
        net.wait(&format!("{watcher} to find it"), Duration::from_secs(60), async || {
            equivocator.vote(late_vote(&decision, 1))?;
            equivocator.vote(late_vote(&decision, 2))?;
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok((metric(watcher, "rota_evidence_found_total").await? >= 1.0).then_some(()))
        })
        .await?;
        ensure!(metric(watcher, "rota_evidence_found_total").await? == 1.0, "{watcher} counts one fault twice");
    }
    equivocator.leave();
    Ok(())
}
