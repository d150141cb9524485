// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {StakingFixture} from "../harness/StakingFixture.sol";

/// @notice The books that `StakingHandler` keeps beside the contracts: what it did, by whom, from which epoch on, in plain
/// lists, and the rules of the protocol in its words.
abstract contract StakingBooks is StakingFixture {
    uint256 public constant OPERATORS = 8;
    uint256 public constant DELEGATORS = 4;
    uint8 public constant SEATS = 6;
    uint256 internal constant WAD = 1e18;

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
    mapping(uint32 id => uint256[2] content) internal _pools;
    mapping(uint32 id => Change[] history) internal _weights;
    mapping(uint32 id => Change[] history) internal _signers;
    mapping(uint32 id => Change[] history) internal _commissions;
    mapping(uint32 id => mapping(address who => Change[] history)) internal _positions;
    mapping(uint32 epoch => bytes32 hash) public frozenHash;
    mapping(uint32 epoch => uint256 count) public newcomers;
    mapping(bytes32 action => uint256[2] counts) internal _calls;

    uint256[] internal _keys;
    mapping(uint256 key => uint32 id) internal _idOfKey;
    uint32[] internal _frozen;
    uint32[] internal _lastMembers;
    Ticket[] internal _tickets;
    bytes32[] internal _actions;
    mapping(uint32 id => uint32 epoch) internal _displacedEpoch;
    mapping(uint32 id => uint32 epoch) internal _leftEpoch;

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

    function _registerNext(uint256 keyChoice) internal {
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

    function _freezeChecked(uint32 epoch) internal {
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

    function _deposit(address who, uint32 id, uint256 amount) internal {
        _delegate(who, id, amount);
        deposited += amount;
        _moved(id, who, int256(amount), int256(amount));
    }

    /// @dev Books a delegation or undelegation and checks F4: the price moves by less than one wei of the pool, upwards.
    function _moved(uint32 id, address who, int256 amount, int256 units) internal {
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

    function _bookKey(uint256 secret, uint32 id) internal {
        assertEq(_idOfKey[secret], 0, "a key was bound twice");
        _idOfKey[secret] = id;
        _keys.push(secret);
        _note(_signers[id], _epoch() + 2, secret);
    }

    /// @dev A new key, or (one time in four) one that was used before by whomever.
    function _chooseKey(uint256 choice) internal view returns (uint256) {
        if (choice % 4 == 1 && _keys.length != 0) return _keys[choice % _keys.length];
        return uint256(keccak256(abi.encode("invariant key", _keys.length))) >> 1;
    }

    function _note(Change[] storage history, uint32 epoch, uint256 value) internal {
        if (history.length != 0 && history[history.length - 1].epoch == epoch) {
            history[history.length - 1].value = value;
        } else {
            history.push(Change(epoch, value));
        }
    }

    function _valueAt(Change[] storage history, uint32 epoch) internal view returns (uint256) {
        for (uint256 i = history.length; i != 0; --i) {
            if (history[i - 1].epoch <= epoch) return history[i - 1].value;
        }
        return 0;
    }

    function _weightAt(uint32 id, uint32 epoch) internal view returns (uint256) {
        return _valueAt(_weights[id], epoch);
    }

    /// @dev The rule in the words of the protocol: active, signer, one gwei of weight, the owner's bond.
    function _eligible(uint32 id, uint32 epoch) internal view returns (bool) {
        if (!registry.isEligible(id) || _signers[id][0].epoch > epoch) return false;
        return _weightAt(id, epoch) >= 1e9 && vault.selfBondAt(id, epoch) >= set.minSelfBond();
    }

    function _ended(uint32 id) internal view returns (bool) {
        ISequencerRegistry.Status status = registry.statusOf(id);
        return status == ISequencerRegistry.Status.Retired || status == ISequencerRegistry.Status.Tombstoned;
    }

    function _isMember(uint32 id) internal view returns (bool) {
        for (uint256 i = 0; i < _lastMembers.length; ++i) {
            if (_lastMembers[i] == id) return true;
        }
        return false;
    }

    function _valuesOfOthers(uint32 id, address who) internal view returns (uint256[] memory values) {
        values = new uint256[](OPERATORS + DELEGATORS);
        for (uint256 i = 0; i < values.length; ++i) {
            if (_account(i) != who) (, values[i]) = vault.positionOf(id, _account(i));
        }
    }

    /// @dev F5: nobody else's stake changed, except that rounding against the actor may add one wei.
    function _checkOthers(uint32 id, address who, uint256[] memory values) internal view {
        for (uint256 i = 0; i < values.length; ++i) {
            if (_account(i) == who) continue;
            (, uint256 value) = vault.positionOf(id, _account(i));
            assertGe(value, values[i], "somebody paid for another's action");
            assertLe(value, values[i] + 1, "somebody gained from another's action");
        }
    }

    function _dropTicket(uint256 index) internal {
        _tickets[index] = _tickets[_tickets.length - 1];
        _tickets.pop();
    }

    function _oldestTicket() internal view returns (uint256 oldest) {
        for (uint256 i = 1; i < _tickets.length; ++i) {
            if (_tickets[i].cohort < _tickets[oldest].cohort) oldest = i;
        }
    }

    function _lossUp(uint256 tokens, uint256 fraction) internal pure returns (uint256) {
        if (tokens == 0 || fraction == WAD) return tokens;
        uint256 loss = (tokens * fraction + WAD - 1) / WAD;
        return loss < tokens ? loss : tokens - 1;
    }

    /// @dev What `account` has to leave free in a pool: the bond its owner still needs, and two wei.
    function _ownersRoom(uint32 id, address account) internal view returns (uint256) {
        address owner = registry.ownerOf(id);
        (, uint256 bond) = vault.positionOf(id, owner);
        uint256 room = set.minSelfBond();
        return account == owner || bond >= room ? 0 : room - bond + 2;
    }

    function _id(uint256 which) internal view returns (uint32) {
        return uint32(which % registry.operatorCount()) + 1;
    }

    function _account(uint256 index) internal pure returns (address) {
        index %= OPERATORS + DELEGATORS;
        return index < OPERATORS ? _owner(index) : address(uint160(0xDE1E0000 + index));
    }

    function _count(bytes32 action, bool succeeded) internal {
        if (_calls[action][0] + _calls[action][1] == 0) _actions.push(action);
        ++_calls[action][succeeded ? 1 : 0];
    }
}
