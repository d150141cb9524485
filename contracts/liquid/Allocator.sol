// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

import {EpochClock} from "../base/EpochClock.sol";
import {IAllocator} from "../interfaces/IAllocator.sol";
import {IFaultWatch} from "../interfaces/IFaultWatch.sol";
import {ISequencerRegistry} from "../interfaces/ISequencerRegistry.sol";
import {ISlasher} from "../interfaces/ISlasher.sol";
import {IStakedToken} from "../interfaces/IStakedToken.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";

/// @title Allocator
contract Allocator is IAllocator, EpochClock, AccessManaged {
    struct Entry {
        uint16 weight;
        uint32 listedEpoch;
        uint16 place; // in the list, from 1; 0: not listed
    }

    uint256 private constant _BPS = 10_000;

    /// @dev The vault counts the units of a pool in 104 bits.
    uint256 private constant _MAX_UNITS = type(uint104).max;

    /// @dev What the vault keeps free beside the owner's room, wei.
    uint256 private constant _POOL_DUST = 2;

    /// @dev From so many token wei on the vault trusts the price of a pool, whatever its cohort lost.
    uint256 private constant _LEAST_PRICED = 1 gwei;

    /// @inheritdoc IAllocator
    uint256 public constant MAX_OPERATORS = 64;

    /// @inheritdoc IAllocator
    uint32 public constant MAX_RAMP_EPOCHS = 64;

    /// @inheritdoc IAllocator
    uint16 public immutable CAP_BPS;

    /// @inheritdoc IAllocator
    uint32 public immutable RAMP_EPOCHS;

    ISequencerRegistry private immutable REGISTRY;
    ISlasher private immutable SLASHER;
    IStakeVault private immutable VAULT;
    uint256 private immutable UNBONDING_EPOCHS;
    IStakedToken private immutable STAKED_TOKEN;
    IFaultWatch private immutable FAULT_WATCH;

    uint32[] private _ids;
    mapping(uint32 id => Entry entry) private _entries;

    /// @param authority OpenZeppelin `AccessManager` that governs `setWeight`.
    /// @param registry The `ISequencerRegistry`.
    /// @param slasher The `ISlasher`; may be deployed later.
    /// @param stakeVault The `IStakeVault`; deployed before.
    /// @param stakedToken The `IStakedToken` it answers to.
    /// @param faultWatch The `IFaultWatch` of the token.
    /// @param capBps Most of what can be staked that one operator may hold, 1 to 10,000.
    /// @param rampEpochs Epochs from listing to the full target, at most `MAX_RAMP_EPOCHS`.
    /// @param genesis Start of epoch 0, unix seconds.
    /// @param epochSeconds Length of an epoch, seconds.
    constructor(
        address authority,
        address registry,
        address slasher,
        address stakeVault,
        address stakedToken,
        address faultWatch,
        uint16 capBps,
        uint32 rampEpochs,
        uint64 genesis,
        uint64 epochSeconds
    ) EpochClock(genesis, epochSeconds) AccessManaged(authority) {
        if (
            registry == address(0) || slasher == address(0) || stakeVault == address(0) || stakedToken == address(0)
                || faultWatch == address(0)
        ) revert Allocator_ZeroAddress();
        if (capBps == 0 || capBps > _BPS) revert Allocator_OutOfRange(capBps, _BPS);
        if (rampEpochs > MAX_RAMP_EPOCHS) revert Allocator_OutOfRange(rampEpochs, MAX_RAMP_EPOCHS);
        REGISTRY = ISequencerRegistry(registry);
        SLASHER = ISlasher(slasher);
        VAULT = IStakeVault(stakeVault);
        UNBONDING_EPOCHS = VAULT.UNBONDING_EPOCHS();
        STAKED_TOKEN = IStakedToken(stakedToken);
        FAULT_WATCH = IFaultWatch(faultWatch);
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
        uint32[] memory one = new uint32[](1);
        one[0] = id;
        // An operator that can still be slashed has to stay where its accusers are looked for.
        uint256 stake = STAKED_TOKEN.stakesOf(one, true)[0];
        if (entry.weight != 0 || stake != 0) revert Allocator_StillInUse(id, entry.weight, stake);
        uint32 last = _ids[_ids.length - 1];
        _ids[entry.place - 1] = last;
        _entries[last].place = entry.place;
        _ids.pop();
        delete _entries[id];
        emit OperatorUnlisted(id);
    }

    /// @inheritdoc IAllocator
    function nextDelegation(uint256 available) external view returns (uint32 id, uint256 amount) {
        (Stand[] memory listed, bool[] memory open) = _stands();
        // What any pool takes from anybody; an owner's bond may leave more room, which is not asked here.
        uint256 limit = FixedPointMathLib.zeroFloorSub(VAULT.maxPool(), VAULT.ownerRoom() + _POOL_DUST);
        for (uint256 i = 0; i < listed.length; ++i) {
            Stand memory stand = listed[i];
            uint256 room = FixedPointMathLib.zeroFloorSub(stand.target, stand.active);
            if (room <= amount || !open[i]) continue;
            room = FixedPointMathLib.min(room, _poolTakes(stand.id, limit));
            if (room > amount && !FAULT_WATCH.isAccused(stand.id)) (id, amount) = (stand.id, room);
        }
        amount = FixedPointMathLib.min(amount, available);
        if (amount == 0) id = 0;
    }

    /// @inheritdoc IAllocator
    function planExit(uint256 amount, uint256 most)
        external
        view
        returns (uint32[] memory ids, uint256[] memory amounts)
    {
        (Stand[] memory listed, bool[] memory open) = _stands();
        for (uint256 i = 0; i < listed.length; ++i) {
            // What earns nothing goes first.
            if (!open[i]) listed[i].target = 0;
        }
        most = FixedPointMathLib.min(most, listed.length);
        ids = new uint32[](most);
        amounts = new uint256[](most);
        uint256[] memory spare = new uint256[](most);
        uint256 asked = amount;
        uint256 count;
        for (; count < most && amount != 0; ++count) {
            // Most above its target first; those already drawn on have no stake left in the list.
            (Stand memory best, uint256 above) = _highest(listed);
            if (best.active == 0) break;
            uint256 taken = FixedPointMathLib.min(amount, FixedPointMathLib.min(best.active, above + best.target / 10));
            (ids[count], amounts[count], spare[count]) = (best.id, taken, best.active - taken);
            amount -= taken;
            best.active = 0;
        }
        // Second round: whatever they still have, in the same order; unless there are others to go on with.
        (Stand memory next,) = _highest(listed);
        bool all = next.active == 0 || amount == asked;
        for (uint256 i = 0; all && i < count && amount != 0; ++i) {
            uint256 more = FixedPointMathLib.min(amount, spare[i]);
            amounts[i] += more;
            amount -= more;
        }
        assembly ("memory-safe") {
            mstore(ids, count)
            mstore(amounts, count)
        }
    }

    /// @inheritdoc IAllocator
    function excessOf(uint32 id) external view returns (uint256) {
        Stand[] memory listed = stands();
        for (uint256 i = 0; i < listed.length; ++i) {
            if (listed[i].id == id) return listed[i].excess;
        }
        // Not listed: nothing should be there.
        return STAKED_TOKEN.activeOf(id);
    }

    /// @inheritdoc IAllocator
    function targetOf(uint32 id) external view returns (uint256) {
        Stand[] memory listed = stands();
        for (uint256 i = 0; i < listed.length; ++i) {
            if (listed[i].id == id) return listed[i].target;
        }
        return 0;
    }

    /// @inheritdoc IAllocator
    function stands() public view returns (Stand[] memory list) {
        (list,) = _stands();
    }

    /// @inheritdoc IAllocator
    function weightOf(uint32 id) external view returns (uint16 weight, uint32 listedEpoch) {
        return (_entries[id].weight, _entries[id].listedEpoch);
    }

    /// @inheritdoc IAllocator
    function operators() external view returns (uint32[] memory ids) {
        return _ids;
    }

    /// @dev All listed operators, and which of them take stake.
    function _stands() private view returns (Stand[] memory list, bool[] memory open) {
        uint32[] memory ids = _ids;
        uint256[] memory stakes = STAKED_TOKEN.stakesOf(ids, false);
        list = new Stand[](ids.length);
        open = new bool[](ids.length);
        bool[] memory counts = new bool[](ids.length);
        uint256 sum;
        for (uint256 i = 0; i < ids.length; ++i) {
            Stand memory stand = list[i];
            (stand.id, stand.weight, stand.active) = (ids[i], _entries[ids[i]].weight, stakes[i]);
            if (stand.weight == 0) continue;
            (open[i], counts[i]) = _standing(stand.id);
            if (counts[i]) sum += stand.weight;
        }
        uint256 whole = STAKED_TOKEN.liquidity().stakeable;
        for (uint256 i = 0; i < ids.length; ++i) {
            Stand memory stand = list[i];
            if (counts[i]) stand.target = _target(stand, whole, sum);
            if (stand.active > stand.target + stand.target / 5) stand.excess = stand.active - stand.target;
        }
    }

    /// @dev Whether an operator takes stake, and whether it has a target. A jail is short as a rule, and what is taken out
    /// earns nothing until it can be claimed: so one that is jailed keeps what it has for as long as that. Then waiting has
    /// cost as much as taking out, and it is drained.
    function _standing(uint32 id) private view returns (bool open, bool counts) {
        ISequencerRegistry.Status status = REGISTRY.statusOf(id);
        open = status == ISequencerRegistry.Status.Active;
        // The slasher names the second epoch after the one of the latest jail.
        counts = open
            || (status == ISequencerRegistry.Status.Jailed
                && currentEpoch() < SLASHER.nextOfflineSigma(id) + UNBONDING_EPOCHS);
    }

    /// @dev What the stake vault takes for a pool that may hold `limit`: nothing if it lost everything, or holds next to
    /// nothing in an epoch in which its cohort was slashed; else so much that the units it mints still fit. One that lost
    /// nearly everything has so many units per token that this is little or nothing.
    function _poolTakes(uint32 id, uint256 limit) private view returns (uint256 room) {
        (uint256 tokens, uint256 units) = VAULT.pool(id);
        room = FixedPointMathLib.zeroFloorSub(limit, tokens);
        if (tokens < _LEAST_PRICED) {
            (uint256 thawing, uint256 shares) = VAULT.thawOf(id, currentEpoch());
            if (thawing < shares || (tokens == 0 && units != 0)) return 0;
        }
        if (units == 0) return room;
        uint256 spare = FixedPointMathLib.zeroFloorSub(_MAX_UNITS, units);
        return FixedPointMathLib.min(room, FixedPointMathLib.fullMulDiv(spare, tokens, units));
    }

    /// @dev Its weight's share of `whole`, at most the cap, and less while it ramps up.
    function _target(Stand memory stand, uint256 whole, uint256 sum) private view returns (uint256 target) {
        target = FixedPointMathLib.min(whole * stand.weight / sum, whole * CAP_BPS / _BPS);
        uint256 age = currentEpoch() - _entries[stand.id].listedEpoch;
        return age < RAMP_EPOCHS ? target * age / RAMP_EPOCHS : target;
    }

    /// @dev The operator with stake that is most above its target; with none above, the one least below.
    function _highest(Stand[] memory listed) private pure returns (Stand memory best, uint256 above) {
        uint256 below = type(uint256).max;
        for (uint256 i = 0; i < listed.length; ++i) {
            Stand memory stand = listed[i];
            if (stand.active == 0) continue;
            uint256 surplus = FixedPointMathLib.zeroFloorSub(stand.active, stand.target);
            uint256 deficit = FixedPointMathLib.zeroFloorSub(stand.target, stand.active);
            if (surplus > above || (above == 0 && deficit < below)) {
                (best, above, below) = (stand, surplus, deficit);
            }
        }
    }
}
