//! What is kept, found again, and let go.

use alloy_primitives::Address;

use super::*;
use crate::evidence::tests::{domain, statement, statement_under};

fn place(height: u64, round: u32) -> Place {
    Place { kind: MessageKind::Prevote, fork: 0, height, round }
}

#[test]
fn statements_and_cases_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut messages) = EvidenceStore::open(dir.path(), &domain()).unwrap();
    let first = statement(1, place(7, 0), "a");
    let second = statement(1, place(7, 0), "b");
    let far = Statement {
        pol_round: -1,
        ..statement(2, Place { kind: MessageKind::Proposal, ..place(5 * SEGMENT, 3) }, "a")
    };
    messages.insert(&first).unwrap();
    messages.insert(&far).unwrap();
    messages.certified(7, 2, 2, 1_000).unwrap();
    let case =
        Case { evidence: first.against(&second), signer: first.signer, id: 11, index: 0, status: Status::Pending };
    assert!(store.open_case(&case).unwrap());
    assert!(!store.open_case(&case).unwrap(), "known");
    drop((store, messages));

    let (store, messages) = EvidenceStore::open(dir.path(), &domain()).unwrap();
    assert_eq!(messages.get(&first.place, first.signer).unwrap(), Some(first));
    assert_eq!(messages.get(&far.place, far.signer).unwrap(), Some(far));
    assert_eq!(messages.get(&place(7, 1), first.signer).unwrap(), None);
    assert_eq!(messages.get(&first.place, far.signer).unwrap(), None);
    assert_eq!(
        (store.certified().unwrap(), store.decided_round(7).unwrap(), store.decided_round(6).unwrap()),
        (7, 2, 0)
    );
    assert_eq!(store.cases().unwrap(), std::slice::from_ref(&case));
    store.set_status(&case, Status::Convicted).unwrap();
    assert_eq!(store.cases().unwrap()[0].status, Status::Convicted);
    assert!(!store.open_case(&case).unwrap(), "closed, not forgotten");
    drop((store, messages));
    let other = VoteDomain::new(1, Address::ZERO);
    assert!(matches!(EvidenceStore::open(dir.path(), &other), Err(StoreError::OtherChain)));
}

#[test]
fn what_another_version_wrote_is_refused_with_the_way_out() {
    let change = |dir: &tempfile::TempDir, change: &dyn Fn(&EvidenceStore)| {
        let (store, _messages) = EvidenceStore::open(dir.path(), &domain()).unwrap();
        change(&store);
        store.sync().unwrap();
    };
    let refusal = |dir: &tempfile::TempDir| EvidenceStore::open(dir.path(), &domain()).err().unwrap();
    // From before there were numbers.
    let [old, newer] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    change(&old, &|store| store.meta.remove(FORMAT).unwrap());
    change(&old, &|store| assert_eq!(store.meta.get(FORMAT).unwrap().unwrap().as_ref(), 1u64.to_be_bytes()));
    // What cannot be read is not passed over, nor does it end the process.
    change(&old, &|store| store.cases.insert("case", r#"{"evidence":1}"#).unwrap());
    assert!(matches!(refusal(&old), StoreError::Corrupt("a case")));

    change(&newer, &|store| store.meta.insert(FORMAT, 2u64.to_be_bytes()).unwrap());
    let error = refusal(&newer);
    assert!(matches!(error, StoreError::OtherFormat { found: 2 }), "{error}");
    assert!(error.to_string().contains("start the version that wrote it"), "{error}");
}

#[test]
fn what_one_signer_can_fill_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = EvidenceStore::open(dir.path(), &domain()).unwrap();
    let case = |n: u8, height| {
        let (a, b) = (statement(n, place(height, 0), "a"), statement(n, place(height, 0), "b"));
        Case { evidence: a.against(&b), signer: a.signer, id: n.into(), index: 0, status: Status::Pending }
    };
    let opened = (0..50).filter(|height| store.open_case(&case(1, *height)).unwrap()).count();
    assert_eq!(opened, MAX_PER_SIGNER);
    assert!(store.open_case(&case(2, 0)).unwrap(), "another signer");
}

#[test]
fn nobody_is_safe_by_contradictions_that_are_settled_or_about_other_sets() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut messages) = EvidenceStore::open(dir.path(), &domain()).unwrap();
    let case = |sigma, height| {
        let said = |block| statement_under(sigma, 1, place(height, 0), block);
        let (a, b) = (said("a"), said("b"));
        Case { evidence: a.against(&b), signer: a.signer, id: 11, index: 0, status: Status::Pending }
    };
    // As many as there is room for, of sets that nobody is judged for any more.
    for height in 0..MAX_PER_SIGNER as u64 {
        assert!(store.open_case(&case(2, height)).unwrap());
    }
    assert!(!store.open_case(&case(2, 50)).unwrap(), "there is no more room");
    assert!(store.open_case(&case(9, 60)).unwrap(), "it answers for another set meanwhile");
    for height in 0..MAX_PER_SIGNER as u64 {
        store.set_status(&case(2, height), Status::Refused).unwrap();
    }
    assert!(store.open_case(&case(2, 50)).unwrap(), "a fresh one");
    // What is settled is bounded, too, and the oldest is forgotten first.
    for height in 100..200 {
        assert!(store.open_case(&case(3, height)).unwrap());
        store.set_status(&case(3, height), Status::Convicted).unwrap();
    }
    let cases = store.cases().unwrap();
    let count = |status| cases.iter().filter(|case| case.status == status).count();
    assert_eq!((count(Status::Pending), count(Status::Refused), count(Status::Convicted)), (2, 0, 17));
    assert_eq!(cases.last().unwrap().evidence.place().height, 199);

    // They go with the messages of their heights.
    let far = case(4, SEGMENT);
    assert!(store.open_case(&far).unwrap());
    messages.insert(&statement(1, place(0, 0), "a")).unwrap();
    messages.certified(SEGMENT - 1, 0, 4, 1_000).unwrap();
    messages.prune(1_001, &|_| false).unwrap();
    assert_eq!(store.cases().unwrap(), [far]);
}

#[test]
fn whole_segments_are_forgotten_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut messages) = EvidenceStore::open(dir.path(), &domain()).unwrap();
    let at = |height| statement(1, place(height, 0), "a");
    let heights = [0, SEGMENT - 1, SEGMENT, 2 * SEGMENT];
    for height in heights {
        messages.insert(&at(height)).unwrap();
        messages.certified(height, 1, 2, 1_000 + height).unwrap();
    }
    messages.certified(2 * SEGMENT - 1, 0, 2, 1_000 + 2 * SEGMENT).unwrap();
    let kept = |messages: &Messages| {
        heights.map(|height| messages.get(&at(height).place, at(height).signer).unwrap().is_some())
    };
    messages.prune(1_000 + SEGMENT - 1, &|_| false).unwrap();
    assert_eq!(kept(&messages), [true; 4], "the first segment ended exactly at the horizon");
    messages.prune(1_000 + SEGMENT, &|_| false).unwrap();
    assert_eq!(kept(&messages), [false, false, true, true]);
    assert_eq!((store.decided_round(0).unwrap(), store.decided_round(SEGMENT).unwrap()), (0, 1));
    messages.prune(u64::MAX, &|_| false).unwrap();
    assert_eq!(kept(&messages), [false, false, false, true], "the open segment stays");
    drop((store, messages));
    let (_, messages) = EvidenceStore::open(dir.path(), &domain()).unwrap();
    assert_eq!(kept(&messages), [false, false, false, true]);
}

/// Two segments of σ 2, the first of which holds a case, a polka's votes and more; one of σ 3.
fn filled(path: &Path) -> (EvidenceStore, Messages, [Statement; 3]) {
    let (store, mut messages) = EvidenceStore::open(path, &domain()).unwrap();
    let said = [1, SEGMENT + 1, 2 * SEGMENT + 1].map(|height| statement(1, place(height, 1), "a"));
    let other = statement(1, place(1, 1), "b");
    said.iter().for_each(|said| messages.insert(said).unwrap());
    messages.insert_spare(&other, false).unwrap();
    messages.insert_foreign(&other).unwrap();
    let case =
        Case { evidence: said[0].against(&other), signer: said[0].signer, id: 11, index: 0, status: Status::Pending };
    assert!(store.open_case(&case).unwrap());
    messages.certified(1, 3, 2, 900).unwrap();
    for (segment, sigma) in [(1, 2), (2, 2), (3, 3)] {
        messages.certified(segment * SEGMENT - 1, 0, sigma, 1_000 * segment).unwrap();
    }
    (store, messages, said)
}

fn kept(store: &EvidenceStore, said: &[Statement; 3]) -> [bool; 3] {
    said.map(|said| store.message(&said.place, said.signer).unwrap().is_some())
}

#[test]
fn nothing_is_forgotten_that_somebody_is_judged_by() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut messages, said) = filled(dir.path());
    // Both epochs that its messages can name are judged: as long as nothing serves after them, for ever.
    messages.prune(u64::MAX, &|_| true).unwrap();
    messages.prune(u64::MAX, &|sigma| sigma >= 3).unwrap();
    assert_eq!((kept(&store, &said), store.floor().unwrap(), store.cases().unwrap().len()), ([true; 3], 0, 1));
    assert_eq!((store.spares_at(1).unwrap().len(), store.decided_round(1).unwrap()), (1, 3));
    messages.prune(1_001, &|sigma| sigma >= 4).unwrap();
    assert_eq!((kept(&store, &said), store.floor().unwrap()), ([false, true, true], SEGMENT));
    messages.prune(u64::MAX, &|sigma| sigma >= 4).unwrap();
    assert_eq!((kept(&store, &said), store.floor().unwrap()), ([false, false, true], 2 * SEGMENT));
    messages.prune(u64::MAX, &|_| false).unwrap();
    assert_eq!(kept(&store, &said), [false; 3]);
}

/// The process dies after the mark, and after the mark and any part of what follows.
#[test]
fn what_a_crash_left_to_forget_is_forgotten_at_the_next_start() {
    for done in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut messages, said) = filled(dir.path());
        assert_eq!(messages.raise_floor(1_001, &|_| false).unwrap(), Some(SEGMENT));
        assert_eq!(kept(&store, &said), [true; 3]);
        if done > 0 {
            store.ends.remove(0u64.to_be_bytes()).unwrap();
        }
        if done > 1 {
            let table = store.segments.write().remove(&0).unwrap();
            store.db.delete_keyspace(table).unwrap();
        }
        if done > 2 {
            store.rounds.remove(1u64.to_be_bytes()).unwrap();
        }
        drop((store, messages));
        let (store, mut messages) = EvidenceStore::open(dir.path(), &domain()).unwrap();
        assert_eq!((kept(&store, &said), store.floor().unwrap()), ([false, true, true], SEGMENT));
        assert_eq!((store.cases().unwrap().len(), store.spares_at(1).unwrap().len()), (0, 0));
        assert_eq!(
            (store.foreign(&said[0].place, said[0].signer).unwrap(), store.decided_round(1).unwrap()),
            (None, 0)
        );
        // And the next ones after it.
        messages.prune(u64::MAX, &|sigma| sigma >= 4).unwrap();
        assert_eq!((kept(&store, &said), store.certified().unwrap()), ([false, false, true], 3 * SEGMENT - 1));
    }
}
