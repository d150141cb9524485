// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";

interface ILeaderScheduleHarness {
    function leader(
        bytes32 seed,
        uint64 height,
        uint64 firstHeight,
        uint32 round,
        uint256 slots,
        bytes calldata members
    ) external pure returns (uint256);
}

/// @notice Invariant L1: the schedule of `rota-protocol` and the one on L1 are the same, on every golden vector.
contract LeaderScheduleDifferentialTest is Test {
    struct Member {
        uint256 id;
        address signer;
        uint256 weight;
    }

    /// @dev Fields as forge hands them over: in alphabetical order.
    struct Vector {
        uint256 firstHeight;
        uint256 height;
        uint256 leader;
        Member[] members;
        uint256 round;
        bytes32 seed;
        uint256 slots;
    }

    string private constant MEMBER = "Member(uint256 id,address signer,uint256 weight)";
    string private constant VECTOR =
        "Vector(uint256 firstHeight,uint256 height,uint256 leader,Member[] members,uint256 round,bytes32 seed,uint256 slots)";

    function test_L1_goldenVectors() public {
        ILeaderScheduleHarness schedule =
            ILeaderScheduleHarness(vm.deployCode("LeaderScheduleHarness.sol:LeaderScheduleHarness"));
        string memory json = vm.readFile("tests/vectors/leader_schedule.json");
        bytes memory data = vm.parseJsonTypeArray(json, "$", string.concat(VECTOR, MEMBER));
        Vector[] memory vectors = abi.decode(data, (Vector[]));
        assertGt(vectors.length, 0, "no vectors");
        for (uint256 i = 0; i < vectors.length; ++i) {
            Vector memory v = vectors[i];
            bytes memory members;
            for (uint256 j = 0; j < v.members.length; ++j) {
                Member memory member = v.members[j];
                members = abi.encodePacked(members, member.signer, uint32(member.id), uint64(member.weight));
            }
            uint256 actual =
                schedule.leader(v.seed, uint64(v.height), uint64(v.firstHeight), uint32(v.round), v.slots, members);
            assertEq(actual, v.leader, string.concat("vector ", vm.toString(i)));
        }
    }
}
