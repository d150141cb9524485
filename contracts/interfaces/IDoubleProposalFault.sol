// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEvidence} from "./IEvidence.sol";

/// @title IDoubleProposalFault: two proposals for one round
/// @notice A key signed two proposals for the same fork, height and round that differ in epoch or block. Protocol sections
/// 6 and 10.
///
/// Two proposals of the same block that differ in the polka round alone convict nobody: they make nobody decide two
/// blocks. Whether it was the signer's turn does not matter either: an honest member signs no proposal out of turn.
interface IDoubleProposalFault is IEvidence {
    /// @notice Convicts the signer of two contradicting proposals. Anyone may call; their order does not matter.
    /// @dev The slasher emits `Convicted`. Under which set, and with which errors: as `IDoubleVoteFault.report`, without
    /// those about kinds.
    /// @param first One proposal.
    /// @param second The other.
    /// @param firstMembers Members of the set of `first.epoch`, as `EpochFrozen` emitted them.
    /// @param secondMembers Members of the set of `second.epoch`, empty when it is the same epoch.
    /// @param reporter Who is credited the reward; zero: nobody.
    /// @return taken Token wei slashed.
    function report(
        SignedProposal calldata first,
        SignedProposal calldata second,
        bytes calldata firstMembers,
        bytes calldata secondMembers,
        address reporter
    ) external returns (uint256 taken);
}
