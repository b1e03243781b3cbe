import {type Cell, CellSchema} from '../../harness/contract/cell.ts';
import type {WorkOrder} from '../../harness/contract/protocol.ts';

export interface OrderChanges {
  readonly cell?: Partial<Omit<Cell, 'workload' | 'settings' | 'stop'>>;
  readonly workload?: Partial<Cell['workload']>;
  readonly settings?: Partial<Cell['settings']>;
  readonly stop?: Partial<Cell['stop']>;
  readonly round?: number;
  readonly weightsPath?: string;
  readonly promptsPath?: string;
}

/** A small CPU cell of three requests, with the changes that a test is about. */
export function workOrder(changes: OrderChanges = {}): WorkOrder {
  return {
    protocol: 1,
    round: changes.round ?? 0,
    weightsPath: changes.weightsPath ?? '',
    promptsPath: changes.promptsPath ?? null,
    cell: CellSchema.parse({
      id: '0123456789ab',
      matrix: 'small',
      model: 'tiny',
      source: 'synthetic:bench-tiny',
      weightsSeed: 1,
      format: 'gguf-f16',
      runner: {id: 'simulated'},
      kernel: 'auto',
      device: 'here',
      deviceKind: 'cpu',
      isa: 'native',
      limits: {loadSeconds: 60, idleSeconds: 60},
      rounds: 2,
      promptSeed: 7,
      ...changes.cell,
      workload: {
        name: 'short',
        promptTokens: 24,
        generatedTokens: 5,
        batch: 1,
        concurrency: 1,
        prefixCache: 'off',
        prompts: null,
        promptsSha256: null,
        ...changes.workload,
      },
      settings: {
        threads: 1,
        gpuLayers: 0,
        batchTokens: 256,
        ubatchTokens: 256,
        contextTokens: 256,
        mmap: true,
        flashAttention: false,
        kvType: 'f16',
        engineBuild: 'prebuilt',
        loop: 'generate',
        ...changes.settings,
      },
      stop: {
        warmupMinRequests: 1,
        warmupMaxRequests: 2,
        minRequests: 3,
        maxRequests: 3,
        minSeconds: 0,
        relativeHalfWidth: 0.5,
        budgetSeconds: 60,
        ...changes.stop,
      },
    }),
  };
}
