//! What becomes of a consensus key when its machine has an accident, or its operator makes a mistake: real processes, and
//! a node without a key that hears every message and must never find two of one signer at one place.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use alloy::{
    primitives::{Address, hex},
    providers::Provider as _,
};
use eyre::{Context as _, Result, ensure, eyre};
use rota::{
    connection::dev_key,
    devnet::{manifest::Node, process, toolchain},
};
use rota_e2e::{
    TestNet,
    follower::{Follower, metric},
};
use tokio::process::Command;

/// Exit code of what must not be started again before somebody looked.
const STAY_DOWN: i32 = 3;
/// Exit code of what a supervisor may start again.
const FAILED: i32 = 1;
/// How far a head may be behind what the key has voted on: in a devnet a few heights.
const MARGIN: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_survives_lost_disks_old_copies_moves_and_rotation() -> Result<()> {
    // The last one's weight does not matter: it is away while another one is.
    let net = TestNet::start_with(5, &[1_000, 1_000, 1_000, 1_000, 300]).await?;
    net.run(async |net| {
        net.all_at(3, Duration::from_secs(60)).await?;
        let witness = Follower::start(net)?;
        let head = net.l2(0).await?.get_block_number().await?;
        net.wait("the witness to catch up", Duration::from_secs(60), async || {
            Ok((metric(&witness.metrics, "rota_height").await.unwrap_or_default() >= head as f64).then_some(()))
        })
        .await?;
        let next = rotate(net, 4).await?;
        one_key_runs_once(net, 1).await?;
        a_lost_disk(net, 1).await?;
        an_old_copy(net, 2).await?;
        a_move(net, 3).await?;
        the_next_key_votes(net, 4, next).await?;

        let found = metric(&witness.metrics, "rota_evidence_found_total").await?;
        ensure!(found == 0.0, "the witness has found {found} contradictions");
        ensure!(metric(&witness.metrics, "rota_evidence_dropped_total").await? == 0.0, "the witness missed messages");
        for node in &net.devnet.manifest.l2.nodes {
            let found = metric(&node.metrics_url, "rota_evidence_found_total").await?;
            ensure!(found == 0.0, "the node of operator {} has found {found} contradictions", node.id);
        }
        net.say("nobody has ever signed two things at one place");
        Ok(())
    })
    .await
}

fn node(net: &TestNet, index: usize) -> Result<Node> {
    net.devnet.manifest.l2.nodes.get(index).cloned().ok_or_else(|| eyre!("there is no node {index}"))
}

/// Runs `rota-sequencer` on a home until it ends.
async fn sequencer(home: &Path, args: &[&str]) -> Result<Output> {
    let mut command = Command::new(toolchain::sequencer()?);
    command.args(args).arg("--home").arg(home).stdin(Stdio::null()).kill_on_drop(true);
    for name in ["CONSENSUS_LISTEN", "GOSSIP_LISTEN"] {
        command.env(format!("ROTA_{name}"), format!("/ip4/127.0.0.1/tcp/{}", process::free_port()?));
    }
    for name in ["RPC_LISTEN", "METRICS_LISTEN"] {
        command.env(format!("ROTA_{name}"), format!("127.0.0.1:{}", process::free_port()?));
    }
    let ended = tokio::time::timeout(rota_e2e::patience(Duration::from_secs(30)), command.output()).await;
    ended.wrap_err_with(|| format!("rota-sequencer {args:?} did not end"))?.wrap_err("rota-sequencer did not start")
}

/// It must succeed.
async fn succeeds(home: &Path, args: &[&str]) -> Result<String> {
    let output = sequencer(home, args).await?;
    ensure!(output.status.success(), "rota-sequencer {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// It must fail with `code` and say each of `reasons`.
async fn refuses(home: &Path, args: &[&str], code: i32, reasons: &[&str]) -> Result<()> {
    let output = sequencer(home, args).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "rota-sequencer {args:?} ended with {}: {said}", output.status);
    for reason in reasons {
        ensure!(said.contains(reason), "rota-sequencer {args:?} does not say '{reason}': {said}");
    }
    Ok(())
}

/// Stops a node as `kill` does, and frees its files.
async fn stop(net: &mut TestNet, index: usize) -> Result<()> {
    let slot = net.devnet.nodes.get_mut(index).ok_or_else(|| eyre!("node {index} does not run"))?;
    slot.stop(Duration::from_secs(8)).await;
    Ok(())
}

/// Whether `signer` is in the certificate of `height` as any node of the devnet has it.
async fn signed(net: &TestNet, signer: Address, height: u64) -> Result<bool> {
    for node in &net.devnet.manifest.l2.nodes {
        let Ok(l2) = rota_e2e::provider(&node.rpc_url, None).await else { continue };
        // A node that is down has nothing to say.
        let certificate: serde_json::Value =
            l2.raw_request("rota_certificate".into(), (height,)).await.unwrap_or_default();
        let signatures = certificate["signatures"].as_array();
        if signatures.is_some_and(|all| {
            all.iter().any(|one| one["signer"] == format!("{signer:#x}") || one["signer"] == signer.to_string())
        }) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits until `signer` votes at a height of at least `from`, and returns it.
async fn votes(net: &TestNet, by: usize, signer: Address, from: u64) -> Result<u64> {
    let l2 = net.l2(by).await?;
    net.wait(&format!("{signer} to vote from height {from} on"), Duration::from_secs(60), async || {
        let head = l2.get_block_number().await.unwrap_or_default();
        for height in from.max(head.saturating_sub(3))..=head {
            if signed(net, signer, height).await? {
                return Ok(Some(height));
            }
        }
        Ok(None)
    })
    .await
}

/// All of a home but its data.
fn copy_without_data(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() == "data" {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?
        } else {
            fs::copy(entry.path(), target).map(drop)?
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target) = {
            let entry = entry?;
            let target = to.join(entry.file_name());
            (entry, target)
        };
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?
        } else {
            fs::copy(entry.path(), target).map(drop)?
        }
    }
    Ok(())
}

/// A second process with the key of a running node, in a home of its own: without a table it does not start, and with one
/// that somebody made carelessly it meets the lock.
async fn one_key_runs_once(net: &TestNet, index: usize) -> Result<()> {
    let node = node(net, index)?;
    let other = node.home.with_extension("copy");
    copy_without_data(&node.home, &other)?;
    let signer = node.signer.to_string();
    refuses(&other, &["run"], STAY_DOWN, &["no slashing-protection table", "--above", "--never-signed", &signer])
        .await?;
    // An export from a wrong or unmounted folder must not pass for the record of a key that signed nothing.
    refuses(&other, &["protection", "export"], FAILED, &["no slashing-protection table"]).await?;
    ensure!(!other.join("data/consensus").exists(), "a refusal left a table behind");
    refuses(&node.home, &["protection", "export"], FAILED, &["another node runs in this home directory"]).await?;
    succeeds(&other, &["protection", "new", "--never-signed"]).await?;
    let pid = format!("{}", net.devnet.nodes.get(index).map(process::Process::pid).unwrap_or_default());
    refuses(&other, &["run"], STAY_DOWN, &["another process on this machine votes with the key", &signer, &pid])
        .await?;
    net.say("a second process with a key does not start, with or without a table");
    Ok(())
}

/// The data directory of a node is gone while the others go on: it refuses to start, says what to do, and, told so, votes
/// above the height it was told and nowhere below.
async fn a_lost_disk(net: &mut TestNet, index: usize) -> Result<()> {
    let node = node(net, index)?;
    stop(net, index).await?;
    fs::remove_dir_all(node.home.join("data"))?;
    refuses(&node.home, &["run"], STAY_DOWN, &["no slashing-protection table", "protection new --above"]).await?;
    ensure!(!node.home.join("data/consensus").exists(), "a refusal left a table behind");
    let before = net.l2(0).await?.get_block_number().await?;
    let above = before + MARGIN;
    succeeds(&node.home, &["protection", "new", "--above", &above.to_string()]).await?;
    net.devnet.restart_node(index)?;
    let voted = votes(net, 0, node.signer, above + 1).await?;
    for height in before + 2..=above {
        ensure!(!signed(net, node.signer, height).await?, "it voted at {height}, below {above}");
    }
    net.say(&format!("after the loss of its disk at height {before} a node votes again at {voted}"));
    Ok(())
}

/// The data directory is replaced by a copy of some blocks ago. What was decided since has signatures of the key that the
/// copy does not know: the node stops before it signs anything there, and stays down until its operator has looked.
async fn an_old_copy(net: &mut TestNet, index: usize) -> Result<()> {
    let node = node(net, index)?;
    let (data, old) = (node.home.join("data"), node.home.join("old-data"));
    stop(net, index).await?;
    copy(&data, &old)?;
    let copied = net.l2(0).await?.get_block_number().await?;
    net.devnet.restart_node(index)?;
    let later = votes(net, 0, node.signer, copied + 2).await?;
    // And some more that no batch on L1 covers yet.
    let l2 = net.l2(0).await?;
    net.wait("some more blocks", Duration::from_secs(60), async || {
        Ok((l2.get_block_number().await? > later + 4).then_some(()))
    })
    .await?;
    stop(net, index).await?;
    fs::remove_dir_all(&data)?;
    copy(&old, &data)?;
    let log = net.devnet.manifest.logs.join(format!("sequencer-{}.log", node.id));
    let length = fs::metadata(&log)?.len() as usize;
    net.devnet.restart_node(index)?;
    ends_for_good(net, index).await?;
    let said = fs::read_to_string(&log)?.split_off(length);
    for reason in ["slashing protection", "does not know", "protection new --above"] {
        ensure!(said.contains(reason), "the node of operator {} does not say '{reason}'", node.id);
    }
    // A supervisor that starts it all the same changes nothing.
    refuses(&node.home, &["run"], STAY_DOWN, &["does not know"]).await?;
    let above = net.l2(0).await?.get_block_number().await? + MARGIN;
    succeeds(&node.home, &["protection", "new", "--above", &above.to_string()]).await?;
    net.devnet.restart_node(index)?;
    let voted = votes(net, 0, node.signer, above + 1).await?;
    net.say(&format!("a node with data of height {copied} stopped, and votes again at {voted}"));
    Ok(())
}

/// Waits until a node ends by itself, which must be with the code of a refusal.
async fn ends_for_good(net: &mut TestNet, index: usize) -> Result<()> {
    let slot = net.devnet.nodes.get_mut(index).ok_or_else(|| eyre!("node {index} does not run"))?;
    let deadline = std::time::Instant::now() + rota_e2e::patience(Duration::from_secs(40));
    loop {
        if let Err(ended) = slot.check_running() {
            let ended = format!("{ended:#}");
            ensure!(ended.contains(&format!("exit status: {STAY_DOWN}")), "{ended}");
            return Ok(());
        }
        ensure!(std::time::Instant::now() < deadline, "the node with old data goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A validator moves: its tables go along, it starts in a new home and votes above what it has signed.
async fn a_move(net: &mut TestNet, index: usize) -> Result<()> {
    let node = node(net, index)?;
    stop(net, index).await?;
    let file = node.home.join("protection.json");
    let file = file.to_string_lossy();
    let exported = succeeds(&node.home, &["protection", "export", "--out", &file]).await?;
    ensure!(exported.contains(&node.signer.to_string()), "the export does not name its key: {exported}");
    let document: serde_json::Value = serde_json::from_str(&fs::read_to_string(&*file)?)?;
    let heights = document["keys"][0]["signed"].as_array().into_iter().flatten().map(|entry| entry["height"].as_u64());
    let last = heights.max().flatten().ok_or_else(|| eyre!("the export holds no signature"))?;
    let new = node.home.with_extension("moved");
    copy_without_data(&node.home, &new)?;
    let imported = succeeds(&new, &["protection", "import", &file]).await?;
    ensure!(imported.contains(&format!("signs nothing up to height {last}")), "{imported}");
    let slot = net.devnet.manifest.l2.nodes.get_mut(index).ok_or_else(|| eyre!("there is no node {index}"))?;
    slot.home = new;
    net.devnet.restart_node(index)?;
    let voted = votes(net, 0, node.signer, last + 1).await?;
    net.say(&format!("a validator that moved at height {last} votes again at {voted}"));
    Ok(())
}

/// Makes and registers the next key of a running node with one command.
async fn rotate(net: &mut TestNet, index: usize) -> Result<Address> {
    let node = node(net, index)?;
    let place = |name: &str| -> Result<(PathBuf, String)> {
        let path = node.home.join(name);
        Ok((path.clone(), path.to_str().ok_or_else(|| eyre!("not UTF-8"))?.to_owned()))
    };
    let ((plain, plain_name), (password, password_name), (_, owner)) =
        (place("plain.key")?, place("rotation.password")?, place("owner.json")?);
    fs::write(&password, "a test\n")?;
    fs::write(&plain, hex::encode(dev_key(node.owner_index)?.to_bytes()))?;
    let import =
        ["keys", "import", "--private-key-file", &plain_name, "--password-file", &password_name, "--out", &owner];
    succeeds(&node.home, &import).await?;
    let table = |key: Address| node.home.join(format!("data/consensus/protection-{key:#x}.log"));
    ensure!(!table(node.owner).exists(), "an import says what an imported key has signed");
    let config = node.home.join("config.toml");
    fs::write(&config, format!("# kept\n{}", fs::read_to_string(&config)?))?;
    let args = [
        "keys",
        "rotate",
        "--password-file",
        &password_name,
        "--sender-keystore",
        &owner,
        "--sender-password-file",
        &password_name,
    ];
    let said = succeeds(&node.home, &args).await?;
    ensure!(said.contains("registered 0x"), "{said}");
    let again = succeeds(&node.home, &args).await?;
    ensure!(again.contains("registered before"), "{again}");
    ensure!(fs::read_to_string(&config)?.starts_with("# kept\n"), "config.toml has lost its comment");
    let next = said.lines().find_map(|line| line.strip_prefix("next key")?.split_whitespace().next());
    let next: Address = next.ok_or_else(|| eyre!("no key in: {said}"))?.parse()?;
    ensure!(next != node.signer, "the key is the same");
    ensure!(table(next).exists(), "the new key has no table");
    // It learns of the key by a start.
    stop(net, index).await?;
    let file = node.home.join("both.json");
    succeeds(&node.home, &["protection", "export", "--out", &file.to_string_lossy()]).await?;
    let text = fs::read_to_string(&file)?.to_lowercase();
    for key in [node.signer, next] {
        ensure!(text.contains(&format!("{key:#x}")), "the export does not hold {key}");
    }
    net.devnet.restart_node(index)?;
    net.say(&format!("operator {} rotates to {next}", node.id));
    Ok(next)
}

/// Once a set has the next key, the node that knows it stops by itself, and started again it votes with it.
async fn the_next_key_votes(net: &mut TestNet, index: usize, next: Address) -> Result<()> {
    let node = node(net, index)?;
    let deadline = std::time::Instant::now() + rota_e2e::patience(Duration::from_secs(90));
    let other = net.l2(1).await?;
    loop {
        let head = other.get_block_number().await?;
        if signed(net, next, head).await? {
            break;
        }
        let slot = net.devnet.nodes.get_mut(index).ok_or_else(|| eyre!("node {index} does not run"))?;
        if let Err(ended) = slot.check_running() {
            let ended = format!("{ended:#}");
            ensure!(ended.contains(&format!("exit status: {FAILED}")) && ended.contains("next key"), "{ended}");
            net.say("the node stops for its next key");
            net.devnet.restart_node(index)?;
        }
        ensure!(std::time::Instant::now() < deadline, "{next} does not vote");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let head = other.get_block_number().await?;
    ensure!(!signed(net, node.signer, head).await?, "the old key votes, too");
    net.say(&format!("operator {} votes with {next}", node.id));
    Ok(())
}
