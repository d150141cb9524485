// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {StakingFixture} from "../harness/StakingFixture.sol";

/// @notice Arithmetic of the vault on random amounts and fractions, cases of two or three parties.
contract StakeVaultFuzzTest is StakingFixture {
    /// @dev Of what strangers may put into a pool.
    uint256 private constant HALF = (MAX_POOL - MIN_SELF_BOND) / 2 - 2;

    address private constant ALICE = address(0xA11CE);
    address private constant BOB = address(0xB0B);
    uint256 private constant WAD = 1e18;

    uint32 private id;

    function setUp() public {
        _deploy(16, 64);
        _toEpoch(10);
        id = _register(_owner(0), _key(0));
    }

    /// @notice F6: in and out again without a slash in between returns at most what came in and at least two wei less, at
    /// any price that earlier slashes left, also through a cohort that was slashed before.
    function testFuzz_F6_roundTrip(uint256 before, uint256 amount, uint256 fraction, bool sameCohort) public {
        // What is left of a pool whose cohort was slashed must be a gwei to take stake.
        before = bound(before, sameCohort ? 2e15 + 2 : 2, HALF);
        amount = bound(amount, 1, HALF);
        fraction = bound(fraction, 1, WAD - WAD / 1e6);
        uint256 units = _delegate(ALICE, id, before);
        if (sameCohort) _undelegate(ALICE, id, units / 2);
        _slash(id, 10, fraction);

        uint256 got = _delegate(BOB, id, amount);
        (uint256 out,) = _undelegate(BOB, id, got);
        assertLe(out, amount);
        assertGe(out + 1, amount);
        uint256 paid = 0;
        vm.warp(vault.claimableFrom(10));
        if (vault.thawSharesOf(id, 10, BOB) != 0) {
            vm.prank(BOB);
            paid = vault.claim(id, 10);
        }
        assertLe(paid, amount);
        assertGe(paid + 2, amount);
        assertEq(token.balanceOf(BOB), paid);
    }

    /// @notice Whatever strangers, slashes and the owner's own going in and out did before, the owner reaches its least
    /// self bond.
    function testFuzz_ownerCanAlwaysBond(uint256[4] memory amounts, uint256[2] memory fractions, uint256 part) public {
        address owner = _owner(0);
        _fill(amounts[0]);
        uint256 units = _delegate(owner, id, bound(amounts[1], 1, MIN_SELF_BOND));
        _fill(amounts[2]);
        // Twice: units must not outgrow 104 bits.
        _slash(id, 10, bound(fractions[0], 1, WAD - WAD / 1e3));
        _fill(type(uint256).max);
        _undelegate(owner, id, bound(part, 1, units));
        _fill(amounts[3]);
        _slash(id, 10, bound(fractions[1], 1, WAD - WAD / 1e3));
        _fill(type(uint256).max);

        (, uint256 bond) = vault.positionOf(id, owner);
        if (bond < MIN_SELF_BOND) _delegate(owner, id, MIN_SELF_BOND - bond + 2);
        assertGe(vault.selfBondAt(id, 12), MIN_SELF_BOND);
    }

    /// @dev A stranger delegates as much of `wanted` as it may, which the vault's refusal tells.
    function _fill(uint256 wanted) private {
        (uint256 tokens,) = vault.pool(id);
        uint256 amount = bound(wanted, 1, MAX_POOL - tokens);
        if (wanted == type(uint256).max) amount = MAX_POOL - tokens;
        _fund(ALICE, amount);
        vm.prank(ALICE);
        try vault.delegate(id, amount) {}
        catch (bytes memory reason) {
            assertEq(bytes4(reason), IStakeVault.StakeVault_OwnersRoom.selector);
            uint256 maximum;
            assembly ("memory-safe") {
                maximum := mload(add(reason, 0x44))
            }
            if (maximum <= tokens) return;
            vm.prank(ALICE);
            vault.delegate(id, maximum - tokens);
        }
    }

    /// @notice F5 and F4: what others do never takes from a delegator; rounding against them can add one wei.
    function testFuzz_F4_F5_othersChangeNothing(uint256 mine, uint256 other, uint256 fraction, uint256 part) public {
        mine = bound(mine, 1, HALF);
        other = bound(other, 1, HALF);
        fraction = bound(fraction, 1, WAD - WAD / 1e6);
        _delegate(ALICE, id, mine);
        _slash(id, 10, fraction);
        (, uint256 value) = vault.positionOf(id, ALICE);
        (uint256 tokens, uint256 units) = vault.pool(id);

        uint256 got = _delegate(BOB, id, other);
        (, uint256 afterDelegate) = vault.positionOf(id, ALICE);
        assertGe(afterDelegate, value);
        assertLe(afterDelegate, value + 1);
        (uint256 newTokens, uint256 newUnits) = vault.pool(id);
        assertGe(newTokens * units, tokens * newUnits, "the price fell");
        assertLt(newTokens * units - tokens * newUnits, units, "the price rose by more than dust");

        _undelegate(BOB, id, bound(part, 1, got));
        (, uint256 afterUndelegate) = vault.positionOf(id, ALICE);
        assertGe(afterUndelegate, afterDelegate);
        assertLe(afterUndelegate, afterDelegate + 1);
    }

    /// @notice A delegator's loss to a slash is its share of it.
    function testFuzz_slash_isProportional(uint256 mine, uint256 other, uint256 fraction) public {
        mine = bound(mine, 1e9, HALF);
        other = bound(other, 1e9, MAX_POOL / 2 - MIN_SELF_BOND - 2);
        fraction = bound(fraction, 1, WAD);
        _delegate(ALICE, id, mine);
        _delegate(BOB, id, other);
        uint256 taken = _slash(id, 10, fraction);
        uint256 loss = ((mine + other) * fraction + WAD - 1) / WAD;
        // The last wei goes only with the whole.
        assertEq(taken, loss == mine + other && fraction < WAD ? loss - 1 : loss);
        (, uint256 value) = vault.positionOf(id, ALICE);
        uint256 fair = mine - mine * fraction / WAD;
        assertLe(value, fair);
        assertGe(value + 2, fair);
    }

    /// @notice S3 of the vault's part: taking stake out between the fault and its proof never lowers what is taken.
    function testFuzz_S3_undelegatingDoesNotHelp(uint256 stake, uint256 part, uint256 fraction, uint8 wait) public {
        stake = bound(stake, 10, MAX_POOL - MIN_SELF_BOND - 2);
        fraction = bound(fraction, 1, WAD);
        uint256 units = _delegate(ALICE, id, stake);
        _toEpoch(12);
        uint32 sigma = 12;
        uint256 snapshot = vm.snapshotState();
        uint256 honest = _slash(id, sigma, fraction);
        vm.revertToState(snapshot);

        _undelegate(ALICE, id, bound(part, 1, units));
        _toEpoch(12 + uint32(bound(wait, 0, UNBONDING + 1)));
        assertGe(_slash(id, sigma, fraction) + 1, honest);
    }

    /// @notice S4 of the vault's part: two slashes commute up to one wei per pot.
    function testFuzz_S4_slashesCommute(uint256 stake, uint256 part, uint256 first, uint256 second) public {
        stake = bound(stake, 1e6, MAX_POOL - MIN_SELF_BOND - 2);
        first = bound(first, 1, WAD);
        second = bound(second, 1, WAD);
        uint256 units = _delegate(ALICE, id, stake);
        _undelegate(ALICE, id, bound(part, 1, units - 1));
        uint256 snapshot = vm.snapshotState();
        _slash(id, 10, first);
        _slash(id, 10, second);
        (uint256 pool,) = vault.pool(id);
        (uint256 cohort,) = vault.thawOf(id, 10);
        vm.revertToState(snapshot);
        _slash(id, 10, second);
        _slash(id, 10, first);
        (uint256 otherPool,) = vault.pool(id);
        (uint256 otherCohort,) = vault.thawOf(id, 10);
        assertApproxEqAbs(pool, otherPool, 1);
        assertApproxEqAbs(cohort, otherCohort, 1);
    }

    /// @notice S2 of the vault's part: a cohort pays iff c + 1 >= sigma (inside the window).
    function testFuzz_S2_cohortRule(uint8 cohortAge, uint8 sigmaAge) public {
        uint256 units = _delegate(ALICE, id, 100e18);
        uint32 cohort = 30;
        _toEpoch(cohort);
        _undelegate(ALICE, id, units / 2);
        uint32 current = cohort + uint32(bound(cohortAge, 0, UNBONDING + 1));
        uint32 sigma = current - uint32(bound(sigmaAge, 0, 20));
        _toEpoch(current);
        uint256 taken = _slash(id, sigma, 0.1e18);
        assertEq(taken, cohort + 1 >= sigma ? 10e18 : 5e18);
        (uint256 tokens,) = vault.thawOf(id, cohort);
        assertEq(tokens, cohort + 1 >= sigma ? 45e18 : 50e18);
    }

    /// @notice S2 of a slash that ends before a set: a cohort pays iff sigma <= c + 1 < before, the pool does not.
    function testFuzz_S2_cohortRuleUpToASet(uint8 cohortAge, uint8 sigmaAge, uint8 span) public {
        uint256 units = _delegate(ALICE, id, 100e18);
        uint32 cohort = 30;
        _toEpoch(cohort);
        _undelegate(ALICE, id, units / 2);
        uint32 current = cohort + uint32(bound(cohortAge, 0, UNBONDING + 1));
        uint32 sigma = current - uint32(bound(sigmaAge, 1, 20));
        uint32 before = uint32(bound(span, sigma + 1, current));
        _toEpoch(current);
        bool pays = cohort + 1 >= sigma && cohort + 1 < before;
        assertEq(_slash(id, sigma, before, 0.1e18), pays ? 5e18 : 0);
        (uint256 tokens,) = vault.thawOf(id, cohort);
        assertEq(tokens, pays ? 45e18 : 50e18);
        (tokens,) = vault.pool(id);
        assertEq(tokens, 50e18);
        assertEq(vault.totalStaked(), 50e18);
    }

    /// @notice R3: however hard and often a pool was slashed in one epoch, everybody gets out in that epoch.
    function testFuzz_R3_exitAfterAnySlashes(uint256 stake, uint256 dust, uint256[6] memory fractions) public {
        stake = bound(stake, 1, HALF);
        uint256 units = _delegate(ALICE, id, stake);
        uint256 others = _delegate(BOB, id, MAX_POOL / 2 - MIN_SELF_BOND - 2);
        _undelegate(BOB, id, bound(dust, 1, others - 1));
        for (uint256 i = 0; i < 6; ++i) {
            _slash(id, 10, bound(fractions[i], 1, WAD));
        }
        _undelegate(ALICE, id, units);
        _undelegate(BOB, id, vault.units(id, BOB));
        (uint256 tokens, uint256 left) = vault.pool(id);
        assertEq(tokens, 0);
        assertEq(left, 0);
        vm.warp(vault.claimableFrom(10));
        if (vault.thawSharesOf(id, 10, ALICE) != 0) {
            vm.prank(ALICE);
            vault.claim(id, 10);
        }
        vm.prank(BOB);
        vault.claim(id, 10);
        assertEq(token.balanceOf(address(vault)), 0, "nothing stays behind");
    }

    /// @notice F1, F2: a crowd of delegators, one slash; when all have left the vault is empty to the wei.
    function testFuzz_F1_F2_lastOneOutEmptiesTheVault(uint256[8] memory amounts, uint256 fraction) public {
        fraction = bound(fraction, 1, WAD);
        uint256 deposited = 0;
        for (uint160 i = 0; i < 8; ++i) {
            uint256 amount = bound(amounts[i], 1, MAX_POOL / 8);
            deposited += amount;
            _delegate(address(0x1000 + i), id, amount);
        }
        uint256 taken = _slash(id, 10, fraction);
        uint256 withdrawn = 0;
        for (uint160 i = 0; i < 8; ++i) {
            address who = address(0x1000 + i);
            _undelegate(who, id, vault.units(id, who));
        }
        vm.warp(vault.claimableFrom(10));
        for (uint160 i = 0; i < 8; ++i) {
            address who = address(0x1000 + i);
            if (vault.thawSharesOf(id, 10, who) == 0) continue;
            vm.prank(who);
            withdrawn += vault.claim(id, 10);
        }
        assertEq(deposited, taken + withdrawn);
        assertEq(token.balanceOf(address(vault)), 0);
    }
}
