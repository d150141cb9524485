//! Lets the evidence watcher listen: to every signature that reaches the node, where its bytes are decoded and so before
//! any check of the engine, for any height, whatever brings it: votes, proposals, certificates of polkas and rounds and
//! decided blocks of peers. What the engine verified and acts on, its own votes among it, is heard a second time where it is
//! written to the engine's log, which is before any of it has an effect, and where it is read from there after a restart.
//!
//! The horizon listens to the network, too: to how far peers say they are, and to certificates of decided blocks.

use std::sync::Arc;

use alloy_primitives::B256;
use bytes::Bytes;
use malachitebft_app_channel::app::types::{
    ProposedValue, SignedConsensusMsg,
    streaming::StreamMessage,
    sync::{Request, Response, Status},
};
use malachitebft_codec::{Codec, HasEncodedLen};
use malachitebft_core_consensus::LivenessMsg;
use malachitebft_core_types::{
    ExtendedCommitCertificate, NilOrVal, PolkaCertificate, RoundCertificate, SignedProposal, SignedVote,
    ValidatorProof, VoteType,
};
use malachitebft_sync::ValueResponse;
use rota_protocol::{evidence::MessageKind, vote::Signature65};

use super::{
    codec::WireCodec,
    context::RotaContext,
    horizon::Horizon,
    types::{BlockRef, ProposalPart, Signer},
};
use crate::evidence::{Ear, Heard, HeardPolka};

type Ctx = RotaContext;

/// The wire's codec, which tells an ear of every signature that it decodes, and in the engine's log also of those that it
/// encodes.
#[derive(Clone, Debug, Default)]
pub(super) struct ListeningCodec {
    ear: Option<Ear>,
    horizon: Option<Arc<Horizon>>,
    is_log: bool,
}

impl ListeningCodec {
    /// For the network.
    pub(super) const fn network(ear: Option<Ear>) -> Self {
        Self { ear, horizon: None, is_log: false }
    }

    /// The same, showing `horizon` what peers have decided.
    pub(super) fn showing(self, horizon: &Arc<Horizon>) -> Self {
        Self { horizon: Some(Arc::clone(horizon)), ..self }
    }

    /// For the engine's log.
    pub(super) fn log(ear: Option<&Ear>) -> Self {
        Self { ear: ear.map(Ear::of_engine), horizon: None, is_log: true }
    }
}

impl<T: Overheard> Codec<T> for ListeningCodec
where
    WireCodec: Codec<T>,
{
    type Error = <WireCodec as Codec<T>>::Error;

    fn decode(&self, bytes: Bytes) -> Result<T, Self::Error> {
        let message = WireCodec.decode(bytes)?;
        if let Some(horizon) = &self.horizon {
            message.show(horizon);
        }
        if let Some(ear) = &self.ear {
            message.tell(ear);
        }
        Ok(message)
    }

    fn encode(&self, message: &T) -> Result<Bytes, Self::Error> {
        if let Some(ear) = self.ear.as_ref().filter(|_| self.is_log) {
            message.tell(ear);
        }
        WireCodec.encode(message)
    }
}

impl HasEncodedLen<Response<Ctx>> for ListeningCodec {
    fn encoded_len(&self, response: &Response<Ctx>) -> Result<usize, Self::Error> {
        WireCodec.encoded_len(response)
    }
}

/// Something that may carry signatures a member can be judged by.
pub(super) trait Overheard {
    /// Leaves them with `ear`.
    fn tell(&self, _: &Ear) {}

    /// Shows what was decided, if it says anything about that.
    fn show(&self, _: &Horizon) {}
}

// Signatures in these are for one stream or connection: nobody is judged by them.
impl Overheard for ProposalPart {}
impl Overheard for StreamMessage<ProposalPart> {}
impl Overheard for ValidatorProof<Ctx> {}
impl Overheard for Request<Ctx> {}
impl Overheard for ProposedValue<Ctx> {}

impl Overheard for Status<Ctx> {
    fn show(&self, horizon: &Horizon) {
        horizon.hear_tip(self.peer_id, self.tip_height.0);
    }
}

impl Overheard for SignedConsensusMsg<Ctx> {
    fn tell(&self, ear: &Ear) {
        match self {
            Self::Vote(vote) => vote.tell(ear),
            Self::Proposal(proposal) => proposal.tell(ear),
        }
    }
}

// A round that is nil is nothing anybody can be held to.
impl Overheard for SignedVote<Ctx> {
    fn tell(&self, ear: &Ear) {
        let vote = &self.message;
        let Some(round) = vote.round.as_u32() else { return };
        hear_vote(ear, vote.kind, vote.height.0, round, vote.value, vote.voter, self.signature);
    }
}

impl Overheard for SignedProposal<Ctx> {
    fn tell(&self, ear: &Ear) {
        let proposal = &self.message;
        let Some(round) = proposal.round.as_u32() else { return };
        ear.hear(Heard {
            kind: MessageKind::Proposal,
            height: proposal.height.0,
            round,
            block_hash: proposal.value.0,
            pol_round: proposal.pol_round.as_i64(),
            signer: proposal.proposer.0,
            signature: self.signature,
        });
    }
}

impl Overheard for LivenessMsg<Ctx> {
    fn tell(&self, ear: &Ear) {
        match self {
            Self::Vote(vote) => vote.tell(ear),
            Self::PolkaCertificate(certificate) => certificate.tell(ear),
            Self::SkipRoundCertificate(certificate) => certificate.tell(ear),
        }
    }
}

impl Overheard for PolkaCertificate<Ctx> {
    fn tell(&self, ear: &Ear) {
        let Some(round) = self.round.as_u32() else { return };
        ear.hear_polka(HeardPolka {
            height: self.height.0,
            round,
            block_hash: self.value_id.0,
            signatures: self.polka_signatures.iter().map(|signed| (signed.address.0, signed.signature)).collect(),
        });
    }
}

impl Overheard for RoundCertificate<Ctx> {
    fn tell(&self, ear: &Ear) {
        let Some(round) = self.round.as_u32() else { return };
        for signed in &self.round_signatures {
            hear_vote(ear, signed.vote_type, self.height.0, round, signed.value_id, signed.address, signed.signature);
        }
    }
}

impl Overheard for ExtendedCommitCertificate<Ctx> {
    fn tell(&self, ear: &Ear) {
        let (Some(round), value) = (self.round.as_u32(), NilOrVal::Val(self.value_id)) else { return };
        for signed in &self.commit_signatures {
            hear_vote(ear, VoteType::Precommit, self.height.0, round, value, signed.address, signed.signature);
        }
    }
}

impl Overheard for Response<Ctx> {
    fn tell(&self, ear: &Ear) {
        let Self::ValueResponse(ValueResponse { values, .. }) = self;
        values.iter().for_each(|value| value.certificate.tell(ear));
    }

    fn show(&self, horizon: &Horizon) {
        let Self::ValueResponse(ValueResponse { values, .. }) = self;
        values.iter().for_each(|value| horizon.hear_certificate(&value.certificate));
    }
}

fn hear_vote(
    ear: &Ear,
    kind: VoteType,
    height: u64,
    round: u32,
    value: NilOrVal<BlockRef>,
    signer: Signer,
    signature: Signature65,
) {
    ear.hear(Heard {
        kind: match kind {
            VoteType::Prevote => MessageKind::Prevote,
            VoteType::Precommit => MessageKind::Precommit,
        },
        height,
        round,
        block_hash: match value {
            NilOrVal::Nil => B256::ZERO,
            NilOrVal::Val(block) => block.0,
        },
        pol_round: 0,
        signer: signer.0,
        signature,
    });
}

#[cfg(test)]
mod tests {
    use malachitebft_core_types::{
        ExtendedCommitSignature, PolkaSignature, Round, RoundCertificateType, RoundSignature, SignedMessage,
    };
    use malachitebft_sync::RawDecidedValue;

    use super::*;
    use crate::{
        consensus::types::{Height, Proposal, Vote},
        evidence::{Queue, Said, Source},
    };

    fn all(queue: &Queue) -> Vec<(Said, Source)> {
        queue.take(&[0..=u64::MAX - 1], 1_024)
    }

    /// What an ear hears while `message` is decoded from the network; the engine's log brings the same.
    fn heard<T: Overheard>(message: &T) -> Vec<Said>
    where
        WireCodec: Codec<T>,
        <WireCodec as Codec<T>>::Error: std::fmt::Debug,
    {
        let (ear, queue) = Ear::new();
        let bytes = WireCodec.encode(message).unwrap();
        let codec = ListeningCodec::network(Some(ear.clone()));
        let decoded = codec.decode(bytes.clone()).unwrap();
        assert_eq!(WireCodec.encode(&decoded).unwrap(), bytes);
        assert_eq!(codec.encode(message).unwrap(), bytes);
        ListeningCodec::network(None).decode(bytes.clone()).unwrap();
        let heard = all(&queue);
        assert!(heard.iter().all(|(_, source)| *source == Source::Network));
        let heard: Vec<_> = heard.into_iter().map(|(said, _)| said).collect();

        let log = ListeningCodec::log(Some(&ear));
        let logged: Vec<_> = heard.iter().map(|said| (said.clone(), Source::Engine)).collect();
        assert_eq!(log.encode(message).unwrap(), bytes);
        assert_eq!(all(&queue), logged, "while it is written");
        log.decode(bytes).unwrap();
        assert_eq!(all(&queue), logged, "and while it is read");
        heard
    }

    fn signature() -> Signature65 {
        let mut bytes = [0; 65];
        (bytes[31], bytes[63], bytes[64]) = (1, 1, 27);
        Signature65::new(bytes).unwrap()
    }

    #[test]
    fn every_signature_that_is_decoded_is_heard() {
        let (height, round, block) = (Height(5), Round::new(2), BlockRef(B256::repeat_byte(7)));
        let (alice, bob) = (Signer([1; 20].into()), Signer([2; 20].into()));
        let said = |kind, signer: Signer, block_hash| Heard {
            kind,
            height: 5,
            round: 2,
            block_hash,
            pol_round: 0,
            signer: signer.0,
            signature: signature(),
        };
        let precommits = [alice, bob].map(|by| Said::Message(said(MessageKind::Precommit, by, block.0)));

        let vote = Vote { kind: VoteType::Prevote, height, round, value: NilOrVal::Nil, voter: alice };
        let vote = SignedMessage::new(vote, signature());
        let nil = Said::Message(said(MessageKind::Prevote, alice, B256::ZERO));
        assert_eq!(heard(&SignedConsensusMsg::Vote(vote.clone())), std::slice::from_ref(&nil));
        assert_eq!(heard(&LivenessMsg::Vote(vote)), std::slice::from_ref(&nil));

        let proposal = Proposal { height, round, value: block, pol_round: Round::Nil, proposer: bob };
        let proposed = Heard { pol_round: -1, ..said(MessageKind::Proposal, bob, block.0) };
        let proposal = SignedConsensusMsg::Proposal(SignedMessage::new(proposal, signature()));
        assert_eq!(heard(&proposal), [Said::Message(proposed)]);

        let polka_signatures = vec![PolkaSignature::new(alice, signature()), PolkaSignature::new(bob, signature())];
        let polka = PolkaCertificate { height, round, value_id: block, polka_signatures };
        let signatures = vec![(alice.0, signature()), (bob.0, signature())];
        let whole = [Said::Polka(HeardPolka { height: 5, round: 2, block_hash: block.0, signatures })];
        // From the network, and from the engine's log.
        assert_eq!(heard(&LivenessMsg::PolkaCertificate(polka.clone())), whole);
        assert_eq!(heard(&polka), whole);

        let round_signatures = vec![
            RoundSignature::new(VoteType::Prevote, NilOrVal::Nil, alice, signature()),
            RoundSignature::new(VoteType::Precommit, NilOrVal::Val(block), bob, signature()),
        ];
        let skip = RoundCertificate { height, round, cert_type: RoundCertificateType::Skip, round_signatures };
        assert_eq!(heard(&LivenessMsg::SkipRoundCertificate(skip)), [nil, precommits[1].clone()]);

        let commit_signatures = [alice, bob].map(|by| ExtendedCommitSignature::new(by, signature(), None)).to_vec();
        let certificate = ExtendedCommitCertificate { height, round, value_id: block, commit_signatures };
        let response = ValueResponse::new(height, vec![RawDecidedValue::new(Bytes::from_static(b"body"), certificate)]);
        assert_eq!(heard(&Response::ValueResponse(response)), precommits);
    }
}
