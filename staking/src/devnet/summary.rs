//! What a devnet prints when it is up.

use eyre::Result;

use crate::{
    connection::dev_key,
    devnet::{Devnet, setup::user_address},
    output::{print_pairs, print_table},
};

/// Prints URLs, keys, contracts and commands to try.
pub(super) fn print(devnet: &Devnet) -> Result<()> {
    let manifest = &devnet.manifest;
    println!("\nRota devnet is up (profile {}).\n", manifest.profile);
    print_pairs(&[
        ("L1 RPC", format!("{}  (chain {})", manifest.l1.rpc_url, manifest.l1.chain_id)),
        ("L2 chain id", manifest.l2.chain_id.to_string()),
        ("logs", manifest.logs.display().to_string()),
    ]);
    println!();
    let rows = manifest
        .l2
        .nodes
        .iter()
        .map(|node| vec![node.id.to_string(), node.rpc_url.clone(), format!("{}/metrics", node.metrics_url)])
        .collect();
    print_table(&["sequencer", "L2 RPC (HTTP and WebSocket)", "metrics"], rows, "no sequencers");
    let users = (0..3)
        .map(|user| {
            let key = dev_key(user)?;
            Ok(vec![user.to_string(), user_address(user)?.to_string(), alloy::hex::encode_prefixed(key.to_bytes())])
        })
        .collect::<Result<Vec<_>>>()?;
    print_table(&["--mnemonic-index", "account (native tokens on L1 and L2)", "private key"], users, "");
    let c = &devnet.network.deployment.contracts;
    let contracts = [
        ("NativeToken", c.native_token),
        ("SequencerRegistry", c.sequencer_registry),
        ("StakeVault", c.stake_vault),
        ("SequencerSet", c.sequencer_set),
        ("BatchChain", c.batch_chain),
        ("Portal", c.portal),
        ("RewardVault", c.reward_vault),
        ("Lens", c.lens),
        ("StakedToken (stROTA)", c.staked_token),
        ("ExitQueue", c.exit_queue),
        ("LiquidLens", c.liquid_lens),
    ];
    let rows = contracts.iter().map(|(name, address)| vec![(*name).to_owned(), address.to_string()]).collect();
    print_table(&["contract", "address"], rows, "");
    let rpc = manifest.l2.nodes.first().map_or("", |node| node.rpc_url.as_str());
    println!(
        "\nThe keys are the public test mnemonic's; accounts 0 to 9 are funded. Try:\n\n  \
         cast send --rpc-url {rpc} --mnemonic-index 1 --mnemonic \"{}\" {} --value 1ether\n  \
         rota stake delegate --id 1 --amount 500 --mnemonic-index 1\n  \
         rota stake claim --id 1 --mnemonic-index 1 --wait\n  \
         rota liquid deposit --amount 500 --mnemonic-index 2      (stROTA: stake with all operators, transferable)\n  \
         rota liquid position --account {}\n\nCtrl-C stops everything.",
        super::manifest::DEV_MNEMONIC,
        user_address(2)?,
        user_address(2)?,
    );
    Ok(())
}
