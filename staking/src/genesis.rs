//! `rota genesis`: the chain file that every node of a network shares, and the genesis hash that L1 is built on.

use std::path::{Path, PathBuf};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{B256, Bytes},
    providers::Provider as _,
};
use clap::Subcommand;
use eyre::{Context as _, Result, ensure, eyre};
use rota_bindings::{Deployment, MessagePasser};
use rota_protocol::config::{ChainConfig, ContractsConfig, OriginConfig, default_alloc};

use crate::{
    connection::{Network, NetworkArgs},
    output::print_json,
};

/// Gas limit of every L2 block.
pub const GAS_LIMIT: u64 = 60_000_000;
/// Base fee of block 0, wei.
pub const BASE_FEE: u64 = 1_000_000_000;

/// Bytes of transactions that L2 may take each second, unless a network's chain file says otherwise: calldata of two full
/// batches per L1 block on a real network, one full batch per block of half a second on chains for development.
pub fn data_bytes_per_second(profile: &str) -> u64 {
    if profile == "mainnet" { 20_000 } else { 240_000 }
}

/// Prepare a network's genesis.
#[derive(Subcommand, Clone, Debug)]
pub enum GenesisCommand {
    /// Print the L2 genesis hash that `script/Deploy.s.sol` needs as ROTA_L2_GENESIS_HASH
    #[command(after_help = "Example:\n  rota genesis hash --gas-limit 60000000")]
    Hash {
        /// Gas limit of every L2 block
        #[arg(long, value_name = "GAS", default_value_t = GAS_LIMIT)]
        gas_limit: u64,
        /// Base fee of block 0, wei (7 at least)
        #[arg(long, value_name = "WEI", default_value_t = BASE_FEE)]
        base_fee: u64,
    },
    /// Write the chain file for a deployed network, starting from a confirmed L1 block
    #[command(
        after_help = "Example:\n  rota genesis chain --l1-rpc $L1 --deployment deployments/1.json --out chain.json"
    )]
    Chain {
        /// Where to write it
        #[arg(long, value_name = "FILE", default_value = "chain.json")]
        out: PathBuf,
        /// L1 block that L2 starts from [default: the newest]
        #[arg(long, value_name = "BLOCK")]
        origin: Option<u64>,
        /// Gas limit, as given to `rota genesis hash`
        #[arg(long, value_name = "GAS", default_value_t = GAS_LIMIT)]
        gas_limit: u64,
        /// Base fee, as given to `rota genesis hash`
        #[arg(long, value_name = "WEI", default_value_t = BASE_FEE)]
        base_fee: u64,
        /// Bytes of transactions that L2 may take each second [default: 20000 on `mainnet`, else 240000]
        #[arg(long, value_name = "BYTES")]
        data_bytes_per_second: Option<u64>,
    },
}

/// Hash of L2 block 0: depends on gas limit, base fee and the predeploys only, so it is known before L1 is deployed.
///
/// # Errors
/// When the values do not make a genesis block.
pub fn genesis_hash(gas_limit: u64, base_fee: u64) -> Result<B256> {
    ensure!(
        base_fee >= 7,
        "--base-fee {base_fee} is below 7 wei: clients take a chain without base fee for a legacy one"
    );
    let config = ChainConfig { gas_limit, base_fee, alloc: default_alloc(message_passer()), ..unplaced() };
    Ok(config.genesis_hash())
}

/// A chain without a place on L1; its genesis hash does not depend on one.
fn unplaced() -> ChainConfig {
    ChainConfig {
        l1_chain_id: 0,
        l2_chain_id: 0,
        profile: String::new(),
        genesis_origin: OriginConfig { number: 0, hash: B256::ZERO },
        sigma0: 0,
        gas_limit: 0,
        base_fee: 0,
        epoch_genesis: 0,
        epoch_seconds: 0,
        slots_per_window: 0,
        block_time_ms: 0,
        batch_blocks: 0,
        batch_seconds: 0,
        data_bytes_per_second: 0,
        l1_confirmations: 0,
        max_origin_lag: 0,
        deployed_at_block: 0,
        contracts: ContractsConfig::default(),
        alloc: Default::default(),
    }
}

fn message_passer() -> Bytes {
    MessagePasser::DEPLOYED_BYTECODE.clone()
}

/// The chain file of `deployment`, starting at L1 block `origin`.
///
/// # Errors
/// When no set was frozen yet, or the result does not hash to the genesis that L1 was deployed with.
pub async fn chain_config(
    network: &Network,
    origin: Option<u64>,
    gas_limit: u64,
    base_fee: u64,
    data_rate: Option<u64>,
) -> Result<ChainConfig> {
    let tag = origin.map_or(BlockNumberOrTag::Latest, BlockNumberOrTag::Number);
    let block = network.l1.get_block_by_number(tag).await?.ok_or_else(|| eyre!("L1 has no block {tag}"))?;
    let deployment = &network.deployment;
    let set = network.set();
    let epoch = network.clock().epoch_at(block.header.timestamp);
    let sigma0 = set.frozenEpochAt(epoch).call().await?;
    ensure!(
        sigma0 > 0,
        "no set is frozen for epoch {epoch} or before: register operators, take seats and freeze first (`rota keeper` freezes)"
    );
    let config = ChainConfig {
        l1_chain_id: deployment.chain_id,
        l2_chain_id: deployment.l2_chain_id,
        profile: deployment.profile.clone(),
        genesis_origin: OriginConfig { number: block.header.number, hash: block.header.hash },
        sigma0,
        gas_limit,
        base_fee,
        epoch_genesis: deployment.genesis_time,
        epoch_seconds: deployment.epoch_seconds,
        slots_per_window: deployment.slots_per_window,
        block_time_ms: deployment.block_time_ms,
        batch_blocks: deployment.batch_blocks,
        batch_seconds: deployment.batch_seconds,
        data_bytes_per_second: data_rate.unwrap_or_else(|| data_bytes_per_second(&deployment.profile)),
        l1_confirmations: deployment.l1_confirmations,
        max_origin_lag: deployment.max_origin_lag,
        deployed_at_block: deployment.deployed_at_block,
        contracts: contracts(deployment),
        alloc: default_alloc(message_passer()),
    };
    config.validate()?;
    let hash = config.genesis_hash();
    ensure!(
        hash == deployment.l2_genesis_hash,
        "these values give genesis {hash}, but L1 was deployed with {}: pass the --gas-limit and --base-fee used then",
        deployment.l2_genesis_hash
    );
    Ok(config)
}

fn contracts(deployment: &Deployment) -> ContractsConfig {
    let c = &deployment.contracts;
    ContractsConfig {
        native_token: c.native_token,
        sequencer_registry: c.sequencer_registry,
        stake_vault: c.stake_vault,
        sequencer_set: c.sequencer_set,
        batch_chain: c.batch_chain,
        portal: c.portal,
        reward_vault: c.reward_vault,
        slasher: c.slasher,
        slash_escrow: c.slash_escrow,
        double_vote_fault: c.double_vote_fault,
        double_proposal_fault: c.double_proposal_fault,
        conflicting_certificates_fault: c.conflicting_certificates_fault,
        amnesia_fault: c.amnesia_fault,
        offline_fault: c.offline_fault,
        fee_splitter: c.fee_splitter,
        guardian: c.guardian,
        access_manager: c.access_manager,
        timelock: c.timelock,
        lens: c.lens,
    }
}

/// Writes a chain file.
///
/// # Errors
/// On an I/O failure.
pub fn write(config: &ChainConfig, file: &Path) -> Result<()> {
    std::fs::write(file, serde_json::to_vec_pretty(config)?)
        .wrap_err_with(|| format!("cannot write {}", file.display()))
}

/// Runs `rota genesis …`.
///
/// # Errors
/// As the command's parts.
pub async fn run(command: &GenesisCommand, args: &NetworkArgs) -> Result<()> {
    match command {
        GenesisCommand::Hash { gas_limit, base_fee } => {
            let hash = genesis_hash(*gas_limit, *base_fee)?;
            if args.json {
                return print_json(&serde_json::json!({ "genesisHash": hash }));
            }
            println!("{hash}");
        }
        GenesisCommand::Chain { out, origin, gas_limit, base_fee, data_bytes_per_second } => {
            let network = Network::connect(args).await?;
            let config = chain_config(&network, *origin, *gas_limit, *base_fee, *data_bytes_per_second).await?;
            write(&config, out)?;
            println!(
                "wrote {}: L2 chain {} starts from L1 block {} with the set of epoch {}",
                out.display(),
                config.l2_chain_id,
                config.genesis_origin.number,
                config.sigma0
            );
        }
    }
    Ok(())
}
