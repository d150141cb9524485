// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

import {EpochClock} from "../base/EpochClock.sol";
import {EpochTrace} from "../base/EpochTrace.sol";
import {IBatchChain} from "../interfaces/IBatchChain.sol";
import {IGuardian} from "../interfaces/IGuardian.sol";
import {ISequencerRegistry} from "../interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "../interfaces/ISequencerSet.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {LeaderSchedule} from "./LeaderSchedule.sol";

/// @title SequencerSet
contract SequencerSet is ISequencerSet, EpochClock, AccessManaged {
    using EpochTrace for EpochTrace.Trace;

    /// @dev One slot. `seatedAtFreeze` is the number of freezes before the operator sat down: one that was seated
    /// before the latest freeze is a member of the latest frozen set, because a freeze unseats whom it drops.
    struct Candidate {
        bool ready;
        bool seated;
        uint8 seat;
        uint32 seatedAtFreeze;
        uint32 displacedEpoch;
        uint32 reentryEpoch;
    }

    /// @dev One slot.
    struct Progress {
        uint8 occupied;
        uint8 churnSpent;
        uint32 churnEpoch;
        uint32 freezes;
        uint32 randaoEpoch;
        uint104 minSelfBond;
    }

    /// @dev What an operator brings along, at one epoch. Weight in gwei, at most 2^64 - 1.
    struct Standing {
        bool active;
        address signer;
        uint64 weight;
        uint256 selfBond;
    }

    /// @inheritdoc ISequencerSet
    uint8 public constant SEAT_LIMIT = 128;

    /// @inheritdoc ISequencerSet
    uint256 public constant MIN_SELF_BOND_CEILING = 2_000_000e18;

    uint256 private constant _WEIGHT_UNIT = 1 gwei;
    uint256 private constant _MEMBER_BYTES = LeaderSchedule.MEMBER_BYTES;

    /// @inheritdoc ISequencerSet
    uint8 public immutable MAX_SEATS;

    ISequencerRegistry private immutable REGISTRY;
    IStakeVault private immutable VAULT;
    IBatchChain private immutable BATCH_CHAIN;
    IGuardian private immutable GUARDIAN;
    uint32 private immutable SLOTS_PER_WINDOW;

    Progress private _progress;

    /// @dev The prevrandao recorded in `_progress.randaoEpoch`, so that who freezes does not choose all of the seed.
    uint256 private _randao;

    uint32[SEAT_LIMIT] private _seats;

    mapping(uint32 id => Candidate candidate) private _candidates;

    /// @inheritdoc ISequencerSet
    mapping(uint32 epoch => bytes32 hash) public setHash;

    /// @inheritdoc ISequencerSet
    mapping(uint32 epoch => bytes32 seed) public seed;

    /// @dev One checkpoint per frozen epoch: total weight << 16 | number of members. Also the list of frozen epochs.
    EpochTrace.Trace private _sizes;

    constructor(Config memory config) EpochClock(config.genesis, config.epochSeconds) AccessManaged(config.authority) {
        if (
            config.registry == address(0) || config.vault == address(0) || config.batchChain == address(0)
                || config.guardian == address(0)
        ) revert SequencerSet_ZeroAddress();
        if (config.maxSeats == 0 || config.maxSeats > SEAT_LIMIT) {
            revert SequencerSet_InvalidSeats(config.maxSeats, SEAT_LIMIT);
        }
        if (!LeaderSchedule.isWindow(config.slotsPerWindow)) {
            revert SequencerSet_InvalidWindow(config.slotsPerWindow);
        }
        REGISTRY = ISequencerRegistry(config.registry);
        VAULT = IStakeVault(config.vault);
        BATCH_CHAIN = IBatchChain(config.batchChain);
        GUARDIAN = IGuardian(config.guardian);
        MAX_SEATS = config.maxSeats;
        SLOTS_PER_WINDOW = config.slotsPerWindow;
        _setMinSelfBond(config.minSelfBond);
    }

    /// @inheritdoc ISequencerSet
    function setReady(uint32 id, bool ready) external {
        _checkOwnerOrSigner(id);
        Candidate storage candidate = _candidates[id];
        if (!ready && candidate.seated) revert SequencerSet_AlreadySeated(id, candidate.seat);
        _recordRandao(currentEpoch());
        candidate.ready = ready;
        emit ReadySet(id, ready);
    }

    /// @inheritdoc ISequencerSet
    function takeSeat(uint32 id, uint8 seat) external {
        if (GUARDIAN.isPaused()) revert SequencerSet_Paused();
        _checkSeat(seat);
        uint32 epoch = currentEpoch();
        _recordRandao(epoch);
        Candidate memory candidate = _candidates[id];
        if (candidate.seated) revert SequencerSet_AlreadySeated(id, candidate.seat);
        if (!candidate.ready) revert SequencerSet_NotReady(id);
        if (epoch < candidate.reentryEpoch) revert SequencerSet_ReentryTooSoon(id, candidate.reentryEpoch);
        uint64 weight = _checkStanding(id, epoch + 1);

        // A member of the last frozen set that was displaced in this epoch: its return changes nothing on balance.
        bool returning = candidate.displacedEpoch == epoch;
        uint32 occupant = _seats[seat];
        if (occupant == 0) ++_progress.occupied;
        else _displace(occupant, epoch, weight, returning);

        candidate.seated = true;
        candidate.seat = seat;
        candidate.displacedEpoch = 0;
        if (!returning) candidate.seatedAtFreeze = _progress.freezes;
        _candidates[id] = candidate;
        _seats[seat] = id;
        emit SeatTaken(id, seat, occupant);
    }

    /// @inheritdoc ISequencerSet
    function leaveSeat(uint32 id) external {
        _checkOwnerOrSigner(id);
        Candidate storage candidate = _candidates[id];
        if (!candidate.seated) revert SequencerSet_NotSeated(id);
        uint32 epoch = currentEpoch();
        _recordRandao(epoch);
        candidate.ready = false;
        candidate.reentryEpoch = epoch + 2;
        _unseat(id);
        emit ReadySet(id, false);
    }

    /// @inheritdoc ISequencerSet
    function freeze(uint32 epoch) external {
        uint32 current = currentEpoch();
        if (epoch <= current) revert SequencerSet_EpochStarted(epoch, current);
        uint256 opensAt = _freezeOpensAt(epoch);
        if (block.timestamp < opensAt) revert SequencerSet_TooEarlyToFreeze(epoch, opensAt);
        if (setHash[epoch] != 0) revert SequencerSet_AlreadyFrozen(epoch);
        _recordRandao(current);

        (bytes memory members, uint256 total) = _collect(epoch);
        if (members.length == 0) revert SequencerSet_NobodyEligible(epoch);
        // Cannot happen while the vault keeps its ceiling; quorums are computed as 3 * weight in 64 bits.
        if (total * 3 > type(uint64).max) revert SequencerSet_WeightOverflow(total);

        // The randomness of this very block: until it is known, with the block before, nobody can compute the seed.
        bytes32 newSeed = keccak256(abi.encode(seed[_sizes.latestEpoch()], _randao, block.prevrandao, epoch));
        setHash[epoch] = keccak256(members);
        seed[epoch] = newSeed;
        // Below 2^64 and at most SEAT_LIMIT.
        // forge-lint: disable-next-line(unsafe-typecast)
        _sizes.push(epoch, uint208(total << 16 | members.length / _MEMBER_BYTES));
        ++_progress.freezes;
        emit EpochFrozen(epoch, newSeed, members);
        BATCH_CHAIN.anchorLatest();
    }

    /// @inheritdoc ISequencerSet
    function recordRandao() external {
        _recordRandao(currentEpoch());
    }

    /// @inheritdoc ISequencerSet
    function setMinSelfBond(uint256 minimum) external restricted {
        _setMinSelfBond(minimum);
    }

    /// @inheritdoc ISequencerSet
    function totalWeight(uint32 epoch) external view returns (uint64) {
        return frozenAt(epoch) ? uint64(_sizes.valueAt(epoch) >> 16) : 0;
    }

    /// @inheritdoc ISequencerSet
    function memberCount(uint32 epoch) external view returns (uint16) {
        return frozenAt(epoch) ? uint16(_sizes.valueAt(epoch)) : 0;
    }

    /// @inheritdoc ISequencerSet
    function frozenAt(uint32 epoch) public view returns (bool) {
        return setHash[epoch] != 0;
    }

    /// @inheritdoc ISequencerSet
    function lastFrozen() external view returns (uint32) {
        return _sizes.latestEpoch();
    }

    /// @inheritdoc ISequencerSet
    function frozenEpochAt(uint32 epoch) external view returns (uint32) {
        return _sizes.keyAt(epoch);
    }

    /// @inheritdoc ISequencerSet
    function seats(uint8 seat) external view returns (uint32 id) {
        _checkSeat(seat);
        return _seats[seat];
    }

    /// @inheritdoc ISequencerSet
    function seatOf(uint32 id) external view returns (bool seated, uint8 seat) {
        Candidate storage candidate = _candidates[id];
        return (candidate.seated, candidate.seat);
    }

    /// @inheritdoc ISequencerSet
    function isReady(uint32 id) external view returns (bool) {
        return _candidates[id].ready;
    }

    /// @inheritdoc ISequencerSet
    function reentryEpoch(uint32 id) external view returns (uint32) {
        return _candidates[id].reentryEpoch;
    }

    /// @inheritdoc ISequencerSet
    function slotsPerWindow() external view returns (uint32) {
        return SLOTS_PER_WINDOW;
    }

    /// @inheritdoc ISequencerSet
    function minSelfBond() external view returns (uint256) {
        return _progress.minSelfBond;
    }

    /// @inheritdoc ISequencerSet
    function churnBudget() public view returns (uint256) {
        return FixedPointMathLib.max(4, MAX_SEATS / 8);
    }

    /// @inheritdoc ISequencerSet
    function churnSpent() external view returns (uint256) {
        return _churnSpent(currentEpoch());
    }

    /// @inheritdoc ISequencerSet
    function leaderAt(uint32 sigma, uint64 height, uint64 firstHeight, uint32 round, bytes calldata members)
        external
        view
        returns (uint32 id, address signer)
    {
        bytes32 actual = keccak256(members);
        if (actual != setHash[sigma]) revert SequencerSet_WrongMembers(sigma, setHash[sigma], actual);
        uint256 index = LeaderSchedule.leader(seed[sigma], height, firstHeight, round, SLOTS_PER_WINDOW, members);
        (signer, id,) = LeaderSchedule.memberAt(members, index);
    }

    /// @inheritdoc ISequencerSet
    function freezeDue() external view returns (bool due, uint32 epoch) {
        epoch = currentEpoch() + 1;
        if (block.timestamp < _freezeOpensAt(epoch) || frozenAt(epoch)) return (false, epoch);
        for (uint256 i = 0; i < MAX_SEATS && !due; ++i) {
            due = _seats[i] != 0 && _isEligible(_standing(_seats[i], epoch));
        }
    }

    /// @inheritdoc ISequencerSet
    function randaoDue() external view returns (bool due) {
        return _progress.randaoEpoch != currentEpoch();
    }

    /// @inheritdoc ISequencerSet
    function seatDue(uint32 id) external view returns (bool due, uint8 seat) {
        uint32 epoch = currentEpoch();
        Candidate memory candidate = _candidates[id];
        Standing memory standing = _standing(id, epoch + 1);
        if (
            candidate.seated || !candidate.ready || epoch < candidate.reentryEpoch || !_isEligible(standing)
                || GUARDIAN.isPaused()
        ) return (false, 0);

        bool full = _progress.occupied == MAX_SEATS;
        bool mayChurn = candidate.displacedEpoch == epoch || _churnSpent(epoch) < churnBudget();
        uint64 lightest = type(uint64).max;
        for (uint8 i = 0; i < MAX_SEATS; ++i) {
            uint32 occupant = _seats[i];
            if (occupant == 0) return (true, i);
            Standing memory other = _standing(occupant, epoch + 1);
            // One that is not eligible can be replaced whatever the weight: nothing beats it but a free seat.
            uint64 weight = _isEligible(other) ? other.weight : 0;
            bool open = weight == 0
                || (full && _isLighter(weight, standing.weight) && (mayChurn || !_isMember(_candidates[occupant])));
            if (open && weight < lightest) (due, seat, lightest) = (true, i, weight);
        }
    }

    /// @dev Makes room on the seat of `occupant` for a candidate of `weight`.
    function _displace(uint32 occupant, uint32 epoch, uint64 weight, bool returning) private {
        Candidate storage displaced = _candidates[occupant];
        Standing memory standing = _standing(occupant, epoch + 1);
        if (_isEligible(standing)) {
            Progress storage progress = _progress;
            if (progress.occupied < MAX_SEATS) revert SequencerSet_FreeSeatExists(progress.occupied, MAX_SEATS);
            if (!_isLighter(standing.weight, weight)) {
                revert SequencerSet_OccupantTooHeavy(occupant, standing.weight, weight);
            }
            if (_isMember(displaced)) {
                if (!returning) _spendChurn(epoch);
                displaced.displacedEpoch = epoch;
            }
        }
        displaced.seated = false;
    }

    /// @dev Frees the seat of a seated operator.
    function _unseat(uint32 id) private {
        Candidate storage candidate = _candidates[id];
        uint8 seat = candidate.seat;
        candidate.seated = false;
        _seats[seat] = 0;
        --_progress.occupied;
        emit SeatLeft(id, seat);
    }

    /// @dev Members of `epoch` in seat order, and their total weight in gwei. Unseats whoever is not eligible.
    function _collect(uint32 epoch) private returns (bytes memory members, uint256 total) {
        members = new bytes(MAX_SEATS * _MEMBER_BYTES);
        uint256 length = 0;
        for (uint256 i = 0; i < MAX_SEATS; ++i) {
            uint32 id = _seats[i];
            if (id == 0) continue;
            Standing memory standing = _standing(id, epoch);
            if (!_isEligible(standing)) {
                _unseat(id);
                continue;
            }
            total += standing.weight;
            bytes32 member = bytes32(abi.encodePacked(standing.signer, id, standing.weight));
            assembly ("memory-safe") {
                mstore(add(add(members, 0x20), length), member)
            }
            length += _MEMBER_BYTES;
        }
        assembly ("memory-safe") {
            mstore(members, length)
        }
    }

    function _recordRandao(uint32 epoch) private {
        if (_progress.randaoEpoch == epoch) return;
        _progress.randaoEpoch = epoch;
        _randao = block.prevrandao;
        emit RandaoRecorded(epoch, block.prevrandao);
    }

    function _spendChurn(uint32 epoch) private {
        uint256 spent = _churnSpent(epoch);
        if (spent >= churnBudget()) revert SequencerSet_ChurnBudgetSpent(epoch, churnBudget());
        _progress.churnEpoch = epoch;
        // The budget is at most SEAT_LIMIT / 8.
        // forge-lint: disable-next-line(unsafe-typecast)
        _progress.churnSpent = uint8(spent + 1);
    }

    function _setMinSelfBond(uint256 minimum) private {
        if (minimum > MIN_SELF_BOND_CEILING) {
            revert SequencerSet_InvalidMinSelfBond(minimum, MIN_SELF_BOND_CEILING);
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        _progress.minSelfBond = uint104(minimum);
        VAULT.setOwnerRoom(minimum);
        emit MinSelfBondChanged(minimum);
    }

    function _standing(uint32 id, uint32 epoch) private view returns (Standing memory standing) {
        (address owner, address signer, ISequencerRegistry.Status status) = REGISTRY.operatorAt(id, epoch);
        standing.active = status == ISequencerRegistry.Status.Active && signer != address(0);
        // Not asked for the others: they are out whatever their stake.
        if (!standing.active) return standing;
        standing.signer = signer;
        uint256 tokens;
        (tokens, standing.selfBond) = VAULT.backingAt(id, owner, epoch);
        standing.weight = uint64(FixedPointMathLib.min(tokens / _WEIGHT_UNIT, type(uint64).max));
    }

    function _isEligible(Standing memory standing) private view returns (bool) {
        return standing.active && standing.weight != 0 && standing.selfBond >= _progress.minSelfBond;
    }

    /// @dev Same rule as `_isEligible`, naming what is missing.
    function _checkStanding(uint32 id, uint32 epoch) private view returns (uint64 weight) {
        Standing memory standing = _standing(id, epoch);
        if (!standing.active) revert SequencerSet_NotActive(id);
        uint256 minimum = _progress.minSelfBond;
        if (standing.selfBond < minimum) {
            revert SequencerSet_SelfBondBelowMinimum(id, standing.selfBond, minimum);
        }
        if (standing.weight == 0) revert SequencerSet_NoWeight(id);
        return standing.weight;
    }

    function _checkOwnerOrSigner(uint32 id) private view {
        if (msg.sender != REGISTRY.ownerOf(id) && msg.sender != REGISTRY.signerOf(id)) {
            revert SequencerSet_NotOwnerOrSigner(id, msg.sender);
        }
    }

    function _checkSeat(uint8 seat) private view {
        if (seat >= MAX_SEATS) revert SequencerSet_NoSuchSeat(seat, MAX_SEATS);
    }

    function _isMember(Candidate memory candidate) private view returns (bool) {
        return candidate.seatedAtFreeze < _progress.freezes;
    }

    function _churnSpent(uint32 epoch) private view returns (uint256) {
        return _progress.churnEpoch == epoch ? _progress.churnSpent : 0;
    }

    /// @dev The second half of the epoch before `epoch`.
    function _freezeOpensAt(uint32 epoch) private view returns (uint256) {
        return epochStart(epoch) - EPOCH_SECONDS / 2;
    }

    /// @dev More than 5 % below.
    function _isLighter(uint256 weight, uint256 than) private pure returns (bool) {
        return weight * 100 < than * 95;
    }
}
