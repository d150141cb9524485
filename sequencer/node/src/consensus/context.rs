//! The engine's context: how its abstract types are made.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use alloy_primitives::B256;
use malachitebft_core_types::{Context, LinearTimeouts, NilOrVal, Round, SigningScheme, VoteType};
use rota_protocol::vote::{self, Signature65, SignatureError, VoteDomain, VoteKind};

use super::types::{BlockRef, Height, Proposal, ProposalPart, Signer, Validator, ValidatorSet, Vote};

/// Ties the engine to Rota's types. It holds nothing: what a digest depends on lives in [`Digests`], which signer and
/// verifier share.
#[derive(Clone, Copy, Debug, Default)]
pub struct RotaContext;

impl Context for RotaContext {
    type Address = Signer;
    type Height = Height;
    type ProposalPart = ProposalPart;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = ValidatorSet;
    type Timeouts = LinearTimeouts;
    type Value = BlockRef;
    type Vote = Vote;
    type Extension = Vec<u8>;
    type SigningScheme = Recoverable;

    fn select_proposer<'a>(&self, set: &'a ValidatorSet, height: Height, round: Round) -> &'a Validator {
        set.proposer(height, round)
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: BlockRef,
        pol_round: Round,
        proposer: Signer,
    ) -> Proposal {
        Proposal { height, round, value, pol_round, proposer }
    }

    fn new_prevote(&self, height: Height, round: Round, value: NilOrVal<BlockRef>, voter: Signer) -> Vote {
        Vote { kind: VoteType::Prevote, height, round, value, voter }
    }

    fn new_precommit(&self, height: Height, round: Round, value: NilOrVal<BlockRef>, voter: Signer) -> Vote {
        Vote { kind: VoteType::Precommit, height, round, value, voter }
    }
}

/// ECDSA over secp256k1 with recoverable low-s signatures of 65 bytes; the public key is the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recoverable;

impl SigningScheme for Recoverable {
    type DecodingError = SignatureError;
    type Signature = Signature65;
    type PublicKey = Signer;
    type PrivateKey = k256::ecdsa::SigningKey;

    fn decode_signature(bytes: &[u8]) -> Result<Signature65, SignatureError> {
        Signature65::from_slice(bytes)
    }

    fn encode_signature(signature: &Signature65) -> Vec<u8> {
        signature.as_bytes().to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<Signer, SignatureError> {
        let address: [u8; 20] = bytes.try_into().map_err(|_| SignatureError::Length(bytes.len()))?;
        Ok(Signer(address.into()))
    }

    fn encode_public_key(key: &Signer) -> Vec<u8> {
        key.0.to_vec()
    }
}

/// What a vote signs beyond (kind, height, round, block): the chain's domain and, per height, σ and the fork.
///
/// Signer and verifier share one instance. The engine rebuilds votes from certificates and panics when the digest of a
/// rebuilt vote differs, so nothing else may enter a digest, and a height is entered before the engine starts it. The
/// entry is a pure function of the decided chain: after a crash the replay of the engine's log finds the same one.
#[derive(Clone, Debug)]
pub struct Digests {
    domain: VoteDomain,
    heights: Arc<RwLock<Heights>>,
}

/// σ and fork from each height on; known up to and including `end`.
#[derive(Debug, Default)]
struct Heights {
    from: BTreeMap<u64, Service>,
    end: u64,
}

/// What serves a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// σ: epoch of the frozen set.
    pub sigma: u32,
    /// Number of re-executions.
    pub fork: u32,
}

/// Epoch changes kept: enough for every message a peer may still send.
const KEPT_CHANGES: usize = 256;

impl Digests {
    /// Knows no height yet.
    pub fn new(domain: VoteDomain) -> Self {
        Self { domain, heights: Arc::default() }
    }

    /// The chain's EIP-712 domain.
    pub fn domain(&self) -> &VoteDomain {
        &self.domain
    }

    /// Enters `height`; heights are entered in ascending order.
    pub fn enter(&self, height: u64, service: Service) {
        let mut heights = self.heights.write().unwrap_or_else(PoisonError::into_inner);
        if heights.from.range(..=height).next_back().map(|(_, last)| *last) != Some(service) {
            heights.from.insert(height, service);
        }
        heights.end = heights.end.max(height);
        if heights.from.len() > KEPT_CHANGES {
            heights.from.pop_first();
        }
    }

    /// What serves `height`, if it was entered.
    pub fn service(&self, height: Height) -> Option<Service> {
        let heights = self.heights.read().unwrap_or_else(PoisonError::into_inner);
        if height.0 > heights.end {
            return None;
        }
        heights.from.range(..=height.0).next_back().map(|(_, service)| *service)
    }

    /// The digest of a vote; `None` for a height that was not entered or a round that is nil.
    pub fn vote(&self, vote: &Vote) -> Option<B256> {
        let Service { sigma, fork } = self.service(vote.height)?;
        let kind = match vote.kind {
            VoteType::Prevote => VoteKind::Prevote,
            VoteType::Precommit => VoteKind::Precommit,
        };
        let block_hash = match vote.value {
            NilOrVal::Nil => B256::ZERO,
            NilOrVal::Val(block) => block.0,
        };
        let round = vote.round.as_u32()?;
        Some(vote::Vote { kind, fork, epoch: sigma, height: vote.height.0, round, block_hash }.digest(&self.domain))
    }

    /// The digest of a proposal; `None` as for [`Self::vote`].
    pub fn proposal(&self, proposal: &Proposal) -> Option<B256> {
        let Service { sigma, fork } = self.service(proposal.height)?;
        let proposal = vote::Proposal {
            fork,
            epoch: sigma,
            height: proposal.height.0,
            round: proposal.round.as_u32()?,
            pol_round: proposal.pol_round.as_i64(),
            block_hash: proposal.value.0,
        };
        Some(proposal.digest(&self.domain))
    }
}
