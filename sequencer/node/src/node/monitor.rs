//! Gauges that follow from the chain, L1 and the pool.

use std::time::{Duration, Instant};

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::info::{NodeInfo, unix_now};
use crate::{
    chain::{ChainEvent, DecidedBlock, DecidedChain},
    mempool::{Busy, Mempool},
};
use rota_protocol::{header::id_of_coinbase, schedule};

/// Time between two readings of what changes without a block.
const PERIOD: Duration = Duration::from_secs(1);

/// Sealed batches that are not confirmed on L1, above which the pool takes no transactions. Half an hour of full
/// batches every two seconds, twice what a finalizing L1 lags behind; at most 120 MB.
const MAX_UNPOSTED: u64 = 1_024;

/// Heights searched for the node's next slot.
const HORIZON: u64 = 4_096;

/// Records until `shutdown`.
pub(super) async fn run(info: &NodeInfo, pool: Mempool, shutdown: CancellationToken) {
    let mut events = info.chain.subscribe();
    let mut tick = tokio::time::interval(PERIOD);
    let mut last = Instant::now();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => sample(info, &pool),
            event = events.recv() => match event {
                Ok(ChainEvent::Committed(decided)) => {
                    record(info, &decided, last.elapsed());
                    last = Instant::now();
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

fn record(info: &NodeInfo, decided: &DecidedBlock, since_last: Duration) {
    let header = decided.block.header();
    metrics::gauge!("rota_height").set(header.number as f64);
    metrics::gauge!("rota_epoch").set(f64::from(decided.context.sigma));
    metrics::histogram!("rota_block_interval_seconds").record(since_last.as_secs_f64());
    metrics::counter!("rota_transactions_total").increment(decided.block.block.body.transactions.len() as u64);
    metrics::counter!("rota_gas_used_total").increment(header.gas_used);
    if decided.certificate.round > 0 {
        metrics::histogram!("rota_failover_seconds").record(since_last.as_secs_f64());
    }
    let Some(operator) = info.operator() else { return };
    let Some(set) = info.l1.set(decided.context.sigma) else { return };
    let slots = info.chain.config().slots_per_window;
    let leader = schedule::leader(&set, header.number, decided.context.first_height, 0, slots);
    if leader.id == operator && id_of_coinbase(header.beneficiary) != Some(operator) {
        metrics::counter!("rota_slots_missed_total").increment(1);
    }
}

fn sample(info: &NodeInfo, pool: &Mempool) {
    let (l1, status) = (info.l1.progress(), pool.status());
    metrics::gauge!("rota_l1_lag_seconds").set(unix_now().saturating_sub(l1.confirmed.timestamp) as f64);
    metrics::gauge!("rota_mempool_pending").set(status.pending as f64);
    metrics::gauge!("rota_mempool_queued").set(status.queued as f64);

    let posted = info.l1.batch_head();
    let head = info.chain.head_number();
    let (index, block) = posted.map_or((0, 0), |batch| (batch.index, batch.last_block));
    let unposted = info.sealed.count().saturating_sub(index);
    metrics::gauge!("rota_unposted_batches").set(unposted as f64);
    pool.set_busy(Busy::Posting, unposted > MAX_UNPOSTED);
    metrics::gauge!("rota_unposted_blocks").set(head.saturating_sub(block) as f64);

    let Some((sigma, first_height)) = info.rules.next_serving() else { return };
    let Some(set) = info.l1.set(sigma) else { return };
    let slots = info.chain.config().slots_per_window;
    let leader = |height| schedule::leader(&set, height, first_height, 0, slots).id;
    metrics::gauge!("rota_leader_id").set(f64::from(leader(head + 1)));
    metrics::gauge!("rota_members").set(set.members().len() as f64);
    let Some(index) = info.signer.and_then(|signer| set.index_of_signer(signer)) else {
        metrics::gauge!("rota_stake_gwei").set(0.0);
        return;
    };
    let own = &set.members()[index];
    metrics::gauge!("rota_stake_gwei").set(own.weight as f64);
    let next = (head + 1..head + 1 + HORIZON).find(|height| leader(*height) == own.id);
    metrics::gauge!("rota_next_slot_height").set(next.unwrap_or(0) as f64);
}
