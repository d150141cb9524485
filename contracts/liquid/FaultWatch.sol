// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAllocator} from "../interfaces/IAllocator.sol";
import {IAmnesiaFault} from "../interfaces/IAmnesiaFault.sol";
import {IFaultWatch} from "../interfaces/IFaultWatch.sol";
import {ISlasher} from "../interfaces/ISlasher.sol";
import {IStakedToken} from "../interfaces/IStakedToken.sol";

/// @title FaultWatch
/// @dev Specified by `IFaultWatch`.
contract FaultWatch is IFaultWatch {
    uint256 private constant _BPS = 10_000;

    /// @inheritdoc IFaultWatch
    uint256 public immutable THRESHOLD_BPS;

    /// @inheritdoc IFaultWatch
    uint256 public immutable HOLD_SECONDS;

    IStakedToken private immutable STAKED_TOKEN;
    IAllocator private immutable ALLOCATOR;
    IAmnesiaFault private immutable AMNESIA_FAULT;
    ISlasher private immutable SLASHER;

    /// @param stakedToken The `IStakedToken`; may be deployed later.
    /// @param allocator The `IAllocator` of the token.
    /// @param amnesiaFault The `IAmnesiaFault`; deployed before.
    /// @param slasher The `ISlasher`.
    /// @param thresholdBps Part of all assets from which on accusations count, 1 to 10,000.
    /// @param epochSeconds Length of an epoch, seconds.
    constructor(
        address stakedToken,
        address allocator,
        address amnesiaFault,
        address slasher,
        uint16 thresholdBps,
        uint64 epochSeconds
    ) {
        if (stakedToken == address(0) || allocator == address(0) || amnesiaFault == address(0) || slasher == address(0))
        {
            revert FaultWatch_ZeroAddress();
        }
        if (thresholdBps == 0 || thresholdBps > _BPS) revert FaultWatch_OutOfRange(thresholdBps);
        if (epochSeconds == 0) revert FaultWatch_OutOfRange(epochSeconds);
        STAKED_TOKEN = IStakedToken(stakedToken);
        ALLOCATOR = IAllocator(allocator);
        AMNESIA_FAULT = IAmnesiaFault(amnesiaFault);
        SLASHER = ISlasher(slasher);
        THRESHOLD_BPS = thresholdBps;
        HOLD_SECONDS = 2 * uint256(epochSeconds) + IAmnesiaFault(amnesiaFault).RESPONSE_WINDOW();
    }

    /// @inheritdoc IFaultWatch
    function heldUntil(uint256 since) external view returns (uint256) {
        uint256 accused = accusedStake();
        if (accused == 0 || accused * _BPS < STAKED_TOKEN.totalAssets() * THRESHOLD_BPS) return 0;
        return since + HOLD_SECONDS;
    }

    /// @inheritdoc IFaultWatch
    function accusedStake() public view returns (uint256 accused) {
        if (AMNESIA_FAULT.openChargesInAll() == 0 && !_mayBeDue()) return 0;
        uint32[] memory ids = ALLOCATOR.operators();
        uint256 count;
        for (uint256 i = 0; i < ids.length; ++i) {
            if (isAccused(ids[i])) ids[count++] = ids[i];
        }
        if (count == 0) return 0;
        assembly ("memory-safe") {
            mstore(ids, count)
        }
        // Also what was taken out of them: a charge says nothing of when, but no verdict reaches further than the vault.
        uint256[] memory stakes = STAKED_TOKEN.stakesOf(ids, true);
        for (uint256 i = 0; i < count; ++i) {
            accused += stakes[i];
        }
    }

    /// @inheritdoc IFaultWatch
    function isAccused(uint32 id) public view returns (bool) {
        return AMNESIA_FAULT.openCharges(id) != 0 || (_mayBeDue() && SLASHER.isTopUpDue(id));
    }

    /// @dev Only a conviction makes a top-up due, and whoever waits is held so long at most.
    function _mayBeDue() private view returns (bool) {
        return block.timestamp < SLASHER.lastConvictedAt() + HOLD_SECONDS;
    }
}
