//! The Ethereum rules that L2 blocks follow: Osaka from the first block on, without blobs.

use alloy_consensus::{Eip658Value, Header, Receipt, ReceiptEnvelope, TxReceipt, TxType};
use alloy_evm::{
    Evm, EvmEnv,
    eth::{
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
        spec::EthExecutorSpec,
    },
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, U256};
use revm::{
    context::{BlockEnv, CfgEnv},
    context_interface::block::BlobExcessGasAndPrice,
    primitives::hardfork::SpecId,
};

use crate::chain::Transaction;

/// Fork schedule: everything up to Osaka is active, nothing after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules;

impl EthereumHardforks for Rules {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        use EthereumHardfork::{Dao, Osaka, Paris, Shanghai};
        match fork {
            // An irregular transfer on mainnet, no rule.
            Dao => ForkCondition::Never,
            fork if fork <= Paris => ForkCondition::Block(0),
            fork if (Shanghai..=Osaka).contains(&fork) => ForkCondition::Timestamp(0),
            _ => ForkCondition::Never,
        }
    }
}

impl EthExecutorSpec for Rules {
    fn deposit_contract_address(&self) -> Option<Address> {
        // Validator deposits (EIP-6110) do not exist on L2. `None` would stand for mainnet's contract; no code can
        // live at the zero address, so no log can come from it.
        Some(Address::ZERO)
    }
}

/// The environment a block with `header` executes in.
///
/// Simulations may start from it and relax `cfg_env` as they need.
pub fn evm_env(chain_id: u64, header: &Header) -> EvmEnv {
    let cfg_env = CfgEnv::new_with_spec(SpecId::OSAKA).with_chain_id(chain_id);
    let block_env = BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        // Blob transactions are refused on L2, so the excess never leaves zero and the price is 1 wei.
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(0, SpecId::OSAKA)),
        slot_num: 0,
    };
    EvmEnv::new(cfg_env, block_env)
}

/// Receipts as stored and served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receipts;

impl ReceiptBuilder for Receipts {
    type Transaction = Transaction;
    type Receipt = ReceiptEnvelope;

    fn build_receipt<E: Evm>(&self, context: ReceiptBuilderCtx<'_, TxType, E>) -> ReceiptEnvelope {
        let receipt = Receipt {
            status: Eip658Value::Eip658(context.result.is_success()),
            cumulative_gas_used: context.cumulative_gas_used,
            logs: context.result.into_logs(),
        };
        ReceiptEnvelope::from_typed(context.tx_type, receipt.with_bloom())
    }
}

/// Union of the receipts' blooms.
pub(super) fn bloom(receipts: &[ReceiptEnvelope]) -> alloy_primitives::Bloom {
    receipts.iter().fold(alloy_primitives::Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom())
}
