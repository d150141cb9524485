//! Bodies that came before their turn: for heights whose parent is not decided yet, and for rounds that have not
//! started.
//!
//! Nothing is judged before its turn, so nobody can buy work ahead of the schedule. Each member has its share of the
//! room, whatever the others send.

use std::collections::BTreeMap;

use super::{
    body,
    streams::Assembled,
    types::{Height, Signer},
};

/// Bodies kept; a body has at most [`super::streams::MAX_BODY`] bytes.
const MAX_EARLY: usize = 16;

/// The bodies, in the order of their arrival.
#[derive(Debug, Default)]
pub struct Early(Vec<Assembled>);

impl Early {
    /// Keeps a body until its turn. Repetitions, and bodies that are not what their proposer signed for, are dropped.
    /// If there are too many, the member with the most of them loses the one whose turn is the furthest.
    pub fn keep(&mut self, early: Assembled) {
        let known = self.0.iter().any(|known| known.init == early.init);
        // Whoever relays a stream could spoil it, and the sound one would pass for a repetition.
        if known || body::decode_as(&early.body, early.init.block.0).is_none() {
            return;
        }
        self.0.push(early);
        if self.0.len() > MAX_EARLY {
            let mut counts: BTreeMap<Signer, usize> = BTreeMap::new();
            for early in &self.0 {
                *counts.entry(early.init.proposer).or_default() += 1;
            }
            let excess = |early: &Assembled| (counts[&early.init.proposer], early.init.height, early.init.round);
            if let Some((index, _)) = self.0.iter().enumerate().max_by_key(|(_, early)| excess(early)) {
                self.0.remove(index);
            }
        }
    }

    /// Takes out the bodies for `height` whose round is `round` or an earlier one.
    pub fn due(&mut self, height: Height, round: u32) -> Vec<Assembled> {
        let due = |early: &mut Assembled| early.init.height == height && early.init.round <= round;
        self.0.extract_if(.., due).collect()
    }

    /// Forgets what is for `decided` or below.
    pub fn prune(&mut self, decided: u64) {
        self.0.retain(|early| early.init.height.0 > decided);
    }

    /// Number of bodies.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
