//! Writes that L1 does not include at their first fee.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy::{
    consensus::Transaction as _,
    eips::BlockNumberOrTag,
    network::TransactionBuilder as _,
    primitives::{Address, B256, U256, bytes},
    providers::{DynProvider, Provider as _, ext::AnvilApi as _},
    rpc::types::TransactionRequest,
};
use alloy_node_bindings::AnvilInstance;
use axum::{Json, Router, http::StatusCode, response::IntoResponse as _, routing::post};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rota::{
    connection::{WriteArgs, dev_key},
    submit::{Reverted, Submitter},
};
use rota_bindings::SequencerSet;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::{deployment_file, l1, network, network_at, rota, soon};

/// Account that writes.
const ACCOUNT: u32 = 1;

fn account() -> Address {
    dev_key(ACCOUNT).unwrap().address()
}

/// Hash, nonce and fee of every transaction that waits.
async fn pool(l1: &DynProvider) -> Vec<(B256, u64, u128)> {
    let pool: Value = l1.raw_request("txpool_content".into(), ()).await.unwrap();
    let found = ["pending", "queued"].into_iter().flat_map(|part| {
        let of_account = pool[part].as_object().and_then(|accounts| {
            accounts.iter().find(|(address, _)| address.parse::<Address>().is_ok_and(|address| address == account()))
        });
        of_account.and_then(|(_, transactions)| transactions.as_object()).into_iter().flatten()
    });
    let entry = |transaction: &Value| {
        let number = |name: &str| transaction[name].as_str().unwrap().parse::<U256>().unwrap();
        let hash = transaction["hash"].as_str().unwrap().parse().unwrap();
        (hash, number("nonce").to(), number("maxFeePerGas").to())
    };
    found.map(|(_, transaction)| entry(transaction)).collect()
}

/// The one transaction that waits.
async fn waiting(l1: &DynProvider) -> Option<(B256, u64, u128)> {
    let found = pool(l1).await;
    assert!(found.len() <= 1, "one transaction, replaced in place");
    found.first().copied()
}

/// Something else of the account, at a fee per gas.
async fn other(l1: &DynProvider, nonce: u64, fee: u128) -> B256 {
    // anvil signs for the accounts of its mnemonic.
    let request = TransactionRequest::default()
        .with_from(account())
        .with_to(Address::repeat_byte(9))
        .with_nonce(nonce)
        .with_gas_limit(21_000)
        .with_max_fee_per_gas(fee)
        .with_max_priority_fee_per_gas(fee);
    *l1.send_transaction(request).await.unwrap().tx_hash()
}

/// An endpoint before `anvil` that loses the answers to the method it is told, after anvil has done it.
async fn forgetful(anvil: &AnvilInstance) -> (String, Arc<Mutex<&'static str>>) {
    let lost = Arc::new(Mutex::new(""));
    let (state, upstream, client) = (lost.clone(), anvil.endpoint(), reqwest::Client::new());
    let answer = move |Json(request): Json<Value>| {
        let (state, upstream, client) = (state.clone(), upstream.clone(), client.clone());
        async move {
            let text = client.post(upstream).json(&request).send().await.unwrap().text().await.unwrap();
            if request["method"] == *state.lock().unwrap() {
                return StatusCode::BAD_GATEWAY.into_response();
            }
            ([("content-type", "application/json")], text).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await.unwrap() });
    (url, lost)
}

/// Mines blocks, with time to notice each few of them.
async fn blocks_pass(l1: &DynProvider) {
    for _ in 0..4 {
        l1.anvil_mine(Some(3), None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(800)).await;
    }
}

#[tokio::test]
async fn a_write_is_called_not_made_only_when_another_took_its_nonce_for_certain() {
    let (anvil, l1) = l1().await;
    let (url, lost) = forgetful(&anvil).await;
    let network = network_at(&url).await;
    let by = Submitter::new(&network, &WriteArgs::dev_account(ACCOUNT)).await.unwrap().silent();
    let set = SequencerSet::new(network.deployment.contracts.sequencer_set, by.provider.clone());

    // It is included while receipts cannot be had.
    let watch = async {
        let (hash, ..) = soon("the transaction", async || waiting(&l1).await).await;
        *lost.lock().unwrap() = "eth_getTransactionReceipt";
        blocks_pass(&l1).await;
        assert_eq!(l1.get_transaction_count(account()).await.unwrap(), 1, "made");
        *lost.lock().unwrap() = "";
        hash
    };
    let (receipt, hash) = tokio::join!(by.submit("declare ready", set.setReady(1, true)), watch);
    assert_eq!(receipt.unwrap().unwrap().transaction_hash, hash);

    // Another one is included in its place.
    let watch = async {
        let (_, nonce, fee) = soon("the transaction", async || waiting(&l1).await).await;
        other(&l1, nonce, fee * 2).await;
        blocks_pass(&l1).await;
    };
    let (outcome, ()) = tokio::join!(by.submit("declare ready", set.setReady(1, true)), watch);
    let error = format!("{:#}", outcome.unwrap_err());
    assert!(error.contains("took nonce 1, so this one was not made; try again"), "{error}");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_of_unknown_outcome() {
    let (anvil, l1) = l1().await;
    let (url, lost) = forgetful(&anvil).await;
    let network = network_at(&url).await;
    let by = Submitter::new(&network, &WriteArgs::dev_account(ACCOUNT)).await.unwrap().silent();
    let by = by.patience(Duration::from_secs(6));
    let set = SequencerSet::new(network.deployment.contracts.sequencer_set, by.provider.clone());
    let watch = async {
        let (first, _, fee) = soon("the transaction", async || waiting(&l1).await).await;
        *lost.lock().unwrap() = "eth_sendRawTransaction";
        pass_by(&l1, 3, fee * 3).await;
        soon("the replacement", async || waiting(&l1).await.filter(|(hash, ..)| *hash != first)).await;
        blocks_pass(&l1).await;
        assert_eq!(l1.get_transaction_count(account()).await.unwrap(), 1, "made");
        first
    };
    let (outcome, first) = tokio::join!(by.submit("declare ready", set.setReady(1, true)), watch);
    let error = format!("{:#}", outcome.unwrap_err());
    assert!(error.contains("outcome is unknown") && error.contains(&format!("{first} or one whose hash")), "{error}");

    let error = format!("{:#}", by.submit("declare ready", set.setReady(1, true)).await.unwrap_err());
    assert!(error.contains("did not answer whether it took the transaction (nonce 1)"), "{error}");
}

#[tokio::test]
async fn a_write_that_reverts_after_its_simulation_is_told_from_one_that_is_refused() {
    let (anvil, l1) = l1().await;
    let network = network(&anvil).await;
    let by = Submitter::new(&network, &WriteArgs::dev_account(ACCOUNT)).await.unwrap().silent();
    let set = SequencerSet::new(network.deployment.contracts.sequencer_set, by.provider.clone());
    let watch = async {
        soon("the transaction", async || waiting(&l1).await).await;
        // Somebody else was faster: PUSH0, PUSH0, REVERT.
        l1.anvil_set_code(*set.address(), bytes!("5f5ffd")).await.unwrap();
        l1.anvil_mine(Some(1), None).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(by.submit("a chore", set.setReady(1, true)), watch);
    let error = outcome.unwrap_err();
    assert!(error.is::<Reverted>() && error.to_string().contains("was included but reverted"), "{error:#}");
    // Now the simulation says so, and nothing is paid.
    let error = by.submit("a chore", set.setReady(1, true)).await.unwrap_err();
    assert!(!error.is::<Reverted>(), "{error:#}");
    assert_eq!(l1.get_transaction_count(account()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_write_behind_a_stuck_one_is_not_raised_in_vain() {
    let (anvil, l1) = l1().await;
    let folder = tempfile::tempdir().unwrap();
    let stuck_fee = l1.estimate_eip1559_fees().await.unwrap().max_fee_per_gas;
    other(&l1, 0, stuck_fee).await;
    let child = rota(folder.path())
        .args(["operator", "ready", "--id", "1", "--mnemonic-index", &ACCOUNT.to_string(), "--l1-rpc"])
        .arg(anvil.endpoint())
        .arg("--deployment")
        .arg(deployment_file())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mine = async || pool(&l1).await.into_iter().find(|(_, nonce, _)| *nonce == 1);
    let (first, _, fee) = soon("the transaction", mine).await;
    for _ in 0..3 {
        pass_by(&l1, 3, (fee + stuck_fee) * 3).await;
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(mine().await.map_or(first, |(hash, ..)| hash), first, "raised behind a transaction that is stuck");
    }
    // anvil may have dropped what is stuck; its owner frees the way.
    l1.anvil_set_next_block_base_fee_per_gas(1).await.unwrap();
    l1.anvil_mine(Some(1), None).await.unwrap();
    if l1.get_transaction_count(account()).await.unwrap() == 0 {
        other(&l1, 0, stuck_fee * 2).await;
    }
    soon("the transaction in a block", async || {
        l1.anvil_set_next_block_base_fee_per_gas(1).await.unwrap();
        l1.anvil_mine(Some(1), None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        l1.get_transaction_receipt(first).await.unwrap()
    })
    .await;
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("an earlier transaction of {}, nonce 0, is waiting", account())), "{text}");
    assert!(!text.contains("replaced by"), "{text}");
}

#[tokio::test]
async fn a_keeper_replaces_what_an_earlier_chore_left() {
    let (anvil, l1) = l1().await;
    let network = network(&anvil).await;
    let left_fee = l1.estimate_eip1559_fees().await.unwrap().max_fee_per_gas * 2;
    let left = other(&l1, 0, left_fee).await;
    let by = Submitter::new(&network, &WriteArgs::dev_account(ACCOUNT)).await.unwrap().silent().replacing();
    let set = SequencerSet::new(network.deployment.contracts.sequencer_set, by.provider.clone());
    let watch = async {
        let (hash, nonce, fee) =
            soon("the replacement", async || waiting(&l1).await.filter(|(hash, ..)| *hash != left)).await;
        assert!(nonce == 0 && fee > left_fee, "nonce {nonce}, {left_fee} → {fee}");
        l1.anvil_mine(Some(1), None).await.unwrap();
        hash
    };
    let (receipt, hash) = tokio::join!(by.submit("a chore", set.setReady(1, true)), watch);
    assert_eq!(receipt.unwrap().unwrap().transaction_hash, hash);

    // Nothing beyond the limit.
    other(&l1, 1, left_fee).await;
    let limited = WriteArgs { max_fee: Some(left_fee), ..WriteArgs::dev_account(ACCOUNT) };
    let by = Submitter::new(&network, &limited).await.unwrap().silent().replacing();
    let error = format!("{:#}", by.submit("a chore", set.setReady(1, true)).await.unwrap_err());
    assert!(error.contains("an earlier run left waiting") && error.contains("--max-fee"), "{error}");
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
        tokio::time::sleep(Duration::from_millis(800)).await;
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
        tokio::time::sleep(Duration::from_millis(800)).await;
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
