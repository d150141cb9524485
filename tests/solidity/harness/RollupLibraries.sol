// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {CommitCertificate} from "contracts/rollup/CommitCertificate.sol";
import {L2Header} from "contracts/rollup/L2Header.sol";

/// @notice Implements `IRollupLibraries` (by shape: the two `Fields` are distinct types with the same encoding).
contract RollupLibraries {
    function decode(bytes calldata rlp) external pure returns (L2Header.Fields memory) {
        return L2Header.decode(rlp);
    }

    function verify(
        IBatchChain.CommitCertificate calldata certificate,
        bytes32 domain,
        bytes calldata members,
        bytes32 setHash
    ) external view {
        CommitCertificate.verify(certificate, domain, members, setHash);
    }

    function voteDigest(
        bytes32 domain,
        uint8 kind,
        uint32 fork,
        uint32 epoch,
        uint64 height,
        uint32 round,
        bytes32 blockHash
    ) external pure returns (bytes32) {
        return CommitCertificate.voteDigest(domain, kind, fork, epoch, height, round, blockHash);
    }

    function domainSeparator(uint256 l2ChainId, address batchChain) external pure returns (bytes32) {
        return CommitCertificate.domainSeparator(l2ChainId, batchChain);
    }
}
