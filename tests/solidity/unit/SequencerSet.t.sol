// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {SequencerSetKit} from "../kit/SequencerSetKit.sol";

contract SequencerSetTest is SequencerSetKit {
    // --- construction

    function test_revert_constructor() public {
        ISequencerSet.Config memory config;
        bytes memory zero = abi.encodeWithSelector(ISequencerSet.SequencerSet_ZeroAddress.selector);
        for (uint256 i = 0; i < 4; ++i) {
            config = _setConfig(SEATS, 64);
            if (i == 0) config.registry = address(0);
            if (i == 1) config.vault = address(0);
            if (i == 2) config.batchChain = address(0);
            if (i == 3) config.guardian = address(0);
            _expectConstructorRevert(config, zero);
        }
        _expectConstructorRevert(
            _setConfig(0, 64), abi.encodeWithSelector(ISequencerSet.SequencerSet_InvalidSeats.selector, 0, 128)
        );
        _expectConstructorRevert(
            _setConfig(129, 64), abi.encodeWithSelector(ISequencerSet.SequencerSet_InvalidSeats.selector, 129, 128)
        );
        _expectConstructorRevert(
            _setConfig(8, 32), abi.encodeWithSelector(ISequencerSet.SequencerSet_InvalidWindow.selector, 32)
        );
        config = _setConfig(8, 64);
        config.minSelfBond = 2_000_000e18 + 1;
        _expectConstructorRevert(
            config,
            abi.encodeWithSelector(
                ISequencerSet.SequencerSet_InvalidMinSelfBond.selector, 2_000_000e18 + 1, 2_000_000e18
            )
        );
    }

    function test_views_initial() public view {
        assertEq(set.MAX_SEATS(), SEATS);
        assertEq(set.SEAT_LIMIT(), 128);
        assertEq(set.slotsPerWindow(), 64);
        assertEq(set.minSelfBond(), MIN_SELF_BOND);
        assertEq(set.churnBudget(), 4);
        assertEq(set.churnSpent(), 0);
        assertEq(set.lastFrozen(), 0);
        assertEq(set.frozenEpochAt(type(uint32).max), 0);
        assertEq(set.seats(7), 0);
    }

    function test_churnBudget_growsWithSeats() public {
        assertEq(_setOf(32).churnBudget(), 4);
        assertEq(_setOf(40).churnBudget(), 5);
        assertEq(_setOf(128).churnBudget(), 16);
    }

    // --- setReady

    function test_setReady() public {
        uint32 id = _register(_owner(0), _key(0));
        vm.expectEmit(address(set));
        emit ISequencerSet.ReadySet(id, true);
        vm.prank(_owner(0));
        set.setReady(id, true);
        assertTrue(set.isReady(id));
        vm.expectEmit(address(set));
        emit ISequencerSet.ReadySet(id, false);
        vm.prank(vm.addr(_key(0)));
        set.setReady(id, false);
        assertFalse(set.isReady(id));
    }

    function test_E3_revert_setReady_stranger() public {
        uint32 id = _register(_owner(0), _key(0));
        _expectNotOwnerOrSigner(id);
        vm.prank(STRANGER);
        set.setReady(id, true);
        _expectNotOwnerOrSigner(44);
        vm.prank(STRANGER);
        set.setReady(44, true);
    }

    function test_revert_setReady_whileSeated() public {
        uint32[] memory ids = _seated(1);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_AlreadySeated.selector, ids[0], 0));
        vm.prank(_owner(0));
        set.setReady(ids[0], false);
    }

    // --- leaveSeat

    function test_leaveSeat() public {
        uint32[] memory ids = _seated(2);
        uint32 epoch = _epoch();
        vm.expectEmit(address(set));
        emit ISequencerSet.SeatLeft(ids[1], 1);
        vm.expectEmit(address(set));
        emit ISequencerSet.ReadySet(ids[1], false);
        vm.prank(_owner(1));
        set.leaveSeat(ids[1]);
        assertEq(set.seats(1), 0);
        assertFalse(set.isReady(ids[1]));
        assertEq(set.reentryEpoch(ids[1]), epoch + 2);

        vm.prank(_owner(1));
        set.setReady(ids[1], true);
        _toEpoch(epoch + 1);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_ReentryTooSoon.selector, ids[1], epoch + 2));
        set.takeSeat(ids[1], 1);
        _toEpoch(epoch + 2);
        set.takeSeat(ids[1], 1);
    }

    function test_R3_leaveSeat_pausedAndJailedWorks() public {
        uint32[] memory ids = _seated(1);
        guardian.set(true);
        vm.prank(slasher);
        registry.jail(ids[0]);
        vm.prank(vm.addr(_key(0)));
        set.leaveSeat(ids[0]);
        assertEq(set.seats(0), 0);
    }

    function test_revert_leaveSeat() public {
        uint32[] memory ids = _seated(1);
        _expectNotOwnerOrSigner(ids[0]);
        vm.prank(STRANGER);
        set.leaveSeat(ids[0]);
        vm.startPrank(_owner(0));
        set.leaveSeat(ids[0]);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NotSeated.selector, ids[0]));
        set.leaveSeat(ids[0]);
        vm.stopPrank();
    }

    // --- leaderAt

    function test_leaderAt() public {
        uint32[] memory ids = _seated(5);
        uint32 epoch = _epoch() + 1;
        _freeze(epoch);
        bytes memory members = _members(ids, epoch);
        uint256[] memory led = new uint256[](5);
        for (uint64 height = 100; height < 164; ++height) {
            (uint32 id, address signer) = set.leaderAt(epoch, height, 100, 0, members);
            assertEq(signer, registry.signerAt(id, epoch));
            ++led[id - 1];
        }
        uint256 total = set.totalWeight(epoch);
        for (uint256 i = 0; i < 5; ++i) {
            uint256 share = 64 * (1000 + 100 * i);
            assertGe(led[i], share / total);
            assertLe(led[i], share / total + 1);
        }
    }

    function test_revert_leaderAt_wrongMembers() public {
        uint32[] memory ids = _seated(2);
        uint32 epoch = _epoch() + 1;
        bytes memory members = _members(ids, epoch);
        bytes32 actual = keccak256(members);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerSet.SequencerSet_WrongMembers.selector, epoch, bytes32(0), actual)
        );
        set.leaderAt(epoch, 1, 1, 0, members);
        _freeze(epoch);
        set.leaderAt(epoch, 1, 1, 0, members);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerSet.SequencerSet_WrongMembers.selector, epoch, actual, keccak256(""))
        );
        set.leaderAt(epoch, 1, 1, 0, "");
    }

    function test_revert_leaderAt_heightBeforeFirst() public {
        uint32[] memory ids = _seated(2);
        uint32 epoch = _epoch() + 1;
        _freeze(epoch);
        bytes memory members = _members(ids, epoch);
        vm.expectRevert(
            abi.encodeWithSelector(bytes4(keccak256("LeaderSchedule_HeightBeforeFirst(uint64,uint64)")), 4, 5)
        );
        set.leaderAt(epoch, 4, 5, 0, members);
    }

    // --- what is due

    function test_freezeDue() public {
        uint32[] memory ids = _seated(2);
        uint32 epoch = _epoch();
        (bool due, uint32 next) = set.freezeDue();
        assertFalse(due, "first half");
        assertEq(next, epoch + 1);
        _toSecondHalf(epoch);
        (due, next) = set.freezeDue();
        assertTrue(due);
        set.freeze(next);
        (due,) = set.freezeDue();
        assertFalse(due, "done");
        _toSecondHalf(epoch + 1);
        vm.startPrank(slasher);
        registry.jail(ids[0]);
        (due,) = set.freezeDue();
        assertTrue(due, "one is left");
        registry.jail(ids[1]);
        vm.stopPrank();
        (due,) = set.freezeDue();
        assertFalse(due, "nobody is left");
    }

    function test_seatDue_free() public {
        uint32 id = _operator(0, 1000e18);
        _expectSeatDue(id, false, 0);
        _toEpoch(11);
        _expectSeatDue(id, true, 0);
        guardian.set(true);
        _expectSeatDue(id, false, 0);
        guardian.set(false);
        set.takeSeat(id, 0);
        _expectSeatDue(id, false, 0);
        vm.prank(_owner(0));
        set.leaveSeat(id);
        _expectSeatDue(id, false, 0);
        vm.prank(_owner(0));
        set.setReady(id, true);
        _expectSeatDue(id, false, 0);
        _toEpoch(13);
        _expectSeatDue(id, true, 0);
        uint32 other = _candidate(1000e18);
        set.takeSeat(other, 0);
        _expectSeatDue(id, true, 1);
    }

    function test_seatDue_fullSet() public {
        uint32[] memory ids = _seated(SEATS);
        uint32 light = _candidate(1020e9);
        _expectSeatDue(light, false, 0);
        uint32[] memory heavy = _newcomers(6);
        _freeze(_epoch() + 1);
        for (uint8 i = 0; i < 4; ++i) {
            _expectSeatDue(heavy[i], true, i);
            set.takeSeat(heavy[i], i);
        }
        _expectSeatDue(heavy[4], false, 0);
        // A displaced member needs no budget, but someone lighter, and there is nobody.
        _expectSeatDue(ids[0], false, 0);
        // An ineligible occupant beats every lighter one.
        vm.prank(slasher);
        registry.jail(ids[6]);
        _expectSeatDue(heavy[4], true, 6);
        _expectSeatDue(light, true, 6);
    }

    // --- governance

    function test_setMinSelfBond() public {
        uint32[] memory ids = _seated(2);
        vm.expectEmit(address(set));
        emit ISequencerSet.MinSelfBondChanged(1050e9);
        set.setMinSelfBond(1050e9);
        assertEq(set.minSelfBond(), 1050e9);
        _freeze(_epoch() + 1);
        assertEq(set.memberCount(_epoch() + 1), 1);
        assertEq(set.seats(1), ids[1]);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISequencerSet.SequencerSet_InvalidMinSelfBond.selector, 2_000_000e18 + 1, 2_000_000e18
            )
        );
        set.setMinSelfBond(2_000_000e18 + 1);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, STRANGER));
        vm.prank(STRANGER);
        set.setMinSelfBond(1);
    }

    function _expectSeatDue(uint32 id, bool due, uint8 seat) private view {
        (bool actualDue, uint8 actualSeat) = set.seatDue(id);
        assertEq(actualDue, due, "due");
        assertEq(actualSeat, seat, "seat");
    }

    function _expectNotOwnerOrSigner(uint32 id) private {
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NotOwnerOrSigner.selector, id, STRANGER));
    }

    function _expectConstructorRevert(ISequencerSet.Config memory config, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.deployCode("SequencerSet.sol:SequencerSet", abi.encode(config));
    }
}
