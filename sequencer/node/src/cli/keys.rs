//! `rota-sequencer keys`: the consensus key of a node.

use std::path::{Path, PathBuf};

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use eyre::{WrapErr, eyre};
use rota_sequencer::{
    config::{CONFIG_FILE, Config},
    consensus::protection::{Marks, Protection, ProtectionError},
    keys,
};

/// What to do with the node's keys.
#[derive(Debug, clap::Subcommand)]
pub enum KeysCommand {
    /// Make a new random key, with a slashing-protection table in this home that says it signed nothing, and store it
    /// encrypted.
    New(Target),
    /// Store an existing private key encrypted. What it signed before nobody knows: see `protection`.
    Import {
        /// File holding the key, 32 bytes in hex.
        #[arg(long)]
        private_key_file: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Replace the consensus key: make a new one, configure it here and register it on L1.
    Rotate(super::rotate::RotateArgs),
    /// Print the addresses and the peer id that the configuration leads to.
    Show,
}

/// Folder of the data of a new home, in its home directory.
pub const DATA: &str = "data";

/// Where a key is stored.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Keystore to write; relative paths are relative to the home directory.
    #[arg(long, default_value = "keys/consensus.json")]
    out: PathBuf,
    /// File whose first line is the password to encrypt with.
    #[arg(long)]
    password_file: PathBuf,
}

/// Runs a key command.
pub fn run(home: &Path, command: KeysCommand) -> eyre::Result<()> {
    match command {
        KeysCommand::New(target) => {
            let signer = PrivateKeySigner::random();
            // A key without its table could not be used; a table without its key is of no account.
            made_here(&consensus_folder(home)?, signer.address())?;
            store(home, &target, &signer)
        }
        KeysCommand::Import { private_key_file, target } => {
            let text = std::fs::read_to_string(&private_key_file)
                .wrap_err_with(|| format!("cannot read {}", private_key_file.display()))?;
            // The parse error is dropped on purpose: it could echo the secret.
            let signer = text.trim().parse().map_err(|_| eyre!("{} holds no key", private_key_file.display()))?;
            store(home, &target, &signer)
        }
        KeysCommand::Rotate(args) => super::rotate::run(home, &args),
        KeysCommand::Show => show(home),
    }
}

/// Where this home keeps the tables, also before it has a configuration.
pub fn consensus_folder(home: &Path) -> eyre::Result<PathBuf> {
    let data = match home.join(CONFIG_FILE).exists() {
        true => {
            let config = Config::load(home)?;
            config.path(&config.data)
        }
        false => home.join(DATA),
    };
    Ok(data.join("consensus"))
}

/// Makes the table of a key that was made a moment ago and so has signed nothing.
pub fn made_here(folder: &Path, signer: Address) -> Result<(), ProtectionError> {
    Protection::create(folder, signer, Marks::default())
}

fn store(home: &Path, target: &Target, signer: &PrivateKeySigner) -> eyre::Result<()> {
    let path = home.join(&target.out);
    keys::store_signer(&path, signer, &keys::read_password(&target.password_file)?)?;
    println!("{} {}", signer.address(), path.display());
    Ok(())
}

fn show(home: &Path) -> eyre::Result<()> {
    let config = Config::load(home)?;
    let address = |keystore: &Option<PathBuf>, password: &Option<PathBuf>| match (keystore, password) {
        (Some(keystore), Some(password)) => {
            keys::load_signer(&config.path(keystore), &config.path(password)).map(|key| Some(key.address()))
        }
        _ => Ok(None),
    };
    let signer = address(&config.keys.consensus, &config.keys.consensus_password)?;
    let next = address(&config.keys.next, &config.keys.next_password)?;
    let peer = keys::load_identity(&config.path(&config.keys.node))?.public().to_peer_id();
    println!("signer   {}", signer.map_or_else(|| "none".to_owned(), |address| address.to_string()));
    if let Some(next) = next {
        println!("next     {next}");
    }
    println!("peer id  {peer}");
    Ok(())
}
