// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @dev Deposits and withdraws in one transaction, as somebody with a loan would.
contract Passage {
    function depositAndWithdraw(IStakedToken st, uint256 assets) external returns (uint256 left) {
        IERC20(st.asset()).approve(address(st), assets);
        uint256 shares = st.deposit(assets, address(this));
        st.redeem(shares, address(this), address(this));
        return IERC20(address(st)).balanceOf(address(this));
    }

    function depositAndWithdrawMore(IStakedToken st, uint256 assets, uint256 out) external {
        IERC20(st.asset()).approve(address(st), assets);
        st.deposit(assets, address(this));
        st.withdraw(out, address(this), address(this));
    }
}

/// @notice Deposits and instant exits.
contract StakedTokenEntryTest is LiquidFixture {
    function setUp() public {
        _deployLiquid();
    }

    event Deposit(address indexed sender, address indexed owner, uint256 assets, uint256 shares);
    event Withdraw(
        address indexed sender, address indexed receiver, address indexed owner, uint256 assets, uint256 shares
    );

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
        uint256 free = st.liquidity().free;
        assertEq(free, st.position().bufferTarget);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_BufferTooLow.selector, free + 1, free));
        st.withdraw(free + 1, ALICE, ALICE);
        assertEq(st.maxWithdraw(ALICE), free);
    }

    /// @notice What comes in and leaves in one transaction uses nothing of the window: a loan cannot close it for all.
    /// forge-config: default.isolate = true
    function test_window_countsNothingThatOnlyPassesThrough() public {
        _deposit(ALICE, 1000e18);
        uint256 most = st.maxWithdraw(ALICE);
        assertApproxEqAbs(most, uint256(1001e18) / 10, 1e18);
        Passage passage = new Passage();
        token.transfer(address(passage), 100e18);
        uint256 left = passage.depositAndWithdraw(st, 90e18);
        assertEq(left, 0, "all that it deposited");
        assertGe(st.maxWithdraw(ALICE), most);
        // What was deposited in an earlier transaction counts.
        _deposit(BOB, 50e18);
        vm.prank(BOB);
        st.withdraw(40e18, BOB, BOB);
        assertApproxEqAbs(st.maxWithdraw(ALICE), st.totalAssets() / 10 - 40e18, 2e18);
        // And what leaves beyond what came in.
        uint256 before = st.maxWithdraw(ALICE);
        vm.prank(BOB);
        share.transfer(address(passage), 5e18);
        passage.depositAndWithdrawMore(st, 10e18, 14e18);
        assertApproxEqAbs(st.maxWithdraw(ALICE), before - 4e18, 0.5e18);
    }

    /// forge-config: default.isolate = true
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

    // --- kit

    function _harvestToOddRate() private {
        _deposit(BOB, 10e18 + 7);
        _harvest(1, 33e18 + 5);
        skip(100 * EPOCH);
    }
}
