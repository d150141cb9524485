//! What happens in a history of stake.

use alloy_primitives::U256;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use super::{
    model::{ALL_LATER, WAD},
    world::StakeWorld,
};

/// How much of a holding.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// All of it.
    All,
    /// So many of 65,536 parts.
    Of(u16),
    /// So many wei.
    Exactly(u8),
    /// All and so many wei more.
    Beyond(u8),
}

impl Part {
    /// The part of `whole`.
    pub fn of(self, whole: U256) -> U256 {
        match self {
            Self::All => whole,
            Self::Of(parts) => (whole >> 16) * U256::from(parts),
            Self::Exactly(wei) => U256::from(wei),
            Self::Beyond(wei) => whole + U256::from(wei),
        }
    }

    /// A random part.
    pub fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..10) {
            0..4 => Self::All,
            4..8 => Self::Of(random.random()),
            8 => Self::Exactly(random.random_range(0..4)),
            _ => Self::Beyond(random.random_range(1..3)),
        }
    }
}

/// One thing somebody does. People and operators are numbers, epochs are counted back from the present; `pick` chooses
/// among the holdings there are at the time.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Operation {
    Delegate { who: usize, id: u32, amount: U256 },
    Undelegate { pick: u16, part: Part },
    UndelegateFrom { who: usize, id: u32, part: Part },
    Claim { pick: u16 },
    ClaimFrom { who: usize, id: u32, back: u32 },
    Slash { id: u32, back: i32, span: u32, fraction: U256 },
    SlashByStranger { id: u32 },
    Jail { id: u32 },
    Unjail { id: u32 },
    Retire { id: u32 },
    Tombstone { id: u32 },
    HandOver { id: u32, to: usize },
    SetMaxPool { limit: U256 },
    SetOwnerRoom { room: U256 },
    Pause { seconds: u64 },
    Donate { amount: U256 },
    Advance { seconds: u64 },
}

impl Operation {
    /// A random operation.
    pub fn draw(random: &mut StdRng) -> Self {
        let who = random.random_range(0..StakeWorld::PEOPLE);
        // Two operators meet most of it, one more number is nobody's.
        let id = *[1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4].choose(random).unwrap_or(&1);
        match random.random_range(0..1000) {
            0..270 => Self::Delegate { who, id, amount: amount(random) },
            270..440 => Self::Undelegate { pick: random.random(), part: Part::draw(random) },
            440..450 => Self::UndelegateFrom { who, id, part: Part::draw(random) },
            450..610 => Self::Claim { pick: random.random() },
            610..620 => Self::ClaimFrom { who, id, back: random.random_range(0..9) },
            620..740 => Self::Slash { id, back: back(random), span: span(random), fraction: fraction(random) },
            740..745 => Self::SlashByStranger { id },
            745..753 => Self::Jail { id },
            753..763 => Self::Unjail { id },
            763..765 => Self::Retire { id },
            765..767 => Self::Tombstone { id },
            767..775 => Self::HandOver { id, to: who },
            775..780 => Self::SetMaxPool { limit: limit(random) },
            780..790 => Self::SetOwnerRoom { room: U256::from(random.random_range(0..2000u64)) * WAD },
            790..793 => Self::Pause { seconds: random.random_range(1..3 * 86_400) },
            793..800 => Self::Donate { amount: amount(random).min(WAD) },
            _ => Self::Advance { seconds: seconds(random) },
        }
    }
}

/// Dust, round and odd sums, and sums near and beyond what a pool takes, token wei.
pub fn amount(random: &mut StdRng) -> U256 {
    match random.random_range(0..20) {
        0 => U256::ZERO,
        1..4 => U256::from(random.random_range(1..10u64)),
        4..10 => U256::from(random.random_range(1..1000u64)) * WAD,
        10..17 => U256::from(random.random_range(1..u128::from(u64::MAX) * 100)),
        17..19 => StakeWorld::MAX_POOL - U256::from(random.random_range(0..u128::from(u64::MAX) * 100)),
        _ => U256::MAX,
    }
}

fn limit(random: &mut StdRng) -> U256 {
    match random.random_range(0..8) {
        0 => U256::ZERO,
        1 => U256::MAX,
        _ => U256::from(random.random_range(100..100_000u64)) * WAD,
    }
}

/// How far back the set of a fault lies; negative: in the future.
pub fn back(random: &mut StdRng) -> i32 {
    match random.random_range(0..10) {
        0..6 => random.random_range(0..4),
        6..9 => random.random_range(0..12),
        _ => -1,
    }
}

/// How many sets a slash is about: all later ones, a few, or none.
pub fn span(random: &mut StdRng) -> u32 {
    match random.random_range(0..10) {
        0..6 => ALL_LATER,
        6..9 => random.random_range(1..4),
        _ => random.random_range(0..12),
    }
}

/// A wei, the rates the slasher knows, all, anything, and what no slasher may ask.
pub fn fraction(random: &mut StdRng) -> U256 {
    match random.random_range(0..20) {
        0..2 => U256::ONE,
        2..7 => U256::from(50_000_000_000_000_000u64),
        7..10 => U256::from(562_500_000_000_000_000u64),
        10..13 => WAD,
        13 => WAD - U256::ONE,
        14 => U256::ZERO,
        15 => WAD + U256::ONE,
        _ => U256::from(random.random_range(1..1_000_000_000_000_000_000u64)),
    }
}

/// Up to four epochs, and odd times within one.
pub fn seconds(random: &mut StdRng) -> u64 {
    let epochs = *[0, 0, 1, 1, 2, 3, 4].choose(random).unwrap_or(&0);
    epochs * StakeWorld::EPOCH_SECONDS
        + if random.random() { random.random_range(0..StakeWorld::EPOCH_SECONDS) } else { 0 }
}
