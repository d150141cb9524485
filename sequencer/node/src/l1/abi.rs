//! The L1 events this node follows.

use alloy_primitives::B256;
use alloy_sol_types::SolEvent;

pub use rota_bindings::{
    BatchChain::{BatchFinalized, BatchPosted},
    Portal::Deposited,
    SequencerRegistry::{MetadataChanged, OperatorRegistered, SignerRotated},
    SequencerSet::EpochFrozen,
};

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
