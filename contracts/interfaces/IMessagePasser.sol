// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title IMessagePasser: the L2 end of a withdrawal
/// @notice Predeploy at `0x5e91000000000000000000000000000000000001`. `withdraw` takes the value out of circulation and
/// records a leaf in storage, to be proven on L1 against the state root of a FINAL batch (protocol section 8).
///
/// Nothing ever sends value out of this contract: what it holds is out of circulation for ever, and its balance is the
/// sum of all withdrawals.
interface IMessagePasser {
    /// @notice A withdrawal was recorded.
    /// @param nonce Number of the withdrawal, from 0.
    /// @param from Who gave the value up on L2.
    /// @param to Who may be paid on L1.
    /// @param amount Wei.
    /// @param leaf Hash of the four, the key under which the proof is made.
    event WithdrawalRecorded(
        uint256 indexed nonce, address indexed from, address indexed to, uint256 amount, bytes32 leaf
    );

    /// @notice No value was sent.
    error MessagePasser_ZeroAmount();
    /// @notice The L1 recipient is the zero address.
    error MessagePasser_ZeroRecipient();

    /// @notice Withdraws the value sent with the call to `to` on L1.
    ///
    /// Emits {WithdrawalRecorded}.
    ///
    /// Requirements, in check order: `to` is not zero ({MessagePasser_ZeroRecipient}); some value is sent
    /// ({MessagePasser_ZeroAmount}).
    /// @param to Account on L1.
    /// @return leaf `leafOf(nonce, caller, to, value)`, unique for ever.
    function withdraw(address to) external payable returns (bytes32 leaf);

    /// @notice Whether a leaf was recorded. Storage slot 0 is this mapping: the L1 proof is for slot
    /// `keccak256(leaf ‖ uint256(0))` with the value 1.
    function sent(bytes32 leaf) external view returns (bool);
    /// @notice Number of the next withdrawal (storage slot 1).
    function nonce() external view returns (uint256);
    /// @notice `keccak256(abi.encode(nonce, from, to, amount))`.
    function leafOf(uint256 nonce_, address from, address to, uint256 amount) external pure returns (bytes32);
}
