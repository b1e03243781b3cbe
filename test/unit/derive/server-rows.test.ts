import {describe, expect, test} from 'vitest';
import type {Cell} from '../../../harness/contract/cell.ts';
import type {JournalRecord} from '../../../harness/contract/journal.ts';
import type {ServerRef} from '../../../harness/contract/server.ts';
import {cellRecords} from '../../../harness/derive/cell-records.ts';
import {bandwidthsOf, resultRow} from '../../../harness/derive/row.ts';
import {speedFigures} from '../../../harness/derive/speed.ts';
import {roundTimings} from '../../../harness/derive/timing.ts';
import {buildCell, buildManifest, buildRequest, buildRound, buildStat, planned, WEIGHTS} from './build.ts';

const SERVER: ServerRef = {
  url: 'http://127.0.0.1:8000/v1',
  command: null,
  env: {},
  elsewhere: false,
  apiKeyEnv: 'SECRET_NAME',
  endpoint: 'completions',
  prompt: 'auto',
  fixedLength: true,
  vocabularyTokens: null,
  body: {},
};

const STATS = [
  buildStat('ram_pss_bytes', {max: 900e6}),
  buildStat('vram_used_bytes', {max: 5e9}),
  buildStat('vram_used_bytes', {phase: 'baseline', median: 1e9}),
  buildStat('cpu_temperature_c', {max: 81}),
  buildStat('cpu_foreign_cores', {mean: 1.5}),
];

function rowOf(server: Partial<ServerRef>, {source = 'server:m', ...over}: Partial<Cell> = {}, weights = false) {
  const cell = buildCell({source, runner: {id: 'vllm', server: {...SERVER, ...server}}, ...over});
  const requests = Array.from({length: 10}, (_, index) => buildRequest(index));
  const energy = {stats: STATS, energyJ: 450, energySource: 'rapl-package'};
  const rounds = [0, 1, 2].flatMap((round) => buildRound(cell.id, round, requests, energy));
  const said = rounds.map((line): JournalRecord => {
    if (line.type !== 'event') return line;
    if (line.event.type === 'loaded') return {...line, event: {...line.event, effective: {model: 'org/m'}}};
    return line.event.type === 'done' ? {...line, event: {...line.event, caveats: ['cache-unknown']}} : line;
  });
  const taken: JournalRecord[] = weights ? [{type: 'weights', cellId: cell.id, weights: WEIGHTS}] : [];
  const records = [planned(cell), ...taken, ...said];
  const [record] = cellRecords(records);
  if (record === undefined) throw new Error('no cell');
  return resultRow(record, buildManifest(), bandwidthsOf(records));
}

describe('the row of a server', () => {
  test('that ran already has no memory, no loading and no settings, and says that it was not verified', () => {
    expect(rowOf({})).toMatchObject({
      status: 'ok',
      runner: 'vllm',
      weights_source: 'server:org/m',
      weights_sha256: null,
      threads: null,
      gpu_layers: null,
      load_ms: null,
      ram_peak_bytes: null,
      vram_peak_bytes: null,
      temperature_c_max: 81,
      energy_j: 1350,
      decode_tokens_per_s: 50,
      device_name: 'AMD Ryzen 7 5800HS',
      // Its own work is no foreign work.
      caveats: 'cache-unknown unverified-server',
    });
  });

  test('elsewhere has nothing of this machine either', () => {
    expect(rowOf({elsewhere: true, url: 'https://example.org/v1'})).toMatchObject({
      decode_tokens_per_s: 50,
      device_name: null,
      temperature_c_max: null,
      energy_j: null,
      power_w_mean: null,
      os: null,
      kernel_release: null,
    });
  });

  test('that was started here with our weights is a row like any other', () => {
    const command = ['serve', '{model}', '{port}', '{threads}'];
    expect(rowOf({url: null, command}, {source: 'synthetic:llama-3.2-1b'}, true)).toMatchObject({
      weights_sha256: WEIGHTS.sha256,
      weights_source: 'synthetic:llama-3.2-1b seed 1',
      threads: 8,
      gpu_layers: null,
      load_ms: 250,
      ram_peak_bytes: 900e6,
      caveats: 'cache-unknown foreign-cpu=1.50 synthetic-weights',
    });
    const own = rowOf({url: null, command: ['serve', '{port}']});
    expect(own).toMatchObject({ram_peak_bytes: 900e6, weights_source: 'server:org/m'});
    expect(own.caveats).toContain('unverified-server');
  });
});

describe('a load of several lanes', () => {
  /** Four lanes for ever; every fourth request takes 9 times as long. */
  const timings = () => {
    const requests = [];
    const freeMs = [0, 0, 0, 0];
    for (let index = 0; index < 400; index++) {
      const lane = freeMs.indexOf(Math.min(...freeMs));
      const startMs = freeMs[lane] ?? 0;
      const factor = index % 4 === 0 ? 9 : 1;
      requests.push(
        buildRequest(index, {lane, startNs: startMs * 1e6, ttftUs: 10_000 * factor, tpotUs: 5000 * factor}),
      );
      freeMs[lane] = startMs + 30 * factor;
    }
    const cell = buildCell({}, {concurrency: 4});
    const records = [planned(cell), ...buildRound(cell.id, 0, requests)];
    const [round] = cellRecords(records)[0]?.rounds ?? [];
    if (round === undefined) throw new Error('no round');
    return {of: roundTimings(round, 5), endMs: Math.max(...freeMs)};
  };

  test('has the throughput that was there, which lanes ÷ median latency is not', () => {
    const {of, endMs} = timings();
    const real = of.length / (endMs / 1000);
    const {requests_per_s: said, output_tokens_per_s: tokens} = speedFigures([of], 4);
    expect(said ?? 0).toBeGreaterThan(0.9 * real);
    expect(said ?? 0).toBeLessThan(1.1 * real);
    expect(tokens).toBeCloseTo(5 * (said ?? 0), 6);
    // Three of four requests take 30 ms.
    expect(4 / 0.03).toBeGreaterThan(2 * real);
  });
});
