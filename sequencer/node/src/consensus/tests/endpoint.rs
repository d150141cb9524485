//! Addresses for nodes of tests.

use std::{collections::BTreeSet, net::TcpListener};

use libp2p::{Multiaddr, PeerId, identity::Keypair};
use parking_lot::Mutex;
use rand::Rng;

/// Where a node is found: clusters of tests that run side by side must never meet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) key: [u8; 32],
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) fn new() -> Self {
        static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
        // Below the range that outgoing connections take their ports from.
        let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok() && GIVEN.lock().insert(*port);
        let port = std::iter::repeat_with(|| rand::rng().random_range(12_000..32_000)).find(free).unwrap();
        Self { key: rand::random(), port }
    }

    pub(crate) fn listen(&self) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{}", self.port).parse().unwrap()
    }

    pub(crate) fn address(&self) -> Multiaddr {
        format!("{}/p2p/{}", self.listen(), self.peer()).parse().unwrap()
    }

    pub(crate) fn peer(&self) -> PeerId {
        Keypair::ed25519_from_bytes(self.key).unwrap().public().to_peer_id()
    }
}
