import type {TopLevelSpec} from 'vega-lite';
import {formatSignificant} from '../../harness/contract/units.ts';
import {cellData, rowKey} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {CHART_WIDTH, heading, type Layers, SCHEMA} from '../panels.ts';
import {clean} from '../text.ts';
import {CONFIG, MUTED} from '../theme.ts';

const TITLE = 'One cell over time';
const MOST_READINGS = 600;
const WIDTH = CHART_WIDTH + 80;
const HEIGHT = 100;
const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

interface Strip {
  readonly title: string;
  readonly channels: RegExp;
  readonly divisor: number;
}

/** Counters that are read together, with the unit they are shown in. */
const STRIPS: readonly Strip[] = [
  {title: 'memory (GiB)', channels: /^(?:ram_(?:pss|anonymous|file)|vram_used|vram_process)_bytes$/, divisor: GIB},
  {title: 'power (W)', channels: /_w$/, divisor: 1},
  {title: 'clock (GHz)', channels: /_clock_hz$/, divisor: 1e9},
  {title: 'temperature (°C)', channels: /_temperature_c$/, divisor: 1},
  {title: 'CPU in use (cores)', channels: /^cpu_(?:worker|foreign)_cores$/, divisor: 1},
  {title: 'share of time (0 to 1)', channels: /_ratio$/, divisor: 1},
];

interface Reading {
  readonly s: number;
  /** null: the counter gave nothing; the line has a gap there. */
  readonly value: number | null;
}

/** Fewer readings with the same picture: of each stretch of time its least and its most, so that no peak is lost. */
export function thinnedPeaks(readings: readonly Reading[], most: number): Reading[] {
  if (readings.length <= most) return [...readings];
  const stretches = Math.floor(most / 2);
  return Array.from({length: stretches}, (_, index) => {
    const stretch = readings.slice(
      Math.floor((index * readings.length) / stretches),
      Math.floor(((index + 1) * readings.length) / stretches),
    );
    const known = stretch.filter(({value}) => value !== null);
    const [first] = known;
    if (first === undefined) return stretch.slice(0, 1);
    const low = known.reduce((least, one) => ((one.value ?? 0) < (least.value ?? 0) ? one : least), first);
    const high = known.reduce((top, one) => ((one.value ?? 0) > (top.value ?? 0) ? one : top), first);
    return low === high ? [low] : low.s < high.s ? [low, high] : [high, low];
  }).flat();
}

/** Memory, power and clocks of one round, with its phases marked. */
export const telemetry: Chart = {
  id: 'telemetry',
  title: TITLE,
  about:
    'What the counters beside the cell recorded in one round; a gap in a line is a reading that is missing. Dashed lines mark where the phases of the round begin; only the last one, measure, counts for the figures above.',
  absent: 'There is no telemetry.csv: it stays on the host that measured.',
  spec: ({telemetry: recorded, rows}) => {
    if (recorded === undefined) return null;
    const cell = cellData(rows).find(({key}) => key === rowKey(recorded));
    const times = recorded.series.flatMap(({tMs}) => [tMs[0] ?? 0, tMs.at(-1) ?? 0]);
    const domain: [number, number] = [Math.min(0, ...times) / 1000, Math.max(1, ...times) / 1000];
    const near = 0.09 * (domain[1] - domain[0]) * 1000;
    const phases = recorded.phases.map(({name, tMs}, index) => {
      const next = recorded.phases[index + 1];
      // A short phase has no room for its name; the subtitle has them all.
      return {phase: next !== undefined && next.tMs - tMs < near ? '' : clean(name, 24), s: tMs / 1000};
    });
    const shown = STRIPS.flatMap(({title, channels, divisor}) => {
      const series = recorded.series.filter(
        ({channel, values}) => channels.test(channel) && values.some((value) => value !== null),
      );
      return series.length === 0 ? [] : [{title, divisor, series}];
    });
    if (shown.length === 0) return null;
    const strips = shown.flatMap(({title, divisor, series}, index): Layers => {
      const most = series.reduce(
        (top, {values}) => values.reduce((max: number, value) => Math.max(max, value ?? 0), top),
        0,
      );
      const [unit, by] = divisor === GIB && most < GIB ? ['memory (MiB)', MIB] : [title, divisor];
      const values = series.flatMap(({channel, tMs, values: readings}) => {
        const name = clean(channel.replace(/_(?:bytes|w|hz|c|ratio|cores)$/, '').replaceAll('_', ' '), 40);
        return thinnedPeaks(
          tMs.map((t, at) => ({s: t / 1000, value: readings[at] ?? null})),
          MOST_READINGS,
        ).map(({s, value}) => ({s, value: value === null ? null : value / by, channel: name}));
      });
      const last = index === shown.length - 1;
      const x = {
        field: 's',
        type: 'quantitative' as const,
        // One time for all strips: said once, below the last.
        title: last ? 'time (s)' : null,
        scale: {domain, nice: false},
        axis: {format: '~g', tickCount: 8, labels: last},
      };
      return [
        {
          width: WIDTH,
          height: HEIGHT,
          layer: [
            {
              data: {name: `phases${index}`, values: phases},
              mark: {type: 'rule', color: MUTED, strokeDash: [4, 3]},
              encoding: {x},
            },
            {
              data: {name: `readings${index}`, values},
              mark: {type: 'line', strokeWidth: 1.5, interpolate: 'step-after'},
              encoding: {
                x,
                y: {
                  field: 'value',
                  type: 'quantitative',
                  title: unit,
                  scale: {domain: [0, most / by || 1], nice: true},
                  axis: {tickCount: 4},
                },
                color: {field: 'channel', type: 'nominal', title: null},
                strokeDash: {field: 'channel', type: 'nominal', title: null},
              },
            },
            ...(index === 0
              ? [
                  {
                    data: {name: 'phaseNames', values: phases},
                    mark: {type: 'text', align: 'left', dx: 3, fontSize: 10, color: MUTED} as const,
                    encoding: {x, y: {value: -7}, text: {field: 'phase', type: 'nominal'} as const},
                  },
                ]
              : []),
          ],
        },
      ];
    });
    const starts = recorded.phases.map(({name, tMs}) => `${clean(name, 24)} from ${formatSignificant(tMs / 1000)} s`);
    const spec: TopLevelSpec = {
      $schema: SCHEMA,
      title: heading(
        TITLE,
        cell === undefined ? null : `${cell.label} · ${cell.panel} · round ${recorded.round + 1}`,
        starts.length === 0 ? 'Its phases are not known: there is no journal.jsonl.' : starts.join(', '),
      ),
      vconcat: strips,
      spacing: 14,
      resolve: {scale: {color: 'independent', strokeDash: 'independent'}},
      config: {...CONFIG, axisY: {grid: true, labelPadding: 6}},
    };
    return spec;
  },
};
