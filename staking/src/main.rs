//! `rota`: stake, operate, keep and try out a Rota network.

use std::process::ExitCode;

use clap::Parser as _;
use rota::{cli::Cli, devnet::interrupted};
use rota_bindings::redact::hide_keys;

/// What a shell expects of a program that Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = if cli.stops_itself() {
        cli.run().await
    } else {
        // The command that is left says what it had sent.
        tokio::select! {
            biased;
            outcome = cli.run() => outcome,
            _ = interrupted() => {
                eprintln!("interrupted");
                std::process::exit(INTERRUPTED)
            }
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", hide_keys(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
