// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IGuardian} from "../interfaces/IGuardian.sol";

/// @title Guardian
/// @dev Specified by `IGuardian`.
contract Guardian is IGuardian, AccessManaged {
    /// @inheritdoc IGuardian
    uint64 public constant MAX_PAUSE = 72 hours;

    /// @inheritdoc IGuardian
    uint64 public pausedUntil;

    constructor(address authority) AccessManaged(authority) {}

    /// @inheritdoc IGuardian
    function pause(uint64 duration) external restricted {
        require(duration != 0 && duration <= MAX_PAUSE, Guardian_DurationOutOfRange(duration, MAX_PAUSE));
        uint64 from = pausableFrom();
        require(block.timestamp >= from, Guardian_CoolingDown(from));
        uint64 until = uint64(block.timestamp) + duration;
        pausedUntil = until;
        emit Paused(msg.sender, until);
    }

    /// @inheritdoc IGuardian
    function unpause() external restricted {
        require(isPaused(), Guardian_NotPaused());
        pausedUntil = uint64(block.timestamp);
        emit Unpaused(msg.sender);
    }

    /// @inheritdoc IGuardian
    function isPaused() public view returns (bool) {
        return block.timestamp < pausedUntil;
    }

    /// @inheritdoc IGuardian
    function pausableFrom() public view returns (uint64) {
        uint64 until = pausedUntil;
        return until == 0 ? 0 : until + MAX_PAUSE;
    }
}
