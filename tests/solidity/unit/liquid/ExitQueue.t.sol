// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @notice Behaviour of the exit queue, entry by entry, to the letter of ERC-7540 and ERC-7575.
contract ExitQueueTest is LiquidFixture {
    event RedeemRequest(
        address indexed controller, address indexed owner, uint256 indexed requestId, address sender, uint256 shares
    );
    event OperatorSet(address indexed controller, address indexed operator, bool approved);
    event Withdraw(
        address indexed sender, address indexed receiver, address indexed owner, uint256 assets, uint256 shares
    );
    event Deposit(address indexed sender, address indexed owner, uint256 assets, uint256 shares);

    function setUp() public {
        _deployLiquid();
    }

    function test_supportsInterface() public view {
        assertTrue(queue.supportsInterface(0x01ffc9a7), "ERC-165");
        assertTrue(queue.supportsInterface(0xe3bc4e65), "ERC-7540 operators");
        assertTrue(queue.supportsInterface(0x620ee8e4), "ERC-7540 asynchronous redemption");
        assertTrue(queue.supportsInterface(0x2f0a18c5), "ERC-7575");
        assertFalse(queue.supportsInterface(0xce3bbe50), "deposits are synchronous");
        assertFalse(queue.supportsInterface(0xffffffff));
    }

    function test_namesAndConversionsAreTheStakedTokens() public {
        _deposit(ALICE, 100e18);
        assertEq(queue.asset(), address(token));
        assertEq(queue.share(), address(st));
        assertEq(queue.totalAssets(), st.totalAssets());
        assertEq(queue.convertToAssets(3e18), st.convertToAssets(3e18));
        assertEq(queue.convertToShares(3e18), st.convertToShares(3e18));
        assertEq(queue.maxDeposit(ALICE), st.maxDeposit(ALICE));
        assertEq(queue.maxMint(ALICE), st.maxMint(ALICE));
        assertEq(queue.previewDeposit(3e18), st.previewDeposit(3e18));
        assertEq(queue.previewMint(3e18), st.previewMint(3e18));
    }

    function test_previewsOfRedemptionRevert() public {
        vm.expectRevert(IExitQueue.ExitQueue_NoPreview.selector);
        queue.previewRedeem(1);
        vm.expectRevert(IExitQueue.ExitQueue_NoPreview.selector);
        queue.previewWithdraw(1);
    }

    function test_depositPassesThrough() public {
        token.transfer(ALICE, 100e18);
        vm.startPrank(ALICE);
        token.approve(address(queue), 100e18);
        vm.expectEmit(address(queue));
        emit Deposit(ALICE, BOB, 60e18, 60e18);
        assertEq(queue.deposit(60e18, BOB), 60e18);
        assertEq(queue.mint(40e18, BOB), 40e18);
        vm.stopPrank();
        assertEq(share.balanceOf(BOB), 100e18);
        assertEq(token.balanceOf(address(queue)), 0);
    }

    function test_request_joinsTheOpenBatch() public {
        uint256 shares = _deposit(ALICE, 100e18);
        vm.expectEmit(address(queue));
        emit RedeemRequest(BOB, ALICE, 1, ALICE, shares / 2);
        vm.prank(ALICE);
        assertEq(queue.requestRedeem(shares / 2, BOB, ALICE), 1, "ERC-7540: zero would mean that there are no ids");
        assertEq(queue.pendingRedeemRequest(1, BOB), shares / 2);
        assertEq(queue.pendingRedeemRequest(1, ALICE), 0);
        assertEq(queue.claimableRedeemRequest(1, BOB), 0);
        assertEq(queue.maxRedeem(BOB), 0);
        assertEq(share.balanceOf(address(queue)), shares / 2);
        assertEq(queue.requestsOf(BOB, 9).length, 1);
    }

    function test_request_needsOwnerOperatorOrAllowance() public {
        uint256 shares = _deposit(ALICE, 100e18);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, BOB, 0, shares));
        queue.requestRedeem(shares, BOB, ALICE);
        // An allowance of the share is one way, and is spent.
        vm.prank(ALICE);
        share.approve(BOB, shares / 2);
        vm.prank(BOB);
        queue.requestRedeem(shares / 2, BOB, ALICE);
        assertEq(share.allowance(ALICE, BOB), 0);
        // An operator is the other.
        vm.expectEmit(address(queue));
        emit OperatorSet(ALICE, BOB, true);
        vm.prank(ALICE);
        assertTrue(queue.setOperator(BOB, true));
        vm.prank(BOB);
        queue.requestRedeem(shares / 2, BOB, ALICE);
        assertEq(queue.pendingRedeemRequest(1, BOB), shares);
        vm.prank(ALICE);
        queue.setOperator(BOB, false);
        assertFalse(queue.isOperator(ALICE, BOB));
    }

    function test_request_refusesNothing() public {
        _deposit(ALICE, 100e18);
        vm.startPrank(ALICE);
        vm.expectRevert(IExitQueue.ExitQueue_Zero.selector);
        queue.requestRedeem(0, ALICE, ALICE);
        vm.expectRevert(IExitQueue.ExitQueue_Zero.selector);
        queue.requestRedeem(1, address(0), ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, ALICE, 100e18, 100e18 + 1)
        );
        queue.requestRedeem(100e18 + 1, ALICE, ALICE);
        vm.stopPrank();
    }

    function test_cancel_whileOpenOnly() public {
        uint256 shares = _deposit(ALICE, 100e18);
        _request(ALICE, shares);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, BOB, ALICE));
        queue.cancelRedeem(1, 1, BOB, ALICE);
        vm.startPrank(ALICE);
        vm.expectRevert(IExitQueue.ExitQueue_Zero.selector);
        queue.cancelRedeem(1, 0, ALICE, ALICE);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_InsufficientRequest.selector, shares + 1, shares));
        queue.cancelRedeem(1, shares + 1, ALICE, ALICE);
        queue.cancelRedeem(1, shares / 4, CAROL, ALICE);
        vm.stopPrank();
        assertEq(share.balanceOf(CAROL), shares / 4);
        assertEq(queue.batchOf(1).shares, shares - shares / 4);
        _seal();
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_AlreadySealed.selector, 1));
        queue.cancelRedeem(1, 1, ALICE, ALICE);
    }

    function test_cancel_thenJoinAgain() public {
        uint256 shares = _deposit(ALICE, 100e18);
        _request(ALICE, shares);
        vm.prank(ALICE);
        queue.cancelRedeem(1, shares, ALICE, ALICE);
        vm.expectRevert(IExitQueue.ExitQueue_NothingToSeal.selector);
        queue.seal();
        assertEq(queue.requestsOf(ALICE, 9).length, 0);
        _request(ALICE, shares);
        assertEq(queue.requestsOf(ALICE, 9).length, 1);
        _pass();
        assertEq(queue.maxRedeem(ALICE), shares);
    }

    function test_seal_inTheSecondHalfOncePerEpoch() public {
        uint256 shares = _deposit(ALICE, 100e18);
        vm.expectRevert(IExitQueue.ExitQueue_NothingToSeal.selector);
        queue.seal();
        _request(ALICE, shares / 2);
        uint256 from = GENESIS + uint256(_epoch()) * EPOCH + EPOCH / 2;
        assertEq(queue.sealableFrom(), from);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_SealTooEarly.selector, from));
        queue.seal();
        vm.warp(from);
        (uint256 requestId, uint256 assets) = queue.seal();
        assertEq(requestId, 1);
        assertEq(assets, shares / 2);
        assertEq(queue.openBatch(), 2);
        assertEq(uint256(queue.batchOf(1).state), uint256(IExitQueue.BatchState.Sealed));
        assertEq(queue.batchOf(1).assets, assets);
        _request(ALICE, shares / 2);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_SealTooEarly.selector, from + EPOCH));
        queue.seal();
    }

    function test_finalize_notBeforeTheHoldAndTheBuffer() public {
        uint256 shares = _deposit(ALICE, 1000e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        _request(ALICE, shares / 2);
        _seal();
        uint256 from = block.timestamp + EPOCH;
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_ExitHeld.selector, from));
        queue.finalize();
        vm.warp(from);
        uint256 buffer = st.position().buffer;
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_BufferTooLow.selector, 500e18, buffer));
        queue.finalize();
        // Deposits pay exits first.
        _deposit(BOB, 460e18);
        (uint256 requestId, uint256 assets) = queue.finalize();
        assertEq(requestId, 1);
        assertEq(assets, 500e18);
        assertEq(token.balanceOf(address(queue)), 500e18);
        assertEq(uint256(queue.batchOf(1).state), uint256(IExitQueue.BatchState.Finalised));
        vm.expectRevert(IStakedToken.StakedToken_NothingSealed.selector);
        queue.finalize();
    }

    function test_finalize_fromThawedStake() public {
        uint256 shares = _deposit(ALICE, 1000e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        _request(ALICE, shares / 2);
        _seal();
        uint32 cohort = _epoch();
        vm.warp(vault.claimableFrom(cohort));
        for (uint32 id = 1; id <= 4; ++id) {
            if (st.ticketOf(id, cohort) != 0) st.collect(id, cohort);
        }
        (, uint256 assets) = queue.finalize();
        assertEq(assets, 500e18);
    }

    function test_Q12_Q15_redeemAcrossBatches() public {
        uint256 shares = _deposit(ALICE, 100e18);
        _request(ALICE, shares / 4);
        _pass();
        _gain(40e18);
        _request(ALICE, shares / 4);
        _pass();
        uint256 first = queue.batchOf(1).assets;
        uint256 second = queue.batchOf(2).assets;
        assertGt(second, first, "the later batch earned more");
        assertEq(queue.maxRedeem(ALICE), shares / 2);
        assertEq(queue.maxWithdraw(ALICE), first + second);
        vm.expectEmit(address(queue));
        emit Withdraw(ALICE, BOB, ALICE, first + second / 2, 3 * (shares / 8));
        vm.prank(ALICE);
        assertEq(queue.redeem(3 * (shares / 8), BOB, ALICE), first + second / 2);
        assertEq(queue.claimableRedeemRequest(1, ALICE), 0);
        assertEq(queue.claimableRedeemRequest(2, ALICE), shares / 8);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotClaimable.selector, shares / 8 + 1, shares / 8));
        queue.redeem(shares / 8 + 1, ALICE, ALICE);
        vm.prank(ALICE);
        queue.redeem(shares / 8, ALICE, ALICE);
        assertEq(queue.requestsOf(ALICE, 9).length, 0);
        assertLe(token.balanceOf(address(queue)), 1, "dust");
    }

    function test_withdraw_burnsSharesRoundedUp() public {
        _deposit(ALICE, 100e18);
        _gain(33e18 + 1);
        uint256 shares = _deposit(BOB, 50e18);
        _request(BOB, shares);
        _request(ALICE, 3e18 + 7);
        _pass();
        uint256 most = queue.maxWithdraw(BOB);
        vm.prank(BOB);
        uint256 burned = queue.withdraw(most / 3, BOB, BOB);
        IExitQueue.Batch memory batch = queue.batchOf(1);
        assertEq(burned, (most / 3 * batch.shares + batch.assets - 1) / batch.assets);
        uint256 rest = queue.maxWithdraw(BOB);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotClaimable.selector, rest + 1, rest));
        queue.withdraw(rest + 1, BOB, BOB);
        vm.prank(BOB);
        queue.withdraw(rest, BOB, BOB);
        assertEq(queue.maxRedeem(BOB), 0);
    }

    /// @notice A call that names assets takes no shares that are worth none.
    function test_withdraw_sparesSharesWorthNothing() public {
        _deposit(ALICE, 500e18);
        _deposit(BOB, 499e18);
        _nextEpoch();
        _delegateAll();
        _slash(1, _epoch(), 0.01e18);
        _request(ALICE, 1);
        _request(BOB, 10e18);
        _pass();
        _request(ALICE, 10e18);
        _pass();
        assertEq(queue.batchOf(1).assets / queue.batchOf(1).shares, 0, "less than a wei for a wei");
        IExitQueue.Batch memory batch = queue.batchOf(2);
        vm.prank(ALICE);
        assertEq(queue.withdraw(5e18, ALICE, ALICE), (5e18 * batch.shares + batch.assets - 1) / batch.assets);
        assertEq(queue.claimableRedeemRequest(1, ALICE), 1);
    }

    /// @notice What was claimed costs nothing later: a controller's line begins with what is left.
    function test_redeem_dropsWhatIsEmpty() public {
        uint256 part = _deposit(ALICE, 100e18) / 4;
        _deposit(BOB, 100e18);
        for (uint256 i = 0; i < 3; ++i) {
            _request(ALICE, part);
            _pass();
            vm.prank(ALICE);
            queue.redeem(part, ALICE, ALICE);
        }
        _request(ALICE, part);
        _request(BOB, part);
        _pass();
        assertEq(_readsOfMaxRedeem(ALICE), _readsOfMaxRedeem(BOB));
        assertEq(queue.maxRedeem(ALICE), part);
    }

    function _readsOfMaxRedeem(address controller) private returns (uint256) {
        vm.record();
        queue.maxRedeem(controller);
        (bytes32[] memory reads,) = vm.accesses(address(queue));
        return reads.length;
    }

    function test_claim_ofOneRequestByTheOperator() public {
        uint256 shares = _deposit(ALICE, 100e18);
        _request(ALICE, shares / 2);
        _pass();
        _request(ALICE, shares / 4);
        _pass();
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, BOB, ALICE));
        queue.claim(2, BOB, ALICE);
        vm.prank(ALICE);
        queue.setOperator(BOB, true);
        vm.startPrank(BOB);
        assertEq(queue.claim(2, CAROL, ALICE), shares / 4);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotClaimable.selector, 0, 0));
        queue.claim(2, CAROL, ALICE);
        assertEq(queue.redeem(shares / 2, CAROL, ALICE), shares / 2);
        vm.stopPrank();
        assertEq(token.balanceOf(CAROL), shares / 2 + shares / 4);
        vm.prank(CAROL);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, CAROL, ALICE));
        queue.withdraw(1, CAROL, ALICE);
    }

    /// @notice A pause stops deposits and instant exits, and nothing on the way out.
    function test_pauseBlocksNoExit() public {
        uint256 shares = _deposit(ALICE, 100e18);
        guardian.set(true);
        _request(ALICE, shares);
        _pass();
        vm.prank(ALICE);
        assertEq(queue.redeem(shares, ALICE, ALICE), 100e18);
    }

    /// @notice In the bunker an exit that answers for the fault waits for its end, one that does not is paid.
    function test_bunkerHoldsLiableExitsOnly() public {
        uint256 early = _deposit(ALICE, 100e18);
        uint256 late = _deposit(BOB, 100e18);
        _deposit(CAROL, 5000e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        _request(ALICE, early);
        _seal();
        _toEpoch(_epoch() + 2);
        _request(BOB, late);
        _seal();
        _slash(1, _epoch(), 0.1e18);
        st.sync(1);
        uint256 until = st.position().bunkerUntil;
        assertGt(until, block.timestamp + EPOCH);
        queue.finalize();
        skip(EPOCH);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_ExitHeld.selector, until));
        queue.finalize();
        vm.warp(until);
        (uint256 requestId, uint256 assets) = queue.finalize();
        assertEq(requestId, 2);
        assertLt(assets, 100e18);
    }

    function test_constructor_refusesZero() public {
        vm.expectRevert(IExitQueue.ExitQueue_ZeroAddress.selector);
        this.make(address(0), address(st));
        vm.expectRevert(IExitQueue.ExitQueue_ZeroAddress.selector);
        this.make(address(token), address(0));
    }

    function make(address asset, address stakedToken) external {
        bytes memory code =
            abi.encodePacked(vm.getCode("ExitQueue.sol:ExitQueue"), abi.encode(asset, stakedToken, GENESIS, EPOCH));
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 32), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    /// @dev Seals the open batch and pays it a hold later.
    function _pass() private {
        _seal();
        skip(EPOCH);
        queue.finalize();
    }

    function _gain(uint256 amount) private {
        _harvest(1, amount);
        skip(30 * EPOCH);
    }
}
