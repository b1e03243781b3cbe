import {describe, expect, test} from 'vitest';
import {formatCaveats} from '../../../harness/contract/caveats.ts';
import type {Cell} from '../../../harness/contract/cell.ts';
import type {JournalRecord, Manifest} from '../../../harness/contract/journal.ts';
import type {RequestEvent} from '../../../harness/contract/protocol.ts';
import {cellRecords} from '../../../harness/derive/cell-records.ts';
import {rowCaveats} from '../../../harness/derive/row-caveats.ts';
import {buildCell, buildManifest, buildRequest, buildRound, planned, WEIGHTS} from './build.ts';

const {host} = buildManifest();

/** Requests of a round; `factor` stretches the one with this index. */
const requests = (factor: (index: number) => number = () => 1): RequestEvent[] =>
  Array.from({length: 20}, (_, index) =>
    buildRequest(index, {ttftUs: 100_000 * factor(index), tpotUs: 20_000 * factor(index)}),
  );

interface Case {
  readonly cell?: Partial<Cell>;
  readonly workload?: Partial<Cell['workload']>;
  readonly manifest?: Partial<Manifest>;
  readonly round?: Parameters<typeof buildRound>[3];
  readonly events?: readonly RequestEvent[];
  readonly rounds?: number;
  readonly weights?: typeof WEIGHTS;
  readonly stopped?: 'budget' | 'max';
}

function caveatsOf(one: Case): string {
  const {cell = {}, workload = {}, manifest = {}, round = {}, events, rounds = 3, weights, stopped} = one;
  const asked = buildCell(cell, workload);
  const records: JournalRecord[] = [
    planned(asked),
    ...(weights === undefined ? [] : [{type: 'weights', cellId: asked.id, weights} as const]),
    ...Array.from({length: rounds}, (_, index) => buildRound(asked.id, index, events ?? requests(), round)).flat(),
  ];
  const [record] = cellRecords(
    records.map((line) =>
      stopped !== undefined && line.type === 'event' && line.event.type === 'done'
        ? {...line, event: {...line.event, stopped}}
        : line,
    ),
  );
  if (record === undefined) throw new Error('no cell');
  return formatCaveats(rowCaveats(record, buildManifest(manifest)));
}

const settings = (over: Partial<Cell['settings']>) => ({settings: {...buildCell().settings, ...over}});

describe('the caveats of a row', () => {
  test('of a plain cell on a quiet host are none', () => {
    expect(caveatsOf({})).toBe('');
  });

  test('name more threads than cores, with both numbers, and not as many threads as cores', () => {
    expect(caveatsOf({cell: settings({threads: 9})})).toBe('oversubscribed=9/8');
    expect(caveatsOf({cell: settings({threads: 8})})).toBe('');
    expect(caveatsOf({cell: settings({threads: 9}), rounds: 0})).toBe('');
  });

  test('name a device that was forced, on its own rows only', () => {
    const forced = host.devices.map((device) => ({...device, forced: true}));
    expect(caveatsOf({manifest: {host: {...host, devices: forced}}})).toBe('forced-device');
    const other = forced.map((device) => ({...device, name: 't4'}));
    expect(caveatsOf({manifest: {host: {...host, devices: other}}})).toBe('');
  });

  test('name a virtual machine', () => {
    expect(caveatsOf({manifest: {host: {...host, virtualization: 'amazon ec2'}}})).toBe('virtual=amazon_ec2');
  });

  test.each<[string, Case]>([
    ['synthetic-weights', {weights: WEIGHTS}],
    ['simulated', {cell: {runner: {id: 'simulated'}}}],
    ['isa-capped=avx2', {cell: {isa: 'avx2'}}],
    ['cached-prefix', {workload: {prefixCache: 'shared:4'}}],
    ['interrupted-rounds=1/3 one-round', {rounds: 1, events: [...requests(), ...requests()]}],
    ['wide-interval=0.000', {stopped: 'budget'}],
  ])('hold %s where it is so', (text, one) => {
    expect(caveatsOf(one)).toContain(text);
  });

  test('name the width of an interval that the most requests did not make narrow enough', () => {
    const uneven = requests((index) => 1 + (index % 5) / 10);
    expect(caveatsOf({stopped: 'max', events: uneven})).toMatch(/^wide-interval=0\.\d{3}$/);
    expect(caveatsOf({stopped: 'max'})).toBe('');
  });

  test('pass on what samplers, the host and the worker said', () => {
    const caveats = caveatsOf({
      manifest: {caveats: [{code: 'battery'}, {code: 'governor', value: 'powersave'}, {code: 'alongside'}]},
      round: {
        caveats: [
          {code: 'power-capped', value: '50/70'},
          {code: 'mig', value: '1'},
        ],
        loadedCaveats: ['threadless-engine', 'prompt-text-short', 'no-such-code'],
      },
    });
    expect(caveats.split(' ')).toEqual([
      'alongside',
      'battery',
      'governor=powersave',
      'mig=1',
      'power-capped=50/70',
      'prompt-text-short',
      'threadless-engine',
    ]);
  });

  test('name a warm-up that ended too early: requests that still become faster', () => {
    const warming = requests((index) => (index < 6 ? 1.5 : 1));
    expect(caveatsOf({events: warming})).toContain('unsteady-warmup=1.50');
  });
});
