import {BenchError} from '../contract/errors.ts';
import {type RuleKey, RuleKeys} from '../contract/matrix.ts';
import {didYouMean} from './nearest.ts';
import {type Rule, ruleMatches, type Traits} from './rules.ts';

/**
 * `--only KEY=GLOB`, repeatable: several globs of one key widen the choice, several keys narrow it. Never changes a
 * cell, only which of them are in the plan.
 *
 * @throws {BenchError} USAGE for an unknown key, a missing glob, or one that matches nothing.
 */
export function selectCells<C extends {readonly traits: Traits}>(cells: readonly C[], only: readonly string[]): C[] {
  const wanted = new Map<RuleKey, string[]>();
  for (const text of only) {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    const glob = equals < 0 ? '' : text.slice(equals + 1);
    const key = RuleKeys.find((known) => known === name);
    if (key === undefined) {
      throw new BenchError(
        'USAGE',
        `--only ${text}: "${name}" is no key${didYouMean(name, RuleKeys) || `; keys are ${RuleKeys.join(', ')}`}`,
      );
    }
    if (glob === '')
      throw new BenchError(
        'USAGE',
        `--only ${text}: give a glob, as in --only ${key}=${valuesOf(cells, key)[0] ?? '*'}`,
      );
    if (!cells.some(({traits}) => ruleMatches({[key]: glob}, traits))) {
      const values = valuesOf(cells, key);
      throw new BenchError(
        'USAGE',
        `--only ${text}: no cell has such a ${key}${didYouMean(glob, values)} (${key}: ${values.join(', ')})`,
      );
    }
    wanted.set(key, [...(wanted.get(key) ?? []), glob]);
  }
  const rule: Rule = Object.fromEntries(wanted);
  const chosen = cells.filter(({traits}) => ruleMatches(rule, traits));
  if (chosen.length === 0) {
    throw new BenchError('USAGE', `--only ${only.join(' --only ')}: each matches some cells, but no cell matches all`);
  }
  return chosen;
}

function valuesOf(cells: readonly {readonly traits: Traits}[], key: RuleKey): string[] {
  return [...new Set(cells.flatMap(({traits}) => traits[key]))];
}
