// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAllocator} from "contracts/interfaces/IAllocator.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {ALL_LATER} from "contracts/interfaces/IStakeVault.sol";

import {LiquidBooks} from "./LiquidBooks.sol";

/// @notice Drives liquid staking with random actions of holders, strangers, keepers, slasher and governance. What one action
/// must and must not do is asserted here, what holds at all times in `LiquidInvariants`. An action never reverts by itself:
/// expected refusals are caught, and any other reason fails the campaign.
contract LiquidHandler is LiquidBooks {
    constructor() {
        _deployLiquid();
        for (uint256 i = 0; i < HOLDERS; ++i) {
            vm.prank(_holder(i));
            token.approve(address(st), type(uint256).max);
        }
        deposited += _depositAs(_holder(0), 2000e18);
        _toEpoch(21);
        _delegateAll();
        roundings += 4;
    }

    // --- holders

    function deposit(uint256 who, uint256 amount) external {
        address holder = _holder(who);
        uint256 most = st.maxDeposit(holder);
        amount = amount % 5 == 0 ? _bound(amount, 0, 50) : _bound(amount, 0, 3000e18);
        if (amount > most) amount = amount % 3 == 0 ? most : amount;
        token.transfer(holder, amount);
        uint256 expected = st.previewDeposit(amount);
        (uint256 total, uint256 supply) = _rate();
        vm.prank(holder);
        try st.deposit(amount, holder) returns (uint256 shares) {
            _count("deposit", true);
            assertLe(amount, most, "Q11: more than the maximum");
            assertEq(shares, expected, "Q10: deposit");
            assertTrue(amount != 0 || shares == 0, "Q8");
            deposited += amount;
            _continuous(total, supply, 1, "deposit");
        } catch (bytes memory reason) {
            _count("deposit", false);
            assertTrue(
                amount > most || bytes4(reason) == IStakedToken.StakedToken_ZeroShares.selector || most == 0,
                "Q11: deposit within the maximum refused"
            );
            _takeBack(holder, amount);
        }
    }

    function mint(uint256 who, uint256 shares) external {
        address holder = _holder(who);
        uint256 most = st.maxMint(holder);
        shares = shares % 4 == 0 ? _min(most, _bound(shares, 0, 50)) : _min(most, _bound(shares, 0, 1000e18));
        uint256 expected = st.previewMint(shares);
        token.transfer(holder, expected);
        if (most == 0) return _takeBack(holder, expected);
        (uint256 total, uint256 supply) = _rate();
        vm.prank(holder);
        assertEq(st.mint(shares, holder), expected, "Q10, Q11: mint");
        assertTrue(shares == 0 || expected != 0, "Q8");
        deposited += expected;
        _count("mint", true);
        _continuous(total, supply, 1, "mint");
    }

    function transfer(uint256 from, uint256 to, uint256 part) external {
        address holder = _holder(from);
        uint256 amount = _bound(part, 0, share.balanceOf(holder));
        uint256 total = st.totalAssets();
        vm.prank(holder);
        share.transfer(_holder(to), amount);
        assertEq(st.totalAssets(), total, "Q6: transfer");
        _count("transfer", true);
    }

    function withdraw(uint256 who, uint256 amount) external {
        address holder = _holder(who);
        uint256 most = st.maxWithdraw(holder);
        bool over = amount % 7 == 0;
        amount = over ? most + 1 + amount % 1e18 : amount % 3 == 0 ? most : _bound(amount, 0, most);
        uint256 expected = st.previewWithdraw(amount);
        (uint256 total, uint256 supply) = _rate();
        uint256 target = st.position().bufferTarget;
        vm.prank(holder);
        try st.withdraw(amount, holder, holder) returns (uint256 shares) {
            _count("withdraw", true);
            assertFalse(over, "Q11: more than the maximum paid");
            assertEq(shares, expected, "Q10: withdraw");
            _paid(holder, amount);
            _continuous(total, supply, 3, "withdraw");
            assertEq(st.position().bufferTarget, target, "Q20: the aim stands still");
        } catch {
            _count("withdraw", false);
            assertTrue(over || most == 0, "Q11: withdrawal within the maximum refused");
        }
    }

    function redeem(uint256 who, uint256 shares) external {
        address holder = _holder(who);
        uint256 most = st.maxRedeem(holder);
        if (most == 0) return;
        shares = shares % 3 == 0 ? most : _bound(shares, 0, most);
        uint256 expected = st.previewRedeem(shares);
        (uint256 total, uint256 supply) = _rate();
        vm.prank(holder);
        assertEq(st.redeem(shares, holder, holder), expected, "Q10, Q11: redeem");
        _paid(holder, expected);
        _count("redeem", true);
        _continuous(total, supply, 3, "redeem");
    }

    function request(uint256 who, uint256 to, uint256 shares) external {
        address holder = _holder(who);
        uint256 held = share.balanceOf(holder);
        if (held == 0) return;
        shares = shares % 4 == 0 ? held : _bound(shares, 1, held);
        uint256 total = st.totalAssets();
        vm.prank(holder);
        queue.requestRedeem(shares, _holder(to), holder);
        assertEq(st.totalAssets(), total, "Q6: request");
        _count("request", true);
    }

    function cancel(uint256 who, uint256 shares) external {
        address holder = _holder(who);
        uint256 open = queue.openBatch();
        uint256 held = queue.pendingRedeemRequest(open, holder);
        if (held == 0) return;
        vm.prank(holder);
        queue.cancelRedeem(open, _bound(shares, 1, held), holder, holder);
        _count("cancel", true);
    }

    function claim(uint256 who, uint256 amount, uint8 way) external {
        // Whoever comes next and has something to claim.
        address holder = _holder(who);
        for (uint256 i = 1; i < HOLDERS && queue.maxRedeem(holder) == 0; ++i) {
            holder = _holder(who % HOLDERS + i);
        }
        uint256 shares = queue.maxRedeem(holder);
        uint256 assets = queue.maxWithdraw(holder);
        if (shares == 0) return;
        uint256 before = token.balanceOf(holder);
        uint256 paid;
        vm.startPrank(holder);
        if (way % 3 == 0) {
            paid = queue.redeem(amount % 2 == 0 ? shares : _bound(amount, 1, shares), holder, holder);
        } else if (way % 3 == 1) {
            paid = amount % 2 == 0 ? assets : _bound(amount, 0, assets);
            queue.withdraw(paid, holder, holder);
        } else {
            paid = queue.claim(_claimable(holder), holder, holder);
        }
        vm.stopPrank();
        assertEq(token.balanceOf(holder) - before, paid, "Q15");
        // Each part of a claim rounds down by itself.
        assertLe(queue.maxWithdraw(holder) + paid, assets, "Q15: paid and still due");
        _takeBack(holder, paid);
        _count("claim", true);
    }

    // --- keepers

    function seal() external {
        if (block.timestamp < queue.sealableFrom()) return;
        uint256 open = queue.openBatch();
        uint256 shares = queue.batchOf(open).shares;
        if (shares == 0) return;
        uint256 expected = st.convertToAssets(shares);
        (uint256 total, uint256 supply) = _rate();
        (uint256 id, uint256 assets) = queue.seal();
        roundings += 4;
        assertEq(id, open, "Q14");
        assertEq(assets, expected, "Q12: the price of the moment");
        _noteTickets();
        // Undelegations may each round two wei away.
        _continuous(total, supply, 12, "seal");
        assertTrue(st.liquidity().lacking == 0 || st.position().active == 0, "Q19: covered at the seal");
        _count("seal", true);
    }

    function finalize() external {
        (uint256 head, uint256 tail) = st.exitRange();
        if (head == tail) return;
        (uint256 owed,, uint256 from) = st.exitOf(head);
        uint256 buffer = st.position().buffer;
        (uint256 total, uint256 supply) = _rate();
        try queue.finalize() returns (uint256 id, uint256 assets) {
            assertEq(id, head, "Q14");
            assertEq(assets, owed);
            assertGe(block.timestamp, from);
            finalAssets[id] = assets;
            finalised = id + 1;
            paidToQueue += assets;
            _continuous(total, supply, 0, "finalize");
            _count("finalize", true);
        } catch {
            assertTrue(block.timestamp < from || owed > buffer, "an exit that is due was not paid");
            _count("finalize", false);
        }
    }

    function harvest(uint256 which, uint256 amount) external {
        uint32 id = _id(which);
        amount = amount % 5 == 0 ? _bound(amount, 0, 100) : _bound(amount, 0, 30e18);
        token.transfer(address(rewards), amount);
        rewards.credit(id, amount, _epoch());
        (uint256 total, uint256 supply) = _rate();
        uint256 gain = st.harvest(_one(id), 8);
        gained += gain;
        _continuous(total, supply, 1, "harvest");
        _count("harvest", true);
    }

    /// @dev A gift, now and then booked; or rewards that nobody can claim past `harvest`.
    function donate(uint256 which, uint256 amount) external {
        (uint256 total, uint256 supply) = _rate();
        uint256 price = st.convertToAssets(1e18);
        amount = _bound(amount, 1, 10e18);
        if (which % 2 == 0) {
            token.transfer(address(st), amount);
        } else {
            token.transfer(address(rewards), amount);
            rewards.credit(_id(which), amount, _epoch());
            vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_OnlyAccount.selector, address(st)));
            rewards.claim(_id(which), address(st), 1);
        }
        assertEq(st.convertToAssets(1e18), price, "Q7");
        if (which % 6 == 0) {
            gained += st.skim();
            _continuous(total, supply, 1, "skim");
        }
        _count("donate", true);
    }

    function delegate() external {
        (uint256 total, uint256 supply) = _rate();
        IStakedToken.Position memory before = st.position();
        try st.delegate() returns (uint32, uint256 amount) {
            ++roundings;
            assertLe(before.owed + before.fees + amount, before.buffer, "Q19: delegated what exits need");
            _continuous(total, supply, 3, "delegate");
            _count("delegate", true);
        } catch {
            _count("delegate", false);
        }
    }

    function rebalance(uint256 which) external {
        (uint256 total, uint256 supply) = _rate();
        try st.rebalance(_id(which)) {
            ++roundings;
            _noteTickets();
            _continuous(total, supply, 3, "rebalance");
            _count("rebalance", true);
        } catch {
            _count("rebalance", false);
        }
    }

    function replenish() external {
        if (st.liquidity().lacking == 0) return;
        (uint256 total, uint256 supply) = _rate();
        uint256 active = st.position().active;
        try st.replenish() {
            roundings += 4;
            _noteTickets();
            _continuous(total, supply, 12, "replenish");
            assertTrue(st.liquidity().lacking == 0 || st.position().active == 0, "Q19: still short with stake at work");
            _count("replenish", true);
        } catch {
            assertEq(active, 0, "stake is there and was not taken out");
            _count("replenish", false);
        }
    }

    function collect(uint256 which) external {
        if (_tickets.length == 0) return;
        // Every other time the oldest, which is due first.
        uint256 index = which % 2 == 0 ? 0 : which % _tickets.length;
        Ticket memory ticket = _tickets[index];
        (uint256 total, uint256 supply) = _rate();
        try st.collect(ticket.id, ticket.cohort) {
            assertGe(block.timestamp, vault.claimableFrom(ticket.cohort));
            for (uint256 i = index; i + 1 < _tickets.length; ++i) {
                _tickets[i] = _tickets[i + 1];
            }
            _tickets.pop();
            _continuous(total, supply, 0, "collect");
            _count("collect", true);
        } catch {
            assertLt(block.timestamp, vault.claimableFrom(ticket.cohort), "a ticket that is due was not paid");
            _count("collect", false);
        }
    }

    function collectFees() external {
        if (st.position().fees == 0) return;
        (uint256 total, uint256 supply) = _rate();
        try st.collectFees() returns (uint256 amount) {
            feesPaid += amount;
            _continuous(total, supply, 0, "fees");
            _count("collectFees", true);
        } catch {
            _count("collectFees", false);
        }
    }

    function sync(uint256 most) external {
        bytes32 view_ = keccak256(abi.encode(st.totalAssets(), st.position().owed, st.position().buffer));
        st.sync(most % 4);
        assertEq(
            keccak256(abi.encode(st.totalAssets(), st.position().owed, st.position().buffer)), view_, "Q18, Q10: sync"
        );
        _count("sync", true);
    }

    // --- the world

    /// @dev The heart of it: who bears a slash (Q16), what cover and drip pay first, and that views know it at once (Q18).
    function slash(uint256 which, uint256 age, uint256 fraction) external {
        // Mostly a fault of these days; now and then one as old as evidence can be, for which every exit answers.
        uint32 sigma = _epoch() - uint32(age % 7 == 0 ? age % 16 : age % 3);
        fraction = fraction % 25 == 0
            ? WAD
            : fraction % 3 == 0 ? _bound(fraction, 1, 0.2e18) : _bound(fraction, 1e14, 0.02e18);
        Slashed memory s;
        s.sigma = sigma;
        s.before = st.position();
        s.cushion = funded - covered;
        (s.owed, s.base) = _owed(sigma);
        s.base += _held(s.before) - s.before.owed - s.before.fees;

        // Sometimes only what left before a later set: no stake in a pool then.
        uint32 end = which % 5 == 0 && sigma < _epoch() ? sigma + 1 + uint32(age % (_epoch() - sigma)) : ALL_LATER;
        _slash(_id(which), sigma, end, fraction);
        ++roundings;

        s.later = st.position();
        s.loss = s.before.active + s.before.thawing - s.later.active - s.later.thawing;
        s.drawn = s.later.buffer - s.before.buffer;
        assertLe(s.drawn, s.cushion, "more cover than there is");
        _checkLiable(s);
        if (s.loss <= s.base) _checkCushions(s);
        lost += s.loss;
        covered += s.drawn;
        if (end != ALL_LATER) assertEq(s.later.active, s.before.active, "who stayed paid for who left");
        _count(end == ALL_LATER ? bytes32("slash") : bytes32("slash of those who left"), true);
    }

    struct Slashed {
        IStakedToken.Position before;
        IStakedToken.Position later;
        uint256[] owed;
        uint256 base;
        uint256 cushion;
        uint256 loss;
        uint256 drawn;
        uint32 sigma;
    }

    function _checkLiable(Slashed memory s) private view {
        uint256 borne = _min(s.loss, s.base);
        (uint256 head,) = st.exitRange();
        for (uint256 i = 0; i < s.owed.length; ++i) {
            (uint256 left, uint32 epoch,) = st.exitOf(head + i);
            uint256 part = s.owed[i] - left;
            if (uint256(epoch) + 1 >= s.sigma) {
                assertApproxEqAbs(part, s.base == 0 ? 0 : s.owed[i] * borne / s.base, 1, "Q16: another percentage");
            } else if (s.loss <= s.base + s.before.fees) {
                assertEq(part, 0, "Q16: an exit that was not liable");
            }
        }
    }

    function _checkCushions(Slashed memory s) private pure {
        uint256 exitsPart = s.before.owed - s.later.owed;
        uint256 stayersPart = s.loss > exitsPart ? s.loss - exitsPart : 0;
        assertEq(s.drawn, _min(s.cushion, stayersPart), "cover first");
        uint256 dripped = s.before.locked - s.later.locked;
        assertEq(dripped, _min(s.before.locked, stayersPart - s.drawn), "then the drip");
        assertEq(s.later.lossCarry - s.before.lossCarry, stayersPart - s.drawn - dripped, "then the rate");
    }

    /// @dev Others in the same pools move the price of a unit by dust.
    function outsiders(uint256 which, uint256 amount) external {
        uint32 id = _id(which);
        address who = _owner(id);
        uint256 total = st.totalAssets();
        if (amount % 2 == 0) {
            amount = _bound(amount, 1, 100e18);
            _fund(who, amount);
            vm.prank(who);
            try vault.delegate(id, amount) {} catch {}
        } else {
            uint256 units = vault.units(id, who);
            // The bond of an operator stays large enough for deposits to be possible.
            if (units < 100e18) return;
            _undelegate(who, id, _bound(amount, 1, units / 10));
        }
        assertEq(st.totalAssets(), total, "Q6: others");
        _count("outsiders", true);
    }

    function jail(uint256 which) external {
        uint32 id = _id(which);
        if (_status(id) == ISequencerRegistry.Status.Active) {
            _jail(id);
        } else {
            vm.prank(_owner(id));
            registry.unjail(id);
        }
        _count("jail", true);
    }

    function setWeight(uint256 which, uint16 weight) external {
        uint32 id = _id(which);
        try allocator.setWeight(id, weight % 300) {
            _count("setWeight", true);
        } catch (bytes memory reason) {
            // Only one that left the list has to be in good standing to come back.
            assertEq(bytes4(reason), IAllocator.Allocator_OperatorNotAccepting.selector);
            assertFalse(registry.acceptsStake(id));
            _count("setWeight", false);
        }
    }

    /// @dev An operator leaves the list for good, with stake on its way out.
    function unlist(uint256 which) external {
        uint32 id = _id(which);
        (uint16 weight,) = allocator.weightOf(id);
        bool inUse = weight != 0 || st.stakesOf(_one(id), true)[0] != 0;
        uint256 total = st.totalAssets();
        try allocator.unlist(id) {
            assertFalse(inUse, "unlisted with stake");
            _count("unlist", true);
        } catch {
            _count("unlist", false);
        }
        assertEq(st.totalAssets(), total, "Q6: unlist");
    }

    /// @dev Charges come and go. While they hold much of the stake, nobody gets in or out at once; all else goes on.
    function accuse(uint256 which, uint256 coin) external {
        uint32 id = _id(which);
        if (coin % 5 == 0) charges.accuse(id);
        else if (charges.openCharges(id) != 0) charges.close(id);
        uint256 total = st.totalAssets();
        bool held = watch.heldUntil(block.timestamp) != 0;
        assertEq(held, watch.accusedStake() != 0 && watch.accusedStake() * 10_000 >= total * WATCH_BPS);
        if (held) {
            assertEq(st.maxDeposit(_holder(which)) + st.maxRedeem(_holder(which)), 0, "open during an accusation");
        }
        (uint256 head, uint256 tail) = st.exitRange();
        if (head != tail) {
            (,, uint256 from) = st.exitOf(head);
            uint256 latest = block.timestamp + watch.HOLD_SECONDS();
            assertLe(from, _max(latest, st.position().bunkerUntil), "held without end");
        }
        _count("accuse", true);
    }

    function fundCover(uint256 amount) external {
        amount = _bound(amount, 1, 20e18);
        // Cover that comes between a slash and the next action pays for that slash, too.
        uint256 buffer = st.position().buffer;
        _fundCover(amount);
        funded += amount;
        covered += st.position().buffer - buffer;
        _count("fundCover", true);
    }

    function pause(uint256 coin) external {
        guardian.set(coin % 4 == 0);
        _count("pause", true);
    }

    function warp(uint256 by) external {
        uint256 total = st.totalAssets();
        skip(_bound(by, 1, by % 6 == 0 ? 12 * EPOCH : EPOCH));
        assertGe(st.totalAssets(), total, "Q5: time lowers nothing");
        _count("warp", true);
    }
}
