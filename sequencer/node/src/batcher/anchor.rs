//! Making an old L1 block known to `BatchChain`.
//!
//! L1 tells contracts the hashes of its last 8191 blocks. A batch that is posted later needs its origin anchored by the
//! chain of headers down from a block that is known, piece by piece.

use alloy::{eips::BlockNumberOrTag, providers::Provider, rpc::types::Filter};
use alloy_primitives::{Address, Bytes};
use alloy_sol_types::{SolCall, SolEvent};
use futures::FutureExt;
use rota_bindings::BatchChain;

use super::submit::{SubmitError, Submitter};
use crate::l1::L1Error;

/// Headers in one transaction: about 40 kB.
const PIECE: u64 = 64;
/// Deepest block that is anchored by headers, about two weeks of Ethereum: beyond it somebody has to pay attention.
const MAX_DEPTH: u64 = 100_000;

/// Largest block range of one log query; halved when an endpoint refuses it.
const LOG_RANGE: u64 = 2_000;

/// Whether block `number` can be reached from `descendant` at all.
fn check_depth(number: u64, descendant: u64) -> Result<(), L1Error> {
    match descendant.checked_sub(number) {
        Some(1..=MAX_DEPTH) => Ok(()),
        _ => Err(L1Error::Rpc(format!("L1 block {number} cannot be anchored from block {descendant}"))),
    }
}

impl Submitter {
    /// Anchors L1 block `number` in `contract`; false if it was anchored already.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub(super) async fn anchor_by_headers(&self, contract: Address, number: u64) -> Result<bool, SubmitError> {
        if !self.view(contract, BatchChain::anchorOfCall { l1Block: number }).await?.is_zero() {
            return Ok(false);
        }
        let newest = self.newest_block().await?;
        let mut descendant = match self.nearest_anchor(contract, number, newest).await {
            Some(anchored) => anchored,
            None => {
                // The parent of the newest block is surely known to L1 when the transaction is executed.
                let descendant = newest.saturating_sub(1);
                check_depth(number, descendant)?;
                let call = BatchChain::anchorCall { l1Block: descendant }.abi_encode();
                self.send(contract, call.into(), || async { false }.boxed()).await?;
                descendant
            }
        };
        check_depth(number, descendant)?;
        tracing::warn!(number, from = descendant, "anchoring an old L1 block by its descendants' headers");
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

    /// The lowest block above `number` that `contract` knows, as far as L1 tells: every freeze of a set anchors one, as
    /// does every piece. A search that fails makes anchoring dearer, not impossible.
    async fn nearest_anchor(&self, contract: Address, number: u64, newest: u64) -> Option<u64> {
        let (mut nearest, mut range) = (None, LOG_RANGE);
        // An anchor is younger than its block.
        let mut from = number + 1;
        while from <= newest {
            let to = newest.min(from.saturating_add(range - 1));
            let filter = Filter::new().address(contract).event_signature(BatchChain::L1Anchored::SIGNATURE_HASH);
            let filter = filter.from_block(from).to_block(to);
            let logs = match self.ask(|l1| async move { l1.get_logs(&filter).await }).await {
                Ok(logs) => logs,
                Err(error) if range > 1 => {
                    tracing::debug!(%error, range, "asking for anchors in fewer blocks");
                    range /= 2;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, from, to, "the search for a nearer anchor ends here");
                    break;
                }
            };
            for log in logs {
                let Ok(event) = BatchChain::L1Anchored::decode_log(&log.inner) else { continue };
                if event.number > number && nearest.is_none_or(|nearest| event.number < nearest) {
                    nearest = Some(event.number);
                }
            }
            from = to + 1;
        }
        nearest
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
    use alloy_node_bindings::AnvilInstance;
    use alloy_primitives::B256;
    use rota_bindings::generated::batch_chain::IBatchChain::Config;
    use rota_protocol::config::ContractsConfig;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        keys,
        l1::{
            HttpSource,
            tests::{anvil, relay},
        },
    };

    /// A fresh `BatchChain` whose neighbours, which have no part in anchoring, do not exist, on an L1 that tells the
    /// logs of at most `log_range` blocks at a time.
    async fn deploy(log_range: u64) -> (AnvilInstance, Submitter, Address) {
        let anvil = anvil();
        let refuse = move |request: &Value, answer: &mut Value| {
            let block = |key: &str| {
                let number = request["params"][0][key].as_str().unwrap();
                u64::from_str_radix(number.trim_start_matches("0x"), 16).unwrap()
            };
            if request["method"] == "eth_getLogs" && block("toBlock") - block("fromBlock") >= log_range {
                let error = json!({ "code": -32005, "message": "block range is too large" });
                *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": error });
            }
        };
        let endpoint = relay(anvil.endpoint_url(), |_| (), refuse).await;
        let source = Arc::new(HttpSource::new(&[endpoint], ContractsConfig::default()).unwrap());
        let signer = keys::development_signer(0).unwrap();
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
        (anvil, submitter, *contract.address())
    }

    async fn hash(l1: &impl Provider, number: u64) -> B256 {
        l1.get_block_by_number(BlockNumberOrTag::Number(number)).await.unwrap().unwrap().header.hash
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_old_block_is_anchored_piece_by_piece() {
        let (anvil, submitter, contract) = deploy(u64::MAX).await;
        let l1 = ProviderBuilder::new().connect_http(anvil.endpoint_url());
        let old = l1.get_block_number().await.unwrap();
        let pieces = 2 * PIECE + 9;
        l1.anvil_mine(Some(pieces), Some(1)).await.unwrap();

        assert!(submitter.anchor_by_headers(contract, old).await.unwrap());
        assert_eq!(BatchChain::new(contract, &l1).anchorOf(old).call().await.unwrap(), hash(&l1, old).await);
        // The anchor of the descendant, then three pieces.
        assert_eq!(l1.get_block_number().await.unwrap(), old + pieces + 4);
        // Done is done.
        assert!(!submitter.anchor_by_headers(contract, old).await.unwrap());
        assert_eq!(l1.get_block_number().await.unwrap(), old + pieces + 4);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn headers_begin_at_the_nearest_anchor_that_l1_tells() {
        // Any range, a small one, none at all.
        for (log_range, transactions) in [(u64::MAX, 1), (50, 1), (0, 9)] {
            headers_begin_at_the_nearest_anchor(log_range, transactions).await;
        }
    }

    async fn headers_begin_at_the_nearest_anchor(log_range: u64, transactions: u64) {
        let (anvil, submitter, contract) = deploy(log_range).await;
        let l1 = ProviderBuilder::new().connect_http(anvil.endpoint_url());
        let old = l1.get_block_number().await.unwrap();
        let anchor = async |number: u64| {
            let call = BatchChain::anchorCall { l1Block: number }.abi_encode();
            submitter.send(contract, call.into(), || async { false }.boxed()).await.unwrap().unwrap();
        };
        // Out of order, and one below the block that is wanted.
        l1.anvil_mine(Some(3 * PIECE), Some(1)).await.unwrap();
        anchor(old + 2 * PIECE).await;
        anchor(old + 5).await;
        anchor(old - 1).await;
        l1.anvil_mine(Some(4 * PIECE), Some(1)).await.unwrap();
        let before = l1.get_block_number().await.unwrap();
        assert!(submitter.anchor_by_headers(contract, old).await.unwrap());
        assert_eq!(BatchChain::new(contract, &l1).anchorOf(old).call().await.unwrap(), hash(&l1, old).await);
        assert_eq!(l1.get_block_number().await.unwrap(), before + transactions, "{log_range}");
    }
}
