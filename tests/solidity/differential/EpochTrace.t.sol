// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Test} from "forge-std/Test.sol";

import {EpochTrace} from "contracts/base/EpochTrace.sol";

/// @notice EpochTrace answers every question like OpenZeppelin's Trace208 fed with the same history.
contract EpochTraceTest is Test {
    using Checkpoints for Checkpoints.Trace208;
    using EpochTrace for EpochTrace.Trace;

    Checkpoints.Trace208 private _model;
    EpochTrace.Trace private _trace;

    function testFuzz_likeTrace208(uint256 seed, uint8 pushes) public {
        uint256 epoch = uint256(keccak256(abi.encode(seed, "start"))) % 3;
        for (uint256 i = 0; i < pushes; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            epoch += word % 4;
            uint208 value = uint208(word >> 48);
            _model.push(uint48(epoch), value);
            _trace.push(epoch, value);
            assertEq(_trace.latest(), value);
            assertEq(_trace.latestEpoch(), epoch);
        }
        assertEq(_trace.count(), _model.length());
        for (uint256 e = 0; e <= epoch + 2; ++e) {
            assertEq(_trace.valueAt(e), _model.upperLookup(uint48(e)), "value");
        }
        for (uint32 i = 0; i < _model.length(); ++i) {
            Checkpoints.Checkpoint208 memory expected = _model.at(i);
            (uint32 key, uint208 value) = _trace.checkpoint(i);
            assertEq(key, expected._key);
            assertEq(value, expected._value);
            assertEq(_trace.keyAt(key), key, "the key in force at a key is itself");
            if (i + 1 < _model.length()) assertEq(_trace.keyAt(_model.at(i + 1)._key - 1), key, "until the next");
        }
    }

    function test_emptyTrace() public view {
        assertEq(_trace.count(), 0);
        assertEq(_trace.latest(), 0);
        assertEq(_trace.latestEpoch(), 0);
        assertEq(_trace.valueAt(type(uint32).max), 0);
        assertEq(_trace.keyAt(5), 0);
    }

    function test_extremes() public {
        _trace.push(0, type(uint208).max);
        _trace.push(type(uint24).max, type(uint208).max);
        assertEq(_trace.valueAt(0), type(uint208).max);
        assertEq(_trace.latestEpoch(), type(uint24).max);
        assertEq(_trace.count(), 2);
    }

    function test_revert_unordered() public {
        _trace.push(5, 1);
        vm.expectRevert(abi.encodeWithSelector(EpochTrace.EpochTrace_Unordered.selector, 4, 5));
        this.push(4, 1);
    }

    function test_revert_epochTooLarge() public {
        vm.expectRevert(abi.encodeWithSelector(EpochTrace.EpochTrace_EpochTooLarge.selector, 1 << 24));
        this.push(1 << 24, 1);
    }

    function test_revert_outOfRange() public {
        _trace.push(5, 1);
        vm.expectRevert(abi.encodeWithSelector(EpochTrace.EpochTrace_OutOfRange.selector, 1, 1));
        this.checkpoint(1);
    }

    function push(uint256 epoch, uint208 value) external {
        _trace.push(epoch, value);
    }

    function checkpoint(uint256 index) external view returns (uint32, uint208) {
        return _trace.checkpoint(index);
    }
}
