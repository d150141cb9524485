// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Fee splitter
/// @notice The split table of protocol section 9, and the place where the ecosystem's part leaves and the burnt part is
/// destroyed. It keeps no balance: what arrives with `settle` leaves in the same call.
interface IFeeSplitter {
    /// @notice `ecosystem` wei were paid to `recipient` and `burnt` wei were destroyed.
    event Settled(address indexed recipient, uint256 ecosystem, uint256 burnt);

    /// @notice The ecosystem's part is paid to `recipient` from now on.
    event EcosystemRecipientChanged(address indexed recipient);

    /// @notice Less than `needed` wei was sent before `settle`.
    error FeeSplitter_NotFunded(uint256 held, uint256 needed);

    /// @notice The ecosystem recipient must be an account other than this contract.
    error FeeSplitter_InvalidRecipient(address recipient);

    /// @notice Splits the base fees of an epoch: 40 % pools, 30 % ecosystem, 30 % burn, each rounded down.
    /// @param amount wei
    /// @return pool shared by the pools in proportion to weight and work done
    /// @return ecosystem paid to the ecosystem recipient
    /// @return burnt destroyed
    function splitBaseFee(uint256 amount) external pure returns (uint256 pool, uint256 ecosystem, uint256 burnt);

    /// @notice Splits priority fees: 20 % leader, 60 % its pool, 20 % ecosystem, each rounded down.
    /// @param amount wei
    /// @return leader paid to the operator that led the blocks
    /// @return pool paid to the pool of that operator
    /// @return ecosystem paid to the ecosystem recipient
    function splitPriorityFee(uint256 amount) external pure returns (uint256 leader, uint256 pool, uint256 ecosystem);

    /// @notice Pays `ecosystem` wei to the ecosystem recipient and destroys `burnt` wei: by the token's own
    /// `burn(uint256)` if that works, by a transfer to `DEAD` otherwise.
    /// @dev Emits `Settled`. The caller sends `ecosystem + burnt` to this contract first, in the same transaction;
    /// anything above (a stray donation) is destroyed too. Anyone may call: nothing of anybody is ever kept here.
    /// Reverts with `FeeSplitter_NotFunded`.
    /// @param ecosystem wei
    /// @param burnt wei
    function settle(uint256 ecosystem, uint256 burnt) external;

    /// @notice Changes who receives the ecosystem's part, from the next settlement on.
    /// @dev Emits `EcosystemRecipientChanged`. Requires the governance timelock.
    /// Reverts, in this order: `AccessManagedUnauthorized`, `FeeSplitter_InvalidRecipient`.
    /// @param recipient not zero, not this contract
    function setEcosystemRecipient(address recipient) external;

    /// @notice Who receives the ecosystem's part.
    function ecosystemRecipient() external view returns (address);

    /// @notice The native token.
    function token() external view returns (address);

    /// @notice Where burnt tokens go if the token itself cannot burn.
    function DEAD() external view returns (address);
}
