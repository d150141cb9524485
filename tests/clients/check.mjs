// What both client checks share: arguments, comparison, waiting.
import assert from "node:assert/strict";

export const MNEMONIC = "test test test test test test test test test test test junk";

/// `node <script> <rpc url> [key index]`: HTTP and WebSocket are served on the same port.
export function parseArguments() {
  const [url, index = "0"] = process.argv.slice(2);
  if (!url || !/^\d+$/.test(index)) {
    console.error(`usage: node ${process.argv[1]} <rpc url> [index of a funded key of anvil's test mnemonic]`);
    process.exit(2);
  }
  return { http: url, ws: url.replace(/^http/, "ws"), index: Number(index) };
}

/// Resolves with the first truthy value of `probe`; fails after `seconds`, naming what was awaited.
export async function until(what, probe, seconds = 30) {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    const value = await probe();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`timed out after ${seconds} s waiting for ${what}`);
}

/// The error `promise` is rejected with.
export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  assert.fail("expected a rejection");
}

/// A plain JSON-RPC request, to see exactly what the node answers.
export async function rpc(url, method, params = []) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  return response.json();
}

/// Runs the named steps in order and exits with 0 only if all of them pass.
export async function run(client, steps) {
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step();
      console.log(`ok ${client}: ${name}`);
    } catch (error) {
      console.error(`FAILED ${client}: ${name}`);
      console.error(error);
      process.exit(1);
    }
  }
  process.exit(0);
}

export { assert };
