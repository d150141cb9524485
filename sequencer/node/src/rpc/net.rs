//! `web3_*`, `net_*`, `rpc_*` and `txpool_*`.

use std::{collections::BTreeMap, sync::Arc};

use alloy::rpc::types::txpool::{TxpoolContent, TxpoolInspect, TxpoolInspectSummary, TxpoolStatus};
use alloy_primitives::{Address, B256, Bytes, U64, keccak256};
use jsonrpsee::proc_macros::rpc;

use super::{
    backend::Backend,
    convert::{self, TransactionResponse},
    error::RpcResult,
};
use crate::mempool::PoolTransaction;

/// Name and version of this node, as `web3_clientVersion` reports it.
pub const CLIENT_VERSION: &str = concat!("rota-sequencer/v", env!("CARGO_PKG_VERSION"));

/// Namespaces this node serves.
const MODULES: [&str; 6] = ["eth", "net", "rota", "rpc", "txpool", "web3"];

/// The client and its network.
#[rpc(server)]
pub(super) trait Net {
    /// Name and version.
    #[method(name = "web3_clientVersion")]
    fn client_version(&self) -> RpcResult<&'static str>;

    /// keccak256.
    #[method(name = "web3_sha3")]
    fn sha3(&self, data: Bytes) -> RpcResult<B256>;

    /// Chain id in decimal.
    #[method(name = "net_version")]
    fn version(&self) -> RpcResult<String>;

    /// Always true.
    #[method(name = "net_listening")]
    fn listening(&self) -> RpcResult<bool>;

    /// Connected peers.
    #[method(name = "net_peerCount")]
    fn peer_count(&self) -> RpcResult<U64>;

    /// Served namespaces and their versions.
    #[method(name = "rpc_modules")]
    fn modules(&self) -> RpcResult<BTreeMap<&'static str, &'static str>>;

    /// Number of executable (`pending`) and waiting (`queued`) transactions.
    #[method(name = "txpool_status")]
    fn pool_status(&self) -> RpcResult<TxpoolStatus>;

    /// Both kinds by sender and nonce.
    #[method(name = "txpool_content")]
    fn pool_content(&self) -> RpcResult<TxpoolContent<TransactionResponse>>;

    /// Both kinds by sender and nonce, a line each.
    #[method(name = "txpool_inspect")]
    fn pool_inspect(&self) -> RpcResult<TxpoolInspect>;
}

/// Implementation of [`NetServer`].
pub(super) struct NetApi {
    pub(super) backend: Arc<Backend>,
}

impl NetServer for NetApi {
    fn client_version(&self) -> RpcResult<&'static str> {
        Ok(CLIENT_VERSION)
    }

    fn sha3(&self, data: Bytes) -> RpcResult<B256> {
        Ok(keccak256(data))
    }

    fn version(&self) -> RpcResult<String> {
        Ok(self.backend.chain.chain_id().to_string())
    }

    fn listening(&self) -> RpcResult<bool> {
        Ok(true)
    }

    fn peer_count(&self) -> RpcResult<U64> {
        Ok(U64::from(self.backend.rota.status().peers.len()))
    }

    fn modules(&self) -> RpcResult<BTreeMap<&'static str, &'static str>> {
        Ok(MODULES.into_iter().map(|module| (module, "1.0")).collect())
    }

    fn pool_status(&self) -> RpcResult<TxpoolStatus> {
        let status = self.backend.pool.status();
        Ok(TxpoolStatus { pending: status.pending as u64, queued: status.queued as u64 })
    }

    fn pool_content(&self) -> RpcResult<TxpoolContent<TransactionResponse>> {
        let content = self.backend.pool.content();
        Ok(TxpoolContent {
            pending: by_sender(&content.pending, convert::to_pending),
            queued: by_sender(&content.queued, convert::to_pending),
        })
    }

    fn pool_inspect(&self) -> RpcResult<TxpoolInspect> {
        let content = self.backend.pool.content();
        Ok(TxpoolInspect { pending: by_sender(&content.pending, summary), queued: by_sender(&content.queued, summary) })
    }
}

fn summary(tx: &PoolTransaction) -> TxpoolInspectSummary {
    TxpoolInspectSummary::from_tx(tx.transaction.clone())
}

/// Transactions of the pool by sender and decimal nonce.
fn by_sender<T>(
    transactions: &BTreeMap<Address, BTreeMap<u64, Arc<PoolTransaction>>>,
    shape: impl Fn(&PoolTransaction) -> T,
) -> BTreeMap<Address, BTreeMap<String, T>> {
    let by_nonce = |queue: &BTreeMap<u64, Arc<PoolTransaction>>| {
        queue.iter().map(|(nonce, tx)| (nonce.to_string(), shape(tx))).collect()
    };
    transactions.iter().map(|(sender, queue)| (*sender, by_nonce(queue))).collect()
}
