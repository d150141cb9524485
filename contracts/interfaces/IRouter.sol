// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title ISignatureTransfer
/// @notice The part of Permit2 that the router uses.
interface ISignatureTransfer {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    /// @notice Moves tokens of `owner` to `transferDetails.to` by the owner's signature for the caller.
    function permitTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes calldata signature
    ) external;
}

/// @title IRouter
/// @notice Convenience in front of the staked token and the exit queue: permits, Permit2, limits on what one gets, a deadline,
/// and an event for referrals. It keeps nothing between calls and has no rights of its own.
interface IRouter {
    /// @notice An EIP-2612 permit by the caller. One that fails is ignored, because somebody may have submitted it already;
    /// then the allowance decides. `deadline` zero: none is tried.
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice `referrer` brought a deposit of `assets` token wei.
    event Referred(address indexed referrer, address indexed receiver, uint256 assets, uint256 shares);

    /// @notice A constructor address is zero.
    error Router_ZeroAddress();

    /// @notice The call came after its deadline, unix seconds.
    error Router_Expired(uint256 deadline);

    /// @notice The result is less than the caller asked for at least.
    error Router_BelowMinimum(uint256 result, uint256 minimum);

    /// @notice The Permit2 signature is for another token or for less.
    error Router_WrongPermit(address token, uint256 amount);

    /// @notice Less arrived than was asked: tokens that take a fee are refused.
    error Router_TokenTookFee(uint256 received, uint256 expected);

    /// @notice Deposits tokens of the caller.
    /// @dev Emits `Referred` unless `referrer` is zero. Reverts in this order: `Expired`, the tokens' reasons, `TokenTookFee`, the
    /// staked token's reasons, `BelowMinimum`.
    /// @param assets Token wei.
    /// @param receiver Who gets the shares.
    /// @param minShares Least number of shares.
    /// @param deadline Unix seconds.
    /// @param referrer Who brought the deposit; zero: nobody.
    /// @param permit For the native token.
    /// @return shares Shares minted.
    function deposit(
        uint256 assets,
        address receiver,
        uint256 minShares,
        uint256 deadline,
        address referrer,
        Permit calldata permit
    ) external returns (uint256 shares);

    /// @notice `deposit` with a Permit2 signature of the caller in place of an allowance; its deadline counts.
    /// @dev As `deposit`; `WrongPermit` comes first.
    function depositWithPermit2(
        uint256 assets,
        address receiver,
        uint256 minShares,
        address referrer,
        ISignatureTransfer.PermitTransferFrom calldata permit,
        bytes calldata signature
    ) external returns (uint256 shares);

    /// @notice Leaves instantly with shares of the caller.
    /// @dev Reverts in this order: `Expired`, the staked token's reasons, `BelowMinimum`.
    /// @param permit For the shares.
    /// @return assets Token wei paid to `receiver`.
    function redeemInstantly(
        uint256 shares,
        address receiver,
        uint256 minAssets,
        uint256 deadline,
        Permit calldata permit
    ) external returns (uint256 assets);

    /// @notice Hands shares of the caller in to the exit queue, in the name of the caller.
    /// @dev Reverts with the queue's reasons. An allowance is needed only here; calling the queue itself needs none.
    /// @param permit For the shares.
    function requestExit(uint256 shares, Permit calldata permit) external returns (uint256 requestId);
}
