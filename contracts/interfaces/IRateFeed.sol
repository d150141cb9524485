// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title IRateFeed
/// @notice The worth of a share in the two shapes integrators read: `getRate()` (rate providers of exchanges) and
/// `latestRoundData()` (price feeds). Not an oracle: the rate is computed by the staked token at the moment of the call.
/// @dev Round `n` is checkpoint `n`, from 1; the latest round is always the present moment and gets the number that the next
/// checkpoint will have. Checkpoints are for the realised rate of return and history, nothing depends on them.
interface IRateFeed {
    /// @notice Round `round` was recorded.
    event Checkpointed(uint80 indexed round, uint256 rate, uint256 timestamp);

    /// @notice The staked token is the zero address, or the interval is zero.
    error RateFeed_InvalidConfig();

    /// @notice The next checkpoint is due at `dueAt`, unix seconds.
    error RateFeed_NotDue(uint256 dueAt);

    /// @notice There is no round of this number.
    error RateFeed_UnknownRound(uint256 round, uint256 latest);

    /// @notice No time has passed since the round.
    error RateFeed_NoTimePassed(uint256 round);

    /// @notice A share was worth nothing at the round: no return can be told from there.
    error RateFeed_WorthNothing(uint256 round);

    /// @notice Records the rate; once per interval. Anyone may call.
    /// @dev Emits `Checkpointed`. Reverts: `NotDue`.
    /// @return round Number of the checkpoint.
    function checkpoint() external returns (uint80 round);

    /// @notice Native tokens per share, 1e18 = one, after every logged slash.
    function getRate() external view returns (uint256);

    /// @notice The rate now, in the shape of a price feed. All times are the present one.
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);

    /// @notice A checkpoint in the same shape, or the present if `round` is the latest.
    /// @dev Reverts: `UnknownRound`.
    function getRoundData(uint80 round)
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);

    /// @notice Return realised since checkpoint `round`, per 365 days, simple interest, 1e18 = 100 %; negative after losses.
    /// @dev Reverts in this order: `UnknownRound`, `NoTimePassed`, `WorthNothing`.
    function realisedApr(uint80 round) external view returns (int256);

    /// @notice When the next checkpoint is due, unix seconds.
    function checkpointDue() external view returns (uint256);

    /// @notice Number of checkpoints.
    function checkpoints() external view returns (uint80);

    /// @notice 18.
    function decimals() external view returns (uint8);

    /// @notice What is quoted.
    function description() external view returns (string memory);

    /// @notice 1.
    function version() external view returns (uint256);
}
