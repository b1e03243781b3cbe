import type {Cell} from '../contract/cell.ts';
import type {HostFacts} from '../contract/device.ts';
import {BenchError} from '../contract/errors.ts';
import type {PlannedCell} from '../contract/plan.ts';
import {needsWeights, type Runner, runnerOf} from '../contract/runner.ts';
import type {WeightsEstimate, WeightsRequest} from '../contract/weights.ts';
import type {CellDevice} from './cell-device.ts';
import {estimateMemory, estimateSeconds, whyNotFit} from './estimate.ts';

/** `WeightsStore.estimate`: looks, never makes nor fetches. */
export type Estimate = (request: WeightsRequest) => Promise<WeightsEstimate | null>;

export interface Judging {
  readonly host: HostFacts;
  /** By id; a user's own worker is found by its name, or not at all. */
  readonly runners: ReadonlyMap<string, Runner>;
  readonly estimate: Estimate;
}

/**
 * What becomes of a cell on this machine. In this order: the weights do not come in this format; its device is not
 * here; the runner refuses; it does not fit.
 *
 * @throws {BenchError} whatever `estimate` throws, but UNSUPPORTED.
 */
export async function judge(cell: Cell, device: CellDevice, {host, runners, estimate}: Judging): Promise<PlannedCell> {
  const runner = runnerOf(cell, runners);
  let weights: WeightsEstimate | null = null;
  let noWeights: string | null = null;
  if (needsWeights(cell, runners)) {
    try {
      weights = await estimate({source: cell.source, format: cell.format, seed: cell.weightsSeed});
    } catch (error) {
      if (!(error instanceof BenchError) || error.code !== 'UNSUPPORTED') throw error;
      noWeights = error.message;
    }
  }
  const memory = weights === null ? null : estimateMemory(cell, weights);
  const planned = (
    verdict: PlannedCell['verdict'],
    reason: string,
    refusedAs: PlannedCell['refusedAs'] = null,
    missing = false,
  ): PlannedCell => ({
    cell,
    verdict,
    reason,
    refusedAs,
    ...(missing ? {missing} : {}),
    estimate: {
      seconds: estimateSeconds(cell, weights?.weightsBytes ?? null),
      weightsBytes: weights?.weightsBytes ?? null,
      memoryBytes: memory?.totalBytes ?? null,
      diskBytes: verdict === 'run' ? (weights?.diskBytesNeeded ?? null) : null,
    },
  });
  const refused = (reason: string, as: 'unsupported' | 'does-not-fit') => planned('refused', reason, as);
  if (noWeights !== null) return refused(noWeights, 'unsupported');
  const tooLarge = memory === null ? null : whyNotFit(cell, device, host, memory);
  const server = cell.runner.server ?? null;
  if (device.here === null && server?.elsewhere !== true) {
    if (tooLarge !== null) return refused(tooLarge, 'does-not-fit');
    const unknown = device.entry === null ? ', which devices.yaml does not know' : '';
    return planned('waiting', `waits for ${article(device.name)} ${device.name}${unknown}`);
  }
  const support = runner?.supports(cell, host) ?? {ok: true};
  if (!support.ok) return planned('refused', support.reason, 'unsupported', support.missing);
  if (tooLarge !== null) return refused(tooLarge, 'does-not-fit');
  if (server === null || server.url === null) return planned('run', `runs here on ${device.name}`);
  const where = server.elsewhere ? `on another machine’s ${device.name}, as the matrix says` : `on ${device.name}`;
  return planned('run', `runs already at ${server.url} ${where}`);
}

function article(name: string): string {
  return /^([aeio]|h\d|8)/.test(name) ? 'an' : 'a';
}
