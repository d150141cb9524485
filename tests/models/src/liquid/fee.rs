//! What leaving at once costs, and gains that vest.

use alloy_primitives::U256;

use super::terms::BPS;
use crate::integer::{mul_div_down, mul_div_up};

/// The fee at a state of the buffer: `floor + span * (1 - v / target)` at every level `v` it passes through.
#[derive(Clone, Copy, Debug)]
pub struct InstantFee {
    floor_bps: U256,
    span_bps: U256,
    buffer: U256,
    target: U256,
}

impl InstantFee {
    /// From `floor` at a full buffer on, by `span` more at an empty one, basis points; with `buffer` free of `target`,
    /// token wei.
    pub fn new(floor: u16, span: u16, buffer: U256, target: U256) -> Self {
        Self { floor_bps: U256::from(floor), span_bps: U256::from(span), buffer, target }
    }

    /// Fee of an exit that is paid `net`; each of its parts rounded up.
    pub fn of(&self, net: U256) -> U256 {
        let Self { floor_bps, span_bps, buffer, target } = *self;
        let high = buffer.min(target);
        let low = buffer.saturating_sub(net).min(target);
        let two_targets = target * U256::from(2);
        let floor = mul_div_up(net, floor_bps, BPS).unwrap_or(U256::MAX);
        let slope = if high > low {
            mul_div_up(span_bps * (high - low), two_targets - high - low, two_targets * BPS).unwrap_or(U256::MAX)
        } else {
            U256::ZERO
        };
        let beyond = mul_div_up(net.saturating_sub(buffer), span_bps, BPS).unwrap_or(U256::MAX);
        floor + slope + beyond
    }

    /// Worth of the shares to burn for `net`.
    pub fn gross(&self, net: U256) -> U256 {
        net + self.of(net)
    }

    /// The most that shares worth `gross` pay out.
    pub fn net(&self, gross: U256) -> U256 {
        let (mut affordable, mut beyond) = (U256::ZERO, gross + U256::ONE);
        while beyond - affordable > U256::ONE {
            let middle = (affordable + beyond) >> 1;
            if self.gross(middle) <= gross { affordable = middle } else { beyond = middle }
        }
        affordable
    }
}

/// Gains that vest linearly from `start` to `end`, unix seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drip {
    amount: U256,
    start: u64,
    end: u64,
}

impl Drip {
    /// When all of it has vested, unix seconds.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// What has not vested at `now`, token wei, rounded up.
    pub fn locked(&self, now: u64) -> U256 {
        if now >= self.end {
            return U256::ZERO;
        }
        let (left, all) = (U256::from(self.end - now), U256::from(self.end - self.start));
        mul_div_up(self.amount, left, all).unwrap_or(U256::MAX)
    }

    /// Adds `gain` that would vest in `seconds`: what is left of both takes their mean time, weighted by amount, at least
    /// a second.
    pub fn add(&mut self, gain: U256, seconds: u64, now: u64) {
        let locked = self.locked(now);
        let amount = locked + gain;
        let weighted = locked * U256::from(self.end.saturating_sub(now)) + gain * U256::from(seconds);
        let mean = mul_div_down(weighted, U256::ONE, amount).map_or(0, |mean| mean.saturating_to::<u64>().max(1));
        *self = Self { amount, start: now, end: now + mean };
    }

    /// Takes up to `loss` of what has not vested; the end stays. Returns what it took.
    pub fn take(&mut self, loss: U256, now: u64) -> U256 {
        let locked = self.locked(now);
        let taken = locked.min(loss);
        if !taken.is_zero() {
            (self.amount, self.start) = (locked - taken, now);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(value: u64) -> U256 {
        U256::from(value)
    }

    /// 5 bps at a full buffer, 2 % more at an empty one.
    fn fee(buffer: u64, target: u64) -> InstantFee {
        InstantFee { floor_bps: n(5), span_bps: n(200), buffer: n(buffer), target: n(target) }
    }

    #[test]
    fn the_fee_is_the_integral_over_the_levels() {
        // Above the target only the floor is asked.
        assert_eq!(fee(3_000_000, 1_000_000).of(n(1_000_000)), n(500));
        // From the target to nothing: the mean of 0 and 2 % beside it.
        assert_eq!(fee(1_000_000, 1_000_000).of(n(1_000_000)), n(500 + 10_000));
        // Beyond: 2 %.
        assert_eq!(fee(0, 1_000_000).of(n(1_000_000)), n(500 + 20_000));
    }

    #[test]
    fn the_net_is_the_largest_that_is_paid_for() {
        let fee = fee(700_000, 1_000_000);
        for gross in [0, 1, 2, 1_000, 699_999, 1_234_567] {
            let net = fee.net(n(gross));
            assert!(fee.gross(net) <= n(gross) && fee.gross(net + n(1)) > n(gross), "{gross}");
        }
    }

    #[test]
    fn a_drip_vests_to_its_end_and_pays_losses() {
        let mut drip = Drip::default();
        drip.add(n(1000), 100, 50);
        assert_eq!([drip.locked(50), drip.locked(75), drip.locked(149), drip.locked(150)], [1000, 750, 10, 0].map(n));
        // 750 for 75 more seconds and 250 for 175: 100 seconds.
        drip.add(n(250), 175, 75);
        assert_eq!([drip.locked(75), drip.locked(125), drip.locked(175)], [1000, 500, 0].map(n));
        assert_eq!(drip.take(n(600), 125), n(500));
        assert_eq!(drip.locked(125), n(0));
    }
}
