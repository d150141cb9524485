//! What a client cannot make the node do.

use std::time::Duration;

use alloy::{providers::Provider, transports::http::reqwest};
use alloy_primitives::{B256, Bytes, TxKind};
use rota_sequencer::rpc::Limits;
use serde_json::{Value, json};

use crate::{
    contracts::LOGGER,
    harness::{Harness, address, json_of},
    websocket::WebSocket,
};

#[tokio::test]
async fn pages_of_other_origins_may_call() {
    let harness = Harness::new().await;
    let preflight = harness
        .http(reqwest::Method::OPTIONS)
        .header("origin", "https://wallet.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .send()
        .await
        .unwrap();
    assert!(preflight.status().is_success());
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert!(preflight.headers().contains_key("access-control-allow-headers"));
    let answer = harness.post(r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#).await;
    assert!(answer.status().is_success());
}

#[tokio::test]
async fn batches_are_answered_up_to_their_limit() {
    let harness = Harness::with_limits(Limits { batch: 3, ..Limits::default() }).await;
    let request = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_blockNumber", "params": [] });
    let batch = async |count: u64| -> Value {
        let body: Vec<Value> = (0..count).map(request).collect();
        json_of(harness.post(serde_json::to_string(&body).unwrap()).await).await
    };
    let answers = batch(3).await;
    assert_eq!(answers.as_array().unwrap().len(), 3);
    assert!(answers.as_array().unwrap().iter().all(|answer| answer["result"] == "0x0"));
    assert!(batch(4).await.get("error").is_some());
}

#[tokio::test]
async fn bodies_are_bounded() {
    let harness = Harness::with_limits(Limits { request_bytes: 1_000, ..Limits::default() }).await;
    let big = json!({ "jsonrpc": "2.0", "id": 1, "method": "web3_sha3", "params": [Bytes::from(vec![0; 1_000])] });
    assert_eq!(harness.post(big.to_string()).await.status(), 413);
    let garbage = json_of(harness.post("{").await).await;
    assert_eq!(garbage["error"]["code"], -32700);
}

#[tokio::test]
async fn log_queries_are_bounded_in_blocks_and_results() {
    let harness = Harness::with_limits(Limits { log_blocks: 4, logs: 5, ..Limits::default() }).await;
    let logger = harness.deploy(&LOGGER).await;
    for _ in 0..3 {
        harness.send(0, TxKind::Call(logger), Bytes::new(), 0).await;
    }
    harness.mine().await;
    for _ in 0..4 {
        harness.mine().await;
    }
    let query = async |from: &str, to: &str| {
        harness.request("eth_getLogs", json!([{ "fromBlock": from, "toBlock": to }])).await
    };
    assert!(query("0x3", "0x6").await["result"].is_array());
    assert_eq!(query("0x2", "0x6").await["error"]["code"], -32005, "five blocks");
    assert_eq!(query("0x2", "0x3").await["error"]["code"], -32005, "six logs");
}

#[tokio::test]
async fn filters_are_bounded_and_expire() {
    let limits = Limits { filters: 2, filter_ttl: Duration::from_millis(300), ..Limits::default() };
    let harness = Harness::with_limits(limits).await;
    let first = harness.ok("eth_newBlockFilter", json!([])).await;
    let second = harness.ok("eth_newFilter", json!([{}])).await;
    assert_ne!(first, second);
    assert_eq!(harness.error("eth_newPendingTransactionFilter", json!([])).await.0, -32005);
    assert_eq!(harness.ok("eth_uninstallFilter", json!([first])).await, json!(true));
    let third = harness.ok("eth_newPendingTransactionFilter", json!([])).await;
    // Unpolled filters make room once they have expired.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while harness.request("eth_newBlockFilter", json!([])).await.get("error").is_some() {
        assert!(tokio::time::Instant::now() < deadline, "filters never expire");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for id in [second, third] {
        assert_eq!(harness.error("eth_getFilterChanges", json!([id])).await, (-32000, "filter not found".into()));
    }
}

#[tokio::test]
async fn proofs_are_bounded() {
    let harness = Harness::with_limits(Limits { proof_keys: 2, ..Limits::default() }).await;
    let keys = |count| vec![B256::ZERO; count];
    harness.ok("eth_getProof", json!([address(0), keys(2), "latest"])).await;
    assert_eq!(harness.error("eth_getProof", json!([address(0), keys(3), "latest"])).await.0, -32005);
}

#[tokio::test]
async fn a_call_cannot_exceed_the_gas_cap() {
    let harness = Harness::with_limits(Limits { call_gas: 1_000_000, ..Limits::default() }).await;
    // GAS, PUSH0, MSTORE, return the word.
    let gas = harness.deploy(&alloy_primitives::hex!("5a5f5260205ff3")).await;
    let left = harness.ok("eth_call", json!([{ "to": gas, "gas": "0xffffffffff" }])).await;
    let left: B256 = serde_json::from_value(left).unwrap();
    let left = u64::try_from(alloy_primitives::U256::from_be_bytes(left.0)).unwrap();
    assert!((900_000..1_000_000).contains(&left), "{left}");
}

#[tokio::test]
async fn connections_are_bounded() {
    let harness = Harness::with_limits(Limits { connections: 2, ..Limits::default() }).await;
    let connect = async || {
        let connect = alloy::providers::WsConnect::new(&harness.ws).with_max_retries(0);
        alloy::providers::ProviderBuilder::new().connect_ws(connect).await
    };
    let held = [connect().await.unwrap(), connect().await.unwrap()];
    assert!(connect().await.is_err());
    drop(held);
}

#[tokio::test]
async fn stopping_closes_what_is_open() {
    let harness = Harness::new().await;
    let connect = alloy::providers::WsConnect::new(&harness.ws).with_max_retries(0);
    let provider = alloy::providers::ProviderBuilder::new().connect_ws(connect).await.unwrap();
    let _heads = provider.subscribe_blocks().await.unwrap();
    harness.ok("eth_blockNumber", json!([])).await;
    tokio::time::timeout(Duration::from_secs(5), harness.stop_serving()).await.expect("the server stops in time");
    assert!(tokio::net::TcpStream::connect(harness.http.trim_start_matches("http://")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_loses_its_subscription() {
    const LOGS: usize = 100;
    let patience = Duration::from_millis(200);
    let limits = Limits { subscription_buffer: 2, subscription_patience: patience, ..Limits::default() };
    let harness = Harness::with_limits(limits).await;
    // LOG0 of 100,000 zero bytes: large, so that the sockets' own buffers fill up.
    let logger = harness.deploy(&alloy_primitives::hex!("620186a05fa000")).await;
    let mut client = WebSocket::connect(&harness.ws).await;
    client
        .send(
            &json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["logs", { "address": logger }] }),
        )
        .await;
    let id = client.receive().await["result"].take();
    for _ in 0..LOGS / 10 {
        for index in 0..10 {
            harness.send(index, TxKind::Call(logger), Bytes::new(), 0).await;
        }
        harness.mine().await;
    }
    // Nobody reads for longer than the node waits.
    tokio::time::sleep(patience * 5).await;
    client.send(&json!({ "jsonrpc": "2.0", "id": 2, "method": "eth_unsubscribe", "params": [id] })).await;
    let mut received = 0;
    let known = loop {
        let message = client.receive().await;
        if message["id"] == 2 {
            break message["result"].clone();
        }
        received += 1;
    };
    assert!((1..LOGS).contains(&received), "{received} messages arrived");
    assert_eq!(known, json!(false), "the subscription still exists");
}
