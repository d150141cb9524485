//! Executing blocks: building, checking, committing.
//!
//! Plain Ethereum rules (Osaka) by revm; the same block is valid in any Ethereum client that is given the L2 genesis.
//! One thread owns the state trie and executes; the [`Executor`] is the handle to it.

mod block;
mod overlay;
mod rules;
#[cfg(test)]
pub(crate) mod tests;
mod worker;

use std::{path::PathBuf, sync::Arc, thread::JoinHandle, time::Instant};

use parking_lot::Mutex;
use rota_protocol::config::ChainConfig;
use tokio::sync::{mpsc, oneshot};

pub use rules::evm_env;

use crate::{
    chain::{BlockAttributes, DecidedBlock, EngineError, ExecutionEngine, HeadContext, SealedBlock, Validity},
    mempool::{Mempool, PoolConfig},
    store::{Chain, Store, StoreConfig, StoreError},
};
use worker::{Command, Worker};

/// Requests that may wait for the executor thread.
const BACKLOG: usize = 8;

/// How execution and storage are set up.
#[derive(Clone, Debug)]
pub struct ExecutorConfig {
    /// Folder of the block log and the derived state; created if missing.
    pub folder: PathBuf,
    /// The chain.
    pub chain: ChainConfig,
    /// Rules' state before block 1.
    pub genesis_context: HeadContext,
    /// Limits of the pool.
    pub pool: PoolConfig,
    /// Blocks between two checkpoints: at most so many, and those that follow while one is written, are executed
    /// again after a crash.
    pub checkpoint_blocks: u64,
    /// Checkpoint earlier once this many changed trie nodes wait in memory.
    pub checkpoint_nodes: usize,
    /// Trie nodes that may stay in memory from one checkpoint to the next, about 1 KB each.
    pub resident_nodes: usize,
    /// Block cache of the database, bytes.
    pub cache_bytes: u64,
    /// Size at which the block log begins a new file, bytes.
    pub segment_bytes: u64,
}

impl ExecutorConfig {
    /// Defaults for a node that stores its data in `folder`.
    pub fn new(folder: PathBuf, chain: ChainConfig, genesis_context: HeadContext) -> Self {
        Self {
            folder,
            pool: PoolConfig::new(chain.gas_limit),
            chain,
            genesis_context,
            checkpoint_blocks: 64,
            checkpoint_nodes: 400_000,
            resident_nodes: 300_000,
            cache_bytes: 64 << 20,
            segment_bytes: 256 << 20,
        }
    }
}

/// Why a node cannot start from its data.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A block of the log does not execute to what its header says.
    #[error("block {number} of the log is not what its execution yields: {reason}")]
    Replay {
        /// Height.
        number: u64,
        /// What differs.
        reason: String,
    },
    /// Execution failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The executor thread could not be started.
    #[error("executor thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What [`Executor::start`] hands out.
pub struct Started {
    /// Builds, checks and commits blocks.
    pub executor: Arc<Executor>,
    /// Reads blocks and state.
    pub chain: Arc<Chain>,
    /// Takes transactions.
    pub pool: Mempool,
    /// Blocks that were executed again because the derived state did not cover them.
    pub replayed: u64,
}

/// Handle to the executor thread.
///
/// Dropping it ends the thread at the next opportunity and waits for that, so that the data folder is free again.
pub struct Executor {
    /// `None` only while dropping.
    commands: Option<mpsc::Sender<Command>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Executor {
    /// Opens or creates the chain's data, executes what the derived state does not cover, and starts the executor
    /// thread. Blocks the calling thread until then.
    ///
    /// # Errors
    /// The data is damaged, belongs to another chain, or contradicts itself; see [`StartError`].
    pub fn start(config: ExecutorConfig) -> Result<Started, StartError> {
        let store = Store::open(StoreConfig {
            folder: config.folder,
            chain: config.chain,
            genesis_context: config.genesis_context,
            checkpoint_blocks: config.checkpoint_blocks,
            checkpoint_nodes: config.checkpoint_nodes,
            resident_nodes: config.resident_nodes,
            cache_bytes: config.cache_bytes,
            segment_bytes: config.segment_bytes,
        })?;
        let chain = store.chain();
        let pool = Mempool::new(config.pool, chain.chain_id(), chain.clone());
        let mut worker = Worker::new(store, pool.clone(), config.checkpoint_blocks);
        let replayed = worker.replay()?;
        let (commands, requests) = mpsc::channel(BACKLOG);
        let thread = std::thread::Builder::new()
            .name("executor".into())
            .stack_size(16 << 20)
            .spawn(move || worker.run(requests))?;
        let executor = Arc::new(Self { commands: Some(commands), thread: Mutex::new(Some(thread)) });
        Ok(Started { executor, chain, pool, replayed })
    }

    /// Writes a last checkpoint and stops the executor thread; later requests fail. Without it nothing is lost
    /// either, but the next start executes some blocks again.
    ///
    /// # Errors
    /// The checkpoint failed, or the thread had stopped before.
    pub async fn close(&self) -> Result<(), EngineError> {
        self.request(Command::Close).await?;
        if let Some(thread) = self.thread.lock().take() {
            // It has answered, so it is about to end.
            let _ = thread.join();
        }
        Ok(())
    }

    async fn request<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, EngineError>>) -> Command,
    ) -> Result<T, EngineError> {
        let stopped = || EngineError::Internal("the executor thread has stopped".into());
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or_else(stopped)?;
        commands.send(command(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

#[async_trait::async_trait]
impl ExecutionEngine for Executor {
    async fn build(&self, attributes: BlockAttributes, deadline: Instant) -> Result<SealedBlock, EngineError> {
        self.request(|reply| Command::Build(Box::new(attributes), deadline, reply)).await
    }

    async fn validate(&self, block: SealedBlock) -> Result<Validity, EngineError> {
        self.request(|reply| Command::Validate(block, reply)).await
    }

    async fn commit(&self, decided: DecidedBlock) -> Result<(), EngineError> {
        self.request(|reply| Command::Commit(Box::new(decided), reply)).await
    }
}
