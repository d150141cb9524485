//! `rota-sequencer init`: writes the configuration and the keys of a new node.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use eyre::{WrapErr, bail, ensure};
use libp2p::{Multiaddr, multiaddr::Protocol};
use rota_sequencer::{
    config::{
        BatcherConfig, CONFIG_FILE, Config, EvidenceConfig, KeysConfig, L1Config, LogFormat, MetricsConfig,
        NetworkConfig, RpcConfig,
    },
    keys,
};
use serde::Serialize;

use super::keys::{DATA, consensus_folder, made_here};

/// The key that votes.
const CONSENSUS: &str = "consensus";

/// What a new node needs to know.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Chain file to copy into the home directory as chain.json; may be added there later.
    #[arg(long)]
    chain: Option<PathBuf>,
    /// L1 JSON-RPC endpoint; repeat it for fallbacks.
    #[arg(long = "l1-rpc", required = true)]
    l1_rpc: Vec<String>,
    /// Name in logs and metrics.
    #[arg(long, default_value = "rota")]
    moniker: String,
    /// Keystore (web3 v3) of the consensus key. Without any key the node can only follow.
    #[arg(long, requires = "password_file")]
    key_file: Option<PathBuf>,
    /// File whose first line is the keystore's password.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Use account N of anvil's public test mnemonic as the consensus key. Local networks only.
    #[arg(long, value_name = "N", conflicts_with = "key_file")]
    dev_key_index: Option<u32>,
    /// Post batches to L1 from this node.
    #[arg(long)]
    batcher: bool,
    /// Keystore of the L1 account that pays for posting; the consensus key by default.
    #[arg(long, requires = "batcher_password_file")]
    batcher_key_file: Option<PathBuf>,
    /// File whose first line is that keystore's password.
    #[arg(long)]
    batcher_password_file: Option<PathBuf>,
    /// Pay for posting from account N of anvil's public test mnemonic. Local networks only.
    #[arg(long, value_name = "N", conflicts_with = "batcher_key_file")]
    batcher_dev_key_index: Option<u32>,
    /// Where consensus listens. Publish it as the operator's metadata URI, with `/p2p/` and the peer id.
    #[arg(long, default_value = "/ip4/0.0.0.0/tcp/27000")]
    consensus_listen: Multiaddr,
    /// Consensus peer to stay connected to (`/ip4/…/tcp/…/p2p/…`), besides those found on L1; may be repeated.
    #[arg(long = "consensus-peer")]
    consensus_peers: Vec<Multiaddr>,
    /// Where transaction gossip listens. Others look for it one port above consensus.
    #[arg(long, default_value = "/ip4/0.0.0.0/tcp/27001")]
    gossip_listen: Multiaddr,
    /// Gossip peer to stay connected to, besides those found on L1; may be repeated.
    #[arg(long = "gossip-peer")]
    gossip_peers: Vec<Multiaddr>,
    /// Where JSON-RPC (HTTP and WebSocket) listens.
    #[arg(long, default_value = "127.0.0.1:8547")]
    rpc_listen: SocketAddr,
    /// Where /metrics, /health and /ready listen.
    #[arg(long, default_value = "127.0.0.1:9464")]
    metrics_listen: SocketAddr,
    /// Log line format.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Replace an existing config.toml. Keys are never replaced.
    #[arg(long)]
    force: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What `init` wrote, for people and scripts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    home: PathBuf,
    config: PathBuf,
    signer: Option<String>,
    batcher: Option<String>,
    peer_id: String,
    consensus_address: Multiaddr,
    gossip_address: Multiaddr,
    rpc: SocketAddr,
    metrics: SocketAddr,
}

/// Writes `home/config.toml`, the node identity and, for development keys, keystores.
pub fn run(home: &Path, args: InitArgs) -> eyre::Result<()> {
    let file = home.join(CONFIG_FILE);
    ensure!(args.force || !file.exists(), "{} exists already; --force replaces it", file.display());
    fs::create_dir_all(home).wrap_err_with(|| format!("cannot create {}", home.display()))?;

    if let Some(chain) = &args.chain {
        fs::copy(chain, home.join("chain.json")).wrap_err_with(|| format!("cannot copy {}", chain.display()))?;
    }
    let consensus = key(home, CONSENSUS, args.key_file, args.password_file, args.dev_key_index)?;
    let poster = key(home, "batcher", args.batcher_key_file, args.batcher_password_file, args.batcher_dev_key_index)?;
    if args.batcher && consensus.is_none() && poster.is_none() {
        bail!("--batcher needs a key: --batcher-key-file, or a consensus key that pays for posting too");
    }

    let config = Config {
        home: home.to_path_buf(),
        moniker: args.moniker,
        chain: "chain.json".into(),
        data: DATA.into(),
        log_format: args.log_format,
        l1: L1Config::new(args.l1_rpc),
        keys: KeysConfig {
            consensus: consensus.as_ref().map(|key| key.keystore.clone()),
            consensus_password: consensus.as_ref().map(|key| key.password.clone()),
            ..KeysConfig::default()
        },
        consensus: NetworkConfig { listen: args.consensus_listen, peers: args.consensus_peers, members_only: false },
        gossip: NetworkConfig { listen: args.gossip_listen, peers: args.gossip_peers, members_only: false },
        rpc: RpcConfig { listen: args.rpc_listen },
        metrics: MetricsConfig { listen: args.metrics_listen },
        batcher: BatcherConfig {
            enabled: args.batcher,
            key: poster.as_ref().map(|key| key.keystore.clone()),
            password: poster.as_ref().map(|key| key.password.clone()),
            ..BatcherConfig::default()
        },
        evidence: EvidenceConfig::default(),
    };
    let peer = keys::load_or_create_identity(&config.path(&config.keys.node))?.public().to_peer_id();
    fs::write(&file, config.to_toml()?).wrap_err_with(|| format!("cannot write {}", file.display()))?;

    let written = Written {
        home: home.to_path_buf(),
        config: file,
        signer: consensus.map(|key| key.address),
        batcher: poster.map(|key| key.address),
        peer_id: peer.to_string(),
        consensus_address: config.consensus.listen.with(Protocol::P2p(peer)),
        gossip_address: config.gossip.listen.with(Protocol::P2p(peer)),
        rpc: config.rpc.listen,
        metrics: config.metrics.listen,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&written)?);
    } else {
        let none = || "none".to_owned();
        println!("wrote      {}", written.config.display());
        println!("signer     {}", written.signer.unwrap_or_else(none));
        println!("batcher    {}", written.batcher.unwrap_or_else(none));
        println!("peer id    {}", written.peer_id);
        println!("consensus  {}", written.consensus_address);
        println!("gossip     {}", written.gossip_address);
        println!("rpc        http://{}", written.rpc);
        println!("metrics    http://{}/metrics", written.metrics);
    }
    Ok(())
}

/// A keystore the configuration refers to.
struct Key {
    keystore: PathBuf,
    password: PathBuf,
    address: String,
}

/// `file` relative to `home` if it lies there, so that the directory can be moved; else absolute.
fn inside(home: &Path, file: &Path) -> eyre::Result<PathBuf> {
    let (home, file) = (fs::canonicalize(home)?, fs::canonicalize(file)?);
    Ok(file.strip_prefix(&home).map(Path::to_path_buf).unwrap_or(file))
}

/// Checks that a given keystore opens, or makes one for a development key.
fn key(
    home: &Path,
    name: &str,
    keystore: Option<PathBuf>,
    password: Option<PathBuf>,
    development: Option<u32>,
) -> eyre::Result<Option<Key>> {
    if let (Some(keystore), Some(password)) = (keystore, password) {
        let address = keys::load_signer(&keystore, &password)?.address().to_string();
        return Ok(Some(Key { keystore: inside(home, &keystore)?, password: inside(home, &password)?, address }));
    }
    let Some(index) = development else { return Ok(None) };
    let signer = keys::development_signer(index)?;
    let (keystore, password) = (format!("keys/{name}.json"), format!("keys/{name}.password"));
    // A second `init --force` with the same index finds its own files; any other key there must not get lost.
    if home.join(&keystore).exists() {
        let present = keys::load_signer(&home.join(&keystore), &home.join(&password))?;
        ensure!(present.address() == signer.address(), "{keystore} holds another key");
    } else {
        // Made here, in this network: the key has signed nothing in it.
        if name == CONSENSUS {
            made_here(&consensus_folder(home)?, signer.address())?;
        }
        keys::write_secret(&home.join(&password), "development")?;
        keys::store_signer(&home.join(&keystore), &signer, "development")?;
    }
    Ok(Some(Key { keystore: keystore.into(), password: password.into(), address: signer.address().to_string() }))
}
