import type {ResultRow} from '../../harness/contract/columns.ts';
import type {ReportDevice} from '../../harness/contract/report-data.ts';
import {formatBytes} from '../../harness/contract/units.ts';
import {linearAxis} from '../axes.ts';
import {cellMap} from '../cell-map.ts';
import type {Chart} from '../chart.ts';
import {
  axisSide,
  CELL_TOOLTIP,
  cellPanels,
  ENDED_LAYER,
  figureLayer,
  gap,
  MAX_LINES,
  withoutRow,
  withStatus,
} from '../panels.ts';
import {axisTitle, columnWords} from '../text.ts';
import {BLUE, INK, MUTED, ORANGE, PALETTE, PAPER} from '../theme.ts';
import {foldedCells} from '../waiting.ts';

const KIB = 1024;
const COLORS = [BLUE, PALETTE[5], ORANGE, '#9aa3ad'] as const;
/** A capacity further beyond the bars than this would press them into a corner: it is then told in words. */
const FAR = 4;

/** Bytes of one kind; they stack to the peak. */
type Kind = readonly [kind: string, bytes: number];

const HEAP = 'anonymous (heap, KV cache)';
const FILE = 'file-backed (mapped weights)';
const TENSORS = 'tensors (framework’s count)';
const REST = 'rest of the worker';
const WORKER = 'worker (not split)';
const BEFORE = 'in use before';
const WHOLE = 'not split';

/**
 * The peak is of proportional set sizes: pages of a file that other processes map, too, count by their share. So what is
 * file-backed is the rest of the peak, and not its own peak of resident pages, which may be more and at another time.
 */
function ramKinds(row: ResultRow): Kind[] {
  const {ram_peak_bytes: peak, ram_anonymous_peak_bytes: anonymous} = row;
  if (peak === null) return [];
  if (anonymous === null) return [[WHOLE, peak]];
  const heap = Math.min(anonymous, peak);
  return [
    [HEAP, heap],
    [FILE, peak - heap],
  ];
}

function vramKinds(row: ResultRow): Kind[] {
  const {vram_peak_bytes: peak, vram_allocated_peak_bytes: allocated, vram_baseline_bytes: baseline} = row;
  const whole = peak ?? row.vram_process_peak_bytes;
  if (whole === null) return allocated === null ? [] : [[TENSORS, allocated]];
  const tensors = Math.min(allocated ?? 0, whole);
  return [
    ...(allocated === null ? [] : [[TENSORS, tensors] as const]),
    [allocated === null ? WORKER : REST, whole - tensors],
    ...(baseline === null || baseline === 0 ? [] : [[BEFORE, baseline] as const]),
  ];
}

const sum = (kinds: readonly Kind[]): number => kinds.reduce((total, [, bytes]) => total + bytes, 0);

function memoryChart(options: {
  readonly id: string;
  readonly title: string;
  readonly column: 'ram_peak_bytes' | 'vram_peak_bytes';
  readonly about: string;
  readonly device: ReportDevice['kind'];
  readonly kindsOf: (row: ResultRow) => Kind[];
  readonly order: readonly string[];
}): Chart {
  const {id, title, about, column, kindsOf, order} = options;
  return {
    id,
    title,
    about,
    absent: `No cell has a figure for ${columnWords(column)}.`,
    spec: ({rows, devices}) => {
      const capacityOf = (row: ResultRow): number | null =>
        devices?.find(({name, kind}) => name === row.device && kind === options.device)?.memoryBytes ?? null;
      // VRAM is no matter of devices that are known to have none.
      const other = new Set(devices?.filter(({kind}) => kind !== options.device).map(({name}) => name));
      const expected = (row: ResultRow): boolean => options.device === 'cpu' || !other.has(row.device ?? '');
      const cells = foldedCells(rows).flatMap((cell) => {
        const kinds = kindsOf(cell.row);
        return kinds.length > 0 || expected(cell.row) ? [{cell, kinds, capacity: capacityOf(cell.row)}] : [];
      });
      const most = cells.reduce((peak, {kinds}) => Math.max(peak, sum(kinds)), 0);
      if (!cells.some(({kinds}) => kinds.length > 0)) return null;
      const [divisor, unit] = most < KIB ** 3 ? [KIB ** 2, 'MiB'] : [KIB ** 3, 'GiB'];
      const isDrawn = (capacity: number | null): capacity is number => capacity !== null && capacity <= FAR * most;
      const far = [
        ...new Set(cells.flatMap(({capacity}) => (capacity === null || isDrawn(capacity) ? [] : [capacity]))),
      ].sort((a, b) => a - b);
      const data = cells.map(({cell, kinds, capacity}) => {
        const total = sum(kinds);
        const share = capacity === null ? '' : ` of ${formatBytes(capacity)}`;
        const measured = kinds.length > 0;
        let reached = 0;
        const ends = order.map((kind) => {
          const bytes = kinds.find(([name]) => name === kind)?.[1] ?? null;
          if (bytes === null) return [null, null] as const;
          reached += bytes;
          return [(reached - bytes) / divisor, reached / divisor] as const;
        });
        return {
          ...withoutRow(cell),
          ended: gap(cell, measured),
          ...Object.fromEntries(
            ends.flatMap(([from, to], index) => [
              [`from${index}`, from],
              [`to${index}`, to],
            ]),
          ),
          capacity: isDrawn(capacity) ? capacity / divisor : null,
          value: measured ? total : null,
          figure: measured ? withStatus(cell, formatBytes(total) + share) : '',
          short: measured ? formatBytes(total) : '',
          split: kinds.map(([kind, bytes]) => `${kind} ${formatBytes(bytes)}`).join(', '),
        };
      });
      const axis = axisTitle(column, unit);
      if (data.length > MAX_LINES) {
        return cellMap({title, notes: ['Peak, all kinds together. Darker is more.'], data, figureTitle: axis});
      }
      const drawn = cells.reduce((top, {capacity}) => Math.max(top, isDrawn(capacity) ? capacity : 0), most);
      const axes = linearAxis([0, Math.max(drawn / divisor, 1e-3) * 1.02]);
      const x = {
        type: 'quantitative' as const,
        title: axis,
        scale: axes.scale,
        axis: {...axes.axis, ...axisSide(data.length)},
      };
      const used = order.filter((kind) => cells.some(({kinds}) => kinds.some(([name]) => name === kind)));
      return cellPanels({
        title,
        notes: [
          data.some(({capacity}) => capacity !== null)
            ? 'The upright stroke is the memory of the device. A cell without a figure says how it ended.'
            : 'A cell without a figure says how it ended.',
          far.length === 0
            ? null
            : `Memory of the device, beyond this axis: ${far.map((bytes) => formatBytes(bytes)).join(', ')}.`,
        ],
        data,
        figureTitle: 'peak',
        layers: [
          ...order.flatMap((kind, index) =>
            used.includes(kind)
              ? [
                  {
                    // A constant colour with a legend of its own order is a field: a datum may have no scale.
                    transform: [{calculate: JSON.stringify(kind), as: 'kind'}],
                    mark: {type: 'bar', height: {band: 0.62}, stroke: PAPER, strokeWidth: 1} as const,
                    encoding: {
                      x: {...x, field: `from${index}`},
                      x2: {field: `to${index}`},
                      color: {
                        field: 'kind',
                        type: 'nominal' as const,
                        title: null,
                        scale: {domain: [...used], range: used.map((name) => COLORS[order.indexOf(name)] ?? MUTED)},
                        legend: {orient: 'bottom' as const, direction: 'horizontal' as const},
                      },
                      tooltip: [...CELL_TOOLTIP, {field: 'split', type: 'nominal', title: axis} as const],
                    },
                  },
                ]
              : [],
          ),
          {
            mark: {type: 'tick', color: INK, thickness: 2, height: {band: 0.9}},
            encoding: {x: {...x, field: 'capacity'}},
          },
          ENDED_LAYER,
          figureLayer(),
        ],
      });
    },
  };
}

export const ram = memoryChart({
  id: 'ram',
  title: 'RAM while serving',
  column: 'ram_peak_bytes',
  about:
    'Peak of the process tree; pages shared with other processes count by their share. File-backed memory holds mapped weights and can be dropped and read again; anonymous memory cannot.',
  device: 'cpu',
  kindsOf: ramKinds,
  order: [HEAP, FILE, WHOLE],
});
export const vram = memoryChart({
  id: 'vram',
  title: 'VRAM while serving',
  column: 'vram_peak_bytes',
  about:
    'Peak on the device. The rest of the worker is context, libraries, caches and fragmentation that the framework does not count as tensors.',
  device: 'cuda',
  kindsOf: vramKinds,
  order: [TENSORS, REST, WORKER, BEFORE],
});
