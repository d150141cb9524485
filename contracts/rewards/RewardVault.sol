// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {EpochClock} from "../base/EpochClock.sol";
import {IBatchChain} from "../interfaces/IBatchChain.sol";
import {IFeeSplitter} from "../interfaces/IFeeSplitter.sol";
import {IPortal} from "../interfaces/IPortal.sol";
import {IRewardVault} from "../interfaces/IRewardVault.sol";
import {ISequencerRegistry} from "../interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "../interfaces/ISequencerSet.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {SetMember, TallyEntry, TallyWords} from "./TallyWords.sol";

/// @title Reward vault
/// @dev Specified by `IRewardVault`. Every token held is in exactly one of: the reserve, the open epoch's remainder, a
/// pool's credited rewards, a commission balance, a posting balance (F3). Nothing is governed but two rates.
contract RewardVault is IRewardVault, EpochClock, AccessManaged, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace224;
    using SafeERC20 for IERC20;
    using TallyWords for bytes;

    // The epoch whose entries are being credited; three words, so a page reads and writes little.
    struct OpenEpoch {
        uint32 epoch;
        uint32 cursor; // next entry
        uint32 count; // entries; the epoch is open while cursor < count
        uint64 totalWeight; // gwei, sum over the members
        uint96 rate; // emission per block, wei
        uint128 basePools; // base fees shared by the pools, wei
        uint128 remaining; // wei neither credited nor returned yet
        bytes32 work; // binds members and entries across pages
    }

    // Where a delegator's walk through its own history stands.
    struct Cursor {
        uint32 paidThrough; // every epoch up to here is paid
        uint32 segment; // checkpoint of units in force there
    }

    uint256 private constant SCALE = 1e27;

    /// @inheritdoc IRewardVault
    uint96 public constant MAX_REWARD_PER_BLOCK = 100e18;

    /// @inheritdoc IRewardVault
    uint96 public constant MAX_POSTING_REWARD = 1000e18;

    /// @inheritdoc IRewardVault
    address public immutable token;
    IPortal private immutable PORTAL;
    IBatchChain private immutable BATCH_CHAIN;
    ISequencerRegistry private immutable REGISTRY;
    IStakeVault private immutable STAKE_VAULT;
    ISequencerSet private immutable SEQUENCER_SET;
    IFeeSplitter private immutable FEE_SPLITTER;

    /// @inheritdoc IRewardVault
    uint256 public reserve;

    /// @inheritdoc IRewardVault
    uint256 public nextTally;

    OpenEpoch private _open;
    Checkpoints.Trace224 private _rewardPerBlock;
    Checkpoints.Trace224 private _postingReward;
    mapping(uint32 id => Checkpoints.Trace224) private _cum;
    mapping(uint32 id => mapping(address account => Cursor)) private _cursors;

    /// @inheritdoc IRewardVault
    mapping(address account => bool) public claimsItself;

    /// @inheritdoc IRewardVault
    mapping(uint32 id => uint256) public claimableCommission;

    /// @inheritdoc IRewardVault
    mapping(address poster => uint256) public claimablePosting;

    constructor(Config memory config) EpochClock(config.genesis, config.epochSeconds) AccessManaged(config.authority) {
        require(
            config.token != address(0) && config.portal != address(0) && config.batchChain != address(0)
                && config.registry != address(0) && config.stakeVault != address(0) && config.sequencerSet != address(0)
                && config.feeSplitter != address(0) && config.authority != address(0),
            RewardVault_ZeroAddress()
        );
        token = config.token;
        PORTAL = IPortal(config.portal);
        BATCH_CHAIN = IBatchChain(config.batchChain);
        REGISTRY = ISequencerRegistry(config.registry);
        STAKE_VAULT = IStakeVault(config.stakeVault);
        SEQUENCER_SET = ISequencerSet(config.sequencerSet);
        FEE_SPLITTER = IFeeSplitter(config.feeSplitter);
        _setRewardPerBlock(config.rewardPerBlock, 0);
        _setPostingReward(config.postingReward, 0);
    }

    // ---------------------------------------------------------------------------------------------------- epochs

    /// @inheritdoc IRewardVault
    function fund(uint256 amount) external nonReentrant {
        require(amount != 0, RewardVault_Zero());
        reserve += amount;
        emit Funded(msg.sender, amount);
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        require(received >= amount, RewardVault_TokenTookFee(received, amount));
    }

    /// @inheritdoc IRewardVault
    function openEpoch(IBatchChain.BatchHeader calldata header, bytes calldata members, bytes calldata entries)
        external
        nonReentrant
    {
        IBatchChain.Tally calldata tally = header.tally;
        bytes32 batchHash = _checkTurn(header);
        bytes32 entriesHash = keccak256(entries);
        require(entriesHash == tally.root, RewardVault_WrongEntries(tally.root, entriesHash));
        require(
            entries.length == uint256(tally.count) * 32 && members.length == entries.length,
            RewardVault_WrongLength(tally.count, members.length, entries.length)
        );
        bytes32 membersHash = keccak256(members);
        bytes32 setHash = SEQUENCER_SET.setHash(tally.epoch);
        require(membersHash == setHash, RewardVault_WrongMembers(setHash, membersHash));

        (uint256 priority, uint256 blocks, uint64 totalWeight) = _sum(members, entries);
        require(priority <= tally.fees, RewardVault_PriorityAboveFees(priority, tally.fees));

        uint96 rate = blocks == 0 ? 0 : uint96(Math.min(rewardPerBlockAt(tally.epoch), reserve / blocks));
        uint256 emission = rate * blocks;
        (uint256 basePools, uint256 ecosystem, uint256 burnt) = FEE_SPLITTER.splitBaseFee(tally.fees - priority);
        (,, uint256 priorityEcosystem) = FEE_SPLITTER.splitPriorityFee(priority);
        ecosystem += priorityEcosystem;

        reserve -= emission;
        nextTally += 1;
        _open = OpenEpoch({
            epoch: tally.epoch,
            cursor: 0,
            count: tally.count,
            totalWeight: totalWeight,
            rate: rate,
            basePools: SafeCast.toUint128(basePools),
            remaining: SafeCast.toUint128(emission + tally.fees - ecosystem - burnt),
            work: _workHash(membersHash, entriesHash)
        });
        emit EpochOpened(tally.epoch, batchHash, tally.fees, emission);

        PORTAL.releaseFees(tally.epoch, tally.fees);
        if (ecosystem + burnt != 0) {
            IERC20(token).safeTransfer(address(FEE_SPLITTER), ecosystem + burnt);
            FEE_SPLITTER.settle(ecosystem, burnt);
        }
    }

    /// @inheritdoc IRewardVault
    function credit(uint32 epoch, bytes calldata members, bytes calldata entries, uint256 maxCount) external {
        require(maxCount != 0, RewardVault_Zero());
        OpenEpoch memory open = _open;
        require(open.cursor < open.count, RewardVault_NoOpenEpoch());
        require(open.epoch == epoch, RewardVault_WrongEpoch(open.epoch, epoch));
        bytes32 work = _workHash(keccak256(members), keccak256(entries));
        require(open.work == work, RewardVault_WrongWork(open.work, work));

        uint256 end = Math.min(open.count, open.cursor + Math.min(maxCount, open.count));
        uint256 credited;
        for (uint256 i = open.cursor; i < end; ++i) {
            credited += _credit(open, members.memberAt(i), entries.entryAt(i));
        }
        uint256 remaining = open.remaining - credited;
        if (end == open.count) {
            reserve += remaining;
            emit EpochCredited(epoch, remaining);
            remaining = 0;
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        (_open.cursor, _open.remaining) = (uint32(end), uint128(remaining)); // at most what they were
    }

    // ---------------------------------------------------------------------------------------------------- claims

    /// @inheritdoc IRewardVault
    function claim(uint32 id, address account, uint256 maxSegments) external returns (uint256 amount) {
        require(maxSegments != 0, RewardVault_Zero());
        require(msg.sender == account || !claimsItself[account], RewardVault_OnlyAccount(account));
        Cursor memory cursor;
        (amount, cursor) = _walk(id, account, maxSegments);
        _cursors[id][account] = cursor;
        if (amount != 0) {
            emit RewardsClaimed(id, account, amount, cursor.paidThrough);
            IERC20(token).safeTransfer(account, amount);
        }
    }

    /// @inheritdoc IRewardVault
    function setClaimsItself(bool only) external {
        claimsItself[msg.sender] = only;
        emit ClaimsItself(msg.sender, only);
    }

    /// @inheritdoc IRewardVault
    function claimCommission(uint32 id) external returns (uint256 amount) {
        amount = claimableCommission[id];
        if (amount == 0) return 0;
        claimableCommission[id] = 0;
        address recipient = REGISTRY.rewardRecipientOf(id);
        emit CommissionClaimed(id, recipient, amount);
        IERC20(token).safeTransfer(recipient, amount);
    }

    /// @inheritdoc IRewardVault
    function claimPosting(address poster) external returns (uint256 amount) {
        amount = claimablePosting[poster];
        if (amount == 0) return 0;
        claimablePosting[poster] = 0;
        emit PostingClaimed(poster, amount);
        IERC20(token).safeTransfer(poster, amount);
    }

    /// @inheritdoc IRewardVault
    function rewardPoster(address poster, uint64 index) external {
        require(msg.sender == address(BATCH_CHAIN), RewardVault_OnlyBatchChain(msg.sender));
        uint256 held = reserve;
        uint256 amount = Math.min(postingReward(), held);
        if (amount != 0) {
            reserve = held - amount;
            claimablePosting[poster] += amount;
        }
        emit PosterRewarded(poster, index, amount);
    }

    // ------------------------------------------------------------------------------------------------ governance

    /// @inheritdoc IRewardVault
    function setRewardPerBlock(uint96 amount) external restricted {
        _setRewardPerBlock(amount, currentEpoch() + 1);
    }

    /// @inheritdoc IRewardVault
    function setPostingReward(uint96 amount) external restricted {
        _setPostingReward(amount, currentEpoch() + 1);
    }

    // ----------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IRewardVault
    function claimable(uint32 id, address account) external view returns (uint256 amount) {
        (amount,) = _walk(id, account, type(uint256).max);
    }

    /// @inheritdoc IRewardVault
    function paidThrough(uint32 id, address account) external view returns (uint32) {
        return _cursors[id][account].paidThrough;
    }

    /// @inheritdoc IRewardVault
    function cumAt(uint32 id, uint32 epoch) public view returns (uint256) {
        return _cum[id].upperLookupRecent(epoch);
    }

    /// @inheritdoc IRewardVault
    function lastCredited(uint32 id) public view returns (uint32 epoch) {
        (, epoch,) = _cum[id].latestCheckpoint();
    }

    /// @inheritdoc IRewardVault
    function openStatus() external view returns (uint32 epoch, uint32 cursor, uint32 count) {
        return (_open.epoch, _open.cursor, _open.count);
    }

    /// @inheritdoc IRewardVault
    function creditDue() external view returns (bool due, uint32 epoch, uint32 cursor) {
        due = _open.cursor < _open.count;
        return (due, _open.epoch, _open.cursor);
    }

    /// @inheritdoc IRewardVault
    function openDue() external view returns (bool due, bytes32 batchHash) {
        if (_open.cursor < _open.count || nextTally >= BATCH_CHAIN.tallyCount()) return (false, 0);
        return (true, BATCH_CHAIN.tallyAt(nextTally));
    }

    /// @inheritdoc IRewardVault
    function rewardPerBlockAt(uint32 epoch) public view returns (uint96) {
        return uint96(_rewardPerBlock.upperLookupRecent(epoch));
    }

    /// @inheritdoc IRewardVault
    function rewardPerBlock() external view returns (uint96) {
        return rewardPerBlockAt(currentEpoch());
    }

    /// @inheritdoc IRewardVault
    function postingReward() public view returns (uint96) {
        return uint96(_postingReward.upperLookupRecent(currentEpoch()));
    }

    // -------------------------------------------------------------------------------------------------- internals

    // The header is the next FINAL tally's, and the epoch before is done with.
    function _checkTurn(IBatchChain.BatchHeader calldata header) private view returns (bytes32 batchHash) {
        (uint32 last, uint32 cursor, uint32 count) = (_open.epoch, _open.cursor, _open.count);
        require(cursor == count, RewardVault_EpochStillOpen(last, cursor, count));
        uint256 index = nextTally;
        require(index < BATCH_CHAIN.tallyCount(), RewardVault_NothingToOpen(index));
        bytes32 expected = BATCH_CHAIN.tallyAt(index);
        batchHash = keccak256(abi.encode(header));
        require(batchHash == expected, RewardVault_WrongHeader(expected, batchHash));
        // Rewards are looked up by epoch: a second tally of an epoch would be invisible to whoever claimed after the
        // first.
        require(header.tally.epoch > last, RewardVault_EpochNotLater(last, header.tally.epoch));
    }

    // The tally's own `blocks` is not used: emission follows the entries it is paid by, so that no inconsistency
    // between the two can hold up the epochs after it.
    function _sum(bytes calldata members, bytes calldata entries)
        private
        pure
        returns (uint256 priority, uint256 blocks, uint64 totalWeight)
    {
        uint256 count = entries.length / 32;
        for (uint256 i = 0; i < count; ++i) {
            TallyEntry entry = entries.entryAt(i);
            SetMember member = members.memberAt(i);
            require(entry.id() == member.id(), RewardVault_WrongId(i, member.id(), entry.id()));
            priority += entry.priority();
            blocks += uint256(entry.own()) + entry.substituted();
            totalWeight += member.weight();
        }
    }

    // Credits one operator and returns what that took from the epoch's remainder.
    function _credit(OpenEpoch memory open, SetMember member, TallyEntry entry) private returns (uint256 credited) {
        uint32 id = entry.id();
        (uint256 leaderPart, uint256 poolPart,) = FEE_SPLITTER.splitPriorityFee(entry.priority());
        poolPart += uint256(entry.own()) * open.rate + uint256(entry.substituted()) * open.rate / 2;
        if (entry.assigned() != 0) {
            uint256 done = Math.min(entry.own(), entry.assigned());
            poolPart += uint256(open.basePools) * member.weight() * done
            / (uint256(open.totalWeight) * entry.assigned());
        }
        uint256 commission = poolPart * REGISTRY.commissionAt(id, open.epoch) / 10_000;
        uint256 toPool = _creditPool(id, open.epoch, poolPart - commission);
        uint256 toOperator = commission + leaderPart;
        if (toOperator != 0) claimableCommission[id] += toOperator;
        emit OperatorCredited(open.epoch, id, toPool, toOperator);
        return toPool + toOperator;
    }

    // Raises the pool's reward per unit. A pool without units, or whose units are so few that the sum would not fit its
    // word, cannot be paid: the amount then stays with the epoch and returns to the reserve.
    function _creditPool(uint32 id, uint32 epoch, uint256 amount) private returns (uint256) {
        Checkpoints.Trace224 storage trace = _cum[id];
        (, uint256 units) = STAKE_VAULT.poolAt(id, epoch);
        uint256 cum = trace.latest();
        uint256 raised = units == 0 ? cum : cum + amount * SCALE / units;
        bool payable_ = units != 0 && raised <= type(uint224).max;
        // The key is written even for nothing: it says up to where claims may settle.
        trace.push(epoch, uint224(payable_ ? raised : cum));
        return payable_ ? amount : 0;
    }

    // Walks the account's own history of units from its cursor to the last epoch credited to the pool. The first stretch
    // starts at `max(paidThrough, from − 1)`: what was credited before the first checkpoint was not earned here.
    function _walk(uint32 id, address account, uint256 maxSegments)
        private
        view
        returns (uint256 amount, Cursor memory cursor)
    {
        cursor = _cursors[id][account];
        uint256 count = STAKE_VAULT.unitsCheckpointCount(id, account);
        if (count == 0 || cursor.paidThrough >= lastCredited(id)) return (0, cursor);

        (uint32 from, uint256 units) = STAKE_VAULT.unitsCheckpointAt(id, account, cursor.segment);
        uint256 paidCum = cumAt(id, uint32(Math.max(cursor.paidThrough, Math.saturatingSub(from, 1))));
        bool ends = true;
        for (; ends && maxSegments != 0; --maxSegments) {
            uint256 cum;
            uint256 nextUnits;
            (ends, cum, nextUnits) = _segment(id, account, cursor, count);
            amount += Math.mulDiv(units, cum - paidCum, SCALE);
            (units, paidCum) = (nextUnits, cum);
        }
    }

    // One stretch of constant units: up to the checkpoint that ends it, or to the last credited epoch. Moves the cursor.
    function _segment(uint32 id, address account, Cursor memory cursor, uint256 count)
        private
        view
        returns (bool ends, uint256 cum, uint256 nextUnits)
    {
        (, uint32 to, uint224 last) = _cum[id].latestCheckpoint();
        cum = last;
        if (cursor.segment + 1 < count) {
            uint32 next;
            (next, nextUnits) = STAKE_VAULT.unitsCheckpointAt(id, account, cursor.segment + 1);
            ends = next <= to;
            if (ends) {
                to = next - 1;
                cum = cumAt(id, to);
                cursor.segment += 1;
            }
        }
        if (to > cursor.paidThrough) cursor.paidThrough = to;
    }

    function _setRewardPerBlock(uint96 amount, uint32 fromEpoch) private {
        require(amount <= MAX_REWARD_PER_BLOCK, RewardVault_AboveMaximum(amount, MAX_REWARD_PER_BLOCK));
        _rewardPerBlock.push(fromEpoch, amount);
        emit RewardPerBlockChanged(amount, fromEpoch);
    }

    function _setPostingReward(uint96 amount, uint32 fromEpoch) private {
        require(amount <= MAX_POSTING_REWARD, RewardVault_AboveMaximum(amount, MAX_POSTING_REWARD));
        _postingReward.push(fromEpoch, amount);
        emit PostingRewardChanged(amount, fromEpoch);
    }

    function _workHash(bytes32 membersHash, bytes32 entriesHash) private pure returns (bytes32) {
        return keccak256(abi.encode(membersHash, entriesHash));
    }
}
