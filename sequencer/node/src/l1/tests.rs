//! The L1 view against a real anvil.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use alloy::{
    network::TransactionBuilder,
    providers::{DynProvider, Provider, ProviderBuilder, ext::AnvilApi},
    rpc::types::{TransactionRequest, anvil::ReorgOptions},
};
use alloy_node_bindings::{Anvil, AnvilInstance};
use alloy_primitives::{Bytes, Log, LogData};
use alloy_sol_types::SolEvent;
use async_trait::async_trait;
use rota_protocol::{
    config::{ContractsConfig, OriginConfig},
    member::Member,
};
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

/// Runtime code that emits a log with `topics` topics, all taken from calldata, and the rest of calldata as data.
fn emitter(topics: u8) -> Bytes {
    let skip = 32 * topics;
    let mut runtime = Vec::new();
    for topic in (0..topics).rev() {
        runtime.extend([0x60, 32 * topic, 0x35]); // CALLDATALOAD
    }
    runtime.extend([0x60, skip, 0x36, 0x03]); // CALLDATASIZE − skip
    runtime.extend([0x80, 0x60, skip, 0x60, 0, 0x37]); // CALLDATACOPY
    runtime.extend([0x60, 0, 0xa0 + topics, 0x00]); // LOGn
    let len = u8::try_from(runtime.len()).unwrap();
    let mut code = vec![0x60, len, 0x60, 12, 0x60, 0, 0x39, 0x60, len, 0x60, 0, 0xf3];
    code.extend(runtime);
    code.into()
}

/// An L1 whose contracts emit whatever they are told to.
struct Rig {
    anvil: AnvilInstance,
    provider: DynProvider,
    /// By number of topics, from 2.
    emitters: Vec<Address>,
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
        let mut emitters = Vec::new();
        for topics in 2..=4 {
            let request = TransactionRequest::default().with_from(from).with_deploy_code(emitter(topics));
            let receipt = provider
                .send_transaction(request)
                .await
                .unwrap()
                .with_timeout(Some(DEADLINE))
                .get_receipt()
                .await
                .unwrap();
            emitters.push(receipt.contract_address.unwrap());
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
            contracts: ContractsConfig::default(),
            alloc: BTreeMap::new(),
        };
        Self { anvil, provider, emitters, dir: tempfile::tempdir().unwrap(), chain }
    }

    async fn emit(&self, event: impl SolEvent) {
        let data = event.encode_log_data();
        let mut input = data.topics().concat();
        input.extend_from_slice(&data.data);
        let request = TransactionRequest::default()
            .with_from(self.anvil.addresses()[0])
            .with_to(self.emitters[data.topics().len() - 2])
            .with_input(input);
        let receipt = self
            .provider
            .send_transaction(request)
            .await
            .unwrap()
            .with_timeout(Some(DEADLINE))
            .get_receipt()
            .await
            .unwrap();
        assert!(receipt.status());
    }

    async fn deposit(&self, index: u64, to: u8) {
        let to = Address::repeat_byte(to);
        self.emit(abi::Deposited { index, from: Address::ZERO, to, amountGwei: 5 + index }).await;
    }

    async fn mine(&self, blocks: u64) {
        self.provider.anvil_mine(Some(blocks), Some(1)).await.unwrap();
    }

    async fn height(&self) -> u64 {
        self.provider.get_block_number().await.unwrap()
    }

    fn source(&self, endpoints: &[String]) -> Arc<HttpSource> {
        Arc::new(HttpSource::new(endpoints, self.emitters.clone()).unwrap())
    }

    fn open(&self, source: Arc<dyn L1Source>) -> (L1View, Follower) {
        let view = L1View::open(self.dir.path(), &self.chain, source).unwrap();
        let config = FollowerConfig::new(&self.chain, Duration::from_millis(50), 7);
        (view.clone(), Follower::new(view, config))
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
    assert_eq!(view.origin(B256::ZERO, Duration::from_millis(50)).await.unwrap(), None);
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
    assert_eq!(view.origin(head, Duration::ZERO).await.unwrap(), None);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(follower.run(cancel.clone()));
    let (found, ()) = tokio::join!(view.origin(head, DEADLINE), rig.mine(1));
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
    assert_eq!(view.origin(orphan.hash, Duration::ZERO).await.unwrap(), Some(orphan));
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
    let unknown = view.origin(B256::repeat_byte(1), Duration::from_millis(100)).await.unwrap();
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

/// An endpoint that keeps a log to itself while `withholds`.
struct Withholding {
    inner: Arc<HttpSource>,
    withholds: AtomicBool,
}

#[async_trait]
impl L1Source for Withholding {
    async fn chain_id(&self) -> Result<u64, L1Error> {
        self.inner.chain_id().await
    }
    async fn header(&self, at: BlockNumberOrTag) -> Result<Option<L1Header>, L1Error> {
        self.inner.header(at).await
    }
    async fn header_by_hash(&self, hash: B256) -> Result<Option<L1Header>, L1Error> {
        self.inner.header_by_hash(hash).await
    }
    async fn logs(&self, from: u64, to: u64) -> Result<Vec<L1Log>, L1Error> {
        let mut logs = self.inner.logs(from, to).await?;
        if self.withholds.load(Ordering::Relaxed) {
            logs.retain(|log| log.log.topics()[1] != B256::ZERO);
        }
        Ok(logs)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withheld_deposit_is_noticed() {
    let rig = Rig::start(1).await;
    rig.deposit(0, 0xaa).await;
    rig.deposit(1, 0xbb).await;
    rig.mine(1).await;
    let inner = rig.source(&[rig.anvil.endpoint()]);
    let source = Arc::new(Withholding { inner, withholds: AtomicBool::new(true) });
    let (view, mut follower) = rig.open(Arc::clone(&source) as Arc<dyn L1Source>);
    let error = loop {
        match follower.step().await {
            Ok(more) => assert!(more, "the gap was not noticed"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, L1Error::Gap { expected: 0, actual: 1 }), "{error}");
    assert!(view.deposits(0, u64::MAX, 64).is_empty());

    source.withholds.store(false, Ordering::Relaxed);
    settle(&mut follower).await;
    assert_eq!(view.deposits(0, u64::MAX, 64).len(), 2);
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
