// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {FaultKind, ISlasher} from "contracts/interfaces/ISlasher.sol";
import {ALL_LATER} from "contracts/interfaces/IStakeVault.sol";

import {SlashingFixture} from "../harness/SlashingFixture.sol";

contract SlasherTest is SlashingFixture {
    address internal constant ALICE = address(0xA11CE);

    function setUp() public {
        _deploySlashing(8, 16);
        _start(4, 10);
    }

    // ----------------------------------------------------------------------------------------------- convictions

    function test_convict_takesTombstonesAndRemembers() public {
        _delegate(ALICE, 1, 500e18);
        ISlasher.Offence memory offence = _offence(1, 10, 1, 10);
        vm.expectEmit(address(slashing));
        emit ISlasher.Convicted(1, FaultKind.PRECOMMIT, 10, 1000, 1, 0.09e18, 135e18, reporter);
        assertEq(slashing.lastConvictedAt(), 0);
        vm.prank(voteFault);
        uint256 taken = slashing.convict(offence);

        assertEq(taken, 135e18, "9 * 0.1^2 of 1500");
        (uint256 tokens,) = vault.pool(1);
        assertEq(tokens, 1365e18);
        assertEq(uint8(registry.statusOf(1)), uint8(ISequencerRegistry.Status.Tombstoned));
        assertTrue(slashing.isConvicted(1));
        ISlasher.Conviction memory conviction = slashing.convictionOf(1);
        assertEq(conviction.firstSigma, 10);
        assertEq(conviction.lastSigma, 10);
        assertEq(conviction.rate, 0.09e18);
        assertEq(conviction.kind, FaultKind.PRECOMMIT);
        assertEq(conviction.proofs, 1);
        assertEq(conviction.taken, 135e18);
        assertTrue(slashing.isProven(1, 10));
        assertFalse(slashing.isProven(1, 11));
        assertFalse(slashing.isProven(2, 10));
        assertEq(slashing.convictedShare(10), 0.1e18);
        assertEq(slashEscrow.rewardOf(reporter), 6.75e18, "5 % of it");
        assertEq(token.balanceOf(escrow), 135e18);
        ISlasher.Proof[] memory proofs = slashing.proofsOf(1);
        assertEq(proofs.length, 1);
        assertEq(proofs[0].sigma, 10);
        assertEq(proofs[0].share, 0.1e9);
        assertEq(proofs[0].paid, 0.09e18);
        assertEq(slashing.lastConvictedAt(), block.timestamp);
        (uint32 id, uint32 sigma, uint32 before, uint256 fraction) = vault.slashAt(vault.slashSeq());
        assertEq(id, 1);
        assertEq(sigma, 10);
        assertEq(before, ALL_LATER);
        assertEq(fraction, 0.09e18);
    }

    function test_convict_rates() public {
        // Small ones lose 5 %: 9 * share^2 is 5 % at a share of 7.45 %.
        assertEq(slashing.rateFor(10, 0), 0.05e18);
        assertEq(slashing.rateFor(10, 0.07e18), 0.05e18);
        assertEq(slashing.rateFor(10, 0.08e18), 0.0576e18);
        assertEq(slashing.rateFor(10, 0.2e18), 0.36e18);
        assertEq(slashing.rateFor(10, 1), 0.05e18);
        // One third or more loses everything; no share can cost more.
        assertEq(slashing.rateFor(10, WAD / 3), WAD);
        assertLt(slashing.rateFor(10, WAD / 3 - 1e9), WAD);
        assertEq(slashing.rateFor(10, WAD), WAD);
        assertEq(slashing.rateFor(10, 5 * WAD), WAD);
        assertEq(slashing.rateFor(10, 1 << 200), WAD);
        assertEq(slashing.MIN_RATE(), 0.05e18);
        // Shares are rounded up to 1e-9.
        assertEq(slashing.rateFor(10, 0.1e18 + 1), 9 * 0.100000001e9 * 0.100000001e9);
        assertEq(slashing.rateFor(10, 0.1e18 + 1e9), slashing.rateFor(10, 0.1e18 + 1));
        assertEq(_convict(1, 10, 1, 3), 1000e18, "a third");
        assertEq(slashing.convictedShare(10), 0.333333334e18, "rounded up");
    }

    function test_convict_correlatesWithinTheWindow() public {
        _freezeUntil(11, 11);
        _convict(1, 9, 1, 10);
        // Two epochs away on each side it counts, three away it does not.
        assertEq(slashing.rateFor(6, 0.1e18), 0.09e18);
        assertEq(slashing.rateFor(7, 0.1e18), 0.36e18);
        assertEq(slashing.rateFor(11, 0.1e18), 0.36e18);
        assertEq(slashing.rateFor(12, 0.1e18), 0.09e18);
        assertEq(_convict(2, 11, 1, 10), 360e18);
        // Epoch 11 is three after 8, epoch 9 one.
        assertEq(slashing.rateFor(8, 0), 0.09e18);
        assertEq(slashing.rateFor(10, 0), 0.36e18);
        assertEq(slashing.CORRELATION_EPOCHS(), CORRELATION);
    }

    function test_rateFor_windowAtTheBounds() public view {
        assertEq(slashing.rateFor(0, 0.1e18), 0.09e18);
        assertEq(slashing.rateFor(type(uint32).max, 0.1e18), 0.09e18);
    }

    /// @dev Thirty votes of one restored backup are one offence: another height, round, kind or fork is refused, another
    /// set of the same days takes nothing and counts for nobody else.
    function test_S1_onceForEachSet() public {
        _freezeUntil(11, 11);
        _convict(1, 10, 1, 10);
        uint256 seq = vault.slashSeq();
        uint256 reward = slashEscrow.rewardOf(reporter);
        for (uint32 i = 0; i < 30; ++i) {
            uint32 sigma = 9 + i % 3;
            ISlasher.Offence memory offence = _offence(1, sigma, 1, 10);
            offence.height += i;
            offence.kind = uint8(i % 4 + 1);
            (offence.round, offence.fork) = (i % 3, i % 5);
            if (slashing.isProven(1, sigma)) {
                vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_AlreadyConvicted.selector, 1, sigma));
            } else {
                vm.expectEmit(address(slashing));
                emit ISlasher.Convicted(
                    1, offence.kind, sigma, offence.height, offence.round, 0.09e18, 0, offence.reporter
                );
            }
            vm.prank(i % 2 == 0 ? voteFault : proposalFault);
            slashing.convict(offence);
        }
        assertEq(vault.slashSeq(), seq, "nothing was taken");
        assertEq(slashEscrow.rewardOf(reporter), reward, "nor paid");
        for (uint32 sigma = 7; sigma <= 13; ++sigma) {
            assertEq(slashing.convictedShare(sigma), 0.1e18, "it counts once wherever it is seen");
        }
        assertEq(slashing.topUpDue(1), 0);
        ISlasher.Conviction memory conviction = slashing.convictionOf(1);
        assertEq(conviction.firstSigma, 9);
        assertEq(conviction.lastSigma, 11);
        assertEq(conviction.kind, FaultKind.PRECOMMIT, "of the first");
        assertEq(conviction.rate, 0.09e18);
    }

    // ---------------------------------------------------------------------- the order of proofs, and which come first

    /// @dev Two quarters that split the chain report themselves first, under sets far from each other in which they were
    /// small. It gains them nothing.
    function test_S4_selfReportsOutsideTheWindow() public {
        _freezeUntil(11, 16);
        assertEq(_convictAs(FaultKind.AMNESIA, 1, 10, 1, 1000), 50e18, "the least");
        assertEq(_convictAs(FaultKind.AMNESIA, 2, 16, 1, 1000), 50e18);
        // The true proofs: a quarter each, three epochs from both.
        assertApproxEqAbs(_convict(1, 13, 1, 4), 512.5e18, 1000);
        assertEq(slashing.convictionOf(1).rate, 0.5625e18, "alone so far");
        assertEq(_convict(2, 13, 1, 4), 950e18, "half of the weight");
        slashing.topUp(1);
        assertEq(slashing.convictionOf(1).rate, WAD);
        assertEq(slashing.convictionOf(2).rate, WAD);
        for (uint32 id = 1; id <= 2; ++id) {
            (uint256 tokens,) = vault.pool(id);
            assertEq(tokens, 0);
        }
    }

    /// @dev The same under sets within the window.
    function test_S4_selfReportsInsideTheWindow() public {
        _freezeUntil(11, 12);
        _convict(1, 11, 1, 1000);
        _convict(2, 12, 1, 1000);
        _convict(1, 10, 1, 4);
        assertEq(slashing.convictedShare(10), 0.251e18, "of each the largest it sees");
        assertEq(slashing.convictedShare(13), 0.002e18, "which does not see 10");
        assertEq(slashing.convictedShare(8), 0.25e18, "nor this one 11 and 12");
        _convict(2, 10, 1, 4);
        assertEq(slashing.convictedShare(10), 0.5e18);
        slashing.topUp(1);
        assertEq(slashing.convictionOf(1).rate, WAD);
        assertEq(slashing.convictionOf(2).rate, WAD);
    }

    /// @dev A proof that takes nothing now counts for others, and for its own operator later.
    function test_S4_aProofThatTakesNothingCounts() public {
        _freezeUntil(11, 13);
        _convict(1, 13, 1, 10);
        assertEq(_convict(1, 10, 1, 10), 0, "9 % are taken, and nobody left before 13");
        assertEq(slashing.convictionOf(1).firstSigma, 10);
        assertEq(_convict(2, 10, 1, 10), 360e18, "with the first one's share");
        (uint256 rate, uint32 sigma) = slashing.rateDue(1);
        assertEq(rate, 0.36e18);
        assertEq(sigma, 10, "13 still calls for 9 %");
        uint256 extra = slashing.topUpDue(1);
        vm.expectEmit(address(slashing));
        emit ISlasher.ToppedUp(1, 10, 0.36e18, _lossUp(910e18, extra));
        slashing.topUp(1);
        (, uint32 last,,) = vault.slashAt(vault.slashSeq());
        assertEq(last, 10, "of all that backed 10");
    }

    /// @dev Of several sets that call for the highest rate, the first: it reaches the most cohorts.
    function test_topUp_underTheFirstSetThatCallsForIt() public {
        _freezeUntil(11, 12);
        _convict(1, 12, 1, 10);
        _convict(1, 11, 1, 10);
        _convict(1, 10, 1, 10);
        _convict(2, 12, 4, 10);
        (uint256 rate, uint32 sigma) = slashing.rateDue(1);
        assertEq(rate, WAD);
        assertEq(sigma, 10);
        (rate, sigma) = slashing.rateDue(2);
        assertEq(rate, WAD);
        assertEq(sigma, 12);
        (rate, sigma) = slashing.rateDue(3);
        assertEq(rate, 0);
        assertEq(sigma, 0);
    }

    /// @dev Who proves the worse fault is paid for what its proof took.
    function test_S9_aLaterProofPaysForWhatItTook() public {
        _freezeUntil(11, 13);
        _convictAs(FaultKind.AMNESIA, 1, 9, 1, 1000);
        uint256 before = slashEscrow.rewardOf(reporter);
        assertEq(before, 2.5e18);
        uint256 taken = _convict(1, 13, 1, 4);
        assertEq(slashEscrow.rewardOf(reporter) - before, taken * 5 / 100);
        assertEq(slashing.convictionOf(1).taken, 50e18 + taken);
        assertApproxEqAbs(50e18 + taken, 562.5e18, 1000, "together one slash of 56.25 %");
    }

    /// @dev An operator is tombstoned by the first proof, and later ones find it wherever it went.
    function test_S6_aLaterProofOfWhoHasNothingLeft() public {
        _convict(1, 10, 1, 1);
        assertEq(slashing.convictionOf(1).rate, WAD);
        assertEq(_convict(1, 9, 1, 1), 0);
        assertEq(_convict(1, 8, 1, 100), 0);
        assertEq(slashing.convictedShare(6), 0.01e18, "8 is all it sees");
        assertEq(slashing.convictedShare(7), WAD);
    }

    function test_shareOfAnEpochStaysAtTheLargest() public {
        for (uint32 id = 1; id <= 4; ++id) {
            _convict(id, 10, 1, 1);
        }
        assertEq(slashing.convictedShare(10), 4e18);
        uint32 fifth = _newcomer();
        _convict(fifth, 10, 1, 1);
        assertEq(slashing.convictedShare(10), uint256(type(uint32).max) * 1e9);
        assertEq(slashing.convictedShare(9), uint256(type(uint32).max) * 1e9, "nothing runs over");
        assertEq(slashing.convictedShare(13), 0);
        assertEq(slashing.convictedShare(7), 0);
        assertEq(slashing.rateFor(10, 0), WAD);
    }

    function test_revert_convict_notModule() public {
        ISlasher.Offence memory offence = _offence(1, 10, 1, 10);
        address[4] memory strangers = [address(this), offlineFault, _owner(0), slasher];
        for (uint256 i = 0; i < strangers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NotModule.selector, strangers[i]));
            vm.prank(strangers[i]);
            slashing.convict(offence);
        }
        assertTrue(slashing.isModule(voteFault));
        assertTrue(slashing.isModule(proposalFault));
        assertFalse(slashing.isModule(offlineFault));
        assertEq(slashing.offlineFault(), offlineFault);
    }

    function test_revert_convict_malformed() public {
        ISlasher.Offence memory offence = _offence(1, 10, 1, 10);
        uint8[3] memory kinds = [uint8(0), FaultKind.OFFLINE, 255];
        for (uint256 i = 0; i < kinds.length; ++i) {
            offence.kind = kinds[i];
            vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_UnknownKind.selector, kinds[i]));
            vm.prank(voteFault);
            slashing.convict(offence);
        }
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_InvalidWeight.selector, 0, 10));
        _convictRaw(_offence(1, 10, 0, 10));
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_InvalidWeight.selector, 11, 10));
        _convictRaw(_offence(1, 10, 11, 10));
        // The whole weight is possible.
        assertEq(_convict(1, 10, 10, 10), 1000e18);
    }

    // --------------------------------------------------------------------------------------------- age of evidence

    function test_age_countsFromTheEndOfService() public {
        // 10 served for one epoch: evidence is taken in 11, 12 and 13.
        assertEq(slashing.lastEvidenceEpoch(10), type(uint32).max, "it serves");
        _freezeUntil(11, 13);
        assertEq(slashing.lastEvidenceEpoch(10), 13);
        slashing.checkEvidence(10);
        vm.warp(GENESIS + 14 * EPOCH - 1);
        slashing.checkEvidence(10);
        assertEq(_convict(1, 10, 1, 10), 90e18, "in the last second");
        _toEpoch(14);
        _refuseAsTooOld(10, 13);
        // 13 is the last frozen set and goes on.
        assertEq(_convict(2, 13, 1, 10), 90e18);
    }

    function test_age_aSetThatServesOnIsNeverTooOld() public {
        _toEpoch(40);
        assertEq(slashing.lastEvidenceEpoch(10), type(uint32).max);
        assertEq(slashing.lastSlashEpoch(10), type(uint32).max);
        slashing.checkEvidence(10);
        uint256 snapshot = vm.snapshotState();
        assertEq(_convict(1, 10, 1, 10), 90e18);
        vm.revertToState(snapshot);
        // The next set serves from 41, so evidence against 10 is taken up to 43, against 9 no more.
        _freezeUntil(41, 41);
        assertEq(slashing.lastEvidenceEpoch(10), 43);
        assertEq(slashing.lastSlashEpoch(10), 41 + UNBONDING - 1);
        assertEq(slashing.lastEvidenceEpoch(9), 12);
        _toEpoch(43);
        slashing.checkEvidence(10);
        _refuseAsTooOld(9, 12);
        _toEpoch(44);
        _refuseAsTooOld(10, 43);
    }

    /// @dev A set frozen but not started does not end the service of the one before.
    function test_age_aSetThatHasNotStartedEndsNothing() public {
        _freeze(11);
        assertEq(slashing.lastEvidenceEpoch(10), type(uint32).max);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_SetNotStarted.selector, 11, 10));
        slashing.checkEvidence(11);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_SetNotStarted.selector, 11, 10));
        _convictRaw(_offence(1, 11, 1, 10));
        _toEpoch(11);
        assertEq(slashing.lastEvidenceEpoch(10), 13);
        assertEq(_convict(1, 11, 1, 10), 90e18, "good once it started");
    }

    /// @dev Amnesia is judged after a response window: the limit is that stake which backed the set is still there.
    function test_age_amnesiaUntilStakeLeaves() public {
        uint256 snapshot = vm.snapshotState();
        _undelegate(_owner(0), 1, vault.units(1, _owner(0)));
        _freezeUntil(11, 18);
        ISlasher.Offence memory offence = _offence(1, 10, 1, 10);
        offence.kind = FaultKind.AMNESIA;
        assertEq(slashing.lastSlashEpoch(10), 18);
        assertEq(_convictRaw(offence), 90e18, "in the last epoch");
        vm.revertToState(snapshot);

        _freezeUntil(11, 19);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, 10, 18));
        _convictRaw(offence);
        offence.kind = FaultKind.PRECOMMIT;
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, 10, 13));
        _convictRaw(offence);
    }

    /// @dev The reason for the limit: in `lastSlashEpoch` the cohort that left first is still locked, and one epoch later
    /// it is not.
    function test_age_stakeIsThereUntilTheLastSlashEpoch() public {
        uint32 sigma = 12;
        _toEpoch(11);
        _freeze(12);
        vm.warp(GENESIS + 11 * EPOCH);
        (, uint32 cohort) = _undelegate(_owner(0), 1, vault.units(1, _owner(0)));
        assertEq(cohort, sigma - 1);
        _freezeUntil(13, 20);
        assertEq(slashing.lastSlashEpoch(sigma), 20);
        vm.warp(GENESIS + 21 * EPOCH - 1);
        assertLt(block.timestamp, vault.claimableFrom(cohort));
        _toEpoch(21);
        assertEq(block.timestamp, vault.claimableFrom(cohort));
    }

    // ------------------------------------------------------------------------- S6: a valid proof never reverts

    function test_S6_paused() public {
        guardian.set(true);
        assertEq(_convict(1, 10, 1, 10), 90e18);
    }

    function test_S6_allThawing() public {
        _undelegate(_owner(0), 1, vault.units(1, _owner(0)));
        assertEq(_convict(1, 10, 1, 10), 90e18);
        (uint256 tokens,) = vault.pool(1);
        assertEq(tokens, 0);
    }

    function test_S6_everythingGone() public {
        _undelegate(_owner(0), 1, vault.units(1, _owner(0)));
        _toEpoch(20);
        vm.prank(_owner(0));
        vault.claim(1, 10);
        assertEq(_convict(1, 10, 1, 10), 0, "10 serves on, its stake is gone");
        assertEq(uint8(registry.statusOf(1)), uint8(ISequencerRegistry.Status.Tombstoned));
        assertEq(slashEscrow.rewardOf(reporter), 0);
    }

    function test_S6_everythingTakenTwice() public {
        assertEq(_convict(1, 10, 1, 1), 1000e18);
        assertEq(_convict(2, 10, 1, 10), 1000e18, "correlated with a whole set");
        (uint256 tokens, uint256 units) = vault.pool(2);
        assertEq(tokens, 0);
        assertEq(units, 1000e18);
        _jail(2, 10);
        _toEpoch(13);
        _jail(2, 12);
        vm.warp(block.timestamp + APPEAL);
        assertEq(_slashOffline(2, 12), 0, "nothing left to take");
    }

    function test_S6_anyStatus() public {
        vm.startPrank(_owner(0));
        set.leaveSeat(1);
        registry.retire(1);
        vm.stopPrank();
        _rotate(2, _key(77));
        _jail(3, 10);
        _toEpoch(12);
        for (uint32 id = 1; id <= 4; ++id) {
            _convict(id, 10, 1, 100);
            assertEq(uint8(registry.statusOf(id)), uint8(ISequencerRegistry.Status.Tombstoned));
        }
    }

    function test_S6_withoutReporter() public {
        ISlasher.Offence memory offence = _offence(1, 10, 1, 10);
        offence.reporter = address(0);
        assertEq(_convictRaw(offence), 90e18);
        assertEq(slashEscrow.burnBalance() + slashEscrow.coverBalance(), 90e18);
    }

    // --------------------------------------------------------------------------------------------- S7: never returns

    function test_S7_neverReturns() public {
        _convict(1, 10, 1, 10);
        _freeze(11);
        assertEq(set.memberCount(11), 3);
        assertEq(set.seats(0), 0);
        vm.startPrank(_owner(0));
        vm.expectRevert(
            abi.encodeWithSelector(
                ISequencerRegistry.SequencerRegistry_WrongStatus.selector, 1, ISequencerRegistry.Status.Tombstoned
            )
        );
        registry.unjail(1);
        vm.expectRevert(abi.encodeWithSelector(ISequencerSet.SequencerSet_NotActive.selector, 1));
        set.takeSeat(1, 0);
        vm.stopPrank();
        _jail(1, 10);
        assertEq(uint8(registry.statusOf(1)), uint8(ISequencerRegistry.Status.Tombstoned), "a jail is no way back");
        bytes memory proof = _proof(_key(0), _owner(9), 0);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_KeyAlreadyBound.selector, vm.addr(_key(0)), 1)
        );
        vm.prank(_owner(9));
        registry.register(vm.addr(_key(0)), _owner(9), 1000, URI, proof);
    }

    // ------------------------------------------------------------------------------------------------------- top-up

    function test_topUp_raisesToTheCommonRate() public {
        assertEq(_convict(1, 10, 1, 10), 90e18);
        assertEq(_convict(2, 9, 1, 10), 360e18);
        // 9 * 0.2^2 = 36 % in all; 27 of the 91 % that are left.
        uint256 extra = uint256(0.27e18 * WAD - 1) / 0.91e18 + 1;
        assertEq(slashing.topUpDue(1), extra);
        assertEq(slashing.topUpDue(2), 0);
        uint256 reward = slashEscrow.rewardOf(reporter);
        vm.expectEmit(address(slashing));
        emit ISlasher.ToppedUp(1, 10, 0.36e18, _lossUp(910e18, extra));
        vm.prank(ALICE);
        uint256 taken = slashing.topUp(1);
        assertApproxEqAbs(taken, 270e18, 1000, "36 % of 1000 together");
        assertGe(taken, 270e18, "rounded up");
        assertEq(slashing.convictionOf(1).rate, 0.36e18);
        assertEq(slashing.convictionOf(1).taken, 90e18 + taken);
        assertEq(slashEscrow.rewardOf(reporter), reward, "a top-up pays nobody");
        assertEq(slashEscrow.rewardOf(ALICE), 0);
        assertEq(token.balanceOf(escrow), 450e18 + taken);
        assertEq(slashing.topUpDue(1), 0);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NothingToTopUp.selector, 1, 0.36e18));
        slashing.topUp(1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NothingToTopUp.selector, 2, 0.36e18));
        slashing.topUp(2);
    }

    function test_topUp_toEverything() public {
        _convict(1, 10, 1, 10);
        _convict(2, 10, 3, 10);
        assertEq(slashing.topUpDue(1), WAD);
        assertEq(slashing.topUp(1), 910e18);
        assertEq(slashing.convictionOf(1).rate, WAD);
        (uint256 tokens,) = vault.pool(1);
        assertEq(tokens, 0);
        // At 100 % nothing more can be due, whatever follows.
        _convict(3, 10, 9, 10);
        assertEq(slashing.topUpDue(1), 0);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NothingToTopUp.selector, 1, WAD));
        slashing.topUp(1);
    }

    function test_topUp_reachesTheSameCohorts() public {
        // Alice left before 10 began to count on her, Bob after.
        uint256 units = _delegate(ALICE, 1, 1000e18);
        _freezeUntil(11, 14);
        (, uint32 before) = _undelegate(ALICE, 1, units / 2);
        _freezeUntil(15, 16);
        (, uint32 later) = _undelegate(ALICE, 1, units / 2);
        assertEq(before, 14);
        _convict(1, 16, 1, 10);
        _convict(2, 16, 1, 10);
        slashing.topUp(1);
        (uint256 safe,) = vault.thawOf(1, before);
        (uint256 slashedPart,) = vault.thawOf(1, later);
        assertEq(safe, 500e18, "did not back 16");
        assertApproxEqAbs(slashedPart, 320e18, 1000);
    }

    function test_revert_topUp_notConvicted() public {
        assertEq(slashing.topUpDue(1), 0);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_NotConvicted.selector, 1));
        slashing.topUp(1);
    }

    // -------------------------------------------------------------------------------------------------- construction

    function test_constructor_refuses() public {
        ISlasher.Config memory config = _slasherConfig();
        config.vault = address(0);
        _refuse(config, abi.encodeWithSelector(ISlasher.Slasher_ZeroAddress.selector));
        config = _slasherConfig();
        config.registry = address(0);
        _refuse(config, abi.encodeWithSelector(ISlasher.Slasher_ZeroAddress.selector));
        config = _slasherConfig();
        config.sequencerSet = address(0);
        _refuse(config, abi.encodeWithSelector(ISlasher.Slasher_ZeroAddress.selector));
        config = _slasherConfig();
        config.escrow = address(0);
        _refuse(config, abi.encodeWithSelector(ISlasher.Slasher_ZeroAddress.selector));
        config = _slasherConfig();
        config.modules[1] = address(0);
        _refuse(config, abi.encodeWithSelector(ISlasher.Slasher_ZeroAddress.selector));
        config = _slasherConfig();
        config.modules[1] = config.modules[0];
        _refuse(config, abi.encodeWithSelector(ISlasher.Slasher_DuplicateModule.selector, voteFault));
        config = _slasherConfig();
        config.modules[1] = offlineFault;
        _refuse(config, abi.encodeWithSelector(ISlasher.Slasher_DuplicateModule.selector, offlineFault));
        config = _slasherConfig();
        config.evidenceEpochs = 0;
        _refuse(config, abi.encodeWithSelector(ISlasher.Slasher_InvalidEvidenceEpochs.selector, 0, UNBONDING));
        config.evidenceEpochs = UNBONDING + 1;
        _refuse(
            config, abi.encodeWithSelector(ISlasher.Slasher_InvalidEvidenceEpochs.selector, UNBONDING + 1, UNBONDING)
        );
        config = _slasherConfig();
        config.correlationEpochs = 17;
        _refuse(config, abi.encodeWithSelector(ISlasher.Slasher_InvalidCorrelation.selector, 17, 16));
        config = _slasherConfig();
        config.appealWindow = 0;
        _refuse(config, abi.encodeWithSelector(ISlasher.Slasher_InvalidAppealWindow.selector, 0, UNBONDING * EPOCH));
        config.appealWindow = UNBONDING * EPOCH + 1;
        _refuse(
            config,
            abi.encodeWithSelector(
                ISlasher.Slasher_InvalidAppealWindow.selector, UNBONDING * EPOCH + 1, UNBONDING * EPOCH
            )
        );
        // The largest values are fine.
        config.appealWindow = UNBONDING * EPOCH;
        (config.evidenceEpochs, config.correlationEpochs) = (UNBONDING, 16);
        vm.deployCode("Slasher.sol:Slasher", abi.encode(config));
    }

    function _refuse(ISlasher.Config memory config, bytes memory reason) private {
        _assertNotCreated(abi.encodePacked(vm.getCode("Slasher.sol:Slasher"), abi.encode(config)), reason);
    }

    function _convictRaw(ISlasher.Offence memory offence) private returns (uint256) {
        vm.prank(voteFault);
        return slashing.convict(offence);
    }

    function _convictAs(uint8 kind, uint32 id, uint32 sigma, uint64 weight, uint64 total) private returns (uint256) {
        ISlasher.Offence memory offence = _offence(id, sigma, weight, total);
        offence.kind = kind;
        return _convictRaw(offence);
    }

    function _newcomer() private returns (uint32) {
        _operator(4, 1000e18);
        return registry.operatorCount();
    }

    function _refuseAsTooOld(uint32 sigma, uint32 lastEpoch) private {
        bytes memory reason = abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, sigma, lastEpoch);
        vm.expectRevert(reason);
        slashing.checkEvidence(sigma);
        vm.expectRevert(reason);
        _convictRaw(_offence(3, sigma, 1, 10));
    }
}
