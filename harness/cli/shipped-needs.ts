import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import type {ResultRow} from '../contract/columns.ts';
import type {Need} from '../contract/need.ts';
import {matchesAny} from '../plan/glob.ts';
import {readNeed} from './decide-need.ts';
import {PACKAGE_ROOT} from './package-root.ts';

const FOLDER = join(PACKAGE_ROOT, 'matrices', 'needs');
/** Reports of more rows answer the needs that they are given: of so many, an answer takes seconds. */
const MOST_ROWS = 5000;

/**
 * The examples of `matrices/needs` that measured rows can answer, so that a report begins with an answer. A need that
 * names no workload is asked of a report that holds one; of several, nobody but its owner knows which is like theirs.
 */
export async function shippedNeeds(rows: readonly ResultRow[]): Promise<Need[]> {
  if (rows.length > MOST_ROWS) return [];
  const measured = rows.filter(({status}) => status === 'ok');
  const kinds = new Map(
    measured.map(({workload, generated_tokens: tokens, model}) => [
      JSON.stringify([workload, tokens]),
      {workload: workload ?? '', model},
    ]),
  );
  const models = (workloads: readonly string[]): number =>
    new Set(measured.filter(({workload}) => workloads.includes(workload ?? '')).map(({model}) => model)).size;
  const needs: Need[] = [];
  for (const name of readdirSync(FOLDER).sort()) {
    const need = await readNeed({need: join(FOLDER, name)});
    const {workload: wanted} = need;
    const about = [...kinds.values()].filter(({workload}) => wanted === undefined || matchesAny(wanted, [workload]));
    // Several models are several answers, too: a cheaper one that answers worse is no answer.
    if (about.length === 1 && models(about.map(({workload}) => workload)) === 1) needs.push(need);
  }
  return needs;
}
