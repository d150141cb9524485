//! `rota-sequencer protection`: the slashing-protection tables of a node's keys: to move them to another machine, and to
//! make one where there is none.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::Address;
use eyre::{OptionExt, WrapErr, ensure};
use rota_protocol::vote::VoteDomain;
use rota_sequencer::{
    config::Config,
    consensus::{
        interchange::{self, Interchange},
        protection::{Marks, Protection},
    },
    keys, node,
};

/// What to do with the tables. The node must not be running.
#[derive(Debug, clap::Subcommand)]
pub enum ProtectionCommand {
    /// Write down what this node's consensus keys have signed, as JSON.
    Export {
        /// File to write; standard output by default.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Never sign where the exported tables may have signed. Repeated imports keep the highest marks.
    Import {
        /// File written by `export`.
        file: PathBuf,
    },
    /// Make the table of a key that has none: it was imported, or the data directory is lost or an old copy.
    New(NewArgs),
}

/// What is known of the key's past.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct NewArgs {
    /// Sign only above this height: the head of any other node plus a margin of some 100 blocks, because the key may have
    /// voted on the height under way. An existing table keeps its lines and is raised to it.
    #[arg(long, value_name = "HEIGHT")]
    above: Option<u64>,
    /// The key never signed anything for this chain, on any machine. If that is wrong, it will be slashed.
    #[arg(long)]
    never_signed: bool,
}

/// Runs a protection command.
pub fn run(home: &Path, command: &ProtectionCommand) -> eyre::Result<()> {
    let home = Home::open(home)?;
    match command {
        ProtectionCommand::Export { out } => home.export(out.as_deref()),
        ProtectionCommand::Import { file } => home.import(file),
        ProtectionCommand::New(args) => home.make(args),
    }
}

/// A node that is not running.
struct Home {
    folder: PathBuf,
    domain: VoteDomain,
    /// `keys.consensus` and, during a rotation, `keys.next`.
    signers: Vec<Address>,
}

impl Home {
    fn open(home: &Path) -> eyre::Result<Self> {
        let config = Config::load(home)?;
        let chain = node::load_chain(&config.path(&config.chain))?;
        let key = &config.keys;
        let configured = [(&key.consensus, &key.consensus_password), (&key.next, &key.next_password)];
        let mut signers = Vec::new();
        for (keystore, password) in configured {
            if let (Some(keystore), Some(password)) = (keystore, password) {
                signers.push(keys::load_signer(&config.path(keystore), &config.path(password))?.address());
            }
        }
        ensure!(!signers.is_empty(), "`keys.consensus` names no key: this node signs nothing");
        let folder = config.path(&config.data).join("consensus");
        Ok(Self { folder, domain: chain.vote_domain(), signers })
    }

    fn export(&self, out: Option<&Path>) -> eyre::Result<()> {
        let open = |signer: &Address| Protection::open(&self.folder, *signer, true);
        let tables: Vec<_> = self.signers.iter().map(open).collect::<Result<_, _>>()?;
        let text = serde_json::to_string_pretty(&interchange::export(&tables, &self.domain))?;
        let Some(file) = out else {
            println!("{text}");
            return Ok(());
        };
        fs::write(file, text + "\n").wrap_err_with(|| format!("cannot write {}", file.display()))?;
        println!("{} holds what these keys signed:", file.display());
        self.signers.iter().for_each(|signer| println!("{signer}"));
        println!("Never start this node again with them: what they sign from now on the file does not know.");
        Ok(())
    }

    fn import(&self, file: &Path) -> eyre::Result<()> {
        let text = fs::read_to_string(file).wrap_err_with(|| format!("cannot read {}", file.display()))?;
        let document: Interchange =
            serde_json::from_str(&text).wrap_err_with(|| format!("{} holds no exported tables", file.display()))?;
        for (signer, marks) in interchange::marks(&document, &self.domain, &self.signers)? {
            Protection::restrict(&self.folder, signer, marks)?;
            say(signer, marks);
        }
        Ok(())
    }

    fn make(&self, args: &NewArgs) -> eyre::Result<()> {
        match args.above {
            Some(height) => {
                let marks = Marks { silent: None, above: Some(height) };
                for signer in &self.signers {
                    Protection::restrict(&self.folder, *signer, marks)?;
                    say(*signer, marks);
                }
            }
            None => {
                let missing = |signer: &&Address| Protection::expect(&self.folder, **signer).is_err();
                let missing: Vec<_> = self.signers.iter().filter(missing).collect();
                let first = self.signers.first().ok_or_eyre("no key")?;
                ensure!(
                    !missing.is_empty(),
                    "{} exists already: a table is never replaced by an empty one",
                    Protection::path(&self.folder, *first).display()
                );
                for signer in missing {
                    Protection::create(&self.folder, *signer, Marks::default())?;
                    say(*signer, Marks::default());
                }
            }
        }
        Ok(())
    }
}

fn say(signer: Address, marks: Marks) {
    if let Some((fork, height)) = marks.silent {
        println!("{signer} signs nothing up to height {height} of fork {fork}");
    }
    if let Some(height) = marks.above {
        println!("{signer} signs nothing up to height {height}");
    }
    if marks == Marks::default() {
        println!("{signer} has signed nothing yet");
    }
}
