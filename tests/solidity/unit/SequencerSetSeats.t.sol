// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {SequencerSetKit} from "../kit/SequencerSetKit.sol";

/// @notice Taking seats, and what it costs others (E3).
contract SequencerSetSeatsTest is SequencerSetKit {
    // --- takeSeat

    function test_takeSeat_free() public {
        uint32 id = _operator(0, 1000e18);
        _toEpoch(11);
        vm.expectEmit(address(set));
        emit ISequencerSet.SeatTaken(id, 3, 0);
        vm.prank(STRANGER);
        set.takeSeat(id, 3);
        assertEq(set.seats(3), id);
        (bool seated, uint8 seat) = set.seatOf(id);
        assertTrue(seated);
        assertEq(seat, 3);
    }

    /// @notice Invariant E2: stake of epoch c is worth a seat from c + 1, for the set of c + 2.
    function test_E2_revert_takeSeat_stakeTooYoung() public {
        uint32 id = _register(_owner(0), _key(0));
        vm.prank(_owner(0));
        set.setReady(id, true);
        _toEpoch(11);
        _delegate(_owner(0), id, 1000e18);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerSet.SequencerSet_SelfBondBelowMinimum.selector, id, 0, MIN_SELF_BOND)
        );
        set.takeSeat(id, 0);
        _toEpoch(12);
        set.takeSeat(id, 0);
    }

    function test_revert_takeSeat_paused() public {
        uint32 id = _candidate(1000e18);
        guardian.set(true);
        vm.expectRevert(ISequencerSet.SequencerSet_Paused.selector);
        set.takeSeat(id, 0);
    }

    function test_revert_takeSeat_noSuchSeat() public {
        uint32 id = _candidate(1000e18);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NoSuchSeat.selector, SEATS, SEATS));
        set.takeSeat(id, SEATS);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NoSuchSeat.selector, SEATS, SEATS));
        set.seats(SEATS);
    }

    function test_E4_revert_takeSeat_alreadySeated() public {
        uint32[] memory ids = _seated(1);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_AlreadySeated.selector, ids[0], 0));
        set.takeSeat(ids[0], 1);
    }

    function test_E3_revert_takeSeat_notReady() public {
        uint32 id = _candidate(1000e18);
        vm.prank(_owner(99));
        set.setReady(id, false);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NotReady.selector, id));
        set.takeSeat(id, 0);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NotReady.selector, 77));
        set.takeSeat(77, 0);
    }

    function test_E4_revert_takeSeat_notActive() public {
        uint32 id = _candidate(1000e18);
        vm.prank(slasher);
        registry.jail(id);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NotActive.selector, id));
        set.takeSeat(id, 0);
        // Registered in this epoch: the signer does not count in the next one yet.
        id = _operator(5, 1000e18);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NotActive.selector, id));
        set.takeSeat(id, 0);
    }

    function test_revert_takeSeat_selfBond() public {
        uint32 id = _operator(0, MIN_SELF_BOND - 1);
        _delegate(STRANGER, id, 1000e18);
        _toEpoch(11);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISequencerSet.SequencerSet_SelfBondBelowMinimum.selector, id, MIN_SELF_BOND - 1, MIN_SELF_BOND
            )
        );
        set.takeSeat(id, 0);
        _delegate(_owner(0), id, 1);
        _toEpoch(12);
        set.takeSeat(id, 0);
    }

    function test_E4_revert_takeSeat_noWeight() public {
        set.setMinSelfBond(0);
        uint32 id = _operator(0, 1 gwei - 1);
        _toEpoch(11);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NoWeight.selector, id));
        set.takeSeat(id, 0);
        _delegate(_owner(0), id, 1);
        _toEpoch(12);
        set.takeSeat(id, 0);
    }

    /// @notice Nobody is displaced while a seat is free: outsiders cannot burn the budget by a bad choice of seat.
    function test_E3_revert_takeSeat_freeSeatExists() public {
        _seated(SEATS - 1);
        uint32 id = _candidate(90_000e18);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_FreeSeatExists.selector, SEATS - 1, SEATS));
        set.takeSeat(id, 0);
        set.takeSeat(id, SEATS - 1);
    }

    /// @notice Invariant E3: more than 5 % below the candidate, to the gwei.
    function test_E3_takeSeat_fivePercent() public {
        uint32[] memory ids = _seated(SEATS);
        // The occupant of seat 0 weighs 1000 gwei: 95 % of 1052 is 999.4, of 1053 it is 1000.35.
        uint32 id = _candidate(1052 gwei);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerSet.SequencerSet_OccupantTooHeavy.selector, ids[0], 1000, 1052)
        );
        set.takeSeat(id, 0);
        _delegate(_owner(99), id, 1 gwei);
        _toEpoch(_epoch() + 1);
        vm.expectEmit(address(set));
        emit ISequencerSet.SeatTaken(id, 0, ids[0]);
        set.takeSeat(id, 0);
        (bool seated,) = set.seatOf(ids[0]);
        assertFalse(seated);
        assertEq(set.seats(0), id);
        assertTrue(set.isReady(ids[0]), "a displaced operator stays ready");
    }

    /// @notice Exactly 5 % below is not enough.
    function test_E3_revert_takeSeat_exactlyFivePercent() public {
        uint32[] memory ids = _seated(SEATS);
        _delegate(_owner(0), ids[0], 425 gwei);
        uint32 id = _operator(99, 1500 gwei);
        _toEpoch(13);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerSet.SequencerSet_OccupantTooHeavy.selector, ids[0], 1425, 1500)
        );
        set.takeSeat(id, 0);
    }

    /// @notice An occupant that is not eligible any more yields to any weight, without budget and with other seats free.
    function test_takeSeat_ineligibleOccupant() public {
        uint32[] memory ids = _seated(2);
        _freeze(_epoch() + 1);
        uint32 id = _candidate(MIN_SELF_BOND);
        vm.prank(slasher);
        registry.jail(ids[0]);
        set.takeSeat(id, 0);
        assertEq(set.seats(0), id);
        assertEq(set.churnSpent(), 0);
        vm.prank(_owner(0));
        registry.unjail(ids[0]);
        set.takeSeat(ids[0], 5);
    }

    // --- churn

    /// @notice Invariant E3: per epoch newcomers displace at most the budget of members of the last frozen set.
    function test_E3_churnBudget() public {
        _seated(SEATS);
        uint32[] memory heavy = _newcomers(5);
        _freeze(_epoch() + 1);
        for (uint8 i = 0; i < 4; ++i) {
            set.takeSeat(heavy[i], i);
            assertEq(set.churnSpent(), i + 1);
        }
        uint32 epoch = _epoch();
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_ChurnBudgetSpent.selector, epoch, 4));
        set.takeSeat(heavy[4], 4);
        _toEpoch(epoch + 1);
        assertEq(set.churnSpent(), 0);
        set.takeSeat(heavy[4], 4);
    }

    /// @notice Before the first freeze nobody is a member: seats are found without budget.
    function test_churn_freeBeforeTheFirstFreeze() public {
        _seated(SEATS);
        uint32[] memory heavy = _newcomers(6);
        for (uint8 i = 0; i < 6; ++i) {
            set.takeSeat(heavy[i], i);
        }
        assertEq(set.churnSpent(), 0);
    }

    /// @notice A member displaced in this epoch may at once displace a lighter one outside the budget, so a badly chosen
    /// seat costs the set nothing. Its victim may do the same.
    function test_E3_churn_returning() public {
        uint32[] memory ids = _seated(SEATS);
        uint32[] memory heavy = _newcomers(4);
        _freeze(_epoch() + 1);
        // Outsiders choose the heaviest members instead of the lightest (weights are 1000, 1100, ... 1700).
        for (uint8 i = 0; i < 4; ++i) {
            set.takeSeat(heavy[i], 7 - i);
        }
        assertEq(set.churnSpent(), 4);
        for (uint8 i = 0; i < 4; ++i) {
            set.takeSeat(ids[7 - i], i);
        }
        assertEq(set.churnSpent(), 4);
        for (uint8 i = 0; i < 4; ++i) {
            assertEq(set.seats(i), ids[7 - i]);
            (bool seated,) = set.seatOf(ids[i]);
            assertFalse(seated, "the lightest are out");
        }
    }

    /// @notice The privilege ends with the epoch.
    function test_E3_churn_returningOnlyInTheSameEpoch() public {
        uint32[] memory ids = _seated(SEATS);
        uint32[] memory heavy = _newcomers(8);
        _freeze(_epoch() + 1);
        set.takeSeat(heavy[0], 7);
        _toEpoch(_epoch() + 1);
        for (uint8 i = 1; i < 5; ++i) {
            set.takeSeat(heavy[i], i);
        }
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_ChurnBudgetSpent.selector, _epoch(), 4));
        set.takeSeat(ids[7], 0);
    }

    /// @notice A member that returned is still a member: displacing it again costs budget, so an outsider cannot use the
    /// detour to get more newcomers in.
    function test_E3_churn_returnedMemberStillCounts() public {
        uint32[] memory ids = _seated(SEATS);
        uint32[] memory heavy = _newcomers(5);
        _freeze(_epoch() + 1);
        for (uint8 i = 0; i < 4; ++i) {
            set.takeSeat(heavy[i], 7 - i);
        }
        set.takeSeat(ids[7], 0);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_ChurnBudgetSpent.selector, _epoch(), 4));
        set.takeSeat(heavy[4], 0);
    }

    /// @notice The privilege is used up by the return: a member that loses its new seat for another reason stands in line.
    function test_E3_churn_returnsOnce() public {
        uint32[] memory ids = _seated(SEATS);
        uint32[] memory heavy = _newcomers(5);
        _freeze(_epoch() + 1);
        for (uint8 i = 0; i < 4; ++i) {
            set.takeSeat(heavy[i], 7 - i);
        }
        set.takeSeat(ids[7], 0);
        vm.prank(slasher);
        registry.jail(ids[7]);
        set.takeSeat(heavy[4], 0);
        vm.prank(_owner(7));
        registry.unjail(ids[7]);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_ChurnBudgetSpent.selector, _epoch(), 4));
        set.takeSeat(ids[7], 1);
    }

    /// @notice A newcomer displaced in the epoch in which it came has no privilege: otherwise two outsiders taking turns
    /// would replace the whole set.
    function test_E3_churn_displacedNewcomerHasNoPrivilege() public {
        _seated(SEATS);
        uint32[] memory heavy = _newcomers(5);
        _delegate(_owner(104), heavy[4], 20_000e18);
        _toEpoch(_epoch() + 2);
        _freeze(_epoch() + 1);
        for (uint8 i = 0; i < 4; ++i) {
            set.takeSeat(heavy[i], i);
        }
        // Newcomer for newcomer is free, the displaced one has to wait.
        set.takeSeat(heavy[4], 0);
        assertEq(set.churnSpent(), 4);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_ChurnBudgetSpent.selector, _epoch(), 4));
        set.takeSeat(heavy[0], 5);
    }
}
