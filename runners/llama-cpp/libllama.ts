import koffi from 'koffi';
import {EngineLog, LogCallback} from './engine-log.ts';
import type {Libraries} from './libraries.ts';
import {Batch, ContextParams, checkLayouts, ModelParams, ThreadpoolParams} from './struct-layouts.ts';

/** An address in the engine; never dereferenced here but through a view. */
export type Pointer = bigint;
type Params = Record<string, number | boolean | bigint | null | readonly boolean[]>;

/** `struct llama_batch`, with addresses of arrays that live as long as the engine. */
export interface BatchStruct {
  n_tokens: number;
  readonly token: Pointer;
  readonly embd: null;
  readonly pos: Pointer;
  readonly n_seq_id: Pointer;
  readonly seq_id: Pointer;
  readonly logits: Pointer;
}

/** The part of llama.h and ggml-backend.h that a measurement needs, by its C names. */
export interface Libllama {
  readonly folder: string;
  readonly version: string;
  readonly log: EngineLog;
  readonly modelDefaults: Readonly<Params>;
  readonly contextDefaults: Readonly<Params>;

  llama_model_load_from_file(path: string, params: Params): Pointer | null;
  llama_model_size(model: Pointer): number | bigint;
  llama_model_n_params(model: Pointer): number | bigint;
  llama_model_get_vocab(model: Pointer): Pointer;
  llama_model_has_encoder(model: Pointer): boolean;
  /** 0 = no tokenizer: no token has attributes then, and asking for them aborts. */
  llama_vocab_type(vocab: Pointer): number;
  llama_vocab_n_tokens(vocab: Pointer): number;
  llama_vocab_get_attr(vocab: Pointer, token: number): number;
  llama_vocab_is_eog(vocab: Pointer, token: number): boolean;
  llama_tokenize(
    vocab: Pointer,
    text: Uint8Array,
    textLength: number,
    tokens: Int32Array,
    room: number,
    addSpecial: boolean,
    parseSpecial: boolean,
  ): number;
  llama_detokenize(
    vocab: Pointer,
    tokens: Int32Array,
    count: number,
    text: Uint8Array,
    room: number,
    removeSpecial: boolean,
    unparseSpecial: boolean,
  ): number;
  llama_init_from_model(model: Pointer, params: Params): Pointer | null;
  llama_n_ctx_seq(context: Pointer): number;
  llama_n_batch(context: Pointer): number;
  llama_n_ubatch(context: Pointer): number;
  llama_attach_threadpool(context: Pointer, decode: Pointer, prefill: Pointer): void;
  llama_get_memory(context: Pointer): Pointer;
  llama_memory_clear(memory: Pointer, data: boolean): void;
  llama_memory_seq_rm(memory: Pointer, sequence: number, from: number, to: number): boolean;
  llama_decode(context: Pointer, batch: BatchStruct): number;
  llama_synchronize(context: Pointer): void;
  llama_get_logits_ith(context: Pointer, index: number): Pointer | null;

  ggml_backend_load(path: string): Pointer | null;
  ggml_backend_load_all_from_path(folder: string): void;
  ggml_backend_reg_by_name(name: string): Pointer | null;
  ggml_backend_reg_get_proc_address(registry: Pointer, name: string): Pointer | null;
  /** 1 = GPU, 2 = integrated GPU. */
  ggml_backend_dev_by_type(type: number): Pointer | null;
  ggml_threadpool_params_default(threads: number): Params;
  /** Stops {@link log}: the engine writes to standard error itself, whatever thread it speaks from. */
  endLog(): void;
}

/**
 * Loads one build of the engine into this process. Once only: symbols of two builds would mix.
 *
 * @throws {BenchError} ENGINE_UNAVAILABLE when its struct layouts are not known.
 */
export function loadLibllama({folder, base, ggml, llama}: Libraries, log = new EngineLog()): Libllama {
  const baseLibrary = koffi.load(base);
  const ggmlLibrary = koffi.load(ggml);
  const library = koffi.load(llama);

  // koffi's functions are untyped; the signatures of the interface above are the ones written beside each name here.
  const bound = {
    llama_model_load_from_file: library.func('llama_model_load_from_file', 'void *', ['str', ModelParams]),
    llama_model_size: library.func('uint64_t llama_model_size(void *)'),
    llama_model_n_params: library.func('uint64_t llama_model_n_params(void *)'),
    llama_model_get_vocab: library.func('void *llama_model_get_vocab(void *)'),
    llama_model_has_encoder: library.func('bool llama_model_has_encoder(void *)'),
    llama_vocab_type: library.func('int llama_vocab_type(void *)'),
    llama_vocab_n_tokens: library.func('int32_t llama_vocab_n_tokens(void *)'),
    llama_vocab_get_attr: library.func('int llama_vocab_get_attr(void *, int32_t)'),
    llama_vocab_is_eog: library.func('bool llama_vocab_is_eog(void *, int32_t)'),
    llama_tokenize: library.func(
      'int32_t llama_tokenize(void *, const uint8_t *, int32_t, _Out_ int32_t *, int32_t, bool, bool)',
    ),
    llama_detokenize: library.func(
      'int32_t llama_detokenize(void *, const int32_t *, int32_t, _Out_ uint8_t *, int32_t, bool, bool)',
    ),
    llama_init_from_model: library.func('llama_init_from_model', 'void *', ['void *', ContextParams]),
    llama_n_ctx_seq: library.func('uint32_t llama_n_ctx_seq(void *)'),
    llama_n_batch: library.func('uint32_t llama_n_batch(void *)'),
    llama_n_ubatch: library.func('uint32_t llama_n_ubatch(void *)'),
    llama_attach_threadpool: library.func('void llama_attach_threadpool(void *, void *, void *)'),
    llama_get_memory: library.func('void *llama_get_memory(void *)'),
    llama_memory_clear: library.func('void llama_memory_clear(void *, bool)'),
    llama_memory_seq_rm: library.func('bool llama_memory_seq_rm(void *, int32_t, int32_t, int32_t)'),
    llama_decode: library.func('llama_decode', 'int32_t', ['void *', Batch]),
    llama_synchronize: library.func('void llama_synchronize(void *)'),
    llama_get_logits_ith: library.func('void *llama_get_logits_ith(void *, int32_t)'),
    ggml_backend_load: ggmlLibrary.func('void *ggml_backend_load(const char *)'),
    ggml_backend_load_all_from_path: ggmlLibrary.func('void ggml_backend_load_all_from_path(const char *)'),
    ggml_backend_reg_by_name: ggmlLibrary.func('void *ggml_backend_reg_by_name(const char *)'),
    ggml_backend_dev_by_type: ggmlLibrary.func('void *ggml_backend_dev_by_type(int)'),
    ggml_backend_reg_get_proc_address: baseLibrary.func(
      'void *ggml_backend_reg_get_proc_address(void *, const char *)',
    ),
    ggml_threadpool_params_default: baseLibrary.func('ggml_threadpool_params_default', ThreadpoolParams, ['int']),
  };

  // Casts: koffi gives `any`; what the C functions return is in their prototypes.
  const version = library.func('const char *llama_version()')() as string;
  const modelDefaults = library.func('llama_model_default_params', ModelParams, [])() as Params;
  const contextDefaults = library.func('llama_context_default_params', ContextParams, [])() as Params;
  checkLayouts(version, {model: modelDefaults, context: contextDefaults});

  const setLog = library.func('void llama_log_set(void *, void *)');
  const callback = koffi.register(log.listen, koffi.pointer(LogCallback));
  setLog(callback, null);
  library.func('void llama_backend_init()')();
  return {
    ...(bound as unknown as Libllama),
    folder,
    version,
    log,
    modelDefaults,
    contextDefaults,
    endLog: () => void setLog(null, null),
  };
}

/** An array in memory that the engine can read, seen as a typed array; lives until the process ends. */
export function nativeInt32(count: number): {readonly pointer: Pointer; readonly values: Int32Array} {
  // Cast: koffi.alloc gives `any`, an address.
  const pointer = koffi.alloc('int32_t', count) as Pointer;
  return {pointer, values: new Int32Array(koffi.view(pointer, 4 * count), 0, count)};
}

export function nativeInt8(count: number): {readonly pointer: Pointer; readonly values: Int8Array} {
  const pointer = koffi.alloc('int8_t', count) as Pointer;
  return {pointer, values: new Int8Array(koffi.view(pointer, count), 0, count)};
}

export function nativePointers(count: number): {readonly pointer: Pointer; readonly values: BigUint64Array} {
  const pointer = koffi.alloc('uint64_t', count) as Pointer;
  return {pointer, values: new BigUint64Array(koffi.view(pointer, 8 * count), 0, count)};
}

/** Numbers of the engine, in place: the next decode overwrites them. */
export function viewFloats(pointer: Pointer, count: number): Float32Array {
  return new Float32Array(koffi.view(pointer, 4 * count), 0, count);
}

export function addressOf(pointer: Pointer): bigint {
  return koffi.address(pointer);
}

const ThreadpoolNew = koffi.proto('ggml_threadpool_new_t', 'void *', [koffi.pointer(ThreadpoolParams)]);
const FeatureStruct = koffi.struct({name: 'const char *', value: 'const char *'});
const GetFeatures = koffi.proto('ggml_backend_get_features_t', koffi.pointer(FeatureStruct), ['void *']);
const MOST_FEATURES = 64;

/** Threads that live as long as the context, instead of being made anew for every token. */
export function makeThreadpool(library: Libllama, cpu: Pointer, threads: number, poll: number): Pointer | null {
  const make = library.ggml_backend_reg_get_proc_address(cpu, 'ggml_threadpool_new');
  if (make === null) return null;
  const params = {...library.ggml_threadpool_params_default(threads), poll, strict_cpu: false, paused: false};
  return koffi.call(make, ThreadpoolNew, params) as Pointer | null;
}

/** Names of the features that the CPU code was compiled with. */
export function cpuFeatures(library: Libllama, cpu: Pointer): ReadonlySet<string> {
  const get = library.ggml_backend_reg_get_proc_address(cpu, 'ggml_backend_get_features');
  const names = new Set<string>();
  if (get === null) return names;
  const list = koffi.call(get, GetFeatures, cpu) as Pointer;
  for (let index = 0; index < MOST_FEATURES; index++) {
    const feature = koffi.decode(list, index * koffi.sizeof(FeatureStruct), FeatureStruct) as {name: string | null};
    if (feature.name === null) break;
    names.add(feature.name);
  }
  return names;
}
