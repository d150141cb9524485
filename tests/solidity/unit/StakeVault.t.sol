// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

import {EpochTrace} from "contracts/base/EpochTrace.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {StakingFixture} from "../harness/StakingFixture.sol";
import {CallbackToken, FeeToken} from "../harness/Tokens.sol";

contract StakeVaultTest is StakingFixture {
    address private constant ALICE = address(0xA11CE);
    address private constant BOB = address(0xB0B);
    uint256 private constant ALICE_KEY = 0xA11CE;
    uint256 private constant WAD = 1e18;

    uint32 private id;

    function setUp() public {
        _deploy(16, 64);
        _toEpoch(10);
        id = _register(_owner(0), _key(0));
    }

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
        calls[2] = abi.encodeCall(other.slash, (id, 10, WAD));
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
        emit IStakeVault.Slashed(1, id, 13, 0.1e18, 8e18);
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
        (uint32 slashed, uint32 sigma, uint256 fraction) = vault.slashAt(1);
        assertEq(slashed, id);
        assertEq(sigma, 13);
        assertEq(fraction, 0.1e18);
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
        emit IStakeVault.Slashed(1, 99, 0, WAD, 0);
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
        vault.slash(id, 10, WAD);
        vm.startPrank(slasher);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_InvalidFraction.selector, 0));
        vault.slash(id, 10, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_InvalidFraction.selector, WAD + 1));
        vault.slash(id, 10, WAD + 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeVault_FutureSet.selector, 11, 10));
        vault.slash(id, 11, WAD);
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

    function _expectConstructorRevert(IStakeVault.Config memory config, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.deployCode("StakeVault.sol:StakeVault", abi.encode(config));
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
