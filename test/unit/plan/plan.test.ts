import {describe, expect, test} from 'vitest';
import {BenchError} from '../../../harness/contract/errors.ts';
import {PlanSchema} from '../../../harness/contract/plan.ts';
import {bindPlan, makePlan} from '../../../harness/plan/plan.ts';
import {loadText, matrixText, mistakesOf} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

type Changes = Partial<Parameters<typeof makePlan>[0]> & {readonly lines?: Readonly<Record<string, string>>};

async function plan({lines = {}, ...changes}: Changes = {}) {
  const loaded = await loadText(matrixText(lines));
  return makePlan({
    loaded,
    host: planHost(),
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(),
    harness: '0.1.0',
    ...changes,
  });
}

const verdicts = (made: Awaited<ReturnType<typeof plan>>) =>
  made.cells.map(({cell, verdict, refusedAs, reason}) =>
    [cell.format, cell.device, verdict, refusedAs, reason].join(' | '),
  );

describe('makePlan', () => {
  test('runs what this machine has and waits for the rest, with a reason', async () => {
    const made = await plan({
      lines: {formats: '[gguf-f16]', devices: '[host-cpu, t4, a100-80gb, h100, intel-xeon-6975p]'},
    });
    PlanSchema.parse(made);
    expect(verdicts(made)).toMatchInlineSnapshot(`
      [
        "gguf-f16 | amd-epyc-9r14 | run |  | runs here on amd-epyc-9r14",
        "gguf-f16 | t4 | waiting |  | waits for a t4",
        "gguf-f16 | a100-80gb | waiting |  | waits for an a100-80gb",
        "gguf-f16 | h100 | waiting |  | waits for an h100",
        "gguf-f16 | intel-xeon-6975p | waiting |  | waits for an intel-xeon-6975p, which devices.yaml does not know",
      ]
    `);
  });

  test('says of a server where it runs, and needs weights only for one that it starts with them', async () => {
    const asked: string[] = [];
    const estimate: ReturnType<typeof planEstimate> = (request) => {
      asked.push(request.source);
      return planEstimate()(request);
    };
    const made = await plan({
      lines: {
        models: '[{name: m, source: "synthetic:bench-tiny"}, {name: n, source: "server:org/n"}]',
        formats: '[gguf-f16]',
        runners:
          '[llama-cpp, {name: here, server: {url: "http://127.0.0.1:8000/v1"}}, ' +
          '{name: far, server: {url: "https://example.org/v1", device: h100}}, ' +
          '{name: own, server: {command: [serve, "{model}", "{port}"]}}]',
        exclude: '[{model: m, runner: [here, far]}]',
      },
      estimate,
      runners: planRunners(),
    });
    expect(
      made.cells.map(({cell, verdict, reason}) => [cell.model, cell.runner.id, verdict, reason].join(' | ')),
    ).toMatchInlineSnapshot(`
      [
        "m | llama-cpp | run | runs here on amd-epyc-9r14",
        "m | own | run | runs here on amd-epyc-9r14",
        "n | llama-cpp | run | runs here on amd-epyc-9r14",
        "n | here | run | runs already at http://127.0.0.1:8000/v1 on amd-epyc-9r14",
        "n | own | run | runs here on amd-epyc-9r14",
        "n | far | run | runs already at https://example.org/v1 on another machine’s h100, as the matrix says",
      ]
    `);
    expect(new Set(asked)).toEqual(new Set(['synthetic:bench-tiny', 'server:org/n']));
    const bound = await bindPlan({
      plan: made,
      host: planHost(),
      catalogue: PLAN_CATALOGUE,
      runners: planRunners(),
      estimate,
    });
    expect(bound.cells.map(({verdict, reason}) => [verdict, reason])).toEqual(
      made.cells.map(({verdict, reason}) => [verdict, reason]),
    );
  });

  test('refuses what the runner refuses, only where the device is here', async () => {
    const runners = planRunners((id) => (id === 'llama-cpp' ? 'no library' : null));
    const made = await plan({lines: {formats: '[gguf-f16]', devices: '[host-cpu, t4]'}, runners});
    expect(made.cells.map(({verdict, refusedAs}) => [verdict, refusedAs])).toEqual([
      ['refused', 'unsupported'],
      ['waiting', null],
    ]);
    expect(made.cells[0]?.reason).toBe('no library');
  });

  test('refuses what cannot fit, with the numbers: here, within a limit, on a GPU, and on one to wait for', async () => {
    const lines = {formats: '[gguf-f16, gguf-q4_k_m]', devices: '[host-cpu, host-gpu, t4, a100-80gb]'};
    const host = planHost({gpu: 't4', availableBytes: 8 * 2 ** 30, cgroupLimitBytes: 8 * 2 ** 30});
    expect(verdicts(await plan({lines, host, estimate: planEstimate(12e9)}))).toMatchInlineSnapshot(`
      [
        "gguf-f16 | amd-epyc-9r14 | refused | does-not-fit | needs 22.4 GiB (weights 22.4 GiB, KV cache 8.00 MiB, engine 85.1 MiB), but this machine has 8.00 GiB available within its limit of 8.00 GiB",
        "gguf-q4_k_m | amd-epyc-9r14 | run |  | runs here on amd-epyc-9r14",
        "gguf-f16 | t4 | refused | does-not-fit | needs 23.2 GiB (weights 22.4 GiB, KV cache 8.00 MiB, engine 856 MiB), but t4 has 16.0 GiB of 16.0 GiB free",
        "gguf-q4_k_m | t4 | run |  | runs here on t4",
        "gguf-f16 | a100-80gb | waiting |  | waits for an a100-80gb",
        "gguf-q4_k_m | a100-80gb | waiting |  | waits for an a100-80gb",
      ]
    `);
    const cuda = {formats: '[gguf-f16]', devices: '[t4]'};
    expect(verdicts(await plan({lines: cuda, estimate: planEstimate(12e9)}))).toMatchInlineSnapshot(`
      [
        "gguf-f16 | t4 | refused | does-not-fit | needs 23.2 GiB (weights 22.4 GiB, KV cache 8.00 MiB, engine 856 MiB), but a t4 has 16.0 GiB",
      ]
    `);
  });

  test('refuses a format that the source does not come in', async () => {
    const estimate = () => Promise.reject(new BenchError('UNSUPPORTED', 'hf:a/b comes in safetensors only'));
    const made = await plan({estimate});
    expect(made.cells[0]).toMatchObject({
      verdict: 'refused',
      refusedAs: 'unsupported',
      reason: 'hf:a/b comes in safetensors only',
    });
  });

  test('names the place of a source that nobody knows', async () => {
    const estimate = () => Promise.reject(new BenchError('MODEL_SOURCE_INVALID', 'no architecture named x'));
    expect(await mistakesOf(() => plan({estimate}))).toBe(
      'BenchError: FILE:2:28: models[0].source: no architecture named x',
    );
    const missing = () => Promise.reject(new BenchError('FILE_UNREADABLE', '/x.gguf: no such file or folder'));
    expect(await mistakesOf(() => plan({estimate: missing}))).toBe(
      'BenchError: FILE:2:28: models[0].source: /x.gguf: no such file or folder',
    );
    const lines = {models: '[{name: m, source: "file:a", sources: {gguf-f16: "file:b"}}]'};
    expect(await mistakesOf(() => plan({estimate, lines}))).toContain('FILE:2:58: models[0].sources.gguf-f16: ');
  });

  test('asks for the estimate of weights once, and not at all where none are needed', async () => {
    const asked: string[] = [];
    const estimate = (request: {format: string}) => {
      asked.push(request.format);
      return Promise.resolve(null);
    };
    await plan({estimate, lines: {devices: '[host-cpu, t4]', runners: '[llama-cpp, simulated]'}});
    expect(asked).toEqual(['gguf-f16', 'gguf-q4_k_m']);
  });

  test('counts the disk for weights once, with the first cell that runs with them', async () => {
    const workloads =
      '[{name: v, prompt_tokens: 8, generated_tokens: 4}, {name: w, prompt_tokens: 8, generated_tokens: 8}]';
    const made = await plan({lines: {formats: '[gguf-f16, gguf-q4_k_m]', workloads, devices: '[host-cpu, t4]'}});
    expect(made.cells.map(({estimate}) => estimate.diskBytes)).toEqual([1e9, 312.5e6, 0, 0, null, null, null, null]);
  });

  test('gives the same bytes for the same input, and another id for other cells', async () => {
    const loaded = await loadText(matrixText());
    const once = await plan({loaded});
    expect(JSON.stringify(await plan({loaded}))).toBe(JSON.stringify(once));
    const part = await plan({loaded, overrides: {only: ['format=*q4*']}});
    expect(part.planId).not.toBe(once.planId);
    expect(part.cells).toHaveLength(1);
    expect(part.cells[0]?.cell).toEqual(once.cells[1]?.cell);
  });

  test.each([['formt=x'], ['format'], ['format=gguf-q4km'], ['device=t4'], ['=x']])(
    'says what is wrong with --only %s',
    async (only) => {
      expect({message: await mistakesOf(() => plan({overrides: {only: [only]}}))}).toMatchSnapshot();
    },
  );

  test('widens with globs of one key, narrows with several keys', async () => {
    const lines = {formats: '[gguf-f16, gguf-q8_0, gguf-q4_k_m]', devices: '[host-cpu, t4]'};
    const made = await plan({lines, overrides: {only: ['format=*q8*', 'format=*q4*', 'device=host-cpu']}});
    expect(made.cells.map(({cell}) => `${cell.format} ${cell.device}`)).toEqual([
      'gguf-q8_0 amd-epyc-9r14',
      'gguf-q4_k_m amd-epyc-9r14',
    ]);
  });
});

describe('bindPlan', () => {
  test('judges a plan anew on the machine that runs it: same ids and places, its own cores', async () => {
    const made = await plan({lines: {devices: '[host-cpu, t4]'}});
    const host = planHost({gpu: 't4', cpu: 'other-cpu-1', cores: 12});
    const bound = await bindPlan({
      plan: made,
      host,
      catalogue: PLAN_CATALOGUE,
      runners: planRunners(),
      estimate: planEstimate(),
    });
    PlanSchema.parse(bound);
    expect(bound.cells.map(({cell}) => cell.id)).toEqual(made.cells.map(({cell}) => cell.id));
    expect(bound.cells.map(({verdict, cell}) => `${cell.device} ${verdict} ${cell.settings.threads}`)).toEqual([
      'amd-epyc-9r14 waiting 1',
      'amd-epyc-9r14 waiting 1',
      't4 run 12',
      't4 run 12',
    ]);
  });
});
