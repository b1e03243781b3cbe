import {existsSync, mkdirSync, mkdtempSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {basename, join} from 'node:path';
import {expect, test} from 'vitest';
import {makeWorkFolder} from '../../../harness/cli/setup/work-folder.ts';
import {ownIdentity} from '../../../harness/weights/process-identity.ts';

test('a build removes what killed builds left, and nothing else', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'bench-work-'));
  const {host, pid, started} = await ownIdentity();
  const names = {
    killed: `.building-${host}_${pid}_${started + 1}_abc123`,
    living: `.building-${host}_${pid}_${started}_abc123`,
    elsewhere: `.building-another.host_${pid}_1_abc123`,
    result: 'native-0.5.0-0123456789ab',
  };
  for (const name of Object.values(names)) mkdirSync(join(parent, name));
  writeFileSync(join(parent, names.killed, 'object.o'), '');
  const made = await makeWorkFolder(parent, '.building-');
  expect(basename(made)).toMatch(/^\.building-/);
  expect(existsSync(made)).toBe(true);
  expect(Object.values(names).filter((name) => existsSync(join(parent, name)))).toEqual([
    names.living,
    names.elsewhere,
    names.result,
  ]);
});
