// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {ISlasher} from "contracts/interfaces/ISlasher.sol";
import {FaultKit} from "../kit/FaultKit.sol";

/// @notice Which two proposals convict their signer (S1, S8, S10).
contract DoubleProposalFaultTest is FaultKit {
    bytes32 internal constant X = keccak256("block X");
    bytes32 internal constant Y = keccak256("block Y");

    IEvidence.SignedProposal internal one;
    IEvidence.SignedProposal internal two;

    function setUp() public override {
        super.setUp();
        one = _proposal(1, 3, -1, X);
        two = _proposal(1, 3, -1, Y);
    }

    function test_S10_convicts() public {
        assertEq(_report(), 2e18);
        _assertConvicted(1, 3, SIGMA, 101, totalWeight, 3);
    }

    function test_orderDoesNotMatter() public {
        doubleProposal.report(two, one, members, "", REPORTER);
        _assertConvicted(1, 3, SIGMA, 101, totalWeight, 3);
    }

    function test_aFreshAndARepeatedProposalContradict() public {
        two = _proposal(1, 3, 2, Y);
        _report();
        _assertConvicted(1, 3, SIGMA, 101, totalWeight, 3);
    }

    function test_twoEpochs_convictsUnderBoth() public {
        two.epoch = SIGMA + 1;
        two = _signed(two, 1);
        uint64[] memory weights = new uint64[](2);
        (weights[0], weights[1]) = (1, 9);
        bytes memory later = _freezeOther(SIGMA + 1, weights);
        sets.setEpoch(SIGMA + 1);
        doubleProposal.report(one, two, members, later, REPORTER);
        assertEq(slasher.count(), 2);
        assertEq(slasher.offenceAt(0).sigma, SIGMA);
        assertEq(slasher.offenceAt(0).weight, 101);
        assertEq(slasher.offenceAt(1).sigma, SIGMA + 1);
        assertEq(slasher.offenceAt(1).weight, 9);
    }

    function test_refusesTheSameBlockWithAnotherPolkaRound() public {
        two = _proposal(1, 3, 2, X);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_NoContradiction.selector, SIGMA, X));
    }

    function test_S8_refusesTwoForks() public {
        two.fork = 1;
        two = _signed(two, 1);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentForks.selector, 0, 1));
    }

    function test_S8_refusesTwoHeights() public {
        two.height = 6;
        two = _signed(two, 1);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentHeights.selector, 7, 6));
    }

    function test_refusesTwoRounds() public {
        two = _proposal(1, 4, -1, Y);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentRounds.selector, 3, 4));
    }

    function test_refusesTwoSigners() public {
        two = _proposal(0, 3, -1, Y);
        _refuse(
            abi.encodeWithSelector(
                IEvidence.Evidence_DifferentSigners.selector, vm.addr(_secret(1)), vm.addr(_secret(0))
            )
        );
    }

    /// @dev The polka round is in the digest, though it does not tell two proposals apart.
    function test_S8_refusesAnotherPolkaRoundThanSigned() public {
        two.polRound = 0;
        address recovered = _recovered(_digest(domain, two), two.signature);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentSigners.selector, vm.addr(_secret(1)), recovered));
    }

    function test_S8_refusesAVote() public {
        two.signature = _vote(1, 1, 3, Y).signature;
        address recovered = _recovered(_digest(domain, two), two.signature);
        assertNotEq(recovered, vm.addr(_secret(1)));
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentSigners.selector, vm.addr(_secret(1)), recovered));
    }

    function test_S8_refusesAnotherChain() public {
        two.signature = _signature(_secret(1), _digest(_domain(1, BATCH_CHAIN), two));
        address recovered = _recovered(_digest(domain, two), two.signature);
        assertNotEq(recovered, vm.addr(_secret(1)));
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_DifferentSigners.selector, vm.addr(_secret(1)), recovered));
    }

    function test_refusesTheHighTwin() public {
        bytes32 highS;
        (two.signature, highS) = _highTwin(two.signature);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_HighS.selector, highS));
    }

    function test_refusesAStranger() public {
        one = _proposal(9, 3, -1, X);
        two = _proposal(9, 3, -1, Y);
        _refuse(abi.encodeWithSelector(IEvidence.Evidence_NotAMember.selector, vm.addr(_secret(9)), SIGMA));
    }

    function test_S1_refusesEvidenceAlreadyUsed() public {
        _report();
        _refuse(abi.encodeWithSelector(ISlasher.Slasher_AlreadyConvicted.selector, 2, SIGMA));
    }

    function test_refusesOldEvidence() public {
        sets.setEpoch(SIGMA + 4);
        _refuse(abi.encodeWithSelector(ISlasher.Slasher_EvidenceTooOld.selector, SIGMA, SIGMA + 3));
    }

    function _proposal(uint256 member, uint32 round, int64 polRound, bytes32 blockHash)
        private
        view
        returns (IEvidence.SignedProposal memory proposal)
    {
        proposal.epoch = SIGMA;
        proposal.height = 7;
        proposal.round = round;
        proposal.polRound = polRound;
        proposal.blockHash = blockHash;
        return _signed(proposal, member);
    }

    function _report() private returns (uint256) {
        return doubleProposal.report(one, two, members, "", REPORTER);
    }

    function _refuse(bytes memory reason) private {
        vm.expectRevert(reason);
        doubleProposal.report(one, two, members, "", REPORTER);
    }
}
