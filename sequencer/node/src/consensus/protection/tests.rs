//! What a table remembers, over restarts, crashes and compaction.

use super::*;

const SIGNER: Address = Address::repeat_byte(0x51);

/// Opens the table, which is made first if there is none.
fn opened(dir: &Path, engine_log: bool) -> Result<Protection, ProtectionError> {
    match Protection::create(dir, SIGNER, Marks::default()) {
        Ok(()) | Err(ProtectionError::Exists(_) | ProtectionError::Locked(_)) => {}
        Err(error) => return Err(error),
    }
    Protection::open(dir, SIGNER, engine_log)
}

fn silent(fork: u32, height: u64) -> Marks {
    Marks { silent: Some((fork, height)), above: None }
}

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
    let mut table = opened(dir.path(), true).unwrap();
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
        let mut table = opened(dir.path(), true).unwrap();
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
    let table = opened(dir.path(), true).unwrap();
    assert!(matches!(opened(dir.path(), true), Err(ProtectionError::Locked(_))));
    drop(table);
    opened(dir.path(), true).unwrap();
}

/// Signed, on record, not in the engine's log when the process died: nobody has seen it. Whatever the engine now wants
/// there, nothing is said; and everything else goes on.
#[test]
fn what_a_crash_kept_back_is_kept_back_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let (before, at, after) =
        (slot(7, 0, SignedKind::Prevote), slot(7, 0, SignedKind::Precommit), slot(7, 1, SignedKind::Prevote));
    let mut table = opened(dir.path(), true).unwrap();
    table.allow(before, digest(1)).unwrap();
    table.allow(at, digest(2)).unwrap();
    // Not within one process: there the engine would contradict itself.
    assert!(matches!(table.allow(at, digest(3)), Err(ProtectionError::Conflict { .. })));
    drop(table);
    let mut table = opened(dir.path(), true).unwrap();
    // The engine may come to the same vote.
    assert_eq!(table.allow(at, digest(2)).unwrap(), Permission::Sign);
    drop(table);
    let mut table = opened(dir.path(), true).unwrap();
    assert_eq!(table.allow(at, digest(3)).unwrap(), Permission::Withhold);
    assert_eq!(table.allow(at, digest(2)).unwrap(), Permission::Withhold);
    assert!(matches!(table.allow(before, digest(9)), Err(ProtectionError::Conflict { .. })));
    assert_eq!(table.allow(after, digest(4)).unwrap(), Permission::Sign);
    drop(table);
    // Another crash: still silent there, and now the later slot is the one in doubt.
    let mut table = opened(dir.path(), true).unwrap();
    assert_eq!(table.allow(at, digest(5)).unwrap(), Permission::Withhold);
    assert_eq!(table.allow(after, digest(6)).unwrap(), Permission::Withhold);
    drop(table);
    // Without the engine's log nothing is known about what was published.
    let mut table = opened(dir.path(), false).unwrap();
    let next = slot(8, 0, SignedKind::Prevote);
    table.allow(next, digest(1)).unwrap();
    drop(table);
    let mut table = opened(dir.path(), false).unwrap();
    assert!(matches!(table.allow(next, digest(2)), Err(ProtectionError::Conflict { .. })));
}

/// A crash at any byte of the last write leaves a table that remembers every earlier signature, and the torn one
/// either counts or was never released.
#[test]
fn a_torn_write_forgets_nothing_released() {
    let dir = tempfile::tempdir().unwrap();
    let path = Protection::path(dir.path(), SIGNER);
    let mut table = opened(dir.path(), true).unwrap();
    for height in 1..=3 {
        table.allow(slot(height, 0, SignedKind::Precommit), digest(height)).unwrap();
    }
    drop(table);
    let whole = std::fs::read(&path).unwrap();
    let record = 8 + RECORD_LEN;
    for cut in whole.len() - record..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut table = opened(dir.path(), true).unwrap();
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
    let mut table = opened(dir.path(), true).unwrap();
    for height in 1..=1_500 {
        table.allow(slot(height, 0, SignedKind::Prevote), digest(height)).unwrap();
        table.allow(slot(height, 0, SignedKind::Precommit), digest(height)).unwrap();
        table.committed(0, height);
    }
    let size = std::fs::metadata(Protection::path(dir.path(), SIGNER)).unwrap().len();
    assert!(size < 2 * (COMPACT_LINES * (8 + RECORD_LEN)) as u64, "{size}");
    drop(table);
    let mut table = opened(dir.path(), true).unwrap();
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
    let mut table = opened(dir.path(), true).unwrap();
    for height in 1..=COMPACT_LINES as u64 + 1 {
        table.allow(slot(height, 0, SignedKind::Prevote), digest(height)).unwrap();
        table.committed(0, height);
    }
    let (fork, height) = table.not_replayed(5, None).unwrap();
    assert_eq!((fork, height), (0, COMPACT_LINES as u64 + 1));
    table.keep_silent(silent(fork, height)).unwrap();
    assert_eq!(table.allow(slot(5, 0, SignedKind::Prevote), digest(9)).unwrap(), Permission::Withhold);
    assert_eq!(table.allow(slot(height + 1, 0, SignedKind::Prevote), digest(9)).unwrap(), Permission::Sign);
}

#[test]
fn what_the_engine_cannot_replay_is_found() {
    use SignedKind::{Precommit, Prevote, Proposal};
    let dir = tempfile::tempdir().unwrap();
    let mut table = opened(dir.path(), true).unwrap();
    for (n, at) in
        [slot(6, 0, Precommit), slot(7, 0, Proposal), slot(7, 0, Prevote), slot(7, 0, Precommit), slot(7, 1, Prevote)]
            .into_iter()
            .enumerate()
    {
        table.allow(at, digest(n as u64)).unwrap();
    }
    drop(table);
    let table = opened(dir.path(), true).unwrap();
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
    let mut table = opened(dir.path(), true).unwrap();
    table.keep_silent(silent(0, 9)).unwrap();
    table.keep_silent(silent(0, 7)).unwrap();
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
        table = opened(dir.path(), true).unwrap();
    }
    assert_eq!(table.allow(slot(11, 0, SignedKind::Prevote), digest(1)).unwrap(), Permission::Sign);
}

#[test]
fn an_unknown_line_stops_the_node() {
    let dir = tempfile::tempdir().unwrap();
    drop(opened(dir.path(), true).unwrap());
    let (mut log, _) = RecordLog::open(&Protection::path(dir.path(), SIGNER), RECORD_LEN, Damage::Refuse).unwrap();
    log.append(&[9; RECORD_LEN]).unwrap();
    drop(log);
    assert!(matches!(opened(dir.path(), true), Err(ProtectionError::Unknown(1))));
}

/// Nothing but `create` makes a table, and none is ever replaced: one that is not there says nothing.
#[test]
fn a_table_is_made_only_on_purpose() {
    let dir = tempfile::tempdir().unwrap();
    let missing = || matches!(Protection::open(dir.path(), SIGNER, true), Err(ProtectionError::Missing { .. }));
    assert!(missing());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "opening leaves nothing behind");
    // What a crash leaves of its making.
    std::fs::write(Protection::path(dir.path(), SIGNER), b"").unwrap();
    assert!(missing());
    Protection::create(dir.path(), SIGNER, Marks::default()).unwrap();
    let mut table = Protection::open(dir.path(), SIGNER, true).unwrap();
    assert!(table.is_new());
    table.allow(slot(7, 0, SignedKind::Prevote), digest(1)).unwrap();
    assert!(!table.is_new());
    assert!(matches!(Protection::create(dir.path(), SIGNER, silent(0, 9)), Err(ProtectionError::Locked(_))));
    drop(table);
    assert!(matches!(Protection::create(dir.path(), SIGNER, silent(0, 9)), Err(ProtectionError::Exists(_))));
    let mut table = Protection::open(dir.path(), SIGNER, true).unwrap();
    assert_eq!(table.signed(&slot(7, 0, SignedKind::Prevote)), Some(digest(1)));
    assert_eq!(table.allow(slot(8, 0, SignedKind::Prevote), digest(1)).unwrap(), Permission::Sign);
    // The table of one key is none of another's, whatever its name.
    let other = Address::repeat_byte(0x52);
    assert!(matches!(Protection::open(dir.path(), other, true), Err(ProtectionError::Missing { .. })));
    drop(table);
    std::fs::rename(Protection::path(dir.path(), SIGNER), Protection::path(dir.path(), other)).unwrap();
    let foreign = Protection::open(dir.path(), other, true);
    assert!(matches!(foreign, Err(ProtectionError::Foreign { found: SIGNER, .. })));
}

/// A table made for a key whose past is lost: silent up to a height of every fork, and that only ever rises.
#[test]
fn a_table_made_above_a_height_is_silent_below() {
    let dir = tempfile::tempdir().unwrap();
    let above = |height| Marks { silent: None, above: Some(height) };
    Protection::restrict(dir.path(), SIGNER, above(9)).unwrap();
    Protection::restrict(dir.path(), SIGNER, above(12)).unwrap();
    Protection::restrict(dir.path(), SIGNER, above(5)).unwrap();
    let mut table = Protection::open(dir.path(), SIGNER, true).unwrap();
    assert!(!table.is_new());
    assert_eq!(table.content().0, above(12));
    for round in 0..COMPACT_LINES as u32 + 10 {
        assert_eq!(table.allow(slot(13, round, SignedKind::Prevote), digest(1)).unwrap(), Permission::Sign);
        table.committed(0, 3);
    }
    assert_eq!(table.floor, Some((0, 2)), "compacted");
    for _ in 0..2 {
        for fork in 0..2 {
            let at = Slot { fork, ..slot(12, 0, SignedKind::Proposal) };
            assert_eq!(table.allow(at, digest(1)).unwrap(), Permission::Withhold);
        }
        drop(table);
        table = Protection::open(dir.path(), SIGNER, true).unwrap();
    }
}

/// A signature of the key that is on the chain and not in the table was made elsewhere, or by a newer table.
#[test]
fn a_signature_that_the_table_does_not_know_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    Protection::restrict(dir.path(), SIGNER, silent(0, 4)).unwrap();
    let mut table = Protection::open(dir.path(), SIGNER, true).unwrap();
    let at = slot(7, 0, SignedKind::Precommit);
    table.allow(at, digest(1)).unwrap();
    table.recognise(at, digest(1)).unwrap();
    table.recognise(slot(4, 0, SignedKind::Precommit), digest(9)).unwrap();
    for (slot, other) in
        [(at, digest(2)), (slot(7, 1, SignedKind::Precommit), digest(1)), (slot(5, 0, at.kind), digest(1))]
    {
        let unknown = table.recognise(slot, other).unwrap_err();
        assert!(matches!(unknown, ProtectionError::Outdated { signer: SIGNER, .. }), "{unknown}");
    }
}
