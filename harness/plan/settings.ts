import type {CellSettings} from '../contract/cell.ts';
import type {MatrixSettings} from '../contract/matrix.ts';
import type {RunnerTraits} from './runner-traits.ts';

/** The number that stands for "all layers" in a cell. */
const ALL_LAYERS = 999;

export interface SettingsContext {
  readonly traits: RunnerTraits;
  readonly deviceKind: 'cpu' | 'cuda';
  /** Least positions a sequence needs. */
  readonly positions: number;
  /** Physical cores of the machine that plans. */
  readonly usableCores: number;
}

/** Later settings win. */
export function mergeSettings(...layers: readonly (MatrixSettings | undefined)[]): MatrixSettings {
  return Object.assign({}, ...layers) as MatrixSettings; // Object.assign of spread arguments is typed any.
}

/**
 * Every setting as a value: nothing is left for the engine to choose. Settings that the runner does not have keep their
 * default whatever the matrix says.
 */
export function resolveSettings(
  asked: MatrixSettings,
  {traits, deviceKind, positions, usableCores}: SettingsContext,
): {readonly settings: CellSettings; readonly threadsAsked?: 'cores'} {
  const has = (name: keyof MatrixSettings) => traits.settings.includes(name);
  const own: MatrixSettings = Object.fromEntries(
    Object.entries(asked).filter(([name]) => traits.settings.some((known) => known === name)),
  );
  const threads = own.threads ?? 'cores';
  const onGpu = deviceKind === 'cuda';
  const layers = own.gpu_layers ?? 'all';
  const settings: CellSettings = {
    threads: threads === 'cores' ? usableCores : threads,
    gpuLayers: onGpu ? (layers === 'all' ? ALL_LAYERS : layers) : 0,
    batchTokens: own.batch_tokens ?? 2048,
    ubatchTokens: own.ubatch_tokens ?? 512,
    contextTokens: own.context_tokens ?? Math.ceil(positions / 256) * 256,
    mmap: own.mmap ?? true,
    flashAttention: own.flash_attention ?? (has('flash_attention') && (onGpu || traits.flashAttentionOnCpu === true)),
    kvType: own.kv_type ?? 'f16',
    engineBuild: own.engine_build ?? 'prebuilt',
    loop: own.loop ?? 'generate',
    ...(own.simulate === undefined ? {} : {simulate: own.simulate}),
  };
  return threads === 'cores' ? {settings, threadsAsked: 'cores'} : {settings};
}
