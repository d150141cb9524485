//! `eth_subscribe` over WebSocket.
//!
//! A subscription about blocks remembers the height it has sent up to and reads the rest from the chain, so a busy
//! moment delays notifications but never leaves a gap. A client that does not read for a while loses its subscription.

use std::{future::Future, sync::Arc, time::Duration};

use alloy::rpc::types::{
    Filter,
    pubsub::{Params as SubscriptionParams, PubSubSyncStatus, SubscriptionKind, SyncStatusMetadata},
};
use jsonrpsee::{
    Extensions, PendingSubscriptionSink, RpcModule, SubscriptionSink,
    core::{RegisterMethodError, SubscriptionError, traits::IdProvider},
    types::{ErrorObjectOwned, Params, SubscriptionId},
};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use super::{
    backend::Backend,
    convert,
    error::{RpcError, RpcResult},
    logs,
};
use crate::chain::DecidedChain;

/// How often the state of synchronisation is looked at.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Registers `eth_subscribe` and `eth_unsubscribe`.
pub(super) fn register(module: &mut RpcModule<Backend>) -> Result<(), RegisterMethodError> {
    module.register_subscription("eth_subscribe", "eth_subscription", "eth_unsubscribe", subscribe)?;
    Ok(())
}

/// Subscription ids are random hex quantities, as clients of Ethereum nodes expect.
#[derive(Debug)]
pub(super) struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        format!("{:#x}", rand::random::<u128>()).into()
    }
}

async fn subscribe(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    backend: Arc<Backend>,
    _extensions: Extensions,
) -> Result<(), SubscriptionError> {
    let (kind, params) = match parse(&params) {
        Ok(parsed) => parsed,
        Err(error) => {
            pending.reject(ErrorObjectOwned::from(error)).await;
            return Ok(());
        }
    };
    match (kind, params) {
        (SubscriptionKind::NewHeads, _) => new_heads(&backend, pending).await,
        (SubscriptionKind::Logs, SubscriptionParams::Logs(filter)) => new_logs(&backend, pending, *filter).await,
        (SubscriptionKind::Logs, _) => new_logs(&backend, pending, Filter::default()).await,
        (SubscriptionKind::NewPendingTransactions, params) => {
            new_transactions(&backend, pending, matches!(params, SubscriptionParams::Bool(true))).await
        }
        (SubscriptionKind::Syncing, _) => syncing(&backend, pending).await,
        (kind, _) => {
            pending.reject(ErrorObjectOwned::from(unsupported(&kind.to_string()))).await;
            Ok(())
        }
    }
}

fn parse(params: &Params<'_>) -> RpcResult<(SubscriptionKind, SubscriptionParams)> {
    let mut params = params.sequence();
    let name: String = params.next().map_err(|error| RpcError::params(error.message()))?;
    let kind = name.parse().map_err(|_| unsupported(&name))?;
    let options: Option<serde_json::Value> =
        params.optional_next().map_err(|error| RpcError::params(error.message()))?;
    let options = match options {
        Some(options) => SubscriptionParams::from_json_value(options).map_err(RpcError::params)?,
        None => SubscriptionParams::None,
    };
    Ok((kind, options))
}

fn unsupported(kind: &str) -> RpcError {
    RpcError::params(format!("no subscription \"{kind}\""))
}

async fn new_heads(backend: &Arc<Backend>, pending: PendingSubscriptionSink) -> Result<(), SubscriptionError> {
    each_block(backend, pending, |backend, number| {
        Ok(backend.chain.block(number)?.map(|block| convert::to_header(&block)).into_iter().collect::<Vec<_>>())
    })
    .await
}

async fn new_logs(
    backend: &Arc<Backend>,
    pending: PendingSubscriptionSink,
    filter: Filter,
) -> Result<(), SubscriptionError> {
    each_block(backend, pending, move |backend, number| {
        let Some(header) = backend.header(number)? else { return Ok(Vec::new()) };
        if !filter.matches_bloom(header.logs_bloom) {
            return Ok(Vec::new());
        }
        Ok(backend.executed(number)?.map(|block| logs::matching(&block, &filter)).unwrap_or_default())
    })
    .await
}

/// Sends what `read` makes of each block decided from now on, in order.
async fn each_block<T: Serialize>(
    backend: &Arc<Backend>,
    pending: PendingSubscriptionSink,
    read: impl Fn(&Backend, u64) -> RpcResult<Vec<T>>,
) -> Result<(), SubscriptionError> {
    // In this order no block can fall between the head and the first event.
    let mut events = backend.chain.subscribe();
    let mut next = backend.head() + 1;
    let sink = pending.accept().await?;
    loop {
        while next <= backend.head() {
            for item in read(backend, next).map_err(|error| SubscriptionError::from(error.to_string()))? {
                send(backend, &sink, &item).await?;
            }
            next += 1;
        }
        let Some(event) = open(&sink, events.recv()).await else { return Ok(()) };
        // Having missed events is no loss: the chain itself is read.
        if matches!(event, Err(RecvError::Closed)) {
            return Ok(());
        }
    }
}

async fn new_transactions(
    backend: &Arc<Backend>,
    pending: PendingSubscriptionSink,
    full: bool,
) -> Result<(), SubscriptionError> {
    let mut arrivals = backend.pool.subscribe();
    let sink = pending.accept().await?;
    loop {
        match open(&sink, arrivals.recv()).await {
            Some(Ok(tx)) if full => send(backend, &sink, &convert::to_pending(&tx)).await?,
            Some(Ok(tx)) => send(backend, &sink, &tx.hash).await?,
            Some(Err(RecvError::Lagged(_))) => {}
            Some(Err(RecvError::Closed)) | None => return Ok(()),
        }
    }
}

async fn syncing(backend: &Arc<Backend>, pending: PendingSubscriptionSink) -> Result<(), SubscriptionError> {
    let sink = pending.accept().await?;
    let starting_block = backend.head();
    let mut told = None;
    let mut interval = tokio::time::interval(SYNC_INTERVAL);
    while open(&sink, interval.tick()).await.is_some() {
        let target = backend.rota.status().sync_target;
        if told == Some(target.is_some()) {
            continue;
        }
        told = Some(target.is_some());
        let status = match target {
            None => PubSubSyncStatus::Simple(false),
            Some(highest_block) => PubSubSyncStatus::Detailed(SyncStatusMetadata {
                syncing: true,
                starting_block,
                current_block: backend.head(),
                highest_block: Some(highest_block),
            }),
        };
        send(backend, &sink, &status).await?;
    }
    Ok(())
}

/// `event`, unless the client leaves first.
async fn open<T>(sink: &SubscriptionSink, event: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = sink.closed() => None,
        event = event => Some(event),
    }
}

async fn send(backend: &Backend, sink: &SubscriptionSink, item: &impl Serialize) -> Result<(), SubscriptionError> {
    let message = serde_json::value::to_raw_value(item)?;
    Ok(sink.send_timeout(message, backend.config.limits.subscription_patience).await?)
}
