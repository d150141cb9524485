//! `rota-sequencer protection`: moves the slashing-protection table of a key to another machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::Address;
use eyre::{OptionExt, WrapErr};
use rota_protocol::vote::VoteDomain;
use rota_sequencer::{
    config::Config,
    consensus::{
        interchange::{self, Interchange},
        protection::Protection,
    },
    keys, node,
};

/// What to do with the table. The node must not be running.
#[derive(Debug, clap::Subcommand)]
pub enum ProtectionCommand {
    /// Write down what this node's consensus key has signed, as JSON.
    Export {
        /// File to write; standard output by default.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Never sign where the exported table may have signed. Repeated imports keep the highest floor.
    Import {
        /// File written by `export`.
        file: PathBuf,
    },
}

/// Runs a protection command.
pub fn run(home: &Path, command: &ProtectionCommand) -> eyre::Result<()> {
    let (mut table, domain, signer) = open(home)?;
    match command {
        ProtectionCommand::Export { out } => {
            let text = serde_json::to_string_pretty(&interchange::export(&table, &domain, signer))?;
            match out {
                Some(file) => {
                    fs::write(file, text + "\n").wrap_err_with(|| format!("cannot write {}", file.display()))?;
                    println!("{}", file.display());
                }
                None => println!("{text}"),
            }
        }
        ProtectionCommand::Import { file } => {
            let text = fs::read_to_string(file).wrap_err_with(|| format!("cannot read {}", file.display()))?;
            let document: Interchange =
                serde_json::from_str(&text).wrap_err_with(|| format!("{} is no exported table", file.display()))?;
            match interchange::import(&mut table, &document, &domain, signer)? {
                Some(mark) => println!("{signer} signs nothing up to height {} of fork {}", mark.height, mark.fork),
                None => println!("{signer} had signed nothing"),
            }
        }
    }
    Ok(())
}

fn open(home: &Path) -> eyre::Result<(Protection, VoteDomain, Address)> {
    let config = Config::load(home)?;
    let chain = node::load_chain(&config.path(&config.chain))?;
    let keystore = config.keys.consensus.as_ref().zip(config.keys.consensus_password.as_ref());
    let (keystore, password) = keystore.ok_or_eyre("`keys.consensus` names no key: this node signs nothing")?;
    let signer = keys::load_signer(&config.path(keystore), &config.path(password))?.address();
    let table = Protection::open(&config.path(&config.data).join("consensus"), true)?;
    Ok((table, chain.vote_domain(), signer))
}
