//! Where the node's operator stands on L1, and what for: a node whose operator has lost its place says so.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rota_bindings::{SequencerRegistry, Slasher};
use rota_protocol::config::ContractsConfig;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::info::NodeInfo;
use crate::l1::{HttpSource, L1Error};

/// Time between two questions: a view call each.
const PERIOD: Duration = Duration::from_secs(5);

/// What the registry says of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Active,
    Jailed,
    Retired,
    Tombstoned,
}

impl Standing {
    /// From `ISequencerRegistry.Status`; `None` for an id that nobody has.
    fn new(status: u8) -> Option<Self> {
        match status {
            1 => Some(Self::Active),
            2 => Some(Self::Jailed),
            3 => Some(Self::Retired),
            4 => Some(Self::Tombstoned),
            _ => None,
        }
    }

    /// As `rota_status` and the label of `rota_operator_status` name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Jailed => "jailed",
            Self::Retired => "retired",
            Self::Tombstoned => "tombstoned",
        }
    }
}

/// The last answer; [`None`] before the first, and for a node without an operator.
pub(super) type Known = Arc<Mutex<Option<Standing>>>;

/// Asks from time to time until `shutdown`, and tells every change.
pub(super) async fn follow(
    info: &NodeInfo,
    l1: Arc<HttpSource>,
    contracts: ContractsConfig,
    shutdown: CancellationToken,
) {
    loop {
        // What L1 does not answer now it answers later; the follower reports that it is silent.
        if let Ok(Some((id, standing))) = read(info, &l1, &contracts).await {
            let before = info.standing.lock().replace(standing);
            if before != Some(standing) {
                if let Some(before) = before {
                    metrics::gauge!("rota_operator_status", "status" => before.name()).set(0.0);
                }
                metrics::gauge!("rota_operator_status", "status" => standing.name()).set(1.0);
                tell(id, standing, before, &l1, &contracts).await;
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn read(
    info: &NodeInfo,
    l1: &HttpSource,
    contracts: &ContractsConfig,
) -> Result<Option<(u32, Standing)>, L1Error> {
    let Some(id) = info.operator() else { return Ok(None) };
    let status = l1.view(contracts.sequencer_registry, &SequencerRegistry::statusOfCall { id }).await?;
    Ok(Standing::new(status).map(|standing| (id, standing)))
}

async fn tell(id: u32, standing: Standing, before: Option<Standing>, l1: &HttpSource, contracts: &ContractsConfig) {
    match standing {
        Standing::Active if before.is_none() => {}
        Standing::Active => info!(operator = id, "active again: it may take a seat"),
        Standing::Retired => info!(operator = id, "the operator is retired: this node follows once no set contains it"),
        Standing::Jailed => warn!(
            operator = id,
            "the operator is jailed for missing at least half of its slots: sets frozen from now on are without it, and \
             this node votes no more after those that contain it. `rota operator unjail` lifts it"
        ),
        Standing::Tombstoned => {
            let conviction = l1.view(contracts.slasher, &Slasher::convictionOfCall { id }).await.ok();
            let fault = conviction.as_ref().map_or("a fault", |conviction| fault_name(conviction.kind));
            error!(
                operator = id,
                fault,
                epoch = conviction.as_ref().map(|conviction| conviction.firstSigma),
                lost_percent = conviction.as_ref().map(|conviction| conviction.rate as f64 / 1e16),
                "the operator is tombstoned, convicted of signing two truths: no later set contains it, and this node \
                 only follows after the ones that do. Somebody else runs this key if this node did not: stop everything \
                 that holds it"
            );
        }
    }
}

/// `FaultKind` of the slasher.
fn fault_name(kind: u8) -> &'static str {
    match kind {
        1 => "two prevotes",
        2 => "two precommits",
        3 => "two proposals",
        4 => "amnesia",
        _ => "a fault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_registry() {
        let names: Vec<_> = (0..=5).map(|status| Standing::new(status).map(Standing::name)).collect();
        assert_eq!(names, [None, Some("active"), Some("jailed"), Some("retired"), Some("tombstoned"), None]);
    }
}
