import type {Reporter, ReportFile, ReportInput} from '../harness/contract/reporter.ts';
import type {Chart} from './chart.ts';

/** The specs with their data, for people's own notebooks. */
export class VegaLiteReporter implements Reporter {
  readonly id = 'vl';
  readonly #charts: readonly Chart[];

  constructor(charts: readonly Chart[]) {
    this.#charts = charts;
  }

  async render(input: ReportInput): Promise<readonly ReportFile[]> {
    return this.#charts.flatMap(({id, spec}) => {
      const chart = spec(input);
      return chart === null ? [] : [{path: `${id}.vl.json`, content: `${JSON.stringify(chart, null, 1)}\n`}];
    });
  }
}
