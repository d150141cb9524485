//! A node without a key beside a devnet, and what nodes count.

use std::process::{Child, Command, Stdio};

use eyre::{Context as _, Result, ensure, eyre};
use rota::devnet::{process, toolchain};

use crate::TestNet;

/// `rota-sequencer follow`, in a folder of its own; it ends with this object.
#[derive(Debug)]
pub struct Follower {
    process: Child,
    /// Its metrics server.
    pub metrics: String,
    _home: tempfile::TempDir,
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Nothing is lost by it: the folder goes, too.
        let _ = self.process.kill();
        let _ = self.process.wait();
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
        let log = std::fs::File::create(manifest.logs.join("follower.log"))?;
        let process = Command::new(toolchain::sequencer()?)
            .args(["follow", "--home"])
            .arg(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .wrap_err("cannot start the follower")?;
        Ok(Self { process, metrics: format!("http://127.0.0.1:{metrics}"), _home: home })
    }
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
