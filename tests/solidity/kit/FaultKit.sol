// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {IAmnesiaFault} from "contracts/interfaces/IAmnesiaFault.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IConflictingCertificatesFault} from "contracts/interfaces/IConflictingCertificatesFault.sol";
import {IDoubleProposalFault} from "contracts/interfaces/IDoubleProposalFault.sol";
import {IDoubleVoteFault} from "contracts/interfaces/IDoubleVoteFault.sol";
import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {ISlasher} from "contracts/interfaces/ISlasher.sol";
import {JudgedSets, RecordingSlasher} from "./FaultDoubles.sol";

/// @notice The fault modules that judge by signatures, before a slasher that writes down what it is told, with sets whose
/// keys the test knows. Messages are hashed here from the EIP-712 text, not by code of the contracts.
abstract contract FaultKit is Test {
    uint64 internal constant L2_CHAIN_ID = 424_242;
    uint64 internal constant RESPONSE_WINDOW = 2 days;
    uint32 internal constant SIGMA = 10;
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    address internal immutable BATCH_CHAIN = makeAddr("batch chain");
    address internal immutable REPORTER = makeAddr("reporter");

    /// @notice One sequencer of a test set; its id is its place plus one.
    struct Key {
        uint256 secret;
        uint64 weight;
    }

    JudgedSets internal sets;
    RecordingSlasher internal slasher;
    IDoubleVoteFault internal doubleVote;
    IDoubleProposalFault internal doubleProposal;
    IConflictingCertificatesFault internal certificates;
    IAmnesiaFault internal amnesia;

    bytes32 internal domain;
    Key[] internal keys;
    bytes internal members;
    uint64 internal totalWeight;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        sets = new JudgedSets();
        slasher = new RecordingSlasher(sets);
        domain = _domain(L2_CHAIN_ID, BATCH_CHAIN);
        IEvidence.Wiring memory wiring = _wiring();
        doubleVote = IDoubleVoteFault(vm.deployCode("DoubleVoteFault.sol:DoubleVoteFault", abi.encode(wiring)));
        doubleProposal =
            IDoubleProposalFault(vm.deployCode("DoubleProposalFault.sol:DoubleProposalFault", abi.encode(wiring)));
        certificates = IConflictingCertificatesFault(
            vm.deployCode("ConflictingCertificatesFault.sol:ConflictingCertificatesFault", abi.encode(wiring))
        );
        amnesia =
            IAmnesiaFault(vm.deployCode("AmnesiaFault.sol:AmnesiaFault", abi.encode(wiring, uint64(RESPONSE_WINDOW))));
        for (uint256 i = 0; i < 4; ++i) {
            keys.push(Key({secret: _secret(i), weight: 100 + uint64(i)}));
        }
        (members, totalWeight) = _members(keys);
        sets.freeze(SIGMA, members, totalWeight);
        sets.setEpoch(SIGMA);
    }

    function _wiring() internal view returns (IEvidence.Wiring memory) {
        return IEvidence.Wiring({
            slasher: address(slasher), sequencerSet: address(sets), batchChain: BATCH_CHAIN, l2ChainId: L2_CHAIN_ID
        });
    }

    // ------------------------------------------------------------------------------------------------------- sets

    function _secret(uint256 index) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("fault key", index))) >> 1;
    }

    function _members(Key[] memory list) internal pure returns (bytes memory packed, uint64 total) {
        for (uint256 i = 0; i < list.length; ++i) {
            packed = bytes.concat(packed, abi.encodePacked(vm.addr(list[i].secret), uint32(i + 1), list[i].weight));
            total += list[i].weight;
        }
    }

    /// @dev Freezes a set in which the first `weights.length` keys have other weights; returns its members.
    function _freezeOther(uint32 epoch, uint64[] memory weights) internal returns (bytes memory packed) {
        Key[] memory list = new Key[](weights.length);
        for (uint256 i = 0; i < weights.length; ++i) {
            list[i] = Key({secret: _secret(i), weight: weights[i]});
        }
        uint64 total;
        (packed, total) = _members(list);
        sets.freeze(epoch, packed, total);
    }

    // ----------------------------------------------------------------------------------------------------- messages

    function _domain(uint256 chainId, address batchChain) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Rota"),
                keccak256("1"),
                chainId,
                batchChain
            )
        );
    }

    function _digest(bytes32 domain_, IEvidence.SignedVote memory vote) internal pure returns (bytes32) {
        bytes32 hash = keccak256(
            abi.encode(
                keccak256("Vote(uint8 kind,uint32 fork,uint32 epoch,uint64 height,uint32 round,bytes32 blockHash)"),
                vote.kind,
                vote.fork,
                vote.epoch,
                vote.height,
                vote.round,
                vote.blockHash
            )
        );
        return keccak256(abi.encodePacked(bytes2(0x1901), domain_, hash));
    }

    function _digest(bytes32 domain_, IEvidence.SignedProposal memory proposal) internal pure returns (bytes32) {
        bytes32 hash = keccak256(
            abi.encode(
                keccak256(
                    "Proposal(uint32 fork,uint32 epoch,uint64 height,uint32 round,int64 polRound,bytes32 blockHash)"
                ),
                proposal.fork,
                proposal.epoch,
                proposal.height,
                proposal.round,
                proposal.polRound,
                proposal.blockHash
            )
        );
        return keccak256(abi.encodePacked(bytes2(0x1901), domain_, hash));
    }

    function _signature(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev A vote of `keys[member]` for σ, at fork 0, height 7.
    function _vote(uint256 member, uint8 kind, uint32 round, bytes32 blockHash)
        internal
        view
        returns (IEvidence.SignedVote memory vote)
    {
        vote.kind = kind;
        vote.epoch = SIGMA;
        vote.height = 7;
        vote.round = round;
        vote.blockHash = blockHash;
        vote = _signed(vote, member);
    }

    /// @dev The vote with the signature of `keys[member]` over what it says.
    function _signed(IEvidence.SignedVote memory vote, uint256 member)
        internal
        view
        returns (IEvidence.SignedVote memory)
    {
        vote.signature = _signature(_secret(member), _digest(domain, vote));
        return vote;
    }

    function _signed(IEvidence.SignedProposal memory proposal, uint256 member)
        internal
        view
        returns (IEvidence.SignedProposal memory)
    {
        proposal.signature = _signature(_secret(member), _digest(domain, proposal));
        return proposal;
    }

    /// @dev Whom the contract must recover from a vote's signature; the test decides by ecrecover itself.
    function _recovered(IEvidence.SignedVote memory vote) internal view returns (address) {
        return _recovered(_digest(domain, vote), vote.signature);
    }

    function _recovered(bytes32 digest, bytes memory signature) internal pure returns (address) {
        bytes32 r;
        bytes32 s;
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
        }
        return ecrecover(digest, uint8(signature[64]), r, s);
    }

    /// @dev The other signature of the same key over the same digest.
    function _highTwin(bytes memory signature) internal pure returns (bytes memory twin, bytes32 highS) {
        bytes32 r;
        uint256 s;
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
        }
        highS = bytes32(ORDER - s);
        twin = abi.encodePacked(r, highS, uint8(signature[64]) == 27 ? uint8(28) : uint8(27));
    }

    /// @dev Votes of one kind by the keys in the bitmap, in the shape of a certificate, fork 0, height 7.
    function _certificate(uint8 kind, uint32 epoch, uint32 round, bytes32 blockHash, uint256 signers)
        internal
        view
        returns (IBatchChain.CommitCertificate memory certificate)
    {
        certificate.epoch = epoch;
        certificate.height = 7;
        certificate.round = round;
        certificate.blockHash = blockHash;
        _fill(certificate, kind, signers);
    }

    function _fill(IBatchChain.CommitCertificate memory certificate, uint8 kind, uint256 signers) internal view {
        IEvidence.SignedVote memory vote;
        vote.kind = kind;
        vote.fork = certificate.fork;
        vote.epoch = certificate.epoch;
        vote.height = certificate.height;
        vote.round = certificate.round;
        vote.blockHash = certificate.blockHash;
        bytes32 digest = _digest(domain, vote);
        certificate.signers = signers;
        certificate.signatures = "";
        for (uint256 i = 0; signers >> i != 0; ++i) {
            if ((signers >> i) & 1 == 0) continue;
            certificate.signatures = bytes.concat(certificate.signatures, _signature(_secret(i), digest));
        }
    }

    // ------------------------------------------------------------------------------------------------------ verdicts

    /// @dev The slasher was told exactly one offence, this one.
    function _assertConvicted(uint256 member, uint8 kind, uint32 sigma, uint64 weight, uint64 total, uint32 round)
        internal
        view
    {
        assertEq(slasher.count(), 1);
        ISlasher.Offence memory expected = ISlasher.Offence({
            id: uint32(member + 1),
            kind: kind,
            fork: 0,
            sigma: sigma,
            height: 7,
            round: round,
            weight: weight,
            totalWeight: total,
            reporter: REPORTER
        });
        assertEq(abi.encode(slasher.offenceAt(0)), abi.encode(expected));
    }

    function _assertCreationRefused(string memory what, bytes memory arguments, bytes memory reason) internal {
        bytes memory code = abi.encodePacked(vm.getCode(what), arguments);
        address created;
        bytes memory answer;
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
            answer := mload(0x40)
            mstore(answer, returndatasize())
            returndatacopy(add(answer, 0x20), 0, returndatasize())
            mstore(0x40, add(answer, and(add(returndatasize(), 0x3f), not(0x1f))))
        }
        assertEq(created, address(0));
        assertEq(answer, reason);
    }
}
