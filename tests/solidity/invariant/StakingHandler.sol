// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ALL_LATER, IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {StakingBooks} from "./StakingBooks.sol";

/// @notice Drives registry, vault and set with random actions of owners, delegators, slasher, governance and keepers, and
/// keeps its own books beside them (`StakingBooks`). Rules about one action are asserted here, rules about the state in
/// `StakingInvariants`. An action never reverts by itself: expected refusals are caught and counted.
contract StakingHandler is StakingBooks {
    constructor() {
        _deploy(SEATS, 16);
        _toEpoch(5);
        for (uint256 i = 0; i < 4; ++i) {
            _registerNext(0);
            uint32 id = uint32(i + 1);
            _deposit(_owner(i), id, 1000e18 * (i + 1));
            vm.prank(_owner(i));
            set.setReady(id, true);
        }
        _toEpoch(6);
        for (uint32 id = 1; id <= 4; ++id) {
            set.takeSeat(id, uint8(id - 1));
        }
        _toSecondHalf(6);
        _freezeChecked(7);
    }

    // --- stakers

    function delegate(uint256 who, uint256 which, uint256 amount) external {
        uint32 id = _id(which);
        // Every other time the owner, whose stake is the bond.
        address account = who % 2 == 0 ? registry.ownerOf(id) : _account(who);
        // Now and then dust, now and then too much.
        amount = amount % 8 == 0 ? _bound(amount, 0, 20) : _bound(amount, 1, MAX_POOL / 3);
        bool allowed = registry.acceptsStake(id) && !guardian.isPaused() && amount != 0
            && _pools[id][0] + amount + _ownersRoom(id, account) <= vault.maxPool()
            && (_pools[id][0] != 0 || _pools[id][1] == 0);
        uint256[] memory values = _valuesOfOthers(id, account);
        _fund(account, amount);
        vm.prank(account);
        try vault.delegate(id, amount) returns (uint256 units) {
            _count("delegate", true);
            assertTrue(allowed, "stake accepted against the rules");
            assertGe(units, amount, "a unit is never worth more than a wei");
            deposited += amount;
            _moved(id, account, int256(amount), int256(units));
            _checkOthers(id, account, values);
        } catch (bytes memory reason) {
            _count("delegate", false);
            // Two refusals depend on slashes: too many units, and a pool of dust with a slashed cohort.
            bytes4 selector = bytes4(reason);
            assertTrue(
                !allowed || selector == IStakeVault.StakeVault_TooManyUnits.selector
                    || (selector == IStakeVault.StakeVault_PoolWipedOut.selector && _pools[id][0] < 1 gwei),
                "stake refused against the rules"
            );
            vm.prank(account);
            token.transfer(address(this), amount);
        }
    }

    /// @dev R3: succeeds whatever the state of the world is.
    function undelegate(uint256 who, uint256 which, uint256 units) external {
        uint32 id = _id(which);
        address account = _account(who);
        for (uint256 i = 1; vault.units(id, account) == 0 && i < OPERATORS + DELEGATORS; ++i) {
            account = _account(who % (OPERATORS + DELEGATORS) + i);
        }
        uint256 held = vault.units(id, account);
        if (held == 0) return;
        units = units % 4 == 0 ? held : _bound(units, 1, held);
        uint256[] memory values = _valuesOfOthers(id, account);
        (, uint256 value) = vault.positionOf(id, account);
        vm.prank(account);
        (uint256 amount, uint32 cohort, uint256 shares) = vault.undelegate(id, units);
        _count("undelegate", true);
        assertLe(amount, value, "more than the position was worth");
        if (units == held) assertEq(amount, value, "all units are worth all of the position");
        assertEq(shares == 0, amount == 0, "shares for value");
        if (shares != 0) _tickets.push(Ticket(id, cohort, account));
        _moved(id, account, -int256(amount), -int256(units));
        _checkOthers(id, account, values);
    }

    /// @dev F7, R3: refused before its time and after it was paid, otherwise always paid, whatever the state of the world.
    function claim(uint256 which) external {
        if (_tickets.length == 0) return;
        // Three times in four the oldest, which most likely is due.
        which = which % 4 == 0 ? which % _tickets.length : _oldestTicket();
        Ticket memory ticket = _tickets[which];
        uint256 shares = vault.thawSharesOf(ticket.id, ticket.cohort, ticket.who);
        (uint256 tokens, uint256 supply) = vault.thawOf(ticket.id, ticket.cohort);
        uint256 balance = token.balanceOf(ticket.who);
        uint256 opensAt = GENESIS + uint256(ticket.cohort + 2 + UNBONDING) * EPOCH;
        vm.prank(ticket.who);
        try vault.claim(ticket.id, ticket.cohort) returns (uint256 amount) {
            _count("claim", true);
            assertGe(block.timestamp, opensAt, "paid early");
            assertGt(shares, 0, "paid twice");
            assertEq(amount, tokens * shares / supply, "not the share");
            assertEq(token.balanceOf(ticket.who), balance + amount);
            withdrawn += amount;
            vm.expectRevert(
                abi.encodeWithSelector(
                    IStakeVault.StakeVault_NothingToClaim.selector, ticket.id, ticket.cohort, ticket.who
                )
            );
            vm.prank(ticket.who);
            vault.claim(ticket.id, ticket.cohort);
            _dropTicket(which);
        } catch (bytes memory reason) {
            _count("claim", false);
            // Two tickets for one cohort are paid at once: then the second finds nothing.
            bytes4 selector = bytes4(reason);
            assertTrue(
                selector == IStakeVault.StakeVault_ClaimTooEarly.selector
                    ? block.timestamp < opensAt
                    : selector == IStakeVault.StakeVault_NothingToClaim.selector && shares == 0,
                "trapped"
            );
            if (shares == 0) _dropTicket(which);
        }
    }

    function donate(uint256 amount) external {
        amount = _bound(amount, 1, 1e24);
        token.transfer(address(vault), amount);
        donated += amount;
        _count("donate", true);
    }

    // --- slasher

    /// @dev S2, F4: exactly the cohorts in reach and, unless it ends before a set, the pool, each by the fraction rounded up;
    /// prices only fall.
    function slash(uint256 which, uint256 age, uint256 end, uint256 fraction) external {
        uint32 id = _id(which);
        uint32 current = _epoch();
        uint32 sigma = current - uint32(_bound(age, 0, 12 > current ? current : 12));
        fraction = fraction % 16 == 0 ? WAD : _bound(fraction, 1, WAD / 3);
        uint32 before = end % 2 == 0 || sigma == current ? ALL_LATER : uint32(_bound(end, sigma + 1, current));
        uint256 expected = before == ALL_LATER ? _lossUp(_pools[id][0], fraction) : 0;
        uint256 poolLoss = expected;
        uint32 oldest = current > UNBONDING + 2 ? current - UNBONDING - 2 : 0;
        for (uint32 c = oldest; c <= current; ++c) {
            if (c + 1 < sigma || c + 1 >= before) continue;
            (uint256 tokens,) = vault.thawOf(id, c);
            expected += _lossUp(tokens, fraction);
        }
        uint256 seq = vault.slashSeq();
        vm.prank(slasher);
        uint256 taken = vault.slash(id, sigma, before, fraction);
        _count(before == ALL_LATER ? bytes32("slash") : bytes32("slash of those who left"), true);
        assertEq(vault.slashSeq() - seq, before == ALL_LATER || taken != 0 ? 1 : 0, "log");
        assertEq(taken, expected, "not what was at stake");
        slashed += taken;
        _pools[id][0] -= poolLoss;
        if (poolLoss != 0) _note(_weights[id], current + 2, _pools[id][0]);
    }

    function jail(uint256 which, bool forEver) external {
        uint32 id = _id(which);
        // Rarely, or nobody would be left.
        if (which % 3 != 0) return;
        forEver = forEver && which % 15 == 0;
        ISequencerRegistry.Status status = registry.statusOf(id);
        vm.prank(slasher);
        forEver ? registry.tombstone(id) : registry.jail(id);
        _count(forEver ? bytes32("tombstone") : bytes32("jail"), true);
        if (forEver || status == ISequencerRegistry.Status.Tombstoned) {
            assertEq(uint8(registry.statusOf(id)), uint8(ISequencerRegistry.Status.Tombstoned), "came back");
        }
    }

    // --- operators

    function register(uint256 keyChoice) external {
        if (registry.operatorCount() == OPERATORS) return;
        _registerNext(keyChoice);
    }

    /// @dev R1, R2: a used key is refused, whoever asks; a new one is in force exactly from c + 2.
    function rotate(uint256 which, uint256 keyChoice, bool bySigner) external {
        uint32 id = _id(which);
        uint256 key = _chooseKey(keyChoice);
        address owner = registry.ownerOf(id);
        bytes memory proof = _proof(key, owner, registry.nonces(owner));
        vm.prank(bySigner ? registry.signerOf(id) : owner);
        try registry.rotateSigner(id, vm.addr(key), proof) {
            _count("rotate", true);
            _bookKey(key, id);
            assertFalse(_ended(id), "an ended operator rotated");
        } catch {
            _count("rotate", false);
            assertTrue(_idOfKey[key] != 0 || _ended(id), "rotation refused");
        }
    }

    function setCommission(uint256 which, uint256 bps) external {
        uint32 id = _id(which);
        uint16 target = uint16(_bound(bps, 0, MAX_COMMISSION + 200));
        Change[] storage history = _commissions[id];
        Change memory last = history[history.length - 1];
        uint32 current = _epoch();
        bool allowed = target <= MAX_COMMISSION && last.epoch <= current
            && (target > last.value ? target - last.value : last.value - target) <= 500;
        vm.prank(registry.ownerOf(id));
        try registry.setCommission(id, target) {
            _count("setCommission", true);
            assertTrue(allowed, "commission against the rules");
            _note(history, current + 7, target);
        } catch {
            _count("setCommission", false);
            assertFalse(allowed, "commission refused");
        }
    }

    function unjail(uint256 which) external {
        uint32 id = _id(which);
        // Every other time somebody who is jailed, if there is one.
        for (uint32 i = 1; which % 2 == 0 && i <= registry.operatorCount(); ++i) {
            if (registry.statusOf(i) == ISequencerRegistry.Status.Jailed) id = i;
        }
        ISequencerRegistry.Status status = registry.statusOf(id);
        vm.prank(registry.ownerOf(id));
        try registry.unjail(id) {
            _count("unjail", true);
            assertEq(uint8(status), uint8(ISequencerRegistry.Status.Jailed), "not jailed");
        } catch {
            _count("unjail", false);
        }
    }

    function retire(uint256 which) external {
        // Two of the operators stay, or the campaign would end with all retired.
        uint32 id = _id(which);
        if (id <= 2 || which % 10 != 0) return;
        vm.prank(registry.ownerOf(id));
        try registry.retire(id) {
            _count("retire", true);
        } catch {
            _count("retire", false);
        }
    }

    /// @dev The self bond follows the ownership.
    function handOver(uint256 which, uint256 to) external {
        uint32 id = _id(which);
        if (which % 4 != 0) return;
        address next = _account(to);
        vm.prank(registry.ownerOf(id));
        registry.transferOwnership(id, next);
        vm.prank(next);
        registry.acceptOwnership(id);
        _count("handOver", true);
        assertEq(registry.ownerOf(id), next);
    }

    // --- seats

    function setReady(uint256 which, bool ready) external {
        uint32 id = _id(which);
        ready = ready || which % 4 != 0;
        vm.prank(registry.ownerOf(id));
        try set.setReady(id, ready) {
            _count("setReady", true);
        } catch {
            _count("setReady", false);
        }
    }

    /// @dev E3: ready, eligible, more than 5 % heavier than an eligible occupant, inside the budget.
    function takeSeat(uint256 which, uint8 seat) external {
        uint32 id = _id(which);
        seat = uint8(_bound(seat, 0, SEATS - 1));
        uint32 epoch = _epoch();
        uint32 occupant = set.seats(seat);
        bool occupied = occupant != 0 && _eligible(occupant, epoch + 1);
        uint256 occupantWeight = _weightAt(occupant, epoch + 1) / 1e9;
        bool outsider = _displacedEpoch[id] != epoch;
        bool displacesMember = occupied && _isMember(occupant);
        (bool due,) = set.seatDue(id);
        try set.takeSeat(id, seat) {
            _count("takeSeat", true);
            assertTrue(due, "nothing was due");
            assertTrue(set.isReady(id), "seated without being ready");
            assertTrue(_eligible(id, epoch + 1), "seated without being eligible");
            if (_leftEpoch[id] != 0) assertGe(epoch, _leftEpoch[id] + 2, "came back too early");
            if (occupied) {
                assertLt(occupantWeight * 100, _weightAt(id, epoch + 1) / 1e9 * 95, "occupant too heavy");
                _count("displace", true);
            }
            if (displacesMember) {
                _displacedEpoch[occupant] = epoch;
                if (outsider) ++newcomers[epoch];
            }
            _displacedEpoch[id] = 0;
        } catch {
            _count("takeSeat", false);
        }
    }

    /// @dev What a keeper does: the seat the contract names.
    function takeDueSeat(uint256 which) external {
        uint32 id = _id(which);
        (bool due, uint8 seat) = set.seatDue(id);
        if (due) this.takeSeat(which, seat);
    }

    /// @dev R3: who sits may always leave.
    function leaveSeat(uint256 which) external {
        uint32 id = _id(which);
        (bool seated,) = set.seatOf(id);
        if (!seated || which % 4 != 0) return;
        vm.prank(registry.signerOf(id));
        set.leaveSeat(id);
        _count("leaveSeat", true);
        _leftEpoch[id] = _epoch();
        (seated,) = set.seatOf(id);
        assertFalse(seated);
    }

    /// @dev E1, E4: freezes only the next epoch, in its time, exactly the eligible occupants by the books kept here.
    function freeze(uint8 ahead) external {
        uint32 epoch = _epoch() + uint32(_bound(ahead, 0, 2));
        (bool due, uint32 next) = set.freezeDue();
        if (due && epoch == next) return _freezeChecked(epoch);
        try set.freeze(epoch) {
            fail();
        } catch {
            _count("freeze", false);
        }
    }

    // --- time, governance

    function warp(uint256 time) external {
        vm.warp(block.timestamp + _bound(time, 1, EPOCH));
        vm.prevrandao(uint256(keccak256(abi.encode(time))));
        _count("warp", true);
    }

    function keeperEpoch() external {
        vm.warp(GENESIS + (uint256(_epoch()) + 1) * EPOCH + EPOCH / 2);
        (bool due, uint32 next) = set.freezeDue();
        if (due) _freezeChecked(next);
    }

    function pause(bool paused) external {
        guardian.set(paused && block.timestamp % 4 == 0);
        _count("pause", true);
    }

    function govern(uint256 maxPool, uint256 minSelfBond) external {
        vault.setMaxPool(_bound(maxPool, MAX_POOL / 4, MAX_POOL));
        set.setMinSelfBond(_bound(minSelfBond, 0, 2 * MIN_SELF_BOND));
        _count("govern", true);
    }
}
