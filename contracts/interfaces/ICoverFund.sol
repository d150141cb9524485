// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title ICoverFund
/// @notice First cushion of liquid stakers after a slash: what it holds makes up for the stayers' part of a loss.
/// @dev Paid from the slash escrow's share, or by anyone. What comes in never goes out but to the staked token. Nobody
/// governs it. Tokens that arrive by plain transfer (the escrow pays so) count once somebody calls `book`.
interface ICoverFund {
    /// @notice `amount` token wei count from now on; `held` in all.
    event Booked(uint256 amount, uint256 held);

    /// @notice `amount` token wei made up for a loss; `held` are left.
    event Drawn(uint256 amount, uint256 held);

    /// @notice A constructor address is zero.
    error CoverFund_ZeroAddress();

    /// @notice Only the staked token may draw.
    error CoverFund_NotStakedToken(address caller);

    /// @notice More was asked than the fund holds.
    error CoverFund_NotEnough(uint256 asked, uint256 held);

    /// @notice Nothing arrived since the last booking.
    error CoverFund_NothingToBook();

    /// @notice Counts what arrived since the last booking. Anyone may call.
    /// @dev Emits `Booked`. Lets the staked token apply the slashes logged so far first, which are paid from what was held
    /// before; so no price changes. If they are too many for one call, `IStakedToken.sync` applies some. Reverts:
    /// `NothingToBook`.
    /// @return amount Token wei.
    function book() external returns (uint256 amount);

    /// @notice Pays `amount` token wei to the staked token.
    /// @dev Emits `Drawn`. Reverts in this order: `NotStakedToken`, `NotEnough`.
    function draw(uint256 amount) external;

    /// @notice What the fund can pay, token wei.
    function held() external view returns (uint256);
}
