//! Four nodes with real execution, storage, pools and gossip; only L1 is left out: one frozen set serves for ever.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_consensus::Header;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;
use libp2p::Multiaddr;
use rota_protocol::{batch, config::ChainConfig, header};
use tempfile::TempDir;
use tokio::{
    runtime::Runtime,
    sync::{oneshot, watch},
};
use tokio_util::sync::CancellationToken;

use super::{
    cluster::{scratch, wait, wait_until_free},
    domain,
    endpoint::Endpoint,
    key, rules, table,
};
use crate::{
    chain::{BlockAttributes, DecidedChain, HeadContext, SealedBlock},
    consensus::{
        self, ConsensusConfig, ConsensusError, ConsensusStatus,
        horizon::OnL1,
        rules::{Check, Derivation, HeightRules, RulesError},
    },
    execution::{
        Executor,
        tests::fixture::{Call, chain_config, executor_config, signer},
    },
    gossip::{self, GossipConfig},
    mempool::Mempool,
    store::Chain,
};

const WEIGHTS: [u64; 4] = [40_000, 30_000, 30_000, 25_000];
const BLOCK_TIME: Duration = Duration::from_millis(250);

/// The rules of the next block without L1.
struct StaticRules {
    chain: Arc<Chain>,
    rules: HeightRules,
    gas_limit: u64,
}

impl StaticRules {
    fn head(&self) -> Arc<Header> {
        self.chain.head_header()
    }
}

#[async_trait]
impl Derivation for StaticRules {
    async fn params(&self, _: u64) -> Result<HeightRules, RulesError> {
        Ok(self.rules.clone())
    }

    async fn attributes(&self, number: u64, proposer: u32, now: u64) -> Result<BlockAttributes, RulesError> {
        Ok(BlockAttributes {
            number,
            parent_hash: self.chain.head_hash(),
            timestamp: now.max(self.head().timestamp),
            beneficiary: header::coinbase(proposer),
            prev_randao: header::prev_randao(self.rules.set.seed(), number),
            l1_origin_hash: B256::repeat_byte(1),
            withdrawals: Vec::new(),
            extra_data: Bytes::new(),
            gas_limit: self.gas_limit,
            max_encoded_len: batch::MAX_RANGE_BYTES - batch::RANGE_HEADER,
        })
    }

    async fn check(&self, block: &SealedBlock, _: bool, _: Duration) -> Result<Check, RulesError> {
        let late = block.header().timestamp < self.head().timestamp;
        Ok(if late { Check::Invalid("timestamp".into()) } else { Check::Valid })
    }

    async fn advance(&self, _: &SealedBlock) -> Result<HeadContext, RulesError> {
        Ok((*self.chain.head_context()).clone())
    }
}

struct Node {
    dir: TempDir,
    /// Of consensus and of gossip.
    endpoints: [Endpoint; 2],
    running: Option<Running>,
}

struct Running {
    runtime: Runtime,
    shutdown: CancellationToken,
    chain: Arc<Chain>,
    pool: Mempool,
    result: oneshot::Receiver<Result<(), ConsensusError>>,
}

impl Node {
    fn new() -> Self {
        Self { dir: scratch(), endpoints: [Endpoint::new(), Endpoint::new()], running: None }
    }

    fn launch(&mut self, index: usize, peers: [Vec<Multiaddr>; 2], config: ChainConfig) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let gas_limit = config.gas_limit;
        let started = Executor::start(executor_config(&self.dir.path().join("data"), config)).unwrap();
        let (chain, pool) = (started.chain.clone(), started.pool.clone());
        let rules = Arc::new(StaticRules { chain: chain.clone(), rules: rules(&WEIGHTS), gas_limit });
        let shutdown = CancellationToken::new();
        let (done, result) = oneshot::channel();
        let (token, path) = (shutdown.clone(), self.dir.path().to_path_buf());
        let [voting, spreading] = self.endpoints;
        let [peers, gossip_peers] = peers;
        let executor = started.executor;
        runtime.spawn({
            let (chain, pool) = (chain.clone(), pool.clone());
            async move {
                let (_members, members) = watch::channel(Vec::new());
                let gossip = GossipConfig {
                    chain_id: config_chain_id(&chain),
                    network_key: spreading.key,
                    listen: spreading.listen(),
                    peers: gossip_peers,
                    members: members.clone(),
                    members_only: true,
                    connected: watch::Sender::new(Vec::new()),
                };
                tokio::spawn(gossip::run(gossip, Arc::new(pool), token.clone()));
                let config = consensus_config(index, &path, voting, peers, members);
                let _ = done.send(consensus::run(config, executor, chain, rules, token).await);
            }
        });
        self.running = Some(Running { runtime, shutdown, chain, pool, result });
    }

    fn kill(&mut self) {
        let running = self.running.take().unwrap();
        running.runtime.shutdown_timeout(Duration::from_secs(5));
        wait_until_free(&self.dir.path().join("consensus"));
    }

    fn chain(&self) -> &Arc<Chain> {
        &self.running.as_ref().unwrap().chain
    }

    fn balance(&self, account: Address) -> U256 {
        self.chain().head_balance(account).unwrap()
    }
}

fn config_chain_id(chain: &Chain) -> u64 {
    chain.config().l2_chain_id
}

fn consensus_config(
    index: usize,
    dir: &Path,
    endpoint: Endpoint,
    peers: Vec<Multiaddr>,
    members: watch::Receiver<Vec<Multiaddr>>,
) -> ConsensusConfig {
    drop(table(&dir.join("consensus"), index as u8 + 1));
    ConsensusConfig {
        dir: dir.join("consensus"),
        moniker: format!("executing-{index}-{}", endpoint.port),
        domain: domain(),
        key: Some(key(index as u8 + 1)),
        network_key: endpoint.key,
        listen: endpoint.listen(),
        peers,
        members,
        members_only: true,
        block_time: BLOCK_TIME,
        status: watch::Sender::new(ConsensusStatus::default()),
        key_lock: None,
        decided_on_l1: Arc::new(|| OnL1 { height: 0, current: true }),
        ear: None,
        interpose: None,
    }
}

fn launch(nodes: &mut [Node], index: usize, config: &ChainConfig) {
    let others = |which: usize| {
        let others = nodes.iter().enumerate().filter(|(other, _)| *other != index);
        others.map(|(_, node)| node.endpoints[which].address()).collect::<Vec<_>>()
    };
    let peers = [others(0), others(1)];
    nodes[index].launch(index, peers, config.clone());
}

/// Transfers enter at one node, are included by whoever leads, and leave the same state on every node: also on one that
/// was killed on the way and replayed its log.
#[test]
fn transfers_given_to_one_node_execute_on_all() {
    const SENDERS: u32 = 4;
    const EACH: u64 = 15;
    let config = chain_config(SENDERS);
    let mut nodes: Vec<Node> = (0..WEIGHTS.len()).map(|_| Node::new()).collect();
    (0..WEIGHTS.len()).for_each(|index| launch(&mut nodes, index, &config));
    let reach = |nodes: &[Node], what: &str, height: u64| {
        wait(what, Duration::from_secs(60), || {
            nodes.iter().all(|node| node.running.as_ref().is_none_or(|node| node.chain.head_number() >= height))
        });
    };
    reach(&nodes, "the first blocks", 3);

    let to = Address::repeat_byte(0x77);
    let send = |nodes: &[Node], at: usize, nonces: std::ops::Range<u64>| {
        for sender in 0..SENDERS {
            for nonce in nonces.clone() {
                let raw = Call { value: 1, ..Call::to(to, nonce) }.sign(&signer(sender)).encoded_2718();
                nodes[at].running.as_ref().unwrap().pool.add_raw(&raw).unwrap();
            }
        }
    };
    send(&nodes, 0, 0..EACH);
    let first = U256::from(u64::from(SENDERS) * EACH);
    wait("the first transfers on every node", Duration::from_secs(60), || {
        nodes.iter().all(|node| node.balance(to) == first)
    });

    // One dies; what is sent meanwhile, to a survivor, reaches it when it is back.
    nodes[2].kill();
    send(&nodes, 3, EACH..2 * EACH);
    let both = first * U256::from(2);
    wait("more transfers without it", Duration::from_secs(60), || {
        [0, 1, 3].iter().all(|n| nodes[*n].balance(to) == both)
    });
    launch(&mut nodes, 2, &config);
    wait("the killed node to have them too", Duration::from_secs(60), || nodes[2].balance(to) == both);

    let end = nodes[0].chain().head_number();
    reach(&nodes, "the same height everywhere", end);
    let mut producers = std::collections::BTreeSet::new();
    for height in 1..=end {
        let block = |node: &Node| node.chain().decided(height).unwrap().unwrap();
        let first = block(&nodes[0]);
        assert!(nodes.iter().all(|node| block(node).block.hash == first.block.hash), "fork at {height}");
        if !first.block.block.body.transactions.is_empty() {
            producers.insert(first.block.header().beneficiary);
        }
        let certified = first.certificate.verify(&rules(&WEIGHTS).set, &domain());
        assert!(certified.is_ok(), "certificate of {height}: {certified:?}");
    }
    println!("{end} blocks, transactions included by {} members", producers.len());
    let start = Instant::now();
    for node in &mut nodes {
        let running = node.running.take().unwrap();
        running.shutdown.cancel();
        running.runtime.block_on(running.result).unwrap().unwrap();
        running.runtime.shutdown_timeout(Duration::from_secs(5));
    }
    assert!(start.elapsed() < Duration::from_secs(20), "stopping took {:?}", start.elapsed());
}
