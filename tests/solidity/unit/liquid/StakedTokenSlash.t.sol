// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @notice What a slash does to the books, and who bears it.
contract StakedTokenSlashTest is LiquidFixture {
    function setUp() public {
        _deployLiquid();
    }

    // --- slashes

    function test_slash_coverThenDripThenRate() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _fundCover(4e18);
        _harvest(1, 10e18);
        uint256 total = st.totalAssets();
        // 5 % of 237.5 is 11.875; booked a wei lower than the vault holds.
        _slash(1, _epoch(), 0.05e18);
        IStakedToken.Position memory p = st.position();
        assertEq(p.active, 950e18 - 11.875e18 - 1);
        assertEq(p.buffer, 60e18 + 4e18);
        assertEq(p.locked, 9e18 - 7.875e18 - 1);
        assertEq(st.totalAssets(), total, "nothing is left for the rate");
        st.sync(type(uint256).max);
        assertEq(keccak256(abi.encode(st.position())), keccak256(abi.encode(p)), "Q10: view and action agree");
        assertEq(cover.held(), 0);
        assertGe(token.balanceOf(address(st)), p.buffer, "Q1");
        _slash(2, _epoch(), 0.05e18);
        p = st.position();
        assertEq(p.locked, 0);
        assertEq(p.lossCarry, total - st.totalAssets());
    }

    function test_Q18_viewsSeeASlashBeforeAnyAction() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        uint256 shares = st.previewDeposit(1e18);
        _slash(3, _epoch(), 0.004e18);
        _slash(3, _epoch() - 1, 0.004e18);
        _slash(4, _epoch(), 0.004e18);
        assertGt(st.previewDeposit(1e18), shares);
        uint256 total = st.totalAssets();
        uint256 active = st.activeOf(3);
        assertLe(active, _real(3));
        assertApproxEqAbs(active, _real(3), 4);
        st.sync(2);
        assertEq(st.totalAssets(), total);
        st.sync(2);
        assertEq(st.totalAssets(), total);
        assertEq(st.activeOf(3), active);
    }

    /// @notice What is applied of the log by hand must not fix the buffer's aim, and with it the fee of leaving at once, at a
    /// total that leaves slashes out.
    function test_sync_inPartDoesNotSetTheBuffersAim() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _slash(3, _epoch(), 0.5e18);
        _slash(4, _epoch(), 0.5e18);
        _nextEpoch();
        uint256 aim = st.position().bufferTarget;
        assertEq(aim, st.totalAssets() / 20, "of what is left");
        assertLt(aim, 39e18);
        for (uint256 i = 0; i < 3; ++i) {
            // None, the first, the last.
            st.sync(i < 2 ? i : 1);
            assertEq(st.syncedSlashes(), i);
            assertEq(st.position().bufferTarget, aim);
        }
    }

    function test_Q16_liableExitsAndStayersLoseTheSamePart() public {
        _deposit(ALICE, 499e18);
        uint256 early = _deposit(BOB, 250e18);
        uint256 late = _deposit(CAROL, 250e18);
        _nextEpoch();
        _delegateAll();
        _request(BOB, early);
        _seal();
        _toEpoch(_epoch() + 2);
        _request(CAROL, late);
        _seal();
        uint32 sigma = _epoch();
        (uint256 owedEarly,,) = st.exitOf(1);
        (uint256 owedLate,,) = st.exitOf(2);
        uint256 total = st.totalAssets();
        uint256 held = st.position().active + st.position().thawing;
        _slash(1, sigma, 0.2e18);
        uint256 loss = held - st.position().active - st.position().thawing;
        assertGt(loss, 0);
        (uint256 after0,,) = st.exitOf(1);
        (uint256 after1,,) = st.exitOf(2);
        assertEq(after0, owedEarly, "sealed two epochs before the set: not liable");
        uint256 base = total + owedLate;
        assertApproxEqAbs(owedLate - after1, owedLate * loss / base, 1);
        assertApproxEqAbs(total - st.totalAssets(), total * loss / base, 1);
    }

    /// @notice In either order the same is lost, and each bears the same of it, up to roundings.
    function test_Q17_slashesCommute() public {
        _deposit(ALICE, 699e18);
        uint256 shares = _deposit(BOB, 300e18);
        _nextEpoch();
        _delegateAll();
        _request(BOB, shares);
        _seal();
        uint256 state = vm.snapshotState();
        _slash(1, _epoch(), 0.07e18);
        _slash(2, _epoch(), 0.31e18);
        _slash(1, _epoch(), 0.5e18);
        IStakedToken.Position memory one = st.position();
        uint256 total = st.totalAssets();
        vm.revertToState(state);
        _slash(1, _epoch(), 0.5e18);
        st.sync(1);
        _slash(1, _epoch(), 0.07e18);
        _slash(2, _epoch(), 0.31e18);
        IStakedToken.Position memory other = st.position();
        assertApproxEqAbs(one.active, other.active, 3);
        assertApproxEqAbs(one.thawing, other.thawing, 3);
        assertApproxEqAbs(one.owed, other.owed, 5);
        assertApproxEqAbs(total, st.totalAssets(), 8);
        assertLt(total, 699e18 * 9 / 10);
    }

    /// @notice A slash that ends before a set: tickets of who left before it lose, no other and no pool; and it is shared by
    /// the set of the fault, as any (ADR 11).
    function test_slash_ofWhoLeftBeforeASet() public {
        uint256 shares = _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _request(ALICE, shares * 3 / 5);
        _seal();
        uint32 left = _epoch();
        _toEpoch(left + 2);
        _request(ALICE, shares / 5);
        _seal();
        _toEpoch(left + 4);
        uint32 id = 1;
        while (st.ticketOf(id, left) == 0) ++id;
        IStakedToken.Position memory p = st.position();
        uint256 ticket = st.ticketOf(id, left);
        (uint256 first,,) = st.exitOf(1);
        (uint256 second,,) = st.exitOf(2);
        uint256 total = st.totalAssets();

        assertEq(_slash(id, left + 2, left + 3, 1e18), 0, "nobody left in this epoch and the one before it");
        assertGt(_slash(id, left + 1, left + 2, 0.2e18), 0);
        _checkWhoLeft(p, id, left, ticket - ticket / 5 - 1);
        uint256 loss = ticket / 5 + 1;
        assertEq(p.thawing - st.position().thawing, loss);
        uint256 base = total + first + second;
        (uint256 kept,,) = st.exitOf(1);
        assertApproxEqAbs(first - kept, first * loss / base, 1, "liable");
        (kept,,) = st.exitOf(2);
        assertApproxEqAbs(second - kept, second * loss / base, 1, "later ones as well");
        assertApproxEqAbs(total - st.totalAssets(), total * loss / base, 2);

        // Two more, of which the last takes from the pool, too; all three walked at once.
        _slash(id, left, left + 2, 0.5e18);
        _slash(id, left + 1, 0.1e18);
        ticket = st.ticketOf(id, left);
        p = st.position();
        assertApproxEqAbs(ticket, (loss - 1) * 4 / 2 * 9 / 10, 4);
        // Some now and the rest later: as the view said of all (Q10).
        for (uint256 i = 0; i < 2; ++i) {
            st.sync(2);
            assertEq(st.position().thawing, p.thawing);
            assertEq(st.position().owed, p.owed);
            _checkWhoLeft(p, id, left, ticket);
        }
        assertEq(st.syncedSlashes(), vault.slashSeq());
        assertLe(st.activeOf(id), _real(id));
        assertApproxEqAbs(st.activeOf(id), _real(id), 3);
    }

    function _checkWhoLeft(IStakedToken.Position memory p, uint32 id, uint32 cohort, uint256 ticket) private view {
        assertEq(st.position().active, p.active, "who stayed");
        assertEq(st.ticketOf(id, cohort), ticket);
        assertLe(ticket, _realTicket(id, cohort));
        assertApproxEqAbs(ticket, _realTicket(id, cohort), 5);
    }

    /// @notice While it is closed a further loss counts from its own time, and the oldest set named stays.
    function test_bunker_ofSeveralLosses() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        uint32 epoch = _epoch();
        _slash(1, epoch - 1, 0.1e18);
        st.sync(1);
        assertEq(st.position().bunkerSigma, epoch - 1);
        skip(EPOCH);
        _slash(2, epoch, 0.1e18);
        st.sync(1);
        uint256 until = block.timestamp + 2 * EPOCH;
        assertEq(st.position().bunkerUntil, until);
        assertEq(st.position().bunkerSigma, epoch - 1, "an exit that answers for either waits");
        // When it is open again only the new one counts.
        vm.warp(until);
        _slash(3, _epoch(), 0.1e18);
        assertEq(st.position().bunkerSigma, _epoch());
        assertEq(st.position().bunkerUntil, until + 2 * EPOCH);
    }

    /// @notice Stake that backs an old exit is lost in a later fault, and nobody is left who answers for that: fees pay before
    /// the exit does.
    function test_slash_beyondAllWhoAreLiable() public {
        uint256 shares = _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _harvest(1, 3e18);
        _request(ALICE, 500e18);
        _seal();
        uint32 epoch = _epoch();
        _nextEpoch();
        // Half of the operators lose everything, and with it most of what was taken out for the exit.
        for (uint32 id = 1; id <= 4; ++id) {
            if (st.ticketOf(id, epoch) > 100e18) _slash(id, epoch + 1, 1e18);
        }
        assertEq(st.position().fees, 0.3e18);
        _toEpoch(epoch + 2);
        _request(ALICE, shares - 500e18);
        _seal();
        (uint256 old,,) = st.exitOf(1);
        _nextEpoch();
        for (uint32 id = 1; id <= 4; ++id) {
            _slash(id, epoch + 3, 1e18);
        }
        IStakedToken.Position memory p = st.position();
        (uint256 first,,) = st.exitOf(1);
        (uint256 second,,) = st.exitOf(2);
        assertLe(second, 1, "liable: everything");
        assertEq(p.fees, 0);
        assertLt(first, old, "what the others could not bear");
        assertApproxEqAbs(first, p.buffer + p.thawing, 4, "and gets all that is left");
    }

    function test_slash_ofEverythingLeavesExitsPayable() public {
        uint256 shares = _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _request(ALICE, shares / 2);
        _seal();
        for (uint32 id = 1; id <= 4; ++id) {
            _slash(id, _epoch(), 1e18);
        }
        st.sync(type(uint256).max);
        IStakedToken.Position memory p = st.position();
        assertEq(p.active + p.thawing, 0);
        // What is left, the buffer, is shared by those who stay and the liable exit.
        assertApproxEqRel(p.owed, p.buffer / 2, 1e15);
        vm.warp(p.bunkerUntil + 3 * EPOCH);
        queue.finalize();
        vm.prank(ALICE);
        assertEq(queue.redeem(shares / 2, ALICE, ALICE), p.owed);
    }

    function test_wipedOut_takesNoDeposits() public {
        // Stake of others is left, so that the part of all stake is no reason.
        _operator(5, OPERATOR_BOND);
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        vm.prank(ALICE);
        st.withdraw(50e18, ALICE, ALICE);
        for (uint32 id = 1; id <= 4; ++id) {
            _slash(id, _epoch(), 1e18);
        }
        st.sync(type(uint256).max);
        vm.warp(st.position().bunkerUntil);
        // The buffer was empty: nothing is left, and shares at no price could not be counted.
        assertEq(st.totalAssets(), 0);
        assertEq(st.maxDeposit(BOB), 0);
        assertEq(st.maxMint(BOB), 0);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_DepositTooLarge.selector, 1, 0));
        st.deposit(1, BOB);
    }

    function test_replenish_afterASlashOfThawingStake() public {
        _deposit(ALICE, 499e18);
        uint256 shares = _deposit(BOB, 500e18);
        _nextEpoch();
        _delegateAll();
        _request(BOB, shares);
        _seal();
        vm.expectRevert(IStakedToken.StakedToken_NothingLacking.selector);
        st.replenish();
        // Operators are drawn on one after the other; those drawn on thaw more than their part of the loss.
        for (uint32 id = 1; id <= 4; ++id) {
            if (st.ticketOf(id, _epoch()) > 100e18) _slash(id, _epoch(), 0.5e18);
        }
        uint256 lacking = st.liquidity().lacking;
        assertGt(lacking, 0);
        st.replenish();
        assertEq(st.liquidity().lacking, 0);
    }
}
