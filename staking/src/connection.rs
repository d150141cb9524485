//! Where a command finds the network: L1 endpoint, contract addresses, L2 endpoint, and who signs.

use std::path::{Path, PathBuf};

use alloy::{
    network::EthereumWallet,
    primitives::Address,
    providers::{DynProvider, Provider as _, ProviderBuilder},
    signers::local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English},
};
use clap::Args;
use eyre::{Context as _, Result, bail, ensure, eyre};
use rota_bindings::{
    BatchChain, Deployment, ExitQueue, Lens, LiquidLens, NativeToken, Portal, RateFeed, RewardVault, SequencerRegistry,
    SequencerSet, StakeVault, StakedToken,
};

use crate::{
    devnet::manifest::{DEV_MNEMONIC, Manifest},
    endpoint::Endpoint,
    events::Search,
    inclusion::parse_gwei,
};

/// Heading of the options that say which network is meant, in every command's help.
const NETWORK: &str = "Network";
/// Heading of the options that say who acts and how.
const SENDING: &str = "Signing and sending";

/// Which network to talk to. A running devnet is found by itself.
#[derive(Args, Clone, Debug, Default)]
pub struct NetworkArgs {
    /// L1 JSON-RPC endpoint [default: the devnet's]
    #[arg(long, env = "ROTA_L1_RPC", hide_env_values = true, global = true, help_heading = NETWORK, value_name = "URL")]
    pub l1_rpc: Option<Endpoint>,
    /// L2 JSON-RPC endpoint of any Rota node [default: the devnet's first node]
    #[arg(long, env = "ROTA_L2_RPC", hide_env_values = true, global = true, help_heading = NETWORK, value_name = "URL")]
    pub l2_rpc: Option<Endpoint>,
    /// File with the contract addresses, `deployments/<chain id>.json` [default: the devnet's]
    #[arg(long, env = "ROTA_DEPLOYMENT", global = true, help_heading = NETWORK, value_name = "FILE")]
    pub deployment: Option<PathBuf>,
    /// Folder of a devnet started by `rota devnet`
    #[arg(long, env = "ROTA_DEVNET_DIR", global = true, help_heading = NETWORK, default_value = ".devnet", value_name = "DIR")]
    pub devnet_dir: PathBuf,
    /// Print JSON instead of text
    #[arg(long, global = true, help_heading = NETWORK)]
    pub json: bool,
}

/// Who signs, and whether to send at all.
#[derive(Args, Clone, Debug, Default)]
pub struct WriteArgs {
    /// Encrypted key file (web3 keystore v3) of the account that acts; a plain key can only come from the environment,
    /// as ROTA_PRIVATE_KEY
    #[arg(long, help_heading = SENDING, env = "ROTA_KEYSTORE", value_name = "FILE", conflicts_with = "mnemonic_index")]
    pub keystore: Option<PathBuf>,
    /// File that holds the keystore's password; asked for when absent
    #[arg(long, help_heading = SENDING, env = "ROTA_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Private key as hex; prefer a keystore. Read from the environment only, so it never shows in a process list
    #[arg(skip)]
    pub private_key: Option<String>,
    /// Account N of the public devnet mnemonic (devnet only: everybody knows these keys)
    #[arg(long, help_heading = SENDING, value_name = "N")]
    pub mnemonic_index: Option<u32>,
    /// Simulate, show whether it would succeed and the gas, send nothing
    #[arg(long, help_heading = SENDING)]
    pub dry_run: bool,
    /// Print target and calldata for a multisig instead of sending
    #[arg(long, help_heading = SENDING, conflicts_with = "dry_run")]
    pub calldata: bool,
    /// Account that a `--calldata` or `--dry-run` transaction comes from, when no key is given
    #[arg(long, help_heading = SENDING, value_name = "ADDRESS", value_parser = parse_address)]
    pub from: Option<Address>,
    /// Most to pay per gas, gwei; a transaction that blocks pass by is replaced at higher fees up to this
    /// [default: 10 times what L1 asks when it is first sent]
    #[arg(long, help_heading = SENDING, env = "ROTA_MAX_FEE", value_name = "GWEI", value_parser = parse_gwei)]
    pub max_fee: Option<u128>,
}

impl WriteArgs {
    /// Arguments that sign with account `index` of the devnet mnemonic.
    pub fn dev_account(index: u32) -> Self {
        Self { mnemonic_index: Some(index), ..Self::default() }
    }

    /// Loads the key; `None` when only an address was given for a dry run or calldata.
    ///
    /// # Errors
    /// When no source of a key was given, or the key cannot be read.
    pub async fn key(&self, devnet: bool) -> Result<Option<PrivateKeySigner>> {
        if let Some(path) = &self.keystore {
            ensure!(
                path.is_file(),
                "there is no keystore {}: `rota-sequencer keys new` creates one, `rota-sequencer keys import` makes one of a plain key",
                path.display()
            );
            let password = match &self.password_file {
                Some(file) => std::fs::read_to_string(file)
                    .wrap_err_with(|| format!("cannot read the password file {}", file.display()))?
                    .trim_end_matches(['\r', '\n'])
                    .to_owned(),
                None => {
                    let prompt = format!("password of {}", path.display());
                    // On a thread of its own, so that Ctrl-C is heard meanwhile.
                    tokio::task::spawn_blocking(|| dialoguer::Password::new().with_prompt(prompt).interact())
                        .await?
                        .wrap_err("no password: pass --password-file when there is no terminal")?
                }
            };
            let key = PrivateKeySigner::decrypt_keystore(path, password)
                .wrap_err_with(|| format!("cannot open the keystore {}", path.display()))?;
            return Ok(Some(key));
        }
        if let Some(index) = self.mnemonic_index {
            if !devnet {
                bail!(
                    "--mnemonic-index {index} uses a key that everybody knows and works on a devnet only; \
                     use --keystore"
                );
            }
            return Ok(Some(dev_key(index)?));
        }
        let hex = self.private_key.clone().or_else(|| std::env::var("ROTA_PRIVATE_KEY").ok());
        if let Some(hex) = hex {
            let key = hex.trim().parse().map_err(|_| eyre!("ROTA_PRIVATE_KEY is not a 32-byte hex key"))?;
            return Ok(Some(key));
        }
        if self.from.is_some() && (self.dry_run || self.calldata) {
            return Ok(None);
        }
        bail!(
            "no key: pass --keystore FILE, set ROTA_PRIVATE_KEY, use --mnemonic-index N on a devnet, \
             or --from ADDRESS together with --dry-run or --calldata"
        )
    }
}

/// Parses an account's address.
///
/// # Errors
/// When it is none, or its checksum (EIP-55) does not hold, naming what was given.
pub fn parse_address(text: &str) -> Result<Address> {
    let address: Address =
        text.trim().parse().map_err(|_| eyre!("'{text}' is not an address: write 0x and 40 hexadecimal digits"))?;
    // Without capital letters there is no checksum.
    let digits = text.trim().trim_start_matches("0x");
    let mixed =
        digits.bytes().any(|byte| byte.is_ascii_uppercase()) && digits.bytes().any(|byte| byte.is_ascii_lowercase());
    ensure!(
        !mixed || address.to_checksum(None).ends_with(digits),
        "'{text}' is mistyped: its checksum (EIP-55) does not hold; compare it with where you copied it from"
    );
    Ok(address)
}

/// Account `index` of the well-known development mnemonic.
///
/// # Errors
/// When the index cannot be derived.
pub fn dev_key(index: u32) -> Result<PrivateKeySigner> {
    Ok(MnemonicBuilder::<English>::default().phrase(DEV_MNEMONIC).index(index)?.build()?)
}

/// A connected network: providers and contract handles.
#[derive(Clone, Debug)]
pub struct Network {
    /// L1, read-only.
    pub l1: DynProvider,
    /// Chain id of L1.
    pub l1_chain_id: u64,
    /// Where L1 is.
    pub l1_url: Endpoint,
    /// Addresses and constants.
    pub deployment: Deployment,
    /// Present when a devnet's manifest was used.
    pub manifest: Option<Manifest>,
    /// Where an L2 node is, when known.
    pub l2_url: Option<Endpoint>,
    /// Machine-readable output was asked for.
    pub json: bool,
    /// Nothing is shown of the progress: for programs, and for the keeper, which logs.
    pub quiet: bool,
}

impl Network {
    /// Finds endpoints and addresses and checks that they belong together.
    ///
    /// # Errors
    /// When something is missing or the chain id differs from the deployment's.
    pub async fn connect(args: &NetworkArgs) -> Result<Self> {
        let manifest = Manifest::load_if_present(&args.devnet_dir)?;
        let l1_url = match (&args.l1_rpc, &manifest) {
            (Some(url), _) => url.clone(),
            (None, Some(manifest)) => manifest.l1.rpc_url.clone().into(),
            (None, None) => bail!(
                "no L1 endpoint: pass --l1-rpc URL (or ROTA_L1_RPC), or start a devnet with `rota devnet` \
                 (none found in {})",
                args.devnet_dir.display()
            ),
        };
        let l1 = ProviderBuilder::new()
            .connect(l1_url.url()?)
            .await
            .wrap_err_with(|| format!("cannot connect to L1 at {l1_url}"))?
            .erased();
        let l1_chain_id = l1.get_chain_id().await.wrap_err_with(|| {
            format!("no answer from L1 at {l1_url}: start it, or pass another --l1-rpc (or ROTA_L1_RPC)")
        })?;
        let file = match (&args.deployment, &manifest) {
            (Some(file), _) => file.clone(),
            (None, Some(manifest)) => manifest.deployment.clone(),
            (None, None) => Path::new("deployments").join(format!("{l1_chain_id}.json")),
        };
        let deployment = Deployment::from_file(&file).wrap_err(
            "no contract addresses: pass --deployment FILE (or ROTA_DEPLOYMENT), as script/Deploy.s.sol wrote it",
        )?;
        if deployment.chain_id != l1_chain_id {
            bail!(
                "{} is for chain {}, but {l1_url} is chain {l1_chain_id}: pass the right --deployment or --l1-rpc",
                file.display(),
                deployment.chain_id
            );
        }
        let registry = deployment.contracts.sequencer_registry;
        if l1.get_code_at(registry).await?.is_empty() {
            bail!(
                "{} names {registry} as the registry, but {l1_url} (chain {l1_chain_id}) has no contract there: \
                 pass the --deployment of this chain, or the --l1-rpc that it was made for",
                file.display()
            );
        }
        let l2_url = args
            .l2_rpc
            .clone()
            .or_else(|| manifest.as_ref().and_then(|m| m.l2.nodes.first()).map(|node| node.rpc_url.clone().into()));
        Ok(Self { l1, l1_chain_id, l1_url, deployment, manifest, l2_url, json: args.json, quiet: args.json })
    }

    /// Whether this is a throw-away network whose keys are public.
    pub fn is_devnet(&self) -> bool {
        matches!(self.deployment.profile.as_str(), "devnet" | "test")
    }

    /// L1 provider that signs with `key`.
    ///
    /// # Errors
    /// When the endpoint cannot be reached.
    pub async fn signing(&self, key: PrivateKeySigner) -> Result<DynProvider> {
        Ok(ProviderBuilder::new()
            .wallet(EthereumWallet::from(key))
            .connect(self.l1_url.url()?)
            .await
            .wrap_err_with(|| format!("cannot connect to L1 at {}", self.l1_url))?
            .erased())
    }

    /// Provider of the L2 node, once it has answered as a node of this rollup.
    ///
    /// # Errors
    /// When no L2 endpoint is known, it does not answer, or it serves another chain.
    pub async fn l2(&self) -> Result<DynProvider> {
        let url = self
            .l2_url
            .as_ref()
            .ok_or_else(|| eyre!("no L2 endpoint: pass --l2-rpc URL (or ROTA_L2_RPC) of any Rota node"))?;
        let l2 = ProviderBuilder::new()
            .connect(url.url()?)
            .await
            .wrap_err_with(|| format!("cannot connect to L2 at {url}"))?
            .erased();
        let found = l2.get_chain_id().await.wrap_err_with(|| {
            format!("no answer from L2 at {url}: start the node, or pass another --l2-rpc (or ROTA_L2_RPC)")
        })?;
        let expected = self.deployment.l2_chain_id;
        ensure!(
            found == expected,
            "{url} is L2 chain {found}, the deployment is of {expected}: pass the right --l2-rpc"
        );
        Ok(l2)
    }

    /// Refuses an operator that was never registered, for which views would answer with zeros.
    ///
    /// # Errors
    /// When the registry does not know `id`, or L1 fails.
    pub async fn check_operator(&self, id: u32) -> Result<()> {
        let count = self.registry().operatorCount().call().await.wrap_err("asking the registry for its operators")?;
        let known = if count == 0 { "none is registered".to_owned() } else { format!("they are 1 to {count}") };
        ensure!((1..=count).contains(&id), "there is no operator {id} on chain {}: {known}", self.l1_chain_id);
        Ok(())
    }

    /// Timestamp of the newest L1 block, Unix seconds.
    ///
    /// # Errors
    /// When L1 does not answer.
    pub async fn l1_time(&self) -> Result<u64> {
        let block = self
            .l1
            .get_block_by_number(alloy::eips::BlockNumberOrTag::Latest)
            .await?
            .ok_or_else(|| eyre!("L1 at {} has no latest block", self.l1_url))?;
        Ok(block.header.timestamp)
    }

    /// A search for events since the deployment, up to the newest L1 block; `what` is for the progress bar and errors.
    ///
    /// # Errors
    /// When L1 does not answer.
    pub async fn search<'a>(&self, what: &'a str) -> Result<Search<'a>> {
        let head = self.l1.get_block_number().await?;
        Ok(Search { what, blocks: self.deployment.deployed_at_block..=head, visible: !self.quiet })
    }

    /// Epochs of this deployment.
    pub fn clock(&self) -> rota_protocol::epoch::EpochClock {
        rota_protocol::epoch::EpochClock {
            genesis: self.deployment.genesis_time,
            epoch_seconds: self.deployment.epoch_seconds,
        }
    }

    /// Handle of the registry.
    pub fn registry(&self) -> SequencerRegistry::SequencerRegistryInstance<DynProvider> {
        SequencerRegistry::new(self.deployment.contracts.sequencer_registry, self.l1.clone())
    }

    /// Handle of the vault.
    pub fn vault(&self) -> StakeVault::StakeVaultInstance<DynProvider> {
        StakeVault::new(self.deployment.contracts.stake_vault, self.l1.clone())
    }

    /// Handle of the active set.
    pub fn set(&self) -> SequencerSet::SequencerSetInstance<DynProvider> {
        SequencerSet::new(self.deployment.contracts.sequencer_set, self.l1.clone())
    }

    /// Handle of the batch chain.
    pub fn batches(&self) -> BatchChain::BatchChainInstance<DynProvider> {
        BatchChain::new(self.deployment.contracts.batch_chain, self.l1.clone())
    }

    /// Handle of the portal.
    pub fn portal(&self) -> Portal::PortalInstance<DynProvider> {
        Portal::new(self.deployment.contracts.portal, self.l1.clone())
    }

    /// Handle of the reward vault.
    pub fn rewards(&self) -> RewardVault::RewardVaultInstance<DynProvider> {
        RewardVault::new(self.deployment.contracts.reward_vault, self.l1.clone())
    }

    /// Handle of the native token.
    pub fn token(&self) -> NativeToken::NativeTokenInstance<DynProvider> {
        NativeToken::new(self.deployment.contracts.native_token, self.l1.clone())
    }

    /// Handle of the read-only lens.
    pub fn lens(&self) -> Lens::LensInstance<DynProvider> {
        Lens::new(self.deployment.contracts.lens, self.l1.clone())
    }

    /// Handle of the staked token.
    pub fn staked_token(&self) -> StakedToken::StakedTokenInstance<DynProvider> {
        StakedToken::new(self.deployment.contracts.staked_token, self.l1.clone())
    }

    /// Handle of the exit queue.
    pub fn exit_queue(&self) -> ExitQueue::ExitQueueInstance<DynProvider> {
        ExitQueue::new(self.deployment.contracts.exit_queue, self.l1.clone())
    }

    /// Handle of the feed of the staked token's rate.
    pub fn rate_feed(&self) -> RateFeed::RateFeedInstance<DynProvider> {
        RateFeed::new(self.deployment.contracts.rate_feed, self.l1.clone())
    }

    /// Handle of the read-only lens on liquid staking.
    pub fn liquid_lens(&self) -> LiquidLens::LiquidLensInstance<DynProvider> {
        LiquidLens::new(self.deployment.contracts.liquid_lens, self.l1.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::parse_address;

    #[test]
    fn addresses_are_checked() {
        let good = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
        assert_eq!(parse_address(good).unwrap().to_string(), good);
        assert_eq!(parse_address(&good.to_lowercase()).unwrap().to_string(), good);
        assert_eq!(parse_address(&format!("0x{}", good[2..].to_uppercase())).unwrap().to_string(), good);
        for bad in [
            "",
            "0x12",
            "me.eth",
            "0x70997970C51812dc3A010C7d01b50e0d17dc79C9",
            "0x70997970c51812dc3A010C7d01b50e0d17dc79C8",
        ] {
            let error = parse_address(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("'{bad}'")), "{error}");
        }
    }
}
