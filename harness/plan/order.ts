import {createHash} from 'node:crypto';

/** What the order looks at. */
export interface Ordered {
  readonly id: string;
  readonly source: string;
  readonly weightsSeed: number;
  readonly format: string;
}

/**
 * The cells of one round, in the order they run.
 *
 * `interleaved`: rounds come in pairs, there and back, so that over a pair every cell has the same mean position and a
 * host that warms up or slows down evenly hits every cell alike; each further pair starts at another cell (a half, a
 * quarter, three quarters, … into the list), so that no cell is always first. Cells with the same weights stay side by
 * side, for the page cache, where the matrix leaves that open.
 * `shuffled`: another order in each round, from the seed alone.
 */
export function roundOrder<C extends Ordered>(
  cells: readonly C[],
  round: number,
  order: 'interleaved' | 'shuffled',
  seed: number,
): C[] {
  if (order === 'shuffled') {
    const key = (cell: C) => createHash('sha256').update(`${seed}/${round}/${cell.id}`).digest('hex');
    return cells
      .map((cell) => ({cell, key: key(cell)}))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .map(({cell}) => cell);
  }
  const grouped = byWeights(cells);
  const start = Math.floor(vanDerCorput(Math.floor(round / 2)) * grouped.length);
  const rotated = [...grouped.slice(start), ...grouped.slice(0, start)];
  return round % 2 === 0 ? rotated : rotated.reverse();
}

function byWeights<C extends Ordered>(cells: readonly C[]): C[] {
  const groups = new Map<string, C[]>();
  for (const cell of cells) {
    const key = JSON.stringify([cell.source, cell.weightsSeed, cell.format]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [cell]);
    else group.push(cell);
  }
  return [...groups.values()].flat();
}

/** 0, 1/2, 1/4, 3/4, 1/8, …: each new number falls into the widest gap of those before. */
function vanDerCorput(index: number): number {
  let value = 0;
  let part = 0.5;
  for (let rest = index; rest > 0; rest = Math.floor(rest / 2)) {
    value += (rest % 2) * part;
    part /= 2;
  }
  return value;
}
