//! The L1 events this node follows.

use alloy_primitives::B256;
use alloy_sol_types::{SolEvent, sol};

sol! {
    event EpochFrozen(uint32 indexed epoch, bytes32 seed, bytes members);
    event Deposited(uint64 indexed index, address indexed from, address indexed to, uint64 amountGwei);
    event BatchPosted(bytes32 indexed hash, uint64 indexed index, uint64 lastBlock, address poster);
    event BatchFinalized(bytes32 indexed hash, uint64 indexed index);
    event OperatorRegistered(
        uint32 indexed id,
        address indexed owner,
        address indexed signer,
        address rewardRecipient,
        uint16 commissionBps,
        string metadataURI
    );
    event SignerRotated(uint32 indexed id, address indexed oldSigner, address indexed newSigner, uint32 effectiveEpoch);
    event MetadataChanged(uint32 indexed id, string metadataURI);
}

/// First topics of all of them.
pub const TOPICS: [B256; 7] = [
    EpochFrozen::SIGNATURE_HASH,
    Deposited::SIGNATURE_HASH,
    BatchPosted::SIGNATURE_HASH,
    BatchFinalized::SIGNATURE_HASH,
    OperatorRegistered::SIGNATURE_HASH,
    SignerRotated::SIGNATURE_HASH,
    MetadataChanged::SIGNATURE_HASH,
];
