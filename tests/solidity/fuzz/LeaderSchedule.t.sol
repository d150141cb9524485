// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";

interface ILeaderScheduleHarness {
    error LeaderSchedule_HeightBeforeFirst(uint64 height, uint64 firstHeight);
    error LeaderSchedule_MalformedMembers(uint256 length);

    function leader(
        bytes32 seed,
        uint64 height,
        uint64 firstHeight,
        uint32 round,
        uint256 slots,
        bytes calldata members
    ) external pure returns (uint256);
    function tally(bytes32 seed, uint64 window, uint256 slots, bytes calldata members)
        external
        pure
        returns (uint256[] memory led);
    function permute(bytes32 windowSeed, uint256 slot, uint256 slots) external pure returns (uint256);
    function isWindow(uint256 slots) external pure returns (bool);
    function memberAt(bytes calldata members, uint256 index) external pure returns (address, uint32, uint64);
}

/// @notice Invariants L2 and L3 of the schedule, and its edges.
contract LeaderScheduleTest is Test {
    ILeaderScheduleHarness private schedule;

    function setUp() public {
        schedule = ILeaderScheduleHarness(vm.deployCode("LeaderScheduleHarness.sol:LeaderScheduleHarness"));
    }

    /// @notice L2: every member leads floor or ceil of its exact share of every full window.
    function testFuzz_L2_quota(bytes32 seed, uint64 window, uint8 size, uint8 exponent) public view {
        uint256 slots = 4 ** bound(exponent, 0, 4);
        bytes memory members = _members(seed, bound(size, 1, 40));
        uint256[] memory led = schedule.tally(seed, window % (1 << 40), slots, members);
        uint256 total = _total(members);
        uint256 sum = 0;
        for (uint256 i = 0; i < led.length; ++i) {
            (,, uint64 weight) = schedule.memberAt(members, i);
            uint256 floor = slots * weight / total;
            uint256 ceil = (slots * weight + total - 1) / total;
            assertGe(led[i], floor, "below floor of the quota");
            assertLe(led[i], ceil, "above ceil of the quota");
            sum += led[i];
        }
        assertEq(sum, slots, "every slot has one leader");
    }

    /// @notice L2: the permutation of a window is a bijection.
    function testFuzz_L2_permutationIsBijection(bytes32 windowSeed, uint8 exponent) public view {
        uint256 slots = 4 ** bound(exponent, 0, 5);
        bool[] memory seen = new bool[](slots);
        for (uint256 slot = 0; slot < slots; ++slot) {
            uint256 place = schedule.permute(windowSeed, slot, slots);
            assertLt(place, slots, "outside the window");
            assertFalse(seen[place], "taken twice");
            seen[place] = true;
        }
    }

    /// @notice L3: the leaders of rounds 0 to n - 1 of a height are a permutation of the members, then it repeats.
    function testFuzz_L3_rounds(bytes32 seed, uint64 first, uint32 offset, uint8 size) public view {
        uint256 n = bound(size, 1, 128);
        bytes memory members = _members(seed, n);
        first = uint64(bound(first, 0, type(uint64).max - type(uint32).max));
        bool[] memory seen = new bool[](n);
        for (uint32 round = 0; round < n; ++round) {
            uint256 index = schedule.leader(seed, first + offset, first, round, 64, members);
            assertLt(index, n);
            assertFalse(seen[index], "leads two rounds");
            seen[index] = true;
        }
        if (n > 1) {
            assertEq(
                schedule.leader(seed, first + offset, first, uint32(n), 64, members),
                schedule.leader(seed, first + offset, first, 1, 64, members),
                "the other members take turns"
            );
        }
    }

    /// @notice A height before the window or the next set's heights do not matter: only the distance to the first height
    /// does in round 0.
    function testFuzz_round0_dependsOnDistanceOnly(bytes32 seed, uint32 first, uint32 offset, uint8 size) public view {
        bytes memory members = _members(seed, bound(size, 1, 128));
        assertEq(
            schedule.leader(seed, uint64(first) + offset, first, 0, 1024, members),
            schedule.leader(seed, offset, 0, 0, 1024, members)
        );
    }

    function test_extremes() public view {
        // One member always leads, also at the end of all numbers and in any round.
        bytes memory one = abi.encodePacked(address(1), uint32(1), uint64(1));
        assertEq(schedule.leader(0, type(uint64).max, 0, type(uint32).max, 1, one), 0);
        // The largest total weight the set allows.
        uint64 most = type(uint64).max / 3 / 2;
        bytes memory two = abi.encodePacked(address(1), uint32(1), most, address(2), uint32(2), most);
        assertLt(schedule.leader(bytes32(type(uint256).max), type(uint64).max, 0, type(uint32).max, 65_536, two), 2);
        // A member of one gwei beside a giant leads at most one slot of a window.
        bytes memory dwarf = abi.encodePacked(address(1), uint32(1), uint64(1), address(2), uint32(2), most);
        assertLe(schedule.tally("dwarf", 0, 64, dwarf)[0], 1);
    }

    function test_isWindow() public view {
        uint256 valid = 0;
        for (uint256 slots = 0; slots <= 70_000; ++slots) {
            bool expected = slots == 1 || slots == 4 || slots == 16 || slots == 64 || slots == 256 || slots == 1024
                || slots == 4096 || slots == 16_384 || slots == 65_536;
            if (expected) ++valid;
            if (slots < 300 || expected || slots % 1024 == 0) assertEq(schedule.isWindow(slots), expected);
        }
        assertEq(valid, 9);
        assertFalse(schedule.isWindow(1 << 18));
        assertFalse(schedule.isWindow(type(uint256).max));
        assertFalse(schedule.isWindow(1 << 255));
    }

    function test_memberAt() public view {
        bytes memory members = bytes.concat(
            abi.encodePacked(address(1), uint32(2), uint64(3)),
            abi.encodePacked(address(type(uint160).max), type(uint32).max - 1, type(uint64).max - 2)
        );
        (address signer, uint32 id, uint64 weight) = schedule.memberAt(members, 1);
        assertEq(signer, address(type(uint160).max));
        assertEq(id, type(uint32).max - 1);
        assertEq(weight, type(uint64).max - 2);
    }

    function test_revert_heightBeforeFirst() public {
        bytes memory members = _members("x", 3);
        vm.expectRevert(abi.encodeWithSelector(ILeaderScheduleHarness.LeaderSchedule_HeightBeforeFirst.selector, 9, 10));
        schedule.leader("x", 9, 10, 0, 64, members);
    }

    function test_revert_malformedMembers() public {
        vm.expectRevert(abi.encodeWithSelector(ILeaderScheduleHarness.LeaderSchedule_MalformedMembers.selector, 0));
        schedule.leader("x", 10, 10, 0, 64, "");
        vm.expectRevert(abi.encodeWithSelector(ILeaderScheduleHarness.LeaderSchedule_MalformedMembers.selector, 33));
        schedule.leader("x", 10, 10, 0, 64, new bytes(33));
    }

    /// @dev `n` members with weights of very different sizes, `3 * total < 2^64`.
    function _members(bytes32 seed, uint256 n) private pure returns (bytes memory members) {
        for (uint256 i = 0; i < n; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            uint64 weight = uint64(1 + (word % (1 << 55)) >> (word >> 250));
            members = abi.encodePacked(members, address(uint160(word >> 64)), uint32(i + 1), weight == 0 ? 1 : weight);
        }
    }

    function _total(bytes memory members) private view returns (uint256 total) {
        for (uint256 i = 0; i < members.length / 32; ++i) {
            (,, uint64 weight) = schedule.memberAt(members, i);
            total += weight;
        }
    }
}
