// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "./IBatchChain.sol";
import {IEvidence} from "./IEvidence.sol";

/// @title IConflictingCertificatesFault: two decisions of one round
/// @notice Two commit certificates of the same fork, height and round that differ in epoch or block. Whoever signed both
/// voted twice, and nobody else is to blame (protocol section 6): the intersection is convicted of a double precommit, the
/// same offence a `DoubleVoteFault` would find, in bulk.
/// @dev Certificates of two rounds need no double vote; that fault is `IAmnesiaFault`.
interface IConflictingCertificatesFault is IEvidence {
    /// @notice Nobody signed both certificates, or all who did are convicted under their sets already.
    error ConflictingCertificatesFault_NobodyToConvict(uint256 intersection);

    /// @notice Convicts who signed both certificates, in member order, at most `limit` of them: a large set takes more than
    /// one call, each with the same evidence, since convicted members are passed over. So a conviction that came between
    /// spoils nothing. Anyone may call; the order of the certificates does not matter.
    /// @dev The slasher emits `Convicted` for each. In a set of 64 the evidence costs about 680,000 gas and each
    /// conviction 140,000.
    ///
    /// Certificates of two epochs convict under both sets, as in `IDoubleVoteFault.report`.
    ///
    /// Reverts in this order: `Evidence_DifferentForks`, `DifferentHeights`, `DifferentRounds`, `NoContradiction`,
    /// `SpareMembers`, every `CommitCertificate_` error for each certificate, what `ISlasher.checkEvidence` answers when
    /// neither set is judged now, `NobodyToConvict`.
    /// @param first One certificate.
    /// @param second The other.
    /// @param firstMembers Members of the set of `first.epoch`, as `EpochFrozen` emitted them.
    /// @param secondMembers Members of the set of `second.epoch`, empty when it is the same epoch.
    /// @param limit Convictions in this call, > 0.
    /// @param reporter Who is credited the rewards; zero: nobody.
    /// @return convicted Number of members convicted.
    function report(
        IBatchChain.CommitCertificate calldata first,
        IBatchChain.CommitCertificate calldata second,
        bytes calldata firstMembers,
        bytes calldata secondMembers,
        uint256 limit,
        address reporter
    ) external returns (uint256 convicted);
}
