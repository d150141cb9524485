// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title ISequencerRegistry
/// @notice Who the operators are: owner, consensus key, reward recipient, commission and status, by number (protocol
/// sections 1, 2, 9).
/// @dev Holds no funds. An id counts from 1 and is never reused; a key belongs to at most one id for ever (invariant
/// R1).
interface ISequencerRegistry {
    /// @notice Life of an operator. `Retired` and `Tombstoned` are final; a jailed operator may be unjailed by its
    /// owner.
    enum Status {
        None,
        Active,
        Jailed,
        Retired,
        Tombstoned
    }

    /// @notice What the constructor needs.
    /// @param guardian Contract that answers `isPaused()`.
    /// @param slasher The only caller of `jail` and `tombstone`; zero: nobody can.
    /// @param slashEscrow The `ISlashEscrow` that takes the fee of `unjail`; zero only if there is none.
    /// @param unjailFee What `unjail` costs, token wei, at most `MAX_UNJAIL_FEE`; zero: nothing.
    /// @param maxCommissionBps Highest commission an operator may ask, basis points, at most 10,000.
    /// @param genesis Start of epoch 0, unix seconds.
    /// @param epochSeconds Length of an epoch, seconds.
    struct Config {
        address guardian;
        address slasher;
        address slashEscrow;
        uint256 unjailFee;
        uint16 maxCommissionBps;
        uint64 genesis;
        uint64 epochSeconds;
    }

    /// @notice A new operator exists. Its signer and commission count from epoch `current + 2`.
    event OperatorRegistered(
        uint32 indexed id,
        address indexed owner,
        address indexed signer,
        address rewardRecipient,
        uint16 commissionBps,
        string metadataURI
    );

    /// @notice Sets frozen for `effectiveEpoch` and later name `newSigner`.
    event SignerRotated(uint32 indexed id, address indexed oldSigner, address indexed newSigner, uint32 effectiveEpoch);

    /// @notice Rewards of `effectiveEpoch` and later are split with `commissionBps`.
    event CommissionChanged(uint32 indexed id, uint16 commissionBps, uint32 effectiveEpoch);

    /// @notice Commission earned so far and from now on is paid to `rewardRecipient`.
    event RewardRecipientChanged(uint32 indexed id, address rewardRecipient);

    /// @notice The metadata URI (in this release the node's libp2p multiaddress) changed. It lives in events only.
    event MetadataChanged(uint32 indexed id, string metadataURI);

    /// @notice The status changed to `status`.
    event OperatorStatusChanged(uint32 indexed id, Status status);

    /// @notice `to` may accept the ownership of `id`; zero: an offer was withdrawn.
    event OwnershipHandOverStarted(uint32 indexed id, address indexed from, address indexed to);

    /// @notice `to` is the owner of `id` now.
    event OwnershipHandOverCompleted(uint32 indexed id, address indexed from, address indexed to);

    /// @notice The network is paused: nobody may join now.
    error SequencerRegistry_Paused();

    /// @notice The guardian given to the constructor is the zero address.
    error SequencerRegistry_ZeroGuardian();

    /// @notice The highest commission given to the constructor is more than 100 %.
    error SequencerRegistry_InvalidMaxCommission(uint16 commissionBps);

    /// @notice No operator has this number.
    error SequencerRegistry_UnknownOperator(uint32 id);

    /// @notice The caller is not the owner of the operator.
    error SequencerRegistry_NotOwner(uint32 id, address caller);

    /// @notice The caller is neither the owner nor the latest signer of the operator.
    error SequencerRegistry_NotOwnerOrSigner(uint32 id, address caller);

    /// @notice The ownership was not offered to the caller.
    error SequencerRegistry_NotPendingOwner(uint32 id, address caller);

    /// @notice The caller is not the slasher.
    error SequencerRegistry_NotSlasher(address caller);

    /// @notice The operation does not fit the operator's status.
    error SequencerRegistry_WrongStatus(uint32 id, Status status);

    /// @notice The signer is the zero address.
    error SequencerRegistry_ZeroSigner();

    /// @notice The reward recipient is the zero address.
    error SequencerRegistry_ZeroRecipient();

    /// @notice The key was a signer of `id` before, maybe of the same operator. A key is used once.
    error SequencerRegistry_KeyAlreadyBound(address key, uint32 id);

    /// @notice The proof of possession is malformed or not by `signer`; `recovered` is zero for a malformed one.
    error SequencerRegistry_InvalidProof(address signer, address recovered);

    /// @notice The commission is above the network's highest, basis points.
    error SequencerRegistry_CommissionTooHigh(uint16 commissionBps, uint16 maximum);

    /// @notice The commission moves by more than the largest step, basis points.
    error SequencerRegistry_CommissionStepTooLarge(uint16 from, uint16 to, uint16 maxStep);

    /// @notice An earlier change is not in force before `effectiveEpoch`.
    error SequencerRegistry_CommissionChangePending(uint32 id, uint32 effectiveEpoch);

    /// @notice The fee of `unjail` is above its bound, or nobody is there to take it, token wei.
    error SequencerRegistry_InvalidUnjailFee(uint256 fee, uint256 maximum);

    /// @notice The metadata URI is too long, bytes.
    error SequencerRegistry_MetadataTooLong(uint256 length, uint256 maximum);

    /// @notice Registers a new operator; the caller becomes its owner. Open to anyone; stake is delegated afterwards.
    /// @dev Emits `OperatorRegistered`. Requires a signer key that was never used and a proof that its holder agrees.
    /// Reverts in this order: `Paused`, `ZeroRecipient`, `CommissionTooHigh`, `MetadataTooLong`, `ZeroSigner`,
    /// `KeyAlreadyBound`, `InvalidProof`. An owner that is a contract (ERC-1271) only has to be `msg.sender`.
    /// @param signer Consensus key of the node. Bound to the new id at once and for ever; counts from epoch `current +
    /// 2`.
    /// @param rewardRecipient Receives commission and leader tips.
    /// @param commissionBps Share of the pool's rewards kept by the operator, basis points, at most `maxCommission()`.
    /// @param metadataURI Where to find the node, at most `MAX_METADATA_BYTES`; the event is its only home.
    /// @param proof 65-byte low-s signature by `signer` over the EIP-712 struct `ProofOfPossession(address
    /// owner,address signer,uint256 nonce)` in domain {"Rota Registry", "1", chain id, this contract} with `owner` =
    /// caller and `nonce = nonces(owner)`.
    /// @return id Number of the operator.
    function register(
        address signer,
        address rewardRecipient,
        uint16 commissionBps,
        string calldata metadataURI,
        bytes calldata proof
    ) external returns (uint32 id);

    /// @notice Replaces the consensus key of an operator. Sets frozen for epoch `current + 2` and later use the new
    /// one.
    /// @dev Emits `SignerRotated`. The old key stays bound to the id and answers for the sets it was a member of; it
    /// can never be used again, not even by the same operator. A second rotation in one epoch replaces the first.
    /// Reverts in this order: `UnknownOperator`, `NotOwnerOrSigner`, `WrongStatus` (retired or tombstoned),
    /// `ZeroSigner`, `KeyAlreadyBound`, `InvalidProof`.
    /// @param id Number of the operator; the caller is its owner or its latest signer.
    /// @param newSigner Key that was never used.
    /// @param proof As in `register`, with `owner` = owner of `id`, whoever calls.
    function rotateSigner(uint32 id, address newSigner, bytes calldata proof) external;

    /// @notice Offers the ownership of an operator to `to`; zero withdraws the offer. Nothing changes before it
    /// accepts.
    /// @dev Emits `OwnershipHandOverStarted`. Reverts: `UnknownOperator`, `NotOwner`. The owner's stake does not move:
    /// the self bond is the stake of whoever owns the operator at that time.
    function transferOwnership(uint32 id, address to) external;

    /// @notice Accepts the ownership offered to the caller.
    /// @dev Emits `OwnershipHandOverCompleted`. Reverts: `UnknownOperator`, `NotPendingOwner`.
    function acceptOwnership(uint32 id) external;

    /// @notice Announces a new commission, in force exactly from epoch `current + 7`.
    /// @dev Emits `CommissionChanged`. Only one change may wait, and it moves by at most `MAX_COMMISSION_STEP_BPS`
    /// against the value before (invariant R4). Reverts: `UnknownOperator`, `NotOwner`, `CommissionTooHigh`,
    /// `CommissionChangePending`, `CommissionStepTooLarge`.
    /// @param commissionBps Basis points, at most `maxCommission()`.
    function setCommission(uint32 id, uint16 commissionBps) external;

    /// @notice Sets who is paid commission and tips, from now on and for what is not yet claimed.
    /// @dev Emits `RewardRecipientChanged`. Reverts: `UnknownOperator`, `NotOwner`, `ZeroRecipient`.
    function setRewardRecipient(uint32 id, address rewardRecipient) external;

    /// @notice Announces where to find the node.
    /// @dev Emits `MetadataChanged`. Reverts: `UnknownOperator`, `NotOwnerOrSigner`, `MetadataTooLong`.
    function setMetadataURI(uint32 id, string calldata metadataURI) external;

    /// @notice Ends an operator for good: it takes no more stake and is dropped by the next freeze. Exits stay open.
    /// @dev Emits `OperatorStatusChanged`. Reverts: `UnknownOperator`, `NotOwner`, `WrongStatus` (retired, tombstoned).
    function retire(uint32 id) external;

    /// @notice Brings a jailed operator back, for `UNJAIL_FEE` of the owner's tokens. The slash escrow takes them by
    /// allowance, so the owner approves the escrow before. Stake can leave a jailed operator without it.
    /// @dev Emits `OperatorStatusChanged`. Reverts in this order: `UnknownOperator`, `NotOwner`, `WrongStatus` (not
    /// jailed), then what `ISlashEscrow.takeFee` answers.
    function unjail(uint32 id) external;

    /// @notice Excludes an active operator until its owner unjails it. No effect on one that is not active, so that a
    /// proven fault never reverts.
    /// @dev Emits `OperatorStatusChanged` when it changes. Reverts: `NotSlasher`, `UnknownOperator`.
    function jail(uint32 id) external;

    /// @notice Excludes an operator for ever. No effect on one that is already tombstoned.
    /// @dev Emits `OperatorStatusChanged` when it changes. Reverts: `NotSlasher`, `UnknownOperator`.
    function tombstone(uint32 id) external;

    /// @notice Owner of an operator; zero for an unknown id.
    function ownerOf(uint32 id) external view returns (address owner);

    /// @notice Address that may accept the ownership; zero if none.
    function pendingOwnerOf(uint32 id) external view returns (address pendingOwner);

    /// @notice Latest signer of an operator, in force or not yet; zero for an unknown id.
    function signerOf(uint32 id) external view returns (address signer);

    /// @notice Signer that counts in `epoch`; zero before the first one counts. Final for epochs up to `current + 1`.
    function signerAt(uint32 id, uint32 epoch) external view returns (address signer);

    /// @notice The id a key is bound to, for ever; 0 for a key never used.
    function idOfKey(address key) external view returns (uint32 id);

    /// @notice Commission in force in `epoch`, basis points. Before the first one counts: the first one.
    function commissionAt(uint32 id, uint32 epoch) external view returns (uint16 commissionBps);

    /// @notice Who is paid commission and tips; zero for an unknown id.
    function rewardRecipientOf(uint32 id) external view returns (address rewardRecipient);

    /// @notice Status of an operator; `None` for an unknown id.
    function statusOf(uint32 id) external view returns (Status status);

    /// @notice What a freeze needs of one operator, in one call.
    /// @return owner Owner now.
    /// @return signer Signer that counts in `epoch`.
    /// @return status Status now.
    function operatorAt(uint32 id, uint32 epoch) external view returns (address owner, address signer, Status status);

    /// @notice True if the operator may have a seat (status `Active`); stake and readiness are the set's business.
    function isEligible(uint32 id) external view returns (bool);

    /// @notice True if stake may be delegated to the operator (status `Active`).
    function acceptsStake(uint32 id) external view returns (bool);

    /// @notice Number of operators ever registered; ids are 1 to this.
    function operatorCount() external view returns (uint32);

    /// @notice Nonce of the next proof of possession for an owner.
    function nonces(address owner) external view returns (uint256);

    /// @notice Highest commission, basis points.
    function maxCommission() external view returns (uint16);

    /// @notice What `unjail` costs, token wei.
    function UNJAIL_FEE() external view returns (uint256);

    /// @notice The highest fee of `unjail` a network can have, token wei.
    function MAX_UNJAIL_FEE() external view returns (uint256);

    /// @notice Largest change of a commission at once, basis points.
    function MAX_COMMISSION_STEP_BPS() external view returns (uint16);

    /// @notice Epochs between the announcement of a commission and its force.
    function COMMISSION_DELAY_EPOCHS() external view returns (uint32);

    /// @notice Longest metadata URI, bytes.
    function MAX_METADATA_BYTES() external view returns (uint256);
}
