//! Has every contradiction convicted on L1, once and without anybody's help.
//!
//! What is to be done follows from the record of cases and from L1 alone: a case is pending until its signer is
//! convicted under the case's set in a confirmed block, whoever reported it. So nothing is lost by a restart, a failing L1 or a
//! reorganisation, and nothing is sent that L1 has already.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::Address;
use rota_protocol::member::FrozenSet;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Case, EvidenceStore, Sets, Status, StoreError,
    court::{Court, Ruling, judged_under},
};
use crate::batcher::SubmitError;

/// Time between two looks at pending cases.
const PERIOD: Duration = Duration::from_secs(2);
/// Longest pause after failures of L1.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// Reporters that take turns; the others go with the last of them.
const MAX_RANK: u32 = 8;

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
    /// Wakes the reporter.
    pub found: Arc<Notify>,
}

/// What became of a look at a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Closed(Status),
    Waits,
}

impl Reporter {
    /// Reports until `shutdown`.
    ///
    /// # Errors
    /// The record of cases failed; failures of L1 are retried for ever.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), StoreError> {
        let (mut seen, mut failures) = (HashMap::new(), 0u32);
        loop {
            let pending: Vec<Case> =
                self.store.cases()?.into_iter().filter(|case| case.status == Status::Pending).collect();
            metrics::gauge!("rota_evidence_pending").set(pending.len() as f64);
            let idle = pending.is_empty();
            let mut failed = false;
            for case in pending {
                let since = *seen.entry(case.key()).or_insert_with(Instant::now);
                let step = tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    step = self.step(&case, since) => step,
                };
                match step {
                    Ok(Step::Waits) => {}
                    Ok(Step::Closed(status)) => {
                        tracing::info!(operator = case.id, ?status, "a contradiction is settled");
                        seen.remove(&case.key());
                        self.store.close_case(&case, status)?;
                    }
                    Err(error) => {
                        failed = true;
                        metrics::counter!("rota_evidence_errors_total").increment(1);
                        tracing::warn!(%error, operator = case.id, failures, "a contradiction could not be reported");
                    }
                }
            }
            failures = if failed { failures.saturating_add(1) } else { 0 };
            let pause = MAX_BACKOFF.min(PERIOD * 2u32.saturating_pow(failures.min(8)));
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.found.notified() => {}
                () = tokio::time::sleep(pause), if !idle => {}
            }
        }
    }

    async fn step(&self, case: &Case, since: Instant) -> Result<Step, SubmitError> {
        let Some(court) = &self.court else { return Ok(Step::Waits) };
        // A restarted node knows the sets again once it has read L1.
        let (first, second) = case.evidence.epochs();
        let sets = [(self.sets)(first), (self.sets)(second)];
        let Some(set) = judged_under(case, &sets) else { return Ok(Step::Waits) };
        let sigma = set.epoch();
        if court.is_convicted(case.id, sigma).await? {
            let confirmed = court.is_confirmed(case.id, sigma).await?;
            return Ok(if confirmed { Step::Closed(Status::Convicted) } else { Step::Waits });
        }
        if self.own == Some(case.signer) {
            return Ok(Step::Waits);
        }
        if since.elapsed() < self.turn * rank(set, case.index, self.own) {
            return Ok(Step::Waits);
        }
        match court.report(case, &sets, self.recipient).await? {
            Ruling::Convicted(transaction) => {
                metrics::counter!("rota_evidence_reported_total").increment(1);
                tracing::warn!(operator = case.id, signer = %case.signer, %transaction, "convicted on L1");
                Ok(Step::Waits)
            }
            Ruling::TooOld => Ok(Step::Closed(Status::Refused)),
            Ruling::Again | Ruling::AlreadyConvicted | Ruling::TooEarly => Ok(Step::Waits),
        }
    }
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
        evidence::{
            court::KnownSets,
            tests::{domain, statement_under},
        },
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
        too_old: bool,
    }

    impl FakeCourt {
        fn answer<T>(&self, read: impl FnOnce(&mut Docket) -> T) -> Result<T, SubmitError> {
            let mut docket = self.0.lock();
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

        async fn report(&self, case: &Case, sets: &KnownSets, recipient: Address) -> Result<Ruling, SubmitError> {
            case.evidence.verify(sets[0].as_ref().unwrap(), &domain()).unwrap();
            self.answer(|docket| {
                if docket.too_old {
                    return Ruling::TooOld;
                }
                let sigma = case.evidence.epochs().0;
                docket.reports.push((case.id, sigma, recipient));
                docket.convicted.insert((case.id, sigma));
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
            let dir = tempfile::tempdir().unwrap();
            let (store, _) = EvidenceStore::open(dir.path(), &domain()).unwrap();
            cases.iter().for_each(|case| assert!(store.open_case(case).unwrap()));
            let (court, found) = (Arc::new(FakeCourt(Mutex::new(docket))), Arc::new(Notify::new()));
            let set = rules(&[4, 3, 2, 1]).set;
            let set_of = move |epoch| FrozenSet::new(epoch, B256::ZERO, set.members().to_vec()).map(Arc::new).ok();
            let reporter = Reporter {
                store: store.clone(),
                court: Some(court.clone()),
                sets: Arc::new(set_of),
                own,
                recipient: Address::repeat_byte(9),
                turn: Duration::from_millis(1),
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

        let bench = Bench::start(Docket { too_old: true, ..Docket::default() }, &[case(1, 5)], None);
        bench.wait(|_, cases| cases[0].status == Status::Refused).await;
        bench.stop().await;

        let own = case(1, 5).signer;
        let bench = Bench::start(Docket::default(), &[case(1, 5), case(2, 5)], Some(own));
        bench.wait(|docket, _| docket.convicted.contains(&(12, 2))).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(bench.court.0.lock().reports.len(), 1);
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
