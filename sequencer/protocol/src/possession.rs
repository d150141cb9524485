//! Proof that whoever registers a consensus key holds it: an EIP-712 signature of that key under the domain of
//! `SequencerRegistry` on L1.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{Eip712Domain, SolStruct};

mod typed {
    alloy_sol_types::sol! {
        struct ProofOfPossession { address owner; address signer; uint256 nonce; }
    }
}

/// What the key `signer` signs so that `owner` may register it; `nonce` is `registry.nonces(owner)`.
pub fn digest(l1_chain_id: u64, registry: Address, owner: Address, signer: Address, nonce: U256) -> B256 {
    let domain = Eip712Domain {
        name: Some("Rota Registry".into()),
        version: Some("1".into()),
        chain_id: Some(U256::from(l1_chain_id)),
        verifying_contract: Some(registry),
        salt: None,
    };
    typed::ProofOfPossession { owner, signer, nonce }.eip712_signing_hash(&domain)
}
