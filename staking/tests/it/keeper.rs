//! The keeper beside others that are faster.

use std::time::Duration;

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

#[tokio::test]
async fn a_chore_that_reverted_ends_no_keeper_and_is_not_paid_for_again_at_once() {
    let (anvil, l1) = l1().await;
    let network = network(&anvil).await;
    let set = network.deployment.contracts.sequencer_set;
    // Answers 1 to every call: randomness is due, and stays so. PUSH1 1, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN
    let due = bytes!("60015f5260205ff3");
    l1.anvil_set_code(set, due.clone()).await.unwrap();
    let write = WriteArgs::dev_account(ACCOUNT);
    let args = KeeperArgs { write, interval: 0.05, jitter: 0.0, metrics: None, once: false, no_jail: true };
    let keeper = Keeper::new(&network, &args).await.unwrap();
    let (account, stop) = (dev_key(ACCOUNT).unwrap().address(), CancellationToken::new());
    let watch = async {
        let sent = async || l1.get_transaction_count(account).pending().await.unwrap();
        soon("the chore", async || (sent().await == 1).then_some(())).await;
        // Somebody else was faster, after the simulation. PUSH0, PUSH0, REVERT
        l1.anvil_set_code(set, bytes!("5f5ffd")).await.unwrap();
        l1.anvil_mine(Some(1), None).await.unwrap();
        // It is due again, by the simulation too, and the keeper looks twenty times a second.
        l1.anvil_set_code(set, due).await.unwrap();
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            l1.anvil_mine(Some(1), None).await.unwrap();
            assert_eq!(sent().await, 1, "paid for once more");
        }
        // After its pause it tries again.
        soon("another attempt", async || (sent().await == 2).then_some(())).await;
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(keeper.run(stop.clone()), watch);
    outcome.unwrap();
}
