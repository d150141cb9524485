//! An L1 for unit tests that answers what it was told to, and nothing else.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use alloy::{
    primitives::{Address, Bytes, LogData},
    providers::{Provider as _, ProviderBuilder},
    rpc::types::{Block, Header, Log},
    sol_types::SolCall,
};
use axum::{Json, Router, extract::State, routing::post};
use rota_bindings::Deployment;
use serde_json::{Value, json};

use crate::connection::Network;

/// Number of the newest block.
pub(crate) const NEWEST: u64 = 5_000;
/// Timestamp of it.
pub(crate) const NOW: u64 = 1_000;

type Answer = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// What it answers.
#[derive(Default)]
pub(crate) struct FakeL1 {
    /// By method, other than calls.
    pub(crate) methods: Mutex<HashMap<&'static str, Value>>,
    /// By selector, whatever contract is called.
    pub(crate) calls: Mutex<HashMap<[u8; 4], Answer>>,
    /// Events, by block, whatever is searched for.
    pub(crate) events: Mutex<Vec<(u64, LogData)>>,
}

impl fmt::Debug for FakeL1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeL1").finish_non_exhaustive()
    }
}

impl FakeL1 {
    /// One that knows its newest block and no events, and the network it belongs to.
    pub(crate) async fn start() -> (Arc<Self>, Network) {
        let fake = Arc::new(Self::default());
        let header = alloy::consensus::Header { timestamp: NOW, ..Default::default() };
        let block: Block = Block { header: Header { inner: header, ..Default::default() }, ..Default::default() };
        for (method, answer) in [
            ("eth_blockNumber", json!(format!("{NEWEST:#x}"))),
            ("eth_getBlockByNumber", json!(block)),
            ("eth_getLogs", json!([])),
        ] {
            fake.methods.lock().unwrap().insert(method, answer);
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/", post(respond)).with_state(Arc::clone(&fake));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../bindings/tests/deployments/31337.json");
        let network = Network {
            l1: ProviderBuilder::new().connect(&url).await.unwrap().erased(),
            l1_chain_id: 31337,
            l1_url: url.into(),
            deployment: Deployment::from_file(file).unwrap(),
            manifest: None,
            l2_url: None,
            json: false,
            quiet: true,
        };
        (fake, network)
    }

    /// From now on, calls of `C` are answered so.
    pub(crate) fn tell<C: SolCall>(&self, answer: &C::Return) {
        let answer = C::abi_encode_returns(answer);
        self.calls.lock().unwrap().insert(C::SELECTOR, Box::new(move |_| answer.clone()));
    }

    /// The same, by what is asked.
    pub(crate) fn tell_by<C: SolCall>(&self, answer: impl Fn(C) -> C::Return + Send + 'static) {
        let answer = move |input: &[u8]| C::abi_encode_returns(&answer(C::abi_decode(input).unwrap()));
        self.calls.lock().unwrap().insert(C::SELECTOR, Box::new(answer));
    }

    fn answer(&self, method: &str, params: &Value) -> Option<Value> {
        if method == "eth_call" {
            let input: Bytes = serde_json::from_value(params[0]["input"].clone()).unwrap();
            let calls = self.calls.lock().unwrap();
            return Some(json!(Bytes::from(calls.get(&input[..4])?(&input))));
        }
        let answer = self.methods.lock().unwrap().get(method).cloned()?;
        if method != "eth_getLogs" {
            return Some(answer);
        }
        let block = |name: &str| u64::from_str_radix(&params[0][name].as_str().unwrap()[2..], 16).unwrap();
        let within = |(at, _): &&(u64, LogData)| (block("fromBlock")..=block("toBlock")).contains(at);
        let log = |(at, data): &(u64, LogData)| {
            let inner = alloy::primitives::Log { address: Address::ZERO, data: data.clone() };
            json!(Log { inner, block_number: Some(*at), ..Default::default() })
        };
        Some(self.events.lock().unwrap().iter().filter(within).map(log).collect())
    }
}

async fn respond(State(fake): State<Arc<FakeL1>>, Json(request): Json<Value>) -> Json<Value> {
    let answer = fake.answer(request["method"].as_str().unwrap(), &request["params"]);
    let mut response = json!({ "jsonrpc": "2.0", "id": request["id"] });
    match answer {
        Some(result) => response["result"] = result,
        None => response["error"] = json!({ "code": 3, "message": "execution reverted" }),
    }
    Json(response)
}
