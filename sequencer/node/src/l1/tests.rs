//! The L1 view against a real anvil.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    network::TransactionBuilder,
    providers::{DynProvider, Provider, ProviderBuilder, ext::AnvilApi},
    rpc::types::{TransactionRequest, anvil::ReorgOptions},
    transports::http::reqwest::{Client, Url},
};
use alloy_node_bindings::{Anvil, AnvilInstance};
use alloy_primitives::{Bytes, Log, LogData, U256};
use alloy_sol_types::{SolCall, SolEvent};
use rota_bindings::{BatchChain, Portal, SequencerRegistry, SequencerSet};
use rota_protocol::{
    config::{ContractsConfig, OriginConfig},
    member::Member,
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;

/// Longest wait for anything in a test.
const DEADLINE: Duration = Duration::from_secs(30);

/// anvil's platform binary from node_modules: the npm shim would leave an orphan behind when killed.
pub(crate) fn anvil() -> AnvilInstance {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../node_modules/@foundry-rs/anvil-{system}-{architecture}/bin/anvil"));
    assert!(path.exists(), "{} is missing: run `npm ci`", path.display());
    Anvil::at(path).arg("--slots-in-an-epoch").arg("1").spawn()
}

/// A contract that emits a log with `topics` topics, all taken from calldata, and the rest of calldata as data. With
/// value it stores pairs of words instead. Calldata as short as that of a view is answered with the word stored at its
/// hash.
fn stand_in(topics: u8) -> Bytes {
    let skip = 32 * topics;
    let mut log = Vec::new();
    for topic in (0..topics).rev() {
        log.extend([0x60, 32 * topic, 0x35]); // CALLDATALOAD
    }
    log.extend([0x60, skip, 0x36, 0x03]); // CALLDATASIZE − skip
    log.extend([0x80, 0x60, skip, 0x60, 0, 0x37]); // CALLDATACOPY
    log.extend([0x60, 0, 0xa0 + topics, 0x00]); // LOGn
    let store = 12 + u8::try_from(log.len()).unwrap();
    let (next, view) = (store + 2, store + 22);
    let mut runtime = vec![0x60, 36, 0x36, 0x11, 0x15, 0x60, view, 0x57]; // CALLDATASIZE ≤ 36: view
    runtime.extend([0x34, 0x60, store, 0x57]); // CALLVALUE: store
    runtime.extend(log);
    runtime.extend([0x5b, 0x5f, 0x5b, 0x80, 0x60, 32, 0x01, 0x35, 0x81, 0x35, 0x55]); // SSTORE(word i, word i + 1)
    runtime.extend([0x60, 64, 0x01, 0x80, 0x36, 0x11, 0x60, next, 0x57, 0x00]);
    assert_eq!(runtime.len() + 1, usize::from(view));
    runtime.extend([0x00, 0x5b, 0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0x20, 0x54]); // SLOAD(keccak256(calldata))
    runtime.extend([0x5f, 0x52, 0x60, 32, 0x5f, 0xf3]);
    let len = u8::try_from(runtime.len()).unwrap();
    let mut code = vec![0x60, len, 0x60, 12, 0x60, 0, 0x39, 0x60, len, 0x60, 0, 0xf3];
    code.extend(runtime);
    code.into()
}

/// An L1 whose contracts emit whatever they are told to, and count it as the real ones do.
struct Rig {
    anvil: AnvilInstance,
    provider: DynProvider,
    /// By number of topics, from 2.
    stand_ins: Vec<Address>,
    dir: tempfile::TempDir,
    chain: ChainConfig,
}

impl Rig {
    async fn start(confirmations: u64) -> Self {
        let anvil = anvil();
        // anvil fills nonces itself: a cached one would be wrong after a reorganisation.
        let provider = ProviderBuilder::new().disable_recommended_fillers();
        let provider = provider.connect_http(anvil.endpoint_url()).erased();
        let from = anvil.addresses()[0];
        let mut stand_ins = Vec::new();
        for topics in 2..=4 {
            let request = TransactionRequest::default().with_from(from).with_deploy_code(stand_in(topics));
            let receipt = provider
                .send_transaction(request)
                .await
                .unwrap()
                .with_timeout(Some(DEADLINE))
                .get_receipt()
                .await
                .unwrap();
            stand_ins.push(receipt.contract_address.unwrap());
        }
        let origin = provider.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap().header;
        let chain = ChainConfig {
            l1_chain_id: anvil.chain_id(),
            l2_chain_id: 1,
            profile: "test".into(),
            deployed_at_block: 1,
            genesis_origin: OriginConfig { number: origin.number, hash: origin.hash },
            sigma0: 2,
            gas_limit: 30_000_000,
            base_fee: 7,
            epoch_genesis: 0,
            epoch_seconds: 20,
            slots_per_window: 16,
            block_time_ms: 250,
            batch_blocks: 32,
            batch_seconds: 8,
            data_bytes_per_second: 240_000,
            l1_confirmations: confirmations,
            max_origin_lag: 60,
            contracts: ContractsConfig {
                sequencer_registry: stand_ins[0],
                sequencer_set: stand_ins[1],
                portal: stand_ins[2],
                batch_chain: stand_ins[2],
                ..ContractsConfig::default()
            },
            alloc: BTreeMap::new(),
        };
        Self { anvil, provider, stand_ins, dir: tempfile::tempdir().unwrap(), chain }
    }

    /// Emits `event` in a block of its own, after which the views count it.
    async fn emit(&self, event: impl SolEvent) {
        let data = event.encode_log_data();
        let mut input = data.topics().concat();
        input.extend_from_slice(&data.data);
        let mut calls = vec![(self.stand_ins[data.topics().len() - 2], input, 0)];
        calls.extend(self.views(data).into_iter().map(|(to, pair)| (to, pair, 1)));
        self.provider.anvil_set_auto_mine(false).await.unwrap();
        let mut sent = Vec::new();
        for (to, input, value) in calls {
            let request = TransactionRequest::default()
                .with_from(self.anvil.addresses()[0])
                .with_to(to)
                .with_value(U256::from(value))
                .with_gas_limit(1_000_000)
                .with_input(input);
            sent.push(*self.provider.send_transaction(request).await.unwrap().tx_hash());
        }
        self.provider.evm_mine(None).await.unwrap();
        for hash in sent {
            assert!(self.provider.get_transaction_receipt(hash).await.unwrap().unwrap().status());
        }
        self.provider.anvil_set_auto_mine(true).await.unwrap();
    }

    /// What the views answer after an event: hash of the call and word, by contract.
    fn views(&self, data: LogData) -> Vec<(Address, Vec<u8>)> {
        let log = Log { address: Address::ZERO, data };
        let event = L1Event::decode(&L1Log { block: L1Ref::default(), index: 0, transaction: B256::ZERO, log });
        let answer = |call: Vec<u8>, word: B256| [keccak256(call), word].concat();
        let count = |call, count: u64| answer(call, B256::from(U256::from(count)));
        let ContractsConfig { sequencer_registry, sequencer_set, portal, batch_chain, .. } = self.chain.contracts;
        match event.unwrap() {
            L1Event::Frozen(set) => {
                let epoch = set.epoch();
                let answers = [
                    count(SequencerSet::lastFrozenCall {}.abi_encode(), epoch.into()),
                    answer(SequencerSet::setHashCall { epoch }.abi_encode(), set.hash()),
                    answer(SequencerSet::seedCall { epoch }.abi_encode(), set.seed()),
                    count(SequencerSet::frozenEpochAtCall { epoch }.abi_encode(), epoch.into()),
                ];
                answers.into_iter().map(|answer| (sequencer_set, answer)).collect()
            }
            L1Event::Deposited(deposit) => {
                vec![(portal, count(Portal::depositCountCall {}.abi_encode(), deposit.index + 1))]
            }
            L1Event::Posted(PostedBatch { index, hash, .. }) => vec![
                (batch_chain, count(BatchChain::headIndexCall {}.abi_encode(), index)),
                (batch_chain, answer(BatchChain::batchAtCall { index }.abi_encode(), hash)),
            ],
            L1Event::Finalized { index, .. } => {
                vec![(batch_chain, count(BatchChain::finalIndexCall {}.abi_encode(), index))]
            }
            L1Event::Registered { id, .. } => {
                vec![(sequencer_registry, count(SequencerRegistry::operatorCountCall {}.abi_encode(), id.into()))]
            }
            L1Event::Rotated { .. } | L1Event::Metadata { .. } => vec![],
        }
    }

    async fn deposit(&self, index: u64, to: u8) {
        let to = Address::repeat_byte(to);
        self.emit(abi::Deposited { index, from: Address::ZERO, to, amountGwei: 5 + index }).await;
    }

    async fn mine(&self, blocks: u64) {
        self.provider.anvil_mine(Some(blocks), Some(1)).await.unwrap();
    }

    async fn header(&self, number: u64) -> alloy::rpc::types::Header {
        self.provider.get_block_by_number(number.into()).await.unwrap().unwrap().header
    }

    async fn height(&self) -> u64 {
        self.provider.get_block_number().await.unwrap()
    }

    fn source(&self, endpoints: &[String]) -> Arc<HttpSource> {
        Arc::new(HttpSource::new(endpoints, self.chain.contracts).unwrap())
    }

    fn config(&self) -> FollowerConfig {
        FollowerConfig::new(&self.chain, Duration::from_millis(50), 7)
    }

    fn open(&self, source: Arc<dyn L1Source>) -> (L1View, Follower) {
        let view = L1View::open(self.dir.path(), &self.chain, source).unwrap();
        (view.clone(), Follower::new(view, self.config()))
    }

    fn view(&self) -> (L1View, Follower) {
        self.open(self.source(&[self.anvil.endpoint()]))
    }
}

async fn settle(follower: &mut Follower) {
    while follower.step().await.unwrap() {}
}

async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn members(count: u8) -> Vec<u8> {
    let member = |i| Member { signer: Address::repeat_byte(i), id: u32::from(i), weight: u64::from(i) }.encode();
    (1..=count).flat_map(member).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_every_event_and_restarts_without_l1() {
    let rig = Rig::start(2).await;
    rig.emit(abi::OperatorRegistered {
        id: 1,
        owner: Address::ZERO,
        signer: Address::repeat_byte(1),
        rewardRecipient: Address::ZERO,
        commissionBps: 0,
        metadataURI: "/ip4/10.0.0.1/tcp/1".into(),
    })
    .await;
    rig.emit(abi::EpochFrozen { epoch: 2, seed: B256::repeat_byte(7), members: members(3).into() }).await;
    rig.deposit(0, 0xaa).await;
    rig.deposit(1, 0xbb).await;
    let at_two_deposits = rig.height().await;
    rig.deposit(2, 0xcc).await;
    rig.emit(abi::MetadataChanged { id: 1, metadataURI: "/ip4/10.0.0.2/tcp/2".into() }).await;
    rig.emit(abi::SignerRotated {
        id: 1,
        oldSigner: Address::repeat_byte(1),
        newSigner: Address::repeat_byte(9),
        effectiveEpoch: 5,
    })
    .await;
    let (hash, poster) = (B256::repeat_byte(0xb1), Address::repeat_byte(0xff));
    rig.emit(abi::BatchPosted { hash, index: 1, lastBlock: 40, poster }).await;
    rig.emit(abi::BatchPosted { hash: B256::repeat_byte(0xb2), index: 2, lastBlock: 80, poster }).await;
    rig.emit(abi::BatchFinalized { hash, index: 1 }).await;
    rig.mine(2).await;

    let verify = |view: &L1View, height: u64| {
        assert_eq!(view.progress().confirmed.number, height - 2);
        let set = view.set(2).unwrap();
        assert_eq!((set.seed(), set.members().len()), (B256::repeat_byte(7), 3));
        assert!(view.set(3).is_none() && view.serving_set(1).is_none());
        assert_eq!(view.serving_set(9).unwrap().epoch(), 2);
        assert_eq!([0, 1, 2, u32::MAX].map(|epoch| view.set_after(epoch)), [Some(2), Some(2), None, None]);
        let deposits = view.deposits(1, height, 64);
        assert_eq!(deposits.iter().map(|d| (d.index, d.amount_gwei)).collect::<Vec<_>>(), [(1, 6), (2, 7)]);
        assert_eq!(view.deposits(0, at_two_deposits, 64).len(), 2);
        assert_eq!(view.deposits(0, height, 1).len(), 1);
        assert!(view.deposits(3, height, 64).is_empty() && view.deposits(u64::MAX, height, 64).is_empty());
        assert_eq!(view.operator_of(Address::repeat_byte(9)), Some(1));
        assert_eq!(view.operators()[0].1.metadata, "/ip4/10.0.0.2/tcp/2");
        let (posted, last_final) = (view.batch_head().unwrap(), view.final_head().unwrap());
        assert_eq!((posted.index, posted.last_block, posted.is_final), (2, 80, false));
        assert_eq!(
            (last_final.index, last_final.hash, last_final.poster, last_final.is_final),
            (1, hash, poster, true)
        );
    };
    let height = rig.height().await;
    let (view, mut follower) = rig.view();
    settle(&mut follower).await;
    verify(&view, height);
    let genesis = view.genesis_origin(DEADLINE).await.unwrap().unwrap();
    assert_eq!(genesis.number, rig.chain.genesis_origin.number);
    drop((view, follower));

    // Nobody listens on port 1.
    let (view, mut follower) = rig.open(rig.source(&["http://127.0.0.1:1".into()]));
    assert!(follower.step().await.unwrap_err().is_transient());
    verify(&view, height);
    assert_eq!(view.genesis_origin(Duration::ZERO).await.unwrap(), Some(genesis));
    assert_eq!(view.origin(B256::ZERO, 0, Duration::from_millis(50)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_the_newest_within_bounds() {
    let rig = Rig::start(1).await;
    rig.mine(20).await;
    let (view, mut follower) = rig.view();
    settle(&mut follower).await;
    let tip = view.progress().confirmed;
    let newest = |number, timestamps| view.newest_origin(number, timestamps).unwrap().map(|block| block.number);
    assert_eq!(newest(0, 0..=u64::MAX), Some(tip.number));
    assert_eq!(newest(0, 0..=tip.timestamp - 3), Some(tip.number - 3));
    assert_eq!(newest(tip.number - 2, 0..=tip.timestamp - 3), None);
    assert_eq!(newest(0, tip.timestamp + 1..=u64::MAX), None);

    // A hash that is not deep enough yet becomes an origin while somebody waits for it.
    let head = rig.provider.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap().header.hash;
    assert_eq!(view.origin(head, 0, Duration::ZERO).await.unwrap(), None);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(follower.run(cancel.clone()));
    let (found, ()) = tokio::join!(view.origin(head, 0, DEADLINE), rig.mine(1));
    assert_eq!(found.unwrap().unwrap().hash, head);
    cancel.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_within_the_confirmations_is_invisible() {
    let rig = Rig::start(6).await;
    rig.deposit(0, 0xaa).await;
    rig.mine(10).await;
    let (view, mut follower) = rig.view();
    settle(&mut follower).await;
    let before = view.progress().confirmed;
    rig.deposit(1, 0xbb).await;
    let orphaned = rig.height().await;

    rig.provider.anvil_reorg(ReorgOptions { depth: 5, tx_block_pairs: vec![] }).await.unwrap();
    settle(&mut follower).await;
    assert_eq!(view.progress().confirmed.number, orphaned - 6);
    assert!(view.is_canonical(&before).unwrap());

    rig.mine(12).await;
    settle(&mut follower).await;
    assert!(view.progress().confirmed.number > orphaned);
    assert!(view.is_canonical(&before).unwrap());
    // The deposit went down with its block.
    assert_eq!(view.deposits(0, u64::MAX, 64).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deeper_reorganisation_rewinds_to_the_common_ancestor() {
    let rig = Rig::start(1).await;
    rig.deposit(0, 0xaa).await;
    rig.mine(10).await;
    rig.deposit(1, 0xbb).await;
    rig.mine(1).await;
    let (view, mut follower) = rig.view();
    settle(&mut follower).await;
    let orphan = view.progress().confirmed;
    assert_eq!(view.deposits(0, u64::MAX, 64).len(), 2);

    rig.provider.anvil_reorg(ReorgOptions { depth: 5, tx_block_pairs: vec![] }).await.unwrap();
    rig.mine(2).await;
    settle(&mut follower).await;
    assert_eq!(view.progress().confirmed.number, rig.height().await - 1);
    assert_eq!(view.deposits(0, u64::MAX, 64).len(), 1);
    // L2 blocks may refer to it already: it stays known, but not as part of the chain.
    assert_eq!(view.origin(orphan.hash, 0, Duration::ZERO).await.unwrap(), Some(orphan));
    assert!(!view.is_canonical(&orphan).unwrap());
    rig.deposit(1, 0xcc).await;
    rig.mine(1).await;
    settle(&mut follower).await;
    assert_eq!(view.deposits(1, u64::MAX, 64)[0].to, Address::repeat_byte(0xcc));
}

/// Forwards connections to `target` while `up`.
async fn proxy(target: u16, up: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let up = Arc::clone(&up);
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                let copy = tokio::io::copy_bidirectional(&mut client, &mut server);
                let down = async {
                    while up.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::select! { _ = copy => {}, () = down => {} }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_l1_is_waited_for() {
    let rig = Rig::start(1).await;
    let up = Arc::new(AtomicBool::new(true));
    let endpoint = format!("http://127.0.0.1:{}", proxy(rig.anvil.port(), Arc::clone(&up)).await);
    rig.mine(1).await;
    let (view, follower) = rig.open(rig.source(&[endpoint]));
    let cancel = CancellationToken::new();
    let task = tokio::spawn(follower.run(cancel.clone()));
    let reached = rig.height().await - 1;
    wait_for("the first confirmed block", || view.progress().confirmed.number == reached).await;

    up.store(false, Ordering::Relaxed);
    rig.deposit(0, 0xaa).await;
    rig.mine(30).await;
    wait_for("three failures", || view.progress().failures >= 3).await;
    assert_eq!(view.progress().confirmed.number, reached);
    let unknown = view.origin(B256::repeat_byte(1), 0, Duration::from_millis(100)).await.unwrap();
    assert_eq!(unknown, None);

    up.store(true, Ordering::Relaxed);
    let head = rig.height().await;
    wait_for("the missed blocks", || view.progress().confirmed.number == head - 1).await;
    assert_eq!((view.progress().failures, view.deposits(0, head, 64).len()), (0, 1));
    cancel.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_endpoint_takes_over() {
    let rig = Rig::start(1).await;
    rig.mine(3).await;
    let (view, mut follower) = rig.open(rig.source(&["http://127.0.0.1:1".into(), rig.anvil.endpoint()]));
    assert!(follower.step().await.unwrap_err().is_transient());
    settle(&mut follower).await;
    assert_eq!(view.progress().confirmed.number, rig.height().await - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_l1_is_refused() {
    let mut rig = Rig::start(1).await;
    rig.chain.l1_chain_id += 1;
    let (view, mut follower) = rig.view();
    let error = follower.step().await.unwrap_err();
    assert!(matches!(error, L1Error::WrongChain { expected: 31338, actual: 31337 }), "{error}");
    assert!(!error.is_transient());

    drop((view, follower));
    rig.chain.genesis_origin.hash = B256::repeat_byte(1);
    let other = L1View::open(rig.dir.path(), &rig.chain, rig.source(&[rig.anvil.endpoint()]));
    assert!(matches!(other.err(), Some(L1Error::OtherChain { .. })));
}

/// An endpoint for `target` that says another chain id while `wrong` is set, and fails while `down` is.
async fn fickle(target: Url, wrong: Arc<AtomicBool>, down: Arc<AtomicBool>) -> String {
    let answer = move |request: &Value, answer: &mut Value| {
        if down.load(Ordering::SeqCst) {
            let error = json!({ "code": -32000, "message": "overloaded" });
            *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": error });
        } else if wrong.load(Ordering::SeqCst) && request["method"] == "eth_chainId" {
            answer["result"] = json!("0x1");
        }
    };
    relay(target, |_| (), answer).await
}

/// Two networks whose blocks differ from the first on, as a mainnet and a testnet do.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_another_chain_is_left_whenever_it_takes_over() {
    let (rig, other) = (Rig::start(1).await, Rig::start(1).await);
    rig.mine(3).await;
    // It is as long, so its blocks would pass for those of a reorganisation that reaches back to the start.
    other.mine(40).await;
    let flags: Vec<_> = (0..3).map(|_| Arc::new(AtomicBool::new(false))).collect();
    let [down, wrong, stays] = &flags[..] else { panic!() };
    let right = fickle(rig.anvil.endpoint_url(), Arc::clone(wrong), Arc::clone(down)).await;
    stays.store(true, Ordering::SeqCst);
    let foreign = fickle(other.anvil.endpoint_url(), Arc::clone(stays), Arc::default()).await;
    let source = rig.source(&[right, foreign]);
    let (view, mut follower) = rig.open(source.clone());
    settle(&mut follower).await;
    let confirmed = view.progress().confirmed;
    assert_eq!((confirmed.number, source.turn()), (rig.height().await - 1, 0));

    // The right one fails: the other one is asked for its chain, and for nothing else.
    down.store(true, Ordering::SeqCst);
    rig.mine(2).await;
    for _ in 0..3 {
        assert!(follower.step().await.unwrap_err().is_transient());
        assert_eq!(source.turn() % 2, 1);
        assert!(follower.step().await.unwrap(), "left at once");
        assert_eq!((source.turn() % 2, view.progress().confirmed), (0, confirmed));
    }
    down.store(false, Ordering::SeqCst);
    settle(&mut follower).await;
    assert_eq!(view.progress().confirmed.number, rig.height().await - 1);

    // All of them serve another chain: that is no accident.
    wrong.store(true, Ordering::SeqCst);
    source.leave(source.turn());
    assert!(follower.step().await.unwrap());
    let error = follower.step().await.unwrap_err();
    assert!(matches!(error, L1Error::WrongChain { actual: 1, .. }) && !error.is_transient(), "{error}");
}

/// An endpoint that asks `target` for what `ask` makes of a request and answers what `answer` makes of the answer.
pub(crate) async fn relay(
    target: Url,
    ask: impl Fn(&mut Value) + Clone + Send + Sync + 'static,
    answer: impl Fn(&Value, &mut Value) + Clone + Send + Sync + 'static,
) -> String {
    let client = Client::new();
    let forward = move |body: axum::body::Bytes| {
        let (client, target, ask, answer) = (client.clone(), target.clone(), ask.clone(), answer.clone());
        async move {
            let mut request: Value = serde_json::from_slice(&body).unwrap();
            ask(&mut request);
            let post = client.post(target).header("content-type", "application/json").body(request.to_string());
            let answered = post.send().await.unwrap().bytes().await.unwrap();
            let mut answered: Value = serde_json::from_slice(&answered).unwrap();
            answer(&request, &mut answered);
            axum::Json(answered)
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(forward)).await });
    endpoint
}

/// An endpoint that knows what `target` knows, except for the logs that it `withholds`.
async fn liar(target: Url, withholds: impl Fn(&Value) -> bool + Clone + Send + Sync + 'static) -> String {
    let retain = move |_: &Value, answer: &mut Value| {
        if let Some(logs) = answer.get_mut("result").and_then(Value::as_array_mut) {
            logs.retain(|log| !withholds(log));
        }
    };
    relay(target, |_| (), retain).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_stands_still_is_left() {
    let rig = Rig::start(1).await;
    rig.mine(3).await;
    let stuck = rig.height().await;
    // All that it knows is true.
    let stop = move |request: &mut Value| {
        for param in
            request["params"].as_array_mut().into_iter().flatten().filter(|param| param.as_str() == Some("latest"))
        {
            *param = json!(format!("{stuck:#x}"));
        }
    };
    let stuck_endpoint = relay(rig.anvil.endpoint_url(), stop, |_, _| ()).await;
    let source = rig.source(&[stuck_endpoint, rig.anvil.endpoint()]);
    let (view, mut follower) = rig.open(source.clone());
    rig.mine(2).await;
    // Blocks are minutes apart at times.
    for _ in 0..20 {
        follower.step().await.unwrap();
    }
    assert_eq!((view.progress().confirmed.number, source.turn()), (stuck - 1, 0));

    let impatient = FollowerConfig { standstill: Duration::ZERO, ..rig.config() };
    follower = Follower::new(view.clone(), impatient);
    for _ in 0..2 {
        follower.step().await.unwrap();
    }
    assert_eq!(source.turn(), 1);
    follower.step().await.unwrap();
    assert_eq!(view.progress().confirmed.number, rig.height().await - 1);

    // Without another endpoint there is nothing to leave for, and what there is goes on.
    drop((view, follower));
    let view = L1View::open(rig.dir.path(), &rig.chain, rig.source(&[rig.anvil.endpoint()])).unwrap();
    let mut follower = Follower::new(view.clone(), impatient);
    for _ in 0..3 {
        rig.mine(1).await;
        settle(&mut follower).await;
        settle(&mut follower).await;
        assert_eq!(view.progress().confirmed.number, rig.height().await - 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_contradict_each_other_about_a_block_are_noticed() {
    let rig = Rig::start(1).await;
    rig.deposit(0, 1).await;
    rig.mine(2).await;
    let forge = |request: &Value, answer: &mut Value| {
        if request["method"] == "eth_call" {
            answer["result"] = json!(format!("{:#066x}", 7));
        }
    };
    let (liar, honest) = (relay(rig.anvil.endpoint_url(), |_| (), forge).await, rig.anvil.endpoint());
    let nobody = String::from("http://127.0.0.1:1");
    let block = BlockId::from(rig.header(rig.height().await).await.hash);
    // What they say, and whether the first was left.
    let ask = async |endpoints: [&String; 2], at: BlockId| {
        let source = rig.source(&endpoints.map(Clone::clone));
        let said = source.view_everywhere(rig.chain.contracts.portal, &Portal::depositCountCall {}, at).await;
        (said.ok(), source.turn())
    };
    assert_eq!(ask([&honest, &honest], block).await, (Some(vec![1, 1]), 0));
    assert_eq!(ask([&liar, &honest], block).await, (Some(vec![7, 1]), 1));
    assert_eq!(ask([&nobody, &honest], block).await, (Some(vec![1]), 0));
    // Nobody answers, or has such a block.
    assert_eq!(ask([&nobody, &nobody], block).await, (None, 0));
    assert_eq!(ask([&honest, &honest], BlockId::from(B256::repeat_byte(1))).await, (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_seed_is_noticed() {
    let rig = Rig::start(1).await;
    let seed = B256::repeat_byte(7);
    rig.emit(abi::EpochFrozen { epoch: 2, seed, members: members(3).into() }).await;
    rig.mine(1).await;
    let forge = |_: &Value, answer: &mut Value| {
        for log in answer.get_mut("result").and_then(Value::as_array_mut).into_iter().flatten() {
            let data = log["data"].as_str().unwrap().replacen(&"07".repeat(32), &"08".repeat(32), 1);
            log["data"] = json!(data);
        }
    };
    let forger = relay(rig.anvil.endpoint_url(), |_| (), forge).await;
    let (view, mut follower) = rig.open(rig.source(&[forger, rig.anvil.endpoint()]));
    let error = failure(&mut follower).await.to_string();
    assert!(error.contains(&format!("seed of its set: {seed} in the contract")), "{error}");
    assert_eq!(view.progress().confirmed, L1Ref::default());
    settle(&mut follower).await;
    assert_eq!(view.set(2).unwrap().seed(), seed);
}

/// Steps until the follower fails.
async fn failure(follower: &mut Follower) -> L1Error {
    loop {
        match follower.step().await {
            Ok(more) => assert!(more, "nothing was noticed"),
            Err(error) => return error,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_endpoint_withholds_is_noticed() {
    let mut rig = Rig::start(1).await;
    let registered = |id: u32| abi::OperatorRegistered {
        id,
        owner: Address::ZERO,
        signer: Address::repeat_byte(id as u8),
        rewardRecipient: Address::ZERO,
        commissionBps: 0,
        metadataURI: String::new(),
    };
    let frozen = |epoch| abi::EpochFrozen { epoch, seed: B256::repeat_byte(7), members: members(3).into() };
    let (hashes, poster) = ([B256::repeat_byte(0xb1), B256::repeat_byte(0xb2)], Address::repeat_byte(0xff));
    for round in 0..2 {
        rig.emit(registered(round + 1)).await;
        rig.emit(frozen(2 + round)).await;
        rig.deposit(round.into(), 0xaa).await;
        let (hash, index) = (hashes[round as usize], u64::from(round) + 1);
        rig.emit(abi::BatchPosted { hash, index, lastBlock: 40 * index, poster }).await;
        rig.emit(abi::BatchFinalized { hash, index }).await;
    }
    rig.emit(frozen(4)).await;
    rig.mine(20).await;

    let complete = |view: &L1View| {
        let state = view.shared.state.read();
        assert_eq!((state.deposit_count(), state.operators().len()), (2, 2));
        assert_eq!((view.batch_head().unwrap().index, view.final_head().unwrap().index), (2, 2));
        assert!((2..=4).all(|epoch| state.set(epoch).is_some()));
    };
    let first_topics =
        [abi::Deposited::SIGNATURE_HASH, abi::EpochFrozen::SIGNATURE_HASH, abi::OperatorRegistered::SIGNATURE_HASH]
            .into_iter()
            .chain([abi::BatchPosted::SIGNATURE_HASH, abi::BatchFinalized::SIGNATURE_HASH]);
    for topic in first_topics {
        // All logs of one kind, and only the first, second or third of them.
        for which in 0..4 {
            let seen = Arc::new(AtomicU32::new(0));
            let withholds = move |log: &Value| {
                log["topics"][0] == json!(topic) && [0, 1 + seen.fetch_add(1, Ordering::Relaxed)].contains(&which)
            };
            if which == 3 && topic != abi::EpochFrozen::SIGNATURE_HASH {
                continue;
            }
            rig.dir = tempfile::tempdir().unwrap();
            let source = rig.source(&[liar(rig.anvil.endpoint_url(), withholds).await, rig.anvil.endpoint()]);
            let (view, mut follower) = rig.open(source.clone());
            let error = failure(&mut follower).await;
            assert!(matches!(error, L1Error::Withheld(_)), "{topic} {which}: {error}");
            assert_eq!(view.progress().confirmed, L1Ref::default(), "{topic} {which}");
            // The honest endpoint fills the gap, wherever it was.
            assert_eq!(source.turn(), 1);
            settle(&mut follower).await;
            assert_eq!(view.progress().confirmed.number, rig.height().await - 1);
            complete(&view);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_confirmed_while_every_endpoint_withholds() {
    let rig = Rig::start(1).await;
    rig.deposit(0, 0xaa).await;
    rig.mine(1).await;
    let lies = Arc::new(AtomicBool::new(false));
    let withholds = {
        let lies = Arc::clone(&lies);
        move |_: &Value| lies.load(Ordering::Relaxed)
    };
    let endpoint = liar(rig.anvil.endpoint_url(), withholds).await;
    let (view, mut follower) = rig.open(rig.source(&[endpoint]));
    settle(&mut follower).await;
    let before = view.progress().confirmed;
    lies.store(true, Ordering::Relaxed);
    rig.deposit(1, 0xbb).await;
    rig.mine(20).await;
    for _ in 0..3 {
        let error = failure(&mut follower).await;
        assert!(error.to_string().contains("deposits: 2 in the contract, 1 in the logs"), "{error}");
        assert_eq!(view.progress().confirmed, before);
    }
    // A restart knows as little.
    drop((view, follower));
    let (view, mut follower) = rig.view();
    assert_eq!((view.progress().confirmed, view.deposits(0, u64::MAX, 64).len()), (before, 1));
    settle(&mut follower).await;
    assert_eq!(view.deposits(0, u64::MAX, 64).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_were_skipped_are_looked_up_by_their_descendants() {
    let rig = Rig::start(1).await;
    rig.mine(150).await;
    let (view, mut follower) = rig.view();
    settle(&mut follower).await;
    let number = rig.chain.genesis_origin.number + 3;
    let known = |number| view.shared.records.by_number(number).unwrap().is_some();
    assert!(!known(number), "the follower skips old headers");
    let old = rig.header(number).await;
    // One that is of no use is answered at once, and nothing is read on the way there.
    let count = (0..=number + 150).filter(|number| known(*number)).count();
    assert_eq!(view.origin(old.hash, number + 1, DEADLINE).await.unwrap().unwrap().number, number);
    // Below the contracts there is no origin whatever the caller wants.
    let before = rig.header(rig.chain.deployed_at_block - 1).await;
    assert_eq!(view.origin(before.hash, 0, Duration::from_millis(200)).await.unwrap(), None);
    assert_eq!((0..=number + 150).filter(|number| known(*number)).count(), count);

    assert_eq!(view.origin(old.hash, number, DEADLINE).await.unwrap().unwrap().number, number);
    assert!(view.is_canonical(&view.shared.records.by_hash(old.hash).unwrap().unwrap()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_of_another_chain_is_not_remembered() {
    let rig = Rig::start(1).await;
    rig.mine(120).await;
    let (view, mut follower) = rig.view();
    settle(&mut follower).await;
    rig.deposit(0, 0xaa).await;
    rig.mine(10).await;
    settle(&mut follower).await;
    assert_eq!(view.deposits(0, u64::MAX, 64).len(), 1);

    // Deeper than the confirmations, and the follower does not know yet.
    rig.provider.anvil_reorg(ReorgOptions { depth: 30, tx_block_pairs: vec![] }).await.unwrap();
    for depth in [3, 8, 20] {
        let foreign = rig.header(rig.height().await - depth).await;
        assert_eq!(view.origin(foreign.hash, 0, Duration::from_millis(200)).await.unwrap(), None);
    }
    rig.mine(2).await;
    settle(&mut follower).await;
    assert!(view.deposits(0, u64::MAX, 64).is_empty(), "the deposit went down with its block");
    let present = rig.header(rig.height().await - 8).await;
    assert!(view.origin(present.hash, 0, DEADLINE).await.unwrap().is_some());
}

#[test]
fn malformed_events_are_refused() {
    let decode = |event: LogData| {
        let log = Log { address: Address::ZERO, data: event };
        L1Event::decode(&L1Log { block: L1Ref::default(), index: 0, transaction: B256::ZERO, log })
    };
    let frozen = |members: Vec<u8>| abi::EpochFrozen { epoch: 2, seed: B256::ZERO, members: members.into() };
    assert!(decode(frozen(members(2)).encode_log_data()).is_ok());
    for bad in [vec![], members(2)[..63].to_vec(), members(2).repeat(2)] {
        assert!(matches!(decode(frozen(bad).encode_log_data()), Err(L1Error::Malformed { .. })));
    }
    assert!(matches!(decode(LogData::default()), Err(L1Error::Malformed { .. })));
}
