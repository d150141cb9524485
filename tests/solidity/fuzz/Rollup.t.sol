// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRollupLibraries} from "../harness/IRollupLibraries.sol";
import {RollupKit} from "../kit/RollupKit.sol";

contract RollupFuzzTest is RollupKit {
    using RLP for Memory.Slice;

    IRollupLibraries internal lib;

    function setUp() public override {
        super.setUp();
        lib = IRollupLibraries(vm.deployCode("RollupLibraries.sol:RollupLibraries"));
    }

    /// @dev B5: one flipped bit anywhere in an honest post (header, sealing block, votes, members, data) is refused, and
    /// the honest one is accepted afterwards.
    function testFuzz_B5_aFlippedBitIsRefused(uint256 part, uint256 bit) public {
        Bundle memory bundle = _next(40, 2);
        bytes memory honest = abi.encodeCall(
            IBatchChain.post, (bundle.header, bundle.rlp, bundle.certificate, bundle.members, bundle.data)
        );
        part = bound(part, 0, 5);
        if (part == 0) {
            // The header lies first in the calldata, as 19 words.
            bytes memory call = bytes.concat(honest);
            _flip(call, 4, bound(bit, 0, 608 * 8 - 1));
            (bool ok,) = address(chain).call(call);
            assertFalse(ok);
        } else {
            if (part == 1) _flip(bundle.rlp, 0, bound(bit, 0, bundle.rlp.length * 8 - 1));
            if (part == 2) _flip(bundle.members, 0, bound(bit, 0, bundle.members.length * 8 - 1));
            if (part == 3) _flip(bundle.data, 0, bound(bit, 0, bundle.data.length * 8 - 1));
            if (part == 4) {
                _flip(bundle.certificate.signatures, 0, bound(bit, 0, bundle.certificate.signatures.length * 8 - 1));
            }
            if (part == 5) _flipVote(bundle.certificate, bit);
            (bool ok,) = address(chain)
                .call(
                    abi.encodeCall(
                        IBatchChain.post, (bundle.header, bundle.rlp, bundle.certificate, bundle.members, bundle.data)
                    )
                );
            assertFalse(ok);
        }
        (bool accepted,) = address(chain).call(honest);
        assertTrue(accepted);
    }

    /// @dev B5: a certificate is accepted iff its signers hold strictly more than two thirds, whatever the weights.
    function testFuzz_B5_quorumIsMoreThanTwoThirds(uint64[8] memory weights, uint256 count, uint256 signers) public {
        count = bound(count, 1, 8);
        signers = bound(signers, 0, (1 << count) - 1);
        Key[] memory keys = _keys("fuzz", count, 0);
        uint256 signed;
        uint256 total;
        for (uint256 i = 0; i < count; ++i) {
            keys[i].weight = weights[i];
            total += weights[i];
            if (signers >> i & 1 == 1) signed += weights[i];
        }
        _checkQuorum(keys, signers, signed, total);
    }

    /// @dev The same at the edge: 3k equal members, 2k of them sign, then one more.
    function testFuzz_B5_theEdgeOfTwoThirds(uint256 thirds, uint64 weight) public {
        thirds = bound(thirds, 1, 12);
        weight = uint64(bound(weight, 1, type(uint64).max));
        Key[] memory keys = _keys("edge", 3 * thirds, weight);
        _checkQuorum(keys, (1 << 2 * thirds) - 1, 2 * thirds * weight, 3 * thirds * uint256(weight));
        _checkQuorum(keys, (1 << 2 * thirds + 1) - 1, (2 * thirds + 1) * weight, 3 * thirds * uint256(weight));
    }

    /// @dev Whatever the fields are, the reader sees what the writer wrote.
    function testFuzz_headerRoundTrip(L2Block memory l2, uint256 extraLength) public view {
        l2.extraData = new bytes(bound(extraLength, 0, 32));
        for (uint256 i = 0; i < l2.extraData.length; ++i) {
            l2.extraData[i] = l2.stateRoot[i];
        }
        bytes memory rlp = _rlp(l2);
        IRollupLibraries.Fields memory fields = lib.decode(rlp);
        assertEq(fields.hash, keccak256(rlp));
        assertEq(fields.parentHash, l2.parentHash);
        assertEq(fields.beneficiary, l2.beneficiary);
        assertEq(fields.stateRoot, l2.stateRoot);
        assertEq(fields.number, l2.number);
        assertEq(fields.timestamp, l2.timestamp);
        assertEq(fields.extraLength, l2.extraData.length);
        assertEq(fields.extraData, bytes32(l2.extraData));
        assertEq(fields.parentBeaconBlockRoot, l2.originHash);
    }

    /// @dev Bytes the reader accepts are canonical: 21 strings which OpenZeppelin's reader and writer turn back into
    /// the same bytes. Most edits are refused; those within a field's content are not.
    function testFuzz_acceptedHeadersAreCanonical(uint256 offset, bytes1 value, uint64 number, uint64 time)
        public
        view
    {
        L2Block memory l2;
        l2.number = number;
        l2.timestamp = time;
        l2.extraData = abi.encodePacked(keccak256("seal"));
        bytes memory rlp = _rlp(l2);
        // The tail, where the integers are, gets most of the edits.
        offset = offset % 4 == 0 ? bound(offset, 0, rlp.length - 1) : bound(offset, 446, rlp.length - 1);
        rlp[offset] = value;
        try lib.decode(rlp) returns (IRollupLibraries.Fields memory fields) {
            assertEq(fields.hash, keccak256(rlp));
            Memory.Slice[] memory items = RLP.decodeList(rlp);
            assertEq(items.length, 21);
            bytes[] memory encoded = new bytes[](21);
            for (uint256 i = 0; i < 21; ++i) {
                encoded[i] = RLP.encode(items[i].readBytes());
            }
            assertEq(RLP.encode(encoded), rlp);
            assertEq(items[8].readUint256(), fields.number);
            assertEq(items[11].readUint256(), fields.timestamp);
            assertEq(bytes32(items[12].readBytes()), fields.extraData);
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            assertTrue(
                selector == IBatchChain.L2Header_Malformed.selector
                    || selector == IBatchChain.L2Header_WrongLength.selector
            );
        }
    }

    /// @dev The count of deposits at any block equals what a plain list says.
    function testFuzz_depositCountAt(uint8[16] memory gaps, uint64 asked) public {
        token.approve(address(portal), type(uint256).max);
        uint64 start = uint64(block.number);
        uint64[16] memory blocks;
        for (uint256 i = 0; i < 16; ++i) {
            vm.roll(block.number + gaps[i] % 4);
            portal.deposit(address(this), 1 gwei);
            blocks[i] = uint64(block.number);
        }
        asked = uint64(bound(asked, start - 1, block.number + 1));
        uint64 expected;
        for (uint256 i = 0; i < 16; ++i) {
            if (blocks[i] <= asked) ++expected;
        }
        assertEq(portal.depositCountAt(asked), expected);
        assertEq(portal.depositCount(), 16);
    }

    // ------------------------------------------------------------------------------------------------------- helpers

    function _checkQuorum(Key[] memory keys, uint256 signers, uint256 signed, uint256 total) private {
        IBatchChain.CommitCertificate memory certificate;
        certificate.height = 9;
        bytes32 domain = _domain(address(chain));
        _signAs(certificate, keys, signers, domain, 2);
        bytes memory members = _members(keys);
        if (3 * signed <= 2 * total) {
            vm.expectRevert(abi.encodeWithSelector(IBatchChain.CommitCertificate_NoQuorum.selector, signed, total));
        }
        lib.verify(certificate, domain, members, keccak256(members));
    }

    /// @dev Flips a bit of the bytes from `start` on.
    function _flip(bytes memory data, uint256 start, uint256 bit) private pure {
        data[start + bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
    }

    /// @dev Flips a bit of what was voted on, or of the bitmap.
    function _flipVote(IBatchChain.CommitCertificate memory certificate, uint256 bit) private pure {
        uint256 field = bound(bit >> 8, 0, 5);
        // forge-lint: disable-start(unsafe-typecast)
        if (field == 0) certificate.fork ^= uint32(1 << (bit % 32));
        if (field == 1) certificate.epoch ^= uint32(1 << (bit % 32));
        if (field == 2) certificate.height ^= uint64(1 << (bit % 64));
        if (field == 3) certificate.round ^= uint32(1 << (bit % 32));
        if (field == 4) certificate.blockHash ^= bytes32(1 << (bit % 256));
        if (field == 5) certificate.signers ^= 1 << (bit % 256);
        // forge-lint: disable-end(unsafe-typecast)
    }
}
