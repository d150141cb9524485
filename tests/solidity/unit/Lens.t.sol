// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {ILens} from "contracts/interfaces/ILens.sol";
import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {FaultKind, ISlasher} from "contracts/interfaces/ISlasher.sol";
import {ALL_LATER} from "contracts/interfaces/IStakeVault.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @notice The lens says what the contracts say, and what it calls due succeeds.
contract LensTest is NetworkKit {
    uint256 private constant WAD = 1e18;

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

    function test_slashHistory_isPaged() public {
        assertEq(lens.slashSeq(), 0);
        assertEq(lens.slashHistory(1, 10).length, 0);
        uint32 epoch = _epoch();
        _slash(1, epoch, 0.1e18);
        _slash(2, epoch - 1, 0.2e18);
        _slash(1, epoch, WAD);
        assertEq(lens.slashSeq(), 3);
        ILens.Slash[] memory page = lens.slashHistory(2, 10);
        assertEq(page.length, 2, "fewer at the end");
        assertEq(page[0].seq, 2);
        assertEq(page[0].id, 2);
        assertEq(page[0].sigma, epoch - 1);
        assertEq(page[0].before, ALL_LATER);
        assertEq(page[0].fraction, 0.2e18);
        assertEq(lens.slashHistory(1, 1).length, 1);
        assertEq(lens.slashHistory(0, 9).length, 0, "numbers count from 1");
        assertEq(lens.slashHistory(4, type(uint256).max).length, 0);
        page = lens.slashesOf(1, 1, 10);
        assertEq(page.length, 2);
        assertEq(page[0].seq, 1);
        assertEq(page[1].seq, 3);
        assertEq(page[1].fraction, WAD);
        assertEq(lens.slashesOf(1, 2, 1).length, 0);
        assertEq(lens.slashesOf(3, 1, 10).length, 0);
    }

    /// @notice What the lens foretells is what a slash does, for stake in the pool and in cohorts on both sides of the fault.
    function testFuzz_lossOf(uint256 amount, uint256 fraction, uint256 left, bool all) public {
        amount = bound(amount, 2, 1e21);
        fraction = bound(fraction, 1, WAD);
        _delegate(1, alice, amount);
        left = bound(left, 1, amount - 1);
        for (uint256 i = 0; i < 3; ++i) {
            if (i != 0) _nextEpoch();
            vm.prank(alice);
            if (left / 4 != 0) stakeVault.undelegate(1, left / 4);
        }
        uint32 epoch = _epoch();
        // Cohort epoch - 2 backed neither this set nor a later one. What left in it is all that did not back this set, but
        // the one before.
        (uint32 sigma, uint32 end) = all ? (epoch, ALL_LATER) : (epoch - 1, epoch);
        (uint256 staked, uint256 thawing) = lens.lossOf(alice, 1, sigma, end, fraction);
        (uint256 mine, uint256[3] memory before) = _holdings(alice, epoch);
        vm.prank(network.slasher);
        stakeVault.slash(1, sigma, end, fraction);
        (uint256 kept, uint256[3] memory later) = _holdings(alice, epoch);
        assertEq(staked, mine - kept, "pool");
        assertEq(thawing, before[0] + before[1] + before[2] - later[0] - later[1] - later[2], "cohorts");
        if (all) assertEq(before[0], later[0], "left before the fault");
        else assertEq(staked + before[1] + before[2], later[1] + later[2], "stayed");
        (staked, thawing) = lens.lossOf(alice, 1, 0, ALL_LATER, WAD);
        assertEq(staked, kept);
        assertEq(thawing, later[0] + later[1] + later[2]);
        (staked, thawing) = lens.lossOf(address(0xdead), 1, epoch, ALL_LATER, WAD);
        assertEq(staked + thawing, 0);
        (staked, thawing) = lens.lossOf(alice, 9, epoch, ALL_LATER, WAD);
        assertEq(staked + thawing, 0, "unknown operator");
    }

    function test_openFaults() public {
        uint32 epoch = _epoch();
        ISlasher slasher = ISlasher(network.slasher);
        assertEq(lens.openFaults(1, 10).length, 0);
        _convict(1, epoch, 1);
        assertEq(lens.openFaults(1, 10).length, 0, "at its rate");
        _convict(2, epoch, 1);
        vm.prank(network.offlineFault);
        slasher.jailOffline(3, epoch, alice);
        ILens.OpenFault[] memory open = lens.openFaults(1, 10);
        assertEq(open.length, 2);
        assertEq(open[0].id, 1);
        assertEq(open[0].kind, FaultKind.PRECOMMIT);
        assertEq(open[0].sigma, epoch);
        assertEq(open[0].before, ALL_LATER);
        assertEq(open[0].fraction, slasher.topUpDue(1));
        assertGt(open[0].fraction, 0);
        assertEq(open[0].dueAt, 0);
        assertEq(open[1].id, 3);
        assertEq(open[1].kind, FaultKind.OFFLINE);
        assertEq(open[1].sigma, epoch);
        assertEq(open[1].before, ALL_LATER);
        assertEq(open[1].fraction, 0, "a first absence can be vetoed only");
        assertEq(open[1].dueAt, block.timestamp + parameters.appealWindow);
        assertEq(lens.openFaults(2, 2).length, 1);
        assertEq(lens.openFaults(0, 9).length, 0);
        assertEq(lens.openFaults(5, 9).length, 0);

        slasher.topUp(1);
        _nextEpoch();
        _nextEpoch();
        assertEq(lens.openFaults(1, 10).length, 0, "raised; the appeal is over");
        uint32 later = _epoch();
        vm.prank(network.offlineFault);
        slasher.jailOffline(3, later, alice);
        _nextEpoch();
        open = lens.openFaults(3, 1);
        assertEq(open.length, 1);
        assertEq(open[0].sigma, later);
        assertEq(open[0].fraction, 0.001e18);
        uint256 snapshot = vm.snapshotState();
        vm.prank(network.offlineFault);
        slasher.slashOffline(3, later);
        assertEq(lens.openFaults(1, 10).length, 0, "slashed");
        vm.revertToState(snapshot);
        for (uint256 i = 0; i < 9; ++i) {
            _nextEpoch();
        }
        assertEq(lens.openFaults(1, 10).length, 0, "lapsed");
    }

    /// @notice A top-up of stake that left between two faults, and of what stayed, is listed slash by slash.
    function test_openFaults_slashBySlash() public {
        uint32 epoch = _epoch();
        ISlasher slasher = ISlasher(network.slasher);
        _convict(1, epoch - 1, 1);
        _nextEpoch();
        _nextEpoch();
        _nextEpoch();
        // Out of the first one's window, and then both are raised by another operator's.
        _convict(1, epoch + 3, 2);
        _convict(2, epoch + 1, 1);
        ILens.OpenFault[] memory open = lens.openFaults(1, 10);
        ISlasher.Slash[] memory slashes = slasher.slashesDue(1);
        assertEq(slashes.length, 2);
        assertEq(open.length, 2);
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(open[i].id, 1);
            assertEq(open[i].kind, FaultKind.PRECOMMIT);
            assertEq(open[i].sigma, i == 0 ? epoch - 1 : epoch + 3);
            assertEq(open[i].before, i == 0 ? epoch + 3 : ALL_LATER);
            assertEq(open[i].fraction, slashes[i].fraction);
        }
        slasher.topUp(1);
        assertEq(lens.openFaults(1, 10).length, 0);
    }

    function test_constructor_refusesZeroAddresses() public {
        for (uint256 field = 0; field < 7; ++field) {
            address[7] memory wiring = [
                address(registry),
                address(stakeVault),
                address(sequencerSet),
                address(batchChain),
                address(rewardVault),
                network.slasher,
                network.amnesiaFault
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

    function _slash(uint32 id, uint32 sigma, uint256 fraction) private {
        vm.prank(network.slasher);
        stakeVault.slash(id, sigma, ALL_LATER, fraction);
    }

    function _convict(uint32 id, uint32 sigma, uint64 tenths) private {
        vm.prank(network.doubleVoteFault);
        ISlasher(network.slasher)
            .convict(ISlasher.Offence(id, FaultKind.PRECOMMIT, 0, sigma, 1, 0, tenths, 10, address(0)));
    }

    /// @dev What `who` has in pool 1 and in its cohorts of the three epochs up to `epoch`.
    function _holdings(address who, uint32 epoch) private view returns (uint256 value, uint256[3] memory thawing) {
        (, value) = stakeVault.positionOf(1, who);
        for (uint32 i = 0; i < 3; ++i) {
            uint256 shares = stakeVault.thawSharesOf(1, epoch - 2 + i, who);
            (uint256 tokens, uint256 supply) = stakeVault.thawOf(1, epoch - 2 + i);
            if (supply != 0) thawing[i] = shares * tokens / supply;
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
