//! Fee suggestions and `eth_feeHistory`.

use alloy::rpc::types::FeeHistory;
use alloy_consensus::{Header, Transaction as _};
use rota_protocol::fees::{MIN_BASE_FEE, next_base_fee as next_from_figures};

use super::{
    convert::ExecutedBlock,
    error::{RpcError, RpcResult},
};

/// Most blocks `eth_feeHistory` covers (execution-apis).
pub(super) const MAX_HISTORY: u64 = 1_024;
/// Most percentiles per block (as go-ethereum).
const MAX_PERCENTILES: usize = 100;
/// Blocks looked at for a tip.
pub(super) const TIP_BLOCKS: u64 = 20;
/// Of the tips paid lately, the suggestion is this percentile (as go-ethereum).
const TIP_PERCENTILE: usize = 60;
/// Least tip suggested, wei: enough to order transactions, too little to be felt.
const MIN_TIP: u128 = 1_000_000;
/// Highest tip suggested, wei, whatever others pay (as go-ethereum).
const MAX_TIP: u128 = 500_000_000_000;

/// Base fee of the block after `header`, wei.
fn next_base_fee(header: &Header) -> u64 {
    next_from_figures(header.gas_used, header.gas_limit, header.base_fee_per_gas.unwrap_or(MIN_BASE_FEE))
}

/// Blob gas is never used on L2, so its price rests at the minimum of EIP-4844.
pub(super) const BLOB_BASE_FEE: u128 = 1;

/// The tip that got transactions into `recent` blocks, wei.
pub(super) fn suggest_tip(recent: impl IntoIterator<Item = ExecutedBlock>) -> u128 {
    let mut tips: Vec<u128> = recent
        .into_iter()
        .flat_map(|block| {
            let base_fee = block.base_fee();
            let transactions = block.block.block.body.transactions.iter();
            transactions.filter_map(|tx| tx.effective_tip_per_gas(base_fee)).collect::<Vec<_>>()
        })
        .collect();
    tips.sort_unstable();
    let middle = tips.len().saturating_sub(1) * TIP_PERCENTILE / 100;
    tips.get(middle).copied().unwrap_or_default().clamp(MIN_TIP, MAX_TIP)
}

/// Checks requested percentiles.
///
/// # Errors
/// Too many, outside 0..=100, or not ascending.
pub(super) fn check_percentiles(percentiles: &[f64]) -> RpcResult<()> {
    if percentiles.len() > MAX_PERCENTILES {
        return Err(RpcError::params(format!("more than {MAX_PERCENTILES} reward percentiles")));
    }
    if let Some(wrong) = percentiles.iter().find(|p| !(0.0..=100.0).contains(*p)) {
        return Err(RpcError::params(format!("reward percentile {wrong} is not between 0 and 100")));
    }
    if percentiles.windows(2).any(|pair| pair[0] > pair[1]) {
        return Err(RpcError::params("reward percentiles must be ascending"));
    }
    Ok(())
}

/// `eth_feeHistory` over consecutive `blocks`, oldest first.
pub(super) fn history(blocks: &[ExecutedBlock], percentiles: Option<&[f64]>) -> FeeHistory {
    let Some((oldest, newest)) = blocks.first().zip(blocks.last()) else { return FeeHistory::default() };
    let mut base_fees: Vec<u128> = blocks.iter().map(|block| block.base_fee().into()).collect();
    base_fees.push(next_base_fee(newest.block.header()).into());
    FeeHistory {
        oldest_block: oldest.block.number(),
        base_fee_per_blob_gas: vec![BLOB_BASE_FEE; base_fees.len()],
        base_fee_per_gas: base_fees,
        gas_used_ratio: blocks.iter().map(|block| fullness(block.block.header())).collect(),
        blob_gas_used_ratio: vec![0.0; blocks.len()],
        reward: percentiles.map(|percentiles| blocks.iter().map(|block| rewards(block, percentiles)).collect()),
    }
}

fn fullness(header: &Header) -> f64 {
    header.gas_used as f64 / header.gas_limit as f64
}

/// Tips at the `percentiles` of the block's gas, cheapest gas first (execution-apis).
fn rewards(block: &ExecutedBlock, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = block.base_fee();
    let transactions = block.block.block.body.transactions.iter();
    let mut paid: Vec<(u128, u64)> = transactions
        .enumerate()
        .map(|(index, tx)| (tx.effective_tip_per_gas(base_fee).unwrap_or_default(), block.gas_used(index)))
        .collect();
    paid.sort_unstable();
    let total = block.block.header().gas_used as f64;
    let mut rest = paid.iter().copied();
    let mut current = rest.next().unwrap_or_default();
    let mut sum = current.1;
    percentiles
        .iter()
        .map(|percentile| {
            let threshold = (total * percentile / 100.0) as u64;
            while sum < threshold {
                let Some(next) = rest.next() else { break };
                current = next;
                sum += next.1;
            }
            current.0
        })
        .collect()
}
