//! `rota-models`: random histories on which the contracts and their models must agree.

use std::{path::PathBuf, time::Instant};

use clap::{Parser, ValueEnum};
use eyre::Result;
use rota_models::{
    chain::Artifacts,
    history::{Campaign, Tally},
    stake::{StakePair, StakeWorld},
};

/// Runs random histories on the compiled contracts and on their models, and compares them after every operation.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which contracts.
    subject: Subject,
    /// Number of histories.
    #[arg(long, default_value_t = 2_000)]
    histories: u64,
    /// Operations in each history.
    #[arg(long, default_value_t = 40)]
    length: usize,
    /// Seed of the first history; random if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Histories at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Output folder of forge.
    #[arg(long, default_value = "out")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Subject {
    /// `StakeVault`.
    Stake,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let Arguments { histories, length, jobs, .. } = arguments;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("{:?}: {histories} histories of {length} operations from seed {seed}", arguments.subject);
    let campaign = Campaign { histories, length, seed, jobs };
    let artifacts = Artifacts::new(arguments.out);
    let started = Instant::now();
    let tally = match arguments.subject {
        Subject::Stake => {
            let world = StakeWorld::deploy(&artifacts)?;
            campaign.run(|| StakePair::new(&world))?
        }
    };
    print(&tally);
    println!("model and contracts agree, after {} s", started.elapsed().as_secs());
    Ok(())
}

fn print(tally: &Tally) {
    for (outcome, count) in tally {
        println!("{count:>12}  {outcome}");
    }
}
