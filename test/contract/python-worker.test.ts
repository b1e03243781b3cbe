import {execFileSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {cp, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {homedir, tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {z} from 'zod';
import {CAVEAT_CODES} from '../../harness/contract/caveats.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import type {Format} from '../../harness/contract/format.ts';
import {probePython} from '../../harness/device/python.ts';
import {LocalWeightsStore} from '../../harness/weights/local-weights-store.ts';
import {transformersRunner, workerPath} from '../../runners/transformers/runner.ts';
import {relativeHalfWidth} from '../../runners/worker-kit/median-interval.ts';
import {promptTokens} from '../../runners/worker-kit/prompt-tokens.ts';
import {isCorrect} from '../../runners/worker-kit/prompts-file.ts';
import {StopRule} from '../../runners/worker-kit/stop-rule.ts';
import {meanDivergence} from '../support/divergence.ts';
import {find} from '../support/needs.ts';
import {planHost} from '../support/plan-hosts.ts';
import {eventsOf, runWorkerProgram, type WorkerRun} from '../support/run-worker.ts';
import {type OrderChanges, workOrder} from '../support/work-order.ts';

const folderOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const KIT = folderOf('../../runners/worker-kit/python');
const RUNNER = folderOf('../../runners/transformers');
const WORKER = workerPath(new URL('../../runners/transformers/runner.ts', import.meta.url).href);

const python3 = find('python3') ?? '';
const torchPython = find('python') ?? '';
/** Importing PyTorch from a cold disk on a busy machine takes a while. */
const SLOW_MS = 240_000;

describe.skipIf(python3 === '')('the protocol of the Python worker kit', () => {
  const simulate = (changes: OrderChanges = {}, order: string | null = null): Promise<WorkerRun> =>
    runWorkerProgram(
      {file: python3, args: [WORKER, '--simulate'], env: {}},
      order ?? workOrder({...changes, cell: {...changes.cell, runner: {id: 'transformers'}}}),
    );

  it('says ready, loaded, its memory, its requests by phase, and done, whatever the engine prints', async () => {
    const {events, exitCode, stderr} = await simulate();
    expect(events.map((event) => (event.type === 'request' ? `${event.phase} ${event.index}` : event.type))).toEqual([
      'ready',
      'loaded',
      'memory',
      'memory',
      'phase',
      'warmup 0',
      'warmup 1',
      'memory',
      'memory',
      'phase',
      'measure 0',
      'measure 1',
      'measure 2',
      'memory',
      'memory',
      'done',
    ]);
    expect(exitCode).toBe(0);
    expect(stderr).toContain('noise of an engine while it is imported');
    expect(stderr).toContain('"type":"done","tNs":0');
  });

  it('tells a failure in one typed line', async () => {
    const failing = await simulate({settings: {simulate: {fail_at: 1}}});
    expect(failing.events.at(-1)).toEqual({
      type: 'failed',
      error: {code: 'WORKER_CRASHED', message: 'RuntimeError: a failure that was asked for', details: {}},
    });
    expect(failing.exitCode).toBe(1);
    const large = await simulate({settings: {simulate: {does_not_fit: 1}}});
    expect(large.events.at(-1)).toMatchObject({type: 'failed', error: {code: 'DOES_NOT_FIT'}});
  });

  it('spends its budget on requests, however long the first pass compiles', async () => {
    const {events} = await simulate({settings: {simulate: {check_s: 1.5}}, stop: {budgetSeconds: 1}});
    expect(eventsOf(events, 'request').filter(({phase}) => phase === 'measure')).toHaveLength(3);
    expect(eventsOf(events, 'done')[0]?.stopped).not.toBe('budget');
  });

  it('answers an order that is none with one typed failure', async () => {
    for (const order of [
      'no order',
      '{"protocol":2}',
      '[]',
      '{"protocol":1,"round":0,"weightsPath":"","promptsPath":null}',
    ]) {
      const {events, exitCode} = await simulate({}, order);
      expect(events).toMatchObject([{type: 'failed', error: {code: 'PROTOCOL_VIOLATION'}}]);
      expect(exitCode).toBe(1);
    }
  });

  it('runs a prompts file and judges the answers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bench-prompts-'));
    const promptsPath = join(folder, 'prompts.jsonl');
    await writeFile(promptsPath, '{"id":1,"prompt":"a","answer":"aaaaa"}\n\n{"id":2,"prompt":"b","answer":"c"}\n');
    const {events} = await simulate({promptsPath, cell: {rounds: 1}});
    await writeFile(promptsPath, '{"id":1,"prompt":"a"}\nnonsense\n');
    const broken = await simulate({promptsPath});
    await rm(folder, {recursive: true});
    const measured = eventsOf(events, 'request').filter(({phase}) => phase === 'measure');
    expect(measured.map(({text, correct}) => [text, correct])).toEqual([
      ['aaaaa', true],
      ['bbbbb', false],
      ['aaaaa', true],
    ]);
    expect(broken.events.at(-1)).toMatchObject({
      error: {code: 'MATRIX_INVALID', message: `${promptsPath}:2: not a JSON object`},
    });
  });

  it('makes the same prompts, stops at the same request and judges alike as the Node worker kit', () => {
    const vocabulary = {size: 1024, isSpecial: (id: number) => id % 7 === 0 || id >= 1008};
    const order = workOrder({workload: {promptTokens: 37, prefixCache: 'shared:11'}, round: 1});
    const positions = (['warmup', 'measure'] as const).flatMap((phase) =>
      [0, 1, 5].flatMap((index) => [0, 3].map((sequence) => ({phase, index, lane: 0, sequence}))),
    );
    const settings = {...order.cell.stop, minRequests: 8, maxRequests: 30, minSeconds: 0.5, relativeHalfWidth: 0.05};
    // A spread that needs some requests, a steady series, an empty one, and one that never gets narrow.
    const stops = [
      Array.from({length: 40}, (_, index) => 100 + ((index * 37) % 23)),
      Array.from({length: 12}, () => 50),
      [],
      Array.from({length: 35}, (_, index) => 10 ** ((index * 7) % 5)),
    ].map((latencies, index) => ({settings: {...settings, budgetSeconds: index === 0 ? 1 : 60}, latencies}));
    const judged: [string, string | {a: number[]} | boolean][] = [
      [' yes ', 'yes'],
      ['{"a": [1,2]}', '{ "a":[1, 2] }'],
      ['{"a":[1,2]}', {a: [1, 2]}],
      ['{"a":[2,1]}', {a: [1, 2]}],
      ['1', true],
      ['no', 'yes'],
    ];
    const answer: unknown = JSON.parse(
      execFileSync(python3, [folderOf('../fixtures/python/kit.py'), KIT], {
        input: JSON.stringify({
          size: vocabulary.size,
          special: Array.from({length: 1024}, (_, id) => id).filter(vocabulary.isSpecial),
          positions: positions.map(({phase, index, lane, sequence}) => [order, phase, index, lane, sequence]),
          stops,
          judged,
        }),
        encoding: 'utf8',
      }),
    );
    const widths = stops.map(({latencies}) => relativeHalfWidth(latencies));
    expect(answer).toEqual({
      prompts: positions.map((position) => [...promptTokens(order, position, vocabulary)]),
      decisions: stops.map((stop) => {
        const rule = new StopRule(stop.settings, 0);
        const warm = stop.latencies.map((latency, index) => {
          const told = [rule.isWarm(index * 100), rule.isSteady];
          rule.addWarmup(latency);
          return told;
        });
        rule.startMeasuring(50);
        return [...warm, ...stop.latencies.map((latency, index) => rule.add(latency, index * 100))];
      }),
      widths: widths.map((width) => (Number.isFinite(width) ? width : null)),
      judged: judged.map(([text, expected]) => isCorrect(text, expected)),
    });
  });
});

describe.skipIf(python3 === '')('the instruction set of a Python worker', () => {
  const onednn = (said: string) =>
    `onednn_verbose,v1,info,cpu,runtime:OpenMP,nthr:2\nonednn_verbose,v1,info,cpu,isa:${said}\n`;
  const mkl = (said: string) =>
    `MKL_VERBOSE oneMKL 2024.0 Product build 20231011 for Intel(R) 64 architecture ${said}, Lnx 2.00GHz lp64 gnu_thread\n`;
  const AVX2 = 'Intel(R) Advanced Vector Extensions 2 (Intel(R) AVX2)';
  const AVX512 = 'Intel(R) Advanced Vector Extensions 512 (Intel(R) AVX-512)';
  const WIDE = `${AVX512} with support for INT8, BF16, FP16 (limited) instructions, and Intel(R) Advanced Matrix Extensions (Intel(R) AMX) with INT8 and BF16`;
  const SKYLAKE = 'Intel AVX-512 with AVX512BW, AVX512VL, and AVX512DQ extensions';
  const cases = [
    ['native', 'AVX512', onednn('Intel AVX10.1 and Intel AMX with bfloat16 and 8-bit integer support'), mkl(WIDE)],
    ['avx2', 'AVX2', onednn('Intel AVX2'), mkl(`${AVX2} enabled processors`)],
    // Other makers' processors: MKL names nothing.
    ['avx2', 'AVX2', onednn('Intel AVX2'), mkl('processors')],
    ['avx512', 'AVX512', onednn(SKYLAKE), mkl(`${AVX512} enabled processors`)],
    // A switch that did not take, in each of the three.
    ['avx2', 'AVX512', onednn('Intel AVX2'), mkl(`${AVX2} enabled processors`)],
    ['avx2', 'AVX2', onednn('Intel AVX2 with Intel DL Boost'), mkl(`${AVX2} enabled processors`)],
    ['avx2', 'AVX2', onednn('Intel AVX2'), mkl(WIDE)],
    ['avx512', 'AVX512', onednn(SKYLAKE), mkl(WIDE)],
    ['avx2', 'AVX2', 'something else', mkl(`${AVX2} enabled processors`)],
  ];

  it('is read from what the libraries say, and a cap that one of them did not take is refused', () => {
    const said: unknown = JSON.parse(
      execFileSync(python3, [folderOf('../fixtures/python/isa.py'), RUNNER, KIT], {
        input: JSON.stringify(cases),
        encoding: 'utf8',
      }),
    );
    expect(said).toEqual([
      ['avx512-vnni-bf16-fp16-amx', WIDE, null],
      ['avx2', AVX2, null],
      ['avx2', 'unknown', null],
      ['avx512', AVX512, null],
      ['avx512', AVX2, 'isa avx2: ATen runs AVX512 on this machine'],
      ['avx2', AVX2, 'isa avx2: onednn runs Intel AVX2 with Intel DL Boost in spite of its switch'],
      ['avx2', WIDE, `isa avx2: mkl runs ${WIDE} in spite of its switch`],
      ['avx512', WIDE, `isa avx512: mkl runs ${WIDE} in spite of its switch`],
      ['avx2', AVX2, 'isa avx2: oneDNN does not say what it runs'],
    ]);
  });
});

describe('a Python that cannot be used', () => {
  let folder: string;
  const program = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, `#!/bin/sh\n${text}\n`, {mode: 0o755});
    return path;
  };
  const reasonOf = async (path: string): Promise<string | null> =>
    (await probePython({cacheDir: folder, env: {BENCH_PYTHON: path}})).reason;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bench-python-'));
  });
  afterAll(async () => await rm(folder, {recursive: true, force: true}));

  it('is described in one line that says what to do', async () => {
    const how = 'run `bench setup python`, or set BENCH_PYTHON to a Python that has PyTorch';
    expect(await reasonOf(join(folder, 'nowhere'))).toBe(`${folder}/nowhere does not exist: ${how}`);
    expect((await probePython({cacheDir: folder, env: {}})).reason).toBe(`no Python environment: ${how}`);
    const dead = await program('dead', 'kill -SEGV $$');
    expect(await reasonOf(dead)).toBe(`${dead} died with SIGSEGV while it imported PyTorch: ${how}`);
    const broken = await program('broken', 'echo "ImportError: libcudart.so.13: no such file" >&2; exit 1');
    expect(await reasonOf(broken)).toBe(
      `${broken} failed with status 1 (ImportError: libcudart.so.13: no such file): ${how}`,
    );
    const old = await program('old', `echo '{"executable":"x","version":"3.8.1","reason":"Python 3.8.1 is too old"}'`);
    expect(await reasonOf(old)).toBe(`${old}: Python 3.8.1 is too old: ${how}`);
    // A rented image with PyTorch needs three small packages, and not another PyTorch.
    const lacks = 'transformers cannot be imported: ModuleNotFoundError: No module named transformers';
    const bare = await program(
      'bare',
      `echo '{"executable":"x","version":"3.12.1","torch":"2.9.1+cu128","reason":"${lacks}"}'`,
    );
    expect(await reasonOf(bare)).toBe(
      `${bare}: ${lacks}: run \`${bare} -m pip install "transformers==5.17.*" accelerate safetensors\`, or \`bench setup python\``,
    );
    const babbling = await program('babbling', 'echo hello');
    expect(await reasonOf(babbling)).toBe(`${babbling} failed with status 0: ${how}`);
  });

  const oldPython = ['3.9.18', '3.8.18'].map((version) => join(homedir(), '.pyenv/versions', version, 'bin/python'));
  const old = oldPython.find((path) => existsSync(path)) ?? '';
  it.skipIf(old === '')('says so itself when it is too old for the worker', async () => {
    const {events, exitCode} = await runWorkerProgram({file: old, args: [WORKER], env: {}}, workOrder());
    expect(events).toMatchObject([{type: 'failed', error: {code: 'PYTHON_MISSING'}}]);
    expect(exitCode).toBe(1);
  });

  it.skipIf(python3 === '')('says so when a package breaks while it is imported', async () => {
    await mkdir(join(folder, 'torch'));
    await writeFile(
      join(folder, 'torch', '__init__.py'),
      'print("noise")\nraise OSError("libcudart.so.13: not found")\n',
    );
    const launch = {file: python3, args: [WORKER], env: {PYTHONPATH: folder}};
    const {events} = await runWorkerProgram(launch, workOrder());
    expect(events).toMatchObject([{type: 'failed', error: {code: 'PYTHON_MISSING'}}]);
    const [failed] = eventsOf(events, 'failed');
    expect(failed?.error.message).toMatch(
      /^torch cannot be imported: libcudart\.so\.13: not found \(.*bench setup python/,
    );
  });

  it.skipIf(python3 === '')(
    'says so when a package is too old, before a cell is planned and when one starts',
    async () => {
      const old = join(folder, 'old-packages');
      await mkdir(join(old, 'torch'), {recursive: true});
      await writeFile(join(old, 'torch', '__init__.py'), '__version__ = "2.5.1+cu124"\n');
      const said = 'torch 2.5.1+cu124 is too old: 2.6 or newer is needed';
      const env = {...process.env, PYTHONPATH: old};
      const probed: unknown = JSON.parse(execFileSync(python3, [join(RUNNER, 'probe.py')], {env, encoding: 'utf8'}));
      expect(probed).toMatchObject({reason: said});
      const {events} = await runWorkerProgram({file: python3, args: [WORKER], env: {PYTHONPATH: old}}, workOrder());
      expect(events).toMatchObject([{type: 'failed', error: {code: 'PYTHON_MISSING'}}]);
      expect(eventsOf(events, 'failed')[0]?.error.message).toContain(said);
    },
  );
});

describe.skipIf(torchPython === '')('the transformers worker', () => {
  let cache: string;
  let host: HostFacts;
  const folders = new Map<Format, string>();
  beforeAll(async () => {
    cache = await mkdtemp(join(tmpdir(), 'bench-transformers-'));
    const store = new LocalWeightsStore({cacheDir: cache, env: {}});
    for (const format of ['fp32', 'bf16', 'fp16', 'gptq-4bit'] as const) {
      const {path} = await store.ensure(
        {source: 'synthetic:bench-tiny', format, seed: 1},
        {signal: new AbortController().signal, onProgress: () => undefined},
      );
      folders.set(format, path);
    }
    const {python, reason} = await probePython({cacheDir: cache, env: {BENCH_PYTHON: torchPython}});
    expect(reason).toBeNull();
    const base = planHost();
    host = {...base, software: {...base.software, python, pythonReason: reason}};
  }, SLOW_MS);
  afterAll(async () => await rm(cache, {recursive: true, force: true}));

  const run = (format: Format, changes: OrderChanges = {}): Promise<WorkerRun> => {
    const order = workOrder({
      weightsPath: folders.get(format) ?? '',
      ...changes,
      cell: {runner: {id: 'transformers'}, format, ...changes.cell},
    });
    return runWorkerProgram(transformersRunner.launch(order.cell, host), order);
  };

  const cases: readonly (readonly [name: string, Format, OrderChanges, object, object])[] = [
    ['fp32 by hand', 'fp32', {settings: {loop: 'hand'}}, {kernel: 'torch-linear', dtype: 'fp32'}, {}],
    ['bf16 by generate()', 'bf16', {}, {kernel: 'torch-linear', dtype: 'bf16'}, {}],
    [
      'fp16 by generate(), a batch of 2 with a shared prefix',
      'fp16',
      {workload: {batch: 2, prefixCache: 'shared:8'}},
      {kernel: 'torch-linear', dtype: 'fp16'},
      {batch: 2, evaluatedTokens: 16, cachedTokens: 8},
    ],
    [
      'fp16 by hand, a batch of 2 with a shared prefix, from memory',
      'fp16',
      {settings: {loop: 'hand', mmap: false, flashAttention: true}, workload: {batch: 2, prefixCache: 'shared:8'}},
      {kernel: 'torch-linear', dtype: 'fp16', effective: {mmap: false, flashAttention: true, loop: 'hand'}},
      {batch: 2, evaluatedTokens: 16, cachedTokens: 8},
    ],
    ['gptq with the kernel that auto finds', 'gptq-4bit', {}, {kernel: 'int4pack-cpu', dtype: 'fp16'}, {}],
    ['fp16, a batch of 16', 'fp16', {workload: {batch: 16}}, {kernel: 'torch-linear'}, {batch: 16}],
    [
      'gptq unpacked in every pass',
      'gptq-4bit',
      {cell: {kernel: 'dequant-eager'}, settings: {loop: 'hand'}},
      {kernel: 'dequant-eager', effective: {kernel_class: 'GptqLinear'}},
      {},
    ],
  ];
  it.each(cases)(
    'runs %s',
    async (_, format, changes, loadedAs, requestAs) => {
      const {events, exitCode, stderr} = await run(format, changes);
      expect(events.at(-1)?.type, stderr).toBe('done');
      expect(exitCode).toBe(0);
      const [loaded] = eventsOf(events, 'loaded');
      expect(loaded).toMatchObject(loadedAs);
      expect(loaded?.parameters).toBe(2_623_744);
      expect(CAVEAT_CODES).toEqual(expect.arrayContaining(loaded?.caveats ?? []));
      expect(Object.keys(loaded?.effective ?? {})).toEqual(
        expect.arrayContaining(Object.keys(workOrder().cell.settings)),
      );
      const requests = eventsOf(events, 'request');
      expect(requests.filter(({phase}) => phase === 'measure')).toHaveLength(3);
      for (const request of requests) {
        expect(request).toMatchObject({promptTokens: 24, evaluatedTokens: 24, cachedTokens: 0, batch: 1, ...requestAs});
        expect(request.tokenNs).toHaveLength(5);
        const times = [request.startNs, ...request.tokenNs];
        expect(times.every((time, index) => index === 0 || time > (times[index - 1] ?? 0))).toBe(true);
      }
    },
    SLOW_MS,
  );

  it(
    'never runs code that a model folder brings along',
    async () => {
      const foreign = join(cache, 'foreign');
      await cp(folders.get('fp16') ?? '', foreign, {recursive: true});
      const config: unknown = JSON.parse(await readFile(join(foreign, 'config.json'), 'utf8'));
      const autoMap = {AutoConfig: 'evil.EvilConfig', AutoModelForCausalLM: 'evil.EvilModel'};
      await writeFile(
        join(foreign, 'config.json'),
        JSON.stringify({...z.looseObject({}).parse(config), model_type: 'evil', auto_map: autoMap}),
      );
      const trace = join(cache, 'it-ran');
      await writeFile(join(foreign, 'evil.py'), `open(${JSON.stringify(trace)}, "w").write("yes")\n`);
      const {events} = await run('fp16', {weightsPath: foreign});
      expect(events.at(-1)).toMatchObject({type: 'failed', error: {code: 'UNSUPPORTED'}});
      expect(existsSync(trace)).toBe(false);
    },
    SLOW_MS,
  );

  it.skipIf(process.arch !== 'x64')(
    'runs the AVX2 code of every library under the cap',
    async () => {
      const {events} = await run('fp16', {cell: {isa: 'avx2'}});
      const [loaded] = eventsOf(events, 'loaded');
      expect(loaded).toMatchObject({isa: 'avx2', effective: {aten_isa: 'AVX2', onednn_isa: 'Intel AVX2'}});
      expect(String(loaded?.effective['mkl_isa'])).not.toMatch(/512/);
    },
    SLOW_MS,
  );

  it.skipIf(!/^flags.*\bavx512dq\b.*\bavx512bw\b/m.test(cpuinfo()))(
    'runs AVX-512 without what came after it under that cap: no VNNI, no bfloat16, no AMX',
    async () => {
      const {events} = await run('bf16', {cell: {isa: 'avx512'}});
      const [loaded] = eventsOf(events, 'loaded');
      expect(loaded).toMatchObject({isa: 'avx512', effective: {aten_isa: 'AVX512'}});
      expect(String(loaded?.effective['onednn_isa'])).toMatch(/^Intel AVX-512 with AVX512BW, AVX512VL, and AVX512DQ/);
      expect(String(loaded?.effective['onednn_isa'])).not.toMatch(/AMX|Boost|float16|AVX10/);
    },
    SLOW_MS,
  );

  it(
    'refuses what cannot run with the reason, before and after the start',
    async () => {
      const {cell} = workOrder({cell: {format: 'gptq-4bit', kernel: 'dequant-triton'}});
      expect(transformersRunner.supports(cell, host)).toEqual({
        ok: false,
        reason: 'kernel dequant-triton: needs an NVIDIA GPU',
      });
      const started = await run('gptq-4bit', {cell: {kernel: 'no-such-kernel'}});
      expect(started.events.at(-1)).toMatchObject({type: 'failed', error: {code: 'UNSUPPORTED'}});
      const missing = await run('fp16', {weightsPath: join(cache, 'nowhere')});
      expect(missing.events.at(-1)).toMatchObject({type: 'failed', error: {code: 'MODEL_CORRUPT'}});
    },
    SLOW_MS,
  );

  it(
    'gives each sequence of a batch of 1, 2, 4, 8 and 16 the tokens that it gets alone, in both loops',
    () => {
      const sizes = [1, 2, 4, 8, 16];
      const prompt = (sequence: number) => Array.from({length: 12}, (_, index) => (index * 61 + sequence * 37) % 1000);
      const orders = (
        [
          ['fp32', 'hand'],
          ['fp32', 'generate'],
          ['gptq-4bit', 'hand'],
        ] as const
      ).map(([format, loop]) =>
        workOrder({
          weightsPath: folders.get(format) ?? '',
          cell: {format, kernel: format === 'fp32' ? 'auto' : 'dequant-eager'},
          settings: {loop},
        }),
      );
      const batches = sizes.map((size) => Array.from({length: size}, (_, sequence) => prompt(sequence)));
      const runs = BatchesSchema.parse(
        JSON.parse(
          execFileSync(torchPython, [folderOf('../fixtures/python/batches.py'), RUNNER, KIT], {
            input: JSON.stringify({orders, batches, generated: 6}),
            encoding: 'utf8',
            stdio: ['pipe', 'pipe', 'ignore'],
          }),
        ),
      );
      expect(runs.map(({batch}) => batch)).toEqual([...sizes, ...sizes, ...sizes]);
      for (const run of runs) {
        const name = `${run.format} ${run.loop} ${run.batch}`;
        expect(run.together, name).toEqual(run.alone);
        expect(run, name).toMatchObject({times: 6, evaluated: 12});
      }
      // Other prompts, other tokens: the sequences were not one and the same.
      const together = runs[4]?.together.map((tokens) => tokens.join());
      expect(new Set(together).size).toBeGreaterThan(8);
    },
    SLOW_MS,
  );

  it(
    'unpacks as a plain reference does, in both zero conventions, with and without act-order',
    () => {
      const errors = ErrorsSchema.parse(
        JSON.parse(
          execFileSync(torchPython, [folderOf('../fixtures/python/gptq_linear.py'), RUNNER, KIT], {
            encoding: 'utf8',
            stdio: ['ignore', 'pipe', 'ignore'],
          }),
        ),
      );
      expect(Object.keys(errors)).toHaveLength(8);
      for (const [name, error] of Object.entries(errors)) {
        // float16 keeps 11 bits, bfloat16 8.
        expect(error, name).toBeLessThan(name.startsWith('dequant') ? 1e-3 : 1e-2);
      }
    },
    SLOW_MS,
  );

  it(
    'computes nearly the same distribution in every format and kernel',
    () => {
      const models = (
        [
          ['fp32', 'auto'],
          ['fp16', 'auto'],
          ['bf16', 'auto'],
          ['gptq-4bit', 'dequant-eager'],
          ['gptq-4bit', 'int4pack-cpu'],
        ] as const
      ).map(([format, kernel]) => [workOrder({cell: {format, kernel}}).cell, folders.get(format) ?? '']);
      const prompt = Array.from({length: 16}, (_, index) => (index * 61) % 1000);
      const logits = LogitsSchema.parse(
        JSON.parse(
          execFileSync(torchPython, [folderOf('../fixtures/python/logits.py'), RUNNER, KIT], {
            input: JSON.stringify({models, prompt}),
            encoding: 'utf8',
            maxBuffer: 64 << 20,
            stdio: ['pipe', 'pipe', 'ignore'],
          }),
        ),
      );
      const [fp32 = [], fp16 = [], bf16 = [], eager = [], int4pack = []] = logits;
      // Measured with these weights: 1e-7, 1e-5, 7e-3 and 6e-6 nats; the bounds leave room for other processors.
      expect(meanDivergence(fp32, fp16)).toBeLessThan(1e-5);
      expect(meanDivergence(fp32, bf16)).toBeLessThan(1e-3);
      expect(meanDivergence(fp16, eager)).toBeLessThan(0.05);
      // Two kernels, one set of weights: they differ by the bfloat16 of one of them only.
      expect(meanDivergence(eager, int4pack)).toBeLessThan(1e-3);
      // And 4 bits are seen: a divergence of nothing would mean that the wrong weights ran.
      expect(meanDivergence(fp16, eager)).toBeGreaterThan(meanDivergence(fp32, fp16) * 10);
    },
    SLOW_MS,
  );
});

function cpuinfo(): string {
  return existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
}

const LogitsSchema = z.array(z.array(z.array(z.number())));
const BatchesSchema = z.array(
  z.object({
    loop: z.string(),
    format: z.string(),
    batch: z.int(),
    times: z.int(),
    evaluated: z.int(),
    together: z.array(z.array(z.int())),
    alone: z.array(z.array(z.int())),
  }),
);
const ErrorsSchema = z.record(z.string(), z.number());
