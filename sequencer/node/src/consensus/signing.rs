//! Signs and verifies consensus messages.

use std::{fmt, sync::Arc};

use alloy_primitives::{B256, keccak256};
use async_trait::async_trait;
use k256::ecdsa::SigningKey;
use malachitebft_core_types::{SignedMessage, ValidatorProof, VoteExtensionScope, VoteType};
use malachitebft_signing::{Error, VerificationResult};
use parking_lot::Mutex;
use rota_protocol::vote::{self, Signature65, SignatureError};
use tokio::sync::watch;

use super::{
    context::{Digests, RotaContext},
    horizon::Horizon,
    protection::{Permission, Protection, ProtectionError, SignedKind, Slot},
    types::{Height, Proposal, ProposalInit, Signer, Stream, Vote},
};

/// Recovers the signer of a message and compares.
#[derive(Clone, Debug)]
pub struct Verifier {
    digests: Digests,
}

impl Verifier {
    /// Verifies for the heights that `digests` knows; a message of another height is invalid here and now.
    pub fn new(digests: Digests) -> Self {
        Self { digests }
    }
}

fn verdict(digest: Option<B256>, signature: &Signature65, key: &Signer) -> Result<VerificationResult, Error> {
    let signed = digest.is_some_and(|digest| signature.recover(digest) == Ok(key.0));
    Ok(VerificationResult::from_bool(signed))
}

#[async_trait]
impl malachitebft_signing::Verifier<RotaContext> for Verifier {
    async fn verify_signed_vote(
        &self,
        vote: &Vote,
        signature: &Signature65,
        key: &Signer,
    ) -> Result<VerificationResult, Error> {
        verdict(self.digests.vote(vote), signature, key)
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &Proposal,
        signature: &Signature65,
        key: &Signer,
    ) -> Result<VerificationResult, Error> {
        verdict(self.digests.proposal(proposal), signature, key)
    }

    // Extensions are off: none is ever valid.
    async fn verify_signed_vote_extension(
        &self,
        _: &VoteExtensionScope<RotaContext>,
        _: &Vec<u8>,
        _: &Signature65,
        _: &Signer,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::Invalid)
    }

    async fn verify_validator_proof(&self, proof: &ValidatorProof<RotaContext>) -> Result<VerificationResult, Error> {
        let Ok(key) = proof.decoded_public_key() else { return Ok(VerificationResult::Invalid) };
        verdict(Some(keccak256(proof.preimage())), &proof.signature, &key)
    }
}

/// The node's consensus key behind its slashing-protection table. Clones share both.
#[derive(Clone)]
pub struct ProtectedKey(Arc<Inner>);

struct Inner {
    key: SigningKey,
    address: Signer,
    digests: Digests,
    table: Mutex<Protection>,
    horizon: Arc<Horizon>,
    refusal: watch::Sender<Option<Arc<ProtectionError>>>,
}

impl fmt::Debug for ProtectedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProtectedKey").field(&self.0.address).finish()
    }
}

/// Why a message was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// Slashing protection forbids it; the node must stop.
    #[error(transparent)]
    Refused(Arc<ProtectionError>),
    /// σ of the height is not known, or the round is nil: a defect.
    #[error("height {0} was not entered before it was voted on")]
    UnknownHeight(Height),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] SignatureError),
    /// The runtime is shutting down.
    #[error("the node is stopping")]
    Stopping,
}

impl ProtectedKey {
    /// Joins a key with its table. It says nothing at heights that `horizon` knows to be decided.
    pub fn new(key: SigningKey, digests: Digests, table: Protection, horizon: Arc<Horizon>) -> Self {
        let address = Signer(vote::address_of(&key));
        let (table, refusal) = (Mutex::new(table), watch::Sender::new(None));
        Self(Arc::new(Inner { key, address, digests, table, horizon, refusal }))
    }

    /// The key's address.
    pub fn address(&self) -> Signer {
        self.0.address
    }

    /// Turns to `Some` when slashing protection refused a signature; the engine then stops without saying why.
    pub fn refusals(&self) -> watch::Receiver<Option<Arc<ProtectionError>>> {
        self.0.refusal.subscribe()
    }

    /// Notes that `height` of `fork` is durably decided.
    pub fn committed(&self, fork: u32, height: u64) {
        self.0.table.lock().committed(fork, height);
    }

    /// Checks that the table knows a precommit of this key that a certificate of `height` has.
    ///
    /// # Errors
    /// [`ProtectionError::Outdated`]: the key signed elsewhere, or the table is an old copy. The node must stop.
    pub fn recognise(&self, fork: u32, height: u64, round: u32, digest: B256) -> Result<(), Arc<ProtectionError>> {
        let slot = Slot { fork, height, round, kind: SignedKind::Precommit };
        self.0.table.lock().recognise(slot, digest).map_err(|outdated| self.0.refuse(outdated))
    }

    /// Signs the head of a stream of parts. It is no vote: nobody is slashed for two of them.
    ///
    /// # Errors
    /// The key failed.
    pub fn sign_stream(&self, stream: Stream) -> Result<ProposalInit, SigningError> {
        let signature = vote::sign(&self.0.key, stream.digest(self.0.digests.domain()))?;
        Ok(ProposalInit { stream, proposer: self.0.address, signature })
    }

    async fn sign(
        &self,
        kind: SignedKind,
        height: Height,
        round: Option<u32>,
        digest: Option<B256>,
    ) -> Result<Signature65, SigningError> {
        let known = self.0.digests.service(height).zip(round).zip(digest);
        let ((service, round), digest) = known.ok_or(SigningError::UnknownHeight(height))?;
        let slot = Slot { fork: service.fork, height: height.0, round, kind };
        let inner = Arc::clone(&self.0);
        // What was said before may be said again at once, as when the engine replays its log.
        let said = inner.table.lock().signed(&slot) == Some(digest);
        if inner.horizon.is_decided(height.0) || (!said && inner.horizon.turns_out_decided(height.0).await) {
            metrics::counter!("rota_votes_withheld_total").increment(1);
            tracing::info!(?slot, "keeping silent: this height is decided");
            return Ok(withheld()?);
        }
        // The table waits for the disk: not on a runtime thread.
        let allowed = tokio::task::spawn_blocking(move || inner.table.lock().allow(slot, digest));
        match allowed.await.map_err(|_| SigningError::Stopping)? {
            Ok(Permission::Sign) => {
                let signature = vote::sign(&self.0.key, digest)?;
                // A withheld one is none: counted here, where all that is signed comes by.
                if matches!(kind, SignedKind::Prevote | SignedKind::Precommit) {
                    metrics::counter!("rota_votes_signed_total").increment(1);
                }
                Ok(signature)
            }
            Ok(Permission::Withhold) => {
                metrics::counter!("rota_votes_withheld_total").increment(1);
                tracing::warn!(?slot, "keeping silent: something else may have been signed here before");
                Ok(withheld()?)
            }
            Err(refused) => Err(SigningError::Refused(self.0.refuse(refused))),
        }
    }
}

impl Inner {
    /// Makes a refusal known; the node stops by it.
    fn refuse(&self, refused: ProtectionError) -> Arc<ProtectionError> {
        metrics::counter!("rota_slashing_protection_refusals_total").increment(1);
        tracing::error!(%refused, "slashing protection");
        let refused = Arc::new(refused);
        self.refusal.send_replace(Some(Arc::clone(&refused)));
        refused
    }
}

/// A signature of nobody. The engine takes an error of its signer for the end of the node; a message that does not
/// verify is dropped, by this node's engine before it is logged or counted, and by every peer.
fn withheld() -> Result<Signature65, SignatureError> {
    let mut bytes = [0; 65];
    (bytes[31], bytes[63], bytes[64]) = (1, 1, 27);
    Signature65::new(bytes)
}

#[async_trait]
impl malachitebft_signing::Signer<RotaContext> for ProtectedKey {
    async fn sign_vote(&self, vote: Vote) -> Result<SignedMessage<RotaContext, Vote>, Error> {
        let kind = match vote.kind {
            VoteType::Prevote => SignedKind::Prevote,
            VoteType::Precommit => SignedKind::Precommit,
        };
        let digest = self.0.digests.vote(&vote);
        let signature = self.sign(kind, vote.height, vote.round.as_u32(), digest).await.map_err(Error::from_source)?;
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(&self, proposal: Proposal) -> Result<SignedMessage<RotaContext, Proposal>, Error> {
        let digest = self.0.digests.proposal(&proposal);
        let signature = self
            .sign(SignedKind::Proposal, proposal.height, proposal.round.as_u32(), digest)
            .await
            .map_err(Error::from_source)?;
        Ok(SignedMessage::new(proposal, signature))
    }

    async fn sign_vote_extension(
        &self,
        _: VoteExtensionScope<RotaContext>,
        _: Vec<u8>,
    ) -> Result<SignedMessage<RotaContext, Vec<u8>>, Error> {
        Err(Error::from_source("vote extensions are off"))
    }

    async fn sign_validator_proof(
        &self,
        public_key: Vec<u8>,
        peer_id: Vec<u8>,
    ) -> Result<ValidatorProof<RotaContext>, Error> {
        let digest = keccak256(ValidatorProof::<RotaContext>::signing_bytes(&public_key, &peer_id));
        let signature = vote::sign(&self.0.key, digest).map_err(Error::from_source)?;
        Ok(ValidatorProof::new(public_key, peer_id, signature))
    }
}
