//! An append-only file of checked records, each durable before the call that wrote it returns.
//!
//! A record is `length (u32 LE) ‖ CRC-32C of the payload (u32 LE) ‖ payload`. Because every append is fsynced before
//! the next one starts, a crash can tear at most the record at the end; damage anywhere else is not a crash but a
//! broken disk or an edited file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Bytes before a payload.
const HEAD: usize = 8;

/// An open log.
#[derive(Debug)]
pub struct RecordLog {
    file: File,
    path: PathBuf,
    /// End of the last whole record, bytes.
    len: u64,
    /// An append failed half way: what the file holds behind `len` is unknown.
    broken: bool,
}

/// What to do about damage that no crash explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Refuse the file: forgetting a record would be worse than not starting.
    Refuse,
    /// Go on with the records before it: they can be had again from peers.
    Cut,
}

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// A record that is not the last one fails its checksum.
    #[error("{path} is damaged at byte {at}: restore it from this machine's disk, never from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged record starts.
        at: u64,
    },
    /// An earlier append failed; the file must be opened anew.
    #[error("{path}: an earlier write failed")]
    Broken {
        /// The file.
        path: PathBuf,
    },
}

impl RecordLog {
    /// Opens or creates the log, cuts a torn record off its end and returns the payloads in order. No record is longer
    /// than `max_payload` bytes.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn open(path: &Path, max_payload: usize, damage: Damage) -> Result<(Self, Vec<Vec<u8>>), LogError> {
        let io = |source| LogError::Io { path: path.to_path_buf(), source };
        let created = !path.exists();
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        if created {
            sync_parent(path).map_err(io)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;

        let (records, end) = parse(&bytes, max_payload);
        let rest = &bytes[end..];
        if !rest.is_empty() {
            let torn = || rest.len() <= HEAD + max_payload && !holds_record(rest, max_payload);
            if damage == Damage::Refuse && !torn() {
                return Err(LogError::Damaged { path: path.to_path_buf(), at: end as u64 });
            }
            file.set_len(end as u64).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        Ok((Self { file, path: path.to_path_buf(), len: end as u64, broken: false }, records))
    }

    /// Appends one record and waits for the disk.
    ///
    /// # Errors
    /// The write failed. The log then refuses further appends, because what the disk holds is unknown.
    pub fn append(&mut self, payload: &[u8]) -> Result<(), LogError> {
        if self.broken {
            return Err(LogError::Broken { path: self.path.clone() });
        }
        let record = encode(payload);
        let written = self
            .file
            .seek(SeekFrom::Start(self.len))
            .and_then(|_| self.file.write_all(&record))
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.len += record.len() as u64;
                Ok(())
            }
            Err(source) => {
                self.broken = true;
                Err(LogError::Io { path: self.path.clone(), source })
            }
        }
    }

    /// Replaces the whole log by `payloads`; after a crash either the old or the new content is there.
    ///
    /// # Errors
    /// The file system failed; the old content stays.
    pub fn replace<'a>(&mut self, payloads: impl Iterator<Item = &'a [u8]>) -> Result<(), LogError> {
        let io = |source| LogError::Io { path: self.path.clone(), source };
        let content: Vec<u8> = payloads.flat_map(encode).collect();
        let next = self.path.with_extension("next");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&next).map_err(io)?;
        file.write_all(&content).map_err(io)?;
        file.sync_all().map_err(io)?;
        std::fs::rename(&next, &self.path).map_err(io)?;
        sync_parent(&self.path).map_err(io)?;
        self.file = file;
        self.len = content.len() as u64;
        self.broken = false;
        Ok(())
    }

    /// Drops every record. Not waited for: records come back after a crash that strikes before the next append.
    ///
    /// # Errors
    /// The file system failed.
    pub fn clear(&mut self) -> Result<(), LogError> {
        self.file.set_len(0).map_err(|source| LogError::Io { path: self.path.clone(), source })?;
        self.len = 0;
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length of the file, bytes.
    pub fn size(&self) -> u64 {
        self.len
    }
}

/// Makes a file's name durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn encode(payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEAD + payload.len());
    record.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    record.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    record.extend_from_slice(payload);
    record
}

/// The record at the start of `bytes`, if it is whole.
fn first(bytes: &[u8], max_payload: usize) -> Option<&[u8]> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let [a, b, c, d, w, x, y, z] = *head;
    let len = u32::from_le_bytes([a, b, c, d]) as usize;
    // An empty payload is never written; zeros that a crash left behind must not read as records.
    if len == 0 || len > max_payload {
        return None;
    }
    let payload = rest.get(..len)?;
    (crc32c::crc32c(payload) == u32::from_le_bytes([w, x, y, z])).then_some(payload)
}

fn parse(bytes: &[u8], max_payload: usize) -> (Vec<Vec<u8>>, usize) {
    let (mut records, mut end) = (Vec::new(), 0);
    while let Some(payload) = first(&bytes[end..], max_payload) {
        records.push(payload.to_vec());
        end += HEAD + payload.len();
    }
    (records, end)
}

/// Whether a whole record starts anywhere behind the first byte: then the damage before it was not a torn write.
fn holds_record(bytes: &[u8], max_payload: usize) -> bool {
    (1..bytes.len()).any(|at| first(&bytes[at..], max_payload).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<(RecordLog, Vec<Vec<u8>>), LogError> {
        RecordLog::open(path, 64, Damage::Refuse)
    }

    #[test]
    fn every_cut_keeps_the_records_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let payloads: Vec<Vec<u8>> = (1..=5u8).map(|n| vec![n; usize::from(n) * 7]).collect();
        {
            let (mut log, old) = open(&path).unwrap();
            assert!(old.is_empty());
            payloads.iter().for_each(|payload| log.append(payload).unwrap());
        }
        let whole = std::fs::read(&path).unwrap();
        let start_of_last = whole.len() - HEAD - 35;
        for cut in start_of_last..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut log, kept) = open(&path).unwrap();
            assert_eq!(kept, payloads[..4], "cut at {cut}");
            log.append(b"after").unwrap();
            drop(log);
            assert_eq!(open(&path).unwrap().1[4], b"after");
        }
    }

    #[test]
    fn damage_before_the_last_record_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (mut log, _) = open(&path).unwrap();
        (0..4u8).for_each(|n| log.append(&[n; 20]).unwrap());
        drop(log);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() - 28 {
            let mut bad = whole.clone();
            bad[at] ^= 0x10;
            std::fs::write(&path, &bad).unwrap();
            assert!(matches!(open(&path), Err(LogError::Damaged { .. })), "flip at {at}");
            let (_, kept) = RecordLog::open(&path, 64, Damage::Cut).unwrap();
            assert_eq!(kept.len(), at / 28, "flip at {at}");
        }
    }

    #[test]
    fn zeros_at_the_end_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (mut log, _) = open(&path).unwrap();
        log.append(b"one").unwrap();
        drop(log);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([0; 40]);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(open(&path).unwrap().1, [b"one".to_vec()]);
    }

    #[test]
    fn replace_swaps_the_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (mut log, _) = open(&path).unwrap();
        (0..9u8).for_each(|n| log.append(&[n; 20]).unwrap());
        log.replace([b"kept".as_slice()].into_iter()).unwrap();
        log.append(b"next").unwrap();
        drop(log);
        assert_eq!(open(&path).unwrap().1, [b"kept".to_vec(), b"next".to_vec()]);
    }
}
