// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
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
    address private immutable REGISTRY;
    IFeeSplitter private immutable FEE_SPLITTER;

    Held private _held;

    /// @inheritdoc ISlashEscrow
    mapping(address reporter => uint256 amount) public rewardOf;

    /// @inheritdoc ISlashEscrow
    address public coverFund;

    constructor(address token_, address slasher, address registry, address feeSplitter, address authority)
        AccessManaged(authority)
    {
        if (token_ == address(0) || slasher == address(0) || registry == address(0) || feeSplitter == address(0)) {
            revert SlashEscrow_ZeroAddress();
        }
        token = token_;
        SLASHER = slasher;
        REGISTRY = registry;
        FEE_SPLITTER = IFeeSplitter(feeSplitter);
    }

    /// @inheritdoc ISlashEscrow
    function book(address reporter, uint256 amount, uint256 mostReward) external {
        if (msg.sender != SLASHER) revert SlashEscrow_NotSlasher(msg.sender);
        uint256 reward = reporter == address(0) ? 0 : FixedPointMathLib.min(amount * _REWARD_PERCENT / 100, mostReward);
        if (reward != 0) rewardOf[reporter] += reward;
        (uint256 burnt, uint256 cover) = _divide(amount - reward);
        emit Booked(reporter, amount, reward, burnt, cover);
    }

    /// @inheritdoc ISlashEscrow
    // The registry answers for the payer, who is its caller. What arrives meanwhile by another way only adds to what is
    // held: no more than the fee is booked.
    // slither-disable-next-line arbitrary-send-erc20,reentrancy-benign
    function takeFee(address payer, uint256 amount) external {
        if (msg.sender != REGISTRY) revert SlashEscrow_NotRegistry(msg.sender);
        (uint256 burnt, uint256 cover) = _divide(amount);
        emit FeeTaken(payer, amount, burnt, cover);
        uint256 before = SafeTransferLib.balanceOf(token, address(this));
        SafeTransferLib.safeTransferFrom(token, payer, address(this), amount);
        uint256 received = FixedPointMathLib.zeroFloorSub(SafeTransferLib.balanceOf(token, address(this)), before);
        if (received < amount) revert SlashEscrow_TokenTookFee(received, amount);
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

    /// @dev One half will be destroyed, one half, rounded down, is the cover fund's.
    function _divide(uint256 amount) private returns (uint256 burnt, uint256 cover) {
        cover = amount / 2;
        burnt = amount - cover;
        // Tokens that exist: they were sent.
        // forge-lint: disable-next-line(unsafe-typecast)
        (_held.burnt, _held.cover) = (_held.burnt + uint128(burnt), _held.cover + uint128(cover));
    }
}
