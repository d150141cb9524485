// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";
import {SequencerSetKit} from "../kit/SequencerSetKit.sol";

/// @dev A vault whose pools are far above the ceiling of the real one.
contract HugeVault {
    function backingAt(uint32, address, uint32) external pure returns (uint256 tokens, uint256 selfBond) {
        return (type(uint104).max, type(uint104).max);
    }
}

/// @notice Freezing the set of the next epoch.
contract SequencerSetFreezeTest is SequencerSetKit {
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
}
