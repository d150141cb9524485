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
    /// @dev What was done, as `ISlasher.Offence` has it, and who is paid for the proof.
    struct Fault {
        uint8 kind;
        uint32 fork;
        uint64 height;
        uint32 round;
        address reporter;
    }

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

    /// @dev Convicts a key that signed contradicting messages for the epochs `first` and `second`.
    ///
    /// Usually they are one. Who signs two, of which only one can be σ of the height, answers in both sets, so that nobody
    /// chooses the cheaper one; whichever evidence is still taken for and is not convicted under already.
    function _convictUnder(
        address signer,
        uint32 first,
        uint32 second,
        bytes calldata firstMembers,
        bytes calldata secondMembers,
        Fault memory fault
    ) internal returns (uint256 taken) {
        if (first == second) {
            if (secondMembers.length != 0) {
                revert Evidence_SpareMembers(first, secondMembers.length);
            }
            return _convict(_standingIn(signer, first, firstMembers), fault);
        }
        (bool inFirst, Evidence.Standing memory one) = _findJudged(signer, first, firstMembers);
        (bool inSecond, Evidence.Standing memory two) = _findJudged(signer, second, secondMembers);
        if (!inFirst && !inSecond) revert Evidence_NotAMemberOfEither(signer, first, second);
        (bool asOne, bool asTwo) = (inFirst && !_isProven(one), inSecond && !_isProven(two));
        if (!asOne && !asTwo) {
            revert ISlasher.Slasher_AlreadyConvicted(inFirst ? one.id : two.id, inFirst ? first : second);
        }
        if (asOne) taken = _convict(one, fault);
        if (asTwo) taken += _convict(two, fault);
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

    /// @dev Whether the member is convicted under its set.
    function _isProven(Evidence.Standing memory standing) internal view returns (bool) {
        return SLASHER.isProven(standing.id, standing.sigma);
    }

    /// @dev Hands the verdict to the slasher.
    function _convict(Evidence.Standing memory standing, Fault memory fault) internal returns (uint256 taken) {
        return SLASHER.convict(
            ISlasher.Offence({
                id: standing.id,
                kind: fault.kind,
                fork: fault.fork,
                sigma: standing.sigma,
                height: fault.height,
                round: fault.round,
                weight: standing.weight,
                totalWeight: standing.totalWeight,
                reporter: fault.reporter
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
