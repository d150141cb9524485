// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";

interface ILiquidLibraries {
    function lockedUp(uint256 amount, uint256 start, uint256 end, uint256 time) external pure returns (uint256);
    function add(uint256 amount, uint256 start, uint256 end, uint256 gain, uint256 duration, uint256 time)
        external
        pure
        returns (uint256, uint256, uint256);
    function take(uint256 amount, uint256 start, uint256 end, uint256 loss, uint256 time)
        external
        pure
        returns (uint256, uint256, uint256, uint256);
    function feeUp(uint256 floorBps, uint256 spanBps, uint256 buffer, uint256 target, uint256 net)
        external
        pure
        returns (uint256);
    function netDown(uint256 floorBps, uint256 spanBps, uint256 buffer, uint256 target, uint256 gross)
        external
        pure
        returns (uint256);
    function valueAfter(uint256 value, uint256 fractionWad) external pure returns (uint256);
    function share(
        uint256 loss,
        uint256 stayers,
        uint256 fees,
        uint256[] memory exits,
        uint32[] memory epochs,
        uint32 sigma
    ) external pure returns (uint256, uint256, uint256, uint256, uint256[] memory);
}

/// @notice The pure formulas of liquid staking against plain restatements of what they promise.
contract LiquidFuzz is Test {
    ILiquidLibraries private lib;
    uint256 private constant MAX = 1e30;

    function setUp() public {
        lib = ILiquidLibraries(vm.deployCode("LiquidLibraries.sol:LiquidLibraries"));
    }

    // --- instant exit

    /// @notice Q10: the inverse is exact: it pays all that the shares buy, and not a wei more.
    function testFuzz_netIsTheLargestThatFits(
        uint256 floorBps,
        uint256 spanBps,
        uint256 buffer,
        uint256 target,
        uint256 gross
    ) public view {
        (floorBps, spanBps) = (bound(floorBps, 0, 100), bound(spanBps, 0, 1000));
        (buffer, target, gross) = (bound(buffer, 0, MAX), bound(target, 0, MAX), bound(gross, 0, MAX));
        uint256 net = lib.netDown(floorBps, spanBps, buffer, target, gross);
        assertLe(net + lib.feeUp(floorBps, spanBps, buffer, target, net), gross);
        assertGt(net + 1 + lib.feeUp(floorBps, spanBps, buffer, target, net + 1), gross);
    }

    /// @notice Q20: in steps one pays the same as at once, up to the roundings of each step, which are the leaver's.
    function testFuzz_Q20_splittingDoesNotPay(
        uint256 floorBps,
        uint256 spanBps,
        uint256 buffer,
        uint256 target,
        uint256 net,
        uint256 cut
    ) public view {
        (floorBps, spanBps) = (bound(floorBps, 0, 100), bound(spanBps, 0, 1000));
        (buffer, target) = (bound(buffer, 2, MAX), bound(target, 0, MAX));
        net = bound(net, 2, buffer);
        cut = bound(cut, 1, net - 1);
        uint256 whole = lib.feeUp(floorBps, spanBps, buffer, target, net);
        uint256 parts = lib.feeUp(floorBps, spanBps, buffer, target, cut)
            + lib.feeUp(floorBps, spanBps, buffer - cut, target, net - cut);
        assertGe(parts, whole, "a split saves nothing");
        assertLe(parts, whole + 3, "and costs its roundings only");
    }

    function testFuzz_feeGrowsAndStaysBetweenFloorAndSpan(uint256 buffer, uint256 target, uint256 net) public view {
        (buffer, target) = (bound(buffer, 1e9, MAX), bound(target, 0, MAX));
        net = bound(net, 1e9, buffer);
        uint256 fee = lib.feeUp(5, 200, buffer, target, net);
        assertGe(fee, net * 5 / 10_000);
        assertLe(fee, net * 205 / 10_000 + 2);
        assertLe(fee, lib.feeUp(5, 200, buffer, target, net + 1));
    }

    /// @notice A full buffer asks the floor; draining it asks floor and half the span; all by hand.
    function test_feeByHand() public view {
        assertEq(lib.feeUp(5, 200, 200e18, 100e18, 100e18), 0.05e18);
        assertEq(lib.feeUp(5, 200, 100e18, 100e18, 100e18), 0.05e18 + 1e18);
        assertEq(lib.feeUp(5, 200, 150e18, 100e18, 100e18), 0.05e18 + 0.25e18);
        assertEq(lib.feeUp(5, 200, 0, 100e18, 100e18), 0.05e18 + 2e18);
        assertEq(lib.feeUp(5, 200, 50e18, 0, 50e18), 0.025e18);
        assertEq(lib.feeUp(0, 0, 50e18, 100e18, 60e18), 0);
    }

    // --- drip

    function testFuzz_dripFallsFromAllToNothing(uint256 amount, uint256 span, uint256 a, uint256 b) public view {
        amount = bound(amount, 0, MAX);
        span = bound(span, 1, 1e9);
        a = bound(a, 0, span);
        b = bound(b, a, span);
        uint256 atA = lib.lockedUp(amount, 1000, 1000 + span, 1000 + a);
        assertLe(lib.lockedUp(amount, 1000, 1000 + span, 1000 + b), atA);
        assertLe(atA, amount);
        assertEq(atA, (amount * (span - a) + span - 1) / span);
        assertEq(lib.lockedUp(amount, 1000, 1000 + span, 1000 + span), 0);
    }

    /// @notice A gain adds itself and no more, and the end lies between both ends by weight.
    function testFuzz_dripAdd(uint256 amount, uint256 left, uint256 gain, uint256 duration) public view {
        (amount, gain) = (bound(amount, 0, MAX), bound(gain, 1, MAX));
        (left, duration) = (bound(left, 1, 1e8), bound(duration, 1, 1e8));
        (uint256 total, uint256 start, uint256 end) = lib.add(amount, 500, 1000 + left, gain, duration, 1000);
        uint256 locked = lib.lockedUp(amount, 500, 1000 + left, 1000);
        assertEq(total, locked + gain);
        assertEq(lib.lockedUp(total, start, end, 1000), total, "Q6: nothing at once");
        assertGe(end - 1000, locked != 0 && left < duration ? left : duration);
        assertLe(end - 1000, locked != 0 && left > duration ? left : duration);
    }

    function testFuzz_dripTake(uint256 amount, uint256 left, uint256 loss) public view {
        (amount, left, loss) = (bound(amount, 0, MAX), bound(left, 1, 1e8), bound(loss, 0, MAX));
        uint256 locked = lib.lockedUp(amount, 500, 1000 + left, 1000);
        (uint256 rest, uint256 start, uint256 end, uint256 taken) = lib.take(amount, 500, 1000 + left, loss, 1000);
        assertEq(taken, locked < loss ? locked : loss);
        assertEq(lib.lockedUp(rest, start, end, 1000), locked - taken);
        assertEq(lib.lockedUp(rest, start, end, 1000 + left), 0);
    }

    // --- losses

    /// @notice The books stay at or below a holder's part of a pool, whatever pool and part are.
    function testFuzz_booksNeverAboveThePool(uint256 tokens, uint256 units, uint256 mine, uint256 fraction)
        public
        view
    {
        units = bound(units, 1, 1e29);
        tokens = bound(tokens, 1, units);
        mine = bound(mine, 0, units);
        fraction = bound(fraction, 1, 1e18);
        uint256 booked = tokens * mine / units;
        uint256 loss = fraction == 1e18 ? tokens : (tokens * fraction + 1e18 - 1) / 1e18;
        if (fraction != 1e18 && loss > tokens - 1) loss = tokens - 1;
        uint256 real = (tokens - loss) * mine / units;
        uint256 later = lib.valueAfter(booked, fraction);
        assertLe(later, real);
        assertLe(real - later, 3, "by dust");
    }

    /// @notice Q16: same percentage for all liable, nothing from others; Q2: what is charged is what was lost.
    function testFuzz_Q16_sharing(
        uint256 loss,
        uint256 stayers,
        uint256 fees,
        uint256[5] memory owed,
        uint8[5] memory epochs_,
        uint32 sigma
    ) public view {
        Case memory c = Case(0, bound(stayers, 0, MAX), bound(fees, 0, MAX), uint32(bound(sigma, 0, 300)), 0);
        uint256[] memory exits = new uint256[](5);
        uint32[] memory epochs = new uint32[](5);
        c.liable = c.stayers;
        uint256 all = c.stayers + c.fees;
        for (uint256 i = 0; i < 5; ++i) {
            (exits[i], epochs[i]) = (bound(owed[i], 0, MAX), epochs_[i]);
            all += exits[i];
            if (uint256(epochs[i]) + 1 >= c.sigma) c.liable += exits[i];
        }
        c.loss = bound(loss, 0, all);
        _checkSharing(c, exits, epochs);
    }

    struct Case {
        uint256 loss;
        uint256 stayers;
        uint256 fees;
        uint32 sigma;
        uint256 liable;
    }

    function _checkSharing(Case memory c, uint256[] memory exits, uint32[] memory epochs) private view {
        (uint256 stayersPart, uint256 feesPart, uint256 exitsPart, uint256 base, uint256[] memory left) =
            lib.share(c.loss, c.stayers, c.fees, exits, epochs, c.sigma);
        assertEq(base, c.liable);
        assertLe(stayersPart, c.stayers);
        assertGe(stayersPart + feesPart + exitsPart, c.loss, "nothing is forgotten");
        assertLe(stayersPart + feesPart + exitsPart, c.loss + 5, "roundings only");
        if (c.loss <= c.liable) assertEq(feesPart, 0);
        uint256 sum;
        for (uint256 i = 0; i < 5; ++i) {
            sum += _checkExit(c, exits[i], epochs[i], left[i]);
        }
        assertEq(sum, exitsPart);
    }

    function _checkExit(Case memory c, uint256 owed, uint32 epoch, uint256 left) private pure returns (uint256 part) {
        part = owed - left;
        if (uint256(epoch) + 1 >= c.sigma) {
            uint256 borne = c.loss < c.liable ? c.loss : c.liable;
            uint256 exact = c.liable == 0 ? 0 : owed * borne / c.liable;
            assertGe(part, exact);
            assertLe(part, exact + 1, "the same percentage");
        } else if (c.loss <= c.liable + c.fees) {
            assertEq(part, 0, "not liable");
        }
    }
}
