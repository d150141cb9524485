//! Fee suggestions and history.

use alloy_primitives::Bytes;
use serde_json::{Value, json};

use crate::harness::{Draft, Harness, key, quantity, sign_transaction};

async fn pay(harness: &Harness, index: u32, tip: u128) {
    let nonce = harness.pool.pending_nonce(key(index).address()).unwrap();
    let raw = sign_transaction(&key(index), Draft { tip, ..Draft::new(nonce) });
    harness.ok("eth_sendRawTransaction", json!([raw])).await;
}

#[tokio::test]
async fn history_has_one_base_fee_more_than_blocks() {
    let harness = Harness::new().await;
    for _ in 0..4 {
        harness.mine().await;
    }
    let history = harness.ok("eth_feeHistory", json!(["0x3", "latest", []])).await;
    assert_eq!(history["oldestBlock"], "0x2");
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 4);
    assert_eq!(history["baseFeePerBlobGas"].as_array().unwrap().len(), 4);
    assert_eq!(history["gasUsedRatio"], json!([0.0, 0.0, 0.0]));
    assert_eq!(history["blobGasUsedRatio"], json!([0.0, 0.0, 0.0]));
    for (index, number) in (2..=4).enumerate() {
        let block = harness.ok("eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await;
        assert_eq!(history["baseFeePerGas"][index], block["baseFeePerGas"]);
    }
    // The last one is the fee of the block to come.
    harness.mine().await;
    let next = harness.ok("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(history["baseFeePerGas"][3], next["baseFeePerGas"]);
    let without = harness.ok("eth_feeHistory", json!(["0x1", "0x2"])).await;
    assert!(without.get("reward").is_none_or(Value::is_null), "{without}");
}

#[tokio::test]
async fn history_counts_only_blocks_there_are() {
    let harness = Harness::new().await;
    for _ in 0..2 {
        harness.mine().await;
    }
    for count in [json!("0x5"), json!("0x400"), json!("0xffff"), json!(9)] {
        let history = harness.ok("eth_feeHistory", json!([count, "latest", [50.0]])).await;
        assert_eq!(history["oldestBlock"], "0x0", "{count}");
        assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 3);
        assert_eq!(history["reward"].as_array().unwrap().len(), 3);
    }
    let none = harness.ok("eth_feeHistory", json!(["0x0", "latest", []])).await;
    assert_eq!(none["gasUsedRatio"], json!([]));
}

#[tokio::test]
async fn history_is_capped_at_1024_blocks() {
    let harness = Harness::new().await;
    for _ in 0..1_030 {
        harness.mine().await;
    }
    let history = harness.ok("eth_feeHistory", json!(["0x500", "latest", []])).await;
    assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 1_024);
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 1_025);
    assert_eq!(quantity(&history["oldestBlock"]), 1_030 - 1_023);
}

#[tokio::test]
async fn rewards_are_tips_by_gas() {
    let harness = Harness::new().await;
    for (index, tip) in [(0, 3_000_000_000), (1, 1_000_000_000), (2, 2_000_000_000)] {
        pay(&harness, index, tip).await;
    }
    harness.mine().await;
    let history = harness.ok("eth_feeHistory", json!(["0x1", "latest", [0, 33, 34, 66, 67, 100]])).await;
    let tips: Vec<u64> = history["reward"][0].as_array().unwrap().iter().map(quantity).collect();
    let gwei = |tip: u64| tip * 1_000_000_000;
    assert_eq!(tips, [gwei(1), gwei(1), gwei(2), gwei(2), gwei(3), gwei(3)]);
    let ratio = history["gasUsedRatio"][0].as_f64().unwrap();
    assert!((ratio - 3.0 * 21_000.0 / 30_000_000.0).abs() < 1e-9, "{ratio}");
}

#[tokio::test]
async fn bad_history_requests() {
    let harness = Harness::new().await;
    for params in [
        json!(["0x1", "latest", [50, 25]]),
        json!(["0x1", "latest", [-1]]),
        json!(["0x1", "latest", [101]]),
        json!(["0x1", "latest", vec![1; 101]]),
        json!(["0x1", "0x1", []]),
    ] {
        assert_eq!(harness.error("eth_feeHistory", params.clone()).await.0, -32602, "{params}");
    }
}

#[tokio::test]
async fn suggestions_follow_what_was_paid() {
    let harness = Harness::new().await;
    let tip = async || quantity(&harness.ok("eth_maxPriorityFeePerGas", json!([])).await);
    let idle = tip().await;
    assert!(idle > 0, "viem and ethers take 0 for a missing fee market");
    for index in 0..5 {
        pay(&harness, index, 4_000_000_000).await;
    }
    harness.mine().await;
    assert_eq!(tip().await, 4_000_000_000);
    let next_base_fee = harness.chain.head().next_base_fee;
    assert_eq!(quantity(&harness.ok("eth_gasPrice", json!([])).await), next_base_fee + 4_000_000_000);
    // What is suggested gets in at once.
    let raw = sign_transaction(
        &key(9),
        Draft {
            max_fee: u128::from(next_base_fee) + 4_000_000_000,
            tip: 4_000_000_000,
            input: Bytes::new(),
            ..Draft::new(0)
        },
    );
    let hash = harness.ok("eth_sendRawTransaction", json!([raw])).await;
    harness.mine().await;
    assert!(harness.ok("eth_getTransactionReceipt", json!([hash])).await.is_object());
}
