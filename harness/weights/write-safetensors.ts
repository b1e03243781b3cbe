import {throwIfAborted} from './file-errors.ts';
import {bf16Bits, F16_VALUES} from './half-float.ts';
import {type CheckpointDtype, writeHuggingFaceFiles} from './huggingface-files.ts';
import type {MadeWeights, MakeOptions} from './making.ts';
import {type SafetensorsGroup, writeSafetensors} from './safetensors-writer.ts';
import {TensorValues} from './tensor-values.ts';
import {countParameters, listTensors, type TensorSpec} from './tensors.ts';

type Dtype = 'fp32' | 'bf16' | 'fp16';

const DTYPES: Record<Dtype, {name: 'F32' | 'BF16' | 'F16'; bytes: 2 | 4; torch: CheckpointDtype}> = {
  fp32: {name: 'F32', bytes: 4, torch: 'float32'},
  bf16: {name: 'BF16', bytes: 2, torch: 'bfloat16'},
  fp16: {name: 'F16', bytes: 2, torch: 'float16'},
};

/**
 * A folder in Hugging Face layout with the weights of {@link writeSyntheticGguf}: the FP16 values themselves, widened
 * exactly to FP32, or rounded to BF16.
 * @throws {BenchError} DISK_FULL, FILE_UNREADABLE, INTERRUPTED; what was written so far stays for the caller to remove.
 */
export async function writeSyntheticSafetensors({
  architecture,
  seed,
  dtype,
  folder,
  signal,
  onProgress,
}: MakeOptions & {readonly dtype: Dtype; readonly folder: string}): Promise<MadeWeights> {
  const groups = listTensors(architecture).map((tensor) => tensorGroup(tensor, seed, dtype));
  const totalBytes = groups.reduce((sum, {entries}) => sum + (entries[0]?.bytes ?? 0), 0);
  const written = await writeSafetensors(folder, groups, (doneBytes) => {
    throwIfAborted(signal, folder);
    onProgress({step: `make ${dtype}`, doneBytes: Math.min(doneBytes, totalBytes), totalBytes});
  });
  await writeHuggingFaceFiles(folder, architecture, DTYPES[dtype].torch);
  return {...written, parameters: countParameters(architecture)};
}

/** One tensor, streamed in chunks. */
export function tensorGroup(tensor: TensorSpec, seed: number, dtype: Dtype): SafetensorsGroup {
  const {name, bytes} = DTYPES[dtype];
  return {
    entries: [{name: tensor.name, dtype: name, shape: tensor.shape, bytes: tensor.elements * bytes}],
    async write(file, onChunk) {
      const values = new TensorValues(seed, tensor);
      const scratch = dtype === 'fp16' ? null : new Uint16Array(2 ** 20);
      let first = 0;
      while (first < tensor.elements) {
        const chunk = await file.chunk();
        const room = scratch?.length ?? chunk.length / bytes;
        const count = Math.min(room, tensor.elements - first);
        const bits = scratch?.subarray(0, count) ?? new Uint16Array(chunk.buffer, 0, count);
        values.fill(bits, first);
        if (dtype === 'fp32') widen(bits, new Float32Array(chunk.buffer, 0, count));
        if (dtype === 'bf16') roundToBf16(bits, new Uint16Array(chunk.buffer, 0, count));
        file.append(chunk, count * bytes);
        first += count;
        onChunk();
      }
    },
  };
}

function widen(bits: Uint16Array, target: Float32Array): void {
  for (let index = 0; index < bits.length; index++) target[index] = F16_VALUES[bits[index] ?? 0] ?? 0;
}

const BF16_OF_F16 = Uint16Array.from(F16_VALUES, bf16Bits);

function roundToBf16(bits: Uint16Array, target: Uint16Array): void {
  for (let index = 0; index < bits.length; index++) target[index] = BF16_OF_F16[bits[index] ?? 0] ?? 0;
}
