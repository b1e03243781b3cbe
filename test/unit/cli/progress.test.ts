import {expect, test} from 'vitest';
import {Progress} from '../../../harness/cli/progress.ts';
import {cutTo, styleFor} from '../../../harness/cli/terminal.ts';
import type {Cell} from '../../../harness/contract/cell.ts';
import {expandCells} from '../../../harness/plan/expand.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planHost} from '../../support/plan-hosts.ts';

const plainStyle = styleFor({isTTY: false}, {});

test('colours need a terminal, and NO_COLOR and CI switch them off', () => {
  expect(styleFor({isTTY: true}, {}).red('x')).toBe('\u001B[31mx\u001B[0m');
  expect(styleFor({isTTY: true}, {NO_COLOR: '1'}).red('x')).toBe('x');
  expect(styleFor({isTTY: true}, {CI: 'true'}).red('x')).toBe('x');
  expect(plainStyle.red('x')).toBe('x');
});

test('without a terminal every event is a plain line and live updates are silent', () => {
  let text = '';
  const progress = new Progress({output: {write: (chunk) => (text += chunk)}, style: plainStyle, live: false});
  progress.show({
    type: 'sweep_started',
    runId: 'r',
    folder: 'results/r',
    rounds: 3,
    cells: 2,
    roundsTotal: 6,
    roundsDone: 1,
  });
  progress.show({type: 'step', text: 'making m', doneBytes: 1, totalBytes: 4});
  progress.show({type: 'step', text: 'making m', doneBytes: 2, totalBytes: 4});
  progress.show({type: 'warning', text: 'host is\u001B[2J busy'});
  progress.end();
  expect(text).toMatchInlineSnapshot(`
    "2 cells × 3 rounds, 1 of 6 already done → results/r
    making m
    warning: host is [2J busy
    "
  `);
});

test('in a log, a long step says now and then how far it is', () => {
  let text = '';
  let nowMs = 0;
  const output = {write: (chunk: string) => (text += chunk)};
  const progress = new Progress({output, style: plainStyle, live: false, nowMs: () => nowMs});
  for (const doneBytes of [0, 1, 2, 3].map((gib) => gib * 1024 ** 3)) {
    progress.show({type: 'step', text: 'weights m: fetch', doneBytes, totalBytes: 4 * 1024 ** 3});
    nowMs += 10_000;
  }
  progress.show({type: 'step', text: 'weights m: hashing', doneBytes: 0, totalBytes: null});
  progress.show({type: 'step', text: 'weights n: make'});
  expect(text.split('\n')).toEqual([
    'weights m: fetch',
    'weights m: fetch 2.00 GiB of 4.00 GiB',
    'weights m: hashing 0 B',
    'weights n: make',
    '',
  ]);
});

test('on a terminal the status line keeps what changes, whatever its width', async () => {
  const [expanded] = expandCells({
    loaded: await loadText(matrixText({formats: '[gguf-q4_k_m]', devices: '[host-cpu]'})),
    host: planHost(),
    catalogue: PLAN_CATALOGUE,
    runnerIds: ['llama-cpp'],
  });
  const cell = expanded?.cell as Cell; // the matrix has one
  for (const columns of [60, 80, 200]) {
    let text = '';
    const output = {columns, write: (chunk: string) => (text = chunk)};
    const progress = new Progress({output, style: styleFor({isTTY: true}, {}), live: true});
    progress.show({
      type: 'cell_progress',
      cell,
      requests: 12,
      prefillTokensPerS: 700,
      decodeTokensPerS: 345,
      ramBytes: 2 ** 30,
      secondsLeft: 50,
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the codes that a terminal does not show
    const shown = text.replaceAll(/\u001B\[[0-9;]*[a-zA-Z]|\r/g, '');
    expect(shown.length).toBeLessThan(columns);
    expect(shown).toContain('gguf-q4_k_m w: 12 requests, 345 tokens/s');
    // A cut line leaves no colour on.
    expect(text.lastIndexOf('\u001B[0m')).toBeGreaterThan(text.lastIndexOf('\u001B[2m'));
  }
});

test.each([
  ['short', 10, 'short'],
  ['0123456789', 10, '0123456789'],
  ['0123456789A', 10, '012345678…'],
  ['\u001B[2m0123456789A\u001B[0m', 5, '\u001B[2m0123…\u001B[0m'],
  ['ab\u001B[31mcd\u001B[0mef', 3, 'ab\u001B[31m…\u001B[0m'],
])('cutTo(%j, %i)', (text, columns, expected) => {
  expect(cutTo(text, columns)).toBe(expected);
});
