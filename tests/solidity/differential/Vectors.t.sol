// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRollupLibraries} from "../harness/IRollupLibraries.sol";

/// @notice The encodings of votes, headers, batches and certificates are those of `rota-protocol`, on every golden
/// vector. The schedule has its own file.
contract VectorsTest is Test {
    /// @dev Fields of all structs as forge hands them over: in alphabetical order.
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

    string private constant VOTE =
        "VoteVector(address batchChain,bytes32 blockHash,uint256 chainId,bytes32 digest,bytes32 domain,uint256 epoch,uint256 fork,uint256 height,uint256 kind,uint256 round,bytes signature,address signer)";
    string private constant HEADER =
        "HeaderVector(address beneficiary,bytes extraData,bytes32 hash,uint256 number,bytes32 parentBeaconBlockRoot,bytes32 parentHash,bytes rlp,bytes32 stateRoot,uint256 timestamp)";
    string private constant BATCH =
        "BatchVector(uint256 depositEnd,bytes encoded,uint256 epoch,uint256 firstBlock,bytes32 hash,uint256 index,uint256 l1OriginNumber,uint256 lastBlock,uint256 tallyBlocks,uint256 tallyEpoch,uint256 tallyFees,bytes32 tallyRoot)";
    string private constant CERTIFICATE =
        "CertificateVector(address batchChain,bytes32 blockHash,uint256 chainId,bytes32 domain,uint256 epoch,uint256 fork,uint256 height,bytes members,uint256 round,bytes32 setHash,bytes signatures,uint256 signers,bool valid)";

    IRollupLibraries private _rollup;

    function setUp() public {
        _rollup = IRollupLibraries(vm.deployCode("RollupLibraries.sol:RollupLibraries"));
    }

    function test_votes() public view {
        bytes memory data = vm.parseJsonTypeArray(vm.readFile("tests/vectors/votes.json"), "$.votes", VOTE);
        VoteVector[] memory vectors = abi.decode(data, (VoteVector[]));
        assertEq(vectors.length, 18);
        for (uint256 i = 0; i < vectors.length; ++i) {
            VoteVector memory v = vectors[i];
            assertEq(_rollup.domainSeparator(v.chainId, v.batchChain), v.domain, _at("domain", i));
            bytes32 digest = _rollup.voteDigest(
                v.domain, uint8(v.kind), uint32(v.fork), uint32(v.epoch), uint64(v.height), uint32(v.round), v.blockHash
            );
            assertEq(digest, v.digest, _at("digest", i));
            (bytes32 r, bytes32 s, uint8 recovery) = _split(v.signature);
            assertEq(ecrecover(digest, recovery, r, s), v.signer, _at("signer", i));
        }
    }

    function test_headers() public view {
        bytes memory data = vm.parseJsonTypeArray(vm.readFile("tests/vectors/headers.json"), "$", HEADER);
        HeaderVector[] memory vectors = abi.decode(data, (HeaderVector[]));
        assertEq(vectors.length, 4);
        for (uint256 i = 0; i < vectors.length; ++i) {
            HeaderVector memory v = vectors[i];
            IRollupLibraries.Fields memory fields = _rollup.decode(v.rlp);
            assertEq(fields.hash, v.hash, _at("hash", i));
            assertEq(fields.parentHash, v.parentHash, _at("parentHash", i));
            assertEq(fields.beneficiary, v.beneficiary, _at("beneficiary", i));
            assertEq(fields.stateRoot, v.stateRoot, _at("stateRoot", i));
            assertEq(fields.number, v.number, _at("number", i));
            assertEq(fields.timestamp, v.timestamp, _at("timestamp", i));
            assertEq(fields.extraLength, v.extraData.length, _at("extraLength", i));
            assertEq(fields.extraData, bytes32(v.extraData), _at("extraData", i));
            assertEq(fields.parentBeaconBlockRoot, v.parentBeaconBlockRoot, _at("origin", i));
        }
    }

    function test_batches() public view {
        bytes memory data = vm.parseJsonTypeArray(vm.readFile("tests/vectors/batches.json"), "$.headers", BATCH);
        BatchVector[] memory vectors = abi.decode(data, (BatchVector[]));
        assertEq(vectors.length, 3);
        for (uint256 i = 0; i < vectors.length; ++i) {
            BatchVector memory v = vectors[i];
            IBatchChain.BatchHeader memory header = abi.decode(v.encoded, (IBatchChain.BatchHeader));
            assertEq(keccak256(abi.encode(header)), v.hash, _at("hash", i));
            assertEq(header.index, v.index, _at("index", i));
            assertEq(header.epoch, v.epoch, _at("epoch", i));
            assertEq(header.firstBlock, v.firstBlock, _at("firstBlock", i));
            assertEq(header.lastBlock, v.lastBlock, _at("lastBlock", i));
            assertEq(header.depositEnd, v.depositEnd, _at("depositEnd", i));
            assertEq(header.l1OriginNumber, v.l1OriginNumber, _at("l1OriginNumber", i));
            assertEq(header.tally.epoch, v.tallyEpoch, _at("tally.epoch", i));
            assertEq(header.tally.root, v.tallyRoot, _at("tally.root", i));
            assertEq(header.tally.blocks, v.tallyBlocks, _at("tally.blocks", i));
            assertEq(header.tally.fees, v.tallyFees, _at("tally.fees", i));
        }
    }

    /// @dev B5: what the nodes take for a certificate is what L1 takes for one, and nothing else.
    function test_B5_certificates() public view {
        bytes memory data = vm.parseJsonTypeArray(vm.readFile("tests/vectors/certificates.json"), "$", CERTIFICATE);
        CertificateVector[] memory vectors = abi.decode(data, (CertificateVector[]));
        assertEq(vectors.length, 13);
        for (uint256 i = 0; i < vectors.length; ++i) {
            CertificateVector memory v = vectors[i];
            assertEq(_rollup.domainSeparator(v.chainId, v.batchChain), v.domain, _at("domain", i));
            IBatchChain.CommitCertificate memory certificate = IBatchChain.CommitCertificate({
                fork: uint32(v.fork),
                epoch: uint32(v.epoch),
                height: uint64(v.height),
                round: uint32(v.round),
                blockHash: v.blockHash,
                signers: v.signers,
                signatures: v.signatures
            });
            bool accepted = true;
            try _rollup.verify(certificate, v.domain, v.members, v.setHash) {}
            catch {
                accepted = false;
            }
            assertEq(accepted, v.valid, _at("certificate", i));
        }
    }

    function _split(bytes memory signature) private pure returns (bytes32 r, bytes32 s, uint8 v) {
        assertEq(signature.length, 65);
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
            v := byte(0, mload(add(signature, 0x60)))
        }
    }

    function _at(string memory what, uint256 index) private pure returns (string memory) {
        return string.concat(what, " of vector ", vm.toString(index));
    }
}
