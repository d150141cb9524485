//! Transactions per second: many funded accounts, transactions signed beforehand, sent in batches over several
//! connections, and counted in decided blocks.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::{Address, B256, Bytes, TxKind, U256},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolCall as _,
};
use eyre::{Result, bail, ensure, eyre};
use futures::future::try_join_all;
use rota::{connection::dev_key, progress::wait_until};
use rota_bindings::NativeToken;
use serde::{Deserialize, Serialize};

use super::{Options, bed::Bed, rpc::Rpc};

/// Requests of one JSON-RPC batch, the most a node takes.
const BATCH: usize = 100;
/// Gas limit of a native transfer, exactly what it needs.
const NATIVE_GAS: u64 = 21_000;
/// Gas limit of an ERC-20 transfer; to a new holder it needs about 52,000.
const TOKEN_GAS: u64 = 70_000;
/// Most that the load pays for a unit of gas, wei: full blocks make the base fee rise by an eighth each.
const MAX_FEE: u128 = 100_000_000_000;
/// Tokens (smallest units) each account gets.
const TOKENS: u64 = 1_000_000_000;

/// How often the head is asked for.
const POLL: Duration = Duration::from_millis(10);

/// What the transactions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Transfers of the native token.
    #[serde(rename = "native transfers")]
    Native,
    /// `transfer` of an ERC-20.
    #[serde(rename = "ERC-20 transfers")]
    Token,
}

impl Kind {
    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native transfers",
            Self::Token => "ERC-20 transfers",
        }
    }
}

/// Outcome of one load on one system.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Throughput {
    /// What was measured.
    pub system: String,
    /// What the transactions do.
    pub kind: Kind,
    /// How many.
    pub transactions: u64,
    /// From the first byte sent to the last transaction seen in a decided block.
    pub seconds: f64,
    /// Their quotient.
    pub per_second: f64,
    /// Blocks that carry at least one of them.
    pub blocks: u64,
    /// Gas used in those blocks.
    pub gas: u64,
}

/// A signed transaction, ready to send.
#[derive(Clone, Debug)]
struct Signed {
    hash: B256,
    raw: Bytes,
}

fn sign(
    key: &PrivateKeySigner,
    chain_id: u64,
    nonce: u64,
    gas_limit: u64,
    (to, value, input): (Address, U256, Bytes),
) -> Result<Signed> {
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: MAX_FEE,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(to),
        value,
        access_list: Default::default(),
        input,
    };
    let signature = key.sign_hash_sync(&transaction.signature_hash())?;
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    Ok(Signed { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() })
}

/// The load of one system: funded accounts and a token they hold.
pub struct Load<'a> {
    bed: &'a Bed,
    nodes: Vec<Rpc>,
    accounts: Vec<PrivateKeySigner>,
    token: Address,
    per_account: u64,
    connections: usize,
}

impl<'a> Load<'a> {
    /// Deploys the token and funds the accounts with what they will need.
    ///
    /// # Errors
    /// When a transaction is refused.
    pub async fn prepare(bed: &'a Bed, options: &Options) -> Result<Self> {
        let nodes = bed.clients()?;
        let first = nodes.first().ok_or_else(|| eyre!("{} has no node", bed.name))?.clone();
        let accounts: Vec<_> = (0..options.accounts).map(|_| PrivateKeySigner::random()).collect();
        // One account pays, so that one sequence of nonces funds everybody.
        let payer = dev_key(0)?;
        let url = bed.urls.first().ok_or_else(|| eyre!("{} has no node", bed.name))?;
        let provider = crate::provider(url, Some(payer.clone())).await?;
        let supply = U256::from(TOKENS) * U256::from(options.accounts);
        let token = *NativeToken::deploy(&provider, "Load".to_owned(), "LOAD".to_owned(), supply, payer.address())
            .await?
            .address();
        let need = U256::from(MAX_FEE) * U256::from(options.per_account * (NATIVE_GAS + TOKEN_GAS) * 2);
        let mut nonce = first.nonce(payer.address()).await?;
        let mut funding = Vec::new();
        for account in &accounts {
            let grant = NativeToken::transferCall { to: account.address(), value: U256::from(TOKENS) }.abi_encode();
            let steps =
                [(NATIVE_GAS, (account.address(), need, Bytes::new())), (TOKEN_GAS, (token, U256::ZERO, grant.into()))];
            for (gas, call) in steps {
                funding.push(sign(&payer, bed.chain_id, nonce, gas, call)?);
                nonce += 1;
            }
        }
        let load =
            Self { bed, nodes, accounts, token, per_account: options.per_account, connections: options.connections };
        load.measure(Kind::Native, vec![funding]).await?;
        for account in [load.accounts.first(), load.accounts.last()].into_iter().flatten() {
            let balance: U256 = first.call("eth_getBalance", serde_json::json!([account.address(), "latest"])).await?;
            ensure!(balance == need, "{} was funded with {balance} wei instead of {need}", account.address());
        }
        super::say(&format!("{}: {} accounts funded", bed.name, load.accounts.len()));
        Ok(load)
    }

    /// Signs the load, sends it, and waits until all of it is in decided blocks.
    ///
    /// # Errors
    /// When a transaction is refused, or is not decided in time.
    pub async fn run(&self, kind: Kind) -> Result<Throughput> {
        let Some(first) = self.nodes.first() else { bail!("{} has no node", self.bed.name) };
        // Every node must know the balances before it judges the load.
        let head = first.height().await?;
        for node in &self.nodes {
            wait_until(&format!("every node at height {head}"), Duration::from_secs(20), POLL, async || {
                Ok((node.height().await? >= head).then_some(()))
            })
            .await?;
        }
        let mut lanes = vec![Vec::new(); self.connections];
        let starts = try_join_all(self.accounts.iter().map(|account| first.nonce(account.address()))).await?;
        for offset in 0..self.per_account {
            for (index, (account, start)) in self.accounts.iter().zip(&starts).enumerate() {
                // A ring: every account also receives, so state neither grows nor runs dry.
                let next = self.accounts.get((index + 1) % self.accounts.len()).unwrap_or(account).address();
                let (gas, call) = match kind {
                    Kind::Native => (NATIVE_GAS, (next, U256::from(1_u64), Bytes::new())),
                    Kind::Token => {
                        let input = NativeToken::transferCall { to: next, value: U256::from(1_u64) }.abi_encode();
                        (TOKEN_GAS, (self.token, U256::ZERO, input.into()))
                    }
                };
                // All of an account on one connection: its nonces arrive in order.
                if let Some(lane) = lanes.get_mut(index % self.connections) {
                    lane.push(sign(account, self.bed.chain_id, start + offset, gas, call)?);
                }
            }
        }
        let measured = self.measure(kind, lanes).await?;
        super::say(&format!(
            "{}: {} {} in {:.2} s, {:.0} per second, {} blocks",
            measured.system,
            measured.transactions,
            kind.name(),
            measured.seconds,
            measured.per_second,
            measured.blocks
        ));
        Ok(measured)
    }

    /// Sends `lanes` side by side and counts what is decided.
    async fn measure(&self, kind: Kind, lanes: Vec<Vec<Signed>>) -> Result<Throughput> {
        let Some(watched) = self.nodes.first() else { bail!("{} has no node", self.bed.name) };
        let mut waiting: HashSet<B256> = lanes.iter().flatten().map(|signed| signed.hash).collect();
        let transactions = waiting.len() as u64;
        let from = watched.height().await? + 1;
        let deadline = Duration::from_secs(60 + transactions / 50);
        let since = Instant::now();
        let sending = try_join_all(lanes.into_iter().enumerate().filter_map(|(lane, load)| {
            let node = self.nodes.get(lane % self.nodes.len())?;
            Some(send(node, load, deadline))
        }));
        let counting = async {
            let (mut height, mut blocks, mut gas) = (from, 0, 0);
            let mut done = since.elapsed();
            while !waiting.is_empty() {
                let Some(block) = watched.block(height).await? else {
                    ensure!(
                        since.elapsed() < deadline,
                        "{} transactions were not decided in {deadline:?}",
                        waiting.len()
                    );
                    tokio::time::sleep(POLL).await;
                    continue;
                };
                done = since.elapsed();
                let before = waiting.len();
                for hash in &block.transactions {
                    waiting.remove(hash);
                }
                if waiting.len() < before {
                    blocks += 1;
                    gas += block.gas_used.to::<u64>();
                }
                height += 1;
            }
            Ok((done, blocks, gas))
        };
        let (_, (done, blocks, gas)) = tokio::try_join!(sending, counting)?;
        let seconds = done.as_secs_f64();
        let system = self.bed.name.clone();
        Ok(Throughput { system, kind, transactions, seconds, per_second: transactions as f64 / seconds, blocks, gas })
    }
}

/// Sends `load` in batches; what a full pool refuses is sent again until `deadline`.
async fn send(node: &Rpc, load: Vec<Signed>, deadline: Duration) -> Result<()> {
    let since = Instant::now();
    for batch in load.chunks(BATCH) {
        let mut open: Vec<Bytes> = batch.iter().map(|signed| signed.raw.clone()).collect();
        loop {
            let refusals = node.send_batch(&open).await?;
            let mut again = Vec::new();
            for (raw, refusal) in open.into_iter().zip(refusals) {
                match refusal {
                    None => {}
                    // The HTTP client repeats a request whose connection was closed under it.
                    Some(refusal) if refusal.message.contains("already known") => {}
                    Some(refusal) if refusal.message.contains("full") => again.push(raw),
                    Some(refusal) => bail!("a transaction of the load was refused: {}", refusal.message),
                }
            }
            if again.is_empty() {
                break;
            }
            ensure!(since.elapsed() < deadline, "the pool stayed full for {deadline:?}");
            open = again;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
