//! A member that says two things, seen by the watchers of a cluster: of members and of a node without a key.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use rota_protocol::{
    evidence::{Evidence, Place},
    vote::{Proposal, Vote, VoteKind, address_of},
};

use super::{
    chain::TestChain,
    cluster::{Cluster, LONG, WEIGHTS, wait},
    domain,
    endpoint::Endpoint,
    equivocator::Equivocator,
    key, rules,
};
use crate::evidence::Case;

/// The member whose key has got about.
const CULPRIT: u8 = 2;

fn cases(cluster: &Cluster, index: usize) -> Vec<Case> {
    cluster.nodes[index].evidence.as_ref().unwrap().cases().unwrap()
}

/// A height at most `before` at which the culprit's precommit is in the certificate of every node's chain.
fn voted(chain: &TestChain, before: u64) -> Option<(u64, u32)> {
    let signed =
        |height| chain.block(height).filter(|(block, _)| block.certificate.signers.bit(usize::from(CULPRIT) - 1));
    (1..=before).rev().find_map(|height| signed(height).map(|(block, _)| (height, block.certificate.round)))
}

async fn again(say: impl Fn()) {
    loop {
        say();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The engine drops what is for a lower height. The watchers of all nodes, with and without a key, convict by it; the
/// chain goes on.
#[test]
fn a_second_vote_two_heights_late_is_found_by_every_node() {
    let mut cluster = Cluster::start_watching();
    let follower = WEIGHTS.len();
    cluster.reach(4);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let peers = cluster.nodes.iter().map(|node| node.endpoint.address()).collect();
    let joined = Equivocator::join(domain(), key(CULPRIT), Endpoint::new().listen(), peers);
    let equivocator = Arc::new(runtime.block_on(joined).unwrap());

    let head = cluster.head(0);
    let mut late = None;
    wait("the culprit to vote", LONG, || {
        let decided = cluster.head(follower).min(cluster.head(0));
        late = voted(&cluster.nodes[0].chain, decided.saturating_sub(2));
        late.is_some()
    });
    let (height, round) = late.unwrap();
    let vote =
        Vote { kind: VoteKind::Precommit, fork: 0, epoch: 2, height, round, block_hash: B256::repeat_byte(0xbb) };
    // Connecting takes a while, and what nobody hears is lost: a gossiped message is sent again under a new number.
    let voice = Arc::clone(&equivocator);
    let voting = runtime.spawn(again(move || {
        voice.vote(vote).unwrap();
    }));
    wait("every watcher to find the second vote", LONG, || {
        (0..=follower)
            .filter(|index| *index != usize::from(CULPRIT) - 1)
            .all(|index| !cases(&cluster, index).is_empty())
    });
    voting.abort();
    let set = rules(&WEIGHTS).set;
    for index in 0..=follower {
        for case in cases(&cluster, index) {
            let culprit = case.evidence.verify(&set, &domain()).unwrap();
            assert_eq!(culprit.member.signer, address_of(&key(CULPRIT)), "node {index} convicts {case:?}");
            assert_eq!(culprit.place, Place { kind: VoteKind::Precommit.into(), fork: 0, height, round });
        }
    }

    // Two proposals for a round in which it was not even its turn, of a height that is long decided.
    let proposal =
        move |byte| Proposal { fork: 0, epoch: 2, height, round, pol_round: -1, block_hash: B256::repeat_byte(byte) };
    let voice = Arc::clone(&equivocator);
    let proposing = runtime.spawn(again(move || {
        voice.propose(proposal(1)).unwrap();
        voice.propose(proposal(2)).unwrap();
    }));
    wait("every watcher to find the second proposal", LONG, || {
        let found =
            |index| cases(&cluster, index).iter().any(|case| matches!(case.evidence, Evidence::DoubleProposal(_)));
        [0, 2, 3, follower].into_iter().all(found)
    });
    proposing.abort();
    equivocator.leave();
    let next = head + 8;
    cluster.reach(next);
    cluster.assert_agreement(1, next);
    runtime.shutdown_background();
    cluster.stop();
}
