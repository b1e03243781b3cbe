import {describe, expect, test} from 'vitest';
import {BenchError} from '../../../harness/contract/errors.ts';
import {loadMatrix} from '../../../harness/plan/load-matrix.ts';
import {loadText, matrixText, mistakesOf} from '../../support/matrix-file.ts';

const mistakes = (lines: Readonly<Record<string, string>>, files = {}) =>
  mistakesOf(() => loadText(matrixText(lines), files));

describe('loadMatrix', () => {
  test('fills in every default', async () => {
    const {matrix, sha256} = await loadText(matrixText());
    expect(matrix).toMatchObject({runners: ['llama-cpp'], kernels: ['auto'], isa: ['native'], rounds: 3});
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test('names file, line, column, path and the nearest word, one line a mistake, in the order of the file', async () => {
    const text = mistakes({
      models: '[{name: M, source: "synthetic:x", sede: 1}]',
      formats: '[gguf-f16, gguf-q4km]',
      runers: '[llama-cpp]',
      workloads: '[]',
      settings: '{threads: core, mmap: yes, kv_type: f17}',
      sweep: '{thread: [1]}',
      rounds: '0',
      order: 'interleave',
      exclude: '[{formt: gguf-f16}]',
    });
    expect(await text).toMatchInlineSnapshot(`
      "BenchError: FILE:2:17: models[0].name: "M": use lower-case letters, digits, ".", "_" and "-"
      FILE:2:43: models[0].sede: no such key; did you mean "seed"?
      FILE:3:21: formats[1]: "gguf-q4km" is no format; did you mean "gguf-q4_k_m"?
      FILE:5:12: workloads: is empty: give at least one
      FILE:6:1: runers: no such key; did you mean "runners"?
      FILE:7:21: settings.threads: "core" will not do; did you mean "cores"?
      FILE:7:33: settings.mmap: "yes" is a text, but it must be true or false
      FILE:7:47: settings.kv_type: "f17" is no type of the KV cache; did you mean "f16"?
      FILE:8:9: sweep.thread: no such key; did you mean "threads"?
      FILE:9:9: rounds: 0 is too small: it must be above 0
      … and 2 more"
    `);
  });

  test('reports at most ten mistakes and counts the rest', async () => {
    const keys = Object.fromEntries(Array.from({length: 14}, (_, index) => [`zzzzz${index}`, '1']));
    const lines = (await mistakes(keys)).split('\n');
    expect(lines).toHaveLength(11);
    expect(lines.at(-1)).toBe('… and 4 more');
  });

  test.each([
    ['a missing key', 'matrix: x\n'],
    ['a duplicate key', `${matrixText()}formats: [fp16]\n`],
    ['broken YAML', 'matrix: [\n'],
    ['a key without a colon', 'matrix: x\nmodels\nformats: [fp16]\n'],
    ['a tab', 'matrix: x\nmodels:\n\t- name: m\n'],
    ['an empty file', ''],
    ['a list instead of a map', '[1, 2]\n'],
    ['two documents', `${matrixText()}---\n${matrixText()}`],
    ['an own tag', `${matrixText()}title: !exec rm\n`],
    ['a tag of the core schema', `${matrixText()}title: !!str 1\n`],
    ['an alias inside its own anchor', `${matrixText()}title: &a [*a]\n`],
    ['an unknown alias', `${matrixText()}title: *a\n`],
    ['aliases of aliases', bomb()],
    ['brackets without end', '['.repeat(100_000)],
    ['a file that is too large', `# ${'x'.repeat(2 ** 20)}\n`],
    ['bytes that are no text', new Uint8Array([0xff, 0xfe, 0x00, 0x80])],
  ])('says in a line what is wrong with %s', async (_name, text) => {
    let error: unknown;
    await loadText(text).catch((caught: unknown) => {
      error = caught;
    });
    expect(error).toBeInstanceOf(BenchError);
    expect(error).toMatchObject({code: 'MATRIX_INVALID', exitCode: 2});
    const message = String(error).replaceAll(/\S*m\.yaml/g, 'FILE');
    expect({message}).toMatchSnapshot();
  });

  test.each([
    [{models: '[{name: m, source: "synth:x"}, {name: m, source: "hf:org"}]'}],
    [{formats: '[gguf-f16, gguf-f16]'}],
    [{workloads: '[{name: w, generated_tokens: 4}]'}],
    [{workloads: '[{name: w, generated_tokens: 4, prompt_tokens: 4, prefix_cache: "shared:4"}]'}],
    [{workloads: '[{name: w, generated_tokens: 4, prompt_tokens: 4, prefix_cache: "share:4"}]'}],
    [{workloads: '[{name: w, generated_tokens: 4, prompts: none.jsonl}]'}],
    [{runners: '[{name: mine, comand: [x]}]'}],
    [{runners: '[{name: mine}, {name: both, command: [x], server: {url: "http://127.0.0.1/v1"}}]'}],
    [{runners: '[{name: a, server: {}}, {name: b, server: {url: "http://127.0.0.1/v1", command: [x]}}]'}],
    [{runners: '[{name: a, server: {url: "ftp://x"}}, {name: b, server: {url: "127.0.0.1:8000"}}]'}],
    [{runners: '[{name: a, server: {url: "http://me:secret@127.0.0.1/v1"}}]'}],
    [{runners: '[{name: a, server: {url: "http://127.0.0.1/v1?key=1"}}]'}],
    [{runners: '[{name: a, server: {url: {gguf-f16: "http://10.0.0.7:8000/v1"}}}]'}],
    [{runners: '[{name: a, server: {url: {gguf-f17: "http://127.0.0.1/v1"}}}]'}],
    [{runners: '[{name: a, server: {url: "http://127.0.0.1/v1", api_key_env: sk-123}}]'}],
    [{runners: '[{name: a, server: {url: "http://127.0.0.1/v1", api_key: sk-123, env: {A: b}}}]'}],
    [{runners: '[{name: a, server: {url: "http://127.0.0.1/v1", env: {A: b}}}]'}],
    [{runners: '[{name: a, server: {command: [serve, "{modle}", "{port}"], device: h100}}]'}],
    [{runners: '[{name: a, server: {command: [serve, "{model}"]}}]'}],
    [{runners: '[{name: a, server: {url: "http://127.0.0.1/v1", endpoint: chats}}]'}],
    [{runners: '[3]'}],
    [{requests: '{min: 9, max: 3, warmup_min: 4, warmup_max: 2}'}],
    [{sweep: '{threads: [1, two, 1]}'}],
    [{sweep: '{kv_type: [fp16], mmap: [yes]}'}],
    [{sweep: '{}'}],
    [{sweep: 'null'}],
    [{exclude: '[{format: gguf-q8*}, {workload: v}]'}],
    [{override: '[{when: {model: [m, n]}, rounds: 1}]'}],
    [{budget_seconds: '"ten"', formats: 'fp16', canary: '3'}],
    [{formats: '[Q4_K_M, q8_0]'}],
    [{models: '[llama-3.2-1b]', workloads: ''}],
    [{threads: '2', batch: '4', limits: '{rounds: 3}'}],
    [{rounds: '1000000000'}],
    [{workloads: '[{name: w, generated_tokens: 4, prompt_tokens: 4, prefix_cache: 3}]'}],
  ])('finds the mistake in %o', async (lines) => {
    expect({message: await mistakes(lines)}).toMatchSnapshot();
  });

  test.each([
    ['no JSON', '{\n'],
    ['a missing answer', '{"id": "a", "language": "english", "prompt": "x"}\n'],
    ['an id twice', '{"id":"a","language":"e","prompt":"x","answer":"y"}\n'.repeat(2)],
    ['nothing', '\n'],
  ])('names the line of a prompts file with %s', async (_name, content) => {
    const workloads = '[{name: w, generated_tokens: 4, prompts: p.jsonl}]';
    expect({message: await mistakes({workloads}, {'p.jsonl': content})}).toMatchSnapshot();
  });

  test('says that a file or folder cannot be read', async () => {
    await expect(loadMatrix('/nowhere/x.yaml')).rejects.toThrow('/nowhere/x.yaml: does not exist');
    await expect(loadMatrix('/')).rejects.toMatchObject({code: 'FILE_UNREADABLE'});
  });
});

function bomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 9; level++) {
    lines.push(`a${level}: &a${level} [${Array.from({length: 10}, () => `*a${level - 1}`).join(', ')}]`);
  }
  return `${lines.join('\n')}\n`;
}
