import {formatSignificant} from '../../harness/contract/units.ts';
import type {Chart} from '../chart.ts';
import {CELL_TOOLTIP, cellPanels, ENDED_LAYER, figureLayer, firstCells} from '../panels.ts';
import {clean} from '../text.ts';
import {BLUE, MUTED, ORANGE} from '../theme.ts';

const TITLE = 'What a publication says, and what was measured';
const MOST = 60;

/** Each reading of each sentence: the figure it says, and the measured one with its interval. */
export const claimsStrip: Chart = {
  id: 'claims',
  title: TITLE,
  about:
    'The orange stroke is what the sentence says, the circle what was measured, with its 95 % interval: both relative to what the sentence compares with, on a logarithmic axis.',
  absent: 'No claims were given: add --claims FILE.',
  spec: ({claims = []}) => {
    if (claims.length === 0) return null;
    const {data: shown, note} = firstCells(claims, MOST, 'readings');
    const data = shown.map((one, order) => {
      const about = [one.device, one.cell, one.workload]
        .filter((part) => part !== null)
        .map((part) => clean(part, 60))
        .join(' · ');
      const figure = one.kind === 'figure';
      return {
        key: `claim/${order}`,
        model: '',
        device: clean(one.device, 80),
        format: '',
        runner: '',
        kernel: '',
        workload: clean(one.workload, 80),
        status: one.verdict,
        panel: clean(`“${one.sentence}”`, 110),
        // Readings of one sentence may be said in the same words of several devices.
        label: clean(one.says, 48),
        order,
        requests: null,
        rounds: null,
        caveats: '',
        says: figure ? 1 : one.expected,
        measured: one.ratio?.ratio ?? null,
        low: one.ratio?.low ?? null,
        high: one.ratio?.high ?? null,
        figure: one.ratio === null ? '' : `${one.verdict} (× ${formatSignificant(one.ratio.ratio)})`,
        ended: one.ratio === null ? clean(`${one.verdict}: ${one.reason}`, 90) : '',
        about,
        reason: clean(one.reason),
      };
    });
    const values = data
      .flatMap(({says, measured, low, high}) => [says, measured, low, high])
      .filter((value): value is number => value !== null && value > 0);
    const scale = {
      type: 'log' as const,
      base: 2,
      domain: [Math.min(0.5, ...values), Math.max(2, ...values)],
      nice: true,
    };
    const x = {type: 'quantitative' as const, title: 'ratio', scale, axis: {format: '~g'}};
    const tooltip = [
      ...CELL_TOOLTIP.filter(({field}) => field !== 'model'),
      {field: 'figure', type: 'nominal', title: 'verdict'},
      {field: 'about', type: 'nominal', title: 'checked on'},
      {field: 'reason', type: 'nominal', title: 'why'},
    ] as const;
    return cellPanels({
      title: TITLE,
      notes: ['Dashed line: no effect.', note],
      data,
      layers: [
        {
          mark: {type: 'rule', color: MUTED, opacity: 0.6, strokeDash: [3, 3]},
          encoding: {x: {...x, datum: 1}, y: {value: 0}, y2: {value: 'height'}},
        },
        {
          mark: {type: 'tick', color: ORANGE, thickness: 4, height: {band: 0.75}},
          encoding: {x: {...x, field: 'says'}, tooltip: [...tooltip]},
        },
        {
          mark: {type: 'rule', strokeWidth: 2, color: BLUE, opacity: 0.6},
          encoding: {x: {...x, field: 'low'}, x2: {field: 'high'}},
        },
        {
          mark: {type: 'point', filled: true, size: 60, color: BLUE, opacity: 1},
          encoding: {x: {...x, field: 'measured'}, tooltip: [...tooltip]},
        },
        // Right of the stroke of what is said, which is always there.
        {...ENDED_LAYER, encoding: {...ENDED_LAYER.encoding, x: {value: 300}}, mark: {...ENDED_LAYER.mark, limit: 330}},
        figureLayer(),
      ],
    });
  },
};
