// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {LeaderSchedule} from "contracts/staking/LeaderSchedule.sol";

/// @dev The library's internal functions, callable.
contract LeaderScheduleHarness {
    function leader(
        bytes32 seed,
        uint64 height,
        uint64 firstHeight,
        uint32 round,
        uint256 slots,
        bytes calldata members
    ) external pure returns (uint256) {
        return LeaderSchedule.leader(seed, height, firstHeight, round, slots, members);
    }

    /// @dev How often each member leads round 0 of the window that starts at `firstHeight + window * slots`.
    function tally(bytes32 seed, uint64 window, uint256 slots, bytes calldata members)
        external
        pure
        returns (uint256[] memory led)
    {
        led = new uint256[](members.length / 32);
        for (uint256 slot = 0; slot < slots; ++slot) {
            ++led[LeaderSchedule.leader(seed, uint64(window * slots + slot), 0, 0, slots, members)];
        }
    }

    function permute(bytes32 windowSeed, uint256 slot, uint256 slots) external pure returns (uint256) {
        return LeaderSchedule.permute(windowSeed, slot, slots);
    }

    function isWindow(uint256 slots) external pure returns (bool) {
        return LeaderSchedule.isWindow(slots);
    }

    function memberAt(bytes calldata members, uint256 index) external pure returns (address, uint32, uint64) {
        return LeaderSchedule.memberAt(members, index);
    }
}
