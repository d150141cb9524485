//! The engine's vocabulary in our terms: a value is a block hash, a public key is an address.

use std::{fmt, sync::Arc};

use alloy_primitives::{Address, B256};
use bytes::Bytes;
use malachitebft_core_types::{self as core, NilOrVal, Round, SignedExtension, VoteType, VotingPower};
use rota_protocol::{
    member::FrozenSet,
    schedule,
    vote::{Signature65, VoteDomain},
};

use super::{context::RotaContext, rules::HeightRules};

/// L2 height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Height(pub u64);

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

/// Address of a consensus key; the engine uses it as address and as public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signer(pub Address);

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::Address for Signer {}

/// What consensus decides on: the hash of a block, whose body travels by [`ProposalPart`]s. Never zero, because zero
/// is how a vote for nil is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef(pub B256);

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::Value for BlockRef {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

/// A member of the frozen set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    signer: Signer,
    weight: VotingPower,
}

impl core::Validator<RotaContext> for Validator {
    fn address(&self) -> &Signer {
        &self.signer
    }

    fn public_key(&self) -> &Signer {
        &self.signer
    }

    fn voting_power(&self) -> VotingPower {
        self.weight
    }
}

/// The frozen set that serves a height, with what its leader schedule needs: the engine asks for a proposer by set,
/// height and round alone.
#[derive(Clone, Debug)]
pub struct ValidatorSet {
    rules: HeightRules,
    validators: Arc<[Validator]>,
}

impl ValidatorSet {
    /// The voters of a height; a frozen set is never empty and three times its weight fits `u64`, as the engine needs.
    pub fn new(rules: HeightRules) -> Self {
        let members = rules.set.members().iter();
        let validators = members.map(|m| Validator { signer: Signer(m.signer), weight: m.weight }).collect();
        Self { rules, validators }
    }

    /// The rules this set was made from.
    pub fn rules(&self) -> &HeightRules {
        &self.rules
    }

    /// Who proposes in `round` of `height` (protocol section 4). Round nil counts as round 0.
    pub fn proposer(&self, height: Height, round: Round) -> &Validator {
        let HeightRules { first_height, set, slots, .. } = &self.rules;
        let round = round.as_u32().unwrap_or(0);
        let index = schedule::leader_index(set.seed(), height.0, *first_height, round, *slots, set.members());
        &self.validators[index]
    }
}

impl PartialEq for ValidatorSet {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.rules, &other.rules);
        (a.sigma, a.fork, a.first_height, a.slots) == (b.sigma, b.fork, b.first_height, b.slots) && a.set == b.set
    }
}

impl Eq for ValidatorSet {}

impl core::ValidatorSet<RotaContext> for ValidatorSet {
    fn count(&self) -> usize {
        self.validators.len()
    }

    fn total_voting_power(&self) -> VotingPower {
        self.rules.set.total_weight()
    }

    fn get_by_address(&self, address: &Signer) -> Option<&Validator> {
        self.validators.iter().find(|validator| validator.signer == *address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.validators.get(index)
    }
}

/// A prevote or precommit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Phase.
    pub kind: VoteType,
    /// Height.
    pub height: Height,
    /// Round, always defined.
    pub round: Round,
    /// Block or nil.
    pub value: NilOrVal<BlockRef>,
    /// Who claims to have signed.
    pub voter: Signer,
}

impl core::Vote<RotaContext> for Vote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockRef> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockRef> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Signer {
        &self.voter
    }

    // Vote extensions are off at every height: a vote has no place for one, so none survives the wire.
    fn extension(&self) -> Option<&SignedExtension<RotaContext>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<RotaContext>> {
        None
    }

    fn extend(self, _: SignedExtension<RotaContext>) -> Self {
        self
    }
}

/// A leader's signed statement that it proposes a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Height.
    pub height: Height,
    /// Round, always defined.
    pub round: Round,
    /// The block.
    pub value: BlockRef,
    /// Round of the polka this proposal repeats, nil for a fresh one.
    pub pol_round: Round,
    /// Who claims to have signed.
    pub proposer: Signer,
}

impl core::Proposal<RotaContext> for Proposal {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &BlockRef {
        &self.value
    }

    fn take_value(self) -> BlockRef {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &Signer {
        &self.proposer
    }
}

/// What a stream of parts carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Height.
    pub height: Height,
    /// Round.
    pub round: u32,
    /// Round of the polka this proposal repeats, nil for a fresh one.
    pub pol_round: Round,
    /// Hash of the block.
    pub block: BlockRef,
    /// Length of the encoded body, bytes.
    pub body_len: u32,
}

impl Stream {
    /// What the proposer signs: an EIP-712 struct of its own, so it can never stand for a vote or a proposal.
    pub fn digest(&self, domain: &VoteDomain) -> B256 {
        let stream = typed::ProposalStream {
            height: self.height.0,
            round: self.round,
            polRound: self.pol_round.as_i64(),
            blockHash: self.block.0,
            bodyLength: self.body_len,
        };
        let mut input = [0; 66];
        input[..2].copy_from_slice(&[0x19, 0x01]);
        input[2..34].copy_from_slice(domain.separator().as_slice());
        input[34..].copy_from_slice(alloy_sol_types::SolStruct::eip712_hash_struct(&stream).as_slice());
        alloy_primitives::keccak256(input)
    }
}

/// Head of a stream of parts: what it carries, signed by the member whose round it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalInit {
    /// What follows.
    pub stream: Stream,
    /// Scheduled proposer of the round.
    pub proposer: Signer,
    /// The proposer's signature over [`Stream::digest`].
    pub signature: Signature65,
}

mod typed {
    alloy_sol_types::sol! {
        struct ProposalStream { uint64 height; uint32 round; int64 polRound; bytes32 blockHash; uint32 bodyLength; }
    }
}

impl ProposalInit {
    /// Whether the named proposer signed this.
    pub fn is_signed(&self, domain: &VoteDomain) -> bool {
        self.signature.recover(self.stream.digest(domain)) == Ok(self.proposer.0)
    }
}

impl std::ops::Deref for ProposalInit {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.stream
    }
}

/// One message of a stream that carries the body of a proposed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalPart {
    /// Always message 0.
    Init(ProposalInit),
    /// A slice of the encoded body, in order from message 1.
    Chunk {
        /// The bytes.
        bytes: Bytes,
        /// Whether it is the final slice.
        last: bool,
    },
}

impl core::ProposalPart<RotaContext> for ProposalPart {
    fn is_first(&self) -> bool {
        matches!(self, Self::Init(_))
    }

    fn is_last(&self) -> bool {
        matches!(self, Self::Chunk { last: true, .. })
    }
}

/// A certificate of the engine as L1 verifies it.
///
/// # Errors
/// The engine's certificate does not hold for `rules`: a defect, since the engine verified it.
pub fn to_certificate(
    certificate: &core::CommitCertificate<RotaContext>,
    rules: &HeightRules,
) -> Result<rota_protocol::certificate::CommitCertificate, rota_protocol::certificate::CertificateError> {
    let vote = rota_protocol::vote::Vote {
        kind: rota_protocol::vote::VoteKind::Precommit,
        fork: rules.fork,
        epoch: rules.sigma,
        height: certificate.height.0,
        round: certificate.round.as_u32().unwrap_or(0),
        block_hash: certificate.value_id.0,
    };
    let votes = certificate.commit_signatures.iter().map(|entry| (entry.address.0, entry.signature));
    rota_protocol::certificate::CommitCertificate::from_votes(&rules.set, &vote, votes)
}

/// A stored certificate as the engine sends it to a peer that catches up. Who signed is read from `set` if it is the
/// one that served the block, else recovered from the signatures, at some 0.1 ms each.
///
/// # Errors
/// A stored signature is damaged.
pub fn from_certificate(
    certificate: &rota_protocol::certificate::CommitCertificate,
    set: Option<&FrozenSet>,
    domain: &VoteDomain,
) -> Result<core::ExtendedCommitCertificate<RotaContext>, rota_protocol::vote::SignatureError> {
    let members = set.filter(|set| set.epoch() == certificate.epoch).map(FrozenSet::members);
    let signers: Vec<Address> = match members {
        Some(members) => {
            let signed = members.iter().enumerate().filter(|(index, _)| certificate.signers.bit(*index));
            signed.map(|(_, member)| member.signer).collect()
        }
        None => {
            let digest = certificate.vote().digest(domain);
            certificate.signatures.iter().map(|signature| signature.recover(digest)).collect::<Result<_, _>>()?
        }
    };
    let signatures = signers.into_iter().zip(&certificate.signatures);
    Ok(core::ExtendedCommitCertificate {
        height: Height(certificate.height),
        round: Round::new(certificate.round),
        value_id: BlockRef(certificate.block_hash),
        commit_signatures: signatures
            .map(|(signer, signature)| core::ExtendedCommitSignature::new(Signer(signer), *signature, None))
            .collect(),
    })
}
