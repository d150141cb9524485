//! The state after one block, for reading.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{KECCAK_EMPTY, TrieAccount};
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};

use super::{
    StoreError,
    chain::{ChainInner, RecentBlock},
};

/// The state after a decided block. Cheap to clone; stays valid while the chain goes on.
#[derive(Clone)]
pub struct StateSnapshot {
    chain: Arc<ChainInner>,
    number: u64,
    /// Blocks between the last checkpoint and this one, ascending.
    recent: Arc<[Arc<RecentBlock>]>,
    /// Height the tables stood for when the snapshot was taken.
    flushed: u64,
}

impl StateSnapshot {
    pub(super) fn new(chain: Arc<ChainInner>, number: u64, recent: Arc<[Arc<RecentBlock>]>, flushed: u64) -> Self {
        Self { chain, number, recent, flushed }
    }

    /// Height of the block whose state this is.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The account as in the state trie; `None` if it does not exist.
    ///
    /// # Errors
    /// The database failed.
    pub fn trie_account(&self, address: Address) -> Result<Option<TrieAccount>, StoreError> {
        for block in self.recent.iter().rev() {
            if let Some(account) = block.diff.accounts.get(&address) {
                return Ok(*account);
            }
        }
        self.chain.tables.account(address, self.number.min(self.flushed))
    }

    /// The account without its code; `None` if it does not exist.
    ///
    /// # Errors
    /// The database failed.
    pub fn account(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        Ok(self.trie_account(address)?.map(|account| account_info(&account)))
    }

    /// Balance, wei.
    ///
    /// # Errors
    /// The database failed.
    pub fn balance(&self, address: Address) -> Result<U256, StoreError> {
        Ok(self.trie_account(address)?.map(|account| account.balance).unwrap_or_default())
    }

    /// Number of transactions sent (or contracts created) by the account.
    ///
    /// # Errors
    /// The database failed.
    pub fn nonce(&self, address: Address) -> Result<u64, StoreError> {
        Ok(self.trie_account(address)?.map(|account| account.nonce).unwrap_or_default())
    }

    /// Bytecode of the account; empty if it has none.
    ///
    /// # Errors
    /// The database failed.
    pub fn code(&self, address: Address) -> Result<Bytes, StoreError> {
        match self.trie_account(address)? {
            Some(account) => Ok(self.bytecode(account.code_hash)?.original_bytes()),
            None => Ok(Bytes::new()),
        }
    }

    /// Value of a storage slot; zero if unset.
    ///
    /// # Errors
    /// The database failed.
    pub fn storage(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        for block in self.recent.iter().rev() {
            if let Some(value) = block.diff.storage.get(&address).and_then(|slots| slots.get(&slot)) {
                return Ok(*value);
            }
        }
        self.chain.tables.slot(address, slot, self.number.min(self.flushed))
    }

    fn bytecode(&self, hash: B256) -> Result<Bytecode, StoreError> {
        if hash == KECCAK_EMPTY || hash.is_zero() {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.chain.codes.lock().get(&hash) {
            return Ok(code.clone());
        }
        let recent = self.recent.iter().rev().find_map(|block| block.diff.codes.get(&hash).cloned());
        let raw = match recent {
            Some(code) => code,
            None => self
                .chain
                .tables
                .code(hash)?
                .ok_or_else(|| StoreError::Corrupt(format!("the bytecode with hash {hash} is missing")))?,
        };
        let code = Bytecode::new_raw_checked(raw)
            .map_err(|error| StoreError::Corrupt(format!("the bytecode with hash {hash}: {error}")))?;
        self.chain.codes.lock().put(hash, code.clone());
        Ok(code)
    }
}

impl DatabaseRef for StateSnapshot {
    type Error = StoreError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        self.account(address)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        self.bytecode(code_hash)
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Self::Error> {
        self.storage(address, index)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        if number > self.number {
            return Ok(B256::ZERO);
        }
        Ok(self.chain.hash_of(number)?.unwrap_or_default())
    }
}

impl std::fmt::Debug for StateSnapshot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StateSnapshot").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The EVM's view of an account, its code to be loaded by hash.
pub(crate) fn account_info(account: &TrieAccount) -> AccountInfo {
    AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        code_hash: account.code_hash,
        code: None,
        ..AccountInfo::default()
    }
}

/// Bytecode by its hash, for genesis and deployments.
pub(crate) fn code_hash(code: &[u8]) -> B256 {
    if code.is_empty() { KECCAK_EMPTY } else { keccak256(code) }
}
