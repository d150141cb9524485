//! The `rota_*` methods.

use alloy_primitives::{B256, Bytes, U256};
use rota_protocol::{
    certificate::CommitCertificate,
    header::coinbase,
    vote::{Signature65, VoteDomain},
};
use serde_json::{Value, json};

use crate::harness::{CHAIN_ID, Harness, OPERATOR, SIGMA, posted_batch};

#[tokio::test]
async fn status_tells_where_the_node_stands() {
    let harness = Harness::new().await;
    for _ in 0..4 {
        harness.mine().await;
    }
    harness.outside.safe.store(3, std::sync::atomic::Ordering::Relaxed);
    let status = harness.ok("rota_status", json!([])).await;
    assert_eq!(status["chainId"], CHAIN_ID);
    assert_eq!(status["operator"], OPERATOR);
    assert_eq!(status["head"]["number"], 4);
    assert_eq!(status["head"]["hash"], json!(harness.chain.head().hash));
    assert_eq!(status["head"]["epoch"], SIGMA);
    assert_eq!(status["head"]["l1Origin"]["number"], 1);
    assert_eq!((&status["safe"], &status["finalized"]), (&json!(3), &json!(0)));
    assert_eq!(status["batches"]["unpostedBlocks"], 1);
    assert_eq!(status["consensus"]["leader"], OPERATOR);
    assert_eq!(status["mempool"], json!({ "pending": 0, "queued": 0 }));
    assert_eq!(status["peers"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn members_of_an_epoch() {
    let harness = Harness::new().await;
    let set = harness.ok("rota_members", json!([])).await;
    assert_eq!(set["epoch"], SIGMA);
    assert_eq!(set["totalWeight"], 1_000);
    let signer = set["members"][0]["signer"].clone();
    assert_eq!(
        set["members"],
        json!([{ "id": OPERATOR, "signer": signer, "weight": 1_000, "coinbase": coinbase(OPERATOR) }])
    );
    assert_eq!(harness.ok("rota_members", json!([SIGMA])).await, set);
    assert_eq!(harness.ok("rota_members", json!([SIGMA + 1])).await, Value::Null);
}

#[tokio::test]
async fn the_leader_schedule() {
    let harness = Harness::new().await;
    harness.mine().await;
    let window = harness.ok("rota_leaderSchedule", json!([])).await;
    assert_eq!(window["slots"].as_array().unwrap().len(), 16);
    assert_eq!(window["slots"][0]["height"], 2);
    assert_eq!(window["slots"][15]["window"], 1);
    assert_eq!(window["slots"][15]["slot"], 0);
    for (from, first) in [(json!(5), 5), (json!("0x5"), 5), (json!("latest"), 1)] {
        let slots = harness.ok("rota_leaderSchedule", json!([from, 2])).await;
        assert_eq!(slots["slots"].as_array().unwrap().len(), 2);
        assert_eq!(slots["slots"][0]["height"], first);
        assert_eq!(slots["slots"][0]["leader"], OPERATOR);
        assert_eq!(slots["slots"][0]["fallbacks"], json!([]), "a single member has no fallback");
    }
    assert_eq!(harness.error("rota_leaderSchedule", json!([0])).await.0, -32602);
    assert_eq!(harness.error("rota_leaderSchedule", json!([1, 2_000])).await.0, -32005);
    assert_eq!(harness.ok("rota_leaderSchedule", json!([u64::MAX, 5])).await["slots"], json!([]));
}

#[tokio::test]
async fn certificates_prove_blocks() {
    let harness = Harness::new().await;
    let block = harness.mine().await;
    let answer = harness.ok("rota_certificate", json!([1])).await;
    assert_eq!(answer["blockHash"], json!(block.hash));
    assert_eq!((&answer["weight"], &answer["totalWeight"]), (&json!(1_000), &json!(1_000)));
    assert_eq!(answer["signatures"][0]["id"], OPERATOR);
    // What the answer says is enough to check it.
    let signature: Bytes = serde_json::from_value(answer["signatures"][0]["signature"].clone()).unwrap();
    let certificate = CommitCertificate {
        fork: 0,
        epoch: SIGMA,
        height: 1,
        round: 0,
        block_hash: block.hash,
        signers: serde_json::from_value::<U256>(answer["signers"].clone()).unwrap(),
        signatures: vec![Signature65::from_slice(&signature).unwrap()],
    };
    let domain = VoteDomain::new(CHAIN_ID, harness.chain.config().contracts.batch_chain);
    assert_eq!(certificate.verify(&harness.set(), &domain).unwrap(), 1_000);
    assert_eq!(harness.ok("rota_certificate", json!(["latest"])).await, answer);
    assert_eq!(harness.ok("rota_certificate", json!([0])).await, Value::Null);
    assert_eq!(harness.ok("rota_certificate", json!([2])).await, Value::Null);
}

#[tokio::test]
async fn batches_by_index_and_hash() {
    let harness = Harness::new().await;
    assert_eq!(harness.ok("rota_batch", json!([1])).await, Value::Null);
    let info = posted_batch();
    *harness.outside.batch.lock() = Some(info.clone());
    let batch = harness.ok("rota_batch", json!([1])).await;
    assert_eq!(batch["hash"], json!(info.hash));
    assert_eq!(batch["status"], "posted");
    assert_eq!(batch["header"]["lastBlock"], 3);
    assert_eq!(batch["header"]["tally"], Value::Null);
    assert_eq!(batch["finalAt"], 1_700_000_600);
    assert_eq!(harness.ok("rota_batch", json!([info.hash])).await, batch);
    assert_eq!(harness.ok("rota_batch", json!([B256::ZERO])).await, Value::Null);
    assert_eq!(harness.error("rota_batch", json!(["first"])).await.0, -32602);
}

#[tokio::test]
async fn evidence_is_asked_about_a_height_or_an_operator() {
    let harness = Harness::new().await;
    let recorded = async |about| harness.ok("rota_evidence", json!([about])).await["recorded"].clone();
    assert_eq!(recorded(json!({ "height": 7 })).await, 7);
    assert_eq!(recorded(json!({ "height": "0x7", "operator": 3 })).await, 7);
    assert_eq!(recorded(json!({ "operator": 3 })).await, 3);
    let (code, message) = harness.error("rota_evidence", json!([{}])).await;
    assert!(code == -32602 && message.contains("height"), "{message}");
    assert_eq!(harness.error("rota_evidence", json!([{ "round": 1 }])).await.0, -32602);
}
