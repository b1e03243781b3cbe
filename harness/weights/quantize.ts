import {BenchError} from '../contract/errors.ts';
import type {Format} from '../contract/format.ts';
import type {WeightsProgress} from '../contract/weights.ts';

export async function quantizeGguf(options: {
  /** A GGUF file with F32, F16 or BF16 weights. */
  readonly input: string;
  readonly output: string;
  readonly format: Format;
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: WeightsProgress) => void;
  /** Folder of libllama and its sisters; default: the prebuilt one in node_modules. */
  readonly libraryDir?: string;
}): Promise<void> {
  throw new BenchError('INTERNAL', `being written: ${options.output}`);
}
