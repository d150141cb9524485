//! The node's configuration: one TOML file in its home directory, each value overridable by an environment variable.
//!
//! `l1.rpc` is overridden by `ROTA_L1_RPC`, `consensus.listen` by `ROTA_CONSENSUS_LISTEN` and so on (the path in
//! upper case, dots and dashes as underscores); lists are separated by commas. Relative paths are relative to the home
//! directory. Secrets are never in this file, only the paths of encrypted keystores.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_primitives::Address;
use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};

/// Name of the configuration file inside the home directory.
pub const CONFIG_FILE: &str = "config.toml";

/// How a node is set up. See the module documentation for files and environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Directory of keys and data; not in the file, set when it is loaded.
    #[serde(skip)]
    pub home: PathBuf,
    /// Name in logs and metrics; peers never rely on it.
    #[serde(default = "default_moniker")]
    pub moniker: String,
    /// Chain file (`rota_protocol::config::ChainConfig`, JSON).
    #[serde(default = "default_chain")]
    pub chain: PathBuf,
    /// Where blocks and state live.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// How log lines look.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Access to L1.
    pub l1: L1Config,
    /// Secrets.
    #[serde(default)]
    pub keys: KeysConfig,
    /// Network of the consensus engine.
    pub consensus: NetworkConfig,
    /// Network of transaction gossip.
    pub gossip: NetworkConfig,
    /// JSON-RPC server.
    pub rpc: RpcConfig,
    /// Server of `/metrics`, `/health` and `/ready`.
    pub metrics: MetricsConfig,
    /// Posting of batches to L1.
    #[serde(default)]
    pub batcher: BatcherConfig,
    /// Record of what members sign.
    #[serde(default)]
    pub evidence: EvidenceConfig,
}

/// Log line format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Access to L1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct L1Config {
    /// HTTP endpoints, used in turn when one fails.
    pub rpc: Vec<String>,
    /// Time between two looks at the L1 head.
    #[serde(default = "default_poll", with = "humantime_serde")]
    pub poll_interval: Duration,
    /// Largest block range of one log query.
    #[serde(default = "default_log_range")]
    pub log_range: u64,
}

impl L1Config {
    /// Default polling of the given endpoints.
    pub fn new(rpc: Vec<String>) -> Self {
        Self { rpc, poll_interval: default_poll(), log_range: default_log_range() }
    }
}

/// Key files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeysConfig {
    /// Keystore (web3 v3) of the consensus signer; none for a node that only follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consensus: Option<PathBuf>,
    /// File holding that keystore's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consensus_password: Option<PathBuf>,
    /// Keystore of the key that takes its place once a serving set has it; `keys rotate` makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<PathBuf>,
    /// File holding that keystore's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_password: Option<PathBuf>,
    /// ed25519 secret of the libp2p identity, hex; created by `init`.
    #[serde(default = "default_node_key")]
    pub node: PathBuf,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self { consensus: None, consensus_password: None, next: None, next_password: None, node: default_node_key() }
    }
}

/// One libp2p network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NetworkConfig {
    /// Address to listen on.
    pub listen: Multiaddr,
    /// Peers to stay connected to, besides those that operators published on L1.
    #[serde(default)]
    pub peers: Vec<Multiaddr>,
    /// Refuse everybody else: for members that serve the public by followers of their own.
    #[serde(default)]
    pub members_only: bool,
}

/// JSON-RPC server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RpcConfig {
    /// HTTP and WebSocket on the same port.
    pub listen: SocketAddr,
}

/// Metrics server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MetricsConfig {
    /// HTTP.
    pub listen: SocketAddr,
}

/// Posting of batches to L1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BatcherConfig {
    /// Whether this node posts.
    #[serde(default)]
    pub enabled: bool,
    /// Keystore of the L1 account that pays; the consensus key when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// File holding that keystore's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PathBuf>,
    /// Head start of each better ranked poster before this node takes over.
    #[serde(default = "default_turn", with = "humantime_serde")]
    pub turn: Duration,
    /// Highest fee per gas that is offered, wei.
    #[serde(default = "default_max_fee")]
    pub max_fee_per_gas: u64,
}

impl Default for BatcherConfig {
    fn default() -> Self {
        Self { enabled: false, key: None, password: None, turn: default_turn(), max_fee_per_gas: default_max_fee() }
    }
}

/// Record of what members sign, and reports of contradictions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EvidenceConfig {
    /// How long messages are kept; no shorter than unbonding.
    #[serde(default = "default_retain", with = "humantime_serde")]
    pub retain: Duration,
    /// L1 account that is credited for proofs; the account that pays for them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_recipient: Option<Address>,
    /// Keystore of the L1 account that pays for reports; the batcher's, else the consensus key when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// File holding that keystore's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PathBuf>,
    /// Head start of each better ranked reporter before this node takes over.
    #[serde(default = "default_turn", with = "humantime_serde")]
    pub turn: Duration,
    /// Time that votes which excuse a forgotten lock have to arrive before its owner is accused.
    #[serde(default = "default_grace", with = "humantime_serde")]
    pub grace: Duration,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        Self {
            retain: default_retain(),
            reward_recipient: None,
            key: None,
            password: None,
            turn: default_turn(),
            grace: default_grace(),
        }
    }
}

fn default_moniker() -> String {
    "rota".into()
}
fn default_chain() -> PathBuf {
    "chain.json".into()
}
fn default_data() -> PathBuf {
    "data".into()
}
fn default_node_key() -> PathBuf {
    "keys/node.key".into()
}
const fn default_grace() -> Duration {
    Duration::from_secs(30)
}
const fn default_poll() -> Duration {
    Duration::from_millis(500)
}
const fn default_log_range() -> u64 {
    2_000
}
const fn default_turn() -> Duration {
    Duration::from_secs(4)
}
const fn default_retain() -> Duration {
    Duration::from_secs(28 * 86_400)
}
const fn default_max_fee() -> u64 {
    500_000_000_000
}

/// Every value that an environment variable may override.
const OVERRIDES: &[&str] = &[
    "moniker",
    "chain",
    "data",
    "log-format",
    "l1.rpc",
    "l1.poll-interval",
    "l1.log-range",
    "keys.consensus",
    "keys.consensus-password",
    "keys.next",
    "keys.next-password",
    "keys.node",
    "consensus.listen",
    "consensus.peers",
    "consensus.members-only",
    "gossip.listen",
    "gossip.peers",
    "gossip.members-only",
    "rpc.listen",
    "metrics.listen",
    "batcher.enabled",
    "batcher.key",
    "batcher.password",
    "batcher.turn",
    "batcher.max-fee-per-gas",
    "evidence.retain",
    "evidence.reward-recipient",
    "evidence.key",
    "evidence.password",
    "evidence.turn",
    "evidence.grace",
];

/// Paths whose environment value is a comma-separated list.
const LISTS: &[&str] = &["l1.rpc", "consensus.peers", "gossip.peers"];

impl Config {
    /// Reads `home/config.toml` and applies the environment.
    ///
    /// # Errors
    /// A missing or malformed file, an unknown key, a value of the wrong kind.
    pub fn load(home: &Path) -> Result<Self, ConfigError> {
        let path = home.join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        Self::parse(home, &text, |name| std::env::var(name).ok())
    }

    /// [`Self::load`] from text and any environment.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(home: &Path, text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut table: toml::Table = toml::from_str(text).map_err(|error| ConfigError::malformed(text, &error))?;
        for path in OVERRIDES {
            let name = variable(path);
            if let Some(value) = env(&name) {
                set(&mut table, path, from_env(path, &value)).map_err(|()| ConfigError::Override { name })?;
            }
        }
        let mut config: Self = table.try_into().map_err(|error: toml::de::Error| ConfigError::misfit(&error))?;
        config.home = home.to_path_buf();
        if config.l1.rpc.is_empty() {
            return Err(ConfigError::NoL1);
        }
        Ok(config)
    }

    /// The file's text.
    ///
    /// # Errors
    /// Only for a path that is not UTF-8.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// Resolves a configured path against the home directory.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.home.join(path)
    }
}

/// Name of the environment variable that overrides `path`.
fn variable(path: &str) -> String {
    format!("ROTA_{}", path.to_uppercase().replace(['.', '-'], "_"))
}

fn from_env(path: &str, value: &str) -> toml::Value {
    if LISTS.contains(&path) {
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        return toml::Value::Array(items.map(|item| toml::Value::String(item.into())).collect());
    }
    if let Ok(flag) = value.parse::<bool>() {
        return toml::Value::Boolean(flag);
    }
    match value.parse::<i64>() {
        Ok(number) if matches!(path, "l1.log-range" | "batcher.max-fee-per-gas") => toml::Value::Integer(number),
        _ => toml::Value::String(value.into()),
    }
}

fn set(table: &mut toml::Table, path: &str, value: toml::Value) -> Result<(), ()> {
    match path.split_once('.') {
        None => {
            table.insert(path.into(), value);
            Ok(())
        }
        Some((section, rest)) => {
            let section = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            set(section.as_table_mut().ok_or(())?, rest, value)
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path} (`rota-sequencer init` makes it)")]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is not TOML, or not of this shape. Says so without the secrets of L1 endpoints in the file.
    #[error("config.toml: {0}")]
    Parse(String),
    /// The configuration cannot be written as TOML.
    #[error("config.toml: {0}")]
    Write(#[from] toml::ser::Error),
    /// An environment variable names a section that the file uses for something else.
    #[error("{name} does not fit config.toml")]
    Override {
        /// The variable.
        name: String,
    },
    /// No L1 endpoint.
    #[error("l1.rpc must name at least one endpoint")]
    NoL1,
}

// L1 endpoints hold secrets: neither a line of the file nor a string in it is repeated.
impl ConfigError {
    /// `text` is not TOML.
    fn malformed(text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().map_or(0, |span| span.start).min(text.len());
        let line = 1 + text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count();
        Self::Parse(format!("line {line}: {}", unquoted(error.message())))
    }

    /// A value is not of the kind that it must be. The error knows its key and no line.
    fn misfit(error: &toml::de::Error) -> Self {
        Self::Parse(unquoted(error.to_string().trim_end()))
    }
}

/// `message` without the string that it quotes.
fn unquoted(message: &str) -> String {
    match message.find('"').zip(message.rfind('"')) {
        Some((start, end)) if start < end => format!("{}\"…\"{}", &message[..start], &message[end + 1..]),
        _ => message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        [l1]
        rpc = ["http://127.0.0.1:8545"]
        [consensus]
        listen = "/ip4/127.0.0.1/tcp/27000"
        [gossip]
        listen = "/ip4/127.0.0.1/tcp/27001"
        [rpc]
        listen = "127.0.0.1:9545"
        [metrics]
        listen = "127.0.0.1:9000"
    "#;

    fn full() -> Config {
        let mut config = Config::parse(Path::new("home"), MINIMAL, |_| None).unwrap();
        config.keys.consensus = Some("keys/consensus.json".into());
        config.keys.consensus_password = Some("keys/password".into());
        config.keys.next = Some("keys/next.json".into());
        config.keys.next_password = Some("keys/password".into());
        config.batcher.key = Some("keys/batcher.json".into());
        config.batcher.password = Some("keys/password".into());
        config.evidence.reward_recipient = Some(Address::repeat_byte(7));
        config.evidence.key = Some("keys/reporter.json".into());
        config.evidence.password = Some("keys/password".into());
        config
    }

    fn leaves(prefix: &str, table: &toml::Table, out: &mut Vec<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                toml::Value::Table(table) => leaves(&path, table, out),
                _ => out.push(path),
            }
        }
    }

    #[test]
    fn file_round_trips() {
        let config = full();
        assert_eq!(Config::parse(Path::new("home"), &config.to_toml().unwrap(), |_| None).unwrap(), config);
    }

    #[test]
    fn every_value_has_an_override() {
        let mut paths = Vec::new();
        leaves("", &toml::from_str(&full().to_toml().unwrap()).unwrap(), &mut paths);
        paths.sort();
        let mut known: Vec<_> = OVERRIDES.iter().map(|path| (*path).to_string()).collect();
        known.sort();
        assert_eq!(paths, known);
    }

    #[test]
    fn the_documentation_is_complete() {
        let page = include_str!("../../../docs/node.md");
        for path in OVERRIDES {
            assert!(page.contains(&format!("`{path}`")), "docs/node.md does not mention {path}");
        }
    }

    #[test]
    fn environment_wins_over_the_file() {
        let env = |name: &str| match name {
            "ROTA_L1_RPC" => Some("http://a:1, http://b:2".into()),
            "ROTA_BATCHER_ENABLED" => Some("true".into()),
            "ROTA_BATCHER_MAX_FEE_PER_GAS" => Some("7".into()),
            "ROTA_MONIKER" => Some("7".into()),
            "ROTA_L1_POLL_INTERVAL" => Some("2s".into()),
            _ => None,
        };
        let config = Config::parse(Path::new("home"), MINIMAL, env).unwrap();
        assert_eq!(config.l1.rpc, ["http://a:1", "http://b:2"]);
        assert!(config.batcher.enabled);
        assert_eq!(config.batcher.max_fee_per_gas, 7);
        assert_eq!(config.moniker, "7");
        assert_eq!(config.l1.poll_interval, Duration::from_secs(2));
    }

    #[test]
    fn refuses_unknown_keys_and_no_endpoint() {
        let unknown = format!("{MINIMAL}\nportt = 1\n");
        assert!(matches!(Config::parse(Path::new("h"), &unknown, |_| None), Err(ConfigError::Parse(_))));
        for (text, place) in [
            (r#"rpc = "http://h:1/secret""#, "l1.rpc"),
            (r#"rpc = "host/v2/secret""#, "l1.rpc"),
            (r#"rpc = "sec\"ret \" secret""#, "l1.rpc"),
            (r#"rpc = ["http://h:1/secret" 7]"#, "line 3"),
            (r#"rpc = ["host/v2/secret" 7]"#, "line 3"),
            (r#"rpc = [host/v2/secret]"#, "line 3"),
        ] {
            let text = MINIMAL.replace(r#"rpc = ["http://127.0.0.1:8545"]"#, text);
            let error = Config::parse(Path::new("h"), &text, |_| None).unwrap_err().to_string();
            assert!(error.contains(place) && !error.contains("sec"), "{error}");
        }
        let none = MINIMAL.replace("[\"http://127.0.0.1:8545\"]", "[]");
        assert!(matches!(Config::parse(Path::new("h"), &none, |_| None), Err(ConfigError::NoL1)));
    }
}
