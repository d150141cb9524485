// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRollupLibraries} from "../harness/IRollupLibraries.sol";
import {RollupKit} from "../kit/RollupKit.sol";

contract L2HeaderTest is RollupKit {
    /// @dev Offsets of the kit's header with number 41, timestamp 1_800_000_000 and 32 bytes of extra data.
    uint256 internal constant DIFFICULTY = 448;
    uint256 internal constant NUMBER = 449;
    uint256 internal constant EXTRA = 463;

    IRollupLibraries internal lib;

    function setUp() public override {
        lib = IRollupLibraries(vm.deployCode("RollupLibraries.sol:RollupLibraries"));
    }

    function test_readsEveryField() public view {
        L2Block memory l2 = _block();
        bytes memory rlp = _rlp(l2);
        IRollupLibraries.Fields memory fields = lib.decode(rlp);
        assertEq(fields.hash, keccak256(rlp));
        assertEq(fields.parentHash, l2.parentHash);
        assertEq(fields.beneficiary, l2.beneficiary);
        assertEq(fields.stateRoot, l2.stateRoot);
        assertEq(fields.number, 41);
        assertEq(fields.timestamp, 1_800_000_000);
        assertEq(fields.extraLength, 32);
        assertEq(fields.extraData, keccak256("seal"));
        assertEq(fields.parentBeaconBlockRoot, l2.originHash);
    }

    function test_integersOfEveryWidth() public view {
        uint64[8] memory values = [uint64(0), 1, 127, 128, 255, 256, type(uint64).max - 1, type(uint64).max];
        for (uint256 i = 0; i < values.length; ++i) {
            L2Block memory l2 = _block();
            l2.number = values[i];
            l2.timestamp = values[values.length - 1 - i];
            IRollupLibraries.Fields memory fields = lib.decode(_rlp(l2));
            assertEq(fields.number, l2.number);
            assertEq(fields.timestamp, l2.timestamp);
            assertEq(fields.parentBeaconBlockRoot, l2.originHash);
        }
    }

    function test_extraDataOfEveryLength() public view {
        for (uint256 length = 0; length <= 32; ++length) {
            for (uint256 fill = 1; fill <= 0x81; fill += 0x80) {
                L2Block memory l2 = _block();
                l2.extraData = new bytes(length);
                for (uint256 i = 0; i < length; ++i) {
                    // forge-lint: disable-next-line(unsafe-typecast)
                    l2.extraData[i] = bytes1(uint8(fill));
                }
                IRollupLibraries.Fields memory fields = lib.decode(_rlp(l2));
                assertEq(fields.extraLength, length);
                assertEq(fields.extraData, bytes32(l2.extraData));
                assertEq(fields.parentBeaconBlockRoot, l2.originHash);
            }
        }
    }

    function test_refusesExtraDataOver32Bytes() public {
        L2Block memory l2 = _block();
        l2.extraData = new bytes(33);
        _refuse(_rlp(l2), abi.encodeWithSelector(IBatchChain.L2Header_Malformed.selector, EXTRA));
    }

    function test_refusesTrailingBytes() public {
        bytes memory rlp = _rlp(_block());
        bytes memory longer = bytes.concat(rlp, hex"80");
        _refuse(longer, abi.encodeWithSelector(IBatchChain.L2Header_WrongLength.selector, longer.length, rlp.length));
    }

    function test_refusesTrailingFields() public {
        bytes memory rlp = _rlp(_block());
        bytes memory longer = _withLength(bytes.concat(rlp, hex"80"));
        _refuse(longer, abi.encodeWithSelector(IBatchChain.L2Header_WrongLength.selector, longer.length, rlp.length));
    }

    function test_refusesMissingFields() public {
        bytes memory rlp = _rlp(_block());
        // Without requestsHash: the shape of Cancun.
        bytes memory shorter = _withLength(_cut(rlp, rlp.length - 33));
        (bool ok, bytes memory answer) = address(lib).staticcall(abi.encodeCall(lib.decode, (shorter)));
        assertFalse(ok);
        assertEq(bytes4(answer), IBatchChain.L2Header_Malformed.selector);
    }

    function test_refusesEveryCut() public view {
        bytes memory rlp = _rlp(_block());
        for (uint256 length = 0; length < rlp.length; length += 7) {
            (bool ok,) = address(lib).staticcall(abi.encodeCall(lib.decode, (_cut(rlp, length))));
            assertFalse(ok);
            if (length < 3) continue;
            (ok,) = address(lib).staticcall(abi.encodeCall(lib.decode, (_withLength(_cut(rlp, length)))));
            assertFalse(ok);
        }
    }

    function test_refusesNothing() public {
        _refuse("", abi.encodeWithSelector(IBatchChain.L2Header_Malformed.selector, 0));
        _refuse(hex"f9", abi.encodeWithSelector(IBatchChain.L2Header_Malformed.selector, 0));
        _refuse(hex"f90000", abi.encodeWithSelector(IBatchChain.L2Header_Malformed.selector, 3));
    }

    function test_refusesAStringInsteadOfAList() public {
        bytes memory rlp = _rlp(_block());
        rlp[0] = 0xb9;
        _refuse(rlp, abi.encodeWithSelector(IBatchChain.L2Header_Malformed.selector, 0));
    }

    /// @dev Every prefix byte of the fixed part, and of the fields behind the integers, is looked at.
    function test_refusesEachWrongPrefix() public {
        uint256[10] memory offsets = [uint256(3), 36, 69, 90, 123, 156, 189, 190, 191, 448];
        bytes memory rlp = _rlp(_block());
        for (uint256 i = 0; i < offsets.length; ++i) {
            bytes memory bad = _rlp(_block());
            bad[offsets[i]] = 0x8f;
            uint256 reported = offsets[i] > 189 && offsets[i] < 192 ? 189 : offsets[i];
            _refuse(bad, abi.encodeWithSelector(IBatchChain.L2Header_Malformed.selector, reported));
        }
        // From the end: requestsHash, parentBeaconBlockRoot, two zeros, withdrawalsRoot, base fee, nonce, prevRandao.
        uint256 end = rlp.length;
        uint256[8] memory tail = [end - 33, end - 66, end - 67, end - 68, end - 101, end - 102, end - 111, end - 144];
        for (uint256 i = 0; i < tail.length; ++i) {
            bytes memory bad = _rlp(_block());
            bad[tail[i]] = 0xb8;
            _refuse(bad, abi.encodeWithSelector(IBatchChain.L2Header_Malformed.selector, tail[i]));
        }
    }

    function test_refusesIntegersWithTwoNames() public {
        // The number 41 is one byte at NUMBER; each of these is 0 or 41 in a form no writer produces.
        bytes[4] memory forms = [bytes(hex"00"), hex"8129", hex"820029", hex"8100"];
        for (uint256 i = 0; i < forms.length; ++i) {
            _refuse(
                _splice(_rlp(_block()), NUMBER, 1, forms[i]),
                abi.encodeWithSelector(IBatchChain.L2Header_Malformed.selector, NUMBER)
            );
        }
    }

    function test_refusesIntegersOf72Bits() public {
        _refuse(
            _splice(_rlp(_block()), NUMBER, 1, hex"89010000000000000000"),
            abi.encodeWithSelector(IBatchChain.L2Header_Malformed.selector, NUMBER)
        );
    }

    function test_refusesASingleByteOfExtraDataWithAPrefix() public {
        _refuse(
            _splice(_rlp(_block()), EXTRA, 33, hex"817f"),
            abi.encodeWithSelector(IBatchChain.L2Header_Malformed.selector, EXTRA)
        );
        assertEq(lib.decode(_splice(_rlp(_block()), EXTRA, 33, hex"8180")).extraLength, 1);
        assertEq(lib.decode(_splice(_rlp(_block()), EXTRA, 33, hex"7f")).extraData, bytes32(hex"7f"));
    }

    // ------------------------------------------------------------------------------------------------------- helpers

    function _block() private pure returns (L2Block memory l2) {
        l2.parentHash = keccak256("parent");
        l2.beneficiary = address(uint160(0x5e90) << 144 | 7);
        l2.stateRoot = keccak256("state");
        l2.number = 41;
        l2.timestamp = 1_800_000_000;
        l2.extraData = abi.encodePacked(keccak256("seal"));
        l2.originHash = keccak256("origin");
    }

    function _cut(bytes memory rlp, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            part[i] = rlp[i];
        }
    }

    /// @dev Writes the true payload length into the list prefix.
    function _withLength(bytes memory rlp) private pure returns (bytes memory) {
        uint256 payload = rlp.length - 3;
        // forge-lint: disable-start(unsafe-typecast)
        rlp[1] = bytes1(uint8(payload >> 8));
        rlp[2] = bytes1(uint8(payload));
        // forge-lint: disable-end(unsafe-typecast)
        return rlp;
    }

    function _splice(bytes memory rlp, uint256 offset, uint256 length, bytes memory form)
        private
        pure
        returns (bytes memory)
    {
        bytes memory tail = new bytes(rlp.length - offset - length);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = rlp[offset + length + i];
        }
        return _withLength(bytes.concat(_cut(rlp, offset), form, tail));
    }

    function _refuse(bytes memory rlp, bytes memory reason) private {
        vm.expectRevert(reason);
        lib.decode(rlp);
    }
}
