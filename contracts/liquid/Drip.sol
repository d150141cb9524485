// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title Drip
/// @notice Gains that become the holders' linearly over time, so that nobody can buy in just before them.
/// @dev Pure: the state is passed in and handed back. Times in unix seconds, amounts in token wei.
library Drip {
    /// @notice One stretch of vesting; `amount == 0` or `end <= now` means nothing is locked.
    /// @param amount Locked at `start`.
    /// @param start When it began to vest.
    /// @param end When all of it has vested.
    struct Stretch {
        uint256 amount;
        uint256 start;
        uint256 end;
    }

    /// @notice What is still locked at `time` (not before `start`), rounded up: nobody is early by rounding.
    function lockedUp(Stretch memory self, uint256 time) internal pure returns (uint256) {
        if (time >= self.end) return 0;
        return FixedPointMathLib.fullMulDivUp(self.amount, self.end - time, self.end - self.start);
    }

    /// @notice Adds `gain`, to vest over `duration` seconds (> 0), to what is still locked. The new end is the mean of both
    /// remaining times weighted by amount, so dust can neither stretch nor hasten a large drip.
    function add(Stretch memory self, uint256 gain, uint256 duration, uint256 time)
        internal
        pure
        returns (Stretch memory)
    {
        uint256 locked = lockedUp(self, time);
        uint256 total = locked + gain;
        if (total == 0) return Stretch(0, time, time);
        uint256 left = locked == 0 ? 0 : self.end - time;
        return Stretch(total, time, time + FixedPointMathLib.max(1, (locked * left + gain * duration) / total));
    }

    /// @notice Takes at most `loss` out of what is still locked; the end stays.
    /// @return rest The stretch after it.
    /// @return taken What the drip paid.
    function take(Stretch memory self, uint256 loss, uint256 time)
        internal
        pure
        returns (Stretch memory rest, uint256 taken)
    {
        uint256 locked = lockedUp(self, time);
        taken = FixedPointMathLib.min(locked, loss);
        if (taken == 0) return (self, 0);
        rest = Stretch(locked - taken, time, self.end);
    }
}
