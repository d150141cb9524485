//! Errors as Ethereum clients expect them: code, text they match on, revert bytes.

use std::time::Duration;

use alloy_primitives::{B256, Bytes};
use alloy_sol_types::{Revert, SolError};
use jsonrpsee::types::{
    ErrorObjectOwned,
    error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE},
};

use crate::{mempool::PoolError, store::StoreError};

/// Result of an RPC method.
pub(super) type RpcResult<T> = Result<T, RpcError>;

/// Code of a reverted call (go-ethereum, ethers and viem read it).
const REVERTED_CODE: i32 = 3;
/// Code of everything the node refuses or cannot do (EIP-1474, "invalid input").
const SERVER_ERROR_CODE: i32 = -32000;
/// Code of a transaction that was sent but not decided in time (EIP-7966).
const SYNC_TIMEOUT_CODE: i32 = 4;
/// Code of a request above a limit (EIP-1474).
const LIMIT_EXCEEDED_CODE: i32 = -32005;

/// Why a method did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RpcError {
    /// A parameter that no state of the chain could make acceptable.
    #[error("{0}")]
    InvalidParams(String),
    /// The call executed and reverted with these bytes.
    #[error("{}", revert_message(.0))]
    Reverted(Bytes),
    /// The chain's state makes the request impossible: unknown block, refused transaction, failed execution.
    #[error("{0}")]
    Refused(String),
    /// More than this node is willing to do for one request.
    #[error("{0}")]
    LimitExceeded(String),
    /// The transaction was taken, but not decided within the time the caller gave (EIP-7966).
    #[error("transaction {0} was added to the mempool but not decided within {timeout} ms", timeout = .1.as_millis())]
    Pending(B256, Duration),
    /// Storage failed or the node is defective.
    #[error("internal error")]
    Internal(String),
}

impl RpcError {
    /// A parameter error.
    pub(super) fn params(message: impl ToString) -> Self {
        Self::InvalidParams(message.to_string())
    }

    /// A refusal.
    pub(super) fn refused(message: impl ToString) -> Self {
        Self::Refused(message.to_string())
    }

    /// A failure of the node itself; the text goes to the log, never to the client.
    pub(super) fn internal(message: impl ToString) -> Self {
        Self::Internal(message.to_string())
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        let message = error.to_string();
        match error {
            RpcError::InvalidParams(_) => Self::owned(INVALID_PARAMS_CODE, message, None::<()>),
            RpcError::Reverted(data) => Self::owned(REVERTED_CODE, message, Some(data)),
            RpcError::Refused(_) => Self::owned(SERVER_ERROR_CODE, message, None::<()>),
            RpcError::LimitExceeded(_) => Self::owned(LIMIT_EXCEEDED_CODE, message, None::<()>),
            RpcError::Pending(hash, _) => Self::owned(SYNC_TIMEOUT_CODE, message, Some(hash)),
            RpcError::Internal(reason) => {
                tracing::error!(reason, "rpc request failed");
                Self::owned(INTERNAL_ERROR_CODE, message, None::<()>)
            }
        }
    }
}

impl From<PoolError> for RpcError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Store(error) => error.into(),
            refused => Self::refused(refused),
        }
    }
}

impl From<StoreError> for RpcError {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

/// `execution reverted`, with the text of `Error(string)` and the meaning of `Panic(uint256)` when there is one.
fn revert_message(data: &Bytes) -> String {
    let reason = Revert::abi_decode(data).map(|revert| revert.reason).or_else(|_| {
        alloy_sol_types::Panic::abi_decode(data).map(|panic| match panic.kind() {
            Some(kind) => kind.as_str().to_owned(),
            None => format!("panic code {:#x}", panic.code),
        })
    });
    match reason {
        Ok(reason) => format!("execution reverted: {reason}"),
        Err(_) => "execution reverted".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{U256, bytes};

    use super::*;

    #[test]
    fn revert_carries_code_reason_and_raw_bytes() {
        let data: Bytes = Revert::from("not yours").abi_encode().into();
        let object = ErrorObjectOwned::from(RpcError::Reverted(data.clone()));
        assert_eq!(object.code(), 3);
        assert_eq!(object.message(), "execution reverted: not yours");
        assert_eq!(object.data().unwrap().get(), format!("\"{data}\""));
    }

    #[test]
    fn revert_without_reason_has_no_colon() {
        assert_eq!(RpcError::Reverted(Bytes::new()).to_string(), "execution reverted");
        assert_eq!(RpcError::Reverted(bytes!("deadbeef")).to_string(), "execution reverted");
    }

    #[test]
    fn panic_is_named() {
        let data = alloy_sol_types::Panic { code: U256::from(0x11) }.abi_encode();
        let message = RpcError::Reverted(data.into()).to_string();
        assert!(message.starts_with("execution reverted: ") && message.contains("overflow"), "{message}");
    }

    #[test]
    fn internal_reason_stays_inside() {
        let object = ErrorObjectOwned::from(RpcError::internal("disk 7 on fire"));
        assert_eq!((object.code(), object.message()), (INTERNAL_ERROR_CODE, "internal error"));
    }
}
