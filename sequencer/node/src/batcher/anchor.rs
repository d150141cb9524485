//! Making an old L1 block known to `BatchChain`.
//!
//! L1 tells contracts the hashes of its last 8191 blocks. A batch that is posted later needs its origin anchored by the
//! chain of headers down from a block that is known, piece by piece.

use alloy::{eips::BlockNumberOrTag, providers::Provider};
use alloy_primitives::{Address, Bytes};
use alloy_sol_types::SolCall;
use futures::FutureExt;
use rota_bindings::BatchChain;

use super::submit::{SubmitError, Submitter};
use crate::l1::L1Error;

/// Headers in one transaction: about 40 kB.
const PIECE: u64 = 64;
/// Deepest block that is anchored by headers, about two weeks of Ethereum: beyond it somebody has to pay attention.
const MAX_DEPTH: u64 = 100_000;

impl Submitter {
    /// Anchors L1 block `number` in `contract`; false if it was anchored already.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub(super) async fn anchor_by_headers(&self, contract: Address, number: u64) -> Result<bool, SubmitError> {
        if !self.view(contract, BatchChain::anchorOfCall { l1Block: number }).await?.is_zero() {
            return Ok(false);
        }
        // The parent of the newest block is surely known to L1 when the transaction is executed.
        let mut descendant = self.newest_block().await?.saturating_sub(1);
        if descendant <= number || descendant - number > MAX_DEPTH {
            return Err(L1Error::Rpc(format!("L1 block {number} cannot be anchored from block {descendant}")).into());
        }
        tracing::warn!(number, from = descendant, "anchoring an old L1 block by its descendants' headers");
        let call = BatchChain::anchorCall { l1Block: descendant }.abi_encode();
        self.send(contract, call.into(), || async { false }.boxed()).await?;
        while descendant > number {
            let last = descendant.saturating_sub(PIECE).max(number) + 1;
            let mut headers = Vec::new();
            for block in (last..=descendant).rev() {
                headers.push(self.header_rlp(block).await?);
            }
            let call = BatchChain::anchorAncestorCall { descendant, headers }.abi_encode();
            self.send(contract, call.into(), || async { false }.boxed()).await?;
            descendant = last - 1;
        }
        Ok(true)
    }

    async fn newest_block(&self) -> Result<u64, SubmitError> {
        self.ask(|l1| async move { l1.get_block_number().await }).await
    }

    async fn header_rlp(&self, number: u64) -> Result<Bytes, SubmitError> {
        let block =
            self.ask(|l1| async move { l1.get_block_by_number(BlockNumberOrTag::Number(number)).await }).await?;
        let header = block.ok_or_else(|| L1Error::Rpc(format!("no L1 block {number}")))?.header;
        if header.inner.hash_slow() != header.hash {
            return Err(L1Error::Rpc(format!("L1 block {number} has a header this release does not know")).into());
        }
        Ok(alloy_rlp::encode(&header.inner).into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alloy::providers::{ProviderBuilder, ext::AnvilApi};
    use alloy_primitives::B256;
    use rota_bindings::generated::batch_chain::IBatchChain::Config;

    use super::*;
    use crate::{
        keys,
        l1::{HttpSource, tests::anvil},
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn an_old_block_is_anchored_piece_by_piece() {
        let anvil = anvil();
        let source = Arc::new(HttpSource::new(&[anvil.endpoint()], vec![]).unwrap());
        let l1 = source.provider().clone();
        let signer = keys::development_signer(0).unwrap();
        // Neighbours of the contract have no part in anchoring.
        let neighbour = Address::repeat_byte(1);
        let config = Config {
            genesis: 1,
            epochSeconds: 20,
            l2ChainId: 7,
            l2GenesisHash: B256::repeat_byte(7),
            challengeWindow: 10,
            maxSetAge: 2,
        };
        let deployer = ProviderBuilder::new().wallet(signer.clone()).connect_http(anvil.endpoint_url());
        let contract = BatchChain::deploy(&deployer, config, neighbour, neighbour, neighbour, neighbour).await.unwrap();
        let submitter = Submitter::new(source, signer, anvil.chain_id(), u64::MAX);
        let old = l1.get_block_number().await.unwrap();
        let pieces = 2 * PIECE + 9;
        l1.anvil_mine(Some(pieces), Some(1)).await.unwrap();

        assert!(submitter.anchor_by_headers(*contract.address(), old).await.unwrap());
        let hash = l1.get_block_by_number(BlockNumberOrTag::Number(old)).await.unwrap().unwrap().header.hash;
        assert_eq!(contract.anchorOf(old).call().await.unwrap(), hash);
        // The anchor of the descendant, then three pieces.
        assert_eq!(l1.get_block_number().await.unwrap(), old + pieces + 4);
        // Done is done.
        assert!(!submitter.anchor_by_headers(*contract.address(), old).await.unwrap());
        assert_eq!(l1.get_block_number().await.unwrap(), old + pieces + 4);
    }
}
