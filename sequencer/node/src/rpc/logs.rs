//! `eth_getLogs` and what filters and subscriptions share with it.

use alloy::rpc::types::{Filter, FilterBlockOption, Log};

use super::{
    backend::Backend,
    convert::ExecutedBlock,
    error::{RpcError, RpcResult},
};

/// Logs of `block` that match `filter`'s addresses and topics; its block range is not looked at.
pub(super) fn matching(block: &ExecutedBlock, filter: &Filter) -> Vec<Log> {
    if !filter.matches_bloom(block.block.header().logs_bloom) {
        return Vec::new();
    }
    block.to_logs(|log| filter.matches(log))
}

/// The logs `filter` asks for.
///
/// # Errors
/// A range that is reversed or ends above the head, an unknown block hash; more blocks or logs than the limits.
pub(super) fn query(backend: &Backend, filter: &Filter) -> RpcResult<Vec<Log>> {
    let (first, last) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let number = backend.number_of(hash.into())?.ok_or_else(|| RpcError::refused("unknown block"))?;
            (number, number)
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let first = backend.number_of_tag(from_block.unwrap_or_default());
            let last = backend.number_of_tag(to_block.unwrap_or_default());
            (first, last)
        }
    };
    check_range(first, last, backend.head())?;
    if last - first >= backend.config.limits.log_blocks {
        let limit = backend.config.limits.log_blocks;
        return Err(RpcError::LimitExceeded(format!(
            "block range of more than {limit} blocks: ask for smaller ranges"
        )));
    }
    collect(backend, filter, first, last)
}

/// Refuses ranges that hold no decided block or promise blocks that do not exist yet.
pub(super) fn check_range(first: u64, last: u64, head: u64) -> RpcResult<()> {
    if first > last {
        return Err(RpcError::params(format!("invalid block range: {first} is after {last}")));
    }
    if last > head {
        return Err(RpcError::params(format!("block range extends beyond current head block {head}")));
    }
    Ok(())
}

/// Matching logs of the decided blocks `first..=last`.
///
/// # Errors
/// More logs than the limit.
pub(super) fn collect(backend: &Backend, filter: &Filter, first: u64, last: u64) -> RpcResult<Vec<Log>> {
    let limit = backend.config.limits.logs;
    let mut logs = Vec::new();
    for number in first..=last {
        let Some(header) = backend.header(number)? else { break };
        if !filter.matches_bloom(header.logs_bloom) {
            continue;
        }
        if let Some(block) = backend.executed(number)? {
            logs.extend(matching(&block, filter));
        }
        if logs.len() > limit {
            return Err(RpcError::LimitExceeded(format!(
                "query returns more than {limit} logs: ask for smaller ranges"
            )));
        }
    }
    Ok(logs)
}
