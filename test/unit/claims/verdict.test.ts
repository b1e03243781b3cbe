import {readFileSync} from 'node:fs';
import {describe, expect, it} from 'vitest';
import {parseClaims} from '../../../harness/claims/parse-claims.ts';
import {claimsLedger} from '../../../harness/claims/verdict.ts';
import {PricesFileSchema} from '../../../harness/contract/prices.ts';
import {buildMeasured, type CellInput} from './build.ts';

const FILE = 'matrices/claims/licardo-2025.yaml';
const TEXT = readFileSync(new URL(`../../../${FILE}`, import.meta.url), 'utf8');
const PRICES = PricesFileSchema.parse({currency: 'USD'});
const claims = parseClaims(TEXT, FILE, PRICES);

const gptq = (over: CellInput = {}) =>
  buildMeasured({
    cell_id: 'aaaaaaaaaaaa',
    format: 'gptq-4bit',
    runner: 'transformers',
    device: 't4',
    kernel: 'torch',
    ...over,
  });
const fp16 = (over: CellInput = {}) =>
  buildMeasured({cell_id: 'bbbbbbbbbbbb', format: 'fp16', runner: 'transformers', device: 't4', kernel: null, ...over});
const q4 = (over: CellInput = {}) => buildMeasured({cell_id: 'cccccccccccc', ...over});

function verdicts(claim: string, cells: Parameters<typeof claimsLedger>[1]): string[] {
  return claimsLedger(claims, cells)
    .filter((entry) => entry.claim === claim)
    .map(({reading, verdict, device}) => `${reading}: ${verdict}${device === null ? '' : ` on ${device}`}`);
}
const steady = (us: number): number[] => [us, us * 1.001, us * 0.999];

describe('claimsLedger', () => {
  it('gives every reading a verdict of its own: × 0.55 is one reading, and refutes the size of the other', () => {
    const cells = [gptq({tpotUs: steady(36_400), ttftUs: 91_000}), fp16({tpotUs: steady(20_000), ttftUs: 50_000})];
    expect(verdicts('gptq-slower', cells)).toEqual([
      'decode-rate-18-percent: direction only on t4',
      'decode-time-182-percent: reproduced on t4',
      'request-rate-18-percent: direction only on t4',
      'request-time-182-percent: reproduced on t4',
      'prefill-rate-18-percent: direction only on t4',
    ]);
  });

  it('never calls a claim about a T4 reproduced on another device, and asks for the T4', () => {
    const there = {device: 'h200', device_name: 'NVIDIA H200'};
    const cells = [gptq({tpotUs: steady(36_400), ...there}), fp16({tpotUs: steady(20_000), ...there})];
    const ledger = claimsLedger(claims, cells).filter(({claim}) => claim.startsWith('gptq'));
    expect(ledger.map(({verdict}) => verdict)).not.toContain('reproduced');
    expect(verdicts('gptq-slower', cells).slice(0, 2)).toEqual([
      'decode-rate-18-percent: direction only on h200',
      'decode-rate-18-percent: not measured',
    ]);
    expect(ledger.find(({device}) => device === 'h200')?.reason).toBe('checked on h200; the sentence is about t4');
  });

  it('does not let another device contradict it either', () => {
    const there = {device: 'h200', device_name: 'NVIDIA H200'};
    const cells = [gptq({tpotUs: steady(10_000), ...there}), fp16({tpotUs: steady(20_000), ...there})];
    expect(verdicts('gptq-slower', cells)[0]).toBe('decode-rate-18-percent: inconclusive on h200');
    // Yet what was found there is said.
    expect(claimsLedger(claims, cells).find(({device}) => device === 'h200')).toMatchObject({
      reason: 'checked on h200; the sentence is about t4',
      finding: 'the opposite effect',
    });
  });

  it('is contradicted on its own device by no effect and by the opposite', () => {
    const none = claimsLedger(claims, [gptq({tpotUs: steady(20_000)}), fp16({tpotUs: steady(20_000)})]);
    expect(none.find(({reading}) => reading === 'decode-rate-18-percent')).toMatchObject({
      verdict: 'contradicted',
      reason: 'no clear effect',
    });
    const faster = claimsLedger(claims, [gptq({tpotUs: steady(10_000)}), fp16({tpotUs: steady(20_000)})]);
    expect(faster.find(({reading}) => reading === 'decode-time-182-percent')).toMatchObject({
      verdict: 'contradicted',
      reason: 'the opposite effect',
    });
  });

  it('takes a prompt of one token for no prefill', () => {
    const one = {prompt_tokens: 1};
    const cells = [gptq({tpotUs: steady(30_000), ...one}), fp16({tpotUs: steady(20_000), ...one})];
    const verdict = (reading: string) =>
      claimsLedger(claims, cells).find((entry) => entry.reading === reading)?.verdict;
    expect(verdict('prefill-rate-18-percent')).toBe('not measured');
    expect(verdict('decode-rate-18-percent')).not.toBe('not measured');
  });

  it('says of two runs that they are two', () => {
    const cells = [gptq({tpotUs: steady(36_400)}), fp16({tpotUs: steady(20_000), run_id: 'another'})];
    const found = claimsLedger(claims, cells).find(({reading}) => reading === 'decode-time-182-percent');
    expect(found?.reason).toBe('the ratio is the one it says, of two runs at different times');
  });

  it('is inconclusive of one round, which has no interval; a peak of memory needs none', () => {
    const cells = [gptq({tpotUs: [36_400]}), fp16({tpotUs: [20_000]})];
    const found = claimsLedger(claims, cells).find(({reading}) => reading === 'decode-time-182-percent');
    expect(found).toMatchObject({verdict: 'inconclusive', finding: 'no interval: one round, or no requests at hand'});
    const peaks = [gptq({vram_peak_bytes: 0.59e9, rounds: 1}), fp16({vram_peak_bytes: 1e9, rounds: 1})];
    expect(claimsLedger(claims, peaks).find(({reading}) => reading === 'device')?.verdict).toBe('reproduced');
  });

  it('is inconclusive when the interval holds both', () => {
    const cells = [gptq({tpotUs: [20_000, 36_000, 60_000]}), fp16({tpotUs: [30_000, 20_000, 15_000]})];
    expect(verdicts('gptq-slower', cells)[1]).toBe('decode-time-182-percent: inconclusive on t4');
  });

  it('tells the three VRAM figures apart', () => {
    const cells = [
      gptq({vram_process_peak_bytes: 2.06e9, vram_allocated_peak_bytes: 1.05e9}),
      fp16({vram_process_peak_bytes: 3.5e9, vram_allocated_peak_bytes: 2.5e9}),
    ];
    expect(verdicts('gptq-vram', cells)).toEqual([
      'process: reproduced on t4',
      'device: not measured',
      'framework: direction only on t4',
    ]);
  });

  it('reads "up to" as the best format', () => {
    const here = {device: 'ryzen-7-5800hs', kernel: null};
    const cells = [
      q4({tpotUs: steady(10_000)}),
      q4({cell_id: 'dddddddddddd', format: 'gguf-q8_0', tpotUs: steady(20_000)}),
      fp16({tpotUs: steady(180_000), ...here}),
    ];
    const entry = claimsLedger(claims, cells).find(({reading}) => reading === 'decode-against-pytorch');
    expect(entry).toMatchObject({verdict: 'reproduced', cell: 'gguf-q4_k_m llama-cpp cpu-haswell'});
    expect(claimsLedger(claims, cells).filter(({reading}) => reading === 'decode-against-pytorch')).toHaveLength(1);
  });

  it('takes "over 90 % less" at its word', () => {
    const ram = (bytes: number) =>
      verdicts('gguf-ram', [
        q4({ram_rss_peak_bytes: bytes}),
        fp16({ram_rss_peak_bytes: 10e9, device: 'ryzen-7-5800hs'}),
      ])[0];
    expect(ram(0.9e9)).toBe('resident: reproduced on ryzen-7-5800hs');
    expect(ram(1.05e9)).toBe('resident: direction only on ryzen-7-5800hs');
  });

  it('names the command that would measure what is missing', () => {
    const [entry] = claimsLedger(claims, []);
    expect(entry).toMatchObject({
      verdict: 'not measured',
      command:
        "bench matrix matrices/licardo-2025.yaml --only model='llama-3.2-1b*' --only format=gptq-4bit --only format=fp16 --only runner=transformers --only device=t4",
    });
  });
});

describe('parseClaims', () => {
  it('reads the file of the paper: four sentences, every reading with its own id', () => {
    expect(claims.sentences.map(({id, readings}) => `${id} ${readings.length}`)).toMatchInlineSnapshot(`
      [
        "gptq-vram 3",
        "gptq-slower 5",
        "gguf-speedup 4",
        "gguf-ram 4",
      ]
    `);
  });

  it('names file and line of a mistake, and what was meant', () => {
    const wrong = TEXT.replace('measure: vram_peak_bytes', 'measure: vram_peek_bytes');
    const line = wrong.split('\n').findIndex((text) => text.includes('vram_peek_bytes')) + 1;
    expect(() => parseClaims(wrong, 'claims.yaml', PRICES)).toThrow(
      new RegExp(`^claims\\.yaml:${line}:\\d+: .*vram_peek_bytes.*did you mean "?vram_peak_bytes`),
    );
    expect(() => parseClaims(TEXT.replace('ratio: 0.59', 'ratio: -1'), 'claims.yaml', PRICES)).toThrow(
      /claims\.yaml:\d+:\d+: .*-1/,
    );
  });

  it('refuses ids that stand twice, broken YAML, and what is no claims file', () => {
    expect(() => parseClaims(TEXT.replace('id: framework', 'id: process'), 'c.yaml', PRICES)).toThrow(
      /c\.yaml:\d+:\d+: "process"/,
    );
    expect(() => parseClaims('claims: [', 'c.yaml', PRICES)).toThrow(/^c\.yaml:1:/);
    expect(() => parseClaims('', 'c.yaml', PRICES)).toThrow(/c\.yaml/);
    expect(() => parseClaims('x'.repeat(1024 * 1024 + 1), 'c.yaml', PRICES)).toThrow(/1 MiB/);
  });
});
