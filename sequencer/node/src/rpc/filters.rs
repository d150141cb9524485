//! Filters that clients install and poll.
//!
//! A filter holds the height it has reported up to; nothing is computed until its owner polls. Those that nobody polls
//! die after a while.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::rpc::types::{Filter, FilterBlockOption, FilterChanges, Log};
use alloy_primitives::{B256, U128};
use parking_lot::Mutex;
use tokio::sync::broadcast::{self, error::TryRecvError};

use super::{
    backend::Backend,
    convert::TransactionResponse,
    error::{RpcError, RpcResult},
    logs,
};
use crate::mempool::PoolTransaction;

/// Answer of `eth_getFilterChanges`.
pub(super) type Changes = FilterChanges<TransactionResponse, Log>;

/// Identifier of an installed filter: random, so that nobody polls another client's filter by counting.
pub(super) type FilterId = U128;

/// What a filter reports.
pub(super) enum Watch {
    /// Matching logs of new blocks.
    Logs(Box<Filter>),
    /// Hashes of new blocks.
    Blocks,
    /// Hashes of transactions as they enter the mempool.
    Pending(broadcast::Receiver<Arc<PoolTransaction>>),
}

struct Installed {
    watch: Watch,
    /// First height not reported yet.
    next: u64,
    polled: Instant,
}

/// All installed filters.
pub(super) struct Filters {
    ttl: Duration,
    limit: usize,
    installed: Mutex<HashMap<FilterId, Installed>>,
}

impl Filters {
    pub(super) fn new(limit: usize, ttl: Duration) -> Self {
        Self { ttl, limit, installed: Mutex::default() }
    }

    /// Installs a filter that reports from the block after `head` on.
    ///
    /// # Errors
    /// [`RpcError::LimitExceeded`] when too many are alive.
    pub(super) fn install(&self, watch: Watch, head: u64) -> RpcResult<FilterId> {
        let now = Instant::now();
        let mut installed = self.installed.lock();
        installed.retain(|_, filter| now.duration_since(filter.polled) < self.ttl);
        if installed.len() >= self.limit {
            return Err(RpcError::LimitExceeded("too many filters are installed".into()));
        }
        let id = U128::from(rand::random::<u128>());
        installed.insert(id, Installed { watch, next: head + 1, polled: now });
        Ok(id)
    }

    /// Removes a filter; `false` if it was not there.
    pub(super) fn uninstall(&self, id: FilterId) -> bool {
        self.installed.lock().remove(&id).is_some()
    }

    /// What happened since the last poll.
    ///
    /// # Errors
    /// An unknown or expired filter; as [`logs::collect`].
    pub(super) fn changes(&self, id: FilterId, backend: &Backend) -> RpcResult<Changes> {
        let head = backend.head();
        // The lock is released before blocks are read; two polls at once share the new blocks between them.
        let (first, filter) = {
            let mut installed = self.installed.lock();
            let Some(filter) = self.alive(&mut installed, id) else { return Err(not_found()) };
            let first = filter.next;
            filter.next = head.max(first.saturating_sub(1)) + 1;
            match &mut filter.watch {
                Watch::Pending(hashes) => return Ok(FilterChanges::Hashes(drain(hashes))),
                Watch::Blocks => (first, None),
                Watch::Logs(filter) => (first, Some(filter.clone())),
            }
        };
        let result = match &filter {
            None => block_hashes(backend, first, head),
            Some(filter) => new_logs(backend, filter, first, head),
        };
        if matches!(result, Err(RpcError::Internal(_)))
            && let Some(filter) = self.installed.lock().get_mut(&id)
        {
            // What could not be reported now is reported by the next poll.
            filter.next = filter.next.min(first);
        }
        result
    }

    /// The whole range of a log filter, as `eth_getLogs` would return it.
    ///
    /// # Errors
    /// An unknown filter or one of another kind; as [`logs::query`].
    pub(super) fn logs(&self, id: FilterId, backend: &Backend) -> RpcResult<Vec<Log>> {
        let filter = {
            let mut installed = self.installed.lock();
            match self.alive(&mut installed, id) {
                Some(Installed { watch: Watch::Logs(filter), .. }) => filter.clone(),
                _ => return Err(not_found()),
            }
        };
        logs::query(backend, &filter)
    }

    fn alive<'a>(&self, installed: &'a mut HashMap<FilterId, Installed>, id: FilterId) -> Option<&'a mut Installed> {
        let now = Instant::now();
        let filter = installed.get_mut(&id).filter(|filter| now.duration_since(filter.polled) < self.ttl)?;
        filter.polled = now;
        Some(filter)
    }
}

fn not_found() -> RpcError {
    RpcError::refused("filter not found")
}

/// Everything buffered; what a slow poller lost is lost.
fn drain(arrivals: &mut broadcast::Receiver<Arc<PoolTransaction>>) -> Vec<B256> {
    let mut out = Vec::new();
    loop {
        match arrivals.try_recv() {
            Ok(tx) => out.push(tx.hash),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return out,
        }
    }
}

fn block_hashes(backend: &Backend, first: u64, head: u64) -> RpcResult<Changes> {
    if first > head {
        return Ok(FilterChanges::Empty);
    }
    let limit = backend.config.limits.log_blocks;
    let first = first.max((head + 1).saturating_sub(limit));
    let mut hashes = Vec::new();
    for number in first..=head {
        hashes.extend(backend.hash_of(number)?);
    }
    Ok(FilterChanges::Hashes(hashes))
}

fn new_logs(backend: &Backend, filter: &Filter, first: u64, head: u64) -> RpcResult<Changes> {
    let (first, last) = match filter.block_option {
        // A block hash names a block of the past.
        FilterBlockOption::AtBlockHash(_) => return Ok(FilterChanges::Empty),
        FilterBlockOption::Range { from_block, to_block } => {
            let from = from_block.and_then(|tag| tag.as_number()).unwrap_or(first);
            let to = to_block.and_then(|tag| tag.as_number()).unwrap_or(head);
            (first.max(from), head.min(to))
        }
    };
    if first > last {
        return Ok(FilterChanges::Empty);
    }
    Ok(FilterChanges::Logs(logs::collect(backend, filter, first, last)?))
}
