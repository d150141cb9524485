// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ILiquidLens} from "contracts/interfaces/ILiquidLens.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

contract LiquidLensTest is LiquidFixture {
    ILiquidLens private lens;

    function setUp() public {
        _deployLiquid();
        lens = ILiquidLens(
            vm.deployCode(
                "LiquidLens.sol:LiquidLens",
                abi.encode(address(st), address(allocator), address(vault), address(rewards))
            )
        );
        _deposit(ALICE, 999e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
    }

    function test_constructor_refusesZero() public {
        for (uint256 i = 0; i < 4; ++i) {
            address[4] memory a = [address(st), address(allocator), address(vault), address(rewards)];
            a[i] = address(0);
            vm.expectRevert(ILiquidLens.LiquidLens_ZeroAddress.selector);
            this.make(abi.encode(a[0], a[1], a[2], a[3]));
        }
    }

    function test_account() public {
        _request(ALICE, 10e18);
        _seal();
        skip(EPOCH);
        queue.finalize();
        _request(ALICE, 4e18);
        ILiquidLens.Account memory a = lens.accountOf(ALICE);
        assertEq(a.shares, 985e18);
        assertEq(a.assets, st.convertToAssets(985e18));
        assertEq(a.instantNet, st.previewRedeem(985e18));
        assertEq(a.pendingShares, 4e18);
        assertEq(a.claimableShares, 10e18);
        assertEq(a.claimableAssets, 10e18);
    }

    /// @notice A small request is expected from the buffer, a large one from its own stake.
    function test_requests_withTheExpectedTime() public {
        _request(ALICE, 10e18);
        ILiquidLens.Request[] memory r = lens.requestsOf(ALICE, 9);
        assertEq(r.length, 1);
        assertEq(r[0].state, 0);
        assertEq(r[0].shares, 10e18);
        assertEq(r[0].assets, 10e18);
        assertEq(r[0].expectedAt, queue.sealableFrom() + EPOCH);
        _seal();
        uint256 firstFrom = block.timestamp + EPOCH;
        _toEpoch(_epoch() + 1);
        _request(ALICE, 500e18);
        _seal();
        uint32 epoch = _epoch();
        _request(ALICE, 1e18);
        r = lens.requestsOf(ALICE, 9);
        assertEq(r.length, 3);
        assertEq(r[0].state, 1);
        assertEq(r[0].ahead, 0);
        assertEq(r[0].expectedAt, firstFrom);
        assertEq(r[1].ahead, 1);
        assertEq(r[1].expectedAt, vault.claimableFrom(epoch));
        assertEq(r[2].ahead, 2);
        assertEq(r[2].expectedAt, vault.claimableFrom(epoch + 1), "behind what the buffer lacks");
        vm.warp(firstFrom);
        queue.finalize();
        r = lens.requestsOf(ALICE, 1);
        assertEq(r.length, 1);
        assertEq(r[0].state, 2);
        assertEq(r[0].assets, 10e18);
        assertEq(r[0].expectedAt, 0);
    }

    function test_due_namesEachChoreWhileItIsDue() public {
        ILiquidLens.Due memory d = lens.due();
        assertFalse(d.sync || d.seal || d.finalize || d.delegate || d.replenish || d.skim);
        _deposit(BOB, 40e18);
        assertTrue(lens.due().delegate);
        _delegateAll();
        assertFalse(lens.due().delegate);
        _request(ALICE, 20e18);
        assertFalse(lens.due().seal);
        _seal();
        assertFalse(lens.due().seal);
        assertFalse(lens.due().finalize);
        skip(EPOCH);
        assertTrue(lens.due().finalize);
        queue.finalize();
        assertFalse(lens.due().finalize);
        token.transfer(address(st), 5);
        assertEq(lens.due().skimmable, 5);
        st.skim();
        assertFalse(lens.due().skim);
        _slash(4, _epoch(), 0.001e18);
        assertTrue(lens.due().sync);
        st.sync(1);
        assertFalse(lens.due().sync);
    }

    function test_operatorsAndTickets() public {
        token.transfer(address(rewards), 7e18);
        rewards.credit(3, 7e18, _epoch());
        allocator.setWeight(2, 0);
        ILiquidLens.OperatorStake[] memory o = lens.operators();
        assertEq(o.length, 4);
        assertEq(o[1].excess, 237.5e18);
        assertEq(o[1].target, 0);
        assertEq(o[0].weight, 100);
        assertEq(o[0].active, 237.5e18);
        assertEq(o[2].rewards, 7e18);
        uint32[] memory ids = new uint32[](2);
        (ids[0], ids[1]) = (1, 2);
        assertEq(lens.tickets(ids).length, 0);
        st.rebalance(2);
        ILiquidLens.Ticket[] memory t = lens.tickets(ids);
        assertEq(t.length, 1);
        assertEq(t[0].id, 2);
        assertEq(t[0].cohortEpoch, _epoch());
        assertEq(t[0].amount, 237.5e18);
        assertEq(t[0].dueAt, vault.claimableFrom(_epoch()));
        vm.warp(t[0].dueAt + 100 * EPOCH);
        assertEq(lens.tickets(ids).length, 1, "until it is collected");
        st.collect(2, t[0].cohortEpoch);
        assertEq(lens.tickets(ids).length, 0);
    }

    function make(bytes memory arguments) external {
        bytes memory code = abi.encodePacked(vm.getCode("LiquidLens.sol:LiquidLens"), arguments);
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 32), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }
}
