//! The one way a command changes anything on L1: simulate, then show, export or send.

use std::{error::Error, fmt, time::Duration};

use alloy::{
    contract::{CallBuilder, CallDecoder, Error as ContractError},
    primitives::{Address, B256, Bytes},
    providers::{DynProvider, Provider},
    rpc::types::{TransactionReceipt, TransactionRequest},
    signers::local::PrivateKeySigner,
    sol_types::SolEvent,
};
use eyre::{Result, bail, eyre};
use rota_bindings::decode_revert;
use serde::Serialize;

use crate::{
    connection::{Network, WriteArgs},
    inclusion::{INCLUSION, Terms, include},
    output::print_json,
    progress::spinner,
};

/// Who acts and how: built once per command.
#[derive(Debug)]
pub struct Submitter<'a> {
    network: &'a Network,
    /// Signing provider; the read-only one when there is no key.
    pub provider: DynProvider,
    /// Account the transactions come from.
    pub from: Address,
    /// Local key, when there is one (for permits).
    pub key: Option<PrivateKeySigner>,
    mode: Mode,
    /// Most wei per gas.
    max_fee: Option<u128>,
    silent: bool,
    /// Take the place of what an earlier run left waiting.
    replace: bool,
    /// Longest wait for inclusion.
    patience: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Send,
    DryRun,
    Calldata,
}

/// What happened to a transaction, as printed with `--json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    action: &'a str,
    from: Address,
    to: Address,
    calldata: &'a Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    gas: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_hash: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<serde_json::Value>,
    /// What has to come before, where that was simulated only.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<&'a str>,
    status: &'static str,
}

impl<'a> Report<'a> {
    /// Of a call that was not made yet.
    fn new(action: &'a str, from: Address, to: Address, calldata: &'a Bytes) -> Self {
        Self {
            action,
            from,
            to,
            calldata,
            gas: None,
            transaction_hash: None,
            block_number: None,
            result: None,
            needs: None,
            status: "prepared",
        }
    }
}

/// A transaction that was paid for and changed nothing.
#[derive(Debug)]
pub struct Reverted {
    action: String,
    hash: B256,
}

impl fmt::Display for Reverted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, hash } = self;
        write!(
            f,
            "{action}: transaction {hash} was included but reverted; the state moved after the simulation, try again"
        )
    }
}

impl Error for Reverted {}

impl<'a> Submitter<'a> {
    /// Opens the key named by `args`.
    ///
    /// # Errors
    /// When there is no usable key.
    pub async fn new(network: &'a Network, args: &WriteArgs) -> Result<Self> {
        let key = args.key(network.is_devnet()).await?;
        let (provider, from) = match (&key, args.from) {
            (Some(key), Some(from)) if key.address() != from => {
                bail!("--from {from} is not the address of the given key, {}", key.address())
            }
            (Some(key), _) => (network.signing(key.clone()).await?, key.address()),
            (None, Some(from)) => (network.l1.clone(), from),
            (None, None) => bail!("no account to act from"),
        };
        let mode = match (args.dry_run, args.calldata) {
            (true, _) => Mode::DryRun,
            (false, true) => Mode::Calldata,
            (false, false) => Mode::Send,
        };
        Ok(Self {
            network,
            provider,
            from,
            key,
            mode,
            max_fee: args.max_fee,
            silent: false,
            replace: false,
            patience: INCLUSION,
        })
    }

    /// Prints nothing: for the keeper, which logs, and for the devnet, which shows its own progress.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Replaces what an earlier run left waiting on L1 instead of coming after it: for the keeper, whose chores are
    /// looked up afresh. A user's next transaction must not undo the one before.
    #[must_use]
    pub fn replacing(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Waits this long for each transaction; five minutes otherwise.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Whether transactions really go out.
    pub fn sends(&self) -> bool {
        self.mode == Mode::Send
    }

    /// Whether anything is printed.
    pub fn shows(&self) -> bool {
        !self.silent
    }

    /// Whether transactions are only simulated.
    pub fn simulates(&self) -> bool {
        self.mode == Mode::DryRun
    }

    /// Says, in a dry run, that `call` comes next and could only be simulated after `missing`.
    ///
    /// # Errors
    /// When nothing can be printed.
    pub fn skip<P: Provider, D: CallDecoder>(
        &self,
        action: &str,
        missing: &str,
        call: &CallBuilder<P, D>,
    ) -> Result<()> {
        if self.network.json {
            let (to, calldata) = (target(action, call)?, call.calldata());
            let report = Report::new(action, self.from, to, calldata);
            return print_json(&Report { needs: Some(missing), status: "not simulated", ..report });
        }
        println!("{action}: not simulated, it needs {missing} first (nothing was sent)");
        Ok(())
    }

    /// Simulates `call`, then sends it, or shows what it would do. Returns the receipt when one exists.
    ///
    /// # Errors
    /// When the contract refuses (its own error, with values and a hint) or L1 fails.
    pub async fn submit<P: Provider, D: CallDecoder>(
        &self,
        action: &str,
        call: CallBuilder<P, D>,
    ) -> Result<Option<TransactionReceipt>> {
        self.carry_out(action, call, |_| Ok(None)).await
    }

    /// The same, and returns what `read` makes of the event `E` that the transaction left; it is part of the report
    /// that `--json` prints.
    ///
    /// # Errors
    /// As [`Submitter::submit`], and when there is no such event.
    pub async fn submit_for<E: SolEvent, T: Serialize>(
        &self,
        action: &str,
        call: CallBuilder<impl Provider, impl CallDecoder>,
        read: impl Fn(E) -> T,
    ) -> Result<Option<T>> {
        let find = |receipt: &TransactionReceipt| {
            let event = receipt.decoded_log::<E>().ok_or_else(|| {
                eyre!("{action}: transaction {} left no event {}", receipt.transaction_hash, E::SIGNATURE)
            })?;
            eyre::Ok(read(event.data))
        };
        let receipt = self.carry_out(action, call, |receipt| Ok(Some(serde_json::to_value(find(receipt)?)?))).await?;
        receipt.map(|receipt| find(&receipt)).transpose()
    }

    async fn carry_out<P: Provider, D: CallDecoder>(
        &self,
        action: &str,
        call: CallBuilder<P, D>,
        result: impl Fn(&TransactionReceipt) -> Result<Option<serde_json::Value>>,
    ) -> Result<Option<TransactionReceipt>> {
        let call = call.from(self.from);
        let to = target(action, &call)?;
        let calldata = call.calldata().clone();
        let mut report = Report::new(action, self.from, to, &calldata);
        if self.mode == Mode::Calldata {
            if self.network.json {
                print_json(&report)?;
            } else {
                println!("{action}\n  from  {}\n  to    {to}\n  value 0\n  data  {calldata}", self.from);
            }
            return Ok(None);
        }
        call.call_raw().await.map_err(|error| explain(action, error))?;
        let gas = call.estimate_gas().await.map_err(|error| explain(action, error))?;
        report.gas = Some(gas);
        if self.mode == Mode::DryRun {
            report.status = "would succeed";
            if self.network.json {
                print_json(&report)?;
            } else {
                println!("{action}: would succeed, about {gas} gas (nothing was sent)");
            }
            return Ok(None);
        }
        let bar = spinner(format!("{action}: sending"), !self.network.json && !self.silent);
        // Head-room for state that moves between simulation and inclusion; unused gas is not paid.
        let request = call.gas(gas.saturating_add(gas / 4)).into_transaction_request();
        let terms = Terms {
            action,
            limit: self.max_fee,
            patience: self.patience,
            replace: self.replace,
            aloud: !self.silent,
            bar: &bar,
        };
        let receipt = include(&self.provider, request, terms).await;
        bar.finish_and_clear();
        let receipt = receipt?;
        report.gas = Some(receipt.gas_used);
        report.transaction_hash = Some(receipt.transaction_hash);
        report.block_number = receipt.block_number;
        if !receipt.status() {
            return Err(Reverted { action: action.to_owned(), hash: receipt.transaction_hash }.into());
        }
        report.status = "done";
        report.result = result(&receipt)?;
        if self.silent {
            return Ok(Some(receipt));
        }
        if self.network.json {
            print_json(&report)?;
        } else {
            println!("{action}: done ({} gas, {})", receipt.gas_used, receipt.transaction_hash);
        }
        Ok(Some(receipt))
    }
}

/// The contract that `call` goes to.
fn target<P: Provider, D: CallDecoder>(action: &str, call: &CallBuilder<P, D>) -> Result<Address> {
    let request: &TransactionRequest = call.as_ref();
    request.to.and_then(|kind| kind.to().copied()).ok_or_else(|| eyre!("'{action}' has no target contract"))
}

/// Turns a contract failure into the contract's own words.
pub fn explain(action: &str, error: ContractError) -> eyre::Report {
    match error.as_revert_data() {
        Some(data) => eyre!("{action}: {}", decode_revert(&data)),
        None => eyre::Report::new(error).wrap_err(action.to_owned()),
    }
}
