// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

import {EpochClock} from "../base/EpochClock.sol";
import {IAllocator} from "../interfaces/IAllocator.sol";
import {ISequencerRegistry} from "../interfaces/ISequencerRegistry.sol";
import {IStakedToken} from "../interfaces/IStakedToken.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";

/// @title Allocator
contract Allocator is IAllocator, EpochClock, AccessManaged {
    struct Entry {
        uint16 weight;
        uint32 listedEpoch;
        uint16 place; // in the list, from 1; 0: not listed
    }

    /// @dev One listed operator in a plan.
    struct Stand {
        uint32 id;
        uint256 active;
        uint256 target;
    }

    uint256 private constant _BPS = 10_000;

    /// @dev The vault counts the units of a pool in 104 bits.
    uint256 private constant _MAX_UNITS = type(uint104).max;

    /// @dev What the vault keeps free beside the owner's room, wei.
    uint256 private constant _POOL_DUST = 2;

    /// @inheritdoc IAllocator
    uint256 public constant MAX_OPERATORS = 64;

    /// @inheritdoc IAllocator
    uint32 public constant MAX_RAMP_EPOCHS = 64;

    /// @inheritdoc IAllocator
    uint16 public immutable CAP_BPS;

    /// @inheritdoc IAllocator
    uint32 public immutable RAMP_EPOCHS;

    ISequencerRegistry private immutable REGISTRY;
    IStakeVault private immutable VAULT;
    IStakedToken private immutable STAKED_TOKEN;

    uint32[] private _ids;
    mapping(uint32 id => Entry entry) private _entries;

    /// @param authority OpenZeppelin `AccessManager` that governs `setWeight`.
    /// @param registry The `ISequencerRegistry`.
    /// @param stakeVault The `IStakeVault`.
    /// @param stakedToken The `IStakedToken` it answers to.
    /// @param capBps Most of what can be staked that one operator may hold, 1 to 10,000.
    /// @param rampEpochs Epochs from listing to the full target, at most `MAX_RAMP_EPOCHS`.
    /// @param genesis Start of epoch 0, unix seconds.
    /// @param epochSeconds Length of an epoch, seconds.
    constructor(
        address authority,
        address registry,
        address stakeVault,
        address stakedToken,
        uint16 capBps,
        uint32 rampEpochs,
        uint64 genesis,
        uint64 epochSeconds
    ) EpochClock(genesis, epochSeconds) AccessManaged(authority) {
        if (registry == address(0) || stakeVault == address(0) || stakedToken == address(0)) {
            revert Allocator_ZeroAddress();
        }
        if (capBps == 0 || capBps > _BPS) revert Allocator_OutOfRange(capBps, _BPS);
        if (rampEpochs > MAX_RAMP_EPOCHS) revert Allocator_OutOfRange(rampEpochs, MAX_RAMP_EPOCHS);
        REGISTRY = ISequencerRegistry(registry);
        VAULT = IStakeVault(stakeVault);
        STAKED_TOKEN = IStakedToken(stakedToken);
        CAP_BPS = capBps;
        RAMP_EPOCHS = rampEpochs;
    }

    /// @inheritdoc IAllocator
    function setWeight(uint32 id, uint16 weight) external restricted {
        Entry storage entry = _entries[id];
        if (entry.place == 0) {
            if (!REGISTRY.acceptsStake(id)) revert Allocator_OperatorNotAccepting(id);
            if (_ids.length == MAX_OPERATORS) revert Allocator_TooManyOperators(MAX_OPERATORS);
            _ids.push(id);
            // At most MAX_OPERATORS.
            // forge-lint: disable-next-line(unsafe-typecast)
            (entry.place, entry.listedEpoch) = (uint16(_ids.length), currentEpoch());
        }
        entry.weight = weight;
        emit WeightChanged(id, weight);
    }

    /// @inheritdoc IAllocator
    function unlist(uint32 id) external {
        Entry memory entry = _entries[id];
        if (entry.place == 0) revert Allocator_NotListed(id);
        uint256 active = STAKED_TOKEN.activeOf(id);
        if (entry.weight != 0 || active != 0) revert Allocator_StillInUse(id, entry.weight, active);
        uint32 last = _ids[_ids.length - 1];
        _ids[entry.place - 1] = last;
        _entries[last].place = entry.place;
        _ids.pop();
        delete _entries[id];
        emit OperatorUnlisted(id);
    }

    /// @inheritdoc IAllocator
    function nextDelegation(uint256 available) external view returns (uint32 id, uint256 amount) {
        Stand[] memory stands = _stands();
        // What any pool takes from anybody; an owner's bond may leave more room, which is not asked here.
        uint256 limit = FixedPointMathLib.zeroFloorSub(VAULT.maxPool(), VAULT.ownerRoom() + _POOL_DUST);
        for (uint256 i = 0; i < stands.length; ++i) {
            Stand memory stand = stands[i];
            uint256 room = FixedPointMathLib.zeroFloorSub(stand.target, stand.active);
            if (room <= amount) continue;
            room = FixedPointMathLib.min(room, _poolTakes(stand.id, limit));
            if (room > amount) (id, amount) = (stand.id, room);
        }
        amount = FixedPointMathLib.min(amount, available);
        if (amount == 0) id = 0;
    }

    /// @inheritdoc IAllocator
    function planExit(uint256 amount) external view returns (uint32[] memory ids, uint256[] memory amounts) {
        Stand[] memory stands = _stands();
        ids = new uint32[](stands.length);
        amounts = new uint256[](stands.length);
        uint256 count;
        for (; count < stands.length && amount != 0; ++count) {
            // Most above its target first; those already drawn on have no stake left in the list.
            (Stand memory best, uint256 above) = _highest(stands);
            if (best.active == 0) break;
            uint256 taken = FixedPointMathLib.min(amount, FixedPointMathLib.min(best.active, above + best.target / 10));
            (ids[count], amounts[count]) = (best.id, taken);
            amount -= taken;
            best.active = 0;
        }
        if (amount != 0) amount = _takeRest(ids, amounts, count, amount);
        assembly ("memory-safe") {
            mstore(ids, count)
            mstore(amounts, count)
        }
    }

    /// @inheritdoc IAllocator
    function excessOf(uint32 id) external view returns (uint256) {
        uint256 active = STAKED_TOKEN.activeOf(id);
        uint256 target = targetOf(id);
        return active > target + target / 5 ? active - target : 0;
    }

    /// @inheritdoc IAllocator
    function targetOf(uint32 id) public view returns (uint256) {
        Stand[] memory stands = _stands();
        for (uint256 i = 0; i < stands.length; ++i) {
            if (stands[i].id == id) return stands[i].target;
        }
        return 0;
    }

    /// @inheritdoc IAllocator
    function weightOf(uint32 id) external view returns (uint16 weight, uint32 listedEpoch) {
        return (_entries[id].weight, _entries[id].listedEpoch);
    }

    /// @inheritdoc IAllocator
    function operators() external view returns (uint32[] memory ids) {
        return _ids;
    }

    /// @dev What the stake vault takes for a pool that may hold `limit`: nothing if it lost everything, or was emptied in
    /// an epoch in which its cohort was slashed; else so much that the units it mints still fit. One that lost nearly
    /// everything has so many units per token that this is little or nothing.
    function _poolTakes(uint32 id, uint256 limit) private view returns (uint256 room) {
        (uint256 tokens, uint256 units) = VAULT.pool(id);
        room = FixedPointMathLib.zeroFloorSub(limit, tokens);
        if (units == 0) {
            (uint256 thawing, uint256 shares) = VAULT.thawOf(id, currentEpoch());
            return thawing < shares ? 0 : room;
        }
        uint256 spare = FixedPointMathLib.zeroFloorSub(_MAX_UNITS, units);
        return FixedPointMathLib.min(room, FixedPointMathLib.fullMulDiv(spare, tokens, units));
    }

    /// @dev All listed operators with what they hold and should hold.
    function _stands() private view returns (Stand[] memory stands) {
        uint256 count = _ids.length;
        stands = new Stand[](count);
        uint256[] memory weights = new uint256[](count);
        uint256 sum;
        for (uint256 i = 0; i < count; ++i) {
            uint32 id = _ids[i];
            stands[i].id = id;
            stands[i].active = STAKED_TOKEN.activeOf(id);
            if (REGISTRY.acceptsStake(id)) weights[i] = _entries[id].weight;
            sum += weights[i];
        }
        uint256 whole = STAKED_TOKEN.stakeable();
        for (uint256 i = 0; i < count; ++i) {
            if (weights[i] == 0) continue;
            uint256 target = FixedPointMathLib.min(whole * weights[i] / sum, whole * CAP_BPS / _BPS);
            uint256 age = currentEpoch() - _entries[stands[i].id].listedEpoch;
            stands[i].target = age < RAMP_EPOCHS ? target * age / RAMP_EPOCHS : target;
        }
    }

    /// @dev The operator with stake that is most above its target; with none above, the one least below.
    function _highest(Stand[] memory stands) private pure returns (Stand memory best, uint256 above) {
        uint256 below = type(uint256).max;
        for (uint256 i = 0; i < stands.length; ++i) {
            Stand memory stand = stands[i];
            if (stand.active == 0) continue;
            uint256 surplus = FixedPointMathLib.zeroFloorSub(stand.active, stand.target);
            uint256 deficit = FixedPointMathLib.zeroFloorSub(stand.target, stand.active);
            if (surplus > above || (above == 0 && deficit < below)) {
                (best, above, below) = (stand, surplus, deficit);
            }
        }
    }

    /// @dev Second round of a plan: whatever the planned operators still have, in the same order.
    function _takeRest(uint32[] memory ids, uint256[] memory amounts, uint256 count, uint256 amount)
        private
        view
        returns (uint256)
    {
        for (uint256 i = 0; i < count && amount != 0; ++i) {
            uint256 more = FixedPointMathLib.min(amount, STAKED_TOKEN.activeOf(ids[i]) - amounts[i]);
            amounts[i] += more;
            amount -= more;
        }
        return amount;
    }
}
