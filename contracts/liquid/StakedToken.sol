// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

import {IAllocator} from "../interfaces/IAllocator.sol";
import {IERC7575, IERC7575Share} from "../interfaces/IERC7575.sol";
import {IExitFee} from "../interfaces/IExitFee.sol";
import {IGuardian} from "../interfaces/IGuardian.sol";
import {IRewardVault} from "../interfaces/IRewardVault.sol";
import {IStakedToken} from "../interfaces/IStakedToken.sol";
import {Drip} from "./Drip.sol";
import {ExitFee} from "./ExitFee.sol";
import {ExitWindow} from "./ExitWindow.sol";
import {Governed} from "./Governed.sol";
import {ShareToken} from "./ShareToken.sol";
import {StakeLedger} from "./StakeLedger.sol";

/// @title StakedToken
/// @dev Specified by `IStakedToken`. Every action loads the synced books, changes them in memory, and stores them before
/// tokens leave; tokens come in before anything is changed. So a token that calls back sees one consistent price.
contract StakedToken is StakeLedger, ShareToken, Governed, ReentrancyGuardTransient {
    // Every entry is guarded, and what `_sync` calls is the cover fund that the constructor named.
    // slither-disable-start reentrancy-no-eth
    using Drip for Drip.Stretch;
    using ExitWindow for ExitWindow.Window;
    using SafeCast for uint256;

    /// @inheritdoc IStakedToken
    uint16 public constant MAX_FEE_BPS = 1000;

    /// @inheritdoc IStakedToken
    uint256 public constant SEED = 1e18;

    /// @inheritdoc IStakedToken
    uint256 public constant MIN_DELEGATION = 1e18;

    address private constant _NOBODY = 0x000000000000000000000000000000000000dEaD;

    /// @dev Taken out beyond what exits lack, because the vault rounds each undelegation and claim down.
    uint256 private constant _ROUNDING_MARGIN = 1000;

    /// @dev Operators that one call takes stake out of: bounds the gas of a seal.
    uint256 private constant _MOST_DRAWN = 16;

    /// @dev Below this worth of a share (1e18 = one) no stake comes in any more: after a loss of nearly everything new
    /// shares would be too many for the books.
    uint256 private constant _LEAST_RATE = 1e12;

    /// @dev Most cohorts without a ticket that one `collect` passes over.
    uint256 private constant _MOST_SKIPPED = 64;

    /// @dev No deposit may lift the books near their 128 bits.
    uint256 private constant _MAX_HELD = type(uint112).max / 2;

    address private immutable TOKEN;
    IRewardVault private immutable REWARD_VAULT;
    IAllocator private immutable ALLOCATOR;
    address private immutable EXIT_QUEUE;
    IGuardian private immutable GUARDIAN;
    IExitFee private immutable EXIT_FEE;
    uint256 private immutable MAX_SHARE_BPS;
    uint256 private immutable DRIP_SECONDS;
    uint256 private immutable MAX_DRIP_SECONDS;
    uint256 private immutable WINDOW_WAD;
    uint256 private immutable WINDOW_SECONDS;

    /// @dev Parts of all assets, 1e18 = all, that left instantly.
    ExitWindow.Window private _window;

    /// @dev Token wei that came in by deposits in this transaction and did not leave yet. What comes and goes in one
    /// transaction moves nothing, so it must not use up the window of all (a loan pays for it). Nothing more is given back
    /// for deposits: those of the unknowing would make room for those who know of a fault.
    uint256 private transient _entered;

    address private _feeRecipient;

    constructor(Config memory config) StakeLedger(config) ERC20(config.name, config.symbol) Governed(config.authority) {
        if (
            config.token == address(0) || config.rewardVault == address(0) || config.allocator == address(0)
                || config.exitQueue == address(0) || config.guardian == address(0)
        ) revert StakedToken_ZeroAddress();
        _checkRange(2, config.exitFloorBps, 0, 100);
        _checkRange(3, config.exitSpanBps, 0, 1000);
        _checkRange(4, config.windowBps, 1, 10_000);
        _checkRange(5, config.windowSeconds, 1, type(uint32).max);
        _checkRange(6, config.maxShareBps, 1, 10_000);
        _checkRange(9, config.dripSeconds, config.epochSeconds, type(uint32).max);
        _checkRange(10, config.maxDripSeconds, config.dripSeconds, type(uint32).max);
        TOKEN = config.token;
        REWARD_VAULT = IRewardVault(config.rewardVault);
        ALLOCATOR = IAllocator(config.allocator);
        EXIT_QUEUE = config.exitQueue;
        GUARDIAN = IGuardian(config.guardian);
        EXIT_FEE = new ExitFee(config.exitFloorBps, config.exitSpanBps);
        MAX_SHARE_BPS = config.maxShareBps;
        DRIP_SECONDS = config.dripSeconds;
        MAX_DRIP_SECONDS = config.maxDripSeconds;
        WINDOW_WAD = uint256(config.windowBps) * 1e14;
        WINDOW_SECONDS = config.windowSeconds;
        _setFee(config.feeBps, config.feeRecipient);

        _stored.buffer = SEED.toUint128();
        _mint(_NOBODY, SEED);
        emit VaultUpdate(config.token, address(this));
        SafeTransferLib.safeApprove(config.token, address(VAULT), type(uint256).max);
        // What others claim for this contract would look like a donation.
        IRewardVault(config.rewardVault).setClaimsItself(true);
        _pull(SEED, SEED);
    }

    // ------------------------------------------------------------------------------------------- deposit, instant exit

    /// @inheritdoc IERC7575
    function deposit(uint256 assets, address receiver) external nonReentrant returns (uint256 shares) {
        Books memory books = _sync();
        shares = _toSharesDown(assets, books);
        _deposit(books, assets, shares, receiver);
    }

    /// @inheritdoc IERC7575
    function mint(uint256 shares, address receiver) external nonReentrant returns (uint256 assets) {
        Books memory books = _sync();
        assets = _toAssetsUp(shares, books);
        _deposit(books, assets, shares, receiver);
    }

    /// @inheritdoc IERC7575
    function withdraw(uint256 assets, address receiver, address owner) external nonReentrant returns (uint256 shares) {
        Books memory books = _sync();
        uint256 gross = assets + _feeUp(assets, books);
        shares = _toSharesUp(gross, books);
        _exitInstantly(books, assets, gross, shares, receiver, owner);
    }

    /// @inheritdoc IERC7575
    function redeem(uint256 shares, address receiver, address owner) external nonReentrant returns (uint256 assets) {
        Books memory books = _sync();
        uint256 gross = _toAssetsDown(shares, books);
        assets = _netDown(gross, books);
        _exitInstantly(books, assets, gross, shares, receiver, owner);
    }

    // ------------------------------------------------------------------------------------------------- exits at value

    /// @inheritdoc IStakedToken
    function escrowShares(address owner, address spender, uint256 shares) external {
        _onlyExitQueue();
        if (spender != owner) _spendAllowance(owner, spender, shares);
        _transfer(owner, EXIT_QUEUE, shares);
    }

    /// @inheritdoc IStakedToken
    function sealExit(uint256 shares) external nonReentrant returns (uint256 index, uint256 assets) {
        _onlyExitQueue();
        Books memory books = _sync();
        uint32 epoch = currentEpoch();
        index = _exitTail;
        if (index != 1 && _exits[index - 1].epoch == epoch) revert StakedToken_SealedThisEpoch(epoch);
        assets = _toAssetsDown(shares, books);
        _burn(EXIT_QUEUE, shares);
        books.owed += assets;
        _exits[index] = Exit({assets: assets.toUint128(), epoch: epoch, sealedAt: block.timestamp.toUint64()});
        _exitTail = (index + 1).toUint128();
        emit ExitSealed(index, epoch, shares, assets);
        _replenish(books);
        _store(books);
    }

    /// @inheritdoc IStakedToken
    function releaseExit() external nonReentrant returns (uint256 index, uint256 assets) {
        _onlyExitQueue();
        Books memory books = _sync();
        index = _exitHead;
        if (index == _exitTail) revert StakedToken_NothingSealed();
        uint256 from = _payableFrom(_exits[index], books);
        if (block.timestamp < from) revert StakedToken_ExitHeld(from);
        assets = _exits[index].assets;
        if (assets > books.buffer) revert StakedToken_BufferTooLow(assets, books.buffer);
        books.buffer -= assets;
        books.owed -= assets;
        delete _exits[index].assets;
        _exitHead = (index + 1).toUint128();
        _store(books);
        emit ExitReleased(index, assets);
        if (assets != 0) SafeTransferLib.safeTransfer(TOKEN, EXIT_QUEUE, assets);
    }

    // --------------------------------------------------------------------------------------------------------- keeping

    /// @inheritdoc IStakedToken
    function harvest(uint32[] calldata ids, uint256 maxSegments) external nonReentrant returns (uint256 gain) {
        Books memory books = _sync();
        uint256 duration = DRIP_SECONDS;
        for (uint256 i = 0; i < ids.length; ++i) {
            uint32 id = ids[i];
            uint256 from = REWARD_VAULT.paidThrough(id, address(this));
            uint256 part = REWARD_VAULT.claim(id, address(this), maxSegments);
            if (part == 0) continue;
            gain += part;
            duration = FixedPointMathLib.max(duration, _vestingOf(id, from));
        }
        _bookGain(books, gain, duration);
        _store(books);
    }

    /// @inheritdoc IStakedToken
    function skim() external nonReentrant returns (uint256 gain) {
        Books memory books = _sync();
        // What is here beyond the books becomes a gain that vests slowly: no price follows the balance.
        gain = FixedPointMathLib.zeroFloorSub(SafeTransferLib.balanceOf(TOKEN, address(this)), books.buffer);
        if (gain == 0) revert StakedToken_NothingToSkim();
        _bookGain(books, gain, MAX_DRIP_SECONDS);
        _store(books);
    }

    /// @inheritdoc IStakedToken
    function delegate() external nonReentrant returns (uint32 id, uint256 amount) {
        Books memory books = _sync();
        _store(books);
        uint256 available = _delegatable(books);
        if (available >= MIN_DELEGATION) (id, amount) = ALLOCATOR.nextDelegation(available);
        if (amount < MIN_DELEGATION || amount > available) revert StakedToken_NothingToDelegate(available);

        VAULT.delegate(id, amount);
        Holding storage holding = _holdings[id];
        uint256 before = holding.active;
        uint256 booked = FixedPointMathLib.min(before + amount, _realActive(id));
        if (holding.since == 0) holding.since = currentEpoch();
        holding.active = booked.toUint104();
        books.buffer -= amount;
        books.active = books.active - before + booked;
        _store(books);
        emit StakeDelegated(id, amount);
    }

    /// @inheritdoc IStakedToken
    function rebalance(uint32 id) external nonReentrant returns (uint256 amount) {
        Books memory books = _sync();
        _store(books);
        amount = ALLOCATOR.excessOf(id);
        if (amount == 0) revert StakedToken_NothingToRebalance(id);
        _undelegate(books, id, amount);
        _store(books);
    }

    /// @inheritdoc IStakedToken
    function replenish() external nonReentrant returns (uint256 amount) {
        Books memory books = _sync();
        amount = _replenish(books);
        if (amount == 0) revert StakedToken_NothingLacking();
        _store(books);
    }

    /// @inheritdoc IStakedToken
    function collect(uint32 id, uint32 cohortEpoch) external nonReentrant returns (uint256 amount) {
        Books memory books = _sync();
        uint256 booked = _tickets[id][cohortEpoch];
        amount = FixedPointMathLib.min(VAULT.claim(id, cohortEpoch), booked);
        delete _tickets[id][cohortEpoch];
        books.thawing -= booked;
        books.buffer += amount;
        _store(books);
        _skipCollected(id);
        emit TicketCollected(id, cohortEpoch, amount);
    }

    /// @inheritdoc IStakedToken
    function sync(uint256 maxSlashes) external nonReentrant {
        _syncSome(maxSlashes);
    }

    /// @inheritdoc IStakedToken
    function collectFees() external nonReentrant returns (uint256 amount) {
        Books memory books = _sync();
        amount = FixedPointMathLib.min(books.fees, FixedPointMathLib.zeroFloorSub(books.buffer, books.owed));
        if (amount == 0) revert StakedToken_NothingToCollect();
        books.fees -= amount;
        books.buffer -= amount;
        _store(books);
        emit FeesCollected(_feeRecipient, amount);
        SafeTransferLib.safeTransfer(TOKEN, _feeRecipient, amount);
    }

    /// @inheritdoc IStakedToken
    function setFee(uint16 newFeeBps, address recipient) external restricted {
        _setFee(newFeeBps, recipient);
    }

    // ----------------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IERC7575
    function asset() external view returns (address) {
        return TOKEN;
    }

    /// @inheritdoc IERC7575
    function share() external view returns (address) {
        return address(this);
    }

    /// @inheritdoc IERC7575Share
    function vault(address asset_) external view returns (address) {
        return asset_ == TOKEN ? address(this) : address(0);
    }

    /// @inheritdoc IERC7575
    function totalAssets() external view returns (uint256) {
        Books memory books = _books();
        return _total(books);
    }

    /// @inheritdoc IERC7575
    function convertToShares(uint256 assets) external view returns (uint256) {
        return previewDeposit(assets);
    }

    /// @inheritdoc IERC7575
    function convertToAssets(uint256 shares) external view returns (uint256) {
        Books memory books = _books();
        return _toAssetsDown(shares, books);
    }

    /// @inheritdoc IERC7575
    function previewDeposit(uint256 assets) public view returns (uint256) {
        Books memory books = _books();
        return _toSharesDown(assets, books);
    }

    /// @inheritdoc IERC7575
    function previewMint(uint256 shares) external view returns (uint256) {
        Books memory books = _books();
        return _toAssetsUp(shares, books);
    }

    /// @inheritdoc IERC7575
    function previewWithdraw(uint256 assets) external view returns (uint256) {
        Books memory books = _books();
        return _toSharesUp(assets + _feeUp(assets, books), books);
    }

    /// @inheritdoc IERC7575
    function previewRedeem(uint256 shares) external view returns (uint256) {
        Books memory books = _books();
        return _netDown(_toAssetsDown(shares, books), books);
    }

    /// @inheritdoc IERC7575
    function maxDeposit(address) public view returns (uint256) {
        Books memory books = _books();
        return _isOpen(books) ? _maxDeposit(books) : 0;
    }

    /// @inheritdoc IERC7575
    function maxMint(address) external view returns (uint256) {
        Books memory books = _books();
        return _isOpen(books) ? _toSharesDown(_maxDeposit(books), books) : 0;
    }

    /// @inheritdoc IERC7575
    function maxWithdraw(address owner) external view returns (uint256) {
        Books memory books = _books();
        if (!_isOpen(books)) return 0;
        return FixedPointMathLib.min(_netDown(_toAssetsDown(balanceOf(owner), books), books), _maxInstant(books));
    }

    /// @inheritdoc IERC7575
    function maxRedeem(address owner) external view returns (uint256) {
        Books memory books = _books();
        if (!_isOpen(books)) return 0;
        uint256 held = balanceOf(owner);
        uint256 limit = _maxInstant(books);
        if (_netDown(_toAssetsDown(held, books), books) <= limit) return held;
        // One share less than what pays `limit`, so that rounding cannot pay a wei more than there is.
        uint256 shares = _toSharesUp(limit + _feeUp(limit, books), books);
        return FixedPointMathLib.min(held, FixedPointMathLib.zeroFloorSub(shares, 1));
    }

    /// @inheritdoc IStakedToken
    function instantFee(uint256 net) external view returns (uint256) {
        Books memory books = _books();
        return _feeUp(net, books);
    }

    /// @inheritdoc IStakedToken
    function operatorOf(uint32 id) external view returns (uint32 firstTicket, uint32 lastTicket) {
        Holding storage holding = _holdings[id];
        return (holding.firstTicket, holding.lastTicket);
    }

    /// @inheritdoc IStakedToken
    function feeInfo() external view returns (uint16 feeBps, address recipient) {
        return (_stored.feeBps, _feeRecipient);
    }

    /// @inheritdoc IStakedToken
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IERC7575).interfaceId
            || interfaceId == type(IERC7575Share).interfaceId;
    }

    /// @inheritdoc IStakedToken
    function exitQueue() external view returns (address) {
        return EXIT_QUEUE;
    }

    // ------------------------------------------------------------------------------------------------------- internals

    function _deposit(Books memory books, uint256 assets, uint256 shares, address receiver) private {
        _requireOpen(books);
        uint256 limit = _maxDeposit(books);
        if (assets > limit) revert StakedToken_DepositTooLarge(assets, limit);
        if (shares == 0 && assets != 0) revert StakedToken_ZeroShares(assets);
        books.buffer += assets;
        _entered += assets;
        _pull(assets, books.buffer);
        _store(books);
        _mint(receiver, shares);
        emit Deposit(msg.sender, receiver, assets, shares);
    }

    /// @dev Takes tokens from the caller and sees Q1 kept on the spot; nothing is priced by the balance.
    function _pull(uint256 assets, uint256 buffer) private {
        SafeTransferLib.safeTransferFrom(TOKEN, msg.sender, address(this), assets);
        uint256 balance = SafeTransferLib.balanceOf(TOKEN, address(this));
        if (balance < buffer) revert StakedToken_TokenTookFee(balance, buffer);
    }

    /// @dev `gross` is what the shares are worth, `net` what is paid; the rest drips.
    function _exitInstantly(
        Books memory books,
        uint256 net,
        uint256 gross,
        uint256 shares,
        address receiver,
        address owner
    ) private {
        _requireOpen(books);
        uint256 free = _free(books);
        if (net > free) revert StakedToken_BufferTooLow(net, free);
        if (net != 0) {
            uint256 total = _total(books);
            uint256 left = _window.left(WINDOW_WAD, WINDOW_SECONDS);
            uint256 entered = _entered;
            _entered = FixedPointMathLib.zeroFloorSub(entered, net);
            uint256 part = FixedPointMathLib.fullMulDivUp(FixedPointMathLib.zeroFloorSub(net, entered), 1e18, total);
            if (part > left) revert StakedToken_WindowUsedUp(net, FixedPointMathLib.fullMulDiv(left, total, 1e18));
            if (part != 0) _window.set(WINDOW_WAD - left + part);
        }
        if (msg.sender != owner) _spendAllowance(owner, msg.sender, shares);
        _burn(owner, shares);
        books.buffer -= net;
        if (gross != net) books.drip = books.drip.add(gross - net, DRIP_SECONDS, block.timestamp);
        _store(books);
        emit InstantExit(owner, net, gross - net);
        emit Withdraw(msg.sender, receiver, owner, net, shares);
        SafeTransferLib.safeTransfer(TOKEN, receiver, net);
    }

    /// @dev Losses carried are made up for first, free of fee; they drip as all gains do.
    function _bookGain(Books memory books, uint256 gain, uint256 duration) private {
        if (gain == 0) return;
        uint256 refill = FixedPointMathLib.min(gain, books.lossCarry);
        uint256 fee = (gain - refill) * books.feeBps / _BPS;
        books.lossCarry -= refill;
        books.fees += fee;
        books.buffer += gain;
        books.drip = books.drip.add(gain - fee, duration, block.timestamp);
        emit GainBooked(gain, fee, books.drip.end);
    }

    /// @dev Undelegates what exits, fees and the buffer lack, and a margin for roundings, from so many operators at most; the
    /// rest is for the next call. Returns 0 if nothing lacks.
    function _replenish(Books memory books) private returns (uint256 amount) {
        uint256 lack = _lack(books);
        if (lack == 0) return 0;
        _store(books);
        (uint32[] memory ids, uint256[] memory amounts) = ALLOCATOR.planExit(lack + _ROUNDING_MARGIN, _MOST_DRAWN);
        for (uint256 i = 0; i < ids.length; ++i) {
            amount += _undelegate(books, ids[i], amounts[i]);
        }
    }

    /// @dev Books at most what the vault would pay, on both sides. The vault moves at least `amount`, since the units to
    /// burn are rounded up and are held whenever `amount` is booked.
    function _undelegate(Books memory books, uint32 id, uint256 amount) private returns (uint256) {
        Holding storage holding = _holdings[id];
        uint256 before = holding.active;
        amount = FixedPointMathLib.min(amount, before);
        if (amount == 0) return 0;
        uint256 burned = VAULT.units(id, address(this));
        if (amount != before) {
            (uint256 tokens, uint256 units) = VAULT.pool(id);
            burned = FixedPointMathLib.min(burned, FixedPointMathLib.fullMulDivUp(amount, units, tokens));
        }
        (, uint32 cohort,) = VAULT.undelegate(id, burned);
        uint256 active = FixedPointMathLib.min(before - amount, _realActive(id));
        uint256 booked = _tickets[id][cohort];
        uint256 ticket = FixedPointMathLib.min(booked + amount, _realTicket(id, cohort));
        uint32 last = holding.lastTicket;
        if (holding.firstTicket == last && _tickets[id][last] == 0) holding.firstTicket = cohort;
        (holding.active, holding.lastTicket) = (active.toUint104(), cohort);
        _tickets[id][cohort] = ticket;
        books.active = books.active - before + active;
        books.thawing = books.thawing - booked + ticket;
        emit StakeUndelegated(id, cohort, amount);
        return amount;
    }

    /// @dev Over how many seconds rewards of an operator for the epochs after `from` vest: over as many epochs as are
    /// credited at once, however many calls claim them.
    function _vestingOf(uint32 id, uint256 from) private returns (uint256 duration) {
        Holding storage holding = _holdings[id];
        // Before the first claim nothing was earned without stake.
        if (from == 0) from = holding.since;
        duration = FixedPointMathLib.zeroFloorSub(REWARD_VAULT.lastCredited(id), from) * EPOCH_SECONDS;
        duration = FixedPointMathLib.min(duration, MAX_DRIP_SECONDS);
        uint256 promised = FixedPointMathLib.zeroFloorSub(holding.vestsUntil, block.timestamp);
        if (duration <= promised) return promised;
        // What takes no longer than all gains do need not be remembered.
        // forge-lint: disable-next-line(unsafe-typecast)
        if (duration > DRIP_SECONDS) holding.vestsUntil = uint56(block.timestamp + duration);
    }

    /// @dev Moves the first ticket on to one that is booked. In steps, so that no gap can make `collect` too expensive.
    function _skipCollected(uint32 id) private {
        Holding storage holding = _holdings[id];
        uint32 first = holding.firstTicket;
        uint256 end = FixedPointMathLib.min(holding.lastTicket, uint256(first) + _MOST_SKIPPED);
        while (first < end && _tickets[id][first] == 0) ++first;
        holding.firstTicket = first;
    }

    function _setFee(uint16 newFeeBps, address recipient) private {
        if (newFeeBps > MAX_FEE_BPS) revert StakedToken_FeeTooHigh(newFeeBps, MAX_FEE_BPS);
        if (recipient == address(0)) revert StakedToken_ZeroAddress();
        (_stored.feeBps, _feeRecipient) = (newFeeBps, recipient);
        emit FeeChanged(newFeeBps, recipient);
    }

    function _onlyExitQueue() private view {
        if (msg.sender != EXIT_QUEUE) revert StakedToken_NotExitQueue(msg.sender);
    }

    function _isOpen(Books memory books) private view returns (bool) {
        return block.timestamp >= books.bunkerUntil && !GUARDIAN.isPaused() && _heldUntil(block.timestamp) == 0;
    }

    function _requireOpen(Books memory books) private view {
        if (GUARDIAN.isPaused()) revert StakedToken_Paused();
        if (block.timestamp < books.bunkerUntil) revert StakedToken_Bunker(books.bunkerUntil);
        if (_heldUntil(block.timestamp) != 0) revert StakedToken_Accused();
    }

    /// @dev So much that with it this token makes up `maxShareBps` of all stake, its own not yet staked part included.
    function _maxDeposit(Books memory books) private view returns (uint256) {
        if (_total(books) + 1 < FixedPointMathLib.fullMulDivUp(totalSupply(), _LEAST_RATE, 1e18)) return 0;
        uint256 stayers = _stayers(books);
        uint256 limit = _MAX_HELD;
        if (MAX_SHARE_BPS != _BPS) {
            uint256 others = FixedPointMathLib.zeroFloorSub(VAULT.totalStaked(), books.active);
            limit = others * MAX_SHARE_BPS / (_BPS - MAX_SHARE_BPS);
        }
        return FixedPointMathLib.zeroFloorSub(limit, stayers);
    }

    /// @dev What may leave instantly now, whoever asks.
    function _maxInstant(Books memory books) private view returns (uint256) {
        uint256 left = _window.left(WINDOW_WAD, WINDOW_SECONDS);
        uint256 window = FixedPointMathLib.fullMulDiv(left, _total(books), 1e18);
        return FixedPointMathLib.min(_free(books), window);
    }

    /// @dev The fee of an instant exit that pays out `net`.
    function _feeUp(uint256 net, Books memory books) private view returns (uint256) {
        return EXIT_FEE.feeUp(net, _free(books), books.target);
    }

    /// @dev What an instant exit of shares worth `gross` pays out.
    function _netDown(uint256 gross, Books memory books) private view returns (uint256) {
        return EXIT_FEE.netDown(gross, _free(books), books.target);
    }

    function _supply() internal view override returns (uint256) {
        return totalSupply();
    }
    // slither-disable-end reentrancy-no-eth
}
