// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExitFee} from "../interfaces/IExitFee.sol";
import {InstantExitFee} from "./InstantExitFee.sol";

/// @title ExitFee
/// @dev Specified by `IExitFee`.
contract ExitFee is IExitFee {
    using InstantExitFee for InstantExitFee.Curve;

    uint256 private immutable FLOOR_BPS;
    uint256 private immutable SPAN_BPS;

    /// @param floorBps Fee of the first wei out of a full buffer, basis points.
    /// @param spanBps What an empty buffer adds to it, basis points.
    constructor(uint256 floorBps, uint256 spanBps) {
        FLOOR_BPS = floorBps;
        SPAN_BPS = spanBps;
    }

    /// @inheritdoc IExitFee
    function feeUp(uint256 net, uint256 buffer, uint256 target) external view returns (uint256) {
        return _curve(buffer, target).feeUp(net);
    }

    /// @inheritdoc IExitFee
    function netDown(uint256 gross, uint256 buffer, uint256 target) external view returns (uint256) {
        return _curve(buffer, target).netDown(gross);
    }

    function _curve(uint256 buffer, uint256 target) private view returns (InstantExitFee.Curve memory) {
        return InstantExitFee.Curve(FLOOR_BPS, SPAN_BPS, buffer, target);
    }
}
