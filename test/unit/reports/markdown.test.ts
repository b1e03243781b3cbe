import {expect, test} from 'vitest';
import {findings} from '../../../reports/findings.ts';
import {MarkdownReporter} from '../../../reports/markdown-reporter.ts';
import {simulatedInput, simulatedRow} from '../../support/report-rows.ts';

const page = async (cells: number): Promise<string> => {
  const [file] = await new MarkdownReporter().render(simulatedInput(cells));
  return String(file?.content);
};

test('the page begins with the answer and ends with provenance', async () => {
  expect((await page(30)).match(/^##? .*$/gm)).toEqual([
    '# Simulated report',
    '## Answer',
    '## Findings',
    '## Cells',
    '## Claims',
    '## Caveats',
    '## Provenance',
  ]);
});

test('a page of 300 cells is short enough for a comment on a pull request', async () => {
  const text = await page(300);
  expect(text.length).toBeLessThan(65_536);
  expect(text).toContain('of 300 rows; results.csv has them all.');
});

test('findings name the fastest cell and say when the next one cannot be told from it', () => {
  const cell = (id: string, format: string, speed: number, width: number) =>
    simulatedRow({
      cell_id: id,
      format,
      decode_tokens_per_s: speed,
      decode_tokens_per_s_ci_low: speed - width,
      decode_tokens_per_s_ci_high: speed + width,
    });
  const title = 'rows';
  const texts = (rows: Parameters<typeof findings>[0]['rows']): string[] =>
    findings({title, runs: [], rows, requests: []}).map(({lead, text}) => `${lead}: ${text}`);
  expect(texts([cell('a', 'gguf-f16', 100, 2), cell('b', 'gguf-q4_k_m', 200, 4)])).toMatchInlineSnapshot(`
    [
      "Fastest decode of tiny on cpu (p64-g16): gguf-q4_k_m llama-cpp cpu-zen4 with 200 (196–204) tokens/s, of 2 cells; 2.00× the next, gguf-f16 llama-cpp cpu-zen4.",
    ]
  `);
  expect(texts([cell('a', 'gguf-f16', 100, 9), cell('b', 'gguf-q4_k_m', 104, 9)])).toMatchInlineSnapshot(`
    [
      "Fastest decode of tiny on cpu (p64-g16): gguf-q4_k_m llama-cpp cpu-zen4 with 104 (95.0–113) tokens/s, of 2 cells; its interval does not set it apart from gguf-f16 llama-cpp cpu-zen4 at 100 tokens/s.",
    ]
  `);
  expect(texts([cell('a', 'gguf-f16', 100, 9)])).toEqual([]);
});

test('findings say what failed, by how it ended, with an example', () => {
  const rows = [
    simulatedRow(),
    simulatedRow({cell_id: 'b', status: 'does-not-fit', status_reason: 'needs 13.5 GiB, the device has 8 GiB'}),
    simulatedRow({cell_id: 'c', status: 'does-not-fit'}),
  ];
  expect(findings({title: 'rows', runs: [], rows, requests: []})).toMatchInlineSnapshot(`
    [
      {
        "key": "",
        "lead": "2 of 3 cells have no result to trust",
        "text": "2 does-not-fit, as gguf-q4_k_m llama-cpp cpu-zen4 of tiny on cpu (needs 13.5 GiB, the device has 8 GiB).",
      },
    ]
  `);
});
