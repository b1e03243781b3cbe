import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Command} from 'commander';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {registerDecideCommand} from '../../../harness/cli/commands/decide.ts';
import {writeManifest} from '../../../harness/store/manifest.ts';
import {writeRequestsCsv} from '../../../harness/store/requests-csv.ts';
import {writeResultsCsv} from '../../../harness/store/results-csv.ts';
import {buildMeasured, type CellInput} from '../claims/build.ts';
import {buildManifest} from '../derive/build.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bench-decide-'));
  // Answers of 5 tokens within about 130 ms on the T4, 42 ms on the A100: 33 requests each.
  await writeRun('t4', {device: 't4', gpu_layers: 999, tpotUs: [20_000, 20_040, 19_960], load_ms: 3000});
  await writeRun('a100', {
    device: 'a100-80gb',
    gpu_layers: 999,
    tpotUs: [8000, 8010, 7990],
    ttftUs: 10_000,
    load_ms: 3000,
  });
});
afterAll(() => rm(root, {recursive: true}));

async function writeRun(runId: string, input: CellInput): Promise<void> {
  const {row, requests} = buildMeasured({run_id: runId, ...input});
  const failed = buildMeasured({
    run_id: runId,
    cell_id: 'ffffffffffff',
    format: 'fp32',
    status: 'does-not-fit',
    status_reason: 'needs more',
    device: input.device ?? null,
  });
  const folder = join(root, runId);
  await mkdir(folder);
  await writeManifest(join(folder, 'manifest.json'), buildManifest({runId}));
  await writeResultsCsv(join(folder, 'results.csv'), [row, failed.row]);
  await writeRequestsCsv(join(folder, 'requests.csv'), requests);
}

async function run(...args: readonly string[]): Promise<{out: string; error: unknown}> {
  let out = '';
  const program = new Command().exitOverride().configureOutput({writeErr: () => {}});
  registerDecideCommand(program, {
    env: {},
    stdout: {write: (text: string) => (out += text)},
    stderr: {write: () => true},
    signal: new AbortController().signal,
    exit: () => {},
  });
  const error: unknown = await program.parseAsync(['decide', root, ...args], {from: 'user'}).then(
    () => null,
    (problem: unknown) => problem,
  );
  return {out, error};
}

describe('bench decide', () => {
  it('recommends the cheapest that meets the need, from committed files and shipped prices', async () => {
    const {out, error} = await run('--p90-ms', '200', '--requests-per-hour', '100');
    expect(error).toBeNull();
    expect(out.replaceAll(/ +$/gm, '')).toMatchInlineSnapshot(`
      "options
      llama-3.2-1b, chat (100 + 5 tokens)
      p90 ≤ 200 ms, 100 requests/h

      Deploy gguf-q4_k_m llama-cpp cpu-haswell on t4 (computeprices-t4-low), at $3.50 (3.50 … 3.91) per 1 000 requests that meet the need; the next, gguf-q4_k_m llama-cpp cpu-haswell on a100-80gb (runpod-community-a100-80gb), costs 3.97 times as much.
      The intervals of the measurement do not touch those of any other candidate. Prices 30 % higher or lower do not change the answer.

         candidate                                                                    machines  USD/month   idle      met  USD/1k met           USD/1M met tokens  p90                    price of
      ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
      →  gguf-q4_k_m llama-cpp cpu-haswell on t4 (computeprices-t4-low)                      1        255  100 %  100.0 %  $3.50 (3.50 … 3.91)                700  132 (131 … 133) ms     2026-03-31
         gguf-q4_k_m llama-cpp cpu-haswell on a100-80gb (runpod-community-a100-80gb)         1       1015  100 %  100.0 %  $13.9 (13.9 … 15.5)               2780  42.7 (42.4 … 42.9) ms  2026-11-09

      notes:
        → gguf-q4_k_m llama-cpp cpu-haswell on t4 (computeprices-t4-low): computeprices-t4-low: lowest on-demand T4 listed; minimum billing of computeprices-t4-low is not known

      break-even:
        below 58 200 requests/h, gguf-q4_k_m llama-cpp cpu-haswell on t4 (computeprices-t4-low) is cheaper than gguf-q4_k_m llama-cpp cpu-haswell on a100-80gb (runpod-community-a100-80gb)
        below 1 460 requests/h, gpt-4.1 (API) is cheaper than gguf-q4_k_m llama-cpp cpu-haswell on t4 (computeprices-t4-low)
        below 7 290 requests/h, gpt-4.1-mini (API) is cheaper than gguf-q4_k_m llama-cpp cpu-haswell on t4 (computeprices-t4-low)

      not measured:
        gpt-4.1-mini (API): $0.0480 per 1 000 requests, $3.50 a month by list price of 2026-06-21; p90 latency not measured
        gpt-4.1 (API): $0.240 per 1 000 requests, $17.5 a month by list price of 2026-06-21; p90 latency not measured

      cannot:
        fp32 llama-cpp cpu-haswell on a100-80gb: does-not-fit: needs more
        fp32 llama-cpp cpu-haswell on t4: does-not-fit: needs more
      "
    `);
  });

  it('takes a need from a file, and options over it', async () => {
    const file = join(root, 'need.yaml');
    await writeFile(file, 'need: quick\ntitle: Quick answers\np90_ms: 200\nrequests_per_hour: 100\n');
    expect((await run('--need', file)).out).toContain('→  gguf-q4_k_m llama-cpp cpu-haswell on t4');
    const {out} = await run('--need', file, '--p90-ms', '60');
    expect(out).toMatch(/^Quick answers\nllama-3\.2-1b, chat \(100 \+ 5 tokens\)\np90 ≤ 60 ms, 100 requests\/h\n/);
    expect(out).toContain('→  gguf-q4_k_m llama-cpp cpu-haswell on a100-80gb');
    expect(out).toMatch(/cannot:\n.*needs more/);
    expect(out).toMatch(/on t4: p90 of 13\d ms is above 60\.0 ms/);
  });

  it('hands over everything as one JSON document', async () => {
    const {out} = await run('--p90-ms', '200', '--json');
    // The document that the command wrote.
    const decision = JSON.parse(out) as {verdict: string; candidates: {metOf: number; metShare: {value: number}}[]};
    expect(decision.verdict).toBe('recommended');
    expect(decision.candidates.map(({metOf, metShare}) => [metOf, metShare.value])).toEqual([
      [33, 1],
      [33, 1],
    ]);
  });

  it('ends with 4 when nothing fits, and says why', async () => {
    const {out, error} = await run('--p90-ms', '1');
    expect(error).toMatchObject({code: 'GATE', exitCode: 4});
    expect(out).toMatch(
      /Nothing fits: none of 4 cells meets the need; nearest is gguf-q4_k_m llama-cpp cpu-haswell on a100-80gb: p90 of/,
    );
    expect((await run('--memory', '1MiB', '--p90-ms', '200')).error).toMatchObject({code: 'GATE'});
    expect((await run('--devices', 'h*')).error).toMatchObject({code: 'GATE'});
  });

  it('ends with 2 where nothing but a price is missing, and says what to add', async () => {
    const prices = join(root, 'none-for-t4.yaml');
    await writeFile(prices, 'currency: USD\nrentals: []\n');
    const {out, error} = await run('--p90-ms', '200', '--devices', 't4', '--prices', prices);
    expect(out).toMatch(/Not priced: the need is met by 1 cell on t4/);
    expect(error).toMatchObject({code: 'PRICES_INVALID', exitCode: 2});
    expect(String(error)).toContain('none-for-t4.yaml: no price for t4; for a look: --price t4=USD');
  });

  it('takes a price that no file has', async () => {
    const {out} = await run('--p90-ms', '200', '--requests-per-hour', '100', '--price', 'a100-80gb=0.1');
    expect(out).toContain('→  gguf-q4_k_m llama-cpp cpu-haswell on a100-80gb (given-a100-80gb)');
  });

  it('tells mistakes in options and files', async () => {
    expect(String((await run('--p90-ms', 'soon')).error)).toContain('above 0');
    expect(String((await run('--memory', 'much')).error)).toContain('8 GiB');
    expect(String((await run('--price', 't4')).error)).toContain('above 0');
    expect(String((await run('--min-quality', '95')).error)).toContain('0 to 1');
    expect((await run('--hours-per-month', '900')).error).toMatchObject({code: 'NEED_INVALID'});
    expect((await run('--need', join(root, 'none.yaml'))).error).toMatchObject({code: 'FILE_UNREADABLE'});
    expect((await run('--prices', join(root, 'none.yaml'))).error).toMatchObject({code: 'FILE_UNREADABLE'});
    await writeFile(join(root, 'bad.yaml'), 'currency: USD\nrental: []\n');
    expect(String((await run('--prices', join(root, 'bad.yaml'))).error)).toContain(
      'bad.yaml:2:1: rental: no such key; did you mean "rentals"?',
    );
  });
});
