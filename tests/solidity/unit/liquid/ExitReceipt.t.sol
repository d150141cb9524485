// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC20Errors, IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IExitReceipt} from "contracts/interfaces/IExitReceipt.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";
import {CallbackToken} from "../../harness/Tokens.sol";

/// @dev Redeems its receipt again, or asks for more, when it receives one.
contract GreedyReceiver {
    IExitReceipt private immutable RECEIPTS;
    bytes private _call;
    bytes public answer;
    bool public succeeded;

    constructor(IExitReceipt receipts, bytes memory call) {
        (RECEIPTS, _call) = (receipts, call);
    }

    function onERC721Received(address, address, uint256, bytes calldata) external returns (bytes4) {
        (succeeded, answer) = address(RECEIPTS).call(_call);
        return this.onERC721Received.selector;
    }
}

contract ExitReceiptTest is LiquidFixture {
    address private constant EVE = address(0xE7E);

    IExitReceipt private receipts;

    function setUp() public {
        _deployLiquid();
        receipts = _deployReceipts();
        address[3] memory holders = [ALICE, BOB, CAROL];
        for (uint256 i = 0; i < 3; ++i) {
            _deposit(holders[i], 100e18);
            vm.prank(holders[i]);
            share.approve(address(receipts), type(uint256).max);
        }
    }

    // --- life of a receipt

    function test_request_givesAReceiptForSharesInTheOpenBatch() public {
        vm.expectEmit(address(receipts));
        emit IExitReceipt.ReceiptIssued(1, 1, 40e18);
        uint256 id = _issue(ALICE, 40e18);
        assertEq(id, 1);
        assertEq(receipts.ownerOf(id), ALICE);
        assertEq(queue.pendingRedeemRequest(1, address(receipts)), 40e18);
        assertEq(share.balanceOf(ALICE), 60e18);
        _expect(id, 1, 40e18, IExitQueue.BatchState.Open, 40e18);
        assertEq(receipts.sharesOutstanding(1), 40e18);
        assertEq(receipts.lastReceipt(), 1);
        assertEq(receipts.exitQueue(), address(queue));
    }

    function test_transferThenRedeem_paysTheBuyer() public {
        uint256 id = _issue(ALICE, 40e18);
        _seal();
        vm.prank(ALICE);
        receipts.transferFrom(ALICE, CAROL, id);
        _expect(id, 1, 40e18, IExitQueue.BatchState.Sealed, 40e18);
        vm.prank(CAROL);
        vm.expectRevert(abi.encodeWithSelector(IExitReceipt.ExitReceipt_NotClaimable.selector, 1));
        receipts.redeem(id, CAROL);
        skip(EPOCH);
        queue.finalize();
        _expect(id, 1, 40e18, IExitQueue.BatchState.Finalised, 40e18);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, ALICE, id));
        receipts.redeem(id, ALICE);
        vm.expectEmit(address(receipts));
        emit IExitReceipt.ReceiptRedeemed(id, 1, BOB, 40e18);
        vm.prank(CAROL);
        assertEq(receipts.redeem(id, BOB), 40e18);
        assertEq(token.balanceOf(BOB), 40e18);
        vm.prank(CAROL);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, id));
        receipts.redeem(id, CAROL);
    }

    function test_redeem_byWhoIsApproved() public {
        uint256 id = _issue(ALICE, 40e18);
        _seal();
        skip(EPOCH);
        queue.finalize();
        vm.prank(ALICE);
        receipts.approve(BOB, id);
        vm.prank(BOB);
        receipts.redeem(id, ALICE);
        assertEq(token.balanceOf(ALICE), 40e18);
    }

    function test_cancel_beforeTheSealOnly() public {
        uint256 first = _issue(ALICE, 40e18);
        uint256 second = _issue(BOB, 30e18);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, BOB, first));
        receipts.cancel(first, BOB);
        vm.expectEmit(address(receipts));
        emit IExitReceipt.ReceiptCancelled(first, 1, CAROL, 40e18);
        vm.prank(ALICE);
        assertEq(receipts.cancel(first, CAROL), 40e18);
        assertEq(share.balanceOf(CAROL), 140e18);
        assertEq(receipts.sharesOutstanding(1), 30e18);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, first));
        receipts.receiptOf(first);
        _seal();
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_AlreadySealed.selector, 1));
        receipts.cancel(second, BOB);
        assertEq(receipts.ownerOf(second), BOB, "refused as a whole");
    }

    function test_moveIn_turnsAnOpenRequestIntoAReceipt() public {
        uint256 requestId = _request(ALICE, 50e18);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, address(receipts), ALICE));
        receipts.moveIn(requestId, 20e18, ALICE, ALICE);
        queue.setOperator(address(receipts), true);
        uint256 id = receipts.moveIn(requestId, 20e18, ALICE, BOB);
        vm.stopPrank();
        assertEq(receipts.ownerOf(id), BOB);
        assertEq(queue.pendingRedeemRequest(requestId, ALICE), 30e18);
        assertEq(queue.pendingRedeemRequest(requestId, address(receipts)), 20e18);
        vm.prank(EVE);
        vm.expectRevert(abi.encodeWithSelector(IExitReceipt.ExitReceipt_NotAuthorized.selector, EVE, ALICE));
        receipts.moveIn(requestId, 20e18, ALICE, EVE);
        _seal();
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_AlreadySealed.selector, requestId));
        receipts.moveIn(requestId, 20e18, ALICE, ALICE);
    }

    function test_request_byTheOwnersOperator() public {
        vm.prank(ALICE);
        queue.setOperator(BOB, true);
        vm.prank(BOB);
        uint256 id = receipts.request(10e18, ALICE, ALICE);
        assertEq(receipts.ownerOf(id), ALICE);
        assertEq(share.balanceOf(BOB), 100e18, "not the operator's shares");
    }

    function test_requestWithPermit() public {
        (address owner, uint256 key) = makeAddrAndKey("permit");
        _deposit(owner, 10e18);
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                address(receipts),
                4e18,
                0,
                block.timestamp
            )
        );
        bytes32 domain = IERC20Permit(address(st)).DOMAIN_SEPARATOR();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", domain, message)));
        uint256 state = vm.snapshotState();
        vm.prank(owner);
        uint256 id = receipts.requestWithPermit(4e18, owner, block.timestamp, v, r, s);
        assertEq(receipts.receiptOf(id).shares, 4e18);
        vm.revertToState(state);
        // Somebody used the permit first: the allowance is there.
        IERC20Permit(address(st)).permit(owner, address(receipts), 4e18, block.timestamp, v, r, s);
        vm.prank(owner);
        receipts.requestWithPermit(4e18, owner, block.timestamp, v, r, s);
    }

    function test_slashedBatch_paysAllReceiptsTheSamePart() public {
        _toEpoch(_epoch() + 1);
        _delegateAll();
        uint256 one = _issue(ALICE, 40e18);
        uint256 two = _issue(BOB, 20e18);
        _seal();
        _slash(1, _epoch(), 0.1e18);
        st.sync(1);
        uint256 expected = receipts.receiptOf(one).assets;
        assertLt(expected, 40e18);
        vm.warp(st.position().bunkerUntil + 4 * EPOCH);
        _deposit(CAROL, 50e18);
        queue.finalize();
        vm.prank(ALICE);
        assertEq(receipts.redeem(one, ALICE), expected);
        vm.prank(BOB);
        assertApproxEqAbs(receipts.redeem(two, BOB), expected / 2, 1);
    }

    function test_batchThatLostEverything_paysNothingAndDoesNotRevert() public {
        _toEpoch(_epoch() + 1);
        uint256 id = _issue(ALICE, 1);
        // One wei of a share is worth one wei of a token; any loss rounds it away.
        _delegateAll();
        _seal();
        _slash(1, _epoch(), 0.5e18);
        st.sync(1);
        vm.warp(st.position().bunkerUntil + EPOCH);
        queue.finalize();
        assertEq(queue.batchOf(1).assets, 0);
        vm.prank(ALICE);
        assertEq(receipts.redeem(id, ALICE), 0);
    }

    // --- standards

    function test_supportsInterface() public view {
        assertTrue(receipts.supportsInterface(0x01ffc9a7), "ERC-165");
        assertTrue(receipts.supportsInterface(0x80ac58cd), "ERC-721");
        assertTrue(receipts.supportsInterface(0x5b5e139f), "ERC-721 metadata");
        assertFalse(receipts.supportsInterface(0xffffffff));
        assertEq(receipts.name(), "Staked Rota exit");
        assertEq(receipts.symbol(), "xROTA");
    }

    function test_tokenURI_tellsBatchSharesAndState() public {
        uint256 id = _issue(ALICE, 40e18);
        assertEq(receipts.tokenURI(id), _uri("open", "40000000000000000000"));
        _seal();
        assertEq(receipts.tokenURI(id), _uri("sealed", "40000000000000000000"));
        skip(EPOCH);
        queue.finalize();
        assertEq(receipts.tokenURI(id), _uri("claimable", "40000000000000000000"));
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 9));
        receipts.tokenURI(9);
    }

    function test_constructor_refusesZero() public {
        bytes memory code =
            abi.encodePacked(vm.getCode("ExitReceipt.sol:ExitReceipt"), abi.encode(address(0), "name", "symbol"));
        vm.expectRevert(IExitReceipt.ExitReceipt_ZeroAddress.selector);
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

    // --- attacks

    /// @notice Everybody allows this contract to move shares; only the owner and its operators may make it do so.
    function test_attack_useOfAStrangersAllowance() public {
        vm.prank(EVE);
        vm.expectRevert(abi.encodeWithSelector(IExitReceipt.ExitReceipt_NotAuthorized.selector, EVE, ALICE));
        receipts.request(10e18, ALICE, EVE);
        vm.prank(EVE);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(receipts), 0, 10e18)
        );
        receipts.requestWithPermit(10e18, EVE, block.timestamp, 27, bytes32(uint256(1)), bytes32(uint256(1)));
    }

    /// @notice Shares and tokens that come in without a receipt change no receipt's pay.
    function test_attack_giftsInTheContractsName() public {
        _deposit(EVE, 50e18);
        uint256 id = _issue(ALICE, 40e18);
        vm.prank(EVE);
        queue.requestRedeem(7e18 + 1, address(receipts), EVE);
        token.transfer(address(receipts), 3e18);
        _seal();
        skip(EPOCH);
        queue.finalize();
        vm.prank(ALICE);
        assertEq(receipts.redeem(id, ALICE), 40e18);
        assertEq(token.balanceOf(address(receipts)), 7e18 + 1 + 3e18, "nobody's");
    }

    /// @notice A thousand dust receipts at an odd price take nothing of a large one.
    function test_attack_dustReceiptsRoundNothingTheirWay() public {
        _harvest(1, 31e18 + 7);
        skip(50 * EPOCH);
        _deposit(EVE, 1e18);
        vm.prank(EVE);
        share.approve(address(receipts), type(uint256).max);
        uint256 large = _issue(ALICE, 33e18 + 1);
        for (uint256 i = 0; i < 40; ++i) {
            _issue(EVE, 1 + i % 3);
        }
        uint256 all = receipts.sharesOutstanding(1);
        (, uint256 assets) = _seal();
        skip(EPOCH);
        queue.finalize();
        uint256 paid;
        for (uint256 id = large + 1; id <= receipts.lastReceipt(); ++id) {
            vm.prank(EVE);
            paid += receipts.redeem(id, EVE);
        }
        vm.prank(ALICE);
        uint256 whole = receipts.redeem(large, ALICE);
        assertEq(whole, assets * (33e18 + 1) / all, "exactly its part");
        assertLe(paid + whole, assets);
        assertLe(token.balanceOf(address(receipts)), 41, "a wei per receipt at most stays");
    }

    /// @notice Q15: a receiver that is called in the middle of an issue finds every door closed.
    function test_attack_reentrancyFromTheReceiver() public {
        bytes[3] memory doors = [
            abi.encodeCall(receipts.redeem, (1, EVE)),
            abi.encodeCall(receipts.cancel, (1, EVE)),
            abi.encodeCall(receipts.request, (1, EVE, EVE))
        ];
        for (uint256 i = 0; i < doors.length; ++i) {
            GreedyReceiver greedy = new GreedyReceiver(receipts, doors[i]);
            vm.prank(ALICE);
            receipts.request(1e18, ALICE, address(greedy));
            assertFalse(greedy.succeeded());
            assertEq(bytes4(greedy.answer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        }
    }

    /// @notice Q15: a token that calls back while it pays a receipt finds it gone and the door closed.
    function test_attack_reentrancyThroughAHookToken() public {
        CallbackToken hook = new CallbackToken();
        vault = IStakeVault(vm.deployCode("StakeVault.sol:StakeVault", abi.encode(_vaultConfig(address(hook)))));
        IStakedToken.Config memory config = _config();
        config.maxShareBps = 10_000;
        hook.mint(address(this), 101e18);
        _deployLiquidOn(IERC20(address(hook)), config);
        receipts = _deployReceipts();
        hook.approve(address(st), type(uint256).max);
        st.deposit(100e18, address(this));
        share.approve(address(receipts), type(uint256).max);
        uint256 one = receipts.request(40e18, address(this), ALICE);
        uint256 two = receipts.request(40e18, address(this), ALICE);
        _seal();
        skip(EPOCH);
        queue.finalize();
        vm.startPrank(ALICE);
        receipts.setApprovalForAll(address(hook), true);
        hook.arm(address(receipts), abi.encodeCall(receipts.redeem, (two, ALICE)));
        assertEq(receipts.redeem(one, ALICE), 40e18);
        vm.stopPrank();
        assertFalse(hook.succeeded());
        assertEq(bytes4(hook.answer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        assertEq(hook.balanceOf(address(receipts)), 40e18);
    }

    // --- kit

    function _issue(address who, uint256 shares) private returns (uint256) {
        vm.prank(who);
        return receipts.request(shares, who, who);
    }

    function _expect(uint256 id, uint256 requestId, uint256 shares, IExitQueue.BatchState state, uint256 assets)
        private
        view
    {
        IExitReceipt.Receipt memory receipt = receipts.receiptOf(id);
        assertEq(receipt.requestId, requestId);
        assertEq(receipt.shares, shares);
        assertEq(uint256(receipt.state), uint256(state));
        assertEq(receipt.assets, assets);
    }

    function _uri(string memory state, string memory assets) private pure returns (string memory) {
        string memory json = string.concat(
            '{"name":"Exit receipt 1","description":"Stands for shares of staked tokens in one batch of the exit queue.",',
            '"attributes":[{"trait_type":"Batch","value":"1"},{"trait_type":"Shares","value":"40000000000000000000"},',
            '{"trait_type":"State","value":"',
            state,
            '"},{"trait_type":"Assets","value":"',
            assets,
            '"}]}'
        );
        return string.concat("data:application/json;base64,", Base64.encode(bytes(json)));
    }
}
