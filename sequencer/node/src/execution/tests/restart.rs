use std::{
    fs::{self, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256, U256};

use super::fixture::*;
use crate::{
    chain::{DecidedChain, EngineError, SealedBlock},
    execution::StartError,
    store::{BlockLog, StoreError},
};

/// A chain of `blocks` blocks with a transfer in each, whose node then disappears without closing anything.
async fn chain_of(folder: &Path, blocks: u64) -> Vec<SealedBlock> {
    let node = TestNode::start(executor_config(folder, chain_config(1))).unwrap();
    extend(&node, blocks).await
}

async fn extend(node: &TestNode, blocks: u64) -> Vec<SealedBlock> {
    let mut made = Vec::new();
    for _ in 0..blocks {
        let nonce = node.chain.head_state().nonce(signer(0).address()).unwrap();
        let to = recipient(nonce);
        node.pool.add(Call { value: 5, ..Call::to(to, nonce) }.sign(&signer(0))).unwrap();
        made.push(node.advance(Vec::new()).await);
    }
    made
}

/// Who gets the transfer of the block after nonce `nonce`.
fn recipient(nonce: u64) -> Address {
    Address::repeat_byte(0xa0 + (nonce % 7) as u8)
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("blocks/00000000.log")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn assert_chain(node: &TestNode, blocks: &[SealedBlock]) {
    assert_eq!(node.chain.head().number, blocks.len() as u64);
    for block in blocks {
        let number = block.number();
        assert_eq!(node.chain.block(number).unwrap().as_ref(), Some(block));
        assert_eq!(node.chain.number_of(block.hash).unwrap(), Some(number));
        assert_eq!(node.chain.header(number).unwrap().unwrap().hash_slow(), block.hash);
        let decided = DecidedChain::decided(node.chain.as_ref(), number).unwrap().unwrap();
        assert_eq!(decided.certificate.block_hash, block.hash);
        let receipts = node.chain.receipts(number).unwrap().unwrap();
        assert_eq!(receipts.senders, [signer(0).address()]);
        let hash = *block.block.body.transactions[0].tx_hash();
        assert_eq!(node.chain.transaction_location(hash).unwrap().unwrap().number, number);
        let state = node.chain.state_at(number).unwrap();
        assert_eq!(state.nonce(signer(0).address()).unwrap(), number);
        assert_eq!(state.balance(recipient(number - 1)).unwrap(), U256::from(5 * (1 + (number - 1) / 7)));
    }
    assert!(node.chain.block(blocks.len() as u64 + 1).unwrap().is_none());
    assert!(node.chain.state_at(blocks.len() as u64 + 1).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_executes_only_what_no_checkpoint_covers() {
    let folder = tempfile::tempdir().unwrap();
    let mut blocks = chain_of(folder.path(), 11).await;
    let node = TestNode::start(executor_config(folder.path(), chain_config(1))).unwrap();
    assert!((1..=7).contains(&node.replayed), "{} blocks replayed", node.replayed);
    assert_chain(&node, &blocks);
    blocks.extend(extend(&node, 5).await);
    assert_chain(&node, &blocks);
    node.executor.close().await.unwrap();
    drop(node);

    let node = TestNode::start(executor_config(folder.path(), chain_config(1))).unwrap();
    assert_eq!(node.replayed, 0, "a graceful stop leaves nothing to execute");
    assert_chain(&node, &blocks);
    drop(node);

    // The derived state is only a convenience.
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    let node = TestNode::start(executor_config(folder.path(), chain_config(1))).unwrap();
    assert_eq!(node.replayed, 16);
    assert_chain(&node, &blocks);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_record_is_cut_wherever_the_crash_fell() {
    let source = tempfile::tempdir().unwrap();
    let blocks = chain_of(source.path(), 3).await;
    let full = fs::metadata(log_file(source.path())).unwrap().len();
    let before = {
        let log = BlockLog::open(&source.path().join("blocks"), chain_config(1).genesis_hash(), 1 << 20, None).unwrap();
        let (position, _) = log.iter_after(None).unwrap().nth(2).unwrap().unwrap();
        position.offset
    };
    // No record at all, part of its header, part of its payload, all but the last byte; and garbage of full length,
    // as a file system that grew the file before it wrote the data leaves behind.
    let cuts = [before, before + 1, before + 4, before + 11, before + 12, before + 100, full - 1];
    for (case, cut) in cuts.into_iter().map(|cut| (format!("cut at {cut}"), Some(cut))).chain([("zeros".into(), None)])
    {
        let folder = tempfile::tempdir().unwrap();
        copy(source.path(), folder.path());
        let file = OpenOptions::new().read(true).write(true).open(log_file(folder.path())).unwrap();
        file.set_len(cut.unwrap_or(before)).unwrap();
        if cut.is_none() {
            file.set_len(full).unwrap();
        }
        drop(file);
        let node = TestNode::start(executor_config(folder.path(), chain_config(1))).unwrap();
        assert_chain(&node, &blocks[..2]);
        // The block that was torn is decided again, and survives.
        node.commit(blocks[2].clone()).await.unwrap();
        drop(node);
        let node = TestNode::start(executor_config(folder.path(), chain_config(1))).unwrap();
        assert_chain(&node, &blocks);
        println!("{case}: recovered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appended_block_counts_even_if_nothing_else_happened() {
    // SIGKILL between the fsync of the log and everything after it.
    let folder = tempfile::tempdir().unwrap();
    let config = executor_config(folder.path(), chain_config(1));
    let node = TestNode::start(config.clone()).unwrap();
    let mut blocks = extend(&node, 2).await;
    node.pool.add(Call { value: 5, ..Call::to(recipient(2), 2) }.sign(&signer(0))).unwrap();
    let block = node.build(Vec::new()).await;
    let genesis = node.chain.genesis_hash();
    drop(node);
    let log = BlockLog::open(&folder.path().join("blocks"), genesis, 1 << 20, None).unwrap();
    log.append(&decided(block.clone(), genesis_context(&config.chain))).unwrap();
    drop(log);
    blocks.push(block);
    let node = TestNode::start(config).unwrap();
    assert_chain(&node, &blocks);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_reported_not_guessed_at() {
    let source = tempfile::tempdir().unwrap();
    let blocks = chain_of(source.path(), 7).await;
    let genesis = chain_config(1).genesis_hash();
    let positions: Vec<u64> = {
        let log = BlockLog::open(&source.path().join("blocks"), genesis, 1 << 20, None).unwrap();
        log.iter_after(None).unwrap().map(|item| item.unwrap().0.offset).collect()
    };
    let start = |folder: &Path| TestNode::start(executor_config(folder, chain_config(1)));
    let flip = |folder: &Path, offset: u64| {
        let mut file = OpenOptions::new().read(true).write(true).open(log_file(folder)).unwrap();
        let mut byte = [0u8];
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.read_exact(&mut byte).unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(&[byte[0] ^ 0x40]).unwrap();
    };

    // A flipped bit in a record that others follow: magic, length, checksum, payload.
    for at in [0, 5, 9, 40] {
        let folder = tempfile::tempdir().unwrap();
        copy(source.path(), folder.path());
        flip(folder.path(), positions[5] + at);
        let Err(StartError::Store(StoreError::Corrupt(reason))) = start(folder.path()) else {
            panic!("damage at byte {at} of a record was not noticed")
        };
        assert!(reason.contains("00000000.log") && reason.contains("follows"), "{reason}");
    }
    // The same in a block below the checkpoint is found when it is read.
    let folder = tempfile::tempdir().unwrap();
    copy(source.path(), folder.path());
    flip(folder.path(), positions[0] + 40);
    let node = start(folder.path()).unwrap();
    assert!(matches!(node.chain.block(1), Err(StoreError::Corrupt(_))));
    assert_eq!(node.chain.block(2).unwrap(), Some(blocks[1].clone()));
    drop(node);
    // A lost log under a state that needs it.
    let folder = tempfile::tempdir().unwrap();
    copy(source.path(), folder.path());
    fs::remove_dir_all(folder.path().join("blocks")).unwrap();
    assert!(matches!(start(folder.path()), Err(StartError::Store(StoreError::Corrupt(_)))));
    // A log of an older release, whose records this one does not read.
    let folder = tempfile::tempdir().unwrap();
    copy(source.path(), folder.path());
    let mut bytes = fs::read(log_file(folder.path())).unwrap();
    bytes[7] = b'1';
    let crc = crc32c::crc32c(&bytes[..48]);
    bytes[48..52].copy_from_slice(&crc.to_be_bytes());
    fs::write(log_file(folder.path()), bytes).unwrap();
    let Err(StartError::Store(error @ StoreError::Version { found: '1', expected: '2', .. })) = start(folder.path())
    else {
        panic!("the log of an older release was read")
    };
    assert!(error.to_string().contains("never remove the folder `consensus`"), "{error}");
    // Another chain's folder, recognised by the state as by the log alone.
    let mut other = chain_config(1);
    other.gas_limit += 1;
    for remove in [None, Some("state")] {
        let folder = tempfile::tempdir().unwrap();
        copy(source.path(), folder.path());
        if let Some(part) = remove {
            fs::remove_dir_all(folder.path().join(part)).unwrap();
        }
        let Err(StartError::Store(StoreError::OtherChain { found, .. })) =
            TestNode::start(executor_config(folder.path(), other.clone()))
        else {
            panic!("another chain's data was accepted")
        };
        assert_eq!(found, genesis);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lies_about_a_root_stops_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let config = executor_config(folder.path(), chain_config(1));
    let node = TestNode::start(config.clone()).unwrap();
    extend(&node, 1).await;
    let good = node.build(Vec::new()).await;
    let genesis = node.chain.genesis_hash();
    drop(node);
    let mut block = good.block.as_ref().clone();
    block.header.state_root = B256::repeat_byte(9);
    let log = BlockLog::open(&folder.path().join("blocks"), genesis, 1 << 20, None).unwrap();
    log.append(&decided(SealedBlock::new(block), genesis_context(&config.chain))).unwrap();
    drop(log);
    let Err(StartError::Replay { number: 2, reason }) = TestNode::start(config) else { panic!("it started") };
    assert!(reason.contains("state_root"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_rolls_over_to_new_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = executor_config(folder.path(), chain_config(1));
    config.segment_bytes = 3000;
    let node = TestNode::start(config.clone()).unwrap();
    let blocks = extend(&node, 12).await;
    drop(node);
    let files = fs::read_dir(folder.path().join("blocks")).unwrap().count();
    assert!(files > 2, "{files} files");
    // A crash right after a new file was made, before its header was complete.
    fs::write(folder.path().join(format!("blocks/{files:08}.log")), b"ROTA").unwrap();
    let node = TestNode::start(config.clone()).unwrap();
    assert_chain(&node, &blocks);
    drop(node);
    // A record cut in a file that is not the last was not cut by a crash.
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    let first = OpenOptions::new().write(true).open(log_file(folder.path())).unwrap();
    first.set_len(first.metadata().unwrap().len() - 1).unwrap();
    assert!(matches!(TestNode::start(config), Err(StartError::Store(StoreError::Corrupt(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_the_block_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = TestNode::start(executor_config(folder.path(), chain_config(1))).unwrap();
    // The first file of the log is made by the first commit; every write to this one says that the disk is full.
    std::os::unix::fs::symlink("/dev/full", log_file(folder.path())).unwrap();
    node.pool.add(Call { value: 5, ..Call::to(recipient(0), 0) }.sign(&signer(0))).unwrap();
    let block = node.build(Vec::new()).await;
    let Err(EngineError::Storage(reason)) = node.commit(block.clone()).await else { panic!("it was committed") };
    assert!(reason.contains("No space left"), "{reason}");
    assert_eq!(node.chain.head().number, 0);
    assert_eq!(node.pool.status().pending, 1);
    // With space again the same block goes in.
    fs::remove_file(log_file(folder.path())).unwrap();
    node.commit(block.clone()).await.unwrap();
    drop(node);
    let node = TestNode::start(executor_config(folder.path(), chain_config(1))).unwrap();
    assert_chain(&node, &[block]);
}
