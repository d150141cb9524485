// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title ExitWindow
/// @notice How much may leave instantly in a time: a bucket that is used up by exits and whole again `span` seconds later.
/// @dev Parts of all assets, 1e18 = all; times in seconds. The bucket refills evenly.
library ExitWindow {
    /// @notice One word.
    /// @param used What was used at `since`.
    /// @param since When that was said, unix seconds.
    struct Window {
        uint208 used;
        uint48 since;
    }

    /// @notice What is left of `capacity`, with `span` > 0 seconds for a whole one to come back.
    function left(Window storage self, uint256 capacity, uint256 span) internal view returns (uint256) {
        uint256 refilled = FixedPointMathLib.fullMulDiv(block.timestamp - self.since, capacity, span);
        return FixedPointMathLib.zeroFloorSub(capacity, FixedPointMathLib.zeroFloorSub(self.used, refilled));
    }

    /// @notice From now on `used` is used, at most the capacity.
    function set(Window storage self, uint256 used) internal {
        // A capacity is at most 1e18, and 48 bits of seconds last.
        // forge-lint: disable-next-line(unsafe-typecast)
        (self.used, self.since) = (uint208(used), uint48(block.timestamp));
    }
}
