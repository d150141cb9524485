// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "./IBatchChain.sol";
import {IEvidence} from "./IEvidence.sol";

/// @title IAmnesiaFault: a lock forgotten between two rounds
/// @notice A key precommitted block X and in a later round of the height prevoted another block Y. That is honest if and
/// only if more than two thirds prevoted Y in between (a *polka*), so the accused, or anybody, may show one. Protocol
/// section 6.
///
/// Nobody who runs the consensus engine as published can be convicted: docs/adr/0010-amnesia.md has the argument. In
/// particular a prevote for nil is never a fault: who is locked votes nil on everything else.
interface IAmnesiaFault is IEvidence {
    /// @notice What an operator is accused of: all an answer has to fit. X is no part of it, because it does not matter
    /// for the answer.
    /// @param id Operator of the key.
    /// @param fork Re-execution count of both votes.
    /// @param sigma Epoch of both votes, of whose set the key was a member.
    /// @param height L2 height of both votes.
    /// @param lockRound Round of the precommit for X.
    /// @param voteRound Round of the prevote for Y, later.
    /// @param votedHash Y.
    /// @param weight Weight of the member in σ, gwei.
    /// @param totalWeight Weight of σ, gwei.
    struct Charge {
        uint32 id;
        uint32 fork;
        uint32 sigma;
        uint64 height;
        uint32 lockRound;
        uint32 voteRound;
        bytes32 votedHash;
        uint64 weight;
        uint64 totalWeight;
    }

    /// @notice Where a charge stands; the last three are for ever.
    enum ChargeState {
        None,
        Open,
        Answered,
        Convicted,
        Expired
    }

    /// @notice What is stored about a charge.
    /// @param state Where it stands.
    /// @param convictableFrom Unix seconds from which it convicts, if no answer came.
    /// @param reporter Who is credited the reward.
    struct Accusation {
        ChargeState state;
        uint40 convictableFrom;
        address reporter;
    }

    /// @notice An operator is accused; `answer` is due before `convictableFrom`, unix seconds.
    event Accused(
        bytes32 indexed chargeHash, uint32 indexed id, Charge charge, uint256 convictableFrom, address reporter
    );

    /// @notice A polka of `round` explains the votes: the charge is closed for ever.
    event Answered(bytes32 indexed chargeHash, uint32 indexed id, uint32 round);

    /// @notice The slasher would refuse the charge for ever: it is closed without a verdict.
    event Expired(bytes32 indexed chargeHash, uint32 indexed id);

    /// @notice The response window is zero or above `maximum`, seconds.
    error AmnesiaFault_InvalidResponseWindow(uint256 responseWindow, uint256 maximum);
    /// @notice The first vote is not a precommit or the second not a prevote.
    error AmnesiaFault_WrongKinds(uint8 lock, uint8 vote);
    /// @notice A vote for nil neither locks nor breaks a lock.
    error AmnesiaFault_NilVote(bytes32 lockedHash, bytes32 votedHash);
    /// @notice The prevote is not of a later round than the precommit.
    error AmnesiaFault_NotLater(uint32 lockRound, uint32 voteRound);
    /// @notice The operator was accused of this already.
    error AmnesiaFault_AlreadyAccused(bytes32 chargeHash, ChargeState state);
    /// @notice There is no open charge like this.
    error AmnesiaFault_NotOpen(bytes32 chargeHash, ChargeState state);
    /// @notice The polka is of an epoch, fork, height or block the charge is not about.
    error AmnesiaFault_ForeignPolka(uint32 fork, uint32 epoch, uint64 height, bytes32 blockHash);
    /// @notice The polka is of no round from the precommit's up to the one before the prevote's.
    error AmnesiaFault_PolkaOutsideRounds(uint32 round, uint32 lockRound, uint32 voteRound);
    /// @notice Answers have priority before `convictableFrom`, unix seconds.
    error AmnesiaFault_WindowRunning(bytes32 chargeHash, uint256 convictableFrom);
    /// @notice The charge can still convict, up to epoch `lastSlashEpoch`.
    error AmnesiaFault_NotExpired(bytes32 chargeHash, uint32 lastSlashEpoch);

    /// @notice Opens a charge. Anyone may call: it takes two signatures of the accused, so nobody can be accused of what
    /// it did not sign, nor twice of the same, nor under a σ it is convicted under already.
    /// @dev Emits `Accused`. Reverts in this order: `WrongKinds`, `Evidence_DifferentForks`, `DifferentEpochs`,
    /// `DifferentHeights`, `NotLater`, `NilVote`, `Evidence_NoContradiction` (X = Y); for each signature
    /// `WrongSignatureLength`, `HighS`, `BadRecoveryId`, `NoSigner`; `DifferentSigners`, `UnknownSet`, `WrongMembers`,
    /// `NotAMember`; what `ISlasher.checkEvidence` answers; `AlreadyAccused`, `Slasher_AlreadyConvicted`.
    /// @param lock Precommit for X.
    /// @param vote Prevote for Y.
    /// @param members Members of the set of their epoch, as `EpochFrozen` emitted them.
    /// @param reporter Who is credited the reward; zero: nobody. It is fixed here, so nobody can take it at `convict`.
    /// @return chargeHash `keccak256(abi.encode(charge))`.
    function accuse(SignedVote calldata lock, SignedVote calldata vote, bytes calldata members, address reporter)
        external
        returns (bytes32 chargeHash);

    /// @notice Closes a charge for ever by the polka that explains the prevote. Anyone may call, until the conviction:
    /// the window is only how long a conviction waits.
    /// @dev Emits `Answered`. Reverts in this order: `NotOpen`, `ForeignPolka`, `PolkaOutsideRounds`, every
    /// `CommitCertificate_` error.
    /// @param charge The charge, as emitted.
    /// @param polka Prevotes for `charge.votedHash` in a round from `lockRound` to `voteRound − 1`, in the shape of a
    /// commit certificate, with strictly more than two thirds of the weight of σ.
    /// @param members Members of σ.
    function answer(Charge calldata charge, IBatchChain.CommitCertificate calldata polka, bytes calldata members)
        external;

    /// @notice Convicts the accused when the window is over and no answer came. Anyone may call.
    /// @dev The slasher emits `Convicted`; the round of the offence is that of the prevote. Reverts in this order:
    /// `NotOpen`, `WindowRunning`, then what `ISlasher.convict` answers.
    /// @param charge The charge, as emitted.
    /// @return taken Token wei slashed.
    function convict(Charge calldata charge) external returns (uint256 taken);

    /// @notice Closes a charge that nothing can come of any more: it is too old to be slashed, or its operator is convicted
    /// under its σ already. Anyone may call.
    /// @dev Emits `Expired`. Reverts in this order: `NotOpen`, `NotExpired`.
    /// @param charge The charge, as emitted.
    function expire(Charge calldata charge) external;

    /// @notice Charges against operator `id` that are neither answered nor convicted nor expired: what others who depend on
    /// its stake should be careful about. One read.
    /// @dev No charge has to stay open: anybody who holds the polka can answer it, from the end of its window anybody can
    /// convict by it, and what can no longer convict anybody can expire. Whoever accuses itself to keep the count up pays
    /// for each charge, and must answer each in time or loses its stake.
    function openCharges(uint32 id) external view returns (uint256 count);

    /// @notice The same for all operators together: zero tells at once that nobody is accused.
    function openChargesInAll() external view returns (uint256 count);

    /// @notice What is stored about a charge.
    function accusationOf(bytes32 chargeHash) external view returns (Accusation memory);

    /// @notice Least time between accusation and conviction, seconds.
    function RESPONSE_WINDOW() external view returns (uint64);
}
