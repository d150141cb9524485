// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IGuardian} from "contracts/interfaces/IGuardian.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @dev What these tests use of OpenZeppelin's timelock.
interface ITimelock {
    error TimelockInsufficientDelay(uint256 delay, uint256 minDelay);
    error TimelockUnexpectedOperationState(bytes32 operationId, bytes32 expectedStates);
    error TimelockUnauthorizedCaller(address caller);
    error AccessControlUnauthorizedAccount(address account, bytes32 neededRole);

    function schedule(
        address target,
        uint256 value,
        bytes calldata data,
        bytes32 predecessor,
        bytes32 salt,
        uint256 delay
    ) external;
    function execute(address target, uint256 value, bytes calldata payload, bytes32 predecessor, bytes32 salt)
        external
        payable;
    function cancel(bytes32 id) external;
    function hashOperation(address target, uint256 value, bytes calldata data, bytes32 predecessor, bytes32 salt)
        external
        pure
        returns (bytes32);
    function getMinDelay() external view returns (uint256);
    function updateDelay(uint256 newDelay) external;
}

/// @notice What governance can do, how long everybody knows before, and what it can never do (protocol section 11).
contract GovernanceTest is NetworkKit {
    ITimelock internal timelock;

    function setUp() public {
        _deployNetwork();
        timelock = ITimelock(network.timelock);
    }

    function _schedule(address target, bytes memory call) private {
        vm.prank(governance);
        timelock.schedule(target, 0, call, 0, 0, parameters.timelockDelay);
    }

    function test_change_waitsLongerThanUnbonding() public {
        bytes memory call = abi.encodeCall(IRewardVault.setRewardPerBlock, (7));
        _schedule(address(rewardVault), call);
        uint256 ready = block.timestamp + parameters.timelockDelay;
        assertGt(parameters.timelockDelay, uint256(parameters.unbondingEpochs) * parameters.epochSeconds);
        vm.warp(ready - 1);
        bytes32 id = timelock.hashOperation(address(rewardVault), 0, call, 0, 0);
        vm.expectRevert(
            abi.encodeWithSelector(ITimelock.TimelockUnexpectedOperationState.selector, id, bytes32(uint256(1 << 2)))
        );
        timelock.execute(address(rewardVault), 0, call, 0, 0);
        vm.warp(ready);
        timelock.execute(address(rewardVault), 0, call, 0, 0); // by anyone
        assertEq(rewardVault.rewardPerBlockAt(type(uint32).max), 7);
    }

    function test_shorterNotice_isRefused() public {
        uint256 delay = parameters.timelockDelay;
        vm.expectRevert(abi.encodeWithSelector(ITimelock.TimelockInsufficientDelay.selector, delay - 1, delay));
        vm.prank(governance);
        timelock.schedule(address(rewardVault), 0, "", 0, 0, delay - 1);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.TimelockUnauthorizedCaller.selector, governance));
        vm.prank(governance);
        timelock.updateDelay(0);
        assertEq(timelock.getMinDelay(), delay);
    }

    function test_onlyGovernanceProposes() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                ITimelock.AccessControlUnauthorizedAccount.selector, address(this), keccak256("PROPOSER_ROLE")
            )
        );
        timelock.schedule(address(rewardVault), 0, "", 0, 0, 1 days);
    }

    /// @dev A new guardian is a role change: it waits like everything else. The old one is replaced the same way.
    function test_guardian_isReplacedByTheTimelock() public {
        address next = makeAddr("next guard");
        bytes memory call = abi.encodeCall(IAccessManager.grantRole, (1, next, 0));
        vm.expectRevert(
            abi.encodeWithSelector(IAccessManager.AccessManagerUnauthorizedAccount.selector, governance, uint64(0))
        );
        vm.prank(governance);
        IAccessManager(network.accessManager).grantRole(1, next, 0);
        _schedule(network.accessManager, call);
        vm.warp(block.timestamp + parameters.timelockDelay);
        timelock.execute(network.accessManager, 0, call, 0, 0);
        vm.prank(next);
        guardian.pause(1);
        assertTrue(guardian.isPaused());
    }

    /// @dev The guardian's whole power is the pause.
    function test_guardian_governsNothing() public {
        bytes memory refusal = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guard);
        vm.startPrank(guard);
        vm.expectRevert(refusal);
        rewardVault.setRewardPerBlock(1);
        vm.expectRevert(refusal);
        feeSplitter.setEcosystemRecipient(guard);
        vm.expectRevert(refusal);
        stakeVault.setMaxPool(1e18);
        vm.expectRevert(refusal);
        sequencerSet.setMinSelfBond(1e18);
    }

    /// @dev No administrator can stop an exit: with the brake pulled, undelegating and claiming go on (F7, R3).
    function test_pause_neverStopsAnExit() public {
        _start(4);
        address alice = makeAddr("alice");
        uint256 units = _delegate(1, alice, 5e18);
        _nextEpoch();
        vm.prank(guard);
        guardian.pause(72 hours);
        vm.prank(alice);
        (, uint32 cohort,) = stakeVault.undelegate(1, units);
        vm.warp(stakeVault.claimableFrom(cohort));
        assertTrue(guardian.isPaused());
        vm.prank(alice);
        assertEq(stakeVault.claim(1, cohort), 5e18);
    }
}
