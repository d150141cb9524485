// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IPortal} from "contracts/interfaces/IPortal.sol";
import {CallbackToken, FeeToken} from "../harness/Tokens.sol";
import {RollupKit} from "../kit/RollupKit.sol";

contract PortalTest is RollupKit {
    address internal immutable ALICE = makeAddr("alice on L2");

    function setUp() public override {
        super.setUp();
        token.approve(address(portal), type(uint256).max);
    }

    function test_depositLocksAndCounts() public {
        vm.expectEmit(address(portal));
        emit IPortal.Deposited(0, address(this), ALICE, 1_500_000_000);
        assertEq(portal.deposit(ALICE, 1.5 ether), 0);
        assertEq(token.balanceOf(address(portal)), 1.5 ether);
        assertEq(portal.depositCount(), 1);
        vm.expectEmit(address(portal));
        emit IPortal.Deposited(1, address(this), ALICE, 1);
        assertEq(portal.deposit(ALICE, 1 gwei), 1);
        assertEq(portal.depositCount(), 2);
        assertEq(portal.token(), address(token));
        assertEq(portal.rewardVault(), address(vault));
    }

    function test_countAtABlockIncludesThatBlock() public {
        uint64 first = uint64(block.number);
        assertEq(portal.depositCountAt(first), 0);
        portal.deposit(ALICE, 1 gwei);
        portal.deposit(ALICE, 1 gwei);
        _mine(10);
        portal.deposit(ALICE, 1 gwei);
        assertEq(portal.depositCountAt(0), 0);
        assertEq(portal.depositCountAt(first - 1), 0);
        assertEq(portal.depositCountAt(first), 2);
        assertEq(portal.depositCountAt(first + 9), 2);
        assertEq(portal.depositCountAt(first + 10), 3);
        assertEq(portal.depositCountAt(type(uint64).max), 3);
    }

    function test_depositWithPermit() public {
        (address owner, uint256 secret) = makeAddrAndKey("owner");
        token.transfer(owner, 2 ether);
        (uint8 v, bytes32 r, bytes32 s) = _permit(owner, secret, 2 ether, block.timestamp);
        vm.prank(owner);
        portal.depositWithPermit(ALICE, 2 ether, block.timestamp, v, r, s);
        assertEq(token.balanceOf(address(portal)), 2 ether);
        assertEq(token.balanceOf(owner), 0);
    }

    function test_aPermitUsedByAnotherDoesNotStopTheDeposit() public {
        (address owner, uint256 secret) = makeAddrAndKey("owner");
        token.transfer(owner, 2 ether);
        (uint8 v, bytes32 r, bytes32 s) = _permit(owner, secret, 2 ether, block.timestamp);
        IERC20Permit(address(token)).permit(owner, address(portal), 2 ether, block.timestamp, v, r, s);
        vm.prank(owner);
        portal.depositWithPermit(ALICE, 2 ether, block.timestamp, v, r, s);
        assertEq(portal.depositCount(), 1);
    }

    function test_aForeignPermitDepositsNothing() public {
        (address owner,) = makeAddrAndKey("owner");
        (, uint256 secret) = makeAddrAndKey("thief");
        token.transfer(owner, 2 ether);
        (uint8 v, bytes32 r, bytes32 s) = _permit(owner, secret, 2 ether, block.timestamp);
        vm.prank(owner);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(portal), 0, 2 ether)
        );
        portal.depositWithPermit(ALICE, 2 ether, block.timestamp, v, r, s);
    }

    function test_refusesWhilePaused() public {
        guardian.set(true);
        vm.expectRevert(IPortal.Portal_Paused.selector);
        portal.deposit(ALICE, 1 ether);
        vm.expectRevert(IPortal.Portal_Paused.selector);
        portal.depositWithPermit(ALICE, 1 ether, 0, 0, 0, 0);
    }

    function test_refusesBadAmounts() public {
        uint256[4] memory bad = [uint256(0), 1, 1 ether + 1, uint256(1 << 64) * 1 gwei];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPortal.Portal_BadAmount.selector, bad[i]));
            portal.deposit(ALICE, bad[i]);
        }
    }

    function test_acceptsTheLargestAmount() public {
        uint256 largest = uint256(type(uint64).max) * 1 gwei;
        deal(address(token), address(this), largest);
        vm.expectEmit(address(portal));
        emit IPortal.Deposited(0, address(this), ALICE, type(uint64).max);
        portal.deposit(ALICE, largest);
    }

    function test_refusesRecipientsWhoseBalanceIsBurned() public {
        uint160 prefix = uint160(0x5e90) << 144;
        address[4] memory bad = [address(0), address(prefix), address(prefix | 1), address(prefix | type(uint32).max)];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPortal.Portal_BadRecipient.selector, bad[i]));
            portal.deposit(bad[i], 1 ether);
        }
        portal.deposit(address(prefix | uint160(1) << 32), 1 ether);
    }

    /// @notice F8: what did not arrive is not credited on L2, with a permit or without.
    function test_F8_refusesATokenThatTakesAFee() public {
        FeeToken fee = new FeeToken();
        IPortal other = _portalOf(address(fee));
        fee.mint(address(this), 2 ether);
        fee.approve(address(other), 2 ether);
        bytes memory reason = abi.encodeWithSelector(IPortal.Portal_TokenTookFee.selector, 0.99 ether, 1 ether);
        vm.expectRevert(reason);
        other.deposit(ALICE, 1 ether);
        vm.expectRevert(reason);
        other.depositWithPermit(ALICE, 1 ether, 0, 0, 0, 0);
        assertEq(other.depositCount(), 0);
    }

    /// @notice A token that calls back in the middle of a transfer cannot have one arrival counted twice.
    function test_F8_depositIsGuarded() public {
        CallbackToken hostile = new CallbackToken();
        IPortal other = _portalOf(address(hostile));
        hostile.mint(address(this), 2 ether);
        hostile.approve(address(other), 2 ether);
        bytes[2] memory calls = [
            abi.encodeCall(other.deposit, (ALICE, 1 ether)),
            abi.encodeCall(other.depositWithPermit, (ALICE, 1 ether, 0, 0, 0, 0))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            hostile.arm(address(other), calls[i]);
            other.deposit(ALICE, 1 ether);
            assertFalse(hostile.succeeded());
            assertEq(
                hostile.answer(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
            );
        }
        assertEq(other.depositCount(), 2);
    }

    function test_refusesMoreThanTheCallerHas() public {
        vm.startPrank(ALICE);
        token.approve(address(portal), 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, ALICE, 0, 1 ether));
        portal.deposit(ALICE, 1 ether);
        assertEq(portal.depositCount(), 0);
    }

    function test_releaseFees() public {
        portal.deposit(ALICE, 5 ether);
        vm.prank(address(vault));
        vm.expectEmit(address(portal));
        emit IPortal.FeesReleased(3, 2 ether + 1);
        portal.releaseFees(3, 2 ether + 1);
        assertEq(token.balanceOf(address(vault)), 2 ether + 1);
        assertEq(token.balanceOf(address(portal)), 3 ether - 1);
        assertEq(portal.lastReleasedEpoch(), 3);
    }

    function test_releaseFeesOnlyForTheVault() public {
        portal.deposit(ALICE, 5 ether);
        vm.expectRevert(abi.encodeWithSelector(IPortal.Portal_NotRewardVault.selector, address(this)));
        portal.releaseFees(3, 1);
    }

    function test_releaseFeesOncePerEpochInOrder() public {
        portal.deposit(ALICE, 5 ether);
        vm.startPrank(address(vault));
        portal.releaseFees(3, 1);
        vm.expectRevert(abi.encodeWithSelector(IPortal.Portal_FeesAlreadyReleased.selector, 3, 3));
        portal.releaseFees(3, 1);
        vm.expectRevert(abi.encodeWithSelector(IPortal.Portal_FeesAlreadyReleased.selector, 2, 3));
        portal.releaseFees(2, 1);
        portal.releaseFees(5, 0);
        assertEq(portal.lastReleasedEpoch(), 5);
    }

    function test_releaseFeesIsNotStoppedByAPause() public {
        portal.deposit(ALICE, 5 ether);
        guardian.set(true);
        vm.prank(address(vault));
        portal.releaseFees(1, 5 ether);
        assertEq(token.balanceOf(address(vault)), 5 ether);
    }

    function test_F8_cannotReleaseMoreThanItHolds() public {
        portal.deposit(ALICE, 5 ether);
        vm.prank(address(vault));
        vm.expectRevert(
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientBalance.selector, address(portal), 5 ether, 5 ether + 1
            )
        );
        portal.releaseFees(1, 5 ether + 1);
        assertEq(portal.lastReleasedEpoch(), 0);
    }

    function test_constructorRefusesZeroAddresses() public {
        string[3] memory names = ["token", "rewardVault", "guardian"];
        for (uint256 i = 0; i < 3; ++i) {
            address[3] memory parts = [address(token), address(vault), address(guardian)];
            parts[i] = address(0);
            bytes memory code =
                abi.encodePacked(vm.getCode("Portal.sol:Portal"), abi.encode(parts[0], parts[1], parts[2]));
            _assertCreationRefused(code, abi.encodeWithSelector(IPortal.Portal_ZeroAddress.selector, names[i]));
        }
    }

    function _portalOf(address asset) private returns (IPortal) {
        return IPortal(vm.deployCode("Portal.sol:Portal", abi.encode(asset, address(vault), address(guardian))));
    }

    function _permit(address owner, uint256 secret, uint256 amount, uint256 deadline)
        private
        view
        returns (uint8, bytes32, bytes32)
    {
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                address(portal),
                amount,
                IERC20Permit(address(token)).nonces(owner),
                deadline
            )
        );
        bytes32 separator = IERC20Permit(address(token)).DOMAIN_SEPARATOR();
        return vm.sign(secret, keccak256(abi.encodePacked(bytes2(0x1901), separator, permit)));
    }
}
