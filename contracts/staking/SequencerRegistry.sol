// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "solady/utils/EIP712.sol";

import {EpochClock} from "../base/EpochClock.sol";
import {EpochTrace} from "../base/EpochTrace.sol";
import {IGuardian} from "../interfaces/IGuardian.sol";
import {ISequencerRegistry} from "../interfaces/ISequencerRegistry.sol";
import {ISlashEscrow} from "../interfaces/ISlashEscrow.sol";

/// @title SequencerRegistry
contract SequencerRegistry is ISequencerRegistry, EpochClock, EIP712 {
    using EpochTrace for EpochTrace.Trace;

    /// @dev Three slots at registration: owner and status, recipient, and one for each trace.
    struct Operator {
        address owner;
        Status status;
        address rewardRecipient;
        address pendingOwner;
        EpochTrace.Trace signer;
        EpochTrace.Trace commission;
    }

    /// @inheritdoc ISequencerRegistry
    uint16 public constant MAX_COMMISSION_STEP_BPS = 500;

    /// @inheritdoc ISequencerRegistry
    uint32 public constant COMMISSION_DELAY_EPOCHS = 7;

    /// @inheritdoc ISequencerRegistry
    uint256 public constant MAX_METADATA_BYTES = 512;

    /// @inheritdoc ISequencerRegistry
    uint256 public constant MAX_UNJAIL_FEE = 1000e18;

    /// @inheritdoc ISequencerRegistry
    uint256 public immutable UNJAIL_FEE;

    bytes32 private constant _PROOF_TYPEHASH =
        keccak256("ProofOfPossession(address owner,address signer,uint256 nonce)");
    uint32 private constant _EFFECTIVE_DELAY = 2;
    uint16 private constant _BPS = 10_000;

    IGuardian private immutable GUARDIAN;
    address private immutable SLASHER;
    ISlashEscrow private immutable SLASH_ESCROW;
    uint16 private immutable MAX_COMMISSION;

    /// @inheritdoc ISequencerRegistry
    uint32 public operatorCount;

    /// @inheritdoc ISequencerRegistry
    mapping(address owner => uint256 nonce) public nonces;

    /// @inheritdoc ISequencerRegistry
    mapping(address key => uint32 id) public idOfKey;

    mapping(uint32 id => Operator operator) private _operators;

    modifier onlyOwner(uint32 id) {
        _checkOwner(id);
        _;
    }

    modifier onlySlasher(uint32 id) {
        if (msg.sender != SLASHER) revert SequencerRegistry_NotSlasher(msg.sender);
        if (_operators[id].status == Status.None) revert SequencerRegistry_UnknownOperator(id);
        _;
    }

    constructor(Config memory config) EpochClock(config.genesis, config.epochSeconds) {
        if (config.guardian == address(0)) revert SequencerRegistry_ZeroGuardian();
        if (config.maxCommissionBps > _BPS) revert SequencerRegistry_InvalidMaxCommission(config.maxCommissionBps);
        if (config.unjailFee > MAX_UNJAIL_FEE || (config.unjailFee != 0 && config.slashEscrow == address(0))) {
            revert SequencerRegistry_InvalidUnjailFee(config.unjailFee, MAX_UNJAIL_FEE);
        }
        GUARDIAN = IGuardian(config.guardian);
        SLASHER = config.slasher;
        SLASH_ESCROW = ISlashEscrow(config.slashEscrow);
        UNJAIL_FEE = config.unjailFee;
        MAX_COMMISSION = config.maxCommissionBps;
    }

    /// @inheritdoc ISequencerRegistry
    function register(
        address signer,
        address rewardRecipient,
        uint16 commissionBps,
        string calldata metadataURI,
        bytes calldata proof
    ) external returns (uint32 id) {
        if (GUARDIAN.isPaused()) revert SequencerRegistry_Paused();
        if (rewardRecipient == address(0)) revert SequencerRegistry_ZeroRecipient();
        _checkCommission(commissionBps);
        _checkMetadata(metadataURI);

        id = ++operatorCount;
        _bindKey(id, msg.sender, signer, proof);
        Operator storage operator = _operators[id];
        operator.owner = msg.sender;
        operator.status = Status.Active;
        operator.rewardRecipient = rewardRecipient;
        operator.signer.push(currentEpoch() + _EFFECTIVE_DELAY, uint160(signer));
        // From epoch 0, so that the rate is defined in every epoch.
        operator.commission.push(0, commissionBps);
        emit OperatorRegistered(id, msg.sender, signer, rewardRecipient, commissionBps, metadataURI);
    }

    /// @inheritdoc ISequencerRegistry
    function rotateSigner(uint32 id, address newSigner, bytes calldata proof) external {
        address oldSigner = _checkOwnerOrSigner(id);
        Operator storage operator = _operators[id];
        _checkNotEnded(id, operator.status);
        _bindKey(id, operator.owner, newSigner, proof);
        uint32 effectiveEpoch = currentEpoch() + _EFFECTIVE_DELAY;
        operator.signer.push(effectiveEpoch, uint160(newSigner));
        emit SignerRotated(id, oldSigner, newSigner, effectiveEpoch);
    }

    /// @inheritdoc ISequencerRegistry
    function transferOwnership(uint32 id, address to) external onlyOwner(id) {
        _operators[id].pendingOwner = to;
        emit OwnershipHandOverStarted(id, msg.sender, to);
    }

    /// @inheritdoc ISequencerRegistry
    function acceptOwnership(uint32 id) external {
        Operator storage operator = _operators[id];
        if (operator.status == Status.None) revert SequencerRegistry_UnknownOperator(id);
        if (operator.pendingOwner != msg.sender) revert SequencerRegistry_NotPendingOwner(id, msg.sender);
        address from = operator.owner;
        operator.owner = msg.sender;
        operator.pendingOwner = address(0);
        emit OwnershipHandOverCompleted(id, from, msg.sender);
    }

    /// @inheritdoc ISequencerRegistry
    function setCommission(uint32 id, uint16 commissionBps) external onlyOwner(id) {
        _checkCommission(commissionBps);
        EpochTrace.Trace storage commission = _operators[id].commission;
        uint32 epoch = currentEpoch();
        uint32 last = commission.latestEpoch();
        if (last > epoch) revert SequencerRegistry_CommissionChangePending(id, last);
        uint16 from = uint16(commission.latest());
        uint16 step = from > commissionBps ? from - commissionBps : commissionBps - from;
        if (step > MAX_COMMISSION_STEP_BPS) {
            revert SequencerRegistry_CommissionStepTooLarge(from, commissionBps, MAX_COMMISSION_STEP_BPS);
        }
        commission.push(epoch + COMMISSION_DELAY_EPOCHS, commissionBps);
        emit CommissionChanged(id, commissionBps, epoch + COMMISSION_DELAY_EPOCHS);
    }

    /// @inheritdoc ISequencerRegistry
    function setRewardRecipient(uint32 id, address rewardRecipient) external onlyOwner(id) {
        if (rewardRecipient == address(0)) revert SequencerRegistry_ZeroRecipient();
        _operators[id].rewardRecipient = rewardRecipient;
        emit RewardRecipientChanged(id, rewardRecipient);
    }

    /// @inheritdoc ISequencerRegistry
    function setMetadataURI(uint32 id, string calldata metadataURI) external {
        _checkOwnerOrSigner(id);
        _checkMetadata(metadataURI);
        emit MetadataChanged(id, metadataURI);
    }

    /// @inheritdoc ISequencerRegistry
    function retire(uint32 id) external onlyOwner(id) {
        _checkNotEnded(id, _operators[id].status);
        _setStatus(id, Status.Retired);
    }

    /// @inheritdoc ISequencerRegistry
    function unjail(uint32 id) external onlyOwner(id) {
        Status status = _operators[id].status;
        if (status != Status.Jailed) revert SequencerRegistry_WrongStatus(id, status);
        _setStatus(id, Status.Active);
        if (UNJAIL_FEE != 0) SLASH_ESCROW.takeFee(msg.sender, UNJAIL_FEE);
    }

    /// @inheritdoc ISequencerRegistry
    function jail(uint32 id) external onlySlasher(id) {
        if (_operators[id].status == Status.Active) _setStatus(id, Status.Jailed);
    }

    /// @inheritdoc ISequencerRegistry
    function tombstone(uint32 id) external onlySlasher(id) {
        if (_operators[id].status != Status.Tombstoned) _setStatus(id, Status.Tombstoned);
    }

    /// @inheritdoc ISequencerRegistry
    function ownerOf(uint32 id) external view returns (address owner) {
        return _operators[id].owner;
    }

    /// @inheritdoc ISequencerRegistry
    function pendingOwnerOf(uint32 id) external view returns (address pendingOwner) {
        return _operators[id].pendingOwner;
    }

    /// @inheritdoc ISequencerRegistry
    function signerOf(uint32 id) public view returns (address signer) {
        return address(uint160(_operators[id].signer.latest()));
    }

    /// @inheritdoc ISequencerRegistry
    function signerAt(uint32 id, uint32 epoch) public view returns (address signer) {
        return address(uint160(_operators[id].signer.valueAt(epoch)));
    }

    /// @inheritdoc ISequencerRegistry
    function commissionAt(uint32 id, uint32 epoch) external view returns (uint16 commissionBps) {
        return uint16(_operators[id].commission.valueAt(epoch));
    }

    /// @inheritdoc ISequencerRegistry
    function rewardRecipientOf(uint32 id) external view returns (address rewardRecipient) {
        return _operators[id].rewardRecipient;
    }

    /// @inheritdoc ISequencerRegistry
    function statusOf(uint32 id) external view returns (Status status) {
        return _operators[id].status;
    }

    /// @inheritdoc ISequencerRegistry
    function operatorAt(uint32 id, uint32 epoch) external view returns (address owner, address signer, Status status) {
        Operator storage operator = _operators[id];
        return (operator.owner, address(uint160(operator.signer.valueAt(epoch))), operator.status);
    }

    /// @inheritdoc ISequencerRegistry
    function isEligible(uint32 id) external view returns (bool) {
        return _operators[id].status == Status.Active;
    }

    /// @inheritdoc ISequencerRegistry
    function acceptsStake(uint32 id) external view returns (bool) {
        return _operators[id].status == Status.Active;
    }

    /// @inheritdoc ISequencerRegistry
    function maxCommission() external view returns (uint16) {
        return MAX_COMMISSION;
    }

    /// @dev Takes `key` for `id` for ever, if its holder signed for `owner`.
    function _bindKey(uint32 id, address owner, address key, bytes calldata proof) private {
        if (key == address(0)) revert SequencerRegistry_ZeroSigner();
        if (idOfKey[key] != 0) revert SequencerRegistry_KeyAlreadyBound(key, idOfKey[key]);
        bytes32 digest = _hashTypedData(keccak256(abi.encode(_PROOF_TYPEHASH, owner, key, nonces[owner]++)));
        (address recovered,,) = ECDSA.tryRecover(digest, proof);
        if (recovered != key) revert SequencerRegistry_InvalidProof(key, recovered);
        idOfKey[key] = id;
    }

    function _setStatus(uint32 id, Status status) private {
        _operators[id].status = status;
        emit OperatorStatusChanged(id, status);
    }

    function _checkOwner(uint32 id) private view {
        address owner = _operators[id].owner;
        if (owner == address(0)) revert SequencerRegistry_UnknownOperator(id);
        if (owner != msg.sender) revert SequencerRegistry_NotOwner(id, msg.sender);
    }

    function _checkOwnerOrSigner(uint32 id) private view returns (address signer) {
        address owner = _operators[id].owner;
        if (owner == address(0)) revert SequencerRegistry_UnknownOperator(id);
        signer = signerOf(id);
        if (owner != msg.sender && signer != msg.sender) {
            revert SequencerRegistry_NotOwnerOrSigner(id, msg.sender);
        }
    }

    function _checkNotEnded(uint32 id, Status status) private pure {
        if (status == Status.Retired || status == Status.Tombstoned) {
            revert SequencerRegistry_WrongStatus(id, status);
        }
    }

    function _checkCommission(uint16 commissionBps) private view {
        if (commissionBps > MAX_COMMISSION) {
            revert SequencerRegistry_CommissionTooHigh(commissionBps, MAX_COMMISSION);
        }
    }

    function _checkMetadata(string calldata metadataURI) private pure {
        uint256 length = bytes(metadataURI).length;
        if (length > MAX_METADATA_BYTES) revert SequencerRegistry_MetadataTooLong(length, MAX_METADATA_BYTES);
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("Rota Registry", "1");
    }
}
