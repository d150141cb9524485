//! The claim of docs/adr/0010-amnesia.md, held against the consensus engine itself: whatever an honest node is shown, and in
//! whatever order, it prevotes against its precommit only after a polka that clears it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    convert::Infallible,
    fmt,
};

use malachitebft_core_driver::{Driver, Input, Output, ThresholdParams};
use malachitebft_core_types::{
    self as core, Context, LinearTimeouts, NilOrVal, PolkaCertificate, PolkaSignature, Round, SignedExtension,
    SignedMessage, SigningScheme, Timeout, Validity, VoteType, VotingPower,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

const NODES: u64 = 4;
/// The last node has no driver: it says whatever chance wants.
const BYZANTINE: u64 = NODES - 1;
const STEPS: usize = 400;
const INVALID: u64 = 13;

// ------------------------------------------------------------------------------- the smallest context the engine accepts

#[derive(Clone, Debug)]
struct Plain;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Number(u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::Address for Number {}

impl core::Height for Number {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0 + n)
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl core::Value for Number {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member(Number);

impl core::Validator<Plain> for Member {
    fn address(&self) -> &Number {
        &self.0
    }

    fn public_key(&self) -> &() {
        &()
    }

    fn voting_power(&self) -> VotingPower {
        1
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Members(Vec<Member>);

impl core::ValidatorSet<Plain> for Members {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> VotingPower {
        NODES
    }

    fn get_by_address(&self, address: &Number) -> Option<&Member> {
        self.0.iter().find(|member| member.0 == *address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Member> {
        self.0.get(index)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Vote {
    kind: VoteType,
    round: Round,
    value: NilOrVal<Number>,
    voter: Number,
}

impl core::Vote<Plain> for Vote {
    fn height(&self) -> Number {
        Number(1)
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<Number> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<Number> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Number {
        &self.voter
    }

    fn extension(&self) -> Option<&SignedExtension<Plain>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Plain>> {
        None
    }

    fn extend(self, _: SignedExtension<Plain>) -> Self {
        self
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Proposal {
    round: Round,
    value: Number,
    pol_round: Round,
    proposer: Number,
}

impl core::Proposal<Plain> for Proposal {
    fn height(&self) -> Number {
        Number(1)
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &Number {
        &self.value
    }

    fn take_value(self) -> Number {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &Number {
        &self.proposer
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part;

impl core::ProposalPart<Plain> for Part {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Unsigned;

impl SigningScheme for Unsigned {
    type DecodingError = Infallible;
    type Signature = ();
    type PublicKey = ();
    type PrivateKey = ();

    fn decode_signature(_: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn encode_signature((): &()) -> Vec<u8> {
        Vec::new()
    }

    fn decode_public_key(_: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn encode_public_key((): &()) -> Vec<u8> {
        Vec::new()
    }
}

impl Context for Plain {
    type Address = Number;
    type Height = Number;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Member;
    type ValidatorSet = Members;
    type Timeouts = LinearTimeouts;
    type Value = Number;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Unsigned;

    fn select_proposer<'a>(&self, members: &'a Members, _: Number, round: Round) -> &'a Member {
        &members.0[proposer(round) as usize]
    }

    fn new_proposal(&self, _: Number, round: Round, value: Number, pol_round: Round, proposer: Number) -> Proposal {
        Proposal { round, value, pol_round, proposer }
    }

    fn new_prevote(&self, _: Number, round: Round, value: NilOrVal<Number>, voter: Number) -> Vote {
        Vote { kind: VoteType::Prevote, round, value, voter }
    }

    fn new_precommit(&self, _: Number, round: Round, value: NilOrVal<Number>, voter: Number) -> Vote {
        Vote { kind: VoteType::Precommit, round, value, voter }
    }
}

fn proposer(round: Round) -> u64 {
    u64::from(round.as_u32().unwrap()) % NODES
}

/// Validity of a block is the same for everybody.
fn validity(value: Number) -> Validity {
    Validity::from_bool(!value.0.is_multiple_of(INVALID))
}

// --------------------------------------------------------------------------------------------------------------- world

struct Node {
    driver: Driver<Plain>,
    timeouts: Vec<Timeout>,
    votes: BTreeSet<usize>,
    proposals: BTreeSet<usize>,
}

/// One height, in which chance delivers, delays and lets time run out.
struct World {
    rng: StdRng,
    nodes: Vec<Node>,
    votes: Vec<Vote>,
    proposals: Vec<Proposal>,
    values: u64,
}

impl World {
    fn run(seed: u64) -> Self {
        let members = Members((0..NODES).map(|n| Member(Number(n))).collect());
        let node = |n| Node {
            driver: Driver::new(Plain, Number(1), members.clone(), Number(n), ThresholdParams::default()),
            timeouts: Vec::new(),
            votes: BTreeSet::new(),
            proposals: BTreeSet::new(),
        };
        let nodes = (0..BYZANTINE).map(node).collect();
        let mut world =
            Self { rng: StdRng::seed_from_u64(seed), nodes, votes: Vec::new(), proposals: Vec::new(), values: 1 };
        for n in 0..world.nodes.len() {
            world.feed(n, Input::NewRound(Number(1), Round::new(0), Number(0)));
        }
        for _ in 0..STEPS {
            world.step();
        }
        world
    }

    fn step(&mut self) {
        let n = self.rng.random_range(0..self.nodes.len());
        if self.nodes[n].driver.decided_value().is_some() {
            return;
        }
        match self.rng.random_range(0..20) {
            0..10 => self.deliver_vote(n),
            10..13 => self.deliver_proposal(n),
            13..15 => self.time_out(n),
            15 => self.deliver_polka(n),
            _ => self.lie(),
        }
    }

    /// Runs the node until it waits again, as the engine's core does with the outputs of its driver.
    fn feed(&mut self, n: usize, input: Input<Plain>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for output in self.nodes[n].driver.process(input).unwrap() {
                match output {
                    Output::NewRound(height, round) => {
                        inputs.push_back(Input::NewRound(height, round, Number(proposer(round))));
                    }
                    Output::Propose(proposal) => {
                        self.nodes[n].proposals.insert(self.proposals.len());
                        self.proposals.push(proposal.clone());
                        let validity = validity(proposal.value);
                        inputs.push_back(Input::Proposal(SignedMessage::new(proposal, ()), validity));
                    }
                    Output::Vote(vote) => {
                        if vote.kind == VoteType::Precommit && vote.value.is_val() {
                            self.nodes[n].driver.prune_votes_and_certificates(vote.round);
                        }
                        self.nodes[n].votes.insert(self.votes.len());
                        self.votes.push(vote.clone());
                        inputs.push_back(Input::Vote(SignedMessage::new(vote, ())));
                    }
                    Output::ScheduleTimeout(timeout) => self.nodes[n].timeouts.push(timeout),
                    Output::GetValue(_, round, _) => {
                        self.values += 1;
                        inputs.push_back(Input::ProposeValue(round, Number(self.values)));
                    }
                    Output::Decide(..) => (),
                }
            }
        }
    }

    fn deliver_vote(&mut self, n: usize) {
        // Precommits for a block are held up longer, so that heights last and locks meet.
        let late = self.rng.random_bool(0.6);
        let held_up = |vote: &Vote| late && vote.kind == VoteType::Precommit && vote.value.is_val();
        let unseen = (0..self.votes.len()).filter(|i| !self.nodes[n].votes.contains(i) && !held_up(&self.votes[*i]));
        let unseen: Vec<_> = unseen.collect();
        if let Some(&i) = unseen.get(self.rng.random_range(0..unseen.len().max(1))) {
            self.nodes[n].votes.insert(i);
            let vote = self.votes[i].clone();
            self.feed(n, Input::Vote(SignedMessage::new(vote, ())));
        }
    }

    fn deliver_proposal(&mut self, n: usize) {
        let unseen: Vec<_> = (0..self.proposals.len()).filter(|i| !self.nodes[n].proposals.contains(i)).collect();
        if let Some(&i) = unseen.get(self.rng.random_range(0..unseen.len().max(1))) {
            self.nodes[n].proposals.insert(i);
            let proposal = self.proposals[i].clone();
            let validity = validity(proposal.value);
            self.feed(n, Input::Proposal(SignedMessage::new(proposal, ()), validity));
        }
    }

    fn time_out(&mut self, n: usize) {
        let round = self.nodes[n].driver.round();
        self.nodes[n].timeouts.retain(|timeout| timeout.round == round);
        let pending = self.nodes[n].timeouts.len();
        if pending != 0 {
            let timeout = self.nodes[n].timeouts.swap_remove(self.rng.random_range(0..pending));
            self.feed(n, Input::TimeoutElapsed(timeout));
        }
    }

    fn deliver_polka(&mut self, n: usize) {
        let polkas = self.polkas();
        if let Some((&(round, value), voters)) = polkas.iter().nth(self.rng.random_range(0..polkas.len().max(1))) {
            let polka_signatures = voters.iter().map(|voter| PolkaSignature::new(*voter, ())).collect();
            let certificate = PolkaCertificate { height: Number(1), round, value_id: value, polka_signatures };
            self.feed(n, Input::PolkaCertificate(certificate));
        }
    }

    /// Any vote in any round that anybody has reached, mostly for what was proposed in it, and proposals when it is its turn.
    fn lie(&mut self) {
        let reached = self.nodes.iter().map(|node| node.driver.round().as_u32().unwrap()).max().unwrap();
        let round = Round::new(self.rng.random_range(0..=reached));
        let proposed: Vec<_> = self.proposals.iter().filter(|p| p.round == round).map(|p| p.value).collect();
        let any = Number(self.rng.random_range(1..=self.values));
        let value = proposed.get(self.rng.random_range(0..=proposed.len())).copied().unwrap_or(any);
        if proposer(round) == BYZANTINE && self.rng.random_bool(0.3) {
            let pol_round = match self.rng.random_range(0..=round.as_u32().unwrap()) {
                0 => Round::Nil,
                above => Round::new(above - 1),
            };
            self.proposals.push(Proposal { round, value, pol_round, proposer: Number(BYZANTINE) });
        } else {
            let kind = if self.rng.random_bool(0.8) { VoteType::Prevote } else { VoteType::Precommit };
            let value = if self.rng.random_bool(0.2) { NilOrVal::Nil } else { NilOrVal::Val(value) };
            self.votes.push(Vote { kind, round, value, voter: Number(BYZANTINE) });
        }
    }

    /// Who prevoted each block in each round, where that is more than two thirds.
    fn polkas(&self) -> BTreeMap<(Round, Number), BTreeSet<Number>> {
        let mut voters = BTreeMap::<_, BTreeSet<_>>::new();
        for vote in self.votes.iter().filter(|vote| vote.kind == VoteType::Prevote) {
            if let NilOrVal::Val(value) = vote.value {
                voters.entry((vote.round, value)).or_default().insert(vote.voter);
            }
        }
        voters.retain(|_, voters| 3 * voters.len() as u64 > 2 * NODES);
        voters
    }

    /// Pairs of a precommit for a block and a later prevote for something else by one honest node.
    fn changes_of_mind(&self) -> impl Iterator<Item = (&Vote, &Vote)> {
        let honest = |vote: &&Vote| vote.voter.0 != BYZANTINE;
        let locks = self.votes.iter().filter(honest).filter(|v| v.kind == VoteType::Precommit && v.value.is_val());
        locks.flat_map(move |lock| {
            let later = move |vote: &&Vote| {
                vote.kind == VoteType::Prevote
                    && vote.voter == lock.voter
                    && vote.round > lock.round
                    && vote.value != lock.value
            };
            self.votes.iter().filter(later).map(move |vote| (lock, vote))
        })
    }
}

/// How many histories: enough to meet every case.
fn histories() -> u64 {
    if std::env::var_os("ROTA_SOAK").is_some() { 100_000 } else { 3_000 }
}

#[test]
fn the_engine_never_forgets_a_lock_without_a_polka() {
    let (mut cleared, mut nil, mut relocked) = (0, 0, 0);
    for seed in 0..histories() {
        let world = World::run(seed);
        let polkas = world.polkas();
        for (lock, vote) in world.changes_of_mind() {
            let NilOrVal::Val(value) = vote.value else {
                nil += 1;
                continue;
            };
            let answer = polkas.keys().find(|(round, v)| *v == value && (lock.round..vote.round).contains(round));
            assert!(answer.is_some(), "seed {seed}: no polka clears {lock:?} then {vote:?}");
            cleared += 1;
            let again = |other: &&Vote| other.kind == VoteType::Precommit && other.voter == vote.voter;
            relocked += u32::from(world.votes.iter().filter(again).any(|other| other.value == vote.value));
        }
    }
    // What the rule must not take for a fault happens all the time.
    println!(
        "{cleared} prevotes against a lock were cleared by a polka, {nil} were for nil, {relocked} met a second lock"
    );
    assert!(cleared > 10, "only {cleared} prevotes against a lock: the histories are too tame");
    assert!(nil > 200, "only {nil} prevotes for nil under a lock");
    assert!(relocked > 5, "only {relocked} locks changed");
}

/// The checker sees what it looks for: a member that prevotes another block right after its precommit is caught.
#[test]
fn a_forgotten_lock_is_seen() {
    let mut world = World::run(0);
    let voter = Number(0);
    let (locked, other) = (NilOrVal::Val(Number(1000)), NilOrVal::Val(Number(1001)));
    world.votes.push(Vote { kind: VoteType::Precommit, round: Round::new(90), value: locked, voter });
    world.votes.push(Vote { kind: VoteType::Prevote, round: Round::new(91), value: other, voter });
    let caught = |(lock, vote): &(&Vote, &Vote)| (lock.value, vote.value) == (locked, other);
    assert_eq!(world.changes_of_mind().filter(caught).count(), 1);
    assert!(world.polkas().keys().all(|(_, value)| NilOrVal::Val(*value) != other));
}
