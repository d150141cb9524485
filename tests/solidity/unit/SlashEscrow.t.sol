// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {ISlashEscrow} from "contracts/interfaces/ISlashEscrow.sol";

import {SlashingFixture} from "../harness/SlashingFixture.sol";

contract SlashEscrowTest is SlashingFixture {
    address internal coverFund = makeAddr("cover fund");

    function setUp() public {
        _deploySlashing(8, 16);
    }

    /// @dev What the vault and the slasher do.
    function _book(address who, uint256 amount) private {
        token.transfer(escrow, amount);
        vm.prank(slasher);
        slashEscrow.book(who, amount, amount);
    }

    function test_book_divides() public {
        token.transfer(escrow, 1000);
        vm.expectEmit(escrow);
        emit ISlashEscrow.Booked(reporter, 1000, 50, 475, 475);
        vm.prank(slasher);
        slashEscrow.book(reporter, 1000, 50);
        assertEq(slashEscrow.rewardOf(reporter), 50);
        assertEq(slashEscrow.burnBalance(), 475);
        assertEq(slashEscrow.coverBalance(), 475);
        // Against the reporter and the cover fund.
        _book(reporter, 39);
        assertEq(slashEscrow.rewardOf(reporter), 51);
        assertEq(slashEscrow.burnBalance(), 475 + 19);
        assertEq(slashEscrow.coverBalance(), 475 + 19);
        _book(address(0), 7);
        assertEq(slashEscrow.rewardOf(address(0)), 0);
        assertEq(slashEscrow.burnBalance(), 475 + 19 + 4);
        assertEq(slashEscrow.coverBalance(), 475 + 19 + 3);
        _book(reporter, 0);
    }

    function test_revert_book_notSlasher() public {
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_NotSlasher.selector, address(this)));
        slashEscrow.book(reporter, 1, 1);
    }

    function test_S9_book_atMostWhatTheOperatorLost() public {
        token.transfer(escrow, 2000);
        vm.startPrank(slasher);
        slashEscrow.book(reporter, 1000, 49);
        assertEq(slashEscrow.rewardOf(reporter), 49);
        slashEscrow.book(reporter, 1000, 0);
        assertEq(slashEscrow.rewardOf(reporter), 49);
        vm.stopPrank();
        assertEq(slashEscrow.burnBalance(), 476 + 500);
        assertEq(slashEscrow.coverBalance(), 475 + 500);
    }

    /// @notice S9: at most 5 %, whatever the amount; and all of it is accounted for.
    function testFuzz_S9_reporterAtMostFivePercent(uint256 amount) public {
        amount = bound(amount, 0, 1e27);
        _book(reporter, amount);
        uint256 reward = slashEscrow.rewardOf(reporter);
        assertLe(reward * 20, amount);
        assertGt((reward + 1) * 20, amount);
        assertEq(reward + slashEscrow.burnBalance() + slashEscrow.coverBalance(), amount);
    }

    function test_withdraw_byAnyoneToTheReporter() public {
        _book(reporter, 1000);
        vm.expectEmit(escrow);
        emit ISlashEscrow.RewardWithdrawn(reporter, 50);
        assertEq(slashEscrow.withdraw(reporter), 50);
        assertEq(token.balanceOf(reporter), 50);
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_NothingDue.selector, reporter));
        slashEscrow.withdraw(reporter);
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_NothingDue.selector, address(this)));
        slashEscrow.withdraw(address(this));
    }

    function test_burn_destroys() public {
        _book(reporter, 1000);
        uint256 supply = token.totalSupply();
        vm.expectEmit(escrow);
        emit ISlashEscrow.Burnt(475);
        assertEq(slashEscrow.burn(), 475);
        assertEq(token.totalSupply(), supply - 475);
        assertEq(token.balanceOf(escrow), 525);
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_NothingToBurn.selector));
        slashEscrow.burn();
    }

    function test_cover_waitsForItsFund() public {
        _book(reporter, 1000);
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_NoCoverFund.selector));
        slashEscrow.withdrawCover();
        assertEq(slashEscrow.coverFund(), address(0));
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, reporter));
        vm.prank(reporter);
        slashEscrow.setCoverFund(reporter);
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_ZeroAddress.selector));
        slashEscrow.setCoverFund(address(0));
        vm.expectEmit(escrow);
        emit ISlashEscrow.CoverFundSet(coverFund);
        slashEscrow.setCoverFund(coverFund);
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_CoverFundAlreadySet.selector, coverFund));
        slashEscrow.setCoverFund(address(this));
        vm.expectEmit(escrow);
        emit ISlashEscrow.CoverWithdrawn(coverFund, 475);
        assertEq(slashEscrow.withdrawCover(), 475);
        assertEq(token.balanceOf(coverFund), 475);
        vm.expectRevert(abi.encodeWithSelector(ISlashEscrow.SlashEscrow_NothingDue.selector, coverFund));
        slashEscrow.withdrawCover();
        _book(reporter, 1000);
        assertEq(slashEscrow.withdrawCover(), 475);
    }

    /// @notice Gifts are nobody's: the books alone decide.
    function test_giftsAreNotPaidOut() public {
        _book(reporter, 1000);
        token.transfer(escrow, 5000);
        slashEscrow.setCoverFund(coverFund);
        assertEq(slashEscrow.withdraw(reporter) + slashEscrow.burn() + slashEscrow.withdrawCover(), 1000);
        assertEq(token.balanceOf(escrow), 5000);
        assertEq(slashEscrow.token(), address(token));
    }

    function test_constructor_refusesZero() public {
        address[4] memory given = [address(token), slasher, address(registry), feeSplitter];
        for (uint256 i = 0; i < 4; ++i) {
            address[4] memory a = given;
            a[i] = address(0);
            bytes memory code = abi.encodePacked(
                vm.getCode("SlashEscrow.sol:SlashEscrow"), abi.encode(a[0], a[1], a[2], a[3], address(manager))
            );
            _assertNotCreated(code, abi.encodeWithSelector(ISlashEscrow.SlashEscrow_ZeroAddress.selector));
        }
    }
}
