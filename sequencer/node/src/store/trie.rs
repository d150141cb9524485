//! The state trie: incremental, copy-on-write, its nodes stored by path and checkpoint.
//!
//! Nodes are immutable and shared, so the state after a candidate block costs only the nodes it changes, and dropping
//! a candidate costs nothing. A node that is not in memory is read from the tables by its path as of a checkpoint:
//! every change of a node is written under its path, so the latest version at or below the checkpoint is the one the
//! trie of that checkpoint refers to.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use alloy_primitives::{
    Address, B256, Bytes, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use ethrex_common::H256;
use ethrex_crypto::NativeCrypto;
use ethrex_trie::{Nibbles, NodeHash, NodeRef, Trie, TrieDB, TrieError};

use super::{
    StoreError,
    diff::{StateDiff, encode_account, hashed},
    tables::Tables,
};

/// `0 ‖ path` in the account trie, `1 ‖ keccak(address) ‖ path` in a storage trie; a path is one nibble per byte.
pub(super) type NodeKey = Vec<u8>;

/// Encoded nodes by key.
pub(super) type NodeMap = HashMap<NodeKey, Vec<u8>>;

/// A leaf's full path: 64 nibbles and the terminator. Values are reported under it; they are not nodes.
const LEAF_PATH: usize = 65;

/// Where nodes that are not in memory are read from.
#[derive(Clone)]
pub(super) struct NodeSource {
    pub tables: Arc<Tables>,
    /// Checkpoint whose nodes are wanted.
    pub checkpoint: u64,
    /// Nodes of that checkpoint while they are on the way to the tables.
    pub unflushed: Option<Arc<NodeMap>>,
    /// Nodes brought into memory through this source.
    pub loaded: Arc<AtomicUsize>,
}

impl NodeSource {
    pub fn new(tables: Arc<Tables>, checkpoint: u64) -> Self {
        Self { tables, checkpoint, unflushed: None, loaded: Arc::default() }
    }

    fn read(&self, key: &NodeKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.loaded.fetch_add(1, Ordering::Relaxed);
        if let Some(node) = self.unflushed.as_ref().and_then(|nodes| nodes.get(key)) {
            return Ok(Some(node.clone()));
        }
        self.tables.node(key, self.checkpoint)
    }
}

/// One trie's view of the nodes.
struct OwnedNodes {
    source: NodeSource,
    prefix: NodeKey,
}

impl TrieDB for OwnedNodes {
    fn get(&self, path: Nibbles) -> Result<Option<Vec<u8>>, TrieError> {
        let mut key = self.prefix.clone();
        key.extend_from_slice(path.as_ref());
        self.source.read(&key).map_err(|error| TrieError::Verify(error.to_string()))
    }

    fn put_batch(&self, _nodes: Vec<(Nibbles, Vec<u8>)>) -> Result<(), TrieError> {
        Err(TrieError::Verify("nodes are written by checkpoints only".into()))
    }
}

fn prefix(owner: Option<B256>) -> NodeKey {
    match owner {
        None => vec![0],
        Some(owner) => {
            let mut key = Vec::with_capacity(33);
            key.push(1);
            key.extend_from_slice(owner.as_slice());
            key
        }
    }
}

/// The accounts and storage tries after a block.
pub(crate) struct StateTrie {
    source: NodeSource,
    accounts: NodeRef,
    /// Storage tries with nodes in memory, by hashed address.
    storage: B256Map<NodeRef>,
    /// Nodes changed since the trie's last checkpoint.
    changed: NodeMap,
}

/// What a block does to a [`StateTrie`].
pub(crate) struct TrieUpdate {
    accounts: NodeRef,
    storage: B256Map<NodeRef>,
    nodes: NodeMap,
    /// State root after the block.
    pub root: B256,
}

impl StateTrie {
    /// The trie with `root` at the checkpoint of `source`, nothing of it in memory.
    pub(super) fn open(source: NodeSource, root: B256) -> Self {
        let accounts = reference(root);
        Self { source, accounts, storage: B256Map::default(), changed: NodeMap::default() }
    }

    /// Computes the state after `diff`, filling in the storage roots of its accounts.
    ///
    /// `storage_roots` are the roots before the block of the accounts with changed storage; absent means empty.
    ///
    /// # Errors
    /// A node is missing or the database fails; never caused by the content of a block.
    pub fn update(&self, diff: &mut StateDiff, storage_roots: &AddressMap<B256>) -> Result<TrieUpdate, StoreError> {
        let mut nodes = NodeMap::default();
        let mut storage = B256Map::default();
        for (address, slots) in &diff.storage {
            let Some(Some(account)) = diff.accounts.get_mut(address) else { continue };
            let owner = hashed(*address);
            let before = storage_roots.get(address).copied().unwrap_or(EMPTY_ROOT_HASH);
            let mut trie = self.trie(Some(owner), self.storage_trie(owner, before));
            let mut sorted: Vec<_> = slots.iter().map(|(slot, value)| (keccak256(B256::from(*slot)), value)).collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            for (key, value) in sorted {
                if value.is_zero() {
                    trie.remove(key.as_slice())?;
                } else {
                    trie.insert(key.to_vec(), alloy_rlp::encode(value))?;
                }
            }
            account.storage_root = collect(&mut trie, Some(owner), &mut nodes);
            storage.insert(owner, trie.root);
        }

        let mut trie = self.trie(None, self.accounts.clone());
        let mut sorted: Vec<_> = diff.accounts.iter().map(|(address, account)| (hashed(*address), account)).collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        for (key, account) in sorted {
            match account {
                Some(account) => trie.insert(key.to_vec(), encode_account(Some(account)).to_vec())?,
                None => {
                    trie.remove(key.as_slice())?;
                }
            }
        }
        let root = collect(&mut trie, None, &mut nodes);
        Ok(TrieUpdate { accounts: trie.root, storage, nodes, root })
    }

    /// Moves on to the state after the block that `update` was computed for.
    pub fn apply(&mut self, update: TrieUpdate) {
        self.accounts = update.accounts;
        self.storage.extend(update.storage);
        self.changed.extend(update.nodes);
    }

    /// Nodes changed since the last checkpoint.
    pub fn changed_nodes(&self) -> usize {
        self.changed.len()
    }

    /// Starts a new checkpoint interval at `number`, whose state root is `root`: returns the nodes to write. If more
    /// than `resident` nodes may be in memory, nothing stays there beyond those.
    pub fn checkpoint(&mut self, number: u64, root: B256, resident: usize) -> Arc<NodeMap> {
        let nodes = Arc::new(std::mem::take(&mut self.changed));
        self.source.checkpoint = number;
        self.source.unflushed = Some(nodes.clone());
        let in_memory = self.source.loaded.fetch_add(nodes.len(), Ordering::Relaxed) + nodes.len();
        if in_memory > resident {
            self.accounts = reference(root);
            self.storage.clear();
            self.source.loaded.store(0, Ordering::Relaxed);
        }
        nodes
    }

    /// The nodes of the last checkpoint have arrived in the tables.
    pub fn flushed(&mut self) {
        self.source.unflushed = None;
    }

    /// Encoded nodes on the way to `address`, and the account if it exists.
    pub fn prove_account(&self, address: Address) -> Result<(Option<TrieAccount>, Vec<Bytes>), StoreError> {
        let key = hashed(address);
        let trie = self.trie(None, self.accounts.clone());
        let account = trie.get(key.as_slice())?.map(|value| TrieAccount::decode(&mut value.as_slice())).transpose()?;
        Ok((account, proof(&trie, key)?))
    }

    /// Encoded nodes on the way to `slot` in the storage of `address`, whose storage root is `root`, and the value.
    pub fn prove_slot(&self, address: Address, root: B256, slot: B256) -> Result<(U256, Vec<Bytes>), StoreError> {
        let owner = hashed(address);
        let trie = self.trie(Some(owner), self.storage_trie(owner, root));
        let key = keccak256(slot);
        let value = match trie.get(key.as_slice())? {
            Some(value) => U256::decode(&mut value.as_slice())?,
            None => U256::ZERO,
        };
        Ok((value, proof(&trie, key)?))
    }

    /// The storage trie with `root`, from memory if that version is there.
    fn storage_trie(&self, owner: B256, root: B256) -> NodeRef {
        let resident = self.storage.get(&owner).filter(|node| node_root(node) == root);
        resident.cloned().unwrap_or_else(|| reference(root))
    }

    fn trie(&self, owner: Option<B256>, root: NodeRef) -> Trie {
        let mut trie = Trie::new(Box::new(OwnedNodes { source: self.source.clone(), prefix: prefix(owner) }));
        trie.root = root;
        trie
    }
}

fn reference(root: B256) -> NodeRef {
    if root == EMPTY_ROOT_HASH { NodeRef::default() } else { NodeHash::from(H256(root.0)).into() }
}

fn node_root(node: &NodeRef) -> B256 {
    if node.is_valid() {
        B256::from(node.compute_hash(&NativeCrypto).finalize(&NativeCrypto).0)
    } else {
        EMPTY_ROOT_HASH
    }
}

/// Hashes the trie and gathers its new nodes. Hashing any other way would hide them from the next call.
fn collect(trie: &mut Trie, owner: Option<B256>, nodes: &mut NodeMap) -> B256 {
    let (root, changes) = trie.collect_changes_since_last_hash(&NativeCrypto);
    let prefix = prefix(owner);
    for (path, node) in changes {
        if path.len() < LEAF_PATH {
            let mut key = Vec::with_capacity(prefix.len() + path.len());
            key.extend_from_slice(&prefix);
            key.extend_from_slice(path.as_ref());
            nodes.insert(key, node);
        }
    }
    B256::from(root.0)
}

fn proof(trie: &Trie, key: B256) -> Result<Vec<Bytes>, StoreError> {
    Ok(trie.get_proof(key.as_slice())?.into_iter().map(Bytes::from).collect())
}
