//! `rota-sequencer`: the node's command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

mod cli {
    pub mod init;
    pub mod keys;
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
    /// Make, import or show keys.
    #[command(subcommand)]
    Keys(cli::keys::KeysCommand),
}

fn main() -> ExitCode {
    let Cli { home, command } = Cli::parse();
    let result = match command {
        Command::Init(args) => cli::init::run(&home, *args),
        Command::Keys(command) => cli::keys::run(&home, command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
