import {execFile} from 'node:child_process';
import {promisify} from 'node:util';

const run = promisify(execFile);

/**
 * Commit of the checkout in `folder`, with a trailing `+` when tracked files outside results/ differ from it. null when
 * it is no git checkout or git is missing: then the version of the package has to do.
 */
export async function gitCommit(folder: string): Promise<string | null> {
  try {
    const options = {cwd: folder, timeout: 5_000};
    const {stdout: commit} = await run('git', ['rev-parse', '--short=12', 'HEAD'], options);
    const {stdout: changes} = await run(
      'git',
      ['status', '--porcelain', '--untracked-files=no', '--', '.', ':!results'],
      options,
    );
    return `${commit.trim()}${changes.trim() === '' ? '' : '+'}`;
  } catch {
    return null;
  }
}
