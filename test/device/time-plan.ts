import type {Cell} from '../../harness/contract/cell.ts';

/**
 * Seconds that a kernel is compiled for on its first use, where nothing is cached; nothing of it was measured here. For
 * marlin and exllama-v2 GPTQModel 7.6 tells its own (117 s and 35 s in FP16, on a development host with more cores than
 * most that are rented), here with a margin; the others are guesses of ours. They make `--plan` and the first look. What
 * run.sh compiles itself it knows afterwards: see `compileSeconds`. No figure of a row is made from them.
 */
const COMPILE_SECONDS: Readonly<Record<string, number>> = {
  machete: 150,
  marlin: 130,
  'exllama-v2': 45,
  torch: 15,
  triton: 15,
  'dequant-triton': 10,
};
/** Kernels that nvcc compiles, minutes each, so that run.sh does it before; cheapest first. */
export const COMPILED_BEFORE = ['exllama-v2', 'marlin', 'machete'] as const;
/** Importing GPTQModel, on top of PyTorch: a guess, for the same use. */
const GPTQMODEL_SECONDS = 20;
const GPTQMODEL = new Set(['torch', 'triton', 'exllama-v2', 'marlin', 'machete']);
/** Read from the page cache, where the weights lie that were just made, and copied to the GPU: assumed, low. */
const LOAD_BYTES_PER_S = 500e6;
const NATIVE_START_SECONDS = 4;
/** From the end of a request that began within the budget to the start of the next cell. */
const END_SECONDS = 3;
const MOST_ROUNDS = 3;
const LEAST_BUDGET_SECONDS = 4;
/** More would be more requests than the matrix asks for. */
const MOST_BUDGET_SECONDS = 20;

export interface TimedCell {
  readonly cell: Pick<Cell, 'id' | 'kernel' | 'format'> & {readonly runner: Pick<Cell['runner'], 'id'>};
  readonly weightsBytes: number | null;
}

export interface TimePlan {
  readonly rounds: number;
  /** For `--budget`: per cell and round. */
  readonly budgetSeconds: number;
  /** Kernels whose compilation does not fit into the time, dearest first. */
  readonly leftOut: readonly string[];
  readonly expectedSeconds: number;
}

/**
 * As many rounds as fit, at most three, with the time that is left shared among the cells; when not even one short round
 * fits, kernels that must be compiled are left out. Null: the time is not enough for anything.
 */
export function planTime(
  cells: readonly TimedCell[],
  {
    secondsLeft,
    importSeconds,
    compileSeconds = {},
  }: {
    readonly secondsLeft: number;
    readonly importSeconds: number;
    /** What is known by now: 0 for a kernel that was compiled before. */
    readonly compileSeconds?: Readonly<Record<string, number>>;
  },
): TimePlan | null {
  const seconds: Readonly<Record<string, number>> = {...COMPILE_SECONDS, ...compileSeconds};
  const dear = Object.keys(COMPILE_SECONDS)
    .filter((kernel) => (seconds[kernel] ?? 0) > 0 && cells.some(({cell}) => cell.kernel === kernel))
    .sort((a, b) => (seconds[b] ?? 0) - (seconds[a] ?? 0));
  for (let count = 0; count <= dear.length; count++) {
    const leftOut = dear.slice(0, count);
    const chosen = cells.filter(({cell}) => !leftOut.includes(cell.kernel));
    if (chosen.length === 0) return null;
    const compile = sum(chosen.map(({cell}) => seconds[cell.kernel] ?? 0));
    const start = sum(chosen.map((timed) => startSeconds(timed, importSeconds)));
    for (let rounds = MOST_ROUNDS; rounds >= 1; rounds--) {
      const share = (secondsLeft - compile - rounds * start) / (rounds * chosen.length);
      if (share < LEAST_BUDGET_SECONDS) continue;
      const budgetSeconds = Math.min(MOST_BUDGET_SECONDS, Math.floor(share));
      const expectedSeconds = Math.ceil(compile + rounds * (start + chosen.length * budgetSeconds));
      return {rounds, budgetSeconds, leftOut, expectedSeconds};
    }
  }
  return null;
}

function startSeconds({cell, weightsBytes}: TimedCell, importSeconds: number): number {
  const start =
    (cell.runner.id === 'transformers' ? importSeconds : NATIVE_START_SECONDS) +
    (GPTQMODEL.has(cell.kernel) ? GPTQMODEL_SECONDS : 0);
  return start + (weightsBytes ?? 0) / LOAD_BYTES_PER_S + END_SECONDS;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
