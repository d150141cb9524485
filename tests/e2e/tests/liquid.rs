//! Liquid staking on a devnet of real nodes, tended by two keepers and nobody else: a holder earns by real blocks, is hit by
//! the conviction of an operator whose key votes twice, and leaves through the queue; one who asked before the fault loses
//! nothing, and hands the receipt of its exit to somebody else, who claims; one who asked after loses what the holder loses,
//! and one leaves at once for the computed fee. Every amount is recomputed in plain integers (`rota_e2e::liquid`).

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use alloy::{
    primitives::{Address, B256, U256},
    providers::Provider as _,
};
use eyre::{Context as _, Result, ensure, eyre};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rota::{
    amount::{parse_amount, show_amount},
    connection::{WriteArgs, dev_key},
    devnet::{KEEPER_INDEX, process, toolchain},
    keeper::{Keeper, KeeperArgs},
    liquid,
    submit::Submitter,
};
use rota_bindings::{ExitReceipt, NativeToken, Slasher};
use rota_e2e::{
    TestNet,
    equivocator::Equivocator,
    liquid::{Books, Exit},
    observer::Observer,
    rewards::{expected_claim, tally},
};
use rota_protocol::{
    config::ChainConfig,
    vote::{Vote, VoteKind},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::Command,
};
use tokio_util::sync::CancellationToken;

/// Accounts of the development mnemonic.
const HOLDER: u32 = 2;
const EARLY: u32 = 3;
const HASTY: u32 = 4;
const LIABLE: u32 = 5;
const LATE: u32 = 6;
const HEIR: u32 = 7;
const SECOND_KEEPER: u32 = KEEPER_INDEX + 1;
/// Index of the node whose key votes twice.
const CULPRIT: usize = 1;
/// The only receipt.
const RECEIPT: u64 = 1;

fn whole(tokens: u64) -> U256 {
    U256::from(tokens) * U256::from(10_u64).pow(U256::from(18_u64))
}

fn address(user: u32) -> Result<Address> {
    Ok(dev_key(user)?.address())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn liquid_stake_earns_loses_and_leaves() -> Result<()> {
    let net = TestNet::start(&[1_000]).await?;
    net.run(async |net| {
        let stop = CancellationToken::new();
        let keeper = second_keeper(net, stop.clone());
        deposits(net).await?;
        at_once(net).await?;
        let early = early_exit(net).await?;
        harvest(net).await?;
        let liable = interrupted_request(net).await?;
        slash(net, early, liable).await?;
        everybody_is_paid(net, early, liable).await?;
        stop.cancel();
        keeper.await??;
        whole_story(net).await
    })
    .await
}

/// A keeper with an account of its own beside the devnet's, as eager as that one.
fn second_keeper(net: &TestNet, stop: CancellationToken) -> tokio::task::JoinHandle<Result<()>> {
    let network = net.devnet.network.clone();
    tokio::spawn(async move {
        let args = KeeperArgs {
            write: WriteArgs::dev_account(SECOND_KEEPER),
            interval: 0.5,
            jitter: 0.0,
            metrics: None,
            once: false,
            no_jail: true,
        };
        Keeper::new(&network, &args).await?.run(stop).await
    })
}

async fn act(net: &TestNet, user: u32) -> Result<Submitter<'_>> {
    Ok(Submitter::new(&net.devnet.network, &WriteArgs::dev_account(user)).await?.silent())
}

async fn deposit(net: &TestNet, user: u32, tokens: u64) -> Result<U256> {
    let by = act(net, user).await?;
    let bought = liquid::deposit(&net.devnet.network, &by, whole(tokens), None, None).await?;
    Ok(bought.ok_or_else(|| eyre!("the deposit was not sent"))?.shares)
}

/// The books as of now, recomputed and compared with the contract's.
async fn books(net: &TestNet) -> Result<Books> {
    let network = &net.devnet.network;
    let now = network.l1.get_block_number().await?;
    let books = Books::replay(network, now).await?;
    books.check(network, now).await?;
    Ok(books)
}

/// Waits for the books to be as wanted.
async fn books_when<T>(
    net: &TestNet,
    what: &str,
    seconds: u64,
    wanted: impl Fn(&Books) -> Option<T>,
) -> Result<(Books, T)> {
    net.wait(what, Duration::from_secs(seconds), async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let network = &net.devnet.network;
        let books = Books::replay(network, network.l1.get_block_number().await?).await?;
        Ok(wanted(&books).map(|found| (books, found)))
    })
    .await
}

/// `rota liquid …` as a program, on this devnet.
fn rota(net: &TestNet, arguments: &[&str]) -> Result<Command> {
    let programs: PathBuf = toolchain::sequencer()?.parent().ok_or_else(|| eyre!("no folder of programs"))?.into();
    let mut command = Command::new(programs.join("rota"));
    command.arg("liquid").args(arguments).arg("--devnet-dir").arg(&net.devnet.dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

fn text(output: &Output) -> String {
    [output.stdout.as_slice(), output.stderr.as_slice()].map(String::from_utf8_lossy).concat()
}

async fn succeed(net: &TestNet, arguments: &[&str]) -> Result<String> {
    let output = rota(net, arguments)?.output().await.wrap_err("cannot start rota")?;
    let text = text(&output);
    ensure!(output.status.success(), "rota liquid {arguments:?}: {text}");
    Ok(text)
}

/// What `rota liquid … --json` printed.
async fn json(net: &TestNet, arguments: &[&str]) -> Result<serde_json::Value> {
    let output = rota(net, arguments)?.arg("--json").output().await.wrap_err("cannot start rota")?;
    ensure!(output.status.success(), "rota liquid {arguments:?} --json: {}", text(&output));
    serde_json::from_slice(&output.stdout)
        .wrap_err_with(|| format!("rota liquid {arguments:?} --json: no JSON document"))
}

async fn refused(net: &TestNet, arguments: &[&str], why: &str) -> Result<()> {
    let output = rota(net, arguments)?.output().await.wrap_err("cannot start rota")?;
    let text = text(&output);
    ensure!(!output.status.success() && text.contains(why), "rota liquid {arguments:?} should say '{why}': {text}");
    Ok(())
}

/// The number in a line such as `paid 12.5, fee 0.1`.
fn amount_after(text: &str, word: &str) -> Result<U256> {
    let found = text.split_once(word).and_then(|(_, rest)| rest.split([',', '\n', ' ']).find(|part| !part.is_empty()));
    parse_amount(found.ok_or_else(|| eyre!("no '{word}' in {text}"))?)
}

/// Three deposit; a fourth in a later epoch fills the buffer, whose aim is set once per epoch.
async fn deposits(net: &TestNet) -> Result<()> {
    let network = &net.devnet.network;
    let clock = network.clock();
    let epoch = clock.epoch_at(network.l1_time().await?);
    for (user, tokens) in [(HOLDER, 600), (LIABLE, 200), (EARLY, 300)] {
        let shares = deposit(net, user, tokens).await?;
        ensure!(shares == whole(tokens), "{tokens} tokens bought {shares} shares, the rate is 1");
    }
    net.wait("the next epoch", Duration::from_secs(40), async || {
        Ok((clock.epoch_at(network.l1_time().await?) > epoch).then_some(()))
    })
    .await?;
    deposit(net, HASTY, 60).await?;
    books(net).await?;
    // Without a key nothing can be signed, and without the approval the rest cannot be simulated.
    let hasty = address(HASTY)?.to_string();
    let dry = succeed(net, &["deposit", "--amount", "5", "--from", &hasty, "--dry-run"]).await?;
    ensure!(
        dry.contains("approve 5 native tokens: would succeed") && dry.contains("needs the approval first"),
        "{dry}"
    );
    let dry = succeed(net, &["redeem", "--shares", "1", "--receipt", "--from", &hasty, "--calldata"]).await?;
    let receipts = network.deployment.contracts.exit_receipt.to_string();
    ensure!(dry.contains("approve 1 shares") && dry.contains(&receipts), "{dry}");
    refused(net, &["deposit", "--amount", "1000000", "--from", &hasty, "--calldata"], "below a third of all stake")
        .await?;
    refused(net, &["claim", "--receipt", "1", "--mnemonic-index", "3"], "there is no receipt 1").await?;
    for view in ["queue", "apr"] {
        succeed(net, &[view]).await?;
    }
    Ok(())
}

/// One asks to leave, for a receipt, and is sealed before there is any fault. Somebody else gets the receipt.
async fn early_exit(net: &TestNet) -> Result<u64> {
    let network = &net.devnet.network;
    let (early, index) = (address(EARLY)?, EARLY.to_string());
    let dry = ["redeem", "--all", "--receipt", "--mnemonic-index", &index, "--dry-run"];
    let shown = succeed(net, &dry).await?;
    ensure!(shown.contains("for a receipt: would succeed"), "{shown}");
    let asked = json(net, &["redeem", "--shares", "300", "--receipt", "--mnemonic-index", &index]).await?;
    let number = |name: &str| -> Result<u64> {
        let hex = asked["result"][name].as_str().ok_or_else(|| eyre!("no {name} in {asked}"))?;
        Ok(u64::from_str_radix(hex.trim_start_matches("0x"), 16)?)
    };
    let batch = number("batch")?;
    ensure!(number("receipt")? == RECEIPT, "{asked}");
    let (_, exit) =
        books_when(net, "the early exit to be sealed", 60, |books| books.waiting.get(&batch).copied()).await?;
    ensure!(exit.shares == whole(300), "{exit:?}");
    net.say(&format!("batch {batch} was sealed in epoch {} for {} wei", exit.epoch, exit.assets));
    let receipt = RECEIPT.to_string();
    refused(net, &["cancel", "--receipt", &receipt, "--mnemonic-index", &index], "cannot be taken back").await?;
    let by = act(net, EARLY).await?;
    let receipts = ExitReceipt::new(network.deployment.contracts.exit_receipt, by.provider.clone());
    by.submit("hand on", receipts.transferFrom(early, address(HEIR)?, U256::from(RECEIPT))).await?;
    refused(net, &["claim", "--receipt", &receipt, "--mnemonic-index", &index], "belongs to").await?;
    refused(net, &["claim", "--receipt", &receipt, "--mnemonic-index", &HEIR.to_string()], "position 1").await?;
    for (user, count) in [(EARLY, 0), (HEIR, 1)] {
        let position = json(net, &["position", "--account", &address(user)?.to_string()]).await?;
        let held = position["receipts"].as_array().ok_or_else(|| eyre!("no receipts in {position}"))?;
        ensure!(held.len() == count && position["requests"] == serde_json::json!([]), "{position}");
    }
    // The next seal is half an epoch away: whoever asks now may take it back.
    let shares = network.staked_token().balanceOf(address(HASTY)?).call().await?;
    succeed(net, &["redeem", "--shares", "1", "--mnemonic-index", &HASTY.to_string()]).await?;
    succeed(net, &["cancel", "--mnemonic-index", &HASTY.to_string()]).await?;
    let after = network.staked_token().balanceOf(address(HASTY)?).call().await?;
    ensure!(after == shares, "{after} shares after a request that was taken back, {shares} before");
    Ok(batch)
}

/// The first harvest brings what the certified tallies say, to the wei.
async fn harvest(net: &TestNet) -> Result<()> {
    let network = &net.devnet.network;
    let nodes = net.devnet.manifest.l2.nodes.len();
    let (books, _) =
        books_when(net, "the first harvests", 150, |books| (books.first_rewards.len() == nodes).then_some(())).await?;
    let chain: ChainConfig = serde_json::from_slice(&std::fs::read(&net.devnet.manifest.chain)?)?;
    let l2 = net.l2(0).await?;
    let mut observer = Observer::new(network, l2.clone(), chain.genesis_origin.hash);
    let opened: u64 = network.rewards().nextTally().call().await?.to();
    let mut tallies = Vec::new();
    for index in 0..opened {
        tallies.push(tally(&l2, network.batches().tallyAt(U256::from(index)).call().await?).await?);
    }
    let mut all = U256::ZERO;
    for (id, (paid, through)) in &books.first_rewards {
        let due: Vec<_> = tallies.iter().filter(|tally| tally.header.tally.epoch <= *through).cloned().collect();
        let expected = expected_claim(network, &mut observer, &due, *id, network.deployment.contracts.staked_token);
        let expected = expected.await?;
        ensure!(
            *paid == expected,
            "operator {id} paid {paid} wei through epoch {through}, the formula says {expected}"
        );
        all += *paid;
    }
    ensure!(!all.is_zero(), "nothing was earned");
    net.say(&format!("{all} wei were harvested, as computed"));
    // What somebody sends becomes everybody's, slowly.
    let by = act(net, LATE).await?;
    let token = NativeToken::new(network.deployment.contracts.native_token, by.provider.clone());
    by.submit("donate", token.transfer(network.deployment.contracts.staked_token, whole(1))).await?;
    books_when(net, "the donation to be booked", 30, |books| books.seen.contains_key("skim").then_some(())).await?;
    Ok(())
}

/// Leaving at once costs exactly the computed fee.
async fn at_once(net: &TestNet) -> Result<()> {
    let network = &net.devnet.network;
    let (index, all) = (HASTY.to_string(), ["--shares", "20", "--mnemonic-index"]);
    let before = network.token().balanceOf(address(HASTY)?).call().await?;
    let dry = succeed(net, &["instant", all[0], all[1], all[2], &index, "--dry-run"]).await?;
    ensure!(dry.contains("would succeed") && dry.contains("fee"), "{dry}");
    refused(net, &["instant", all[0], all[1], all[2], &index, "--min-out", "21"], "--min-out 21").await?;
    let shown = succeed(net, &["instant", all[0], all[1], all[2], &index]).await?;
    let paid = network.token().balanceOf(address(HASTY)?).call().await? - before;
    let books = books(net).await?;
    let exit = books.instants.last().ok_or_else(|| eyre!("no exit at once"))?;
    ensure!(exit.owner == address(HASTY)?, "{exit:?}");
    ensure!(paid == exit.net && amount_after(&shown, "\npaid ")? == exit.net, "paid {paid}, {exit:?}: {shown}");
    ensure!(amount_after(&shown, ", fee ")? == exit.fee && !exit.fee.is_zero(), "{exit:?}: {shown}");
    net.say(&format!("20 shares left at once: {} wei, fee {} wei, as computed", exit.net, exit.fee));
    Ok(())
}

/// Asks to leave with `--wait`, and presses Ctrl-C: the request stands, and the program says how to go on.
async fn interrupted_request(net: &TestNet) -> Result<u64> {
    let mut child = rota(net, &["redeem", "--all", "--wait", "--mnemonic-index", &LIABLE.to_string()])?.spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or_else(|| eyre!("no output"))?).lines();
    let batch = loop {
        let line = lines.next_line().await?.ok_or_else(|| eyre!("rota ended before it waited"))?;
        if let Some((number, _)) = line.strip_prefix("batch ").and_then(|rest| rest.split_once(' ')) {
            break number.parse()?;
        }
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    kill(Pid::from_raw(child.id().ok_or_else(|| eyre!("rota is gone"))?.try_into()?), Signal::SIGINT)?;
    let status = child.wait().await?;
    let mut errors = String::new();
    child.stderr.take().ok_or_else(|| eyre!("no errors"))?.read_to_string(&mut errors).await?;
    ensure!(status.code() == Some(130), "{status}: {errors}");
    ensure!(errors.contains(&format!("rota liquid claim --batch {batch}")), "{errors}");
    let (_, exit) =
        books_when(net, "the second exit to be sealed", 60, |books| books.waiting.get(&batch).copied()).await?;
    net.say(&format!("batch {batch} was sealed in epoch {} for {} wei", exit.epoch, exit.assets));
    Ok(batch)
}

/// One operator's key votes twice until L1 knows.
async fn convict(net: &TestNet) -> Result<u32> {
    let manifest = &net.devnet.manifest;
    let culprit = manifest.l2.nodes.get(CULPRIT).ok_or_else(|| eyre!("there is no second node"))?;
    let chain: ChainConfig = serde_json::from_slice(&std::fs::read(&manifest.chain)?)?;
    let key = dev_key(culprit.signer_index)?.into_credential();
    let listen = format!("/ip4/127.0.0.1/tcp/{}", process::free_port()?).parse()?;
    let peers = manifest.l2.nodes.iter().map(|node| Ok(node.peer.parse()?)).collect::<Result<_>>()?;
    let equivocator = Equivocator::join(chain.vote_domain(), key, listen, peers).await?;
    let l2 = net.l2(0).await?;
    let height = l2.get_block_number().await? - 2;
    let certificate: serde_json::Value = l2.raw_request("rota_certificate".into(), (height,)).await?;
    let of = |name: &str| certificate[name].as_u64().ok_or_else(|| eyre!("no {name} in {certificate}"));
    let vote = |byte| -> Result<Vote> {
        Ok(Vote {
            kind: VoteKind::Prevote,
            fork: of("fork")?.try_into()?,
            epoch: of("epoch")?.try_into()?,
            height,
            round: of("round")?.try_into()?,
            block_hash: B256::repeat_byte(byte),
        })
    };
    let slasher = Slasher::new(net.devnet.network.deployment.contracts.slasher, net.devnet.network.l1.clone());
    net.wait("the conviction on L1", Duration::from_secs(60), async || {
        // What nobody hears while connections are made is lost, so it is said again.
        equivocator.vote(vote(1)?)?;
        equivocator.vote(vote(2)?)?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(slasher.isConvicted(culprit.id).call().await?.then_some(()))
    })
    .await?;
    equivocator.leave();
    Ok(culprit.id)
}

/// The conviction takes the same percentage from the holder and from the exit that was sealed in time to answer for it, and
/// nothing from the early one. Meanwhile deposits are closed.
async fn slash(net: &TestNet, early: u64, liable: u64) -> Result<()> {
    let network = &net.devnet.network;
    books(net).await?;
    let culprit = convict(net).await?;
    let (_, loss) = books_when(net, "the loss to be applied", 30, |books| books.losses.first().cloned()).await?;
    refused(net, &["deposit", "--amount", "5", "--mnemonic-index", "6"], "the exit queue stays open").await?;
    // Who signs elsewhere gets no approval to sign for it either.
    let late = address(LATE)?.to_string();
    refused(net, &["deposit", "--amount", "5", "--from", &late, "--calldata"], "a large part of all assets").await?;
    let shown = succeed(net, &["queue"]).await?;
    ensure!(shown.contains("closed: a slash took a large part"), "{shown}");

    let set = rota::epoch::frozen_set(network, loss.sigma).await?;
    let weight = set.members().iter().find(|member| member.id == culprit).map(|member| member.weight);
    let weight = weight.ok_or_else(|| eyre!("operator {culprit} was no member of epoch {}", loss.sigma))?;
    // 9 · share², the share in parts of 1e9 rounded up; at least 5 %, at most all.
    let one = whole(1);
    let share = (U256::from(weight) * U256::from(1_000_000_000)).div_ceil(U256::from(set.total_weight()));
    let rate = (U256::from(9) * share * share).clamp(one / U256::from(20), one);
    ensure!(loss.id == culprit && loss.fraction == rate, "{loss:?}, the rate is {rate}");
    let shared = |batch: u64| loss.exits.get(&batch).copied().ok_or_else(|| eyre!("batch {batch} did not wait"));
    let (unhurt, left) = shared(early)?;
    ensure!(unhurt.epoch + 1 < loss.sigma && left == unhurt, "{unhurt:?} became {left:?}");
    let (owed, left): (Exit, Exit) = shared(liable)?;
    ensure!(owed.epoch + 1 >= loss.sigma && left.assets < owed.assets, "{owed:?} became {left:?}");
    // part / owed = stayers' part / stayers, up to the wei that the exit's part is rounded up by.
    let part = owed.assets - left.assets;
    let (his, theirs) = (part * loss.stayers, loss.stayers_part * owed.assets);
    let wei = loss.stayers + owed.assets;
    ensure!(his >= theirs && his - theirs <= wei, "the exit lost {part} of {}, {loss:?}", owed.assets);
    net.say(&format!(
        "operator {culprit} lost {rate} of 1e18: the exit of epoch {} and those who stay lost {:.4} % each, the exit of \
         epoch {} nothing",
        owed.epoch,
        100.0 * show_amount(part).parse::<f64>()? / show_amount(owed.assets).parse::<f64>()?,
        unhurt.epoch
    ));
    Ok(())
}

/// The holder asks, waits and claims. The early exit is paid by stake that thawed, to whoever has the receipt now; the others,
/// whose stake thaws for minutes more, by a deposit. In the order of their seals.
async fn everybody_is_paid(net: &TestNet, early: u64, liable: u64) -> Result<()> {
    let network = &net.devnet.network;
    let by = act(net, HOLDER).await?;
    let holder = liquid::request(network, &by, whole(100)).await?;
    let holder: u64 = holder.ok_or_else(|| eyre!("the request was not sent"))?.batch.to();
    let waiting = rota(net, &["claim", "--wait", "--mnemonic-index", &HOLDER.to_string()])?.spawn()?;
    let (_, exit) = books_when(net, "the early exit to be paid", 240, |books| books.paid.get(&early).copied()).await?;
    let receipt = ["claim", "--receipt", &RECEIPT.to_string(), "--wait", "--mnemonic-index", &HEIR.to_string()];
    let paid = came_to(net, HEIR, async || succeed(net, &receipt).await).await?;
    ensure!(paid == exit.assets, "the receipt was paid {paid}, not {}", exit.assets);
    refused(net, &receipt, "there is no receipt 1").await?;
    net.say(&format!("the early exit was paid {} wei of thawed stake", exit.assets));

    deposit(net, LATE, 500).await?;
    let (books, exits) = books_when(net, "the others to be paid", 60, |books| {
        Some((books.paid.get(&liable).copied()?, books.paid.get(&holder).copied()?))
    })
    .await?;
    ensure!(books.waiting.is_empty(), "{:?} wait", books.waiting);
    // To whom it should.
    let (index, heir, batch) = (LIABLE.to_string(), address(HEIR)?.to_string(), liable.to_string());
    let claim = ["claim", "--batch", &batch, "--receiver", &heir, "--mnemonic-index", &index];
    let paid = came_to(net, HEIR, async || succeed(net, &claim).await).await?;
    ensure!(paid == exits.0.assets, "the liable exit was paid {paid}, not {}", exits.0.assets);
    let output =
        tokio::time::timeout(rota_e2e::patience(Duration::from_secs(30)), waiting.wait_with_output()).await??;
    let shown = text(&output);
    ensure!(output.status.success() && amount_after(&shown, "\npaid ")? == exits.1.assets, "{:?}: {shown}", exits.1);
    net.say(&format!("a deposit paid the others: {} and {} wei", exits.0.assets, exits.1.assets));
    refused(net, &["claim", "--mnemonic-index", &HOLDER.to_string()], "rota liquid redeem").await
}

/// What arrived at `user` while it acted, wei.
async fn came_to(net: &TestNet, user: u32, act: impl AsyncFnOnce() -> Result<String>) -> Result<U256> {
    let (token, user) = (net.devnet.network.token(), address(user)?);
    let before = token.balanceOf(user).call().await?;
    act().await?;
    Ok(token.balanceOf(user).call().await? - before)
}

/// Every kind of chore was done, by keepers alone and by both of them, and the books hold to the wei.
async fn whole_story(net: &TestNet) -> Result<()> {
    let network = &net.devnet.network;
    let books = books(net).await?;
    for chore in [
        "harvest",
        "skim",
        "StakeDelegated",
        "StakeUndelegated",
        "TicketCollected",
        "ExitSealed",
        "ExitReleased",
        "LossApplied",
        "BunkerEntered",
        "Checkpointed",
        "claim",
    ] {
        ensure!(books.seen.contains_key(chore), "no {chore} among {:?}", books.seen);
    }
    ensure!(!books.cover.is_zero(), "the cover fund got nothing of the slash");
    for keeper in [KEEPER_INDEX, SECOND_KEEPER] {
        let sent = network.l1.get_transaction_count(address(keeper)?).await?;
        ensure!(sent > 0, "keeper {keeper} did nothing");
    }
    let held = network.exit_queue().totalAssets().call().await?;
    let owed = network.token().balanceOf(network.deployment.contracts.exit_queue).call().await?;
    ensure!(owed < U256::from(3) && !held.is_zero(), "{owed} wei lie in the queue after all claims");
    net.say(&format!("{:?}", books.seen));
    Ok(())
}
