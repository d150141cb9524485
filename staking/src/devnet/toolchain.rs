//! Finds the programs that a devnet needs: forge and anvil from npm, the node from this build.

use std::path::{Path, PathBuf};

use eyre::{Result, bail};

/// Root of the Rota checkout: the folder with `script/Deploy.s.sol`, searched upwards from the current folder and
/// from this program; `ROTA_ROOT` overrides.
///
/// # Errors
/// When there is none.
pub fn project_root() -> Result<PathBuf> {
    if let Some(root) = std::env::var_os("ROTA_ROOT") {
        return Ok(PathBuf::from(root));
    }
    let starts =
        [std::env::current_dir().ok(), std::env::current_exe().ok(), Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")))];
    for start in starts.into_iter().flatten() {
        if let Some(root) = start.ancestors().find(|folder| folder.join("script/Deploy.s.sol").is_file()) {
            return Ok(root.to_path_buf());
        }
    }
    bail!("cannot find script/Deploy.s.sol: run this inside a Rota checkout, or set ROTA_ROOT to one")
}

/// The anvil binary itself: npm's launcher is a Node process that would outlive a kill.
///
/// # Errors
/// When npm's packages are not installed or do not support this platform.
pub fn anvil(root: &Path) -> Result<PathBuf> {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let binary = root.join(format!("node_modules/@foundry-rs/anvil-{os}-{arch}/bin/anvil"));
    if !binary.is_file() {
        bail!("{} is missing: run `make setup`", binary.display());
    }
    Ok(binary)
}

/// The forge binary itself, for the same reason.
///
/// # Errors
/// As [`anvil`].
pub fn forge(root: &Path) -> Result<PathBuf> {
    let anvil = anvil(root)?;
    let binary = PathBuf::from(anvil.to_string_lossy().replace("anvil", "forge"));
    if !binary.is_file() {
        bail!("{} is missing: run `make setup`", binary.display());
    }
    Ok(binary)
}

/// `rota-sequencer`, beside this program (or beside the test's `deps` folder); `ROTA_SEQUENCER` overrides.
///
/// # Errors
/// When it was not built.
pub fn sequencer() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ROTA_SEQUENCER") {
        return Ok(PathBuf::from(path));
    }
    let here = std::env::current_exe()?;
    for folder in here.ancestors().skip(1).take(3) {
        let candidate = folder.join("rota-sequencer");
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!("rota-sequencer is not beside {}: build it with `cargo build`, or set ROTA_SEQUENCER", here.display())
}
