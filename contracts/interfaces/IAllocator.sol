// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title IAllocator
/// @notice Which operators the staked token's stake sits on: weights, caps, and a ramp for newcomers. It only answers
/// questions; the staked token moves the stake.
/// @dev An operator's target is its weight's share of what can be staked, at most `capBps` of that, and grows from zero
/// to full over `rampEpochs` after it was listed. An operator that is retired or tombstoned, or jailed for longer than
/// stake takes to come back (`UNBONDING_EPOCHS` and two epochs since its latest jail), has the target zero, and its weight
/// does not count for the shares of the others: it is drained. One that was jailed later keeps its target, so that a
/// jail alone moves no stake, but nothing new goes to it and exits take from it first.
interface IAllocator {
    /// @notice How a listed operator stands.
    /// @param id Its number.
    /// @param weight Its weight, relative to the sum of all.
    /// @param active Booked stake with it, token wei.
    /// @param target What should be staked with it, token wei.
    /// @param excess What rebalancing takes from it, token wei.
    struct Stand {
        uint32 id;
        uint16 weight;
        uint256 active;
        uint256 target;
        uint256 excess;
    }

    /// @notice Operator `id` has weight `weight` (relative to the sum of all) from now on.
    event WeightChanged(uint32 indexed id, uint16 weight);

    /// @notice Operator `id` is no longer listed.
    event OperatorUnlisted(uint32 indexed id);

    /// @notice A constructor address is zero.
    error Allocator_ZeroAddress();

    /// @notice The cap is outside 1 to 10,000, or the ramp longer than `MAX_RAMP_EPOCHS`.
    error Allocator_OutOfRange(uint256 value, uint256 maximum);

    /// @notice The operator is unknown to the registry or takes no stake.
    error Allocator_OperatorNotAccepting(uint32 id);

    /// @notice `MAX_OPERATORS` are listed already.
    error Allocator_TooManyOperators(uint256 maximum);

    /// @notice The operator is not listed.
    error Allocator_NotListed(uint32 id);

    /// @notice The operator still has a weight, or `stake` token wei that a slash would take from: set the weight to zero, let
    /// rebalancing take the stake out, and wait until that answers for nothing any more.
    error Allocator_StillInUse(uint32 id, uint16 weight, uint256 stake);

    /// @notice Lists an operator or changes its weight; zero drains it.
    /// @dev Emits `WeightChanged`. Restricted by the authority. Reverts in this order: `AccessManagedUnauthorized`,
    /// `OperatorNotAccepting` (new ones only), `TooManyOperators`.
    function setWeight(uint32 id, uint16 weight) external;

    /// @notice Unlists a drained operator. Anyone may call. Tickets that answer for nothing any more are not touched: they are
    /// collected as always.
    /// @dev Emits `OperatorUnlisted`. Reverts in this order: `NotListed`, `StillInUse`.
    function unlist(uint32 id) external;

    /// @notice Where the next stake goes: the operator with the largest room below its target, pool limit and cap. None that
    /// is jailed, which earns nothing, and none that is accused of a fault (`IFaultWatch.isAccused`): new stake would pay for
    /// it.
    /// @param available Token wei at hand.
    /// @return id Operator; 0 if none has room.
    /// @return amount Token wei, at most `available`.
    function nextDelegation(uint256 available) external view returns (uint32 id, uint256 amount);

    /// @notice From where `amount` token wei are taken for exits: from operators above their target first, the farthest one
    /// first, a tenth of an operator's target beyond it so that a small exit touches one operator only; then from all that
    /// is left. What is with one that is jailed counts as above its target, all of it.
    /// @param most Operators to plan with. If more are needed, the plan spares what the first round leaves them, and its sum
    /// is less than `amount`: a plan for the rest can be made when this one is done.
    /// @return ids Operators, each once.
    /// @return amounts Token wei, each at most what the operator holds; their sum is `amount` unless all stake is less.
    function planExit(uint256 amount, uint256 most)
        external
        view
        returns (uint32[] memory ids, uint256[] memory amounts);

    /// @notice What rebalancing takes from an operator: its stake above the target if that is more than a fifth of the
    /// target, else 0. Token wei.
    function excessOf(uint32 id) external view returns (uint256);

    /// @notice What should be staked with an operator, token wei.
    function targetOf(uint32 id) external view returns (uint256);

    /// @notice Weight of an operator and the epoch in which it was listed; zeros if it is not.
    function weightOf(uint32 id) external view returns (uint16 weight, uint32 listedEpoch);

    /// @notice All listed operators and how they stand, in the order of `operators`.
    function stands() external view returns (Stand[] memory);

    /// @notice All listed operators.
    function operators() external view returns (uint32[] memory ids);

    /// @notice Largest number of listed operators: bounds the gas of every plan.
    function MAX_OPERATORS() external view returns (uint256);

    /// @notice Longest ramp a deployment may have.
    function MAX_RAMP_EPOCHS() external view returns (uint32);

    /// @notice Most of what can be staked that one operator may hold, basis points.
    function CAP_BPS() external view returns (uint16);

    /// @notice Epochs from listing to the full target.
    function RAMP_EPOCHS() external view returns (uint32);
}
