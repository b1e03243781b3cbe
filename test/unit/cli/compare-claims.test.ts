import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Command} from 'commander';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import type {MeasuredCell} from '../../../harness/claims/measured-cell.ts';
import {registerClaimsCommand} from '../../../harness/cli/commands/claims.ts';
import {registerCompareCommand} from '../../../harness/cli/commands/compare.ts';
import {writeManifest} from '../../../harness/store/manifest.ts';
import {writeRequestsCsv} from '../../../harness/store/requests-csv.ts';
import {writeResultsCsv} from '../../../harness/store/results-csv.ts';
import {buildMeasured} from '../claims/build.ts';
import {buildManifest} from '../derive/build.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bench-compare-'));
  await writeRun('base', [20_000, 20_040, 19_960]);
  await writeRun('slower', [25_000, 25_040, 24_960]);
});
afterAll(() => rm(root, {recursive: true}));

async function writeRun(runId: string, tpotUs: readonly number[]): Promise<void> {
  const half = tpotUs.map((us) => us * 3);
  const cells: MeasuredCell[] = [
    buildMeasured({run_id: runId, tpotUs, ram_rss_peak_bytes: 1e9}),
    buildMeasured({
      run_id: runId,
      cell_id: 'bbbbbbbbbbbb',
      format: 'fp16',
      runner: 'transformers',
      kernel: null,
      tpotUs: half,
      ram_rss_peak_bytes: 12e9,
    }),
  ];
  const folder = join(root, runId);
  await mkdir(folder);
  await writeManifest(join(folder, 'manifest.json'), buildManifest({runId}));
  await writeResultsCsv(
    join(folder, 'results.csv'),
    cells.map(({row}) => row),
  );
  await writeRequestsCsv(
    join(folder, 'requests.csv'),
    cells.flatMap(({requests}) => requests),
  );
}

async function run(...args: readonly string[]): Promise<{out: string; err: string}> {
  let out = '';
  let err = '';
  const program = new Command().exitOverride();
  const context = {
    env: {},
    stdout: {write: (text: string) => (out += text)},
    stderr: {write: (text: string) => (err += text)},
    signal: new AbortController().signal,
    exit: () => {},
  };
  registerCompareCommand(program, context);
  registerClaimsCommand(program, context);
  await program.parseAsync(args, {from: 'user'});
  return {out, err};
}

describe('bench compare', () => {
  it('reads two runs from their committed files and says what is slower', async () => {
    const {out} = await run('compare', join(root, 'base'), join(root, 'slower'), '--steady-host', '--json');
    // The document that the command wrote.
    const report = JSON.parse(out) as {comparisons: {metric: string; change: string; now: {format: string}}[]};
    const decode = report.comparisons.filter(({metric}) => metric === 'decode_tokens_per_s');
    expect(decode.map(({now, change}) => `${now.format} ${change}`).sort()).toEqual([
      'fp16 slower',
      'gguf-q4_k_m slower',
    ]);
  });

  it('is a gate when asked to be one', async () => {
    const pair = [join(root, 'base'), join(root, 'slower'), '--fail-on', 'slower'] as const;
    await expect(run('compare', ...pair, '--steady-host')).rejects.toMatchObject({code: 'GATE', exitCode: 4});
    // A gate that cannot fail is none.
    await expect(run('compare', ...pair)).rejects.toMatchObject({code: 'NOT_COMPARABLE', exitCode: 2});
    const {out} = await run('compare', join(root, 'base'), join(root, 'base'), '--fail-on', 'ambiguous');
    expect(out).toContain('same');
    expect(out).not.toContain('slower');
  });

  it('gives no verdict of one run each, and says what would', async () => {
    const {out, err} = await run('compare', join(root, 'base'), join(root, 'slower'));
    expect(out).toContain('ambiguous: one run each');
    expect(out).not.toContain('…');
    expect(err).toContain(
      'no verdict: one run each, at different times. Measure both in one run and compare --between',
    );
  });

  it('compares cells of one run, measured in turn', async () => {
    const cells = 'cell_id=bbbbbbbbbbbb,0123456789ab';
    const {out} = await run('compare', join(root, 'base'), '--between', cells);
    expect(out).toMatch(/3 rounds, in turn +faster/);
    expect(out).toContain('runner transformers → llama-cpp');
    await expect(run('compare', join(root, 'base'), '--between', 'format=fp16,gguf-*')).rejects.toThrow(
      /differs in runner/,
    );
    await expect(
      run('compare', join(root, 'base'), join(root, 'slower'), '--between', 'format=fp16,gguf-*'),
    ).rejects.toMatchObject({code: 'USAGE'});
    await expect(run('compare', join(root, 'base'), '--between', 'format=fp16')).rejects.toThrow(/KEY=A,B/);
    await expect(run('compare', join(root, 'base'), '--between', 'formt=a,b')).rejects.toThrow(/did you mean "format"/);
  });

  it('attributes within one run', async () => {
    const {out} = await run('compare', join(root, 'base'));
    expect(out).toContain('gguf-q4_k_m');
    expect(out).toContain('3.00');
    expect(out).toContain('--only format=gguf-f16');
  });

  it('names what is no run', async () => {
    await expect(run('compare', join(root, 'nowhere'))).rejects.toMatchObject({code: 'RESULTS_INVALID', exitCode: 2});
    await mkdir(join(root, 'empty'));
    await expect(run('compare', join(root, 'empty'))).rejects.toThrow(/holds no run/);
    await rm(join(root, 'empty'), {recursive: true});
  });
});

describe('bench claims', () => {
  it('prints the ledger, with the device each reading was checked on', async () => {
    const {out} = await run('claims', join(root, 'base'));
    expect(out).toContain('4-bit GPTQ reduced VRAM usage by 41%');
    expect(out).toContain('not measured');
    expect(out).toContain('checked on ryzen-7-5800hs:');
    expect(out).toMatch(/reproduced +resident /);
    expect(out).toMatch(
      /^not measured, on t4, the cell and what it is compared with were not run: process, device, framework$/m,
    );
    expect(out).toMatch(/^Verdicts, .* · 12 not measured$/m);
    expect(out).toContain('to measure: bench matrix matrices/licardo-2025.yaml --only format=gptq-4bit');
  });

  it('reads a folder of runs, and is strict when asked to be', async () => {
    const {out} = await run('claims', root, '--json');
    // The document that the command wrote.
    const {ledger} = JSON.parse(out) as {ledger: {verdict: string; reading: string}[]};
    expect(ledger.filter(({verdict}) => verdict === 'reproduced').length).toBeGreaterThan(0);
    await expect(run('claims', root, '--strict')).rejects.toMatchObject({code: 'GATE'});
  });

  it('names the line of a mistake in a claims file', async () => {
    const file = join(root, 'claims.yaml');
    await writeFile(file, 'claims: x\ntitel: y\n');
    await expect(run('claims', join(root, 'base'), '--file', file)).rejects.toMatchObject({code: 'CLAIMS_INVALID'});
    await expect(run('claims', join(root, 'base'), '--file', join(root, 'none.yaml'))).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
  });
});
