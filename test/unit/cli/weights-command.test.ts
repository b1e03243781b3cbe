import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Command} from 'commander';
import {describe, expect, onTestFinished, test} from 'vitest';
import {registerWeightsCommand} from '../../../harness/cli/commands/weights.ts';
import {BenchError} from '../../../harness/contract/errors.ts';

/** Runs `bench weights …` with a cache of its own; several runs in one test share it. */
function setUp() {
  const cache = mkdtempSync(join(tmpdir(), 'bench-weights-command-'));
  onTestFinished(() => rmSync(cache, {recursive: true, force: true}));
  const run = async (...args: readonly string[]) => {
    let stdout = '';
    let stderr = '';
    const program = new Command()
      .exitOverride()
      .configureOutput({writeOut: () => undefined, writeErr: () => undefined});
    registerWeightsCommand(program, {
      env: {BENCH_CACHE: cache},
      stdout: {write: (text) => (stdout += text)},
      stderr: {write: (text) => (stderr += text)},
      signal: new AbortController().signal,
      exit: () => undefined,
    });
    let error = '';
    try {
      await program.parseAsync(['weights', ...args], {from: 'user'});
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      error = thrown instanceof BenchError ? `${thrown.code}: ${thrown.message}` : thrown.message;
    }
    const hide = (text: string) =>
      text
        .replaceAll(cache, 'CACHE')
        .replaceAll(/--[0-9a-f]{8}\b/g, '--HASH')
        .replaceAll(/20\d\d-\d\d-\d\d \d\d:\d\d/g, 'DATE');
    return {stdout: hide(stdout), stderr: hide(stderr), error: hide(error)};
  };
  return {cache, run};
}

describe('bench weights', () => {
  test('makes, lists, verifies and removes a model', async () => {
    const {run} = setUp();
    const made = await run('make', 'bench-tiny', '--format', 'gguf-f16');
    expect(made.error).toBe('');
    expect(made.stdout.split('\n')[2]).toMatch(
      /^gguf-f16\s+2623744\s+5\.01 MiB\s+16\.0\s+5\.01 MiB\s+CACHE\/models\/synthetic-bench-tiny--seed-1--gguf-f16--HASH\/bench-tiny-f16\.gguf$/,
    );
    // Progress is for people: on a pipe one plain line a step, and never on stdout.
    expect(made.stderr).toMatch(/hashing bench-tiny-f16\.gguf\n/);
    expect(made.stderr).not.toContain('\u001B');
    const listed = await run('list');
    expect(listed.stdout.split('\n')[2]).toMatch(
      /^synthetic-bench-tiny--seed-1--gguf-f16--HASH\s+gguf-f16\s+5\.\d\d MiB\s+DATE$/,
    );
    expect(listed.stdout).toMatch(/\n5\.\d\d MiB in CACHE\/models\n\n/);
    // What can be made stands below what is there.
    expect(listed.stdout).toMatch(/\nllama-3\.2-1b +Llama 3\.2 1B +1236 M +2\.30 GiB\n/);
    expect((await run('verify')).stdout).toBe('ok       synthetic-bench-tiny--seed-1--gguf-f16--HASH\n');
    expect((await run('remove', '*bench-tiny*')).stdout).toMatch(
      /^removed synthetic-bench-tiny--seed-1--gguf-f16--HASH \(5\.\d\d MiB\)\n$/,
    );
    expect((await run('list')).stdout).toMatch(/^nothing in CACHE\/models\n\nRandom weights /);
  });

  test('prints data as JSON', async () => {
    const {run} = setUp();
    const made: unknown = JSON.parse(
      (await run('make', 'synthetic:bench-tiny', '--format', 'gguf-f16', '--seed', '7', '--json')).stdout,
    );
    expect(made).toMatchObject({format: 'gguf-f16', sourceText: 'synthetic:bench-tiny seed 7', synthetic: true});
    const listed: unknown = JSON.parse((await run('list', '--json')).stdout);
    expect(listed).toMatchObject([{state: 'complete', seed: 7, format: 'gguf-f16'}]);
    expect(JSON.parse((await run('verify', '--json')).stdout)).toMatchObject([{ok: true}]);
  });

  test.each<readonly string[]>([
    ['make', 'bench-tinny', '--format', 'gguf-f16'],
    ['make', 'bench-tiny', '--format', 'q4_k_m'],
    ['make', 'bench-tiny', '--format', 'gguf-f16', '--seed', '-1'],
    ['make', 'bench-tiny'],
    ['make', 'file:/no/such.gguf', '--format', 'gguf-f16'],
    ['pull', 'synthetic:bench-tiny'],
    ['remove', 'no-such-*'],
  ])('refuses %s %s in one line', async (...args) => {
    const {error} = await setUp().run(...args);
    expect(error).toMatchSnapshot();
  });
});

test('damage is found by bench weights verify', async () => {
  const {cache, run} = setUp();
  await run('make', 'bench-tiny', '--format', 'gguf-f16');
  const folder = readdirSync(join(cache, 'models'))[0] ?? '';
  const path = join(cache, 'models', folder, 'bench-tiny-f16.gguf');
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] = 1 ^ (bytes.at(-1) ?? 0);
  writeFileSync(path, bytes);
  const verified = await run('verify');
  expect(verified.stdout).toBe(
    'damaged  synthetic-bench-tiny--seed-1--gguf-f16--HASH: bench-tiny-f16.gguf has other bytes (SHA-256 differs)\n',
  );
  expect(verified.error).toBe(
    'MODEL_CORRUPT: 1 of 1 cached models are damaged: synthetic-bench-tiny--seed-1--gguf-f16--HASH',
  );
});
