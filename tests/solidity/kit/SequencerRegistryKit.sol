// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {StakingFixture} from "../harness/StakingFixture.sol";

/// @notice What the registry's tests share.
abstract contract SequencerRegistryKit is StakingFixture {
    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);
    uint256 internal constant KEY = 0xA11;
    uint256 internal constant OTHER_KEY = 0xB22;
    ISequencerRegistry.Status internal constant ACTIVE = ISequencerRegistry.Status.Active;
    ISequencerRegistry.Status internal constant JAILED = ISequencerRegistry.Status.Jailed;
    ISequencerRegistry.Status internal constant RETIRED = ISequencerRegistry.Status.Retired;
    ISequencerRegistry.Status internal constant TOMBSTONED = ISequencerRegistry.Status.Tombstoned;

    function setUp() public {
        _deploy(16, 64);
        _toEpoch(10);
    }

    function _expectWrongStatus(uint32 id, ISequencerRegistry.Status status) internal {
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_WrongStatus.selector, id, status));
    }
}
