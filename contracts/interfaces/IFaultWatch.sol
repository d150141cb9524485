// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title IFaultWatch
/// @notice Tells the staked token while operators that hold a considerable part of its stake are accused: of a fault that is
/// not judged yet (amnesia, the one fault with a time to answer), or by convictions of others, which made a higher rate due
/// that nobody has taken yet. Nobody should get in or out at a price that this may change.
/// @dev It only looks, at what the allocator lists (at most `MAX_OPERATORS`), the fault module counts and the slasher says;
/// when nobody is accused and nobody was convicted within `HOLD_SECONDS`, at two words. An operator without stake of the
/// token does not matter, so one that is drained cannot hold anything once what was taken out of it answers for nothing
/// any more.
///
/// Nobody can keep it up at no cost: a charge needs two contradicting signatures of the accused, each pair is good for one
/// charge, and each charge ends. The honest ones are closed for ever by whoever shows the polka; the others convict from the
/// end of the response window on, or, once they cannot, anybody expires them. And an exit waits at most `HOLD_SECONDS`,
/// whoever is accused again and again meanwhile.
interface IFaultWatch {
    /// @notice A constructor address is zero.
    error FaultWatch_ZeroAddress();

    /// @notice The threshold is outside 1 to 10,000, or an epoch has no length.
    error FaultWatch_OutOfRange(uint256 value);

    /// @notice Until when something that began at `since` is held because of open accusations, unix seconds:
    /// `since + HOLD_SECONDS`; 0 if `accusedStake` is less than `THRESHOLD_BPS` of all assets.
    function heldUntil(uint256 since) external view returns (uint256);

    /// @notice Stake of the token that a verdict on the accused can still reach, also on its way out, token wei.
    function accusedStake() external view returns (uint256);

    /// @notice True if an operator is accused, or a top-up of it is due since at most `HOLD_SECONDS`: time enough for anybody
    /// to take it.
    function isAccused(uint32 id) external view returns (bool);

    /// @notice Part of all assets of the token from which on accusations count, basis points.
    function THRESHOLD_BPS() external view returns (uint256);

    /// @notice Longest an exit waits because of accusations, counted from its seal, seconds: the epoch it waits anyway,
    /// the time to answer, and an epoch for somebody to convict.
    function HOLD_SECONDS() external view returns (uint256);
}
