import type {DeviceEntry, HostFacts} from '../../harness/contract/device.ts';
import type {Runner} from '../../harness/contract/runner.ts';
import type {WeightsEstimate, WeightsRequest} from '../../harness/contract/weights.ts';

const GIB = 2 ** 30;

function entry(name: string, kind: 'cpu' | 'cuda', memoryBytes: number | null): DeviceEntry {
  return {
    name,
    title: name.toUpperCase(),
    kind,
    memory_bytes: memoryBytes,
    memory_bandwidth_bytes_per_s: null,
    fp16_flops: null,
    tdp_w: null,
    compute_capability: null,
    sm_clock_hz: null,
    match: {names: [name], pci_ids: [], by_memory: false},
    source: 'a fixture of the tests',
  };
}

/** A catalogue for tests of the plan: names and memory, nothing else. */
export const PLAN_CATALOGUE: readonly DeviceEntry[] = [
  entry('t4', 'cuda', 16 * GIB),
  entry('a100-40gb', 'cuda', 40 * GIB),
  entry('a100-80gb', 'cuda', 80 * GIB),
  entry('h100', 'cuda', 80 * GIB),
  entry('h200', 'cuda', 141 * GIB),
  entry('ryzen-7-5800hs', 'cpu', null),
];

/** A host with a CPU of two cores, and a GPU of the catalogue when one is named. */
export function planHost({
  gpu,
  cpu = 'amd-epyc-9r14',
  cores = 2,
  availableBytes = 16 * GIB,
  cgroupLimitBytes = null,
}: {
  readonly gpu?: string;
  readonly cpu?: string;
  readonly cores?: number;
  readonly availableBytes?: number;
  readonly cgroupLimitBytes?: number | null;
} = {}): HostFacts {
  const found = PLAN_CATALOGUE.find(({name}) => name === gpu);
  return {
    host: 'fixture',
    os: 'linux',
    kernelRelease: '6.1.0',
    node: '20.20.2',
    virtualization: null,
    cpu: {
      model: cpu,
      vendor: 'AuthenticAMD',
      architecture: 'x64',
      usableCores: cores,
      physicalCores: cores,
      logicalCores: cores,
      flags: ['avx2'],
      isa: 'avx2',
      l3Bytes: null,
      governor: null,
    },
    memory: {totalBytes: 32 * GIB, availableBytes, cgroupLimitBytes, cgroupVersion: null, swapTotalBytes: 0},
    gpus:
      found === undefined
        ? []
        : [
            {
              index: 0,
              uuid: 'GPU-fixture',
              name: found.title,
              memoryBytes: found.memory_bytes ?? 0,
              memoryUsedBytes: 0,
              computeCapability: null,
              driver: '580.0',
              cuda: '13.0',
              pciId: null,
              migMode: null,
            },
          ],
    devices: [
      {
        name: cpu,
        title: cpu,
        kind: 'cpu',
        gpuIndex: null,
        entry: PLAN_CATALOGUE.find(({name}) => name === cpu) ?? null,
        forced: false,
      },
      ...(found === undefined
        ? []
        : [{name: found.name, title: found.title, kind: 'cuda' as const, gpuIndex: 0, entry: found, forced: false}]),
    ],
    software: {llamaPrebuiltDir: null, llamaNativeDir: null, llamaGpu: [], python: null, pythonReason: 'a fixture'},
  };
}

/** Runners that support everything, but for those a test refuses. */
export function planRunners(refuse: (id: string) => string | null = () => null): ReadonlyMap<string, Runner> {
  const ids = ['llama-cpp', 'node-llama-cpp', 'transformers', 'openai-http', 'simulated'];
  return new Map(
    ids.map((id) => {
      const reason = refuse(id);
      const runner: Runner = {
        id,
        doc: id,
        needsWeights: id !== 'simulated' && id !== 'openai-http',
        supports: () => (reason === null ? {ok: true} : {ok: false, reason}),
        launch: () => ({file: 'never', args: [], env: {}}),
      };
      return [id, runner];
    }),
  );
}

/** Weights of one gigabyte in 16 bit, whatever the source. */
export function planEstimate(parameters = 500_000_000): (request: WeightsRequest) => Promise<WeightsEstimate> {
  return ({format}) => {
    const bits = format === 'fp32' ? 32 : /q[2-8]|gptq/.test(format) ? 5 : 16;
    const weightsBytes = (parameters * bits) / 8;
    return Promise.resolve({
      weightsBytes,
      parameters,
      bytesPerToken: weightsBytes,
      kvBytesPerToken: 32_768,
      diskBytesNeeded: weightsBytes,
      secondsNeeded: 1,
    });
  };
}
