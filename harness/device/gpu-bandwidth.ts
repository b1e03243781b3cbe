import {fileURLToPath} from 'node:url';
import {execa} from 'execa';
import {z} from 'zod';
import type {MeasuredBandwidth, PythonFacts} from '../contract/device.ts';
import {BenchError} from '../contract/errors.ts';

/** Importing PyTorch from a cold disk takes tens of seconds; the measuring itself takes one. */
const TIMEOUT_MS = 180_000;

const AnswerSchema = z.object({
  bytesPerS: z.number().positive(),
  arrayBytes: z.number().positive(),
  cacheBytes: z.number().positive().nullable(),
});

export interface GpuBandwidthOptions {
  /** Of the transformers runner; its PyTorch does the reading. */
  readonly python: PythonFacts | null;
  /** As the driver counts the cards. */
  readonly gpuIndex: number;
  readonly signal?: AbortSignal | undefined;
  /** The program that measures; only tests name another. */
  readonly script?: string;
}

/**
 * Bytes a second that a GPU reads from its own memory: the best pass of a sum over an array far larger than its caches.
 * Null without a PyTorch that sees the GPU: nothing else here can read its memory.
 *
 * @throws {BenchError} INTERRUPTED by the signal; ENGINE_UNAVAILABLE when PyTorch cannot measure it.
 */
export async function measureGpuBandwidth(options: GpuBandwidthOptions): Promise<MeasuredBandwidth | null> {
  const {python, gpuIndex, signal, script = readScript()} = options;
  if (python?.cuda !== true) return null;
  const result = await execa(python.executable, [script, 'cuda'], {
    stdin: 'ignore',
    env: {CUDA_VISIBLE_DEVICES: String(gpuIndex), CUDA_DEVICE_ORDER: 'PCI_BUS_ID'},
    reject: false,
    timeout: TIMEOUT_MS,
    ...(signal === undefined ? {} : {cancelSignal: signal}),
  });
  if (signal?.aborted === true) {
    throw new BenchError('INTERRUPTED', 'memory bandwidth: interrupted', {cause: signal.reason});
  }
  const answer = AnswerSchema.safeParse(jsonOf(result.stdout.trim().split('\n').at(-1) ?? ''));
  if (answer.success) return answer.data;
  const said = result.timedOut
    ? `no answer within ${TIMEOUT_MS / 1000} s`
    : (result.stderr.trim().split('\n').at(-1) ?? '').slice(0, 200) || `status ${result.exitCode ?? '?'}`;
  throw new BenchError('ENGINE_UNAVAILABLE', `memory bandwidth: PyTorch could not read the GPU's memory: ${said}`);
}

/** The script lies beside the worker of the transformers runner, in the source tree, also when this file was compiled. */
function readScript(): string {
  const up = import.meta.url.endsWith('.ts') ? '../..' : '../../..';
  return fileURLToPath(new URL(`${up}/runners/transformers/read_bandwidth.py`, import.meta.url));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
