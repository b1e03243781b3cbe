import type {Cell} from '../../harness/contract/cell.ts';
import type {Launch, Runner, Support} from '../../harness/contract/runner.ts';
import {workerProgram} from '../worker-kit/worker-program.ts';
import {SIMULATE_KEYS} from './simulation.ts';

/** Made-up times through the real seams: for trying a matrix, for tests, for examples. Every row says so. */
export const simulatedRunner: Runner = {
  id: 'simulated',
  doc: 'Made-up times, exact and seeded: tries a matrix without an engine. Not a measurement.',
  needsWeights: false,

  supports(cell: Cell): Support {
    const unknown = Object.keys(cell.settings.simulate ?? {}).filter((key) => !SIMULATE_KEYS.includes(key));
    if (unknown.length > 0) {
      return {
        ok: false,
        reason: `simulated knows no simulate key ${unknown.join(', ')}; it knows ${SIMULATE_KEYS.join(', ')}`,
      };
    }
    if (cell.workload.concurrency > 1) {
      return {ok: false, reason: 'simulated runs one request at a time: set concurrency to 1'};
    }
    return {ok: true};
  },

  launch(): Launch {
    return {...workerProgram(import.meta.url), env: {CUDA_VISIBLE_DEVICES: ''}};
  },
};
