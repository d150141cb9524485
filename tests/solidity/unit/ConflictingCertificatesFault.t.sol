// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IConflictingCertificatesFault} from "contracts/interfaces/IConflictingCertificatesFault.sol";
import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {ISlasher} from "contracts/interfaces/ISlasher.sol";
import {FaultKit} from "../kit/FaultKit.sol";

/// @notice Two decisions of a round convict who signed both and nobody else (S8, S10).
contract ConflictingCertificatesFaultTest is FaultKit {
    bytes32 internal constant X = keccak256("block X");
    bytes32 internal constant Y = keccak256("block Y");

    /// @dev Members 0, 1, 2 and 1, 2, 3 of four, each 303 or 306 of 406: the intersection is 1 and 2.
    IBatchChain.CommitCertificate internal one;
    IBatchChain.CommitCertificate internal two;

    function setUp() public override {
        super.setUp();
        one = _certificate(2, SIGMA, 3, X, 7);
        two = _certificate(2, SIGMA, 3, Y, 14);
    }

    // ---------------------------------------------------------------------------------------------------- convictions

    function test_S10_convictsTheIntersectionAndNobodyElse() public {
        assertEq(_report(10), 2);
        assertEq(slasher.count(), 2);
        _assertOffence(0, 1, SIGMA, 101, totalWeight);
        _assertOffence(1, 2, SIGMA, 102, totalWeight);
    }

    function test_orderDoesNotMatter() public {
        certificates.report(two, one, members, "", 10, REPORTER);
        assertEq(slasher.count(), 2);
        _assertOffence(0, 1, SIGMA, 101, totalWeight);
        _assertOffence(1, 2, SIGMA, 102, totalWeight);
    }

    function test_pageByPage() public {
        assertEq(_report(1), 1);
        _assertOffence(0, 1, SIGMA, 101, totalWeight);
        assertEq(_report(1), 1);
        _assertOffence(1, 2, SIGMA, 102, totalWeight);
        _refuse(_nobody(2));
    }

    function test_aConvictionThatCameBetweenSpoilsNothing() public {
        slasher.markProven(2, SIGMA);
        assertEq(_report(10), 1);
        _assertOffence(0, 2, SIGMA, 102, totalWeight);
    }

    function test_everybody() public {
        one = _certificate(2, SIGMA, 3, X, 15);
        two = _certificate(2, SIGMA, 3, Y, 15);
        assertEq(_report(10), 4);
    }

    function test_twoSets_convictsByKeyUnderBoth() public {
        // Keys 2 and 1 change places; key 0 and 3 are gone.
        bytes memory later =
            abi.encodePacked(vm.addr(_secret(2)), uint32(3), uint64(90), vm.addr(_secret(1)), uint32(2), uint64(10));
        _secondSet(later, 100);
        two.signers = 3;
        two.signatures = bytes.concat(_voteOf(2), _voteOf(1));
        sets.setEpoch(SIGMA + 1);
        assertEq(certificates.report(one, two, members, later, 10, REPORTER), 2);
        assertEq(slasher.count(), 4);
        _assertOffence(0, 1, SIGMA, 101, totalWeight);
        _assertOffence(1, 1, SIGMA + 1, 10, 100);
        _assertOffence(2, 2, SIGMA, 102, totalWeight);
        _assertOffence(3, 2, SIGMA + 1, 90, 100);
        vm.expectRevert(_nobody(2));
        certificates.report(one, two, members, later, 10, REPORTER);
    }

    function test_twoSets_whatIsNotConvictedYet() public {
        bytes memory later =
            abi.encodePacked(vm.addr(_secret(2)), uint32(3), uint64(90), vm.addr(_secret(1)), uint32(2), uint64(10));
        _secondSet(later, 100);
        two.signers = 3;
        two.signatures = bytes.concat(_voteOf(2), _voteOf(1));
        sets.setEpoch(SIGMA + 1);
        slasher.markProven(2, SIGMA);
        slasher.markProven(3, SIGMA + 1);
        assertEq(certificates.report(one, two, members, later, 10, REPORTER), 2);
        assertEq(slasher.count(), 2);
        _assertOffence(0, 1, SIGMA + 1, 10, 100);
        _assertOffence(1, 2, SIGMA, 102, totalWeight);
    }

    function test_twoSets_aMemberThatSignedOneIsSpared() public {
        bytes memory later =
            abi.encodePacked(vm.addr(_secret(2)), uint32(3), uint64(90), vm.addr(_secret(1)), uint32(2), uint64(10));
        _secondSet(later, 100);
        two.signers = 1;
        two.signatures = _voteOf(2);
        sets.setEpoch(SIGMA + 1);
        assertEq(certificates.report(one, two, members, later, 10, REPORTER), 1);
        assertEq(slasher.count(), 2);
        _assertOffence(0, 2, SIGMA, 102, totalWeight);
        _assertOffence(1, 2, SIGMA + 1, 90, 100);
    }

    function test_twoSets_theOneStillJudged() public {
        bytes memory later = abi.encodePacked(vm.addr(_secret(2)), uint32(3), uint64(90));
        _secondSet(later, 90);
        two.signers = 1;
        two.signatures = _voteOf(2);
        sets.setEpoch(SIGMA);
        certificates.report(one, two, members, later, 10, REPORTER);
        _assertOffence(0, 2, SIGMA, 102, totalWeight);
    }

    // ------------------------------------------------------------------------------------------------------- refusals

    function test_S8_refusesTwoForks() public {
        two.fork = 1;
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentForks.selector, 0, 1));
    }

    function test_S8_refusesTwoHeights() public {
        two.height = 8;
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentHeights.selector, 7, 8));
    }

    function test_refusesTwoRounds() public {
        two = _certificate(2, SIGMA, 4, Y, 14);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentRounds.selector, 3, 4));
    }

    function test_refusesTheSameDecision() public {
        two = _certificate(2, SIGMA, 3, X, 14);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_NoContradiction.selector, SIGMA, X));
    }

    function test_refusesASecondSetForOneEpoch() public {
        vm.expectRevert(abi.encodeWithSelector(IEvidence.Evidence_SpareMembers.selector, SIGMA, members.length));
        certificates.report(one, two, members, members, 10, REPORTER);
    }

    function test_refusesLessThanAQuorumOfEither() public {
        IBatchChain.CommitCertificate memory quorum = two;
        two = _certificate(2, SIGMA, 3, Y, 12);
        bytes memory reason =
            abi.encodeWithSelector(IBatchChain.CommitCertificate_NoQuorum.selector, uint256(205), uint256(totalWeight));
        _refuse(reason);
        vm.expectRevert(reason);
        certificates.report(two, one, members, "", 10, REPORTER);
        two = quorum;
        assertEq(_report(10), 2);
    }

    function test_S8_refusesPrevotes() public {
        two = _certificate(1, SIGMA, 3, Y, 14);
        vm.expectPartialRevert(IBatchChain.CommitCertificate_WrongSigner.selector);
        certificates.report(one, two, members, "", 10, REPORTER);
    }

    function test_refusesNobodyToConvict() public {
        // Heavy keys that overlap in nobody cannot be two quorums of one set, but of two they can.
        bytes memory later = abi.encodePacked(vm.addr(_secret(8)), uint32(9), uint64(90));
        _secondSet(later, 90);
        two.signers = 1;
        two.signatures = _voteOf(8);
        vm.expectRevert(_nobody(0));
        certificates.report(one, two, members, later, 10, REPORTER);
    }

    function test_refusesALimitOfZero() public {
        vm.expectRevert(_nobody(2));
        certificates.report(one, two, members, "", 0, REPORTER);
    }

    function test_refusesOldEvidence() public {
        sets.setEpoch(SIGMA + 4);
        _refuse(abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, SIGMA, SIGMA + 3));
    }

    function test_refusesAnUnknownSet() public {
        one = _certificate(2, SIGMA - 1, 3, X, 7);
        two = _certificate(2, SIGMA - 1, 3, Y, 14);
        _refuse(abi.encodeWithSelector(IBatchChain.CommitCertificate_UnknownSet.selector, SIGMA - 1));
    }

    // -------------------------------------------------------------------------------------------------------- helpers

    function _report(uint256 limit) private returns (uint256) {
        return certificates.report(one, two, members, "", limit, REPORTER);
    }

    function _refuse(bytes memory reason) private {
        vm.expectRevert(reason);
        certificates.report(one, two, members, "", 10, REPORTER);
    }

    function _nobody(uint256 intersection) private pure returns (bytes memory) {
        return abi.encodeWithSelector(
            IConflictingCertificatesFault.ConflictingCertificatesFault_NobodyToConvict.selector, intersection
        );
    }

    /// @dev `two` becomes a certificate of the next epoch, whose set is this.
    function _secondSet(bytes memory later, uint64 total) private {
        sets.freeze(SIGMA + 1, later, total);
        two.epoch = SIGMA + 1;
    }

    /// @dev Precommit of a key for what `two` says.
    function _voteOf(uint256 member) private view returns (bytes memory) {
        IEvidence.SignedVote memory vote;
        (vote.kind, vote.epoch, vote.height, vote.round, vote.blockHash) = (2, two.epoch, 7, 3, Y);
        return _signed(vote, member).signature;
    }

    function _assertOffence(uint256 index, uint256 member, uint32 sigma, uint64 weight, uint64 total) private view {
        ISlasher.Offence memory expected = ISlasher.Offence({
            id: uint32(member + 1),
            kind: 2,
            fork: 0,
            sigma: sigma,
            height: 7,
            round: 3,
            weight: weight,
            totalWeight: total,
            reporter: REPORTER
        });
        assertEq(abi.encode(slasher.offenceAt(index)), abi.encode(expected));
    }
}
