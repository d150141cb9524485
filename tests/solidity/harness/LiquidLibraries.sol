// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Drip} from "contracts/liquid/Drip.sol";
import {InstantExitFee} from "contracts/liquid/InstantExitFee.sol";
import {LossSharing} from "contracts/liquid/LossSharing.sol";

/// @dev The libraries' internal functions, callable.
contract LiquidLibraries {
    using Drip for Drip.Stretch;
    using InstantExitFee for InstantExitFee.Curve;

    function lockedUp(uint256 amount, uint256 start, uint256 end, uint256 time) external pure returns (uint256) {
        return Drip.Stretch(amount, start, end).lockedUp(time);
    }

    function add(uint256 amount, uint256 start, uint256 end, uint256 gain, uint256 duration, uint256 time)
        external
        pure
        returns (uint256, uint256, uint256)
    {
        Drip.Stretch memory s = Drip.Stretch(amount, start, end).add(gain, duration, time);
        return (s.amount, s.start, s.end);
    }

    function take(uint256 amount, uint256 start, uint256 end, uint256 loss, uint256 time)
        external
        pure
        returns (uint256, uint256, uint256, uint256)
    {
        (Drip.Stretch memory s, uint256 taken) = Drip.Stretch(amount, start, end).take(loss, time);
        return (s.amount, s.start, s.end, taken);
    }

    function feeUp(uint256 floorBps, uint256 spanBps, uint256 buffer, uint256 target, uint256 net)
        external
        pure
        returns (uint256)
    {
        return InstantExitFee.Curve(floorBps, spanBps, buffer, target).feeUp(net);
    }

    function netDown(uint256 floorBps, uint256 spanBps, uint256 buffer, uint256 target, uint256 gross)
        external
        pure
        returns (uint256)
    {
        return InstantExitFee.Curve(floorBps, spanBps, buffer, target).netDown(gross);
    }

    function valueAfter(uint256 value, uint256 fractionWad) external pure returns (uint256) {
        return LossSharing.valueAfter(value, fractionWad);
    }

    function share(
        uint256 loss,
        uint256 stayers,
        uint256 fees,
        uint256[] memory exits,
        uint32[] memory epochs,
        uint32 sigma
    ) external pure returns (uint256, uint256, uint256, uint256, uint256[] memory) {
        (uint256 a, uint256 b, uint256 c, uint256 d) = LossSharing.share(loss, stayers, fees, exits, epochs, sigma);
        return (a, b, c, d, exits);
    }
}
