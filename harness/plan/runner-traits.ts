import type {FORMATS} from '../contract/format.ts';
import type {Matrix, MatrixSettings} from '../contract/matrix.ts';
import {
  isPlaceholder,
  type MatrixServer,
  placeholderTexts,
  SERVER_PLACEHOLDERS,
  wordsInBraces,
} from '../contract/server.ts';

type Family = (typeof FORMATS)[keyof typeof FORMATS]['family'];
type DeviceKind = 'cpu' | 'cuda';
type SettingName = keyof MatrixSettings;

/**
 * Which combinations make sense at all. What makes none is left out of the plan without a word (a matrix lists formats
 * and runners once, and crosses them); what makes sense but cannot run here is `refused` by the runner, with a reason.
 */
export interface RunnerTraits {
  readonly families: readonly Family[];
  /** Can be held to a narrower instruction set. */
  readonly isaCaps: boolean;
  /** Settings that exist for it; the others keep their default, so that they do not split its cells. */
  readonly settings: readonly SettingName[];
  /** What the engine itself would choose for flash attention on a CPU; absent: off. On a GPU it is on. */
  readonly flashAttentionOnCpu?: true;
}

const LLAMA_SETTINGS = [
  'threads',
  'gpu_layers',
  'batch_tokens',
  'ubatch_tokens',
  'context_tokens',
  'mmap',
  'flash_attention',
  'kv_type',
  'engine_build',
] as const satisfies readonly SettingName[];

const TRAITS: Readonly<Record<string, RunnerTraits>> = {
  'llama-cpp': {families: ['gguf'], isaCaps: true, settings: LLAMA_SETTINGS},
  'node-llama-cpp': {families: ['gguf'], isaCaps: true, settings: LLAMA_SETTINGS},
  transformers: {
    families: ['safetensors', 'gptq'],
    isaCaps: true,
    settings: ['threads', 'context_tokens', 'mmap', 'flash_attention', 'loop'],
    // sdpa, the default of transformers; false is its eager attention, which nobody deploys.
    flashAttentionOnCpu: true,
  },
  simulated: {
    families: ['safetensors', 'gptq', 'gguf'],
    isaCaps: false,
    settings: [...LLAMA_SETTINGS, 'loop', 'simulate'],
  },
};

/** A user's own worker may know everything. */
const ANY: RunnerTraits = {
  families: ['safetensors', 'gptq', 'gguf'],
  isaCaps: true,
  settings: [...LLAMA_SETTINGS, 'loop', 'simulate'],
};

/** A server has the settings that its command passes on; what it does besides cannot be set from here. */
function serverTraits(server: MatrixServer): RunnerTraits {
  const words = placeholderTexts(server).flatMap(wordsInBraces);
  const told = words.flatMap((word) => (isPlaceholder(word) ? [SERVER_PLACEHOLDERS[word]] : []));
  return {
    families: ['safetensors', 'gptq', 'gguf'],
    isaCaps: false,
    settings: ['context_tokens', ...told.filter((setting) => setting !== null)],
  };
}

export function runnerTraits(runner: Matrix['runners'][number]): RunnerTraits {
  if (typeof runner === 'string') return TRAITS[runner] ?? ANY;
  return runner.server === undefined ? ANY : serverTraits(runner.server);
}

/** Kernels that can be asked for by name: the formats they multiply, and where they run. `auto` goes with everything. */
const KERNELS: Readonly<Record<string, {readonly families: readonly Family[]; readonly kinds: readonly DeviceKind[]}>> =
  {
    'torch-linear': {families: ['safetensors'], kinds: ['cpu', 'cuda']},
    'dequant-eager': {families: ['gptq'], kinds: ['cpu', 'cuda']},
    'dequant-triton': {families: ['gptq'], kinds: ['cuda']},
    'int4pack-cpu': {families: ['gptq'], kinds: ['cpu']},
    torch: {families: ['gptq'], kinds: ['cpu', 'cuda']},
    triton: {families: ['gptq'], kinds: ['cuda']},
    'exllama-v2': {families: ['gptq'], kinds: ['cuda']},
    marlin: {families: ['gptq'], kinds: ['cuda']},
    machete: {families: ['gptq'], kinds: ['cuda']},
  };

export const KERNEL_NAMES: readonly string[] = ['auto', ...Object.keys(KERNELS)];

/**
 * Of the kernels that a matrix lists, those that a cell can ask for. When none of them has to do with the format, the
 * runner chooses (`auto`), so that a list of GPTQ kernels does not drop the GGUF cells; when they have, but run on
 * another kind of device, there is no cell. A server chooses by itself.
 */
export function kernelsFor(
  listed: readonly string[],
  {
    family,
    deviceKind,
    ownWorker,
    server,
  }: {family: Family; deviceKind: DeviceKind; ownWorker: boolean; server: boolean},
): readonly string[] {
  if (server) return ['auto'];
  const belongs = (kernel: string) => kernel !== 'auto' && (KERNELS[kernel]?.families.includes(family) ?? ownWorker);
  const fits = listed.filter(
    (kernel) => kernel === 'auto' || (belongs(kernel) && (KERNELS[kernel]?.kinds.includes(deviceKind) ?? ownWorker)),
  );
  return fits.length > 0 || listed.some(belongs) ? fits : ['auto'];
}
