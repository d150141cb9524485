//! A pooled transaction and the checks that need no state.

use std::cmp::Ordering;

use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{
    context_interface::cfg::gas::calculate_initial_tx_gas,
    primitives::{eip3860::MAX_INITCODE_SIZE, eip7825::TX_GAS_LIMIT_CAP, hardfork::SpecId},
};

use super::{PoolConfig, PoolError, recover_signer};
use crate::chain::Transaction;

/// A transaction in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolTransaction {
    /// The signed transaction.
    pub transaction: Transaction,
    /// Who signed it.
    pub sender: Address,
    /// Its hash.
    pub hash: B256,
    /// EIP-2718 bytes.
    pub raw: Bytes,
}

impl PoolTransaction {
    /// Decodes EIP-2718 bytes.
    pub(super) fn decode(raw: &[u8], config: &PoolConfig) -> Result<Transaction, PoolError> {
        // Before decoding, so that size bounds the work.
        if raw.len() > config.max_transaction_bytes {
            return Err(PoolError::Oversized { size: raw.len(), limit: config.max_transaction_bytes });
        }
        let mut rest = raw;
        let transaction =
            Transaction::decode_2718(&mut rest).map_err(|error| PoolError::Malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(PoolError::Malformed("bytes after the transaction".into()));
        }
        Ok(transaction)
    }

    /// Checks everything that depends on the transaction alone and recovers its sender.
    pub(super) fn check(transaction: Transaction, chain_id: u64, config: &PoolConfig) -> Result<Self, PoolError> {
        if transaction.is_eip4844() {
            return Err(PoolError::TypeNotSupported);
        }
        let raw: Bytes = transaction.encoded_2718().into();
        if raw.len() > config.max_transaction_bytes {
            return Err(PoolError::Oversized { size: raw.len(), limit: config.max_transaction_bytes });
        }
        match transaction.chain_id() {
            Some(id) if id == chain_id => {}
            Some(id) => return Err(PoolError::WrongChain { have: id, want: chain_id }),
            None => return Err(PoolError::Unprotected),
        }
        if transaction.is_create() && transaction.input().len() > MAX_INITCODE_SIZE {
            return Err(PoolError::InitcodeTooLong { size: transaction.input().len(), limit: MAX_INITCODE_SIZE });
        }
        let gas = transaction.gas_limit();
        if gas > config.gas_limit {
            return Err(PoolError::ExceedsBlockGas);
        }
        if gas > TX_GAS_LIMIT_CAP {
            return Err(PoolError::GasTooHigh { cap: TX_GAS_LIMIT_CAP, gas });
        }
        let tip = transaction.max_priority_fee_per_gas().unwrap_or_else(|| transaction.max_fee_per_gas());
        if transaction.max_fee_per_gas() < tip {
            return Err(PoolError::TipAboveFee { tip, fee: transaction.max_fee_per_gas() });
        }
        if tip < config.min_tip || transaction.max_fee_per_gas() < u128::from(config.min_base_fee) {
            return Err(PoolError::Underpriced);
        }
        let authorizations = transaction.authorization_list().map(<[_]>::len);
        if authorizations == Some(0) {
            return Err(PoolError::EmptyAuthorizations);
        }
        let (accounts, slots) = transaction
            .access_list()
            .map_or((0, 0), |list| (list.len() as u64, list.iter().map(|item| item.storage_keys.len() as u64).sum()));
        let intrinsic = calculate_initial_tx_gas(
            SpecId::OSAKA,
            transaction.input(),
            transaction.is_create(),
            accounts,
            slots,
            authorizations.unwrap_or_default() as u64,
            None,
        );
        if gas < intrinsic.initial_total_gas() {
            return Err(PoolError::IntrinsicGas { have: gas, want: intrinsic.initial_total_gas() });
        }
        if gas < intrinsic.floor_gas {
            return Err(PoolError::FloorGas { have: gas, want: intrinsic.floor_gas });
        }
        if transaction.nonce() == u64::MAX {
            return Err(PoolError::NonceMax);
        }
        let sender = recover_signer(&transaction).ok_or(PoolError::InvalidSender)?;
        let hash = *transaction.tx_hash();
        Ok(Self { transaction, sender, hash, raw })
    }

    /// Nonce.
    pub fn nonce(&self) -> u64 {
        self.transaction.nonce()
    }

    /// What the sender must own: gas limit at the highest price, and the value.
    pub fn cost(&self) -> U256 {
        U256::from(self.transaction.gas_limit())
            .saturating_mul(U256::from(self.transaction.max_fee_per_gas()))
            .saturating_add(self.transaction.value())
    }

    /// What the proposer earns per gas under `base_fee`; `None` if the transaction cannot pay it.
    pub fn effective_tip(&self, base_fee: u64) -> Option<u128> {
        self.transaction.effective_tip_per_gas(base_fee)
    }

    /// Highest tip it would ever pay: what it is worth when the base fee is unknown.
    pub(super) fn tip_cap(&self) -> u128 {
        self.transaction.max_priority_fee_per_gas().unwrap_or_else(|| self.transaction.max_fee_per_gas())
    }

    /// May replace `old` of the same sender and nonce: both prices at least 10 % higher.
    pub(super) fn outbids(&self, old: &Self) -> bool {
        let enough = |new: u128, old: u128| new >= old.saturating_add(old.div_ceil(10)).max(old.saturating_add(1));
        enough(self.tip_cap(), old.tip_cap())
            && enough(self.transaction.max_fee_per_gas(), old.transaction.max_fee_per_gas())
    }
}

/// Order in which the pool parts with transactions: the cheapest first, among equals the youngest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worth {
    pub tip_cap: u128,
    /// Position in the order of arrival.
    pub arrival: u64,
}

impl Ord for Worth {
    fn cmp(&self, other: &Self) -> Ordering {
        self.tip_cap.cmp(&other.tip_cap).then(other.arrival.cmp(&self.arrival))
    }
}

impl PartialOrd for Worth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
