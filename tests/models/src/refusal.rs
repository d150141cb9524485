//! What a contract says when it refuses, selector and arguments.

use std::fmt;

use alloy_primitives::Bytes;
use alloy_sol_types::SolError;
use eyre::{Result, bail, ensure};

use crate::chain::Outcome;

/// A custom error as the model expects it.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    signature: &'static str,
    data: Bytes,
}

impl Refusal {
    /// Name of the error.
    pub fn name(&self) -> &'static str {
        self.signature.split('(').next().unwrap_or(self.signature)
    }

    /// The revert data: selector and encoded arguments.
    pub fn data(&self) -> &Bytes {
        &self.data
    }
}

impl<E: SolError> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self { signature: E::SIGNATURE, data: error.abi_encode().into() }
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.signature, self.data)
    }
}

/// Same outcome: the same return value, or the same error with the same arguments. Hands it on.
///
/// # Errors
/// If model and contract differ.
pub fn agree<T: PartialEq + fmt::Debug>(
    expected: std::result::Result<T, Refusal>,
    actual: Outcome<T>,
) -> Result<std::result::Result<T, Refusal>> {
    match (expected, actual) {
        (Ok(expected), Ok(actual)) => {
            ensure!(actual == expected, "it returned {actual:?}, the model says {expected:?}");
            Ok(Ok(actual))
        }
        (Err(refusal), Err(data)) => {
            ensure!(data == *refusal.data(), "it reverted with {data}, the model says {refusal:?}");
            Ok(Err(refusal))
        }
        (Err(refusal), Ok(actual)) => bail!("it returned {actual:?}, the model says {refusal:?}"),
        (Ok(expected), Err(data)) => bail!("it reverted with {data}, the model says {expected:?}"),
    }
}
