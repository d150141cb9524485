// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IRateFeed} from "contracts/interfaces/IRateFeed.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

contract RateFeedTest is LiquidFixture {
    IRateFeed private feed;

    function setUp() public {
        _deployLiquid();
        feed = IRateFeed(vm.deployCode("RateFeed.sol:RateFeed", abi.encode(address(st), 1 days)));
        _deposit(ALICE, 999e18);
    }

    function test_constructor_refusesBadConfig() public {
        vm.expectRevert(IRateFeed.RateFeed_InvalidConfig.selector);
        this.make(address(0), 1);
        vm.expectRevert(IRateFeed.RateFeed_InvalidConfig.selector);
        this.make(address(1), 0);
    }

    function test_rateIsThePriceNowAfterEverySlash() public {
        assertEq(feed.getRate(), 1e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        _slash(1, _epoch(), 0.1e18);
        assertEq(feed.getRate(), st.convertToAssets(1e18));
        assertLt(feed.getRate(), 1e18);
        (uint80 round, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredIn) = feed.latestRoundData();
        assertEq(round, 1);
        assertEq(uint256(answer), feed.getRate());
        assertEq(startedAt, block.timestamp);
        assertEq(updatedAt, block.timestamp);
        assertEq(answeredIn, 1);
        assertEq(feed.decimals(), 18);
        assertEq(feed.version(), 1);
        assertEq(feed.description(), "native token per share of staked native token");
    }

    function test_checkpoint_oncePerInterval() public {
        assertEq(feed.checkpointDue(), 0);
        assertEq(feed.checkpoint(), 1);
        uint256 dueAt = block.timestamp + 1 days;
        vm.expectRevert(abi.encodeWithSelector(IRateFeed.RateFeed_NotDue.selector, dueAt));
        feed.checkpoint();
        _harvest(1, 10e18);
        vm.warp(dueAt);
        vm.expectEmit(address(feed));
        emit IRateFeed.Checkpointed(2, feed.getRate(), dueAt);
        feed.checkpoint();
        (uint80 round, int256 answer,, uint256 updatedAt,) = feed.getRoundData(1);
        assertEq(round, 1);
        assertEq(answer, 1e18);
        assertEq(updatedAt, dueAt - 1 days);
        (round, answer,,,) = feed.latestRoundData();
        assertEq(round, 3);
        assertEq(uint256(answer), feed.getRate());
        vm.expectRevert(abi.encodeWithSelector(IRateFeed.RateFeed_UnknownRound.selector, 4, 3));
        feed.getRoundData(4);
        vm.expectRevert(abi.encodeWithSelector(IRateFeed.RateFeed_UnknownRound.selector, 0, 3));
        feed.getRoundData(0);
    }

    function test_realisedApr() public {
        feed.checkpoint();
        vm.expectRevert(abi.encodeWithSelector(IRateFeed.RateFeed_NoTimePassed.selector, 1));
        feed.realisedApr(1);
        vm.expectRevert(abi.encodeWithSelector(IRateFeed.RateFeed_UnknownRound.selector, 2, 1));
        feed.realisedApr(2);
        uint256 from = block.timestamp;
        _harvest(1, 10e18);
        vm.warp(from + 36.5 days);
        // Nine in a thousand, tenfold.
        assertApproxEqAbs(feed.realisedApr(1), 0.09e18, 100);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        _slash(1, _epoch(), 0.5e18);
        assertLt(feed.realisedApr(1), 0);
    }

    /// @notice In numbers: nine of a thousand in a tenth of a year, then four percent of one operator's stake lost in a twentieth.
    function test_realisedApr_byHand() public {
        feed.checkpoint();
        uint256 from = block.timestamp;
        _harvest(1, 10e18);
        vm.warp(from + 36.5 days);
        int256 rate = int256(uint256(1e18) * (1009e18 + 1) / (1000e18 + 1));
        assertEq(rate, 1.009e18 - 1);
        assertEq(feed.realisedApr(1), (rate - 1e18) * 10);
        assertEq(feed.realisedApr(1), 0.09e18 - 10);
        assertEq(feed.checkpoint(), 2);
        _delegateAll();
        uint256 staked = st.activeOf(1);
        vm.warp(from + 54.75 days);
        assertEq(feed.realisedApr(2), 0, "nothing came in");
        _slash(1, _epoch(), 0.04e18);
        uint256 loss = (staked * 4 + 99) / 100 + 1;
        int256 lower = int256(uint256(1e18) * (1009e18 - loss + 1) / (1000e18 + 1));
        assertEq(feed.getRate(), uint256(lower));
        // Rounded towards zero in both steps.
        int256 part = (lower - rate) * 1e18 / rate;
        assertLt(part, -0.009e18);
        assertEq(feed.realisedApr(2), part * 20);
        assertEq(feed.realisedApr(1), (lower - 1e18) * 365 days / 54.75 days, "since the first");
    }

    function test_realisedApr_fromNothing() public {
        vm.mockCall(address(st), abi.encodeCall(st.convertToAssets, (1e18)), abi.encode(0));
        assertEq(feed.checkpoint(), 1);
        vm.clearMockedCalls();
        skip(1);
        vm.expectRevert(abi.encodeWithSelector(IRateFeed.RateFeed_WorthNothing.selector, 1));
        feed.realisedApr(1);
    }

    function make(address stakedToken, uint256 interval) external {
        bytes memory code = abi.encodePacked(vm.getCode("RateFeed.sol:RateFeed"), abi.encode(stakedToken, interval));
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 32), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }
}
