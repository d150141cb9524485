// The ERC-20 that the client checks deploy, compiled on the spot. Run directly, it prints { abi, bytecode } as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);

export function compileToken() {
  const solc = require("solc");
  const input = {
    language: "Solidity",
    sources: { "Token.sol": { content: readFileSync(new URL("Token.sol", import.meta.url), "utf8") } },
    settings: {
      optimizer: { enabled: true, runs: 200 },
      outputSelection: { "Token.sol": { Token: ["abi", "evm.bytecode.object"] } },
    },
  };
  const findImport = (path) => ({ contents: readFileSync(require.resolve(path), "utf8") });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  const errors = (output.errors ?? []).filter((entry) => entry.severity === "error");
  if (errors.length > 0) throw new Error(errors.map((entry) => entry.formattedMessage).join("\n"));
  const { abi, evm } = output.contracts["Token.sol"].Token;
  return { abi, bytecode: `0x${evm.bytecode.object}` };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(JSON.stringify(compileToken()));
}
