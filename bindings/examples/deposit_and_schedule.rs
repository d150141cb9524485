//! Deposits stake with operator 1 and prints who leads the next blocks of the last frozen epoch.
//!
//! Start `make devnet`, then `cargo run -p rota-bindings --example deposit_and_schedule -- <L1 RPC URL> [deployment file]`.
//! The account is anvil's first unless `MNEMONIC` says otherwise.
use alloy::primitives::{U256, utils::parse_ether};
use alloy::providers::ProviderBuilder;
use alloy::signers::local::{MnemonicBuilder, coins_bip39::English};
use rota_bindings::{Deployment, NativeToken, SequencerSet, StakeVault};

const ANVIL: &str = "test test test test test test test test test test test junk";

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_else(|| "http://127.0.0.1:8545".into());
    let file = args.next().unwrap_or_else(|| ".devnet/deployment.json".into());
    let phrase = std::env::var("MNEMONIC").unwrap_or_else(|_| ANVIL.into());
    let signer = MnemonicBuilder::<English>::default().phrase(phrase).build()?;
    let provider = ProviderBuilder::new().wallet(signer).connect(&url).await?;
    let rota = Deployment::from_file(file)?.contracts;

    let amount = parse_ether("100")?;
    let vault = StakeVault::new(rota.stake_vault, &provider);
    let token = NativeToken::new(rota.native_token, &provider);
    token.approve(rota.stake_vault, amount).send().await?.watch().await?;
    let receipt = vault.delegate(1, amount).send().await?.get_receipt().await?;
    println!("delegated {amount} wei in {}", receipt.transaction_hash);

    let set = SequencerSet::new(rota.sequencer_set, &provider);
    let epoch = set.lastFrozen().call().await?;
    let frozen = set.EpochFrozen_filter().topic1(U256::from(epoch)).from_block(0).query().await?;
    let (event, _) = frozen.first().ok_or_else(|| eyre::eyre!("no epoch is frozen yet"))?;
    for block in 0..10 {
        let leader = set.leaderAt(epoch, block, 0, 0, event.members.clone()).call().await?;
        println!("block {block} of epoch {epoch}: operator {} ({})", leader.id, leader.signer);
    }
    Ok(())
}
