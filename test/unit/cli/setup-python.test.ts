import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Command} from 'commander';
import {afterAll, expect, test} from 'vitest';
import {registerSetupPythonCommand} from '../../../harness/cli/commands/setup-python.ts';
import {driverProblem} from '../../../harness/cli/setup/gpu-driver.ts';

const scratch = mkdtempSync(join(tmpdir(), 'bench-driver-'));
afterAll(() => rmSync(scratch, {recursive: true, force: true}));

test.each([
  ['/nowhere/python', 'BENCH_PYTHON: /nowhere/python does not exist'],
  ['/dev/null', 'BENCH_PYTHON: /dev/null may not be executed'],
  [process.execPath, `BENCH_PYTHON: ${process.execPath} failed with status 1`],
])('setup python with BENCH_PYTHON=%s says in one line what is wrong with it', async (python, message) => {
  const program = new Command('bench').exitOverride();
  registerSetupPythonCommand(program, {
    env: {BENCH_PYTHON: python},
    stdout: {write: () => true},
    stderr: {write: () => true},
    signal: new AbortController().signal,
    exit: () => {},
  });
  const error: unknown = await program.parseAsync(['node', 'bench', 'setup', 'python']).catch((thrown) => thrown);
  expect(error).toMatchObject({code: 'SETUP_FAILED', message: expect.stringContaining(message)});
  expect(String(error)).not.toContain('\n');
});

test.each([
  ['535.183.01', 'the driver is 535.183.01, and PyTorch for CUDA 13 needs 580 or newer'],
  ['580.65.06\n580.65.06', null],
  ['', null],
  ['No devices were found', null],
])('setup python --cuda looks at the driver before it downloads anything: %s', async (said, problem) => {
  const smi = join(scratch, 'nvidia-smi');
  writeFileSync(smi, `#!/bin/sh\necho "${said}"\n`, {mode: 0o755});
  const answer = await driverProblem(smi);
  if (problem === null) expect(answer).toBeNull();
  else expect(answer).toContain(problem);
});
