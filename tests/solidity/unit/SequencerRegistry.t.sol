// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {SequencerRegistryKit} from "../kit/SequencerRegistryKit.sol";

contract SequencerRegistryTest is SequencerRegistryKit {
    // --- construction

    function test_revert_constructor_zeroGuardian() public {
        ISequencerRegistry.Config memory config = _registryConfig();
        config.guardian = address(0);
        vm.expectRevert(ISequencerRegistry.SequencerRegistry_ZeroGuardian.selector);
        vm.deployCode("SequencerRegistry.sol:SequencerRegistry", abi.encode(config));
    }

    function test_revert_constructor_maxCommission() public {
        ISequencerRegistry.Config memory config = _registryConfig();
        config.maxCommissionBps = 10_001;
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_InvalidMaxCommission.selector, 10_001)
        );
        vm.deployCode("SequencerRegistry.sol:SequencerRegistry", abi.encode(config));
    }

    // --- ownership

    function test_ownership_twoSteps() public {
        uint32 id = _register(ALICE, KEY);
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.OwnershipHandOverStarted(id, ALICE, BOB);
        vm.prank(ALICE);
        registry.transferOwnership(id, BOB);
        assertEq(registry.ownerOf(id), ALICE);
        assertEq(registry.pendingOwnerOf(id), BOB);
        // The offer is to nobody else.
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotPendingOwner.selector, id, slasher)
        );
        vm.prank(slasher);
        registry.acceptOwnership(id);

        vm.expectEmit(address(registry));
        emit ISequencerRegistry.OwnershipHandOverCompleted(id, ALICE, BOB);
        vm.prank(BOB);
        registry.acceptOwnership(id);
        assertEq(registry.ownerOf(id), BOB);
        assertEq(registry.pendingOwnerOf(id), address(0));

        _expectNotOwner(id, ALICE);
        vm.prank(ALICE);
        registry.retire(id);
    }

    function test_revert_ownership_withdrawnOffer() public {
        uint32 id = _register(ALICE, KEY);
        vm.startPrank(ALICE);
        registry.transferOwnership(id, BOB);
        registry.transferOwnership(id, address(0));
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotPendingOwner.selector, id, BOB));
        vm.prank(BOB);
        registry.acceptOwnership(id);
    }

    function test_revert_acceptOwnership_unknown() public {
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_UnknownOperator.selector, 3));
        registry.acceptOwnership(3);
    }

    /// @notice Everything that is the owner's business refuses strangers and unknown ids alike.
    function test_revert_onlyOwner() public {
        uint32 id = _register(ALICE, KEY);
        bytes[] memory calls = new bytes[](5);
        calls[0] = abi.encodeCall(registry.transferOwnership, (id, BOB));
        calls[1] = abi.encodeCall(registry.setCommission, (id, 0));
        calls[2] = abi.encodeCall(registry.setRewardRecipient, (id, BOB));
        calls[3] = abi.encodeCall(registry.retire, (id));
        calls[4] = abi.encodeCall(registry.unjail, (id));
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(BOB);
            (bool ok, bytes memory reason) = address(registry).call(calls[i]);
            assertFalse(ok);
            assertEq(reason, abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotOwner.selector, id, BOB));
            // The same call for an id that does not exist.
            assembly ("memory-safe") {
                mstore(add(mload(add(calls, mul(0x20, add(i, 1)))), 0x24), 77)
            }
            vm.prank(ALICE);
            (ok, reason) = address(registry).call(calls[i]);
            assertFalse(ok);
            assertEq(reason, abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_UnknownOperator.selector, 77));
        }
    }

    // --- commission

    /// @notice Invariant R4: exactly at c + 7, old epochs use the old rate.
    function test_R4_setCommission() public {
        uint32 id = _register(ALICE, KEY);
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.CommissionChanged(id, 1500, 17);
        vm.prank(ALICE);
        registry.setCommission(id, 1500);
        assertEq(registry.commissionAt(id, 16), 1000);
        assertEq(registry.commissionAt(id, 17), 1500);
        _toEpoch(17);
        vm.prank(ALICE);
        registry.setCommission(id, 1000);
        assertEq(registry.commissionAt(id, 16), 1000);
        assertEq(registry.commissionAt(id, 23), 1500);
        assertEq(registry.commissionAt(id, 24), 1000);
    }

    function test_R4_revert_setCommission_pending() public {
        uint32 id = _register(ALICE, KEY);
        vm.prank(ALICE);
        registry.setCommission(id, 1100);
        _toEpoch(16);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_CommissionChangePending.selector, id, 17)
        );
        vm.prank(ALICE);
        registry.setCommission(id, 1100);
    }

    function test_R4_revert_setCommission_step() public {
        uint32 id = _register(ALICE, KEY);
        uint16[2] memory targets = [uint16(1501), 499];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    ISequencerRegistry.SequencerRegistry_CommissionStepTooLarge.selector, 1000, targets[i], 500
                )
            );
            vm.prank(ALICE);
            registry.setCommission(id, targets[i]);
        }
    }

    function test_R4_revert_setCommission_tooHigh() public {
        uint32 id = _register(ALICE, KEY);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISequencerRegistry.SequencerRegistry_CommissionTooHigh.selector, MAX_COMMISSION + 1, MAX_COMMISSION
            )
        );
        vm.prank(ALICE);
        registry.setCommission(id, MAX_COMMISSION + 1);
    }

    // --- recipient, metadata

    function test_setRewardRecipient() public {
        uint32 id = _register(ALICE, KEY);
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.RewardRecipientChanged(id, BOB);
        vm.prank(ALICE);
        registry.setRewardRecipient(id, BOB);
        assertEq(registry.rewardRecipientOf(id), BOB);
        vm.expectRevert(ISequencerRegistry.SequencerRegistry_ZeroRecipient.selector);
        vm.prank(ALICE);
        registry.setRewardRecipient(id, address(0));
    }

    function test_setMetadataURI() public {
        uint32 id = _register(ALICE, KEY);
        string memory longest = string(new bytes(512));
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.MetadataChanged(id, longest);
        vm.prank(vm.addr(KEY));
        registry.setMetadataURI(id, longest);
    }

    function test_revert_setMetadataURI() public {
        uint32 id = _register(ALICE, KEY);
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_MetadataTooLong.selector, 513, 512));
        vm.prank(ALICE);
        registry.setMetadataURI(id, string(new bytes(513)));
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotOwnerOrSigner.selector, id, BOB));
        vm.prank(BOB);
        registry.setMetadataURI(id, "x");
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_UnknownOperator.selector, 5));
        registry.setMetadataURI(5, "x");
    }

    // --- status

    function test_status_jailAndUnjail() public {
        uint32 id = _register(ALICE, KEY);
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.OperatorStatusChanged(id, JAILED);
        vm.prank(slasher);
        registry.jail(id);
        assertFalse(registry.isEligible(id));
        assertFalse(registry.acceptsStake(id));
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.OperatorStatusChanged(id, ACTIVE);
        vm.prank(ALICE);
        registry.unjail(id);
        assertTrue(registry.isEligible(id));
    }

    function test_status_retire() public {
        uint32 id = _register(ALICE, KEY);
        vm.prank(slasher);
        registry.jail(id);
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.OperatorStatusChanged(id, RETIRED);
        vm.prank(ALICE);
        registry.retire(id);
        assertFalse(registry.acceptsStake(id));
        _expectWrongStatus(id, RETIRED);
        vm.prank(ALICE);
        registry.retire(id);
        _expectWrongStatus(id, RETIRED);
        vm.prank(ALICE);
        registry.unjail(id);
    }

    /// @notice A proven fault never reverts: the slasher's calls are without effect where there is nothing to change.
    function test_status_slasherIsIdempotent() public {
        uint32 id = _register(ALICE, KEY);
        vm.prank(ALICE);
        registry.retire(id);
        vm.startPrank(slasher);
        registry.jail(id);
        assertEq(uint8(registry.statusOf(id)), uint8(RETIRED));
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.OperatorStatusChanged(id, TOMBSTONED);
        registry.tombstone(id);
        registry.tombstone(id);
        registry.jail(id);
        vm.stopPrank();
        assertEq(uint8(registry.statusOf(id)), uint8(TOMBSTONED));
        _expectWrongStatus(id, TOMBSTONED);
        vm.prank(ALICE);
        registry.unjail(id);
        _expectWrongStatus(id, TOMBSTONED);
        vm.prank(ALICE);
        registry.retire(id);
    }

    function test_revert_unjail_active() public {
        uint32 id = _register(ALICE, KEY);
        _expectWrongStatus(id, ACTIVE);
        vm.prank(ALICE);
        registry.unjail(id);
    }

    function test_revert_slasherOnly() public {
        uint32 id = _register(ALICE, KEY);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotSlasher.selector, ALICE));
        registry.jail(id);
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotSlasher.selector, ALICE));
        registry.tombstone(id);
        vm.stopPrank();
        vm.startPrank(slasher);
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_UnknownOperator.selector, 6));
        registry.jail(6);
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_UnknownOperator.selector, 6));
        registry.tombstone(6);
        vm.stopPrank();
    }

    /// @notice Without a slasher nobody can jail, the zero address included.
    function test_revert_noSlasher() public {
        ISequencerRegistry.Config memory config = _registryConfig();
        config.slasher = address(0);
        registry = ISequencerRegistry(vm.deployCode("SequencerRegistry.sol:SequencerRegistry", abi.encode(config)));
        uint32 id = _register(ALICE, KEY);
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotSlasher.selector, slasher));
        vm.prank(slasher);
        registry.tombstone(id);
    }

    function test_views_unknownId() public view {
        assertEq(registry.ownerOf(4), address(0));
        assertEq(registry.signerOf(4), address(0));
        assertEq(registry.signerAt(4, 100), address(0));
        assertEq(registry.rewardRecipientOf(4), address(0));
        assertEq(uint8(registry.statusOf(4)), uint8(ISequencerRegistry.Status.None));
        assertFalse(registry.isEligible(4));
        assertFalse(registry.acceptsStake(4));
        assertFalse(registry.isEligible(0));
    }

    function _expectNotOwner(uint32 id, address who) private {
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotOwner.selector, id, who));
    }
}
