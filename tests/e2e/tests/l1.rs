//! The rollup while its L1 misbehaves: silent for a while, and reorganised within the confirmations.

use std::time::Duration;

use alloy::providers::{Provider as _, ext::AnvilApi as _};
use alloy::rpc::types::anvil::ReorgOptions;
use eyre::{Result, ensure};
use nix::sys::signal::Signal;
use rota::devnet::process::signal;
use rota_e2e::{TestNet, block_hash, provider};

/// How long L1 is silent: far below the 60 s after which L2 has to stop (protocol section 11).
const SILENCE: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_goes_on_while_l1_is_silent_or_reorganises() -> Result<()> {
    let net = TestNet::start_with(2, &[1_000]).await?;
    net.run(async |net| {
        posted_after(net, 0).await?;
        silence(net).await?;
        reorganisation(net).await?;
        same_hashes(net).await
    })
    .await
}

/// Waits until a batch above `index` is on L1; returns its index.
async fn posted_after(net: &TestNet, index: u64) -> Result<u64> {
    let batches = net.devnet.network.batches();
    net.wait(&format!("a batch after {index}"), Duration::from_secs(60), async || {
        let head = batches.headIndex().call().await?;
        Ok((head > index).then_some(head))
    })
    .await
}

async fn silence(net: &TestNet) -> Result<()> {
    let l2 = net.l2(0).await?;
    let (posted, before) = (posted_after(net, 0).await?, l2.get_block_number().await?);
    net.say("stopping L1");
    signal(net.devnet.manifest.l1.pid, Signal::SIGSTOP);
    tokio::time::sleep(SILENCE).await;
    let after = l2.get_block_number().await;
    signal(net.devnet.manifest.l1.pid, Signal::SIGCONT);
    // Half of what 250 ms a block would give: this is about going on, not about speed.
    let (made, least) = (after?.saturating_sub(before), SILENCE.as_millis() as u64 / 500);
    ensure!(made >= least, "{made} blocks while L1 was silent, expected at least {least}");
    net.say(&format!("{made} blocks without L1"));
    posted_after(net, posted).await?;
    let origin = origin(net).await?;
    net.wait("a newer L1 origin", Duration::from_secs(20), async || {
        Ok((self::origin(net).await? > origin).then_some(()))
    })
    .await
}

/// Height of the L1 origin of the head.
async fn origin(net: &TestNet) -> Result<u64> {
    let status: serde_json::Value = net.l2(0).await?.raw_request("rota_status".into(), ()).await?;
    let number = &status["head"]["l1Origin"]["number"];
    number.as_u64().ok_or_else(|| eyre::eyre!("rota_status has no origin: {status}"))
}

async fn reorganisation(net: &TestNet) -> Result<()> {
    let (l2, l1) = (net.l2(0).await?, provider(&net.devnet.manifest.l1.rpc_url, None).await?);
    for _ in 0..3 {
        let posted = net.devnet.network.batches().headIndex().call().await?;
        let before = l2.get_block_number().await?;
        // Two confirmations: neither of these blocks is anybody's origin yet. What was posted in them is lost.
        net.say("replacing the two newest L1 blocks");
        l1.anvil_reorg(ReorgOptions { depth: 2, tx_block_pairs: vec![] }).await?;
        posted_after(net, posted).await?;
        let after = l2.get_block_number().await?;
        ensure!(after > before, "L2 stands at block {after}");
    }
    Ok(())
}

async fn same_hashes(net: &TestNet) -> Result<()> {
    let (first, second) = (net.l2(0).await?, net.l2(1).await?);
    let head = first.get_block_number().await?;
    net.all_at(head, Duration::from_secs(10)).await?;
    for height in 1..=head {
        let (ours, theirs) = (block_hash(&first, height).await?, block_hash(&second, height).await?);
        ensure!(ours == theirs, "block {height} is {ours} on one node and {theirs} on the other");
    }
    net.say(&format!("{head} blocks, the same on both nodes"));
    Ok(())
}
