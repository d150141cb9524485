//! The bindings against a real chain and real deployment files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]

use std::path::{Path, PathBuf};

use alloy::{
    primitives::{Address, Bytes, U256},
    providers::ProviderBuilder,
    sol_types::{Panic, Revert, SolError},
};
use alloy_node_bindings::{Anvil, AnvilInstance};
use rota_bindings::{
    Deployment, DeploymentError, MessagePasser, NativeToken, RotaError, RotaErrors, StakeVault, decode_revert,
    types::{BatchState, OperatorStatus},
};

/// The native binary: the npm command is a Node process that would leave anvil behind.
fn anvil() -> AnvilInstance {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node_modules/@foundry-rs");
    let binary = std::fs::read_dir(&packages)
        .unwrap_or_else(|_| panic!("{} is missing: run `make setup`", packages.display()))
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let platform = path.file_name()?.to_str()?.starts_with("anvil-");
            platform.then(|| path.join("bin/anvil"))
        })
        .find(|path: &PathBuf| path.exists())
        .expect("anvil is not installed: run `make setup`");
    Anvil::at(binary).spawn()
}

#[test]
fn each_kind_of_revert_is_told_apart() {
    let error = StakeVault::StakeVault_InsufficientUnits { requested: U256::from(7), held: U256::from(5) };
    let decoded = decode_revert(&error.abi_encode());
    assert_eq!(decoded.name(), Some("StakeVault_InsufficientUnits"));
    assert!(matches!(&decoded, RotaError::Contract(error)
        if matches!(**error, RotaErrors::StakeVault_InsufficientUnits(_))));
    let text = decoded.to_string();
    assert!(text.starts_with("StakeVault_InsufficientUnits(requested: 7, held: 5); undelegate at most"), "{text}");

    assert_eq!(decode_revert(&Revert::from("no").abi_encode()).to_string(), "no");
    let panic = decode_revert(&Panic { code: U256::from(0x11) }.abi_encode());
    assert_eq!(panic, RotaError::Panic(U256::from(0x11)));
    assert_eq!(panic.to_string(), "panic 0x11");
    assert_eq!(decode_revert(&[]), RotaError::Empty);
    let foreign = Bytes::from_static(&[1, 2, 3, 4, 5]);
    assert_eq!(decode_revert(&foreign), RotaError::Unknown(foreign.clone()));
    // A known selector with cut arguments is not that error.
    let cut = &error.abi_encode()[..40];
    assert!(matches!(decode_revert(cut), RotaError::Unknown(_)));
}

#[test]
fn states_have_names() {
    assert_eq!(OperatorStatus::try_from(4), Ok(OperatorStatus::Tombstoned));
    assert_eq!(
        OperatorStatus::try_from(5).unwrap_err().to_string(),
        "5 is not a operator status known to these bindings"
    );
    assert_eq!(BatchState::try_from(4), Ok(BatchState::Final));
    assert!(BatchState::try_from(6).is_err());
}

#[test]
fn the_predeploy_has_runtime_code() {
    assert!(MessagePasser::DEPLOYED_BYTECODE.len() > 100);
    assert!(MessagePasser::BYTECODE.len() > MessagePasser::DEPLOYED_BYTECODE.len());
}

#[test]
fn a_deployment_file_is_read_strictly() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deployments");
    let deployment = Deployment::load(&folder, 31337).unwrap();
    assert_eq!(deployment.profile, "devnet");
    assert_eq!(deployment.min_self_bond, 100_000_000_000_000_000_000);
    assert_eq!(deployment.contracts.lens, Address::with_last_byte(13));
    let json = serde_json::to_string(&deployment).unwrap();
    assert_eq!(serde_json::from_str::<Deployment>(&json).unwrap(), deployment);

    assert!(matches!(Deployment::load(&folder, 1), Err(DeploymentError::Read { .. })));
    assert!(matches!(Deployment::load(&folder, 5), Err(DeploymentError::WrongChain { found: 31337, expected: 5, .. })));
    let no_deployment = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/Lens.json");
    assert!(matches!(Deployment::from_file(no_deployment), Err(DeploymentError::Parse { .. })));
}

#[tokio::test]
async fn a_real_refusal_comes_back_typed() {
    let anvil = anvil();
    let provider = ProviderBuilder::new().wallet(anvil.wallet().unwrap()).connect_http(anvil.endpoint_url());
    let owner = anvil.addresses()[0];
    let token = NativeToken::deploy(&provider, "Rota".into(), "ROTA".into(), U256::from(1000), owner).await.unwrap();
    assert_eq!(token.balanceOf(owner).call().await.unwrap(), U256::from(1000));
    let failure = token.transfer(Address::repeat_byte(1), U256::from(1001)).call().await.unwrap_err();
    let error = RotaError::from_call(&failure).unwrap();
    assert_eq!(error.name(), Some("ERC20InsufficientBalance"));
    let text = error.to_string();
    assert!(text.contains("balance: 1000, needed: 1001"), "{text}");
}

/// The same contract through ethers-rs.
#[cfg(feature = "ethers")]
#[tokio::test]
async fn ethers_reads_what_alloy_deployed() {
    use std::sync::Arc;

    use ethers::{
        contract::ContractError,
        providers::{Http, Provider},
        types::{H160, U256 as EthersU256},
    };
    use rota_bindings::generated::ethers::native_token::{
        ERC20InsufficientBalance, NativeToken as EthersToken, NativeTokenErrors,
    };

    let anvil = anvil();
    let provider = ProviderBuilder::new().wallet(anvil.wallet().unwrap()).connect_http(anvil.endpoint_url());
    let owner = anvil.addresses()[0];
    let token = NativeToken::deploy(&provider, "Rota".into(), "ROTA".into(), U256::from(1000), owner).await.unwrap();

    let client = Arc::new(Provider::<Http>::try_from(anvil.endpoint()).unwrap());
    let mirror = EthersToken::new(H160::from_slice(token.address().as_slice()), client);
    let holder = H160::from_slice(owner.as_slice());
    assert_eq!(mirror.symbol().call().await.unwrap(), "ROTA");
    assert_eq!(mirror.balance_of(holder).call().await.unwrap(), EthersU256::from(1000));
    let failure = mirror.transfer(H160::repeat_byte(1), 1001.into()).from(holder).call().await.unwrap_err();
    let ContractError::Revert(_) = &failure else { panic!("{failure}") };
    let expected = ERC20InsufficientBalance { sender: holder, balance: 1000.into(), needed: 1001.into() };
    assert_eq!(
        failure.decode_contract_revert::<NativeTokenErrors>(),
        Some(NativeTokenErrors::ERC20InsufficientBalance(expected))
    );
}
