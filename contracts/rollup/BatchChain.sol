// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {EpochClock} from "../base/EpochClock.sol";
import {IBatchChain} from "../interfaces/IBatchChain.sol";
import {IGuardian} from "../interfaces/IGuardian.sol";
import {IPortal} from "../interfaces/IPortal.sol";
import {IRewardVault} from "../interfaces/IRewardVault.sol";
import {ISequencerSet} from "../interfaces/ISequencerSet.sol";
import "./CommitCertificate.sol" as Certificates;
import {L2Header} from "./L2Header.sol";

/// @title BatchChain
/// @notice Sequences what the interface promises; the certificate and the header are read by their libraries.
/// @dev A batch costs two storage slots: its hash at its index, and one packed record. What only the next batch needs
/// (the tip) is one slot that is overwritten. A removal, in a later release, restores the tip from the parent's header,
/// which its hash commits to; records keep 8 bits for it and the fork and attempt counters get a slot of their own.
contract BatchChain is IBatchChain, EpochClock {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;

    /// @dev One slot: 160 + 40 + 32 + 8 + 8 bits.
    struct Record {
        address poster;
        uint40 finalAt;
        uint32 index;
        BatchState state;
        bool carriesTally;
    }

    /// @dev One slot, full. Widths: 2^32 batches of 12 s are 1,600 years, 2^48 blocks of 250 ms two million; a deposit
    /// costs gas, so 2^40 of them never happen.
    struct Tip {
        uint32 index;
        uint48 lastBlock;
        uint32 epoch;
        uint32 tallyEpoch;
        uint40 depositEnd;
        uint32 forcedEnd;
        uint40 l1OriginNumber;
    }

    /// @dev 14 words of the header and 5 of its tally.
    uint256 private constant HEADER_BYTES = 608;
    /// @dev Gas the reward vault may spend to book a posting reward: two new slots and some reads, twice over.
    uint256 private constant REWARD_GAS = 150_000;
    /// @dev Nothing can be removed in this release, so no re-execution and no second attempt exist.
    uint32 private constant FORK = 0;
    uint32 private constant ATTEMPT = 0;
    /// @dev Bounds of the constructor.
    uint64 private constant MAX_CHALLENGE_WINDOW = 30 days;
    uint32 private constant SET_AGE_CEILING = 100;

    /// @inheritdoc IBatchChain
    uint64 public immutable L2_CHAIN_ID;
    /// @inheritdoc IBatchChain
    bytes32 public immutable L2_GENESIS_HASH;
    /// @inheritdoc IBatchChain
    uint64 public immutable CHALLENGE_WINDOW;
    /// @inheritdoc IBatchChain
    uint32 public immutable MAX_SET_AGE;
    /// @inheritdoc IBatchChain
    bytes32 public immutable domainSeparator;

    ISequencerSet private immutable SET;
    IPortal private immutable PORTAL;
    IRewardVault private immutable REWARD_VAULT;
    IGuardian private immutable GUARDIAN;

    Tip private _tip;
    /// @inheritdoc IBatchChain
    uint64 public finalIndex;
    mapping(uint256 index => bytes32) private _hashAt;
    mapping(bytes32 batchHash => Record) private _records;
    mapping(uint256 l1Block => bytes32) private _anchors;
    bytes32[] private _tallies;
    /// @dev L1 epoch by L1 block: an entry for the first block seen in each epoch.
    Checkpoints.Trace208 private _epochs;

    /// @param config Parameters of the network.
    /// @param sequencerSet Frozen sets.
    /// @param portal Deposits.
    /// @param rewardVault Books posting rewards.
    /// @param guardian May pause `post`.
    constructor(Config memory config, address sequencerSet, address portal, address rewardVault, address guardian)
        EpochClock(config.genesis, config.epochSeconds)
    {
        if (config.l2ChainId == 0) revert BatchChain_BadConfig("l2ChainId", 0);
        if (config.l2GenesisHash == 0) revert BatchChain_BadConfig("l2GenesisHash", 0);
        if (config.challengeWindow == 0 || config.challengeWindow > MAX_CHALLENGE_WINDOW) {
            revert BatchChain_BadConfig("challengeWindow", config.challengeWindow);
        }
        if (config.maxSetAge == 0 || config.maxSetAge > SET_AGE_CEILING) {
            revert BatchChain_BadConfig("maxSetAge", config.maxSetAge);
        }
        if (sequencerSet == address(0)) revert BatchChain_ZeroAddress("sequencerSet");
        if (portal == address(0)) revert BatchChain_ZeroAddress("portal");
        if (rewardVault == address(0)) revert BatchChain_ZeroAddress("rewardVault");
        if (guardian == address(0)) revert BatchChain_ZeroAddress("guardian");
        L2_CHAIN_ID = config.l2ChainId;
        L2_GENESIS_HASH = config.l2GenesisHash;
        CHALLENGE_WINDOW = config.challengeWindow;
        MAX_SET_AGE = config.maxSetAge;
        SET = ISequencerSet(sequencerSet);
        PORTAL = IPortal(portal);
        REWARD_VAULT = IRewardVault(rewardVault);
        GUARDIAN = IGuardian(guardian);
        domainSeparator = Certificates.CommitCertificate.domainSeparator(config.l2ChainId, address(this));
        _hashAt[0] = config.l2GenesisHash;
    }

    // --------------------------------------------------------------------------------------------------- changes

    /// @inheritdoc IBatchChain
    function post(
        BatchHeader calldata header,
        bytes calldata sealingHeaderRlp,
        CommitCertificate calldata certificate,
        bytes calldata members,
        bytes calldata data
    ) external {
        if (GUARDIAN.isPaused()) revert BatchChain_Paused();
        Tip memory tip = _tip;
        bytes32 batchHash = _hash(header);

        _checkPlace(header, tip);
        _checkTally(header.tally, tip.tallyEpoch, header.epoch);
        bytes32 dataHash = keccak256(data);
        if (dataHash != header.dataHash) revert BatchChain_WrongData(dataHash, header.dataHash);
        _checkSet(header.epoch, tip.epoch, header.l1OriginNumber);
        bytes32 sealingHash = _checkSeal(header, sealingHeaderRlp, batchHash);
        _checkOrigin(header.l1OriginNumber, header.l1OriginHash, tip.l1OriginNumber);
        _checkDeposits(header.depositEnd, tip.depositEnd, header.l1OriginNumber);
        _checkCertificate(header, certificate, sealingHash);
        Certificates.CommitCertificate.verify(certificate, domainSeparator, members, SET.setHash(header.epoch));

        _append(header, tip, batchHash);
    }

    /// @inheritdoc IBatchChain
    function finalize(bytes32 batchHash) external {
        Record storage record = _records[batchHash];
        if (record.state != BatchState.Posted) revert BatchChain_NotPosted(batchHash, record.state);
        uint64 index = record.index;
        if (index != finalIndex + 1) revert BatchChain_ParentNotFinal(batchHash, index, finalIndex);
        if (block.timestamp < record.finalAt) revert BatchChain_NotDue(batchHash, record.finalAt);

        record.state = BatchState.Final;
        finalIndex = index;
        if (record.carriesTally) _tallies.push(batchHash);
        emit BatchFinalized(batchHash, index);
        _rewardPoster(batchHash, record.poster, index);
    }

    /// @inheritdoc IBatchChain
    function anchor(uint64 l1Block) external {
        if (_anchors[l1Block] != 0) return;
        bytes32 hash = Blockhash.blockHash(l1Block);
        if (hash == 0) revert BatchChain_OriginUnknown(l1Block);
        _keep(l1Block, hash);
    }

    /// @inheritdoc IBatchChain
    function anchorLatest() external {
        uint256 l1Block = block.number - 1;
        if (_anchors[l1Block] == 0) _keep(l1Block, blockhash(l1Block));
        uint32 current = currentEpoch();
        (bool exists,, uint208 last) = _epochs.latestCheckpoint();
        // forge-lint: disable-next-line(unsafe-typecast)
        if (!exists || last < current) _epochs.push(uint48(block.number), current);
    }

    /// @inheritdoc IBatchChain
    function anchorAncestor(uint64 descendant, bytes[] calldata headers) external {
        bytes32 expected = _anchors[descendant];
        if (expected == 0) revert BatchChain_OriginUnknown(descendant);
        for (uint256 i = 0; i < headers.length; ++i) {
            bytes32 actual = keccak256(headers[i]);
            if (actual != expected) revert BatchChain_BrokenAncestry(i, actual, expected);
            // A block hash commits to the shape: three bytes of list prefix, one of the string, then the parent hash.
            expected = bytes32(headers[i][4:36]);
        }
        uint256 l1Block = descendant - headers.length;
        if (_anchors[l1Block] == 0) _keep(l1Block, expected);
    }

    // ------------------------------------------------------------------------------------------------ checks of post

    /// @dev The header continues the tip. Forced transactions do not exist yet, so none can be consumed.
    function _checkPlace(BatchHeader calldata header, Tip memory tip) private view {
        bytes32 parent = _hashAt[tip.index];
        if (header.parent != parent) revert BatchChain_WrongParent(header.parent, parent);
        if (header.index != uint64(tip.index) + 1) revert BatchChain_WrongIndex(header.index, uint64(tip.index) + 1);
        if (header.fork != FORK) revert BatchChain_WrongFork(header.fork, FORK);
        if (header.attempt != ATTEMPT) revert BatchChain_WrongAttempt(header.attempt, ATTEMPT);
        uint64 firstBlock = uint64(tip.lastBlock) + 1;
        if (header.firstBlock != firstBlock) revert BatchChain_WrongFirstBlock(header.firstBlock, firstBlock);
        if (header.lastBlock < firstBlock || header.lastBlock >= type(uint48).max) {
            revert BatchChain_WrongLastBlock(header.lastBlock, firstBlock);
        }
        if (header.forcedEnd != tip.forcedEnd) revert BatchChain_WrongForcedEnd(header.forcedEnd, tip.forcedEnd);
    }

    /// @dev An epoch has ended only when the sealing block is served by a later set.
    function _checkTally(Tally calldata tally, uint32 last, uint32 sealing) private pure {
        // All are read in either case: see `_hash`.
        bool empty = uint256(tally.root) | tally.count | tally.blocks | tally.fees == 0;
        if (tally.epoch == 0) {
            if (!empty) revert BatchChain_TallyNotEmpty();
        } else if (tally.epoch <= last || tally.epoch >= sealing) {
            revert BatchChain_WrongTally(tally.epoch, last, sealing);
        }
    }

    /// @dev F9. The age is measured at the batch's own origin, not now, so waiting never makes a batch too old (B4). No
    /// set later than that of the coming epoch exists, which settles it for every batch that is posted in time.
    function _checkSet(uint32 epoch, uint32 tipEpoch, uint64 l1Origin) private view {
        if (epoch < tipEpoch) revert BatchChain_SetGoesBack(epoch, tipEpoch);
        uint32 current = currentEpoch();
        if (epoch > current) revert BatchChain_SetNotStarted(epoch, current);
        uint256 youngest = uint256(epoch) + MAX_SET_AGE;
        if (current < youngest) return;
        uint32 served = SET.frozenEpochAt(epochSeenAt(l1Origin));
        if (served > youngest) revert BatchChain_SetTooOld(epoch, served, MAX_SET_AGE);
    }

    /// @dev The sealing block follows the range and holds the batch hash; returns its hash.
    function _checkSeal(BatchHeader calldata header, bytes calldata rlp, bytes32 batchHash)
        private
        pure
        returns (bytes32)
    {
        L2Header.Fields memory sealing = L2Header.decode(rlp);
        if (sealing.number != header.lastBlock + 1) {
            revert BatchChain_WrongSealingNumber(sealing.number, header.lastBlock + 1);
        }
        if (sealing.parentHash != header.lastBlockHash) {
            revert BatchChain_WrongSealingParent(sealing.parentHash, header.lastBlockHash);
        }
        if (sealing.extraLength != 32 || sealing.extraData != batchHash) {
            revert BatchChain_NotSealed(sealing.extraData, sealing.extraLength, batchHash);
        }
        return sealing.hash;
    }

    /// @dev L1 is asked first: a batch in time pays for no anchor. The record then vouches for its origin.
    function _checkOrigin(uint64 number, bytes32 hash, uint64 tipNumber) private view {
        if (number < tipNumber) revert BatchChain_OriginGoesBack(number, tipNumber);
        bytes32 actual = blockhash(number);
        if (actual == 0) actual = _anchors[number];
        if (actual == 0) actual = Blockhash.blockHash(number);
        if (actual == 0) revert BatchChain_OriginUnknown(number);
        if (hash != actual) revert BatchChain_WrongOrigin(number, hash, actual);
    }

    /// @dev Equal to the tip's needs no look: the tip's origin is not later.
    function _checkDeposits(uint64 depositEnd, uint64 tipDepositEnd, uint64 l1Origin) private view {
        if (depositEnd == tipDepositEnd) return;
        if (depositEnd < tipDepositEnd) revert BatchChain_DepositsGoBack(depositEnd, tipDepositEnd);
        uint64 atOrigin = PORTAL.depositCountAt(l1Origin);
        if (depositEnd > atOrigin) revert BatchChain_DepositsAhead(depositEnd, atOrigin);
    }

    function _checkCertificate(BatchHeader calldata header, CommitCertificate calldata certificate, bytes32 sealingHash)
        private
        pure
    {
        uint64 height = header.lastBlock + 1;
        if (certificate.height != height) revert BatchChain_WrongCertificateHeight(certificate.height, height);
        if (certificate.blockHash != sealingHash) {
            revert BatchChain_WrongCertificateBlock(certificate.blockHash, sealingHash);
        }
        if (certificate.epoch != header.epoch) {
            revert BatchChain_WrongCertificateEpoch(certificate.epoch, header.epoch);
        }
        if (certificate.fork != header.fork) revert BatchChain_WrongCertificateFork(certificate.fork, header.fork);
    }

    /// @dev `hashOf` without the copy through the encoder: a struct of words is its own encoding. Every field narrower
    /// than a word is read by a check of `post`, and a read refuses dirty upper bits.
    function _hash(BatchHeader calldata header) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, header, HEADER_BYTES)
            hash := keccak256(buffer, HEADER_BYTES)
        }
    }

    // ------------------------------------------------------------------------------------------------------- effects

    function _append(BatchHeader calldata header, Tip memory tip, bytes32 batchHash) private {
        uint32 index = tip.index + 1;
        bool carriesTally = header.tally.epoch != 0;
        _tip = Tip({
            index: index,
            lastBlock: uint256(header.lastBlock).toUint48(),
            epoch: header.epoch,
            tallyEpoch: carriesTally ? header.tally.epoch : tip.tallyEpoch,
            depositEnd: uint256(header.depositEnd).toUint40(),
            forcedEnd: tip.forcedEnd,
            l1OriginNumber: uint256(header.l1OriginNumber).toUint40()
        });
        _hashAt[index] = batchHash;
        _records[batchHash] = Record({
            poster: msg.sender,
            finalAt: (block.timestamp + CHALLENGE_WINDOW).toUint40(),
            index: index,
            state: BatchState.Posted,
            carriesTally: carriesTally
        });
        emit BatchPosted(batchHash, index, header.lastBlock, msg.sender);
    }

    function _keep(uint256 l1Block, bytes32 hash) private {
        _anchors[l1Block] = hash;
        // forge-lint: disable-next-line(unsafe-typecast)
        emit L1Anchored(uint64(l1Block), hash);
    }

    /// @dev Books the reward with a fixed allowance, and goes on whatever happens: no answer is read, so none can be made
    /// too long, and a caller cannot starve the vault to deny the poster its reward.
    function _rewardPoster(bytes32 batchHash, address poster, uint64 index) private {
        uint256 minimum = REWARD_GAS * 64 / 63 + 10_000;
        if (gasleft() < minimum) revert BatchChain_InsufficientGas(gasleft(), minimum);
        bytes memory input = abi.encodeCall(IRewardVault.rewardPoster, (poster, index));
        address vault = address(REWARD_VAULT);
        bool ok;
        assembly ("memory-safe") {
            ok := call(REWARD_GAS, vault, 0, add(input, 0x20), mload(input), 0, 0)
        }
        if (!ok) emit PostingRewardFailed(batchHash, poster);
    }

    // --------------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IBatchChain
    function head() external view returns (bytes32) {
        return _hashAt[_tip.index];
    }

    /// @inheritdoc IBatchChain
    function headIndex() external view returns (uint64) {
        return _tip.index;
    }

    /// @inheritdoc IBatchChain
    function headState() external view returns (Head memory) {
        Tip memory tip = _tip;
        return Head({
            hash: _hashAt[tip.index],
            index: tip.index,
            lastBlock: tip.lastBlock,
            epoch: tip.epoch,
            tallyEpoch: tip.tallyEpoch,
            depositEnd: tip.depositEnd,
            forcedEnd: tip.forcedEnd,
            l1OriginNumber: tip.l1OriginNumber,
            fork: FORK,
            attempt: ATTEMPT
        });
    }

    /// @inheritdoc IBatchChain
    function finalHead() external view returns (bytes32) {
        return _hashAt[finalIndex];
    }

    /// @inheritdoc IBatchChain
    function batchAt(uint64 index) external view returns (bytes32) {
        return _hashAt[index];
    }

    /// @inheritdoc IBatchChain
    function batchOf(bytes32 batchHash) external view returns (Batch memory batch) {
        Record memory record = _records[batchHash];
        if (record.state == BatchState.None) return batch;
        batch = Batch({
            state: record.state,
            index: record.index,
            parent: _hashAt[record.index - 1],
            finalAt: record.finalAt,
            poster: record.poster,
            carriesTally: record.carriesTally
        });
    }

    /// @inheritdoc IBatchChain
    function stateOf(bytes32 batchHash) external view returns (BatchState) {
        return _records[batchHash].state;
    }

    /// @inheritdoc IBatchChain
    function isFinal(bytes32 batchHash) external view returns (bool) {
        return _records[batchHash].state == BatchState.Final;
    }

    /// @inheritdoc IBatchChain
    function finalizable() external view returns (bytes32) {
        bytes32 next = _hashAt[finalIndex + 1];
        return next != 0 && block.timestamp >= _records[next].finalAt ? next : bytes32(0);
    }

    /// @inheritdoc IBatchChain
    function anchorOf(uint64 l1Block) external view returns (bytes32) {
        return _anchors[l1Block];
    }

    /// @inheritdoc IBatchChain
    function tallyCount() external view returns (uint256) {
        return _tallies.length;
    }

    /// @inheritdoc IBatchChain
    function tallyAt(uint256 number) external view returns (bytes32) {
        if (number >= _tallies.length) revert BatchChain_UnknownTally(number, _tallies.length);
        return _tallies[number];
    }

    /// @inheritdoc IBatchChain
    function epochSeenAt(uint64 l1Block) public view returns (uint32) {
        // forge-lint: disable-next-line(unsafe-typecast)
        uint48 key = l1Block > type(uint48).max ? type(uint48).max : uint48(l1Block);
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint32(_epochs.upperLookupRecent(key));
    }

    /// @inheritdoc IBatchChain
    function hashOf(BatchHeader calldata header) public pure returns (bytes32) {
        return keccak256(abi.encode(header));
    }
}
