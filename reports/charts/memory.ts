import type {ResultRow} from '../../harness/contract/columns.ts';
import type {ReportDevice} from '../../harness/contract/report-data.ts';
import {formatBytes} from '../../harness/contract/units.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {CELL_TOOLTIP, cellPanels, ENDED_LAYER, figureLayer, firstCells, withoutRow} from '../panels.ts';
import {BLUE, INK, MUTED, ORANGE, PALETTE} from '../theme.ts';

const KIB = 1024;
const COLORS = [BLUE, PALETTE[5], ORANGE, '#9aa3ad'] as const;

/** Bytes of one kind; they stack to the peak. */
type Kind = readonly [kind: string, bytes: number];

function ramKinds(row: ResultRow): Kind[] {
  const {ram_peak_bytes: peak, ram_anonymous_peak_bytes: anonymous, ram_file_peak_bytes: file} = row;
  if (anonymous === null && file === null) return peak === null ? [] : [['not split', peak]];
  return [
    ['anonymous (heap, KV cache)', anonymous ?? 0],
    ['file-backed (mapped weights)', file ?? 0],
  ];
}

function vramKinds(row: ResultRow): Kind[] {
  const {vram_peak_bytes: peak, vram_allocated_peak_bytes: allocated, vram_baseline_bytes: baseline} = row;
  const whole = peak ?? row.vram_process_peak_bytes;
  if (whole === null) return allocated === null ? [] : [['tensors (framework’s count)', allocated]];
  const tensors = Math.min(allocated ?? 0, whole);
  return [
    ...(allocated === null ? [] : [['tensors (framework’s count)', tensors] as const]),
    [allocated === null ? 'worker (not split)' : 'rest of the worker', whole - tensors],
    ...(baseline === null || baseline === 0 ? [] : [['in use before', baseline] as const]),
  ];
}

function memoryChart(options: {
  readonly id: string;
  readonly title: string;
  readonly word: string;
  readonly about: string;
  readonly device: ReportDevice['kind'];
  readonly kindsOf: (row: ResultRow) => Kind[];
  readonly order: readonly string[];
}): Chart {
  const {id, title, word, about, kindsOf, order} = options;
  return {
    id,
    title,
    about,
    absent: `No cell has a figure for ${word}.`,
    spec: ({rows, devices}) => {
      const capacityOf = (row: ResultRow): number | null =>
        devices?.find(({name, kind}) => name === row.device && kind === options.device)?.memoryBytes ?? null;
      const other = new Set(devices?.filter(({kind}) => kind !== options.device).map(({name}) => name));
      const expected = (row: ResultRow): boolean => options.device === 'cpu' || !other.has(row.device ?? '');
      const cells = cellData(rows).filter(({row}) => kindsOf(row).length > 0 || (row.status !== 'ok' && expected(row)));
      if (!cells.some(({row}) => kindsOf(row).length > 0)) return null;
      const {data, note} = firstCells(cells);
      const most = Math.max(...data.map(({row}) => sum(kindsOf(row))));
      // A capacity far beyond every bar would press the bars into a corner: it is then told in words.
      const drawn = (capacity: number | null): number | null =>
        capacity !== null && capacity <= 4 * most ? capacity : null;
      const far = [...new Set(data.map(({row}) => capacityOf(row)))].filter(
        (bytes) => bytes !== null && drawn(bytes) === null,
      );
      const [divisor, unit] = most < KIB ** 3 ? [KIB ** 2, 'MiB'] : [KIB ** 3, 'GiB'];
      const lines = data.map((cell) => {
        const kinds = kindsOf(cell.row);
        const capacity = capacityOf(cell.row);
        const total = sum(kinds);
        const share = capacity === null || kinds.length === 0 ? '' : ` of ${formatBytes(capacity)}`;
        let reached = 0;
        const ends = order.map((kind) => {
          const bytes = kinds.find(([name]) => name === kind)?.[1] ?? null;
          if (bytes === null) return [null, null] as const;
          reached += bytes;
          return [(reached - bytes) / divisor, reached / divisor] as const;
        });
        return {
          ...withoutRow(cell),
          ...Object.fromEntries(
            ends.flatMap(([from, to], index) => [
              [`from${index}`, from],
              [`to${index}`, to],
            ]),
          ),
          capacity: drawn(capacity) === null ? null : (capacity ?? 0) / divisor,
          figure: kinds.length === 0 ? '' : formatBytes(total) + share,
          split: kinds.map(([kind, bytes]) => `${kind} ${formatBytes(bytes)}`).join(', '),
        };
      });
      const domain = [0, Math.max(most, ...data.map(({row}) => drawn(capacityOf(row)) ?? 0)) / divisor];
      const top = domain[1] ?? 0;
      const x = {type: 'quantitative' as const, title: `${word} at its peak (${unit})`, scale: {domain, nice: true}};
      const used = order.filter((kind) => data.some(({row}) => kindsOf(row).some(([name]) => name === kind)));
      return cellPanels({
        title,
        notes: [
          top > 0 && lines.some(({capacity}) => capacity !== null)
            ? 'The upright stroke is the memory of the device. A cell without a figure says how it ended.'
            : 'A cell without a figure says how it ended.',
          far.length === 0
            ? null
            : `Memory of the device, beyond this axis: ${far.map((bytes) => formatBytes(bytes ?? 0)).join(', ')}.`,
          note,
        ],
        data: lines,
        layers: [
          ...order.flatMap((kind, index) =>
            used.includes(kind)
              ? [
                  {
                    mark: {type: 'bar', height: {band: 0.62}} as const,
                    encoding: {
                      x: {...x, field: `from${index}`},
                      x2: {field: `to${index}`},
                      color: {
                        datum: kind,
                        type: 'nominal' as const,
                        title: null,
                        scale: {domain: [...used], range: used.map((name) => COLORS[order.indexOf(name)] ?? MUTED)},
                        legend: {orient: 'bottom' as const, direction: 'horizontal' as const},
                      },
                      tooltip: [...CELL_TOOLTIP, {field: 'split', type: 'nominal', title: word} as const],
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

const sum = (kinds: readonly Kind[]): number => kinds.reduce((total, [, bytes]) => total + bytes, 0);

export const ram = memoryChart({
  id: 'ram',
  title: 'RAM while serving',
  word: 'RAM',
  about:
    'Peak of the process tree. File-backed memory holds mapped weights and can be dropped and read again; anonymous memory cannot.',
  device: 'cpu',
  kindsOf: ramKinds,
  order: ['anonymous (heap, KV cache)', 'file-backed (mapped weights)', 'not split'],
});
export const vram = memoryChart({
  id: 'vram',
  title: 'VRAM while serving',
  word: 'VRAM',
  about:
    'Peak on the device. The rest of the worker is context, libraries, caches and fragmentation that the framework does not count as tensors.',
  device: 'cuda',
  kindsOf: vramKinds,
  order: ['tensors (framework’s count)', 'rest of the worker', 'worker (not split)', 'in use before'],
});
