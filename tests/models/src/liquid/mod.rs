//! Liquid staking: `StakedToken` with its books, drip and instant exits, `ExitQueue`, `Allocator` and `CoverFund`, on the
//! real `StakeVault` and its model.

pub mod abi;
mod actions;
mod allocation;
mod fee;
mod model;
mod operation;
mod pair;
mod properties;
mod queue;
mod terms;
mod views;
mod world;

pub use fee::{Drip, InstantFee};
pub use model::{LiquidModel, after_slash};
pub use operation::{Operation, Size};
pub use pair::LiquidPair;
pub use terms::LiquidTerms;
pub use world::LiquidWorld;
