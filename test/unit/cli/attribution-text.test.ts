import {expect, test} from 'vitest';
import {attributionText} from '../../../harness/cli/attribution-text.ts';
import {buildMeasured} from '../claims/build.ts';

test('a factor of one fiftieth keeps its digits', () => {
  const exact = {ratio: 1, low: 1, high: 1, note: ''};
  const table = attributionText([
    {
      row: buildMeasured({}).row,
      phase: 'decode',
      total: {ratio: 0.0197, low: 0.0167, high: 0.0231, p: 0, how: 'paired-rounds', rounds: [3, 3]},
      own: null,
      factors: [
        {...exact, name: 'runtime'},
        {name: 'kernel', ratio: 0.0135, low: 0.00829, high: 0.022, note: ''},
      ],
      bandwidthRatio: null,
      controlBandwidthRatio: null,
      missing: [],
    },
  ]);
  expect(table).toContain('0.0197 (0.0167–0.0231)');
  expect(table).toContain('0.0135 (0.00829–0.0220)');
});
