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
  await writeRun('slower', [25_000, 25_040, 24_960], 30e9);
  await writeRun('one-round', [20_000]);
});
afterAll(() => rm(root, {recursive: true}));

async function writeRun(runId: string, tpotUs: readonly number[], bandwidth = 40e9): Promise<void> {
  const half = tpotUs.map((us) => us * 3);
  const cells: MeasuredCell[] = [
    buildMeasured({run_id: runId, tpotUs, ram_rss_peak_bytes: 1e9, memory_bandwidth_bytes_per_s: bandwidth}),
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
    // 25 % slower is no more than a host may be by itself: said, and passed; asked for certainty, not passed.
    const {err} = await run('compare', ...pair);
    expect(err).toContain('one run each: a host may run × 0.77 to × 1.30 as fast from run to run');
    await expect(run('compare', ...pair, '--drift', '0.1')).rejects.toMatchObject({code: 'GATE'});
    await expect(run('compare', ...pair.slice(0, 2), '--fail-on', 'ambiguous')).rejects.toMatchObject({code: 'GATE'});
    // A gate that cannot fail is none.
    const one = [join(root, 'one-round'), join(root, 'slower'), '--fail-on', 'slower'] as const;
    await expect(run('compare', ...one)).rejects.toMatchObject({code: 'NOT_COMPARABLE', exitCode: 2});
    await expect(run('compare', join(root, 'base'), '--fail-on', 'slower')).rejects.toMatchObject({code: 'USAGE'});
    const {out} = await run('compare', join(root, 'base'), join(root, 'base'), '--fail-on', 'ambiguous');
    expect(out).toMatch(/^6 same · 0 faster · 0 slower · 0 ambiguous/m);
  });

  it('says what one run each cannot tell, with the ratio, its interval, the hosts and the cure', async () => {
    const {out, err} = await run('compare', join(root, 'base'), join(root, 'slower'));
    expect(out).toMatch(/^llama-3\.2-1b on ryzen-7-5800hs, chat$/m);
    expect(out).toMatch(
      /^ambiguous .* decode .* × 0\.800 +0\.6\d\d … 1\.0\d\d .*one run each, ± 30 % host +one run each: no more than/m,
    );
    expect(out).toMatch(/^0 same · 0 faster · 0 slower · 6 ambiguous \(what matters: from 2 % on\)$/m);
    expect(out).toContain('memory bandwidth of ryzen-7-5800hs, 8 threads: 40.0 → 30.0 GB/s (× 0.750)');
    expect(err).toContain('measure both in one run (--between)');
  });

  it('compares cells of one run, measured in turn', async () => {
    const cells = 'cell_id=bbbbbbbbbbbb,0123456789ab';
    const {out} = await run('compare', join(root, 'base'), '--between', cells);
    expect(out).toMatch(/^faster .*3 rounds, in turn$/m);
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
    expect(out).toMatch(/^llama-3\.2-1b on ryzen-7-5800hs, chat: decode$/m);
    expect(out).toContain('3.00');
    expect(out).toContain('--only format=gguf-f16');
    expect(out).toMatch(/^format +the cell ÷ 16 bit in its own engine/m);
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
    expect(out).toMatch(/^licardo-2025( +\d+){5}$/m);
    expect(out).toMatch(/^nothing of it was measured: 11 readings of 3 sentences \(--file .*squadra-2024\.yaml lists/m);
    expect(out).toContain(
      "to measure: bench matrix matrices/licardo-2025.yaml --only model='llama-3.2-1b*' --only format=gptq-4bit --only format=fp16",
    );
  });

  it('reads a folder of runs, and is strict when asked to be', async () => {
    const {out} = await run('claims', root, '--json');
    // The document that the command wrote.
    const {ledger, publications} = JSON.parse(out) as {
      ledger: {publication: string; verdict: string; reading: string}[];
      publications: {claims: string}[];
    };
    expect(publications.map(({claims}) => claims)).toEqual([
      'licardo-2025',
      'kolasani-2026',
      'mercari-2024',
      'squadra-2024',
    ]);
    const reproduced = ledger.filter(({verdict}) => verdict === 'reproduced');
    expect(reproduced.map(({publication, reading}) => `${publication} ${reading}`)).toContain('licardo-2025 resident');
    await expect(run('claims', root, '--strict')).rejects.toThrow(
      /^\d+ of 12 claims were not reproduced: licardo-2025 gptq-vram/,
    );
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
