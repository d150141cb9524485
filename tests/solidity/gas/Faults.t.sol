// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAmnesiaFault} from "contracts/interfaces/IAmnesiaFault.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {ISlasher} from "contracts/interfaces/ISlasher.sol";

import {FaultsFixture} from "../harness/FaultsFixture.sol";

/// @notice Gas of a proof as a whole transaction, from the signatures to the tokens in the escrow: sets of 10 and 64, the
/// unbonding time and the windows of mainnet. Run with `--isolate`.
contract FaultsGas is FaultsFixture {
    string private constant GROUP = "Faults";
    bytes32 private constant X = keccak256("block X");
    bytes32 private constant Y = keccak256("block Y");
    uint32 private constant SIGMA = 22;

    bytes private _proofMembers;
    uint32 private _count;

    function _unbonding() internal pure override returns (uint32) {
        return 23;
    }

    function _slasherConfig() internal view override returns (ISlasher.Config memory config) {
        config = super._slasherConfig();
        (config.evidenceEpochs, config.correlationEpochs) = (4, 2);
    }

    function test_gas_doubleVote_10() public {
        _atTheAgeLimit(10);
        _doubleVote(0);
        assertLe(_snapshot("double vote to slashed, set of 10, every cohort in reach open"), 350_000);
    }

    function test_gas_doubleVote_64() public {
        _atTheAgeLimit(64);
        _doubleVote(0);
        assertLe(_snapshot("double vote to slashed, set of 64, every cohort in reach open"), 350_000);
    }

    /// @notice The worst there is: no set was frozen for the whole time of unbonding, so evidence does not age, and stake
    /// left in every epoch of it. 26 cohorts instead of 6 are read, 25 of them written, at 5,000 gas each.
    function test_gas_doubleVote_allCohortsOfTheWindow() public {
        _network(64);
        for (uint32 epoch = SIGMA; epoch < SIGMA + 25; ++epoch) {
            _toEpoch(epoch);
            _undelegate(_owner(0), 1, 1e18);
        }
        _toEpoch(SIGMA + 25);
        _doubleVote(9);
        _doubleVote(0);
        assertLe(_snapshot("double vote to slashed, set of 64, 25 cohorts open, no other set frozen"), 430_000);
    }

    function test_gas_doubleProposal_64() public {
        _atTheAgeLimit(64);
        doubleProposal.report(_proposal(0, SIGMA, X), _proposal(0, SIGMA, Y), _proofMembers, "", reporter);
        assertLe(_snapshot("double proposal to slashed, set of 64, every cohort in reach open"), 350_000);
    }

    /// @notice What a further member costs decides how many fit a transaction of 16.7 million gas (EIP-7825).
    function test_gas_certificates_64() public {
        _atTheAgeLimit(64);
        IBatchChain.CommitCertificate memory one = _certificate(2, SIGMA, 0, X, (1 << 43) - 1);
        IBatchChain.CommitCertificate memory two = _certificate(2, SIGMA, 0, Y, ((1 << 43) - 1) << 21);
        certificates.report(one, two, _proofMembers, "", 1, reporter);
        uint256 first = _snapshot("conflicting certificates, set of 64, 1 convicted");
        certificates.report(one, two, _proofMembers, "", 21, reporter);
        uint256 rest = _snapshot("conflicting certificates, set of 64, 21 convicted");
        assertLe((rest - first) / 20, 200_000, "each");
        assertLe(rest, 16_777_216);
    }

    function test_gas_amnesia_64() public {
        _atTheAgeLimit(64);
        amnesia.accuse(_vote(0, 2, SIGMA, 0, X), _vote(0, 1, SIGMA, 2, Y), _proofMembers, reporter);
        assertLe(_snapshot("amnesia: accuse, set of 64"), 180_000);
        amnesia.accuse(_vote(1, 2, SIGMA, 0, X), _vote(1, 1, SIGMA, 2, Y), _proofMembers, reporter);
        amnesia.answer(_charge(2), _certificate(1, SIGMA, 1, Y, (1 << 43) - 1), _proofMembers);
        assertLe(_snapshot("amnesia: answer, set of 64, 43 signatures"), 330_000);
        skip(RESPONSE_WINDOW);
        amnesia.convict(_charge(1));
        assertLe(_snapshot("amnesia: convict, every cohort in reach open"), 280_000);
    }

    function test_gas_offline_64() public {
        _network(64);
        uint32[] memory missed = new uint32[](64);
        (missed[0], missed[1]) = (10, 10);
        _freezeUntil(SIGMA + 1, SIGMA + 1);
        (IBatchChain.BatchHeader memory header, bytes memory entries) =
            _tally(64, SIGMA, missed, IBatchChain.BatchState.Posted);
        offline.jail(2, header, _proofMembers, entries, reporter);
        offline.jail(1, header, _proofMembers, entries, reporter);
        assertLe(_snapshot("offline: jail, set of 64"), 200_000);
    }

    /// @dev Equal operators on all seats; SIGMA serves.
    function _network(uint32 count) private {
        vm.pauseGasMetering();
        _count = count;
        _deployFaults(uint8(count), 16);
        _toEpoch(20);
        for (uint256 i = 0; i < count; ++i) {
            _operator(i, 1000e18);
        }
        _toEpoch(21);
        for (uint8 i = 0; i < count; ++i) {
            set.takeSeat(i + 1, i);
        }
        _freezeUntil(SIGMA, SIGMA);
        _proofMembers = _setOf(count, SIGMA);
        vm.resumeGasMetering();
    }

    /// @dev The last epoch in which evidence against SIGMA is taken; stake of everybody left in each epoch since. Another
    /// was convicted before, so that no slot is counted as fresh that is not in the long run.
    function _atTheAgeLimit(uint32 count) private {
        _network(count);
        vm.pauseGasMetering();
        for (uint32 epoch = SIGMA; epoch <= SIGMA + 4; ++epoch) {
            if (epoch != SIGMA) _freezeUntil(epoch, epoch);
            for (uint32 i = 0; i < count; ++i) {
                _undelegate(_owner(i), i + 1, 1e18);
            }
        }
        vm.resumeGasMetering();
        _doubleVote(9);
    }

    function _doubleVote(uint256 index) private {
        doubleVote.report(_vote(index, 2, SIGMA, 0, X), _vote(index, 2, SIGMA, 0, Y), _proofMembers, "", reporter);
    }

    function _charge(uint32 id) private view returns (IAmnesiaFault.Charge memory) {
        return IAmnesiaFault.Charge({
            id: id,
            fork: 0,
            sigma: SIGMA,
            height: HEIGHT,
            lockRound: 0,
            voteRound: 2,
            votedHash: Y,
            weight: 1000e9,
            totalWeight: uint64(_count) * 1000e9
        });
    }

    /// @dev Gas of the last call, which must have been a transaction of its own.
    function _snapshot(string memory name) private returns (uint256 used) {
        used = vm.snapshotGasLastCall(GROUP, name);
        assertGt(used, 21_000, "run with --isolate");
    }
}
