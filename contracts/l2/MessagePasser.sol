// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IMessagePasser} from "../interfaces/IMessagePasser.sol";

/// @title MessagePasser
/// @notice L2 predeploy: its runtime code is part of the L2 genesis, so it has no constructor and no immutables, and
/// the two storage slots below are part of what L1 proves against.
contract MessagePasser is IMessagePasser {
    /// @inheritdoc IMessagePasser
    mapping(bytes32 leaf => bool) public sent;

    /// @inheritdoc IMessagePasser
    uint256 public nonce;

    /// @inheritdoc IMessagePasser
    function withdraw(address to) external payable returns (bytes32 leaf) {
        if (to == address(0)) revert MessagePasser_ZeroRecipient();
        if (msg.value == 0) revert MessagePasser_ZeroAmount();
        uint256 current = nonce++;
        leaf = leafOf(current, msg.sender, to, msg.value);
        sent[leaf] = true;
        emit WithdrawalRecorded(current, msg.sender, to, msg.value, leaf);
    }

    /// @inheritdoc IMessagePasser
    function leafOf(uint256 nonce_, address from, address to, uint256 amount) public pure returns (bytes32) {
        return keccak256(abi.encode(nonce_, from, to, amount));
    }
}
