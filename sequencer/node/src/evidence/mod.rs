//! The evidence watcher: remembers who signed what for as long as it can be judged, and reports who signed two things
//! at one place.
//!
//! | file | what it holds |
//! |---|---|
//! | [`queue`] | where messages wait, so that nobody can crowd out anybody else's |
//! | [`watcher`] | listens to every signed message, verifies it and compares it with what was said before |
//! | [`services`] | which set and fork serve a height |
//! | [`store`] | messages and contradictions on disk |
//! | [`retention`] | how long they are kept |
//! | [`reporter`] | has contradictions convicted, once |
//! | [`report`] | what is on record, for whoever asks |
//! | [`court`] | the contracts that judge them |
//! | [`amnesia`] | locks forgotten between rounds: accuses, answers accusations, has the rest convicted |
//!
//! The consensus engine has an eye for contradictions too, but it looks at the present height only. What is signed for
//! a height long decided passes it unseen; here every message that reaches the node is looked at, for any height, and
//! the certificates of decided blocks with them. Nothing here can hold up consensus: messages come through a bounded
//! [`queue`], and what finds no room is counted and dropped.

pub mod amnesia;
pub mod court;
pub mod queue;
pub mod report;
pub mod reporter;
pub mod retention;
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

pub use self::{
    amnesia::{Advocate, ChargeCourt, L1ChargeCourt},
    court::{Court, L1Court},
    queue::{Ear, Queue, Said, Source, View},
    report::Report,
    reporter::{REVIEW, Reporter},
    retention::{Retention, RetentionError, Vault},
    store::{Case, EvidenceStore, Messages, Statement, Status, StoreError},
    watcher::{Judged, Sets, WatchError, Watcher},
};
use crate::consensus::context::Service;

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
