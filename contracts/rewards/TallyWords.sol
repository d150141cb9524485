// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice One entry of an epoch tally: `id (4) ‖ slotsAssigned (4) ‖ ownProduced (4) ‖ fallbackProduced (4) ‖
/// priorityFeesWei (16)`, big endian.
type TallyEntry is bytes32;

/// @notice One member of a frozen set: `signer (20) ‖ id (4) ‖ weight in gwei (8)`, big endian.
type SetMember is bytes32;

using TallyWords for TallyEntry global;
using TallyWords for SetMember global;

/// @title Tally words
/// @notice Reads the 32-byte words a tally and a frozen set consist of.
library TallyWords {
    /// @notice Entry number `index` of packed `entries`; the caller has checked the length.
    function entryAt(bytes calldata entries, uint256 index) internal pure returns (TallyEntry) {
        return TallyEntry.wrap(_wordAt(entries, index));
    }

    /// @notice Member number `index` of packed `members`; the caller has checked the length.
    function memberAt(bytes calldata members, uint256 index) internal pure returns (SetMember) {
        return SetMember.wrap(_wordAt(members, index));
    }

    /// @notice Operator the entry is about.
    function id(TallyEntry entry) internal pure returns (uint32) {
        return uint32(uint256(TallyEntry.unwrap(entry)) >> 224);
    }

    /// @notice Blocks whose first leader was the operator.
    function assigned(TallyEntry entry) internal pure returns (uint32) {
        return uint32(uint256(TallyEntry.unwrap(entry)) >> 192);
    }

    /// @notice Blocks it made as their first leader.
    function own(TallyEntry entry) internal pure returns (uint32) {
        return uint32(uint256(TallyEntry.unwrap(entry)) >> 160);
    }

    /// @notice Blocks it made because an earlier leader was silent.
    function substituted(TallyEntry entry) internal pure returns (uint32) {
        return uint32(uint256(TallyEntry.unwrap(entry)) >> 128);
    }

    /// @notice Priority fees of the blocks it made, wei.
    function priority(TallyEntry entry) internal pure returns (uint128) {
        return uint128(uint256(TallyEntry.unwrap(entry)));
    }

    /// @notice Key of the member.
    function signer(SetMember member) internal pure returns (address) {
        return address(uint160(uint256(SetMember.unwrap(member)) >> 96));
    }

    /// @notice Operator id of the member.
    function id(SetMember member) internal pure returns (uint32) {
        return uint32(uint256(SetMember.unwrap(member)) >> 64);
    }

    /// @notice Weight of the member, gwei.
    function weight(SetMember member) internal pure returns (uint64) {
        return uint64(uint256(SetMember.unwrap(member)));
    }

    function _wordAt(bytes calldata data, uint256 index) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, shl(5, index)))
        }
    }
}
