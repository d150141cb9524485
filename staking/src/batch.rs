//! `rota batch`: what was posted on L1 and where it is in its life.

use std::{collections::BTreeMap, ops::ControlFlow};

use alloy::primitives::B256;
use clap::Subcommand;
use eyre::{Result, bail, ensure};
use rota_bindings::{BatchChain, types::Batch};
use serde::Serialize;

use crate::{
    connection::{Network, NetworkArgs},
    output::{print_json, print_pairs, print_table, show_duration},
};

/// Look at the batches posted on L1.
#[derive(Subcommand, Clone, Debug)]
pub enum BatchCommand {
    /// List the newest batches
    #[command(after_help = "Example:\n  rota batch list --limit 5")]
    List {
        /// How many, 1 to 1000
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: u64,
    },
    /// Show one batch, by index or by hash
    #[command(after_help = "Example:\n  rota batch show 1")]
    Show {
        /// Index (1 is the first) or 32-byte hash
        batch: String,
    },
}

/// A batch as L1 knows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostedBatch {
    /// Position in the chain of batches, from 1.
    pub index: u64,
    /// keccak256 of its header.
    pub hash: B256,
    /// Last L2 block.
    pub last_block: u64,
    /// Where it is in its life.
    pub state: &'static str,
    /// Unix seconds from which anybody may finalize it.
    pub final_at: u64,
    /// Who posted it.
    pub poster: alloy::primitives::Address,
    /// L1 block of the post.
    pub l1_block: Option<u64>,
}

const STATES: [&str; 6] = ["unknown", "posted", "flagged", "removed", "final", "orphaned"];

/// Reads posts with index in `from..=to`, oldest first.
///
/// # Errors
/// When L1 fails.
pub async fn posted(network: &Network, from: u64, to: u64) -> Result<Vec<PostedBatch>> {
    let chain = network.batches();
    // One search for all of them, which ends at the oldest. A batch that was removed and posted again has several posts;
    // its newest counts.
    let mut posts: BTreeMap<B256, Post> = BTreeMap::new();
    let search = network.search("the posts of these batches").await?;
    search
        .newest_first(&chain.BatchPosted_filter(), |event: BatchChain::BatchPosted, log| {
            let oldest = event.index <= from;
            posts.entry(event.hash).or_insert((event, log));
            if oldest { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await?;
    let mut found = Vec::new();
    for index in from..=to {
        let hash = chain.batchAt(index).call().await?;
        let record = chain.batchOf(hash).call().await?;
        if record.state != 0 {
            found.push(describe(hash, &record, posts.get(&hash)));
        }
    }
    Ok(found)
}

/// The event of a post, and where it is.
type Post = (BatchChain::BatchPosted, alloy::rpc::types::Log);

fn describe(hash: B256, record: &Batch, post: Option<&Post>) -> PostedBatch {
    PostedBatch {
        index: record.index,
        hash,
        last_block: post.map_or(0, |(event, _)| event.lastBlock),
        state: STATES.get(usize::from(record.state)).copied().unwrap_or("unknown"),
        final_at: record.finalAt,
        poster: record.poster,
        l1_block: post.and_then(|(_, log)| log.block_number),
    }
}

/// Reads one batch; `None` when it was never posted.
///
/// # Errors
/// When L1 fails.
pub async fn posted_by_hash(network: &Network, hash: B256) -> Result<Option<PostedBatch>> {
    let chain = network.batches();
    let record = chain.batchOf(hash).call().await?;
    if record.state == 0 {
        return Ok(None);
    }
    let post = network.search("the batch's post").await?.newest(&chain.BatchPosted_filter().topic1(hash)).await?;
    Ok(Some(describe(hash, &record, post.as_ref())))
}

/// Runs `rota batch …`.
///
/// # Errors
/// When L1 fails or the batch does not exist.
pub async fn run(command: &BatchCommand, args: &NetworkArgs) -> Result<()> {
    let network = Network::connect(args).await?;
    match command {
        BatchCommand::List { limit } => {
            ensure!((1..=1_000).contains(limit), "--limit {limit} must lie between 1 and 1000");
            let head = network.batches().headIndex().call().await?;
            let from = head.saturating_sub(limit - 1).max(1);
            let batches = if head == 0 { Vec::new() } else { posted(&network, from, head).await? };
            if network.json {
                return print_json(&batches);
            }
            let now = network.l1_time().await?;
            let rows = batches
                .iter()
                .map(|batch| {
                    vec![
                        batch.index.to_string(),
                        batch.hash.to_string(),
                        batch.last_block.to_string(),
                        batch.state.to_owned(),
                        finality(batch, now),
                    ]
                })
                .collect();
            print_table(&["batch", "hash", "last L2 block", "state", "final"], rows, "no batch was posted yet");
        }
        BatchCommand::Show { batch } => {
            let hash = if let Ok(index) = batch.parse::<u64>() {
                network.batches().batchAt(index).call().await?
            } else if let Ok(hash) = batch.parse::<B256>() {
                hash
            } else {
                bail!("'{batch}' is neither a batch index nor a 32-byte hash");
            };
            let Some(found) = posted_by_hash(&network, hash).await? else {
                bail!("batch {batch} was not posted; `rota batch list` shows what was")
            };
            if network.json {
                return print_json(&found);
            }
            let now = network.l1_time().await?;
            print_pairs(&[
                ("batch", found.index.to_string()),
                ("hash", found.hash.to_string()),
                ("last L2 block", found.last_block.to_string()),
                ("state", found.state.to_owned()),
                ("final", finality(&found, now)),
                ("poster", found.poster.to_string()),
                ("L1 block", found.l1_block.map_or_else(|| "?".to_owned(), |block| block.to_string())),
            ]);
        }
    }
    Ok(())
}

fn finality(batch: &PostedBatch, now: u64) -> String {
    match batch.state {
        "final" => "yes".to_owned(),
        "posted" if batch.final_at <= now => "due (the keeper finalizes)".to_owned(),
        "posted" => format!("in {}", show_duration(batch.final_at - now)),
        _ => "no".to_owned(),
    }
}
