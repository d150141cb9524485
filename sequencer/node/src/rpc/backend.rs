//! What every method works on: the chain by tag, number or hash, and a bounded number of threads for heavy requests.

use std::{sync::Arc, time::Duration};

use alloy_consensus::Header;
use alloy_eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use alloy_evm::EvmEnv;
use alloy_primitives::B256;
use tokio::sync::Semaphore;

use super::{
    Config, Labels, RotaInfo,
    convert::ExecutedBlock,
    error::{RpcError, RpcResult},
};
use crate::{
    chain::DecidedChain,
    execution::evm_env,
    mempool::Mempool,
    store::{Chain, StateSnapshot},
};

/// Shared by all methods.
pub(super) struct Backend {
    /// How to serve.
    pub(super) config: Config,
    /// The decided chain.
    pub(super) chain: Arc<Chain>,
    /// Pending transactions.
    pub(super) pool: Mempool,
    /// `safe` and `finalized`.
    pub(super) labels: Arc<dyn Labels>,
    /// L1 and the node itself.
    pub(super) rota: Arc<dyn RotaInfo>,
    heavy: Arc<Semaphore>,
}

impl Backend {
    pub(super) fn new(
        config: Config,
        chain: Arc<Chain>,
        pool: Mempool,
        labels: Arc<dyn Labels>,
        rota: Arc<dyn RotaInfo>,
    ) -> Self {
        let heavy = Arc::new(Semaphore::new(config.limits.heavy_calls.max(1)));
        Self { config, chain, pool, labels, rota, heavy }
    }

    /// Runs `work` on a blocking thread once one of the few slots for heavy requests is free.
    ///
    /// # Errors
    /// [`RpcError::LimitExceeded`] when no slot gets free in time; whatever `work` answers.
    pub(super) async fn heavy<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> RpcResult<T> + Send + 'static,
    ) -> RpcResult<T> {
        let patience: Duration = self.config.limits.heavy_patience;
        let permit = tokio::time::timeout(patience, Arc::clone(&self.heavy).acquire_owned())
            .await
            .map_err(|_| RpcError::LimitExceeded("the node is busy with other calls".into()))?
            .map_err(RpcError::internal)?;
        let backend = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&backend)
        });
        task.await.map_err(RpcError::internal)?
    }

    /// Height of the head.
    pub(super) fn head(&self) -> u64 {
        self.chain.head_number()
    }

    /// Height a tag stands for. There is no pending block: `pending` is `latest`.
    pub(super) fn number_of_tag(&self, tag: BlockNumberOrTag) -> u64 {
        let head = self.head();
        match tag {
            BlockNumberOrTag::Number(number) => number,
            BlockNumberOrTag::Earliest => 0,
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => head,
            // L1 may be ahead of a node that is catching up.
            BlockNumberOrTag::Safe => self.labels.safe().min(head),
            BlockNumberOrTag::Finalized => self.labels.finalized().min(head),
        }
    }

    /// Height of a block; `None` if there is no such block. Decided blocks never leave the chain, so every known hash
    /// is canonical (EIP-1898).
    pub(super) fn number_of(&self, id: BlockId) -> RpcResult<Option<u64>> {
        match id {
            BlockId::Number(tag) => Ok(Some(self.number_of_tag(tag)).filter(|number| *number <= self.head())),
            BlockId::Hash(RpcBlockHash { block_hash, .. }) => Ok(self.chain.number_of(block_hash)?),
        }
    }

    /// As [`Self::number_of`], for methods where a missing block is an error.
    pub(super) fn require_number(&self, id: Option<BlockId>) -> RpcResult<u64> {
        self.number_of(id.unwrap_or_default())?.ok_or_else(|| RpcError::refused("header not found"))
    }

    /// A header by height; `None` above the head.
    pub(super) fn header(&self, number: u64) -> RpcResult<Option<Arc<Header>>> {
        Ok(self.chain.header(number)?)
    }

    /// A block's hash; `None` above the head.
    pub(super) fn hash_of(&self, number: u64) -> RpcResult<Option<B256>> {
        Ok(self.chain.hash_of(number)?)
    }

    /// A block with senders and receipts; `None` above the head.
    pub(super) fn executed(&self, number: u64) -> RpcResult<Option<ExecutedBlock>> {
        let Some(block) = self.chain.block(number)? else { return Ok(None) };
        Ok(self.chain.receipts(number)?.map(|outcome| ExecutedBlock { block, outcome }))
    }

    /// A block with senders and receipts by any name; `None` if there is no such block.
    pub(super) fn executed_by(&self, id: BlockId) -> RpcResult<Option<ExecutedBlock>> {
        match self.number_of(id)? {
            Some(number) => self.executed(number),
            None => Ok(None),
        }
    }

    /// The block and position of a decided transaction.
    pub(super) fn locate(&self, hash: B256) -> RpcResult<Option<(ExecutedBlock, usize)>> {
        let Some(location) = self.chain.transaction_location(hash)? else { return Ok(None) };
        Ok(self.executed(location.number)?.map(|block| (block, location.index)))
    }

    /// What a call sees of the block at `number`.
    pub(super) fn environment(&self, number: u64) -> RpcResult<EvmEnv> {
        let header = self.header(number)?.ok_or_else(|| RpcError::refused("header not found"))?;
        Ok(evm_env(self.chain.chain_id(), &header))
    }

    /// State after a block; of the head when the caller names none.
    ///
    /// # Errors
    /// There is no such block.
    pub(super) fn state(&self, id: Option<BlockId>) -> RpcResult<StateSnapshot> {
        let number = self.require_number(id)?;
        self.chain.state_at(number).ok_or_else(|| RpcError::refused("header not found"))
    }
}
