//! Compiles contracts the way forge does: same compiler, same settings, hence the same bytecode.

use std::{collections::BTreeMap, path::Path, str::FromStr};

use alloy_json_abi::JsonAbi;
use eyre::{Context, Result, bail, eyre};
use foundry_compilers::{
    Artifact, ProjectBuilder, ProjectPathsConfig,
    artifacts::{
        BytecodeHash, EvmVersion, Settings,
        remappings::Remapping,
        solc::{Optimizer, SettingsMetadata, output_selection::OutputSelection},
    },
    solc::{Solc, SolcCompiler, SolcSettings},
};
use serde::Deserialize;

/// A compiled contract.
pub struct Contract {
    /// Its name.
    pub name: &'static str,
    /// Its interface.
    pub abi: JsonAbi,
    /// Creation code, `0x…`.
    pub bytecode: String,
    /// Runtime code as the compiler puts it out (immutables are zero), `0x…`.
    pub deployed_bytecode: String,
}

/// The part of `foundry.toml` that decides the bytecode.
#[derive(Deserialize)]
struct FoundryProfile {
    solc: String,
    evm_version: String,
    optimizer: bool,
    bytecode_hash: String,
    cbor_metadata: bool,
    remappings: Vec<String>,
    additional_compiler_profiles: Vec<CompilerProfile>,
}

#[derive(Deserialize)]
struct CompilerProfile {
    name: String,
    via_ir: bool,
    optimizer_runs: usize,
}

#[derive(Deserialize)]
struct FoundryToml {
    profile: BTreeMap<String, toml::Value>,
}

impl FoundryProfile {
    fn read(root: &Path) -> Result<Self> {
        let path = root.join("foundry.toml");
        let text = std::fs::read_to_string(&path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
        let mut file: FoundryToml = toml::from_str(&text)?;
        let profile = file.profile.remove("default").ok_or_else(|| eyre!("foundry.toml has no default profile"))?;
        profile.try_into().wrap_err("foundry.toml")
    }

    fn settings(&self) -> Result<SolcSettings> {
        let deployed = self
            .additional_compiler_profiles
            .iter()
            .find(|profile| profile.name == "contracts")
            .ok_or_else(|| eyre!("foundry.toml has no compiler profile `contracts`"))?;
        let settings = Settings {
            optimizer: Optimizer { enabled: Some(self.optimizer), runs: Some(deployed.optimizer_runs), details: None },
            metadata: Some(SettingsMetadata::new(parse::<BytecodeHash>(&self.bytecode_hash)?, self.cbor_metadata)),
            evm_version: Some(parse::<EvmVersion>(&self.evm_version)?),
            via_ir: Some(deployed.via_ir),
            output_selection: OutputSelection::default_output_selection(),
            ..Settings::default()
        };
        Ok(SolcSettings { settings, ..SolcSettings::default() })
    }
}

fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T> {
    text.parse().map_err(|error| eyre!("foundry.toml: {text}: {error}"))
}

/// Compiles the named contracts, in the order given.
pub fn contracts(root: &Path, wanted: &[(&'static str, &str)]) -> Result<Vec<Contract>> {
    let profile = FoundryProfile::read(root)?;
    let remappings = profile.remappings.iter().map(|text| {
        let mut remapping = Remapping::from_str(text)?;
        remapping.path = root.join(&remapping.path).to_string_lossy().into_owned();
        Ok(remapping)
    });
    let paths: ProjectPathsConfig<_> = ProjectPathsConfig::builder()
        .sources(root.join("contracts"))
        .no_libs()
        .remappings(remappings.collect::<Result<Vec<_>>>()?)
        .build_with_root(root);
    let solc = Solc::new(root.join(&profile.solc)).wrap_err("no compiler: run `make setup` first")?;
    let project = ProjectBuilder::<SolcCompiler>::default()
        .paths(paths)
        .settings(profile.settings()?)
        .ephemeral()
        .no_artifacts()
        .offline()
        .build(SolcCompiler::Specific(solc))?;
    let output = project.compile_files(wanted.iter().map(|(_, path)| root.join(path)))?;
    if output.has_compiler_errors() {
        bail!("the contracts do not compile\n{output}");
    }
    wanted
        .iter()
        .map(|(name, _)| {
            let artifact = output.find_first(name).ok_or_else(|| eyre!("no contract {name}"))?;
            let abi = artifact.get_abi().ok_or_else(|| eyre!("{name} has no ABI"))?.into_owned();
            let bytecode = artifact.get_bytecode_bytes().ok_or_else(|| eyre!("{name} has no linked bytecode"))?;
            let deployed =
                artifact.get_deployed_bytecode_bytes().ok_or_else(|| eyre!("{name} has no linked runtime bytecode"))?;
            Ok(Contract { name, abi, bytecode: bytecode.to_string(), deployed_bytecode: deployed.to_string() })
        })
        .collect()
}
