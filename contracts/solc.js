#!/usr/bin/env node
// forge expects a native compiler. This one stands in for it with npm's solc, found where
// EVENKEEL_SOLC says: it answers `--version` and compiles the standard JSON on its input.
"use strict";
const solc = require(require.resolve("solc", { paths: [process.env.EVENKEEL_SOLC || __dirname] }));
if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler\nVersion: ${solc.version()}`);
} else {
  process.stdout.write(solc.compile(require("fs").readFileSync(0, "utf8")));
}
