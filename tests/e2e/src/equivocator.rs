//! A raw equivocator: it holds an operator's consensus key and says over the consensus gossip whatever it is told, for
//! any height, while the operator's node runs elsewhere with the same key. No engine, no chain, no slashing protection.
//!
//! The network actor is the engine's own, so peers cannot tell its messages from those of a node. The tests of
//! `rota-sequencer` compile this file, too.

use eyre::{Result, eyre};
use k256::ecdsa::SigningKey;
use libp2p::Multiaddr;
use malachitebft_app_channel::{
    NetworkIdentity,
    app::{config::NodeConfig as _, metrics::SharedRegistry, spawn::spawn_network_actor, types::Keypair},
};
use malachitebft_core_consensus::SignedConsensusMsg;
use malachitebft_core_types::{NilOrVal, Round, SignedMessage, VoteType};
use malachitebft_engine::network::{Msg, NetworkRef};
use rota_protocol::{
    evidence::Signed,
    vote::{self, Proposal, Vote, VoteDomain, VoteKind, address_of},
};
use rota_sequencer::consensus::{
    codec::WireCodec,
    context::RotaContext,
    network::settings,
    types::{self, BlockRef, Height, Signer},
};

/// A voice on the consensus network.
pub struct Equivocator {
    network: NetworkRef<RotaContext>,
    domain: VoteDomain,
    key: SigningKey,
}

impl Equivocator {
    /// Connects to `peers` as a node of the chain would, listening on `listen`.
    ///
    /// # Errors
    /// When the network cannot be started.
    pub async fn join(domain: VoteDomain, key: SigningKey, listen: Multiaddr, peers: Vec<Multiaddr>) -> Result<Self> {
        let moniker = format!("equivocator-{}", address_of(&key));
        let settings = settings(&moniker, &domain, listen, peers, false);
        let identity = NetworkIdentity::new(moniker.clone(), Keypair::generate_ed25519(), None);
        let registry = SharedRegistry::global().with_moniker(&moniker);
        let network = spawn_network_actor(settings.consensus(), settings.value_sync(), identity, &registry, WireCodec)
            .await
            .map_err(|error| eyre!("the network does not start: {error:#}"))?;
        Ok(Self { network, domain, key })
    }

    /// Signs a vote and publishes it; with few peers, or at once after joining, it may reach nobody.
    ///
    /// # Errors
    /// When the key refuses or the network is gone.
    pub fn vote(&self, vote: Vote) -> Result<Signed<Vote>> {
        let signature = vote::sign(&self.key, vote.digest(&self.domain))?;
        let message = types::Vote {
            kind: match vote.kind {
                VoteKind::Prevote => VoteType::Prevote,
                VoteKind::Precommit => VoteType::Precommit,
            },
            height: Height(vote.height),
            round: Round::new(vote.round),
            value: if vote.block_hash.is_zero() { NilOrVal::Nil } else { NilOrVal::Val(BlockRef(vote.block_hash)) },
            voter: Signer(address_of(&self.key)),
        };
        self.publish(SignedConsensusMsg::Vote(SignedMessage::new(message, signature)))?;
        Ok(Signed { message: vote, signature })
    }

    /// Signs a proposal and publishes it, without a body.
    ///
    /// # Errors
    /// As [`Self::vote`].
    pub fn propose(&self, proposal: Proposal) -> Result<Signed<Proposal>> {
        let signature = vote::sign(&self.key, proposal.digest(&self.domain))?;
        let message = types::Proposal {
            height: Height(proposal.height),
            round: Round::new(proposal.round),
            value: BlockRef(proposal.block_hash),
            pol_round: u32::try_from(proposal.pol_round).map_or(Round::Nil, Round::new),
            proposer: Signer(address_of(&self.key)),
        };
        self.publish(SignedConsensusMsg::Proposal(SignedMessage::new(message, signature)))?;
        Ok(Signed { message: proposal, signature })
    }

    fn publish(&self, message: SignedConsensusMsg<RotaContext>) -> Result<()> {
        self.network.cast(Msg::PublishConsensusMsg(message)).map_err(|error| eyre!("the network is gone: {error}"))
    }

    /// Falls silent.
    pub fn leave(&self) {
        self.network.stop(None);
    }
}
