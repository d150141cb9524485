//! Decided blocks and the state after each of them.
//!
//! The [block log](log) is the only truth; [tables](tables) of state, trie nodes and indices are derived from it and
//! written at checkpoints every few dozen blocks; blocks after the last checkpoint live in memory. [`Chain`] is the
//! reading side of all three.

mod chain;
mod diff;
mod log;
mod proof;
mod snapshot;
mod tables;
mod trie;
mod writer;

use alloy_primitives::B256;
use revm::database_interface::DBErrorMarker;

pub use chain::{BlockReceipts, Chain, Head, TxLocation};
pub use diff::StateDiff;
pub use log::{BlockLog, LogIter, LogPosition};
pub use proof::{AccountProof, SlotProof};
pub use snapshot::StateSnapshot;
pub(crate) use snapshot::account_info;
pub(crate) use writer::{ExecutedBlock, Store, StoreConfig};

/// Why the store could not answer. Every variant but [`Self::Invalid`] means that the node should stop.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system failed.
    #[error("file system: {0}")]
    Io(#[from] std::io::Error),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] fjall::Error),
    /// The trie's nodes do not fit together.
    #[error("state trie: {0}")]
    Trie(#[from] ethrex_trie::TrieError),
    /// A stored value does not decode.
    #[error("stored value: {0}")]
    Decode(#[from] alloy_rlp::Error),
    /// What is stored contradicts itself.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// The data folder belongs to another chain.
    #[error("the data folder belongs to the chain with genesis {found}, not {expected}")]
    OtherChain {
        /// Genesis hash in the data folder.
        found: B256,
        /// Genesis hash of this chain.
        expected: B256,
    },
    /// The block log is of another release.
    #[error(
        "the block log in {path} has version {found}, this release reads {expected}: move that folder away, and the node fetches the chain anew from its peers; never remove the folder `consensus` beside it, which keeps the key from signing twice"
    )]
    Version {
        /// Folder of the block log.
        path: String,
        /// Version in the data folder.
        found: char,
        /// Version of this release.
        expected: char,
    },
    /// The request itself cannot be served.
    #[error("{0}")]
    Invalid(String),
}

impl DBErrorMarker for StoreError {}

impl From<StoreError> for crate::chain::EngineError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.to_string())
    }
}
