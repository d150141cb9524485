// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title ISequencerSet
/// @notice The seats, the set frozen for each epoch and its leader schedule (protocol sections 3 and 4).
/// @dev Members travel as bytes, 32 per member in seat order: `signer (20) ‖ id (4, big endian) ‖ weight (8, big
/// endian, gwei of stake)`. L1 keeps only their hash.
interface ISequencerSet {
    /// @notice What the constructor needs.
    /// @param registry The `ISequencerRegistry`.
    /// @param vault The `IStakeVault`.
    /// @param batchChain The `IBatchChain` whose `anchorLatest` each freeze calls.
    /// @param guardian Contract that answers `isPaused()`.
    /// @param authority OpenZeppelin `AccessManager` that governs `setMinSelfBond`.
    /// @param maxSeats Number of seats, 1 to `SEAT_LIMIT`.
    /// @param slotsPerWindow Slots of a leader window, `4^k`, at most 2^16.
    /// @param minSelfBond Least stake of the owner in its own pool, token wei, at most `MIN_SELF_BOND_CEILING`.
    /// @param genesis Start of epoch 0, unix seconds.
    /// @param epochSeconds Length of an epoch, seconds.
    struct Config {
        address registry;
        address vault;
        address batchChain;
        address guardian;
        address authority;
        uint8 maxSeats;
        uint32 slotsPerWindow;
        uint256 minSelfBond;
        uint64 genesis;
        uint64 epochSeconds;
    }

    /// @notice The set of `epoch` is fixed.
    event EpochFrozen(uint32 indexed epoch, bytes32 seed, bytes members);

    /// @notice `id` sits on `seat`, in place of `displacedId` (0: the seat was free).
    event SeatTaken(uint32 indexed id, uint8 indexed seat, uint32 indexed displacedId);

    /// @notice `id` gave up `seat`, or lost it at a freeze because it was not eligible.
    event SeatLeft(uint32 indexed id, uint8 indexed seat);

    /// @notice `id` may (not) be seated by anyone.
    event ReadySet(uint32 indexed id, bool ready);

    /// @notice The least self bond changed.
    event MinSelfBondChanged(uint256 minSelfBond);

    /// @notice The prevrandao that enters the seed of `epoch + 1` is recorded.
    event RandaoRecorded(uint32 indexed epoch, uint256 prevRandao);

    /// @notice The network is paused: no seat may be taken now. Leaving and freezing go on.
    error SequencerSet_Paused();

    /// @notice A contract given to the constructor is the zero address.
    error SequencerSet_ZeroAddress();

    /// @notice The number of seats is outside 1 to `maximum`.
    error SequencerSet_InvalidSeats(uint256 maxSeats, uint256 maximum);

    /// @notice The window length is not a power of four up to 2^16.
    error SequencerSet_InvalidWindow(uint256 slotsPerWindow);

    /// @notice The least self bond is above `ceiling`, token wei.
    error SequencerSet_InvalidMinSelfBond(uint256 minSelfBond, uint256 ceiling);

    /// @notice The caller is neither the owner nor the latest signer of the operator.
    error SequencerSet_NotOwnerOrSigner(uint32 id, address caller);

    /// @notice The operator sits on `seat`: it has to leave it first.
    error SequencerSet_AlreadySeated(uint32 id, uint8 seat);

    /// @notice The operator has no seat.
    error SequencerSet_NotSeated(uint32 id);

    /// @notice There is no such seat.
    error SequencerSet_NoSuchSeat(uint8 seat, uint8 maxSeats);

    /// @notice The operator has not declared to be ready.
    error SequencerSet_NotReady(uint32 id);

    /// @notice The operator is not active in the registry or has no signer that counts yet.
    error SequencerSet_NotActive(uint32 id);

    /// @notice The owner's stake in its own pool is too low, token wei.
    error SequencerSet_SelfBondBelowMinimum(uint32 id, uint256 selfBond, uint256 minimum);

    /// @notice The pool has less than one gwei.
    error SequencerSet_NoWeight(uint32 id);

    /// @notice The operator left its seat and may come back from epoch `earliest`.
    error SequencerSet_ReentryTooSoon(uint32 id, uint32 earliest);

    /// @notice The occupant is not more than 5 % lighter than the candidate, gwei.
    error SequencerSet_OccupantTooHeavy(uint32 occupant, uint64 occupantWeight, uint64 candidateWeight);

    /// @notice A seat is free: nobody has to be displaced.
    error SequencerSet_FreeSeatExists(uint256 occupied, uint256 maxSeats);

    /// @notice Enough members of the frozen set were displaced by newcomers in this epoch.
    error SequencerSet_ChurnBudgetSpent(uint32 epoch, uint256 budget);

    /// @notice The epoch runs already or is over: its set cannot change.
    error SequencerSet_EpochStarted(uint32 epoch, uint32 currentEpoch);

    /// @notice The set of `epoch` may be frozen from `opensAt`, unix seconds.
    error SequencerSet_TooEarlyToFreeze(uint32 epoch, uint256 opensAt);

    /// @notice The set of `epoch` is frozen already.
    error SequencerSet_AlreadyFrozen(uint32 epoch);

    /// @notice No seat has an eligible occupant: the last frozen set goes on.
    error SequencerSet_NobodyEligible(uint32 epoch);

    /// @notice Three times the total weight does not fit 64 bits, gwei.
    error SequencerSet_WeightOverflow(uint256 totalWeight);

    /// @notice The members given do not hash to the set frozen for `epoch` (zero: not frozen).
    error SequencerSet_WrongMembers(uint32 epoch, bytes32 expected, bytes32 actual);

    /// @notice Allows or forbids others to seat the operator: an operator that is offline must not be seated.
    /// @dev Emits `ReadySet`. Reverts: `NotOwnerOrSigner`, `AlreadySeated` (when withdrawing it while seated).
    function setReady(uint32 id, bool ready) external;

    /// @notice Seats an operator: on a free seat, on one whose occupant is not eligible any more, or, if no seat is
    /// free, on one whose occupant is more than 5 % lighter. Anyone may call. Weights are those that count in `current
    /// + 1`.
    /// @dev Emits `SeatTaken`. Displacing a member of the last frozen set costs one of `churnBudget()` per epoch,
    /// except when the candidate is such a member displaced in this epoch itself: it may displace a lighter one at
    /// once. Reverts in this order: `Paused`, `NoSuchSeat`, `AlreadySeated`, `NotReady`, `ReentryTooSoon`, `NotActive`,
    /// `SelfBondBelowMinimum`, `NoWeight`, `FreeSeatExists`, `OccupantTooHeavy`, `ChurnBudgetSpent`.
    /// @param seat 0 to `MAX_SEATS - 1`.
    function takeSeat(uint32 id, uint8 seat) external;

    /// @notice Gives up the seat and the readiness; back at the earliest two epochs later. Sets frozen already stay.
    /// @dev Emits `SeatLeft`, `ReadySet`. Never paused. Reverts: `NotOwnerOrSigner`, `NotSeated`.
    function leaveSeat(uint32 id) external;

    /// @notice Fixes the set of the next epoch, in the second half of the current one. Anyone may call; never paused.
    /// @dev Reads each seat once, drops (and unseats) the ineligible, orders members by seat. Emits `EpochFrozen` and
    /// one `SeatLeft` per dropped operator. The seed is `keccak256(abi.encode(seed of the last frozen epoch, prevrandao
    /// recorded by the first call of the current epoch, prevrandao of this block, epoch))`: the last part is not known
    /// before the previous block is made, which leaves to change the seats only what comes first in this one.
    /// Also calls `IBatchChain.anchorLatest`. Reverts in this order: `EpochStarted`, `TooEarlyToFreeze`, `AlreadyFrozen`, `NobodyEligible`, `WeightOverflow`.
    /// @param epoch `currentEpoch() + 1`.
    function freeze(uint32 epoch) external;

    /// @notice Records the prevrandao of this block for the next seed, if this is the first call of the epoch. Every
    /// other call that changes the state does so too.
    /// @dev Emits `RandaoRecorded` when it records.
    function recordRandao() external;

    /// @notice Sets the least self bond; holds from the next freeze. The vault keeps as much room in each pool for its
    /// owner (`IStakeVault.setOwnerRoom`).
    /// @dev Emits `MinSelfBondChanged`. Restricted by the authority. Reverts: `InvalidMinSelfBond`.
    function setMinSelfBond(uint256 minSelfBond) external;

    /// @notice `keccak256` of the members frozen for `epoch`; zero if it was not frozen.
    function setHash(uint32 epoch) external view returns (bytes32);

    /// @notice Seed of the set frozen for `epoch`; zero if it was not frozen.
    function seed(uint32 epoch) external view returns (bytes32);

    /// @notice Total weight of the set frozen for `epoch`, gwei; 0 if it was not frozen.
    function totalWeight(uint32 epoch) external view returns (uint64);

    /// @notice Number of members of the set frozen for `epoch`; 0 if it was not frozen.
    function memberCount(uint32 epoch) external view returns (uint16);

    /// @notice True if `epoch` has a set of its own.
    function frozenAt(uint32 epoch) external view returns (bool);

    /// @notice The latest frozen epoch; 0 before the first (epochs 0 and 1 can never be frozen).
    function lastFrozen() external view returns (uint32);

    /// @notice The last frozen epoch at or before `epoch`: the set that serves it. 0 if there is none.
    function frozenEpochAt(uint32 epoch) external view returns (uint32);

    /// @notice Occupant of a seat; 0 for a free one. Reverts with `NoSuchSeat`.
    function seats(uint8 seat) external view returns (uint32 id);

    /// @notice The seat of an operator.
    function seatOf(uint32 id) external view returns (bool seated, uint8 seat);

    /// @notice True if others may seat the operator.
    function isReady(uint32 id) external view returns (bool);

    /// @notice First epoch in which the operator may take a seat (again).
    function reentryEpoch(uint32 id) external view returns (uint32);

    /// @notice Number of seats.
    function MAX_SEATS() external view returns (uint8);

    /// @notice Largest number of seats a deployment may have.
    function SEAT_LIMIT() external view returns (uint8);

    /// @notice Highest value governance can give `minSelfBond`, token wei.
    function MIN_SELF_BOND_CEILING() external view returns (uint256);

    /// @notice Slots of a leader window (S of protocol section 4).
    function slotsPerWindow() external view returns (uint32);

    /// @notice Least stake of the owner in its own pool for a seat, token wei.
    function minSelfBond() external view returns (uint256);

    /// @notice Members of the frozen set that newcomers may displace per epoch: `max(4, MAX_SEATS / 8)`.
    function churnBudget() external view returns (uint256);

    /// @notice How much of the budget is spent in the current epoch.
    function churnSpent() external view returns (uint256);

    /// @notice Leader of a round of an L2 height (protocol section 4).
    /// @dev Reverts: `WrongMembers`, `LeaderSchedule_HeightBeforeFirst`.
    /// @param sigma Frozen epoch that serves the height.
    /// @param height L2 height.
    /// @param firstHeight First L2 height served by `sigma`.
    /// @param round Consensus round, from 0.
    /// @param members Members of `sigma` as emitted by `EpochFrozen`.
    function leaderAt(uint32 sigma, uint64 height, uint64 firstHeight, uint32 round, bytes calldata members)
        external
        view
        returns (uint32 id, address signer);

    /// @notice Whether `freeze(epoch)` would succeed now.
    function freezeDue() external view returns (bool due, uint32 epoch);

    /// @notice Whether `recordRandao()` would record now.
    function randaoDue() external view returns (bool due);

    /// @notice Whether `takeSeat(id, seat)` would succeed now, and the best seat: a free one, else one of an ineligible
    /// occupant, else the lightest.
    function seatDue(uint32 id) external view returns (bool due, uint8 seat);
}
