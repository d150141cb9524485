//! Accounts: storage, proofs, nonces and sending.

use alloy::{network::TxSignerSync, signers::SignerSync};
use alloy_consensus::{SignableTransaction, TxEip7702, TxEnvelope};
use alloy_eips::{eip2718::Encodable2718, eip7702::Authorization};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use serde_json::{Value, json};

use crate::{
    contracts::{ECHO, STORE, word},
    harness::{CHAIN_ID, Draft, GAS_LIMIT, Harness, address, key, quantity, sign_transaction},
};

#[tokio::test]
async fn storage_is_always_a_word() {
    let harness = Harness::new().await;
    let store = harness.deploy(&STORE).await;
    harness.send(0, TxKind::Call(store), word(0x2a), 0).await;
    harness.mine().await;
    let expected = json!(B256::from(U256::from(0x2a)));
    for slot in ["0x0", "0x00", "0x0000000000000000000000000000000000000000000000000000000000000000"] {
        assert_eq!(harness.ok("eth_getStorageAt", json!([store, slot, "latest"])).await, expected, "{slot}");
    }
    assert_eq!(harness.ok("eth_getStorageAt", json!([store, "0x1", "latest"])).await, json!(B256::ZERO));
    assert_eq!(harness.ok("eth_getStorageAt", json!([store, "0x0", "0x1"])).await, json!(B256::ZERO), "a past block");
}

#[tokio::test]
async fn proofs_verify_against_the_header() {
    let harness = Harness::new().await;
    let store = harness.deploy(&STORE).await;
    harness.send(0, TxKind::Call(store), word(0x2a), 0).await;
    harness.mine().await;
    harness.send(0, TxKind::Call(store), word(0x2b), 0).await;
    harness.mine().await;
    for (block, value) in [("0x2", 0x2a), ("0x3", 0x2b)] {
        let header = harness.ok("eth_getBlockByNumber", json!([block, false])).await;
        let root: B256 = serde_json::from_value(header["stateRoot"].clone()).unwrap();
        let proof = harness.ok("eth_getProof", json!([store, ["0x0", word(9)], block])).await;
        let account = TrieAccount {
            nonce: quantity(&proof["nonce"]),
            balance: U256::from(quantity(&proof["balance"])),
            storage_root: serde_json::from_value(proof["storageHash"].clone()).unwrap(),
            code_hash: serde_json::from_value(proof["codeHash"].clone()).unwrap(),
        };
        assert_eq!(account.code_hash, keccak256(STORE));
        let nodes: Vec<Bytes> = serde_json::from_value(proof["accountProof"].clone()).unwrap();
        verify_proof(root, Nibbles::unpack(keccak256(store)), Some(alloy_rlp::encode(account)), &nodes).unwrap();
        for (slot, expected) in [(0u64, Some(value)), (9, None)] {
            let entry = &proof["storageProof"][usize::from(slot != 0)];
            assert_eq!(quantity(&entry["value"]), expected.unwrap_or_default());
            let nodes: Vec<Bytes> = serde_json::from_value(entry["proof"].clone()).unwrap();
            let path = Nibbles::unpack(keccak256(B256::from(U256::from(slot))));
            let leaf = expected.map(|value| alloy_rlp::encode(U256::from(value)));
            verify_proof(account.storage_root, path, leaf, &nodes).unwrap();
        }
    }
    // Absence of an account.
    let stranger = Address::repeat_byte(0x99);
    let proof = harness.ok("eth_getProof", json!([stranger, [], "0x3"])).await;
    let header = harness.ok("eth_getBlockByNumber", json!(["0x3", false])).await;
    let root: B256 = serde_json::from_value(header["stateRoot"].clone()).unwrap();
    let nodes: Vec<Bytes> = serde_json::from_value(proof["accountProof"].clone()).unwrap();
    verify_proof(root, Nibbles::unpack(keccak256(stranger)), None, &nodes).unwrap();
}

#[tokio::test]
async fn refused_transactions_use_the_words_clients_match() {
    let harness = Harness::new().await;
    harness.send(0, TxKind::Call(address(1)), Bytes::new(), 1).await;
    harness.mine().await;
    let first = sign_transaction(&key(0), Draft::new(1));
    harness.ok("eth_sendRawTransaction", json!([first])).await;
    let sign = |draft| sign_transaction(&key(0), draft);
    let poor = alloy::signers::local::PrivateKeySigner::random();
    for (raw, expected) in [
        (sign(Draft::new(0)), "nonce too low"),
        (first, "already known"),
        (sign(Draft { value: 1, ..Draft::new(1) }), "replacement transaction underpriced"),
        (sign_transaction(&poor, Draft::new(0)), "insufficient funds for gas * price + value"),
        (sign(Draft { value: 10u128.pow(23), ..Draft::new(2) }), "insufficient funds for gas * price + value"),
        (sign(Draft { chain_id: 1, ..Draft::new(2) }), "invalid chain id"),
        (sign(Draft { gas_limit: 20_000, ..Draft::new(2) }), "intrinsic gas too low"),
        (sign(Draft { gas_limit: GAS_LIMIT + 1, ..Draft::new(2) }), "exceeds block gas limit"),
        (sign(Draft { tip: 20_000_000_000, ..Draft::new(2) }), "max priority fee per gas higher than max fee per gas"),
        (Bytes::from_static(&[0x02, 0x01]), ""),
        (Bytes::from_static(&[0x03, 0xc0]), ""),
        (Bytes::new(), ""),
    ] {
        let (code, message) = harness.error("eth_sendRawTransaction", json!([raw])).await;
        assert_eq!(code, -32000, "{message}");
        assert!(message.starts_with(expected), "expected {expected:?}, got {message:?}");
    }
    let replacement = sign(Draft { max_fee: 12_000_000_000, tip: 2_000_000_000, ..Draft::new(0) });
    assert_eq!(harness.error("eth_sendRawTransaction", json!([replacement])).await.1.get(..13), Some("nonce too low"));
    let replacement = sign(Draft { max_fee: 12_000_000_000, tip: 2_000_000_000, ..Draft::new(1) });
    let hash = harness.ok("eth_sendRawTransaction", json!([replacement])).await;
    let block = harness.mine().await;
    assert_eq!(json!(block.block.body.transactions[0].tx_hash()), hash);
}

#[tokio::test]
async fn pending_nonces_count_the_pool() {
    let harness = Harness::new().await;
    let count = async |tag: &str| harness.ok("eth_getTransactionCount", json!([address(0), tag])).await;
    harness.send(0, TxKind::Call(address(1)), Bytes::new(), 1).await;
    harness.send(0, TxKind::Call(address(1)), Bytes::new(), 1).await;
    assert_eq!((count("latest").await, count("pending").await), (json!("0x0"), json!("0x2")));
    // Behind a gap: not executable, not counted.
    let raw = sign_transaction(&key(0), Draft::new(7));
    let queued = harness.ok("eth_sendRawTransaction", json!([raw])).await;
    assert_eq!(count("pending").await, "0x2");
    assert_eq!(harness.ok("txpool_status", json!([])).await, json!({ "pending": "0x2", "queued": "0x1" }));
    let content = harness.ok("txpool_content", json!([])).await;
    let sender = address(0).to_string();
    let by_sender = |kind: &str| -> Value {
        let senders = content[kind].as_object().unwrap();
        senders.iter().find(|(name, _)| name.eq_ignore_ascii_case(&sender)).map(|(_, queue)| queue.clone()).unwrap()
    };
    assert_eq!(by_sender("queued")["7"]["hash"], queued);
    assert_eq!(by_sender("pending").as_object().unwrap().len(), 2);
    let inspect = harness.ok("txpool_inspect", json!([])).await;
    assert!(inspect["queued"].as_object().unwrap().values().next().unwrap()["7"].as_str().unwrap().contains("gas"));
    harness.mine().await;
    assert_eq!((count("latest").await, count("pending").await), (json!("0x2"), json!("0x2")));
}

#[tokio::test]
async fn sending_can_wait_for_the_receipt() {
    let harness = Harness::new().await;
    let raw = sign_transaction(&key(0), Draft::new(0));
    let late = harness.request("eth_sendRawTransactionSync", json!([raw, "0x32"])).await;
    let hash = late["error"]["data"].clone();
    assert_eq!(late["error"]["code"], 4);
    harness.mine().await;
    assert_eq!(harness.ok("eth_getTransactionReceipt", json!([hash])).await["status"], "0x1");
    harness.mine_every(std::time::Duration::from_millis(50));
    let raw = sign_transaction(&key(0), Draft::new(1));
    let receipt = harness.ok("eth_sendRawTransactionSync", json!([raw])).await;
    assert_eq!(receipt["status"], "0x1");
}

#[tokio::test]
async fn accounts_can_delegate_to_code() {
    let harness = Harness::new().await;
    let echo = harness.deploy(&ECHO).await;
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: echo, nonce: 0 };
    let signature = key(4).sign_hash_sync(&authorization.signature_hash()).unwrap();
    let authorization = authorization.into_signed(signature);
    let call = json!({ "from": address(0), "to": address(4), "data": "0x1234", "authorizationList": [authorization] });
    assert_eq!(harness.ok("eth_call", json!([call])).await, "0x1234");
    let gas_limit = quantity(&harness.ok("eth_estimateGas", json!([call])).await);
    let mut tx = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 1,
        gas_limit,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1,
        to: address(4),
        input: Bytes::from_static(&[0x12, 0x34]),
        authorization_list: vec![authorization],
        ..TxEip7702::default()
    };
    let signature = key(0).sign_transaction_sync(&mut tx).unwrap();
    let raw: Bytes = TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into();
    let hash = harness.ok("eth_sendRawTransaction", json!([raw])).await;
    harness.mine().await;
    let receipt = harness.ok("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!((&receipt["type"], &receipt["status"]), (&json!("0x4"), &json!("0x1")));
    let tx = harness.ok("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(tx["authorizationList"][0]["address"], json!(echo));
    let designator = [&[0xef, 0x01, 0x00], echo.as_slice()].concat();
    assert_eq!(harness.ok("eth_getCode", json!([address(4)])).await, json!(Bytes::from(designator)));
    assert_eq!(harness.ok("eth_call", json!([{ "to": address(4), "data": "0x56" }])).await, "0x56");
    // Such an account still sends ordinary transactions.
    harness.send(4, TxKind::Call(address(5)), Bytes::new(), 1).await;
    assert_eq!(harness.mine().await.block.body.transactions.len(), 1);
}
