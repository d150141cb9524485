//! Bytes of every message the engine sends, stores or gossips.
//!
//! Fixed-width big-endian fields in the order written here; a decoder refuses trailing bytes, unknown tags, lists that
//! are longer than a set can explain, malleable signatures and a zero block hash where a block is meant. The engine's
//! own `borsh` support leaves out extended certificates and validator proofs, and a signature type of another crate.

use bytes::{BufMut, Bytes, BytesMut};
use malachitebft_app_channel::app::types::{
    ProposedValue, SignedConsensusMsg,
    streaming::{StreamId, StreamMessage},
    sync::{RawDecidedValue, Request, Response, Status},
};
use malachitebft_codec::{Codec, HasEncodedLen};
use malachitebft_core_consensus::LivenessMsg;
use malachitebft_core_types::{
    CommitSignature, ExtendedCommitCertificate, ExtendedCommitSignature, NilOrVal, PolkaCertificate, PolkaSignature,
    Round, RoundCertificate, RoundCertificateType, RoundSignature, SignedMessage, SignedProposal, SignedVote,
    ValidatorProof, Validity, VoteType,
};
use malachitebft_engine::util::streaming::StreamContent;
use malachitebft_peer::PeerId;
use malachitebft_sync::{ValueRequest, ValueResponse};
use rota_protocol::{
    member::MAX_MEMBERS,
    vote::{Signature65, SignatureError},
};

use super::{
    context::RotaContext,
    streams::MAX_CHUNK,
    types::{BlockRef, Height, Proposal, ProposalInit, ProposalPart, Signer, Stream, Vote},
};

type Ctx = RotaContext;

/// Encodes and decodes for the network, the engine's log and sync.
#[derive(Clone, Copy, Debug, Default)]
pub struct WireCodec;

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Fewer bytes than the message needs.
    #[error("truncated")]
    Truncated,
    /// Bytes behind the message.
    #[error("{0} bytes behind the message")]
    Trailing(usize),
    /// A tag that stands for nothing.
    #[error("unknown {0}: {1}")]
    Tag(&'static str, u8),
    /// Longer than allowed.
    #[error("too long: {0}")]
    Limit(&'static str),
    /// Nil where a round or a block is required.
    #[error("nil {0}")]
    Nil(&'static str),
    /// A malformed signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A malformed peer id.
    #[error("malformed peer id")]
    Peer,
}

/// How nil is written among rounds; no round reaches it, because the engine drops rounds far ahead of its own.
const NIL_ROUND: u32 = u32::MAX;
/// A skip certificate may carry both votes of a member.
const MAX_ROUND_SIGNATURES: usize = 2 * MAX_MEMBERS;
/// Values in one sync response.
const MAX_SYNC_VALUES: usize = 128;
/// Encoded block in a sync response, bytes.
const MAX_SYNC_VALUE: usize = 4 << 20;
/// Peer ids, stream ids and the fields of a validator proof, bytes.
const MAX_SHORT: usize = 128;

/// One message.
trait Wire: Sized {
    fn put(&self, out: &mut BytesMut);
    fn take(input: &mut Bytes) -> Result<Self, CodecError>;
}

fn take_n(input: &mut Bytes, n: usize) -> Result<Bytes, CodecError> {
    if input.len() < n {
        return Err(CodecError::Truncated);
    }
    Ok(input.split_to(n))
}

fn take_array<const N: usize>(input: &mut Bytes) -> Result<[u8; N], CodecError> {
    let bytes = take_n(input, N)?;
    let mut out = [0; N];
    out.copy_from_slice(&bytes);
    Ok(out)
}

fn take_u8(input: &mut Bytes) -> Result<u8, CodecError> {
    Ok(take_array::<1>(input)?[0])
}

fn put_len(out: &mut BytesMut, len: usize) {
    // Lists are bounded far below 2^32 by the engine; a decoder refuses more anyway.
    out.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
}

fn take_len(input: &mut Bytes, max: usize, what: &'static str) -> Result<usize, CodecError> {
    let len = u32::from_be_bytes(take_array(input)?) as usize;
    if len > max { Err(CodecError::Limit(what)) } else { Ok(len) }
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.put_slice(bytes);
}

fn take_bytes(input: &mut Bytes, max: usize, what: &'static str) -> Result<Bytes, CodecError> {
    let len = take_len(input, max, what)?;
    take_n(input, len)
}

fn put_list<T: Wire>(out: &mut BytesMut, items: &[T]) {
    put_len(out, items.len());
    items.iter().for_each(|item| item.put(out));
}

fn take_list<T: Wire>(input: &mut Bytes, max: usize, what: &'static str) -> Result<Vec<T>, CodecError> {
    let len = take_len(input, max, what)?;
    (0..len).map(|_| T::take(input)).collect()
}

impl Wire for Height {
    fn put(&self, out: &mut BytesMut) {
        out.put_u64(self.0);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self(u64::from_be_bytes(take_array(input)?)))
    }
}

impl Wire for Signer {
    fn put(&self, out: &mut BytesMut) {
        out.put_slice(self.0.as_slice());
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self(take_array::<20>(input)?.into()))
    }
}

impl Wire for Signature65 {
    fn put(&self, out: &mut BytesMut) {
        out.put_slice(self.as_bytes());
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self::new(take_array(input)?)?)
    }
}

impl Wire for NilOrVal<BlockRef> {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Nil => out.put_bytes(0, 32),
            Self::Val(block) => out.put_slice(block.0.as_slice()),
        }
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        let hash = take_array::<32>(input)?;
        Ok(if hash == [0; 32] { Self::Nil } else { Self::Val(BlockRef(hash.into())) })
    }
}

impl Wire for BlockRef {
    fn put(&self, out: &mut BytesMut) {
        out.put_slice(self.0.as_slice());
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        match NilOrVal::take(input)? {
            NilOrVal::Val(block) => Ok(block),
            NilOrVal::Nil => Err(CodecError::Nil("block")),
        }
    }
}

impl Wire for Round {
    fn put(&self, out: &mut BytesMut) {
        out.put_u32(self.as_u32().unwrap_or(NIL_ROUND));
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        let round = u32::from_be_bytes(take_array(input)?);
        Ok(if round == NIL_ROUND { Self::Nil } else { Self::Some(round) })
    }
}

/// A round that must not be nil.
fn take_round(input: &mut Bytes) -> Result<Round, CodecError> {
    let round = Round::take(input)?;
    if round.is_nil() { Err(CodecError::Nil("round")) } else { Ok(round) }
}

impl Wire for VoteType {
    fn put(&self, out: &mut BytesMut) {
        out.put_u8(match self {
            Self::Prevote => 1,
            Self::Precommit => 2,
        });
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        match take_u8(input)? {
            1 => Ok(Self::Prevote),
            2 => Ok(Self::Precommit),
            tag => Err(CodecError::Tag("vote type", tag)),
        }
    }
}

impl Wire for PeerId {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.to_bytes());
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Self::from_bytes(&take_bytes(input, MAX_SHORT, "peer id")?).map_err(|_| CodecError::Peer)
    }
}

impl Wire for Vote {
    fn put(&self, out: &mut BytesMut) {
        self.kind.put(out);
        self.height.put(out);
        self.round.put(out);
        self.value.put(out);
        self.voter.put(out);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self {
            kind: Wire::take(input)?,
            height: Wire::take(input)?,
            round: take_round(input)?,
            value: Wire::take(input)?,
            voter: Wire::take(input)?,
        })
    }
}

impl Wire for Proposal {
    fn put(&self, out: &mut BytesMut) {
        self.height.put(out);
        self.round.put(out);
        self.value.put(out);
        self.pol_round.put(out);
        self.proposer.put(out);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self {
            height: Wire::take(input)?,
            round: take_round(input)?,
            value: Wire::take(input)?,
            pol_round: Wire::take(input)?,
            proposer: Wire::take(input)?,
        })
    }
}

impl<T: Wire> Wire for SignedMessage<Ctx, T> {
    fn put(&self, out: &mut BytesMut) {
        self.message.put(out);
        self.signature.put(out);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self::new(T::take(input)?, Wire::take(input)?))
    }
}

impl Wire for SignedConsensusMsg<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Vote(vote) => {
                out.put_u8(0);
                vote.put(out);
            }
            Self::Proposal(proposal) => {
                out.put_u8(1);
                proposal.put(out);
            }
        }
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        match take_u8(input)? {
            0 => Ok(Self::Vote(SignedVote::take(input)?)),
            1 => Ok(Self::Proposal(SignedProposal::take(input)?)),
            tag => Err(CodecError::Tag("consensus message", tag)),
        }
    }
}

impl Wire for PolkaSignature<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        self.address.put(out);
        self.signature.put(out);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self::new(Wire::take(input)?, Wire::take(input)?))
    }
}

impl Wire for PolkaCertificate<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        self.height.put(out);
        self.round.put(out);
        self.value_id.put(out);
        put_list(out, &self.polka_signatures);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self {
            height: Wire::take(input)?,
            round: take_round(input)?,
            value_id: Wire::take(input)?,
            polka_signatures: take_list(input, MAX_MEMBERS, "polka certificate")?,
        })
    }
}

impl Wire for RoundSignature<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        self.vote_type.put(out);
        self.value_id.put(out);
        self.address.put(out);
        self.signature.put(out);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self::new(Wire::take(input)?, Wire::take(input)?, Wire::take(input)?, Wire::take(input)?))
    }
}

impl Wire for RoundCertificate<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        self.height.put(out);
        self.round.put(out);
        out.put_u8(match self.cert_type {
            RoundCertificateType::Skip => 0,
            RoundCertificateType::Precommit => 1,
        });
        put_list(out, &self.round_signatures);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        let (height, round) = (Wire::take(input)?, take_round(input)?);
        let cert_type = match take_u8(input)? {
            0 => RoundCertificateType::Skip,
            1 => RoundCertificateType::Precommit,
            tag => return Err(CodecError::Tag("round certificate", tag)),
        };
        let round_signatures = take_list(input, MAX_ROUND_SIGNATURES, "round certificate")?;
        Ok(Self { height, round, cert_type, round_signatures })
    }
}

impl Wire for LivenessMsg<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Vote(vote) => {
                out.put_u8(0);
                vote.put(out);
            }
            Self::PolkaCertificate(certificate) => {
                out.put_u8(1);
                certificate.put(out);
            }
            Self::SkipRoundCertificate(certificate) => {
                out.put_u8(2);
                certificate.put(out);
            }
        }
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        match take_u8(input)? {
            0 => Ok(Self::Vote(SignedVote::take(input)?)),
            1 => Ok(Self::PolkaCertificate(Wire::take(input)?)),
            2 => Ok(Self::SkipRoundCertificate(Wire::take(input)?)),
            tag => Err(CodecError::Tag("liveness message", tag)),
        }
    }
}

impl Wire for ProposedValue<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        self.height.put(out);
        self.round.put(out);
        self.valid_round.put(out);
        self.proposer.put(out);
        self.value.put(out);
        out.put_u8(u8::from(self.validity.is_valid()));
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self {
            height: Wire::take(input)?,
            round: take_round(input)?,
            valid_round: Wire::take(input)?,
            proposer: Wire::take(input)?,
            value: Wire::take(input)?,
            validity: match take_u8(input)? {
                0 => Validity::Invalid,
                1 => Validity::Valid,
                tag => return Err(CodecError::Tag("validity", tag)),
            },
        })
    }
}

impl Wire for ProposalInit {
    fn put(&self, out: &mut BytesMut) {
        self.height.put(out);
        out.put_u32(self.round);
        self.pol_round.put(out);
        self.block.put(out);
        out.put_u32(self.body_len);
        self.proposer.put(out);
        self.signature.put(out);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        let stream = Stream {
            height: Wire::take(input)?,
            round: take_round(input)?.as_u32().ok_or(CodecError::Nil("round"))?,
            pol_round: Wire::take(input)?,
            block: Wire::take(input)?,
            body_len: u32::from_be_bytes(take_array(input)?),
        };
        Ok(Self { stream, proposer: Wire::take(input)?, signature: Wire::take(input)? })
    }
}

impl Wire for ProposalPart {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Init(init) => {
                out.put_u8(0);
                init.put(out);
            }
            Self::Chunk { bytes, last } => {
                out.put_u8(if *last { 2 } else { 1 });
                put_bytes(out, bytes);
            }
        }
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        match take_u8(input)? {
            0 => Ok(Self::Init(Wire::take(input)?)),
            tag @ (1 | 2) => Ok(Self::Chunk { bytes: take_bytes(input, MAX_CHUNK, "chunk")?, last: tag == 2 }),
            tag => Err(CodecError::Tag("proposal part", tag)),
        }
    }
}

impl Wire for StreamMessage<ProposalPart> {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.stream_id.to_bytes());
        out.put_u64(self.sequence);
        match &self.content {
            StreamContent::Data(part) => {
                out.put_u8(0);
                part.put(out);
            }
            StreamContent::Fin => out.put_u8(1),
        }
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        let stream_id = StreamId::new(take_bytes(input, MAX_SHORT, "stream id")?);
        let sequence = u64::from_be_bytes(take_array(input)?);
        let content = match take_u8(input)? {
            0 => StreamContent::Data(Wire::take(input)?),
            1 => StreamContent::Fin,
            tag => return Err(CodecError::Tag("stream content", tag)),
        };
        Ok(Self::new(stream_id, sequence, content))
    }
}

impl Wire for ValidatorProof<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.public_key);
        put_bytes(out, &self.peer_id);
        self.signature.put(out);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self::new(
            take_bytes(input, MAX_SHORT, "public key")?.into(),
            take_bytes(input, MAX_SHORT, "peer id")?.into(),
            Wire::take(input)?,
        ))
    }
}

// Extensions are off, so an extended certificate travels as a plain one.
impl Wire for ExtendedCommitSignature<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        self.address.put(out);
        self.signature.put(out);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        let CommitSignature { address, signature } =
            CommitSignature::<Ctx>::new(Wire::take(input)?, Wire::take(input)?);
        Ok(Self::new(address, signature, None))
    }
}

impl Wire for ExtendedCommitCertificate<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        self.height.put(out);
        self.round.put(out);
        self.value_id.put(out);
        put_list(out, &self.commit_signatures);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self {
            height: Wire::take(input)?,
            round: take_round(input)?,
            value_id: Wire::take(input)?,
            commit_signatures: take_list(input, MAX_MEMBERS, "commit certificate")?,
        })
    }
}

impl Wire for Status<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        self.peer_id.put(out);
        self.tip_height.put(out);
        self.history_min_height.put(out);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        Ok(Self { peer_id: Wire::take(input)?, tip_height: Wire::take(input)?, history_min_height: Wire::take(input)? })
    }
}

impl Wire for Request<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        let Self::ValueRequest(request) = self;
        request.range.start().put(out);
        request.range.end().put(out);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        let (start, end): (Height, Height) = (Wire::take(input)?, Wire::take(input)?);
        Ok(Self::ValueRequest(ValueRequest::new(start..=end)))
    }
}

impl Wire for RawDecidedValue<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        self.certificate.put(out);
        put_bytes(out, &self.value_bytes);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        let certificate = Wire::take(input)?;
        Ok(Self::new(take_bytes(input, MAX_SYNC_VALUE, "block")?, certificate))
    }
}

impl Wire for Response<Ctx> {
    fn put(&self, out: &mut BytesMut) {
        let Self::ValueResponse(response) = self;
        response.start_height.put(out);
        put_list(out, &response.values);
    }

    fn take(input: &mut Bytes) -> Result<Self, CodecError> {
        let start = Wire::take(input)?;
        Ok(Self::ValueResponse(ValueResponse::new(start, take_list(input, MAX_SYNC_VALUES, "sync response")?)))
    }
}

macro_rules! codec {
    ($($message:ty),+ $(,)?) => {$(
        impl Codec<$message> for WireCodec {
            type Error = CodecError;

            fn decode(&self, mut bytes: Bytes) -> Result<$message, CodecError> {
                let message = Wire::take(&mut bytes)?;
                if bytes.is_empty() { Ok(message) } else { Err(CodecError::Trailing(bytes.len())) }
            }

            fn encode(&self, message: &$message) -> Result<Bytes, CodecError> {
                let mut out = BytesMut::new();
                message.put(&mut out);
                Ok(out.freeze())
            }
        }
    )+};
}

codec!(
    ProposalPart,
    SignedConsensusMsg<Ctx>,
    LivenessMsg<Ctx>,
    StreamMessage<ProposalPart>,
    ValidatorProof<Ctx>,
    Status<Ctx>,
    Request<Ctx>,
    Response<Ctx>,
    ProposedValue<Ctx>,
    PolkaCertificate<Ctx>,
);

impl HasEncodedLen<Response<Ctx>> for WireCodec {
    fn encoded_len(&self, response: &Response<Ctx>) -> Result<usize, CodecError> {
        let Response::ValueResponse(response) = response;
        // height, round, block, list length; then address and signature each; then length and bytes of the block
        let value = |value: &RawDecidedValue<Ctx>| {
            8 + 4 + 32 + 4 + value.certificate.commit_signatures.len() * (20 + 65) + 4 + value.value_bytes.len()
        };
        Ok(8 + 4 + response.values.iter().map(value).sum::<usize>())
    }
}
