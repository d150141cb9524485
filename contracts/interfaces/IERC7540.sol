// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title IERC7540Operator
/// @notice Accounts that act for a controller (ERC-7540; ERC-165 id 0xe3bc4e65).
interface IERC7540Operator {
    /// @notice `controller` approved (or no longer approves) `operator`.
    event OperatorSet(address indexed controller, address indexed operator, bool approved);

    /// @notice Lets `operator` act for the caller, or no longer. Always true.
    function setOperator(address operator, bool approved) external returns (bool);

    /// @notice True if `operator` may act for `controller`.
    function isOperator(address controller, address operator) external view returns (bool status);
}

/// @title IERC7540Redeem
/// @notice Redemptions that are asked for first and claimed later (ERC-7540; ERC-165 id 0x620ee8e4).
interface IERC7540Redeem {
    /// @notice `shares` of `owner` were handed in for `controller`.
    event RedeemRequest(
        address indexed controller, address indexed owner, uint256 indexed requestId, address sender, uint256 shares
    );

    /// @notice Hands in `shares` of `owner`, to be claimed by `controller`.
    function requestRedeem(uint256 shares, address controller, address owner) external returns (uint256 requestId);

    /// @notice Shares of a request that cannot be claimed yet.
    function pendingRedeemRequest(uint256 requestId, address controller) external view returns (uint256 shares);

    /// @notice Shares of a request that can be claimed.
    function claimableRedeemRequest(uint256 requestId, address controller) external view returns (uint256 shares);
}
