import type {Cell, RunnerRef} from '../contract/cell.ts';
import type {DeviceEntry, HostFacts} from '../contract/device.ts';
import {FORMATS, type Format} from '../contract/format.ts';
import type {Matrix, MatrixSettings} from '../contract/matrix.ts';
import {SERVER_RUNNER, serverRef} from '../contract/server.ts';
import type {Workload} from '../contract/workload.ts';
import {type CellDevice, HOST_WORDS, resolveDevices} from './cell-device.ts';
import {cellId} from './cell-id.ts';
import {matchesGlob} from './glob.ts';
import {type LoadedMatrix, mistaken} from './load-matrix.ts';
import {type Mistake, ruleList, runnerName} from './matrix-mistakes.ts';
import {didYouMean} from './nearest.ts';
import {ruleMatches, type Traits} from './rules.ts';
import {KERNEL_NAMES, kernelsFor, runnerTraits} from './runner-traits.ts';
import {ambiguousServers} from './server-mistakes.ts';
import {mergeSettings, resolveSettings} from './settings.ts';

/** What the command line changes. */
export interface PlanOverrides {
  /** `KEY=GLOB`, as given. */
  readonly only?: readonly string[];
  readonly rounds?: number;
  /** Seconds of warm-up and measuring per cell and round. */
  readonly budgetSeconds?: number;
}

export interface ExpandedCell {
  readonly cell: Cell;
  readonly device: CellDevice;
  /** What rules and `--only` are held against. */
  readonly traits: Traits;
}

export interface ExpandInput {
  readonly loaded: LoadedMatrix;
  readonly host: HostFacts;
  readonly catalogue: readonly DeviceEntry[];
  /** Runners that exist, for "did you mean". */
  readonly runnerIds: readonly string[];
  readonly overrides?: PlanOverrides;
}

interface Point {
  readonly model: Matrix['models'][number];
  readonly device: CellDevice;
  readonly isa: Cell['isa'];
  readonly workload: Matrix['workloads'][number];
  readonly workloadIndex: number;
  readonly format: Format;
  readonly runner: Matrix['runners'][number];
}

/**
 * The cells of a matrix on a host, in a fixed order: model, device, instruction set, workload, format, runner, kernel,
 * sweep. Pure: the same input gives the same cells, and a cell of another device has the id it will have there.
 *
 * @throws {BenchError} MATRIX_INVALID with one line per mistake.
 */
export function expandCells({loaded, host, catalogue, runnerIds, overrides = {}}: ExpandInput): ExpandedCell[] {
  const {matrix, places} = loaded;
  const {devices, mistakes: strange} = resolveDevices(matrix, host, catalogue);
  const mistakes: Mistake[] = [
    ...strange,
    ...unknownRunners(matrix, runnerIds),
    ...unknownKernels(matrix),
    ...idleRules(matrix, devices),
  ];
  if (mistakes.length > 0) throw mistaken(places, mistakes);

  const cells = new Map<string, ExpandedCell>();
  for (const point of points(matrix, devices)) {
    for (const {kernel, included} of chosenKernels(matrix, point)) {
      const traits = traitsOf(point, kernel);
      if (matrix.exclude.some((rule) => ruleMatches(rule, traits))) continue;
      for (const swept of sweepValues(matrix, point)) {
        const expanded = toCell({loaded, host, overrides, point, kernel, included, swept, traits});
        mistakes.push(...contradictions(expanded.cell, point));
        // An override may undo a swept value: what is then the same cell is run once.
        if (!cells.has(expanded.cell.id)) cells.set(expanded.cell.id, expanded);
      }
    }
  }
  mistakes.push(
    ...ambiguousServers(
      matrix,
      [...cells.values()].map(({cell}) => cell),
    ),
  );
  if (mistakes.length > 0) throw mistaken(places, distinct(mistakes));
  if (cells.size === 0) throw mistaken(places, [nothingLeft(matrix, devices)]);
  return [...cells.values()];
}

function* points(matrix: Matrix, devices: readonly CellDevice[]): Generator<Point> {
  for (const model of matrix.models) {
    for (const device of devices) {
      for (const isa of isaCaps(matrix, device)) {
        for (const [workloadIndex, workload] of matrix.workloads.entries()) {
          for (const format of matrix.formats) {
            for (const runner of matrix.runners) {
              const {families, isaCaps: caps} = runnerTraits(runner);
              if (!families.includes(FORMATS[format].family) || (isa !== 'native' && !caps)) continue;
              if (!runsOn(runner, device, format)) continue;
              yield {model, device, isa, workload, workloadIndex, format, runner};
            }
          }
        }
      }
    }
  }
}

/** A server elsewhere has a device of its own, all else the devices of the matrix; and a server may lack a format. */
function runsOn(runner: Matrix['runners'][number], device: CellDevice, format: Format): boolean {
  const server = typeof runner === 'string' ? undefined : runner.server;
  if (device.elsewhere === true && server?.device !== device.name) return false;
  if (device.elsewhere !== true && server?.device !== undefined) return false;
  return server === undefined || serverRef(server, format) !== null;
}

/** Instruction sets are a matter of CPUs. */
function isaCaps(matrix: Matrix, device: CellDevice): readonly Cell['isa'][] {
  return device.kind === 'cpu' ? matrix.isa : ['native'];
}

/** With include rules, a cell stays when one matches; each rule may bring kernels of its own, and its settings apply. */
function chosenKernels(
  matrix: Matrix,
  point: Point,
): {readonly kernel: string; readonly included: readonly (MatrixSettings | undefined)[]}[] {
  const fitting = (listed: readonly string[]) =>
    kernelsFor(listed, {
      family: FORMATS[point.format].family,
      deviceKind: point.device.kind,
      ownWorker: isOwn(point.runner),
      server: isServer(point.runner),
    });
  if (matrix.include.length === 0) return fitting(matrix.kernels).map((kernel) => ({kernel, included: []}));
  const rules = matrix.include.map((rule) => ({rule, kernels: fitting(rule.kernels ?? matrix.kernels)}));
  return [...new Set(rules.flatMap(({kernels}) => kernels))].flatMap((kernel) => {
    const traits = traitsOf(point, kernel);
    const matching = rules.filter(({rule, kernels}) => kernels.includes(kernel) && ruleMatches(rule, traits));
    return matching.length === 0 ? [] : [{kernel, included: matching.map(({rule}) => rule.settings)}];
  });
}

/** All combinations of the swept settings that the runner has. */
function sweepValues(matrix: Matrix, point: Point): MatrixSettings[] {
  const {settings} = runnerTraits(point.runner);
  let combinations: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(matrix.sweep)) {
    if (!settings.some((known) => known === name)) continue;
    combinations = combinations.flatMap((combination) =>
      (values ?? []).map((value) => ({...combination, [name]: value})),
    );
  }
  return combinations as MatrixSettings[]; // loadMatrix checked every value against the schema of its setting.
}

function toCell(input: {
  readonly loaded: LoadedMatrix;
  readonly host: HostFacts;
  readonly overrides: PlanOverrides;
  readonly point: Point;
  readonly kernel: string;
  readonly included: readonly (MatrixSettings | undefined)[];
  readonly swept: MatrixSettings;
  readonly traits: Traits;
}): ExpandedCell {
  const {loaded, host, overrides, point, kernel, traits} = input;
  const {matrix} = loaded;
  const {model, device} = point;
  const over = matrix.override.filter(({when}) => ruleMatches(when, traits));
  const last = <Value>(values: readonly (Value | undefined)[], otherwise: Value): Value =>
    values.findLast((value) => value !== undefined) ?? otherwise;
  const workload = toWorkload(point.workload, loaded);
  const asked = mergeSettings(
    matrix.settings,
    point.workload.settings,
    ...input.included,
    input.swept,
    ...over.map(({settings}) => settings),
  );
  const rounds =
    overrides.rounds ??
    last(
      over.map((rule) => rule.rounds),
      matrix.rounds,
    );
  const least = Math.ceil(
    last(
      over.map((rule) => rule.requests),
      matrix.requests.min,
    ) / rounds,
  );
  const mostWarmup = last(
    over.map((rule) => rule.warmup_max),
    matrix.requests.warmup_max,
  );
  const anonymous: Omit<Cell, 'id'> = {
    matrix: matrix.matrix,
    model: model.name,
    source: model.sources?.[point.format] ?? model.source,
    weightsSeed: model.seed,
    format: point.format,
    runner: toRunner(point.runner, point.format),
    kernel,
    device: device.name,
    deviceKind: device.kind,
    isa: point.isa,
    workload,
    ...resolveSettings(asked, {
      traits: runnerTraits(point.runner),
      deviceKind: device.kind,
      positions: positionsOf(workload, loaded),
      // The cores of another machine are not known here: bindCell sets them there.
      usableCores: device.here === null ? 1 : host.cpu.usableCores,
    }),
    stop: {
      warmupMinRequests: Math.min(matrix.requests.warmup_min, mostWarmup),
      warmupMaxRequests: mostWarmup,
      minRequests: least,
      maxRequests: Math.max(least, Math.ceil(matrix.requests.max / rounds)),
      minSeconds: matrix.requests.min_seconds,
      relativeHalfWidth: last(
        over.map((rule) => rule.half_width),
        matrix.requests.half_width,
      ),
      budgetSeconds:
        overrides.budgetSeconds ??
        last(
          over.map((rule) => rule.budget_seconds),
          matrix.budget_seconds,
        ),
    },
    limits: {loadSeconds: matrix.limits.load_seconds, idleSeconds: matrix.limits.idle_seconds},
    rounds,
    promptSeed: matrix.seed,
  };
  return {cell: {id: cellId(anonymous), ...anonymous}, device, traits};
}

function toWorkload(entry: Matrix['workloads'][number], {prompts}: LoadedMatrix): Workload {
  return {
    name: entry.name,
    promptTokens: entry.prompt_tokens ?? 0,
    generatedTokens: entry.generated_tokens,
    batch: entry.batch,
    concurrency: entry.concurrency,
    prefixCache: entry.prefix_cache,
    prompts: entry.prompts ?? null,
    promptsSha256: entry.prompts === undefined ? null : (prompts.get(entry.prompts)?.sha256 ?? null),
  };
}

/** Of a prompts file: as many tokens as the longest prompt has bytes, more no tokenizer makes; and a begin token. */
function positionsOf(workload: Workload, {prompts}: LoadedMatrix): number {
  const longest = workload.prompts === null ? 0 : (prompts.get(workload.prompts)?.longestPromptBytes ?? 0) + 1;
  return workload.promptTokens + longest + workload.generatedTokens + 1;
}

function toRunner(runner: Matrix['runners'][number], format: Format): RunnerRef {
  if (typeof runner === 'string') return {id: runner};
  const {name, command, server} = runner;
  const ref = server === undefined ? null : serverRef(server, format);
  return {id: name, ...(command === undefined ? {} : {command}), ...(ref === null ? {} : {server: ref})};
}

function isOwn(runner: Matrix['runners'][number]): boolean {
  return typeof runner !== 'string' && runner.command !== undefined;
}

function isServer(runner: Matrix['runners'][number]): boolean {
  return typeof runner !== 'string' && runner.server !== undefined;
}

function traitsOf(point: Point, kernel: string): Traits {
  return {
    model: [point.model.name],
    format: [point.format],
    runner: [runnerName(point.runner)],
    kernel: [kernel],
    device: point.device.words,
    isa: [point.isa],
    workload: [point.workload.name],
  };
}

function contradictions({workload, settings}: Cell, {workloadIndex}: Point): Mistake[] {
  const mistakes: Mistake[] = [];
  const needed = workload.promptTokens + workload.generatedTokens + 1;
  if (settings.contextTokens < needed) {
    const text = `needs ${needed} positions (${workload.promptTokens} prompt + ${workload.generatedTokens} generated + 1), but context_tokens is ${settings.contextTokens}`;
    mistakes.push({path: ['workloads', workloadIndex], text});
  }
  if (settings.ubatchTokens > settings.batchTokens) {
    const text = `ubatch_tokens (${settings.ubatchTokens}) is above batch_tokens (${settings.batchTokens})`;
    mistakes.push({path: ['settings'], text});
  }
  return mistakes;
}

function unknownRunners(matrix: Matrix, runnerIds: readonly string[]): Mistake[] {
  return matrix.runners.flatMap((runner, index) => {
    const name = runnerName(runner);
    const builtIn = runnerIds.includes(name);
    if (typeof runner !== 'string') {
      return builtIn && !(isServer(runner) && name === SERVER_RUNNER)
        ? [{path: ['runners', index, 'name'], text: `"${name}" is a runner of bench: name your own differently`}]
        : [];
    }
    if (name === SERVER_RUNNER) {
      const text = `"${name}" measures a server: give it one, as {name: vllm, server: {url: http://127.0.0.1:8000/v1}}`;
      return [{path: ['runners', index], text}];
    }
    if (builtIn) return [];
    return [
      {
        path: ['runners', index],
        text: `"${name}" is no runner${didYouMean(name, runnerIds) || `; there are ${runnerIds.join(', ')}`}`,
      },
    ];
  });
}

function unknownKernels(matrix: Matrix): Mistake[] {
  if (matrix.runners.some(isOwn)) return [];
  const lists = [
    {path: ['kernels'], kernels: matrix.kernels},
    ...matrix.include.map((rule, index) => ({path: ['include', index, 'kernels'], kernels: rule.kernels ?? []})),
  ];
  return lists.flatMap(({path, kernels}) =>
    kernels.flatMap((kernel, index) => {
      if (KERNEL_NAMES.includes(kernel)) return [];
      return [
        {
          path: [...path, index],
          text: `"${kernel}" is no kernel${didYouMean(kernel, KERNEL_NAMES) || `; there are ${KERNEL_NAMES.join(', ')}`}`,
        },
      ];
    }),
  );
}

/** Rules that can match no cell on any host; which devices a host has does not count. */
function idleRules(matrix: Matrix, devices: readonly CellDevice[]): Mistake[] {
  const deviceWords = [...new Set([...HOST_WORDS, ...matrix.devices, ...devices.flatMap(({words}) => words)])];
  return ruleList(matrix).flatMap(({path, rule}) => {
    const patterns = rule.device === undefined ? [] : [rule.device].flat();
    const unmatched = patterns.filter((pattern) => !deviceWords.some((word) => matchesGlob(pattern, word)));
    if (unmatched.length > 0) {
      return unmatched.map((pattern) => ({
        path: [...path, 'device'],
        text: `"${pattern}" matches no device of this matrix${didYouMean(pattern, deviceWords) || `; it has ${matrix.devices.join(', ')}`}`,
      }));
    }
    if (combinations(matrix).some((traits) => ruleMatches(rule, traits))) return [];
    return [{path, text: 'this rule matches no cell: no combination of format, runner and kernel has all of it'}];
  });
}

function combinations(matrix: Matrix): Partial<Traits>[] {
  const listed = [...new Set([...matrix.kernels, ...matrix.include.flatMap((rule) => rule.kernels ?? [])])];
  return matrix.runners.flatMap((runner) =>
    matrix.formats
      .filter((format) => runnerTraits(runner).families.includes(FORMATS[format].family))
      .map((format) => ({
        runner: [runnerName(runner)],
        format: [format],
        kernel: (['cpu', 'cuda'] as const).flatMap((deviceKind) =>
          kernelsFor(listed, {
            family: FORMATS[format].family,
            deviceKind,
            ownWorker: isOwn(runner),
            server: isServer(runner),
          }),
        ),
      })),
  );
}

function nothingLeft(matrix: Matrix, devices: readonly CellDevice[]): Mistake {
  if (devices.length === 0) {
    return {
      path: ['devices'],
      text: `this machine has no ${matrix.devices.includes('host-gpu') ? 'GPU' : 'device'} that is meant here`,
    };
  }
  const runners = matrix.runners.map(runnerName);
  const read = new Set(runners.flatMap((name) => runnerTraits(name).families));
  if (!matrix.formats.some((format) => read.has(FORMATS[format].family))) {
    return {
      path: ['formats'],
      text: `no cell is left: ${runners.join(', ')} reads none of ${matrix.formats.join(', ')}`,
    };
  }
  const rules = (['exclude', 'include'] as const).filter((key) => matrix[key].length > 0);
  const [first] = rules;
  if (first !== undefined)
    return {path: [first], text: `no cell is left: the rules of ${rules.join(' and ')} leave none`};
  return {
    path: [],
    text: 'no cell is left: its formats, runners, kernels, devices and instruction sets do not go together',
  };
}

function distinct(mistakes: readonly Mistake[]): Mistake[] {
  return [...new Map(mistakes.map((mistake) => [JSON.stringify(mistake), mistake])).values()];
}
