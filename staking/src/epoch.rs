//! `rota epoch`: where time, the frozen sets and the rewards stand.

use eyre::{Result, eyre};
use rota_bindings::SequencerSet;
use rota_protocol::member::FrozenSet;

use crate::{
    connection::{Network, NetworkArgs},
    output::{print_json, print_pairs, print_table, show_duration},
};

/// The set frozen for exactly `epoch`, from its event, checked against the stored hash.
///
/// # Errors
/// When the epoch was not frozen or L1 fails.
pub async fn frozen_set(network: &Network, epoch: u32) -> Result<FrozenSet> {
    let set = network.set();
    let frozen = set.EpochFrozen_filter().topic1(alloy::primitives::U256::from(epoch));
    let what = format!("the set of epoch {epoch}");
    let found = network.search(&what).await?.newest(&frozen).await?;
    let (event, _): (SequencerSet::EpochFrozen, _) =
        found.ok_or_else(|| eyre!("no set was frozen for epoch {epoch}"))?;
    let set = FrozenSet::decode(epoch, event.seed, &event.members)?;
    let stored = network.set().setHash(epoch).call().await?;
    eyre::ensure!(set.hash() == stored, "the event of epoch {epoch} does not match the hash {stored} stored on L1");
    Ok(set)
}

/// Runs `rota epoch`.
///
/// # Errors
/// When L1 fails.
pub async fn run(args: &NetworkArgs) -> Result<()> {
    let network = Network::connect(args).await?;
    let clock = network.clock();
    let now = network.l1_time().await?;
    let epoch = clock.epoch_at(now);
    let ends_in = clock.start_of(epoch.saturating_add(1)).saturating_sub(now);
    let last_frozen = network.set().lastFrozen().call().await?;
    let sigma = network.set().frozenEpochAt(epoch).call().await?;
    let freeze = network.set().freezeDue().call().await?;
    let tally = network.rewards().nextTally().call().await?;
    let open = network.rewards().openStatus().call().await?;
    let set = if sigma == 0 { None } else { Some(frozen_set(&network, sigma).await?) };
    if network.json {
        let members: Vec<_> = set
            .iter()
            .flat_map(|set| set.members())
            .map(|m| serde_json::json!({ "id": m.id, "signer": m.signer, "weightGwei": m.weight }))
            .collect();
        return print_json(&serde_json::json!({
            "epoch": epoch, "endsInSeconds": ends_in, "servingSet": sigma, "lastFrozen": last_frozen,
            "freezeDue": freeze.due, "members": members, "talliesOpened": tally, "openEpoch": open.epoch,
            "credited": open.cursor, "toCredit": open.count,
        }));
    }
    print_pairs(&[
        ("epoch", format!("{epoch}, {} left", show_duration(ends_in))),
        ("serving set", if sigma == 0 { "none yet".to_owned() } else { format!("frozen for epoch {sigma}") }),
        ("last frozen", last_frozen.to_string()),
        ("freeze due", if freeze.due { format!("yes, for epoch {}", freeze.epoch) } else { "no".to_owned() }),
        ("tallies opened", tally.to_string()),
        (
            "rewards",
            if open.cursor < open.count {
                format!("epoch {}: {} of {} operators credited", open.epoch, open.cursor, open.count)
            } else {
                "every opened epoch is credited".to_owned()
            },
        ),
    ]);
    let rows = set
        .iter()
        .flat_map(|set| set.members().iter().map(|member| (member, set.total_weight())))
        .map(|(member, total)| {
            let share =
                f64::from(u32::try_from(u128::from(member.weight) * 10_000 / u128::from(total.max(1))).unwrap_or(0));
            vec![member.id.to_string(), member.signer.to_string(), format!("{:.2} %", share / 100.0)]
        })
        .collect();
    print_table(&["operator", "consensus key", "share of slots"], rows, "no set serves yet");
    Ok(())
}
