// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

import {ICoverFund} from "../interfaces/ICoverFund.sol";
import {IStakedToken} from "../interfaces/IStakedToken.sol";

/// @title CoverFund
contract CoverFund is ICoverFund {
    address private immutable TOKEN;
    address private immutable STAKED_TOKEN;

    /// @inheritdoc ICoverFund
    uint256 public held;

    /// @param token The native token.
    /// @param stakedToken The only contract that may draw.
    constructor(address token, address stakedToken) {
        if (token == address(0) || stakedToken == address(0)) revert CoverFund_ZeroAddress();
        TOKEN = token;
        STAKED_TOKEN = stakedToken;
    }

    /// @inheritdoc ICoverFund
    // The staked token is of this deployment, and lets nobody in while it works.
    // slither-disable-next-line reentrancy-no-eth
    function book() external returns (uint256 amount) {
        // What comes now is for the slashes to come: those before are paid from what was held then.
        IStakedToken(STAKED_TOKEN).sync(type(uint256).max);
        // The balance only decides what is new here; no price is made of it.
        uint256 balance = SafeTransferLib.balanceOf(TOKEN, address(this));
        if (balance <= held) revert CoverFund_NothingToBook();
        amount = balance - held;
        held = balance;
        emit Booked(amount, balance);
    }

    /// @inheritdoc ICoverFund
    function draw(uint256 amount) external {
        if (msg.sender != STAKED_TOKEN) revert CoverFund_NotStakedToken(msg.sender);
        uint256 before = held;
        if (amount > before) revert CoverFund_NotEnough(amount, before);
        held = before - amount;
        emit Drawn(amount, before - amount);
        SafeTransferLib.safeTransfer(TOKEN, STAKED_TOKEN, amount);
    }
}
