//! Real client libraries against the server: alloy here, viem and ethers through their scripts.

use std::{path::PathBuf, process::Stdio, time::Duration};

use alloy::{
    network::EthereumWallet,
    providers::{Provider, ProviderBuilder},
    sol,
};
use alloy_primitives::{Bytes, U256};

use crate::harness::{CHAIN_ID, Harness, MNEMONIC, address, key};

sol! {
    #[sol(rpc)]
    interface Token {
        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
        event Transfer(address indexed from, address indexed to, uint256 value);
        function balanceOf(address account) external view returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
    }
}

fn clients() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients")
}

/// Output of a script of `tests/clients`; fails with everything it printed.
async fn node(script: &str, args: &[&str]) -> String {
    let mut command = tokio::process::Command::new("node");
    command.arg(clients().join(script)).args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(240), command.output())
        .await
        .unwrap_or_else(|_| panic!("{script} hangs"))
        .expect("node runs (npm packages are installed by `make setup`)");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}:\n{out}\n{err}");
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn viem() {
    let harness = Harness::new().await;
    harness.mine_every(Duration::from_millis(200));
    println!("{}", node("viem.mjs", &[&harness.http, "0"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn ethers() {
    let harness = Harness::new().await;
    harness.mine_every(Duration::from_millis(200));
    println!("{}", node("ethers.mjs", &[&harness.http, "1"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn alloy() {
    let harness = Harness::new().await;
    harness.mine_every(Duration::from_millis(200));
    let token: serde_json::Value = serde_json::from_str(&node("token.mjs", &[]).await).expect("JSON");
    let bytecode: Bytes = serde_json::from_value(token["bytecode"].clone()).expect("bytecode");
    let me = address(2);
    let provider =
        ProviderBuilder::new().wallet(EthereumWallet::from(key(2))).connect_http(harness.http.parse().expect("a URL"));
    provider.client().set_poll_interval(Duration::from_millis(50));

    let stranger = alloy::primitives::Address::random();
    let transfer = alloy::rpc::types::TransactionRequest::default().to(stranger).value(U256::from(1_000));
    let receipt = provider.send_transaction(transfer).await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(receipt.gas_used, 21_000);
    assert_eq!(provider.get_balance(stranger).await.unwrap(), U256::from(1_000));
    let block = provider.get_block(receipt.block_hash.unwrap().into()).full().await.unwrap().unwrap();
    assert_eq!(block.header.hash, block.header.inner.hash_slow(), "the header is complete");
    assert!(block.transactions.hashes().any(|hash| hash == receipt.transaction_hash));

    let supply = U256::from(10).pow(U256::from(21));
    let code = [bytecode.as_ref(), supply.to_be_bytes::<32>().as_slice()].concat();
    let deploy = alloy::rpc::types::TransactionRequest::default().input(Bytes::from(code).into()).create();
    let receipt = provider.send_transaction(deploy).await.unwrap().get_receipt().await.unwrap();
    let token = Token::new(receipt.contract_address.expect("a contract"), &provider);
    assert_eq!(token.balanceOf(me).call().await.unwrap(), supply);

    let receipt = token.transfer(stranger, U256::from(5)).send().await.unwrap().get_receipt().await.unwrap();
    assert_eq!(token.balanceOf(stranger).call().await.unwrap(), U256::from(5));
    let logs = token.Transfer_filter().topic2(stranger.into_word()).from_block(0).query().await.unwrap();
    assert_eq!(logs.len(), 1);
    assert_eq!((logs[0].0.value, logs[0].1.transaction_hash), (U256::from(5), Some(receipt.transaction_hash)));
    assert_eq!(
        logs[0].1.block_timestamp,
        Some(provider.get_block(receipt.block_hash.unwrap().into()).await.unwrap().unwrap().header.timestamp)
    );

    let error = token.transfer(me, supply + U256::from(1)).call().await.unwrap_err();
    let refused = error.as_decoded_error::<Token::ERC20InsufficientBalance>().expect("the contract's own error");
    assert_eq!((refused.sender, refused.needed), (me, supply + U256::from(1)));
}

/// Output of cast, without the final newline.
async fn cast(harness: &Harness, args: &[&str]) -> String {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../node_modules/.bin/cast");
    let mut command = tokio::process::Command::new(program);
    command.args(args).env("ETH_RPC_URL", &harness.http).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output())
        .await
        .unwrap_or_else(|_| panic!("cast {args:?} hangs"))
        .expect("cast runs (npm packages are installed by `make setup`)");
    assert!(output.status.success(), "cast {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn cast_cli() {
    let harness = Harness::new().await;
    harness.mine_every(Duration::from_millis(200));
    let cast = async |args: &[&str]| cast(&harness, args).await;
    let signer = ["--mnemonic", MNEMONIC, "--mnemonic-index", "3"];
    let stranger = alloy::primitives::Address::random().to_string();

    assert_eq!(cast(&["chain-id"]).await, CHAIN_ID.to_string());
    assert_eq!(cast(&["estimate", &stranger, "--value", "1", "--from", &address(3).to_string()]).await, "21000");
    let sent = cast(&[&["send", &stranger, "--value", "5gwei", "--json"], &signer[..]].concat()).await;
    let receipt: serde_json::Value = serde_json::from_str(&sent).expect("JSON");
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(cast(&["balance", &stranger]).await, "5000000000");
    let hash = receipt["transactionHash"].as_str().expect("a hash");
    assert_eq!(cast(&["receipt", hash, "blockHash"]).await, receipt["blockHash"].as_str().expect("a hash"));
    assert_eq!(cast(&["tx", hash, "value"]).await, "5000000000");
    assert_eq!(cast(&["block", "finalized", "--field", "number"]).await, "0");
    assert_eq!(cast(&["nonce", &address(3).to_string()]).await, "1");

    let code = crate::contracts::init(&crate::contracts::LOGGER).to_string();
    let sent = cast(&[&["send"], &signer[..], &["--json", "--create", &code]].concat()).await;
    let receipt: serde_json::Value = serde_json::from_str(&sent).expect("JSON");
    let logger = receipt["contractAddress"].as_str().expect("an address");
    let topic = alloy_primitives::B256::repeat_byte(9).to_string();
    cast(&[&["send", logger, &topic], &signer[..]].concat()).await;
    let logs = cast(&["logs", "--from-block", "0", "--address", logger, &topic, "--json"]).await;
    let logs: serde_json::Value = serde_json::from_str(&logs).expect("JSON");
    assert_eq!(logs.as_array().expect("logs").len(), 2);
    assert!(cast(&["rpc", "rota_status"]).await.contains("\"operator\":7"));
}
