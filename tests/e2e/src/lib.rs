//! End-to-end harness: a devnet of real processes in a temporary folder, and an observer that recomputes from L1 and
//! L2 data what the protocol promises, without asking the node's own opinion.

pub mod bench;
pub mod equivocator;
pub mod follower;
pub mod liquid;
pub mod observer;
pub mod rewards;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use alloy::{
    network::EthereumWallet,
    primitives::{Address, B256, U256},
    providers::{DynProvider, Provider as _, ProviderBuilder},
    rpc::types::{TransactionReceipt, TransactionRequest},
    signers::local::PrivateKeySigner,
};
use eyre::{Context as _, Result, ensure, eyre};
use rota::{
    connection::dev_key,
    devnet::{Devnet, DevnetArgs, manifest::Node, process},
};
use rota_protocol::{config::ChainConfig, member::FrozenSet};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use equivocator::Equivocator;

/// Deadlines are doubled on shared machines (`CI=true`).
pub fn patience(bound: Duration) -> Duration {
    if std::env::var_os("CI").is_some() { bound * 2 } else { bound }
}

/// What decided a block, as far as tests ask `rota_certificate`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// L2 height.
    pub height: u64,
    /// Consensus round.
    pub round: u32,
    /// σ.
    pub epoch: u32,
    /// Count of re-executions.
    pub fork: u32,
    /// The block.
    pub block_hash: B256,
    /// Bit `i` set: the certificate has the precommit of member `i`.
    pub signers: U256,
}

/// A devnet of profile `test` in a temporary folder; its logs are kept when a test fails.
#[derive(Debug)]
pub struct TestNet {
    /// The devnet.
    pub devnet: Devnet,
    folder: Option<tempfile::TempDir>,
    since: Instant,
}

impl TestNet {
    /// Starts four sequencers with the given bonds (whole tokens; one for all, or one each).
    ///
    /// # Errors
    /// When something cannot be started.
    pub async fn start(bonds: &[u64]) -> Result<Self> {
        Self::start_with(4, bonds).await
    }

    /// Starts `nodes` sequencers.
    ///
    /// # Errors
    /// When something cannot be started.
    pub async fn start_with(nodes: u32, bonds: &[u64]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("rota-e2e-").tempdir()?;
        let args = DevnetArgs {
            nodes: Some(nodes),
            block_time: None,
            l1_block_time: None,
            profile: Some("test".to_owned()),
            fresh: true,
            bonds: bonds.to_vec(),
        };
        let since = Instant::now();
        let devnet = Devnet::start(&args, folder.path().join("net"), false).await?;
        println!("[{:6.1} s] devnet up in {}", since.elapsed().as_secs_f64(), devnet.dir.display());
        Ok(Self { devnet, folder: Some(folder), since })
    }

    /// Prints what is being done, with the time since the start.
    pub fn say(&self, what: &str) {
        println!("[{:6.1} s] {what}", self.since.elapsed().as_secs_f64());
    }

    /// Waits for a condition; says what was awaited when it took long or did not come.
    ///
    /// # Errors
    /// When `deadline` (doubled in CI) passes or the condition fails.
    pub async fn wait<T>(
        &self,
        what: &str,
        deadline: Duration,
        condition: impl AsyncFnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let asked = Instant::now();
        let outcome = rota::progress::wait_until(what, patience(deadline), Duration::from_millis(50), condition).await;
        // What came at once is not worth a line.
        if asked.elapsed() > Duration::from_secs(2) || outcome.is_err() {
            self.say(&format!("waited {:.1} s for {what}", asked.elapsed().as_secs_f64()));
        }
        outcome
    }

    /// Runs `scenario`, stops everything, and keeps the folder when the scenario failed.
    ///
    /// # Errors
    /// The scenario's.
    pub async fn run(mut self, scenario: impl AsyncFnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let outcome = scenario(&mut self).await;
        self.say(if outcome.is_ok() { "passed, stopping" } else { "FAILED, stopping" });
        self.devnet.stop().await;
        if outcome.is_err()
            && let Some(folder) = self.folder.take()
        {
            println!("logs are kept in {}", folder.keep().join("net/logs").display());
        }
        outcome
    }

    /// Sequencer `index` (0 is the first).
    ///
    /// # Errors
    /// When there is no such sequencer.
    pub fn node(&self, index: usize) -> Result<&Node> {
        self.devnet.manifest.l2.nodes.get(index).ok_or_else(|| eyre!("there is no node {index}"))
    }

    /// JSON-RPC of sequencer `index`.
    ///
    /// # Errors
    /// When there is no such sequencer.
    pub async fn l2(&self, index: usize) -> Result<DynProvider> {
        provider(&self.node(index)?.rpc_url, None).await
    }

    /// The same, signing as account `user` of the development mnemonic.
    ///
    /// # Errors
    /// When there is no such sequencer.
    pub async fn l2_as(&self, index: usize, user: u32) -> Result<DynProvider> {
        provider(&self.node(index)?.rpc_url, Some(dev_key(user)?)).await
    }

    /// The chain file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn chain(&self) -> Result<ChainConfig> {
        Ok(serde_json::from_slice(&std::fs::read(&self.devnet.manifest.chain)?)?)
    }

    /// What decided the block at `height`, which must exist.
    ///
    /// # Errors
    /// When it does not.
    pub async fn decision(&self, height: u64) -> Result<Decision> {
        Ok(self.l2(0).await?.raw_request("rota_certificate".into(), (height,)).await?)
    }

    /// Epoch of the set that decided the last block, as the first sequencer tells it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn serving(&self) -> Result<u32> {
        let status: serde_json::Value = self.l2(0).await?.raw_request("rota_status".into(), ()).await?;
        Ok(status["head"]["epoch"].as_u64().ok_or_else(|| eyre!("no epoch in {status}"))?.try_into()?)
    }

    /// The set that decided the last block.
    ///
    /// # Errors
    /// As [`Self::serving`], or when L1 fails.
    pub async fn serving_set(&self) -> Result<FrozenSet> {
        rota::epoch::frozen_set(&self.devnet.network, self.serving().await?).await
    }

    /// Waits until the set of `epoch` or a later one serves.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn serves_from(&self, epoch: u32) -> Result<()> {
        self.wait(&format!("the set of epoch {epoch} to serve"), Duration::from_secs(90), async || {
            Ok((self.serving().await? >= epoch).then_some(()))
        })
        .await
    }

    /// Waits until a set without the operators `gone` serves, which must have everybody else; returns its epoch.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn serves_without(&self, gone: &[u32]) -> Result<u32> {
        let expected: BTreeSet<u32> =
            self.devnet.manifest.l2.nodes.iter().map(|node| node.id).filter(|id| !gone.contains(id)).collect();
        let epoch = self
            .wait(&format!("a set without {gone:?} to serve"), Duration::from_secs(90), async || {
                let set = self.serving_set().await?;
                let ids: BTreeSet<u32> = set.members().iter().map(|member| member.id).collect();
                Ok((ids == expected).then_some(set.epoch()))
            })
            .await?;
        self.say(&format!("the set of epoch {epoch} serves without {gone:?}"));
        Ok(epoch)
    }

    /// A voice with the consensus key of sequencer `index`, connected to all sequencers.
    ///
    /// # Errors
    /// When there is no such sequencer, or the network cannot be started.
    pub async fn equivocator(&self, index: usize) -> Result<Equivocator> {
        let key = dev_key(self.node(index)?.signer_index)?.into_credential();
        let listen = format!("/ip4/127.0.0.1/tcp/{}", process::free_port()?).parse()?;
        let peers = self.devnet.manifest.l2.nodes.iter().map(|node| Ok(node.peer.parse()?)).collect::<Result<_>>()?;
        Equivocator::join(self.chain()?.vote_domain(), key, listen, peers).await
    }

    /// Longest time between two heads of sequencer 0 from now on.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn watch_for_gaps(&self) -> Result<Gaps> {
        let (l2, stop) = (self.l2(0).await?, CancellationToken::new());
        let token = stop.clone();
        let task = tokio::spawn(async move {
            let (mut head, mut since, mut longest) = (l2.get_block_number().await?, Instant::now(), Duration::ZERO);
            while !token.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let now = l2.get_block_number().await?;
                longest = longest.max(since.elapsed());
                if now > head {
                    (head, since) = (now, Instant::now());
                }
            }
            Ok(longest)
        });
        Ok(Gaps { stop, task })
    }

    /// Sends `value` wei on L2 and waits for the receipt.
    ///
    /// # Errors
    /// When it is refused or fails.
    pub async fn transfer(&self, from: u32, to: Address, value: U256) -> Result<TransactionReceipt> {
        let l2 = self.l2_as(0, from).await?;
        let receipt =
            l2.send_transaction(TransactionRequest::default().to(to).value(value)).await?.get_receipt().await?;
        ensure!(receipt.status(), "the transfer {} failed", receipt.transaction_hash);
        Ok(receipt)
    }

    /// Waits until every sequencer's head is at `height` or above.
    ///
    /// # Errors
    /// When `deadline` passes.
    pub async fn all_at(&self, height: u64, deadline: Duration) -> Result<()> {
        for index in 0..self.devnet.nodes.len() {
            let l2 = self.l2(index).await?;
            self.wait(&format!("node {} at height {height}", index + 1), deadline, async || {
                Ok((l2.get_block_number().await? >= height).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until every sequencer answers and decides blocks, after they were started again.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn answering(&self) -> Result<()> {
        for index in 0..self.devnet.nodes.len() {
            let l2 = self.l2(index).await?;
            let head = self
                .wait(&format!("node {} to answer", index + 1), Duration::from_secs(30), async || {
                    Ok(l2.get_block_number().await.ok())
                })
                .await?;
            self.wait(&format!("node {} to go on", index + 1), Duration::from_secs(30), async || {
                Ok((l2.get_block_number().await? > head + 2).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until all sequencers have the head of the first, and compares every block.
    ///
    /// # Errors
    /// When two have different blocks at one height.
    pub async fn same_everywhere(&self) -> Result<()> {
        let first = self.l2(0).await?;
        let head = first.get_block_number().await?;
        self.all_at(head, Duration::from_secs(30)).await?;
        let mut expected = Vec::new();
        for height in 1..=head {
            expected.push(block_hash(&first, height).await?);
        }
        for index in 1..self.devnet.nodes.len() {
            let l2 = self.l2(index).await?;
            for (height, expected) in (1..).zip(&expected) {
                let found = block_hash(&l2, height).await?;
                ensure!(found == *expected, "node {} has block {height} {found}, node 1 has {expected}", index + 1);
            }
        }
        self.say(&format!("{} nodes agree on {head} blocks", self.devnet.nodes.len()));
        Ok(())
    }

    /// Runs a Node script of `tests/clients` against sequencer `index` and shows what it prints.
    ///
    /// # Errors
    /// When it exits with a failure.
    pub fn run_client(&self, script: &str, index: usize, extra: &[&str]) -> Result<()> {
        let node = self.node(index)?;
        self.say(&format!("running {script}"));
        let root = root();
        let output = Command::new("node")
            .arg(root.join("tests/clients").join(script))
            .arg(&node.rpc_url)
            .args(extra)
            .current_dir(&root)
            .output()
            .wrap_err("cannot start node")?;
        print!("{}", String::from_utf8_lossy(&output.stdout));
        ensure!(output.status.success(), "{script} failed:\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// Longest time between two blocks while the leader of at most one slot in a row is missing (`Gaps::check`).
pub const ONE_LEADER_MISSING: Duration = Duration::from_millis(2_300);

/// A watch over the time between blocks.
#[derive(Debug)]
pub struct Gaps {
    stop: CancellationToken,
    task: JoinHandle<Result<Duration>>,
}

impl Gaps {
    /// Ends it: the longest time without a new block, which must be at most `bound` (doubled in CI).
    ///
    /// # Errors
    /// When it was longer, or the node did not answer.
    pub async fn check(self, bound: Duration) -> Result<Duration> {
        self.stop.cancel();
        let (longest, bound) = (self.task.await??, patience(bound));
        ensure!(longest <= bound, "no block for {longest:?}, the bound is {bound:?}");
        Ok(longest)
    }
}

/// Root of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A provider that polls quickly.
///
/// # Errors
/// When the endpoint cannot be reached.
pub async fn provider(url: &str, key: Option<PrivateKeySigner>) -> Result<DynProvider> {
    let provider = match key {
        Some(key) => ProviderBuilder::new().wallet(EthereumWallet::from(key)).connect(url).await?.erased(),
        None => ProviderBuilder::new().connect(url).await?.erased(),
    };
    provider.client().set_poll_interval(Duration::from_millis(50));
    Ok(provider)
}

/// Hash of the block at `height`, which must exist.
///
/// # Errors
/// When it does not.
pub async fn block_hash(l2: &DynProvider, height: u64) -> Result<B256> {
    let block = l2.get_block_by_number(height.into()).await?;
    Ok(block.ok_or_else(|| eyre!("no block {height}"))?.header.hash)
}
