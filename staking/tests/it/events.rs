//! Events behind providers that answer for a bounded span only.

use std::{
    ops::{ControlFlow, RangeInclusive},
    sync::{Arc, Mutex},
};

use alloy::{
    primitives::{Address, B256},
    providers::{DynProvider, Provider as _, ProviderBuilder},
    rpc::types::{Filter, Log},
    sol_types::SolEvent as _,
};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse as _, routing::post};
use rota::events::Search;
use rota_bindings::BatchChain;
use serde_json::{Value, json};

/// Blocks that hold an anchor each.
const ANCHORS: [u64; 6] = [100, 101, 7_300, 20_000, 39_999, 40_000];
const CONTRACT: Address = Address::repeat_byte(7);

/// How a provider refuses.
#[derive(Clone, Copy)]
enum Refusal {
    Answer,
    /// With this code and message.
    Error(i64, &'static str),
    Status(StatusCode),
}

struct Provider {
    longest_span: u64,
    /// Blocks that are only answered in spans of this many.
    dense: (RangeInclusive<u64>, u64),
    refusal: Refusal,
    /// What is answered before anything else: the provider is asked too often.
    too_often: Mutex<Vec<Refusal>>,
    /// Spans asked for, and whether they were answered.
    asked: Mutex<Vec<(u64, u64, bool)>>,
}

async fn answer(State(provider): State<Arc<Provider>>, Json(request): Json<Value>) -> axum::response::Response {
    assert_eq!(request["method"], "eth_getLogs");
    let filter: Filter = serde_json::from_value(request["params"][0].clone()).unwrap();
    let (from, to) = (filter.get_from_block().unwrap(), filter.get_to_block().unwrap());
    let mut body = json!({ "jsonrpc": "2.0", "id": request["id"] });
    let too_often = provider.too_often.lock().unwrap().pop();
    let (dense, few) = &provider.dense;
    let in_dense = from <= *dense.end() && to >= *dense.start();
    let fits = too_often.is_none() && to - from < if in_dense { *few } else { provider.longest_span };
    provider.asked.lock().unwrap().push((from, to, fits));
    if fits {
        let logs: Vec<_> =
            ANCHORS.iter().filter(|block| (from..=to).contains(block)).map(|block| log(*block)).collect();
        body["result"] = serde_json::to_value(logs).unwrap();
    } else {
        match too_often.unwrap_or(provider.refusal) {
            Refusal::Error(code, message) => body["error"] = json!({ "code": code, "message": message }),
            Refusal::Answer => {
                body["error"] = json!({ "code": -32005, "message": "query returned more than 10000 results" })
            }
            Refusal::Status(status) => return status.into_response(),
        }
    }
    Json(body).into_response()
}

fn log(block: u64) -> Log {
    let event = BatchChain::L1Anchored { number: block, hash: B256::with_last_byte(9) };
    let inner = alloy::primitives::Log { address: CONTRACT, data: event.encode_log_data() };
    Log { inner, block_number: Some(block), ..Log::default() }
}

async fn provider(longest_span: u64, refusal: Refusal) -> (Arc<Provider>, DynProvider) {
    serve(Provider {
        longest_span,
        dense: (u64::MAX..=u64::MAX, 0),
        refusal,
        too_often: Mutex::default(),
        asked: Mutex::default(),
    })
    .await
}

async fn serve(provider: Provider) -> (Arc<Provider>, DynProvider) {
    let state = Arc::new(provider);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/", post(answer)).with_state(state.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (state, ProviderBuilder::new().connect(&url).await.unwrap().erased())
}

const SEARCH: Search<'static> = Search { what: "anchors", blocks: 50..=41_234, visible: false };

#[tokio::test]
async fn every_block_is_asked_for_once_in_spans_that_are_answered() {
    for (longest, refusal) in [
        (u64::MAX, Refusal::Answer),
        (10_000, Refusal::Answer),
        (9_999, Refusal::Answer),
        (500, Refusal::Answer),
        (37, Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE)),
    ] {
        let (state, l1) = provider(longest, refusal).await;
        let found = SEARCH.all(&BatchChain::new(CONTRACT, l1).L1Anchored_filter()).await.unwrap();
        let blocks: Vec<_> = found.iter().map(|(event, _)| event.number).collect();
        assert_eq!(blocks, ANCHORS, "oldest first");
        let asked = state.asked.lock().unwrap();
        assert!(asked.iter().all(|(from, to, _)| to - from < 10_000), "a bound even where the provider has none");
        let mut next = 41_234;
        for (from, to, _) in asked.iter().filter(|(.., answered)| *answered) {
            assert_eq!(*to, next, "no gap and no overlap");
            next = from - 1;
        }
        assert_eq!(next, 49);
        assert!(asked.iter().filter(|(.., answered)| !answered).count() < 24, "the span that works is kept");
    }
}

#[tokio::test]
async fn the_span_grows_again_after_blocks_full_of_events() {
    let (state, l1) = serve(Provider {
        longest_span: 10_000,
        dense: (39_000..=39_300, 50),
        refusal: Refusal::Answer,
        too_often: Mutex::default(),
        asked: Mutex::default(),
    })
    .await;
    SEARCH.all(&BatchChain::new(CONTRACT, l1).L1Anchored_filter()).await.unwrap();
    let asked = state.asked.lock().unwrap();
    assert!(asked.iter().any(|(from, to, answered)| *answered && *to < 39_000 && to - from == 9_999), "{asked:?}");
    // Never grown, it would be more than 800.
    assert!(asked.len() < 80, "{}", asked.len());
}

#[tokio::test]
async fn a_provider_that_is_asked_too_often_is_asked_the_same_again_later() {
    for refusal in [
        Refusal::Error(-32_005, "daily request count exceeded, request rate limited"),
        Refusal::Error(-32_005, "limit exceeded per second"),
        Refusal::Error(429, "exceeded the compute units of your plan"),
        Refusal::Status(StatusCode::TOO_MANY_REQUESTS),
    ] {
        let (state, l1) = provider(u64::MAX, Refusal::Answer).await;
        state.too_often.lock().unwrap().push(refusal);
        let since = std::time::Instant::now();
        let found = SEARCH.all(&BatchChain::new(CONTRACT, l1).L1Anchored_filter()).await.unwrap();
        assert_eq!(found.len(), ANCHORS.len());
        assert!(since.elapsed() >= std::time::Duration::from_secs(1), "no pause");
        let asked = state.asked.lock().unwrap();
        assert_eq!(asked[..2], [(31_235, 41_234, false), (31_235, 41_234, true)], "the same span");
        assert_eq!(asked.len(), 6);
    }
}

#[tokio::test]
async fn a_search_for_the_newest_ends_there() {
    let (state, l1) = provider(500, Refusal::Answer).await;
    let batches = BatchChain::new(CONTRACT, l1);
    let anchors = batches.L1Anchored_filter();
    let (event, log) = SEARCH.newest(&anchors).await.unwrap().unwrap();
    assert_eq!((event.number, log.block_number), (40_000, Some(40_000)));
    assert!(state.asked.lock().unwrap().iter().all(|(from, ..)| *from > 30_000), "it went on");

    let mut seen = Vec::new();
    let two = |event: BatchChain::L1Anchored, _| {
        seen.push(event.number);
        if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    SEARCH.newest_first(&anchors, two).await.unwrap();
    assert_eq!(seen, [40_000, 39_999]);
    let nothing = Search { blocks: 41_000..=41_234, ..SEARCH };
    assert!(nothing.newest(&anchors).await.unwrap().is_none());
}

#[tokio::test]
async fn a_provider_that_refuses_a_single_block_or_fails_is_an_error() {
    let (state, l1) = provider(0, Refusal::Answer).await;
    let error = SEARCH.all(&BatchChain::new(CONTRACT, l1).L1Anchored_filter()).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("anchors in blocks 41234 to 41234") && text.contains("more than 10000"), "{text}");
    assert_eq!(state.asked.lock().unwrap().last(), Some(&(41_234, 41_234, false)));

    let (state, l1) = provider(0, Refusal::Status(StatusCode::SERVICE_UNAVAILABLE)).await;
    assert!(SEARCH.all(&BatchChain::new(CONTRACT, l1).L1Anchored_filter()).await.is_err());
    assert_eq!(state.asked.lock().unwrap().len(), 1, "a smaller span does not help a server that is down");
}
