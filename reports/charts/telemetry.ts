import type {TopLevelSpec} from 'vega-lite';
import {cellData, rowKey} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {CHART_WIDTH, heading, type Layers, SCHEMA} from '../panels.ts';
import {CONFIG, MUTED} from '../theme.ts';
import {thinned} from './request-times.ts';

const TITLE = 'One cell over time';
const MOST_READINGS = 600;
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
  {title: 'share', channels: /_ratio$/, divisor: 1},
];

/** Memory, power and clocks of one round, with its phases marked. */
export const telemetry: Chart = {
  id: 'telemetry',
  title: TITLE,
  about:
    'What the counters beside the cell recorded in one round. Dashed lines mark where its phases begin; only the last one, measure, counts for the figures above.',
  absent: 'There is no telemetry.csv: it stays on the host that measured.',
  spec: ({telemetry: recorded, rows}) => {
    if (recorded === undefined) return null;
    const cell = cellData(rows).find(({key}) => key === rowKey(recorded));
    const ends = recorded.series.flatMap(({tMs}) => [tMs[0] ?? 0, tMs.at(-1) ?? 0]);
    const domain = [Math.min(0, ...ends) / 1000, Math.max(0.001, ...ends) / 1000];
    const near = 0.09 * ((domain[1] ?? 0) - (domain[0] ?? 0)) * 1000;
    const phases = recorded.phases.map(({name, tMs}, index) => {
      const next = recorded.phases[index + 1];
      // A short phase has no room for its name.
      return {phase: next !== undefined && next.tMs - tMs < near ? '' : name, s: tMs / 1000};
    });
    const strips = STRIPS.flatMap(({title, channels, divisor}, index): Layers => {
      const series = recorded.series.filter(
        ({channel, values}) => channels.test(channel) && values.some((value) => value !== null),
      );
      if (series.length === 0) return [];
      const most = Math.max(...series.flatMap(({values}) => values.map((value) => value ?? 0)));
      const [unit, by] = divisor === GIB && most < GIB ? ['memory (MiB)', MIB] : [title, divisor];
      const values = series.flatMap(({channel, tMs, values: readings}) =>
        thinned(
          tMs.map((t, at) => ({s: t / 1000, value: readings[at] ?? null})),
          MOST_READINGS,
        )
          .filter(({value}) => value !== null)
          .map(({s, value}) => ({
            s,
            value: (value ?? 0) / by,
            channel: channel.replace(/_(?:bytes|w|hz|c|ratio|cores)$/, '').replaceAll('_', ' '),
          })),
      );
      const x = {field: 's', type: 'quantitative' as const, title: 'seconds', scale: {domain, nice: false}};
      return [
        {
          width: CHART_WIDTH + 60,
          height: 90,
          layer: [
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
            {
              data: {name: `phases${index}`, values: phases},
              mark: {type: 'rule', color: MUTED, strokeDash: [4, 3]},
              encoding: {x},
            },
            ...(index === STRIPS.findIndex((strip) => recorded.series.some(({channel}) => strip.channels.test(channel)))
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
    if (strips.length === 0) return null;
    const spec: TopLevelSpec = {
      $schema: SCHEMA,
      title: heading(TITLE, cell === undefined ? null : `${cell.label} · ${cell.panel} · round ${recorded.round + 1}`),
      vconcat: strips,
      resolve: {scale: {color: 'independent', strokeDash: 'independent'}},
      config: {...CONFIG, axisY: {grid: true, labelPadding: 6}},
    };
    return spec;
  },
};
