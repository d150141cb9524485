// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {ILens} from "contracts/interfaces/ILens.sol";
import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @notice The lens says what the contracts say, and what it calls due succeeds.
contract LensTest is NetworkKit {
    address internal alice = makeAddr("alice");

    function setUp() public {
        _deployNetwork();
        _start(4);
        _fund(100e18);
    }

    function test_operators_arePaged() public view {
        ILens.Operator[] memory page = lens.operators(2, 2);
        assertEq(page.length, 2);
        assertEq(page[0].id, 2);
        assertEq(page[1].id, 3);
        assertEq(lens.operators(3, 9).length, 2, "fewer at the end");
        assertEq(lens.operators(5, 9).length, 0);
        assertEq(lens.operators(0, 9).length, 0, "ids count from 1");
        assertEq(lens.operators(1, type(uint256).max).length, 4);
    }

    function test_operator_isWhole() public {
        _delegate(2, alice, 5e18);
        _payEpoch(_work(), 10e18);
        ILens.Operator memory o = lens.operatorOf(2);
        assertEq(o.id, 2);
        assertTrue(o.status == ISequencerRegistry.Status.Active);
        assertEq(o.owner, _owner(1));
        assertEq(o.signer, vm.addr(_secret(1)));
        assertEq(o.rewardRecipient, _owner(1));
        assertEq(o.commissionBps, 1000);
        assertEq(o.poolTokens, BOND + 5e18);
        assertEq(o.poolUnits, BOND + 5e18);
        assertEq(o.selfBond, BOND);
        assertTrue(o.ready);
        assertTrue(o.seated);
        assertEq(o.seat, 1);
        assertEq(o.claimableCommission, rewardVault.claimableCommission(2));
        assertGt(o.claimableCommission, 0);
        assertEq(o.lastCredited, _epoch() - 1);
        assertEq(lens.operatorOf(5).id, 0, "unknown");
        assertEq(lens.operatorOf(0).id, 0);
    }

    function test_positionsAndThaws() public {
        _delegate(1, alice, 7e18);
        _nextEpoch();
        _nextEpoch();
        _payEpoch(_work(), 10e18);
        uint32 left = _epoch();
        vm.prank(alice);
        stakeVault.undelegate(1, 3e18);

        uint32[] memory ids = new uint32[](2);
        (ids[0], ids[1]) = (1, 2);
        ILens.Position[] memory list = lens.positions(alice, ids);
        assertEq(list[0].id, 1);
        assertEq(list[0].units, 4e18);
        assertEq(list[0].value, 4e18);
        assertEq(list[0].rewards, rewardVault.claimable(1, alice));
        assertGt(list[0].rewards, 0);
        assertEq(list[0].paidThrough, 0);
        assertEq(list[1].units, 0);
        rewardVault.claim(1, alice, 9);
        assertEq(lens.positions(alice, ids)[0].paidThrough, left - 1);

        ILens.Thaw[] memory thaws = lens.thaws(alice, 1, 0, left + 5);
        assertEq(thaws.length, 1);
        assertEq(thaws[0].cohortEpoch, left);
        assertEq(thaws[0].amount, 3e18);
        assertEq(thaws[0].claimableFrom, stakeVault.claimableFrom(left));
        vm.warp(thaws[0].claimableFrom);
        vm.prank(alice);
        assertEq(stakeVault.claim(1, left), 3e18);
        assertEq(lens.thaws(alice, 1, 0, left + 5).length, 0);
    }

    /// @dev Every chore in turn: due, then done, then not due.
    function test_due_leadsThroughAnEpoch() public {
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        batchChain.anchorLatest();
        sequencerSet.recordRandao();
        ILens.Due memory due = lens.due();
        assertFalse(due.freeze || due.recordRandao || due.anchor || due.open || due.credit);
        assertEq(due.finalize, 0);

        _to(GENESIS + uint256(epoch + 1) * parameters.epochSeconds - 1);
        due = lens.due();
        assertTrue(due.freeze);
        assertEq(due.freezeEpoch, epoch + 1);
        _freeze(due.freezeEpoch);
        assertFalse(lens.due().freeze);

        _toEpoch(epoch + 1);
        due = lens.due();
        assertTrue(due.recordRandao);
        assertTrue(due.anchor);
        sequencerSet.recordRandao();
        batchChain.anchorLatest();
        due = lens.due();
        assertFalse(due.recordRandao || due.anchor);

        _deposit(100e18);
        IBatchChain.BatchHeader memory header = _post(_tally(epoch, entries, 0, 10e18));
        assertEq(lens.due().finalize, 0, "its window runs");
        _to(block.timestamp + parameters.challengeWindow);
        due = lens.due();
        assertEq(due.finalize, batchChain.hashOf(header));
        assertFalse(due.open);
        batchChain.finalize(due.finalize);

        due = lens.due();
        assertEq(due.finalize, 0);
        assertTrue(due.open);
        assertEq(due.openBatch, batchChain.hashOf(header));
        _open(header, entries);

        due = lens.due();
        assertFalse(due.open);
        assertTrue(due.credit);
        assertEq(due.creditEpoch, epoch);
        assertEq(due.creditCursor, 0);
        assertEq(due.creditCount, 4);
        rewardVault.credit(epoch, membersOf[epoch], entries, 3);
        assertEq(lens.due().creditCursor, 3);
        rewardVault.credit(epoch, membersOf[epoch], entries, 3);
        assertFalse(lens.due().credit);
    }

    function test_seatsDue_saysWhatTakeSeatAccepts() public {
        uint32 id = _register(4, BOND);
        uint32[] memory ids = new uint32[](2);
        (ids[0], ids[1]) = (1, id);
        ILens.SeatDue[] memory seats = lens.seatsDue(ids);
        assertEq(seats[1].id, id);
        assertFalse(seats[0].due, "seated already");
        assertFalse(seats[1].due, "does not count yet");
        _nextEpoch();
        seats = lens.seatsDue(ids);
        assertTrue(seats[1].due);
        sequencerSet.takeSeat(id, seats[1].seat);
        assertTrue(lens.operatorOf(id).seated);
        assertFalse(lens.seatsDue(ids)[1].due);
    }

    function test_rewards_overview() public {
        _deposit(100e18);
        _payEpoch(_work(), 10e18);
        ILens.Rewards memory r = lens.rewards();
        assertEq(r.reserve, rewardVault.reserve());
        assertEq(r.rewardPerBlock, parameters.rewardPerBlock);
        assertEq(r.postingReward, parameters.postingReward);
        assertEq(r.tallies, 1);
        assertEq(r.opened, 1);
        assertEq(r.epoch, _epoch() - 1);
        assertEq(r.cursor, 4);
        assertEq(r.count, 4);
    }

    function test_constructor_refusesZeroAddresses() public {
        for (uint256 field = 0; field < 5; ++field) {
            address[5] memory wiring = [
                address(registry), address(stakeVault), address(sequencerSet), address(batchChain), address(rewardVault)
            ];
            wiring[field] = address(0);
            bytes memory code = abi.encodePacked(vm.getCode("Lens.sol:Lens"), abi.encode(wiring));
            address created;
            bytes4 reason;
            assembly ("memory-safe") {
                created := create(0, add(code, 0x20), mload(code))
                returndatacopy(0, 0, 4)
                reason := mload(0)
            }
            assertEq(created, address(0));
            assertEq(reason, ILens.Lens_ZeroAddress.selector);
        }
    }

    function _work() private returns (Work[] memory work) {
        if (portal.depositCount() == 0) _deposit(100e18);
        work = new Work[](4);
        for (uint256 i = 0; i < 4; ++i) {
            work[i] = Work(10, 10, 0, 1e18);
        }
    }
}
