// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAmnesiaFault} from "./interfaces/IAmnesiaFault.sol";
import {IBatchChain} from "./interfaces/IBatchChain.sol";
import {IEpochClock} from "./interfaces/IEpochClock.sol";
import {ILens} from "./interfaces/ILens.sol";
import {IRewardVault} from "./interfaces/IRewardVault.sol";
import {ISequencerRegistry} from "./interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "./interfaces/ISequencerSet.sol";
import {FaultKind, ISlasher} from "./interfaces/ISlasher.sol";
import {ALL_LATER, IStakeVault} from "./interfaces/IStakeVault.sol";

/// @title Lens
/// @dev Specified by `ILens`.
contract Lens is ILens {
    ISequencerRegistry private immutable REGISTRY;
    IStakeVault private immutable STAKE_VAULT;
    ISequencerSet private immutable SEQUENCER_SET;
    IBatchChain private immutable BATCH_CHAIN;
    IRewardVault private immutable REWARD_VAULT;
    ISlasher private immutable SLASHER;
    IAmnesiaFault private immutable AMNESIA_FAULT;

    uint256 private constant _WAD = 1e18;
    uint256 private constant _MAX_ABSENCES = 8;

    constructor(
        address registry,
        address stakeVault,
        address sequencerSet,
        address batchChain,
        address rewardVault,
        address slasher,
        address amnesiaFault
    ) {
        require(
            registry != address(0) && stakeVault != address(0) && sequencerSet != address(0) && batchChain != address(0)
                && rewardVault != address(0) && slasher != address(0) && amnesiaFault != address(0),
            Lens_ZeroAddress()
        );
        REGISTRY = ISequencerRegistry(registry);
        STAKE_VAULT = IStakeVault(stakeVault);
        SEQUENCER_SET = ISequencerSet(sequencerSet);
        BATCH_CHAIN = IBatchChain(batchChain);
        REWARD_VAULT = IRewardVault(rewardVault);
        SLASHER = ISlasher(slasher);
        AMNESIA_FAULT = IAmnesiaFault(amnesiaFault);
    }

    /// @inheritdoc ILens
    function operators(uint32 from, uint256 count) external view returns (Operator[] memory page) {
        uint256 known = REGISTRY.operatorCount();
        uint256 left = from == 0 || from > known ? 0 : known - from + 1;
        page = new Operator[](count < left ? count : left);
        for (uint32 i = 0; i < page.length; ++i) {
            page[i] = operatorOf(from + i);
        }
    }

    /// @inheritdoc ILens
    function operatorOf(uint32 id) public view returns (Operator memory o) {
        if (id == 0 || id > REGISTRY.operatorCount()) return o;
        o.id = id;
        o.status = REGISTRY.statusOf(id);
        o.owner = REGISTRY.ownerOf(id);
        o.signer = REGISTRY.signerOf(id);
        o.rewardRecipient = REGISTRY.rewardRecipientOf(id);
        o.commissionBps = REGISTRY.commissionAt(id, IEpochClock(address(STAKE_VAULT)).currentEpoch());
        (o.poolTokens, o.poolUnits) = STAKE_VAULT.pool(id);
        (, o.selfBond) = STAKE_VAULT.positionOf(id, o.owner);
        o.ready = SEQUENCER_SET.isReady(id);
        (o.seated, o.seat) = SEQUENCER_SET.seatOf(id);
        o.claimableCommission = REWARD_VAULT.claimableCommission(id);
        o.lastCredited = REWARD_VAULT.lastCredited(id);
    }

    /// @inheritdoc ILens
    function due() external view returns (Due memory d) {
        (d.freeze, d.freezeEpoch) = SEQUENCER_SET.freezeDue();
        d.recordRandao = SEQUENCER_SET.randaoDue();
        d.anchor = BATCH_CHAIN.epochSeenAt(uint64(block.number)) < IEpochClock(address(STAKE_VAULT)).currentEpoch();
        d.finalize = BATCH_CHAIN.finalizable();
        (d.open, d.openBatch) = REWARD_VAULT.openDue();
        (d.credit, d.creditEpoch, d.creditCursor) = REWARD_VAULT.creditDue();
        (,, d.creditCount) = REWARD_VAULT.openStatus();
    }

    /// @inheritdoc ILens
    function seatsDue(uint32[] calldata ids) external view returns (SeatDue[] memory seats) {
        seats = new SeatDue[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            (bool due_, uint8 seat) = SEQUENCER_SET.seatDue(ids[i]);
            seats[i] = SeatDue(ids[i], due_, seat);
        }
    }

    /// @inheritdoc ILens
    function positions(address account, uint32[] calldata ids) external view returns (Position[] memory list) {
        list = new Position[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            (uint32 id, Position memory p) = (ids[i], list[i]);
            p.id = id;
            (p.units, p.value) = STAKE_VAULT.positionOf(id, account);
            p.rewards = REWARD_VAULT.claimable(id, account);
            p.paidThrough = REWARD_VAULT.paidThrough(id, account);
        }
    }

    /// @inheritdoc ILens
    function thaws(address account, uint32 id, uint32 from, uint32 count) external view returns (Thaw[] memory list) {
        list = new Thaw[](count);
        uint256 found;
        for (uint32 i = 0; i < count; ++i) {
            uint32 cohort = from + i;
            uint256 held = STAKE_VAULT.thawSharesOf(id, cohort, account);
            if (held == 0) continue;
            (uint256 tokens, uint256 shares) = STAKE_VAULT.thawOf(id, cohort);
            list[found] = Thaw(cohort, tokens * held / shares, STAKE_VAULT.claimableFrom(cohort));
            ++found;
        }
        assembly ("memory-safe") {
            mstore(list, found)
        }
    }

    /// @inheritdoc ILens
    function slashSeq() public view returns (uint256) {
        return STAKE_VAULT.slashSeq();
    }

    /// @inheritdoc ILens
    function slashHistory(uint256 from, uint256 count) public view returns (Slash[] memory page) {
        uint256 known = slashSeq();
        uint256 left = from == 0 || from > known ? 0 : known - from + 1;
        page = new Slash[](count < left ? count : left);
        for (uint256 i = 0; i < page.length; ++i) {
            page[i].seq = from + i;
            (page[i].id, page[i].sigma, page[i].before, page[i].fraction) = STAKE_VAULT.slashAt(from + i);
        }
    }

    /// @inheritdoc ILens
    function slashesOf(uint32 id, uint256 from, uint256 count) external view returns (Slash[] memory page) {
        page = slashHistory(from, count);
        uint256 found;
        for (uint256 i = 0; i < page.length; ++i) {
            if (page[i].id == id) page[found++] = page[i];
        }
        assembly ("memory-safe") {
            mstore(page, found)
        }
    }

    /// @inheritdoc ILens
    function openFaults(uint32 from, uint256 count) external view returns (OpenFault[] memory list) {
        uint256 known = REGISTRY.operatorCount();
        uint256 left = from == 0 || from > known ? 0 : known - from + 1;
        if (count < left) left = count;
        ISlasher.Slash[][] memory topUps = new ISlasher.Slash[][](left);
        uint256 room = left * (_MAX_ABSENCES + 1);
        // Ids are 32 bits.
        // forge-lint: disable-start(unsafe-typecast)
        for (uint256 i = 0; i < left; ++i) {
            topUps[i] = SLASHER.slashesDue(from + uint32(i));
            room += topUps[i].length;
        }
        list = new OpenFault[](room);
        uint256 found;
        for (uint256 i = 0; i < left; ++i) {
            uint32 id = from + uint32(i);
            for (uint256 k = 0; k < topUps[i].length; ++k) {
                ISlasher.Slash memory due_ = topUps[i][k];
                list[found++] = OpenFault(id, SLASHER.convictionOf(id).kind, due_.sigma, due_.before, due_.fraction, 0);
            }
            if (AMNESIA_FAULT.openCharges(id) != 0) {
                list[found++] = OpenFault(id, FaultKind.AMNESIA, 0, ALL_LATER, 0, 0);
            }
            found = _openAbsences(id, list, found);
        }
        // forge-lint: disable-end(unsafe-typecast)
        assembly ("memory-safe") {
            mstore(list, found)
        }
    }

    /// @inheritdoc ILens
    function lossOf(address account, uint32 id, uint32 sigma, uint32 before, uint256 fraction)
        external
        view
        returns (uint256 staked, uint256 thawing)
    {
        (uint256 tokens, uint256 supply) = STAKE_VAULT.pool(id);
        if (before == ALL_LATER) staked = _lossUp(STAKE_VAULT.units(id, account), tokens, supply, fraction);
        uint256 epoch = IEpochClock(address(STAKE_VAULT)).currentEpoch();
        // The cohorts `StakeVault.slash` reaches.
        uint256 window = STAKE_VAULT.UNBONDING_EPOCHS() + 2;
        uint256 first = sigma == 0 ? 0 : sigma - 1;
        if (first + window < epoch) first = epoch - window;
        for (uint256 c = first; c <= epoch && c + 1 < before; ++c) {
            // At most the current epoch.
            // forge-lint: disable-next-line(unsafe-typecast)
            uint32 cohort = uint32(c);
            uint256 shares = STAKE_VAULT.thawSharesOf(id, cohort, account);
            if (shares == 0) continue;
            (tokens, supply) = STAKE_VAULT.thawOf(id, cohort);
            thawing += _lossUp(shares, tokens, supply, fraction);
        }
    }

    /// @inheritdoc ILens
    function rewards() external view returns (Rewards memory r) {
        r.reserve = REWARD_VAULT.reserve();
        r.rewardPerBlock = REWARD_VAULT.rewardPerBlock();
        r.postingReward = REWARD_VAULT.postingReward();
        r.tallies = BATCH_CHAIN.tallyCount();
        r.opened = REWARD_VAULT.nextTally();
        (r.epoch, r.cursor, r.count) = REWARD_VAULT.openStatus();
    }

    /// @dev Appends the open absences of an operator, latest first.
    function _openAbsences(uint32 id, OpenFault[] memory list, uint256 found) private view returns (uint256) {
        uint32 sigma = SLASHER.lastOfflineSigma(id);
        uint32 epoch = IEpochClock(address(STAKE_VAULT)).currentEpoch();
        for (uint256 i = 0; i < _MAX_ABSENCES && sigma != 0 && epoch <= SLASHER.lastSlashEpoch(sigma); ++i) {
            ISlasher.OfflineCase memory absence = SLASHER.offlineCaseOf(id, sigma);
            uint256 rate = SLASHER.offlineRate(id, sigma);
            if (absence.state == ISlasher.OfflineState.Open && (rate != 0 || block.timestamp < absence.appealUntil)) {
                list[found++] = OpenFault(id, FaultKind.OFFLINE, sigma, ALL_LATER, rate, absence.appealUntil);
            }
            sigma = absence.previousSigma;
        }
        return found;
    }

    /// @dev What `shares` of `supply` lose when `fraction` of `tokens` is taken.
    function _lossUp(uint256 shares, uint256 tokens, uint256 supply, uint256 fraction) private pure returns (uint256) {
        if (supply == 0) return 0;
        uint256 taken = (tokens * fraction + _WAD - 1) / _WAD;
        // The last wei goes only with the whole.
        if (taken >= tokens) taken = fraction >= _WAD || tokens == 0 ? tokens : tokens - 1;
        return shares * tokens / supply - shares * (tokens - taken) / supply;
    }
}
