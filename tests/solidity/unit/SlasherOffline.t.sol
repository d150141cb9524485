// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISlasher} from "contracts/interfaces/ISlasher.sol";

import {SlashingFixture} from "../harness/SlashingFixture.sol";

/// @dev Cases of absence: jail, appeal, repeats.
contract SlasherOfflineTest is SlashingFixture {
    address internal constant ALICE = address(0xA11CE);

    function setUp() public {
        _deploySlashing(8, 16);
        _start(4, 10);
    }

    function test_offline_firstAbsenceJailsOnly() public {
        vm.expectEmit(address(slashing));
        emit ISlasher.OfflineJailed(1, 10, block.timestamp + APPEAL, reporter);
        _jail(1, 10);
        assertEq(uint8(registry.statusOf(1)), uint8(ISequencerRegistry.Status.Jailed));
        ISlasher.OfflineCase memory c = slashing.offlineCaseOf(1, 10);
        assertEq(uint8(c.state), uint8(ISlasher.OfflineState.Open));
        assertEq(c.previousSigma, 0);
        assertEq(c.appealUntil, block.timestamp + APPEAL);
        assertEq(c.reporter, reporter);
        assertEq(slashing.lastOfflineSigma(1), 10);
        assertEq(slashing.nextOfflineSigma(1), 12);
        vm.warp(block.timestamp + APPEAL);
        assertEq(slashing.offlineRate(1, 10), 0);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_FirstAbsence.selector, 1, 10));
        _slashOffline(1, 10);
        assertEq(vault.slashSeq(), 0);
    }

    function test_offline_repeatsCostMore() public {
        uint32 sigma = 10;
        uint256[5] memory rates = [uint256(0), 0.001e18, 0.005e18, 0.01e18, 0.01e18];
        uint256 expected = 1000e18;
        for (uint256 i = 0; i < rates.length; ++i) {
            _jail(1, sigma);
            vm.prank(_owner(0));
            registry.unjail(1);
            assertEq(slashing.offlineRate(1, sigma), rates[i]);
            vm.warp(block.timestamp + APPEAL);
            if (i != 0) {
                uint256 loss = _lossUp(expected, rates[i]);
                vm.expectEmit(address(slashing));
                emit ISlasher.OfflineSlashed(1, sigma, rates[i], loss, reporter);
                assertEq(_slashOffline(1, sigma), loss);
                expected -= loss;
                assertEq(uint8(slashing.offlineCaseOf(1, sigma).state), uint8(ISlasher.OfflineState.Slashed));
                vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NoOpenCase.selector, 1, sigma));
                _slashOffline(1, sigma);
            }
            sigma = _epoch() + 2;
            _toEpoch(sigma);
        }
        (uint256 tokens,) = vault.pool(1);
        assertEq(tokens, expected);
        assertEq(slashEscrow.rewardOf(reporter), (1000e18 - expected) * 5 / 100);
    }

    function test_offline_onlyThirtyDaysCount() public {
        _jail(1, 10);
        uint32 later = 10 + 30 days / uint32(EPOCH);
        _toEpoch(later + 1);
        uint256 snapshot = vm.snapshotState();
        _jail(1, later);
        assertEq(slashing.offlineRate(1, later), 0.001e18, "exactly 30 days");
        vm.revertToState(snapshot);
        _jail(1, later + 1);
        assertEq(slashing.offlineRate(1, later + 1), 0, "a day too late");
    }

    function test_offline_oneAbsenceIsOneCase() public {
        _jail(1, 10);
        for (uint32 sigma = 9; sigma <= 11; ++sigma) {
            if (sigma == 11) _toEpoch(11);
            vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_SameAbsence.selector, 1, sigma, 12));
            _jail(1, sigma);
        }
        _toEpoch(12);
        _jail(1, 12);
        assertEq(slashing.offlineCaseOf(1, 12).previousSigma, 10);
    }

    function test_offline_appeal() public {
        _jail(1, 10);
        uint256 until = block.timestamp + APPEAL;
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_AppealRunning.selector, 1, 10, until));
        _slashOffline(1, 10);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, ALICE));
        vm.prank(ALICE);
        slashing.vetoOffline(1, 10);
        uint256 snapshot = vm.snapshotState();
        vm.expectEmit(address(slashing));
        emit ISlasher.OfflineVetoed(1, 10);
        slashing.vetoOffline(1, 10);
        assertEq(uint8(slashing.offlineCaseOf(1, 10).state), uint8(ISlasher.OfflineState.Vetoed));
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NoOpenCase.selector, 1, 10));
        slashing.vetoOffline(1, 10);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NoOpenCase.selector, 1, 10));
        _slashOffline(1, 10);
        // A vetoed case counts for no later one, but does not hide earlier ones.
        _toEpoch(13);
        _jail(1, 13);
        assertEq(slashing.offlineRate(1, 13), 0);
        slashing.vetoOffline(1, 13);

        vm.revertToState(snapshot);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_AppealOver.selector, 1, 10, until));
        slashing.vetoOffline(1, 10);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NoOpenCase.selector, 1, 11));
        slashing.vetoOffline(1, 11);
        _toEpoch(13);
        _jail(1, 13);
        slashing.vetoOffline(1, 13);
        _toEpoch(16);
        _jail(1, 16);
        assertEq(slashing.offlineRate(1, 16), 0.001e18, "10 counts, 13 does not");
    }

    function test_offline_aVetoStopsOnlyItsOwnCase() public {
        _jail(1, 10);
        _toEpoch(13);
        _jail(1, 13);
        slashing.vetoOffline(1, 13);
        // Equivocation knows no veto.
        assertEq(_convict(1, 10, 1, 10), 90e18);
    }

    function test_offline_age() public {
        _freezeUntil(11, 14);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, 10, 13));
        _jail(1, 10);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_SetNotStarted.selector, 15, 14));
        _jail(1, 15);
        _jail(1, 11);
        _freezeUntil(15, 16);
        _jail(1, 16);
        _freezeUntil(17, 24);
        assertEq(slashing.lastSlashEpoch(16), 24);
        uint256 snapshot = vm.snapshotState();
        assertEq(_slashOffline(1, 16), 1e18);
        vm.revertToState(snapshot);
        _freezeUntil(25, 25);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, 16, 24));
        _slashOffline(1, 16);
    }

    function test_offline_whatIsDue() public {
        _freezeUntil(11, 11);
        _jail(1, 11);
        assertEq(slashing.offlineDue(1), 0, "a first absence takes nothing");
        _freezeUntil(12, 13);
        _jail(1, 13);
        _freezeUntil(14, 16);
        _jail(1, 16);
        assertEq(slashing.offlineDue(1), 0.006e18, "0.1 % and 0.5 %");
        assertEq(slashing.offlineDue(2), 0);
        slashing.vetoOffline(1, 16);
        assertEq(slashing.offlineDue(1), 0.001e18);
        _freezeUntil(17, 18);
        _jail(1, 18);
        assertEq(slashing.offlineDue(1), 0.006e18);
        _slashOffline(1, 13);
        assertEq(slashing.offlineDue(1), 0.005e18);
        // What can no longer be slashed is not due.
        _freezeUntil(19, 26);
        assertEq(slashing.lastSlashEpoch(18), 26);
        assertEq(slashing.offlineDue(1), 0.005e18);
        _freezeUntil(27, 27);
        assertEq(slashing.offlineDue(1), 0);
    }

    function test_revert_offline_notModule() public {
        address[3] memory strangers = [address(this), voteFault, _owner(0)];
        for (uint256 i = 0; i < strangers.length; ++i) {
            vm.startPrank(strangers[i]);
            vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NotModule.selector, strangers[i]));
            slashing.jailOffline(1, 10, reporter);
            vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NotModule.selector, strangers[i]));
            slashing.slashOffline(1, 10);
            vm.stopPrank();
        }
    }
}
