// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Fee splitter
/// @notice The split table of protocol section 9, and the place where the ecosystem's part waits to be collected and the
/// burnt part is destroyed. Nothing but the ecosystem's part is kept: a settlement calls no recipient, so none can stop
/// the epochs that are settled here.
interface IFeeSplitter {
    /// @notice `ecosystem` wei were booked for the ecosystem recipient and `burnt` wei are to be destroyed.
    event Settled(uint256 ecosystem, uint256 burnt);

    /// @notice The ecosystem's part, `amount` wei, was paid to `recipient`.
    event EcosystemClaimed(address indexed recipient, uint256 amount);

    /// @notice The token refused to destroy `amount` wei; the next settlement tries again.
    event BurnPostponed(uint256 amount);

    /// @notice The ecosystem's part is paid to `recipient` from now on.
    event EcosystemRecipientChanged(address indexed recipient);

    /// @notice Less than `needed` wei (what the ecosystem may claim and what waits to be destroyed included) was here at
    /// `settle`.
    error FeeSplitter_NotFunded(uint256 held, uint256 needed);

    /// @notice The ecosystem recipient must be an account other than this contract.
    error FeeSplitter_InvalidRecipient(address recipient);

    /// @notice Splits the base fees of an epoch: 40 % pools, 30 % ecosystem, 30 % burn, each rounded down.
    /// @param amount wei
    /// @return pool shared by the pools in proportion to weight and work done
    /// @return ecosystem booked for the ecosystem recipient
    /// @return burnt destroyed
    function splitBaseFee(uint256 amount) external pure returns (uint256 pool, uint256 ecosystem, uint256 burnt);

    /// @notice Splits priority fees: 20 % leader, 60 % its pool, 20 % ecosystem, each rounded down.
    /// @param amount wei
    /// @return leader paid to the operator that led the blocks
    /// @return pool paid to the pool of that operator
    /// @return ecosystem booked for the ecosystem recipient
    function splitPriorityFee(uint256 amount) external pure returns (uint256 leader, uint256 pool, uint256 ecosystem);

    /// @notice Books `ecosystem` wei for the ecosystem recipient and destroys `burnt` wei: by the token's own
    /// `burn(uint256)` if that works, by a transfer to `DEAD` otherwise; if neither does, the next settlement tries again.
    /// @dev Emits `Settled`. The caller sends `ecosystem + burnt` to this contract first, in the same transaction;
    /// anything above (a stray donation) is destroyed too. Anyone may call: what was booked before is never touched.
    /// Reverts with `FeeSplitter_NotFunded`, and for amounts whose sum does not fit 256 bits.
    /// @param ecosystem wei
    /// @param burnt wei
    function settle(uint256 ecosystem, uint256 burnt) external;

    /// @notice Wei that the token refused to destroy so far; no settlement can book it for anybody.
    function postponedBurn() external view returns (uint256);

    /// @notice Pays what is booked for the ecosystem to its present recipient. Anyone may call.
    /// @dev Emits `EcosystemClaimed` if there is something. Reverts with what the token says.
    /// @return amount wei, 0 if nothing is booked
    function claimEcosystem() external returns (uint256 amount);

    /// @notice Changes who receives the ecosystem's part, what is booked already included.
    /// @dev Emits `EcosystemRecipientChanged`. Requires the governance timelock.
    /// Reverts, in this order: `AccessManagedUnauthorized`, `FeeSplitter_InvalidRecipient`.
    /// @param recipient not zero, not this contract
    function setEcosystemRecipient(address recipient) external;

    /// @notice What is booked for the ecosystem recipient, wei.
    function claimableEcosystem() external view returns (uint256);

    /// @notice Who receives the ecosystem's part.
    function ecosystemRecipient() external view returns (address);

    /// @notice The native token.
    function token() external view returns (address);

    /// @notice Where burnt tokens go if the token itself cannot burn.
    function DEAD() external view returns (address);
}
