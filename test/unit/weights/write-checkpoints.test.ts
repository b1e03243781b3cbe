import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {z} from 'zod';
import {findArchitecture} from '../../../harness/weights/architectures.ts';
import {bf16Bits, F16_VALUES} from '../../../harness/weights/half-float.ts';
import {encodeSafetensorsHeader, writeSafetensors} from '../../../harness/weights/safetensors-writer.ts';
import {TensorValues} from '../../../harness/weights/tensor-values.ts';
import {listTensors} from '../../../harness/weights/tensors.ts';
import {writeSyntheticGptq} from '../../../harness/weights/write-gptq.ts';
import {tensorGroup, writeSyntheticSafetensors} from '../../../harness/weights/write-safetensors.ts';
import {never, temporaryDir} from './support/temporary.ts';

const found = findArchitecture('bench-tiny');
if (found === null) throw new Error('bench-tiny');
const architecture = found;
const quiet = {architecture, seed: 1, signal: never, onProgress: () => undefined};
const tensors = listTensors(architecture);

const HeaderSchema = z.record(
  z.string(),
  z.object({dtype: z.string(), shape: z.array(z.int()), data_offsets: z.tuple([z.int(), z.int()])}),
);

function readCheckpoint(path: string) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const {__metadata__: metadata, ...entries} = z
    .looseObject({__metadata__: z.unknown()})
    .parse(JSON.parse(bytes.toString('utf8', 8, 8 + length)));
  const header = HeaderSchema.parse(entries);
  const data = (name: string) => {
    const [begin, end] = header[name]?.data_offsets ?? [0, 0];
    return new Uint8Array(bytes.subarray(8 + length + begin, 8 + length + end)).buffer;
  };
  return {metadata, header, data, length, fileBytes: bytes.length};
}

const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

test('a safetensors header is padded to eight bytes and says how to load it', () => {
  const header = encodeSafetensorsHeader([{name: 'w', dtype: 'F16', shape: [2, 3], bytes: 12}]);
  expect(header.length % 8).toBe(0);
  expect(Buffer.from(header.subarray(8)).toString().trimEnd()).toBe(
    '{"__metadata__":{"format":"pt"},"w":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}',
  );
});

test('the three types hold the same values', async () => {
  const folder = temporaryDir();
  for (const dtype of ['fp16', 'fp32', 'bf16'] as const) {
    await writeSyntheticSafetensors({...quiet, dtype, folder: join(folder, dtype)});
  }
  const [half, full, brain] = ['fp16', 'fp32', 'bf16'].map((dtype) =>
    readCheckpoint(join(folder, dtype, 'model.safetensors')),
  );
  for (const tensor of tensors) {
    const values = new TensorValues(1, tensor).all(tensor.elements);
    expect(half?.header[tensor.name]).toMatchObject({dtype: 'F16', shape: tensor.shape});
    expect(half && Buffer.from(half.data(tensor.name)).equals(Buffer.from(values.buffer))).toBe(true);
    const widened = Float32Array.from(values, (bits) => F16_VALUES[bits] ?? 0);
    expect(full && Buffer.from(full.data(tensor.name)).equals(Buffer.from(widened.buffer))).toBe(true);
    const rounded = Uint16Array.from(widened, bf16Bits);
    expect(brain && Buffer.from(brain.data(tensor.name)).equals(Buffer.from(rounded.buffer))).toBe(true);
  }
  expect(half?.metadata).toEqual({format: 'pt'});
  expect(json(join(folder, 'bf16', 'config.json'))).toMatchObject({torch_dtype: 'bfloat16', hidden_size: 256});
});

test('the folder holds what transformers looks for', async () => {
  const folder = temporaryDir();
  const made = await writeSyntheticSafetensors({...quiet, dtype: 'fp16', folder});
  expect(readdirSync(folder).sort()).toEqual([
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  expect(made).toMatchObject({parameters: 2_623_744, weightsBytes: 2 * 2_623_744});
  expect(made.fileBytes).toBe(readFileSync(join(folder, 'model.safetensors')).length);
  expect(json(join(folder, 'config.json'))).toMatchInlineSnapshot(`
    {
      "architectures": [
        "LlamaForCausalLM",
      ],
      "attention_bias": false,
      "attention_dropout": 0,
      "bos_token_id": 1008,
      "eos_token_id": 1009,
      "head_dim": 64,
      "hidden_act": "silu",
      "hidden_size": 256,
      "initializer_range": 0.02,
      "intermediate_size": 512,
      "max_position_embeddings": 131072,
      "mlp_bias": false,
      "model_type": "llama",
      "num_attention_heads": 4,
      "num_hidden_layers": 4,
      "num_key_value_heads": 2,
      "rms_norm_eps": 0.00001,
      "rope_scaling": {
        "factor": 32,
        "high_freq_factor": 4,
        "low_freq_factor": 1,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
      },
      "rope_theta": 500000,
      "tie_word_embeddings": true,
      "torch_dtype": "float16",
      "use_cache": true,
      "vocab_size": 1024,
    }
  `);
});

test('large checkpoints are divided into shards with an index', async () => {
  const folder = temporaryDir();
  const groups = tensors.map((tensor) => tensorGroup(tensor, 1, 'fp16'));
  const {weightsBytes} = await writeSafetensors(folder, groups, () => undefined, 2_000_000);
  const IndexSchema = z.object({
    metadata: z.object({total_size: z.int()}),
    weight_map: z.record(z.string(), z.string()),
  });
  const index = IndexSchema.parse(json(join(folder, 'model.safetensors.index.json')));
  expect(index.metadata.total_size).toBe(weightsBytes);
  expect(Object.keys(index.weight_map)).toEqual(tensors.map(({name}) => name));
  expect([...new Set(Object.values(index.weight_map))]).toEqual([
    'model-00001-of-00003.safetensors',
    'model-00002-of-00003.safetensors',
    'model-00003-of-00003.safetensors',
  ]);
  for (const [name, file] of Object.entries(index.weight_map)) {
    const {header, length, fileBytes} = readCheckpoint(join(folder, file));
    expect(header[name]).toBeDefined();
    expect(Math.max(...Object.values(header).map(({data_offsets}) => data_offsets[1])) + 8 + length).toBe(fileBytes);
  }
});

test('a GPTQ checkpoint holds the packed layers and the rest in FP16', async () => {
  const folder = temporaryDir();
  const made = await writeSyntheticGptq({...quiet, folder});
  const {header, data} = readCheckpoint(join(folder, 'model.safetensors'));
  const layer = 'model.layers.0.mlp.down_proj';
  expect(
    ['qweight', 'qzeros', 'scales', 'g_idx'].map((part) => [
      header[`${layer}.${part}`]?.dtype,
      header[`${layer}.${part}`]?.shape,
    ]),
  ).toEqual([
    ['I32', [64, 256]],
    ['I32', [4, 32]],
    ['F16', [4, 256]],
    ['I32', [512]],
  ]);
  expect(header[`${layer}.weight`]).toBeUndefined();
  expect(header['model.embed_tokens.weight']?.dtype).toBe('F16');
  // The first code, unpacked, is within half a step of the FP16 weight.
  const down = tensors.find(({name}) => name === `${layer}.weight`);
  const first = F16_VALUES[(down && new TensorValues(1, down).all(2)[0]) ?? 0] ?? 0;
  const scale = F16_VALUES[new Uint16Array(data(`${layer}.scales`))[0] ?? 0] ?? 0;
  const code = (new Int32Array(data(`${layer}.qweight`))[0] ?? 0) & 15;
  expect(Math.abs(scale * (code - 8) - first)).toBeLessThanOrEqual(scale / 2);
  const config = {
    bits: 4,
    group_size: 128,
    sym: true,
    desc_act: false,
    quant_method: 'gptq',
    checkpoint_format: 'gptq',
  };
  expect(json(join(folder, 'config.json'))).toMatchObject({quantization_config: config, torch_dtype: 'float16'});
  expect(json(join(folder, 'quantize_config.json'))).toMatchObject(config);
  const offsets = Object.values(header).map(({data_offsets}) => data_offsets[1]);
  expect(made.weightsBytes).toBe(Math.max(...offsets));
});

test('GPTQ of Llama 3.2 1B takes the bytes of the published layout', () => {
  const model = findArchitecture('llama-3.2-1b');
  const linear = model === null ? [] : listTensors(model).filter(({kind}) => kind === 'linear');
  expect(linear.reduce((sum, {elements}) => sum + elements, 0)).toBe(973_078_528);
});
