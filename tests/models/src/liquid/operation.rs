//! What happens in a history of liquid staking.

use alloy_primitives::U256;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use crate::stake::{self, Part, StakeWorld, WAD};

/// How much: a part of the most that is allowed, or so much whatever is allowed.
#[derive(Clone, Copy, Debug)]
pub enum Size {
    /// Part of the maximum.
    OfMaximum(Part),
    /// Wei.
    Wei(U256),
}

impl Size {
    /// The amount.
    pub fn of(self, maximum: U256) -> U256 {
        match self {
            Self::OfMaximum(part) => part.of(maximum),
            Self::Wei(wei) => wei,
        }
    }

    fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..10) {
            0..5 => Self::OfMaximum(Part::draw(random)),
            5 => Self::Wei(U256::from(random.random_range(0..10u64))),
            _ => Self::Wei(U256::from(random.random_range(1..2000 * 10u128.pow(18)))),
        }
    }
}

/// One thing somebody does. People and operators are numbers; `pick` chooses among what there is at the time.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Operation {
    Deposit { who: usize, size: Size },
    Mint { who: usize, size: Size },
    DepositAtQueue { who: usize, size: Size },
    Withdraw { who: usize, size: Size },
    Redeem { who: usize, size: Size },
    RedeemOfOther { who: usize, owner: usize, part: Part },
    Transfer { from: usize, to: usize, part: Part },
    Request { who: usize, controller: usize, part: Part },
    RequestOfOther { who: usize, owner: usize, part: Part },
    Cancel { who: usize, back: usize, part: Part },
    Seal,
    Finalize,
    ClaimRequest { pick: u16 },
    ClaimAtRandom { who: usize, controller: usize, number: usize },
    RedeemClaims { who: usize, size: Size },
    WithdrawClaims { who: usize, size: Size },
    Delegate,
    Rebalance { id: u32 },
    Replenish,
    Collect { pick: u16 },
    CollectFees,
    Sync { most: u8 },
    Credit { id: u32, amount: U256, back: u32 },
    Harvest { ids: Vec<u32>, most: u8 },
    Donate { amount: U256 },
    Skim,
    FundCover { amount: U256 },
    BookCover,
    SetFee { bps: u16 },
    SetWeight { id: u32, weight: u16 },
    Unlist { id: u32 },
    Slash { id: u32, back: i32, span: u32, fraction: U256 },
    OthersDelegate { who: usize, id: u32, amount: U256 },
    OthersUndelegate { pick: u16, part: Part },
    Accuse { id: u32 },
    CloseCharge,
    ConvictOther { id: u32, due: bool },
    Jail { id: u32 },
    Unjail { id: u32 },
    Tombstone { id: u32 },
    SetOwnerRoom { room: U256 },
    Pause { seconds: u64 },
    Advance { seconds: u64 },
}

impl Operation {
    /// A random operation.
    pub fn draw(random: &mut StdRng) -> Self {
        let (who, other) = (person(random), person(random));
        let id = random.random_range(1..=StakeWorld::OPERATORS);
        let part = Part::draw(random);
        match random.random_range(0..1000) {
            0..90 => Self::Deposit { who, size: Size::draw(random) },
            90..105 => Self::Mint { who, size: Size::draw(random) },
            105..113 => Self::DepositAtQueue { who, size: Size::draw(random) },
            113..140 => Self::Withdraw { who, size: Size::draw(random) },
            140..167 => Self::Redeem { who, size: Size::draw(random) },
            167..170 => Self::RedeemOfOther { who, owner: other, part },
            170..180 => Self::Transfer { from: who, to: other, part },
            180..265 => Self::Request { who, controller: if random.random() { who } else { other }, part },
            265..268 => Self::RequestOfOther { who, owner: other, part },
            268..280 => Self::Cancel { who, back: usize::from(random.random_ratio(1, 4)), part },
            280..360 => Self::Seal,
            360..420 => Self::Finalize,
            420..440 => Self::ClaimRequest { pick: random.random() },
            440..445 => Self::ClaimAtRandom { who, controller: other, number: random.random_range(0..3) },
            445..460 => Self::RedeemClaims { who, size: Size::OfMaximum(part) },
            460..475 => Self::WithdrawClaims { who, size: Size::OfMaximum(part) },
            475..565 => Self::Delegate,
            565..580 => Self::Rebalance { id },
            580..615 => Self::Replenish,
            615..670 => Self::Collect { pick: random.random() },
            670..680 => Self::CollectFees,
            680..686 => Self::Sync { most: random.random_range(0..3) },
            686..710 => Self::Credit { id, amount: gain(random), back: random.random_range(0..3) },
            710..735 => {
                let ids = (1..=StakeWorld::OPERATORS).filter(|_| random.random()).collect();
                Self::Harvest { ids, most: random.random_range(1..5) }
            }
            735..742 => Self::Donate { amount: gain(random) },
            742..752 => Self::Skim,
            752..756 => Self::FundCover { amount: gain(random) },
            756..762 => Self::BookCover,
            762..764 => Self::SetFee { bps: random.random_range(0..1200) },
            764..768 => Self::SetWeight { id, weight: random.random_range(0..300) },
            768..772 => Self::SetWeight { id, weight: 0 },
            772..778 => Self::Unlist { id },
            778..828 => {
                Self::Slash { id, back: stake::back(random), span: stake::span(random), fraction: fraction(random) }
            }
            828..838 => Self::OthersDelegate { who, id, amount: stake::amount(random).min(U256::from(1000) * WAD) },
            838..846 => Self::OthersUndelegate { pick: random.random(), part },
            846..848 => Self::Accuse { id },
            848..853 => Self::CloseCharge,
            853..854 => Self::ConvictOther { id, due: random.random() },
            854..856 => Self::Jail { id },
            856..860 => Self::Unjail { id },
            860..861 => Self::Tombstone { id },
            861..863 => Self::SetOwnerRoom { room: U256::from(random.random_range(0..200u64)) * WAD },
            863..865 => Self::Pause { seconds: random.random_range(1..2 * 86_400) },
            _ => Self::Advance { seconds: seconds(random) },
        }
    }
}

fn person(random: &mut StdRng) -> usize {
    random.random_range(0..StakeWorld::PEOPLE - 1)
}

fn gain(random: &mut StdRng) -> U256 {
    match random.random_range(0..6) {
        0 => U256::from(random.random_range(0..10u64)),
        _ => U256::from(random.random_range(1..50 * 10u128.pow(18))),
    }
}

/// Small faults mostly, some that hurt, few that take all.
fn fraction(random: &mut StdRng) -> U256 {
    let percent = U256::from(10_000_000_000_000_000u64);
    match random.random_range(0..20) {
        0 => U256::ONE,
        1..8 => percent / U256::from(random.random_range(1..20u64)),
        8..14 => percent * U256::from(5),
        14..16 => percent * U256::from(56),
        16 => WAD,
        _ => U256::from(random.random_range(1..10u128.pow(18))),
    }
}

/// Half epochs, so that batches get sealed, whole ones, and anything.
fn seconds(random: &mut StdRng) -> u64 {
    let day = StakeWorld::EPOCH_SECONDS;
    *[day / 2, day / 2, day, day, 2 * day, random.random_range(0..day), random.random_range(0..5 * day)]
        .choose(random)
        .unwrap_or(&day)
}
