//! What the constructors are given.

use alloy_primitives::{Address, U256};

/// Parts of all are counted in basis points.
pub const BPS: U256 = U256::from_limbs([10_000, 0, 0, 0]);

/// Least that is delegated at once, token wei.
pub const MIN_DELEGATION: U256 = super::super::stake::WAD;

/// Shares of nobody, and the tokens for them, wei.
pub const SEED: U256 = super::super::stake::WAD;

/// Taken out beyond what exits lack, token wei.
pub const ROUNDING_MARGIN: u64 = 1000;

/// Operators that one call takes stake out of.
pub const MOST_DRAWN: usize = 16;

/// Most cohorts without a ticket that one collection passes over.
pub const MOST_SKIPPED: u32 = 64;

/// Highest fee on gains, basis points.
pub const MAX_FEE_BPS: u16 = 1000;

/// Constants of a liquid staking token; see `IStakedToken.Config` and the constructor of the allocator.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "documented at the interfaces")]
pub struct LiquidTerms {
    pub token: Address,
    pub queue: Address,
    pub buffer_bps: u16,
    pub exit_floor_bps: u16,
    pub exit_span_bps: u16,
    pub window_bps: u16,
    pub window_seconds: u64,
    pub max_share_bps: u16,
    pub bunker_loss_bps: u16,
    pub bunker_epochs: u32,
    pub drip_seconds: u64,
    pub max_drip_seconds: u64,
    pub watch_bps: u16,
    pub answer_seconds: u64,
    pub cap_bps: u16,
    pub ramp_epochs: u32,
}
