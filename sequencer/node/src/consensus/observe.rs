//! Lets the evidence watcher listen: every signed message the engine receives or publishes, for any height, before any
//! check of the engine.

use alloy_primitives::B256;
use malachitebft_core_consensus::SignedConsensusMsg;
use malachitebft_core_types::{NilOrVal, VoteType};
use malachitebft_engine::util::events::{Event, RxEvent};
use rota_protocol::evidence::MessageKind;
use tokio::sync::broadcast::error::RecvError;

use super::context::RotaContext;
use crate::evidence::{Ear, Heard};

/// Passes messages on until the engine ends.
pub(super) async fn observe(mut events: RxEvent<RotaContext>, ear: Ear) {
    loop {
        match events.recv().await {
            Ok(Event::Received(message) | Event::Published(message)) => {
                if let Some(heard) = heard(&message) {
                    ear.hear(heard);
                }
            }
            Ok(_) => {}
            // The engine's buffer is short; how many of the lost events were messages nobody can tell.
            Err(RecvError::Lagged(count)) => Ear::missed(count),
            Err(RecvError::Closed) => return,
        }
    }
}

/// A message in the watcher's terms; `None` for one without a round, which nobody can be held to.
fn heard(message: &SignedConsensusMsg<RotaContext>) -> Option<Heard> {
    Some(match message {
        SignedConsensusMsg::Vote(vote) => Heard {
            kind: match vote.message.kind {
                VoteType::Prevote => MessageKind::Prevote,
                VoteType::Precommit => MessageKind::Precommit,
            },
            height: vote.message.height.0,
            round: vote.message.round.as_u32()?,
            block_hash: match vote.message.value {
                NilOrVal::Nil => B256::ZERO,
                NilOrVal::Val(block) => block.0,
            },
            pol_round: 0,
            signer: vote.message.voter.0,
            signature: vote.signature,
        },
        SignedConsensusMsg::Proposal(proposal) => Heard {
            kind: MessageKind::Proposal,
            height: proposal.message.height.0,
            round: proposal.message.round.as_u32()?,
            block_hash: proposal.message.value.0,
            pol_round: proposal.message.pol_round.as_i64(),
            signer: proposal.message.proposer.0,
            signature: proposal.signature,
        },
    })
}
