//! The state while a block executes: reads go to the head, writes stay here.

use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, B256Map, HashMap},
};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount};
use revm::{
    Database, DatabaseCommit, DatabaseRef,
    bytecode::Bytecode,
    state::{Account, AccountInfo},
};

use crate::chain::EngineError;
use crate::store::{StateDiff, StateSnapshot, StoreError, account_info};

/// Accounts and slots of the head that were read before; emptied when it grows over its bound.
#[derive(Default)]
pub(super) struct HeadCache {
    accounts: AddressMap<Option<TrieAccount>>,
    slots: HashMap<(Address, U256), U256>,
}

/// Entries of each kind the cache may hold: some 60 MB in all.
const CACHE_ENTRIES: usize = 200_000;

impl HeadCache {
    /// The head moved on by `diff`.
    pub fn advance(&mut self, diff: &StateDiff) {
        if self.accounts.len() + diff.accounts.len() > CACHE_ENTRIES {
            self.accounts.clear();
        }
        let slots: usize = diff.storage.values().map(HashMap::len).sum();
        if self.slots.len() + slots > CACHE_ENTRIES {
            self.slots.clear();
        }
        self.accounts.extend(&diff.accounts);
        for (address, slots) in &diff.storage {
            self.slots.extend(slots.iter().map(|(slot, value)| ((*address, *slot), *value)));
        }
    }

    fn account(&mut self, head: &StateSnapshot, address: Address) -> Result<Option<TrieAccount>, StoreError> {
        if let Some(account) = self.accounts.get(&address) {
            return Ok(*account);
        }
        let account = head.trie_account(address)?;
        if self.accounts.len() < CACHE_ENTRIES {
            self.accounts.insert(address, account);
        }
        Ok(account)
    }

    fn slot(&mut self, head: &StateSnapshot, address: Address, slot: U256) -> Result<U256, StoreError> {
        if let Some(value) = self.slots.get(&(address, slot)) {
            return Ok(*value);
        }
        let value = head.storage(address, slot)?;
        if self.slots.len() < CACHE_ENTRIES {
            self.slots.insert((address, slot), value);
        }
        Ok(value)
    }
}

/// The head's state with the changes of a block on top.
pub(super) struct Overlay<'a> {
    head: StateSnapshot,
    cache: &'a mut HeadCache,
    accounts: AddressMap<Entry>,
    codes: B256Map<Bytecode>,
    /// The first read that failed. The EVM's errors do not always tell a failing disk from an invalid block.
    failure: Option<String>,
}

struct Entry {
    original: Option<TrieAccount>,
    current: Option<AccountInfo>,
    changed: bool,
    slots: HashMap<U256, Slot>,
}

struct Slot {
    original: U256,
    current: U256,
}

impl Entry {
    fn new(original: Option<TrieAccount>) -> Self {
        let current = original.as_ref().map(account_info);
        Self { original, current, changed: false, slots: HashMap::default() }
    }

    /// There may be storage in the head's state.
    fn has_storage(&self) -> bool {
        self.original.is_some_and(|account| account.storage_root != EMPTY_ROOT_HASH)
    }
}

/// The changes of a block, and what the trie needs to apply them.
pub(super) struct Changes {
    /// The changes; storage roots still those of before.
    pub diff: StateDiff,
    /// Roots before the block of the accounts with changed storage.
    pub storage_roots: AddressMap<B256>,
}

impl<'a> Overlay<'a> {
    pub fn new(head: StateSnapshot, cache: &'a mut HeadCache) -> Self {
        Self { head, cache, accounts: AddressMap::default(), codes: B256Map::default(), failure: None }
    }

    /// Says whether every read so far succeeded.
    ///
    /// # Errors
    /// The database failed: what was executed means nothing.
    pub fn check(&self) -> Result<(), EngineError> {
        self.failure.as_ref().map_or(Ok(()), |failure| Err(EngineError::Storage(failure.clone())))
    }

    /// What the block changed, net.
    ///
    /// # Errors
    /// The database failed, or the state contradicts itself.
    pub fn finish(self) -> Result<Changes, EngineError> {
        self.check()?;
        let mut diff = StateDiff::default();
        let mut storage_roots = AddressMap::default();
        for (address, entry) in self.accounts {
            if !entry.changed {
                continue;
            }
            let original_root = entry.original.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
            let Some(current) = entry.current else {
                if entry.has_storage() {
                    // EIP-6780 rules this out; the stored slots would stay behind.
                    return Err(EngineError::Internal(format!("account {address} was destroyed with storage")));
                }
                if entry.original.is_some() {
                    diff.accounts.insert(address, None);
                }
                continue;
            };
            let slots: HashMap<U256, U256> = entry
                .slots
                .iter()
                .filter(|(_, slot)| slot.current != slot.original)
                .map(|(key, slot)| (*key, slot.current))
                .collect();
            let account = TrieAccount {
                nonce: current.nonce,
                balance: current.balance,
                storage_root: original_root,
                code_hash: current.code_hash,
            };
            if entry.original == Some(account) && slots.is_empty() {
                continue;
            }
            diff.accounts.insert(address, Some(account));
            if !slots.is_empty() {
                storage_roots.insert(address, original_root);
                diff.storage.insert(address, slots);
            }
            if account.code_hash != KECCAK_EMPTY
                && entry.original.is_none_or(|original| original.code_hash != account.code_hash)
                && let Some(code) = current.code.as_ref().or_else(|| self.codes.get(&account.code_hash))
            {
                diff.codes.insert(account.code_hash, code.original_bytes());
            }
        }
        Ok(Changes { diff, storage_roots })
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.failure.get_or_insert_with(|| error.to_string());
        }
        result
    }

    fn entry(&mut self, address: Address) -> Result<&mut Entry, StoreError> {
        use alloy_primitives::map::Entry as MapEntry;
        match self.accounts.entry(address) {
            MapEntry::Occupied(entry) => Ok(entry.into_mut()),
            MapEntry::Vacant(entry) => Ok(entry.insert(Entry::new(self.cache.account(&self.head, address)?))),
        }
    }

    fn slot(&mut self, address: Address, index: U256) -> Result<U256, StoreError> {
        let entry = self.entry(address)?;
        if let Some(slot) = entry.slots.get(&index) {
            return Ok(slot.current);
        }
        if !entry.has_storage() {
            return Ok(U256::ZERO);
        }
        let value = self.cache.slot(&self.head, address, index)?;
        let entry = self.entry(address)?;
        entry.slots.insert(index, Slot { original: value, current: value });
        Ok(value)
    }

    fn apply(&mut self, address: Address, account: Account) -> Result<(), StoreError> {
        let destroyed = account.is_selfdestructed();
        let created = account.is_created();
        let empty = account.is_empty();
        if let Some(code) = account.info.code.as_ref()
            && !code.is_empty()
            && !destroyed
        {
            self.codes.entry(account.info.code_hash).or_insert_with(|| code.clone());
        }
        let entry = self.entry(address)?;
        entry.changed = true;
        if destroyed || created {
            for slot in entry.slots.values_mut() {
                slot.current = U256::ZERO;
            }
        }
        // EIP-161: an account that was touched and is empty does not exist.
        if destroyed || (empty && !created) {
            entry.current = None;
            return Ok(());
        }
        entry.current = Some(account.info);
        for (key, value) in account.storage {
            if created || value.is_changed() {
                // A slot the block has not met before still has the value it had at the head.
                let original = value.original_value();
                let slot = entry.slots.entry(key).or_insert(Slot { original, current: original });
                slot.current = value.present_value();
            }
        }
        Ok(())
    }
}

impl Database for Overlay<'_> {
    type Error = StoreError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        let account = self.entry(address).map(|entry| entry.current.clone());
        self.note(account)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        if let Some(code) = self.codes.get(&code_hash) {
            return Ok(code.clone());
        }
        let code = self.head.code_by_hash_ref(code_hash);
        self.note(code)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Self::Error> {
        let value = self.slot(address, index);
        self.note(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        let hash = self.head.block_hash_ref(number);
        self.note(hash)
    }
}

impl DatabaseCommit for Overlay<'_> {
    fn commit(&mut self, changes: AddressMap<Account>) {
        for (address, account) in changes {
            if account.is_touched() {
                // The trait allows no error here; it is reported by `check`.
                let applied = self.apply(address, account);
                let _ = self.note(applied);
            }
        }
    }
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Overlay").field("head", &self.head).field("accounts", &self.accounts.len()).finish()
    }
}
