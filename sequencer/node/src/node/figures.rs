//! Figures that only L1 can tell and that no rule depends on: the challenge window, rewards to claim.

use std::{sync::Arc, time::Duration};

use alloy_primitives::U256;
use rota_bindings::{BatchChain, RewardVault, SequencerRegistry};
use rota_protocol::config::ContractsConfig;
use tokio_util::sync::CancellationToken;

use super::info::NodeInfo;
use crate::l1::{HttpSource, L1Error};

const PERIOD: Duration = Duration::from_secs(30);
/// Until the first answer.
const RETRY: Duration = Duration::from_secs(1);

/// Asks from time to time until `shutdown`.
pub(super) async fn follow(
    info: &NodeInfo,
    l1: Arc<HttpSource>,
    contracts: ContractsConfig,
    shutdown: CancellationToken,
) {
    loop {
        // Only the display suffers when L1 does not answer; the follower reports that.
        let pause = match read(info, &l1, &contracts).await {
            Ok(()) => PERIOD,
            Err(_) => RETRY,
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn read(info: &NodeInfo, l1: &HttpSource, contracts: &ContractsConfig) -> Result<(), L1Error> {
    if info.challenge_window.get().is_none() {
        let window = l1.view(contracts.batch_chain, &BatchChain::CHALLENGE_WINDOWCall {}).await?;
        info.challenge_window.get_or_init(|| window);
    }
    let Some(id) = info.operator() else { return Ok(()) };
    let account = l1.view(contracts.sequencer_registry, &SequencerRegistry::ownerOfCall { id }).await?;
    let stake = l1.view(contracts.reward_vault, &RewardVault::claimableCall { id, account }).await?;
    let commission = l1.view(contracts.reward_vault, &RewardVault::claimableCommissionCall { id }).await?;
    metrics::gauge!("rota_pending_reward_tokens", "kind" => "stake").set(tokens(stake));
    metrics::gauge!("rota_pending_reward_tokens", "kind" => "commission").set(tokens(commission));
    Ok(())
}

/// Whole tokens, for a gauge.
fn tokens(wei: U256) -> f64 {
    f64::from(wei) / 1e18
}
