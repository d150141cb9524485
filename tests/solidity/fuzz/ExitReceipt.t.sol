// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IExitReceipt} from "contracts/interfaces/IExitReceipt.sol";

import {LiquidFixture} from "../harness/LiquidFixture.sol";

/// @notice Whatever the price, the sizes and the strangers: each receipt gets its part of its batch, rounded down, whatever
/// the order.
contract ExitReceiptFuzz is LiquidFixture {
    IExitReceipt private receipts;

    function setUp() public {
        _deployLiquid();
        receipts = _deployReceipts();
    }

    function testFuzz_eachItsPart(uint96[5] memory sizes, uint96 gift, uint96 reward, uint8 order) public {
        _deposit(ALICE, 2000e18);
        if (reward != 0) _harvest(1, _bound(reward, 1, 500e18));
        skip(50 * EPOCH);
        vm.startPrank(ALICE);
        share.approve(address(receipts), type(uint256).max);
        uint256 sum;
        for (uint256 i = 0; i < 5; ++i) {
            sizes[i] = uint96(i % 2 == 0 ? _bound(sizes[i], 1, 50) : _bound(sizes[i], 1, 300e18));
            receipts.request(sizes[i], ALICE, address(uint160(0xF00 + i)));
            sum += sizes[i];
        }
        // Shares in the contract's name without a receipt, and others in the same batch.
        uint256 stray = _bound(gift, 0, 100e18);
        if (stray != 0) queue.requestRedeem(stray, address(receipts), ALICE);
        queue.requestRedeem(_bound(uint256(gift) + reward, 1, 100e18), ALICE, ALICE);
        vm.stopPrank();
        _seal();
        skip(EPOCH);
        queue.finalize();

        assertEq(queue.claimableRedeemRequest(1, address(receipts)), sum + stray);
        uint256 all = queue.maxWithdraw(address(receipts));
        uint256 paid;
        for (uint256 k = 0; k < 5; ++k) {
            uint256 i = (k + order) % 5;
            address who = address(uint160(0xF00 + i));
            uint256 expected = receipts.receiptOf(i + 1).assets;
            vm.prank(who);
            uint256 assets = receipts.redeem(i + 1, who);
            assertEq(assets, expected, "the view tells what is paid");
            assertEq(assets, all * sizes[i] / (sum + stray), "its part, rounded down");
            assertEq(token.balanceOf(who), assets);
            paid += assets;
        }
        assertLe(paid, all);
        // What stays is what strangers sent, and less than a wei for each receipt.
        assertLe(token.balanceOf(address(receipts)), all * stray / (sum + stray) + 5);
        assertEq(receipts.sharesOutstanding(1), 0);
    }
}
