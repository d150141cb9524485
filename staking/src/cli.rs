//! Arguments of the `rota` program.

use clap::{Parser, Subcommand};
use eyre::Result;

use crate::{
    batch::{self, BatchCommand},
    connection::NetworkArgs,
    deposit::{self, DepositArgs},
    devnet::{self, DevnetArgs},
    epoch,
    genesis::{self, GenesisCommand},
    keeper::{self, KeeperArgs},
    liquid::{self, LiquidCommand},
    operator::{self, OperatorCommand},
    stake::{self, StakeCommand},
};

/// Stake, operate, keep and try out a Rota network: a rotating, staked set of sequencers for a rollup.
#[derive(Parser, Debug)]
#[command(name = "rota", version, about, after_help = AFTER_HELP, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Start here:
  rota devnet                                          the whole system on this machine
  rota epoch                                           who sequences now
  rota stake delegate --id 1 --amount 500 --mnemonic-index 5
  rota stake claim --id 1 --mnemonic-index 5 --wait

Every writing command takes --dry-run (simulate and show gas), --calldata (for a multisig) and --json.
Amounts are whole native tokens. Operators are named by their number in the registry.";

#[derive(Subcommand, Debug)]
enum Command {
    /// Start L1, contracts, sequencers and keeper on this machine
    Devnet(DevnetArgs),
    #[command(subcommand)]
    Operator(OperatorCommand),
    #[command(subcommand)]
    Stake(StakeCommand),
    #[command(subcommand)]
    Liquid(LiquidCommand),
    Deposit(DepositArgs),
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Show the epoch, the serving set and where rewards stand
    #[command(after_help = "Example:\n  rota epoch\n  rota epoch --json --l1-rpc $L1 --deployment deployments/1.json")]
    Epoch,
    /// Do the protocol's chores on L1 for whoever runs it: anchor, freeze, seat, finalize, open and credit epochs, tend the staked token
    Keeper(KeeperArgs),
    #[command(subcommand)]
    Genesis(GenesisCommand),
}

impl Cli {
    /// Whether the command ends in its own way on Ctrl-C; every other one may be left at any await.
    pub fn stops_itself(&self) -> bool {
        matches!(self.command, Command::Devnet(_) | Command::Keeper(_))
    }

    /// Runs the command.
    ///
    /// # Errors
    /// With a message for people: what failed, with which value, and what to do.
    pub async fn run(self) -> Result<()> {
        match &self.command {
            Command::Devnet(args) => devnet::run(args, &self.network).await,
            Command::Operator(command) => operator::run(command, &self.network).await,
            Command::Stake(command) => stake::run(command, &self.network).await,
            Command::Liquid(command) => liquid::run(command, &self.network).await,
            Command::Deposit(args) => deposit::run(args, &self.network).await,
            Command::Batch(command) => batch::run(command, &self.network).await,
            Command::Epoch => epoch::run(&self.network).await,
            Command::Keeper(args) => keeper::run(args, &self.network).await,
            Command::Genesis(command) => genesis::run(command, &self.network).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
