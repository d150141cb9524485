//! An operator whose node is down leaves its slots to others: by the tally that they certified a keeper jails it, no later
//! set has it, and nobody else is bothered. The real keeper, over real L1 data.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eyre::{Result, ensure, eyre};
use rota::{
    connection::{WriteArgs, dev_key},
    keeper::{Keeper, KeeperArgs},
};
use rota_bindings::Slasher;
use rota_e2e::TestNet;
use tokio_util::sync::CancellationToken;

/// Account of the keeper that jails: the devnet's own does not.
const KEEPER: u32 = 8;
/// `ISequencerRegistry.Status`.
const ACTIVE: u8 = 1;
const JAILED: u8 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_operator_is_jailed_by_a_keeper() -> Result<()> {
    let net = TestNet::start(&[1_000]).await?;
    net.run(async |net| {
        net.all_at(3, Duration::from_secs(60)).await?;
        let ids: Vec<u32> = net.devnet.manifest.l2.nodes.iter().map(|node| node.id).collect();
        let absent = *ids.last().ok_or_else(|| eyre!("there are no nodes"))?;
        let node = net.devnet.nodes.last_mut().ok_or_else(|| eyre!("there are no nodes"))?;
        node.crash().await?;
        net.say(&format!("operator {absent} is down"));

        let (network, stop) = (net.devnet.network.clone(), CancellationToken::new());
        let token = stop.clone();
        let keeping = tokio::spawn(async move {
            let args = KeeperArgs {
                write: WriteArgs::dev_account(KEEPER),
                interval: 0.5,
                jitter: 0.0,
                metrics: None,
                once: false,
                no_jail: false,
            };
            Keeper::new(&network, &args).await?.run(token).await
        });
        let network = &net.devnet.network;
        net.wait("the absent operator to be jailed", Duration::from_secs(150), async || {
            Ok((network.registry().statusOf(absent).call().await? == JAILED).then_some(()))
        })
        .await?;
        let slasher = Slasher::new(network.deployment.contracts.slasher, network.l1.clone());
        let sigma = slasher.lastOfflineSigma(absent).call().await?;
        let case = slasher.offlineCaseOf(absent, sigma).call().await?;
        ensure!(case.reporter == dev_key(KEEPER)?.address(), "{} is credited", case.reporter);
        net.say(&format!("operator {absent} is jailed for epoch {sigma}"));

        // Looked at again and again, it stays one case, and the others are left alone.
        let now = network.clock().epoch_at(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
        let later = net
            .wait("a set frozen after it", Duration::from_secs(90), async || {
                let last = network.set().lastFrozen().call().await?;
                Ok((last > now + 1).then_some(last))
            })
            .await?;
        let set = rota::epoch::frozen_set(network, later).await?;
        ensure!(set.index_of_id(absent).is_none(), "operator {absent} is in the set of epoch {later}");
        ensure!(slasher.lastOfflineSigma(absent).call().await? == sigma, "jailed twice for one outage");
        for id in ids.into_iter().filter(|id| *id != absent) {
            ensure!(network.registry().statusOf(id).call().await? == ACTIVE, "operator {id} is not active");
        }
        stop.cancel();
        keeping.await?
    })
    .await
}
