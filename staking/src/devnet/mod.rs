//! `rota devnet`: the whole system on this machine. A local L1, the contracts, staked operators with seats, one
//! sequencer process each, and the keeper; everything by real transactions between real processes.

pub mod l1;
pub mod manifest;
pub mod process;
mod setup;
mod summary;
pub mod toolchain;
mod weights;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use eyre::{Context as _, Result, bail, ensure};
use tokio_util::sync::CancellationToken;

use crate::{
    connection::{Network, NetworkArgs, WriteArgs},
    keeper::{Keeper, KeeperArgs},
};
use l1::LocalL1;
use manifest::Manifest;
use process::{Process, runs_with, signal};
pub use setup::{KEEPER_INDEX, OPERATOR_INDEX, POSTER_INDEX, SIGNER_INDEX, USERS, deploy};

/// File that marks a folder as one that a devnet may delete, and names the process that does so: long before there is
/// a manifest. `script/no-devnet` reads it too.
const MARKER: &str = ".rota-devnet";

/// Start L1, contracts, sequencers and keeper on this machine
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Ctrl-C stops everything; `rota devnet` goes on where it stopped, with what it was built with; `--fresh` \
    starts over. The chains, keys and logs are in .devnet (see --devnet-dir).\n\n\
    Examples:\n  rota devnet\n  rota devnet --nodes 7 --bonds 1000,1000,1000,2000,2000,4000,4000 --block-time 250 --fresh"
)]
pub struct DevnetArgs {
    /// Sequencers to run, 1 to 16 [default: 4]
    #[arg(long, value_name = "COUNT")]
    pub nodes: Option<u32>,
    /// Milliseconds between L2 blocks, 100 to 10000 [default: the profile's]
    #[arg(long, value_name = "MS")]
    pub block_time: Option<u64>,
    /// Seconds between L1 blocks [default: 1]
    #[arg(long, value_name = "SECONDS")]
    pub l1_block_time: Option<u64>,
    /// Parameters: `devnet` (epochs of a minute) or `test` (epochs of 20 seconds) [default: devnet]
    #[arg(long, value_parser = ["devnet", "test"])]
    pub profile: Option<String>,
    /// Throw away what an earlier devnet left in the folder
    #[arg(long)]
    pub fresh: bool,
    /// Whole tokens each operator bonds: one number for all, or one per operator with commas between [default: 1000]
    #[arg(long, value_name = "TOKENS", value_delimiter = ',')]
    pub bonds: Vec<u64>,
}

/// What `args` leave open, for a devnet built from nothing.
mod default {
    pub(super) const NODES: u32 = 4;
    pub(super) const BOND: u64 = 1_000;
    pub(super) const L1_BLOCK_TIME: u64 = 1;
    pub(super) const PROFILE: &str = "devnet";
}

impl DevnetArgs {
    fn profile(&self) -> &str {
        self.profile.as_deref().unwrap_or(default::PROFILE)
    }

    fn l1_block_time(&self) -> u64 {
        self.l1_block_time.unwrap_or(default::L1_BLOCK_TIME)
    }

    /// The bond of each operator of a new devnet, whole tokens.
    fn bonds(&self) -> Result<Vec<u64>> {
        let nodes = self.nodes.unwrap_or(default::NODES);
        ensure!((1..=16).contains(&nodes), "--nodes {nodes} must lie between 1 and 16");
        match self.bonds.as_slice() {
            [] => Ok(vec![default::BOND; nodes as usize]),
            [one] => Ok(vec![*one; nodes as usize]),
            many if many.len() == nodes as usize => Ok(many.to_vec()),
            many => {
                bail!("--bonds names {} bonds for {nodes} operators: give one number for all, or {nodes}", many.len())
            }
        }
    }

    /// Refuses options that the devnet built before cannot follow when it goes on; options left out are as they were.
    fn check_same(&self, old: &Manifest, dir: &Path) -> Result<()> {
        let built = &old.settings;
        let nodes = built.bonds.len();
        let mut differ = Vec::new();
        if let Some(asked) = self.nodes.filter(|asked| *asked as usize != nodes) {
            differ.push(format!("--nodes {asked} (it was built with {nodes})"));
        }
        let same_bonds = match self.bonds.as_slice() {
            [] => true,
            [one] => built.bonds.iter().all(|bond| bond == one),
            many => built.bonds == many,
        };
        if !same_bonds {
            let list = |bonds: &[u64]| bonds.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            differ.push(format!("--bonds {} (it was built with {})", list(&self.bonds), list(&built.bonds)));
        }
        if let Some(asked) = self.block_time.filter(|asked| *asked != built.block_time_ms) {
            differ.push(format!("--block-time {asked} (it was built with {})", built.block_time_ms));
        }
        if let Some(asked) = self.profile.as_ref().filter(|asked| **asked != old.profile) {
            differ.push(format!("--profile {asked} (it was built with {})", old.profile));
        }
        ensure!(
            differ.is_empty(),
            "the devnet in {} goes on as it was built, and cannot follow {}: leave that out to go on, or add --fresh \
             to delete this devnet and build another one",
            dir.display(),
            differ.join(", ")
        );
        Ok(())
    }
}

/// A running devnet. Dropping it kills every process; [`Devnet::stop`] stops them in order.
#[derive(Debug)]
pub struct Devnet {
    /// Folder of everything.
    pub dir: PathBuf,
    /// What other commands read.
    pub manifest: Manifest,
    /// L1.
    pub l1: LocalL1,
    /// Sequencer processes, in the order of `manifest.l2.nodes`.
    pub nodes: Vec<Process>,
    /// Connected to it.
    pub network: Network,
    keeper: Option<tokio::task::JoinHandle<()>>,
    shutdown: CancellationToken,
}

/// Runs `rota devnet` until Ctrl-C or until a process dies.
///
/// # Errors
/// When something cannot be started, with the end of its log.
pub async fn run(args: &DevnetArgs, network_args: &NetworkArgs) -> Result<()> {
    let dir = std::path::absolute(&network_args.devnet_dir)?;
    let started = tokio::select! {
        started = Devnet::start(args, dir, !network_args.json) => started,
        stopped = interrupted() => {
            stopped?;
            bail!("stopped before the devnet was up");
        }
    };
    let mut devnet = started?;
    if network_args.json {
        crate::output::print_json(&devnet.manifest)?;
    } else {
        summary::print(&devnet)?;
    }
    let outcome = tokio::select! {
        stopped = interrupted() => stopped,
        failed = devnet.watch() => failed,
    };
    if !network_args.json {
        println!("\nstopping …");
    }
    devnet.stop().await;
    outcome
}

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
/// When signals cannot be received.
pub async fn interrupted() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.wrap_err("cannot wait for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}

impl Devnet {
    /// Starts a devnet in `dir`, or goes on with the one that is there.
    ///
    /// # Errors
    /// When something cannot be started.
    pub async fn start(args: &DevnetArgs, dir: PathBuf, visible: bool) -> Result<Self> {
        refuse_running(&dir, marked_pid(&dir))?;
        if let Some(old) =
            Manifest::load_if_present(&dir).or_else(|error| if args.fresh { Ok(None) } else { Err(error) })?
        {
            stop_leftovers(&old, &dir)?;
        }
        let mut devnet = if dir.join(manifest::FILE).is_file() && !args.fresh {
            ensure!(
                dir.join(l1::STATE_FILE).is_file(),
                "the devnet in {} was killed before its L1 was saved ({} is missing), so it cannot go on: add --fresh \
                 to delete it and build another one",
                dir.display(),
                l1::STATE_FILE
            );
            mark(&dir)?;
            setup::resume(args, dir, visible).await?
        } else {
            // Before anything is deleted.
            args.bonds()?;
            if let Some(block_time) = args.block_time {
                ensure!(
                    (100..=10_000).contains(&block_time),
                    "--block-time {block_time} ms must lie between 100 and 10000"
                );
            }
            if dir.exists() {
                // Only ever a folder that a devnet marked as its own: never delete what somebody else put there.
                let ours = dir.join(MARKER).is_file() || dir.read_dir()?.next().is_none();
                ensure!(ours, "{} is not a devnet's folder; choose another --devnet-dir", dir.display());
                std::fs::remove_dir_all(&dir).wrap_err_with(|| format!("cannot clear {}", dir.display()))?;
            }
            std::fs::create_dir_all(dir.join("logs"))?;
            mark(&dir)?;
            setup::create(args, dir, visible).await?
        };
        devnet.start_keeper();
        Ok(devnet)
    }

    /// The keeper works on the same runtime, with a key and a log of its own.
    fn start_keeper(&mut self) {
        if let Ok(log) = std::fs::File::options().create(true).append(true).open(self.dir.join("logs/keeper.log")) {
            // Fails when the host program logs already; then the keeper's lines are there.
            let _ = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_target(false)
                .with_max_level(tracing::Level::INFO)
                .with_writer(std::sync::Mutex::new(log))
                .try_init();
        }
        let network = self.network.clone();
        let shutdown = self.shutdown.clone();
        self.keeper = Some(tokio::spawn(async move {
            let args = KeeperArgs {
                write: WriteArgs::dev_account(KEEPER_INDEX),
                interval: 0.5,
                jitter: 0.0,
                metrics: None,
                once: false,
                // Stopping a node of a devnet is an experiment, not an absence.
                no_jail: true,
            };
            let outcome = async {
                let keeper = Keeper::new(&network, &args).await?;
                keeper.run(shutdown).await
            };
            if let Err(error) = outcome.await {
                tracing::error!("the keeper stopped: {error:#}");
            }
        }));
    }

    /// Returns when a process dies, with the end of its log.
    ///
    /// # Errors
    /// Always: a devnet's processes run until they are stopped.
    pub async fn watch(&mut self) -> Result<()> {
        loop {
            self.l1.process.check_running()?;
            for node in &mut self.nodes {
                node.check_running()?;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Stops keeper, sequencers and L1, in this order.
    pub async fn stop(&mut self) {
        self.shutdown.cancel();
        if let Some(keeper) = self.keeper.take() {
            let _ = tokio::time::timeout(Duration::from_secs(5), keeper).await;
        }
        futures::future::join_all(self.nodes.iter_mut().map(|node| node.stop(Duration::from_secs(6)))).await;
        self.l1.process.stop(Duration::from_secs(10)).await;
    }

    /// Starts a sequencer process again (after a crash, or one that a test stopped).
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart_node(&mut self, index: usize) -> Result<()> {
        let (Some(slot), Some(node)) = (self.nodes.get_mut(index), self.manifest.l2.nodes.get_mut(index)) else {
            bail!("there is no node {index}");
        };
        *slot = setup::start_node(&self.dir, node)?;
        node.pid = slot.pid();
        self.manifest.save(&self.dir)
    }

    /// Registers, bonds and starts one more operator; it takes a seat when its stake counts.
    ///
    /// # Errors
    /// When a transaction is refused or the process cannot be started.
    pub async fn add_operator(&mut self, bond: u64) -> Result<u32> {
        setup::add_operator(self, bond).await
    }
}

/// Marks `dir` as the folder of a devnet that this process runs or starts.
fn mark(dir: &Path) -> Result<()> {
    let text = format!("made by `rota devnet`, which may delete this folder\npid {}\n", std::process::id());
    let file = dir.join(MARKER);
    std::fs::write(&file, text).wrap_err_with(|| format!("cannot write {}", file.display()))
}

/// The process in the marker of `dir`; 0 without one.
fn marked_pid(dir: &Path) -> u32 {
    let text = std::fs::read_to_string(dir.join(MARKER)).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("pid ")?.parse().ok()).unwrap_or(0)
}

/// Refuses when `pid` is another process that runs or starts a devnet. A number may belong to another program by now,
/// so the command line counts.
fn refuse_running(dir: &Path, pid: u32) -> Result<()> {
    let runs = pid != 0 && pid != std::process::id() && runs_with(pid, "rota") && runs_with(pid, "devnet");
    ensure!(
        !runs,
        "a devnet runs in {} already (process {pid}); stop it or choose another --devnet-dir",
        dir.display()
    );
    Ok(())
}

/// Ends processes of an earlier devnet whose parent was killed; refuses to disturb one that runs.
fn stop_leftovers(old: &Manifest, dir: &Path) -> Result<()> {
    refuse_running(dir, old.pid)?;
    let folder = dir.to_string_lossy();
    for pid in old.l2.nodes.iter().map(|node| node.pid).chain([old.l1.pid]) {
        if pid != 0 && runs_with(pid, &folder) {
            signal(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DevnetArgs,
    }

    fn args(line: &str) -> DevnetArgs {
        Line::parse_from(std::iter::once("devnet").chain(line.split_whitespace())).args
    }

    fn built(bonds: &[u64]) -> Manifest {
        Manifest {
            profile: "test".to_owned(),
            settings: manifest::Settings { bonds: bonds.to_vec(), block_time_ms: 500, l1_block_time: 1 },
            l1: manifest::L1 { rpc_url: "http://127.0.0.1:8545".to_owned(), chain_id: 31_337, pid: 0 },
            l2: manifest::L2 { chain_id: 53_901, nodes: Vec::new() },
            deployment: PathBuf::new(),
            chain: PathBuf::new(),
            logs: PathBuf::new(),
            pid: 0,
        }
    }

    #[test]
    fn what_is_left_out_or_the_same_goes_on() {
        for (line, bonds) in [
            ("", [1_000; 4]),
            ("--nodes 4 --bonds 1000 --block-time 500 --profile test", [1_000; 4]),
            ("--bonds 1000,1000,1000,1000 --l1-block-time 3", [1_000; 4]),
            ("--bonds 1,2,3,4", [1, 2, 3, 4]),
        ] {
            args(line).check_same(&built(&bonds), Path::new("net")).unwrap();
        }
    }

    #[test]
    fn what_differs_is_refused_with_both_values_and_the_fix() {
        for (line, named) in [
            ("--nodes 5", "--nodes 5 (it was built with 4)"),
            ("--nodes 3", "--nodes 3 (it was built with 4)"),
            ("--bonds 2000", "--bonds 2000 (it was built with 1000,1000,1000,1000)"),
            ("--bonds 1000,1000", "--bonds 1000,1000 (it was built with"),
            ("--block-time 250", "--block-time 250 (it was built with 500)"),
            ("--profile devnet", "--profile devnet (it was built with test)"),
            ("--nodes 5 --block-time 250", "(it was built with 4), --block-time 250"),
        ] {
            let error = args(line).check_same(&built(&[1_000; 4]), Path::new("net")).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("--fresh") && error.contains("net"), "{line}: {error}");
        }
    }

    #[test]
    fn every_operator_of_a_new_devnet_has_a_bond() {
        assert_eq!(args("").bonds().unwrap(), [1_000; 4]);
        assert_eq!(args("--nodes 2 --bonds 7").bonds().unwrap(), [7; 2]);
        assert_eq!(args("--nodes 2 --bonds 7,8").bonds().unwrap(), [7, 8]);
        for line in ["--nodes 0", "--nodes 17", "--bonds 7,8", "--nodes 2 --bonds 7,8,9"] {
            assert!(args(line).bonds().is_err(), "{line}");
        }
    }
}
