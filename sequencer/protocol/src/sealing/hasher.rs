//! keccak256 of a range that is still growing.

use std::fmt;

use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable};
use sha3::{
    Digest, Keccak256,
    digest::common::hazmat::{SerializableState, SerializedState},
};

/// A hasher whose unfinished state is stored with each block, so that neither the range's data nor its blocks are
/// needed to seal it.
#[derive(Clone, Default)]
pub(super) struct DataHasher(Keccak256);

impl DataHasher {
    /// The hasher after `data`.
    pub(super) fn with(mut self, data: &[u8]) -> Self {
        self.0.update(data);
        self
    }

    /// keccak256 of all data so far.
    pub(super) fn finish(&self) -> B256 {
        B256::from_slice(&self.0.clone().finalize())
    }
}

impl PartialEq for DataHasher {
    fn eq(&self, other: &Self) -> bool {
        self.0.serialize() == other.0.serialize()
    }
}

impl Eq for DataHasher {}

impl fmt::Debug for DataHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DataHasher").field(&self.finish()).finish()
    }
}

impl Encodable for DataHasher {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        self.0.serialize().as_slice().encode(out);
    }

    fn length(&self) -> usize {
        self.0.serialize().as_slice().length()
    }
}

impl Decodable for DataHasher {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        const MALFORMED: alloy_rlp::Error = alloy_rlp::Error::Custom("malformed hasher state");
        let bytes = alloy_rlp::Header::decode_bytes(buf, false)?;
        let state = SerializedState::<Keccak256>::try_from(bytes).map_err(|_| MALFORMED)?;
        Keccak256::deserialize(&state).map(Self).map_err(|_| MALFORMED)
    }
}
