// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title EpochShares
/// @notice A share of weight for each epoch, in units of 1e-9 (`ALL` is all of it), eight epochs to a storage slot.
/// Shares only grow. At the largest number of 32 bits, four times everything, they stay: the rate ends at a third.
library EpochShares {
    struct Shares {
        mapping(uint256 slot => uint256 eight) slots;
    }

    /// @dev All of the weight.
    uint256 internal constant ALL = 1e9;

    uint256 private constant _LARGEST = type(uint32).max;

    function shareAt(Shares storage self, uint256 epoch) internal view returns (uint256) {
        return _ofEight(self.slots[epoch / 8], epoch);
    }

    function add(Shares storage self, uint256 epoch, uint256 more) internal {
        uint256 eight = self.slots[epoch / 8];
        uint256 room = _LARGEST - _ofEight(eight, epoch);
        if (more > room) more = room;
        // No carry: the sum fits its 32 bits.
        self.slots[epoch / 8] = eight + (more << _shift(epoch));
    }

    function _ofEight(uint256 eight, uint256 epoch) private pure returns (uint256) {
        return (eight >> _shift(epoch)) & _LARGEST;
    }

    function _shift(uint256 epoch) private pure returns (uint256) {
        return 32 * (epoch % 8);
    }
}
