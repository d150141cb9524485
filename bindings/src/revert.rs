//! What a contract said when it refused.

use std::fmt;

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{Panic, Revert, SolError, SolInterface};

use crate::{generated::errors, hints};

/// The reason of a revert. Its display is the contract's own error with its values, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotaError {
    /// A custom error of one of the contracts.
    Contract(Box<errors::Rota::RotaErrors>),
    /// `revert("reason")`: from a token or another foreign contract.
    Message(String),
    /// A failed assertion of the compiler, by its code.
    Panic(U256),
    /// Reverted without data: out of gas, or a call to an address without code.
    Empty,
    /// Data that no contract of this release produces.
    Unknown(Bytes),
}

/// Decodes the return data of a reverted call.
pub fn decode_revert(data: &[u8]) -> RotaError {
    if data.is_empty() {
        return RotaError::Empty;
    }
    if let Ok(error) = errors::Rota::RotaErrors::abi_decode(data) {
        return RotaError::Contract(Box::new(error));
    }
    if let Ok(revert) = Revert::abi_decode(data) {
        return RotaError::Message(revert.reason);
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return RotaError::Panic(panic.code);
    }
    RotaError::Unknown(Bytes::copy_from_slice(data))
}

impl RotaError {
    /// The reason inside an error of an alloy contract call; `None` if the call failed otherwise (transport, nonce, …).
    pub fn from_call(error: &alloy::contract::Error) -> Option<Self> {
        error.as_revert_data().map(|data| decode_revert(&data))
    }

    /// The contract error's name, such as `StakeVault_BelowMinimum`.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::Contract(error) => Some(errors::name(error)),
            _ => None,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Empty => Some("the call ran out of gas, or there is no contract at that address on this chain"),
            Self::Unknown(_) => Some("the contract is newer than these bindings, or not one of Rota's"),
            Self::Contract(_) | Self::Message(_) | Self::Panic(_) => self.name().and_then(hints::hint),
        }
    }
}

impl fmt::Display for RotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contract(error) => {
                let arguments = errors::arguments(error);
                let shown: Vec<_> = arguments.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                write!(f, "{}({})", errors::name(error), shown.join(", "))?;
            }
            Self::Message(reason) => write!(f, "{reason}")?,
            Self::Panic(code) => write!(f, "panic {code:#x}")?,
            Self::Empty => write!(f, "reverted without a reason")?,
            Self::Unknown(data) => write!(f, "unknown revert {data}")?,
        }
        match self.hint() {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RotaError {}
