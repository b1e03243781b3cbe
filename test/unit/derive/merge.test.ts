import fc from 'fast-check';
import {beforeAll, describe, expect, test} from 'vitest';
import {COLUMN_NAMES, type ResultRow} from '../../../harness/contract/columns.ts';
import type {Manifest} from '../../../harness/contract/journal.ts';
import type {Plan} from '../../../harness/contract/plan.ts';
import {type Candidate, mergeAttempts} from '../../../harness/derive/merge.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

let plan: Plan;
beforeAll(async () => {
  plan = await makePlan({
    loaded: await loadText(matrixText({devices: '[t4]'})),
    host: planHost(),
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(),
    harness: '0.1.0',
  });
});

const blank = Object.fromEntries(COLUMN_NAMES.map((name) => [name, null])) as unknown as ResultRow;

function candidate(attempt: string, index = 0, more: Partial<Candidate> = {}, rate = 10): Candidate {
  const cell = plan.cells[index]?.cell ?? null;
  // Only what the merge looks at.
  const manifest = {matrixSha256: plan.matrixSha256, host: {devices: [{name: 't4'}]}} as unknown as Manifest;
  return {
    path: `/attempts/${attempt}.jsonl`,
    attempt,
    planId: plan.planId,
    cellId: cell?.id ?? '',
    sha256: attempt,
    engineNode: null,
    manifest,
    cell,
    finished: true,
    build: 'bench 0.1.0 abc',
    runner: {id: 'llama-cpp', version: '1'},
    row: {...blank, cell_id: cell?.id ?? '', decode_tokens_per_s: rate},
    requests: [],
    ...more,
  };
}
const merge = (candidates: readonly Candidate[], build?: string) => mergeAttempts({plan, candidates, build});
const codes = (candidates: readonly Candidate[], build?: string) =>
  merge(candidates, build).refusals.map(({code}) => code);

describe('merging attempts', () => {
  test('the first by id counts, not the fastest; all others are kept, with how far they are apart', () => {
    const [cell] = merge([candidate('c', 0, {}, 30), candidate('a', 0, {}, 10), candidate('b', 0, {}, 20)]).cells;
    expect(cell?.canonical?.attempt).toBe('a');
    expect(cell?.others.map(({attempt}) => attempt)).toEqual(['b', 'c']);
    expect(cell?.spread.decode_tokens_per_s).toBe(2);
  });

  test('of whatever files, the order does not matter: not to what counts, not to what is refused, not to the builds', () => {
    const file = fc.record({
      attempt: fc.constantFrom('a', 'b', 'c'),
      index: fc.constantFrom(0, 1),
      sha256: fc.constantFrom('s', 't'),
      build: fc.constantFrom('bench 0.1.0 abc', 'bench 0.1.0 abc', 'bench 0.1.0 def'),
      runner: fc.constantFrom(null, {id: 'llama-cpp', version: '1'}, {id: 'llama-cpp', version: '2'}),
      planId: fc.constantFrom(plan.planId, plan.planId, 'other'),
      finished: fc.constantFrom(true, true, false),
      rate: fc.constantFrom(10, 20, 40),
    });
    const many = fc.array(file, {maxLength: 8}).chain((files) => {
      const all = files.map(({attempt, index, rate, ...more}, place) =>
        candidate(attempt, index, {...more, path: `/${place}/${attempt}.jsonl`}, rate),
      );
      return fc.tuple(fc.constant(all), fc.shuffledSubarray(all, {minLength: all.length}));
    });
    fc.assert(
      fc.property(many, fc.constantFrom(undefined, 'bench 0.1.0 a'), ([all, shuffled], build) => {
        const merged = merge(all, build);
        expect(merge(shuffled, build)).toEqual(merged);
        // Each file counts, stands by, is refused by name, or is a copy of one that is any of these.
        const kept = merged.cells.flatMap(({canonical, others}) => (canonical === null ? [] : [canonical, ...others]));
        const refused = new Set(merged.refusals.map(({path}) => path));
        const told = [...kept, ...all.filter(({path}) => refused.has(path))];
        const contents = new Set(told.map(({attempt, sha256}) => `${attempt} ${sha256}`));
        for (const {attempt, sha256} of all) expect(contents).toContain(`${attempt} ${sha256}`);
        expect(new Set(kept.map(({attempt}) => attempt)).size).toBe(kept.length);
      }),
    );
  });

  test('the order of the files does not matter, nor how often one was copied', () => {
    const all = [
      candidate('a'),
      candidate('b'),
      candidate('c', 1),
      candidate('d', 1, {finished: false}),
      candidate('e', 0, {planId: 'x'}),
    ];
    const expected = merge(all);
    fc.assert(
      fc.property(fc.shuffledSubarray([...all, ...all], {minLength: 2 * all.length}), (some) => {
        const {cells} = merge(some);
        expect(cells).toEqual(expected.cells);
      }),
    );
  });

  test('what is of another plan, cell, matrix or device is foreign; what did not end is partial', () => {
    const manifest = (matrixSha256: string, device: string) =>
      ({matrixSha256, host: {devices: [{name: device}]}}) as unknown as Manifest;
    expect(codes([candidate('a', 0, {planId: 'other'})])).toEqual(['foreign']);
    expect(codes([candidate('a', 0, {cellId: '000000000000'})])).toEqual(['foreign']);
    expect(codes([candidate('a', 0, {manifest: manifest('other', 't4')})])).toEqual(['foreign']);
    expect(codes([candidate('a', 0, {manifest: manifest(plan.matrixSha256, 'a100-80gb')})])).toEqual(['foreign']);
    expect(codes([candidate('a', 0, {finished: false})])).toEqual(['partial']);
  });

  test('a cell of the same id that was measured otherwise is foreign; threads asked for as cores are not', () => {
    const cell = plan.cells[0]?.cell;
    if (cell === undefined) throw new Error('no cell');
    expect(merge([candidate('a', 0, {cell: {...cell, rounds: 99}})]).refusals[0]?.detail).toBe(
      'measured with other rounds than the plan says',
    );
    expect(cell.threadsAsked).toBe('cores');
    expect(codes([candidate('a', 0, {cell: {...cell, settings: {...cell.settings, threads: 96}}})])).toEqual([]);
  });

  test('of several builds none counts until one is named; a runner in two versions counts for nothing', () => {
    const two = [candidate('a'), candidate('b', 1, {build: 'bench 0.1.0 def'})];
    expect(codes(two)).toEqual(['mixed-build', 'mixed-build']);
    expect(merge(two, 'bench 0.1.0 d').cells.map(({canonical}) => canonical?.attempt)).toEqual([undefined, 'b']);
    expect(codes([candidate('a'), candidate('b', 1, {runner: {id: 'llama-cpp', version: '2'}})])).toEqual([
      'mixed-build',
      'mixed-build',
    ]);
    expect(codes([candidate('a'), candidate('b', 1, {runner: {id: 'transformers', version: '2'}})])).toEqual([]);
  });

  test('two contents under one attempt id are both refused', () => {
    expect(codes([candidate('a'), candidate('a', 0, {sha256: 'other', path: '/copy/a.jsonl'})])).toEqual([
      'conflict',
      'conflict',
    ]);
  });
});
