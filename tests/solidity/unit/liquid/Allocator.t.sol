// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {IAllocator} from "contracts/interfaces/IAllocator.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

contract AllocatorTest is LiquidFixture {
    function setUp() public {
        _deployLiquid();
        _deposit(ALICE, 999e18);
        _toEpoch(_epoch() + 1);
    }

    function test_constructor_refusesBadFigures() public {
        bytes memory zero = abi.encodeWithSelector(IAllocator.Allocator_ZeroAddress.selector);
        _refuse(abi.encode(manager, address(0), charges, vault, st, watch, 1, 1, GENESIS, EPOCH), zero);
        _refuse(abi.encode(manager, registry, address(0), vault, st, watch, 1, 1, GENESIS, EPOCH), zero);
        _refuse(abi.encode(manager, registry, charges, address(0), st, watch, 1, 1, GENESIS, EPOCH), zero);
        _refuse(abi.encode(manager, registry, charges, vault, address(0), watch, 1, 1, GENESIS, EPOCH), zero);
        _refuse(abi.encode(manager, registry, charges, vault, st, address(0), 1, 1, GENESIS, EPOCH), zero);
        _refuse(
            abi.encode(manager, registry, charges, vault, st, watch, 0, 1, GENESIS, EPOCH),
            abi.encodeWithSelector(IAllocator.Allocator_OutOfRange.selector, 0, 10_000)
        );
        _refuse(
            abi.encode(manager, registry, charges, vault, st, watch, 10_001, 1, GENESIS, EPOCH),
            abi.encodeWithSelector(IAllocator.Allocator_OutOfRange.selector, 10_001, 10_000)
        );
        _refuse(
            abi.encode(manager, registry, charges, vault, st, watch, 1, 65, GENESIS, EPOCH),
            abi.encodeWithSelector(IAllocator.Allocator_OutOfRange.selector, 65, 64)
        );
    }

    function test_setWeight_governedAndOfAcceptingOperators() public {
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, ALICE));
        allocator.setWeight(1, 1);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.Allocator_OperatorNotAccepting.selector, 99));
        allocator.setWeight(99, 1);
        vm.expectEmit(address(allocator));
        emit IAllocator.WeightChanged(1, 7);
        allocator.setWeight(1, 7);
        (uint16 weight, uint32 listed) = allocator.weightOf(1);
        assertEq(weight, 7);
        assertEq(listed, 10);
        // One that was listed before can be drained whatever its status.
        _jail(1);
        allocator.setWeight(1, 0);
        assertEq(allocator.operators().length, 4);
    }

    function test_targets_byWeightUnderTheCap() public {
        assertEq(allocator.targetOf(1), st.liquidity().stakeable / 4);
        allocator.setWeight(1, 900);
        assertEq(allocator.targetOf(1), st.liquidity().stakeable * CAP_BPS / 10_000, "the cap");
        assertEq(allocator.targetOf(2), st.liquidity().stakeable * 100 / 1200);
        assertEq(allocator.targetOf(9), 0);
        _jail(1);
        assertEq(allocator.targetOf(1), st.liquidity().stakeable * CAP_BPS / 10_000, "a jail alone moves nothing");
        assertEq(allocator.targetOf(2), st.liquidity().stakeable * 100 / 1200);
        _retire(1);
        assertEq(allocator.targetOf(1), 0);
        assertEq(allocator.targetOf(2), st.liquidity().stakeable / 3, "the weight of the retired does not count");
    }

    function test_targets_rampUp() public {
        uint32 id = _operator(5, OPERATOR_BOND);
        allocator.setWeight(id, 100);
        assertEq(allocator.targetOf(id), 0);
        uint32 epoch = _epoch();
        _toEpoch(epoch + 1);
        assertEq(allocator.targetOf(id), st.liquidity().stakeable / 5 / RAMP);
        _toEpoch(epoch + RAMP);
        assertEq(allocator.targetOf(id), st.liquidity().stakeable / 5);
    }

    function test_nextDelegation_largestRoomWithinThePool() public {
        allocator.setWeight(3, 200);
        (uint32 id, uint256 amount) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 3);
        assertEq(amount, st.liquidity().stakeable * 2 / 5);
        // The room for the owner's bond and the vault's dust stay free.
        vault.setMaxPool(OPERATOR_BOND + vault.ownerRoom() + 2 + 10e18);
        (id, amount) = allocator.nextDelegation(type(uint256).max);
        assertEq(amount, 10e18, "the pool's limit");
        vault.setMaxPool(OPERATOR_BOND + vault.ownerRoom() + 2);
        (id, amount) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 0);
        assertEq(amount, 0);
        vault.setMaxPool(MAX_POOL);
        _slash(3, _epoch(), 1e18);
        (id,) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 1, "a pool that lost everything takes nothing");
        (, amount) = allocator.nextDelegation(5);
        assertEq(amount, 5);
    }

    /// @notice A pool slashed to almost nothing has so many units per token that the stake vault refuses more stake.
    function test_nextDelegation_leavesOutPoolsTheVaultRefuses() public {
        allocator.setWeight(3, 200);
        _slash(3, _epoch(), 1e18 - 1);
        (uint256 tokens, uint256 units) = vault.pool(3);
        uint256 takes = (type(uint104).max - units) * tokens / units;
        assertLt(takes, st.MIN_DELEGATION());
        _fund(address(this), takes + 1e9);
        token.approve(address(vault), takes + 1e9);
        vm.expectPartialRevert(IStakeVault.StakeVault_TooManyUnits.selector);
        vault.delegate(3, takes + 1e9);
        (uint32 id, uint256 amount) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 1, "the next in line");
        (id, amount) = st.delegate();
        assertEq(id, 1);
        assertEq(st.activeOf(1), amount);
        // What it still takes, it takes.
        vault.delegate(3, takes);
    }

    function test_nextDelegation_leavesOutAPoolEmptiedInASlashedEpoch() public {
        // All stake of operator 3 thaws, is slashed on the way, and the pool could start anew only in the next epoch.
        allocator.setWeight(3, 200);
        _undelegate(_owner(3), 3, vault.units(3, _owner(3)));
        _slash(3, _epoch(), 0.5e18);
        (uint32 id,) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 1);
        _toEpoch(_epoch() + 1);
        (id,) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 3);
        st.delegate();
    }

    /// @notice The same of one that is next to nothing: the vault does not trust its price in that epoch.
    function test_nextDelegation_leavesOutADustPoolInASlashedEpoch() public {
        allocator.setWeight(3, 200);
        _undelegate(_owner(3), 3, vault.units(3, _owner(3)) - 1e9 + 1);
        _slash(3, _epoch(), 1);
        (uint256 tokens,) = vault.pool(3);
        assertEq(tokens, 1e9 - 2);
        token.approve(address(vault), 1e18);
        vm.expectPartialRevert(IStakeVault.StakeVault_PoolWipedOut.selector);
        vault.delegate(3, 1e18);
        (uint32 id,) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 1);
        st.delegate();
        _toEpoch(_epoch() + 1);
        (id,) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 3);
        st.delegate();
    }

    /// @notice New stake would pay for what its operator is accused of.
    function test_nextDelegation_leavesOutTheAccused() public {
        allocator.setWeight(3, 200);
        charges.accuse(3);
        (uint32 id, uint256 amount) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 1);
        assertEq(amount, st.liquidity().stakeable / 5, "the accused keeps its target");
        charges.close(3);
        (id,) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 3);
        for (uint32 i = 1; i <= 4; ++i) {
            charges.accuse(i);
        }
        (id, amount) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 0);
        assertEq(amount, 0);
    }

    function test_stands_tellsAllAtOnce() public {
        _delegateAll();
        allocator.setWeight(1, 50);
        _retire(4);
        IAllocator.Stand[] memory stands = allocator.stands();
        uint32[] memory ids = allocator.operators();
        assertEq(stands.length, 4);
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(stands[i].id, ids[i]);
            (uint16 weight,) = allocator.weightOf(ids[i]);
            assertEq(stands[i].weight, weight);
            assertEq(stands[i].active, st.activeOf(ids[i]));
            assertEq(stands[i].target, allocator.targetOf(ids[i]));
            assertEq(stands[i].excess, allocator.excessOf(ids[i]));
        }
        assertEq(stands[0].target, st.liquidity().stakeable / 5);
        assertEq(stands[0].excess, 237.5e18 - st.liquidity().stakeable / 5);
        assertEq(stands[1].excess, 0);
        assertEq(stands[3].excess, 237.5e18);
    }

    function test_planExit_smallFromOneLargeFromAll() public {
        _delegateAll();
        (uint32[] memory ids, uint256[] memory amounts) = allocator.planExit(20e18, 64);
        assertEq(ids.length, 1, "a small exit touches one operator");
        assertEq(amounts[0], 20e18);
        (ids, amounts) = allocator.planExit(940e18, 64);
        assertEq(ids.length, 4);
        assertEq(amounts[0] + amounts[1] + amounts[2] + amounts[3], 940e18);
        (ids, amounts) = allocator.planExit(5000e18, 64);
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(amounts[i], st.activeOf(ids[i]), "all there is");
        }
    }

    /// @notice With fewer operators than it takes, a plan spares what the first round leaves; the next plan goes on.
    function test_planExit_ofSoManyOperators() public {
        _delegateAll();
        (uint32[] memory ids, uint256[] memory amounts) = allocator.planExit(500e18, 2);
        assertEq(ids.length, 2);
        assertEq(amounts[0], 23.75e18, "a tenth of the target");
        assertEq(amounts[1], 23.75e18);
        (ids, amounts) = allocator.planExit(500e18, 4);
        assertEq(amounts[0] + amounts[1] + amounts[2] + amounts[3], 500e18, "nobody else is left");
        // As many as it takes are as good as all.
        (ids, amounts) = allocator.planExit(40e18, 2);
        assertEq(amounts[0] + amounts[1], 40e18);
    }

    function test_planExit_mostAboveItsTargetFirst() public {
        _delegateAll();
        _jail(2);
        (uint32[] memory ids, uint256[] memory amounts) = allocator.planExit(300e18, 64);
        assertEq(ids[0], 2, "the jailed one earns nothing");
        assertEq(amounts[0], 237.5e18);
        vm.prank(_owner(2));
        registry.unjail(2);
        (ids, amounts) = allocator.planExit(20e18, 64);
        assertEq(ids[0], 1, "the first of equals");
        _retire(3);
        (ids, amounts) = allocator.planExit(300e18, 64);
        assertEq(ids[0], 3);
        assertEq(amounts[0], 237.5e18);
    }

    /// @notice Nobody can rebalance away an operator's stake because of a short jail, and nothing new goes to it. One that does not come back
    /// is drained once waiting has cost as much as taking its stake out would have.
    function test_jailed_keepsItsStakeUntilWaitingCostsAsMuch() public {
        _delegateAll();
        uint32 jailed = _epoch();
        _jail(2);
        uint256 target = st.liquidity().stakeable / 4;
        assertEq(allocator.targetOf(2), target);
        assertEq(allocator.excessOf(2), 0);
        // It has the most room, and gets nothing; the targets of the others stay.
        allocator.setWeight(2, 400);
        _deposit(BOB, 100e18);
        assertGt(allocator.targetOf(2), st.activeOf(2) + 100e18);
        (uint32 id,) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 0);
        allocator.setWeight(2, 100);
        (id,) = allocator.nextDelegation(type(uint256).max);
        assertEq(id, 1);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_NothingToRebalance.selector, 2));
        st.rebalance(2);

        vm.warp(vault.claimableFrom(jailed) - 1);
        target = st.liquidity().stakeable / 4;
        assertEq(allocator.targetOf(2), target);
        assertEq(allocator.excessOf(2), 0);
        uint256 state = vm.snapshotState();
        skip(1);
        assertEq(allocator.targetOf(2), 0, "what would have been taken out at the jail could be claimed now");
        assertEq(allocator.targetOf(1), st.liquidity().stakeable / 3);
        assertEq(st.rebalance(2), 237.5e18);
        vm.revertToState(state);

        // One that came back in time and is jailed again has as long again.
        vm.prank(_owner(2));
        registry.unjail(2);
        jailed = _epoch();
        _jail(2);
        vm.warp(vault.claimableFrom(jailed) - 1);
        assertEq(allocator.excessOf(2), 0);
        skip(1);
        assertEq(allocator.excessOf(2), 237.5e18);
    }

    function test_unlist_onlyDrained() public {
        _delegateAll();
        vm.expectRevert(abi.encodeWithSelector(IAllocator.Allocator_NotListed.selector, 77));
        allocator.unlist(77);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.Allocator_StillInUse.selector, 1, 100, 237.5e18));
        allocator.unlist(1);
        allocator.setWeight(1, 0);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.Allocator_StillInUse.selector, 1, 0, 237.5e18));
        allocator.unlist(1);
        st.rebalance(1);
        // What was taken out answers for faults until it can be claimed, and an epoch longer in the vault.
        uint256 until = vault.claimableFrom(_epoch()) + EPOCH;
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.Allocator_StillInUse.selector, 1, 0, 237.5e18));
        allocator.unlist(1);
        vm.warp(until);
        vm.prank(BOB);
        allocator.unlist(1);
        uint32[] memory left = allocator.operators();
        assertEq(left.length, 3);
        assertEq(left[0], 4, "the last takes its place");
        allocator.setWeight(1, 100);
        assertEq(allocator.operators()[3], 1);
        // The one that took a place leaves it as well.
        allocator.setWeight(4, 0);
        st.rebalance(4);
        vm.warp(vault.claimableFrom(_epoch()) + EPOCH);
        allocator.unlist(4);
        left = allocator.operators();
        assertEq(left.length, 3);
        assertEq(left[0], 1);
        assertEq(left[1], 2);
        assertEq(left[2], 3);
    }

    function test_setWeight_atMostSoMany() public {
        uint256 most = allocator.MAX_OPERATORS();
        for (uint256 i = 5; i <= most; ++i) {
            allocator.setWeight(_operator(i, 1e18), 1);
        }
        uint32 id = _operator(most + 1, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.Allocator_TooManyOperators.selector, most));
        allocator.setWeight(id, 1);
    }

    function _refuse(bytes memory arguments, bytes memory reason) private {
        bytes memory code = abi.encodePacked(vm.getCode("Allocator.sol:Allocator"), arguments);
        vm.expectRevert(reason);
        this.make(code);
    }

    function make(bytes memory code) external {
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 32), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }
}
