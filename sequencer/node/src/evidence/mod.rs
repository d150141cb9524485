//! The evidence watcher: remembers who signed what for as long as it can be judged, and reports who signed two things
//! at one place.
//!
//! | file | what it holds |
//! |---|---|
//! | [`watcher`] | listens to every signed message, verifies it and compares it with what was said before |
//! | [`services`] | which set and fork serve a height |
//! | [`store`] | messages and contradictions on disk |
//! | [`reporter`] | has contradictions convicted, once |
//! | [`report`] | what is on record, for whoever asks |
//! | [`court`] | the contracts that judge them |
//! | [`amnesia`] | locks forgotten between rounds: accuses, answers accusations, has the rest convicted |
//!
//! The consensus engine has an eye for contradictions too, but it looks at the present height only. What is signed for
//! a height long decided passes it unseen; here every message that reaches the node is looked at, for any height, and
//! the certificates of decided blocks with them. Nothing here can hold up consensus: messages come through a bounded
//! queue, and what finds no room is counted and dropped.

pub mod amnesia;
pub mod court;
pub mod report;
pub mod reporter;
mod services;
pub mod store;
#[cfg(test)]
pub(crate) mod tests;
pub mod watcher;

use alloy_primitives::{Address, B256};
use rota_protocol::{
    evidence::{MessageKind, Place},
    vote::Signature65,
};
use tokio::sync::mpsc;

pub use self::{
    amnesia::{Advocate, ChargeCourt, L1ChargeCourt},
    court::{Court, L1Court},
    report::Report,
    reporter::Reporter,
    store::{Case, EvidenceStore, Messages, Statement, Status, StoreError},
    watcher::{Sets, WatchError, Watcher},
};
use crate::consensus::context::Service;

/// Messages that wait for the watcher.
pub const QUEUE: usize = 8_192;

/// A signed message as it reached the node, or left it: nothing about it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it is.
    pub kind: MessageKind,
    /// L2 height.
    pub height: u64,
    /// Consensus round.
    pub round: u32,
    /// The block; zero for nil.
    pub block_hash: B256,
    /// Of a proposal; zero for votes.
    pub pol_round: i64,
    /// Who claims to have signed.
    pub signer: Address,
    /// The signature.
    pub signature: Signature65,
}

/// A certificate that more than two thirds prevoted a block, as it reached the node: nothing about it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardPolka {
    /// L2 height.
    pub height: u64,
    /// Consensus round.
    pub round: u32,
    /// The block.
    pub block_hash: B256,
    /// Who claims to have signed, each with its prevote's signature.
    pub signatures: Vec<(Address, Signature65)>,
}

impl HeardPolka {
    /// Its prevotes, one by one.
    pub fn votes(&self) -> impl Iterator<Item = Heard> + '_ {
        self.signatures.iter().map(|(signer, signature)| Heard {
            kind: MessageKind::Prevote,
            height: self.height,
            round: self.round,
            block_hash: self.block_hash,
            pol_round: 0,
            signer: *signer,
            signature: *signature,
        })
    }
}

/// What the watcher listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A message.
    Message(Heard),
    /// A polka, which explains votes even where single votes on record do not make it up.
    Polka(HeardPolka),
}

impl Heard {
    /// The message at a height served so.
    fn under(&self, Service { sigma, fork }: Service) -> Statement {
        Statement {
            place: Place { kind: self.kind, fork, height: self.height, round: self.round },
            signer: self.signer,
            epoch: sigma,
            block_hash: self.block_hash,
            pol_round: self.pol_round,
            signature: self.signature,
        }
    }
}

/// Where consensus leaves messages for the watcher.
#[derive(Clone, Debug)]
pub struct Ear(mpsc::Sender<Said>);

impl Ear {
    /// A queue with room for [`QUEUE`] messages.
    pub fn new() -> (Self, mpsc::Receiver<Said>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Leaves a message; never waits.
    pub fn hear(&self, heard: Heard) {
        self.send(Said::Message(heard));
    }

    /// Leaves a certificate; never waits.
    pub fn hear_polka(&self, polka: HeardPolka) {
        self.send(Said::Polka(polka));
    }

    fn send(&self, said: Said) {
        if self.0.try_send(said).is_err() {
            Self::missed(1);
        }
    }

    /// Counts messages that were lost on the way.
    pub fn missed(count: u64) {
        metrics::counter!("rota_evidence_dropped_total").increment(count);
    }
}
