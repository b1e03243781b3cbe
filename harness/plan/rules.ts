import type {RuleKey} from '../contract/matrix.ts';
import {RuleKeys} from '../contract/matrix.ts';
import {matchesAny} from './glob.ts';

/** What a rule may ask of a cell, by key; a device has several words (`host-cpu` and its name). */
export type Traits = Readonly<Record<RuleKey, readonly string[]>>;

export type Rule = {readonly [Key in RuleKey]?: string | readonly string[] | undefined};

/** A rule matches when all its keys match; a rule without keys matches everything. */
export function ruleMatches(rule: Rule, traits: Partial<Traits>): boolean {
  return RuleKeys.every((key) => {
    const patterns = rule[key];
    const texts = traits[key];
    return patterns === undefined || texts === undefined || matchesAny(patterns, texts);
  });
}
