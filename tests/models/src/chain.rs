//! The real contracts in an EVM of their own: creation code from forge's output, calls by anybody, time set by hand.

use std::{fmt, fs, path::PathBuf};

use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use alloy_sol_types::SolCall;
use eyre::{Context as _, Result, bail, ensure, eyre};
use revm::{
    Context, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext, MainnetEvm,
    context::{
        TxEnv,
        result::{ExecutionResult, Output},
    },
    database::{CacheDB, EmptyDB},
    handler::MainnetContext,
};

/// Chain id the contracts see.
pub const CHAIN_ID: u64 = 1;

/// Gas of every transaction: the most that Osaka allows one (EIP-7825).
const GAS: u64 = 1 << 24;

type Database = CacheDB<EmptyDB>;

/// Forge's output folder.
#[derive(Clone, Debug)]
pub struct Artifacts {
    folder: PathBuf,
}

impl Artifacts {
    /// Artifacts in `folder`, `out` as a rule.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Creation code of `contract` in `file` (name without `.sol`).
    ///
    /// # Errors
    /// If forge has not built it.
    pub fn creation_code(&self, file: &str, contract: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(format!("{file}.sol/{contract}.json"));
        let text = fs::read_to_string(&path)
            .wrap_err_with(|| format!("{}: build the contracts first (forge build)", path.display()))?;
        let artifact: serde_json::Value = serde_json::from_str(&text)?;
        let code =
            artifact["bytecode"]["object"].as_str().ok_or_else(|| eyre!("{} has no bytecode", path.display()))?;
        hex::decode(code).wrap_err_with(|| format!("{} is not linked", path.display()))
    }
}

/// State and time of a chain, to start histories from.
#[derive(Clone, Debug)]
pub struct Snapshot {
    database: Database,
    timestamp: u64,
}

/// What a call that changes state came to: its return value, or the bytes it reverted with.
pub type Outcome<T> = std::result::Result<T, Bytes>;

/// A chain with one contract call in each block; gas is free and nobody needs a nonce.
pub struct Chain {
    evm: MainnetEvm<MainnetContext<Database>>,
}

impl Chain {
    /// An empty chain at `timestamp`, unix seconds.
    pub fn new(timestamp: u64) -> Self {
        Self::resume(&Snapshot { database: Database::new(EmptyDB::new()), timestamp })
    }

    /// Goes on from `snapshot`.
    pub fn resume(snapshot: &Snapshot) -> Self {
        let mut evm = Context::mainnet()
            .with_db(snapshot.database.clone())
            .modify_cfg_chained(|cfg| {
                cfg.chain_id = CHAIN_ID;
                cfg.disable_nonce_check = true;
                // Contracts call each other here by transactions in their name.
                cfg.disable_eip3607 = true;
            })
            .build_mainnet();
        evm.ctx.block.number = U256::from(1);
        let mut chain = Self { evm };
        chain.warp(snapshot.timestamp);
        chain
    }

    /// State and time now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { database: self.evm.ctx.journaled_state.database.clone(), timestamp: self.timestamp() }
    }

    /// The time, unix seconds.
    pub fn timestamp(&self) -> u64 {
        self.evm.ctx.block.timestamp.saturating_to()
    }

    /// Sets the time, unix seconds.
    pub fn warp(&mut self, timestamp: u64) {
        self.evm.ctx.block.timestamp = U256::from(timestamp);
    }

    /// Where the contract will be that `creator` creates after `more` other transactions.
    ///
    /// # Errors
    /// Never, with a database in memory.
    pub fn next_address(&mut self, creator: Address, more: u64) -> Result<Address> {
        let account = self.evm.ctx.journaled_state.database.load_account(creator)?;
        Ok(creator.create(account.info.nonce + more))
    }

    /// Creates a contract; `arguments` are the ABI encoding of the constructor's.
    ///
    /// # Errors
    /// If the constructor reverts.
    pub fn deploy(&mut self, deployer: Address, mut code: Vec<u8>, arguments: &[u8]) -> Result<Address> {
        code.extend_from_slice(arguments);
        match self.evm.transact_commit(transaction(deployer, TxKind::Create, code.into()))? {
            ExecutionResult::Success { output: Output::Create(_, Some(address)), .. } => Ok(address),
            other => bail!("a constructor failed: {other:?}"),
        }
    }

    /// `from` calls `to`.
    ///
    /// # Errors
    /// If the call neither returns what it should nor reverts.
    pub fn call<C: SolCall>(&mut self, from: Address, to: Address, call: &C) -> Result<Outcome<C::Return>> {
        let result = self.evm.transact_commit(transaction(from, TxKind::Call(to), call.abi_encode().into()))?;
        outcome::<C>(result)
    }

    /// `call`, which must not revert.
    ///
    /// # Errors
    /// If it does.
    pub fn must<C: SolCall>(&mut self, from: Address, to: Address, call: &C) -> Result<C::Return> {
        self.call(from, to, call)?.map_err(|data| eyre!("{} reverted with {data}", C::SIGNATURE))
    }

    /// What `call` would come to, changing nothing.
    ///
    /// # Errors
    /// As [`Chain::call`].
    pub fn ask<C: SolCall>(&mut self, from: Address, to: Address, call: &C) -> Result<Outcome<C::Return>> {
        let result = self.evm.transact(transaction(from, TxKind::Call(to), call.abi_encode().into()))?;
        outcome::<C>(result.result)
    }

    /// Asks a view that must not revert.
    ///
    /// # Errors
    /// If it does.
    pub fn view<C: SolCall>(&mut self, to: Address, call: &C) -> Result<C::Return> {
        self.ask(Address::ZERO, to, call)?.map_err(|data| eyre!("view {} reverted with {data}", C::SIGNATURE))
    }
}

fn transaction(caller: Address, kind: TxKind, data: Bytes) -> TxEnv {
    TxEnv { caller, kind, data, gas_limit: GAS, gas_price: 0, chain_id: Some(CHAIN_ID), ..TxEnv::default() }
}

fn outcome<C: SolCall>(result: ExecutionResult) -> Result<Outcome<C::Return>> {
    match result {
        ExecutionResult::Success { output, .. } => Ok(Ok(C::abi_decode_returns(output.data())?)),
        ExecutionResult::Revert { output, .. } => Ok(Err(output)),
        ExecutionResult::Halt { reason, .. } => bail!("{} halted: {reason:?}", C::SIGNATURE),
    }
}

/// Asks views of one contract and compares the answers.
pub struct Look<'a> {
    chain: &'a mut Chain,
    at: Address,
}

impl<'a> Look<'a> {
    /// At the contract `at`.
    pub fn at(chain: &'a mut Chain, at: Address) -> Self {
        Self { chain, at }
    }

    /// `call` answers `expected`.
    ///
    /// # Errors
    /// If it does not.
    pub fn same<C>(&mut self, call: &C, expected: C::Return) -> Result<()>
    where
        C: SolCall + fmt::Debug,
        C::Return: PartialEq + fmt::Debug,
    {
        self.like(call, expected, |answer| answer)
    }

    /// What `read` takes from the answer to `call` is `expected`.
    ///
    /// # Errors
    /// If it is not.
    pub fn like<C: SolCall + fmt::Debug, T: PartialEq + fmt::Debug>(
        &mut self,
        call: &C,
        expected: T,
        read: impl Fn(C::Return) -> T,
    ) -> Result<()> {
        let actual = read(self.chain.view(self.at, call)?);
        ensure!(actual == expected, "{call:?} is {actual:?}, the model says {expected:?}");
        Ok(())
    }
}
