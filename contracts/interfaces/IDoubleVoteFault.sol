// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEvidence} from "./IEvidence.sol";

/// @title IDoubleVoteFault: two votes where one was allowed
/// @notice A key signed two votes of one kind for the same fork, height and round that differ in epoch or block (nil is a
/// block here: a vote for nil and one for a block contradict each other). Protocol sections 6 and 10.
interface IDoubleVoteFault is IEvidence {
    /// @notice Convicts the signer of two contradicting votes. Anyone may call; the order of the votes does not matter.
    /// @dev The slasher emits `Convicted`. The kind of the offence is the kind of the votes.
    ///
    /// Votes that name one epoch convict under it. Votes that name two convict under both, of whose sets the signer was a
    /// member, evidence is still taken and it is not convicted already: a voter cannot make its fault cheap by signing for
    /// a set in which it is small. Then both sets have to be shown.
    ///
    /// Reverts in this order: `Evidence_DifferentKinds`, `DifferentForks`, `DifferentHeights`, `DifferentRounds`,
    /// `NoContradiction`; for each signature `UnknownVoteKind`, `WrongSignatureLength`, `HighS`, `BadRecoveryId`,
    /// `NoSigner`; `DifferentSigners`, `SpareMembers`, `UnknownSet`, `WrongMembers`, `NotAMember` or
    /// `NotAMemberOfEither`; then what `ISlasher.convict` answers.
    /// @param first One vote.
    /// @param second The other.
    /// @param firstMembers Members of the set of `first.epoch`, as `EpochFrozen` emitted them.
    /// @param secondMembers Members of the set of `second.epoch`, empty when it is the same epoch. Of an epoch without a
    /// set, or too old to be judged, nothing is read.
    /// @param reporter Who is credited the reward; zero: nobody.
    /// @return taken Token wei slashed.
    function report(
        SignedVote calldata first,
        SignedVote calldata second,
        bytes calldata firstMembers,
        bytes calldata secondMembers,
        address reporter
    ) external returns (uint256 taken);
}
