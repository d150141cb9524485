//! Amnesia against the real contract on anvil; its neighbours are stand-ins that answer what they must.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use alloy::{
    providers::{DynProvider, Provider, ProviderBuilder, ext::AnvilApi},
    rpc::types::{BlockNumberOrTag, TransactionRequest},
};
use alloy_node_bindings::AnvilInstance;
use alloy_primitives::{Address, Bytes, keccak256};
use alloy_sol_types::SolCall;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rota_bindings::{AmnesiaFault, Slasher, generated::amnesia_fault::IEvidence};
use rota_protocol::{config::ContractsConfig, evidence::Place};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{advocate::Memory, court::Standing, *};
use crate::{
    batcher::Submitter,
    chain::L1Ref,
    consensus::{ConsensusStatus, tests::rules},
    evidence::{
        EvidenceStore, Messages, report,
        tests::{domain, statement},
    },
    keys,
    l1::{
        HttpSource, L1Progress,
        tests::{anvil, relay},
    },
};

/// 2, 3 and 4 are more than two thirds, 2 and 3 are not.
const WEIGHTS: [u64; 4] = [20, 40, 40, 20];
/// Time for an answer, seconds.
const WINDOW: u64 = 1_000;
const HEIGHT: u64 = 7;

fn set() -> Arc<FrozenSet> {
    rules(&WEIGHTS).set
}

fn said(n: u8, kind: MessageKind, round: u32, block: &str) -> Statement {
    statement(n, Place { kind, fork: 0, height: HEIGHT, round }, block)
}

/// Member 1 locks X in round 1 and prevotes Y in round 3.
fn broken_lock() -> [Statement; 2] {
    [said(1, MessageKind::Precommit, 1, "X"), said(1, MessageKind::Prevote, 3, "Y")]
}

/// What makes that honest.
fn polka() -> [Statement; 3] {
    [2, 3, 4].map(|n| said(n, MessageKind::Prevote, 2, "Y"))
}

#[test]
fn a_pair_is_a_lock_and_a_later_prevote_for_another_block() {
    use MessageKind::{Precommit, Prevote, Proposal};
    let found = |said: &[Statement]| -> Vec<(u32, u32)> {
        let pair = |pair: &Pair| (pair.rounds().start, pair.rounds().end);
        pairs(said, 0, 2).iter().map(pair).collect()
    };
    let vote = |kind, round, block| said(1, kind, round, block);
    assert_eq!(found(&[vote(Precommit, 1, "X"), vote(Prevote, 3, "Y")]), [(1, 3)]);
    // In one round the prevote comes first; nil neither locks nor breaks; the same block is no contradiction.
    assert!(found(&[vote(Prevote, 1, "Y"), vote(Precommit, 1, "X")]).is_empty());
    assert!(found(&[vote(Precommit, 1, ""), vote(Prevote, 2, "Y")]).is_empty());
    assert!(found(&[vote(Precommit, 1, "X"), vote(Prevote, 2, "")]).is_empty());
    assert!(found(&[vote(Precommit, 1, "X"), vote(Prevote, 2, "X")]).is_empty());
    assert!(found(&[vote(Precommit, 1, "X"), vote(Proposal, 2, "Y")]).is_empty());
    // The latest lock counts, unless it is on the block itself.
    assert_eq!(found(&[vote(Precommit, 0, "X"), vote(Precommit, 2, "Z"), vote(Prevote, 3, "Y")]), [(2, 3)]);
    assert_eq!(found(&[vote(Precommit, 0, "X"), vote(Precommit, 2, "Y"), vote(Prevote, 3, "Y")]), [(0, 3)]);
    // Another fork, another set: nobody counts such a vote.
    let both = [vote(Precommit, 1, "X"), vote(Prevote, 3, "Y")];
    assert!(pairs(&both, 1, 2).is_empty() && pairs(&both, 0, 3).is_empty());
}

/// L1 with the contract, and how far everybody has seen it.
struct Network {
    _anvil: AnvilInstance,
    l1: DynProvider,
    fault: Address,
    progress: watch::Sender<L1Progress>,
    endpoint: String,
    chain_id: u64,
    /// Requests for gas estimates that fail before they are answered again.
    silent: Arc<AtomicU32>,
    /// Whether the endpoint tells of no accusation.
    withheld: Arc<AtomicBool>,
}

/// Answers any call with `word`.
fn stand_in(word: B256) -> Bytes {
    [&[0x7f], word.as_slice(), &[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]].concat().into()
}

/// Answers 1 to any call, and 0 to `isProven`: nobody is convicted yet.
fn slasher_stand_in() -> Bytes {
    [
        &[0x5f, 0x35, 0x60, 0xe0, 0x1c, 0x63],
        Slasher::isProvenCall::SELECTOR.as_slice(),
        &[0x14, 0x15, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3],
    ]
    .concat()
    .into()
}

impl Network {
    async fn start() -> Self {
        let anvil = anvil();
        let signer = keys::development_signer(9).unwrap();
        let l1 = ProviderBuilder::new().wallet(signer).connect_http(anvil.endpoint_url()).erased();
        let (slasher, sequencer_set) = (Address::repeat_byte(0x51), Address::repeat_byte(0x5e));
        l1.anvil_set_code(slasher, slasher_stand_in()).await.unwrap();
        l1.anvil_set_code(sequencer_set, stand_in(set().hash())).await.unwrap();
        let wiring = IEvidence::Wiring {
            slasher,
            sequencerSet: sequencer_set,
            batchChain: domain().batch_chain(),
            l2ChainId: domain().chain_id(),
        };
        let fault = *AmnesiaFault::deploy(&l1, wiring, WINDOW).await.unwrap().address();
        let silent = Arc::new(AtomicU32::new(0));
        let withheld = Arc::new(AtomicBool::new(false));
        let (refusals, withholds) = (Arc::clone(&silent), Arc::clone(&withheld));
        let refuse = move |request: &Value, answer: &mut Value| {
            let refused = || refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if request["method"] == "eth_getLogs" && withholds.load(Ordering::SeqCst) {
                answer["result"] = json!([]);
            }
            if request["method"] == "eth_estimateGas" && refused().is_ok() {
                let error = json!({ "code": -32000, "message": "overloaded" });
                *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": error });
            }
        };
        let endpoint = relay(anvil.endpoint_url(), |_| (), refuse).await;
        let (progress, chain_id) = (watch::Sender::new(L1Progress::default()), anvil.chain_id());
        Self { _anvil: anvil, l1, fault, progress, endpoint, chain_id, silent, withheld }
    }

    /// Everybody sees all of L1.
    async fn look(&self) {
        let head = self.l1.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap().header;
        let head = L1Ref { number: head.number, hash: head.hash, timestamp: head.timestamp };
        self.progress.send_replace(L1Progress { head, confirmed: head, ..L1Progress::default() });
    }

    async fn state(&self, charge: B256) -> u8 {
        let fault = AmnesiaFault::new(self.fault, self.l1.clone());
        fault.accusationOf(charge).call().await.unwrap().state
    }

    async fn open_charge(&self, [lock, vote]: [Statement; 2]) -> B256 {
        let pair = pairs(&[lock, vote], 0, 2)[0];
        let call = court::accuse_call(&pair, &set(), Address::ZERO);
        let request = TransactionRequest::default().to(self.fault).input(Bytes::from(call.abi_encode()).into());
        assert!(self.l1.send_transaction(request).await.unwrap().get_receipt().await.unwrap().status());
        pair.charge(11, &set()).unwrap().hash()
    }
}

/// A node's record with its advocate.
struct Node {
    dir: TempDir,
    advocate: Advocate,
    messages: Messages,
    memory: Memory,
    status: watch::Sender<ConsensusStatus>,
}

impl Node {
    /// `own` is the member whose key the node holds, `account` pays.
    fn new(network: &Network, own: Option<u8>, account: u32) -> Self {
        Self::in_folder(network, own, account, tempfile::tempdir().unwrap())
    }

    fn in_folder(network: &Network, own: Option<u8>, account: u32, dir: TempDir) -> Self {
        let (store, messages) = EvidenceStore::open(dir.path(), &domain()).unwrap();
        let contracts = ContractsConfig {
            slasher: Address::repeat_byte(0x51),
            amnesia_fault: network.fault,
            ..ContractsConfig::default()
        };
        let source = Arc::new(HttpSource::new(std::slice::from_ref(&network.endpoint), contracts).unwrap());
        let signer = keys::development_signer(account).unwrap();
        let submitter = Arc::new(Submitter::new(Arc::clone(&source), signer, network.chain_id, u64::MAX));
        let court = L1ChargeCourt::new(submitter, source, network.progress.subscribe(), contracts, 0, 2).unwrap();
        let status = watch::Sender::new(ConsensusStatus { height: HEIGHT, ..ConsensusStatus::default() });
        let advocate = Advocate {
            store,
            court: Arc::new(court),
            sets: Arc::new(|epoch| (epoch == 2).then(set)),
            own: own.map(|n| said(n, MessageKind::Prevote, 0, "").signer),
            operator: Arc::new(move || own.map(|n| 10 + u32::from(n))),
            recipient: Address::repeat_byte(9),
            turn: Duration::ZERO,
            grace: Duration::ZERO,
            status: status.subscribe(),
        };
        let memory = Memory::new(&*advocate.court);
        Self { dir, advocate, messages, memory, status }
    }

    fn restarted(self, network: &Network, own: Option<u8>, account: u32) -> Self {
        let Self { dir, advocate, messages, .. } = self;
        drop((advocate, messages));
        Self::in_folder(network, own, account, dir)
    }

    fn hears(&mut self, said: &[Statement]) {
        said.iter().for_each(|said| self.messages.insert(said).unwrap());
    }

    fn suspects(&self, [lock, vote]: [Statement; 2]) {
        let pair = pairs(&[lock, vote], 0, 2)[0];
        assert!(self.advocate.store.open_suspicion(&Suspicion::new(pair, lock.signer, 11, 0)).unwrap());
    }

    fn decided(&mut self) {
        self.messages.certified(HEIGHT, 4, 2, 1_000).unwrap();
    }

    /// One look at everything; whether L1 failed.
    async fn round(&mut self, network: &Network) -> bool {
        network.look().await;
        let failed = self.advocate.round(&mut self.memory).await.unwrap();
        network.look().await;
        failed
    }

    fn verdict(&self) -> Verdict {
        self.advocate.store.suspicions().unwrap()[0].status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_excused_by_a_polka_is_cleared_by_its_own_node_or_any_other() {
    for (own, account) in [(Some(1), 1), (Some(3), 2), (None, 3)] {
        let network = Network::start().await;
        // Whoever accuses has not heard of the polka.
        let mut accuser = Node::new(&network, Some(4), 4);
        accuser.hears(&broken_lock());
        accuser.suspects(broken_lock());
        accuser.decided();
        assert!(!accuser.round(&network).await);
        let charge = pairs(&broken_lock(), 0, 2)[0].charge(11, &set()).unwrap().hash();
        assert_eq!(network.state(charge).await, 1, "accused");

        let mut node = Node::new(&network, own, account);
        node.hears(&broken_lock());
        node.hears(&polka());
        // L1 fails at first: nothing is lost by it, nor by a restart in the middle.
        network.silent.store(1, Ordering::SeqCst);
        assert!(node.round(&network).await);
        assert_eq!(network.state(charge).await, 1);
        let mut node = node.restarted(&network, own, account);
        assert!(!node.round(&network).await);
        assert_eq!(network.state(charge).await, 2, "answered by {own:?}");
        assert!(!node.round(&network).await);
        assert_eq!(node.advocate.store.accusations().unwrap()[0].status, ChargeStatus::Closed);
        assert!(!accuser.round(&network).await);
        assert_eq!(accuser.verdict(), Verdict::Answered);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amnesiac_is_convicted_after_the_window_and_not_before() {
    let network = Network::start().await;
    let mut node = Node::new(&network, Some(2), 1);
    node.hears(&broken_lock());
    // A prevote less than a polka, and a polka of a round too late and of one for another block, excuse nothing.
    node.hears(&polka()[..2]);
    node.hears(&[2, 3, 4].map(|n| said(n, MessageKind::Prevote, 3, "Y")));
    node.suspects(broken_lock());
    let charge = pairs(&broken_lock(), 0, 2)[0].charge(11, &set()).unwrap().hash();
    // Neither decided nor long past: what excuses it may be on its way.
    node.round(&network).await;
    assert_eq!(network.state(charge).await, 0);
    node.status.send_replace(ConsensusStatus { height: HEIGHT, round: 13, ..ConsensusStatus::default() });
    node.round(&network).await;
    assert_eq!(network.state(charge).await, 1, "accused");

    let mut node = node.restarted(&network, Some(2), 1);
    node.round(&network).await;
    assert_eq!((network.state(charge).await, node.verdict()), (1, Verdict::Pending), "the window runs");
    network.l1.anvil_increase_time(WINDOW).await.unwrap();
    network.l1.anvil_mine(Some(1), None).await.unwrap();
    node.round(&network).await;
    assert_eq!(network.state(charge).await, 3, "convicted");
    node.round(&network).await;
    assert_eq!(node.verdict(), Verdict::Convicted);
    assert_eq!(node.advocate.store.accusations().unwrap()[0].status, ChargeStatus::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_accused_whom_a_late_polka_excuses_nor_oneself_nor_within_the_grace() {
    let network = Network::start().await;
    let charge = pairs(&broken_lock(), 0, 2)[0].charge(11, &set()).unwrap().hash();
    let mut itself = Node::new(&network, Some(1), 1);
    itself.hears(&broken_lock());
    itself.suspects(broken_lock());
    itself.decided();
    itself.round(&network).await;
    assert_eq!(itself.verdict(), Verdict::Pending);

    let mut node = Node::new(&network, Some(2), 2);
    node.advocate.grace = Duration::from_secs(3_600);
    node.hears(&broken_lock());
    node.suspects(broken_lock());
    node.decided();
    node.round(&network).await;
    assert_eq!(network.state(charge).await, 0, "within the grace");
    node.hears(&polka());
    node.round(&network).await;
    assert!(node.advocate.store.suspicions().unwrap().is_empty(), "excused");
    assert_eq!(network.state(charge).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspicion_is_dropped_only_when_what_speaks_against_it_is_confirmed() {
    let network = Network::start().await;
    let mut node = Node::new(&network, Some(2), 1);
    node.hears(&broken_lock());
    node.suspects(broken_lock());
    node.decided();
    network.look().await;
    network.l1.anvil_mine(Some(1), None).await.unwrap();
    // The newest block has its member convicted under that set, so the accusation is refused; the confirmed one has not.
    network.l1.anvil_set_code(Address::repeat_byte(0x51), stand_in(B256::with_last_byte(1))).await.unwrap();
    network.l1.anvil_mine(Some(1), None).await.unwrap();
    assert!(!node.advocate.round(&mut node.memory).await.unwrap());
    assert_eq!(node.verdict(), Verdict::Pending);
    node.round(&network).await;
    assert_eq!(node.verdict(), Verdict::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn accusations_are_followed_from_the_first_l1_block_in_small_steps() {
    let network = Network::start().await;
    let charge = network.open_charge(broken_lock()).await;
    network.l1.anvil_mine(Some(7), None).await.unwrap();
    let mut node = Node::new(&network, None, 1);
    node.hears(&polka());
    assert!(!node.round(&network).await);
    assert_eq!(network.state(charge).await, 2);
    let standing = node.advocate.court.standing(charge, true).await.unwrap();
    assert_eq!(standing, Standing::Answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accusation_that_the_endpoint_withholds_is_missed_and_answered_later() {
    let network = Network::start().await;
    network.withheld.store(true, Ordering::SeqCst);
    let charge = network.open_charge(broken_lock()).await;
    let mut node = Node::new(&network, Some(1), 1);
    node.hears(&polka());
    for _ in 0..2 {
        assert!(node.round(&network).await, "the contract counts one more than the logs have");
        assert!(node.advocate.store.accusations().unwrap().is_empty());
    }
    // Others' accusations are not counted here.
    let mut other = Node::new(&network, Some(3), 2);
    assert!(!other.round(&network).await);
    network.l1.anvil_mine(Some(3), None).await.unwrap();
    network.withheld.store(false, Ordering::SeqCst);
    assert!(!node.round(&network).await);
    assert_eq!(network.state(charge).await, 2, "answered");
    assert!(!node.round(&network).await);
    assert_eq!(node.advocate.store.accusations().unwrap()[0].status, ChargeStatus::Closed);
}

#[test]
fn what_one_operator_can_fill_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = EvidenceStore::open(dir.path(), &domain()).unwrap();
    let pair = pairs(&broken_lock(), 0, 2)[0];
    let suspicion = |height| {
        let mut suspicion = Suspicion::new(pair, broken_lock()[0].signer, 11, 0);
        suspicion.pair.vote.message.height = height;
        suspicion
    };
    assert_eq!((0..20).filter(|height| store.open_suspicion(&suspicion(*height)).unwrap()).count(), 4);
    // What waits under one set makes nobody safe under another.
    let mut next = suspicion(100);
    (next.pair.lock.message.epoch, next.pair.vote.message.epoch) = (3, 3);
    assert!(store.open_suspicion(&next).unwrap());
    store.drop_suspicion(&next).unwrap();
    // Settled ones make room, and the oldest of them are forgotten.
    for height in 0..60 {
        store.open_suspicion(&suspicion(height)).unwrap();
        store.settle_suspicion(&suspicion(height), Verdict::Answered).unwrap();
    }
    assert_eq!(store.suspicions().unwrap().len(), 16);

    let charge = pair.charge(11, &set()).unwrap();
    let accusation =
        |height| Accusation { charge: Charge { height, ..charge }, convictable_from: 1, status: ChargeStatus::Open };
    let many: Vec<_> = (0..100).map(accusation).collect();
    assert_eq!(store.accused(&many, 5, |_| false).unwrap(), 36);
    assert_eq!((store.accusations().unwrap().len(), store.accusations_from().unwrap()), (64, Some(5)));
    assert_eq!(
        store.accused(&[Accusation { charge: Charge { id: 12, ..charge }, ..many[0] }], 6, |_| false).unwrap(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accusation_of_its_own_operator_is_followed_however_many_there_are() {
    let network = Network::start().await;
    let charge = pairs(&broken_lock(), 0, 2)[0].charge(11, &set()).unwrap();
    let followed = |own: Option<u8>, id, sigma| {
        let node = Node::new(&network, own, 1);
        let accusation = |height| Accusation {
            charge: Charge { height, id, sigma, ..charge },
            convictable_from: 1,
            status: ChargeStatus::Open,
        };
        let many: Vec<_> = (0..100).map(accusation).collect();
        let left_out = node.advocate.record(&many, 5).unwrap();
        let kept = node.advocate.store.accusations().unwrap().len();
        assert_eq!(kept + left_out, 100);
        kept
    };
    assert_eq!(followed(Some(1), 11, 2), 100, "its own");
    assert_eq!(followed(Some(1), 12, 2), 64, "another's");
    assert_eq!(followed(Some(1), 11, 7), 100, "of a set that is not known yet, or had another key");
    assert_eq!((followed(None, 11, 2), followed(None, 11, 7)), (64, 64), "without an operator of its own");
}

#[test]
fn a_report_tells_what_is_on_record_and_no_more_than_it_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut messages) = EvidenceStore::open(dir.path(), &domain()).unwrap();
    let [lock, vote] = broken_lock();
    for said in [lock, vote].iter().chain(&polka()) {
        messages.insert(said).unwrap();
    }
    messages.certified(HEIGHT, 4, 2, 1_000).unwrap();
    let pair = pairs(&[lock, vote], 0, 2)[0];
    assert!(store.open_suspicion(&Suspicion::new(pair, lock.signer, 11, 0)).unwrap());
    let accusation =
        Accusation { charge: pair.charge(11, &set()).unwrap(), convictable_from: 5, status: ChargeStatus::Open };
    store.accused(&[accusation], 3, |_| false).unwrap();

    let report = |height, operator| {
        let report = store.report(height, operator).unwrap();
        let lists = (report.suspicions.len(), report.accusations.len(), report.messages.len());
        assert_eq!((report.recorded, report.truncated, report.contradictions.len()), (HEIGHT, false, 0));
        lists
    };
    assert_eq!(report(Some(HEIGHT), None), (1, 1, 5));
    assert_eq!(report(Some(HEIGHT), Some(11)), (1, 1, 2), "the votes of that operator's key");
    assert_eq!(report(None, Some(11)), (1, 1, 0));
    assert_eq!(report(Some(HEIGHT), Some(12)), (0, 0, 0));
    assert_eq!(report(Some(HEIGHT + 1), None), (0, 0, 0));
    let json = serde_json::to_value(store.report(Some(HEIGHT), None).unwrap()).unwrap();
    assert_eq!(
        json["accusations"][0]["charge"]["votedHash"],
        json["suspicions"][0]["pair"]["vote"]["message"]["blockHash"]
    );
    assert_eq!(json["messages"][0]["signature"].as_str().unwrap().len(), 2 + 130);

    // More than an answer holds.
    for round in 0..=report::MAX_ENTRIES as u32 {
        messages.insert(&statement(2, Place { height: 9, round, ..vote.place }, "Z")).unwrap();
    }
    let report = store.report(Some(9), None).unwrap();
    assert!(report.truncated && report.messages.len() == report::MAX_ENTRIES);
}

/// Rounds of members that keep their locks: what they sign, and the polkas they saw, by round and block.
fn rounds_of_honest_members(random: &mut StdRng, height: u64) -> (Vec<Statement>, Vec<(u32, B256)>) {
    let (mut said, mut polkas) = (Vec::new(), Vec::<(u32, B256)>::new());
    let mut locks = [None::<(u32, B256)>; WEIGHTS.len()];
    for round in 0..6 {
        let name = ["X", "Y"][random.random_range(0..2)];
        let block = keccak256(name);
        let mut weight = 0;
        for (member, lock) in locks.iter().enumerate() {
            let is_free = lock.is_none_or(|(locked, on)| {
                on == block || polkas.iter().any(|(polka, of)| *of == block && *polka >= locked)
            });
            let votes = is_free && random.random_bool(0.9);
            weight += if votes { WEIGHTS[member] } else { 0 };
            let place = Place { kind: MessageKind::Prevote, fork: 0, height, round };
            said.push(statement(member as u8 + 1, place, if votes { name } else { "" }));
        }
        let is_polka = weight * 3 > WEIGHTS.iter().sum::<u64>() * 2;
        for (member, lock) in locks.iter_mut().enumerate() {
            // Two of four, so that the height goes on.
            let locks = is_polka && random.random_bool(0.5);
            if locks {
                *lock = Some((round, block));
            }
            let place = Place { kind: MessageKind::Precommit, fork: 0, height, round };
            said.push(statement(member as u8 + 1, place, if locks { name } else { "" }));
        }
        if is_polka {
            polkas.push((round, block));
        }
    }
    (said, polkas)
}

/// Votes of honest members, mutated and recombined: whatever of it counts as signed makes no pair that could not be
/// answered (`ROTA_FRAME_ATTEMPTS` for more than 10^4, as `make soak` does).
#[test]
fn nobody_is_framed_as_an_amnesiac() {
    let attempts = std::env::var("ROTA_FRAME_ATTEMPTS").map_or(10_000, |text| text.parse::<u32>().unwrap());
    let seed = std::env::var("ROTA_FRAME_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("ROTA_FRAME_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let heights = [HEIGHT, HEIGHT + 1, HEIGHT + 2];
    // Such that somebody moves its lock: else nothing is tried.
    let honest = loop {
        let honest = heights.map(|height| rounds_of_honest_members(&mut random, height));
        let moves = |(said, _): &(Vec<Statement>, Vec<_>)| {
            let own = |signer| said.iter().filter(move |said| said.signer == signer).copied().collect::<Vec<_>>();
            set().members().iter().any(|member| !pairs(&own(member.signer), 0, 2).is_empty())
        };
        if honest.iter().any(moves) {
            break honest;
        }
    };
    let pool: Vec<Statement> = honest.iter().flat_map(|(said, _)| said.clone()).collect();
    let mut pairs_found = 0;
    for attempt in 0..attempts {
        let base = pool[random.random_range(0..pool.len())];
        let is_own = |said: &&Statement| said.signer == base.signer && said.place.height == base.place.height;
        let mut votes: Vec<Statement> = pool.iter().filter(is_own).copied().collect();
        let mut changed = Vec::new();
        for _ in 0..random.random_range(0..4) {
            let (index, other) = (random.random_range(0..votes.len()), pool[random.random_range(0..pool.len())]);
            let target = &mut votes[index];
            match random.random_range(0..7) {
                0 => target.place.kind = other.place.kind,
                1 => target.place.fork ^= 1,
                2 => target.place.round = other.place.round,
                3 => target.epoch += 1,
                4 => target.block_hash = other.block_hash,
                5 => target.signature = other.signature,
                // What it said elsewhere, and what others said, as if it had been said by this one, at this height.
                _ => *target = other,
            }
            (target.signer, target.place.height) = (base.signer, base.place.height);
            changed.push(index);
        }
        // Only what is verified is ever compared.
        let mut index = 0..;
        votes.retain(|said| {
            let is_changed = index.next().is_some_and(|index| changed.contains(&index));
            !is_changed || said.is_signed(&domain())
        });
        votes.sort_by_key(|said| (said.place.round, said.place.kind as u8));
        for pair in pairs(&votes, 0, 2) {
            pairs_found += 1;
            let message = pair.vote.message;
            let (_, polkas) = &honest[(message.height - HEIGHT) as usize];
            let answer = polkas.iter().find(|(round, of)| pair.rounds().contains(round) && *of == message.block_hash);
            assert!(answer.is_some(), "attempt {attempt}: nothing answers {pair:?}");
        }
    }
    assert!(pairs_found > 0, "no pair was ever looked at");
}
