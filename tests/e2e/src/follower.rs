//! A node without a key beside a devnet, and what nodes count.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use alloy::primitives::Address;
use eyre::{Context as _, Result, ensure, eyre};
use rota::{
    connection::dev_key,
    devnet::{process, toolchain},
};
use rota_sequencer::{
    config::{CONFIG_FILE, Config},
    keys,
};

use crate::TestNet;

/// `rota-sequencer follow`, in a folder of its own; it ends with this object.
#[derive(Debug)]
pub struct Follower {
    process: Child,
    /// Its metrics server.
    pub metrics: String,
    log: PathBuf,
    home: tempfile::TempDir,
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Nothing is lost by it: the folder goes, too.
        self.kill();
    }
}

impl Follower {
    /// Starts one that knows all nodes of the devnet; its log is beside theirs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(net: &TestNet) -> Result<Self> {
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
        let log = manifest.logs.join("follower.log");
        let process = follow(home.path(), &log)?;
        Ok(Self { process, metrics: format!("http://127.0.0.1:{metrics}"), log, home })
    }

    /// Starts it again, still without a consensus key, but with account `account` of the development mnemonic to pay for
    /// reports with. `recipient` is credited for them; its turn comes a second after that of each better ranked node.
    ///
    /// # Errors
    /// When its configuration cannot be written, or it cannot be started.
    pub fn report(&mut self, account: u32, recipient: Address) -> Result<()> {
        self.kill();
        let home = self.home.path();
        let (key, password) = (PathBuf::from("keys/reporter.json"), PathBuf::from("keys/reporter.pass"));
        keys::write_secret(&home.join(&password), "reporter")?;
        keys::store_signer(&home.join(&key), &dev_key(account)?, "reporter")?;
        let mut config = Config::load(home)?;
        ensure!(config.keys.consensus.is_none(), "the follower has a consensus key");
        config.evidence.key = Some(key);
        config.evidence.password = Some(password);
        config.evidence.reward_recipient = Some(recipient);
        config.evidence.turn = Duration::from_secs(1);
        std::fs::write(home.join(CONFIG_FILE), config.to_toml()?)?;
        self.process = follow(home, &self.log)?;
        Ok(())
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn follow(home: &Path, log: &Path) -> Result<Child> {
    Command::new(toolchain::sequencer()?)
        .args(["follow", "--home"])
        .arg(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::options().create(true).append(true).open(log)?)
        .spawn()
        .wrap_err("cannot start the follower")
}

/// The value of a metric without labels, from a node's metrics server.
///
/// # Errors
/// When the node does not answer or has no such metric.
pub async fn metric(url: &str, name: &str) -> Result<f64> {
    let text = reqwest::get(format!("{url}/metrics")).await?.error_for_status()?.text().await?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.ok_or_else(|| eyre!("{url} has no {name}"))?.trim().parse()?)
}
