//! Writes that L1 does not include at their first fee.

use std::process::Stdio;

use alloy::{
    consensus::Transaction as _,
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256},
    providers::{DynProvider, Provider as _, ext::AnvilApi as _},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rota::{
    connection::{WriteArgs, dev_key},
    submit::Submitter,
};
use rota_bindings::SequencerSet;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::{deployment_file, l1, network, rota, soon};

/// Account that writes.
const ACCOUNT: u32 = 1;

fn account() -> Address {
    dev_key(ACCOUNT).unwrap().address()
}

/// Hash, nonce and fee of the one transaction that waits.
async fn waiting(l1: &DynProvider) -> Option<(B256, u64, u128)> {
    let pool: Value = l1.raw_request("txpool_content".into(), ()).await.unwrap();
    let mut found = ["pending", "queued"].into_iter().flat_map(|part| {
        let of_account = pool[part].as_object().and_then(|accounts| {
            accounts.iter().find(|(address, _)| address.parse::<Address>().is_ok_and(|address| address == account()))
        });
        of_account.and_then(|(_, transactions)| transactions.as_object()).into_iter().flatten()
    });
    let (_, transaction) = found.next()?;
    assert!(found.next().is_none(), "one transaction, replaced in place");
    let number = |name: &str| transaction[name].as_str().unwrap().parse::<U256>().unwrap();
    Some((transaction["hash"].as_str().unwrap().parse().unwrap(), number("nonce").to(), number("maxFeePerGas").to()))
}

/// Mines `blocks` blocks whose base fee stays near `base_fee`: too much for what waits.
async fn pass_by(l1: &DynProvider, blocks: u64, base_fee: u128) {
    for _ in 0..blocks {
        l1.anvil_set_next_block_base_fee_per_gas(base_fee).await.unwrap();
        l1.anvil_mine(Some(1), None).await.unwrap();
    }
    let newest = l1.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
    assert!(newest.transactions.is_empty(), "a block under test took the transaction");
}

#[tokio::test]
async fn a_write_that_blocks_pass_by_is_replaced_at_a_higher_fee() {
    let (anvil, l1) = l1().await;
    let network = network(&anvil).await;
    let by = Submitter::new(&network, &WriteArgs::dev_account(ACCOUNT)).await.unwrap().silent();
    let set = SequencerSet::new(network.deployment.contracts.sequencer_set, by.provider.clone());
    let watch = async {
        let (first, nonce, fee) = soon("the transaction", async || waiting(&l1).await).await;
        pass_by(&l1, 2, fee * 3).await;
        tokio::time::sleep(std::time::Duration::from_millis(800)).await;
        assert_eq!(waiting(&l1).await.map_or(first, |(hash, ..)| hash), first, "replaced after two blocks only");
        pass_by(&l1, 1, fee * 3).await;
        let (second, same_nonce, higher) =
            soon("the replacement", async || waiting(&l1).await.filter(|(hash, ..)| *hash != first)).await;
        assert_eq!(nonce, same_nonce);
        assert!(higher * 8 >= fee * 9, "{fee} → {higher}: a replacement adds 12.5 % at least");
        assert!(higher >= fee * 2, "{fee} → {higher}: no less than what L1 asks by now");
        l1.anvil_mine(Some(1), None).await.unwrap();
        second
    };
    let (receipt, second) = tokio::join!(by.submit("declare ready", set.setReady(1, true)), watch);
    assert_eq!(receipt.unwrap().unwrap().transaction_hash, second);
    assert_eq!(l1.get_transaction_count(account()).await.unwrap(), 1, "once");
}

#[tokio::test]
async fn the_fee_limit_is_kept() {
    let (anvil, l1) = l1().await;
    let network = network(&anvil).await;
    let asked = l1.estimate_eip1559_fees().await.unwrap().max_fee_per_gas;
    let limit = asked + asked / 4;
    let limited = |max_fee| WriteArgs { max_fee: Some(max_fee), ..WriteArgs::dev_account(ACCOUNT) };
    let by = Submitter::new(&network, &limited(limit)).await.unwrap().silent();
    let set = SequencerSet::new(network.deployment.contracts.sequencer_set, by.provider.clone());
    let watch = async {
        let (first, ..) = soon("the transaction", async || waiting(&l1).await).await;
        // Above the first fee, below the limit: anvil takes no replacement below the base fee.
        pass_by(&l1, 3, asked + asked / 5).await;
        let (second, _, fee) =
            soon("the replacement", async || waiting(&l1).await.filter(|(hash, ..)| *hash != first)).await;
        assert_eq!(fee, limit);
        pass_by(&l1, 3, limit * 2).await;
        tokio::time::sleep(std::time::Duration::from_millis(800)).await;
        assert_eq!(waiting(&l1).await.map_or(second, |(hash, ..)| hash), second, "replaced beyond the limit");
        // anvil has dropped it by now, as nodes do; it is sent again.
        soon("the transaction in a block", async || {
            l1.anvil_set_next_block_base_fee_per_gas(1).await.unwrap();
            l1.anvil_mine(Some(1), None).await.unwrap();
            (l1.get_transaction_count(account()).await.unwrap() == 1).then_some(())
        })
        .await;
    };
    let (receipt, ()) = tokio::join!(by.submit("declare ready", set.setReady(1, true)), watch);
    let hash = receipt.unwrap().unwrap().transaction_hash;
    let included = l1.get_transaction_by_hash(hash).await.unwrap().unwrap();
    assert!(included.max_fee_per_gas() <= limit);

    l1.anvil_set_next_block_base_fee_per_gas(1_000_000_000).await.unwrap();
    l1.anvil_mine(Some(1), None).await.unwrap();
    let poor = Submitter::new(&network, &limited(900_000_000)).await.unwrap().silent();
    let error = format!("{:#}", poor.submit("declare ready", set.setReady(1, true)).await.unwrap_err());
    assert!(
        error.contains("base fee is 1 gwei") && error.contains("0.9 gwei") && error.contains("--max-fee"),
        "{error}"
    );
    assert_eq!(waiting(&l1).await, None, "nothing was sent");
}

#[tokio::test]
async fn an_interrupted_write_says_what_it_sent() {
    let (anvil, l1) = l1().await;
    let folder = tempfile::tempdir().unwrap();
    let mut child = rota(folder.path())
        .args(["operator", "ready", "--id", "1", "--mnemonic-index", &ACCOUNT.to_string(), "--l1-rpc"])
        .arg(anvil.endpoint())
        .arg("--deployment")
        .arg(deployment_file())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (first, _, fee) = soon("the transaction", async || waiting(&l1).await).await;
    pass_by(&l1, 3, fee * 3).await;
    let (second, ..) = soon("the replacement", async || waiting(&l1).await.filter(|(hash, ..)| *hash != first)).await;
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).await.unwrap();
    assert!(line.contains("not included after 3 blocks") && line.contains(&second.to_string()), "{line}");

    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    let mut rest = String::new();
    errors.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("may still be") && rest.contains(&first.to_string()), "{rest}");
    assert!(rest.contains(&second.to_string()) && rest.contains("nonce 0"), "{rest}");
}
