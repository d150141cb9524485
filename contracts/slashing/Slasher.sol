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

/// @title Slasher
contract Slasher is ISlasher, EpochClock, AccessManaged, ReentrancyGuardTransient {
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

    /// @inheritdoc ISlasher
    mapping(uint32 sigma => uint256 share) public convictedShare;

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
        Conviction storage conviction = _convictions[id];
        if (conviction.rate != 0) revert Slasher_AlreadyConvicted(id);
        _checkAge(sigma, offence.kind == FaultKind.AMNESIA ? UNBONDING_EPOCHS : EVIDENCE_EPOCHS);

        uint256 share = FixedPointMathLib.mulDivUp(offence.weight, _WAD, offence.totalWeight);
        uint256 rate = rateFor(sigma, share);
        convictedShare[sigma] += share;
        // Both are at most 1e18.
        // forge-lint: disable-next-line(unsafe-typecast)
        (conviction.sigma, conviction.share, conviction.rate) = (sigma, uint64(share), uint64(rate));
        (conviction.kind, conviction.height) = (offence.kind, offence.height);
        taken = _slash(id, sigma, rate, offence.reporter);
        // forge-lint: disable-next-line(unsafe-typecast)
        conviction.taken = uint128(taken);
        REGISTRY.tombstone(id);
        emit Convicted(id, offence.kind, sigma, offence.height, offence.round, rate, taken, offence.reporter);
    }

    /// @inheritdoc ISlasher
    // As above.
    // slither-disable-next-line reentrancy-no-eth
    function topUp(uint32 id) external nonReentrant returns (uint256 taken) {
        Conviction storage conviction = _convictions[id];
        (uint256 rate, uint32 sigma) = (conviction.rate, conviction.sigma);
        if (rate == 0) revert Slasher_NotConvicted(id);
        uint256 newRate = rateFor(sigma, 0);
        if (newRate <= rate) revert Slasher_NothingToTopUp(id, rate);
        // At most 1e18.
        // forge-lint: disable-next-line(unsafe-typecast)
        conviction.rate = uint64(newRate);
        taken = _slash(id, sigma, _extraUp(rate, newRate), address(0));
        // forge-lint: disable-next-line(unsafe-typecast)
        conviction.taken += uint128(taken);
        emit ToppedUp(id, newRate, taken);
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
    function rateFor(uint32 sigma, uint256 share) public view returns (uint256 rate) {
        uint256 last = uint256(sigma) + CORRELATION_EPOCHS;
        for (uint256 e = FixedPointMathLib.zeroFloorSub(sigma, CORRELATION_EPOCHS); e <= last; ++e) {
            // Beyond 32 bits only sets that can never start.
            // forge-lint: disable-next-line(unsafe-typecast)
            share += convictedShare[uint32(e)];
        }
        share = FixedPointMathLib.min(share, _WAD);
        rate = FixedPointMathLib.mulDivUp(_CORRELATION_FACTOR * share, share, _WAD);
        rate = FixedPointMathLib.min(FixedPointMathLib.max(rate, MIN_RATE), _WAD);
    }

    /// @inheritdoc ISlasher
    function topUpDue(uint32 id) external view returns (uint256 fraction) {
        Conviction storage conviction = _convictions[id];
        uint256 rate = conviction.rate;
        if (rate == 0) return 0;
        uint256 newRate = rateFor(conviction.sigma, 0);
        return newRate <= rate ? 0 : _extraUp(rate, newRate);
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

    /// @dev What to take of what a first slash of `rate` left, so that together they are a slash of `newRate`.
    function _extraUp(uint256 rate, uint256 newRate) private pure returns (uint256) {
        return FixedPointMathLib.mulDivUp(newRate - rate, _WAD, _WAD - rate);
    }
}
