//! Blocks, transactions, receipts and logs of decided blocks.

use alloy_primitives::{B256, Bytes, TxKind};
use alloy_rlp::Encodable;
use serde_json::{Value, json};

use crate::{
    contracts::{ECHO, LOGGER, word},
    harness::{CHAIN_ID, GAS_LIMIT, Harness, address, quantity},
};

#[tokio::test]
async fn blocks_have_what_clients_read() {
    let harness = Harness::new().await;
    let hash = harness.send(0, TxKind::Call(address(1)), Bytes::new(), 5).await;
    let sealed = harness.mine().await;

    let block = harness.ok("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(block["hash"], json!(sealed.hash));
    assert_eq!(block["number"], "0x1");
    assert_eq!(block["transactions"], json!([hash]));
    assert!(quantity(&block["baseFeePerGas"]) >= 7, "ethers treats a base fee of 0 as a legacy chain");
    assert_eq!(block["difficulty"], "0x0", "ethers requires it");
    assert_eq!(block["nonce"], "0x0000000000000000");
    assert_eq!(block["uncles"], json!([]));
    assert_eq!(block["withdrawals"], json!([]));
    assert_eq!(block["gasLimit"], json!(format!("{GAS_LIMIT:#x}")));
    assert_eq!(quantity(&block["size"]), sealed.block.length() as u64);
    for field in [
        "parentHash",
        "mixHash",
        "stateRoot",
        "receiptsRoot",
        "transactionsRoot",
        "logsBloom",
        "miner",
        "extraData",
        "timestamp",
        "gasUsed",
        "sha3Uncles",
        "parentBeaconBlockRoot",
        "withdrawalsRoot",
        "requestsHash",
    ] {
        assert!(block[field].is_string(), "{field}: {block}");
    }

    assert_eq!(harness.ok("eth_getBlockByHash", json!([sealed.hash, false])).await, block);
    let full = harness.ok("eth_getBlockByHash", json!([sealed.hash, true])).await;
    assert_eq!(full["transactions"][0]["hash"], json!(hash));
    assert_eq!(full["transactions"][0]["from"], json!(address(0)));
    assert_eq!(harness.ok("eth_getBlockTransactionCountByNumber", json!(["0x1"])).await, "0x1");
    assert_eq!(harness.ok("eth_getBlockTransactionCountByHash", json!([sealed.hash])).await, "0x1");
    assert_eq!(harness.ok("eth_getUncleCountByBlockNumber", json!(["0x1"])).await, "0x0");
    assert_eq!(harness.ok("eth_getUncleByBlockNumberAndIndex", json!(["0x1", "0x0"])).await, Value::Null);
    let genesis = harness.ok("eth_getBlockByNumber", json!(["0x0", true])).await;
    assert_eq!(genesis["transactions"], json!([]));
    assert_eq!(block["parentHash"], genesis["hash"]);
}

#[tokio::test]
async fn the_receipt_is_there_when_the_number_moves() {
    let harness = Harness::new().await;
    for round in 0..20 {
        let hash = harness.send(0, TxKind::Call(address(1)), Bytes::new(), 1).await;
        let mining = {
            let harness = harness.clone();
            tokio::spawn(async move { harness.mine().await })
        };
        // What alloy does: poll the number, then look for the transaction in that block.
        let number = loop {
            let number = harness.ok("eth_blockNumber", json!([])).await;
            if quantity(&number) > round {
                break number;
            }
        };
        let block = harness.ok("eth_getBlockByNumber", json!([number, false])).await;
        assert_eq!(block["transactions"], json!([hash]));
        assert!(harness.ok("eth_getTransactionReceipt", json!([hash])).await.is_object());
        mining.await.unwrap();
    }
}

#[tokio::test]
async fn transactions_and_receipts() {
    let harness = Harness::new().await;
    let hash = harness.send(0, TxKind::Call(address(1)), Bytes::new(), 5).await;

    // Pending.
    let pending = harness.ok("eth_getTransactionByHash", json!([hash])).await;
    for field in ["blockHash", "blockNumber", "transactionIndex"] {
        assert_eq!(pending[field], Value::Null, "{field}");
    }
    assert_eq!(harness.ok("eth_getTransactionReceipt", json!([hash])).await, Value::Null);
    let raw = harness.ok("eth_getRawTransactionByHash", json!([hash])).await;

    // Decided.
    let sealed = harness.mine().await;
    let tx = harness.ok("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(tx["blockHash"], json!(sealed.hash));
    assert_eq!(tx["transactionIndex"], "0x0");
    assert_eq!(tx["type"], "0x2");
    assert_eq!(tx["chainId"], json!(format!("{CHAIN_ID:#x}")));
    for field in
        ["r", "s", "yParity", "v", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "nonce", "value", "input"]
    {
        assert!(tx[field].is_string(), "{field}: {tx}");
    }
    assert_eq!(harness.ok("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])).await, tx);
    assert_eq!(harness.ok("eth_getTransactionByBlockHashAndIndex", json!([sealed.hash, "0x0"])).await, tx);
    assert_eq!(harness.ok("eth_getRawTransactionByHash", json!([hash])).await, raw);

    let receipt = harness.ok("eth_getTransactionReceipt", json!([hash])).await;
    let base_fee = sealed.header().base_fee_per_gas.unwrap();
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["type"], "0x2");
    assert_eq!(receipt["gasUsed"], "0x5208");
    assert_eq!(receipt["cumulativeGasUsed"], "0x5208");
    assert_eq!(quantity(&receipt["effectiveGasPrice"]), base_fee + 1_000_000_000);
    assert_eq!(receipt["to"], json!(address(1)));
    assert_eq!(receipt["from"], json!(address(0)));
    assert_eq!(receipt["contractAddress"], Value::Null);
    assert_eq!(receipt["logs"], json!([]));
    assert!(receipt["logsBloom"].is_string());
    assert_eq!(harness.ok("eth_getBlockReceipts", json!(["0x1"])).await, json!([receipt]));
    assert_eq!(harness.ok("eth_getBlockReceipts", json!([{ "blockHash": sealed.hash }])).await, json!([receipt]));
}

#[tokio::test]
async fn receipts_of_deployments_name_the_contract() {
    let harness = Harness::new().await;
    let hash = harness.send(0, TxKind::Create, crate::contracts::init(&ECHO), 0).await;
    harness.mine().await;
    let receipt = harness.ok("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["to"], Value::Null);
    assert_eq!(receipt["contractAddress"], json!(address(0).create(0)));
    let code = harness.ok("eth_getCode", json!([address(0).create(0), "latest"])).await;
    assert_eq!(code, json!(Bytes::from_static(&ECHO)));
    assert_eq!(harness.ok("eth_getCode", json!([address(0).create(0), "0x0"])).await, "0x");
}

#[tokio::test]
async fn log_indices_run_through_the_block() {
    let harness = Harness::new().await;
    let logger = harness.deploy(&LOGGER).await;
    for _ in 0..3 {
        harness.send(0, TxKind::Call(logger), word(7), 0).await;
    }
    let sealed = harness.mine().await;
    let receipts = harness.ok("eth_getBlockReceipts", json!(["latest"])).await;
    let mut logs = Vec::new();
    for (index, receipt) in receipts.as_array().unwrap().iter().enumerate() {
        assert_eq!(quantity(&receipt["transactionIndex"]), index as u64);
        let hash = &receipt["transactionHash"];
        assert_eq!(&harness.ok("eth_getTransactionReceipt", json!([hash])).await, receipt);
        logs.extend(receipt["logs"].as_array().unwrap().clone());
    }
    assert_eq!(logs.len(), 6);
    for (index, log) in logs.iter().enumerate() {
        assert_eq!(quantity(&log["logIndex"]), index as u64);
        assert_eq!(quantity(&log["transactionIndex"]), index as u64 / 2);
        assert_eq!(log["blockHash"], json!(sealed.hash));
        assert_eq!(quantity(&log["blockTimestamp"]), sealed.header().timestamp);
        assert_eq!(log["removed"], json!(false));
        assert_eq!(log["topics"], json!([word(7)]));
    }
    assert_eq!(harness.ok("eth_getLogs", json!([{ "blockHash": sealed.hash }])).await, json!(logs));
}

#[tokio::test]
async fn logs_are_filtered_by_address_and_topics() {
    let harness = Harness::new().await;
    let (one, two) = (harness.deploy(&LOGGER).await, harness.deploy(&LOGGER).await);
    harness.send(0, TxKind::Call(one), word(1), 0).await;
    harness.send(0, TxKind::Call(two), word(2), 0).await;
    harness.mine().await;
    harness.send(0, TxKind::Call(one), word(2), 0).await;
    harness.mine().await;
    let count = async |filter: Value| harness.ok("eth_getLogs", json!([filter])).await.as_array().unwrap().len();
    assert_eq!(count(json!({ "fromBlock": "earliest" })).await, 6);
    assert_eq!(count(json!({ "fromBlock": "0x0", "toBlock": "latest", "address": one })).await, 4);
    assert_eq!(count(json!({ "fromBlock": "0x0", "address": [one, two] })).await, 6);
    assert_eq!(count(json!({ "fromBlock": "0x0", "topics": [word(2)] })).await, 4);
    assert_eq!(count(json!({ "fromBlock": "0x0", "topics": [[word(1), word(2)]] })).await, 6);
    assert_eq!(count(json!({ "fromBlock": "0x0", "topics": [null, word(2)] })).await, 0);
    assert_eq!(count(json!({})).await, 2, "the latest block by default");
    assert_eq!(count(json!({ "fromBlock": "0x3", "toBlock": "0x3" })).await, 4);
    assert_eq!(count(json!({ "fromBlock": "0x0", "toBlock": "safe" })).await, 0);
}

#[tokio::test]
async fn bad_log_ranges_are_invalid_parameters() {
    let harness = Harness::new().await;
    harness.mine().await;
    harness.mine().await;
    for filter in [
        json!({ "fromBlock": "0x2", "toBlock": "0x1" }),
        json!({ "fromBlock": "0x3" }),
        json!({ "fromBlock": "0x0", "toBlock": "0x3" }),
        json!({ "fromBlock": "0x3", "toBlock": "0x4" }),
        json!({ "blockHash": B256::ZERO, "fromBlock": "0x0" }),
        json!({ "fromBlock": "zero" }),
    ] {
        assert_eq!(harness.error("eth_getLogs", json!([filter])).await.0, -32602, "{filter}");
    }
    assert_eq!(harness.error("eth_getLogs", json!([{ "blockHash": B256::ZERO }])).await.0, -32000);
}
