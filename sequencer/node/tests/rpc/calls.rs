//! Calls, estimates and access lists.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{Revert, SolError};
use serde_json::{Value, json};

use crate::{
    contracts::{ECHO, ENVIRONMENT, INVALID, REVERTER, STORE, forwarder, word},
    harness::{CHAIN_ID, Harness, address, quantity},
};

#[tokio::test]
async fn input_and_data_mean_the_same() {
    let harness = Harness::new().await;
    let echo = harness.deploy(&ECHO).await;
    for call in [
        json!({ "to": echo, "input": "0x1234" }),
        json!({ "to": echo, "data": "0x1234" }),
        json!({ "to": echo, "data": "0x1234", "input": "0x1234" }),
    ] {
        assert_eq!(harness.ok("eth_call", json!([call, "latest"])).await, "0x1234");
    }
    let both = json!({ "to": echo, "data": "0x12", "input": "0x34" });
    assert_eq!(harness.error("eth_call", json!([both, "latest"])).await.0, -32602);
    assert_eq!(harness.ok("eth_call", json!([{ "to": echo }])).await, "0x", "latest by default");
}

#[tokio::test]
async fn reverts_have_code_3_reason_and_data() {
    let harness = Harness::new().await;
    let reverter = harness.deploy(&REVERTER).await;
    for (data, message) in [
        (Bytes::from(Revert::from("no way").abi_encode()), "execution reverted: no way"),
        (Bytes::from_static(&[0xde, 0xad, 0xbe, 0xef]), "execution reverted"),
        (Bytes::new(), "execution reverted"),
    ] {
        for method in ["eth_call", "eth_estimateGas"] {
            let answer = harness.request(method, json!([{ "to": reverter, "data": data }])).await;
            assert_eq!(answer["error"], json!({ "code": 3, "message": message, "data": data }), "{method}");
        }
    }
}

#[tokio::test]
async fn halts_and_shortages_name_their_cause() {
    let harness = Harness::new().await;
    let invalid = harness.deploy(&INVALID).await;
    let store = harness.deploy(&STORE).await;
    let poor = Address::repeat_byte(0x55);
    for (method, call, expected) in [
        ("eth_call", json!({ "to": invalid }), "invalid opcode"),
        ("eth_estimateGas", json!({ "to": invalid }), "invalid opcode"),
        ("eth_call", json!({ "to": store, "data": word(1), "gas": "0x5400" }), "out of gas"),
        ("eth_call", json!({ "to": store, "data": word(1), "gas": "0x100" }), "intrinsic gas too low"),
        (
            "eth_estimateGas",
            json!({ "to": store, "data": word(1), "gas": "0x7000" }),
            "gas required exceeds allowance (28672)",
        ),
        (
            "eth_estimateGas",
            json!({ "from": poor, "to": address(1), "gasPrice": "0x77359400" }),
            "insufficient funds for gas * price + value",
        ),
        (
            "eth_call",
            json!({ "from": poor, "to": address(1), "value": "0x1" }),
            "insufficient funds for gas * price + value",
        ),
        (
            "eth_estimateGas",
            json!({ "from": poor, "to": address(1), "value": "0x1" }),
            "insufficient funds for gas * price + value",
        ),
        (
            "eth_call",
            json!({ "from": address(0), "to": address(1), "gasPrice": "0x1" }),
            "max fee per gas less than block base fee",
        ),
    ] {
        let (code, message) = harness.error(method, json!([call])).await;
        assert_eq!(code, -32000, "{message}");
        assert!(message.starts_with(expected), "{method} {call}: {message}");
    }
    for call in [
        json!({ "to": store, "gasPrice": "0x1", "maxFeePerGas": "0x1" }),
        json!({ "to": store, "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2" }),
        json!({ "to": store, "blobVersionedHashes": [B256::ZERO] }),
    ] {
        assert_eq!(harness.error("eth_call", json!([call])).await.0, -32602, "{call}");
    }
}

#[tokio::test]
async fn calls_see_the_block_they_are_made_on() {
    let harness = Harness::new().await;
    let environment = harness.deploy(&ENVIRONMENT).await;
    harness.mine().await;
    let words = async |call: Value, block: Value, overrides: Value| -> Vec<U256> {
        let output = harness.ok("eth_call", json!([call, block, null, overrides])).await;
        let output: Bytes = serde_json::from_value(output).unwrap();
        output.chunks(32).map(U256::from_be_slice).collect()
    };
    let latest = harness.ok("eth_getBlockByNumber", json!(["latest", false])).await;
    let seen = words(json!({ "to": environment }), json!("latest"), Value::Null).await;
    assert_eq!(seen[0], U256::from(2));
    assert_eq!(seen[1], U256::from(quantity(&latest["timestamp"])));
    assert_eq!(seen[2], U256::ZERO, "without a price there is no base fee, as in go-ethereum");
    assert_eq!(seen[3], U256::ZERO);
    assert_eq!(seen[4], U256::from(CHAIN_ID));
    assert_eq!(words(json!({ "to": environment }), json!("0x1"), Value::Null).await[0], U256::from(1));

    let price =
        json!({ "to": environment, "from": address(0), "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x1" });
    let seen = words(price, json!("latest"), Value::Null).await;
    assert_eq!(seen[2], U256::from(quantity(&latest["baseFeePerGas"])));
    assert_eq!(seen[3], seen[2] + U256::from(1));

    let overrides = json!({ "number": "0x99", "time": "0x1234", "feeRecipient": Address::repeat_byte(0xfe) });
    let seen = words(json!({ "to": environment }), json!("latest"), overrides).await;
    assert_eq!((seen[0], seen[1]), (U256::from(0x99), U256::from(0x1234)));
    assert_eq!(seen[5], U256::from_be_slice(Address::repeat_byte(0xfe).as_slice()));
}

#[tokio::test]
async fn state_overrides() {
    let harness = Harness::new().await;
    let target = Address::repeat_byte(0x31);
    let balance = json!({ target.to_string(): { "balance": "0x64" } });
    let environment = json!({ target.to_string(): { "code": Bytes::from_static(&ENVIRONMENT) }, address(3).to_string(): { "balance": "0x2a" } });
    let output = harness.ok("eth_call", json!([{ "from": address(3), "to": target }, "latest", environment])).await;
    let output: Bytes = serde_json::from_value(output).unwrap();
    assert_eq!(U256::from_be_slice(&output[6 * 32..]), U256::from(0x2a));
    // The overridden balance can be spent, and only in that call.
    let spend = json!({ "from": target, "to": address(1), "value": "0x64" });
    assert_eq!(harness.ok("eth_call", json!([spend, "latest", balance])).await, "0x");
    assert_eq!(harness.ok("eth_estimateGas", json!([spend, "latest", balance])).await, "0x5208");
    assert_eq!(harness.error("eth_call", json!([spend, "latest"])).await.0, -32000);
    // Slots, one or all of them. The code returns slot 0.
    let sload = "0x5f545f5260205ff3";
    let key = B256::ZERO;
    for kind in ["state", "stateDiff"] {
        let slots = json!({ target.to_string(): { "code": sload, kind: { key.to_string(): word(9) } } });
        assert_eq!(harness.ok("eth_call", json!([{ "to": target }, "latest", slots])).await, json!(word(9)), "{kind}");
    }
    let both = json!({ target.to_string(): { "state": {}, "stateDiff": {} } });
    assert_eq!(harness.error("eth_call", json!([{ "to": target }, "latest", both])).await.0, -32602);
    // A contract may be the sender (EIP-3607 is for signed transactions).
    let contract = harness.deploy(&ECHO).await;
    assert_eq!(harness.ok("eth_call", json!([{ "from": contract, "to": contract, "data": "0x01" }])).await, "0x01");
}

#[tokio::test]
async fn gas_of_a_transfer_is_exactly_21000() {
    let harness = Harness::new().await;
    for call in [
        json!({ "from": address(0), "to": address(1) }),
        json!({ "from": address(0), "to": Address::repeat_byte(0x44), "value": "0x1" }),
        json!({ "from": address(0), "to": address(1), "gas": "0x1c9c380", "gasPrice": "0x77359400" }),
        json!({ "to": address(1) }),
    ] {
        assert_eq!(harness.ok("eth_estimateGas", json!([call])).await, "0x5208", "{call}");
    }
}

#[tokio::test]
async fn estimates_suffice_and_are_tight() {
    let harness = Harness::new().await;
    let store = harness.deploy(&STORE).await;
    let nested = harness.deploy(&forwarder(store)).await;
    let twice = harness.deploy(&forwarder(nested)).await;
    harness.send(0, TxKind::Call(store), word(5), 0).await;
    harness.mine().await;
    for (name, call) in [
        ("storage", json!({ "from": address(0), "to": store, "data": word(6) })),
        ("refund", json!({ "from": address(0), "to": store, "data": word(0) })),
        ("calls keep 1/64", json!({ "from": address(0), "to": twice, "data": word(6) })),
        ("refund in calls", json!({ "from": address(0), "to": twice, "data": word(0) })),
        ("deployment", json!({ "from": address(0), "data": crate::contracts::init(&ENVIRONMENT) })),
        ("data floor", json!({ "from": address(0), "to": address(1), "data": Bytes::from(vec![1; 1_000]) })),
    ] {
        let estimate = quantity(&harness.ok("eth_estimateGas", json!([call])).await);
        let with_gas = async |gas: u64| {
            let mut call = call.clone();
            call["gas"] = json!(format!("{gas:#x}"));
            harness.request("eth_call", json!([call])).await
        };
        assert!(with_gas(estimate).await.get("error").is_none(), "{name}: {estimate} is not enough");
        assert!(with_gas(estimate * 98 / 100).await.get("error").is_some(), "{name}: {estimate} is far too much");
    }
    assert!(
        quantity(&harness.ok("eth_estimateGas", json!([{ "from": address(0), "to": twice, "data": word(0) }])).await)
            > 21_000
    );
}

#[tokio::test]
async fn access_lists_name_what_is_touched() {
    let harness = Harness::new().await;
    let store = harness.deploy(&STORE).await;
    let nested = harness.deploy(&forwarder(store)).await;
    let call = json!({ "from": address(0), "to": nested, "data": word(6) });
    let answer = harness.ok("eth_createAccessList", json!([call, "latest"])).await;
    assert_eq!(answer["accessList"], json!([{ "address": store, "storageKeys": [B256::ZERO] }]));
    assert!(answer.get("error").is_none_or(Value::is_null), "{answer}");
    let mut listed = call.clone();
    listed["accessList"] = answer["accessList"].clone();
    listed["gas"] = answer["gasUsed"].clone();
    assert!(quantity(&answer["gasUsed"]) > 21_000);
    let reverter = harness.deploy(&REVERTER).await;
    let answer = harness.ok("eth_createAccessList", json!([{ "to": reverter }])).await;
    assert_eq!(answer["error"], "execution reverted");
}
