//! The frozen set of an epoch (protocol section 3).

use alloy_primitives::{Address, B256, keccak256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};

/// Bytes of one encoded member: signer (20) ‖ id (4) ‖ weight (8), big endian.
pub const MEMBER_LEN: usize = 32;

/// Most members a set can have: one bit of a certificate's signer mask each.
pub const MAX_MEMBERS: usize = 256;

/// One member of a frozen set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Address of the consensus key that served this epoch.
    pub signer: Address,
    /// Operator id, from 1.
    pub id: u32,
    /// Stake behind the operator, gwei.
    pub weight: u64,
}

impl Member {
    /// signer ‖ id ‖ weight, as `SequencerSet.freeze` packs it.
    pub fn encode(&self) -> [u8; MEMBER_LEN] {
        let mut out = [0; MEMBER_LEN];
        out[..20].copy_from_slice(self.signer.as_slice());
        out[20..24].copy_from_slice(&self.id.to_be_bytes());
        out[24..].copy_from_slice(&self.weight.to_be_bytes());
        out
    }

    /// The inverse of [`Self::encode`].
    pub fn decode(bytes: &[u8; MEMBER_LEN]) -> Self {
        let word = B256::from(*bytes);
        let mut id = [0; 4];
        id.copy_from_slice(&word[20..24]);
        let mut weight = [0; 8];
        weight.copy_from_slice(&word[24..]);
        Self {
            signer: Address::from_slice(&word[..20]),
            id: u32::from_be_bytes(id),
            weight: u64::from_be_bytes(weight),
        }
    }
}

/// Why members do not form a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Nobody is in it.
    #[error("a frozen set needs at least one member")]
    Empty,
    /// More members than a certificate can name.
    #[error("{0} members, at most {MAX_MEMBERS} fit a certificate")]
    TooMany(usize),
    /// The packed bytes do not end at a member's end.
    #[error("{0} bytes is not a whole number of {MEMBER_LEN}-byte members")]
    Length(usize),
    /// Two members have one signer.
    #[error("signer {0} appears twice")]
    DuplicateSigner(Address),
    /// Two members have one id.
    #[error("operator {0} appears twice")]
    DuplicateId(u32),
    /// Ids start at 1.
    #[error("operator id 0 does not exist")]
    ZeroId,
    /// The zero address can never sign, yet `ecrecover` yields it for garbage.
    #[error("operator {0} has the zero address as signer")]
    ZeroSigner(u32),
    /// A member without stake.
    #[error("operator {0} has no weight")]
    ZeroWeight(u32),
    /// `3·Σ weight` must stay below 2^64 for the quorum arithmetic of the consensus engine.
    #[error("three times the total weight does not fit 64 bits")]
    WeightOverflow,
}

/// The members that serve an epoch, in seat order, with the seed of their schedule.
///
/// Always valid: not empty, at most [`MAX_MEMBERS`], signers and ids unique and non-zero, weights above zero,
/// `3·Σ weight < 2^64`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenSet {
    epoch: u32,
    seed: B256,
    members: Vec<Member>,
    #[serde(skip)]
    total_weight: u64,
}

impl FrozenSet {
    /// Checks and takes `members`, in seat order.
    ///
    /// # Errors
    /// A [`SetError`] that names the first broken rule.
    pub fn new(epoch: u32, seed: B256, members: Vec<Member>) -> Result<Self, SetError> {
        if members.is_empty() {
            return Err(SetError::Empty);
        }
        if members.len() > MAX_MEMBERS {
            return Err(SetError::TooMany(members.len()));
        }
        let mut total_weight = 0u64;
        for (index, member) in members.iter().enumerate() {
            if member.id == 0 {
                return Err(SetError::ZeroId);
            }
            if member.signer.is_zero() {
                return Err(SetError::ZeroSigner(member.id));
            }
            if member.weight == 0 {
                return Err(SetError::ZeroWeight(member.id));
            }
            for earlier in members.iter().take(index) {
                if earlier.id == member.id {
                    return Err(SetError::DuplicateId(member.id));
                }
                if earlier.signer == member.signer {
                    return Err(SetError::DuplicateSigner(member.signer));
                }
            }
            total_weight = total_weight.checked_add(member.weight).ok_or(SetError::WeightOverflow)?;
        }
        total_weight.checked_mul(3).ok_or(SetError::WeightOverflow)?;
        Ok(Self { epoch, seed, members, total_weight })
    }

    /// Decodes the packed members of `EpochFrozen(epoch, seed, members)`.
    ///
    /// # Errors
    /// As [`Self::new`], or [`SetError::Length`].
    pub fn decode(epoch: u32, seed: B256, packed: &[u8]) -> Result<Self, SetError> {
        let (members, rest) = packed.as_chunks::<MEMBER_LEN>();
        if !rest.is_empty() {
            return Err(SetError::Length(packed.len()));
        }
        if members.len() > MAX_MEMBERS {
            return Err(SetError::TooMany(members.len()));
        }
        Self::new(epoch, seed, members.iter().map(Member::decode).collect())
    }

    /// The packed members, as L1 takes them in calldata.
    pub fn encode_members(&self) -> Vec<u8> {
        self.members.iter().flat_map(Member::encode).collect()
    }

    /// `setHash[epoch]` on L1: keccak256 of the packed members.
    pub fn hash(&self) -> B256 {
        keccak256(self.encode_members())
    }

    /// The epoch whose `freeze` made this set (σ of the blocks it serves).
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// `seed[epoch]`.
    pub fn seed(&self) -> B256 {
        self.seed
    }

    /// The members in seat order; never empty.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Σ weight, gwei.
    pub fn total_weight(&self) -> u64 {
        self.total_weight
    }

    /// Position of the member whose consensus key is `signer`.
    pub fn index_of_signer(&self, signer: Address) -> Option<usize> {
        self.members.iter().position(|member| member.signer == signer)
    }

    /// Position of operator `id`.
    pub fn index_of_id(&self, id: u32) -> Option<usize> {
        self.members.iter().position(|member| member.id == id)
    }

    /// The member at `index` modulo the size of the set.
    pub(crate) fn member_at(&self, index: usize) -> &Member {
        // The modulus keeps the index in bounds and a set is never empty.
        &self.members[index % self.members.len()]
    }
}

impl<'de> Deserialize<'de> for FrozenSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Unchecked {
            epoch: u32,
            seed: B256,
            members: Vec<Member>,
        }
        let set = Unchecked::deserialize(deserializer)?;
        Self::new(set.epoch, set.seed, set.members).map_err(serde::de::Error::custom)
    }
}
