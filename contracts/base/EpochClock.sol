// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEpochClock} from "../interfaces/IEpochClock.sol";

/// @title EpochClock
/// @notice Base of every contract that thinks in epochs. All contracts of a deployment get the same two values.
abstract contract EpochClock is IEpochClock {
    /// @inheritdoc IEpochClock
    uint64 public immutable GENESIS;

    /// @inheritdoc IEpochClock
    uint64 public immutable EPOCH_SECONDS;

    /// @dev EpochTrace numbers epochs with 24 bits: at this length they last ten years, and nobody's exit may ever fail
    /// because a trace is full.
    uint64 private constant _MIN_EPOCH_SECONDS = 20;

    /// @param genesis Start of epoch 0, unix seconds.
    /// @param epochSeconds Length of an epoch, seconds, at least 20.
    constructor(uint64 genesis, uint64 epochSeconds) {
        if (epochSeconds < _MIN_EPOCH_SECONDS) revert EpochClock_InvalidEpochSeconds(epochSeconds);
        GENESIS = genesis;
        EPOCH_SECONDS = epochSeconds;
    }

    /// @inheritdoc IEpochClock
    function epochAt(uint256 timestamp) public view returns (uint32 epoch) {
        if (timestamp < GENESIS) revert EpochClock_BeforeGenesis(timestamp, GENESIS);
        uint256 number = (timestamp - GENESIS) / EPOCH_SECONDS;
        if (number > type(uint32).max) revert EpochClock_OutOfRange(timestamp);
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint32(number);
    }

    /// @inheritdoc IEpochClock
    function currentEpoch() public view returns (uint32 epoch) {
        return epochAt(block.timestamp);
    }

    /// @inheritdoc IEpochClock
    function epochStart(uint32 epoch) public view returns (uint256 timestamp) {
        return GENESIS + uint256(epoch) * EPOCH_SECONDS;
    }
}
