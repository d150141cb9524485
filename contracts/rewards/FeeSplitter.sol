// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IFeeSplitter} from "../interfaces/IFeeSplitter.sol";

/// @title Fee splitter
/// @dev Specified by `IFeeSplitter`.
contract FeeSplitter is IFeeSplitter, AccessManaged {
    using SafeERC20 for IERC20;

    /// @inheritdoc IFeeSplitter
    address public constant DEAD = 0x000000000000000000000000000000000000dEaD;

    /// @inheritdoc IFeeSplitter
    address public immutable token;

    /// @inheritdoc IFeeSplitter
    address public ecosystemRecipient;

    constructor(address token_, address recipient, address authority) AccessManaged(authority) {
        token = token_;
        _setEcosystemRecipient(recipient);
    }

    /// @inheritdoc IFeeSplitter
    function settle(uint256 ecosystem, uint256 burnt) external {
        uint256 held = IERC20(token).balanceOf(address(this));
        require(held >= ecosystem + burnt, FeeSplitter_NotFunded(held, ecosystem + burnt));
        address recipient = ecosystemRecipient;
        if (ecosystem != 0) IERC20(token).safeTransfer(recipient, ecosystem);
        if (held != ecosystem) _destroy(held - ecosystem);
        emit Settled(recipient, ecosystem, burnt);
    }

    /// @inheritdoc IFeeSplitter
    function setEcosystemRecipient(address recipient) external restricted {
        _setEcosystemRecipient(recipient);
    }

    /// @inheritdoc IFeeSplitter
    function splitBaseFee(uint256 amount) external pure returns (uint256 pool, uint256 ecosystem, uint256 burnt) {
        pool = amount * 40 / 100;
        ecosystem = amount * 30 / 100;
        burnt = amount * 30 / 100;
    }

    /// @inheritdoc IFeeSplitter
    function splitPriorityFee(uint256 amount) external pure returns (uint256 leader, uint256 pool, uint256 ecosystem) {
        leader = amount * 20 / 100;
        pool = amount * 60 / 100;
        ecosystem = amount * 20 / 100;
    }

    function _setEcosystemRecipient(address recipient) private {
        require(recipient != address(0) && recipient != address(this), FeeSplitter_InvalidRecipient(recipient));
        ecosystemRecipient = recipient;
        emit EcosystemRecipientChanged(recipient);
    }

    // A token may lack `burn`, or swallow the call in a fallback without burning: what is left decides, not the answer.
    function _destroy(uint256 amount) private {
        try ERC20Burnable(token).burn(amount) {} catch {}
        uint256 left = IERC20(token).balanceOf(address(this));
        if (left != 0) IERC20(token).safeTransfer(DEAD, left);
    }
}
