// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title IEpochClock
/// @notice The division of L1 time into epochs shared by every contract of a deployment (protocol section 1).
interface IEpochClock {
    /// @notice The epoch length given to the constructor is below 20 seconds.
    error EpochClock_InvalidEpochSeconds(uint256 epochSeconds);

    /// @notice The asked time lies before epoch 0.
    error EpochClock_BeforeGenesis(uint256 timestamp, uint256 genesis);

    /// @notice The asked time lies beyond the last epoch a uint32 can number.
    error EpochClock_OutOfRange(uint256 timestamp);

    /// @notice Start of epoch 0, unix seconds.
    function GENESIS() external view returns (uint64);

    /// @notice Length of an epoch, seconds, at least 20.
    function EPOCH_SECONDS() external view returns (uint64);

    /// @notice The epoch that contains `timestamp`: `(timestamp - GENESIS) / EPOCH_SECONDS`.
    /// @dev Reverts with `EpochClock_BeforeGenesis`, then `EpochClock_OutOfRange`.
    /// @param timestamp Unix seconds.
    /// @return epoch Number of the epoch, from 0.
    function epochAt(uint256 timestamp) external view returns (uint32 epoch);

    /// @notice The epoch of the current L1 block.
    /// @dev Reverts with `EpochClock_BeforeGenesis` while the deployment has not started.
    function currentEpoch() external view returns (uint32 epoch);

    /// @notice First second of `epoch`, unix seconds.
    function epochStart(uint32 epoch) external view returns (uint256 timestamp);
}
