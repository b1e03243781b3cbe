import {mkdtempSync, readFileSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Ajv} from 'ajv';
import {execa} from 'execa';
import {describe, expect, test} from 'vitest';
import {parse} from 'yaml';
import {CellSchema} from '../../../harness/contract/cell.ts';
import {matrixJsonSchema} from '../../../harness/plan/json-schema.ts';
import {loadMatrix} from '../../../harness/plan/load-matrix.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {type JudgedRow, judgeRow} from '../../device/judge-row.ts';
import {readCompiled} from '../../device/read-compiled.ts';
import {planTime, type TimedCell} from '../../device/time-plan.ts';
import {fakeSmiEnv} from '../../support/fake-gpu.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

const path = (name: string): string => fileURLToPath(new URL(`../../device/${name}`, import.meta.url));

test('the matrix of the GPU script is valid, by the schema for editors, too', async () => {
  const check = new Ajv({strict: false}).compile(matrixJsonSchema());
  expect(check(parse(readFileSync(path('gpu.yaml'), 'utf8'))), JSON.stringify(check.errors)).toBe(true);
  const {cells} = await makePlan({
    loaded: await loadMatrix(path('gpu.yaml')),
    host: planHost({gpu: 't4'}),
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(1_235_814_400),
    harness: '0.1.0',
  });
  for (const {cell} of cells) CellSchema.parse(cell);
  expect(cells.map(({cell}) => `${cell.device} ${cell.format} ${cell.kernel}`)).toMatchInlineSnapshot(`
    [
      "t4 fp16 auto",
      "t4 gptq-4bit dequant-eager",
      "t4 gptq-4bit dequant-triton",
      "t4 gptq-4bit torch",
      "t4 gptq-4bit triton",
      "t4 gptq-4bit exllama-v2",
      "t4 gptq-4bit marlin",
      "t4 gptq-4bit machete",
      "t4 gguf-f16 auto",
      "t4 gguf-q8_0 auto",
      "t4 gguf-q4_k_m auto",
    ]
  `);
});

describe('the time of the GPU script', () => {
  const gguf = (['gguf-f16', 'gguf-q8_0', 'gguf-q4_k_m'] as const).map((format) => timed('llama-cpp', format, 'auto'));
  const own = [timed('transformers', 'fp16', 'auto'), timed('transformers', 'gptq-4bit', 'dequant-eager')];
  const compiled = ['exllama-v2', 'marlin'].map((kernel) => timed('transformers', 'gptq-4bit', kernel));

  test('is shared among the cells in as many rounds as fit', () => {
    expect(planTime([...own, ...gguf], {secondsLeft: 500, importSeconds: 10})).toMatchInlineSnapshot(`
      {
        "budgetSeconds": 20,
        "expectedSeconds": 490,
        "leftOut": [],
        "rounds": 3,
      }
    `);
    expect(planTime([...own, ...gguf], {secondsLeft: 120, importSeconds: 10})).toMatchInlineSnapshot(`
      {
        "budgetSeconds": 11,
        "expectedSeconds": 119,
        "leftOut": [],
        "rounds": 1,
      }
    `);
  });

  test('leaves out the kernels that must be compiled rather than run over', () => {
    const cells = [...own, ...compiled, ...gguf];
    expect(planTime(cells, {secondsLeft: 500, importSeconds: 10})?.leftOut).toEqual([]);
    expect(planTime(cells, {secondsLeft: 250, importSeconds: 10})).toMatchObject({leftOut: ['marlin']});
    expect(planTime(cells, {secondsLeft: 90, importSeconds: 10})).toMatchObject({
      leftOut: ['marlin', 'exllama-v2'],
      rounds: 1,
    });
  });

  test('takes what was compiled before for nothing, and what failed for what it took', () => {
    const cells = [...own, ...compiled, ...gguf];
    const options = {secondsLeft: 250, importSeconds: 10};
    const done = readCompiled(
      [
        'a banner',
        '{"kernel": "exllama-v2", "seconds": 41.2, "problem": null}',
        '{"kernel": "marlin", "seconds": 12.5, "problem": "nvcc fatal"}',
        '{"kernel": "machete", "sec',
      ].join('\n'),
    );
    expect(done).toEqual({'exllama-v2': 0, marlin: 12.5});
    expect(planTime(cells, options)?.leftOut).toEqual(['marlin']);
    expect(planTime(cells, {...options, compileSeconds: done})?.leftOut).toEqual([]);
    expect(planTime(cells, {...options, compileSeconds: {...done, marlin: 200}})?.leftOut).toEqual(['marlin']);
  });

  test('is never more than there is, and nothing where nothing fits', () => {
    const cells = [...own, ...compiled, ...gguf];
    for (let secondsLeft = -10; secondsLeft < 900; secondsLeft += 7) {
      const plan = planTime(cells, {secondsLeft, importSeconds: 12});
      if (plan !== null) expect(plan.expectedSeconds, String(secondsLeft)).toBeLessThanOrEqual(Math.ceil(secondsLeft));
    }
    expect(planTime(cells, {secondsLeft: 20, importSeconds: 12})).toBeNull();
    expect(planTime([], {secondsLeft: 600, importSeconds: 12})).toBeNull();
  });

  function timed(runner: string, format: keyof typeof BYTES, kernel: string): TimedCell {
    return {cell: {id: '', runner: {id: runner}, format, kernel}, weightsBytes: BYTES[format]};
  }
});

/** Of Llama 3.2 1B. */
const BYTES = {
  fp16: 2.47e9,
  'gptq-4bit': 1.03e9,
  'gguf-f16': 2.48e9,
  'gguf-q8_0': 1.32e9,
  'gguf-q4_k_m': 0.81e9,
} as const;

describe('a row of the GPU script', () => {
  const whole: JudgedRow = {
    runner: 'transformers',
    format: 'gptq-4bit',
    kernel: 'marlin',
    status: 'ok',
    status_reason: null,
    requests: 40,
    decode_tokens_per_s: 71.25,
    vram_baseline_bytes: 2e6,
    vram_peak_bytes: 1.9e9,
    vram_allocated_peak_bytes: 1.1e9,
    ram_peak_bytes: 2e9,
    sm_clock_hz_median: 1.5e9,
    temperature_c_max: 71,
    energy_source: 'nvml-counter',
  };

  test('is told with its figures', () => {
    expect(judgeRow(whole)).toEqual({
      good: true,
      text: 'transformers gptq-4bit marlin: 40 requests, 71.3 tokens/s, 1.90 GB, nvml-counter',
    });
    const refused = {...whole, status: 'unsupported', status_reason: 'no nvcc'};
    expect(judgeRow(refused)).toEqual({good: true, text: 'transformers gptq-4bit marlin: unsupported: no nvcc'});
  });

  test('is not whole when the cell failed, or when a counter under load gave nothing', () => {
    expect(judgeRow({...whole, status: 'crashed', status_reason: 'SIGSEGV'}).good).toBe(false);
    for (const column of ['vram_peak_bytes', 'temperature_c_max', 'vram_allocated_peak_bytes', 'kernel'] as const) {
      const {good, text} = judgeRow({...whole, [column]: null});
      expect(good, column).toBe(false);
      expect(text).toContain(`no ${column}`);
    }
  });
});

describe.skipIf(process.platform !== 'linux')('test/device/run.sh', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'bench-gpu-script-'));
  const python = join(scratch, 'python');
  const kernels = {'dequant-eager': true, 'dequant-triton': true, 'int4pack-cpu': true, marlin: 'needs nvcc'};
  const answer = {
    executable: python,
    version: '3.12.4',
    torch: '2.14.1+cu130',
    transformers: '5.17.0',
    cuda: true,
    kernels,
  };
  writeFileSync(python, `#!/bin/sh\necho '${JSON.stringify(answer).replaceAll(':', ': ')}'\n`, {mode: 0o755});

  const run = async (args: readonly string[], env: NodeJS.ProcessEnv) => {
    const {exitCode, stdout, stderr} = await execa('bash', [path('run.sh'), ...args], {
      env: {BENCH_CACHE: join(scratch, 'cache'), BENCH_OUT: join(scratch, 'out'), ...env},
      extendEnv: false,
      reject: false,
      stdin: 'ignore',
    });
    return {status: exitCode, stdout, stderr};
  };

  test('is valid bash', async () => {
    await execa('bash', ['-n', path('run.sh')]);
  });

  test('plans the cells of a T4, with a reason for each that is refused, and runs nothing', async () => {
    const {status, stdout} = await run(['--plan'], {
      ...fakeSmiEnv(),
      BENCH_PYTHON: python,
      BENCH_NODE: process.execPath,
    });
    expect(stdout).toContain('ok    GPU Tesla T4, 535.183.01, 15360 MiB');
    expect(stdout).toContain(`ok    Python ${python}, PyTorch sees the GPU`);
    expect(stdout).toMatch(/gptq-4bit marlin: refused: kernel marlin: needs nvcc/);
    expect(stdout).toMatch(/\(fp16,gptq-4bit\), 3 rounds of \d+ s, about \d+ s after the weights are made/);
    expect(status).toBe(0);
  });

  test('goes through to results that are whole, with a driver that replays a T4 and a worker that makes up times', async () => {
    const worker = [
      '../../fixtures/python/gpu_worker.py',
      '../../../runners/transformers',
      '../../../runners/worker-kit/python',
    ]
      .map((name) => fileURLToPath(new URL(name, import.meta.url)))
      .join(' ');
    const acting = join(scratch, 'acting-python');
    const able = {...kernels, 'exllama-v2': true, marlin: true, machete: 'needs compute capability 9.0 exactly'};
    const said = JSON.stringify({...answer, executable: acting, kernels: able}).replaceAll(':', ': ');
    // One kernel is compiled, then time is up: the other is left out.
    const compiled = JSON.stringify({kernel: 'exllama-v2', seconds: 1.5, problem: null})
      .replaceAll(':', ': ')
      .replaceAll(',', ', ');
    const acts = [`*probe.py) echo '${said}'`, `*compile_kernels.py) echo '${compiled}'`, `*) exec python3 ${worker}`];
    writeFileSync(acting, `#!/bin/sh\ncase "$1" in ${acts.join(';; ')};; esac\n`, {mode: 0o755});
    const matrix = join(scratch, 'tiny.yaml');
    writeFileSync(matrix, readFileSync(path('gpu.yaml'), 'utf8').replaceAll('llama-3.2-1b', 'bench-tiny'));
    const env = {
      ...fakeSmiEnv({FAKE_SMI_LOAD_AFTER_MS: '0'}),
      BENCH_PYTHON: acting,
      BENCH_NODE: process.execPath,
      BENCH_MATRIX: matrix,
      BENCH_SECONDS: '400',
      BENCH_OUT: join(scratch, 'whole'),
    };
    const {status, stdout, stderr} = await run([], env);
    expect(stdout, stderr).toContain('The results are whole.');
    expect(stdout).toMatch(/ {2}ok {3}transformers fp16 torch-linear: \d+ requests, /);
    expect(stdout).toMatch(/ {2}ok {3}transformers gptq-4bit dequant-eager: \d+ requests, /);
    expect(stdout).toContain('Compiling kernels of GPTQModel (exllama-v2,marlin) beside the weights');
    expect(stdout).toContain('  ok    exllama-v2: compiled (1.5 s)');
    expect(stdout).toMatch(/ {2}ok {3}transformers gptq-4bit exllama-v2: \d+ requests, /);
    expect(stdout).toContain('left out for want of time: marlin');
    expect(stdout).not.toContain('transformers gptq-4bit marlin:');
    // What cannot run here has its row, with the reason.
    expect(stdout).toContain('  ok   transformers gptq-4bit machete: unsupported: ');
    expect(stdout).toMatch(/Commit them: git add .*gpu-check--/);
    expect(status, stderr).toBe(0);
  }, 240_000);

  test('says in one line each what is missing, and ends with 2', async () => {
    const {status, stdout, stderr} = await run([], {PATH: '/usr/bin:/bin', HOME: scratch, BENCH_NODE: '/nowhere/node'});
    expect(stdout).toContain('LACKS Node /nowhere/node does not run (');
    expect(stdout).toContain('LACKS nvidia-smi');
    expect(stdout).toContain('FP16 and GPTQ are left out: no Python with PyTorch for CUDA');
    expect(stderr).toContain('Nothing was run');
    expect(status).toBe(2);
  });

  test('says so when the driver finds no GPU, and when PyTorch is broken', async () => {
    const broken = join(scratch, 'broken');
    writeFileSync(broken, '#!/bin/sh\necho "ImportError: libcudart.so.13" >&2; exit 1\n', {mode: 0o755});
    const smi = join(scratch, 'nvidia-smi');
    writeFileSync(smi, '#!/bin/sh\necho "No devices were found" >&2; exit 6\n', {mode: 0o755});
    const env = {PATH: `${scratch}:/usr/bin:/bin`, HOME: scratch, BENCH_PYTHON: broken, BENCH_NODE: process.execPath};
    const {status, stdout} = await run(['--plan'], env);
    expect(stdout).toContain('LACKS nvidia-smi finds no GPU: No devices were found');
    expect(stdout).toContain(`note  Python ${broken} cannot run models: ImportError: libcudart.so.13`);
    expect(status).toBe(2);
  });

  test('refuses arguments and times that are none', async () => {
    expect(await run(['--all'], process.env)).toMatchObject({status: 2});
    expect(await run([], {...process.env, BENCH_SECONDS: 'ten'})).toMatchObject({status: 2});
  });
});
