// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

import {EpochClock} from "../base/EpochClock.sol";
import {ISequencerRegistry} from "../interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "../interfaces/ISequencerSet.sol";
import {ISlashEscrow} from "../interfaces/ISlashEscrow.sol";
import {FaultKind, ISlasher} from "../interfaces/ISlasher.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {EpochShares} from "./EpochShares.sol";

/// @title Slasher
contract Slasher is ISlasher, EpochClock, AccessManaged, ReentrancyGuardTransient {
    using EpochShares for EpochShares.Shares;

    /// @dev One slot. `nextSigma` is the first epoch that does not belong to the latest absence.
    struct Absences {
        uint32 lastSigma;
        uint32 nextSigma;
    }

    /// @inheritdoc ISlasher
    uint256 public constant MIN_RATE = 0.05e18;

    /// @inheritdoc ISlasher
    uint32 public constant MAX_CORRELATION_EPOCHS = 16;

    uint256 private constant _WAD = 1e18;

    /// @dev 9 · share²: one third of the weight, enough to stop the chain or to split it, loses everything.
    uint256 private constant _CORRELATION_FACTOR = 9;

    uint256 private constant _REPEAT_PERIOD = 30 days;

    /// @inheritdoc ISlasher
    uint32 public immutable EVIDENCE_EPOCHS;

    /// @inheritdoc ISlasher
    uint32 public immutable CORRELATION_EPOCHS;

    /// @inheritdoc ISlasher
    uint64 public immutable APPEAL_WINDOW;

    /// @inheritdoc ISlasher
    address public immutable offlineFault;

    IStakeVault private immutable VAULT;
    ISequencerRegistry private immutable REGISTRY;
    ISequencerSet private immutable SET;
    ISlashEscrow private immutable ESCROW;

    /// @dev The vault's: stake that stopped backing σ with the end of its service stays that long.
    uint32 private immutable UNBONDING_EPOCHS;

    /// @inheritdoc ISlasher
    mapping(address module => bool allowed) public isModule;

    mapping(uint32 id => Conviction conviction) private _convictions;

    /// @dev The share of an operator in each set it is convicted under, 0 in the others.
    mapping(uint32 id => EpochShares.Shares shares) private _proven;

    /// @dev Of each epoch, the shares proven within `CORRELATION_EPOCHS` of it: of each operator the largest, once.
    EpochShares.Shares private _correlated;

    mapping(uint32 id => Absences absences) private _absences;

    mapping(uint32 id => mapping(uint32 sigma => OfflineCase offlineCase)) private _cases;

    constructor(Config memory config) EpochClock(config.genesis, config.epochSeconds) AccessManaged(config.authority) {
        if (
            config.vault == address(0) || config.registry == address(0) || config.sequencerSet == address(0)
                || config.escrow == address(0)
        ) revert Slasher_ZeroAddress();
        for (uint256 i = 0; i < config.modules.length; ++i) {
            address module = config.modules[i];
            if (module == address(0)) revert Slasher_ZeroAddress();
            if (isModule[module] || module == config.offlineFault) revert Slasher_DuplicateModule(module);
            isModule[module] = true;
        }
        UNBONDING_EPOCHS = IStakeVault(config.vault).UNBONDING_EPOCHS();
        if (config.evidenceEpochs == 0 || config.evidenceEpochs > UNBONDING_EPOCHS) {
            revert Slasher_InvalidEvidenceEpochs(config.evidenceEpochs, UNBONDING_EPOCHS);
        }
        if (config.correlationEpochs > MAX_CORRELATION_EPOCHS) {
            revert Slasher_InvalidCorrelation(config.correlationEpochs, MAX_CORRELATION_EPOCHS);
        }
        uint256 longestAppeal = uint256(UNBONDING_EPOCHS) * config.epochSeconds;
        if (config.appealWindow == 0 || config.appealWindow > longestAppeal) {
            revert Slasher_InvalidAppealWindow(config.appealWindow, longestAppeal);
        }
        VAULT = IStakeVault(config.vault);
        REGISTRY = ISequencerRegistry(config.registry);
        SET = ISequencerSet(config.sequencerSet);
        ESCROW = ISlashEscrow(config.escrow);
        offlineFault = config.offlineFault;
        EVIDENCE_EPOCHS = config.evidenceEpochs;
        CORRELATION_EPOCHS = config.correlationEpochs;
        APPEAL_WINDOW = config.appealWindow;
    }

    /// @inheritdoc ISlasher
    // What was taken is known only when the vault has taken it. The guard keeps everybody out meanwhile, and vault and
    // escrow are contracts of this deployment.
    // slither-disable-next-line reentrancy-no-eth
    function convict(Offence calldata offence) external nonReentrant returns (uint256 taken) {
        if (!isModule[msg.sender]) revert Slasher_NotModule(msg.sender);
        (uint32 id, uint32 sigma) = (offence.id, offence.sigma);
        if (offence.kind == 0 || offence.kind > FaultKind.AMNESIA) revert Slasher_UnknownKind(offence.kind);
        if (offence.weight == 0 || offence.weight > offence.totalWeight) {
            revert Slasher_InvalidWeight(offence.weight, offence.totalWeight);
        }
        if (isProven(id, sigma)) revert Slasher_AlreadyConvicted(id, sigma);
        _checkAge(sigma, offence.kind == FaultKind.AMNESIA ? UNBONDING_EPOCHS : EVIDENCE_EPOCHS);

        Conviction memory conviction = _convictions[id];
        bool first = conviction.rate == 0;
        _prove(id, sigma, FixedPointMathLib.mulDivUp(offence.weight, EpochShares.ALL, offence.totalWeight), first);
        if (first) (conviction.firstSigma, conviction.lastSigma, conviction.kind) = (sigma, sigma, offence.kind);
        else if (sigma < conviction.firstSigma) conviction.firstSigma = sigma;
        else if (sigma > conviction.lastSigma) conviction.lastSigma = sigma;
        uint256 newRate = _rate(_correlated.shareAt(sigma));
        if (newRate > conviction.rate) taken = _raise(id, conviction, sigma, newRate, offence.reporter);
        else _convictions[id] = conviction;
        if (first) REGISTRY.tombstone(id);
        emit Convicted(id, offence.kind, sigma, offence.height, offence.round, conviction.rate, taken, offence.reporter);
    }

    /// @inheritdoc ISlasher
    // As above.
    // slither-disable-next-line reentrancy-no-eth
    function topUp(uint32 id) external nonReentrant returns (uint256 taken) {
        Conviction memory conviction = _convictions[id];
        if (conviction.rate == 0) revert Slasher_NotConvicted(id);
        (uint256 newRate, uint32 sigma) = rateDue(id);
        if (newRate == conviction.rate) revert Slasher_NothingToTopUp(id, newRate);
        taken = _raise(id, conviction, sigma, newRate, address(0));
        emit ToppedUp(id, sigma, newRate, taken);
    }

    /// @inheritdoc ISlasher
    function jailOffline(uint32 id, uint32 sigma, address reporter) external {
        _checkOfflineModule();
        _checkAge(sigma, EVIDENCE_EPOCHS);
        Absences storage absences = _absences[id];
        if (sigma < absences.nextSigma) revert Slasher_SameAbsence(id, sigma, absences.nextSigma);
        uint256 appealUntil = block.timestamp + APPEAL_WINDOW;
        // The window is shorter than unbonding: 40 bits of seconds last.
        // forge-lint: disable-next-line(unsafe-typecast)
        _cases[id][sigma] = OfflineCase(OfflineState.Open, absences.lastSigma, uint40(appealUntil), reporter);
        (absences.lastSigma, absences.nextSigma) = (sigma, currentEpoch() + 2);
        emit OfflineJailed(id, sigma, appealUntil, reporter);
        REGISTRY.jail(id);
    }

    /// @inheritdoc ISlasher
    function slashOffline(uint32 id, uint32 sigma) external nonReentrant returns (uint256 taken) {
        _checkOfflineModule();
        OfflineCase storage offlineCase = _openCase(id, sigma);
        uint256 appealUntil = offlineCase.appealUntil;
        if (block.timestamp < appealUntil) revert Slasher_AppealRunning(id, sigma, appealUntil);
        _checkAge(sigma, UNBONDING_EPOCHS);
        uint256 rate = offlineRate(id, sigma);
        if (rate == 0) revert Slasher_FirstAbsence(id, sigma);
        offlineCase.state = OfflineState.Slashed;
        taken = _slash(id, sigma, rate, offlineCase.reporter);
        emit OfflineSlashed(id, sigma, rate, taken, offlineCase.reporter);
    }

    /// @inheritdoc ISlasher
    function vetoOffline(uint32 id, uint32 sigma) external restricted {
        OfflineCase storage offlineCase = _openCase(id, sigma);
        uint256 appealUntil = offlineCase.appealUntil;
        if (block.timestamp >= appealUntil) revert Slasher_AppealOver(id, sigma, appealUntil);
        offlineCase.state = OfflineState.Vetoed;
        emit OfflineVetoed(id, sigma);
    }

    /// @inheritdoc ISlasher
    function checkEvidence(uint32 sigma) external view {
        _checkAge(sigma, EVIDENCE_EPOCHS);
    }

    /// @inheritdoc ISlasher
    function lastEvidenceEpoch(uint32 sigma) external view returns (uint32) {
        return _lastEpoch(sigma, EVIDENCE_EPOCHS);
    }

    /// @inheritdoc ISlasher
    function lastSlashEpoch(uint32 sigma) external view returns (uint32) {
        return _lastEpoch(sigma, UNBONDING_EPOCHS);
    }

    /// @inheritdoc ISlasher
    function convictionOf(uint32 id) external view returns (Conviction memory) {
        return _convictions[id];
    }

    /// @inheritdoc ISlasher
    function isConvicted(uint32 id) external view returns (bool) {
        return _convictions[id].rate != 0;
    }

    /// @inheritdoc ISlasher
    function isProven(uint32 id, uint32 sigma) public view returns (bool) {
        return _proven[id].shareAt(sigma) != 0;
    }

    /// @inheritdoc ISlasher
    function convictedShare(uint32 sigma) external view returns (uint256) {
        return _correlated.shareAt(sigma) * (_WAD / EpochShares.ALL);
    }

    /// @inheritdoc ISlasher
    function rateFor(uint32 sigma, uint256 share) external view returns (uint256 rate) {
        share = FixedPointMathLib.divUp(FixedPointMathLib.min(share, _WAD), _WAD / EpochShares.ALL);
        return _rate(_correlated.shareAt(sigma) + share);
    }

    /// @inheritdoc ISlasher
    function rateDue(uint32 id) public view returns (uint256 rate, uint32 sigma) {
        Conviction memory conviction = _convictions[id];
        if (conviction.rate == 0) return (0, 0);
        for (uint256 first = conviction.firstSigma & ~uint256(7); first <= conviction.lastSigma; first += 8) {
            uint256 own = _proven[id].eightAt(first);
            if (own == 0) continue;
            uint256 all = _correlated.eightAt(first);
            for (uint256 epoch = first; epoch < first + 8; ++epoch) {
                if (EpochShares.ofEight(own, epoch) == 0) continue;
                uint256 here = _rate(EpochShares.ofEight(all, epoch));
                // A proven epoch has 32 bits.
                // forge-lint: disable-next-line(unsafe-typecast)
                if (here > rate) (rate, sigma) = (here, uint32(epoch));
            }
        }
    }

    /// @inheritdoc ISlasher
    function topUpDue(uint32 id) external view returns (uint256 fraction) {
        uint256 rate = _convictions[id].rate;
        (uint256 newRate,) = rateDue(id);
        return newRate == rate ? 0 : _extraUp(rate, newRate);
    }

    /// @inheritdoc ISlasher
    function offlineCaseOf(uint32 id, uint32 sigma) external view returns (OfflineCase memory) {
        return _cases[id][sigma];
    }

    /// @inheritdoc ISlasher
    function lastOfflineSigma(uint32 id) external view returns (uint32) {
        return _absences[id].lastSigma;
    }

    /// @inheritdoc ISlasher
    function nextOfflineSigma(uint32 id) external view returns (uint32) {
        return _absences[id].nextSigma;
    }

    /// @inheritdoc ISlasher
    function offlineRate(uint32 id, uint32 sigma) public view returns (uint256 rate) {
        uint256 since = FixedPointMathLib.zeroFloorSub(epochStart(sigma), _REPEAT_PERIOD);
        uint256 repeats = 0;
        uint32 previous = _cases[id][sigma].previousSigma;
        // Vetoed cases do not end the walk, but each of them took an act of governance.
        while (previous != 0 && repeats < 3 && epochStart(previous) >= since) {
            OfflineCase storage earlier = _cases[id][previous];
            if (earlier.state != OfflineState.Vetoed) ++repeats;
            previous = earlier.previousSigma;
        }
        if (repeats == 0) return 0;
        if (repeats == 1) return 0.001e18;
        return repeats == 2 ? 0.005e18 : 0.01e18;
    }

    /// @inheritdoc ISlasher
    // Cases are two epochs apart at least, so few are young enough.
    function offlineDue(uint32 id) external view returns (uint256 fraction) {
        uint32 oldest = _servingBefore(currentEpoch(), UNBONDING_EPOCHS);
        uint32 sigma = _absences[id].lastSigma;
        while (sigma != 0 && sigma >= oldest) {
            OfflineCase storage offlineCase = _cases[id][sigma];
            if (offlineCase.state == OfflineState.Open) fraction += offlineRate(id, sigma);
            sigma = offlineCase.previousSigma;
        }
    }

    /// @dev Enters the share of `id` under `sigma`, and in each epoch that sees it what it adds to the largest of `id` that
    /// this epoch saw before. A sum of largest shares is the same in whatever order they came.
    function _prove(uint32 id, uint32 sigma, uint256 share, bool first) private {
        EpochShares.Shares storage own = _proven[id];
        uint256 reach = CORRELATION_EPOCHS;
        // From `sigma - 2 * reach` on; `sigma` itself, where nothing is proven yet, in the middle.
        uint256[] memory largest = new uint256[](4 * reach + 1);
        uint256 middle = 2 * reach;
        for (uint256 i = 1; !first && i <= middle; ++i) {
            uint256 before = i > sigma ? 0 : own.shareAt(sigma - i);
            largest[middle - i] = FixedPointMathLib.max(largest[middle - i + 1], before);
            largest[middle + i] = FixedPointMathLib.max(largest[middle + i - 1], own.shareAt(sigma + i));
        }
        // The epoch that is `i - reach` after `sigma` sees those from `i` on up to `i + 2 * reach`, across the middle.
        for (uint256 i = 0; i <= middle; ++i) {
            uint256 seen = FixedPointMathLib.max(largest[i], largest[i + middle]);
            if (share > seen && sigma + i >= reach) _correlated.add(sigma + i - reach, share - seen);
        }
        own.add(sigma, share);
    }

    /// @dev Takes what lacks to `newRate`, and keeps what is known about the operator.
    function _raise(uint32 id, Conviction memory conviction, uint32 sigma, uint256 newRate, address reporter)
        private
        returns (uint256 taken)
    {
        uint256 fraction = _extraUp(conviction.rate, newRate);
        // At most 1e18.
        // forge-lint: disable-next-line(unsafe-typecast)
        conviction.rate = uint64(newRate);
        _convictions[id] = conviction;
        taken = _slash(id, sigma, fraction, reporter);
        // All stake there is has 104 bits, and none comes after a conviction.
        // forge-lint: disable-next-line(unsafe-typecast)
        _convictions[id].taken = conviction.taken + uint104(taken);
    }

    /// @dev Takes a fraction of everything that backed `sigma` and books where it goes.
    function _slash(uint32 id, uint32 sigma, uint256 fraction, address reporter) private returns (uint256 taken) {
        taken = VAULT.slash(id, sigma, fraction);
        ESCROW.book(reporter, taken);
    }

    function _openCase(uint32 id, uint32 sigma) private view returns (OfflineCase storage offlineCase) {
        offlineCase = _cases[id][sigma];
        if (offlineCase.state != OfflineState.Open) revert Slasher_NoOpenCase(id, sigma);
    }

    function _checkOfflineModule() private view {
        if (msg.sender != offlineFault) revert Slasher_NotModule(msg.sender);
    }

    /// @dev Too old when a set after `sigma` was serving already `span` epochs ago.
    function _checkAge(uint32 sigma, uint32 span) private view {
        uint32 epoch = currentEpoch();
        if (sigma > epoch) revert Slasher_SetNotStarted(sigma, epoch);
        if (_servingBefore(epoch, span) > sigma) revert Slasher_EvidenceTooOld(sigma, _lastEpoch(sigma, span));
    }

    /// @dev The set that served `span` epochs before `epoch`: older ones are too old.
    function _servingBefore(uint32 epoch, uint32 span) private view returns (uint32) {
        return epoch < span ? 0 : SET.frozenEpochAt(epoch - span);
    }

    /// @dev `span` epochs from the first one that a later set served; unlimited while there is none.
    function _lastEpoch(uint32 sigma, uint32 span) private view returns (uint32) {
        uint32 high = currentEpoch();
        if (SET.frozenEpochAt(high) <= sigma) return type(uint32).max;
        uint32 low = sigma + 1;
        while (low < high) {
            uint32 middle = low + (high - low) / 2;
            if (SET.frozenEpochAt(middle) > sigma) high = middle;
            else low = middle + 1;
        }
        return low + span - 1;
    }

    /// @dev Shares count in 1e-9, so their product in 1e-18.
    function _rate(uint256 share) private pure returns (uint256) {
        return FixedPointMathLib.min(FixedPointMathLib.max(_CORRELATION_FACTOR * share * share, MIN_RATE), _WAD);
    }

    /// @dev What to take of what slashes of `rate` in all left, so that together they are a slash of `newRate`.
    function _extraUp(uint256 rate, uint256 newRate) private pure returns (uint256) {
        return FixedPointMathLib.mulDivUp(newRate - rate, _WAD, _WAD - rate);
    }
}
