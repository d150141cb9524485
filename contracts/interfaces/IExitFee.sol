// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title IExitFee
/// @notice The fee of an instant exit from the staked token, which creates this contract and asks it. Pure arithmetic
/// (`InstantExitFee`) in a place of its own, because the token is near the size limit (EIP-170): it holds nothing and
/// nobody governs it.
interface IExitFee {
    /// @notice Fee of an exit that pays out `net`, rounded up, token wei.
    /// @param net What is paid out, token wei.
    /// @param buffer Free buffer, token wei.
    /// @param target Buffer aimed at, token wei.
    function feeUp(uint256 net, uint256 buffer, uint256 target) external view returns (uint256);

    /// @notice The most that can be paid out for shares worth `gross`, token wei.
    /// @param gross Worth of the shares, token wei.
    /// @param buffer Free buffer, token wei.
    /// @param target Buffer aimed at, token wei.
    function netDown(uint256 gross, uint256 buffer, uint256 target) external view returns (uint256);
}
