// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Kinds of faults
/// @notice The first two are the `kind` of the vote that was given twice (protocol section 6). Two conflicting
/// certificates of one round are double precommits, so that proof and double vote are one offence.
library FaultKind {
    uint8 internal constant PREVOTE = 1;
    uint8 internal constant PRECOMMIT = 2;
    uint8 internal constant PROPOSAL = 3;
    uint8 internal constant AMNESIA = 4;
    uint8 internal constant OFFLINE = 5;
}

/// @title ISlasher
/// @notice Turns proven faults into penalties (protocol sections 2 and 10): how much, once, from whom, and who is paid
/// for the proof. What happened is decided by the fault modules alone, a set that is fixed for ever.
/// @dev Equivocation (kinds 1 to 4) is slashed at once, without a veto, and tombstones the operator. An operator is
/// convicted once under each σ. A conviction under σ calls for the rate `max(5 %, 9 · share²)`, at most 100 %, where
/// `share` sums, over all operators, the largest share each was convicted with within `CORRELATION_EPOCHS` of σ: an
/// operator counts once, so that thirty double votes of one restored backup are one offence.
///
/// Stake answers for the sets it backed: it pays the highest rate that a conviction of its operator under one of those calls
/// for, as one slash (invariant S4). Stake that left in cohort `c` backed the sets up to `c + 1`, stake in the pool all of
/// them; so what is paid rises with the set, step by step. Sums and maxima do not depend on the order of the proofs, so
/// neither does what anybody pays once nothing is due (`isTopUpDue`), and nobody gains by being convicted of something
/// else first.
///
/// Being offline (kind 5) jails at once. Only a repeat is slashed, after a window in which it can be vetoed.
///
/// A reporter stands in the calldata of its proof, so a copy in front of it in the same block can take the reward. The
/// penalty is the same, and hiding proofs until they are included would delay it; therefore nothing is done about it.
interface ISlasher {
    /// @notice What the constructor needs.
    /// @param vault The `IStakeVault`; deployed before.
    /// @param registry The `ISequencerRegistry`.
    /// @param sequencerSet The `ISequencerSet`.
    /// @param escrow The `ISlashEscrow` that receives what the vault takes.
    /// @param authority OpenZeppelin `AccessManager` that governs `vetoOffline`.
    /// @param modules Fault modules that may call `convict`; none twice, none zero. Nobody can add one later.
    /// @param offlineFault The module that may call `jailOffline` and `slashOffline`; zero: none.
    /// @param evidenceEpochs Epochs after the end of a set's service in which evidence against its members is taken, 1
    /// up to the vault's `UNBONDING_EPOCHS`.
    /// @param correlationEpochs Epochs before and after σ whose convictions raise the rate, at most
    /// `MAX_CORRELATION_EPOCHS`.
    /// @param appealWindow Seconds in which an offline case can be vetoed, 1 up to the time of unbonding.
    /// @param genesis Start of epoch 0, unix seconds.
    /// @param epochSeconds Length of an epoch, seconds.
    struct Config {
        address vault;
        address registry;
        address sequencerSet;
        address escrow;
        address authority;
        address[] modules;
        address offlineFault;
        uint32 evidenceEpochs;
        uint32 correlationEpochs;
        uint64 appealWindow;
        uint64 genesis;
        uint64 epochSeconds;
    }

    /// @notice An equivocation as a fault module found it.
    /// @param id Operator of the key that signed, by the members of σ.
    /// @param kind `FaultKind`, 1 to 4.
    /// @param fork Re-execution count both signatures name.
    /// @param sigma Epoch of a frozen set the key was a member of, and which one of the signatures names.
    /// @param height L2 height.
    /// @param round Consensus round; of amnesia, the later one.
    /// @param weight Weight of the member in σ, gwei.
    /// @param totalWeight Weight of all members of σ, gwei.
    /// @param reporter Who is credited 5 % of what is taken, at most what the operator's own bond loses in its pool; zero: nobody.
    struct Offence {
        uint32 id;
        uint8 kind;
        uint32 fork;
        uint32 sigma;
        uint64 height;
        uint32 round;
        uint64 weight;
        uint64 totalWeight;
        address reporter;
    }

    /// @notice What an operator was convicted of, in one slot. All zero for one that was not.
    /// @param firstSigma First epoch under whose set it is convicted.
    /// @param lastSigma Last one.
    /// @param rate Fraction taken so far of the pool and of all that backed `lastSigma`, 1e18 = all.
    /// @param kind `FaultKind` of what it was convicted of first.
    /// @param proofs Number of sets it is convicted under; see `proofsOf`.
    /// @param taken Token wei taken so far.
    struct Conviction {
        uint32 firstSigma;
        uint32 lastSigma;
        uint64 rate;
        uint8 kind;
        uint16 proofs;
        uint104 taken;
    }

    /// @notice A conviction under one set, in one slot.
    /// @param sigma The set.
    /// @param share Part of its weight that the operator had, 1e9 = all.
    /// @param paid Rate that was taken for it, 1e18 = all: the stake that backed `sigma` lost that much at least.
    struct Proof {
        uint32 sigma;
        uint32 share;
        uint64 paid;
    }

    /// @notice A slash of the vault, in the words of `IStakeVault.slash`.
    /// @param sigma What did not back this set pays nothing.
    /// @param before Neither does what stayed to back this one; `ALL_LATER`: everything that backed `sigma` pays.
    /// @param fraction 1e18 = all.
    struct Slash {
        uint32 sigma;
        uint32 before;
        uint256 fraction;
    }

    /// @notice Where an offline case stands.
    enum OfflineState {
        None,
        Open,
        Vetoed,
        Slashed
    }

    /// @notice An operator was offline in the epoch that names the case.
    /// @param state Where it stands.
    /// @param previousSigma The operator's case before this one; 0: none.
    /// @param appealUntil It can be vetoed before and slashed from this time on, unix seconds.
    /// @param reporter Who is credited 5 % of what is taken, at most what the operator's own bond loses.
    struct OfflineCase {
        OfflineState state;
        uint32 previousSigma;
        uint40 appealUntil;
        address reporter;
    }

    /// @notice Operator `id` was convicted under `sigma`. It is tombstoned, `taken` token wei were slashed by this proof, and
    /// `rate` (1e18 = all) is what its pool lost to all of them together.
    event Convicted(
        uint32 indexed id,
        uint8 indexed kind,
        uint32 indexed sigma,
        uint64 height,
        uint32 round,
        uint256 rate,
        uint256 taken,
        address reporter
    );

    /// @notice What `id` paid was raised to what its convictions call for. `taken` more token wei were slashed, all of stake
    /// that backed `sigma`, and `rate` (1e18 = all) is what the pool lost in all.
    event ToppedUp(uint32 indexed id, uint32 indexed sigma, uint256 rate, uint256 taken);

    /// @notice Operator `id` was offline in epoch `sigma` and is jailed; the case can be vetoed before `appealUntil`.
    event OfflineJailed(uint32 indexed id, uint32 indexed sigma, uint256 appealUntil, address reporter);

    /// @notice The case was dropped: no slash follows and it counts for no later one.
    event OfflineVetoed(uint32 indexed id, uint32 indexed sigma);

    /// @notice A repeated absence was slashed: `taken` token wei at `rate` (1e18 = all).
    event OfflineSlashed(uint32 indexed id, uint32 indexed sigma, uint256 rate, uint256 taken, address reporter);

    /// @notice A contract given to the constructor is the zero address.
    error Slasher_ZeroAddress();

    /// @notice A module is given twice.
    error Slasher_DuplicateModule(address module);

    /// @notice Evidence would be taken in no epoch, or when stake it is about may have left already.
    error Slasher_InvalidEvidenceEpochs(uint32 evidenceEpochs, uint32 unbondingEpochs);

    /// @notice The correlation window is longer than its bound, epochs.
    error Slasher_InvalidCorrelation(uint32 correlationEpochs, uint32 maximum);

    /// @notice There is no time for an appeal, or stake may leave before it ends, seconds.
    error Slasher_InvalidAppealWindow(uint64 appealWindow, uint256 maximum);

    /// @notice The caller may not judge this kind of fault.
    error Slasher_NotModule(address caller);

    /// @notice No fault that convicts has this kind.
    error Slasher_UnknownKind(uint8 kind);

    /// @notice The member is said to weigh nothing or more than its set, gwei.
    error Slasher_InvalidWeight(uint64 weight, uint64 totalWeight);

    /// @notice The epoch of the set has not started: the evidence is good from then on.
    error Slasher_SetNotStarted(uint32 sigma, uint32 currentEpoch);

    /// @notice Evidence against members of `sigma` was taken up to `lastEpoch`.
    error Slasher_EvidenceTooOld(uint32 sigma, uint32 lastEpoch);

    /// @notice The operator is convicted under this set: no other fault under it counts.
    error Slasher_AlreadyConvicted(uint32 id, uint32 sigma);

    /// @notice The operator is not convicted of anything.
    error Slasher_NotConvicted(uint32 id);

    /// @notice All stake of the operator paid what its convictions call for; the pool `rate`, 1e18 = all.
    error Slasher_NothingToTopUp(uint32 id, uint256 rate);

    /// @notice The operator was jailed for an absence that epoch `sigma` belongs to: new ones are of epoch
    /// `firstSigma` or later.
    error Slasher_SameAbsence(uint32 id, uint32 sigma, uint32 firstSigma);

    /// @notice There is no case of this operator and epoch that is neither slashed nor vetoed.
    error Slasher_NoOpenCase(uint32 id, uint32 sigma);

    /// @notice The case cannot be vetoed any more.
    error Slasher_AppealOver(uint32 id, uint32 sigma, uint256 appealUntil);

    /// @notice The case can still be vetoed.
    error Slasher_AppealRunning(uint32 id, uint32 sigma, uint256 appealUntil);

    /// @notice No other absence within 30 days: the jail is the penalty.
    error Slasher_FirstAbsence(uint32 id, uint32 sigma);

    /// @notice Slashes and tombstones an operator for a proven equivocation. Only a module.
    /// @dev Emits `Convicted`. If the operator is convicted under other σ already, the stake that backed this σ may have paid
    /// for those, and what left later more than what left earlier: of each part is taken `(new − old) / (1 − old)` of
    /// what is left, rounded up; nothing where this proof does not call for more. It counts in either case. The reporter
    /// has its part of what this proof took. Works whatever the state of the operator, its pool and the network
    /// (invariant S6). Bounded: at most one slash for each set the operator is convicted under, and nobody but its own
    /// key can add one. They are at most `UNBONDING_EPOCHS + 2`: the first conviction ends its membership, and what is
    /// older than unbonding is not judged. Reverts in this order: `NotModule`, `UnknownKind`, `InvalidWeight`,
    /// `AlreadyConvicted`, `SetNotStarted`, `EvidenceTooOld`. Amnesia is judged after a response window: its module
    /// calls `checkEvidence` when it accuses, and here the limit is the one of `lastSlashEpoch`.
    /// @return taken Token wei that left the vault.
    function convict(Offence calldata offence) external returns (uint256 taken);

    /// @notice Makes all stake of `id` pay what its convictions call for today: the slashes of `slashesDue(id)`. Anyone.
    /// @dev Emits `ToppedUp`. Each takes `(new − old) / (1 − old)` of what is left, rounded up. Bounded as `convict`. Pays no reporter: who proved the faults was paid for them, and raising one is arithmetic. Reverts:
    /// `NotConvicted`, `NothingToTopUp`.
    /// @return taken Token wei that left the vault.
    function topUp(uint32 id) external returns (uint256 taken);

    /// @notice Jails an operator that was offline in epoch `sigma`, and opens the case. Only the offline module.
    /// @dev Emits `OfflineJailed`. The sets of the current and the next epoch may have been frozen before the jail, so
    /// absences in them are part of this one. Reverts in this order: `NotModule`, `SetNotStarted`, `EvidenceTooOld`,
    /// `SameAbsence`.
    function jailOffline(uint32 id, uint32 sigma, address reporter) external;

    /// @notice Slashes a repeated absence: 0.1 %, 0.5 % or 1 % with one, two or more cases in the 30 days before that
    /// were not vetoed. Only the offline module, which has seen the tally to be FINAL.
    /// @dev Emits `OfflineSlashed`. Reverts in this order: `NotModule`, `NoOpenCase`, `AppealRunning`,
    /// `EvidenceTooOld` (by `lastSlashEpoch`), `FirstAbsence`.
    /// @return taken Token wei that left the vault.
    function slashOffline(uint32 id, uint32 sigma) external returns (uint256 taken);

    /// @notice Drops an offline case before its appeal window ends. The operator stays jailed until its owner unjails
    /// it.
    /// @dev Emits `OfflineVetoed`. Restricted by the authority. Reverts: `NoOpenCase`, `AppealOver`.
    function vetoOffline(uint32 id, uint32 sigma) external;

    /// @notice Reverts unless evidence against members of `sigma` is taken now: `SetNotStarted`, `EvidenceTooOld`.
    function checkEvidence(uint32 sigma) external view;

    /// @notice Last epoch in which evidence against members of `sigma` is taken: `EVIDENCE_EPOCHS − 1` after the first
    /// epoch that a later set served. The largest number while `sigma` serves.
    function lastEvidenceEpoch(uint32 sigma) external view returns (uint32);

    /// @notice Last epoch in which a fault under `sigma` is slashed: `UNBONDING_EPOCHS − 1` after the first epoch that a
    /// later set served. Up to it all stake that backed `sigma` is in the vault, unless `sigma` served longer than one
    /// epoch; then stake that left during its service can be claimed that much earlier. The largest number while
    /// `sigma` serves.
    function lastSlashEpoch(uint32 sigma) external view returns (uint32);

    /// @notice What `id` was convicted of, in one slot; all zero if it was not.
    function convictionOf(uint32 id) external view returns (Conviction memory);

    /// @notice True if `id` was convicted of an equivocation, under whatever set.
    function isConvicted(uint32 id) external view returns (bool);

    /// @notice True if `id` was convicted under `sigma`: `convict` refuses the pair.
    function isProven(uint32 id, uint32 sigma) external view returns (bool);

    /// @notice What counts for the rate under `sigma`: the shares convicted within `CORRELATION_EPOCHS` of it, of each
    /// operator the largest. In steps of 1e-9 of all, 1e18 = all of a set, each share rounded up. It can exceed 1e18, as
    /// shares are of several sets, and stays at 4.29e18.
    function convictedShare(uint32 sigma) external view returns (uint256);

    /// @notice Rate that a conviction under `sigma` would call for now, 1e18 = all, if its operator had none within
    /// `CORRELATION_EPOCHS` of `sigma`.
    /// @param share Part of the set's weight it adds, 1e18 = all; rounded up to a multiple of 1e9.
    function rateFor(uint32 sigma, uint256 share) external view returns (uint256 rate);

    /// @notice The highest rate that a conviction of `id` calls for today, and the first σ that calls for it; 0 for one that
    /// is not convicted.
    /// @return rate 1e18 = all; never below what was taken.
    function rateDue(uint32 id) external view returns (uint256 rate, uint32 sigma);

    /// @notice What `topUp` would take of what is left in the pool, 1e18 = all; 0: nothing. Something can still be due of
    /// stake that left before: `isTopUpDue`.
    function topUpDue(uint32 id) external view returns (uint256 fraction);

    /// @notice True if `topUp(id)` would succeed: some stake of `id` paid less than its convictions call for. It may have been
    /// claimed, or nothing may have left in the epochs it is about; then `topUp` takes nothing and ends it.
    function isTopUpDue(uint32 id) external view returns (bool);

    /// @notice What `topUp(id)` would slash, in the order of sets, no two for the same stake; empty: nothing is due.
    function slashesDue(uint32 id) external view returns (Slash[] memory);

    /// @notice Under which sets `id` is convicted, in their order, and what was taken for each.
    function proofsOf(uint32 id) external view returns (Proof[] memory);

    /// @notice When somebody was last convicted, unix seconds; 0: never. Only a conviction makes a top-up due, and one may stay
    /// due for long after.
    function lastConvictedAt() external view returns (uint64);

    /// @notice The case of an operator and an epoch.
    function offlineCaseOf(uint32 id, uint32 sigma) external view returns (OfflineCase memory);

    /// @notice The latest epoch an operator has a case for; 0: none.
    function lastOfflineSigma(uint32 id) external view returns (uint32);

    /// @notice First epoch whose absence would be a new case for the operator.
    function nextOfflineSigma(uint32 id) external view returns (uint32);

    /// @notice Rate at which `slashOffline` would slash the case, 1e18 = all; 0: a first absence, or no case.
    function offlineRate(uint32 id, uint32 sigma) external view returns (uint256 rate);

    /// @notice What `slashOffline` would take at most in all cases of `id` that can still be slashed or vetoed, 1e18 = all:
    /// the sum of their rates. First absences take nothing.
    function offlineDue(uint32 id) external view returns (uint256 fraction);

    /// @notice True if `module` may call `convict`.
    function isModule(address module) external view returns (bool);

    /// @notice The module that may jail and slash for being offline.
    function offlineFault() external view returns (address);

    /// @notice Epochs after the end of a set's service in which evidence against its members is taken.
    function EVIDENCE_EPOCHS() external view returns (uint32);

    /// @notice Epochs before and after σ whose convictions count for the rate.
    function CORRELATION_EPOCHS() external view returns (uint32);

    /// @notice Longest correlation window, epochs to each side; bounds the work of `convict`.
    function MAX_CORRELATION_EPOCHS() external view returns (uint32);

    /// @notice Seconds in which an offline case can be vetoed.
    function APPEAL_WINDOW() external view returns (uint64);

    /// @notice Lowest rate of an equivocation, 1e18 = all.
    function MIN_RATE() external view returns (uint256);
}
