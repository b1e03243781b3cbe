import type {Chart} from './chart.ts';
import {claimsStrip} from './charts/claims-strip.ts';
import {cost} from './charts/cost.ts';
import {coverage} from './charts/coverage.ts';
import {deviceDecode, devicePrefill} from './charts/device-speed.ts';
import {energy} from './charts/energy.ts';
import {latency} from './charts/latency.ts';
import {ram, vram} from './charts/memory.ts';
import {qualitySpeed} from './charts/quality-speed.ts';
import {requestTimes} from './charts/request-times.ts';
import {roofline} from './charts/roofline.ts';
import {decodeSpeed, prefillSpeed} from './charts/speed.ts';
import {speedVsControl} from './charts/speed-vs-control.ts';
import {telemetry} from './charts/telemetry.ts';
import {waterfall} from './charts/waterfall.ts';

/** Every chart, in the order of the page. */
export const CHARTS: readonly Chart[] = [
  deviceDecode,
  devicePrefill,
  decodeSpeed,
  prefillSpeed,
  speedVsControl,
  waterfall,
  roofline,
  latency,
  cost,
  qualitySpeed,
  ram,
  vram,
  energy,
  requestTimes,
  telemetry,
  claimsStrip,
  coverage,
].map(described);

/** With its description in the spec, which a screen reader speaks and a notebook shows. */
function described(chart: Chart): Chart {
  return {
    ...chart,
    spec: (input) => {
      const spec = chart.spec(input);
      return spec === null ? null : {...spec, description: `${chart.title}. ${chart.about}`};
    },
  };
}
