//! `rota-sequencer export`: the decided chain as JSON lines.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Bytes;
use eyre::{OptionExt, WrapErr};
use rota_sequencer::{
    chain::{DecidedBlock, DecidedChain},
    config::Config,
    node,
};
use serde_json::json;

/// What to print.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// First height.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Last height; the head by default.
    #[arg(long)]
    to: Option<u64>,
    /// Print sealed batches instead of blocks.
    #[arg(long)]
    batches: bool,
}

/// Prints one JSON object per block or batch.
pub fn run(home: &Path, args: &ExportArgs) -> eyre::Result<()> {
    let config = Config::load(home)?;
    let settings = node::load_chain(&config.path(&config.chain))?;
    let started =
        node::open_chain(&config, &settings).wrap_err("cannot open the chain's data (is the node still running?)")?;
    let head = started.chain.head_number();
    let mut out = BufWriter::new(std::io::stdout().lock());
    match print(&mut out, args, &*started.chain, head) {
        // Whoever reads has seen enough.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => {
            Ok(())
        }
        result => result,
    }
}

fn print(out: &mut impl Write, args: &ExportArgs, chain: &dyn DecidedChain, head: u64) -> eyre::Result<()> {
    for number in args.from.max(1)..=args.to.unwrap_or(head).min(head) {
        let decided = chain.decided(number)?.ok_or_eyre("a decided block is not stored")?;
        let line = if args.batches { batch(&decided) } else { Some(block(&decided)) };
        if let Some(line) = line {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(())
}

fn block(decided: &DecidedBlock) -> serde_json::Value {
    let body = &decided.block.block.body;
    json!({
        "number": decided.block.number(),
        "hash": decided.block.hash,
        "header": decided.block.header(),
        "transactions": body.transactions.iter().map(|tx| Bytes::from(tx.encoded_2718())).collect::<Vec<_>>(),
        "withdrawals": body.withdrawals,
        "epoch": decided.context.sigma,
        "l1Origin": decided.context.origin.number,
        "certificate": decided.certificate,
    })
}

fn batch(decided: &DecidedBlock) -> Option<serde_json::Value> {
    let sealed = decided.context.sealing.sealed()?;
    let header = &sealed.header;
    Some(json!({
        "hash": sealed.hash(),
        "index": header.index,
        "parent": header.parent,
        "epoch": header.epoch,
        "firstBlock": header.firstBlock,
        "lastBlock": header.lastBlock,
        "lastBlockHash": header.lastBlockHash,
        "stateRoot": header.stateRoot,
        "dataHash": header.dataHash,
        "depositEnd": header.depositEnd,
        "l1OriginNumber": header.l1OriginNumber,
        "tallyEpoch": header.tally.epoch,
        "tallyRoot": header.tally.root,
        "sealingBlock": decided.block.number(),
        "certificate": decided.certificate,
    }))
}
