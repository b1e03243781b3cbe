import {BenchError} from '../contract/errors.ts';
import type {MadeWeights, MakeOptions} from './making.ts';

export async function writeSyntheticGguf(options: MakeOptions & {readonly path: string}): Promise<MadeWeights> {
  throw new BenchError('INTERNAL', `being written: ${options.path}`);
}
