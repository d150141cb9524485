// Checks a node with viem 2: transfers, contracts, receipts, logs, fees, errors, subscriptions.
import {
  BaseError,
  ContractFunctionRevertedError,
  InsufficientFundsError,
  NonceTooLowError,
  TransactionNotFoundError,
  TransactionReceiptNotFoundError,
  createPublicClient,
  createWalletClient,
  decodeEventLog,
  defineChain,
  http,
  keccak256,
  numberToHex,
  parseEther,
  parseGwei,
  webSocket,
} from "viem";
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from "viem/accounts";

import { MNEMONIC, assert, parseArguments, rejection, rpc, run, until } from "./check.mjs";
import { compileToken } from "./token.mjs";

const args = parseArguments();
const account = mnemonicToAccount(MNEMONIC, { addressIndex: args.index });
const { abi, bytecode } = compileToken();
const unknown = keccak256("0x00");
const pollingInterval = 100;

const chainId = Number((await rpc(args.http, "eth_chainId")).result);
const chain = defineChain({
  id: chainId,
  name: "Rota",
  nativeCurrency: { name: "Rota", symbol: "ROTA", decimals: 18 },
  rpcUrls: { default: { http: [args.http], webSocket: [args.ws] } },
});
const node = createPublicClient({ chain, transport: http(), pollingInterval });
const live = createPublicClient({ chain, transport: webSocket(), pollingInterval });
const wallet = createWalletClient({ account, chain, transport: http(), pollingInterval });

const stranger = privateKeyToAccount(generatePrivateKey());
const receiptOf = (hash) => node.waitForTransactionReceipt({ hash, timeout: 30_000 });
const revertOf = (error) => error.walk((cause) => cause instanceof ContractFunctionRevertedError);
let token;

await run("viem", {
  "chain and head": async () => {
    assert.equal(await node.getChainId(), chainId);
    const block = await node.getBlock();
    assert.ok(block.baseFeePerGas > 0n);
    assert.equal(block.difficulty, 0n);
    assert.equal((await node.getBlock({ blockHash: block.hash })).number, block.number);
    assert.equal(await node.getBlockTransactionCount({ blockHash: block.hash }), block.transactions.length);
    for (const blockTag of ["earliest", "safe", "finalized", "latest", "pending"]) {
      assert.ok((await node.getBlock({ blockTag })).hash, blockTag);
    }
  },

  "methods not served answer -32601": async () => {
    const { error } = await rpc(args.http, "eth_fillTransaction", [{ from: account.address }]);
    assert.equal(error.code, -32601);
  },

  "fees": async () => {
    const { maxFeePerGas, maxPriorityFeePerGas } = await node.estimateFeesPerGas();
    assert.ok(maxPriorityFeePerGas > 0n && maxFeePerGas > maxPriorityFeePerGas);
    assert.ok((await node.getGasPrice()) > 0n);
    const blocks = Number(await until("a second block", async () => (await node.getBlockNumber()) >= 1n && 2));
    const history = await node.getFeeHistory({ blockCount: blocks, rewardPercentiles: [25, 75] });
    assert.equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1);
    assert.equal(history.reward.length, history.gasUsedRatio.length);
    assert.ok(history.reward.every((tips) => tips.length === 2));
  },

  "transfer": async () => {
    const value = parseEther("0.25");
    assert.equal(await node.estimateGas({ account, to: stranger.address, value }), 21_000n);
    const nonce = await node.getTransactionCount({ address: account.address });
    const hash = await wallet.sendTransaction({ to: stranger.address, value });
    const receipt = await receiptOf(hash);
    assert.equal(receipt.status, "success");
    assert.equal(receipt.type, "eip1559");
    assert.equal(receipt.gasUsed, 21_000n);
    assert.equal(receipt.contractAddress, null);
    assert.equal(receipt.to.toLowerCase(), stranger.address.toLowerCase());
    assert.equal(await node.getBalance({ address: stranger.address }), value);
    assert.equal(await node.getTransactionCount({ address: account.address }), nonce + 1);

    const block = await node.getBlock({ blockHash: receipt.blockHash, includeTransactions: true });
    const included = block.transactions[receipt.transactionIndex];
    assert.equal(included.hash, hash);
    assert.equal(included.from.toLowerCase(), account.address.toLowerCase());
    const tip = included.maxFeePerGas - block.baseFeePerGas;
    const paid = included.maxPriorityFeePerGas < tip ? included.maxPriorityFeePerGas : tip;
    assert.equal(receipt.effectiveGasPrice, block.baseFeePerGas + paid);
    assert.equal((await node.getTransaction({ hash })).blockHash, receipt.blockHash);
    assert.deepEqual(await node.getTransaction({ blockHash: receipt.blockHash, index: receipt.transactionIndex }), included);
    // State of the past: the recipient did not exist one block earlier.
    assert.equal(await node.getBalance({ address: stranger.address, blockNumber: receipt.blockNumber - 1n }), 0n);
  },

  "legacy and access list transactions": async () => {
    const gasPrice = (await node.getGasPrice()) * 2n;
    const legacy = await receiptOf(await wallet.sendTransaction({ to: stranger.address, value: 1n, type: "legacy", gasPrice }));
    assert.equal(legacy.type, "legacy");
    assert.equal(legacy.effectiveGasPrice, gasPrice);
    const accessList = [{ address: stranger.address, storageKeys: [] }];
    const listed = await receiptOf(await wallet.sendTransaction({ to: stranger.address, value: 1n, accessList, gasPrice }));
    assert.equal(listed.type, "eip2930");
    assert.equal(listed.gasUsed, 21_000n + 2_400n);
  },

  "deploy": async () => {
    const receipt = await receiptOf(await wallet.deployContract({ abi, bytecode, args: [parseEther("1000")] }));
    assert.equal(receipt.status, "success");
    assert.equal(receipt.to, null);
    token = { address: receipt.contractAddress, abi };
    assert.ok((await node.getCode({ address: token.address })).length > 2);
    assert.equal(await node.readContract({ ...token, functionName: "symbol" }), "CHECK");
    assert.equal(await node.readContract({ ...token, functionName: "balanceOf", args: [account.address] }), parseEther("1000"));
  },

  "token transfer, logs and proof": async () => {
    const amount = parseEther("3");
    const { request } = await node.simulateContract({ ...token, account, functionName: "transfer", args: [stranger.address, amount] });
    const receipt = await receiptOf(await wallet.writeContract(request));
    assert.equal(receipt.status, "success");
    assert.equal(await node.readContract({ ...token, functionName: "balanceOf", args: [stranger.address] }), amount);
    const event = decodeEventLog({ abi, ...receipt.logs[0] });
    assert.equal(event.eventName, "Transfer");
    assert.equal(event.args.value, amount);

    const filter = { address: token.address, event: abi.find((item) => item.name === "Transfer") };
    const logs = await node.getLogs({ ...filter, args: { to: stranger.address }, fromBlock: 0n });
    assert.equal(logs.length, 1);
    assert.equal(logs[0].transactionHash, receipt.transactionHash);
    assert.equal(logs[0].logIndex, receipt.logs[0].logIndex);
    assert.deepEqual(await node.getLogs({ ...filter, blockHash: receipt.blockHash }), logs);
    assert.equal((await node.getLogs({ ...filter, args: { to: account.address }, fromBlock: 0n })).length, 1);

    const proof = await node.getProof({ address: token.address, storageKeys: [numberToHex(2, { size: 32 })], blockNumber: receipt.blockNumber });
    assert.ok(proof.accountProof.length > 0);
    assert.equal(proof.storageProof[0].value, parseEther("1000"));
  },

  "reverts": async () => {
    const simulate = (functionName, args = []) => rejection(node.simulateContract({ ...token, account, functionName, args }));
    assert.equal(revertOf(await simulate("failWithReason")).reason, "not today");
    const custom = revertOf(await simulate("failWithError", [7n]));
    assert.equal(custom.data.errorName, "Token_Refused");
    assert.deepEqual(custom.data.args, [7n]);
    assert.equal(revertOf(await simulate("failWithPanic", [0n])).data.errorName, "Panic");
    assert.ok(revertOf(await simulate("failSilently")));
    const poor = revertOf(await rejection(node.estimateContractGas({ ...token, account: stranger, functionName: "transfer", args: [account.address, parseEther("4")] })));
    assert.equal(poor.data.errorName, "ERC20InsufficientBalance");
    // A mined failure has a receipt too.
    const hash = await wallet.writeContract({ ...token, functionName: "failSilently", gas: 100_000n });
    assert.equal((await receiptOf(hash)).status, "reverted");
  },

  "overrides": async () => {
    const call = { ...token, functionName: "balanceOf", args: [account.address] };
    const stateOverride = [{ address: token.address, code: "0x602a60005260206000f3" }];
    assert.equal(await node.readContract({ ...call, stateOverride }), 42n);
  },

  "refused transactions": async () => {
    const isA = (kind) => (error) => error instanceof BaseError && error.walk((cause) => cause instanceof kind) !== null;
    const low = await rejection(wallet.sendTransaction({ to: stranger.address, nonce: 0, gas: 21_000n }));
    assert.ok(isA(NonceTooLowError)(low), low);
    const poor = createWalletClient({ account: privateKeyToAccount(generatePrivateKey()), chain, transport: http() });
    const broke = await rejection(poor.sendTransaction({ to: stranger.address, value: 1n, gas: 21_000n }));
    assert.ok(isA(InsufficientFundsError)(broke), broke);
    const foreign = await account.signTransaction({ chainId: chainId + 1, to: stranger.address, gas: 21_000n, nonce: 0, maxFeePerGas: parseGwei("10") });
    assert.match((await rejection(node.sendRawTransaction({ serializedTransaction: foreign }))).details, /chain id/);
  },

  "unknown things": async () => {
    assert.ok((await rejection(node.getTransaction({ hash: unknown }))) instanceof TransactionNotFoundError);
    assert.ok((await rejection(node.getTransactionReceipt({ hash: unknown }))) instanceof TransactionReceiptNotFoundError);
    assert.equal((await rpc(args.http, "eth_getBlockByHash", [unknown, false])).result, null);
  },

  "filters": async () => {
    const blocks = await node.createBlockFilter();
    const events = await node.createContractEventFilter({ ...token, eventName: "Transfer" });
    const pending = await node.createPendingTransactionFilter();
    const hash = await wallet.writeContract({ ...token, functionName: "transfer", args: [stranger.address, 1n] });
    const receipt = await receiptOf(hash);
    assert.ok((await node.getFilterChanges({ filter: blocks })).includes(receipt.blockHash));
    assert.deepEqual((await node.getFilterChanges({ filter: events })).map((log) => log.transactionHash), [hash]);
    assert.deepEqual(await node.getFilterChanges({ filter: events }), []);
    assert.ok((await node.getFilterChanges({ filter: pending })).includes(hash));
    assert.equal(await node.uninstallFilter({ filter: blocks }), true);
    assert.equal(await node.uninstallFilter({ filter: blocks }), false);
  },

  "subscriptions": async () => {
    const heads = [];
    const logs = [];
    const hashes = [];
    const failures = [];
    const onError = (error) => failures.push(error);
    const stops = [
      live.watchBlocks({ onBlock: (block) => heads.push(block), onError }),
      live.watchContractEvent({ ...token, eventName: "Transfer", onLogs: (found) => logs.push(...found), onError }),
      live.watchPendingTransactions({ onTransactions: (found) => hashes.push(...found), onError }),
    ];
    await until("the first head", () => heads.length > 0 || failures.length > 0);
    const hash = await wallet.writeContract({ ...token, functionName: "transfer", args: [stranger.address, 2n] });
    const receipt = await receiptOf(hash);
    await until("head, log and transaction", () =>
      heads.some((head) => head.hash === receipt.blockHash) && logs.length > 0 && hashes.includes(hash) || failures.length > 0);
    stops.forEach((stop) => stop());
    assert.deepEqual(failures, []);
    assert.equal(logs[0].transactionHash, hash);
    heads.slice(1).forEach((head, i) => assert.equal(head.parentHash, heads[i].hash));
  },

  "the rota namespace": async () => {
    const status = (await rpc(args.http, "rota_status")).result;
    assert.equal(status.chainId, chainId);
    const certificate = (await rpc(args.http, "rota_certificate", [status.head.number])).result;
    assert.equal(certificate.blockHash, status.head.hash);
    assert.ok(certificate.weight * 3 > certificate.totalWeight * 2);
    const members = (await rpc(args.http, "rota_members")).result.members;
    const { slots } = (await rpc(args.http, "rota_leaderSchedule", [status.head.number, 4])).result;
    assert.equal(slots.length, 4);
    assert.ok(slots.every((slot) => members.some((member) => member.id === slot.leader)));
  },
});
