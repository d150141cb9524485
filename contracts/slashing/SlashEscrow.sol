// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

import {IFeeSplitter} from "../interfaces/IFeeSplitter.sol";
import {ISlashEscrow} from "../interfaces/ISlashEscrow.sol";

/// @title SlashEscrow
contract SlashEscrow is ISlashEscrow, AccessManaged {
    /// @dev One slot: both change with every slash.
    struct Held {
        uint128 burnt;
        uint128 cover;
    }

    uint256 private constant _REWARD_PERCENT = 5;

    /// @inheritdoc ISlashEscrow
    address public immutable token;

    address private immutable SLASHER;
    IFeeSplitter private immutable FEE_SPLITTER;

    Held private _held;

    /// @inheritdoc ISlashEscrow
    mapping(address reporter => uint256 amount) public rewardOf;

    /// @inheritdoc ISlashEscrow
    address public coverFund;

    constructor(address token_, address slasher, address feeSplitter, address authority) AccessManaged(authority) {
        if (token_ == address(0) || slasher == address(0) || feeSplitter == address(0)) {
            revert SlashEscrow_ZeroAddress();
        }
        token = token_;
        SLASHER = slasher;
        FEE_SPLITTER = IFeeSplitter(feeSplitter);
    }

    /// @inheritdoc ISlashEscrow
    function book(address reporter, uint256 amount) external {
        if (msg.sender != SLASHER) revert SlashEscrow_NotSlasher(msg.sender);
        uint256 reward = reporter == address(0) ? 0 : amount * _REWARD_PERCENT / 100;
        uint256 cover = (amount - reward) / 2;
        uint256 burnt = amount - reward - cover;
        if (reward != 0) rewardOf[reporter] += reward;
        // Tokens that exist: the vault sent them.
        // forge-lint: disable-next-line(unsafe-typecast)
        (_held.burnt, _held.cover) = (_held.burnt + uint128(burnt), _held.cover + uint128(cover));
        emit Booked(reporter, amount, reward, burnt, cover);
    }

    /// @inheritdoc ISlashEscrow
    function withdraw(address reporter) external returns (uint256 amount) {
        amount = rewardOf[reporter];
        if (amount == 0) revert SlashEscrow_NothingDue(reporter);
        delete rewardOf[reporter];
        emit RewardWithdrawn(reporter, amount);
        SafeTransferLib.safeTransfer(token, reporter, amount);
    }

    /// @inheritdoc ISlashEscrow
    function burn() external returns (uint256 amount) {
        amount = _held.burnt;
        if (amount == 0) revert SlashEscrow_NothingToBurn();
        _held.burnt = 0;
        emit Burnt(amount);
        SafeTransferLib.safeTransfer(token, address(FEE_SPLITTER), amount);
        FEE_SPLITTER.settle(0, amount);
    }

    /// @inheritdoc ISlashEscrow
    function withdrawCover() external returns (uint256 amount) {
        address fund = coverFund;
        if (fund == address(0)) revert SlashEscrow_NoCoverFund();
        amount = _held.cover;
        if (amount == 0) revert SlashEscrow_NothingDue(fund);
        _held.cover = 0;
        emit CoverWithdrawn(fund, amount);
        SafeTransferLib.safeTransfer(token, fund, amount);
    }

    /// @inheritdoc ISlashEscrow
    function setCoverFund(address fund) external restricted {
        if (coverFund != address(0)) revert SlashEscrow_CoverFundAlreadySet(coverFund);
        if (fund == address(0)) revert SlashEscrow_ZeroAddress();
        coverFund = fund;
        emit CoverFundSet(fund);
    }

    /// @inheritdoc ISlashEscrow
    function burnBalance() external view returns (uint256) {
        return _held.burnt;
    }

    /// @inheritdoc ISlashEscrow
    function coverBalance() external view returns (uint256) {
        return _held.cover;
    }
}
