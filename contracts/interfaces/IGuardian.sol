// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Guardian
/// @notice A timed brake. While it is pulled, entries that add exposure (register, delegate, take a seat, deposit, post
/// a batch) refuse; leaving (undelegate, claim, withdraw), freezing, finalizing and paying never look at it.
/// @dev A pause ends by itself, and another one can only start after a pause-free time as long as the longest pause, so
/// no key can hold the system still (protocol section 11).
interface IGuardian {
    /// @notice The brake was pulled by `guardian`; it releases itself at `until` (unix seconds).
    event Paused(address indexed guardian, uint64 until);

    /// @notice The brake was released by `account` before its time.
    event Unpaused(address indexed account);

    /// @notice A pause must last between one second and `maximum` seconds.
    error Guardian_DurationOutOfRange(uint64 duration, uint64 maximum);

    /// @notice The last pause ended too recently; the next one may start at `pausableFrom`.
    error Guardian_CoolingDown(uint64 pausableFrom);

    /// @notice There is no pause to end.
    error Guardian_NotPaused();

    /// @notice Pauses for `duration` seconds.
    /// @dev Emits `Paused`. Requires the guardian role of the access manager.
    /// Reverts, in this order: `AccessManagedUnauthorized`, `Guardian_DurationOutOfRange`, `Guardian_CoolingDown`.
    /// @param duration seconds, 1 to `MAX_PAUSE`
    function pause(uint64 duration) external;

    /// @notice Ends the running pause now; the cool-down runs from now.
    /// @dev Emits `Unpaused`. Requires the guardian role of the access manager.
    /// Reverts, in this order: `AccessManagedUnauthorized`, `Guardian_NotPaused`.
    function unpause() external;

    /// @notice Whether the brake is pulled at this block's timestamp.
    function isPaused() external view returns (bool);

    /// @notice The end of the last pause, unix seconds, exclusive; 0 before the first.
    function pausedUntil() external view returns (uint64);

    /// @notice The earliest time at which the next pause may start, unix seconds.
    function pausableFrom() external view returns (uint64);

    /// @notice The longest pause and the shortest pause-free time, seconds.
    function MAX_PAUSE() external view returns (uint64);
}
