// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title IEvidence: signed messages of sequencers, as evidence against them
/// @notice What all fault modules that judge by signatures share (protocol sections 6 and 10): the messages, the errors
/// and the rule under which set a signer answers.
///
/// A signature is evidence only in the one form the nodes themselves accept: 65 bytes `r ‖ s ‖ v`, low `s`, `v` 27 or
/// 28, over the EIP-712 digest of the domain `{name "Rota", version "1", chainId = L2 chain id, verifyingContract =
/// BatchChain}`. A message of another chain, contract, fork, epoch, height, round or kind has another digest: what is
/// recovered from its signature is no key of anybody's (S8).
interface IEvidence {
    /// @notice A vote and its signature.
    /// @param kind 1 prevote, 2 precommit.
    /// @param fork Count of re-executions.
    /// @param epoch σ of the height, as the voter signed it.
    /// @param height L2 block number.
    /// @param round Consensus round.
    /// @param blockHash The block, 0 for nil.
    /// @param signature 65 bytes.
    struct SignedVote {
        uint8 kind;
        uint32 fork;
        uint32 epoch;
        uint64 height;
        uint32 round;
        bytes32 blockHash;
        bytes signature;
    }

    /// @notice A leader's proposal and its signature.
    /// @param fork Count of re-executions.
    /// @param epoch σ of the height, as the leader signed it.
    /// @param height L2 block number.
    /// @param round Consensus round.
    /// @param polRound Round of the polka the proposal repeats, −1 for a fresh one.
    /// @param blockHash The block.
    /// @param signature 65 bytes.
    struct SignedProposal {
        uint32 fork;
        uint32 epoch;
        uint64 height;
        uint32 round;
        int64 polRound;
        bytes32 blockHash;
        bytes signature;
    }

    /// @notice Where a fault module finds what it needs.
    /// @param slasher The `ISlasher` that carries out its verdicts.
    /// @param sequencerSet The `ISequencerSet` with the frozen sets.
    /// @param batchChain The `IBatchChain`: verifying contract of every signature.
    /// @param l2ChainId Chain id of L2.
    struct Wiring {
        address slasher;
        address sequencerSet;
        address batchChain;
        uint64 l2ChainId;
    }

    /// @notice A constructor address or the chain id is zero (`name` is the field of `Wiring`).
    error Evidence_ZeroWiring(string name);
    /// @notice A vote is neither a prevote nor a precommit.
    error Evidence_UnknownVoteKind(uint8 kind);
    /// @notice The messages are of two kinds: a prevote and a precommit do not contradict each other.
    error Evidence_DifferentKinds(uint8 first, uint8 second);
    /// @notice The messages were signed before and after a re-execution.
    error Evidence_DifferentForks(uint32 first, uint32 second);
    /// @notice The messages name two epochs, and the fault is one of a single set.
    error Evidence_DifferentEpochs(uint32 first, uint32 second);
    /// @notice The messages are about two heights.
    error Evidence_DifferentHeights(uint64 first, uint64 second);
    /// @notice The messages are about two rounds.
    error Evidence_DifferentRounds(uint32 first, uint32 second);
    /// @notice The messages say the same.
    error Evidence_NoContradiction(uint32 epoch, bytes32 blockHash);
    /// @notice The messages were signed by two keys, or one of them is not of this chain and contract at all.
    error Evidence_DifferentSigners(address first, address second);
    /// @notice A signature has not 65 bytes.
    error Evidence_WrongSignatureLength(uint256 length);
    /// @notice `s` is in the upper half of the curve order (malleable).
    error Evidence_HighS(bytes32 s);
    /// @notice `v` is neither 27 nor 28.
    error Evidence_BadRecoveryId(uint8 v);
    /// @notice No key signs the message so.
    error Evidence_NoSigner(bytes32 digest);
    /// @notice No set was frozen for that epoch.
    error Evidence_UnknownSet(uint32 epoch);
    /// @notice The members are not those of the set frozen for that epoch.
    error Evidence_WrongMembers(uint32 epoch, bytes32 actual, bytes32 setHash);
    /// @notice The key was not a member of the set of a signed epoch.
    error Evidence_NotAMember(address signer, uint32 epoch);
    /// @notice Two epochs were signed, and of neither the key is a member of a set for which evidence is taken now.
    error Evidence_NotAMemberOfEither(address signer, uint32 first, uint32 second);
    /// @notice One epoch was signed, so there is no second set to show.
    error Evidence_SpareMembers(uint32 epoch, uint256 length);

    /// @notice EIP-712 domain of the messages; equal to `IBatchChain.domainSeparator`.
    function domainSeparator() external view returns (bytes32);
}
