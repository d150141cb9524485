//! Has every contradiction convicted on L1, once and without anybody's help.
//!
//! What is to be done follows from the record of cases and from L1 alone: a case is pending until its signer is
//! convicted in a confirmed block, whoever reported it, under every set that its messages name and L1 judges. So nothing is
//! lost by a restart, a failing L1 or a reorganisation, and nothing is sent that L1 has already.
//!
//! What L1 says comes from endpoints that may lag or lie. So a case is settled only by what all endpoints that answer say of
//! one confirmed block, and looked at again some times later, also after a restart: what was settled wrongly is opened
//! again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::Address;
use rota_protocol::member::FrozenSet;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Case, EvidenceStore, Sets, Status, StoreError,
    court::{Court, Jurisdiction, KnownSets, Ruling},
};
use crate::batcher::SubmitError;

/// Time between two looks at pending cases.
const PERIOD: Duration = Duration::from_secs(2);
/// Longest pause after failures of L1.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// Reporters that take turns; the others go with the last of them.
const MAX_RANK: u32 = 8;
/// Pause before a settled case is looked at again; each later one is twice as long.
pub const REVIEW: Duration = Duration::from_secs(60);
/// Looks at a settled case in the life of a process: almost three days, of the four that evidence counts for on mainnet.
const REVIEWS: u32 = 12;
/// After so many times the first pause a case that L1 keeps waiting is asked about elsewhere.
const STANDSTILL: u32 = 30;

/// Reports what the watcher finds.
pub struct Reporter {
    /// Cases.
    pub store: EvidenceStore,
    /// Judges; `None` if there is nobody to ask, or no account to pay for it.
    pub court: Option<Arc<dyn Court>>,
    /// Frozen sets.
    pub sets: Sets,
    /// This node's consensus key: nobody reports itself.
    pub own: Option<Address>,
    /// Who is paid for proofs.
    pub recipient: Address,
    /// Head start of each better ranked reporter.
    pub turn: Duration,
    /// Pause before a settled case is looked at again: [`REVIEW`].
    pub review: Duration,
    /// Wakes the reporter.
    pub found: Arc<Notify>,
}

/// What this process knows of a case beyond the record.
struct Look {
    /// When the case was first seen in its status: turns count from then.
    since: Instant,
    /// Looks since, and when the next one is due if the case is settled.
    looks: u32,
    next: Instant,
}

impl Look {
    fn first(review: Duration) -> Self {
        let now = Instant::now();
        Self { since: now, looks: 0, next: now + review }
    }

    /// Counts a look.
    fn count(&mut self, review: Duration) {
        self.looks = self.looks.saturating_add(1);
        self.next = Instant::now() + review * 2u32.saturating_pow(self.looks.min(REVIEWS));
    }

    /// When a case of that status is looked at next; `None` if not in the life of this process.
    fn due(&self, status: Status) -> Option<Instant> {
        match status {
            Status::Pending => Some(self.since),
            Status::Convicted | Status::Refused => (self.looks < REVIEWS).then_some(self.next),
        }
    }
}

/// What L1 says to a case.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// Convictions are due, of each operator under each σ; the first is judged in the set of the message of that index.
    Due(Vec<(u32, u32)>, usize),
    /// Nothing is due any more.
    Settled(Status),
    /// L1 has to go on first, or this node to read a set.
    Waits,
}

/// How a signer answers in one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// A conviction of that operator is due.
    Due(u32),
    /// Convicted, and that is confirmed.
    Convicted,
    /// Not at all, for good.
    Never,
    /// L1 has to go on first.
    Waits,
    /// This node has to read the set first: L1 wants to see its members.
    Unread,
}

impl Reporter {
    /// Reports until `shutdown`.
    ///
    /// # Errors
    /// The record of cases failed; failures of L1 are retried for ever.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), StoreError> {
        let (mut looks, mut failures, mut left) = (HashMap::new(), 0u32, Instant::now());
        let standstill = self.review * STANDSTILL;
        loop {
            let cases = self.store.cases()?;
            let pending = cases.iter().filter(|case| case.status == Status::Pending).count();
            metrics::gauge!("rota_evidence_pending").set(pending as f64);
            let on_record: HashSet<_> = cases.iter().map(Case::key).collect();
            looks.retain(|key, _| on_record.contains(key));
            let (mut failed, mut stands_still, mut next) = (false, false, None);
            for mut case in cases {
                let look = looks.entry(case.key()).or_insert_with(|| Look::first(self.review));
                if look.due(case.status).is_some_and(|due| due <= Instant::now()) {
                    let outcome = tokio::select! {
                        () = shutdown.cancelled() => return Ok(()),
                        outcome = self.look(&case, look.since) => outcome,
                    };
                    look.count(self.review);
                    match outcome {
                        Ok(status) if status != case.status => {
                            tracing::info!(operator = case.id, before = ?case.status, now = ?status, "a contradiction");
                            self.store.set_status(&case, status)?;
                            (case.status, *look) = (status, Look::first(self.review));
                        }
                        Ok(Status::Pending) if self.own != Some(case.signer) => {
                            stands_still |= look.since.elapsed() > standstill;
                        }
                        Ok(_) => {}
                        Err(error) => {
                            failed = true;
                            metrics::counter!("rota_evidence_errors_total").increment(1);
                            tracing::warn!(%error, operator = case.id, failures, "a contradiction could not be reported");
                        }
                    }
                }
                // What is pending is looked at whenever anything is.
                let due =
                    if case.status == Status::Pending { Some(Instant::now() + PERIOD) } else { look.due(case.status) };
                next = [next, due].into_iter().flatten().min();
            }
            // Whatever an endpoint keeps a case waiting by, another one may know better.
            if let Some(court) = self.court.as_ref().filter(|_| stands_still)
                && left.elapsed() > standstill
            {
                court.leave();
                left = Instant::now();
            }
            failures = if failed { failures.saturating_add(1) } else { 0 };
            let backoff = MAX_BACKOFF.min(PERIOD * 2u32.saturating_pow(failures.min(8)));
            let next = next.max(failed.then(|| Instant::now() + backoff));
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.found.notified() => {}
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now).into()), if next.is_some() => {}
            }
        }
    }

    /// Does what is due for a case; its status from now on.
    async fn look(&self, case: &Case, since: Instant) -> Result<Status, SubmitError> {
        let Some(court) = &self.court else { return Ok(case.status) };
        let (first, second) = case.evidence.epochs();
        let sets: KnownSets = [(self.sets)(first), (self.sets)(second)];
        let (due, seat) = match self.ask(&**court, case, &sets).await? {
            Finding::Due(due, seat) => (due, seat),
            Finding::Settled(status) => return Ok(status),
            Finding::Waits => return Ok(case.status),
        };
        let is_own = self.own == Some(case.signer);
        let Some(set) = sets.get(seat).and_then(Option::as_deref).filter(|_| !is_own) else { return Ok(case.status) };
        if case.status != Status::Pending {
            return Ok(Status::Pending);
        }
        let culprit = set.index_of_signer(case.signer).map_or(case.index, |index| index as u32);
        if since.elapsed() < self.turn * rank(set, culprit, self.own) {
            return Ok(case.status);
        }
        if let Ruling::Convicted(transaction) = court.report(case, &sets, &due, self.recipient).await? {
            metrics::counter!("rota_evidence_reported_total").increment(1);
            tracing::warn!(operator = case.id, signer = %case.signer, %transaction, "convicted on L1");
        }
        Ok(case.status)
    }

    /// Asks L1 about a case.
    async fn ask(&self, court: &dyn Court, case: &Case, sets: &KnownSets) -> Result<Finding, SubmitError> {
        let (first, second) = case.evidence.epochs();
        let (mut due, mut seat, mut convicted, mut waits) = (Vec::new(), None, false, false);
        let named = if first == second { 1 } else { 2 };
        for (index, (sigma, set)) in [first, second].into_iter().zip(sets).take(named).enumerate() {
            match answer(court, case.signer, sigma, set.as_deref()).await? {
                Answer::Due(id) => {
                    due.push((id, sigma));
                    seat = seat.or(Some(index));
                }
                Answer::Convicted => convicted = true,
                Answer::Never => {}
                Answer::Waits => waits = true,
                Answer::Unread => return Ok(Finding::Waits),
            }
        }
        Ok(match seat {
            Some(seat) => Finding::Due(due, seat),
            None if waits => Finding::Waits,
            None if convicted => Finding::Settled(Status::Convicted),
            None => Finding::Settled(Status::Refused),
        })
    }
}

/// How `signer` answers in the set of `sigma`, which is `None` if this node does not know it.
async fn answer(
    court: &dyn Court,
    signer: Address,
    sigma: u32,
    set: Option<&FrozenSet>,
) -> Result<Answer, SubmitError> {
    let member = |set: &FrozenSet| set.index_of_signer(signer).and_then(|index| set.members().get(index).copied());
    let id = match set.map(member) {
        Some(Some(member)) => Some(member.id),
        Some(None) => return Ok(Answer::Never),
        None => None,
    };
    if let Some(id) = id
        && court.is_convicted(id, sigma).await?
    {
        return Ok(if court.is_confirmed(id, sigma).await? { Answer::Convicted } else { Answer::Waits });
    }
    Ok(match (court.jurisdiction(sigma).await?, id) {
        (Jurisdiction::Never, _) => Answer::Never,
        (Jurisdiction::Later, _) => Answer::Waits,
        (Jurisdiction::Now, Some(id)) => Answer::Due(id),
        (Jurisdiction::Now, None) => Answer::Unread,
    })
}

/// Place of the member `own` in the order of reporters of member `culprit`: the seats after the culprit's come first,
/// whoever is no member last.
pub(super) fn rank(set: &FrozenSet, culprit: u32, own: Option<Address>) -> u32 {
    let members = set.members().len() as u32;
    let index = own.and_then(|own| set.index_of_signer(own)).map(|index| index as u32);
    let rank = index.map_or(members - 1, |index| (index + members - culprit % members - 1) % members);
    rank.min(MAX_RANK)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use alloy_primitives::B256;
    use async_trait::async_trait;
    use parking_lot::Mutex;
    use rota_protocol::evidence::{MessageKind, Place};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::{
        consensus::tests::rules,
        evidence::tests::{domain, statement_under},
        l1::L1Error,
    };

    /// L1 as far as reporters see it.
    #[derive(Default)]
    struct FakeCourt(Mutex<Docket>);

    #[derive(Default)]
    struct Docket {
        /// Operators, and the sets they are convicted under.
        convicted: BTreeSet<(u32, u32)>,
        confirmed: BTreeSet<(u32, u32)>,
        reports: Vec<(u32, u32, Address)>,
        /// Requests that fail before L1 answers again.
        silent: u32,
        /// Sets that are not judged any more, and not yet.
        over: BTreeSet<u32>,
        later: BTreeSet<u32>,
        /// Sets that the node has not read.
        unread: BTreeSet<u32>,
        /// Endpoints left so far.
        left: u32,
        /// Questions so far.
        asked: u32,
    }

    /// Pause before a settled case is looked at again.
    const SOON: Duration = Duration::from_millis(5);

    impl FakeCourt {
        fn answer<T>(&self, read: impl FnOnce(&mut Docket) -> T) -> Result<T, SubmitError> {
            let mut docket = self.0.lock();
            docket.asked += 1;
            if docket.silent > 0 {
                docket.silent -= 1;
                return Err(L1Error::Rpc("silence".into()).into());
            }
            Ok(read(&mut docket))
        }
    }

    #[async_trait]
    impl Court for FakeCourt {
        async fn is_convicted(&self, id: u32, sigma: u32) -> Result<bool, SubmitError> {
            self.answer(|docket| docket.convicted.contains(&(id, sigma)))
        }

        async fn is_confirmed(&self, id: u32, sigma: u32) -> Result<bool, SubmitError> {
            self.answer(|docket| docket.confirmed.contains(&(id, sigma)))
        }

        async fn jurisdiction(&self, sigma: u32) -> Result<Jurisdiction, SubmitError> {
            self.answer(|docket| {
                if docket.over.contains(&sigma) {
                    Jurisdiction::Never
                } else if docket.later.contains(&sigma) {
                    Jurisdiction::Later
                } else {
                    Jurisdiction::Now
                }
            })
        }

        fn leave(&self) {
            self.0.lock().left += 1;
        }

        async fn report(
            &self,
            case: &Case,
            sets: &KnownSets,
            due: &[(u32, u32)],
            recipient: Address,
        ) -> Result<Ruling, SubmitError> {
            let set = sets.iter().flatten().find(|set| set.index_of_signer(case.signer).is_some());
            case.evidence.verify(set.unwrap(), &domain()).unwrap();
            self.answer(|docket| {
                for (id, sigma) in due {
                    docket.reports.push((*id, *sigma, recipient));
                    docket.convicted.insert((*id, *sigma));
                }
                Ruling::Convicted(B256::ZERO)
            })
        }
    }

    struct Bench {
        court: Arc<FakeCourt>,
        store: EvidenceStore,
        found: Arc<Notify>,
        token: CancellationToken,
        task: JoinHandle<Result<(), StoreError>>,
        _dir: tempfile::TempDir,
    }

    impl Bench {
        fn start(docket: Docket, cases: &[Case], own: Option<Address>) -> Self {
            Self::reviewing(SOON, docket, cases, own)
        }

        fn reviewing(review: Duration, docket: Docket, cases: &[Case], own: Option<Address>) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (store, _) = EvidenceStore::open(dir.path(), &domain()).unwrap();
            cases.iter().for_each(|case| assert!(store.open_case(case).unwrap()));
            let (court, found) = (Arc::new(FakeCourt(Mutex::new(docket))), Arc::new(Notify::new()));
            let set = rules(&[4, 3, 2, 1]).set;
            let l1 = Arc::clone(&court);
            // Member 1 left after epoch 8.
            let set_of = move |epoch| {
                let members = set.members()[usize::from(epoch > 8)..].to_vec();
                let is_read = !l1.0.lock().unread.contains(&epoch);
                is_read.then(|| Arc::new(FrozenSet::new(epoch, B256::ZERO, members).unwrap()))
            };
            let reporter = Reporter {
                store: store.clone(),
                court: Some(court.clone()),
                sets: Arc::new(set_of),
                own,
                recipient: Address::repeat_byte(9),
                turn: Duration::from_millis(1),
                review,
                found: Arc::clone(&found),
            };
            let token = CancellationToken::new();
            let task = tokio::spawn(reporter.run(token.clone()));
            Self { court, store, found, token, task, _dir: dir }
        }

        /// Waits until `done`; the pauses of the reporter pass at once.
        async fn wait(&self, mut done: impl FnMut(&Docket, &[Case]) -> bool) {
            for _ in 0..500 {
                if done(&self.court.0.lock(), &self.store.cases().unwrap()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
                self.found.notify_one();
            }
            panic!("{:?} {:?}", self.court.0.lock().reports, self.store.cases().unwrap());
        }

        async fn stop(self) {
            self.token.cancel();
            self.task.await.unwrap().unwrap();
        }
    }

    fn case(n: u8, height: u64) -> Case {
        case_under(2, n, height)
    }

    fn case_under(sigma: u32, n: u8, height: u64) -> Case {
        let place = Place { kind: MessageKind::Prevote, fork: 0, height, round: 0 };
        let (a, b) = (statement_under(sigma, n, place, "a"), statement_under(sigma, n, place, "b"));
        let (signer, id, index) = (a.signer, 10 + u32::from(n), u32::from(n) - 1);
        Case { evidence: a.against(&b), signer, id, index, status: Status::Pending }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_operator_is_reported_once_for_each_set_and_done_when_that_is_confirmed() {
        let docket = Docket { silent: 5, ..Docket::default() };
        // Three cases of one operator under one set: one report. Under another set: one more, convicted or not.
        let cases = [case(1, 5), case(1, 6), case(1, 7), case_under(3, 1, 8), case(2, 5)];
        let bench = Bench::start(docket, &cases, None);
        bench.wait(|docket, _| docket.convicted.len() == 3).await;
        let pending = |cases: &[Case]| cases.iter().filter(|case| case.status == Status::Pending).count();
        assert_eq!(pending(&bench.store.cases().unwrap()), 5, "not confirmed yet");
        // A reorganisation takes the last report away: it is made again.
        bench.court.0.lock().confirmed.insert((11, 2));
        bench.court.0.lock().convicted.remove(&(12, 2));
        bench.wait(|docket, cases| docket.convicted.contains(&(12, 2)) && pending(cases) == 2).await;
        bench.court.0.lock().confirmed.extend([(11, 3), (12, 2)]);
        bench.wait(|_, cases| cases.iter().all(|case| case.status == Status::Convicted)).await;
        let mut reports = bench.court.0.lock().reports.clone();
        reports.sort_unstable();
        let pairs: Vec<_> = reports.iter().map(|(id, sigma, _)| (*id, *sigma)).collect();
        assert_eq!(pairs, [(11, 2), (11, 3), (12, 2), (12, 2)]);
        assert!(reports.iter().all(|(_, _, recipient)| *recipient == Address::repeat_byte(9)));
        bench.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_reports_what_is_convicted_too_old_or_itself() {
        let convicted = Docket { convicted: [(11, 2)].into(), confirmed: [(11, 2)].into(), ..Docket::default() };
        let bench = Bench::start(convicted, &[case(1, 5)], None);
        bench.wait(|_, cases| cases[0].status == Status::Convicted).await;
        assert!(bench.court.0.lock().reports.is_empty());
        bench.stop().await;

        let bench = Bench::start(Docket { over: [2].into(), ..Docket::default() }, &[case(1, 5)], None);
        bench.wait(|_, cases| cases[0].status == Status::Refused).await;
        bench.stop().await;

        let own = case(1, 5).signer;
        let bench = Bench::start(Docket::default(), &[case(1, 5), case(2, 5)], Some(own));
        bench.wait(|docket, _| docket.convicted.contains(&(12, 2))).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(bench.court.0.lock().reports.len(), 1);
        bench.stop().await;
    }

    /// Member 1 prevotes for the sets of both epochs.
    fn case_between(first: u32, second: u32) -> Case {
        let place = Place { kind: MessageKind::Prevote, fork: 0, height: 5, round: 0 };
        let (a, b) = (statement_under(first, 1, place, "a"), statement_under(second, 1, place, "a"));
        Case { evidence: a.against(&b), signer: a.signer, id: 11, index: 0, status: Status::Pending }
    }

    /// Looks often enough for anything to happen; what was reported so far.
    async fn reported(bench: &Bench) -> Vec<(u32, u32)> {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            bench.found.notify_one();
        }
        bench.court.0.lock().reports.iter().map(|(id, sigma, _)| (*id, *sigma)).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_signed_for_two_sets_answers_in_both() {
        let status = |bench: &Bench| bench.store.cases().unwrap()[0].status;
        let bench = Bench::start(Docket::default(), &[case_between(2, 3)], None);
        assert_eq!(reported(&bench).await, [(11, 2), (11, 3)]);
        bench.court.0.lock().confirmed.insert((11, 2));
        assert_eq!((reported(&bench).await.len(), status(&bench)), (2, Status::Pending), "one is not confirmed");
        bench.court.0.lock().confirmed.insert((11, 3));
        bench.wait(|_, cases| cases[0].status == Status::Convicted).await;
        bench.stop().await;

        // Somebody had it convicted under either one: the other is due.
        for (done, due) in [(2, 3), (3, 2)] {
            let docket = Docket { convicted: [(11, done)].into(), confirmed: [(11, done)].into(), ..Docket::default() };
            let bench = Bench::start(docket, &[case_between(2, 3)], None);
            assert_eq!((reported(&bench).await, status(&bench)), (vec![(11, due)], Status::Pending));
            bench.stop().await;
        }

        // It was a member of one of them only.
        let bench = Bench::start(Docket::default(), &[case_between(8, 9)], None);
        assert_eq!(reported(&bench).await, [(11, 8)]);
        bench.court.0.lock().confirmed.insert((11, 8));
        bench.wait(|_, cases| cases[0].status == Status::Convicted).await;
        bench.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_set_that_is_not_judged_holds_up_nothing_and_one_that_is_not_read_does() {
        let status = |bench: &Bench| bench.store.cases().unwrap()[0].status;
        // Too old for one set, read here or not.
        for (over, left) in [(2, 3), (3, 2)] {
            for unread in [BTreeSet::new(), BTreeSet::from([over])] {
                let docket = Docket { over: [over].into(), unread, ..Docket::default() };
                let bench = Bench::start(docket, &[case_between(2, 3)], None);
                assert_eq!(reported(&bench).await, [(11, left)]);
                bench.court.0.lock().confirmed.insert((11, left));
                bench.wait(|_, cases| cases[0].status == Status::Convicted).await;
                bench.stop().await;
            }
        }
        // L1 judges a set that this node has yet to read.
        let bench = Bench::start(Docket { unread: [3].into(), ..Docket::default() }, &[case_between(2, 3)], None);
        assert_eq!((reported(&bench).await, status(&bench)), (vec![], Status::Pending));
        bench.court.0.lock().unread.clear();
        assert_eq!(reported(&bench).await, [(11, 2), (11, 3)]);
        bench.stop().await;
        // A set that has yet to start: under the other now, under this one then.
        let docket = Docket { later: [3].into(), confirmed: [(11, 2)].into(), ..Docket::default() };
        let bench = Bench::start(docket, &[case_between(2, 3)], None);
        assert_eq!((reported(&bench).await, status(&bench)), (vec![(11, 2)], Status::Pending));
        bench.court.0.lock().later.clear();
        assert_eq!(reported(&bench).await, [(11, 2), (11, 3)]);
        bench.stop().await;
    }

    /// An endpoint says that the set is too old, or that its member is convicted, in blocks that are confirmed; later
    /// another one answers, or the same one tells the truth.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_settled_by_a_lie_is_opened_again() {
        let status = |bench: &Bench| bench.store.cases().unwrap()[0].status;
        let refused = Docket { over: [2].into(), ..Docket::default() };
        let convicted = Docket { convicted: [(11, 2)].into(), confirmed: [(11, 2)].into(), ..Docket::default() };
        for (docket, settled) in [(refused, Status::Refused), (convicted, Status::Convicted)] {
            let bench = Bench::start(docket, &[case(1, 5)], None);
            bench.wait(|_, cases| cases[0].status == settled).await;
            assert_eq!(reported(&bench).await, []);
            *bench.court.0.lock() = Docket::default();
            bench.wait(|docket, _| docket.reports.len() == 1).await;
            assert_eq!(status(&bench), Status::Pending);
            bench.court.0.lock().confirmed.insert((11, 2));
            bench.wait(|_, cases| cases[0].status == Status::Convicted).await;
            assert_eq!(reported(&bench).await, [(11, 2)]);
            bench.stop().await;
        }
        // What L1 cannot tell changes nothing.
        let bench = Bench::start(Docket { over: [2].into(), ..Docket::default() }, &[case(1, 5)], None);
        bench.wait(|_, cases| cases[0].status == Status::Refused).await;
        *bench.court.0.lock() = Docket { silent: 3, later: [2].into(), ..Docket::default() };
        assert_eq!((reported(&bench).await, status(&bench)), (vec![], Status::Refused));
        bench.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_settled_case_is_looked_at_a_bounded_number_of_times() {
        let bench = Bench::reviewing(
            Duration::from_micros(1),
            Docket { over: [2].into(), ..Docket::default() },
            &[case(1, 5)],
            None,
        );
        // Two questions for each look.
        bench.wait(|docket, _| docket.asked == 2 * (1 + REVIEWS)).await;
        assert_eq!(reported(&bench).await, []);
        assert_eq!(bench.court.0.lock().asked, 2 * (1 + REVIEWS));
        bench.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_endpoint_that_keeps_a_case_waiting_is_left_now_and_then() {
        // Convicted in the newest block, it says, and never in a confirmed one.
        let bench = Bench::start(Docket { convicted: [(11, 2)].into(), ..Docket::default() }, &[case(1, 5)], None);
        bench.wait(|docket, _| docket.left >= 2).await;
        bench.stop().await;
        // What this node waits for by itself is nobody's fault.
        let own = case(1, 5).signer;
        let bench = Bench::start(Docket::default(), &[case(1, 5)], Some(own));
        reported(&bench).await;
        assert_eq!(bench.court.0.lock().left, 0);
        bench.stop().await;
    }

    #[test]
    fn members_take_turns_and_strangers_come_last() {
        let set = rules(&[4, 3, 2, 1]).set;
        for culprit in 0..4u32 {
            let rank_of = |index: usize| rank(&set, culprit, Some(set.members()[index].signer));
            let others: BTreeSet<_> = (0..4).filter(|index| *index != culprit as usize).map(rank_of).collect();
            assert_eq!(others, BTreeSet::from([0, 1, 2]));
            assert_eq!(rank(&set, culprit, None), 3);
        }
    }
}
