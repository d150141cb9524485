//! What can be due, how to find out, and how to do it.

use std::fmt;

use alloy::{
    primitives::{B256, Bytes, keccak256},
    providers::Provider as _,
    sol_types::SolValue,
};
use eyre::{Context as _, Result, ensure, eyre};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use rota_bindings::{
    AmnesiaFault, BatchChain, OfflineFault, RewardVault, SequencerSet, Slasher,
    generated::{amnesia_fault::IAmnesiaFault, offline_fault},
    types::BatchHeader,
};
use serde::Deserialize;

use super::{
    faults::Memory,
    liquid::{self, LiquidChore},
};
use crate::{connection::Network, epoch::frozen_set, events::Search, submit::Submitter};

/// L1 blocks between two anchors kept for batches that are posted late; EIP-2935 serves 8191.
const ANCHOR_EVERY: u64 = 4_000;
/// Operators credited by one transaction.
const CREDIT_PAGE: u64 = 16;
/// Reads of L1 under way at a time.
const READS_AT_ONCE: usize = 16;

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
    /// Something for the staked token.
    Liquid(LiquidChore),
    /// Jail an operator that was absent.
    Jail {
        /// Operator.
        id: u32,
        /// The epoch.
        epoch: u32,
        /// Batch with its tally.
        batch: B256,
    },
    /// Slash a repeated absence.
    Slash {
        /// Operator.
        id: u32,
        /// The epoch.
        epoch: u32,
        /// FINAL batch with its tally.
        batch: B256,
    },
    /// Raise a conviction to what later ones made of its rate.
    TopUp {
        /// Operator.
        id: u32,
    },
    /// Convict by a charge of amnesia that nobody answered in time.
    Convict {
        /// The charge.
        charge: Box<IAmnesiaFault::Charge>,
    },
    /// Close a charge of amnesia that nothing can come of any more.
    Expire {
        /// The charge.
        charge: Box<IAmnesiaFault::Charge>,
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
            Self::Liquid(chore) => chore.name(),
            Self::Jail { .. } => "jail",
            Self::Slash { .. } => "slash",
            Self::TopUp { .. } => "top-up",
            Self::Convict { .. } => "convict",
            Self::Expire { .. } => "expire",
        }
    }

    /// Tells whether two looks found the same chore.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Liquid(chore) => chore.key(),
            chore => chore.to_string(),
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
            Self::Liquid(chore) => chore.fmt(f),
            Self::Jail { id, epoch, .. } => write!(f, "jail operator {id}, which was absent in epoch {epoch}"),
            Self::Slash { id, epoch, .. } => write!(f, "slash operator {id} for being absent again in epoch {epoch}"),
            Self::TopUp { id } => write!(f, "raise the conviction of operator {id} to its present rate"),
            Self::Convict { charge } => {
                write!(f, "convict operator {} of amnesia at height {}", charge.id, charge.height)?;
                write!(f, " in rounds {} to {}", charge.lockRound, charge.voteRound)
            }
            Self::Expire { charge } => {
                write!(f, "close a dead charge of amnesia against operator {} at height {}", charge.id, charge.height)?;
                write!(f, " in rounds {} to {}", charge.lockRound, charge.voteRound)
            }
        }
    }
}

/// What a look at L1 found.
#[derive(Debug, Default)]
pub struct Due {
    /// Chores, in the order they should be done.
    pub chores: Vec<Chore>,
    /// The first question that was not answered; the others still count.
    pub failed: Option<eyre::Report>,
}

impl Due {
    pub(super) fn note(&mut self, question: &str, answer: Result<Vec<Chore>>) {
        let chores = self.answer(question, answer);
        self.chores.extend(chores.unwrap_or_default());
    }

    /// The answer to a question, if there is one; the failure is noted otherwise.
    pub(super) fn answer<T>(&mut self, question: &str, answer: Result<T, impl Into<eyre::Report>>) -> Option<T> {
        answer.map_err(|error| self.fail(error.into().wrap_err(format!("asking L1 {question}")))).ok()
    }

    /// Notes what kept one chore from being found, while the look goes on. The first one is reported with the round, the
    /// others at once.
    pub(super) fn fail(&mut self, error: eyre::Report) {
        match &self.failed {
            None => self.failed = Some(error),
            Some(_) => tracing::warn!("{error:#}"),
        }
    }
}

/// Everything due now. One question that fails does not keep the other chores from being done. With `jail` unset nobody
/// is jailed for an absence.
pub async fn due(network: &Network, memory: &mut Memory, jail: bool) -> Due {
    let mut due = Due::default();
    // Seats before the freeze that reads them.
    due.note("which operators can be seated", seats(network).await);
    due.note("whether randomness is due", randao(network).await);
    due.note("whether a set can be frozen", freeze(network).await);
    due.note("which block is anchored", anchor(network).await);
    due.note("whether a batch can be finalized", finalize(network).await);
    let rewards = rewards(network).await;
    let crediting = rewards.as_ref().is_ok_and(|chores| !chores.is_empty());
    due.note("whether rewards are due", rewards);
    liquid::look(network, &mut memory.liquid, crediting, &mut due).await;
    if !network.deployment.contracts.slasher.is_zero() {
        if jail {
            let absences = memory.absences(network, &mut due).await;
            due.note("who was absent", absences);
        }
        let penalties = memory.penalties(network, &mut due).await;
        due.note("which penalties are due", penalties);
        due.note("which charges are open", memory.charges(network).await);
    }
    due
}

async fn seats(network: &Network) -> Result<Vec<Chore>> {
    let operators = network.registry().operatorCount().call().await?;
    // Registering is free, so there may be many ids; only ready ones cost a second question.
    let found = stream::iter(1..=operators).map(async |id| -> Result<Option<Chore>> {
        let set = network.set();
        if !set.isReady(id).call().await? {
            return Ok(None);
        }
        let due = set.seatDue(id).call().await?;
        Ok(due.due.then_some(Chore::Seat { id, seat: due.seat }))
    });
    Ok(found.buffered(READS_AT_ONCE).try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
}

async fn randao(network: &Network) -> Result<Vec<Chore>> {
    let epoch = network.clock().epoch_at(network.l1_time().await?);
    let due = network.set().randaoDue().call().await?;
    Ok(due.then_some(Chore::Randao { epoch }).into_iter().collect())
}

async fn freeze(network: &Network) -> Result<Vec<Chore>> {
    let freeze = network.set().freezeDue().call().await?;
    Ok(freeze.due.then_some(Chore::Freeze { epoch: freeze.epoch }).into_iter().collect())
}

/// One anchor in every stretch of L1.
async fn anchor(network: &Network) -> Result<Vec<Chore>> {
    let newest = network.l1.get_block_number().await?;
    let bucket = newest / ANCHOR_EVERY;
    if bucket == 0 {
        return Ok(Vec::new());
    }
    let search = Search { what: "the last anchor", blocks: bucket * ANCHOR_EVERY..=newest, visible: false };
    let anchored = search.newest(&network.batches().L1Anchored_filter()).await?.is_some();
    Ok((!anchored).then_some(Chore::Anchor { bucket }).into_iter().collect())
}

async fn finalize(network: &Network) -> Result<Vec<Chore>> {
    let batch = network.batches().finalizable().call().await?;
    Ok((!batch.is_zero()).then_some(Chore::Finalize { batch }).into_iter().collect())
}

async fn rewards(network: &Network) -> Result<Vec<Chore>> {
    let rewards = network.rewards();
    let open = rewards.openDue().call().await?;
    let credit = rewards.creditDue().call().await?;
    let open = open.due.then_some(Chore::Open { batch: open.batchHash });
    let credit = credit.due.then_some(Chore::Credit { epoch: credit.epoch, cursor: credit.cursor });
    Ok(open.into_iter().chain(credit).collect())
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
    let offline = OfflineFault::new(contracts.offline_fault, by.provider.clone());
    let amnesia = AmnesiaFault::new(contracts.amnesia_fault, by.provider.clone());
    let slasher = Slasher::new(contracts.slasher, by.provider.clone());
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
        Chore::Liquid(chore) => return liquid::perform(network, by, chore, &what).await,
        Chore::Jail { id, batch, .. } => {
            let Tally { header, members, entries } = Tally::fetch(network, *batch).await?;
            by.submit(&what, offline.jail(*id, judged(&header)?, members, entries, by.from)).await?
        }
        Chore::Slash { id, batch, .. } => {
            let Tally { header, members, entries } = Tally::fetch(network, *batch).await?;
            by.submit(&what, offline.slash(*id, judged(&header)?, members, entries)).await?
        }
        Chore::TopUp { id } => by.submit(&what, slasher.topUp(*id)).await?,
        Chore::Convict { charge } => by.submit(&what, amnesia.convict((**charge).clone())).await?,
        Chore::Expire { charge } => by.submit(&what, amnesia.expire((**charge).clone())).await?,
    };
    Ok(())
}

/// The header as the module for absences takes it.
fn judged(header: &BatchHeader) -> Result<offline_fault::IBatchChain::BatchHeader> {
    Ok(SolValue::abi_decode(&header.abi_encode())?)
}

/// What opens and credits an epoch: the header that carries the tally, the set it pays, and its preimage.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) header: BatchHeader,
    pub(super) members: Bytes,
    pub(super) entries: Bytes,
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
    pub(super) async fn fetch(network: &Network, batch: B256) -> Result<Self> {
        let l2 = network.l2().await?;
        let answer: Option<BatchAnswer> =
            l2.raw_request("rota_batch".into(), (batch,)).await.wrap_err("asking the L2 node for the batch")?;
        let answer = answer.ok_or_else(|| eyre!("the L2 node does not know batch {batch} (yet)"))?;
        ensure!(keccak256(&answer.header_abi) == batch, "the L2 node's header does not hash to batch {batch}");
        let header = BatchHeader::abi_decode(&answer.header_abi)?;
        ensure!(
            keccak256(&answer.tally_entries) == header.tally.root,
            "the L2 node's tally does not hash to the root in batch {batch}"
        );
        let members = frozen_set(network, header.tally.epoch).await?.encode_members();
        Ok(Self { header, members: members.into(), entries: answer.tally_entries })
    }
}
