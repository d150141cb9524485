//! Small contracts in EVM assembly, each with one behaviour worth asking about.

use alloy_primitives::{Address, Bytes, U256, hex};

/// Wraps runtime code into init code that returns it.
pub(crate) fn init(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).expect("test contracts are short");
    // PUSH1 length, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN
    let mut code = vec![0x60, length, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3];
    code.extend_from_slice(runtime);
    code.into()
}

/// Reverts with its calldata.
pub(crate) const REVERTER: [u8; 7] = hex!("365f5f37365ffd");

/// Returns its calldata.
pub(crate) const ECHO: [u8; 7] = hex!("365f5f37365ff3");

/// Executes the INVALID opcode.
pub(crate) const INVALID: [u8; 1] = hex!("fe");

/// Writes the first word of its calldata to slot 0.
pub(crate) const STORE: [u8; 5] = hex!("5f355f5500");

/// Emits two logs without data, each with the first word of its calldata as topic.
pub(crate) const LOGGER: [u8; 11] = hex!("5f355f5fa15f355f5fa100");

/// Returns NUMBER, TIMESTAMP, BASEFEE, GASPRICE, CHAINID, COINBASE and the balance of its caller, a word each.
pub(crate) const ENVIRONMENT: [u8; 32] = hex!("435f5242602052486040523a606052466080524160a052333160c05260e05ff3");

/// Calls `target` with its own calldata and all gas, and reverts when that fails.
pub(crate) fn forwarder(target: Address) -> Vec<u8> {
    // Copy the calldata; CALL(gas, target, 0, 0, calldatasize, 0, 0); jump over the revert if it succeeded.
    let mut code = hex!("365f5f375f5f365f5f73").to_vec();
    code.extend_from_slice(target.as_slice());
    code.extend_from_slice(&hex!("5af16026575f5ffd5b00"));
    code
}

/// A word holding `value`.
pub(crate) fn word(value: u64) -> Bytes {
    U256::from(value).to_be_bytes_vec().into()
}
