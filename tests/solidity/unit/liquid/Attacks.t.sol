// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IAllocator} from "contracts/interfaces/IAllocator.sol";
import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";
import {CallbackToken, FeeToken} from "../../harness/Tokens.sol";

/// @notice Attacks on liquid staking, each test named for what is stopped, with the attacker's books.
contract LiquidAttacksTest is LiquidFixture {
    address private constant EVE = address(0xE7E);

    function setUp() public {
        _deployLiquid();
    }

    /// @notice The first depositor takes one wei of a share, makes it dear by a transfer, and hopes that the victim's deposit
    /// rounds to nothing.
    function test_firstDepositorInflation() public {
        uint256 shares = _deposit(EVE, 1);
        token.transfer(address(st), 1000e18);
        uint256 victim = _deposit(ALICE, 500e18);
        assertEq(victim, 500e18, "the transfer made no price");
        // Even once it has vested, the seed's holder, nobody, owns nearly all of it.
        st.skim();
        skip(100 * EPOCH);
        assertLe(st.convertToAssets(shares), 3);
        assertGe(st.convertToAssets(victim), 500e18);
    }

    /// @notice Q7: tokens sent to the contract change no price, now or when they are booked.
    function test_Q7_donationChangesNoPrice() public {
        _deposit(ALICE, 100e18);
        uint256 price = st.convertToAssets(1e18);
        uint256 quote = st.previewDeposit(5e18);
        token.transfer(address(st), 100e18);
        assertEq(st.convertToAssets(1e18), price);
        st.skim();
        assertEq(st.convertToAssets(1e18), price);
        assertEq(st.previewDeposit(5e18), quote);
    }

    /// @notice Deposit right before a harvest, leave right after it: the gain has not vested, the fee of leaving is lost.
    function test_rewardSandwich() public {
        _deposit(ALICE, 1000e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        _deposit(ALICE, 100e18);
        _toEpoch(_epoch() + 5);
        uint256 shares = _deposit(EVE, 100e18);
        _harvest(1, 50e18);
        skip(1);
        vm.prank(EVE);
        uint256 back = st.redeem(shares / 2, EVE, EVE);
        assertLt(back, 50e18, "a second of the drip is less than the fee");
    }

    /// @notice Before rewards vest slower than they were earned: waiting for a long stretch to be harvested and buying in for the
    /// drip gains no more per epoch than staying did.
    function test_rewardSandwich_lumpOfManyEpochs() public {
        _deposit(ALICE, 1000e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        uint32 start = _epoch();
        _toEpoch(start + 16);
        _harvest(1, 160e18);
        uint256 before = st.totalAssets();
        skip(EPOCH);
        // 10 per epoch were earned (9 after the fee); the drip pays at most that per epoch.
        assertLe(st.totalAssets() - before, 9.7e18);
    }

    /// @notice A fault was seen, its proof is on the way: leaving the buffer empty at once does not escape. What may leave is
    /// bounded, and draining the buffer costs more than the slash takes.
    function test_slashFrontRunningThroughInstantExit() public {
        _deposit(ALICE, 1000e18);
        uint256 shares = _deposit(EVE, 1000e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        uint256 most = st.maxWithdraw(EVE);
        assertEq(most, st.position().bufferTarget, "a twentieth of all assets at most");
        uint256 worthBefore = st.convertToAssets(shares);
        vm.prank(EVE);
        st.withdraw(most, EVE, EVE);
        assertEq(st.maxWithdraw(EVE), 0);
        // A quarter of the stake is slashed by 4 %: a percent of what everybody holds.
        _slash(1, _epoch(), 0.04e18);
        uint256 paid = worthBefore - st.convertToAssets(share.balanceOf(EVE)) - most;
        // Had she stayed in whole, she had lost a percent.
        assertGt(paid, worthBefore / 105, "leaving saved nothing to speak of");
        // And after the slash everyone waits in the bunker.
        skip(1);
        assertEq(st.maxWithdraw(EVE), 0);
    }

    /// @notice Asking to leave between fault and proof does not escape: a sealed exit loses what stayers lose.
    function test_slashFrontRunningThroughTheQueue() public {
        _deposit(ALICE, 1000e18);
        uint256 shares = _deposit(EVE, 1000e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        uint32 sigma = _epoch();
        _request(EVE, shares);
        _seal();
        _slash(1, sigma, 0.04e18);
        (uint256 owed,,) = st.exitOf(1);
        uint256 rate = st.convertToAssets(1000e18);
        assertApproxEqAbs(owed, rate, 3, "the same loss as who stayed");
        assertLt(owed, 1000e18 - 9e18);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_ExitHeld.selector, block.timestamp + EPOCH));
        queue.finalize();
    }

    /// @notice Q20: leaving in many small steps costs as much as at once.
    function test_Q20_splittingAnInstantExit() public {
        _deposit(ALICE, 900e18);
        _deposit(EVE, 100e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        uint256 state = vm.snapshotState();
        vm.prank(EVE);
        uint256 whole = st.withdraw(50e18, EVE, EVE);
        vm.revertToState(state);
        uint256 parts;
        for (uint256 i = 0; i < 50; ++i) {
            vm.prank(EVE);
            parts += st.withdraw(1e18, EVE, EVE);
        }
        assertGe(parts, whole);
        assertLe(parts, whole + 200);
    }

    /// @notice Q19, Q14: nobody behind takes what the head of the queue waits for: not by an instant exit, not by a later seal, not
    /// by delegating the buffer away.
    function test_queueJumping() public {
        uint256 shares = _deposit(ALICE, 500e18);
        _deposit(EVE, 500e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        _request(ALICE, shares);
        _seal();
        _deposit(BOB, 300e18);
        assertEq(st.maxWithdraw(EVE), 0, "the buffer is the queue's");
        vm.prank(EVE);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_BufferTooLow.selector, 1, 0));
        st.withdraw(1, EVE, EVE);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_NothingToDelegate.selector, 0));
        st.delegate();
        _toEpoch(_epoch() + 1);
        _request(EVE, 10e18);
        _seal();
        skip(EPOCH);
        // The second batch is small enough for the buffer, and waits for the first all the same.
        uint256 buffer = st.position().buffer;
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_BufferTooLow.selector, 500e18, buffer));
        queue.finalize();
        _deposit(BOB, 200e18);
        (uint256 requestId,) = queue.finalize();
        assertEq(requestId, 1);
    }

    /// @notice A token that calls back in the middle of a transfer finds every door closed and one consistent price.
    function test_reentrancyThroughAHookToken() public {
        CallbackToken hook = new CallbackToken();
        _withToken(IERC20(address(hook)));
        hook.mint(EVE, 100e18);
        vm.startPrank(EVE);
        hook.approve(address(st), type(uint256).max);
        bytes[9] memory doors = [
            abi.encodeCall(st.deposit, (1, EVE)),
            abi.encodeCall(st.mint, (1, EVE)),
            abi.encodeCall(st.withdraw, (0, EVE, EVE)),
            abi.encodeCall(st.redeem, (0, EVE, EVE)),
            abi.encodeCall(st.skim, ()),
            abi.encodeCall(st.delegate, ()),
            abi.encodeCall(st.sync, (1)),
            abi.encodeCall(st.collectFees, ()),
            abi.encodeCall(st.harvest, (_one(1), 1))
        ];
        for (uint256 i = 0; i < doors.length; ++i) {
            hook.arm(address(st), doors[i]);
            st.deposit(1e18, EVE);
            assertFalse(hook.succeeded());
            assertEq(bytes4(hook.answer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        }
        // Inside a deposit and inside an exit the price is that of before or after, which are the same.
        uint256 price = st.convertToAssets(1e18);
        hook.arm(address(st), abi.encodeCall(st.convertToAssets, (1e18)));
        st.deposit(1e18, EVE);
        assertEq(abi.decode(hook.answer(), (uint256)), price);
        hook.arm(address(st), abi.encodeCall(st.convertToAssets, (1e18)));
        st.withdraw(0.1e18, EVE, EVE);
        assertEq(abi.decode(hook.answer(), (uint256)), price);
        vm.stopPrank();
    }

    /// @notice A claim that is called back into pays once.
    function test_Q15_reentrancyIntoAClaim() public {
        CallbackToken hook = new CallbackToken();
        _withToken(IERC20(address(hook)));
        hook.mint(address(this), 100e18);
        hook.approve(address(st), type(uint256).max);
        uint256 shares = st.deposit(50e18, address(this));
        st.deposit(50e18, ALICE);
        queue.requestRedeem(shares, address(this), address(this));
        _request(ALICE, 50e18);
        _seal();
        skip(EPOCH);
        queue.finalize();
        queue.setOperator(address(hook), true);
        hook.arm(address(queue), abi.encodeCall(queue.claim, (1, address(this), address(this))));
        assertEq(queue.claim(1, address(this), address(this)), 50e18);
        assertFalse(hook.succeeded());
        assertEq(bytes4(hook.answer()), IExitQueue.ExitQueue_NotClaimable.selector);
        assertEq(hook.balanceOf(address(queue)), 50e18);
    }

    /// @notice Minting through the queue while a transfer lets the price move: neither do other people's finalised exits pay for
    /// it, nor does the caller leave assets behind (Q4).
    function test_reentrancyIntoAMintThroughTheQueue() public {
        CallbackToken hook = new CallbackToken();
        _withToken(IERC20(address(hook)));
        hook.mint(address(this), 200e18);
        hook.approve(address(st), type(uint256).max);
        hook.approve(address(queue), type(uint256).max);
        st.deposit(100e18, address(this));
        allocator.setWeight(1, 100);
        _toEpoch(_epoch() + 20);
        _delegateAll();
        assertEq(queue.mint(10e18, address(this)), st.previewMint(10e18));

        uint256 expected = st.previewMint(10e18);
        uint256 before = vm.snapshotState();
        this.slashWithinATransfer();
        uint256 cheaper = st.previewMint(10e18);
        assertLt(cheaper, expected);
        vm.revertToState(before);
        hook.arm(address(this), abi.encodeCall(this.slashWithinATransfer, ()));
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_PriceMoved.selector, expected, cheaper));
        queue.mint(10e18, address(this));
    }

    function slashWithinATransfer() external {
        _slash(1, _epoch(), 0.02e18);
    }

    /// @notice Tokens that take a fee would leave holes in the books.
    function test_feeTakingTokenIsRefused() public {
        FeeToken fee = new FeeToken();
        fee.mint(address(this), 1000e18);
        // The seed already arrives short.
        IStakedToken.Config memory config = _config();
        (config.token, config.rewardVault) = (address(fee), address(rewards));
        (config.allocator, config.coverFund, config.exitQueue) = (address(allocator), address(cover), address(queue));
        config.faultWatch = address(watch);
        fee.approve(vm.computeCreateAddress(address(this), vm.getNonce(address(this))), 1e18);
        bytes memory code = abi.encodePacked(vm.getCode("StakedToken.sol:StakedToken"), abi.encode(config));
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_TokenTookFee.selector, 0.99e18, 1e18));
        this.make(code);
    }

    /// @notice The queue, too, counts what arrives: what lies there belongs to others.
    function test_feeTakingTokenIsRefusedByTheQueue() public {
        FeeToken fee = new FeeToken();
        fee.mint(address(this), 100e18);
        IExitQueue other =
            IExitQueue(vm.deployCode("ExitQueue.sol:ExitQueue", abi.encode(address(fee), address(st), GENESIS, EPOCH)));
        fee.approve(address(other), 100e18);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_TokenTookFee.selector, 0.99e18, 1e18));
        other.deposit(1e18, address(this));
    }

    /// @notice Gifts beyond what the books can say are refused, not cut.
    function test_giftsBeyondTheBooks() public {
        CallbackToken hook = new CallbackToken();
        _withToken(IERC20(address(hook)));
        // Nine tenths of each vest; the drip is kept in 112 bits.
        uint256 gift = 1 << 112;
        hook.mint(address(st), gift);
        st.skim();
        assertEq(st.position().locked, gift - gift / 10);
        hook.mint(address(st), gift);
        vm.expectRevert(IStakedToken.StakedToken_BooksTooLarge.selector);
        st.skim();
    }

    function make(bytes memory code) external {
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 32), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    /// @notice Q9: depositing and leaving over and over, in the smallest and oddest amounts, never gains a wei.
    function test_Q9_dustLoops() public {
        _deposit(ALICE, 77e18 + 13);
        _harvest(1, 31e18 + 7);
        skip(50 * EPOCH);
        token.transfer(EVE, 10e18);
        vm.startPrank(EVE);
        token.approve(address(st), type(uint256).max);
        for (uint256 i = 1; i < 60; ++i) {
            uint256 before = token.balanceOf(EVE);
            st.mint(i, EVE);
            st.redeem(share.balanceOf(EVE), EVE, EVE);
            assertLt(token.balanceOf(EVE), before);
        }
        vm.stopPrank();
    }

    /// @notice Q18: a deposit in the block of a slash, before anyone told the token, pays the price after it; and an instant exit
    /// gets no price of before.
    function test_Q18_stalePriceAfterASlash() public {
        _deposit(ALICE, 1000e18);
        _deposit(EVE, 100e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        uint256 before = st.previewRedeem(1e18);
        _slash(1, _epoch(), 0.02e18);
        assertLt(st.previewRedeem(1e18), before);
        uint256 shares = _deposit(BOB, 100e18);
        assertGt(shares, 100e18, "cheaper after the loss");
        assertApproxEqAbs(st.convertToAssets(shares), 100e18, 1);
        vm.prank(EVE);
        assertLt(st.redeem(1e18, EVE, EVE), before);
    }

    /// @notice An operator that leaves the list, or the network, loses none of its stake on the way out.
    function test_operatorRemovalWithStakeInFlight() public {
        _deposit(ALICE, 999e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        allocator.setWeight(2, 0);
        uint256 total = st.totalAssets();
        uint256 moved = st.rebalance(2);
        uint32 cohort = _epoch();
        // It stays listed while it can be slashed, so that `FaultWatch` sees what it is accused of.
        vm.expectRevert(abi.encodeWithSelector(IAllocator.Allocator_StillInUse.selector, 2, 0, moved));
        allocator.unlist(2);
        vm.prank(_owner(2));
        registry.retire(2);
        assertEq(st.totalAssets(), total);
        assertEq(st.ticketOf(2, cohort), moved);
        // Still liable on its way.
        _slash(2, cohort, 0.01e18);
        assertLt(st.ticketOf(2, cohort), moved);
        assertLe(st.ticketOf(2, cohort), _realTicket(2, cohort));
        vm.warp(vault.claimableFrom(cohort) + EPOCH);
        allocator.unlist(2);
        total = st.totalAssets();
        st.collect(2, cohort);
        assertEq(st.totalAssets(), total);
        // Rewards for what it did come in all the same.
        _harvest(2, 5e18);
        assertGt(st.position().locked, 0);
    }

    /// @notice Sealing dust in the first second of every epoch would make everybody wait for the next one.
    function test_griefingSeal() public {
        _deposit(EVE, 1e18);
        uint256 shares = _deposit(ALICE, 100e18);
        _toEpoch(_epoch() + 1);
        _request(EVE, 1);
        uint256 from = queue.sealableFrom();
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_SealTooEarly.selector, from));
        queue.seal();
        // So whoever asks in the first half of an epoch leaves in it.
        vm.warp(from - 1);
        uint256 requestId = _request(ALICE, shares);
        _seal();
        assertEq(queue.openBatch(), requestId + 1);
        // And one wei of a share costs one seal, not a place: there is one batch per epoch at most.
        _request(EVE, 1);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_SealTooEarly.selector, from + EPOCH));
        queue.seal();
    }

    /// @notice A stranger may send requests to a victim's name, one per batch; the victim's own claim stays O(1), and nothing a
    /// stranger does delays or takes a finalised amount.
    function test_griefingFinalizeAndClaims() public {
        uint256 shares = _deposit(ALICE, 100e18);
        _deposit(EVE, 1e18);
        for (uint256 i = 0; i < 6; ++i) {
            vm.prank(EVE);
            queue.requestRedeem(1, ALICE, EVE);
            if (i == 5) _request(ALICE, shares);
            _seal();
            skip(EPOCH);
            vm.prank(EVE);
            queue.finalize();
        }
        assertEq(queue.requestsOf(ALICE, 99).length, 6);
        vm.prank(EVE);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, EVE, ALICE));
        queue.claim(6, EVE, ALICE);
        vm.prank(ALICE);
        assertEq(queue.claim(6, ALICE, ALICE), 100e18 + 1);
        vm.prank(ALICE);
        assertEq(queue.redeem(5, ALICE, ALICE), 5);
        assertEq(queue.requestsOf(ALICE, 99).length, 0);
    }

    /// @notice Many small moves of the buffer would burn gas of others and round the books down: a least amount.
    function test_griefingDelegateByDust() public {
        _deposit(ALICE, 999e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        _deposit(EVE, 0.5e18);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_NothingToDelegate.selector, 0.5e18));
        st.delegate();
    }

    /// @dev A second vault and liquid token over another asset.
    function _withToken(IERC20 asset) private {
        IStakeVault.Config memory vaultConfig = _vaultConfig(address(asset));
        vault = IStakeVault(vm.deployCode("StakeVault.sol:StakeVault", abi.encode(vaultConfig)));
        IStakedToken.Config memory config = _config();
        config.maxShareBps = 10_000;
        if (asset.balanceOf(address(this)) == 0) CallbackToken(address(asset)).mint(address(this), 1e18);
        _deployLiquidOn(asset, config);
    }
}
