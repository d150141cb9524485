//! The keeper beside others that are faster.

use std::time::{Duration, Instant};

use alloy::{
    primitives::bytes,
    providers::{Provider as _, ext::AnvilApi as _},
};
use rota::{
    connection::{WriteArgs, dev_key},
    keeper::{Keeper, KeeperArgs},
};
use tokio_util::sync::CancellationToken;

use crate::{l1, network, soon};

/// Account of the keeper.
const ACCOUNT: u32 = 1;
/// First pause after a revert.
const PAUSE: Duration = Duration::from_secs(10);
/// How long it is watched.
const LOOKED: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_chore_that_reverted_ends_no_keeper_and_is_not_paid_for_again_at_once() {
    let (anvil, l1) = l1().await;
    let network = network(&anvil).await;
    let set = network.deployment.contracts.sequencer_set;
    // Answers 1 to every call: randomness is due, and stays so. PUSH1 1, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN
    let due = bytes!("60015f5260205ff3");
    l1.anvil_set_code(set, due.clone()).await.unwrap();
    // Another epoch's randomness is another chore: this one has just begun.
    let clock = network.clock();
    let start = clock.start_of(clock.epoch_at(network.l1_time().await.unwrap()) + 1);
    l1.anvil_set_next_block_timestamp(start).await.unwrap();
    l1.anvil_mine(Some(1), None).await.unwrap();
    let write = WriteArgs::dev_account(ACCOUNT);
    let args = KeeperArgs { write, interval: 0.05, jitter: 0.0, metrics: None, once: false, no_jail: true };
    let keeper = Keeper::new(&network, &args).await.unwrap();
    let (account, stop) = (dev_key(ACCOUNT).unwrap().address(), CancellationToken::new());
    let watch = async {
        let sent = async || l1.get_transaction_count(account).pending().await.unwrap();
        soon("the chore", async || (sent().await == 1).then_some(())).await;
        // Somebody else was faster, after the simulation. PUSH0, PUSH0, REVERT
        l1.anvil_set_code(set, bytes!("5f5ffd")).await.unwrap();
        let reverted = Instant::now();
        l1.anvil_mine(Some(1), None).await.unwrap();
        // It is due again, by the simulation too, and the keeper looks twenty times a second.
        l1.anvil_set_code(set, due).await.unwrap();
        while reverted.elapsed() < LOOKED {
            tokio::time::sleep(Duration::from_millis(200)).await;
            l1.anvil_mine(Some(1), None).await.unwrap();
            let sent = sent().await;
            // On a machine that is busy the answer may come after the pause.
            assert!(sent == 1 || reverted.elapsed() >= PAUSE, "paid for once more");
        }
        // After its pause it tries again.
        soon("another attempt", async || (sent().await == 2).then_some(())).await;
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(keeper.run(stop.clone()), watch);
    outcome.unwrap();
}
