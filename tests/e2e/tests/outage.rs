//! More than a third of the weight is absent: nobody is jailed for it. Two of four nodes go down, which stops the chain, and
//! come back unable to get a block out, so that they miss every slot of an epoch while the chain goes on by their votes. The
//! tally that they certify themselves shows both absent; the keeper says why nobody is jailed, and L1 refuses to.

use std::time::Duration;

use alloy::{
    primitives::{B256, Bytes},
    providers::Provider as _,
    sol_types::SolValue as _,
};
use eyre::{Result, ensure, eyre};
use rota::{
    connection::dev_key,
    devnet::{
        process::{self, Process},
        toolchain,
    },
    keeper::{Outage, absent},
};
use rota_bindings::{OfflineFault, RotaError, Slasher, generated::offline_fault::IBatchChain::BatchHeader};
use rota_e2e::{TestNet, follower::metric};
use rota_protocol::{batch::decode_entries, member::FrozenSet};
use serde::Deserialize;
use tokio::process::Command;

/// Status of the registry.
const ACTIVE: u8 = 1;

/// Account of the keeper that jails: the devnet's own does not.
const KEEPER: u32 = 8;

/// Sequencers that fail, by index. Not the first, which is asked.
const ABSENT: [usize; 2] = [2, 3];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_jailed_while_more_than_a_third_is_absent() -> Result<()> {
    let net = TestNet::start(&[1_000]).await?;
    net.run(async |net| {
        net.all_at(3, Duration::from_secs(60)).await?;
        let mut keeper = Keeper::start(net)?;
        let sigma = outage(net).await?;
        let batch = keeper.says_why(net, sigma).await?;
        refused_by_l1(net, sigma, &batch).await?;
        // Looked at again when the batch is FINAL, it stays nobody's fault.
        net.wait("the batch to be final", Duration::from_secs(60), async || {
            let last = net.devnet.network.batches().finalHead().call().await?;
            let answer: Option<Answer> = net.l2(0).await?.raw_request("rota_batch".into(), (last,)).await?;
            Ok(answer.is_some_and(|answer| answer.header.index >= batch.header.index).then_some(()))
        })
        .await?;
        net.serves_from(sigma + 2).await?;
        keeper.process.check_running()?;
        nobody_is_jailed(net).await
    })
    .await
}

/// `rota keeper`.
struct Keeper {
    process: Process,
    metrics: String,
}

impl Keeper {
    fn start(net: &TestNet) -> Result<Self> {
        let metrics = format!("127.0.0.1:{}", process::free_port()?);
        let mut command = Command::new(toolchain::sequencer()?.with_file_name("rota"));
        command.arg("--devnet-dir").arg(&net.devnet.dir).args(["keeper", "--mnemonic-index", &KEEPER.to_string()]);
        command.args(["--interval", "0.5", "--jitter", "0", "--metrics", &metrics]).env("NO_COLOR", "1");
        let process = Process::start("keeper", command, net.devnet.manifest.logs.join("keeper-that-jails.log"))?;
        Ok(Self { process, metrics: format!("http://{metrics}") })
    }

    /// Waits until it has judged the tally of `sigma` and says that nobody is jailed by it; returns the batch.
    async fn says_why(&mut self, net: &TestNet, sigma: u32) -> Result<Answer> {
        let verdict = format!("nobody is jailed for epoch {sigma} by batch");
        let line = net
            .wait("the keeper to say why nobody is jailed", Duration::from_secs(60), async || {
                self.process.check_running()?;
                let log = std::fs::read_to_string(&self.process.log)?;
                Ok(log.lines().find(|line| line.contains(&verdict)).map(str::to_owned))
            })
            .await?;
        let outages = metric(&self.metrics, "rota_keeper_outages_total").await?;
        ensure!(outages == 1.0, "the keeper counts {outages} outages");
        ensure!(line.contains("more than a third of the weight"), "it says: {line}");
        net.say(&line);
        let batch = line.split_whitespace().find_map(|word| word.trim_end_matches(':').parse::<B256>().ok());
        let batch = batch.ok_or_else(|| eyre!("it names no batch: {line}"))?;
        Ok(net.l2(0).await?.raw_request("rota_batch".into(), (batch,)).await?)
    }
}

/// What tests ask of `rota_batch`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    header: Header,
    header_abi: Bytes,
    tally_entries: Bytes,
}

#[derive(Debug, Deserialize)]
struct Header {
    index: u64,
}

/// Two nodes go down shortly before an epoch, and the chain stands still; then they vote again, but none of their proposals
/// leaves them before that epoch is over. Returns it.
async fn outage(net: &mut TestNet) -> Result<u32> {
    let network = net.devnet.network.clone();
    // So late in a whole epoch that what they miss of it is far from half.
    net.serves_from(net.serving().await? + 1).await?;
    let sigma = net
        .wait("the end of an epoch", Duration::from_secs(60), async || {
            let (epoch, now) = (net.serving().await?, network.l1_time().await?);
            let left = network.clock().start_of(epoch + 1).saturating_sub(now);
            Ok((network.clock().epoch_at(now) == epoch && (4..=7).contains(&left)).then_some(epoch + 1))
        })
        .await?;
    for index in ABSENT {
        net.devnet.nodes.get_mut(index).ok_or_else(|| eyre!("node {index} does not run"))?.crash().await?;
    }
    net.say(&format!("half of the weight is down before epoch {sigma}"));
    let l2 = net.l2(0).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let head = l2.get_block_number().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(l2.get_block_number().await? == head, "blocks are decided without a quorum");
    for index in ABSENT {
        let node = net.node(index)?;
        let (id, home) = (node.id, node.home.clone());
        let mut command = Command::new(env!("CARGO_BIN_EXE_byzantine-sequencer"));
        command.arg("--home").arg(home).args(["--behaviour", r#"{"drop_proposals": {"mode": "always"}}"#]);
        let log = net.devnet.manifest.logs.join(format!("sequencer-{id}.log"));
        let slot = net.devnet.nodes.get_mut(index).ok_or_else(|| eyre!("node {index} does not run"))?;
        *slot = Process::start(format!("mute sequencer {id}"), command, log)?;
    }
    net.wait("blocks again", Duration::from_secs(30), async || {
        Ok((l2.get_block_number().await? > head + 1).then_some(()))
    })
    .await?;
    net.say("both vote again, but propose nothing");
    net.serves_from(sigma + 1).await?;
    for index in ABSENT {
        let slot = net.devnet.nodes.get_mut(index).ok_or_else(|| eyre!("node {index} does not run"))?;
        slot.crash().await?;
        net.devnet.restart_node(index)?;
    }
    net.say("both propose again");
    Ok(sigma)
}

/// Both were absent, and L1 refuses to jail who had enough slots to be jailed for it.
async fn refused_by_l1(net: &TestNet, sigma: u32, batch: &Answer) -> Result<()> {
    let network = &net.devnet.network;
    let offline = OfflineFault::new(network.deployment.contracts.offline_fault, network.l1.clone());
    let min_slots = offline.MIN_SLOTS().call().await?;
    let set: FrozenSet = rota::epoch::frozen_set(network, sigma).await?;
    let entries = decode_entries(&batch.tally_entries)?;
    let header = BatchHeader::abi_decode(&batch.header_abi)?;
    ensure!(header.tally.epoch == sigma, "the batch has the tally of epoch {}", header.tally.epoch);
    let mut judged = 0;
    for index in ABSENT {
        let id = net.node(index)?.id;
        let entry = entries.iter().find(|entry| entry.id == id).ok_or_else(|| eyre!("no entry of operator {id}"))?;
        ensure!(entry.slots_assigned > 0 && 2 * entry.own_produced <= entry.slots_assigned, "not absent: {entry:?}");
        net.say(&format!("operator {id} made {} of {} blocks", entry.own_produced, entry.slots_assigned));
        if entry.slots_assigned < min_slots {
            continue;
        }
        let (members, entries) = (set.encode_members().into(), batch.tally_entries.clone());
        let reporter = dev_key(KEEPER)?.address();
        let refusal = offline.jail(id, header.clone(), members, entries, reporter).call().await;
        let refusal = refusal.err().as_ref().and_then(RotaError::from_call).and_then(|refusal| refusal.name());
        ensure!(refusal == Some("OfflineFault_TooManyAbsent"), "L1 says {refusal:?} to jailing operator {id}");
        judged += 1;
    }
    ensure!(judged > 0, "neither had {min_slots} slots: this shows nothing");
    let verdict = absent(&set, &entries, min_slots);
    ensure!(matches!(verdict, Err(Outage::Weight { .. })), "the keeper judges {verdict:?}");
    nobody_is_jailed(net).await
}

async fn nobody_is_jailed(net: &TestNet) -> Result<()> {
    let network = &net.devnet.network;
    let slasher = Slasher::new(network.deployment.contracts.slasher, network.l1.clone());
    for node in &net.devnet.manifest.l2.nodes {
        let status = network.registry().statusOf(node.id).call().await?;
        ensure!(status == ACTIVE, "operator {} has status {status}", node.id);
    }
    let jailed = slasher.OfflineJailed_filter().from_block(0).query().await?;
    ensure!(jailed.is_empty(), "jailed: {jailed:?}");
    Ok(())
}
