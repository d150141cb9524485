//! Commit certificates: proof that more than 2/3 of a frozen set's weight precommitted a block (protocol section 6).

use alloy_primitives::{Address, B256, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};

use crate::{
    member::FrozenSet,
    vote::{Signature65, SignatureError, Vote, VoteDomain, VoteKind},
};

/// Whether `weight` is strictly more than two thirds of `total`.
pub fn has_quorum(weight: u64, total: u64) -> bool {
    u128::from(weight) * 3 > u128::from(total) * 2
}

/// Precommit signatures over one block, as `CommitCertificate.sol` verifies them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
#[serde(rename_all = "camelCase")]
pub struct CommitCertificate {
    /// Count of re-executions of this height.
    pub fork: u32,
    /// σ: epoch of the set that signed.
    pub epoch: u32,
    /// L2 height.
    pub height: u64,
    /// Round of the decision.
    pub round: u32,
    /// Hash of the decided block.
    pub block_hash: B256,
    /// Bit `i` set: member `i` of the set signed.
    pub signers: U256,
    /// One signature per set bit, in ascending order of members.
    pub signatures: Vec<Signature65>,
}

/// Why a certificate does not prove a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Certificate and set belong to different epochs.
    #[error("certificate of epoch {certificate} checked against the set of epoch {set}")]
    Epoch {
        /// Epoch that the certificate names.
        certificate: u32,
        /// Epoch of the set.
        set: u32,
    },
    /// A certificate decides a block, never nil.
    #[error("a certificate cannot be for nil")]
    Nil,
    /// A bit is set beyond the last member.
    #[error("signer mask {signers:#x} names members beyond the {members} of the set")]
    UnknownMember {
        /// The mask.
        signers: U256,
        /// Size of the set.
        members: usize,
    },
    /// A signer that is not in the set.
    #[error("{0} is not a member of the set")]
    Stranger(Address),
    /// One member signed twice.
    #[error("{0} appears twice")]
    Duplicate(Address),
    /// Bits and signatures do not match in number.
    #[error("{signatures} signatures for {signers} signers")]
    Count {
        /// Set bits.
        signers: usize,
        /// Signatures.
        signatures: usize,
    },
    /// A signature that leads to no key.
    #[error("signature of member {index}: {source}")]
    Signature {
        /// Position of the member in the set.
        index: usize,
        /// What is wrong with it.
        source: SignatureError,
    },
    /// A signature by another key than the member's.
    #[error("member {index} is {expected}, but {recovered} signed")]
    WrongSigner {
        /// Position of the member in the set.
        index: usize,
        /// The member's key.
        expected: Address,
        /// The key that signed.
        recovered: Address,
    },
    /// Two thirds or less.
    #[error("weight {weight} of {total} is not more than 2/3")]
    NoQuorum {
        /// Weight that signed, gwei.
        weight: u64,
        /// Weight of the set, gwei.
        total: u64,
    },
}

impl CommitCertificate {
    /// Assembles the precommits for `vote` into a certificate. The weights are checked; the signatures are taken as
    /// verified by the consensus engine.
    ///
    /// # Errors
    /// A vote for nil or for another epoch than the set's, a stranger, a duplicate, or no quorum.
    pub fn from_votes(
        set: &FrozenSet,
        vote: &Vote,
        votes: impl IntoIterator<Item = (Address, Signature65)>,
    ) -> Result<Self, CertificateError> {
        let mut slots = vec![None; set.members().len()];
        for (signer, signature) in votes {
            let slot = set
                .index_of_signer(signer)
                .and_then(|index| slots.get_mut(index))
                .ok_or(CertificateError::Stranger(signer))?;
            if slot.replace(signature).is_some() {
                return Err(CertificateError::Duplicate(signer));
            }
        }
        let mut certificate = Self {
            fork: vote.fork,
            epoch: vote.epoch,
            height: vote.height,
            round: vote.round,
            block_hash: vote.block_hash,
            signers: U256::ZERO,
            signatures: Vec::with_capacity(slots.len()),
        };
        for (index, signature) in slots.into_iter().enumerate() {
            if let Some(signature) = signature {
                certificate.signers.set_bit(index, true);
                certificate.signatures.push(signature);
            }
        }
        certificate.weight(set)?;
        Ok(certificate)
    }

    /// The vote that every signer signed.
    pub fn vote(&self) -> Vote {
        Vote {
            kind: VoteKind::Precommit,
            fork: self.fork,
            epoch: self.epoch,
            height: self.height,
            round: self.round,
            block_hash: self.block_hash,
        }
    }

    /// Checks everything L1 checks and returns the weight that signed, gwei.
    ///
    /// # Errors
    /// A [`CertificateError`] that names the first broken rule.
    pub fn verify(&self, set: &FrozenSet, domain: &VoteDomain) -> Result<u64, CertificateError> {
        let weight = self.weight(set)?;
        let digest = self.vote().digest(domain);
        let signers = set.members().iter().enumerate().filter(|(index, _)| self.signers.bit(*index));
        for ((index, member), signature) in signers.zip(&self.signatures) {
            let recovered =
                signature.recover(digest).map_err(|source| CertificateError::Signature { index, source })?;
            if recovered != member.signer {
                return Err(CertificateError::WrongSigner { index, expected: member.signer, recovered });
            }
        }
        Ok(weight)
    }

    /// The same certificate with the fewest signatures that still make a quorum, heaviest members first: each one
    /// left out saves calldata and an `ecrecover` on L1.
    pub fn trimmed(&self, set: &FrozenSet) -> Self {
        let members = set.members().iter().enumerate().filter(|(index, _)| self.signers.bit(*index));
        let mut signed: Vec<_> = members.zip(&self.signatures).collect();
        signed.sort_by_key(|((_, member), _)| std::cmp::Reverse(member.weight));
        let mut weight = 0u64;
        signed.retain(|((_, member), _)| {
            let needed = !has_quorum(weight, set.total_weight());
            weight = weight.saturating_add(member.weight);
            needed
        });
        signed.sort_by_key(|((index, _), _)| *index);
        let mut certificate = Self { signers: U256::ZERO, signatures: Vec::with_capacity(signed.len()), ..*self };
        for ((index, _), signature) in signed {
            certificate.signers.set_bit(index, true);
            certificate.signatures.push(*signature);
        }
        certificate
    }

    /// The signatures concatenated, as the contract takes them.
    pub fn signature_bytes(&self) -> Vec<u8> {
        self.signatures.iter().flat_map(|signature| *signature.as_bytes()).collect()
    }

    /// Every check but the signatures themselves.
    fn weight(&self, set: &FrozenSet) -> Result<u64, CertificateError> {
        if self.epoch != set.epoch() {
            return Err(CertificateError::Epoch { certificate: self.epoch, set: set.epoch() });
        }
        if self.block_hash.is_zero() {
            return Err(CertificateError::Nil);
        }
        let members = set.members().len();
        if self.signers.bit_len() > members {
            return Err(CertificateError::UnknownMember { signers: self.signers, members });
        }
        let signers = self.signers.count_ones();
        if signers != self.signatures.len() {
            return Err(CertificateError::Count { signers, signatures: self.signatures.len() });
        }
        let signed = set.members().iter().enumerate().filter(|(index, _)| self.signers.bit(*index));
        // Bounded by the set's total, which fits.
        let weight = signed.map(|(_, member)| member.weight).sum();
        if !has_quorum(weight, set.total_weight()) {
            return Err(CertificateError::NoQuorum { weight, total: set.total_weight() });
        }
        Ok(weight)
    }
}
