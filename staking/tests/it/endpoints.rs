//! What a command says about the network it was pointed at.

use crate::{deployment_file, l1, refusal, rota};

/// Stands for an API key.
const KEY: &str = "5ECRETk3y";

#[tokio::test]
async fn keys_in_urls_are_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens on port 1; the second is no URL; ws and credentials fail elsewhere.
    for (url, shown) in [
        (format!("http://127.0.0.1:1/v3/{KEY}"), "http://127.0.0.1:1/…"),
        (format!("127.0.0.1:1/{KEY}"), "not a URL"),
        (format!("ws://127.0.0.1:1/{KEY}"), "ws://127.0.0.1:1/…"),
        (format!("http://user:{KEY}@127.0.0.1:1"), "http://127.0.0.1:1/…"),
        (format!("ftp://127.0.0.1/{KEY}"), "scheme 'ftp'"),
    ] {
        for verbose in ["", "trace"] {
            let mut command = rota(folder.path());
            let text = refusal(command.args(["epoch", "--l1-rpc", &url]).env("RUST_LOG", verbose)).await;
            assert!(text.contains(shown) && !text.contains(KEY), "{url}: {text}");
        }
        let output = rota(folder.path())
            .args(["keeper", "--mnemonic-index", "1"])
            .env("ROTA_L1_RPC", &url)
            .env("RUST_LOG", "trace")
            .output()
            .await
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(text.contains(shown) && !text.contains(KEY), "{url}: {text}");
        let help = rota(folder.path()).args(["epoch", "--help"]).env("ROTA_L1_RPC", &url).output().await.unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(help.contains("ROTA_L1_RPC") && !help.contains(KEY), "{help}");
    }
}

#[tokio::test]
async fn a_network_that_does_not_fit_is_named_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let text = refusal(rota(folder.path()).arg("epoch")).await;
    assert!(text.contains("no L1 endpoint: pass --l1-rpc URL"), "{text}");

    let text = refusal(rota(folder.path()).args(["epoch", "--l1-rpc", "http://127.0.0.1:1"])).await;
    assert!(text.contains("no answer from L1 at http://127.0.0.1:1") && text.contains("--l1-rpc"), "{text}");

    let (anvil, _) = l1().await;
    let rpc = anvil.endpoint();
    let text = refusal(rota(folder.path()).args(["epoch", "--l1-rpc", &rpc])).await;
    assert!(text.contains("deployments/31337.json") && text.contains("--deployment FILE"), "{text}");

    let known = std::fs::read_to_string(deployment_file()).unwrap();
    let other = folder.path().join("other.json");
    std::fs::write(&other, known.replace("31337", "5")).unwrap();
    let text = refusal(rota(folder.path()).args(["epoch", "--l1-rpc", &rpc, "--deployment"]).arg(&other)).await;
    assert!(text.contains("other.json is for chain 5") && text.contains("is chain 31337"), "{text}");

    let lens = "0x200000000000000000000000000000000000000d";
    let mut deployment: serde_json::Value = serde_json::from_str(&known).unwrap();
    deployment["contracts"]["sequencerRegistry"] = lens.into();
    std::fs::write(&other, deployment.to_string()).unwrap();
    let text = refusal(rota(folder.path()).args(["epoch", "--l1-rpc", &rpc, "--deployment"]).arg(&other)).await;
    assert!(text.to_lowercase().contains(lens) && text.contains("has no contract there"), "{text}");
}

#[tokio::test]
async fn operators_accounts_and_keys_that_do_not_exist_are_named() {
    let (anvil, _) = l1().await;
    let folder = tempfile::tempdir().unwrap();
    for (line, named) in [
        ("operator status --id 4", "no operator 4 on chain 31337: they are 1 to 3"),
        ("operator ready --id 0 --mnemonic-index 1", "no operator 0"),
        ("stake delegate --id 99 --amount 5 --mnemonic-index 1", "no operator 99"),
        ("stake position --id 99 --account 0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "no operator 99"),
        ("operator ready --id 1 --keystore nowhere.json", "no keystore nowhere.json: `rota-sequencer keys new`"),
        ("operator ready --id 1", "no key: pass --keystore FILE"),
        ("keeper --mnemonic-index 1 --interval -1", "--interval -1"),
        ("keeper --mnemonic-index 1 --dry-run", "add --once"),
        ("keeper --mnemonic-index 1 --calldata", "add --once"),
    ] {
        let mut command = rota(folder.path());
        let words = line.split(' ').chain(["--l1-rpc", &anvil.endpoint()]).map(str::to_owned).collect::<Vec<_>>();
        let text = refusal(command.args(words).arg("--deployment").arg(deployment_file())).await;
        assert!(text.contains(named), "{line}: {text}");
    }
}

#[tokio::test]
async fn every_command_teaches_by_example() {
    let folder = tempfile::tempdir().unwrap();
    let mut commands = vec![Vec::<String>::new()];
    let mut seen = 0;
    while let Some(command) = commands.pop() {
        let output = rota(folder.path()).args(&command).arg("--help").output().await.unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let below = help.split_once("Commands:\n").map(|(_, rest)| rest.split("\n\n").next().unwrap());
        match below {
            Some(list) => {
                // A line of its own begins each command; longer descriptions are indented further.
                let names =
                    list.lines().filter(|line| !line.starts_with("   ")).filter_map(|l| l.split_whitespace().next());
                commands.extend(
                    names
                        .filter(|name| *name != "help")
                        .map(|name| command.iter().cloned().chain([name.to_owned()]).collect()),
                );
            }
            None => {
                seen += 1;
                assert!(help.contains(&format!("\n  rota {}", command.join(" "))), "no example:\n{help}");
            }
        }
    }
    assert!(seen > 20, "only {seen} commands were found");
}
