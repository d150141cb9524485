// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";

import {IExitQueue} from "./IExitQueue.sol";

/// @title IExitReceipt
/// @notice Exits that can be handed on: an ERC-721 token stands for shares in one batch of the exit queue. This contract is
/// the controller of the requests; whoever owns the receipt takes them back before the seal or the assets after
/// finalisation. Optional, governed by nobody, never paused.
/// @dev All receipts of a batch share one request (its number is the batch's). The first redemption fetches all of it; each
/// receipt is then paid its part of what came, rounded down, so none can take of another's and what is left is at most a
/// wei per receipt. Shares that strangers sent into this contract's name have no receipt and stay.
interface IExitReceipt is IERC721Metadata {
    /// @notice What a receipt stands for.
    /// @param requestId Batch of the exit queue.
    /// @param shares Shares of the staked token in it.
    /// @param state State of the batch.
    /// @param assets Token wei `redeem` pays once the batch is finalised; before, what it would come to now.
    struct Receipt {
        uint256 requestId;
        uint256 shares;
        IExitQueue.BatchState state;
        uint256 assets;
    }

    /// @notice Receipt `tokenId` was issued for `shares` in batch `requestId`.
    event ReceiptIssued(uint256 indexed tokenId, uint256 indexed requestId, uint256 shares);

    /// @notice Receipt `tokenId` is gone; its shares went back to `receiver`.
    event ReceiptCancelled(
        uint256 indexed tokenId, uint256 indexed requestId, address indexed receiver, uint256 shares
    );

    /// @notice Receipt `tokenId` is gone; `assets` token wei were paid to `receiver`.
    event ReceiptRedeemed(uint256 indexed tokenId, uint256 indexed requestId, address indexed receiver, uint256 assets);

    /// @notice The exit queue is the zero address.
    error ExitReceipt_ZeroAddress();

    /// @notice The caller is neither `account` nor its operator at the exit queue.
    error ExitReceipt_NotAuthorized(address caller, address account);

    /// @notice Batch `requestId` is not finalised.
    error ExitReceipt_NotClaimable(uint256 requestId);

    /// @notice Hands in `shares` of `owner` and gives `receiver` the receipt. The caller is the owner or its operator at the exit
    /// queue; this contract needs the owner's allowance of shares, or to be its operator.
    /// @dev Emits `ReceiptIssued`. Reverts in this order: `NotAuthorized`, the reasons of `IExitQueue.requestRedeem`, those of
    /// a receiver that takes no ERC-721 tokens.
    function request(uint256 shares, address owner, address receiver) external returns (uint256 tokenId);

    /// @notice The same for the caller's own shares, with an ERC-2612 permit. A permit that does not work is passed over: the
    /// allowance decides.
    function requestWithPermit(uint256 shares, address receiver, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (uint256 tokenId);

    /// @notice Turns `shares` of a request that `controller` has in the open batch into a receipt. The caller is the controller
    /// or its operator; this contract must be its operator at the exit queue, too.
    /// @dev Emits `ReceiptIssued`. Reverts in this order: `NotAuthorized`, the reasons of `IExitQueue.cancelRedeem`.
    function moveIn(uint256 requestId, uint256 shares, address controller, address receiver)
        external
        returns (uint256 tokenId);

    /// @notice Takes the shares of a receipt back before the seal. The caller is its owner or approved for it.
    /// @dev Emits `ReceiptCancelled`. Reverts in this order: `ERC721NonexistentToken`, `ERC721InsufficientApproval`, then
    /// `ExitQueue_AlreadySealed`.
    function cancel(uint256 tokenId, address receiver) external returns (uint256 shares);

    /// @notice Pays out a receipt. The caller is its owner or approved for it.
    /// @dev Emits `ReceiptRedeemed`. Reverts in this order: `ERC721NonexistentToken`, `ERC721InsufficientApproval`,
    /// `NotClaimable`.
    /// @return assets Token wei.
    function redeem(uint256 tokenId, address receiver) external returns (uint256 assets);

    /// @notice What a receipt stands for. Reverts with `ERC721NonexistentToken`.
    function receiptOf(uint256 tokenId) external view returns (Receipt memory);

    /// @notice Shares of all receipts of a batch that are neither redeemed nor cancelled.
    function sharesOutstanding(uint256 requestId) external view returns (uint256);

    /// @notice Receipts issued so far; the last one's number.
    function lastReceipt() external view returns (uint256);

    /// @notice The exit queue.
    function exitQueue() external view returns (address);
}
