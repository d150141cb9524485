// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRollupLibraries} from "../harness/IRollupLibraries.sol";
import {RollupKit} from "../kit/RollupKit.sol";

/// @notice The golden vectors of `rota-protocol`, read by the contracts: votes, certificates, headers and batches mean the
/// same in both languages.
contract RollupDifferentialTest is RollupKit {
    /// @dev Fields as forge hands them over: in alphabetical order.
    struct VoteVector {
        address batchChain;
        bytes32 blockHash;
        uint256 chainId;
        bytes32 digest;
        bytes32 domain;
        uint256 epoch;
        uint256 fork;
        uint256 height;
        uint256 kind;
        uint256 round;
        bytes signature;
        address signer;
    }

    struct ProposalVector {
        bytes32 blockHash;
        bytes32 digest;
        bytes32 domain;
        uint256 epoch;
        uint256 fork;
        uint256 height;
        int256 polRound;
        uint256 round;
    }

    struct CertificateVector {
        address batchChain;
        bytes32 blockHash;
        uint256 chainId;
        bytes32 domain;
        uint256 epoch;
        uint256 fork;
        uint256 height;
        bytes members;
        uint256 round;
        bytes32 setHash;
        bytes signatures;
        uint256 signers;
        bool valid;
    }

    struct HeaderVector {
        address beneficiary;
        bytes extraData;
        bytes32 hash;
        uint256 number;
        bytes32 parentBeaconBlockRoot;
        bytes32 parentHash;
        bytes rlp;
        bytes32 stateRoot;
        uint256 timestamp;
    }

    struct BatchVector {
        uint256 depositEnd;
        bytes encoded;
        uint256 epoch;
        uint256 firstBlock;
        bytes32 hash;
        uint256 index;
        uint256 l1OriginNumber;
        uint256 lastBlock;
        uint256 tallyBlocks;
        uint256 tallyEpoch;
        uint256 tallyFees;
        bytes32 tallyRoot;
    }

    struct EntryVector {
        uint256 fallbackProduced;
        uint256 id;
        uint256 ownProduced;
        uint256 priorityFees;
        uint256 slotsAssigned;
    }

    struct TallyVector {
        uint256 baseFees;
        EntryVector[] entries;
        uint256 epoch;
        bytes packed;
        bytes32 root;
    }

    struct RangeVector {
        bytes data;
        bytes32 dataHash;
    }

    string private constant VOTE =
        "VoteVector(address batchChain,bytes32 blockHash,uint256 chainId,bytes32 digest,bytes32 domain,uint256 epoch,uint256 fork,uint256 height,uint256 kind,uint256 round,bytes signature,address signer)";
    string private constant PROPOSAL =
        "ProposalVector(bytes32 blockHash,bytes32 digest,bytes32 domain,uint256 epoch,uint256 fork,uint256 height,int256 polRound,uint256 round)";
    string private constant CERTIFICATE =
        "CertificateVector(address batchChain,bytes32 blockHash,uint256 chainId,bytes32 domain,uint256 epoch,uint256 fork,uint256 height,bytes members,uint256 round,bytes32 setHash,bytes signatures,uint256 signers,bool valid)";
    string private constant HEADER =
        "HeaderVector(address beneficiary,bytes extraData,bytes32 hash,uint256 number,bytes32 parentBeaconBlockRoot,bytes32 parentHash,bytes rlp,bytes32 stateRoot,uint256 timestamp)";
    string private constant BATCH =
        "BatchVector(uint256 depositEnd,bytes encoded,uint256 epoch,uint256 firstBlock,bytes32 hash,uint256 index,uint256 l1OriginNumber,uint256 lastBlock,uint256 tallyBlocks,uint256 tallyEpoch,uint256 tallyFees,bytes32 tallyRoot)";
    string private constant TALLY =
        "TallyVector(uint256 baseFees,EntryVector[] entries,uint256 epoch,bytes packed,bytes32 root)EntryVector(uint256 fallbackProduced,uint256 id,uint256 ownProduced,uint256 priorityFees,uint256 slotsAssigned)";
    string private constant RANGE = "RangeVector(bytes data,bytes32 dataHash)";

    IRollupLibraries internal lib;

    function setUp() public override {
        super.setUp();
        lib = IRollupLibraries(vm.deployCode("RollupLibraries.sol:RollupLibraries"));
    }

    function test_votes() public view {
        VoteVector[] memory votes = abi.decode(_load("votes", "$.votes", VOTE), (VoteVector[]));
        assertGt(votes.length, 0, "no vectors");
        for (uint256 i = 0; i < votes.length; ++i) {
            VoteVector memory v = votes[i];
            assertEq(lib.domainSeparator(v.chainId, v.batchChain), v.domain, _name(i));
            bytes32 digest = lib.voteDigest(
                v.domain, uint8(v.kind), uint32(v.fork), uint32(v.epoch), uint64(v.height), uint32(v.round), v.blockHash
            );
            assertEq(digest, v.digest, _name(i));
            assertEq(_recover(digest, v.signature), v.signer, _name(i));
        }
    }

    /// @dev L1 reads proposals only as evidence, in a later release: the digest is held to the protocol's text here.
    function test_proposals() public view {
        ProposalVector[] memory proposals = abi.decode(_load("votes", "$.proposals", PROPOSAL), (ProposalVector[]));
        assertGt(proposals.length, 0, "no vectors");
        bytes32 proposalType =
            keccak256("Proposal(uint32 fork,uint32 epoch,uint64 height,uint32 round,int64 polRound,bytes32 blockHash)");
        for (uint256 i = 0; i < proposals.length; ++i) {
            ProposalVector memory v = proposals[i];
            bytes32 content =
                keccak256(abi.encode(proposalType, v.fork, v.epoch, v.height, v.round, v.polRound, v.blockHash));
            assertEq(keccak256(abi.encodePacked(bytes2(0x1901), v.domain, content)), v.digest, _name(i));
        }
    }

    function test_B5_certificates() public view {
        CertificateVector[] memory certificates =
            abi.decode(_load("certificates", "$", CERTIFICATE), (CertificateVector[]));
        uint256 accepted;
        for (uint256 i = 0; i < certificates.length; ++i) {
            CertificateVector memory v = certificates[i];
            assertEq(lib.domainSeparator(v.chainId, v.batchChain), v.domain, _name(i));
            assertEq(keccak256(v.members), v.setHash, _name(i));
            IBatchChain.CommitCertificate memory certificate = IBatchChain.CommitCertificate({
                fork: uint32(v.fork),
                epoch: uint32(v.epoch),
                height: uint64(v.height),
                round: uint32(v.round),
                blockHash: v.blockHash,
                signers: v.signers,
                signatures: v.signatures
            });
            (bool ok,) = address(lib)
                .staticcall(abi.encodeCall(IRollupLibraries.verify, (certificate, v.domain, v.members, v.setHash)));
            assertEq(ok, v.valid, _name(i));
            if (ok) ++accepted;
        }
        assertGt(accepted, 0, "none valid");
        assertGt(certificates.length - accepted, 0, "none invalid");
    }

    function test_headers() public view {
        HeaderVector[] memory headers = abi.decode(_load("headers", "$", HEADER), (HeaderVector[]));
        assertGt(headers.length, 0, "no vectors");
        for (uint256 i = 0; i < headers.length; ++i) {
            HeaderVector memory v = headers[i];
            IRollupLibraries.Fields memory fields = lib.decode(v.rlp);
            assertEq(fields.hash, v.hash, _name(i));
            assertEq(fields.parentHash, v.parentHash, _name(i));
            assertEq(fields.beneficiary, v.beneficiary, _name(i));
            assertEq(fields.stateRoot, v.stateRoot, _name(i));
            assertEq(fields.number, v.number, _name(i));
            assertEq(fields.timestamp, v.timestamp, _name(i));
            assertEq(fields.extraLength, v.extraData.length, _name(i));
            assertEq(fields.extraData, bytes32(v.extraData), _name(i));
            assertEq(fields.parentBeaconBlockRoot, v.parentBeaconBlockRoot, _name(i));
        }
    }

    function test_batches() public view {
        BatchVector[] memory batches = abi.decode(_load("batches", "$.headers", BATCH), (BatchVector[]));
        assertGt(batches.length, 0, "no vectors");
        for (uint256 i = 0; i < batches.length; ++i) {
            BatchVector memory v = batches[i];
            IBatchChain.BatchHeader memory header = abi.decode(v.encoded, (IBatchChain.BatchHeader));
            assertEq(chain.hashOf(header), v.hash, _name(i));
            assertEq(abi.encode(header), v.encoded, _name(i));
            assertEq(header.index, v.index, _name(i));
            assertEq(header.epoch, v.epoch, _name(i));
            assertEq(header.firstBlock, v.firstBlock, _name(i));
            assertEq(header.lastBlock, v.lastBlock, _name(i));
            assertEq(header.depositEnd, v.depositEnd, _name(i));
            assertEq(header.l1OriginNumber, v.l1OriginNumber, _name(i));
            assertEq(header.tally.epoch, v.tallyEpoch, _name(i));
            assertEq(header.tally.root, v.tallyRoot, _name(i));
            assertEq(header.tally.blocks, v.tallyBlocks, _name(i));
            assertEq(header.tally.fees, v.tallyFees, _name(i));
        }
    }

    function test_rangesAndTallies() public view {
        RangeVector[] memory ranges = abi.decode(_load("batches", "$.ranges", RANGE), (RangeVector[]));
        TallyVector[] memory tallies = abi.decode(_load("batches", "$.tallies", TALLY), (TallyVector[]));
        assertGt(ranges.length, 0, "no vectors");
        assertGt(tallies.length, 0, "no vectors");
        for (uint256 i = 0; i < ranges.length; ++i) {
            assertEq(keccak256(ranges[i].data), ranges[i].dataHash, _name(i));
        }
        for (uint256 i = 0; i < tallies.length; ++i) {
            bytes memory packed;
            for (uint256 j = 0; j < tallies[i].entries.length; ++j) {
                EntryVector memory entry = tallies[i].entries[j];
                packed = bytes.concat(
                    packed,
                    abi.encodePacked(
                        uint32(entry.id),
                        uint32(entry.slotsAssigned),
                        uint32(entry.ownProduced),
                        uint32(entry.fallbackProduced),
                        uint128(entry.priorityFees)
                    )
                );
            }
            assertEq(packed, tallies[i].packed, _name(i));
            assertEq(keccak256(packed), tallies[i].root, _name(i));
        }
    }

    function _load(string memory file, string memory path, string memory shape) private view returns (bytes memory) {
        return vm.parseJsonTypeArray(vm.readFile(string.concat("tests/vectors/", file, ".json")), path, shape);
    }

    function _name(uint256 i) private pure returns (string memory) {
        return string.concat("vector ", vm.toString(i));
    }

    function _recover(bytes32 digest, bytes memory signature) private pure returns (address) {
        bytes32 r;
        bytes32 s;
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
        }
        return ecrecover(digest, uint8(signature[64]), r, s);
    }
}
