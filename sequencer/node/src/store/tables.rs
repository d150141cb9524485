//! Derived data in a key-value database: versioned state, trie nodes, indices. All of it can be rebuilt from the
//! block log, and all of it is written in one atomic batch per checkpoint together with the height it stands for.
//!
//! State is kept for every block: the key ends in the block number, bit-inverted, so that the first key at or after
//! `(what, !number)` is the latest value as of that block.

use std::{ops::RangeInclusive, path::Path, sync::Arc};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::TrieAccount;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::{
    StoreError,
    chain::{BlockReceipts, RecentBlock, TxLocation},
    diff::{StateDiff, decode_account, encode_account},
    log::LogPosition,
    trie::{NodeKey, NodeMap},
};

/// Layout of the tables; another number means a rebuild from the log.
const LAYOUT: u64 = 1;

/// A block's place and header, as indexed by number.
#[derive(Clone, Debug)]
pub(super) struct BlockEntry {
    pub hash: B256,
    pub position: LogPosition,
    pub header: Arc<Header>,
}

/// The derived tables.
pub(super) struct Tables {
    database: Database,
    meta: Keyspace,
    accounts: Keyspace,
    slots: Keyspace,
    codes: Keyspace,
    nodes: Keyspace,
    diffs: Keyspace,
    blocks: Keyspace,
    hashes: Keyspace,
    transactions: Keyspace,
    receipts: Keyspace,
    checkpoints: Keyspace,
}

/// Everything a checkpoint adds.
pub(super) struct Checkpoint {
    /// Blocks since the last checkpoint, ascending.
    pub blocks: Vec<Arc<RecentBlock>>,
    /// Trie nodes changed by them, as of the last.
    pub nodes: Arc<NodeMap>,
    /// Height the state stands for afterwards.
    pub number: u64,
    /// Its state root.
    pub root: B256,
}

impl Tables {
    /// Opens or creates the database in `folder`.
    ///
    /// # Errors
    /// I/O failure; tables of another chain or layout.
    pub fn open(folder: &Path, genesis: B256, cache_bytes: u64) -> Result<Self, StoreError> {
        let database = Database::builder(folder)
            .cache_size(cache_bytes)
            .worker_threads(1)
            .max_journaling_size(128 << 20)
            .open()?;
        let keyspace = |name: &str, memtable: u64| {
            database.keyspace(name, || KeyspaceCreateOptions::default().max_memtable_size(memtable))
        };
        let (small, large) = (4 << 20, 16 << 20);
        let tables = Self {
            meta: keyspace("meta", small)?,
            accounts: keyspace("accounts", large)?,
            slots: keyspace("slots", large)?,
            codes: keyspace("codes", small)?,
            nodes: keyspace("nodes", large)?,
            diffs: keyspace("diffs", large)?,
            blocks: keyspace("blocks", small)?,
            hashes: keyspace("hashes", small)?,
            transactions: keyspace("transactions", large)?,
            receipts: keyspace("receipts", large)?,
            checkpoints: keyspace("checkpoints", small)?,
            database,
        };
        match (tables.meta.get("genesis")?, tables.meta.get("layout")?) {
            (None, _) => {
                let mut batch = tables.database.batch();
                batch.insert(&tables.meta, "genesis", genesis.as_slice());
                batch.insert(&tables.meta, "layout", LAYOUT.to_be_bytes());
                batch.commit()?;
            }
            (Some(found), _) if *found != *genesis => {
                let found = B256::try_from(&*found).unwrap_or_default();
                return Err(StoreError::OtherChain { found, expected: genesis });
            }
            (Some(_), layout) if layout.as_deref() != Some(&LAYOUT.to_be_bytes()[..]) => {
                return Err(StoreError::Corrupt("state tables of another layout: remove them to rebuild".into()));
            }
            _ => {}
        }
        Ok(tables)
    }

    /// Height the state in the tables stands for; `None` before the genesis state was written.
    pub fn flushed_height(&self) -> Result<Option<u64>, StoreError> {
        self.meta.get("flushed_height")?.map(|bytes| decode_number(&bytes)).transpose()
    }

    /// Writes the genesis state as checkpoint 0.
    pub fn write_genesis(&self, diff: &StateDiff, nodes: &NodeMap, root: B256) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        self.add_diff(&mut batch, 0, diff);
        self.add_checkpoint(&mut batch, 0, root, nodes);
        batch.durability(Some(PersistMode::SyncAll)).commit()?;
        Ok(())
    }

    /// Writes a checkpoint atomically.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        for recent in &checkpoint.blocks {
            let block = &recent.decided.block;
            let number = block.number();
            let key = number.to_be_bytes();
            let mut entry = Vec::with_capacity(640);
            entry.extend_from_slice(&recent.position.segment.to_be_bytes());
            entry.extend_from_slice(&recent.position.offset.to_be_bytes());
            entry.extend_from_slice(block.hash.as_slice());
            block.header().encode(&mut entry);
            batch.insert(&self.blocks, key, entry);
            batch.insert(&self.hashes, block.hash.as_slice(), key);
            batch.insert(&self.receipts, key, alloy_rlp::encode(recent.receipts.as_ref()));
            for (index, transaction) in block.block.body.transactions.iter().enumerate() {
                let mut location = [0u8; 12];
                location[..8].copy_from_slice(&key);
                location[8..].copy_from_slice(&(index as u32).to_be_bytes());
                batch.insert(&self.transactions, transaction.tx_hash().as_slice(), location);
            }
            self.add_diff(&mut batch, number, &recent.diff);
        }
        self.add_checkpoint(&mut batch, checkpoint.number, checkpoint.root, &checkpoint.nodes);
        batch.commit()?;
        Ok(())
    }

    /// Waits until everything written is on disk.
    pub fn sync(&self) -> Result<(), StoreError> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn add_diff(&self, batch: &mut OwnedWriteBatch, number: u64, diff: &StateDiff) {
        for (address, account) in &diff.accounts {
            batch.insert(&self.accounts, versioned(address.as_slice(), number), &**encode_account(account.as_ref()));
        }
        for (address, slots) in &diff.storage {
            for (slot, value) in slots {
                let key = versioned(&slot_key(*address, *slot), number);
                batch.insert(&self.slots, key, value.to_be_bytes_trimmed_vec());
            }
        }
        for (hash, code) in &diff.codes {
            batch.insert(&self.codes, hash.as_slice(), &***code);
        }
        batch.insert(&self.diffs, number.to_be_bytes(), diff.encode());
    }

    fn add_checkpoint(&self, batch: &mut OwnedWriteBatch, number: u64, root: B256, nodes: &NodeMap) {
        for (key, node) in nodes {
            batch.insert(&self.nodes, versioned(key, number), node.as_slice());
        }
        batch.insert(&self.checkpoints, number.to_be_bytes(), root.as_slice());
        batch.insert(&self.meta, "flushed_height", number.to_be_bytes());
    }

    /// An account as of `number` (at most the flushed height).
    pub fn account(&self, address: Address, number: u64) -> Result<Option<TrieAccount>, StoreError> {
        match latest(&self.accounts, address.as_slice(), number)? {
            Some(bytes) => decode_account(&bytes),
            None => Ok(None),
        }
    }

    /// A storage slot as of `number` (at most the flushed height).
    pub fn slot(&self, address: Address, slot: U256, number: u64) -> Result<U256, StoreError> {
        match latest(&self.slots, &slot_key(address, slot), number)? {
            Some(bytes) => U256::try_from_be_slice(&bytes)
                .ok_or_else(|| StoreError::Corrupt("a storage value of more than 32 bytes".into())),
            None => Ok(U256::ZERO),
        }
    }

    /// Bytecode by its hash.
    pub fn code(&self, hash: B256) -> Result<Option<Bytes>, StoreError> {
        Ok(self.codes.get(hash.as_slice())?.map(|code| Bytes::copy_from_slice(&code)))
    }

    /// A trie node as of the latest checkpoint at or below `checkpoint`.
    pub fn node(&self, key: &NodeKey, checkpoint: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(latest(&self.nodes, key, checkpoint)?.map(|node| node.to_vec()))
    }

    /// The latest checkpoint at or below `number`, with its state root.
    pub fn checkpoint_at(&self, number: u64) -> Result<Option<(u64, B256)>, StoreError> {
        let Some(guard) = self.checkpoints.range(..=number.to_be_bytes()).next_back() else { return Ok(None) };
        let (key, root) = guard.into_inner()?;
        let root = B256::try_from(&*root).map_err(|_| StoreError::Corrupt("a checkpoint without a root".into()))?;
        Ok(Some((decode_number(&key)?, root)))
    }

    /// What block `number` changed.
    pub fn diff(&self, number: u64) -> Result<Option<StateDiff>, StoreError> {
        self.diffs.get(number.to_be_bytes())?.map(|bytes| StateDiff::decode(&bytes)).transpose()
    }

    /// Hash, header and place of block `number`.
    pub fn block(&self, number: u64) -> Result<Option<BlockEntry>, StoreError> {
        let Some(bytes) = self.blocks.get(number.to_be_bytes())? else { return Ok(None) };
        let corrupt = || StoreError::Corrupt(format!("index entry of block {number}"));
        let (segment, rest) = bytes.split_first_chunk::<4>().ok_or_else(corrupt)?;
        let (offset, rest) = rest.split_first_chunk::<8>().ok_or_else(corrupt)?;
        let (hash, mut rest) = rest.split_first_chunk::<32>().ok_or_else(corrupt)?;
        Ok(Some(BlockEntry {
            hash: B256::from(*hash),
            position: LogPosition { segment: u32::from_be_bytes(*segment), offset: u64::from_be_bytes(*offset) },
            header: Arc::new(Header::decode(&mut rest)?),
        }))
    }

    /// Height of the block with `hash`.
    pub fn number_of(&self, hash: B256) -> Result<Option<u64>, StoreError> {
        self.hashes.get(hash.as_slice())?.map(|bytes| decode_number(&bytes)).transpose()
    }

    /// Where a transaction was included.
    pub fn transaction(&self, hash: B256) -> Result<Option<TxLocation>, StoreError> {
        let Some(bytes) = self.transactions.get(hash.as_slice())? else { return Ok(None) };
        let corrupt = || StoreError::Corrupt(format!("index entry of transaction {hash}"));
        let (number, rest) = bytes.split_first_chunk::<8>().ok_or_else(corrupt)?;
        let (index, _) = rest.split_first_chunk::<4>().ok_or_else(corrupt)?;
        Ok(Some(TxLocation { number: u64::from_be_bytes(*number), index: u32::from_be_bytes(*index) as usize }))
    }

    /// Receipts of block `number`.
    pub fn receipts(&self, number: u64) -> Result<Option<BlockReceipts>, StoreError> {
        let Some(bytes) = self.receipts.get(number.to_be_bytes())? else { return Ok(None) };
        Ok(Some(BlockReceipts::decode(&mut &*bytes)?))
    }
}

fn slot_key(address: Address, slot: U256) -> [u8; 52] {
    let mut key = [0u8; 52];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

/// `what ‖ !number`: newer versions sort first.
fn versioned(what: &[u8], number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(what.len() + 8);
    key.extend_from_slice(what);
    key.extend_from_slice(&(!number).to_be_bytes());
    key
}

/// The latest version of `what` at or below `number`.
fn latest(keyspace: &Keyspace, what: &[u8], number: u64) -> Result<Option<fjall::Slice>, StoreError> {
    let range: RangeInclusive<Vec<u8>> = versioned(what, number)..=versioned(what, 0);
    let Some(guard) = keyspace.range(range).next() else { return Ok(None) };
    let (_, value) = guard.into_inner()?;
    Ok(Some(value))
}

fn decode_number(bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Corrupt("a number of other than 8 bytes".into()))?;
    Ok(u64::from_be_bytes(bytes))
}
