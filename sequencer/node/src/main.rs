//! `rota-sequencer`: the node's command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

mod cli {
    pub mod export;
    pub mod init;
    pub mod keys;
    pub mod protection;
    pub mod rotate;
    pub mod run;
}

/// A sequencer node of a Rota chain.
#[derive(Debug, Parser)]
#[command(name = "rota-sequencer", version, max_term_width = 110)]
struct Cli {
    /// Directory of configuration, keys and data.
    #[arg(long, global = true, env = "ROTA_HOME", default_value = "rota-node")]
    home: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the configuration and keys of a new node and print what was written.
    Init(Box<cli::init::InitArgs>),
    /// Run the node: vote and lead when its operator is in the serving set, follow otherwise.
    Run,
    /// Run the node without its consensus key: check and serve the chain, sign nothing.
    Follow,
    /// Print decided blocks or sealed batches as JSON lines. The node must not be running.
    Export(cli::export::ExportArgs),
    /// Make, import or show keys.
    #[command(subcommand)]
    Keys(cli::keys::KeysCommand),
    /// Move the record of what the consensus key signed to another machine. The node must not be running.
    #[command(subcommand)]
    Protection(cli::protection::ProtectionCommand),
}

fn main() -> ExitCode {
    let Cli { home, command } = Cli::parse();
    let result = match command {
        Command::Init(args) => cli::init::run(&home, *args),
        Command::Keys(command) => cli::keys::run(&home, command),
        Command::Protection(command) => cli::protection::run(&home, &command),
        Command::Export(args) => cli::export::run(&home, &args),
        Command::Run => cli::run::run(&home, true),
        Command::Follow => cli::run::run(&home, false),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            cli::run::exit_code(&error)
        }
    }
}
