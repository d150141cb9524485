//! When a keeper acts on something due: not all keepers at once, and more seldom what it paid for in vain.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, keccak256};

/// First pause after a transaction that was included and reverted; doubled with each further one.
const REVERTED: Duration = Duration::from_secs(10);
/// Longest of these pauses.
const LONGEST: Duration = Duration::from_secs(600);

/// When a chore is this keeper's.
#[derive(Debug)]
pub(super) struct Turn {
    /// Not before.
    at: Instant,
    /// Transactions in a row that were paid for and changed nothing.
    reverts: u32,
}

impl Turn {
    /// That of something which was found due `now`.
    pub(super) fn after(wait: Duration, now: Instant) -> Self {
        Self { at: now + wait, reverts: 0 }
    }

    pub(super) fn has_come(&self, now: Instant) -> bool {
        now >= self.at
    }

    /// Whoever can make the transactions of a keeper fail after their simulation, such as a faster keeper, gets ever fewer of
    /// them. What L1 refuses in the simulation costs nothing and may be asked again at once.
    pub(super) fn reverted(&mut self, now: Instant) {
        let pause = REVERTED.saturating_mul(2_u32.saturating_pow(self.reverts)).min(LONGEST);
        self.reverts = self.reverts.saturating_add(1);
        self.at = now + pause;
    }
}

/// A wait between 0 and `longest` that differs by keeper and by chore, so that no keeper is always first.
pub(super) fn wait_before(keeper: Address, chore: &str, longest: Duration) -> Duration {
    let hash = keccak256([keeper.as_slice(), chore.as_bytes()].concat());
    let part = u32::from(u16::from_be_bytes([hash[0], hash[1]]));
    longest * part / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::Chore;

    #[test]
    fn keepers_wait_differently_and_never_too_long() {
        let longest = Duration::from_secs(5);
        let chore = Chore::Freeze { epoch: 7 }.key();
        let waits: Vec<_> = (0..50_u8).map(|i| wait_before(Address::repeat_byte(i), &chore, longest)).collect();
        assert!(waits.iter().all(|wait| *wait <= longest));
        let mut distinct = waits.clone();
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() > 45);
        assert_ne!(waits[0], wait_before(Address::repeat_byte(0), &Chore::Freeze { epoch: 8 }.key(), longest));
    }

    #[test]
    fn what_was_paid_for_in_vain_is_tried_ever_more_seldom() {
        let start = Instant::now();
        let mut turn = Turn::after(Duration::from_secs(3), start);
        assert!(!turn.has_come(start + Duration::from_secs(2)) && turn.has_come(start + Duration::from_secs(3)));
        let (mut now, mut paid) = (start, 0);
        while now < start + Duration::from_secs(24 * 3_600) {
            if turn.has_come(now) {
                turn.reverted(now);
                paid += 1;
            }
            now += Duration::from_secs(2);
        }
        // Seven in the first ten minutes, then one every ten.
        assert!((140..=151).contains(&paid), "{paid} on a day");
        assert!(turn.has_come(now + LONGEST), "it is never given up");
        let mut turn = Turn::after(Duration::ZERO, start);
        for _ in 0..100 {
            turn.reverted(start);
        }
        assert!(turn.has_come(start + LONGEST));
    }
}
