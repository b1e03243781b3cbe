import {BenchError} from '../contract/errors.ts';
import type {MadeWeights, MakeOptions} from './making.ts';

export async function writeSyntheticGptq(options: MakeOptions & {readonly folder: string}): Promise<MadeWeights> {
  throw new BenchError('INTERNAL', `being written: ${options.folder}`);
}
