//! The executor thread: the only owner of the trie and of the block under construction.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use lru::LruCache;
use tokio::sync::{mpsc, oneshot};

use super::{
    StartError,
    block::{Builder, Candidate, Rejection},
    overlay::HeadCache,
};
use crate::{
    chain::{BlockAttributes, DecidedBlock, EngineError, SealedBlock, Validity},
    mempool::{AccountState, Busy, Mempool},
    store::{LogPosition, Store},
};

/// Executed blocks kept for their decision. Only children of the head, so rarely more than one per round.
const CANDIDATES: usize = 16;

/// A request to the executor thread.
pub(super) enum Command {
    Build(Box<BlockAttributes>, Instant, oneshot::Sender<Result<SealedBlock, EngineError>>),
    Validate(SealedBlock, oneshot::Sender<Result<Validity, EngineError>>),
    Commit(Box<DecidedBlock>, oneshot::Sender<Result<(), EngineError>>),
    Close(oneshot::Sender<Result<(), EngineError>>),
}

pub(super) struct Worker {
    store: Store,
    cache: HeadCache,
    pool: Mempool,
    chain_id: u64,
    gas_limit: u64,
    checkpoint_blocks: u64,
    candidates: LruCache<B256, Candidate>,
    /// What hashing takes per transaction of a block: kept free before a build deadline.
    seal_cost: Duration,
}

impl Worker {
    pub fn new(store: Store, pool: Mempool, checkpoint_blocks: u64) -> Self {
        let chain = store.chain();
        Self {
            chain_id: chain.chain_id(),
            gas_limit: chain.config().gas_limit,
            store,
            cache: HeadCache::default(),
            pool,
            checkpoint_blocks,
            candidates: LruCache::new(NonZeroUsize::new(CANDIDATES).unwrap_or(NonZeroUsize::MIN)),
            seal_cost: Duration::from_micros(50),
        }
    }

    /// Executes the blocks of the log that the tables do not cover; every root must match.
    pub fn replay(&mut self) -> Result<u64, StartError> {
        // The store hands itself to the closure, so the rest is taken apart for it.
        let Self { store, cache, pool, chain_id, gas_limit, .. } = self;
        let mut count = 0;
        store.gap(|store: &mut Store, position: LogPosition, decided: DecidedBlock| {
            let head = store.head();
            let number = decided.block.number();
            let mut builder = Builder { store, cache, pool, chain_id: *chain_id, gas_limit: *gas_limit };
            let candidate = builder.check(&head, decided.block.clone()).map_err(|rejection| match rejection {
                Rejection::Invalid(reason) => StartError::Replay { number, reason },
                Rejection::Failed(error) => StartError::Engine(error),
            })?;
            cache.advance(&candidate.executed.diff);
            store.publish(position, Arc::new(decided), candidate.executed);
            store.maintain()?;
            count += 1;
            if count % 1000 == 0 {
                tracing::info!(number, "executing the blocks above the last checkpoint");
            }
            Ok::<_, StartError>(())
        })
    }

    pub fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            // A caller that no longer waits for its answer is not a failure.
            match command {
                Command::Build(attributes, deadline, reply) => drop(reply.send(self.build(*attributes, deadline))),
                Command::Validate(block, reply) => drop(reply.send(self.validate(block))),
                Command::Commit(decided, reply) => drop(reply.send(self.commit(*decided))),
                Command::Close(reply) => {
                    drop(reply.send(self.store.close().map_err(EngineError::from)));
                    return;
                }
            }
        }
    }

    fn build(&mut self, attributes: BlockAttributes, deadline: Instant) -> Result<SealedBlock, EngineError> {
        let head = self.store.head();
        if attributes.number != head.number + 1 || attributes.parent_hash != head.hash {
            return Err(not_on_head(attributes.number, attributes.parent_hash, &head));
        }
        let waiting = self.pool.status().pending.min(attributes.max_encoded_len / 100);
        let reserve = self.seal_cost.saturating_mul(waiting as u32).min(deadline.duration_since(Instant::now()) / 2);
        let started = Instant::now();
        let candidate = self.builder().build(&head, attributes, deadline - reserve)?;
        let count = candidate.block.block.body.transactions.len();
        metrics::histogram!("rota_block_build_seconds").record(started.elapsed().as_secs_f64());
        if count > 0 {
            // How long it took beyond the moment filling stopped is not known exactly; the whole is an upper bound
            // that only counts when the deadline was hit.
            let over = Instant::now().saturating_duration_since(deadline - reserve);
            let per_transaction = over / count as u32;
            self.seal_cost = (self.seal_cost * 3 + per_transaction.max(Duration::from_micros(10))) / 4;
        }
        let block = candidate.block.clone();
        self.candidates.put(block.hash, candidate);
        Ok(block)
    }

    fn validate(&mut self, block: SealedBlock) -> Result<Validity, EngineError> {
        let head = self.store.head();
        if block.number() != head.number + 1 || block.header().parent_hash != head.hash {
            return Err(not_on_head(block.number(), block.header().parent_hash, &head));
        }
        // The hash is that of the header: another body under it must not pass for the one that was executed.
        if self.candidates.peek(&block.hash).is_some_and(|known| known.block == block) {
            return Ok(Validity::Valid);
        }
        let started = Instant::now();
        let verdict = self.builder().check(&head, block);
        metrics::histogram!("rota_block_validate_seconds").record(started.elapsed().as_secs_f64());
        match verdict {
            Ok(candidate) => {
                self.candidates.put(candidate.block.hash, candidate);
                Ok(Validity::Valid)
            }
            Err(Rejection::Invalid(reason)) => Ok(Validity::Invalid(reason)),
            Err(Rejection::Failed(error)) => Err(error),
        }
    }

    fn commit(&mut self, decided: DecidedBlock) -> Result<(), EngineError> {
        let head = self.store.head();
        if decided.block.number() == head.number && decided.block.hash == head.hash {
            return Ok(());
        }
        if decided.block.number() != head.number + 1 || decided.block.header().parent_hash != head.hash {
            return Err(not_on_head(decided.block.number(), decided.block.header().parent_hash, &head));
        }
        let candidate = match self.candidates.pop(&decided.block.hash) {
            Some(candidate) => candidate,
            None => self.builder().check(&head, decided.block.clone()).map_err(|rejection| match rejection {
                Rejection::Invalid(reason) => EngineError::Internal(format!(
                    "block {} {} was decided, but is invalid here: {reason}",
                    decided.block.number(),
                    decided.block.hash
                )),
                Rejection::Failed(error) => error,
            })?,
        };
        // What was decided is the header; the body that goes with it is the one that was executed.
        let decided = DecidedBlock { block: candidate.block, ..decided };
        let executed = candidate.executed;
        let diff = executed.diff.clone();
        let decided = Arc::new(decided);
        // Durable first, then visible, then everybody who only wants to know.
        let position = self.store.append(&decided)?;
        self.candidates.clear();
        self.cache.advance(&diff);
        self.store.publish(position, decided.clone(), executed);
        self.pool.on_block(diff.accounts.iter().map(|(address, account)| {
            let state = account.map_or_else(AccountState::default, |account| AccountState {
                nonce: account.nonce,
                balance: account.balance,
            });
            (*address, state)
        }));
        self.store.announce(decided);
        self.store.maintain()?;
        // Blocks pile up in memory while the disk is slow: take no more work until it has caught up.
        let head = self.store.head().number;
        let behind = head - self.store.chain().flushed_height() > 3 * self.checkpoint_blocks.max(1);
        self.pool.set_busy(Busy::Storage, behind);
        Ok(())
    }

    fn builder(&mut self) -> Builder<'_> {
        Builder {
            store: &self.store,
            cache: &mut self.cache,
            pool: &self.pool,
            chain_id: self.chain_id,
            gas_limit: self.gas_limit,
        }
    }
}

fn not_on_head(number: u64, parent: B256, head: &crate::store::Head) -> EngineError {
    EngineError::NotOnHead { number, parent, head_number: head.number, head: head.hash }
}
