// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title InstantExitFee
/// @notice Price of leaving at once from the buffer. At buffer level `v` and target `T` the marginal fee is
/// `floor + span * max(0, 1 - v / T)`; an exit pays its integral, so that splitting it does not pay (Q20).
/// @dev Amounts in token wei, fees in basis points.
library InstantExitFee {
    uint256 private constant _BPS = 10_000;

    /// @notice The curve and where the buffer stands.
    /// @param floorBps Fee of the first wei out of a full buffer.
    /// @param spanBps What an empty buffer adds to it.
    /// @param buffer Free buffer now.
    /// @param target Buffer from which on only `floorBps` is asked.
    struct Curve {
        uint256 floorBps;
        uint256 spanBps;
        uint256 buffer;
        uint256 target;
    }

    /// @notice Worth of the shares to burn so that `net` is paid out; each of the three parts of the fee rounded up. Beyond
    /// the buffer (only a preview gets there) the fee of an empty one goes on.
    function grossUp(Curve memory self, uint256 net) internal pure returns (uint256) {
        return net + feeUp(self, net);
    }

    /// @notice The fee for `net`, see `grossUp`.
    function feeUp(Curve memory self, uint256 net) internal pure returns (uint256 fee) {
        fee = FixedPointMathLib.fullMulDivUp(net, self.floorBps, _BPS);
        (uint256 buffer, uint256 target) = (self.buffer, self.target);
        uint256 high = FixedPointMathLib.min(buffer, target);
        uint256 low = FixedPointMathLib.min(FixedPointMathLib.zeroFloorSub(buffer, net), target);
        if (high > low) {
            // The mean of (1 - v / T) between low and high is (2T - high - low) / 2T.
            fee += FixedPointMathLib.fullMulDivUp(
                self.spanBps * (high - low), 2 * target - high - low, 2 * target * _BPS
            );
        }
        if (net > buffer) fee += FixedPointMathLib.fullMulDivUp(net - buffer, self.spanBps, _BPS);
    }

    /// @notice The most that can be paid out for shares worth `gross`: the largest `net` with `grossUp(net) <= gross`.
    /// @dev The fee grows with `net` by less than half of it (the bounds of the two fees), so `net = gross - fee(net)` is a
    /// contraction up to the three wei of its roundings; those last wei are walked.
    function netDown(Curve memory self, uint256 gross) internal pure returns (uint256 net) {
        net = gross;
        for (uint256 off = gross; off > 3;) {
            uint256 next = FixedPointMathLib.zeroFloorSub(gross, feeUp(self, net));
            off = FixedPointMathLib.dist(next, net);
            net = next;
        }
        while (grossUp(self, net) > gross) --net;
        while (grossUp(self, net + 1) <= gross) ++net;
    }
}
