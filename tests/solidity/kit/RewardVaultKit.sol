// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {NetworkKit} from "../kit/NetworkKit.sol";

/// @notice A network of four members with a funded vault, and what the vault's tests share.
abstract contract RewardVaultKit is NetworkKit {
    uint128 internal constant FEES = 1000e18;
    uint256 internal constant SCALE = 1e27;
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");

    function setUp() public {
        _deployNetwork();
        _start(4);
        _fund(10_000e18);
        _deposit(100_000e18);
    }

    /// @dev Member 1 leads 10 of 10, 2 leads 5 of 10, 3 none of 10 but replaces 5, 4 had no slot; priority 80 and 20.
    function _work() internal pure returns (Work[] memory work) {
        work = new Work[](4);
        work[0] = Work(10, 10, 0, 80e18);
        work[1] = Work(10, 5, 0, 20e18);
        work[2] = Work(10, 0, 5, 0);
    }

    /// @dev The epoch that runs, ended and open: its header is FINAL, its entries not credited.
    function _openWork() internal returns (uint32 epoch, bytes memory entries) {
        epoch = _epoch();
        entries = _entries(epoch, _work());
        _nextEpoch();
        _open(_finalBatch(_tally(epoch, entries, 20, FEES)), entries);
    }
}
