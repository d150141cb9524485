// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "./IBatchChain.sol";

/// @title IOfflineFault: a member that left its slots to others
/// @notice Judges by the tally of an epoch, which the sequencers certified with the batch that carries it (protocol sections
/// 9 and 10). A member was *absent* when it missed at least half of the slots it was assigned as first leader.
///
/// It is a fault only with at least `MIN_SLOTS` slots, and never when the network was the problem: when more than a third
/// of the weight was absent, or more than a third of all slots were missed.
/// @dev Cheap faults must not be expensive mistakes: an absence jails at once, by a tally that may not be FINAL yet; money
/// is taken only for a repeat, after a window for a veto, and only by a tally that is FINAL. See `ISlasher`.
interface IOfflineFault {
    /// @notice Where the module finds what it needs.
    /// @param slasher The `ISlasher`.
    /// @param sequencerSet The `ISequencerSet`.
    /// @param batchChain The `IBatchChain`.
    /// @param minSlots Least slots in an epoch for a judgement, > 0.
    struct Config {
        address slasher;
        address sequencerSet;
        address batchChain;
        uint32 minSlots;
    }

    /// @notice A constructor value is zero (`name` is the field of `Config`).
    error OfflineFault_Zero(string name);
    /// @notice The batch is not POSTED or FINAL on the chain.
    error OfflineFault_NotStanding(bytes32 batchHash, IBatchChain.BatchState state);
    /// @notice The batch is not FINAL: nothing is slashed by it yet.
    error OfflineFault_NotFinal(bytes32 batchHash, IBatchChain.BatchState state);
    /// @notice The batch carries no tally.
    error OfflineFault_NoTally(bytes32 batchHash);
    /// @notice The entries are not those of the tally.
    error OfflineFault_WrongEntries(bytes32 actual, bytes32 root);
    /// @notice The members are not those of the set the tally is about.
    error OfflineFault_WrongMembers(uint32 epoch, bytes32 actual, bytes32 setHash);
    /// @notice The tally has not one entry for each member.
    error OfflineFault_WrongCount(uint256 entries, uint256 members);
    /// @notice Entry `index` is about another operator than member `index`.
    error OfflineFault_ForeignEntry(uint256 index, uint32 entryId, uint32 memberId);
    /// @notice The operator was no member of the set.
    error OfflineFault_NotAMember(uint32 id, uint32 epoch);
    /// @notice It had too few slots for a judgement.
    error OfflineFault_TooFewSlots(uint32 id, uint256 assigned, uint256 minimum);
    /// @notice It made more than half of its blocks.
    error OfflineFault_Present(uint32 id, uint256 missed, uint256 assigned);
    /// @notice More than a third of the weight was absent (gwei): the network was the problem.
    error OfflineFault_TooManyAbsent(uint256 absentWeight, uint256 totalWeight);
    /// @notice More than a third of all slots were missed: the network was the problem.
    error OfflineFault_TooManyMissed(uint256 missed, uint256 assigned);

    /// @notice Jails an operator that was absent. Anyone may call.
    /// @dev The slasher emits `OfflineJailed`. Reverts in this order: `NotStanding`, `NoTally`, `WrongEntries`,
    /// `WrongMembers`, `WrongCount`, `ForeignEntry`, `NotAMember`, `TooFewSlots`, `Present`, `TooManyAbsent`,
    /// `TooManyMissed`; then what `ISlasher.jailOffline` answers.
    /// @param id The operator.
    /// @param header Header of the batch whose tally it is, POSTED or FINAL.
    /// @param members Members of the set of `header.tally.epoch`, as `EpochFrozen` emitted them.
    /// @param entries Entries of the tally.
    /// @param reporter Who is credited the reward if a slash follows; zero: nobody.
    function jail(
        uint32 id,
        IBatchChain.BatchHeader calldata header,
        bytes calldata members,
        bytes calldata entries,
        address reporter
    ) external;

    /// @notice Slashes a repeated absence when the appeal window is over. Anyone may call.
    /// @dev Judges anew: the tally that became FINAL may not be the one that jailed. The slasher emits
    /// `OfflineSlashed`. Reverts as `jail`, with `NotFinal` in place of `NotStanding`; then what `ISlasher.slashOffline`
    /// answers.
    /// @param id The operator.
    /// @param header Header of the FINAL batch whose tally it is.
    /// @param members Members of the set of `header.tally.epoch`.
    /// @param entries Entries of the tally.
    /// @return taken Token wei slashed.
    function slash(uint32 id, IBatchChain.BatchHeader calldata header, bytes calldata members, bytes calldata entries)
        external
        returns (uint256 taken);

    /// @notice Least slots in an epoch for a judgement.
    function MIN_SLOTS() external view returns (uint32);
}
