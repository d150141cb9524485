//! `rota liquid …` as a program, on contracts that the project's script deployed: what it prints is what the contracts say,
//! what it exports does what it does itself when another program sends it, and what cannot be is refused by name.

use std::{
    process::Output,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::{
    network::EthereumWallet,
    primitives::{Address, Bytes, U256, aliases::U80, utils::Unit},
    providers::{DynProvider, Provider as _, ProviderBuilder, ext::AnvilApi as _},
    rpc::types::TransactionRequest,
};
use rota::{
    connection::{Network, NetworkArgs, WriteArgs, dev_key},
    devnet::{OPERATOR_INDEX, SIGNER_INDEX, deploy, l1::LocalL1, process::free_port, toolchain},
    operator::{Registration, register},
    stake::delegate,
    submit::Submitter,
};
use rota_bindings::{ExitQueue, ExitReceipt, NativeToken, RateFeed, StakedToken};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{root, rota};

/// Accounts of the development mnemonic.
const DEPLOYER: u32 = 0;
const HOLDER: u32 = 1;
const HEIR: u32 = 2;
const STRANGER: u32 = 3;
/// Seconds that L1 is older than the first epoch: deploying must not use it up.
const LEAD: u64 = 600;

fn whole(tokens: u64) -> U256 {
    Unit::ETHER.wei() * U256::from(tokens)
}

fn address(user: u32) -> Address {
    dev_key(user).unwrap().address()
}

fn number(value: &Value) -> U256 {
    value.as_str().unwrap_or_else(|| panic!("{value} is no number")).parse().unwrap()
}

/// A network with one operator, in which the holder may deposit. Time passes with blocks only, a second each.
struct Bed {
    folder: TempDir,
    l1: LocalL1,
    network: Network,
}

/// Everything of the two accounts that a command may change, and that does not change by itself.
#[derive(Debug, PartialEq)]
struct State {
    tokens: [U256; 2],
    shares: [U256; 2],
    allowances: Vec<U256>,
    /// Batch, shares and state of each request.
    requests: Vec<(U256, U256, u8)>,
    /// Owner, batch and shares of each receipt; nobody where it is gone.
    receipts: Vec<(Address, U256, U256)>,
    claimable: U256,
    operator: bool,
}

impl Bed {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        std::fs::create_dir(dir.join("logs")).unwrap();
        let genesis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let anvil = toolchain::anvil(&root()).unwrap();
        let l1 = LocalL1::start(&anvil, dir, free_port().unwrap(), Some(genesis - LEAD), 1).await.unwrap();
        let deployment = deploy(&root(), dir, &l1.url, "devnet", genesis).await.unwrap();
        let args = NetworkArgs {
            l1_rpc: Some(l1.url.clone().into()),
            deployment: Some(deployment),
            devnet_dir: "nowhere".into(),
            ..NetworkArgs::default()
        };
        let network = Network::connect(&args).await.unwrap();
        l1.jump_to(genesis + 1).await.unwrap();
        l1.provider.anvil_set_block_timestamp_interval(1).await.unwrap();
        let bed = Self { folder, l1, network };
        let by = bed.act(DEPLOYER).await;
        let token = NativeToken::new(bed.network.deployment.contracts.native_token, by.provider.clone());
        by.submit("fund", token.transfer(address(HOLDER), whole(1_000))).await.unwrap();
        by.submit("fund", token.transfer(address(OPERATOR_INDEX), whole(1_000))).await.unwrap();
        // The staked token keeps itself below a third of all stake.
        let by = bed.act(OPERATOR_INDEX).await;
        let registration = Registration {
            signer: dev_key(SIGNER_INDEX).unwrap(),
            reward_recipient: by.from,
            commission_bps: 500,
            metadata: String::new(),
        };
        let id = register(&bed.network, &by, &registration).await.unwrap().unwrap();
        delegate(&bed.network, &by, id, whole(1_000)).await.unwrap();
        bed
    }

    async fn act(&self, user: u32) -> Submitter<'_> {
        Submitter::new(&self.network, &WriteArgs::dev_account(user)).await.unwrap().silent()
    }

    /// `rota liquid …` on this network, or `rota …` where the line says so.
    async fn run(&self, line: &str) -> Output {
        let mut command = rota(self.folder.path());
        let line = line.strip_prefix("rota ").map_or_else(|| format!("liquid {line}"), str::to_owned);
        command.args(line.split(' ')).arg("--l1-rpc").arg(&self.l1.url);
        command.arg("--deployment").arg(self.folder.path().join("deployment.json")).output().await.unwrap()
    }

    async fn text(&self, line: &str) -> String {
        let output = self.run(line).await;
        assert!(output.status.success(), "rota liquid {line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The documents that `rota liquid … --json` printed.
    async fn json(&self, line: &str) -> Vec<Value> {
        let text = self.text(&format!("{line} --json")).await;
        let documents = serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<Vec<_>, _>>();
        documents.unwrap_or_else(|error| panic!("rota liquid {line} --json: {error} in {text}"))
    }

    /// Each line has to be refused with these words.
    async fn refuse(&self, lines: &[(&str, &str)]) {
        for (line, why) in lines {
            let output = self.run(line).await;
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && text.contains(why), "rota liquid {line} should say '{why}': {text}");
            assert!(text.starts_with("error: ") && output.stdout.is_empty(), "rota liquid {line}: {text}");
        }
    }

    fn receipts(&self) -> ExitReceipt::ExitReceiptInstance<DynProvider> {
        ExitReceipt::new(self.network.deployment.contracts.exit_receipt, self.l1.provider.clone())
    }

    async fn state(&self) -> State {
        let (network, contracts) = (&self.network, &self.network.deployment.contracts);
        let (token, share, receipts) = (network.token(), network.staked_token(), self.receipts());
        let (holder, heir) = (address(HOLDER), address(HEIR));
        let mut allowances = vec![token.allowance(holder, contracts.router).call().await.unwrap()];
        for spender in [contracts.router, contracts.exit_receipt, contracts.exit_queue] {
            allowances.push(share.allowance(holder, spender).call().await.unwrap());
        }
        let requests = network.liquid_lens().requestsOf(holder, U256::MAX).call().await.unwrap();
        let issued: u64 = receipts.lastReceipt().call().await.unwrap().to();
        let mut held = Vec::new();
        for receipt in (1..=issued).map(U256::from) {
            let owner = receipts.ownerOf(receipt).call().await.unwrap_or_default();
            let (batch, shares) = match receipts.receiptOf(receipt).call().await {
                Ok(receipt) => (receipt.requestId, receipt.shares),
                Err(_) => Default::default(),
            };
            held.push((owner, batch, shares));
        }
        State {
            tokens: [token.balanceOf(holder).call().await.unwrap(), token.balanceOf(heir).call().await.unwrap()],
            shares: [share.balanceOf(holder).call().await.unwrap(), share.balanceOf(heir).call().await.unwrap()],
            allowances,
            requests: requests.iter().map(|request| (request.requestId, request.shares, request.state)).collect(),
            receipts: held,
            claimable: network.exit_queue().maxWithdraw(holder).call().await.unwrap(),
            operator: network.exit_queue().isOperator(holder, contracts.exit_receipt).call().await.unwrap(),
        }
    }

    /// Runs a command of the holder simulated, for real, and exported and then sent by another program: the last two come to
    /// the same. Returns what the command printed, and the states before and after.
    async fn command(&self, line: &str) -> (Vec<Value>, State, State) {
        let before = self.state().await;
        let (key, from) = (format!("--mnemonic-index {HOLDER}"), format!("--from {}", address(HOLDER)));
        let simulated = self.json(&format!("{line} {key} --dry-run")).await;
        assert_eq!(simulated[0]["status"], "would succeed", "{simulated:?}");
        assert!(simulated[0]["gas"].as_u64().unwrap() > 20_000, "{simulated:?}");
        let unsigned = self.json(&format!("{line} {from} --dry-run")).await;
        let exported = self.json(&format!("{line} {from} --calldata")).await;
        assert_eq!(unsigned.len(), exported.len());
        for (index, (simulated, exported)) in unsigned.iter().zip(&exported).enumerate() {
            for name in ["action", "from", "to", "calldata"] {
                assert_eq!(simulated[name], exported[name], "{line}: {name}");
            }
            assert_eq!(exported["status"], "prepared");
            // What comes first can be simulated; what needs it cannot.
            let status = if index == 0 { "would succeed" } else { "not simulated" };
            assert_eq!(simulated["status"], status, "{line}");
            assert_eq!(simulated["needs"].is_string(), index > 0, "{line}");
        }
        assert_eq!(self.state().await, before, "{line}: nothing was sent");

        let snapshot = self.l1.provider.anvil_snapshot().await.unwrap();
        let printed = self.json(&format!("{line} {key}")).await;
        assert!(printed.iter().all(|document| document["status"] == "done"), "{line}: {printed:?}");
        let after = self.state().await;
        assert_ne!(after, before, "{line} does nothing");
        assert!(self.l1.provider.anvil_revert(snapshot).await.unwrap());
        assert_eq!(self.state().await, before);
        self.send(&exported).await;
        assert_eq!(self.state().await, after, "{line}: the command and its calldata differ");
        (printed, before, after)
    }

    /// Sends what was exported, with nothing of this crate but what it printed.
    async fn send(&self, exported: &[Value]) {
        let wallet = EthereumWallet::from(dev_key(HOLDER).unwrap());
        let provider = ProviderBuilder::new().wallet(wallet).connect(&self.l1.url).await.unwrap();
        for document in exported {
            let to: Address = serde_json::from_value(document["to"].clone()).unwrap();
            let calldata: Bytes = serde_json::from_value(document["calldata"].clone()).unwrap();
            let request = TransactionRequest::default().to(to).input(calldata.into());
            let receipt = provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
            assert!(receipt.status(), "{document} reverted");
        }
    }

    /// `queue` and `apr` and `position` print what the contracts say.
    async fn check_views(&self) {
        let network = &self.network;
        let (token, queue) = (network.staked_token(), network.exit_queue());
        let books = token.position().call().await.unwrap();
        let open = queue.openBatch().call().await.unwrap();
        let [shown] = <[Value; 1]>::try_from(self.json("queue").await).unwrap();
        let free = books.buffer.saturating_sub(books.owed + books.fees);
        for (name, expected) in [
            ("openBatch", open),
            ("openShares", queue.batchOf(open).call().await.unwrap().shares),
            ("sealableFrom", queue.sealableFrom().call().await.unwrap()),
            ("buffer", books.buffer),
            ("freeBuffer", free),
            ("bufferTarget", books.bufferTarget),
            ("thawing", books.thawing),
            ("owed", books.owed),
            ("instantFee", token.instantFee(whole(1)).call().await.unwrap()),
            ("bunkerUntil", books.bunkerUntil),
            ("depositLimit", token.maxDeposit(Address::ZERO).call().await.unwrap()),
        ] {
            assert_eq!(number(&shown[name]), expected, "{name} of the queue");
        }
        assert!(shown["closed"].is_null(), "{shown}");
        let range = token.exitRange().call().await.unwrap();
        let sealed = shown["sealed"].as_array().unwrap();
        assert_eq!(U256::from(sealed.len()), range.tail - range.head);
        for exit in sealed {
            let found = token.exitOf(number(&exit["batch"])).call().await.unwrap();
            assert_eq!((number(&exit["owed"]), number(&exit["payableFrom"])), (found.assets, found.payableFrom));
        }

        let holder = address(HOLDER);
        let [shown] = <[Value; 1]>::try_from(self.json(&format!("position --account {holder}")).await).unwrap();
        let account = network.liquid_lens().accountOf(holder).call().await.unwrap();
        for (name, expected) in [
            ("shares", account.shares),
            ("assets", account.assets),
            ("instantNet", account.instantNet),
            ("pendingShares", account.pendingShares),
            ("claimableShares", account.claimableShares),
            ("claimableAssets", account.claimableAssets),
        ] {
            assert_eq!(number(&shown[name]), expected, "{name} of the position");
        }
        let requests = network.liquid_lens().requestsOf(holder, U256::MAX).call().await.unwrap();
        let request = |shown: &Value| ["batch", "shares", "assets", "ahead", "expectedAt"].map(|n| number(&shown[n]));
        let found: Vec<_> = shown["requests"].as_array().unwrap().iter().map(request).collect();
        let expected = |r: &rota_bindings::types::ExitRequest| [r.requestId, r.shares, r.assets, r.ahead, r.expectedAt];
        assert_eq!(found, requests.iter().map(expected).collect::<Vec<_>>());
        for shown in shown["receipts"].as_array().unwrap() {
            let receipt = number(&shown["receipt"]);
            assert_eq!(self.receipts().ownerOf(receipt).call().await.unwrap(), holder);
            let held = self.receipts().receiptOf(receipt).call().await.unwrap();
            assert_eq!(request(shown)[..3], [held.requestId, held.shares, held.assets]);
            assert_eq!(shown["state"], ["open", "sealed", "ready"][usize::from(held.state)]);
        }

        let [shown] = <[Value; 1]>::try_from(self.json("apr").await).unwrap();
        let feed = network.rate_feed();
        assert_eq!(number(&shown["rate"]), feed.getRate().call().await.unwrap());
        assert_eq!(shown["feeBps"], token.feeInfo().call().await.unwrap().feeBps);
        for row in shown["returns"].as_array().unwrap() {
            let first = feed.getRoundData(U80::from(1)).call().await.unwrap();
            let apr = feed.realisedApr(U80::from(1)).call().await.unwrap();
            assert_eq!([&row["since"], &row["rate"], &row["apr"]], [&json!(first._3), &json!(first._1), &json!(apr)]);
        }
    }
}

/// Of nothing, too much, too precise, to nobody: named, with the way out, and nothing on standard output.
async fn nonsense(bed: &Bed) {
    let as_holder = |line: &str| format!("{line} --mnemonic-index {HOLDER}");
    let token = bed.network.deployment.contracts.staked_token;
    let to_token = as_holder(&format!("deposit --amount 5 --receiver {token}"));
    let to_nobody = as_holder(&format!("deposit --amount 5 --receiver {}", Address::ZERO));
    let stranger = format!("--from {} --calldata", address(STRANGER));
    let poor = format!("deposit --amount 5 {stranger}");
    let [nothing, none, all, keyless] = [
        format!("cancel {stranger}"),
        format!("claim {stranger}"),
        format!("redeem --all {stranger}"),
        format!("redeem --shares 1 --from {}", address(HOLDER)),
    ];
    bed.refuse(&[
        (&as_holder("deposit --amount 0"), "--amount 0 buys no shares"),
        (&as_holder("deposit --amount 1.0000000000000000001"), "more than 18 decimals"),
        (&as_holder("deposit --amount -5"), "-5"),
        (&as_holder("deposit --amount 900"), "a deposit of 900 is too much"),
        (&as_holder("deposit --amount 5 --min-out 6"), "--min-out 6 is more than there is now: 5 shares"),
        (&as_holder("deposit --amount 5 --receiver 0x12"), "'0x12' is not an address"),
        (&to_nobody, "is nobody: name an account"),
        (&to_token, "is the staked token, which gives nothing back"),
        (&poor, "holds 0 native tokens, 5 are needed"),
        (&as_holder("redeem --shares 0"), "--shares 0: name more than none"),
        (&as_holder("redeem --shares 101"), "holds 100 shares, 101 were asked for"),
        (&all, "holds no shares: `rota liquid deposit` buys some"),
        (&as_holder("redeem"), "--shares <SHARES>|--all"),
        (&as_holder("instant --shares 1 --all"), "cannot be used with"),
        (&keyless, "no key: pass --keystore FILE"),
        (&as_holder("instant --shares 90"), "90 shares cannot leave at once"),
        (&as_holder("instant --shares 1 --min-out 2"), "--min-out 2 is more than there is now"),
        (&as_holder("instant --shares 1wei"), "pays nothing"),
        (&nothing, "has no shares in the open batch 1"),
        (&as_holder("receipt"), "has no shares in the open batch 1"),
        (&as_holder("cancel --receipt 7"), "there is no receipt 7"),
        (&none, "has nothing in the exit queue: `rota liquid redeem`"),
        (&as_holder("claim --wait"), "has nothing in the exit queue"),
        (&as_holder("claim --batch 7 --wait"), "has nothing in batch 7"),
        (&as_holder("claim --receipt 7"), "there is no receipt 7"),
    ])
    .await;
}

#[tokio::test]
async fn liquid_commands_do_what_they_print_and_export() {
    let bed = Bed::start().await;
    let (holder, heir) = (address(HOLDER), address(HEIR));
    let result = |printed: &[Value], name: &str| {
        let found = printed.iter().rev().find_map(|document| document["result"].get(name));
        number(found.unwrap_or_else(|| panic!("no {name} in {printed:?}")))
    };

    let (printed, before, after) = bed.command("deposit --amount 100").await;
    assert_eq!(before.tokens[0] - after.tokens[0], whole(100));
    assert_eq!(result(&printed, "shares"), after.shares[0]);
    assert_eq!(after.shares[0], whole(100), "the first share costs a token");
    nonsense(&bed).await;
    // The other commands that need an approval.
    for line in ["rota stake delegate --id 1 --amount 5", "rota deposit --amount 5"] {
        let (_, before, after) = bed.command(line).await;
        assert_eq!(before.tokens[0] - after.tokens[0], whole(5), "{line}");
    }
    let exported = |line: &str| format!("rota stake {line} --id 1 --amount 0 --from {holder} --calldata");
    bed.refuse(&[
        (&exported("delegate"), "--amount 0 delegates nothing"),
        (&exported("undelegate"), "--amount 0 takes nothing back"),
    ])
    .await;
    let (_, _, after) = bed.command(&format!("deposit --amount 1.5 --receiver {heir} --min-out 1.4")).await;
    assert_eq!(after.shares[1], whole(3) / U256::from(2));

    let (printed, _, after) = bed.command("redeem --shares 20").await;
    let batch = result(&printed, "batch");
    assert_eq!(after.requests, [(batch, whole(20), 0)]);
    let (_, _, after) = bed.command("cancel --shares 4").await;
    assert_eq!((after.requests[0].1, after.shares[0]), (whole(16), whole(84)));
    bed.check_views().await;
    let as_holder = |line: &str| format!("{line} --mnemonic-index {HOLDER}");
    bed.refuse(&[
        (&as_holder("cancel --shares 17 --calldata"), "17 shares asked for, but 16 are in the open batch 1"),
        (&as_holder("cancel --shares 0 --calldata"), "--shares 0: name more than none"),
        (&as_holder("receipt --shares 0 --calldata"), "--shares 0: name more than none"),
        (&as_holder("claim"), "nothing to claim yet: batch 1 (open, position 1): 16"),
    ])
    .await;

    // A request that was made without one becomes a receipt, a part of it even somebody else's.
    let (printed, _, after) = bed.command("receipt --shares 6").await;
    assert_eq!(printed.len(), 3, "permission, move, no permission: {printed:?}");
    assert_eq!((result(&printed, "batch"), result(&printed, "receipt")), (batch, U256::from(1)));
    assert_eq!((after.requests[0].1, after.receipts[0], after.operator), (whole(10), (holder, batch, whole(6)), false));
    let (printed, _, after) = bed.command(&format!("redeem --shares 3 --receipt --receiver {heir}")).await;
    assert_eq!(after.receipts[1], (heir, batch, whole(3)));
    assert_eq!(result(&printed, "receipt"), U256::from(2));
    bed.refuse(&[(&as_holder("cancel --receipt 2"), "receipt 2 belongs to ")]).await;
    // Whoever lets the contract at the requests for good pays for one transaction each time.
    let by = bed.act(HOLDER).await;
    let queue = ExitQueue::new(bed.network.deployment.contracts.exit_queue, by.provider.clone());
    by.submit("let", queue.setOperator(*bed.receipts().address(), true)).await.unwrap();
    let (printed, _, after) = bed.command(&format!("receipt --shares 1 --receiver {heir}")).await;
    assert_eq!((printed.len(), after.receipts[2], after.operator), (1, (heir, batch, whole(1)), true));
    let (_, _, after) = bed.command("redeem --shares 2 --receipt").await;
    assert_eq!((after.receipts[3].2, after.shares[0]), (whole(2), whole(79)));
    let (_, _, after) = bed.command("cancel --receipt 4").await;
    assert_eq!((after.receipts[3].0, after.shares[0]), (Address::ZERO, whole(81)));
    bed.check_views().await;

    // What a text export says is what the JSON says.
    let export = format!("cancel --shares 1 --from {holder} --calldata");
    let (text, [document]) = (bed.text(&export).await, <[Value; 1]>::try_from(bed.json(&export).await).unwrap());
    for name in ["from", "to"] {
        let shown: Address = serde_json::from_value(document[name].clone()).unwrap();
        assert!(text.contains(&shown.to_string()), "{text}");
    }
    assert!(text.contains(document["calldata"].as_str().unwrap()) && text.contains("value 0"), "{text}");

    let (printed, before, after) = bed.command(&format!("instant --shares 2 --receiver {heir}")).await;
    let net = result(&printed, "net");
    assert_eq!((before.shares[0] - after.shares[0], after.tokens[1] - before.tokens[1]), (whole(2), net));
    assert_eq!(net + result(&printed, "fee"), whole(2), "a share is worth a token");

    let by = bed.act(STRANGER).await;
    let feed = RateFeed::new(bed.network.deployment.contracts.rate_feed, by.provider.clone());
    by.submit("record", feed.checkpoint()).await.unwrap();
    let sealable: u64 = queue.sealableFrom().call().await.unwrap().to();
    bed.l1.jump_to(sealable.max(bed.l1.time().await.unwrap() + 1)).await.unwrap();
    by.submit("seal", ExitQueue::new(*queue.address(), by.provider.clone()).seal()).await.unwrap();
    bed.check_views().await;
    bed.refuse(&[
        (&as_holder("cancel"), "has no shares in the open batch 2"),
        (&as_holder("receipt"), "has no shares in the open batch 2"),
        (&as_holder("cancel --receipt 1"), "what is sealed cannot be taken back"),
        (&as_holder("claim --receipt 1"), "nothing to claim yet: receipt 1, batch 1 (sealed, position 1)"),
        (&as_holder("claim --batch 1"), "nothing to claim yet: batch 1 (sealed, position 1)"),
    ])
    .await;
    let token = StakedToken::new(bed.network.deployment.contracts.staked_token, bed.l1.provider.clone());
    let payable: u64 = token.exitOf(batch).call().await.unwrap().payableFrom.to();
    bed.l1.jump_to(payable).await.unwrap();
    by.submit("finalize", ExitQueue::new(*queue.address(), by.provider.clone()).finalize()).await.unwrap();
    bed.check_views().await;

    let (printed, before, after) = bed.command("claim").await;
    let paid = result(&printed, "assets");
    assert_eq!((paid, after.tokens[0] - before.tokens[0]), (before.claimable, before.claimable));
    assert!(paid >= whole(9) && after.requests.is_empty(), "{paid}");
    let due = bed.receipts().receiptOf(U256::from(1)).call().await.unwrap().assets;
    let (printed, before, after) = bed.command(&format!("claim --receipt 1 --receiver {heir}")).await;
    assert_eq!((result(&printed, "assets"), after.tokens[1] - before.tokens[1]), (due, due));
    bed.refuse(&[
        (&as_holder("claim --receipt 1"), "there is no receipt 1"),
        (&as_holder("claim --receipt 2"), "who did not approve "),
    ])
    .await;
    // Whom the owner of a receipt approved for it may claim, to whomever.
    let by = bed.act(HEIR).await;
    let receipts = ExitReceipt::new(*bed.receipts().address(), by.provider.clone());
    by.submit("approve", receipts.approve(holder, U256::from(2))).await.unwrap();
    let due = receipts.receiptOf(U256::from(2)).call().await.unwrap().assets;
    let (printed, before, after) = bed.command("claim --receipt 2").await;
    assert_eq!((result(&printed, "assets"), after.tokens[0] - before.tokens[0]), (due, due));
    by.submit("approve", receipts.setApprovalForAll(holder, true)).await.unwrap();
    let (_, before, after) = bed.command(&format!("claim --receipt 3 --receiver {heir}")).await;
    assert!(after.tokens[1] > before.tokens[1] && after.receipts.iter().all(|held| held.0.is_zero()), "{after:?}");
}
