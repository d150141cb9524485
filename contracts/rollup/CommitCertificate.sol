// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {LibBit} from "solady/utils/LibBit.sol";
import {IBatchChain} from "../interfaces/IBatchChain.sol";

/// @title CommitCertificate: votes of sequencers, and the proof that a set decided a block
/// @notice Protocol section 6. A certificate is valid when distinct members of the frozen set, holding strictly more than
/// two thirds of its weight, signed the precommit for the block. Invariant B5.
/// @dev The votes are EIP-712 structs of the domain `{name "Rota", version "1", chainId = L2 chain id,
/// verifyingContract = BatchChain}`, so a signature for one chain, contract, fork, height, round or kind is worth
/// nothing for another (S8).
///
/// Members travel as bytes, 32 each in seat order: `signer (20) ‖ id (4) ‖ weight in gwei (8)`. A caller that keeps only
/// their hash passes it along: neither the members nor the total weight are believed, both follow from the hash.
library CommitCertificate {
    /// @dev EIP-712 type of a vote.
    bytes32 internal constant VOTE_TYPEHASH =
        keccak256("Vote(uint8 kind,uint32 fork,uint32 epoch,uint64 height,uint32 round,bytes32 blockHash)");

    /// @dev EIP-712 type of the domain.
    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @dev `kind` of a prevote.
    uint8 internal constant PREVOTE = 1;

    /// @dev `kind` of a precommit: the only kind that decides.
    uint8 internal constant PRECOMMIT = 2;

    /// @dev A set has at most as many members as the bitmap has bits.
    uint256 internal constant MAX_MEMBERS = 256;

    /// @dev Half the order of secp256k1: larger `s` are the malleable twins of smaller ones (EIP-2).
    uint256 internal constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @notice EIP-712 domain separator of the votes.
    /// @param l2ChainId Chain id of L2.
    /// @param batchChain Address of `BatchChain` on L1.
    function domainSeparator(uint256 l2ChainId, address batchChain) internal pure returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, keccak256("Rota"), keccak256("1"), l2ChainId, batchChain));
    }

    /// @notice What a member signs.
    /// @param domain Domain separator.
    /// @param kind `PREVOTE` or `PRECOMMIT`.
    /// @param fork Re-execution count.
    /// @param epoch σ of the height.
    /// @param height L2 block number.
    /// @param round Consensus round.
    /// @param blockHash The block, 0 for nil.
    function voteDigest(
        bytes32 domain,
        uint8 kind,
        uint32 fork,
        uint32 epoch,
        uint64 height,
        uint32 round,
        bytes32 blockHash
    ) internal pure returns (bytes32) {
        bytes32 vote = keccak256(abi.encode(VOTE_TYPEHASH, kind, fork, epoch, height, round, blockHash));
        return keccak256(abi.encodePacked(hex"1901", domain, vote));
    }

    /// @notice Reverts unless the certificate holds a quorum of the set.
    /// @dev Reverts in this order: `UnknownSet`, `MalformedMembers`, `WrongMembers`, `UnknownMember`,
    /// `WrongSignatureLength`, then for each signature `HighS`, `BadRecoveryId`, `WrongSigner`, then `NoQuorum`.
    ///
    /// A member cannot count twice, and order cannot be wrong unnoticed: the bitmap has one bit for each member and
    /// the signatures are taken in its order.
    /// @param certificate The certificate.
    /// @param domain Domain separator.
    /// @param members Members of the set.
    /// @param setHash keccak256 of the members of `certificate.epoch`, 0 when that set does not exist.
    function verify(
        IBatchChain.CommitCertificate calldata certificate,
        bytes32 domain,
        bytes calldata members,
        bytes32 setHash
    ) internal view {
        _verify(PRECOMMIT, certificate, domain, members, setHash);
    }

    /// @notice Reverts unless the certificate holds a polka: prevotes instead of precommits, else as `verify`. It decides
    /// nothing; it is what may make a member vote against a block it precommitted before.
    /// @param polka The prevotes, in the shape of a certificate.
    function verifyPolka(
        IBatchChain.CommitCertificate calldata polka,
        bytes32 domain,
        bytes calldata members,
        bytes32 setHash
    ) internal view {
        _verify(PREVOTE, polka, domain, members, setHash);
    }

    /// @dev `verify` for one kind of votes.
    function _verify(
        uint8 kind,
        IBatchChain.CommitCertificate calldata certificate,
        bytes32 domain,
        bytes calldata members,
        bytes32 setHash
    ) private view {
        uint256 count = _checkMembers(members, setHash, certificate.epoch);
        uint256 signers = certificate.signers;
        bytes calldata signatures = certificate.signatures;
        if (count < MAX_MEMBERS && signers >> count != 0) {
            revert IBatchChain.CommitCertificate_UnknownMember(signers, count);
        }
        uint256 expected = 65 * LibBit.popCount(signers);
        if (signatures.length != expected) {
            revert IBatchChain.CommitCertificate_WrongSignatureLength(signatures.length, expected);
        }
        (uint256 signed, uint256 total) =
            _weigh(signers, signatures, members, count, _digest(kind, certificate, domain));
        // At most 256 weights below 2^64: neither side can overflow.
        if (3 * signed <= 2 * total) revert IBatchChain.CommitCertificate_NoQuorum(signed, total);
    }

    /// @dev The digest all signers of the certificate signed.
    function _digest(uint8 kind, IBatchChain.CommitCertificate calldata certificate, bytes32 domain)
        private
        pure
        returns (bytes32)
    {
        return voteDigest(
            domain,
            kind,
            certificate.fork,
            certificate.epoch,
            certificate.height,
            certificate.round,
            certificate.blockHash
        );
    }

    /// @dev Ties the member bytes to the frozen set and counts them.
    function _checkMembers(bytes calldata members, bytes32 setHash, uint32 epoch) private pure returns (uint256 count) {
        if (setHash == 0) revert IBatchChain.CommitCertificate_UnknownSet(epoch);
        count = members.length / 32;
        if (members.length % 32 != 0 || count == 0 || count > MAX_MEMBERS) {
            revert IBatchChain.CommitCertificate_MalformedMembers(members.length);
        }
        bytes32 actual = keccak256(members);
        if (actual != setHash) revert IBatchChain.CommitCertificate_WrongMembers(actual, setHash);
    }

    /// @dev Checks each signature and adds up the weights. This loop is the cost of `post`: one buffer at the free
    /// memory pointer holds `digest ‖ v ‖ r ‖ s` for the ecrecover precompile, and each member is one calldata word.
    /// `signatures` and `members` were measured by the caller, so no read leaves them.
    function _weigh(uint256 signers, bytes calldata signatures, bytes calldata members, uint256 count, bytes32 digest)
        private
        view
        returns (uint256 signed, uint256 total)
    {
        uint256 cursor;
        uint256 word;
        uint256 buffer;
        assembly ("memory-safe") {
            cursor := signatures.offset
            word := members.offset
            buffer := mload(0x40)
            mstore(buffer, digest)
        }
        // forge-lint: disable-start(unsafe-typecast): a member word is cut into its fields.
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                uint256 member;
                assembly ("memory-safe") {
                    member := calldataload(word)
                }
                word += 32;
                total += uint64(member);
                if ((signers >> i) & 1 == 0) continue;
                signed += uint64(member);
                _checkSignature(buffer, cursor, i, address(uint160(member >> 96)));
                cursor += 65;
            }
        }
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// @dev Checks the signature at calldata position `cursor` against the digest in the buffer.
    function _checkSignature(uint256 buffer, uint256 cursor, uint256 index, address expected) private view {
        uint256 s;
        uint8 v;
        address recovered;
        assembly ("memory-safe") {
            s := calldataload(add(cursor, 0x20))
            v := byte(0, calldataload(add(cursor, 0x40)))
            mstore(add(buffer, 0x20), v)
            calldatacopy(add(buffer, 0x40), cursor, 0x40)
            // The precompile returns nothing for what is no signature: the word stays zero, and no key hashes to zero.
            mstore(0, 0)
            pop(staticcall(gas(), 1, buffer, 0x80, 0, 0x20))
            recovered := mload(0)
        }
        if (s > HALF_ORDER) revert IBatchChain.CommitCertificate_HighS(index, bytes32(s));
        if (v != 27 && v != 28) revert IBatchChain.CommitCertificate_BadRecoveryId(index, v);
        if (recovered != expected || recovered == address(0)) {
            revert IBatchChain.CommitCertificate_WrongSigner(index, recovered, expected);
        }
    }
}
