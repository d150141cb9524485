//! Decided blocks in the shapes of Ethereum JSON-RPC.

use std::sync::Arc;

use alloy::rpc::types::{
    Block as RpcBlock, BlockTransactions, Header as RpcHeader, Log, Transaction as RpcTransaction, TransactionInfo,
    TransactionReceipt,
};
use alloy_consensus::{ReceiptEnvelope, Sealed, Transaction as _, transaction::Recovered};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::U256;
use alloy_rlp::Encodable;

use crate::{
    chain::{SealedBlock, Transaction},
    mempool::PoolTransaction,
    store::BlockReceipts,
};

/// A block as `eth_getBlockBy*` returns it.
pub(super) type BlockResponse = RpcBlock<RpcTransaction<Transaction>>;
/// A transaction as `eth_getTransactionBy*` returns it.
pub(super) type TransactionResponse = RpcTransaction<Transaction>;
/// A receipt as `eth_getTransactionReceipt` returns it.
pub(super) type ReceiptResponse = TransactionReceipt<ReceiptEnvelope<Log>>;

/// A decided block with everything execution yielded.
#[derive(Clone, Debug)]
pub(super) struct ExecutedBlock {
    /// The block.
    pub(super) block: SealedBlock,
    /// Sender and receipt of each transaction.
    pub(super) outcome: Arc<BlockReceipts>,
}

impl ExecutedBlock {
    /// Base fee per gas, wei.
    pub(super) fn base_fee(&self) -> u64 {
        self.block.header().base_fee_per_gas.unwrap_or_default()
    }

    /// Gas charged to the transaction at `index`.
    pub(super) fn gas_used(&self, index: usize) -> u64 {
        let cumulative = |index| self.outcome.receipts.get(index).map_or(0, ReceiptEnvelope::cumulative_gas_used);
        cumulative(index) - index.checked_sub(1).map_or(0, cumulative)
    }

    /// The block with its transactions.
    pub(super) fn to_block(&self) -> BlockResponse {
        let count = self.block.block.body.transactions.len();
        let transactions = (0..count).filter_map(|index| self.to_transaction(index)).collect();
        with_transactions(&self.block, BlockTransactions::Full(transactions))
    }

    /// The transaction at `index`.
    pub(super) fn to_transaction(&self, index: usize) -> Option<TransactionResponse> {
        let tx = self.block.block.body.transactions.get(index)?;
        let sender = self.outcome.senders.get(index)?;
        let info = TransactionInfo {
            hash: Some(*tx.tx_hash()),
            index: Some(index as u64),
            block_hash: Some(self.block.hash),
            block_number: Some(self.block.number()),
            base_fee: Some(self.base_fee()),
            block_timestamp: Some(self.block.header().timestamp),
        };
        Some(RpcTransaction::from_transaction(Recovered::new_unchecked(tx.clone(), *sender), info))
    }

    /// All receipts; log indices run through the whole block.
    pub(super) fn to_receipts(&self) -> Vec<ReceiptResponse> {
        let mut first_log = 0;
        let receipts = self.outcome.receipts.iter().enumerate().filter_map(|(index, receipt)| {
            let response = self.receipt_from(index, first_log);
            first_log += receipt.logs().len();
            response
        });
        receipts.collect()
    }

    /// The receipt at `index`.
    pub(super) fn to_receipt(&self, index: usize) -> Option<ReceiptResponse> {
        let earlier = self.outcome.receipts.get(..index)?;
        self.receipt_from(index, earlier.iter().map(|receipt| receipt.logs().len()).sum())
    }

    fn receipt_from(&self, index: usize, first_log: usize) -> Option<ReceiptResponse> {
        let tx = self.block.block.body.transactions.get(index)?;
        let sender = *self.outcome.senders.get(index)?;
        let mut log_index = first_log as u64;
        let inner = self.outcome.receipts.get(index)?.clone().map_logs(|log| {
            let log = self.to_log(index, log_index, log);
            log_index += 1;
            log
        });
        Some(TransactionReceipt {
            inner,
            transaction_hash: *tx.tx_hash(),
            transaction_index: Some(index as u64),
            block_hash: Some(self.block.hash),
            block_number: Some(self.block.number()),
            gas_used: self.gas_used(index),
            effective_gas_price: tx.effective_gas_price(Some(self.base_fee())),
            blob_gas_used: None,
            blob_gas_price: None,
            from: sender,
            to: tx.to(),
            contract_address: tx.to().is_none().then(|| sender.create(tx.nonce())),
        })
    }

    /// The wanted logs of the block, in order.
    pub(super) fn to_logs(&self, wanted: impl Fn(&alloy_primitives::Log) -> bool) -> Vec<Log> {
        let receipts = self.outcome.receipts.iter().enumerate();
        receipts
            .flat_map(|(index, receipt)| receipt.logs().iter().map(move |log| (index, log)))
            .enumerate()
            .filter(|(_, (_, log))| wanted(log))
            .map(|(log_index, (index, log))| self.to_log(index, log_index as u64, log.clone()))
            .collect()
    }

    fn to_log(&self, transaction: usize, log_index: u64, log: alloy_primitives::Log) -> Log {
        Log {
            inner: log,
            block_hash: Some(self.block.hash),
            block_number: Some(self.block.number()),
            block_timestamp: Some(self.block.header().timestamp),
            transaction_hash: self.block.block.body.transactions.get(transaction).map(|tx| *tx.tx_hash()),
            transaction_index: Some(transaction as u64),
            log_index: Some(log_index),
            removed: false,
        }
    }
}

/// The block with the hashes of its transactions.
pub(super) fn to_block_of_hashes(block: &SealedBlock) -> BlockResponse {
    let hashes = block.block.body.transactions.iter().map(|tx| *tx.tx_hash()).collect();
    with_transactions(block, BlockTransactions::Hashes(hashes))
}

fn with_transactions(block: &SealedBlock, transactions: BlockTransactions<TransactionResponse>) -> BlockResponse {
    let mut header = to_header(block);
    header.size = Some(U256::from(block.block.length()));
    let withdrawals = block.block.body.withdrawals.as_ref().map(|withdrawals| Withdrawals::new(withdrawals.to_vec()));
    RpcBlock::new(header, transactions).with_withdrawals(withdrawals)
}

/// The header as `eth_subscribe("newHeads")` sends it.
pub(super) fn to_header(block: &SealedBlock) -> RpcHeader {
    RpcHeader::from_sealed(Sealed::new_unchecked(block.header().clone(), block.hash))
}

/// A transaction that is in no block yet.
pub(super) fn to_pending(tx: &PoolTransaction) -> TransactionResponse {
    let signed = Recovered::new_unchecked(tx.transaction.clone(), tx.sender);
    RpcTransaction::from_transaction(signed, TransactionInfo { hash: Some(tx.hash), ..TransactionInfo::default() })
}
