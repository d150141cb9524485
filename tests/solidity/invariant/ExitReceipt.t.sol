// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";
import {console} from "forge-std/console.sol";

import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IExitReceipt} from "contracts/interfaces/IExitReceipt.sol";

import {LiquidFixture} from "../harness/LiquidFixture.sol";

/// @notice Drives receipts, and the queue below them, with random actions.
contract ExitReceiptHandler is LiquidFixture {
    uint256 private constant HOLDERS = 4;

    IExitReceipt private receipts;
    uint256[] private _live;

    /// @dev Shares that strangers sent into the contract's name, by batch.
    mapping(uint256 requestId => uint256 shares) public stray;
    mapping(bytes32 action => uint256 count) public calls;

    constructor() {
        _deployLiquid();
        receipts = _deployReceipts();
        for (uint256 i = 0; i < HOLDERS; ++i) {
            address holder = _holder(i);
            _deposit(holder, 500e18);
            vm.startPrank(holder);
            share.approve(address(receipts), type(uint256).max);
            queue.setOperator(address(receipts), true);
            vm.stopPrank();
        }
        _toEpoch(21);
        _delegateAll();
    }

    function request(uint256 who, uint256 to, uint256 amount) external {
        address holder = _holder(who);
        uint256 held = share.balanceOf(holder);
        if (held == 0) return;
        amount = amount % 3 == 0 ? _bound(amount, 1, 9) : _bound(amount, 1, held / 4 + 1);
        if (amount > held) return;
        vm.prank(holder);
        _live.push(receipts.request(amount, holder, _holder(to)));
        ++calls["request"];
    }

    function moveIn(uint256 who, uint256 amount) external {
        address holder = _holder(who);
        uint256 held = share.balanceOf(holder);
        if (held < 2) return;
        amount = _bound(amount, 2, held / 4 + 2);
        if (amount > held) return;
        uint256 requestId = _request(holder, amount);
        vm.prank(holder);
        _live.push(receipts.moveIn(requestId, amount / 2, holder, holder));
        ++calls["moveIn"];
    }

    function sendStray(uint256 who, uint256 amount) external {
        address holder = _holder(who);
        uint256 held = share.balanceOf(holder);
        if (held == 0) return;
        amount = _bound(amount, 1, held / 50 + 1);
        stray[queue.openBatch()] += amount;
        vm.prank(holder);
        queue.requestRedeem(amount, address(receipts), holder);
        token.transfer(address(receipts), amount % 5);
        ++calls["sendStray"];
    }

    function transfer(uint256 which, uint256 to) external {
        if (_live.length == 0) return;
        uint256 id = _live[which % _live.length];
        address owner = receipts.ownerOf(id);
        vm.prank(owner);
        receipts.transferFrom(owner, _holder(to), id);
        ++calls["transfer"];
    }

    function cancel(uint256 which) external {
        if (_live.length == 0) return;
        uint256 index = which % _live.length;
        uint256 id = _live[index];
        IExitReceipt.Receipt memory receipt = receipts.receiptOf(id);
        address owner = receipts.ownerOf(id);
        uint256 before = share.balanceOf(owner);
        vm.prank(owner);
        try receipts.cancel(id, owner) returns (uint256 shares) {
            assertEq(uint256(receipt.state), uint256(IExitQueue.BatchState.Open));
            assertEq(shares, receipt.shares);
            assertEq(share.balanceOf(owner) - before, shares);
            _drop(index);
            ++calls["cancel"];
        } catch {
            assertTrue(receipt.state != IExitQueue.BatchState.Open, "an open receipt was not given back");
            assertEq(receipts.ownerOf(id), owner);
        }
    }

    function redeem(uint256 which) external {
        if (_live.length == 0) return;
        uint256 index = which % _live.length;
        uint256 id = _live[index];
        IExitReceipt.Receipt memory receipt = receipts.receiptOf(id);
        address owner = receipts.ownerOf(id);
        uint256 before = token.balanceOf(owner);
        vm.prank(owner);
        try receipts.redeem(id, owner) returns (uint256 assets) {
            assertEq(uint256(receipt.state), uint256(IExitQueue.BatchState.Finalised));
            assertEq(assets, receipt.assets, "the view told");
            assertEq(token.balanceOf(owner) - before, assets);
            _drop(index);
            ++calls["redeem"];
        } catch {
            assertTrue(receipt.state != IExitQueue.BatchState.Finalised, "a claimable receipt was not paid");
        }
    }

    function seal() external {
        if (queue.batchOf(queue.openBatch()).shares == 0) return;
        _seal();
        ++calls["seal"];
    }

    function finalize() external {
        try queue.finalize() {
            ++calls["finalize"];
        } catch {}
    }

    function slash(uint256 which, uint256 fraction) external {
        _slash(uint32(which % 4) + 1, _epoch(), _bound(fraction, 1e14, 0.05e18));
        ++calls["slash"];
    }

    function harvest(uint256 amount) external {
        _harvest(uint32(amount % 4) + 1, _bound(amount, 1, 10e18));
    }

    function warp(uint256 by) external {
        skip(_bound(by, 1, 3 * EPOCH));
        for (uint256 i = 0; i < 4; ++i) {
            uint32 id = uint32(i) + 1;
            (, uint32 cohort) = st.operatorOf(id);
            if (st.ticketOf(id, cohort) != 0 && block.timestamp >= vault.claimableFrom(cohort)) st.collect(id, cohort);
        }
    }

    function contracts() external view returns (IExitReceipt, IExitQueue, address) {
        return (receipts, queue, address(token));
    }

    function live() external view returns (uint256[] memory) {
        return _live;
    }

    function _drop(uint256 index) private {
        _live[index] = _live[_live.length - 1];
        _live.pop();
    }

    function _holder(uint256 index) private pure returns (address) {
        return address(uint160(0xB01DE0 + index % HOLDERS));
    }
}

/// @notice The receipts of a batch and the strays are the contract's request in it, to the share; and it can pay them all.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.depth = 100
contract ExitReceiptInvariants is Test {
    ExitReceiptHandler private handler;
    IExitReceipt private receipts;
    IExitQueue private queue;
    IERC20 private token;

    function setUp() public {
        handler = new ExitReceiptHandler();
        (IExitReceipt r, IExitQueue q, address t) = handler.contracts();
        (receipts, queue, token) = (r, q, IERC20(t));
        bytes4[] memory selectors = new bytes4[](12);
        selectors[0] = handler.request.selector;
        selectors[1] = handler.moveIn.selector;
        selectors[2] = handler.sendStray.selector;
        selectors[3] = handler.transfer.selector;
        selectors[4] = handler.cancel.selector;
        selectors[5] = handler.redeem.selector;
        selectors[6] = handler.seal.selector;
        selectors[7] = handler.finalize.selector;
        selectors[8] = handler.slash.selector;
        selectors[9] = handler.harvest.selector;
        selectors[10] = handler.warp.selector;
        selectors[11] = handler.redeem.selector;
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
        targetContract(address(handler));
    }

    function invariant_receiptsAreTheContractsClaim() public view {
        uint256 open = queue.openBatch();
        uint256[] memory shares = new uint256[](open + 1);
        uint256 due;
        uint256[] memory live = handler.live();
        for (uint256 i = 0; i < live.length; ++i) {
            IExitReceipt.Receipt memory receipt = receipts.receiptOf(live[i]);
            shares[receipt.requestId] += receipt.shares;
            bool fetched = receipt.state == IExitQueue.BatchState.Finalised
                && queue.claimableRedeemRequest(receipt.requestId, address(receipts)) == 0;
            if (fetched) due += receipt.assets;
        }
        for (uint256 id = 1; id <= open; ++id) {
            assertEq(receipts.sharesOutstanding(id), shares[id], "the sum of a batch");
            uint256 claim =
                queue.pendingRedeemRequest(id, address(receipts)) + queue.claimableRedeemRequest(id, address(receipts));
            // Fetched in one, so nothing is left in the queue then.
            if (claim != 0) {
                assertEq(claim, shares[id] + handler.stray(id), "the claim in the queue");
            } else {
                assertTrue(id < queue.nextToFinalise() || shares[id] + handler.stray(id) == 0, "shares without a claim");
            }
        }
        assertGe(token.balanceOf(address(receipts)), due, "what was fetched covers what is due");
    }

    function afterInvariant() public view {
        console.log("request", handler.calls("request"), "redeem", handler.calls("redeem"));
        console.log("cancel", handler.calls("cancel"), "moveIn", handler.calls("moveIn"));
        console.log("seal", handler.calls("seal"), "finalize", handler.calls("finalize"));
    }
}
