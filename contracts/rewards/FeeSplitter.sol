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

    /// @inheritdoc IFeeSplitter
    uint256 public claimableEcosystem;

    /// @inheritdoc IFeeSplitter
    uint256 public postponedBurn;

    constructor(address token_, address recipient, address authority) AccessManaged(authority) {
        token = token_;
        _setEcosystemRecipient(recipient);
    }

    /// @inheritdoc IFeeSplitter
    function settle(uint256 ecosystem, uint256 burnt) external {
        uint256 held = IERC20(token).balanceOf(address(this));
        uint256 owed = claimableEcosystem + ecosystem;
        uint256 needed = owed + burnt + postponedBurn;
        require(held >= needed, FeeSplitter_NotFunded(held, needed));
        claimableEcosystem = owed;
        emit Settled(ecosystem, burnt);
        if (held != owed) _destroy(held - owed, owed);
    }

    /// @inheritdoc IFeeSplitter
    function claimEcosystem() external returns (uint256 amount) {
        amount = claimableEcosystem;
        if (amount == 0) return 0;
        claimableEcosystem = 0;
        address recipient = ecosystemRecipient;
        emit EcosystemClaimed(recipient, amount);
        IERC20(token).safeTransfer(recipient, amount);
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
    // Never reverts, because the pay of every later epoch waits for this one: what cannot be destroyed now is above
    // `kept` at the next settlement still.
    function _destroy(uint256 amount, uint256 kept) private {
        try ERC20Burnable(token).burn(amount) {} catch {}
        uint256 left = IERC20(token).balanceOf(address(this)) - kept;
        if (left != 0 && !IERC20(token).trySafeTransfer(DEAD, left)) emit BurnPostponed(left);
        else left = 0;
        if (left != postponedBurn) postponedBurn = left;
    }
}
