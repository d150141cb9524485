// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ILiquidLens} from "contracts/interfaces/ILiquidLens.sol";

import {LiquidFixture} from "../harness/LiquidFixture.sol";

/// @notice The dearest cases: as many operators as the allocator takes, and a slash that nobody applied yet. Always with
/// isolation, as `gas/Liquid.t.sol`.
/// forge-config: default.isolate = true
contract LiquidManyGasTest is LiquidFixture {
    string private constant GROUP = "Liquid";

    /// @dev Most gas of a transaction (EIP-7825).
    uint256 private constant MOST_OF_A_TRANSACTION = 1 << 24;

    uint32 private most;

    function setUp() public {
        _deployLiquid();
        most = uint32(allocator.MAX_OPERATORS());
        for (uint256 i = 5; i <= most; ++i) {
            allocator.setWeight(_operator(i, OPERATOR_BOND), 100);
        }
        _toEpoch(_epoch() + RAMP);
        _deposit(ALICE, 63_999e18);
        _nextEpoch();
        for (uint256 i = 0; i < most; ++i) {
            st.delegate();
        }
        // Stake of one operator thaws in each of the epochs that a slash reaches.
        for (uint16 i = 0; i < UNBONDING; ++i) {
            allocator.setWeight(1, uint16(70) >> i);
            if (allocator.excessOf(1) != 0) st.rebalance(1);
            _nextEpoch();
        }
        _request(ALICE, 32_000e18);
        _slash(1, _epoch() - UNBONDING, 0.01e18);
    }

    function test_gas_sealFromManyOperators() public {
        vm.warp(queue.sealableFrom());
        queue.seal();
        _measured("seal, from 16 of 64 operators, a slash to apply", MOST_OF_A_TRANSACTION / 3);
        assertGt(st.liquidity().lacking, 0, "the rest is left");
        st.replenish();
        _measured("replenish, from 16 of 64 operators", MOST_OF_A_TRANSACTION / 3);
        // A few calls more take the rest.
        uint256 calls = 0;
        for (; st.liquidity().lacking != 0; ++calls) {
            st.replenish();
        }
        assertLe(calls, 12);
    }

    function test_gas_lensWithManyOperators() public {
        ILiquidLens lens = ILiquidLens(
            vm.deployCode(
                "LiquidLens.sol:LiquidLens",
                abi.encode(address(st), address(allocator), address(vault), address(rewards))
            )
        );
        ILiquidLens.OperatorStake[] memory list = lens.operators();
        _measured("lens, 64 operators, a slash to apply", 10_000_000);
        assertEq(list.length, most);
        assertEq(list[63].active, st.activeOf(list[63].id));
        lens.due();
        _measured("lens, what is due, 64 operators, a slash to apply", 10_000_000);
    }

    function _measured(string memory name, uint256 limit) private {
        uint256 used = vm.snapshotGasLastCall(GROUP, name);
        assertGt(used, 21_000, "run with --isolate");
        assertLe(used, limit, name);
    }
}
