//! The command line as a program and as a library, against a real L1 or one that misbehaves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]

mod devnet;
mod endpoints;
mod events;
mod fees;
mod keeper;
mod liquid;

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use alloy::{
    primitives::bytes,
    providers::{DynProvider, Provider as _, ProviderBuilder, ext::AnvilApi as _},
};
use alloy_node_bindings::{Anvil, AnvilInstance};
use rota::{
    connection::{Network, NetworkArgs},
    devnet::toolchain,
    progress::wait_until,
};
use rota_bindings::Deployment;

/// A deployment file for anvil's chain id, with addresses that no precompile has.
fn deployment_file() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let written = FILE.get_or_init(|| {
        let low = std::fs::read_to_string(root().join("bindings/tests/deployments/31337.json")).unwrap();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deployment.json");
        std::fs::write(&file, low.replace("0x00000000", "0x10000000")).unwrap();
        file
    });
    written.clone()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// An L1 that makes blocks on demand only, and whose registry and set answer 3 to every call.
async fn l1() -> (AnvilInstance, DynProvider) {
    let anvil = Anvil::at(toolchain::anvil(&root()).unwrap()).arg("--no-mining").spawn();
    let provider = ProviderBuilder::new().connect(&anvil.endpoint()).await.unwrap().erased();
    let contracts = Deployment::from_file(deployment_file()).unwrap().contracts;
    for address in [contracts.sequencer_registry, contracts.sequencer_set] {
        // PUSH1 3, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN
        provider.anvil_set_code(address, bytes!("60035f5260205ff3")).await.unwrap();
    }
    (anvil, provider)
}

async fn network(anvil: &AnvilInstance) -> Network {
    network_at(&anvil.endpoint()).await
}

async fn network_at(url: &str) -> Network {
    let args = NetworkArgs {
        l1_rpc: Some(url.to_owned().into()),
        deployment: Some(deployment_file()),
        devnet_dir: "nowhere".into(),
        ..NetworkArgs::default()
    };
    Network::connect(&args).await.unwrap()
}

/// `rota` without the caller's settings and away from any devnet.
fn rota(folder: &Path) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_rota"));
    for name in ["ROTA_L1_RPC", "ROTA_L2_RPC", "ROTA_DEPLOYMENT", "ROTA_DEVNET_DIR", "ROTA_PRIVATE_KEY", "ROTA_MAX_FEE"]
    {
        command.env_remove(name);
    }
    command.current_dir(folder).kill_on_drop(true);
    command
}

/// Standard error of a command that has to fail.
async fn refusal(command: &mut tokio::process::Command) -> String {
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}: {text}");
    assert!(text.starts_with("error: "), "{text}");
    text
}

async fn soon<T>(what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    wait_until(what, Duration::from_secs(30), Duration::from_millis(20), async || Ok(ready().await)).await.unwrap()
}
