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
        // One set judges once.
        if (first.epoch == second.epoch) secondCourt.judged = false;
        if (!firstCourt.judged && !secondCourt.judged) SLASHER.checkEvidence(first.epoch);

        Fault memory fault = Fault(FaultKind.PRECOMMIT, first.fork, first.height, first.round, reporter);
        uint256 intersection;
        uint256 count = firstMembers.length / 32;
        for (uint256 i = 0; i < count; ++i) {
            if ((first.signers >> i) & 1 == 0) continue;
            SetMember one = TallyWords.memberAt(firstMembers, i);
            (bool both, SetMember two) = _signed(second.signers, secondMembers, one.signer());
            if (!both) continue;
            ++intersection;
            // A key is bound to one operator for ever: both members have the same id.
            if (convicted == limit) continue;
            // Not `||`: it is convicted under both sets.
            bool anew = _convictIn(firstCourt, one, fault);
            if (_convictIn(secondCourt, two, fault) || anew) ++convicted;
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

    /// @dev Convicts a member of the court's set, unless it is convicted under it already or evidence is not taken now.
    function _convictIn(Court memory court, SetMember member, Fault memory fault) private returns (bool) {
        if (!court.judged) return false;
        Evidence.Standing memory standing = Evidence.Standing({
            sigma: court.sigma, id: member.id(), weight: member.weight(), totalWeight: court.totalWeight
        });
        if (_isProven(standing)) return false;
        _convict(standing, fault);
        return true;
    }
}
