//! Fees on L2 and how they are split on L1 (protocol section 9).

use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};

/// Least base fee, wei: below it EIP-1559 can no longer move and clients fall back to legacy transactions at 0.
pub const MIN_BASE_FEE: u64 = 7;

/// Denominator of every share below.
pub const BASIS_POINTS: u16 = 10_000;

/// Shares of the base fee burned on L2, in basis points of the amount released on L1.
pub mod base_fee {
    /// The pools of the members, by weight and performance.
    pub const POOLS: u16 = 4_000;
    /// The ecosystem recipient.
    pub const ECOSYSTEM: u16 = 3_000;
    /// Burned on L1.
    pub const BURN: u16 = 3_000;
}

/// Shares of an operator's priority fees, in basis points.
pub mod priority_fee {
    /// The operator that proposed.
    pub const LEADER: u16 = 2_000;
    /// Its pool.
    pub const POOL: u16 = 6_000;
    /// The ecosystem recipient.
    pub const ECOSYSTEM: u16 = 2_000;
}

/// Base fee of the block after one with these figures (EIP-1559, mainnet parameters, never below [`MIN_BASE_FEE`]).
///
/// From 7 wei up the plain formula never falls below 7, so an unmodified client computes the same value.
pub fn next_base_fee(gas_used: u64, gas_limit: u64, base_fee: u64) -> u64 {
    calc_next_block_base_fee(gas_used, gas_limit, base_fee, BaseFeeParams::ethereum()).max(MIN_BASE_FEE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        assert_eq!(base_fee::POOLS + base_fee::ECOSYSTEM + base_fee::BURN, BASIS_POINTS);
        assert_eq!(priority_fee::LEADER + priority_fee::POOL + priority_fee::ECOSYSTEM, BASIS_POINTS);
    }

    #[test]
    fn the_floor_never_departs_from_plain_eip_1559() {
        let limit = 30_000_000;
        for base_fee in (MIN_BASE_FEE..2_000).chain([10_000_000_000, u64::from(u32::MAX)]) {
            for used in [0, 1, limit / 4, limit / 2, limit / 2 + 1, limit] {
                let plain = calc_next_block_base_fee(used, limit, base_fee, BaseFeeParams::ethereum());
                assert_eq!(next_base_fee(used, limit, base_fee), plain, "base fee {base_fee}, used {used}");
            }
        }
        assert_eq!(next_base_fee(limit, limit, 1_000), 1_125);
        assert_eq!(next_base_fee(0, limit, 1_000), 875);
    }
}
