// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
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

    /// @notice Ten epochs credited at once, claimed in one call or in ten of the same block: all vest in ten epochs.
    function test_harvest_segmentsVestAsLongAsAllAtOnce() public {
        _stakedWithSegments(10);
        uint256 state = vm.snapshotState();
        st.harvest(_one(1), 10);
        (uint256 locked, uint256 end) = (st.position().locked, _dripEnd());
        assertEq(end, block.timestamp + 10 * EPOCH);
        vm.revertToState(state);
        for (uint256 i = 0; i < 10; ++i) {
            st.harvest(_one(1), 1);
        }
        assertEq(st.position().locked, locked);
        assertEq(_dripEnd(), end);
    }

    /// @notice What is claimed later vests no earlier than what came first, but has no epochs of its own beyond those left.
    function test_harvest_segmentsLaterKeepTheEnd() public {
        _stakedWithSegments(6);
        st.harvest(_one(1), 5);
        uint256 end = block.timestamp + 6 * EPOCH;
        assertEq(_dripEnd(), end);
        skip(EPOCH);
        st.harvest(_one(1), 1);
        assertEq(_dripEnd(), end);
        // After that an epoch's reward takes the shortest time again.
        vm.warp(end);
        token.transfer(address(rewards), 1e18);
        rewards.credit(1, 1e18, _epoch() - 5);
        st.harvest(_one(1), 1);
        assertEq(_dripEnd(), block.timestamp + 4 * EPOCH);
    }

    /// @dev Stake, and then the rewards of operator 1 for `epochs` epochs, one segment each.
    function _stakedWithSegments(uint32 epochs) private {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        uint32 since = _epoch();
        _toEpoch(since + epochs + 1);
        token.transfer(address(rewards), epochs * 1e18);
        for (uint32 i = 1; i <= epochs; ++i) {
            rewards.credit(1, 1e18, since + i);
        }
    }

    /// @dev When nothing will be locked any more.
    function _dripEnd() private returns (uint256 end) {
        uint256 state = vm.snapshotState();
        (uint256 low, uint256 high) = (block.timestamp, block.timestamp + 64 * EPOCH);
        while (low < high) {
            uint256 middle = (low + high) / 2;
            vm.warp(middle);
            if (st.position().locked == 0) high = middle;
            else low = middle + 1;
        }
        vm.revertToState(state);
        return low;
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

    function test_skim_booksDonationsAsSlowDrip() public {
        _deposit(ALICE, 999e18);
        vm.expectRevert(IStakedToken.StakedToken_NothingToSkim.selector);
        st.skim();
        token.transfer(address(rewards), 10e18);
        rewards.credit(1, 10e18, _epoch());
        // Rewards wait for the harvest: nobody can turn them into a slow drip.
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_OnlyAccount.selector, address(st)));
        rewards.claim(1, address(st), 1);
        token.transfer(address(st), 20e18);
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

    /// @notice Fees wait for what exits are owed.
    function test_collectFees_afterTheExits() public {
        uint256 shares = _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _harvest(1, 20e18);
        _request(ALICE, shares / 5);
        _seal();
        assertGt(st.position().owed, st.position().buffer);
        vm.expectRevert(IStakedToken.StakedToken_NothingToCollect.selector);
        st.collectFees();
        // A deposit that covers the exit and a half of the fees.
        _deposit(BOB, st.position().owed - st.position().buffer + 1e18);
        assertEq(st.collectFees(), 1e18);
        assertEq(st.position().fees, 1e18);
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
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_NothingToRebalance.selector, 1));
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

    /// @notice Room for dust is no room: nobody makes others pay for moves.
    function test_delegate_refusesLittleRoom() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        uint256 full = OPERATOR_BOND + vault.ownerRoom() + 2;
        vault.setMaxPool(full + 1e18 - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_NothingToDelegate.selector, 950e18));
        st.delegate();
        vault.setMaxPool(full + 1e18);
        (, uint256 amount) = st.delegate();
        assertEq(amount, 1e18);
    }

    function test_Q19_delegateNeverTakesWhatExitsNeed() public {
        uint256 shares = _deposit(ALICE, 999e18);
        _request(ALICE, shares);
        _seal();
        assertEq(st.position().owed, 999e18);
        // All of the buffer but the seed is owed, and of the seed a twentieth stays.
        assertEq(st.liquidity().delegatable, 0.95e18);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_NothingToDelegate.selector, 0.95e18));
        st.delegate();
        _deposit(BOB, 100e18);
        while (st.liquidity().delegatable >= 1e18) st.delegate();
        assertGe(st.position().buffer, 999e18);
    }

    /// @notice An exit that empties the buffer refills it too; one that leaves half of the aim does not.
    function test_seal_refillsTheBuffer() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        // The aim is 50, and as much is there.
        _request(ALICE, 25e18);
        _seal();
        assertEq(st.position().thawing, 0, "half is left");
        _nextEpoch();
        skip(EPOCH / 2);
        queue.finalize();
        _request(ALICE, 1e18);
        uint256 target = st.position().bufferTarget;
        _seal();
        assertApproxEqAbs(st.position().thawing, target + 1e18 - 25e18, 2000, "the exit and the whole aim");
        assertEq(st.liquidity().lacking, 0);
        assertEq(st.liquidity().delegatable, 0);
        // What comes back is not staked again.
        _collectAll();
        assertApproxEqAbs(st.liquidity().free, target, 2000);
        assertLt(st.liquidity().delegatable, st.MIN_DELEGATION());
    }

    /// @notice Instant exits can be made good for too.
    function test_replenish_refillsTheBuffer() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        vm.prank(ALICE);
        st.withdraw(20e18, ALICE, ALICE);
        vm.expectRevert(IStakedToken.StakedToken_NothingLacking.selector);
        st.replenish();
        vm.prank(ALICE);
        st.withdraw(6e18, ALICE, ALICE);
        uint256 lacking = st.liquidity().lacking;
        assertEq(lacking, 26e18);
        assertApproxEqAbs(st.replenish(), lacking, 2000);
        assertEq(st.liquidity().lacking, 0);
    }

    function _collectAll() private {
        for (uint32 id = 1; id <= 4; ++id) {
            (uint32 first, uint32 last) = st.operatorOf(id);
            if (st.ticketOf(id, last) == 0) continue;
            assertEq(first, last);
            if (block.timestamp < vault.claimableFrom(last)) vm.warp(vault.claimableFrom(last));
            st.collect(id, last);
        }
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

    function test_rebalance_drainsARetiredOperator() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _retire(2);
        assertEq(allocator.targetOf(2), 0);
        assertEq(st.rebalance(2), 237.5e18);
        assertEq(st.activeOf(2), 0);
    }

    /// @notice The first ticket follows what is collected, in whatever order, across gaps.
    function test_collect_movesTheFirstTicketOn() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        uint32[3] memory cohorts;
        uint16[3] memory weights = [uint16(50), 20, 5];
        for (uint256 i = 0; i < 3; ++i) {
            allocator.setWeight(1, weights[i]);
            st.rebalance(1);
            cohorts[i] = _epoch();
            _expectTickets(cohorts[0], cohorts[i]);
            _toEpoch(_epoch() + 3);
        }
        vm.warp(vault.claimableFrom(cohorts[2]));
        st.collect(1, cohorts[1]);
        _expectTickets(cohorts[0], cohorts[2]);
        st.collect(1, cohorts[0]);
        _expectTickets(cohorts[2], cohorts[2]);
        st.collect(1, cohorts[2]);
        allocator.setWeight(1, 0);
        st.rebalance(1);
        _expectTickets(_epoch(), _epoch());
    }

    function _expectTickets(uint32 first, uint32 last) private view {
        (uint32 actualFirst, uint32 actualLast) = st.operatorOf(1);
        assertEq(actualFirst, first);
        assertEq(actualLast, last);
    }

    function test_stakesOf_addsWhatASlashWouldTakeFrom() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        allocator.setWeight(1, 50);
        uint256 first = st.rebalance(1);
        uint32 cohort = _epoch();
        _toEpoch(cohort + 3);
        allocator.setWeight(1, 0);
        uint256 second = st.rebalance(1);
        uint32[] memory ids = new uint32[](2);
        (ids[0], ids[1]) = (2, 1);
        uint256[] memory stakes = st.stakesOf(ids, false);
        assertEq(stakes[0], 237.5e18);
        assertEq(stakes[1], 0);
        assertEq(st.stakesOf(ids, true)[1], first + second);
        _slash(1, _epoch(), 0.1e18);
        assertApproxEqAbs(st.stakesOf(ids, true)[1], first + second * 9 / 10, 3, "the slash is not applied yet");
        st.sync(1);
        assertApproxEqAbs(st.stakesOf(ids, true)[1], first + second * 9 / 10, 3);
        // The vault reaches a cohort until the epoch in which it can be claimed is over.
        vm.warp(vault.claimableFrom(cohort) + EPOCH - 1);
        assertApproxEqAbs(st.stakesOf(ids, true)[1], first + second * 9 / 10, 3);
        skip(1);
        assertApproxEqAbs(st.stakesOf(ids, true)[1], second * 9 / 10, 3);
        assertEq(st.stakesOf(ids, true)[0], 237.5e18);
    }

    function test_collect_bringsThawedStakeBackOnce() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _retire(2);
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
        (uint32 first, uint32 last) = st.operatorOf(2);
        assertEq(first, cohort);
        assertEq(last, cohort);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_NothingToClaim.selector, 2, cohort, address(st)));
        st.collect(2, cohort);
    }
}
