//! The block log: an append-only file of decided blocks, the only truth of a node. Everything else in its data
//! folder can be rebuilt from it.
//!
//! A segment file starts with a header of 52 bytes: `"ROTALOG2"`, the height of its first record (8 bytes, big
//! endian), the L2 genesis hash (32), CRC-32C of those 48 bytes (4, big endian). Records follow, each
//! `"RBLK" ‖ u32 length ‖ u32 CRC-32C(length ‖ payload) ‖ payload`, numbers big endian, the payload being the RLP of
//! [`LogRecord`]. A record is fsynced before the next one begins, so after a crash at most one record, the last, is
//! incomplete: it is cut off when the log is opened. Anything else that does not check out is corruption, and the
//! node stops and says where.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use parking_lot::RwLock;
use rota_protocol::certificate::CommitCertificate;

use super::StoreError;
use crate::chain::{Block, DecidedBlock, HeadContext, SealedBlock};

/// What segments begin with: a name and, as the last byte, the version of the records.
const SEGMENT_MAGIC: &[u8; 8] = b"ROTALOG2";
const SEGMENT_HEADER: u64 = 52;
const RECORD_MAGIC: &[u8; 4] = b"RBLK";
const RECORD_HEADER: u64 = 12;
/// No record comes near this: a block's canonical encoding is bounded by `BATCH_BYTES`.
const MAX_RECORD: u32 = 64 << 20;

/// What the log keeps of a decided block.
#[derive(RlpEncodable, RlpDecodable)]
struct LogRecord {
    block: Block,
    certificate: CommitCertificate,
    context: HeadContext,
}

/// Where a record starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// Index of the segment file, from 0.
    pub segment: u32,
    /// Offset of the record in it, bytes.
    pub offset: u64,
}

struct Segment {
    path: PathBuf,
    file: File,
}

/// The append-only log of decided blocks. One writer; readers never block it.
pub struct BlockLog {
    folder: PathBuf,
    genesis: B256,
    segment_bytes: u64,
    segments: RwLock<Vec<Arc<Segment>>>,
    /// Where the next record goes; guarded against concurrent writers by the lock.
    end: parking_lot::Mutex<LogPosition>,
}

impl BlockLog {
    /// Opens the log in `folder`, or creates it, and checks every record from `from` (a record known to be complete;
    /// `None`: the start) to the end. A record cut short by a crash is removed from the end.
    ///
    /// # Errors
    /// I/O failure; a log of another chain; corruption before the last record.
    pub fn open(
        folder: &Path,
        genesis: B256,
        segment_bytes: u64,
        from: Option<LogPosition>,
    ) -> Result<Self, StoreError> {
        fs::create_dir_all(folder)?;
        let mut segments = Vec::new();
        loop {
            let path = segment_path(folder, segments.len());
            if !path.exists() {
                break;
            }
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            segments.push(Arc::new(Segment { path, file }));
        }
        if let Some(last) = segments.last()
            && torn_header(&last.file)?
        {
            // The crash fell between creating the segment and its first record: it holds nothing.
            fs::remove_file(&last.path)?;
            segments.pop();
            sync_folder(folder)?;
        }
        let log = Self {
            folder: folder.to_owned(),
            genesis,
            segment_bytes,
            segments: RwLock::new(segments),
            end: parking_lot::Mutex::new(LogPosition { segment: 0, offset: 0 }),
        };
        let end = log.check(from.unwrap_or(LogPosition { segment: 0, offset: SEGMENT_HEADER }))?;
        *log.end.lock() = end;
        Ok(log)
    }

    /// Appends a block and waits until it is on disk.
    ///
    /// # Errors
    /// I/O failure, such as a full disk; nothing is then left of the record, or the next start removes it.
    pub fn append(&self, decided: &DecidedBlock) -> Result<LogPosition, StoreError> {
        let record = LogRecord {
            block: decided.block.block.as_ref().clone(),
            certificate: decided.certificate.clone(),
            context: decided.context.clone(),
        };
        let payload_len = record.length();
        let len = u32::try_from(payload_len).ok().filter(|len| *len <= MAX_RECORD).ok_or_else(|| {
            StoreError::Invalid(format!("block {} of {payload_len} bytes exceeds a record", decided.block.number()))
        })?;
        let mut bytes = Vec::with_capacity(payload_len + RECORD_HEADER as usize);
        bytes.extend_from_slice(RECORD_MAGIC);
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        record.encode(&mut bytes);
        let crc = record_crc(len, &bytes[RECORD_HEADER as usize..]);
        bytes[8..12].copy_from_slice(&crc.to_be_bytes());

        let mut end = self.end.lock();
        let segment = self.segment_for(&mut end, decided.block.number())?;
        let written = segment.file.write_all_at(&bytes, end.offset).and_then(|()| segment.file.sync_data());
        if let Err(error) = written {
            // Best effort: what cannot be cut now is cut as a torn tail at the next start.
            let _ = segment.file.set_len(end.offset);
            return Err(error.into());
        }
        let position = *end;
        end.offset += bytes.len() as u64;
        Ok(position)
    }

    /// Reads the block at `position`.
    ///
    /// # Errors
    /// I/O failure or corruption at that place.
    pub fn read(&self, position: LogPosition) -> Result<DecidedBlock, StoreError> {
        let (payload, _) = self.record(position)?.ok_or_else(|| self.corrupt(position, "no complete record"))?;
        self.decode(position, &payload)
    }

    /// The records after `position` in order, or all of them.
    pub fn iter_after(&self, position: Option<LogPosition>) -> Result<LogIter<'_>, StoreError> {
        let next = match position {
            None => LogPosition { segment: 0, offset: SEGMENT_HEADER },
            Some(position) => {
                let (_, next) = self.record(position)?.ok_or_else(|| self.corrupt(position, "no complete record"))?;
                next
            }
        };
        Ok(LogIter { log: self, next })
    }

    /// The segment that takes the next record; rolls over to a new one when the last is full.
    fn segment_for(&self, end: &mut LogPosition, number: u64) -> Result<Arc<Segment>, StoreError> {
        let count = self.segments.read().len();
        if count > 0 && end.offset < self.segment_bytes {
            return Ok(self.segments.read()[count - 1].clone());
        }
        let path = segment_path(&self.folder, count);
        let mut header = Vec::with_capacity(SEGMENT_HEADER as usize);
        header.extend_from_slice(SEGMENT_MAGIC);
        header.extend_from_slice(&number.to_be_bytes());
        header.extend_from_slice(self.genesis.as_slice());
        header.extend_from_slice(&crc32c::crc32c(&header).to_be_bytes());
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all(&header)?;
        file.sync_all()?;
        sync_folder(&self.folder)?;
        let segment = Arc::new(Segment { path, file });
        self.segments.write().push(segment.clone());
        *end = LogPosition { segment: count as u32, offset: SEGMENT_HEADER };
        Ok(segment)
    }

    /// Checks every segment header and every record from `from`; returns where the next record goes.
    fn check(&self, from: LogPosition) -> Result<LogPosition, StoreError> {
        let segments = self.segments.read().clone();
        if segments.is_empty() {
            if from.offset != SEGMENT_HEADER || from.segment != 0 {
                return Err(StoreError::Corrupt(format!(
                    "the state expects a block at {from:?}, but the block log is empty"
                )));
            }
            return Ok(LogPosition { segment: 0, offset: 0 });
        }
        for segment in &segments {
            self.check_header(segment)?;
        }
        let mut next = from;
        loop {
            let last = next.segment as usize + 1 >= segments.len();
            let Some(segment) = segments.get(next.segment as usize) else {
                return Err(StoreError::Corrupt(format!("the state expects a block at {next:?} beyond the block log")));
            };
            let len = segment.file.metadata()?.len();
            if next.offset > len {
                return Err(self.corrupt(next, "the state expects a block beyond the end of the file"));
            }
            if next.offset == len {
                if last {
                    return Ok(next);
                }
                next = LogPosition { segment: next.segment + 1, offset: SEGMENT_HEADER };
                continue;
            }
            match self.record(next)? {
                Some((_, after)) => next = after,
                None if !last => return Err(self.corrupt(next, "damaged record before the last segment")),
                None => {
                    if let Some(offset) = self.valid_record_after(segment, next.offset, len)? {
                        return Err(self.corrupt(next, &format!("damaged record, but a sound one follows at {offset}")));
                    }
                    tracing::warn!(
                        file = %segment.path.display(), offset = next.offset, bytes = len - next.offset,
                        "cut a block record that a crash left incomplete"
                    );
                    segment.file.set_len(next.offset)?;
                    segment.file.sync_all()?;
                    return Ok(next);
                }
            }
        }
    }

    fn check_header(&self, segment: &Segment) -> Result<(), StoreError> {
        let mut header = [0u8; SEGMENT_HEADER as usize];
        segment.file.read_exact_at(&mut header, 0)?;
        let crc = u32::from_be_bytes([header[48], header[49], header[50], header[51]]);
        if header[..7] != SEGMENT_MAGIC[..7] || crc32c::crc32c(&header[..48]) != crc {
            return Err(StoreError::Corrupt(format!("{}: damaged segment header", segment.path.display())));
        }
        if header[7] != SEGMENT_MAGIC[7] {
            let path = segment.path.parent().unwrap_or(&segment.path).display().to_string();
            return Err(StoreError::Version { path, found: header[7].into(), expected: SEGMENT_MAGIC[7].into() });
        }
        let genesis = B256::from_slice(&header[16..48]);
        if genesis != self.genesis {
            return Err(StoreError::OtherChain { found: genesis, expected: self.genesis });
        }
        Ok(())
    }

    /// Payload of the record at `position` and the place after it; `None` if it is incomplete or damaged.
    fn record(&self, position: LogPosition) -> Result<Option<(Vec<u8>, LogPosition)>, StoreError> {
        let segment = self.segments.read().get(position.segment as usize).cloned();
        let Some(segment) = segment else { return Ok(None) };
        let len = segment.file.metadata()?.len();
        let Some(payload) = read_record(&segment.file, position.offset, len)? else { return Ok(None) };
        let after = position.offset + RECORD_HEADER + payload.len() as u64;
        Ok(Some((payload, LogPosition { segment: position.segment, offset: after })))
    }

    /// A sound record behind damage proves that the damage is not a torn tail.
    fn valid_record_after(&self, segment: &Segment, offset: u64, len: u64) -> Result<Option<u64>, StoreError> {
        let mut rest = vec![0u8; (len - offset) as usize];
        segment.file.read_exact_at(&mut rest, offset)?;
        for at in 1..rest.len().saturating_sub(RECORD_HEADER as usize) {
            if &rest[at..at + 4] == RECORD_MAGIC && read_record(&segment.file, offset + at as u64, len)?.is_some() {
                return Ok(Some(offset + at as u64));
            }
        }
        Ok(None)
    }

    fn decode(&self, position: LogPosition, payload: &[u8]) -> Result<DecidedBlock, StoreError> {
        let record = LogRecord::decode(&mut &*payload)
            .map_err(|error| self.corrupt(position, &format!("sound checksum, but {error}")))?;
        let block = SealedBlock::new(record.block);
        Ok(DecidedBlock { block, certificate: record.certificate, context: record.context })
    }

    fn corrupt(&self, position: LogPosition, what: &str) -> StoreError {
        let path = segment_path(&self.folder, position.segment as usize);
        StoreError::Corrupt(format!("{} at byte {}: {what}", path.display(), position.offset))
    }
}

/// Iterator over the records of the log.
pub struct LogIter<'a> {
    log: &'a BlockLog,
    next: LogPosition,
}

impl Iterator for LogIter<'_> {
    type Item = Result<(LogPosition, DecidedBlock), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let end = *self.log.end.lock();
            if self.next >= end {
                return None;
            }
            let position = self.next;
            match self.log.record(position) {
                Err(error) => return Some(Err(error)),
                Ok(Some((payload, after))) => {
                    self.next = after;
                    return Some(self.log.decode(position, &payload).map(|decided| (position, decided)));
                }
                // The log was checked up to its end, so this is the end of a full segment.
                Ok(None) if position.segment < end.segment => {
                    self.next = LogPosition { segment: position.segment + 1, offset: SEGMENT_HEADER };
                }
                Ok(None) => return Some(Err(self.log.corrupt(position, "no complete record"))),
            }
        }
    }
}

fn segment_path(folder: &Path, index: usize) -> PathBuf {
    folder.join(format!("{index:08}.log"))
}

fn torn_header(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.len() < SEGMENT_HEADER)
}

/// Makes the creation or removal of a file in `folder` durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn record_crc(len: u32, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&len.to_be_bytes()), payload)
}

fn read_record(file: &File, offset: u64, file_len: u64) -> io::Result<Option<Vec<u8>>> {
    if offset + RECORD_HEADER > file_len {
        return Ok(None);
    }
    let mut header = [0u8; RECORD_HEADER as usize];
    file.read_exact_at(&mut header, offset)?;
    let len = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let crc = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    if &header[..4] != RECORD_MAGIC || len > MAX_RECORD || offset + RECORD_HEADER + u64::from(len) > file_len {
        return Ok(None);
    }
    let mut payload = vec![0u8; len as usize];
    file.read_exact_at(&mut payload, offset + RECORD_HEADER)?;
    Ok((record_crc(len, &payload) == crc).then_some(payload))
}
