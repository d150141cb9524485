// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "./IBatchChain.sol";

/// @title Reward vault
/// @notice Pays for work that L1 has seen to be final (protocol section 9). Epochs are opened in the order of their
/// FINAL tallies and credited page by page; the next one opens only after the last is credited completely. Delegators
/// claim along their own history of units in the stake vault; no call ever loops over delegators.
/// @dev Two encodings are read, both one 32-byte word per member of the epoch's set, in member order, big endian:
/// members `signer (20) ‖ id (4) ‖ weight in gwei (8)` and entries `id (4) ‖ slotsAssigned (4) ‖ ownProduced
/// (4) ‖
/// fallbackProduced (4) ‖ priorityFeesWei (16)`.
///
/// The amounts of an epoch, in wei, every division rounded down:
/// ```
/// blocks       = Σ (own + fallback)                        rate = min(rewardPerBlockAt(epoch), reserve / blocks)
/// base         = tally.fees − Σ priority                   40 % pools, 30 % ecosystem, 30 % burnt
/// pool part of id = own·rate + fallback·rate/2
///                 + basePools·weight·min(own, assigned) / (Σ weight·assigned)      (0 when assigned = 0)
///                 + 60 % of priority
/// commission of id = pool part · commissionAt(id, epoch) / 10000, plus 20 % of priority (the leader's part)
/// cum[id][epoch]   = cum[id][last] + (pool part − pool part · commissionAt / 10000) · 1e27 / unitsAt(id, epoch)
/// ecosystem        = 30 % of base + 20 % of Σ priority
/// ```
/// A delegator with `units` over the epochs `[a, b)` is paid `units·(cum[b−1] − cum[a−1]) / 1e27`. Whatever was
/// opened
/// and not credited (half of fallback emission, unearned base fees, roundings, pools without units) returns to the
/// reserve with the last entry.
interface IRewardVault {
    /// @notice What the constructor needs.
    /// @param token The native token.
    /// @param portal The `IPortal` that releases fees.
    /// @param batchChain The `IBatchChain` whose FINAL tallies are paid.
    /// @param registry The `ISequencerRegistry`.
    /// @param stakeVault The `IStakeVault`.
    /// @param sequencerSet The `ISequencerSet`.
    /// @param feeSplitter The `IFeeSplitter`.
    /// @param authority OpenZeppelin `AccessManager` that governs the two rates.
    /// @param rewardPerBlock Emission per block from epoch 0, wei, at most `MAX_REWARD_PER_BLOCK`.
    /// @param postingReward Reward of a posted batch from epoch 0, wei, at most `MAX_POSTING_REWARD`.
    /// @param genesis Start of epoch 0, unix seconds.
    /// @param epochSeconds Length of an epoch, seconds.
    struct Config {
        address token;
        address portal;
        address batchChain;
        address registry;
        address stakeVault;
        address sequencerSet;
        address feeSplitter;
        address authority;
        uint96 rewardPerBlock;
        uint96 postingReward;
        uint64 genesis;
        uint64 epochSeconds;
    }

    /// @notice `from` added `amount` wei to the reserve.
    event Funded(address indexed from, uint256 amount);

    /// @notice The tally of `epoch`, carried by the FINAL batch `batchHash`, is open for crediting: `fees` wei were
    /// pulled from the portal, `emission` wei were taken from the reserve.
    event EpochOpened(uint32 indexed epoch, bytes32 indexed batchHash, uint256 fees, uint256 emission);

    /// @notice Operator `id` was credited for `epoch`: `poolAmount` wei to its delegators, `commissionAmount` to
    /// itself.
    event OperatorCredited(uint32 indexed epoch, uint32 indexed id, uint256 poolAmount, uint256 commissionAmount);

    /// @notice Every entry of `epoch` is credited; `returned` wei went to the reserve.
    event EpochCredited(uint32 indexed epoch, uint256 returned);

    /// @notice `amount` wei was paid to `account` for its units in pool `id`, for all epochs up to `toEpoch`.
    event RewardsClaimed(uint32 indexed id, address indexed account, uint256 amount, uint32 toEpoch);

    /// @notice Nobody but `account` may claim its rewards from now on, or anybody may again.
    event ClaimsItself(address indexed account, bool only);

    /// @notice The commission balance of `id`, `amount` wei, was paid to `recipient`.
    event CommissionClaimed(uint32 indexed id, address indexed recipient, uint256 amount);

    /// @notice `poster` earned `amount` wei (0 when the reserve is empty) for the batch `index`, now FINAL.
    event PosterRewarded(address indexed poster, uint64 indexed index, uint256 amount);

    /// @notice `amount` wei of posting rewards was paid to `poster`.
    event PostingClaimed(address indexed poster, uint256 amount);

    /// @notice From `fromEpoch` on, a block is worth `amount` wei.
    event RewardPerBlockChanged(uint96 amount, uint32 fromEpoch);

    /// @notice From `fromEpoch` on, a posted batch is worth `amount` wei.
    event PostingRewardChanged(uint96 amount, uint32 fromEpoch);

    /// @notice A contract given to the constructor is the zero address.
    error RewardVault_ZeroAddress();

    /// @notice An amount, page size or segment limit of zero does nothing.
    error RewardVault_Zero();

    /// @notice The open epoch must be credited completely first; `cursor` of `count` entries are.
    error RewardVault_EpochStillOpen(uint32 epoch, uint32 cursor, uint32 count);

    /// @notice There is no FINAL tally number `index` yet.
    error RewardVault_NothingToOpen(uint256 index);

    /// @notice The header is not the one of the next FINAL tally.
    error RewardVault_WrongHeader(bytes32 expected, bytes32 actual);

    /// @notice A tally must be of a later epoch than the one before.
    error RewardVault_EpochNotLater(uint32 last, uint32 epoch);

    /// @notice The entries do not hash to the tally's root.
    error RewardVault_WrongEntries(bytes32 expected, bytes32 actual);

    /// @notice The members do not hash to the frozen set of the tally's epoch.
    error RewardVault_WrongMembers(bytes32 expected, bytes32 actual);

    /// @notice There must be exactly one entry and one member per counted operator; lengths in bytes.
    error RewardVault_WrongLength(uint256 count, uint256 membersLength, uint256 entriesLength);

    /// @notice Entry number `index` names another id than the member at that place.
    error RewardVault_WrongId(uint256 index, uint32 expected, uint32 actual);

    /// @notice The entries claim more priority fees than the epoch collected.
    error RewardVault_PriorityAboveFees(uint256 priority, uint256 fees);

    /// @notice Every opened epoch is credited.
    error RewardVault_NoOpenEpoch();

    /// @notice Another epoch is open than the one named.
    error RewardVault_WrongEpoch(uint32 open, uint32 given);

    /// @notice Members or entries differ from those the epoch was opened with.
    error RewardVault_WrongWork(bytes32 expected, bytes32 actual);

    /// @notice Only the batch chain may do this.
    error RewardVault_OnlyBatchChain(address caller);

    /// @notice `account` claims its rewards itself.
    error RewardVault_OnlyAccount(address account);

    /// @notice A governed amount is above its constant bound.
    error RewardVault_AboveMaximum(uint256 amount, uint256 maximum);

    /// @notice Less arrived than was asked: tokens that take a fee are refused.
    error RewardVault_TokenTookFee(uint256 received, uint256 expected);

    /// @notice Adds `amount` wei of the caller's tokens to the reserve; needs an allowance.
    /// @dev Emits `Funded`. Reverts with `RewardVault_Zero`, with what the token says, with `RewardVault_TokenTookFee`. The reserve can only leave as emission and posting
    /// rewards.
    function fund(uint256 amount) external;

    /// @notice Opens the next FINAL tally: pulls its fees from the portal, takes its emission from the reserve, settles
    /// the parts of the ecosystem and the burn. Anyone may call; a pause does not stop it.
    /// @dev Emits `EpochOpened`. Reverts, in this order: `RewardVault_EpochStillOpen`, `RewardVault_NothingToOpen`,
    /// `RewardVault_WrongHeader`, `RewardVault_EpochNotLater`, `RewardVault_WrongEntries`, `RewardVault_WrongLength`,
    /// `RewardVault_WrongMembers`, `RewardVault_WrongId`, `RewardVault_PriorityAboveFees`.
    /// @param header of the batch `batchChain.tallyAt(nextTally())`
    /// @param members of the frozen set of the tally's epoch
    /// @param entries hashing to the tally's root
    function openEpoch(IBatchChain.BatchHeader calldata header, bytes calldata members, bytes calldata entries) external;

    /// @notice Credits the next `maxCount` entries of the open epoch. Anyone may call; a pause does not stop it.
    /// @dev Emits `OperatorCredited` per entry, `EpochCredited` with the last. Reverts, in this order:
    /// `RewardVault_Zero`, `RewardVault_NoOpenEpoch`, `RewardVault_WrongEpoch`, `RewardVault_WrongWork`.
    /// @param epoch the open epoch
    /// @param members as given to `openEpoch`
    /// @param entries as given to `openEpoch`
    /// @param maxCount how many entries at most, ≥ 1
    function credit(uint32 epoch, bytes calldata members, bytes calldata entries, uint256 maxCount) external;

    /// @notice Pays `account` what its units in pool `id` earned, walking at most `maxSegments` constant stretches of
    /// its history. Anyone may call, unless `account` claims itself; the tokens go to `account`. Nothing due pays nothing
    /// and is no error.
    /// @dev Emits `RewardsClaimed` if anything is paid. Reverts in this order: `RewardVault_Zero`, `RewardVault_OnlyAccount`.
    /// @param maxSegments ≥ 1; a stretch ends where the account's units changed
    /// @return amount wei paid
    function claim(uint32 id, address account, uint256 maxSegments) external returns (uint256 amount);

    /// @notice Says whether nobody but the caller may claim its rewards: for contracts that book what they claim.
    /// @dev Emits `ClaimsItself`.
    function setClaimsItself(bool only) external;

    /// @notice Pays the commission balance of `id` to its reward recipient. Anyone may call; 0 is no error.
    /// @dev Emits `CommissionClaimed` if anything is paid.
    /// @return amount wei paid
    function claimCommission(uint32 id) external returns (uint256 amount);

    /// @notice Pays the posting rewards of `poster` to it. Anyone may call; 0 is no error.
    /// @dev Emits `PostingClaimed` if anything is paid.
    /// @return amount wei paid
    function claimPosting(address poster) external returns (uint256 amount);

    /// @notice Books the posting reward of a batch that became FINAL, as far as the reserve has it.
    /// @dev Emits `PosterRewarded`. Reverts only with `RewardVault_OnlyBatchChain`.
    /// @param poster who posted the batch
    /// @param index of the batch
    function rewardPoster(address poster, uint64 index) external;

    /// @notice Changes the emission per block from the next epoch on.
    /// @dev Emits `RewardPerBlockChanged`. Requires the governance timelock.
    /// Reverts, in this order: `AccessManagedUnauthorized`, `RewardVault_AboveMaximum`.
    /// @param amount wei, at most `MAX_REWARD_PER_BLOCK`
    function setRewardPerBlock(uint96 amount) external;

    /// @notice Changes the reward of a posted batch from the next epoch on.
    /// @dev Emits `PostingRewardChanged`. Requires the governance timelock.
    /// Reverts, in this order: `AccessManagedUnauthorized`, `RewardVault_AboveMaximum`.
    /// @param amount wei, at most `MAX_POSTING_REWARD`
    function setPostingReward(uint96 amount) external;

    /// @notice What `claim` without a limit would pay now, wei.
    function claimable(uint32 id, address account) external view returns (uint256);

    /// @notice True if nobody but `account` may claim its rewards.
    function claimsItself(address account) external view returns (bool);

    /// @notice The last epoch `account` was paid for in pool `id`; 0 before the first claim.
    function paidThrough(uint32 id, address account) external view returns (uint32);

    /// @notice The commission balance of `id`, wei.
    function claimableCommission(uint32 id) external view returns (uint256);

    /// @notice The posting rewards booked for `poster`, wei.
    function claimablePosting(address poster) external view returns (uint256);

    /// @notice Reward per unit of pool `id` summed over all credited epochs up to `epoch`, wei·1e27 per unit.
    function cumAt(uint32 id, uint32 epoch) external view returns (uint256);

    /// @notice The last epoch credited to `id`; 0 if none.
    function lastCredited(uint32 id) external view returns (uint32);

    /// @notice Tokens for future emission and posting rewards, wei.
    function reserve() external view returns (uint256);

    /// @notice How many tallies were opened: the number of the next one.
    function nextTally() external view returns (uint256);

    /// @notice The last opened epoch, how many of its `count` entries are credited; `cursor < count` while it is open.
    function openStatus() external view returns (uint32 epoch, uint32 cursor, uint32 count);

    /// @notice Whether `credit` is due, for which epoch, and from which entry on.
    function creditDue() external view returns (bool due, uint32 epoch, uint32 cursor);

    /// @notice Whether `openEpoch` is due, and for which batch.
    function openDue() external view returns (bool due, bytes32 batchHash);

    /// @notice Emission per block in force in `epoch`, wei.
    function rewardPerBlockAt(uint32 epoch) external view returns (uint96);

    /// @notice Emission per block in force now, wei.
    function rewardPerBlock() external view returns (uint96);

    /// @notice Reward of a posted batch in force now, wei.
    function postingReward() external view returns (uint96);

    /// @notice Upper bound of the emission per block, wei.
    function MAX_REWARD_PER_BLOCK() external view returns (uint96);

    /// @notice Upper bound of the posting reward, wei.
    function MAX_POSTING_REWARD() external view returns (uint96);

    /// @notice The native token.
    function token() external view returns (address);
}
