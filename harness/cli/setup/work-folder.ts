import {mkdtemp, readdir, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {livenessOf, ownIdentity} from '../../weights/process-identity.ts';

/**
 * A new folder for one build. Its name says whose it is, so that the next build removes what killed ones left, and
 * nothing of a build that runs. A folder of another host cannot be judged from here and stays.
 *
 * @param prefix Of the name, for example `.building-`.
 */
export async function makeWorkFolder(parent: string, prefix: string): Promise<string> {
  for (const name of await readdir(parent)) {
    const owner = name.startsWith(prefix) ? OWNER.exec(name.slice(prefix.length))?.groups : undefined;
    if (owner === undefined) continue;
    const identity = {host: owner['host'] ?? '', pid: Number(owner['pid']), started: Number(owner['started'])};
    if ((await livenessOf(identity)) === 'dead') await rm(join(parent, name), {recursive: true, force: true});
  }
  const {host, pid, started} = await ownIdentity();
  return mkdtemp(join(parent, `${prefix}${host}_${pid}_${started}_`));
}

const OWNER = /^(?<host>[^_]+)_(?<pid>\d+)_(?<started>\d+)_[A-Za-z0-9]+$/;
