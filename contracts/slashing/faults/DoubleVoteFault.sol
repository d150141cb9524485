// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IDoubleVoteFault} from "../../interfaces/IDoubleVoteFault.sol";
import {Evidence} from "./Evidence.sol";
import {FaultModule} from "./FaultModule.sol";

/// @title DoubleVoteFault
contract DoubleVoteFault is IDoubleVoteFault, FaultModule {
    constructor(Wiring memory wiring) FaultModule(wiring) {}

    /// @inheritdoc IDoubleVoteFault
    function report(
        SignedVote calldata first,
        SignedVote calldata second,
        bytes calldata firstMembers,
        bytes calldata secondMembers,
        address reporter
    ) external returns (uint256 taken) {
        if (first.kind != second.kind) {
            revert Evidence_DifferentKinds(first.kind, second.kind);
        }
        if (first.fork != second.fork) revert Evidence_DifferentForks(first.fork, second.fork);
        if (first.height != second.height) revert Evidence_DifferentHeights(first.height, second.height);
        if (first.round != second.round) revert Evidence_DifferentRounds(first.round, second.round);
        if (first.epoch == second.epoch && first.blockHash == second.blockHash) {
            revert Evidence_NoContradiction(first.epoch, first.blockHash);
        }

        address signer = Evidence.voteSigner(first, domainSeparator);
        address other = Evidence.voteSigner(second, domainSeparator);
        if (signer != other) revert Evidence_DifferentSigners(signer, other);

        Fault memory fault = Fault(first.kind, first.fork, first.height, first.round, reporter);
        return _convictUnder(signer, first.epoch, second.epoch, firstMembers, secondMembers, fault);
    }
}
