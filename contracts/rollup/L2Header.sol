// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "../interfaces/IBatchChain.sol";

/// @title L2Header: reads the RLP header of an L2 block
/// @notice Protocol section 5: an Ethereum header of the Osaka shape, 21 fields, strictly canonical. There is one byte
/// string for each header and one header for each byte string, so nothing can be smuggled past the hash.
/// @dev The first seven fields have fixed widths and are found at fixed offsets; from `difficulty` on the integers vary
/// and the reader walks. Reads may leave the bytes of a cut header, but then the end does not match and it is refused.
///
/// | fields | shape |
/// |---|---|
/// | parentHash, ommersHash | 32 bytes each |
/// | beneficiary | 20 bytes |
/// | stateRoot, transactionsRoot, receiptsRoot | 32 bytes each |
/// | logsBloom | 256 bytes |
/// | difficulty, number, gasLimit, gasUsed, timestamp | integers below 2^64 |
/// | extraData | 0 to 32 bytes |
/// | prevRandao | 32 bytes |
/// | nonce | 8 bytes |
/// | baseFeePerGas | integer below 2^64 |
/// | withdrawalsRoot | 32 bytes |
/// | blobGasUsed, excessBlobGas | integers below 2^64 |
/// | parentBeaconBlockRoot, requestsHash | 32 bytes each |
library L2Header {
    /// @notice What L1 reads of a header.
    /// @param hash Block hash.
    /// @param parentHash Hash of the block before.
    /// @param beneficiary `coinbase(id)` of the proposer.
    /// @param stateRoot State after the block.
    /// @param number Block number.
    /// @param timestamp Unix seconds.
    /// @param extraData The bytes, left-aligned.
    /// @param extraLength How many bytes there are, 0 to 32.
    /// @param parentBeaconBlockRoot Hash of the block's L1 origin.
    struct Fields {
        bytes32 hash;
        bytes32 parentHash;
        address beneficiary;
        bytes32 stateRoot;
        uint64 number;
        uint64 timestamp;
        bytes32 extraData;
        uint256 extraLength;
        bytes32 parentBeaconBlockRoot;
    }

    /// @dev RLP prefixes: a list with two length bytes, and strings of 0, 8, 20 and 32 bytes.
    uint256 private constant LIST_2 = 0xf9;
    uint256 private constant EMPTY = 0x80;
    uint256 private constant STRING_8 = 0x88;
    uint256 private constant STRING_20 = 0x94;
    uint256 private constant STRING_32 = 0xa0;
    /// @dev `b90100`: a string with two length bytes, 256 bytes long.
    uint256 private constant STRING_256 = 0xb90100;

    /// @dev Where the fields of fixed width start (their prefix), and where the first integer is.
    uint256 private constant PARENT = 3;
    uint256 private constant OMMERS = 36;
    uint256 private constant BENEFICIARY = 69;
    uint256 private constant STATE_ROOT = 90;
    uint256 private constant TRANSACTIONS_ROOT = 123;
    uint256 private constant RECEIPTS_ROOT = 156;
    uint256 private constant BLOOM = 189;
    uint256 private constant DIFFICULTY = 448;

    /// @notice Decodes and hashes a header.
    /// @dev Reverts with `L2Header_Malformed(offset)` at the first byte that is not canonical or not of the shape, and
    /// with `L2Header_WrongLength` when the list does not fill the bytes exactly.
    /// @param rlp The header.
    function decode(bytes calldata rlp) internal pure returns (Fields memory fields) {
        if (rlp.length < 3 || _byteAt(rlp, 0) != LIST_2) revert IBatchChain.L2Header_Malformed(0);
        uint256 end = 3 + (uint256(_wordAt(rlp, 1)) >> 240);
        if (rlp.length != end) revert IBatchChain.L2Header_WrongLength(rlp.length, end);

        fields.hash = keccak256(rlp);
        fields.parentHash = _word(rlp, PARENT);
        _expect(rlp, OMMERS, STRING_32);
        _expect(rlp, BENEFICIARY, STRING_20);
        fields.beneficiary = address(uint160(uint256(_wordAt(rlp, BENEFICIARY + 1)) >> 96));
        fields.stateRoot = _word(rlp, STATE_ROOT);
        _expect(rlp, TRANSACTIONS_ROOT, STRING_32);
        _expect(rlp, RECEIPTS_ROOT, STRING_32);
        if (uint256(_wordAt(rlp, BLOOM)) >> 232 != STRING_256) revert IBatchChain.L2Header_Malformed(BLOOM);

        // Each step adds at most 33, so no offset can overflow.
        unchecked {
            uint256 offset = DIFFICULTY;
            (, offset) = _integer(rlp, offset);
            (fields.number, offset) = _integer(rlp, offset);
            (, offset) = _integer(rlp, offset); // gasLimit
            (, offset) = _integer(rlp, offset); // gasUsed
            (fields.timestamp, offset) = _integer(rlp, offset);
            (fields.extraData, fields.extraLength, offset) = _extraData(rlp, offset);
            _expect(rlp, offset, STRING_32); // prevRandao
            _expect(rlp, offset + 33, STRING_8); // nonce
            (, offset) = _integer(rlp, offset + 42); // baseFeePerGas
            _expect(rlp, offset, STRING_32); // withdrawalsRoot
            (, offset) = _integer(rlp, offset + 33); // blobGasUsed
            (, offset) = _integer(rlp, offset); // excessBlobGas
            fields.parentBeaconBlockRoot = _word(rlp, offset);
            _expect(rlp, offset + 33, STRING_32); // requestsHash
            if (offset + 66 != end) revert IBatchChain.L2Header_WrongLength(end, offset + 66);
        }
    }

    /// @dev A 32-byte string.
    function _word(bytes calldata rlp, uint256 offset) private pure returns (bytes32) {
        _expect(rlp, offset, STRING_32);
        return _wordAt(rlp, offset + 1);
    }

    /// @dev A canonical integer below 2^64: no leading zeros, one byte below 0x80 stands for itself.
    function _integer(bytes calldata rlp, uint256 offset) private pure returns (uint64 value, uint256 next) {
        unchecked {
            uint256 prefix = _byteAt(rlp, offset);
            // Zero is the empty string; the byte 0x00 would be a second name for it.
            if (prefix == 0 || prefix > STRING_8) revert IBatchChain.L2Header_Malformed(offset);
            next = offset + 1;
            // forge-lint: disable-next-line(unsafe-typecast)
            if (prefix < EMPTY) return (uint64(prefix), next);
            uint256 length = prefix - EMPTY;
            if (length == 0) return (0, next);
            // forge-lint: disable-next-line(unsafe-typecast)
            value = uint64(uint256(_wordAt(rlp, next)) >> (256 - 8 * length));
            if (value >> (8 * (length - 1)) == 0 || value < EMPTY) revert IBatchChain.L2Header_Malformed(offset);
            next += length;
        }
    }

    /// @dev A canonical string of at most 32 bytes.
    function _extraData(bytes calldata rlp, uint256 offset)
        private
        pure
        returns (bytes32 data, uint256 length, uint256 next)
    {
        unchecked {
            uint256 prefix = _byteAt(rlp, offset);
            next = offset + 1;
            if (prefix < EMPTY) return (bytes32(prefix << 248), 1, next);
            if (prefix > STRING_32) revert IBatchChain.L2Header_Malformed(offset);
            length = prefix - EMPTY;
            if (length == 0) return (0, 0, next);
            uint256 shift = 256 - 8 * length;
            data = bytes32((uint256(_wordAt(rlp, next)) >> shift) << shift);
            if (length == 1 && uint256(data) >> 248 < EMPTY) revert IBatchChain.L2Header_Malformed(offset);
            next += length;
        }
    }

    function _expect(bytes calldata rlp, uint256 offset, uint256 prefix) private pure {
        if (_byteAt(rlp, offset) != prefix) revert IBatchChain.L2Header_Malformed(offset);
    }

    function _byteAt(bytes calldata rlp, uint256 offset) private pure returns (uint256) {
        return uint256(_wordAt(rlp, offset)) >> 248;
    }

    /// @dev 32 bytes from `at`, without a bound check: `decode` compares the end.
    function _wordAt(bytes calldata rlp, uint256 offset) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(add(rlp.offset, offset))
        }
    }
}
