// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {INetworkParameters} from "../interfaces/INetworkParameters.sol";

/// @title Network parameters
/// @dev Specified by `INetworkParameters`.
contract NetworkParameters is INetworkParameters {
    Parameters private _parameters;

    constructor(Parameters memory p) {
        require(p.epochSeconds != 0, NetworkParameters_Zero("epochSeconds"));
        require(p.challengeWindow != 0, NetworkParameters_Zero("challengeWindow"));
        require(p.evidenceAge != 0, NetworkParameters_Zero("evidenceAge"));
        require(p.blockTimeMs != 0, NetworkParameters_Zero("blockTimeMs"));
        require(p.batchBlocks != 0, NetworkParameters_Zero("batchBlocks"));
        require(p.batchSeconds != 0, NetworkParameters_Zero("batchSeconds"));
        require(p.l1Confirmations != 0, NetworkParameters_Zero("l1Confirmations"));
        require(p.maxOriginLag != 0, NetworkParameters_Zero("maxOriginLag"));
        _parameters = p;
        (uint256 judgement, uint256 unbonding) = (judgementSeconds(), unbondingSeconds());
        require(judgement < unbonding, NetworkParameters_StakeLeavesTooEarly(judgement, unbonding));
        require(p.timelockDelay > unbonding, NetworkParameters_TimelockTooShort(p.timelockDelay, unbonding));
    }

    /// @inheritdoc INetworkParameters
    function parameters() external view returns (Parameters memory) {
        return _parameters;
    }

    /// @inheritdoc INetworkParameters
    function judgementSeconds() public view returns (uint256) {
        Parameters storage p = _parameters;
        uint256 hearing = p.appealWindow > p.amnesiaWindow ? p.appealWindow : p.amnesiaWindow;
        return uint256(p.maxSetAge) * p.epochSeconds + p.challengeWindow + 2 * uint256(p.voteWindow) + p.gracePeriod
            + p.evidenceAge + hearing;
    }

    /// @inheritdoc INetworkParameters
    function unbondingSeconds() public view returns (uint256) {
        return uint256(_parameters.unbondingEpochs) * _parameters.epochSeconds;
    }
}
