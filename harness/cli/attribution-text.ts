import {compareRows} from '../../reports/cell.ts';
import type {Attribution, Factor} from '../claims/attribution.ts';
import {formatSignificant} from '../contract/units.ts';
import {placeOf, renderTables, type TableColumn} from './table.ts';

const COLUMNS: readonly TableColumn[] = [
  {title: 'format', align: 'left'},
  {title: 'runner', align: 'left'},
  {title: 'kernel', align: 'left'},
  {title: 'isa', align: 'left'},
  {title: '× fp16 PyTorch', align: 'right'},
  {title: '= runtime', align: 'right'},
  {title: '× format', align: 'right'},
  {title: '= bytes', align: 'right'},
  {title: '× kernel', align: 'right'},
  {title: '× rest', align: 'right'},
  {title: 'bandwidth', align: 'right'},
  {title: '16 bit', align: 'right'},
];

const LEGEND = `× fp16 PyTorch   the cell ÷ fp16 in PyTorch = runtime × format
runtime          16 bit in the engine of the cell ÷ fp16 in PyTorch
format           the cell ÷ 16 bit in its own engine = bytes × kernel × rest
bytes            bytes a decode step reads, 16 bit ÷ this format; prefill waits for arithmetic, not for bytes
kernel           this kernel ÷ the fastest that was measured for the format
rest             what is left: what unpacking costs, or what was gained beside bytes
bandwidth        bytes a step × steps a second ÷ measured memory bandwidth; 16 bit: of the control in the same engine
Ratios of speed with 95 % intervals, paired by rounds where both were measured in one run. ?: a control is missing.`;

/**
 * Why quantized cells are as fast as they are, device by device, prefill and decode apart; below it what the columns
 * mean, and the commands that would fill the holes.
 */
export function attributionText(attributions: readonly Attribution[]): string {
  if (attributions.length === 0) return 'No quantized cell was measured.';
  const inOrder = attributions.toSorted(
    (a, b) =>
      (placeOf(a.row) === placeOf(b.row) && a.phase !== b.phase ? (a.phase === 'decode' ? -1 : 1) : 0) ||
      compareRows(a.row, b.row),
  );
  const tables = renderTables(
    COLUMNS,
    inOrder.map((one) => ({place: `${placeOf(one.row)}: ${one.phase}`, cells: lineOf(one)})),
  );
  const commands = [...new Set(attributions.flatMap(({missing}) => missing))].sort();
  const hints =
    commands.length === 0 ? [] : ['', 'Missing controls would be measured by:', ...commands.map((text) => `  ${text}`)];
  return [tables, '', LEGEND, ...hints].join('\n');
}

function lineOf({row, total, own, factors, bandwidthRatio, controlBandwidthRatio}: Attribution): string[] {
  const [runtime, ...ofFormat] = factors;
  return [
    row.format ?? '',
    row.runner ?? '',
    row.kernel ?? '',
    row.isa ?? '',
    interval(total),
    interval(runtime ?? null),
    interval(own),
    ...ofFormat.map(interval),
    share(bandwidthRatio),
    share(controlBandwidthRatio),
  ];
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
