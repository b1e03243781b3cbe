import {execFileSync} from 'node:child_process';
import {cp, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {delimiter, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {z} from 'zod';
import {workerPath} from '../../runners/transformers/runner.ts';
import {find} from '../support/needs.ts';
import {eventsOf, runWorkerProgram} from '../support/run-worker.ts';
import {type TinyModel, tinyModel} from '../support/tiny-model.ts';
import {workOrder} from '../support/work-order.ts';

const folderOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const RUNNER = folderOf('../../runners/transformers');
const KIT = folderOf('../../runners/worker-kit/python');
const WORKER = workerPath(new URL('../../runners/transformers/runner.ts', import.meta.url).href);
const python = find('python') ?? '';
const SLOW_MS = 240_000;

/** As GPTQModel 7.6 says it: extension.load raises one RuntimeError with all that it knows. */
const EXTENSION = `
FAILED = """Extension load failed:
- marlin_fp16: Marlin fp16: failed to build torch.ops JIT extension: Error building extension 'marlin': [1/30] nvcc -c a.cu
FAILED: [code=1] kernel.cuda.o
nvcc fatal   : Unsupported gpu architecture 'compute_120' | build_root=/tmp/x | python=3.12"""

def load(name):
    if name == "marlin_fp16":
        raise RuntimeError(FAILED)
    return {name: True}
`;
const IMPORTER = `
def hf_select_quant_linear_v2(*, bits, group_size, desc_act, sym, format, quant_method, device_map, backend, pack):
    assert backend == "gptq_marlin" and str(device_map[""]) == "cuda:0" and (format, pack) == ("gptq", False)
    if not sym:
        raise ValueError("Marlin only supports \`[True]\` sym: actual sym = \`False\`")
`;

const AnswersSchema = z.looseObject({});

describe.skipIf(python === '')('kernels of GPTQModel', () => {
  let folder: string;
  let model: TinyModel;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bench-gptqmodel-'));
    model = await tinyModel('synthetic:bench-tiny', 'gptq-4bit');
    const stubs = {
      'stubs/optimum/__init__.py': '',
      'stubs/triton/__init__.py': '',
      'stubs/gptqmodel/__init__.py': 'print("a banner")\n',
      'stubs/gptqmodel/extension.py': EXTENSION,
      'stubs/gptqmodel/utils/__init__.py': '',
      'stubs/gptqmodel/utils/importer.py': IMPORTER,
      'bin/nvcc': '#!/bin/sh\n',
      'bin/c++': '#!/bin/sh\n',
    };
    for (const [path, text] of Object.entries(stubs)) {
      await mkdir(join(folder, path, '..'), {recursive: true});
      await writeFile(join(folder, path), text, {mode: 0o755});
    }
  }, SLOW_MS);
  afterAll(async () => {
    await model.remove();
    await rm(folder, {recursive: true, force: true});
  });

  it(
    'that cannot be compiled or are refused are unsupported, with the reason; auto takes the next',
    () => {
      const program = folderOf('../fixtures/python/gptqmodel_kernels.py');
      const answers = AnswersSchema.parse(
        JSON.parse(
          execFileSync(python, [program, RUNNER, KIT, join(folder, 'stubs')], {
            encoding: 'utf8',
            stdio: ['ignore', 'pipe', 'ignore'],
            env: {...process.env, PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`},
          }),
        ),
      );
      expect(answers).toEqual({
        marlin: [
          'UNSUPPORTED',
          "kernel marlin: GPTQModel cannot compile it: nvcc fatal : Unsupported gpu architecture 'compute_120'",
        ],
        'exllama-v2': 'exllama-v2',
        machete: ['UNSUPPORTED', 'kernel machete: needs compute capability 9.0 exactly, and this GPU has 7.5'],
        triton: 'triton',
        'int4pack-cpu': ['UNSUPPORTED', 'kernel int4pack-cpu: runs on the CPU only'],
        auto: 'exllama-v2',
        taken: null,
        refused: [
          'UNSUPPORTED',
          'kernel marlin: GPTQModel refuses it here: Marlin only supports `[True]` sym: actual sym = `False`',
        ],
        // A person's own switches would make another kernel of the one that is named.
        'switches of triton': {},
        'switches of torch': {GPTQ_TORCH_TRITON_DEQUANT: '0'},
      });
    },
    SLOW_MS,
  );

  it.each([
    ['with other bits', {bits: 8}, 'UNSUPPORTED', 'gptq with 8 bits in layout gptq, and only 4-bit'],
    ['of another method', {quant_method: 'awq'}, 'UNSUPPORTED', 'awq with 4 bits'],
    ['without its group size', {group_size: null}, 'MODEL_CORRUPT', 'quantization_config.group_size is missing'],
  ])(
    'are not asked for a checkpoint %s',
    async (_, change, code, message) => {
      const copy = await mkdtemp(join(folder, 'checkpoint-'));
      await cp(model.path, copy, {recursive: true});
      const path = join(copy, 'config.json');
      const config = z
        .looseObject({quantization_config: z.looseObject({})})
        .parse(JSON.parse(await readFile(path, 'utf8')));
      const quantization = {...config.quantization_config, ...change};
      await writeFile(path, JSON.stringify({...config, quantization_config: quantization}));
      const order = workOrder({
        weightsPath: copy,
        cell: {runner: {id: 'transformers'}, format: 'gptq-4bit', kernel: 'dequant-eager'},
      });
      const {events} = await runWorkerProgram({file: python, args: [WORKER], env: {CUDA_VISIBLE_DEVICES: ''}}, order);
      expect(events.at(-1)).toMatchObject({type: 'failed', error: {code}});
      expect(eventsOf(events, 'failed')[0]?.error.message).toContain(message);
    },
    SLOW_MS,
  );

  const there = python !== '' && has('gptqmodel') && has('optimum');
  it.skipIf(!there)(
    'run, and tell the class that ran, where GPTQModel is installed',
    async () => {
      const order = workOrder({
        weightsPath: model.path,
        cell: {runner: {id: 'transformers'}, format: 'gptq-4bit', kernel: 'torch'},
      });
      const {events, stderr} = await runWorkerProgram(
        {file: python, args: [WORKER], env: {CUDA_VISIBLE_DEVICES: ''}},
        order,
      );
      expect(events.at(-1)?.type, stderr).toBe('done');
      expect(eventsOf(events, 'loaded')[0]).toMatchObject({
        kernel: 'torch',
        parameters: 2_623_744,
        effective: {kernel_class: 'TorchLinear', compiled: true},
      });
    },
    SLOW_MS,
  );

  it.skipIf(!there)(
    'have the names by which the installed GPTQModel knows them',
    () => {
      const program = `
import json, os, sys
out = os.dup(1); os.dup2(2, 1)
sys.path[:0] = sys.argv[1:]
from gptqmodel.quantization import FORMAT, METHOD
from gptqmodel.utils.backend import BACKEND
from gptqmodel.utils.importer import get_kernel_for_backend
from gptqmodel import extension
from torch_worker.kernels import CLASS_NAMES, GPTQMODEL
from torch_worker.gptqmodel_kernels import EXTENSIONS
kernel = lambda backend: get_kernel_for_backend(BACKEND(backend), METHOD.GPTQ, FORMAT.GPTQ).__name__
names = {ours: CLASS_NAMES.get(kernel(theirs)) for ours, theirs in GPTQMODEL.items()}
missing = sorted(set(EXTENSIONS.values()) - set(extension.available_extensions()))
os.write(out, json.dumps([names, missing]).encode())
`;
      const said: unknown = JSON.parse(
        execFileSync(python, ['-c', program, RUNNER, KIT], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
          env: {...process.env, PYTHONDONTWRITEBYTECODE: '1'},
        }),
      );
      const ours = ['torch', 'triton', 'exllama-v2', 'marlin', 'machete'];
      expect(said).toEqual([Object.fromEntries(ours.map((name) => [name, name])), []]);
    },
    SLOW_MS,
  );
});

function has(name: string): boolean {
  const look = `import importlib.util; print(importlib.util.find_spec("${name}") is not None)`;
  return execFileSync(python, ['-c', look], {encoding: 'utf8'}).trim() === 'True';
}
