// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @notice Behaviour of the staked token, entry by entry. Attacks have their own file.
contract StakedTokenTest is LiquidFixture {
    function setUp() public {
        _deployLiquid();
    }

    // --- constructor

    function test_constructor_seedsAndNames() public view {
        assertEq(share.totalSupply(), 1e18);
        assertEq(st.totalAssets(), 1e18);
        assertEq(share.balanceOf(0x000000000000000000000000000000000000dEaD), 1e18);
        assertEq(IERC20Metadata(address(st)).decimals(), 18);
        assertEq(IERC20Metadata(address(st)).name(), "Staked Rota");
        assertEq(st.asset(), address(token));
        assertEq(st.share(), address(st));
        assertEq(st.vault(address(token)), address(st));
        assertEq(st.vault(address(st)), address(0));
        assertEq(st.exitQueue(), address(queue));
        (uint16 feeBps, address recipient) = st.feeInfo();
        assertEq(feeBps, 1000);
        assertEq(recipient, TREASURY);
    }

    function test_constructor_refusesFiguresOutOfRange() public {
        IStakedToken.Config memory bad = _full();
        bad.feeBps = 1001;
        _refuse(bad, abi.encodeWithSelector(IStakedToken.StakedToken_FeeTooHigh.selector, 1001, 1000));
        bad = _full();
        bad.bufferBps = 5001;
        _refuse(bad, _range(1, 5001));
        bad = _full();
        bad.exitFloorBps = 101;
        _refuse(bad, _range(2, 101));
        bad = _full();
        bad.exitSpanBps = 1001;
        _refuse(bad, _range(3, 1001));
        bad = _full();
        bad.windowBps = 0;
        _refuse(bad, _range(4, 0));
        bad = _full();
        bad.windowSeconds = 0;
        _refuse(bad, _range(5, 0));
        bad = _full();
        bad.maxShareBps = 10_001;
        _refuse(bad, _range(6, 10_001));
        bad = _full();
        bad.bunkerLossBps = 0;
        _refuse(bad, _range(7, 0));
        bad = _full();
        bad.bunkerEpochs = 65;
        _refuse(bad, _range(8, 65));
        bad = _full();
        bad.dripSeconds = uint32(EPOCH) - 1;
        _refuse(bad, _range(9, EPOCH - 1));
        bad = _full();
        bad.maxDripSeconds = bad.dripSeconds - 1;
        _refuse(bad, _range(10, bad.dripSeconds - 1));
    }

    function test_constructor_refusesZeroAddresses() public {
        bytes memory zero = abi.encodeWithSelector(IStakedToken.StakedToken_ZeroAddress.selector);
        IStakedToken.Config memory bad = _full();
        bad.token = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.stakeVault = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.rewardVault = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.allocator = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.coverFund = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.exitQueue = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.faultWatch = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.guardian = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.feeRecipient = address(0);
        _refuse(bad, zero);
    }

    // --- deposit, mint

    function test_deposit_mintsAtTheRate() public {
        token.transfer(ALICE, 100e18);
        vm.startPrank(ALICE);
        token.approve(address(st), 100e18);
        uint256 expected = st.previewDeposit(100e18);
        vm.expectEmit(address(st));
        emit Deposit(ALICE, BOB, 100e18, expected);
        assertEq(st.deposit(100e18, BOB), expected);
        vm.stopPrank();
        assertEq(share.balanceOf(BOB), 100e18);
        assertEq(st.totalAssets(), 101e18);
        assertEq(st.position().buffer, 101e18);
    }

    function test_mint_asksWhatThePreviewSays() public {
        _harvestToOddRate();
        token.transfer(ALICE, 100e18);
        vm.startPrank(ALICE);
        token.approve(address(st), 100e18);
        uint256 expected = st.previewMint(7e18 + 3);
        assertEq(st.mint(7e18 + 3, ALICE), expected);
        vm.stopPrank();
        assertEq(share.balanceOf(ALICE), 7e18 + 3);
        assertEq(token.balanceOf(ALICE), 100e18 - expected);
    }

    function test_deposit_refusedWhilePaused() public {
        guardian.set(true);
        assertEq(st.maxDeposit(ALICE), 0);
        assertEq(st.maxMint(ALICE), 0);
        vm.expectRevert(IStakedToken.StakedToken_Paused.selector);
        st.deposit(1, ALICE);
        vm.expectRevert(IStakedToken.StakedToken_Paused.selector);
        st.mint(1, ALICE);
    }

    function test_deposit_stopsAtTheShareOfAllStake() public {
        uint256 limit = st.maxDeposit(ALICE);
        // Others hold 80,000: a third of all is half of theirs; the seed is in already.
        assertEq(limit, 80_000e18 * uint256(3333) / 6667 - 1e18);
        token.approve(address(st), type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_DepositTooLarge.selector, limit + 1, limit));
        st.deposit(limit + 1, ALICE);
        st.deposit(limit, ALICE);
        assertEq(st.maxDeposit(ALICE), 0);
        // Staking it changes nothing: own stake does not count as others'.
        _delegateAll();
        assertLe(st.maxDeposit(ALICE), 1);
    }

    function test_deposit_refusesDustThatWouldMintNothing() public {
        _harvestToOddRate();
        token.approve(address(st), 1);
        assertEq(st.previewDeposit(1), 0);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_ZeroShares.selector, 1));
        st.deposit(1, ALICE);
        assertEq(st.deposit(0, ALICE), 0);
    }

    // --- instant exit

    function test_redeem_paysTheCurveFromTheBuffer() public {
        uint256 shares = _deposit(ALICE, 1000e18);
        _nextEpoch();
        _deposit(BOB, 10e18);
        IStakedToken.Position memory before = st.position();
        assertEq(before.bufferTarget, 1001e18 * 500 / 10_000);
        uint256 expected = st.previewRedeem(shares / 20);
        vm.expectEmit(address(st));
        emit Withdraw(ALICE, CAROL, ALICE, expected, shares / 20);
        vm.prank(ALICE);
        assertEq(st.redeem(shares / 20, CAROL, ALICE), expected);
        assertEq(token.balanceOf(CAROL), expected);
        // A full buffer asks the floor only: 5 basis points.
        assertEq(expected, uint256(50e18) * 10_000 / 10_005);
        assertEq(st.position().buffer, before.buffer - expected);
        assertEq(st.position().locked, 50e18 - expected, "the fee drips");
    }

    function test_withdraw_burnsWhatThePreviewSays() public {
        _deposit(ALICE, 1000e18);
        _nextEpoch();
        _delegateAll();
        uint256 expected = st.previewWithdraw(20e18);
        vm.prank(ALICE);
        assertEq(st.withdraw(20e18, ALICE, ALICE), expected);
        assertEq(token.balanceOf(ALICE), 20e18);
        assertEq(share.balanceOf(ALICE), 1000e18 - expected);
    }

    function test_withdraw_refusedWhilePausedAndInTheBunker() public {
        _deposit(ALICE, 1000e18);
        guardian.set(true);
        assertEq(st.maxWithdraw(ALICE), 0);
        assertEq(st.maxRedeem(ALICE), 0);
        vm.prank(ALICE);
        vm.expectRevert(IStakedToken.StakedToken_Paused.selector);
        st.withdraw(1, ALICE, ALICE);
        guardian.set(false);
        _nextEpoch();
        _delegateAll();
        _slash(1, _epoch(), 0.1e18);
        st.sync(type(uint256).max);
        uint256 until = st.position().bunkerUntil;
        assertEq(until, block.timestamp + 2 * EPOCH);
        assertEq(st.maxRedeem(ALICE), 0);
        assertEq(st.maxDeposit(ALICE), 0);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_Bunker.selector, until));
        st.redeem(1, ALICE, ALICE);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_Bunker.selector, until));
        st.deposit(1, ALICE);
        vm.warp(until);
        assertGt(st.maxRedeem(ALICE), 0);
    }

    function test_withdraw_refusesMoreThanTheFreeBuffer() public {
        _deposit(ALICE, 1000e18);
        _nextEpoch();
        _delegateAll();
        uint256 free = st.freeBuffer();
        assertEq(free, st.position().bufferTarget);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_BufferTooLow.selector, free + 1, free));
        st.withdraw(free + 1, ALICE, ALICE);
        assertEq(st.maxWithdraw(ALICE), free);
    }

    function test_withdraw_refusesMoreThanTheWindow() public {
        _deposit(ALICE, 1000e18);
        // Nothing is staked, so only the window of 10 % limits.
        uint256 most = st.maxWithdraw(ALICE);
        assertEq(most, 1001e18 / 10);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_WindowUsedUp.selector, most + 10, most));
        st.withdraw(most + 10, ALICE, ALICE);
        vm.prank(ALICE);
        st.withdraw(most, ALICE, ALICE);
        assertEq(st.maxWithdraw(ALICE), 0);
        skip(2 * EPOCH);
        assertApproxEqAbs(st.maxWithdraw(ALICE), st.totalAssets() / 20, 1);
    }

    function test_redeem_needsAnAllowanceOrTheOwner() public {
        uint256 shares = _deposit(ALICE, 100e18);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, BOB, 0, shares / 50));
        st.redeem(shares / 50, BOB, ALICE);
        vm.prank(ALICE);
        share.approve(BOB, shares / 50);
        vm.prank(BOB);
        st.redeem(shares / 50, BOB, ALICE);
        assertEq(share.allowance(ALICE, BOB), 0);
        assertGt(token.balanceOf(BOB), 0);
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

    // --- slashes

    function test_slash_coverThenDripThenRate() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _fundCover(4e18);
        _harvest(1, 10e18);
        uint256 total = st.totalAssets();
        // 5 % of 237.5 is 11.875; booked a wei lower than the vault holds.
        _slash(1, _epoch(), 0.05e18);
        IStakedToken.Position memory p = st.position();
        assertEq(p.active, 950e18 - 11.875e18 - 1);
        assertEq(p.buffer, 60e18 + 4e18);
        assertEq(p.locked, 9e18 - 7.875e18 - 1);
        assertEq(st.totalAssets(), total, "nothing is left for the rate");
        st.sync(type(uint256).max);
        assertEq(keccak256(abi.encode(st.position())), keccak256(abi.encode(p)), "Q10: view and action agree");
        assertEq(cover.held(), 0);
        assertGe(token.balanceOf(address(st)), p.buffer, "Q1");
        _slash(2, _epoch(), 0.05e18);
        p = st.position();
        assertEq(p.locked, 0);
        assertEq(p.lossCarry, total - st.totalAssets());
    }

    function test_Q18_viewsSeeASlashBeforeAnyAction() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        uint256 shares = st.previewDeposit(1e18);
        _slash(3, _epoch(), 0.004e18);
        _slash(3, _epoch() - 1, 0.004e18);
        _slash(4, _epoch(), 0.004e18);
        assertGt(st.previewDeposit(1e18), shares);
        uint256 total = st.totalAssets();
        uint256 active = st.activeOf(3);
        assertLe(active, _real(3));
        assertApproxEqAbs(active, _real(3), 4);
        st.sync(2);
        assertEq(st.totalAssets(), total);
        st.sync(2);
        assertEq(st.totalAssets(), total);
        assertEq(st.activeOf(3), active);
    }

    function test_Q16_liableExitsAndStayersLoseTheSamePart() public {
        _deposit(ALICE, 499e18);
        uint256 early = _deposit(BOB, 250e18);
        uint256 late = _deposit(CAROL, 250e18);
        _nextEpoch();
        _delegateAll();
        _request(BOB, early);
        _seal();
        _toEpoch(_epoch() + 2);
        _request(CAROL, late);
        _seal();
        uint32 sigma = _epoch();
        (uint256 owedEarly,,) = st.exitOf(1);
        (uint256 owedLate,,) = st.exitOf(2);
        uint256 total = st.totalAssets();
        uint256 held = st.position().active + st.position().thawing;
        _slash(1, sigma, 0.2e18);
        uint256 loss = held - st.position().active - st.position().thawing;
        assertGt(loss, 0);
        (uint256 after0,,) = st.exitOf(1);
        (uint256 after1,,) = st.exitOf(2);
        assertEq(after0, owedEarly, "sealed two epochs before the set: not liable");
        uint256 base = total + owedLate;
        assertApproxEqAbs(owedLate - after1, owedLate * loss / base, 1);
        assertApproxEqAbs(total - st.totalAssets(), total * loss / base, 1);
    }

    /// @notice In either order the same is lost, and each bears the same of it, up to roundings.
    function test_Q17_slashesCommute() public {
        _deposit(ALICE, 699e18);
        uint256 shares = _deposit(BOB, 300e18);
        _nextEpoch();
        _delegateAll();
        _request(BOB, shares);
        _seal();
        uint256 state = vm.snapshotState();
        _slash(1, _epoch(), 0.07e18);
        _slash(2, _epoch(), 0.31e18);
        _slash(1, _epoch(), 0.5e18);
        IStakedToken.Position memory one = st.position();
        uint256 total = st.totalAssets();
        vm.revertToState(state);
        _slash(1, _epoch(), 0.5e18);
        st.sync(1);
        _slash(1, _epoch(), 0.07e18);
        _slash(2, _epoch(), 0.31e18);
        IStakedToken.Position memory other = st.position();
        assertApproxEqAbs(one.active, other.active, 3);
        assertApproxEqAbs(one.thawing, other.thawing, 3);
        assertApproxEqAbs(one.owed, other.owed, 5);
        assertApproxEqAbs(total, st.totalAssets(), 8);
        assertLt(total, 699e18 * 9 / 10);
    }

    function test_slash_ofEverythingLeavesExitsPayable() public {
        uint256 shares = _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _request(ALICE, shares / 2);
        _seal();
        for (uint32 id = 1; id <= 4; ++id) {
            _slash(id, _epoch(), 1e18);
        }
        st.sync(type(uint256).max);
        IStakedToken.Position memory p = st.position();
        assertEq(p.active + p.thawing, 0);
        // What is left, the buffer, is shared by those who stay and the liable exit.
        assertApproxEqRel(p.owed, p.buffer / 2, 1e15);
        vm.warp(p.bunkerUntil + 3 * EPOCH);
        queue.finalize();
        vm.prank(ALICE);
        assertEq(queue.redeem(shares / 2, ALICE, ALICE), p.owed);
    }

    function test_wipedOut_takesNoDeposits() public {
        // Stake of others is left, so that the part of all stake is no reason.
        _operator(5, OPERATOR_BOND);
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        vm.prank(ALICE);
        st.withdraw(50e18, ALICE, ALICE);
        for (uint32 id = 1; id <= 4; ++id) {
            _slash(id, _epoch(), 1e18);
        }
        st.sync(type(uint256).max);
        vm.warp(st.position().bunkerUntil);
        // The buffer was empty: nothing is left, and shares at no price could not be counted.
        assertEq(st.totalAssets(), 0);
        assertEq(st.maxDeposit(BOB), 0);
        assertEq(st.maxMint(BOB), 0);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_DepositTooLarge.selector, 1, 0));
        st.deposit(1, BOB);
    }

    function test_replenish_afterASlashOfThawingStake() public {
        _deposit(ALICE, 499e18);
        uint256 shares = _deposit(BOB, 500e18);
        _nextEpoch();
        _delegateAll();
        _request(BOB, shares);
        _seal();
        vm.expectRevert(IStakedToken.StakedToken_NothingLacking.selector);
        st.replenish();
        // Operators are drawn on one after the other; those drawn on thaw more than their part of the loss.
        for (uint32 id = 1; id <= 4; ++id) {
            if (st.ticketOf(id, _epoch()) > 100e18) _slash(id, _epoch(), 0.5e18);
        }
        uint256 lacking = st.lacking();
        assertGt(lacking, 0);
        st.replenish();
        assertEq(st.lacking(), 0);
    }

    // --- the queue's doors

    function test_queueDoorsAreTheQueuesOnly() public {
        bytes memory refusal = abi.encodeWithSelector(IStakedToken.StakedToken_NotExitQueue.selector, address(this));
        vm.expectRevert(refusal);
        st.escrowShares(ALICE, ALICE, 1);
        vm.expectRevert(refusal);
        st.sealExit(1);
        vm.expectRevert(refusal);
        st.releaseExit();
    }

    // --- standards

    function test_supportsInterface() public view {
        assertTrue(st.supportsInterface(0x01ffc9a7), "ERC-165");
        assertTrue(st.supportsInterface(0x2f0a18c5), "ERC-7575");
        assertTrue(st.supportsInterface(0xf815c03d), "ERC-7575 share");
        assertFalse(st.supportsInterface(0xffffffff));
        assertFalse(st.supportsInterface(0x620ee8e4), "asynchronous redemption is the queue's");
    }

    function test_permitAndDomain() public {
        (address owner, uint256 key) = makeAddrAndKey("permit");
        _deposit(owner, 10e18);
        (, string memory name, string memory version, uint256 chainId, address domainOf,,) =
            IERC5267(address(st)).eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                domainOf
            )
        );
        assertEq(domain, IERC20Permit(address(st)).DOMAIN_SEPARATOR());
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                BOB,
                5e18,
                0,
                block.timestamp
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", domain, message)));
        IERC20Permit(address(st)).permit(owner, BOB, 5e18, block.timestamp, v, r, s);
        assertEq(share.allowance(owner, BOB), 5e18);
    }

    // --- kit

    event Deposit(address indexed sender, address indexed owner, uint256 assets, uint256 shares);
    event Withdraw(
        address indexed sender, address indexed receiver, address indexed owner, uint256 assets, uint256 shares
    );

    function _nextEpoch() private {
        _toEpoch(_epoch() + 1);
    }

    function _harvestToOddRate() private {
        _deposit(BOB, 10e18 + 7);
        _harvest(1, 33e18 + 5);
        skip(100 * EPOCH);
    }

    function _full() private view returns (IStakedToken.Config memory config) {
        config = _config();
        config.token = address(token);
        config.rewardVault = address(rewards);
        config.allocator = address(allocator);
        config.coverFund = address(cover);
        config.exitQueue = address(queue);
        config.faultWatch = address(watch);
    }

    function _range(uint256 parameter, uint256 value) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStakedToken.StakedToken_OutOfRange.selector, parameter, value);
    }

    function _refuse(IStakedToken.Config memory config, bytes memory reason) private {
        bytes memory code = abi.encodePacked(vm.getCode("StakedToken.sol:StakedToken"), abi.encode(config));
        vm.expectRevert(reason);
        this.create(code);
    }

    function create(bytes memory code) external returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
            if iszero(made) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }
}
