//! How the engine's network is set up, and whom it stays connected to.

use std::{collections::BTreeSet, time::Duration};

use libp2p::Multiaddr;
use malachitebft_app_channel::{NetworkRequest, app::config::NodeConfig};
use malachitebft_config::{
    ChannelNames, ConsensusConfig as EngineConsensus, DiscoveryConfig, P2pConfig, ProtocolNames, ValuePayload,
    ValueSyncConfig,
};
use malachitebft_core_types::LinearTimeouts;
use rota_protocol::{member::MAX_MEMBERS, vote::VoteDomain};
use tokio::sync::{mpsc, watch};

/// What the engine reads from its configuration.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    moniker: String,
    consensus: EngineConsensus,
    sync: ValueSyncConfig,
}

impl NodeConfig for EngineSettings {
    fn moniker(&self) -> &str {
        &self.moniker
    }

    fn consensus(&self) -> &EngineConsensus {
        &self.consensus
    }

    fn consensus_mut(&mut self) -> &mut EngineConsensus {
        &mut self.consensus
    }

    fn value_sync(&self) -> &ValueSyncConfig {
        &self.sync
    }

    fn value_sync_mut(&mut self) -> &mut ValueSyncConfig {
        &mut self.sync
    }
}

/// Blocks in one sync request.
pub const SYNC_BATCH: usize = 10;

/// Settings of a network that only nodes of this chain take part in.
pub fn settings(
    moniker: &str,
    domain: &VoteDomain,
    listen: Multiaddr,
    peers: Vec<Multiaddr>,
    members_only: bool,
) -> EngineSettings {
    // Two chains on one host, even with one chain id, never mix: the contract tells them apart.
    let prefix = format!("/rota/{}-{}", domain.chain_id(), hex::encode(&domain.batch_chain()[..4]));
    let name = |part: &str| format!("{prefix}/{part}/1");
    let p2p = P2pConfig {
        listen_addr: listen,
        persistent_peers: peers,
        persistent_peers_only: members_only,
        discovery: DiscoveryConfig {
            enabled: false,
            // Operators may share a host or a NAT; connections are authenticated and limited per peer.
            max_connections_per_ip: 256,
            ip_throttle_duration: Duration::ZERO,
            ..DiscoveryConfig::default()
        },
        protocol_names: ProtocolNames {
            consensus: name("consensus"),
            discovery_kad: name("kad"),
            discovery_regres: name("discovery"),
            sync: name("sync"),
            validator_proof: name("proof"),
        },
        channel_names: ChannelNames {
            consensus: name("votes"),
            proposal_parts: name("parts"),
            sync: name("status"),
            liveness: name("liveness"),
        },
        ..P2pConfig::default()
    };
    EngineSettings {
        moniker: moniker.into(),
        consensus: EngineConsensus {
            enabled: true,
            p2p,
            value_payload: ValuePayload::ProposalAndParts,
            // Two rounds of the largest set.
            queue_per_height_capacity: 4 * MAX_MEMBERS,
            ..EngineConsensus::default()
        },
        sync: ValueSyncConfig {
            enabled: true,
            // Zero: peers hear of each decided height at once.
            status_update_interval: Duration::ZERO,
            request_timeout: Duration::from_secs(2),
            batch_size: SYNC_BATCH,
            ..ValueSyncConfig::default()
        },
    }
}

/// Timeouts of the rounds of a height.
pub fn timeouts() -> LinearTimeouts {
    LinearTimeouts {
        propose: Duration::from_millis(800),
        propose_delta: Duration::from_millis(400),
        prevote: Duration::from_millis(300),
        prevote_delta: Duration::from_millis(200),
        precommit: Duration::from_millis(300),
        precommit_delta: Duration::from_millis(200),
        rebroadcast: Duration::from_millis(1_500),
        // Round 10, from which the engine helps against hidden locks, is reached within a minute.
        max_timeout: Duration::from_secs(15),
    }
}

/// Keeps the engine connected to the peers in `wanted`, the addresses that members of the frozen sets published, and
/// to those in `fixed`, which are never removed. Ends with the engine or with the sender of `wanted`.
pub async fn follow_peers(
    requests: mpsc::Sender<NetworkRequest>,
    fixed: Vec<Multiaddr>,
    mut wanted: watch::Receiver<Vec<Multiaddr>>,
) {
    let fixed: BTreeSet<_> = fixed.into_iter().collect();
    let mut connected = BTreeSet::new();
    loop {
        let next: BTreeSet<_> =
            wanted.borrow_and_update().iter().filter(|addr| !fixed.contains(addr)).cloned().collect();
        for addr in next.difference(&connected) {
            tracing::info!(%addr, "staying connected to a member");
            if NetworkRequest::add_persistent_peer(&requests, addr.clone()).await.is_err() {
                return;
            }
        }
        for addr in connected.difference(&next) {
            tracing::info!(%addr, "letting go of a former member");
            if NetworkRequest::remove_persistent_peer(&requests, addr.clone()).await.is_err() {
                return;
            }
        }
        connected = next;
        if wanted.changed().await.is_err() {
            return;
        }
    }
}
