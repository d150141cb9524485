//! The liquid staking contracts on the staking contracts, wired as in a deployment.

use alloy_primitives::{Address, U256, address};
use alloy_sol_types::SolValue;
use eyre::{Result, ensure};
use rota_bindings::{NativeToken, StakeVault};

use super::{
    abi::{Allocator, Figures, StakedTokenConfig, Wiring},
    model::LiquidModel,
    terms::{LiquidTerms, SEED},
};
use crate::{
    chain::{Artifacts, Chain, Snapshot},
    stake::{DEPLOYER, StakeWorld, WAD},
};

/// Creates the liquid staking contracts.
const CREATOR: Address = address!("0x00000000000000000000000000000000000000e0");
/// Receives the fees on gains.
pub const TREASURY: Address = address!("0x00000000000000000000000000000000000000e1");
/// Owns the first shares.
pub const NOBODY: Address = address!("0x000000000000000000000000000000000000dEaD");

/// Addresses of the contracts, and state and model before anything happened.
#[derive(Clone, Debug)]
pub struct LiquidWorld {
    /// The staking contracts below.
    pub stake: StakeWorld,
    /// `StakedToken`.
    pub token: Address,
    /// `ExitQueue`.
    pub queue: Address,
    /// `Allocator`.
    pub allocator: Address,
    /// `CoverFund`.
    pub cover: Address,
    /// `FaultWatch`.
    pub watch: Address,
    /// Counts open charges.
    pub charges: Address,
    /// Pays rewards.
    pub rewards: Address,
    /// Where every history starts.
    pub start: Snapshot,
    /// The model of it.
    pub model: LiquidModel,
}

impl LiquidWorld {
    const FEE_BPS: u16 = 1000;
    const WEIGHT: u16 = 100;
    const BOND: u64 = 3_000;

    /// Deploys everything on a fresh [`StakeWorld`] whose operators are bonded and listed, past the ramp.
    ///
    /// # Errors
    /// If a contract is not built or refuses.
    pub fn deploy(artifacts: &Artifacts) -> Result<Self> {
        let stake = StakeWorld::deploy(artifacts)?;
        let mut chain = Chain::resume(&stake.start);
        let mut below = stake.model.clone();
        let day = StakeWorld::EPOCH_SECONDS;
        for (id, operator) in stake.model.operators.clone() {
            let amount = U256::from(Self::BOND) * WAD;
            chain.must(operator.owner, stake.vault, &StakeVault::delegateCall { id, amount })?;
            ensure!(below.delegate(operator.owner, id, amount).is_ok(), "the model takes the bonds");
        }
        let rewards =
            chain.deploy(CREATOR, artifacts.creation_code("LiquidFixture", "RewardBox")?, &stake.token.abi_encode())?;
        // The token takes its first deposit when it is created: it is foreseen, and allowed to.
        let token = chain.next_address(CREATOR, 6)?;
        chain.must(DEPLOYER, stake.token, &NativeToken::transferCall { to: CREATOR, value: SEED })?;
        chain.must(CREATOR, stake.token, &NativeToken::approveCall { spender: token, value: SEED })?;
        let allocator = chain.next_address(CREATOR, 1)?;
        let queue = chain.next_address(CREATOR, 3)?;
        let watch = chain.next_address(CREATOR, 4)?;
        let terms = LiquidTerms {
            token,
            queue,
            buffer_bps: 500,
            exit_floor_bps: 5,
            exit_span_bps: 200,
            window_bps: 1000,
            window_seconds: 4 * day,
            max_share_bps: 5000,
            bunker_loss_bps: 300,
            bunker_epochs: 2,
            drip_seconds: 2 * day,
            max_drip_seconds: 5 * day,
            watch_bps: 1000,
            answer_seconds: day,
            cap_bps: 5000,
            ramp_epochs: 2,
        };
        let clock = (stake.model.terms.genesis, stake.model.terms.epoch_seconds);
        let code = artifacts.creation_code("LiquidFixture", "ChargeBook")?;
        let charges = chain.deploy(CREATOR, code, &U256::from(terms.answer_seconds).abi_encode())?;
        chain.deploy(
            CREATOR,
            artifacts.creation_code("Allocator", "Allocator")?,
            &(
                stake.manager,
                stake.registry,
                charges,
                stake.vault,
                token,
                watch,
                terms.cap_bps,
                terms.ramp_epochs,
                clock.0,
                clock.1,
            )
                .abi_encode_params(),
        )?;
        let code = artifacts.creation_code("CoverFund", "CoverFund")?;
        let cover = chain.deploy(CREATOR, code, &(stake.token, token).abi_encode_params())?;
        let code = artifacts.creation_code("ExitQueue", "ExitQueue")?;
        chain.deploy(CREATOR, code, &(stake.token, token, clock.0, clock.1).abi_encode_params())?;
        let code = artifacts.creation_code("FaultWatch", "FaultWatch")?;
        chain.deploy(
            CREATOR,
            code,
            &(token, allocator, charges, charges, terms.watch_bps, clock.1).abi_encode_params(),
        )?;
        let config = StakedTokenConfig {
            name: "Staked Rota".into(),
            symbol: "stROTA".into(),
            wiring: Wiring {
                token: stake.token,
                stakeVault: stake.vault,
                rewardVault: rewards,
                allocator,
                coverFund: cover,
                exitQueue: queue,
                faultWatch: watch,
                guardian: stake.guardian,
                authority: stake.manager,
                feeRecipient: TREASURY,
            },
            figures: Figures {
                feeBps: Self::FEE_BPS,
                bufferBps: terms.buffer_bps,
                exitFloorBps: terms.exit_floor_bps,
                exitSpanBps: terms.exit_span_bps,
                windowBps: terms.window_bps,
                windowSeconds: terms.window_seconds.try_into()?,
                maxShareBps: terms.max_share_bps,
                bunkerLossBps: terms.bunker_loss_bps,
                bunkerEpochs: terms.bunker_epochs,
                dripSeconds: terms.drip_seconds.try_into()?,
                maxDripSeconds: terms.max_drip_seconds.try_into()?,
                genesis: clock.0,
                epochSeconds: clock.1,
            },
        };
        let code = artifacts.creation_code("StakedToken", "StakedToken")?;
        ensure!(chain.deploy(CREATOR, code, &config.abi_encode())? == token, "addresses are foreseen");
        let mut model = LiquidModel::new(terms, below, NOBODY, Self::FEE_BPS);
        for id in 1..=StakeWorld::OPERATORS {
            chain.must(DEPLOYER, allocator, &Allocator::setWeightCall { id, weight: Self::WEIGHT })?;
            ensure!(model.set_weight(id, Self::WEIGHT).is_ok(), "the model lists the operators");
        }
        for who in (0..StakeWorld::PEOPLE).map(StakeWorld::person) {
            for spender in [token, queue] {
                chain.must(who, stake.token, &NativeToken::approveCall { spender, value: U256::MAX })?;
            }
        }
        model.stake.now += u64::from(terms.ramp_epochs) * day;
        chain.warp(model.stake.now);
        Ok(Self { stake, token, queue, allocator, cover, watch, charges, rewards, start: chain.snapshot(), model })
    }
}
