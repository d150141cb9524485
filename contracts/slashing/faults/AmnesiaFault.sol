// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAmnesiaFault} from "../../interfaces/IAmnesiaFault.sol";
import {IBatchChain} from "../../interfaces/IBatchChain.sol";
import {IEpochClock} from "../../interfaces/IEpochClock.sol";
import {FaultKind, ISlasher} from "../../interfaces/ISlasher.sol";
import {CommitCertificate} from "../../rollup/CommitCertificate.sol";
import {Evidence} from "./Evidence.sol";
import {FaultModule} from "./FaultModule.sol";

/// @title AmnesiaFault
contract AmnesiaFault is IAmnesiaFault, FaultModule {
    /// @dev Bound of the constructor.
    uint64 private constant MAX_RESPONSE_WINDOW = 30 days;

    /// @inheritdoc IAmnesiaFault
    uint64 public immutable RESPONSE_WINDOW;

    mapping(bytes32 chargeHash => Accusation) private _accusations;

    /// @inheritdoc IAmnesiaFault
    mapping(uint32 id => uint256 count) public openCharges;

    /// @inheritdoc IAmnesiaFault
    uint256 public openChargesInAll;

    constructor(Wiring memory wiring, uint64 responseWindow) FaultModule(wiring) {
        if (responseWindow == 0 || responseWindow > MAX_RESPONSE_WINDOW) {
            revert AmnesiaFault_InvalidResponseWindow(responseWindow, MAX_RESPONSE_WINDOW);
        }
        RESPONSE_WINDOW = responseWindow;
    }

    /// @inheritdoc IAmnesiaFault
    function accuse(SignedVote calldata lock, SignedVote calldata vote, bytes calldata members, address reporter)
        external
        returns (bytes32 chargeHash)
    {
        if (lock.kind != FaultKind.PRECOMMIT || vote.kind != FaultKind.PREVOTE) {
            revert AmnesiaFault_WrongKinds(lock.kind, vote.kind);
        }
        if (lock.fork != vote.fork) revert Evidence_DifferentForks(lock.fork, vote.fork);
        if (lock.epoch != vote.epoch) revert Evidence_DifferentEpochs(lock.epoch, vote.epoch);
        if (lock.height != vote.height) revert Evidence_DifferentHeights(lock.height, vote.height);
        if (vote.round <= lock.round) revert AmnesiaFault_NotLater(lock.round, vote.round);
        if (lock.blockHash == 0 || vote.blockHash == 0) revert AmnesiaFault_NilVote(lock.blockHash, vote.blockHash);
        if (lock.blockHash == vote.blockHash) revert Evidence_NoContradiction(lock.epoch, lock.blockHash);

        address signer = Evidence.voteSigner(lock, domainSeparator);
        address other = Evidence.voteSigner(vote, domainSeparator);
        if (signer != other) revert Evidence_DifferentSigners(signer, other);
        Evidence.Standing memory standing = _standingIn(signer, lock.epoch, members);
        SLASHER.checkEvidence(lock.epoch);

        return _open(_charge(standing, lock, vote), reporter);
    }

    /// @inheritdoc IAmnesiaFault
    function answer(Charge calldata charge, IBatchChain.CommitCertificate calldata polka, bytes calldata members)
        external
    {
        (bytes32 chargeHash, Accusation storage accusation) = _opened(charge);
        if (
            polka.fork != charge.fork || polka.epoch != charge.sigma || polka.height != charge.height
                || polka.blockHash != charge.votedHash
        ) revert AmnesiaFault_ForeignPolka(polka.fork, polka.epoch, polka.height, polka.blockHash);
        if (polka.round < charge.lockRound || polka.round >= charge.voteRound) {
            revert AmnesiaFault_PolkaOutsideRounds(polka.round, charge.lockRound, charge.voteRound);
        }
        CommitCertificate.verifyPolka(polka, domainSeparator, members, SET.setHash(charge.sigma));

        _end(charge.id, accusation, ChargeState.Answered);
        emit Answered(chargeHash, charge.id, polka.round);
    }

    /// @inheritdoc IAmnesiaFault
    function convict(Charge calldata charge) external returns (uint256 taken) {
        (bytes32 chargeHash, Accusation storage accusation) = _opened(charge);
        uint256 from = accusation.convictableFrom;
        if (block.timestamp < from) revert AmnesiaFault_WindowRunning(chargeHash, from);

        _end(charge.id, accusation, ChargeState.Convicted);
        return _convict(
            Evidence.Standing({
                sigma: charge.sigma, id: charge.id, weight: charge.weight, totalWeight: charge.totalWeight
            }),
            Fault(FaultKind.AMNESIA, charge.fork, charge.height, charge.voteRound, accusation.reporter)
        );
    }

    /// @inheritdoc IAmnesiaFault
    function expire(Charge calldata charge) external {
        (bytes32 chargeHash, Accusation storage accusation) = _opened(charge);
        uint32 last = SLASHER.lastSlashEpoch(charge.sigma);
        if (IEpochClock(address(SET)).currentEpoch() <= last && !SLASHER.isProven(charge.id, charge.sigma)) {
            revert AmnesiaFault_NotExpired(chargeHash, last);
        }

        _end(charge.id, accusation, ChargeState.Expired);
        emit Expired(chargeHash, charge.id);
    }

    /// @inheritdoc IAmnesiaFault
    function accusationOf(bytes32 chargeHash) external view returns (Accusation memory) {
        return _accusations[chargeHash];
    }

    function _open(Charge memory charge, address reporter) private returns (bytes32 chargeHash) {
        chargeHash = keccak256(abi.encode(charge));
        Accusation storage accusation = _accusations[chargeHash];
        if (accusation.state != ChargeState.None) revert AmnesiaFault_AlreadyAccused(chargeHash, accusation.state);
        // Who has nothing more to lose under σ could keep itself accused for ever.
        if (SLASHER.isProven(charge.id, charge.sigma)) {
            revert ISlasher.Slasher_AlreadyConvicted(charge.id, charge.sigma);
        }
        // A timestamp plus 30 days fits 40 bits for 34,000 years.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint40 from = uint40(block.timestamp + RESPONSE_WINDOW);
        _accusations[chargeHash] = Accusation({state: ChargeState.Open, convictableFrom: from, reporter: reporter});
        ++openCharges[charge.id];
        ++openChargesInAll;
        emit Accused(chargeHash, charge.id, charge, from, reporter);
    }

    function _end(uint32 id, Accusation storage accusation, ChargeState state) private {
        accusation.state = state;
        --openCharges[id];
        --openChargesInAll;
    }

    function _opened(Charge calldata charge) private view returns (bytes32 chargeHash, Accusation storage accusation) {
        chargeHash = keccak256(abi.encode(charge));
        accusation = _accusations[chargeHash];
        if (accusation.state != ChargeState.Open) revert AmnesiaFault_NotOpen(chargeHash, accusation.state);
    }

    function _charge(Evidence.Standing memory standing, SignedVote calldata lock, SignedVote calldata vote)
        private
        pure
        returns (Charge memory)
    {
        return Charge({
            id: standing.id,
            fork: lock.fork,
            sigma: standing.sigma,
            height: lock.height,
            lockRound: lock.round,
            voteRound: vote.round,
            votedHash: vote.blockHash,
            weight: standing.weight,
            totalWeight: standing.totalWeight
        });
    }
}
