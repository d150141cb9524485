// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAllocator} from "contracts/interfaces/IAllocator.sol";
import {IFaultWatch} from "contracts/interfaces/IFaultWatch.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @notice What accusations close, for how long, and what they can never close.
contract FaultWatchTest is LiquidFixture {
    uint256 private constant HOLD = 2 * EPOCH + ANSWER_TIME;

    function setUp() public {
        _deployLiquid();
        _deposit(ALICE, 999e18);
        _toEpoch(_epoch() + 1);
        // Each of the four operators gets 237.5 of the 1,000.
        _delegateAll();
    }

    function test_constructor_refusesBadFigures() public {
        bytes memory zero = abi.encodeWithSelector(IFaultWatch.FaultWatch_ZeroAddress.selector);
        _refuse(abi.encode(address(0), allocator, charges, charges, WATCH_BPS, EPOCH), zero);
        _refuse(abi.encode(st, address(0), charges, charges, WATCH_BPS, EPOCH), zero);
        _refuse(abi.encode(st, allocator, address(0), charges, WATCH_BPS, EPOCH), zero);
        _refuse(abi.encode(st, allocator, charges, address(0), WATCH_BPS, EPOCH), zero);
        _refuse(
            abi.encode(st, allocator, charges, charges, 0, EPOCH),
            abi.encodeWithSelector(IFaultWatch.FaultWatch_OutOfRange.selector, 0)
        );
        _refuse(
            abi.encode(st, allocator, charges, charges, 10_001, EPOCH),
            abi.encodeWithSelector(IFaultWatch.FaultWatch_OutOfRange.selector, 10_001)
        );
        _refuse(
            abi.encode(st, allocator, charges, charges, WATCH_BPS, 0),
            abi.encodeWithSelector(IFaultWatch.FaultWatch_OutOfRange.selector, 0)
        );
        assertEq(watch.THRESHOLD_BPS(), WATCH_BPS);
        assertEq(watch.HOLD_SECONDS(), HOLD);
    }

    function test_accusation_closesDepositsAndInstantExits() public {
        uint256 quote = st.previewRedeem(1e18);
        charges.accuse(2);
        assertEq(watch.accusedStake(), 237.5e18);
        assertEq(watch.heldUntil(7), 7 + HOLD);
        assertEq(st.maxDeposit(ALICE) + st.maxMint(ALICE) + st.maxWithdraw(ALICE) + st.maxRedeem(ALICE), 0);
        assertEq(st.previewRedeem(1e18), quote, "previews ignore limits");
        bytes memory refusal = abi.encodeWithSelector(IStakedToken.StakedToken_Accused.selector);
        vm.expectRevert(refusal);
        st.deposit(1e18, ALICE);
        vm.expectRevert(refusal);
        st.mint(1e18, ALICE);
        vm.startPrank(ALICE);
        vm.expectRevert(refusal);
        st.withdraw(1e18, ALICE, ALICE);
        vm.expectRevert(refusal);
        st.redeem(1e18, ALICE, ALICE);
        vm.stopPrank();
        // The answer opens both again, in the same block.
        charges.close(2);
        assertEq(watch.heldUntil(7), 0);
        vm.prank(ALICE);
        st.redeem(1e18, ALICE, ALICE);
        _deposit(BOB, 1e18);
    }

    function test_threshold_isAPartOfAllAssets() public {
        // Operator 1 is drained, its charge counts for nothing.
        allocator.setWeight(1, 0);
        allocator.setWeight(2, 300);
        uint256 whole = st.totalAssets();
        assertEq(whole, 1000e18);
        st.rebalance(1);
        vm.warp(vault.claimableFrom(_epoch()) + EPOCH);
        charges.accuse(1);
        assertTrue(watch.isAccused(1));
        assertFalse(watch.isAccused(2));
        assertEq(watch.accusedStake(), 0, "an operator without stake cannot hold anything");
        assertGt(st.maxDeposit(ALICE), 0);
        charges.accuse(2);
        assertEq(watch.heldUntil(1), 1 + HOLD);
    }

    /// @notice A top-up that is due is a loss everybody can see: nobody gets out before it is taken, or the time for it is over.
    function test_topUp_dueIsAnAccusation() public {
        charges.convictOther(2, true);
        assertTrue(watch.isAccused(2));
        assertFalse(watch.isAccused(1));
        assertEq(watch.accusedStake(), 237.5e18);
        assertEq(watch.heldUntil(7), 7 + HOLD);
        assertEq(st.maxRedeem(ALICE), 0);
        (uint32 id,) = allocator.nextDelegation(1e18);
        assertNotEq(id, 2);
        uint256 state = vm.snapshotState();
        charges.convictOther(2, false);
        assertEq(watch.accusedStake(), 0, "taken");
        vm.revertToState(state);
        skip(HOLD - 1);
        assertEq(watch.accusedStake(), 237.5e18);
        skip(1);
        assertEq(watch.accusedStake(), 0, "not for ever");
        assertFalse(watch.isAccused(2));
        // A charge is looked at all the same.
        charges.accuse(3);
        assertEq(watch.accusedStake(), 237.5e18);
    }

    /// @notice Draining the accused does not end the hold: what was taken out is liable still.
    function test_draining_doesNotEndTheHold() public {
        charges.accuse(1);
        _retire(1);
        assertEq(st.rebalance(1), 237.5e18);
        assertEq(st.activeOf(1), 0);
        assertEq(watch.accusedStake(), 237.5e18);
        assertEq(watch.heldUntil(1), 1 + HOLD);
        allocator.setWeight(1, 0);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.Allocator_StillInUse.selector, 1, 0, 237.5e18));
        allocator.unlist(1);
        // The verdict: the exit that waited bears its part.
        _request(ALICE, 40e18);
        _seal();
        _slash(1, _epoch(), 0.5e18);
        assertApproxEqAbs(watch.accusedStake(), 118.75e18, 2, "as far as the log goes");
        charges.close(1);
        (uint256 owed,,) = st.exitOf(1);
        assertApproxEqAbs(owed, uint256(40e18) * (1000e18 - 118.75e18) / 1000e18, 3);
    }

    function test_threshold_countsAllAccusedTogether() public {
        // A threshold of a quarter: one operator's 23.75 % is less, two are more.
        IFaultWatch other = IFaultWatch(
            vm.deployCode("FaultWatch.sol:FaultWatch", abi.encode(st, allocator, charges, charges, uint16(2500), EPOCH))
        );
        charges.accuse(3);
        assertEq(other.heldUntil(1), 0);
        charges.accuse(3);
        assertEq(other.heldUntil(1), 0, "each operator once");
        charges.accuse(4);
        assertEq(other.accusedStake(), 475e18);
        assertEq(other.heldUntil(1), 1 + HOLD);
        IFaultWatch exact = IFaultWatch(
            vm.deployCode("FaultWatch.sol:FaultWatch", abi.encode(st, allocator, charges, charges, uint16(4750), EPOCH))
        );
        assertEq(exact.heldUntil(1), 1 + HOLD, "reached");
        exact = IFaultWatch(
            vm.deployCode("FaultWatch.sol:FaultWatch", abi.encode(st, allocator, charges, charges, uint16(4751), EPOCH))
        );
        assertEq(exact.heldUntil(1), 0);
    }

    /// @notice Whoever is accused, and again and again: asking, taking back, sealing and claiming go on, and a sealed exit is
    /// paid `HOLD_SECONDS` after its seal at the latest.
    function test_accusation_neverClosesTheQueue() public {
        _request(ALICE, 10e18);
        _seal();
        skip(EPOCH);
        queue.finalize();
        for (uint32 id = 1; id <= 4; ++id) {
            charges.accuse(id);
        }
        vm.prank(ALICE);
        assertEq(queue.claim(1, ALICE, ALICE), 10e18, "claims");
        _request(ALICE, 30e18);
        vm.prank(ALICE);
        queue.cancelRedeem(2, 10e18, ALICE, ALICE);
        _seal();
        uint256 sealedAt = block.timestamp;
        (,, uint256 from) = st.exitOf(2);
        assertEq(from, sealedAt + HOLD, "the view tells");
        vm.warp(sealedAt + HOLD - 1);
        charges.accuse(1);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_ExitHeld.selector, sealedAt + HOLD));
        queue.finalize();
        skip(1);
        queue.finalize();
        vm.prank(ALICE);
        assertEq(queue.claim(2, ALICE, ALICE), 20e18);
    }

    function test_accusation_closedBeforeTheHoldEnds() public {
        charges.accuse(1);
        _request(ALICE, 30e18);
        _seal();
        uint256 until = block.timestamp + HOLD;
        skip(EPOCH);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_ExitHeld.selector, until));
        queue.finalize();
        charges.close(1);
        queue.finalize();
    }

    /// @notice The verdict comes while exits wait: they bear what they answer for, nobody got out before.
    function test_conviction_reachesWhatWaited() public {
        charges.accuse(1);
        uint32 sigma = _epoch();
        _request(ALICE, 40e18);
        _seal();
        uint256 until = block.timestamp + HOLD;
        skip(2 * EPOCH);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_ExitHeld.selector, until));
        queue.finalize();
        _slash(1, sigma, 0.5e18);
        charges.close(1);
        (uint256 owed,,) = st.exitOf(1);
        assertApproxEqAbs(owed, uint256(40e18) * (1000e18 - 118.75e18) / 1000e18, 3);
    }

    /// @notice The most a deposit can cost because of accusations: all operators listed, all accused.
    function test_gasIsBounded() public {
        uint256 most = allocator.MAX_OPERATORS();
        for (uint256 i = 5; i <= most; ++i) {
            allocator.setWeight(_operator(i, 1e18), 1);
        }
        // Stake of four of them thaws in each of the last eight epochs.
        for (uint16 i = 1; i <= 8; ++i) {
            for (uint32 id = 1; id <= 4; ++id) {
                allocator.setWeight(id, i == 8 ? 0 : uint16(100 >> i));
                if (allocator.excessOf(id) != 0) st.rebalance(id);
            }
            _nextEpoch();
        }
        for (uint32 id = 1; id <= most; ++id) {
            charges.accuse(id);
        }
        vm.cool(address(charges));
        vm.cool(address(st));
        vm.cool(address(allocator));
        uint256 gas = gasleft();
        watch.heldUntil(1);
        assertLt(gas - gasleft(), 1_500_000);
    }

    function _refuse(bytes memory arguments, bytes memory reason) private {
        bytes memory code = abi.encodePacked(vm.getCode("FaultWatch.sol:FaultWatch"), arguments);
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
