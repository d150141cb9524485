//! One L1 transaction, from its first fee to its receipt.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    consensus::TxEnvelope,
    eips::eip2718::Encodable2718,
    network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder},
    providers::{Provider, RootProvider},
    rpc::{
        json_rpc::ErrorPayload,
        types::{TransactionReceipt, TransactionRequest},
    },
    signers::local::PrivateKeySigner,
    transports::TransportError,
};
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use futures::future::BoxFuture;
use rota_bindings::{RotaError, decode_revert};

use crate::l1::{HttpSource, L1Error};

/// Time a transaction gets at one fee: longer than a block of Ethereum takes.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time between two looks for the receipt.
const POLL: Duration = Duration::from_millis(400);
/// Looks in a row that find another nonce and no receipt before a transaction is given up: answers of a provider's
/// machines may be some blocks apart.
const MOVED: u32 = 5;
/// Fee steps, per cent; nodes accept a replacement from 10 % on.
const BUMP: u128 = 25;

/// Why a transaction did not get onto L1.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// L1 does not answer as it should.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The contract refuses the call.
    #[error("refused by the contract: {0}")]
    Refused(RotaError),
    /// It was included, but reverted: somebody else was first.
    #[error("transaction {0} reverted")]
    Reverted(B256),
    /// Neither included nor able to be: the account's nonce is another one.
    #[error(
        "L1 expects nonce {expected} of this account, not {nonce}: a reorganisation took transactions before it back, another program uses the account, or the L1 endpoint is behind"
    )]
    Moved {
        /// Nonce of the transaction.
        nonce: u64,
        /// Nonce on L1.
        expected: u64,
    },
    /// Not included at the fee limit of this node.
    #[error(
        "not included at {limit} wei per gas, the most that batcher.max-fee-per-gas allows, while L1 asks {asked}; raise the limit if this goes on"
    )]
    TooExpensive {
        /// What L1 asks of a new transaction now.
        asked: u128,
        /// Configured.
        limit: u128,
    },
    /// The key cannot sign it.
    #[error("signing: {0}")]
    Signing(String),
}

/// Sends transactions of one account.
pub struct Submitter {
    source: Arc<HttpSource>,
    wallet: EthereumWallet,
    address: Address,
    chain_id: u64,
    max_fee: u128,
    /// Time a transaction gets at one fee.
    patience: Duration,
    /// One transaction at a time: two would take the same nonce and replace each other.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fees {
    max: u128,
    tip: u128,
}

impl Fees {
    /// The next fees that replace these, no less than what L1 asks by now.
    fn bumped(self, current: Self) -> Self {
        let step = |fee: u128| fee.saturating_add(fee.saturating_mul(BUMP) / 100).saturating_add(1);
        Self { max: step(self.max).max(current.max), tip: step(self.tip).max(current.tip) }
    }

    /// At most `limit` in all.
    fn capped(self, limit: u128) -> Self {
        Self { max: self.max.min(limit), tip: self.tip.min(limit) }
    }
}

impl Submitter {
    /// An account on the L1 with `chain_id`.
    pub fn new(source: Arc<HttpSource>, signer: PrivateKeySigner, chain_id: u64, max_fee: u64) -> Self {
        let address = signer.address();
        let (wallet, max_fee) = (EthereumWallet::from(signer), u128::from(max_fee));
        Self { source, wallet, address, chain_id, max_fee, patience: PATIENCE, turn: tokio::sync::Mutex::default() }
    }

    /// The account that pays.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Calls a view of `to` at the newest block.
    ///
    /// # Errors
    /// [`SubmitError::L1`].
    pub async fn view<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return, SubmitError> {
        Ok(self.source.view(to, &call).await?)
    }

    /// Sends `input` to `to` and waits until it is included, raising the fee again and again. `obsolete` is asked
    /// before every raise; once it says so, the transaction is left alone. A transaction that waits behind one that a
    /// reorganisation took back would wait for ever, so it is given up when the account's nonce is another one.
    ///
    /// # Errors
    /// See [`SubmitError`]. Nothing was sent for [`SubmitError::Refused`].
    pub async fn send<'a>(
        &'a self,
        to: Address,
        input: Bytes,
        obsolete: impl Fn() -> BoxFuture<'a, bool> + Send,
    ) -> Result<Option<TransactionReceipt>, SubmitError> {
        let _turn = self.turn.lock().await;
        let request = TransactionRequest::default().with_from(self.address).with_to(to).with_input(input);
        let gas = {
            let request = request.clone();
            self.ask(|l1| async move { l1.estimate_gas(request).latest().await }).await?
        };
        let nonce = self.nonce().await?;
        let request = request
            .with_nonce(nonce)
            .with_chain_id(self.chain_id)
            // Head room for the storage that other calls may change in the meantime.
            .with_gas_limit(gas + gas / 5);
        let mut fees = self.current_fees().await?;
        let (mut sent, mut moved) = (Vec::new(), 0);
        loop {
            let at_limit = fees.max > self.max_fee;
            fees = fees.capped(self.max_fee);
            match self.broadcast(request.clone(), fees).await {
                Ok(hash) => sent.push(hash),
                Err(L1Error::Rpc(message)) if outbid(&message) => {}
                Err(error) if sent.is_empty() => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "replacement refused"),
            }
            if let Some(receipt) = self.included(&sent, nonce, &mut moved).await? {
                return match receipt.status() {
                    true => Ok(Some(receipt)),
                    false => Err(SubmitError::Reverted(receipt.transaction_hash)),
                };
            }
            if obsolete().await {
                return Ok(None);
            }
            let current = self.current_fees().await?;
            if at_limit {
                return Err(SubmitError::TooExpensive { asked: current.max, limit: self.max_fee });
            }
            fees = fees.bumped(current);
            metrics::counter!("rota_batcher_fee_bumps_total").increment(1);
            tracing::info!(max_fee = fees.max, tip = fees.tip, nonce, "raising the fee of a transaction");
        }
    }

    /// The latest nonce, not the pending one: what an earlier run left in the pool is replaced.
    async fn nonce(&self) -> Result<u64, SubmitError> {
        let address = self.address;
        self.ask(|l1| async move { l1.get_transaction_count(address).latest().await }).await
    }

    async fn current_fees(&self) -> Result<Fees, SubmitError> {
        let fees = self.ask(|l1| async move { l1.estimate_eip1559_fees().await }).await?;
        Ok(Fees { max: fees.max_fee_per_gas, tip: fees.max_priority_fee_per_gas })
    }

    async fn broadcast(&self, request: TransactionRequest, fees: Fees) -> Result<B256, L1Error> {
        let request = request.with_max_fee_per_gas(fees.max).with_max_priority_fee_per_gas(fees.tip);
        let signed: TxEnvelope =
            request.build(&self.wallet).await.map_err(|error| L1Error::Rpc(format!("signing: {error}")))?;
        let hash = *signed.tx_hash();
        let raw = signed.encoded_2718();
        match self.ask(|l1| async move { l1.send_raw_transaction(&raw).await.map(drop) }).await {
            Ok(()) => Ok(hash),
            Err(SubmitError::L1(L1Error::Rpc(message))) if message.contains("already known") => Ok(hash),
            Err(SubmitError::L1(error)) => Err(error),
            Err(error) => Err(L1Error::Rpc(error.to_string())),
        }
    }

    /// Waits for the receipt of any of `sent`, all of which have `nonce`. `moved` counts looks that found another one.
    async fn included(
        &self,
        sent: &[B256],
        nonce: u64,
        moved: &mut u32,
    ) -> Result<Option<TransactionReceipt>, SubmitError> {
        let deadline = Instant::now() + self.patience;
        while Instant::now() < deadline {
            match self.nonce().await {
                Ok(expected) if expected == nonce => *moved = 0,
                Ok(expected) => {
                    if let Some(receipt) = self.receipt(sent).await {
                        return Ok(Some(receipt));
                    }
                    *moved += 1;
                    if *moved >= MOVED {
                        return Err(SubmitError::Moved { nonce, expected });
                    }
                }
                // It may be included all the same: only the time limit ends the wait.
                Err(error) => tracing::debug!(%error, "asking for the nonce"),
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(None)
    }

    async fn receipt(&self, sent: &[B256]) -> Option<TransactionReceipt> {
        for hash in sent.iter().rev() {
            match self.ask(|l1| async move { l1.get_transaction_receipt(*hash).await }).await {
                Ok(Some(receipt)) => return Some(receipt),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "asking for a receipt"),
            }
        }
        None
    }

    /// Asks the endpoint in use; one that does not answer, or is at fault for its answer, is left for the next.
    pub(crate) async fn ask<T, F>(&self, request: impl FnOnce(RootProvider) -> F) -> Result<T, SubmitError>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        self.source.request(request, is_at_fault).await?.map_err(|error| match error.as_revert_data() {
            Some(data) => SubmitError::Refused(decode_revert(&data)),
            None => L1Error::Rpc(error.to_string()).into(),
        })
    }
}

/// Whether an error response is about the endpoint, such as a limit that is used up, and not about what it was asked:
/// another endpoint may answer.
fn is_at_fault(error: &ErrorPayload) -> bool {
    const VERDICTS: [&str; 6] =
        ["already known", "underpriced", "nonce too low", "nonce too high", "insufficient funds", "reverted"];
    let message = error.message.to_lowercase();
    error.as_revert_data().is_none() && !VERDICTS.iter().any(|verdict| message.contains(verdict))
}

/// Whether an earlier transaction with this nonce is in the pool at a higher fee.
fn outbid(message: &str) -> bool {
    message.contains("underpriced")
}

#[cfg(test)]
mod tests {
    use alloy::{
        providers::ext::AnvilApi,
        rpc::types::{BlockNumberOrTag, anvil::ReorgOptions},
    };
    use alloy_node_bindings::AnvilInstance;
    use alloy_sol_types::SolError;
    use futures::FutureExt;
    use parking_lot::Mutex;
    use rota_bindings::BatchChain;
    use rota_protocol::config::ContractsConfig;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        keys,
        l1::tests::{anvil, relay},
    };

    /// An account on a fresh anvil that loses patience quickly.
    fn account(max_fee: u64) -> (AnvilInstance, Submitter) {
        let anvil = anvil();
        let source = Arc::new(HttpSource::new(&[anvil.endpoint()], ContractsConfig::default()).unwrap());
        let signer = keys::development_signer(0).unwrap();
        let mut submitter = Submitter::new(source, signer, anvil.chain_id(), max_fee);
        submitter.patience = Duration::from_millis(600);
        (anvil, submitter)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_transaction_that_is_not_included_is_replaced_at_a_higher_fee() {
        let (_anvil, submitter) = account(u64::MAX);
        let l1 = submitter.source.provider().clone();
        l1.anvil_set_auto_mine(false).await.unwrap();
        let first = submitter.current_fees().await.unwrap();
        let to = Address::repeat_byte(7);
        let waiting = submitter.send(to, Bytes::new(), || async { false }.boxed());
        let miner = async {
            tokio::time::sleep(3 * submitter.patience).await;
            l1.evm_mine(None).await.unwrap();
        };
        let (receipt, ()) = tokio::join!(waiting, miner);
        let receipt = receipt.unwrap().unwrap();
        let included = l1.get_transaction_by_hash(receipt.transaction_hash).await.unwrap().unwrap();
        let included = included.inner.inner();
        assert!(alloy::consensus::Transaction::max_fee_per_gas(included) >= first.max * 5 / 4, "{first:?}");
        assert_eq!(l1.get_transaction_count(submitter.address()).await.unwrap(), 1);
        let block = l1.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
        assert_eq!(block.transactions.len(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_new_run_replaces_what_an_earlier_one_left_behind() {
        let (_anvil, submitter) = account(u64::MAX);
        let l1 = submitter.source.provider().clone();
        l1.anvil_set_auto_mine(false).await.unwrap();
        let to = Address::repeat_byte(7);
        let abandoned = submitter.send(to, Bytes::new(), || async { true }.boxed()).await.unwrap();
        assert!(abandoned.is_none());
        let again = submitter.send(to, Bytes::from_static(b"again"), || async { false }.boxed());
        let miner = async {
            tokio::time::sleep(2 * submitter.patience).await;
            l1.evm_mine(None).await.unwrap();
        };
        let (receipt, ()) = tokio::join!(again, miner);
        let hash = receipt.unwrap().unwrap().transaction_hash;
        let included = l1.get_transaction_by_hash(hash).await.unwrap().unwrap();
        assert_eq!(alloy::consensus::Transaction::nonce(included.inner.inner()), 0);
        assert_eq!(alloy::consensus::Transaction::input(included.inner.inner()).as_ref(), b"again");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_transaction_whose_predecessor_a_reorganisation_removed_is_given_up() {
        let (_anvil, submitter) = account(u64::MAX);
        let l1 = submitter.source.provider().clone();
        let to = Address::repeat_byte(7);
        submitter.send(to, Bytes::new(), || async { false }.boxed()).await.unwrap().unwrap();
        l1.anvil_set_auto_mine(false).await.unwrap();
        let second = submitter.send(to, Bytes::new(), || async { false }.boxed());
        let reorganisation = async {
            while l1.get_transaction_count(submitter.address()).pending().await.unwrap() < 2 {
                tokio::time::sleep(POLL).await;
            }
            l1.anvil_reorg(ReorgOptions { depth: 1, tx_block_pairs: vec![] }).await.unwrap();
        };
        let (second, ()) = tokio::join!(second, reorganisation);
        assert!(matches!(second, Err(SubmitError::Moved { nonce: 1, expected: 0 })), "{second:?}");
        assert_eq!(l1.get_transaction_count(submitter.address()).await.unwrap(), 0);
        // The next one takes the free nonce.
        l1.anvil_set_auto_mine(true).await.unwrap();
        submitter.send(to, Bytes::new(), || async { false }.boxed()).await.unwrap().unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refusal_names_the_contracts_reason_and_sends_nothing() {
        let (_anvil, submitter) = account(u64::MAX);
        let l1 = submitter.source.provider().clone();
        let contract = Address::repeat_byte(9);
        // Reverts with its calldata: CALLDATACOPY all, REVERT.
        l1.anvil_set_code(contract, Bytes::from_static(&[0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0xfd])).await.unwrap();
        let reason = BatchChain::BatchChain_WrongIndex { actual: 3, expected: 2 };
        let sent = submitter.send(contract, reason.abi_encode().into(), || async { false }.boxed()).await;
        let Err(SubmitError::Refused(refusal)) = sent else { panic!("{sent:?}") };
        assert_eq!(refusal.name(), Some("BatchChain_WrongIndex"));
        assert_eq!(l1.get_transaction_count(submitter.address()).pending().await.unwrap(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_endpoint_that_does_not_answer_is_left() {
        let anvil = anvil();
        // Nobody listens on port 1.
        let endpoints = ["http://user:password1@127.0.0.1:1/v2/0123456789abcdef".into(), anvil.endpoint()];
        let source = Arc::new(HttpSource::new(&endpoints, ContractsConfig::default()).unwrap());
        let submitter = Submitter::new(source, keys::development_signer(0).unwrap(), anvil.chain_id(), u64::MAX);
        let error = submitter.nonce().await.unwrap_err().to_string();
        assert!(
            error.contains("http://127.0.0.1:1") && !error.contains("v2") && !error.contains("password"),
            "{error}"
        );
        assert_eq!(submitter.nonce().await.unwrap(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_endpoint_is_left_for_its_own_refusals_only() {
        let anvil = anvil();
        let said = Arc::new(Mutex::new("monthly capacity exceeded"));
        let refusal = {
            let said = Arc::clone(&said);
            move |_: &Value, answer: &mut Value| {
                *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": { "code": -32000, "message": *said.lock() } });
            }
        };
        let endpoints = [relay(anvil.endpoint_url(), |_| (), refusal).await, anvil.endpoint()];
        let signer = keys::development_signer(0).unwrap();
        let submitter = || {
            let source = Arc::new(HttpSource::new(&endpoints, ContractsConfig::default()).unwrap());
            Submitter::new(source, signer.clone(), anvil.chain_id(), u64::MAX)
        };
        let limited = submitter();
        let error = limited.nonce().await.unwrap_err().to_string();
        assert!(error.contains("monthly capacity") && error.contains(&endpoints[0]), "{error}");
        assert_eq!(limited.nonce().await.unwrap(), 0);

        // A verdict on the transaction is the same everywhere.
        for verdict in ["already known", "replacement transaction underpriced", "Nonce too low: next nonce 7"] {
            *said.lock() = verdict;
            let refused = submitter();
            assert!(refused.nonce().await.is_err() && refused.nonce().await.is_err(), "{verdict}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_fee_limit_is_kept() {
        let (_anvil, mut submitter) = account(u64::MAX);
        let l1 = submitter.source.provider().clone();
        l1.anvil_set_auto_mine(false).await.unwrap();
        let first = submitter.current_fees().await.unwrap();
        submitter.max_fee = first.max + first.max / 3;
        let sent = submitter.send(Address::repeat_byte(7), Bytes::new(), || async { false }.boxed()).await;
        // Nobody else sends anything, so L1 asks what it asked before: less than the limit.
        let Err(SubmitError::TooExpensive { asked, limit }) = sent else { panic!("{sent:?}") };
        assert_eq!((asked, limit), (first.max, submitter.max_fee));
        l1.evm_mine(None).await.unwrap();
        let block = l1.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
        let hash = block.transactions.hashes().next().unwrap();
        let included = l1.get_transaction_by_hash(hash).await.unwrap().unwrap();
        assert!(alloy::consensus::Transaction::max_fee_per_gas(included.inner.inner()) <= submitter.max_fee);
    }

    #[test]
    fn every_raise_is_accepted_as_a_replacement() {
        let mut fees = Fees { max: 1, tip: 0 };
        for _ in 0..200 {
            let next = fees.bumped(Fees { max: 7, tip: 1 });
            assert!(next.max * 10 >= fees.max * 11 && next.tip * 10 >= fees.tip * 11, "{fees:?} → {next:?}");
            assert!(next.max > fees.max && next.tip > fees.tip);
            fees = next;
        }
        assert_eq!(Fees { max: u128::MAX, tip: u128::MAX }.bumped(fees).max, u128::MAX);
    }

    #[test]
    fn the_cap_holds_for_both_fees() {
        assert_eq!(Fees { max: 100, tip: 60 }.capped(50), Fees { max: 50, tip: 50 });
    }
}
