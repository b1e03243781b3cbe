import {BenchError} from '../contract/errors.ts';
import type {MadeWeights, MakeOptions} from './making.ts';

export async function writeSyntheticSafetensors(
  options: MakeOptions & {readonly dtype: 'fp32' | 'bf16' | 'fp16'; readonly folder: string},
): Promise<MadeWeights> {
  throw new BenchError('INTERNAL', `being written: ${options.folder}`);
}
