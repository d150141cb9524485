//! Regenerates the committed sources of `rota-bindings` from the Solidity contracts.
//!
//! `cargo run -p rota-bindgen` compiles the contracts with the project's own compiler and settings and rewrites
//! `bindings/abi` and `bindings/src/generated`. With `--check` it writes nothing and fails on any difference.

mod compile;
mod emit;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use eyre::{Context, Result, bail};

/// The contracts that have bindings, with their source files.
const CONTRACTS: &[(&str, &str)] = &[
    ("AccessManager", "contracts/governance/Governance.sol"),
    ("Allocator", "contracts/liquid/Allocator.sol"),
    ("AmnesiaFault", "contracts/slashing/faults/AmnesiaFault.sol"),
    ("BatchChain", "contracts/rollup/BatchChain.sol"),
    ("ConflictingCertificatesFault", "contracts/slashing/faults/ConflictingCertificatesFault.sol"),
    ("CoverFund", "contracts/liquid/CoverFund.sol"),
    ("DoubleProposalFault", "contracts/slashing/faults/DoubleProposalFault.sol"),
    ("DoubleVoteFault", "contracts/slashing/faults/DoubleVoteFault.sol"),
    ("ExitQueue", "contracts/liquid/ExitQueue.sol"),
    ("ExitReceipt", "contracts/liquid/ExitReceipt.sol"),
    ("FaultWatch", "contracts/liquid/FaultWatch.sol"),
    ("FeeSplitter", "contracts/rewards/FeeSplitter.sol"),
    ("Guardian", "contracts/governance/Guardian.sol"),
    ("Lens", "contracts/Lens.sol"),
    ("LiquidLens", "contracts/liquid/LiquidLens.sol"),
    ("MessagePasser", "contracts/l2/MessagePasser.sol"),
    ("NativeToken", "contracts/token/NativeToken.sol"),
    ("NetworkParameters", "contracts/governance/NetworkParameters.sol"),
    ("OfflineFault", "contracts/slashing/faults/OfflineFault.sol"),
    ("Portal", "contracts/rollup/Portal.sol"),
    ("RateFeed", "contracts/liquid/RateFeed.sol"),
    ("RewardVault", "contracts/rewards/RewardVault.sol"),
    ("Router", "contracts/liquid/Router.sol"),
    ("SequencerRegistry", "contracts/staking/SequencerRegistry.sol"),
    ("SequencerSet", "contracts/staking/SequencerSet.sol"),
    ("SlashEscrow", "contracts/slashing/SlashEscrow.sol"),
    ("Slasher", "contracts/slashing/Slasher.sol"),
    ("StakeVault", "contracts/staking/StakeVault.sol"),
    ("StakedToken", "contracts/liquid/StakedToken.sol"),
    ("TimelockController", "contracts/governance/Governance.sol"),
];

/// Folders that hold nothing but generated files.
const OUTPUTS: &[&str] = &["bindings/abi", "bindings/src/generated"];

/// Regenerates rota-bindings from the Solidity sources.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Compare with the committed files instead of writing; fail on any difference.
    #[arg(long)]
    check: bool,
    /// Root of the repository.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))]
    root: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let root = args.root.canonicalize().wrap_err_with(|| format!("no repository at {}", args.root.display()))?;
    let files = emit::files(&compile::contracts(&root, CONTRACTS)?)?;
    let committed = committed(&root)?;
    if !args.check {
        for stale in committed.keys().filter(|path| !files.contains_key(*path)) {
            fs::remove_file(root.join(stale))?;
        }
        for (path, text) in files.iter().filter(|(path, text)| committed.get(*path) != Some(text)) {
            let path = root.join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, text).wrap_err_with(|| format!("cannot write {}", path.display()))?;
            println!("wrote {}", path.display());
        }
        return Ok(());
    }
    let mut differences = Vec::new();
    for (path, text) in &files {
        match committed.get(path) {
            None => differences.push(format!("missing: {path}")),
            Some(old) if old != text => differences.push(format!("stale:   {path}")),
            Some(_) => {}
        }
    }
    differences
        .extend(committed.keys().filter(|path| !files.contains_key(*path)).map(|path| format!("extra:   {path}")));
    if !differences.is_empty() {
        bail!("the bindings differ from the contracts; run `make bindings`\n{}", differences.join("\n"));
    }
    println!("{} generated files are up to date", files.len());
    Ok(())
}

/// The generated files as they are in the repository, by path relative to its root.
fn committed(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let mut folders: Vec<PathBuf> = OUTPUTS.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
            files.insert(path.strip_prefix(root)?.to_string_lossy().into_owned(), text);
        }
    }
    Ok(files)
}
