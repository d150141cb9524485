//! What is decided already, as far as this node can know: there its key says nothing.
//!
//! The slashing-protection table answers for what it remembers. A table that is an older copy does not remember, and the
//! engine votes and proposes as soon as a height starts, also at heights that others decided long ago. Proof that a
//! height is decided comes from two places: batches that L1 accepted, and certificates of decided blocks, which peers send to
//! a node that catches up. A proof costs nothing: what is decided needs no vote of this node.
//!
//! Before anything is proven there are only claims: peers say how far they are. Nobody signs for that, so a claim never
//! takes a vote away for long: it delays the vote by at most [`PATIENCE`] for each height ([`LONG_PATIENCE`] if more than a third
//! as many peers as there are members say so, or while L1 was not read yet), and a claim that is not proven in that time is the
//! last that is listened to. Nor are claims that go on while the others decide: a block made well after the node's start
//! ends the waiting, as no earlier life of the key can have signed above it. A network whose nodes all start at once goes on.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use malachitebft_core_types::{CommitCertificate, CommitSignature, ExtendedCommitCertificate};
use malachitebft_peer::PeerId;
use parking_lot::Mutex;
use rota_protocol::vote::VoteDomain;
use tokio::sync::watch;

use super::{context::RotaContext, rules::HeightRules, types};

/// How long a vote of a height waits for the proof that the height is decided.
pub const PATIENCE: Duration = Duration::from_secs(4);
/// The same while it is likely that the node is behind, or L1 could still say so.
pub const LONG_PATIENCE: Duration = Duration::from_secs(30);
/// A block that is stamped so long after the node's start was made after it: stamps are at most two seconds ahead, the rest is
/// for clocks that differ.
const AFTER_START: Duration = Duration::from_secs(30);
/// Time between two looks at L1, which does not announce itself.
const LOOK: Duration = Duration::from_millis(50);
/// Certificates kept for heights to come: a few answers of peers.
const MAX_CERTIFICATES: usize = 64;
/// Peers whose claims are kept.
const MAX_PEERS: usize = 1_024;

/// How far L1 shows the chain decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnL1 {
    /// Last block of the newest batch that this node has seen on L1; 0 for none.
    pub height: u64,
    /// Whether L1 was read up to its confirmed end since the node started.
    pub current: bool,
}

/// Asks how far L1 shows the chain decided. Must answer at once.
pub type DecidedOnL1 = Arc<dyn Fn() -> OnL1 + Send + Sync>;

/// What is known to be decided. Shared by the codec, which hears it, and the key, which keeps silent by it.
pub struct Horizon {
    domain: VoteDomain,
    on_l1: DecidedOnL1,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// The height that the engine works on, and who votes there.
    present: Option<(u64, HeightRules)>,
    /// Highest height with a certificate.
    decided: u64,
    /// Certificates heard of the present height and of later ones, whose voters are not known yet.
    certificates: BTreeMap<u64, ExtendedCommitCertificate<RotaContext>>,
    /// How far peers say they are.
    tips: HashMap<PeerId, u64>,
    /// Since when the present height waits, until the node has caught up; `None` from then on.
    since: Option<Instant>,
    /// When the node started, Unix seconds.
    started: u64,
    /// The key has signed nothing before, as its table says: claims are listened to, but not waited for.
    is_new: bool,
}

/// What a vote at a height has to do.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Decided,
    Open,
    /// Perhaps decided.
    Wait(Instant),
}

impl fmt::Debug for Horizon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Horizon").field("decided", &self.state.lock().decided).finish_non_exhaustive()
    }
}

impl Horizon {
    /// Knows what `on_l1` says and nothing else.
    pub fn new(domain: VoteDomain, on_l1: DecidedOnL1) -> Self {
        Self { domain, on_l1, state: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// The node has just started and may be behind. `is_new`: its key signed nothing yet.
    pub fn catch_up(&self, is_new: bool) {
        let mut state = self.state.lock();
        (state.since, state.is_new) = (Some(Instant::now()), is_new);
        // A clock before 1970 frees nothing by mistake: no block is that old.
        state.started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |now| now.as_secs());
    }

    /// The engine is about to start `height`.
    pub fn enter(&self, height: u64, rules: &HeightRules) {
        let mut state = self.state.lock();
        state.since = state.since.map(|_| Instant::now());
        state.present = Some((height, rules.clone()));
        state.certificates = state.certificates.split_off(&height);
        self.prove(&mut state);
    }

    /// This node has made `height` durable, a block of `timestamp` (Unix seconds). Without a certificate from elsewhere it was
    /// decided by votes: the node has caught up. It has as well if the block was made after the node's start: an earlier life
    /// of the key ended before, and signed nothing at the heights that follow.
    pub fn decided(&self, height: u64, timestamp: u64) {
        let mut state = self.state.lock();
        if state.decided < height || timestamp > state.started.saturating_add(AFTER_START.as_secs()) {
            state.since = None;
        }
    }

    /// A peer says that it has decided `tip`.
    pub fn hear_tip(&self, peer: PeerId, tip: u64) {
        let mut state = self.state.lock();
        // Nobody asks once the node has caught up.
        if state.since.is_none() || (state.tips.len() >= MAX_PEERS && !state.tips.contains_key(&peer)) {
            return;
        }
        // A tip never falls; whoever says so speaks in another's name.
        let known = state.tips.entry(peer).or_default();
        *known = tip.max(*known);
        self.changed.send_replace(());
    }

    /// A peer sent a certificate. It counts once it proved true.
    pub fn hear_certificate(&self, certificate: &ExtendedCommitCertificate<RotaContext>) {
        let mut state = self.state.lock();
        let height = certificate.height.0;
        if state.present.as_ref().is_some_and(|(present, _)| height < *present) || height <= state.decided {
            return;
        }
        state.certificates.insert(height, certificate.clone());
        if state.certificates.len() > MAX_CERTIFICATES {
            state.certificates.pop_last();
        }
        self.prove(&mut state);
    }

    /// Whether `height` is proven to be decided.
    pub fn is_decided(&self, height: u64) -> bool {
        (self.on_l1)().height >= height || self.state.lock().decided >= height
    }

    /// The same, waiting for the proof as long as the node may be behind.
    pub async fn turns_out_decided(&self, height: u64) -> bool {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            match self.look(height) {
                Verdict::Decided => return true,
                Verdict::Open => return false,
                Verdict::Wait(deadline) => {
                    let next = deadline.min(Instant::now() + LOOK);
                    // An error means that the sender is gone, which this function borrows.
                    let _ = tokio::time::timeout_at(next.into(), changed.changed()).await;
                }
            }
        }
    }

    fn look(&self, height: u64) -> Verdict {
        let on_l1 = (self.on_l1)();
        let mut state = self.state.lock();
        if on_l1.height.max(state.decided) >= height {
            return Verdict::Decided;
        }
        let members = match &state.present {
            Some((present, rules)) if *present == height => rules.set.members().len(),
            _ => return Verdict::Open,
        };
        let Some(since) = state.since else { return Verdict::Open };
        let claimants = state.tips.values().filter(|tip| **tip >= height).count();
        let claimed = claimants > 0;
        let likely = 3 * claimants > members || !(on_l1.current || state.is_new);
        let deadline = since + if likely { LONG_PATIENCE } else { PATIENCE };
        if Instant::now() >= deadline {
            tracing::warn!(height, claimed, peers = state.tips.len(), "voting without knowing how far the others are");
            state.since = None;
            return Verdict::Open;
        }
        // This node counts as one of them; weights do not matter for a guess.
        let heard = on_l1.current && 3 * (state.tips.len() + 1) > 2 * members;
        match claimed {
            false if heard => {
                state.since = None;
                Verdict::Open
            }
            // A table that was new when its machine was copied is not: L1 is read first.
            false if state.is_new && on_l1.current => Verdict::Open,
            _ => Verdict::Wait(deadline),
        }
    }

    /// Checks what was heard of the present height.
    fn prove(&self, state: &mut State) {
        let Some((height, rules)) = &state.present else { return };
        let Some(heard) = state.certificates.remove(height) else { return };
        let signatures = heard.commit_signatures.iter();
        let certificate = CommitCertificate {
            height: heard.height,
            round: heard.round,
            value_id: heard.value_id,
            commit_signatures: signatures
                .map(|signed| CommitSignature::new(signed.address, signed.signature))
                .collect(),
        };
        let verified = types::to_certificate(&certificate, rules).and_then(|it| it.verify(&rules.set, &self.domain));
        match verified {
            Ok(_) => {
                state.decided = state.decided.max(*height);
                self.changed.send_replace(());
            }
            Err(error) => tracing::debug!(height, %error, "a peer sent a certificate that does not hold"),
        }
    }
}

#[cfg(test)]
impl Horizon {
    /// Knows nothing, and will not.
    pub(crate) fn unbounded() -> Self {
        Self::new(super::tests::domain(), Arc::new(|| OnL1 { height: 0, current: true }))
    }
}

#[cfg(test)]
mod tests {
    use malachitebft_core_types::{ExtendedCommitSignature, Round};
    use rota_protocol::vote::{self, VoteKind};

    use super::*;
    use crate::consensus::{
        tests::{domain, key, rules},
        types::{BlockRef, Height, Signer},
    };

    const WEIGHTS: [u64; 4] = [40, 30, 20, 10];

    fn certificate(height: u64, signers: &[u8]) -> ExtendedCommitCertificate<RotaContext> {
        let (rules, block) = (rules(&WEIGHTS), BlockRef([9; 32].into()));
        let precommit = vote::Vote {
            kind: VoteKind::Precommit,
            fork: rules.fork,
            epoch: rules.sigma,
            height,
            round: 0,
            block_hash: block.0,
        };
        let digest = precommit.digest(&domain());
        let sign = |n: &u8| {
            let signer = Signer(vote::address_of(&key(*n)));
            ExtendedCommitSignature::new(signer, vote::sign(&key(*n), digest).unwrap(), None)
        };
        ExtendedCommitCertificate {
            height: Height(height),
            round: Round::new(0),
            value_id: block,
            commit_signatures: signers.iter().map(sign).collect(),
        }
    }

    fn peer() -> PeerId {
        libp2p::PeerId::random().to_bytes().try_into().unwrap()
    }

    fn on_l1(height: u64, current: bool) -> DecidedOnL1 {
        Arc::new(move || OnL1 { height, current })
    }

    fn waits(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Wait(_))
    }

    #[test]
    fn only_a_quorum_of_the_height_proves_it() {
        let horizon = Horizon::new(domain(), on_l1(4, true));
        horizon.enter(5, &rules(&WEIGHTS));
        assert!(horizon.is_decided(4) && !horizon.is_decided(5));
        // Too few, and one that signed something else.
        horizon.hear_certificate(&certificate(5, &[1, 3]));
        let mut forged = certificate(5, &[1, 2, 3]);
        forged.commit_signatures[0].signature = forged.commit_signatures[1].signature;
        horizon.hear_certificate(&forged);
        assert!(!horizon.is_decided(5));
        // Of a later height: not before its voters are known.
        horizon.hear_certificate(&certificate(6, &[1, 2, 3]));
        assert!(!horizon.is_decided(5) && !horizon.is_decided(6));
        horizon.hear_certificate(&certificate(5, &[1, 2, 3]));
        assert!(horizon.is_decided(5) && !horizon.is_decided(6));
        horizon.enter(6, &rules(&WEIGHTS));
        assert!(horizon.is_decided(6) && !horizon.is_decided(7));
    }

    #[test]
    fn what_waits_for_turns_is_bounded() {
        let horizon = Horizon::new(domain(), on_l1(0, true));
        horizon.enter(5, &rules(&WEIGHTS));
        for height in 6..1_000 {
            horizon.hear_certificate(&certificate(height, &[]));
        }
        for _ in 0..2 * MAX_PEERS {
            horizon.hear_tip(peer(), 1);
        }
        assert!(horizon.state.lock().tips.is_empty(), "nobody asks");
        horizon.catch_up(false);
        for _ in 0..2 * MAX_PEERS {
            horizon.hear_tip(peer(), 1);
        }
        let state = horizon.state.lock();
        assert_eq!((state.certificates.len(), state.tips.len()), (MAX_CERTIFICATES, MAX_PEERS));
    }

    #[test]
    fn a_started_node_waits_until_most_have_said_where_they_are() {
        let horizon = Horizon::new(domain(), on_l1(0, true));
        horizon.catch_up(false);
        horizon.enter(5, &rules(&WEIGHTS));
        assert!(waits(&horizon.look(5)));
        horizon.hear_tip(peer(), 4);
        assert!(waits(&horizon.look(5)));
        horizon.hear_tip(peer(), 4);
        assert_eq!(horizon.look(5), Verdict::Open);
        // From then on nobody's word counts.
        horizon.hear_tip(peer(), 99);
        assert_eq!(horizon.look(5), Verdict::Open);

        // Before L1 was read nothing is certain either.
        let horizon = Horizon::new(domain(), on_l1(0, false));
        horizon.catch_up(false);
        horizon.enter(5, &rules(&WEIGHTS));
        (0..3).for_each(|_| horizon.hear_tip(peer(), 4));
        assert!(waits(&horizon.look(5)));
    }

    #[test]
    fn a_node_that_is_behind_waits_for_the_proof_at_each_height() {
        let horizon = Horizon::new(domain(), on_l1(0, true));
        horizon.catch_up(false);
        horizon.enter(5, &rules(&WEIGHTS));
        (0..3).for_each(|_| horizon.hear_tip(peer(), 6));
        for height in 5..=6 {
            assert!(waits(&horizon.look(height)));
            horizon.hear_certificate(&certificate(height, &[1, 2, 3]));
            assert_eq!(horizon.look(height), Verdict::Decided);
            horizon.decided(height, 0);
            horizon.enter(height + 1, &rules(&WEIGHTS));
        }
        assert_eq!(horizon.look(7), Verdict::Open);
    }

    #[test]
    fn a_claim_without_proof_costs_one_delay() {
        let horizon = Horizon::new(domain(), on_l1(0, true));
        horizon.catch_up(false);
        horizon.enter(5, &rules(&WEIGHTS));
        horizon.hear_tip(peer(), u64::MAX);
        assert!(waits(&horizon.look(5)));
        horizon.state.lock().since = Instant::now().checked_sub(PATIENCE);
        assert_eq!(horizon.look(5), Verdict::Open);
        horizon.enter(6, &rules(&WEIGHTS));
        horizon.hear_tip(peer(), u64::MAX);
        assert_eq!(horizon.look(6), Verdict::Open);
    }

    /// The first nodes of a chain have nobody to hear from.
    #[test]
    fn a_new_key_waits_only_for_l1_and_those_who_are_ahead() {
        let horizon = Horizon::new(domain(), on_l1(0, true));
        horizon.catch_up(true);
        horizon.enter(1, &rules(&WEIGHTS));
        assert_eq!(horizon.look(1), Verdict::Open);
        horizon.hear_tip(peer(), 3);
        assert!(waits(&horizon.look(1)));

        let horizon = Horizon::new(domain(), on_l1(0, false));
        horizon.catch_up(true);
        horizon.enter(1, &rules(&WEIGHTS));
        assert!(waits(&horizon.look(1)), "L1 may say more than the table");
        horizon.state.lock().since = Instant::now().checked_sub(PATIENCE);
        assert_eq!(horizon.look(1), Verdict::Open);
    }

    #[test]
    fn what_many_claim_and_an_l1_that_was_not_read_are_waited_for_longer() {
        for (current, claims) in [(true, 2), (false, 0)] {
            let horizon = Horizon::new(domain(), on_l1(0, current));
            horizon.catch_up(false);
            horizon.enter(5, &rules(&WEIGHTS));
            (0..claims).for_each(|_| horizon.hear_tip(peer(), 9));
            horizon.state.lock().since = Instant::now().checked_sub(PATIENCE);
            assert!(waits(&horizon.look(5)));
            horizon.state.lock().since = Instant::now().checked_sub(LONG_PATIENCE);
            assert_eq!(horizon.look(5), Verdict::Open);
        }
    }

    /// Others decide all heights without this node, so that each is proven before its patience ends.
    #[test]
    fn a_claim_of_a_height_that_never_comes_does_not_silence_the_node_for_ever() {
        let horizon = Horizon::new(domain(), on_l1(0, true));
        horizon.catch_up(false);
        horizon.hear_tip(peer(), u64::MAX);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let without_this_node = |height, timestamp| {
            horizon.enter(height, &rules(&WEIGHTS));
            horizon.hear_certificate(&certificate(height, &[1, 2, 3]));
            assert_eq!(horizon.look(height), Verdict::Decided);
            horizon.decided(height, timestamp);
            horizon.enter(height + 1, &rules(&WEIGHTS));
            horizon.look(height + 1)
        };
        for height in 5..100 {
            assert!(waits(&without_this_node(height, now + 20)), "an earlier life may have signed at {}", height + 1);
        }
        assert_eq!(without_this_node(100, now + AFTER_START.as_secs() + 20), Verdict::Open);
    }

    #[test]
    fn a_claim_is_not_taken_back() {
        let (horizon, ahead) = (Horizon::new(domain(), on_l1(0, true)), peer());
        horizon.catch_up(false);
        horizon.enter(5, &rules(&WEIGHTS));
        horizon.hear_tip(ahead, 9);
        horizon.hear_tip(ahead, 0);
        (0..2).for_each(|_| horizon.hear_tip(peer(), 0));
        assert!(waits(&horizon.look(5)));
    }

    #[tokio::test]
    async fn a_vote_that_waits_is_woken_by_the_proof() {
        let horizon = Arc::new(Horizon::new(domain(), on_l1(0, true)));
        horizon.catch_up(false);
        horizon.enter(5, &rules(&WEIGHTS));
        let waiting = tokio::spawn({
            let horizon = Arc::clone(&horizon);
            async move { horizon.turns_out_decided(5).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        horizon.hear_certificate(&certificate(5, &[1, 2, 3]));
        assert!(tokio::time::timeout(PATIENCE / 2, waiting).await.unwrap().unwrap());
    }
}
