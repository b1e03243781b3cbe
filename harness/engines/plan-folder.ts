import {createHash} from 'node:crypto';
import {readFile, writeFile} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import {z} from 'zod';
import {BenchError} from '../contract/errors.ts';
import {isRefusedForGood, type Plan, PlanSchema} from '../contract/plan.ts';
import {writeFileAtomic} from '../store/atomic-file.ts';
import {diskError, systemCode} from '../store/disk-error.ts';
import {firstIssue} from '../store/invalid.ts';
import {makeFolder} from '../store/make-folder.ts';

/** One submission to an engine. */
export const SubmittedJobSchema = z.object({
  /** As the engine calls it. */
  id: z.string(),
  kind: z.enum(['cells', 'merge']),
  device: z.string().nullable(),
  tasks: z.int().nonnegative(),
  /** Task number of the array's place 0. */
  offset: z.int().nonnegative(),
});
export type SubmittedJob = z.infer<typeof SubmittedJobSchema>;

const JobsSchema = z.object({engine: z.string(), planId: z.string(), jobs: z.array(SubmittedJobSchema)});
export type Jobs = z.infer<typeof JobsSchema>;

/**
 * Everything of one plan that is spread over hosts: `plan.json`, `matrix.yaml`, `jobs.json`, `attempts/`, `logs/`. Not to
 * be committed; the merged run folders are.
 */
export class PlanFolder {
  /** Absolute. */
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  get planPath(): string {
    return join(this.path, 'plan.json');
  }
  get matrixPath(): string {
    return join(this.path, 'matrix.yaml');
  }
  get jobsPath(): string {
    return join(this.path, 'jobs.json');
  }
  get attemptsPath(): string {
    return join(this.path, 'attempts');
  }
  get logsPath(): string {
    return join(this.path, 'logs');
  }

  /**
   * Makes the folder with its plan, or finds it with the same plan.
   *
   * @throws {BenchError} `PLAN_INVALID` when it holds another plan; `DISK_FULL`, `FILE_UNREADABLE`.
   */
  async prepare(plan: Plan, matrixText: string): Promise<void> {
    try {
      await makeFolder(this.path);
      await makeFolder(this.logsPath);
      await makeFolder(this.attemptsPath);
    } catch (error) {
      throw diskError(error, 'create', this.path);
    }
    const text = `${JSON.stringify(plan, null, 1)}\n`;
    const known = await readFile(this.planPath, 'utf8').catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return null;
      throw diskError(error, 'read', this.planPath);
    });
    if (known !== null) {
      const there = parsePlan(known, this.planPath);
      if (cellsOf(there) !== cellsOf(plan) || there.planId !== plan.planId) {
        throw new BenchError('PLAN_INVALID', `${this.path} holds another plan (${there.planId}): choose another --out`);
      }
      return;
    }
    await writeFileAtomic(this.matrixPath, (write) => write(matrixText));
    await writeFileAtomic(this.planPath, (write) => write(text));
    await writeFile(join(this.path, '.gitignore'), '*\n').catch((error: unknown) => {
      throw diskError(error, 'write', this.path);
    });
  }

  /** @throws {BenchError} `PLAN_INVALID`, `FILE_UNREADABLE`. */
  async plan(): Promise<Plan> {
    return await readPlan(this.planPath);
  }

  /** The matrix file; '' when it is not at hand or is another one. */
  async matrixText(plan: Plan): Promise<string> {
    const text = await readFile(this.matrixPath, 'utf8').catch(() => '');
    return createHash('sha256').update(text).digest('hex') === plan.matrixSha256 ? text : '';
  }

  /** null when nothing was submitted from here. @throws {BenchError} `PLAN_INVALID`, `FILE_UNREADABLE`. */
  async jobs(): Promise<Jobs | null> {
    const text = await readFile(this.jobsPath, 'utf8').catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return null;
      throw diskError(error, 'read', this.jobsPath);
    });
    if (text === null) return null;
    const parsed = JobsSchema.safeParse(json(text));
    if (parsed.success) return parsed.data;
    throw new BenchError('PLAN_INVALID', `${this.jobsPath}: ${firstIssue(parsed.error)}`);
  }

  async writeJobs(jobs: Jobs): Promise<void> {
    await writeFileAtomic(this.jobsPath, (write) => write(`${JSON.stringify(jobs, null, 1)}\n`));
  }
}

/** What was planned, without the verdicts of the machine that planned it: they change when it is asked again. */
const cellsOf = ({cells}: Plan): string =>
  JSON.stringify(cells.map((planned) => [planned.cell, isRefusedForGood(planned)]));

/** @throws {BenchError} `PLAN_INVALID` naming the file and the key; `FILE_UNREADABLE`. */
export async function readPlan(path: string): Promise<Plan> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw diskError(error, 'read', path);
  });
  return parsePlan(text, path);
}

function parsePlan(text: string, path: string): Plan {
  const parsed = PlanSchema.safeParse(json(text));
  if (parsed.success) return parsed.data;
  throw new BenchError('PLAN_INVALID', `${path}: ${firstIssue(parsed.error)}`);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
