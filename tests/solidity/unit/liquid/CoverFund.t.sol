// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ICoverFund} from "contracts/interfaces/ICoverFund.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

contract CoverFundTest is LiquidFixture {
    function setUp() public {
        _deployLiquid();
    }

    function test_book_countsOnce() public {
        vm.expectRevert(ICoverFund.CoverFund_NothingToBook.selector);
        cover.book();
        token.transfer(address(cover), 5e18);
        assertEq(cover.held(), 0, "a transfer alone counts for nothing");
        vm.expectEmit(address(cover));
        emit ICoverFund.Booked(5e18, 5e18);
        assertEq(cover.book(), 5e18);
        vm.expectRevert(ICoverFund.CoverFund_NothingToBook.selector);
        cover.book();
    }

    /// @notice What is booked after a slash is for the next one: booking it changes no price.
    function test_book_doesNotPayForSlashesBefore() public {
        _deposit(ALICE, 999e18);
        _toEpoch(_epoch() + 1);
        _delegateAll();
        _fundCover(2e18);
        _slash(1, _epoch(), 0.1e18);
        uint256 rate = st.convertToAssets(1e18);
        token.transfer(address(cover), 5e18);
        assertEq(cover.book(), 5e18 + 2e18 - 2e18);
        assertEq(cover.held(), 5e18, "the first two went to the stayers");
        assertEq(st.convertToAssets(1e18), rate);
        assertEq(st.syncedSlashes(), 1);
        // Only a transfer to book counts: the slash alone is no reason.
        _slash(1, _epoch(), 0.1e18);
        st.sync(1);
        vm.expectRevert(ICoverFund.CoverFund_NothingToBook.selector);
        cover.book();
    }

    function test_draw_onlyTheStakedTokenAndOnlyWhatIsThere() public {
        _fundCover(5e18);
        vm.expectRevert(abi.encodeWithSelector(ICoverFund.CoverFund_NotStakedToken.selector, address(this)));
        cover.draw(1);
        vm.startPrank(address(st));
        vm.expectRevert(abi.encodeWithSelector(ICoverFund.CoverFund_NotEnough.selector, 5e18 + 1, 5e18));
        cover.draw(5e18 + 1);
        cover.draw(2e18);
        vm.stopPrank();
        assertEq(cover.held(), 3e18);
        assertEq(token.balanceOf(address(cover)), 3e18);
    }

    function test_constructor_refusesZero() public {
        vm.expectRevert(ICoverFund.CoverFund_ZeroAddress.selector);
        this.make(address(0), address(1));
        vm.expectRevert(ICoverFund.CoverFund_ZeroAddress.selector);
        this.make(address(1), address(0));
    }

    function make(address asset, address stakedToken) external {
        bytes memory code = abi.encodePacked(vm.getCode("CoverFund.sol:CoverFund"), abi.encode(asset, stakedToken));
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 32), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }
}
