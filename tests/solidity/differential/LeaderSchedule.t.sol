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

/// @notice Invariant L1: the schedule of `rota-protocol` and the one on L1 are the same, on every golden vector and on
/// chains of random inputs whose digests the Rust side committed: 10^4 inputs always, 10^6 with
/// `ROTA_SCHEDULE_INPUTS=1000000`.
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

    /// @dev Digest of the first `count` random inputs and their leaders.
    struct HashedStretch {
        uint256 count;
        bytes32 digest;
    }

    uint256 private constant CHUNK = 50;
    string private constant MEMBER = "Member(uint256 id,address signer,uint256 weight)";
    string private constant VECTOR =
        "Vector(uint256 firstHeight,uint256 height,uint256 leader,Member[] members,uint256 round,bytes32 seed,uint256 slots)";

    ILeaderScheduleHarness private schedule;

    function setUp() public {
        schedule = ILeaderScheduleHarness(vm.deployCode("LeaderScheduleHarness.sol:LeaderScheduleHarness"));
    }

    function test_L1_goldenVectors() public view {
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

    function test_L1_randomInputs() public {
        vm.pauseGasMetering();
        uint256 most = vm.envOr("ROTA_SCHEDULE_INPUTS", uint256(10_000));
        string memory json = vm.readFile("tests/vectors/leader_schedule_random.json");
        bytes memory data = vm.parseJsonTypeArray(json, "$", "HashedStretch(uint256 count,bytes32 digest)");
        HashedStretch[] memory chains = abi.decode(data, (HashedStretch[]));
        assertGe(chains[0].count, 10_000, "too few");
        for (uint256 i = 0; i < chains.length && chains[i].count <= most; ++i) {
            bytes32 digest = keccak256("rota leader schedule");
            for (uint256 from = 0; from < chains[i].count; from += CHUNK) {
                digest = this.extend(digest, from, CHUNK);
            }
            assertEq(digest, chains[i].digest, string.concat("inputs: ", vm.toString(chains[i].count)));
        }
    }

    /// @dev Adds inputs `from` to `from + count - 1` to the digest. External, so that its memory is freed.
    function extend(bytes32 digest, uint256 from, uint256 count) external view returns (bytes32) {
        for (uint256 i = from; i < from + count; ++i) {
            bytes32 seed = keccak256(abi.encodePacked(digest, uint64(i)));
            digest = keccak256(abi.encodePacked(digest, uint8(_leaderOf(seed))));
        }
        return digest;
    }

    /// @dev The random input that `seed` stands for. Field by field the same as in `sequencer/protocol/tests/it/vectors.rs`.
    function _leaderOf(bytes32 seed) private view returns (uint256) {
        uint256 word = uint256(seed);
        uint256 size = 1 + word % 16;
        uint256 slots = 4 ** ((word >> 8) % 9);
        uint64 first = uint64((word >> 16) % (1 << 40));
        uint64 offset = uint64(((word >> 56) % (1 << 40)) >> ((word >> 96) % 40));
        // Mostly a round that can happen, now and then any.
        uint32 round = (word >> 104) % 4 == 0 ? uint32(word >> 112) : uint32((word >> 112) % (size + 1));
        bytes memory members;
        for (uint256 j = 0; j < size; ++j) {
            uint256 noise = uint256(keccak256(abi.encodePacked(seed, uint8(j))));
            uint64 weight = 1 + uint64(((noise >> 160) % (1 << 57)) >> ((noise >> 224) % 57));
            members = abi.encodePacked(members, address(uint160(noise)), uint32(j + 1), weight);
        }
        return schedule.leader(seed, first + offset, first, round, slots, members);
    }
}
