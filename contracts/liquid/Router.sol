// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

import {IExitQueue} from "../interfaces/IExitQueue.sol";
import {IRouter, ISignatureTransfer} from "../interfaces/IRouter.sol";
import {IStakedToken} from "../interfaces/IStakedToken.sol";

/// @title Router
contract Router is IRouter {
    address private immutable TOKEN;
    IStakedToken private immutable STAKED_TOKEN;
    IExitQueue private immutable EXIT_QUEUE;
    ISignatureTransfer private immutable PERMIT2;

    modifier inTime(uint256 deadline) {
        if (block.timestamp > deadline) revert Router_Expired(deadline);
        _;
    }

    /// @param stakedToken The `IStakedToken`.
    /// @param permit2 The Permit2 contract of the chain.
    constructor(address stakedToken, address permit2) {
        if (stakedToken == address(0) || permit2 == address(0)) revert Router_ZeroAddress();
        STAKED_TOKEN = IStakedToken(stakedToken);
        EXIT_QUEUE = IExitQueue(STAKED_TOKEN.exitQueue());
        TOKEN = STAKED_TOKEN.asset();
        PERMIT2 = ISignatureTransfer(permit2);
        SafeTransferLib.safeApprove(TOKEN, stakedToken, type(uint256).max);
    }

    /// @inheritdoc IRouter
    function deposit(
        uint256 assets,
        address receiver,
        uint256 minShares,
        uint256 deadline,
        address referrer,
        Permit calldata permit
    ) external inTime(deadline) returns (uint256 shares) {
        _tryPermit(TOKEN, assets, permit);
        uint256 before = SafeTransferLib.balanceOf(TOKEN, address(this));
        SafeTransferLib.safeTransferFrom(TOKEN, msg.sender, address(this), assets);
        return _deposit(before, assets, receiver, minShares, referrer);
    }

    /// @inheritdoc IRouter
    function depositWithPermit2(
        uint256 assets,
        address receiver,
        uint256 minShares,
        address referrer,
        ISignatureTransfer.PermitTransferFrom calldata permit,
        bytes calldata signature
    ) external returns (uint256 shares) {
        if (permit.permitted.token != TOKEN || permit.permitted.amount < assets) {
            revert Router_WrongPermit(permit.permitted.token, permit.permitted.amount);
        }
        uint256 before = SafeTransferLib.balanceOf(TOKEN, address(this));
        // The signature names this contract as spender, and only its signer can be the caller: nobody else's terms apply.
        PERMIT2.permitTransferFrom(
            permit, ISignatureTransfer.SignatureTransferDetails(address(this), assets), msg.sender, signature
        );
        return _deposit(before, assets, receiver, minShares, referrer);
    }

    /// @inheritdoc IRouter
    function redeemInstantly(
        uint256 shares,
        address receiver,
        uint256 minAssets,
        uint256 deadline,
        Permit calldata permit
    ) external inTime(deadline) returns (uint256 assets) {
        _tryPermit(address(STAKED_TOKEN), shares, permit);
        assets = STAKED_TOKEN.redeem(shares, receiver, msg.sender);
        if (assets < minAssets) revert Router_BelowMinimum(assets, minAssets);
    }

    /// @inheritdoc IRouter
    function requestExit(uint256 shares, Permit calldata permit) external returns (uint256 requestId) {
        _tryPermit(address(STAKED_TOKEN), shares, permit);
        return EXIT_QUEUE.requestRedeem(shares, msg.sender, msg.sender);
    }

    function _deposit(uint256 before, uint256 assets, address receiver, uint256 minShares, address referrer)
        private
        returns (uint256 shares)
    {
        uint256 received = SafeTransferLib.balanceOf(TOKEN, address(this)) - before;
        if (received < assets) revert Router_TokenTookFee(received, assets);
        shares = STAKED_TOKEN.deposit(assets, receiver);
        if (shares < minShares) revert Router_BelowMinimum(shares, minShares);
        if (referrer != address(0)) emit Referred(referrer, receiver, assets, shares);
    }

    function _tryPermit(address token, uint256 amount, Permit calldata p) private {
        if (p.deadline == 0) return;
        try IERC20Permit(token).permit(msg.sender, address(this), amount, p.deadline, p.v, p.r, p.s) {} catch {}
    }
}
