//! Merkle proofs of accounts and storage (EIP-1186).

use alloy_primitives::{Address, B256, Bytes, U256, map::AddressMap};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};

use super::{
    StoreError,
    chain::{Chain, ChainInner},
    diff::StateDiff,
    trie::{NodeSource, StateTrie},
};

/// Proof of an account (EIP-1186); of its absence if nonce, balance and hashes are those of an empty account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// The account.
    pub address: Address,
    /// Balance, wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// keccak256 of the code; of nothing if there is none.
    pub code_hash: B256,
    /// Root of the storage trie; the empty root if there is none.
    pub storage_hash: B256,
    /// Encoded trie nodes, from the state root down.
    pub account_proof: Vec<Bytes>,
    /// One per requested slot, in that order.
    pub storage: Vec<SlotProof>,
}

/// Proof of a storage slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotProof {
    /// The slot.
    pub key: B256,
    /// Its value.
    pub value: U256,
    /// Encoded trie nodes, from the storage root down; empty if the account has no storage.
    pub proof: Vec<Bytes>,
}

impl Chain {
    /// Proves an account and `slots` of its storage against the state root of block `number`; `None` above the head.
    ///
    /// The trie is rebuilt from the last checkpoint at or below `number`, so the work grows with what the blocks
    /// since then changed: run it off the async threads.
    ///
    /// # Errors
    /// The database failed, or what it holds does not yield the block's state root.
    pub fn proof(&self, number: u64, address: Address, slots: &[B256]) -> Result<Option<AccountProof>, StoreError> {
        let Some(header) = self.header(number)? else { return Ok(None) };
        let trie = self.inner.trie_at(number, header.state_root)?;
        let (account, account_proof) = trie.prove_account(address)?;
        let storage_hash = account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        let storage = slots
            .iter()
            .map(|slot| {
                if storage_hash == EMPTY_ROOT_HASH {
                    return Ok(SlotProof { key: *slot, value: U256::ZERO, proof: Vec::new() });
                }
                let (value, proof) = trie.prove_slot(address, storage_hash, *slot)?;
                Ok(SlotProof { key: *slot, value, proof })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Some(AccountProof {
            address,
            balance: account.map(|account| account.balance).unwrap_or_default(),
            nonce: account.map(|account| account.nonce).unwrap_or_default(),
            code_hash: account.map_or(KECCAK_EMPTY, |account| account.code_hash),
            storage_hash,
            account_proof,
            storage,
        }))
    }
}

impl ChainInner {
    /// The state trie after block `number`, with `root`.
    fn trie_at(&self, number: u64, root: B256) -> Result<StateTrie, StoreError> {
        let view = self.view();
        let (checkpoint, checkpoint_root) = self
            .tables
            .checkpoint_at(number)?
            .ok_or_else(|| StoreError::Corrupt("the genesis checkpoint is missing".into()))?;
        let source = NodeSource::new(self.tables.clone(), checkpoint);
        let mut trie = StateTrie::open(source, checkpoint_root);
        let mut changes = StateDiff::default();
        for height in checkpoint + 1..=number {
            let recent = view.recent_block(height).map(|block| block.diff.as_ref().clone());
            let diff = match recent {
                Some(diff) => diff,
                None => self
                    .tables
                    .diff(height)?
                    .ok_or_else(|| StoreError::Corrupt(format!("the changes of block {height} are missing")))?,
            };
            changes.accounts.extend(diff.accounts);
            for (address, slots) in diff.storage {
                changes.storage.entry(address).or_default().extend(slots);
            }
        }
        let mut storage_roots = AddressMap::default();
        for address in changes.storage.keys() {
            if let Some(account) = self.tables.account(*address, checkpoint)? {
                storage_roots.insert(*address, account.storage_root);
            }
        }
        let update = trie.update(&mut changes, &storage_roots)?;
        if update.root != root {
            return Err(StoreError::Corrupt(format!(
                "the state of block {number} has root {}, its header says {root}",
                update.root
            )));
        }
        trie.apply(update);
        Ok(trie)
    }
}
