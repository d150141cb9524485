//! A thin JSON-RPC client: a load generator must spend its time in the server, not in a provider's layers.

use std::{collections::HashMap, time::Duration};

use alloy::primitives::{Address, B256, Bytes, U64};
use eyre::{Context as _, Result, bail, ensure, eyre};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// One HTTP connection pool to one server.
#[derive(Clone, Debug)]
pub struct Rpc {
    client: reqwest::Client,
    url: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    id: Option<u64>,
    result: Option<Value>,
    error: Option<Refusal>,
}

/// A JSON-RPC error.
#[derive(Clone, Debug, Deserialize)]
pub struct Refusal {
    /// What the server says.
    pub message: String,
}

/// The part of a block that is measured.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// Gas of all transactions.
    pub gas_used: U64,
    /// Hashes of the transactions.
    pub transactions: Vec<B256>,
}

impl Rpc {
    /// A client of `url`; no request takes longer than 20 s.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(url: &str) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).tcp_nodelay(true).build()?;
        Ok(Self { client, url: url.to_owned() })
    }

    async fn post<T: DeserializeOwned>(&self, body: &Value) -> Result<T> {
        let answer = self.client.post(&self.url).json(body).send().await?.error_for_status()?.json().await;
        answer.wrap_err_with(|| format!("{} answered something unexpected", self.url))
    }

    /// Calls `method`; a missing result reads as `null`.
    ///
    /// # Errors
    /// When the server refuses or answers another type.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T> {
        let answer: Answer = self.post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).await?;
        if let Some(error) = answer.error {
            bail!("{method}: {}", error.message);
        }
        serde_json::from_value(answer.result.unwrap_or(Value::Null)).wrap_err_with(|| format!("answer of {method}"))
    }

    /// Number of the newest block.
    ///
    /// # Errors
    /// As [`Rpc::call`].
    pub async fn height(&self) -> Result<u64> {
        Ok(self.call::<U64>("eth_blockNumber", json!([])).await?.to())
    }

    /// The block at `height`, `None` while it is not decided.
    ///
    /// # Errors
    /// As [`Rpc::call`].
    pub async fn block(&self, height: u64) -> Result<Option<Block>> {
        self.call("eth_getBlockByNumber", json!([U64::from(height), false])).await
    }

    /// Next nonce of `account`.
    ///
    /// # Errors
    /// As [`Rpc::call`].
    pub async fn nonce(&self, account: Address) -> Result<u64> {
        Ok(self.call::<U64>("eth_getTransactionCount", json!([account, "latest"])).await?.to())
    }

    /// Sends signed transactions in one JSON-RPC batch; one outcome for each, in their order.
    ///
    /// # Errors
    /// When the server refuses the batch as a whole or leaves a request unanswered.
    pub async fn send_batch(&self, transactions: &[Bytes]) -> Result<Vec<Option<Refusal>>> {
        let body: Vec<Value> = (0_u64..)
            .zip(transactions)
            .map(|(id, raw)| json!({"jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [raw]}))
            .collect();
        let answers: Vec<Answer> = self.post(&Value::Array(body)).await?;
        ensure!(answers.len() == transactions.len(), "{} answers to {} requests", answers.len(), transactions.len());
        let mut by_id: HashMap<u64, Answer> =
            answers.into_iter().filter_map(|answer| Some((answer.id?, answer))).collect();
        (0..transactions.len() as u64)
            .map(|id| Ok(by_id.remove(&id).ok_or_else(|| eyre!("request {id} was not answered"))?.error))
            .collect()
    }
}
