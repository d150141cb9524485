// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IDoubleProposalFault} from "../../interfaces/IDoubleProposalFault.sol";
import {FaultKind} from "../../interfaces/ISlasher.sol";
import {Evidence} from "./Evidence.sol";
import {FaultModule} from "./FaultModule.sol";

/// @title DoubleProposalFault
contract DoubleProposalFault is IDoubleProposalFault, FaultModule {
    constructor(Wiring memory wiring) FaultModule(wiring) {}

    /// @inheritdoc IDoubleProposalFault
    function report(
        SignedProposal calldata first,
        SignedProposal calldata second,
        bytes calldata firstMembers,
        bytes calldata secondMembers,
        address reporter
    ) external returns (uint256 taken) {
        if (first.fork != second.fork) {
            revert Evidence_DifferentForks(first.fork, second.fork);
        }
        if (first.height != second.height) revert Evidence_DifferentHeights(first.height, second.height);
        if (first.round != second.round) revert Evidence_DifferentRounds(first.round, second.round);
        if (first.epoch == second.epoch && first.blockHash == second.blockHash) {
            revert Evidence_NoContradiction(first.epoch, first.blockHash);
        }

        address signer = Evidence.proposalSigner(first, domainSeparator);
        address other = Evidence.proposalSigner(second, domainSeparator);
        if (signer != other) revert Evidence_DifferentSigners(signer, other);

        Fault memory fault = Fault(FaultKind.PROPOSAL, first.fork, first.height, first.round, reporter);
        return _convictUnder(signer, first.epoch, second.epoch, firstMembers, secondMembers, fault);
    }
}
