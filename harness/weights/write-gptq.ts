import {join} from 'node:path';
import {throwIfAborted} from './file-errors.ts';
import {GPTQ_GROUP, packGptq} from './gptq-pack.ts';
import {writeHuggingFaceFiles, writeJson} from './huggingface-files.ts';
import type {MadeWeights, MakeOptions} from './making.ts';
import {type SafetensorsEntry, type SafetensorsGroup, writeSafetensors} from './safetensors-writer.ts';
import {TensorValues} from './tensor-values.ts';
import {countParameters, listTensors, type TensorSpec} from './tensors.ts';
import {tensorGroup} from './write-safetensors.ts';

/** For config.json and quantize_config.json: what GPTQModel, transformers and vLLM look for. */
const QUANTIZATION = {
  quant_method: 'gptq',
  bits: 4,
  group_size: GPTQ_GROUP,
  desc_act: false,
  sym: true,
  lm_head: false,
  checkpoint_format: 'gptq',
  pack_dtype: 'int32',
  true_sequential: true,
  damp_percent: 0.05,
  meta: {quantizer: ['bench:1']},
} as const;

/**
 * A GPTQ checkpoint (4 bit, groups of 128, symmetric) of the FP16 weights of {@link writeSyntheticSafetensors}, rounded
 * to nearest: GPTQ's error correction needs texts, and changes neither size nor speed. Embeddings, norms, biases and
 * the head stay FP16.
 * @throws {BenchError} DISK_FULL, FILE_UNREADABLE, INTERRUPTED; what was written so far stays for the caller to remove.
 */
export async function writeSyntheticGptq({
  architecture,
  seed,
  folder,
  signal,
  onProgress,
}: MakeOptions & {readonly folder: string}): Promise<MadeWeights> {
  const groups = listTensors(architecture).map((tensor) =>
    tensor.kind === 'linear' ? gptqGroup(tensor, seed) : tensorGroup(tensor, seed, 'fp16'),
  );
  const totalBytes = groups.flatMap(({entries}) => entries).reduce((sum, {bytes}) => sum + bytes, 0);
  const written = await writeSafetensors(folder, groups, (doneBytes) => {
    throwIfAborted(signal, folder);
    onProgress({step: 'make gptq-4bit', doneBytes: Math.min(doneBytes, totalBytes), totalBytes});
  });
  await writeHuggingFaceFiles(folder, architecture, 'float16', {quantization_config: QUANTIZATION});
  await writeJson(join(folder, 'quantize_config.json'), QUANTIZATION);
  return {...written, parameters: countParameters(architecture)};
}

function gptqGroup(tensor: TensorSpec, seed: number): SafetensorsGroup {
  const [outputs = 0, inputs = 0] = tensor.shape;
  const layer = tensor.name.slice(0, -'.weight'.length);
  const entry = (part: string, dtype: 'I32' | 'F16', shape: readonly [number, number] | readonly [number]) => ({
    name: `${layer}.${part}`,
    dtype,
    shape,
    bytes: shape.reduce((product: number, size) => product * size, dtype === 'I32' ? 4 : 2),
  });
  const entries: readonly SafetensorsEntry[] = [
    entry('qweight', 'I32', [inputs / 8, outputs]),
    entry('qzeros', 'I32', [inputs / GPTQ_GROUP, outputs / 8]),
    entry('scales', 'F16', [inputs / GPTQ_GROUP, outputs]),
    entry('g_idx', 'I32', [inputs]),
  ];
  return {
    entries,
    async write(file) {
      const values = new TensorValues(seed, tensor).all(tensor.elements);
      const {qweight, qzeros, scales, groupIndex} = packGptq(values, outputs, inputs);
      for (const part of [qweight, qzeros, scales, groupIndex]) {
        await file.appendOwn(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
      }
    },
  };
}
