//! Bodies of undecided blocks, durable before the engine hears of them.
//!
//! The engine's log replays block hashes, never bodies: a node that voted for a block and restarted must still have it
//! when it is decided. Decided heights are dropped, so the file stays as small as a few blocks.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use alloy_primitives::B256;
use bytes::{BufMut, Bytes, BytesMut};
use malachitebft_codec::Codec;

use super::{
    codec::WireCodec,
    record_log::{Damage, LogError, RecordLog},
    streams::MAX_BODY,
    types::{ProposalInit, ProposalPart, Signer},
};

/// Longest record: a head and a body.
const MAX_RECORD: usize = MAX_BODY + 4_096;
/// Bodies of one height kept for each member that proposed them, restarts included, and for sync: an honest member builds
/// fewer, and nobody can use up what belongs to another.
const MAX_PER_PROPOSER: usize = 8;
/// Heads kept for one body, the latest: one for each round it was proposed in.
const MAX_INITS: usize = 64;
/// File length at which decided bodies are cut out although undecided ones remain, bytes.
const COMPACT_BYTES: u64 = 64 << 20;

/// A block that was proposed, synced or built here, and under which heads it was streamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Encoded block.
    pub body: Bytes,
    /// Heads by round; empty for a synced block.
    pub inits: BTreeMap<u32, ProposalInit>,
}

impl Stored {
    /// The member that proposed it first; `None` for a synced block.
    fn proposer(&self) -> Option<Signer> {
        self.inits.values().next().map(|init| init.proposer)
    }
}

/// The undecided blocks of this node.
#[derive(Debug)]
pub struct Proposals {
    log: RecordLog,
    heights: BTreeMap<u64, BTreeMap<B256, Arc<Stored>>>,
}

/// Why a body was not stored.
#[derive(Debug, thiserror::Error)]
pub enum ProposalsError {
    /// The disk failed: the node must stop.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The proposer has more bodies at a height than any honest course of events explains.
    #[error("too many undecided bodies")]
    Full,
}

impl Proposals {
    /// Opens or creates the file in `dir` and drops what is decided.
    ///
    /// # Errors
    /// The file system failed.
    pub fn open(dir: &Path, decided: u64) -> Result<Self, LogError> {
        let path = dir.join("undecided.log");
        std::fs::create_dir_all(dir).map_err(|source| LogError::Io { path: path.clone(), source })?;
        let (log, records) = RecordLog::open(&path, MAX_RECORD, Damage::Cut)?;
        let mut proposals = Self { log, heights: BTreeMap::new() };
        for record in records {
            if let Some((height, hash, init, body)) = decode(record.into()).filter(|(height, ..)| *height > decided) {
                proposals.remember(height, hash, init, body);
            }
        }
        proposals.prune(decided)?;
        Ok(proposals)
    }

    /// Stores a body, or another head for a known one; durable on return.
    ///
    /// # Errors
    /// See [`ProposalsError`].
    pub fn insert(
        &mut self,
        height: u64,
        hash: B256,
        init: Option<&ProposalInit>,
        body: &Bytes,
    ) -> Result<(), ProposalsError> {
        let known = self.get(height, hash);
        let has_body = known.is_some();
        if let Some(known) = known {
            if init.is_none_or(|init| known.inits.contains_key(&init.round)) {
                return Ok(());
            }
        } else {
            let proposer = init.map(|init| init.proposer);
            let of_proposer = |(_, stored): &(B256, &Arc<Stored>)| stored.proposer() == proposer;
            let surplus = self.at(height).filter(of_proposer).nth(MAX_PER_PROPOSER - 1).map(|(hash, _)| hash);
            if let Some(surplus) = surplus {
                if proposer.is_some() {
                    return Err(ProposalsError::Full);
                }
                // A synced body was decided at once, or was not the one its certificate names.
                self.heights.entry(height).or_default().remove(&surplus);
            }
        }
        self.log.append(&encode(height, hash, init, if has_body { &[] } else { body }))?;
        self.remember(height, hash, init.cloned(), body.clone());
        Ok(())
    }

    /// A stored block.
    pub fn get(&self, height: u64, hash: B256) -> Option<&Arc<Stored>> {
        self.heights.get(&height)?.get(&hash)
    }

    /// All stored blocks of a height.
    pub fn at(&self, height: u64) -> impl Iterator<Item = (B256, &Arc<Stored>)> {
        self.heights.get(&height).into_iter().flatten().map(|(hash, stored)| (*hash, stored))
    }

    /// Drops everything up to `decided`.
    ///
    /// # Errors
    /// The file system failed.
    pub fn prune(&mut self, decided: u64) -> Result<(), LogError> {
        self.heights = self.heights.split_off(&decided.saturating_add(1));
        let due = if self.heights.is_empty() { self.log.size() > 0 } else { self.log.size() > COMPACT_BYTES };
        if !due {
            return Ok(());
        }
        if self.heights.is_empty() {
            return self.log.clear();
        }
        let mut records = Vec::new();
        for (height, bodies) in &self.heights {
            for (hash, stored) in bodies {
                records.push(encode(*height, *hash, None, &stored.body));
                records.extend(stored.inits.values().map(|init| encode(*height, *hash, Some(init), &[])));
            }
        }
        self.log.replace(records.iter().map(AsRef::as_ref))
    }

    fn remember(&mut self, height: u64, hash: B256, init: Option<ProposalInit>, body: Bytes) {
        let bodies = self.heights.entry(height).or_default();
        // A head whose body was lost to a damaged record is of no use.
        if body.is_empty() && !bodies.contains_key(&hash) {
            return;
        }
        let entry = bodies.entry(hash).or_insert_with(|| Arc::new(Stored { body, inits: BTreeMap::new() }));
        if let Some(init) = init {
            let inits = &mut Arc::make_mut(entry).inits;
            inits.insert(init.round, init);
            if inits.len() > MAX_INITS {
                inits.pop_first();
            }
        }
    }
}

/// `height ‖ hash ‖ length of the head ‖ head ‖ body`.
fn encode(height: u64, hash: B256, init: Option<&ProposalInit>, body: &[u8]) -> Bytes {
    let head = init.map(|init| WireCodec.encode(&ProposalPart::Init(init.clone())).unwrap_or_default());
    let head = head.unwrap_or_default();
    let mut out = BytesMut::with_capacity(44 + head.len() + body.len());
    out.put_u64(height);
    out.put_slice(hash.as_slice());
    out.put_u32(head.len() as u32);
    out.put_slice(&head);
    out.put_slice(body);
    out.freeze()
}

fn decode(mut record: Bytes) -> Option<(u64, B256, Option<ProposalInit>, Bytes)> {
    let fixed: [u8; 44] = record.get(..44)?.try_into().ok()?;
    let (height, rest) = fixed.split_first_chunk::<8>()?;
    let (hash, len) = rest.split_first_chunk::<32>()?;
    let len = u32::from_be_bytes(len.try_into().ok()?) as usize;
    let _ = record.split_to(44);
    if len > record.len() {
        return None;
    }
    let head = record.split_to(len);
    let init = match head.is_empty() {
        true => None,
        false => match WireCodec.decode(head).ok()? {
            ProposalPart::Init(init) => Some(init),
            ProposalPart::Chunk { .. } => return None,
        },
    };
    Some((u64::from_be_bytes(*height), B256::from(*hash), init, record))
}
