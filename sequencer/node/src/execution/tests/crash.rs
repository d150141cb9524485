//! SIGKILL while a node commits blocks, at moments nobody chose.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use alloy_primitives::{Address, keccak256};
use rand::Rng;

use super::fixture::*;

const FOLDER: &str = "ROTA_CRASH_TEST_FOLDER";

/// Not a test of its own: the process that is killed. It prints the hash of each block once it is committed.
#[tokio::test(flavor = "multi_thread")]
async fn crash_child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let node = TestNode::start(executor_config(Path::new(&folder), chain_config(1))).unwrap();
    println!("started");
    loop {
        let nonce = node.chain.head_state().nonce(signer(0).address()).unwrap();
        for offset in 0..5 {
            let to = Address::from_word(keccak256((nonce + offset).to_be_bytes()));
            node.pool.add(Call { value: 1, ..Call::to(to, nonce + offset) }.sign(&signer(0))).unwrap();
        }
        let block = node.advance(Vec::new()).await;
        println!("committed {} {}", block.number(), block.hash);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_survives_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let mut committed: Vec<(u64, String)> = Vec::new();
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "execution::tests::crash::crash_child", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wait = Duration::from_millis(rand::rng().random_range(1..400));
        let (start, started) = std::sync::mpsc::channel::<()>();
        let killer = std::thread::spawn(move || {
            // The clock starts with the first block of this run, so that every round has something to lose.
            let _ = started.recv();
            std::thread::sleep(wait);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines.map_while(Result::ok) {
            // The test harness may print its own text before ours on one line.
            let Some(at) = line.find("committed ") else { continue };
            let mut words = line[at..].split(' ').skip(1);
            committed.push((words.next().unwrap().parse().unwrap(), words.next().unwrap().to_owned()));
            let _ = start.send(());
        }
        drop(start);
        killer.join().unwrap();

        let node = TestNode::start(executor_config(folder.path(), chain_config(1))).unwrap();
        let (last, _) = committed.last().cloned().unwrap();
        let head = node.chain.head().number;
        assert!(head == last || head == last + 1, "round {round}: head {head}, last acknowledged {last}");
        for (number, hash) in &committed {
            assert_eq!(&node.chain.hash_of(*number).unwrap().unwrap().to_string(), hash, "round {round}");
        }
        assert_eq!(node.chain.head_state().nonce(signer(0).address()).unwrap(), head * 5);
        println!("round {round}: killed after {wait:?}, head {head}, replayed {}", node.replayed);
        node.executor.close().await.unwrap();
    }
}
