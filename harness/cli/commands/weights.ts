import {type Command, InvalidArgumentError} from 'commander';
import {BenchError} from '../../contract/errors.ts';
import {FORMAT_NAMES, type Format} from '../../contract/format.ts';
import {formatBytes, formatSignificant} from '../../contract/units.ts';
import type {ModelArtifact, WeightsProgress} from '../../contract/weights.ts';
import {ARCHITECTURES} from '../../weights/architectures.ts';
import {cacheDir} from '../../weights/cache-dir.ts';
import {expectedModel} from '../../weights/estimate.ts';
import {LocalWeightsStore} from '../../weights/local-weights-store.ts';
import type {CacheListing} from '../../weights/model-cache.ts';
import {nearest} from '../../weights/source.ts';
import type {CommandContext} from '../context.ts';
import {Progress} from '../progress.ts';
import {renderTable, type TableColumn} from '../table.ts';
import {isLive, plain, styleFor} from '../terminal.ts';

const LISTING: readonly TableColumn[] = [
  {title: 'name', align: 'left'},
  {title: 'format', align: 'left'},
  {title: 'size', align: 'right'},
  {title: 'last used', align: 'left'},
  {title: 'state', align: 'left'},
];

const MADE: readonly TableColumn[] = [
  {title: 'format', align: 'left'},
  {title: 'parameters', align: 'right'},
  {title: 'weights', align: 'right'},
  {title: 'bits/weight', align: 'right'},
  {title: 'read per token', align: 'right'},
  {title: 'path', align: 'left'},
];

const MAKEABLE: readonly TableColumn[] = [
  {title: 'name', align: 'left'},
  {title: 'model', align: 'left'},
  {title: 'parameters', align: 'right'},
  {title: '16 bit', align: 'right'},
];

/** `bench weights`: model files in every format. Data to stdout, progress to stderr. */
export function registerWeightsCommand(program: Command, context: CommandContext): void {
  const weights = program.command('weights').description('model files in every format');
  const store = () => new LocalWeightsStore({cacheDir: cacheDir(context.env), env: context.env});

  weights
    .command('make')
    .description('make, find or fetch a model in formats')
    .argument(
      '<model>',
      'architecture (llama-3.2-1b), synthetic:<architecture>, file:<path> or hf:<org>/<repo>[/<file>][@<revision>]',
    )
    .requiredOption('--format <list>', `formats, separated by commas: ${FORMAT_NAMES.join(', ')}`, parseFormats)
    .option('--seed <n>', 'seed of synthetic weights', parseSeed, 1)
    .option('--json', 'one JSON object a line')
    .action(async (model: string, options: {format: readonly Format[]; seed: number; json?: true}) => {
      const source = toSource(model);
      const made: ModelArtifact[] = [];
      for (const format of options.format) {
        const work = {signal: context.signal, ...progressOf(context)};
        try {
          made.push(await store().ensure({source, format, seed: options.seed}, work));
        } finally {
          work.end();
        }
      }
      printArtifacts(made, options.json === true, context);
    });

  weights
    .command('pull')
    .description('fetch a model from the hub, with resume and checksum')
    .argument('<source>', 'hf:<org>/<repo>/<file>.gguf or hf:<org>/<repo>, each with @<revision>')
    .option('--json', 'one JSON object')
    .action(async (source: string, options: {json?: true}) => {
      const work = {signal: context.signal, ...progressOf(context)};
      try {
        const pulled = await store().pull(source, work);
        work.end();
        if (options.json !== true) context.stdout.write(`${plain(pulled.sourceText)}\n`);
        printArtifacts([pulled], options.json === true, context);
      } finally {
        work.end();
      }
    });

  weights
    .command('list')
    .description('what the cache holds, with sizes, and what can be made without a download')
    .option('--json', 'one JSON array')
    .action(async (options: {json?: true}) => {
      const {cache} = store();
      const entries = await cache.list();
      if (options.json === true) {
        context.stdout.write(`${JSON.stringify(entries, null, 1)}\n`);
        return;
      }
      context.stdout.write(`${entries.length === 0 ? '' : `${cacheTable(entries)}\n`}${totalOf(entries, cache.dir)}\n`);
      context.stdout.write(`\n${makeableText()}\n`);
    });

  weights
    .command('verify')
    .description('hash every file of the cache again')
    .option('--json', 'one JSON array')
    .action(async (options: {json?: true}) => {
      const progress = progressOf(context);
      const onEntry = (name: string) => progress.onProgress({step: `hashing ${name}`, doneBytes: 0, totalBytes: null});
      const results = await store().cache.verify({signal: context.signal, onEntry});
      progress.end();
      if (options.json === true) context.stdout.write(`${JSON.stringify(results, null, 1)}\n`);
      else
        for (const {name, ok, reason} of results)
          context.stdout.write(`${plain(ok ? `ok       ${name}` : `damaged  ${name}: ${reason}`)}\n`);
      const damaged = results.filter((result) => !result.ok);
      if (damaged.length > 0) {
        throw new BenchError(
          'MODEL_CORRUPT',
          `${damaged.length} of ${results.length} cached models are damaged: ${damaged.map(({name}) => name).join(', ')}`,
        );
      }
    });

  weights
    .command('remove')
    .description('remove models from the cache by name')
    .argument('<glob>', 'names as `list` prints them; * and ? match any letters')
    .action(async (glob: string) => {
      const removed = await store().cache.remove(glob);
      if (removed.length === 0)
        throw new BenchError('USAGE', `no cached model is named '${glob}'; see \`bench weights list\``);
      for (const {name, bytes} of removed) context.stdout.write(`removed ${plain(name)} (${formatBytes(bytes)})\n`);
    });
}

function cacheTable(entries: readonly CacheListing[]): string {
  const rows = entries.map((entry) => [
    entry.name,
    entry.format ?? '',
    formatBytes(entry.bytes),
    entry.lastUsedAt === null ? '' : entry.lastUsedAt.slice(0, 16).replace('T', ' '),
    entry.state === 'complete' ? '' : entry.state,
  ]);
  return renderTable(LISTING, rows);
}

function totalOf(entries: readonly CacheListing[], dir: string): string {
  if (entries.length === 0) return `nothing in ${plain(dir)}`;
  return `${formatBytes(entries.reduce((sum, {bytes}) => sum + bytes, 0))} in ${plain(dir)}`;
}

/** The catalogue: random weights of exact shapes. */
function makeableText(): string {
  const rows = ARCHITECTURES.map((architecture) => {
    const {parameters, weightsBytes} = expectedModel(architecture, 'gguf-f16');
    return [architecture.name, architecture.title, `${Math.round(parameters / 1e6)} M`, formatBytes(weightsBytes)];
  });
  return `Random weights of these shapes are made without a download: bench weights make NAME --format gguf-q4_k_m\n\n${renderTable(MAKEABLE, rows)}`;
}

/** A bare architecture name means its synthetic weights. */
function toSource(model: string): string {
  return ARCHITECTURES.some(({name}) => name === model) || !model.includes(':') ? `synthetic:${model}` : model;
}

function isFormat(name: string): name is Format {
  return FORMAT_NAMES.some((format) => format === name);
}

function parseFormats(text: string): readonly Format[] {
  const formats = new Set<Format>();
  for (const name of text.split(',').map((part) => part.trim())) {
    if (isFormat(name)) formats.add(name);
    else {
      const near = isFormat(`gguf-${name}`) ? `gguf-${name}` : nearest(name, FORMAT_NAMES);
      throw new InvalidArgumentError(
        `No format '${name}'; ${near === null ? `known are ${FORMAT_NAMES.join(', ')}` : `did you mean '${near}'?`}`,
      );
    }
  }
  return [...formats];
}

function parseSeed(text: string): number {
  const seed = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(seed))
    throw new InvalidArgumentError('A seed is a whole number, 0 or more.');
  return seed;
}

function progressOf({stderr, env}: CommandContext): {onProgress(progress: WeightsProgress): void; end(): void} {
  const live = isLive(stderr, env);
  const progress = new Progress({output: stderr, style: styleFor(stderr, env), live});
  let shownAt = 0;
  let shown = '';
  return {
    onProgress({step, doneBytes, totalBytes}) {
      // A download reports thousands of times a second; ten redraws are enough.
      const now = performance.now();
      if (step === shown && now - shownAt < 100) return;
      shown = step;
      shownAt = now;
      progress.show({type: 'step', text: step, ...(totalBytes === null ? {} : {doneBytes, totalBytes})});
    },
    end: () => progress.end(),
  };
}

function printArtifacts(artifacts: readonly ModelArtifact[], json: boolean, {stdout}: CommandContext): void {
  if (json) {
    for (const artifact of artifacts) stdout.write(`${JSON.stringify(artifact)}\n`);
    return;
  }
  const rows = artifacts.map((artifact) => [
    artifact.format,
    String(artifact.parameters),
    formatBytes(artifact.weightsBytes),
    formatSignificant(artifact.bitsPerWeight),
    formatBytes(artifact.bytesPerToken),
    artifact.path,
  ]);
  stdout.write(`${renderTable(MADE, rows)}\n`);
}
