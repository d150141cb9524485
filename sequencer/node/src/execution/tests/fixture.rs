//! A chain of one node without consensus: blocks are built, validated and committed directly.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxLegacy},
    signers::{
        SignerSync,
        local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English},
    },
};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use rota_protocol::{
    batch::{MAX_RANGE_BYTES, RANGE_HEADER},
    certificate::CommitCertificate,
    config::{AllocAccount, ChainConfig, ContractsConfig, OriginConfig, default_alloc},
    header::coinbase,
};

use crate::{
    chain::{
        BlockAttributes, DecidedBlock, EngineError, ExecutionEngine, HeadContext, L1Ref, SealedBlock, Transaction,
        Validity,
    },
    execution::{Executor, ExecutorConfig, StartError, Started},
    store::Chain,
};

pub(crate) const CHAIN_ID: u64 = 5_890;
pub(crate) const GWEI: u128 = 1_000_000_000;
const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// Deriving a key takes thousands of hashes: once is enough.
static SIGNERS: LazyLock<Vec<PrivateKeySigner>> = LazyLock::new(|| {
    let derive = |index| MnemonicBuilder::<English>::default().phrase(MNEMONIC).index(index).unwrap().build().unwrap();
    (0..4).map(derive).collect()
});

/// Account `index` (0 to 3) of the test mnemonic.
pub(crate) fn signer(index: u32) -> PrivateKeySigner {
    SIGNERS[index as usize].clone()
}

/// A chain whose first `rich` accounts own a million coins each.
pub(crate) fn chain_config(rich: u32) -> ChainConfig {
    let mut alloc = default_alloc(Bytes::from_static(&[0x00]));
    for index in 0..rich {
        let balance = U256::from(1_000_000u64) * U256::from(10).pow(U256::from(18));
        alloc.insert(signer(index).address(), AllocAccount { balance, ..AllocAccount::default() });
    }
    ChainConfig {
        l1_chain_id: 31_337,
        l2_chain_id: CHAIN_ID,
        profile: "test".into(),
        deployed_at_block: 0,
        genesis_origin: OriginConfig { number: 1, hash: B256::repeat_byte(1) },
        sigma0: 2,
        gas_limit: 30_000_000,
        base_fee: 1_000_000_000,
        epoch_genesis: 1_700_000_000,
        epoch_seconds: 20,
        slots_per_window: 16,
        block_time_ms: 250,
        batch_blocks: 32,
        batch_seconds: 8,
        data_bytes_per_second: 240_000,
        l1_confirmations: 2,
        max_origin_lag: 60,
        contracts: ContractsConfig::default(),
        alloc,
    }
}

pub(crate) fn genesis_context(config: &ChainConfig) -> HeadContext {
    HeadContext {
        origin: L1Ref { number: config.genesis_origin.number, hash: config.genesis_origin.hash, timestamp: 0 },
        deposits_end: 0,
        sigma: config.sigma0,
        first_height: 1,
        sealing: config.genesis_sealing(),
    }
}

pub(crate) fn executor_config(folder: &Path, config: ChainConfig) -> ExecutorConfig {
    let context = genesis_context(&config);
    let mut executor = ExecutorConfig::new(folder.to_owned(), config, context);
    executor.checkpoint_blocks = 4;
    executor.cache_bytes = 1 << 20;
    executor
}

/// A node without consensus or network.
pub(crate) struct TestNode {
    pub executor: Arc<Executor>,
    pub chain: Arc<Chain>,
    pub pool: crate::mempool::Mempool,
    pub replayed: u64,
}

impl From<Started> for TestNode {
    fn from(started: Started) -> Self {
        let Started { executor, chain, pool, replayed } = started;
        Self { executor, chain, pool, replayed }
    }
}

impl TestNode {
    pub(crate) fn start(config: ExecutorConfig) -> Result<Self, StartError> {
        Executor::start(config).map(Self::from)
    }

    pub(crate) fn attributes(&self, withdrawals: Vec<Withdrawal>) -> BlockAttributes {
        let head = self.chain.head();
        let number = head.number + 1;
        BlockAttributes {
            number,
            parent_hash: head.hash,
            timestamp: 1_700_000_100 + number / 2,
            beneficiary: coinbase(1 + (number % 3) as u32),
            prev_randao: keccak256(number.to_be_bytes()),
            l1_origin_hash: keccak256(b"origin"),
            withdrawals,
            extra_data: Bytes::new(),
            gas_limit: 30_000_000,
            max_encoded_len: MAX_RANGE_BYTES - RANGE_HEADER,
        }
    }

    pub(crate) async fn build(&self, withdrawals: Vec<Withdrawal>) -> SealedBlock {
        let deadline = Instant::now() + Duration::from_secs(30);
        self.executor.build(self.attributes(withdrawals), deadline).await.unwrap()
    }

    pub(crate) async fn validate(&self, block: SealedBlock) -> Validity {
        self.executor.validate(block).await.unwrap()
    }

    pub(crate) async fn commit(&self, block: SealedBlock) -> Result<(), EngineError> {
        let context = genesis_context(self.chain.config());
        self.executor.commit(decided(block, context)).await
    }

    /// Builds and commits a block.
    pub(crate) async fn advance(&self, withdrawals: Vec<Withdrawal>) -> SealedBlock {
        let block = self.build(withdrawals).await;
        self.commit(block.clone()).await.unwrap();
        block
    }
}

pub(crate) fn decided(block: SealedBlock, context: HeadContext) -> DecidedBlock {
    let certificate = CommitCertificate {
        fork: 0,
        epoch: context.sigma,
        height: block.number(),
        round: 0,
        block_hash: block.hash,
        signers: U256::from(7),
        signatures: Vec::new(),
    };
    DecidedBlock { block, certificate, context }
}

pub(crate) fn deposit(index: u64, address: Address, gwei: u64) -> Withdrawal {
    Withdrawal { index, validator_index: 0, address, amount: gwei }
}

/// What a test sends; everything else is filled in.
#[derive(Clone)]
pub(crate) struct Call {
    pub nonce: u64,
    pub to: TxKind,
    pub value: u128,
    pub gas: u64,
    pub tip: u128,
    pub fee: u128,
    pub data: Bytes,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            nonce: 0,
            to: TxKind::Call(Address::repeat_byte(0xaa)),
            value: 0,
            gas: 21_000,
            tip: GWEI,
            fee: 10 * GWEI,
            data: Bytes::new(),
        }
    }
}

impl Call {
    pub(crate) fn to(address: Address, nonce: u64) -> Self {
        Self { to: TxKind::Call(address), nonce, ..Self::default() }
    }

    pub(crate) fn sign(self, signer: &PrivateKeySigner) -> Transaction {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: self.gas,
            max_fee_per_gas: self.fee,
            max_priority_fee_per_gas: self.tip,
            to: self.to,
            value: U256::from(self.value),
            access_list: Default::default(),
            input: self.data,
        };
        let signature = signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
        Transaction::Eip1559(transaction.into_signed(signature))
    }

    pub(crate) fn sign_legacy(self, signer: &PrivateKeySigner, chain_id: Option<u64>) -> Transaction {
        let transaction = TxLegacy {
            chain_id,
            nonce: self.nonce,
            gas_price: self.fee,
            gas_limit: self.gas,
            to: self.to,
            value: U256::from(self.value),
            input: self.data,
        };
        let signature = signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
        Transaction::Legacy(transaction.into_signed(signature))
    }
}

/// Initcode that deploys `runtime`.
pub(crate) fn initcode(runtime: &[u8]) -> Bytes {
    let len = u16::try_from(runtime.len()).unwrap().to_be_bytes();
    // PUSH2 len, PUSH1 12, PUSH0, CODECOPY, PUSH2 len, PUSH0, RETURN
    let mut code = vec![0x61, len[0], len[1], 0x60, 0x0c, 0x5f, 0x39, 0x61, len[0], len[1], 0x5f, 0xf3];
    code.extend_from_slice(runtime);
    code.into()
}

/// Stores the second word of the calldata at the slot named by the first, and logs the slot.
pub(crate) const STORE: &[u8] = &hex!(
    "602035" // value = calldata[32..64]
    "5f35"   // slot = calldata[0..32]
    "55"     // SSTORE(slot, value)
    "5f35"   // topic = slot
    "5f5f"   // size, offset
    "a1"     // LOG1
    "00"
);

/// A token without checks: `balances[caller] -= amount; balances[to] += amount; emit Transfer`, for calldata
/// `to ‖ amount`.
pub(crate) const TOKEN: &[u8] = &hex!(
    "335f52"               // memory[0..32] = caller; memory[32..64] stays 0
    "60405f20"             // slot = keccak256(caller ‖ 0)
    "8054602035900390"     // new = balance - amount; slot on top
    "55"
    "5f355f52"             // memory[0..32] = to
    "60405f20"
    "8054602035019055"     // balances[to] += amount
    "6020355f52"           // memory[0..32] = amount
    "5f3533"               // topics: to, caller
    "7fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    "60205f" "a3" "00"     // LOG3
);

pub(crate) fn words(words: &[U256]) -> Bytes {
    words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect::<Vec<_>>().into()
}
