import type {Cell} from '../../contract/cell.ts';
import type {DeviceIdentity, HostFacts} from '../../contract/device.ts';
import {FORMAT_NAMES, type Format} from '../../contract/format.ts';
import type {Runner} from '../../contract/runner.ts';
import {SERVER_RUNNER} from '../../contract/server.ts';

/** What one runner can do with one device, in formats; those refused for one reason stand together. */
export interface Ability {
  readonly runner: string;
  /** False for a runner that only pretends to run a model. */
  readonly real: boolean;
  readonly device: string;
  readonly runs: readonly Format[];
  readonly refused: readonly {readonly formats: readonly Format[]; readonly reason: string}[];
}

/**
 * Asks every runner about a plain cell in every format: what a matrix with default settings would get. What a server can
 * do is not a matter of this machine: it is left out.
 */
export function abilities(host: HostFacts, runners: Iterable<Runner>): readonly Ability[] {
  const byName = new Map(host.devices.map((device) => [device.name, device]));
  const local = [...runners].filter(({id}) => id !== SERVER_RUNNER);
  return local.flatMap((runner) =>
    [...byName.values()].map((device) => {
      const runs: Format[] = [];
      const refused = new Map<string, Format[]>();
      for (const format of FORMAT_NAMES) {
        const support = runner.supports(probeCell(runner.id, format, device, host), host);
        if (support.ok) runs.push(format);
        else
          refused.set(generalized(support.reason, format), [
            ...(refused.get(generalized(support.reason, format)) ?? []),
            format,
          ]);
      }
      return {
        runner: runner.id,
        real: runner.needsWeights,
        device: device.name,
        runs,
        refused: [...refused].map(([reason, formats]) => ({formats, reason})),
      };
    }),
  );
}

/** The same reason for two formats names each of them: without the name they are one. */
function generalized(reason: string, format: Format): string {
  return reason.replaceAll(format, 'this format');
}

function probeCell(runner: string, format: Format, device: DeviceIdentity, host: HostFacts): Cell {
  const gpu = device.kind === 'cuda';
  return {
    id: '000000000000',
    matrix: 'doctor',
    model: 'llama-3.2-1b',
    source: 'synthetic:llama-3.2-1b',
    weightsSeed: 1,
    format,
    runner: {id: runner},
    kernel: 'auto',
    device: device.name,
    deviceKind: device.kind,
    isa: 'native',
    workload: {
      name: 'probe',
      promptTokens: 128,
      generatedTokens: 64,
      batch: 1,
      concurrency: 1,
      prefixCache: 'off',
      prompts: null,
      promptsSha256: null,
    },
    settings: {
      threads: host.cpu.usableCores,
      gpuLayers: gpu ? 999 : 0,
      batchTokens: 2048,
      ubatchTokens: 512,
      contextTokens: 256,
      mmap: true,
      flashAttention: gpu,
      kvType: 'f16',
      engineBuild: 'prebuilt',
      loop: 'hand',
    },
    stop: {
      warmupMinRequests: 1,
      warmupMaxRequests: 1,
      minRequests: 1,
      maxRequests: 1,
      minSeconds: 0,
      relativeHalfWidth: 1,
      budgetSeconds: 1,
    },
    limits: {loadSeconds: 1, idleSeconds: 1},
    rounds: 1,
    promptSeed: 1,
  };
}
