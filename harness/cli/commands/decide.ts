import {join} from 'node:path';
import {type Command, InvalidArgumentError} from 'commander';
import {reasons} from '../../../reports/reasons.ts';
import type {Candidate} from '../../claims/candidate.ts';
import type {Decision} from '../../claims/decide.ts';
import {
  aboutInWords,
  breakEvenSentences,
  needInWords,
  nextSteps,
  notMeasured,
  reasonSentence,
  surety,
  usd,
} from '../../claims/decision-report.ts';
import {BenchError} from '../../contract/errors.ts';
import type {PricesFile} from '../../contract/prices.ts';
import {formatBytes, formatSignificant} from '../../contract/units.ts';
import {loadCatalogue} from '../../device/catalogue.ts';
import type {CommandContext} from '../context.ts';
import {type NeedOptions, readNeed} from '../decide-need.ts';
import {decideRuns, readDecisionRows} from '../decide-runs.ts';
import {PACKAGE_ROOT} from '../package-root.ts';
import {runFolders} from '../read-runs.ts';
import {PRICES_PATH, readPrices} from '../shipped-prices.ts';
import {renderTable, type TableColumn} from '../table.ts';
import {plain} from '../terminal.ts';

interface DecideOptions extends NeedOptions {
  readonly prices: string;
  readonly price: readonly GivenPrice[];
  readonly json?: true;
}

interface GivenPrice {
  readonly device: string;
  readonly usdPerHour: number;
}

const COLUMNS: readonly TableColumn[] = [
  {title: '', align: 'left'},
  {title: 'candidate', align: 'left'},
  {title: 'machines', align: 'right'},
  {title: 'USD/month', align: 'right'},
  {title: 'idle', align: 'right'},
  {title: 'met', align: 'right'},
  {title: 'USD/1k met', align: 'left'},
  {title: 'USD/1M met tokens', align: 'right'},
  {title: 'p90', align: 'left'},
  {title: 'price of', align: 'left'},
];
/** Rows of a table that people read to the end; --json has all. */
const SHOWN = 12;

const many = (value: string, known: readonly string[] = []): string[] => [...known, ...value.split(',')];

/** `bench decide PATH…`: what to deploy where, for one need. */
export function registerDecideCommand(program: Command, context: CommandContext): void {
  program
    .command('decide')
    .description('what to deploy where, what it costs, and how sure that is; exit 4 when nothing fits')
    .argument('<path...>', 'run folders, or folders of runs')
    .option('--need <file>', 'a file as in matrices/needs; options below override it')
    .option('--model <globs>', 'models that will do', many)
    .option('--workload <glob>', 'workload that is like the requests to serve')
    .option('--p90-ms <ms>', '90 % of requests answered within', positive)
    .option('--ttft-ms <ms>', '90 % of first tokens within', positive)
    .option('--min-quality <share>', 'least share of right answers, 0 … 1', share)
    .option('--requests-per-hour <n>', 'demand', positive)
    .option('--concurrency <n>', 'requests at the same time', whole)
    .option('--memory <size>', 'most memory of a replica: 800MiB, 8GiB', bytes)
    .option('--budget-usd-per-month <usd>', 'most that it may cost', positive)
    .option('--devices <globs>', 'devices that may be used, comma-separated', many)
    .option('--offers <globs>', 'offers of prices.yaml that may be used, comma-separated', many)
    .option('--hours-per-month <n>', 'hours of service; 730 is around the clock', positive)
    .option('--prices <file>', 'prices', PRICES_PATH)
    .option('--price <device=usd>', 'price of an hour that is not in the file; repeatable', givenPrice, [])
    .option('--json', 'one JSON document')
    .action(async (paths: readonly string[], options: DecideOptions) => {
      const need = await readNeed(options);
      const prices = withGiven(readPrices(options.prices), options.price);
      const devices = await loadCatalogue(join(PACKAGE_ROOT, 'matrices', 'devices.yaml'));
      const decision = await decideRuns(await readDecisionRows(await runFolders(paths)), need, {prices, devices});
      if (options.json === true) context.stdout.write(`${JSON.stringify(decision, null, 2)}\n`);
      else context.stdout.write(`${decisionText(decision).map(plain).join('\n')}\n`);
      // What was found is on stdout already: the reason need not be told twice.
      if (decision.verdict === 'nothing-fits') throw new BenchError('GATE', `no target meets the need ${need.need}`);
      if (decision.verdict === 'no-price') {
        const [first = '', ...others] = decision.unpriced.map(({device}) => plain(device));
        const all = [first, ...others].join(', ');
        throw new BenchError(
          'PRICES_INVALID',
          `${options.prices}: no price for ${all}; for a look: --price ${first}=USD`,
        );
      }
    });
}

/** The decision for people, a line an entry. */
export function decisionText(decision: Decision): string[] {
  const {need, candidates, excluded, recommended} = decision;
  const cannot = reasons(excluded);
  const ours = new Set(decision.tied.map(({id}) => id));
  const mark = (one: Candidate): string => (one === recommended ? '→' : ours.has(one.id) ? '=' : '');
  const noted = candidates.filter((one) => mark(one) !== '' && one.notes.length > 0).slice(0, SHOWN);
  return [
    need.title ?? need.need,
    ...[aboutInWords(decision), needInWords(need)].filter((text) => text !== ''),
    '',
    reasonSentence(decision),
    ...(recommended === null ? [] : [surety(decision)]),
    ...(candidates.length === 0
      ? []
      : [
          '',
          ...renderTable(
            COLUMNS,
            candidates.slice(0, SHOWN).map((one) => lineOf(one, mark(one))),
          ).split('\n'),
        ]),
    ...more(decision.pricedTotal - SHOWN, 'candidates'),
    ...section(
      'notes',
      noted.map((one) => `${mark(one)} ${one.name}: ${one.notes.join('; ')}`),
    ),
    ...section('break-even', breakEvenSentences(decision)),
    ...section('what would settle it', nextSteps(decision)),
    ...section('not measured', notMeasured(decision)),
    ...section('cannot', cannot.slice(0, SHOWN)),
    ...more(cannot.length - SHOWN, 'kinds of reasons'),
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', `${title}:`, ...lines.map((line) => `  ${line}`)];
}

function more(rest: number, what: string): string[] {
  return rest > 0 ? [`  … and ${rest} more ${what}; see --json`] : [];
}

function lineOf(one: Candidate, mark: string): string[] {
  const {p90Ms: p90, metShare, replicas, deployment} = one;
  return [
    mark,
    one.name,
    replicas.low === replicas.high ? String(replicas.value) : `${replicas.value} (${replicas.low} … ${replicas.high})`,
    formatSignificant(one.usdPerMonth.value),
    deployment.idleShare === null ? '' : `${Math.round(deployment.idleShare * 100)} %`,
    metShare === null ? '?' : `${(100 * metShare.value).toFixed(1)} %`,
    one.usdPer1kMet === null ? `? ${usd(one.usdPer1kRequests)}` : usd(one.usdPer1kMet),
    one.usdPer1mMetTokens === null ? '' : formatSignificant(one.usdPer1mMetTokens.value),
    p90 === null
      ? ''
      : `${formatSignificant(p90.value)} (${formatSignificant(p90.low)} … ${formatSignificant(p90.high)}) ms`,
    one.offer.date,
  ];
}

/** Prices given by hand stand before those of the file: who gives one means it. */
function withGiven(prices: PricesFile, given: readonly GivenPrice[]): PricesFile {
  const devices = new Set(given.map(({device}) => device));
  const without = <Offer extends {readonly devices: readonly string[]}>(offers: readonly Offer[]) =>
    offers
      .map((offer) => ({...offer, devices: offer.devices.filter((device) => !devices.has(device))}))
      .filter((offer) => offer.devices.length > 0);
  return {
    ...prices,
    rentals: [
      ...given.map(({device, usdPerHour}) => ({
        name: `given-${device}`,
        devices: [device],
        usd_per_hour: usdPerHour,
        devices_per_machine: 1,
        billing: null,
        date: 'today',
        source: '--price',
      })),
      ...without(prices.rentals),
    ],
    owned: without(prices.owned),
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('Give a number above 0.');
  return value;
}

function whole(text: string): number {
  const value = positive(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('Give a whole number.');
  return value;
}

function share(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError('Give a number from 0 to 1, for example 0.95.');
  return value;
}

const SIZES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

function bytes(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text) ?? [];
  const factor = SIZES[unit.toUpperCase()];
  const value = digits === '' || factor === undefined ? 0 : Math.round(Number(digits) * factor);
  if (value <= 0 || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError(
      `Give a size, for example 800MiB or ${formatBytes(8 * 2 ** 30).replace('.00', '')}.`,
    );
  }
  return value;
}

function givenPrice(text: string, known: readonly GivenPrice[]): GivenPrice[] {
  const [device = '', price = ''] = text.split('=');
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(device)) throw new InvalidArgumentError('Give device=USD, for example t4=0.35.');
  return [...known, {device, usdPerHour: positive(price)}];
}
