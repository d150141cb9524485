//! Devnets that exist already, and the make targets around them.

use std::{path::Path, process::Stdio};

use crate::{refusal, root, rota};

/// The folder of a devnet that was stopped. `pid` is the number of its process.
fn devnet_folder(folder: &Path, pid: u32) -> std::path::PathBuf {
    let dir = folder.join(".devnet");
    std::fs::create_dir(&dir).unwrap();
    let manifest = serde_json::json!({
        "profile": "test",
        "settings": { "bonds": [1_000, 1_000, 1_000, 1_000], "blockTimeMs": 500, "l1BlockTime": 1 },
        "l1": { "rpcUrl": "http://127.0.0.1:1", "chainId": 31_337, "pid": 0 },
        "l2": { "chainId": 53_901, "nodes": [] },
        "deployment": dir.join("deployment.json"), "chain": dir.join("chain.json"), "logs": dir.join("logs"), "pid": pid,
    });
    std::fs::write(dir.join("devnet.json"), serde_json::to_string_pretty(&manifest).unwrap()).unwrap();
    std::fs::write(dir.join(".rota-devnet"), "").unwrap();
    std::fs::write(dir.join("l1-state.json"), "a chain").unwrap();
    dir
}

#[tokio::test]
async fn a_devnet_that_goes_on_refuses_other_settings_and_keeps_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let dir = devnet_folder(folder.path(), 0);
    for (option, value) in [("--nodes", "5"), ("--bonds", "7"), ("--block-time", "250"), ("--profile", "devnet")] {
        let text = refusal(rota(folder.path()).args(["devnet", option, value])).await;
        assert!(text.contains(&format!("{option} {value} (it was built with ")), "{text}");
        assert!(text.contains("--fresh"), "{text}");
        assert_eq!(std::fs::read_to_string(dir.join("l1-state.json")).unwrap(), "a chain");
    }
    // Nothing is deleted for options that no devnet can have.
    let text = refusal(rota(folder.path()).args(["devnet", "--fresh", "--nodes", "17"])).await;
    assert!(text.contains("--nodes 17") && dir.join("l1-state.json").is_file(), "{text}");
}

#[tokio::test]
async fn a_devnet_whose_l1_was_never_saved_is_not_deleted_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let dir = devnet_folder(folder.path(), 0);
    std::fs::remove_file(dir.join("l1-state.json")).unwrap();
    let text = refusal(rota(folder.path()).arg("devnet")).await;
    assert!(text.contains("l1-state.json is missing") && text.contains("--fresh"), "{text}");
    assert!(dir.join("devnet.json").is_file(), "everything is still there");
}

/// A process whose command line says what the devnet's says. It ends with its standard input.
fn pretended_devnet() -> std::process::Child {
    let mut command = std::process::Command::new("bash");
    command.args(["-c", "read -r", "rota", "devnet"]).stdin(Stdio::piped()).spawn().unwrap()
}

#[tokio::test]
async fn a_devnet_that_is_starting_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let clean = || make(folder.path(), "clean").env("CARGO_TARGET_DIR", "elsewhere").output().unwrap();
    let mut starting = pretended_devnet();
    let dir = folder.path().join(".devnet");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join(".rota-devnet"), format!("made by `rota devnet`\npid {}\n", starting.id())).unwrap();

    let refused = clean();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains(&format!("kill -INT {}", starting.id())), "{text}");
    for options in [["devnet"].as_slice(), &["devnet", "--fresh"]] {
        let text = refusal(rota(folder.path()).args(options)).await;
        assert!(text.contains(&format!("runs in {} already (process {})", dir.display(), starting.id())), "{text}");
    }
    assert!(dir.join(".rota-devnet").is_file());

    drop(starting.stdin.take());
    starting.wait().unwrap();
    let done = clean();
    assert!(done.status.success() && !dir.exists(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// `make` with this project's Makefile in a folder of its own.
fn make(folder: &Path, target: &str) -> std::process::Command {
    if !folder.join("script").exists() {
        std::os::unix::fs::symlink(root().join("script"), folder.join("script")).unwrap();
    }
    let mut make = std::process::Command::new("make");
    make.arg("--silent").arg("--file").arg(root().join("Makefile")).arg(target).current_dir(folder);
    // Where the test runs inside make, its settings are not those of a user's shell.
    for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        make.env_remove(name);
    }
    make
}

#[test]
fn make_clean_leaves_a_running_devnet_alone() {
    let folder = tempfile::tempdir().unwrap();
    let clean = || make(folder.path(), "clean").env("CARGO_TARGET_DIR", "elsewhere").output().unwrap();
    let mut running = pretended_devnet();
    let dir = devnet_folder(folder.path(), running.id());
    let refused = clean();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success(), "{text}");
    assert!(
        text.contains("a devnet runs in .devnet") && text.contains(&format!("kill -INT {}", running.id())),
        "{text}"
    );
    assert!(dir.join("l1-state.json").is_file());

    drop(running.stdin.take());
    running.wait().unwrap();
    let done = clean();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(!dir.exists(), "a devnet that does not run is cleaned away");
}

#[test]
fn make_env_names_the_folder_that_make_builds_into() {
    let folder = tempfile::Builder::new().prefix("with space ").tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    let path = |make: &mut std::process::Command| {
        let script = String::from_utf8(make.output().unwrap().stdout).unwrap();
        let shell = std::process::Command::new("bash").args(["-c", &format!("{script}\necho \"$PATH\"")]).output();
        String::from_utf8(shell.unwrap().stdout).unwrap()
    };
    let programs = here.join("node_modules/.bin");
    // A home that cannot be written, as in many containers.
    let local = path(make(&here, "env").env_remove("CARGO_TARGET_DIR").env("HOME", "/dev/null"));
    assert!(local.starts_with(&format!("{}:{}/target/debug:", programs.display(), here.display())), "{local}");
    let cached = path(make(&here, "env").env_remove("CARGO_TARGET_DIR").env("HOME", &here));
    assert!(cached.contains(&format!(":{}/.cache/rota/target/debug:", here.display())), "{cached}");
    let chosen = path(make(&here, "env").env("CARGO_TARGET_DIR", "/some/where"));
    assert!(chosen.contains(":/some/where/debug:"), "{chosen}");
}
