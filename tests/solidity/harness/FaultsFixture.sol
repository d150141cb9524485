// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAmnesiaFault} from "contracts/interfaces/IAmnesiaFault.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IConflictingCertificatesFault} from "contracts/interfaces/IConflictingCertificatesFault.sol";
import {IDoubleProposalFault} from "contracts/interfaces/IDoubleProposalFault.sol";
import {IDoubleVoteFault} from "contracts/interfaces/IDoubleVoteFault.sol";
import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {IOfflineFault} from "contracts/interfaces/IOfflineFault.sol";
import {ISlasher} from "contracts/interfaces/ISlasher.sol";

import {SlashingFixture} from "./SlashingFixture.sol";

/// @dev What the offline module asks of `BatchChain`.
contract BatchStates {
    mapping(bytes32 batchHash => IBatchChain.BatchState) public stateOf;
    mapping(uint64 index => bytes32) public batchAt;

    function set(IBatchChain.BatchHeader calldata header, IBatchChain.BatchState state) external {
        bytes32 batchHash = keccak256(abi.encode(header));
        stateOf[batchHash] = state;
        batchAt[header.index] = batchHash;
    }
}

/// @notice Everything from a signature to the money: the staking contracts, the slasher, the escrow and all fault modules
/// as deployed. Only the chain of batches is played.
abstract contract FaultsFixture is SlashingFixture {
    uint64 internal constant L2_CHAIN_ID = 424_242;
    uint64 internal constant RESPONSE_WINDOW = 30;
    uint32 internal constant MIN_SLOTS = 8;
    uint64 internal constant HEIGHT = 7;

    IDoubleVoteFault internal doubleVote;
    IDoubleProposalFault internal doubleProposal;
    IConflictingCertificatesFault internal certificates;
    IAmnesiaFault internal amnesia;
    IOfflineFault internal offline;
    BatchStates internal batches;
    address internal certificatesFault = makeAddr("conflicting certificates fault");
    address internal amnesiaFault = makeAddr("amnesia fault");

    /// @dev At the addresses the slasher trusts.
    function _deployFaults(uint8 maxSeats, uint32 slots) internal {
        _deploySlashing(maxSeats, slots);
        batches = new BatchStates();
        bytes memory wiring = abi.encode(
            IEvidence.Wiring({
                slasher: slasher, sequencerSet: address(set), batchChain: address(batchChain), l2ChainId: L2_CHAIN_ID
            })
        );
        deployCodeTo("DoubleVoteFault.sol:DoubleVoteFault", wiring, voteFault);
        deployCodeTo("DoubleProposalFault.sol:DoubleProposalFault", wiring, proposalFault);
        deployCodeTo("ConflictingCertificatesFault.sol:ConflictingCertificatesFault", wiring, certificatesFault);
        deployCodeTo("AmnesiaFault.sol:AmnesiaFault", bytes.concat(wiring, abi.encode(RESPONSE_WINDOW)), amnesiaFault);
        deployCodeTo(
            "OfflineFault.sol:OfflineFault",
            abi.encode(
                IOfflineFault.Config({
                    slasher: slasher, sequencerSet: address(set), batchChain: address(batches), minSlots: MIN_SLOTS
                })
            ),
            offlineFault
        );
        doubleVote = IDoubleVoteFault(voteFault);
        doubleProposal = IDoubleProposalFault(proposalFault);
        certificates = IConflictingCertificatesFault(certificatesFault);
        amnesia = IAmnesiaFault(amnesiaFault);
        offline = IOfflineFault(offlineFault);
    }

    function _slasherConfig() internal view virtual override returns (ISlasher.Config memory config) {
        config = super._slasherConfig();
        config.modules = new address[](4);
        (config.modules[0], config.modules[1]) = (voteFault, proposalFault);
        (config.modules[2], config.modules[3]) = (certificatesFault, amnesiaFault);
    }

    // ---------------------------------------------------------------------------------------------------- signatures

    /// @dev A vote of the key of `_operator(index)`.
    function _vote(uint256 index, uint8 kind, uint32 epoch, uint32 round, bytes32 blockHash)
        internal
        view
        returns (IEvidence.SignedVote memory vote)
    {
        (vote.kind, vote.epoch, vote.height, vote.round, vote.blockHash) = (kind, epoch, HEIGHT, round, blockHash);
        vote.signature = _sign(
            index,
            keccak256(
                abi.encode(
                    keccak256("Vote(uint8 kind,uint32 fork,uint32 epoch,uint64 height,uint32 round,bytes32 blockHash)"),
                    kind,
                    uint32(0),
                    epoch,
                    HEIGHT,
                    round,
                    blockHash
                )
            )
        );
    }

    function _proposal(uint256 index, uint32 epoch, bytes32 blockHash)
        internal
        view
        returns (IEvidence.SignedProposal memory proposal)
    {
        (proposal.epoch, proposal.height, proposal.polRound, proposal.blockHash) = (epoch, HEIGHT, -1, blockHash);
        proposal.signature = _sign(
            index,
            keccak256(
                abi.encode(
                    keccak256(
                        "Proposal(uint32 fork,uint32 epoch,uint64 height,uint32 round,int64 polRound,bytes32 blockHash)"
                    ),
                    uint32(0),
                    epoch,
                    HEIGHT,
                    uint32(0),
                    int64(-1),
                    blockHash
                )
            )
        );
    }

    /// @dev Votes of the members in the bitmap, which are the operators in the order of their index.
    function _certificate(uint8 kind, uint32 epoch, uint32 round, bytes32 blockHash, uint256 signers)
        internal
        view
        returns (IBatchChain.CommitCertificate memory certificate)
    {
        (certificate.epoch, certificate.height, certificate.round) = (epoch, HEIGHT, round);
        (certificate.blockHash, certificate.signers) = (blockHash, signers);
        for (uint256 i = 0; signers >> i != 0; ++i) {
            if ((signers >> i) & 1 == 0) continue;
            certificate.signatures =
                bytes.concat(certificate.signatures, _vote(i, kind, epoch, round, blockHash).signature);
        }
    }

    /// @dev Members of a set that consists of the operators 1 to `count` in this order.
    function _setOf(uint32 count, uint32 epoch) internal view returns (bytes memory) {
        uint32[] memory ids = new uint32[](count);
        for (uint32 i = 0; i < count; ++i) {
            ids[i] = i + 1;
        }
        return _members(ids, epoch);
    }

    function _sign(uint256 index, bytes32 message) private view returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Rota"),
                keccak256("1"),
                uint256(L2_CHAIN_ID),
                address(batchChain)
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(_key(index), keccak256(abi.encodePacked(bytes2(0x1901), domain, message)));
        return abi.encodePacked(r, s, v);
    }

    // -------------------------------------------------------------------------------------------------------- tallies

    /// @dev A batch with a tally of `epoch` in which each of `count` members had 10 slots and missed as many as given.
    function _tally(uint32 count, uint32 epoch, uint32[] memory missed, IBatchChain.BatchState state)
        internal
        returns (IBatchChain.BatchHeader memory header, bytes memory entries)
    {
        for (uint32 i = 0; i < count; ++i) {
            entries = bytes.concat(entries, abi.encodePacked(i + 1, uint32(10), 10 - missed[i], uint32(0), uint128(0)));
        }
        header.index = epoch;
        header.epoch = epoch + 1;
        header.tally.epoch = epoch;
        header.tally.root = keccak256(entries);
        header.tally.count = count;
        batches.set(header, state);
    }
}
