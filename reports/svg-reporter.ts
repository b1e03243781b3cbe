import type {Reporter, ReportFile, ReportInput} from '../harness/contract/reporter.ts';
import type {Chart} from './chart.ts';
import {toSvg, toVega} from './render.ts';
import {darkRules} from './theme.ts';

/** One SVG a chart; on a dark screen it turns dark where the viewer honours style sheets. */
export class SvgReporter implements Reporter {
  readonly id = 'svg';
  readonly #charts: readonly Chart[];

  constructor(charts: readonly Chart[]) {
    this.#charts = charts;
  }

  async render(input: ReportInput): Promise<readonly ReportFile[]> {
    const files: ReportFile[] = [];
    for (const {id, spec} of this.#charts) {
      const chart = spec(input);
      if (chart !== null) files.push({path: `${id}.svg`, content: withDark(await toSvg(id, toVega(id, chart)))});
    }
    return files;
  }
}

function withDark(svg: string): string {
  return svg.replace('>', `><style>@media screen and (prefers-color-scheme:dark){${darkRules()}}</style>`);
}
