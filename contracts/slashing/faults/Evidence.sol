// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IEvidence} from "../../interfaces/IEvidence.sol";
import {SetMember, TallyWords} from "../../rewards/TallyWords.sol";
import {CommitCertificate} from "../../rollup/CommitCertificate.sol";

/// @title Evidence: who signed a message, and as what member
/// @notice Digests and signature rules of protocol section 6, the same that nodes and `CommitCertificate` apply.
library Evidence {
    /// @dev EIP-712 type of a proposal.
    bytes32 internal constant PROPOSAL_TYPEHASH =
        keccak256("Proposal(uint32 fork,uint32 epoch,uint64 height,uint32 round,int64 polRound,bytes32 blockHash)");

    /// @dev A member of the set of `sigma`: weights in gwei.
    struct Standing {
        uint32 sigma;
        uint32 id;
        uint64 weight;
        uint64 totalWeight;
    }

    /// @notice Who signed the vote; reverts for what is no signature.
    function voteSigner(IEvidence.SignedVote calldata vote, bytes32 domain) internal pure returns (address) {
        if (vote.kind != CommitCertificate.PREVOTE && vote.kind != CommitCertificate.PRECOMMIT) {
            revert IEvidence.Evidence_UnknownVoteKind(vote.kind);
        }
        bytes32 digest = CommitCertificate.voteDigest(
            domain, vote.kind, vote.fork, vote.epoch, vote.height, vote.round, vote.blockHash
        );
        return recover(digest, vote.signature);
    }

    /// @notice Who signed the proposal; reverts for what is no signature.
    function proposalSigner(IEvidence.SignedProposal calldata proposal, bytes32 domain)
        internal
        pure
        returns (address)
    {
        bytes32 hash = keccak256(
            abi.encode(
                PROPOSAL_TYPEHASH,
                proposal.fork,
                proposal.epoch,
                proposal.height,
                proposal.round,
                proposal.polRound,
                proposal.blockHash
            )
        );
        return recover(keccak256(abi.encodePacked(hex"1901", domain, hash)), proposal.signature);
    }

    /// @notice The key that signed `digest`, never zero.
    function recover(bytes32 digest, bytes calldata signature) internal pure returns (address signer) {
        if (signature.length != 65) revert IEvidence.Evidence_WrongSignatureLength(signature.length);
        bytes32 s = bytes32(signature[32:64]);
        uint8 v = uint8(signature[64]);
        if (uint256(s) > CommitCertificate.HALF_ORDER) revert IEvidence.Evidence_HighS(s);
        if (v != 27 && v != 28) revert IEvidence.Evidence_BadRecoveryId(v);
        signer = ecrecover(digest, v, bytes32(signature[:32]), s);
        if (signer == address(0)) revert IEvidence.Evidence_NoSigner(digest);
    }

    /// @notice Looks a key up in a set.
    /// @param members Members of the set of `sigma`; the caller has checked their hash.
    /// @return found Whether the key is a member.
    /// @return standing What it is there; the total weight is set in either case.
    function find(bytes calldata members, uint32 sigma, address signer)
        internal
        pure
        returns (bool found, Standing memory standing)
    {
        uint256 count = members.length / 32;
        uint64 total;
        SetMember match_;
        for (uint256 i = 0; i < count; ++i) {
            SetMember member = TallyWords.memberAt(members, i);
            // The weights of a frozen set, three times over, fit 64 bits.
            unchecked {
                total += member.weight();
            }
            if (member.signer() == signer) (found, match_) = (true, member);
        }
        standing = Standing({sigma: sigma, id: match_.id(), weight: match_.weight(), totalWeight: total});
    }
}
