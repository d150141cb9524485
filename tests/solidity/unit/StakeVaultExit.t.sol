// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";
import {StakeVaultKit} from "../kit/StakeVaultKit.sol";

/// @notice Stake on its way out.
contract StakeVaultExitTest is StakeVaultKit {
    // --- undelegate

    function test_E2_undelegate() public {
        _delegate(ALICE, id, 10e18);
        _toEpoch(20);
        vm.expectEmit(address(vault));
        emit IStakeVault.Undelegated(id, ALICE, 4e18, 4e18, 20, 4e18);
        vm.prank(ALICE);
        (uint256 amount, uint32 cohort, uint256 shares) = vault.undelegate(id, 4e18);
        assertEq(amount, 4e18);
        assertEq(cohort, 20);
        assertEq(shares, 4e18);
        // It backs the sets of this and the next epoch still.
        (uint256 tokens,) = vault.poolAt(id, 21);
        assertEq(tokens, 10e18);
        assertEq(vault.unitsAt(id, ALICE, 21), 10e18);
        (tokens,) = vault.poolAt(id, 22);
        assertEq(tokens, 6e18);
        assertEq(vault.unitsAt(id, ALICE, 22), 6e18);
        assertEq(vault.totalStaked(), 6e18);
        assertEq(vault.thawSharesOf(id, 20, ALICE), 4e18);
        (tokens, shares) = vault.thawOf(id, 20);
        assertEq(tokens, 4e18);
        assertEq(shares, 4e18);
    }

    function test_revert_undelegate() public {
        _delegate(ALICE, id, 10e18);
        vm.startPrank(ALICE);
        vm.expectRevert(IStakeVault.StakeVault_ZeroUnits.selector);
        vault.undelegate(id, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_InsufficientUnits.selector, 10e18 + 1, 10e18));
        vault.undelegate(id, 10e18 + 1);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_InsufficientUnits.selector, 1, 0));
        vm.prank(BOB);
        vault.undelegate(id, 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_InsufficientUnits.selector, 1, 0));
        vm.prank(ALICE);
        vault.undelegate(77, 1);
    }

    /// @notice Invariant R3: no status, no pause and no limit keeps anybody inside.
    function test_R3_exitIsAlwaysOpen() public {
        uint256 units = _delegate(ALICE, id, 10e18);
        vm.startPrank(slasher);
        registry.jail(id);
        vm.stopPrank();
        _undelegate(ALICE, id, units / 4);
        vm.prank(_owner(0));
        registry.retire(id);
        _undelegate(ALICE, id, units / 4);
        vm.prank(slasher);
        registry.tombstone(id);
        _undelegate(ALICE, id, units / 4);
        guardian.set(true);
        vault.setMaxPool(1);
        _undelegate(ALICE, id, units / 4);
        vm.warp(vault.claimableFrom(10));
        vm.prank(ALICE);
        assertEq(vault.claim(id, 10), 10e18);
    }

    /// @notice Invariant R3: a pool and cohorts that lost everything let go of their units and shares, for nothing.
    function test_R3_exitAfterFullSlash() public {
        uint256 units = _delegate(ALICE, id, 10e18);
        _undelegate(ALICE, id, units / 2);
        _slash(id, 10, WAD);
        vm.prank(ALICE);
        (uint256 amount, uint32 cohort, uint256 shares) = vault.undelegate(id, units / 2);
        assertEq(amount, 0);
        assertEq(cohort, 10);
        assertEq(shares, 0);
        vm.warp(vault.claimableFrom(10));
        vm.expectEmit(address(vault));
        emit IStakeVault.Claimed(id, ALICE, 10, 0);
        vm.prank(ALICE);
        assertEq(vault.claim(id, 10), 0);
        assertEq(vault.units(id, ALICE), 0);
        assertEq(vault.thawSharesOf(id, 10, ALICE), 0);
    }

    /// @notice Who joins a cohort after it was slashed does not pay for that slash.
    function test_undelegate_intoSlashedCohort() public {
        _delegate(ALICE, id, 10e18);
        _delegate(BOB, id, 10e18);
        _undelegate(ALICE, id, 10e18);
        _slash(id, 10, 0.5e18);
        vm.prank(BOB);
        (uint256 amount,, uint256 shares) = vault.undelegate(id, 10e18);
        assertEq(amount, 5e18);
        assertEq(shares, 10e18);
        vm.warp(vault.claimableFrom(10));
        vm.prank(BOB);
        assertEq(vault.claim(id, 10), 5e18);
        vm.prank(ALICE);
        assertEq(vault.claim(id, 10), 5e18);
    }

    /// @notice A cohort of one wei survives any fraction below the whole, so later shares have a price.
    function test_undelegate_dustCohortKeepsAPrice() public {
        _delegate(ALICE, id, 10e18);
        _delegate(BOB, id, 10e18);
        _undelegate(ALICE, id, 1);
        _slash(id, 10, WAD - 1);
        (uint256 tokens, uint256 shares) = vault.thawOf(id, 10);
        assertEq(tokens, 1);
        assertEq(shares, 1);
        _undelegate(BOB, id, 10e18);
        (tokens, shares) = vault.thawOf(id, 10);
        assertEq(tokens, shares);
    }

    // --- claim

    /// @notice Invariant F7: never early, at the very second, and once.
    function test_F7_claim() public {
        uint256 units = _delegate(ALICE, id, 10e18);
        _toEpoch(20);
        _undelegate(ALICE, id, units);
        uint256 opensAt = GENESIS + uint256(20 + 2 + UNBONDING) * EPOCH;
        assertEq(vault.claimableFrom(20), opensAt);
        vm.warp(opensAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_ClaimTooEarly.selector, opensAt - 1, opensAt));
        vm.prank(ALICE);
        vault.claim(id, 20);

        vm.warp(opensAt);
        vm.expectEmit(address(vault));
        emit IStakeVault.Claimed(id, ALICE, 20, 10e18);
        vm.prank(ALICE);
        assertEq(vault.claim(id, 20), 10e18);
        assertEq(token.balanceOf(ALICE), 10e18);
        bytes memory nothing = abi.encodeWithSelector(IStakeVault.StakeVault_NothingToClaim.selector, id, 20, ALICE);
        vm.expectRevert(nothing);
        vm.prank(ALICE);
        vault.claim(id, 20);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_NothingToClaim.selector, id, 19, ALICE));
        vm.prank(ALICE);
        vault.claim(id, 19);
    }

    function test_revert_claim_stranger() public {
        uint256 units = _delegate(ALICE, id, 10e18);
        _undelegate(ALICE, id, units);
        vm.warp(vault.claimableFrom(10));
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_NothingToClaim.selector, id, 10, BOB));
        vm.prank(BOB);
        vault.claim(id, 10);
    }

    /// @notice The largest epoch number opens in a far future, not in a wrapped past.
    function test_revert_claim_lastEpoch() public {
        uint256 opensAt = vault.claimableFrom(type(uint32).max);
        assertGt(opensAt, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_ClaimTooEarly.selector, block.timestamp, opensAt));
        vault.claim(id, type(uint32).max);
    }
}
