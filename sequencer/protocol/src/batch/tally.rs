//! The packed entries under a tally's root.

use alloy_primitives::keccak256;
use serde::{Deserialize, Serialize};

use super::Tally;
use crate::member::MAX_MEMBERS;

/// Bytes of a packed entry.
pub const TALLY_ENTRY_LEN: usize = 32;

/// What one member did while its set served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TallyEntry {
    /// Operator id.
    pub id: u32,
    /// Heights of which it was the round-0 leader.
    pub slots_assigned: u32,
    /// Those it produced itself.
    pub own_produced: u32,
    /// Blocks it produced in place of a silent leader.
    pub fallback_produced: u32,
    /// Growth of the balance of its fee account, wei.
    #[serde(with = "decimal")]
    pub priority_fees: u128,
}

/// Why bytes are not tally entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TallyError {
    /// Not a whole number of entries, or more than a set can have.
    #[error("{0} bytes is not a list of at most {MAX_MEMBERS} entries of {TALLY_ENTRY_LEN} bytes")]
    Length(usize),
}

impl TallyEntry {
    /// id (4) ‖ assigned (4) ‖ own (4) ‖ fallback (4) ‖ priority fees (16), big endian.
    pub fn encode(&self) -> [u8; TALLY_ENTRY_LEN] {
        let mut out = [0; TALLY_ENTRY_LEN];
        out[..4].copy_from_slice(&self.id.to_be_bytes());
        out[4..8].copy_from_slice(&self.slots_assigned.to_be_bytes());
        out[8..12].copy_from_slice(&self.own_produced.to_be_bytes());
        out[12..16].copy_from_slice(&self.fallback_produced.to_be_bytes());
        out[16..].copy_from_slice(&self.priority_fees.to_be_bytes());
        out
    }

    /// The inverse of [`Self::encode`].
    pub fn decode(bytes: &[u8; TALLY_ENTRY_LEN]) -> Self {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut fees = [0; 16];
        fees.copy_from_slice(&bytes[16..]);
        Self {
            id: word(0),
            slots_assigned: word(4),
            own_produced: word(8),
            fallback_produced: word(12),
            priority_fees: u128::from_be_bytes(fees),
        }
    }

    /// Blocks it produced, own and in place of others.
    pub fn produced(&self) -> u64 {
        u64::from(self.own_produced) + u64::from(self.fallback_produced)
    }
}

/// The packed entries, as `RewardVault.openEpoch` takes them.
pub fn encode_entries(entries: &[TallyEntry]) -> Vec<u8> {
    entries.iter().flat_map(TallyEntry::encode).collect()
}

/// The inverse of [`encode_entries`].
///
/// # Errors
/// [`TallyError::Length`] if the bytes end inside an entry or hold more entries than a set has members.
pub fn decode_entries(packed: &[u8]) -> Result<Vec<TallyEntry>, TallyError> {
    let (entries, rest) = packed.as_chunks::<TALLY_ENTRY_LEN>();
    if !rest.is_empty() || entries.len() > MAX_MEMBERS {
        return Err(TallyError::Length(packed.len()));
    }
    Ok(entries.iter().map(TallyEntry::decode).collect())
}

/// The tally of `epoch` over `entries`, one per member in the set's order.
///
/// Fees are the burned base fees plus every entry's priority fees, saturating far above any supply.
pub fn tally_of(epoch: u32, entries: &[TallyEntry], base_fees: u128) -> Tally {
    Tally {
        epoch,
        root: keccak256(encode_entries(entries)),
        count: u32::try_from(entries.len()).unwrap_or(u32::MAX),
        blocks: entries.iter().map(TallyEntry::produced).sum(),
        fees: entries.iter().fold(base_fees, |sum, entry| sum.saturating_add(entry.priority_fees)),
    }
}

/// 128-bit amounts as decimal strings: JSON numbers lose their low digits in most readers.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
