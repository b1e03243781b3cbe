import {Resvg} from '@resvg/resvg-js';
import type {Reporter, ReportFile, ReportInput} from '../harness/contract/reporter.ts';
import type {Chart} from './chart.ts';
import {toSvg, toVega} from './render.ts';

/** One PNG a chart at twice its size; drawn with the given fonts only, so that machines without fonts give the same bytes. */
export class PngReporter implements Reporter {
  readonly id = 'png';
  readonly #charts: readonly Chart[];
  readonly #fontFiles: readonly string[];
  readonly #zoom: number;

  /** @param options.fontFiles Paths of TrueType files of Inter. */
  constructor(charts: readonly Chart[], options: {readonly fontFiles: readonly string[]; readonly zoom?: number}) {
    this.#charts = charts;
    this.#fontFiles = options.fontFiles;
    this.#zoom = options.zoom ?? 2;
  }

  async render(input: ReportInput): Promise<readonly ReportFile[]> {
    const files: ReportFile[] = [];
    for (const {id, spec} of this.#charts) {
      const chart = spec(input);
      if (chart === null) continue;
      const svg = await toSvg(id, toVega(id, chart));
      const image = new Resvg(svg, {
        fitTo: {mode: 'zoom', value: this.#zoom},
        font: {loadSystemFonts: false, fontFiles: [...this.#fontFiles], defaultFontFamily: 'Inter'},
      });
      files.push({path: `${id}.png`, content: new Uint8Array(image.render().asPng())});
    }
    return files;
  }
}
