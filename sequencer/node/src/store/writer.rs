//! The writing side of the store: one owner, the executor thread, and one checkpoint thread.

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use alloy_primitives::{
    B256, U256,
    map::{AddressMap, HashMap},
};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use rota_protocol::config::ChainConfig;
use tokio::sync::broadcast;

use super::{
    BlockReceipts, Chain, StoreError, TxLocation,
    chain::{ChainInner, Head, RecentBlock, RecentIndex, View, genesis_block},
    diff::StateDiff,
    log::{BlockLog, LogPosition},
    snapshot::code_hash,
    tables::{Checkpoint, Tables},
    trie::{NodeSource, StateTrie, TrieUpdate},
};
use crate::chain::{ChainEvent, DecidedBlock, HeadContext};

/// Events a slow subscriber may fall behind by before it must read the chain instead.
const EVENT_BACKLOG: usize = 1024;

/// How the store is set up.
#[derive(Clone, Debug)]
pub(crate) struct StoreConfig {
    /// Folder that holds `blocks/` and `state/`.
    pub folder: PathBuf,
    /// The chain.
    pub chain: ChainConfig,
    /// Rules' state before block 1.
    pub genesis_context: HeadContext,
    /// Blocks between two checkpoints.
    pub checkpoint_blocks: u64,
    /// Checkpoint earlier once this many trie nodes wait to be written.
    pub checkpoint_nodes: usize,
    /// Trie nodes that may stay in memory across checkpoints.
    pub resident_nodes: usize,
    /// Block cache of the database, bytes.
    pub cache_bytes: u64,
    /// Size at which a new log segment begins, bytes.
    pub segment_bytes: u64,
}

/// What executing a block yields besides its header.
pub(crate) struct ExecutedBlock {
    /// Senders and receipts.
    pub receipts: Arc<BlockReceipts>,
    /// State changes, storage roots filled in.
    pub diff: Arc<StateDiff>,
    /// The trie after the block.
    pub update: TrieUpdate,
}

/// The store as its single writer sees it.
pub(crate) struct Store {
    inner: Arc<ChainInner>,
    trie: StateTrie,
    config: StoreConfig,
    checkpoints: mpsc::Sender<Checkpoint>,
    finished: mpsc::Receiver<Result<(), StoreError>>,
    thread: Option<JoinHandle<()>>,
    in_flight: bool,
    last_checkpoint: u64,
    /// Why a checkpoint failed. Its nodes are lost to this process, so no later one may be written; the next start
    /// executes the blocks again.
    failure: Option<String>,
}

impl Store {
    /// Opens or creates the store; blocks the tables do not cover yet are found by [`Self::gap`].
    ///
    /// # Errors
    /// I/O failure, corruption, or data of another chain.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let header = config.chain.genesis_header();
        let genesis = genesis_block(header.clone());
        let tables = Arc::new(Tables::open(&config.folder.join("state"), genesis.hash, config.cache_bytes)?);
        let flushed = match tables.flushed_height()? {
            Some(height) => height,
            None => {
                write_genesis(&tables, &config.chain, header.state_root)?;
                0
            }
        };
        let entry = if flushed == 0 {
            None
        } else {
            let missing = || StoreError::Corrupt(format!("block {flushed} is not in the index"));
            Some(tables.block(flushed)?.ok_or_else(missing)?)
        };
        let log = BlockLog::open(
            &config.folder.join("blocks"),
            genesis.hash,
            config.segment_bytes,
            entry.as_ref().map(|entry| entry.position),
        )?;
        let genesis_header = Arc::new(header);
        let (head, root) = match &entry {
            None => {
                let context = Arc::new(config.genesis_context.clone());
                (Head::new(genesis.hash, genesis_header.clone(), context), genesis_header.state_root)
            }
            Some(entry) => {
                let decided = log.read(entry.position)?;
                if decided.block.hash != entry.hash {
                    return Err(StoreError::Corrupt(format!("the log holds another block {flushed} than the index")));
                }
                let root = entry.header.state_root;
                (Head::new(entry.hash, entry.header.clone(), Arc::new(decided.context)), root)
            }
        };
        let trie = StateTrie::open(NodeSource::new(tables.clone(), flushed), root);
        let view = View { head: Arc::new(head), flushed, recent: Arc::new([]) };
        let cache = |entries: usize| NonZeroUsize::new(entries).unwrap_or(NonZeroUsize::MIN);
        let inner = Arc::new(ChainInner {
            config: config.chain.clone(),
            genesis,
            genesis_header,
            log,
            tables,
            view: RwLock::new(Arc::new(view)),
            index: RwLock::new(RecentIndex::default()),
            events: broadcast::channel(EVENT_BACKLOG).0,
            codes: Mutex::new(LruCache::new(cache(1024))),
            old_blocks: Mutex::new(LruCache::new(cache(256))),
            old_receipts: Mutex::new(LruCache::new(cache(256))),
        });
        let (checkpoints, requests) = mpsc::channel::<Checkpoint>();
        let (done, finished) = mpsc::channel();
        let writer = inner.clone();
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(move || {
            while let Ok(checkpoint) = requests.recv() {
                if done.send(writer.flush(&checkpoint)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            inner,
            trie,
            config,
            checkpoints,
            finished,
            thread: Some(thread),
            in_flight: false,
            last_checkpoint: flushed,
            failure: None,
        })
    }

    /// The reading side.
    pub fn chain(&self) -> Arc<Chain> {
        Arc::new(Chain { inner: self.inner.clone() })
    }

    /// The tip.
    pub fn head(&self) -> Arc<Head> {
        self.inner.view().head.clone()
    }

    /// Calls `replay` for each block of the log above the head, in order.
    ///
    /// # Errors
    /// The log failed or does not continue the head; whatever `replay` returns.
    pub fn gap<E: From<StoreError>>(
        &mut self,
        mut replay: impl FnMut(&mut Self, LogPosition, DecidedBlock) -> Result<(), E>,
    ) -> Result<u64, E> {
        let inner = self.inner.clone();
        let flushed = self.head().number;
        let start = if flushed == 0 {
            None
        } else {
            let missing = || StoreError::Corrupt(format!("block {flushed} is not in the index"));
            Some(inner.tables.block(flushed).and_then(|entry| entry.ok_or_else(missing))?.position)
        };
        let mut count = 0;
        for item in inner.log.iter_after(start)? {
            let (position, decided) = item?;
            let head = self.head();
            if decided.block.number() != head.number + 1 || decided.block.header().parent_hash != head.hash {
                return Err(StoreError::Corrupt(format!(
                    "the log continues block {} {} with block {} on parent {}",
                    head.number,
                    head.hash,
                    decided.block.number(),
                    decided.block.header().parent_hash
                ))
                .into());
            }
            replay(self, position, decided)?;
            count += 1;
        }
        Ok(count)
    }

    /// The trie after the head.
    pub fn trie(&self) -> &StateTrie {
        &self.trie
    }

    /// Makes a block durable: from here on it survives a crash.
    ///
    /// # Errors
    /// The log failed; nothing has changed.
    pub fn append(&self, decided: &DecidedBlock) -> Result<LogPosition, StoreError> {
        self.check()?;
        self.inner.log.append(decided)
    }

    /// Makes an appended block the head. Receipts and state are visible no later than the head's number.
    pub fn publish(&mut self, position: LogPosition, decided: Arc<DecidedBlock>, executed: ExecutedBlock) {
        let ExecutedBlock { receipts, diff, update } = executed;
        self.trie.apply(update);
        let number = decided.block.number();
        let header = Arc::new(decided.block.header().clone());
        {
            let mut index = self.inner.index.write();
            index.blocks.insert(decided.block.hash, number);
            for (position, transaction) in decided.block.block.body.transactions.iter().enumerate() {
                index.transactions.insert(*transaction.tx_hash(), TxLocation { number, index: position });
            }
        }
        let head = Head::new(decided.block.hash, header.clone(), Arc::new(decided.context.clone()));
        let block = Arc::new(RecentBlock { decided, header, position, receipts, diff });
        let mut view = self.inner.view.write();
        let recent = view.recent.iter().cloned().chain([block]).collect();
        *view = Arc::new(View { head: Arc::new(head), flushed: view.flushed, recent });
    }

    /// Tells subscribers about the new head.
    pub fn announce(&self, decided: Arc<DecidedBlock>) {
        // No subscriber is not a failure.
        let _ = self.inner.events.send(ChainEvent::Committed(decided));
    }

    /// Starts a checkpoint if one is due and takes note of a finished one. Waits for it only when the blocks held in
    /// memory exceed four intervals: then disk is the bottleneck and blocks must not pile up.
    ///
    /// # Errors
    /// A checkpoint failed.
    pub fn maintain(&mut self) -> Result<(), StoreError> {
        self.check()?;
        let view = self.inner.view();
        let waiting = view.recent.len() as u64;
        if self.in_flight {
            self.finish(waiting > 4 * self.config.checkpoint_blocks.max(1))?;
        }
        let since = view.head.number - self.last_checkpoint;
        let due = since >= self.config.checkpoint_blocks.max(1)
            || (since > 0 && self.trie.changed_nodes() >= self.config.checkpoint_nodes);
        if due && !self.in_flight {
            self.start_checkpoint()?;
        }
        Ok(())
    }

    /// Writes everything that is still in memory to the tables, for a quick next start.
    ///
    /// # Errors
    /// A checkpoint failed.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.check()?;
        self.finish(true)?;
        if self.head().number > self.last_checkpoint {
            self.start_checkpoint()?;
            self.finish(true)?;
        }
        self.inner.tables.sync()
    }

    fn check(&self) -> Result<(), StoreError> {
        match &self.failure {
            Some(reason) => Err(StoreError::Invalid(format!("an earlier checkpoint failed: {reason}"))),
            None => Ok(()),
        }
    }

    fn start_checkpoint(&mut self) -> Result<(), StoreError> {
        let view = self.inner.view();
        let number = view.head.number;
        let root = view.head.header.state_root;
        let nodes = self.trie.checkpoint(number, root, self.config.resident_nodes);
        let checkpoint = Checkpoint { blocks: view.recent.to_vec(), nodes, number, root };
        self.checkpoints.send(checkpoint).map_err(|_| stopped())?;
        self.in_flight = true;
        self.last_checkpoint = number;
        Ok(())
    }

    fn finish(&mut self, wait: bool) -> Result<(), StoreError> {
        if !self.in_flight {
            return Ok(());
        }
        let result = if wait {
            self.finished.recv().map_err(|_| stopped())?
        } else {
            match self.finished.try_recv() {
                Ok(result) => result,
                Err(mpsc::TryRecvError::Empty) => return Ok(()),
                Err(mpsc::TryRecvError::Disconnected) => return Err(stopped()),
            }
        };
        self.in_flight = false;
        if let Err(error) = &result {
            self.failure = Some(error.to_string());
        }
        result?;
        self.trie.flushed();
        Ok(())
    }
}

impl Drop for Store {
    /// Waits for a checkpoint under way, so that the database is closed when the store is gone.
    fn drop(&mut self) {
        let (closed, _) = mpsc::channel();
        self.checkpoints = closed;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl ChainInner {
    /// Writes a checkpoint and lets go of the blocks it covers. Runs on the checkpoint thread.
    fn flush(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.tables.write(checkpoint)?;
        {
            let mut view = self.view.write();
            let recent = view.recent.iter().filter(|block| block.header.number > checkpoint.number).cloned().collect();
            *view = Arc::new(View { head: view.head.clone(), flushed: checkpoint.number, recent });
        }
        let mut index = self.index.write();
        for block in &checkpoint.blocks {
            index.blocks.remove(&block.decided.block.hash);
            for transaction in &block.decided.block.block.body.transactions {
                index.transactions.remove(transaction.tx_hash());
            }
        }
        Ok(())
    }
}

fn stopped() -> StoreError {
    StoreError::Corrupt("the checkpoint thread has stopped".into())
}

/// Writes the genesis state; its root, computed by our trie, must be the one in the genesis header.
fn write_genesis(tables: &Arc<Tables>, chain: &ChainConfig, root: B256) -> Result<(), StoreError> {
    let mut diff = StateDiff::default();
    for (address, entry) in &chain.alloc {
        let hash = code_hash(&entry.code);
        let account =
            TrieAccount { nonce: entry.nonce, balance: entry.balance, storage_root: EMPTY_ROOT_HASH, code_hash: hash };
        diff.accounts.insert(*address, Some(account));
        if !entry.code.is_empty() {
            diff.codes.insert(hash, entry.code.clone());
        }
        let slots: HashMap<U256, U256> =
            entry.storage.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        if !slots.is_empty() {
            diff.storage.insert(*address, slots);
        }
    }
    let mut trie = StateTrie::open(NodeSource::new(tables.clone(), 0), EMPTY_ROOT_HASH);
    let update = trie.update(&mut diff, &AddressMap::default())?;
    if update.root != root {
        return Err(StoreError::Corrupt(format!(
            "the genesis state has root {}, the genesis header says {root}",
            update.root
        )));
    }
    trie.apply(update);
    let nodes = trie.checkpoint(0, root, usize::MAX);
    tables.write_genesis(&diff, &nodes, root)
}
