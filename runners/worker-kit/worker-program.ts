import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import {fileURLToPath, pathToFileURL} from 'node:url';

/** Program and arguments that start a Node worker. */
export interface WorkerProgram {
  readonly file: string;
  readonly args: readonly string[];
}

/**
 * The worker beside a runner: `worker.js` in a build, `worker.ts` through tsx in the source tree. Start-up is never part
 * of a measured interval, so both measure the same.
 *
 * @param runnerUrl `import.meta.url` of the runner.
 */
export function workerProgram(runnerUrl: string): WorkerProgram {
  const source = runnerUrl.endsWith('.ts');
  const worker = fileURLToPath(new URL(source ? './worker.ts' : './worker.js', runnerUrl));
  if (!source) return {file: process.execPath, args: [worker]};
  // Absolute, because the harness may be started from any folder.
  const loader = createRequire(runnerUrl).resolve('tsx');
  const url = existsSync(loader) ? pathToFileURL(loader).href : 'tsx';
  return {file: process.execPath, args: ['--import', url, worker]};
}
