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
    consensus::protection::Protection,
    keys,
    l1::{HttpSource, L1Source},
    node,
};

use super::keys::{consensus_folder, made_here};

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
        let next = keys::load_signer(&path, &args.password_file)?;
        // The node starts with a table for each of its keys or not at all: not after L1 has heard of this one.
        Protection::expect(&consensus_folder(home)?, next.address())?;
        next
    } else {
        let next = PrivateKeySigner::random();
        made_here(&consensus_folder(home)?, next.address())?;
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
    let failed = || format!("cannot replace {}", file.display());
    let mut settings = vec![("next", next.0), ("next-password", next.1)];
    if let Some((keystore, password)) = earlier {
        settings.extend([("consensus", keystore.as_path()), ("consensus-password", password.as_path())]);
    }
    let mut text = fs::read_to_string(&file)?;
    for (name, path) in settings {
        let path = path.to_str().ok_or_eyre("the path is not UTF-8")?;
        text = set_key(&text, name, path);
    }
    // Whatever the file looks like: what was written says what was meant, or nothing is replaced.
    Config::parse(home, &text, |_| None).wrap_err("cannot edit config.toml: set `keys.next` by hand")?;
    let written = file.with_extension("toml.next");
    fs::write(&written, text).wrap_err_with(failed)?;
    fs::set_permissions(&written, fs::metadata(&file)?.permissions()).wrap_err_with(failed)?;
    keys::make_durable(&written).wrap_err_with(failed)?;
    fs::rename(&written, &file).wrap_err_with(failed)?;
    keys::make_durable(&file).wrap_err_with(failed)
}

/// `text` with one value of its section `[keys]` set: all other lines, comments too, stay as they are.
fn set_key(text: &str, name: &str, value: &str) -> String {
    let setting = format!("{name} = {}", toml::Value::String(value.into()));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let header = |line: &String| line.split('#').next().is_some_and(|line| line.trim() == "[keys]");
    match lines.iter().position(header) {
        None => lines.extend([String::new(), "[keys]".to_owned(), setting]),
        Some(start) => {
            let after = lines.iter().skip(start + 1);
            let end = after.take_while(|line| !line.trim_start().starts_with('[')).count() + start + 1;
            let is_it = |line: &String| line.split_once('=').is_some_and(|(key, _)| key.trim() == name);
            match lines.iter().take(end).skip(start + 1).position(is_it) {
                Some(offset) => {
                    if let Some(line) = lines.get_mut(start + 1 + offset) {
                        *line = setting;
                    }
                }
                None => lines.insert(start + 1, setting),
            }
        }
    }
    lines.join("\n") + "\n"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_keeps_its_comments_and_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(CONFIG_FILE);
        let text = "# mine\nmoniker = \"a\" # short\n\n[keys] # of this node\nconsensus = \"keys/old.json\"\n\
                    consensus-password = \"old\"\n# nothing is next\n\n[l1]\nrpc = [\"http://l1.example\"]\n\n\
                    [consensus]\nlisten = \"/ip4/127.0.0.1/tcp/1\"\n[gossip]\nlisten = \"/ip4/127.0.0.1/tcp/2\"\n\
                    [rpc]\nlisten = \"127.0.0.1:3\"\n[metrics]\nlisten = \"127.0.0.1:4\"\n";
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let next = (Path::new("keys/a \"b\".json"), Path::new("next"));
        configure(home.path(), None, next).unwrap();
        let config = Config::load(home.path()).unwrap();
        assert_eq!(config.keys.next.as_deref(), Some(next.0));
        assert_eq!(config.keys.consensus.as_deref(), Some(Path::new("keys/old.json")));
        // The next rotation.
        let earlier = (config.keys.next.clone().unwrap(), config.keys.next_password.clone().unwrap());
        configure(home.path(), Some((&earlier.0, &earlier.1)), (Path::new("keys/c.json"), next.1)).unwrap();
        let keys = Config::load(home.path()).unwrap().keys;
        assert_eq!(keys.consensus.as_deref(), Some(next.0));
        assert_eq!(keys.consensus_password.as_deref(), Some(next.1));
        assert_eq!(keys.next.as_deref(), Some(Path::new("keys/c.json")));
        let after = fs::read_to_string(&file).unwrap();
        for kept in
            ["# mine\n", "moniker = \"a\" # short\n", "[keys] # of this node\n", "# nothing is next\n", "[l1]\n"]
        {
            assert!(after.contains(kept), "{after}");
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_configuration_without_keys_gets_the_section() {
        assert_eq!(set_key("a = 1\n", "next", "n"), "a = 1\n\n[keys]\nnext = \"n\"\n");
    }

    #[test]
    fn a_configuration_that_cannot_be_edited_stays() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(CONFIG_FILE);
        let text = "keys = { consensus = \"a\" }\n";
        fs::write(&file, text).unwrap();
        assert!(configure(home.path(), None, (Path::new("a"), Path::new("b"))).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}
