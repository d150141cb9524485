//! The staking contracts, deployed and wired as on a network; slasher, escrow and sequencer set are plain accounts.

use std::collections::BTreeMap;

use alloy::signers::{SignerSync, local::MnemonicBuilder};
use alloy_primitives::{Address, U256, address};
use alloy_sol_types::SolValue;
use eyre::{Result, ensure};
use rota_bindings::{
    NativeToken, SequencerRegistry,
    generated::{sequencer_registry::ISequencerRegistry, stake_vault::IStakeVault},
};

use super::model::{Operator, StakeModel, Status, WAD};
use crate::chain::{Artifacts, CHAIN_ID, Chain, Snapshot};

/// The public test mnemonic of Hardhat and anvil: consensus keys of the operators.
const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// Creates the contracts, holds all tokens that are not given away, and governs.
pub const DEPLOYER: Address = address!("0x00000000000000000000000000000000000000d0");
/// The vault's slasher.
pub const SLASHER: Address = address!("0x00000000000000000000000000000000000000d1");
/// Where slashed tokens go.
pub const ESCROW: Address = address!("0x00000000000000000000000000000000000000d2");
/// The vault's sequencer set.
pub const SEQUENCER_SET: Address = address!("0x00000000000000000000000000000000000000d3");

/// What does not change in a history.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Start of epoch 0, unix seconds.
    pub genesis: u64,
    /// Length of an epoch, seconds.
    pub epoch_seconds: u64,
    /// Whole epochs between the end of service and the claim.
    pub unbonding_epochs: u32,
    /// Largest pool at first, token wei.
    pub max_pool: U256,
}

/// Addresses of the contracts, and state and model before anything happened.
#[derive(Clone, Debug)]
pub struct StakeWorld {
    /// The native token.
    pub token: Address,
    /// `Guardian`.
    pub guardian: Address,
    /// `AccessManager`, whose administrator is [`DEPLOYER`].
    pub manager: Address,
    /// `SequencerRegistry`.
    pub registry: Address,
    /// `StakeVault`.
    pub vault: Address,
    /// Where every history starts.
    pub start: Snapshot,
    /// The model of it.
    pub model: StakeModel,
}

impl StakeWorld {
    /// Delegators; the first [`StakeWorld::OPERATORS`] own the operators of the same number, counted from 1.
    pub const PEOPLE: usize = 5;
    /// Operators, ids from 1.
    pub const OPERATORS: u32 = 3;
    /// Length of an epoch.
    pub const EPOCH_SECONDS: u64 = 86_400;
    /// Short, so that histories reach the end of it.
    pub const UNBONDING_EPOCHS: u32 = 3;
    /// Largest pool at first, token wei.
    pub const MAX_POOL: U256 = U256::from_limbs([0x02c7_e14a_f680_0000, 5421, 0, 0]);
    /// Start of epoch 0, unix seconds.
    pub const GENESIS: u64 = 1_700_000_000;
    const FIRST_EPOCH: u64 = 10;
    /// What everybody owns at first, whole tokens.
    pub const PURSE: u64 = 1_000_000_000;

    /// Address of person `number`.
    pub fn person(number: usize) -> Address {
        Address::with_last_byte(0xa0 + u8::try_from(number).unwrap_or(u8::MAX))
    }

    /// Deploys everything and gives everybody tokens and the vault their allowance.
    ///
    /// # Errors
    /// If a contract is not built or refuses.
    pub fn deploy(artifacts: &Artifacts) -> Result<Self> {
        let terms = Terms {
            genesis: Self::GENESIS,
            epoch_seconds: Self::EPOCH_SECONDS,
            unbonding_epochs: Self::UNBONDING_EPOCHS,
            max_pool: Self::MAX_POOL,
        };
        let mut chain = Chain::new(Self::GENESIS + Self::FIRST_EPOCH * Self::EPOCH_SECONDS);
        let supply = U256::from(Self::PURSE) * U256::from(1000) * WAD;
        let name = |text: &str| text.to_owned();
        let token = chain.deploy(
            DEPLOYER,
            artifacts.creation_code("NativeToken", "NativeToken")?,
            &(name("Rota"), name("ROTA"), supply, DEPLOYER).abi_encode_params(),
        )?;
        let manager = chain.deploy(
            DEPLOYER,
            artifacts.creation_code("AccessManager", "AccessManager")?,
            &DEPLOYER.abi_encode(),
        )?;
        let guardian =
            chain.deploy(DEPLOYER, artifacts.creation_code("Guardian", "Guardian")?, &manager.abi_encode())?;
        let registry = chain.deploy(
            DEPLOYER,
            artifacts.creation_code("SequencerRegistry", "SequencerRegistry")?,
            &ISequencerRegistry::Config {
                guardian,
                slasher: SLASHER,
                slashEscrow: ESCROW,
                unjailFee: U256::ZERO,
                maxCommissionBps: 3000,
                genesis: terms.genesis,
                epochSeconds: terms.epoch_seconds,
            }
            .abi_encode(),
        )?;
        let vault = chain.deploy(
            DEPLOYER,
            artifacts.creation_code("StakeVault", "StakeVault")?,
            &IStakeVault::Config {
                token,
                registry,
                guardian,
                slasher: SLASHER,
                slashEscrow: ESCROW,
                sequencerSet: SEQUENCER_SET,
                authority: manager,
                unbondingEpochs: terms.unbonding_epochs,
                maxPool: terms.max_pool,
                genesis: terms.genesis,
                epochSeconds: terms.epoch_seconds,
            }
            .abi_encode(),
        )?;
        for number in 0..Self::PEOPLE {
            let who = Self::person(number);
            let amount = U256::from(Self::PURSE) * WAD;
            chain.must(DEPLOYER, token, &NativeToken::transferCall { to: who, value: amount })?;
            chain.must(who, token, &NativeToken::approveCall { spender: vault, value: U256::MAX })?;
        }
        let mut operators = BTreeMap::new();
        for (number, id) in (0..Self::PEOPLE).zip(1..=Self::OPERATORS) {
            let owner = Self::person(number);
            ensure!(register(&mut chain, registry, owner, id)? == id, "operators are numbered in order");
            operators.insert(id, Operator { owner, status: Status::Active });
        }
        let model = StakeModel::new(terms, chain.timestamp(), operators);
        Ok(Self { token, guardian, manager, registry, vault, start: chain.snapshot(), model })
    }
}

fn register(chain: &mut Chain, registry: Address, owner: Address, index: u32) -> Result<u32> {
    let key = MnemonicBuilder::from_phrase_nth(MNEMONIC, index);
    let signer = key.address();
    let digest = rota_protocol::possession::digest(CHAIN_ID, registry, owner, signer, U256::ZERO);
    let proof = key.sign_hash_sync(&digest)?.as_bytes().into();
    chain.must(
        owner,
        registry,
        &SequencerRegistry::registerCall {
            signer,
            rewardRecipient: owner,
            commissionBps: 1000,
            metadataURI: String::new(),
            proof,
        },
    )
}
