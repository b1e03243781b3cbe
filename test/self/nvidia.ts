import {execFileSync} from 'node:child_process';
import {readFileSync, symlinkSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {seededRandom} from '../../harness/derive/random.ts';
import {parseComputeApps} from '../../harness/nvidia-smi/compute-apps.ts';
import {parseHeader, parseLine, parseTable, type SmiField} from '../../harness/nvidia-smi/csv.ts';
import {parseHelp} from '../../harness/nvidia-smi/fields.ts';
import {parseGpuList} from '../../harness/nvidia-smi/gpu-list.ts';
import {SAMPLE_FIELDS} from '../../harness/nvidia-smi/gpu-sample.ts';
import {SampleStream} from '../../harness/nvidia-smi/sample-stream.ts';
import type {SmiValue} from '../../harness/nvidia-smi/value.ts';
import {parseVersion} from '../../harness/nvidia-smi/version.ts';
import {parseXml} from '../../harness/nvidia-smi/xml.ts';
import type {NvmlSampling} from '../../harness/nvml/nvml-process.ts';
import {captures, sectionsOf} from '../support/captures.ts';
import {findCompiler, makeNvmlStub, T4_SCRIPT} from '../support/nvml-stub.ts';
import {type Figure, median, type Section, type SelfContext, spread} from './section.ts';

const OWN_CAPTURE = fileURLToPath(new URL('../fixtures/fake-nvidia-smi/captures/tesla-t4.txt', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BARE_WAKE = fileURLToPath(new URL('../fixtures/bare-wake', import.meta.url));

const NODE_WAKE = 'Node through FFI';

/** What bench sees of a GPU: cost of a reading, speed and soundness of the parser. No GPU is needed. */
export const nvidia: Section = {
  name: 'nvidia',
  doc: 'NVML: CPU of a reading (stub library); nvidia-smi: lines a second, and mutated captures against a naive reading',
  async run(context) {
    return [...(await nvmlCost(context)), streamSpeed(context), ...fuzz(context)];
  },
};

/**
 * CPU time of the sampling process for a reading: waking, reading, handing over. What a process of the same kind costs that
 * wakes as often and does nothing stands beside it, measured in turn with it; the difference is the reading's own.
 */
async function nvmlCost(context: SelfContext): Promise<Figure[]> {
  const compiler = findCompiler();
  const what = 'NVML reading at 50 ms: CPU time (stub library)';
  const goal = '≤ 50 µs';
  if (compiler === null) return [{what, value: 'not measured: no C compiler', goal, met: null}];
  const stub = makeNvmlStub(compiler);
  try {
    const runs = Array.from({length: context.quick ? 1 : 3}, (_, run) => run + 1);
    const forMs = context.quick ? 5000 : 20_000;
    const measured = new Map<number, number[]>([
      [50, []],
      [100, []],
    ]);
    const Sampling = await buildSampling(stub.folder);
    const wakes = bareWakes(compiler, stub.folder);
    const bare = wakes.map(({name, wake}) => {
      const costs: number[] = [];
      return {name, wake, costs};
    });
    for (const run of runs) {
      context.log(`NVML sample cost: run ${run}`);
      for (const [periodMs, costs] of measured) {
        const cost = await costOf(Sampling, stub.env(T4_SCRIPT), periodMs, forMs);
        if (cost !== null) costs.push(cost);
      }
      for (const {wake, costs} of bare) costs.push(wake(50, forMs / 2 / 50));
    }
    const wakesOnly = bare.find(({name}) => name === NODE_WAKE)?.costs ?? [];
    const at50 = measured.get(50) ?? [];
    const at100 = measured.get(100) ?? [];
    if (at50.length === 0) return [{what, value: 'not measured: the stub gave no readings', goal, met: null}];
    const own = at50.map((cost, run) => cost - (wakesOnly[run] ?? Number.NaN)).filter(Number.isFinite);
    return [
      {what, value: `${spread(at50, 0)} µs`, goal, met: median(at50) <= 50},
      {what: '… of which reading and handing over', value: `${spread(own, 0)} µs`, goal, met: median(own) <= 50},
      {what: '… at 100 ms', value: `${spread(at100, 0)} µs`, goal: '', met: null},
      ...bare.map(({name, costs}) => ({
        what: `… of which waking every 50 ms: ${name}`,
        value: `${spread(costs, 0)} µs`,
        goal: '',
        met: null,
      })),
    ];
  } finally {
    stub.remove();
  }
}

/** As users run it: the loader of the source tree collects the garbage of its own thread while readings are taken. */
async function buildSampling(folder: string): Promise<typeof NvmlSampling> {
  const built = join(folder, 'dist');
  execFileSync(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', ROOT, '--outDir', built]);
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  symlinkSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  const module: unknown = await import(pathToFileURL(join(built, 'harness', 'nvml', 'nvml-process.js')).href);
  // Cast: the program just compiled has the type of its source.
  return (module as {readonly NvmlSampling: typeof NvmlSampling}).NvmlSampling;
}

/** Programs that wake and do nothing else: in C, and in Node through FFI. */
function bareWakes(compiler: string, folder: string) {
  const program = join(folder, 'bare-wake');
  execFileSync(compiler, ['-O1', '-o', program, join(BARE_WAKE, 'bare-wake.c')]);
  const run = (file: string, args: readonly string[]) => Number(execFileSync(file, args, {encoding: 'utf8'}));
  return [
    {
      name: 'a C program',
      wake: (periodMs: number, times: number) => run(program, [String(periodMs), String(times)]),
    },
    {
      name: NODE_WAKE,
      wake: (periodMs: number, times: number) =>
        run(process.execPath, [join(BARE_WAKE, 'bare-wake.mjs'), String(periodMs), String(times)]),
    },
  ];
}

async function costOf(
  Sampling: typeof NvmlSampling,
  env: NodeJS.ProcessEnv,
  periodMs: number,
  forMs: number,
): Promise<number | null> {
  const costs: number[] = [];
  const sampling = new Sampling(
    {do: 'sample', index: 0, uuid: null, periodMs},
    {
      onMessage(message) {
        if (message.type === 'end' && message.samples > 0) costs.push(message.cpuUs / message.samples);
      },
      onReadings: () => undefined,
      onLost: () => undefined,
    },
    {env},
  );
  await new Promise((resolve) => setTimeout(resolve, forMs));
  await sampling.end();
  return costs[0] ?? null;
}

function streamSpeed({quick, log}: SelfContext): Figure {
  log('nvidia-smi stream');
  const {head, line} = projected(readCorpus()[0] ?? {head: '', line: ''});
  const chunk = Buffer.from(`${line}\n`.repeat(50));
  const rates: number[] = [];
  for (let run = 0; run < (quick ? 3 : 7); run++) {
    const stream = new SampleStream();
    stream.push(`${head}\n`);
    let samples = 0;
    const began = performance.now();
    for (let pieces = 0; pieces < 1000; pieces++) {
      for (const item of stream.push(chunk.toString('latin1'))) if ('sample' in item) samples++;
    }
    rates.push(samples / ((performance.now() - began) / 1000));
  }
  return {
    what: 'nvidia-smi stream, parsed into typed samples',
    value: `${spread(rates, 0)} lines/s`,
    goal: '≥ 100000 lines/s',
    met: median(rates) >= 100_000,
  };
}

interface Lines {
  readonly head: string;
  readonly line: string;
}

/** Header and line of every `--query-gpu` of the captures that are there, and of the one written for tests. */
function readCorpus(): Lines[] {
  const own = sectionsOf(readFileSync(OWN_CAPTURE, 'utf8'));
  return [own, ...captures().map(({sections}) => sections)].flatMap((sections) =>
    [...sections]
      .filter(([title]) => /:: query-gpu/.test(title) && !title.startsWith('capabilities'))
      .map(([, text]) => {
        const [head = '', line = ''] = text.split('\n');
        return {head, line};
      }),
  );
}

/** Only the columns that a sampler asks for. */
function projected({head, line}: Lines): Lines {
  const wanted = new Set<string>(Object.values(SAMPLE_FIELDS).flat());
  const cells = line.split(', ');
  const kept = head
    .split(', ')
    .map((name, at) => ({name, cell: cells[at] ?? ''}))
    .filter(({name}) => wanted.has(name.replace(/ \[.*$/, '')));
  return {head: kept.map(({name}) => name).join(', '), line: kept.map(({cell}) => cell).join(', ')};
}

/**
 * Mutated lines against a naive reading of the cells that were not touched. Four of five mutations damage the inside of
 * up to three cells and leave the separators; every fifth cuts the line, or adds or removes separators, and then the
 * line must be refused (one that happens to keep its number of cells is compared as well).
 */
function fuzz({quick, log}: SelfContext): Figure[] {
  const total = quick ? 50_000 : 1_000_000;
  log(`fuzzing: ${total} mutations`);
  const random = seededRandom(20_261_123);
  const pick = (below: number) => Math.floor(random() * below);
  const full = readCorpus();
  const corpus = [...full.map(projected), ...full].map((lines, index) => ({
    ...lines,
    fields: parseHeader(lines.head) ?? [],
    cells: lines.line.split(', '),
    often: index < full.length,
  }));
  const short = corpus.filter(({often}) => often);
  const texts = wholeTexts();
  let exceptions = 0;
  let wrong = 0;
  let compared = 0;
  let refused = 0;
  for (let count = 0; count < total; count++) {
    try {
      if (count % 50 === 0) {
        const text = texts[pick(texts.length)] ?? '';
        for (const read of READERS) read(damaged(text, random, 1 + pick(4)));
        continue;
      }
      const from = count % 20 === 1 ? corpus : short;
      const {fields, cells} = from[pick(from.length)] ?? {fields: [], cells: []};
      const {text, touched} = count % 5 === 0 ? misshapen(cells, random) : dented(cells, random);
      const row = parseLine(text, fields);
      const naive = text.split(', ');
      if (row === null) {
        refused++;
        // A line with the right number of cells is a line of the table, whatever stands in its cells.
        if (naive.length === fields.length) wrong++;
        continue;
      }
      if (naive.length !== fields.length) wrong++;
      for (const [index, field] of fields.entries()) {
        if (touched.has(index)) continue;
        compared++;
        if (!agrees(row.get(field.name), naiveReading(naive[index] ?? '', field))) wrong++;
      }
    } catch {
      exceptions++;
    }
  }
  return [
    {what: `${total} mutated captures: exceptions`, value: String(exceptions), goal: '0', met: exceptions === 0},
    {
      what: `… wrong values among ${compared} untouched cells; ${refused} lines refused`,
      value: String(wrong),
      goal: '0',
      met: wrong === 0,
    },
  ];
}

const READERS = [parseTable, parseComputeApps, parseGpuList, parseHelp, parseVersion, parseXml] as const;

/** Whole outputs up to 4 kB, for the readers of everything but lines: those must not throw. */
function wholeTexts(): string[] {
  const own = sectionsOf(readFileSync(OWN_CAPTURE, 'utf8'));
  return [own, ...captures().map(({sections}) => sections)]
    .flatMap((sections) => [...sections.values()])
    .map((text) => text.slice(0, 4096));
}

const JUNK = [' ', 'x', '0', '9', '-', '.', '[', ']', 'N/A', 'MiB', '%', '\u0000', '\u00ff', 'e', '0x', '\t', '<', '"'];

function damaged(text: string, random: () => number, times: number): string {
  let result = text;
  for (let time = 0; time < times; time++) {
    const at = Math.floor(random() * (result.length + 1));
    const junk = JUNK[Math.floor(random() * JUNK.length)] ?? '';
    result = result.slice(0, at) + junk + result.slice(at + Math.floor(random() * 4));
  }
  return result;
}

/** Damage inside of cells. A cell that gets a separator by it is mended: that is the business of {@link misshapen}. */
function dented(cells: readonly string[], random: () => number): {text: string; touched: ReadonlySet<number>} {
  const result = [...cells];
  const touched = new Set<number>();
  for (let count = 1 + Math.floor(random() * 3); count > 0; count--) {
    const index = Math.floor(random() * cells.length);
    touched.add(index);
    result[index] = damaged(result[index] ?? '', random, 1).replaceAll(', ', ',_');
  }
  return {text: result.join(', '), touched};
}

/** Damage to the number of cells, always in one direction. */
function misshapen(cells: readonly string[], random: () => number): {text: string; touched: ReadonlySet<number>} {
  const line = cells.join(', ');
  const at = Math.floor(random() * line.length);
  const kind = Math.floor(random() * 3);
  if (kind === 0) return {text: line.slice(0, at), touched: new Set([cells.length - 1])};
  const index = Math.floor(random() * (cells.length - 1));
  const copy = [...cells];
  if (kind === 1) copy.splice(index, 0, 'junk');
  else copy.splice(index, 1);
  return {text: copy.join(', '), touched: new Set()};
}

const FACTORS: Readonly<Record<string, number>> = {
  MiB: 2 ** 20,
  KiB: 2 ** 10,
  MHz: 1e6,
  '%': 0.01,
  us: 1e-6,
  ms: 1e-3,
  mW: 1e-3,
};

/** The second reading: as simple as can be, and without the code under test. */
function naiveReading(cell: string, {unit}: SmiField): number | null {
  const [word = '', own = null, ...more] = cell.trim().split(' ');
  if (more.length > 0 || !/^[+-]?[0-9]+(\.[0-9]+)?$/.test(word)) return null;
  return Number(word) * (FACTORS[own ?? unit ?? ''] ?? 1);
}

function agrees(value: SmiValue | undefined, naive: number | null): boolean {
  if (value?.kind !== 'number') return naive === null;
  return naive !== null && Math.abs(value.value - naive) <= 1e-9 * Math.abs(naive);
}
