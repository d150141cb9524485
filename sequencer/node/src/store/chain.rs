//! Reading decided blocks, receipts and state.

use std::sync::Arc;

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_primitives::{Address, B256, U256, map::B256Map};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use revm::bytecode::Bytecode;
use rota_protocol::{config::ChainConfig, fees};
use tokio::sync::broadcast;

use super::{
    StateSnapshot, StoreError,
    diff::StateDiff,
    log::{BlockLog, LogPosition},
    tables::Tables,
};
use crate::{
    chain::{Block, ChainEvent, DecidedBlock, DecidedChain, EngineError, HeadContext, SealedBlock},
    mempool::{AccountState, AccountView},
};

/// The tip of the decided chain; one consistent view.
#[derive(Clone, Debug)]
pub struct Head {
    /// Height.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
    /// Header.
    pub header: Arc<Header>,
    /// Rules' state after the block.
    pub context: Arc<HeadContext>,
    /// Base fee of the block to come, wei per gas.
    pub next_base_fee: u64,
}

impl Head {
    pub(super) fn new(hash: B256, header: Arc<Header>, context: Arc<HeadContext>) -> Self {
        let next_base_fee = next_base_fee(&header);
        Self { number: header.number, hash, header, context, next_base_fee }
    }
}

/// Base fee of the block after `parent`, wei per gas (EIP-1559, never under the floor of the protocol).
pub fn next_base_fee(parent: &Header) -> u64 {
    fees::next_base_fee(parent.gas_used, parent.gas_limit, parent.base_fee_per_gas.unwrap_or_default())
}

/// Senders and receipts of a block's transactions, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct BlockReceipts {
    /// Who signed each transaction.
    pub senders: Vec<Address>,
    /// Status, cumulative gas, bloom and logs of each.
    pub receipts: Vec<ReceiptEnvelope>,
}

/// Where a transaction was included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxLocation {
    /// Height of the block.
    pub number: u64,
    /// Position in it, from 0.
    pub index: usize,
}

/// A block that the tables do not hold yet.
pub(super) struct RecentBlock {
    pub decided: Arc<DecidedBlock>,
    pub header: Arc<Header>,
    pub position: LogPosition,
    pub receipts: Arc<BlockReceipts>,
    pub diff: Arc<StateDiff>,
}

/// What readers see, replaced as a whole.
pub(super) struct View {
    pub head: Arc<Head>,
    /// Height the tables stand for.
    pub flushed: u64,
    /// Blocks above it up to the head, ascending.
    pub recent: Arc<[Arc<RecentBlock>]>,
}

impl View {
    pub fn recent_block(&self, number: u64) -> Option<&Arc<RecentBlock>> {
        let index = number.checked_sub(self.flushed + 1)?;
        self.recent.get(usize::try_from(index).ok()?)
    }
}

/// Places of the blocks and transactions that the tables do not hold yet. Entries are added before the head moves
/// and removed after the tables have them.
#[derive(Default)]
pub(super) struct RecentIndex {
    pub blocks: B256Map<u64>,
    pub transactions: B256Map<TxLocation>,
}

pub(super) struct ChainInner {
    pub config: ChainConfig,
    pub genesis: SealedBlock,
    pub genesis_header: Arc<Header>,
    pub log: BlockLog,
    pub tables: Arc<Tables>,
    pub view: RwLock<Arc<View>>,
    pub index: RwLock<RecentIndex>,
    pub events: broadcast::Sender<ChainEvent>,
    pub codes: Mutex<LruCache<B256, Bytecode>>,
    pub old_blocks: Mutex<LruCache<u64, Arc<DecidedBlock>>>,
    pub old_receipts: Mutex<LruCache<u64, Arc<BlockReceipts>>>,
}

impl ChainInner {
    pub fn view(&self) -> Arc<View> {
        self.view.read().clone()
    }

    pub fn hash_of(&self, number: u64) -> Result<Option<B256>, StoreError> {
        if number == 0 {
            return Ok(Some(self.genesis.hash));
        }
        let view = self.view();
        if number > view.head.number {
            return Ok(None);
        }
        if let Some(block) = view.recent_block(number) {
            return Ok(Some(block.decided.block.hash));
        }
        Ok(self.tables.block(number)?.map(|entry| entry.hash))
    }

    pub fn snapshot(self: &Arc<Self>, number: u64) -> Option<StateSnapshot> {
        let view = self.view();
        if number > view.head.number {
            return None;
        }
        let recent = if number == view.head.number {
            view.recent.clone()
        } else {
            let count = number.saturating_sub(view.flushed) as usize;
            view.recent[..count.min(view.recent.len())].into()
        };
        Some(StateSnapshot::new(self.clone(), number, recent, view.flushed))
    }
}

/// The decided chain: blocks, receipts, and the state after each block. Every method reads one consistent view; what
/// a reader finds stays true, since decided blocks are final.
///
/// Recent blocks are answered from memory, older ones from disk; loops over many blocks belong on a blocking thread.
pub struct Chain {
    pub(super) inner: Arc<ChainInner>,
}

impl Chain {
    /// The chain's constants.
    pub fn config(&self) -> &ChainConfig {
        &self.inner.config
    }

    /// Chain id of L2.
    pub fn chain_id(&self) -> u64 {
        self.inner.config.l2_chain_id
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.inner.genesis.hash
    }

    /// The tip.
    pub fn head(&self) -> Arc<Head> {
        self.inner.view().head.clone()
    }

    /// Header of a block; `None` above the head.
    ///
    /// # Errors
    /// The database failed.
    pub fn header(&self, number: u64) -> Result<Option<Arc<Header>>, StoreError> {
        if number == 0 {
            return Ok(Some(self.inner.genesis_header.clone()));
        }
        let view = self.inner.view();
        if number > view.head.number {
            return Ok(None);
        }
        if let Some(block) = view.recent_block(number) {
            return Ok(Some(block.header.clone()));
        }
        Ok(self.inner.tables.block(number)?.map(|entry| entry.header))
    }

    /// A block; `None` above the head. Block 0 has neither transactions nor withdrawals.
    ///
    /// # Errors
    /// The log or the database failed.
    pub fn block(&self, number: u64) -> Result<Option<SealedBlock>, StoreError> {
        if number == 0 {
            return Ok(Some(self.inner.genesis.clone()));
        }
        Ok(self.decided_block(number)?.map(|decided| decided.block.clone()))
    }

    /// A decided block with certificate and context; `None` for genesis and above the head.
    ///
    /// # Errors
    /// The log or the database failed.
    pub fn decided_block(&self, number: u64) -> Result<Option<Arc<DecidedBlock>>, StoreError> {
        let view = self.inner.view();
        if number == 0 || number > view.head.number {
            return Ok(None);
        }
        if let Some(block) = view.recent_block(number) {
            return Ok(Some(block.decided.clone()));
        }
        if let Some(decided) = self.inner.old_blocks.lock().get(&number) {
            return Ok(Some(decided.clone()));
        }
        let entry = self
            .inner
            .tables
            .block(number)?
            .ok_or_else(|| StoreError::Corrupt(format!("block {number} is not in the index")))?;
        let decided = Arc::new(self.inner.log.read(entry.position)?);
        if decided.block.hash != entry.hash {
            return Err(StoreError::Corrupt(format!("the log holds another block {number} than the index")));
        }
        self.inner.old_blocks.lock().put(number, decided.clone());
        Ok(Some(decided))
    }

    /// Hash of a block; `None` above the head.
    ///
    /// # Errors
    /// The database failed.
    pub fn hash_of(&self, number: u64) -> Result<Option<B256>, StoreError> {
        self.inner.hash_of(number)
    }

    /// Height of the decided block with `hash`.
    ///
    /// # Errors
    /// The database failed.
    pub fn number_of(&self, hash: B256) -> Result<Option<u64>, StoreError> {
        if hash == self.inner.genesis.hash {
            return Ok(Some(0));
        }
        let recent = self.inner.index.read().blocks.get(&hash).copied();
        let number = match recent {
            Some(number) => Some(number),
            None => self.inner.tables.number_of(hash)?,
        };
        // The index is ahead of the head for a moment at every commit.
        Ok(number.filter(|number| *number <= self.inner.view().head.number))
    }

    /// Senders and receipts of a block; `None` above the head.
    ///
    /// # Errors
    /// The database failed.
    pub fn receipts(&self, number: u64) -> Result<Option<Arc<BlockReceipts>>, StoreError> {
        let view = self.inner.view();
        if number > view.head.number {
            return Ok(None);
        }
        if number == 0 {
            return Ok(Some(Arc::default()));
        }
        if let Some(block) = view.recent_block(number) {
            return Ok(Some(block.receipts.clone()));
        }
        if let Some(receipts) = self.inner.old_receipts.lock().get(&number) {
            return Ok(Some(receipts.clone()));
        }
        let receipts = self
            .inner
            .tables
            .receipts(number)?
            .ok_or_else(|| StoreError::Corrupt(format!("the receipts of block {number} are missing")))?;
        let receipts = Arc::new(receipts);
        self.inner.old_receipts.lock().put(number, receipts.clone());
        Ok(Some(receipts))
    }

    /// Where a transaction was included; `None` if it was not.
    ///
    /// # Errors
    /// The database failed.
    pub fn transaction_location(&self, hash: B256) -> Result<Option<TxLocation>, StoreError> {
        let recent = self.inner.index.read().transactions.get(&hash).copied();
        let location = match recent {
            Some(location) => Some(location),
            None => self.inner.tables.transaction(hash)?,
        };
        Ok(location.filter(|location| location.number <= self.inner.view().head.number))
    }

    /// The state after the head.
    pub fn head_state(&self) -> StateSnapshot {
        let view = self.inner.view();
        StateSnapshot::new(self.inner.clone(), view.head.number, view.recent.clone(), view.flushed)
    }

    /// The state after block `number`; `None` above the head. Every block's state is kept.
    pub fn state_at(&self, number: u64) -> Option<StateSnapshot> {
        self.inner.snapshot(number)
    }

    /// What block `number` changed.
    #[cfg(test)]
    pub(crate) fn diff_of(&self, number: u64) -> Result<StateDiff, StoreError> {
        if let Some(block) = self.inner.view().recent_block(number) {
            return Ok(block.diff.as_ref().clone());
        }
        self.inner.tables.diff(number)?.ok_or_else(|| StoreError::Invalid(format!("no changes of block {number}")))
    }

    /// Height up to which the derived tables are written; the blocks above would be executed again after a crash.
    pub fn flushed_height(&self) -> u64 {
        self.inner.view().flushed
    }
}

impl DecidedChain for Chain {
    fn head_number(&self) -> u64 {
        self.inner.view().head.number
    }

    fn head_header(&self) -> Arc<Header> {
        self.inner.view().head.header.clone()
    }

    fn head_hash(&self) -> B256 {
        self.inner.view().head.hash
    }

    fn head_context(&self) -> Arc<HeadContext> {
        self.inner.view().head.context.clone()
    }

    fn head_balance(&self, account: Address) -> Result<U256, EngineError> {
        Ok(self.head_state().balance(account)?)
    }

    fn decided(&self, number: u64) -> Result<Option<Arc<DecidedBlock>>, EngineError> {
        Ok(self.decided_block(number)?)
    }

    fn lowest_decided(&self) -> u64 {
        1
    }

    fn subscribe(&self) -> broadcast::Receiver<ChainEvent> {
        self.inner.events.subscribe()
    }
}

impl AccountView for Chain {
    fn account(&self, address: Address) -> Result<AccountState, StoreError> {
        let account = self.head_state().trie_account(address)?;
        Ok(account.map_or_else(AccountState::default, |account| AccountState {
            nonce: account.nonce,
            balance: account.balance,
        }))
    }
}

/// Block 0 as a block without a body.
pub(super) fn genesis_block(header: Header) -> SealedBlock {
    let mut block: Block = Block::uncle(header);
    block.body.withdrawals = Some(Default::default());
    SealedBlock::new(block)
}
