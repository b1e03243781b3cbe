import {BenchError} from '../contract/errors.ts';
import {type Call, lastLine} from './call.ts';
import type {SlurmJob} from './slurm-jobs.ts';
import {parseSickNodes, parseSqueue, type SickNode, type SlurmTask} from './slurm-state.ts';

type Submission = Pick<SlurmJob, 'arguments' | 'script'>;

/** The five things that are asked of Slurm, each one call of its own programs. Nothing here waits or polls. */
export class Slurm {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  /**
   * Asks Slurm whether it could ever run this, which leaves nothing behind.
   *
   * @throws {BenchError} `ENGINE_UNAVAILABLE` with Slurm's own words.
   */
  async check({arguments: args, script}: Submission, what: string): Promise<void> {
    const {status, stderr} = await this.#call('sbatch', ['--test-only', ...args], script);
    if (status === 0) return;
    throw new BenchError('ENGINE_UNAVAILABLE', `Slurm cannot run ${what}: ${lastLine(stderr)}; nothing was submitted`);
  }

  /** @returns The job id. @throws {BenchError} `ENGINE_UNAVAILABLE` with Slurm's own words. */
  async submit({arguments: args, script}: Submission): Promise<string> {
    const {status, stdout, stderr} = await this.#call('sbatch', ['--parsable', ...args], script);
    // `id` or `id;cluster`.
    const id = /^(\d+)(;|$)/.exec(lastLine(stdout))?.[1];
    if (status === 0 && id !== undefined) return id;
    throw new BenchError('ENGINE_UNAVAILABLE', `sbatch: ${lastLine(stderr) || `it ended with ${status}`}`);
  }

  /** Tasks of these jobs that Slurm still remembers. @throws {BenchError} `ENGINE_UNAVAILABLE`. */
  async tasks(planId: string, ids: readonly string[]): Promise<SlurmTask[]> {
    // From 24.05 on --json leaves out what has ended, too, unless it is asked for; older ones tell all whatever is asked.
    const {status, stdout, stderr} = await this.#call('squeue', ['--json', '--states=all']);
    const tasks = status === 0 ? parseSqueue(stdout, planId, new Set(ids)) : null;
    if (tasks !== null) return tasks;
    throw new BenchError('ENGINE_UNAVAILABLE', `squeue: ${lastLine(stderr) || 'its answer was not understood'}`);
  }

  /** Nodes that take no jobs. */
  async sickNodes(): Promise<SickNode[]> {
    const {status, stdout} = await this.#call('sinfo', ['-h', '-N', '-o', '%N|%T|%E']);
    return status === 0 ? parseSickNodes(stdout) : [];
  }

  /** @throws {BenchError} `ENGINE_UNAVAILABLE` with Slurm's own words. */
  async cancel(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const {status, stderr} = await this.#call('scancel', ids);
    if (status !== 0) throw new BenchError('ENGINE_UNAVAILABLE', `scancel: ${lastLine(stderr)}`);
  }
}
