//! What can be due, how to find out, and how to do it.

use std::fmt;

use alloy::{
    primitives::{B256, Bytes, keccak256},
    providers::Provider as _,
};
use eyre::{Context as _, Result, ensure, eyre};
use rota_bindings::{BatchChain, RewardVault, SequencerSet, types::BatchHeader};
use serde::Deserialize;

use crate::{connection::Network, epoch::frozen_set, submit::Submitter};

/// L1 blocks between two anchors kept for batches that are posted late; EIP-2935 serves 8191.
const ANCHOR_EVERY: u64 = 4_000;
/// Operators credited by one transaction.
const CREDIT_PAGE: u64 = 16;

/// Something due on L1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Chore {
    /// Record randomness for the next seed.
    Randao {
        /// Present epoch.
        epoch: u32,
    },
    /// Seat a ready operator.
    Seat {
        /// Operator.
        id: u32,
        /// Its seat.
        seat: u8,
    },
    /// Freeze the next epoch's set.
    Freeze {
        /// That epoch.
        epoch: u32,
    },
    /// Keep an L1 block hash for late posts.
    Anchor {
        /// Newest L1 block when it became due.
        bucket: u64,
    },
    /// Finalize the oldest batch past its challenge window.
    Finalize {
        /// The batch.
        batch: B256,
    },
    /// Open the rewards of the next tally.
    Open {
        /// Batch that carries it.
        batch: B256,
    },
    /// Credit the next operators of the open epoch.
    Credit {
        /// That epoch.
        epoch: u32,
        /// Operators credited so far.
        cursor: u32,
    },
}

impl Chore {
    /// For metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Randao { .. } => "randao",
            Self::Seat { .. } => "seat",
            Self::Freeze { .. } => "freeze",
            Self::Anchor { .. } => "anchor",
            Self::Finalize { .. } => "finalize",
            Self::Open { .. } => "open",
            Self::Credit { .. } => "credit",
        }
    }
}

impl fmt::Display for Chore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Randao { epoch } => write!(f, "record randomness in epoch {epoch}"),
            Self::Seat { id, seat } => write!(f, "seat operator {id} on seat {seat}"),
            Self::Freeze { epoch } => write!(f, "freeze the set of epoch {epoch}"),
            Self::Anchor { bucket } => write!(f, "anchor an L1 block hash near {}", bucket * ANCHOR_EVERY),
            Self::Finalize { batch } => write!(f, "finalize batch {batch}"),
            Self::Open { batch } => write!(f, "open the rewards of batch {batch}"),
            Self::Credit { epoch, cursor } => write!(f, "credit epoch {epoch} from operator {cursor}"),
        }
    }
}

/// Everything due now, in the order it should be done.
///
/// # Errors
/// When L1 fails.
pub async fn due(network: &Network) -> Result<Vec<Chore>> {
    let mut chores = Vec::new();
    let set = network.set();
    let batches = network.batches();
    let rewards = network.rewards();
    let epoch = network.clock().epoch_at(network.l1_time().await?);

    // Seats before the freeze that reads them.
    let operators = network.registry().operatorCount().call().await?;
    for id in 1..=operators {
        if set.isReady(id).call().await? {
            let due = set.seatDue(id).call().await?;
            if due.due {
                chores.push(Chore::Seat { id, seat: due.seat });
            }
        }
    }
    if set.randaoDue().call().await? {
        chores.push(Chore::Randao { epoch });
    }
    let freeze = set.freezeDue().call().await?;
    if freeze.due {
        chores.push(Chore::Freeze { epoch: freeze.epoch });
    }
    let bucket = network.l1.get_block_number().await? / ANCHOR_EVERY;
    if bucket > 0 && last_anchor(network, bucket).await?.is_none() {
        chores.push(Chore::Anchor { bucket });
    }
    let batch = batches.finalizable().call().await?;
    if !batch.is_zero() {
        chores.push(Chore::Finalize { batch });
    }
    let open = rewards.openDue().call().await?;
    if open.due {
        chores.push(Chore::Open { batch: open.batchHash });
    }
    let credit = rewards.creditDue().call().await?;
    if credit.due {
        chores.push(Chore::Credit { epoch: credit.epoch, cursor: credit.cursor });
    }
    Ok(chores)
}

/// The newest block anchored in this stretch of L1.
async fn last_anchor(network: &Network, bucket: u64) -> Result<Option<u64>> {
    let logs = network.batches().L1Anchored_filter().from_block(bucket * ANCHOR_EVERY).query().await?;
    Ok(logs.last().map(|(event, _)| event.number))
}

/// Does one chore.
///
/// # Errors
/// When it is refused (somebody else was faster, or it is not due any more) or L1 or L2 fail.
pub async fn perform(network: &Network, by: &Submitter<'_>, chore: &Chore) -> Result<()> {
    let contracts = &network.deployment.contracts;
    let set = SequencerSet::new(contracts.sequencer_set, by.provider.clone());
    let batches = BatchChain::new(contracts.batch_chain, by.provider.clone());
    let rewards = RewardVault::new(contracts.reward_vault, by.provider.clone());
    let what = chore.to_string();
    match chore {
        Chore::Randao { .. } => by.submit(&what, set.recordRandao()).await?,
        Chore::Seat { id, seat } => by.submit(&what, set.takeSeat(*id, *seat)).await?,
        Chore::Freeze { epoch } => by.submit(&what, set.freeze(*epoch)).await?,
        Chore::Anchor { .. } => by.submit(&what, batches.anchorLatest()).await?,
        Chore::Finalize { batch } => by.submit(&what, batches.finalize(*batch)).await?,
        Chore::Open { batch } => {
            let tally = Tally::fetch(network, *batch).await?;
            by.submit(&what, rewards.openEpoch(tally.header.into(), tally.members, tally.entries)).await?
        }
        Chore::Credit { epoch, .. } => {
            let index = network.rewards().nextTally().call().await?;
            let last = index.checked_sub(alloy::primitives::U256::ONE).ok_or_else(|| eyre!("no tally is open"))?;
            let batch = network.batches().tallyAt(last).call().await?;
            let tally = Tally::fetch(network, batch).await?;
            let page = alloy::primitives::U256::from(CREDIT_PAGE);
            by.submit(&what, rewards.credit(*epoch, tally.members, tally.entries, page)).await?
        }
    };
    Ok(())
}

/// What opens and credits an epoch: the header that carries the tally, the set it pays, and its preimage.
#[derive(Debug)]
struct Tally {
    header: BatchHeader,
    members: Bytes,
    entries: Bytes,
}

/// The parts of a `rota_batch` answer that the keeper needs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchAnswer {
    /// ABI encoding of the header: the preimage of the batch hash.
    header_abi: Bytes,
    tally_entries: Bytes,
}

impl Tally {
    /// Asks an L2 node, and believes nothing that does not hash to what L1 holds.
    async fn fetch(network: &Network, batch: B256) -> Result<Self> {
        let l2 = network.l2().await?;
        let answer: Option<BatchAnswer> =
            l2.raw_request("rota_batch".into(), (batch,)).await.wrap_err("asking the L2 node for the batch")?;
        let answer = answer.ok_or_else(|| eyre!("the L2 node does not know batch {batch} (yet)"))?;
        ensure!(keccak256(&answer.header_abi) == batch, "the L2 node's header does not hash to batch {batch}");
        let header = <BatchHeader as alloy::sol_types::SolValue>::abi_decode(&answer.header_abi)?;
        ensure!(
            keccak256(&answer.tally_entries) == header.tally.root,
            "the L2 node's tally does not hash to the root in batch {batch}"
        );
        let members = frozen_set(network, header.tally.epoch).await?.encode_members();
        Ok(Self { header, members: members.into(), entries: answer.tally_entries })
    }
}
