//! Confirmed L1 data on disk. The raw logs are the truth; everything derived from them is folded again at start.

use std::path::Path;

use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::Mutex;

use super::{
    L1Error,
    source::{L1Header, L1Log},
    state::{L1Event, L1State},
};
use crate::chain::L1Ref;

const CONFIRMED: &str = "confirmed";
const STORED: &str = "stored";
const CHAIN: &str = "chain";

/// The node's database of L1.
pub struct L1Records {
    db: Database,
    /// Block number → canonical block.
    blocks: Keyspace,
    /// Block hash → block; keeps blocks that a deep reorganisation orphaned, for L2 blocks that refer to them.
    hashes: Keyspace,
    /// Block number ‖ log index → log.
    logs: Keyspace,
    meta: Keyspace,
    /// Held by whoever changes which blocks are canonical.
    changing: Mutex<()>,
}

/// Consecutive confirmed blocks with all followed events in them.
#[derive(Debug)]
pub struct Span {
    /// Known headers of the span, ascending; the last one ends it.
    pub headers: Vec<L1Header>,
    /// All followed events in the span.
    pub logs: Vec<L1Log>,
}

impl L1Records {
    /// Opens or creates the database of the chain that `chain` identifies.
    ///
    /// # Errors
    /// Disk failure, or the directory belongs to another chain.
    pub fn open(path: &Path, chain: B256) -> Result<Self, L1Error> {
        let db = Database::builder(path).cache_size(8 << 20).open()?;
        let keyspace = |name: &str| db.keyspace(name, KeyspaceCreateOptions::default);
        let (blocks, hashes, logs, meta) =
            (keyspace("blocks")?, keyspace("hashes")?, keyspace("logs")?, keyspace("meta")?);
        match meta.get(CHAIN)? {
            None => {
                meta.insert(CHAIN, chain.as_slice())?;
                db.persist(PersistMode::SyncAll)?;
            }
            Some(present) if present.as_ref() == chain.as_slice() => {}
            Some(_) => return Err(L1Error::OtherChain { path: path.to_path_buf() }),
        }
        Ok(Self { db, blocks, hashes, logs, meta, changing: Mutex::new(()) })
    }

    /// Last block up to which the logs are known to be complete.
    ///
    /// # Errors
    /// Disk failure.
    pub fn confirmed(&self) -> Result<Option<L1Ref>, L1Error> {
        self.meta.get(CONFIRMED)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// Last block of the data; beyond [`Self::confirmed`] something may be missing.
    ///
    /// # Errors
    /// Disk failure.
    pub fn stored(&self) -> Result<Option<L1Ref>, L1Error> {
        match self.meta.get(STORED)? {
            Some(bytes) => decode(&bytes).map(Some),
            None => self.confirmed(),
        }
    }

    /// Folds all logs.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn state(&self) -> Result<L1State, L1Error> {
        let mut state = L1State::default();
        for entry in self.logs.iter() {
            let event = L1Event::decode(&decode(&entry.value()?)?)?;
            state.check(std::slice::from_ref(&event)).map_err(|error| L1Error::Corrupt(error.to_string()))?;
            state.apply(event);
        }
        Ok(state)
    }

    /// Appends a span in one durable step. `complete` says that no log is missing up to its end.
    ///
    /// # Errors
    /// Disk failure.
    pub fn append(&self, span: &Span, complete: bool) -> Result<(), L1Error> {
        let _changing = self.changing.lock();
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        for header in &span.headers {
            batch.insert(&self.blocks, header.block.number.to_be_bytes(), encode(&header.block));
            batch.insert(&self.hashes, header.block.hash.as_slice(), encode(&header.block));
        }
        for log in &span.logs {
            batch.insert(&self.logs, log_key(log.block.number, log.index), encode(log));
        }
        if let Some(end) = span.headers.last() {
            batch.insert(&self.meta, STORED, encode(&end.block));
            if complete {
                batch.insert(&self.meta, CONFIRMED, encode(&end.block));
            }
        }
        Ok(batch.commit()?)
    }

    /// Remembers the parent of `child`; false if `child` is not canonical (any more).
    ///
    /// # Errors
    /// Disk failure.
    pub fn remember(&self, child: &L1Ref, parent: &L1Ref) -> Result<bool, L1Error> {
        let _changing = self.changing.lock();
        if self.by_number(child.number)? != Some(*child) {
            return Ok(false);
        }
        let mut batch = self.db.batch();
        batch.insert(&self.blocks, parent.number.to_be_bytes(), encode(parent));
        batch.insert(&self.hashes, parent.hash.as_slice(), encode(parent));
        batch.commit()?;
        Ok(true)
    }

    /// Drops everything above `ancestor` from the canonical chain; everything at all if there is none.
    ///
    /// # Errors
    /// Disk failure.
    pub fn rewind(&self, ancestor: Option<&L1Ref>) -> Result<(), L1Error> {
        let _changing = self.changing.lock();
        let first = ancestor.map_or(0, |block| block.number + 1);
        // Logs that are complete up to a block are so up to every earlier one.
        let confirmed = self.confirmed()?;
        let confirmed = confirmed.as_ref().and_then(|end| if end.number < first { Some(end) } else { ancestor });
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        for entry in self.blocks.range(first.to_be_bytes()..) {
            batch.remove(&self.blocks, entry.key()?);
        }
        for entry in self.logs.range(log_key(first, 0)..) {
            batch.remove(&self.logs, entry.key()?);
        }
        for (key, end) in [(STORED, ancestor), (CONFIRMED, confirmed)] {
            match end {
                Some(end) => batch.insert(&self.meta, key, encode(end)),
                None => batch.remove(&self.meta, key),
            }
        }
        Ok(batch.commit()?)
    }

    /// A block by hash, canonical or orphaned by a deep reorganisation.
    ///
    /// # Errors
    /// Disk failure.
    pub fn by_hash(&self, hash: B256) -> Result<Option<L1Ref>, L1Error> {
        self.hashes.get(hash)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// The canonical block at `number`, if its header was needed.
    ///
    /// # Errors
    /// Disk failure.
    pub fn by_number(&self, number: u64) -> Result<Option<L1Ref>, L1Error> {
        self.blocks.get(number.to_be_bytes())?.map(|bytes| decode(&bytes)).transpose()
    }

    /// The lowest known canonical block at or above `number`.
    ///
    /// # Errors
    /// Disk failure.
    pub fn at_or_above(&self, number: u64) -> Result<Option<L1Ref>, L1Error> {
        self.blocks.range(number.to_be_bytes()..).next().map(|entry| decode(&entry.value()?)).transpose()
    }

    /// Known canonical blocks at or below `number`, newest first.
    pub fn descending(&self, number: u64) -> impl Iterator<Item = Result<L1Ref, L1Error>> + use<> {
        self.blocks.range(..=number.to_be_bytes()).rev().map(|entry| decode(&entry.value()?))
    }
}

fn log_key(number: u64, index: u64) -> [u8; 16] {
    ((u128::from(number) << 64) | u128::from(index)).to_be_bytes()
}

fn encode(value: &impl Encodable) -> Vec<u8> {
    alloy_rlp::encode(value)
}

fn decode<T: Decodable>(bytes: &[u8]) -> Result<T, L1Error> {
    alloy_rlp::decode_exact(bytes).map_err(|error| L1Error::Corrupt(error.to_string()))
}
