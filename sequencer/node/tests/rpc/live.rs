//! Filters that are polled and subscriptions that push.

use std::time::Duration;

use alloy::{
    providers::{Provider, ProviderBuilder, WsConnect},
    rpc::types::Filter,
};
use alloy_primitives::{B256, Bytes, TxKind};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    contracts::LOGGER,
    harness::{Harness, address},
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(harness: &Harness) -> impl Provider + use<> {
    ProviderBuilder::new().connect_ws(WsConnect::new(&harness.ws)).await.expect("the WebSocket opens")
}

#[tokio::test]
async fn block_filters_report_each_block_once() {
    let harness = Harness::new().await;
    harness.mine().await;
    let id = harness.ok("eth_newBlockFilter", json!([])).await;
    assert!(id.as_str().unwrap().starts_with("0x"));
    assert_eq!(harness.ok("eth_getFilterChanges", json!([id])).await, json!([]));
    let (two, three) = (harness.mine().await.hash, harness.mine().await.hash);
    assert_eq!(harness.ok("eth_getFilterChanges", json!([id])).await, json!([two, three]));
    assert_eq!(harness.ok("eth_getFilterChanges", json!([id])).await, json!([]));
    let four = harness.mine().await.hash;
    assert_eq!(harness.ok("eth_getFilterChanges", json!([id])).await, json!([four]));
    assert_eq!(harness.error("eth_getFilterLogs", json!([id])).await.0, -32000, "not a log filter");
    assert_eq!(harness.ok("eth_uninstallFilter", json!([id])).await, json!(true));
    assert_eq!(harness.ok("eth_uninstallFilter", json!([id])).await, json!(false));
}

#[tokio::test]
async fn log_filters_report_new_logs_and_keep_their_range() {
    let harness = Harness::new().await;
    let logger = harness.deploy(&LOGGER).await;
    harness.send(0, TxKind::Call(logger), Bytes::new(), 0).await;
    harness.mine().await;
    let install = async |filter: Value| harness.ok("eth_newFilter", json!([filter])).await;
    let count = async |method: &str, id: &Value| harness.ok(method, json!([id])).await.as_array().unwrap().len();
    let all = install(json!({ "fromBlock": "0x0", "address": logger })).await;
    let later = install(json!({ "fromBlock": "0x4", "address": logger })).await;
    let other = install(json!({ "address": address(0) })).await;
    assert_eq!(count("eth_getFilterChanges", &all).await, 0, "only what is new");
    assert_eq!(count("eth_getFilterLogs", &all).await, 2, "all of the range");
    harness.send(0, TxKind::Call(logger), Bytes::new(), 0).await;
    harness.mine().await;
    assert_eq!(count("eth_getFilterChanges", &all).await, 2);
    assert_eq!(count("eth_getFilterChanges", &later).await, 0);
    harness.send(0, TxKind::Call(logger), Bytes::new(), 0).await;
    harness.mine().await;
    assert_eq!(count("eth_getFilterChanges", &all).await, 2);
    assert_eq!(count("eth_getFilterChanges", &later).await, 2);
    assert_eq!(count("eth_getFilterChanges", &other).await, 0);
    assert_eq!(count("eth_getFilterLogs", &all).await, 6);
}

#[tokio::test]
async fn pending_filters_report_arrivals() {
    let harness = Harness::new().await;
    let id = harness.ok("eth_newPendingTransactionFilter", json!([])).await;
    let first = harness.send(0, TxKind::Call(address(1)), Bytes::new(), 1).await;
    let second = harness.send(1, TxKind::Call(address(1)), Bytes::new(), 1).await;
    assert_eq!(harness.ok("eth_getFilterChanges", json!([id])).await, json!([first, second]));
    assert_eq!(harness.ok("eth_getFilterChanges", json!([id])).await, json!([]));
}

#[tokio::test]
async fn heads_arrive_without_gaps() {
    let harness = Harness::new().await;
    harness.mine().await;
    let provider = connect(&harness).await;
    let mut heads = provider.subscribe_blocks().channel_size(64).await.unwrap();
    let mut expected = Vec::new();
    for _ in 0..50 {
        expected.push(harness.mine().await);
    }
    for block in expected {
        let head = timeout(PATIENCE, heads.recv()).await.expect("a head in time").unwrap();
        assert_eq!((head.hash, &head.inner), (block.hash, block.header()));
    }
}

#[tokio::test]
async fn logs_arrive_as_they_are_decided() {
    let harness = Harness::new().await;
    let logger = harness.deploy(&LOGGER).await;
    let provider = connect(&harness).await;
    let mut matching = provider.subscribe_logs(&Filter::new().address(logger)).await.unwrap();
    let mut none = provider.subscribe_logs(&Filter::new().address(address(5))).await.unwrap();
    let hash = harness.send(0, TxKind::Call(logger), Bytes::new(), 0).await;
    harness.mine().await;
    for index in 0..2 {
        let log = timeout(PATIENCE, matching.recv()).await.expect("a log in time").unwrap();
        assert_eq!((log.transaction_hash, log.log_index), (Some(hash), Some(index)));
    }
    // Whatever came through the other subscription would have come before a later head.
    let mut heads = provider.subscribe_blocks().await.unwrap();
    harness.mine().await;
    timeout(PATIENCE, heads.recv()).await.expect("a head in time").unwrap();
    assert!(none.try_recv().is_err());
}

#[tokio::test]
async fn pending_transactions_arrive_as_hashes_or_whole() {
    let harness = Harness::new().await;
    let provider = connect(&harness).await;
    let mut hashes = provider.subscribe_pending_transactions().await.unwrap();
    let mut whole = provider.subscribe_full_pending_transactions().await.unwrap();
    let hash = harness.send(0, TxKind::Call(address(1)), Bytes::new(), 1).await;
    assert_eq!(timeout(PATIENCE, hashes.recv()).await.expect("a hash in time").unwrap(), hash);
    let tx = timeout(PATIENCE, whole.recv()).await.expect("a transaction in time").unwrap();
    assert_eq!((*tx.inner.tx_hash(), tx.inner.signer(), tx.block_hash), (hash, address(0), None));
}

#[tokio::test]
async fn syncing_reports_changes() {
    let harness = Harness::new().await;
    let provider = connect(&harness).await;
    let mut states = provider.subscribe::<_, Value>(("syncing",)).await.unwrap();
    assert_eq!(timeout(PATIENCE, states.recv()).await.expect("a state in time").unwrap(), json!(false));
    *harness.outside.sync_target.lock() = Some(77);
    let state = timeout(PATIENCE, states.recv()).await.expect("a state in time").unwrap();
    assert_eq!((&state["syncing"], &state["highestBlock"]), (&json!(true), &json!("0x4d")));
}

#[tokio::test]
async fn unknown_subscriptions_are_refused() {
    let harness = Harness::new().await;
    let provider = connect(&harness).await;
    for kind in ["newMoons", "transactionReceipts"] {
        let error = provider.subscribe::<_, B256>((kind,)).await.unwrap_err();
        assert_eq!(error.as_error_resp().unwrap().code, -32602, "{kind}");
    }
    // Subscriptions need a connection to push into.
    assert!(harness.request("eth_subscribe", json!(["newHeads"])).await.get("error").is_some());
}

#[tokio::test]
async fn subscriptions_per_connection_are_bounded() {
    let limits = rota_sequencer::rpc::Limits { subscriptions: 2, ..Default::default() };
    let harness = Harness::with_limits(limits).await;
    let provider = connect(&harness).await;
    let _first = provider.subscribe_blocks().await.unwrap();
    let _second = provider.subscribe_pending_transactions().await.unwrap();
    assert!(provider.subscribe_logs(&Filter::new()).await.is_err());
}
