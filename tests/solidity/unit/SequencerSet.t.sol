// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {StakingFixture} from "../harness/StakingFixture.sol";

/// @dev A vault whose pools are far above the ceiling of the real one.
contract HugeVault {
    function backingAt(uint32, address, uint32) external pure returns (uint256 tokens, uint256 selfBond) {
        return (type(uint104).max, type(uint104).max);
    }
}

contract SequencerSetTest is StakingFixture {
    address private constant STRANGER = address(0x57A);
    uint8 private constant SEATS = 8;

    function setUp() public {
        _deploy(SEATS, 64);
        _toEpoch(10);
    }

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

    // --- freeze

    function test_freeze() public {
        uint32[] memory ids = _seated(3);
        uint32 epoch = _epoch() + 1;
        vm.prevrandao(uint256(0xfeed));
        _toSecondHalf(epoch - 1);
        bytes memory members = _members(ids, epoch);
        // One value was recorded by the first call of this epoch (`takeSeat`), the other is that of the freeze itself.
        bytes32 seed = keccak256(abi.encode(bytes32(0), uint256(1), uint256(0xfeed), epoch));
        vm.expectEmit(address(set));
        emit ISequencerSet.EpochFrozen(epoch, seed, members);
        vm.prank(STRANGER);
        set.freeze(epoch);

        assertEq(set.setHash(epoch), keccak256(members));
        assertEq(set.seed(epoch), seed);
        assertEq(set.totalWeight(epoch), 3300);
        assertEq(set.memberCount(epoch), 3);
        assertTrue(set.frozenAt(epoch));
        assertEq(set.lastFrozen(), epoch);
        assertEq(batchChain.anchors(), 1);
        assertEq(set.setHash(epoch + 1), 0);
        assertEq(set.totalWeight(epoch + 1), 0);
        assertEq(set.memberCount(epoch + 1), 0);
    }

    /// @notice The seed chains the last frozen seed with the prevrandao of the first call of the epoch and of the freeze.
    function test_freeze_seedChain() public {
        _seated(1);
        uint32 epoch = _epoch();
        _freeze(epoch + 1);
        bytes32 first = set.seed(epoch + 1);
        // Epoch + 2 is skipped: the chain goes on from the last frozen one.
        _toEpoch(epoch + 2);
        vm.prevrandao(uint256(0xabc));
        assertTrue(set.randaoDue());
        vm.expectEmit(address(set));
        emit ISequencerSet.RandaoRecorded(epoch + 2, 0xabc);
        set.recordRandao();
        assertFalse(set.randaoDue());
        vm.prevrandao(uint256(0xdef));
        set.recordRandao();
        vm.prevrandao(uint256(0x123));
        _freeze(epoch + 3);
        assertEq(set.seed(epoch + 3), keccak256(abi.encode(first, uint256(0xabc), uint256(0x123), epoch + 3)));
        assertEq(set.frozenEpochAt(epoch), 0);
        assertEq(set.frozenEpochAt(epoch + 1), epoch + 1);
        assertEq(set.frozenEpochAt(epoch + 2), epoch + 1);
        assertEq(set.frozenEpochAt(epoch + 3), epoch + 3);
        assertEq(set.frozenEpochAt(type(uint32).max), epoch + 3);
    }

    /// @notice Without an earlier call the freeze itself records.
    function test_freeze_recordsRandaoItself() public {
        _seated(1);
        uint32 epoch = _epoch() + 1;
        _toSecondHalf(epoch);
        vm.prevrandao(uint256(0x777));
        set.freeze(epoch + 1);
        assertEq(set.seed(epoch + 1), keccak256(abi.encode(bytes32(0), uint256(0x777), uint256(0x777), epoch + 1)));
    }

    /// @notice Whoever arranges seats cannot know the seed: with all else equal it differs with the freezing block.
    function test_freeze_seedIsUnknownWhileSeatsAreOpen() public {
        _seated(2);
        uint32 epoch = _epoch() + 1;
        _toSecondHalf(epoch - 1);
        uint256 snapshot = vm.snapshotState();
        vm.prevrandao(uint256(0xa));
        set.freeze(epoch);
        bytes32 one = set.seed(epoch);
        vm.revertToState(snapshot);
        vm.prevrandao(uint256(0xb));
        set.freeze(epoch);
        assertNotEq(set.seed(epoch), one);
    }

    function test_E1_revert_freeze_started() public {
        _seated(1);
        uint32 epoch = _epoch();
        _toSecondHalf(epoch);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_EpochStarted.selector, epoch, epoch));
        set.freeze(epoch);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_EpochStarted.selector, 0, epoch));
        set.freeze(0);
    }

    function test_revert_freeze_tooEarly() public {
        _seated(1);
        uint32 epoch = _epoch();
        uint256 opensAt = GENESIS + uint256(epoch + 1) * EPOCH - EPOCH / 2;
        vm.warp(opensAt - 1);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerSet.SequencerSet_TooEarlyToFreeze.selector, epoch + 1, opensAt)
        );
        set.freeze(epoch + 1);
        vm.warp(opensAt);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerSet.SequencerSet_TooEarlyToFreeze.selector, epoch + 2, opensAt + EPOCH)
        );
        set.freeze(epoch + 2);
        set.freeze(epoch + 1);
    }

    function test_E1_revert_freeze_twice() public {
        _seated(1);
        uint32 epoch = _epoch();
        _freeze(epoch + 1);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_AlreadyFrozen.selector, epoch + 1));
        set.freeze(epoch + 1);
    }

    /// @notice Invariant E5: with nobody eligible the old set goes on.
    function test_E5_revert_freeze_nobodyEligible() public {
        uint32[] memory ids = _seated(2);
        uint32 epoch = _epoch();
        _freeze(epoch + 1);
        vm.startPrank(slasher);
        registry.jail(ids[0]);
        registry.tombstone(ids[1]);
        vm.stopPrank();
        _toSecondHalf(epoch + 1);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NobodyEligible.selector, epoch + 2));
        set.freeze(epoch + 2);
        assertEq(set.lastFrozen(), epoch + 1);
        assertEq(set.frozenEpochAt(epoch + 2), epoch + 1);
        // The seats are as before: the failed freeze dropped nobody.
        assertEq(set.seats(0), ids[0]);
    }

    function test_E4_revert_freeze_weightOverflow() public {
        vault = IStakeVault(address(new HugeVault()));
        set = _setOf(SEATS);
        uint32 id = _register(_owner(0), _key(0));
        vm.prank(_owner(0));
        set.setReady(id, true);
        _toEpoch(12);
        set.takeSeat(id, 0);
        _toSecondHalf(12);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerSet.SequencerSet_WeightOverflow.selector, uint256(type(uint64).max))
        );
        set.freeze(13);
    }

    /// @notice Invariant E4: who is not eligible is dropped, from the set and from its seat; the others keep their order.
    function test_E4_freeze_dropsIneligible() public {
        uint32[] memory ids = _seated(6);
        vm.startPrank(slasher);
        registry.jail(ids[0]);
        registry.tombstone(ids[2]);
        vm.stopPrank();
        vm.prank(_owner(4));
        registry.retire(ids[4]);
        // Operator 5 takes its own bond below the minimum; others' stake in its pool does not help.
        uint32 epoch = _epoch();
        _delegate(STRANGER, ids[5], 5000e9);
        _undelegate(_owner(5), ids[5], 1500e9 - 99);
        _toEpoch(epoch + 1);
        set.recordRandao();
        _toSecondHalf(epoch + 1);
        vm.expectEmit(address(set));
        emit ISequencerSet.SeatLeft(ids[0], 0);
        vm.expectEmit(address(set));
        emit ISequencerSet.SeatLeft(ids[2], 2);
        vm.expectEmit(address(set));
        emit ISequencerSet.SeatLeft(ids[4], 4);
        vm.expectEmit(address(set));
        emit ISequencerSet.SeatLeft(ids[5], 5);
        set.freeze(epoch + 2);
        uint32[] memory rest = new uint32[](2);
        (rest[0], rest[1]) = (ids[1], ids[3]);
        assertEq(set.setHash(epoch + 2), keccak256(_members(rest, epoch + 2)));
        assertEq(set.memberCount(epoch + 2), 2);
        assertEq(set.seats(0), 0);
        (bool seated,) = set.seatOf(ids[5]);
        assertFalse(seated);
    }

    /// @notice Invariant E2: a change in the epoch of the freeze does not count in it; R2: nor does a new key.
    function test_E2_R2_freeze_usesValuesOfItsEpoch() public {
        uint32[] memory ids = _seated(2);
        uint32 epoch = _epoch();
        bytes memory before = _members(ids, epoch + 1);
        _delegate(_owner(0), ids[0], 500e9);
        _rotate(ids[1], _key(300));
        _freeze(epoch + 1);
        assertEq(set.setHash(epoch + 1), keccak256(before));
        _freeze(epoch + 2);
        bytes memory later = _members(ids, epoch + 2);
        assertEq(set.setHash(epoch + 2), keccak256(later));
        assertTrue(keccak256(later) != keccak256(before));
        assertEq(
            later,
            bytes.concat(
                abi.encodePacked(vm.addr(_key(0)), ids[0], uint64(1500)),
                abi.encodePacked(vm.addr(_key(300)), ids[1], uint64(1100))
            )
        );
    }

    function test_freeze_pausedWorks() public {
        _seated(1);
        guardian.set(true);
        _freeze(_epoch() + 1);
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

    /// @dev `count` operators on seats 0, 1, ... with 1000, 1100, 1200 ... gwei, least self bond 100 wei. Epoch 11.
    function _seated(uint256 count) private returns (uint32[] memory ids) {
        set.setMinSelfBond(100);
        ids = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            ids[i] = _operator(i, 1000e9 + i * 100e9);
        }
        _toEpoch(11);
        for (uint256 i = 0; i < count; ++i) {
            set.takeSeat(ids[i], uint8(i));
        }
    }

    /// @dev One operator that may take a seat in the current epoch.
    function _candidate(uint256 stake) private returns (uint32 id) {
        id = _operator(99, stake);
        _toEpoch(_epoch() + 1);
    }

    /// @dev Operators far heavier than any of `_seated`, of different weights, that may take seats now.
    function _newcomers(uint256 count) private returns (uint32[] memory ids) {
        ids = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            ids[i] = _operator(100 + i, 10_000e9 + i * 10e9);
        }
        _toEpoch(_epoch() + 1);
    }

    /// @dev A second set beside the vault's own: the vault hears of its least self bond in silence.
    function _setOf(uint8 maxSeats) private returns (ISequencerSet) {
        vm.mockCall(address(vault), abi.encodeCall(vault.setOwnerRoom, (MIN_SELF_BOND)), "");
        return ISequencerSet(vm.deployCode("SequencerSet.sol:SequencerSet", abi.encode(_setConfig(maxSeats, 64))));
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
