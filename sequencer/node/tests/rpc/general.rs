//! Identity, parameters, tags and encodings.

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_primitives::{Address, B256, Bytes, TxKind};
use serde_json::{Value, json};

use crate::{
    contracts::{LOGGER, word},
    harness::{CHAIN_ID, Harness, address, quantity},
};

#[tokio::test]
async fn methods_not_served_are_unknown() {
    let harness = Harness::new().await;
    for method in ["eth_fillTransaction", "debug_traceTransaction", "eth_simulateV1", "eth_sendTransaction", "nonsense"]
    {
        assert_eq!(harness.error(method, json!([])).await.0, -32601, "{method}");
    }
}

#[tokio::test]
async fn identity_of_chain_and_client() {
    let harness = Harness::new().await;
    assert_eq!(harness.ok("eth_chainId", json!([])).await, json!(format!("{CHAIN_ID:#x}")));
    assert_eq!(harness.ok("net_version", json!([])).await, json!(CHAIN_ID.to_string()));
    assert_eq!(harness.ok("net_listening", json!([])).await, json!(true));
    assert_eq!(harness.ok("net_peerCount", json!([])).await, json!("0x2"));
    assert_eq!(harness.ok("eth_accounts", json!([])).await, json!([]));
    assert!(harness.ok("web3_clientVersion", json!([])).await.as_str().unwrap().starts_with("rota-sequencer/v"));
    assert_eq!(harness.ok("web3_sha3", json!(["0x"])).await, json!(KECCAK_EMPTY));
    assert_eq!(harness.ok("rpc_modules", json!([])).await["eth"], "1.0");
    assert_eq!(harness.ok("eth_syncing", json!([])).await, json!(false));
    *harness.outside.sync_target.lock() = Some(900);
    assert_eq!(harness.ok("eth_syncing", json!([])).await["highestBlock"], "0x384");
}

#[tokio::test]
async fn tags_follow_the_labels() {
    let harness = Harness::new().await;
    for _ in 0..5 {
        harness.mine().await;
    }
    harness.outside.safe.store(3, std::sync::atomic::Ordering::Relaxed);
    harness.outside.finalized.store(2, std::sync::atomic::Ordering::Relaxed);
    for (tag, number) in [("earliest", 0), ("finalized", 2), ("safe", 3), ("latest", 5), ("pending", 5)] {
        let block = harness.ok("eth_getBlockByNumber", json!([tag, false])).await;
        assert_eq!(quantity(&block["number"]), number, "{tag}");
    }
    // A node that is behind L1 does not promise blocks it lacks.
    harness.outside.safe.store(90, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(harness.ok("eth_getBlockByNumber", json!(["safe", false])).await["number"], "0x5");
}

#[tokio::test]
async fn unknown_things_are_null() {
    let harness = Harness::new().await;
    let unknown = B256::repeat_byte(0x77);
    for (method, params) in [
        ("eth_getTransactionByHash", json!([unknown])),
        ("eth_getTransactionReceipt", json!([unknown])),
        ("eth_getRawTransactionByHash", json!([unknown])),
        ("eth_getBlockByHash", json!([unknown, false])),
        ("eth_getBlockByNumber", json!(["0x10", false])),
        ("eth_getBlockReceipts", json!(["0x10"])),
        ("eth_getBlockReceipts", json!([unknown])),
        ("eth_getBlockTransactionCountByNumber", json!(["0x10"])),
        ("eth_getBlockTransactionCountByHash", json!([unknown])),
        ("eth_getUncleCountByBlockHash", json!([unknown])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x0", "0x0"])),
        ("eth_getTransactionByBlockHashAndIndex", json!([unknown, "0x0"])),
    ] {
        assert_eq!(harness.ok(method, params).await, Value::Null, "{method}");
    }
}

#[tokio::test]
async fn state_of_an_unknown_block_is_an_error() {
    let harness = Harness::new().await;
    for block in [json!("0x10"), json!(B256::repeat_byte(0x77)), json!({ "blockHash": B256::repeat_byte(0x77) })] {
        let (code, message) = harness.error("eth_getBalance", json!([address(0), block])).await;
        assert_eq!((code, message.as_str()), (-32000, "header not found"));
    }
}

#[tokio::test]
async fn block_objects_of_eip_1898() {
    let harness = Harness::new().await;
    harness.send(0, TxKind::Call(address(9)), Bytes::new(), 1).await;
    let sealed = harness.mine().await;
    let before = harness.ok("eth_getTransactionCount", json!([address(0), { "blockNumber": "0x0" }])).await;
    assert_eq!(before, "0x0");
    for block in [
        json!({ "blockNumber": "0x1" }),
        json!({ "blockHash": sealed.hash }),
        json!({ "blockHash": sealed.hash, "requireCanonical": true }),
        json!({ "blockHash": sealed.hash, "requireCanonical": false }),
        json!({ "blockNumber": "latest" }),
        json!(sealed.hash),
    ] {
        assert_eq!(harness.ok("eth_getTransactionCount", json!([address(0), block])).await, "0x1", "{block}");
    }
    for block in [json!({}), json!({ "blockNumber": "0x1", "blockHash": sealed.hash }), json!("newest"), json!("1")] {
        assert_eq!(harness.error("eth_getTransactionCount", json!([address(0), block])).await.0, -32602, "{block}");
    }
}

/// Quantities have no leading zeros, data has whole bytes.
fn check_encoding(path: &str, value: &Value) {
    const DATA: [&str; 22] = [
        "hash",
        "parentHash",
        "sha3Uncles",
        "miner",
        "stateRoot",
        "transactionsRoot",
        "receiptsRoot",
        "logsBloom",
        "extraData",
        "mixHash",
        "withdrawalsRoot",
        "parentBeaconBlockRoot",
        "requestsHash",
        "blockHash",
        "from",
        "to",
        "input",
        "transactionHash",
        "contractAddress",
        "address",
        "data",
        "topics",
    ];
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| check_encoding(name, value)),
        Value::Array(items) => items.iter().for_each(|item| check_encoding(path, item)),
        Value::String(text) => {
            let digits = text.strip_prefix("0x").unwrap_or_else(|| panic!("{path}: {text}"));
            let is_block_nonce = path == "nonce" && digits.len() == 16;
            if DATA.contains(&path) || is_block_nonce {
                assert_eq!(digits.len() % 2, 0, "{path}: {text}");
            } else {
                assert!(digits == "0" || !digits.starts_with('0') && !digits.is_empty(), "{path}: {text}");
            }
        }
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => panic!("{path}: {number} is not a string"),
    }
}

#[tokio::test]
async fn quantities_have_no_leading_zeros() {
    let harness = Harness::new().await;
    let logger = harness.deploy(&LOGGER).await;
    let hash = harness.send(0, TxKind::Call(logger), word(1), 0).await;
    let pending = harness.ok("eth_getTransactionByHash", json!([hash])).await;
    harness.mine().await;
    for value in [
        pending,
        harness.ok("eth_getBlockByNumber", json!(["latest", true])).await,
        harness.ok("eth_getBlockByNumber", json!(["earliest", true])).await,
        harness.ok("eth_getBlockReceipts", json!(["latest"])).await,
        harness.ok("eth_getLogs", json!([{}])).await,
        harness.ok("eth_getBalance", json!([address(0)])).await,
        harness.ok("eth_getBalance", json!([Address::ZERO])).await,
        harness.ok("eth_gasPrice", json!([])).await,
        harness.ok("eth_maxPriorityFeePerGas", json!([])).await,
        harness.ok("txpool_status", json!([])).await,
    ] {
        check_encoding("", &value);
    }
}

#[tokio::test]
async fn missing_and_malformed_parameters() {
    let harness = Harness::new().await;
    for (method, params) in [
        ("eth_getBalance", json!([])),
        ("eth_getBalance", json!(["0x1234"])),
        ("eth_getBlockByNumber", json!([])),
        ("eth_getBlockByNumber", json!([1, false])),
        ("eth_getTransactionReceipt", json!(["0x12"])),
        ("eth_sendRawTransaction", json!(["zz"])),
        ("eth_call", json!([{ "to": "nobody" }])),
        ("eth_feeHistory", json!(["0x1"])),
    ] {
        assert_eq!(harness.error(method, params.clone()).await.0, -32602, "{method} {params}");
    }
}
