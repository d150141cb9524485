//! Chain configuration and genesis.

use alloy_primitives::{Address, B256, U256, address, b256, keccak256};
use rota_protocol::{
    config::{AllocAccount, ChainConfig, ConfigError, ContractsConfig, OriginConfig, default_alloc},
    header::MESSAGE_PASSER,
};

fn config() -> ChainConfig {
    ChainConfig {
        l1_chain_id: 31337,
        l2_chain_id: 7777,
        profile: "test".into(),
        deployed_at_block: 3,
        genesis_origin: OriginConfig { number: 5, hash: B256::repeat_byte(5) },
        sigma0: 2,
        gas_limit: 30_000_000,
        base_fee: 1_000_000_000,
        epoch_genesis: 1_700_000_000,
        epoch_seconds: 20,
        slots_per_window: 16,
        block_time_ms: 250,
        batch_blocks: 32,
        batch_seconds: 8,
        data_bytes_per_second: 240_000,
        l1_confirmations: 2,
        max_origin_lag: 60,
        contracts: ContractsConfig { batch_chain: Address::repeat_byte(9), ..ContractsConfig::default() },
        alloc: default_alloc(vec![0x60, 0x00].into()),
    }
}

#[test]
fn json_is_camel_case_and_round_trips() {
    let config = config();
    let json = serde_json::to_value(&config).unwrap();
    assert_eq!(json["l2ChainId"], 7777);
    assert_eq!(json["dataBytesPerSecond"], 240_000);
    assert_eq!(json["genesisOrigin"]["number"], 5);
    assert!(json["contracts"]["batchChain"].is_string());
    assert_eq!(serde_json::from_value::<ChainConfig>(json).unwrap(), config);
}

#[test]
fn the_genesis_hash_depends_on_gas_limit_base_fee_and_alloc_only() {
    let base = config();
    let same = ChainConfig {
        l1_chain_id: 1,
        l2_chain_id: 2,
        profile: "mainnet".into(),
        genesis_origin: OriginConfig::default(),
        sigma0: 99,
        epoch_genesis: 0,
        contracts: ContractsConfig::default(),
        ..base.clone()
    };
    assert_eq!(same.genesis_hash(), base.genesis_hash());
    let mut funded = base.alloc.clone();
    funded.insert(Address::repeat_byte(3), AllocAccount { balance: U256::from(1), ..AllocAccount::default() });
    for other in [
        ChainConfig { gas_limit: 1, ..base.clone() },
        ChainConfig { base_fee: 8, ..base.clone() },
        ChainConfig { alloc: funded, ..base.clone() },
    ] {
        assert_ne!(other.genesis_hash(), base.genesis_hash());
    }
}

#[test]
fn block_zero_has_osaka_shape() {
    let header = config().genesis_header();
    assert_eq!((header.number, header.timestamp), (0, 0));
    assert_eq!(header.parent_beacon_block_root, Some(B256::ZERO));
    assert_eq!(header.requests_hash, Some(rota_protocol::header::EMPTY_REQUESTS_HASH));
    assert_eq!((header.blob_gas_used, header.excess_blob_gas), (Some(0), Some(0)));
    assert_eq!(header.block_access_list_hash, None);
    assert!(header.extra_data.is_empty());
}

#[test]
fn an_empty_state_has_the_empty_root() {
    let empty = ChainConfig { alloc: Default::default(), ..config() };
    let root = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
    assert_eq!(empty.genesis_header().state_root, root);
}

#[test]
fn the_state_root_covers_code_balance_nonce_and_storage() {
    let root = |account: AllocAccount| {
        let alloc = [(Address::repeat_byte(1), account)].into();
        ChainConfig { alloc, ..config() }.genesis_header().state_root
    };
    let slot = |key: u8, value: u8| [(B256::with_last_byte(key), B256::with_last_byte(value))].into();
    let base = AllocAccount::default();
    let mut roots = vec![
        root(base.clone()),
        root(AllocAccount { code: vec![1].into(), ..base.clone() }),
        root(AllocAccount { balance: U256::from(1), ..base.clone() }),
        root(AllocAccount { nonce: 1, ..base.clone() }),
        root(AllocAccount { storage: slot(1, 1), ..base.clone() }),
        root(AllocAccount { storage: slot(1, 2), ..base.clone() }),
        root(AllocAccount { storage: slot(2, 1), ..base.clone() }),
    ];
    assert_eq!(root(AllocAccount { storage: slot(1, 0), ..base }), roots[0], "a zero slot does not exist");
    roots.sort_unstable();
    roots.dedup();
    assert_eq!(roots.len(), 7);
}

#[test]
fn the_default_accounts_are_the_system_contracts_and_the_predeploy() {
    let alloc = default_alloc(vec![0xfe].into());
    let addresses: Vec<_> = alloc.keys().copied().collect();
    assert_eq!(
        addresses,
        [
            address!("00000961Ef480Eb55e80D19ad83579A64c007002"),
            address!("0000BBdDc7CE488642fb579F8B00f3a590007251"),
            address!("0000F90827F1C53a10cb7A02335B175320002935"),
            address!("000F3df6D732807Ef1319fB7B8bB8522d0Beac02"),
            MESSAGE_PASSER,
        ]
    );
    assert!(alloc.values().all(|account| account.nonce == 1 && account.balance.is_zero() && !account.code.is_empty()));
    // The deployed code of EIP-4788, as its text gives it.
    let roots = &alloc[&address!("000F3df6D732807Ef1319fB7B8bB8522d0Beac02")];
    assert_eq!(keccak256(&roots.code), b256!("f57acd40259872606d76197ef052f3d35588dadf919ee1f0e3cb9b62d3f4b02c"));
}

#[test]
fn nonsense_is_refused() {
    assert_eq!(config().validate(), Ok(()));
    assert_eq!(ChainConfig { base_fee: 6, ..config() }.validate(), Err(ConfigError::BaseFee(6)));
    assert_eq!(ChainConfig { slots_per_window: 8, ..config() }.validate(), Err(ConfigError::Slots(8)));
    assert_eq!(ChainConfig { slots_per_window: 0, ..config() }.validate(), Err(ConfigError::Slots(0)));
    assert_eq!(ChainConfig { batch_blocks: 0, ..config() }.validate(), Err(ConfigError::Zero("batchBlocks")));
    let unpaid = ChainConfig { data_bytes_per_second: 0, ..config() };
    assert_eq!(unpaid.validate(), Err(ConfigError::Zero("dataBytesPerSecond")));
    assert_eq!(ChainConfig { sigma0: 0, ..config() }.validate(), Err(ConfigError::Zero("sigma0")));
}

#[test]
fn the_genesis_state_of_sealing_matches_the_config() {
    let config = config();
    let sealing = config.genesis_sealing();
    assert_eq!(sealing.tip_hash(), config.genesis_hash());
    assert_eq!(sealing.batch_hash(), config.genesis_hash());
    assert_eq!(sealing.sigma(), 2);
    assert_eq!(config.sealing_params().slots_per_window, 16);
    assert_eq!(config.sealing_params().data_bytes_per_second, 240_000);
    assert_eq!(config.vote_domain().chain_id(), 7777);
    assert_eq!(config.epoch_clock().start_of(1), 1_700_000_020);
}
