// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IRateFeed} from "../interfaces/IRateFeed.sol";
import {IStakedToken} from "../interfaces/IStakedToken.sol";

/// @title RateFeed
contract RateFeed is IRateFeed {
    using SafeCast for uint256;

    struct Checkpoint {
        uint64 timestamp;
        uint192 rate;
    }

    /// @inheritdoc IRateFeed
    uint8 public constant decimals = 18;

    /// @inheritdoc IRateFeed
    uint256 public constant version = 1;

    /// @inheritdoc IRateFeed
    string public constant description = "native token per share of staked native token";

    IStakedToken private immutable STAKED_TOKEN;
    uint256 private immutable INTERVAL;

    Checkpoint[] private _checkpoints;

    /// @param stakedToken The `IStakedToken`.
    /// @param interval Least time between checkpoints, seconds, > 0.
    constructor(address stakedToken, uint256 interval) {
        if (stakedToken == address(0) || interval == 0) revert RateFeed_InvalidConfig();
        STAKED_TOKEN = IStakedToken(stakedToken);
        INTERVAL = interval;
    }

    /// @inheritdoc IRateFeed
    function checkpoint() external returns (uint80 round) {
        uint256 dueAt = checkpointDue();
        if (block.timestamp < dueAt) revert RateFeed_NotDue(dueAt);
        uint256 rate = getRate();
        _checkpoints.push(Checkpoint({timestamp: block.timestamp.toUint64(), rate: rate.toUint192()}));
        round = checkpoints();
        emit Checkpointed(round, rate, block.timestamp);
    }

    /// @inheritdoc IRateFeed
    function getRate() public view returns (uint256) {
        return STAKED_TOKEN.convertToAssets(1e18);
    }

    /// @inheritdoc IRateFeed
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return getRoundData(checkpoints() + 1);
    }

    /// @inheritdoc IRateFeed
    function getRoundData(uint80 round) public view returns (uint80, int256, uint256, uint256, uint80) {
        uint80 latest = checkpoints() + 1;
        if (round == 0 || round > latest) revert RateFeed_UnknownRound(round, latest);
        (uint256 rate, uint256 time) =
            round == latest ? (getRate(), block.timestamp) : (_at(round).rate, _at(round).timestamp);
        return (round, rate.toInt256(), time, time, round);
    }

    /// @inheritdoc IRateFeed
    function realisedApr(uint80 round) external view returns (int256) {
        uint80 latest = checkpoints();
        if (round == 0 || round > latest) revert RateFeed_UnknownRound(round, latest);
        Checkpoint memory from = _at(round);
        uint256 elapsed = block.timestamp - from.timestamp;
        if (elapsed == 0) revert RateFeed_NoTimePassed(round);
        if (from.rate == 0) revert RateFeed_WorthNothing(round);
        int256 then = uint256(from.rate).toInt256();
        int256 change = getRate().toInt256() - then;
        return change * 1e18 / then * int256(365 days) / elapsed.toInt256();
    }

    /// @inheritdoc IRateFeed
    function checkpointDue() public view returns (uint256) {
        uint256 count = _checkpoints.length;
        return count == 0 ? 0 : _checkpoints[count - 1].timestamp + INTERVAL;
    }

    /// @inheritdoc IRateFeed
    function checkpoints() public view returns (uint80) {
        return SafeCast.toUint80(_checkpoints.length);
    }

    function _at(uint80 round) private view returns (Checkpoint memory) {
        return _checkpoints[round - 1];
    }
}
