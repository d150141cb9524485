//! Proof that whoever registers a consensus key holds it.

use alloy::{
    primitives::{Address, Bytes, U256},
    signers::{Signer, local::PrivateKeySigner},
    sol_types::{Eip712Domain, SolStruct as _, eip712_domain},
};
use eyre::Result;

alloy::sol! {
    /// Signed by the consensus key under the registry's EIP-712 domain.
    struct ProofOfPossession {
        address owner;
        address signer;
        uint256 nonce;
    }
}

/// EIP-712 domain of a `SequencerRegistry`.
pub fn registry_domain(l1_chain_id: u64, registry: Address) -> Eip712Domain {
    eip712_domain! {
        name: "Rota Registry",
        version: "1",
        chain_id: l1_chain_id,
        verifying_contract: registry,
    }
}

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
    let message = ProofOfPossession { owner, signer: key.address(), nonce };
    let digest = message.eip712_signing_hash(&registry_domain(l1_chain_id, registry));
    Ok(key.sign_hash(&digest).await?.as_bytes().into())
}
