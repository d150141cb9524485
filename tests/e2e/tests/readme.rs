//! What the README shows, as it shows it: the devnet started as a program, its commands run by a shell, Ctrl-C, and a
//! second start that goes on where the first one stopped.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use alloy::providers::Provider as _;
use eyre::{Result, ensure, eyre};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rota::devnet::{manifest::Manifest, process::tail, toolchain};
use rota_e2e::{patience, provider, root};
use tokio::process::{Child, Command};

/// Comment before the block of README.md that this test runs.
const MARK: &str = "<!-- tested: tests/e2e/tests/readme.rs runs these commands -->";

/// Folder of the programs under test.
fn programs() -> Result<PathBuf> {
    let sequencer = toolchain::sequencer()?;
    Ok(sequencer.parent().ok_or_else(|| eyre!("{} has no folder", sequencer.display()))?.to_path_buf())
}

/// What `make env` puts on the PATH.
fn path() -> Result<String> {
    let tools = root().canonicalize()?.join("node_modules/.bin");
    Ok(format!("{}:{}:{}", programs()?.display(), tools.display(), std::env::var("PATH")?))
}

/// The commands of the README, with the devnet's folder replaced.
fn commands(dir: &Path) -> Result<String> {
    let text = std::fs::read_to_string(root().join("README.md"))?;
    let (_, after) = text.split_once(MARK).ok_or_else(|| eyre!("README.md lost its mark '{MARK}'"))?;
    let block = after.split("```").nth(1).and_then(|block| block.strip_prefix("sh\n"));
    let block = block.ok_or_else(|| eyre!("no ```sh block follows the mark in README.md"))?;
    ensure!(block.contains("./.devnet/devnet.json"), "the README does not read ./.devnet/devnet.json any more");
    Ok(block.replace("./.devnet/devnet.json", &dir.join("devnet.json").to_string_lossy()))
}

/// Blocks of a document that are marked as tested, in order.
fn tested_blocks(document: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("docs").join(document))?;
    let blocks = text.split("<!-- tested -->\n```sh\n").skip(1);
    let blocks: Vec<_> = blocks.filter_map(|rest| rest.split("```").next().map(str::to_owned)).collect();
    ensure!(!blocks.is_empty(), "docs/{document} marks no block as tested");
    Ok(blocks)
}

/// Every marked command of the documents for operators, stakers and integrators, in a folder prepared as they assume.
async fn documented_commands(dir: &Path, folder: &Path) -> Result<()> {
    let work = folder.join("documents");
    std::fs::create_dir_all(&work)?;
    let manifest = Manifest::load_if_present(dir)?.ok_or_else(|| eyre!("no devnet.json"))?;
    std::fs::copy(&manifest.chain, work.join("chain.json"))?;
    for (name, account) in [("owner", 8), ("me", 9)] {
        let password = work.join(format!("{name}.pass"));
        std::fs::write(&password, "a test\n")?;
        let key = rota::connection::dev_key(account)?;
        std::fs::write(work.join("plain.key"), alloy::hex::encode(key.to_bytes()))?;
        let imported = Command::new(programs()?.join("rota-sequencer"))
            .args(["keys", "import", "--home", ".", "--private-key-file", "plain.key", "--password-file"])
            .arg(&password)
            .args(["--out", &format!("{name}.json")])
            .current_dir(&work)
            .output()
            .await?;
        ensure!(imported.status.success(), "keys import: {}", String::from_utf8_lossy(&imported.stderr));
    }
    std::fs::write(work.join("node.pass"), "another test\n")?;
    let peer = manifest.l2.nodes.first().and_then(|node| node.peer.rsplit('/').next().map(str::to_owned));
    for document in ["operators.md", "stakers.md", "integrators.md"] {
        for block in tested_blocks(document)? {
            // An account of the devnet does not hold a mainnet bond.
            let script = block.replace("--amount 20000", "--amount 200");
            let run = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &script])
                .current_dir(&work)
                .env("PATH", path()?)
                .env("L1", &manifest.l1.rpc_url)
                .env("ID", (manifest.l2.nodes.len() + 1).to_string())
                .env("PEER_ID", peer.clone().unwrap_or_default())
                .env("ROTA_DEVNET_DIR", dir)
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output();
            let output = tokio::time::timeout(patience(Duration::from_secs(180)), run).await??;
            println!("-- {document}\n{}", String::from_utf8_lossy(&output.stdout));
            ensure!(
                output.status.success(),
                "a block of docs/{document} failed:\n{script}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    Ok(())
}

/// A devnet program that is interrupted, not killed, when a test fails: only then it stops what it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let Some(pid) = self.0.id() else { return };
        rota::devnet::process::signal(pid, Signal::SIGINT);
        let end = Instant::now() + Duration::from_secs(20);
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn start(dir: &Path, log: &Path) -> Result<Running> {
    let log = std::fs::File::options().create(true).append(true).open(log)?;
    let devnet = Command::new(programs()?.join("rota"))
        .args(["devnet", "--profile", "test"])
        .arg("--devnet-dir")
        .arg(dir)
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(Running(devnet))
}

async fn wait_up(devnet: &mut Running, log: &Path) -> Result<()> {
    let since = Instant::now();
    // Ready in 30 s when the contracts are built.
    rota::progress::wait_until(
        "the devnet's table",
        patience(Duration::from_secs(30)),
        Duration::from_millis(100),
        async || {
            if let Some(status) = devnet.0.try_wait()? {
                return Err(eyre!("rota devnet ended ({status}):\n{}", tail(log, 30)));
            }
            Ok(tail(log, 10).contains("Ctrl-C stops everything").then_some(()))
        },
    )
    .await?;
    println!("devnet up in {:.1} s", since.elapsed().as_secs_f64());
    Ok(())
}

/// Ctrl-C, and then nothing may be left.
async fn interrupt(mut devnet: Running, dir: &Path) -> Result<Manifest> {
    let manifest = Manifest::load_if_present(dir)?.ok_or_else(|| eyre!("no devnet.json"))?;
    let pid = devnet.0.id().ok_or_else(|| eyre!("the devnet is gone"))?;
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGINT)?;
    let status = tokio::time::timeout(patience(Duration::from_secs(20)), devnet.0.wait()).await??;
    ensure!(status.success(), "after Ctrl-C rota devnet ended with {status}");
    for pid in manifest.l2.nodes.iter().map(|node| node.pid).chain([manifest.l1.pid]) {
        ensure!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} outlived the devnet");
    }
    Ok(manifest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readme_commands_work() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("rota-readme-").tempdir()?;
    let (dir, log) = (folder.path().join("net"), folder.path().join("devnet.log"));
    // The bound on the start holds once the contracts are compiled, as `make devnet` does first.
    let compiled = Command::new(toolchain::forge(&root())?)
        .args(["build", "--quiet", "contracts", "script"])
        .current_dir(root())
        .status()
        .await?;
    ensure!(compiled.success(), "forge build failed");
    let mut devnet = start(&dir, &log)?;
    wait_up(&mut devnet, &log).await?;

    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands(&dir)?])
        .current_dir(root())
        .env("CARGO_TARGET_DIR", programs()?.parent().ok_or_else(|| eyre!("no target folder"))?)
        .env("ROTA_DEVNET_DIR", &dir)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(patience(Duration::from_secs(300)), output).await??;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    ensure!(output.status.success(), "the README's commands failed:\n{}", String::from_utf8_lossy(&output.stderr));
    ensure!(text.contains("1 (success)"), "cast receipt shows no success");
    let claimed = text
        .lines()
        .find_map(|line| line.strip_prefix("claimed ").and_then(|rest| rest.strip_suffix(" in total")))
        .ok_or_else(|| eyre!("rota stake claim does not say what it claimed"))?;
    ensure!(!rota::amount::parse_amount(claimed)?.is_zero(), "claimed {claimed}");

    documented_commands(&dir, folder.path()).await?;

    let manifest = interrupt(devnet, &dir).await?;
    let mut again = start(&dir, &log)?;
    let before = std::fs::metadata(&log)?.len();
    rota::progress::wait_until(
        "the devnet to go on",
        patience(Duration::from_secs(30)),
        Duration::from_millis(100),
        async || {
            if let Some(status) = again.0.try_wait()? {
                return Err(eyre!("rota devnet ended ({status}) on its second start:\n{}", tail(&log, 30)));
            }
            Ok((std::fs::metadata(&log)?.len() > before && tail(&log, 3).contains("Ctrl-C stops everything"))
                .then_some(()))
        },
    )
    .await?;
    let rpc = &manifest.l2.nodes.first().ok_or_else(|| eyre!("no nodes"))?.rpc_url;
    let l2 = provider(rpc, None).await?;
    ensure!(l2.get_block_number().await? > 20, "the chain started over");
    interrupt(again, &dir).await?;
    Ok(())
}
