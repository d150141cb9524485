//! What a block changes in the state.

use alloy_primitives::{
    Address, B256, Bytes, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use alloy_trie::TrieAccount;

use super::StoreError;

/// The state after a block where it differs from the state before it. Slots of an account that is gone are zero:
/// since EIP-6780 only an account created in the same transaction can be destroyed, so nothing older is left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateDiff {
    /// Accounts after the block; `None`: no longer exists.
    pub accounts: AddressMap<Option<TrieAccount>>,
    /// Storage slots after the block; zero: no longer set.
    pub storage: AddressMap<HashMap<U256, U256>>,
    /// Bytecode deployed by the block, by hash.
    pub codes: B256Map<Bytes>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct WireDiff {
    accounts: Vec<WireAccount>,
    storage: Vec<WireStorage>,
    codes: Vec<Bytes>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct WireAccount {
    address: Address,
    account: Bytes,
}

#[derive(RlpEncodable, RlpDecodable)]
struct WireStorage {
    address: Address,
    slots: Vec<WireSlot>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct WireSlot {
    key: U256,
    value: U256,
}

impl StateDiff {
    /// RLP of the diff, in key order.
    pub fn encode(&self) -> Vec<u8> {
        let mut accounts: Vec<_> = self
            .accounts
            .iter()
            .map(|(address, account)| WireAccount { address: *address, account: encode_account(account.as_ref()) })
            .collect();
        accounts.sort_unstable_by_key(|entry| entry.address);
        let mut storage: Vec<_> = self
            .storage
            .iter()
            .map(|(address, slots)| {
                let mut slots: Vec<_> =
                    slots.iter().map(|(key, value)| WireSlot { key: *key, value: *value }).collect();
                slots.sort_unstable_by_key(|slot| slot.key);
                WireStorage { address: *address, slots }
            })
            .collect();
        storage.sort_unstable_by_key(|entry| entry.address);
        let mut codes: Vec<_> = self.codes.iter().collect();
        codes.sort_unstable_by_key(|(hash, _)| **hash);
        let codes = codes.into_iter().map(|(_, code)| code.clone()).collect();
        alloy_rlp::encode(WireDiff { accounts, storage, codes })
    }

    /// Inverse of [`Self::encode`].
    ///
    /// # Errors
    /// The bytes are not such an encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let wire = WireDiff::decode(&mut &*bytes)?;
        let mut diff = Self::default();
        for entry in wire.accounts {
            diff.accounts.insert(entry.address, decode_account(&entry.account)?);
        }
        for entry in wire.storage {
            let slots = entry.slots.into_iter().map(|slot| (slot.key, slot.value)).collect();
            diff.storage.insert(entry.address, slots);
        }
        for code in wire.codes {
            diff.codes.insert(keccak256(&code), code);
        }
        Ok(diff)
    }
}

/// RLP of an account as in the state trie; empty for none.
pub(super) fn encode_account(account: Option<&TrieAccount>) -> Bytes {
    let mut bytes = Vec::new();
    if let Some(account) = account {
        account.encode(&mut bytes);
    }
    bytes.into()
}

pub(super) fn decode_account(mut bytes: &[u8]) -> Result<Option<TrieAccount>, StoreError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(Some(TrieAccount::decode(&mut bytes)?))
}

/// Hash of the account's key in the state trie.
pub(crate) fn hashed(address: Address) -> B256 {
    keccak256(address)
}
