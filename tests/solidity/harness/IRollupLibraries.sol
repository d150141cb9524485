// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";

/// @notice The internal libraries of the rollup domain as external calls. `Fields` mirrors `L2Header.Fields`.
interface IRollupLibraries {
    struct Fields {
        bytes32 hash;
        bytes32 parentHash;
        address beneficiary;
        bytes32 stateRoot;
        uint64 number;
        uint64 timestamp;
        bytes32 extraData;
        uint256 extraLength;
        bytes32 parentBeaconBlockRoot;
    }

    function decode(bytes calldata rlp) external pure returns (Fields memory);

    function verify(
        IBatchChain.CommitCertificate calldata certificate,
        bytes32 domain,
        bytes calldata members,
        bytes32 setHash
    ) external view;

    function voteDigest(
        bytes32 domain,
        uint8 kind,
        uint32 fork,
        uint32 epoch,
        uint64 height,
        uint32 round,
        bytes32 blockHash
    ) external pure returns (bytes32);

    function domainSeparator(uint256 l2ChainId, address batchChain) external pure returns (bytes32);
}
