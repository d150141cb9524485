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
            Self::Floor(fork, height) => (0, fork, height),
            Self::Signed(slot, _) => (1, &slot.fork, &slot.height),
            Self::Withheld(slot) => (2, &slot.fork, &slot.height),
            Self::Silent(fork, height) => (3, fork, height),
        };
        out[0] = tag;
        out[1..5].copy_from_slice(&fork.to_be_bytes());
        out[5..13].copy_from_slice(&height.to_be_bytes());
        if let Self::Signed(slot, _) | Self::Withheld(slot) = self {
            out[13..17].copy_from_slice(&slot.round.to_be_bytes());
            out[17] = slot.kind as u8;
        }
        if let Self::Signed(_, digest) = self {
            out[18..].copy_from_slice(digest.as_slice());
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
            _ => None,
        }
    }
}

/// Lines after which those of committed heights are dropped (about 300 heights without trouble).
const COMPACT_LINES: usize = 1_024;

/// The table of one key, with an exclusive lock on its directory.
#[derive(Debug)]
pub struct Protection {
    log: RecordLog,
    signed: BTreeMap<Slot, B256>,
    withheld: BTreeSet<Slot>,
    /// What was signed last before this process: possibly not published.
    unpublished: Option<Slot>,
    floor: Option<(u32, u64)>,
    /// (fork, height) up to which another table of this key may have signed.
    silent: Option<(u32, u64)>,
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
    /// Opens or creates the table in `dir` and locks it until dropped. `engine_log` says whether the engine's log is
    /// there: without it nothing is known about what was published.
    ///
    /// # Errors
    /// See [`ProtectionError`].
    pub fn open(dir: &Path, engine_log: bool) -> Result<Self, ProtectionError> {
        std::fs::create_dir_all(dir).map_err(ProtectionError::Lock)?;
        // A file of its own: the table's file is replaced when it is compacted.
        let lock_path = dir.join("protection.lock");
        let lock = File::create(&lock_path).map_err(ProtectionError::Lock)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => ProtectionError::Locked(lock_path),
            TryLockError::Error(error) => ProtectionError::Lock(error),
        })?;
        let (log, records) = RecordLog::open(&dir.join("protection.log"), RECORD_LEN, Damage::Refuse)?;
        let (mut signed, mut withheld, mut floor, mut last) = (BTreeMap::new(), BTreeSet::new(), None, None);
        let mut silent = None;
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
                Record::Silent(fork, height) => silent = silent.max(Some((fork, height))),
            }
        }
        let unpublished = last.filter(|_| engine_log);
        let compact_at = COMPACT_LINES.max(lines);
        let committed = floor;
        Ok(Self { log, signed, withheld, unpublished, floor, silent, last, committed, lines, compact_at, _lock: lock })
    }

    /// Allows the signature of `digest` in `slot` and makes that durable, or refuses it.
    ///
    /// # Errors
    /// See [`ProtectionError`]; the caller must not sign.
    pub fn allow(&mut self, slot: Slot, digest: B256) -> Result<Permission, ProtectionError> {
        if self.withheld.contains(&slot) || self.silent.is_some_and(|silent| (slot.fork, slot.height) <= silent) {
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

    /// Keeps silent at and below (fork, height) for ever: another table of this key may have signed there.
    ///
    /// # Errors
    /// Disk failure.
    pub fn keep_silent(&mut self, fork: u32, height: u64) -> Result<(), ProtectionError> {
        let silent = self.silent.max(Some((fork, height)));
        if silent != self.silent {
            self.append(Record::Silent(fork, height))?;
            self.silent = silent;
        }
        Ok(())
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

    /// (fork, height) up to which this table says nothing any more, and every digest signed above.
    pub fn content(&self) -> (Option<(u32, u64)>, impl Iterator<Item = (&Slot, &B256)>) {
        (self.floor.max(self.silent), self.signed.iter())
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
        let mut records = vec![Record::Floor(floor.0, floor.1).encode()];
        records.extend(self.silent.map(|(fork, height)| Record::Silent(fork, height).encode()));
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
mod tests {
    use super::*;

    fn slot(height: u64, round: u32, kind: SignedKind) -> Slot {
        Slot { fork: 0, height, round, kind }
    }

    fn digest(n: u64) -> B256 {
        B256::from(alloy_primitives::U256::from(n))
    }

    #[test]
    fn one_digest_per_slot_survives_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let at = slot(7, 1, SignedKind::Prevote);
        let mut table = Protection::open(dir.path(), true).unwrap();
        table.allow(at, digest(1)).unwrap();
        table.allow(at, digest(1)).unwrap();
        // Another phase, round, height or fork is another slot.
        table.allow(slot(7, 1, SignedKind::Precommit), digest(2)).unwrap();
        table.allow(slot(7, 1, SignedKind::Proposal), digest(3)).unwrap();
        table.allow(slot(7, 2, SignedKind::Prevote), digest(4)).unwrap();
        table.allow(Slot { fork: 1, ..at }, digest(5)).unwrap();
        table.allow(slot(8, 0, SignedKind::Prevote), digest(6)).unwrap();
        drop(table);
        for _ in 0..2 {
            let mut table = Protection::open(dir.path(), true).unwrap();
            let refused = table.allow(at, digest(9)).unwrap_err();
            assert!(
                matches!(refused, ProtectionError::Conflict { slot, signed, digest: d }
                    if slot == at && signed == digest(1) && d == digest(9)),
                "{refused}"
            );
            table.allow(at, digest(1)).unwrap();
        }
    }

    #[test]
    fn a_second_process_is_locked_out() {
        let dir = tempfile::tempdir().unwrap();
        let table = Protection::open(dir.path(), true).unwrap();
        assert!(matches!(Protection::open(dir.path(), true), Err(ProtectionError::Locked(_))));
        drop(table);
        Protection::open(dir.path(), true).unwrap();
    }

    /// Signed, on record, not in the engine's log when the process died: nobody has seen it. Whatever the engine now wants
    /// there, nothing is said; and everything else goes on.
    #[test]
    fn what_a_crash_kept_back_is_kept_back_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let (before, at, after) =
            (slot(7, 0, SignedKind::Prevote), slot(7, 0, SignedKind::Precommit), slot(7, 1, SignedKind::Prevote));
        let mut table = Protection::open(dir.path(), true).unwrap();
        table.allow(before, digest(1)).unwrap();
        table.allow(at, digest(2)).unwrap();
        // Not within one process: there the engine would contradict itself.
        assert!(matches!(table.allow(at, digest(3)), Err(ProtectionError::Conflict { .. })));
        drop(table);
        let mut table = Protection::open(dir.path(), true).unwrap();
        // The engine may come to the same vote.
        assert_eq!(table.allow(at, digest(2)).unwrap(), Permission::Sign);
        drop(table);
        let mut table = Protection::open(dir.path(), true).unwrap();
        assert_eq!(table.allow(at, digest(3)).unwrap(), Permission::Withhold);
        assert_eq!(table.allow(at, digest(2)).unwrap(), Permission::Withhold);
        assert!(matches!(table.allow(before, digest(9)), Err(ProtectionError::Conflict { .. })));
        assert_eq!(table.allow(after, digest(4)).unwrap(), Permission::Sign);
        drop(table);
        // Another crash: still silent there, and now the later slot is the one in doubt.
        let mut table = Protection::open(dir.path(), true).unwrap();
        assert_eq!(table.allow(at, digest(5)).unwrap(), Permission::Withhold);
        assert_eq!(table.allow(after, digest(6)).unwrap(), Permission::Withhold);
        drop(table);
        // Without the engine's log nothing is known about what was published.
        let mut table = Protection::open(dir.path(), false).unwrap();
        let next = slot(8, 0, SignedKind::Prevote);
        table.allow(next, digest(1)).unwrap();
        drop(table);
        let mut table = Protection::open(dir.path(), false).unwrap();
        assert!(matches!(table.allow(next, digest(2)), Err(ProtectionError::Conflict { .. })));
    }

    /// A crash at any byte of the last write leaves a table that remembers every earlier signature, and the torn one
    /// either counts or was never released.
    #[test]
    fn a_torn_write_forgets_nothing_released() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("protection.log");
        let mut table = Protection::open(dir.path(), true).unwrap();
        for height in 1..=3 {
            table.allow(slot(height, 0, SignedKind::Precommit), digest(height)).unwrap();
        }
        drop(table);
        let whole = std::fs::read(&path).unwrap();
        let record = 8 + RECORD_LEN;
        for cut in whole.len() - record..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut table = Protection::open(dir.path(), true).unwrap();
            assert!(table.allow(slot(1, 0, SignedKind::Precommit), digest(9)).is_err());
            // The last whole line may be one that nobody saw; in any case nothing else is signed there.
            assert_eq!(table.allow(slot(2, 0, SignedKind::Precommit), digest(9)).unwrap(), Permission::Withhold);
            assert_eq!(table.allow(slot(3, 0, SignedKind::Precommit), digest(9)).unwrap(), Permission::Sign);
            assert!(table.allow(slot(3, 0, SignedKind::Precommit), digest(3)).is_err());
        }
    }

    #[test]
    fn pruning_keeps_undecided_heights_and_closes_decided_ones() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Protection::open(dir.path(), true).unwrap();
        for height in 1..=1_500 {
            table.allow(slot(height, 0, SignedKind::Prevote), digest(height)).unwrap();
            table.allow(slot(height, 0, SignedKind::Precommit), digest(height)).unwrap();
            table.committed(0, height);
        }
        let size = std::fs::metadata(dir.path().join("protection.log")).unwrap().len();
        assert!(size < 2 * (COMPACT_LINES * (8 + RECORD_LEN)) as u64, "{size}");
        drop(table);
        let mut table = Protection::open(dir.path(), true).unwrap();
        let low = slot(3, 0, SignedKind::Prevote);
        assert!(matches!(table.allow(low, digest(3)), Err(ProtectionError::BelowFloor { .. })));
        let last = slot(1_500, 0, SignedKind::Prevote);
        assert!(matches!(table.allow(last, digest(3)), Err(ProtectionError::Conflict { .. })));
        // A new fork signs the same heights again.
        table.allow(Slot { fork: 1, ..low }, digest(77)).unwrap();
    }

    /// A chain that was restored from a backup may be older than the lines the table still has.
    #[test]
    fn a_table_that_closed_heights_of_the_future_keeps_silent_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Protection::open(dir.path(), true).unwrap();
        for height in 1..=COMPACT_LINES as u64 + 1 {
            table.allow(slot(height, 0, SignedKind::Prevote), digest(height)).unwrap();
            table.committed(0, height);
        }
        let (fork, height) = table.not_replayed(5, None).unwrap();
        assert_eq!((fork, height), (0, COMPACT_LINES as u64 + 1));
        table.keep_silent(fork, height).unwrap();
        assert_eq!(table.allow(slot(5, 0, SignedKind::Prevote), digest(9)).unwrap(), Permission::Withhold);
        assert_eq!(table.allow(slot(height + 1, 0, SignedKind::Prevote), digest(9)).unwrap(), Permission::Sign);
    }

    #[test]
    fn what_the_engine_cannot_replay_is_found() {
        use SignedKind::{Precommit, Prevote, Proposal};
        let dir = tempfile::tempdir().unwrap();
        let mut table = Protection::open(dir.path(), true).unwrap();
        for (n, at) in [
            slot(6, 0, Precommit),
            slot(7, 0, Proposal),
            slot(7, 0, Prevote),
            slot(7, 0, Precommit),
            slot(7, 1, Prevote),
        ]
        .into_iter()
        .enumerate()
        {
            table.allow(at, digest(n as u64)).unwrap();
        }
        drop(table);
        let table = Protection::open(dir.path(), true).unwrap();
        let log = |height, votes: &[(u32, SignedKind)]| EngineLog { height, votes: votes.iter().copied().collect() };
        let whole = log(7, &[(0, Prevote), (0, Precommit), (1, Prevote)]);
        assert_eq!(table.not_replayed(7, Some(&whole)), None);
        // The last vote may not have come into the log, nor out of the process.
        let torn = log(7, &[(0, Prevote), (0, Precommit)]);
        assert_eq!(table.not_replayed(7, Some(&torn)), None);
        // An earlier one did.
        assert_eq!(table.not_replayed(7, Some(&log(7, &[(0, Prevote), (1, Prevote)]))), Some((0, 7)));
        assert_eq!(table.not_replayed(7, Some(&log(7, &[]))), Some((0, 7)));
        // No log, or one of another height, as when the chain was restored from a backup.
        assert_eq!(table.not_replayed(7, None), Some((0, 7)));
        assert_eq!(table.not_replayed(7, Some(&log(6, &[(0, Precommit)]))), Some((0, 7)));
        assert_eq!(table.not_replayed(5, Some(&log(5, &[]))), Some((0, 7)));
        // What was signed below the height that is about to start is decided.
        assert_eq!(table.not_replayed(8, None), None);
    }

    /// What another table of the key may have signed is never signed here, and that costs votes, not the node.
    #[test]
    fn silence_outlives_restarts_and_compaction() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Protection::open(dir.path(), true).unwrap();
        table.keep_silent(0, 9).unwrap();
        table.keep_silent(0, 7).unwrap();
        table.committed(0, 4);
        for round in 0..COMPACT_LINES as u32 + 10 {
            assert_eq!(table.allow(slot(10, round, SignedKind::Prevote), digest(1)).unwrap(), Permission::Sign);
        }
        assert_eq!(table.floor, Some((0, 3)), "compacted");
        for _ in 0..2 {
            assert_eq!(table.allow(slot(9, 3, SignedKind::Prevote), digest(1)).unwrap(), Permission::Withhold);
            assert_eq!(table.allow(slot(4, 0, SignedKind::Proposal), digest(1)).unwrap(), Permission::Withhold);
            assert_eq!(table.allow(slot(3, 0, SignedKind::Prevote), digest(1)).unwrap(), Permission::Withhold);
            drop(table);
            table = Protection::open(dir.path(), true).unwrap();
        }
        assert_eq!(table.allow(slot(11, 0, SignedKind::Prevote), digest(1)).unwrap(), Permission::Sign);
    }

    #[test]
    fn an_unknown_line_stops_the_node() {
        let dir = tempfile::tempdir().unwrap();
        drop(Protection::open(dir.path(), true).unwrap());
        let (mut log, _) = RecordLog::open(&dir.path().join("protection.log"), RECORD_LEN, Damage::Refuse).unwrap();
        log.append(&[9; RECORD_LEN]).unwrap();
        drop(log);
        assert!(matches!(Protection::open(dir.path(), true), Err(ProtectionError::Unknown(0))));
    }
}
