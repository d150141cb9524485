//! Building and checking one block on top of the head.

use std::{borrow::Cow, sync::Arc, time::Instant};

use alloy_consensus::{
    BlockBody, EMPTY_OMMER_ROOT_HASH, Header, ReceiptEnvelope,
    proofs::{calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root},
    transaction::Recovered,
};
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_evm::{
    EvmFactory,
    block::{BlockExecutionError, BlockExecutor, BlockValidationError},
    eth::{EthBlockExecutionCtx, EthBlockExecutor, EthEvmFactory},
};
use alloy_primitives::{Address, B256};
use rayon::prelude::*;
use rota_protocol::batch::{MAX_BLOCK_HEADER, MAX_RANGE_BYTES, RANGE_HEADER, transaction_len};

use super::{
    overlay::{Changes, HeadCache, Overlay},
    rules::{Receipts, Rules, bloom, evm_env},
};
use crate::{
    chain::{Block, BlockAttributes, EngineError, SealedBlock, Transaction},
    mempool::{BestTransactions, Mempool, PoolTransaction, recover_signer},
    store::{BlockReceipts, ExecutedBlock, Head, Store},
};

/// A block with what executing it yields.
pub(super) struct Candidate {
    pub block: SealedBlock,
    pub executed: ExecutedBlock,
}

/// What stands between a verdict on a block and its inclusion.
pub(super) enum Rejection {
    /// The block breaks a rule.
    Invalid(String),
    /// The engine could not tell.
    Failed(EngineError),
}

impl<E: Into<EngineError>> From<E> for Rejection {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn invalid<T>(reason: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::Invalid(reason.into()))
}

/// The least gas a transaction can use.
const TRANSACTION_GAS: u64 = 21_000;

/// Everything a block needs from its surroundings.
pub(super) struct Builder<'a> {
    pub store: &'a Store,
    pub cache: &'a mut HeadCache,
    pub pool: &'a Mempool,
    pub chain_id: u64,
    pub gas_limit: u64,
}

/// What execution yields before it is hashed.
struct Outcome {
    receipts: Vec<ReceiptEnvelope>,
    gas_used: u64,
    requests_hash: B256,
    changes: Changes,
}

impl Builder<'_> {
    /// Fills a block from the pool: best tips first, until the gas, the bytes or the time is used up. `deadline` is
    /// when to stop adding.
    pub fn build(
        &mut self,
        head: &Head,
        attributes: BlockAttributes,
        deadline: Instant,
    ) -> Result<Candidate, EngineError> {
        let template = Header {
            parent_hash: head.hash,
            number: head.number + 1,
            timestamp: attributes.timestamp,
            beneficiary: attributes.beneficiary,
            mix_hash: attributes.prev_randao,
            gas_limit: attributes.gas_limit,
            extra_data: attributes.extra_data,
            parent_beacon_block_root: Some(attributes.l1_origin_hash),
            ..template(head)
        };
        let mut best = self.pool.best(head.next_base_fee);
        let mut chosen: Vec<Arc<PoolTransaction>> = Vec::new();
        let limit = attributes.max_encoded_len;
        let withdrawals = attributes.withdrawals;
        let outcome = self.run(&template, &withdrawals, |executor| {
            fill(executor, &mut best, &mut chosen, template.gas_limit, limit, deadline)
        });
        let outcome = outcome.map_err(|rejection| match rejection {
            Rejection::Failed(error) => error,
            Rejection::Invalid(reason) => {
                EngineError::Internal(format!("building block {}: {reason}", template.number))
            }
        })?;
        let senders = chosen.iter().map(|transaction| transaction.sender).collect();
        let transactions: Vec<Transaction> = chosen.iter().map(|transaction| transaction.transaction.clone()).collect();
        let (header, executed) = self.seal(template, &transactions, &withdrawals, senders, outcome)?;
        let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: Some(Withdrawals::new(withdrawals)) };
        Ok(Candidate { block: SealedBlock::new(Block { header, body }), executed })
    }

    /// Executes `block` and compares every header field that follows from its content.
    pub fn check(&mut self, head: &Head, block: SealedBlock) -> Result<Candidate, Rejection> {
        let header = block.header();
        let body = &block.block.body;
        if header.timestamp < head.header.timestamp {
            return invalid(format!("timestamp {} before the parent's {}", header.timestamp, head.header.timestamp));
        }
        if !body.ommers.is_empty() {
            return invalid("has ommers");
        }
        let Some(withdrawals) = body.withdrawals.as_ref() else { return invalid("has no list of withdrawals") };
        if header.parent_beacon_block_root.is_none() {
            return invalid("names no L1 origin");
        }
        // Checked before executing, so that a foreign gas limit cannot buy work.
        if header.gas_limit != self.gas_limit {
            return invalid(format!("gas limit {}, must be {}", header.gas_limit, self.gas_limit));
        }
        if let Some(index) = body.transactions.iter().position(Transaction::is_eip4844) {
            return invalid(format!("transaction {index} carries blobs"));
        }
        let encoded = encoded_len(&body.transactions);
        if encoded > MAX_RANGE_BYTES - RANGE_HEADER {
            return invalid(format!("takes {encoded} bytes of a batch"));
        }
        let senders = self.senders(&body.transactions)?;
        let template = Header {
            timestamp: header.timestamp,
            beneficiary: header.beneficiary,
            mix_hash: header.mix_hash,
            gas_limit: self.gas_limit,
            extra_data: header.extra_data.clone(),
            parent_beacon_block_root: header.parent_beacon_block_root,
            ..template(head)
        };
        let outcome = self.run(&template, withdrawals, |executor| {
            for (index, (transaction, sender)) in body.transactions.iter().zip(&senders).enumerate() {
                if let Err(error) = executor.execute_transaction(Recovered::new_unchecked(transaction, *sender)) {
                    return Err(classify(error, &format!("transaction {index}")));
                }
            }
            Ok(())
        })?;
        let (expected, executed) = self.seal(template, &body.transactions, withdrawals, senders, outcome)?;
        if let Some(reason) = first_difference(header, &expected) {
            return invalid(reason);
        }
        Ok(Candidate { block, executed })
    }

    /// Signers in order. The pool knows those it has checked already; the rest is recovered in parallel.
    fn senders(&self, transactions: &[Transaction]) -> Result<Vec<Address>, Rejection> {
        transactions
            .par_iter()
            .enumerate()
            .map(|(index, transaction)| {
                if let Some(known) = self.pool.get(transaction.tx_hash()) {
                    return Ok(known.sender);
                }
                recover_signer(transaction)
                    .ok_or_else(|| Rejection::Invalid(format!("transaction {index} has an invalid signature")))
            })
            .collect()
    }

    /// Runs a block: system calls, transactions by `fill`, withdrawals, requests.
    fn run<F>(&mut self, template: &Header, withdrawals: &[Withdrawal], fill: F) -> Result<Outcome, Rejection>
    where
        F: FnOnce(&mut dyn Run) -> Result<(), Rejection>,
    {
        let mut overlay = Overlay::new(self.store.chain().head_state(), self.cache);
        let evm = EthEvmFactory::default().create_evm(&mut overlay, evm_env(self.chain_id, template));
        let context = EthBlockExecutionCtx {
            parent_hash: template.parent_hash,
            parent_beacon_block_root: template.parent_beacon_block_root,
            ommers: &[],
            withdrawals: Some(Cow::Borrowed(withdrawals)),
            extra_data: template.extra_data.clone(),
            tx_count_hint: None,
            slot_number: None,
        };
        let mut executor = EthBlockExecutor::new(evm, context, Rules, Receipts);
        let result = executor
            .apply_pre_execution_changes()
            .map_err(|error| classify(error, "system call"))
            .and_then(|()| fill(&mut executor))
            .and_then(|()| executor.apply_post_execution_changes().map_err(|error| classify(error, "end of block")));
        // A failing disk may come disguised as an invalid block.
        overlay.check()?;
        let result = result?;
        Ok(Outcome {
            receipts: result.receipts,
            gas_used: result.gas_used,
            requests_hash: result.requests.requests_hash(),
            changes: overlay.finish()?,
        })
    }

    /// Completes the header with what execution yielded.
    fn seal(
        &self,
        template: Header,
        transactions: &[Transaction],
        withdrawals: &[Withdrawal],
        senders: Vec<Address>,
        outcome: Outcome,
    ) -> Result<(Header, ExecutedBlock), EngineError> {
        let Outcome { receipts, gas_used, requests_hash, changes: Changes { mut diff, storage_roots } } = outcome;
        let trie = self.store.trie();
        let (update, (transactions_root, receipts_root)) = rayon::join(
            || trie.update(&mut diff, &storage_roots),
            || (calculate_transaction_root(transactions), calculate_receipt_root(&receipts)),
        );
        let update = update?;
        let header = Header {
            state_root: update.root,
            transactions_root,
            receipts_root,
            logs_bloom: bloom(&receipts),
            gas_used,
            withdrawals_root: Some(calculate_withdrawals_root(withdrawals)),
            requests_hash: Some(requests_hash),
            ..template
        };
        let receipts = Arc::new(BlockReceipts { senders, receipts });
        Ok((header, ExecutedBlock { receipts, diff: Arc::new(diff), update }))
    }
}

/// Header fields that every block on `head` shares.
fn template(head: &Head) -> Header {
    Header {
        parent_hash: head.hash,
        number: head.number + 1,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        base_fee_per_gas: Some(head.next_base_fee),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        ..Header::default()
    }
}

/// The part of a block executor that filling a block needs, so that no signature has to spell out its type.
trait Run {
    fn execute_transaction(&mut self, transaction: Recovered<&Transaction>) -> Result<u64, BlockExecutionError>;
}

impl<E: BlockExecutor<Transaction = Transaction>> Run for E {
    fn execute_transaction(&mut self, transaction: Recovered<&Transaction>) -> Result<u64, BlockExecutionError> {
        BlockExecutor::execute_transaction(self, transaction).map(|gas| gas.tx_gas_used())
    }
}

/// Adds executable transactions, best first. One that does not fit or does not execute is left out, and with it its
/// sender's later ones.
fn fill(
    executor: &mut dyn Run,
    best: &mut BestTransactions,
    chosen: &mut Vec<Arc<PoolTransaction>>,
    gas_limit: u64,
    max_encoded_len: usize,
    deadline: Instant,
) -> Result<(), Rejection> {
    let mut gas_left = gas_limit;
    let mut bytes_left = max_encoded_len.saturating_sub(MAX_BLOCK_HEADER);
    while gas_left >= TRANSACTION_GAS && Instant::now() < deadline {
        let Some(transaction) = best.next_best() else { break };
        let len = transaction_len(transaction.raw.len());
        if len > bytes_left {
            continue;
        }
        let recovered = Recovered::new_unchecked(&transaction.transaction, transaction.sender);
        match executor.execute_transaction(recovered) {
            Ok(gas) => {
                gas_left -= gas;
                bytes_left -= len;
                best.accept(&transaction);
                chosen.push(transaction);
            }
            Err(BlockExecutionError::Validation(error)) => {
                if !matches!(error, BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas { .. }) {
                    tracing::debug!(hash = %transaction.hash, %error, "left out a pooled transaction");
                }
            }
            Err(error) => return Err(classify(error, "pooled transaction")),
        }
    }
    Ok(())
}

/// Most bytes the transactions take inside a batch.
fn encoded_len(transactions: &[Transaction]) -> usize {
    use alloy_eips::eip2718::Encodable2718;
    transactions.iter().map(|transaction| transaction_len(transaction.encode_2718_len())).sum::<usize>()
        + MAX_BLOCK_HEADER
}

fn classify(error: BlockExecutionError, what: &str) -> Rejection {
    match error {
        BlockExecutionError::Validation(error) => Rejection::Invalid(format!("{what}: {error}")),
        BlockExecutionError::Internal(error) => Rejection::Failed(EngineError::Internal(format!("{what}: {error}"))),
    }
}

/// Names the first field in which a header differs from what it should be.
fn first_difference(header: &Header, expected: &Header) -> Option<String> {
    macro_rules! compare {
        ($($field:ident),* $(,)?) => {
            // Without `..`: a field that a later Ethereum fork adds must be considered here to compile.
            let Header { $($field: _),* } = header;
            $(if header.$field != expected.$field {
                return Some(format!(
                    concat!(stringify!($field), " is {:?}, must be {:?}"),
                    header.$field, expected.$field
                ));
            })*
        };
    }
    compare!(
        parent_hash,
        ommers_hash,
        beneficiary,
        state_root,
        transactions_root,
        receipts_root,
        logs_bloom,
        difficulty,
        number,
        gas_limit,
        gas_used,
        timestamp,
        extra_data,
        mix_hash,
        nonce,
        base_fee_per_gas,
        withdrawals_root,
        blob_gas_used,
        excess_blob_gas,
        parent_beacon_block_root,
        requests_hash,
        block_access_list_hash,
        slot_number,
    );
    None
}
