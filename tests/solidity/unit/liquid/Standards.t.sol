// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Vm} from "forge-std/Vm.sol";

import {IERC7540Operator, IERC7540Redeem} from "contracts/interfaces/IERC7540.sol";
import {IERC7575, IERC7575Share} from "contracts/interfaces/IERC7575.sol";
import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @notice The MUSTs of ERC-4626, 7540, 7575, 165, 2612 and 5267 that the tests of the contracts do not name, each with the
/// sentence it checks. What holds for all amounts is in `fuzz/ERC4626` and `fuzz/ERC7540`.
contract LiquidStandardsTest is LiquidFixture {
    address private constant CALLER = address(0xCA11);
    address private constant RECEIVER = address(0x4ECE1);

    /// @dev An odd rate: 77 tokens and 13 wei in, and a gain that has vested.
    function setUp() public {
        _deployLiquid();
        _deposit(ALICE, 77e18 + 13);
        _harvest(1, 31e18 + 7);
        skip(50 * EPOCH);
        token.transfer(CALLER, 1000e18);
        vm.startPrank(CALLER);
        token.approve(address(st), type(uint256).max);
        token.approve(address(queue), type(uint256).max);
        vm.stopPrank();
    }

    // --- ERC-4626

    /// @notice "The vault MUST implement ERC-20, and its optional metadata extensions."
    function test_4626_shareIsAnERC20WithMetadata() public view {
        IERC20Metadata meta = IERC20Metadata(address(st));
        assertEq(meta.name(), "Staked Rota");
        assertEq(meta.symbol(), "stROTA");
        assertEq(meta.decimals(), IERC20Metadata(st.asset()).decimals());
        assertEq(share.totalSupply(), 78e18 + 13);
    }

    /// @notice convertTo "MUST round down towards 0", "MUST NOT be inclusive of any fees", "MUST NOT show any variations depending on the
    /// caller": by the formula of `IStakedToken`.
    function test_4626_conversionsByHand() public {
        // A tenth of the gain, rounded down, is the fee.
        uint256 gain = 31e18 + 7 - (31e18 + 7) / uint256(10);
        (uint256 total, uint256 supply) = (78e18 + 13 + gain, 78e18 + 13);
        assertEq(st.totalAssets(), total);
        uint256[5] memory amounts = [uint256(1), 2, 1e9 + 1, 5e18 + 3, 1e27];
        for (uint256 i = 0; i < amounts.length; ++i) {
            uint256 a = amounts[i];
            vm.prank(CALLER);
            assertEq(st.convertToShares(a), a * (supply + 1) / (total + 1));
            assertEq(st.convertToAssets(a), a * (total + 1) / (supply + 1));
            assertEq(st.previewDeposit(a), a * (supply + 1) / (total + 1), "no fee on deposits");
            assertEq(st.previewMint(a), (a * (total + 1) + supply) / (supply + 1), "rounded up");
            assertEq(queue.convertToShares(a), a * (supply + 1) / (total + 1));
            assertEq(queue.convertToAssets(a), a * (total + 1) / (supply + 1));
        }
        assertEq(st.convertToShares(1), 0, "a wei is worth less than a wei of a share");
        // A wei out costs the wei, a wei of fee, and shares for both, rounded up.
        assertEq(st.previewWithdraw(1), (2 * (supply + 1) + total) / (total + 1));
    }

    /// @notice "MUST emit the Deposit event": by `deposit` and `mint`, with who called and who received.
    function test_4626_depositEvents() public {
        uint256 shares = st.previewDeposit(10e18 + 1);
        vm.expectEmit(true, true, true, true, address(st));
        emit IERC7575.Deposit(CALLER, RECEIVER, 10e18 + 1, shares);
        vm.prank(CALLER);
        st.deposit(10e18 + 1, RECEIVER);
        uint256 assets = st.previewMint(3e18 + 1);
        vm.expectEmit(true, true, true, true, address(st));
        emit IERC7575.Deposit(CALLER, RECEIVER, assets, 3e18 + 1);
        vm.prank(CALLER);
        st.mint(3e18 + 1, RECEIVER);
    }

    /// @notice "MUST emit the Withdraw event" and "support a withdraw flow where the shares are burned from owner [...] where msg.sender has
    /// ERC-20 approval": three accounts, each in its place.
    function test_4626_withdrawEvents() public {
        vm.prank(ALICE);
        share.approve(CALLER, type(uint256).max);
        uint256 shares = st.previewWithdraw(1e18 + 1);
        vm.expectEmit(true, true, true, true, address(st));
        emit IERC7575.Withdraw(CALLER, RECEIVER, ALICE, 1e18 + 1, shares);
        vm.prank(CALLER);
        st.withdraw(1e18 + 1, RECEIVER, ALICE);
        uint256 assets = st.previewRedeem(2e18 + 1);
        vm.expectEmit(true, true, true, true, address(st));
        emit IERC7575.Withdraw(CALLER, RECEIVER, ALICE, assets, 2e18 + 1);
        vm.prank(CALLER);
        st.redeem(2e18 + 1, RECEIVER, ALICE);
        assertEq(token.balanceOf(RECEIVER), 1e18 + 1 + assets);
        assertEq(share.allowance(ALICE, CALLER), type(uint256).max, "an endless one stays");
    }

    /// @notice "MUST revert if all of assets cannot be deposited" or withdrawn: for want of approval, tokens or shares.
    function test_4626_allOrNothing() public {
        vm.startPrank(RECEIVER);
        vm.expectRevert();
        st.deposit(1e18, RECEIVER);
        vm.expectRevert();
        st.mint(1e18, RECEIVER);
        bytes memory poor = abi.encodeWithSelector(
            IERC20Errors.ERC20InsufficientBalance.selector, RECEIVER, 0, st.previewWithdraw(1e18)
        );
        vm.expectRevert(poor);
        st.withdraw(1e18, RECEIVER, RECEIVER);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, RECEIVER, 0, 1e18));
        st.redeem(1e18, RECEIVER, RECEIVER);
        vm.stopPrank();
        vm.startPrank(CALLER);
        bytes memory nobody = abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0));
        vm.expectRevert(nobody);
        st.deposit(1e18, address(0));
        vm.expectRevert(nobody);
        st.mint(1e18, address(0));
        vm.stopPrank();
    }

    /// @notice max* "MUST NOT revert" and "if deposits are entirely disabled (even temporarily) it MUST return 0"; preview* "MUST NOT account for
    /// limits" and not revert for them: paused, in the bunker, while much is accused, and after a loss of everything.
    function test_4626_maximaAndPreviewsInEveryState() public {
        _deposit(ALICE, 900e18);
        _nextEpoch();
        _delegateAll();
        bytes32 open = _previews();
        assertGt(st.maxDeposit(CALLER), 0);
        assertGt(st.maxWithdraw(ALICE), 0);
        guardian.set(true);
        _allClosed();
        assertEq(_previews(), open, "paused");
        guardian.set(false);
        charges.accuse(1);
        _allClosed();
        assertEq(_previews(), open, "accused");
        charges.close(1);
        assertGt(st.maxRedeem(ALICE), 0);
        _slash(1, _epoch(), 0.5e18);
        _allClosed();
        bytes32 lower = _previews();
        st.sync(1);
        _allClosed();
        assertEq(_previews(), lower, "in the bunker");
        vm.warp(st.position().bunkerUntil);
        assertGt(st.maxDeposit(CALLER), 0);
        uint256 most = st.maxWithdraw(ALICE);
        assertGt(most, 0);
        vm.prank(ALICE);
        st.withdraw(most, ALICE, ALICE);
        for (uint32 id = 1; id <= 4; ++id) {
            _slash(id, _epoch(), 1e18);
        }
        _allClosed();
        _previews();
    }

    /// @notice maxRedeem and maxWithdraw "MUST factor in both global and user-specific limits": with less in the buffer than she holds, what the
    /// one pays is within two wei of the other, and a share more than the rounding allows is refused.
    function test_4626_maximaWhileTheBufferLimits() public {
        _deposit(ALICE, 900e18);
        _nextEpoch();
        _delegateAll();
        uint256 limit = st.maxWithdraw(ALICE);
        assertEq(limit, st.liquidity().free);
        uint256 most = st.maxRedeem(ALICE);
        assertLt(most, share.balanceOf(ALICE));
        uint256 paid = st.previewRedeem(most);
        assertLe(paid, limit);
        assertGe(paid + 2, limit);
        uint256 over = st.previewRedeem(most + 2);
        assertGt(over, limit);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_BufferTooLow.selector, over, limit));
        st.redeem(most + 2, ALICE, ALICE);
        assertEq(st.redeem(most, ALICE, ALICE), paid);
        vm.stopPrank();
        assertEq(st.maxWithdraw(ALICE), limit - paid);
    }

    /// @notice "MUST return 2 ** 256 - 1 if there is no limit" is not this vault's case; the greatest inputs neither wrap nor break a maximum.
    function test_4626_maximaOfAnyAccount() public view {
        address[4] memory any = [address(0), address(st), address(queue), address(0xdEaD)];
        for (uint256 i = 0; i < any.length; ++i) {
            assertEq(st.maxDeposit(any[i]), st.maxDeposit(ALICE), "one limit for all");
            assertEq(st.maxMint(any[i]), st.maxMint(ALICE));
            assertEq(st.maxRedeem(any[i]) == 0, share.balanceOf(any[i]) == 0);
            assertEq(st.maxWithdraw(any[i]) == 0, share.balanceOf(any[i]) == 0);
            assertEq(queue.maxRedeem(any[i]) + queue.maxWithdraw(any[i]), 0);
        }
    }

    // --- ERC-7575

    /// @notice "The share MUST [...] emit VaultUpdate" when the entry of an asset is set: in the constructor, once.
    function test_7575_theShareNamesItsVaultFromTheStart() public {
        vm.recordLogs();
        _deployLiquidOn(token, _config());
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 found;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IERC7575Share.VaultUpdate.selector) continue;
            ++found;
            assertEq(logs[i].emitter, address(st));
            assertEq(logs[i].topics.length, 2);
            assertEq(logs[i].topics[1], bytes32(uint256(uint160(address(token)))), "the asset is indexed");
            assertEq(abi.decode(logs[i].data, (address)), address(st));
        }
        assertEq(found, 1);
        assertEq(st.vault(address(token)), address(st));
        assertEq(IERC7575(st.vault(address(token))).share(), address(st), "there and back");
        assertEq(queue.share(), address(st), "the queue's share as well");
        assertEq(queue.asset(), st.asset());
    }

    // --- ERC-165

    /// @notice "The interface identifier is the XOR of all function selectors": those of the texts, and what `supportsInterface` answers
    /// "using less than 30,000 gas".
    function test_165_identifiers() public view {
        assertEq(type(IERC7575).interfaceId, bytes4(0x2f0a18c5));
        assertEq(type(IERC7575Share).interfaceId, bytes4(0xf815c03d));
        assertEq(type(IERC7540Operator).interfaceId, bytes4(0xe3bc4e65));
        assertEq(type(IERC7540Redeem).interfaceId, bytes4(0x620ee8e4));
        bytes4[6] memory ids = [bytes4(0x01ffc9a7), 0x2f0a18c5, 0xf815c03d, 0xe3bc4e65, 0x620ee8e4, bytes4(0xffffffff)];
        bool[6] memory token_ = [true, true, true, false, false, false];
        bool[6] memory queue_ = [true, true, false, true, true, false];
        for (uint256 i = 0; i < ids.length; ++i) {
            assertEq(_supports(address(st), ids[i]), token_[i]);
            assertEq(_supports(address(queue), ids[i]), queue_[i]);
        }
    }

    // --- ERC-7540

    /// @notice "Requests MUST emit RedeemRequest" and the shares "MUST" leave the owner; each of the four accounts in its place.
    function test_7540_requestEventForOthers() public {
        vm.prank(ALICE);
        queue.setOperator(CALLER, true);
        uint256 held = share.balanceOf(ALICE);
        vm.expectEmit(true, true, true, true, address(queue));
        emit IERC7540Redeem.RedeemRequest(BOB, ALICE, 1, CALLER, 5e18);
        vm.prank(CALLER);
        assertEq(queue.requestRedeem(5e18, BOB, ALICE), 1);
        assertEq(share.balanceOf(ALICE), held - 5e18);
        assertEq(queue.pendingRedeemRequest(1, BOB), 5e18);
        assertEq(queue.pendingRedeemRequest(1, ALICE) + queue.pendingRedeemRequest(1, CALLER), 0);
    }

    /// @notice Claims "MUST emit Withdraw" with the controller in the place of the owner, by all three ways; and "MUST NOT transfer shares":
    /// they left at the request.
    function test_7540_claimEvents() public {
        _request(ALICE, 9e18);
        _pass();
        vm.prank(ALICE);
        queue.setOperator(CALLER, true);
        IExitQueue.Batch memory batch = queue.batchOf(1);
        uint256 supply = share.totalSupply();
        vm.startPrank(CALLER);
        vm.expectEmit(true, true, true, true, address(queue));
        emit IERC7575.Withdraw(CALLER, RECEIVER, ALICE, batch.assets * 2 / 9, 2e18);
        queue.redeem(2e18, RECEIVER, ALICE);
        vm.expectEmit(true, true, true, true, address(queue));
        emit IERC7575.Withdraw(CALLER, RECEIVER, ALICE, 3e18, (uint256(3e18) * 9e18 + batch.assets - 1) / batch.assets);
        uint256 burned = queue.withdraw(3e18, RECEIVER, ALICE);
        uint256 left = 7e18 - burned;
        vm.expectEmit(true, true, true, true, address(queue));
        emit IERC7575.Withdraw(CALLER, RECEIVER, ALICE, batch.assets * left / 9e18, left);
        queue.claim(1, RECEIVER, ALICE);
        vm.stopPrank();
        assertEq(share.totalSupply(), supply);
        assertEq(share.balanceOf(RECEIVER), 0);
    }

    /// @notice "Requests MUST NOT skip or otherwise short-circuit the Claim state": finalisation pays nobody, a claim is needed.
    function test_7540_nothingIsPushed() public {
        _request(ALICE, 9e18);
        _pass();
        assertEq(token.balanceOf(ALICE), 0);
        assertEq(queue.claimableRedeemRequest(1, ALICE), 9e18);
        skip(1000 * EPOCH);
        assertEq(queue.maxWithdraw(ALICE), queue.batchOf(1).assets, "and stays claimable");
    }

    /// @notice An operator acts for one controller only and not the other way round; an allowance of the shares is a right to ask in the
    /// owner's stead and none to claim; an operator of the owner need not be one of the controller.
    function test_7540_whoMayDoWhat() public {
        vm.startPrank(ALICE);
        queue.setOperator(CALLER, true);
        share.approve(BOB, type(uint256).max);
        vm.stopPrank();
        vm.prank(CALLER);
        queue.requestRedeem(4e18, BOB, ALICE);
        _request(ALICE, 4e18);
        _pass();
        vm.prank(CALLER);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, CALLER, BOB));
        queue.redeem(4e18, CALLER, BOB);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, BOB, ALICE));
        queue.redeem(4e18, BOB, ALICE);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, ALICE, CALLER));
        queue.redeem(1, ALICE, CALLER);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IExitQueue.ExitQueue_NotAuthorized.selector, ALICE, BOB));
        queue.claim(1, ALICE, BOB);
        // The zero address is nobody's controller, and nobody's operator by default.
        assertFalse(queue.isOperator(ALICE, address(0)));
        assertFalse(queue.isOperator(address(0), ALICE));
        vm.prank(CALLER);
        assertEq(queue.redeem(4e18, RECEIVER, ALICE), queue.batchOf(1).assets / 2);
    }

    /// @notice "setOperator MUST log the OperatorSet event" and "return True", each time, whatever was set before.
    function test_7540_setOperatorEachTime() public {
        bool[4] memory to = [true, true, false, false];
        for (uint256 i = 0; i < to.length; ++i) {
            vm.expectEmit(true, true, true, true, address(queue));
            emit IERC7540Operator.OperatorSet(ALICE, CALLER, to[i]);
            vm.prank(ALICE);
            assertTrue(queue.setOperator(CALLER, to[i]));
            assertEq(queue.isOperator(ALICE, CALLER), to[i]);
        }
    }

    /// @notice pending and claimable "MUST NOT revert unless due to integer overflow": for every id, of batches that never were as well.
    function test_7540_requestViewsOfAnyId() public {
        _request(ALICE, 9e18);
        uint256[4] memory ids = [uint256(0), 2, type(uint64).max, type(uint256).max];
        for (uint256 i = 0; i < ids.length; ++i) {
            assertEq(queue.pendingRedeemRequest(ids[i], ALICE) + queue.claimableRedeemRequest(ids[i], ALICE), 0);
        }
        assertEq(queue.pendingRedeemRequest(1, ALICE), 9e18);
        _seal();
        assertEq(queue.pendingRedeemRequest(1, ALICE), 9e18, "a sealed one is pending");
        assertEq(queue.claimableRedeemRequest(1, ALICE), 0);
        assertEq(queue.maxRedeem(ALICE) + queue.maxWithdraw(ALICE), 0);
    }

    /// @notice Deposits through the queue are synchronous: its event names its caller, the staked token's names the queue.
    function test_7540_synchronousDepositEvents() public {
        uint256 shares = st.previewDeposit(10e18 + 1);
        vm.expectEmit(true, true, true, true, address(st));
        emit IERC7575.Deposit(address(queue), RECEIVER, 10e18 + 1, shares);
        vm.expectEmit(true, true, true, true, address(queue));
        emit IERC7575.Deposit(CALLER, RECEIVER, 10e18 + 1, shares);
        vm.prank(CALLER);
        assertEq(queue.deposit(10e18 + 1, RECEIVER), shares);
        uint256 assets = st.previewMint(2e18 + 1);
        vm.expectEmit(true, true, true, true, address(queue));
        emit IERC7575.Deposit(CALLER, RECEIVER, assets, 2e18 + 1);
        vm.prank(CALLER);
        assertEq(queue.mint(2e18 + 1, RECEIVER), assets);
        assertEq(share.balanceOf(RECEIVER), shares + 2e18 + 1);
    }

    // --- ERC-2612, ERC-5267

    /// @notice A permit sets the allowance and adds nothing to it, emits `Approval`, raises the nonce by one, and is good up to and at its
    /// deadline; anybody may bring it.
    function test_2612_permitToTheLetter() public {
        (address owner, uint256 key) = makeAddrAndKey("permit");
        IERC20Permit permits = IERC20Permit(address(st));
        vm.prank(owner);
        share.approve(BOB, 77e18);
        uint256 deadline = block.timestamp + 100;
        (uint8 v, bytes32 r, bytes32 s) = _sign(key, owner, 5e18, 0, deadline);
        vm.warp(deadline);
        vm.expectEmit(true, true, true, true, address(st));
        emit IERC20.Approval(owner, BOB, 5e18);
        vm.prank(CALLER);
        permits.permit(owner, BOB, 5e18, deadline, v, r, s);
        assertEq(share.allowance(owner, BOB), 5e18);
        assertEq(permits.nonces(owner), 1);
        assertEq(permits.nonces(CALLER) + permits.nonces(BOB), 0);
        // Signed for a nonce that is not the next one.
        (v, r, s) = _sign(key, owner, 6e18, 2, deadline);
        vm.expectRevert();
        permits.permit(owner, BOB, 6e18, deadline, v, r, s);
        (v, r, s) = _sign(key, owner, 0, 1, deadline);
        permits.permit(owner, BOB, 0, deadline, v, r, s);
        assertEq(share.allowance(owner, BOB), 0);
        assertEq(permits.nonces(owner), 2);
        // An endless one.
        (v, r, s) = _sign(key, owner, type(uint256).max, 2, type(uint256).max);
        permits.permit(owner, BOB, type(uint256).max, type(uint256).max, v, r, s);
        assertEq(share.allowance(owner, BOB), type(uint256).max);
    }

    /// @notice `eip712Domain` "MUST return the fields [...] used to construct the domain separator": name as the token's, no salt, no
    /// extensions; the separator made of them is the one that counts, also on a chain that split off.
    function test_5267_domainMakesTheSeparator() public {
        _checkDomain();
        vm.chainId(424_242);
        _checkDomain();
    }

    function _checkDomain() private view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifying,
            bytes32 salt,
            uint256[] memory extensions
        ) = IERC5267(address(st)).eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "Staked Rota");
        assertEq(chainId, block.chainid);
        assertEq(salt, 0);
        assertEq(extensions.length, 0);
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                verifying
            )
        );
        assertEq(separator, IERC20Permit(address(st)).DOMAIN_SEPARATOR());
    }

    // --- kit

    function _allClosed() private view {
        assertEq(st.maxDeposit(CALLER) + st.maxMint(CALLER) + st.maxWithdraw(ALICE) + st.maxRedeem(ALICE), 0);
        assertEq(queue.maxDeposit(CALLER) + queue.maxMint(CALLER), 0);
    }

    function _previews() private view returns (bytes32) {
        return keccak256(
            abi.encode(
                st.previewDeposit(1e18),
                st.previewMint(1e18),
                st.previewWithdraw(500e18),
                st.previewRedeem(500e18),
                queue.previewDeposit(1e18),
                queue.previewMint(1e18)
            )
        );
    }

    function _supports(address target, bytes4 id) private view returns (bool) {
        (bool done, bytes memory answer) =
            target.staticcall{gas: 30_000}(abi.encodeWithSignature("supportsInterface(bytes4)", id));
        assertTrue(done);
        return abi.decode(answer, (bool));
    }

    function _pass() private {
        _seal();
        skip(EPOCH);
        queue.finalize();
    }

    function _sign(uint256 key, address owner, uint256 value, uint256 nonce, uint256 deadline)
        private
        view
        returns (uint8, bytes32, bytes32)
    {
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                BOB,
                value,
                nonce,
                deadline
            )
        );
        bytes32 separator = IERC20Permit(address(st)).DOMAIN_SEPARATOR();
        return vm.sign(key, keccak256(abi.encodePacked(hex"1901", separator, message)));
    }
}
