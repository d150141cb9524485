//! `rota-models`: random histories on which the contracts and their models must agree.

use std::{path::PathBuf, time::Instant};

use clap::{Parser, ValueEnum};
use eyre::Result;
use rota_models::{
    chain::Artifacts,
    history::{Campaign, Pair},
    liquid::{LiquidPair, LiquidWorld},
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
    /// Operations in each history; 40 of stake, 60 of liquid staking if it is not given.
    #[arg(long)]
    length: Option<usize>,
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
    /// `StakedToken`, `ExitQueue`, `Allocator` and `CoverFund`, on `StakeVault`.
    Liquid,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let Arguments { subject, histories, jobs, .. } = arguments;
    let length = arguments.length.unwrap_or(match subject {
        Subject::Stake => 40,
        Subject::Liquid => 60,
    });
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("{subject:?}: {histories} histories of {length} operations from seed {seed}");
    let campaign = Campaign { histories, length, seed, jobs };
    let artifacts = Artifacts::new(arguments.out);
    let started = Instant::now();
    match subject {
        Subject::Stake => {
            let world = StakeWorld::deploy(&artifacts)?;
            run(&campaign, || StakePair::new(&world))?;
        }
        Subject::Liquid => {
            let world = LiquidWorld::deploy(&artifacts)?;
            run(&campaign, || LiquidPair::new(&world))?;
        }
    }
    println!("model and contracts agree, after {} s", started.elapsed().as_secs());
    Ok(())
}

fn run<P: Pair>(campaign: &Campaign, begin: impl Fn() -> P + Sync) -> Result<()> {
    let tally = campaign.run(begin)?;
    for (outcome, count) in &tally {
        println!("{count:>12}  {outcome}");
    }
    campaign.check::<P>(&tally)
}
