//! Where L1 data comes from: JSON-RPC endpoints, used in turn when one fails.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    network::TransactionBuilder,
    providers::{Provider, RootProvider},
    rpc::{
        json_rpc::ErrorPayload,
        types::{Filter, TransactionRequest},
    },
    transports::{RpcError, TransportError},
};
use alloy_primitives::{Address, B256, Bytes, Log};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use alloy_sol_types::SolCall;
use async_trait::async_trait;
use futures::future::join_all;
use rota_bindings::{BatchChain, Portal, SequencerRegistry, SequencerSet};
use rota_protocol::config::ContractsConfig;

use super::{L1Error, abi, endpoint::Endpoint};
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

/// What the contracts count up to a block: what their logs must add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Deposits in the Portal.
    pub deposits: u64,
    /// Registered operators.
    pub operators: u32,
    /// Index of the newest batch; 0 before the first.
    pub batches: u64,
    /// Its hash; zero before the first.
    pub batch_head: B256,
    /// Index of the newest FINAL batch; 0 before the first.
    pub final_batches: u64,
    /// Latest epoch that a set was frozen for; 0 before the first.
    pub last_set: u32,
    /// Hash of that set; zero before the first.
    pub set_hash: B256,
    /// Seed of that set; zero before the first.
    pub set_seed: B256,
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
    /// What the contracts say after the block with hash `at`, which must be recent.
    async fn totals(&self, at: B256) -> Result<Totals, L1Error>;
    /// The last epoch before `epoch` that a set was frozen for, after the block with hash `at`; 0 if there is none.
    async fn set_before(&self, epoch: u32, at: B256) -> Result<u32, L1Error>;
    /// Number of endpoints.
    fn endpoints(&self) -> usize;
    /// Number of the turn: each one belongs to the next endpoint, and ends when that is left.
    fn turn(&self) -> usize;
    /// Name of the endpoint whose turn that is, without secrets.
    fn name(&self, turn: usize) -> &str;
    /// Leaves the endpoint of `turn` for the next one, unless it was left since; false if there is no other. For one that
    /// answers, but not with the truth.
    fn leave(&self, turn: usize) -> bool;
}

/// JSON-RPC over HTTP.
#[derive(Debug)]
pub struct HttpSource {
    endpoints: Vec<Endpoint>,
    /// Number of the turn. The endpoints take turns in their order.
    turn: AtomicUsize,
    contracts: ContractsConfig,
}

impl HttpSource {
    /// Follows the events of `contracts` at `endpoints`.
    ///
    /// # Errors
    /// Something that is not a URL, or no endpoint.
    pub fn new(endpoints: &[String], contracts: ContractsConfig) -> Result<Self, L1Error> {
        let endpoints = endpoints.iter().map(|endpoint| Endpoint::new(endpoint)).collect::<Result<Vec<_>, _>>()?;
        if endpoints.is_empty() {
            return Err(L1Error::Endpoint("there is none; give at least one in l1.rpc".into()));
        }
        Ok(Self { endpoints, turn: AtomicUsize::new(0), contracts })
    }

    fn at(&self, turn: usize) -> &Endpoint {
        &self.endpoints[turn % self.endpoints.len()]
    }

    /// The endpoint in use.
    #[cfg(test)]
    pub(crate) fn provider(&self) -> &RootProvider {
        &self.at(self.turn()).provider
    }

    /// Calls a view of `to` at the newest block.
    ///
    /// # Errors
    /// L1 does not answer, or the contract refuses.
    pub async fn view<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, L1Error> {
        self.view_at(to, call, BlockId::latest()).await
    }

    /// Calls a view of `to` as of a block.
    ///
    /// # Errors
    /// As [`Self::view`]; or the endpoint has no state of that block any more.
    pub async fn view_at<C: SolCall>(&self, to: Address, call: &C, at: BlockId) -> Result<C::Return, L1Error> {
        let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
        let answer = self.ask(|l1| async move { l1.call(request).block(at).await }).await?;
        C::abi_decode_returns(&answer).map_err(|error| L1Error::Rpc(format!("{} of {to}: {error}", C::SIGNATURE)))
    }

    /// Calls a view of `to` as of a block at every endpoint: what those say that answer, at least one of them. About one
    /// block they cannot honestly say different things, so if they do the endpoint in use is left: it may be the one that
    /// lies.
    ///
    /// # Errors
    /// No endpoint answers.
    pub async fn view_everywhere<C: SolCall>(
        &self,
        to: Address,
        call: &C,
        at: BlockId,
    ) -> Result<Vec<C::Return>, L1Error>
    where
        C::Return: PartialEq,
    {
        let turn = self.turn();
        let asked: Vec<_> = self.endpoints.iter().map(|endpoint| ask(endpoint, to, call.abi_encode(), at)).collect();
        let (mut said, mut failure) = (Vec::new(), None);
        for (endpoint, answer) in self.endpoints.iter().zip(join_all(asked).await) {
            let decoded = answer.and_then(|answer| C::abi_decode_returns(&answer).map_err(|error| error.to_string()));
            match decoded {
                Ok(answer) => said.push(answer),
                Err(error) => {
                    failure = Some(L1Error::Rpc(format!("{}: {} of {to}: {error}", endpoint.name, C::SIGNATURE)));
                }
            }
        }
        if let (true, Some(failure)) = (said.is_empty(), failure) {
            return Err(failure);
        }
        if said.windows(2).any(|pair| pair[0] != pair[1]) {
            tracing::warn!(
                call = C::SIGNATURE,
                ?at,
                "the L1 endpoints contradict each other about one block: one of them lies"
            );
            self.leave(turn);
        }
        Ok(said)
    }

    /// Awaits one answer. The outer error says that the endpoint gave none, and that the next request goes to the next
    /// endpoint; the inner one is an error response, which has the same consequence if `blames` says so.
    pub(crate) async fn request<T, F>(
        &self,
        request: impl FnOnce(RootProvider) -> F,
        blames: impl FnOnce(&ErrorPayload) -> bool,
    ) -> Result<Result<T, ErrorPayload>, L1Error>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        let turn = self.turn();
        let endpoint = self.at(turn);
        let error = match tokio::time::timeout(REQUEST_TIMEOUT, request(endpoint.provider.clone())).await {
            Ok(Ok(answer)) => return Ok(Ok(answer)),
            Ok(Err(RpcError::ErrorResp(mut error))) => {
                if blames(&error) {
                    self.leave(turn);
                }
                error.message = format!("{}: {}", endpoint.name, endpoint.redact(&error.message)).into();
                return Ok(Err(error));
            }
            Ok(Err(error)) => endpoint.redact(&error),
            Err(_) => format!("no answer in {REQUEST_TIMEOUT:?}"),
        };
        self.leave(turn);
        Err(L1Error::Rpc(format!("{}: {error}", endpoint.name)))
    }

    /// [`Self::request`] for questions that every endpoint must be able to answer.
    async fn ask<T, F>(&self, request: impl FnOnce(RootProvider) -> F) -> Result<T, L1Error>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        self.request(request, |_| true).await?.map_err(|error| L1Error::Rpc(error.to_string()))
    }
}

/// Calls `to` at one endpoint, whoever's turn it is. The error is without secrets.
async fn ask(endpoint: &Endpoint, to: Address, input: Vec<u8>, at: BlockId) -> Result<Bytes, String> {
    let request = TransactionRequest::default().with_to(to).with_input(input);
    let answer = async { endpoint.provider.call(request).block(at).await };
    match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|error| endpoint.redact(&error)),
        Err(_) => Err(format!("no answer in {REQUEST_TIMEOUT:?}")),
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
        self.ask(|l1| async move { l1.get_chain_id().await }).await
    }

    async fn header(&self, at: BlockNumberOrTag) -> Result<Option<L1Header>, L1Error> {
        let block = self.ask(|l1| async move { l1.get_block_by_number(at).await }).await?;
        Ok(block.map(|block| header_of(&block.header)))
    }

    async fn header_by_hash(&self, hash: B256) -> Result<Option<L1Header>, L1Error> {
        let block = self.ask(|l1| async move { l1.get_block_by_hash(hash).await }).await?;
        Ok(block.map(|block| header_of(&block.header)))
    }

    async fn logs(&self, from: u64, to: u64) -> Result<Vec<L1Log>, L1Error> {
        let filter = Filter::new()
            .address(vec![
                self.contracts.sequencer_registry,
                self.contracts.sequencer_set,
                self.contracts.portal,
                self.contracts.batch_chain,
            ])
            .event_signature(abi::TOPICS.to_vec())
            .from_block(from)
            .to_block(to);
        let answer = self.ask(|l1| async move { l1.get_logs(&filter).await }).await?;
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

    async fn totals(&self, at: B256) -> Result<Totals, L1Error> {
        let (contracts, at) = (&self.contracts, BlockId::from(at));
        let (deposits, operators, batches, final_batches, last_set) = tokio::try_join!(
            self.view_at(contracts.portal, &Portal::depositCountCall {}, at),
            self.view_at(contracts.sequencer_registry, &SequencerRegistry::operatorCountCall {}, at),
            self.view_at(contracts.batch_chain, &BatchChain::headIndexCall {}, at),
            self.view_at(contracts.batch_chain, &BatchChain::finalIndexCall {}, at),
            self.view_at(contracts.sequencer_set, &SequencerSet::lastFrozenCall {}, at),
        )?;
        let batch = BatchChain::batchAtCall { index: batches };
        let set = SequencerSet::setHashCall { epoch: last_set };
        let seed = SequencerSet::seedCall { epoch: last_set };
        let (batch_head, set_hash, set_seed) = tokio::try_join!(
            self.view_at(contracts.batch_chain, &batch, at),
            self.view_at(contracts.sequencer_set, &set, at),
            self.view_at(contracts.sequencer_set, &seed, at),
        )?;
        // Index 0 is the genesis of L2 and no batch.
        let batch_head = if batches == 0 { B256::ZERO } else { batch_head };
        Ok(Totals { deposits, operators, batches, batch_head, final_batches, last_set, set_hash, set_seed })
    }

    async fn set_before(&self, epoch: u32, at: B256) -> Result<u32, L1Error> {
        let Some(epoch) = epoch.checked_sub(1) else { return Ok(0) };
        let call = SequencerSet::frozenEpochAtCall { epoch };
        self.view_at(self.contracts.sequencer_set, &call, BlockId::from(at)).await
    }

    fn endpoints(&self) -> usize {
        self.endpoints.len()
    }

    fn turn(&self) -> usize {
        self.turn.load(Ordering::Relaxed)
    }

    fn name(&self, turn: usize) -> &str {
        &self.at(turn).name
    }

    fn leave(&self, turn: usize) -> bool {
        if self.endpoints.len() == 1 {
            return false;
        }
        // Another request that failed there may have done so before.
        let _ = self.turn.compare_exchange(turn, turn.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
        true
    }
}
