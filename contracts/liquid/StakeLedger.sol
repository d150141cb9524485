// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

import {EpochClock} from "../base/EpochClock.sol";
import {ICoverFund} from "../interfaces/ICoverFund.sol";
import {IFaultWatch} from "../interfaces/IFaultWatch.sol";
import {IStakedToken} from "../interfaces/IStakedToken.sol";
import {ALL_LATER, IStakeVault} from "../interfaces/IStakeVault.sol";
import {Drip} from "./Drip.sol";
import {LossSharing} from "./LossSharing.sol";

/// @title StakeLedger
/// @notice The books of the staked token (formulas and invariants at `IStakedToken`) and the walk through the stake vault's
/// slash log that keeps them true.
/// @dev One function computes the books after every logged slash, for views and actions alike; an action then writes what
/// the walk found. So previews equal actions by construction (Q10) and no price can be stale (Q18).
abstract contract StakeLedger is IStakedToken, EpochClock {
    using Drip for Drip.Stretch;
    using SafeCast for uint256;

    /// @dev In memory; `Stored` is the same in five words.
    struct Books {
        uint256 buffer;
        uint256 active;
        uint256 thawing;
        uint256 owed;
        uint256 fees;
        uint256 lossCarry;
        Drip.Stretch drip;
        uint256 feeBps;
        uint256 target;
        uint256 targetEpoch;
        uint256 slashSeq;
        uint256 bunkerUntil;
        uint256 bunkerSigma;
    }

    /// @dev What changes together lies together: a deposit writes one word, a harvest the first and the fourth.
    struct Stored {
        uint128 buffer;
        uint128 fees;
        uint128 active;
        uint128 thawing;
        uint128 owed;
        uint128 lossCarry;
        uint112 dripAmount;
        uint64 dripStart;
        uint64 dripEnd;
        uint16 feeBps;
        uint112 target;
        uint32 targetEpoch;
        uint32 slashSeq;
        uint32 bunkerSigma;
        uint48 bunkerUntil;
    }

    /// @dev One word; the vault counts the tokens of a pool in 104 bits. No ticket is booked before `firstTicket` or after
    /// `lastTicket`. `since` is the epoch of the first stake. Rewards vest no earlier than `vestsUntil`, unix seconds, which
    /// is what the earlier segments of the same stretch of epochs were given.
    struct Holding {
        uint104 active;
        uint32 firstTicket;
        uint32 lastTicket;
        uint32 since;
        uint56 vestsUntil;
    }

    /// @dev One word. `epoch` is when it was sealed.
    struct Exit {
        uint128 assets;
        uint32 epoch;
        uint64 sealedAt;
    }

    /// @dev An entry of the vault's log. It takes from the cohorts `first` up to `end`, that one not; from the pool, too, if the
    /// end is `_NEVER`.
    struct Slash {
        uint32 id;
        uint32 sigma;
        uint256 fraction;
        uint256 first;
        uint256 end;
    }

    /// @dev What a walk found, for the action to write. `exits` and `epochs` are the exits that wait, oldest first.
    struct Walk {
        Slash[] slashes;
        uint256[] exits;
        uint32[] epochs;
        uint256 loss;
        uint256 exitsPart;
        uint256 covered;
        uint256 dripped;
        uint256 feesPart;
        uint256 carried;
        bool bunker;
    }

    uint256 internal constant _BPS = 10_000;
    uint256 private constant _NEVER = type(uint256).max;
    /// @dev In place of a cohort, later than all: what is in the pool has not left.
    uint256 private constant _POOL = _NEVER - 1;

    IStakeVault internal immutable VAULT;
    ICoverFund internal immutable COVER_FUND;
    IFaultWatch private immutable FAULT_WATCH;
    uint256 private immutable UNBONDING_EPOCHS;
    uint256 private immutable BUFFER_BPS;
    uint256 private immutable BUNKER_LOSS_BPS;
    uint256 private immutable BUNKER_SECONDS;

    Stored internal _stored;
    // slither-disable-next-line uninitialized-state
    mapping(uint32 id => Holding holding) internal _holdings;
    mapping(uint32 id => mapping(uint32 cohort => uint256 booked)) internal _tickets;
    mapping(uint256 index => Exit exit) internal _exits;
    /// @dev From 1, as the queue's batches.
    uint128 internal _exitHead = 1;
    uint128 internal _exitTail = 1;

    constructor(Config memory config) EpochClock(config.genesis, config.epochSeconds) {
        if (config.stakeVault == address(0) || config.coverFund == address(0) || config.faultWatch == address(0)) {
            revert StakedToken_ZeroAddress();
        }
        _checkRange(1, config.bufferBps, 0, 5000);
        _checkRange(7, config.bunkerLossBps, 1, 10_000);
        _checkRange(8, config.bunkerEpochs, 1, 64);
        VAULT = IStakeVault(config.stakeVault);
        COVER_FUND = ICoverFund(config.coverFund);
        FAULT_WATCH = IFaultWatch(config.faultWatch);
        UNBONDING_EPOCHS = VAULT.UNBONDING_EPOCHS();
        BUFFER_BPS = config.bufferBps;
        BUNKER_LOSS_BPS = config.bunkerLossBps;
        BUNKER_SECONDS = uint256(config.bunkerEpochs) * config.epochSeconds;
        _stored.slashSeq = SafeCast.toUint32(VAULT.slashSeq());
        // No epoch: the first action sets the aim of the buffer, also in epoch 0.
        _stored.targetEpoch = type(uint32).max;
    }

    // ----------------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IStakedToken
    function position() external view returns (Position memory p) {
        Books memory books = _books();
        p.buffer = books.buffer;
        p.active = books.active;
        p.thawing = books.thawing;
        p.owed = books.owed;
        p.locked = books.drip.lockedUp(block.timestamp);
        p.fees = books.fees;
        p.lossCarry = books.lossCarry;
        p.bufferTarget = books.target;
        p.bunkerUntil = books.bunkerUntil;
        p.bunkerSigma = uint32(books.bunkerSigma);
    }

    /// @inheritdoc IStakedToken
    function activeOf(uint32 id) external view returns (uint256) {
        (, Walk memory walk) = _synced();
        return _activeOf(walk.slashes, walk.slashes.length, id);
    }

    /// @inheritdoc IStakedToken
    function stakesOf(uint32[] calldata ids, bool liable) external view returns (uint256[] memory stakes) {
        (Books memory books, Walk memory walk) = _synced();
        Slash[] memory slashes = walk.slashes;
        stakes = new uint256[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            uint32 id = ids[i];
            stakes[i] = _activeOf(slashes, slashes.length, id);
            if (!liable) continue;
            // Those that the vault would slash now. The target's epoch is the present one.
            uint256 c = FixedPointMathLib.zeroFloorSub(books.targetEpoch, UNBONDING_EPOCHS + 2);
            uint256 last = _holdings[id].lastTicket;
            for (c = FixedPointMathLib.max(c, _holdings[id].firstTicket); c <= last; ++c) {
                // forge-lint: disable-next-line(unsafe-typecast)
                stakes[i] += _ticketAfter(slashes, slashes.length, id, uint32(c));
            }
        }
    }

    /// @inheritdoc IStakedToken
    function ticketOf(uint32 id, uint32 cohortEpoch) external view returns (uint256) {
        (, Walk memory walk) = _synced();
        return _ticketAfter(walk.slashes, walk.slashes.length, id, cohortEpoch);
    }

    /// @inheritdoc IStakedToken
    function syncedSlashes() external view returns (uint256) {
        return _stored.slashSeq;
    }

    /// @inheritdoc IStakedToken
    function liquidity() external view returns (Liquidity memory l) {
        Books memory books = _books();
        l.free = _free(books);
        l.delegatable = _delegatable(books);
        l.lacking = _lack(books);
        l.stakeable = FixedPointMathLib.zeroFloorSub(_stayers(books), books.target);
    }

    /// @inheritdoc IStakedToken
    function exitRange() external view returns (uint256 head, uint256 tail) {
        return (_exitHead, _exitTail);
    }

    /// @inheritdoc IStakedToken
    function exitOf(uint256 index) external view returns (uint256 assets, uint32 epoch, uint256 payableFrom) {
        (Books memory books, Walk memory walk) = _synced();
        Exit memory exit = _exits[index];
        uint256 head = _exitHead;
        bool walked = index >= head && index - head < walk.exits.length;
        assets = walked ? walk.exits[index - head] : exit.assets;
        return (assets, exit.epoch, exit.sealedAt == 0 ? 0 : _payableFrom(exit, books));
    }

    // ------------------------------------------------------------------------------------------------------- internals

    /// @dev Shares in existence.
    function _supply() internal view virtual returns (uint256);

    /// @dev The same without the walk.
    function _books() internal view returns (Books memory books) {
        (books,) = _synced();
    }

    /// @dev The books after every logged slash, as every view and action sees them.
    function _synced() internal view returns (Books memory books, Walk memory walk) {
        _syncTo(VAULT.slashSeq(), books, walk);
    }

    /// @dev Fills both with the books after slash `latest` and what it took. The aim of the buffer is set once per epoch, so
    /// that it stands still while somebody exits in steps (Q20).
    function _syncTo(uint256 latest, Books memory books, Walk memory walk) private view {
        _load(books);
        if (latest != books.slashSeq) _walk(books, walk, latest);
        uint256 epoch = block.timestamp < GENESIS ? 0 : currentEpoch();
        if (books.targetEpoch != epoch) {
            books.targetEpoch = epoch;
            books.target = _total(books) * BUFFER_BPS / _BPS;
        }
    }

    /// @dev Brings storage up to date, as far as the walk went. The caller stores the books when it has done its own changes;
    /// only after a loss they are stored here, before the cover fund's tokens move.
    function _sync() internal returns (Books memory books) {
        Walk memory walk;
        _syncTo(VAULT.slashSeq(), books, walk);
        if (walk.slashes.length != 0) _persist(books, walk);
    }

    /// @dev Applies at most `maxSlashes` logged slashes, for when very many are due.
    function _syncSome(uint256 maxSlashes) internal {
        Books memory books;
        Walk memory walk;
        uint256 most = FixedPointMathLib.saturatingAdd(_stored.slashSeq, maxSlashes);
        uint256 latest = VAULT.slashSeq();
        _syncTo(FixedPointMathLib.min(latest, most), books, walk);
        // The aim of the buffer is set for an epoch: not with slashes left out of the total.
        if (books.slashSeq != latest) (books.target, books.targetEpoch) = (_stored.target, _stored.targetEpoch);
        _persist(books, walk);
    }

    /// @dev Writes what the walk found; the books before the cover fund's tokens move.
    function _persist(Books memory books, Walk memory walk) private {
        for (uint256 k = 0; k < walk.slashes.length; ++k) {
            Slash memory slash = walk.slashes[k];
            Holding storage holding = _holdings[slash.id];
            holding.active = _valueAfter(slash, _POOL, holding.active).toUint104();
            uint256 last = holding.lastTicket;
            for (uint256 c = slash.first; c <= last; ++c) {
                // Cohorts are epochs, at most `lastTicket`.
                // forge-lint: disable-start(unsafe-typecast)
                uint256 booked = _tickets[slash.id][uint32(c)];
                if (booked != 0) _tickets[slash.id][uint32(c)] = _valueAfter(slash, c, booked);
                // forge-lint: disable-end(unsafe-typecast)
            }
        }
        uint256 head = _exitHead;
        for (uint256 i = 0; i < walk.exits.length; ++i) {
            Exit storage exit = _exits[head + i];
            if (exit.assets != walk.exits[i]) exit.assets = walk.exits[i].toUint128();
        }
        _store(books);
        if (walk.loss == 0) return;
        emit LossApplied(
            books.slashSeq, walk.loss, walk.exitsPart, walk.covered, walk.dripped, walk.feesPart, walk.carried
        );
        if (walk.bunker) emit BunkerEntered(books.bunkerUntil, uint32(books.bunkerSigma));
        if (walk.covered != 0) COVER_FUND.draw(walk.covered);
    }

    /// @dev Applies the slashes after `books.slashSeq` up to `latest`, in order, to the books in memory.
    function _walk(Books memory books, Walk memory walk, uint256 latest) private view {
        uint256 done = books.slashSeq;
        walk.slashes = new Slash[](latest - done);
        for (uint256 k = 0; k < walk.slashes.length; ++k) {
            _loadSlash(walk.slashes[k], done + 1 + k);
        }
        books.slashSeq = latest;
        _loadExits(walk);
        uint256 cover = COVER_FUND.held();
        for (uint256 k = 0; k < walk.slashes.length; ++k) {
            (uint256 lostActive, uint256 lostThawing) = _lossOf(walk.slashes, k);
            if (lostActive + lostThawing == 0) continue;
            cover -= _apply(books, walk, walk.slashes[k].sigma, lostActive, lostThawing, cover);
        }
    }

    /// @dev One slash: shares it, then lets cover and drip pay before the rate. Returns what the cover fund pays.
    function _apply(
        Books memory books,
        Walk memory walk,
        uint32 sigma,
        uint256 lostActive,
        uint256 lostThawing,
        uint256 cover
    ) private view returns (uint256 covered) {
        uint256 loss = lostActive + lostThawing;
        (uint256 stayersPart, uint256 feesPart, uint256 exitsPart, uint256 base) =
            LossSharing.share(loss, _stayers(books), books.fees, walk.exits, walk.epochs, sigma);
        books.active -= lostActive;
        books.thawing -= lostThawing;
        books.owed -= exitsPart;
        books.fees -= feesPart;

        covered = FixedPointMathLib.min(cover, stayersPart);
        books.buffer += covered;
        uint256 dripped;
        (books.drip, dripped) = books.drip.take(stayersPart - covered, block.timestamp);
        uint256 carried = stayersPart - covered - dripped;
        books.lossCarry += carried;

        if (loss * _BPS >= base * BUNKER_LOSS_BPS) {
            bool closed = block.timestamp < books.bunkerUntil;
            books.bunkerSigma = closed ? FixedPointMathLib.min(books.bunkerSigma, sigma) : sigma;
            books.bunkerUntil = block.timestamp + BUNKER_SECONDS;
            walk.bunker = true;
        }
        walk.loss += loss;
        walk.exitsPart += exitsPart;
        walk.covered += covered;
        walk.dripped += dripped;
        walk.feesPart += feesPart;
        walk.carried += carried;
    }

    /// @dev The cohorts are those that the vault itself slashes, seen from the last one with a ticket. A ticket that matured
    /// before the slash and was not collected may be booked too low by this; then `collect` finds more than was booked,
    /// which `skim` lets drip. The slasher takes no evidence that old.
    function _loadSlash(Slash memory slash, uint256 seq) private view {
        uint32 before;
        (slash.id, slash.sigma, before, slash.fraction) = VAULT.slashAt(seq);
        slash.first = FixedPointMathLib.max(
            FixedPointMathLib.zeroFloorSub(slash.sigma, 1),
            FixedPointMathLib.zeroFloorSub(_holdings[slash.id].lastTicket, UNBONDING_EPOCHS + 2)
        );
        slash.end = before == ALL_LATER ? _NEVER : before - 1;
    }

    /// @dev What slash `k` takes of the booked stake in its pool and of the tickets it reaches, those before it in `slashes`
    /// applied.
    function _lossOf(Slash[] memory slashes, uint256 k) private view returns (uint256 active, uint256 thawing) {
        Slash memory slash = slashes[k];
        uint256 booked = _activeOf(slashes, k, slash.id);
        active = booked - _valueAfter(slash, _POOL, booked);
        uint256 last = _holdings[slash.id].lastTicket;
        for (uint256 c = slash.first; c <= last; ++c) {
            // forge-lint: disable-next-line(unsafe-typecast)
            booked = _ticketAfter(slashes, k, slash.id, uint32(c));
            thawing += booked - _valueAfter(slash, c, booked);
        }
    }

    /// @dev Booked stake with an operator after the first `count` of `slashes`.
    function _activeOf(Slash[] memory slashes, uint256 count, uint32 id) internal view returns (uint256) {
        return _bookedAfter(slashes, count, id, _POOL, _holdings[id].active);
    }

    /// @dev Booked stake of a cohort after the first `count` of `slashes`.
    function _ticketAfter(Slash[] memory slashes, uint256 count, uint32 id, uint32 cohort)
        internal
        view
        returns (uint256)
    {
        return _bookedAfter(slashes, count, id, cohort, _tickets[id][cohort]);
    }

    function _bookedAfter(Slash[] memory slashes, uint256 count, uint32 id, uint256 cohort, uint256 booked)
        private
        pure
        returns (uint256)
    {
        if (booked == 0) return 0;
        for (uint256 j = 0; j < count; ++j) {
            if (slashes[j].id == id) booked = _valueAfter(slashes[j], cohort, booked);
        }
        return booked;
    }

    /// @dev What a cohort of the slashed operator, or `_POOL`, is booked at after the slash.
    function _valueAfter(Slash memory slash, uint256 cohort, uint256 booked) private pure returns (uint256) {
        bool pays = cohort >= slash.first && cohort < slash.end;
        return pays ? LossSharing.valueAfter(booked, slash.fraction) : booked;
    }

    function _loadExits(Walk memory walk) private view {
        uint256 head = _exitHead;
        uint256 count = _exitTail - head;
        walk.exits = new uint256[](count);
        walk.epochs = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            Exit storage exit = _exits[head + i];
            (walk.exits[i], walk.epochs[i]) = (exit.assets, exit.epoch);
        }
    }

    /// @dev What the vault would pay for the stake with an operator, and below for a cohort.
    function _realActive(uint32 id) internal view returns (uint256 real) {
        (, real) = VAULT.positionOf(id, address(this));
    }

    function _realTicket(uint32 id, uint32 cohort) internal view returns (uint256) {
        (uint256 tokens, uint256 shares) = VAULT.thawOf(id, cohort);
        return FixedPointMathLib.fullMulDiv(tokens, VAULT.thawSharesOf(id, cohort, address(this)), shares);
    }

    function _held(Books memory books) internal pure returns (uint256) {
        return books.buffer + books.active + books.thawing;
    }

    /// @dev What belongs to those who stay: the price's assets and the drip. Saturating, here and below: should dust ever be
    /// missing after a loss of everything, exits must not revert for it.
    function _stayers(Books memory books) internal pure returns (uint256) {
        return FixedPointMathLib.zeroFloorSub(_held(books), books.owed + books.fees);
    }

    /// @dev Assets of the price, now.
    function _total(Books memory books) internal view returns (uint256) {
        return FixedPointMathLib.zeroFloorSub(_stayers(books), books.drip.lockedUp(block.timestamp));
    }

    /// @dev Buffer that neither sealed exits nor fees need (Q19).
    function _free(Books memory books) internal pure returns (uint256) {
        return FixedPointMathLib.zeroFloorSub(books.buffer, books.owed + books.fees);
    }

    /// @dev What exits, fees and the buffer's aim need beyond buffer and thawing stake; nothing while half of the aim is met,
    /// so that stake is not taken out in crumbs. What comes back goes out again only above the aim (`_delegatable`).
    function _lack(Books memory books) internal pure returns (uint256) {
        uint256 needed = books.owed + books.fees;
        uint256 there = books.buffer + books.thawing;
        if (there >= needed + books.target / 2) return 0;
        return needed + books.target - there;
    }

    function _delegatable(Books memory books) internal pure returns (uint256) {
        return FixedPointMathLib.zeroFloorSub(_free(books), books.target);
    }

    /// @dev An exit is held for an epoch, in which a fault is normally convicted; while much of the stake is accused, as
    /// long as a verdict takes; in the bunker an exit that answers for its cause waits for the end.
    function _payableFrom(Exit memory exit, Books memory books) internal view returns (uint256 from) {
        from = FixedPointMathLib.max(exit.sealedAt + EPOCH_SECONDS, _heldUntil(exit.sealedAt));
        if (LossSharing.isLiable(exit.epoch, uint32(books.bunkerSigma))) {
            from = FixedPointMathLib.max(from, books.bunkerUntil);
        }
    }

    /// @dev See `IFaultWatch`; 0 unless much of the stake is accused.
    function _heldUntil(uint256 since) internal view returns (uint256) {
        return FAULT_WATCH.heldUntil(since);
    }

    function _toSharesDown(uint256 assets, Books memory books) internal view returns (uint256) {
        return FixedPointMathLib.fullMulDiv(assets, _supply() + 1, _total(books) + 1);
    }

    function _toSharesUp(uint256 assets, Books memory books) internal view returns (uint256) {
        return FixedPointMathLib.fullMulDivUp(assets, _supply() + 1, _total(books) + 1);
    }

    function _toAssetsDown(uint256 shares, Books memory books) internal view returns (uint256) {
        return FixedPointMathLib.fullMulDiv(shares, _total(books) + 1, _supply() + 1);
    }

    function _toAssetsUp(uint256 shares, Books memory books) internal view returns (uint256) {
        return FixedPointMathLib.fullMulDivUp(shares, _total(books) + 1, _supply() + 1);
    }

    function _load(Books memory books) private view {
        Stored memory s = _stored;
        books.buffer = s.buffer;
        books.active = s.active;
        books.thawing = s.thawing;
        books.owed = s.owed;
        books.fees = s.fees;
        books.lossCarry = s.lossCarry;
        (books.drip.amount, books.drip.start, books.drip.end) = (s.dripAmount, s.dripStart, s.dripEnd);
        books.feeBps = s.feeBps;
        books.target = s.target;
        books.targetEpoch = s.targetEpoch;
        books.slashSeq = s.slashSeq;
        books.bunkerUntil = s.bunkerUntil;
        books.bunkerSigma = s.bunkerSigma;
    }

    /// @dev One check for all amounts; times and counts are far from their limits.
    function _store(Books memory books) internal {
        uint256 all = books.buffer | books.active | books.thawing | books.owed | books.fees | books.lossCarry
            | books.drip.amount << 16 | books.target << 16;
        if (all >> 128 != 0) revert StakedToken_BooksTooLarge();
        // forge-lint: disable-start(unsafe-typecast)
        _stored = Stored({
            buffer: uint128(books.buffer),
            fees: uint128(books.fees),
            active: uint128(books.active),
            thawing: uint128(books.thawing),
            owed: uint128(books.owed),
            lossCarry: uint128(books.lossCarry),
            dripAmount: uint112(books.drip.amount),
            dripStart: uint64(books.drip.start),
            dripEnd: uint64(books.drip.end),
            feeBps: uint16(books.feeBps),
            target: uint112(books.target),
            targetEpoch: uint32(books.targetEpoch),
            slashSeq: uint32(books.slashSeq),
            bunkerSigma: uint32(books.bunkerSigma),
            bunkerUntil: uint48(books.bunkerUntil)
        });
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// @dev Numbers of the constructor's figures, in the order of `Config`.
    function _checkRange(uint256 parameter, uint256 value, uint256 minimum, uint256 maximum) internal pure {
        if (value < minimum || value > maximum) revert StakedToken_OutOfRange(parameter, value);
    }
}
