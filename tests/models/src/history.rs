//! Random histories: draws operations, applies each to contract and model, and on a disagreement looks for the shortest
//! history that still disagrees.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Write as _},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use eyre::{Report, Result, eyre};
use rand::{SeedableRng, rngs::StdRng};

/// How often each kind of operation came to each outcome, over all histories.
pub type Tally = BTreeMap<String, u64>;

/// Contract and model side by side, somewhere in a history.
pub trait Pair: Sized {
    /// One thing somebody does. It makes sense (or is refused) after any other, so that histories can be shortened.
    type Operation: Clone + Debug;

    /// A random operation.
    fn draw(random: &mut StdRng) -> Self::Operation;

    /// Applies `operation` to both sides and compares them. Returns the outcome, for the tally.
    ///
    /// # Errors
    /// Where they disagree, or the model breaks a property of its own.
    fn apply(&mut self, operation: &Self::Operation) -> Result<String>;

    /// Compares everything, at the end of a history.
    ///
    /// # Errors
    /// Where they disagree.
    fn finish(&mut self) -> Result<()>;

    /// Outcomes that a long campaign must have seen, so that no rule goes untested.
    fn expected() -> Vec<String>;
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// Number of histories.
    pub histories: u64,
    /// Operations in each.
    pub length: usize,
    /// Seed of the first history; the others count on from it.
    pub seed: u64,
    /// Histories at a time.
    pub jobs: usize,
}

/// From this many histories on every outcome of [`Pair::expected`] must come.
const COMPLETE: u64 = 1_000;

impl Campaign {
    /// Runs all histories, each on a pair fresh from `begin`.
    ///
    /// # Errors
    /// With the seed and the shortened history of the first disagreement found.
    pub fn run<P: Pair>(&self, begin: impl Fn() -> P + Sync) -> Result<Tally> {
        let next = AtomicU64::new(0);
        let parts = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs.max(1)).map(|_| scope.spawn(|| self.work(&next, &begin))).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| Err(eyre!("a worker panicked"))))
                .collect::<Result<Vec<_>>>()
        })?;
        let mut tally = Tally::new();
        for (outcome, count) in parts.into_iter().flatten() {
            *tally.entry(outcome).or_default() += count;
        }
        Ok(tally)
    }

    /// Finds what a campaign of this size should have seen and did not.
    ///
    /// # Errors
    /// With the outcomes that never came.
    pub fn check<P: Pair>(&self, tally: &Tally) -> Result<()> {
        let missing: Vec<_> = P::expected().into_iter().filter(|outcome| !tally.contains_key(outcome)).collect();
        if self.histories >= COMPLETE && !missing.is_empty() {
            return Err(eyre!("{} histories never saw: {}", self.histories, missing.join(", ")));
        }
        Ok(())
    }

    fn work<P: Pair>(&self, next: &AtomicU64, begin: impl Fn() -> P) -> Result<Tally> {
        let mut tally = Tally::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= self.histories {
                return Ok(tally);
            }
            let seed = self.seed.wrapping_add(index);
            let mut random = StdRng::seed_from_u64(seed);
            let operations: Vec<_> = (0..self.length).map(|_| P::draw(&mut random)).collect();
            if let Err(error) = play(begin(), &operations, &mut tally) {
                next.store(self.histories, Ordering::Relaxed);
                return Err(describe(seed, &operations, error, &begin));
            }
        }
    }
}

fn play<P: Pair>(mut pair: P, operations: &[P::Operation], tally: &mut Tally) -> Result<()> {
    for (step, operation) in operations.iter().enumerate() {
        let outcome = pair.apply(operation).map_err(|error| error.wrap_err(format!("after operation {step}")))?;
        *tally.entry(outcome).or_default() += 1;
    }
    pair.finish().map_err(|error| error.wrap_err("at the end"))
}

/// Takes operations out, many at first, one by one at last, as long as what is left still disagrees.
fn shorten<P: Pair>(operations: &[P::Operation], begin: impl Fn() -> P) -> (Vec<P::Operation>, Option<Report>) {
    let mut kept = operations.to_vec();
    let mut reason = None;
    let mut chunk = kept.len().div_ceil(2);
    while chunk > 0 {
        let mut from = 0;
        while from < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(from..(from + chunk).min(fewer.len()));
            match play(begin(), &fewer, &mut Tally::new()) {
                Ok(()) => from += chunk,
                Err(error) => (kept, reason) = (fewer, Some(error)),
            }
        }
        chunk /= 2;
    }
    (kept, reason)
}

fn describe<P: Pair>(seed: u64, operations: &[P::Operation], error: Report, begin: impl Fn() -> P) -> Report {
    let (kept, reason) = shorten(operations, begin);
    let mut text = format!("model and contract disagree: --seed {seed} --histories 1\nshortest history found:\n");
    for (step, operation) in kept.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {step:>2}  {operation:?}");
    }
    let _ = write!(text, "{:#}", reason.unwrap_or(error));
    eyre!(text)
}

/// The one of `all` that `pick` names; `None` of none.
pub fn choose<T>(all: impl Iterator<Item = T> + Clone, pick: u16) -> Option<T> {
    let count = all.clone().count();
    let mut all = all;
    all.nth(usize::from(pick).checked_rem(count)?)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    /// Disagrees as soon as a 3 was followed, at whatever distance, by a 7.
    struct Sequence(bool);

    impl Pair for Sequence {
        type Operation = u8;

        fn draw(random: &mut StdRng) -> u8 {
            random.random_range(0..10)
        }

        fn apply(&mut self, operation: &u8) -> Result<String> {
            self.0 |= *operation == 3;
            if self.0 && *operation == 7 { Err(eyre!("7 after 3")) } else { Ok(format!("saw {operation}")) }
        }

        fn finish(&mut self) -> Result<()> {
            Ok(())
        }

        fn expected() -> Vec<String> {
            vec!["saw 10".into()]
        }
    }

    #[test]
    fn a_disagreement_is_told_with_the_shortest_history() {
        let campaign = Campaign { histories: 10, length: 100, seed: 1, jobs: 1 };
        let error = campaign.run(|| Sequence(false)).unwrap_err().to_string();
        assert!(error.contains("--seed 1 "), "{error}");
        assert!(error.contains("history found:\n   0  3\n   1  7\nafter operation 1: 7 after 3"), "{error}");
    }

    #[test]
    fn an_outcome_that_never_came_is_an_error() {
        let campaign = Campaign { histories: COMPLETE, length: 1, seed: 1, jobs: 2 };
        let tally = campaign.run(|| Sequence(false)).unwrap();
        let error = campaign.check::<Sequence>(&tally).unwrap_err().to_string();
        assert!(error.contains("never saw: saw 10"), "{error}");
    }
}
