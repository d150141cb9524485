// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title IBatchChain: the chain of L2 batches on L1
/// @notice Accepts a batch of L2 blocks when the block that seals it carries a commit certificate of the frozen set,
/// waits the challenge window, and makes the batch FINAL. Protocol sections 5 to 7.
///
/// A batch is certified by the votes the sequencers cast anyway: the block after the range (the *sealing block*) holds
/// the hash of the `BatchHeader` in `extraData`, so the commit certificate of that block certifies the batch.
///
/// @dev The errors of the libraries `CommitCertificate` and `L2Header` are declared here too, so that one ABI decodes
/// everything `post` can answer.
interface IBatchChain {
    // ------------------------------------------------------------------------------------------------------ types

    /// @notice Life of a batch (protocol section 7). `Flagged` and `Removed` are entered by the fault modules of a
    /// later release; their numbers are fixed here so that records never need a migration.
    /// @param None No such batch.
    /// @param Posted Accepted, the challenge window runs.
    /// @param Flagged Disputed, its clock stands still.
    /// @param Removed Taken off the chain.
    /// @param Final Its state, fees and tally are usable, for ever.
    /// @param Orphaned It was accepted on top of a batch that was removed. Never stored: it follows from the index.
    enum BatchState {
        None,
        Posted,
        Flagged,
        Removed,
        Final,
        Orphaned
    }

    /// @notice Precommit votes that decide one block (protocol section 6).
    /// @param fork Re-execution count the votes were cast under; 0 until a batch was removed by proof.
    /// @param epoch σ of the height: epoch of the frozen set that votes.
    /// @param height L2 block number.
    /// @param round Consensus round of the decision.
    /// @param blockHash Hash of the decided block.
    /// @param signers Bit `i` set: member `i` of the set signed.
    /// @param signatures 65 bytes (`r ‖ s ‖ v`, low `s`, `v` 27 or 28) for each set bit, in ascending member order.
    struct CommitCertificate {
        uint32 fork;
        uint32 epoch;
        uint64 height;
        uint32 round;
        bytes32 blockHash;
        uint256 signers;
        bytes signatures;
    }

    /// @notice What the members of a set did in an epoch that ended (protocol section 9). All zero when none ended.
    /// @param epoch σ the figures are about.
    /// @param root keccak256 of the entries, 32 bytes for each member in member order.
    /// @param count Number of entries.
    /// @param blocks Blocks produced under σ.
    /// @param fees Wei: base fees burned plus all priority fees of σ.
    struct Tally {
        uint32 epoch;
        bytes32 root;
        uint32 count;
        uint64 blocks;
        uint128 fees;
    }

    /// @notice Everything L1 learns about a range of L2 blocks. Its hash is `keccak256(abi.encode(header))`.
    /// @param index 1 for the first batch, then the parent's plus one.
    /// @param parent Hash of the batch before; the L2 genesis hash for the first.
    /// @param attempt Count of removals without a fault; part of the hash so that a re-commitment is a new batch.
    /// @param fork Count of removals by proof.
    /// @param epoch σ of the sealing block.
    /// @param firstBlock First L2 block of the range: the parent's `lastBlock` plus one.
    /// @param lastBlock Last L2 block of the range.
    /// @param lastBlockHash Hash of `lastBlock`.
    /// @param stateRoot State root after `lastBlock`.
    /// @param dataHash keccak256 of the canonical encoding of the range.
    /// @param depositEnd Number of L1 deposits credited up to `lastBlock`.
    /// @param forcedEnd Number of forced transactions consumed up to `lastBlock`; 0 in this release.
    /// @param l1OriginNumber L1 origin of `lastBlock`: block number.
    /// @param l1OriginHash L1 origin of `lastBlock`: block hash.
    /// @param tally Figures of an epoch that ended in this batch, else zero.
    struct BatchHeader {
        uint64 index;
        bytes32 parent;
        uint32 attempt;
        uint32 fork;
        uint32 epoch;
        uint64 firstBlock;
        uint64 lastBlock;
        bytes32 lastBlockHash;
        bytes32 stateRoot;
        bytes32 dataHash;
        uint64 depositEnd;
        uint64 forcedEnd;
        uint64 l1OriginNumber;
        bytes32 l1OriginHash;
        Tally tally;
    }

    /// @notice What is stored about a batch.
    /// @param state Where it is in its life.
    /// @param index Its place in the chain.
    /// @param parent Hash of the batch before it; zero when the batch no longer stands on the chain.
    /// @param finalAt Unix seconds from which `finalize` accepts it.
    /// @param poster Who posted it and is owed the posting reward.
    /// @param carriesTally Whether its header carries the tally of an ended epoch.
    struct Batch {
        BatchState state;
        uint64 index;
        bytes32 parent;
        uint64 finalAt;
        address poster;
        bool carriesTally;
    }

    /// @notice Where the chain stands: what the next batch must continue.
    /// @param hash Hash of the last batch; the L2 genesis hash before the first.
    /// @param index Its index.
    /// @param lastBlock Its last L2 block.
    /// @param epoch σ of its sealing block.
    /// @param tallyEpoch Last epoch whose tally is on the chain.
    /// @param depositEnd Deposits credited so far.
    /// @param forcedEnd Forced transactions consumed so far.
    /// @param l1OriginNumber L1 origin of its last block.
    /// @param fork Fork the next header must name.
    /// @param attempt Attempt the next header must name.
    struct Head {
        bytes32 hash;
        uint64 index;
        uint64 lastBlock;
        uint32 epoch;
        uint32 tallyEpoch;
        uint64 depositEnd;
        uint64 forcedEnd;
        uint64 l1OriginNumber;
        uint32 fork;
        uint32 attempt;
    }

    /// @notice Fixed parameters of a network, checked by the constructor.
    /// @param genesis Unix seconds at which epoch 0 starts.
    /// @param epochSeconds Length of an epoch, in seconds.
    /// @param l2ChainId Chain id of L2: part of every vote's signing domain.
    /// @param l2GenesisHash Hash of L2 block 0: parent of the first batch.
    /// @param challengeWindow Seconds between `post` and `finalize`.
    /// @param maxSetAge Epochs a set may be behind the set that served at the batch's own L1 origin.
    struct Config {
        uint64 genesis;
        uint64 epochSeconds;
        uint64 l2ChainId;
        bytes32 l2GenesisHash;
        uint64 challengeWindow;
        uint32 maxSetAge;
    }

    // ----------------------------------------------------------------------------------------------------- events

    /// @notice A batch was accepted.
    /// @param hash Hash of its header.
    /// @param index Its index.
    /// @param lastBlock Its last L2 block.
    /// @param poster Who posted it.
    event BatchPosted(bytes32 indexed hash, uint64 indexed index, uint64 lastBlock, address poster);

    /// @notice A batch became FINAL.
    event BatchFinalized(bytes32 indexed hash, uint64 indexed index);

    /// @notice The hash of an L1 block is known for ever.
    event L1Anchored(uint64 indexed number, bytes32 hash);

    /// @notice The reward vault did not book the poster's reward; the batch is FINAL all the same.
    event PostingRewardFailed(bytes32 indexed hash, address indexed poster);

    // ----------------------------------------------------------------------------------------------------- errors

    /// @notice A constructor parameter is out of its bounds (`name` is the field of `Config`).
    error BatchChain_BadConfig(string name, uint256 value);
    /// @notice A constructor address is zero.
    error BatchChain_ZeroAddress(string name);
    /// @notice The guardian's pause runs.
    error BatchChain_Paused();
    /// @notice The header does not continue the head.
    error BatchChain_WrongParent(bytes32 actual, bytes32 head);
    /// @notice The header's index is not the head's plus one.
    error BatchChain_WrongIndex(uint64 actual, uint64 expected);
    /// @notice The header names another fork than the chain's.
    error BatchChain_WrongFork(uint32 actual, uint32 expected);
    /// @notice The header names another attempt than the chain's.
    error BatchChain_WrongAttempt(uint32 actual, uint32 expected);
    /// @notice The range does not start right after the head's last block.
    error BatchChain_WrongFirstBlock(uint64 actual, uint64 expected);
    /// @notice The range ends before it starts, or beyond the largest block number a record holds.
    error BatchChain_WrongLastBlock(uint64 lastBlock, uint64 firstBlock);
    /// @notice The data does not hash to the header's `dataHash`.
    error BatchChain_WrongData(bytes32 actual, bytes32 expected);
    /// @notice The header consumes forced transactions, which do not exist in this release.
    error BatchChain_WrongForcedEnd(uint64 actual, uint64 expected);
    /// @notice The header takes back deposits the head already credited.
    error BatchChain_DepositsGoBack(uint64 actual, uint64 head);
    /// @notice The header credits deposits that L1 had not seen at the batch's origin.
    error BatchChain_DepositsAhead(uint64 actual, uint64 atOrigin);
    /// @notice The L1 origin is older than the head's.
    error BatchChain_OriginGoesBack(uint64 actual, uint64 head);
    /// @notice The L1 origin is not the block the header names.
    error BatchChain_WrongOrigin(uint64 number, bytes32 actual, bytes32 anchored);
    /// @notice The block is not in L1's past, or too old for L1 to know its hash, and nobody anchored it.
    error BatchChain_OriginUnknown(uint64 number);
    /// @notice The tally is neither empty nor of an epoch after the last tally and before the sealing block's.
    error BatchChain_WrongTally(uint32 actual, uint32 last, uint32 sealing);
    /// @notice The tally names no epoch but is not empty.
    error BatchChain_TallyNotEmpty();
    /// @notice The set is older than the head's.
    error BatchChain_SetGoesBack(uint32 actual, uint32 head);
    /// @notice The set's epoch has not started.
    error BatchChain_SetNotStarted(uint32 actual, uint32 current);
    /// @notice At the batch's own L1 origin, another set had taken over more than `maxSetAge` epochs later.
    error BatchChain_SetTooOld(uint32 actual, uint32 served, uint32 maxSetAge);
    /// @notice The sealing block is not the block after the range.
    error BatchChain_WrongSealingNumber(uint64 actual, uint64 expected);
    /// @notice The sealing block does not build on the range.
    error BatchChain_WrongSealingParent(bytes32 actual, bytes32 expected);
    /// @notice The sealing block's `extraData` is not the hash of the header.
    error BatchChain_NotSealed(bytes32 extraData, uint256 length, bytes32 batchHash);
    /// @notice The certificate is for another height than the sealing block's.
    error BatchChain_WrongCertificateHeight(uint64 actual, uint64 expected);
    /// @notice The certificate is for another block than the sealing block.
    error BatchChain_WrongCertificateBlock(bytes32 actual, bytes32 expected);
    /// @notice The certificate is of another set than the header's.
    error BatchChain_WrongCertificateEpoch(uint32 actual, uint32 expected);
    /// @notice The certificate was given under another fork than the header's.
    error BatchChain_WrongCertificateFork(uint32 actual, uint32 expected);
    /// @notice The batch is not POSTED on the chain.
    error BatchChain_NotPosted(bytes32 batchHash, BatchState state);
    /// @notice An earlier batch has to become FINAL first.
    error BatchChain_ParentNotFinal(bytes32 batchHash, uint64 index, uint64 finalIndex);
    /// @notice The challenge window still runs.
    error BatchChain_NotDue(bytes32 batchHash, uint256 finalAt);
    /// @notice `finalize` was called with too little gas to pass the full allowance to the reward vault.
    error BatchChain_InsufficientGas(uint256 actual, uint256 minimum);
    /// @notice There is no final tally of that number.
    error BatchChain_UnknownTally(uint256 number, uint256 count);
    /// @notice A header of the ancestor proof is not the block expected at that place.
    error BatchChain_BrokenAncestry(uint256 position, bytes32 actual, bytes32 expected);

    /// @notice No set was frozen for that epoch.
    error CommitCertificate_UnknownSet(uint32 epoch);
    /// @notice The members are not those of the frozen set.
    error CommitCertificate_WrongMembers(bytes32 actual, bytes32 setHash);
    /// @notice The member bytes are not 1 to 256 words.
    error CommitCertificate_MalformedMembers(uint256 length);
    /// @notice The bitmap names a member the set does not have.
    error CommitCertificate_UnknownMember(uint256 signers, uint256 memberCount);
    /// @notice The signatures do not take 65 bytes for each set bit.
    error CommitCertificate_WrongSignatureLength(uint256 actual, uint256 expected);
    /// @notice `s` is in the upper half of the curve order (malleable).
    error CommitCertificate_HighS(uint256 member, bytes32 s);
    /// @notice `v` is neither 27 nor 28.
    error CommitCertificate_BadRecoveryId(uint256 member, uint8 v);
    /// @notice The signature is not the member's (`recovered` is zero when it is no signature at all).
    error CommitCertificate_WrongSigner(uint256 member, address recovered, address expected);
    /// @notice The signers do not hold strictly more than two thirds of the set's weight (both in gwei).
    error CommitCertificate_NoQuorum(uint256 signedWeight, uint256 totalWeight);

    /// @notice The header is not one canonical RLP list: the byte at `offset` is not what the shape demands.
    error L2Header_Malformed(uint256 offset);
    /// @notice The list does not fill the bytes exactly.
    error L2Header_WrongLength(uint256 actual, uint256 expected);

    // --------------------------------------------------------------------------------------------------- changes

    /// @notice Appends a batch to the chain. Anyone may post; the certificate is the authority.
    ///
    /// Emits {BatchPosted}.
    ///
    /// Everything checked here follows from the certified content and from L1 facts that do not change by waiting, so
    /// a batch that is valid once stays valid until another batch takes its place (protocol section 7, B4).
    ///
    /// Requirements, in check order:
    /// - not paused ({BatchChain_Paused});
    /// - parent, index, fork, attempt and first block continue the head; the range is not empty
    /// ({BatchChain_WrongParent}, {BatchChain_WrongIndex}, {BatchChain_WrongFork}, {BatchChain_WrongAttempt},
    /// {BatchChain_WrongFirstBlock},
    ///   {BatchChain_WrongLastBlock});
    /// - no forced transactions in this release ({BatchChain_WrongForcedEnd});
    /// - the tally is empty or of an ended epoch after the last one ({BatchChain_TallyNotEmpty},
    /// {BatchChain_WrongTally}); - the data is the certified data ({BatchChain_WrongData});
    /// - the set is not older than the head's, has started, and is not outdated at its own origin
    ///   ({BatchChain_SetGoesBack}, {BatchChain_SetNotStarted}, {BatchChain_SetTooOld});
    /// - the sealing header is well formed, follows the range and holds the batch hash ({L2Header_Malformed},
    ///   {L2Header_WrongLength}, {BatchChain_WrongSealingNumber}, {BatchChain_WrongSealingParent},
    ///   {BatchChain_NotSealed});
    /// - the L1 origin does not go back and is the block L1 knows, or anchored, under that number ({BatchChain_OriginGoesBack},
    ///   {BatchChain_OriginUnknown}, {BatchChain_WrongOrigin});
    /// - deposits do not go back and had happened at the origin ({BatchChain_DepositsGoBack},
    ///   {BatchChain_DepositsAhead});
    /// - the certificate is for this block, set and fork, and holds a quorum ({BatchChain_WrongCertificateHeight},
    ///   {BatchChain_WrongCertificateBlock}, {BatchChain_WrongCertificateEpoch}, {BatchChain_WrongCertificateFork} and
    ///   every `CommitCertificate_` error).
    /// @param header The batch.
    /// @param sealingHeaderRlp RLP of the L2 header of block `lastBlock + 1` (Osaka shape, 21 fields).
    /// @param certificate Commit certificate of that block.
    /// @param members Members of the frozen set of `header.epoch`, 32 bytes each, as emitted by `EpochFrozen`.
    /// @param data Canonical encoding of the range. Only hashed: it is calldata so that everyone can re-execute.
    function post(
        BatchHeader calldata header,
        bytes calldata sealingHeaderRlp,
        CommitCertificate calldata certificate,
        bytes calldata members,
        bytes calldata data
    ) external;

    /// @notice Makes a POSTED batch FINAL after its challenge window, and books the poster's reward.
    ///
    /// Emits {BatchFinalized}, and {PostingRewardFailed} when the reward vault refuses.
    ///
    /// Never stopped by a pause, by the reward vault or by its reserve.
    ///
    /// Requirements: the batch stands on the chain as POSTED ({BatchChain_NotPosted}), its parent is FINAL
    /// ({BatchChain_ParentNotFinal}), its window is over ({BatchChain_NotDue}), and enough gas is left to give the
    /// reward vault its full allowance ({BatchChain_InsufficientGas}).
    /// @param batchHash The batch.
    function finalize(bytes32 batchHash) external;

    /// @notice Keeps the hash of an L1 block for ever. Nothing happens when it is known already.
    ///
    /// Emits {L1Anchored}.
    ///
    /// Reverts with {BatchChain_OriginUnknown} when L1 itself cannot tell the hash: the block is not in the past or is
    /// more than 8191 blocks old (EIP-2935). Older blocks: {anchorAncestor}.
    /// @param l1Block L1 block number.
    function anchor(uint64 l1Block) external;

    /// @notice Anchors the parent of the current L1 block, and notes the first L1 block seen in this epoch. Called by
    /// `SequencerSet.freeze`, so each frozen set has an anchor near its start. Never reverts; cheap when done already.
    function anchorLatest() external;

    /// @notice Anchors a block that is too old for L1 to know, by the chain of headers down from an anchored block.
    /// This is what keeps a late batch postable without a limit in time.
    ///
    /// Emits {L1Anchored}.
    ///
    /// Requirements: block `descendant` is anchored ({BatchChain_OriginUnknown}), and each header hashes to the parent
    /// hash of the one before it ({BatchChain_BrokenAncestry}).
    /// @param descendant Number of an anchored L1 block.
    /// @param headers RLP of the L1 headers of `descendant`, `descendant − 1`, … The parent of the last is
    /// anchored.
    function anchorAncestor(uint64 descendant, bytes[] calldata headers) external;

    // ----------------------------------------------------------------------------------------------------- views

    /// @notice Hash of the last batch; the L2 genesis hash before the first.
    function head() external view returns (bytes32);
    /// @notice Index of the last batch, 0 before the first.
    function headIndex() external view returns (uint64);
    /// @notice All that the next batch must continue.
    function headState() external view returns (Head memory);
    /// @notice Hash of the last FINAL batch; the L2 genesis hash before the first.
    function finalHead() external view returns (bytes32);
    /// @notice Index of the last FINAL batch, 0 before the first.
    function finalIndex() external view returns (uint64);
    /// @notice Hash of the batch that stands at an index; the L2 genesis hash at 0, zero when none.
    function batchAt(uint64 index) external view returns (bytes32);
    /// @notice What is stored about a batch; all zero for an unknown hash.
    function batchOf(bytes32 batchHash) external view returns (Batch memory);
    /// @notice Where a batch is in its life.
    function stateOf(bytes32 batchHash) external view returns (BatchState);
    /// @notice Whether the batch is FINAL.
    function isFinal(bytes32 batchHash) external view returns (bool);
    /// @notice Hash of the next batch `finalize` accepts now, 0 when none is due.
    function finalizable() external view returns (bytes32);
    /// @notice Hash of an L1 block if it was anchored, else 0.
    function anchorOf(uint64 l1Block) external view returns (bytes32);
    /// @notice Number of FINAL batches that carry a tally.
    function tallyCount() external view returns (uint256);
    /// @notice Hash of the `number`-th FINAL batch that carries a tally, from 0; reverts with
    /// {BatchChain_UnknownTally}. Rewards are opened in this order.
    function tallyAt(uint256 number) external view returns (bytes32);
    /// @notice Epoch that L1 had certainly reached at an L1 block: the epoch noted last at or before it.
    function epochSeenAt(uint64 l1Block) external view returns (uint32);
    /// @notice Hash of a header, `keccak256(abi.encode(header))`.
    function hashOf(BatchHeader calldata header) external pure returns (bytes32);
    /// @notice EIP-712 domain of the votes: `{name "Rota", version "1", chainId = L2_CHAIN_ID, verifyingContract =
    /// this}`.
    function domainSeparator() external view returns (bytes32);
    /// @notice L2 chain id.
    function L2_CHAIN_ID() external view returns (uint64);
    /// @notice Hash of L2 block 0.
    function L2_GENESIS_HASH() external view returns (bytes32);
    /// @notice Seconds between `post` and `finalize`.
    function CHALLENGE_WINDOW() external view returns (uint64);
    /// @notice Epochs a set may be behind the set that served at the batch's own L1 origin.
    function MAX_SET_AGE() external view returns (uint32);
}
