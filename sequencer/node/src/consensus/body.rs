//! Encoded blocks, as they travel between nodes.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, proofs};
use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable};
use bytes::Bytes;

use crate::chain::{Block, SealedBlock};

/// The RLP of a block.
pub fn encode(block: &SealedBlock) -> Bytes {
    let mut out = Vec::with_capacity(block.block.length());
    block.block.encode(&mut out);
    out.into()
}

/// Decodes a block and binds every byte of it to its hash, so that a verdict on the body is a verdict on the hash: else
/// whoever relays a body could spoil an honest block by changing a transaction.
///
/// `None` if the bytes are not exactly such a block.
pub fn decode(body: &[u8]) -> Option<SealedBlock> {
    let mut rest = body;
    let block = Block::decode(&mut rest).ok().filter(|_| rest.is_empty())?;
    let withdrawals_root = block.body.withdrawals.as_ref().map(|list| proofs::calculate_withdrawals_root(list));
    let bound = block.header.transactions_root == proofs::calculate_transaction_root(&block.body.transactions)
        && block.header.withdrawals_root == withdrawals_root
        && block.header.ommers_hash == EMPTY_OMMER_ROOT_HASH
        && block.body.ommers.is_empty();
    let block = SealedBlock::new(block);
    (bound && encode(&block) == body).then_some(block)
}

/// [`decode`], and the block has the hash it was announced by.
pub fn decode_as(body: &[u8], hash: B256) -> Option<SealedBlock> {
    decode(body).filter(|block| block.hash == hash)
}
