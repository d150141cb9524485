//! The `eth_*` methods.

use std::{sync::Arc, time::Duration};

use alloy::{
    rpc::types::{
        AccessListResult, BlockOverrides, EIP1186AccountProofResponse, EIP1186StorageProof, FeeHistory, Filter, Header,
        Log, SyncInfo, SyncStatus, TransactionRequest,
        state::{EvmOverrides, StateOverride},
    },
    serde::JsonStorageKey,
};
use alloy_eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use parking_lot::Mutex;

use super::{
    backend::Backend,
    convert::{self, BlockResponse, ReceiptResponse, TransactionResponse},
    error::{RpcError, RpcResult},
    fees,
    filters::{Changes, FilterId, Filters, Watch},
    logs,
    simulate::Simulation,
};
use crate::{chain::DecidedChain, store::StateSnapshot};

/// Ethereum's execution API (execution-apis and EIP-1898) as far as wallets and libraries use it.
#[rpc(server, namespace = "eth")]
pub(super) trait Eth {
    /// EIP-155 chain id.
    #[method(name = "chainId")]
    fn chain_id(&self) -> RpcResult<U64>;

    /// `false`, or how far behind this node is.
    #[method(name = "syncing")]
    fn syncing(&self) -> RpcResult<SyncStatus>;

    /// Height of the head.
    #[method(name = "blockNumber")]
    fn block_number(&self) -> RpcResult<U64>;

    /// The node holds no user keys.
    #[method(name = "accounts")]
    fn accounts(&self) -> RpcResult<Vec<Address>>;

    /// Legacy price that gets a transaction into the next block, wei.
    #[method(name = "gasPrice")]
    async fn gas_price(&self) -> RpcResult<U256>;

    /// Suggested priority fee per gas, wei.
    #[method(name = "maxPriorityFeePerGas")]
    async fn max_priority_fee_per_gas(&self) -> RpcResult<U256>;

    /// Base fees, fullness and paid tips of past blocks, and the base fee of the next.
    #[method(name = "feeHistory")]
    async fn fee_history(
        &self,
        count: U64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> RpcResult<FeeHistory>;

    /// Balance, wei.
    #[method(name = "getBalance")]
    fn balance(&self, address: Address, block: Option<BlockId>) -> RpcResult<U256>;

    /// Bytecode.
    #[method(name = "getCode")]
    fn code(&self, address: Address, block: Option<BlockId>) -> RpcResult<Bytes>;

    /// A storage slot, always 32 bytes.
    #[method(name = "getStorageAt")]
    fn storage_at(&self, address: Address, slot: JsonStorageKey, block: Option<BlockId>) -> RpcResult<B256>;

    /// Nonce; at `pending` the next one after the mempool's.
    #[method(name = "getTransactionCount")]
    fn transaction_count(&self, address: Address, block: Option<BlockId>) -> RpcResult<U64>;

    /// Merkle proof of an account and some of its slots (EIP-1186).
    #[method(name = "getProof")]
    async fn proof(
        &self,
        address: Address,
        slots: Vec<JsonStorageKey>,
        block: Option<BlockId>,
    ) -> RpcResult<EIP1186AccountProofResponse>;

    /// Output of a call that is not made.
    #[method(name = "call")]
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> RpcResult<Bytes>;

    /// Gas limit with which a transaction would succeed.
    #[method(name = "estimateGas")]
    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> RpcResult<U64>;

    /// Accounts and slots a transaction would touch.
    #[method(name = "createAccessList")]
    async fn create_access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
    ) -> RpcResult<AccessListResult>;

    /// Takes a signed transaction into the mempool.
    #[method(name = "sendRawTransaction")]
    async fn send_raw_transaction(&self, raw: Bytes) -> RpcResult<B256>;

    /// As `sendRawTransaction`, and waits for the receipt (EIP-7966); the timeout is in milliseconds.
    #[method(name = "sendRawTransactionSync")]
    async fn send_raw_transaction_sync(&self, raw: Bytes, timeout: Option<U64>) -> RpcResult<ReceiptResponse>;

    /// A block by height or tag.
    #[method(name = "getBlockByNumber")]
    async fn block_by_number(&self, number: BlockNumberOrTag, full: Option<bool>) -> RpcResult<Option<BlockResponse>>;

    /// A block by hash.
    #[method(name = "getBlockByHash")]
    async fn block_by_hash(&self, hash: B256, full: Option<bool>) -> RpcResult<Option<BlockResponse>>;

    /// All receipts of a block.
    #[method(name = "getBlockReceipts")]
    async fn block_receipts(&self, block: BlockId) -> RpcResult<Option<Vec<ReceiptResponse>>>;

    /// Number of transactions in a block.
    #[method(name = "getBlockTransactionCountByNumber")]
    fn block_transaction_count_by_number(&self, number: BlockNumberOrTag) -> RpcResult<Option<U64>>;

    /// Number of transactions in a block.
    #[method(name = "getBlockTransactionCountByHash")]
    fn block_transaction_count_by_hash(&self, hash: B256) -> RpcResult<Option<U64>>;

    /// There are no uncles.
    #[method(name = "getUncleCountByBlockNumber")]
    fn uncle_count_by_number(&self, number: BlockNumberOrTag) -> RpcResult<Option<U64>>;

    /// There are no uncles.
    #[method(name = "getUncleCountByBlockHash")]
    fn uncle_count_by_hash(&self, hash: B256) -> RpcResult<Option<U64>>;

    /// There are no uncles.
    #[method(name = "getUncleByBlockNumberAndIndex")]
    fn uncle_by_number(&self, number: BlockNumberOrTag, index: U64) -> RpcResult<Option<Header>>;

    /// There are no uncles.
    #[method(name = "getUncleByBlockHashAndIndex")]
    fn uncle_by_hash(&self, hash: B256, index: U64) -> RpcResult<Option<Header>>;

    /// A decided or pending transaction.
    #[method(name = "getTransactionByHash")]
    fn transaction_by_hash(&self, hash: B256) -> RpcResult<Option<TransactionResponse>>;

    /// A decided transaction by its place.
    #[method(name = "getTransactionByBlockNumberAndIndex")]
    fn transaction_by_number(&self, number: BlockNumberOrTag, index: U64) -> RpcResult<Option<TransactionResponse>>;

    /// A decided transaction by its place.
    #[method(name = "getTransactionByBlockHashAndIndex")]
    fn transaction_by_block(&self, hash: B256, index: U64) -> RpcResult<Option<TransactionResponse>>;

    /// EIP-2718 encoding of a decided or pending transaction.
    #[method(name = "getRawTransactionByHash")]
    fn raw_transaction(&self, hash: B256) -> RpcResult<Option<Bytes>>;

    /// Receipt of a decided transaction.
    #[method(name = "getTransactionReceipt")]
    fn transaction_receipt(&self, hash: B256) -> RpcResult<Option<ReceiptResponse>>;

    /// Logs of decided blocks.
    #[method(name = "getLogs")]
    async fn logs(&self, filter: Filter) -> RpcResult<Vec<Log>>;

    /// Installs a log filter.
    #[method(name = "newFilter")]
    fn new_filter(&self, filter: Filter) -> RpcResult<FilterId>;

    /// Installs a filter of new block hashes.
    #[method(name = "newBlockFilter")]
    fn new_block_filter(&self) -> RpcResult<FilterId>;

    /// Installs a filter of transactions entering the mempool.
    #[method(name = "newPendingTransactionFilter")]
    fn new_pending_transaction_filter(&self) -> RpcResult<FilterId>;

    /// What a filter saw since it was last asked.
    #[method(name = "getFilterChanges")]
    async fn filter_changes(&self, id: FilterId) -> RpcResult<Changes>;

    /// Everything a log filter asks for.
    #[method(name = "getFilterLogs")]
    async fn filter_logs(&self, id: FilterId) -> RpcResult<Vec<Log>>;

    /// Removes a filter.
    #[method(name = "uninstallFilter")]
    fn uninstall_filter(&self, id: FilterId) -> RpcResult<bool>;
}

/// Implementation of [`EthServer`].
pub(super) struct EthApi {
    backend: Arc<Backend>,
    filters: Arc<Filters>,
    /// Height when the server started, for `eth_syncing`.
    starting_block: u64,
    /// Height and the priority fee suggested at it, wei.
    suggestion: Mutex<Option<(u64, u128)>>,
}

impl EthApi {
    pub(super) fn new(backend: Arc<Backend>) -> Self {
        let limits = &backend.config.limits;
        let filters = Arc::new(Filters::new(limits.filters, limits.filter_ttl));
        let starting_block = backend.head();
        Self { backend, filters, starting_block, suggestion: Mutex::default() }
    }

    async fn simulate<T: Send + 'static>(
        &self,
        block: Option<BlockId>,
        overrides: EvmOverrides,
        run: impl FnOnce(&Backend, Simulation<StateSnapshot>) -> RpcResult<T> + Send + 'static,
    ) -> RpcResult<T> {
        self.backend
            .heavy(move |backend| {
                let state = backend.state(block)?;
                let env = backend.environment(state.number())?;
                run(backend, Simulation::new(env, state, overrides)?)
            })
            .await
    }

    /// Every wallet asks before every transaction, so a suggestion serves all of a block.
    async fn tip(&self) -> RpcResult<u128> {
        let head = self.backend.head();
        if let Some((_, tip)) = self.suggestion.lock().filter(|(number, _)| *number == head) {
            return Ok(tip);
        }
        let tip = self
            .backend
            .heavy(move |backend| {
                let numbers = head.saturating_sub(fees::TIP_BLOCKS - 1)..=head;
                let blocks = numbers.filter_map(|number| backend.executed(number).transpose());
                Ok(fees::suggest_tip(blocks.collect::<RpcResult<Vec<_>>>()?))
            })
            .await?;
        *self.suggestion.lock() = Some((head, tip));
        Ok(tip)
    }

    async fn block_response(&self, id: BlockId, full: Option<bool>) -> RpcResult<Option<BlockResponse>> {
        if full.unwrap_or_default() {
            return self.backend.heavy(move |backend| Ok(backend.executed_by(id)?.map(|block| block.to_block()))).await;
        }
        let Some(number) = self.backend.number_of(id)? else { return Ok(None) };
        Ok(self.backend.chain.block(number)?.map(|block| convert::to_block_of_hashes(&block)))
    }

    fn transaction_count_of(&self, id: BlockId) -> RpcResult<Option<U64>> {
        let Some(number) = self.backend.number_of(id)? else { return Ok(None) };
        let block = self.backend.chain.block(number)?;
        Ok(block.map(|block| U64::from(block.block.body.transactions.len())))
    }

    fn uncle_count_of(&self, id: BlockId) -> RpcResult<Option<U64>> {
        Ok(self.backend.number_of(id)?.map(|_| U64::ZERO))
    }

    fn transaction_at(&self, id: BlockId, index: U64) -> RpcResult<Option<TransactionResponse>> {
        let block = self.backend.executed_by(id)?;
        Ok(block.and_then(|block| block.to_transaction(index.saturating_to())))
    }

    async fn wait_for_receipt(&self, hash: B256) -> RpcResult<ReceiptResponse> {
        let mut events = self.backend.chain.subscribe();
        loop {
            if let Some(receipt) = self.transaction_receipt(hash)? {
                return Ok(receipt);
            }
            if matches!(events.recv().await, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
                return Err(RpcError::refused("the node is stopping"));
            }
        }
    }
}

#[async_trait]
impl EthServer for EthApi {
    fn chain_id(&self) -> RpcResult<U64> {
        Ok(U64::from(self.backend.chain.chain_id()))
    }

    fn syncing(&self) -> RpcResult<SyncStatus> {
        Ok(match self.backend.rota.status().sync_target {
            None => SyncStatus::None,
            Some(target) => SyncStatus::Info(Box::new(SyncInfo {
                starting_block: U256::from(self.starting_block),
                current_block: U256::from(self.backend.head()),
                highest_block: U256::from(target),
                ..SyncInfo::default()
            })),
        })
    }

    fn block_number(&self) -> RpcResult<U64> {
        Ok(U64::from(self.backend.head()))
    }

    fn accounts(&self) -> RpcResult<Vec<Address>> {
        Ok(Vec::new())
    }

    async fn gas_price(&self) -> RpcResult<U256> {
        let tip = self.tip().await?;
        Ok(U256::from(self.backend.chain.head().next_base_fee) + U256::from(tip))
    }

    async fn max_priority_fee_per_gas(&self) -> RpcResult<U256> {
        Ok(U256::from(self.tip().await?))
    }

    async fn fee_history(
        &self,
        count: U64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> RpcResult<FeeHistory> {
        fees::check_percentiles(percentiles.as_deref().unwrap_or_default())?;
        let count = count.to::<u64>().min(fees::MAX_HISTORY);
        self.backend
            .heavy(move |backend| {
                let newest = backend.number_of_tag(newest);
                let head = backend.head();
                if newest > head {
                    return Err(RpcError::params(format!(
                        "request beyond head block: requested {newest}, head {head}"
                    )));
                }
                let blocks = (newest + 1).saturating_sub(count)..newest + 1;
                let blocks = blocks.filter_map(|number| backend.executed(number).transpose());
                Ok(fees::history(&blocks.collect::<RpcResult<Vec<_>>>()?, percentiles.as_deref()))
            })
            .await
    }

    fn balance(&self, address: Address, block: Option<BlockId>) -> RpcResult<U256> {
        Ok(self.backend.state(block)?.balance(address)?)
    }

    fn code(&self, address: Address, block: Option<BlockId>) -> RpcResult<Bytes> {
        Ok(self.backend.state(block)?.code(address)?)
    }

    fn storage_at(&self, address: Address, slot: JsonStorageKey, block: Option<BlockId>) -> RpcResult<B256> {
        Ok(self.backend.state(block)?.storage(address, slot.as_b256().into())?.into())
    }

    fn transaction_count(&self, address: Address, block: Option<BlockId>) -> RpcResult<U64> {
        Ok(U64::from(match block {
            Some(BlockId::Number(BlockNumberOrTag::Pending)) => self.backend.pool.pending_nonce(address)?,
            _ => self.backend.state(block)?.nonce(address)?,
        }))
    }

    async fn proof(
        &self,
        address: Address,
        slots: Vec<JsonStorageKey>,
        block: Option<BlockId>,
    ) -> RpcResult<EIP1186AccountProofResponse> {
        let limit = self.backend.config.limits.proof_keys;
        if slots.len() > limit {
            return Err(RpcError::LimitExceeded(format!("more than {limit} storage keys")));
        }
        self.backend
            .heavy(move |backend| {
                let number = backend.require_number(block)?;
                let keys: Vec<B256> = slots.iter().map(JsonStorageKey::as_b256).collect();
                let proof = backend.chain.proof(number, address, &keys)?;
                let proof = proof.ok_or_else(|| RpcError::refused("header not found"))?;
                Ok(EIP1186AccountProofResponse {
                    address: proof.address,
                    balance: proof.balance,
                    code_hash: proof.code_hash,
                    nonce: proof.nonce,
                    storage_hash: proof.storage_hash,
                    account_proof: proof.account_proof,
                    storage_proof: slots
                        .into_iter()
                        .zip(proof.storage)
                        .map(|(key, slot)| EIP1186StorageProof { key, value: slot.value, proof: slot.proof })
                        .collect(),
                })
            })
            .await
    }

    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> RpcResult<Bytes> {
        let overrides = EvmOverrides::new(state_overrides, block_overrides);
        self.simulate(block, overrides, |backend, simulation| simulation.call(request, backend.config.limits.call_gas))
            .await
    }

    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> RpcResult<U64> {
        let overrides = EvmOverrides::new(state_overrides, block_overrides);
        let gas = self.simulate(block, overrides, |_, simulation| simulation.estimate(request)).await?;
        Ok(U64::from(gas))
    }

    async fn create_access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
    ) -> RpcResult<AccessListResult> {
        let overrides = EvmOverrides::state(state_overrides);
        self.simulate(block, overrides, |_, simulation| simulation.access_list(request)).await
    }

    async fn send_raw_transaction(&self, raw: Bytes) -> RpcResult<B256> {
        let backend = Arc::clone(&self.backend);
        // Recovering the sender is some 50 µs of computation, but never waits behind calls.
        let added = tokio::task::spawn_blocking(move || backend.pool.add_raw(&raw));
        Ok(added.await.map_err(RpcError::internal)??)
    }

    async fn send_raw_transaction_sync(&self, raw: Bytes, timeout: Option<U64>) -> RpcResult<ReceiptResponse> {
        let limit = self.backend.config.limits.sync_send;
        let timeout = timeout.map_or(limit, |ms| Duration::from_millis(ms.to()).min(limit));
        let hash = self.send_raw_transaction(raw).await?;
        tokio::time::timeout(timeout, self.wait_for_receipt(hash))
            .await
            .map_err(|_| RpcError::Pending(hash, timeout))?
    }

    async fn block_by_number(&self, number: BlockNumberOrTag, full: Option<bool>) -> RpcResult<Option<BlockResponse>> {
        self.block_response(number.into(), full).await
    }

    async fn block_by_hash(&self, hash: B256, full: Option<bool>) -> RpcResult<Option<BlockResponse>> {
        self.block_response(hash.into(), full).await
    }

    async fn block_receipts(&self, block: BlockId) -> RpcResult<Option<Vec<ReceiptResponse>>> {
        self.backend.heavy(move |backend| Ok(backend.executed_by(block)?.map(|block| block.to_receipts()))).await
    }

    fn block_transaction_count_by_number(&self, number: BlockNumberOrTag) -> RpcResult<Option<U64>> {
        self.transaction_count_of(number.into())
    }

    fn block_transaction_count_by_hash(&self, hash: B256) -> RpcResult<Option<U64>> {
        self.transaction_count_of(hash.into())
    }

    fn uncle_count_by_number(&self, number: BlockNumberOrTag) -> RpcResult<Option<U64>> {
        self.uncle_count_of(number.into())
    }

    fn uncle_count_by_hash(&self, hash: B256) -> RpcResult<Option<U64>> {
        self.uncle_count_of(hash.into())
    }

    fn uncle_by_number(&self, _number: BlockNumberOrTag, _index: U64) -> RpcResult<Option<Header>> {
        Ok(None)
    }

    fn uncle_by_hash(&self, _hash: B256, _index: U64) -> RpcResult<Option<Header>> {
        Ok(None)
    }

    fn transaction_by_hash(&self, hash: B256) -> RpcResult<Option<TransactionResponse>> {
        // The pool is asked first: a transaction decided in between is then found in the chain.
        let pending = self.backend.pool.get(&hash).map(|tx| convert::to_pending(&tx));
        let decided = self.backend.locate(hash)?.and_then(|(block, index)| block.to_transaction(index));
        Ok(decided.or(pending))
    }

    fn transaction_by_number(&self, number: BlockNumberOrTag, index: U64) -> RpcResult<Option<TransactionResponse>> {
        self.transaction_at(number.into(), index)
    }

    fn transaction_by_block(&self, hash: B256, index: U64) -> RpcResult<Option<TransactionResponse>> {
        self.transaction_at(hash.into(), index)
    }

    fn raw_transaction(&self, hash: B256) -> RpcResult<Option<Bytes>> {
        let pending = self.backend.pool.get(&hash).map(|tx| tx.raw.clone());
        let decided = self.backend.locate(hash)?.and_then(|(block, index)| {
            block.block.block.body.transactions.get(index).map(|tx| tx.encoded_2718().into())
        });
        Ok(decided.or(pending))
    }

    fn transaction_receipt(&self, hash: B256) -> RpcResult<Option<ReceiptResponse>> {
        Ok(self.backend.locate(hash)?.and_then(|(block, index)| block.to_receipt(index)))
    }

    async fn logs(&self, filter: Filter) -> RpcResult<Vec<Log>> {
        self.backend.heavy(move |backend| logs::query(backend, &filter)).await
    }

    fn new_filter(&self, filter: Filter) -> RpcResult<FilterId> {
        self.filters.install(Watch::Logs(Box::new(filter)), self.backend.head())
    }

    fn new_block_filter(&self) -> RpcResult<FilterId> {
        self.filters.install(Watch::Blocks, self.backend.head())
    }

    fn new_pending_transaction_filter(&self) -> RpcResult<FilterId> {
        self.filters.install(Watch::Pending(self.backend.pool.subscribe()), self.backend.head())
    }

    async fn filter_changes(&self, id: FilterId) -> RpcResult<Changes> {
        let filters = Arc::clone(&self.filters);
        self.backend.heavy(move |backend| filters.changes(id, backend)).await
    }

    async fn filter_logs(&self, id: FilterId) -> RpcResult<Vec<Log>> {
        let filters = Arc::clone(&self.filters);
        self.backend.heavy(move |backend| filters.logs(id, backend)).await
    }

    fn uninstall_filter(&self, id: FilterId) -> RpcResult<bool> {
        Ok(self.filters.uninstall(id))
    }
}
