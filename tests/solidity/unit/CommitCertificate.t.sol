// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRollupLibraries} from "../harness/IRollupLibraries.sol";
import {RollupKit} from "../kit/RollupKit.sol";

/// @notice B5 and the signature half of S8: what a certificate must prove, each condition broken alone.
contract CommitCertificateTest is RollupKit {
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    IRollupLibraries internal lib;
    bytes32 internal domain;
    Key[] internal keys;
    bytes internal members;

    function setUp() public override {
        lib = IRollupLibraries(vm.deployCode("RollupLibraries.sol:RollupLibraries"));
        domain = _domain(makeAddr("batch chain"));
        _useSet(_keys("set", 5, 100));
    }

    function test_acceptsEveryone() public view {
        _verify(_signed(31));
    }

    function test_acceptsOneGweiMoreThanTwoThirds() public {
        Key[] memory set = _keys("uneven", 3, 100);
        set[0].weight = 101;
        _useSet(set);
        // 201 of 301: 3·201 = 603 > 602.
        _verify(_signed(3));
    }

    function test_B5_refusesExactlyTwoThirds() public {
        _useSet(_keys("three", 3, 100));
        _refuse(_signed(5), abi.encodeWithSelector(IBatchChain.CommitCertificate_NoQuorum.selector, 200, 300));
    }

    function test_refusesNobody() public {
        _refuse(_signed(0), abi.encodeWithSelector(IBatchChain.CommitCertificate_NoQuorum.selector, 0, 500));
    }

    function test_countsWeightNotHeads() public {
        Key[] memory set = _keys("whale", 4, 1);
        set[3].weight = 7;
        _useSet(set);
        _verify(_signed(8));
        _refuse(_signed(7), abi.encodeWithSelector(IBatchChain.CommitCertificate_NoQuorum.selector, 3, 10));
    }

    function test_aSetOfOne() public {
        _useSet(_keys("alone", 1, 1));
        _verify(_signed(1));
    }

    function test_aSetOf256WithTheLargestWeights() public {
        _useSet(_keys("full", 256, type(uint64).max));
        _verify(_signed(type(uint256).max));
        IBatchChain.CommitCertificate memory certificate = _signed((1 << 170) - 1);
        _refuse(
            certificate,
            abi.encodeWithSelector(
                IBatchChain.CommitCertificate_NoQuorum.selector,
                170 * uint256(type(uint64).max),
                256 * uint256(type(uint64).max)
            )
        );
        _verify(_signed((1 << 171) - 1));
    }

    function test_refusesMoreMembersThanBits() public {
        _useSet(_keys("over", 257, 1));
        _refuse(
            _signed(type(uint256).max),
            abi.encodeWithSelector(IBatchChain.CommitCertificate_MalformedMembers.selector, 257 * 32)
        );
    }

    function test_refusesNoMembers() public {
        IBatchChain.CommitCertificate memory certificate = _signed(31);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.CommitCertificate_MalformedMembers.selector, 0));
        lib.verify(certificate, domain, "", keccak256(""));
    }

    function test_refusesHalfAMember() public {
        IBatchChain.CommitCertificate memory certificate = _signed(31);
        bytes memory cut = bytes.concat(members, hex"00");
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.CommitCertificate_MalformedMembers.selector, 161));
        lib.verify(certificate, domain, cut, keccak256(cut));
    }

    function test_refusesAnUnknownSet() public {
        IBatchChain.CommitCertificate memory certificate = _signed(31);
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.CommitCertificate_UnknownSet.selector, 2));
        lib.verify(certificate, domain, members, 0);
    }

    /// @dev The total weight is computed from these bytes, so dropping members must not lower it.
    function test_refusesAPageOfTheMembers() public {
        IBatchChain.CommitCertificate memory certificate = _signed(7);
        bytes memory page = _members(_keys("set", 3, 100));
        vm.expectRevert(
            abi.encodeWithSelector(
                IBatchChain.CommitCertificate_WrongMembers.selector, keccak256(page), keccak256(members)
            )
        );
        lib.verify(certificate, domain, page, keccak256(members));
    }

    function test_refusesOtherWeights() public {
        IBatchChain.CommitCertificate memory certificate = _signed(31);
        bytes memory heavier = _members(_keys("set", 5, 101));
        vm.expectRevert(
            abi.encodeWithSelector(
                IBatchChain.CommitCertificate_WrongMembers.selector, keccak256(heavier), keccak256(members)
            )
        );
        lib.verify(certificate, domain, heavier, keccak256(members));
    }

    function test_refusesAMemberTheSetDoesNotHave() public {
        IBatchChain.CommitCertificate memory certificate = _signed(31);
        certificate.signers = 63;
        certificate.signatures = bytes.concat(certificate.signatures, new bytes(65));
        _refuse(certificate, abi.encodeWithSelector(IBatchChain.CommitCertificate_UnknownMember.selector, 63, 5));
        certificate.signers = 31 | 1 << 255;
        _refuse(
            certificate, abi.encodeWithSelector(IBatchChain.CommitCertificate_UnknownMember.selector, 31 | 1 << 255, 5)
        );
    }

    function test_refusesMissingAndSpareSignatures() public {
        IBatchChain.CommitCertificate memory certificate = _signed(31);
        certificate.signers = 15;
        _refuse(
            certificate,
            abi.encodeWithSelector(IBatchChain.CommitCertificate_WrongSignatureLength.selector, 5 * 65, 4 * 65)
        );
        certificate = _signed(15);
        certificate.signers = 31;
        _refuse(
            certificate,
            abi.encodeWithSelector(IBatchChain.CommitCertificate_WrongSignatureLength.selector, 4 * 65, 5 * 65)
        );
        certificate = _signed(31);
        certificate.signatures = bytes.concat(certificate.signatures, hex"00");
        _refuse(
            certificate,
            abi.encodeWithSelector(IBatchChain.CommitCertificate_WrongSignatureLength.selector, 5 * 65 + 1, 5 * 65)
        );
    }

    /// @dev One member cannot count twice: its signature in its neighbour's place is not the neighbour's.
    function test_refusesADuplicate() public {
        IBatchChain.CommitCertificate memory certificate = _signed(15);
        bytes memory first = _signature(keys[0].secret, _digest(domain, 2, certificate));
        certificate.signers = 31;
        certificate.signatures = bytes.concat(first, certificate.signatures);
        _refuse(
            certificate,
            abi.encodeWithSelector(
                IBatchChain.CommitCertificate_WrongSigner.selector, 1, keys[0].signer, keys[1].signer
            )
        );
    }

    function test_refusesSignaturesInAnotherOrder() public {
        IBatchChain.CommitCertificate memory certificate = _signed(31);
        bytes32 digest = _digest(domain, 2, certificate);
        certificate.signatures = "";
        for (uint256 i = 5; i > 0; --i) {
            certificate.signatures = bytes.concat(certificate.signatures, _signature(keys[i - 1].secret, digest));
        }
        _refuse(
            certificate,
            abi.encodeWithSelector(
                IBatchChain.CommitCertificate_WrongSigner.selector, 0, keys[4].signer, keys[0].signer
            )
        );
    }

    function test_refusesAStranger() public {
        IBatchChain.CommitCertificate memory certificate = _signed(15);
        Key memory stranger = _keys("stranger", 1, 1)[0];
        bytes memory signature = _signature(stranger.secret, _digest(domain, 2, certificate));
        certificate.signers = 31;
        certificate.signatures = bytes.concat(certificate.signatures, signature);
        _refuse(
            certificate,
            abi.encodeWithSelector(
                IBatchChain.CommitCertificate_WrongSigner.selector, 4, stranger.signer, keys[4].signer
            )
        );
    }

    function test_refusesTheHighTwin() public {
        IBatchChain.CommitCertificate memory certificate = _signed(31);
        bytes32 digest = _digest(domain, 2, certificate);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[2].secret, digest);
        bytes32 high = bytes32(ORDER - uint256(s));
        // The twin recovers to the same key, so only the rule about `s` refuses it.
        assertEq(ecrecover(digest, v ^ 7, r, high), keys[2].signer);
        _replace(certificate, 2, abi.encodePacked(r, high, v ^ 7));
        _refuse(certificate, abi.encodeWithSelector(IBatchChain.CommitCertificate_HighS.selector, 2, high));
    }

    function test_theLargestLowS() public {
        IBatchChain.CommitCertificate memory certificate = _signed(31);
        _replace(certificate, 0, abi.encodePacked(bytes32(uint256(1)), bytes32(ORDER / 2), uint8(27)));
        (, bytes memory answer) = _call(certificate);
        assertEq(bytes4(answer), IBatchChain.CommitCertificate_WrongSigner.selector);
        bytes32 above = bytes32(ORDER / 2 + 1);
        _replace(certificate, 0, abi.encodePacked(bytes32(uint256(1)), above, uint8(27)));
        _refuse(certificate, abi.encodeWithSelector(IBatchChain.CommitCertificate_HighS.selector, 0, above));
    }

    function test_refusesOtherRecoveryIds() public {
        uint8[5] memory bad = [0, 1, 26, 29, 255];
        for (uint256 i = 0; i < bad.length; ++i) {
            IBatchChain.CommitCertificate memory certificate = _signed(31);
            certificate.signatures[3 * 65 + 64] = bytes1(bad[i]);
            _refuse(
                certificate, abi.encodeWithSelector(IBatchChain.CommitCertificate_BadRecoveryId.selector, 3, bad[i])
            );
        }
    }

    /// @dev No signature must never be read as that of a member with a zero key, nor as the one recovered before.
    function test_refusesWhatIsNoSignature() public {
        IBatchChain.CommitCertificate memory certificate = _signed(31);
        _replace(certificate, 1, abi.encodePacked(bytes32(0), bytes32(0), uint8(27)));
        _refuse(
            certificate,
            abi.encodeWithSelector(IBatchChain.CommitCertificate_WrongSigner.selector, 1, address(0), keys[1].signer)
        );
        Key[] memory set = _keys("set", 5, 100);
        set[1].signer = address(0);
        _useSet(set);
        _refuse(
            certificate,
            abi.encodeWithSelector(IBatchChain.CommitCertificate_WrongSigner.selector, 1, address(0), address(0))
        );
        set[1].signer = set[0].signer;
        _useSet(set);
        _refuse(
            certificate,
            abi.encodeWithSelector(IBatchChain.CommitCertificate_WrongSigner.selector, 1, address(0), set[0].signer)
        );
    }

    /// @dev S8: a vote holds for one kind, fork, epoch, height, round, block, chain and contract.
    function test_S8_aVoteIsGoodForNothingElse() public {
        for (uint256 field = 0; field < 5; ++field) {
            IBatchChain.CommitCertificate memory certificate = _signed(31);
            if (field == 0) certificate.fork += 1;
            if (field == 1) certificate.epoch += 1;
            if (field == 2) certificate.height += 1;
            if (field == 3) certificate.round += 1;
            if (field == 4) certificate.blockHash = keccak256("other");
            (bool ok, bytes memory answer) = _call(certificate);
            assertFalse(ok);
            assertEq(bytes4(answer), IBatchChain.CommitCertificate_WrongSigner.selector);
        }
        IBatchChain.CommitCertificate memory prevotes = _signed(31);
        _signAs(prevotes, keys, 31, domain, 1);
        (, bytes memory refused) = _call(prevotes);
        assertEq(bytes4(refused), IBatchChain.CommitCertificate_WrongSigner.selector);
        _signAs(prevotes, keys, 31, _domain(makeAddr("another contract")), 2);
        (, refused) = _call(prevotes);
        assertEq(bytes4(refused), IBatchChain.CommitCertificate_WrongSigner.selector);
    }

    function test_digestAndDomain() public {
        IBatchChain.CommitCertificate memory c = _signed(31);
        address batchChain = makeAddr("batch chain");
        assertEq(lib.domainSeparator(L2_CHAIN_ID, batchChain), domain);
        assertNotEq(lib.domainSeparator(L2_CHAIN_ID + 1, batchChain), domain);
        for (uint8 kind = 1; kind <= 2; ++kind) {
            assertEq(
                lib.voteDigest(domain, kind, c.fork, c.epoch, c.height, c.round, c.blockHash), _digest(domain, kind, c)
            );
        }
    }

    // ------------------------------------------------------------------------------------------------------- helpers

    function _useSet(Key[] memory set) private {
        delete keys;
        for (uint256 i = 0; i < set.length; ++i) {
            keys.push(set[i]);
        }
        members = _members(set);
    }

    function _signed(uint256 signers) private view returns (IBatchChain.CommitCertificate memory certificate) {
        certificate.fork = 1;
        certificate.epoch = 2;
        certificate.height = 41;
        certificate.round = 3;
        certificate.blockHash = keccak256("block");
        _signAs(certificate, keys, signers, domain, 2);
    }

    function _replace(IBatchChain.CommitCertificate memory certificate, uint256 member, bytes memory signature)
        private
        pure
    {
        for (uint256 i = 0; i < 65; ++i) {
            certificate.signatures[65 * member + i] = signature[i];
        }
    }

    function _verify(IBatchChain.CommitCertificate memory certificate) private view {
        lib.verify(certificate, domain, members, keccak256(members));
    }

    function _call(IBatchChain.CommitCertificate memory certificate) private view returns (bool, bytes memory) {
        return address(lib)
            .staticcall(abi.encodeCall(IRollupLibraries.verify, (certificate, domain, members, keccak256(members))));
    }

    function _refuse(IBatchChain.CommitCertificate memory certificate, bytes memory reason) private {
        vm.expectRevert(reason);
        _verify(certificate);
    }
}
