import type {ReportClaim} from '../../harness/contract/report-data.ts';
import {formatSignificant} from '../../harness/contract/units.ts';
import {positive, timesAxis} from '../axes.ts';
import type {Chart} from '../chart.ts';
import {axisSide, CELL_TOOLTIP, cellPanels, figureLayer, firstCells, unity} from '../panels.ts';
import {clean, withInterval} from '../text.ts';
import {BLUE, ORANGE} from '../theme.ts';

const TITLE = 'What a publication says, and what was measured';
const MOST = 60;
const WIDTH = 400;
/** Room for a verdict with its reason, right of the strip. */
const WORDS = 380;

/** Verdict with the measured figure and the device, or with what is missing. */
function words({verdict, ratio, reason, device}: ReportClaim): string {
  if (ratio === null) return clean(`${verdict}: ${reason}`, 120);
  const where = device === null ? '' : `, ${clean(device, 30)}`;
  return `${clean(verdict, 30)}: ${withInterval(ratio.ratio, ratio.low, ratio.high, '×')}${where}`;
}

/** Each reading of each sentence: the figure it says, and the measured one with its interval. */
export const claimsStrip: Chart = {
  id: 'claims',
  title: TITLE,
  about:
    'The orange stroke is what the sentence says, the circle what was measured, with its 95 % interval: both relative to what the sentence compares with, on a logarithmic axis. Where a sentence names a figure and not a ratio, 1 is that figure.',
  absent: 'No claims were given: add --claims FILE.',
  spec: ({claims = []}) => {
    if (claims.length === 0) return null;
    const {data: shown, note} = firstCells(claims, MOST, 'readings');
    const data = shown.map((one, order) => {
      const about = [one.device, one.cell, one.against === null ? null : `against ${one.against}`, one.workload]
        .filter((part) => part !== null)
        .map((part) => clean(part, 60))
        .join(' · ');
      const says = one.kind === 'figure' ? 1 : positive(one.expected);
      const expected = `${formatSignificant(one.expected)}${one.kind === 'figure' ? '' : '×'}`;
      return {
        key: `claim/${order}`,
        model: '',
        device: clean(one.device, 80),
        format: '',
        runner: '',
        kernel: '',
        workload: clean(one.workload, 80),
        status: clean(one.verdict, 40),
        panel: clean(`“${one.sentence}”`, 110),
        label: clean(one.says, 56),
        order,
        requests: null,
        rounds: null,
        caveats: '',
        says,
        expected,
        measured: positive(one.ratio?.ratio ?? null),
        low: one.ratio?.high == null ? null : positive(one.ratio.low),
        high: one.ratio?.low == null ? null : positive(one.ratio.high),
        figure: words(one),
        ended: '',
        about,
        reason: clean(one.reason),
      };
    });
    const axes = timesAxis(data.flatMap(({says, measured, low, high}) => [says, measured, low, high]));
    const x = {
      type: 'quantitative' as const,
      title: 'ratio',
      scale: axes.scale,
      axis: {...axes.axis, ...axisSide(data.length)},
    };
    const tooltip = [
      ...CELL_TOOLTIP.filter(({field}) => ['label', 'device', 'workload'].includes(field)),
      {field: 'expected', type: 'nominal', title: 'says'},
      {field: 'figure', type: 'nominal', title: 'verdict'},
      {field: 'about', type: 'nominal', title: 'checked on'},
      {field: 'reason', type: 'nominal', title: 'why'},
    ] as const;
    return cellPanels({
      title: TITLE,
      notes: ['Orange stroke: what is said. Blue circle: what was measured. Dashed line: no effect.', note],
      data,
      width: WIDTH,
      below: unity(x),
      layers: [
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
        figureLayer(WIDTH, WORDS),
      ],
    });
  },
};
