//! Which peers a node stays connected to: the members of the sets that serve or will serve, where they say they are.

use std::collections::BTreeSet;

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::info::NodeInfo;

/// Publishes the consensus and gossip addresses of members whenever L1 changes.
pub(super) async fn follow(
    info: &NodeInfo,
    own: PeerId,
    consensus: watch::Sender<Vec<Multiaddr>>,
    gossip: watch::Sender<Vec<Multiaddr>>,
    shutdown: CancellationToken,
) {
    let mut l1 = info.l1.subscribe();
    loop {
        // While the sets are not known, at a start or during a reorganisation of L1, nobody is let go.
        if let Some(addresses) = members(info, own) {
            let transactions: Vec<_> = addresses.iter().filter_map(gossip_address).collect();
            publish(&consensus, addresses);
            publish(&gossip, transactions);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = l1.changed() => if changed.is_err() { return },
        }
    }
}

fn publish(target: &watch::Sender<Vec<Multiaddr>>, addresses: Vec<Multiaddr>) {
    target.send_if_modified(|present| {
        let changed = *present != addresses;
        *present = addresses;
        changed
    });
}

fn members(info: &NodeInfo, own: PeerId) -> Option<Vec<Multiaddr>> {
    let (sigma, _) = info.rules.next_serving()?;
    // A set frozen for a later epoch: its members get to know each other before they serve.
    let sets = [info.l1.set(sigma)?, info.l1.serving_set(u32::MAX)?];
    let ids: BTreeSet<u32> = sets.iter().flat_map(|set| set.members()).map(|member| member.id).collect();
    let operators = info.l1.operators();
    let known = operators.iter().filter(|(id, _)| ids.contains(id));
    let addresses = known.filter_map(|(_, operator)| address(&operator.metadata));
    Some(addresses.filter(|address| peer(address) != Some(own)).collect())
}

/// A metadata URI as a multiaddress that names a peer; operators may publish anything.
fn address(uri: &str) -> Option<Multiaddr> {
    uri.parse().ok().filter(|address| peer(address).is_some())
}

fn peer(address: &Multiaddr) -> Option<PeerId> {
    address.iter().find_map(|part| match part {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    })
}

/// Where a member gossips transactions: one TCP port above its consensus address.
fn gossip_address(consensus: &Multiaddr) -> Option<Multiaddr> {
    let shift = |part: Protocol<'_>| match part {
        Protocol::Tcp(port) => port.checked_add(1).map(Protocol::Tcp),
        Protocol::Ip4(_)
        | Protocol::Ip6(_)
        | Protocol::Dns(_)
        | Protocol::Dns4(_)
        | Protocol::Dns6(_)
        | Protocol::P2p(_) => Some(part.acquire()),
        _ => None,
    };
    consensus.iter().map(shift).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gossip_is_one_port_above_consensus() {
        let id = PeerId::random();
        let at = |port: u32| format!("/ip4/10.0.0.1/tcp/{port}/p2p/{id}");
        let consensus = address(&at(27_000)).unwrap();
        assert_eq!(gossip_address(&consensus), Some(at(27_001).parse().unwrap()));
        assert_eq!(gossip_address(&address(&at(65_535)).unwrap()), None);
        assert_eq!(peer(&consensus), Some(id));
    }

    #[test]
    fn metadata_that_names_no_peer_is_ignored() {
        assert_eq!(address("https://example.org"), None);
        assert_eq!(address("/ip4/10.0.0.1/tcp/27000"), None);
        assert_eq!(address(""), None);
    }
}
