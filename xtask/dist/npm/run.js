#!/usr/bin/env node
// Starts the program of the package for this system, and ends as it ends.
'use strict';

const { spawn } = require('node:child_process');
const { constants } = require('node:os');

const name = `heygen-webhooks-cli-${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}/heygen-webhooks`);
} catch {
  console.error(`error: ${name} is not installed: either there is no program for this system, or npm was told to omit optional packages`);
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: 'inherit' });
// A terminal sends Ctrl-C to both; the program takes what comes twice at once for one.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => child.kill(signal));
}
child.on('error', (error) => {
  console.error(`error: cannot start ${program}: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
