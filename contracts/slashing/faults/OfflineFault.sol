// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "../../interfaces/IBatchChain.sol";
import {IOfflineFault} from "../../interfaces/IOfflineFault.sol";
import {ISequencerSet} from "../../interfaces/ISequencerSet.sol";
import {ISlasher} from "../../interfaces/ISlasher.sol";
import {SetMember, TallyEntry, TallyWords} from "../../rewards/TallyWords.sol";

/// @title OfflineFault
contract OfflineFault is IOfflineFault {
    /// @dev Sums over all members, to tell an absence from an outage. Weights in gwei.
    struct Attendance {
        uint256 absentWeight;
        uint256 totalWeight;
        uint256 missed;
        uint256 assigned;
    }

    /// @inheritdoc IOfflineFault
    uint32 public immutable MIN_SLOTS;

    ISlasher private immutable SLASHER;
    ISequencerSet private immutable SET;
    IBatchChain private immutable BATCH_CHAIN;

    constructor(Config memory config) {
        if (config.slasher == address(0)) revert OfflineFault_Zero("slasher");
        if (config.sequencerSet == address(0)) revert OfflineFault_Zero("sequencerSet");
        if (config.batchChain == address(0)) revert OfflineFault_Zero("batchChain");
        if (config.minSlots == 0) revert OfflineFault_Zero("minSlots");
        SLASHER = ISlasher(config.slasher);
        SET = ISequencerSet(config.sequencerSet);
        BATCH_CHAIN = IBatchChain(config.batchChain);
        MIN_SLOTS = config.minSlots;
    }

    /// @inheritdoc IOfflineFault
    function jail(
        uint32 id,
        IBatchChain.BatchHeader calldata header,
        bytes calldata members,
        bytes calldata entries,
        address reporter
    ) external {
        (bytes32 batchHash, IBatchChain.BatchState state) = _stateOf(header);
        if (state != IBatchChain.BatchState.Posted && state != IBatchChain.BatchState.Final) {
            revert OfflineFault_NotStanding(batchHash, state);
        }
        _checkAbsence(id, batchHash, header.tally, members, entries);
        SLASHER.jailOffline(id, header.tally.epoch, reporter);
    }

    /// @inheritdoc IOfflineFault
    function slash(uint32 id, IBatchChain.BatchHeader calldata header, bytes calldata members, bytes calldata entries)
        external
        returns (uint256 taken)
    {
        (bytes32 batchHash, IBatchChain.BatchState state) = _stateOf(header);
        if (state != IBatchChain.BatchState.Final) revert OfflineFault_NotFinal(batchHash, state);
        _checkAbsence(id, batchHash, header.tally, members, entries);
        return SLASHER.slashOffline(id, header.tally.epoch);
    }

    /// @dev A batch whose ancestor was removed keeps its record, but another stands at its index.
    function _stateOf(IBatchChain.BatchHeader calldata header)
        private
        view
        returns (bytes32 batchHash, IBatchChain.BatchState state)
    {
        batchHash = keccak256(abi.encode(header));
        state = BATCH_CHAIN.stateOf(batchHash);
        if (state == IBatchChain.BatchState.Posted && BATCH_CHAIN.batchAt(header.index) != batchHash) {
            state = IBatchChain.BatchState.Orphaned;
        }
    }

    /// @dev Reverts unless the tally convicts `id`.
    function _checkAbsence(
        uint32 id,
        bytes32 batchHash,
        IBatchChain.Tally calldata tally,
        bytes calldata members,
        bytes calldata entries
    ) private view {
        if (tally.epoch == 0) revert OfflineFault_NoTally(batchHash);
        bytes32 actual = keccak256(entries);
        if (actual != tally.root) revert OfflineFault_WrongEntries(actual, tally.root);
        actual = keccak256(members);
        bytes32 setHash = SET.setHash(tally.epoch);
        if (actual != setHash) revert OfflineFault_WrongMembers(tally.epoch, actual, setHash);
        if (entries.length != members.length) {
            revert OfflineFault_WrongCount(entries.length / 32, members.length / 32);
        }

        Attendance memory all;
        TallyEntry own;
        bool found;
        uint256 count = entries.length / 32;
        for (uint256 i = 0; i < count; ++i) {
            TallyEntry entry = TallyWords.entryAt(entries, i);
            SetMember member = TallyWords.memberAt(members, i);
            if (entry.id() != member.id()) revert OfflineFault_ForeignEntry(i, entry.id(), member.id());
            if (entry.id() == id) (found, own) = (true, entry);
            uint256 missed = _missed(entry);
            all.missed += missed;
            all.assigned += entry.assigned();
            all.totalWeight += member.weight();
            if (_isAbsent(missed, entry.assigned())) all.absentWeight += member.weight();
        }
        if (!found) revert OfflineFault_NotAMember(id, tally.epoch);
        _judge(id, own, all);
    }

    /// @dev Whoever was absent counts as part of an outage, however few slots it had.
    function _judge(uint32 id, TallyEntry own, Attendance memory all) private view {
        uint256 assigned = own.assigned();
        uint256 missed = _missed(own);
        if (assigned < MIN_SLOTS) revert OfflineFault_TooFewSlots(id, assigned, MIN_SLOTS);
        if (!_isAbsent(missed, assigned)) revert OfflineFault_Present(id, missed, assigned);
        if (3 * all.absentWeight > all.totalWeight) {
            revert OfflineFault_TooManyAbsent(all.absentWeight, all.totalWeight);
        }
        if (3 * all.missed > all.assigned) revert OfflineFault_TooManyMissed(all.missed, all.assigned);
    }

    function _missed(TallyEntry entry) private pure returns (uint256) {
        (uint256 assigned, uint256 own) = (entry.assigned(), entry.own());
        return own < assigned ? assigned - own : 0;
    }

    function _isAbsent(uint256 missed, uint256 assigned) private pure returns (bool) {
        return assigned != 0 && 2 * missed >= assigned;
    }
}
