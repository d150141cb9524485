// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISlasher} from "contracts/interfaces/ISlasher.sol";

/// @notice Stands for `SequencerSet` as the fault modules see it: sets the test writes itself, at an epoch it chooses.
contract JudgedSets {
    mapping(uint32 epoch => bytes32) public setHash;
    mapping(uint32 epoch => uint64) public totalWeight;
    uint32 public currentEpoch;

    function freeze(uint32 epoch, bytes memory members, uint64 total) external {
        setHash[epoch] = keccak256(members);
        totalWeight[epoch] = total;
    }

    function setEpoch(uint32 epoch) external {
        currentEpoch = epoch;
    }
}

/// @notice Stands for `Slasher` as the fault modules see it: keeps what it is told, and judges age by one number.
contract RecordingSlasher {
    JudgedSets private immutable SETS;

    uint32 public evidenceEpochs = 3;
    ISlasher.Offence[] private _offences;
    mapping(uint32 id => mapping(uint32 sigma => bool)) public isProven;

    uint32 public jailedId;
    uint32 public jailedSigma;
    address public jailReporter;
    uint32 public slashedId;
    uint32 public slashedSigma;

    constructor(JudgedSets sets) {
        SETS = sets;
    }

    function convict(ISlasher.Offence calldata offence) external returns (uint256 taken) {
        (uint32 id, uint32 sigma) = (offence.id, offence.sigma);
        if (isProven[id][sigma]) revert ISlasher.Slasher_AlreadyConvicted(id, sigma);
        if (offence.kind != 4) checkEvidence(sigma);
        isProven[id][sigma] = true;
        _offences.push(offence);
        return 1e18 * uint256(offence.id);
    }

    function jailOffline(uint32 id, uint32 sigma, address reporter) external {
        (jailedId, jailedSigma, jailReporter) = (id, sigma, reporter);
    }

    function slashOffline(uint32 id, uint32 sigma) external returns (uint256 taken) {
        (slashedId, slashedSigma) = (id, sigma);
        return 7e18;
    }

    function markProven(uint32 id, uint32 sigma) external {
        isProven[id][sigma] = true;
    }

    function checkEvidence(uint32 sigma) public view {
        uint32 current = SETS.currentEpoch();
        if (sigma > current) revert ISlasher.Slasher_SetNotStarted(sigma, current);
        if (current > lastEvidenceEpoch(sigma)) {
            revert ISlasher.Slasher_EvidenceTooOld(sigma, lastEvidenceEpoch(sigma));
        }
    }

    function lastEvidenceEpoch(uint32 sigma) public view returns (uint32) {
        return sigma + evidenceEpochs;
    }

    function lastSlashEpoch(uint32 sigma) external view returns (uint32) {
        return sigma + 2 * evidenceEpochs;
    }

    function count() external view returns (uint256) {
        return _offences.length;
    }

    function offenceAt(uint256 index) external view returns (ISlasher.Offence memory) {
        return _offences[index];
    }
}
