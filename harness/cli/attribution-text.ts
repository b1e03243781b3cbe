import {compareRows} from '../../reports/cell.ts';
import type {Attribution, Factor} from '../claims/attribution.ts';
import {formatSignificant} from '../contract/units.ts';
import {renderTable, type TableColumn} from './table.ts';

const COLUMNS: readonly TableColumn[] = [
  {title: 'model', align: 'left'},
  {title: 'format', align: 'left'},
  {title: 'runner', align: 'left'},
  {title: 'kernel', align: 'left'},
  {title: 'isa', align: 'left'},
  {title: 'device', align: 'left'},
  {title: 'workload', align: 'left'},
  {title: 'phase', align: 'left'},
  {title: '× fp16 PyTorch', align: 'right'},
  {title: 'runtime', align: 'right'},
  {title: 'format bytes', align: 'right'},
  {title: 'kernel choice', align: 'right'},
  {title: 'rest', align: 'right'},
  {title: 'of bandwidth', align: 'right'},
  {title: '16 bit', align: 'right'},
];

/** Why quantized cells are as fast as they are, as a table; below it the commands that would fill its holes. */
export function attributionTable(attributions: readonly Attribution[]): string {
  if (attributions.length === 0) return 'No quantized cell was measured.';
  const inOrder = attributions.toSorted((a, b) => compareRows(a.row, b.row));
  const lines = inOrder.map((one) => [
    one.row.model ?? '',
    one.row.format ?? '',
    one.row.runner ?? '',
    one.row.kernel ?? '',
    one.row.isa ?? '',
    one.row.device ?? '',
    one.row.workload ?? '',
    one.phase,
    interval(one.total),
    ...one.factors.map(interval),
    share(one.bandwidthRatio),
    share(one.controlBandwidthRatio),
  ]);
  const commands = [...new Set(attributions.flatMap(({missing}) => missing))].sort();
  const hints =
    commands.length === 0 ? [] : ['', 'Missing controls would be measured by:', ...commands.map((text) => `  ${text}`)];
  return [renderTable(COLUMNS, lines), ...hints].join('\n');
}

function interval(of: Pick<Factor, 'ratio' | 'low' | 'high'> | null): string {
  if (of?.ratio === null || of === null) return '?';
  const {ratio, low, high} = of;
  const spread =
    low === null || high === null || low === high ? '' : ` (${formatSignificant(low)}–${formatSignificant(high)})`;
  return `${formatSignificant(ratio)}${spread}`;
}

function share(ratio: number | null): string {
  return ratio === null ? '' : `${(100 * ratio).toFixed(0)} %`;
}
