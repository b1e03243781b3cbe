import type {Grouping} from '../contract/engines.ts';
import {isRefusedForGood, type Plan} from '../contract/plan.ts';

/** What one invocation on one node runs: places in the plan, all of one device. */
export interface Task {
  readonly indices: readonly number[];
  /** Upper bound of measuring. */
  readonly seconds: number;
}

/** Devices that cells are for, in the order of the plan; those whose cells are all refused have nothing to run. */
export function taskDevices(plan: Plan): string[] {
  return [...new Set(plan.cells.filter((planned) => !isRefusedForGood(planned)).map(({cell}) => cell.device))];
}

/**
 * The tasks of one device, from the plan alone: task number k means the same on the machine that submits and on every
 * node. Refused cells have their result already. `model`: all formats of a model one after the other on one node, so
 * that its weights are fetched and quantized there once.
 */
export function tasksOf(plan: Plan, device: string, group: Grouping): Task[] {
  const groups = new Map<string, {indices: number[]; seconds: number}>();
  for (const [index, planned] of plan.cells.entries()) {
    const {cell, estimate} = planned;
    if (cell.device !== device || isRefusedForGood(planned)) continue;
    const key = group === 'none' ? String(index) : JSON.stringify([cell.model, cell.weightsSeed]);
    const known = groups.get(key) ?? {indices: [], seconds: 0};
    known.indices.push(index);
    known.seconds += estimate.seconds ?? cell.rounds * cell.stop.budgetSeconds;
    groups.set(key, known);
  }
  return [...groups.values()];
}

/** `0-3,7,9-10`: numbers as Slurm's --array takes them. */
export function ranges(sorted: readonly number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < sorted.length; ) {
    const from = sorted[at] ?? 0;
    let to = from;
    while (sorted[at + 1] === to + 1) {
      to++;
      at++;
    }
    at++;
    parts.push(from === to ? String(from) : `${from}-${to}`);
  }
  return parts.join(',');
}
