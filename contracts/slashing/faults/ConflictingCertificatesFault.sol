// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "../../interfaces/IBatchChain.sol";
import {IConflictingCertificatesFault} from "../../interfaces/IConflictingCertificatesFault.sol";
import {FaultKind} from "../../interfaces/ISlasher.sol";
import {SetMember, TallyWords} from "../../rewards/TallyWords.sol";
import {CommitCertificate} from "../../rollup/CommitCertificate.sol";
import {Evidence} from "./Evidence.sol";
import {FaultModule} from "./FaultModule.sol";

/// @title ConflictingCertificatesFault
contract ConflictingCertificatesFault is IConflictingCertificatesFault, FaultModule {
    /// @dev A certificate's set: whether evidence against it is taken now, and its weight in gwei.
    struct Court {
        bool judged;
        uint32 sigma;
        uint64 totalWeight;
    }

    constructor(Wiring memory wiring) FaultModule(wiring) {}

    /// @inheritdoc IConflictingCertificatesFault
    function report(
        IBatchChain.CommitCertificate calldata first,
        IBatchChain.CommitCertificate calldata second,
        bytes calldata firstMembers,
        bytes calldata secondMembers,
        uint256 limit,
        address reporter
    ) external returns (uint256 convicted) {
        if (first.fork != second.fork) {
            revert Evidence_DifferentForks(first.fork, second.fork);
        }
        if (first.height != second.height) revert Evidence_DifferentHeights(first.height, second.height);
        if (first.round != second.round) revert Evidence_DifferentRounds(first.round, second.round);
        if (first.epoch == second.epoch) {
            if (first.blockHash == second.blockHash) revert Evidence_NoContradiction(first.epoch, first.blockHash);
            if (secondMembers.length != 0) revert Evidence_SpareMembers(first.epoch, secondMembers.length);
            secondMembers = firstMembers;
        }
        CommitCertificate.verify(first, domainSeparator, firstMembers, SET.setHash(first.epoch));
        CommitCertificate.verify(second, domainSeparator, secondMembers, SET.setHash(second.epoch));

        Court memory firstCourt = _court(first.epoch);
        Court memory secondCourt = _court(second.epoch);
        if (!firstCourt.judged && !secondCourt.judged) SLASHER.checkEvidence(first.epoch);

        uint256 intersection;
        uint256 count = firstMembers.length / 32;
        for (uint256 i = 0; i < count; ++i) {
            if ((first.signers >> i) & 1 == 0) continue;
            SetMember one = TallyWords.memberAt(firstMembers, i);
            (bool both, SetMember two) = _signed(second.signers, secondMembers, one.signer());
            if (!both) continue;
            ++intersection;
            // A key is bound to one operator for ever: both members have the same id.
            if (convicted == limit || SLASHER.isConvicted(one.id())) continue;
            ++convicted;
            _convict(
                _heavier(_standingOf(one, firstCourt), _standingOf(two, secondCourt), firstCourt, secondCourt),
                FaultKind.PRECOMMIT,
                first.fork,
                first.height,
                first.round,
                reporter
            );
        }
        if (convicted == 0) revert ConflictingCertificatesFault_NobodyToConvict(intersection);
    }

    function _court(uint32 sigma) private view returns (Court memory) {
        return Court({judged: _isJudged(sigma), sigma: sigma, totalWeight: SET.totalWeight(sigma)});
    }

    /// @dev The member with this key, if its bit is set.
    function _signed(uint256 signers, bytes calldata members, address key)
        private
        pure
        returns (bool, SetMember member)
    {
        uint256 count = members.length / 32;
        for (uint256 i = 0; i < count; ++i) {
            member = TallyWords.memberAt(members, i);
            if (member.signer() == key) return ((signers >> i) & 1 == 1, member);
        }
        return (false, member);
    }

    function _standingOf(SetMember member, Court memory court) private pure returns (Evidence.Standing memory) {
        return Evidence.Standing({
            sigma: court.sigma, id: member.id(), weight: member.weight(), totalWeight: court.totalWeight
        });
    }

    function _heavier(
        Evidence.Standing memory one,
        Evidence.Standing memory two,
        Court memory firstCourt,
        Court memory secondCourt
    ) private pure returns (Evidence.Standing memory) {
        if (!secondCourt.judged || (firstCourt.judged && !_isHeavier(two, one))) return one;
        return two;
    }
}
