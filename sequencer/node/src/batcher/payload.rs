//! What `BatchChain.post` takes, rebuilt from the decided chain.

use alloy_primitives::{Bytes, keccak256};
use alloy_sol_types::SolValue;
use rota_bindings::{BatchChain, types};
use rota_protocol::{
    batch::{RangeBlock, RangeError, encode_range},
    certificate::CommitCertificate,
    member::FrozenSet,
};

use crate::{
    chain::{DecidedChain, EngineError},
    sealed::Sealed,
};

/// Why a sealed batch cannot be rebuilt: storage failed or a defect.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] EngineError),
    /// A block that the batch needs is not stored.
    #[error("block {0} is not stored")]
    Missing(u64),
    /// The range has no encoding.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The rebuilt data is not what the block's certificate covers.
    #[error("the data of batch {0} does not hash to its header")]
    Data(u64),
    /// The header does not have the ABI form.
    #[error("batch header: {0}")]
    Abi(#[from] alloy_sol_types::Error),
}

/// The call that posts `sealed`, certified by members of `set`.
///
/// # Errors
/// See [`PayloadError`].
pub fn post_call(
    chain: &dyn DecidedChain,
    sealed: &Sealed,
    set: &FrozenSet,
) -> Result<BatchChain::postCall, PayloadError> {
    let header = &sealed.batch.header;
    let decided = |number| chain.decided(number)?.ok_or(PayloadError::Missing(number));
    let blocks = (header.firstBlock..=header.lastBlock).map(|number| {
        let decided = decided(number)?;
        Ok(RangeBlock::new(&decided.block.block, decided.context.origin.number)?)
    });
    let data = encode_range(header.firstBlock, &blocks.collect::<Result<Vec<_>, PayloadError>>()?)?;
    if keccak256(&data) != header.dataHash {
        return Err(PayloadError::Data(header.index));
    }
    let sealing = decided(sealed.block)?;
    Ok(BatchChain::postCall {
        // One Solidity struct in two Rust types: its ABI form is the same by definition.
        header: types::BatchHeader::abi_decode(&header.abi_encode())?,
        sealingHeaderRlp: alloy_rlp::encode(sealing.block.header()).into(),
        certificate: certificate(&sealing.certificate.trimmed(set)),
        members: set.encode_members().into(),
        data,
    })
}

fn certificate(certificate: &CommitCertificate) -> types::CommitCertificate {
    types::CommitCertificate {
        fork: certificate.fork,
        epoch: certificate.epoch,
        height: certificate.height,
        round: certificate.round,
        blockHash: certificate.block_hash,
        signers: certificate.signers,
        signatures: Bytes::from(certificate.signature_bytes()),
    }
}
