//! What the consensus engine's log will replay, read before the engine starts.
//!
//! The engine's locks are nowhere but in its log. A node that signed at a height and lost the log of it would vote there as
//! if it had never been locked, which nobody could tell from amnesia (docs/adr/0010-amnesia.md): it must keep silent there.

use std::{collections::BTreeSet, io::Cursor, path::Path};

use malachitebft_core_consensus::Input;
use malachitebft_core_types::VoteType;
use malachitebft_engine::wal::decode_entry;

use super::{codec::WireCodec, context::RotaContext, protection::SignedKind, types::Signer};

/// The log of one height.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineLog {
    /// The height it belongs to.
    pub height: u64,
    /// This node's votes in it: round and phase.
    pub votes: BTreeSet<(u32, SignedKind)>,
}

impl EngineLog {
    /// Reads the log at `path` of the node that votes as `signer`; `None` if there is none, or nothing can be read of it.
    /// Like the engine, it reads up to the first damage, which a crash leaves at the end only.
    pub fn read(path: &Path, signer: Signer) -> Option<Self> {
        if !std::fs::metadata(path).is_ok_and(|log| log.len() > 0) {
            return None;
        }
        let mut log = malachitebft_wal::Log::open(path)
            .inspect_err(|error| tracing::error!(%error, path = %path.display(), "the consensus engine's log"))
            .ok()?;
        let mut found = Self { height: log.sequence(), votes: BTreeSet::new() };
        for entry in log.iter().ok()?.map_while(Result::ok) {
            // What is no vote is of no interest here.
            let Ok(Input::<RotaContext>::Vote(vote)) = decode_entry(&WireCodec, Cursor::new(entry)) else { continue };
            let vote = vote.message;
            let kind = match vote.kind {
                VoteType::Prevote => SignedKind::Prevote,
                VoteType::Precommit => SignedKind::Precommit,
            };
            if let (Some(round), true) = (vote.round.as_u32(), vote.voter == signer && vote.height.0 == found.height) {
                found.votes.insert((round, kind));
            }
        }
        Some(found)
    }
}
