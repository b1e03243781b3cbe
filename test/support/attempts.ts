import {createHash} from 'node:crypto';
import {mkdir, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {HARNESS_VERSION} from '../../harness/cli/package-root.ts';
import {ATTEMPT_SCHEMA_VERSION, type AttemptHead} from '../../harness/contract/attempt.ts';
import type {JournalRecord, Manifest} from '../../harness/contract/journal.ts';
import type {Plan, PlannedCell} from '../../harness/contract/plan.ts';
import {attemptFolder, sealedName} from '../../harness/store/attempt-file.ts';

const AT = '2026-01-01T00:00:00.000Z';

export interface MadeUpAttempt {
  /** Default: `local-` and the cell's id. */
  readonly attempt?: string;
  readonly requests?: number;
  /** Time of every token; default 10 ms. */
  readonly tokenNs?: number;
  readonly startedAt?: string;
  readonly gitCommit?: string | null;
}

/** What `bench cell` writes for one round of the simulated runner, without its two seconds a cell. @returns Its path. */
export async function writeAttempt(
  folder: string,
  plan: Plan,
  {cell}: PlannedCell,
  {attempt = `local-${cell.id}`, requests = 4, tokenNs = 1e7, startedAt = AT, gitCommit = null}: MadeUpAttempt = {},
): Promise<string> {
  const event = (tMs: number, body: Extract<JournalRecord, {type: 'event'}>['event']): JournalRecord => ({
    type: 'event',
    cellId: cell.id,
    attempt: 'a',
    tMs,
    event: body,
  });
  const events = Array.from({length: requests}, (_, index) => {
    const startNs = (index + 1) * 1e8;
    return event(startNs / 1e6, {
      type: 'request',
      phase: 'measure',
      index,
      lane: 0,
      batch: 1,
      startNs,
      tokenNs: Array.from({length: cell.workload.generatedTokens}, (_token, token) => startNs + (token + 1) * tokenNs),
      promptTokens: cell.workload.promptTokens,
      evaluatedTokens: cell.workload.promptTokens,
      cachedTokens: 0,
    });
  });
  const records: JournalRecord[] = [
    {type: 'run_started', schema: 1, runId: attempt, at: startedAt},
    {type: 'cell_planned', cell, verdict: 'run', reason: 'runs here', refusedAs: null},
    {type: 'round_started', cellId: cell.id, round: 0, attempt: 'a', canary: false, at: startedAt},
    ...events,
    {
      type: 'round_finished',
      cellId: cell.id,
      round: 0,
      attempt: 'a',
      canary: false,
      status: 'ok',
      reason: '',
      error: null,
      stats: [],
      caveats: [],
      energyJ: null,
      energySource: null,
      overheadS: 0,
      at: startedAt,
    },
    {type: 'run_finished', at: startedAt},
  ];
  const head: AttemptHead = {
    type: 'attempt',
    schema: ATTEMPT_SCHEMA_VERSION,
    attempt,
    planId: plan.planId,
    cellId: cell.id,
    engine: 'local',
    engineJob: null,
    engineNode: null,
    bootId: null,
    manifest: {...manifest(plan, cell.device), startedAt, finishedAt: startedAt, gitCommit},
  };
  const body = `${[head, ...records].map((line) => JSON.stringify(line)).join('\n')}\n`;
  const end = {type: 'end', lines: records.length + 1, sha256: createHash('sha256').update(body).digest('hex')};
  const place = attemptFolder(folder, cell.id);
  await mkdir(place, {recursive: true});
  const path = join(place, sealedName(attempt));
  await writeFile(path, `${body}${JSON.stringify(end)}\n`);
  return path;
}

function manifest(plan: Plan, device: string): Manifest {
  return {
    schema: 1,
    runId: 'made-up',
    matrix: plan.matrix,
    matrixSha256: plan.matrixSha256,
    matrixText: '',
    planId: plan.planId,
    command: 'bench cell',
    harnessVersion: HARNESS_VERSION,
    gitCommit: null,
    startedAt: AT,
    finishedAt: AT,
    host: {
      host: 'made-up',
      os: 'Linux',
      kernelRelease: '6',
      node: process.version,
      virtualization: null,
      cpuModel: 'made up',
      cores: 1,
      isa: 'avx2',
      ramBytes: 1e9,
      cgroupLimitBytes: null,
      driver: null,
      cuda: null,
      devices: [{name: device, title: device, kind: 'cpu', known: false, forced: false}],
    },
    caveats: [],
    samplers: [],
  };
}
