//! Which L2 block sealed which batch.
//!
//! Nothing is stored: the block that seals a batch carries its header in the rules' state, and that header names the
//! first block of its range, which is the block that sealed the batch before. So the index is walked backwards from the
//! head at the start, one read per batch, and extended by every decided block afterwards.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::B256;
use parking_lot::RwLock;
use rota_protocol::sealing::SealedBatch;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::chain::{ChainEvent, DecidedBlock, DecidedChain, EngineError};

/// A certified batch and the block whose certificate certifies it.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Header and tally.
    pub batch: SealedBatch,
    /// Height of the block with the batch's hash in its `extra_data`.
    pub block: u64,
}

/// Index of all sealed batches, from 1; cheap to clone.
#[derive(Clone, Default)]
pub struct SealedBatches {
    inner: Arc<RwLock<Index>>,
}

#[derive(Default)]
struct Index {
    /// Sealing blocks by batch index − 1.
    blocks: Vec<u64>,
    by_hash: HashMap<B256, u64>,
}

impl SealedBatches {
    /// Walks back from the head of `chain`.
    ///
    /// # Errors
    /// The store failed, or a sealing block is missing.
    pub fn open(chain: &dyn DecidedChain) -> Result<Self, EngineError> {
        let context = chain.head_context();
        let count = context.sealing.batch_index();
        let mut found = Vec::new();
        // The newest batch ends below the open range, so the range's first block sealed it.
        let mut block = context.sealing.range_first();
        for index in (1..=count).rev() {
            let sealed = read(chain, block)?
                .filter(|sealed| sealed.batch.header.index == index)
                .ok_or_else(|| EngineError::Internal(format!("block {block} should have sealed batch {index}")))?;
            let first = sealed.batch.header.firstBlock;
            found.push((sealed.batch.hash(), block));
            block = first;
        }
        let batches = Self::default();
        for (hash, block) in found.into_iter().rev() {
            batches.push(hash, block);
        }
        Ok(batches)
    }

    fn push(&self, hash: B256, block: u64) {
        let mut index = self.inner.write();
        index.blocks.push(block);
        let number = index.blocks.len() as u64;
        index.by_hash.insert(hash, number);
    }

    /// Takes note of a decided block, in order.
    pub fn note(&self, decided: &DecidedBlock) {
        if decided.block.header().extra_data.is_empty() {
            return;
        }
        if let Some(batch) = decided.context.sealing.sealed()
            && batch.header.index == self.count() + 1
        {
            self.push(batch.hash(), decided.block.number());
        }
    }

    /// Follows the chain until `shutdown`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn follow(&self, chain: Arc<dyn DecidedChain>, shutdown: CancellationToken) -> Result<(), EngineError> {
        let mut events = chain.subscribe();
        let mut next = chain.head_number().min(self.block_of(self.count()).unwrap_or(0)) + 1;
        loop {
            // Blocks decided before the subscription, or missed by a slow reader, are read from the store.
            while next <= chain.head_number() {
                if let Some(decided) = chain.decided(next)? {
                    self.note(&decided);
                }
                next += 1;
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                event = events.recv() => match event {
                    Ok(ChainEvent::Committed(decided)) if decided.block.number() == next => {
                        self.note(&decided);
                        next += 1;
                    }
                    Ok(ChainEvent::Committed(_)) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }

    /// How many batches were sealed: the index of the newest.
    pub fn count(&self) -> u64 {
        self.inner.read().blocks.len() as u64
    }

    /// Height of the block that sealed batch `index`.
    pub fn block_of(&self, index: u64) -> Option<u64> {
        let place = usize::try_from(index.checked_sub(1)?).ok()?;
        self.inner.read().blocks.get(place).copied()
    }

    /// Index of the batch with this hash.
    pub fn index_of(&self, hash: B256) -> Option<u64> {
        self.inner.read().by_hash.get(&hash).copied()
    }

    /// Batch `index`, read from the block that sealed it.
    ///
    /// # Errors
    /// The store failed.
    pub fn get(&self, chain: &dyn DecidedChain, index: u64) -> Result<Option<Sealed>, EngineError> {
        self.block_of(index).map_or(Ok(None), |block| read(chain, block))
    }
}

fn read(chain: &dyn DecidedChain, block: u64) -> Result<Option<Sealed>, EngineError> {
    let Some(decided) = chain.decided(block)? else { return Ok(None) };
    Ok(decided.context.sealing.sealed().map(|batch| Sealed { batch: batch.clone(), block }))
}
