//! Epochs: fixed spans of L1 time (protocol section 1).

use serde::{Deserialize, Serialize};

/// Maps L1 timestamps to epochs, exactly as `EpochClock.sol` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EpochClock {
    /// Start of epoch 0, Unix seconds.
    pub genesis: u64,
    /// Length of an epoch, seconds. Zero is treated as one.
    pub epoch_seconds: u64,
}

impl EpochClock {
    /// The epoch that contains `timestamp` (Unix seconds); 0 before genesis, saturating at `u32::MAX`.
    pub fn epoch_at(&self, timestamp: u64) -> u32 {
        let elapsed = timestamp.saturating_sub(self.genesis);
        u32::try_from(elapsed / self.epoch_seconds.max(1)).unwrap_or(u32::MAX)
    }

    /// First second of `epoch`, Unix seconds, saturating at `u64::MAX`.
    pub fn start_of(&self, epoch: u32) -> u64 {
        self.genesis.saturating_add(u64::from(epoch).saturating_mul(self.epoch_seconds.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: EpochClock = EpochClock { genesis: 1_000, epoch_seconds: 20 };

    #[test]
    fn boundaries_belong_to_the_epoch_they_start() {
        assert_eq!(CLOCK.epoch_at(0), 0);
        assert_eq!(CLOCK.epoch_at(1_019), 0);
        assert_eq!(CLOCK.epoch_at(1_020), 1);
        for epoch in [0, 1, 7, 1_000_000, u32::MAX] {
            assert_eq!(CLOCK.epoch_at(CLOCK.start_of(epoch)), epoch);
        }
        for epoch in [1, 2, 500] {
            assert_eq!(CLOCK.epoch_at(CLOCK.start_of(epoch) - 1), epoch - 1);
        }
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(CLOCK.epoch_at(u64::MAX), u32::MAX);
        let broken = EpochClock { genesis: u64::MAX, epoch_seconds: 0 };
        assert_eq!(broken.start_of(3), u64::MAX);
        assert_eq!(broken.epoch_at(5), 0);
    }
}
