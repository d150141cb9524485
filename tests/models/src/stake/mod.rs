//! `StakeVault`: pools, cohorts and slashes (protocol section 2).

mod model;
mod operation;
mod pair;
mod properties;
mod world;

pub use model::{ALL_LATER, Cohort, Holder, Operator, Pool, SlashEntry, StakeModel, Status, StatusChange, Trace, WAD};
pub use operation::{Operation, Part, amount, back, span};
pub use pair::StakePair;
pub use properties::{Cause, check_properties};
pub use world::{DEPLOYER, ESCROW, SEQUENCER_SET, SLASHER, StakeWorld, Terms};
