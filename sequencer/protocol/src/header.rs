//! Fields of an L2 header that carry a meaning of ours (protocol section 5).

pub use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, address, keccak256};

/// The L2 predeploy through which value leaves for L1.
pub const MESSAGE_PASSER: Address = address!("5e91000000000000000000000000000000000001");

/// First two bytes of every fee account.
const COINBASE_PREFIX: [u8; 2] = [0x5e, 0x90];

/// Most deposits one block credits.
pub const MAX_DEPOSITS_PER_BLOCK: usize = 64;

/// The unspendable account that collects the priority fees of operator `id`: `0x5e90 ‖ 0… ‖ id`.
///
/// Its value is `uint160(0x5e90) << 144 | id`.
pub fn coinbase(id: u32) -> Address {
    let mut bytes = [0; 20];
    bytes[..2].copy_from_slice(&COINBASE_PREFIX);
    bytes[16..].copy_from_slice(&id.to_be_bytes());
    Address::from(bytes)
}

/// The operator whose fee account is `address`, if it is one (id 0 belongs to nobody).
pub fn id_of_coinbase(address: Address) -> Option<u32> {
    let mut id = [0; 4];
    id.copy_from_slice(&address[16..]);
    let id = u32::from_be_bytes(id);
    (id != 0 && coinbase(id) == address).then_some(id)
}

/// Randomness of block `number` under the set with `seed`: `keccak256(seed ‖ u64(number))`.
pub fn prev_randao(seed: B256, number: u64) -> B256 {
    let mut input = [0; 40];
    input[..32].copy_from_slice(seed.as_slice());
    input[32..].copy_from_slice(&number.to_be_bytes());
    keccak256(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coinbase_round_trips_and_nothing_else_is_one() {
        for id in [1, 7, 0x0102_0304, u32::MAX] {
            assert_eq!(id_of_coinbase(coinbase(id)), Some(id));
        }
        assert_eq!(coinbase(5), address!("5e90000000000000000000000000000000000005"));
        assert_eq!(id_of_coinbase(coinbase(0)), None);
        assert_eq!(id_of_coinbase(address!("5e90000000000000000000000000000100000005")), None);
        assert_eq!(id_of_coinbase(address!("5e91000000000000000000000000000000000005")), None);
        assert_eq!(id_of_coinbase(MESSAGE_PASSER), None);
    }

    #[test]
    fn requests_hash_is_sha256_of_nothing() {
        let expected = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(EMPTY_REQUESTS_HASH.to_string(), expected);
    }
}
