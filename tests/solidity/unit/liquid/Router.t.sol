// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

import {IRouter, ISignatureTransfer} from "contracts/interfaces/IRouter.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";
import {FeeToken} from "../../harness/Tokens.sol";

/// @dev Stands for Permit2: the signature is the owner's approval of exactly these terms for the caller.
contract PermitBook is ISignatureTransfer {
    mapping(bytes32 terms => bool) public signed;

    function sign(PermitTransferFrom calldata permit, address spender) external returns (bytes memory signature) {
        bytes32 terms = keccak256(abi.encode(permit, spender, msg.sender));
        signed[terms] = true;
        return abi.encode(terms);
    }

    function permitTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes calldata signature
    ) external {
        bytes32 terms = keccak256(abi.encode(permit, msg.sender, owner));
        require(signed[terms] && keccak256(signature) == keccak256(abi.encode(terms)), "not signed");
        require(transferDetails.requestedAmount <= permit.permitted.amount, "too much");
        signed[terms] = false;
        IERC20(permit.permitted.token).transferFrom(owner, transferDetails.to, transferDetails.requestedAmount);
    }
}

contract RouterTest is LiquidFixture {
    IRouter private router;
    PermitBook private permit2;
    address private owner;
    uint256 private key;

    function setUp() public {
        _deployLiquid();
        permit2 = new PermitBook();
        router = IRouter(vm.deployCode("Router.sol:Router", abi.encode(address(st), address(permit2))));
        (owner, key) = makeAddrAndKey("owner");
        token.transfer(owner, 100e18);
    }

    function test_deposit_withPermitInOneTransaction() public {
        IRouter.Permit memory permit = _permit(address(token), 60e18);
        vm.expectEmit(address(router));
        emit IRouter.Referred(CAROL, BOB, 60e18, 60e18);
        vm.prank(owner);
        assertEq(router.deposit(60e18, BOB, 60e18, block.timestamp, CAROL, permit), 60e18);
        assertEq(share.balanceOf(BOB), 60e18);
        assertEq(token.balanceOf(address(router)), 0);
    }

    function test_deposit_permitUsedByAnotherBefore() public {
        IRouter.Permit memory p = _permit(address(token), 60e18);
        IERC20Permit(address(token)).permit(owner, address(router), 60e18, p.deadline, p.v, p.r, p.s);
        vm.prank(owner);
        assertEq(router.deposit(60e18, owner, 0, block.timestamp, address(0), p), 60e18);
    }

    function test_deposit_limits() public {
        vm.startPrank(owner);
        token.approve(address(router), 100e18);
        vm.expectRevert(abi.encodeWithSelector(IRouter.Router_Expired.selector, block.timestamp - 1));
        router.deposit(1e18, owner, 0, block.timestamp - 1, address(0), _none());
        vm.expectRevert(abi.encodeWithSelector(IRouter.Router_BelowMinimum.selector, 1e18, 1e18 + 1));
        router.deposit(1e18, owner, 1e18 + 1, block.timestamp, address(0), _none());
        vm.stopPrank();
    }

    function test_depositWithPermit2_onlyTheSignersTerms() public {
        ISignatureTransfer.PermitTransferFrom memory p = ISignatureTransfer.PermitTransferFrom(
            ISignatureTransfer.TokenPermissions(address(token), 50e18), 1, block.timestamp
        );
        vm.startPrank(owner);
        token.approve(address(permit2), type(uint256).max);
        bytes memory signature = permit2.sign(p, address(router));
        vm.stopPrank();
        // Somebody else cannot use the signature for a deposit of his.
        vm.prank(BOB);
        vm.expectRevert("not signed");
        router.depositWithPermit2(50e18, BOB, 0, address(0), p, signature);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRouter.Router_WrongPermit.selector, address(token), 50e18));
        router.depositWithPermit2(50e18 + 1, owner, 0, address(0), p, signature);
        assertEq(router.depositWithPermit2(40e18, owner, 40e18, CAROL, p, signature), 40e18);
        p.permitted.token = address(share);
        vm.expectRevert(abi.encodeWithSelector(IRouter.Router_WrongPermit.selector, address(share), 50e18));
        router.depositWithPermit2(1, owner, 0, address(0), p, signature);
        vm.stopPrank();
        assertEq(token.balanceOf(owner), 60e18);
    }

    function test_redeemInstantly_withPermitOfTheShares() public {
        uint256 shares = _deposit(owner, 50e18);
        uint256 part = shares / 50;
        uint256 expected = st.previewRedeem(part);
        IRouter.Permit memory permit = _permit(address(share), part);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRouter.Router_BelowMinimum.selector, expected, expected + 1));
        router.redeemInstantly(part, BOB, expected + 1, block.timestamp, permit);
        vm.expectRevert(abi.encodeWithSelector(IRouter.Router_Expired.selector, block.timestamp - 1));
        router.redeemInstantly(part, BOB, 0, block.timestamp - 1, permit);
        assertEq(router.redeemInstantly(part, BOB, expected, block.timestamp, permit), expected);
        vm.stopPrank();
        assertEq(token.balanceOf(BOB), expected);
    }

    /// @notice Whoever saw a permit on its way used it first: the call goes through all the same, by the allowance that is there.
    function test_redeemInstantly_permitUsedByAnotherBefore() public {
        uint256 part = _deposit(owner, 50e18) / 50;
        IRouter.Permit memory p = _permit(address(share), part);
        _frontRun(p, part);
        uint256 expected = st.previewRedeem(part);
        vm.prank(owner);
        assertEq(router.redeemInstantly(part, owner, expected, block.timestamp, p), expected);
        assertEq(share.allowance(owner, address(router)), 0, "and is used up");
    }

    function test_requestExit_permitUsedByAnotherBefore() public {
        uint256 shares = _deposit(owner, 50e18);
        IRouter.Permit memory p = _permit(address(share), shares);
        _frontRun(p, shares);
        vm.prank(owner);
        uint256 requestId = router.requestExit(shares, p);
        assertEq(queue.pendingRedeemRequest(requestId, owner), shares);
        assertEq(share.allowance(owner, address(router)), 0);
    }

    /// @notice The one who used the permit gets nothing by it: the router moves the caller's own only.
    function test_permit_isNoUseToWhoRanAhead() public {
        uint256 shares = _deposit(owner, 50e18);
        IRouter.Permit memory p = _permit(address(share), shares);
        _frontRun(p, shares);
        IRouter.Permit memory tokens = _permit(address(token), 10e18);
        IERC20Permit(address(token))
            .permit(owner, address(router), 10e18, tokens.deadline, tokens.v, tokens.r, tokens.s);
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(router), 0, 1e18);
        vm.startPrank(BOB);
        vm.expectRevert(refusal);
        router.redeemInstantly(1e18, BOB, 0, block.timestamp, p);
        vm.expectRevert(refusal);
        router.requestExit(1e18, p);
        vm.expectRevert();
        router.deposit(1e18, BOB, 0, block.timestamp, address(0), tokens);
        vm.stopPrank();
        assertEq(share.allowance(owner, address(router)), shares);
        assertEq(token.allowance(owner, address(router)), 10e18);
    }

    /// @notice A permit that fails, for whatever reason, is no reason: the allowance decides.
    function test_permit_thatFailsLeavesItToTheAllowance() public {
        uint256 shares = _deposit(owner, 50e18);
        IRouter.Permit memory old = _permit(address(share), 1e18);
        old.deadline = block.timestamp - 1;
        vm.startPrank(owner);
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(router), 0, 1e18);
        vm.expectRevert(refusal);
        router.redeemInstantly(1e18, owner, 0, block.timestamp, old);
        vm.expectRevert(refusal);
        router.requestExit(1e18, old);
        share.approve(address(router), shares);
        assertEq(router.requestExit(1e18, old), 1);
        assertGt(router.redeemInstantly(1e18, owner, 0, block.timestamp, old), 0);
        // No permit at all.
        assertEq(router.requestExit(1e18, _none()), 1);
        vm.stopPrank();
        assertEq(share.allowance(owner, address(router)), shares - 3e18);
    }

    function test_requestExit_inTheCallersName() public {
        uint256 shares = _deposit(owner, 50e18);
        IRouter.Permit memory permit = _permit(address(share), shares);
        vm.prank(owner);
        uint256 requestId = router.requestExit(shares, permit);
        assertEq(queue.pendingRedeemRequest(requestId, owner), shares);
    }

    /// @notice What lies here by mistake must not make up for what a token keeps of a transfer.
    function test_deposit_refusesATokenThatTakesAFee() public {
        FeeToken fee = new FeeToken();
        fee.mint(owner, 100e18);
        vm.mockCall(address(st), abi.encodeCall(st.asset, ()), abi.encode(address(fee)));
        router = IRouter(vm.deployCode("Router.sol:Router", abi.encode(address(st), address(permit2))));
        fee.mint(address(router), 100e18);
        vm.startPrank(owner);
        fee.approve(address(router), 100e18);
        vm.expectRevert(abi.encodeWithSelector(IRouter.Router_TokenTookFee.selector, 0.99e18, 1e18));
        router.deposit(1e18, owner, 0, block.timestamp, address(0), _none());
        vm.stopPrank();
    }

    function test_constructor_refusesZero() public {
        vm.expectRevert(IRouter.Router_ZeroAddress.selector);
        this.make(address(0), address(1));
        vm.expectRevert(IRouter.Router_ZeroAddress.selector);
        this.make(address(st), address(0));
    }

    function make(address stakedToken, address permitter) external {
        bytes memory code = abi.encodePacked(vm.getCode("Router.sol:Router"), abi.encode(stakedToken, permitter));
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 32), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    /// @dev Somebody uses the owner's permit of shares.
    function _frontRun(IRouter.Permit memory p, uint256 value) private {
        vm.prank(BOB);
        IERC20Permit(address(share)).permit(owner, address(router), value, p.deadline, p.v, p.r, p.s);
    }

    function _none() private pure returns (IRouter.Permit memory permit) {}

    function _permit(address of_, uint256 value) private view returns (IRouter.Permit memory p) {
        p.deadline = block.timestamp;
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                address(router),
                value,
                IERC20Permit(of_).nonces(owner),
                p.deadline
            )
        );
        (p.v, p.r, p.s) =
            vm.sign(key, keccak256(abi.encodePacked(hex"1901", IERC20Permit(of_).DOMAIN_SEPARATOR(), message)));
    }
}
