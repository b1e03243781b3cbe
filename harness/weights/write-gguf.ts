import type {Architecture} from '../contract/architecture.ts';
import {throwIfAborted} from './file-errors.ts';
import {encodeGgufHeader, ggufPadding} from './gguf-encoder.ts';
import {type GgufTensor, ggufMetadata, ggufTensors, ropeFactors} from './gguf-layout.ts';
import {F16_VALUES} from './half-float.ts';
import {interleaveRows} from './interleave-rows.ts';
import type {MadeWeights, MakeOptions} from './making.ts';
import {TensorValues} from './tensor-values.ts';
import {countParameters, type TensorSpec} from './tensors.ts';
import {WeightsFile} from './weights-file.ts';

/**
 * A GGUF v3 file in F16 with random weights of the exact shape: the same bytes for the same architecture and seed.
 * @throws {BenchError} DISK_FULL, FILE_UNREADABLE, INTERRUPTED; what was written so far stays for the caller to remove.
 */
export async function writeSyntheticGguf({
  architecture,
  seed,
  path,
  signal,
  onProgress,
}: MakeOptions & {readonly path: string}): Promise<MadeWeights> {
  const tensors = ggufTensors(architecture);
  const header = encodeGgufHeader(ggufMetadata(architecture, seed), tensors);
  const fileBytes = tensors.reduce((sum, {bytes}) => sum + bytes + ggufPadding(bytes), header.length);
  throwIfAborted(signal, path);
  const file = await WeightsFile.create(path, fileBytes);
  try {
    await file.appendOwn(header);
    for (const tensor of tensors) {
      await writeTensor(file, tensor, {architecture, seed}, () => {
        throwIfAborted(signal, path);
        onProgress({step: 'make gguf-f16', doneBytes: file.position, totalBytes: fileBytes});
      });
    }
  } catch (error) {
    await file.abandon();
    throw error;
  }
  await file.finish();
  onProgress({step: 'make gguf-f16', doneBytes: fileBytes, totalBytes: fileBytes});
  return {
    fileBytes,
    weightsBytes: tensors.reduce((sum, {bytes}) => sum + bytes, 0),
    parameters: countParameters(architecture),
  };
}

async function writeTensor(
  file: WeightsFile,
  {source, bytes}: GgufTensor,
  model: {architecture: Architecture; seed: number},
  onChunk: () => void,
): Promise<void> {
  if (source === 'rope-factors') {
    await file.appendOwn(bytesOf(ropeFactors(model.architecture)));
  } else if (source.shape.length === 1) {
    await file.appendOwn(bytesOf(vectorValues(source, model.seed)));
  } else if (source.gguf.interleaveHeads === null) {
    await streamMatrix(file, source, model.seed, onChunk);
  } else {
    const values = new TensorValues(model.seed, source).all(source.elements);
    const heads = source.gguf.interleaveHeads;
    await file.appendOwn(bytesOf(interleaveRows(values, source.elements / (source.shape[0] ?? 1), heads)));
  }
  await file.appendOwn(new Uint8Array(ggufPadding(bytes)));
  onChunk();
}

async function streamMatrix(file: WeightsFile, tensor: TensorSpec, seed: number, onChunk: () => void): Promise<void> {
  const values = new TensorValues(seed, tensor);
  let first = 0;
  while (first < tensor.elements) {
    const chunk = await file.chunk();
    const count = Math.min(chunk.length / 2, tensor.elements - first);
    values.fill(new Uint16Array(chunk.buffer, 0, count), first);
    file.append(chunk, 2 * count);
    first += count;
    onChunk();
  }
}

/** Norms and biases are F32 in GGUF: the FP16 values, widened. */
function vectorValues(tensor: TensorSpec, seed: number): Float32Array {
  const bits = new TensorValues(seed, tensor).all(tensor.elements);
  const shift = tensor.gguf.addOne ? 1 : 0;
  return Float32Array.from(bits, (value) => shift + (F16_VALUES[value] ?? Number.NaN));
}

function bytesOf(values: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
