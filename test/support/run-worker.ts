import {spawn} from 'node:child_process';
import type {Readable} from 'node:stream';
import {text} from 'node:stream/consumers';
import {type WorkerEvent, WorkerEventSchema, type WorkOrder} from '../../harness/contract/protocol.ts';
import type {Launch} from '../../harness/contract/runner.ts';

export interface WorkerRun {
  readonly events: readonly WorkerEvent[];
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** Runs a worker program as the harness does: order on standard input, events on descriptor 3, each checked. */
export async function runWorkerProgram(launch: Launch, order: WorkOrder | string): Promise<WorkerRun> {
  const child = spawn(launch.file, launch.args, {
    env: {...process.env, ...launch.env},
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<{exitCode: number | null; signal: NodeJS.Signals | null}>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => resolve({exitCode, signal}));
  });
  child.stdin?.end(typeof order === 'string' ? order : JSON.stringify(order));
  // Casts: both descriptors were opened as pipes above, and the child's ends are the writing ones.
  const [lines, stderr, {exitCode, signal}] = await Promise.all([
    text(child.stdio[3] as Readable),
    text(child.stderr as Readable),
    ended,
  ]);
  const events = lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => WorkerEventSchema.parse(JSON.parse(line)));
  return {events, exitCode, signal, stderr};
}

/** The events of one type, in order. */
export function eventsOf<Type extends WorkerEvent['type']>(
  events: readonly WorkerEvent[],
  type: Type,
): readonly Extract<WorkerEvent, {type: Type}>[] {
  // Cast: the filter compares exactly the tag of the union.
  return events.filter((event) => event.type === type) as Extract<WorkerEvent, {type: Type}>[];
}
