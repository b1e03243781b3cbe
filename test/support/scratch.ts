import {createHash} from 'node:crypto';
import {mkdirSync, readdirSync, rmSync, symlinkSync} from 'node:fs';
import {hostname, tmpdir, userInfo} from 'node:os';
import {join} from 'node:path';

// A host's name can be long, and sockets below the folder may not have long paths.
const host = createHash('sha256').update(hostname()).digest('hex').slice(0, 6);
const NAME = new RegExp(`^bench-tests-${host}-(\\d+)$`);

/**
 * Where the temporary folders of one test run lie: TMPDIR of the tests and of all that they start (vitest.config.ts). It
 * goes at the end; the folder of a run that was killed goes at the start of the next one.
 */
export const SCRATCH = join(tmpdir(), `bench-tests-${host}-${process.pid}`);

/** Of the names in a folder those that a test run of this host left behind, whose process lives no more. */
export function staleScratch(names: readonly string[], isAlive: (pid: number) => boolean): string[] {
  return names.filter((name) => {
    const pid = NAME.exec(name)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  });
}

/** vitest calls it once, before the first test. */
export function setup(): void {
  const others = staleScratch(readdirSync(tmpdir()), (pid) => pid !== process.pid && lives(pid));
  for (const name of others) rmSync(join(tmpdir(), name), {recursive: true, force: true, maxRetries: 3});
  mkdirSync(SCRATCH);
  // tsx keeps what it compiled in a folder of this name: without it every command that a test starts would begin anew.
  const compiled = `tsx-${process.geteuid?.() ?? userInfo().username}`;
  mkdirSync(join(tmpdir(), compiled), {recursive: true});
  symlinkSync(join(tmpdir(), compiled), join(SCRATCH, compiled));
}

/** … and once after the last one. */
export function teardown(): void {
  rmSync(SCRATCH, {recursive: true, force: true, maxRetries: 3});
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: a process of somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
