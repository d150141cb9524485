//! What is on record, for whoever asks the node.

use alloy_primitives::{Address, B256, Bytes};
use rota_protocol::evidence::MessageKind;
use serde::Serialize;

use super::{
    Case, EvidenceStore, Statement, StoreError,
    amnesia::{Accusation, Suspicion},
};

/// Most entries of each list in one answer.
pub const MAX_ENTRIES: usize = 1_024;

/// What is on record about a height, an operator or both.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Height up to which the certificates of the decided chain are on record.
    pub recorded: u64,
    /// Pairs of messages that convict by themselves.
    pub contradictions: Vec<Case>,
    /// Broken locks that nothing on record explains.
    pub suspicions: Vec<Suspicion>,
    /// Accusations of amnesia that L1 knows.
    pub accusations: Vec<Accusation>,
    /// Messages of the height, if one was asked about, of the keys that any of the above names if an operator was, too.
    pub messages: Vec<Message>,
    /// A list was longer than the answer.
    pub truncated: bool,
}

/// A message on record.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// What it is.
    pub kind: MessageKind,
    /// Count of re-executions.
    pub fork: u32,
    /// Consensus round.
    pub round: u32,
    /// σ that it names.
    pub epoch: u32,
    /// The block; zero for nil.
    pub block_hash: B256,
    /// Of a proposal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pol_round: Option<i64>,
    /// Who signed.
    pub signer: Address,
    /// The signature.
    pub signature: Bytes,
}

impl From<Statement> for Message {
    fn from(said: Statement) -> Self {
        Self {
            kind: said.place.kind,
            fork: said.place.fork,
            round: said.place.round,
            epoch: said.epoch,
            block_hash: said.block_hash,
            pol_round: (said.place.kind == MessageKind::Proposal).then_some(said.pol_round),
            signer: said.signer,
            signature: Bytes::copy_from_slice(said.signature.as_bytes()),
        }
    }
}

impl EvidenceStore {
    /// What is on record about `height`, about `operator`, or about both where both are given.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn report(&self, height: Option<u64>, operator: Option<u32>) -> Result<Report, StoreError> {
        let about =
            |at: u64, id: u32| height.is_none_or(|asked| asked == at) && operator.is_none_or(|asked| asked == id);
        let mut contradictions = self.cases()?;
        contradictions.retain(|case| about(case.evidence.place().height, case.id));
        let mut suspicions = self.suspicions()?;
        suspicions.retain(|suspicion| about(suspicion.pair.vote.message.height, suspicion.id));
        let mut accusations = self.accusations()?;
        accusations.retain(|accusation| about(accusation.charge.height, accusation.charge.id));
        let mut messages: Vec<Message> = match height {
            Some(height) => self.messages_at(height, None)?.into_iter().map(Message::from).collect(),
            None => Vec::new(),
        };
        if operator.is_some() {
            // The record knows keys; which of them are the operator's is told by what names both.
            let of_cases = contradictions.iter().map(|case| case.signer);
            let signers: Vec<_> = of_cases.chain(suspicions.iter().map(|suspicion| suspicion.signer)).collect();
            messages.retain(|message| signers.contains(&message.signer));
        }
        let mut truncated = false;
        let mut cut = |length: usize| {
            truncated |= length > MAX_ENTRIES;
            MAX_ENTRIES
        };
        contradictions.truncate(cut(contradictions.len()));
        suspicions.truncate(cut(suspicions.len()));
        accusations.truncate(cut(accusations.len()));
        messages.truncate(cut(messages.len()));
        Ok(Report { recorded: self.certified()?, contradictions, suspicions, accusations, messages, truncated })
    }
}
