//! `AmnesiaFault` on L1.

use std::sync::Arc;

use alloy::{eips::BlockId, providers::Provider, rpc::types::Filter};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent};
use async_trait::async_trait;
use futures::FutureExt;
use rota_bindings::{
    AmnesiaFault, RotaError, Slasher,
    generated::amnesia_fault::{IBatchChain, IEvidence},
};
use rota_protocol::{
    certificate::CommitCertificate, config::ContractsConfig, evidence::Signed, member::FrozenSet, vote::Vote,
};
use tokio::sync::watch;

use super::{Accusation, Charge, ChargeStatus, Pair};
use crate::{
    batcher::{SubmitError, Submitter},
    l1::{HttpSource, L1Error, L1Progress, L1Source},
};

/// Where a charge stands on L1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nobody brought it.
    #[default]
    None,
    /// It awaits an answer, or a conviction from that time on, Unix seconds.
    Open(u64),
    /// A polka explained the votes.
    Answered,
    /// Judged.
    Convicted,
    /// Nothing can come of it any more, for another reason.
    Void,
}

/// What L1 says to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, by the transaction of that hash.
    Done(B256),
    /// Nothing was included, or it is not time yet: look again.
    Again,
    /// L1 does not judge it, as the endpoint in use says: [`ChargeCourt::is_over`] tells whether that is so for good.
    Never,
}

/// Judges amnesia.
#[async_trait]
pub trait ChargeCourt: Send + Sync + 'static {
    /// The newest L1 block whose accusations stay, and the first that can hold any.
    fn blocks(&self) -> (u64, u64);

    /// Time of the newest L1 block, Unix seconds.
    fn now(&self) -> u64;

    /// Accusations in the L1 blocks from `first` to `last`, at most [`Self::span`] of them.
    ///
    /// # Errors
    /// L1 does not answer.
    async fn accusations(&self, first: u64, last: u64) -> Result<Vec<Accusation>, SubmitError>;

    /// Most L1 blocks of one question.
    fn span(&self) -> u64;

    /// Accusations against operator `id` that are open as of L1 block `at`.
    ///
    /// # Errors
    /// L1 does not answer.
    async fn open_charges(&self, id: u32, at: u64) -> Result<U256, SubmitError>;

    /// Leaves the L1 endpoint in use, if there is another one: what it said is not true.
    fn leave(&self);

    /// Where a charge stands: as of the newest L1 block, or of the newest confirmed one by all endpoints that answer.
    ///
    /// # Errors
    /// L1 does not answer.
    async fn standing(&self, charge: B256, confirmed: bool) -> Result<Standing, SubmitError>;

    /// Whether nothing can come of `charge` any more, as of the newest confirmed L1 block and by all endpoints that answer:
    /// its set is too old to accuse, or to convict where the charge is `brought`, or the member is convicted under it.
    ///
    /// # Errors
    /// L1 does not answer.
    async fn is_over(&self, charge: &Charge, brought: bool) -> Result<bool, SubmitError>;

    /// Opens `charge` by the votes of `pair`; the reward of a conviction goes to `recipient`.
    ///
    /// # Errors
    /// L1 does not answer, or refuses for a reason that is no [`Outcome`].
    async fn accuse(
        &self,
        pair: &Pair,
        charge: &Charge,
        set: &FrozenSet,
        recipient: Address,
    ) -> Result<Outcome, SubmitError>;

    /// Closes a charge by the polka that explains it.
    ///
    /// # Errors
    /// As [`Self::accuse`].
    async fn answer(&self, charge: &Charge, polka: &CommitCertificate, set: &FrozenSet)
    -> Result<Outcome, SubmitError>;

    /// Convicts by a charge that nobody answered.
    ///
    /// # Errors
    /// As [`Self::accuse`].
    async fn convict(&self, charge: &Charge) -> Result<Outcome, SubmitError>;
}

/// The contracts of the chain, called by an account that pays.
pub struct L1ChargeCourt {
    submitter: Arc<Submitter>,
    source: Arc<HttpSource>,
    l1: watch::Receiver<L1Progress>,
    contracts: ContractsConfig,
    deployed: u64,
    span: u64,
}

impl L1ChargeCourt {
    /// Sees as much of L1 as `l1` tells. `None` if the chain does not judge amnesia. `deployed` is the L1 block of the contracts, `span` the largest block
    /// range of a log query.
    pub fn new(
        submitter: Arc<Submitter>,
        source: Arc<HttpSource>,
        l1: watch::Receiver<L1Progress>,
        contracts: ContractsConfig,
        deployed: u64,
        span: u64,
    ) -> Option<Self> {
        let judged = !contracts.slasher.is_zero() && !contracts.amnesia_fault.is_zero();
        judged.then_some(Self { submitter, source, l1, contracts, deployed, span: span.max(1) })
    }

    /// Sends a call unless the charge came to stand otherwise than `from` meanwhile.
    async fn send(&self, input: Vec<u8>, charge: B256, from: fn(Standing) -> bool) -> Result<Outcome, SubmitError> {
        let obsolete =
            || async move { self.standing(charge, false).await.is_ok_and(|standing| !from(standing)) }.boxed();
        match self.submitter.send(self.contracts.amnesia_fault, Bytes::from(input), obsolete).await {
            Ok(Some(receipt)) => Ok(Outcome::Done(receipt.transaction_hash)),
            Ok(None) | Err(SubmitError::Reverted(_)) => Ok(Outcome::Again),
            Err(SubmitError::Refused(reason)) => match outcome(&reason) {
                Some(outcome) => Ok(outcome),
                None => Err(SubmitError::Refused(reason)),
            },
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl ChargeCourt for L1ChargeCourt {
    fn blocks(&self) -> (u64, u64) {
        (self.deployed, self.l1.borrow().confirmed.number)
    }

    fn now(&self) -> u64 {
        self.l1.borrow().head.timestamp
    }

    fn span(&self) -> u64 {
        self.span
    }

    async fn accusations(&self, first: u64, last: u64) -> Result<Vec<Accusation>, SubmitError> {
        let filter = Filter::new()
            .address(self.contracts.amnesia_fault)
            .event_signature(AmnesiaFault::Accused::SIGNATURE_HASH)
            .from_block(first)
            .to_block(last);
        let logs = self.submitter.ask(|l1| async move { l1.get_logs(&filter).await }).await?;
        let decode = |log: alloy::rpc::types::Log| {
            let event = AmnesiaFault::Accused::decode_log(&log.inner)
                .map_err(|error| L1Error::Rpc(format!("an accusation: {error}")))?;
            Ok(Accusation {
                charge: event.charge.clone().into(),
                convictable_from: event.convictableFrom.saturating_to(),
                status: ChargeStatus::Open,
            })
        };
        logs.into_iter().map(decode).collect()
    }

    async fn open_charges(&self, id: u32, at: u64) -> Result<U256, SubmitError> {
        let call = AmnesiaFault::openChargesCall { id };
        Ok(self.source.view_at(self.contracts.amnesia_fault, &call, BlockId::number(at)).await?)
    }

    fn leave(&self) {
        self.source.leave(self.source.turn());
    }

    async fn standing(&self, charge: B256, confirmed: bool) -> Result<Standing, SubmitError> {
        let call = AmnesiaFault::accusationOfCall { chargeHash: charge };
        let fault = self.contracts.amnesia_fault;
        let accusation = if confirmed {
            // A charge is forgotten by it: all endpoints that answer must say so, of a block named by its hash.
            let at = BlockId::from(self.l1.borrow().confirmed.hash);
            let mut said = self.source.view_everywhere(fault, &call, at).await?;
            let accusation = said.pop().filter(|last| said.iter().all(|other| other == last));
            accusation.ok_or_else(|| L1Error::Withheld(format!("they say different things of the charge {charge}")))?
        } else {
            self.source.view(fault, &call).await?
        };
        Ok(match accusation.state {
            0 => Standing::None,
            1 => Standing::Open(accusation.convictableFrom.to()),
            2 => Standing::Answered,
            3 => Standing::Convicted,
            _ => Standing::Void,
        })
    }

    async fn is_over(&self, charge: &Charge, brought: bool) -> Result<bool, SubmitError> {
        let (slasher, at) = (self.contracts.slasher, BlockId::from(self.l1.borrow().confirmed.hash));
        let &Charge { id, sigma, .. } = charge;
        let proven = self.source.view_everywhere(slasher, &Slasher::isProvenCall { id, sigma }, at).await?;
        if proven.iter().all(|proven| *proven) {
            return Ok(true);
        }
        let currents = self.source.view_everywhere(slasher, &Slasher::currentEpochCall {}, at).await?;
        let lasts = match brought {
            false => self.source.view_everywhere(slasher, &Slasher::lastEvidenceEpochCall { sigma }, at).await?,
            true => self.source.view_everywhere(slasher, &Slasher::lastSlashEpochCall { sigma }, at).await?,
        };
        Ok(currents.iter().all(|current| lasts.iter().all(|last| current > last)))
    }

    async fn accuse(
        &self,
        pair: &Pair,
        charge: &Charge,
        set: &FrozenSet,
        recipient: Address,
    ) -> Result<Outcome, SubmitError> {
        let call = accuse_call(pair, set, recipient);
        self.send(call.abi_encode(), charge.hash(), |standing| standing == Standing::None).await
    }

    async fn answer(
        &self,
        charge: &Charge,
        polka: &CommitCertificate,
        set: &FrozenSet,
    ) -> Result<Outcome, SubmitError> {
        let call = answer_call(charge, polka, set);
        self.send(call.abi_encode(), charge.hash(), |standing| matches!(standing, Standing::Open(_))).await
    }

    async fn convict(&self, charge: &Charge) -> Result<Outcome, SubmitError> {
        let call = AmnesiaFault::convictCall { charge: (*charge).into() };
        self.send(call.abi_encode(), charge.hash(), |standing| matches!(standing, Standing::Open(_))).await
    }
}

pub(super) fn accuse_call(pair: &Pair, set: &FrozenSet, reporter: Address) -> AmnesiaFault::accuseCall {
    AmnesiaFault::accuseCall {
        lock: vote(&pair.lock),
        vote: vote(&pair.vote),
        members: set.encode_members().into(),
        reporter,
    }
}

fn answer_call(charge: &Charge, polka: &CommitCertificate, set: &FrozenSet) -> AmnesiaFault::answerCall {
    AmnesiaFault::answerCall {
        charge: (*charge).into(),
        polka: IBatchChain::CommitCertificate {
            fork: polka.fork,
            epoch: polka.epoch,
            height: polka.height,
            round: polka.round,
            blockHash: polka.block_hash,
            signers: polka.signers,
            signatures: polka.signature_bytes().into(),
        },
        members: set.encode_members().into(),
    }
}

fn vote(Signed { message, signature }: &Signed<Vote>) -> IEvidence::SignedVote {
    IEvidence::SignedVote {
        kind: message.kind as u8,
        fork: message.fork,
        epoch: message.epoch,
        height: message.height,
        round: message.round,
        blockHash: message.block_hash,
        signature: Bytes::copy_from_slice(signature.as_bytes()),
    }
}

/// A refusal that says what is to be done.
fn outcome(reason: &RotaError) -> Option<Outcome> {
    match reason.name()? {
        "AmnesiaFault_AlreadyAccused"
        | "AmnesiaFault_NotOpen"
        | "AmnesiaFault_WindowRunning"
        | "Slasher_SetNotStarted" => Some(Outcome::Again),
        // Convicted under this set already: the charge would add nothing.
        "Slasher_AlreadyConvicted" | "Slasher_EvidenceTooOld" => Some(Outcome::Never),
        _ => None,
    }
}
