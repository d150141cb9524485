// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEpochClock} from "../../interfaces/IEpochClock.sol";
import {IEvidence} from "../../interfaces/IEvidence.sol";
import {ISequencerSet} from "../../interfaces/ISequencerSet.sol";
import {ISlasher} from "../../interfaces/ISlasher.sol";
import {CommitCertificate} from "../../rollup/CommitCertificate.sol";
import {Evidence} from "./Evidence.sol";

/// @title FaultModule
/// @notice What the modules that judge by signatures share: their wiring, and under which frozen set a key answers.
/// @dev A module decides what happened and nothing else: it holds no funds and no roles, and `ISlasher` knows the rest.
abstract contract FaultModule is IEvidence {
    /// @inheritdoc IEvidence
    bytes32 public immutable domainSeparator;

    ISlasher internal immutable SLASHER;
    ISequencerSet internal immutable SET;

    constructor(Wiring memory wiring) {
        if (wiring.slasher == address(0)) revert Evidence_ZeroWiring("slasher");
        if (wiring.sequencerSet == address(0)) revert Evidence_ZeroWiring("sequencerSet");
        if (wiring.batchChain == address(0)) revert Evidence_ZeroWiring("batchChain");
        if (wiring.l2ChainId == 0) revert Evidence_ZeroWiring("l2ChainId");
        SLASHER = ISlasher(wiring.slasher);
        SET = ISequencerSet(wiring.sequencerSet);
        domainSeparator = CommitCertificate.domainSeparator(wiring.l2ChainId, wiring.batchChain);
    }

    /// @dev As what a key answers that signed messages for the epochs `first` and `second`.
    ///
    /// Usually they are one. A key that signs two, of which only one can be σ of the height, must not choose the cheaper
    /// set by reporting itself: it answers in the one where its share of the weight is larger, among those evidence is
    /// still taken for.
    function _standing(
        address signer,
        uint32 first,
        uint32 second,
        bytes calldata firstMembers,
        bytes calldata secondMembers
    ) internal view returns (Evidence.Standing memory) {
        if (first == second) {
            if (secondMembers.length != 0) {
                revert Evidence_SpareMembers(first, secondMembers.length);
            }
            return _standingIn(signer, first, firstMembers);
        }
        (bool inFirst, Evidence.Standing memory one) = _findJudged(signer, first, firstMembers);
        (bool inSecond, Evidence.Standing memory two) = _findJudged(signer, second, secondMembers);
        if (!inFirst && !inSecond) revert Evidence_NotAMemberOfEither(signer, first, second);
        if (!inSecond || (inFirst && !_isHeavier(two, one))) return one;
        return two;
    }

    /// @dev As what a key answers in the one set it signed for.
    function _standingIn(address signer, uint32 sigma, bytes calldata members)
        internal
        view
        returns (Evidence.Standing memory standing)
    {
        bool found;
        (found, standing) = _find(signer, sigma, members, _checkedHash(sigma));
        if (!found) revert Evidence_NotAMember(signer, sigma);
    }

    /// @dev Whether the set exists and evidence against its members is taken now.
    function _isJudged(uint32 sigma) internal view returns (bool) {
        if (SET.setHash(sigma) == 0) return false;
        uint32 current = IEpochClock(address(SET)).currentEpoch();
        return sigma <= current && current <= SLASHER.lastEvidenceEpoch(sigma);
    }

    /// @dev Whether `a` is a larger part of its set than `b` of its own.
    function _isHeavier(Evidence.Standing memory a, Evidence.Standing memory b) internal pure returns (bool) {
        return uint256(a.weight) * b.totalWeight > uint256(b.weight) * a.totalWeight;
    }

    /// @dev Hands the verdict to the slasher.
    function _convict(
        Evidence.Standing memory standing,
        uint8 kind,
        uint32 fork,
        uint64 height,
        uint32 round,
        address reporter
    ) internal returns (uint256 taken) {
        return SLASHER.convict(
            ISlasher.Offence({
                id: standing.id,
                kind: kind,
                fork: fork,
                sigma: standing.sigma,
                height: height,
                round: round,
                weight: standing.weight,
                totalWeight: standing.totalWeight,
                reporter: reporter
            })
        );
    }

    /// @dev Nothing is read of a set that is not judged: then its members need not be shown.
    function _findJudged(address signer, uint32 sigma, bytes calldata members)
        private
        view
        returns (bool found, Evidence.Standing memory standing)
    {
        if (_isJudged(sigma)) return _find(signer, sigma, members, SET.setHash(sigma));
    }

    function _find(address signer, uint32 sigma, bytes calldata members, bytes32 setHash)
        private
        pure
        returns (bool, Evidence.Standing memory)
    {
        bytes32 actual = keccak256(members);
        if (actual != setHash) revert Evidence_WrongMembers(sigma, actual, setHash);
        return Evidence.find(members, sigma, signer);
    }

    function _checkedHash(uint32 sigma) private view returns (bytes32 setHash) {
        setHash = SET.setHash(sigma);
        if (setHash == 0) revert Evidence_UnknownSet(sigma);
    }
}
