// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {IDoubleProposalFault} from "contracts/interfaces/IDoubleProposalFault.sol";
import {IDoubleVoteFault} from "contracts/interfaces/IDoubleVoteFault.sol";
import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {FaultKind, ISlasher} from "contracts/interfaces/ISlasher.sol";
import {JudgedSets, RecordingSlasher} from "../kit/FaultDoubles.sol";

/// @notice The golden vectors of evidence: what convicts in `rota-protocol` convicts here, the same member, and nothing else
/// does. So a node never pays for a report that is refused, and misses none that would be taken.
contract EvidenceDifferentialTest is Test {
    /// @dev Fields as forge hands them over: in alphabetical order.
    struct MessageVector {
        bytes32 blockHash;
        uint256 epoch;
        uint256 fork;
        uint256 height;
        uint256 kind;
        int256 polRound;
        uint256 round;
        bytes signature;
    }

    struct PairVector {
        uint256 culprit;
        MessageVector first;
        MessageVector second;
    }

    string private constant PAIR =
        "PairVector(uint256 culprit,MessageVector first,MessageVector second)MessageVector(bytes32 blockHash,uint256 epoch,uint256 fork,uint256 height,uint256 kind,int256 polRound,uint256 round,bytes signature)";

    function test_S8_doubleVotesAndProposals() public {
        string memory json = vm.readFile("tests/vectors/evidence.json");
        bytes memory members = vm.parseJsonBytes(json, "$.members");
        uint32 epoch = uint32(vm.parseJsonUint(json, "$.epoch"));
        JudgedSets sets = new JudgedSets();
        sets.freeze(epoch, members, uint64(vm.parseJsonUint(json, "$.totalWeight")));
        sets.setEpoch(epoch);
        IEvidence.Wiring memory wiring = IEvidence.Wiring({
            slasher: address(0),
            sequencerSet: address(sets),
            batchChain: vm.parseJsonAddress(json, "$.batchChain"),
            l2ChainId: uint64(vm.parseJsonUint(json, "$.chainId"))
        });

        PairVector[] memory pairs = abi.decode(vm.parseJsonTypeArray(json, "$.pairs", PAIR), (PairVector[]));
        uint256 convicting;
        for (uint256 i = 0; i < pairs.length; ++i) {
            // Each pair before a slasher that has convicted nobody.
            RecordingSlasher slasher = new RecordingSlasher(sets);
            wiring.slasher = address(slasher);
            _report(wiring, pairs[i], members);
            string memory name = string.concat("vector ", vm.toString(i));
            assertEq(slasher.count(), pairs[i].culprit == 0 ? 0 : 1, name);
            if (pairs[i].culprit == 0) continue;
            ++convicting;
            ISlasher.Offence memory offence = slasher.offenceAt(0);
            assertEq(offence.id, pairs[i].culprit, name);
            assertEq(offence.kind, pairs[i].first.kind, name);
            assertEq(offence.sigma, epoch, name);
            assertEq(offence.fork, pairs[i].first.fork, name);
            assertEq(offence.height, pairs[i].first.height, name);
            assertEq(offence.round, pairs[i].first.round, name);
            assertEq(offence.weight, 10 * offence.id, name);
            assertEq(offence.totalWeight, 100, name);
        }
        assertGt(convicting, 0, "none convicts");
        assertGt(pairs.length - convicting, 0, "all convict");
    }

    /// @dev Hands the pair to its module, whatever that answers.
    function _report(IEvidence.Wiring memory wiring, PairVector memory pair, bytes memory members) private {
        bytes memory second = pair.first.epoch == pair.second.epoch ? bytes("") : members;
        address module;
        bytes memory call;
        if (pair.first.kind == FaultKind.PROPOSAL) {
            module = vm.deployCode("DoubleProposalFault.sol:DoubleProposalFault", abi.encode(wiring));
            call = abi.encodeCall(
                IDoubleProposalFault.report,
                (_proposal(pair.first), _proposal(pair.second), members, second, address(this))
            );
        } else {
            module = vm.deployCode("DoubleVoteFault.sol:DoubleVoteFault", abi.encode(wiring));
            call = abi.encodeCall(
                IDoubleVoteFault.report, (_vote(pair.first), _vote(pair.second), members, second, address(this))
            );
        }
        (bool convicted,) = module.call(call);
        assertEq(convicted, pair.culprit != 0);
    }

    function _vote(MessageVector memory m) private pure returns (IEvidence.SignedVote memory) {
        return IEvidence.SignedVote({
            kind: uint8(m.kind),
            fork: uint32(m.fork),
            epoch: uint32(m.epoch),
            height: uint64(m.height),
            round: uint32(m.round),
            blockHash: m.blockHash,
            signature: m.signature
        });
    }

    function _proposal(MessageVector memory m) private pure returns (IEvidence.SignedProposal memory) {
        return IEvidence.SignedProposal({
            fork: uint32(m.fork),
            epoch: uint32(m.epoch),
            height: uint64(m.height),
            round: uint32(m.round),
            polRound: int64(m.polRound),
            blockHash: m.blockHash,
            signature: m.signature
        });
    }
}
