//! `rota-sequencer keys rotate`: a new consensus key, here and on L1.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy::{
    eips::BlockNumberOrTag,
    signers::{Signer, local::PrivateKeySigner},
};
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use eyre::{OptionExt, WrapErr, ensure};
use futures::FutureExt;
use rota_bindings::SequencerRegistry;
use rota_protocol::possession;
use rota_sequencer::{
    batcher::Submitter,
    config::{CONFIG_FILE, Config},
    keys,
    l1::{HttpSource, L1Source},
    node,
};

/// How a key is rotated.
#[derive(Debug, clap::Args)]
pub struct RotateArgs {
    /// Keystore of the new key, made if it does not exist; relative paths are relative to the home directory.
    #[arg(long, default_value = "keys/next.json")]
    out: PathBuf,
    /// File whose first line is the password of the new keystore.
    #[arg(long)]
    password_file: PathBuf,
    /// Keystore of the L1 account that sends the rotation: the operator's owner. The present consensus key by default.
    #[arg(long, requires = "sender_password_file")]
    sender_keystore: Option<PathBuf>,
    /// File whose first line is that keystore's password.
    #[arg(long)]
    sender_password_file: Option<PathBuf>,
}

/// Makes the key, puts it into the configuration, then registers it. Each step may have been done before, so the
/// command can be repeated when L1 fails.
pub fn run(home: &Path, args: &RotateArgs) -> eyre::Result<()> {
    let config = Config::load(home)?;
    let path = home.join(&args.out);
    let earlier = config.keys.next.as_ref().zip(config.keys.next_password.as_ref());
    let earlier = earlier.filter(|(keystore, _)| config.path(keystore) != path);
    let present = config.keys.consensus.as_ref().zip(config.keys.consensus_password.as_ref());
    let (keystore, password) =
        earlier.or(present).ok_or_eyre("`keys.consensus` names no key: there is nothing to rotate")?;
    let present = keys::load_signer(&config.path(keystore), &config.path(password))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let l1 = runtime.block_on(Registry::open(&config))?;
    let id = runtime.block_on(l1.operator(&present, earlier.is_some()))?;
    let next = if path.exists() {
        keys::load_signer(&path, &args.password_file)?
    } else {
        let next = PrivateKeySigner::random();
        keys::store_signer(&path, &next, &keys::read_password(&args.password_file)?)?;
        next
    };
    ensure!(next.address() != present.address(), "{} holds the present key {}", path.display(), next.address());
    let password = fs::canonicalize(&args.password_file)
        .wrap_err_with(|| format!("cannot find {}", args.password_file.display()))?;
    // A node that knows a key nobody seats ignores it; a seat without its node would be empty.
    configure(home, earlier, (&args.out, &password))?;

    let sender = match (&args.sender_keystore, &args.sender_password_file) {
        (Some(keystore), Some(password)) => keys::load_signer(keystore, password)?,
        _ => present.clone(),
    };
    let transaction = runtime.block_on(l1.register(id, &next, sender, config.batcher.max_fee_per_gas))?;
    println!("operator   {id}");
    println!("next key   {} {}", next.address(), path.display());
    match transaction {
        Some(hash) => println!("registered {hash}"),
        None => println!("registered before"),
    }
    println!(
        "The node votes with it from the first set frozen for two epochs from now on. If it runs, start it again."
    );
    Ok(())
}

/// Sets `keys.next` in the configuration file. A key that was the next one until now becomes the present one.
fn configure(home: &Path, earlier: Option<(&PathBuf, &PathBuf)>, next: (&Path, &Path)) -> eyre::Result<()> {
    let file = home.join(CONFIG_FILE);
    let mut table: toml::Table = toml::from_str(&fs::read_to_string(&file)?)?;
    let keys = table.entry("keys").or_insert_with(|| toml::Value::Table(toml::Table::new()));
    let keys = keys.as_table_mut().ok_or_eyre("`keys` in config.toml is not a section")?;
    let mut set = |name: &str, path: &Path| {
        let path = path.to_str().ok_or_eyre("the path is not UTF-8")?;
        keys.insert(name.into(), toml::Value::String(path.into()));
        eyre::Ok(())
    };
    if let Some((keystore, password)) = earlier {
        set("consensus", keystore)?;
        set("consensus-password", password)?;
    }
    set("next", next.0)?;
    set("next-password", next.1)?;
    let written = file.with_extension("toml.next");
    fs::write(&written, toml::to_string_pretty(&table)?)?;
    fs::rename(&written, &file).wrap_err_with(|| format!("cannot replace {}", file.display()))
}

/// The registry on the chain's L1.
struct Registry {
    source: Arc<HttpSource>,
    address: Address,
    l1_chain_id: u64,
    epoch: u32,
}

impl Registry {
    async fn open(config: &Config) -> eyre::Result<Self> {
        let chain = node::load_chain(&config.path(&config.chain))?;
        let source = Arc::new(HttpSource::new(&config.l1.rpc, chain.contracts)?);
        let (l1_chain_id, expected) = (source.chain_id().await?, chain.l1_chain_id);
        ensure!(l1_chain_id == expected, "the L1 endpoint has chain id {l1_chain_id}, the chain file says {expected}");
        let head = source.header(BlockNumberOrTag::Latest).await?.ok_or_eyre("L1 has no block")?;
        let epoch = chain.epoch_clock().epoch_at(head.block.timestamp);
        Ok(Self { source, address: chain.contracts.sequencer_registry, l1_chain_id, epoch })
    }

    async fn view<C: SolCall>(&self, call: C) -> eyre::Result<C::Return> {
        Ok(self.source.view(self.address, &call).await?)
    }

    /// The operator of a key, which must have taken its effect if it came by a rotation.
    async fn operator(&self, key: &PrivateKeySigner, rotated: bool) -> eyre::Result<u32> {
        let key = key.address();
        let id = self.view(SequencerRegistry::idOfKeyCall { key }).await?;
        ensure!(id > 0, "no operator is registered with the key {key}");
        let serving = self.view(SequencerRegistry::signerAtCall { id, epoch: self.epoch }).await?;
        ensure!(
            !rotated || serving == key,
            "operator {id} still signs with {serving}: the rotation to {key} takes effect two epochs after it was \
             registered, rotate again then"
        );
        Ok(id)
    }

    /// Registers the next key of an operator, unless that was done.
    async fn register(
        &self,
        id: u32,
        next: &PrivateKeySigner,
        sender: PrivateKeySigner,
        max_fee: u64,
    ) -> eyre::Result<Option<B256>> {
        if self.view(SequencerRegistry::idOfKeyCall { key: next.address() }).await? == id {
            return Ok(None);
        }
        let owner = self.view(SequencerRegistry::ownerOfCall { id }).await?;
        let nonce = self.view(SequencerRegistry::noncesCall { owner }).await?;
        let digest = possession::digest(self.l1_chain_id, self.address, owner, next.address(), nonce);
        let proof = Bytes::from(next.sign_hash(&digest).await?.as_bytes());
        let call = SequencerRegistry::rotateSignerCall { id, newSigner: next.address(), proof };
        let submitter = Submitter::new(Arc::clone(&self.source), sender, self.l1_chain_id, max_fee);
        let receipt = submitter.send(self.address, call.abi_encode().into(), || async { false }.boxed()).await?;
        let receipt = receipt.ok_or_eyre("the account sent something else meanwhile: repeat the command")?;
        Ok(Some(receipt.transaction_hash))
    }
}
