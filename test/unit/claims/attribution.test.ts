import {describe, expect, it} from 'vitest';
import {type Attribution, attribute} from '../../../harness/claims/attribution.ts';
import {buildMeasured, type CellInput} from './build.ts';

/** Rounds drift by 10 % and 20 %: in one run all cells alike. */
const drifting = (us: number): number[] => [us, us * 1.1, us * 1.2];
let next = 0;
const cell = (format: string, runner: string, us: number, over: CellInput = {}) =>
  buildMeasured({
    cell_id: (next++).toString(16).padStart(12, '0'),
    format,
    runner,
    kernel: null,
    tpotUs: drifting(us),
    ttftUs: us * 3,
    ...over,
  });

const product = ({factors}: Attribution): number => factors.reduce((all, {ratio}) => all * (ratio ?? Number.NaN), 1);
const factor = (of: Attribution | undefined, name: string) => of?.factors.find((one) => one.name === name);

describe('attribute', () => {
  const q4 = cell('gguf-q4_k_m', 'llama-cpp', 10_000, {bytes_per_token: 0.8e9, bandwidth_ratio: 0.7});
  const f16 = cell('gguf-f16', 'llama-cpp', 25_000, {bytes_per_token: 2.4e9, bandwidth_ratio: 0.84});
  const fp16 = cell('fp16', 'transformers', 50_000, {bytes_per_token: 2.4e9});

  it('splits the speed of a GGUF cell into engine, bytes and rest, and the factors multiply out', () => {
    const decode = attribute([q4, f16, fp16]).find(({phase}) => phase === 'decode');
    if (decode === undefined) throw new Error('no attribution');
    expect(decode.total?.ratio).toBeCloseTo(5, 3);
    expect(factor(decode, 'runtime')?.ratio).toBeCloseTo(2, 3);
    expect(factor(decode, 'format')?.ratio).toBe(3);
    expect(factor(decode, 'kernel')?.ratio).toBe(1);
    // 2.5 times as fast with a third of the bytes: unpacking costs a sixth. It is 0.7 ÷ 0.84, too.
    expect(factor(decode, 'rest')?.ratio).toBeCloseTo(2.5 / 3, 3);
    expect(product(decode)).toBeCloseTo(decode.total?.ratio ?? 0, 12);
    expect(decode.missing).toEqual([]);
  });

  it('pairs rounds: a drift that all cells share does not widen the interval', () => {
    const decode = attribute([q4, f16, fp16]).find(({phase}) => phase === 'decode');
    expect(decode?.total?.how).toBe('paired-rounds');
    expect((decode?.total?.high ?? 9) / (decode?.total?.low ?? 1)).toBeLessThan(1.05);
    const elsewhere = attribute([q4, cell('fp16', 'transformers', 50_000, {run_id: 'run-b'})])[1];
    expect(elsewhere?.total?.how).toBe('two-samples');
    expect((elsewhere?.total?.high ?? 1) / (elsewhere?.total?.low ?? 1)).toBeGreaterThan(1.3);
  });

  it('keeps prefill apart, where bytes are worth nothing', () => {
    const prefill = attribute([q4, f16, fp16]).find(({phase}) => phase === 'prefill');
    expect(factor(prefill, 'format')).toMatchObject({ratio: 1, note: 'prefill waits for arithmetic, not for bytes'});
    expect(prefill?.bandwidthRatio).toBeNull();
    if (prefill !== undefined) expect(product(prefill)).toBeCloseTo(prefill.total?.ratio ?? 0, 12);
  });

  it('takes a prompt of one token for no prefill', () => {
    const one = {prompt_tokens: 1};
    const cells = [cell('gguf-q4_k_m', 'llama-cpp', 10_000, one), cell('fp16', 'transformers', 50_000, one)];
    expect(attribute(cells).map(({phase}) => phase)).toEqual(['decode']);
  });

  it('says what the choice of the kernel costs a GPTQ cell', () => {
    const fast = cell('gptq-4bit', 'transformers', 30_000, {kernel: 'marlin', bytes_per_token: 1.2e9});
    const slow = cell('gptq-4bit', 'transformers', 90_000, {kernel: 'torch', bytes_per_token: 1.2e9});
    const decode = attribute([fast, slow, fp16]).find(({row, phase}) => phase === 'decode' && row.kernel === 'torch');
    if (decode === undefined) throw new Error('no attribution');
    expect(factor(decode, 'runtime')).toMatchObject({ratio: 1, note: 'the engine of the baseline itself'});
    expect(factor(decode, 'kernel')?.ratio).toBeCloseTo(1 / 3, 3);
    expect(factor(decode, 'kernel')?.note).toBe('torch ÷ marlin');
    expect(product(decode)).toBeCloseTo(50 / 90, 3);
  });

  it('names the command for a control that is missing, and gives no figure in its place', () => {
    const [decode] = attribute([q4]).filter(({phase}) => phase === 'decode');
    expect(decode?.total).toBeNull();
    expect(factor(decode, 'runtime')?.ratio).toBeNull();
    expect(factor(decode, 'rest')?.ratio).toBeNull();
    expect(decode?.missing).toEqual([
      'bench matrix matrices/test.yaml --only model=llama-3.2-1b --only format=gguf-f16 --only runner=llama-cpp --only device=ryzen-7-5800hs --only workload=chat',
      'bench matrix matrices/test.yaml --only model=llama-3.2-1b --only format=fp16 --only runner=transformers --only device=ryzen-7-5800hs --only workload=chat',
    ]);
    // The command alone would be refused by a matrix without such cells.
    const [small] = attribute([q4], (_, runner) => runner === 'llama-cpp');
    expect(small?.missing[0]).toMatch(/workload=chat$/);
    expect(small?.missing[1]).toMatch(
      /workload=chat \(after adding fp16 and transformers to matrices\/test\.yaml, which has no such cells\)$/,
    );
  });

  it('takes the control with the same instruction set cap', () => {
    const capped = cell('gguf-q4_k_m', 'llama-cpp', 20_000, {caveats: 'isa-capped=avx2', bytes_per_token: 0.8e9});
    const capped16 = cell('gguf-f16', 'llama-cpp', 80_000, {caveats: 'isa-capped=avx2', bytes_per_token: 2.4e9});
    const found = attribute([f16, capped, capped16, fp16]).find(({phase}) => phase === 'decode');
    expect(factor(found, 'runtime')?.ratio).toBeCloseTo(50 / 80, 3);
  });

  it('leaves 16 bit and failed cells alone', () => {
    expect(attribute([f16, fp16, buildMeasured({status: 'crashed'})])).toEqual([]);
  });
});
