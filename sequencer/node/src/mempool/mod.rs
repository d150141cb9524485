//! Transactions waiting for a block.
//!
//! Per sender a queue by nonce; its contiguous front, starting at the account's nonce, is *pending* (executable), the
//! rest *queued*. Blocks are filled by effective tip with each sender's nonces in order. The pool is bounded in
//! number, bytes and per sender; when full it parts with the cheapest.

mod best;
mod error;
mod pool;
mod queue;
mod signer;
#[cfg(test)]
mod tests;
mod transaction;

use alloy_primitives::{Address, U256};
use rota_protocol::{
    batch::{MAX_BLOCK_HEADER, MAX_RANGE_BYTES, RANGE_HEADER},
    fees::MIN_BASE_FEE,
};

pub use best::BestTransactions;
pub use error::{Busy, PoolError};
pub use pool::{Mempool, PoolContent, PoolStatus};
pub(crate) use signer::recover_signer;
pub use transaction::PoolTransaction;

use crate::store::StoreError;

/// Limits of the pool.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Transactions in all.
    pub max_transactions: usize,
    /// Bytes of transactions in all.
    pub max_bytes: usize,
    /// Transactions of one sender.
    pub max_per_sender: usize,
    /// Of those, how many may wait behind a missing nonce.
    pub max_queued_per_sender: usize,
    /// Largest transaction, bytes.
    pub max_transaction_bytes: usize,
    /// Least priority fee, wei per gas.
    pub min_tip: u128,
    /// Least base fee the chain can have, wei per gas: whoever offers less is never executable.
    pub min_base_fee: u64,
    /// Gas limit of a block.
    pub gas_limit: u64,
}

impl PoolConfig {
    /// Default limits for a chain whose blocks have `gas_limit`.
    pub fn new(gas_limit: u64) -> Self {
        Self {
            max_transactions: 32_768,
            max_bytes: 64 << 20,
            max_per_sender: 4_096,
            max_queued_per_sender: 256,
            // 128 KiB in Ethereum's pools, but never more than one block can carry into a batch.
            max_transaction_bytes: (128 << 10).min(MAX_RANGE_BYTES - RANGE_HEADER - MAX_BLOCK_HEADER - 3),
            min_tip: 0,
            min_base_fee: MIN_BASE_FEE,
            gas_limit,
        }
    }
}

/// What the pool needs to know of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountState {
    /// Next nonce.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
}

/// Accounts at the head of the chain.
pub trait AccountView: Send + Sync + 'static {
    /// State of an account at the head; the default for one that does not exist.
    ///
    /// # Errors
    /// The state could not be read.
    fn account(&self, address: Address) -> Result<AccountState, StoreError>;
}
