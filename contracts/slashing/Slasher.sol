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
import {ALL_LATER, IStakeVault} from "../interfaces/IStakeVault.sol";
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
    // In the word of the authority, which is never zero: also the first conviction writes no fresh slot for it.
    uint64 public lastConvictedAt;

    /// @inheritdoc ISlasher
    mapping(address module => bool allowed) public isModule;

    mapping(uint32 id => Conviction conviction) private _convictions;

    /// @dev What `Conviction.proofs` counts, in the order of their sets.
    mapping(uint32 id => mapping(uint256 index => Proof proof)) private _proofs;

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
        Conviction memory conviction = _convictions[id];
        Proof[] memory earlier = _proofsOf(id, conviction.proofs);
        if (_isProven(earlier, sigma)) revert Slasher_AlreadyConvicted(id, sigma);
        _checkAge(sigma, offence.kind == FaultKind.AMNESIA ? UNBONDING_EPOCHS : EVIDENCE_EPOCHS);

        bool first = conviction.proofs == 0;
        if (first) (conviction.firstSigma, conviction.kind) = (sigma, offence.kind);
        else if (sigma < conviction.firstSigma) conviction.firstSigma = sigma;
        if (sigma > conviction.lastSigma) conviction.lastSigma = sigma;
        lastConvictedAt = uint64(block.timestamp);
        uint256 share = FixedPointMathLib.mulDivUp(offence.weight, EpochShares.ALL, offence.totalWeight);
        Slash[] memory slashes = _prove(id, conviction, earlier, sigma, share);
        taken = _take(id, conviction, slashes, offence.reporter);
        if (first) REGISTRY.tombstone(id);
        emit Convicted(id, offence.kind, sigma, offence.height, offence.round, conviction.rate, taken, offence.reporter);
    }

    /// @inheritdoc ISlasher
    // As above.
    // slither-disable-next-line reentrancy-no-eth
    function topUp(uint32 id) external nonReentrant returns (uint256 taken) {
        Conviction memory conviction = _convictions[id];
        if (conviction.proofs == 0) revert Slasher_NotConvicted(id);
        Proof[] memory proofs = _proofsOf(id, conviction.proofs);
        uint256[] memory rates = _ratesOf(proofs);
        Slash[] memory slashes = _slashesTo(proofs, rates);
        if (slashes.length == 0) revert Slasher_NothingToTopUp(id, conviction.rate);
        for (uint256 i = 0; i < proofs.length; ++i) {
            // Rates are at most 1e18.
            // forge-lint: disable-start(unsafe-typecast)
            if (rates[i] > proofs[i].paid) _proofs[id][i].paid = uint64(rates[i]);
            if (rates[i] > conviction.rate) conviction.rate = uint64(rates[i]);
            // forge-lint: disable-end(unsafe-typecast)
        }
        taken = _take(id, conviction, slashes, address(0));
        emit ToppedUp(id, slashes[0].sigma, conviction.rate, taken);
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
        uint256 mostReward = _mostReward(id, rate);
        taken = VAULT.slash(id, sigma, ALL_LATER, rate);
        ESCROW.book(offlineCase.reporter, taken, mostReward);
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
        return _convictions[id].proofs != 0;
    }

    /// @inheritdoc ISlasher
    function isProven(uint32 id, uint32 sigma) external view returns (bool) {
        return _isProven(proofsOf(id), sigma);
    }

    /// @inheritdoc ISlasher
    function proofsOf(uint32 id) public view returns (Proof[] memory) {
        return _proofsOf(id, _convictions[id].proofs);
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
        Proof[] memory proofs = proofsOf(id);
        uint256[] memory rates = _ratesOf(proofs);
        for (uint256 i = 0; i < rates.length; ++i) {
            if (rates[i] > rate) (rate, sigma) = (rates[i], proofs[i].sigma);
        }
    }

    /// @inheritdoc ISlasher
    function topUpDue(uint32 id) external view returns (uint256 fraction) {
        uint256 rate = _convictions[id].rate;
        (uint256 newRate,) = rateDue(id);
        return newRate == rate ? 0 : _extraUp(rate, newRate);
    }

    /// @inheritdoc ISlasher
    function isTopUpDue(uint32 id) external view returns (bool) {
        return slashesDue(id).length != 0;
    }

    /// @inheritdoc ISlasher
    function slashesDue(uint32 id) public view returns (Slash[] memory) {
        Proof[] memory proofs = proofsOf(id);
        return _slashesTo(proofs, _ratesOf(proofs));
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

    /// @dev Enters a proof, and into `conviction` what follows from it. Returns what it takes: no more than it calls for
    /// itself, whatever else is due.
    function _prove(uint32 id, Conviction memory conviction, Proof[] memory earlier, uint32 sigma, uint256 share)
        private
        returns (Slash[] memory)
    {
        _correlate(earlier, sigma, share);
        uint256 rate = _rate(_correlated.shareAt(sigma));

        Proof[] memory proofs = new Proof[](earlier.length + 1);
        uint256 place = earlier.length;
        for (; place != 0 && earlier[place - 1].sigma > sigma; --place) {
            _proofs[id][place] = proofs[place] = earlier[place - 1];
        }
        for (uint256 i = 0; i < place; ++i) {
            proofs[i] = earlier[i];
        }
        proofs[place].sigma = sigma;
        uint256[] memory rates = new uint256[](proofs.length);
        rates[place] = rate;
        // A share is at most all, 1e9, and a rate 1e18.
        // forge-lint: disable-start(unsafe-typecast)
        _proofs[id][place] = Proof(sigma, uint32(share), uint64(rate));
        if (rate > conviction.rate) conviction.rate = uint64(rate);
        // forge-lint: disable-end(unsafe-typecast)
        ++conviction.proofs;
        return _slashesTo(proofs, rates);
    }

    /// @dev Adds in each epoch that sees `sigma` what `share` exceeds the largest share that this epoch saw of the operator
    /// before. A sum of largest shares is the same in whatever order they came.
    function _correlate(Proof[] memory earlier, uint256 sigma, uint256 share) private {
        uint256 reach = CORRELATION_EPOCHS;
        for (uint256 epoch = FixedPointMathLib.zeroFloorSub(sigma, reach); epoch <= sigma + reach; ++epoch) {
            uint256 seen = 0;
            for (uint256 i = 0; i < earlier.length; ++i) {
                bool inReach = FixedPointMathLib.dist(earlier[i].sigma, epoch) <= reach;
                if (inReach && earlier[i].share > seen) seen = earlier[i].share;
            }
            if (share > seen) _correlated.add(epoch, share - seen);
        }
    }

    /// @dev Keeps what is known about the operator, slashes, and books where it goes.
    function _take(uint32 id, Conviction memory conviction, Slash[] memory slashes, address reporter)
        private
        returns (uint256 taken)
    {
        _convictions[id] = conviction;
        if (slashes.length == 0) return 0;
        // The last stretch is the pool's, if the pool pays at all.
        Slash memory last = slashes[slashes.length - 1];
        bool rewarded = reporter != address(0) && last.before == ALL_LATER;
        uint256 mostReward = rewarded ? _mostReward(id, last.fraction) : 0;
        for (uint256 i = 0; i < slashes.length; ++i) {
            taken += VAULT.slash(id, slashes[i].sigma, slashes[i].before, slashes[i].fraction);
        }
        ESCROW.book(reporter, taken, mostReward);
        // All stake there is has 104 bits, and none comes after a conviction.
        // forge-lint: disable-next-line(unsafe-typecast)
        _convictions[id].taken = conviction.taken + uint104(taken);
    }

    /// @dev What the operator itself loses with `fraction` of its pool: of its owner's stake, or of the bond it needs to be a
    /// member, which is liable on its way out too. Reporters get no more, or it would pay to report oneself at the cost of
    /// one's delegators (S9).
    function _mostReward(uint32 id, uint256 fraction) private view returns (uint256) {
        (, uint256 bond) = VAULT.positionOf(id, REGISTRY.ownerOf(id));
        return FixedPointMathLib.max(bond, SET.minSelfBond()) * fraction / _WAD;
    }

    function _proofsOf(uint32 id, uint256 count) private view returns (Proof[] memory proofs) {
        proofs = new Proof[](count);
        for (uint256 i = 0; i < count; ++i) {
            proofs[i] = _proofs[id][i];
        }
    }

    /// @dev What each of the proofs calls for today.
    function _ratesOf(Proof[] memory proofs) private view returns (uint256[] memory rates) {
        rates = new uint256[](proofs.length);
        for (uint256 i = 0; i < proofs.length; ++i) {
            rates[i] = _rate(_correlated.shareAt(proofs[i].sigma));
        }
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

    function _isProven(Proof[] memory proofs, uint32 sigma) private pure returns (bool) {
        for (uint256 i = 0; i < proofs.length; ++i) {
            if (proofs[i].sigma == sigma) return true;
        }
        return false;
    }

    /// @dev What is paid for a set is the highest `paid` of the proofs up to it, what is due the highest of those and of
    /// `rates` up to it: two staircases that change at proofs only. One slash for each stretch where they differ.
    function _slashesTo(Proof[] memory proofs, uint256[] memory rates) private pure returns (Slash[] memory slashes) {
        slashes = new Slash[](proofs.length);
        (uint256 count, uint256 paid, uint256 due) = (0, 0, 0);
        for (uint256 i = 0; i < proofs.length; ++i) {
            paid = FixedPointMathLib.max(paid, proofs[i].paid);
            due = FixedPointMathLib.max(FixedPointMathLib.max(due, paid), rates[i]);
            if (due == paid) continue;
            uint32 sigma = proofs[i].sigma;
            uint32 before = i + 1 < proofs.length ? proofs[i + 1].sigma : ALL_LATER;
            uint256 fraction = _extraUp(paid, due);
            // A proof that changes neither goes on with the stretch.
            if (count != 0 && slashes[count - 1].before == sigma && slashes[count - 1].fraction == fraction) {
                slashes[count - 1].before = before;
            } else {
                slashes[count++] = Slash(sigma, before, fraction);
            }
        }
        assembly ("memory-safe") {
            mstore(slashes, count)
        }
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
