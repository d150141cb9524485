// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {StakingFixture} from "../harness/StakingFixture.sol";

/// @notice Operators, seated or about to be, and what the set's tests share.
abstract contract SequencerSetKit is StakingFixture {
    address internal constant STRANGER = address(0x57A);
    uint8 internal constant SEATS = 8;

    function setUp() public {
        _deploy(SEATS, 64);
        _toEpoch(10);
    }

    /// @dev `count` operators on seats 0, 1, ... with 1000, 1100, 1200 ... gwei, least self bond 100 wei. Epoch 11.
    function _seated(uint256 count) internal returns (uint32[] memory ids) {
        set.setMinSelfBond(100);
        ids = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            ids[i] = _operator(i, 1000e9 + i * 100e9);
        }
        _toEpoch(11);
        for (uint256 i = 0; i < count; ++i) {
            set.takeSeat(ids[i], uint8(i));
        }
    }

    /// @dev One operator that may take a seat in the current epoch.
    function _candidate(uint256 stake) internal returns (uint32 id) {
        id = _operator(99, stake);
        _toEpoch(_epoch() + 1);
    }

    /// @dev Operators far heavier than any of `_seated`, of different weights, that may take seats now.
    function _newcomers(uint256 count) internal returns (uint32[] memory ids) {
        ids = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            ids[i] = _operator(100 + i, 10_000e9 + i * 10e9);
        }
        _toEpoch(_epoch() + 1);
    }

    /// @dev A second set beside the vault's own: the vault hears of its least self bond in silence.
    function _setOf(uint8 maxSeats) internal returns (ISequencerSet) {
        vm.mockCall(address(vault), abi.encodeCall(vault.setOwnerRoom, (MIN_SELF_BOND)), "");
        return ISequencerSet(vm.deployCode("SequencerSet.sol:SequencerSet", abi.encode(_setConfig(maxSeats, 64))));
    }
}
