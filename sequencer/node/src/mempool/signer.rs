//! Who signed a transaction.

use alloy_consensus::crypto::SECP256K1N_HALF;
use alloy_primitives::{Address, B256};
use revm::precompile::crypto;

use crate::chain::Transaction;

/// Recovers the signer; `None` if the signature is invalid, high s (EIP-2) included.
///
/// This is what [`alloy_consensus::transaction::SignerRecoverable`] does, by the C library that the EVM's `ecrecover`
/// uses as well: recovery is the most expensive step of a transfer, and that library is several times faster.
pub(crate) fn recover_signer(transaction: &Transaction) -> Option<Address> {
    let signature = transaction.signature();
    if signature.s() > SECP256K1N_HALF {
        return None;
    }
    let mut bytes = [0u8; 64];
    bytes[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    bytes[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let hash = transaction.signature_hash();
    let word = crypto().secp256k1_ecrecover(&bytes, u8::from(signature.v()), &hash.0).ok()?;
    Some(Address::from_word(B256::from(word)))
}

#[cfg(test)]
mod tests {
    use alloy_consensus::transaction::SignerRecoverable;
    use alloy_primitives::{Signature, U256};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::execution::tests::fixture::{CHAIN_ID, Call, signer};

    #[test]
    fn recovers_what_alloy_recovers() {
        let alice = signer(0);
        for transaction in [
            Call::default().sign(&alice),
            Call::default().sign_legacy(&alice, Some(CHAIN_ID)),
            Call::default().sign_legacy(&alice, None),
        ] {
            assert_eq!(recover_signer(&transaction), Some(alice.address()));
        }
        // Random signatures: mostly of nobody, sometimes of a random key, half of them with a high s.
        let Transaction::Eip1559(signed) = Call::default().sign(&alice) else { panic!("not EIP-1559") };
        let mut rng = StdRng::seed_from_u64(7);
        let mut recovered = 0;
        for case in 0..60 {
            let s = U256::from_be_bytes(rng.random::<[u8; 32]>()) >> (case % 3);
            let r = if case == 0 { U256::ZERO } else { U256::from_be_bytes(rng.random::<[u8; 32]>()) };
            let signature = Signature::new(r, s, rng.random());
            let transaction =
                Transaction::Eip1559(alloy_consensus::Signed::new_unhashed(signed.tx().clone(), signature));
            let expected = SignerRecoverable::recover_signer(&transaction).ok();
            recovered += usize::from(expected.is_some());
            assert_eq!(recover_signer(&transaction), expected, "case {case}: {signature:?}");
        }
        assert!(recovered > 5, "{recovered}");
    }
}
