//! The answers to the engine, without the engine.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use bytes::Bytes;
use malachitebft_app_channel::{
    AppMsg, NetworkMsg,
    app::{
        consensus::Role,
        types::{
            LocallyProposedValue, ProposedValue,
            streaming::{StreamId, StreamMessage},
        },
    },
};
use malachitebft_core_types::{
    CommitCertificate, CommitSignature, HeightParams, NilOrVal, Round, Validity, Vote as _, VoteType,
};
use malachitebft_engine::host::{Next, SyncedValueOutcome};
use malachitebft_signing::Signer as _;
use parking_lot::Mutex;
use rota_protocol::vote;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};

use super::{chain::TestChain, domain, key, rules, table};
use crate::{
    chain::{DecidedChain, EngineError, SealedBlock},
    consensus::{
        ConsensusError, ConsensusStatus,
        app::{App, Upcoming},
        body,
        context::{Digests, RotaContext},
        horizon::{Horizon, OnL1},
        network,
        proposals::Proposals,
        protection::{Marks, Protection, ProtectionError},
        signing::ProtectedKey,
        streams::{Streams, cut},
        types::{BlockRef, Height, ProposalInit, ProposalPart, Signer, Stream, Vote},
    },
};

type Ctx = RotaContext;
type Part = StreamMessage<ProposalPart>;

const WEIGHTS: [u64; 4] = [40, 30, 20, 10];

/// One node's application, and what it sent to the network.
struct Node {
    app: App,
    sent: mpsc::Receiver<NetworkMsg<Ctx>>,
    chain: Arc<TestChain>,
}

/// Number of the key of the member that proposes.
fn proposer(height: u64, round: u32) -> u8 {
    (rules(&WEIGHTS).proposer(height, round).id - 10) as u8
}

impl Node {
    /// Opens a node on what is left in `dir` and in `chain`, and starts its height.
    async fn open(dir: &Path, chain: &Arc<TestChain>, number: u8) -> Self {
        let digests = Digests::new(domain());
        let (table, horizon) = (table(dir, number), Arc::new(Horizon::unbounded()));
        let (network, sent) = mpsc::channel(256);
        let app = App {
            chain: chain.clone(),
            execution: chain.clone(),
            rules: chain.clone(),
            digests: digests.clone(),
            key: Some(ProtectedKey::new(key(number), digests, table, Arc::clone(&horizon))),
            horizon,
            proposals: Arc::new(Mutex::new(Proposals::open(&dir.join("proposals"), chain.head_number()).unwrap())),
            network,
            block_time: Duration::from_millis(250),
            timeouts: network::timeouts(),
            status: watch::Sender::new(ConsensusStatus::default()),
            streams: Streams::default(),
            next: Upcoming::default(),
            streams_sent: 0,
            meet: None,
        };
        let mut node = Self { app, sent, chain: Arc::clone(chain) };
        let next = chain.head_number() + 1;
        let (height, _): (Height, HeightParams<Ctx>) =
            node.ask(|reply| AppMsg::ConsensusReady { reply }).await.unwrap();
        assert_eq!(height, Height(next));
        node
    }

    /// The answer, or `None` if the question is left open.
    async fn ask<T>(&mut self, message: impl FnOnce(oneshot::Sender<T>) -> AppMsg<Ctx>) -> Option<T> {
        let (reply, mut answer) = oneshot::channel();
        self.app.handle(message(reply)).await.unwrap();
        answer.try_recv().ok()
    }

    async fn started_round(&mut self, height: u64, round: u32) -> Vec<ProposedValue<Ctx>> {
        let signer = Signer(vote::address_of(&key(proposer(height, round))));
        self.ask(|reply_value| AppMsg::StartedRound {
            height: Height(height),
            round: Round::new(round),
            proposer: signer,
            role: Role::Validator,
            reply_value,
        })
        .await
        .unwrap()
    }

    async fn get_value(&mut self, height: u64, round: u32) -> Option<B256> {
        let (height, round) = (Height(height), Round::new(round));
        let timeout = Duration::from_millis(800);
        let value: Option<LocallyProposedValue<Ctx>> =
            self.ask(|reply| AppMsg::GetValue { height, round, timeout, reply }).await;
        value.map(|value| value.value.0)
    }

    fn parts(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        while let Ok(NetworkMsg::PublishProposalPart(part)) = self.sent.try_recv() {
            parts.push(part);
        }
        parts
    }

    /// Feeds the parts of one stream; what the last one led to.
    async fn receive(&mut self, parts: &[Part]) -> Option<ProposedValue<Ctx>> {
        let from = libp2p::PeerId::random().to_bytes().try_into().unwrap();
        let mut value = None;
        for part in parts {
            assert_eq!(value, None);
            let part = part.clone();
            value =
                self.ask(|reply| AppMsg::ReceivedProposalPart { from, published_by: None, part, reply }).await.unwrap();
        }
        value
    }

    async fn synced(&mut self, height: u64, body: Bytes) -> SyncedValueOutcome<Ctx> {
        self.ask(|reply| AppMsg::ProcessSyncedValue {
            height: Height(height),
            round: Round::new(0),
            proposer: Signer(vote::address_of(&key(1))),
            value_bytes: body,
            reply,
        })
        .await
        .unwrap()
    }

    /// This node precommits, and so does a quorum.
    async fn decide(&mut self, height: u64, hash: B256) -> Result<bool, ConsensusError> {
        let key = self.app.key.clone().unwrap();
        let (round, value) = (Round::new(0), NilOrVal::Val(BlockRef(hash)));
        let vote = Vote { kind: VoteType::Precommit, height: Height(height), round, value, voter: key.address() };
        key.sign_vote(vote).await.unwrap();
        self.decided(height, hash).await
    }

    /// A quorum precommits, every member of it.
    async fn decided(&mut self, height: u64, hash: B256) -> Result<bool, ConsensusError> {
        let (reply, mut acknowledged) = oneshot::channel();
        let certificate = certificate(&self.app.digests, height, hash);
        self.app.handle(AppMsg::Decided { certificate, extensions: Default::default(), reply }).await?;
        Ok(acknowledged.try_recv().is_ok())
    }
}

/// Precommits of the three heaviest members.
fn certificate(digests: &Digests, height: u64, hash: B256) -> CommitCertificate<Ctx> {
    let sign = |n: u8| {
        let voter = Signer(vote::address_of(&key(n)));
        let value = NilOrVal::Val(BlockRef(hash));
        let vote = Vote { kind: VoteType::Precommit, height: Height(height), round: Round::new(0), value, voter };
        let signature = vote::sign(&key(n), digests.vote(&vote).unwrap()).unwrap();
        CommitSignature::new(*vote.validator_address(), signature)
    };
    CommitCertificate {
        height: Height(height),
        round: Round::new(0),
        value_id: BlockRef(hash),
        commit_signatures: (1..=3).map(sign).collect(),
    }
}

/// The stream by which key `n` would propose `block`.
fn stream(n: u8, block: &SealedBlock, round: u32, pol_round: Round) -> Vec<Part> {
    let body = body::encode(block);
    let stream = Stream {
        height: Height(block.number()),
        round,
        pol_round,
        block: BlockRef(block.hash),
        body_len: body.len() as u32,
    };
    let signature = vote::sign(&key(n), stream.digest(&domain())).unwrap();
    let init = ProposalInit { stream, proposer: Signer(vote::address_of(&key(n))), signature };
    cut(StreamId::new(Bytes::copy_from_slice(&rand::random::<[u8; 8]>())), init, &body)
}

fn dirs() -> [TempDir; 2] {
    [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()]
}

/// The first height, from the next one, that key `n` leads in round 0.
fn block_by(chain: &TestChain, n: u8) -> SealedBlock {
    chain.assemble(chain.attributes_for(10 + u32::from(n), 5))
}

#[tokio::test]
async fn a_proposer_never_builds_two_blocks_for_a_round() {
    let [dir, _] = dirs();
    let (chain, leader) = (TestChain::new(rules(&WEIGHTS)), proposer(1, 0));
    let mut node = Node::open(dir.path(), &chain, leader).await;
    let first = node.get_value(1, 0).await.unwrap();
    let parts = node.parts();
    assert!(parts.len() >= 2);
    // Time passes, the process restarts: another build would give another block.
    chain.late.store(3, Ordering::SeqCst);
    assert_ne!(node.chain.assemble(chain.attributes_for(10 + u32::from(leader), 5)).hash, first);
    assert_eq!(node.get_value(1, 0).await, Some(first));
    drop(node);
    let mut node = Node::open(dir.path(), &chain, leader).await;
    let offered = node.started_round(1, 0).await;
    assert_eq!(offered.iter().map(|value| value.value.0).collect::<Vec<_>>(), [first]);
    assert_eq!(node.get_value(1, 0).await, Some(first));
    // The head of the stream is signed anew or kept, but says the same.
    assert_eq!(node.parts()[1..].iter().map(|p| p.content.clone()).collect::<Vec<_>>(), contents(&parts[1..]));
    // Another round is another matter; another height than the next is nobody's to propose.
    assert_ne!(node.get_value(1, 4).await, Some(first));
    assert_eq!(node.get_value(2, 0).await, None);
}

fn contents(parts: &[Part]) -> Vec<malachitebft_engine::util::streaming::StreamContent<ProposalPart>> {
    parts.iter().map(|part| part.content.clone()).collect()
}

#[tokio::test]
async fn the_first_height_waits_until_a_quorum_is_connected() {
    let [dir, _] = dirs();
    let chain = TestChain::new(rules(&WEIGHTS));
    let mut node = Node::open(dir.path(), &chain, 1).await;
    let hour = Duration::from_secs(3_600);
    let mut start = async |peers: usize, deadline: Instant| {
        let (reply, mut answer) = oneshot::channel();
        (node.app.meet, node.app.next) = (Some(deadline), Upcoming::default());
        node.app.handle(AppMsg::ConsensusReady { reply }).await.unwrap();
        assert!(answer.try_recv().is_err(), "started alone");
        assert!(node.app.is_waiting());
        node.app.status.send_modify(|status| status.peers = vec![String::new(); peers]);
        node.app.try_start().await.unwrap();
        node.app.status.send_modify(|status| status.peers.clear());
        answer.try_recv().is_ok()
    };
    // Three of four, itself included, are more than two thirds.
    assert!(!start(1, Instant::now() + hour).await);
    assert!(start(2, Instant::now() + hour).await);
    // In vain it waits no longer than it may, and only the first height waits.
    let soon = Instant::now() + Duration::from_millis(300);
    assert!(!start(0, soon).await);
    tokio::time::sleep_until(soon.into()).await;
    node.app.try_start().await.unwrap();
    assert!(!node.app.is_waiting());
    assert_eq!(node.app.meet, None);
}

#[tokio::test]
async fn bodies_are_judged_stored_and_offered_again() {
    let [a, b] = dirs();
    let (chain, leader) = (TestChain::new(rules(&WEIGHTS)), proposer(1, 0));
    let mut node = Node::open(a.path(), &chain, leader).await;
    let hash = node.get_value(1, 0).await.unwrap();
    let parts = node.parts();
    let other = if leader == 1 { 2 } else { 1 };

    let mut voter = Node::open(b.path(), &chain, other).await;
    assert!(voter.started_round(1, 0).await.is_empty());
    let value = voter.receive(&parts).await.unwrap();
    assert_eq!((value.value.0, value.validity, value.round), (hash, Validity::Valid, Round::new(0)));
    assert_eq!(value.proposer.0, vote::address_of(&key(leader)));
    // Told once, not again at the next round; but after a restart.
    assert!(voter.started_round(1, 1).await.is_empty());
    drop(voter);
    let mut voter = Node::open(b.path(), &chain, other).await;
    let offered = voter.started_round(1, 1).await;
    assert_eq!(offered.iter().map(|value| value.value.0).collect::<Vec<_>>(), [hash]);

    // Decided: durable, acknowledged, and forgotten.
    assert!(voter.decide(1, hash).await.unwrap());
    assert_eq!((chain.head_number(), chain.head_hash()), (1, hash));
    assert!(voter.app.proposals.lock().get(1, hash).is_none());
    let next: Next<Ctx> = voter
        .ask(|reply| AppMsg::Finalized {
            certificate: certificate(&Node::digests(), 1, hash),
            extensions: Default::default(),
            evidence: malachitebft_app_channel::app::types::MisbehaviorEvidence {
                proposals: Default::default(),
                votes: Default::default(),
            },
            reply,
        })
        .await
        .unwrap();
    assert!(matches!(next, Next::Start(Height(2), _)));
}

impl Node {
    /// Digests that know the first heights.
    fn digests() -> Digests {
        let digests = Digests::new(domain());
        digests.enter(1, crate::consensus::context::Service { sigma: 2, fork: 0 });
        digests
    }
}

#[tokio::test]
async fn missing_l1_data_is_never_an_objection() {
    let [a, b] = dirs();
    let (chain, leader) = (TestChain::new(rules(&WEIGHTS)), proposer(1, 0));
    let blind = TestChain::new(rules(&WEIGHTS));
    let mut node = Node::open(a.path(), &chain, leader).await;
    let hash = node.get_value(1, 0).await.unwrap();
    let parts = node.parts();
    let other = if leader == 1 { 2 } else { 1 };

    let mut voter = Node::open(b.path(), &blind, other).await;
    blind.l1_silent.store(true, Ordering::SeqCst);
    assert!(voter.started_round(1, 0).await.is_empty());
    assert_eq!(voter.receive(&parts).await, None);
    assert!(voter.started_round(1, 1).await.is_empty());
    let body = body::encode(&chain.assemble(chain.attributes_for(10 + u32::from(leader), 5)));
    assert!(matches!(voter.synced(1, body).await, SyncedValueOutcome::LocalTransientError));
    assert_eq!(voter.get_value(1, proposer_round(other)).await, None);
    // It was kept, even across a restart, and is offered as soon as L1 is there.
    drop(voter);
    let mut voter = Node::open(b.path(), &blind, other).await;
    assert!(voter.started_round(1, 2).await.is_empty());
    blind.l1_silent.store(false, Ordering::SeqCst);
    let offered = voter.started_round(1, 3).await;
    assert_eq!(offered.iter().map(|v| (v.value.0, v.validity)).collect::<Vec<_>>(), [(hash, Validity::Valid)]);
}

fn proposer_round(n: u8) -> u32 {
    (0..4).find(|round| proposer(1, *round) == n).unwrap()
}

#[tokio::test]
async fn only_the_scheduled_proposer_is_heard_and_only_for_itself() {
    let [a, _] = dirs();
    let chain = TestChain::new(rules(&WEIGHTS));
    let by_round: Vec<u8> = (0..4).map(|round| proposer(1, round)).collect();
    let (leader, second) = (by_round[0], by_round[1]);
    let mut voter = Node::open(a.path(), &chain, by_round[3]).await;
    voter.started_round(1, 2).await;
    let (own, others) = (block_by(&chain, leader), block_by(&chain, second));

    // A member whose round it is not; a stranger's signature; a round far away; another chain's height.
    assert_eq!(voter.receive(&stream(second, &others, 0, Round::Nil)).await, None);
    assert_eq!(voter.receive(&stream(9, &own, 0, Round::Nil)).await, None);
    assert_eq!(voter.receive(&stream(leader, &own, 99, Round::Nil)).await, None);
    assert!(voter.app.proposals.lock().at(1).next().is_none());
    // The leader's round, but another member's block: fresh it is dropped, also under a polka that cannot be.
    assert_eq!(voter.receive(&stream(leader, &others, 0, Round::Nil)).await, None);
    assert_eq!(voter.receive(&stream(second, &own, 1, Round::Nil)).await, None);
    // Its own block is fine, in its round and again in a later one after a polka.
    assert_eq!(voter.receive(&stream(leader, &own, 0, Round::Nil)).await.unwrap().validity, Validity::Valid);
    let again = voter.receive(&stream(second, &own, 1, Round::new(0))).await.unwrap();
    assert_eq!((again.round, again.valid_round, again.validity), (Round::new(1), Round::new(0), Validity::Valid));

    // A body that is not the announced one is no verdict on the announced one.
    let mut parts = stream(second, &others, 1, Round::Nil);
    parts.truncate(1);
    let id = parts[0].stream_id.clone();
    let mut wrong = body::encode(&others).to_vec();
    let at = wrong.len() - 1;
    wrong[at] ^= 1;
    parts.push(StreamMessage::new(
        id,
        1,
        malachitebft_engine::util::streaming::StreamContent::Data(ProposalPart::Chunk {
            bytes: wrong.into(),
            last: true,
        }),
    ));
    assert_eq!(voter.receive(&parts).await, None);
    assert_eq!(voter.receive(&stream(second, &others, 1, Round::Nil)).await.unwrap().validity, Validity::Valid);

    // A wrong state root is an objection for good, and is not kept.
    let mut bad = (*block_by(&chain, by_round[2]).block).clone();
    bad.header.state_root = B256::repeat_byte(1);
    let bad = SealedBlock::new(bad);
    let verdict = voter.receive(&stream(by_round[2], &bad, 2, Round::Nil)).await.unwrap();
    assert_eq!(verdict.validity, Validity::Invalid);
    assert!(voter.app.proposals.lock().get(1, bad.hash).is_none());
    // So is a block that pays nobody, even when a certificate is said to exist.
    let nobody = chain.assemble(chain.attributes_for(77, 5));
    let SyncedValueOutcome::Verdict(value) = voter.synced(1, body::encode(&nobody)).await else { panic!() };
    assert_eq!(value.validity, Validity::Invalid);
}

#[tokio::test]
async fn a_flood_of_blocks_in_one_round_is_cut_off() {
    let [a, _] = dirs();
    let (chain, leader) = (TestChain::new(rules(&WEIGHTS)), proposer(1, 0));
    let mut voter = Node::open(a.path(), &chain, if leader == 1 { 2 } else { 1 }).await;
    voter.started_round(1, 0).await;
    let mut judged = 0;
    for late in 0..20 {
        chain.late.store(late, Ordering::SeqCst);
        let block = block_by(&chain, leader);
        judged += usize::from(voter.receive(&stream(leader, &block, 0, Round::Nil)).await.is_some());
    }
    assert_eq!(judged, 3);
}

#[tokio::test]
async fn nothing_is_judged_before_its_round() {
    let [a, _] = dirs();
    let chain = TestChain::new(rules(&WEIGHTS));
    let second = proposer(1, 1);
    let block = block_by(&chain, second);
    let mut voter = Node::open(a.path(), &chain, member(3)).await;
    // Not before the height has started, nor while round 0 lasts.
    let early = stream(second, &block, 1, Round::Nil);
    assert_eq!(voter.receive(&early).await, None);
    assert!(voter.started_round(1, 0).await.is_empty());
    assert_eq!(voter.receive(&early).await, None);
    assert_eq!(voter.receive(&stream(proposer(1, 2), &block_by(&chain, proposer(1, 2)), 2, Round::Nil)).await, None);
    assert_eq!(chain.checks.load(Ordering::SeqCst), 0);
    assert!(voter.app.proposals.lock().at(1).next().is_none());
    // Then it is judged at once, and alone.
    let offered = voter.started_round(1, 1).await;
    assert_eq!(offered.iter().map(|v| (v.value.0, v.round)).collect::<Vec<_>>(), [(block.hash, Round::new(1))]);
    assert_eq!(chain.checks.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_round_waits_for_l1_once_whatever_is_proposed() {
    let [a, _] = dirs();
    let chain = TestChain::new(rules(&WEIGHTS));
    let leaders: Vec<u8> = (0..3).map(|round| proposer(1, round)).collect();
    let mut voter = Node::open(a.path(), &chain, member(3)).await;
    chain.l1_silent.store(true, Ordering::SeqCst);
    let waited = || chain.waited.swap(0, Ordering::SeqCst);
    voter.started_round(1, 0).await;
    for late in 0..20 {
        chain.late.store(late, Ordering::SeqCst);
        assert_eq!(voter.receive(&stream(leaders[0], &block_by(&chain, leaders[0]), 0, Round::Nil)).await, None);
    }
    assert_eq!(chain.checks.load(Ordering::SeqCst), 3);
    assert_eq!(waited(), 300);
    chain.late.store(0, Ordering::SeqCst);
    // What was kept takes no more than a third of that together in each later round, and leaves its proposer's part.
    for round in 1..3 {
        assert!(voter.started_round(1, round).await.is_empty());
        assert_eq!(waited(), 100);
        let leader = leaders[round as usize];
        voter.receive(&stream(leaders[0], &block_by(&chain, leaders[0]), 0, Round::Nil)).await;
        assert_eq!(waited(), 0);
        voter.receive(&stream(leader, &block_by(&chain, leader), round, Round::Nil)).await;
        assert_eq!(waited(), 300);
    }
}

/// However long a height takes, the node can propose, and what it stores stays small.
#[tokio::test]
async fn many_failed_rounds_leave_a_proposer_three_blocks() {
    let [dir, _] = dirs();
    // The leader itself has no later round.
    let (chain, us) = (TestChain::new(rules(&WEIGHTS)), proposer(1, 1));
    let mut node = Node::open(dir.path(), &chain, us).await;
    let mut blocks = Vec::new();
    for (count, round) in (0..800).filter(|round| proposer(1, *round) == us).enumerate() {
        chain.late.store(count as u64, Ordering::SeqCst);
        if count == 50 {
            drop(node);
            node = Node::open(dir.path(), &chain, us).await;
        }
        let hash = node.get_value(1, round).await.unwrap();
        assert!(node.parts().len() >= 2, "nothing was streamed in round {round}");
        assert_eq!(node.get_value(1, round).await, Some(hash), "another block for the same round");
        node.parts();
        blocks.push(hash);
    }
    assert!(blocks.len() > 100);
    assert!(blocks[2..].iter().all(|hash| *hash == blocks[2]), "{blocks:?}");
    assert!(blocks[0] != blocks[1] && blocks[1] != blocks[2]);
    assert_eq!(node.app.proposals.lock().at(1).count(), 3);
}

#[tokio::test]
async fn a_locked_block_is_streamed_again() {
    let [a, b] = dirs();
    let chain = TestChain::new(rules(&WEIGHTS));
    let (leader, second) = (proposer(1, 0), proposer(1, 1));
    let own = block_by(&chain, leader);
    let first = stream(leader, &own, 0, Round::Nil);
    let mut proposer = Node::open(a.path(), &chain, second).await;
    proposer.started_round(1, 0).await;
    proposer.receive(&first).await.unwrap();
    let restream = |round: u32, pol_round, n: u8| AppMsg::RestreamProposal {
        height: Height(1),
        round: Round::new(round),
        valid_round: pol_round,
        address: Signer(vote::address_of(&key(n))),
        value_id: BlockRef(own.hash),
    };
    // Ours: under a head of our own. Another's: under the head it signed, word for word. Neither: nothing.
    proposer.app.handle(restream(1, Round::new(0), second)).await.unwrap();
    let repeated = proposer.parts();
    proposer.app.handle(restream(0, Round::Nil, leader)).await.unwrap();
    assert_eq!(contents(&proposer.parts()), contents(&first));
    proposer.app.handle(restream(2, Round::new(0), member(2))).await.unwrap();
    assert!(proposer.parts().is_empty());

    let mut voter = Node::open(b.path(), &chain, member(3)).await;
    voter.started_round(1, 1).await;
    let value = voter.receive(&repeated).await.unwrap();
    assert_eq!((value.value.0, value.round, value.valid_round), (own.hash, Round::new(1), Round::new(0)));
}

#[tokio::test]
async fn early_bodies_wait_for_their_parent() {
    let [a, b] = dirs();
    let (chain, slow) = (TestChain::new(rules(&WEIGHTS)), TestChain::new(rules(&WEIGHTS)));
    let mut node = Node::open(a.path(), &chain, proposer(1, 0)).await;
    let first = node.get_value(1, 0).await.unwrap();
    let first_parts = node.parts();
    assert!(node.decide(1, first).await.unwrap());
    let second = block_by(&chain, proposer(2, 0));
    let early = stream(proposer(2, 0), &second, 0, Round::Nil);

    let mut voter = Node::open(b.path(), &slow, member(0)).await;
    assert_eq!(voter.receive(&early).await, None);
    assert!(voter.started_round(1, 0).await.is_empty());
    voter.receive(&first_parts).await.unwrap();
    assert!(voter.decide(1, first).await.unwrap());
    voter.app.digests.enter(2, crate::consensus::context::Service { sigma: 2, fork: 0 });
    drop(voter.ask(|reply| AppMsg::ConsensusReady { reply }).await.unwrap());
    let offered = voter.started_round(2, 0).await;
    assert_eq!(offered.iter().map(|value| value.value.0).collect::<Vec<_>>(), [second.hash]);
}

#[tokio::test]
async fn what_cannot_be_committed_stops_the_node() {
    let [a, b] = dirs();
    let (chain, leader) = (TestChain::new(rules(&WEIGHTS)), proposer(1, 0));
    let mut node = Node::open(a.path(), &chain, leader).await;
    let hash = node.get_value(1, 0).await.unwrap();

    // Decided without a body, or at another height: never guess.
    let unknown = node.decided(1, B256::repeat_byte(9)).await;
    assert!(matches!(unknown, Err(ConsensusError::NoBody { height: 1, .. })), "{unknown:?}");
    node.app.digests.enter(2, crate::consensus::context::Service { sigma: 2, fork: 0 });
    let later = node.decided(2, hash).await;
    assert!(matches!(later, Err(ConsensusError::WrongHeight { height: 2, head: 0 })), "{later:?}");

    // A tired disk is given three attempts; what was not committed is not acknowledged.
    chain.failing_commits.store(3, Ordering::SeqCst);
    let failed = node.decide(1, hash).await;
    assert!(matches!(failed, Err(ConsensusError::Execution(EngineError::Storage(_)))), "{failed:?}");
    assert_eq!(chain.head_number(), 0);
    chain.failing_commits.store(2, Ordering::SeqCst);
    assert!(node.decide(1, hash).await.unwrap());
    assert_eq!(chain.head_number(), 1);

    // A quorum for a block that is invalid here: other rules than theirs.
    let mut other = Node::open(b.path(), &TestChain::new(rules(&WEIGHTS)), leader).await;
    let mut bad = (*block_by(&other.chain, leader).block).clone();
    bad.header.state_root = B256::repeat_byte(1);
    let bad = SealedBlock::new(bad);
    other.app.proposals.lock().insert(1, bad.hash, None, &body::encode(&bad)).unwrap();
    let invalid = other.decide(1, bad.hash).await;
    assert!(matches!(invalid, Err(ConsensusError::DecidedInvalid { .. })), "{invalid:?}");
    assert_eq!(other.chain.head_number(), 0);
}

/// The key has signed on another machine, or its table is an old copy: not even the decision is stored, so that a node which
/// is started again meets it again.
#[tokio::test]
async fn a_decision_with_a_signature_that_the_table_does_not_know_stops_the_node() {
    let [a, _] = dirs();
    let (chain, leader) = (TestChain::new(rules(&WEIGHTS)), proposer(1, 0));
    assert!(leader <= 3, "a member of the quorum");
    for _ in 0..2 {
        let mut node = Node::open(a.path(), &chain, leader).await;
        let hash = node.get_value(1, 0).await.unwrap();
        let error = node.decided(1, hash).await.unwrap_err();
        assert!(error.must_stay_down(), "{error}");
        assert!(
            matches!(&error, ConsensusError::Protection(refused)
                if matches!(**refused, ProtectionError::Outdated { height: 1, round: 0, .. })),
            "{error}"
        );
        assert_eq!(chain.head_number(), 0);
    }
    // Its operator has looked, and says from where on it may sign.
    let above = Marks { silent: None, above: Some(1) };
    Protection::restrict(a.path(), vote::address_of(&key(leader)), above).unwrap();
    let mut node = Node::open(a.path(), &chain, leader).await;
    let hash = node.get_value(1, 0).await.unwrap();
    assert!(node.decided(1, hash).await.unwrap());
}

/// A leader that is behind does not even build.
#[tokio::test]
async fn nothing_is_proposed_where_l1_shows_a_decision() {
    let [a, _] = dirs();
    let chain = TestChain::new(rules(&WEIGHTS));
    let mut node = Node::open(a.path(), &chain, proposer(1, 0)).await;
    node.app.horizon = Arc::new(Horizon::new(domain(), Arc::new(|| OnL1 { height: 1, current: true })));
    assert_eq!(node.get_value(1, 0).await, None);
    assert!(node.parts().is_empty());
    node.app.horizon = Arc::new(Horizon::unbounded());
    assert!(node.get_value(1, 0).await.is_some());
}

#[tokio::test]
async fn a_peer_catches_up_by_certificates() {
    let [a, b] = dirs();
    let (chain, behind) = (TestChain::new(rules(&WEIGHTS)), TestChain::new(rules(&WEIGHTS)));
    let mut node = Node::open(a.path(), &chain, proposer(1, 0)).await;
    let hash = node.get_value(1, 0).await.unwrap();
    assert!(node.decide(1, hash).await.unwrap());
    let mut range = async |start, end| {
        let range = Height(start)..=Height(end);
        node.ask(|reply| AppMsg::GetDecidedValues { range, reply }).await.unwrap()
    };
    // Whatever is asked for, only what exists is given.
    assert_eq!(range(0, 5).await.len(), 0);
    assert_eq!(range(2, u64::MAX).await.len(), 0);
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = range(5, 1).await;
    assert_eq!(reversed.len(), 0);
    let values = range(1, u64::MAX).await;
    assert_eq!(values.len(), 1);
    assert_eq!(values[0].certificate.value_id.0, hash);

    let mut late = Node::open(b.path(), &behind, member(2)).await;
    let body = values[0].value_bytes.clone();
    assert!(matches!(late.synced(2, body.clone()).await, SyncedValueOutcome::LocalTransientError));
    assert!(matches!(late.synced(1, body.slice(1..)).await, SyncedValueOutcome::PeerFault));
    assert!(matches!(late.synced(1, Bytes::new()).await, SyncedValueOutcome::PeerFault));
    let SyncedValueOutcome::Verdict(value) = late.synced(1, body).await else { panic!() };
    assert_eq!((value.value.0, value.validity), (hash, Validity::Valid));
    // Stored before the engine heard of it.
    assert!(late.app.proposals.lock().get(1, hash).is_some());
    assert!(late.decide(1, hash).await.unwrap());
    assert_eq!(behind.head_hash(), chain.head_hash());
}

/// Number of the key of some member: the one that proposes in round `n` of height 1.
fn member(n: u32) -> u8 {
    proposer(1, n)
}
