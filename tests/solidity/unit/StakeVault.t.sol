// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {ALL_LATER, IStakeVault} from "contracts/interfaces/IStakeVault.sol";
import {StakeVaultKit} from "../kit/StakeVaultKit.sol";

contract StakeVaultTest is StakeVaultKit {
    // --- construction

    function test_revert_constructor_zeroAddress() public {
        for (uint256 i = 0; i < 5; ++i) {
            IStakeVault.Config memory config = _vaultConfig(i == 0 ? address(0) : address(token));
            if (i == 1) config.registry = address(0);
            if (i == 2) config.guardian = address(0);
            if (i == 3) config.slashEscrow = address(0);
            if (i == 4) config.sequencerSet = address(0);
            _expectConstructorRevert(config, abi.encodeWithSelector(IStakeVault.StakeVault_ZeroAddress.selector));
        }
        // Without a slasher there is nothing to escrow.
        IStakeVault.Config memory bare = _vaultConfig(address(token));
        (bare.slasher, bare.slashEscrow) = (address(0), address(0));
        vm.deployCode("StakeVault.sol:StakeVault", abi.encode(bare));
    }

    function test_revert_constructor_unbonding() public {
        IStakeVault.Config memory config = _vaultConfig(address(token));
        config.unbondingEpochs = 0;
        _expectConstructorRevert(
            config, abi.encodeWithSelector(IStakeVault.StakeVault_InvalidUnbonding.selector, 0, 64)
        );
        config.unbondingEpochs = 65;
        _expectConstructorRevert(
            config, abi.encodeWithSelector(IStakeVault.StakeVault_InvalidUnbonding.selector, 65, 64)
        );
    }

    function test_revert_constructor_maxPool() public {
        IStakeVault.Config memory config = _vaultConfig(address(token));
        config.maxPool = 0;
        _expectConstructorRevert(
            config, abi.encodeWithSelector(IStakeVault.StakeVault_InvalidMaxPool.selector, 0, 20_000_000e18)
        );
        config.maxPool = 20_000_000e18 + 1;
        _expectConstructorRevert(
            config,
            abi.encodeWithSelector(IStakeVault.StakeVault_InvalidMaxPool.selector, 20_000_000e18 + 1, 20_000_000e18)
        );
    }

    // --- slash

    /// @notice Protocol section 2: pool and every cohort with c + 1 >= sigma, nothing else.
    function test_slash_poolAndCohorts() public {
        _delegate(ALICE, id, 100e18);
        for (uint32 e = 10; e < 15; ++e) {
            _toEpoch(e);
            _undelegate(ALICE, id, 10e18);
        }
        _toEpoch(15);
        vm.expectEmit(address(vault));
        emit IStakeVault.Slashed(1, id, 13, ALL_LATER, 0.1e18, 8e18);
        assertEq(_slash(id, 13, 0.1e18), 8e18);
        assertEq(token.balanceOf(escrow), 8e18);
        (uint256 tokens, uint256 units) = vault.pool(id);
        assertEq(tokens, 45e18);
        assertEq(units, 50e18);
        for (uint32 e = 10; e < 15; ++e) {
            (tokens,) = vault.thawOf(id, e);
            assertEq(tokens, e + 1 >= 13 ? 9e18 : 10e18, "cohort");
        }
        // The sets of this and the next epoch keep their weights.
        (tokens,) = vault.poolAt(id, 16);
        assertEq(tokens, 50e18);
        (tokens,) = vault.poolAt(id, 17);
        assertEq(tokens, 45e18);
        assertEq(vault.totalStaked(), 45e18);
        assertEq(vault.slashSeq(), 1);
        (uint32 slashed, uint32 sigma, uint32 before, uint256 fraction) = vault.slashAt(1);
        assertEq(slashed, id);
        assertEq(sigma, 13);
        assertEq(before, ALL_LATER);
        assertEq(fraction, 0.1e18);
    }

    /// @notice What backed a set and left before it could back a later one, nothing else: c with sigma <= c + 1 < before.
    function test_S2_slash_endsBeforeASet() public {
        _delegate(ALICE, id, 100e18);
        for (uint32 e = 10; e < 15; ++e) {
            _toEpoch(e);
            _undelegate(ALICE, id, 10e18);
        }
        vm.expectEmit(address(vault));
        emit IStakeVault.Slashed(1, id, 12, 14, 0.1e18, 2e18);
        assertEq(_slash(id, 12, 14, 0.1e18), 2e18);
        assertEq(token.balanceOf(escrow), 2e18);
        for (uint32 e = 10; e < 15; ++e) {
            (uint256 left,) = vault.thawOf(id, e);
            assertEq(left, e == 11 || e == 12 ? 9e18 : 10e18, "cohort");
        }
        (uint256 tokens, uint256 units) = vault.pool(id);
        assertEq(tokens, 50e18);
        assertEq(units, 50e18);
        assertEq(vault.totalStaked(), 50e18);
        (uint32 slashed, uint32 sigma, uint32 before, uint256 fraction) = vault.slashAt(1);
        assertEq(slashed, id);
        assertEq(sigma, 12);
        assertEq(before, 14);
        assertEq(fraction, 0.1e18);
        // One set alone, and the first of all.
        assertEq(_slash(id, 13, 14, WAD), 9e18);
        assertEq(_slash(id, 0, 1, WAD), 0);
        assertEq(_slash(id, 0, 11, WAD), 0);
        assertEq(_slash(id, 0, 12, WAD), 10e18);
        assertEq(_slash(id, 0, ALL_LATER, WAD), 79e18);
    }

    /// @notice The log grows with what was taken only; a slash that reaches the pool is always in it.
    function test_slash_endsBeforeASetAndFindsNothing() public {
        _delegate(ALICE, id, 100e18);
        _undelegate(ALICE, id, 10e18);
        _toEpoch(14);
        vm.recordLogs();
        assertEq(_slash(id, 12, 14, WAD), 0, "nobody left in 11 and 12");
        assertEq(vm.getRecordedLogs().length, 0);
        assertEq(vault.slashSeq(), 0);
        assertEq(_slash(99, 12, WAD), 0);
        assertEq(vault.slashSeq(), 1);
    }

    /// @notice The work is bounded: cohorts older than UNBONDING_EPOCHS + 3 are out of reach even for a set of epoch 0.
    function test_slash_window() public {
        _delegate(ALICE, id, 100e18);
        _undelegate(ALICE, id, 10e18);
        _toEpoch(11);
        _undelegate(ALICE, id, 10e18);
        _toEpoch(11 + UNBONDING + 2);
        assertEq(_slash(id, 0, 0.5e18), 45e18);
        (uint256 tokens,) = vault.thawOf(id, 10);
        assertEq(tokens, 10e18);
        (tokens,) = vault.thawOf(id, 11);
        assertEq(tokens, 5e18);
    }

    function test_slash_nothingThere() public {
        vm.expectEmit(address(vault));
        emit IStakeVault.Slashed(1, 99, 0, ALL_LATER, WAD, 0);
        assertEq(_slash(99, 0, WAD), 0);
        assertEq(vault.slashSeq(), 1);
    }

    /// @notice Rounded up, but the last wei goes only with the whole.
    function test_slash_rounding() public {
        _delegate(ALICE, id, 3);
        assertEq(_slash(id, 10, 1), 1);
        assertEq(_slash(id, 10, 0.9e18), 1);
        assertEq(_slash(id, 10, 0.9e18), 0);
        assertEq(_slash(id, 10, WAD), 1);
    }

    function test_slash_pausedWorks() public {
        _delegate(ALICE, id, 10e18);
        guardian.set(true);
        assertEq(_slash(id, 10, 0.5e18), 5e18);
    }

    function test_revert_slash() public {
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_NotSlasher.selector, address(this)));
        vault.slash(id, 10, ALL_LATER, WAD);
        vm.startPrank(slasher);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_InvalidFraction.selector, 0));
        vault.slash(id, 10, ALL_LATER, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_InvalidFraction.selector, WAD + 1));
        vault.slash(id, 10, ALL_LATER, WAD + 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_FutureSet.selector, 11, 10));
        vault.slash(id, 11, ALL_LATER, WAD);
        // Not after its beginning, or where stake can still leave ahead of it.
        uint32[4] memory ends = [uint32(0), 8, 9, 11];
        for (uint256 i = 0; i < ends.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_InvalidRange.selector, 9, ends[i]));
            vault.slash(id, 9, ends[i], WAD);
        }
        vault.slash(id, 9, 10, WAD);
        vm.stopPrank();
    }

    function test_revert_slashAt_unknown() public {
        _slash(id, 10, WAD);
        vault.slashAt(1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_UnknownSlash.selector, 0));
        vault.slashAt(0);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_UnknownSlash.selector, 2));
        vault.slashAt(2);
    }

    // --- self bond

    /// @notice The self bond belongs to whoever owns the operator now; others' stake does not count.
    function test_selfBondAt() public {
        _delegate(_owner(0), id, 10e18);
        _delegate(ALICE, id, 30e18);
        assertEq(vault.selfBondAt(id, 11), 0);
        assertEq(vault.selfBondAt(id, 12), 10e18);
        _toEpoch(12);
        _slash(id, 12, 0.5e18);
        assertEq(vault.selfBondAt(id, 13), 10e18);
        assertEq(vault.selfBondAt(id, 14), 5e18);
        (uint256 tokens, uint256 bond) = vault.backingAt(id, ALICE, 14);
        assertEq(tokens, 20e18);
        assertEq(bond, 15e18);

        vm.prank(_owner(0));
        registry.transferOwnership(id, ALICE);
        vm.prank(ALICE);
        registry.acceptOwnership(id);
        assertEq(vault.selfBondAt(id, 14), 15e18);
    }

    // --- governance

    function test_setMaxPool() public {
        vm.expectEmit(address(vault));
        emit IStakeVault.MaxPoolChanged(1e18);
        vault.setMaxPool(1e18);
        assertEq(vault.maxPool(), 1e18);
        assertEq(vault.MAX_POOL_CEILING(), 20_000_000e18);
        vm.expectRevert(
            abi.encodeWithSelector(IStakeVault.StakeVault_InvalidMaxPool.selector, 20_000_000e18 + 1, 20_000_000e18)
        );
        vault.setMaxPool(20_000_000e18 + 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_InvalidMaxPool.selector, 0, 20_000_000e18));
        vault.setMaxPool(0);
    }

    function test_revert_setMaxPool_stranger() public {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, ALICE));
        vm.prank(ALICE);
        vault.setMaxPool(1e18);
    }

    // --- donations

    /// @notice Invariant F4: tokens sent directly change nothing, neither price nor any record.
    function test_F4_donationChangesNothing() public {
        _delegate(ALICE, id, 10e18);
        token.transfer(address(vault), 1000e18);
        assertEq(_delegate(BOB, id, 10e18), 10e18);
        assertEq(vault.totalStaked(), 20e18);
        (, uint256 value) = vault.positionOf(id, ALICE);
        assertEq(value, 10e18);
    }

    function _expectConstructorRevert(IStakeVault.Config memory config, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.deployCode("StakeVault.sol:StakeVault", abi.encode(config));
    }
}
