import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {CellSchema} from '../../../harness/contract/cell.ts';
import {FORMATS} from '../../../harness/contract/format.ts';
import {type ExpandedCell, expandCells, type PlanOverrides} from '../../../harness/plan/expand.ts';
import {loadText, matrixText, mistakesOf} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planHost, planRunners} from '../../support/plan-hosts.ts';

const runnerIds = [...planRunners().keys()];

async function expand(
  lines: Readonly<Record<string, string>>,
  {host = planHost(), overrides = {}}: {host?: ReturnType<typeof planHost>; overrides?: PlanOverrides} = {},
): Promise<ExpandedCell[]> {
  const loaded = await loadText(matrixText(lines));
  return expandCells({loaded, host, catalogue: PLAN_CATALOGUE, runnerIds, overrides});
}

const brief = (cells: readonly ExpandedCell[]) =>
  cells.map(({cell}) => [cell.format, cell.runner.id, cell.kernel, cell.device, cell.isa].join(' '));

describe('expandCells', () => {
  test('crosses formats only with runners that read their family', async () => {
    const cells = await expand({
      formats: '[fp16, gptq-4bit, gguf-f16]',
      runners: '[llama-cpp, transformers, simulated]',
    });
    expect(brief(cells)).toMatchInlineSnapshot(`
      [
        "fp16 transformers auto amd-epyc-9r14 native",
        "fp16 simulated auto amd-epyc-9r14 native",
        "gptq-4bit transformers auto amd-epyc-9r14 native",
        "gptq-4bit simulated auto amd-epyc-9r14 native",
        "gguf-f16 llama-cpp auto amd-epyc-9r14 native",
        "gguf-f16 simulated auto amd-epyc-9r14 native",
      ]
    `);
  });

  test('asks for a kernel by name only where it belongs, and leaves other formats to the runner', async () => {
    const lines = {
      formats: '[fp16, gptq-4bit]',
      runners: '[transformers]',
      kernels: '[int4pack-cpu, marlin]',
      devices: '[host-cpu, t4]',
    };
    expect(brief(await expand(lines))).toEqual([
      'fp16 transformers auto amd-epyc-9r14 native',
      'gptq-4bit transformers int4pack-cpu amd-epyc-9r14 native',
      'fp16 transformers auto t4 native',
      'gptq-4bit transformers marlin t4 native',
    ]);
  });

  test('caps the instruction set on CPUs only', async () => {
    const cells = await expand({formats: '[gguf-f16]', isa: '[native, avx2]', devices: '[host, t4]'});
    expect(brief(cells)).toEqual([
      'gguf-f16 llama-cpp auto amd-epyc-9r14 native',
      'gguf-f16 llama-cpp auto amd-epyc-9r14 avx2',
      'gguf-f16 llama-cpp auto t4 native',
    ]);
  });

  test('means each device once, however many words stand for it', async () => {
    const cells = await expand({devices: '[host-gpu, t4, host, host-cpu]'}, {host: planHost({gpu: 't4'})});
    expect(new Set(cells.map(({cell}) => cell.device))).toEqual(new Set(['t4', 'amd-epyc-9r14']));
    expect(cells).toHaveLength(4);
  });

  test('gives a cell the same id on the machine that plans it and on the one that runs it', async () => {
    const lines = {devices: '[t4, ryzen-7-5800hs]', sweep: '{threads: [1, cores]}'};
    const hosts = [planHost(), planHost({gpu: 't4', cores: 8}), planHost({cpu: 'ryzen-7-5800hs', cores: 16})];
    const ids = await Promise.all(
      hosts.map(async (host) => (await expand(lines, {host})).map(({cell}) => [cell.device, cell.id].join(' '))),
    );
    expect(ids[1]).toEqual(ids[0]);
    expect(ids[2]).toEqual(ids[0]);
    expect(new Set(ids[0]).size).toBe(8);
  });

  test('sets every setting: threads, layers, flash attention and context by device and workload', async () => {
    const cells = await expand({formats: '[gguf-f16]', devices: '[host, t4]'}, {host: planHost({cores: 6})});
    expect(cells.map(({cell}) => cell.settings)).toMatchInlineSnapshot(`
      [
        {
          "batchTokens": 2048,
          "contextTokens": 256,
          "engineBuild": "prebuilt",
          "flashAttention": false,
          "gpuLayers": 0,
          "kvType": "f16",
          "loop": "generate",
          "mmap": true,
          "threads": 6,
          "ubatchTokens": 512,
        },
        {
          "batchTokens": 2048,
          "contextTokens": 256,
          "engineBuild": "prebuilt",
          "flashAttention": true,
          "gpuLayers": 999,
          "kvType": "f16",
          "loop": "generate",
          "mmap": true,
          "threads": 1,
          "ubatchTokens": 512,
        },
      ]
    `);
  });

  test('lets later settings win: matrix, workload, include, sweep, override', async () => {
    const cells = await expand({
      formats: '[gguf-f16, gguf-q8_0, gguf-q4_k_m]',
      workloads: '[{name: w, prompt_tokens: 8, generated_tokens: 4, settings: {kv_type: q8_0}}]',
      settings: '{kv_type: f32, mmap: false, ubatch_tokens: 64}',
      include: '[{format: gguf-f16}, {format: gguf-q*, settings: {ubatch_tokens: 128}}]',
      exclude: '[{format: "*q8*"}]',
      sweep: '{mmap: [true, false]}',
      override:
        '[{when: {format: gguf-q4_k_m}, settings: {mmap: true}, rounds: 2, requests: 9, half_width: 0.1, warmup_max: 0, budget_seconds: 7}]',
    });
    expect(
      cells.map(({cell: {format, settings, rounds, stop}}) => [
        format,
        settings.kvType,
        settings.ubatchTokens,
        settings.mmap,
        rounds,
        stop.minRequests,
        stop.relativeHalfWidth,
        [stop.warmupMinRequests, stop.warmupMaxRequests],
        stop.budgetSeconds,
      ]),
    ).toEqual([
      ['gguf-f16', 'q8_0', 64, true, 3, 22, 0.02, [1, 5], 120],
      ['gguf-f16', 'q8_0', 64, false, 3, 22, 0.02, [1, 5], 120],
      ['gguf-q4_k_m', 'q8_0', 128, true, 2, 5, 0.1, [0, 0], 7],
    ]);
  });

  test('leaves settings that a runner does not have at their default, so that they split no cell', async () => {
    const cells = await expand({sweep: '{loop: [hand, generate]}', settings: '{simulate: {token_s: 1}}'});
    expect(cells).toHaveLength(2);
    expect(cells[0]?.cell.settings).not.toHaveProperty('simulate');
  });

  test('brings kernels of its own with an include rule', async () => {
    const cells = await expand({
      formats: '[fp16, gptq-4bit]',
      runners: '[transformers]',
      include: '[{format: fp16}, {format: gptq-4bit, kernels: [dequant-eager, int4pack-cpu]}]',
    });
    expect(cells.map(({cell}) => cell.kernel)).toEqual(['auto', 'dequant-eager', 'int4pack-cpu']);
  });

  test('lets the command line change rounds and budget, and no id', async () => {
    const plain = await expand({});
    const changed = await expand({}, {overrides: {rounds: 5, budgetSeconds: 3}});
    expect(changed.map(({cell}) => cell.id)).toEqual(plain.map(({cell}) => cell.id));
    expect(changed[0]?.cell).toMatchObject({rounds: 5, stop: {budgetSeconds: 3, minRequests: 13, maxRequests: 103}});
  });

  test('a running server has the formats that the matrix has urls for, and a started one all of them', async () => {
    const url = '{gguf-f16: "http://127.0.0.1:1/v1", fp16: "http://127.0.0.1:2/v1"}';
    const cells = await expand({
      formats: '[fp16, gguf-f16, gguf-q8_0]',
      runners: `[{name: running, server: {url: ${url}}}, {name: started, server: {command: [serve, "{port}"]}}]`,
      kernels: '[marlin]',
    });
    expect(
      cells.map(({cell}) => [cell.format, cell.runner.id, cell.kernel, cell.runner.server?.url].join(' ')),
    ).toEqual([
      'fp16 running auto http://127.0.0.1:2/v1',
      'fp16 started auto ',
      'gguf-f16 running auto http://127.0.0.1:1/v1',
      'gguf-f16 started auto ',
      'gguf-q8_0 started auto ',
    ]);
  });

  test('a server elsewhere has its own device and no other runner has it', async () => {
    const server = '{url: "http://10.1.1.1:8000/v1", device: h100}';
    const cells = await expand({formats: '[gguf-f16]', runners: `[llama-cpp, {name: far, server: ${server}}]`});
    expect(cells.map(({cell, device}) => [cell.runner.id, cell.device, cell.deviceKind, device.here?.name])).toEqual([
      ['llama-cpp', 'amd-epyc-9r14', 'cpu', 'amd-epyc-9r14'],
      ['far', 'h100', 'cuda', undefined],
    ]);
    const moved = await expand({
      formats: '[gguf-f16]',
      runners: `[{name: far, server: ${server.replace('10.1', '10.2')}}]`,
    });
    // The same deployment on another host is the same cell.
    expect(moved[0]?.cell.id).toBe(cells[1]?.cell.id);
    const chat = await expand({
      formats: '[gguf-f16]',
      runners: `[{name: far, server: ${server.replace('device', 'endpoint: chat, device')}}]`,
    });
    expect(chat[0]?.cell.id).not.toBe(cells[1]?.cell.id);
  });

  test('settings exist for a server when its command passes them on', async () => {
    const of = async (command: string) =>
      (
        await expand({
          formats: '[gguf-f16]',
          runners: `[{name: s, server: {command: [${command}]}}]`,
          sweep: '{threads: [1, 2], kv_type: [f16, q8_0]}',
        })
      ).map(({cell}) => [cell.settings.threads, cell.settings.kvType].join(' '));
    expect(await of('serve, "{port}"')).toEqual(['2 f16']);
    expect(await of('serve, "{port}", "-t={threads}"')).toEqual(['1 f16', '2 f16']);
    expect(await of('serve, "{port}", "{threads}", "{kv_type}"')).toHaveLength(4);
  });

  test('takes the context of a prompts file from its longest prompt', async () => {
    const prompt = JSON.stringify({id: 'a', language: 'japanese', prompt: '豆'.repeat(200), answer: '{}'});
    const workloads = '[{name: w, prompts: p.jsonl, generated_tokens: 40}]';
    const loaded = await loadText(matrixText({workloads}), {'p.jsonl': `${prompt}\n`});
    const [first] = expandCells({loaded, host: planHost(), catalogue: [], runnerIds});
    expect(first?.cell.settings.contextTokens).toBe(768);
    expect(first?.cell.workload).toMatchObject({promptTokens: 0, prompts: 'p.jsonl'});
    expect(first?.cell.workload.promptsSha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each(['b200', 'l4', 'h20', 'rtx-4090', 'amd-epyc-9654', 'qemu-virtual-cpu'])(
    'waits for %s, though the catalogue does not know it',
    async (name) => {
      const cells = await expand({devices: `[${name}]`});
      expect(cells[0]).toMatchObject({cell: {device: name}, device: {here: null, entry: null}});
    },
  );

  test.each([
    [{devices: '[hots, a100-80g, gpu, h20, xeon]'}],
    [{devices: '[host-gpu]'}],
    [{runners: '[lama-cpp, {name: simulated, command: [x]}]'}],
    [{kernels: '[exllamav2]'}],
    [{exclude: '[{device: t4}, {format: gguf-f16, runner: transformers}]', runners: '[llama-cpp, transformers]'}],
    [{exclude: '[{kernel: marlin}]', kernels: '[auto, marlin]', runners: '[transformers]', formats: '[fp16]'}],
    [{settings: '{context_tokens: 12, batch_tokens: 16}'}],
    [{formats: '[fp16]'}],
    [{exclude: '[{model: "*"}]'}],
    [{runners: '[openai-http, {name: llama-cpp, server: {url: "http://127.0.0.1/v1"}}]'}],
    [{runners: '[{name: a, server: {url: "http://127.0.0.1/v1"}}]'}],
    [{runners: '[{name: a, server: {url: "http://10.1.1.1/v1", device: h10}}]'}],
  ])('says what makes no sense in %o', async (lines) => {
    expect({message: await mistakesOf(() => expand(lines))}).toMatchSnapshot();
  });

  test('makes valid cells with ids of their own, and obeys its rules, whatever is crossed', async () => {
    const some = <T>(...values: T[]) => fc.uniqueArray(fc.constantFrom(...values), {minLength: 1});
    const matrices = fc.record({
      formats: some(...(Object.keys(FORMATS) as (keyof typeof FORMATS)[])),
      runners: some<string | object>('llama-cpp', 'transformers', 'simulated', {
        name: 'served',
        server: {command: ['serve', '{port}', '{threads}']},
      }),
      kernels: some('auto', 'dequant-eager', 'int4pack-cpu', 'marlin'),
      devices: some('host', 'host-cpu', 'host-gpu', 't4', 'a100-80gb', 'ryzen-7-5800hs'),
      isa: some('native', 'avx2'),
      threads: some<number | string>(1, 2, 'cores'),
      mmap: some(true, false),
      out: fc.constantFrom('*f16', 'gguf-*', '*q?_k*', 'fp16'),
    });
    await fc.assert(
      fc.asyncProperty(matrices, async ({out, threads, mmap, ...axes}) => {
        const lines = Object.fromEntries(Object.entries(axes).map(([key, values]) => [key, JSON.stringify(values)]));
        const sweep = JSON.stringify({threads, mmap});
        const cells = await expand({...lines, sweep, exclude: `[{format: "${out}"}]`}).catch(() => null);
        if (cells === null) return;
        const excluded = new RegExp(`^${out.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        expect(new Set(cells.map(({cell}) => cell.id)).size).toBe(cells.length);
        for (const {cell} of cells) {
          CellSchema.parse(cell);
          expect(cell.format).not.toMatch(excluded);
          expect(axes.formats).toContain(cell.format);
          if (cell.runner.id === 'llama-cpp') expect(FORMATS[cell.format].family).toBe('gguf');
          if (cell.deviceKind === 'cpu') expect(cell.settings.gpuLayers).toBe(0);
          else expect(cell.isa).toBe('native');
          if (cell.kernel === 'marlin') expect([cell.format, cell.deviceKind]).toEqual(['gptq-4bit', 'cuda']);
        }
      }),
      {numRuns: 100},
    );
  });
});
