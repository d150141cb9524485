// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @notice Rewards, and where the stake goes.
contract StakedTokenStakeTest is LiquidFixture {
    function setUp() public {
        _deployLiquid();
    }

    // --- rewards

    function test_harvest_dripsOverAtLeastTheEpochsCredited() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        uint256 before = st.totalAssets();
        _toEpoch(_epoch() + 10);
        _harvest(1, 100e18);
        IStakedToken.Position memory p = st.position();
        assertEq(p.fees, 10e18);
        assertEq(p.locked, 90e18);
        assertEq(st.totalAssets(), before, "Q6: nothing at once");
        (, uint32 through) = st.operatorOf(1);
        assertEq(through, _epoch() - 1);
        // Credited through the epoch before this one, first stake in the one of the delegation: nine epochs.
        skip(9 * EPOCH / 2);
        assertEq(st.totalAssets(), before + 45e18);
        skip(9 * EPOCH / 2);
        assertEq(st.totalAssets(), before + 90e18);
    }

    function test_harvest_secondGainMovesTheEndByWeight() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _harvest(1, 100e18);
        skip(2 * EPOCH);
        // 45 of 90 locked with two epochs to go, and 45 more with four.
        _harvest(1, 50e18);
        assertEq(st.position().locked, 90e18);
        skip(3 * EPOCH - 1);
        assertGt(st.position().locked, 0);
        skip(1);
        assertEq(st.position().locked, 0);
    }

    function test_harvest_makesUpForLossesBeforeAnyFee() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _slash(1, _epoch(), 0.1e18);
        uint256 lost = st.position().lossCarry;
        assertGt(lost, 10e18);
        _harvest(1, lost);
        assertEq(st.position().lossCarry, 0);
        assertEq(st.position().fees, 0);
        _harvest(1, 10e18);
        assertEq(st.position().fees, 1e18);
    }

    function test_skim_booksDonationsAndForeignClaimsAsSlowDrip() public {
        _deposit(ALICE, 999e18);
        vm.expectRevert(IStakedToken.StakedToken_NothingToSkim.selector);
        st.skim();
        token.transfer(address(rewards), 10e18);
        rewards.credit(1, 10e18, _epoch());
        rewards.claim(1, address(st), 1);
        token.transfer(address(st), 10e18);
        assertEq(st.skim(), 20e18);
        assertEq(st.position().locked, 18e18);
        skip(10 * EPOCH);
        assertEq(st.position().locked, 9e18);
    }

    function test_collectFees_paysTheRecipientOnly() public {
        _deposit(ALICE, 999e18);
        vm.expectRevert(IStakedToken.StakedToken_NothingToCollect.selector);
        st.collectFees();
        _harvest(1, 100e18);
        uint256 rate = st.convertToAssets(1e18);
        assertEq(st.collectFees(), 10e18);
        assertEq(token.balanceOf(TREASURY), 10e18);
        assertEq(st.position().fees, 0);
        assertEq(st.convertToAssets(1e18), rate);
    }

    function test_setFee_boundedAndGoverned() public {
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_FeeTooHigh.selector, 1001, 1000));
        st.setFee(1001, TREASURY);
        vm.expectRevert(IStakedToken.StakedToken_ZeroAddress.selector);
        st.setFee(1000, address(0));
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, ALICE));
        st.setFee(0, TREASURY);
        st.setFee(500, BOB);
        (uint16 feeBps, address recipient) = st.feeInfo();
        assertEq(feeBps, 500);
        assertEq(recipient, BOB);
    }

    // --- stake

    function test_delegate_spreadsToTheTargets() public {
        _deposit(ALICE, 999e18);
        vm.expectRevert();
        st.rebalance(1);
        _nextEpoch();
        _delegateAll();
        // 5 % stay, the rest is spread evenly, floors apart.
        assertEq(st.position().buffer, 50e18);
        for (uint32 id = 1; id <= 4; ++id) {
            assertEq(st.activeOf(id), 237.5e18);
            assertEq(_real(id), 237.5e18);
        }
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_NothingToDelegate.selector, 0));
        st.delegate();
    }

    function test_Q19_delegateNeverTakesWhatExitsNeed() public {
        uint256 shares = _deposit(ALICE, 999e18);
        _request(ALICE, shares);
        _seal();
        assertEq(st.position().owed, 999e18);
        // All of the buffer but the seed is owed, and of the seed a twentieth stays.
        assertEq(st.delegatable(), 0.95e18);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_NothingToDelegate.selector, 0.95e18));
        st.delegate();
        _deposit(BOB, 100e18);
        while (st.delegatable() >= 1e18) st.delegate();
        assertGe(st.position().buffer, 999e18);
    }

    function test_rebalance_onlyBeyondAFifth() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        allocator.setWeight(1, 90);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_NothingToRebalance.selector, 1));
        st.rebalance(1);
        allocator.setWeight(1, 30);
        uint256 target = allocator.targetOf(1);
        uint256 moved = st.rebalance(1);
        assertEq(moved, 237.5e18 - target);
        assertEq(st.activeOf(1), target);
        assertEq(st.ticketOf(1, _epoch()), moved);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_NothingToRebalance.selector, 1));
        st.rebalance(1);
    }

    function test_rebalance_drainsAJailedOperator() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _jail(2);
        assertEq(allocator.targetOf(2), 0);
        assertEq(st.rebalance(2), 237.5e18);
        assertEq(st.activeOf(2), 0);
    }

    function test_collect_bringsThawedStakeBackOnce() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _jail(2);
        st.rebalance(2);
        uint32 cohort = _epoch();
        vm.expectRevert(
            abi.encodeWithSelector(
                IStakeVault.StakeVault_ClaimTooEarly.selector, block.timestamp, vault.claimableFrom(cohort)
            )
        );
        st.collect(2, cohort);
        vm.warp(vault.claimableFrom(cohort));
        uint256 total = st.totalAssets();
        assertEq(st.collect(2, cohort), 237.5e18);
        assertEq(st.position().thawing, 0);
        assertEq(st.totalAssets(), total);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_NothingToClaim.selector, 2, cohort, address(st)));
        st.collect(2, cohort);
    }
}
