import * as vegaModule from 'vega';
import {type Loader, logger, parse, type Spec, View, Warn} from 'vega';
import {compile, type TopLevelSpec} from 'vega-lite';
import {BenchError} from '../harness/contract/errors.ts';
import {textWidth} from './text-width.ts';

// Vega exports it (vega-scenegraph, text.js), its types do not say so.
const {textMetrics} = vegaModule as unknown as {textMetrics: {width: typeof textWidth}};

/** A chart is data and marks: whatever wants to load a file is a mistake or an attack. */
const REFUSE: Loader = {
  load: async (uri) => Promise.reject(new Error(`charts load nothing: ${uri}`)),
  sanitize: async (uri) => Promise.reject(new Error(`charts link nothing: ${uri}`)),
  http: async (uri) => Promise.reject(new Error(`charts load nothing: ${uri}`)),
  file: async (name) => Promise.reject(new Error(`charts load nothing: ${name}`)),
};

/** @throws {BenchError} `INTERNAL` when Vega-Lite warns: a dropped encoding draws a wrong chart, not a plainer one. */
export function toVega(name: string, spec: TopLevelSpec): Spec {
  const warnings: string[] = [];
  const log = logger(Warn, 'warn', (_method, _level, args) => warnings.push([...args].join(' ')));
  const {spec: vega} = compile(spec, {logger: log});
  if (warnings.length > 0) throw new BenchError('INTERNAL', `chart ${name}: ${warnings.join('; ')}`);
  return vega;
}

/** Draws without a browser, and without looking at the fonts of this machine: the same spec gives the same bytes. */
export async function toSvg(name: string, vega: Spec): Promise<string> {
  const warnings: string[] = [];
  const log = logger(Warn, 'warn', (_method, _level, args) => warnings.push([...args].join(' ')));
  const before = textMetrics.width;
  textMetrics.width = textWidth;
  try {
    const svg = await new View(parse(vega), {renderer: 'none', logger: log, loader: REFUSE}).toSVG();
    if (warnings.length > 0) throw new BenchError('INTERNAL', `chart ${name}: ${warnings.join('; ')}`);
    return svg;
  } finally {
    textMetrics.width = before;
  }
}
