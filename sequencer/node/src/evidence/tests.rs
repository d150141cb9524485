//! The watcher on a chain without network: what is heard, when, and what is found in it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{B256, keccak256};
use k256::ecdsa::SigningKey;
use rota_protocol::{
    certificate::CommitCertificate,
    evidence::{Evidence, MessageKind, Place},
    vote::{self, VoteDomain, VoteKind, address_of},
};
use tempfile::TempDir;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{watcher::SYNC, *};
use crate::{
    chain::{DecidedBlock, DecidedChain, ExecutionEngine},
    consensus::{
        ConsensusStatus,
        tests::{self as consensus, chain::TestChain},
    },
};

const WEIGHTS: [u64; 4] = [40_000, 30_000, 30_000, 25_000];
/// σ of the test chain.
const SIGMA: u32 = 2;

pub(crate) fn domain() -> VoteDomain {
    consensus::domain()
}

fn key(n: u8) -> SigningKey {
    consensus::key(n)
}

/// What member `n` (from 1) says at `place` about a block of that name; "" is nil.
pub(crate) fn statement(n: u8, place: Place, block: &str) -> Statement {
    statement_under(SIGMA, n, place, block)
}

/// The same under another σ.
pub(crate) fn statement_under(epoch: u32, n: u8, place: Place, block: &str) -> Statement {
    let block_hash = if block.is_empty() { B256::ZERO } else { keccak256(block) };
    let Place { kind, fork, height, round } = place;
    let pol_round = if kind == MessageKind::Proposal { -1 } else { 0 };
    let vote = |kind| vote::Vote { kind, fork, epoch, height, round, block_hash }.digest(&domain());
    let digest = match kind {
        MessageKind::Prevote => vote(VoteKind::Prevote),
        MessageKind::Precommit => vote(VoteKind::Precommit),
        MessageKind::Proposal => vote::Proposal { fork, epoch, height, round, pol_round, block_hash }.digest(&domain()),
    };
    let signature = vote::sign(&key(n), digest).unwrap();
    Statement { place, signer: address_of(&key(n)), epoch, block_hash, pol_round, signature }
}

fn at(kind: MessageKind, height: u64, round: u32) -> Place {
    Place { kind, fork: 0, height, round }
}

fn says(n: u8, place: Place, block: &str) -> Heard {
    says_in(n, place, block, SIGMA)
}

fn says_in(n: u8, place: Place, block: &str, epoch: u32) -> Heard {
    let Statement { signer, block_hash, pol_round, signature, .. } = statement_under(epoch, n, place, block);
    let Place { kind, height, round, .. } = place;
    Heard { kind, height, round, block_hash, pol_round, signer, signature }
}

/// A watcher in one folder, which can be stopped and started again.
struct Bench {
    dir: TempDir,
    chain: Arc<TestChain>,
    status: watch::Sender<ConsensusStatus>,
    /// Whether the node has read the set from L1.
    is_read: Arc<AtomicBool>,
    running: Option<Running>,
}

struct Running {
    ear: Ear,
    store: EvidenceStore,
    token: CancellationToken,
    task: JoinHandle<Result<(), WatchError>>,
}

impl Bench {
    fn new() -> Self {
        let chain = TestChain::new(consensus::rules(&WEIGHTS));
        let status = watch::Sender::new(ConsensusStatus { height: 1, ..ConsensusStatus::default() });
        let is_read = Arc::new(AtomicBool::new(true));
        Self { dir: tempfile::tempdir().unwrap(), chain, status, is_read, running: None }
    }

    fn started() -> Self {
        let mut bench = Self::new();
        bench.start();
        bench
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn start(&mut self) {
        let (store, messages) = EvidenceStore::open(self.path(), &domain()).unwrap();
        let (ear, heard) = Ear::new();
        let (set, is_read) = (consensus::rules(&WEIGHTS).set, Arc::clone(&self.is_read));
        let watcher = Watcher {
            domain: domain(),
            chain: self.chain.clone(),
            rules: self.chain.clone(),
            sets: Arc::new(move |epoch| (epoch == SIGMA && is_read.load(Ordering::SeqCst)).then(|| Arc::clone(&set))),
            status: self.status.subscribe(),
            heard,
            store: store.clone(),
            messages,
            retain: Duration::from_secs(3_600),
            judged: Arc::new(|_| true),
            found: Arc::new(Notify::new()),
        };
        let token = CancellationToken::new();
        let task = tokio::spawn(watcher.run(token.clone()));
        self.running = Some(Running { ear, store, token, task });
    }

    async fn stop(&mut self) {
        let Running { token, task, .. } = self.running.take().unwrap();
        token.cancel();
        task.await.unwrap().unwrap();
    }

    fn hear(&self, heard: &[Heard]) {
        heard.iter().for_each(|heard| self.running.as_ref().unwrap().ear.hear(*heard));
    }

    fn cases(&self) -> Vec<Case> {
        self.running.as_ref().unwrap().store.cases().unwrap()
    }

    /// Decides the next block in `round`, signed by everybody but `absent`.
    async fn decide(&self, round: u32, absent: u8) {
        let rules = consensus::rules(&WEIGHTS);
        let block = self.chain.assemble(self.chain.attributes_for(11, 1_000));
        let vote = vote::Vote {
            kind: VoteKind::Precommit,
            fork: 0,
            epoch: SIGMA,
            height: block.number(),
            round,
            block_hash: block.hash,
        };
        let signers = (1..=4).filter(|n| *n != absent);
        let votes = signers.map(|n| (address_of(&key(n)), vote::sign(&key(n), vote.digest(&domain())).unwrap()));
        let certificate = CommitCertificate::from_votes(&rules.set, &vote, votes).unwrap();
        let context = (*self.chain.head_context()).clone();
        self.chain.commit(DecidedBlock { block, certificate, context }).await.unwrap();
        let height = self.chain.head_number() + 1;
        self.status.send_replace(ConsensusStatus { height, ..ConsensusStatus::default() });
    }

    /// Waits for `count` cases.
    async fn wait(&self, count: usize) -> Vec<Case> {
        for _ in 0..1_000 {
            let cases = self.cases();
            if cases.len() >= count {
                return cases;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{count} cases expected: {:?}", self.cases());
    }

    /// Waits until everything heard so far was looked at: a contradiction of member 4 tells. Cases of the others.
    async fn settle(&self, height: u64) -> Vec<Case> {
        let before = self.cases().len();
        let place = at(MessageKind::Proposal, height, 9);
        self.hear(&[says(4, place, "x"), says(4, place, "y")]);
        self.wait(before + 1).await;
        // What was taken together with it may come after it; what is heard now comes after all that.
        let last = says(4, at(MessageKind::Prevote, height, 10), "");
        self.hear(&[last]);
        let store = self.running.as_ref().unwrap().store.clone();
        let is_there = || store.message(&at(last.kind, height, last.round), last.signer).unwrap().is_some();
        for _ in 0..1_000 {
            if is_there() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(is_there());
        let mut cases = self.cases();
        cases.retain(|case| case.id != 14);
        cases
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contradictions_are_found_live_whatever_they_are_about() {
    let mut bench = Bench::started();
    let kinds = [MessageKind::Prevote, MessageKind::Precommit, MessageKind::Proposal];
    for (n, kind) in (1..).zip(kinds) {
        // Said again and again, once otherwise.
        let (first, second) = (says(n, at(kind, 1, 0), "a"), says(n, at(kind, 1, 0), "b"));
        bench.hear(&[first, first, says(n, at(kind, 1, 1), "b"), second, first, second]);
    }
    // A vote for nil contradicts one for a block.
    bench.hear(&[says(4, at(MessageKind::Prevote, 1, 0), "a"), says(4, at(MessageKind::Prevote, 1, 0), "")]);
    let cases = bench.wait(4).await;
    assert_eq!(cases.len(), 4);
    let set = consensus::rules(&WEIGHTS).set;
    for case in &cases {
        let culprit = case.evidence.verify(&set, &domain()).unwrap();
        assert_eq!((culprit.member.id, culprit.member.signer), (case.id, case.signer));
        assert_eq!(set.members()[case.index as usize].id, case.id);
    }
    let proposals = cases.iter().filter(|case| matches!(case.evidence, Evidence::DoubleProposal(_))).count();
    assert_eq!(proposals, 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_against_a_certificate_is_found_however_late() {
    let mut bench = Bench::started();
    for height in 1..=12 {
        bench.decide(u32::from(height == 2) * 3, 3).await;
    }
    // Ten heights late. Member 3 signed nothing, so whatever it says is its first word.
    let late = |n| says(n, at(MessageKind::Precommit, 2, 3), "another");
    bench.hear(&[late(3), late(1)]);
    let cases = bench.wait(1).await;
    assert_eq!((cases.len(), cases[0].id), (1, 11));
    let Evidence::DoubleVote(pair) = cases[0].evidence else { panic!("{cases:?}") };
    let certified = bench.chain.decided(2).unwrap().unwrap().block.hash;
    assert!([pair.first, pair.second].iter().any(|vote| vote.message.block_hash == certified));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_halves_may_lie_on_either_side_of_a_restart() {
    let mut bench = Bench::started();
    let place = at(MessageKind::Prevote, 1, 0);
    bench.hear(&[says(1, place, "a")]);
    bench.settle(1).await;
    bench.stop().await;
    // Decided while nobody listened: the certificates are read afterwards.
    for _ in 0..3 {
        bench.decide(0, 3).await;
    }
    bench.start();
    bench.hear(&[says(1, place, "b"), says(2, at(MessageKind::Precommit, 3, 0), "b")]);
    let cases = bench.wait(3).await;
    assert!(cases.iter().all(|case| case.status == Status::Pending));
    let mut ids: Vec<_> = cases.iter().map(|case| case.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [11, 12, 14]);
    bench.stop().await;
    bench.start();
    assert_eq!(bench.cases(), cases, "still to be reported");
    bench.stop().await;
}

/// As after a node lost what it knew of L1.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_waits_for_its_set_also_over_a_restart() {
    let mut bench = Bench::started();
    bench.decide(0, 3).await;
    bench.settle(1).await;
    bench.is_read.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        bench.decide(0, 3).await;
    }
    // Heard while the set is not known: of the height of a certificate that waits, and twice by a member that signed none.
    let place = |height| at(MessageKind::Precommit, height, 0);
    bench.hear(&[says(1, place(3), "other"), says(3, place(4), "a"), says(3, place(4), "b")]);
    tokio::time::sleep(3 * SYNC / 2).await;
    let certified = |bench: &Bench| bench.running.as_ref().unwrap().store.certified().unwrap();
    assert_eq!((certified(&bench), bench.cases().len()), (1, 1));
    bench.is_read.store(true, Ordering::SeqCst);
    let cases = bench.wait(3).await;
    assert!(cases.iter().any(|case| case.id == 11) && cases.iter().any(|case| case.id == 13), "{cases:?}");
    assert_eq!(certified(&bench), 4);

    // Again, and the process ends before the set is known.
    bench.is_read.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        bench.decide(0, 3).await;
    }
    bench.stop().await;
    bench.start();
    tokio::time::sleep(3 * SYNC / 2).await;
    assert_eq!(certified(&bench), 4);
    bench.is_read.store(true, Ordering::SeqCst);
    bench.hear(&[says(2, place(6), "other")]);
    assert!(bench.wait(4).await.iter().any(|case| case.id == 12 && case.evidence.place() == place(6)));
    assert_eq!(certified(&bench), 7);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_later_heights_wait_until_it_is_known_who_serves_them() {
    let mut bench = Bench::started();
    let place = at(MessageKind::Prevote, 3, 0);
    bench.hear(&[says(1, place, "a"), says(1, place, "b")]);
    assert!(bench.settle(1).await.is_empty());
    bench.decide(0, 0).await;
    assert!(bench.settle(2).await.is_empty());
    bench.decide(0, 0).await;
    let cases = bench.wait(3).await;
    assert!(cases.iter().any(|case| case.id == 11 && case.evidence.place() == place));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_convicted_by_what_it_did_not_sign_and_nothing_of_it_is_kept() {
    let mut bench = Bench::started();
    for _ in 0..2 {
        bench.decide(0, 0).await;
    }
    let place = at(MessageKind::Prevote, 3, 0);
    let honest = says(1, place, "a");
    let other = says(2, place, "b");
    bench.hear(&[
        honest,
        other,
        // Another's signature, another's name, a signature for another place.
        Heard { signature: other.signature, block_hash: other.block_hash, ..honest },
        Heard { block_hash: keccak256("b"), ..honest },
        Heard {
            signature: says(1, at(MessageKind::Precommit, 3, 0), "b").signature,
            block_hash: keccak256("b"),
            ..honest
        },
        // A key without a seat contradicts itself.
        says(9, place, "a"),
        says(9, place, "b"),
        // Said twice, proposed twice: with and without its polka.
        says(1, at(MessageKind::Proposal, 3, 1), "a"),
        Heard { pol_round: 0, ..says(1, at(MessageKind::Proposal, 3, 1), "a") },
    ]);
    // Far ahead, and at heights long decided in rounds that were never reached.
    let rounds: Vec<_> = (0..200).map(|round| says(1, at(MessageKind::Precommit, 3, round), "a")).collect();
    let heights: Vec<_> = (4..300).map(|height| says(1, at(MessageKind::Precommit, height, 0), "a")).collect();
    bench.hear(&[rounds, heights].concat());
    assert!(bench.settle(3).await.is_empty());
    bench.stop().await;

    let (_, messages) = EvidenceStore::open(bench.path(), &domain()).unwrap();
    let kept = |place: Place, n: u8| messages.get(&place, address_of(&key(n))).unwrap();
    assert_eq!(kept(place, 1).unwrap().block_hash, keccak256("a"));
    assert!(kept(place, 9).is_none());
    let rounds = (0..200).filter(|round| kept(at(MessageKind::Precommit, 3, *round), 1).is_some()).count();
    assert_eq!(rounds, 11, "the present round and ten ahead");
    assert!((4..300).all(|height| kept(at(MessageKind::Precommit, height, 0), 1).is_none()));
}

/// A key that signs for two sets, of which only one serves the height, is judged by L1; neither statement displaces one
/// that counts.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_for_another_set_convicts_and_counts_for_nothing() {
    let mut bench = Bench::started();
    let place = at(MessageKind::Prevote, 1, 0);
    // Before and after the one that counts, for the set before and the next one, for the same block and for another.
    bench.hear(&[says_in(1, place, "a", SIGMA - 1), says(1, place, "a")]);
    bench.hear(&[says(2, place, "a"), says_in(2, place, "b", SIGMA + 1)]);
    // Alone, and for a set far away: nothing to convict by.
    bench.hear(&[says_in(3, place, "a", SIGMA + 1), says_in(4, place, "a", SIGMA + 7), says(4, place, "a")]);
    bench.wait(2).await;
    let mut found = bench.settle(1).await;
    found.sort_by_key(|case| case.id);
    let set = consensus::rules(&WEIGHTS).set;
    let epochs: Vec<_> = found.iter().map(|case| (case.id, case.evidence.epochs())).collect();
    assert_eq!(epochs, [(11, (SIGMA - 1, SIGMA)), (12, (SIGMA, SIGMA + 1))]);
    found.iter().for_each(|case| assert_eq!(case.evidence.verify(&set, &domain()).unwrap().member.id, case.id));
    let store = bench.running.as_ref().unwrap().store.clone();
    let kept = store.message(&place, address_of(&key(1))).unwrap().unwrap();
    assert_eq!((kept.epoch, kept.block_hash), (SIGMA, keccak256("a")));
    assert!(store.message(&place, address_of(&key(3))).unwrap().is_none());
    bench.stop().await;
}

/// The prevotes of those members for `block` as a certificate brings them.
fn certificate(members: &[u8], height: u64, round: u32, block: &str) -> HeardPolka {
    let votes: Vec<_> = members.iter().map(|n| says(*n, at(MessageKind::Prevote, height, round), block)).collect();
    let signatures = votes.iter().map(|vote| (vote.signer, vote.signature)).collect();
    HeardPolka { height, round, block_hash: votes[0].block_hash, signatures }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_lock_is_suspected_unless_a_polka_explains_it() {
    let mut bench = Bench::started();
    let (prevote, precommit) =
        (|round| at(MessageKind::Prevote, 1, round), |round| at(MessageKind::Precommit, 1, round));
    // Member 1: no polka. Member 2: the later vote is heard before the lock. Member 3: prevotes nil, as it should.
    bench.hear(&[says(1, precommit(0), "a"), says(1, prevote(2), "b")]);
    bench.hear(&[says(2, prevote(2), "b"), says(2, precommit(0), "a")]);
    bench.hear(&[says(3, precommit(0), "a"), says(3, prevote(2), "")]);
    // In rounds 3 to 5 there is a polka for c in between.
    let voters = [1, 2, 4].map(|n| says(n, prevote(3), "c"));
    bench.hear(&voters);
    bench.hear(&[says(3, precommit(1), "a"), says(3, prevote(5), "c")]);
    bench.settle(1).await;
    let store = bench.running.as_ref().unwrap().store.clone();
    let suspicions = store.suspicions().unwrap();
    // Members 1 and 2 voted for c, too, while locked on a, and the polka of that very round is no excuse.
    let mut found: Vec<_> = suspicions.iter().map(|found| (found.id, found.pair.rounds())).collect();
    found.sort_by_key(|(id, rounds)| (*id, rounds.end));
    assert_eq!(found, [(11, 0..2), (11, 0..3), (12, 0..2), (12, 0..3)]);
    bench.stop().await;
}

/// A member that prevoted something else first must not take a polka from those who acted on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_certified_polka_stands_though_its_votes_were_said_twice() {
    let mut bench = Bench::started();
    let prevote = |round| at(MessageKind::Prevote, 1, round);
    bench.hear(&[says(2, prevote(3), "other")]);
    let ear = &bench.running.as_ref().unwrap().ear;
    // No quorum, a bad signature, a stranger: nothing is kept of these.
    ear.hear_polka(certificate(&[2, 3], 1, 3, "c"));
    let mut forged = certificate(&[2, 3, 4], 1, 4, "c");
    forged.signatures[0].1 = forged.signatures[1].1;
    ear.hear_polka(forged);
    ear.hear_polka(certificate(&[2, 3, 4, 9], 1, 5, "c"));
    ear.hear_polka(certificate(&[2, 3, 4], 1, 3, "c"));
    bench.hear(&[says(1, at(MessageKind::Precommit, 1, 1), "a"), says(1, prevote(6), "c")]);
    bench.wait(1).await;
    bench.settle(1).await;
    let store = bench.running.as_ref().unwrap().store.clone();
    let set = consensus::rules(&WEIGHTS).set;
    let found = |rounds| store.polka(&set, 0, 1, rounds, keccak256("c")).unwrap();
    assert_eq!(found(3..4).unwrap().signatures.len(), 3);
    assert_eq!((found(0..3), found(4..5)), (None, None));
    assert!(store.suspicions().unwrap().is_empty(), "{:?}", store.suspicions());
    // Its votes are looked at as any others: member 2 said two things.
    assert!(bench.cases().iter().any(|case| case.id == 12));
    bench.stop().await;
}

/// The engines ignore the certificate that the first word of a byzantine member comes in, and count the second.
#[tokio::test(flavor = "multi_thread")]
async fn a_polka_of_single_votes_stands_though_one_of_them_was_not_the_first() {
    let mut bench = Bench::started();
    let prevote = |round| at(MessageKind::Prevote, 1, round);
    bench.running.as_ref().unwrap().ear.hear_polka(certificate(&[2], 1, 3, ""));
    // As often as there are other blocks to vote for: there is room for a few.
    for blocks in [["c", "c", "d"], ["e", "f", "g"]] {
        bench.hear(&blocks.map(|block| says(2, prevote(3), block)));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bench.hear(&[says(3, prevote(3), "c"), says(4, prevote(3), "c")]);
    // Who locked on another block before acted on that polka.
    bench.hear(&[says(1, at(MessageKind::Precommit, 1, 1), "a"), says(1, prevote(6), "c")]);
    bench.wait(1).await;
    bench.settle(1).await;
    let store = bench.running.as_ref().unwrap().store.clone();
    let set = consensus::rules(&WEIGHTS).set;
    let polka = store.polka(&set, 0, 1, 3..4, keccak256("c")).unwrap().unwrap();
    assert_eq!((polka.round, polka.signatures.len()), (3, 3));
    assert!(store.suspicions().unwrap().is_empty(), "{:?}", store.suspicions());
    assert_eq!(store.message(&prevote(3), address_of(&key(2))).unwrap().unwrap().block_hash, B256::ZERO);
    assert_eq!(store.spares_at(1).unwrap().len(), 3);
    bench.stop().await;
}

/// Junk in the name of every member, about everything that can be said now: what honest members say elsewhere is looked at,
/// and what the engine acted on answers whom the junk was to leave without an answer.
#[tokio::test(flavor = "multi_thread")]
async fn junk_takes_no_evidence_and_no_answer_from_the_record() {
    let mut bench = Bench::started();
    let prevote = |round| at(MessageKind::Prevote, 1, round);
    let ear = bench.running.as_ref().unwrap().ear.clone();
    let flood = |from: u64| {
        for n in 1..=4 {
            let template = says(n, at(MessageKind::Proposal, 1, 0), "junk");
            for junk in from..from + 4_000 {
                let kind = [MessageKind::Prevote, MessageKind::Precommit][junk as usize % 2];
                let (height, round) = (1 + junk / 2 % 2 * 8, (junk / 4 % 11) as u32);
                let block_hash = keccak256(junk.to_be_bytes());
                ear.hear(Heard { kind, height, round, block_hash, ..template });
            }
        }
    };
    flood(0);
    // Member 1 broke a lock, which the polka in between excuses: the engine has it from its own log.
    let engine = ear.of_engine();
    let said = [2, 3, 4].map(|n| says(n, prevote(3), "c"));
    let locked = [says(1, at(MessageKind::Precommit, 1, 1), "a"), says(1, prevote(6), "c")];
    said.iter().chain(&locked).for_each(|said| engine.hear(*said));
    // Member 2 says two things at a later height.
    let later = at(MessageKind::Prevote, 2, 0);
    bench.hear(&[says(2, later, "a"), says(2, later, "b")]);
    flood(4_000);
    assert_eq!(bench.settle(1).await.len(), 0);
    let running = bench.running.as_ref().unwrap();
    let set = consensus::rules(&WEIGHTS).set;
    assert_eq!(running.store.polka(&set, 0, 1, 1..6, keccak256("c")).unwrap().unwrap().signatures.len(), 3);
    assert!(running.store.suspicions().unwrap().is_empty(), "{:?}", running.store.suspicions());
    bench.decide(0, 0).await;
    let cases = bench.wait(2).await;
    assert!(cases.iter().any(|case| case.id == 12 && case.evidence.place() == later));
    assert_eq!(bench.cases().iter().filter(|case| case.id != 14).count(), 1);
    bench.stop().await;
}

/// The network brings other votes of a member first, as many as there is room for: the one that the engine counts has a
/// room of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_counts_is_kept_however_much_was_said_before() {
    let mut bench = Bench::started();
    let place = at(MessageKind::Prevote, 1, 3);
    for block in ["", "d", "e", "f", "g"] {
        bench.hear(&[says(2, place, block)]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.settle(1).await;
    let ear = bench.running.as_ref().unwrap().ear.of_engine();
    // A round that consensus has not told of yet, too: the engine got there by a certificate.
    let far = at(MessageKind::Prevote, 1, 30);
    [2, 3, 4].iter().for_each(|n| ear.hear(says(*n, place, "c")));
    [2, 3, 4].iter().for_each(|n| ear.hear(says(*n, far, "c")));
    let store = bench.running.as_ref().unwrap().store.clone();
    let set = consensus::rules(&WEIGHTS).set;
    // Stopped at once: what the engine wrote to its log is looked at all the same.
    bench.stop().await;
    for round in [3, 30] {
        let polka = store.polka(&set, 0, 1, round..round + 1, keccak256("c")).unwrap();
        assert_eq!(polka.unwrap().signatures.len(), 3, "round {round}");
    }
}

/// Members that decided a block and, when nobody records the rounds after it any more, vote for another one there.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_broken_long_after_the_decision_is_suspected_and_takes_no_room() {
    let mut bench = Bench::started();
    for _ in 0..270 {
        bench.decide(0, 3).await;
    }
    bench.settle(271).await;
    let stray = |n, round, block: &str| says(n, at(MessageKind::Prevote, 5, round), block);
    let forged = Heard { signature: stray(2, 8, "b").signature, ..stray(2, 7, "b") };
    let decided = bench.chain.decided(5).unwrap().unwrap().block.hash;
    bench.hear(&[
        stray(1, 7, "b"),
        // Honest: nil under a lock, and anything without one, for member 3 did not precommit.
        stray(2, 7, ""),
        stray(3, 7, "b"),
        forged,
        // In the running height, far beyond its round.
        says(2, at(MessageKind::Precommit, 271, 0), "a"),
        says(2, at(MessageKind::Prevote, 271, 900), "b"),
    ]);
    bench.settle(269).await;
    let store = bench.running.as_ref().unwrap().store.clone();
    let found: Vec<_> = store.suspicions().unwrap();
    let named = |id: u32| found.iter().filter(move |found| found.id == id).map(|found| found.pair);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(named(11).all(|pair| (pair.rounds(), pair.lock.message.block_hash) == (0..7, decided)));
    assert!(named(12).all(|pair| (pair.rounds(), pair.vote.message.height) == (0..900, 271)));
    assert_eq!((named(11).count(), named(12).count()), (1, 1));
    assert!(store.message(&at(MessageKind::Prevote, 5, 7), address_of(&key(1))).unwrap().is_none());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_member_cannot_fill_the_past() {
    let mut bench = Bench::started();
    for _ in 0..300 {
        bench.decide(0, 1).await;
    }
    bench.settle(300).await;
    let said: Vec<_> = (0..20).map(|round| says(1, at(MessageKind::Precommit, 5, round), "a")).collect();
    let recent: Vec<_> = (0..20).map(|round| says(1, at(MessageKind::Precommit, 290, round), "a")).collect();
    bench.hear(&[said, recent].concat());
    bench.settle(299).await;
    bench.stop().await;
    let (_, messages) = EvidenceStore::open(bench.path(), &domain()).unwrap();
    let kept = |height| {
        let place = |round| at(MessageKind::Precommit, height, round);
        (0..20).filter(|round| messages.get(&place(*round), address_of(&key(1))).unwrap().is_some()).count()
    };
    assert_eq!((kept(5), kept(290)), (1, 11));
}
