// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

// The two governance contracts are OpenZeppelin's, unchanged. Naming them here makes them part of the build, so that
// the deployment script and the bindings find their artifacts.
// AccessManager: which role may call which governed function. TimelockController: the only administrator of it.
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
