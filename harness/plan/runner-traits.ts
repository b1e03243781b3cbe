import type {FORMATS} from '../contract/format.ts';
import type {MatrixSettings} from '../contract/matrix.ts';

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
  // A server of its own: what it does with threads and layers cannot be set from here.
  'openai-http': {families: ['safetensors', 'gptq', 'gguf'], isaCaps: false, settings: ['context_tokens']},
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

export function runnerTraits(runnerId: string): RunnerTraits {
  return TRAITS[runnerId] ?? ANY;
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
 * another kind of device, there is no cell.
 */
export function kernelsFor(
  listed: readonly string[],
  {family, deviceKind, ownWorker}: {family: Family; deviceKind: DeviceKind; ownWorker: boolean},
): readonly string[] {
  const belongs = (kernel: string) => kernel !== 'auto' && (KERNELS[kernel]?.families.includes(family) ?? ownWorker);
  const fits = listed.filter(
    (kernel) => kernel === 'auto' || (belongs(kernel) && (KERNELS[kernel]?.kinds.includes(deviceKind) ?? ownWorker)),
  );
  return fits.length > 0 || listed.some(belongs) ? fits : ['auto'];
}
