// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title LeaderSchedule
/// @notice Who leads which round of which L2 height (protocol section 4). Pure: keccak-256 and integers, the same rule
/// as in the Rust crate `rota-protocol`, held together by tests/vectors/leader_schedule.json.
/// @dev A window of S slots is a pseudo-random permutation of S equidistant points on the line of cumulated weights
/// (systematic sampling), so each member leads floor or ceil of its exact share of every full window (invariant L2).
library LeaderSchedule {
    /// @notice Bytes of a member: `signer (20) ‖ id (4) ‖ weight (8)`, big endian.
    uint256 internal constant MEMBER_BYTES = 32;

    /// @notice Longest window, slots.
    uint256 internal constant MAX_SLOTS = 1 << 16;

    uint256 private constant FEISTEL_ROUNDS = 4;
    uint8 private constant OFFSET_TAG = 255;

    /// @notice The height is not served by the set.
    error LeaderSchedule_HeightBeforeFirst(uint64 height, uint64 firstHeight);

    /// @notice Members are empty or not a multiple of 32 bytes.
    error LeaderSchedule_MalformedMembers(uint256 length);

    /// @notice Index of the leader in `members`.
    /// @dev Reverts: `LeaderSchedule_MalformedMembers`, `LeaderSchedule_HeightBeforeFirst`.
    /// @param seed Seed of the set's epoch.
    /// @param height L2 height, at least `firstHeight`.
    /// @param firstHeight First L2 height served by the set.
    /// @param round Consensus round. Later rounds walk through all other members in order from a pseudo-random one.
    /// @param slots S, a window length that passed `isWindow`.
    /// @param members Members with total weight T > 0, T < 2^64.
    function leader(
        bytes32 seed,
        uint64 height,
        uint64 firstHeight,
        uint32 round,
        uint256 slots,
        bytes calldata members
    ) internal pure returns (uint256 index) {
        if (members.length == 0 || members.length % MEMBER_BYTES != 0) {
            revert LeaderSchedule_MalformedMembers(members.length);
        }
        if (height < firstHeight) revert LeaderSchedule_HeightBeforeFirst(height, firstHeight);
        uint256 size = members.length / MEMBER_BYTES;
        uint256 offset = height - firstHeight;
        // The quotient is at most `height`, a uint64.
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes32 windowSeed = keccak256(abi.encodePacked(seed, uint64(offset / slots)));
        index = _heir(windowSeed, offset % slots, slots, members, size);
        if (round != 0 && size > 1) {
            uint256 start = uint256(keccak256(abi.encodePacked(windowSeed, height)));
            uint256 rank = (start % (size - 1) + round - 1) % (size - 1);
            index = (index + 1 + rank) % size;
        }
    }

    /// @notice Splits member `index`.
    /// @param weight Gwei of stake.
    function memberAt(bytes calldata members, uint256 index)
        internal
        pure
        returns (address signer, uint32 id, uint64 weight)
    {
        uint256 word = uint256(bytes32(members[index * MEMBER_BYTES:(index + 1) * MEMBER_BYTES]));
        // forge-lint: disable-next-line(unsafe-typecast)
        return (address(uint160(word >> 96)), uint32(word >> 64), uint64(word));
    }

    /// @notice Whether a window may have this many slots: a power of four up to `MAX_SLOTS`.
    function isWindow(uint256 slots) internal pure returns (bool) {
        // One bit set, at an even place.
        return slots != 0 && slots <= MAX_SLOTS && slots & (slots - 1) == 0 && slots & 0x55555 != 0;
    }

    /// @notice The place of a slot in the window's permutation: a Feistel network over the two halves of its bits.
    /// @param windowSeed s of protocol section 4.
    /// @param slot 0 to `slots - 1`.
    /// @param slots S.
    function permute(bytes32 windowSeed, uint256 slot, uint256 slots) internal pure returns (uint256) {
        uint256 half = 0;
        // forge-lint: disable-next-line(incorrect-shift)
        while (1 << (2 * half) < slots) ++half;
        // forge-lint: disable-next-line(incorrect-shift)
        uint256 mask = (1 << half) - 1;
        (uint256 a, uint256 b) = (slot >> half, slot & mask);
        for (uint256 j = 0; j < FEISTEL_ROUNDS; ++j) {
            // Both are far below their width: j < 4, b < 2^8.
            // forge-lint: disable-next-line(unsafe-typecast)
            uint256 noise = uint256(keccak256(abi.encodePacked(windowSeed, uint8(j), uint64(b))));
            (a, b) = (b, a ^ (noise & mask));
        }
        return (a << half) | b;
    }

    /// @dev The member on whose stretch of the cumulated weights the point of the slot falls.
    function _heir(bytes32 windowSeed, uint256 slot, uint256 slots, bytes calldata members, uint256 size)
        private
        pure
        returns (uint256 index)
    {
        uint256 total = 0;
        for (uint256 i = 0; i < size; ++i) {
            total += _weight(members, i);
        }
        uint256 shift = ((uint256(keccak256(abi.encodePacked(windowSeed, OFFSET_TAG))) >> 128) * total) >> 128;
        uint256 point = (permute(windowSeed, slot, slots) * total + shift) / slots;
        // point < total, so the walk ends inside the members.
        uint256 reached = _weight(members, 0);
        while (reached <= point) {
            ++index;
            reached += _weight(members, index);
        }
    }

    function _weight(bytes calldata members, uint256 index) private pure returns (uint256 weight) {
        assembly ("memory-safe") {
            weight := and(calldataload(add(members.offset, shl(5, index))), 0xffffffffffffffff)
        }
    }
}
