// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

import {EpochClock} from "../base/EpochClock.sol";
import {EpochTrace} from "../base/EpochTrace.sol";
import {IGuardian} from "../interfaces/IGuardian.sol";
import {ISequencerRegistry} from "../interfaces/ISequencerRegistry.sol";
import {ALL_LATER, IStakeVault} from "../interfaces/IStakeVault.sol";

/// @title StakeVault
contract StakeVault is IStakeVault, EpochClock, AccessManaged, ReentrancyGuardTransient {
    using EpochTrace for EpochTrace.Trace;
    using SafeCast for uint256;

    /// @dev Stake that left a pool in one epoch. 128 bits hold the shares even after slashes far beyond the pool's own
    /// limit of units: shares of an undelegation are at most the units it burns, times the number of slashes that
    /// rounding can exaggerate in one epoch.
    struct Cohort {
        uint128 tokens;
        uint128 shares;
    }

    struct SlashRecord {
        uint32 id;
        uint32 sigma;
        uint32 before;
        uint64 fractionWad;
    }

    /// @dev One slot, because every delegation needs both the sum and what any pool takes from anybody: the largest pool
    /// less the owner's room. Only beyond that the limits themselves are read.
    struct Totals {
        uint104 staked;
        uint104 openPool;
        uint32 slashSeq;
    }

    struct Limits {
        uint104 maxPool;
        uint104 ownerRoom;
    }

    /// @inheritdoc IStakeVault
    uint256 public constant MAX_POOL_CEILING = 20_000_000e18;

    /// @inheritdoc IStakeVault
    uint32 public constant MAX_UNBONDING_EPOCHS = 64;

    uint256 private constant _WAD = 1e18;
    /// @dev What rounding can take from a bond that is paid in as two delegations, wei.
    uint256 private constant _DUST = 2;
    /// @dev From so many token wei on a slash is rounded so little that pool and cohort lose alike.
    uint256 private constant _LEAST_PRICED = 1 gwei;
    uint32 private constant _EFFECTIVE_DELAY = 2;

    /// @inheritdoc IStakeVault
    uint32 public immutable UNBONDING_EPOCHS;

    address private immutable TOKEN;
    ISequencerRegistry private immutable REGISTRY;
    IGuardian private immutable GUARDIAN;
    address private immutable SLASHER;
    address private immutable SLASH_ESCROW;
    address private immutable SEQUENCER_SET;

    Totals private _totals;
    Limits private _limits;

    /// @dev Value: tokens in the upper, units in the lower 104 bits.
    mapping(uint32 id => EpochTrace.Trace trace) private _pools;

    mapping(uint32 id => mapping(address who => EpochTrace.Trace trace)) private _units;

    mapping(uint32 id => mapping(uint32 epoch => Cohort cohort)) private _cohorts;

    mapping(uint32 id => mapping(uint32 epoch => mapping(address who => uint256 shares))) private _shares;

    mapping(uint256 seq => SlashRecord record) private _slashes;

    constructor(Config memory config) EpochClock(config.genesis, config.epochSeconds) AccessManaged(config.authority) {
        if (
            config.token == address(0) || config.registry == address(0) || config.guardian == address(0)
                || config.sequencerSet == address(0)
                || (config.slasher != address(0) && config.slashEscrow == address(0))
        ) revert StakeVault_ZeroAddress();
        if (config.unbondingEpochs == 0 || config.unbondingEpochs > MAX_UNBONDING_EPOCHS) {
            revert StakeVault_InvalidUnbonding(config.unbondingEpochs, MAX_UNBONDING_EPOCHS);
        }
        TOKEN = config.token;
        REGISTRY = ISequencerRegistry(config.registry);
        GUARDIAN = IGuardian(config.guardian);
        SLASHER = config.slasher;
        SLASH_ESCROW = config.slashEscrow;
        SEQUENCER_SET = config.sequencerSet;
        UNBONDING_EPOCHS = config.unbondingEpochs;
        _setMaxPool(config.maxPool);
    }

    /// @inheritdoc IStakeVault
    function delegate(uint32 id, uint256 amount) external nonReentrant returns (uint256) {
        return _delegate(id, amount);
    }

    /// @inheritdoc IStakeVault
    function delegateWithPermit(uint32 id, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        returns (uint256)
    {
        // Whoever saw the permit may have used it first; what counts is the allowance.
        try IERC20Permit(TOKEN).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        return _delegate(id, amount);
    }

    /// @inheritdoc IStakeVault
    function undelegate(uint32 id, uint256 burned)
        external
        returns (uint256 amount, uint32 cohortEpoch, uint256 shares)
    {
        if (burned == 0) revert StakeVault_ZeroUnits();
        EpochTrace.Trace storage position = _units[id][msg.sender];
        uint256 held = position.latest();
        if (burned > held) revert StakeVault_InsufficientUnits(burned, held);
        cohortEpoch = currentEpoch();

        (uint256 tokens, uint256 supply) = pool(id);
        amount = tokens * burned / supply;
        _writePool(id, cohortEpoch, tokens - amount, supply - burned);
        // forge-lint: disable-next-line(unsafe-typecast)
        position.push(cohortEpoch + _EFFECTIVE_DELAY, uint208(held - burned));
        // forge-lint: disable-next-line(unsafe-typecast)
        _totals.staked -= uint104(amount);

        // Nothing to thaw after a slash of 100 %; and then the cohort has no price either.
        if (amount != 0) {
            Cohort storage cohort = _cohorts[id][cohortEpoch];
            uint256 cohortShares = cohort.shares;
            shares = cohortShares == 0 ? amount : amount * cohortShares / cohort.tokens;
            _shares[id][cohortEpoch][msg.sender] += shares;
            _writeCohort(cohort, cohort.tokens + amount, cohortShares + shares);
        }
        emit Undelegated(id, msg.sender, burned, amount, cohortEpoch, shares);
    }

    /// @inheritdoc IStakeVault
    function claim(uint32 id, uint32 cohortEpoch) external nonReentrant returns (uint256 amount) {
        uint256 opensAt = claimableFrom(cohortEpoch);
        if (block.timestamp < opensAt) revert StakeVault_ClaimTooEarly(block.timestamp, opensAt);
        uint256 shares = _shares[id][cohortEpoch][msg.sender];
        if (shares == 0) revert StakeVault_NothingToClaim(id, cohortEpoch, msg.sender);

        Cohort storage cohort = _cohorts[id][cohortEpoch];
        (uint256 tokens, uint256 supply) = (cohort.tokens, cohort.shares);
        amount = tokens * shares / supply;
        delete _shares[id][cohortEpoch][msg.sender];
        _writeCohort(cohort, tokens - amount, supply - shares);
        emit Claimed(id, msg.sender, cohortEpoch, amount);
        if (amount != 0) SafeTransferLib.safeTransfer(TOKEN, msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function slash(uint32 id, uint32 sigma, uint32 before, uint256 fractionWad)
        external
        nonReentrant
        returns (uint256 taken)
    {
        if (msg.sender != SLASHER) revert StakeVault_NotSlasher(msg.sender);
        if (fractionWad == 0 || fractionWad > _WAD) revert StakeVault_InvalidFraction(fractionWad);
        uint32 epoch = currentEpoch();
        if (sigma > epoch) revert StakeVault_FutureSet(sigma, epoch);
        if (before <= sigma || (before > epoch && before != ALL_LATER)) revert StakeVault_InvalidRange(sigma, before);

        if (before == ALL_LATER) taken = _slashPool(id, epoch, fractionWad);
        taken += _slashCohorts(id, sigma, before, epoch, fractionWad);
        if (taken == 0 && before != ALL_LATER) return 0;

        uint256 seq = ++_totals.slashSeq;
        // forge-lint: disable-next-line(unsafe-typecast)
        _slashes[seq] = SlashRecord({id: id, sigma: sigma, before: before, fractionWad: uint64(fractionWad)});
        emit Slashed(seq, id, sigma, before, fractionWad, taken);
        if (taken != 0) SafeTransferLib.safeTransfer(TOKEN, SLASH_ESCROW, taken);
    }

    /// @inheritdoc IStakeVault
    function setMaxPool(uint256 limit) external restricted {
        _setMaxPool(limit);
    }

    /// @inheritdoc IStakeVault
    function setOwnerRoom(uint256 minimum) external {
        if (msg.sender != SEQUENCER_SET) revert StakeVault_NotSequencerSet(msg.sender);
        _setLimits(_limits.maxPool, minimum.toUint104());
        emit OwnerRoomChanged(minimum);
    }

    /// @inheritdoc IStakeVault
    function token() external view returns (address) {
        return TOKEN;
    }

    /// @inheritdoc IStakeVault
    function pool(uint32 id) public view returns (uint256 tokens, uint256 supply) {
        return _unpack(_pools[id].latest());
    }

    /// @inheritdoc IStakeVault
    function poolAt(uint32 id, uint32 epoch) public view returns (uint256 tokens, uint256 supply) {
        return _unpack(_pools[id].valueAt(epoch));
    }

    /// @inheritdoc IStakeVault
    function units(uint32 id, address who) external view returns (uint256) {
        return _units[id][who].latest();
    }

    /// @inheritdoc IStakeVault
    function unitsAt(uint32 id, address who, uint32 epoch) external view returns (uint256) {
        return _units[id][who].valueAt(epoch);
    }

    /// @inheritdoc IStakeVault
    function unitsCheckpointCount(uint32 id, address who) external view returns (uint256) {
        return _units[id][who].count();
    }

    /// @inheritdoc IStakeVault
    function unitsCheckpointAt(uint32 id, address who, uint256 index)
        external
        view
        returns (uint32 epoch, uint256 held)
    {
        return _units[id][who].checkpoint(index);
    }

    /// @inheritdoc IStakeVault
    function positionOf(uint32 id, address who) external view returns (uint256 held, uint256 value) {
        held = _units[id][who].latest();
        (uint256 tokens, uint256 supply) = pool(id);
        value = _valueDown(held, tokens, supply);
    }

    /// @inheritdoc IStakeVault
    function thawOf(uint32 id, uint32 cohortEpoch) external view returns (uint256 tokens, uint256 shares) {
        Cohort storage cohort = _cohorts[id][cohortEpoch];
        return (cohort.tokens, cohort.shares);
    }

    /// @inheritdoc IStakeVault
    function thawSharesOf(uint32 id, uint32 cohortEpoch, address who) external view returns (uint256 shares) {
        return _shares[id][cohortEpoch][who];
    }

    /// @inheritdoc IStakeVault
    function claimableFrom(uint32 cohortEpoch) public view returns (uint256 timestamp) {
        return GENESIS + (uint256(cohortEpoch) + _EFFECTIVE_DELAY + UNBONDING_EPOCHS) * EPOCH_SECONDS;
    }

    /// @inheritdoc IStakeVault
    function selfBondAt(uint32 id, uint32 epoch) external view returns (uint256 value) {
        (, value) = backingAt(id, REGISTRY.ownerOf(id), epoch);
    }

    /// @inheritdoc IStakeVault
    function backingAt(uint32 id, address owner, uint32 epoch) public view returns (uint256 tokens, uint256 selfBond) {
        uint256 supply;
        (tokens, supply) = poolAt(id, epoch);
        selfBond = _valueDown(_units[id][owner].valueAt(epoch), tokens, supply);
    }

    /// @inheritdoc IStakeVault
    function slashSeq() external view returns (uint256) {
        return _totals.slashSeq;
    }

    /// @inheritdoc IStakeVault
    function slashAt(uint256 seq) external view returns (uint32 id, uint32 sigma, uint32 before, uint256 fractionWad) {
        if (seq == 0 || seq > _totals.slashSeq) revert StakeVault_UnknownSlash(seq);
        SlashRecord storage record = _slashes[seq];
        return (record.id, record.sigma, record.before, record.fractionWad);
    }

    /// @inheritdoc IStakeVault
    function totalStaked() external view returns (uint256) {
        return _totals.staked;
    }

    /// @inheritdoc IStakeVault
    function maxPool() external view returns (uint256) {
        return _limits.maxPool;
    }

    /// @inheritdoc IStakeVault
    function ownerRoom() external view returns (uint256) {
        return _limits.ownerRoom;
    }

    function _delegate(uint32 id, uint256 amount) private returns (uint256 minted) {
        if (GUARDIAN.isPaused()) revert StakeVault_Paused();
        if (amount == 0) revert StakeVault_ZeroAmount();
        if (!REGISTRY.acceptsStake(id)) revert StakeVault_OperatorNotAccepting(id);
        uint32 epoch = currentEpoch();

        (uint256 tokens, uint256 supply) = pool(id);
        Totals storage totals = _totals;
        uint256 newTokens = FixedPointMathLib.saturatingAdd(tokens, amount);
        if (newTokens > totals.openPool) _checkLimits(id, newTokens, tokens, supply);
        minted = _mintableDown(id, epoch, amount, tokens, supply);
        if (supply + minted > type(uint104).max) {
            revert StakeVault_TooManyUnits(supply + minted, type(uint104).max);
        }

        _writePool(id, epoch, newTokens, supply + minted);
        EpochTrace.Trace storage position = _units[id][msg.sender];
        // forge-lint: disable-next-line(unsafe-typecast)
        position.push(epoch + _EFFECTIVE_DELAY, position.latest() + uint208(minted));
        // forge-lint: disable-next-line(unsafe-typecast)
        totals.staked += uint104(amount);
        emit Delegated(id, msg.sender, amount, minted, epoch + _EFFECTIVE_DELAY);

        uint256 before = SafeTransferLib.balanceOf(TOKEN, address(this));
        SafeTransferLib.safeTransferFrom(TOKEN, msg.sender, address(this), amount);
        uint256 received = SafeTransferLib.balanceOf(TOKEN, address(this)) - before;
        if (received < amount) revert StakeVault_TokenTookFee(received, amount);
    }

    /// @dev Others leave what the owner still has to bond. An action takes no more from this room than it gives back to
    /// the pool or to the bond: only another owner, limit or room can find less than is missing.
    function _checkLimits(uint32 id, uint256 newTokens, uint256 tokens, uint256 supply) private view {
        Limits memory limits = _limits;
        if (newTokens > limits.maxPool) revert StakeVault_PoolFull(newTokens, limits.maxPool);
        address owner = REGISTRY.ownerOf(id);
        if (msg.sender == owner) return;
        uint256 bond = _valueDown(_units[id][owner].latest(), tokens, supply);
        if (bond >= limits.ownerRoom) return;
        uint256 maximum = FixedPointMathLib.zeroFloorSub(limits.maxPool, limits.ownerRoom - bond + _DUST);
        if (newTokens > maximum) revert StakeVault_OwnersRoom(newTokens, maximum);
    }

    function _slashPool(uint32 id, uint32 epoch, uint256 fractionWad) private returns (uint256 taken) {
        (uint256 tokens, uint256 supply) = pool(id);
        taken = _lossUp(tokens, fractionWad);
        if (taken != 0) _writePool(id, epoch, tokens - taken, supply);
        // forge-lint: disable-next-line(unsafe-typecast)
        _totals.staked -= uint104(taken);
    }

    /// @dev Cohorts older than the window opened for claims before this epoch and answer for nothing any more. A cohort
    /// of epoch c still backed the sets of c and c + 1, so it pays for a fault under sigma iff c + 1 >= sigma, and did not
    /// stay for the set `before` iff c + 1 < before.
    function _slashCohorts(uint32 id, uint32 sigma, uint32 before, uint32 epoch, uint256 fractionWad)
        private
        returns (uint256 taken)
    {
        uint256 first = FixedPointMathLib.max(
            FixedPointMathLib.zeroFloorSub(sigma, 1), FixedPointMathLib.zeroFloorSub(epoch, UNBONDING_EPOCHS + 2)
        );
        uint256 end = FixedPointMathLib.min(uint256(epoch) + 1, before - 1);
        for (uint256 c = first; c < end; ++c) {
            // c is at most the current epoch, a uint32.
            // forge-lint: disable-next-line(unsafe-typecast)
            Cohort storage cohort = _cohorts[id][uint32(c)];
            uint256 tokens = cohort.tokens;
            uint256 loss = _lossUp(tokens, fractionWad);
            if (loss == 0) continue;
            // forge-lint: disable-next-line(unsafe-typecast)
            cohort.tokens = uint128(tokens - loss);
            taken += loss;
        }
    }

    function _writePool(uint32 id, uint32 epoch, uint256 tokens, uint256 supply) private {
        // Callers keep both within 104 bits: tokens by the limit, units by the check before minting.
        // forge-lint: disable-next-line(unsafe-typecast)
        _pools[id].push(epoch + _EFFECTIVE_DELAY, uint208(tokens << 104 | supply));
    }

    function _writeCohort(Cohort storage cohort, uint256 tokens, uint256 shares) private {
        (cohort.tokens, cohort.shares) = (tokens.toUint128(), shares.toUint128());
    }

    function _setMaxPool(uint256 limit) private {
        if (limit == 0 || limit > MAX_POOL_CEILING) revert StakeVault_InvalidMaxPool(limit, MAX_POOL_CEILING);
        // forge-lint: disable-next-line(unsafe-typecast)
        _setLimits(uint104(limit), _limits.ownerRoom);
        emit MaxPoolChanged(limit);
    }

    function _setLimits(uint104 limit, uint104 room) private {
        _limits = Limits({maxPool: limit, ownerRoom: room});
        // At most the limit.
        // forge-lint: disable-next-line(unsafe-typecast)
        _totals.openPool = uint104(FixedPointMathLib.zeroFloorSub(limit, room + _DUST));
    }

    /// @dev Units for `amount`, rounded down; 1:1 in an empty pool. A pool of less than a gwei, which may be rounded far
    /// from the fraction that its cohort lost, takes nothing in an epoch in which that was slashed: then cohort shares may
    /// cost so much less than units that taking the new stake out again could not be recorded.
    function _mintableDown(uint32 id, uint32 epoch, uint256 amount, uint256 tokens, uint256 supply)
        private
        view
        returns (uint256)
    {
        if (tokens >= _LEAST_PRICED) return amount * supply / tokens;
        Cohort storage cohort = _cohorts[id][epoch];
        if (cohort.tokens < cohort.shares || (tokens == 0 && supply != 0)) revert StakeVault_PoolWipedOut(id, supply);
        return tokens == 0 ? amount : amount * supply / tokens;
    }

    function _unpack(uint208 word) private pure returns (uint256 tokens, uint256 supply) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return (word >> 104, uint104(word));
    }

    function _valueDown(uint256 held, uint256 tokens, uint256 supply) private pure returns (uint256) {
        return supply == 0 ? 0 : held * tokens / supply;
    }

    /// @dev Rounded up, but the last wei goes only with the whole, so that what still has units keeps a price.
    function _lossUp(uint256 tokens, uint256 fractionWad) private pure returns (uint256 loss) {
        if (fractionWad == _WAD || tokens == 0) return tokens;
        loss = FixedPointMathLib.min((tokens * fractionWad + _WAD - 1) / _WAD, tokens - 1);
    }
}
