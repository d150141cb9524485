// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAmnesiaFault} from "contracts/interfaces/IAmnesiaFault.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {ILens} from "contracts/interfaces/ILens.sol";
import {IOfflineFault} from "contracts/interfaces/IOfflineFault.sol";
import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {FaultKind, ISlasher} from "contracts/interfaces/ISlasher.sol";
import {ALL_LATER} from "contracts/interfaces/IStakeVault.sol";

import {FaultsFixture} from "../harness/FaultsFixture.sol";

/// @notice From two signatures to the money, with every contract as deployed: whom a proof reaches (R2, R3, S1 to S4, S6, S7,
/// S9, S10) whatever became of the operator in the meantime.
contract FaultsOnNetworkTest is FaultsFixture {
    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);
    bytes32 internal constant X = keccak256("block X");
    bytes32 internal constant Y = keccak256("block Y");
    uint32 internal constant SIGMA = 10;

    function setUp() public {
        _deployFaults(8, 16);
        _start(4, SIGMA);
    }

    // ------------------------------------------------------------------------------------------------ what is taken

    /// @dev A quarter of the weight: 9 / 16 of everything that backed σ.
    uint256 private constant RATE = 0.5625e18;

    function test_S10_doubleVoteIsSlashedTombstonedAndPaidFor() public {
        uint256 taken = _report(0);
        assertEq(taken, 1000e18 * RATE / WAD);
        (uint256 tokens,) = vault.pool(1);
        assertEq(tokens, 1000e18 - taken);
        assertEq(uint8(registry.statusOf(1)), uint8(ISequencerRegistry.Status.Tombstoned));
        slashEscrow.withdraw(reporter);
        assertEq(token.balanceOf(reporter), taken / 20, "5 %");
    }

    function test_S2_S3_whoLeftAfterTheFaultPaysWhoLeftBeforeDoesNot() public {
        uint32 sigma = SIGMA + 4;
        _delegate(ALICE, 1, 100e18);
        _delegate(BOB, 1, 100e18);
        _freezeUntil(SIGMA + 1, SIGMA + 2);
        _undelegate(ALICE, 1, 100e18);
        _freezeUntil(SIGMA + 3, sigma);
        _undelegate(BOB, 1, 100e18);
        bytes memory members = _setOf(4, sigma);
        uint256 taken = doubleVote.report(_vote(0, 2, sigma, 0, X), _vote(0, 2, sigma, 0, Y), members, "", reporter);
        uint256 rate = slashing.convictionOf(1).rate;
        (uint256 left,) = vault.thawOf(1, SIGMA + 2);
        (uint256 stayed,) = vault.thawOf(1, sigma);
        assertEq(left, 100e18);
        assertEq(stayed, 100e18 - _lossUp(100e18, rate));
        assertEq(taken, _lossUp(1000e18, rate) + _lossUp(100e18, rate));
    }

    function test_S1_thirtyDoubleVotesAreOneOffence() public {
        _report(0);
        bytes memory members = _setOf(4, SIGMA);
        for (uint32 round = 1; round < 30; ++round) {
            IEvidence.SignedVote memory one = _vote(0, uint8(1 + round % 2), SIGMA, round, X);
            IEvidence.SignedVote memory two = _vote(0, uint8(1 + round % 2), SIGMA, round, Y);
            vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_AlreadyConvicted.selector, 1, SIGMA));
            doubleVote.report(one, two, members, "", reporter);
        }
        IEvidence.SignedProposal memory first = _proposal(0, SIGMA, X);
        IEvidence.SignedProposal memory second = _proposal(0, SIGMA, Y);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_AlreadyConvicted.selector, 1, SIGMA));
        doubleProposal.report(first, second, members, "", reporter);
    }

    function test_S4_faultsOfAllModulesCorrelate() public {
        bytes memory members = _setOf(4, SIGMA);
        doubleVote.report(_vote(0, 1, SIGMA, 0, X), _vote(0, 1, SIGMA, 0, 0), members, "", reporter);
        doubleProposal.report(_proposal(1, SIGMA, X), _proposal(1, SIGMA, Y), members, "", reporter);
        assertEq(slashing.convictionOf(2).rate, WAD, "half of the weight together");
        slashing.topUp(1);
        assertEq(slashing.convictionOf(1).rate, WAD);
    }

    function test_S9_whoReportsItselfLoses() public {
        bytes memory members = _setOf(4, SIGMA);
        uint256 taken = doubleVote.report(_vote(0, 2, SIGMA, 0, X), _vote(0, 2, SIGMA, 0, Y), members, "", _owner(0));
        assertEq(slashEscrow.rewardOf(_owner(0)), taken / 20);
    }

    /// @dev However much others delegated to it, whether its own stake is in the pool or on its way out.
    function testFuzz_S9_whoReportsItselfLoses(uint256 delegated, uint256 left, bool leaves) public {
        delegated = bound(delegated, 1e18, 90_000e18);
        _delegate(ALICE, 1, delegated);
        left = bound(left, 0, delegated);
        _freezeUntil(SIGMA + 1, SIGMA + 2);
        bytes memory members = _setOf(4, SIGMA + 2);
        if (left != 0) _undelegate(ALICE, 1, left);
        if (leaves) _undelegate(_owner(0), 1, 1000e18);
        uint256 bond = _ownOf(0);
        doubleVote.report(_vote(0, 2, SIGMA + 2, 0, X), _vote(0, 2, SIGMA + 2, 0, Y), members, "", _owner(0));
        assertLe(slashEscrow.rewardOf(_owner(0)), bond - _ownOf(0) + 1);
    }

    /// @dev What the owner has in the pool, and on its way out in the current epoch's cohort.
    function _ownOf(uint256 index) private view returns (uint256 value) {
        uint32 id = uint32(index + 1);
        (, value) = vault.positionOf(id, _owner(index));
        uint32 cohort = _epoch();
        (uint256 tokens, uint256 shares) = vault.thawOf(id, cohort);
        uint256 own = vault.thawSharesOf(id, cohort, _owner(index));
        if (own != 0) value += tokens * own / shares;
    }

    // ------------------------------------------------------------------------------- whatever became of the operator

    function test_R2_aKeyRotatedOut() public {
        _rotate(1, _key(50));
        _freezeUntil(SIGMA + 1, SIGMA + 3);
        assertEq(registry.signerAt(1, SIGMA + 3), vm.addr(_key(50)));
        assertGt(_report(0), 0);
    }

    function test_R2_aNewKeyAnswersForNoSetBeforeIt() public {
        _rotate(1, _key(50));
        IEvidence.SignedVote memory one = _vote(50, 2, SIGMA, 0, X);
        IEvidence.SignedVote memory two = _vote(50, 2, SIGMA, 0, Y);
        bytes memory members = _setOf(4, SIGMA);
        vm.expectRevert(abi.encodeWithSelector(IEvidence.Evidence_NotAMember.selector, vm.addr(_key(50)), SIGMA));
        doubleVote.report(one, two, members, "", reporter);
    }

    function test_R2_aStolenRetiredKeyConvictsNobody() public {
        _rotate(1, _key(50));
        _freezeUntil(SIGMA + 1, SIGMA + 2);
        // The key that was rotated out signs for a set it is not a member of any more.
        IEvidence.SignedVote memory one = _vote(0, 2, SIGMA + 2, 0, X);
        IEvidence.SignedVote memory two = _vote(0, 2, SIGMA + 2, 0, Y);
        bytes memory members = _setOf(4, SIGMA + 2);
        vm.expectRevert(abi.encodeWithSelector(IEvidence.Evidence_NotAMember.selector, vm.addr(_key(0)), SIGMA + 2));
        doubleVote.report(one, two, members, "", reporter);
    }

    function test_R3_aRetiredOperator() public {
        vm.prank(_owner(0));
        registry.retire(1);
        assertGt(_report(0), 0);
        assertEq(uint8(registry.statusOf(1)), uint8(ISequencerRegistry.Status.Tombstoned));
    }

    function test_R3_anOperatorOffItsSeat() public {
        vm.prank(_owner(0));
        set.leaveSeat(1);
        _freezeUntil(SIGMA + 1, SIGMA + 2);
        assertGt(_report(0), 0);
    }

    function test_R3_S6_anOperatorWhoseStakeIsAllUnbonding() public {
        _undelegate(_owner(0), 1, 1000e18);
        assertEq(_report(0), 1000e18 * RATE / WAD);
    }

    function test_S6_aJailedOperator() public {
        vm.prank(slasher);
        registry.jail(1);
        assertGt(_report(0), 0);
    }

    function test_S6_whilePaused() public {
        guardian.set(true);
        assertGt(_report(0), 0);
    }

    function test_S6_withNothingToTake() public {
        vm.prank(slasher);
        vault.slash(1, SIGMA, ALL_LATER, WAD);
        assertEq(_report(0), 0);
        assertTrue(slashing.isConvicted(1));
    }

    function test_S7_aTombstonedOperatorLeavesTheNextSet() public {
        _report(0);
        _freezeUntil(SIGMA + 1, SIGMA + 1);
        assertEq(set.memberCount(SIGMA + 1), 3);
        bytes memory proof = _proof(_key(0), ALICE, 0);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_KeyAlreadyBound.selector, vm.addr(_key(0)), 1)
        );
        vm.prank(ALICE);
        registry.register(vm.addr(_key(0)), ALICE, 0, URI, proof);
    }

    function test_evidencePastItsAge() public {
        _freezeUntil(SIGMA + 1, SIGMA + EVIDENCE);
        IEvidence.SignedVote memory one = _vote(0, 2, SIGMA, 0, X);
        IEvidence.SignedVote memory two = _vote(0, 2, SIGMA, 0, Y);
        bytes memory members = _setOf(4, SIGMA);
        uint256 inTime = vm.snapshotState();
        doubleVote.report(one, two, members, "", reporter);
        vm.revertToState(inTime);
        _freezeUntil(SIGMA + EVIDENCE + 1, SIGMA + EVIDENCE + 1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, SIGMA, SIGMA + EVIDENCE));
        doubleVote.report(one, two, members, "", reporter);
    }

    function test_evidenceOfASetThatHasNotStarted() public {
        _freeze(SIGMA + 1);
        IEvidence.SignedVote memory one = _vote(0, 2, SIGMA + 1, 0, X);
        IEvidence.SignedVote memory two = _vote(0, 2, SIGMA + 1, 0, Y);
        bytes memory members = _setOf(4, SIGMA + 1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_SetNotStarted.selector, SIGMA + 1, SIGMA));
        doubleVote.report(one, two, members, "", reporter);
        _toEpoch(SIGMA + 1);
        assertGt(doubleVote.report(one, two, members, "", reporter), 0);
    }

    // ------------------------------------------------------------------------------------------------- other modules

    function test_S10_certificatesConvictTheIntersection() public {
        bytes memory members = _setOf(4, SIGMA);
        uint256 convicted = certificates.report(
            _certificate(2, SIGMA, 0, X, 7), _certificate(2, SIGMA, 0, Y, 14), members, "", 8, reporter
        );
        assertEq(convicted, 2);
        assertFalse(slashing.isConvicted(1));
        assertTrue(slashing.isConvicted(2));
        assertTrue(slashing.isConvicted(3));
        assertFalse(slashing.isConvicted(4));
    }

    function test_S10_amnesiaIsConvictedUnlessAnswered() public {
        bytes memory members = _setOf(4, SIGMA);
        amnesia.accuse(_vote(0, 2, SIGMA, 1, X), _vote(0, 1, SIGMA, 3, Y), members, reporter);
        amnesia.accuse(_vote(1, 2, SIGMA, 1, X), _vote(1, 1, SIGMA, 3, Y), members, reporter);
        amnesia.answer(_charge(2), _certificate(1, SIGMA, 2, Y, 14), members);
        skip(RESPONSE_WINDOW);
        amnesia.convict(_charge(1));
        assertTrue(slashing.isConvicted(1));
        vm.expectPartialRevert(IAmnesiaFault.AmnesiaFault_NotOpen.selector);
        amnesia.convict(_charge(2));
        assertFalse(slashing.isConvicted(2));
    }

    function test_lensListsOperatorsThatAreAccused() public {
        ILens lens = ILens(
            vm.deployCode("Lens.sol:Lens", abi.encode(registry, vault, set, batches, address(this), slashing, amnesia))
        );
        bytes memory members = _setOf(4, SIGMA);
        amnesia.accuse(_vote(0, 2, SIGMA, 1, X), _vote(0, 1, SIGMA, 3, Y), members, reporter);
        amnesia.accuse(_vote(1, 2, SIGMA, 1, X), _vote(1, 1, SIGMA, 3, Y), members, reporter);
        ILens.OpenFault[] memory open = lens.openFaults(1, 10);
        assertEq(open.length, 2);
        for (uint32 i = 0; i < 2; ++i) {
            assertEq(open[i].id, i + 1);
            assertEq(open[i].kind, FaultKind.AMNESIA);
            assertEq(open[i].sigma, 0, "the charges name theirs");
            assertEq(open[i].fraction, 0, "can be answered");
        }
        amnesia.answer(_charge(2), _certificate(1, SIGMA, 2, Y, 14), members);
        open = lens.openFaults(1, 10);
        assertEq(open.length, 1, "answered");
        assertEq(open[0].id, 1);
        skip(RESPONSE_WINDOW);
        amnesia.convict(_charge(1));
        assertEq(lens.openFaults(1, 10).length, 0, "convicted");
    }

    /// @dev Accused in the last epoch in which evidence is taken, convicted in a later one.
    function test_amnesiaOutlivesTheAgeOfEvidence() public {
        bytes memory members = _setOf(4, SIGMA);
        _freezeUntil(SIGMA + 1, SIGMA + EVIDENCE);
        amnesia.accuse(_vote(0, 2, SIGMA, 1, X), _vote(0, 1, SIGMA, 3, Y), members, reporter);
        _freezeUntil(SIGMA + EVIDENCE + 1, SIGMA + EVIDENCE + 1);
        vm.expectPartialRevert(ISlasher.Slasher_EvidenceTooOld.selector);
        amnesia.accuse(_vote(1, 2, SIGMA, 1, X), _vote(1, 1, SIGMA, 3, Y), members, reporter);
        assertGt(amnesia.convict(_charge(1)), 0);
    }

    function test_S10_absenceIsJailedAndARepeatSlashed() public {
        uint32[] memory missed = new uint32[](4);
        missed[1] = 10;
        bytes memory members = _setOf(4, SIGMA);
        _freezeUntil(SIGMA + 1, SIGMA + 1);
        (IBatchChain.BatchHeader memory header, bytes memory entries) =
            _tally(4, SIGMA, missed, IBatchChain.BatchState.Posted);
        offline.jail(2, header, members, entries, reporter);
        assertEq(uint8(registry.statusOf(2)), uint8(ISequencerRegistry.Status.Jailed));
        _freezeUntil(SIGMA + 2, SIGMA + 2);
        assertEq(set.memberCount(SIGMA + 2), 3);

        // A first absence is not slashed.
        batches.set(header, IBatchChain.BatchState.Final);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_FirstAbsence.selector, 2, SIGMA));
        offline.slash(2, header, members, entries);

        // It returns to its seat and is gone again.
        vm.prank(_owner(1));
        registry.unjail(2);
        set.takeSeat(2, 1);
        _freezeUntil(SIGMA + 3, SIGMA + 4);
        members = _setOf(4, SIGMA + 3);
        (header, entries) = _tally(4, SIGMA + 3, missed, IBatchChain.BatchState.Final);
        offline.jail(2, header, members, entries, reporter);
        vm.expectPartialRevert(ISlasher.Slasher_AppealRunning.selector);
        offline.slash(2, header, members, entries);
        skip(APPEAL);
        assertEq(offline.slash(2, header, members, entries), 1e18, "0.1 %");
    }

    function test_withMoreThanAThirdAbsentNobodyIsJailed() public {
        uint32[] memory missed = new uint32[](4);
        (missed[1], missed[2]) = (10, 5);
        bytes memory members = _setOf(4, SIGMA);
        (IBatchChain.BatchHeader memory header, bytes memory entries) =
            _tally(4, SIGMA, missed, IBatchChain.BatchState.Posted);
        for (uint32 id = 1; id <= 4; ++id) {
            vm.expectPartialRevert(
                missed[id - 1] == 0
                    ? IOfflineFault.OfflineFault_Present.selector
                    : IOfflineFault.OfflineFault_TooManyAbsent.selector
            );
            offline.jail(id, header, members, entries, reporter);
            assertEq(uint8(registry.statusOf(id)), uint8(ISequencerRegistry.Status.Active));
        }
    }

    // -------------------------------------------------------------------------------------------------------- helpers

    /// @dev Two precommits of operator `index + 1` under σ.
    function _report(uint256 index) private returns (uint256) {
        return
            doubleVote.report(
                _vote(index, 2, SIGMA, 0, X), _vote(index, 2, SIGMA, 0, Y), _setOf(4, SIGMA), "", reporter
            );
    }

    function _charge(uint32 id) private pure returns (IAmnesiaFault.Charge memory) {
        return IAmnesiaFault.Charge({
            id: id,
            fork: 0,
            sigma: SIGMA,
            height: HEIGHT,
            lockRound: 1,
            voteRound: 3,
            votedHash: Y,
            weight: 1000e9,
            totalWeight: 4000e9
        });
    }
}
