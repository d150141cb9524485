// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {StakingFixture} from "../harness/StakingFixture.sol";

/// @notice One operator without stake, in epoch 10, and what the vault's tests share.
abstract contract StakeVaultKit is StakingFixture {
    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);
    uint256 internal constant ALICE_KEY = 0xA11CE;
    uint256 internal constant WAD = 1e18;
    uint32 internal id;

    function setUp() public {
        _deploy(16, 64);
        _toEpoch(10);
        id = _register(_owner(0), _key(0));
    }
}
