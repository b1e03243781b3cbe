import {CLAIM_CELL_KEYS, type ClaimCell, type ClaimReading} from '../contract/claim.ts';
import type {ResultRow} from '../contract/columns.ts';
import {matchesAny} from '../plan/glob.ts';
import {isaCap, type MeasuredCell} from './measured-cell.ts';

/** Whether a row is one that the globs of a claim pick. */
export function matchesCell(pick: ClaimCell, row: ResultRow): boolean {
  return CLAIM_CELL_KEYS.every((key) => {
    const patterns = pick[key];
    // Of `isa`, both the cap that was asked for and what really ran can be named.
    const texts = key === 'isa' ? [isaCap(row), row.isa ?? ''] : [row[key] ?? ''];
    return patterns === undefined || matchesAny(patterns, texts);
  });
}

/** Columns that must be equal for one cell to be the control of another. */
const SHARED = [
  'model',
  'device',
  'device_name',
  'workload',
  'prompt_tokens',
  'generated_tokens',
  'batch',
  'concurrency',
  'prefix_cache',
  'threads',
  'gpu_layers',
] as const;

/**
 * Of the candidates the one to set a cell against: same model, device, workload, threads, preferably of the same run
 * (then rounds can be paired) and with the same instruction set cap, else the latest. A cap that differs is only
 * accepted where none is the same.
 *
 * @param across What may differ, because it is what is compared.
 */
export function controlOf(
  cell: MeasuredCell,
  candidates: readonly MeasuredCell[],
  across: ClaimReading['across'] = [],
): MeasuredCell | null {
  const shared = SHARED.filter((key) => !across.some((name) => name === key));
  const fitting = candidates.filter(
    (one) => one !== cell && one.row.status === 'ok' && shared.every((key) => one.row[key] === cell.row[key]),
  );
  const rank = (one: MeasuredCell): string =>
    [
      isaCap(one.row) === isaCap(cell.row) ? 1 : 0,
      one.row.run_id === cell.row.run_id ? 1 : 0,
      one.row.started_at ?? '',
      one.row.cell_id ?? '',
    ].join(' ');
  return fitting.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1)).at(-1) ?? null;
}

/** A value that a POSIX shell reads back as the same text: names come from files that others wrote. */
const quoted = (text: string): string => (/^[\w@%+:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** `bench matrix FILE --only …` that would measure the cells meant; several globs of a key widen the choice. */
export function measureCommand(
  matrix: string,
  keys: Readonly<Record<string, string | readonly string[] | null>>,
): string {
  const only = Object.entries(keys).flatMap(([key, value]) =>
    [value ?? []].flat().map((glob) => `--only ${key}=${quoted(glob)}`),
  );
  return ['bench matrix', quoted(matrix), ...only].join(' ');
}
