//! BFT consensus among the frozen set: the Malachite engine, its signer with slashing protection, and the loop that
//! joins it to execution and to the chain's rules.

pub mod rules;
