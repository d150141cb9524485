//! Block bodies in transit: cut into parts by the proposer, put together by everybody else.
//!
//! Parts of one stream share (publisher, stream id) whichever peer relays them; memory is limited per relaying peer and
//! in total, and a stream is dropped at the first part that does not fit.

use std::collections::{BTreeMap, HashMap};

use bytes::{Bytes, BytesMut};
use malachitebft_app_channel::app::types::streaming::{StreamId, StreamMessage};
use malachitebft_engine::util::streaming::StreamContent;
use malachitebft_peer::PeerId;

use super::types::{ProposalInit, ProposalPart};

/// Bytes of body in a part.
pub const CHUNK: usize = 64 << 10;
/// Longest chunk accepted, bytes.
pub const MAX_CHUNK: usize = 128 << 10;
/// Longest encoded block, bytes: several times what the limit on a range leaves to a block.
pub const MAX_BODY: usize = 1 << 20;
/// Parts of a stream, `Init` included.
const MAX_PARTS: u64 = 64;
/// Open streams started through one peer.
const MAX_STREAMS_PER_PEER: usize = 8;
/// Open streams in total.
const MAX_STREAMS: usize = 64;

/// The messages that carry `body`, in order.
pub fn cut(id: StreamId, init: ProposalInit, body: &Bytes) -> Vec<StreamMessage<ProposalPart>> {
    let chunks = body.len().div_ceil(CHUNK);
    let parts = (0..chunks).map(|n| ProposalPart::Chunk {
        bytes: body.slice(n * CHUNK..body.len().min((n + 1) * CHUNK)),
        last: n + 1 == chunks,
    });
    std::iter::once(ProposalPart::Init(init))
        .chain(parts)
        .zip(0..)
        .map(|(part, sequence)| StreamMessage::new(id.clone(), sequence, StreamContent::Data(part)))
        .collect()
}

/// A body that arrived completely. Nothing about it is verified yet except that the lengths fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// What the stream claimed to carry.
    pub init: ProposalInit,
    /// The encoded block.
    pub body: Bytes,
}

/// Streams that are not complete yet.
#[derive(Debug, Default)]
pub struct Streams {
    open: HashMap<(PeerId, StreamId), Stream>,
    started: u64,
}

#[derive(Debug)]
struct Stream {
    /// The peer that delivered its first part.
    from: PeerId,
    /// Order of arrival, to evict the oldest.
    order: u64,
    init: Option<ProposalInit>,
    chunks: BTreeMap<u64, Bytes>,
    /// Sequence of the final chunk, once seen.
    last: Option<u64>,
    bytes: usize,
}

/// Why a stream was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Too many or too long parts.
    #[error("body exceeds {MAX_BODY} bytes or {MAX_PARTS} parts")]
    TooLong,
    /// Parts contradict each other.
    #[error("parts do not fit together")]
    Malformed,
    /// The head of the stream was refused.
    #[error("refused by its head")]
    Refused,
}

impl Streams {
    /// Takes a part. `accept` judges the head as soon as it is there, so that a stream of no interest costs nothing
    /// more.
    ///
    /// # Errors
    /// The stream was dropped; parts of it that still arrive open it anew and are dropped with the oldest streams.
    pub fn take(
        &mut self,
        from: PeerId,
        published_by: Option<PeerId>,
        message: StreamMessage<ProposalPart>,
        accept: impl FnOnce(&ProposalInit) -> bool,
    ) -> Result<Option<Assembled>, StreamError> {
        let key = (published_by.unwrap_or(from), message.stream_id.clone());
        // Our streams end with their last chunk; nothing follows it.
        let StreamContent::Data(part) = message.content else { return Ok(None) };
        if !self.open.contains_key(&key) {
            self.make_room(from);
            self.started += 1;
            let stream =
                Stream { from, order: self.started, init: None, chunks: BTreeMap::new(), last: None, bytes: 0 };
            self.open.insert(key.clone(), stream);
        }
        let Some(stream) = self.open.get_mut(&key) else { return Ok(None) };
        let complete = match stream.take(message.sequence, part, accept) {
            Ok(complete) => complete,
            Err(error) => {
                self.open.remove(&key);
                return Err(error);
            }
        };
        if !complete {
            return Ok(None);
        }
        self.open.remove(&key).map(Stream::assemble).transpose()
    }

    /// Forgets streams for heights that are decided.
    pub fn prune(&mut self, decided: u64) {
        self.open.retain(|_, stream| stream.init.as_ref().is_none_or(|init| init.height.0 > decided));
    }

    fn make_room(&mut self, from: PeerId) {
        let oldest = |open: &HashMap<(PeerId, StreamId), Stream>, of: Option<PeerId>| {
            let of_peer = open.iter().filter(|(_, stream)| of.is_none_or(|peer| stream.from == peer));
            of_peer.min_by_key(|(_, stream)| stream.order).map(|(key, _)| key.clone())
        };
        let of_peer = self.open.values().filter(|stream| stream.from == from).count();
        let evicted = if of_peer >= MAX_STREAMS_PER_PEER {
            oldest(&self.open, Some(from))
        } else if self.open.len() >= MAX_STREAMS {
            oldest(&self.open, None)
        } else {
            None
        };
        if let Some(key) = evicted {
            self.open.remove(&key);
        }
    }
}

impl Stream {
    /// Returns whether the stream is complete.
    fn take(
        &mut self,
        sequence: u64,
        part: ProposalPart,
        accept: impl FnOnce(&ProposalInit) -> bool,
    ) -> Result<bool, StreamError> {
        if sequence >= MAX_PARTS {
            return Err(StreamError::TooLong);
        }
        match part {
            ProposalPart::Init(init) => {
                if sequence != 0 || self.init.as_ref().is_some_and(|known| *known != init) {
                    return Err(StreamError::Malformed);
                }
                if init.body_len as usize > MAX_BODY {
                    return Err(StreamError::TooLong);
                }
                if self.init.is_none() && !accept(&init) {
                    return Err(StreamError::Refused);
                }
                self.init = Some(init);
            }
            ProposalPart::Chunk { bytes, last } => {
                if sequence == 0 || bytes.is_empty() || self.chunks.get(&sequence).is_some_and(|known| *known != bytes)
                {
                    return Err(StreamError::Malformed);
                }
                if last && self.last.replace(sequence).is_some_and(|known| known != sequence) {
                    return Err(StreamError::Malformed);
                }
                let len = bytes.len();
                if self.chunks.insert(sequence, bytes).is_none() {
                    self.bytes += len;
                }
            }
        }
        let limit = self.init.as_ref().map_or(MAX_BODY, |init| init.body_len as usize);
        if self.bytes > limit {
            return Err(StreamError::TooLong);
        }
        Ok(self.init.is_some() && self.last.is_some_and(|last| self.chunks.len() as u64 == last))
    }

    fn assemble(self) -> Result<Assembled, StreamError> {
        let init = self.init.ok_or(StreamError::Malformed)?;
        let mut body = BytesMut::with_capacity(self.bytes);
        for (expected, (sequence, chunk)) in (1..).zip(&self.chunks) {
            if *sequence != expected {
                return Err(StreamError::Malformed);
            }
            body.extend_from_slice(chunk);
        }
        if body.len() != init.body_len as usize {
            return Err(StreamError::Malformed);
        }
        Ok(Assembled { init, body: body.freeze() })
    }
}
