//! A node of the tests that lies: everything of it is the node's own, except that its consensus engine speaks to the
//! network through the engine's byzantine proxy, which signs with the bare key, past slashing protection.

use std::path::PathBuf;

use async_trait::async_trait;
use clap::Parser;
use eyre::{Context as _, Result, eyre};
use futures::FutureExt as _;
use k256::ecdsa::SigningKey;
use malachitebft_core_types::{SignedMessage, ValidatorProof, VoteExtensionScope};
use malachitebft_engine_byzantine::{ByzantineConfig, ByzantineNetworkProxy};
use malachitebft_signing::Error;
use rota_protocol::vote::{self, Signature65, address_of};
use rota_sequencer::{
    config::Config,
    consensus::{
        Interpose,
        context::{Digests, RotaContext},
        types::{BlockRef, Proposal, Signer, Vote},
    },
    keys, metrics, node,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// `rota-sequencer run`, with faults.
#[derive(Debug, Parser)]
struct Cli {
    /// Directory of configuration, keys and data of a node that is not running.
    #[arg(long)]
    home: PathBuf,
    /// What to do wrong, and when: the engine's `ByzantineConfig` as JSON.
    #[arg(long)]
    behaviour: String,
}

/// Signs whatever it is asked to.
struct BareKey {
    key: SigningKey,
    digests: Digests,
}

impl BareKey {
    fn sign(&self, digest: Option<alloy::primitives::B256>) -> Result<Signature65, Error> {
        let digest = digest.ok_or_else(|| Error::from_source("this height was not entered"))?;
        vote::sign(&self.key, digest).map_err(Error::from_source)
    }
}

#[async_trait]
impl malachitebft_signing::Signer<RotaContext> for BareKey {
    async fn sign_vote(&self, vote: Vote) -> Result<SignedMessage<RotaContext, Vote>, Error> {
        let signature = self.sign(self.digests.vote(&vote))?;
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(&self, proposal: Proposal) -> Result<SignedMessage<RotaContext, Proposal>, Error> {
        let signature = self.sign(self.digests.proposal(&proposal))?;
        Ok(SignedMessage::new(proposal, signature))
    }

    async fn sign_vote_extension(
        &self,
        _: VoteExtensionScope<RotaContext>,
        _: Vec<u8>,
    ) -> Result<SignedMessage<RotaContext, Vec<u8>>, Error> {
        Err(Error::from_source("vote extensions are off"))
    }

    async fn sign_validator_proof(&self, _: Vec<u8>, _: Vec<u8>) -> Result<ValidatorProof<RotaContext>, Error> {
        Err(Error::from_source("the node proves its key itself"))
    }
}

/// Another block than `block`, which nobody ever built.
fn other(block: Option<&BlockRef>) -> BlockRef {
    let mut hash = block.map(|block| block.0).unwrap_or_default();
    hash.0[31] ^= 1;
    BlockRef(hash)
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let behaviour: ByzantineConfig = serde_json::from_str(&cli.behaviour).wrap_err("--behaviour")?;
    let config = Config::load(&cli.home)?;
    tracing_subscriber::fmt().with_env_filter("warn,rota_sequencer=info").with_writer(std::io::stderr).init();
    let recorder = metrics::install()?;
    let (keystore, password) = (&config.keys.consensus, &config.keys.consensus_password);
    let (Some(keystore), Some(password)) = (keystore, password) else {
        return Err(eyre!("the node in {} has no consensus key", cli.home.display()));
    };
    let key = keys::load_signer(&config.path(keystore), &config.path(password))?.into_credential();
    let interpose: Interpose = Box::new(move |network, digests| {
        async move {
            let address = Signer(address_of(&key));
            ByzantineNetworkProxy::spawn(
                behaviour,
                network,
                Box::new(BareKey { key, digests }),
                RotaContext,
                address,
                tracing::error_span!("byzantine"),
                Some(Box::new(|block| other(Some(block)))),
                Some(Box::new(other)),
            )
            .await
        }
        .boxed()
    });
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let shutdown = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let node = node::run_behind(Some(interpose), config, true, recorder, shutdown.clone());
        tokio::pin!(node);
        loop {
            tokio::select! {
                result = &mut node => return result.map_err(eyre::Report::from),
                _ = terminate.recv() => shutdown.cancel(),
            }
        }
    })
}
