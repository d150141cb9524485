// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAmnesiaFault} from "contracts/interfaces/IAmnesiaFault.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {ISlasher} from "contracts/interfaces/ISlasher.sol";
import {FaultKit} from "../kit/FaultKit.sol";

/// @notice Who forgot a lock is convicted after the window; a polka clears whoever has one (S1, S8, S10).
contract AmnesiaFaultTest is FaultKit {
    bytes32 internal constant X = keccak256("block X");
    bytes32 internal constant Y = keccak256("block Y");

    IEvidence.SignedVote internal lock;
    IEvidence.SignedVote internal vote;
    IAmnesiaFault.Charge internal charge;
    bytes32 internal chargeHash;

    function setUp() public override {
        super.setUp();
        lock = _vote(1, 2, 3, X);
        vote = _vote(1, 1, 6, Y);
        charge = IAmnesiaFault.Charge({
            id: 2,
            fork: 0,
            sigma: SIGMA,
            height: 7,
            lockRound: 3,
            voteRound: 6,
            votedHash: Y,
            weight: 101,
            totalWeight: totalWeight
        });
        chargeHash = keccak256(abi.encode(charge));
    }

    // ------------------------------------------------------------------------------------------------------ accusation

    function test_accuse() public {
        uint256 from = block.timestamp + RESPONSE_WINDOW;
        vm.expectEmit(address(amnesia));
        emit IAmnesiaFault.Accused(chargeHash, 2, charge, from, REPORTER);
        assertEq(_accuse(), chargeHash);
        _assertAccusation(IAmnesiaFault.ChargeState.Open, from);
        assertEq(slasher.count(), 0);
    }

    function test_S1_nobodyIsAccusedTwice() public {
        _accuse();
        // Another X with the same precommit round has to be answered with the same polka.
        lock = _vote(1, 2, 3, keccak256("block Z"));
        _refuse(_alreadyAccused(IAmnesiaFault.ChargeState.Open));
        amnesia.answer(charge, _certificate(1, SIGMA, 3, Y, 7), members);
        _refuse(_alreadyAccused(IAmnesiaFault.ChargeState.Answered));
    }

    function test_nilPrevoteIsNoFault() public {
        vote = _vote(1, 1, 6, 0);
        _refuse(abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_NilVote.selector, X, bytes32(0)));
    }

    function test_nilPrecommitLocksNothing() public {
        lock = _vote(1, 2, 3, 0);
        _refuse(abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_NilVote.selector, bytes32(0), Y));
    }

    function test_keepingTheLockIsNoFault() public {
        vote = _vote(1, 1, 6, X);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_NoContradiction.selector, SIGMA, X));
    }

    function test_aPrevoteOfTheSameOrAnEarlierRoundIsNoFault() public {
        vote = _vote(1, 1, 3, Y);
        _refuse(abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_NotLater.selector, 3, 3));
        vote = _vote(1, 1, 2, Y);
        _refuse(abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_NotLater.selector, 3, 2));
    }

    function test_S8_refusesOtherKinds() public {
        lock = _vote(1, 1, 3, X);
        _refuse(abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_WrongKinds.selector, 1, 1));
        lock = _vote(1, 2, 3, X);
        vote = _vote(1, 2, 6, Y);
        _refuse(abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_WrongKinds.selector, 2, 2));
    }

    function test_S8_refusesTwoForks() public {
        vote.fork = 1;
        vote = _signed(vote, 1);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentForks.selector, 0, 1));
    }

    function test_S8_refusesTwoEpochs() public {
        vote.epoch = SIGMA + 1;
        vote = _signed(vote, 1);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentEpochs.selector, SIGMA, SIGMA + 1));
    }

    function test_S8_refusesTwoHeights() public {
        vote.height = 8;
        vote = _signed(vote, 1);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentHeights.selector, 7, 8));
    }

    function test_S8_refusesTwoSigners() public {
        vote = _vote(2, 1, 6, Y);
        _refuse(
            abi.encodeWithSelector(
                IEvidence.Evidence_DifferentSigners.selector, vm.addr(_secret(1)), vm.addr(_secret(2))
            )
        );
    }

    function test_S8_refusesWhatWasSignedForSomethingElse() public {
        vote.signature = _vote(1, 1, 5, Y).signature;
        _refuse(
            abi.encodeWithSelector(IEvidence.Evidence_DifferentSigners.selector, vm.addr(_secret(1)), _recovered(vote))
        );
    }

    function test_refusesTheHighTwin() public {
        bytes32 highS;
        (lock.signature, highS) = _highTwin(lock.signature);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_HighS.selector, highS));
    }

    function test_refusesAStranger() public {
        lock = _vote(9, 2, 3, X);
        vote = _vote(9, 1, 6, Y);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_NotAMember.selector, vm.addr(_secret(9)), SIGMA));
    }

    function test_refusesAnUnknownSet() public {
        (lock.epoch, vote.epoch) = (SIGMA - 1, SIGMA - 1);
        lock = _signed(lock, 1);
        vote = _signed(vote, 1);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_UnknownSet.selector, SIGMA - 1));
    }

    function test_refusesOtherMembers() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IEvidence.Evidence_WrongMembers.selector, SIGMA, keccak256("other"), keccak256(members)
            )
        );
        amnesia.accuse(lock, vote, "other", REPORTER);
    }

    function test_refusesOldEvidence() public {
        sets.setEpoch(SIGMA + 4);
        _refuse(abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, SIGMA, SIGMA + 3));
    }

    function test_refusesWhoIsConvictedUnderTheSameSet() public {
        slasher.markProven(2, SIGMA);
        _refuse(abi.encodeWithSelector(ISlasher.Slasher_AlreadyConvicted.selector, 2, SIGMA));
        assertEq(amnesia.openCharges(2), 0);
        assertEq(amnesia.openChargesInAll(), 0);
    }

    function test_aConvictionOfAnotherOrUnderAnotherSetLeavesAccusable() public {
        slasher.markProven(1, SIGMA);
        slasher.markProven(2, SIGMA + 1);
        _accuse();
        assertEq(amnesia.openCharges(2), 1);
    }

    // ---------------------------------------------------------------------------------------------------------- answer

    function test_aPolkaInBetweenClears() public {
        _accuse();
        vm.expectEmit(address(amnesia));
        emit IAmnesiaFault.Answered(chargeHash, 2, 4);
        vm.prank(makeAddr("anybody"));
        amnesia.answer(charge, _certificate(1, SIGMA, 4, Y, 7), members);
        _assertAccusation(IAmnesiaFault.ChargeState.Answered, block.timestamp + RESPONSE_WINDOW);

        skip(RESPONSE_WINDOW);
        vm.expectRevert(_notOpen(chargeHash, IAmnesiaFault.ChargeState.Answered));
        amnesia.convict(charge);
    }

    function test_aPolkaOfTheFirstOrLastRoundClears() public {
        _accuse();
        uint256 open = vm.snapshotState();
        amnesia.answer(charge, _certificate(1, SIGMA, 3, Y, 7), members);
        vm.revertToState(open);
        amnesia.answer(charge, _certificate(1, SIGMA, 5, Y, 7), members);
        _assertAccusation(IAmnesiaFault.ChargeState.Answered, block.timestamp + RESPONSE_WINDOW);
    }

    function test_aLateAnswerIsStillTrue() public {
        _accuse();
        skip(RESPONSE_WINDOW + 1);
        amnesia.answer(charge, _certificate(1, SIGMA, 4, Y, 7), members);
        vm.expectRevert(_notOpen(chargeHash, IAmnesiaFault.ChargeState.Answered));
        amnesia.convict(charge);
    }

    function test_aPolkaOutsideTheRoundsClearsNobody() public {
        _accuse();
        _refuseAnswer(
            _certificate(1, SIGMA, 2, Y, 7),
            abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_PolkaOutsideRounds.selector, 2, 3, 6)
        );
        _refuseAnswer(
            _certificate(1, SIGMA, 6, Y, 7),
            abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_PolkaOutsideRounds.selector, 6, 3, 6)
        );
    }

    function test_aPolkaForSomethingElseClearsNobody() public {
        _accuse();
        IBatchChain.CommitCertificate memory polka = _certificate(1, SIGMA, 4, X, 7);
        _refuseAnswer(polka, _foreign(polka));
        polka = _certificate(1, SIGMA, 4, 0, 7);
        _refuseAnswer(polka, _foreign(polka));
        polka = _certificate(1, SIGMA + 1, 4, Y, 7);
        _refuseAnswer(polka, _foreign(polka));
        polka = _certificate(1, SIGMA, 4, Y, 7);
        polka.fork = 1;
        _refuseAnswer(polka, _foreign(polka));
        polka.fork = 0;
        polka.height = 8;
        _refuseAnswer(polka, _foreign(polka));
    }

    function test_twoThirdsAreNoPolka() public {
        _accuse();
        _refuseAnswer(
            _certificate(1, SIGMA, 4, Y, 3),
            abi.encodeWithSelector(IBatchChain.CommitCertificate_NoQuorum.selector, uint256(201), uint256(totalWeight))
        );
    }

    function test_precommitsAreNoPolka() public {
        _accuse();
        vm.expectPartialRevert(IBatchChain.CommitCertificate_WrongSigner.selector);
        amnesia.answer(charge, _certificate(2, SIGMA, 4, Y, 7), members);
    }

    function test_answersOnlyWhatIsOpen() public {
        vm.expectRevert(_notOpen(chargeHash, IAmnesiaFault.ChargeState.None));
        amnesia.answer(charge, _certificate(1, SIGMA, 4, Y, 7), members);
        _accuse();
        skip(RESPONSE_WINDOW);
        amnesia.convict(charge);
        vm.expectRevert(_notOpen(chargeHash, IAmnesiaFault.ChargeState.Convicted));
        amnesia.answer(charge, _certificate(1, SIGMA, 4, Y, 7), members);
    }

    // ------------------------------------------------------------------------------------------------------ conviction

    function test_S10_convictsAfterTheWindow() public {
        _accuse();
        skip(RESPONSE_WINDOW);
        vm.prank(makeAddr("anybody"));
        assertEq(amnesia.convict(charge), 2e18);
        _assertConvicted(1, 4, SIGMA, 101, totalWeight, 6);
        _assertAccusation(IAmnesiaFault.ChargeState.Convicted, block.timestamp);
    }

    function test_convictsWhenTheEvidenceGrewOldInTheWindow() public {
        sets.setEpoch(SIGMA + 3);
        _accuse();
        skip(RESPONSE_WINDOW);
        sets.setEpoch(SIGMA + 5);
        amnesia.convict(charge);
        _assertConvicted(1, 4, SIGMA, 101, totalWeight, 6);
    }

    function test_refusesToConvictEarly() public {
        _accuse();
        uint256 from = block.timestamp + RESPONSE_WINDOW;
        skip(RESPONSE_WINDOW - 1);
        vm.expectRevert(abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_WindowRunning.selector, chargeHash, from));
        amnesia.convict(charge);
    }

    function test_S1_convictsOnce() public {
        _accuse();
        skip(RESPONSE_WINDOW);
        amnesia.convict(charge);
        vm.expectRevert(_notOpen(chargeHash, IAmnesiaFault.ChargeState.Convicted));
        amnesia.convict(charge);
        _refuse(_alreadyAccused(IAmnesiaFault.ChargeState.Convicted));
    }

    function test_refusesToConvictOfAnotherCharge() public {
        _accuse();
        skip(RESPONSE_WINDOW);
        charge.id = 3;
        vm.expectRevert(_notOpen(keccak256(abi.encode(charge)), IAmnesiaFault.ChargeState.None));
        amnesia.convict(charge);
        (charge.id, charge.weight) = (2, 400);
        vm.expectRevert(_notOpen(keccak256(abi.encode(charge)), IAmnesiaFault.ChargeState.None));
        amnesia.convict(charge);
    }

    // ---------------------------------------------------------------------------------------------------- open charges

    function test_openChargesCountsWhatHasNoEnd() public {
        assertEq(amnesia.openCharges(2), 0);
        _accuse();
        vote = _vote(1, 1, 7, Y);
        _accuse();
        vote = _vote(1, 1, 8, Y);
        _accuse();
        assertEq(amnesia.openCharges(2), 3);
        assertEq(amnesia.openCharges(1), 0, "of each its own");
        assertEq(amnesia.openChargesInAll(), 3);
        amnesia.answer(charge, _certificate(1, SIGMA, 4, Y, 7), members);
        assertEq(amnesia.openCharges(2), 2);
        skip(RESPONSE_WINDOW);
        assertEq(amnesia.openCharges(2), 2, "time alone ends nothing");
        charge.voteRound = 7;
        amnesia.convict(charge);
        assertEq(amnesia.openCharges(2), 1);
        charge.voteRound = 8;
        amnesia.expire(charge);
        assertEq(amnesia.openCharges(2), 0);
        assertEq(amnesia.openChargesInAll(), 0);
    }

    function test_expire_whatIsTooOldToSlash() public {
        _accuse();
        skip(RESPONSE_WINDOW);
        sets.setEpoch(SIGMA + 6);
        vm.expectRevert(abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_NotExpired.selector, chargeHash, SIGMA + 6));
        amnesia.expire(charge);
        sets.setEpoch(SIGMA + 7);
        vm.expectEmit(address(amnesia));
        emit IAmnesiaFault.Expired(chargeHash, 2);
        vm.prank(makeAddr("anybody"));
        amnesia.expire(charge);
        _assertAccusation(IAmnesiaFault.ChargeState.Expired, block.timestamp);
        vm.expectRevert(_notOpen(chargeHash, IAmnesiaFault.ChargeState.Expired));
        amnesia.expire(charge);
        vm.expectRevert(_notOpen(chargeHash, IAmnesiaFault.ChargeState.Expired));
        amnesia.convict(charge);
        vm.expectRevert(_notOpen(chargeHash, IAmnesiaFault.ChargeState.Expired));
        amnesia.answer(charge, _certificate(1, SIGMA, 4, Y, 7), members);
        assertEq(amnesia.openCharges(2), 0);
    }

    function test_expire_whatIsConvictedOtherwise() public {
        _accuse();
        vm.expectRevert(abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_NotExpired.selector, chargeHash, SIGMA + 6));
        amnesia.expire(charge);
        slasher.markProven(2, SIGMA + 1);
        vm.expectRevert(abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_NotExpired.selector, chargeHash, SIGMA + 6));
        amnesia.expire(charge);
        slasher.markProven(2, SIGMA);
        amnesia.expire(charge);
        assertEq(amnesia.openCharges(2), 0);
    }

    function test_constructorRefusesBadWindows() public {
        _refuseWindow(0);
        _refuseWindow(30 days + 1);
    }

    // -------------------------------------------------------------------------------------------------------- helpers

    function _accuse() private returns (bytes32) {
        return amnesia.accuse(lock, vote, members, REPORTER);
    }

    function _refuse(bytes memory reason) private {
        vm.expectRevert(reason);
        amnesia.accuse(lock, vote, members, REPORTER);
    }

    function _refuseAnswer(IBatchChain.CommitCertificate memory polka, bytes memory reason) private {
        vm.expectRevert(reason);
        amnesia.answer(charge, polka, members);
        _assertAccusation(IAmnesiaFault.ChargeState.Open, block.timestamp + RESPONSE_WINDOW);
    }

    function _refuseWindow(uint64 window) private {
        _assertCreationRefused(
            "AmnesiaFault.sol:AmnesiaFault",
            abi.encode(_wiring(), window),
            abi.encodeWithSelector(
                IAmnesiaFault.AmnesiaFault_InvalidResponseWindow.selector, uint256(window), uint256(30 days)
            )
        );
    }

    function _assertAccusation(IAmnesiaFault.ChargeState state, uint256 from) private view {
        IAmnesiaFault.Accusation memory expected =
            IAmnesiaFault.Accusation({state: state, convictableFrom: uint40(from), reporter: REPORTER});
        assertEq(abi.encode(amnesia.accusationOf(chargeHash)), abi.encode(expected));
    }

    function _alreadyAccused(IAmnesiaFault.ChargeState state) private view returns (bytes memory) {
        return abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_AlreadyAccused.selector, chargeHash, state);
    }

    function _notOpen(bytes32 hash, IAmnesiaFault.ChargeState state) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAmnesiaFault.AmnesiaFault_NotOpen.selector, hash, state);
    }

    function _foreign(IBatchChain.CommitCertificate memory polka) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            IAmnesiaFault.AmnesiaFault_ForeignPolka.selector, polka.fork, polka.epoch, polka.height, polka.blockHash
        );
    }
}
