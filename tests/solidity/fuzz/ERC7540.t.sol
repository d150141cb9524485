// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";

import {LiquidFixture} from "../harness/LiquidFixture.sol";

/// @notice What ERC-7540 demands of a vault with asynchronous redemption, for the exit queue at any price and after slashes.
contract ERC7540Fuzz is LiquidFixture {
    address private constant OPERATOR = address(0x09E7);

    function setUp() public {
        _deployLiquid();
    }

    /// @dev Two controllers in one batch, one of them in the next as well; the first is claimable, and lost something now and then.
    modifier someHistory(uint96[4] memory sizes, uint64 loss) {
        _deposit(ALICE, 1500e18);
        _deposit(BOB, 1500e18);
        _nextEpoch();
        _delegateAll();
        if (loss % 2 == 1) _harvest(1, 1 + uint256(loss));
        skip(EPOCH);
        for (uint256 i = 0; i < 4; ++i) {
            sizes[i] = uint96(sizes[i] % 3 == 0 ? _bound(sizes[i], 1, 20) : _bound(sizes[i], 1, 100e18));
        }
        _request(ALICE, sizes[0]);
        _request(BOB, sizes[1]);
        _seal();
        if (loss % 3 == 1) {
            _slash(1, _epoch(), _bound(loss, 1, 0.2e18));
            st.sync(1);
        }
        _request(ALICE, sizes[2]);
        (,, uint256 from) = st.exitOf(1);
        vm.warp(from);
        // Deposits of others pay what the buffer lacks.
        uint256 missing = st.position().owed;
        if (st.maxDeposit(CAROL) > missing) _deposit(CAROL, missing);
        queue.finalize();
        _;
    }

    function testFuzz_statesAndIds(uint96[4] memory sizes, uint64 loss, address caller)
        public
        someHistory(sizes, loss)
    {
        vm.startPrank(caller);
        assertEq(queue.pendingRedeemRequest(1, ALICE), 0, "pending leaves out what is claimable");
        assertEq(queue.claimableRedeemRequest(1, ALICE), sizes[0]);
        assertEq(queue.claimableRedeemRequest(1, BOB), sizes[1]);
        assertEq(queue.pendingRedeemRequest(2, ALICE), sizes[2]);
        assertEq(queue.claimableRedeemRequest(2, ALICE), 0, "claimable leaves out what is pending");
        assertEq(queue.pendingRedeemRequest(2, BOB) + queue.pendingRedeemRequest(77, ALICE), 0);
        assertEq(queue.pendingRedeemRequest(0, ALICE) + queue.claimableRedeemRequest(0, ALICE), 0, "no id is zero");
        assertEq(queue.maxRedeem(ALICE), sizes[0]);
        vm.stopPrank();
        assertEq(share.balanceOf(address(queue)), sizes[2], "out of the owner's hands, and burned when sealed");
    }

    /// @notice All requests of an id become claimable at once and get the same price.
    function testFuzz_oneIdOnePrice(uint96[4] memory sizes, uint64 loss) public someHistory(sizes, loss) {
        IExitQueue.Batch memory batch = queue.batchOf(1);
        uint256 one = _claim(ALICE, sizes[0]);
        uint256 two = _claim(BOB, sizes[1]);
        assertEq(one, batch.assets * sizes[0] / batch.shares);
        assertEq(two, batch.assets * sizes[1] / batch.shares);
    }

    function testFuzz_claimsUpToTheMaximumAndNoMore(uint96[4] memory sizes, uint64 loss, uint256 part, uint256 over)
        public
        someHistory(sizes, loss)
    {
        over = _bound(over, 1, type(uint128).max);
        uint256 shares = queue.maxRedeem(ALICE);
        uint256 assets = queue.maxWithdraw(ALICE);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotClaimable.selector, shares + over, shares));
        queue.redeem(shares + over, ALICE, ALICE);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotClaimable.selector, assets + over, assets));
        queue.withdraw(assets + over, ALICE, ALICE);
        if (part % 2 == 0) {
            part = _bound(part, 0, shares);
            queue.redeem(part, ALICE, ALICE);
            assertEq(queue.maxRedeem(ALICE), shares - part);
            queue.redeem(shares - part, ALICE, ALICE);
        } else {
            part = _bound(part, 0, assets);
            assertLe(queue.withdraw(part, ALICE, ALICE), shares);
            assertEq(token.balanceOf(ALICE), part);
            queue.redeem(queue.maxRedeem(ALICE), ALICE, ALICE);
        }
        vm.stopPrank();
        assertEq(queue.maxRedeem(ALICE) + queue.maxWithdraw(ALICE), 0);
        assertLe(token.balanceOf(ALICE), assets, "parts pay no more than the whole");
    }

    function testFuzz_onlyTheControllerAndItsOperatorsClaim(uint96[4] memory sizes, uint64 loss, address stranger)
        public
        someHistory(sizes, loss)
    {
        vm.assume(stranger != ALICE && stranger != OPERATOR);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, stranger, ALICE));
        queue.redeem(1, stranger, ALICE);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, stranger, ALICE));
        queue.withdraw(0, stranger, ALICE);
        vm.prank(ALICE);
        assertTrue(queue.setOperator(OPERATOR, true));
        assertTrue(queue.isOperator(ALICE, OPERATOR));
        uint256 assets = queue.maxWithdraw(ALICE);
        vm.prank(OPERATOR);
        assertEq(queue.redeem(sizes[0], CAROL, ALICE), assets);
        vm.prank(ALICE);
        queue.setOperator(OPERATOR, false);
        vm.prank(OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, OPERATOR, ALICE));
        queue.redeem(0, CAROL, ALICE);
    }

    /// @notice Requests for others: an operator needs no allowance, a spender's is used up unless it is endless.
    function testFuzz_requestsForOthers(uint256 shares, uint256 allowance) public {
        uint256 held = _deposit(ALICE, 100e18);
        shares = _bound(shares, 1, held);
        allowance = allowance % 3 == 0 ? type(uint256).max : _bound(allowance, 0, 2 * held);
        vm.prank(ALICE);
        share.approve(OPERATOR, allowance);
        if (allowance < shares) {
            vm.prank(OPERATOR);
            vm.expectRevert(
                abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, OPERATOR, allowance, shares)
            );
            queue.requestRedeem(shares, BOB, ALICE);
            vm.prank(ALICE);
            queue.setOperator(OPERATOR, true);
        }
        vm.prank(OPERATOR);
        assertEq(queue.requestRedeem(shares, BOB, ALICE), 1);
        assertEq(queue.pendingRedeemRequest(1, BOB), shares);
        assertEq(share.balanceOf(ALICE), held - shares);
        uint256 left = allowance < shares || allowance == type(uint256).max ? allowance : allowance - shares;
        assertEq(share.allowance(ALICE, OPERATOR), left);
        vm.prank(BOB);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, BOB, 0, held - shares + 1)
        );
        queue.requestRedeem(held - shares + 1, BOB, ALICE);
    }

    function testFuzz_previewsOfRedemptionRevertForAllInput(uint256 amount, address caller) public {
        vm.startPrank(caller);
        vm.expectRevert(IExitQueue.ExitQueue_NoPreview.selector);
        queue.previewRedeem(amount);
        vm.expectRevert(IExitQueue.ExitQueue_NoPreview.selector);
        queue.previewWithdraw(amount);
    }

    function _claim(address who, uint256 shares) private returns (uint256) {
        vm.prank(who);
        return queue.redeem(shares, who, who);
    }
}
