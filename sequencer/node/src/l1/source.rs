//! Where L1 data comes from: JSON-RPC endpoints, used in turn when one fails.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use alloy::{
    eips::BlockNumberOrTag,
    network::TransactionBuilder,
    providers::{Provider, RootProvider},
    rpc::types::{Filter, TransactionRequest},
    transports::http::reqwest::Url,
};
use alloy_primitives::{Address, B256, Log};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use alloy_sol_types::SolCall;
use async_trait::async_trait;

use super::{L1Error, abi};
use crate::chain::L1Ref;

/// Longest wait for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// An L1 block and what it builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L1Header {
    /// The block.
    pub block: L1Ref,
    /// Hash of its parent.
    pub parent: B256,
}

/// A log and its place on L1.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct L1Log {
    /// Block that includes it.
    pub block: L1Ref,
    /// Position in the block.
    pub index: u64,
    /// Transaction that emitted it.
    pub transaction: B256,
    /// Address, topics and data.
    pub log: Log,
}

/// What the follower needs from L1.
#[async_trait]
pub trait L1Source: Send + Sync + 'static {
    /// Chain id of L1.
    async fn chain_id(&self) -> Result<u64, L1Error>;
    /// A block of the canonical chain; `None` if there is none.
    async fn header(&self, at: BlockNumberOrTag) -> Result<Option<L1Header>, L1Error>;
    /// A block by hash, canonical or not.
    async fn header_by_hash(&self, hash: B256) -> Result<Option<L1Header>, L1Error>;
    /// The followed events in blocks `from..=to`, in order.
    async fn logs(&self, from: u64, to: u64) -> Result<Vec<L1Log>, L1Error>;
}

/// JSON-RPC over HTTP.
#[derive(Debug)]
pub struct HttpSource {
    endpoints: Vec<RootProvider>,
    /// Index of the endpoint in use.
    current: AtomicUsize,
    contracts: Vec<Address>,
}

impl HttpSource {
    /// Follows the events of `contracts` at `endpoints`.
    ///
    /// # Errors
    /// Something that is not a URL, or no endpoint.
    pub fn new(endpoints: &[String], contracts: Vec<Address>) -> Result<Self, L1Error> {
        let endpoints = endpoints
            .iter()
            .map(|endpoint| endpoint.parse::<Url>().map(RootProvider::new_http))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| L1Error::Endpoint(error.to_string()))?;
        if endpoints.is_empty() {
            return Err(L1Error::Endpoint("no endpoint".into()));
        }
        Ok(Self { endpoints, current: AtomicUsize::new(0), contracts })
    }

    /// The endpoint in use.
    pub fn provider(&self) -> &RootProvider {
        &self.endpoints[self.current.load(Ordering::Relaxed) % self.endpoints.len()]
    }

    /// Calls a view of `to` at the newest block.
    ///
    /// # Errors
    /// L1 does not answer, or the contract refuses.
    pub async fn view<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, L1Error> {
        let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
        let answer = self.ask(async { self.provider().call(request).await }).await?;
        C::abi_decode_returns(&answer).map_err(|error| L1Error::Rpc(error.to_string()))
    }

    /// Awaits one answer; a failure makes the next request go to the next endpoint.
    async fn ask<T, E: std::fmt::Display>(
        &self,
        request: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, L1Error> {
        let error = match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {REQUEST_TIMEOUT:?}"),
        };
        self.current.fetch_add(1, Ordering::Relaxed);
        Err(L1Error::Rpc(error))
    }
}

fn header_of(header: &alloy::rpc::types::Header) -> L1Header {
    L1Header {
        block: L1Ref { number: header.number, hash: header.hash, timestamp: header.timestamp },
        parent: header.parent_hash,
    }
}

#[async_trait]
impl L1Source for HttpSource {
    async fn chain_id(&self) -> Result<u64, L1Error> {
        self.ask(async { self.provider().get_chain_id().await }).await
    }

    async fn header(&self, at: BlockNumberOrTag) -> Result<Option<L1Header>, L1Error> {
        let block = self.ask(async { self.provider().get_block_by_number(at).await }).await?;
        Ok(block.map(|block| header_of(&block.header)))
    }

    async fn header_by_hash(&self, hash: B256) -> Result<Option<L1Header>, L1Error> {
        let block = self.ask(async { self.provider().get_block_by_hash(hash).await }).await?;
        Ok(block.map(|block| header_of(&block.header)))
    }

    async fn logs(&self, from: u64, to: u64) -> Result<Vec<L1Log>, L1Error> {
        let filter = Filter::new()
            .address(self.contracts.clone())
            .event_signature(abi::TOPICS.to_vec())
            .from_block(from)
            .to_block(to);
        let answer = self.ask(async { self.provider().get_logs(&filter).await }).await?;
        let mut logs = Vec::with_capacity(answer.len());
        for log in answer {
            let (Some(number), Some(hash), Some(index), Some(transaction)) =
                (log.block_number, log.block_hash, log.log_index, log.transaction_hash)
            else {
                return Err(L1Error::Rpc("a log of a pending block".into()));
            };
            let timestamp = match log.block_timestamp {
                Some(timestamp) => timestamp,
                None => match self.header_by_hash(hash).await? {
                    Some(header) => header.block.timestamp,
                    None => return Err(L1Error::Moved { number }),
                },
            };
            logs.push(L1Log { block: L1Ref { number, hash, timestamp }, index, transaction, log: log.inner });
        }
        logs.sort_by_key(|log| (log.block.number, log.index));
        Ok(logs)
    }
}
