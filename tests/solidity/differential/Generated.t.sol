// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRollupLibraries} from "../harness/IRollupLibraries.sol";

/// @notice Solidity and Rust agree on random votes, headers, batches and certificates (invariant B5): 10^4 of each kind,
/// certificates a tenth, in `make test`, 10^6 in `make soak`. Those write the cases with the answers of Rust to a folder
/// and name it in `ROTA_DIFFERENTIAL`; a bare `forge test` checks the hundred of each kind in tests/vectors/differential,
/// written by `cargo run -p rota-protocol --example differential -- tests/vectors/differential 100 1`. The schedule has its
/// own test (L1).
contract GeneratedTest is Test {
    struct VoteCase {
        uint64 chainId;
        address batchChain;
        uint8 kind;
        uint32 fork;
        uint32 epoch;
        uint64 height;
        uint32 round;
        bytes32 blockHash;
        bytes32 digest;
    }

    struct HeaderCase {
        bytes rlp;
        bytes32 hash;
        bytes32 parentHash;
        address beneficiary;
        bytes32 stateRoot;
        uint64 number;
        uint64 timestamp;
        bytes extraData;
        bytes32 parentBeaconBlockRoot;
    }

    struct BatchCase {
        bytes header;
        bytes32 hash;
    }

    struct CertificateCase {
        uint32 fork;
        uint32 epoch;
        uint64 height;
        uint32 round;
        bytes32 blockHash;
        uint256 signers;
        bytes signatures;
        bytes32 domain;
        bytes members;
        bool valid;
    }

    IRollupLibraries private _rollup;
    string private _folder;

    function setUp() public {
        _folder = vm.envOr("ROTA_DIFFERENTIAL", string("tests/vectors/differential"));
        _rollup = IRollupLibraries(vm.deployCode("RollupLibraries.sol:RollupLibraries"));
    }

    function test_votes() public {
        _eachChunk("votes", this.checkVotes);
    }

    function test_headers() public {
        _eachChunk("headers", this.checkHeaders);
    }

    function test_batches() public {
        _eachChunk("batches", this.checkBatches);
    }

    function test_B5_certificates() public {
        _eachChunk("certificates", this.checkCertificates);
    }

    function checkVotes(bytes calldata data) external view {
        VoteCase[] memory cases = abi.decode(data, (VoteCase[]));
        for (uint256 i = 0; i < cases.length; ++i) {
            VoteCase memory c = cases[i];
            bytes32 domain = _rollup.domainSeparator(c.chainId, c.batchChain);
            bytes32 digest = _rollup.voteDigest(domain, c.kind, c.fork, c.epoch, c.height, c.round, c.blockHash);
            require(digest == c.digest, _at("digest", i));
        }
    }

    function checkHeaders(bytes calldata data) external view {
        HeaderCase[] memory cases = abi.decode(data, (HeaderCase[]));
        for (uint256 i = 0; i < cases.length; ++i) {
            HeaderCase memory c = cases[i];
            IRollupLibraries.Fields memory fields = _rollup.decode(c.rlp);
            bool same = fields.hash == c.hash && fields.parentHash == c.parentHash
                && fields.beneficiary == c.beneficiary && fields.stateRoot == c.stateRoot && fields.number == c.number
                && fields.timestamp == c.timestamp && fields.extraLength == c.extraData.length
                && fields.extraData == bytes32(c.extraData) && fields.parentBeaconBlockRoot == c.parentBeaconBlockRoot;
            require(same, _at("header", i));
        }
    }

    function checkBatches(bytes calldata data) external pure {
        BatchCase[] memory cases = abi.decode(data, (BatchCase[]));
        for (uint256 i = 0; i < cases.length; ++i) {
            IBatchChain.BatchHeader memory header = abi.decode(cases[i].header, (IBatchChain.BatchHeader));
            require(keccak256(abi.encode(header)) == cases[i].hash, _at("batch", i));
        }
    }

    function checkCertificates(bytes calldata data) external view {
        CertificateCase[] memory cases = abi.decode(data, (CertificateCase[]));
        for (uint256 i = 0; i < cases.length; ++i) {
            require(_accepts(cases[i]) == cases[i].valid, _at("certificate", i));
        }
    }

    function _accepts(CertificateCase memory c) private view returns (bool) {
        IBatchChain.CommitCertificate memory certificate = IBatchChain.CommitCertificate({
            fork: c.fork,
            epoch: c.epoch,
            height: c.height,
            round: c.round,
            blockHash: c.blockHash,
            signers: c.signers,
            signatures: c.signatures
        });
        try _rollup.verify(certificate, c.domain, c.members, keccak256(c.members)) {
            return true;
        } catch {
            return false;
        }
    }

    /// @dev Each file is checked in a call of its own, so that its memory is given back.
    function _eachChunk(string memory kind, function(bytes memory) external view check) private {
        uint256 chunk = 0;
        string memory path = _path(kind, chunk);
        assertTrue(vm.exists(path), string.concat("no cases: ", path));
        // Thousands of cases cost more gas than a test has; what they cost is of no interest here.
        vm.pauseGasMetering();
        for (; vm.exists(path); path = _path(kind, ++chunk)) {
            check(vm.readFileBinary(path));
        }
    }

    function _path(string memory kind, uint256 chunk) private view returns (string memory) {
        return string.concat(_folder, "/", kind, "-", vm.toString(chunk), ".bin");
    }

    function _at(string memory what, uint256 index) private pure returns (string memory) {
        return string.concat(what, " of case ", vm.toString(index));
    }
}
