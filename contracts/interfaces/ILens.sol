// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "./ISequencerRegistry.sol";

/// @title Lens
/// @notice What a person, a keeper or a node wants to see at once, read from the contracts in one call. No contract reads
/// it and nothing depends on it.
interface ILens {
    /// @notice An operator now.
    /// @param id Its number.
    /// @param status Its life in the registry.
    /// @param owner Who decides for it.
    /// @param signer Its latest consensus key.
    /// @param rewardRecipient Who receives its commission.
    /// @param commissionBps Commission in force, basis points.
    /// @param poolTokens Stake in its pool, token wei.
    /// @param poolUnits Units of its pool.
    /// @param selfBond The owner's stake in it, latest value, token wei.
    /// @param ready Whether anyone may seat it.
    /// @param seated Whether it has a seat.
    /// @param seat Which, if so.
    /// @param claimableCommission Its commission balance, token wei.
    /// @param lastCredited Last epoch it was paid for.
    struct Operator {
        uint32 id;
        ISequencerRegistry.Status status;
        address owner;
        address signer;
        address rewardRecipient;
        uint16 commissionBps;
        uint256 poolTokens;
        uint256 poolUnits;
        uint256 selfBond;
        bool ready;
        bool seated;
        uint8 seat;
        uint256 claimableCommission;
        uint32 lastCredited;
    }

    /// @notice The chores that would succeed now.
    /// @param freeze Whether `SequencerSet.freeze(freezeEpoch)` would.
    /// @param freezeEpoch The epoch to freeze.
    /// @param recordRandao Whether `SequencerSet.recordRandao()` would record.
    /// @param anchor Whether `BatchChain.anchorLatest()` has this epoch's first anchor to set.
    /// @param finalize Hash of the batch to finalize; 0 for none.
    /// @param open Whether `RewardVault.openEpoch` would.
    /// @param openBatch Hash of the batch whose tally to open.
    /// @param credit Whether `RewardVault.credit(creditEpoch, …)` would.
    /// @param creditEpoch The open epoch.
    /// @param creditCursor Its next entry.
    /// @param creditCount Its number of entries.
    struct Due {
        bool freeze;
        uint32 freezeEpoch;
        bool recordRandao;
        bool anchor;
        bytes32 finalize;
        bool open;
        bytes32 openBatch;
        bool credit;
        uint32 creditEpoch;
        uint32 creditCursor;
        uint32 creditCount;
    }

    /// @notice A seat an operator would get.
    /// @param id The operator.
    /// @param due Whether `SequencerSet.takeSeat(id, seat)` would succeed.
    /// @param seat The best seat.
    struct SeatDue {
        uint32 id;
        bool due;
        uint8 seat;
    }

    /// @notice What an account has in one pool.
    /// @param id The pool.
    /// @param units Its units.
    /// @param value What they are worth, token wei.
    /// @param rewards What `RewardVault.claim` would pay, token wei.
    /// @param paidThrough Last epoch it was paid for.
    struct Position {
        uint32 id;
        uint256 units;
        uint256 value;
        uint256 rewards;
        uint32 paidThrough;
    }

    /// @notice Stake of an account on its way out of one pool.
    /// @param cohortEpoch Epoch it was undelegated in.
    /// @param amount What it is worth, token wei.
    /// @param claimableFrom When it can be claimed, unix seconds.
    struct Thaw {
        uint32 cohortEpoch;
        uint256 amount;
        uint256 claimableFrom;
    }

    /// @notice The state of the reward vault.
    /// @param reserve Tokens for future emission, wei.
    /// @param rewardPerBlock Emission per block now, wei.
    /// @param postingReward Reward of a posted batch now, wei.
    /// @param tallies FINAL tallies.
    /// @param opened Tallies opened.
    /// @param epoch The last opened epoch.
    /// @param cursor Its credited entries.
    /// @param count Its entries.
    struct Rewards {
        uint256 reserve;
        uint96 rewardPerBlock;
        uint96 postingReward;
        uint256 tallies;
        uint256 opened;
        uint32 epoch;
        uint32 cursor;
        uint32 count;
    }

    /// @notice One slash of the vault's log.
    /// @param seq Its number.
    /// @param id Whom it hit.
    /// @param sigma Epoch of the set the fault happened under: cohorts `c` with `c + 1 < sigma` did not pay.
    /// @param before Cohorts with `c + 1 >= before` did not pay either, nor did the pool; `ALL_LATER`: both did.
    /// @param fraction Fraction taken, 1e18 = all.
    struct Slash {
        uint256 seq;
        uint32 id;
        uint32 sigma;
        uint32 before;
        uint256 fraction;
    }

    /// @notice A penalty that is not complete.
    /// @param id The operator.
    /// @param kind `FaultKind`: `OFFLINE` for a case of absence, `AMNESIA` with a `sigma` of 0 for open accusations of it, else
    /// that of a conviction whose top-up is due.
    /// @param sigma Epoch of the set the fault happened under; 0 for accusations, which name theirs in their charges.
    /// @param before Which stake pays, as in `Slash`: what backed `sigma` and left before it could back this set.
    /// @param fraction Fraction that is still to be taken, 1e18 = all; 0 for a first absence, which can only be vetoed, and
    /// for accusations, which can still be answered.
    /// @param dueAt From when it can be taken, unix seconds; a veto is possible before. 0 for a top-up and for accusations.
    struct OpenFault {
        uint32 id;
        uint8 kind;
        uint32 sigma;
        uint32 before;
        uint256 fraction;
        uint256 dueAt;
    }

    /// @notice A contract given to the constructor is the zero address.
    error Lens_ZeroAddress();

    /// @notice Operators with ids from `from` on, at most `count` of them, fewer at the end.
    /// @param from first id, ≥ 1
    function operators(uint32 from, uint256 count) external view returns (Operator[] memory page);

    /// @notice Operator `id`; all zero for an unknown id.
    function operatorOf(uint32 id) external view returns (Operator memory);

    /// @notice The chores of a keeper.
    function due() external view returns (Due memory);

    /// @notice Which of `ids` could take a seat now, and which one.
    function seatsDue(uint32[] calldata ids) external view returns (SeatDue[] memory);

    /// @notice What `account` has in each pool of `ids`.
    function positions(address account, uint32[] calldata ids) external view returns (Position[] memory);

    /// @notice What `account` undelegated from pool `id` in the epochs `from` to `from + count − 1` and did not claim yet.
    function thaws(address account, uint32 id, uint32 from, uint32 count) external view returns (Thaw[] memory);

    /// @notice Number of the latest slash; they count from 1.
    function slashSeq() external view returns (uint256);

    /// @notice Slashes number `from` to `from + count − 1`, fewer at the end.
    /// @param from first number, ≥ 1
    function slashHistory(uint256 from, uint256 count) external view returns (Slash[] memory page);

    /// @notice Those slashes among number `from` to `from + count − 1` that hit operator `id`, in order.
    /// @param from first number, ≥ 1
    function slashesOf(uint32 id, uint256 from, uint256 count) external view returns (Slash[] memory page);

    /// @notice Absences that can still be vetoed or slashed, open accusations of amnesia and top-ups that are due, of the
    /// operators with ids from `from` on, at most `count` of them; of each at most its eight latest absences, and one entry for
    /// all accusations: the charges themselves are in `AmnesiaFault`'s events, for whoever answers, convicts or expires them.
    /// A top-up is listed slash by slash, as `ISlasher.slashesDue` has it; one call of `topUp` takes all of an operator.
    /// @param from first id, ≥ 1
    function openFaults(uint32 from, uint256 count) external view returns (OpenFault[] memory);

    /// @notice What `account` would lose in pool `id` to a slash now, token wei, rounded up.
    /// @param sigma Epoch of the set the fault happened under.
    /// @param before What left before it could back this set pays, nothing else; `ALL_LATER`: everything, as for a conviction.
    /// @param fraction 1e18 = all; `ISlasher.rateFor` tells it for a conviction.
    /// @return staked Of its stake in the pool.
    /// @return thawing Of its stake on the way out.
    function lossOf(address account, uint32 id, uint32 sigma, uint32 before, uint256 fraction)
        external
        view
        returns (uint256 staked, uint256 thawing);

    /// @notice The state of the reward vault.
    function rewards() external view returns (Rewards memory);
}
