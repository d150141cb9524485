//! Slashing protection: what this key has signed, durable before a signature leaves the process.
//!
//! Invariant: over the whole life of a home directory at most one digest is ever signed for each (fork, height, round,
//! kind), across crashes, restarts and a lost engine log. Two are a fault that costs the stake (protocol section 10).
//! The same digest may be signed again: signing is deterministic, so the signature is the same.
//!
//! A crash between a line of this table and the entry in the engine's log leaves a signature that nobody has seen: the
//! engine publishes only what is in its log, and signs the next message after that. It can only be the last line, and
//! after a restart the engine may well come to another vote. Then the node keeps silent in that slot and goes on.
//! A contradiction anywhere else means that something else signs with the key: then the node stops.
//!
//! Where the engine's log is lost or older than the table, the locks that keep the node honest are gone with it: at a start
//! the node finds out (`not_replayed`) and keeps silent up to the last height it signed at.
//!
//! Each key has a table of its own, and only [`Protection::create`] makes one: where there is none nobody knows what the key
//! signed, and an empty one made in passing would say that it signed nothing (docs/adr/0015-tables-are-made.md).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256};

use super::engine_log::EngineLog;
use super::record_log::{Damage, LogError, RecordLog};

/// What a signature is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SignedKind {
    /// Vote kind 1.
    Prevote = 1,
    /// Vote kind 2.
    Precommit = 2,
    /// A leader's proposal.
    Proposal = 3,
}

impl SignedKind {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Prevote),
            2 => Some(Self::Precommit),
            3 => Some(Self::Proposal),
            _ => None,
        }
    }
}

/// The key of the table; ordered by fork, then height, so that everything up to a height is one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Number of re-executions.
    pub fork: u32,
    /// Height.
    pub height: u64,
    /// Round.
    pub round: u32,
    /// Phase.
    pub kind: SignedKind,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    /// Nothing at or below (fork, height) may be signed; written when the lines it covers are dropped.
    Floor(u32, u64),
    /// A digest that was signed.
    Signed(Slot, B256),
    /// A slot in which something was signed that never left the process, and nothing ever will.
    Withheld(Slot),
    /// At or below (fork, height) another table of this key may have signed: nothing is said there.
    Silent(u32, u64),
    /// Whose table it is: always the first line, so that a file without lines is no table.
    Owner(Address),
    /// At or below this height nothing is said, whatever the fork.
    Above(u64),
}

/// What the holder of the key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Sign; it is on record.
    Sign,
    /// Keep silent: another digest was signed just before a crash and not even that was published, or the key was used
    /// with another table, whose export was imported here.
    Withhold,
}

const RECORD_LEN: usize = 50;

impl Record {
    fn encode(&self) -> [u8; RECORD_LEN] {
        let mut out = [0; RECORD_LEN];
        let (tag, fork, height) = match self {
            Self::Floor(fork, height) => (0, *fork, *height),
            Self::Signed(slot, _) => (1, slot.fork, slot.height),
            Self::Withheld(slot) => (2, slot.fork, slot.height),
            Self::Silent(fork, height) => (3, *fork, *height),
            Self::Owner(_) => (4, 0, 0),
            Self::Above(height) => (5, 0, *height),
        };
        out[0] = tag;
        out[1..5].copy_from_slice(&fork.to_be_bytes());
        out[5..13].copy_from_slice(&height.to_be_bytes());
        if let Self::Signed(slot, _) | Self::Withheld(slot) = self {
            out[13..17].copy_from_slice(&slot.round.to_be_bytes());
            out[17] = slot.kind as u8;
        }
        match self {
            Self::Signed(_, digest) => out[18..].copy_from_slice(digest.as_slice()),
            Self::Owner(signer) => out[18..].copy_from_slice(signer.into_word().as_slice()),
            _ => {}
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; RECORD_LEN] = bytes.try_into().ok()?;
        let (tag, rest) = bytes.split_first()?;
        let (fork, rest) = rest.split_first_chunk::<4>()?;
        let (height, rest) = rest.split_first_chunk::<8>()?;
        let (round, rest) = rest.split_first_chunk::<4>()?;
        let (kind, digest) = rest.split_first()?;
        let (fork, height) = (u32::from_be_bytes(*fork), u64::from_be_bytes(*height));
        let slot =
            || Some(Slot { fork, height, round: u32::from_be_bytes(*round), kind: SignedKind::from_byte(*kind)? });
        match tag {
            0 => Some(Self::Floor(fork, height)),
            1 => Some(Self::Signed(slot()?, B256::try_from(digest).ok()?)),
            2 => Some(Self::Withheld(slot()?)),
            3 => Some(Self::Silent(fork, height)),
            4 => Some(Self::Owner(Address::from_word(B256::try_from(digest).ok()?))),
            5 => Some(Self::Above(height)),
            _ => None,
        }
    }
}

/// Lines after which those of committed heights are dropped (about 300 heights without trouble).
const COMPACT_LINES: usize = 1_024;

/// Where nothing may be signed whatever the table's lines say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// At and below this (fork, height).
    pub silent: Option<(u32, u64)>,
    /// At and below this height of any fork.
    pub above: Option<u64>,
}

impl Marks {
    /// Both, the higher ones.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { silent: self.silent.max(other.silent), above: self.above.max(other.above) }
    }

    fn cover(&self, fork: u32, height: u64) -> bool {
        self.silent.is_some_and(|silent| (fork, height) <= silent) || self.above.is_some_and(|above| height <= above)
    }

    fn records(&self) -> impl Iterator<Item = Record> {
        let silent = self.silent.map(|(fork, height)| Record::Silent(fork, height));
        silent.into_iter().chain(self.above.map(Record::Above))
    }
}

/// The table of one key, locked.
#[derive(Debug)]
pub struct Protection {
    signer: Address,
    log: RecordLog,
    signed: BTreeMap<Slot, B256>,
    withheld: BTreeSet<Slot>,
    /// What was signed last before this process: possibly not published.
    unpublished: Option<Slot>,
    floor: Option<(u32, u64)>,
    /// Up to where another table of this key may have signed.
    marks: Marks,
    /// What was signed last before this process.
    last: Option<Slot>,
    /// Highest (fork, height) below which the chain is decided.
    committed: Option<(u32, u64)>,
    lines: usize,
    /// Number of lines at which the next compaction is due.
    compact_at: usize,
    _lock: File,
}

/// Why a signature is refused or the table cannot be used. Each of these must stop the node: it must never sign while
/// it does not know what it signed before.
#[derive(Debug, thiserror::Error)]
pub enum ProtectionError {
    /// A different digest was signed for this slot before.
    #[error(
        "refused to sign {digest} as {kind:?} of height {height} round {round} fork {fork}: this key already signed \
         {signed} there, and a second signature would be slashed. Make sure that the key runs on one machine only and \
         that its home directory was not restored from a backup.",
        kind = slot.kind, height = slot.height, round = slot.round, fork = slot.fork
    )]
    Conflict {
        /// Where.
        slot: Slot,
        /// What was signed.
        signed: B256,
        /// What was refused.
        digest: B256,
    },
    /// The height is decided, and what was signed there is no longer remembered.
    #[error("refused to sign at height {} fork {}: decided up to height {} fork {}", slot.height, slot.fork, floor.1, floor.0)]
    BelowFloor {
        /// Where.
        slot: Slot,
        /// (fork, height) up to which nothing is signed any more.
        floor: (u32, u64),
    },
    /// Nothing says what the key signed.
    #[error(
        "there is no slashing-protection table {path} of the key {signer}: nobody knows what it signed, and signing \
         anything again would cost the stake. If it ran on another machine, `rota-sequencer protection export` there \
         and `protection import FILE` here. If that table is lost, `protection new --above HEIGHT`, with the head of any \
         other node plus some 100 blocks. Only if this key never ran anywhere, `protection new --never-signed`."
    )]
    Missing {
        /// Where it would be.
        path: PathBuf,
        /// The key.
        signer: Address,
    },
    /// The key has a table already.
    #[error("{0} exists already: a table is never replaced by an empty one")]
    Exists(PathBuf),
    /// The table belongs to another key: somebody renamed it.
    #[error("{path} is the table of the key {found}, not of {signer}: put it back under its own name")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: Address,
        /// Whose it should be.
        signer: Address,
    },
    /// The chain has a signature of this key that the table does not know.
    #[error(
        "the decided block {height} has a signature of the key {signer} (round {round}) that {path} does not know: either \
         another machine signs with this key, then stop it; or this table is an old copy, then `rota-sequencer protection \
         new --above HEIGHT`, with the head of any other node plus some 100 blocks. Nothing is signed until then."
    )]
    Outdated {
        /// The table.
        path: PathBuf,
        /// The key.
        signer: Address,
        /// Height of the block.
        height: u64,
        /// Round of its certificate.
        round: u32,
    },
    /// Another process uses the table.
    #[error("{0} is locked: another node runs in this home directory; stop it first")]
    Locked(PathBuf),
    /// Another process votes with the key.
    #[error(
        "another process on this machine votes with the key {signer} ({holder}): two of them would sign contradictions \
         and lose the stake. Stop the other one first; nothing overrides this."
    )]
    KeyInUse {
        /// The key.
        signer: Address,
        /// What is known of the other process.
        holder: String,
    },
    /// No folder for the lock of a key.
    #[error(
        "{path} cannot hold the lock that keeps two processes of this machine from voting with one key: {reason}. Remove \
         it, or have root make /run/lock/rota for all nodes of the machine (docs/operators.md)."
    )]
    LockFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of the table is not understood (a newer version wrote it?).
    #[error("line {0} of the slashing-protection table is not understood")]
    Unknown(usize),
    /// The file failed.
    #[error("slashing-protection table: {0}")]
    Log(#[from] LogError),
    /// The lock failed.
    #[error("slashing-protection lock: {0}")]
    Lock(std::io::Error),
}

impl Protection {
    /// Where the table of `signer` lies in `dir`.
    pub fn path(dir: &Path, signer: Address) -> PathBuf {
        dir.join(format!("protection-{signer:#x}.log"))
    }

    /// Makes the table of a key that signed nothing above `marks`, durably, or leaves everything as it was.
    ///
    /// # Errors
    /// [`ProtectionError::Exists`], or the disk.
    pub fn create(dir: &Path, signer: Address, marks: Marks) -> Result<(), ProtectionError> {
        std::fs::create_dir_all(dir).map_err(ProtectionError::Lock)?;
        let path = Self::path(dir, signer);
        let _lock = Self::lock(&path)?;
        let (mut log, records) = RecordLog::open(&path, RECORD_LEN, Damage::Refuse)?;
        // A file without lines is what a crash left of this function.
        if !records.is_empty() {
            return Err(ProtectionError::Exists(path));
        }
        let lines: Vec<_> =
            std::iter::once(Record::Owner(signer)).chain(marks.records()).map(|record| record.encode()).collect();
        log.replace(lines.iter().map(<[u8; RECORD_LEN]>::as_slice))?;
        // Its folder may be new, too.
        for folder in dir.ancestors().skip(1).take(2).filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(ProtectionError::Lock)?;
        }
        Ok(())
    }

    /// Keeps silent at and below `marks` for ever, making the table if there is none. Marks are never lowered.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::create`].
    pub fn restrict(dir: &Path, signer: Address, marks: Marks) -> Result<(), ProtectionError> {
        match Self::open(dir, signer, false) {
            Ok(mut table) => table.keep_silent(marks),
            Err(ProtectionError::Missing { .. }) => Self::create(dir, signer, marks),
            Err(error) => Err(error),
        }
    }

    /// Opens the table of `signer` in `dir` and locks it until dropped. `engine_log` says whether the engine's log is
    /// there: without it nothing is known about what was published.
    ///
    /// # Errors
    /// See [`ProtectionError`].
    pub fn open(dir: &Path, signer: Address, engine_log: bool) -> Result<Self, ProtectionError> {
        let path = Self::path(dir, signer);
        if !path.exists() {
            return Err(ProtectionError::Missing { path, signer });
        }
        let lock = Self::lock(&path)?;
        let (log, records) = RecordLog::open(&path, RECORD_LEN, Damage::Refuse)?;
        let (mut signed, mut withheld, mut floor, mut last) = (BTreeMap::new(), BTreeSet::new(), None, None);
        let mut marks = Marks::default();
        let mut owner = None;
        let lines = records.len();
        for (line, bytes) in records.iter().enumerate() {
            match Record::decode(bytes).ok_or(ProtectionError::Unknown(line))? {
                Record::Floor(fork, height) => floor = floor.max(Some((fork, height))),
                Record::Signed(slot, digest) => {
                    signed.insert(slot, digest);
                    last = Some(slot);
                }
                Record::Withheld(slot) => {
                    withheld.insert(slot);
                }
                Record::Silent(fork, height) => marks.silent = marks.silent.max(Some((fork, height))),
                Record::Owner(found) => owner = Some(found),
                Record::Above(height) => marks.above = marks.above.max(Some(height)),
            }
        }
        match owner {
            Some(found) if found == signer => {}
            Some(found) => return Err(ProtectionError::Foreign { path, found, signer }),
            None => return Err(ProtectionError::Missing { path, signer }),
        }
        let unpublished = last.filter(|_| engine_log);
        let compact_at = COMPACT_LINES.max(lines);
        let committed = floor;
        Ok(Self {
            signer,
            log,
            signed,
            withheld,
            unpublished,
            floor,
            marks,
            last,
            committed,
            lines,
            compact_at,
            _lock: lock,
        })
    }

    /// Checks that there is a table of `signer` in `dir`, without taking it.
    ///
    /// # Errors
    /// [`ProtectionError::Missing`].
    pub fn expect(dir: &Path, signer: Address) -> Result<(), ProtectionError> {
        let path = Self::path(dir, signer);
        let has_lines = std::fs::metadata(&path).is_ok_and(|file| file.len() > 0);
        if has_lines { Ok(()) } else { Err(ProtectionError::Missing { path, signer }) }
    }

    /// A file of its own: the table's file is replaced when it is compacted.
    fn lock(table: &Path) -> Result<File, ProtectionError> {
        let path = table.with_extension("lock");
        let lock = File::create(&path).map_err(ProtectionError::Lock)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => ProtectionError::Locked(path),
            TryLockError::Error(error) => ProtectionError::Lock(error),
        })?;
        Ok(lock)
    }

    /// Allows the signature of `digest` in `slot` and makes that durable, or refuses it.
    ///
    /// # Errors
    /// See [`ProtectionError`]; the caller must not sign.
    pub fn allow(&mut self, slot: Slot, digest: B256) -> Result<Permission, ProtectionError> {
        if self.withheld.contains(&slot) || self.marks.cover(slot.fork, slot.height) {
            return Ok(Permission::Withhold);
        }
        if let Some(floor) = self.floor.filter(|floor| (slot.fork, slot.height) <= *floor) {
            return Err(ProtectionError::BelowFloor { slot, floor });
        }
        match self.signed.get(&slot) {
            Some(signed) if *signed == digest => return Ok(Permission::Sign),
            Some(_) if self.unpublished == Some(slot) => {
                self.append(Record::Withheld(slot))?;
                self.withheld.insert(slot);
                return Ok(Permission::Withhold);
            }
            Some(signed) => return Err(ProtectionError::Conflict { slot, signed: *signed, digest }),
            None => {}
        }
        if self.lines >= self.compact_at {
            self.compact()?;
        }
        self.append(Record::Signed(slot, digest))?;
        self.signed.insert(slot, digest);
        Ok(Permission::Sign)
    }

    fn append(&mut self, record: Record) -> Result<(), ProtectionError> {
        self.log.append(&record.encode())?;
        self.lines += 1;
        Ok(())
    }

    /// Notes that `height` of `fork` is durably decided: the engine never signs below it again.
    pub fn committed(&mut self, fork: u32, height: u64) {
        // The decided height itself stays: a signature on its way must meet its line, not a forgotten slot.
        let below = height.checked_sub(1).map(|height| (fork, height));
        self.committed = self.committed.max(below);
    }

    /// Keeps silent at and below `marks` for ever: another table of this key may have signed there.
    ///
    /// # Errors
    /// Disk failure.
    pub fn keep_silent(&mut self, marks: Marks) -> Result<(), ProtectionError> {
        let raised = self.marks.max(marks);
        if raised != self.marks {
            for record in raised.records() {
                self.append(record)?;
            }
            self.marks = raised;
        }
        Ok(())
    }

    /// The key.
    pub fn signer(&self) -> Address {
        self.signer
    }

    /// Whether the key signed nothing, as far as this table knows, and was never silenced.
    pub fn is_new(&self) -> bool {
        self.signed.is_empty() && self.floor.is_none() && self.marks == Marks::default()
    }

    /// Checks that a signature which others show is one that this table knows, or says nothing about.
    ///
    /// # Errors
    /// [`ProtectionError::Outdated`]: the key signed what this table has no line for.
    pub fn recognise(&self, slot: Slot, digest: B256) -> Result<(), ProtectionError> {
        let forgotten = self.floor.is_some_and(|floor| (slot.fork, slot.height) <= floor);
        if forgotten || self.marks.cover(slot.fork, slot.height) || self.signed.get(&slot) == Some(&digest) {
            return Ok(());
        }
        let (signer, Slot { height, round, .. }) = (self.signer, slot);
        Err(ProtectionError::Outdated { path: self.log.path().into(), signer, height, round })
    }

    /// Highest (fork, height) from `start` on at which this key signed something that the engine will not replay from
    /// `log`, so that the locks of that height are lost; `None` if nothing is missing.
    ///
    /// A vote that was signed last may be missing from the log of its height: nobody has seen it. Proposals lock nothing,
    /// but without any log of the height another one would be made.
    pub fn not_replayed(&self, start: u64, log: Option<&EngineLog>) -> Option<(u32, u64)> {
        let replayed = |slot: &Slot| {
            log.filter(|log| log.height == slot.height).is_some_and(|log| {
                slot.kind == SignedKind::Proposal
                    || self.last == Some(*slot)
                    || log.votes.contains(&(slot.round, slot.kind))
            })
        };
        let missing = |slot: &&Slot| slot.height >= start && !self.withheld.contains(slot) && !replayed(slot);
        let signed = self.signed.keys().filter(missing).map(|slot| (slot.fork, slot.height)).max();
        // Lines that were dropped because their heights were decided, in a chain that is older than the table now.
        signed.max(self.floor.filter(|(_, height)| *height >= start))
    }

    /// Up to where this table says nothing any more, and every digest signed above.
    pub fn content(&self) -> (Marks, impl Iterator<Item = (&Slot, &B256)>) {
        (Marks { silent: self.floor.max(self.marks.silent), ..self.marks }, self.signed.iter())
    }

    /// What was signed in `slot`, unless that is forgotten.
    pub fn signed(&self, slot: &Slot) -> Option<B256> {
        self.signed.get(slot).copied()
    }

    /// Drops lines of decided heights and writes the floor that replaces them, in one step. The order of lines is lost,
    /// but the signature that is about to be recorded becomes the last.
    fn compact(&mut self) -> Result<(), ProtectionError> {
        let Some(floor) = self.committed else { return Ok(()) };
        let open = |slot: &Slot| (slot.fork, slot.height) > floor;
        let (mut signed, mut withheld) = (self.signed.clone(), self.withheld.clone());
        signed.retain(|slot, _| open(slot));
        withheld.retain(open);
        let mut records = vec![Record::Owner(self.signer).encode(), Record::Floor(floor.0, floor.1).encode()];
        records.extend(self.marks.records().map(|record| record.encode()));
        records.extend(withheld.iter().map(|slot| Record::Withheld(*slot).encode()));
        records.extend(signed.iter().map(|(slot, digest)| Record::Signed(*slot, *digest).encode()));
        self.log.replace(records.iter().map(<[u8; RECORD_LEN]>::as_slice))?;
        self.lines = records.len();
        // Lines that a long undecided height keeps alive are not rewritten with every signature.
        self.compact_at = COMPACT_LINES.max(2 * self.lines);
        (self.signed, self.withheld) = (signed, withheld);
        self.floor = Some(floor);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
