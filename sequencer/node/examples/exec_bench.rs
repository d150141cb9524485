//! Microseconds per transaction of one node's execution path: pool, build, validate, commit.
//!
//! `cargo run --release -p rota-sequencer --example exec_bench -- [transfer|token] [accounts] [blocks]`
//!
//! Every transaction goes to a random one of `accounts` existing accounts (token holders for `token`). A block is
//! built by one node from its pool, and validated by another that has never seen its transactions, so that validation
//! includes recovering every signature.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use alloy::{
    consensus::{EthereumTxEnvelope, SignableTransaction, TxEip1559},
    signers::{SignerSync, local::PrivateKeySigner},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rota_protocol::{
    batch::{MAX_RANGE_BYTES, RANGE_HEADER},
    certificate::CommitCertificate,
    config::{AllocAccount, ChainConfig, ContractsConfig, OriginConfig, default_alloc},
    header::coinbase,
};
use rota_sequencer::{
    chain::{BlockAttributes, DecidedBlock, ExecutionEngine, HeadContext, L1Ref, SealedBlock, Transaction, Validity},
    execution::{Executor, ExecutorConfig, Started},
};

const CHAIN_ID: u64 = 5_890;
const SENDERS: usize = 64;
const TOKEN: Address = Address::repeat_byte(0x70);

/// `balances[caller] -= amount; balances[to] += amount; emit Transfer` for calldata `to ‖ amount`: what an ERC-20
/// transfer costs to execute, without the function selector.
const TOKEN_CODE: &[u8] = &hex!(
    "335f5260405f20805460203590039055"
    "5f355f5260405f2080546020350190556020355f52"
    "5f35337fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60205fa300"
);

struct Load {
    token: bool,
    accounts: Vec<Address>,
    senders: Vec<PrivateKeySigner>,
    rng: StdRng,
}

impl Load {
    fn new(token: bool, accounts: usize) -> Result<Self, Box<dyn Error>> {
        let mut rng = StdRng::seed_from_u64(1);
        let accounts = (0..accounts).map(|_| Address::from(rng.random::<[u8; 20]>())).collect();
        let senders = (0..SENDERS)
            .map(|index| PrivateKeySigner::from_bytes(&keccak256((index as u64).to_be_bytes())))
            .collect::<Result<_, _>>()?;
        Ok(Self { token, accounts, senders, rng })
    }

    fn chain(&self) -> ChainConfig {
        let mut alloc = default_alloc(Bytes::from_static(&[0]));
        let rich = AllocAccount { balance: U256::from(10).pow(U256::from(24)), ..AllocAccount::default() };
        for address in self.accounts.iter().copied().chain(self.senders.iter().map(PrivateKeySigner::address)) {
            alloc.insert(address, rich.clone());
        }
        if self.token {
            let storage = self
                .accounts
                .iter()
                .copied()
                .chain(self.senders.iter().map(PrivateKeySigner::address))
                .map(|holder| {
                    let mut key = [0u8; 64];
                    key[12..32].copy_from_slice(holder.as_slice());
                    (keccak256(key), B256::from(U256::from(1_000_000_000u64)))
                })
                .collect();
            let account =
                AllocAccount { code: Bytes::from_static(TOKEN_CODE), nonce: 1, storage, ..Default::default() };
            alloc.insert(TOKEN, account);
        }
        ChainConfig {
            l1_chain_id: 31_337,
            l2_chain_id: CHAIN_ID,
            profile: "bench".into(),
            deployed_at_block: 0,
            genesis_origin: OriginConfig::default(),
            sigma0: 0,
            gas_limit: 120_000_000,
            base_fee: 1_000_000_000,
            epoch_genesis: 0,
            epoch_seconds: 60,
            slots_per_window: 64,
            block_time_ms: 500,
            batch_blocks: 40,
            batch_seconds: 20,
            data_bytes_per_second: 240_000,
            l1_confirmations: 1,
            max_origin_lag: 120,
            contracts: ContractsConfig::default(),
            alloc,
        }
    }

    fn transaction(&mut self, number: usize) -> Result<Transaction, Box<dyn Error>> {
        let sender = &self.senders[number % SENDERS];
        let to = self.accounts[self.rng.random_range(0..self.accounts.len())];
        let (target, gas_limit, value, input) = if self.token {
            let mut data = [0u8; 64];
            data[12..32].copy_from_slice(to.as_slice());
            data[63] = 1;
            (TOKEN, 70_000, U256::ZERO, Bytes::copy_from_slice(&data))
        } else {
            (to, 21_000, U256::from(1), Bytes::new())
        };
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: (number / SENDERS) as u64,
            gas_limit,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: TxKind::Call(target),
            value,
            input,
            access_list: Default::default(),
        };
        let signature = sender.sign_hash_sync(&transaction.signature_hash())?;
        Ok(EthereumTxEnvelope::Eip1559(transaction.into_signed(signature)))
    }
}

fn context(chain: &ChainConfig) -> HeadContext {
    HeadContext {
        origin: L1Ref::default(),
        deposits_end: 0,
        sigma: 0,
        first_height: 1,
        sealing: chain.genesis_sealing(),
    }
}

fn decided(block: SealedBlock, context: HeadContext) -> DecidedBlock {
    let certificate = CommitCertificate {
        fork: 0,
        epoch: 0,
        height: block.number(),
        round: 0,
        block_hash: block.hash,
        signers: U256::ZERO,
        signatures: Vec::new(),
    };
    DecidedBlock { block, certificate, context }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let token = arguments.next().as_deref() == Some("token");
    let accounts = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let blocks: usize = arguments.next().map_or(Ok(50), |text| text.parse())?;

    let mut load = Load::new(token, accounts)?;
    let chain = load.chain();
    let context = context(&chain);
    let folder = tempfile::tempdir()?;
    let start =
        |name: &str| Executor::start(ExecutorConfig::new(folder.path().join(name), chain.clone(), context.clone()));
    let begun = Instant::now();
    let leader: Started = start("leader")?;
    let follower: Started = start("follower")?;
    println!("two nodes with {accounts} accounts started in {:.1?}", begun.elapsed());

    // As many as fit into a batch-sized block.
    let per_block = (MAX_RANGE_BYTES - RANGE_HEADER - 100) / if token { 190 } else { 125 };
    let (mut pool, mut build, mut validate, mut commit) = <(Duration, Duration, Duration, Duration)>::default();
    let (mut count, mut next) = (0usize, 0usize);
    let mut slowest = Duration::ZERO;
    for _ in 0..blocks {
        let transactions =
            (next..next + per_block).map(|number| load.transaction(number)).collect::<Result<Vec<_>, _>>()?;
        next += per_block;
        let from = Instant::now();
        for result in leader.pool.add_all(transactions) {
            result?;
        }
        pool += from.elapsed();

        let head = leader.chain.head();
        let attributes = BlockAttributes {
            number: head.number + 1,
            parent_hash: head.hash,
            timestamp: 1_700_000_000 + head.number,
            beneficiary: coinbase(1),
            prev_randao: keccak256(head.hash),
            l1_origin_hash: B256::repeat_byte(1),
            withdrawals: Vec::new(),
            extra_data: Bytes::new(),
            gas_limit: chain.gas_limit,
            max_encoded_len: MAX_RANGE_BYTES - RANGE_HEADER,
        };
        let from = Instant::now();
        let block = leader.executor.build(attributes, Instant::now() + Duration::from_secs(60)).await?;
        build += from.elapsed();
        count += block.block.body.transactions.len();

        let from = Instant::now();
        if let Validity::Invalid(reason) = follower.executor.validate(block.clone()).await? {
            return Err(reason.into());
        }
        validate += from.elapsed();

        let from = Instant::now();
        follower.executor.commit(decided(block.clone(), context.clone())).await?;
        commit += from.elapsed();
        slowest = slowest.max(from.elapsed());
        leader.executor.commit(decided(block, context.clone())).await?;
    }
    let per = |total: Duration| total.as_secs_f64() * 1e6 / count as f64;
    println!("{count} {} in {blocks} blocks", if token { "token transfers" } else { "transfers" });
    println!("| step | µs per transaction |\n|---|--:|");
    println!("| pool: recover, check, insert | {:.1} |", per(pool));
    println!("| build: execute, hash | {:.1} |", per(build));
    println!("| validate: recover, execute, hash | {:.1} |", per(validate));
    println!("| commit: log, fsync, publish | {:.1} |", per(commit));
    println!("slowest commit {slowest:.1?}");
    let receipts = follower.chain.receipts(follower.chain.head().number)?.unwrap_or_default();
    let failed = receipts.receipts.iter().filter(|receipt| !receipt.status()).count();
    if failed > 0 {
        return Err(format!("{failed} transactions of the last block failed").into());
    }
    leader.executor.close().await?;
    follower.executor.close().await?;
    Ok(())
}
