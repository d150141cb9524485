//! An operator whose node is down for an epoch: by the tally that the others certified a keeper has it jailed, once, the
//! next sets are without it, nobody else is bothered, and nothing is lost. It pays to be unjailed and comes back. Down
//! again, it is jailed and slashed. The real keeper, over real L1 data.

use std::time::Duration;

use alloy::{
    primitives::{Address, U256},
    providers::Provider as _,
};
use eyre::{Result, ensure, eyre};
use rota::{
    connection::{WriteArgs, dev_key},
    keeper::{Keeper, KeeperArgs},
    operator,
    submit::Submitter,
};
use rota_bindings::{NativeToken, SlashEscrow, Slasher};
use rota_e2e::{TestNet, provider};
use tokio_util::sync::CancellationToken;

/// Status of the registry.
const ACTIVE: u8 = 1;
const JAILED: u8 = 2;

/// State of an offline case.
const OPEN: u8 = 1;
const SLASHED: u8 = 3;

/// Account of the keeper that jails: the devnet's own does not.
const KEEPER: u32 = 8;

/// Account with tokens.
const FRIEND: u32 = 5;

/// Sequencer that fails, by index. Not the first, which is asked.
const ABSENT: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absence_is_jailed_and_a_repeat_is_slashed() -> Result<()> {
    let net = TestNet::start(&[1_000]).await?;
    net.run(async |net| {
        net.all_at(3, Duration::from_secs(60)).await?;
        let node = net.node(ABSENT)?.clone();
        let id = node.id;
        let vault = net.devnet.network.vault();
        let bond = vault.pool(id).call().await?.tokens;

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

        let sigma = absence(net, id).await?;
        let case = offline_case(net, id, sigma).await?;
        ensure!(case.state == OPEN && case.previousSigma == 0, "the first absence is {case:?}");
        ensure!(vault.pool(id).call().await?.tokens == bond, "a first absence cost stake");
        ensure!(case.reporter == dev_key(KEEPER)?.address(), "{} is credited", case.reporter);
        serving(net, "a set without it", id, false).await?;
        // Looked at again and again, it stays one case, and the others are left alone.
        let slasher = Slasher::new(net.devnet.network.deployment.contracts.slasher, net.devnet.network.l1.clone());
        ensure!(slasher.lastOfflineSigma(id).call().await? == sigma, "jailed twice for one outage");
        for other in net.devnet.manifest.l2.nodes.iter().map(|node| node.id).filter(|other| *other != id) {
            ensure!(status(net, other).await? == ACTIVE, "operator {other} is not active");
        }
        come_back(net, id, &node.rpc_url, node.owner_index).await?;

        let repeat = absence(net, id).await?;
        let case = offline_case(net, id, repeat).await?;
        ensure!(case.previousSigma == sigma, "the repeat is not one of {sigma}: {case:?}");
        slashed(net, id, repeat, bond, case.reporter).await?;
        stop.cancel();
        keeping.await?
    })
    .await
}

async fn status(net: &TestNet, id: u32) -> Result<u8> {
    let network = &net.devnet.network;
    Ok(network.registry().statusOf(id).call().await?)
}

async fn offline_case(
    net: &TestNet,
    id: u32,
    sigma: u32,
) -> Result<rota_bindings::generated::slasher::ISlasher::OfflineCase> {
    let network = &net.devnet.network;
    let slasher = Slasher::new(network.deployment.contracts.slasher, network.l1.clone());
    Ok(slasher.offlineCaseOf(id, sigma).call().await?)
}

async fn serving(net: &TestNet, what: &str, id: u32, with: bool) -> Result<u32> {
    net.wait(&format!("{what} to serve"), Duration::from_secs(150), async || {
        let set = net.serving_set().await?;
        Ok((set.index_of_id(id).is_some() == with).then_some(set.epoch()))
    })
    .await
}

/// Takes the node down until its operator is jailed; returns the epoch it is jailed for.
async fn absence(net: &mut TestNet, id: u32) -> Result<u32> {
    // From the start of an epoch on: what it misses before the middle of one may be less than half.
    net.serves_from(net.serving().await? + 1).await?;
    net.devnet.nodes.get_mut(ABSENT).ok_or_else(|| eyre!("node {ABSENT} does not run"))?.crash().await?;
    net.say(&format!("the node of operator {id} is down"));
    net.wait(&format!("operator {id} to be jailed"), Duration::from_secs(120), async || {
        Ok((status(net, id).await? == JAILED).then_some(()))
    })
    .await?;
    let network = &net.devnet.network;
    let slasher = Slasher::new(network.deployment.contracts.slasher, network.l1.clone());
    let sigma = slasher.lastOfflineSigma(id).call().await?;
    net.say(&format!("operator {id} is jailed for epoch {sigma}"));
    Ok(sigma)
}

/// The node starts again and says what happened; its owner pays the fee, it takes a seat and votes.
async fn come_back(net: &mut TestNet, id: u32, rpc_url: &str, owner: u32) -> Result<()> {
    net.devnet.restart_node(ABSENT)?;
    net.wait("the node to know why it lost its place", Duration::from_secs(60), async || {
        let l2 = provider(rpc_url, None).await?;
        let status: serde_json::Value = match l2.raw_request("rota_status".into(), ()).await {
            Ok(status) => status,
            Err(_) => return Ok(None),
        };
        Ok((status["operatorStatus"] == "jailed").then_some(()))
    })
    .await?;
    let network = &net.devnet.network;
    let by = Submitter::new(network, &WriteArgs::dev_account(owner)).await?.silent();
    let token = network.token();
    let fee = network.registry().UNJAIL_FEE().call().await?;
    ensure!(!fee.is_zero(), "coming back costs nothing");
    // The owner has staked all it had.
    let friend = provider(&net.devnet.manifest.l1.rpc_url, Some(dev_key(FRIEND)?)).await?;
    let receipt = NativeToken::new(*token.address(), friend).transfer(by.from, fee).send().await?.get_receipt().await?;
    ensure!(receipt.status(), "the fee could not be given to {}", by.from);
    let held = token.balanceOf(by.from).call().await?;
    operator::unjail(network, &by, id).await?;
    let paid = held - token.balanceOf(by.from).call().await?;
    ensure!(paid == fee, "coming back cost {paid} wei, the fee is {fee}");
    ensure!(status(net, id).await? == ACTIVE, "operator {id} is not active after it was unjailed");
    serving(net, "a set with it", id, true).await?;
    Ok(())
}

/// A repeat within 30 days costs 0.1 %, once the appeal window is over and the tally is final; 5 % of it to the reporter.
async fn slashed(net: &TestNet, id: u32, sigma: u32, bond: U256, reporter: Address) -> Result<()> {
    net.wait("the repeat to be slashed", Duration::from_secs(120), async || {
        Ok((offline_case(net, id, sigma).await?.state == SLASHED).then_some(()))
    })
    .await?;
    let network = &net.devnet.network;
    let taken = bond.div_ceil(U256::from(1_000));
    let left = network.vault().pool(id).call().await?.tokens;
    ensure!(left == bond - taken, "{left} wei are left of {bond}, {taken} should be gone");
    let l1 = provider(&net.devnet.manifest.l1.rpc_url, Some(dev_key(9)?)).await?;
    let escrow = SlashEscrow::new(network.deployment.contracts.slash_escrow, l1);
    let held = network.token().balanceOf(reporter).call().await?;
    let receipt = escrow.withdraw(reporter).send().await?.get_receipt().await?;
    ensure!(receipt.status(), "the reporter {reporter} was not paid");
    let paid = network.token().balanceOf(reporter).call().await? - held;
    ensure!(paid == taken / U256::from(20), "the reporter got {paid} wei of {taken}");
    net.say(&format!("operator {id} lost {taken} of {bond} wei for being down again in epoch {sigma}"));
    Ok(())
}
