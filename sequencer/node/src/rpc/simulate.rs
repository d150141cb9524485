//! Running transactions that nobody signed: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.
//!
//! The rules are those of a real transaction except where go-ethereum bends them too: the sender may be a contract
//! and needs no matching nonce, gas may exceed the block's limit, and without a gas price the base fee is zero.

use alloy::rpc::types::{
    AccessList, AccessListResult, TransactionRequest,
    state::{EvmOverrides, StateOverride},
};
use alloy_evm::{
    EthEvmFactory, Evm, EvmEnv, EvmFactory,
    call::{CallError, caller_gas_allowance},
    overrides::{OverrideBlockHashes, apply_state_overrides},
};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::{
    DatabaseRef,
    context::{
        TxEnv,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction},
    },
    context_interface::either::Either,
    database::CacheDB,
    primitives::eip7825::TX_GAS_LIMIT_CAP,
};
use revm_inspectors::access_list::AccessListInspector;

use super::error::{RpcError, RpcResult};

/// Gas of a plain transfer (yellow paper, `G_transaction`).
const TRANSFER_GAS: u64 = 21_000;
/// Gas handed to the callee of a value transfer; it can be needed without being used (yellow paper, `G_callstipend`).
const CALL_STIPEND: u64 = 2_300;
/// An estimate is good enough within this many thousandths of itself (as go-ethereum).
const ESTIMATE_TOLERANCE_PERMILLE: u64 = 15;
/// An access list changes the path of execution at most this many times before the last one is taken.
const ACCESS_LIST_ROUNDS: usize = 8;

/// A block's environment and state, ready to run calls on.
pub(super) struct Simulation<DB> {
    env: EvmEnv,
    db: CacheDB<DB>,
}

impl<DB> Simulation<DB>
where
    DB: DatabaseRef + std::fmt::Debug,
    DB::Error: std::error::Error + Send + Sync + 'static,
{
    /// Applies `overrides` to the environment and state after a block.
    ///
    /// # Errors
    /// Overrides that contradict themselves or hold malformed code.
    pub(super) fn new(mut env: EvmEnv, db: DB, overrides: EvmOverrides) -> RpcResult<Self> {
        let mut db = CacheDB::new(db);
        env.cfg_env.disable_nonce_check = true;
        env.cfg_env.disable_eip3607 = true;
        env.cfg_env.disable_block_gas_limit = true;
        if let Some(block) = overrides.block {
            db.apply_block_overrides(*block, &mut env.block_env);
        }
        if let Some(state) = overrides.state {
            refuse_moved_precompiles(&state)?;
            apply_state_overrides(state, &mut db).map_err(RpcError::params)?;
        }
        Ok(Self { env, db })
    }

    /// Runs `request` and returns its output; at most `gas_cap` gas.
    ///
    /// # Errors
    /// [`RpcError::Reverted`] with the revert bytes; a refusal when it halts or could not start.
    pub(super) fn call(mut self, request: TransactionRequest, gas_cap: u64) -> RpcResult<Bytes> {
        self.env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
        let tx = self.transaction(request, gas_cap)?;
        match run(&mut EthEvmFactory::default().create_evm(self.db, self.env), tx)? {
            ExecutionResult::Success { output, .. } => Ok(output.into_data()),
            ExecutionResult::Revert { output, .. } => Err(RpcError::Reverted(output)),
            ExecutionResult::Halt { reason, .. } => Err(RpcError::refused(halt_message(&reason))),
        }
    }

    /// The least gas limit, within a small tolerance, with which `request` succeeds; exact for plain transfers.
    ///
    /// # Errors
    /// As [`Self::call`], and when no limit a transaction may carry is enough.
    pub(super) fn estimate(mut self, request: TransactionRequest) -> RpcResult<u64> {
        let ceiling = self.env.block_env.gas_limit.min(self.env.cfg_env.tx_gas_limit_cap.unwrap_or(TX_GAS_LIMIT_CAP));
        let tx = self.transaction(request, ceiling)?;
        let plain = tx.data.is_empty() && tx.authorization_list.is_empty() && tx.access_list.is_empty();
        let to_code = match tx.kind {
            TxKind::Call(to) => self.has_code(to)?,
            TxKind::Create => true,
        };
        let mut highest = tx.gas_limit;
        let mut evm = EthEvmFactory::default().create_evm(self.db, self.env);
        let mut attempt = |gas_limit| run(&mut evm, TxEnv { gas_limit, ..tx.clone() });

        if plain && !to_code && highest >= TRANSFER_GAS && attempt(TRANSFER_GAS).is_ok_and(|result| result.is_success())
        {
            return Ok(TRANSFER_GAS);
        }

        let (used, peak) = match attempt(highest)? {
            ExecutionResult::Success { gas, .. } => (gas.tx_gas_used(), gas.total_gas_spent()),
            ExecutionResult::Revert { output, .. } => return Err(RpcError::Reverted(output)),
            ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => {
                return Err(RpcError::refused(format!("gas required exceeds allowance ({highest})")));
            }
            ExecutionResult::Halt { reason, .. } => return Err(RpcError::refused(halt_message(&reason))),
        };
        // What it used is a lower bound: refunds come after the fact and calls keep 1/64 back (EIP-150).
        let mut lowest = used.saturating_sub(1);
        let optimistic = (peak + CALL_STIPEND) * 64 / 63;
        let mut probe = if optimistic < highest { optimistic } else { middle(lowest, highest) };
        while lowest + 1 < highest && (highest - lowest) * 1_000 > highest * ESTIMATE_TOLERANCE_PERMILLE {
            match attempt(probe) {
                Ok(result) if result.is_success() => highest = probe,
                // Too little gas shows as a halt, as a revert of a caller that tolerates it, or as a refused limit.
                Ok(_) | Err(RpcError::Refused(_)) => lowest = probe,
                Err(error) => return Err(error),
            }
            probe = middle(lowest, highest);
        }
        Ok(highest)
    }

    /// The accounts and slots `request` touches, and its gas when it declares them (EIP-2930).
    ///
    /// # Errors
    /// As [`Self::estimate`], but a revert is part of the answer.
    pub(super) fn access_list(mut self, request: TransactionRequest) -> RpcResult<AccessListResult> {
        let ceiling = self.env.block_env.gas_limit.min(self.env.cfg_env.tx_gas_limit_cap.unwrap_or(TX_GAS_LIMIT_CAP));
        let mut tx = self.transaction(request, ceiling)?;
        for _ in 0..ACCESS_LIST_ROUNDS {
            let inspector = AccessListInspector::new(tx.access_list.clone());
            let mut evm = EthEvmFactory::default().create_evm_with_inspector(&mut self.db, self.env.clone(), inspector);
            let result = run(&mut evm, tx.clone())?;
            let list = std::mem::take(evm.inspector_mut()).into_access_list();
            if list == tx.access_list {
                let error = match &result {
                    ExecutionResult::Success { .. } => None,
                    ExecutionResult::Revert { output, .. } => Some(RpcError::Reverted(output.clone()).to_string()),
                    ExecutionResult::Halt { reason, .. } => Some(halt_message(reason)),
                };
                let gas_used = U256::from(result.tx_gas_used());
                return Ok(AccessListResult { access_list: list, gas_used, error });
            }
            set_access_list(&mut tx, list);
        }
        Err(RpcError::refused("the access list does not settle"))
    }

    /// Fills in what `request` leaves out, and switches the base fee off if it names no price.
    fn transaction(&mut self, request: TransactionRequest, gas_cap: u64) -> RpcResult<TxEnv> {
        if request.blob_versioned_hashes.is_some() || request.sidecar.is_some() {
            return Err(RpcError::params("blob transactions are not accepted on this chain"));
        }
        let data = request.input.try_into_unique_input().map_err(RpcError::params)?.unwrap_or_default();
        let caller = request.from.unwrap_or_default();
        let nonce = match request.nonce {
            Some(nonce) => nonce,
            None => self.account_nonce(caller)?,
        };
        let fees = Fees::of(
            request.gas_price,
            request.max_fee_per_gas,
            request.max_priority_fee_per_gas,
            self.env.block_env.basefee,
        )?;
        if fees.price == 0 {
            self.env.block_env.basefee = 0;
        }
        let access_list = request.access_list.unwrap_or_default();
        let authorizations = request.authorization_list.unwrap_or_default();
        let tx_type = match (authorizations.is_empty(), fees.tip, access_list.0.is_empty()) {
            (false, _, _) => 4,
            (true, Some(_), _) => 2,
            (true, None, false) => 1,
            (true, None, true) => 0,
        };
        let mut tx = TxEnv {
            tx_type,
            caller,
            gas_limit: request.gas.unwrap_or(gas_cap).min(gas_cap),
            gas_price: fees.price,
            gas_priority_fee: fees.tip,
            kind: request.to.unwrap_or(TxKind::Create),
            value: request.value.unwrap_or_default(),
            data,
            nonce,
            chain_id: Some(request.chain_id.unwrap_or(self.env.cfg_env.chain_id)),
            access_list,
            authorization_list: authorizations.into_iter().map(Either::Left).collect(),
            ..TxEnv::default()
        };
        if fees.price > 0 && request.gas.is_none() {
            // Unsaid gas means as much as the sender can pay for.
            let allowance = caller_gas_allowance(&mut self.db, &tx).map_err(|error| match error {
                CallError::InsufficientFunds(_) => insufficient_funds(),
                CallError::Database(error) => RpcError::internal(error),
            })?;
            if allowance < TRANSFER_GAS {
                return Err(insufficient_funds());
            }
            tx.gas_limit = tx.gas_limit.min(allowance);
        }
        Ok(tx)
    }

    fn account_nonce(&self, account: Address) -> RpcResult<u64> {
        let info = self.db.basic_ref(account).map_err(RpcError::internal)?;
        Ok(info.map(|info| info.nonce).unwrap_or_default())
    }

    fn has_code(&self, account: Address) -> RpcResult<bool> {
        let info = self.db.basic_ref(account).map_err(RpcError::internal)?;
        Ok(info.is_some_and(|info| !info.is_empty_code_hash()))
    }
}

/// What a call offers per gas.
struct Fees {
    /// Legacy price or maximum fee, wei.
    price: u128,
    /// Maximum priority fee, wei; `None` for a legacy price.
    tip: Option<u128>,
}

impl Fees {
    fn of(price: Option<u128>, max_fee: Option<u128>, tip: Option<u128>, base_fee: u64) -> RpcResult<Self> {
        match (price, max_fee, tip) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                Err(RpcError::params("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"))
            }
            (price, None, None) => Ok(Self { price: price.unwrap_or_default(), tip: None }),
            (None, max_fee, tip) => {
                let tip = tip.unwrap_or_default();
                let price = max_fee.unwrap_or_else(|| tip.saturating_add(base_fee.into()));
                if tip > price {
                    return Err(RpcError::params(format!("maxFeePerGas ({price}) < maxPriorityFeePerGas ({tip})")));
                }
                Ok(Self { price, tip: Some(tip) })
            }
        }
    }
}

fn set_access_list(tx: &mut TxEnv, list: AccessList) {
    tx.access_list = list;
    // A legacy transaction cannot declare anything.
    tx.tx_type = tx.tx_type.max(1);
}

fn refuse_moved_precompiles(overrides: &StateOverride) -> RpcResult<()> {
    if overrides.values().any(|account| account.move_precompile_to.is_some()) {
        return Err(RpcError::params("movePrecompileToAddress is not supported"));
    }
    Ok(())
}

fn middle(low: u64, high: u64) -> u64 {
    low + (high - low) / 2
}

fn run<E>(evm: &mut E, tx: TxEnv) -> RpcResult<ExecutionResult>
where
    E: Evm<Tx = TxEnv, HaltReason = HaltReason>,
    E::Error: Into<EVMError<<E::DB as revm::Database>::Error>>,
{
    let caller = tx.caller;
    match evm.transact_raw(tx) {
        Ok(outcome) => Ok(outcome.result),
        Err(error) => Err(match error.into() {
            EVMError::Transaction(invalid) => RpcError::refused(invalid_message(caller, &invalid)),
            EVMError::Header(invalid) => RpcError::params(invalid),
            EVMError::Database(error) => RpcError::internal(error),
            other => RpcError::internal(format!("{other:?}")),
        }),
    }
}

/// go-ethereum's words, which clients match on.
fn invalid_message(caller: Address, invalid: &InvalidTransaction) -> String {
    match invalid {
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            format!("insufficient funds for gas * price + value: address {caller} have {balance} want {fee}")
        }
        InvalidTransaction::NonceTooLow { tx, state } => format!("nonce too low: next nonce {state}, tx nonce {tx}"),
        InvalidTransaction::NonceTooHigh { tx, state } => format!("nonce too high: next nonce {state}, tx nonce {tx}"),
        InvalidTransaction::GasPriceLessThanBasefee => "max fee per gas less than block base fee".to_owned(),
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}")
        }
        InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            format!("insufficient gas for floor data gas cost: have {gas_limit}, want {gas_floor}")
        }
        InvalidTransaction::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
        InvalidTransaction::InvalidChainId => "invalid chain id".to_owned(),
        other => other.to_string(),
    }
}

fn insufficient_funds() -> RpcError {
    RpcError::refused("insufficient funds for gas * price + value")
}

fn halt_message(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(_) => "out of gas".to_owned(),
        HaltReason::OpcodeNotFound | HaltReason::InvalidFEOpcode => "invalid opcode".to_owned(),
        HaltReason::InvalidJump => "invalid jump destination".to_owned(),
        HaltReason::CreateCollision => "contract address collision".to_owned(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".to_owned(),
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
        other => other.to_string(),
    }
}
