//! Why the pool refuses a transaction, in the words that clients match on.

use alloy_primitives::U256;

use crate::store::StoreError;

/// Why the pool takes no transactions for now; what it holds goes on into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Busy {
    /// Blocks pile up in memory.
    #[error("the node is catching up")]
    Storage = 1,
    /// Batches pile up because L1 takes them more slowly than blocks fill them.
    #[error("too many batches are not confirmed on L1; try again later")]
    Posting = 2,
}

/// Why the pool refuses a transaction. The text begins as go-ethereum's does: clients tell errors apart by it.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The same transaction is in the pool.
    #[error("already known")]
    AlreadyKnown,
    /// The account has used this nonce.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The account's nonce.
        next: u64,
        /// The transaction's.
        nonce: u64,
    },
    /// Nonce 2^64 − 1 cannot be used (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// Same sender and nonce as a pooled transaction, but less than 10 % more per gas.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// Below the pool's minimum, or below everything in a full pool.
    #[error("transaction underpriced")]
    Underpriced,
    /// The sender cannot pay for gas and value of this and its other pooled transactions.
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, queued cost {queued}")]
    InsufficientFunds {
        /// Balance, wei.
        balance: U256,
        /// This transaction, wei.
        cost: U256,
        /// The sender's other pooled transactions, wei.
        queued: U256,
    },
    /// More gas than a block has.
    #[error("exceeds block gas limit")]
    ExceedsBlockGas,
    /// More gas than a transaction may have (EIP-7825).
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasTooHigh {
        /// Limit per transaction.
        cap: u64,
        /// The transaction's.
        gas: u64,
    },
    /// Less gas than the transaction costs before anything runs.
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas {
        /// Gas limit of the transaction.
        have: u64,
        /// Least gas.
        want: u64,
    },
    /// Less gas than its data costs at least (EIP-7623).
    #[error("insufficient gas for floor data gas cost: have {have}, want {want}")]
    FloorGas {
        /// Gas limit of the transaction.
        have: u64,
        /// Least gas.
        want: u64,
    },
    /// The tip exceeds the whole price.
    #[error("max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {fee}")]
    TipAboveFee {
        /// Wei per gas.
        tip: u128,
        /// Wei per gas.
        fee: u128,
    },
    /// Larger than any block can take.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Bytes.
        size: usize,
        /// Bytes.
        limit: usize,
    },
    /// Initcode longer than EIP-3860 allows.
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitcodeTooLong {
        /// Bytes.
        size: usize,
        /// Bytes.
        limit: usize,
    },
    /// Blob transactions have no place on L2.
    #[error("transaction type not supported")]
    TypeNotSupported,
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    WrongChain {
        /// The transaction's.
        have: u64,
        /// This chain's.
        want: u64,
    },
    /// No chain id: anyone could replay it elsewhere.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// An EIP-7702 transaction that authorizes nothing.
    #[error("EIP-7702 transaction with empty auth list")]
    EmptyAuthorizations,
    /// The signature recovers to nobody.
    #[error("invalid sender")]
    InvalidSender,
    /// Not an EIP-2718 transaction.
    #[error("{0}")]
    Malformed(String),
    /// The sender has as many pooled transactions as one may have.
    #[error("account limit exceeded: pooled {limit} txs")]
    AccountLimit {
        /// Transactions per sender.
        limit: usize,
    },
    /// Full of transactions that pay no less.
    #[error("txpool is full")]
    Full,
    /// The node takes no transactions for now.
    #[error("txpool is full: {0}")]
    Busy(Busy),
    /// The state could not be read.
    #[error("internal error: {0}")]
    Store(#[from] StoreError),
}
