// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev In place of the set before which a slash ends: it ends nowhere, and the pool pays, too.
uint32 constant ALL_LATER = type(uint32).max;

/// @title IStakeVault
/// @notice Holds all principal: pools of delegated stake by operator, cohorts of stake on its way out, and the slash
/// (protocol section 2).
/// @dev Assumptions: the token is a plain ERC-20 that moves exactly the amount asked (one that takes a fee is refused
/// at `delegate`) and never changes balances by itself. Every change in epoch `c` counts from key `c + 2`; prices use
/// the latest value. `tokens <= units` holds in every pool and `tokens <= shares` in every cohort; only a slash lowers
/// their ratio, and rounding, always against the caller, lifts it by dust. `tokens == 0 < units` exists only after a
/// slash of 100 %.
interface IStakeVault {
    /// @notice What the constructor needs.
    /// @param token The native token, ERC-20 with 18 decimals.
    /// @param registry The `ISequencerRegistry`.
    /// @param guardian Contract that answers `isPaused()`.
    /// @param slasher The only caller of `slash`; zero: nobody can.
    /// @param sequencerSet The `ISequencerSet`, the only caller of `setOwnerRoom`.
    /// @param slashEscrow Receives what is slashed; not zero if `slasher` is not.
    /// @param authority OpenZeppelin `AccessManager` that governs `setMaxPool`.
    /// @param unbondingEpochs Whole epochs between the end of stake's service and its claim, 1 to
    /// `MAX_UNBONDING_EPOCHS`.
    /// @param maxPool Largest pool, token wei, at most `MAX_POOL_CEILING`.
    /// @param genesis Start of epoch 0, unix seconds.
    /// @param epochSeconds Length of an epoch, seconds.
    struct Config {
        address token;
        address registry;
        address guardian;
        address slasher;
        address slashEscrow;
        address sequencerSet;
        address authority;
        uint32 unbondingEpochs;
        uint256 maxPool;
        uint64 genesis;
        uint64 epochSeconds;
    }

    /// @notice `amount` token wei became `units` of pool `id`, counting from `effectiveEpoch`.
    event Delegated(uint32 indexed id, address indexed who, uint256 amount, uint256 units, uint32 effectiveEpoch);

    /// @notice `units` of pool `id` became `shares` of its cohort `cohortEpoch`, worth `amount` token wei.
    event Undelegated(
        uint32 indexed id, address indexed who, uint256 units, uint256 amount, uint32 cohortEpoch, uint256 shares
    );

    /// @notice `amount` token wei left the vault for `who`.
    event Claimed(uint32 indexed id, address indexed who, uint32 indexed cohortEpoch, uint256 amount);

    /// @notice Slash number `seq`: `taken` token wei of stake that backed set `sigma`, but did not stay to back set `before`
    /// (`ALL_LATER`: wherever it is now), left the vault for the escrow.
    event Slashed(
        uint256 indexed seq, uint32 indexed id, uint32 sigma, uint32 before, uint256 fractionWad, uint256 taken
    );

    /// @notice The largest pool changed.
    event MaxPoolChanged(uint256 maxPool);

    /// @notice The room kept for the owner's bond changed, token wei.
    event OwnerRoomChanged(uint256 room);

    /// @notice The network is paused: no stake may come in now. Leaving is never paused.
    error StakeVault_Paused();

    /// @notice The token, the registry, the guardian, the sequencer set or, with a slasher, the escrow is the zero address.
    error StakeVault_ZeroAddress();

    /// @notice The unbonding time is outside 1 to `maximum`, epochs.
    error StakeVault_InvalidUnbonding(uint256 unbondingEpochs, uint256 maximum);

    /// @notice The largest pool is zero or above `ceiling`, token wei.
    error StakeVault_InvalidMaxPool(uint256 maxPool, uint256 ceiling);

    /// @notice Nothing was offered.
    error StakeVault_ZeroAmount();

    /// @notice No units were named.
    error StakeVault_ZeroUnits();

    /// @notice The operator is unknown, jailed, retired or tombstoned.
    error StakeVault_OperatorNotAccepting(uint32 id);

    /// @notice The pool lost everything to a slash while `units` are still in it: it has no price and takes no stake. Or it
    /// holds less than a gwei and was slashed in this epoch: it takes stake again in the next one.
    error StakeVault_PoolWipedOut(uint32 id, uint256 units);

    /// @notice The pool would hold `tokens`, more than `maximum`, token wei.
    error StakeVault_PoolFull(uint256 tokens, uint256 maximum);

    /// @notice The pool would hold `tokens`; others than the operator's owner may fill it up to `maximum` only, because
    /// the rest is room for the bond the owner still needs, token wei.
    error StakeVault_OwnersRoom(uint256 tokens, uint256 maximum);

    /// @notice The pool was slashed so hard that its units would not fit the records.
    error StakeVault_TooManyUnits(uint256 units, uint256 maximum);

    /// @notice Less arrived than was asked: tokens that take a fee are refused.
    error StakeVault_TokenTookFee(uint256 received, uint256 expected);

    /// @notice The caller holds only `held` units of the pool.
    error StakeVault_InsufficientUnits(uint256 requested, uint256 held);

    /// @notice The caller has no shares in this cohort (or claimed them).
    error StakeVault_NothingToClaim(uint32 id, uint32 cohortEpoch, address who);

    /// @notice The cohort opens at `claimableFrom`, unix seconds.
    error StakeVault_ClaimTooEarly(uint256 timestamp, uint256 claimableFrom);

    /// @notice The caller is not the slasher.
    error StakeVault_NotSlasher(address caller);

    /// @notice The caller is not the sequencer set.
    error StakeVault_NotSequencerSet(address caller);

    /// @notice The fraction is zero or above 1e18.
    error StakeVault_InvalidFraction(uint256 fractionWad);

    /// @notice The fault is said to happen under a set that cannot have served yet.
    error StakeVault_FutureSet(uint32 sigma, uint32 currentEpoch);

    /// @notice The slash would end before a set that is not later than `sigma`, or that has not started, so that stake could
    /// still leave ahead of it.
    error StakeVault_InvalidRange(uint32 sigma, uint32 before);

    /// @notice No slash has this number.
    error StakeVault_UnknownSlash(uint256 seq);

    /// @notice Delegates `amount` token wei of the caller to operator `id`; the caller approved the vault before.
    /// @dev Emits `Delegated`. Units = `amount * units / tokens` of the pool rounded down, 1:1 in an empty pool.
    /// As long as the owner's stake in its pool is worth less than `ownerRoom`, others leave what is missing (and two
    /// wei for roundings) free below `maxPool`, so that nobody can keep an operator from its least self bond.
    /// Reverts in this order: `Paused`, `ZeroAmount`, `OperatorNotAccepting`, `PoolFull`, `OwnersRoom`, `PoolWipedOut`,
    /// `TooManyUnits`, then whatever the token says, `TokenTookFee`.
    /// @param id Operator, active.
    /// @param amount Token wei, > 0.
    /// @return units Units of the pool that the caller got.
    function delegate(uint32 id, uint256 amount) external returns (uint256 units);

    /// @notice `delegate` with an EIP-2612 permit for `amount` by the caller. A permit that fails is ignored, because
    /// somebody may have submitted it already; then the allowance decides.
    /// @param deadline Unix seconds.
    /// @param v Recovery byte of the permit's signature, with `r` and `s`.
    function delegateWithPermit(uint32 id, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (uint256 units);

    /// @notice Takes stake out of a pool into the cohort of the current epoch. Always possible: whatever the operator's
    /// status, paused or not, and with a pool that lost everything (then for nothing).
    /// @dev Emits `Undelegated`. Amount and shares are rounded down. The stake still backs the sets of the current and
    /// the next epoch, so the cohort stays slashable for faults under those and earlier ones until it is claimed.
    /// Reverts in this order: `ZeroUnits`, `InsufficientUnits`.
    /// @param units Units of the pool, > 0.
    /// @return amount Token wei moved to the cohort.
    /// @return cohortEpoch The current epoch, name of the cohort.
    /// @return shares Shares of the cohort that the caller got.
    function undelegate(uint32 id, uint256 units) external returns (uint256 amount, uint32 cohortEpoch, uint256 shares);

    /// @notice Pays the caller's shares of a cohort, once, from the start of epoch `cohortEpoch + 2 +
    /// UNBONDING_EPOCHS`.
    /// @dev Emits `Claimed`. Reverts in this order: `ClaimTooEarly`, `NothingToClaim`.
    /// @return amount Token wei paid; 0 if a slash took everything.
    function claim(uint32 id, uint32 cohortEpoch) external returns (uint256 amount);

    /// @notice Takes a fraction of everything that backed set `sigma` of operator `id` and left before it could back set
    /// `before`: of every cohort `c` with `sigma <= c + 1 < before`. With `before == ALL_LATER` it takes from all later
    /// cohorts and from the pool. Each is rounded up, but never the last wei unless the fraction is 1.
    /// @dev Emits `Slashed`. The tokens go to the escrow. Bounded by the `UNBONDING_EPOCHS + 3` youngest cohorts (older
    /// ones are out of reach), independent of the number of delegators. Works on any id and with nothing to take; a slash
    /// that ends before a set and finds nothing is not logged, so that the log grows with what was taken only.
    /// Reverts in this order: `NotSlasher`, `InvalidFraction`, `FutureSet`, `InvalidRange`.
    /// @param sigma Epoch of the set under which the fault happened, at most the current one.
    /// @param before Epoch of a later set, at most the current one, or `ALL_LATER`.
    /// @param fractionWad Fraction, 1e18 = all, > 0.
    /// @return taken Token wei sent to the escrow.
    function slash(uint32 id, uint32 sigma, uint32 before, uint256 fractionWad) external returns (uint256 taken);

    /// @notice Sets the largest pool; pools above it stay and take no more.
    /// @dev Emits `MaxPoolChanged`. Restricted by the authority. Reverts: `InvalidMaxPool`.
    function setMaxPool(uint256 maxPool) external;

    /// @notice Sets how much of each pool is kept for its owner until the owner has bonded it: the least self bond.
    /// @dev Emits `OwnerRoomChanged`. Reverts: `NotSequencerSet`.
    /// @param minimum Token wei, below 2^104.
    function setOwnerRoom(uint256 minimum) external;

    /// @notice The native token.
    function token() external view returns (address);

    /// @notice Latest content of a pool.
    /// @return tokens Token wei.
    /// @return units Units of all delegators.
    function pool(uint32 id) external view returns (uint256 tokens, uint256 units);

    /// @notice Content of a pool that counts in `epoch`. Final for epochs up to `current + 1`.
    function poolAt(uint32 id, uint32 epoch) external view returns (uint256 tokens, uint256 units);

    /// @notice Latest units of `who` in a pool.
    function units(uint32 id, address who) external view returns (uint256);

    /// @notice Units of `who` that count in `epoch`. Final for epochs up to `current + 1`.
    function unitsAt(uint32 id, address who, uint32 epoch) external view returns (uint256);

    /// @notice Number of changes of `who`'s units in a pool, one per epoch at most.
    function unitsCheckpointCount(uint32 id, address who) external view returns (uint256);

    /// @notice Change `index` of `who`'s units, oldest first: from `epoch` on (until the next change) they are `units`.
    /// @dev Reverts with `EpochTrace_OutOfRange`.
    function unitsCheckpointAt(uint32 id, address who, uint256 index)
        external
        view
        returns (uint32 epoch, uint256 units);

    /// @notice Latest units of `who` and what they are worth now, token wei, rounded down.
    function positionOf(uint32 id, address who) external view returns (uint256 units, uint256 value);

    /// @notice Content of a cohort.
    function thawOf(uint32 id, uint32 cohortEpoch) external view returns (uint256 tokens, uint256 shares);

    /// @notice Shares of `who` in a cohort.
    function thawSharesOf(uint32 id, uint32 cohortEpoch, address who) external view returns (uint256 shares);

    /// @notice When a cohort opens, unix seconds.
    function claimableFrom(uint32 cohortEpoch) external view returns (uint256 timestamp);

    /// @notice Value in `epoch` of the units of the operator's present owner, token wei, rounded down.
    function selfBondAt(uint32 id, uint32 epoch) external view returns (uint256 value);

    /// @notice What a freeze needs of one pool, in one call.
    /// @param owner Whose units are the self bond.
    /// @return tokens Token wei of the pool that count in `epoch`.
    /// @return selfBond Value in `epoch` of the owner's units, token wei, rounded down.
    function backingAt(uint32 id, address owner, uint32 epoch) external view returns (uint256 tokens, uint256 selfBond);

    /// @notice Number of the latest slash; they count from 1.
    function slashSeq() external view returns (uint256);

    /// @notice Slash number `seq`, in the words of `slash`. Reverts with `UnknownSlash`.
    function slashAt(uint256 seq) external view returns (uint32 id, uint32 sigma, uint32 before, uint256 fractionWad);

    /// @notice Token wei in all pools; cohorts do not count.
    function totalStaked() external view returns (uint256);

    /// @notice Largest pool, token wei.
    function maxPool() external view returns (uint256);

    /// @notice What of each pool is kept for its owner until the owner has bonded it, token wei.
    function ownerRoom() external view returns (uint256);

    /// @notice Highest value governance can give `maxPool`, so that the weights of a full set fit its 64-bit sum.
    function MAX_POOL_CEILING() external view returns (uint256);

    /// @notice Longest unbonding time a deployment may have; bounds the work of `slash`.
    function MAX_UNBONDING_EPOCHS() external view returns (uint32);

    /// @notice Whole epochs between the end of stake's service and its claim.
    function UNBONDING_EPOCHS() external view returns (uint32);
}
