import type {MeasuredCell} from '../../../harness/claims/measured-cell.ts';
import type {RequestRow, ResultRow} from '../../../harness/contract/columns.ts';
import {COLUMN_NAMES} from '../../../harness/contract/columns.ts';
import {speedFiguresOfRows} from '../../../harness/derive/speed.ts';

/** Decode time per token in microseconds, by round: a fixed pattern of ±2 % around it. */
const PATTERN = [0, 1.5, -1, 0.5, -2, 2, -0.5, 1, -1.5, 0.2, -0.2];

export interface CellInput extends Partial<ResultRow> {
  /** Microseconds a token while decoding, per round; absent: no requests. */
  readonly tpotUs?: readonly number[];
  /** Microseconds to the first token. */
  readonly ttftUs?: number;
}

export function buildMeasured({tpotUs = [], ttftUs = 50_000, ...over}: CellInput): MeasuredCell {
  const runId = over.run_id ?? 'run-a';
  const cellId = over.cell_id ?? '0123456789ab';
  const requests = tpotUs.flatMap((tpot, round) =>
    PATTERN.map((percent, index): RequestRow => {
      const step = Math.round(tpot * (1 + percent / 100));
      const first = Math.round(ttftUs * (1 + percent / 100));
      return {
        run_id: runId,
        cell_id: cellId,
        round,
        request: index,
        lane: 0,
        start_us: index * 1_000_000,
        prompt_tokens: 100,
        evaluated_tokens: 100,
        cached_tokens: 0,
        generated_tokens: 5,
        batch: 1,
        ttft_us: first,
        latency_us: first + 4 * step,
        correct: null,
        outlier: null,
        token_us: [first, step, step, step, step].join(' '),
      };
    }),
  );
  const empty = Object.fromEntries(COLUMN_NAMES.map((name) => [name, null])) as ResultRow;
  const row: ResultRow = {
    ...empty,
    schema_version: 1,
    run_id: runId,
    cell_id: cellId,
    matrix: 'test',
    model: 'llama-3.2-1b',
    architecture: 'llama-3.2-1b',
    parameters: 1_235_814_400,
    format: 'gguf-q4_k_m',
    runner: 'llama-cpp',
    kernel: 'cpu-haswell',
    device: 'ryzen-7-5800hs',
    device_name: 'AMD Ryzen 7 5800HS',
    workload: 'chat',
    prompt_tokens: 100,
    generated_tokens: 5,
    batch: 1,
    concurrency: 1,
    prefix_cache: 'off',
    threads: 8,
    gpu_layers: 0,
    status: 'ok',
    rounds: tpotUs.length,
    requests: requests.length,
    ...(requests.length === 0 ? {} : speedFiguresOfRows(requests, 1)),
    ...over,
  };
  return {row, requests};
}
