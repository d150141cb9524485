// Checks a node with ethers 6: transfers, contracts, receipts, logs, fees, errors, subscriptions.
import {
  ContractFactory,
  HDNodeWallet,
  JsonRpcProvider,
  NonceManager,
  Wallet,
  WebSocketProvider,
  isError,
  keccak256,
  parseEther,
} from "ethers";

import { MNEMONIC, assert, parseArguments, rejection, rpc, run, until } from "./check.mjs";
import { compileToken } from "./token.mjs";

const args = parseArguments();
const { abi, bytecode } = compileToken();
const node = new JsonRpcProvider(args.http, undefined, { polling: true, pollingInterval: 100, cacheTimeout: -1 });
const live = new WebSocketProvider(args.ws);
const signer = HDNodeWallet.fromPhrase(MNEMONIC, undefined, `m/44'/60'/0'/0/${args.index}`).connect(node);
const wallet = new NonceManager(signer);
const stranger = Wallet.createRandom().connect(node);
const unknown = keccak256("0x00");
const receiptOf = (response) => response.wait(1, 30_000);
let token;

await run("ethers", {
  "chain and head": async () => {
    const { chainId } = await node.getNetwork();
    assert.equal(chainId, BigInt((await rpc(args.http, "eth_chainId")).result));
    const block = await node.getBlock("latest", true);
    assert.ok(block.baseFeePerGas > 0n);
    assert.equal(block.difficulty, 0n);
    assert.equal((await node.getBlock(block.hash)).number, block.number);
    for (const tag of ["earliest", "safe", "finalized", "pending"]) assert.ok(await node.getBlock(tag), tag);
  },

  "fees": async () => {
    const { gasPrice, maxFeePerGas, maxPriorityFeePerGas } = await node.getFeeData();
    assert.ok(gasPrice > 0n && maxPriorityFeePerGas > 0n && maxFeePerGas > maxPriorityFeePerGas);
  },

  "transfer": async () => {
    const value = parseEther("0.5");
    assert.equal(await signer.estimateGas({ to: stranger.address, value }), 21_000n);
    const nonce = await node.getTransactionCount(signer.address);
    const response = await wallet.sendTransaction({ to: stranger.address, value });
    assert.equal(response.nonce, nonce);
    const receipt = await receiptOf(response);
    assert.equal(receipt.status, 1);
    assert.equal(receipt.type, 2);
    assert.equal(receipt.gasUsed, 21_000n);
    assert.equal(receipt.contractAddress, null);
    assert.equal(receipt.to, stranger.address);
    assert.equal(receipt.from, signer.address);
    assert.equal(await node.getBalance(stranger.address), value);
    assert.equal(await node.getBalance(stranger.address, receipt.blockNumber - 1), 0n);
    const block = await node.getBlock(receipt.blockHash, true);
    assert.equal(block.prefetchedTransactions[receipt.index].hash, response.hash);
    assert.equal((await node.getTransaction(response.hash)).blockHash, receipt.blockHash);
    const paid = receipt.gasPrice - block.baseFeePerGas;
    assert.ok(paid > 0n && paid <= response.maxPriorityFeePerGas);
    assert.equal(receipt.fee, receipt.gasPrice * 21_000n);
  },

  "deploy": async () => {
    const contract = await new ContractFactory(abi, bytecode, wallet).deploy(parseEther("1000"));
    const receipt = await receiptOf(contract.deploymentTransaction());
    assert.equal(receipt.contractAddress, await contract.getAddress());
    assert.equal(receipt.to, null);
    token = contract;
    assert.ok((await node.getCode(receipt.contractAddress)).length > 2);
    assert.equal(await token.symbol(), "CHECK");
    assert.equal(await token.balanceOf(signer.address), parseEther("1000"));
  },

  "token transfer and logs": async () => {
    const amount = parseEther("3");
    const receipt = await receiptOf(await token.transfer(stranger.address, amount));
    assert.equal(receipt.logs[0].fragment.name, "Transfer");
    assert.equal(receipt.logs[0].args.value, amount);
    assert.equal(await token.balanceOf(stranger.address), amount);
    assert.equal(await token.balanceOf(stranger.address, { blockTag: receipt.blockNumber - 1 }), 0n);
    const found = await token.queryFilter(token.filters.Transfer(null, stranger.address), 0, "latest");
    assert.deepEqual(found.map((log) => [log.transactionHash, log.index]), [[receipt.hash, receipt.logs[0].index]]);
    const block = await node.getLogs({ address: await token.getAddress(), blockHash: receipt.blockHash });
    assert.equal(block.length, 1);
  },

  "reverts": async () => {
    const reason = await rejection(token.failWithReason.staticCall());
    assert.ok(isError(reason, "CALL_EXCEPTION") && reason.reason === "not today", reason);
    const custom = await rejection(token.failWithError.staticCall(7n));
    assert.equal(custom.revert.name, "Token_Refused");
    assert.deepEqual([...custom.revert.args], [7n]);
    const panic = await rejection(token.failWithPanic.staticCall(0n));
    assert.equal(panic.revert.name, "Panic");
    assert.ok(isError(await rejection(token.failSilently.staticCall()), "CALL_EXCEPTION"));
    const poor = await rejection(token.connect(stranger).transfer.estimateGas(signer.address, parseEther("4")));
    assert.equal(token.interface.parseError(poor.data).name, "ERC20InsufficientBalance");
    const mined = await rejection(token.failSilently.send({ gasLimit: 100_000n }).then(receiptOf));
    assert.ok(isError(mined, "CALL_EXCEPTION") && mined.receipt.status === 0, mined);
  },

  "refused transactions": async () => {
    const fees = { gasLimit: 21_000n, maxFeePerGas: 10n ** 9n, maxPriorityFeePerGas: 1n };
    const low = await rejection(signer.sendTransaction({ to: stranger.address, nonce: 0, ...fees }));
    assert.ok(isError(low, "NONCE_EXPIRED"), low);
    const broke = await rejection(Wallet.createRandom().connect(node).sendTransaction({ to: stranger.address, value: 1n, ...fees }));
    assert.ok(isError(broke, "INSUFFICIENT_FUNDS"), broke);
    // A transaction behind a missing nonce stays in the pool: it can be known already, and be replaced too cheaply.
    const nonce = (await node.getTransactionCount(stranger.address)) + 1;
    const queued = { to: signer.address, nonce, type: 2, ...fees };
    const first = await stranger.sendTransaction(queued);
    const raw = await stranger.signTransaction({ ...queued, chainId: first.chainId });
    const again = await rpc(args.http, "eth_sendRawTransaction", [raw]);
    assert.match(again.error.message, /already known/);
    const cheap = await rejection(stranger.sendTransaction({ ...queued, value: 1n, maxFeePerGas: fees.maxFeePerGas + 1n }));
    assert.ok(isError(cheap, "REPLACEMENT_UNDERPRICED"), cheap);
    const pool = (await rpc(args.http, "txpool_content")).result;
    assert.equal(pool.queued[stranger.address][nonce].hash, first.hash);
    assert.equal((await node.getTransaction(first.hash)).blockNumber, null);
  },

  "unknown things are null": async () => {
    assert.equal(await node.getTransaction(unknown), null);
    assert.equal(await node.getTransactionReceipt(unknown), null);
    assert.equal(await node.getBlock(unknown), null);
    assert.equal(await node.getBlock((await node.getBlockNumber()) + 1_000_000), null);
  },

  "polling events": async () => {
    const events = [];
    await token.on("Transfer", (from, to, value) => events.push(value));
    await receiptOf(await token.transfer(stranger.address, 11n));
    await until("the polled event", () => events.length > 0);
    await token.removeAllListeners();
    assert.deepEqual(events, [11n]);
  },

  "subscriptions": async () => {
    const heads = [];
    const logs = [];
    const hashes = [];
    const address = await token.getAddress();
    await live.on("block", (number) => heads.push(number));
    await live.on({ address }, (log) => logs.push(log));
    await live.on("pending", (hash) => hashes.push(hash));
    await until("the first head", () => heads.length > 0);
    const receipt = await receiptOf(await token.transfer(stranger.address, 12n));
    await until("head, log and transaction", () =>
      heads.includes(receipt.blockNumber) && logs.length > 0 && hashes.includes(receipt.hash));
    await live.removeAllListeners();
    assert.equal(logs[0].transactionHash, receipt.hash);
    heads.slice(1).forEach((head, i) => assert.equal(head, heads[i] + 1));
    const id = await live.send("eth_subscribe", ["newHeads"]);
    assert.match(id, /^0x[1-9a-f][0-9a-f]*$/);
    assert.equal(await live.send("eth_unsubscribe", [id]), true);
    assert.equal(await live.send("eth_unsubscribe", [id]), false);
    await live.destroy();
  },
});
