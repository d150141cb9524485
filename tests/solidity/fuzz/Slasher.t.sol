// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISlasher} from "contracts/interfaces/ISlasher.sol";

import {SlashingFixture} from "../harness/SlashingFixture.sol";

/// @notice Rates against the formula in exact arithmetic, orders of proofs against each other.
contract SlasherFuzzTest is SlashingFixture {
    uint32 private constant COUNT = 5;

    /// @dev Who is convicted of what.
    struct Case {
        uint32 sigma;
        uint64 weight;
        uint256 leaves;
    }

    function setUp() public {
        _deploySlashing(8, 16);
        _start(COUNT, 12);
    }

    /// @notice `max(5 %, 9 · share²)` and never above 100 %, rounded up.
    function testFuzz_rate(uint64 weight, uint64 total) public {
        total = uint64(bound(total, 1, type(uint64).max / 3));
        weight = uint64(bound(weight, 1, total));
        uint256 taken = _convict(1, 12, weight, total);
        uint256 rate = slashing.convictionOf(1).rate;
        assertLe(rate, WAD);
        assertGe(rate, 0.05e18);
        // 9 w²/t² with 512 bits to spare: weights have 64.
        (uint256 w, uint256 t) = (weight, total);
        uint256 exact = 9 * w * w * WAD / (t * t);
        if (3 * w >= t) assertEq(rate, WAD);
        else assertGe(rate, exact);
        // A share rounded up to a wad is at most 1e-18 too large, 9 · share² at most 18e-18 more, then rounded up.
        if (exact > 0.05e18 && rate < WAD) assertLe(rate, exact + 20);
        assertEq(taken, _lossUp(1000e18, rate));
    }

    /// @notice S4: whatever the order of the proofs, and whenever the top-ups come, each operator ends at the same rate
    /// and each pool and cohort with the same content up to rounding.
    function testFuzz_S4_anyOrder(uint256 seed) public {
        Case[] memory cases = new Case[](COUNT);
        for (uint32 i = 0; i < COUNT; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            cases[i] = Case(uint32(9 + dice % 4), uint64(1 + (dice >> 32) % 120), (dice >> 64) % 1000e18);
        }
        uint256 start = vm.snapshotState();
        uint256[4][] memory one = _play(cases, uint256(keccak256(abi.encode(seed, "one"))));
        vm.revertToState(start);
        uint256[4][] memory other = _play(cases, uint256(keccak256(abi.encode(seed, "other"))));
        for (uint256 i = 0; i < COUNT; ++i) {
            assertEq(one[i][0], other[i][0], "rate");
            // The fraction of a top-up is rounded to 1e-18 of a pool of 1e21 wei, for each of at most four of them.
            assertApproxEqAbs(one[i][1], other[i][1], 8000, "pool");
            assertApproxEqAbs(one[i][2], other[i][2], 8000, "cohort");
            assertApproxEqAbs(one[i][3], other[i][3], 16_000, "taken");
            // Alone, in one slash at the final rate.
            assertEq(one[i][1] + one[i][2] + one[i][3], 1000e18, "nothing is lost");
            assertApproxEqAbs(one[i][3], 1000e18 * one[i][0] / WAD, 16_000, "as in one slash");
        }
    }

    /// @notice S3: leaving between fault and proof, or between proof and top-up, lowers nothing.
    function testFuzz_S3_leavingDoesNotHelp(uint256 leaves, uint256 thenLeaves) public {
        uint256 start = vm.snapshotState();
        uint256 stayed = _convict(1, 12, 1, 8);
        stayed += _raise();
        vm.revertToState(start);
        _undelegate(_owner(0), 1, bound(leaves, 1, 999e18));
        _toEpoch(13);
        uint256 left = _convict(1, 12, 1, 8);
        uint256 units = vault.units(1, _owner(0));
        _undelegate(_owner(0), 1, bound(thenLeaves, 1, units));
        left += _raise();
        assertGe(left + 2000, stayed);
        assertLe(left, stayed + 4000);
    }

    function _raise() private returns (uint256) {
        _convict(2, 12, 1, 8);
        return slashing.topUp(1);
    }

    /// @dev Convicts all in a random order, with undelegations and top-ups at random times between; then raises what is
    /// due.
    function _play(Case[] memory cases, uint256 dice) private returns (uint256[4][] memory result) {
        uint32[] memory order = new uint32[](COUNT);
        for (uint32 i = 0; i < COUNT; ++i) {
            uint256 j = (dice >> (8 * i)) % (i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        for (uint256 i = 0; i < COUNT; ++i) {
            uint32 index = order[i];
            Case memory c = cases[index];
            bool early = (dice >> (64 + i)) & 1 == 0;
            if (early && c.leaves != 0) _undelegate(_owner(index), index + 1, c.leaves);
            _convict(index + 1, c.sigma, c.weight, 1000);
            if (!early && c.leaves != 0) _undelegate(_owner(index), index + 1, c.leaves);
            uint32 any = uint32((dice >> (96 + 8 * i)) % COUNT) + 1;
            if (slashing.topUpDue(any) != 0) slashing.topUp(any);
        }
        result = new uint256[4][](COUNT);
        for (uint32 i = 0; i < COUNT; ++i) {
            if (slashing.topUpDue(i + 1) != 0) slashing.topUp(i + 1);
            ISlasher.Conviction memory conviction = slashing.convictionOf(i + 1);
            (uint256 tokens,) = vault.pool(i + 1);
            (uint256 thawing,) = vault.thawOf(i + 1, 12);
            result[i] = [uint256(conviction.rate), tokens, thawing, conviction.taken];
        }
        assertEq(
            token.balanceOf(escrow),
            result[0][3] + result[1][3] + result[2][3] + result[3][3] + result[4][3],
            "all that was taken is in the escrow"
        );
    }
}
