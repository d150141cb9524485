//! Where signed messages wait for the watcher, so that nobody can crowd out anybody else's.
//!
//! What the network brings is not verified when it comes, and anybody can send junk in the name of a member. So each member
//! has a lane of its own, with room for every place that it can honestly speak at now, and a little for the past; at each
//! place a few messages wait, and when more come, which ones stay is left to chance. Whoever is no member of a set that
//! serves about now shares one lane with all others of that kind. Lanes and places take turns on the way out.
//!
//! What the consensus engine acts on comes a second time, from its own log, and waits apart: junk does not get there,
//! because the engine logs nothing that it has not verified. So the record holds whatever this node's own votes have to be
//! explained by, whatever is sent to it.

use std::{
    collections::{BTreeMap, HashSet},
    ops::{Bound, RangeInclusive},
    sync::Arc,
};

use alloy_primitives::Address;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Heard, HeardPolka};

/// How far beyond the present round of a height its messages are kept; the engine drops what is further, too.
pub(super) const ROUNDS_AHEAD: u32 = 10;
/// Heights ahead of the running one whose messages wait until it is known who serves them.
const HEIGHTS_AHEAD: u64 = 8;
/// Messages that wait at one place of one signer.
const AT_PLACE: usize = 4;
/// Messages of the network that wait in the lanes of members, and of the engine: about 200 bytes each.
const ROOM: usize = 1 << 17;
/// Those in the lane of everybody else.
const STRANGERS: usize = 4_096;
/// Part of a lane for what is not about the present: one of so many.
const FAR: usize = 8;
/// Polkas that wait: of the engine, of the network, and of these about the past; up to 6 kB each.
const POLKAS: usize = 512;
const FAR_POLKAS: usize = 64;
/// Polkas of the network handed out with one batch: each takes as long as 64 messages.
const POLKAS_AT_A_TIME: usize = 4;

/// Who says that a message is worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Somebody.
    Network,
    /// The engine of this node: it verified the message and wrote it to its log.
    Engine,
}

/// What the watcher listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A message.
    Message(Heard),
    /// A polka, which explains votes even where single votes on record do not make it up.
    Polka(HeardPolka),
}

/// What the queue has to know to tell what is of use.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// First height anybody can be judged for.
    pub oldest: u64,
    /// Newest decided height.
    pub head: u64,
    /// The running height and its round, as far as consensus has told.
    pub running: (u64, u32),
    /// Keys of the sets that serve about now.
    pub members: Arc<HashSet<Address>>,
}

impl View {
    /// Whether a message is about what is going on now.
    fn is_near(&self, height: u64, round: u32) -> bool {
        let present = if height == self.running.0 { self.running.1 } else { 0 };
        let rounds = present.saturating_sub(ROUNDS_AHEAD)..=present.saturating_add(ROUNDS_AHEAD);
        height >= self.head && rounds.contains(&round)
    }

    /// Whether there is nothing to be learnt from a message about that: nobody can be judged for it, or it is too far
    /// ahead to be true.
    fn is_useless(&self, height: u64, round: u32) -> bool {
        let next = self.head.saturating_add(1);
        let unstarted = height > next.max(self.running.0) && round > ROUNDS_AHEAD;
        height < self.oldest || height > next.saturating_add(HEIGHTS_AHEAD) || unstarted
    }
}

/// Place of a message, with its signer: a polka has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    height: u64,
    round: u32,
    kind: u8,
    signer: Address,
}

impl Spot {
    /// Before all others of that height.
    const fn first(height: u64) -> Self {
        Self { height, round: 0, kind: 0, signer: Address::ZERO }
    }
}

/// What waits, by place.
#[derive(Debug)]
struct Slots<T> {
    slots: BTreeMap<Spot, Slot<T>>,
    /// The place that was taken last.
    cursor: Option<Spot>,
    len: usize,
}

#[derive(Debug)]
struct Slot<T> {
    kept: Vec<T>,
    /// Different ones that came, kept or not.
    seen: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: BTreeMap::new(), cursor: None, len: 0 }
    }
}

impl<T: PartialEq> Slots<T> {
    /// Keeps `item` if there is room for it; false if something was lost. At a full place of the network's, all that came
    /// have the same chance to stay, so that who comes first or last has no advantage; of the engine's, the first stay.
    fn put(&mut self, spot: Spot, item: T, room: usize, source: Source) -> bool {
        let is_full = self.len >= room;
        let Some(slot) = self.slots.get_mut(&spot) else {
            if !is_full {
                self.slots.insert(spot, Slot { kept: vec![item], seen: 1 });
                self.len += 1;
            }
            return !is_full;
        };
        if slot.kept.contains(&item) {
            return true;
        }
        slot.seen = slot.seen.saturating_add(1);
        if slot.kept.len() < AT_PLACE && !is_full {
            slot.kept.push(item);
            self.len += 1;
            return true;
        }
        if source == Source::Network
            && let Some(kept) = slot.kept.get_mut(rand::random::<u32>() as usize % slot.seen)
        {
            *kept = item;
        }
        false
    }

    /// Takes what waits at the next place at one of the heights `ready`.
    fn take(&mut self, ready: &[RangeInclusive<u64>]) -> Option<Vec<T>> {
        let next = self.next(self.cursor, ready).or_else(|| self.next(None, ready))?;
        self.cursor = Some(next);
        let slot = self.slots.remove(&next)?;
        self.len -= slot.kept.len();
        Some(slot.kept)
    }

    fn next(&self, after: Option<Spot>, ready: &[RangeInclusive<u64>]) -> Option<Spot> {
        ready.iter().find_map(|heights| {
            let (first, end) = (Spot::first(*heights.start()), Spot::first(heights.end().saturating_add(1)));
            let lower = match after {
                Some(after) if after >= first => Bound::Excluded(after),
                _ => Bound::Included(first),
            };
            let passed = after.is_some_and(|after| after >= end) || first >= end;
            let mut there = (!passed).then(|| self.slots.range((lower, Bound::Excluded(end))))?;
            there.next().map(|(spot, _)| *spot)
        })
    }
}

/// What waits of one signer.
#[derive(Debug, Default)]
struct Lane {
    near: Slots<Heard>,
    far: Slots<Heard>,
}

/// Lanes by signer.
#[derive(Debug, Default)]
struct Lanes {
    lanes: BTreeMap<Address, Lane>,
    /// The lane that was served last.
    cursor: Address,
    len: usize,
}

impl Lanes {
    /// Puts a message into a lane with room for `room`; false if something was lost.
    fn put(&mut self, signer: Address, near: bool, heard: Heard, room: usize, source: Source) -> bool {
        let spot = Spot { height: heard.height, round: heard.round, kind: heard.kind as u8, signer: heard.signer };
        let lane = self.lanes.entry(signer).or_default();
        let (slots, room) = match near {
            true => (&mut lane.near, room - room / FAR),
            false => (&mut lane.far, room / FAR),
        };
        let before = slots.len;
        // Lanes that were given room when there were fewer of them may be fuller than they should be by now.
        let kept = slots.put(spot, heard, if self.len < ROOM + STRANGERS { room } else { 0 }, source);
        self.len += slots.len - before;
        kept
    }

    /// Takes about `limit` messages at the heights `ready`, lane by lane and place by place.
    fn take(&mut self, ready: &[RangeInclusive<u64>], limit: usize) -> Vec<Heard> {
        let (before, after) = self.lanes.keys().partition::<Vec<Address>, _>(|signer| **signer <= self.cursor);
        let (order, mut taken) = ([after, before].concat(), Vec::new());
        loop {
            let served = taken.len();
            for signer in &order {
                if taken.len() >= limit {
                    break;
                }
                let Some(lane) = self.lanes.get_mut(signer) else { continue };
                for slots in [&mut lane.near, &mut lane.far] {
                    taken.extend(slots.take(ready).into_iter().flatten());
                }
                self.cursor = *signer;
            }
            if taken.len() == served {
                break;
            }
        }
        self.len -= taken.len();
        self.lanes.retain(|_, lane| lane.near.len + lane.far.len > 0);
        taken
    }
}

#[derive(Debug, Default)]
struct Waiting {
    /// Nothing is known before the watcher has looked around.
    view: Option<View>,
    engine: Lanes,
    network: Lanes,
    engine_polkas: Slots<HeardPolka>,
    near_polkas: Slots<HeardPolka>,
    far_polkas: Slots<HeardPolka>,
}

impl Waiting {
    fn put(&mut self, said: Said, source: Source) {
        let (height, round) = match &said {
            Said::Message(heard) => (heard.height, heard.round),
            Said::Polka(polka) => (polka.height, polka.round),
        };
        let view = self.view.as_ref();
        if source == Source::Network && view.is_some_and(|view| view.is_useless(height, round)) {
            metrics::counter!("rota_evidence_ignored_total").increment(1);
            return;
        }
        let near = view.is_none_or(|view| view.is_near(height, round));
        let kept = match said {
            Said::Message(heard) => {
                let room = ROOM / view.map_or(1, |view| view.members.len().max(1));
                let is_member = view.is_some_and(|view| view.members.contains(&heard.signer));
                let (lanes, is_member) = match source {
                    Source::Engine => (&mut self.engine, true),
                    Source::Network => (&mut self.network, is_member),
                };
                match is_member {
                    true => lanes.put(heard.signer, near || source == Source::Engine, heard, room, source),
                    false => lanes.put(Address::ZERO, near, heard, STRANGERS, source),
                }
            }
            Said::Polka(polka) => {
                let spot = Spot { round, ..Spot::first(height) };
                match source {
                    Source::Engine => self.engine_polkas.put(spot, polka, POLKAS, source),
                    Source::Network if near => self.near_polkas.put(spot, polka, POLKAS, source),
                    Source::Network => self.far_polkas.put(spot, polka, FAR_POLKAS, source),
                }
            }
        };
        if !kept {
            match source {
                Source::Engine => metrics::counter!("rota_evidence_engine_dropped_total").increment(1),
                Source::Network => metrics::counter!("rota_evidence_dropped_total").increment(1),
            }
        }
    }

    fn take(&mut self, ready: &[RangeInclusive<u64>], limit: usize) -> Vec<(Said, Source)> {
        let mut taken = Vec::new();
        let polkas = |slots: &mut Slots<HeardPolka>, most: usize| {
            let mut polkas = Vec::new();
            while polkas.len() < most
                && let Some(found) = slots.take(ready)
            {
                polkas.extend(found);
            }
            polkas
        };
        // What excuses comes before what it excuses.
        taken.extend(
            polkas(&mut self.engine_polkas, POLKAS).into_iter().map(|said| (Said::Polka(said), Source::Engine)),
        );
        taken.extend(self.engine.take(ready, limit).into_iter().map(|said| (Said::Message(said), Source::Engine)));
        for slots in [&mut self.near_polkas, &mut self.far_polkas] {
            let found = polkas(slots, POLKAS_AT_A_TIME);
            taken.extend(found.into_iter().map(|said| (Said::Polka(said), Source::Network)));
        }
        taken.extend(self.network.take(ready, limit).into_iter().map(|said| (Said::Message(said), Source::Network)));
        taken
    }
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

/// Where consensus leaves messages for the watcher. Clones leave them in the same queue.
#[derive(Clone, Debug)]
pub struct Ear {
    shared: Arc<Shared>,
    source: Source,
}

impl Ear {
    /// An ear for the network, and what it hears.
    pub fn new() -> (Self, Queue) {
        let shared = Arc::<Shared>::default();
        (Self { shared: Arc::clone(&shared), source: Source::Network }, Queue(shared))
    }

    /// An ear for what the engine verified and acts on.
    pub fn of_engine(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), source: Source::Engine }
    }

    /// Leaves a message; never waits.
    pub fn hear(&self, heard: Heard) {
        self.put(Said::Message(heard));
    }

    /// Leaves a certificate; never waits.
    pub fn hear_polka(&self, polka: HeardPolka) {
        self.put(Said::Polka(polka));
    }

    fn put(&self, said: Said) {
        self.shared.waiting.lock().put(said, self.source);
        self.shared.filled.notify_one();
    }
}

/// What the watcher has yet to look at.
#[derive(Debug)]
pub struct Queue(Arc<Shared>);

impl Queue {
    /// Waits until something came since the last call.
    pub async fn filled(&self) {
        self.0.filled.notified().await;
    }

    /// Tells what is of use from now on.
    pub fn look(&self, view: View) {
        self.0.waiting.lock().view = Some(view);
    }

    /// Takes what waits about the heights `ready`, in ascending ranges: about `limit` messages of the engine and of the
    /// network each. What is left is announced again.
    pub fn take(&self, ready: &[RangeInclusive<u64>], limit: usize) -> Vec<(Said, Source)> {
        let taken = self.0.waiting.lock().take(ready, limit);
        if !taken.is_empty() {
            self.0.filled.notify_one();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use rota_protocol::{evidence::MessageKind, vote::Signature65};

    use super::*;

    const MEMBERS: u8 = 64;
    const HEAD: u64 = 1_000;

    fn signer(n: u8) -> Address {
        Address::repeat_byte(n)
    }

    fn heard(n: u8, height: u64, round: u32, block: u64) -> Heard {
        let mut bytes = [0; 65];
        (bytes[31], bytes[63], bytes[64]) = (1, 1, 27);
        Heard {
            kind: MessageKind::Prevote,
            height,
            round,
            block_hash: B256::left_padding_from(&block.to_be_bytes()),
            pol_round: 0,
            signer: signer(n),
            signature: Signature65::new(bytes).unwrap(),
        }
    }

    fn queue() -> (Ear, Queue) {
        let (ear, queue) = Ear::new();
        let members = Arc::new((1..=MEMBERS).map(signer).collect());
        queue.look(View { oldest: 10, head: HEAD, running: (HEAD + 1, 3), members });
        (ear, queue)
    }

    fn len(queue: &Queue) -> (usize, usize) {
        let waiting = queue.0.waiting.lock();
        // What is counted is what is there.
        for lanes in [&waiting.engine, &waiting.network] {
            let kept = |slots: &Slots<Heard>| slots.slots.values().map(|slot| slot.kept.len()).sum::<usize>();
            let there: usize = lanes.lanes.values().map(|lane| kept(&lane.near) + kept(&lane.far)).sum();
            assert_eq!(there, lanes.len);
        }
        (waiting.engine.len, waiting.network.len)
    }

    fn drain(queue: &Queue, ready: RangeInclusive<u64>) -> Vec<(Said, Source)> {
        let mut all = Vec::new();
        loop {
            let taken = queue.take(std::slice::from_ref(&ready), 256);
            assert!(taken.len() < 2 * 256 + POLKAS + 4 * AT_PLACE, "{}", taken.len());
            if taken.is_empty() {
                return all;
            }
            all.extend(taken);
        }
    }

    /// Junk in the name of every member, and of strangers, about everything that could be said: what members say
    /// themselves at other places is kept, and so is all that the engine acts on, at the very places of the junk.
    #[test]
    fn junk_in_the_name_of_every_member_crowds_nothing_out() {
        let (ear, queue) = queue();
        for n in 1..=MEMBERS {
            for junk in 0..2_000u64 {
                // Everywhere about the present but in one round, in the past, and too far ahead to be true.
                let (height, round) = (HEAD + junk % 9, (junk / 9 % 13) as u32);
                if round != 7 {
                    ear.hear(heard(n, height, round, junk));
                }
                ear.hear(heard(n, 10 + junk * 37 % (HEAD - 10), junk as u32, junk));
                ear.hear(heard(n, HEAD + 100 + junk, 0, junk));
            }
        }
        for junk in 0..20_000 {
            ear.hear(Heard { signer: Address::left_padding_from(&[2, 3, junk as u8]), ..heard(1, HEAD, 0, junk) });
        }
        let (engine, network) = len(&queue);
        assert_eq!(engine, 0);
        // It is bounded by what a few megabytes hold.
        assert!((20_000..=ROOM + STRANGERS).contains(&network), "{network}");

        let honest = |n, height| heard(n, height, 7, u64::MAX);
        let accepted = |n| heard(n, HEAD + 1, 0, u64::MAX);
        for n in 1..=MEMBERS {
            (HEAD..HEAD + 9).for_each(|height| ear.hear(honest(n, height)));
            ear.of_engine().hear(accepted(n));
        }
        let all = drain(&queue, 0..=u64::MAX - 1);
        assert_eq!(len(&queue), (0, 0));
        for n in 1..=MEMBERS {
            assert!((HEAD..HEAD + 9).all(|height| all.contains(&(Said::Message(honest(n, height)), Source::Network))));
            assert!(all.contains(&(Said::Message(accepted(n)), Source::Engine)));
        }
    }

    #[test]
    fn who_floods_one_place_leaves_others_there_a_chance_and_the_engine_s_first_words_stay() {
        let (mut kept, junk) = (0, 12);
        for _ in 0..400 {
            let (ear, queue) = queue();
            (0..junk).for_each(|junk| ear.hear(heard(1, HEAD + 1, 0, junk)));
            let honest = heard(1, HEAD + 1, 0, u64::MAX);
            ear.hear(honest);
            let all = drain(&queue, 0..=HEAD + 1);
            assert_eq!(all.len(), AT_PLACE);
            kept += usize::from(all.contains(&(Said::Message(honest), Source::Network)));
        }
        // 4 of 13: far from never and from always.
        assert!((60..=200).contains(&kept), "{kept}");

        let (ear, queue) = queue();
        (0..2).for_each(|_| ear.hear(heard(1, HEAD + 1, 0, 1)));
        assert_eq!(drain(&queue, 0..=HEAD + 1).len(), 1, "nothing waits twice");
        (0..50).for_each(|block| ear.of_engine().hear(heard(1, HEAD + 1, 0, block)));
        let expected: Vec<_> =
            (0..AT_PLACE as u64).map(|block| (Said::Message(heard(1, HEAD + 1, 0, block)), Source::Engine)).collect();
        assert_eq!(drain(&queue, 0..=HEAD + 1), expected);
    }

    #[test]
    fn what_cannot_be_looked_at_yet_waits_and_everybody_has_a_turn() {
        let (ear, queue) = queue();
        for n in 1..=3 {
            for round in 0..200 {
                ear.hear(heard(n, HEAD + 1, round % 14, round.into()));
            }
            ear.hear(heard(n, HEAD + 3, 0, 0));
        }
        ear.hear_polka(HeardPolka { height: HEAD + 3, round: 0, block_hash: B256::ZERO, signatures: Vec::new() });
        let first = queue.take(&[0..=HEAD + 1], 12);
        for n in 1..=3 {
            let of = |said: &&(Said, Source)| matches!(said, (Said::Message(heard), _) if heard.signer == signer(n));
            assert_eq!(first.iter().filter(of).count(), AT_PLACE, "one place of each");
        }
        drain(&queue, 0..=HEAD + 1);
        assert_eq!(len(&queue).1, 3);
        // A gap in what is known.
        assert!(queue.take(&[0..=HEAD + 2, HEAD + 4..=HEAD + 9], 12).is_empty());
        assert_eq!(queue.take(&[0..=5, HEAD + 3..=HEAD + 3], 12).len(), 4);
        assert_eq!(len(&queue).1, 0);
    }

    #[test]
    fn polkas_are_bounded_too() {
        let (ear, queue) = queue();
        let polka = |height, round, block| HeardPolka {
            height,
            round,
            block_hash: B256::repeat_byte(block),
            signatures: Vec::new(),
        };
        for junk in 0..100_000u64 {
            ear.hear_polka(polka(HEAD + junk % 9, (junk / 9 % 14) as u32, junk as u8));
            ear.hear_polka(polka(10 + junk % 900, junk as u32, 0));
        }
        let waiting = || {
            let waiting = queue.0.waiting.lock();
            (waiting.near_polkas.len, waiting.far_polkas.len)
        };
        assert!(waiting().0 <= POLKAS && waiting().1 <= FAR_POLKAS, "{:?}", waiting());
        let accepted = polka(HEAD + 1, 0, 0xff);
        ear.of_engine().hear_polka(accepted.clone());
        assert_eq!(queue.take(&[0..=HEAD + 1], 1)[0], (Said::Polka(accepted), Source::Engine));
    }
}
