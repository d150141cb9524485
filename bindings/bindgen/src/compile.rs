//! Compiles contracts the way forge does: same compiler, same settings. The bytecode is the same but where the optimizer's
//! choices hang on what else is compiled with a contract; what it does is the same always.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
};

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

/// Fields of a struct that alloy and ethers-rs can encode.
const MOST_FIELDS: usize = 24;

/// A compiled contract.
pub struct Contract {
    /// Its name.
    pub name: &'static str,
    /// Its interface.
    pub abi: JsonAbi,
    /// Creation code, `0x…`; `None` for one that bindings cannot construct.
    pub bytecode: Option<String>,
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
    compilation_restrictions: Vec<Restriction>,
}

/// What a source demands of its compiler profile.
#[derive(Deserialize)]
struct Restriction {
    paths: String,
    max_optimizer_runs: Option<usize>,
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

    /// The compiler profile of a source: the deployed code's, unless `foundry.toml` restricts it to fewer optimizer runs.
    fn of(&self, path: &str) -> Result<&CompilerProfile> {
        let most = self
            .compilation_restrictions
            .iter()
            .filter(|restriction| restriction.paths == path)
            .find_map(|restriction| restriction.max_optimizer_runs);
        let profiles = self.additional_compiler_profiles.iter();
        let mut fitting = profiles.filter(|profile| most.is_none_or(|most| profile.optimizer_runs <= most));
        fitting.next().ok_or_else(|| eyre!("foundry.toml has no compiler profile for {path}"))
    }

    fn settings(&self, profile: &CompilerProfile) -> Result<SolcSettings> {
        let settings = Settings {
            optimizer: Optimizer { enabled: Some(self.optimizer), runs: Some(profile.optimizer_runs), details: None },
            metadata: Some(SettingsMetadata::new(parse::<BytecodeHash>(&self.bytecode_hash)?, self.cbor_metadata)),
            evm_version: Some(parse::<EvmVersion>(&self.evm_version)?),
            via_ir: Some(profile.via_ir),
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
    let foundry = FoundryProfile::read(root)?;
    let mut compiled = BTreeMap::new();
    for profile in &foundry.additional_compiler_profiles {
        let mut named = Vec::new();
        for (name, path) in wanted {
            if foundry.of(path)?.name == profile.name {
                named.push((*name, root.join(path)));
            }
        }
        if !named.is_empty() {
            compiled.extend(compile(root, &foundry, profile, &named)?);
        }
    }
    wanted.iter().map(|(name, _)| compiled.remove(name).ok_or_else(|| eyre!("no contract {name}"))).collect()
}

/// Compiles the named contracts with one compiler profile.
fn compile(
    root: &Path,
    foundry: &FoundryProfile,
    profile: &CompilerProfile,
    wanted: &[(&'static str, PathBuf)],
) -> Result<BTreeMap<&'static str, Contract>> {
    let remappings = foundry.remappings.iter().map(|text| {
        let mut remapping = Remapping::from_str(text)?;
        remapping.path = root.join(&remapping.path).to_string_lossy().into_owned();
        Ok(remapping)
    });
    let paths: ProjectPathsConfig<_> = ProjectPathsConfig::builder()
        .sources(root.join("contracts"))
        .no_libs()
        .remappings(remappings.collect::<Result<Vec<_>>>()?)
        .build_with_root(root);
    let solc = Solc::new(root.join(&foundry.solc)).wrap_err("no compiler: run `make setup` first")?;
    let project = ProjectBuilder::<SolcCompiler>::default()
        .paths(paths)
        .settings(foundry.settings(profile)?)
        .ephemeral()
        .no_artifacts()
        .offline()
        .build(SolcCompiler::Specific(solc))?;
    let output = project.compile_files(wanted.iter().map(|(_, path)| path.clone()))?;
    if output.has_compiler_errors() {
        bail!("the contracts do not compile\n{output}");
    }
    wanted
        .iter()
        .map(|(name, _)| {
            let artifact = output.find_first(name).ok_or_else(|| eyre!("no contract {name}"))?;
            let mut abi = artifact.get_abi().ok_or_else(|| eyre!("{name} has no ABI"))?.into_owned();
            let code = artifact.get_bytecode_bytes().ok_or_else(|| eyre!("{name} has no linked bytecode"))?;
            // The deployment script constructs it; everything else works without.
            let constructor = abi
                .constructor
                .take_if(|constructor| constructor.inputs.iter().any(|input| input.components.len() > MOST_FIELDS));
            let bytecode = constructor.is_none().then(|| code.to_string());
            let deployed =
                artifact.get_deployed_bytecode_bytes().ok_or_else(|| eyre!("{name} has no linked runtime bytecode"))?;
            Ok((*name, Contract { name, abi, bytecode, deployed_bytecode: deployed.to_string() }))
        })
        .collect()
}
