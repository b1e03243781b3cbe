import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {execa} from 'execa';
import {z} from 'zod';
import type {PythonFacts} from '../contract/device.ts';

/** Importing PyTorch from a cold disk takes tens of seconds; a Python that hangs must not hang the plan. */
const PROBE_TIMEOUT_MS = 180_000;

const HOW = 'run `bench setup python`, or set BENCH_PYTHON to a Python that has PyTorch';

const AnswerSchema = z.object({
  executable: z.string(),
  version: z.string(),
  torch: z.string().optional(),
  transformers: z.string().optional(),
  cuda: z.boolean().default(false),
  kernels: z.record(z.string(), z.union([z.literal(true), z.string()])).default({}),
  reason: z.string().optional(),
});

export interface PythonSearch {
  /** The cache folder; `python/` below it is what `bench setup python` makes. */
  readonly cacheDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Imports gptqmodel, too, instead of looking whether it is installed: 20 s more. */
  readonly deep?: boolean;
  readonly signal?: AbortSignal;
  /** The program that looks; only tests name another. */
  readonly probeScript?: string;
}

/** Exactly one of the two is not null. */
export type PythonAnswer =
  | {readonly python: PythonFacts; readonly reason: null}
  | {readonly python: null; readonly reason: string};

/** The Python of the transformers runner: `$BENCH_PYTHON`, else the environment in the cache folder. */
export function pythonPath({cacheDir, env}: Pick<PythonSearch, 'cacheDir' | 'env'>): string | null {
  const own = env['BENCH_PYTHON'] ?? '';
  if (own !== '') return own;
  const made = environmentPython(join(cacheDir, 'python'));
  return existsSync(made) ? made : null;
}

/** The interpreter of a virtual environment. */
export function environmentPython(folder: string): string {
  return process.platform === 'win32' ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python');
}

/** Asks that Python what it can run. Never throws for a Python that is missing, old or broken: it says so in one line. */
export async function probePython(search: PythonSearch): Promise<PythonAnswer> {
  const file = pythonPath(search);
  if (file === null) return unusable(`no Python environment: ${HOW}`);
  const result = await execa(file, [search.probeScript ?? probeScript(), ...(search.deep ? ['--deep'] : [])], {
    // stdin is closed: nothing may wait for a person.
    stdin: 'ignore',
    env: {HF_HUB_OFFLINE: '1'},
    reject: false,
    timeout: PROBE_TIMEOUT_MS,
    ...(search.signal === undefined ? {} : {cancelSignal: search.signal}),
  });
  search.signal?.throwIfAborted();
  const parsed = AnswerSchema.safeParse(parseJson(result.stdout ?? ''));
  if (!parsed.success) return unusable(`${file} ${whyItFailed(result)}: ${HOW}`);
  const {executable, version, torch, transformers, cuda, kernels, reason} = parsed.data;
  if (reason !== undefined) return unusable(`${file}: ${reason}: ${howToMend(file, torch, reason)}`);
  if (torch === undefined || transformers === undefined) return unusable(`${file} has no PyTorch: ${HOW}`);
  return {python: {executable, version, torch, transformers, cuda, kernels}, reason: null};
}

/** A rented image has PyTorch and often nothing else: three small packages are less than another PyTorch. */
function howToMend(file: string, torch: string | undefined, reason: string): string {
  const lacks = /^(?:transformers|accelerate|safetensors) cannot be imported: ModuleNotFoundError/.test(reason);
  if (torch === undefined || !lacks) return HOW;
  return `run \`${file} -m pip install "transformers==5.17.*" accelerate safetensors\`, or \`bench setup python\``;
}

const unusable = (reason: string): PythonAnswer => ({python: null, reason: reason.replace(/\s+/g, ' ')});

interface Ended {
  readonly code?: string | undefined;
  readonly timedOut: boolean;
  readonly signal?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly stderr?: string | undefined;
}

function whyItFailed({code, timedOut, signal, exitCode, stderr}: Ended): string {
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EACCES') return 'may not be executed';
  if (timedOut) return `did not answer within ${PROBE_TIMEOUT_MS / 1000} s`;
  if (signal !== undefined) return `died with ${signal} while it imported PyTorch`;
  const last = (stderr ?? '').trim().split('\n').at(-1)?.slice(0, 200) ?? '';
  return `failed with status ${exitCode ?? '?'}${last === '' ? '' : ` (${last})`}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The script lies beside the worker that it speaks for, in the source tree, also when this file was compiled. */
function probeScript(): string {
  const up = import.meta.url.endsWith('.ts') ? '../..' : '../../..';
  return fileURLToPath(new URL(`${up}/runners/transformers/probe.py`, import.meta.url));
}
