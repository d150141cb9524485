//! Votes, proposals and their signatures (protocol section 6): EIP-712 over secp256k1, so that one signature makes a
//! block final on L2, certifies a batch on L1 and convicts its signer if it contradicts another.

use std::fmt;

use alloy_primitives::{Address, B256, U256, hex, keccak256, uint};
use alloy_rlp::{Decodable, Encodable};
use alloy_sol_types::{Eip712Domain, SolStruct};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// The EIP-712 structs, named as they are hashed.
mod typed {
    alloy_sol_types::sol! {
        struct Vote { uint8 kind; uint32 fork; uint32 epoch; uint64 height; uint32 round; bytes32 blockHash; }
        struct Proposal { uint32 fork; uint32 epoch; uint64 height; uint32 round; int64 polRound; bytes32 blockHash; }
    }
}

/// Half of the secp256k1 group order, rounded down: the largest `s` of a low-s signature (EIP-2).
const HALF_ORDER: U256 = uint!(0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0_U256);

/// Which chain a vote belongs to: EIP-712 domain `{name "Rota", version "1", chainId, verifyingContract}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteDomain {
    chain_id: u64,
    batch_chain: Address,
    separator: B256,
}

impl VoteDomain {
    /// The domain of the L2 chain `chain_id` whose batches go to the contract `batch_chain`.
    pub fn new(chain_id: u64, batch_chain: Address) -> Self {
        let domain = Eip712Domain {
            name: Some("Rota".into()),
            version: Some("1".into()),
            chain_id: Some(U256::from(chain_id)),
            verifying_contract: Some(batch_chain),
            salt: None,
        };
        Self { chain_id, batch_chain, separator: domain.hash_struct() }
    }

    /// L2 chain id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The `BatchChain` contract on L1.
    pub fn batch_chain(&self) -> Address {
        self.batch_chain
    }

    /// The EIP-712 domain separator.
    pub fn separator(&self) -> B256 {
        self.separator
    }

    fn digest(&self, hash_struct: B256) -> B256 {
        let mut input = [0; 66];
        input[..2].copy_from_slice(&[0x19, 0x01]);
        input[2..34].copy_from_slice(self.separator.as_slice());
        input[34..].copy_from_slice(hash_struct.as_slice());
        keccak256(input)
    }
}

/// The two votes of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum VoteKind {
    /// First phase.
    Prevote = 1,
    /// Second phase; more than 2/3 of these decide.
    Precommit = 2,
}

impl TryFrom<u8> for VoteKind {
    type Error = u8;

    fn try_from(kind: u8) -> Result<Self, u8> {
        match kind {
            1 => Ok(Self::Prevote),
            2 => Ok(Self::Precommit),
            other => Err(other),
        }
    }
}

/// A vote for a block, or for nil.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vote {
    /// Phase.
    pub kind: VoteKind,
    /// Count of re-executions of this height (0 until one happens).
    pub fork: u32,
    /// σ of the height.
    pub epoch: u32,
    /// L2 height.
    pub height: u64,
    /// Consensus round.
    pub round: u32,
    /// Hash of the L2 block; zero for nil.
    pub block_hash: B256,
}

impl Vote {
    /// What the voter signs.
    pub fn digest(&self, domain: &VoteDomain) -> B256 {
        let vote = typed::Vote {
            kind: self.kind as u8,
            fork: self.fork,
            epoch: self.epoch,
            height: self.height,
            round: self.round,
            blockHash: self.block_hash,
        };
        domain.digest(vote.eip712_hash_struct())
    }
}

/// A leader's proposal of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// Count of re-executions of this height (0 until one happens).
    pub fork: u32,
    /// σ of the height.
    pub epoch: u32,
    /// L2 height.
    pub height: u64,
    /// Consensus round.
    pub round: u32,
    /// Round of the polka this proposal repeats; −1 for a fresh one.
    pub pol_round: i64,
    /// Hash of the L2 block.
    pub block_hash: B256,
}

impl Proposal {
    /// What the leader signs.
    pub fn digest(&self, domain: &VoteDomain) -> B256 {
        let proposal = typed::Proposal {
            fork: self.fork,
            epoch: self.epoch,
            height: self.height,
            round: self.round,
            polRound: self.pol_round,
            blockHash: self.block_hash,
        };
        domain.digest(proposal.eip712_hash_struct())
    }
}

/// Why bytes are not an acceptable signature, or one does not lead to a signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 65 bytes.
    #[error("{0} bytes, a signature has 65")]
    Length(usize),
    /// `v` must be 27 or 28.
    #[error("recovery byte {0}, expected 27 or 28")]
    RecoveryByte(u8),
    /// `s` lies in the upper half of the group order, or `r` or `s` is out of range.
    #[error("r or s is out of range (s must be low)")]
    Scalar,
    /// No public key signs this digest so.
    #[error("no key recovers from this signature")]
    Unrecoverable,
    /// The key could not sign (cannot happen for a digest that is a hash).
    #[error("the key failed to sign")]
    Signing,
}

/// A recoverable signature, r ‖ s ‖ v with `v` 27 or 28 and low `s`: the only form that L1 accepts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signature65([u8; 65]);

impl Signature65 {
    /// Parses r ‖ s ‖ v.
    ///
    /// # Errors
    /// Every malleable or malformed form is refused: see [`SignatureError`].
    pub fn new(bytes: [u8; 65]) -> Result<Self, SignatureError> {
        let signature = Self(bytes);
        if !matches!(signature.v(), 27 | 28) {
            return Err(SignatureError::RecoveryByte(signature.v()));
        }
        // k256 refuses zero and values not below the order; it accepts a high s.
        signature.scalars().ok_or(SignatureError::Scalar)?;
        let mut s = [0; 32];
        s.copy_from_slice(&bytes[32..64]);
        if U256::from_be_bytes(s) > HALF_ORDER {
            return Err(SignatureError::Scalar);
        }
        Ok(signature)
    }

    /// Parses a slice, as [`Self::new`].
    ///
    /// # Errors
    /// As [`Self::new`], or [`SignatureError::Length`].
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SignatureError> {
        Self::new(bytes.try_into().map_err(|_| SignatureError::Length(bytes.len()))?)
    }

    /// r ‖ s ‖ v.
    pub fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// The address whose key signed `digest`.
    ///
    /// # Errors
    /// [`SignatureError::Unrecoverable`] when no key did.
    pub fn recover(&self, digest: B256) -> Result<Address, SignatureError> {
        let signature = self.scalars().ok_or(SignatureError::Scalar)?;
        let recovery = RecoveryId::new(self.v() == 28, false);
        VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, recovery)
            .map(|key| Address::from_public_key(&key))
            .map_err(|_| SignatureError::Unrecoverable)
    }

    fn v(&self) -> u8 {
        self.0[64]
    }

    fn scalars(&self) -> Option<Signature> {
        Signature::from_slice(&self.0[..64]).ok()
    }
}

impl fmt::Debug for Signature65 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl Serialize for Signature65 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        alloy_primitives::Bytes::copy_from_slice(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature65 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = alloy_primitives::Bytes::deserialize(deserializer)?;
        Self::from_slice(&bytes).map_err(serde::de::Error::custom)
    }
}

impl Encodable for Signature65 {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        self.0.encode(out);
    }

    fn length(&self) -> usize {
        self.0.length()
    }
}

impl Decodable for Signature65 {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        Self::new(<[u8; 65]>::decode(buf)?).map_err(|_| alloy_rlp::Error::Custom("malformed signature"))
    }
}

/// Signs a digest, deterministically (RFC 6979) and with low `s`.
///
/// # Errors
/// [`SignatureError::Signing`] if the key refuses, which no hash provokes.
pub fn sign(key: &SigningKey, digest: B256) -> Result<Signature65, SignatureError> {
    let (signature, recovery) = key.sign_prehash_recoverable(digest.as_slice()).map_err(|_| SignatureError::Signing)?;
    let mut bytes = [0; 65];
    bytes[..64].copy_from_slice(&signature.to_bytes());
    bytes[64] = 27 + u8::from(recovery.is_y_odd());
    Signature65::new(bytes)
}

/// The address of a key.
pub fn address_of(key: &SigningKey) -> Address {
    Address::from_private_key(key)
}
