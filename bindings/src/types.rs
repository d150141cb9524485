//! Structs and enums that travel in calls, under one name each, and what they mean in plain Rust.

use serde::{Deserialize, Serialize};

pub use crate::generated::batch_chain::IBatchChain::{Batch, BatchHeader, CommitCertificate, Head, Tally};
pub use crate::generated::lens::ILens::{Due, Operator, Position, Rewards, SeatDue, Thaw};
pub use crate::generated::liquid_lens::ILiquidLens::{Account as LiquidAccount, Request as ExitRequest};
use crate::generated::{batch_chain, lens, reward_vault, sequencer_registry};

/// Life of an operator (`ISequencerRegistry.Status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OperatorStatus {
    /// No such operator.
    None,
    /// May be delegated to and seated.
    Active,
    /// Out of the next sets until `unjail`.
    Jailed,
    /// Left by its own will.
    Retired,
    /// Convicted: never returns.
    Tombstoned,
}

/// Life of a batch (`IBatchChain.BatchState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BatchState {
    /// No such batch.
    None,
    /// The challenge window runs.
    Posted,
    /// Disputed; its clock stands still.
    Flagged,
    /// Taken off the chain.
    Removed,
    /// Its state, fees and tally are usable, for ever.
    Final,
    /// Its parent was removed.
    Orphaned,
}

/// A number that names no state of this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} is not a {kind} known to these bindings")]
pub struct UnknownVariant {
    /// What was to be read.
    pub kind: &'static str,
    /// The number.
    pub value: u8,
}

impl TryFrom<u8> for OperatorStatus {
    type Error = UnknownVariant;

    fn try_from(value: u8) -> Result<Self, UnknownVariant> {
        match value {
            0 => Ok(Self::None),
            1 => Ok(Self::Active),
            2 => Ok(Self::Jailed),
            3 => Ok(Self::Retired),
            4 => Ok(Self::Tombstoned),
            value => Err(UnknownVariant { kind: "operator status", value }),
        }
    }
}

impl TryFrom<sequencer_registry::ISequencerRegistry::Status> for OperatorStatus {
    type Error = UnknownVariant;

    fn try_from(status: sequencer_registry::ISequencerRegistry::Status) -> Result<Self, UnknownVariant> {
        status.into_underlying().try_into()
    }
}

impl TryFrom<lens::ISequencerRegistry::Status> for OperatorStatus {
    type Error = UnknownVariant;

    fn try_from(status: lens::ISequencerRegistry::Status) -> Result<Self, UnknownVariant> {
        status.into_underlying().try_into()
    }
}

impl TryFrom<u8> for BatchState {
    type Error = UnknownVariant;

    fn try_from(value: u8) -> Result<Self, UnknownVariant> {
        match value {
            0 => Ok(Self::None),
            1 => Ok(Self::Posted),
            2 => Ok(Self::Flagged),
            3 => Ok(Self::Removed),
            4 => Ok(Self::Final),
            5 => Ok(Self::Orphaned),
            value => Err(UnknownVariant { kind: "batch state", value }),
        }
    }
}

impl TryFrom<batch_chain::IBatchChain::BatchState> for BatchState {
    type Error = UnknownVariant;

    fn try_from(state: batch_chain::IBatchChain::BatchState) -> Result<Self, UnknownVariant> {
        state.into_underlying().try_into()
    }
}

/// `RewardVault.openEpoch` takes the header that `BatchChain.post` took.
impl From<BatchHeader> for reward_vault::IBatchChain::BatchHeader {
    fn from(header: BatchHeader) -> Self {
        let BatchHeader {
            index,
            parent,
            attempt,
            fork,
            epoch,
            firstBlock,
            lastBlock,
            lastBlockHash,
            stateRoot,
            dataHash,
            depositEnd,
            forcedEnd,
            l1OriginNumber,
            l1OriginHash,
            tally: Tally { epoch: tally_epoch, root, count, blocks, fees },
        } = header;
        Self {
            index,
            parent,
            attempt,
            fork,
            epoch,
            firstBlock,
            lastBlock,
            lastBlockHash,
            stateRoot,
            dataHash,
            depositEnd,
            forcedEnd,
            l1OriginNumber,
            l1OriginHash,
            tally: reward_vault::IBatchChain::Tally { epoch: tally_epoch, root, count, blocks, fees },
        }
    }
}
