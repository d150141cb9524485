//! `rota operator`: register, bond, take a seat, change keys, leave.

use std::path::PathBuf;

use alloy::{
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
};
use clap::{Args, Subcommand};
use eyre::{Context as _, Result, bail, ensure, eyre};
use rota_bindings::{NativeToken, SequencerRegistry, SequencerSet};

use crate::{
    amount::{parse_amount, show_amount},
    connection::{Network, NetworkArgs, WriteArgs, parse_address},
    output::{print_json, print_pairs},
    possession::prove_possession,
    stake,
    submit::Submitter,
};

/// Run a sequencer: register with stake, take a seat, change keys, leave.
#[derive(Subcommand, Clone, Debug)]
pub enum OperatorCommand {
    /// Register a new operator; you become its owner
    #[command(after_help = "Example:\n  rota operator register --signer-keystore node/keys/consensus.json \\\n      \
        --signer-password-file node/keys/password --commission 5 \\\n      \
        --metadata /ip4/203.0.113.7/tcp/27000/p2p/12D3KooW… --keystore owner.json\n\n\
        The consensus key signs a proof that it is yours to register. It never leaves this machine.")]
    Register {
        /// Consensus key of the node
        #[command(flatten)]
        signer: SignerArgs,
        /// Account that receives commission and leader rewards [default: the owner]
        #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
        reward_recipient: Option<Address>,
        /// Commission on delegators' rewards, percent in steps of 0.01
        #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
        commission: f64,
        /// Address other nodes reach the node at (a libp2p multiaddress)
        #[arg(long, value_name = "MULTIADDR")]
        metadata: String,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Stake own tokens on the operator (the bond that a seat requires)
    #[command(after_help = "Example:\n  rota operator bond --id 3 --amount 20000 --keystore owner.json")]
    Bond {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Whole tokens such as 20000 or 0.5, or the smallest unit such as 5wei
        #[arg(long, value_name = "TOKENS", value_parser = parse_amount)]
        amount: U256,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Declare the node up and ready to be seated (or, with --not, that it is not)
    #[command(
        after_help = "Example:\n  rota operator ready --id 3 --keystore owner.json\n  rota operator ready --id 3 --not --keystore owner.json"
    )]
    Ready {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Take the declaration back
        #[arg(long)]
        not: bool,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Take a seat in the active set, or leave it with --leave
    #[command(after_help = "Anybody may seat a ready operator; the keeper does it by itself.\n\n\
        Example:\n  rota operator seat --id 3 --keystore any.json")]
    Seat {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Seat number [default: the best one to take]
        #[arg(long, value_name = "NUMBER", conflicts_with = "leave")]
        seat: Option<u8>,
        /// Give the seat up
        #[arg(long)]
        leave: bool,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Change the commission; takes effect seven epochs later, at most 5 points per change
    #[command(after_help = "Example:\n  rota operator commission --id 3 --percent 7.5 --keystore owner.json")]
    Commission {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// New commission, percent in steps of 0.01
        #[arg(long, value_name = "PERCENT")]
        percent: f64,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Replace the consensus key; takes effect two epochs later, the old key stays answerable for its time
    #[command(
        after_help = "Example:\n  rota operator rotate-key --id 3 --signer-keystore node/keys/next.json --keystore owner.json"
    )]
    RotateKey {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Consensus key of the node
        #[command(flatten)]
        signer: SignerArgs,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Publish a new address of the node
    #[command(
        after_help = "Example:\n  rota operator metadata --id 3 --metadata /ip4/203.0.113.7/tcp/27000/p2p/12D3KooW… --keystore owner.json"
    )]
    Metadata {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// A libp2p multiaddress, as `rota-sequencer init` printed it
        #[arg(long, value_name = "MULTIADDR")]
        metadata: String,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Hand the operator over to another owner, who then accepts with --accept
    #[command(
        after_help = "Example:\n  rota operator hand-over --id 3 --to 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --keystore owner.json\n  rota operator hand-over --id 3 --accept --keystore new-owner.json"
    )]
    HandOver {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// New owner
        #[arg(long, value_name = "ADDRESS", value_parser = parse_address, required_unless_present = "accept")]
        to: Option<Address>,
        /// Accept an operator handed to you
        #[arg(long, conflicts_with = "to")]
        accept: bool,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Bring a jailed operator back, for the network's fee
    #[command(
        after_help = "The fee is the owner's to pay; it is approved to the slash escrow first, if it is not yet.\n\n\
        Example:\n  rota operator unjail --id 3 --keystore owner.json --dry-run"
    )]
    Unjail {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Close the operator for good: no new stake, no seat; everybody can leave
    #[command(
        after_help = "It cannot be undone. `rota operator exit` also gives the seat up and takes the bond back.\n\nExample:\n  rota operator retire --id 3 --keystore owner.json"
    )]
    Retire {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Leave in one go: give the seat up, retire, and undelegate the owner's bond
    #[command(after_help = "The bond is released after the unbonding time; collect it with `rota stake claim`.\n\n\
        Example:\n  rota operator exit --id 3 --keystore owner.json --dry-run")]
    Exit {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
        /// Who signs, and whether to send
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Show an operator: status, keys, stake, seat, rewards
    #[command(after_help = "Example:\n  rota operator status --id 3")]
    Status {
        /// Operator, by its number in the registry
        #[arg(long, value_name = "NUMBER")]
        id: u32,
    },
}

impl OperatorCommand {
    /// The operator it is about, unless it makes one.
    fn id(&self) -> Option<u32> {
        match self {
            Self::Register { .. } => None,
            Self::Bond { id, .. }
            | Self::Ready { id, .. }
            | Self::Seat { id, .. }
            | Self::Commission { id, .. }
            | Self::RotateKey { id, .. }
            | Self::Metadata { id, .. }
            | Self::HandOver { id, .. }
            | Self::Unjail { id, .. }
            | Self::Retire { id, .. }
            | Self::Exit { id, .. }
            | Self::Status { id } => Some(*id),
        }
    }
}

/// Where the consensus key is.
#[derive(Args, Clone, Debug, Default)]
pub struct SignerArgs {
    /// Encrypted key file of the consensus key (web3 keystore v3)
    #[arg(long, value_name = "FILE", conflicts_with = "signer_mnemonic_index")]
    pub signer_keystore: Option<PathBuf>,
    /// File that holds its password; asked for when absent
    #[arg(long, value_name = "FILE")]
    pub signer_password_file: Option<PathBuf>,
    /// Account N of the public devnet mnemonic (devnet only)
    #[arg(long, value_name = "N")]
    pub signer_mnemonic_index: Option<u32>,
}

impl SignerArgs {
    async fn key(&self, devnet: bool) -> Result<PrivateKeySigner> {
        if self.signer_keystore.is_none() && self.signer_mnemonic_index.is_none() {
            bail!("no consensus key: pass --signer-keystore FILE (created by `rota-sequencer keys new`)");
        }
        let write = WriteArgs {
            keystore: self.signer_keystore.clone(),
            password_file: self.signer_password_file.clone(),
            mnemonic_index: self.signer_mnemonic_index,
            ..WriteArgs::default()
        };
        write.key(devnet).await?.ok_or_else(|| eyre!("no consensus key"))
    }
}

/// Everything `register` needs.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Consensus key.
    pub signer: PrivateKeySigner,
    /// Receives commission and leader rewards.
    pub reward_recipient: Address,
    /// Basis points.
    pub commission_bps: u16,
    /// Multiaddress of the node.
    pub metadata: String,
}

/// Percent to basis points.
///
/// # Errors
/// When it is not between 0 and 100 or finer than a basis point.
pub fn percent_to_bps(percent: f64) -> Result<u16> {
    let bps = percent * 100.0;
    ensure!(
        (0.0..=10_000.0).contains(&bps) && (bps - bps.round()).abs() < 1e-6,
        "commission {percent} % must lie between 0 and 100 in steps of 0.01"
    );
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "range checked above")]
    Ok(bps.round() as u16)
}

/// Registers an operator and returns its id (`None` when nothing was sent).
///
/// # Errors
/// As [`Submitter::submit`].
pub async fn register(network: &Network, by: &Submitter<'_>, what: &Registration) -> Result<Option<u32>> {
    let nonce = network.registry().nonces(by.from).call().await?;
    let registry = SequencerRegistry::new(network.deployment.contracts.sequencer_registry, by.provider.clone());
    let proof = prove_possession(&what.signer, network.l1_chain_id, *registry.address(), by.from, nonce).await?;
    let call = registry.register(
        what.signer.address(),
        what.reward_recipient,
        what.commission_bps,
        what.metadata.clone(),
        proof,
    );
    let receipt = by.submit("register operator", call).await?;
    let Some(receipt) = receipt else { return Ok(None) };
    let event = receipt
        .decoded_log::<SequencerRegistry::OperatorRegistered>()
        .ok_or_else(|| eyre!("the registration left no OperatorRegistered event"))?;
    Ok(Some(event.id))
}

/// Runs `rota operator …`.
///
/// # Errors
/// As the command's parts.
pub async fn run(command: &OperatorCommand, args: &NetworkArgs) -> Result<()> {
    let network = Network::connect(args).await?;
    let contracts = &network.deployment.contracts;
    if let Some(id) = command.id() {
        network.check_operator(id).await?;
    }
    match command {
        OperatorCommand::Register { signer, reward_recipient, commission, metadata, write } => {
            check_multiaddress(metadata)?;
            let by = Submitter::new(&network, write).await?;
            let registration = Registration {
                signer: signer.key(network.is_devnet()).await?,
                reward_recipient: reward_recipient.unwrap_or(by.from),
                commission_bps: percent_to_bps(*commission)?,
                metadata: metadata.clone(),
            };
            if let Some(id) = register(&network, &by, &registration).await?
                && !network.json
            {
                println!(
                    "operator {id} is yours. Next: `rota operator bond --id {id} --amount …`, \
                     then `rota operator ready --id {id}`"
                );
            }
        }
        OperatorCommand::Bond { id, amount, write } => {
            let by = Submitter::new(&network, write).await?;
            let owner = network.registry().ownerOf(*id).call().await?;
            ensure!(
                by.from == owner,
                "the bond must come from the owner of operator {id}, {owner}; {} may `rota stake delegate` instead",
                by.from
            );
            stake::delegate(&network, &by, *id, *amount).await?;
        }
        OperatorCommand::Ready { id, not, write } => {
            let by = Submitter::new(&network, write).await?;
            let set = SequencerSet::new(contracts.sequencer_set, by.provider.clone());
            let what = if *not { "declare not ready" } else { "declare ready" };
            by.submit(what, set.setReady(*id, !not)).await?;
        }
        OperatorCommand::Seat { id, seat, leave, write } => {
            let by = Submitter::new(&network, write).await?;
            let set = SequencerSet::new(contracts.sequencer_set, by.provider.clone());
            if *leave {
                by.submit("leave the seat", set.leaveSeat(*id)).await?;
                return Ok(());
            }
            let seat = match seat {
                Some(seat) => *seat,
                None => {
                    let due = network.set().seatDue(*id).call().await?;
                    ensure!(
                        due.due,
                        "operator {id} cannot take a seat now: it must be ready, bonded with its weight in effect \
                         (two epochs after staking) and outweigh an occupant by more than 5 %; see `rota operator status --id {id}`"
                    );
                    due.seat
                }
            };
            by.submit(&format!("take seat {seat}"), set.takeSeat(*id, seat)).await?;
        }
        OperatorCommand::Commission { id, percent, write } => {
            let by = Submitter::new(&network, write).await?;
            let registry = SequencerRegistry::new(contracts.sequencer_registry, by.provider.clone());
            by.submit("change commission", registry.setCommission(*id, percent_to_bps(*percent)?)).await?;
        }
        OperatorCommand::RotateKey { id, signer, write } => {
            let by = Submitter::new(&network, write).await?;
            let registry = SequencerRegistry::new(contracts.sequencer_registry, by.provider.clone());
            let owner = network.registry().ownerOf(*id).call().await?;
            let nonce = network.registry().nonces(owner).call().await?;
            let key = signer.key(network.is_devnet()).await?;
            let proof = prove_possession(&key, network.l1_chain_id, *registry.address(), owner, nonce).await?;
            by.submit("rotate the consensus key", registry.rotateSigner(*id, key.address(), proof)).await?;
        }
        OperatorCommand::Metadata { id, metadata, write } => {
            check_multiaddress(metadata)?;
            let by = Submitter::new(&network, write).await?;
            let registry = SequencerRegistry::new(contracts.sequencer_registry, by.provider.clone());
            by.submit("publish the node's address", registry.setMetadataURI(*id, metadata.clone())).await?;
        }
        OperatorCommand::HandOver { id, to, accept, write } => {
            let by = Submitter::new(&network, write).await?;
            let registry = SequencerRegistry::new(contracts.sequencer_registry, by.provider.clone());
            match (to, accept) {
                (_, true) => by.submit("accept the operator", registry.acceptOwnership(*id)).await?,
                (Some(to), false) => by.submit("hand the operator over", registry.transferOwnership(*id, *to)).await?,
                (None, false) => bail!("pass --to ADDRESS or --accept"),
            };
        }
        OperatorCommand::Unjail { id, write } => {
            let by = Submitter::new(&network, write).await?;
            unjail(&network, &by, *id).await?;
        }
        OperatorCommand::Retire { id, write } => {
            let by = Submitter::new(&network, write).await?;
            let registry = SequencerRegistry::new(contracts.sequencer_registry, by.provider.clone());
            by.submit("retire the operator", registry.retire(*id)).await?;
        }
        OperatorCommand::Exit { id, write } => {
            let by = Submitter::new(&network, write).await?;
            exit(&network, &by, *id).await?;
        }
        OperatorCommand::Status { id } => status(&network, *id).await?,
    }
    Ok(())
}

fn check_multiaddress(metadata: &str) -> Result<()> {
    metadata.parse::<libp2p::Multiaddr>().map(drop).wrap_err_with(|| {
        format!("--metadata '{metadata}' is not a multiaddress such as /ip4/203.0.113.7/tcp/27000/p2p/12D3KooW…")
    })
}

/// Leaves the seat, retires and undelegates the owner's bond, whatever of that is still to do.
///
/// # Errors
/// As [`Submitter::submit`].
pub async fn exit(network: &Network, by: &Submitter<'_>, id: u32) -> Result<()> {
    let contracts = &network.deployment.contracts;
    let registry = SequencerRegistry::new(contracts.sequencer_registry, by.provider.clone());
    let set = SequencerSet::new(contracts.sequencer_set, by.provider.clone());
    if network.set().seatOf(id).call().await?.seated {
        by.submit("leave the seat", set.leaveSeat(id)).await?;
    }
    if network.registry().statusOf(id).call().await? == STATUS_ACTIVE {
        by.submit("retire the operator", registry.retire(id)).await?;
    }
    let units = network.vault().units(id, by.from).call().await?;
    if !units.is_zero() {
        stake::undelegate_units(network, by, id, units).await?;
    }
    Ok(())
}

/// Brings a jailed operator back. The slash escrow takes the fee by allowance, so that is given first where it is missing.
///
/// # Errors
/// When the operator is not jailed, the account is not its owner or holds less than the fee, or as
/// [`Submitter::submit`].
pub async fn unjail(network: &Network, by: &Submitter<'_>, id: u32) -> Result<()> {
    let (read, contracts) = (network.registry(), &network.deployment.contracts);
    let status = read.statusOf(id).call().await?;
    ensure!(status == STATUS_JAILED, "operator {id} is {}, not jailed: there is nothing to lift", status_name(status));
    let owner = read.ownerOf(id).call().await?;
    ensure!(by.from == owner, "only the owner of operator {id}, {owner}, can bring it back, not {}", by.from);
    let fee = read.UNJAIL_FEE().call().await?;
    let action = format!("unjail operator {id} for a fee of {}", show_amount(fee));
    if !fee.is_zero() {
        let balance = network.token().balanceOf(owner).call().await?;
        ensure!(
            balance >= fee,
            "the fee is {}, {owner} holds {}: send it the missing native tokens",
            show_amount(fee),
            show_amount(balance)
        );
        if network.token().allowance(owner, contracts.slash_escrow).call().await? < fee {
            let token = NativeToken::new(contracts.native_token, by.provider.clone());
            let approve = token.approve(contracts.slash_escrow, fee);
            by.submit(&format!("approve the fee of {}", show_amount(fee)), approve).await?;
            if by.simulates() {
                // Without the allowance it would be refused.
                return by.skip(&action, "the approval", &read.unjail(id));
            }
        }
    }
    let registry = SequencerRegistry::new(contracts.sequencer_registry, by.provider.clone());
    by.submit(&action, registry.unjail(id)).await?;
    Ok(())
}

const STATUS_ACTIVE: u8 = 1;
const STATUS_JAILED: u8 = 2;
const STATUS_NAMES: [&str; 5] = ["unknown", "active", "jailed", "retired", "tombstoned"];

fn status_name(status: u8) -> &'static str {
    STATUS_NAMES.get(usize::from(status)).copied().unwrap_or("unknown")
}

async fn status(network: &Network, id: u32) -> Result<()> {
    let registry = network.registry();
    let owner = registry.ownerOf(id).call().await.map_err(|e| crate::submit::explain("read the operator", e))?;
    let epoch = network.clock().epoch_at(network.l1_time().await?);
    let status = status_name(registry.statusOf(id).call().await?);
    let signer = registry.signerOf(id).call().await?;
    let commission = registry.commissionAt(id, epoch).call().await?;
    let recipient = registry.rewardRecipientOf(id).call().await?;
    let pool = network.vault().pool(id).call().await?;
    let counted = network.vault().poolAt(id, epoch).call().await?;
    let bond = network.vault().selfBondAt(id, epoch.saturating_add(2)).call().await?;
    let ready = network.set().isReady(id).call().await?;
    let seat = network.set().seatOf(id).call().await?;
    let earned = network.rewards().claimableCommission(id).call().await?;
    let seat = seat.seated.then_some(seat.seat);
    if network.json {
        return print_json(&serde_json::json!({
            "id": id, "status": status, "owner": owner, "signer": signer, "rewardRecipient": recipient,
            "commissionBps": commission, "pool": pool.tokens, "poolThisEpoch": counted.tokens, "selfBond": bond,
            "ready": ready, "seat": seat, "claimableCommission": earned, "epoch": epoch,
        }));
    }
    print_pairs(&[
        ("operator", id.to_string()),
        ("status", status.to_owned()),
        ("owner", owner.to_string()),
        ("consensus key", signer.to_string()),
        ("reward recipient", recipient.to_string()),
        ("commission", format!("{}.{:02} %", commission / 100, commission % 100)),
        ("stake", format!("{} (counting in epoch {epoch}: {})", show_amount(pool.tokens), show_amount(counted.tokens))),
        ("own bond", show_amount(bond)),
        ("ready", if ready { "yes" } else { "no" }.to_owned()),
        ("seat", seat.map_or_else(|| "none".to_owned(), |seat| seat.to_string())),
        ("unclaimed commission", show_amount(earned)),
    ]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::percent_to_bps;

    #[test]
    fn percent_becomes_basis_points() {
        assert_eq!(percent_to_bps(5.0).unwrap(), 500);
        assert_eq!(percent_to_bps(0.01).unwrap(), 1);
        assert_eq!(percent_to_bps(100.0).unwrap(), 10_000);
        for bad in [-1.0, 100.01, 0.005, f64::NAN] {
            assert!(percent_to_bps(bad).is_err(), "{bad}");
        }
    }
}
