// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {ISlasher} from "contracts/interfaces/ISlasher.sol";
import {FaultKit} from "../kit/FaultKit.sol";

/// @notice R2, S1 and S8: which two votes convict, whom, under which set, and which do not.
contract DoubleVoteFaultTest is FaultKit {
    bytes32 internal constant X = keccak256("block X");
    bytes32 internal constant Y = keccak256("block Y");

    IEvidence.SignedVote internal one;
    IEvidence.SignedVote internal two;

    function setUp() public override {
        super.setUp();
        one = _vote(1, 2, 3, X);
        two = _vote(1, 2, 3, Y);
    }

    // ---------------------------------------------------------------------------------------------------- convictions

    function test_domainIsTheBatchChains() public view {
        assertEq(doubleVote.domainSeparator(), domain);
    }

    function test_S10_convictsTwoPrecommits() public {
        assertEq(_report(), 2e18);
        _assertConvicted(1, 2, SIGMA, 101, totalWeight, 3);
    }

    function test_S10_convictsTwoPrevotes() public {
        one = _vote(3, 1, 0, X);
        two = _vote(3, 1, 0, Y);
        _report();
        _assertConvicted(3, 1, SIGMA, 103, totalWeight, 0);
    }

    function test_orderDoesNotMatter() public {
        doubleVote.report(two, one, members, "", REPORTER);
        _assertConvicted(1, 2, SIGMA, 101, totalWeight, 3);
    }

    function test_nilAndABlockContradict() public {
        two = _vote(1, 2, 3, 0);
        _report();
        _assertConvicted(1, 2, SIGMA, 101, totalWeight, 3);
    }

    function test_reportsFork() public {
        (one.fork, two.fork) = (5, 5);
        one = _signed(one, 1);
        two = _signed(two, 1);
        _report();
        assertEq(slasher.offenceAt(0).fork, 5);
    }

    function test_anybodyReportsForAnybody() public {
        vm.prank(makeAddr("stranger"));
        doubleVote.report(one, two, members, "", address(0));
        assertEq(slasher.offenceAt(0).reporter, address(0));
    }

    function test_R2_aKeyRotatedOutAnswersForItsTime() public {
        sets.setEpoch(SIGMA + 2);
        sets.freeze(SIGMA + 2, "other members", 1);
        _report();
        _assertConvicted(1, 2, SIGMA, 101, totalWeight, 3);
    }

    function test_R2_aKeyRotatedOutAnswersForNoOtherSet() public {
        (one.epoch, two.epoch) = (SIGMA + 1, SIGMA + 1);
        one = _signed(one, 1);
        two = _signed(two, 1);
        sets.setEpoch(SIGMA + 1);
        bytes memory later = abi.encodePacked(makeAddr("new key"), uint32(2), uint64(101));
        sets.freeze(SIGMA + 1, later, 101);
        vm.expectRevert(abi.encodeWithSelector(IEvidence.Evidence_NotAMember.selector, vm.addr(_secret(1)), SIGMA + 1));
        doubleVote.report(one, two, later, "", REPORTER);
    }

    // ---------------------------------------------------------------------------------------------------- two epochs

    function test_twoEpochsSameBlockContradict() public {
        bytes memory later = _secondEpoch(SIGMA + 1, 1, X);
        doubleVote.report(one, two, members, later, REPORTER);
        assertEq(slasher.count(), 2);
    }

    /// @dev Nobody chooses the set it answers in: it answers in both, whatever the order of the votes.
    function test_twoEpochs_convictsUnderBoth() public {
        bytes memory later = _secondEpoch(SIGMA + 1, 300, Y);
        uint256 taken = doubleVote.report(one, two, members, later, REPORTER);
        assertEq(taken, 4e18, "of both");
        assertEq(slasher.count(), 2);
        _assertOffence(0, SIGMA, 101, totalWeight);
        _assertOffence(1, SIGMA + 1, 300, 400);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.Slasher_AlreadyConvicted.selector, 2, SIGMA));
        doubleVote.report(one, two, members, later, REPORTER);
    }

    function test_twoEpochs_convictsUnderBoth_eitherOrder() public {
        bytes memory later = _secondEpoch(SIGMA + 1, 300, Y);
        doubleVote.report(two, one, later, members, REPORTER);
        assertEq(slasher.count(), 2);
        _assertOffence(0, SIGMA + 1, 300, 400);
        _assertOffence(1, SIGMA, 101, totalWeight);
    }

    /// @dev Who had itself convicted under one of them answers in the other.
    function test_twoEpochs_convictsUnderWhatIsLeft() public {
        bytes memory later = _secondEpoch(SIGMA + 1, 300, Y);
        slasher.markProven(2, SIGMA);
        uint256 start = vm.snapshotState();
        doubleVote.report(one, two, members, later, REPORTER);
        assertEq(slasher.count(), 1);
        _assertOffence(0, SIGMA + 1, 300, 400);
        vm.revertToState(start);
        doubleVote.report(two, one, later, members, REPORTER);
        assertEq(slasher.count(), 1);
        _assertOffence(0, SIGMA + 1, 300, 400);
    }

    function test_twoEpochs_aSetNotStartedIsNotRead() public {
        _secondEpoch(SIGMA + 1, 300, Y);
        sets.setEpoch(SIGMA);
        doubleVote.report(one, two, members, "", REPORTER);
        _assertConvicted(1, 2, SIGMA, 101, totalWeight, 3);
    }

    function test_twoEpochs_aSetTooOldIsNotRead() public {
        bytes memory later = _secondEpoch(SIGMA + 4, 1, Y);
        doubleVote.report(one, two, "", later, REPORTER);
        _assertConvicted(1, 2, SIGMA + 4, 1, 101, 3);
    }

    function test_twoEpochs_anEpochWithoutASetIsNotRead() public {
        two.epoch = SIGMA - 1;
        two = _signed(two, 1);
        doubleVote.report(one, two, members, "", REPORTER);
        _assertConvicted(1, 2, SIGMA, 101, totalWeight, 3);
    }

    function test_twoEpochs_aMemberOfTheSecondOnly() public {
        uint64[] memory weights = new uint64[](1);
        weights[0] = 5;
        one = _vote(3, 2, 3, X);
        two = _vote(3, 2, 3, Y);
        two.epoch = SIGMA + 1;
        two = _signed(two, 3);
        bytes memory later = _freezeOther(SIGMA + 1, weights);
        sets.setEpoch(SIGMA + 1);
        doubleVote.report(two, one, later, members, REPORTER);
        _assertConvicted(3, 2, SIGMA, 103, totalWeight, 3);
    }

    function test_twoEpochs_refusesAMemberOfNeither() public {
        one = _vote(6, 2, 3, X);
        two = _vote(6, 2, 3, Y);
        two.epoch = SIGMA - 1;
        two = _signed(two, 6);
        _refuse(
            abi.encodeWithSelector(
                IEvidence.Evidence_NotAMemberOfEither.selector, vm.addr(_secret(6)), SIGMA, SIGMA - 1
            )
        );
    }

    function test_twoEpochs_refusesOtherMembers() public {
        bytes memory later = _secondEpoch(SIGMA + 1, 300, Y);
        vm.expectRevert(
            abi.encodeWithSelector(
                IEvidence.Evidence_WrongMembers.selector, SIGMA + 1, keccak256(members), keccak256(later)
            )
        );
        doubleVote.report(one, two, members, members, REPORTER);
    }

    // ------------------------------------------------------------------------------------------------------- refusals

    function test_S8_refusesTwoKinds() public {
        two = _vote(1, 1, 3, Y);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentKinds.selector, 2, 1));
    }

    function test_S8_refusesTwoForks() public {
        two.fork = 1;
        two = _signed(two, 1);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentForks.selector, 0, 1));
    }

    function test_S8_refusesTwoHeights() public {
        two.height = 8;
        two = _signed(two, 1);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentHeights.selector, 7, 8));
    }

    function test_refusesTwoRounds() public {
        two = _vote(1, 2, 4, Y);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentRounds.selector, 3, 4));
    }

    function test_refusesTheSameVoteTwice() public {
        two = one;
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_NoContradiction.selector, SIGMA, X));
    }

    function test_S8_refusesOtherKinds() public {
        (one.kind, two.kind) = (3, 3);
        one = _signed(one, 1);
        two = _signed(two, 1);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_UnknownVoteKind.selector, 3));
        (one.kind, two.kind) = (0, 0);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_UnknownVoteKind.selector, 0));
    }

    function test_refusesTwoSigners() public {
        two = _vote(2, 2, 3, Y);
        _refuse(
            abi.encodeWithSelector(
                IEvidence.Evidence_DifferentSigners.selector, vm.addr(_secret(1)), vm.addr(_secret(2))
            )
        );
    }

    /// @dev Each field and each part of the domain is in the digest: said otherwise than signed, another key is recovered.
    function test_S8_refusesWhatWasSignedForSomethingElse() public {
        bytes memory elsewhere = _signature(_secret(1), _digest(_domain(1, BATCH_CHAIN), two));
        _refuseSignature(elsewhere);
        elsewhere = _signature(_secret(1), _digest(_domain(L2_CHAIN_ID, address(this)), two));
        _refuseSignature(elsewhere);

        IEvidence.SignedVote memory signed = two;
        signed.fork = 1;
        _refuseSignature(_signature(_secret(1), _digest(domain, signed)));
        (signed.fork, signed.epoch) = (0, SIGMA + 1);
        _refuseSignature(_signature(_secret(1), _digest(domain, signed)));
        (signed.epoch, signed.height) = (SIGMA, 8);
        _refuseSignature(_signature(_secret(1), _digest(domain, signed)));
        (signed.height, signed.round) = (7, 4);
        _refuseSignature(_signature(_secret(1), _digest(domain, signed)));
        (signed.round, signed.kind) = (3, 1);
        _refuseSignature(_signature(_secret(1), _digest(domain, signed)));

        IEvidence.SignedProposal memory proposal;
        (proposal.epoch, proposal.height, proposal.round, proposal.blockHash) = (SIGMA, 7, 3, Y);
        _refuseSignature(_signature(_secret(1), _digest(domain, proposal)));
    }

    function test_S8_twoVotesOfAnotherChainConvictNobody() public {
        bytes32 foreign = _domain(1, BATCH_CHAIN);
        one.signature = _signature(_secret(1), _digest(foreign, one));
        two.signature = _signature(_secret(1), _digest(foreign, two));
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentSigners.selector, _recovered(one), _recovered(two)));
    }

    function test_refusesShortAndLongSignatures() public {
        two.signature = abi.encodePacked(bytes32(two.signature), bytes32(uint256(1)));
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_WrongSignatureLength.selector, 64));
        two.signature = "";
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_WrongSignatureLength.selector, 0));
        one.signature = abi.encodePacked(one.signature, uint8(0));
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_WrongSignatureLength.selector, 66));
    }

    function test_refusesTheHighTwin() public {
        bytes32 highS;
        (two.signature, highS) = _highTwin(two.signature);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_HighS.selector, highS));
    }

    function test_refusesOtherRecoveryIds() public {
        bytes memory signature = two.signature;
        signature[64] = bytes1(uint8(signature[64]) - 27);
        two.signature = signature;
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_BadRecoveryId.selector, uint8(signature[64])));
    }

    function test_refusesWhatIsNoSignature() public {
        two.signature = abi.encodePacked(bytes32(0), bytes32(uint256(1)), uint8(27));
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_NoSigner.selector, _digest(domain, two)));
        // Nor do two of them agree on the signer zero.
        one.signature = two.signature;
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_NoSigner.selector, _digest(domain, one)));
    }

    function test_refusesAStranger() public {
        one = _vote(9, 2, 3, X);
        two = _vote(9, 2, 3, Y);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_NotAMember.selector, vm.addr(_secret(9)), SIGMA));
    }

    function test_refusesOtherMembers() public {
        bytes memory short = new bytes(members.length - 32);
        for (uint256 i = 0; i < short.length; ++i) {
            short[i] = members[i];
        }
        vm.expectRevert(
            abi.encodeWithSelector(
                IEvidence.Evidence_WrongMembers.selector, SIGMA, keccak256(short), keccak256(members)
            )
        );
        doubleVote.report(one, two, short, "", REPORTER);
    }

    function test_refusesAnEpochWithoutASet() public {
        (one.epoch, two.epoch) = (SIGMA - 1, SIGMA - 1);
        one = _signed(one, 1);
        two = _signed(two, 1);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_UnknownSet.selector, SIGMA - 1));
    }

    function test_refusesASecondSetForOneEpoch() public {
        vm.expectRevert(abi.encodeWithSelector(IEvidence.Evidence_SpareMembers.selector, SIGMA, members.length));
        doubleVote.report(one, two, members, members, REPORTER);
    }

    function test_S1_refusesEvidenceAlreadyUsed() public {
        _report();
        _refuse(abi.encodeWithSelector(ISlasher.Slasher_AlreadyConvicted.selector, 2, SIGMA));
    }

    function test_refusesOldEvidence() public {
        sets.setEpoch(SIGMA + 4);
        _refuse(abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, SIGMA, SIGMA + 3));
    }

    function test_constructorRefusesZeroWiring() public {
        string memory what = "DoubleVoteFault.sol:DoubleVoteFault";
        IEvidence.Wiring memory wiring = _wiring();
        wiring.slasher = address(0);
        _assertCreationRefused(what, abi.encode(wiring), _zero("slasher"));
        wiring = _wiring();
        wiring.sequencerSet = address(0);
        _assertCreationRefused(what, abi.encode(wiring), _zero("sequencerSet"));
        wiring = _wiring();
        wiring.batchChain = address(0);
        _assertCreationRefused(what, abi.encode(wiring), _zero("batchChain"));
        wiring = _wiring();
        wiring.l2ChainId = 0;
        _assertCreationRefused(what, abi.encode(wiring), _zero("l2ChainId"));
    }

    // -------------------------------------------------------------------------------------------------------- helpers

    function _assertOffence(uint256 index, uint32 sigma, uint64 weight, uint64 total) private view {
        ISlasher.Offence memory offence = slasher.offenceAt(index);
        assertEq(offence.id, 2);
        assertEq(offence.sigma, sigma);
        assertEq(offence.weight, weight);
        assertEq(offence.totalWeight, total);
        assertEq(offence.reporter, REPORTER);
    }

    function _report() private returns (uint256) {
        return doubleVote.report(one, two, members, "", REPORTER);
    }

    function _refuse(bytes memory reason) private {
        vm.expectRevert(reason);
        doubleVote.report(one, two, members, "", REPORTER);
    }

    /// @dev `two` with a signature of key 1 over something else.
    function _refuseSignature(bytes memory signature) private {
        IEvidence.SignedVote memory honest = two;
        two.signature = signature;
        address recovered = _recovered(two);
        assertNotEq(recovered, vm.addr(_secret(1)));
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentSigners.selector, vm.addr(_secret(1)), recovered));
        two = honest;
    }

    /// @dev `two` becomes a vote under another epoch, in whose set of two key 1 has the given weight beside 100.
    function _secondEpoch(uint32 epoch, uint64 weight, bytes32 blockHash) private returns (bytes memory) {
        uint64[] memory weights = new uint64[](2);
        (weights[0], weights[1]) = (100, weight);
        return _secondEpoch(epoch, weights, blockHash);
    }

    function _secondEpoch(uint32 epoch, uint64[] memory weights, bytes32 blockHash) private returns (bytes memory) {
        (two.epoch, two.blockHash) = (epoch, blockHash);
        two = _signed(two, 1);
        sets.setEpoch(epoch);
        return _freezeOther(epoch, weights);
    }

    function _zero(string memory name) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IEvidence.Evidence_ZeroWiring.selector, name);
    }
}
