//! The first operators' weights in liquid staking, given as governance gives them: through the timelock.

use alloy::primitives::{Address, B256, Bytes, U256};
use eyre::Result;
use rota_bindings::{Allocator, TimelockController};

use crate::{connection::Network, submit::Submitter};

/// The weight of each operator: they share the stake equally.
const WEIGHT: u16 = 100;

/// One call per operator.
struct Calls {
    targets: Vec<Address>,
    values: Vec<U256>,
    payloads: Vec<Bytes>,
}

fn calls(network: &Network, operators: usize) -> Calls {
    let allocator = Allocator::new(network.deployment.contracts.allocator, network.l1.clone());
    Calls {
        targets: vec![*allocator.address(); operators],
        values: vec![U256::ZERO; operators],
        payloads: (1..).take(operators).map(|id| allocator.setWeight(id, WEIGHT).calldata().clone()).collect(),
    }
}

/// Proposes the weights of operators `1..=operators`, who need not exist yet. `by` is the timelock's proposer.
///
/// # Errors
/// As [`Submitter::submit`].
pub(super) async fn schedule(network: &Network, by: &Submitter<'_>, operators: usize) -> Result<()> {
    let timelock = TimelockController::new(network.deployment.contracts.timelock, by.provider.clone());
    let delay = timelock.getMinDelay().call().await?;
    let Calls { targets, values, payloads } = calls(network, operators);
    let call = timelock.scheduleBatch(targets, values, payloads, B256::ZERO, B256::ZERO, delay);
    by.submit("propose the operators' weights", call).await?;
    Ok(())
}

/// Carries out what [`schedule`] proposed: its delay has to be over, and the operators registered.
///
/// # Errors
/// As [`Submitter::submit`].
pub(super) async fn execute(network: &Network, by: &Submitter<'_>, operators: usize) -> Result<()> {
    let timelock = TimelockController::new(network.deployment.contracts.timelock, by.provider.clone());
    let Calls { targets, values, payloads } = calls(network, operators);
    by.submit("set the operators' weights", timelock.executeBatch(targets, values, payloads, B256::ZERO, B256::ZERO))
        .await?;
    Ok(())
}
