// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title EpochTrace
/// @notice A value over time: checkpoints keyed by epoch, appended in order, read at any epoch.
/// @dev Same semantics as OpenZeppelin's `Checkpoints.Trace208`, other layout: the latest checkpoint and the count
/// share one word, older ones are archived as they were. A first write costs one new slot instead of two, and reading
/// or replacing the latest value touches one slot instead of two (see docs/adr/0002-storage-of-staking.md).
///
/// A word, head or archived, from the highest bit:   24 bits  number of checkpoints up to and with this one (0: none)
/// 24 bits  epoch from which the value counts  208 bits  the value
library EpochTrace {
    struct Trace {
        uint256 head;
        mapping(uint256 index => uint256 word) past;
    }

    /// @notice The epoch is before the latest checkpoint.
    error EpochTrace_Unordered(uint256 epoch, uint256 latest);

    /// @notice The epoch (or the number of checkpoints, at most one per epoch) does not fit 24 bits.
    error EpochTrace_EpochTooLarge(uint256 epoch);

    /// @notice There is no checkpoint `index`.
    error EpochTrace_OutOfRange(uint256 index, uint256 count);

    /// @notice Sets the value from `epoch` on. Replaces the latest checkpoint if it has the same epoch.
    /// @dev Reverts: `EpochTrace_EpochTooLarge`, `EpochTrace_Unordered`.
    function push(Trace storage self, uint256 epoch, uint208 value) internal {
        if (epoch > type(uint24).max) revert EpochTrace_EpochTooLarge(epoch);
        uint256 head = self.head;
        uint256 length = head >> 232;
        if (length != 0) {
            uint256 last = _epoch(head);
            if (epoch < last) revert EpochTrace_Unordered(epoch, last);
            if (epoch > last) self.past[length - 1] = head;
            else length -= 1;
        }
        self.head = ((length + 1) << 232) | (epoch << 208) | value;
    }

    /// @notice The latest value, in force or not yet; 0 without checkpoints.
    function latest(Trace storage self) internal view returns (uint208) {
        return uint208(self.head);
    }

    /// @notice The epoch of the latest checkpoint; 0 without checkpoints.
    function latestEpoch(Trace storage self) internal view returns (uint32) {
        return uint32(_epoch(self.head));
    }

    /// @notice The value in force in `epoch`; 0 before the first checkpoint.
    function valueAt(Trace storage self, uint256 epoch) internal view returns (uint208) {
        return uint208(_wordAt(self, epoch));
    }

    /// @notice The epoch of the checkpoint in force in `epoch`; 0 before the first.
    function keyAt(Trace storage self, uint256 epoch) internal view returns (uint32) {
        return uint32(_epoch(_wordAt(self, epoch)));
    }

    /// @notice Number of checkpoints.
    function count(Trace storage self) internal view returns (uint256) {
        return self.head >> 232;
    }

    /// @notice Checkpoint `index`, oldest first. Reverts: `EpochTrace_OutOfRange`.
    function checkpoint(Trace storage self, uint256 index) internal view returns (uint32 epoch, uint208 value) {
        uint256 word = self.head;
        uint256 length = word >> 232;
        if (index >= length) revert EpochTrace_OutOfRange(index, length);
        if (index + 1 < length) word = self.past[index];
        // forge-lint: disable-next-line(unsafe-typecast)
        return (uint32(_epoch(word)), uint208(word));
    }

    /// @dev The last word with an epoch at or before `epoch`; 0 if there is none. Questions are nearly always about the
    /// present, so the two youngest checkpoints come before the binary search. An empty trace answers with its head, 0.
    function _wordAt(Trace storage self, uint256 epoch) private view returns (uint256 word) {
        word = self.head;
        return _epoch(word) <= epoch ? word : _pastWordAt(self, epoch, (word >> 232) - 1);
    }

    /// @dev The same among the first `high` checkpoints, all archived.
    function _pastWordAt(Trace storage self, uint256 epoch, uint256 high) private view returns (uint256 word) {
        if (high == 0) return 0;
        word = self.past[--high];
        if (_epoch(word) <= epoch) return word;
        uint256 low = 0;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (_epoch(self.past[middle]) <= epoch) low = middle + 1;
            else high = middle;
        }
        return low == 0 ? 0 : self.past[low - 1];
    }

    function _epoch(uint256 word) private pure returns (uint256) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint24(word >> 208);
    }
}
