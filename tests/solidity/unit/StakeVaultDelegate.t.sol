// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {EpochTrace} from "contracts/base/EpochTrace.sol";
import {ALL_LATER, IStakeVault} from "contracts/interfaces/IStakeVault.sol";
import {CallbackToken, FeeToken} from "../harness/Tokens.sol";
import {StakeVaultKit} from "../kit/StakeVaultKit.sol";

/// @notice Stake on its way in.
contract StakeVaultDelegateTest is StakeVaultKit {
    // --- delegate

    function test_delegate() public {
        _fund(ALICE, 5e18);
        vm.expectEmit(address(vault));
        emit IStakeVault.Delegated(id, ALICE, 5e18, 5e18, 12);
        vm.prank(ALICE);
        assertEq(vault.delegate(id, 5e18), 5e18);

        (uint256 tokens, uint256 units) = vault.pool(id);
        assertEq(tokens, 5e18);
        assertEq(units, 5e18);
        assertEq(vault.units(id, ALICE), 5e18);
        (uint256 held, uint256 value) = vault.positionOf(id, ALICE);
        assertEq(held, 5e18);
        assertEq(value, 5e18);
        assertEq(vault.totalStaked(), 5e18);
        assertEq(token.balanceOf(address(vault)), 5e18);
        assertEq(vault.token(), address(token));
    }

    /// @notice Invariant E2: stake given in epoch c counts from c + 2, for the pool and for the delegator.
    function test_E2_delegate_countsFromEpochPlusTwo() public {
        _delegate(ALICE, id, 5e18);
        _toEpoch(11);
        _delegate(ALICE, id, 1e18);
        _delegate(ALICE, id, 1e18);
        uint256[4] memory expected = [uint256(0), 5e18, 7e18, 7e18];
        for (uint32 i = 0; i < 4; ++i) {
            (uint256 tokens, uint256 units) = vault.poolAt(id, 11 + i);
            assertEq(tokens, expected[i]);
            assertEq(units, expected[i]);
            assertEq(vault.unitsAt(id, ALICE, 11 + i), expected[i]);
        }
        assertEq(vault.unitsCheckpointCount(id, ALICE), 2);
        (uint32 epoch, uint256 held) = vault.unitsCheckpointAt(id, ALICE, 1);
        assertEq(epoch, 13);
        assertEq(held, 7e18);
        vm.expectRevert(abi.encodeWithSelector(EpochTrace.EpochTrace_OutOfRange.selector, 2, 2));
        vault.unitsCheckpointAt(id, ALICE, 2);
    }

    /// @notice After a slash new stake buys units at the new price, rounded down.
    function test_delegate_priceAfterSlash() public {
        _delegate(ALICE, id, 10e18);
        _slash(id, 10, 0.3e18);
        assertEq(_delegate(BOB, id, 7e18), 10e18);
        assertEq(_delegate(BOB, id, 1), 1);
        (uint256 held, uint256 value) = vault.positionOf(id, BOB);
        assertEq(held, 10e18 + 1);
        assertEq(value, 7e18);
    }

    function test_revert_delegate_paused() public {
        guardian.set(true);
        _expectDelegateRevert(id, 1, abi.encodeWithSelector(IStakeVault.StakeVault_Paused.selector));
    }

    function test_revert_delegate_zero() public {
        _expectDelegateRevert(id, 0, abi.encodeWithSelector(IStakeVault.StakeVault_ZeroAmount.selector));
    }

    function test_revert_delegate_notAccepting() public {
        _expectDelegateRevert(9, 1, abi.encodeWithSelector(IStakeVault.StakeVault_OperatorNotAccepting.selector, 9));
        bytes memory reason = abi.encodeWithSelector(IStakeVault.StakeVault_OperatorNotAccepting.selector, id);
        vm.prank(slasher);
        registry.jail(id);
        _expectDelegateRevert(id, 1, reason);
        vm.prank(_owner(0));
        registry.retire(id);
        _expectDelegateRevert(id, 1, reason);
        vm.prank(slasher);
        registry.tombstone(id);
        _expectDelegateRevert(id, 1, reason);
    }

    function test_revert_delegate_poolFull() public {
        _delegate(_owner(0), id, MIN_SELF_BOND);
        _delegate(ALICE, id, MAX_POOL - MIN_SELF_BOND - 1);
        _expectDelegateRevert(
            id, 2, abi.encodeWithSelector(IStakeVault.StakeVault_PoolFull.selector, MAX_POOL + 1, MAX_POOL)
        );
        _expectDelegateRevert(
            id,
            type(uint256).max,
            abi.encodeWithSelector(IStakeVault.StakeVault_PoolFull.selector, type(uint256).max, MAX_POOL)
        );
        _delegate(ALICE, id, 1);
    }

    /// @notice Strangers who come before the owner leave what it has to bond, to the wei, and two wei for roundings.
    function test_delegate_ownersRoom_beforeTheBond() public {
        uint256 open = MAX_POOL - MIN_SELF_BOND - 2;
        _expectOwnersRoomRevert(open + 1, open + 1, open);
        _delegate(ALICE, id, open);
        _expectOwnersRoomRevert(1, open + 1, open);
        _delegate(_owner(0), id, MIN_SELF_BOND);
        assertEq(vault.selfBondAt(id, 12), MIN_SELF_BOND);
        // The rest is anybody's now.
        _delegate(ALICE, id, 2);
        _expectDelegateRevert(
            id, 1, abi.encodeWithSelector(IStakeVault.StakeVault_PoolFull.selector, MAX_POOL + 1, MAX_POOL)
        );
    }

    /// @notice What is kept is what is missing: a part of the bond frees its part, taking it back keeps it again.
    function test_delegate_ownersRoom_followsTheBond() public {
        uint256 units = _delegate(_owner(0), id, 40e18);
        uint256 open = MAX_POOL - 60e18 - 2;
        _expectOwnersRoomRevert(open - 40e18 + 1, open + 1, open);
        _delegate(ALICE, id, open - 40e18);
        _undelegate(_owner(0), id, units);
        _expectOwnersRoomRevert(1, open - 40e18 + 1, MAX_POOL - MIN_SELF_BOND - 2);
        _delegate(_owner(0), id, MIN_SELF_BOND + 2);
        _expectDelegateRevert(
            id, 1, abi.encodeWithSelector(IStakeVault.StakeVault_PoolFull.selector, MAX_POOL + 1, MAX_POOL)
        );
    }

    /// @notice The owner is whoever owns the operator now, and fills its pool without regard to its own room.
    function test_delegate_ownersRoom_ownerMayFillThePool() public {
        _delegate(_owner(0), id, MIN_SELF_BOND - 1);
        _delegate(_owner(0), id, MAX_POOL - MIN_SELF_BOND + 1);
        (uint256 tokens,) = vault.pool(id);
        assertEq(tokens, MAX_POOL);
    }

    function test_ownersRoom_isTheLeastSelfBond() public {
        assertEq(vault.ownerRoom(), MIN_SELF_BOND);
        vm.expectEmit(address(vault));
        emit IStakeVault.OwnerRoomChanged(150e18 + 1);
        set.setMinSelfBond(150e18 + 1);
        assertEq(vault.ownerRoom(), 150e18 + 1);
        _expectOwnersRoomRevert(MAX_POOL - 150e18 - 2, MAX_POOL - 150e18 - 2, MAX_POOL - 150e18 - 3);
        // The room is the same in a smaller pool.
        vault.setMaxPool(1000e18);
        assertEq(vault.ownerRoom(), 150e18 + 1);
        _expectOwnersRoomRevert(1000e18 - 150e18 - 2, 1000e18 - 150e18 - 2, 1000e18 - 150e18 - 3);
        vault.setMaxPool(MAX_POOL);
        set.setMinSelfBond(set.MIN_SELF_BOND_CEILING());
        // More than a pool can hold: strangers get nothing of it.
        _expectOwnersRoomRevert(1, 1, 0);
        set.setMinSelfBond(0);
        assertEq(vault.ownerRoom(), 0);
        _delegate(ALICE, id, MAX_POOL);
    }

    function test_revert_setOwnerRoom_stranger() public {
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_NotSequencerSet.selector, address(this)));
        vault.setOwnerRoom(0);
    }

    function test_revert_delegate_poolWipedOut() public {
        _delegate(ALICE, id, 10e18);
        _slash(id, 10, WAD);
        _expectDelegateRevert(id, 1, abi.encodeWithSelector(IStakeVault.StakeVault_PoolWipedOut.selector, id, 10e18));
    }

    /// @notice Invariant R3: the last wei of a pool stays, while its cohort loses nearly all. New stake at the price of that
    /// wei would need more cohort shares than can be recorded: it has to wait for the next epoch's cohort.
    function test_R3_revert_delegate_dustPoolSlashedCohort() public {
        _delegate(BOB, id, 6);
        _undelegate(ALICE, id, _delegate(ALICE, id, 50_000e18));
        _slash(id, 10, WAD - 1);
        bytes memory wipedOut = abi.encodeWithSelector(IStakeVault.StakeVault_PoolWipedOut.selector, id, 6);
        _expectDelegateRevert(id, 20_000e18, wipedOut);
        _toEpoch(11);
        (uint256 amount,) = _undelegate(ALICE, id, _delegate(ALICE, id, 20_000e18));
        assertEq(amount, 20_000e18);
    }

    /// @notice An empty pool whose cohort was slashed in this epoch starts again in the next one, so that nobody's
    /// undelegation meets a cohort without a price.
    function test_revert_delegate_emptyPoolSlashedCohort() public {
        uint256 units = _delegate(ALICE, id, 10e18);
        _undelegate(ALICE, id, units);
        _slash(id, 10, WAD);
        _expectDelegateRevert(id, 1, abi.encodeWithSelector(IStakeVault.StakeVault_PoolWipedOut.selector, id, 0));
        _toEpoch(11);
        assertEq(_delegate(ALICE, id, 3), 3);
        _undelegate(ALICE, id, 3);
        (uint256 tokens, uint256 shares) = vault.thawOf(id, 11);
        assertEq(tokens, 3);
        assertEq(shares, 3);
    }

    function test_delegate_emptiedPoolStartsAgain() public {
        uint256 units = _delegate(ALICE, id, 10e18);
        _undelegate(ALICE, id, units);
        assertEq(_delegate(BOB, id, 4e18), 4e18);
    }

    function test_revert_delegate_tooManyUnits() public {
        _delegate(ALICE, id, 90_000e18);
        _slash(id, 10, WAD - 1);
        (uint256 tokens, uint256 units) = vault.pool(id);
        assertEq(tokens, 90_000);
        // The last amount whose units fit, and one wei more.
        uint256 amount = (type(uint104).max - units) / (units / tokens);
        _expectDelegateRevert(
            id,
            amount + 1,
            abi.encodeWithSelector(
                IStakeVault.StakeVault_TooManyUnits.selector, units + (amount + 1) * (units / tokens), type(uint104).max
            )
        );
        assertEq(_delegate(ALICE, id, amount), amount * (units / tokens));
    }

    function test_revert_delegate_noAllowance() public {
        token.transfer(ALICE, 1e18);
        vm.expectRevert(SafeTransferLib.TransferFromFailed.selector);
        vm.prank(ALICE);
        vault.delegate(id, 1e18);
    }

    function test_revert_delegate_feeToken() public {
        FeeToken fee = new FeeToken();
        IStakeVault other = _vaultOf(address(fee));
        fee.mint(ALICE, 100e18);
        vm.startPrank(ALICE);
        fee.approve(address(other), 100e18);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_TokenTookFee.selector, 99e18, 100e18));
        other.delegate(id, 100e18);
        vm.stopPrank();
    }

    /// @notice A token that calls back in the middle of a transfer gets nowhere.
    function test_reentrancy() public {
        CallbackToken hostile = new CallbackToken();
        IStakeVault other = _vaultOf(address(hostile));
        hostile.mint(address(hostile), 10e18);
        hostile.mint(ALICE, 30e18);
        vm.prank(ALICE);
        hostile.approve(address(other), 30e18);
        vm.prank(ALICE);
        other.delegate(id, 10e18);
        vm.prank(ALICE);
        other.undelegate(id, 5e18);

        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(other.delegate, (id, 1e18));
        calls[1] = abi.encodeCall(other.claim, (id, 10));
        calls[2] = abi.encodeCall(other.slash, (id, 10, ALL_LATER, WAD));
        for (uint256 i = 0; i < calls.length; ++i) {
            hostile.arm(address(other), calls[i]);
            vm.prank(ALICE);
            other.delegate(id, 1e18);
            assertFalse(hostile.succeeded());
            assertEq(
                hostile.answer(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
            );
        }
        assertEq(hostile.balanceOf(address(other)), 13e18);
    }

    // --- delegateWithPermit

    function test_delegateWithPermit() public {
        address who = vm.addr(ALICE_KEY);
        token.transfer(who, 5e18);
        (uint8 v, bytes32 r, bytes32 s) = _permit(who, 5e18);
        vm.prank(who);
        assertEq(vault.delegateWithPermit(id, 5e18, block.timestamp, v, r, s), 5e18);
        assertEq(token.allowance(who, address(vault)), 0);
    }

    /// @notice Somebody who submits the permit first does not stop the delegation.
    function test_delegateWithPermit_frontRun() public {
        address who = vm.addr(ALICE_KEY);
        token.transfer(who, 5e18);
        (uint8 v, bytes32 r, bytes32 s) = _permit(who, 5e18);
        IERC20Permit(address(token)).permit(who, address(vault), 5e18, block.timestamp, v, r, s);
        vm.prank(who);
        assertEq(vault.delegateWithPermit(id, 5e18, block.timestamp, v, r, s), 5e18);
    }

    function test_revert_delegateWithPermit_badPermit() public {
        address who = vm.addr(ALICE_KEY);
        token.transfer(who, 5e18);
        vm.expectRevert(SafeTransferLib.TransferFromFailed.selector);
        vm.prank(who);
        vault.delegateWithPermit(id, 5e18, block.timestamp, 27, bytes32(uint256(1)), bytes32(uint256(1)));
    }

    function _expectOwnersRoomRevert(uint256 amount, uint256 tokens, uint256 maximum) private {
        _expectDelegateRevert(
            id, amount, abi.encodeWithSelector(IStakeVault.StakeVault_OwnersRoom.selector, tokens, maximum)
        );
    }

    function _expectDelegateRevert(uint32 operator, uint256 amount, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(ALICE);
        vault.delegate(operator, amount);
    }

    function _vaultOf(address asset) private returns (IStakeVault) {
        return IStakeVault(vm.deployCode("StakeVault.sol:StakeVault", abi.encode(_vaultConfig(asset))));
    }

    function _permit(address who, uint256 amount) private view returns (uint8 v, bytes32 r, bytes32 s) {
        IERC20Permit permit = IERC20Permit(address(token));
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                who,
                address(vault),
                amount,
                permit.nonces(who),
                block.timestamp
            )
        );
        return vm.sign(ALICE_KEY, keccak256(abi.encodePacked(hex"1901", permit.DOMAIN_SEPARATOR(), message)));
    }
}
