//! Proof that whoever registers a consensus key holds it.

use alloy::{
    primitives::{Address, Bytes, U256},
    signers::{Signer, local::PrivateKeySigner},
};
use eyre::Result;
use rota_protocol::possession;

/// Signs, with the consensus key, that `owner` may register it; `nonce` is `registry.nonces(owner)`.
///
/// # Errors
/// When the key cannot sign.
pub async fn prove_possession(
    key: &PrivateKeySigner,
    l1_chain_id: u64,
    registry: Address,
    owner: Address,
    nonce: U256,
) -> Result<Bytes> {
    let digest = possession::digest(l1_chain_id, registry, owner, key.address(), nonce);
    Ok(key.sign_hash(&digest).await?.as_bytes().into())
}
