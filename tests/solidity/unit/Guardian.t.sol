// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IGuardian} from "contracts/interfaces/IGuardian.sol";
import {IPortal} from "contracts/interfaces/IPortal.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @notice The timed brake: it ends by itself, and cannot be held (protocol section 11).
contract GuardianTest is NetworkKit {
    uint64 internal constant DAY_3 = 72 hours;

    function setUp() public {
        _deployNetwork();
    }

    function test_pause_endsByItself() public {
        vm.expectEmit(address(guardian));
        emit IGuardian.Paused(guard, GENESIS + 100);
        vm.prank(guard);
        guardian.pause(100);
        assertTrue(guardian.isPaused());
        assertEq(guardian.pausedUntil(), GENESIS + 100);
        vm.warp(GENESIS + 99);
        assertTrue(guardian.isPaused());
        vm.warp(GENESIS + 100);
        assertFalse(guardian.isPaused());
    }

    function test_pause_onlyGuardian() public {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, address(this)));
        guardian.pause(1);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, address(this)));
        guardian.unpause();
    }

    function test_pause_durationBounds() public {
        vm.startPrank(guard);
        vm.expectRevert(abi.encodeWithSelector(IGuardian.Guardian_DurationOutOfRange.selector, 0, DAY_3));
        guardian.pause(0);
        vm.expectRevert(abi.encodeWithSelector(IGuardian.Guardian_DurationOutOfRange.selector, DAY_3 + 1, DAY_3));
        guardian.pause(DAY_3 + 1);
        guardian.pause(DAY_3);
    }

    function test_pause_cannotBeExtendedOrRepeatedAtOnce() public {
        vm.startPrank(guard);
        guardian.pause(DAY_3);
        uint64 from = GENESIS + 2 * DAY_3;
        assertEq(guardian.pausableFrom(), from);
        vm.expectRevert(abi.encodeWithSelector(IGuardian.Guardian_CoolingDown.selector, from));
        guardian.pause(1);
        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(IGuardian.Guardian_CoolingDown.selector, from));
        guardian.pause(1);
        vm.warp(from);
        guardian.pause(1);
        assertTrue(guardian.isPaused());
    }

    function test_unpause_endsNowAndCoolsDownFromNow() public {
        vm.startPrank(guard);
        guardian.pause(DAY_3);
        vm.warp(GENESIS + 10);
        vm.expectEmit(address(guardian));
        emit IGuardian.Unpaused(guard);
        guardian.unpause();
        assertFalse(guardian.isPaused());
        assertEq(guardian.pausableFrom(), GENESIS + 10 + DAY_3);
        vm.expectRevert(abi.encodeWithSelector(IGuardian.Guardian_NotPaused.selector));
        guardian.unpause();
    }

    /// @dev Whatever a guardian does, between two pauses there is a pause-free time as long as the longest pause.
    function testFuzz_neverMoreThanHalfTheTime(uint64[8] memory durations, uint64[8] memory waits) public {
        uint256 paused;
        uint256 start = block.timestamp;
        for (uint256 i = 0; i < durations.length; ++i) {
            vm.prank(guard);
            try guardian.pause(uint64(bound(durations[i], 1, DAY_3))) {
                paused += guardian.pausedUntil() - block.timestamp;
            } catch {}
            vm.warp(block.timestamp + bound(waits[i], 1, DAY_3));
        }
        uint256 end = guardian.isPaused() ? guardian.pausedUntil() : block.timestamp;
        assertGt(paused, 0);
        assertLe(paused, (end - start + DAY_3) / 2);
    }

    /// @dev Adding exposure stops, paying and finalizing do not.
    function test_pause_stopsDepositsNotRewards() public {
        _start(4);
        _fund(1000e18);
        vm.prank(guard);
        guardian.pause(DAY_3);
        vm.expectRevert(abi.encodeWithSelector(IPortal.Portal_Paused.selector));
        portal.deposit(address(1), 1e9);
        vm.prank(address(batchChain));
        rewardVault.rewardPoster(poster, 1);
        assertEq(rewardVault.claimPosting(poster), parameters.postingReward);
    }
}
