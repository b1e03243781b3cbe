import {existsSync, readdirSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import koffi from 'koffi';
import {BenchError} from '../contract/errors.ts';

/** The release whose struct layouts are written down here; another one may have other fields. */
export const QUANTIZER_VERSION = '0.5.0';
const PARAMS_BYTES = 64;

/** `struct llama_model_quantize_params` of llama.h, llama.cpp 0.5.0. */
const PARAMS = {
  nthread: 'int32_t',
  ftype: 'int',
  output_tensor_type: 'int',
  token_embedding_type: 'int',
  allow_requantize: 'bool',
  quantize_output_tensor: 'bool',
  only_copy: 'bool',
  pure: 'bool',
  keep_split: 'bool',
  dry_run: 'bool',
  imatrix: 'void *',
  kv_overrides: 'void *',
  tt_overrides: 'void *',
  prune_layers: 'void *',
  max_buf_size: 'size_t',
} as const;

/** The fields that are set here; the others keep llama.cpp's defaults. */
export interface QuantizeParams {
  nthread: number;
  ftype: number;
}

export interface Quantizer {
  readonly version: string;
  defaultParams(): QuantizeParams;
  /** In a thread of its own. 0 = done; anything else: the reason is the last line that the engine printed. */
  quantize(input: string, output: string, params: QuantizeParams): Promise<number>;
}

/** Folder of the CPU libraries that node-llama-cpp ships for this platform; null when it ships none. */
export function prebuiltLibraryDir(
  platform: string = process.platform,
  architecture: string = process.arch,
): string | null {
  const names: Record<string, string> = {
    'linux x64': 'linux-x64',
    'linux arm64': 'linux-arm64',
    'linux arm': 'linux-armv7l',
  };
  const name = names[`${platform} ${architecture}`];
  if (name === undefined) return null;
  try {
    // Its main file is dist/index.js; package.json cannot be resolved, it is not exported.
    const main = createRequire(import.meta.url).resolve(`@node-llama-cpp/${name}`);
    const folder = join(dirname(dirname(main)), 'bins', name);
    return existsSync(folder) ? folder : null;
  } catch {
    return null;
  }
}

/**
 * llama.cpp's own quantizer, called in this process: a failed assertion in it ends the process, hence quantize-child.ts.
 * @throws {BenchError} ENGINE_UNAVAILABLE when the library is missing, is of another version or has another layout.
 */
export function loadQuantizer(libraryDir: string): Quantizer {
  const load = (prefix: string) => koffi.load(join(libraryDir, findLibrary(libraryDir, prefix)));
  try {
    // In this order: each needs the ones before it.
    load('libggml-base');
    load('libggml');
    const library = load('libllama');
    const version = String(library.func('const char *llama_version()')());
    if (version !== QUANTIZER_VERSION && !version.startsWith(`${QUANTIZER_VERSION}-`)) {
      throw new BenchError(
        'ENGINE_UNAVAILABLE',
        `${libraryDir}: llama.cpp ${version}, but the quantizer is known only for ${QUANTIZER_VERSION}`,
      );
    }
    const params = koffi.struct('llama_model_quantize_params', PARAMS);
    if (koffi.sizeof(params) !== PARAMS_BYTES) {
      throw new BenchError(
        'ENGINE_UNAVAILABLE',
        `llama_model_quantize_params takes ${koffi.sizeof(params)} bytes here instead of ${PARAMS_BYTES}`,
      );
    }
    const defaults = library.func('llama_model_quantize_default_params', params, []);
    const quantize = library.func('llama_model_quantize', 'uint32_t', ['str', 'str', koffi.pointer(params)]);
    library.func('void llama_backend_init()')();
    return {
      version,
      // koffi's functions return `any`; the fields are those of PARAMS.
      defaultParams: () => defaults() as QuantizeParams,
      quantize: (input, output, values) =>
        new Promise((resolve, reject) => {
          quantize.async(input, output, values, (error: unknown, status: number) =>
            error === null || error === undefined ? resolve(status) : reject(error),
          );
        }),
    };
  } catch (error) {
    throw asUnavailable(error, libraryDir);
  }
}

function asUnavailable(error: unknown, libraryDir: string): BenchError {
  if (error instanceof BenchError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new BenchError('ENGINE_UNAVAILABLE', `${libraryDir}: llama.cpp cannot be loaded: ${reason}`, {cause: error});
}

/** `libllama.so`, `libllama.v0.5.0.so`, `libllama.cuda.v0.5.0.so`, `libllama.dylib`: what is there under this name. */
function findLibrary(folder: string, prefix: string): string {
  const pattern = new RegExp(`^${prefix}(\\.[a-z]+)?(\\.v[\\d.]+)?\\.(so|dylib)$`);
  const found = (existsSync(folder) ? readdirSync(folder) : []).find((name) => pattern.test(name));
  if (found === undefined) throw new BenchError('ENGINE_UNAVAILABLE', `${folder}: there is no ${prefix} in it`);
  return found;
}
