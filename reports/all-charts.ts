import type {Chart} from './chart.ts';
import {coverage} from './charts/coverage.ts';
import {energy} from './charts/energy.ts';
import {latency} from './charts/latency.ts';
import {ram, vram} from './charts/memory.ts';
import {decodeSpeed, prefillSpeed} from './charts/speed.ts';
import {speedVsControl} from './charts/speed-vs-control.ts';

/** Every chart, in the order of the page. */
export const CHARTS: readonly Chart[] = [
  coverage,
  decodeSpeed,
  prefillSpeed,
  speedVsControl,
  latency,
  ram,
  vram,
  energy,
];
