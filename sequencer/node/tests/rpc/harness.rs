//! A chain of one member, run in this process, with the RPC server on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::{
    network::TxSignerSync,
    signers::local::{MnemonicBuilder, PrivateKeySigner},
    transports::http::reqwest,
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use k256::ecdsa::SigningKey;
use parking_lot::Mutex;
use rota_protocol::{
    batch::{BatchHeader, hash_batch},
    certificate::CommitCertificate,
    config::{AllocAccount, ChainConfig, ContractsConfig, OriginConfig, default_alloc},
    header::{coinbase, prev_randao},
    member::{FrozenSet, Member},
    vote::{Vote, VoteKind, address_of, sign},
};
use rota_sequencer::{
    chain::{BlockAttributes, DecidedBlock, ExecutionEngine, HeadContext, L1Ref, SealedBlock},
    evidence::{Report, StoreError},
    execution::{Executor, ExecutorConfig, Started},
    mempool::Mempool,
    rpc::{self, BatchInfo, BatchStatus, Labels, Limits, NodeStatus, RotaInfo, RpcHandle, Serving},
    store::Chain,
};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const CHAIN_ID: u64 = 420_042;
pub(crate) const SIGMA: u32 = 2;
pub(crate) const OPERATOR: u32 = 7;
pub(crate) const GAS_LIMIT: u64 = 30_000_000;
pub(crate) const MNEMONIC: &str = "test test test test test test test test test test test junk";
const SLOTS: u32 = 16;
const FUNDED_KEYS: u32 = 10;

/// What L1 would say, set by the test.
#[derive(Default)]
pub(crate) struct Outside {
    pub(crate) safe: AtomicU64,
    pub(crate) finalized: AtomicU64,
    pub(crate) sync_target: Mutex<Option<u64>>,
    pub(crate) batch: Mutex<Option<BatchInfo>>,
    set: Mutex<Option<Arc<FrozenSet>>>,
}

impl Labels for Outside {
    fn safe(&self) -> u64 {
        self.safe.load(Ordering::Relaxed)
    }

    fn finalized(&self) -> u64 {
        self.finalized.load(Ordering::Relaxed)
    }
}

impl RotaInfo for Outside {
    fn frozen_set(&self, epoch: u32) -> Option<Arc<FrozenSet>> {
        self.set.lock().clone().filter(|set| set.epoch() == epoch)
    }

    fn serving(&self, _height: u64) -> Option<Serving> {
        Some(Serving { sigma: SIGMA, first_height: 1 })
    }

    fn batch_by_index(&self, index: u64) -> Option<BatchInfo> {
        self.batch.lock().clone().filter(|batch| batch.header.index == index)
    }

    fn batch_by_hash(&self, hash: B256) -> Option<BatchInfo> {
        self.batch.lock().clone().filter(|batch| batch.hash == hash)
    }

    fn evidence(&self, height: Option<u64>, operator: Option<u32>) -> Option<Result<Report, StoreError>> {
        let lists = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (contradictions, suspicions, accusations, messages) = lists;
        let recorded = height.unwrap_or(u64::from(operator.unwrap_or(0)));
        Some(Ok(Report { recorded, contradictions, suspicions, accusations, messages, truncated: false }))
    }

    fn status(&self) -> NodeStatus {
        NodeStatus {
            operator: Some(OPERATOR),
            peers: vec!["peer-a".into(), "peer-b".into()],
            sync_target: *self.sync_target.lock(),
            height: 1,
            ..NodeStatus::default()
        }
    }
}

/// A batch as if it had been posted.
pub(crate) fn posted_batch() -> BatchInfo {
    let header = BatchHeader { index: 1, firstBlock: 1, lastBlock: 3, epoch: SIGMA, ..BatchHeader::default() };
    BatchInfo {
        hash: hash_batch(&header),
        header,
        tally_entries: Bytes::new(),
        status: BatchStatus::Posted,
        sealing_block: Some(4),
        l1_block: Some(99),
        l1_transaction: Some(B256::repeat_byte(0x11)),
        poster: Some(Address::repeat_byte(0x22)),
        final_at: Some(1_700_000_600),
    }
}

/// The chain, its pool and the server.
pub(crate) struct Harness {
    pub(crate) chain: Arc<Chain>,
    pub(crate) pool: Mempool,
    pub(crate) outside: Arc<Outside>,
    pub(crate) http: String,
    pub(crate) ws: String,
    executor: Arc<Executor>,
    config: ChainConfig,
    set: Arc<FrozenSet>,
    key: SigningKey,
    client: reqwest::Client,
    next_id: AtomicU64,
    mining: tokio::sync::Mutex<()>,
    _folder: tempfile::TempDir,
    handle: Mutex<Option<RpcHandle>>,
    stop: CancellationToken,
    _stop_at_end: DropGuard,
}

impl Harness {
    /// A chain whose blocks are made by [`Self::mine`].
    pub(crate) async fn new() -> Arc<Self> {
        Self::with_limits(Limits::default()).await
    }

    /// As [`Self::new`] with other limits.
    pub(crate) async fn with_limits(limits: Limits) -> Arc<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = SigningKey::from_slice(keccak256("the only member").as_slice()).expect("a valid key");
        let member = Member { signer: address_of(&key), id: OPERATOR, weight: 1_000 };
        let set = Arc::new(FrozenSet::new(SIGMA, keccak256("seed"), vec![member]).expect("a valid set"));
        let config = chain_config();
        config.validate().expect("a valid chain");
        let genesis_context = HeadContext {
            origin: L1Ref { number: 1, hash: B256::repeat_byte(1), timestamp: 1_700_000_000 },
            deposits_end: 0,
            sigma: SIGMA,
            first_height: 1,
            sealing: config.genesis_sealing(),
        };
        let executor_config = ExecutorConfig::new(folder.path().to_path_buf(), config.clone(), genesis_context);
        let Started { executor, chain, pool, .. } = Executor::start(executor_config).expect("the executor starts");
        let outside = Arc::new(Outside { set: Mutex::new(Some(Arc::clone(&set))), ..Outside::default() });
        let stop = CancellationToken::new();
        let rpc_config =
            rpc::Config { listen: "127.0.0.1:0".parse().expect("an address"), slots_per_window: SLOTS, limits };
        let (address, handle) = rpc::serve(
            rpc_config,
            Arc::clone(&chain),
            pool.clone(),
            Arc::clone(&outside) as Arc<dyn Labels>,
            Arc::clone(&outside) as Arc<dyn RotaInfo>,
            stop.clone(),
        )
        .await
        .expect("the server starts");
        Arc::new(Self {
            chain,
            pool,
            outside,
            http: format!("http://{address}"),
            ws: format!("ws://{address}"),
            executor,
            config,
            set,
            key,
            client: reqwest::Client::new(),
            next_id: AtomicU64::new(1),
            mining: tokio::sync::Mutex::new(()),
            _folder: folder,
            handle: Mutex::new(Some(handle)),
            stop: stop.clone(),
            _stop_at_end: stop.drop_guard(),
        })
    }

    /// The only set there is.
    pub(crate) fn set(&self) -> Arc<FrozenSet> {
        Arc::clone(&self.set)
    }

    /// Makes a block every `interval` until the test ends.
    pub(crate) fn mine_every(self: &Arc<Self>, interval: Duration) {
        let harness = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            loop {
                ticks.tick().await;
                let Some(harness) = harness.upgrade() else { return };
                harness.mine().await;
            }
        });
    }

    /// Builds, certifies and commits one block from the mempool.
    pub(crate) async fn mine(&self) -> SealedBlock {
        let _one_at_a_time = self.mining.lock().await;
        let head = self.chain.head();
        let number = head.number + 1;
        let attributes = BlockAttributes {
            number,
            parent_hash: head.hash,
            timestamp: 1_700_000_000 + number,
            beneficiary: coinbase(OPERATOR),
            prev_randao: prev_randao(self.set.seed(), number),
            l1_origin_hash: head.context.origin.hash,
            withdrawals: Vec::new(),
            extra_data: Bytes::new(),
            gas_limit: self.config.gas_limit,
            max_encoded_len: 100_000,
        };
        let deadline = Instant::now() + Duration::from_secs(2);
        let block = self.executor.build(attributes, deadline).await.expect("a block is built");
        let vote =
            Vote { kind: VoteKind::Precommit, fork: 0, epoch: SIGMA, height: number, round: 0, block_hash: block.hash };
        let signature = sign(&self.key, vote.digest(&self.config.vote_domain())).expect("a signature");
        let certificate = CommitCertificate::from_votes(&self.set, &vote, [(address_of(&self.key), signature)])
            .expect("the only member is a quorum");
        let context = HeadContext::clone(&head.context);
        self.executor
            .commit(DecidedBlock { block: block.clone(), certificate, context })
            .await
            .expect("the block is committed");
        block
    }

    /// Stops the server and waits until it has closed every connection.
    pub(crate) async fn stop_serving(&self) {
        let handle = self.handle.lock().take().expect("it is stopped once");
        self.stop.cancel();
        handle.stopped().await;
    }

    /// The whole answer to a JSON-RPC request.
    pub(crate) async fn request(&self, method: &str, params: Value) -> Value {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let answer = json_of(self.post(body.to_string()).await).await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The result of a request that must succeed.
    pub(crate) async fn ok(&self, method: &str, params: Value) -> Value {
        let mut answer = self.request(method, params.clone()).await;
        assert!(answer.get("error").is_none(), "{method} {params}: {answer}");
        answer["result"].take()
    }

    /// Code and message of a request that must fail.
    pub(crate) async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.request(method, params.clone()).await;
        let error = answer.get("error").unwrap_or_else(|| panic!("{method} {params} succeeded: {answer}"));
        let message = error["message"].as_str().expect("a message").to_owned();
        (error["code"].as_i64().expect("a code"), message)
    }

    /// Posts a body as it is; for malformed and batched requests.
    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let request = self.client.post(&self.http).header("content-type", "application/json");
        request.body(body).send().await.expect("the server answers")
    }

    /// An HTTP request of another method, to see its headers.
    pub(crate) fn http(&self, method: reqwest::Method) -> reqwest::RequestBuilder {
        self.client.request(method, &self.http)
    }

    /// Sends a transaction of key `index` into the pool, to be mined by the next [`Self::mine`].
    pub(crate) async fn send(&self, index: u32, to: TxKind, input: Bytes, value: u128) -> B256 {
        let from = key(index).address();
        let nonce = self.pool.pending_nonce(from).expect("a nonce");
        let raw = sign_transaction(&key(index), Draft { to, input, value, ..Draft::new(nonce) });
        let hash = self.ok("eth_sendRawTransaction", json!([raw])).await;
        serde_json::from_value(hash).expect("a hash")
    }

    /// Deploys `runtime` from key 0 in a block of its own.
    pub(crate) async fn deploy(&self, runtime: &[u8]) -> Address {
        let hash = self.send(0, TxKind::Create, crate::contracts::init(runtime), 0).await;
        self.mine().await;
        let receipt = self.ok("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        serde_json::from_value(receipt["contractAddress"].clone()).expect("an address")
    }
}

/// A transaction to sign; the default is a transfer of nothing.
pub(crate) struct Draft {
    pub(crate) chain_id: u64,
    pub(crate) nonce: u64,
    pub(crate) gas_limit: u64,
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
    pub(crate) to: TxKind,
    pub(crate) value: u128,
    pub(crate) input: Bytes,
}

impl Draft {
    pub(crate) fn new(nonce: u64) -> Self {
        Self {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 2_000_000,
            max_fee: 10_000_000_000,
            tip: 1_000_000_000,
            to: TxKind::Call(Address::repeat_byte(0xaa)),
            value: 0,
            input: Bytes::new(),
        }
    }
}

/// EIP-2718 bytes of a signed EIP-1559 transaction.
pub(crate) fn sign_transaction(signer: &PrivateKeySigner, draft: Draft) -> Bytes {
    let mut tx = TxEip1559 {
        chain_id: draft.chain_id,
        nonce: draft.nonce,
        gas_limit: draft.gas_limit,
        max_fee_per_gas: draft.max_fee,
        max_priority_fee_per_gas: draft.tip,
        to: draft.to,
        value: U256::from(draft.value),
        access_list: Default::default(),
        input: draft.input,
    };
    let signature = signer.sign_transaction_sync(&mut tx).expect("a signature");
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

/// Key `index` of the test mnemonic.
pub(crate) fn key(index: u32) -> PrivateKeySigner {
    MnemonicBuilder::from_phrase_nth(MNEMONIC, index)
}

/// Address of key `index`.
pub(crate) fn address(index: u32) -> Address {
    key(index).address()
}

/// The JSON body of a response.
pub(crate) async fn json_of(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
}

/// A number out of a hex quantity.
pub(crate) fn quantity(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a quantity"));
    u64::from_str_radix(text.strip_prefix("0x").expect("0x"), 16).expect("hex")
}

fn chain_config() -> ChainConfig {
    let mut alloc = default_alloc(Bytes::from_static(&[0x00]));
    for index in 0..FUNDED_KEYS {
        let balance = U256::from(10u128.pow(22));
        alloc.insert(address(index), AllocAccount { balance, ..AllocAccount::default() });
    }
    ChainConfig {
        l1_chain_id: 31_337,
        l2_chain_id: CHAIN_ID,
        profile: "test".into(),
        deployed_at_block: 0,
        genesis_origin: OriginConfig { number: 1, hash: B256::repeat_byte(1) },
        sigma0: SIGMA,
        gas_limit: GAS_LIMIT,
        base_fee: 1_000_000_000,
        epoch_genesis: 1_600_000_000,
        epoch_seconds: 20,
        slots_per_window: SLOTS,
        block_time_ms: 250,
        batch_blocks: 32,
        batch_seconds: 8,
        data_bytes_per_second: 240_000,
        l1_confirmations: 2,
        max_origin_lag: 60,
        contracts: ContractsConfig { batch_chain: Address::repeat_byte(0xbc), ..ContractsConfig::default() },
        alloc,
    }
}
