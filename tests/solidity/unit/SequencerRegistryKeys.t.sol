// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {SequencerRegistryKit} from "../kit/SequencerRegistryKit.sol";

/// @dev An owner that is a contract without a key: it only has to be the caller.
contract WalletOwner {
    function register(ISequencerRegistry registry, address signer, bytes calldata proof) external returns (uint32) {
        return registry.register(signer, address(this), 0, "", proof);
    }
}

/// @notice Keys: registration and rotation.
contract SequencerRegistryKeysTest is SequencerRegistryKit {
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
