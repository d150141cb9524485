//! Gas of whole transactions from the committed snapshots, against Rota's own bounds and what the peers pay.

use std::{collections::BTreeMap, path::Path};

use eyre::{Context as _, Result, eyre};
use serde::{Deserialize, Serialize};

/// What is measured, as snapshot file, the scenarios that add up, and what their sum is divided by; Rota's bound;
/// and the peer's figure with its source.
struct Entry(&'static str, &'static str, &'static [&'static str], u64, u64, &'static str);

const METIS_BATCH: &str = "Metis `batchSubmitRewards` 96,000 + 10,600 per operator, unproven, no delegators";
const BSC_SET: &str = "BSC `updateValidatorSet` 2,630,000 at 41";
const POST_PEERS: &str = "Polygon checkpoint 2,350,000 at 200; Aztec propose 265,000–466,000 at 48";

const LIDO_REQUEST: &str = "Lido `requestWithdrawals` 228,163 (a token each)";

/// Peers: gas of their transactions on Ethereum or of their own published measurements. Lido's are the limits of its own widget
/// for staking (`consts/tx.ts`); the plain vaults are measured in `snapshots/LiquidPeers.json`.
const TABLE: &[Entry] = &[
    Entry("register and first bond", "Staking", &["register", "first bond"], 1, 300_000, "Metis `lockFor` 376,584"),
    Entry(
        "delegate, first in an epoch",
        "Staking",
        &["delegate, first in an epoch"],
        1,
        115_000,
        "Metis `relock` 95,162 (no delegators, no history)",
    ),
    Entry(
        "delegate, again in the same epoch",
        "Staking",
        &["delegate, again in the same epoch"],
        1,
        80_000,
        "Metis `relock` 95,162",
    ),
    Entry("undelegate", "Staking", &["undelegate"], 1, 140_000, "Metis `unlock` 263,227"),
    Entry("claim the principal", "Staking", &["claim"], 1, 70_000, "Metis `unlockClaim` 121,489"),
    Entry("rotate signer", "Staking", &["rotate signer"], 1, 95_000, "Metis `updateSigner` 113,814"),
    Entry(
        "claim rewards, one pool, one segment",
        "Rewards",
        &["claim, one pool, one segment"],
        1,
        95_000,
        "Metis `withdrawRewards` 171,469",
    ),
    Entry("freeze, 10 seats", "Staking", &["freeze, 10 seats"], 1, 260_000, BSC_SET),
    Entry("freeze, 64 seats", "Staking", &["freeze, 64 seats"], 1, 1_100_000, BSC_SET),
    Entry("freeze, 128 seats", "Staking", &["freeze, 128 seats"], 1, 2_100_000, BSC_SET),
    Entry(
        "leader lookup (view), 128 members",
        "Staking",
        &["leaderAt, 128 members"],
        1,
        170_000,
        "Metis 9,100,000 at 1,000 epochs (grows)",
    ),
    Entry("post a batch, set of 10", "Rollup", &["post, set of 10, 7 signatures"], 1, 160_000, POST_PEERS),
    Entry("post a batch, set of 64", "Rollup", &["post, set of 64, 43 signatures"], 1, 380_000, POST_PEERS),
    Entry("post a batch, set of 128", "Rollup", &["post, set of 128, 86 signatures"], 1, 630_000, POST_PEERS),
    Entry("credit an epoch, per operator (of 8)", "Rewards", &["credit an epoch, 8 operators"], 8, 60_000, METIS_BATCH),
    Entry(
        "liquid: deposit, new holder",
        "Liquid",
        &["deposit, new holder"],
        1,
        130_000,
        "Lido `submit` 90,000; plain ERC-4626 70,070 (Solady), 71,309 (OpenZeppelin)",
    ),
    Entry("liquid: transfer, new holder", "Liquid", &["transfer, new holder"], 1, 55_000, "plain ERC-20 50,904"),
    Entry(
        "liquid: instant exit",
        "Liquid",
        &["instant exit"],
        1,
        125_000,
        "plain ERC-4626 `redeem` 53,365 (Solady), 54,558 (OpenZeppelin); Lido: none",
    ),
    Entry(
        "liquid: request to exit, first of a batch",
        "Liquid",
        &["request, first of a batch"],
        1,
        130_000,
        LIDO_REQUEST,
    ),
    Entry("liquid: request to exit", "Liquid", &["request"], 1, 130_000, LIDO_REQUEST),
    Entry("liquid: request with a receipt", "Liquid", &["receipt"], 1, 180_000, LIDO_REQUEST),
    Entry("liquid: claim an exit", "Liquid", &["claim"], 1, 90_000, "Lido `claimWithdrawals` 89,818"),
    Entry(
        "liquid: harvest, one operator",
        "Liquid",
        &["harvest, one operator"],
        1,
        110_000,
        "Lido: an oracle's report",
    ),
    Entry(
        "liquid: harvest, each further operator",
        "Liquid",
        &["harvest, each further operator"],
        1,
        110_000,
        "Lido: an oracle's report",
    ),
];

/// One line of the gas table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gas {
    /// Operation.
    pub operation: String,
    /// Gas of Rota.
    pub gas: u64,
    /// Rota's own bound.
    pub target: u64,
    /// The peers' figures with their names.
    pub peer: String,
}

impl Gas {
    /// Whether the bound holds.
    pub const fn met(&self) -> bool {
        self.gas <= self.target
    }
}

/// Reads `folder/*.json` as forge wrote them.
///
/// # Errors
/// When a snapshot is missing or is no number.
pub fn table(folder: &Path) -> Result<Vec<Gas>> {
    let mut groups: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for group in ["Staking", "Rollup", "Rewards", "Liquid"] {
        let file = folder.join(group).with_extension("json");
        let text = std::fs::read(&file).wrap_err_with(|| format!("cannot read {}", file.display()))?;
        groups.insert(group, serde_json::from_slice(&text).wrap_err_with(|| format!("{} is damaged", file.display()))?);
    }
    let find = |group: &str, name: &str| -> Result<u64> {
        let gas = groups.get(group).and_then(|group| group.get(name));
        Ok(gas.ok_or_else(|| eyre!("no gas snapshot '{name}' in {group}.json"))?.parse()?)
    };
    TABLE
        .iter()
        .map(|Entry(operation, group, names, divisor, target, peer)| {
            let sum = names.iter().map(|name| find(group, name)).sum::<Result<u64>>()?;
            let (operation, peer) = ((*operation).to_owned(), (*peer).to_owned());
            Ok(Gas { operation, gas: sum.div_ceil(*divisor), target: *target, peer })
        })
        .chain([slashing(&find)])
        .collect()
}

/// Slashing must cost the same whatever the number of delegators: the cost with one is the bound of the cost with 100.
fn slashing(find: &dyn Fn(&str, &str) -> Result<u64>) -> Result<Gas> {
    Ok(Gas {
        operation: "slash, 100 delegators (bound: as with 1)".to_owned(),
        gas: find("Staking", "slash, 100 delegators")?,
        target: find("Staking", "slash, 1 delegator")?,
        peer: "Cosmos: grows with the entries".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_snapshots_meet_the_bounds() -> Result<()> {
        let table = table(&crate::root().join("snapshots"))?;
        let missed: Vec<_> = table.iter().filter(|line| !line.met()).collect();
        assert!(missed.is_empty(), "{missed:?}");
        Ok(())
    }

    #[test]
    fn a_missing_snapshot_is_an_error() -> Result<()> {
        let folder = tempfile::tempdir()?;
        for group in ["Staking", "Rollup", "Rewards", "Liquid"] {
            std::fs::write(folder.path().join(group).with_extension("json"), "{}")?;
        }
        let error = table(folder.path()).err().ok_or_else(|| eyre!("read from nothing"))?;
        assert_eq!(error.to_string(), "no gas snapshot 'register' in Staking.json");
        Ok(())
    }
}
