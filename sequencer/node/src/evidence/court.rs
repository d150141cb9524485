//! The contracts on L1 that judge contradictions.

use std::sync::Arc;

use alloy::eips::BlockId;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use async_trait::async_trait;
use futures::FutureExt;
use rota_bindings::{
    DoubleProposalFault, DoubleVoteFault, RotaError, SequencerSet, Slasher,
    generated::{double_proposal_fault::IEvidence::SignedProposal, double_vote_fault::IEvidence::SignedVote},
};
use rota_protocol::{
    config::ContractsConfig,
    evidence::{Evidence, Signed},
    member::FrozenSet,
    vote::{Proposal, Vote},
};

use super::Case;
use crate::{
    batcher::{SubmitError, Submitter},
    l1::{HttpSource, L1Source as _, L1View},
};

/// What a court says to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// This report convicted the operator, by the transaction of that hash.
    Convicted(B256),
    /// Nothing was included, or what L1 judges changed meanwhile: look again.
    Again,
}

/// Whether the members of a set are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jurisdiction {
    /// They are.
    Now,
    /// The set has yet to start, or this node to see L1.
    Later,
    /// Evidence is too old for it, or there is no such set; that is confirmed, and no endpoint says otherwise.
    Never,
}

/// Convicts by evidence.
#[async_trait]
pub trait Court: Send + Sync + 'static {
    /// Whether operator `id` is convicted under the set of epoch `sigma` as of the newest L1 block. Being convicted under
    /// another set does not count: each may call for a higher penalty, for itself and for others.
    ///
    /// # Errors
    /// L1 does not answer.
    async fn is_convicted(&self, id: u32, sigma: u32) -> Result<bool, SubmitError>;

    /// Whether it is convicted so for good: as of the newest confirmed L1 block, by the word of all endpoints that answer.
    ///
    /// # Errors
    /// L1 does not answer.
    async fn is_confirmed(&self, id: u32, sigma: u32) -> Result<bool, SubmitError>;

    /// Whether members of the set of epoch `sigma` are judged.
    ///
    /// # Errors
    /// L1 does not answer.
    async fn jurisdiction(&self, sigma: u32) -> Result<Jurisdiction, SubmitError>;

    /// Leaves the L1 endpoint in use, if there is another one.
    fn leave(&self);

    /// Reports a case about a member of the sets of the epochs that its messages name, in their order, each known unless
    /// it is not judged. It is to be convicted as each operator under each σ of `due`; the reward goes to `recipient`.
    ///
    /// # Errors
    /// L1 does not answer, or refuses for a reason that is no [`Ruling`].
    async fn report(
        &self,
        case: &Case,
        sets: &KnownSets,
        due: &[(u32, u32)],
        recipient: Address,
    ) -> Result<Ruling, SubmitError>;
}

/// The contracts of the chain, called by an account that pays.
pub struct L1Court {
    submitter: Arc<Submitter>,
    source: Arc<HttpSource>,
    l1: L1View,
    contracts: ContractsConfig,
}

impl L1Court {
    /// `None` if the chain has no slasher.
    pub fn new(
        submitter: Arc<Submitter>,
        source: Arc<HttpSource>,
        l1: L1View,
        contracts: ContractsConfig,
    ) -> Option<Self> {
        let judged = !contracts.slasher.is_zero();
        judged.then_some(Self { submitter, source, l1, contracts })
    }
}

#[async_trait]
impl Court for L1Court {
    async fn is_convicted(&self, id: u32, sigma: u32) -> Result<bool, SubmitError> {
        let call = Slasher::isProvenCall { id, sigma };
        Ok(self.source.view(self.contracts.slasher, &call).await?)
    }

    async fn is_confirmed(&self, id: u32, sigma: u32) -> Result<bool, SubmitError> {
        let (call, confirmed) = (Slasher::isProvenCall { id, sigma }, self.l1.progress().confirmed);
        // A restarted node has yet to look at L1.
        if confirmed.number == 0 {
            return Ok(false);
        }
        let said = self.source.view_everywhere(self.contracts.slasher, &call, confirmed.hash.into()).await?;
        Ok(said.iter().all(|proven| *proven))
    }

    async fn jurisdiction(&self, sigma: u32) -> Result<Jurisdiction, SubmitError> {
        let ContractsConfig { slasher, sequencer_set, .. } = self.contracts;
        let confirmed = self.l1.progress().confirmed;
        // A restarted node has yet to look at L1.
        if confirmed.number == 0 {
            return Ok(Jurisdiction::Later);
        }
        // By hash: an endpoint that is behind, or on another branch, does not answer.
        let (source, at) = (&self.source, BlockId::from(confirmed.hash));
        let epoch = Slasher::currentEpochCall {};
        let current = source.view_at(slasher, &epoch, at).await?;
        if sigma > current {
            let current = source.view(slasher, &epoch).await?;
            return Ok(if sigma > current { Jurisdiction::Later } else { Jurisdiction::Now });
        }
        let (set, age) = (SequencerSet::setHashCall { epoch: sigma }, Slasher::lastEvidenceEpochCall { sigma });
        let hash = source.view_at(sequencer_set, &set, at).await?;
        let last = source.view_at(slasher, &age, at).await?;
        if !is_over(&[current], &[hash], &[last]) {
            return Ok(Jurisdiction::Now);
        }
        // Evidence is given up by it: one endpoint's word is not enough.
        let (currents, hashes, lasts) = tokio::try_join!(
            source.view_everywhere(slasher, &epoch, at),
            source.view_everywhere(sequencer_set, &set, at),
            source.view_everywhere(slasher, &age, at),
        )?;
        Ok(if is_over(&currents, &hashes, &lasts) { Jurisdiction::Never } else { Jurisdiction::Later })
    }

    fn leave(&self) {
        self.source.leave(self.source.turn());
    }

    async fn report(
        &self,
        case: &Case,
        sets: &KnownSets,
        due: &[(u32, u32)],
        recipient: Address,
    ) -> Result<Ruling, SubmitError> {
        let (module, input) = report_call(&self.contracts, &case.evidence, sets, recipient);
        let obsolete = || {
            async move {
                for (id, sigma) in due {
                    if !self.is_convicted(*id, *sigma).await.unwrap_or(false) {
                        return false;
                    }
                }
                true
            }
            .boxed()
        };
        match self.submitter.send(module, input, obsolete).await {
            Ok(Some(receipt)) => Ok(Ruling::Convicted(receipt.transaction_hash)),
            // Included after all, but somebody else's came before: the next look at L1 tells.
            Ok(None) | Err(SubmitError::Reverted(_)) => Ok(Ruling::Again),
            Err(SubmitError::Refused(reason)) => match ruling(&reason) {
                Some(ruling) => Ok(ruling),
                None => Err(SubmitError::Refused(reason)),
            },
            Err(error) => Err(error),
        }
    }
}

/// Whether nobody is judged under a set any more, by all endpoints: by the epoch that it is, the hash of the set (zero if
/// there is none) and the last epoch that evidence for it is taken in, as each of them tells these of one block.
fn is_over(currents: &[u32], hashes: &[B256], lasts: &[u32]) -> bool {
    let is_late = currents.iter().all(|current| lasts.iter().all(|last| current > last));
    is_late || hashes.iter().all(B256::is_zero)
}

/// The sets of the two epochs that evidence names.
pub type KnownSets = [Option<Arc<FrozenSet>>; 2];

/// The contract and the call that convict by `evidence`. If both messages name one epoch its members are shown once; of a
/// set that is not known here nobody is shown, which L1 takes while it does not judge that set.
fn report_call(
    contracts: &ContractsConfig,
    evidence: &Evidence,
    sets: &KnownSets,
    reporter: Address,
) -> (Address, Bytes) {
    let (first, second) = evidence.epochs();
    let shown = |set: &Option<Arc<FrozenSet>>| set.as_ref().map_or_else(Bytes::new, |set| set.encode_members().into());
    let members = shown(&sets[0]);
    let others = if first == second { Bytes::new() } else { shown(&sets[1]) };
    match evidence {
        Evidence::DoubleVote(pair) => {
            let call = DoubleVoteFault::reportCall {
                first: vote(&pair.first),
                second: vote(&pair.second),
                firstMembers: members,
                secondMembers: others,
                reporter,
            };
            (contracts.double_vote_fault, call.abi_encode().into())
        }
        Evidence::DoubleProposal(pair) => {
            let call = DoubleProposalFault::reportCall {
                first: proposal(&pair.first),
                second: proposal(&pair.second),
                firstMembers: members,
                secondMembers: others,
                reporter,
            };
            (contracts.double_proposal_fault, call.abi_encode().into())
        }
    }
}

fn vote(Signed { message, signature }: &Signed<Vote>) -> SignedVote {
    SignedVote {
        kind: message.kind as u8,
        fork: message.fork,
        epoch: message.epoch,
        height: message.height,
        round: message.round,
        blockHash: message.block_hash,
        signature: Bytes::copy_from_slice(signature.as_bytes()),
    }
}

fn proposal(Signed { message, signature }: &Signed<Proposal>) -> SignedProposal {
    SignedProposal {
        fork: message.fork,
        epoch: message.epoch,
        height: message.height,
        round: message.round,
        polRound: message.pol_round,
        blockHash: message.block_hash,
        signature: Bytes::copy_from_slice(signature.as_bytes()),
    }
}

/// A refusal that another look at L1 explains: somebody else was first, or it is too late or too early for the sets.
fn ruling(reason: &RotaError) -> Option<Ruling> {
    match reason.name()? {
        "Slasher_AlreadyConvicted"
        | "Slasher_EvidenceTooOld"
        | "Slasher_SetNotStarted"
        | "Evidence_NotAMemberOfEither" => Some(Ruling::Again),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use alloy_sol_types::SolError;
    use rota_bindings::decode_revert;
    use rota_protocol::evidence::{MessageKind, Place};

    use super::*;
    use crate::{
        consensus::tests::rules,
        evidence::tests::{statement, statement_under},
    };

    #[test]
    fn the_call_is_what_the_contracts_take() {
        let contracts = ContractsConfig {
            double_vote_fault: Address::repeat_byte(1),
            double_proposal_fault: Address::repeat_byte(2),
            ..ContractsConfig::default()
        };
        let set = rules(&[4, 3, 2, 1]).set;
        let reporter = Address::repeat_byte(9);
        let said = |kind, block| statement(2, Place { kind, fork: 0, height: 7, round: 1 }, block);

        let evidence = said(MessageKind::Precommit, "a").against(&said(MessageKind::Precommit, ""));
        let sets = [Some(Arc::clone(&set)), Some(Arc::clone(&set))];
        let (module, input) = report_call(&contracts, &evidence, &sets, reporter);
        assert_eq!(module, contracts.double_vote_fault);
        let call = DoubleVoteFault::reportCall::abi_decode(&input).unwrap();
        assert_eq!((call.first.kind, call.first.epoch, call.first.height, call.first.round), (2, 2, 7, 1));
        assert!(call.first.blockHash.is_zero() && !call.second.blockHash.is_zero());
        assert_eq!(call.first.signature.as_ref(), said(MessageKind::Precommit, "").signature.as_bytes());
        assert_eq!((call.firstMembers.as_ref(), call.reporter), (set.encode_members().as_slice(), reporter));
        assert!(call.secondMembers.is_empty());

        let evidence = said(MessageKind::Proposal, "a").against(&said(MessageKind::Proposal, "b"));
        let (module, input) = report_call(&contracts, &evidence, &sets, reporter);
        assert_eq!(module, contracts.double_proposal_fault);
        assert_eq!(DoubleProposalFault::reportCall::abi_decode(&input).unwrap().first.polRound, -1);

        // For two sets, of which one is not known.
        let place = Place { kind: MessageKind::Prevote, fork: 0, height: 7, round: 1 };
        let evidence = statement(2, place, "a").against(&statement_under(1, 2, place, "a"));
        assert_eq!(evidence.epochs(), (1, 2));
        let (_, input) = report_call(&contracts, &evidence, &[None, Some(Arc::clone(&set))], reporter);
        let call = DoubleVoteFault::reportCall::abi_decode(&input).unwrap();
        assert_eq!((call.first.epoch, call.firstMembers.len()), (1, 0));
        assert_eq!((call.second.epoch, call.secondMembers.as_ref()), (2, set.encode_members().as_slice()));
    }

    #[test]
    fn a_set_is_given_up_only_if_no_endpoint_says_otherwise() {
        let (none, some) = (B256::ZERO, B256::repeat_byte(1));
        assert!(is_over(&[9, 9], &[some, some], &[8, 8]) && is_over(&[9, 9], &[none, none], &[u32::MAX, u32::MAX]));
        assert!(!is_over(&[9], &[some], &[9]));
        // One of them lies about the time, the age or the set.
        assert!(!is_over(&[9, 8], &[some, some], &[8, 8]));
        assert!(!is_over(&[9, 9], &[some, some], &[8, 9]));
        assert!(!is_over(&[9, 9], &[none, some], &[9, 9]));
    }

    #[test]
    fn refusals_are_told_apart() {
        let refused = |data: Vec<u8>| ruling(&decode_revert(&data));
        let convicted = Slasher::Slasher_AlreadyConvicted { id: 3, sigma: 2 };
        let old = Slasher::Slasher_EvidenceTooOld { sigma: 1, lastEpoch: 2 };
        let early = Slasher::Slasher_SetNotStarted { sigma: 5, currentEpoch: 4 };
        let neither = DoubleVoteFault::Evidence_NotAMemberOfEither { signer: Address::ZERO, first: 1, second: 2 };
        for data in [convicted.abi_encode(), old.abi_encode(), early.abi_encode(), neither.abi_encode()] {
            assert_eq!(refused(data), Some(Ruling::Again));
        }
        let stranger = DoubleVoteFault::Evidence_NotAMember { signer: Address::ZERO, epoch: 1 };
        assert_eq!(refused(stranger.abi_encode()), None);
        assert_eq!(refused(hex!("deadbeef").to_vec()), None);
        assert_eq!(refused(vec![]), None);
    }
}
