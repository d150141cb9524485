use std::collections::BTreeMap;

use alloy::{
    consensus::{SignableTransaction, TxEip4844, TxEip7702},
    eips::eip7702::Authorization,
    signers::SignerSync,
};
use alloy_consensus::{BlockBody, Header};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles, TrieAccount,
    proof::verify_proof,
    root::{state_root_unhashed, storage_root_unhashed},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rota_protocol::{
    batch::{RangeError, transactions_len},
    header::coinbase,
    member::{FrozenSet, Member},
    sealing::AppliedBlock,
};

use super::fixture::*;
use crate::{
    chain::{Block, DecidedChain, EngineError, ExecutionEngine, SealedBlock, Transaction, Validity},
    store::{Chain, StateDiff},
};

/// The whole state, kept beside the node and hashed by another trie implementation.
#[derive(Default)]
struct Model {
    accounts: BTreeMap<Address, TrieAccount>,
    storage: BTreeMap<Address, BTreeMap<B256, U256>>,
}

impl Model {
    fn genesis(chain: &Chain) -> Self {
        let mut model = Self::default();
        for (address, account) in &chain.config().alloc {
            let account = TrieAccount {
                nonce: account.nonce,
                balance: account.balance,
                storage_root: EMPTY_ROOT_HASH,
                code_hash: keccak256(&account.code),
            };
            model.accounts.insert(*address, account);
        }
        model
    }

    fn apply(&mut self, diff: &StateDiff) {
        for (address, account) in &diff.accounts {
            match account {
                Some(account) => self.accounts.insert(*address, *account),
                None => self.accounts.remove(address),
            };
        }
        for (address, slots) in &diff.storage {
            let storage = self.storage.entry(*address).or_default();
            for (slot, value) in slots {
                if value.is_zero() {
                    storage.remove(&B256::from(*slot));
                } else {
                    storage.insert(B256::from(*slot), *value);
                }
            }
        }
    }

    fn root(&self) -> B256 {
        state_root_unhashed(self.accounts.iter().map(|(address, account)| {
            let slots = self.storage.get(address).into_iter().flatten();
            let storage_root = storage_root_unhashed(slots.map(|(slot, value)| (*slot, *value)));
            assert_eq!(storage_root, account.storage_root, "storage root of {address}");
            (*address, *account)
        }))
    }
}

fn deploy(nonce: u64, runtime: &[u8]) -> Call {
    Call { nonce, to: TxKind::Create, gas: 500_000, data: initcode(runtime), ..Call::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_deposits_and_contracts_execute_as_on_ethereum() {
    let folder = tempfile::tempdir().unwrap();
    let node = TestNode::start(executor_config(folder.path(), chain_config(2))).unwrap();
    let alice = signer(0);
    let bob = Address::repeat_byte(0xb0);

    // A deposit on L1 creates supply on L2; nothing else does.
    let block = node.advance(vec![deposit(0, bob, 5), deposit(1, bob, 7)]).await;
    assert_eq!(node.chain.head_state().balance(bob).unwrap(), U256::from(12 * GWEI));
    assert_eq!(block.header().base_fee_per_gas, Some(875_000_000), "an empty parent lowers the base fee by 1/8");

    let before = node.chain.head_state().balance(alice.address()).unwrap();
    node.pool.add(Call { value: 3, ..Call::to(bob, 0) }.sign(&alice)).unwrap();
    node.pool.add(deploy(1, STORE).sign(&alice)).unwrap();
    let contract = alice.address().create(1);
    let slot = U256::from(0x1234);
    let data = words(&[slot, U256::from(77)]);
    node.pool.add(Call { gas: 100_000, data, ..Call::to(contract, 2) }.sign(&alice)).unwrap();
    let block = node.advance(Vec::new()).await;
    assert_eq!(block.block.body.transactions.len(), 3);

    let state = node.chain.head_state();
    assert_eq!(state.balance(bob).unwrap(), U256::from(12 * GWEI + 3));
    assert_eq!(state.nonce(alice.address()).unwrap(), 3);
    assert_eq!(state.code(contract).unwrap(), Bytes::from_static(STORE));
    assert_eq!(state.storage(contract, slot).unwrap(), U256::from(77));
    let receipts = node.chain.receipts(2).unwrap().unwrap();
    assert_eq!(receipts.senders, vec![alice.address(); 3]);
    assert!(receipts.receipts.iter().all(|receipt| receipt.status()));
    assert_eq!(receipts.receipts[2].logs()[0].topics(), &[B256::from(slot)]);
    assert_eq!(receipts.receipts[0].cumulative_gas_used(), 21_000);
    assert_eq!(receipts.receipts[2].cumulative_gas_used(), block.header().gas_used);

    // Every wei is accounted for: base fee burned, tip with the proposer.
    let base_fee = u128::from(block.header().base_fee_per_gas.unwrap());
    let gas = u128::from(block.header().gas_used);
    let after = state.balance(alice.address()).unwrap();
    assert_eq!(before - after, U256::from(3 + gas * (base_fee + GWEI)));
    assert_eq!(state.balance(coinbase(3)).unwrap(), U256::from(gas * GWEI));

    // The system contracts saw the origin and the parent.
    let origins = alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
    let index = U256::from(block.header().timestamp % 8191 + 8191);
    assert_eq!(B256::from(state.storage(origins, index).unwrap()), block.header().parent_beacon_block_root.unwrap());
    let history = alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
    assert_eq!(B256::from(state.storage(history, U256::from(1)).unwrap()), block.header().parent_hash);

    // Indices.
    let hash = *block.block.body.transactions[2].tx_hash();
    let location = node.chain.transaction_location(hash).unwrap().unwrap();
    assert_eq!((location.number, location.index), (2, 2));
    assert_eq!(node.chain.number_of(block.hash).unwrap(), Some(2));
    assert_eq!(node.chain.hash_of(0).unwrap(), Some(node.chain.genesis_hash()));
    assert!(node.chain.header(3).unwrap().is_none());
    assert_eq!(node.pool.status().pending, 0, "mined transactions leave the pool");
}

/// Random transfers, deployments and storage writes; another trie implementation must agree on every root, with the
/// trie evicted at every checkpoint and without.
#[tokio::test(flavor = "multi_thread")]
async fn roots_agree_with_another_trie() {
    for (seed, resident) in [(1u64, 0usize), (2, usize::MAX)] {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let mut config = executor_config(folder.path(), chain_config(4));
        config.resident_nodes = resident;
        let node = TestNode::start(config).unwrap();
        let mut model = Model::genesis(&node.chain);
        let mut nonces = [0u64; 4];
        let mut contracts: Vec<Address> = Vec::new();
        for number in 1..=25u64 {
            for _ in 0..rng.random_range(0..12) {
                let who = rng.random_range(0..4usize);
                let from = signer(who as u32);
                let nonce = nonces[who];
                let call = match rng.random_range(0..4) {
                    0 => {
                        contracts.push(from.address().create(nonce));
                        deploy(nonce, STORE)
                    }
                    1 => {
                        Call { value: rng.random_range(0..9), ..Call::to(Address::with_last_byte(rng.random()), nonce) }
                    }
                    _ => match contracts.last() {
                        None => Call { value: 1, ..Call::to(Address::random(), nonce) },
                        Some(_) => {
                            let contract = contracts[rng.random_range(0..contracts.len())];
                            // Few slots and many zeros: slots are set, changed and cleared again.
                            let slot = U256::from(rng.random_range(0..12u64));
                            let value = U256::from(rng.random_range(0..3u64));
                            Call { gas: 100_000, data: words(&[slot, value]), ..Call::to(contract, nonce) }
                        }
                    },
                };
                nonces[who] += 1;
                node.pool.add(call.sign(&from)).unwrap();
            }
            let deposits = (0..rng.random_range(0..3)).map(|_| deposit(number, Address::random(), 9)).collect();
            let block = node.advance(deposits).await;
            assert_eq!(node.pool.status().pending, 0, "block {number} took everything");
            model.apply(&node.chain.diff_of(number).unwrap());
            assert_eq!(model.root(), block.header().state_root, "block {number}");
        }
        // Every block's state is still readable and provable, before and after checkpoints.
        let mut rng = StdRng::seed_from_u64(seed + 100);
        for number in [0, 1, 3, 4, 5, 8, 13, 20, 24, 25] {
            let header = node.chain.header(number).unwrap().unwrap();
            let state = node.chain.state_at(number).unwrap();
            let mut addresses: Vec<Address> = contracts.clone();
            addresses.extend([signer(0).address(), Address::random(), Address::with_last_byte(3)]);
            let address = addresses[rng.random_range(0..addresses.len())];
            for address in [address, Address::repeat_byte(0x77), signer(1).address()] {
                let slots: Vec<B256> = (0..4u64).map(|slot| B256::from(U256::from(slot))).collect();
                let proof = node.chain.proof(number, address, &slots).unwrap().unwrap();
                let account = state.trie_account(address).unwrap();
                let expected = account.map(alloy_rlp::encode);
                let key = Nibbles::unpack(keccak256(address));
                verify_proof(header.state_root, key, expected, &proof.account_proof).unwrap();
                assert_eq!(proof.balance, state.balance(address).unwrap());
                for slot in &proof.storage {
                    let value = state.storage(address, slot.key.into()).unwrap();
                    assert_eq!(slot.value, value);
                    let expected = (!value.is_zero()).then(|| alloy_rlp::encode(value));
                    let key = Nibbles::unpack(keccak256(slot.key));
                    verify_proof(proof.storage_hash, key, expected, &slot.proof).unwrap();
                }
            }
        }
    }
}

/// Accounts that delegate to code (EIP-7702) and contracts that are gone with the transaction that made them
/// (EIP-6780): the two ways in which an account is neither a plain one nor a lasting contract.
#[tokio::test(flavor = "multi_thread")]
async fn delegated_and_short_lived_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let config = executor_config(folder.path(), chain_config(3));
    let node = TestNode::start(config.clone()).unwrap();
    let mut model = Model::genesis(&node.chain);
    let (alice, bob) = (signer(0), signer(1));
    let contract = alice.address().create(0);
    node.pool.add(deploy(0, STORE).sign(&alice)).unwrap();
    // Initcode that stores, then destroys what it just made and sends its value to the caller: SSTORE(1, 1),
    // SELFDESTRUCT(CALLER).
    let fleeting = Bytes::from_static(&[0x60, 1, 0x60, 1, 0x55, 0x33, 0xff]);
    let ghost = alice.address().create(1);
    let call = Call { nonce: 1, to: TxKind::Create, value: 9, gas: 200_000, data: fleeting, ..Call::default() };
    node.pool.add(call.sign(&alice)).unwrap();
    // Bob lets the contract's code act for his account.
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: contract, nonce: 0 };
    let signature = bob.sign_hash_sync(&authorization.signature_hash()).unwrap();
    let delegate = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 2,
        gas_limit: 200_000,
        max_fee_per_gas: 10 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: bob.address(),
        input: words(&[U256::from(5), U256::from(6)]),
        authorization_list: vec![authorization.into_signed(signature)],
        ..TxEip7702::default()
    };
    let signature = alice.sign_hash_sync(&delegate.signature_hash()).unwrap();
    node.pool.add(Transaction::Eip7702(delegate.into_signed(signature))).unwrap();
    let block = node.advance(Vec::new()).await;
    assert_eq!(block.block.body.transactions.len(), 3);
    let receipts = node.chain.receipts(1).unwrap().unwrap();
    assert!(receipts.receipts.iter().all(|receipt| receipt.status()));
    model.apply(&node.chain.diff_of(1).unwrap());
    assert_eq!(model.root(), block.header().state_root);

    // Someone sends the vanished contract money: a plain account now. Bob's nonce moved with his authorization.
    node.pool.add(Call { value: 4, ..Call::to(ghost, 3) }.sign(&alice)).unwrap();
    assert_eq!(node.pool.pending_nonce(bob.address()).unwrap(), 1);
    let data = words(&[U256::from(5), U256::ZERO]);
    node.pool.add(Call { gas: 100_000, data, ..Call::to(bob.address(), 1) }.sign(&bob)).unwrap();
    let block = node.advance(Vec::new()).await;
    assert_eq!(block.block.body.transactions.len(), 2);
    model.apply(&node.chain.diff_of(2).unwrap());
    assert_eq!(model.root(), block.header().state_root);

    let check = |node: &TestNode| {
        let before = node.chain.state_at(1).unwrap();
        assert_eq!(before.trie_account(ghost).unwrap(), None);
        assert_eq!(before.storage(bob.address(), U256::from(5)).unwrap(), U256::from(6));
        let after = node.chain.state_at(2).unwrap();
        assert_eq!(after.balance(ghost).unwrap(), U256::from(4));
        assert_eq!(after.storage(ghost, U256::from(1)).unwrap(), U256::ZERO);
        assert_eq!(after.storage(bob.address(), U256::from(5)).unwrap(), U256::ZERO);
        let code = after.code(bob.address()).unwrap();
        assert_eq!(&code[..3], [0xef, 0x01, 0x00]);
        assert_eq!(&code[3..], contract.as_slice());
    };
    check(&node);
    node.executor.close().await.unwrap();
    drop(node);
    let node = TestNode::start(config).unwrap();
    check(&node);
    // Removed again.
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: Address::ZERO, nonce: 2 };
    let signature = bob.sign_hash_sync(&authorization.signature_hash()).unwrap();
    let revoke = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 4,
        gas_limit: 200_000,
        max_fee_per_gas: 10 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: alice.address(),
        authorization_list: vec![authorization.into_signed(signature)],
        ..TxEip7702::default()
    };
    let signature = alice.sign_hash_sync(&revoke.signature_hash()).unwrap();
    node.pool.add(Transaction::Eip7702(revoke.into_signed(signature))).unwrap();
    let block = node.advance(Vec::new()).await;
    model.apply(&node.chain.diff_of(3).unwrap());
    assert_eq!(model.root(), block.header().state_root);
    assert_eq!(node.chain.head_state().code(bob.address()).unwrap(), Bytes::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_block_is_what_another_node_validates() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let leader = TestNode::start(executor_config(one.path(), chain_config(3))).unwrap();
    let follower = TestNode::start(executor_config(two.path(), chain_config(3))).unwrap();
    let mut events = follower.chain.subscribe();
    for round in 0..6u64 {
        for index in 0..3 {
            let from = signer(index);
            let call = if round == 0 {
                deploy(0, TOKEN)
            } else {
                let token = from.address().create(0);
                let data = words(&[U256::from(round * 31 + u64::from(index)), U256::from(1)]);
                Call { gas: 120_000, data, ..Call::to(token, round) }
            };
            leader.pool.add(call.sign(&from)).unwrap();
        }
        let block = leader.build(vec![deposit(round, Address::with_last_byte(9), 1)]).await;
        assert_eq!(leader.validate(block.clone()).await, Validity::Valid);
        assert_eq!(follower.validate(block.clone()).await, Validity::Valid);
        leader.commit(block.clone()).await.unwrap();
        follower.commit(block.clone()).await.unwrap();
        // Committing the head again changes nothing.
        follower.commit(block.clone()).await.unwrap();
        let number = block.number();
        assert_eq!(leader.chain.receipts(number).unwrap(), follower.chain.receipts(number).unwrap());
        assert_eq!(leader.chain.diff_of(number).unwrap(), follower.chain.diff_of(number).unwrap());
        let crate::chain::ChainEvent::Committed(event) = events.try_recv().unwrap();
        assert_eq!(event.block, block);
    }
    // A node that was never shown the block before the decision executes it at commit.
    let block = leader.build(Vec::new()).await;
    leader.commit(block.clone()).await.unwrap();
    follower.commit(block).await.unwrap();
    assert_eq!(leader.chain.head().hash, follower.chain.head().hash);
}

fn with_header(block: &SealedBlock, change: impl FnOnce(&mut Header)) -> SealedBlock {
    let mut changed: Block = block.block.as_ref().clone();
    change(&mut changed.header);
    SealedBlock::new(changed)
}

fn with_body(block: &SealedBlock, change: impl FnOnce(&mut BlockBody<Transaction>)) -> SealedBlock {
    let mut changed: Block = block.block.as_ref().clone();
    change(&mut changed.body);
    changed.header.transactions_root = alloy_consensus::proofs::calculate_transaction_root(&changed.body.transactions);
    SealedBlock::new(changed)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_deviation_is_refused_by_name() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let leader = TestNode::start(executor_config(one.path(), chain_config(2))).unwrap();
    let node = TestNode::start(executor_config(two.path(), chain_config(2))).unwrap();
    let alice = signer(0);
    leader.pool.add(Call { value: 1, ..Call::default() }.sign(&alice)).unwrap();
    leader.pool.add(Call { value: 2, nonce: 1, ..Call::default() }.sign(&alice)).unwrap();
    let good = leader.build(vec![deposit(0, Address::repeat_byte(3), 1)]).await;

    let reason = async |block: SealedBlock| match node.validate(block).await {
        Validity::Invalid(reason) => reason,
        Validity::Valid => panic!("an invalid block was accepted"),
    };
    macro_rules! refused {
        ($field:ident, $value:expr) => {
            let bad = with_header(&good, |header| header.$field = $value);
            let reason = reason(bad).await.replace(' ', "_");
            assert!(reason.contains(stringify!($field)), "{reason}");
        };
    }
    refused!(state_root, B256::ZERO);
    refused!(receipts_root, B256::ZERO);
    refused!(transactions_root, B256::ZERO);
    refused!(logs_bloom, alloy_primitives::Bloom::repeat_byte(1));
    refused!(gas_used, 1);
    refused!(gas_limit, 31_000_000);
    refused!(base_fee_per_gas, Some(7));
    refused!(ommers_hash, B256::ZERO);
    refused!(difficulty, U256::from(1));
    refused!(nonce, alloy_primitives::B64::with_last_byte(1));
    refused!(withdrawals_root, None);
    refused!(blob_gas_used, Some(131_072));
    refused!(excess_blob_gas, Some(1));
    refused!(requests_hash, Some(B256::ZERO));
    refused!(block_access_list_hash, Some(B256::ZERO));
    refused!(slot_number, Some(1));
    let bad = with_header(&good, |header| header.parent_beacon_block_root = None);
    assert!(reason(bad).await.contains("L1 origin"));

    let bad = with_body(&good, |body| body.transactions.swap(0, 1));
    assert!(reason(bad).await.contains("transaction 0"), "nonces out of order");
    let bad = with_body(&good, |body| body.withdrawals = None);
    assert!(reason(bad).await.contains("withdrawals"));
    let bad = with_body(&good, |body| {
        body.withdrawals.as_mut().unwrap().0.push(deposit(1, Address::repeat_byte(4), 1));
    });
    assert!(reason(bad).await.contains("_root"));
    let bad = with_body(&good, |body| body.ommers.push(Header::default()));
    assert!(reason(bad).await.contains("ommers"));

    // A blob transaction, correctly signed.
    let blob = TxEip4844 {
        chain_id: CHAIN_ID,
        nonce: 2,
        gas_limit: 21_000,
        max_fee_per_gas: 10 * GWEI,
        max_priority_fee_per_gas: GWEI,
        blob_versioned_hashes: vec![B256::with_last_byte(1)],
        max_fee_per_blob_gas: 1,
        ..TxEip4844::default()
    };
    let signature = alice.sign_hash_sync(&blob.signature_hash()).unwrap();
    let blob = Transaction::Eip4844(blob.into_signed(signature));
    let bad = with_body(&good, |body| body.transactions.push(blob.clone()));
    assert!(reason(bad).await.contains("blobs"));

    // A signature with high s is no signature (EIP-2), however it recovers.
    let Transaction::Eip1559(signed) = &good.block.body.transactions[0] else { panic!("not EIP-1559") };
    let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16).unwrap();
    let signature = signed.signature();
    let high = alloy_primitives::Signature::new(signature.r(), order - signature.s(), !signature.v());
    let malleable = Transaction::Eip1559(signed.tx().clone().into_signed(high));
    let bad = with_body(&good, |body| body.transactions[0] = malleable);
    assert!(reason(bad).await.contains("invalid signature"));

    // More gas than one transaction may have (EIP-7825), although the block has it.
    let greedy = Call { gas: 16_777_217, ..Call::default() };
    let bad = with_body(&good, |body| body.transactions = vec![greedy.sign(&alice)]);
    assert!(reason(bad).await.contains("transaction 0"));

    // More than a batch can carry.
    let big = Call { data: vec![0u8; 70_000].into(), gas: 10_000_000, ..Call::default() };
    let bad = with_body(&good, |body| {
        body.transactions = (0..2).map(|nonce| Call { nonce, ..big.clone() }.sign(&alice)).collect();
    });
    assert!(reason(bad).await.contains("bytes of a batch"));

    // Not a child of the head: no statement about validity.
    let orphan = with_header(&good, |header| header.parent_hash = B256::repeat_byte(1));
    assert!(matches!(node.executor.validate(orphan).await, Err(EngineError::NotOnHead { .. })));
    // Deciding an invalid block stops the node and leaves the chain as it was.
    let bad = with_header(&good, |header| header.state_root = B256::ZERO);
    assert!(matches!(node.commit(bad).await, Err(EngineError::Internal(_))));
    assert_eq!(node.chain.head().number, 0);
    // After all that the good block still validates.
    assert_eq!(node.validate(good.clone()).await, Validity::Valid);
    node.commit(good.clone()).await.unwrap();
    let next = node.build(Vec::new()).await;
    let bad = with_header(&next, |header| header.timestamp = good.header().timestamp - 1);
    assert!(reason(bad).await.contains("timestamp"));
}

/// The hash of a block is that of its header, so a peer can put any body under it.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_header_does_not_vouch_for_another_body() {
    let folder = tempfile::tempdir().unwrap();
    let config = executor_config(folder.path(), chain_config(1));
    let node = TestNode::start(config.clone()).unwrap();
    node.pool.add(Call { value: 1, ..Call::default() }.sign(&signer(0))).unwrap();
    let good = node.build(vec![deposit(0, Address::repeat_byte(3), 1)]).await;
    let mut without_body: Block = good.block.as_ref().clone();
    without_body.body.transactions.clear();
    let bad = SealedBlock::new(without_body);
    assert_eq!(bad.hash, good.hash);

    assert_eq!(node.validate(good.clone()).await, Validity::Valid);
    let Validity::Invalid(reason) = node.validate(bad.clone()).await else { panic!("the wrong body was accepted") };
    assert!(reason.contains("must be"), "{reason}");
    // Decided under a certificate for the hash: the body that was executed is stored, whichever was handed in.
    node.commit(bad).await.unwrap();
    assert_eq!(node.chain.block(1).unwrap(), Some(good.clone()));
    drop(node);
    let node = TestNode::start(config).unwrap();
    assert_eq!(node.chain.block(1).unwrap(), Some(good));
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_take_the_best_tips_within_their_limits() {
    let folder = tempfile::tempdir().unwrap();
    let node = TestNode::start(executor_config(folder.path(), chain_config(3))).unwrap();
    // Account 0 pays little first and much later; 1 pays in between; nonces stay in order.
    for (who, nonce, tip) in [(0, 0, 1), (0, 1, 9), (1, 0, 5), (1, 1, 2), (2, 0, 3)] {
        node.pool.add(Call { nonce, tip: tip * GWEI, fee: 20 * GWEI, ..Call::default() }.sign(&signer(who))).unwrap();
    }
    let block = node.build(Vec::new()).await;
    let order: Vec<_> = {
        use alloy_consensus::Transaction as _;
        block.block.body.transactions.iter().map(|tx| tx.max_priority_fee_per_gas().unwrap() / GWEI).collect()
    };
    assert_eq!(order, [5, 3, 2, 1, 9]);

    // Gas: a second transaction of 11 million gas does not fit beside one of 20 million.
    let mut attributes = node.attributes(Vec::new());
    attributes.max_encoded_len = 30 + 2 * 120;
    let soon = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let block = node.executor.build(attributes.clone(), soon).await.unwrap();
    assert_eq!(block.block.body.transactions.len(), 2, "bytes bound the block");
    attributes.max_encoded_len = 0;
    let block = node.executor.build(attributes.clone(), soon).await.unwrap();
    assert!(block.block.body.transactions.is_empty());
    // No time: an empty block, at once.
    attributes.max_encoded_len = 100_000;
    let block = node.executor.build(attributes, std::time::Instant::now()).await.unwrap();
    assert!(block.block.body.transactions.is_empty());
    assert_eq!(node.validate(block).await, Validity::Valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn gas_bounds_the_block() {
    let folder = tempfile::tempdir().unwrap();
    let node = TestNode::start(executor_config(folder.path(), chain_config(3))).unwrap();
    // An endless loop burns its whole limit: JUMPDEST, PUSH0, JUMP.
    let looping = initcode(&[0x5b, 0x5f, 0x56]);
    node.pool
        .add(Call { to: TxKind::Create, gas: 200_000, data: looping, ..Call::default() }.sign(&signer(0)))
        .unwrap();
    node.advance(Vec::new()).await;
    let contract = signer(0).address().create(0);
    for (who, nonce) in [(0, 1), (1, 0), (2, 0)] {
        node.pool.add(Call { gas: 14_000_000, ..Call::to(contract, nonce) }.sign(&signer(who))).unwrap();
    }
    let block = node.advance(Vec::new()).await;
    assert_eq!(block.block.body.transactions.len(), 2);
    assert_eq!(block.header().gas_used, 28_000_000);
    let receipts = node.chain.receipts(2).unwrap().unwrap();
    assert!(receipts.receipts.iter().all(|receipt| !receipt.status()), "out of gas fails, and pays");
    let block = node.advance(Vec::new()).await;
    assert_eq!(block.block.body.transactions.len(), 1, "the rest comes next");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_never_takes_a_block_over_the_byte_budget() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = chain_config(3);
    config.data_bytes_per_second = 5_000;
    let params = config.sealing_params();
    let mut sealing = config.genesis_sealing();
    let members = (1..=3).map(|id| Member { signer: Address::with_last_byte(id as u8), id, weight: 10 }).collect();
    let set = FrozenSet::new(config.sigma0, B256::repeat_byte(1), members).unwrap();
    let node = TestNode::start(executor_config(folder.path(), config)).unwrap();
    // Half a megabyte of calldata waits: a second's bytes are never enough for it.
    for nonce in 0..64 {
        for who in 0..3 {
            let data = Bytes::from(vec![0; 500 + 97 * nonce]);
            let gas = 21_000 + 10 * data.len() as u64;
            let call = Call { nonce: nonce as u64, gas, data, ..Call::default() };
            node.pool.add(call.sign(&signer(who))).unwrap();
        }
    }
    let (mut total, mut since) = (0, None);
    for _ in 0..16 {
        let mut attributes = node.attributes(Vec::new());
        let timestamp = attributes.timestamp;
        let allowance = sealing.allowance(&params, timestamp);
        let seal = sealing.seal_due(&params, set.epoch(), |account| node.chain.head_balance(account)).unwrap();
        attributes.extra_data = seal.map(|batch| batch.hash().into()).unwrap_or_default();
        attributes.max_encoded_len = sealing.max_len(&params, set.epoch(), timestamp);
        let soon = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let block = node.executor.build(attributes, soon).await.unwrap();
        let applied: Result<_, RangeError> = AppliedBlock::new(&*block.block, block.hash, 1, 0);
        let applied = applied.unwrap();
        let bytes = transactions_len(&applied.range_block) as u64;
        assert!(bytes <= allowance, "{bytes} of {allowance} in block {}", block.number());
        // The smallest transaction that waits is below 7,000 bytes: no more than that is left unused.
        assert!(bytes + 7_000 > allowance.min(119_000), "only {bytes} of {allowance} in block {}", block.number());
        sealing = sealing.apply(&params, &applied, &set, |account| node.chain.head_balance(account)).unwrap();
        node.commit(block).await.unwrap();
        total += bytes;
        let since = *since.get_or_insert(timestamp);
        assert!(total <= params.data_burst() + 5_000 * (timestamp - since), "{total} bytes");
    }
    assert!(total > params.data_burst(), "the budget never bound");
}
