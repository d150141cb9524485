// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";

import {StakingFixture} from "../harness/StakingFixture.sol";

/// @dev An owner that is a contract without a key: it only has to be the caller.
contract WalletOwner {
    function register(ISequencerRegistry registry, address signer, bytes calldata proof) external returns (uint32) {
        return registry.register(signer, address(this), 0, "", proof);
    }
}

contract SequencerRegistryTest is StakingFixture {
    address private constant ALICE = address(0xA11CE);
    address private constant BOB = address(0xB0B);
    uint256 private constant KEY = 0xA11;
    uint256 private constant OTHER_KEY = 0xB22;

    ISequencerRegistry.Status private constant ACTIVE = ISequencerRegistry.Status.Active;
    ISequencerRegistry.Status private constant JAILED = ISequencerRegistry.Status.Jailed;
    ISequencerRegistry.Status private constant RETIRED = ISequencerRegistry.Status.Retired;
    ISequencerRegistry.Status private constant TOMBSTONED = ISequencerRegistry.Status.Tombstoned;

    function setUp() public {
        _deploy(16, 64);
        _toEpoch(10);
    }

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

    // --- register

    function test_register() public {
        address signer = vm.addr(KEY);
        bytes memory proof = _proof(KEY, ALICE, 0);
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.OperatorRegistered(1, ALICE, signer, BOB, 1234, URI);
        vm.prank(ALICE);
        assertEq(registry.register(signer, BOB, 1234, URI, proof), 1);

        assertEq(registry.ownerOf(1), ALICE);
        assertEq(registry.pendingOwnerOf(1), address(0));
        assertEq(registry.signerOf(1), signer);
        assertEq(registry.idOfKey(signer), 1);
        assertEq(registry.rewardRecipientOf(1), BOB);
        assertEq(uint8(registry.statusOf(1)), uint8(ACTIVE));
        assertTrue(registry.isEligible(1));
        assertTrue(registry.acceptsStake(1));
        assertEq(registry.operatorCount(), 1);
        assertEq(registry.nonces(ALICE), 1);
        assertEq(registry.commissionAt(1, 0), 1234);
        assertEq(registry.commissionAt(1, 99), 1234);
        assertEq(registry.maxCommission(), MAX_COMMISSION);
    }

    /// @notice Invariant R2: the first signer counts exactly from c + 2.
    function test_R2_register_signerCountsFromEpochPlusTwo() public {
        uint32 id = _register(ALICE, KEY);
        assertEq(registry.signerAt(id, 11), address(0));
        assertEq(registry.signerAt(id, 12), vm.addr(KEY));
        (address owner, address signer, ISequencerRegistry.Status status) = registry.operatorAt(id, 12);
        assertEq(owner, ALICE);
        assertEq(signer, vm.addr(KEY));
        assertEq(uint8(status), uint8(ACTIVE));
        (, signer,) = registry.operatorAt(id, 11);
        assertEq(signer, address(0));
    }

    function test_register_idsCountUp() public {
        assertEq(_register(ALICE, KEY), 1);
        assertEq(_register(ALICE, OTHER_KEY), 2);
        assertEq(registry.nonces(ALICE), 2);
    }

    function test_register_ownerIsContract() public {
        WalletOwner wallet = new WalletOwner();
        uint32 id = wallet.register(registry, vm.addr(KEY), _proof(KEY, address(wallet), 0));
        assertEq(registry.ownerOf(id), address(wallet));
    }

    function test_revert_register_paused() public {
        guardian.set(true);
        _expectRegisterRevert(
            BOB, 0, "", KEY, abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_Paused.selector)
        );
    }

    function test_revert_register_zeroRecipient() public {
        bytes memory reason = abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_ZeroRecipient.selector);
        _expectRegisterRevert(address(0), 0, "", KEY, reason);
    }

    function test_R4_revert_register_commissionTooHigh() public {
        bytes memory reason = abi.encodeWithSelector(
            ISequencerRegistry.SequencerRegistry_CommissionTooHigh.selector, MAX_COMMISSION + 1, MAX_COMMISSION
        );
        _expectRegisterRevert(BOB, MAX_COMMISSION + 1, "", KEY, reason);
    }

    function test_revert_register_metadataTooLong() public {
        bytes memory reason =
            abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_MetadataTooLong.selector, 513, 512);
        _expectRegisterRevert(BOB, 0, string(new bytes(513)), KEY, reason);
    }

    function test_revert_register_zeroSigner() public {
        bytes memory proof = _proof(KEY, ALICE, 0);
        vm.expectRevert(ISequencerRegistry.SequencerRegistry_ZeroSigner.selector);
        vm.prank(ALICE);
        registry.register(address(0), BOB, 0, "", proof);
    }

    function test_R1_revert_register_keyAlreadyBound() public {
        _register(ALICE, KEY);
        bytes memory reason = abi.encodeWithSelector(
            ISequencerRegistry.SequencerRegistry_KeyAlreadyBound.selector, vm.addr(KEY), uint32(1)
        );
        bytes memory proof = _proof(KEY, BOB, 0);
        vm.expectRevert(reason);
        vm.prank(BOB);
        registry.register(vm.addr(KEY), BOB, 0, "", proof);
        // Nor the owner itself for a second operator.
        proof = _proof(KEY, ALICE, 1);
        vm.expectRevert(reason);
        vm.prank(ALICE);
        registry.register(vm.addr(KEY), BOB, 0, "", proof);
    }

    function test_R1_revert_register_foreignSignature() public {
        // Somebody else's key cannot be bound: its holder did not sign.
        bytes memory proof = _proof(OTHER_KEY, ALICE, 0);
        vm.prank(ALICE);
        try registry.register(vm.addr(KEY), BOB, 0, "", proof) {
            fail();
        } catch (bytes memory reason) {
            // The digest names the claimed signer, so what is recovered is neither key: only the selector and the
            // claimed signer are fixed.
            assertEq(bytes4(reason), ISequencerRegistry.SequencerRegistry_InvalidProof.selector);
            (address signer, address recovered) = abi.decode(this.tail(reason), (address, address));
            assertEq(signer, vm.addr(KEY));
            assertTrue(recovered != vm.addr(KEY) && recovered != address(0));
        }
    }

    /// @notice A proof made for one owner is worthless to another, even one who sees it first.
    function test_R1_revert_register_stolenProof() public {
        bytes memory proof = _proof(KEY, ALICE, 0);
        vm.prank(BOB);
        (bool ok,) =
            address(registry).call(abi.encodeCall(registry.register, (vm.addr(KEY), BOB, uint16(0), "", proof)));
        assertFalse(ok);
        assertEq(registry.idOfKey(vm.addr(KEY)), 0);
        vm.prank(ALICE);
        registry.register(vm.addr(KEY), BOB, 0, "", proof);
    }

    function test_revert_register_wrongNonce() public {
        bytes memory proof = _proof(KEY, ALICE, 1);
        vm.prank(ALICE);
        (bool ok, bytes memory reason) =
            address(registry).call(abi.encodeCall(registry.register, (vm.addr(KEY), BOB, uint16(0), "", proof)));
        assertFalse(ok);
        assertEq(bytes4(reason), ISequencerRegistry.SequencerRegistry_InvalidProof.selector);
    }

    function test_revert_register_malformedProof() public {
        bytes memory reason = abi.encodeWithSelector(
            ISequencerRegistry.SequencerRegistry_InvalidProof.selector, vm.addr(KEY), address(0)
        );
        bytes memory proof = _proof(KEY, ALICE, 0);
        bytes[] memory malformed = new bytes[](4);
        malformed[0] = "";
        malformed[1] = bytes.concat(proof, hex"00");
        malformed[2] = _shortened(proof);
        malformed[3] = _highS(proof);
        for (uint256 i = 0; i < malformed.length; ++i) {
            vm.expectRevert(reason);
            vm.prank(ALICE);
            registry.register(vm.addr(KEY), BOB, 0, "", malformed[i]);
        }
    }

    // --- rotateSigner

    /// @notice Invariant R2: exactly at c + 2; the old key stays bound.
    function test_R2_rotateSigner() public {
        uint32 id = _register(ALICE, KEY);
        _toEpoch(20);
        address signer = vm.addr(OTHER_KEY);
        bytes memory proof = _proof(OTHER_KEY, ALICE, 1);
        vm.expectEmit(address(registry));
        emit ISequencerRegistry.SignerRotated(id, vm.addr(KEY), signer, 22);
        vm.prank(ALICE);
        registry.rotateSigner(id, signer, proof);

        assertEq(registry.signerOf(id), signer);
        assertEq(registry.signerAt(id, 21), vm.addr(KEY));
        assertEq(registry.signerAt(id, 22), signer);
        assertEq(registry.signerAt(id, 11), address(0));
        assertEq(registry.idOfKey(vm.addr(KEY)), id);
        assertEq(registry.idOfKey(signer), id);
    }

    function test_rotateSigner_bySigner() public {
        uint32 id = _register(ALICE, KEY);
        bytes memory proof = _proof(OTHER_KEY, ALICE, 1);
        vm.prank(vm.addr(KEY));
        registry.rotateSigner(id, vm.addr(OTHER_KEY), proof);
        assertEq(registry.signerOf(id), vm.addr(OTHER_KEY));
    }

    function test_rotateSigner_jailedAndPausedWorks() public {
        uint32 id = _register(ALICE, KEY);
        vm.prank(slasher);
        registry.jail(id);
        guardian.set(true);
        _rotate(id, OTHER_KEY);
        assertEq(registry.signerOf(id), vm.addr(OTHER_KEY));
    }

    /// @notice The second rotation of an epoch replaces the first, whose key never serves and stays bound.
    function test_R1_R2_rotateSigner_twiceInOneEpoch() public {
        uint32 id = _register(ALICE, KEY);
        _toEpoch(20);
        _rotate(id, OTHER_KEY);
        _rotate(id, 0xC33);
        assertEq(registry.signerAt(id, 21), vm.addr(KEY));
        assertEq(registry.signerAt(id, 22), vm.addr(0xC33));
        assertEq(registry.idOfKey(vm.addr(OTHER_KEY)), id);
    }

    /// @notice Away and back is refused: a key is used once, also by the operator it belongs to.
    function test_R1_revert_rotateSigner_backToOldKey() public {
        uint32 id = _register(ALICE, KEY);
        _rotate(id, OTHER_KEY);
        bytes memory proof = _proof(KEY, ALICE, 2);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_KeyAlreadyBound.selector, vm.addr(KEY), id)
        );
        vm.prank(ALICE);
        registry.rotateSigner(id, vm.addr(KEY), proof);
    }

    /// @notice Invariant R1: not even after the operator retired.
    function test_R1_revert_rotateSigner_keyOfRetiredOperator() public {
        uint32 id = _register(ALICE, KEY);
        vm.prank(ALICE);
        registry.retire(id);
        uint32 other = _register(BOB, OTHER_KEY);
        bytes memory proof = _proof(KEY, BOB, 1);
        vm.expectRevert(
            abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_KeyAlreadyBound.selector, vm.addr(KEY), id)
        );
        vm.prank(BOB);
        registry.rotateSigner(other, vm.addr(KEY), proof);
    }

    function test_revert_rotateSigner_unknown() public {
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_UnknownOperator.selector, 9));
        registry.rotateSigner(9, ALICE, "");
    }

    function test_revert_rotateSigner_stranger() public {
        uint32 id = _register(ALICE, KEY);
        bytes memory proof = _proof(OTHER_KEY, ALICE, 1);
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotOwnerOrSigner.selector, id, BOB));
        vm.prank(BOB);
        registry.rotateSigner(id, vm.addr(OTHER_KEY), proof);
    }

    function test_revert_rotateSigner_ended() public {
        uint32 id = _register(ALICE, KEY);
        vm.prank(ALICE);
        registry.retire(id);
        bytes memory proof = _proof(OTHER_KEY, ALICE, 1);
        _expectWrongStatus(id, RETIRED);
        vm.prank(ALICE);
        registry.rotateSigner(id, vm.addr(OTHER_KEY), proof);
        vm.prank(slasher);
        registry.tombstone(id);
        _expectWrongStatus(id, TOMBSTONED);
        vm.prank(ALICE);
        registry.rotateSigner(id, vm.addr(OTHER_KEY), proof);
    }

    function test_revert_rotateSigner_zeroSigner() public {
        uint32 id = _register(ALICE, KEY);
        vm.expectRevert(ISequencerRegistry.SequencerRegistry_ZeroSigner.selector);
        vm.prank(ALICE);
        registry.rotateSigner(id, address(0), "");
    }

    function test_revert_rotateSigner_invalidProof() public {
        uint32 id = _register(ALICE, KEY);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISequencerRegistry.SequencerRegistry_InvalidProof.selector, vm.addr(OTHER_KEY), address(0)
            )
        );
        vm.prank(ALICE);
        registry.rotateSigner(id, vm.addr(OTHER_KEY), "");
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

    /// @notice Bytes of a revert reason after the selector.
    function tail(bytes calldata reason) external pure returns (bytes calldata) {
        return reason[4:];
    }

    function _expectRegisterRevert(
        address recipient,
        uint16 commission,
        string memory uri,
        uint256 key,
        bytes memory reason
    ) private {
        bytes memory proof = _proof(key, ALICE, 0);
        vm.expectRevert(reason);
        vm.prank(ALICE);
        registry.register(vm.addr(key), recipient, commission, uri, proof);
    }

    function _expectWrongStatus(uint32 id, ISequencerRegistry.Status status) private {
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_WrongStatus.selector, id, status));
    }

    function _expectNotOwner(uint32 id, address who) private {
        vm.expectRevert(abi.encodeWithSelector(ISequencerRegistry.SequencerRegistry_NotOwner.selector, id, who));
    }

    function _shortened(bytes memory proof) private pure returns (bytes memory short) {
        short = new bytes(64);
        for (uint256 i = 0; i < 64; ++i) {
            short[i] = proof[i];
        }
    }

    /// @dev The other signature of the same message: n - s with the other recovery bit.
    function _highS(bytes memory proof) private pure returns (bytes memory) {
        (bytes32 r, uint256 s) = abi.decode(_shortened(proof), (bytes32, uint256));
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        return abi.encodePacked(r, order - s, uint8(proof[64]) == 27 ? uint8(28) : uint8(27));
    }
}
