//! Ethereum JSON-RPC and the `rota_*` methods over HTTP and WebSocket.
//!
//! `latest` is the last decided block, `safe` the last one in a batch posted on L1, `finalized` the last one in a FINAL
//! batch; `pending` differs from `latest` only for nonces. Reads answer from one consistent view of the chain; calls,
//! estimates, log scans and proofs run on their own few threads. Methods that are not served answer −32601.

mod backend;
mod config;
mod convert;
mod error;
mod eth;
mod fees;
mod filters;
mod info;
mod logs;
mod net;
mod pubsub;
mod rota;
mod simulate;

use std::{net::SocketAddr, sync::Arc};

use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    server::{BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle},
};
use tokio_util::sync::CancellationToken;
use tower_http::cors::{Any, CorsLayer};

use self::{backend::Backend, eth::EthServer, net::NetServer, rota::RotaServer};
use crate::{mempool::Mempool, store::Chain};

pub use config::{Config, Limits};
pub use info::{BatchInfo, BatchStatus, Labels, NodeStatus, RotaInfo, Serving};
pub use net::CLIENT_VERSION;

/// A running RPC server; it stops when its token is cancelled.
#[derive(Debug)]
pub struct RpcHandle {
    server: ServerHandle,
}

impl RpcHandle {
    /// Waits until the last connection is closed.
    pub async fn stopped(self) {
        self.server.stopped().await;
    }
}

/// Why the RPC server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("RPC cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: std::io::Error,
    },
    /// Two methods have one name.
    #[error(transparent)]
    Methods(#[from] RegisterMethodError),
}

/// Serves the chain and the mempool on `config.listen` until `shutdown`; returns the address actually bound.
///
/// # Errors
/// The address is taken or not ours.
pub async fn serve(
    config: Config,
    chain: Arc<Chain>,
    pool: Mempool,
    labels: Arc<dyn Labels>,
    rota: Arc<dyn RotaInfo>,
    shutdown: CancellationToken,
) -> Result<(SocketAddr, RpcHandle), ServeError> {
    let address = config.listen;
    let limits = config.limits;
    let module = methods(Arc::new(Backend::new(config, chain, pool, labels, rota)))?;
    let settings = ServerConfig::builder()
        .max_connections(limits.connections)
        .max_request_body_size(limits.request_bytes)
        .max_response_body_size(limits.response_bytes)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch))
        .max_subscriptions_per_connection(limits.subscriptions)
        .set_message_buffer_capacity(limits.subscription_buffer)
        .set_id_provider(pubsub::HexIds)
        .set_tcp_no_delay(true)
        .enable_ws_ping(PingConfig::default())
        .build();
    // Wallets in browsers call from any page; nothing here depends on cookies or the caller's network.
    let cors = CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any);
    let listen_error = |source| ServeError::Listen { address, source };
    let server = Server::builder()
        .set_config(settings)
        .set_http_middleware(tower::ServiceBuilder::new().layer(cors))
        .build(address)
        .await
        .map_err(listen_error)?;
    let bound = server.local_addr().map_err(listen_error)?;
    let server = server.start(module);
    let stop = server.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = stop.clone().stopped() => {}
        }
        // Already stopped is as good.
        let _ = stop.stop();
    });
    tracing::info!(address = %bound, "JSON-RPC over HTTP and WebSocket");
    Ok((bound, RpcHandle { server }))
}

fn methods(backend: Arc<Backend>) -> Result<RpcModule<Backend>, RegisterMethodError> {
    let mut module = RpcModule::from_arc(Arc::clone(&backend));
    pubsub::register(&mut module)?;
    module.merge(eth::EthApi::new(Arc::clone(&backend)).into_rpc())?;
    module.merge(net::NetApi { backend: Arc::clone(&backend) }.into_rpc())?;
    module.merge(rota::RotaApi { backend }.into_rpc())?;
    Ok(module)
}
