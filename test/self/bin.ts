import {parseArgs} from 'node:util';
import {renderTable} from '../../harness/cli/table.ts';
import {cacheDir} from '../../harness/weights/cache-dir.ts';
import {comparing} from './compare.ts';
import {coverageSection} from './coverage.ts';
import {decideScale} from './decide.ts';
import {engineLoop, nodeOverhead} from './engine-loop.ts';
import {engines} from './engines.ts';
import {making} from './making.ts';
import {memoryEstimate} from './memory-estimate.ts';
import {nativeBuild} from './native-build.ts';
import {nvidia} from './nvidia.ts';
import {pythonOverhead} from './python-overhead.ts';
import {samplerCost} from './sampler-cost.ts';
import {scale} from './scale.ts';
import type {Figure, Section} from './section.ts';
import {server} from './server.ts';
import {harnessCost, killing} from './sweep.ts';

/**
 * Every part of the self-benchmark; `npm run bench:self -- NAME…` runs some, `--quick` runs them shorter, `--only TEXT`
 * the comparisons of a part whose names hold that text.
 */
const SECTIONS: readonly Section[] = [
  engineLoop,
  nodeOverhead,
  nativeBuild,
  server,
  pythonOverhead,
  samplerCost,
  harnessCost,
  making,
  nvidia,
  memoryEstimate,
  comparing,
  decideScale,
  scale,
  engines,
  killing,
  coverageSection,
];

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    quick: {type: 'boolean', default: false},
    list: {type: 'boolean', default: false},
    only: {type: 'string', default: ''},
  },
});
const strangers = positionals.filter((name) => !SECTIONS.some((section) => section.name === name));
if (values.list || strangers.length > 0) {
  if (strangers.length > 0) process.stderr.write(`no such part: ${strangers.join(', ')}\n`);
  process.stdout.write(`${SECTIONS.map(({name, doc}) => `${name.padEnd(16)}${doc}`).join('\n')}\n`);
  process.exit(strangers.length > 0 ? 2 : 0);
}

const context = {
  quick: values.quick,
  only: values.only,
  cacheDir: cacheDir(process.env),
  log: (text: string) => process.stderr.write(`${text}\n`),
};
let missed = 0;
let unresolved = 0;
for (const section of SECTIONS) {
  if (positionals.length > 0 && !positionals.includes(section.name)) continue;
  process.stderr.write(`== ${section.name}: ${section.doc}\n`);
  let figures: readonly Figure[];
  try {
    figures = await section.run(context);
  } catch (error) {
    figures = [
      {
        what: section.name,
        value: `not measured: ${error instanceof Error ? error.message : String(error)}`,
        goal: '',
        met: null,
      },
    ];
  }
  missed += figures.filter(({met}) => met === false).length;
  unresolved += figures.filter(({resolved}) => resolved === false).length;
  const rows = figures.map(({what, value, goal, met, resolved}) => [
    what,
    value,
    goal,
    met === null ? (resolved === false ? 'not resolved' : '') : met ? 'met' : 'MISSED',
  ]);
  process.stdout.write(
    `${renderTable(
      [
        {title: 'figure', align: 'left'},
        {title: 'measured', align: 'left'},
        {title: 'goal', align: 'left'},
        {title: '', align: 'left'},
      ],
      rows,
    )}\n\n`,
  );
}
const verdicts = [
  missed === 0 ? '' : `${missed} goals are missed.`,
  unresolved === 0 ? '' : `Of ${unresolved} goals the intervals do not tell whether they are met.`,
].filter((text) => text !== '');
process.stdout.write(`${verdicts.length === 0 ? 'Every goal that was measured is met.' : verdicts.join(' ')}\n`);
