import koffi, {type TypeObject} from 'koffi';
import {BenchError} from '../../harness/contract/errors.ts';

/**
 * Versions (`llama_version()`) whose struct layouts stand below. They change between versions without a word, and a
 * wrong one reads as settings that silently do not take effect: others are refused by name.
 */
export const KNOWN_ENGINE_VERSIONS: readonly string[] = ['0.5.0', '0.5.0-dev'];

/** Layout of `struct llama_model_params` in include/llama.h of the version above. */
export const ModelParams = koffi.struct({
  devices: 'void *',
  tensor_buft_overrides: 'void *',
  n_gpu_layers: 'int32_t',
  split_mode: 'int',
  load_mode: 'int',
  lazy_mode: 'int',
  main_gpu: 'int32_t',
  tensor_split: 'void *',
  progress_callback: 'void *',
  progress_callback_user_data: 'void *',
  kv_overrides: 'void *',
  vocab_only: 'bool',
  check_tensors: 'bool',
  use_extra_bufts: 'bool',
  no_host: 'bool',
  no_alloc: 'bool',
  load_mtp: 'bool',
});

/** Layout of `struct llama_context_params`. */
export const ContextParams = koffi.struct({
  n_ctx: 'uint32_t',
  n_batch: 'uint32_t',
  n_ubatch: 'uint32_t',
  n_seq_max: 'uint32_t',
  n_rs_seq: 'uint32_t',
  n_outputs_max: 'uint32_t',
  n_outputs_max_per_seq: 'uint32_t',
  n_threads: 'int32_t',
  n_threads_batch: 'int32_t',
  ctx_type: 'int',
  rope_scaling_type: 'int',
  pooling_type: 'int',
  attention_type: 'int',
  flash_attn_type: 'int',
  rope_freq_base: 'float',
  rope_freq_scale: 'float',
  yarn_ext_factor: 'float',
  yarn_attn_factor: 'float',
  yarn_beta_fast: 'float',
  yarn_beta_slow: 'float',
  yarn_orig_ctx: 'uint32_t',
  defrag_thold: 'float',
  cb_eval: 'void *',
  cb_eval_user_data: 'void *',
  type_k: 'int',
  type_v: 'int',
  abort_callback: 'void *',
  abort_callback_data: 'void *',
  embeddings: 'bool',
  offload_kqv: 'bool',
  no_perf: 'bool',
  op_offload: 'bool',
  swa_full: 'bool',
  kv_unified: 'bool',
  samplers: 'void *',
  n_samplers: 'size_t',
  ctx_other: 'void *',
});

/** Layout of `struct llama_batch`. */
export const Batch = koffi.struct({
  n_tokens: 'int32_t',
  token: 'void *',
  embd: 'void *',
  pos: 'void *',
  n_seq_id: 'void *',
  seq_id: 'void *',
  logits: 'void *',
});

/** Layout of `struct ggml_threadpool_params` in ggml/include/ggml.h; GGML_MAX_N_THREADS is 512. */
export const ThreadpoolParams = koffi.struct({
  cpumask: koffi.array('bool', 512),
  n_threads: 'int',
  prio: 'int',
  poll: 'uint32_t',
  strict_cpu: 'bool',
  paused: 'bool',
});

/** Sizes that a C compiler gives the same structs, on every 64-bit ABI in use (x86-64 and AArch64 System V). */
const SIZES: readonly (readonly [name: string, type: TypeObject, bytes: number])[] = [
  ['llama_model_params', ModelParams, 80],
  ['llama_context_params', ContextParams, 160],
  ['llama_batch', Batch, 56],
  ['ggml_threadpool_params', ThreadpoolParams, 528],
];

/** Values that the engine itself gives where a layout is right; read back as a check of the layout. */
const DEFAULTS = {
  model: {n_gpu_layers: -1, split_mode: 1, load_mode: -1, lazy_mode: 1, use_extra_bufts: true, load_mtp: false},
  context: {
    n_ctx: 512,
    n_batch: 2048,
    n_ubatch: 512,
    n_seq_max: 1,
    flash_attn_type: -1,
    type_k: 1,
    type_v: 1,
    no_perf: true,
    swa_full: true,
    kv_unified: false,
  },
} as const;

/**
 * @param defaults The default parameters as the engine returned them.
 * @throws {BenchError} ENGINE_UNAVAILABLE naming the version, or the struct that does not fit.
 */
export function checkLayouts(
  version: string,
  defaults: {readonly model: Readonly<Record<string, unknown>>; readonly context: Readonly<Record<string, unknown>>},
): void {
  if (!KNOWN_ENGINE_VERSIONS.includes(version)) {
    throw new BenchError(
      'ENGINE_UNAVAILABLE',
      `llama.cpp ${version} is not a version whose structs are known (${KNOWN_ENGINE_VERSIONS.join(', ')})`,
    );
  }
  for (const [name, type, bytes] of SIZES) {
    if (koffi.sizeof(type) !== bytes) {
      throw new BenchError(
        'ENGINE_UNAVAILABLE',
        `struct ${name} takes ${koffi.sizeof(type)} bytes on this platform, not ${bytes}: its layout is not known here`,
      );
    }
  }
  for (const which of ['model', 'context'] as const) {
    for (const [field, expected] of Object.entries(DEFAULTS[which])) {
      const given = defaults[which][field];
      if (given !== expected) {
        throw new BenchError(
          'ENGINE_UNAVAILABLE',
          `llama.cpp ${version}: default ${field} reads as ${String(given)}, not ${String(expected)}: ` +
            `the layout of its ${which} parameters is another one`,
        );
      }
    }
  }
}
