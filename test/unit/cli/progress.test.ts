import {expect, test} from 'vitest';
import {Progress} from '../../../harness/cli/progress.ts';
import {styleFor} from '../../../harness/cli/terminal.ts';

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
