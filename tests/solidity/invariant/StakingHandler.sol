// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {StakingFixture} from "../harness/StakingFixture.sol";

/// @notice Drives registry, vault and set with random actions of owners, delegators, slasher, governance and keepers, and
/// keeps its own books beside them. Rules about one action are asserted here, rules about the state in
/// `StakingInvariants`. An action never reverts by itself: expected refusals are caught and counted.
contract StakingHandler is StakingFixture {
    uint256 public constant OPERATORS = 8;
    uint256 public constant DELEGATORS = 4;
    uint8 public constant SEATS = 6;
    uint256 private constant WAD = 1e18;

    /// @dev A value announced for an epoch.
    struct Change {
        uint32 epoch;
        uint256 value;
    }

    struct Ticket {
        uint32 id;
        uint32 cohort;
        address who;
    }

    uint256 public deposited;
    uint256 public withdrawn;
    uint256 public slashed;
    uint256 public donated;

    /// @dev Own books: latest content of pools, history of their tokens, of signers and of commissions.
    mapping(uint32 id => uint256[2] content) private _pools;
    mapping(uint32 id => Change[] history) private _weights;
    mapping(uint32 id => Change[] history) private _signers;
    mapping(uint32 id => Change[] history) private _commissions;
    mapping(uint32 id => mapping(address who => Change[] history)) private _positions;
    mapping(uint32 epoch => bytes32 hash) public frozenHash;
    mapping(uint32 epoch => uint256 count) public newcomers;
    mapping(bytes32 action => uint256[2] counts) private _calls;

    uint256[] private _keys;
    mapping(uint256 key => uint32 id) private _idOfKey;
    uint32[] private _frozen;
    uint32[] private _lastMembers;
    Ticket[] private _tickets;
    bytes32[] private _actions;
    mapping(uint32 id => uint32 epoch) private _displacedEpoch;
    mapping(uint32 id => uint32 epoch) private _leftEpoch;

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
            // Two refusals depend on slashes: too many units, and an empty pool with a slashed cohort.
            bytes4 selector = bytes4(reason);
            assertTrue(
                !allowed || selector == IStakeVault.StakeVault_TooManyUnits.selector
                    || (selector == IStakeVault.StakeVault_PoolWipedOut.selector && _pools[id][1] == 0),
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

    /// @dev S2, F4: exactly the pool and the cohorts in reach, each by the fraction rounded up; prices only fall.
    function slash(uint256 which, uint256 age, uint256 fraction) external {
        uint32 id = _id(which);
        uint32 current = _epoch();
        uint32 sigma = current - uint32(_bound(age, 0, 12 > current ? current : 12));
        fraction = fraction % 16 == 0 ? WAD : _bound(fraction, 1, WAD / 3);
        uint256 expected = _lossUp(_pools[id][0], fraction);
        uint256 poolLoss = expected;
        uint32 oldest = current > UNBONDING + 2 ? current - UNBONDING - 2 : 0;
        for (uint32 c = oldest; c <= current; ++c) {
            if (c + 1 < sigma) continue;
            (uint256 tokens,) = vault.thawOf(id, c);
            expected += _lossUp(tokens, fraction);
        }
        vm.prank(slasher);
        uint256 taken = vault.slash(id, sigma, fraction);
        _count("slash", true);
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

    // --- books, for StakingInvariants

    function poolOf(uint32 id) external view returns (uint256 tokens, uint256 units) {
        return (_pools[id][0], _pools[id][1]);
    }

    function signerAt(uint32 id, uint32 epoch) external view returns (address) {
        return vm.addr(_valueAt(_signers[id], epoch));
    }

    function hasSignerAt(uint32 id, uint32 epoch) external view returns (bool) {
        return _signers[id][0].epoch <= epoch;
    }

    function commissionAt(uint32 id, uint32 epoch) external view returns (uint256) {
        return _valueAt(_commissions[id], epoch);
    }

    function weightAt(uint32 id, uint32 epoch) external view returns (uint256) {
        return _weightAt(id, epoch);
    }

    function unitsAt(uint32 id, address who, uint32 epoch) external view returns (uint256) {
        Change[] storage history = _positions[id][who];
        return history.length == 0 ? 0 : _valueAt(history, epoch);
    }

    function keyAt(uint256 index) external view returns (address signer, uint32 id) {
        uint256 secret = _keys[index % _keys.length];
        return (vm.addr(secret), _idOfKey[secret]);
    }

    function accountAt(uint256 index) external pure returns (address) {
        return _account(index);
    }

    function accounts() external pure returns (uint256) {
        return OPERATORS + DELEGATORS;
    }

    function frozen() external view returns (uint32[] memory) {
        return _frozen;
    }

    function contracts()
        external
        view
        returns (ISequencerRegistry, IStakeVault, ISequencerSet, address asset, uint32 epoch)
    {
        return (registry, vault, set, address(token), _epoch());
    }

    function actions() external view returns (bytes32[] memory) {
        return _actions;
    }

    function calls(bytes32 action) external view returns (uint256 succeeded, uint256 refused) {
        return (_calls[action][1], _calls[action][0]);
    }

    // --- internals

    function _registerNext(uint256 keyChoice) private {
        address owner = _owner(registry.operatorCount());
        uint256 secret = _chooseKey(keyChoice);
        bytes memory proof = _proof(secret, owner, registry.nonces(owner));
        vm.prank(owner);
        try registry.register(vm.addr(secret), owner, 1000, URI, proof) returns (uint32 id) {
            _count("register", true);
            _bookKey(secret, id);
            _note(_commissions[id], 0, 1000);
        } catch {
            _count("register", false);
            assertTrue(_idOfKey[secret] != 0 || guardian.isPaused(), "registration refused");
        }
    }

    function _freezeChecked(uint32 epoch) private {
        bytes memory expected;
        uint256 total = 0;
        delete _lastMembers;
        for (uint8 i = 0; i < SEATS; ++i) {
            uint32 id = set.seats(i);
            if (id == 0 || !_eligible(id, epoch)) continue;
            uint64 weight = uint64(_weightAt(id, epoch) / 1e9);
            expected = abi.encodePacked(expected, vm.addr(_valueAt(_signers[id], epoch)), id, weight);
            total += weight;
            _lastMembers.push(id);
        }
        set.freeze(epoch);
        _count("freeze", true);
        frozenHash[epoch] = keccak256(expected);
        _frozen.push(epoch);
        assertEq(set.totalWeight(epoch), total);
        assertEq(set.memberCount(epoch), _lastMembers.length);
        assertGt(_lastMembers.length, 0, "empty set");
        assertLt(3 * total, 1 << 64);
        for (uint8 i = 0; i < SEATS; ++i) {
            uint32 id = set.seats(i);
            assertTrue(id == 0 || _isMember(id), "a seat outlived its member");
        }
    }

    function _deposit(address who, uint32 id, uint256 amount) private {
        _delegate(who, id, amount);
        deposited += amount;
        _moved(id, who, int256(amount), int256(amount));
    }

    /// @dev Books a delegation or undelegation and checks F4: the price moves by less than one wei of the pool, upwards.
    function _moved(uint32 id, address who, int256 amount, int256 units) private {
        uint256[2] memory old = _pools[id];
        uint256 tokens = uint256(int256(old[0]) + amount);
        uint256 supply = uint256(int256(old[1]) + units);
        _pools[id] = [tokens, supply];
        if (supply != 0 && old[1] != 0) {
            assertGe(tokens * old[1], old[0] * supply, "the price fell without a slash");
            assertLt(tokens * old[1] - old[0] * supply, old[1], "the price rose by more than dust");
        }
        uint32 effective = _epoch() + 2;
        _note(_weights[id], effective, tokens);
        _note(_positions[id][who], effective, vault.units(id, who));
    }

    function _bookKey(uint256 secret, uint32 id) private {
        assertEq(_idOfKey[secret], 0, "a key was bound twice");
        _idOfKey[secret] = id;
        _keys.push(secret);
        _note(_signers[id], _epoch() + 2, secret);
    }

    /// @dev A new key, or (one time in four) one that was used before by whomever.
    function _chooseKey(uint256 choice) private view returns (uint256) {
        if (choice % 4 == 1 && _keys.length != 0) return _keys[choice % _keys.length];
        return uint256(keccak256(abi.encode("invariant key", _keys.length))) >> 1;
    }

    function _note(Change[] storage history, uint32 epoch, uint256 value) private {
        if (history.length != 0 && history[history.length - 1].epoch == epoch) {
            history[history.length - 1].value = value;
        } else {
            history.push(Change(epoch, value));
        }
    }

    function _valueAt(Change[] storage history, uint32 epoch) private view returns (uint256) {
        for (uint256 i = history.length; i != 0; --i) {
            if (history[i - 1].epoch <= epoch) return history[i - 1].value;
        }
        return 0;
    }

    function _weightAt(uint32 id, uint32 epoch) private view returns (uint256) {
        return _valueAt(_weights[id], epoch);
    }

    /// @dev The rule in the words of the protocol: active, signer, one gwei of weight, the owner's bond.
    function _eligible(uint32 id, uint32 epoch) private view returns (bool) {
        if (!registry.isEligible(id) || _signers[id][0].epoch > epoch) return false;
        return _weightAt(id, epoch) >= 1e9 && vault.selfBondAt(id, epoch) >= set.minSelfBond();
    }

    function _ended(uint32 id) private view returns (bool) {
        ISequencerRegistry.Status status = registry.statusOf(id);
        return status == ISequencerRegistry.Status.Retired || status == ISequencerRegistry.Status.Tombstoned;
    }

    function _isMember(uint32 id) private view returns (bool) {
        for (uint256 i = 0; i < _lastMembers.length; ++i) {
            if (_lastMembers[i] == id) return true;
        }
        return false;
    }

    function _valuesOfOthers(uint32 id, address who) private view returns (uint256[] memory values) {
        values = new uint256[](OPERATORS + DELEGATORS);
        for (uint256 i = 0; i < values.length; ++i) {
            if (_account(i) != who) (, values[i]) = vault.positionOf(id, _account(i));
        }
    }

    /// @dev F5: nobody else's stake changed, except that rounding against the actor may add one wei.
    function _checkOthers(uint32 id, address who, uint256[] memory values) private view {
        for (uint256 i = 0; i < values.length; ++i) {
            if (_account(i) == who) continue;
            (, uint256 value) = vault.positionOf(id, _account(i));
            assertGe(value, values[i], "somebody paid for another's action");
            assertLe(value, values[i] + 1, "somebody gained from another's action");
        }
    }

    function _dropTicket(uint256 index) private {
        _tickets[index] = _tickets[_tickets.length - 1];
        _tickets.pop();
    }

    function _oldestTicket() private view returns (uint256 oldest) {
        for (uint256 i = 1; i < _tickets.length; ++i) {
            if (_tickets[i].cohort < _tickets[oldest].cohort) oldest = i;
        }
    }

    function _lossUp(uint256 tokens, uint256 fraction) private pure returns (uint256) {
        if (tokens == 0 || fraction == WAD) return tokens;
        uint256 loss = (tokens * fraction + WAD - 1) / WAD;
        return loss < tokens ? loss : tokens - 1;
    }

    /// @dev What `account` has to leave free in a pool: the bond its owner still needs, and two wei.
    function _ownersRoom(uint32 id, address account) private view returns (uint256) {
        address owner = registry.ownerOf(id);
        (, uint256 bond) = vault.positionOf(id, owner);
        uint256 room = set.minSelfBond();
        return account == owner || bond >= room ? 0 : room - bond + 2;
    }

    function _id(uint256 which) private view returns (uint32) {
        return uint32(which % registry.operatorCount()) + 1;
    }

    function _account(uint256 index) private pure returns (address) {
        index %= OPERATORS + DELEGATORS;
        return index < OPERATORS ? _owner(index) : address(uint160(0xDE1E0000 + index));
    }

    function _count(bytes32 action, bool succeeded) private {
        if (_calls[action][0] + _calls[action][1] == 0) _actions.push(action);
        ++_calls[action][succeeded ? 1 : 0];
    }
}
