import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {onTestFinished} from 'vitest';

/** A folder that is gone when the test is. */
export function temporaryDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'bench-weights-'));
  onTestFinished(() => rmSync(dir, {recursive: true, force: true}));
  return dir;
}

export const never = new AbortController().signal;
