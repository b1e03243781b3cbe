import {isDeepStrictEqual} from 'node:util';
import {type Matrix, MatrixSettingsSchema, type RuleKey, RuleKeys} from '../contract/matrix.ts';
import {matchesGlob} from './glob.ts';
import {didYouMean} from './nearest.ts';
import {serverMistakes} from './server-mistakes.ts';

export interface Mistake {
  readonly path: readonly PropertyKey[];
  readonly text: string;
}

/** What a schema cannot see: names given twice, numbers that contradict each other, rules that can match nothing. */
export function matrixMistakes(matrix: Matrix): Mistake[] {
  return [
    ...repeated(
      'models',
      matrix.models.map((model) => model.name),
      'name',
    ),
    ...repeated('formats', matrix.formats),
    ...repeated('runners', matrix.runners.map(runnerName)),
    ...repeated('kernels', matrix.kernels),
    ...repeated('devices', matrix.devices),
    ...repeated('isa', matrix.isa),
    ...repeated(
      'workloads',
      matrix.workloads.map((workload) => workload.name),
      'name',
    ),
    ...sources(matrix),
    ...workloads(matrix),
    ...serverMistakes(matrix),
    ...sweep(matrix),
    ...requests(matrix),
    ...rules(matrix),
  ];
}

export function runnerName(runner: Matrix['runners'][number]): string {
  return typeof runner === 'string' ? runner : runner.name;
}

function repeated(list: string, names: readonly string[], key?: string): Mistake[] {
  return names.flatMap((name, index) => {
    if (names.indexOf(name) === index) return [];
    return [{path: key === undefined ? [list, index] : [list, index, key], text: `"${name}" appears twice`}];
  });
}

const SOURCE = /^(synthetic:[a-z0-9][a-z0-9._-]*|file:.+|hf:[^/\s]+\/[^\s]+|server:\S.{0,255})$/;

function sources(matrix: Matrix): Mistake[] {
  return matrix.models.flatMap((model, index) => {
    const all = [
      {path: ['models', index, 'source'], source: model.source},
      ...Object.entries(model.sources ?? {}).map(([format, source]) => ({
        path: ['models', index, 'sources', format],
        source,
      })),
    ];
    return all
      .filter(({source}) => !SOURCE.test(source))
      .map(({path, source}) => ({
        path,
        text: `"${source}" is no source; use synthetic:<architecture>, file:<path>, hf:<org>/<repo>[/<file>][@<revision>] or server:<name>`,
      }));
  });
}

function workloads(matrix: Matrix): Mistake[] {
  return matrix.workloads.flatMap((workload, index) => {
    if (workload.prefix_cache === 'off' || workload.prompt_tokens === undefined) return [];
    const shared = Number(workload.prefix_cache.slice('shared:'.length));
    if (shared > 0 && shared < workload.prompt_tokens) return [];
    return [
      {
        path: ['workloads', index, 'prefix_cache'],
        text: `shared:${shared} must keep at least one token and leave at least one of the ${workload.prompt_tokens} prompt tokens to evaluate`,
      },
    ];
  });
}

function sweep(matrix: Matrix): Mistake[] {
  return Object.entries(matrix.sweep).flatMap(([key, values]) =>
    (values ?? []).flatMap((value, index) => {
      const path = ['sweep', key, index];
      if (values?.findIndex((other) => isDeepStrictEqual(other, value)) !== index) {
        return [{path, text: `${JSON.stringify(value)} appears twice`}];
      }
      if (MatrixSettingsSchema.safeParse({[key]: value}).success) return [];
      const words = wordsOf(key);
      const meant = typeof value === 'string' ? didYouMean(value, words) : '';
      const there = words.length === 0 ? '' : `; there are ${words.join(', ')}`;
      return [{path, text: `${JSON.stringify(value)} is no value for the setting ${key}${meant || there}`}];
    }),
  );
}

/** The words that a setting takes; none of one that takes numbers. */
function wordsOf(key: string): readonly string[] {
  const probe = MatrixSettingsSchema.safeParse({[key]: '\u0000'});
  return probe.success
    ? []
    : probe.error.issues.flatMap((issue) =>
        issue.code === 'invalid_value' ? issue.values.filter((one) => typeof one === 'string') : [],
      );
}

function requests({requests: rule}: Matrix): Mistake[] {
  const mistakes: Mistake[] = [];
  if (rule.min > rule.max) {
    mistakes.push({path: ['requests', 'max'], text: `max (${rule.max}) is below min (${rule.min})`});
  }
  if (rule.warmup_min > rule.warmup_max) {
    mistakes.push({
      path: ['requests', 'warmup_max'],
      text: `warmup_max (${rule.warmup_max}) is below warmup_min (${rule.warmup_min})`,
    });
  }
  return mistakes;
}

/** Every glob of every rule must match something that the matrix lists; device names are checked on the host. */
function rules(matrix: Matrix): Mistake[] {
  const known: Readonly<Record<Exclude<RuleKey, 'device'>, readonly string[]>> = {
    model: matrix.models.map((model) => model.name),
    format: matrix.formats,
    runner: matrix.runners.map(runnerName),
    kernel: [...new Set(['auto', ...matrix.kernels, ...matrix.include.flatMap((rule) => rule.kernels ?? [])])],
    isa: matrix.isa,
    workload: matrix.workloads.map((workload) => workload.name),
  };
  return ruleList(matrix).flatMap(({path, rule}) =>
    RuleKeys.flatMap((key) => {
      const patterns = rule[key];
      if (key === 'device' || patterns === undefined) return [];
      const list = typeof patterns === 'string' ? [patterns] : patterns;
      return list.flatMap((pattern, index) => {
        if (known[key].some((word) => matchesGlob(pattern, word))) return [];
        return [
          {
            path: typeof patterns === 'string' ? [...path, key] : [...path, key, index],
            text: `"${pattern}" matches no ${key} of this matrix${didYouMean(pattern, known[key]) || `; it has ${known[key].join(', ')}`}`,
          },
        ];
      });
    }),
  );
}

export interface PlacedRule {
  readonly path: readonly PropertyKey[];
  readonly rule: Matrix['override'][number]['when'];
}

/** All rules of a matrix with the place of their keys. */
export function ruleList(matrix: Matrix): PlacedRule[] {
  return [
    ...matrix.exclude.map((rule, index) => ({path: ['exclude', index], rule})),
    ...matrix.include.map((rule, index) => ({path: ['include', index], rule})),
    ...matrix.override.map(({when}, index) => ({path: ['override', index, 'when'], rule: when})),
  ];
}
