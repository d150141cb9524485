// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";

import {EpochClock} from "contracts/base/EpochClock.sol";
import {IEpochClock} from "contracts/interfaces/IEpochClock.sol";

contract Clock is EpochClock {
    constructor(uint64 genesis, uint64 epochSeconds) EpochClock(genesis, epochSeconds) {}
}

contract EpochClockTest is Test {
    function test_boundaries() public {
        Clock clock = new Clock(1000, 60);
        assertEq(clock.GENESIS(), 1000);
        assertEq(clock.EPOCH_SECONDS(), 60);
        assertEq(clock.epochAt(1000), 0);
        assertEq(clock.epochAt(1059), 0);
        assertEq(clock.epochAt(1060), 1);
        assertEq(clock.epochStart(1), 1060);
        vm.warp(1000 + 60 * 7 + 59);
        assertEq(clock.currentEpoch(), 7);
    }

    function test_revert_beforeGenesis() public {
        Clock clock = new Clock(1000, 60);
        vm.warp(999);
        vm.expectRevert(abi.encodeWithSelector(IEpochClock.EpochClock_BeforeGenesis.selector, 999, 1000));
        clock.currentEpoch();
    }

    function test_revert_outOfRange() public {
        Clock clock = new Clock(1000, 20);
        uint256 end = 1000 + 20 * (uint256(type(uint32).max) + 1);
        assertEq(clock.epochAt(end - 1), type(uint32).max);
        vm.expectRevert(abi.encodeWithSelector(IEpochClock.EpochClock_OutOfRange.selector, end));
        clock.epochAt(end);
    }

    function test_revert_invalidEpochSeconds() public {
        vm.expectRevert(abi.encodeWithSelector(IEpochClock.EpochClock_InvalidEpochSeconds.selector, 19));
        new Clock(1000, 19);
    }

    function testFuzz_epochContainsTheTime(uint64 genesis, uint64 length, uint64 elapsed) public {
        length = uint64(bound(length, 20, 30 days));
        elapsed = uint64(bound(elapsed, 0, uint256(length) * type(uint32).max));
        Clock clock = new Clock(genesis, length);
        uint256 timestamp = uint256(genesis) + elapsed;
        uint32 epoch = clock.epochAt(timestamp);
        assertLe(clock.epochStart(epoch), timestamp);
        assertLt(timestamp - clock.epochStart(epoch), length);
    }
}
