// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Vm} from "forge-std/Vm.sol";
import {Deploy} from "./Deploy.s.sol";

/// @title The file that nodes, the command line and the bindings find the contracts in
library DeploymentFile {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice The addresses of a network as the object `contracts` of its file.
    function contracts(Deploy.Deployment memory d) internal returns (string memory) {
        string memory name = "contracts";
        VM.serializeAddress(name, "nativeToken", d.nativeToken);
        VM.serializeAddress(name, "networkParameters", d.networkParameters);
        VM.serializeAddress(name, "sequencerRegistry", d.sequencerRegistry);
        VM.serializeAddress(name, "stakeVault", d.stakeVault);
        VM.serializeAddress(name, "sequencerSet", d.sequencerSet);
        VM.serializeAddress(name, "batchChain", d.batchChain);
        VM.serializeAddress(name, "portal", d.portal);
        VM.serializeAddress(name, "rewardVault", d.rewardVault);
        VM.serializeAddress(name, "slasher", d.slasher);
        VM.serializeAddress(name, "slashEscrow", d.slashEscrow);
        VM.serializeAddress(name, "doubleVoteFault", d.doubleVoteFault);
        VM.serializeAddress(name, "doubleProposalFault", d.doubleProposalFault);
        VM.serializeAddress(name, "conflictingCertificatesFault", d.conflictingCertificatesFault);
        VM.serializeAddress(name, "amnesiaFault", d.amnesiaFault);
        VM.serializeAddress(name, "offlineFault", d.offlineFault);
        VM.serializeAddress(name, "feeSplitter", d.feeSplitter);
        VM.serializeAddress(name, "guardian", d.guardian);
        VM.serializeAddress(name, "accessManager", d.accessManager);
        VM.serializeAddress(name, "timelock", d.timelock);
        VM.serializeAddress(name, "allocator", d.allocator);
        VM.serializeAddress(name, "coverFund", d.coverFund);
        VM.serializeAddress(name, "exitQueue", d.exitQueue);
        VM.serializeAddress(name, "faultWatch", d.faultWatch);
        VM.serializeAddress(name, "stakedToken", d.stakedToken);
        VM.serializeAddress(name, "rateFeed", d.rateFeed);
        VM.serializeAddress(name, "router", d.router);
        VM.serializeAddress(name, "exitReceipt", d.exitReceipt);
        VM.serializeAddress(name, "liquidLens", d.liquidLens);
        return VM.serializeAddress(name, "lens", d.lens);
    }
}
