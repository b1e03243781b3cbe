import {mkdir, readdir, stat, writeFile} from 'node:fs/promises';
import {basename, join, resolve} from 'node:path';
import {BenchError} from '../contract/errors.ts';
import {syncFolder} from './atomic-file.ts';
import {diskError, systemCode} from './disk-error.ts';
import {lastRecordType} from './journal.ts';
import {makeFolder} from './make-folder.ts';
import {readManifest} from './manifest.ts';

/** What the name of a run folder is made of. */
export interface RunName {
  readonly matrix: string;
  readonly device: string;
  readonly host: string;
}

const SLUG = /^[a-z0-9][a-z0-9._-]*$/;
const GITIGNORE = `# Written by bench: results.csv, requests.csv and manifest.json are to be committed, the rest stays here.
journal.jsonl
telemetry.csv
logs/
report/
*.tmp
`;

/** One run below results/: `<matrix>--<device>--<host>--<UTC yyyymmddThhmmssZ>`. Two hosts never write the same folder. */
export class RunFolder {
  /** Absolute. */
  readonly path: string;
  /** Name of the folder. */
  readonly runId: string;

  private constructor(path: string) {
    this.path = path;
    this.runId = basename(path);
  }

  get manifestPath(): string {
    return join(this.path, 'manifest.json');
  }
  get journalPath(): string {
    return join(this.path, 'journal.jsonl');
  }
  get resultsPath(): string {
    return join(this.path, 'results.csv');
  }
  get requestsPath(): string {
    return join(this.path, 'requests.csv');
  }
  get telemetryPath(): string {
    return join(this.path, 'telemetry.csv');
  }
  get reportPath(): string {
    return join(this.path, 'report');
  }
  logPath(cellId: string): string {
    return join(this.path, 'logs', `${cellId}.log`);
  }

  /**
   * Makes the folder of a new run, and `outDir` with its .gitignore where they are missing. A run that began in the same
   * second makes this one take the next.
   *
   * @throws {BenchError} `FILE_UNREADABLE`, `DISK_FULL`: before anything is measured.
   */
  static async create(outDir: string, name: RunName, now: Date): Promise<RunFolder> {
    for (const part of [name.matrix, name.device, name.host]) {
      if (!SLUG.test(part)) throw new BenchError('INTERNAL', `"${part}" cannot be part of the name of a run folder`);
    }
    const root = resolve(outDir);
    try {
      await makeFolder(root);
      await writeGitignore(root);
      for (let second = 0; ; second++) {
        const path = join(root, runId(name, new Date(now.getTime() + 1000 * second)));
        try {
          await mkdir(path);
        } catch (error) {
          if (systemCode(error) === 'EEXIST' && second < 60) continue;
          throw error;
        }
        await mkdir(join(path, 'logs'));
        await syncFolder(root);
        return new RunFolder(path);
      }
    } catch (error) {
      throw diskError(error, 'create a run folder in', root);
    }
  }

  /**
   * The folder of a run whose name is given: made, or the one that is there, so that merging again replaces it.
   *
   * @throws {BenchError} `FILE_UNREADABLE`, `DISK_FULL`.
   */
  static async make(outDir: string, name: string): Promise<RunFolder> {
    const root = resolve(outDir);
    try {
      await makeFolder(root);
      await writeGitignore(root);
      await makeFolder(join(root, name));
    } catch (error) {
      throw diskError(error, 'create a run folder in', root);
    }
    return new RunFolder(join(root, name));
  }

  /** A folder that its caller has just made for one attempt of a cell; its name is the run id. */
  static at(path: string): RunFolder {
    return new RunFolder(resolve(path));
  }

  /** @throws {BenchError} `RESULTS_INVALID` when there is no such folder, or it is no run. */
  static async open(path: string): Promise<RunFolder> {
    const root = resolve(path);
    const facts = await stat(join(root, 'manifest.json')).catch(() => null);
    if (facts === null) throw new BenchError('RESULTS_INVALID', `${path} is not a run folder: it has no manifest.json`);
    return new RunFolder(root);
  }

  /** Names of the other runs in `outDir` of the same plan, device and host. */
  static async siblings(
    outDir: string,
    {runId: own, planId}: {readonly runId: string; readonly planId: string},
  ): Promise<string[]> {
    const root = resolve(outDir);
    const prefix = own.slice(0, own.lastIndexOf('--') + 2);
    const names = (await readdir(root).catch(() => [])).filter((name) => name.startsWith(prefix) && name !== own);
    const found: string[] = [];
    for (const name of names.sort()) {
      const manifest = await readManifest(join(root, name, 'manifest.json')).catch(() => null);
      if (manifest?.planId === planId) found.push(name);
    }
    return found;
  }

  /**
   * The latest run in `outDir` of the same plan on the same device and host that did not come to its end; null when
   * there is none. A folder that cannot be read is not it.
   */
  static async findUnfinished(outDir: string, wanted: RunName & {readonly planId: string}): Promise<RunFolder | null> {
    const root = resolve(outDir);
    const prefix = `${wanted.matrix}--${wanted.device}--${wanted.host}--`;
    const names = await readdir(root).catch(() => []);
    const stamps = names.filter((name) => name.startsWith(prefix) && /^\d{8}T\d{6}Z$/.test(name.slice(prefix.length)));
    for (const name of stamps.sort().reverse()) {
      const folder = new RunFolder(join(root, name));
      const manifest = await readManifest(folder.manifestPath).catch(() => null);
      if (manifest?.planId !== wanted.planId) continue;
      // Only the latest run of the plan counts: an older one that was given up is not taken up behind a finished one.
      return lastRecordType(folder.journalPath) === 'run_finished' ? null : folder;
    }
    return null;
  }
}

/** `<matrix>--<device>--<host>--<UTC yyyymmddThhmmssZ>`. */
export function runId({matrix, device, host}: RunName, start: Date): string {
  const stamp = start.toISOString().replace(/[-:]|\.\d+/g, '');
  return `${matrix}--${device}--${host}--${stamp}`;
}

async function writeGitignore(root: string): Promise<void> {
  try {
    await writeFile(join(root, '.gitignore'), GITIGNORE, {flag: 'wx'});
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}
