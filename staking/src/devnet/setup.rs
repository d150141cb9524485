//! Building a devnet from nothing, or continuing one.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{Address, U256, utils::parse_ether},
    providers::Provider as _,
};
use eyre::{Context as _, Result, ensure, eyre};
use futures::future::try_join_all;
use indicatif::ProgressBar;
use rota_bindings::{NativeToken, RewardVault, SequencerSet};
use serde::Deserialize;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::{
    connection::{Network, NetworkArgs, WriteArgs, dev_key},
    deposit::deposit,
    devnet::{
        Devnet, DevnetArgs,
        l1::LocalL1,
        manifest::{self, Manifest, Node},
        process::Process,
        toolchain, weights,
    },
    genesis,
    operator::{Registration, register},
    progress::{spinner, wait_until},
    stake::delegate,
    submit::Submitter,
};

/// Accounts `0..USERS` of the mnemonic belong to whoever tries the devnet; account 0 deployed the contracts.
pub const USERS: u32 = 10;
/// First account that owns an operator.
pub const OPERATOR_INDEX: u32 = 20;
/// First consensus key.
pub const SIGNER_INDEX: u32 = 40;
/// First account that pays for posting batches.
pub const POSTER_INDEX: u32 = 60;
/// The keeper's account.
pub const KEEPER_INDEX: u32 = 80;

/// Native tokens of each user on L1.
const USER_TOKENS: &str = "10000";
/// Native tokens of each user on L2.
const USER_DEPOSIT: &str = "1000";
/// Native tokens in the reward reserve.
const RESERVE: &str = "1000000";

/// Seconds that L1 is older than the first epoch: more than the timelock's delay in both profiles.
const L1_LEAD: u64 = 1_200;

/// Chain ids of the rollups.
const fn l2_chain_id(test: bool) -> u64 {
    if test { 53_901 } else { 53_900 }
}

/// Seconds of an epoch by profile (protocol section 11); the deployment file is compared with it.
const fn epoch_seconds(test: bool) -> u64 {
    if test { 20 } else { 60 }
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).wrap_err("the system clock is before 1970")?.as_secs())
}

/// Shows the step under way and keeps the finished ones on screen.
struct Steps {
    bar: ProgressBar,
    since: std::time::Instant,
}

impl Steps {
    fn new(visible: bool) -> Self {
        Self { bar: spinner("", visible), since: std::time::Instant::now() }
    }

    fn start(&mut self, what: &str) {
        self.since = std::time::Instant::now();
        self.bar.set_message(what.to_owned());
    }

    fn done(&self, what: &str) {
        self.bar.println(format!("  ✓ {what} ({:.1} s)", self.since.elapsed().as_secs_f64()));
    }

    fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// What `rota-sequencer init --json` prints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialised {
    consensus_address: String,
    gossip_address: String,
}

/// Builds everything in the empty folder `dir`.
pub(super) async fn create(args: &DevnetArgs, dir: PathBuf, visible: bool) -> Result<Devnet> {
    let test = args.profile() == "test";
    let bonds = args.bonds()?;
    let root = toolchain::project_root()?;
    let mut steps = Steps::new(visible);

    steps.start("starting L1 (anvil)");
    let genesis_time = now()?.saturating_sub(2 * epoch_seconds(test));
    // L1 is older than the first epoch, so that neither deploying nor the timelock uses it up.
    let l1_start = genesis_time.saturating_sub(L1_LEAD);
    let l1 =
        LocalL1::start(&toolchain::anvil(&root)?, &dir, free_port()?, Some(l1_start), args.l1_block_time()).await?;
    steps.done(&format!("L1 at {}", l1.url));

    steps.start("deploying contracts (script/Deploy.s.sol)");
    let deployment = deploy(&root, &dir, &l1.url, args.profile(), genesis_time).await?;
    let network = connect(&l1, &deployment, &dir).await?;
    ensure!(
        network.deployment.epoch_seconds == epoch_seconds(test),
        "the deployment has epochs of {} s, profile {} means {} s",
        network.deployment.epoch_seconds,
        args.profile(),
        epoch_seconds(test)
    );
    let by = Submitter::new(&network, &WriteArgs::dev_account(0)).await?.silent();
    weights::schedule(&network, &by, bonds.len()).await?;
    steps.done("contracts deployed");

    steps.start("creating sequencer keys");
    let mut nodes = try_join_all((0..).zip(&bonds).map(|(index, _)| init_node(&dir, &l1.url, index))).await?;
    steps.done(&format!("{} sequencers initialised", bonds.len()));

    steps.start("handing out native tokens");
    hand_out(&network, &bonds).await?;
    steps.done("native tokens handed out");

    steps.start("registering and bonding operators");
    l1.jump_to(genesis_time + 1).await?;
    // One after the other: ids follow the order of registration.
    for (node, bond) in nodes.iter_mut().zip(&bonds) {
        let by = Submitter::new(&network, &WriteArgs::dev_account(node.owner_index)).await?.silent();
        node.id = join(&network, &by, node, *bond).await?;
    }
    let epoch = network.clock().epoch_at(l1.time().await?);
    ensure!(
        epoch == 0,
        "registering took until epoch {epoch}: this machine is too slow for profile {}",
        args.profile()
    );
    weights::execute(&network, &by, bonds.len()).await?;
    steps.done("operators registered and bonded");

    steps.start("depositing native tokens to L2");
    for user in 0..USERS {
        fund_on_l2(&network, user).await?;
    }
    steps.done(&format!("{USERS} accounts funded on L2"));

    steps.start("seating operators and freezing the first set");
    l1.jump_to(genesis_time + network.deployment.epoch_seconds * 3 / 2).await?;
    let by = Submitter::new(&network, &WriteArgs::dev_account(KEEPER_INDEX)).await?.silent();
    let set = SequencerSet::new(network.deployment.contracts.sequencer_set, by.provider.clone());
    for node in &nodes {
        let due = network.set().seatDue(node.id).call().await?;
        ensure!(due.due, "operator {} cannot take a seat", node.id);
        by.submit("take a seat", set.takeSeat(node.id, due.seat)).await?;
    }
    by.submit("freeze the first set", set.freeze(2)).await?;
    l1.jump_to(now()?.max(l1.time().await? + 1)).await?;
    steps.done("first set frozen");

    let mut config = genesis::chain_config(&network, None, genesis::GAS_LIMIT, genesis::BASE_FEE, None).await?;
    if let Some(block_time) = args.block_time {
        config.block_time_ms = block_time;
    }
    let chain = dir.join("chain.json");
    genesis::write(&config, &chain)?;
    l1.run_clock(args.l1_block_time()).await?;

    let manifest = Manifest {
        profile: args.profile().to_owned(),
        settings: manifest::Settings {
            bonds,
            block_time_ms: config.block_time_ms,
            l1_block_time: args.l1_block_time(),
        },
        l1: manifest::L1 { rpc_url: l1.url.clone(), chain_id: network.l1_chain_id, pid: l1.process.pid() },
        l2: manifest::L2 { chain_id: config.l2_chain_id, nodes },
        deployment,
        chain,
        logs: dir.join("logs"),
        pid: std::process::id(),
    };
    run_nodes(dir, manifest, l1, steps).await
}

/// Goes on with the devnet saved in `dir`.
pub(super) async fn resume(args: &DevnetArgs, dir: PathBuf, visible: bool) -> Result<Devnet> {
    let mut manifest = Manifest::load_if_present(&dir)?.ok_or_else(|| eyre!("no devnet in {}", dir.display()))?;
    args.check_same(&manifest, &dir)?;
    // The one thing that can change: anvil keeps no pace of its own.
    if let Some(seconds) = args.l1_block_time {
        manifest.settings.l1_block_time = seconds;
    }
    let root = toolchain::project_root()?;
    let mut steps = Steps::new(visible);
    steps.start("starting L1 (anvil) where it stopped");
    let port = manifest
        .l1
        .rpc_url
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .ok_or_else(|| eyre!("'{}' has no port: start over with --fresh", manifest.l1.rpc_url))?;
    let l1 = LocalL1::start(&toolchain::anvil(&root)?, &dir, port, None, manifest.settings.l1_block_time).await?;
    steps.done(&format!("L1 at {}", l1.url));
    manifest.l1.pid = l1.process.pid();
    manifest.pid = std::process::id();
    run_nodes(dir, manifest, l1, steps).await
}

/// Starts the sequencer processes and waits for the first block of this run.
async fn run_nodes(dir: PathBuf, mut manifest: Manifest, l1: LocalL1, mut steps: Steps) -> Result<Devnet> {
    steps.start("starting sequencers");
    let mut nodes = Vec::new();
    for node in &mut manifest.l2.nodes {
        let process = start_node(&dir, node)?;
        node.pid = process.pid();
        nodes.push(process);
    }
    manifest.save(&dir)?;
    let mut network = connect(&l1, &manifest.deployment, &dir).await?;
    network.l2_url = manifest.l2.nodes.first().map(|node| node.rpc_url.clone().into());
    network.manifest = Some(manifest.clone());
    let shutdown = CancellationToken::new();
    let mut devnet = Devnet { dir, manifest, l1, nodes, network, keeper: None, shutdown };
    wait_for_blocks(&mut devnet).await?;
    steps.done("blocks are being decided");
    steps.finish();
    Ok(devnet)
}

async fn wait_for_blocks(devnet: &mut Devnet) -> Result<()> {
    let network = &devnet.network;
    let mut first = None;
    wait_until("the first L2 blocks", Duration::from_secs(60), Duration::from_millis(100), async || {
        for node in &mut devnet.nodes {
            node.check_running()?;
        }
        let Ok(l2) = network.l2().await else { return Ok(None) };
        let Ok(height) = l2.get_block_number().await else { return Ok(None) };
        let first = *first.get_or_insert(height);
        Ok((height > first).then_some(()))
    })
    .await
    .wrap_err_with(|| format!("the sequencers' logs are in {}", devnet.manifest.logs.display()))
}

/// Runs the one deployment script of the project, from the checkout `root`, as account 0 of the development mnemonic on the L1
/// at `l1_url`. Returns the deployment file, which is in `dir`, whose `logs` has the script's output. Epoch 0 starts at
/// `genesis_time` (Unix seconds).
///
/// # Errors
/// When forge cannot be started or the script fails, with the end of what it said.
pub async fn deploy(root: &Path, dir: &Path, l1_url: &str, profile: &str, genesis_time: u64) -> Result<PathBuf> {
    let test = profile == "test";
    let key = dev_key(0)?;
    let genesis_hash = genesis::genesis_hash(genesis::GAS_LIMIT, genesis::BASE_FEE)?;
    // forge may only write below the project, as foundry.toml says.
    let scratch = root.join("out").join(format!("devnet-{}-{}", std::process::id(), genesis_time));
    std::fs::create_dir_all(&scratch)?;
    let mut command = Command::new(toolchain::forge(root)?);
    command
        .current_dir(root)
        // Slow: one after the other. Of transactions that are sent together anvil may keep one back for ever, if it checks it
        // while it mines the one before.
        .args(["script", "script/Deploy.s.sol", "--rpc-url", l1_url, "--broadcast", "--offline", "--slow"])
        .args(["--private-key", &hex::encode(key.to_bytes())])
        .env("ROTA_PROFILE", profile)
        .env("ROTA_L2_CHAIN_ID", l2_chain_id(test).to_string())
        .env("ROTA_L2_GENESIS_HASH", genesis_hash.to_string())
        .env("ROTA_GENESIS_TIME", genesis_time.to_string())
        .env("ROTA_DEPLOYMENTS_DIR", &scratch)
        .env("FOUNDRY_BROADCAST", scratch.join("broadcast"))
        .env("FOUNDRY_DISABLE_NIGHTLY_WARNING", "1")
        .kill_on_drop(true);
    let output = command.output().await.wrap_err("cannot start forge")?;
    let log = dir.join("logs/deploy.log");
    std::fs::write(&log, [output.stdout.as_slice(), output.stderr.as_slice()].concat())?;
    ensure!(
        output.status.success(),
        "the deployment failed; the end of {}:\n{}",
        log.display(),
        super::process::tail(&log, 25)
    );
    let file = dir.join("deployment.json");
    std::fs::copy(scratch.join("31337.json"), &file).wrap_err("forge wrote no deployment file")?;
    std::fs::remove_dir_all(&scratch)?;
    Ok(file)
}

async fn connect(l1: &LocalL1, deployment: &Path, dir: &Path) -> Result<Network> {
    let mut network = Network::connect(&NetworkArgs {
        l1_rpc: Some(l1.url.clone().into()),
        deployment: Some(deployment.to_path_buf()),
        devnet_dir: dir.to_path_buf(),
        ..NetworkArgs::default()
    })
    .await?;
    network.l1 = l1.provider.clone();
    Ok(network)
}

fn tokens(amount: &str) -> Result<U256> {
    Ok(parse_ether(amount)?)
}

/// Sends native tokens from the deployer to users and operators, and fills the reward reserve.
async fn hand_out(network: &Network, bonds: &[u64]) -> Result<()> {
    let by = Submitter::new(network, &WriteArgs::dev_account(0)).await?.silent();
    let contracts = &network.deployment.contracts;
    let token = NativeToken::new(contracts.native_token, by.provider.clone());
    for user in 1..USERS {
        by.submit("fund a user", token.transfer(dev_key(user)?.address(), tokens(USER_TOKENS)?)).await?;
    }
    for (index, bond) in (0..).zip(bonds) {
        let owner = dev_key(OPERATOR_INDEX + index)?.address();
        by.submit("fund an operator", token.transfer(owner, whole(*bond))).await?;
    }
    let reserve = tokens(RESERVE)?;
    by.submit("approve the reserve", token.approve(contracts.reward_vault, reserve)).await?;
    let rewards = RewardVault::new(contracts.reward_vault, by.provider.clone());
    by.submit("fund the reserve", rewards.fund(reserve)).await?;
    Ok(())
}

fn whole(tokens: u64) -> U256 {
    U256::from(tokens) * U256::from(10_u64).pow(U256::from(18_u64))
}

/// Registers the node's operator, bonds it and declares it ready.
async fn join(network: &Network, by: &Submitter<'_>, node: &Node, bond: u64) -> Result<u32> {
    let registration = Registration {
        signer: dev_key(node.signer_index)?,
        reward_recipient: by.from,
        commission_bps: 500,
        metadata: node.peer.clone(),
    };
    let id = register(network, by, &registration).await?.ok_or_else(|| eyre!("the registration was not sent"))?;
    delegate(network, by, id, whole(bond)).await?;
    let set = SequencerSet::new(network.deployment.contracts.sequencer_set, by.provider.clone());
    by.submit("declare ready", set.setReady(id, true)).await?;
    Ok(id)
}

async fn fund_on_l2(network: &Network, user: u32) -> Result<()> {
    let by = Submitter::new(network, &WriteArgs::dev_account(user)).await?.silent();
    deposit(network, &by, by.from, tokens(USER_DEPOSIT)?).await?;
    Ok(())
}

/// A free port on the loopback interface whose successor is free too, below the range of outgoing connections.
fn free_port() -> Result<u16> {
    super::process::free_port()
}

/// Creates keys and configuration of one sequencer. Its id is known after registration.
async fn init_node(dir: &Path, l1_url: &str, index: u32) -> Result<Node> {
    let home = dir.join(format!("node-{}", index + 1));
    let consensus = super::process::free_port_pair()?;
    let (rpc, metrics) = (loopback(free_port()?), loopback(free_port()?));
    let (signer_index, poster_index) = (SIGNER_INDEX + index, POSTER_INDEX + index);
    let output = Command::new(toolchain::sequencer()?)
        .args(["init", "--json", "--batcher", "--l1-rpc", l1_url])
        .arg("--home")
        .arg(&home)
        .args(["--moniker", &format!("node-{}", index + 1)])
        .args(["--dev-key-index", &signer_index.to_string()])
        .args(["--batcher-dev-key-index", &poster_index.to_string()])
        .args(["--consensus-listen", &format!("/ip4/127.0.0.1/tcp/{consensus}")])
        .args(["--gossip-listen", &format!("/ip4/127.0.0.1/tcp/{}", consensus + 1)])
        .args(["--rpc-listen", &rpc.to_string()])
        .args(["--metrics-listen", &metrics.to_string()])
        .output()
        .await
        .wrap_err("cannot start rota-sequencer")?;
    ensure!(output.status.success(), "rota-sequencer init failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    let written: Initialised =
        serde_json::from_slice(&output.stdout).wrap_err("rota-sequencer init printed something unexpected")?;
    let owner_index = OPERATOR_INDEX + index;
    Ok(Node {
        id: 0,
        owner: dev_key(owner_index)?.address(),
        owner_index,
        signer: dev_key(signer_index)?.address(),
        signer_index,
        rpc_url: format!("http://{rpc}"),
        metrics_url: format!("http://{metrics}"),
        peer: written.consensus_address,
        gossip_peer: written.gossip_address,
        home,
        pid: 0,
    })
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Starts one sequencer process.
pub(super) fn start_node(dir: &Path, node: &Node) -> Result<Process> {
    let chain = dir.join("chain.json");
    std::fs::copy(&chain, node.home.join("chain.json"))
        .wrap_err_with(|| format!("cannot copy {} to {}", chain.display(), node.home.display()))?;
    let name = format!("sequencer {}", node.id);
    let mut command = Command::new(toolchain::sequencer()?);
    command.arg("run").arg("--home").arg(&node.home);
    Process::start(name, command, dir.join(format!("logs/sequencer-{}.log", node.id)))
}

/// See [`Devnet::add_operator`].
pub(super) async fn add_operator(devnet: &mut Devnet, bond: u64) -> Result<u32> {
    let network = devnet.network.clone();
    let index = u32::try_from(devnet.manifest.l2.nodes.len())?;
    let mut node = init_node(&devnet.dir, &devnet.l1.url, index).await?;
    let deployer = Submitter::new(&network, &WriteArgs::dev_account(0)).await?.silent();
    let token = NativeToken::new(network.deployment.contracts.native_token, deployer.provider.clone());
    deployer.submit("fund the new operator", token.transfer(node.owner, whole(bond))).await?;
    let by = Submitter::new(&network, &WriteArgs::dev_account(node.owner_index)).await?.silent();
    node.id = join(&network, &by, &node, bond).await?;
    let process = start_node(&devnet.dir, &node)?;
    node.pid = process.pid();
    let id = node.id;
    devnet.nodes.push(process);
    devnet.manifest.l2.nodes.push(node);
    devnet.manifest.save(&devnet.dir)?;
    Ok(id)
}

/// Where a user's address is shown.
pub(super) fn user_address(user: u32) -> Result<Address> {
    Ok(dev_key(user)?.address())
}
